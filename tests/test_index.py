"""Index calculus: δs are used up by renaming and by solving, and nothing of a sum is lost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from symbp.evaluate import evaluate
from symbp.expr import (
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    Size,
    add,
    mul,
    total,
    walk,
)
from symbp.index import affine, contract, decide, from_affine, same_size, within

N, K, D = Size("N"), Size("K"), Size("D")
i, j, p, d = Index("i", N), Index("j", N), Index("p", K), Index("d", D)


def target(*dims: Expr) -> tuple[Index, ...]:
    return tuple(Index(f"v{n}", dim) for n, dim in enumerate(dims))


# ---- using up δs -------------------------------------------------------------------------------


def test_a_plain_index_is_renamed() -> None:
    (v,) = target(N)

    assert contract(Entry("u", (i,)), (i,), (i,), (v,)) is Entry("u", (v,))


def test_letters_that_no_delta_fixes_are_summed() -> None:
    v, w = target(N, D)
    factors = mul(Entry("X", (i, d)), Entry("u", (i, j)))

    assert contract(factors, (i, j, d), (i, d), (v, w)) is total((j,), mul(Entry("X", (v, w)), Entry("u", (v, j))))


def test_the_order_of_factors_survives() -> None:
    (v,) = target(D)
    result = contract(mul(Entry("X", (i, d)), Entry("u", (i,))), (i, d), (d,), (v,))

    assert isinstance(result, Reduce)
    assert [f.tensor for f in result.body.args] == ["X", "u"]  # type: ignore[attr-defined]


def test_a_repeated_index_leaves_a_delta() -> None:
    v, w = target(N, N)

    assert contract(Entry("u", (i,)), (i,), (i, i), (v, w)) is mul(Entry("u", (v,)), Delta(w, v))


def test_an_axis_of_size_1_has_no_delta() -> None:
    assert contract(Entry("u", (i,)), (i,), (ZERO,), (ZERO,)) is total((i,), Entry("u", (i,)))


def test_a_constant_index_leaves_a_delta() -> None:
    (v,) = target(N)

    assert contract(Entry("u"), (), (Num(2),), (v,)) is mul(Entry("u"), Delta(v, Num(2)))


def test_a_shift_is_solved_and_leaves_the_range_that_is_not_proved() -> None:
    """y[i] = x[i + 1] with i over N − 1: the adjoint of x[v] is ȳ[v − 1] where v ≥ 1."""
    short = Index("i", add(N, MINUS_ONE))
    (v,) = target(N)
    result = contract(Entry("u", (short,)), (short,), (add(short, ONE),), (v,))

    assert result is mul(Entry("u", (add(v, MINUS_ONE),)), Compare(">=", add(v, MINUS_ONE), ZERO))


def test_a_convolution_is_solved_for_one_letter_and_summed_over_the_other() -> None:
    """y[i] = Σ_p w[p] x[i + p]: a correlation with a range condition comes back."""
    out = Index("o", add(N, mul(MINUS_ONE, K), ONE))
    (v,) = target(N)
    result = contract(mul(Entry("w", (p,)), Entry("u", (out,))), (out, p), (add(out, p),), (v,))

    assert isinstance(result, Reduce)
    assert [x.dim for x in result.bound] == [K]
    conditions = [f for f in result.body.args if isinstance(f, Compare)]
    assert [c.fn for c in conditions] == [">=", "<"]


def test_stride_2_is_solved_for_the_letter_with_coefficient_1() -> None:
    (v,) = target(Size("M"))
    result = contract(mul(Entry("w", (p,)), Entry("u", (i,))), (i, p), (add(mul(2, i), p),), (v,))

    assert isinstance(result, Reduce)
    assert [x.dim for x in result.bound] == [N]
    (w,) = [f for f in result.body.args if isinstance(f, Entry) and f.tensor == "w"]
    assert affine(w.idx[0]) == {v: 1, result.bound[0]: -2}


def test_stride_2_alone_cannot_be_solved_and_stays_a_delta() -> None:
    (v,) = target(mul(2, N))
    result = contract(Entry("u", (i,)), (i,), (mul(2, i),), (v,))

    assert any(isinstance(x, Delta) for x in walk(result))


def test_a_plain_index_is_used_before_an_affine_one() -> None:
    """x[i + p, i]: i is renamed first, then p is solved; no sum is left."""
    v, w = target(add(N, K, MINUS_ONE), N)
    result = contract(Entry("u", (i, p)), (i, p), (add(i, p), i), (v, w))

    assert not any(isinstance(x, Reduce) for x in walk(result))
    assert result.free == {v, w}


def test_every_delta_that_is_used_up_removes_a_letter() -> None:
    v, w = target(N, N)
    result = contract(Entry("u", (i, j)), (i, j), (i, j), (v, w))

    assert result is Entry("u", (v, w))


# ---- against brute force -----------------------------------------------------------------------

SIZES = {"N": 3, "K": 2, "D": 4}
RNG = np.random.default_rng(3)
VALUES = {
    "f": RNG.normal(size=(3, 2)),
    "g": RNG.normal(size=3),
    "h": RNG.normal(size=2),
    "u": RNG.normal(size=(3, 3, 2)),
}
LETTERS = (i, j, p)
EXTENT = {i: 3, j: 3, p: 2}

factor = st.sampled_from(
    [
        Entry("f", (i, p)),
        Entry("f", (j, p)),
        Entry("g", (i,)),
        Entry("g", (j,)),
        Entry("h", (p,)),
        Entry("u", (i, j, p)),
        Pow(Entry("g", (j,)), TWO),
    ]
)
# an occurrence and the size of the axis that it indexes
occurrence = st.sampled_from(
    [
        (i, N),
        (j, N),
        (p, K),
        (i, add(N, ONE)),
        (add(i, ONE), add(N, ONE)),
        (add(i, p), add(N, K, MINUS_ONE)),
        (add(j, p, ONE), add(N, K)),
        (add(mul(2, i), p), add(mul(2, N), K, Num(-2))),
        (mul(2, j), mul(2, N)),
        (add(N, MINUS_ONE, mul(MINUS_ONE, i)), N),
        (add(i, mul(MINUS_ONE, p), K, MINUS_ONE), add(N, K, MINUS_ONE)),
        (add(i, j), add(N, N, MINUS_ONE)),
        (Num(1), N),
        (ZERO, K),
    ]
)


def number_of(e: Expr, at: Mapping[Expr, int]) -> int:
    """An affine index expression at numbers, by its definition."""
    value: Any = {i: at.get(i, 0), j: at.get(j, 0), p: at.get(p, 0)}
    if isinstance(e, Index):
        return int(value[e])
    if isinstance(e, Num):
        return int(e.value)
    if isinstance(e, Size):
        return SIZES[e.name]
    parts = [number_of(a, at) for a in e.args]
    return int(np.prod(parts)) if isinstance(e, Mul) else sum(parts)


def entry_value(e: Expr, at: Mapping[Expr, int]) -> float:
    if isinstance(e, Pow):
        return entry_value(e.base, at) ** 2
    assert isinstance(e, Entry)
    return float(VALUES[e.tensor][tuple(at[x] for x in e.idx)])


@given(st.lists(factor, min_size=1, max_size=3), st.lists(occurrence, min_size=1, max_size=3))
def test_contract_is_the_sum_it_stands_for(factors: list[Expr], places: list[tuple[Expr, Expr]]) -> None:
    goal = target(*(dim for _, dim in places))
    result = contract(mul(*factors), LETTERS, [e for e, _ in places], goal)
    shape = tuple(number_of(dim, {}) for _, dim in places)
    expected = np.zeros(shape)
    for values in itertools.product(*(range(EXTENT[x]) for x in LETTERS)):
        at: dict[Expr, int] = dict(zip(LETTERS, values, strict=True))
        where = tuple(number_of(e, at) for e, _ in places)
        expected[where] += np.prod([entry_value(f, at) for f in factors])

    assert_allclose(evaluate(result, VALUES, SIZES, goal), expected, atol=1e-12)
    assert result.free <= set(goal)


# ---- affine expressions ------------------------------------------------------------------------


def test_affine_collects_coefficients() -> None:
    assert affine(add(mul(2, i), p, MINUS_ONE)) == {i: 2, p: 1, ONE: -1}
    assert affine(add(i, mul(MINUS_ONE, i))) == {}
    assert affine(ZERO) == {}
    assert affine(mul(Num(2), Num(3))) == {ONE: 6}


def test_products_of_sizes_are_one_atom_whatever_their_order() -> None:
    assert affine(mul(N, D)) == affine(mul(D, N))
    assert affine(mul(Fraction(1, 2), N)) == {N: Fraction(1, 2)}


@pytest.mark.parametrize("e", [Pow(i, TWO), Entry("x"), mul(i, j)])
def test_what_is_not_affine_is_none(e: Expr) -> None:
    assert affine(e) is None


coefficients = st.dictionaries(st.sampled_from([i, j, p, N, K, ONE]), st.integers(-3, 3).filter(bool), max_size=4)


@given(coefficients)
def test_affine_expressions_come_back(a: dict[Expr, int]) -> None:
    assert affine(from_affine({k: Fraction(v) for k, v in a.items()})) == a


def test_same_size_compares_values() -> None:
    assert same_size(add(N, ONE), add(ONE, N))
    assert same_size(mul(2, N), add(N, N))
    assert not same_size(N, D)
    assert not same_size(N, add(N, ONE))


# ---- ranges ------------------------------------------------------------------------------------


def test_a_letter_is_within_its_own_range() -> None:
    assert within(i, N) == ()
    assert within(i, add(N, D)) == ()
    assert within(add(i, p), add(N, K, MINUS_ONE)) == ()


def test_what_is_not_proved_is_left() -> None:
    assert within(i, D) == (Compare("<", i, D),)
    assert within(add(i, MINUS_ONE), N) == (Compare(">=", add(i, MINUS_ONE), ZERO),)


@pytest.mark.parametrize(
    ("e", "known"),
    [
        (Compare(">=", i, ZERO), True),
        (Compare("<", i, N), True),
        (Compare("<=", i, add(N, MINUS_ONE)), True),
        (Compare(">", i, MINUS_ONE), True),
        (Compare("<", i, ZERO), False),
        (Compare(">=", i, N), False),
        (Compare(">", i, ZERO), None),
        (Compare("==", i, i), True),
        (Compare("==", i, add(i, ONE)), False),
        (Compare("!=", i, add(i, N)), True),
        (Compare("==", i, j), None),
        (Compare("<", i, D), None),
        (Compare("<=", i, add(i, p)), True),
        (Compare("<", N, D), None),  # sizes alone are not decided
        (Compare(">", Entry("x"), ZERO), None),
    ],
)
def test_decide(e: Compare, known: bool | None) -> None:
    assert decide(e) is known


sides = st.sampled_from(
    [i, j, p, add(i, ONE), add(i, p), mul(2, i), add(i, mul(MINUS_ONE, j)), ZERO, ONE, N, K, add(N, K), add(N, p)]
)


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), sides, sides)
def test_decide_is_never_wrong(fn: str, a: Expr, b: Expr) -> None:
    known = decide(Compare(fn, a, b))
    if known is None:
        return
    for n, k in itertools.product(range(1, 4), repeat=2):
        for at in itertools.product(range(n), range(n), range(k)):
            place: dict[Expr, int] = dict(zip((i, j, p), at, strict=True))
            sizes = {"N": n, "K": k, "D": 1}
            left, right = (_at(e, place, sizes) for e in (a, b))
            assert _holds(fn, left, right) is known


def _at(e: Expr, place: Mapping[Expr, int], sizes: Mapping[str, int]) -> int:
    if isinstance(e, Index):
        return place[e]
    if isinstance(e, Size):
        return sizes[e.name]
    if isinstance(e, Num):
        return int(e.value)
    parts = [_at(a, place, sizes) for a in e.args]
    return int(np.prod(parts)) if isinstance(e, Mul) else sum(parts)


def _holds(fn: str, a: int, b: int) -> bool:
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[fn]
