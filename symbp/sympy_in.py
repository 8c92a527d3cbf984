"""SymPy expressions as operands: what `X*W1`, `tanh(z)` or a `Sum` means, entry by entry.

`ExprReader.read` turns any expression, scalar or matrix, into a `Tensor`: a shape and a function
from indices to one entry. A matrix keeps its two axes (a column is (n, 1)); a scalar has none. The
meaning is SymPy's except where SymPy looks away: shapes are checked here, because `X*W + b` of
different shapes passes SymPy unnoticed, and `tanh(Z)` of a matrix is meant entry by entry.

Order: SymPy sorts summands, so they are read as SymPy prints them, positive ones first; an
unevaluated `Add` or `Mul` is read as it was written; matrix factors keep their order.

A user's own `Function` with `fdiff` becomes a row of the network's own functions under its own name
(where that is taken, under another), whose slopes are what `fdiff` says. A `Lambda` is its body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import reduce
from itertools import chain, count
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.sympify import _sympify  # strict: never reads a text
from sympy.logic.boolalg import Boolean
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice

from symbp import arrange, functions
from symbp import tensor as T
from symbp.errors import DeclarationError, NoRule
from symbp.expr import ONE, ZERO, Call, Const, Delta, Entry, Expr, Index, Num, Size, fresh, mul, total
from symbp.graph import Signature
from symbp.ops import OPS, Op
from symbp.sizes import Shape, Sizes, literal, shape_text, size_product, size_sum
from symbp.tensor import Tensor

Sym = Any
Env = Mapping[Sym, Tensor]

FAMILIES = "families of tensors (a symbolic number of layers or steps) come in a later version of symbp"
RELATIONS = {
    sp.StrictGreaterThan: ">",
    sp.GreaterThan: ">=",
    sp.StrictLessThan: "<",
    sp.LessThan: "<=",
    sp.Eq: "==",
    sp.Ne: "!=",
}
FUNCTIONS: dict[Sym, str] = {f: name for name, f in (*functions.NATIVE.items(), *functions.MADE.items())}


class ExprReader:
    """Reads expressions of one network. `leaf` answers for symbols with the operand they stand
    for, `size` for symbols in sizes; `own` holds the
    functions that symbp does not know; `origin` is the number at which the user's indices begin."""

    def __init__(
        self,
        sizes: Sizes,
        leaf: Callable[[Sym], Tensor],
        size_name: Callable[[Sym], str],
        own: OwnFunctions,
        origin: int = 0,
    ) -> None:
        self.sizes, self.leaf, self.size_name, self.own, self.origin = sizes, leaf, size_name, own, origin
        self.place: tuple[Expr, ...] = ()  # the letters of the left side
        self.right, self.left = None, ()  # type: Sym, tuple[Expr, ...]  # the equation: its right side, the left's shape
        self.functions: dict[str, Signature] = {}  # the unknown ones

    # -- sizes --

    def size(self, e: Sym) -> Expr:
        """A SymPy size: symbols, whole numbers, sums, products, powers."""
        e = _sympify(e)
        if e.is_Integer:
            return literal(int(e))
        if e.is_Symbol:
            return Size(self.size_name(e))
        if e.is_Add:
            return size_sum(*(self._term(a) for a in sorted(positive_first(e), key=lambda a: bool(a.is_Number))))
        if e.is_Mul:
            return size_product(*(self._term(a) for a in e.args))
        if e.is_Pow and e.exp.is_Integer and e.exp > 0:
            return size_product(*[self.size(e.base)] * int(e.exp))
        raise DeclarationError(f"the size {e} is not made of names, whole numbers, +, - and *")

    def _term(self, e: Sym) -> Expr:
        """Part of a size, which may be negative."""
        if e.is_Integer:
            return Num(int(e))
        if e.is_Mul:
            return mul(*(self._term(a) for a in e.args))
        return self.size(e)

    def shape(self, e: Sym) -> Shape:
        return tuple(map(self.size, e.shape))

    # -- dispatch --

    def read(self, e: Sym, env: Env) -> Tensor:
        """The operand that an expression is."""
        if e in env:
            return env[e]
        for kind, method in METHODS:
            if isinstance(e, kind):
                return method(self, e, env)
        raise DeclarationError(f"symbp cannot read {_shown(e)}: {type(e).__name__} is not in its language")

    def entry(self, e: Sym, env: Env) -> Expr:
        """The one entry of a scalar expression."""
        x = self.read(e, env)
        if not T.is_scalar(x):
            raise DeclarationError(f"{_shown(e)} must be a scalar, and it is {shape_text(x.shape)}")
        return T.value(x)

    # -- scalars --

    def symbol(self, e: Sym, env: Env) -> Tensor:
        return self.leaf(e)

    def number(self, e: Sym, env: Env) -> Tensor:
        if e is sp.S.Pi:
            return T.scalar(Const("pi"))
        if e is sp.S.Infinity:
            return T.scalar(Const("inf"))
        if e is sp.S.NegativeInfinity:
            return T.scalar(mul(Num(-1), Const("inf")))
        if e.is_Rational:
            return T.scalar(Num(Fraction(int(e.p), int(e.q))))
        if e.is_Float:
            return T.scalar(Num(Fraction(repr(float(e))), decimal=True))
        if e.is_NumberSymbol:
            return T.scalar(Call("exp", ONE) if e is sp.E else Num(Fraction(repr(float(e))), decimal=True))
        raise DeclarationError(f"{e} is not a real number")

    def add(self, e: Sym, env: Env) -> Tensor:
        return reduce(lambda a, b: T.plus(self.sizes, a, b), (self.read(t, env) for t in positive_first(e)))

    def mul(self, e: Sym, env: Env) -> Tensor:
        sign, top, bottom = fraction(factors_of(e))
        parts = [self.read(f, env) for f in top] or [T.scalar(ONE)]
        x = reduce(lambda a, b: T.times(self.sizes, a, b), parts)
        for d in bottom:
            x = self._over(x, self.read(d, env))
        return T.negative(self.sizes, x) if sign < 0 else x

    def _over(self, x: Tensor, d: Tensor) -> Tensor:
        """A quotient; with letters on the left side, over their shape, so that exp/Σexp is seen."""
        letters = tuple(i for i in self.place if isinstance(i, Index))
        if not letters or x.shape or d.shape:
            return T.over(self.sizes, x, d)
        top, bottom = T.value(x), T.value(d)
        shape = tuple(i.dim for i in letters)
        return T.scalar(
            T.over(self.sizes, Tensor(shape, lambda _: top), Tensor(shape, lambda _: bottom)).entry(letters)
        )

    def pow(self, e: Sym, env: Env) -> Tensor:
        if e.exp.is_Number and e.exp < 0:
            return self.mul(e, env)
        base = self.read(e.base, env)
        if e.exp is sp.S.Half:
            return T.sqrt(self.sizes, base)
        return T.power(self.sizes, base, self.read(e.exp, env))

    def function(self, e: Sym, env: Env) -> Tensor:
        name = FUNCTIONS.get(e.func)
        if name == "step":
            return T.compare(self.sizes, ">", self.read(e.args[0], env), T.scalar(ZERO))
        row = OPS[name] if name else self.own.row(e.func, len(e.args))
        return T.apply_row(self.sizes, row, *(self.read(a, env) for a in e.args))

    def heaviside(self, e: Sym, env: Env) -> Tensor:
        return T.compare(self.sizes, ">", self.read(e.args[0], env), T.scalar(ZERO))

    def extreme(self, e: Sym, env: Env) -> Tensor:
        """Max or Min, numbers last, as one writes max(z, 0)."""
        name = "maximum" if isinstance(e, sp.Max) else "minimum"
        parts = [self.read(a, env) for a in sorted(e.args, key=lambda a: bool(a.is_Number))]
        return reduce(lambda a, b: T.apply(self.sizes, name, a, b), parts)

    def log(self, e: Sym, env: Env) -> Tensor:
        inner = e.args[0]
        bare = inner.args[0] if isinstance(inner, sp.Abs) else inner
        if isinstance(bare, sp.Determinant):
            return T.logdet(self.sizes, self.read(bare.arg, env))
        return T.apply(self.sizes, "log", self.read(inner, env))

    def piecewise(self, e: Sym, env: Env) -> Tensor:
        *cases, (last, rest) = e.args
        if rest != sp.true:
            raise DeclarationError(f"{_shown(e)} has no last case (…, True), so it is not defined everywhere")
        x = self.read(last, env)
        for value, when in reversed(cases):
            if value == 1 and x.shape == () and T.value(x) is ZERO:
                x = self.truth(when, env)
            else:
                x = T.where(self.sizes, self.truth(when, env), self.read(value, env), x)
        return x

    def truth(self, e: Sym, env: Env) -> Tensor:
        """A condition, worth 1 or 0."""
        if type(e) in RELATIONS:
            return T.compare(self.sizes, RELATIONS[type(e)], self.read(e.lhs, env), self.read(e.rhs, env))
        parts = [self.truth(a, env) for a in e.args if isinstance(a, Boolean)]
        if isinstance(e, sp.And):
            return reduce(lambda a, b: T.times(self.sizes, a, b), parts)
        if isinstance(e, (sp.Or, sp.Not)):
            none = [T.minus(self.sizes, T.scalar(ONE), p) for p in parts]
            if isinstance(e, sp.Not):
                return none[0]
            return T.minus(self.sizes, T.scalar(ONE), reduce(lambda a, b: T.times(self.sizes, a, b), none))
        raise DeclarationError(f"symbp cannot read the condition {_shown(e)}")

    def kronecker(self, e: Sym, env: Env) -> Tensor:
        return T.scalar(Delta(*(self.entry(a, env) for a in e.args[:2])))

    def unknown(self, e: Sym, env: Env) -> Tensor:
        """A function without a definition: of one number, applied entry by entry; of matrices, a map
        with as many entries as the left side if it is all of the right side, else a number."""
        name = e.func.__name__
        operands = [self.read(a, env) for a in e.args]
        takes = tuple(x.shape for x in operands)
        elementwise = len(e.args) == 1 and not functions.is_matrix(e.args[0])
        takes, gives = (((),), ()) if elementwise else (takes, self.left if e is self.right else ())
        known = self.functions.setdefault(name, Signature(name, takes, gives))
        return T.apply_unknown(self.sizes, known, *operands)

    # -- indices --

    def indexed(self, e: Sym, env: Env) -> Tensor:
        x = self.leaf(e.base)
        return T.scalar(x.entry(self._places(e.indices, x, self.origin, env)))

    def element(self, e: Sym, env: Env) -> Tensor:
        """An entry of a matrix; SymPy counts them from 0."""
        x = self.read(e.parent, env)
        return T.scalar(x.entry(self._places(e.indices, x, 0, env)))

    def _places(self, indices: Sequence[Sym], x: Tensor, origin: int, env: Env) -> tuple[Expr, ...]:
        if len(indices) != x.ndim:
            raise DeclarationError(f"{x.text} is {shape_text(x.shape)} and has {len(indices)} indices here")
        return tuple(ZERO if d is ONE else self._place(i, origin, env) for i, d in zip(indices, x.shape, strict=True))

    def _place(self, i: Sym, origin: int, env: Env) -> Expr:
        return arrange.shifted(self.entry(i, env), Num(-origin))

    def sum(self, e: Sym, env: Env) -> Tensor:
        scope = dict(env)
        letters: list[Index] = []
        for symbol, low, high in e.limits:
            lower, dim = self.range(symbol, low, high)
            place: Expr = ZERO if dim is ONE else fresh(dim)
            letters += [place] if isinstance(place, Index) else []
            scope[symbol] = T.scalar(arrange.shifted(place, Num(lower)))
        return T.scalar(total(reversed(letters), self.entry(e.function, scope)))

    def range(self, symbol: Sym, low: Sym, high: Sym) -> tuple[int, Expr]:
        """The first value of a letter, and how many it takes."""
        if not getattr(low, "is_Integer", False):
            raise DeclarationError(f"the range of {symbol} must begin at a whole number, not at {low}")
        return int(low), self.size(high - low + 1)

    # -- matrices --

    def strict(self, what: str, e: Sym, parts: Sequence[Sym], env: Env) -> list[Tensor]:
        """The operands of an operation of matrices, which must have one shape."""
        found = [self.read(p, env) for p in parts]
        first = next((n for n, x in enumerate(found) if x.ndim), 0)
        for p, x in zip(parts, found, strict=True):
            if not x.ndim or x.shape == found[first].shape:
                continue
            same = len(x.shape) == len(found[first].shape)
            if not same or not all(self.sizes.same(a, b) for a, b in zip(x.shape, found[first].shape, strict=True)):
                raise DeclarationError(
                    f"{what}: the shapes differ; {_shown(parts[first])} is {shape_text(found[first].shape)}, "
                    f"and {_shown(p)} is {shape_text(x.shape)}",
                    hint=_bias_hint(p, x.shape, found[first].shape)
                    or _bias_hint(parts[first], found[first].shape, x.shape),
                )
        return found

    def mat_add(self, e: Sym, env: Env) -> Tensor:
        parts = positive_first(e)
        found = self.strict("+", e, parts, env)
        for p, x in zip(parts, found, strict=True):
            if not x.ndim:
                raise DeclarationError(f"+: {_shown(p)} is a scalar among matrices", hint="Write it times a OneMatrix.")
        return reduce(lambda a, b: T.plus(self.sizes, a, b), found)

    def mat_mul(self, e: Sym, env: Env) -> Tensor:
        scalars = [a for a in e.args if not functions.is_matrix(a)]
        matrices = [self.read(a, env) for a in e.args if functions.is_matrix(a)]
        x = reduce(lambda a, b: T.matmul(self.sizes, a, b), matrices)
        sign, top, bottom = fraction([f for s in scalars for f in factors_of(s)])
        for a in reversed(top):
            x = T.times(self.sizes, self._coefficient(a, env), x)
        for a in bottom:
            x = T.over(self.sizes, x, self._coefficient(a, env))
        return T.negative(self.sizes, x) if sign < 0 else x

    def _coefficient(self, e: Sym, env: Env) -> Tensor:
        x = self.read(e, env)
        if x.ndim:
            name = e.func.__name__
            raise DeclarationError(
                f"{_shown(e)} is {shape_text(x.shape)}, and SymPy takes it for a scalar and forgets where it stood",
                hint=f"Write Z.applyfunc({name}), or sb.{name}(Z), which is a matrix for SymPy too.",
            )
        return x

    def mat_pow(self, e: Sym, env: Env) -> Tensor:
        if not e.exp.is_Integer or abs(e.exp) > 64:
            raise DeclarationError(f"{_shown(e)}: the power of a matrix must be a whole number")
        x = self.read(e.base, env)
        if e.exp < 0:
            x = T.inv(self.sizes, x)
        return reduce(lambda a, b: T.matmul(self.sizes, a, b), [x] * abs(int(e.exp))) if e.exp else T.eye(x.shape[0])

    def hadamard(self, e: Sym, env: Env) -> Tensor:
        return reduce(lambda a, b: T.times(self.sizes, a, b), self.strict("the Hadamard product", e, e.args, env))

    def hadamard_power(self, e: Sym, env: Env) -> Tensor:
        base, exponent = self.strict("the Hadamard power", e, e.args, env)
        if e.exp is sp.S.Half:
            return T.sqrt(self.sizes, base)
        if e.exp == -1:
            return T.over(self.sizes, T.scalar(ONE), base)
        return T.power(self.sizes, base, exponent)

    def applied(self, e: Sym, env: Env) -> Tensor:
        """A function entry by entry: its body with the matrix in the place of the letter."""
        return self._called(e.function, [self.read(e.expr, env)], env)

    def entrywise(self, e: Sym, env: Env) -> Tensor:
        return self._called(e.args[0], self.strict("entry by entry", e, e.args[1:], env), env)

    def _called(self, function: Sym, operands: Sequence[Tensor], env: Env) -> Tensor:
        if not isinstance(function, sp.Lambda):
            function = sp.Lambda(functions.BOUND[: len(operands)], function(*functions.BOUND[: len(operands)]))
        x = self.read(function.expr, {**env, **dict(zip(function.variables, operands, strict=True))})
        return x if x.ndim else Tensor(operands[0].shape, lambda idx: T.value(x))

    def function_matrix(self, e: Sym, env: Env) -> Tensor:
        row, column = e.lamda.variables
        body = e.lamda.expr

        def entry(idx: tuple[Expr, ...]) -> Expr:
            return self.entry(body, {**env, row: T.scalar(idx[0]), column: T.scalar(idx[1])})

        return Tensor(self.shape(e), entry)

    def explicit(self, e: Sym, env: Env) -> Tensor:
        """A matrix written out, entry by entry."""
        rows = [[T.scalar(self.entry(x, env)) for x in e.row(i)] for i in range(e.rows)]
        return arrange.stack(self.sizes, [arrange.stack(self.sizes, r) for r in rows])

    def block(self, e: Sym, env: Env) -> Tensor:
        blocks = [[self.read(b, env) for b in e.blocks.row(i)] for i in range(e.blockshape[0])]
        return arrange.concatenate(self.sizes, [arrange.concatenate(self.sizes, row, 1) for row in blocks], 0)

    def slice(self, e: Sym, env: Env) -> Tensor:
        items = []
        for start, stop, step in (e.rowslice, e.colslice):
            if step != 1:
                raise DeclarationError(f"{_shown(e)}: symbp reads slices with step 1 only")
            items.append(arrange.Slice(ZERO if start == 0 else self.size(start), self.size(stop)))
        return arrange.subscript(self.sizes, self.read(e.parent, env), items)

    def diag_matrix(self, e: Sym, env: Env) -> Tensor:
        return T.diag(self.sizes, _vector(self.read(e.args[0], env)))

    def diagonal_of(self, e: Sym, env: Env) -> Tensor:
        x = T.diag(self.sizes, self.read(e.args[0], env))
        return Tensor((x.shape[0], ONE), lambda idx: x.entry(idx[:1]))

    def diagonal_matrix(self, e: Sym, env: Env) -> Tensor:
        return T.diag(self.sizes, T.diag(self.sizes, self.read(e.args[0], env)))

    def dot(self, e: Sym, env: Env) -> Tensor:
        return T.matmul(self.sizes, *(_vector(self.read(a, env)) for a in e.args))

    def whole(self, e: Sym, env: Env) -> Tensor:
        x = self.read(e.arg, env)
        return WHOLE[e.operation](self.sizes, x)

    def axis_reduction(self, e: Sym, env: Env) -> Tensor:
        return WHOLE[e.operation](self.sizes, self.read(e.arg, env), e.axis, True)

    def row_function(self, e: Sym, env: Env) -> Tensor:
        return T.softmax(self.sizes, self.read(e.arg, env), e.axis, e.operation)


WHOLE: dict[str, Callable[..., Tensor]] = {"total": T.sum_, "max": T.max_, "min": T.min_, "logsumexp": T.logsumexp}

METHODS: list[tuple[Any, Callable[[ExprReader, Sym, Env], Tensor]]] = [
    (sp.MatrixSymbol, ExprReader.symbol),
    (sp.Symbol, ExprReader.symbol),
    (sp.Idx, lambda r, e, env: r.symbol(e, env)),
    (MatrixElement, ExprReader.element),
    (sp.Indexed, lambda r, e, env: r.indexed(e, env)),
    (sp.MatMul, ExprReader.mat_mul),
    (sp.MatAdd, ExprReader.mat_add),
    (sp.Transpose, lambda r, e, env: T.transpose(r.read(e.arg, env))),
    (sp.Inverse, lambda r, e, env: T.inv(r.sizes, r.read(e.arg, env))),
    (sp.MatPow, ExprReader.mat_pow),
    (sp.HadamardProduct, ExprReader.hadamard),
    (sp.HadamardPower, ExprReader.hadamard_power),
    (ElementwiseApplyFunction, ExprReader.applied),
    (functions.Entrywise, ExprReader.entrywise),
    (functions.WholeReduction, ExprReader.whole),
    (functions.AxisReduction, ExprReader.axis_reduction),
    (functions.RowFunction, ExprReader.row_function),
    (sp.Trace, lambda r, e, env: T.trace(r.sizes, r.read(e.arg, env))),
    (sp.Determinant, lambda r, e, env: T.det(r.sizes, r.read(e.arg, env))),
    (sp.OneMatrix, lambda r, e, env: T.full(r.shape(e), ONE)),
    (sp.ZeroMatrix, lambda r, e, env: T.full(r.shape(e), ZERO)),
    (sp.Identity, lambda r, e, env: T.eye(*r.shape(e))),
    (sp.DiagMatrix, ExprReader.diag_matrix),
    (DiagonalOf, ExprReader.diagonal_of),
    (DiagonalMatrix, ExprReader.diagonal_matrix),
    (DotProduct, ExprReader.dot),
    (sp.FunctionMatrix, ExprReader.function_matrix),
    (MatrixSlice, ExprReader.slice),
    (sp.BlockMatrix, ExprReader.block),
    (sp.MatrixBase, ExprReader.explicit),
    ((sp.Number, sp.NumberSymbol, type(sp.I)), ExprReader.number),
    (sp.Add, ExprReader.add),
    (sp.Mul, ExprReader.mul),
    (sp.Pow, ExprReader.pow),
    (sp.Sum, lambda r, e, env: r.sum(e, env)),
    (sp.Piecewise, ExprReader.piecewise),
    (sp.Heaviside, ExprReader.heaviside),
    ((sp.Max, sp.Min), ExprReader.extreme),
    (sp.KroneckerDelta, ExprReader.kronecker),
    (AppliedUndef, lambda r, e, env: r.unknown(e, env)),
    (sp.log, ExprReader.log),
    (sp.Function, ExprReader.function),
]
"""The kinds of SymPy expressions, special ones before general ones."""


# ---- what SymPy kept of the order ----------------------------------------------------------------


def positive_first(e: Sym) -> list[Sym]:
    """Summands as SymPy prints them, positive ones first; as written if it was not evaluated."""
    if e.is_Matrix:
        terms, canonical = list(e.args), True
    else:
        canonical = sp.Add(*e.args).args == e.args
        terms = e.as_ordered_terms() if canonical else list(e.args)
    if not canonical:
        return terms
    return [t for t in terms if not is_negative(t)] + [t for t in terms if is_negative(t)]


def is_negative(e: Sym) -> bool:
    """Is it written with a minus in front?"""
    if e.is_Matrix:
        return isinstance(e, sp.MatMul) and is_negative(e.args[0]) if not e.is_MatrixExpr or e.args else False
    c = e.as_coeff_Mul()[0]
    return bool(c.is_Number and c.is_negative)


def factors_of(e: Sym) -> list[Sym]:
    """The factors of a product, as printed; as written if it was not evaluated."""
    if not e.is_Mul:
        return [e]
    return list(e.as_ordered_factors()) if sp.Mul(*e.args).args == e.args else list(e.args)


def fraction(factors: Sequence[Sym]) -> tuple[int, list[Sym], list[Sym]]:
    """The sign, what stands above and what stands below the line."""
    sign, top, bottom = 1, [], []
    for f in factors:
        if f.is_Rational:
            sign = -sign if f < 0 else sign
            top += [sp.Integer(abs(f.p))] if abs(f.p) != 1 else []
            bottom += [sp.Integer(f.q)] if f.q != 1 else []
        elif f.is_Pow and f.exp.is_Number and f.exp < 0:
            bottom.append(sp.Pow(f.base, -f.exp, evaluate=False) if f.exp != -1 else f.base)
        else:
            top.append(f)
    return sign, top, bottom


# ---- a user's own functions -----------------------------------------------------------------------


class OwnFunctions:
    """The rows of the SymPy functions of one network that symbp does not know, made when first met."""

    def __init__(self) -> None:
        self.rows: dict[str, Op] = {}
        self._classes: dict[str, Sym] = {}

    def row(self, cls: Sym, arity: int) -> Op:
        for name, known in self._classes.items():
            if known is cls:
                return self.rows[name]
        name = self._free_name(cls.__name__)
        slopes = self._slopes(cls, arity)
        self._classes[name], self.rows[name] = cls, _row(name, cls, slopes)
        for slope in slopes:
            try:
                with suppress(NoRule):  # said when the slope is needed
                    slope(Entry("out"), *(Entry(f"x{n}") for n in range(arity)))
            except DeclarationError as error:
                raise DeclarationError(f"the slope of {cls.__name__}: {error.reason}", hint=error.hint) from None
        return self.rows[name]

    def _free_name(self, wanted: str) -> str:
        """The name, or with a number where the table or an earlier function has it."""
        if not wanted.isidentifier():
            raise DeclarationError(f"the function name {wanted!r} is not a name")
        numbered = (f"{wanted}{n}" for n in count(2))
        return next(n for n in chain([wanted], numbered) if n not in OPS and n not in self.rows)

    def _slopes(self, cls: Sym, arity: int) -> list[Callable[..., Expr]]:
        arguments = sp.symbols(f"x:{arity}", cls=sp.Dummy, real=True)
        whole = cls(*arguments)
        return [self._slope(cls, whole, k, arguments) for k in range(1, arity + 1)]

    def _slope(self, cls: Sym, whole: Sym, k: int, arguments: Sequence[Sym]) -> Callable[..., Expr]:
        """The slope for argument k; one of several may be missing until it is used."""
        try:
            written = whole.fdiff(k)
        except Exception as error:  # a user's code: whatever it raises
            reason = f"{cls.__name__}.fdiff({k}) failed: {error}"
            if len(arguments) > 1:
                return _missing(reason)
            raise DeclarationError(reason) from None
        if written.has(sp.Derivative, sp.Subs):
            raise DeclarationError(
                f"the function {cls.__name__} has no fdiff, so its slope is unknown",
                hint="Give the class a method fdiff(self, argindex=1), or use a Lambda.",
            )
        out = sp.Dummy("out")
        written = written.xreplace({whole: out})

        def slope(a: Expr, *args: Expr) -> Expr:
            env = {out: T.scalar(a), **{s: T.scalar(x) for s, x in zip(arguments, args, strict=True)}}
            return ExprReader(Sizes(), _foreign, str, self).entry(written, env)

        return slope


def _missing(reason: str) -> Callable[..., Expr]:
    def slope(a: Expr, *args: Expr) -> Expr:
        raise NoRule(reason)

    return slope


def _foreign(e: Sym) -> Tensor:
    raise DeclarationError(f"the slope uses {e}, which is not an argument of the function")


def _row(name: str, cls: Sym, slopes: Sequence[Callable[..., Expr]]) -> Op:
    args = ", ".join(f"{{{n}}}" for n in range(len(slopes)))
    return Op(
        name, tuple(slopes), lambda np, *xs: values_by_evalf(np, cls, xs), lambda sp, *xs: cls(*xs), f"{name}({args})",
        rf"\mathrm{{{name}}}\left({args}\right)".replace("_", r"\_"), f"{name}({args})", analytic=False,
    )  # fmt: skip


def values_by_evalf(np: Any, cls: Sym, xs: Sequence[Any]) -> Any:
    """Values number by number: slow, and right for every function that SymPy can evaluate. What is
    added to imaginary parts only says what moves, and is handed on."""
    real = np.vectorize(lambda *numbers: _value(cls, numbers), otypes=[float])(*map(np.real, xs))
    return real + 1j * sum(map(np.imag, xs)) if any(map(np.iscomplexobj, xs)) else real


def _value(cls: Sym, numbers: Sequence[float]) -> float:
    """One value; NaN where it is not real. NoRule where SymPy has none."""
    call = f"{cls.__name__}({', '.join(f'{float(x):.3g}' for x in numbers)})"
    try:
        found = cls(*map(sp.Float, numbers)).doit().evalf()
        if found.is_number and not found.has(sp.Function):
            number = complex(found)
            return float("nan") if abs(number.imag) > 1e-12 * abs(number) else number.real
    except Exception as error:  # a user's code: whatever it raises
        raise NoRule(f"{call} has no value: {error}") from None
    raise NoRule(f"{call} has no value. Give the class a method eval or _eval_evalf, or use a Lambda.")


# ---- messages --------------------------------------------------------------------------------------


def _shown(e: Sym) -> str:
    text = str(e)
    return text if len(text) <= 80 else text[:77] + "…"


def _bias_hint(e: Sym, shape: Shape, other: Shape) -> str:
    if len(shape) != 2 or len(other) != 2 or ONE not in shape or ONE in other:
        return ""
    if shape[0] is ONE or shape[0] is other[1]:
        return f"A bias for every row is sb.rows({_shown(e)}, {other[0]!r})."
    return f"A bias for every column is sb.columns({_shown(e)}, {other[1]!r})." if shape[1] is ONE else ""


def _vector(x: Tensor) -> Tensor:
    """A column or a row as one axis."""
    if x.ndim == 2 and x.shape[1] is ONE:
        return Tensor(x.shape[:1], lambda idx: x.entry((idx[0], ZERO)), x.text)
    if x.ndim == 2 and x.shape[0] is ONE:
        return Tensor(x.shape[1:], lambda idx: x.entry((ZERO, idx[0])), x.text)
    return x
