"""Values that find rewrites: what a table proposes has the value asked for, and points are drawn when needed."""

from __future__ import annotations

import itertools

import pytest

from symbp import shorten
from symbp.derive import derive
from symbp.expr import MINUS_ONE, ONE, ZERO, Add, Compare, Entry, Expr, Index, Num, Pow, Reduce, mul
from symbp.fingerprint import DIGITS, Samples, Table, entries
from symbp.known import Known
from symbp.local import canonical_letters
from symbp.read.network import read_network
from symbp.shorten import Shortener

GRAPH = read_network(
    """
x: (N, D)
w: (N, D)
b: (N, D)
s: (N,)
mu = mean(x, axis=1, keepdims=True)
p = exp(w)
xh = (x - mu)/(1 + mean(p, axis=1, keepdims=True))
m = relu(x)
L = sum(xh*p*b) + sum(m) + sum(s)
assert binary(b)
"""
)
LETTERS = (Index("@0", GRAPH["x"].shape[0]), Index("@1", GRAPH["x"].shape[1]))
NAMES = ("x", "w", "b", "mu", "p", "xh", "m")


def at(name: str) -> Entry:
    return next(e for e in entries(GRAPH, LETTERS, (name,)))


def minus(e: Expr) -> Expr:
    return mul(MINUS_ONE, e)


def matches(e: Expr, most: int) -> list[Expr]:
    samples = Samples(GRAPH, {})
    table = Table(samples, Known(GRAPH), LETTERS, tuple(entries(GRAPH, LETTERS, NAMES)), 0)
    value = samples.at(e, LETTERS, 0)
    assert value is not None
    found = list(table(value, most))
    assert [m.price for m in found] == sorted(m.price for m in found)
    return [m.expr for m in found if samples.same(e, m.expr, LETTERS, DIGITS)]


x, w, b, p, xh, m = map(at, ("x", "w", "b", "p", "xh", "m"))


@pytest.mark.parametrize(
    "e",
    [
        *(mul(u, v) for u, v in itertools.combinations((x, w, b, p, xh), 2)),
        *(Add((u, minus(v))) for u, v in itertools.combinations((x, w, b, p, xh), 2)),
        *(mul(u, Pow(p, MINUS_ONE)) for u in (x, w, b, xh)),
        mul(x, Add((ONE, minus(w)))),
        Add((ONE, minus(xh))),
        mul(Num(3), x),
        Compare(">", x, ZERO),
        x,
    ],
)
def test_what_is_in_the_table_is_found(e: Expr) -> None:
    assert e in matches(e, 3) or mul(MINUS_ONE, e) in matches(e, 3)


def test_what_is_found_has_the_value() -> None:
    assert matches(mul(x, Compare(">", x, ZERO)), 0) == [m]
    assert matches(minus(m), 0) == [minus(m)]
    assert matches(mul(b, b), 0) == [b]


def test_prices_are_limits() -> None:
    assert mul(x, w) in matches(mul(x, w), 1)
    assert matches(mul(x, w), 0) == []


def test_points_are_drawn_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Shortener] = []

    class Watched(Shortener):
        def __post_init__(self) -> None:
            super().__post_init__()
            made.append(self)

    monkeypatch.setattr(shorten, "Shortener", Watched)
    derive(
        read_network("x: (N, D)\nt: (N, D)\nW: (D, D)\nz = x @ W\na = tanh(z)\nL = sum((a - t)**2)/2\n"), steps=False
    )
    derive(GRAPH, steps=False)

    assert [len(s.samples._states) for s in made] == [1, 4]


def test_a_difference_and_its_negative() -> None:
    samples = Samples(GRAPH, {})

    assert samples.ratio(Add((x, minus(w))), Add((w, minus(x))), LETTERS) == -1
    assert samples.ratio(x, mul(2, x), LETTERS) is None
    assert samples.ratio(mul(2, x), x, LETTERS) == 2


def test_small_is_not_nothing() -> None:
    """Thirty squares of numbers below one: the gradient is too small for a number, but it is not 0."""
    lines = ["x: (N,)", *(f"h{n} = tanh({f'h{n - 1}' if n else 'x'}**2)" for n in range(30)), "L = sum(h29)"]
    adjoints = derive(read_network("\n".join(lines) + "\n"), steps=False).adjoints

    assert all(a.delta is not ZERO for a in adjoints.values())
    assert Samples(GRAPH, {}).vanishes(Add((x, minus(x))), LETTERS)
    assert Samples(GRAPH, {}).vanishes(mul(Compare(">", x, ZERO), Compare("<", x, ZERO)), LETTERS)
    assert not Samples(GRAPH, {}).vanishes(mul(w, Pow(Add((x, w)), Num(2))), LETTERS)


def test_a_sum_that_vanishes() -> None:
    i = LETTERS[1]
    inner = Add((x, minus(at("mu"))))
    e = Reduce("sum", (i,), inner)
    mine, _ = canonical_letters(e)

    assert Samples(GRAPH, {}).vanishes(e, mine)
