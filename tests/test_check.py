"""The check itself: right derivations pass, seeded mistakes are caught, small ones too."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hand_built import D, H, N, entries, graph, inner, leaf, matmul, over, squares, two_layers

from symbp import check as check_module
from symbp.check import (
    Mismatch,
    check,
    check_step,
    check_steps,
    compare,
    is_analytic,
    numerical_gradients,
)
from symbp.derive import derive
from symbp.errors import RequestError
from symbp.evaluate import forward
from symbp.expr import MINUS_ONE, TWO, ZERO, Call, Compare, Delta, Entry, Expr, Num, Select, add, fresh, mul
from symbp.graph import Fact, Graph
from symbp.ops import OPS
from symbp.sample import choose_sizes, draw
from symbp.steps import Derivation, Step

SIZES = {"N": 4, "D": 6, "H": 5, "C": 4}


def backprop(v: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The two-layer network by hand."""
    z2 = (v["P"] * v["Y"].sum(1, keepdims=True) - v["Y"]) / len(v["Y"])
    a1 = z2 @ v["W2"].T
    z1 = a1 * (1 - v["A1"] ** 2)
    return {
        "Z2": z2, "A1": a1, "Z1": z1, "P": -v["Y"] / v["P"] / len(v["Y"]),
        "W2": v["A1"].T @ z2, "b2": z2.sum(0), "W1": v["X"].T @ z1, "b1": z1.sum(0), "X": z1 @ v["W1"].T,
    }  # fmt: skip


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


# ---- numerical gradients -------------------------------------------------------------------------------


def test_every_entry_of_leaves_and_inner_nodes_by_the_complex_step() -> None:
    g = two_layers()
    point = draw(g, SIZES, np.random.default_rng(0))
    expected = backprop(point.values)
    found = numerical_gradients(g, point.leaves, SIZES, expected)
    assert sum(found[w].size for w in ("W1", "b1", "W2", "b2")) == 59
    assert max(error(found[name], expected[name]) for name in expected) < 1e-14


def test_differences_where_a_function_is_not_analytic() -> None:
    g = replace(two_layers(), own={"tanh": replace(OPS["tanh"], analytic=False)})
    assert not is_analytic(g)
    point = draw(g, SIZES, np.random.default_rng(0))
    expected = backprop(point.values)
    found = numerical_gradients(g, point.leaves, SIZES, expected)
    assert max(error(found[name], expected[name]) for name in expected) < 1e-8
    checked = check(derive(g))
    assert all(c.ok and c.method == "central differences" for c in checked.values())


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    g = two_layers()
    point = draw(g, SIZES, np.random.default_rng(0))
    whole = numerical_gradients(g, point.leaves, SIZES, ["W1", "b2", "Z1"])
    monkeypatch.setattr(check_module, "STACKED", 1500)
    parts = numerical_gradients(g, point.leaves, SIZES, ["W1", "b2", "Z1"])
    for name in whole:
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-13, atol=1e-16)


def test_what_the_loss_does_not_see_has_no_gradient() -> None:
    g = graph([leaf("x", D), leaf("y", D), inner("L", (), lambda: over([D], entries("x")))])
    found = numerical_gradients(g, {"x": [1, 2], "y": [3, 4]}, {"D": 2}, ["y", "x", "L"])
    assert (found["y"] == 0).all()
    assert (found["x"] == 1).all()
    assert found["L"] == 1
    with pytest.raises(RequestError, match="'w' is not a node"):
        numerical_gradients(g, {"x": [1, 2], "y": [3, 4]}, {"D": 2}, ["w"])


def test_the_stacked_pass_costs_few_forward_evaluations() -> None:
    g = two_layers()
    point = draw(g, SIZES, np.random.default_rng(0))

    def fastest(f: Callable[[], object]) -> float:
        times = []
        for _ in range(60):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
        return min(times)

    one = fastest(lambda: forward(g, point.leaves, SIZES))
    all_entries = fastest(lambda: numerical_gradients(g, point.leaves, SIZES, ["W1", "b1", "W2", "b2"]))
    assert all_entries < 8 * one


# ---- right derivations -----------------------------------------------------------------------------------


def convolution() -> Graph:
    length = add(N, mul(MINUS_ONE, D), Num(1))
    body = lambda i: over([D], lambda p: mul(Entry("w", (p,)), Entry("x", (add(i, p),))))  # noqa: E731
    return squares("y", (length,), body, [leaf("x", N), leaf("w", D)])


def attention() -> Graph:
    def score(i: Expr, j: Expr) -> Expr:
        dot = over([D], lambda k: mul(Entry("Q", (i, k)), Entry("K", (j, k))))
        return Select(Compare("<=", j, i), dot, Num(-30))

    weights = inner("A", (N, N), lambda i, j: over([N], lambda k: Entry("S", (i, k)), "softmax", [j]))
    out = inner("O", (N, H), lambda i, j: matmul("A", "V", N, i, j))
    loss = inner("L", (), lambda: over([N, H], lambda i, j: Call("sin", Entry("O", (i, j)))))
    return graph([leaf("Q", N, D), leaf("K", N, D), leaf("V", N, H), inner("S", (N, N), score), weights, out, loss])


def pooled() -> Graph:
    rectified = inner("a", (N, D), lambda i, j: Call("relu", Entry("x", (i, j))))
    top = inner("m", (N,), lambda i: over([D], lambda j: Entry("a", (i, j)), "max"))
    return graph(
        [leaf("x", N, D), rectified, top, inner("L", (), lambda: over([N], lambda i: Call("sin", Entry("m", (i,)))))]
    )


def logdet() -> Graph:
    whole = over([D, D], lambda i, j: Entry("A", (i, j)), "logdet")
    trace = over(
        [D, D], lambda i, j: mul(over([D, D], lambda k, l: Entry("A", (k, l)), "inv", [i, j]), Entry("B", (j, i)))
    )
    return graph([leaf("A", D, D), leaf("B", D, D), inner("L", (), lambda: add(whole, trace))], [Fact("posdef", "A")])


def hinge() -> Graph:
    margin = inner(
        "m",
        (N,),
        lambda i: add(
            Num(1), mul(MINUS_ONE, Entry("t", (i,)), over([D], lambda j: mul(Entry("X", (i, j)), Entry("w", (j,)))))
        ),
    )
    loss = inner("L", (), lambda: over([N], lambda i: Call("maximum", ZERO, Entry("m", (i,)))))
    return graph([leaf("X", N, D), leaf("w", D), leaf("t", N), margin, loss], [Fact("pm1", "t")])


NETWORKS = {
    "tanh": two_layers, "relu": lambda: two_layers("relu"), "gelu": lambda: two_layers("gelu"),
    "abs": lambda: two_layers("abs"), "convolution": convolution, "attention": attention, "pooled": pooled,
    "logdet": logdet, "hinge": hinge,
}  # fmt: skip


@pytest.mark.parametrize("level", ["full", "quick"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_derivations_pass(name: str, level: str) -> None:
    derivation = derive(NETWORKS[name]())
    for seed in range(3):
        checked = check(derivation, level, seed)
        assert checked.keys() == derivation.adjoints.keys()
        for c in checked.values():
            assert c.ok, c
            assert c.points >= 3
            assert c.error < 1e-12
            assert c.method == "complex step"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_line_of_every_step_holds(name: str) -> None:
    assert check_steps(derive(NETWORKS[name]())) == ""


def test_a_leaf_with_a_fact_is_differentiated_as_if_free() -> None:
    checked = check(derive(two_layers(), ["Y", "W1"]))
    assert checked["Y"].ok
    assert checked["Y"].error < 1e-14


# ---- wrong ones --------------------------------------------------------------------------------------------


def spoiled(derivation: Derivation, name: str, change: Callable[[Expr], Expr], form: str = "closed") -> Derivation:
    a = derivation.adjoints[name]
    wrong = replace(a, **{form: change(getattr(a, form))})
    return replace(derivation, adjoints={**derivation.adjoints, name: wrong})


MISTAKES: dict[str, Callable[[Expr], Expr]] = {
    "sign": lambda e: mul(MINUS_ONE, e),
    "factor": lambda e: mul(TWO, e),
    "almost 1": lambda e: mul(Num("1.0000000001", decimal=True), e),
    "mean": lambda e: mul(N, e),
    "one entry": lambda e: mul(
        e, add(Num(1), mul(Num("1e-4"), *(Compare("==", i, ZERO) for i in sorted(e.free, key=lambda i: i.name))))
    ),
    "zero": lambda e: ZERO,
}


@pytest.mark.parametrize("level", ["full", "quick"])
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("form", ["delta", "closed"])
def test_mistakes_are_caught(mistake: str, level: str, form: str) -> None:
    right = derive(two_layers())
    for name in ("W1", "b2"):
        checked = check(spoiled(right, name, MISTAKES[mistake], form), level)
        assert [c.name for c in checked.values() if not c.ok] == [name]
        assert f"the {form} form disagrees" in checked[name].note


def test_a_transposed_gradient_is_caught_where_all_sizes_agree() -> None:
    g = squares("Y", (N, N), lambda i, j: matmul("A", "A", N, i, j), [leaf("A", N, N)])
    right = derive(g)
    i, j = g["A"].indices
    swap = Entry("A", (j, i))
    assert check(right)["A"].ok
    assert not check(spoiled(right, "A", lambda e: mul(e, swap)))["A"].ok


def test_a_wrong_inner_adjoint_is_named_itself() -> None:
    right = derive(two_layers())
    checked = check(spoiled(right, "A1", MISTAKES["sign"]))
    assert [c.name for c in checked.values() if not c.ok] == ["A1"]


def test_a_gradient_that_is_truly_zero_passes_and_says_so() -> None:
    shift = graph([
        leaf("z", D), leaf("b"), leaf("t", D),
        inner("s", (D,), lambda i: add(Entry("z", (i,)), Entry("b"))),
        inner("p", (D,), lambda i: over([D], lambda k: Entry("s", (k,)), "softmax", [i])),
        inner("L", (), lambda: over([D], lambda i: mul(Entry("t", (i,)), Entry("p", (i,))))),
    ])  # fmt: skip
    checked = check(derive(shift))
    assert checked["b"].ok
    assert "zero at every point" in checked["b"].note
    assert checked["z"].ok
    assert "zero" not in checked["z"].note
    assert not check(spoiled(derive(shift), "b", lambda e: Num("1e-6")))["b"].ok


def test_no_point_is_undecided_not_wrong() -> None:
    g = graph([leaf("x"), inner("L", (), lambda: Call("log", mul(MINUS_ONE, Entry("x"), Entry("x"))))])
    c = check(derive(g))["x"]
    assert c.points == 0
    assert not c.ok
    assert c.note.startswith("undecided")
    assert "not finite" in c.note


def test_large_tensors_are_sampled_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "LARGE", 40)
    monkeypatch.setattr(check_module, "SAMPLED", 10)
    g = squares(
        "y",
        (Num(8),),
        lambda i: over([Num(8)], lambda k: mul(Entry("W", (i, k)), Entry("x", (k,)))),
        [leaf("W", Num(8), Num(8)), leaf("x", Num(8))],
    )
    right = derive(g)
    checked = check(right)
    assert checked["W"].ok
    assert checked["W"].entries == 13
    assert "10 of 64 entries" in checked["W"].note
    assert checked["x"].ok
    assert checked["x"].entries == 8
    assert not checked["x"].note
    assert not check(spoiled(right, "W", MISTAKES["one entry"]))["W"].ok


def test_a_crowd_of_tensors_is_checked_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "CROWD", 2)
    monkeypatch.setattr(check_module, "GROUPS", 3)
    right = derive(two_layers(), ["W1", "b1", "W2", "b2", "X"])
    for seed in range(5):
        assert all(c.ok and c.error < 1e-12 for c in check(right, "quick", seed).values())
    for mistake in MISTAKES.values():
        for form in ("delta", "closed"):
            checked = check(spoiled(right, "W2", mistake, form), "quick")
            assert [c.name for c in checked.values() if not c.ok] == ["W2"]


def test_levels_have_names() -> None:
    with pytest.raises(RequestError, match="full or quick, not all"):
        check(derive(two_layers()), "all")


def test_compare() -> None:
    a = np.array([1.0, 2.0, 3.0])
    assert compare(a, a, 1e-11) == (0.0, True)
    assert not compare(a * (1 + 1e-10), a, 1e-11)[1]
    assert not compare(a + np.array([0, 0, 1e-9]), a, 1e-11)[1]
    assert not compare(np.array([np.nan, 2, 3]), a, 1e-11)[1]
    assert compare(np.array([1e-17]), np.array([0.0]), 1e-11, noise=1e-16) == (0.0, True)
    assert not compare(np.array([0.0]), np.array([1.0]), 1e-11)[1]
    # an entry that is wrong but small beside the others
    assert not compare(np.array([1.0, 1e-3 * (1 + 1e-8)]), np.array([1.0, 1e-3]), 1e-10)[1]


# ---- steps -------------------------------------------------------------------------------------------------


def test_a_step_with_unequal_lines_is_named() -> None:
    g = two_layers()
    sizes = choose_sizes(g) or {}
    point = draw(g, sizes, np.random.default_rng(0))
    z = g["Z1"]
    assert z.body is not None
    check_step(Step("definition", "Z1", z.entry, (z.body,)), g, point.values, sizes)
    wrong = Step("definition", "Z1", z.entry, (z.body, mul(TWO, z.body)))
    with pytest.raises(Mismatch, match="The step 'definition' about Z1 does not hold") as caught:
        check_step(wrong, g, point.values, sizes)
    assert caught.value.line == 1
    assert caught.value.entry == (0, 0)
    assert caught.value.found == pytest.approx(2 * caught.value.expected)


def test_a_wrong_line_is_found_in_whatever_step_it_is() -> None:
    right = derive(two_layers())
    found = set()
    for name, a in right.adjoints.items():
        for n, step in enumerate(a.steps):
            for m in range(len(step.lines)):
                lines = (*step.lines[:m], mul(TWO, step.lines[m]), *step.lines[m + 1 :])
                steps = (*a.steps[:n], replace(step, lines=lines), *a.steps[n + 1 :])
                wrong = replace(right, adjoints={**right.adjoints, name: replace(a, steps=steps)})
                with pytest.raises(Mismatch, match=f"'{step.rule}' about {step.about}"):
                    check_steps(wrong)
                found.add(step.rule)
    assert {"definition", "local-slope", "contraction", "matrix-form"} <= found


def test_lines_may_have_letters_of_their_own() -> None:
    i, j = fresh(D), fresh(D)
    lines = (mul(Delta(i, j), Entry("x", (j,))), mul(Entry("x", (i,)), Delta(i, j)))
    check_step(Step("local-slope", "x", None, lines), graph([leaf("x", D)]), {"x": np.arange(3.0)}, {"D": 3})
