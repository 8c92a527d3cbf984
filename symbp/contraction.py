"""Contraction trees: series-parallel reduction of a product of factors.

Letters are vertices, factors edges. Factors on the same letters are one group; a summed letter in
two groups is a matrix product, in one group a sum; a narrow group is broadcast into a wider one
first; what does not reduce is one einsum. The cheapest letter is eliminated first, so this ends
when no summed letter is left.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from symbp.expr import Expr, Index

# ---- contraction trees -------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Factors on the same letters: a Hadamard product, possibly with divisors and broadcast parts."""

    letters: frozenset[Index]
    factors: tuple[Expr | Node, ...]
    rank: int  # place of its first factor in the product, so that the user's order can be kept


@dataclass(frozen=True)
class Contract:
    """Σ_k of the product of two nodes that share k only."""

    letters: frozenset[Index]
    left: Node
    right: Node
    k: Index
    rank: int


@dataclass(frozen=True)
class SumOut:
    letters: frozenset[Index]
    inner: Node
    ks: tuple[Index, ...]
    rank: int


@dataclass(frozen=True)
class Einsum:
    letters: frozenset[Index]
    parts: tuple[Node, ...]
    rank: int


Node = Group | Contract | SumOut | Einsum


def contraction_tree(factors: Sequence[Expr], bound: Sequence[Index]) -> list[Node]:
    """Series-parallel reduction: eliminate the bound letters, cheapest first."""
    groups: dict[frozenset[Index], list[Expr | Node]] = {}
    for f in factors:
        groups.setdefault(f.free, []).append(f)
    order = {id(f): n for n, f in enumerate(factors)}
    nodes: list[Node] = [Group(letters, tuple(fs), min(order[id(f)] for f in fs)) for letters, fs in groups.items()]
    nodes = _gathered(nodes, bound)
    pending = [k for k in bound if any(k in f.free for f in factors)]  # of Σ_i 1 nothing is left
    while pending:
        choices = [(_elimination_cost(nodes, k), n, k) for n, k in enumerate(pending)]
        _, _, k = min(choices, key=lambda c: c[:2])
        nodes, gone = _eliminate(nodes, k, pending)
        pending = [i for i in pending if i not in gone]
    return sorted(nodes, key=lambda n: n.rank)


def _gathered(nodes: list[Node], bound: Sequence[Index]) -> list[Node]:
    """Where one group of many letters holds all others and several letters are summed: one product,
    summed at once, `sum(g*x*y, axis=(2, 3))`."""
    if not nodes:
        return nodes
    wide = max(nodes, key=lambda n: len(n.letters))
    summed = [k for k in bound if k in wide.letters]
    if len(wide.letters) < 3 or len(summed) < 2 or not all(n.letters <= wide.letters for n in nodes):
        return nodes
    rest = [n for n in nodes if n.letters.isdisjoint(summed)]
    whole = wide
    for n in nodes:
        if n is not wide and n not in rest:
            whole = _merge(whole, n)
    return [*rest, whole]


def _members(nodes: Sequence[Node], k: Index) -> list[Node]:
    return [n for n in nodes if k in n.letters]


def _elimination_cost(nodes: Sequence[Node], k: Index) -> int:
    members = _members(nodes, k)
    if len(members) == 2 and members[0].letters & members[1].letters == {k}:
        if all(len(m.letters) <= 2 for m in members):
            return 0
    if len(members) == 1:
        return 1
    widest = max(members, key=lambda m: len(m.letters))
    if sum(m.letters <= widest.letters for m in members) == len(members):
        return 3
    narrow = [m for m in members if any(m.letters < o.letters for o in members)]
    return 2 if narrow and len(members) - len(narrow) == 2 else 5


def _eliminate(nodes: list[Node], k: Index, pending: Sequence[Index]) -> tuple[list[Node], tuple[Index, ...]]:
    members = sorted(_members(nodes, k), key=lambda n: n.rank)
    rest = [n for n in nodes if k not in n.letters]
    for one, two in itertools.combinations(members, 2):  # what a product left on the letters of a factor
        if one.letters == two.letters and one in members and two in members:
            members = sorted([m for m in members if m not in (one, two)] + [_merge(one, two)], key=lambda n: n.rank)
    while len(members) > 1:  # a narrow group is broadcast into a wider one first
        narrow = next((m for m in members if any(m.letters < o.letters for o in members if o is not m)), None)
        if narrow is None or (len(members) == 2 and members[0].letters & members[1].letters == {k} and _plain(members)):
            break
        wide = next(o for o in members if o is not narrow and narrow.letters < o.letters)
        merged = _merge(wide, narrow)
        members = sorted([m for m in members if m is not narrow and m is not wide] + [merged], key=lambda n: n.rank)
    if len(members) == 1:
        inner = members[0]
        ks = tuple(i for i in pending if i in inner.letters and not any(i in r.letters for r in rest))
        parts = _parts_of_einsum(inner)
        if parts:
            return [*rest, Einsum(inner.letters - set(ks), parts, inner.rank)], ks
        return [*rest, SumOut(inner.letters - set(ks), inner, ks, inner.rank)], ks
    if len(members) == 2:
        a, b = members
        if a.letters & b.letters == {k} and _plain(members):
            return [*rest, Contract((a.letters | b.letters) - {k}, a, b, k, a.rank)], (k,)
    letters = frozenset().union(*(m.letters for m in members))
    ks = tuple(i for i in pending if i in letters and not any(i in r.letters for r in rest))
    return [*rest, Einsum(letters - set(ks), tuple(members), members[0].rank)], ks


def _parts_of_einsum(node: Node) -> tuple[Node, ...]:
    """The operands of one einsum for a product of an einsum and factors, which is summed."""
    if not isinstance(node, Group) or not any(isinstance(f, Einsum) for f in node.factors):
        return ()
    if not all(isinstance(f, (Expr, Einsum)) for f in node.factors):
        return ()
    parts: list[Node] = []
    for f in node.factors:
        if isinstance(f, Einsum):
            parts.extend(f.parts)
        elif isinstance(f, Expr):
            parts.append(Group(f.free, (f,), node.rank))
    return tuple(parts)


def _plain(members: Sequence[Node]) -> bool:
    return all(len(m.letters) <= 2 for m in members)


def _merge(wide: Node, narrow: Node) -> Group:
    parts: list[tuple[int, Expr | Node]] = []
    for node in (wide, narrow):
        inner = node.factors if isinstance(node, Group) else (node,)
        parts.extend((node.rank, x) for x in inner)
    parts.sort(key=lambda p: p[0])
    return Group(wide.letters, tuple(x for _, x in parts), min(wide.rank, narrow.rank))
