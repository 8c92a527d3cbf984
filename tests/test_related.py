"""Which formulas a search for folds is spared: those that no definition of the network relates to anything."""

from __future__ import annotations

import pytest

from symbp.expr import Entry, Expr, Index, Num, Pow, Size, add, mul
from symbp.graph import adjoint
from symbp.read.network import read_network
from symbp.related import Related

NETWORK = """
x: (D,)
y: (D,)
z = x*2
s = sigmoid(z)
p = exp(-z)
h = tanh(x)
c = h - y
L = sum(c**2) + sum(s*p)
"""


def at(name: str) -> Expr:
    return Entry(name, (Index("i0", Size("D")),))


def may_fold(e: Expr, *upstream: str) -> bool:
    graph = read_network(NETWORK)
    forms = {"c": mul(2, at("c")), "h": at(adjoint("c"))}
    return Related(graph, forms)(e, tuple(adjoint(n) for n in upstream))


@pytest.mark.parametrize(
    ("e", "upstream"),
    [
        (add(at("h"), mul(-1, at("y"))), ()),  # c
        (mul(at("s"), at("p")), ()),  # 1 − s: both are functions of z
        (mul(at("s"), at("s")), ()),  # p may be the shorter name of the same function of z
        (mul(at(adjoint("c")), at("c")), ("c",)),  # 2 c², by the δ form of c
    ],
)
def test_what_a_definition_relates_is_looked_at(e: Expr, upstream: tuple[str, ...]) -> None:
    assert may_fold(e, *upstream)


@pytest.mark.parametrize(
    "e",
    [
        mul(at(adjoint("s")), add(1, mul(-1, Pow(at("h"), Num(2))))),  # nothing else is a function of x through tanh
        mul(at(adjoint("s")), at("y")),
    ],
)
def test_what_nothing_relates_is_left_alone(e: Expr) -> None:
    assert not may_fold(e)
