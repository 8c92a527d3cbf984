"""Sizes that tell axes apart, and points that respect facts and kinks."""

from __future__ import annotations

import numpy as np
import pytest
from hand_built import D, H, N, entries, graph, inner, leaf, over, squares, two_layers

from symbp.expr import MINUS_ONE, ONE, TWO, ZERO, Call, Compare, Const, Entry, Num, Size, add, mul
from symbp.graph import Fact, Graph
from symbp.sample import MARGIN, choose_sizes, draw


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def one_leaf(*facts: Fact, shape: tuple[Size, ...] = (N, D), loss: str = "sin") -> Graph:
    total = inner("L", (), lambda: over(shape, lambda *i: Call(loss, Entry("x", i))))
    return graph([leaf("x", *shape), total], facts)


# ---- sizes ---------------------------------------------------------------------------------------------


def test_sizes_are_small_and_different() -> None:
    assert choose_sizes(two_layers()) == {"N": 2, "D": 3, "H": 5, "C": 7}
    for variant in range(5):
        sizes = choose_sizes(two_layers(), variant)
        assert sizes
        assert sorted(sizes.values()) == [2, 3, 5, 7]
    assert choose_sizes(two_layers(), equal=True) == {"N": 3, "D": 3, "H": 3, "C": 3}


def test_variants_differ() -> None:
    assert len({tuple((choose_sizes(two_layers(), v) or {}).values()) for v in range(4)}) == 4


def test_a_network_of_scalars_needs_no_sizes() -> None:
    assert choose_sizes(graph([leaf("x"), inner("L", (), lambda: Entry("x"))])) == {}


def test_literal_sizes_shrink() -> None:
    g = squares("y", (Size("64"),), lambda i: Entry("x", (i,)), [leaf("x", Size("64")), leaf("w", Size("784"))])
    assert choose_sizes(g) == {"64": 2, "784": 3}


def test_relations_hold() -> None:
    g = squares(
        "y",
        (H,),
        lambda i: Entry("x", (i,)),
        [leaf("x", H), leaf("w", Size("P"))],
        relations={"H": mul(TWO, Size("P"))},
    )
    for variant in range(3):
        sizes = choose_sizes(g, variant)
        assert sizes
        assert sizes["H"] == 2 * sizes["P"]
    equal = choose_sizes(g, equal=True)
    assert equal
    assert equal["H"] == 2 * equal["P"]


def test_axes_of_convolutions_are_positive_and_clash_as_little_as_possible() -> None:
    n, k = Size("n"), Size("k")
    out = add(n, mul(MINUS_ONE, k), ONE)
    g = squares(
        "y",
        (out,),
        lambda i: over([k], lambda p: mul(Entry("w", (p,)), Entry("x", (add(i, p),)))),
        [leaf("x", n), leaf("w", k)],
    )
    sizes = choose_sizes(g)
    assert sizes
    lengths = {sizes["n"], sizes["k"], sizes["n"] - sizes["k"] + 1}
    assert len(lengths) == 3
    assert min(lengths) > 0


def test_entries_named_by_numbers_exist() -> None:
    g = graph([leaf("x", D), inner("L", (), lambda: Entry("x", (Num(4),)))])
    sizes, equal = choose_sizes(g), choose_sizes(g, equal=True)
    assert sizes
    assert sizes["D"] >= 5
    assert equal
    assert equal["D"] >= 5


def test_what_cannot_be_is_none() -> None:
    g = squares("y", (D,), lambda i: Entry("x", (i,)), [leaf("x", D)], relations={"D": add(N, mul(MINUS_ONE, N))})
    assert choose_sizes(g) is None
    assert choose_sizes(g, equal=True) is None


def test_many_sizes() -> None:
    names = [Size(f"n{i}") for i in range(40)]
    g = graph([*(leaf(f"x{i}", s) for i, s in enumerate(names)), inner("L", (), lambda: Entry("x0", (ZERO,)))])
    sizes = choose_sizes(g)
    assert sizes
    assert len(set(sizes.values())) == 40


# ---- facts ---------------------------------------------------------------------------------------------

SQUARE = {"D": 4}
HALF, FIVE = Num("0.5", decimal=True), Num(5)


def drawn(*facts: Fact, shape: tuple[Size, ...] = (N, D), seed: int = 0, loss: str = "sin") -> np.ndarray:
    point = draw(one_leaf(*facts, shape=shape, loss=loss), {"N": 3, "D": 4}, rng(seed))
    assert not point.reason
    assert point.values["x"].shape == tuple({"N": 3, "D": 4}[s.name] for s in shape)
    return point.leaves["x"]


def test_onehot_and_permutation() -> None:
    assert (np.sort(drawn(Fact("onehot", "x", axis=1)), axis=1) == [0, 0, 0, 1]).all()
    assert (drawn(Fact("onehot", "x", axis=0)).sum(0) == 1).all()
    assert drawn(Fact("onehot", "x"), shape=(D,)).sum() == 1
    p = drawn(Fact("permutation", "x"), shape=(D, D))
    assert (p @ p.T == np.eye(4)).all()


def test_simplex_binary_and_signs() -> None:
    x = drawn(Fact("simplex", "x", axis=1, low=ONE))
    np.testing.assert_allclose(x.sum(1), 1)
    assert (x > 0).all()
    assert drawn(Fact("simplex", "x", low=FIVE)).sum() == pytest.approx(5)
    assert set(drawn(Fact("binary", "x")).flat) == {0.0, 1.0}
    assert set(drawn(Fact("pm1", "x")).flat) == {-1.0, 1.0}


def test_matrices() -> None:
    s = drawn(Fact("symmetric", "x"), shape=(D, D))
    assert (s == s.T).all()
    assert (np.linalg.eigvalsh(drawn(Fact("posdef", "x"), shape=(D, D))) > 0.1).all()
    q = drawn(Fact("orthogonal", "x"), shape=(D, D))
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-12)
    assert (np.diag(drawn(Fact("diag", "x", low=ZERO), shape=(D, D))) == 0).all()


def test_ranges_and_norms() -> None:
    assert (drawn(Fact("range", "x", low=ZERO)) > 0.1).all()
    assert (drawn(Fact("range", "x", high=FIVE)) < 5).all()
    both = drawn(Fact("range", "x", low=ZERO), Fact("range", "x", high=HALF))
    assert ((both > 0) & (both < 0.5)).all()
    np.testing.assert_allclose(np.linalg.norm(drawn(Fact("norm", "x", axis=1, low=TWO)), axis=1), 2)
    assert (np.abs(drawn(Fact("nonzero", "x"))) > 0.01).all()


def test_a_range_may_be_bounded_by_another_leaf() -> None:
    g = graph(
        [leaf("a"), leaf("x", D), inner("L", (), lambda: over([D], entries("x")))],
        [Fact("range", "x", low=Entry("a"), high=add(Entry("a"), ONE))],
    )
    point = draw(g, {"D": 50}, rng())
    assert ((point.leaves["x"] > point.leaves["a"]) & (point.leaves["x"] < point.leaves["a"] + 1)).all()


def test_regions_are_met_by_drawing_again() -> None:
    region = Fact("region", condition=Compare(">", Entry("x", (ZERO, ZERO)), Entry("x", (ONE, ONE))), text="x00 > x11")
    for seed in range(5):
        x = drawn(region, seed=seed)
        assert x[0, 0] > x[1, 1]
    never = Fact("region", condition=Compare(">", ZERO, ONE), text="0 > 1")
    point = draw(one_leaf(never), {"N": 3, "D": 4}, rng())
    assert "'0 > 1' does not hold" in point.reason
    assert not point.leaves


def test_logarithms_without_a_fact_find_positive_values() -> None:
    assert (drawn(loss="log") > 0).all()


def test_the_same_seed_draws_the_same_point() -> None:
    assert (drawn(seed=7) == drawn(seed=7)).all()
    assert (drawn(seed=7) != drawn(seed=8)).any()


# ---- kinks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_kinks_are_kept_away_from(seed: int) -> None:
    point = draw(two_layers("relu"), {"N": 5, "D": 3, "H": 7, "C": 2}, rng(seed))
    assert not point.reason
    assert (np.abs(point.values["Z1"]) >= MARGIN).all()


def test_maxima_do_not_tie() -> None:
    g = graph(
        [leaf("x", N, D), inner("L", (), lambda: over([N], lambda n: over([D], lambda d: Entry("x", (n, d)), "max")))]
    )
    for seed in range(10):
        top = np.sort(draw(g, {"N": 6, "D": 7}, rng(seed)).values["x"], axis=1)
        assert (top[:, -1] - top[:, -2] >= MARGIN).all()


def test_a_kink_that_does_not_move_is_none() -> None:
    padded = inner("L", (), lambda: over([D], lambda i: Call("relu", mul(Entry("x", (i,)), Compare("<", i, TWO)))))
    assert not draw(graph([leaf("x", D), padded]), {"D": 5}, rng()).reason


def test_a_kink_that_cannot_be_avoided_is_undecided_with_a_reason() -> None:
    tiny = mul(Num("1e-6"), Call("tanh", Entry("x")))
    point = draw(graph([leaf("x"), inner("L", (), lambda: Call("relu", tiny))]), {}, rng())
    assert "relu in L stays too close to its kink" in point.reason


def test_a_loss_that_is_never_finite_is_undecided() -> None:
    square = mul(Entry("x"), Entry("x"))
    point = draw(graph([leaf("x"), inner("L", (), lambda: Call("log", mul(MINUS_ONE, square)))]), {}, rng())
    assert "not finite" in point.reason


def test_infinite_masks_inside_are_fine() -> None:
    mask = inner("M", (D,), lambda i: mul(MINUS_ONE, Const("inf"), Compare("==", i, ZERO) + ONE))
    loss = inner("L", (), lambda: over([D], lambda i: Call("exp", Entry("M", (i,))) * Entry("x", (i,))))
    assert not draw(graph([leaf("x", D), mask, loss]), {"D": 3}, rng()).reason
