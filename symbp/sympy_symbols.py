"""The SymPy objects of a network: one symbol per tensor, adjoint and size.

A network that was declared in SymPy keeps the user's own objects, so that results combine with
what the user has. Otherwise a scalar is a real `Symbol`, a vector a column, a matrix a
`MatrixSymbol`, a tensor of higher order an `IndexedBase`, and a size a positive integer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

from symbp import functions
from symbp.errors import NoRule
from symbp.expr import ZERO, Add, Entry, Expr, Index, Mul, Num, Pow, Size
from symbp.family import Loop, base_of, split
from symbp.graph import Graph, Node, primal

Sym = Any
ARITHMETIC: Mapping[type[Expr], Sym] = {Add: sp.Add, Mul: sp.Mul, Pow: sp.Pow}


@dataclass
class Symbols:
    """The SymPy objects of one network: tensors, their adjoints, sizes."""

    graph: Graph
    tensors: Mapping[str, Sym] = field(default_factory=dict)
    sizes: Mapping[str, Sym] = field(default_factory=dict)
    origin: int = 0  # at which number the user's indexed arrays begin

    def size(self, e: Expr) -> Sym:
        """A size as SymPy: `N`, `n - k + 1`."""
        match e:
            case Size():
                if e.name in self.sizes:
                    return self.sizes[e.name]
                if "[" in e.name:
                    base, numbers = split(e.name)
                    return (self.sizes.get(base) or sp.IndexedBase(base))[tuple(map(self.number, numbers))]
                if e.name in self.graph.variables:
                    return sp.Symbol(e.name, integer=True)
                return sp.Integer(e.name) if e.name.isdigit() else sp.Symbol(e.name, integer=True, positive=True)
            case Num():
                return functions.number(e)
            case Add():
                return sp.Add(*map(self.size, e.args))
            case Mul():
                return sp.Mul(*map(self.size, e.args))
            case Pow():
                return sp.Pow(*map(self.size, e.args))
        raise NoRule(f"symbp cannot write the size {e!r} in SymPy")

    def number(self, e: Expr) -> Sym:
        """The number of a member: `l - 1`, which may be 0 or less."""
        return index_value(e, self, {})

    def loop(self, loop: Loop) -> tuple[Sym, Sym, Sym]:
        """A loop variable with its range, as the limits of a Sum."""
        return self.size(Size(loop.var)), self.number(loop.low), self.number(loop.high)

    def member(self, e: Entry, letters: Mapping[Index, Sym]) -> Sym:
        """An entry of a member of a family: `W[l, i, j]`, its numbers first."""
        inner = primal(e.tensor)
        base, numbers = split(inner if inner is not None else e.tensor)
        array = self.tensors.get(base) if inner is None else None
        if array is None and not numbers:
            array = self.tensor(e.tensor)
        if array is None:
            array = sp.IndexedBase(base if inner is None else self.graph.adjoint_name(base))
        at = [index_value(i, self, letters) + self.first for i in e.idx]
        return array[(*map(self.number, numbers), *at)]

    @property
    def first(self) -> int:
        """The number at which the letters of networks with families begin."""
        return self.origin if self.graph.has_families else 0

    def shape(self, node: Node) -> tuple[Sym, ...]:
        return tuple(map(self.size, node.shape))

    def tensor(self, name: str) -> Sym:
        """The symbol of a tensor: `Symbol`, `MatrixSymbol` (a vector is a column) or `IndexedBase`."""
        found = self.tensors.get(name)
        if found is not None:
            return found
        inner = primal(name)
        node = self.graph[name if inner is None else inner]
        shown = name if inner is None else self.graph.adjoint_name(inner)
        shape = self.shape(node)
        if not shape:
            return sp.Symbol(shown, **self._assumptions(shown))
        if (
            self.graph.has_families
            or len(shape) > 2
            or (inner is not None and isinstance(self.tensors.get(inner), sp.IndexedBase))
        ):
            return sp.IndexedBase(shown, shape=shape)
        return sp.MatrixSymbol(shown, *(shape if len(shape) == 2 else (*shape, 1)))

    def _assumptions(self, name: str) -> dict[str, bool]:
        """Scalars are real, and positive where the network says so."""
        facts = self.graph.facts_of(name)
        if any(f.kind == "range" and f.low is ZERO for f in facts):
            return {"positive": True}
        return {"real": True}

    def taken(self, letters: Mapping[Index, Sym]) -> set[str]:
        """Names that a new letter must not have."""
        known = {base_of(n) for n in (*self.graph.nodes, *self.graph.sizes, *self.graph.bounds)}
        used = {str(s) for x in letters.values() for s in (x.atoms(sp.Idx) or x.free_symbols)}
        return known | self.graph.variables | used

    def entry(self, e: Entry, letters: Mapping[Index, Sym]) -> Sym:
        """One entry of a tensor, its indices in SymPy's count."""
        if "[" in e.tensor:
            return self.member(e, letters)
        symbol = self.tensor(e.tensor)
        if not e.idx:
            return symbol
        if self.graph.has_families and isinstance(symbol, sp.IndexedBase):
            return self.member(e, letters)
        at = [index_value(i, self, letters) for i in e.idx]
        if isinstance(symbol, sp.IndexedBase):
            shift = self.origin if symbol in self.tensors.values() else 0
            return symbol[tuple(a + shift for a in at)]
        if isinstance(symbol, sp.MatrixSymbol):
            return MatrixElement(symbol, *(at if len(at) == 2 else (*at, sp.S.Zero)))
        return symbol


def index_value(e: Expr, symbols: Symbols, letters: Mapping[Index, Sym]) -> Sym:
    """An index expression, counted from 0."""
    if isinstance(e, Index):
        return letters[e]
    if isinstance(e, (Num, Size)):
        return symbols.size(e)
    if isinstance(e, (Add, Mul, Pow)):
        return ARITHMETIC[type(e)](*(index_value(a, symbols, letters) for a in e.args))
    raise NoRule(f"symbp cannot write the index {e!r} in SymPy")
