"""Mistakes put into right formulas are never accepted, and named as the definitions name them.

The formulas are published ones, in NumPy and in LaTeX; the mistakes are made systematically (mutants.py). A formula
that happens to stay right is left out: NumPy decides on that, not symbp.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import formulas
import numpy as np
import pytest
from mutants import Mutants
from test_judge import RELU, judged, named, one

from symbp.claim import Claim, Tree
from symbp.commands import open_network
from symbp.judge.equal import OTHER, fitted, same
from symbp.judge.lines import Lines
from symbp.judge.points import Points
from symbp.judge.value import ShapeError, Value
from symbp.judge.verdict import Judge, Verdict
from symbp.read.network import read_network
from symbp.show.repair import in_latex
from symbp.show.verdict import message, spelled

CASES = sorted((Path(__file__).parent / "corpus").rglob("*.toml"))
EACH, MOST = 2, 5  # mutants of one kind, of one formula


def stays_right(case: formulas.Case, about: str, published: str, text: str) -> bool:
    """Does NumPy find the values of the published formula?"""
    for seed in (1, 2, 3):
        env = case.draw(seed)
        for e in [*case.case.get("delta", []), *case.case.get("gradient", [])]:
            env["d" + e["wrt"]] = np.asarray(formulas.evaluate(e["numpy"], env), float)
        truth = np.asarray(formulas.evaluate(published, env), float)
        try:
            value = np.asarray(formulas.evaluate(text, env), float)
        except Exception:  # shapes that do not fit
            return False
        if value.shape != truth.shape or not np.allclose(value, truth, rtol=1e-7):
            return False
    return True


def lines_of(path: Path, latex: bool) -> Iterator[tuple[formulas.Case, Points, Claim, dict[str, Any]]]:
    case = formulas.Case(tomllib.loads(path.read_text(encoding="utf-8")))
    symbols = case.case.get("symbols", {})
    if latex and not symbols:
        return
    points = Points(read_network(case.network_text(), path.stem))
    lets = [f"{k} := {v.replace('grad:', f'd{case.loss}/d')}" for k, v in symbols.items()]
    lines = Lines(points, lets if latex else [])
    for e in [*case.case.get("delta", []), *case.case.get("gradient", [])]:
        text = " ".join(e["latex"].split()) if latex else f"d{case.loss}/d{e['wrt']} = {e['numpy']}"
        claim = lines.line(text, e["wrt"])
        if not claim.problem and claim.left is not None and claim.links:
            yield case, points, claim, e


def mutants_of(points: Points, judge: Judge, claim: Claim, rng: random.Random) -> list[tuple[str, Tree]]:
    link = claim.links[-1]

    def value(tree: Tree) -> Value | None:
        try:
            return points.batches[0].value(tree, (link,))
        except ShapeError:
            return None

    kinds: dict[str, list[Tree]] = defaultdict(list)
    seen = {link}
    for name, tree in Mutants(link, claim.about, judge.lexicon, value):
        if tree not in seen:
            seen.add(tree)
            kinds[name].append(tree)
    chosen = [(name, tree) for name, trees in kinds.items() for tree in rng.sample(trees, min(EACH, len(trees)))]
    return rng.sample(chosen, min(MOST, len(chosen)))


def speller(points: Points, verdict: Verdict, latex: bool) -> Callable[[Tree], str]:
    write = in_latex(points)
    return (lambda tree: write(verdict, tree)) if latex else spelled


@pytest.mark.parametrize("latex", [False, True])
def test_mistakes_put_into_right_formulas_are_named(latex: bool) -> None:
    asked, right, other = 0, 0, 0
    rng = random.Random(7)
    for path in CASES[2 :: 9 if latex else 14]:
        for case, points, claim, e in lines_of(path, latex):
            judge = Judge(points)
            assert claim.left is not None
            lefts = points.value(claim.left, claim.links)
            for name, tree in mutants_of(points, judge, claim, rng):
                if latex:
                    try:
                        values = [fitted(v, t, True) for v, t in zip(points.value(tree), lefts, strict=True)]
                    except ShapeError:
                        values = []
                    if values and same(values, [v.array for v in lefts], OTHER):
                        continue
                elif stays_right(case, e["wrt"], e["numpy"], spelled(tree)):
                    continue
                one_judge = Judge(points)
                one_judge.lexicon = judge.lexicon
                verdict = one_judge(replace(claim, links=(tree,)))
                assert verdict.verdict == "wrong", (path.stem, name, e["numpy"], tree)
                assert verdict.mistake is not None
                for lang in ("en", "zh"):
                    said = message(verdict, points.graph, speller(points, verdict, latex), lang)
                    assert said and "\0" not in said
                asked += 1
                right += named(verdict.mistake.name, name)
                other += verdict.mistake.name == "other"
    assert asked > 100, asked
    assert right >= 0.93 * asked and other <= 0.03 * asked, (right, other, asked)


SENTENCES = """
sigmoid: dZ = dA*A
    The factor 1 - A is missing: the derivative of the sigmoid is A*(1 - A).
    漏了因子 1 - A：sigmoid 函数的导数是 A*(1 - A)。
sigmoid: dZ = dA
    The derivative of the sigmoid is missing: going back through A multiplies by A*(1 - A).
    漏乘 sigmoid 函数的导数：反向经过 A 时要乘以 A*(1 - A)。
relu: dZ = dA * (Z < 0)
    The inequality is the wrong way round: Z > 0 instead of Z < 0.
    不等号方向反了：Z < 0 应为 Z > 0。
relu: dP = P - Y
    The constant factor 2 is missing.
    漏了常数因子 2。
relu: dP = 2*(P - Y)/N
    The factor 1/N is too many: a mean divides by the number of entries, a sum does not.
    多了因子 1/N：求平均要除以个数，求和不用。
relu: dW2 = A @ dP
    A transpose is missing: write A.T instead of A.
    漏了转置：A 应为 A.T。
relu: dA = dP * W2.T
    A matrix product is due here, not an elementwise one: dP @ W2.T instead of dP*W2.T.
    此处应为矩阵乘积，而不是逐元素乘积：dP*W2.T 应为 dP @ W2.T。
relu: dW2 = A.T @ dP + W2
    The summand W2 is too many.
    多了一项 W2。
relu: dP = 2*(Y - P)
    The sign is wrong throughout: this is −∂L/∂P, the direction of descent, not the gradient.
    整体反号：这是 −∂L/∂P，即下降方向，而不是梯度。
"""


@pytest.mark.parametrize("entry", re.findall(r"(\w+): (.+)\n +(.+)\n +(.+)\n", SENTENCES), ids=lambda e: e[1])
def test_a_sentence_says_what_is_wrong_and_where(entry: tuple[str, str, str, str]) -> None:
    function, line, en, zh = entry
    net = RELU.replace("relu", function)
    verdict = one(net, line)
    graph = read_network(net, "net")
    assert message(verdict, graph, spelled, "en").endswith(en)
    assert message(verdict, graph, spelled, "zh").endswith(zh)


def test_what_is_forgotten_is_found_after_simplifying() -> None:
    """The derivation without one of its parts: a path, a softmax taken entry by entry, two slopes."""
    softmax = (
        "Z: (N, C)\nT: (N, C)\nP = softmax(Z, axis=1)\nL = -sum(T*log(P))\nassert sum(T, axis=1) == 1\nassert T > 0\n"
    )
    verdict = one(softmax, "dZ = T*(P - 1)")  # (P − T)'s diagonal: −T/P · P(1 − P)
    assert verdict.mistake is not None and verdict.mistake.name == "wrong-activation-derivative"
    assert "softmax is not elementwise" in message(verdict, read_network(softmax, "net"), spelled)
    chain = "w: ()\nx: ()\na1 = sigmoid(w*x)\na2 = sigmoid(a1)\na3 = sigmoid(a2)\nL = a3**2/2\n"
    verdict = one(chain, "dw = a3*a3*(1 - a3)*x")
    assert verdict.mistake is not None and verdict.mistake.name == "missing-activation-derivative"
    product = "z: (n,)\nv: (n,)\na = z*sigmoid(z)\nL = dot(v, a)\n"
    verdict = one(product, "dz = v*sigmoid(z)")
    assert verdict.mistake is not None and verdict.mistake.name == "missing-path"
    assert "product rule" in message(verdict, read_network(product, "net"), spelled)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("dW1 = X @ (2*dZ)", {"missing-transpose", "factor"}),
        ("dW1 = -dZ @ X.T", {"sign", "swapped-order"}),
        ("dW1 = X @ (2*(P + Y) @ W2.T * (Z > 0))", {"missing-transpose", "sign"}),
    ],
)
def test_two_mistakes_of_different_kinds_are_both_named(line: str, names: set[str]) -> None:
    mistake = one(RELU, line).mistake
    assert mistake is not None and mistake.second is not None, mistake
    assert {mistake.name, mistake.second.name} == names


def test_a_repair_keeps_the_students_way_of_writing() -> None:
    net = "X: (N, D)\nw: (D,)\ny: (N,)\np = X @ w\nL = sum((p - y)**2)/N\n"
    for line, repair in [
        ("dw = 2/N * np.dot(X.T, p + y)", "2/N * dot(X.T, p - y)"),
        ("dw = X @ (p - y)*2/N", "X.T @ (p - y) * 2 / N"),
        ("dp = (y - p)*2/N", "(p - y)*2/N"),
    ]:
        verdict = one(net, line)
        assert verdict.mistake is not None
        assert spelled(verdict.mistake.tree).replace(" ", "") == repair.replace(" ", "")


# ---- the lecture notes' own mistakes -------------------------------------------------------------------


def latex_verdict(net: str, line: str, lets: list[str]) -> Any:
    points = Points(read_network(net, "net") if "\n" in net else open_network(net))
    return Judge(points)(Lines(points, lets).line(line))


def test_a_derivative_by_the_weight_of_another_index() -> None:
    """∂y/∂w_n for ∂y/∂w_i in the batch rule of a linear neuron."""
    lets = ["y^n := y[n]", "w_i := w[i]", "w_n := w[n]"]
    line = r"\frac{\partial E}{\partial w_i} = \sum_n \frac{\partial y^n}{\partial w_%s}\frac{\partial E}{\partial y^n}"
    assert latex_verdict("linear-neuron-batch", line % "i", lets).verdict == "correct"
    wrong = latex_verdict("linear-neuron-batch", line % "n", lets)
    assert wrong.verdict == "wrong" and wrong.mistake.name == "index-swap"


def test_jacobians_that_do_not_meet_are_no_chain() -> None:
    """∂y_3/∂y_1 ∂y_2/∂y_1 for ∂y_3/∂y_2 ∂y_2/∂y_1."""
    net = "y1: (m1,)\nf2: (m1,) >> (m2,)\nf3: (m2,) >> (m3,)\ng: (m3,) >> ()\ny2 = f2(y1)\ny3 = f3(y2)\nz = g(y3)\n"
    line = r"\frac{\partial z}{\partial y_1} = \frac{\partial z}{\partial y_3} "
    line += r"\frac{\partial y_3}{\partial y_%s} \frac{\partial y_2}{\partial y_1}"
    assert latex_verdict(net, line % "2", []).verdict == "loose"
    wrong = latex_verdict(net, line % "1", [])
    assert wrong.verdict == "wrong" and wrong.mistake.name in ("extra-term", "index-swap")


def test_slips_of_the_batch_with_relu_have_their_names() -> None:
    wrong = judged(
        "relu-batch-64x1000x100x8",
        "dloss/dW2 = W2.T @ (2*(y_pred - y))",
        "dloss/dW2 = h_relu @ (2*(y_pred - y))",
        "dh = dh_relu * (dh_relu > 0)",
    )
    assert [v.verdict for v in wrong] == ["wrong"] * 3
    assert [v.mistake.name for v in wrong if v.mistake][1:] == ["missing-transpose", "wrong-argument"]


def test_a_gradient_outside_the_sum_of_a_minibatch() -> None:
    wrong = judged("minibatch", "dE/dW = X.T @ sum(Y - T, axis=0)/B")[0]
    assert wrong.verdict == "wrong" and wrong.mistake is not None
    assert judged("minibatch", "dE/dW = X.T @ (Y - T)/B")[0].verdict == "correct"
