"""What a claim's tree is worth at many points at once.

A `Batch` is a stack of points with the same sizes: every array has the points as its first axis, so
that a formula costs one walk for all of them. Then come the axes of index letters, then the array
axes (claim.py). A tree is computed once per batch, however many formulas contain it.

A formula that does not fit raises `ShapeError`; nothing else leaves `Batch.value`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from symbp.claim import Tree
from symbp.judge.functions import LARGEST, OTHER, PLAIN, REDUCTIONS, Array
from symbp.ops import OPS, Op

REMEMBERED = 30_000
KNOWN = {*OPS, *PLAIN, *REDUCTIONS, *OTHER}


class ShapeError(ValueError):
    """The parts of a formula do not fit together. `tree` is the part, `shapes` those of its operands."""

    def __init__(self, reason: str, tree: Tree | None = None, shapes: Sequence[tuple[int, ...]] = ()) -> None:
        super().__init__(reason)
        self.reason, self.tree, self.shapes = reason, tree, tuple(shapes)


class Value(NamedTuple):
    """An array (points, letters…, axes…) and its letters."""

    array: Array
    letters: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the array axes."""
        return self.array.shape[1 + len(self.letters) :]


class Batch:
    """Points with the same sizes: values of tensors, gradients, sizes and constants."""

    def __init__(
        self,
        count: int,
        sizes: Mapping[str, int],
        tensors: Mapping[str, Array],
        gradients: Mapping[str, Array],
        scalars: Mapping[str, float],
        table: Mapping[str, Op] = OPS,
        functions: Mapping[str, Any] | None = None,
        jacobian: Callable[[str, str], Array] | None = None,
    ) -> None:
        self.count, self.sizes, self.table = count, sizes, table
        self.tensors, self.gradients = dict(tensors), dict(gradients)
        self.scalars, self.functions = scalars, functions or {}
        self.jacobian = jacobian
        self.definitions: dict[str, Tree] = {}
        self.overrides: dict[str, Array] = {}
        self._memos: dict[tuple[tuple[str, int], ...], dict[Tree, Value | ShapeError]] = {}
        self._memo: dict[Tree, Value | ShapeError] = {}
        self._letters: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """Drop what was computed (a definition or a gradient has changed)."""
        self._memos = {(): {}}
        self._memo, self._letters = self._memos[()], {}

    def value(self, tree: Tree, beside: Sequence[Tree] = ()) -> Value:
        """The value of a tree; letters that stand for themselves run as in `tree` or in those `beside` it."""
        if not tree.lettered:
            known = self._memos[()].get(tree)
            if known is not None:
                if isinstance(known, ShapeError):
                    raise known
                return known
        if len(self._memos[()]) > REMEMBERED:
            self.forget()
        self._memo, self._letters = self._memos[()], {}
        with np.errstate(all="ignore"):
            if tree.lettered:
                self._letters = self._extents((tree, *beside))
                key = tuple(sorted(self._letters.items()))
                self._memo = self._memos.setdefault(key, {})
            return self._value(tree)

    # ---- numbers: float64 here, more digits in judge/precise.py ------------------------------------

    plain: Mapping[str, Callable[..., Any]] = PLAIN

    def compute(self, tree: Tree) -> Value:
        """The value of one operation on known parts."""
        return _COMPUTE[tree.op](self, tree)

    def number(self, value: Any) -> Any:
        """A number of a formula or of the network."""
        return float(value)

    def slope(self, op: Op, x: Array) -> Array:
        """The derivative of an elementwise function, by a complex step."""
        rest = [np.asarray(float(d.value)) for d in op.defaults]
        return np.asarray(op.value(np, x + 1e-30j, *rest).imag / 1e-30)

    def apply(self, function: Callable[..., Any], arrays: Sequence[Any]) -> Array:
        """A function of arrays that is handed its NumPy, as those of the table of functions are."""
        return np.asarray(function(np, *arrays), dtype=float)

    def _extents(self, trees: Sequence[Tree]) -> dict[str, int]:
        found: dict[str, int] = {}
        for tree in trees:
            for t in tree.walk():
                if t.op == "entry" and not t.args[0].lettered:
                    shape = self._value(t.args[0]).shape
                    for i, n in zip(t.data, shape, strict=False):
                        if isinstance(i, str) and i != "*":
                            found.setdefault(i, n)
        return found

    def _value(self, tree: Tree) -> Value:
        found = self._memo.get(tree)
        if found is None:
            try:
                found = self.compute(tree)
                if found.array.size > 16 * LARGEST:
                    found = ShapeError("an intermediate array is too large", tree)
            except ShapeError as error:
                if error.tree is None:
                    error.tree = tree
                found = error
            except (
                ValueError,
                TypeError,
                IndexError,
                np.linalg.LinAlgError,
                OverflowError,
                ZeroDivisionError,
            ) as error:
                reason = str(error)[:200]
                if not reason or "broadcast" in reason or "shape" in reason:  # NumPy's sizes count the points too
                    reason = "the parts do not fit together"
                found = ShapeError(reason, tree, self._shapes(tree))
            self._memo[tree] = found
        if isinstance(found, ShapeError):
            raise found
        return found

    def _shapes(self, tree: Tree) -> list[tuple[int, ...]]:
        shapes = []
        for a in tree.args:
            try:
                shapes.append(self._value(a).shape)
            except ShapeError:
                return []
        return shapes

    def integer(self, tree: Tree) -> int:
        """A size in an argument, the same at all points."""
        value = float(np.ravel(self._value(tree).array)[0])
        if not value.is_integer() or abs(value) > LARGEST:
            raise ShapeError(f"{value:g} is no size", tree)
        return int(value)

    # ---- leaves ----------------------------------------------------------------------------------

    def _number(self, tree: Tree) -> Value:
        value = tree.data[0]
        try:
            return Value(np.array([self.number(value)]))
        except OverflowError:
            return Value(np.array([np.inf if value > 0 else -np.inf]))

    def _name(self, tree: Tree) -> Value:
        name = tree.data[0]
        if name in self.definitions:
            return self._value(self.definitions[name])
        found = self.tensors.get(name)
        if found is not None:
            return Value(found)
        if name in self.scalars:
            return Value(np.array([self.number(self.scalars[name])]))
        raise ShapeError(f"{name} has no value", tree)

    def _gradient(self, tree: Tree) -> Value:
        name = tree.data[0]
        found = self.overrides.get(name)
        if found is None:
            found = self.gradients.get(name)
        if found is None:
            raise ShapeError(f"the gradient of {name} is not known", tree)
        return Value(found)

    def _jacobian(self, tree: Tree) -> Value:
        if self.jacobian is None:
            raise ShapeError("Jacobians are not known here", tree)
        return Value(self.jacobian(tree.data[0], tree.data[1]))

    def _letter(self, tree: Tree) -> Value:
        name = tree.data[0]
        if name not in self._letters:
            raise ShapeError(f"nothing says how far the index {name} runs", tree)
        return Value(np.arange(float(self._letters[name]))[None], (name,))

    # ---- entry by entry --------------------------------------------------------------------------

    def aligned(self, values: Sequence[Value]) -> tuple[list[Array], tuple[str, ...]]:
        """Arrays that NumPy broadcasts: letters lined up by name, array axes from the right."""
        letters = values[0].letters
        if all(v.letters == letters for v in values):
            depth = max(v.array.ndim for v in values)
            start = 1 + len(letters)
            return [
                v.array
                if v.array.ndim == depth
                else v.array.reshape(v.array.shape[:start] + (1,) * (depth - v.array.ndim) + v.array.shape[start:])
                for v in values
            ], letters
        union = tuple(dict.fromkeys(x for v in values for x in v.letters))
        depth = max(len(v.shape) for v in values)
        found: list[Array] = []
        extents: dict[str, int] = {}
        for v in values:
            for x, n in zip(v.letters, v.array.shape[1:], strict=False):
                if extents.setdefault(x, n) != n:
                    raise ShapeError(f"the index {x} runs over {extents[x]} and over {n} places")
            order = sorted(range(len(v.letters)), key=lambda i, v=v: union.index(v.letters[i]))  # type: ignore[misc]
            rest = range(1 + len(v.letters), v.array.ndim)
            a = v.array.transpose((0, *[1 + i for i in order], *rest))
            lengths = tuple(extents[x] if x in v.letters else 1 for x in union)
            found.append(a.reshape((a.shape[0], *lengths, *(1,) * (depth - len(v.shape)), *v.shape)))
        return found, union

    def _sum(self, tree: Tree) -> Value:
        arrays, letters = self.aligned([self._value(a) for a in tree.args])
        signs = tree.data
        total = arrays[0] if signs[0] > 0 else -arrays[0]
        for a, s in zip(arrays[1:], signs[1:], strict=True):
            total = total + a if s > 0 else total - a
        return Value(total, letters)

    def _product(self, tree: Tree) -> Value:
        arrays, letters = self.aligned([self._value(a) for a in tree.args])
        powers = tree.data[0]
        total = arrays[0] if powers[0] > 0 else 1.0 / arrays[0]
        for a, p in zip(arrays[1:], powers[1:], strict=True):
            total = total * a if p > 0 else total / a
        return Value(total, letters)

    def _power(self, tree: Tree) -> Value:
        base, exponent = tree.args
        if exponent.op == "number" and exponent.data[0] == 2:
            v = self._value(base)
            return Value(v.array * v.array, v.letters)
        (a, b), letters = self.aligned([self._value(base), self._value(exponent)])
        return Value(np.power(a, b), letters)

    def _compare(self, tree: Tree) -> Value:
        (a, b), letters = self.aligned([self._value(x) for x in tree.args])
        return Value(_COMPARE[tree.data](a, b).astype(float), letters)

    # ---- matrices --------------------------------------------------------------------------------

    def _chain(self, tree: Tree) -> Value:
        total = self._value(tree.args[0])
        for a in tree.args[1:]:
            total = self._matmul(total, self._value(a), tree)
        return total

    def _matmul(self, x: Value, y: Value, tree: Tree) -> Value:
        m, n = len(x.shape), len(y.shape)
        if not m or not n:
            raise ShapeError("a scalar has no matrix product; multiply with *", tree, (x.shape, y.shape))
        if x.shape[-1] != y.shape[0 if n == 1 else -2]:
            raise ShapeError("the inner sizes of a matrix product differ", tree, (x.shape, y.shape))
        letters = x.letters
        if x.letters == y.letters:
            a, b = x.array, y.array
        else:
            (a, b), letters = self.aligned([_flat(x), _flat(y)])
            a, b = _unflat(a, x, letters), _unflat(b, y, letters)
        left = a[..., None, :] if m == 1 else a
        right = b[..., :, None] if n == 1 else b
        lead = 1 + len(letters)
        extra = left.ndim - right.ndim
        if extra > 0:
            right = right.reshape(right.shape[:lead] + (1,) * extra + right.shape[lead:])
        elif extra < 0:
            left = left.reshape(left.shape[:lead] + (1,) * -extra + left.shape[lead:])
        result = left @ right
        if n == 1:
            result = result[..., 0]
        if m == 1:
            result = result[..., 0] if n == 1 else result[..., 0, :]
        return Value(result, letters)

    def _transpose(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        start, end = 1 + len(v.letters), v.array.ndim
        if end - start < 2:
            return v
        return Value(v.array.transpose((*range(start), *range(end - 1, start - 1, -1))), v.letters)

    # ---- indices ---------------------------------------------------------------------------------

    def _item(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        items = [slice(*map(self._bound, i[1:])) if isinstance(i, tuple) else i for i in tree.data]
        wanted = sum(i is not None and i is not Ellipsis for i in items)
        if wanted > len(v.shape):
            raise ShapeError(f"{wanted} indices for an array of {len(v.shape)} axes", tree, (v.shape,))
        return Value(v.array[(*(slice(None),) * (1 + len(v.letters)), *items)], v.letters)

    def _bound(self, bound: int | Tree | None) -> int | None:
        """Where a slice begins or ends: a number, or sizes."""
        return int(np.rint(self._value(bound).array.flat[0])) if isinstance(bound, Tree) else bound

    def _entry(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        indices = (*tree.data, *(":",) * (len(v.shape) - len(tree.data)))
        if len(indices) != len(v.shape):
            raise ShapeError(f"{len(tree.data)} indices for an array of {len(v.shape)} axes", tree, (v.shape,))
        if "*" in indices:
            return self._gather(tree, v)
        array = v.array
        labels: list[str] = ["", *v.letters]  # of the axes so far; "" is the stack, ":" an array axis
        for i in indices:
            axis = len(labels)
            if isinstance(i, int):
                array = np.take(array, i, axis=axis)
            elif i != ":" and i in labels:
                place = labels.index(i)
                if array.shape[place] != array.shape[axis]:
                    raise ShapeError(f"the index {i} runs over axes of different lengths", tree, (v.shape,))
                array = np.moveaxis(np.diagonal(array, axis1=place, axis2=axis), -1, place)
            else:
                labels.append(i)
        if ":" not in labels:
            return Value(array, tuple(labels[1:]))
        kept = [n for n, x in enumerate(labels) if x == ":"]
        lettered = [n for n, x in enumerate(labels) if x != ":"]
        return Value(array.transpose((*lettered, *kept)), tuple(labels[n] for n in lettered[1:]))

    def _gather(self, tree: Tree, v: Value) -> Value:
        if v.letters:
            raise ShapeError("a computed index of an indexed value", tree)
        computed = iter(tree.args[1:])
        places: list[Value] = [Value(np.arange(v.array.shape[0])[:, None][:, 0])]
        for n, i in enumerate(tree.data):
            if i == "*":
                places.append(self._value(next(computed)))
            elif isinstance(i, int):
                places.append(Value(np.array([i])))
            else:
                places.append(Value(np.arange(v.shape[n])[None], (i,)))
        if any(p.shape for p in places[1:]):
            raise ShapeError("an index must be a number", tree)
        arrays, letters = self.aligned(places)
        index = tuple(np.clip(np.rint(a), 0, n - 1).astype(int) for a, n in zip(arrays, v.array.shape, strict=True))
        return Value(v.array[index], letters)

    def _over(self, tree: Tree) -> Value:
        kind, letters = tree.data
        v = self._value(tree.args[0])
        if len(tree.args) > 1:
            (a, c), union = self.aligned([v, self._value(tree.args[1])])
            fill = {"prod": 1.0, "max": -np.inf, "min": np.inf}.get(kind, 0.0)
            v = Value(np.where(c != 0, a, fill), union)
        missing = [x for x in letters if x not in v.letters]
        if missing:
            raise ShapeError(f"the index {missing[0]} is summed over but does not occur", tree)
        axes = tuple(1 + v.letters.index(x) for x in letters)
        array = getattr(v.array, kind)(axis=axes)
        return Value(array, tuple(x for x in v.letters if x not in letters))

    def _array(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        if v.shape and any(n != 1 for n in v.shape):
            raise ShapeError("an entry must be a number", tree, (v.shape,))
        extra = [x for x in v.letters if x not in tree.data]
        if extra:
            raise ShapeError(f"the index {extra[0]} is free: the left side does not have it", tree)
        order = [v.letters.index(x) for x in tree.data if x in v.letters]
        a: Array = v.array.reshape(v.array.shape[: 1 + len(v.letters)])
        a = a.transpose((0, *[1 + i for i in order]))
        lengths = [a.shape[1 + order.index(v.letters.index(x))] if x in v.letters else 1 for x in tree.data]
        return Value(a.reshape((a.shape[0], *lengths)))

    def _alias(self, tree: Tree) -> Value:
        return self._value(tree.args[0])

    # ---- calls -----------------------------------------------------------------------------------

    def _call(self, tree: Tree) -> Value:
        function, options = tree.data
        if function in REDUCTIONS:
            return self._reduction(tree, function, dict(options))
        special = _SPECIAL.get(function)
        if special is not None:
            return special(self, tree)
        op = self.table.get(function) if function in OPS or function in self.table else None
        if op is not None and not options:
            arrays, letters = self.aligned([self._value(a) for a in tree.args])
            arrays += [np.asarray(self.number(d.value)) for d in op.defaults[len(arrays) - 1 :]] if op.defaults else []
            return Value(self.apply(op.value, arrays), letters)
        if function in self.functions:
            arrays, letters = self.aligned([self._value(a) for a in tree.args])
            return Value(self.apply(self.functions[function], arrays), letters)
        if function in self.plain:
            return self._each(tree, self.plain[function], dict(options))
        raise ShapeError(f"{function} is not a function of the language", tree)

    def _reduction(self, tree: Tree, function: str, options: dict[str, Any]) -> Value:
        v = self._value(tree.args[0])
        start = 1 + len(v.letters)
        axis, keep = options.get("axis"), bool(options.get("keepdims", False))
        if len(tree.args) > 1:
            axis = self.integer(tree.args[1])
        if axis is None:
            axes = tuple(range(start, v.array.ndim))
        else:
            axes = tuple(_axis(a, len(v.shape)) + start for a in (axis if isinstance(axis, tuple) else (axis,)))
        return Value(_REDUCE[function](v.array, axes, keep), v.letters)

    def _softmax(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        function, options = tree.data
        axis = dict(options).get("axis", -1)
        if len(tree.args) > 1:
            axis = self.integer(tree.args[1])
        axes = (
            tuple(range(1 + len(v.letters), v.array.ndim))
            if axis is None
            else (_axis(axis, len(v.shape)) + 1 + len(v.letters),)
        )
        log = v.array - _logsumexp(v.array, axes, True)
        return Value(log if function == "log_softmax" else np.exp(log), v.letters)

    def _where(self, tree: Tree) -> Value:
        (c, a, b), letters = self.aligned([self._value(x) for x in tree.args])
        return Value(np.where(c != 0, a, b), letters)

    def _clip(self, tree: Tree) -> Value:
        arrays, letters = self.aligned([self._value(x) for x in tree.args])
        low, high = arrays[1], arrays[2] if len(arrays) > 2 else np.inf
        return Value(np.minimum(np.maximum(arrays[0], low), high), letters)

    def _norm2sq(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        return Value((v.array * v.array).sum(axis=tuple(range(1 + len(v.letters), v.array.ndim))), v.letters)

    def _sqrt(self, tree: Tree) -> Value:
        v = self._value(tree.args[0])
        return Value(np.sqrt(v.array), v.letters)

    def _slope(self, tree: Tree) -> Value:
        """The derivative of an elementwise function, `f'(z)`."""
        v = self._value(tree.args[0])
        name = dict(tree.data[1])["of"]
        known = self.functions.get(name + "'")
        if known is not None:
            return Value(self.apply(known, (v.array,)), v.letters)
        return Value(self.slope(self.table[name], v.array), v.letters)

    def _outer(self, tree: Tree) -> Value:
        x, y = (self._value(a) for a in tree.args)
        if x.letters or y.letters or len(x.shape) != 1 or len(y.shape) != 1:
            return self._each(tree, PLAIN["outer"], {})
        return Value(x.array[:, :, None] * y.array[:, None, :])

    def _dot(self, tree: Tree) -> Value:
        x, y = (self._value(a) for a in tree.args)
        if not x.shape or not y.shape:
            (a, b), letters = self.aligned([x, y])
            return Value(a * b, letters)
        return self._matmul(x, y, tree)

    def _einsum(self, tree: Tree) -> Value:
        letters = dict(tree.data[1])["letters"]
        operands = [self._value(a) for a in tree.args]
        if any(v.letters for v in operands):
            raise ShapeError("einsum of indexed values", tree)
        inputs, arrow, output = letters.replace(" ", "").partition("->")
        parts = inputs.split(",")
        if not arrow:
            flat = "".join(parts)
            output = "".join(sorted(x for x in set(flat) if flat.count(x) == 1))
        if len(parts) != len(operands) or any(len(p) != len(v.shape) for p, v in zip(parts, operands, strict=True)):
            raise ShapeError("the letters of einsum do not fit its operands", tree, [v.shape for v in operands])
        spare = next(x for x in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if x not in letters)
        arrays = [np.broadcast_to(v.array, (self.count, *v.array.shape[1:])) for v in operands]
        text = ",".join(spare + p for p in parts) + "->" + spare + output
        return Value(np.einsum(text, *arrays))

    def _each(self, tree: Tree, function: Callable[..., Any], options: dict[str, Any]) -> Value:
        """A function of plain arrays, at every point (and every value of the letters)."""
        sources = [self._argument(a) for a in tree.args]
        flat = [v for s in sources for v in (s if isinstance(s, list) else [s])]
        letters = tuple(dict.fromkeys(x for v in flat for x in v.letters))
        extents = {x: n for v in flat for x, n in zip(v.letters, v.array.shape[1:], strict=False)}
        lead = (self.count, *[extents[x] for x in letters])
        if np.prod(lead) > 20_000:
            raise ShapeError("an intermediate array is too large", tree)

        def at(v: Value, place: tuple[int, ...]) -> Array:
            point = place[0] if v.array.shape[0] > 1 else 0
            return np.asarray(v.array[(point, *(place[1 + letters.index(x)] for x in v.letters))])

        results = []
        for place in itertools.product(*map(range, lead)):
            args = [tuple(at(v, place) for v in s) if isinstance(s, list) else at(s, place) for s in sources]
            results.append(self.apply(lambda _, *a: function(*a, **options), args))
        shape = results[0].shape if results else ()
        return Value(np.stack(results).reshape((*lead, *shape)), letters)

    def _argument(self, tree: Tree) -> Value | list[Value]:
        if tree.op == "call" and tree.data[0] == "tuple":
            return [self._value(a) for a in tree.args]
        return self._value(tree)


def _flat(v: Value) -> Value:
    """Without its array axes, but for their product: so that only letters are lined up."""
    return Value(v.array.reshape((*v.array.shape[: 1 + len(v.letters)], -1)), v.letters)


def _unflat(a: Array, v: Value, letters: tuple[str, ...]) -> Array:
    return a.reshape(a.shape[: 1 + len(letters)] + v.shape)


def _axis(axis: Any, count: int) -> int:
    if not -count <= axis < count:
        raise ShapeError(f"axis {axis} of an array of {count} axes")
    return int(axis % count)


def _logsumexp(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    top = np.max(x, axis=axes, keepdims=True)
    r = top + np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True))
    return np.asarray(r if keep else np.squeeze(r, axis=axes))


_REDUCE: Mapping[str, Callable[[Array, tuple[int, ...], bool], Array]] = {
    "sum": lambda x, axes, keep: np.sum(x, axis=axes, keepdims=keep),
    "mean": lambda x, axes, keep: np.mean(x, axis=axes, keepdims=keep),
    "max": lambda x, axes, keep: np.max(x, axis=axes, keepdims=keep),
    "min": lambda x, axes, keep: np.min(x, axis=axes, keepdims=keep),
    "prod": lambda x, axes, keep: np.prod(x, axis=axes, keepdims=keep),
    "var": lambda x, axes, keep: np.var(x, axis=axes, keepdims=keep),
    "norm": lambda x, axes, keep: np.sqrt(np.sum(x * x, axis=axes, keepdims=keep)),
    "logsumexp": _logsumexp,
}
_COMPARE: Mapping[str, Callable[[Array, Array], Array]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_SPECIAL: Mapping[str, Callable[[Batch, Tree], Value]] = {
    "softmax": Batch._softmax,
    "log_softmax": Batch._softmax,
    "where": Batch._where,
    "clip": Batch._clip,
    "norm2sq": Batch._norm2sq,
    "sqrt": Batch._sqrt,
    "slope": Batch._slope,
    "outer": Batch._outer,
    "dot": Batch._dot,
    "einsum": Batch._einsum,
}
_COMPUTE: Mapping[str, Callable[[Batch, Tree], Value]] = {
    "number": Batch._number,
    "name": Batch._name,
    "gradient": Batch._gradient,
    "jacobian": Batch._jacobian,
    "letter": Batch._letter,
    "sum": Batch._sum,
    "product": Batch._product,
    "power": Batch._power,
    "compare": Batch._compare,
    "chain": Batch._chain,
    "transpose": Batch._transpose,
    "item": Batch._item,
    "entry": Batch._entry,
    "over": Batch._over,
    "array": Batch._array,
    "alias": Batch._alias,
    "call": Batch._call,
}
