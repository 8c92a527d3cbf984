"""The command `symbp verify`: exit codes, JSON as promised, claims files, numbers at a point, two languages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NET = '''"""Two layers"""
X: (N, D)
W1: (D, H)
W2: (H, C)
Y: (N, C)
H1 = X @ W1
A = relu(H1)
P = A @ W2
L = sum((P - Y)**2)
'''


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.symbp"
    path.write_text(NET, encoding="utf-8")
    return path


def verify(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "symbp.cli", "verify", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_json_as_promised(net: Path, tmp_path: Path) -> None:
    claims = tmp_path / "claims.txt"
    claims.write_text(
        "dL/dW2 = A.T @ dP\n# a comment\ndL/dW1 = dH1 @ X.T\nW1: X.T @ dH1\nX.T @ dH1\nP: foo\ndP = (\n",
        encoding="utf-8",
    )
    done = verify(net, "--claims", claims, "--json")
    assert done.returncode == 1 and not done.stderr
    answer = json.loads(done.stdout)
    assert answer["schema"] == 1
    first, second, third, *rest = answer["claims"]
    assert set(first) >= {
        "text", "about", "verdict", "carried", "ratio", "proof", "mistake", "also", "message", "repair",
        "counterexample", "where",
    }  # fmt: skip
    assert (first["verdict"], first["proof"], first["repair"], first["mistake"]) == ("correct", "symbolic", None, None)
    assert (second["verdict"], second["about"], second["mistake"]) == ("wrong", "W1", "swapped-order")
    assert second["repair"]["numpy"] == "X.T @ dH1" and "^" in second["repair"]["latex"]
    assert second["where"]["line"] == 3 and second["counterexample"]["sizes"]
    assert third["verdict"] == "correct"
    assert [c["verdict"] for c in rest] == ["undefined", "undefined", "unreadable"]
    assert answer["summary"] == {
        "correct": 2, "wrong": 1, "loose": 0, "undecided": 0, "unreadable": 1, "undefined": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (["dP = 2*(P - Y)"], 0),
        (["dP = 2*(P - Y)", "dP = P - Y"], 1),
        (["dP = 2*(P - Y)", "dP = foo"], 2),
        (["dP = foo", "dP = P"], 1),
        (["A.T @ dP"], 2),
        (["A.T @ dP", "--about", "W2"], 0),
        (["A.T @ dP", "--about", "V"], 2),
    ],
)
def test_exit_codes(net: Path, claims: list[str], code: int) -> None:
    done = verify(net, *claims)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_lunch_bill() -> None:
    """Three steps of the delta rule; the last one as it was printed does not belong to y = 620."""
    first = ["--at", "w=[50,50,50]", "--at", "x=[5,2,4]", "--at", "t=1250", "--at", "eps=1/70"]
    done = verify("linear-neuron", "y = 550", "t - y = 700", "Δw = eps*x*(t - y) = [50, 20, 40]", *first)
    assert done.returncode == 0, done.stdout
    second = ["--at", "w=[100,70,90]", "--at", "x=[3,3,3]", "--at", "t=900", "--at", "eps=1/12"]
    assert verify("linear-neuron", "y = 780", "Δw = [30, 30, 30]", *second).returncode == 0
    third = ["--at", "w=[130,100,120]", "--at", "x=[0,5,1]", "--at", "t=350", "--at", "eps=2/27"]
    assert verify("linear-neuron", "y = 620", "Δw = [0, -100, -20]", *third).returncode == 0
    printed = json.loads(verify("linear-neuron", "Δw = [0, -40, -20]", *third, "--json").stdout)["claims"][0]
    assert (printed["verdict"], printed["mistake"]) == ("wrong", "value")
    assert (printed["counterexample"]["claimed"], printed["counterexample"]["true"]) == (-40.0, -100.0)
    slide = ["--at", "w=[130,100,120]", "--at", "x=[0,2,1]", "--at", "t=350", "--at", "eps=2/27"]
    assert verify("linear-neuron", "y = 620", *slide).returncode == 1


def test_updates() -> None:
    right = ["w -= eps*dE/dw", "w = w - eps*dw", "Δw = eps*x*(t - y)", "w -= 0.1*x*(y - t)"]
    assert verify("linear-neuron", *right).returncode == 0
    done = verify("linear-neuron", "w += eps*dw", "--json")
    claim = json.loads(done.stdout)["claims"][0]
    assert claim["mistake"] == "sign" and "uphill" in claim["message"]


def test_the_screen(net: Path) -> None:
    done = verify(net, "dL/dW1 = dH1 @ X.T", "dP = 2*(P - Y)")
    assert "✗ dL/dW1 = dH1 @ X.T" in done.stdout and "right line  dL/dW1 = X.T @ dH1" in done.stdout
    assert "1 right · 1 wrong" in done.stdout and "\x1b" not in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    coloured = verify(net, "dL/dW1 = dH1 @ X.T", "--color", "always").stdout
    assert "\x1b[32m" in coloured and "\x1b[1;31m" in coloured
    chinese = verify(net, "dL/dW1 = dH1 @ X.T", "--lang", "zh").stdout
    assert "因子的次序" in chinese and "错误：" in chinese


def test_a_call_that_is_off(net: Path, tmp_path: Path) -> None:
    for words in ([tmp_path / "none.symbp", "dP = P"], [net, "dP = P", "--lang", "fr"], [net, "--claims", tmp_path]):
        done = verify(*words)
        assert done.returncode == 2 and done.stderr.startswith("symbp: ") and not done.stdout


def test_nothing_to_judge_is_no_success(net: Path) -> None:
    run = verify(net)

    assert run.returncode == 2
    assert run.stdout == ""
    assert "nothing to judge" in run.stderr
    assert "--claims FILE" in run.stderr


MEAN = '''"""Logistic regression in two layers, the batch in columns"""
X: (d, m)
Y: (1, m)
W1: (h, d)
W2: (1, h)
Z1 = W1 @ X
A1 = tanh(Z1)
Z2 = W2 @ A1
A2 = sigmoid(Z2)
L = -sum(Y*log(A2) + (1 - Y)*log(1 - A2))/m
assert binary(Y)
'''


def test_a_mean_that_is_left_out_of_one_line_and_stands_in_the_next(tmp_path: Path) -> None:
    """`dZ = A - Y`, `dW = dZ A^T / m`: the first line is off by m, and in a document those that make it good are right;
    alone, with another number, or as claims one by one, they are wrong."""
    path, page = tmp_path / "net.symbp", tmp_path / "page.md"
    path.write_text(MEAN, encoding="utf-8")
    first = r"\frac{\partial L}{\partial Z_2} = A_2 - Y"
    good = [
        r"\frac{\partial L}{\partial W_2} = \frac{1}{m} \frac{\partial L}{\partial Z_2} A_1^T",
        r"\frac{\partial L}{\partial Z_1} = W_2^T \frac{\partial L}{\partial Z_2} \odot (1 - A_1 \odot A_1)",
        r"\frac{\partial L}{\partial W_1} = \frac{1}{m} \frac{\partial L}{\partial Z_1} X^T",
    ]
    off = r"\frac{\partial L}{\partial W_1} = \frac{2}{m} \frac{\partial L}{\partial Z_1} X^T"

    def verdicts(*arguments: str) -> list[str]:
        return [c["verdict"] for c in json.loads(verify(*arguments, "--json").stdout)["claims"]]

    def document(*formulas: str) -> list[str]:
        page.write_text("\n\n".join(f"$${f}$$" for f in formulas), encoding="utf-8")
        return verdicts(str(page), "--net", str(path))

    assert document(first, *good, off) == ["wrong", "correct", "correct", "correct", "wrong"]
    assert document(*good) == ["wrong", "correct", "wrong"]
    assert verdicts(str(path), first, *good) == ["wrong", "wrong", "correct", "wrong"]


def test_a_list_of_numbers_belongs_to_one_point(net: Path) -> None:
    done = verify(net, r"\frac{\partial L}{\partial P} = \begin{pmatrix} 0 & -2 \end{pmatrix}")
    assert done.returncode == 2 and "At which point?" in done.stdout
