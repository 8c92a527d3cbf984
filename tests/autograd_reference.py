"""The network language in autograd, an implementation of differentiation that is not ours."""

from __future__ import annotations

import ast
import math

import autograd.numpy as np
import numpy
from autograd import grad
from autograd.extend import defvjp, primitive

TIE = 1e-7


class TooClose(Exception):
    """Two values that a maximum compares are so close that its slope is a matter of taste."""


@primitive
def erf(x):
    return numpy.vectorize(math.erf, otypes=[float])(x)


defvjp(erf, lambda ans, x: lambda g: g * 2 / math.sqrt(math.pi) * np.exp(-(x**2)))


def sigmoid(x):
    return 0.5 * (np.tanh(0.5 * x) + 1)


def softplus(x):
    return np.logaddexp(x, 0.0)


def logsumexp(x, axis=None, keepdims=False):
    m = numpy.max(_plain(x), axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True)) + m
    if keepdims:
        return total
    return np.sum(total, axis=axis)


def _plain(x):
    while hasattr(x, "_value"):
        x = x._value
    return numpy.asarray(x)


def _apart(a, b):
    if numpy.any(numpy.abs(_plain(a) - _plain(b)) < TIE):
        raise TooClose


def where(condition, a, b):
    """autograd's own does not add up what broadcasting has spread."""
    mask = (_plain(condition) != 0) * 1.0
    return mask * a + (1 - mask) * b


def maximum(a, b):
    _apart(a, b)
    return where(_plain(a) > _plain(b), a, b)


def minimum(a, b):
    _apart(a, b)
    return where(_plain(a) < _plain(b), a, b)


def _extreme(reduce, sign):
    def f(x, axis=None, keepdims=False):
        values = _plain(x) * sign
        axes = tuple(range(values.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        best = numpy.max(values, axis=axes, keepdims=True)
        if numpy.any(numpy.sum(values > best - TIE, axis=axes) > 1):
            raise TooClose
        return reduce(x, axis=axis, keepdims=keepdims)

    return f


def compare(op, a, b):
    _apart(a, b)
    return getattr(numpy, op)(_plain(a), _plain(b)) * 1.0


def norm(x, axis=None, keepdims=False):
    return np.sqrt(np.sum(x**2, axis=axis, keepdims=keepdims))


def _elu(x, alpha=1.0):
    return where(x > 0, x, alpha * (np.exp(where(x > 0, 0.0, x)) - 1))


# ---- windows: every one a linear map of the last axes, written as matrices of 0 and 1


def _spread(x, places, length):
    """Entry i of the last axis put at places[i] of an axis of this length."""
    matrix = numpy.zeros((len(places), length))
    matrix[numpy.arange(len(places)), places] = 1
    return np.dot(x, matrix)


def _on_both(f, x):
    """`f` along the last axis and along the one before it."""
    return np.swapaxes(f(np.swapaxes(f(x), -1, -2)), -1, -2)


def windows1d(x, k, stride=1):
    starts = numpy.arange(0, x.shape[-1] - k + 1, stride)
    return x[..., starts[:, None] + numpy.arange(k)]


def windows2d(x, kh, kw, stride=1):
    rows = numpy.arange(0, x.shape[-2] - kh + 1, stride)[:, None, None, None] + numpy.arange(kh)[:, None]
    columns = numpy.arange(0, x.shape[-1] - kw + 1, stride)[:, None, None] + numpy.arange(kw)
    return x[..., rows, columns]


def padded(x, p):
    return _spread(x, numpy.arange(x.shape[-1]) + p, x.shape[-1] + 2 * p)


def dilate1d(x, s):
    return _spread(x, numpy.arange(x.shape[-1]) * s, (x.shape[-1] - 1) * s + 1)


def upsampled(x, k):
    return sum(_spread(x, numpy.arange(x.shape[-1]) * k + p, x.shape[-1] * k) for p in range(k))


def conv1d(x, w, stride=1, padding=0):
    views = windows1d(padded(x, padding), w.shape[-1], stride)
    return np.einsum("ap,p->a", views, w) if w.ndim == 1 else np.einsum("cap,ocp->oa", views, w)


def conv2d(x, w, stride=1, padding=0):
    views = windows2d(_on_both(lambda y: padded(y, padding), x), *w.shape[-2:], stride)
    return np.einsum("abpq,pq->ab", views, w) if w.ndim == 2 else np.einsum("cabpq,ocpq->oab", views, w)


def _blocks(x, k):
    *front, h, w = x.shape
    return np.reshape(x, (*front, h // k, k, w // k, k))


SHARED = """
    sum mean var exp log sqrt sin cos tan sinh cosh tanh arctan abs dot outer einsum trace diag transpose reshape
    concatenate stack eye ones zeros
"""

FUNCTIONS = {
    **{name: getattr(np, name) for name in SHARED.split()},
    "pi": math.pi,
    "flip": lambda x, axis: x[(slice(None),) * axis + (slice(None, None, -1),)],
    "erf": erf,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "relu": lambda x: where(x > 0, x, 0.0),
    "leaky_relu": lambda x, alpha=0.01: where(x > 0, x, alpha * x),
    "elu": _elu,
    "selu": lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772),
    "sign": lambda x: numpy.sign(_plain(x)),
    "step": lambda x: (_plain(x) > 0) * 1.0,
    "maximum": maximum,
    "minimum": minimum,
    "clip": lambda x, low, high: minimum(maximum(x, low), high),
    "where": where,
    "xlogy": lambda x, y: x * np.log(y),
    "max": _extreme(np.max, 1),
    "min": _extreme(np.min, -1),
    "logsumexp": logsumexp,
    "softmax": lambda x, axis=-1: np.exp(x - logsumexp(x, axis, True)),
    "log_softmax": lambda x, axis=-1: x - logsumexp(x, axis, True),
    "norm": norm,
    "norm2sq": lambda x: np.sum(x**2),
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "logdet": lambda a: np.linalg.slogdet(a)[1],
    "compare": compare,
    "inf": 1e300,
    "concat": np.concatenate,
    "ones_like": lambda x: numpy.ones(numpy.shape(_plain(x))),
    "zeros_like": lambda x: numpy.zeros(numpy.shape(_plain(x))),
    "causal_mask": lambda n: numpy.tril(numpy.ones((n, n))),
    "windows1d": windows1d,
    "windows2d": windows2d,
    "pad2d": lambda x, p: _on_both(lambda y: padded(y, p), x),
    "dilate1d": dilate1d,
    "dilate2d": lambda x, s: _on_both(lambda y: dilate1d(y, s), x),
    "upsample2d": lambda x, k: _on_both(lambda y: upsampled(y, k), x),
    "conv1d": conv1d,
    "conv2d": conv2d,
    "maxpool2d": lambda x, k: FUNCTIONS["max"](_blocks(x, k), axis=(-3, -1)),
    "avgpool2d": lambda x, k: np.mean(_blocks(x, k), axis=(-3, -1)),
}


class _Comparisons(ast.NodeTransformer):
    """`a > b` as a call, so that ties are seen and the result is a number."""

    NAMES = {ast.Gt: "greater", ast.GtE: "greater_equal", ast.Lt: "less", ast.LtE: "less_equal", ast.NotEq: "not_equal"}

    def visit_Compare(self, node):
        self.generic_visit(node)
        args = [ast.Constant(self.NAMES[type(node.ops[0])]), node.left, node.comparators[0]]
        return ast.Call(ast.Name("compare", ast.Load()), args, [])


def _compiled(text):
    tree = _Comparisons().visit(ast.parse(text, mode="eval"))
    return compile(ast.fix_missing_locations(tree), "<formula>", "eval")


def gradients(lines, leaves, sizes):
    """The values of all tensors, and the gradient of the last with respect to each."""
    codes = [(name, _compiled(text)) for name, text in lines]

    def run(nudges):
        env = {**FUNCTIONS, **sizes}
        for name, value in leaves.items():
            env[name] = value + nudges[name] if name in nudges else value
        for name, code in codes:
            value = eval(code, {"__builtins__": {}}, env)
            env[name] = value + nudges[name] if name in nudges else value
        return env

    loss = codes[-1][0]
    names = [*leaves, *(name for name, _ in codes)]
    first = run({})
    values = {name: _plain(first[name]).astype(float) for name in names}
    zeros = {name: numpy.zeros(values[name].shape) for name in names if name != loss}
    return values, grad(lambda nudges: run(nudges)[loss])(zeros)
