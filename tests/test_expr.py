"""Expressions: interned, in the order written, never simplified by a constructor."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from symbp.evaluate import evaluate
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Add,
    Call,
    Compare,
    Const,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    Size,
    add,
    expr,
    fresh,
    mul,
    neg,
    number,
    rebuild,
    replace,
    substitute,
    text,
    total,
    walk,
)

N, D = Size("N"), Size("D")
i, j, k = Index("i", N), Index("j", N), Index("k", D)
x, y = Entry("x", (i,)), Entry("y", (i,))
W = Entry("W", (i, k))


def everything() -> list[Expr]:
    """One expression of every kind."""
    return [
        Num(3),
        Const("pi"),
        N,
        i,
        x,
        Add((x, y)),
        Mul((x, y)),
        Pow(x, TWO),
        Call("tanh", x),
        Compare(">", x, ZERO),
        Delta(i, j),
        Select(Compare(">", x, ZERO), x, y),
        Reduce("sum", (i,), x),
        Reduce("softmax", (i,), x, (j,)),
    ]


# ---- identity ----------------------------------------------------------------------------------


def test_equal_expressions_are_one_object() -> None:
    for a, b in zip(everything(), everything(), strict=True):
        assert a is b


def test_order_of_summands_and_factors_is_part_of_an_expression() -> None:
    assert Add((x, y)) is not Add((y, x))
    assert Mul((x, y)) is not Mul((y, x))


def test_names_of_bound_letters_do_not_matter() -> None:
    assert total((i,), x) is total((j,), Entry("x", (j,)))
    assert Reduce("softmax", (i,), x, (k,)) is Reduce("softmax", (j,), Entry("x", (j,)), (k,))


def test_sizes_of_bound_letters_matter() -> None:
    assert total((i,), x) is not total((k,), Entry("x", (k,)))


def test_order_of_summation_letters_does_not_matter() -> None:
    assert total((i, k), W) is total((k, i), W)


def test_a_letter_bound_in_two_places_is_two_letters() -> None:
    inner = total((j,), Entry("A", (i, j)))
    outer = total((i,), mul(inner, x))
    (opened,), body = outer.open()  # type: ignore[attr-defined]

    assert body.free == {opened}
    assert outer.free == frozenset()


def test_a_number_written_with_a_point_is_another_one_but_not_when_it_is_whole() -> None:
    assert Num("0.5", decimal=True) is not HALF
    assert Num("2.0", decimal=True) is TWO
    assert number(Fraction(1, 4), decimal=True) == "0.25"
    assert number(Fraction(1, 4)) == "1/4"


# ---- constructors ------------------------------------------------------------------------------


def test_add_flattens_and_drops_zeros_and_does_nothing_else() -> None:
    assert add() is ZERO
    assert add(ZERO, x) is x
    assert add(add(x, y), x) is Add((x, y, x))
    assert add(1, 2) is Add((ONE, TWO))
    assert x - x is Add((x, mul(MINUS_ONE, x)))


def test_mul_flattens_drops_ones_and_keeps_zero() -> None:
    assert mul() is ONE
    assert mul(ONE, x) is x
    assert mul(x, ZERO, y) is ZERO
    assert mul(mul(x, y), x) is Mul((x, y, x))
    assert mul(2, 3) is Mul((TWO, Num(3)))
    assert x / y is Mul((x, Pow(y, MINUS_ONE)))
    assert 1 / x is Pow(x, MINUS_ONE)


def test_neg_changes_the_number_in_front() -> None:
    assert neg(Num("0.5", decimal=True)) is Num("-0.5", decimal=True)
    assert neg(x) is Mul((MINUS_ONE, x))
    assert neg(neg(x)) is x
    assert neg(mul(3, x, y)) is Mul((Num(-3), x, y))


def test_total_without_letters_is_the_body() -> None:
    assert total((), x) is x


# ---- what a node knows -------------------------------------------------------------------------


def test_free_indices_and_tensors() -> None:
    e = add(total((k,), mul(W, Entry("v", (k,)))), Entry("b", (j,)))

    assert e.free == {i, j}
    assert e.tensors == {"W", "v", "b"}


def test_the_place_where_a_reduction_is_read_is_free() -> None:
    e = Reduce("softmax", (k,), W, (k,))

    assert e.free == {i, k}
    assert e.bound[0] not in e.free


def test_walk_meets_every_subexpression_once_and_parents_first() -> None:
    e = Add((Mul((x, x)), Mul((x, x)), x))
    met = list(walk(e))

    assert len(met) == len(set(met))
    assert met[0] is e
    assert set(met) == {e, Mul((x, x)), x, i}


def test_rebuild_with_the_same_children_is_the_same_node() -> None:
    for e in everything():
        assert rebuild(e, e.args) is e


def test_text_of_every_kind() -> None:
    assert [text(e) for e in everything()] == [
        "3",
        "pi",
        "N",
        "i",
        "x[i]",
        "(x[i] + y[i])",
        "x[i]*y[i]",
        "x[i]**2",
        "tanh(x[i])",
        "(x[i] > 0)",
        "δ(i,j)",
        "where((x[i] > 0), x[i], y[i])",
        "sum[#1](x[#1])",
        "softmax[#1](x[#1] at j)",
    ]


# ---- putting in --------------------------------------------------------------------------------


def test_substitution_is_simultaneous() -> None:
    e = Entry("A", (i, j))

    assert substitute(e, {i: j, j: i}) is Entry("A", (j, i))


def test_substitution_does_not_touch_bound_letters() -> None:
    e = total((i,), mul(x, Entry("A", (i, j))))

    assert substitute(e, {i: k}) is e
    assert substitute(e, {j: i}) is total((k2 := fresh(N),), mul(Entry("x", (k2,)), Entry("A", (k2, i))))


def test_substitution_of_a_letter_that_is_bound_inside_captures_nothing() -> None:
    inner = total((i,), Entry("A", (i, j)))  # Σ_i A_ij
    e = substitute(inner, {j: i})

    assert e.free == {i}
    assert e is total((k2 := fresh(N),), Entry("A", (k2, i)))


def test_replace_goes_top_down_and_not_into_what_it_put_in() -> None:
    def rule(e: Expr) -> Expr | None:
        return Add((x, y)) if e is x else None

    assert replace(Mul((x, y)), rule) is Mul((Add((x, y)), y))
    assert replace(x, rule) is Add((x, y))


def test_replace_opens_binders_so_that_rules_see_free_letters() -> None:
    seen = []

    def rule(e: Expr) -> Expr | None:
        if isinstance(e, Entry) and e.tensor == "x":
            seen.append(e.idx[0])
            return Entry("y", e.idx)
        return None

    assert replace(total((i,), x), rule) is total((i,), y)
    assert not seen[0].name.startswith("#")  # type: ignore[attr-defined]


def test_fresh_letters_are_all_different() -> None:
    letters: list[Index] = []

    def draw() -> None:
        letters.extend(fresh(N) for _ in range(200))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert len({a.name for a in letters}) == 800


@pytest.mark.parametrize("value", [0, 1, -3, Fraction(2, 3)])
def test_python_numbers_become_expressions(value: int | Fraction) -> None:
    assert expr(value) is Num(value)


# ---- properties --------------------------------------------------------------------------------

leaves = st.sampled_from([x, y, W, Num(2), Num(-1), HALF, N])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: add(a, b), inner, inner),
        st.builds(lambda a, b: mul(a, b), inner, inner),
        st.builds(lambda a: Pow(a, TWO), inner),
        st.builds(lambda a: Call("tanh", a), inner),
        st.builds(lambda a: total((k,), a), inner),
        st.builds(lambda a: total((i,), a), inner),
    ),
    max_leaves=8,
)
RNG = np.random.default_rng(1)
VALUES = {"x": RNG.normal(size=2), "y": RNG.normal(size=2), "W": RNG.normal(size=(2, 3))}
SIZES = {"N": 2, "D": 3}


@given(expressions)
def test_open_and_close_gives_the_same_object(e: Expr) -> None:
    for part in walk(e):
        if isinstance(part, Reduce):
            letters, body = part.open()
            assert Reduce(part.op, letters, body, part.at) is part


@given(expressions)
def test_replacing_nothing_changes_nothing(e: Expr) -> None:
    assert replace(e, lambda _: None) is e


@given(expressions)
def test_renaming_a_letter_renames_an_axis(e: Expr) -> None:
    moved = substitute(e, {i: j})

    assert moved.free == {j if a is i else a for a in e.free}
    assert_allclose(evaluate(moved, VALUES, SIZES, (j, k)), evaluate(e, VALUES, SIZES, (i, k)))
    assert substitute(moved, {j: i}) is e


@given(expressions)
def test_neg_is_minus(e: Expr) -> None:
    assert_allclose(evaluate(neg(e), VALUES, SIZES, (i, k)), -evaluate(e, VALUES, SIZES, (i, k)))
