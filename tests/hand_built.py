"""Small graphs written entry by entry, for tests that shall not depend on a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symbp.expr import MINUS_ONE, Call, Entry, Expr, Index, Num, Pow, Reduce, Size, add, fresh, mul, total
from symbp.graph import Fact, Graph, Node, axes_of

N, D, H, C = map(Size, "NDHC")


def leaf(name: str, *shape: Expr) -> Node:
    return Node(name, shape, axes_of(shape))


def inner(name: str, shape: tuple[Expr, ...], body: Callable[..., Expr]) -> Node:
    axes = axes_of(shape)
    return Node(name, shape, axes, body(*axes))


def graph(nodes: Iterable[Node], facts: Iterable[Fact] = (), **more: object) -> Graph:
    nodes = list(nodes)
    return Graph("net", {n.name: n for n in nodes}, nodes[-1].name, tuple(facts), **more)  # type: ignore[arg-type]


def matmul(a: str, b: str, dim: Expr, i: Expr, j: Expr) -> Expr:
    k = fresh(dim)
    return total((k,), mul(Entry(a, (i, k)), Entry(b, (k, j))))


def over(dims: Iterable[Expr], body: Callable[..., Expr], op: str = "sum", at: Iterable[Expr] = ()) -> Expr:
    letters: tuple[Index, ...] = tuple(map(fresh, dims))
    return Reduce(op, letters, body(*letters), at)


def entries(name: str) -> Callable[..., Expr]:
    return lambda *idx: Entry(name, idx)


def two_layers(activation: str = "tanh") -> Graph:
    """Z1 = X W1 + b1, A1 = f(Z1), Z2 = A1 W2 + b2, P = softmax(Z2), L = mean cross-entropy."""
    return graph(
        [
            leaf("X", N, D),
            leaf("W1", D, H),
            leaf("b1", H),
            leaf("W2", H, C),
            leaf("b2", C),
            leaf("Y", N, C),
            inner("Z1", (N, H), lambda n, h: add(matmul("X", "W1", D, n, h), Entry("b1", (h,)))),
            inner("A1", (N, H), lambda n, h: Call(activation, Entry("Z1", (n, h)))),
            inner("Z2", (N, C), lambda n, c: add(matmul("A1", "W2", H, n, c), Entry("b2", (c,)))),
            inner("P", (N, C), lambda n, c: over([C], lambda k: Entry("Z2", (n, k)), "softmax", [c])),
            inner(
                "L",
                (),
                lambda: mul(
                    MINUS_ONE,
                    Pow(N, MINUS_ONE),
                    over([N, C], lambda n, c: mul(Entry("Y", (n, c)), Call("log", Entry("P", (n, c))))),
                ),
            ),
        ],
        [Fact("onehot", "Y", axis=1)],
    )


def squares(
    name: str, shape: tuple[Expr, ...], body: Callable[..., Expr], leaves: Iterable[Node], **more: object
) -> Graph:
    """A network of one node and the sum of its squares, half of it."""
    loss = mul(Num("0.5", decimal=True), over(shape, lambda *i: Pow(Entry(name, i), Num(2))))
    return graph([*leaves, inner(name, shape, body), inner("L", (), lambda: loss)], **more)  # type: ignore[arg-type]
