"""Operands: a tensor is a shape and a function from indices to the expression of one entry.

Every operation here means what it means in NumPy, takes the `Sizes` of the network first (where
it compares sizes, it may learn a relation), and returns a new `Tensor` whose entries are built on
demand. Nothing is evaluated or simplified: summands and factors stay in the order written, a
difference is `a + (−1)·b`, a quotient `a · b^−1`, a square root a power.

Invariants: `entry` gets one index expression per axis, 0 for an axis of size 1; an operation asks
each operand for its entry once, so nesting never multiplies the work; letters of sums are fresh.
The only patterns recognised are exp(f)/Σexp(f), a softmax, and log Σ exp(f), a logsumexp.

Slices and reshapes are in arrange.py; convolution, pooling and windows in layers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from symbp.errors import DeclarationError, LimitError, NoRule
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Add,
    Apply,
    Call,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    fresh,
    mul,
    neg,
    substitute,
    total,
)
from symbp.graph import Signature
from symbp.ops import OPS, UNKNOWN, Op
from symbp.sizes import (
    Shape,
    Sizes,
    shape_text,
    size_text,
)

Idx = tuple[Expr, ...]
Axis = int | tuple[int, ...] | None
LARGEST_EXPONENT = 64


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand; `text` is how the user wrote it, for messages only."""

    shape: Shape
    entry: Callable[[Idx], Expr]
    text: str = ""

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def named(self, text: str) -> Tensor:
        return replace(self, text=text)

    @property
    def T(self) -> Tensor:
        return transpose(self)


def leaf(name: str, shape: Iterable[Expr]) -> Tensor:
    """The tensor `name[...]`, declared or computed before."""
    return Tensor(tuple(shape), lambda idx: Entry(name, idx), name)


def scalar(value: Expr) -> Tensor:
    """A number, a constant or a size as an operand."""
    return Tensor((), lambda idx: value)


def is_scalar(x: Tensor) -> bool:
    """One entry only: `()`, `(1,)`, `(1, 1)`."""
    return all(d is ONE for d in x.shape)


def value(x: Tensor) -> Expr:
    """The entry of a tensor that has only one."""
    return x.entry((ZERO,) * x.ndim)


# ---------------------------------------------------------------- shapes and messages


def clash(what: str, a: Tensor, b: Tensor, left: Expr, right: Expr, hint: str = "") -> DeclarationError:
    """The error of two sizes that cannot be equal."""
    return DeclarationError(
        f"{what}: the sizes {size_text(left)} and {size_text(right)} clash; {a.text or 'the left side'} is "
        f"{shape_text(a.shape)} and {b.text or 'the right side'} is {shape_text(b.shape)}",
        hint=hint,
    )


def broadcast(sizes: Sizes, what: str, a: Tensor, b: Tensor) -> Shape:
    """The common shape of two operands, aligned at the last axis."""
    if a.shape == b.shape:
        return a.shape
    shape: list[Expr] = []
    for n in range(1, max(a.ndim, b.ndim) + 1):
        left = a.shape[-n] if n <= a.ndim else ONE
        right = b.shape[-n] if n <= b.ndim else ONE
        if left is not ONE and right is not ONE and not sizes.unify(left, right):
            raise clash(what, a, b, left, right, _broadcast_hint(sizes, what, a, b))
        shape.append(right if left is ONE else left)
    _warn_square(sizes, what, a, b)
    return tuple(reversed(shape))


def _fits(sizes: Sizes, a: Shape, b: Shape) -> bool:
    """Whether two shapes broadcast without learning anything new."""
    pairs = zip(reversed(a), reversed(b), strict=False)
    return all(x is ONE or y is ONE or sizes.same(x, y) for x, y in pairs)


def _chains(sizes: Sizes, a: Shape, b: Shape) -> bool:
    """Whether `a @ b` fits without learning anything new."""
    return bool(a) and bool(b) and sizes.same(a[-1], b[-2] if len(b) > 1 else b[0])


def _broadcast_hint(sizes: Sizes, what: str, a: Tensor, b: Tensor) -> str:
    for x, y in ((a, b), (b, a)):
        if y.text and x.ndim == y.ndim == 2 and _fits(sizes, x.shape, y.shape[::-1]):
            return f"Did you mean {y.text}.T?"
    for x, y in ((a, b), (b, a)):
        if y.text and y.ndim == 1 and x.ndim == 2 and sizes.same(x.shape[0], y.shape[0]):
            return f"Did you mean reshape({y.text}, ({size_text(y.shape[0])}, 1))? A vector is added to every row."
    if what == "*" and _chains(sizes, a.shape, b.shape):
        return "* works entry by entry; did you mean the matrix product @?"
    return ""


def _warn_square(sizes: Sizes, what: str, a: Tensor, b: Tensor) -> None:
    """(n,) with (n, 1) is legal, gives (n, n), and is mostly a mistake."""
    for x, y in ((a, b), (b, a)):
        if x.ndim != 1 or y.ndim != 2 or y.shape[1] is not ONE or y.shape[0] is ONE:
            continue
        if sizes.same(x.shape[0], y.shape[0]):
            n = size_text(x.shape[0])
            sizes.warnings.append(
                f"({n},) {what} ({n}, 1) gives ({n}, {n}), because a vector is a row here; "
                "if that is not meant, reshape one of the two"
            )


def _matmul_hint(sizes: Sizes, a: Tensor, b: Tensor) -> str:
    left, right = a.text or "left", b.text or "right"
    if a.ndim == b.ndim == 1:
        left, right = left.removesuffix(".T"), right.removesuffix(".T")
        return f"@ of two vectors is a dot product (.T of a vector does nothing). Did you mean outer({left}, {right})?"
    if b.ndim > 1 and _chains(sizes, a.shape, b.T.shape):
        return f"Did you mean {left} @ {right}.T?"
    if a.ndim > 1 and _chains(sizes, a.T.shape, b.shape):
        return f"Did you mean {left}.T @ {right}?"
    if _chains(sizes, b.shape, a.shape):
        return f"Did you mean {right} @ {left}?"
    if a.ndim > 1 and b.ndim > 1 and _chains(sizes, a.T.shape, b.T.shape):
        return f"Did you mean {left}.T @ {right}.T?"
    return "* is the elementwise product." if _fits(sizes, a.shape, b.shape) else ""


def _project(shape: Shape, idx: Idx) -> Idx:
    """The indices of an operand inside a broadcast result."""
    if not shape:
        return ()
    return tuple(ZERO if d is ONE else i for d, i in zip(shape, idx[-len(shape) :], strict=True))


def elementwise(sizes: Sizes, what: str, build: Callable[..., Expr], *operands: Tensor) -> Tensor:
    """Broadcast the operands and build each entry from theirs."""
    shape = operands[0].shape
    for n, x in enumerate(operands[1:], 1):
        others = operands[0] if n == 1 else Tensor(shape, operands[0].entry, "what stands before")
        shape = broadcast(sizes, what, others, x)
    if all(x.shape == shape for x in operands):
        return Tensor(shape, lambda idx: build(*[x.entry(idx) for x in operands]))
    return Tensor(shape, lambda idx: build(*[x.entry(_project(x.shape, idx)) for x in operands]))


# ---------------------------------------------------------------- entry by entry


def plus(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    return elementwise(sizes, "+", add, a, b)


def minus(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    return elementwise(sizes, "-", lambda x, y: add(x, neg(y)), a, b)


def negative(sizes: Sizes, a: Tensor) -> Tensor:
    return elementwise(sizes, "-", neg, a)


def times(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    return elementwise(sizes, "*", mul, a, b)


def over(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    """a / b; `exp(f)/sum(exp(f))` is read as a softmax."""
    shape = broadcast(sizes, "/", a, b)

    def entry(idx: Idx) -> Expr:
        top, bottom = a.entry(_project(a.shape, idx)), b.entry(_project(b.shape, idx))
        return _softmax_quotient(top, bottom, idx) or _quotient(top, bottom)

    return Tensor(shape, entry)


def _quotient(top: Expr, bottom: Expr) -> Expr:
    if bottom is ZERO:
        raise DeclarationError("this divides by 0")
    if isinstance(top, Num) and isinstance(bottom, Num) and not top.decimal and not bottom.decimal:
        return Num(top.value / bottom.value)
    return top if bottom is ONE else mul(top, Pow(bottom, MINUS_ONE))


def _softmax_quotient(top: Expr, bottom: Expr, idx: Idx) -> Expr | None:
    """exp(f) / Σ_k exp(f with k) is softmax_k(f) read where f stands."""
    if not (isinstance(top, Call) and top.fn == "exp" and isinstance(bottom, Reduce) and bottom.op == "sum"):
        return None
    if len(bottom.bound) != 1 or not (isinstance(bottom.body, Call) and bottom.body.fn == "exp"):
        return None
    (letter,), body = bottom.open()
    for place in dict.fromkeys(idx):
        if letter in body.free and substitute(body, {letter: place}) is top:
            return Reduce("softmax", (letter,), body.args[0], (place,))
    return None


def power(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    return elementwise(sizes, "**", _power, a, b)


def _power(base: Expr, exponent: Expr) -> Expr:
    known = _static(exponent)
    if known is None:
        return Pow(base, exponent)
    if abs(known) > LARGEST_EXPONENT or abs(known * _degree(base)) > LARGEST_EXPONENT:
        raise LimitError(f"an exponent may be at most {LARGEST_EXPONENT}, powers of powers multiplied")
    return Pow(base, exponent if isinstance(exponent, Num) and known.denominator > 2 else Num(known))


def _degree(base: Expr) -> Fraction:
    """The product of the numeric exponents that a base already carries."""
    degree = Fraction(1)
    while isinstance(base, Pow) and isinstance(base.exponent, Num) and abs(degree) <= LARGEST_EXPONENT:
        degree *= base.exponent.value
        base = base.base
    return degree


def _static(e: Expr) -> Fraction | None:
    """The value of an exponent made of numbers only."""
    if isinstance(e, Num):
        return e.value
    if not isinstance(e, (Add, Mul, Pow)):
        return None
    parts = [_static(a) for a in e.args]
    if any(p is None or abs(p.numerator) > 10**6 or p.denominator > 10**6 for p in parts):
        return None
    known = [p for p in parts if p is not None]
    if isinstance(e, Add):
        return sum(known, Fraction(0))
    if isinstance(e, Mul):
        result = Fraction(1)
        for p in known:
            result *= p
        return result
    if known[1].denominator != 1 or abs(known[1]) > LARGEST_EXPONENT:
        raise LimitError(f"an exponent may be at most {LARGEST_EXPONENT}, and whole inside an exponent")
    return known[0] ** int(known[1]) if known[0] or known[1] > 0 else None


def compare(sizes: Sizes, fn: str, a: Tensor, b: Tensor) -> Tensor:
    """`> >= < <= == !=`, worth 1 or 0."""
    return elementwise(sizes, fn, lambda x, y: Compare(fn, x, y), a, b)


def apply(sizes: Sizes, name: str, *operands: Tensor) -> Tensor:
    """A function of the table in ops.py, missing arguments by its defaults."""
    return apply_row(sizes, OPS[name], *operands)


def apply_row(sizes: Sizes, op: Op, *operands: Tensor) -> Tensor:
    """The function of a row, entry by entry."""
    name = op.name
    missing = op.arity - len(operands)
    if missing < 0 or missing > len(op.defaults):
        wanted = f"{op.arity}" if not op.defaults else f"{op.arity - len(op.defaults)} to {op.arity}"
        raise DeclarationError(f"{name} takes {wanted} argument{'s' if wanted != '1' else ''}, not {len(operands)}")
    defaults = tuple(map(scalar, op.defaults[len(op.defaults) - missing :] if missing else ()))
    build = _log if name == "log" else (lambda *args: Call(name, *args))
    return elementwise(sizes, name, build, *operands, *defaults)


def apply_unknown(sizes: Sizes, signature: Signature, *operands: Tensor) -> Tensor:
    """An unknown function of the network: entry by entry, or a map of whole tensors."""
    name = signature.name
    if len(operands) != len(signature.takes):
        raise DeclarationError(f"{name} takes {len(signature.takes)} arguments, not {len(operands)}")
    if signature.is_elementwise:
        return elementwise(sizes, name, lambda x: Call(UNKNOWN + name, x), *operands)
    for x, shape in zip(operands, signature.takes, strict=True):
        fits = len(x.shape) == len(shape) and all(sizes.unify(a, b) for a, b in zip(x.shape, shape, strict=True))
        if not fits:
            reason = f"{name} takes {shape_text(shape)}, not {shape_text(x.shape)}"
            raise DeclarationError(reason)
    whole = []
    for x in operands:
        letters = [fresh(d) for d in x.shape if d is not ONE]
        rest = iter(letters)
        entry = x.entry(tuple(ZERO if d is ONE else next(rest) for d in x.shape))
        whole.append(Reduce("tensor", letters, entry))

    def read(idx: Idx) -> Expr:
        return Apply(name, whole, [i for i, d in zip(idx, signature.gives, strict=True) if d is not ONE])

    return Tensor(signature.gives, read)


def _log(x: Expr) -> Expr:
    """log Σ exp(f) is read as a logsumexp."""
    if isinstance(x, Reduce) and x.op == "sum" and isinstance(x.body, Call) and x.body.fn == "exp":
        letters, body = x.open()
        return Reduce("logsumexp", letters, body.args[0])
    return Call("log", x)


def sqrt(sizes: Sizes, a: Tensor) -> Tensor:
    return elementwise(sizes, "sqrt", lambda x: Pow(x, HALF), a)


def where(sizes: Sizes, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return elementwise(sizes, "where", lambda c, y, n: select(_truth(c), y, n), condition, yes, no)


def _truth(e: Expr) -> Expr:
    """A condition as it is, a mask as `mask != 0`."""
    parts = e.args if isinstance(e, Mul) else (e,)
    return e if all(isinstance(p, Compare) for p in parts) else Compare("!=", e, ZERO)


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """`Select`, decided where the condition is."""
    if condition is ONE or condition is ZERO:
        return yes if condition is ONE else no
    return Select(condition, yes, no)


def clip(sizes: Sizes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    if low is not None:
        x = apply(sizes, "maximum", x, low)
    return x if high is None else apply(sizes, "minimum", x, high)


# ---------------------------------------------------------------- reductions


def normal_axis(axis: int, ndim: int) -> int:
    """A negative axis counted from the front; an axis that is not there is an error."""
    if not -ndim <= axis < ndim:
        raise DeclarationError(f"axis {axis} does not exist: the tensor has {ndim} ax{'is' if ndim == 1 else 'es'}")
    return axis % ndim


def axes_named(x: Tensor, axis: Axis) -> tuple[int, ...]:
    """The axes that a reduction names, counted from the front; None is all of them."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = tuple(normal_axis(a, x.ndim) for a in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) != len(axes):
        raise DeclarationError("an axis is named twice")
    return axes


Close = Callable[[tuple[Index, ...], Expr], Expr]


def reduction(x: Tensor, axis: Axis, keepdims: bool, close: Close) -> Tensor:
    """Bind the axes to fresh letters and let `close` make one expression of the body."""
    axes = axes_named(x, axis)
    shape = tuple(ONE if n in axes else d for n, d in enumerate(x.shape) if keepdims or n not in axes)

    def entry(idx: Idx) -> Expr:
        rest = iter(idx)
        full: list[Expr] = []
        letters: list[Index] = []
        for n, d in enumerate(x.shape):
            place = next(rest) if keepdims or n not in axes else ZERO
            if n in axes and d is not ONE:
                letters.append(fresh(d))
                place = letters[-1]
            full.append(place)
        return close(tuple(letters), x.entry(tuple(full)))

    return Tensor(shape, entry)


def sum_(sizes: Sizes, x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return reduction(x, axis, keepdims, total)


def _mean(letters: tuple[Index, ...], body: Expr) -> Expr:
    if not letters:
        return body
    return mul(total(letters, body), Pow(mul(*(i.dim for i in letters)), MINUS_ONE))


def mean(sizes: Sizes, x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum, then divided by the number of entries."""
    return reduction(x, axis, keepdims, _mean)


def var(sizes: Sizes, x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    def close(letters: tuple[Index, ...], body: Expr) -> Expr:
        return _mean(letters, Pow(add(body, neg(_mean(letters, body))), TWO)) if letters else ZERO

    return reduction(x, axis, keepdims, close)


def _extreme(op: str) -> Callable[..., Tensor]:
    def reduce(sizes: Sizes, x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return reduction(x, axis, keepdims, lambda letters, body: Reduce(op, letters, body) if letters else body)

    reduce.__name__ = op
    reduce.__doc__ = f"The {op} over axes."
    return reduce


max_ = _extreme("max")
min_ = _extreme("min")
logsumexp = _extreme("logsumexp")


def norm2sq(sizes: Sizes, x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of squares."""
    return reduction(x, axis, keepdims, lambda letters, body: total(letters, Pow(body, TWO)))


def norm(sizes: Sizes, x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return reduction(x, axis, keepdims, lambda letters, body: Pow(total(letters, Pow(body, TWO)), HALF))


def softmax(sizes: Sizes, x: Tensor, axis: Axis = -1, op: str = "softmax") -> Tensor:
    """softmax or log_softmax over one axis, read at each of its places."""
    axes = [n for n in axes_named(x, axis) if x.shape[n] is not ONE]
    if not x.ndim:
        raise DeclarationError(f"{op} needs a vector or a matrix, not a scalar")
    if not axes:
        return Tensor(x.shape, lambda idx: ONE if op == "softmax" else ZERO)
    if len(axes) > 1:
        raise NoRule(f"{op} over several axes at once; use reshape to make them one")
    n = axes[0]

    def entry(idx: Idx) -> Expr:
        letter = fresh(x.shape[n])
        return Reduce(op, (letter,), x.entry((*idx[:n], letter, *idx[n + 1 :])), (idx[n],))

    return Tensor(x.shape, entry)


def log_softmax(sizes: Sizes, x: Tensor, axis: Axis = -1) -> Tensor:
    return softmax(sizes, x, axis, "log_softmax")


# ---------------------------------------------------------------- products


def matmul(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` of vectors, matrices and stacks of matrices."""
    for x, other in ((a, b), (b, a)):
        if not x.ndim:
            raise DeclarationError(
                f"@: {x.text or 'one side'} is a scalar, the other side is {shape_text(other.shape)}",
                hint="@ is the matrix product; * multiplies by a scalar.",
            )
    inner, right = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if not sizes.unify(inner, right):
        raise clash("@", a, b, inner, right, _matmul_hint(sizes, a, b))
    stack = broadcast(sizes, "@", Tensor(a.shape[:-2], a.entry, a.text), Tensor(b.shape[:-2], b.entry, b.text))
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()

    def entry(idx: Idx) -> Expr:
        outer, rest = idx[: len(stack)], idx[len(stack) :]
        letter: Expr = ZERO if inner is ONE else fresh(inner)
        left = a.entry((*_project(a.shape[:-2], outer), *rest[: len(rows)], letter))
        last = b.entry((*_project(b.shape[:-2], outer), letter, *rest[len(rows) :]))
        product = mul(left, last)
        return total((letter,), product) if isinstance(letter, Index) else product

    return Tensor((*stack, *rows, *columns), entry)


def dot(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    """numpy.dot: a product with a scalar, a dot product of vectors, a matrix product."""
    if not a.ndim or not b.ndim:
        return times(sizes, a, b)
    if b.ndim > 2:
        raise NoRule("dot with a right side of more than two axes; use einsum")
    return matmul(sizes, a, b)


def outer(sizes: Sizes, a: Tensor, b: Tensor) -> Tensor:
    """a bᵀ of two vectors (rows and columns count as vectors)."""
    a, b = _flat(a), _flat(b)
    return Tensor((*a.shape, *b.shape), lambda idx: mul(a.entry(idx[:1]), b.entry(idx[1:])))


def _flat(x: Tensor) -> Tensor:
    long = [n for n, d in enumerate(x.shape) if d is not ONE]
    if len(long) > 1:
        raise DeclarationError(f"outer takes two vectors, and {x.text or 'an argument'} is {shape_text(x.shape)}")
    n = long[0] if long else 0
    size = x.shape[n] if x.shape else ONE
    return Tensor((size,), lambda idx: x.entry(tuple(idx[0] if m == n else ZERO for m in range(x.ndim))))


def einsum(sizes: Sizes, subscripts: str, *operands: Tensor) -> Tensor:
    """numpy.einsum with letters only; without `->` the letters that occur once stay, sorted."""
    inputs, _, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(subscripts) > 200 or not all(c.isascii() and c.isalpha() for c in "".join(terms) + output):
        raise DeclarationError(f"einsum: {subscripts[:60]!r} must be letters, commas and one ->")
    if "->" not in subscripts:
        output = "".join(sorted(c for c in set("".join(terms)) if inputs.count(c) == 1))
    _check_subscripts(subscripts, terms, output, operands)
    dims = _einsum_sizes(sizes, terms, operands)
    summed = [c for c in dict.fromkeys("".join(terms)) if c not in output and dims[c] is not ONE]

    def entry(idx: Idx) -> Expr:
        letters = {c: fresh(dims[c]) for c in summed}
        at: dict[str, Expr] = {**letters, **dict(zip(output, idx, strict=True))}
        factors: list[Expr] = []
        for term, x in zip(terms, operands, strict=True):
            places = zip(term, x.shape, strict=True)
            factors.append(x.entry(tuple(ZERO if d is ONE else at.get(c, ZERO) for c, d in places)))
        return total(letters.values(), mul(*factors))

    return Tensor(tuple(dims[c] for c in output), entry)


def _check_subscripts(subscripts: str, terms: Sequence[str], output: str, operands: Sequence[Tensor]) -> None:
    if len(terms) != len(operands):
        raise DeclarationError(f"einsum: {subscripts!r} speaks of {len(terms)} operands, and {len(operands)} are given")
    if len(set(output)) != len(output) or not set(output) <= set("".join(terms)):
        raise DeclarationError(f"einsum: each letter of the output {output!r} must occur once, and in an input")
    for term, x in zip(terms, operands, strict=True):
        if len(term) != x.ndim:
            operand = f"{x.text or 'its operand'} is {shape_text(x.shape)}"
            raise DeclarationError(f"einsum: {term!r} has {len(term)} letters, and {operand}")


def _einsum_sizes(sizes: Sizes, terms: Sequence[str], operands: Sequence[Tensor]) -> dict[str, Expr]:
    dims: dict[str, Expr] = {}
    owner: dict[str, Tensor] = {}
    for term, x in zip(terms, operands, strict=True):
        for c, d in zip(term, x.shape, strict=True):
            known = dims.get(c, ONE)
            if known is ONE:
                dims[c], owner[c] = d, x
            elif d is not ONE and not sizes.unify(known, d):
                raise clash(f"einsum, letter {c!r}", owner[c], x, known, d)
    return dims


# ---------------------------------------------------------------- matrices


def transpose(x: Tensor, axes: tuple[int, ...] | None = None) -> Tensor:
    """The axes reversed, or in the order given; a vector stays as it is."""
    if axes is None:
        axes = tuple(reversed(range(x.ndim)))
    axes = tuple(normal_axis(a, x.ndim) for a in axes)
    if sorted(axes) != list(range(x.ndim)):
        raise DeclarationError(f"transpose: the axes {axes} are not an order of the {x.ndim} axes")
    text = f"{x.text}.T" if x.text.isidentifier() and x.ndim < 3 else ""
    place = [axes.index(n) for n in range(x.ndim)]
    return Tensor(tuple(x.shape[a] for a in axes), lambda idx: x.entry(tuple(idx[p] for p in place)), text)


def _square(sizes: Sizes, what: str, x: Tensor) -> Expr:
    if x.ndim != 2 or not sizes.unify(*x.shape):
        raise DeclarationError(f"{what} needs a square matrix, and {x.text or 'this'} is {shape_text(x.shape)}")
    return x.shape[0]


def trace(sizes: Sizes, x: Tensor) -> Tensor:
    n = _square(sizes, "trace", x)
    return sum_(sizes, Tensor((n,), lambda idx: x.entry((idx[0], idx[0]))))


def diag(sizes: Sizes, x: Tensor) -> Tensor:
    """The matrix of a vector, or the diagonal of a matrix."""
    if x.ndim == 1:
        return Tensor((x.shape[0],) * 2, lambda idx: mul(x.entry(idx[:1]), delta(*idx)))
    n = _square(sizes, "diag", x)
    return Tensor((n,), lambda idx: x.entry((idx[0], idx[0])))


def delta(i: Expr, j: Expr) -> Expr:
    """Kronecker's δ, decided where it is plain."""
    if i is j:
        return ONE
    return ZERO if isinstance(i, Num) and isinstance(j, Num) else Delta(i, j)


def inv(sizes: Sizes, x: Tensor) -> Tensor:
    n = _square(sizes, "inv", x)

    def entry(idx: Idx) -> Expr:
        if n is ONE:
            return Pow(x.entry(idx), MINUS_ONE)
        row, column = fresh(n), fresh(n)
        return Reduce("inv", (row, column), x.entry((row, column)), idx)

    return Tensor(x.shape, entry)


def _determinant(op: str, of_one: Callable[[Expr], Expr]) -> Callable[[Sizes, Tensor], Tensor]:
    def reduce(sizes: Sizes, x: Tensor) -> Tensor:
        n = _square(sizes, op, x)

        def entry(idx: Idx) -> Expr:
            if n is ONE:
                return of_one(x.entry((ZERO, ZERO)))
            row, column = fresh(n), fresh(n)
            return Reduce(op, (row, column), x.entry((row, column)))

        return Tensor((), entry)

    return reduce


det = _determinant("det", lambda e: e)
logdet = _determinant("logdet", lambda e: Call("log", Call("abs", e)))


def eye(rows: Expr, columns: Expr | None = None) -> Tensor:
    return Tensor((rows, columns or rows), lambda idx: delta(*idx))


def full(shape: Iterable[Expr], entry: Expr) -> Tensor:
    """Every entry the same: `ones`, `zeros`."""
    return Tensor(tuple(shape), lambda idx: entry)


def causal_mask(n: Expr) -> Tensor:
    """1 where the column is not after the row."""
    return Tensor((n, n), lambda idx: Compare("<=", idx[1], idx[0]))
