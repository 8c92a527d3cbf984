"""The network language in plain NumPy: what its functions mean, and random data that respects a case's facts.

It evaluates trusted text (corpus cases and symbp's own output) with Python's eval; symbp itself must not.
"""

import ast
import math

import numpy as np


def _windows(x, kernel, stride=1):
    """Sliding windows over the last len(kernel) axes: (..., out..., kernel...)."""
    axes = tuple(range(-len(kernel), 0))
    w = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=axes)
    skip = (slice(None, None, stride),) * len(kernel)
    return w[(Ellipsis, *skip, *(slice(None),) * len(kernel))]


def _conv(x, w, stride, padding, nd):
    x, w = np.asarray(x, float), np.asarray(w, float)
    single = w.ndim == nd
    if single:
        x, w = x[None], w[None, None]
    if w.ndim != nd + 2 or x.ndim != nd + 1 or x.shape[0] != w.shape[1]:
        raise ValueError("conv: shapes do not fit")
    x = np.pad(x, [(0, 0)] + [(padding, padding)] * nd)
    win = _windows(x, w.shape[2:], stride)  # (C, out..., k...)
    y = np.tensordot(w, win, axes=([1, *range(2, 2 + nd)], [0, *range(1 + nd, 1 + 2 * nd)]))
    return y[0] if single else y


def conv1d(x, w, stride=1, padding=0):
    return _conv(x, w, stride, padding, 1)


def conv2d(x, w, stride=1, padding=0):
    return _conv(x, w, stride, padding, 2)


def _pool(x, k):
    h, w = x.shape[-2:]
    return x.reshape((*x.shape[:-2], h // k, k, w // k, k))


def upsample2d(y, k):
    return np.repeat(np.repeat(y, k, axis=-2), k, axis=-1)


def windows1d(x, k, stride=1):
    return _windows(x, (k,), stride)


def windows2d(x, kh, kw, stride=1):
    return _windows(x, (kh, kw), stride)


def dilate1d(y, s):
    out = np.zeros((*y.shape[:-1], (y.shape[-1] - 1) * s + 1))
    out[..., ::s] = y
    return out


def dilate2d(y, s):
    h, w = y.shape[-2:]
    out = np.zeros((*y.shape[:-2], (h - 1) * s + 1, (w - 1) * s + 1))
    out[..., ::s, ::s] = y
    return out


def pad2d(x, p):
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p)] * 2)


def logsumexp(x, axis=None, keepdims=False):
    m = np.max(x, axis=axis, keepdims=True)
    r = m + np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True))
    return r if keepdims else np.squeeze(r, axis=axis) if axis is not None else r.reshape(())[()]


def softmax(x, axis=-1):
    return np.exp(x - logsumexp(x, axis=axis, keepdims=True))


def _square(f):
    def g(a):
        a = np.asarray(a)
        if a.ndim != 2 or a.shape[0] != a.shape[1]:
            raise ValueError("not a square matrix")
        return f(a)

    return g


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


_erf = np.vectorize(math.erf, otypes=[float])

FUNCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "var": np.var,
    "cumsum": np.cumsum,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
    "clip": np.clip,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "cosh": np.cosh,
    "arctan": np.arctan,
    "erf": _erf,
    "tanh": np.tanh,
    "pi": math.pi,
    "inf": np.inf,
    "sigmoid": sigmoid,
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "relu": lambda x: np.where(np.asarray(x) > 0, x, 0.0),
    "leaky_relu": lambda x, alpha=0.01: np.where(x > 0, x, alpha * x),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(np.minimum(x, 0)) - 1)),
    "gelu": lambda x: 0.5 * x * (1 + _erf(np.asarray(x) / math.sqrt(2))),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0.0)),
    "softmax": softmax,
    "logsumexp": logsumexp,
    "log_softmax": lambda x, axis=-1: x - logsumexp(x, axis=axis, keepdims=True),
    "dot": np.dot,
    "outer": np.outer,
    "einsum": np.einsum,
    "trace": _square(np.trace),
    "diag": np.diag,
    "norm2sq": lambda x: np.sum(np.asarray(x) ** 2),
    "norm": lambda x, axis=None, keepdims=False: np.sqrt(np.sum(np.asarray(x) ** 2, axis=axis, keepdims=keepdims)),
    "inv": _square(np.linalg.inv),
    "det": _square(np.linalg.det),
    "logdet": _square(lambda a: np.linalg.slogdet(a)[1]),
    "transpose": np.transpose,
    "reshape": np.reshape,
    "eye": np.eye,
    "ones": np.ones,
    "zeros": np.zeros,
    "ones_like": np.ones_like,
    "zeros_like": np.zeros_like,
    "concatenate": np.concatenate,
    "stack": np.stack,
    "concat": lambda xs, axis=0: np.concatenate(xs, axis),
    "flip": lambda x, axis=None: np.flip(x, axis),
    "conv1d": conv1d,
    "conv2d": conv2d,
    "upsample2d": upsample2d,
    "windows1d": windows1d,
    "windows2d": windows2d,
    "dilate1d": dilate1d,
    "dilate2d": dilate2d,
    "pad2d": pad2d,
    "maxpool2d": lambda x, k: _pool(x, k).max(axis=(-3, -1)),
    "avgpool2d": lambda x, k: _pool(x, k).mean(axis=(-3, -1)),
    "causal_mask": lambda n: np.tril(np.ones((n, n), bool)),
    "range": range,
}


def evaluate(text, env):
    return eval(compile(ast.parse(text.strip(), mode="eval"), "<formula>", "eval"), {"__builtins__": {}}, env)


def operations(text):
    """How long a formula is: operators, comparisons and calls; names, numbers, indexing and .T are free.

    An einsum of k operands counts 2(k - 1), at least 1: it does the work of that many products and sums.
    """
    count = 0
    for node in ast.walk(ast.parse(text.strip(), mode="eval")):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "einsum":
            count += max(1, 2 * (len(node.args) - 2))
        elif isinstance(node, (ast.BinOp, ast.Call, ast.Compare)) or (
            isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant)
        ):
            count += 1
    return count


class Case:
    """One corpus case: leaves, nodes in order, and data."""

    def __init__(self, case):
        self.case = case
        self.sizes = {**case.get("sizes", {}), **case.get("constants", {})}
        self.leaves, self.nodes = {}, []
        for line in ast.parse(case["net"]).body:
            if isinstance(line, ast.AnnAssign):
                dims = evaluate(ast.unparse(line.annotation), dict(self.sizes))
                self.leaves[line.target.id] = dims if isinstance(dims, tuple) else (dims,)
            elif isinstance(line, ast.Assign):
                self.nodes.append((line.targets[0].id, ast.unparse(line.value)))
        self.loss = self.nodes[-1][0]

    def network_text(self):
        constants = "".join(f"{k} = {v!r}\n" for k, v in self.case.get("constants", {}).items())
        facts = "".join(f"assert {fact}\n" for fact in self.case.get("assume", []))
        return f'"""{self.case["title"]}"""\n' + constants + self.case["net"].strip() + "\n" + facts

    def draw(self, seed):
        """Random values of every leaf and node that respect the facts."""
        rng = np.random.default_rng([seed, *self.case["id"].encode()])
        for _ in range(400):
            data = {}
            for name, shape in self.leaves.items():
                value = np.asarray(rng.standard_normal(shape))
                data[name] = value + 0.1 * np.sign(value)
            for fact in self.case.get("assume", []):
                _push(fact, data, rng, {**FUNCTIONS, **self.sizes, **data})
            env = {**FUNCTIONS, **self.sizes, **data}
            with np.errstate(all="ignore"):
                for name, text in self.nodes:
                    env[name] = np.asarray(evaluate(text, env), float)
            if np.isfinite(env[self.loss]) and all(_holds(f, env) for f in self.case.get("assume", [])):
                return env
        raise ValueError("no draw respects the facts")


def _push(fact, data, rng, env):
    node = ast.parse(fact, mode="eval").body

    def number(n):
        return evaluate(ast.unparse(n), env)

    if isinstance(node, ast.Call) and isinstance(node.args[0], ast.Name) and node.args[0].id in data:
        kind, name = node.func.id, node.args[0].id
        a, options = data[name], {k.arg: number(k.value) for k in node.keywords}
        if kind in ("onehot", "permutation"):
            axis = options.get("axis", number(node.args[1]) if len(node.args) > 1 else -1)
            m = np.moveaxis(a, axis, -1)
            a = np.moveaxis((m == m.max(-1, keepdims=True)).astype(float), -1, axis)
        elif kind == "posdef":
            a = a @ a.T + 0.5 * np.eye(len(a))
        elif kind == "symmetric":
            a = (a + a.T) / 2
        elif kind == "binary":
            a = (a > 0).astype(float)
            if a.size > 1:
                a.flat[0], a.flat[-1] = 1.0, 0.0
        elif kind == "pm1":
            a = np.where(a > 0, 1.0, -1.0)
        elif kind == "orthogonal":
            a = np.linalg.qr(a)[0]
        data[name] = np.asarray(a)
    elif isinstance(node, ast.Compare) and len(node.ops) == 2 and isinstance(node.comparators[0], ast.Name):
        name, low, high = node.comparators[0].id, number(node.left), number(node.comparators[1])
        if name in data:
            data[name] = low + (high - low) * (0.1 + 0.8 * rng.random(data[name].shape))
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, op, right = node.left, node.ops[0], node.comparators[0]
        if isinstance(left, ast.Name) and left.id in data:
            a = data[left.id]
            if isinstance(op, (ast.Gt, ast.GtE)):
                data[left.id] = number(right) + 0.2 + np.abs(a)
            elif isinstance(op, (ast.Lt, ast.LtE)):
                data[left.id] = a / (1 + a) if np.all(a > 0) else number(right) - 0.1 - np.abs(a)
            elif isinstance(op, ast.Eq) and isinstance(right, ast.Attribute):
                data[left.id] = (a + a.T) / 2
            elif isinstance(op, ast.Eq):
                data[left.id] = np.broadcast_to(number(right), a.shape).astype(float)
        elif isinstance(left, ast.Call) and left.args and isinstance(left.args[0], ast.Name) and isinstance(op, ast.Eq):
            name = left.args[0].id
            if name not in data:
                return
            a, options = data[name], {k.arg: number(k.value) for k in left.keywords}
            if left.func.id == "sum":
                a = a if np.all(a >= 0) else np.exp(a)
                a = a / a.sum(axis=options.get("axis"), keepdims=True) * number(right)
            elif left.func.id == "abs":
                a = np.where(a > 0, 1.0, -1.0) * number(right)
                if a.size > 1:
                    a.flat[0], a.flat[-1] = number(right), -number(right)
            elif left.func.id == "norm":
                a = a / np.sqrt((a**2).sum(axis=options.get("axis"), keepdims=True)) * number(right)
            elif left.func.id == "diag":
                a = a * (1 - np.eye(len(a))) + number(right) * np.eye(len(a))
            data[name] = np.asarray(a)


def _holds(fact, env):
    node = ast.parse(fact, mode="eval").body
    drawn = ("onehot", "permutation", "posdef", "symmetric", "binary", "pm1", "orthogonal")
    if isinstance(node, ast.Call) and node.func.id in drawn:
        return True
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        return bool(np.allclose(evaluate(ast.unparse(node.left), env), evaluate(ast.unparse(node.comparators[0]), env)))
    values = [evaluate(ast.unparse(n), env) for n in [node.left, *node.comparators]]
    compare = {
        ast.Lt: np.less,
        ast.LtE: np.less_equal,
        ast.Gt: np.greater,
        ast.GtE: np.greater_equal,
        ast.NotEq: np.not_equal,
    }
    return all(np.all(compare[type(op)](a, b)) for a, op, b in zip(values, node.ops, values[1:]))
