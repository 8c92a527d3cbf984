"""What the functions of the network language do to plain arrays, for the evaluation of claims.

`PLAIN` works on the arrays of one point, as NumPy would; value.py has faster ways for what occurs
in most formulas. Sizes in arguments are whole numbers, and no result may have more than `LARGEST`
entries: the formula is somebody else's. Nothing here changes its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST = 1_000_000


def whole(x: Any) -> int:
    """A size or an axis in an argument."""
    value = float(x)
    if not value.is_integer() or abs(value) > LARGEST:
        raise ValueError(f"{value:g} is no size")
    return int(value)


def shape_of(x: Any) -> tuple[int, ...]:
    """A shape argument, (n, m) or n."""
    shape = tuple(whole(n) for n in x) if isinstance(x, tuple) else (whole(x),)
    if math.prod(abs(n) for n in shape) > LARGEST:
        raise ValueError("the array would be too large")
    return shape


def _windows(x: Array, kernel: Sequence[int], stride: int = 1) -> Array:
    axes = tuple(range(-len(kernel), 0))
    w: Any = np.lib.stride_tricks.sliding_window_view(x, tuple(kernel), axis=axes)
    skip = (slice(None, None, stride),) * len(kernel)
    return np.asarray(w[(Ellipsis, *skip, *(slice(None),) * len(kernel))])


def _conv(x: Array, w: Array, stride: Any, padding: Any, nd: int) -> Array:
    stride, padding = whole(stride), whole(padding)
    single = w.ndim == nd
    if single:
        x, w = x[None], w[None, None]
    if w.ndim != nd + 2 or x.ndim != nd + 1 or x.shape[0] != w.shape[1]:
        raise ValueError("the shapes do not fit a convolution")
    x = np.pad(x, [(0, 0)] + [(padding, padding)] * nd)
    win = _windows(x, w.shape[2:], stride)
    y = np.tensordot(w, win, axes=([1, *range(2, 2 + nd)], [0, *range(1 + nd, 1 + 2 * nd)]))
    return np.asarray(y[0] if single else y)


def _pool(x: Array, k: Any) -> Array:
    k = whole(k)
    h, w = x.shape[-2:]
    return x.reshape((*x.shape[:-2], h // k, k, w // k, k))


def _dilate(x: Array, step: Any, nd: int) -> Array:
    step = whole(step)
    lengths = [(n - 1) * step + 1 for n in x.shape[-nd:]]
    out: Any = np.zeros(shape_of((*x.shape[:-nd], *lengths)))
    out[(Ellipsis, *(slice(None, None, step),) * nd)] = x
    return np.asarray(out)


def _square(f: Callable[[Array], Any]) -> Callable[[Array], Any]:
    def g(a: Array) -> Any:
        if a.ndim != 2 or a.shape[0] != a.shape[1]:
            raise ValueError("this is not a square matrix")
        return f(a)

    return g


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.dot(a, b))


def _matmul_like(x: Array) -> Array:
    if x.ndim == 1:
        return np.diag(x)
    return np.asarray(np.diag(x))


def _moved(parts: Any, axis: Any = 0) -> tuple[list[Array], int]:
    return list(parts), whole(axis)


def _concatenate(parts: Any, axis: Any = 0) -> Array:
    arrays, n = _moved(parts, axis)
    return np.concatenate(arrays, n)


def _stack(parts: Any, axis: Any = 0) -> Array:
    arrays, n = _moved(parts, axis)
    return np.stack(arrays, n)


def _repeat(x: Array, n: Any, axis: Any = None) -> Array:
    if x.size * whole(n) > LARGEST:
        raise ValueError("the array would be too large")
    return np.repeat(x, whole(n), None if axis is None else whole(axis))


def _tile(x: Array, n: Any) -> Array:
    reps = shape_of(n)
    if x.size * math.prod(reps) > LARGEST:
        raise ValueError("the array would be too large")
    return np.tile(x, reps)


def _kron(a: Array, b: Array) -> Array:
    if a.size * b.size > LARGEST:
        raise ValueError("the array would be too large")
    return np.kron(a, b)


def _transpose(x: Array, axes: Any = None) -> Array:
    return np.transpose(x, None if axes is None else tuple(whole(a) for a in axes))


def _reshape(x: Array, *shape: Any) -> Array:
    new = shape[0] if len(shape) == 1 else tuple(shape)
    return np.reshape(x, tuple(whole(n) for n in new) if isinstance(new, tuple) else (whole(new),))


def _optional(axis: Any) -> Any:
    return None if axis is None else tuple(whole(a) for a in axis) if isinstance(axis, tuple) else whole(axis)


def _eye(n: Any, m: Any = None) -> Array:
    rows, columns = shape_of((n, n if m is None else m))
    return np.eye(rows, columns)


def _column(x: Array) -> Array:
    return x[:, None] if x.ndim == 1 else x


def _row(x: Array) -> Array:
    return x[None, :] if x.ndim == 1 else x


PLAIN: Mapping[str, Callable[..., Any]] = {
    "column": _column,
    "row": _row,
    "dot": _dot,
    "outer": lambda a, b: np.outer(a, b),
    "inner": lambda a, b: np.inner(a, b),
    "kron": _kron,
    "trace": _square(np.trace),
    "diag": _matmul_like,
    "inv": _square(np.linalg.inv),
    "det": _square(np.linalg.det),
    "logdet": _square(lambda a: np.linalg.slogdet(a)[1]),
    "transpose": _transpose,
    "swapaxes": lambda x, a, b: np.swapaxes(x, whole(a), whole(b)),
    "moveaxis": lambda x, a, b: np.moveaxis(x, whole(a), whole(b)),
    "reshape": _reshape,
    "ravel": lambda x: np.ravel(x),
    "squeeze": lambda x, axis=None: np.squeeze(x, _optional(axis)),
    "expand_dims": lambda x, axis: np.expand_dims(x, whole(axis)),
    "concatenate": _concatenate,
    "stack": _stack,
    "flip": lambda x, axis=None: np.flip(x, _optional(axis)),
    "repeat": _repeat,
    "tile": _tile,
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape_of(shape)),
    "eye": _eye,
    "ones": lambda shape: np.ones(shape_of(shape)),
    "zeros": lambda shape: np.zeros(shape_of(shape)),
    "full": lambda shape, fill: np.full(shape_of(shape), fill),
    "ones_like": lambda x: np.ones_like(x),
    "zeros_like": lambda x: np.zeros_like(x),
    "causal_mask": lambda n: np.tril(np.ones(shape_of((n, n)))),
    "tril": lambda x, k=0: np.tril(x, whole(k)),
    "triu": lambda x, k=0: np.triu(x, whole(k)),
    "cumsum": lambda x, axis=None: np.cumsum(x, _optional(axis)),
    "conv1d": lambda x, w, stride=1, padding=0: _conv(x, w, stride, padding, 1),
    "conv2d": lambda x, w, stride=1, padding=0: _conv(x, w, stride, padding, 2),
    "maxpool2d": lambda x, k: _pool(x, k).max(axis=(-3, -1)),
    "avgpool2d": lambda x, k: _pool(x, k).mean(axis=(-3, -1)),
    "upsample2d": lambda y, k: _repeat(_repeat(y, k, -2), k, -1),
    "windows1d": lambda x, k, stride=1: _windows(x, (whole(k),), whole(stride)),
    "windows2d": lambda x, kh, kw, stride=1: _windows(x, (whole(kh), whole(kw)), whole(stride)),
    "dilate1d": lambda x, k: _dilate(x, k, 1),
    "dilate2d": lambda x, k: _dilate(x, k, 2),
    "pad2d": lambda x, padding: np.pad(x, [(0, 0)] * (x.ndim - 2) + [(whole(padding), whole(padding))] * 2),
}
REDUCTIONS = {"sum", "mean", "max", "min", "prod", "var", "norm", "logsumexp"}
"""Functions with `axis` and `keepdims`."""
OTHER = {"softmax", "log_softmax", "where", "clip", "norm2sq", "sqrt", "einsum", "tuple", "slope"}
"""Functions that value.py has a way of its own for."""
