"""Array forms with diagonal matrices, as derivatives of second order have them.

`δ_ij f_i` is diag(f), where matrix.py, which reads bodies of networks, sees the identity times f;
and `Σ_n A_in f_n B_nj` is A diag(f) B. The kind `diag` serves both ways, as NumPy's function does:
of a matrix its diagonal, of a vector the matrix. In NumPy text the matrix in the middle of a
product is not built, its rows are scaled.
"""

from __future__ import annotations

from collections.abc import Sequence

from symbp.arithmetic import powers
from symbp.expr import Delta, Expr, Index, Mul, mul, substitute
from symbp.form import Axes, Axis, Form, form, squeeze
from symbp.graph import Graph
from symbp.matrix import Emitter
from symbp.numpy_code import NumpyPrinter


class DiagonalEmitter(Emitter):
    """As its base, with diag(f). `scaling` writes A diag(f) B as A times the scaled rows of B."""

    def __init__(self, graph: Graph, scaling: bool = False) -> None:
        super().__init__(graph)
        self.scaling = scaling

    def _emit(self, e: Expr, order: Axes) -> Form:
        if isinstance(e, Mul) and len(order) == 2:
            diagonal = self._diagonal(e.args, *order)
            if diagonal is not None:
                return diagonal
        return super()._emit(e, order)

    def _product(self, factors: Sequence[Expr], bound: Sequence[Index], order: Axes) -> Form:
        if len(order) == 2:
            row, column = order
            assert row is not None and column is not None
            if len(bound) == 1:
                special = self._sandwich(factors, bound[0], row, column)
                if special is not None:
                    return special
            elif not bound:
                factors = _scales_together(factors, row, column)
        return super()._product(factors, bound, order)

    def _diagonal(self, factors: Sequence[Expr], row: Axis, column: Axis) -> Form | None:
        """δ_ij f_i is diag(f)."""
        assert row is not None and column is not None
        for f in factors if row.dim is column.dim else ():
            if isinstance(f, Delta) and set(f.args) == {row, column}:
                inside = substitute(powers(x for x in factors if x is not f), {column: row})
                return form("diag", (squeeze(self.emit(inside, (row,))),), (row, column)) if inside.free else None
        return None

    def _sandwich(self, factors: Sequence[Expr], k: Index, row: Index, column: Index) -> Form | None:
        """Σ_k A_ik f_k B_kj is A diag(f) B."""
        groups: dict[frozenset[Index], list[Expr]] = {}
        for f in factors:
            groups.setdefault(f.free, []).append(f)
        scalars = groups.pop(frozenset(), [])
        sides = (frozenset((row, k)), frozenset((k,)), frozenset((k, column)))
        if set(groups) != set(sides):
            return None
        one, middle, two = (mul(*groups[s]) for s in sides)
        left, right = squeeze(self.emit(one, (row, k))), squeeze(self.emit(two, (k, column)))
        vector = squeeze(self.emit(powers([middle]), (k,)))
        if self.scaling:
            scaled = form("times", (form("subscript", (vector,), (k, None), ":", "None"), right), (k, column), 0)
            product = form("matmul", (left, scaled), (row, column))
        else:
            product = form("matmul", (left, form("diag", (vector,), (k, k)), right), (row, column))
        return self._scaled(scalars, product, (row, column))


def _scales_together(factors: Sequence[Expr], row: Index, column: Index) -> Sequence[Expr]:
    """diag(f) diag(g) A is diag(f ⊙ g) A: the vectors on one letter as one factor."""
    result: list[Expr] = []
    for k in (row, column):
        mine = [f for f in factors if f.free == {k}]
        if len(mine) > 1 and any(f.free == {row, column} for f in factors):
            result.append(Mul(mine))
            factors = [f for f in factors if f not in mine]
    return [*factors, *result]


def numpy_of(graph: Graph, e: Expr, axes: Sequence[Expr]) -> str:
    """An expression in the network language; raises NotReducible where it has none there."""
    target: Axes = tuple(a if isinstance(a, Index) else None for a in axes)
    return NumpyPrinter(graph)(DiagonalEmitter(graph, scaling=True).exactly(e, target))
