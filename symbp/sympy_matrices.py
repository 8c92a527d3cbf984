"""Array forms of matrix.py as SymPy matrices, built without evaluation.

A `Piece` keeps the scalar coefficient apart from the matrix, so that a number travels to the front
of a product instead of being distributed over a sum. SymPy has no broadcasting, so it is written
out: a vector beside a matrix is a diagonal matrix in a product, and a product with ones in a sum.

Invariant: the matrix of a piece has exactly its two axes; None is an axis of length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

from symbp import functions
from symbp.expr import ONE, ZERO, Expr, Index, Num, Size
from symbp.form import Axes, Form
from symbp.graph import primal
from symbp.sympy_symbols import Symbols

Sym = Any


class NoMatrixForm(Exception):
    """An array form that SymPy's matrices cannot say."""


@dataclass(frozen=True)
class Piece:
    """A scalar coefficient times a matrix with its axes (None is an axis of length 1); a scalar
    has no matrix."""

    factor: Sym
    matrix: Sym = None
    row: Index | None = None
    column: Index | None = None

    @property
    def whole(self) -> Sym:
        """The coefficient and the matrix in one."""
        if self.matrix is None:
            return self.factor
        return self.matrix if self.factor == 1 else product(self.factor, [self.matrix])


def product(factor: Sym, matrices: Sequence[Sym]) -> Sym:
    """factor · A B C, not evaluated, nested products opened."""
    flat: list[Sym] = []
    for m in matrices:
        if isinstance(m, sp.MatMul):
            factor = factor * sp.Mul(*(a for a in m.args if not a.is_Matrix))
            flat += [a for a in m.args if a.is_Matrix]
        else:
            flat.append(m)
    if len(flat) == 1 and factor == 1:
        return flat[0]
    return sp.MatMul(*([factor] if factor != 1 else []), *flat, evaluate=False)


class Writer:
    """Writes the array forms of matrix.py in SymPy."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols

    def scalar(self, x: Form) -> Sym:
        piece = self.piece(x)
        if piece.matrix is None:
            return piece.factor
        if x.axes and any(a is not None for a in x.axes):
            raise NoMatrixForm(x.kind)
        return functions.product([piece.factor, functions.Scalar(piece.matrix)])

    def shaped(self, x: Form, axes: Sequence[Expr]) -> Sym:
        """The form as a matrix with exactly these axes."""
        row, column = (a if isinstance(a, Index) else None for a in (*axes, ZERO)[:2])
        return self.spread(self.piece(x), row, column).whole

    # -- axes --

    def length(self, axis: Index | None) -> Sym:
        return sp.S.One if axis is None else self.symbols.size(axis.dim)

    def ones(self, row: Index | None, column: Index | None) -> Sym:
        return sp.OneMatrix(self.length(row), self.length(column))

    def spread(self, p: Piece, row: Index | None, column: Index | None) -> Piece:
        """A piece repeated along the axes that it lacks."""
        if p.matrix is None:
            return Piece(p.factor, self.ones(row, column), row, column)
        matrix = p.matrix
        if p.row is not row:
            if p.row is not None:
                raise NoMatrixForm("axes")
            matrix = product(sp.S.One, [self.ones(row, None), matrix])
        if p.column is not column:
            if p.column is not None:
                raise NoMatrixForm("axes")
            matrix = product(sp.S.One, [matrix, self.ones(None, column)])
        return Piece(p.factor, matrix, row, column)

    def aligned(self, x: Form, axes: Axes) -> Piece:
        """An operand of an operation whose result has `axes`: a vector beside a matrix is a row."""
        p = self.piece(x)
        if len(axes) == 2 and len(x.axes) == 1 and p.matrix is not None:
            return transposed(p)
        return p

    @staticmethod
    def target(axes: Axes) -> tuple[Index | None, Index | None]:
        if len(axes) > 2:
            raise NoMatrixForm("order")
        if len(axes) == 2:
            return axes[0], axes[1]
        return (axes[0] if axes else None), None

    # -- dispatch --

    def piece(self, x: Form) -> Piece:
        method = getattr(self, "_" + x.kind, None)
        if method is None:
            raise NoMatrixForm(x.kind)
        return method(x)  # type: ignore[no-any-return]

    def _num(self, x: Form) -> Piece:
        assert isinstance(x.data[0], Num)
        return Piece(functions.number(x.data[0]))

    def _const(self, x: Form) -> Piece:
        name = str(x.data[0])
        known = self.symbols.graph.constants.get(name)
        return Piece({"pi": sp.pi, "inf": sp.oo}[name] if known is None else functions.number(known))

    def _size(self, x: Form) -> Piece:
        return Piece(self.symbols.size(Size(str(x.data[0]))))

    def _name(self, x: Form) -> Piece:
        symbol = self.symbols.tensor(str(x.data[0]))
        if not x.axes:
            return Piece(symbol)
        if not isinstance(symbol, sp.MatrixSymbol):
            raise NoMatrixForm("order")
        return Piece(sp.S.One, symbol, *self.target(x.axes))

    def _transpose(self, x: Form) -> Piece:
        return transposed(self.piece(x.args[0]))

    def _permute(self, x: Form) -> Piece:
        raise NoMatrixForm("order")

    def _subscript(self, x: Form) -> Piece:
        """Only `v[:, None]` and `v[None, :]`, and the removal of an axis of length 1."""
        inner = x.args[0]
        pattern = tuple(map(str, x.data))
        if inner.kind == "name" and not x.axes and all(c.isdigit() for c in pattern):
            return Piece(self.element(str(inner.data[0]), [sp.Integer(c) for c in pattern]))
        p = self.whole(inner)
        if not set(pattern) <= {":", "None", "0"} or p.matrix is None:
            raise NoMatrixForm("slice")
        row, column = self.target(x.axes)
        if "0" in pattern and any(c == "0" and a is not None for c, a in zip(pattern, inner.axes, strict=False)):
            raise NoMatrixForm("slice")
        if not x.axes:
            return Piece(p.factor * functions.Scalar(p.matrix))
        if (p.row, p.column) == (row, column):
            return p
        if (p.column, p.row) == (row, column):
            return transposed(p)
        raise NoMatrixForm("slice")

    def element(self, name: str, at: Sequence[Sym]) -> Sym:
        symbol = self.symbols.tensor(name)
        if not isinstance(symbol, sp.MatrixSymbol):
            raise NoMatrixForm("order")
        return MatrixElement(symbol, *(at if len(at) == 2 else (*at, sp.S.Zero)))

    def whole(self, x: Form) -> Piece:
        """The operand of a subscript, unless it is a tensor of which a part is taken: then its
        letters are not those of its axes."""
        if x.kind == "name":
            name = str(x.data[0])
            shape = self.symbols.graph[primal(name) or name].shape
            if any(a is None and d is not ONE for a, d in zip(x.axes, shape, strict=True)):
                raise NoMatrixForm("slice")
        return self.piece(x)

    # -- arithmetic --

    def _add(self, x: Form) -> Piece:
        parts = [self.aligned(a, x.axes) for a in x.args]
        signs = [sp.Integer(str(s)) for s in x.data]
        if all(p.matrix is None for p in parts):
            return Piece(sp.Add(*(s * p.factor for s, p in zip(signs, parts, strict=True))))
        row, column = self.target(x.axes)
        terms = []
        for s, p in zip(signs, parts, strict=True):
            q = self.spread(p, row, column)
            terms.append(Piece(s * q.factor, q.matrix).whole)
        return Piece(sp.S.One, sp.MatAdd(*terms).doit(deep=False), row, column)

    def _times(self, x: Form) -> Piece:
        divisors = int(str(x.data[0]))
        cut = len(x.args) - divisors
        parts = [self.aligned(a, x.axes) for a in x.args]
        parts = parts[:cut] + [inverted(p) for p in parts[cut:]]
        factor = functions.product([p.factor for p in parts])
        matrices = [p for p in parts if p.matrix is not None]
        if not matrices:
            return Piece(factor)
        row, column = self.target(x.axes)
        return Piece(factor, self._hadamard(matrices, row, column), row, column)

    def _hadamard(self, parts: Sequence[Piece], row: Index | None, column: Index | None) -> Sym:
        """Entry by entry; a factor that has one of the two axes only is a diagonal matrix."""
        whole = [p for p in parts if p.row is row and p.column is column]
        if not whole:
            whole, parts = [self.spread(parts[0], row, column)], parts[1:]
        left, right = [], []
        for p in parts:
            if p.row is row and p.column is column:
                continue
            if p.row is row:
                left.append(p.matrix)
            elif p.column is column:
                right.append(p.matrix)
            else:
                one = self.spread(p, row, column)
                whole.append(one)
        core = hadamard([p.matrix for p in whole])
        before = [sp.DiagMatrix(hadamard(left))] if left else []
        after = [sp.DiagMatrix(sp.Transpose(hadamard(right)))] if right else []
        return product(sp.S.One, [*before, core, *after])

    def _matmul(self, x: Form) -> Piece:
        parts = [self.piece(a) for a in x.args]
        if len(x.args[0].axes) == 1:
            parts[0] = transposed(parts[0])
        result = product(functions.product([p.factor for p in parts]), [p.matrix for p in parts])
        found = Piece(sp.S.One, result, parts[0].row, parts[-1].column)
        return transposed(found) if len(x.axes) == 1 and found.row is None else found

    def _outer(self, x: Form) -> Piece:
        a, b = map(self.piece, x.args)
        factor = functions.product([a.factor, b.factor])
        return Piece(factor, product(sp.S.One, [a.matrix, transposed(b).matrix]), a.row, b.row)

    def _dot(self, x: Form) -> Piece:
        a, b = map(self.piece, x.args)
        left = a if len(x.args[0].axes) == 2 else transposed(a)
        return Piece(
            functions.product([a.factor, b.factor, functions.Scalar(product(sp.S.One, [left.matrix, b.matrix]))])
        )

    def _power(self, x: Form) -> Piece:
        base, exponent = self.aligned(x.args[0], x.axes), self.aligned(x.args[1], x.axes)
        if base.matrix is None and exponent.matrix is None:
            return Piece(sp.Pow(base.factor, exponent.factor))
        if exponent.matrix is not None:
            return self._entrywise(lambda b, e: b**e, [base, exponent], x.axes)
        return Piece(sp.S.One, sp.HadamardPower(base.whole, exponent.factor), base.row, base.column)

    # -- reductions --

    def _sum(self, x: Form) -> Piece:
        return self._reduced(x, "total")

    def _max(self, x: Form) -> Piece:
        return self._reduced(x, "max")

    def _min(self, x: Form) -> Piece:
        return self._reduced(x, "min")

    def _logsumexp(self, x: Form) -> Piece:
        return self._reduced(x, "logsumexp")

    def _reduced(self, x: Form, operation: str) -> Piece:
        inner = self.piece(x.args[0])
        positions = x.data[0]
        assert isinstance(positions, tuple)
        factor, matrix = inner.factor, inner.matrix
        if operation != "total":
            factor, matrix = sp.S.One, inner.whole
        if matrix is None:
            raise NoMatrixForm("sum")
        if len(positions) == len(x.args[0].axes):
            if x.axes and any(a is not None for a in x.axes):
                raise NoMatrixForm("sum")
            value = functions.product([factor, functions.WHOLE[operation](matrix)])
            return Piece(value)
        if len(x.args[0].axes) != 2:
            raise NoMatrixForm("sum")
        (axis,) = positions
        if operation == "total":
            reduced = [self.ones(None, inner.row), matrix] if axis == 0 else [matrix, self.ones(inner.column, None)]
            result = product(sp.S.One, reduced)
        else:
            result = functions.AxisReduction(operation, matrix, axis)
        found = Piece(factor, result, None if axis == 0 else inner.row, None if axis == 1 else inner.column)
        return transposed(found) if len(x.axes) == 1 and axis == 0 else found

    def _row(self, x: Form) -> Piece:
        operation, axis = str(x.data[0]), int(str(x.data[1]))
        inner = self.piece(x.args[0])
        return Piece(sp.S.One, functions.ROW[operation](inner.whole, axis), inner.row, inner.column)

    # -- matrices --

    def _inv(self, x: Form) -> Piece:
        p = self.piece(x.args[0])
        row, column = self.target(x.axes)
        return Piece(sp.S.One, sp.Inverse(p.whole), row, column)

    def _det(self, x: Form) -> Piece:
        return Piece(sp.Determinant(self.piece(x.args[0]).whole))

    def _logdet(self, x: Form) -> Piece:
        return Piece(sp.log(sp.Abs(sp.Determinant(self.piece(x.args[0]).whole))))

    def _trace(self, x: Form) -> Piece:
        p = self.piece(x.args[0])
        return Piece(functions.product([p.factor, sp.Trace(p.matrix)]))

    def _diag(self, x: Form) -> Piece:
        p = self.piece(x.args[0])
        if len(x.args[0].axes) == 1:
            return Piece(p.factor, sp.DiagMatrix(p.matrix), *self.target(x.axes))
        return Piece(p.factor, sp.DiagonalOf(p.matrix), x.axes[0], None)

    def _eye(self, x: Form) -> Piece:
        row, column = self.target(x.axes)
        return Piece(sp.S.One, sp.Identity(self.length(row)), row, column)

    def _full(self, x: Form) -> Piece:
        return self.spread(self.aligned(x.args[0], x.axes), *self.target(x.axes))

    # -- functions --

    def _call(self, x: Form) -> Piece:
        return self._applied(functions.scalar_function(self.symbols.graph.table[str(x.data[0])]), x)

    def _compare(self, x: Form) -> Piece:
        fn = str(x.data[0])
        return self._applied(lambda a, b: functions.truth(fn, a, b), x)

    def _where(self, x: Form) -> Piece:
        mask = x.args[0]
        if mask.kind == "compare":
            fn = functions.RELATIONS[str(mask.data[0])]
            parts = [self.aligned(a, x.axes) for a in (*mask.args, *x.args[1:])]
            return self._entrywise(lambda a, b, y, n: sp.Piecewise((y, fn(a, b)), (n, True)), parts, x.axes)
        return self._applied(lambda m, y, n: sp.Piecewise((y, sp.Ne(m, 0)), (n, True)), x)

    def _applied(self, function: Any, x: Form) -> Piece:
        return self._entrywise(function, [self.aligned(a, x.axes) for a in x.args], x.axes)

    def _entrywise(self, function: Any, parts: Sequence[Piece], axes: Axes) -> Piece:
        if all(p.matrix is None for p in parts):
            return Piece(function(*(p.factor for p in parts)))
        row, column = self.target(axes)
        given = [p.factor if p.matrix is None else self.spread(p, row, column).whole for p in parts]
        return Piece(sp.S.One, functions.entrywise(function, *given), row, column)


def transposed(p: Piece) -> Piece:
    if p.matrix is None:
        return p
    matrix = p.matrix.arg if isinstance(p.matrix, sp.Transpose) else sp.Transpose(p.matrix)
    return Piece(p.factor, matrix, p.column, p.row)


def inverted(p: Piece) -> Piece:
    """1 / p, entry by entry."""
    if p.matrix is None:
        return Piece(1 / p.factor)
    return Piece(1 / p.factor, sp.HadamardPower(p.matrix, -1), p.row, p.column)


def hadamard(matrices: Sequence[Sym]) -> Sym:
    return matrices[0] if len(matrices) == 1 else sp.HadamardProduct(*matrices)
