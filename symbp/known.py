"""What is known of a network: the facts that the user asserted, and what definitions guarantee.

`Known` sorts a graph's facts by what a law asks of them (which tensors sum to a number, are 0 or
1, ±1, symmetric, 0 on the diagonal), adds those that follow from definitions (the entries of a softmax sum to 1), and
answers whether an expression is positive or symmetric whatever the data. Nothing here rewrites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from symbp.expr import (
    ONE,
    ZERO,
    Add,
    Call,
    Const,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    Size,
    substitute,
)
from symbp.graph import Fact, Graph, Node, primal

POSITIVE = {"exp", "sigmoid", "softplus", "cosh"}
UNDER = {"exp": 1, "sigmoid": 1}  # functions that grow, for signs of their arguments


class Known:
    """The facts of one graph, by tensor."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sums_to: dict[str, list[Fact]] = {}  # each with its axis, or None for the sum of all entries
        for f in graph.facts:
            if f.kind in ("onehot", "simplex", "permutation") and f.tensor in graph.nodes:
                rank = len(graph[f.tensor].shape)
                last = rank - 1 if f.axis is None else f.axis % max(rank, 1)
                axes: tuple[int | None, ...] = tuple(range(rank)) if f.kind == "permutation" else (last,)
                if f.kind == "simplex" and f.axis is None and rank > 1:
                    axes = (None,)
                facts = [replace(f, axis=a, low=f.low if f.kind == "simplex" and f.low else ONE) for a in axes]
                self.sums_to.setdefault(f.tensor, []).extend(facts)
        for node in graph.inner:
            if isinstance(node.body, Reduce) and node.body.op == "softmax" and node.body.at[0] in node.axes:
                axis = node.axes.index(node.body.at[0])
                text = f"sum({node.name}{f', axis={axis}' if len(node.shape) > 1 else ''}) == 1"
                self.sums_to.setdefault(node.name, []).append(Fact("simplex", node.name, axis, ONE, text=text))
        self.signs = {f.tensor: f for f in graph.facts if f.kind == "pm1"}
        self.onehot = {f.tensor: f for f in graph.facts if f.kind in ("onehot", "permutation")}
        self.binary = {f.tensor: f for f in graph.facts if f.kind in ("binary", "onehot", "permutation")}
        self.symmetric = {f.tensor: f for f in graph.facts if f.kind in ("symmetric", "posdef")}
        self.hollow = {  # square, with nothing on the diagonal
            f.tensor: f for f in graph.facts if f.kind == "diag" and f.low is ZERO and f.tensor in graph.nodes
        }
        self.above = {
            f.tensor
            for f in graph.facts
            if f.kind == "range" and isinstance(f.low, Num) and f.low.value >= 0 and f.tensor in graph.nodes
        }
        self.ranges = {f.tensor: (f.low, f.high) for f in graph.facts if f.kind == "range"}
        self.regions = tuple(f for f in graph.facts if f.kind == "region" and f.condition is not None)
        self.nonzero = tuple(f for f in graph.facts if f.kind == "nonzero")
        self._positive: dict[Expr, bool] = {}

    def definition(self, tensor: str) -> Node | None:
        node = self.graph.nodes.get(tensor)
        return node if node is not None and node.body is not None else None

    def body_at(self, e: Entry) -> Expr | None:
        """The definition of a node's entry, at its indices."""
        node = self.definition(e.tensor)
        if node is None or node.body is None:
            return None
        return substitute(node.body, {a: i for a, i in zip(node.axes, e.idx) if isinstance(a, Index)})

    def is_positive(self, e: Expr) -> bool:
        """Is `e` above 0 for all data that the facts allow?"""
        found = self._positive.get(e)
        if found is None:
            self._positive[e] = False
            found = self._positive[e] = self._is_positive(e)
        return found

    def _is_positive(self, e: Expr) -> bool:
        match e:
            case Num():
                return e.value > 0
            case Const():
                value: Mapping[str, Num] = self.graph.constants
                return e.name == "pi" or (e.name in value and value[e.name].value > 0)
            case Size():
                return True
            case Entry():
                if e.tensor in self.above:
                    return True
                body = self.body_at(e)
                return body is not None and primal(e.tensor) is None and self.is_positive(body)
            case Add():
                if self._is_above(e):
                    return True
                signs = [(self.is_positive(a), self.is_square(a)) for a in e.args]
                return any(p for p, _ in signs) and all(p or q for p, q in signs)
            case Mul():
                return all(map(self.is_positive, e.args))
            case Pow():
                if self.is_positive(e.base):
                    return True
                return isinstance(e.exponent, Num) and e.exponent.value.denominator == 2
            case Call():
                return e.fn in POSITIVE
            case Reduce():
                return e.op == "softmax" or (e.op in ("sum", "max", "min") and self.is_positive(e.body))
        return False

    def is_below_one(self, e: Entry) -> bool:
        """Do the facts say that an entry is below 1?"""
        return e.tensor in self.ranges and self.is_positive(Add((ONE, Mul((Num(-1), e)))))

    def _is_above(self, e: Add) -> bool:
        """Is a sum of numbers and of entries with bounds above 0: 1 − p for p < 1?"""
        least, bounded = Fraction(0), False
        for t in e.args:
            c, rest = (t.args[0], t.args[1]) if isinstance(t, Mul) and len(t.args) == 2 else (ONE, t)
            if isinstance(t, Num):
                least += t.value
                continue
            if not isinstance(c, Num) or not isinstance(rest, Entry) or rest.tensor not in self.ranges:
                return False
            low, high = self.ranges[rest.tensor]
            bound = low if c.value > 0 else high
            if not isinstance(bound, Num):
                return False
            least, bounded = least + c.value * bound.value, True
        return bounded and least >= 0

    def is_square(self, e: Expr) -> bool:
        """Is `e` at least 0?"""
        match e:
            case Pow():
                even = isinstance(e.exponent, Num) and e.exponent.value in (2, 4, 6)
                return even or self.is_square(e.base)
            case Reduce():
                return e.op == "sum" and (self.is_square(e.body) or self.is_positive(e.body))
            case Mul():
                return all(self.is_square(a) or self.is_positive(a) for a in e.args)
            case Entry():
                if e.tensor in self.binary:
                    return True
                body = self.body_at(e)
                return body is not None and (self.is_square(body) or self.is_positive(body))
            case Call():
                return e.fn in ("abs", "relu")
        return False
