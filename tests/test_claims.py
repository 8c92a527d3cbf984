"""Formulas in NumPy are read as trees, printed back with the same value, and never executed."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbp import claim as c
from symbp.judge.equal import same
from symbp.judge.lines import Lines
from symbp.judge.points import Points
from symbp.judge.text import numpy_text
from symbp.judge.verdict import Judge
from symbp.read.claims import ClaimReader, read_expression
from symbp.read.homework import read_program
from symbp.read.network import read_network
from symbp.show.verdict import repaired, spelled, verdicts_json, verdicts_text

TWO_LAYERS = """
X: (N, D)
W1: (D, H)
b1: (H,)
W2: (H, C)
Y: (N, C)
Z = X @ W1 + b1
A = relu(Z)
P = A @ W2
L = sum((P - Y)**2)/N
"""
GRAPH = read_network(TWO_LAYERS, "two-layers")
POINTS = Points(GRAPH)


def values(text: str) -> list[object]:
    tree = ClaimReader(GRAPH).tree(text)
    return [v.array for v in POINTS.value(tree)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("np.dot(X.T, dZ)", "X.T @ dZ"),
        ("numpy.matmul(X.T, dZ)", "X.T @ dZ"),
        ("X.T.dot(dZ)", "X.T @ dZ"),
        ("np.transpose(X) @ dZ", "X.T @ dZ"),
        ("X.transpose() @ dZ", "X.T @ dZ"),
        ("dZ.sum(axis=0)", "sum(dZ, axis=0)"),
        ("dZ.sum(0)", "sum(dZ, axis=0)"),
        ("np.sum(dZ, 0, keepdims=True)", "sum(dZ, axis=0, keepdims=True)"),
        ("np.multiply(dA, Z > 0)", "dA * (Z > 0)"),
        ("dA * np.where(Z > 0, 1, 0)", "dA * (Z > 0)"),
        ("dA * np.heaviside(Z, 0)", "dA * (Z > 0)"),
        ("dA * (Z > 0).astype(float)", "dA * (Z > 0)"),
        ("dA * np.greater(Z, 0)", "dA * (Z > 0)"),
        ("np.square(P - Y)", "(P - Y)**2"),
        ("np.power(P, 2)", "P**2"),
        ("2 * (P - Y) / len(X)", "2*(P - Y)/N"),
        ("2 * (P - Y) / X.shape[0]", "2*(P - Y)/N"),
        ("2 * np.subtract(P, Y) / Y.shape[0]", "2*(P - Y)/N"),
        ("np.einsum('ni,nj->ij', X, dZ)", "X.T @ dZ"),
        ("-(Y - P)", "P - Y"),
        ("A.reshape(-1)", "reshape(A, (-1,))"),
        ("b1[None, :] + Z", "Z + b1"),
        ("b1[np.newaxis] * Z", "Z*b1"),
        ("dL/dZ", "dZ"),
        ("np.mean(Z, axis=1)", "sum(Z, axis=1)/Z.shape[1]"),
    ],
)
def test_other_spellings_of_one_thing(written: str, meant: str) -> None:
    assert same(values(written), values(meant))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "X.T @ (dA * (Z > 0))", "-(P - Y)/N", "2*(P - Y) @ W2.T", "A*(1 - A)*dA", "1/(1 + exp(-Z))", "(X @ W1).T",
        "sum(dZ, axis=0)", "outer(b1, b1) @ W2", "where(Z > 0, Z, 0.01*Z)", "(P - Y)**2", "A - (Z - A)", "A/(Z*A)",
        "A*Z/N*2", "reshape(b1, (1, -1))", "b1[None, :]", "-X.T @ dZ", "einsum('ij,jk->ik', X, W1)", "2**-1*A",
    ],
)  # fmt: skip
def test_printed_and_read_again(text: str) -> None:
    tree = ClaimReader(GRAPH).tree(text)
    assert same(values(numpy_text(tree)), values(text))  # type: ignore[arg-type]


def test_equal_trees_are_one_object() -> None:
    read = ClaimReader(GRAPH).tree
    assert read("X.T @ (dA*(Z > 0))") is read("X.T@(dA * (Z>0))")


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("dW1 = X.T @ foo", "undefined", "foo is not a name"),
        ("dW1 = X.T @", "unreadable", "not in the language"),
        ("dW1 = X.t @ dZ", "unreadable", ".T is the transpose"),
        ("dW1 = X^2", "unreadable", "^ is not a power"),
        ("X.T @ dZ", "undefined", "gradient of"),
        ("dW1 = X == 1", "unreadable", "comparison"),
        ("dW1 = f if Z else g", "unreadable", "where"),
        ("dW1 = __import__('os')", "unreadable", "not a function"),
        ("dW1 = Z(3)", "unreadable", "a tensor"),
        ("dW1 = 10**10000*X", "unreadable", "exponent"),
        ("dL/dW7 = X", "undefined", "nothing of that name"),
        ("dW1 = Х", "undefined", "Cyrillic"),
        ("dW1 =", "unreadable", "empty"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, kind: str, says: str) -> None:
    claim = ClaimReader(GRAPH).line(text)
    assert (claim.problem, says in claim.message) == (kind, True), claim.message


def test_left_sides() -> None:
    read = ClaimReader(GRAPH).line
    for text in (
        "dL/dW1 = X.T @ dZ",
        "dW1 = X.T @ dZ",
        "d_W1 = X.T @ dZ",
        "grads['W1'] = X.T @ dZ",
        "∂L/∂W1 = X.T @ dZ",
    ):
        claim = read(text)
        assert claim.left is not None and claim.left.op == "gradient" and claim.about == "W1", text
    assert read("X.T @ dZ", about="W1").about == "W1"
    chain = read("dW1 = X.T @ dZ = X.T @ (dA*(Z > 0))")
    assert len(chain.links) == 2
    assert read("delta = 2*(P - Y)/N").defines == "delta"
    assert read("dP ＝ 2·（P − Y）/N").links == read("dP = 2*(P - Y)/N").links


def test_the_loss_may_be_called_e() -> None:
    graph = read_network("x: (n,)\nE = sum(x**2)", "e")
    assert ClaimReader(graph).line("dL/dx = 2*x").about == "x"


def test_letters_for_lets() -> None:
    tree = read_expression(GRAPH, "-dL/dZ[n, j]", {"n", "j"})
    assert tree is c.negative(c.entry(c.gradient("Z", "dL/dZ"), "n", "j"))
    assert POINTS.shape(read_expression(GRAPH, "W1[:, j]", {"j"}))[0] == ("j",)


HOMEWORK = '''
def backward(X, Y, cache):
    """The backward pass."""
    m = X.shape[0]
    A, P = cache["A"], cache["P"]
    dP = 2 * (P - Y) / m
    dW2 = np.dot(A.T, dP)
    dA = dP @ W2.T
    dZ = dA.copy()
    dZ[Z <= 0] = 0
    grads = {}
    grads["W1"] = X.T @ dZ
    grads["b1"] = np.sum(dZ, axis=1)
    dW2 *= 2
    return grads
'''


def test_a_pasted_function() -> None:
    claims = read_program(ClaimReader(GRAPH), HOMEWORK)
    judge = Judge(POINTS)
    verdicts = {v.claim.about: v for v in map(judge, claims)}
    assert [verdicts[n].verdict for n in ("P", "A", "Z", "W1")] == ["correct"] * 4
    assert verdicts["b1"].verdict == "wrong" and verdicts["b1"].mistake.name == "shape"
    assert verdicts["W2"].verdict == "wrong" and verdicts["W2"].ratio == 0.5  # its last value counts


def test_what_is_not_followed_in_a_program() -> None:
    text = "for i in range(3):\n    dP = P\ndW2 = A.T @ (2*(P - Y)/N)\n"
    claims = {x.about: x for x in read_program(ClaimReader(GRAPH), text)}
    assert claims["P"].problem == "unreadable" and not claims["W2"].problem


MISTAKEN = """
def backward(X, Y, W2, Z, A, P):
    scale = 2 / N
    dP = scale * (P - Y)
    dA = dP @ W2
    dZ = dA * (Z > 0)
    dW1 = X.T @ dZ * N
    dW2 = np.dot(A.T, dP)
"""


def test_a_line_of_a_program_answers_for_its_own_mistake_only() -> None:
    """dA lacks a transpose, dZ carries that, dW1 has a mistake of its own beside; names stay names in repairs."""
    verdicts = {v.claim.about: v for v in map(Judge(POINTS), read_program(ClaimReader(GRAPH), MISTAKEN))}
    first, carried, both = (verdicts[n] for n in ("A", "Z", "W1"))
    assert verdicts["P"].verdict == verdicts["W2"].verdict == "correct"
    assert first.mistake is not None and first.mistake.name == "missing-transpose"
    assert spelled(c.by_name(repaired(first), first.claim.own)) == "dP @ W2.T"
    assert (carried.verdict, carried.carried, carried.mistake, carried.sources) == ("wrong", "correct", None, ("dA",))
    assert carried.counterexample is not None
    assert both.mistake is not None and both.mistake.name == "missing-mean-factor" and both.carried is None
    assert both.sources == ("dZ",)
    assert spelled(c.by_name(repaired(both), both.claim.own)) == "X.T @ dZ"


# ---- strangers' text -----------------------------------------------------------------------------------

HOSTILE = json.loads((Path(__file__).parent / "hostile_formulas.json").read_text(encoding="utf-8"))


def expanded(text: str) -> str:
    return re.sub(r"⟦rep (\d+) (.*?)⟧", lambda m: m[2] * int(m[1]), text, flags=re.S)


def test_hostile_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("canary", encoding="utf-8")
    judge = Judge(POINTS)
    for entry in HOSTILE:
        start = time.process_time()
        latex = entry.get("kind") == "formula-latex"
        reader = Lines(POINTS).latex.read_line if latex else ClaimReader(GRAPH).line
        verdict = judge(reader(expanded(entry["input"]), "W1"))
        shown = verdicts_text([verdict], GRAPH, 80, False) + json.dumps(verdicts_json([verdict], GRAPH))
        assert verdict.verdict != "correct", entry["id"]
        assert "canary" not in shown and time.process_time() - start < 2, entry["id"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret.txt"]


PIECES = [
    "X", "W1", "dZ", "A", "P", "b1", "N", "2", "0.5", "1e9", "+", "-", "*", "/", "@", "**", "(", ")", "[", "]", ".T",
    ",", "=", "==", ">", ":", "sum(", "mean(", "np.", "exp(", "log(", "inv(", "outer(", "reshape(", "where(", "axis=0",
    "axis=7", "keepdims=True", "None", "'", '"', "\\", "^", "{", "}", "lambda", "if", "else", "__class__",
    "einsum('ij,jk->ik',", "dL/d", "zeros(", "9999999", "\x1b[31m", "−", "π",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(["", "W1", "Z", "L"]))
def test_no_text_gets_more_than_a_verdict(pieces: list[str], about: str) -> None:
    verdict = Judge(POINTS, seconds=0.2)(ClaimReader(GRAPH).line("".join(pieces), about))
    json.dumps(verdicts_json([verdict], GRAPH))
    assert "\x1b" not in verdicts_text([verdict], GRAPH, 80, False).replace("\x1b[31m", "")


RIGHT = "X.T @ (2*(P - Y)/N @ W2.T * (Z > 0))"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RIGHT)), st.integers(0, 6), st.sampled_from(PIECES))
def test_mutated_formulas(place: int, cut: int, piece: str) -> None:
    text = RIGHT[:place] + piece + RIGHT[place + cut :]
    verdict = Judge(POINTS, seconds=0.2)(ClaimReader(GRAPH).line(f"dL/dW1 = {text}"))
    assert verdict.verdict in ("correct", "wrong", "unreadable", "undefined", "undecided")
    assert verdict.verdict != "wrong" or verdict.counterexample is not None
