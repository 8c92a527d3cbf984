"""What a formula without Σ and calls can fold into: nothing, unless a definition relates what it names.

A definition a = f(u, v) relates a, u and v. For a formula that names tensors S it is of use where all
that it relates is in S but one thing, which the formula may then name instead: x − μ becomes c for
c = x − μ. What is no tensor (tanh z, Σ_k W_ik h_k) cannot be named; two definitions that share one
such thing, or one tensor, relate the rest: s = σ(z) and p = exp(−z). So ∂h (1 − h²) of h = tanh(U h′)
is as short as it gets, and no values have to be drawn to see that. The answer `True` only means that
a search may find something.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbp.expr import Add, Apply, Call, Compare, Const, Delta, Entry, Expr, Index, Mul, Num, Pow, Reduce, Select, Size
from symbp.graph import Graph, primal

Thing = str | Expr | tuple[str, frozenset[str]]
"""A tensor, a Σ or the like, or the calls of what some tensors make."""
Relation = frozenset[Thing]
PLAIN = {"fixed"}  # facts that say nothing about values
LARGEST, DEEP = 12, 4  # things that one relation is about, and definitions put in one after the other
PAIRS = 400  # more of them cost more than a search


class Related:
    """The relations of one graph; `adjoints` are the δ forms derived so far."""

    def __init__(self, graph: Graph, adjoints: Mapping[str, Expr]) -> None:
        self.graph, self.adjoints = graph, adjoints
        self._things: dict[str, Relation] = {}
        self._with: dict[Thing, list[str]] = {}  # the definitions that each thing is in
        for node in graph.inner:
            for thing in self._relation(node.name):
                self._with.setdefault(thing, []).append(node.name)
        self._found: dict[tuple[frozenset[str], tuple[str, ...]], bool] = {}

    def __call__(self, e: Expr, upstream: tuple[str, ...]) -> bool:
        """May `e` fold, where the adjoints `upstream` may be named?"""
        if not _is_plain(e):
            return True
        key = (e.tensors, upstream)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._may_fold(e.tensors, upstream)
        return found

    def _may_fold(self, named: frozenset[str], upstream: tuple[str, ...]) -> bool:
        if any(k not in PLAIN for t in named for k in self.graph.asserted.get(primal(t) or t, ())):
            return True
        touching = {h for t in named for h in self._with.get(t, ())}
        touching.update(t for t in upstream if not named.isdisjoint(self._relation(t)))
        written: dict[str, Relation] = {}
        pairs = 0
        for head in touching:
            left = self._relation(head) - named
            if _may_be_named(left):
                return True
            whole = written[head] = written.get(head) or self._written_out(head, named)
            users = {h for x in left | whole for h in self._with.get(x, ())}
            users.update(h for user in [*users] for h in self._with.get(user, ()))
            users.update(upstream)
            pairs += len(users)
            if pairs > PAIRS:
                return True
            for other in users - {head}:
                if _cancels(left, self._relation(other) - named):
                    return True
                if other not in written:
                    written[other] = self._written_out(other, named)
                if _cancels(whole, written[other]):
                    return True
        return False

    def _written_out(self, head: str, named: frozenset[str]) -> Relation:
        """A relation with definitions put in, up to what the formula names."""
        left = self._relation(head) - {head} - named
        for _ in range(DEEP):
            inner = {x for x in left if isinstance(x, str) and self._relation(x) != {x}}
            if not inner or len(left) > LARGEST:
                break
            left = left.difference(inner).union(*(self._relation(x) - {x} for x in inner)) - named
        return left | ({head} - named)

    def _relation(self, tensor: str) -> Relation:
        """A tensor and what it is made of."""
        found = self._things.get(tensor)
        if found is None:
            name = primal(tensor)
            body = self.graph[tensor].body if name is None else self.adjoints.get(name)
            found = frozenset({tensor, *(_things(body) if body is not None else ())})
            if name is None or body is not None:
                self._things[tensor] = found
        return found


def _cancels(one: Relation, two: Relation) -> bool:
    """Have two relations something in common, and but one thing else?"""
    return not one.isdisjoint(two) and _may_be_named(one ^ two)


def _may_be_named(left: Relation) -> bool:
    return len(left) <= 1 and all(isinstance(x, str) for x in left)


def _is_plain(e: Expr) -> bool:
    """Sums, products and powers of entries."""
    match e:
        case Entry():
            return all(isinstance(i, (Index, Num)) for i in e.idx)
        case Add() | Mul():
            return all(map(_is_plain, e.args))
        case Pow():
            return _is_plain(e.base) and isinstance(e.exponent, Num)
    return isinstance(e, (Num, Size, Const))


def _things(e: Expr) -> set[Thing]:
    """What a definition is made of, entry by entry."""
    match e:
        case Entry():
            return {e.tensor}
        case Call():
            return {("call", e.tensors)} if e.tensors else set()
        case Add() | Mul() | Pow() | Compare() | Select():
            return set[Thing]().union(*map(_things, e.args))
        case Reduce() | Apply() | Delta():
            return {e}
    return set() if not e.tensors else {e}
