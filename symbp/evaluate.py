"""Expressions as numbers: what an entry is worth when its tensors and sizes are known.

The idea is *named axes*. Every intermediate is an array together with the letters its axes stand
for, so that broadcasting, transposing and summing need no convention: two arrays are aligned by
their letters, and Σ over a product is one `einsum` over letters. An expression is walked from the
leaves up, once per distinct subexpression (they are interned, so sharing is seen), with a stack
of our own: depth costs time, not recursion.

Derivatives are taken by stacking: a tensor may have one more axis in front than it has indices,
the letter `STACK`, which holds one perturbed copy per direction. Everything broadcasts over it.
Values may be complex (the complex step): comparisons, maxima and shifts look at the real part.

Invariants: an array's axes are distinct letters and `STACK`, if there, is the first; an entry whose
index is out of range takes the nearest entry (the guard around it makes the value unused); of
several equal maxima each passes its perturbation on, as the mask 1[x = max] does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symbp.errors import NoRule, RequestError
from symbp.expr import (
    Add,
    Apply,
    Call,
    Compare,
    Const,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    Size,
)
from symbp.graph import Graph, Node
from symbp.ops import OPS, Op

Array = NDArray[Any]
Function = Callable[..., Any]
"""An unknown function of the network: `value(np, *args)`, as in a row of the table of functions."""

STACK = Index("*", Size("*"))
NEARLY = 1e-9  # two numbers this close, relatively, are the same maximum
DIRECT = 10_000  # up to so many products an einsum is not worth a plan


class Named(NamedTuple):
    """An array and the letters of its axes."""

    array: Array
    axes: tuple[Index, ...]


def evaluate(
    e: Expr,
    values: Mapping[str, Any],
    sizes: Mapping[str, int],
    free: Sequence[Index] = (),
    constants: Mapping[str, Num | float] | None = None,
    functions: Mapping[str, Function] | None = None,
) -> Array:
    """The values of `e` for all values of its free letters, as axes in the order of `free`.

    If any tensor carries the stacked axis, so does the result, in front.
    """
    return Evaluation(values, sizes, constants, functions)(e, free)


def forward(
    graph: Graph,
    leaves: Mapping[str, Any],
    sizes: Mapping[str, int],
    functions: Mapping[str, Function] | None = None,
    nudges: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """The values of all nodes, in the order of the graph.

    `nudges` are added to nodes, leaves or inner ones, before anything uses them: a node is
    perturbed by itself although it is computed.
    """
    return run(graph, leaves, sizes, functions, nudges).values


def run(
    graph: Graph,
    leaves: Mapping[str, Any],
    sizes: Mapping[str, int],
    functions: Mapping[str, Function] | None = None,
    nudges: Mapping[str, Array] | None = None,
) -> Evaluation:
    """As `forward`, and ready to evaluate more in the same state."""
    state = Evaluation.of(graph, {}, sizes, functions)
    with np.errstate(all="ignore"):
        for node in graph.nodes.values():
            value = state.leaf(node, leaves) if node.body is None else state.tensor(node, node.body)
            if nudges and node.name in nudges:
                value = value + nudges[node.name]
            state.values[node.name] = value
    return state


def size_value(e: Expr, sizes: Mapping[str, int]) -> int:
    """A size expression as a number; RequestError if that is no positive whole number."""
    if isinstance(e, Size) and e.name in sizes:
        return sizes[e.name]
    value = exact(e, sizes)
    if value.denominator != 1 or value < 1:
        raise RequestError(f"The size {e!r} is {value}, not a positive whole number.")
    return int(value)


def exact(e: Expr, sizes: Mapping[str, int]) -> Fraction:
    """An expression of sizes and numbers, exactly."""
    match e:
        case Num():
            return e.value
        case Size():
            if e.name in sizes:
                return Fraction(sizes[e.name])
            if e.name.isdigit():
                return Fraction(e.name)
            raise RequestError(f"The size {e.name} has no value.")
        case Add():
            return sum((exact(a, sizes) for a in e.args), Fraction(0))
        case Mul():
            product = Fraction(1)
            for a in e.args:
                product *= exact(a, sizes)
            return product
        case Pow():
            power = exact(e.exponent, sizes)
            if power.denominator == 1 and abs(power) <= 64:
                return exact(e.base, sizes) ** int(power)
    raise NoRule(f"symbp cannot use {e!r} as a size")


class Evaluation:
    """Values of tensors and sizes, and every subexpression computed so far.

    `values` may grow while the evaluation is used, but a name keeps its value.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        sizes: Mapping[str, int],
        constants: Mapping[str, Num | float] | None = None,
        functions: Mapping[str, Function] | None = None,
        table: Mapping[str, Op] = OPS,
    ) -> None:
        self.values: dict[str, Array] = {k: np.asarray(v) for k, v in values.items()}
        self.sizes = sizes
        self.constants = constants or {}
        self.functions = functions or {}
        self.table = table
        self._memo: dict[Expr, Named] = {}
        self._extents: dict[Expr, int] = {}

    @classmethod
    def of(
        cls,
        graph: Graph,
        values: Mapping[str, Any],
        sizes: Mapping[str, int],
        functions: Mapping[str, Function] | None = None,
    ) -> Evaluation:
        """With the constants and the functions of a network."""
        return cls(values, sizes, graph.constants, functions, graph.table)

    def at(self, values: Mapping[str, Any]) -> Evaluation:
        """The same with other values."""
        return Evaluation(values, self.sizes, self.constants, self.functions, self.table)

    def __call__(self, e: Expr, free: Sequence[Index] = ()) -> Array:
        """The values of `e`, one axis for each of `free`."""
        value = self.named(e)
        strange = [i.name for i in value.axes if i is not STACK and i not in free]
        if strange:
            raise RequestError(f"{e!r} depends on {', '.join(strange)}, which is not among the axes asked for.")
        return self.spread(value, free)

    def spread(self, value: Named, free: Sequence[Index]) -> Array:
        """The same values with one axis for each of `free`, which has all of theirs."""
        stack = (STACK,) if STACK in value.axes else ()
        shape = (*value.array.shape[: len(stack)], *[self.extent(i.dim) for i in free])
        array = _spread(value, (*stack, *free))
        return array if array.shape == shape else np.broadcast_to(array, shape)

    def tensor(self, node: Node, e: Expr) -> Array:
        """The values of `e` as an array of the node's shape, axes of size 1 included."""
        array = self(e, node.indices)
        if len(node.indices) == len(node.axes):
            return array
        shape = tuple(self.extent(a.dim) if isinstance(a, Index) else 1 for a in node.axes)
        return array.reshape(array.shape[: array.ndim - len(node.indices)] + shape)

    def leaf(self, node: Node, leaves: Mapping[str, Any]) -> Array:
        """The given value of a leaf, of the right shape, or a RequestError that says what is not."""
        if node.name not in leaves:
            raise RequestError(f"'{node.name}' has no value.")
        value = np.asarray(leaves[node.name])
        shape = tuple(self.extent(d) for d in node.shape)
        if value.shape[value.ndim - len(shape) :] != shape or value.ndim > len(shape) + 1:
            raise RequestError(f"'{node.name}' must have the shape {shape}, not {value.shape}.")
        return value if value.dtype.kind in "fc" else value.astype(float)

    def extent(self, dim: Expr) -> int:
        """How far a letter of this size runs."""
        found = self._extents.get(dim)
        if found is None:
            found = self._extents[dim] = size_value(dim, self.sizes)
        return found

    def named(self, e: Expr) -> Named:
        """The values of `e` with whatever axes it depends on."""
        memo = self._memo
        if e in memo:
            return memo[e]
        with np.errstate(all="ignore"):
            for x in _order(e):
                if x not in memo:
                    memo[x] = self.compute(x)
        return memo[e]

    def compute(self, e: Expr) -> Named:
        """The values of an expression whose parts are known."""
        return _COMPUTE[type(e)](self, e)

    # ---- leaves of expressions ------------------------------------------------------------------

    def _number(self, e: Num) -> Named:
        try:
            return Named(np.float64(float(e.value)), ())  # type: ignore[arg-type]
        except OverflowError:
            return Named(np.float64(np.inf if e.value > 0 else -np.inf), ())  # type: ignore[arg-type]

    def _constant(self, e: Const) -> Named:
        found = self.constants.get(e.name)
        if found is not None:
            return self._number(found) if isinstance(found, Num) else Named(np.asarray(float(found)), ())
        known = {"pi": np.pi, "inf": np.inf}
        if e.name not in known:
            raise RequestError(f"The constant {e.name} has no value.")
        return Named(np.asarray(known[e.name]), ())

    def _size(self, e: Size) -> Named:
        return Named(np.asarray(float(self.extent(e))), ())

    def _index(self, e: Index) -> Named:
        return Named(np.arange(float(self.extent(e.dim))), (e,))

    def _entry(self, e: Entry) -> Named:
        array = self.values.get(e.tensor)
        if array is None:
            raise RequestError(f"'{e.tensor}' has no value.")
        stacked = array.ndim - len(e.idx)
        if stacked not in (0, 1):
            raise RequestError(f"'{e.tensor}' has {array.ndim} axes where {e!r} uses {len(e.idx)}.")
        selection: list[Any] = [slice(None)] * stacked
        axes: list[Index] = [STACK] * stacked
        for i, length in zip(e.idx, array.shape[stacked:], strict=True):
            if isinstance(i, Num) and i.value.denominator == 1 and 0 <= i.value < length:
                selection.append(int(i.value))
            elif isinstance(i, Index) and i not in axes and self.extent(i.dim) <= length:
                selection.append(slice(self.extent(i.dim)))
                axes.append(i)
            else:
                return self._gather(array, stacked, e.idx)
        return Named(array[tuple(selection)], tuple(axes))

    def _gather(self, array: Array, stacked: int, idx: Sequence[Expr]) -> Named:
        """`array[idx]` for any index expressions; out of range means the nearest entry."""
        positions = [self.named(i) for i in idx]
        if stacked:
            positions.insert(0, Named(np.arange(array.shape[0]), (STACK,)))
        aligned, axes = _align(positions)
        places = [
            np.clip(np.rint(p.real), 0, length - 1).astype(np.intp)
            for p, length in zip(aligned, array.shape, strict=True)
        ]
        return Named(array[tuple(places)], axes)

    # ---- entry by entry -------------------------------------------------------------------------

    def _add(self, e: Add) -> Named:
        arrays, axes = self._aligned(e.args)
        total = arrays[0]
        for a in arrays[1:]:
            total = total + a
        return Named(total, axes)

    def _mul(self, e: Mul) -> Named:
        arrays, axes = self._aligned(e.args)
        product = arrays[0]
        for a in arrays[1:]:
            product = _times(product, a)
        return Named(product, axes)

    def _pow(self, e: Pow) -> Named:
        (base, exponent), axes = self._aligned(e.args)
        return Named(_power(base, exponent), axes)

    def _call(self, e: Call) -> Named:
        args: tuple[Expr, ...] = e.args
        value = self.functions.get(e.fn)
        if value is None and e.fn in self.table:
            value = self.table[e.fn].value
        if value is None:
            raise NoRule(f"symbp has no values for the function {e.fn}")
        if e.fn in ("maximum", "minimum") and not args[0].tensors:
            args = args[::-1]  # at a tie the second wins, and that shall be the constant
        arrays, axes = self._aligned(args)
        return Named(np.asarray(value(np, *arrays)), axes)

    def _compare(self, e: Compare) -> Named:
        (left, right), axes = self._aligned(e.args)
        return Named(_COMPARE[e.fn](left.real, right.real).astype(float), axes)

    def _select(self, e: Select) -> Named:
        (condition, yes, no), axes = self._aligned(e.args)
        return Named(np.where(condition.real != 0, yes, no), axes)

    def _delta(self, e: Delta) -> Named:
        (left, right), axes = self._aligned(e.args)
        return Named((left.real == right.real).astype(float), axes)

    def _aligned(self, args: Iterable[Expr]) -> tuple[list[Array], tuple[Index, ...]]:
        return _align([self._memo[a] for a in args])

    # ---- reductions -----------------------------------------------------------------------------

    def _reduce(self, e: Reduce) -> Named:
        if e.op == "sum":
            parts = [self._sum(factors, e.bound) for factors in _summands(e)]
            arrays, axes = _align(parts)
            return Named(sum(arrays[1:], arrays[0]), axes)
        if e.op == "tensor":  # the operand of an unknown map: all its axes, unnamed
            return self._open(e)
        if e.op not in _REDUCTIONS:
            raise NoRule(f"symbp has no values for the reduction {e.op}")
        array, kept = self._open(e)
        result = _REDUCTIONS[e.op](array, len(e.bound))
        return self._read(result, kept, e.at) if e.at else Named(result, kept)

    def _apply(self, e: Apply) -> Named:
        """An unknown map of whole tensors, whose operands depend on nothing but the stack."""
        value = self.functions.get(e.fn)
        if value is None:
            raise NoRule(f"symbp has no values for the unknown function {e.fn}")
        operands = [self._memo[x] for x in e.operands]
        if any(a is not STACK for o in operands for a in o.axes):
            raise NoRule(f"the operands of {e.fn} must be whole tensors")
        stacked = any(o.axes for o in operands)
        arrays = [o.array if o.axes or not stacked else o.array[None] for o in operands]
        shape = tuple(self.extent(i.dim) for i in e.at[: len(e.at) - self._inputs(e)] if isinstance(i, Index))
        kept = (STACK,) if stacked else ()
        result = value(np, e.slot, shape, len(kept), *arrays)
        return self._read(result, kept, e.at) if e.at else Named(result, kept)

    def _inputs(self, e: Apply) -> int:
        """How many letters of `at` belong to the operand of a partial derivative."""
        if e.slot is None:
            return 0
        operand = e.operands[e.slot]
        return len(operand.bound) if isinstance(operand, Reduce) else 0

    def _open(self, e: Reduce) -> Named:
        """The values of the body, the bound letters as last axes (which are not named)."""
        body = self._memo[e.body]
        kept = tuple(a for a in body.axes if a not in e.bound)
        array = _spread(body, (*kept, *e.bound))
        extents = tuple(self.extent(i.dim) for i in e.bound)
        return Named(np.broadcast_to(array, array.shape[: len(kept)] + extents), kept)

    def reduced(self, e: Reduce) -> Named:
        """What a reduction reduces: the values of its body, all bound letters as one last axis."""
        self.named(e.body)
        array, kept = self._open(e)
        return Named(_flat(array, len(e.bound)), kept)

    def _sum(self, factors: Sequence[Expr], bound: Sequence[Index]) -> Named:
        """Σ over the bound letters of a product, without the product's own array."""
        scale: Array = np.asarray(1.0)
        operands: list[Named] = []
        for f in factors:
            found = self._memo[f]
            if found.axes:
                operands.append(found)
            else:
                scale = scale * found.array
        present = {a for o in operands for a in o.axes}
        for i in bound:
            if i not in present:
                scale = scale * self.extent(i.dim)
        if not operands:
            return Named(scale, ())
        result = _einsum(operands, bound)
        return result if np.ndim(scale) == 0 and scale == 1.0 else Named(_times(result.array, scale), result.axes)

    def _read(self, array: Array, kept: tuple[Index, ...], at: Sequence[Expr]) -> Named:
        """Read the last axes of `array` at the places `at`."""
        lengths = array.shape[len(kept) :]
        letters = [i for i in at if isinstance(i, Index)]
        plain = len(letters) == len(at) == len(set(letters)) and not set(letters) & set(kept)
        if plain and all(self.extent(i.dim) == n for i, n in zip(letters, lengths, strict=True)):
            return Named(array, (*kept, *letters))
        stacked = 1 if kept[:1] == (STACK,) else 0
        return self._gather(array, stacked, (*kept[stacked:], *at))


# ---- what must be known before an expression can be computed ---------------------------------------


@lru_cache(maxsize=4096)
def _order(e: Expr) -> tuple[Expr, ...]:
    """What to compute for `e`, each subexpression after what it needs."""
    done: dict[Expr, None] = {}
    stack = [e]
    while stack:
        x = stack[-1]
        missing = [a for a in _needs(x) if a not in done]
        if missing:
            stack.extend(reversed(missing))
        else:
            stack.pop()
            done[x] = None
    return tuple(done)


def _needs(e: Expr) -> Sequence[Expr]:
    if isinstance(e, Entry):
        return [i for i in e.idx if not isinstance(i, Num)] if not all(isinstance(i, Index) for i in e.idx) else ()
    if isinstance(e, Reduce) and e.op == "sum":
        return [f for factors in _summands(e) for f in factors]
    return e.args


def _summands(e: Reduce) -> list[tuple[Expr, ...]]:
    """The factors to put into one einsum each. Σ(ab + c) is Σab + Σc, so that ab never becomes an
    array; Σ(x − μ) stays together, because it cancels."""
    body = e.body
    terms: tuple[Expr, ...] = (body,)
    if isinstance(body, Add) and any(isinstance(t, Mul) and sum(bool(f.free) for f in t.args) > 1 for t in body.args):
        terms = body.args
    return [t.args if isinstance(t, Mul) else (t,) for t in terms]


# ---- arrays with letters -----------------------------------------------------------------------------


def _align(items: Sequence[Named]) -> tuple[list[Array], tuple[Index, ...]]:
    """The arrays with the same axes in the same order; missing ones have length 1."""
    axes = items[0].axes
    if all(n.axes == axes for n in items):
        return [n.array for n in items], axes
    union = dict.fromkeys(a for n in items for a in n.axes)
    if STACK in union:
        union = {STACK: None, **union}
    axes = tuple(union)
    return [_spread(n, axes) for n in items], axes


def _spread(named: Named, axes: tuple[Index, ...]) -> Array:
    array, own = named
    if own == axes or not own:
        return array
    order = [own.index(a) for a in axes if a in own]
    if order != sorted(order):
        array = array.transpose(order)
    if len(own) < len(axes):
        array = array[tuple(slice(None) if a in own else None for a in axes)]
    return array


def _einsum(operands: Sequence[Named], bound: Sequence[Index]) -> Named:
    axes = tuple(dict.fromkeys(a for o in operands for a in o.axes if a not in bound))
    if STACK in axes and axes[0] is not STACK:
        axes = (STACK, *(a for a in axes if a is not STACK))
    if len(operands) == 1:
        own = operands[0].axes
        total = operands[0].array.sum(axis=tuple(n for n, a in enumerate(own) if a in bound))
        return Named(np.asarray(total), tuple(a for a in own if a not in bound))
    number: dict[Index, int] = {}
    work = 1
    for o in operands:
        for a, n in zip(o.axes, o.array.shape, strict=True):
            if a not in number:
                number[a] = len(number)
                work *= n
    plan: list[Any] = []
    for o in operands:
        plan += [o.array, [number[a] for a in o.axes]]
    return Named(np.asarray(np.einsum(*plan, [number[a] for a in axes], optimize=work > DIRECT)), axes)


# ---- values that are safe for the complex step -------------------------------------------------------


def _times(a: Array, b: Array) -> Array:
    """a · b; a real factor scales both parts of a complex one, so that −∞ + 0i stays what it is."""
    if np.iscomplexobj(a) == np.iscomplexobj(b):
        return np.asarray(a * b)
    real, other = (b, a) if np.iscomplexobj(a) else (a, b)
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), complex)
    np.multiply(real, other.real, out=product.real)
    np.multiply(real, other.imag, out=product.imag)
    return product


def _power(base: Array, exponent: Array) -> Array:
    """baseᵉ, with 0⁰ = 1; complex only where something is perturbed."""
    if exponent.ndim == 0 and not np.iscomplexobj(exponent):
        if exponent == 2.0:
            return np.asarray(base * base)
        if exponent == -1.0:
            return np.asarray(1.0 / base)
        if exponent == 0.5:
            return np.asarray(np.sqrt(base))
    if not np.iscomplexobj(base) and not np.iscomplexobj(exponent):
        return np.asarray(np.power(base, exponent))
    if np.all(exponent.imag == 0) and np.all(exponent.real == np.rint(exponent.real)):
        return np.asarray(np.power(base, exponent.real))
    return np.asarray(np.exp(exponent * np.log(base)))


def _same(a: Array, b: Array) -> Array:
    """Equal up to rounding: a maximum that was computed along another path is still the maximum."""
    return np.asarray((a == b) | (np.abs(a - b) <= NEARLY * np.minimum(np.abs(a), np.abs(b))))


_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    ">": lambda a, b: np.asarray(a > b),
    ">=": lambda a, b: np.asarray(a >= b),
    "<": lambda a, b: np.asarray(a < b),
    "<=": lambda a, b: np.asarray(a <= b),
    "==": _same,
    "!=": lambda a, b: ~_same(a, b),
}


def _flat(x: Array, n: int) -> Array:
    """The last n axes as one."""
    return x.reshape(*x.shape[: x.ndim - n], -1)


def _max(x: Array, n: int) -> Array:
    x = _flat(x, n)
    top = x.real.max(axis=-1, keepdims=True)
    if not np.iscomplexobj(x):
        return np.asarray(top[..., 0])
    return np.asarray(top[..., 0] + 1j * np.where(_same(x.real, top), x.imag, 0.0).sum(axis=-1))


def _min(x: Array, n: int) -> Array:
    return -_max(-x, n)


def _shift(x: Array, axes: tuple[int, ...]) -> Array:
    top = x.real.max(axis=axes, keepdims=True)
    return np.where(np.isfinite(top), top, 0.0)


def _logsumexp(x: Array, n: int) -> Array:
    axes = tuple(range(-n, 0))
    top = _shift(x, axes)
    total = np.log(np.exp(x - top).sum(axis=axes, keepdims=True)) + top
    return np.asarray(total.reshape(x.shape[: x.ndim - n]))


def _log_softmax(x: Array, n: int) -> Array:
    axes = tuple(range(-n, 0))
    shifted = x - _shift(x, axes)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axes, keepdims=True)))


def _softmax(x: Array, n: int) -> Array:
    axes = tuple(range(-n, 0))
    powers = np.exp(x - _shift(x, axes))
    return np.asarray(powers / powers.sum(axis=axes, keepdims=True))


def _logdet(x: Array, n: int) -> Array:
    """log|det x|; the sign of a perturbed matrix is ±(1 + iε), and ε belongs to the logarithm."""
    sign, value = np.linalg.slogdet(x)
    return np.asarray(value + 1j * (sign.imag / sign.real)) if np.iscomplexobj(x) else np.asarray(value)


def _inverse(x: Array, n: int) -> Array:
    try:
        return np.asarray(np.linalg.inv(x))
    except np.linalg.LinAlgError:
        return np.full_like(x, np.nan)


_REDUCTIONS: dict[str, Callable[[Array, int], Array]] = {
    "max": _max,
    "min": _min,
    "logsumexp": _logsumexp,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "inv": _inverse,
    "det": lambda x, n: np.asarray(np.linalg.det(x)),
    "logdet": _logdet,
}

_COMPUTE: dict[type[Expr], Callable[[Evaluation, Any], Named]] = {
    Num: Evaluation._number,
    Const: Evaluation._constant,
    Size: Evaluation._size,
    Index: Evaluation._index,
    Entry: Evaluation._entry,
    Add: Evaluation._add,
    Mul: Evaluation._mul,
    Pow: Evaluation._pow,
    Call: Evaluation._call,
    Compare: Evaluation._compare,
    Select: Evaluation._select,
    Delta: Evaluation._delta,
    Reduce: Evaluation._reduce,
    Apply: Evaluation._apply,
}
