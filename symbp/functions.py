"""The functions of networks for SymPy: on scalars, and entry by entry on matrices.

Every row of the table in ops.py has a public function here. On a scalar it is SymPy's own class
where SymPy has one (`tanh`), else a `Function` subclass made from the row, whose `fdiff` is the
row's slope, seen from the output as books write it: σ′ = σ(1 − σ). On a matrix it is SymPy's
`ElementwiseApplyFunction`; with several matrices an `Entrywise`, which SymPy lacks. Reductions
(`total`, `mean`, `softmax`, …) are SymPy's products with ones where that says it, else one of the
few classes below.

Invariants: a matrix stays two-dimensional (a reduction over an axis keeps it, with length 1);
every class here knows its entries, so `as_explicit` works at sizes that are numbers. Bound symbols
of `Lambda`s are always the same ones, because SymPy compares `Lambda`s by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.sympify import _sympify  # strict: never reads a text
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.matexpr import MatrixExpr

from symbp.errors import DeclarationError
from symbp.expr import Add, Call, Compare, Const, Entry, Expr, Mul, Num, Pow, Select
from symbp.ops import OPS, Op, fill

Sym = Any  # SymPy has no type hints

BOUND = sp.symbols("x y z u v w")
EXACT = {"relu", "step", "leaky_relu"}  # a number goes in, and a number comes out


# ---- expressions of one entry as SymPy ----------------------------------------------------------


def to_scalar(e: Expr, leaf: Callable[[Expr], Sym], table: Mapping[str, Op] = OPS) -> Sym:
    """An expression as a SymPy scalar; `leaf` answers for entries, sizes, letters and reductions.

    Unlike SymPy, a number is not distributed over a sum: 2(p − y) stays."""

    def inner(x: Expr) -> Sym:
        return to_scalar(x, leaf, table)

    match e:
        case Num():
            return number(e)
        case Const(name="pi"):
            return sp.pi
        case Const(name="inf"):
            return sp.oo
        case Add():
            return sp.Add(*map(inner, e.args))
        case Mul():
            return product([inner(a) for a in e.args])
        case Pow():
            return sp.Pow(inner(e.base), inner(e.exponent))
        case Call():
            return scalar_function(table[e.fn])(*map(inner, e.args))
        case Compare():
            return truth(e.fn, *map(inner, e.args))
        case Select():
            yes, no = map(inner, e.args[1:])
            return sp.Piecewise((yes, condition(e.args[0], inner)), (no, True))
    return leaf(e)


def number(e: Num) -> Sym:
    return sp.Float(str(float(e.value))) if e.decimal else sp.Rational(e.value.numerator, e.value.denominator)


def product(factors: Sequence[Sym]) -> Sym:
    """The product; the number in front of a sum is kept apart."""
    numbers = sp.Mul(*(f for f in factors if f.is_Number))
    rest = sp.Mul(*(f for f in factors if not f.is_Number))
    if rest.is_Add and numbers is not sp.S.One:
        return sp.Mul(numbers, rest, evaluate=False)
    return sp.Mul(numbers, rest)


RELATIONS: dict[str, Callable[..., Sym]] = {
    ">": sp.StrictGreaterThan, ">=": sp.GreaterThan, "<": sp.StrictLessThan, "<=": sp.LessThan,
    "==": sp.Eq, "!=": sp.Ne,
}  # fmt: skip


def truth(fn: str, a: Sym, b: Sym) -> Sym:
    """1 where the comparison holds, else 0."""
    if fn in (">", "<"):
        return step_class(a - b if fn == ">" else b - a)
    if fn in (">=", "<="):
        return 1 - step_class(b - a if fn == ">=" else a - b)
    return sp.Piecewise((1, RELATIONS[fn](a, b)), (0, True))


def condition(e: Expr, scalar: Callable[[Expr], Sym]) -> Sym:
    """An expression that counts as true where it is not 0; `scalar` writes its parts."""
    if isinstance(e, Compare):
        return RELATIONS[e.fn](*map(scalar, e.args))
    if isinstance(e, Mul) and all(isinstance(a, Compare) for a in e.args):
        return sp.And(*(condition(a, scalar) for a in e.args))
    return sp.Ne(scalar(e), 0)


# ---- scalar functions ---------------------------------------------------------------------------


class TableFunction(sp.Function):  # type: ignore[misc]
    """A function of the table that SymPy does not have; subclasses are made from the rows."""

    row: Op

    @classmethod
    def eval(cls, *args: Sym) -> Sym:
        if cls.row.name in EXACT and all(a.is_Number for a in args):
            return cls.row.twin(sp, *args)
        return None

    def fdiff(self, argindex: int = 1) -> Sym:
        """The slope of the row, seen from the output."""
        names = [f"x{n}" for n in range(len(self.args))]
        slope = self.row.slopes[argindex - 1](Entry("out"), *map(Entry, names))
        values = {"out": self, **dict(zip(names, self.args, strict=True))}
        return to_scalar(slope, lambda e: values[e.tensor] if isinstance(e, Entry) else sp.nan)

    def as_twin(self) -> Sym:
        """The definition in SymPy's own functions."""
        return self.row.twin(sp, *self.args)

    def _eval_evalf(self, prec: int) -> Sym:
        return self.as_twin()._eval_evalf(prec)

    def _eval_expand_func(self, **hints: Any) -> Sym:
        return self.as_twin()

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(a.is_extended_real for a in self.args) else None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        shown = fill(self.row.latex, *map(printer._print, self.args))
        return shown if exp is None else rf"\left({shown}\right)^{{{exp}}}"


def _make(row: Op) -> type[TableFunction]:
    arities = tuple(range(row.arity - len(row.defaults), row.arity + 1))
    members = {"row": row, "nargs": arities, "_imp_": staticmethod(lambda *args: row.value(np, *args))}
    members["__module__"], members["__doc__"] = __name__, f"{row.name} as a SymPy function."
    return type(row.name, (TableFunction,), members)


NATIVE: dict[str, Sym] = {
    "exp": sp.exp, "log": sp.log, "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "sinh": sp.sinh, "cosh": sp.cosh,
    "tanh": sp.tanh, "arctan": sp.atan, "erf": sp.erf, "abs": sp.Abs, "sign": sp.sign, "maximum": sp.Max,
    "minimum": sp.Min,
}  # fmt: skip
MADE: dict[str, type[TableFunction]] = {name: _make(row) for name, row in OPS.items() if name not in NATIVE}
step_class: Sym = MADE["step"]


def scalar_function(row: Op) -> Callable[..., Sym]:
    """The SymPy function of a row."""
    if row.name in NATIVE:
        return NATIVE[row.name]  # type: ignore[no-any-return]
    if row.name in MADE:
        return MADE[row.name]
    return lambda *args: row.twin(sp, *args)


# ---- entry by entry -----------------------------------------------------------------------------


def is_matrix(x: Sym) -> bool:
    return bool(getattr(x, "is_Matrix", False))


def entrywise(function: Callable[..., Sym], *args: Sym) -> Sym:
    """`function` of scalars, or entry by entry of matrices of one shape; scalars among them are
    the same for every entry."""
    args = tuple(map(_sympify, args))
    matrices = [a for a in args if is_matrix(a)]
    if not matrices:
        return function(*args)
    symbols = iter(BOUND)
    inner = [next(symbols) if is_matrix(a) else a for a in args]
    body = sp.Lambda(tuple(BOUND[: len(matrices)]), function(*inner))
    if len(matrices) == 1:
        (only,) = matrices
        return ElementwiseApplyFunction(body, only) if isinstance(only, MatrixExpr) else only.applyfunc(body)
    return Entrywise(body, *matrices)


class Entrywise(MatrixExpr):  # type: ignore[misc]
    """A function of several matrices of the same shape, entry by entry: `Entrywise(Lambda, A, B)`."""

    def __new__(cls, function: Sym, *matrices: Sym) -> Entrywise:
        shapes = {m.shape for m in matrices}
        if len(shapes) > 1:
            shown = " and ".join(str(m.shape) for m in matrices)
            raise DeclarationError(f"entry by entry, matrices must have one shape, and here are {shown}")
        return MatrixExpr.__new__(cls, function, *matrices)  # type: ignore[no-any-return]

    @property
    def shape(self) -> Sym:
        return self.args[1].shape

    def _entry(self, i: Sym, j: Sym, **hints: Any) -> Sym:
        return self.args[0](*(m[i, j] for m in self.args[1:]))

    def _latex(self, printer: Any) -> str:
        return printer._print(self.args[0](*(sp.Symbol(printer._print(m)) for m in self.args[1:])))  # type: ignore[no-any-return]


def _public(row: Op) -> Callable[..., Sym]:
    def function(*args: Sym) -> Sym:
        missing = row.arity - len(args)
        if missing < 0 or missing > len(row.defaults):
            raise DeclarationError(f"{row.name} takes {row.arity} argument{'s' * (row.arity > 1)}, not {len(args)}")
        given = [*args, *map(number, row.defaults[len(row.defaults) - missing :] if missing else ())]
        return entrywise(scalar_function(row), *given)

    function.__name__ = function.__qualname__ = row.name
    function.__doc__ = f"{row.name} of scalars, or of matrices entry by entry."
    return function


ELEMENTWISE: dict[str, Callable[..., Sym]] = {name: _public(row) for name, row in OPS.items()}


def square(x: Sym) -> Sym:
    """x², entry by entry."""
    return sp.HadamardPower(x, 2) if is_matrix(x) else _sympify(x) ** 2


def sqrt(x: Sym) -> Sym:
    """√x, entry by entry."""
    return sp.HadamardPower(x, sp.Rational(1, 2)) if is_matrix(x) else sp.sqrt(x)


def hadamard(*factors: Sym) -> Sym:
    """The product entry by entry."""
    matrices = [f for f in factors if is_matrix(f)]
    numbers = sp.Mul(*(f for f in factors if not is_matrix(f)))
    if not matrices:
        return numbers
    inner = sp.HadamardProduct(*matrices) if len(matrices) > 1 else matrices[0]
    return inner if numbers == 1 else sp.MatMul(numbers, inner)


def where(mask: Sym, yes: Sym, no: Sym) -> Sym:
    """`yes` where the mask (a condition, or a number that is not 0) holds, else `no`."""

    def choose(m: Sym, y: Sym, n: Sym) -> Sym:
        known = isinstance(m, sp.logic.boolalg.Boolean) and not isinstance(m, sp.Symbol)  # a symbol is both to SymPy
        return sp.Piecewise((y, m if known else sp.Ne(m, 0)), (n, True))

    return (
        entrywise(choose, mask, yes, no)
        if not isinstance(mask, sp.core.relational.Relational)
        else choose(mask, yes, no)
    )


# ---- reductions ---------------------------------------------------------------------------------


def _entries(m: Sym) -> list[Sym]:
    return list(m.as_explicit()) if isinstance(m, MatrixExpr) else list(m)


def _is_explicit(*sizes: Sym) -> bool:
    return all(getattr(s, "is_Integer", isinstance(s, int)) for s in sizes)


def _log_sum_exp(entries: Sequence[Sym]) -> Sym:
    return sp.log(sp.Add(*map(sp.exp, entries)))


FOLDS: dict[str, Callable[[Sequence[Sym]], Sym]] = {
    "total": lambda xs: sp.Add(*xs),
    "max": lambda xs: sp.Max(*xs),
    "min": lambda xs: sp.Min(*xs),
    "logsumexp": _log_sum_exp,
}


class WholeReduction(sp.Expr):  # type: ignore[misc]
    """A scalar made of all entries of a matrix; one subclass per operation."""

    operation = ""
    is_commutative = True

    def __new__(cls, matrix: Sym) -> WholeReduction:
        return sp.Expr.__new__(cls, _sympify(matrix))  # type: ignore[no-any-return]

    @property
    def arg(self) -> Sym:
        return self.args[0]

    def doit(self, **hints: Any) -> Sym:
        """Written out where the sizes are numbers."""
        arg = self.arg.doit(**hints) if hints.get("deep", True) else self.arg
        return FOLDS[self.operation](_entries(arg)) if _is_explicit(*arg.shape) else self.func(arg)

    def _sympystr(self, printer: Any) -> str:
        return f"{self.operation}({printer._print(self.arg)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        name = {"total": "sum"}.get(self.operation, self.operation)
        shown = rf"\mathrm{{{name}}}\left({printer._print(self.arg)}\right)"
        return shown if exp is None else rf"{shown}^{{{exp}}}"


class Total(WholeReduction):
    """The sum of all entries."""

    operation = "total"


class Largest(WholeReduction):
    """The largest entry."""

    operation = "max"


class Smallest(WholeReduction):
    """The smallest entry."""

    operation = "min"


class LogSumExp(WholeReduction):
    """log Σ exp of all entries."""

    operation = "logsumexp"


class Scalar(WholeReduction):
    """The only entry of a 1×1 matrix."""

    operation = "total"

    def _sympystr(self, printer: Any) -> str:
        return f"scalar({printer._print(self.arg)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        shown = printer.parenthesize(self.arg, 100) if exp else printer._print(self.arg)
        return shown if exp is None else f"{shown}^{{{exp}}}"


WHOLE: dict[str, type[WholeReduction]] = {"total": Total, "max": Largest, "min": Smallest, "logsumexp": LogSumExp}


class AxisReduction(MatrixExpr):  # type: ignore[misc]
    """A reduction over one axis, which stays with length 1: `AxisReduction("max", Z, 1)`."""

    def __new__(cls, operation: Sym, matrix: Sym, axis: Sym) -> AxisReduction:
        return MatrixExpr.__new__(cls, sp.core.symbol.Str(str(operation)), matrix, sp.Integer(axis))  # type: ignore[no-any-return]

    operation = property(lambda self: str(self.args[0]))
    arg = property(lambda self: self.args[1])
    axis = property(lambda self: int(self.args[2]))

    @property
    def shape(self) -> Sym:
        rows, columns = self.arg.shape
        return (sp.S.One, columns) if self.axis == 0 else (rows, sp.S.One)

    def _entry(self, i: Sym, j: Sym, **hints: Any) -> Sym:
        length = self.arg.shape[self.axis]
        if not _is_explicit(length):
            return sp.MatrixElement(self, i, j)
        return FOLDS[self.operation]([self.arg[k, j] if self.axis == 0 else self.arg[i, k] for k in range(length)])


class RowFunction(MatrixExpr):  # type: ignore[misc]
    """softmax or log_softmax over one axis."""

    operation = ""

    def __new__(cls, matrix: Sym, axis: Sym) -> RowFunction:
        return MatrixExpr.__new__(cls, matrix, sp.Integer(axis))  # type: ignore[no-any-return]

    arg = property(lambda self: self.args[0])
    axis = property(lambda self: int(self.args[1]))

    @property
    def shape(self) -> Sym:
        return self.arg.shape

    def _all(self, i: Sym, j: Sym) -> Sym:
        """Σ exp over the axis."""
        length = self.arg.shape[self.axis]

        def at(k: Sym) -> Sym:
            return sp.exp(self.arg[k, j] if self.axis == 0 else self.arg[i, k])

        if _is_explicit(length):
            return sp.Add(*(at(k) for k in range(length)))
        k = sp.Dummy("k", integer=True)
        return sp.Sum(at(k), (k, 0, length - 1))

    def _sympystr(self, printer: Any) -> str:
        return f"{self.operation}({printer._print(self.arg)}, axis={self.axis})"

    def _latex(self, printer: Any) -> str:
        return rf"\mathrm{{{self.operation.replace('_', chr(92) + '_')}}}\left({printer._print(self.arg)}\right)"


class Softmax(RowFunction):
    operation = "softmax"

    def _entry(self, i: Sym, j: Sym, **hints: Any) -> Sym:
        return sp.exp(self.arg[i, j]) / self._all(i, j)


class LogSoftmax(RowFunction):
    operation = "log_softmax"

    def _entry(self, i: Sym, j: Sym, **hints: Any) -> Sym:
        return self.arg[i, j] - sp.log(self._all(i, j))


ROW: dict[str, type[RowFunction]] = {"softmax": Softmax, "log_softmax": LogSoftmax}


def _axis(name: str, m: Sym, axis: int | None) -> int:
    """The axis of a row function: by default the columns' one, of a column its only long one."""
    if not is_matrix(m):
        raise DeclarationError(f"{name} needs a matrix, and {m} is a scalar")
    if axis is None:
        return 0 if m.shape[1] == 1 else 1
    if axis not in (-2, -1, 0, 1):
        raise DeclarationError(f"{name}: axis {axis} does not exist: a matrix has the axes 0 and 1")
    return axis % 2


def softmax(m: Sym, axis: int | None = None) -> Sym:
    """softmax of every row (axis=1) or column (axis=0); a single column by default along itself."""
    return Softmax(m, _axis("softmax", m, axis))


def log_softmax(m: Sym, axis: int | None = None) -> Sym:
    """The logarithm of the softmax."""
    return LogSoftmax(m, _axis("log_softmax", m, axis))


def _reduce(operation: str, m: Sym, axis: int | None) -> Sym:
    if not is_matrix(m):
        return _sympify(m)
    return WHOLE[operation](m) if axis is None else AxisReduction(operation, m, _axis(operation, m, axis))


def total(m: Sym, axis: int | None = None) -> Sym:
    """The sum of all entries, or over an axis, which stays with length 1."""
    if axis is None or not is_matrix(m):
        return _reduce("total", m, None)
    n = m.shape[_axis("total", m, axis)]
    return sp.OneMatrix(1, n) * m if axis % 2 == 0 else m * sp.OneMatrix(n, 1)


def mean(m: Sym, axis: int | None = None) -> Sym:
    """The sum divided by the number of entries."""
    if not is_matrix(m):
        return _sympify(m)
    rows, columns = m.shape
    count = rows * columns if axis is None else m.shape[_axis("mean", m, axis)]
    return total(m, axis) / count


def var(m: Sym, axis: int | None = None) -> Sym:
    """The mean squared distance from the mean (divided by n)."""
    ones = sp.OneMatrix(*m.shape)
    middle = mean(m, axis)
    if axis is None:
        spread = sp.MatMul(middle, ones)
    else:
        n = m.shape[axis % 2]
        spread = sp.OneMatrix(n, 1) * middle if axis % 2 == 0 else middle * sp.OneMatrix(1, n)
    return mean(square(m - spread), axis)


def max_(m: Sym, axis: int | None = None) -> Sym:
    """The largest entry, or the largest along an axis."""
    return _reduce("max", m, axis)


def min_(m: Sym, axis: int | None = None) -> Sym:
    """The smallest entry, or the smallest along an axis."""
    return _reduce("min", m, axis)


def logsumexp(m: Sym, axis: int | None = None) -> Sym:
    """log Σ exp of all entries, or along an axis."""
    return _reduce("logsumexp", m, axis)


def norm2sq(m: Sym, axis: int | None = None) -> Sym:
    """The sum of squares."""
    return total(square(m), axis)


def norm(m: Sym, axis: int | None = None) -> Sym:
    """The root of the sum of squares."""
    return sqrt(total(square(m), axis))


# ---- shapes -------------------------------------------------------------------------------------


def scalar(m: Sym) -> Sym:
    """A 1×1 matrix as a scalar."""
    if not is_matrix(m):
        return _sympify(m)
    if m.shape != (1, 1):
        raise DeclarationError(f"scalar needs a 1×1 matrix, and {m} is {m.shape[0]}×{m.shape[1]}")
    return Scalar(m) if isinstance(m, MatrixExpr) else m[0, 0]


def rows(b: Sym, n: Sym) -> Sym:
    """A bias as every one of n rows; `b` is a column or a row."""
    return sp.OneMatrix(n, 1) * (b if b.shape[0] == 1 else b.T)


def columns(b: Sym, n: Sym) -> Sym:
    """A bias as every one of n columns; `b` is a column or a row."""
    return (b if b.shape[1] == 1 else b.T) * sp.OneMatrix(1, n)


def outer(a: Sym, b: Sym) -> Sym:
    """a bᵀ of two columns."""
    return a * b.T


def dot(a: Sym, b: Sym) -> Sym:
    """aᵀ b of two columns, as a scalar."""
    return scalar(a.T * b)


def diag(v: Sym) -> Sym:
    """The diagonal matrix of a column, or the diagonal of a matrix as a column."""
    return sp.DiagMatrix(v) if 1 in v.shape else sp.DiagonalOf(v)


def logdet(m: Sym) -> Sym:
    """log |det|."""
    return sp.log(sp.Abs(sp.Determinant(m)))


PUBLIC: dict[str, Callable[..., Sym]] = {
    **ELEMENTWISE,
    "square": square, "sqrt": sqrt, "hadamard": hadamard, "where": where, "softmax": softmax,
    "log_softmax": log_softmax, "total": total, "mean": mean, "var": var, "max": max_, "min": min_,
    "logsumexp": logsumexp, "norm": norm, "norm2sq": norm2sq, "scalar": scalar, "rows": rows, "columns": columns,
    "outer": outer, "dot": dot, "diag": diag, "trace": sp.Trace, "det": sp.Determinant, "inv": sp.Inverse,
    "logdet": logdet,
}  # fmt: skip
"""What `import symbp as sb` shows as `sb.<name>`."""
