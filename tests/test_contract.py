"""The command line, as scripts see it: exit codes, streams, JSON. Nothing here may change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from formulas import operations
from typer.testing import CliRunner, Result

from symbp.cli import app

ROOT = Path(__file__).parent.parent
NET = '''"""Two layers, squared error"""
X:  (N, D)
W1: (D, H)
W2: (H, C)
Y:  (N, C)
H1 = X @ W1
A = relu(H1)
P = A @ W2
L = sum((P - Y)**2)
assert onehot(Y, axis=1)
'''
CELL = """
x: ()
w: ()
b: ()
t: ()
z = w*x + b
y = sigmoid(z)
E = (y - t)**2/2
assert fixed(x, t)
"""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with two networks; no colour and no size comes from outside."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.txt").write_text(NET, encoding="utf-8")
    (tmp_path / "cell.symbp").write_text(CELL, encoding="utf-8")
    return tmp_path


def run(*words: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


def answer(*words: str, stdin: str | None = None) -> str:
    """Standard output of a call that succeeds and says nothing else."""
    done = run(*words, stdin=stdin)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def refusal(*words: str, stdin: str | bytes | None = None) -> str:
    """The message of a call that is refused: exit code 2, nothing on standard output, no traceback."""
    done = run(*words, stdin=stdin)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Internal error" not in done.stderr
    assert CONTROL.search(done.stderr) is None
    assert done.stderr.strip()
    return done.stderr


def process(*words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}  # type: ignore[dict-item]
    command = [sys.executable, "-c", "from symbp.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, timeout=60, env=environment, check=False, **more)  # type: ignore[call-overload,no-any-return]


def test_no_code_calls_a_function_that_is_not_there() -> None:
    message = refusal("code", f"{ROOT / 'examples' / 'own_activation.py'}:net")

    assert "NumPy has no function bump" in message
    assert "Lambda" in message


# ---- JSON --------------------------------------------------------------------------------------


def test_derive_json_has_the_keys_of_schema_1() -> None:
    whole = json.loads(answer("derive", "net.txt", "--format", "json"))

    assert whole.keys() >= {"schema", "network", "loss", "assumptions", "gradients", "deltas", "steps"}
    assert (whole["schema"], whole["network"], whole["loss"]) == (1, "net", "L")
    assert whole["assumptions"] == ["onehot(Y, axis=1)"]
    assert [g["wrt"] for g in whole["gradients"]] == ["X", "W1", "W2"]
    for g in whole["gradients"]:
        assert g.keys() >= {"wrt", "shape", "delta_form", "closed_form", "check"}
        for form in ("delta_form", "closed_form"):
            assert g[form].keys() >= {"numpy", "latex", "index"}
            assert all(isinstance(g[form][k], str) for k in ("numpy", "latex", "index"))
        assert g["check"]["max_relative_error"] < 1e-10
        assert g["check"]["points"] >= 1
    assert [d["node"] for d in whole["deltas"]] == ["P", "A", "H1"]
    for d in whole["deltas"]:
        assert d.keys() >= {"node", "shape", "numpy", "closed_numpy", "latex"}
    assert [s["number"] for s in whole["steps"]] == list(range(1, len(whole["steps"]) + 1))
    for s in whole["steps"]:
        assert s.keys() >= {"number", "about", "rule", "latex", "text"}


def test_the_example_of_the_contract() -> None:
    whole = json.loads(answer("derive", "net.txt", "--json"))
    gradient = {g["wrt"]: g for g in whole["gradients"]}["W1"]

    assert gradient["shape"] == ["D", "H"]
    assert gradient["delta_form"]["numpy"] == "X.T @ dH1"
    assert operations(gradient["closed_form"]["numpy"]) <= operations("X.T @ (2*(P - Y) @ W2.T * (H1 > 0))")
    assert [d["numpy"] for d in whole["deltas"]] == ["2*(P - Y)", "dP @ W2.T", "dA*(H1 > 0)"]


def test_json_says_what_was_left_out() -> None:
    assert json.loads(answer("derive", "net.txt", "--json"))["left_out"] == {"Y": "onehot(Y, axis=1)"}


def test_a_form_without_an_expression_is_null_with_why() -> None:
    whole = json.loads(answer("derive", "-", "--json", stdin="f: () >> ()\nw: (n,)\nx: (n,)\nL = sum(f(w*x))\n"))
    form = whole["gradients"][0]["closed_form"]

    assert form["numpy"] is None
    assert "unknown" in form["why"]


def test_one_form_only() -> None:
    (delta,) = json.loads(answer("derive", "net.txt", "--wrt", "W1", "--form", "delta", "--json"))["gradients"]
    (closed,) = json.loads(answer("derive", "net.txt", "--wrt", "W1", "--form", "closed", "--json"))["gradients"]

    assert delta["delta_form"]
    assert not delta["closed_form"] or delta["closed_form"]["numpy"] is None
    assert closed["closed_form"]["numpy"]
    assert not closed["delta_form"]


def test_several_networks_make_a_list() -> None:
    whole = json.loads(answer("derive", "net.txt", "cell.symbp", "--json"))

    assert [one["network"] for one in whole] == ["net", "cell"]


def test_inner_nodes_asked_for_are_deltas() -> None:
    whole = json.loads(answer("derive", "net.txt", "--wrt", "A", "--json"))

    assert whole["gradients"] == []
    assert "A" in [d["node"] for d in whole["deltas"]]


def test_json_keeps_the_plus_sign_whatever_delta_is_shown() -> None:
    plus, minus = (json.loads(answer("derive", "net.txt", "--json", "--delta", d)) for d in ("plus", "minus"))

    assert [d["numpy"] for d in plus["deltas"]] == [d["numpy"] for d in minus["deltas"]]
    assert [g["delta_form"]["numpy"] for g in plus["gradients"]] == [
        g["delta_form"]["numpy"] for g in minus["gradients"]
    ]


def test_check_json() -> None:
    whole = json.loads(answer("check", "net.txt", "--json"))

    assert whole["schema"] == 1
    assert whole["ok"] is True
    assert whole["tensors"].keys() >= {"W1", "W2"}
    assert all(t["max_relative_error"] < 1e-10 for t in whole["tensors"].values())


def test_brief_json_has_no_steps_and_no_check_when_none_is_wanted() -> None:
    whole = json.loads(answer("derive", "net.txt", "--json", "--detail", "brief", "--check", "none"))

    assert whole["steps"] == []
    assert all(g["check"] is None for g in whole["gradients"])


# ---- what derive shows -------------------------------------------------------------------------


def test_detail_grows() -> None:
    def length(detail: str) -> int:
        return len(answer("derive", "net.txt", "--detail", detail, "--format", "latex"))

    assert length("brief") < length("normal") < length("full")


def test_notations() -> None:
    assert "Xᵀ δ_H₁" in answer("derive", "net.txt", "--notation", "matrix")
    assert "Xᵀ" not in answer("derive", "net.txt", "--notation", "index")
    both = answer("derive", "net.txt", "--notation", "both", "--detail", "brief")
    assert "Xᵀ δ_H₁" in both
    assert "Σ_n" in both


def test_an_entry_is_shown_in_the_letters_asked_for() -> None:
    assert "A[n,k] δ_P[n,j]" in answer("derive", "net.txt", "--wrt", "W2[k, j]")
    assert "2 indices" in refusal("derive", "net.txt", "--wrt", "W2[k]")


def test_delta_minus() -> None:
    shown = answer("derive", "net.txt", "--delta", "minus", "--detail", "brief")

    assert "δ_P = −∂L/∂P = " in shown
    assert "∂L/∂W₂ = −Aᵀ δ_P" in shown


def test_updates() -> None:
    assert "w ← w − η δ_z x" in answer("derive", "cell.symbp", "--update")
    assert "w ← w + η δ_z x" in answer("derive", "cell.symbp", "--update", "--delta", "minus")


def test_chinese() -> None:
    assert re.search("[\u4e00-\u9fff]", answer("derive", "net.txt", "--lang", "zh"))
    assert not re.search("[\u4e00-\u9fff]", answer("derive", "net.txt"))


def test_values_at_a_point() -> None:
    point = [x for v in ("x=1", "w=1/2", "b=0", "t=1") for x in ("--at", v)]
    shown = answer("derive", "cell.symbp", *point)

    assert "z = w x + b = 0.5 · 1 + 0 = 0.5" in shown
    assert "−0.08872" in shown


def test_formats() -> None:
    assert "dW1 = X.T @ dH1" in answer("derive", "net.txt", "--format", "numpy", "--form", "delta")
    assert r"X^{\top}" in answer("derive", "net.txt", "--format", "latex")
    assert answer("derive", "net.txt", "--format", "latex", "--standalone").startswith(r"\documentclass")
    assert "$" in answer("derive", "net.txt", "--format", "markdown")


def test_standard_input_is_a_network_too() -> None:
    assert json.loads(answer("derive", "-", "--json", stdin=NET))["loss"] == "L"


def test_built_in_networks_are_networks() -> None:
    listed = answer("zoo")
    name = listed.split()[0]

    assert answer("derive", name, "--detail", "brief")
    assert "=" in answer("zoo", name)


def test_code_is_python_that_runs() -> None:
    scope: dict[str, object] = {}
    exec(compile(answer("code", "net.txt"), "<code>", "exec"), scope)

    assert callable(scope["forward"])
    assert callable(scope["backward"])


def test_check_prints_a_table() -> None:
    shown = answer("check", "net.txt")

    assert "W₁" in shown
    assert "✓" in shown


# ---- colour and width --------------------------------------------------------------------------


def test_colour_is_off_where_nobody_sees_it_and_on_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in answer("derive", "net.txt")
    coloured = answer("derive", "net.txt", "--color", "always")
    assert "\x1b[" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in answer("derive", "net.txt")
    assert "\x1b" not in answer("derive", "net.txt", "--color", "never")


def test_colour_changes_nothing_but_colour() -> None:
    coloured = re.sub("\x1b\\[[0-9;]*m", "", answer("derive", "net.txt", "--color", "always"))

    assert coloured.startswith(answer("derive", "net.txt"))


@pytest.mark.parametrize("columns", ["1", "40", "80", "100000", "abc", "-5", ""])
def test_any_width(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert max(map(len, answer("derive", "net.txt").splitlines())) <= 120


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"HOME": ""}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_odd_environments(environment: dict[str, str]) -> None:
    done = process("derive", "net.txt", env=environment)

    assert done.returncode == 0
    assert done.stderr == b""
    assert "∂L/∂W₁" in done.stdout.decode("utf-8")
    assert b"\x1b" not in done.stdout


# ---- files -------------------------------------------------------------------------------------


def test_a_file_is_written_once(folder: Path) -> None:
    assert answer("derive", "net.txt", "-o", "out.txt") == ""
    first = (folder / "out.txt").read_text(encoding="utf-8")
    assert first == answer("derive", "net.txt")
    assert "--force" in refusal("derive", "net.txt", "-o", "out.txt", "--detail", "brief")
    assert (folder / "out.txt").read_text(encoding="utf-8") == first
    answer("derive", "net.txt", "-o", "out.txt", "--detail", "brief", "--force")
    assert (folder / "out.txt").read_text(encoding="utf-8") != first


@pytest.mark.parametrize("path", [".", "nowhere/out.txt"])
def test_a_place_that_cannot_be_written(path: str) -> None:
    assert path in refusal("derive", "net.txt", "-o", path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk() -> None:
    assert "No space left" in refusal("derive", "net.txt", "-o", "/dev/full")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
def test_devices_are_not_read(path: str) -> None:
    assert "not an ordinary file" in refusal("derive", path)


# ---- calls that are off ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["derive"], "Missing argument"),
        (["derivee", "net.txt"], "Did you mean 'derive'"),
        (["chek", "net.txt"], "Did you mean 'check'"),
        (["derive", "missing.net"], "missing.net"),
        (["derive", "relu2"], "Did you mean 'relu-2'?"),
        (["derive", "."], "folder"),
        (["derive", ""], "no file"),
        (["derive", "n" * 5000], "no file"),
        (["derive", "net.txt", "--wrt", "NoSuch"], "W1, W2"),
        (["derive", "net.txt", "--wrt", "H_1"], "Did you mean 'H1'?"),
        (["derive", "net.txt", "--wrt", "__import__('os')"], "nothing of that name"),
        (["derive", "net.txt", "--form", "delt"], "Did you mean 'delta'?"),
        (["derive", "net.txt", "--detail", "much"], "brief, normal, full"),
        (["derive", "net.txt", "--notation", "x"], "matrix, index, both"),
        (["derive", "net.txt", "--format", "jsn"], "Did you mean 'json'?"),
        (["derive", "net.txt", "--lang", "fr"], "en, zh"),
        (["derive", "net.txt", "--delta", "0"], "plus, minus"),
        (["derive", "net.txt", "--check", "maybe"], "full, quick, none"),
        (["derive", "net.txt", "--color", "red"], "auto, always or never"),
        (["derive", "net.txt", "--seed", "9" * 200], "--seed"),
        (["derive", "net.txt", "--seed", "-1"], "--seed"),
        (["derive", "net.txt", "--seed", "nan"], "seed"),
        (["derive", "net.txt", "--template", "{{ ''.__class__ }}"], "--template"),
        (["derive", "cell.symbp", "--at", "x=1"], "needed for"),
        (["derive", "cell.symbp", "--at", "q=1"], "there is no 'q'"),
        (["derive", "cell.symbp", "--at", "x"], "x"),
        (["derive", "cell.symbp", "--at", "x=__import__('os')"], "x"),
        (["check", "missing.net"], "missing.net"),
        (["code", "missing.net"], "missing.net"),
        (["zoo", "relu2"], "Did you mean 'relu-2'?"),
    ],
    ids=lambda x: " ".join(x)[:40] if isinstance(x, list) else "",
)
def test_refused(words: list[str], said: str) -> None:
    assert said in refusal(*words)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), (b"\x00\x01\x02\x03\x04", "binary"), (b"\xff\xfe\xfd", "text"), ("x = (\n", "line 1")],
)
def test_standard_input_that_is_no_network(text: str | bytes, said: str) -> None:
    message = refusal("derive", "-", stdin=text)

    assert said in message.replace("input:1", "line 1")


def test_an_error_names_its_line() -> None:
    message = refusal("derive", "-", stdin=NET.replace("A @ W2", "A @ W1"))

    assert "input:8" in message
    assert "P = A @ W1" in message


def test_nothing_is_run() -> None:
    refusal("derive", "-", stdin="x: (n,)\nL = __import__('os').system('touch symbp_pwned')\n")

    assert not Path("symbp_pwned").exists()


# ---- processes ---------------------------------------------------------------------------------


def imported(*words: str) -> set[str]:
    """The heavy modules that a call imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from symbp.cli import main; main()", *words],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=True,
    )
    assert done.stdout
    names = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert "symbp.cli" in names
    return names & {"sympy", "numpy", "rich"}


def test_version_and_help_import_nothing_heavy() -> None:
    assert imported("--version") == set()
    assert imported("--help") == set()


def test_derive_without_a_check_imports_no_sympy() -> None:
    assert imported("derive", "net.txt", "--check", "none") <= {"rich", "numpy"}


def test_exit_codes_of_the_process() -> None:
    assert process("check", "net.txt").returncode == 0
    assert process("check", "missing.net").returncode == 2
    assert process("chek", "net.txt").returncode == 2


def test_usage_names_the_command() -> None:
    assert b"Usage: symbp derive" in process("derive", "--help").stdout


def test_a_closed_pipe_is_no_error() -> None:
    command = [sys.executable, "-c", "from symbp.cli import main; main()", "derive", "net.txt", "--check", "none"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read()

    assert said == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_that_is_full() -> None:
    command = [sys.executable, "-c", "from symbp.cli import main; main()", "derive", "net.txt", "--check", "none"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )

    assert done.returncode == 2
    assert done.stderr.decode() == "symbp: Cannot write the result: No space left on device.\n"


def test_standard_input_may_be_closed() -> None:
    done = process("derive", "-", stdin=subprocess.DEVNULL)

    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
