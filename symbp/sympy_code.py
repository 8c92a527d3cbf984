"""`lambdify` for the expressions of networks: sympy.lambdify with a printer that knows them.

Plain `lambdify` prints invalid code for `X.applyfunc(tanh)` and fails on traces, Hadamard powers and
matrices of ones whose size is a symbol. The printer here writes them for NumPy, and sizes are read
off the arrays that are passed in.

Invariant: no name of the expression reaches the generated source. Symbols become `a0`, `a1`, …,
bound letters `b0`, …, and every function a helper `f0`, …; what the printer does not know is an
error, never text. Values come from the table of functions, so a kink has the value it has there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.sympify import _sympify  # strict: never reads a text
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagonalMatrix, DiagonalOf
from sympy.printing.numpy import NumPyPrinter

from symbp.errors import NoRule, RequestError
from symbp.evaluate import _REDUCTIONS as REDUCTIONS
from symbp.ops import OPS
from symbp.sympy_in import FUNCTIONS, RELATIONS, values_by_evalf

Sym = Any


def lambdify(
    args: Sequence[Any], expr: Any, *, origin: int = 0, unknown: Mapping[str, Callable[..., Any]] | None = None
) -> Callable[..., Any]:
    """A NumPy function of `args` (symbols, matrix symbols, indexed bases) for a SymPy expression.

    Sizes that are symbols are read off the shapes of the arrays. Indexed arrays count from
    `origin` in the expression (their NumPy arrays from 0, as always). `unknown` has functions for
    names without a definition.

    Raises RequestError for a symbol of the expression that is neither an argument nor a size.
    """
    args = tuple(args)
    sizes = tuple(dict.fromkeys(d for a in args for d in shape_of(a) if d.is_Symbol and d not in args))
    printer = Printer((*args, *sizes), origin, unknown or {})
    names = [sp.Symbol(printer.names[a]) for a in (*args, *sizes)]
    source = sp.lambdify(names, _Whole(expr), modules=[dict(HELPERS)], printer=printer)
    source.__globals__.update(printer.helpers)  # those that were named while the source was printed

    def call(*values: Any) -> Any:
        if len(values) != len(args):
            raise RequestError(f"{len(args)} values are needed ({', '.join(map(str, args))}), not {len(values)}.")
        arrays = [_array(a, v) for a, v in zip(args, values, strict=True)]
        found = _sizes(args, arrays)
        return source(*arrays, *(found[s] for s in sizes))

    return call


def shape_of(symbol: Sym) -> tuple[Sym, ...]:
    shape = getattr(symbol, "shape", None)
    return tuple(map(_sympify, shape)) if shape else ()


def _array(symbol: Sym, value: Any) -> Any:
    """The value as numbers; a vector for a column becomes one."""
    array = np.asarray(value)
    array = array if array.dtype.kind in "fc" else array.astype(float)
    if isinstance(symbol, sp.MatrixSymbol) and array.ndim == 1 and symbol.shape[1] == 1:
        return array.reshape(-1, 1)
    return array[()] if array.ndim == 0 else array


def _sizes(args: Sequence[Sym], arrays: Sequence[Any]) -> dict[Sym, int]:
    """What the shapes of the arrays say of the sizes."""
    found: dict[Sym, int] = {}
    for a, array in zip(args, arrays, strict=True):
        shape = shape_of(a)
        if shape and len(shape) != np.ndim(array):
            raise RequestError(f"{a} must have {len(shape)} axes, not {np.ndim(array)}.")
        for d, n in zip(shape, np.shape(array), strict=False):
            expected = int(d) if d.is_Integer else found.setdefault(d, n)
            if expected != n:
                raise RequestError(f"{a}: the size {d} is {expected}, and the array has {n} there.")
    return found


class _Whole(sp.Basic):  # type: ignore[misc]
    """An expression that lambdify hands to the printer as it is."""


class Printer(NumPyPrinter):  # type: ignore[misc]
    """NumPy source in names of our own."""

    def __init__(
        self, symbols: Sequence[Sym], origin: int = 0, unknown: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        super().__init__({"fully_qualified_modules": False, "inline": True})
        self.unknown = unknown or {}
        self.names: dict[Sym, str] = {s: f"a{n}" for n, s in enumerate(symbols)}
        self.origin = origin
        self.bound: dict[Sym, str] = {}
        self.helpers: dict[str, Any] = {}
        self.helper_names: dict[Sym, str] = {}

    def _print__Whole(self, e: Sym) -> str:
        return self.text(e.args[0])

    def text(self, e: Sym) -> str:
        return str(self._print(e))

    def _print_AppliedUndef(self, e: Sym) -> str:
        function = self.unknown.get(e.func.__name__)
        if function is None:
            raise NoRule(f"symbp has no values for the unknown function {e.func.__name__}")
        return f"{self.helper(e.func, function)}({', '.join(map(self.text, e.args))})"

    def emptyPrinter(self, e: Sym) -> str:
        raise NoRule(f"symbp cannot lambdify {type(e).__name__}")

    def _print_not_supported(self, e: Sym) -> str:
        return self.emptyPrinter(e)

    # -- names --

    def _print_Symbol(self, e: Sym) -> str:
        name = self.names.get(e) or self.bound.get(e)
        if name is None:
            raise RequestError(f"{e} is neither an argument nor a size of one.")
        return name

    _print_Dummy = _print_MatrixSymbol = _print_Idx = _print_IndexedBase = _print_Symbol

    def bind(self, symbols: Sequence[Sym]) -> list[str]:
        """Names for bound letters."""
        for s in symbols:
            self.bound.setdefault(s, f"b{len(self.bound)}")
        return [self.bound[s] for s in symbols]

    def helper(self, key: Sym, function: Any) -> str:
        """The name under which a function of ours is called."""
        name = self.helper_names.setdefault(key, f"f{len(self.helper_names)}")
        self.helpers[name] = function
        return name

    def call(self, name: str, *args: Any) -> str:
        return f"{name}({', '.join(a if isinstance(a, str) else self.text(a) for a in args)})"

    # -- scalars --

    def _print_Function(self, e: Sym) -> str:
        name = FUNCTIONS.get(e.func)
        if isinstance(e, AppliedUndef):
            return self.emptyPrinter(e)
        if name is None:
            return self.call(self.helper(e.func, lambda *xs: values_by_evalf(np, e.func, xs)), *e.args)
        row = OPS[name]
        return self.call(self.helper(name, lambda *xs: row.value(np, *xs)), *e.args)

    _print_exp = _print_log = _print_sin = _print_cos = _print_tan = _print_sinh = _print_cosh = _print_Function
    _print_tanh = _print_atan = _print_erf = _print_Abs = _print_sign = _print_Function

    def _print_Heaviside(self, e: Sym) -> str:
        return self.call(self.helper("step", lambda x: OPS["step"].value(np, x)), e.args[0])

    def _print_Max(self, e: Sym) -> str:
        return reduce(lambda a, b: f"maximum_({a}, {b})", map(self.text, e.args))

    def _print_Min(self, e: Sym) -> str:
        return reduce(lambda a, b: f"minimum_({a}, {b})", map(self.text, e.args))

    def _print_Piecewise(self, e: Sym) -> str:
        *cases, (last, when) = e.args
        out = self.text(last) if when == sp.true else f"where_({self.text(when)}, {self.text(last)}, nan_)"
        for value, condition in reversed(cases):
            out = f"where_({self.text(condition)}, {self.text(value)}, {out})"
        return out

    def _print_Relational(self, e: Sym) -> str:
        return f"(({self.text(e.lhs)}) {RELATIONS[type(e)]} ({self.text(e.rhs)}))"

    def _print_And(self, e: Sym) -> str:
        return "(" + " & ".join(map(self.text, e.args)) + ")"

    def _print_Or(self, e: Sym) -> str:
        return "(" + " | ".join(map(self.text, e.args)) + ")"

    def _print_Not(self, e: Sym) -> str:
        return f"(1 - {self.text(e.args[0])})"

    def _print_KroneckerDelta(self, e: Sym) -> str:
        return f"(1.0*(({self.text(e.args[0])}) == ({self.text(e.args[1])})))"

    # -- indices --

    def _range(self, letter: Sym, low: Sym, high: Sym) -> str:
        (name,) = self.bind([letter])
        return f"for {name} in range_({self.text(low)}, {self.text(high)} + 1)"

    def _loops(self, e: Sym, function: str) -> str:
        loops = " ".join(self._range(*limit) for limit in reversed(e.limits))
        return f"{function}([{self.text(e.function)} {loops}])"

    def _print_Sum(self, e: Sym) -> str:
        return self._loops(e, "total_")

    def _print_MaxOver(self, e: Sym) -> str:
        return self._loops(e, "max_")

    def _print_MinOver(self, e: Sym) -> str:
        return self._loops(e, "min_")

    def _print_Indexed(self, e: Sym) -> str:
        return self.call("entry_", e.base, *(f"{self.text(i)} - {self.origin}" for i in e.indices))

    def _print_MatrixElement(self, e: Sym) -> str:
        return self.call("entry_", e.parent, *e.indices)

    # -- matrices --

    def _print_MatMul(self, e: Sym) -> str:
        scalars = [f"({self.text(a)})" for a in e.args if not a.is_Matrix]
        matrices = [f"({self.text(a)})" for a in e.args if a.is_Matrix]
        return "*".join([*scalars, f"({' @ '.join(matrices)})"])

    def _print_MatAdd(self, e: Sym) -> str:
        return "(" + " + ".join(f"({self.text(a)})" for a in e.args) + ")"

    def _print_Transpose(self, e: Sym) -> str:
        return f"({self.text(e.arg)}).T"

    def _print_HadamardProduct(self, e: Sym) -> str:
        return "(" + "*".join(f"({self.text(a)})" for a in e.args) + ")"

    def _print_HadamardPower(self, e: Sym) -> str:
        return f"(({self.text(e.base)})**({self.text(e.exp)}))"

    def _applied(self, function: Sym, matrices: Sequence[Sym]) -> str:
        names = self.bind(function.variables)
        operands = ", ".join(map(self.text, matrices))
        return f"(lambda {', '.join(names)}: full_({self.text(function.expr)}, {names[0]}))({operands})"

    def _print_ElementwiseApplyFunction(self, e: ElementwiseApplyFunction) -> str:
        return self._applied(e.function, [e.expr])

    def _print_Entrywise(self, e: Sym) -> str:
        return self._applied(e.args[0], e.args[1:])

    def _print_WholeReduction(self, e: Sym) -> str:
        return self.call(f"{e.operation}_", e.arg)

    def _print_AxisReduction(self, e: Sym) -> str:
        return self.call("axis_", repr(str(e.operation)) if e.operation in REDUCTIONS else "'sum'", e.arg, str(e.axis))

    def _print_RowFunction(self, e: Sym) -> str:
        return self.call("row_", repr(type(e).operation), e.arg, str(e.axis))

    def _print_Trace(self, e: Sym) -> str:
        return self.call("trace_", e.arg)

    def _print_Determinant(self, e: Sym) -> str:
        return self.call("det_", e.arg)

    def _print_Inverse(self, e: Sym) -> str:
        return self.call("inv_", e.arg)

    def _print_MatPow(self, e: Sym) -> str:
        return self.call("power_", e.base, e.exp)

    def _print_OneMatrix(self, e: Sym) -> str:
        return f"ones_(({self.text(e.shape[0])}, {self.text(e.shape[1])}))"

    def _print_ZeroMatrix(self, e: Sym) -> str:
        return f"(0.0*{self._print_OneMatrix(e)})"

    def _print_Identity(self, e: Sym) -> str:
        return self.call("eye_", e.shape[0])

    def _print_DiagMatrix(self, e: Sym) -> str:
        return self.call("diag_", e.args[0])

    def _print_DiagonalOf(self, e: DiagonalOf) -> str:
        return f"diagonal_({self.text(e.arg)}).reshape(-1, 1)"

    def _print_DiagonalMatrix(self, e: DiagonalMatrix) -> str:
        return f"diag_(diagonal_({self.text(e.arg)}))"

    def _print_DotProduct(self, e: Sym) -> str:
        return f"total_(({self.text(e.args[0])}).ravel()*({self.text(e.args[1])}).ravel())"

    def _print_FunctionMatrix(self, e: Sym) -> str:
        i, j = self.bind(e.lamda.variables)
        rows, columns = map(self.text, e.shape)
        return f"array_([[{self.text(e.lamda.expr)} for {j} in range_(0, {columns})] for {i} in range_(0, {rows})])"

    def _print_MatrixSlice(self, e: Sym) -> str:
        cuts = (f"{self.text(a)}:{self.text(b)}:{self.text(c)}" for a, b, c in (e.rowslice, e.colslice))
        return f"({self.text(e.parent)})[{', '.join(cuts)}]"

    def _print_BlockMatrix(self, e: Sym) -> str:
        rows, columns = e.blockshape
        lines = (", ".join(self.text(e.blocks[i, j]) for j in range(columns)) for i in range(rows))
        return f"block_([{', '.join(f'[{line}]' for line in lines)}])"

    def _print_MatrixBase(self, e: Sym) -> str:
        lines = (", ".join(map(self.text, e.row(i))) for i in range(e.rows))
        return f"array_([{', '.join(f'[{line}]' for line in lines)}])"

    _print_ImmutableDenseMatrix = _print_MutableDenseMatrix = _print_ImmutableMatrix = _print_MatrixBase


# ---- what the source calls --------------------------------------------------------------------------


def _entry(array: Any, *at: Any) -> Any:
    """One entry; out of range is the nearest one (a factor 0 stands beside it)."""
    array = np.asarray(array)
    return array[tuple(int(min(max(round(float(i)), 0), n - 1)) for i, n in zip(at, array.shape, strict=True))]


def _axis(operation: str, array: Any, axis: int) -> Any:
    moved = np.moveaxis(np.asarray(array), axis, -1)
    result = moved.sum(axis=-1) if operation == "sum" else REDUCTIONS[operation](moved, 1)
    return np.expand_dims(result, axis)


def _row(operation: str, array: Any, axis: int) -> Any:
    return np.moveaxis(REDUCTIONS[operation](np.moveaxis(np.asarray(array), axis, -1), 1), -1, axis)


def _full(value: Any, like: Any) -> Any:
    return value if np.shape(value) == np.shape(like) else np.broadcast_to(value, np.shape(like))


HELPERS: Mapping[str, Any] = {
    "entry_": _entry, "axis_": _axis, "row_": _row, "full_": _full, "nan_": np.nan, "where_": np.where,
    "maximum_": lambda a, b: OPS["maximum"].value(np, a, b), "minimum_": lambda a, b: OPS["minimum"].value(np, a, b),
    "total_": lambda a: np.sum(a), "max_": lambda a: np.max(a), "min_": lambda a: np.min(a),
    "logsumexp_": lambda a: REDUCTIONS["logsumexp"](np.asarray(a), np.ndim(a)), "trace_": np.trace,
    "det_": np.linalg.det, "inv_": np.linalg.inv, "power_": lambda a, n: np.linalg.matrix_power(a, int(n)),
    "ones_": lambda shape: np.ones(tuple(map(int, shape))), "eye_": lambda n: np.eye(int(n)),
    "range_": lambda low, high: range(int(low), int(high)), "diag_": lambda v: np.diagflat(v), "diagonal_": np.diagonal,
    "array_": np.array, "block_": np.block,
}  # fmt: skip
