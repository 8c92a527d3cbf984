"""A network: named tensors in the order in which they are computed.

A `Node` is a leaf (no body) or an inner node: `name[axes] = body`, where `axes` are the node's own
indices (`i0`, `i1`, …; an axis of size 1 is the number 0) and `body` is a scalar expression in
entries of earlier nodes. The `Graph` keeps them in topological order, with the loss, the facts
that the user asserted, and the names and conventions in which results are shown.

Invariants: every tensor in a body is an earlier node; every free index of a body is one of its
node's axes; the loss is a scalar.

In a network of symbolic depth a node may stand for a whole range of tensors (family.py): `z[l]`
with `loops` (l from 1 to L), and beside it the base case `z[0]`. Bodies then name members, such
as `a[l-1]`, and `graph["a[l-1]"]` is that member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from symbp.errors import Place
from symbp.expr import ONE, ZERO, Add, Entry, Expr, Index, Mul, Num, Over, Reduce, Size, walk
from symbp.family import Block, Loop, Turn, base_of, contains, shift, shift_name, shift_number, split
from symbp.index import same_size
from symbp.ops import OPS, Op, Table

DEFINITION = "the definition of "  # how a reason begins that no user asserted


@dataclass(frozen=True)
class Fact:
    """What the user asserts of a tensor (LANGUAGE.md, "Facts"); used on derivatives already taken.

    `kind` is one of onehot, permutation, simplex (sums to `low`), binary, pm1, symmetric, posdef,
    orthogonal, range (`low` < x < `high`, either may be missing), nonzero, norm (is `low`), diag
    (is `low`), fixed, region (`condition` holds; only for drawing points).
    """

    kind: str
    tensor: str = ""
    axis: int | None = None
    low: Expr | None = None
    high: Expr | None = None
    text: str = ""
    condition: Expr | None = None


@dataclass(frozen=True)
class Node:
    """One tensor. `shape` as declared; `body` None for a leaf; `source` its text, if it had one.
    With `loops` it stands for one tensor for every value of their variables."""

    name: str
    shape: tuple[Expr, ...]
    axes: tuple[Expr, ...]
    body: Expr | None = None
    source: str = ""
    place: Place | None = None
    loops: tuple[Loop, ...] = ()

    def at(self, put: Mapping[str, Expr], loops: tuple[Loop, ...] = ()) -> Node:
        """The member with numbers in the place of loop variables, which may vary over `loops`."""
        return Node(
            shift_name(self.name, put),
            tuple(shift(d, put) for d in self.shape),
            tuple(shift(a, put) for a in self.axes),
            None if self.body is None else shift(self.body, put),
            self.source,
            self.place,
            loops,
        )

    @cached_property
    def indices(self) -> tuple[Index, ...]:
        """The axes that are longer than 1."""
        return tuple(a for a in self.axes if isinstance(a, Index))

    @cached_property
    def entry(self) -> Entry:
        """The generic entry `name[axes]`."""
        return Entry(self.name, self.axes)

    @property
    def is_leaf(self) -> bool:
        return self.body is None


def _subtracted(body: Expr) -> dict[str, bool]:
    """The tensors of a formula as they are read: does each stand under a minus, where it stands first?"""
    found: dict[str, bool] = {}
    stack: list[tuple[Expr, bool]] = [(body, False)]
    while stack:
        e, minus = stack.pop()
        if isinstance(e, Entry):
            found.setdefault(e.tensor, minus)
        if isinstance(e, Mul):
            minus ^= sum(isinstance(a, Num) and a.value < 0 for a in e.args) % 2 == 1
        stack += ((a, minus) for a in reversed(e.args))
    return found


def axes_of(shape: Iterable[Expr]) -> tuple[Expr, ...]:
    """The indices of a tensor of this shape: `i0`, `i1`, …, and 0 where the size is 1."""
    return tuple(ZERO if d is ONE else Index(f"i{n}", d) for n, d in enumerate(shape))


@dataclass(frozen=True)
class Signature:
    """An unknown function: the shapes it takes and the shape it gives. One that takes and gives a
    scalar is applied entry by entry."""

    name: str
    takes: tuple[tuple[Expr, ...], ...]
    gives: tuple[Expr, ...]

    @property
    def is_elementwise(self) -> bool:
        return self.takes == ((),) and self.gives == ()


@dataclass(frozen=True)
class Graph:
    """A whole network. `nodes` is in topological order, leaves included."""

    name: str
    nodes: Mapping[str, Node]
    loss: str
    facts: tuple[Fact, ...] = ()
    constants: Mapping[str, Num] = field(default_factory=dict)
    relations: Mapping[str, Expr] = field(default_factory=dict)  # size -> what it must be: E = D + 1
    title: str = ""
    latex: Mapping[str, str] = field(default_factory=dict)
    style: Mapping[str, str] = field(default_factory=dict)
    letters: Mapping[Expr, str] = field(default_factory=dict)  # size -> the user's letter for its index
    warnings: tuple[str, ...] = ()
    upstream: str = ""  # the node whose gradient is given, for `L = upstream(y)`
    given: str = ""  # the leaf that stands for that gradient
    declared: str = "text"  # or "sympy"
    functions: Mapping[str, Signature] = field(default_factory=dict)  # the unknown ones
    own: Mapping[str, Op] = field(default_factory=dict)  # rows of functions that only this network has
    blocks: tuple[Turn | Block, ...] = ()  # with families: the order in which members are computed

    def __getitem__(self, name: str) -> Node:
        found = self.nodes.get(name)
        return found if found is not None else self._member(name)

    @cached_property
    def _members(self) -> dict[str, Node]:
        return {}

    def _member(self, name: str) -> Node:
        """A member of a family by its name, from a piece that fits; KeyError if there is none."""
        found = self._members.get(name)
        if found is None:
            numbers = split(name)[1]
            pieces = self.pieces(name)
            if not numbers or not pieces:
                raise KeyError(name)
            widest = max(pieces, key=lambda p: len(p.loops))
            piece = next((p for p in pieces if self.covers(p, numbers, {})), widest)
            found = self._members[name] = piece.at(_put(piece, numbers))
        return found

    @cached_property
    def _pieces(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            found.setdefault(base_of(node.name), []).append(node)
        return found

    def pieces(self, name: str) -> list[Node]:
        """All nodes of the family that a name belongs to, base cases first as declared."""
        return self._pieces.get(base_of(name), [])

    def covers(self, piece: Node, numbers: Sequence[Expr], ranges: Mapping[str, Loop]) -> bool:
        """Is the member with these numbers surely one of this piece's?"""
        put = _put(piece, numbers)
        own = split(piece.name)[1]
        if len(own) != len(numbers):
            return False
        if not all(same_size(shift_number(n, put), m) for n, m in zip(own, numbers)):
            return False
        return all(contains(loop, put[loop.var], put[loop.var], ranges) for loop in piece.loops if loop.var in put)

    @cached_property
    def errors(self) -> frozenset[str]:
        """Leaves that stand for a gradient from outside: what is given, and G where the loss is Σ G ⊙ Y."""
        body = self.nodes[self.loss].body if self.loss in self.nodes else None
        terms = body.args if isinstance(body, Add) else (body,)
        found = {self.given} if self.given else set()
        for t in terms:
            if isinstance(t, Reduce) and t.op == "sum" and isinstance(t.body, Mul):
                pair = [f for f in t.body.args if isinstance(f, Entry) and f.free == set(t.bound)]
                inner = [f.tensor in self.nodes and not self[f.tensor].is_leaf for f in pair]
                if len(t.body.args) == 2 and sorted(inner) == [False, True] and pair[0].idx == pair[1].idx:
                    found.add(pair[inner.index(False)].tensor)
        return frozenset(found)

    @property
    def has_families(self) -> bool:
        """Is its depth symbolic, or a sum in it over a loop?"""
        return bool(self.blocks)

    @cached_property
    def table(self) -> Mapping[str, Op]:
        """The rows of all functions of the network: the common ones and its own."""
        return Table({**OPS, **self.own}) if self.own else OPS

    @cached_property
    def leaves(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes.values() if n.is_leaf)

    @cached_property
    def inner(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes.values() if not n.is_leaf)

    @cached_property
    def parts(self) -> tuple[Expr, ...]:
        """Every subexpression of the definitions, once, in order."""
        return tuple(dict.fromkeys(x for n in self.inner if n.body is not None for x in walk(n.body)))

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """Names of all sizes, in order of appearance (literal sizes that stand for themselves are
        names of digits)."""
        found: dict[str, None] = {}
        for node in self.nodes.values():
            for e in (*node.shape, *((node.body,) if node.body else ())):
                for x in walk(e):
                    if isinstance(x, Size):
                        found.setdefault(x.name)
                    elif isinstance(x, Index):
                        for y in walk(x.dim):
                            if isinstance(y, Size):
                                found.setdefault(y.name)
        return tuple(found)

    @property
    def bounds(self) -> tuple[str, ...]:
        """The symbolic ends of loops: L, T, …"""
        found: dict[str, None] = {}
        for node in self.nodes.values():
            ends = [e for loop in node.loops for e in (loop.low, loop.high)]
            ends += [e for x in walk(node.body) if isinstance(x, Over) for e in (x.low, x.high)] if node.body else []
            own = {loop.var for loop in node.loops}
            for e in ends:
                found.update(dict.fromkeys(x.name for x in walk(e) if isinstance(x, Size) and x.name not in own))
        return tuple(n for n in found if n not in self.variables)

    @property
    def variables(self) -> frozenset[str]:
        """The loop variables."""
        return frozenset(loop.var for node in self.nodes.values() for loop in node.loops)

    def fixed(self) -> frozenset[str]:
        """Leaves that are not differentiated by default: targets and what is asserted fixed."""
        held = {"onehot", "binary", "pm1", "fixed", "permutation"}
        return frozenset(f.tensor for f in self.facts if f.kind in held)

    @cached_property
    def asserted(self) -> dict[str, tuple[str, ...]]:
        """The kinds of facts about each tensor that has some."""
        return {t: tuple(f.kind for f in self.facts if f.tensor == t) for t in {f.tensor for f in self.facts}}

    def facts_of(self, tensor: str) -> tuple[Fact, ...]:
        return tuple(f for f in self.facts if f.tensor == tensor)

    def facts_among(self, names: Iterable[str]) -> tuple[Fact, ...]:
        """The facts of these tensors, what is asserted of a family said of its members."""
        found: list[Fact] = [f for f in self.facts if not f.tensor]
        for name in names:
            found += [replace(f, tensor=name) for f in self.facts if f.tensor and base_of(f.tensor) == base_of(name)]
        return tuple(found)

    def consumers(self) -> dict[str, list[str]]:
        """tensor -> the inner nodes whose bodies use it, in order."""
        found: dict[str, list[str]] = {n: [] for n in self.nodes}
        for node in self.inner:
            assert node.body is not None
            for t in node.body.tensors:
                found[t].append(node.name)
        return found

    @cached_property
    def far(self) -> dict[str, int]:
        """How many definitions lead from each tensor to the loss, along the longest way."""
        consumers = self.consumers()
        far: dict[str, int] = {}
        for name in reversed(tuple(self.nodes)):
            far[name] = 1 + max((far[u] for u in consumers[name] if u in far), default=-1)
        return far

    @cached_property
    def rank(self) -> dict[str, int]:
        """The tensors in an order that depends on what is computed, not on names or on the order in which it was
        written: nearest to the loss first, then by axes, then as they are read in the nearest formula, what is
        subtracted there last."""
        consumers, far = self.consumers(), self.far
        read: dict[str, dict[str, int]] = {}
        for node in self.inner:
            assert node.body is not None
            minus = _subtracted(node.body)
            names = sorted(minus, key=lambda name: minus[name])
            read[node.name] = {name: n for n, name in enumerate(names)}

        def place(name: str) -> tuple[int, int, tuple[int, int], str]:
            seen = [(far[u], read[u].get(name, 0)) for u in consumers[name] if u in far]
            return far[name], len(self.nodes[name].indices), min(seen, default=(0, 0)), name

        return {name: n for n, name in enumerate(sorted(self.nodes, key=place))}

    def adjoint_name(self, name: str) -> str:
        """`dx`, or `d_x` where `dx` is itself declared; what is given from upstream is its leaf."""
        if self.upstream and name == self.upstream:
            return self.given
        taken = "d" + base_of(name)
        return "d_" + name if taken in self._pieces or taken in self.constants else "d" + name


def _put(piece: Node, numbers: Sequence[Expr]) -> dict[str, Expr]:
    """What the variables of a piece are at the member with these numbers."""
    own = split(piece.name)[1]
    variables = {loop.var for loop in piece.loops}
    found: dict[str, Expr] = {}
    for n, m in zip(own, numbers):
        if isinstance(n, Size) and n.name in variables:
            found[n.name] = m
    return found


ADJOINT = "∂"


def adjoint(name: str) -> str:
    """The internal tensor name of ∂loss/∂name; no declared name can contain it."""
    return ADJOINT + name


def primal(tensor: str) -> str | None:
    """The node whose adjoint this tensor is, or None."""
    return tensor[1:] if tensor.startswith(ADJOINT) else None
