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
        if len(shape) > 2 or (inner is not None and isinstance(self.tensors.get(inner), sp.IndexedBase)):
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
        return {*self.graph.nodes, *self.graph.sizes, *map(str, letters.values())}

    def entry(self, e: Entry, letters: Mapping[Index, Sym]) -> Sym:
        """One entry of a tensor, its indices in SymPy's count."""
        symbol = self.tensor(e.tensor)
        if not e.idx:
            return symbol
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
