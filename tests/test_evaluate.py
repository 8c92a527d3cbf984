"""Expressions as numbers, against NumPy written by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hand_built import D, H, N, entries, graph, inner, leaf, matmul, over, two_layers

from symbp.errors import NoRule, RequestError
from symbp.evaluate import STACK, Evaluation, evaluate, forward, run, size_value
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Call,
    Compare,
    Const,
    Delta,
    Entry,
    Expr,
    Index,
    Num,
    Pow,
    Reduce,
    Select,
    Size,
    add,
    fresh,
    mul,
    total,
)
from symbp.graph import Node, axes_of

SIZES = {"N": 2, "D": 3, "H": 5, "C": 4}
n, d, h = (Index(s, Size(s.upper())) for s in "ndh")
rng = np.random.default_rng(1)
X, W, Q = rng.standard_normal((2, 3)), rng.standard_normal((3, 5)), rng.standard_normal((3, 3))
B, V = rng.standard_normal(5), rng.standard_normal(3)
VALUES = {"X": X, "W": W, "b": B, "v": V, "Q": Q, "s": np.asarray(0.7)}


def value(e: Expr, *free: Index, **more: Any) -> np.ndarray:
    return evaluate(e, {**VALUES, **more}, SIZES, free)


def same(e: Expr, expected: Any, *free: Index, **more: Any) -> None:
    found = value(e, *free, **more)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_axes_come_in_the_order_asked_for() -> None:
    same(Entry("X", (n, d)), X, n, d)
    same(Entry("X", (n, d)), X.T, d, n)
    same(Entry("b", (h,)), np.broadcast_to(B, (2, 5)), n, h)
    same(add(Entry("X", (n, d)), Entry("v", (d,))), X + V, n, d)


def test_products_and_sums() -> None:
    same(matmul("X", "W", D, n, h), X @ W, n, h)
    same(add(matmul("X", "W", D, n, h), Entry("b", (h,))), X @ W + B, n, h)
    same(over([N, D], lambda i, j: mul(Entry("X", (i, j)), Entry("v", (j,)), Entry("X", (i, j)))), ((X * V) * X).sum())
    same(over([N], lambda i: Entry("v", (d,))), 2 * V, d)
    same(over([N, D], lambda i, j: TWO), 12.0)
    same(over([D], lambda k: mul(Size("N"), Entry("v", (k,)), Entry("s"))), 2 * 0.7 * V.sum())


def test_a_sum_of_products_is_taken_apart_and_a_difference_is_not() -> None:
    e = over([D], lambda k: add(mul(Entry("X", (n, k)), Entry("W", (k, h))), Entry("v", (k,))))
    same(e, X @ W + V.sum(), n, h)
    centred = over([D], lambda k: add(Entry("v", (k,)), mul(MINUS_ONE, Entry("s"))))
    same(centred, (V - 0.7).sum())


def test_nested_sums_share_letters_without_mixing_them() -> None:
    inner_sum = over(
        [D], lambda k: mul(Entry("v", (k,)), over([D], lambda j: mul(Entry("Q", (k, j)), Entry("v", (j,)))))
    )
    same(mul(inner_sum, inner_sum), (V @ Q @ V) ** 2)
    e = over([D], lambda k: mul(Entry("Q", (d, k)), over([D], lambda j: mul(Entry("Q", (k, j)), Entry("Q", (j, d))))))
    same(e, np.diag(Q @ Q @ Q), d)


def test_diagonals_numbers_and_affine_indices() -> None:
    same(Entry("Q", (d, d)), np.diag(Q), d)
    same(Entry("X", (n, Num(1))), X[:, 1], n)
    i, p = Index("i", add(H, mul(MINUS_ONE, Num(2)))), Index("p", Num(3))
    same(Entry("b", (add(i, p),)), np.lib.stride_tricks.sliding_window_view(B, 3), i, p)
    same(Entry("b", (mul(TWO, Index("q", Num(3))),)), B[::2], Index("q", Num(3)))
    same(Entry("b", (Index("q", Num(2)),)), B[:2], Index("q", Num(2)))
    same(Entry("W", (d, add(H, MINUS_ONE, mul(MINUS_ONE, h)))), W[:, ::-1], d, h)


def test_out_of_range_under_a_guard() -> None:
    left = add(h, MINUS_ONE)
    padded = Select(Compare(">=", left, ZERO), Entry("b", (left,)), ZERO)
    same(padded, np.concatenate([[0], B[:-1]]), h)
    same(mul(Compare("<", add(h, TWO), H), Entry("b", (add(h, TWO),))), np.concatenate([B[2:], [0, 0]]), h)


def test_letters_deltas_and_comparisons() -> None:
    m = Index("m", N)
    same(mul(h, HALF), np.arange(5) / 2, h)
    same(Delta(n, m), np.eye(2), n, m)
    same(Delta(n, n), np.ones(2), n)
    same(Compare("<=", d, n), np.arange(3) <= np.arange(2)[:, None], n, d)
    same(Compare("==", Entry("X", (n, d)), Entry("X", (n, d))), np.ones((2, 3)), n, d)
    same(Compare("!=", Entry("s"), Entry("s")), 0.0)
    top = over([H], entries("b"), "max")
    assert value(Compare("==", Entry("b", (h,)), Entry("top")), h, top=value(top) * (1 + 1e-15)).sum() == 1


def test_constants_and_sizes() -> None:
    same(Const("pi"), np.pi)
    same(mul(Size("H"), Size("N")), 10.0)
    same(Size("64"), 64.0)
    assert evaluate(Const("beta"), {}, {}, constants={"beta": Num("0.9", decimal=True)}) == 0.9
    masked = Select(Compare("<=", d, n), Entry("X", (n, d)), mul(MINUS_ONE, Const("inf")))
    assert np.isneginf(value(masked, n, d)[0, 1:]).all()


def test_powers() -> None:
    same(Pow(Entry("v", (d,)), Num(3)), V**3, d)
    same(Pow(Entry("v", (d,)), Num(-2)), V**-2.0, d)
    same(Pow(ZERO, ZERO), 1.0)
    same(Pow(Num(0), Entry("s")), 0.0)
    same(Pow(Call("exp", Entry("v", (d,))), HALF), np.exp(V / 2), d)
    same(Pow(Entry("s"), h), 0.7 ** np.arange(5), h)


REDUCTIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "max": lambda x: x.max(-1),
    "min": lambda x: x.min(-1),
    "logsumexp": lambda x: np.log(np.exp(x).sum(-1)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "log_softmax": lambda x: np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reductions(op: str) -> None:
    at, axes = ((d,), (n, d)) if "softmax" in op else ((), (n,))
    same(over([D], lambda k: Entry("X", (n, k)), op, at), REDUCTIONS[op](X), *axes)
    if not at:
        same(over([N, D], lambda i, k: Entry("X", (i, k)), op), REDUCTIONS[op](X.reshape(-1)))


def test_reading_a_reduction_anywhere() -> None:
    p = np.exp(Q) / np.exp(Q).sum(-1, keepdims=True)
    same(over([D], lambda k: Entry("Q", (d, k)), "softmax", [d]), np.diag(p), d)
    same(over([D], lambda k: Entry("Q", (d, k)), "softmax", [Num(2)]), p[:, 2], d)
    j = Index("j", D)
    same(over([D], lambda k: Entry("Q", (d, k)), "softmax", [add(D, MINUS_ONE, mul(MINUS_ONE, j))]), p[:, ::-1], d, j)


def test_softmax_of_what_does_not_depend_on_the_letter() -> None:
    same(over([D], lambda k: Entry("s"), "softmax", [d]), np.full(3, 1 / 3), d)


def test_softmax_does_not_overflow_and_lets_masks_through() -> None:
    e = over([D], entries("v"), "softmax", [d])
    same(e, [0.0, 0.5, 0.5], d, v=np.array([-np.inf, 1e4, 1e4]))
    same(over([D], entries("v"), "logsumexp"), 1e4 + np.log(2), v=np.array([-np.inf, 1e4, 1e4]))


def test_matrices() -> None:
    def whole(op: str, *at: Expr) -> Expr:
        return over([D, D], lambda i, j: Entry("Q", (i, j)), op, at)

    j = Index("j", D)
    same(whole("inv", d, j), np.linalg.inv(Q), d, j)
    same(whole("inv", j, d), np.linalg.inv(Q).T, d, j)
    same(whole("det"), np.linalg.det(Q))
    same(whole("logdet"), np.log(abs(np.linalg.det(Q))))
    assert np.isnan(value(whole("inv", d, j), d, j, Q=np.zeros((3, 3)))).all()


# ---- the stacked axis and the complex step -----------------------------------------------------------

j_ = Index("j", D)
STEPPED = {
    "product": matmul("Q", "Q", D, d, j_),
    "max": over([D], lambda k: Entry("Q", (d, k)), "max"),
    "min": over([D], lambda k: Entry("Q", (d, k)), "min"),
    "logsumexp": over([D, D], lambda i, k: Entry("Q", (i, k)), "logsumexp"),
    "softmax": over([D], lambda k: Entry("Q", (d, k)), "softmax", [j_]),
    "log_softmax": over([D], lambda k: Entry("Q", (d, k)), "log_softmax", [j_]),
    "inv": over([D, D], lambda i, k: Entry("Q", (i, k)), "inv", [d, j_]),
    "det": over([D, D], lambda i, k: Entry("Q", (i, k)), "det"),
    "logdet": over([D, D], lambda i, k: Entry("Q", (i, k)), "logdet"),
    "diagonal": Entry("Q", (d, d)),
    "gather": Entry("Q", (d, add(D, MINUS_ONE, mul(MINUS_ONE, j_)))),
    "cube": Pow(Entry("Q", (d, j_)), Num(3)),
    "reciprocal": Pow(Entry("Q", (d, j_)), MINUS_ONE),
    "exponent": Pow(TWO, Entry("Q", (d, j_))),
    "root": Pow(Call("exp", Entry("Q", (d, j_))), HALF),
    "select": Select(Compare(">", Entry("Q", (d, j_)), ZERO), Pow(Entry("Q", (d, j_)), TWO), Entry("s")),
    "delta": mul(Delta(d, j_), Entry("Q", (d, j_))),
}


@pytest.mark.parametrize("name", STEPPED)
def test_stacked_complex_steps_are_central_differences(name: str) -> None:
    e = STEPPED[name]
    free = tuple(sorted(e.free, key=lambda i: i.name))
    unit = np.eye(9).reshape(9, 3, 3)
    steps = value(e, *free, Q=Q + 1e-30j * unit)
    assert steps.shape == (9, *(3 for _ in free))
    h_ = 1e-6
    up, down = value(e, *free, Q=Q + h_ * unit), value(e, *free, Q=Q - h_ * unit)
    np.testing.assert_allclose(steps.imag / 1e-30, (up - down) / (2 * h_), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(steps.real, np.broadcast_to(value(e, *free), steps.shape), rtol=1e-12)


def test_only_what_is_perturbed_carries_the_stack() -> None:
    state = Evaluation({**VALUES, "v": np.stack([V, 2 * V])}, SIZES)
    assert state.named(Entry("X", (n, d))).axes == (n, d)
    assert state.named(mul(Entry("X", (n, d)), Entry("v", (d,)))).axes == (STACK, n, d)
    np.testing.assert_allclose(
        state(mul(Entry("X", (n, d)), Entry("v", (d,))), (n, d)), X * np.stack([V, 2 * V])[:, None]
    )


def test_a_scaled_mask_stays_minus_infinity_when_perturbed() -> None:
    masked = Select(Compare("<=", d, n), Entry("X", (n, d)), mul(MINUS_ONE, Const("inf")))
    scores = over(
        [D],
        lambda k: mul(HALF, Select(Compare("<=", k, n), Entry("X", (n, k)), mul(MINUS_ONE, Const("inf")))),
        "softmax",
        [d],
    )
    found = value(scores, n, d, X=X + 1e-30j)
    assert np.isfinite(found).all()
    assert found.real[0] == pytest.approx([1.0, 0.0, 0.0])
    assert np.isneginf(value(mul(masked, HALF), n, d, X=X + 1e-30j).real[0, 1])


def test_tied_maxima_all_pass_their_perturbation_on() -> None:
    tied = np.array([1.0 + 1e-30j, 1.0 + 2e-30j, 0.0])
    assert value(over([D], entries("v"), "max"), v=tied).imag == pytest.approx(3e-30)


# ---- networks ------------------------------------------------------------------------------------------


def test_forward_is_the_network() -> None:
    g = two_layers()
    leaves = {x.name: rng.standard_normal([size_value(s, SIZES) for s in x.shape]) for x in g.leaves}
    found = forward(g, leaves, SIZES)
    assert list(found) == list(g.nodes)
    a = np.tanh(leaves["X"] @ leaves["W1"] + leaves["b1"])
    z = a @ leaves["W2"] + leaves["b2"]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(found["P"], p, rtol=1e-13)
    np.testing.assert_allclose(found["L"], -(leaves["Y"] * np.log(p)).sum() / 2, rtol=1e-13)


def test_axes_of_length_one_are_kept() -> None:
    node = inner("m", (N, ONE), lambda i, _: over([D], lambda k: Entry("X", (i, k))))
    loss = inner("L", (), lambda: over([N], lambda i: Entry("m", (i, ZERO))))
    found = forward(graph([leaf("X", N, D), node, loss]), {"X": X}, SIZES)
    np.testing.assert_allclose(found["m"], X.sum(1, keepdims=True))
    assert found["L"].shape == ()


def test_nudges_reach_inner_nodes_and_what_follows() -> None:
    g = two_layers()
    leaves = {x.name: rng.standard_normal([size_value(s, SIZES) for s in x.shape]) for x in g.leaves}
    plain, moved = forward(g, leaves, SIZES), forward(g, leaves, SIZES, nudges={"A1": np.ones((7, 2, 5))})
    assert moved["Z1"].shape == (2, 5)
    assert moved["Z2"].shape == (7, 2, 4)
    np.testing.assert_allclose(moved["Z2"][3], (plain["A1"] + 1) @ leaves["W2"] + leaves["b2"])


def test_depth_is_no_recursion() -> None:
    e: Expr = Entry("s")
    for _ in range(5000):
        e = Call("tanh", e)
    assert 0 < value(e) < 0.1


def test_a_matrix_product_does_not_become_a_cube() -> None:
    i, k, j = (Index(s, Num(400)) for s in "ikj")
    e = total((k,), mul(Entry("A", (i, k)), Entry("A", (k, j))))
    a = rng.standard_normal((400, 400))
    tracemalloc.start()
    found = evaluate(e, {"A": a}, {}, (i, j))
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    np.testing.assert_allclose(found, a @ a, rtol=1e-9, atol=1e-9)


def test_unknown_functions_are_given() -> None:
    assert evaluate(Call("f", Num(2)), {}, {}, functions={"f": lambda np, x: x**3}) == 8.0
    with pytest.raises(NoRule, match="function f"):
        evaluate(Call("f", Num(2)), {}, {})


@pytest.mark.parametrize(
    ("e", "message"),
    [
        (Entry("nobody"), "'nobody' has no value"),
        (Const("beta"), "constant beta has no value"),
        (Size("M"), "size M has no value"),
        (Entry("X"), "has 2 axes"),
        (Entry("v", (Index("i", add(D, Num(-3))),)), "not a positive whole number"),
        (Entry("X", (n, d)), "depends on"),
    ],
)
def test_errors_say_what_is_missing(e: Expr, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        evaluate(e, VALUES, SIZES)


def test_leaves_must_have_their_shape() -> None:
    g = graph([leaf("x", D), inner("L", (), lambda: over([D], entries("x")))])
    with pytest.raises(RequestError, match=r"'x' must have the shape \(3,\), not \(2,\)"):
        run(g, {"x": [1, 2]}, SIZES)
    with pytest.raises(RequestError, match="'x' has no value"):
        run(g, {}, SIZES)
    assert run(g, {"x": [1, 2, 3]}, SIZES).values["L"] == 6.0


def test_repeated_use_shares_work() -> None:
    shared = Call("exp", Entry("v", (d,)))
    e = shared
    for _ in range(60):  # 2^60 nodes as a tree
        e = add(mul(HALF, e), mul(HALF, Call("sin", e)))
    assert np.isfinite(value(e, d)).all()


def test_the_bound_letter_of_a_graph_may_be_free_elsewhere() -> None:
    k = fresh(D)
    node = Node("y", (D,), axes_of((D,)), Reduce("softmax", (k,), Entry("v", (k,)), axes_of((D,))))
    np.testing.assert_allclose(Evaluation(VALUES, SIZES).tensor(node, node.body or ONE), np.exp(V) / np.exp(V).sum())
