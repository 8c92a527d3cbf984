"""The table of functions of the network language: which operation a call is, and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from symbp import arrange, layers, tensor
from symbp.expr import ONE, ZERO, Expr
from symbp.ops import OPS
from symbp.sizes import Sizes
from symbp.tensor import Tensor


@dataclass(frozen=True)
class Function:
    """How a call is read: `required` and `optional` parameters, `keywords` only by name; a
    what kind of value a parameter takes follows from its name (formula.py)."""

    build: Callable[..., Tensor]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


def _function(build: Callable[..., Tensor], required: str, optional: str = "", keywords: str = "") -> Function:
    return Function(build, tuple(required.split()), tuple(optional.split()), tuple(keywords.split()))


def _reduction(build: Callable[..., Tensor]) -> Function:
    return _function(build, "x", "axis", "keepdims")


def _sloped(name: str) -> Function:
    """An activation with a parameter that has a default."""

    def build(sizes: Sizes, x: Tensor, alpha: Tensor | None = None) -> Tensor:
        return tensor.apply(sizes, name, x) if alpha is None else tensor.apply(sizes, name, x, alpha)

    return _function(build, "x", "alpha")


def _windows1d(sizes: Sizes, x: Tensor, k: Expr, stride: Expr = ONE) -> Tensor:
    return layers.windows(sizes, "windows1d", x, [k], stride)


def _windows2d(sizes: Sizes, x: Tensor, kh: Expr, kw: Expr, stride: Expr = ONE) -> Tensor:
    return layers.windows(sizes, "windows2d", x, [kh, kw], stride)


FUNCTIONS: Mapping[str, Function] = {
    "sum": _reduction(tensor.sum_),
    "mean": _reduction(tensor.mean),
    "var": _reduction(tensor.var),
    "max": _reduction(tensor.max_),
    "min": _reduction(tensor.min_),
    "logsumexp": _reduction(tensor.logsumexp),
    "norm": _reduction(tensor.norm),
    "norm2sq": _function(tensor.norm2sq, "x"),
    "softmax": _function(tensor.softmax, "x", "axis"),
    "log_softmax": _function(tensor.log_softmax, "x", "axis"),
    "sqrt": _function(tensor.sqrt, "x"),
    "where": _function(tensor.where, "condition x_fill y_fill"),
    "clip": _function(tensor.clip, "x low", "high"),
    "dot": _function(tensor.dot, "a b"),
    "outer": _function(tensor.outer, "a b"),
    "trace": _function(tensor.trace, "x"),
    "diag": _function(tensor.diag, "x"),
    "inv": _function(tensor.inv, "x"),
    "det": _function(tensor.det, "x"),
    "logdet": _function(tensor.logdet, "x"),
    "transpose": _function(lambda sizes, x, axes=None: tensor.transpose(x, axes), "x", "axes"),
    "reshape": _function(arrange.reshape, "x newshape"),
    "concatenate": _function(arrange.concatenate, "parts", "axis"),
    "concat": _function(arrange.concatenate, "parts", "axis"),
    "stack": _function(arrange.stack, "parts", "axis"),
    "flip": _function(arrange.flip, "x", "axis"),
    "eye": _function(lambda sizes, n, m=None: tensor.eye(n, m), "n", "m"),
    "ones": _function(lambda sizes, shape: tensor.full(shape, ONE), "shape"),
    "zeros": _function(lambda sizes, shape: tensor.full(shape, ZERO), "shape"),
    "ones_like": _function(lambda sizes, x: tensor.full(x.shape, ONE), "x"),
    "zeros_like": _function(lambda sizes, x: tensor.full(x.shape, ZERO), "x"),
    "causal_mask": _function(lambda sizes, n: tensor.causal_mask(n), "n"),
    "conv1d": _function(layers.conv1d, "x w", "stride padding"),
    "conv2d": _function(layers.conv2d, "x w", "stride padding"),
    "maxpool2d": _function(layers.maxpool2d, "x k"),
    "avgpool2d": _function(layers.avgpool2d, "x k"),
    "upsample2d": _function(layers.upsample2d, "x k"),
    "pad2d": _function(layers.pad2d, "x padding"),
    "windows1d": _function(_windows1d, "x k", "stride"),
    "windows2d": _function(_windows2d, "x kh kw", "stride"),
    "dilate1d": _function(lambda sizes, x, k: layers.dilate(sizes, "dilate1d", x, k, 1), "x k"),
    "dilate2d": _function(lambda sizes, x, k: layers.dilate(sizes, "dilate2d", x, k, 2), "x k"),
    "leaky_relu": _sloped("leaky_relu"),
    "elu": _sloped("elu"),
}
WORDS = {*FUNCTIONS, *OPS, "einsum"}
EXACT_SIZES = {"k", "kh", "kw", "stride", "padding"}
DIMENSIONS = {"n", "m"}

OTHER_NAMES = {
    "np": "Write sum(x), not np.sum(x).",
    "ln": "Did you mean 'log'?",
    "logistic": "Did you mean 'sigmoid'?",
    "matmul": "Write a @ b.",
    "multiply": "Write a * b.",
    "square": "Write x**2.",
    "power": "Write x**2.",
    "swish": "Did you mean 'silu'?",
    "average": "Did you mean 'mean'?",
    "std": "Write sqrt(var(x)).",
    "range": "A range stands in for … in range(1, L + 1).",
}
