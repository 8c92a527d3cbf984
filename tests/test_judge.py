"""Verdicts: every published formula is accepted, every mistake rejected, and named as people name it."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import formulas
import numpy as np
import pytest

from symbp.claim import number
from symbp.commands import open_network
from symbp.judge.lines import Lines
from symbp.judge.naming import NAMES, Mistake
from symbp.judge.points import Points
from symbp.judge.value import ShapeError
from symbp.judge.verdict import Judge, Verdict
from symbp.read.claims import ClaimReader
from symbp.read.network import read_network
from symbp.show.mistakes import KINDS, sentence
from symbp.show.verdict import message, repaired, spelled
from symbp.show.words import catalogue, languages

CASES = sorted((Path(__file__).parent / "corpus").rglob("*.toml"))
ALIKE = [  # names that one edit may fairly carry
    {"missing-transpose", "swapped-order", "index-swap"},
    {"factor", "missing-mean-factor"},
    {"missing-sum", "missing-path", "missing-term"},
    {"missing-regulariser", "missing-term", "missing-path"},
    {"missing-activation-derivative", "missing-factor", "missing-path"},
    {"wrong-activation-derivative", "wrong-argument"},
    {"wrong-argument", "index-swap"},
]


@functools.cache
def opened(path: Path) -> tuple[formulas.Case, Points]:
    case = formulas.Case(tomllib.loads(path.read_text(encoding="utf-8")))
    return case, Points(read_network(case.network_text(), path.stem))


def judged(net: str, *lines: str) -> list[Verdict]:
    """Verdicts on lines about a network, a built-in one or a text."""
    graph = read_network(net, "net") if "\n" in net else open_network(net)
    reader, judge = ClaimReader(graph), Judge(Points(graph))
    return [judge(reader.line(line)) for line in lines]


def one(net: str, line: str) -> Verdict:
    return judged(net, line)[0]


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_right_and_wrong_formulas(path: Path) -> None:
    """Accepted or rejected; and symbp's own truth is the published one."""
    case, points = opened(path)
    reader, judge = ClaimReader(points.graph), Judge(points, seconds=0)
    for entry in [*case.case.get("delta", []), *case.case.get("gradient", [])]:
        verdict = judge(reader.line(f"d{case.loss}/d{entry['wrt']} = {entry['numpy']}"))
        assert verdict.verdict == "correct", (entry["wrt"], entry["numpy"], verdict.reason)
    for entry in case.case.get("wrong", []):
        claim = reader.line(f"d{case.loss}/d{entry['wrt']} = {entry['numpy']}")
        assert claim.left is not None and not claim.problem, claim.message
        truth = points.value(claim.left)
        try:
            values = points.value(claim.links[0])
        except ShapeError:
            continue
        equal = [
            a.shape == t.shape and np.allclose(*np.broadcast_arrays(a.array, t.array), rtol=1e-7)
            for a, t in zip(values, truth, strict=True)
        ]
        assert not all(equal), (entry["wrt"], entry["numpy"])


def named(name: str, label: str) -> bool:
    return label in ("other", "shape") or name == label or any({name, label} <= group for group in ALIKE)


def test_mistakes_are_named() -> None:
    """A share of the published mistakes: nine of ten carry the name that a reader gave them, and the
    repaired line is right."""
    asked = right = 0
    for path in CASES[::8]:
        case, points = opened(path)
        reader, judge = ClaimReader(points.graph), Judge(points)
        for entry in case.case.get("wrong", []):
            verdict = judge(reader.line(f"d{case.loss}/d{entry['wrt']} = {entry['numpy']}"))
            assert verdict.verdict == "wrong" and verdict.mistake is not None
            assert verdict.mistake.name in NAMES
            tree = repaired(verdict)
            if tree is not None and spelled(tree):
                again = Judge(points)(
                    ClaimReader(points.graph).line(
                        f"dL/dx = {spelled(tree)}".replace("dL/dx", f"d{case.loss}/d{entry['wrt']}")
                    )
                )
                assert again.verdict in ("correct", "undefined"), (entry["numpy"], spelled(tree), again.reason)
            for lang in ("en", "zh"):
                assert message(verdict, points.graph, spelled, lang)
            asked += 1
            right += named(verdict.mistake.name, entry["mistake"])
    assert asked > 60 and right >= 0.9 * asked, (right, asked)


def test_every_name_has_its_words() -> None:
    phrases = catalogue("en")
    assert {f"mistake-{n}" for n in NAMES} == {k for k in phrases if k.startswith("mistake-")}
    assert {f"slip-{n}{bare}" for n in NAMES for bare in ("", "-bare")} <= set(phrases)
    said = {f"slip-{n}{bare}" for n in NAMES for bare in ("", "-bare")} | {f"slip-{k}" for k in KINDS} | {"slip-two"}
    assert said == {k for k in phrases if k.startswith("slip-")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lang", languages())
def test_a_mistake_is_said_even_without_any_detail(name: str, lang: str) -> None:
    claim = one(RELU, "dW1 = X @ dZ").claim
    said = sentence(Mistake(name, function="relu"), claim, "L", lambda tree: "", lang)
    assert said and "{" not in said


def test_what_is_put_into_a_sentence_is_not_read_again() -> None:
    mistake = Mistake("extra-term", detail=number(1), tree=number(1), old=number(1), new=number(1))
    said = sentence(mistake, one(RELU, "dW1 = X @ dZ").claim, "L", lambda tree: r"\mathbb{old}{x}", "en")
    assert said == r"The factor \mathbb{old}{x} is too many."


RELU = """
X: (N, D)
W1: (D, H)
W2: (H, C)
Y: (N, C)
Z = X @ W1
A = relu(Z)
P = A @ W2
L = sum((P - Y)**2)
"""


@pytest.mark.parametrize(
    ("line", "name", "repair"),
    [
        ("dW1 = X @ dZ", "missing-transpose", "X.T @ dZ"),
        ("dW1 = dZ @ X.T", "swapped-order", "X.T @ dZ"),
        ("dP = 2*(Y - P)", "sign", "-2*(Y - P)"),
        ("dP = P - Y", "factor", "2*(P - Y)"),
        ("dZ = dA", "missing-activation-derivative", "dA * (Z > 0)"),
        ("dZ = dA * (Z < 0)", "wrong-activation-derivative", "dA * (Z > 0)"),
        ("dZ = dA * A", "wrong-activation-derivative", "dA * (Z > 0)"),
        ("dA = dP * W2.T", "hadamard-vs-matmul", "dP @ W2.T"),
        ("dW2 = A.T @ dP + W2", "extra-term", "A.T @ dP"),
        ("dA = dP", "missing-factor", "dP @ W2.T"),
        ("dW2 = Z.T @ dP", "wrong-argument", "A.T @ dP"),
        ("dW1 = X.T @ (2*(P - Y) @ W2.T)", "missing-activation-derivative", "X.T @ (2*(P - Y) @ W2.T * (Z > 0))"),
    ],
)
def test_a_repair_in_the_students_own_notation(line: str, name: str, repair: str) -> None:
    verdict = one(RELU, line)
    assert verdict.verdict == "wrong" and verdict.mistake is not None
    assert verdict.mistake.name == name, verdict.mistake
    shown = spelled(repaired(verdict)).replace(" ", "")
    assert shown == repair.replace(" ", "") or one(RELU, f"{line.partition('=')[0]}= {shown}").verdict == "correct"


@pytest.mark.parametrize(
    ("net", "line", "name"),
    [
        ("X: (N, D)\nw: (D,)\nb: ()\ny: (N,)\nz = X @ w + b\nL = sum((z - y)**2)", "db = dz", "missing-sum"),
        ("X: (N, D)\nw: (D,)\ny: (N,)\nL = mean((X @ w - y)**2)", "dw = 2*X.T @ (X @ w - y)", "missing-mean-factor"),
        ("X: (N, D)\nb: (D,)\nZ = X + b\nL = sum(Z**2)", "db = sum(dZ, axis=1)", "shape"),
        ("x: (n,)\nlam: ()\ny: (n,)\nL = sum((x - y)**2) + lam*sum(x**2)", "dx = 2*(x - y)", "missing-regulariser"),
        ("x: (n,)\nW: (n, n)\nz = W @ x + x\nL = sum(z**2)", "dx = W.T @ dz", "missing-path"),
        ("h0: (n,)\nh1 = sin(h0)\nh2 = h1*h0\nL = sum(h2**2)", "dh1 = dh2*h1", "index-swap"),
        ("x: (n,)\nm: (n,)\nL = sum(x/m)", "dm = -x/m", "wrong-activation-derivative"),  # an exponent
        ("x: (n,)\nq: ()\nL = sum(x**q)/q\nassert x > 0\nassert q > 0", "dx = x**q", "wrong-activation-derivative"),
        ("x: (n,)\nq: ()\nL = sum(x**q)/q\nassert x > 0\nassert q > 0", "dx = q*x**(q - 1)", "factor"),  # q only scales
        ("x: (n,)\nbe: ()\na = 1/(1 + exp(-be*x))\nL = sum(a)", "dx = a*(1 - a)", "factor"),
        (
            "A: (n, n)\nv: ()\nL = logdet(A + v*eye(n))\nassert posdef(A)\nassert v > 0",
            "dv = inv(A + v*eye(n))",
            "missing-sum",
        ),
    ],
)
def test_more_kinds(net: str, line: str, name: str) -> None:
    verdict = one(net + "\n", line)
    assert verdict.mistake is not None and verdict.mistake.name == name, verdict.mistake


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("dW1 = -X @ dZ", {"sign", "missing-transpose"}),
        ("dP = Y - P", {"factor", "sign"}),  # both mistakes are one number: −2
        ("dW1 = X.T @ (-dA)", {"missing-activation-derivative", "sign"}),
        ("dW1 = (dA @ X.T)/2", {"swapped-order", "missing-activation-derivative", "factor"}),
    ],
)
def test_two_mistakes_in_one_line(line: str, names: set[str]) -> None:
    mistake = one(RELU, line).mistake
    assert mistake is not None
    found = {mistake.name} | ({mistake.second.name} if mistake.second else set())
    assert len(found & names) >= min(2, len(names)) or found == {"other"}


def test_a_forgotten_gate_is_a_missing_factor_in_words() -> None:
    """G*T has a name of its own, M; the student wrote T for it."""
    net = "X: (N, D)\nT: (N, D)\nG: (N, D)\nw: (D,)\nM = G*T\ns = M @ w\nL = sum(s**2) + sum(X*T)\n"
    verdict = one(net, "dw = T.T @ ds")
    assert message(verdict, read_network(net, "net"), spelled) == "M belongs where T stands: the factor G is missing."


def test_a_counterexample_can_be_recomputed() -> None:
    verdict = one(RELU, "dW1 = X.T @ dA")
    e = verdict.counterexample
    assert e is not None and e.point is not None
    x, w1, w2, y = (np.asarray(e.point[n]) for n in ("X", "W1", "W2", "Y"))
    d = 2 * (np.maximum(x @ w1, 0) @ w2 - y) @ w2.T
    assert np.isclose((x.T @ d)[e.entry], e.claimed)
    assert np.isclose((x.T @ (d * (x @ w1 > 0)))[e.entry], e.true)


def test_shape_alone_never_decides() -> None:
    """Where the network makes all sizes equal a wrong transpose has the right shape."""
    square = "X: (n, n)\nW: (n, n)\nZ = X @ W\nL = sum(Z**3)\n"
    assert one(square, "dW = X @ dZ").verdict == "wrong"
    assert one(square, "dW = X.T @ dZ").verdict == "correct"


def test_kinks_are_seen_from_both_sides() -> None:
    net = "x: ()\ny = maximum(x, 0)\nL = y**2 + x\n"
    assert one(net, "dL/dx = 2*x + 1").verdict == "wrong"
    assert one(net, "dL/dx = 1").verdict == "wrong"
    assert one(net, "dL/dx = 2*x*(x > 0) + 1").verdict == "correct"


def test_ratio() -> None:
    assert one(RELU, "dP = P - Y").ratio == 2.0
    assert one("X: (N, D)\nw: (D,)\nL = mean((X @ w)**2)\n", "dw = X.T @ (X @ w)").ratio == "2/N"
    assert one(RELU, "dW1 = X.T @ dA").ratio is None


def test_chains_link_by_link() -> None:
    good, bad = judged(RELU, "dP = 2*(P - Y) = 2*P - 2*Y", "dP = 2*(P - Y) = 2*P - Y")
    assert (good.verdict, bad.verdict, bad.link) == ("correct", "wrong", 1)


def test_what_follows_from_an_earlier_wrong_line() -> None:
    first, second, third = judged(RELU, "delta = P - Y", "dW2 = A.T @ delta", "dW1 = X.T @ (delta @ W2.T * (Z > 0))")
    assert (first.verdict, second.verdict, second.carried) == ("correct", "wrong", "correct")
    assert (third.verdict, third.carried) == ("wrong", "correct")
    wrong, absolute, closed = judged(RELU, "dP = P - Y", "dW2 = A.T @ dP", "dA = (P - Y) @ W2.T")
    assert (wrong.verdict, absolute.verdict) == ("wrong", "correct")  # dP is the true gradient
    assert (closed.verdict, closed.carried) == ("wrong", "correct")
    assert one(RELU, "dA = (P - Y) @ W2.T").carried is None


def test_a_gradient_never_rests_on_itself() -> None:
    assert one(RELU, "dW1 = dW1").verdict == "undefined"
    assert one(RELU, "dP = dA @ W2").verdict == "undefined"  # dA comes after dP
    assert one(RELU, "dW1 = X.T @ dZ").verdict == "correct"


def test_a_value_that_is_no_number() -> None:
    assert one(RELU, "dP = (P - Y)*0/0").verdict == "wrong"


def test_proof() -> None:
    proofs = [v.proof for v in judged(RELU, "dW2 = A.T @ dP", "dP = 2*(P - Y)", "dP = (P**2 - Y**2)/(P + Y)*2")]
    assert proofs[0] == proofs[1] == "symbolic"
    assert proofs[2] in ("symbolic", "numeric")


# ---- the mistakes of lecture notes ---------------------------------------------------------------------


def test_slips_of_the_batch_with_relu() -> None:
    net = "relu-batch-64x1000x100x8"
    right = judged(net, "dW1 = x.T @ (2*(y_pred - y) @ W2.T * (h > 0))", "dW2 = h_relu.T @ (2*(y_pred - y))")
    assert [v.verdict for v in right] == ["correct", "correct"]
    wrong = judged(
        net,
        "dloss/dW1 = (x @ W2).T @ (2*(y_pred - y))",
        "dloss/dW1 = W2.T @ (2*(y_pred - y))",
        "dloss/dW1 = h_relu @ (2*(y_pred - y))",
        "dh = dh_relu * (dh_relu > 0)",
    )
    assert [v.verdict for v in wrong] == ["wrong"] * 4
    assert wrong[3].mistake is not None
    assert wrong[3].mistake.name in ("wrong-argument", "wrong-activation-derivative")


def test_slips_of_the_linear_neuron_and_the_minibatch() -> None:
    assert one("linear-neuron-batch", "dE/dw = X.T @ (y - t)").verdict == "correct"
    assert one("linear-neuron-batch", "dE/dw = -X.T @ (y - t)").verdict == "wrong"
    assert one("linear-neuron-batch", "dy/dw = X").verdict == "correct"
    inside, outside = judged("minibatch", "W = W - rate/B * X.T @ (Y - T)", "W = W - rate/B * X.T @ sum(Y - T)")
    assert (inside.verdict, outside.verdict) == ("correct", "wrong")


def test_a_network_of_any_depth(capsys: pytest.CaptureFixture[str]) -> None:
    from symbp.commands import Screen, VerifyOptions, verify

    claims = ["dW[3] = outer(dz[3], a[2])", "dE/da[1] = W[2].T @ dz[2]", "dE/da[1] = W[2] @ dz[2]"]
    text, status = verify("deep-softmax", claims, VerifyOptions(), Screen())
    assert status == 1 and "2 right · 1 wrong" in text


def test_what_fuzzing_found() -> None:
    """The derivative of a number has one value for all points; nothing is derived by a size."""
    graph = read_network("r: (N,)\nd: ()\nC = sum(r**2*d)/N\nL = C*2\nassert d > 0\n", "net")
    reader, judge = Lines(Points(graph)), Judge(Points(graph))
    found = [judge(reader.line(x)).verdict for x in (r"\frac{d2}{dd} = d", r"\frac{\partial C}{\partial N} = 2")]
    assert found == ["wrong", "unreadable"]
