"""SymPy out: results against sympy.diff and sympy.lambdify, on written and on built-in networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from kinds import ORDINARY
from sympy_witnesses import entries_agree, lambdified_gradients_agree, reads_back, scalar_gradients_agree

import symbp as sb
from symbp.functions import MADE, PUBLIC
from symbp.network import Network
from symbp.read.network import read_network
from symbp.zoo import network

SCALAR = {
    "circuit": "x: ()\ny: ()\nz: ()\nq = x + y\nf = q*z",
    "neuron": "x: ()\nw: ()\nb: ()\nt: ()\nz = w*x + b\na = sigmoid(z)\nL = (a - t)**2/2",
    "fork": "x: ()\nu = tanh(x)\nv = exp(-u) + u**3\nL = u*v/(1 + v**2)",
    "activations": "x: ()\ny: ()\na = softplus(x)\nb = silu(y)\nc = gelu(x*y)\nL = a*b + c*mish(a - b) - softsign(c)",
    "kinks": "x: ()\ny: ()\na = relu(x)\nb = leaky_relu(-y, 0.1)\nc = elu(-x)\nd = maximum(x, y)\nL = a*b + c*d",
}  # fmt: skip

MATRIX = {
    "two-layer": "X: (N, D)\nW: (D, H)\nV: (H, D)\nT: (N, D)\nA = tanh(X @ W)\nP = A @ V\nL = sum((P - T)**2)",
    "bias": "X: (N, D)\nW: (D, H)\nb: (H,)\nZ = X @ W + b\nL = sum(sigmoid(Z))/N",
    "column": "W: (n, m)\nx: (m,)\nb: (n,)\nz = W @ x + b\na = tanh(z)\nL = dot(a, z)",
    "softmax": "Z: (N, C)\nT: (N, C)\nP = softmax(Z, axis=1)\nL = -sum(T*log(P))/N",
    "norm": "x: (n,)\ng: (n,)\nr = norm(x)\ny = g*x/r\nL = sum(y**3)",
    "trace": "A: (n, n)\nB: (n, n)\nL = trace(A @ B @ A.T)",
    "rows": "X: (N, D)\ns: (N,)\nY = X*reshape(s, (N, 1))\nm = mean(Y, axis=0)\nL = sum((Y - m)**2)",
    "outer": "a: (n,)\nb: (m,)\nM: (n, m)\nL = sum(outer(a, b)*M)",
}

HARD = {
    "convolution": "x: (n,)\nw: (k,)\ny = conv1d(x, w)\nL = sum(y**2)",
    "heads": "Q: (h, n, d)\nK: (h, n, d)\nS = softmax(einsum('hid,hjd->hij', Q, K), axis=2)\nL = sum(S**2)",
    "batch-norm": "X: (N, D)\ng: (D,)\nm = mean(X, axis=0)\nv = var(X, axis=0)\nL = sum((g*(X - m)/sqrt(v + 1))**3)",
    "slices": "x: (n,)\ny = x[1:]*x[:-1]\nL = sum(y**2) + x[0]",
    "determinant": "A: (n, n)\nB: (n, n)\nL = logdet(A @ A.T) + sum(inv(A @ A.T)*B)",
    "maximum": "X: (N, D)\nm = max(X, axis=1)\nL = sum(m**2) + max(X)",
    "concatenated": "a: (n,)\nb: (m,)\nc = concatenate([a, b])\nL = sum(c**2*c)",
    "higher": "X: (n, m, k)\nW: (m, k)\nY = tanh(einsum('nmk,mk->n', X, W))\nL = sum(Y**2)",
}

ALL = {**SCALAR, **MATRIX, **HARD}


def written(name: str) -> Network:
    return Network.of(read_network(ALL[name], name))


@pytest.mark.parametrize("name", SCALAR)
def test_scalar_networks_against_sympy_diff(name: str) -> None:
    scalar_gradients_agree(written(name))


@pytest.mark.parametrize("name", MATRIX)
def test_matrix_networks_entry_by_entry_against_sympy_diff(name: str) -> None:
    entries_agree(written(name))


@pytest.mark.parametrize("name", ALL)
def test_lambdified_results(name: str) -> None:
    lambdified_gradients_agree(written(name))


@pytest.mark.parametrize("name", ALL)
def test_a_network_reads_back(name: str) -> None:
    reads_back(written(name))


KNOWN = [n for n in ORDINARY if not network(n).functions]


@pytest.mark.parametrize("name", KNOWN)
def test_built_in_networks(name: str) -> None:
    lambdified_gradients_agree(Network.of(network(name)))
    reads_back(Network.of(network(name)))


SLOW = {
    "relu-3", "relu-batch-64x1000x100x8", "leaky-relu-batch", "prelu-batch", "logistic-layers", "mlp-3-4-2",
    "mlp-3-4-2-matrix", "mlp-sigmoid-bce", "mlp-4", "dropout", "autoencoder-tied",
    "lstm-step", "gru-step", "batch-norm", "self-attention", "swiglu",
}  # fmt: skip
"""Built-in networks whose explicit loss takes sympy.diff several seconds."""


@pytest.mark.parametrize("name", [n for n in KNOWN if n not in SLOW])
def test_built_in_networks_against_sympy_diff(name: str) -> None:
    net = Network.of(network(name))
    scalar = all(not n.shape for n in net.graph.nodes.values())
    (scalar_gradients_agree if scalar else entries_agree)(net)


# ---- functions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_slopes_of_functions_against_sympy(name: str) -> None:
    x = sp.Symbol("x", real=True)
    f = MADE[name](x, *[sp.Rational(1, 3)] * (MADE[name].row.arity - 1))
    for v in (sp.Rational(-7, 5), sp.Rational(2, 5)):
        v = abs(v) if name == "xlogy" else v
        ours, theirs = (sp.N(e.diff(x).subs(x, v).doit()) for e in (f, f.as_twin()))
        assert abs(ours - theirs) < 1e-12
        assert abs(sp.lambdify(x, f)(float(v)) - float(f.as_twin().subs(x, v))) < 1e-12


def test_public_names_are_the_functions() -> None:
    from symbp import _PUBLIC

    assert set(_PUBLIC["symbp.functions"].split()) == set(PUBLIC)


def test_functions_of_matrices_know_their_entries() -> None:
    X = sp.MatrixSymbol("X", 2, 3)
    numbers = np.array([[0.1, -0.7, 0.3], [1.2, 0.4, -0.5]])
    values = {X: sp.ImmutableMatrix(numbers.tolist())}
    for f in (sb.softmax, sb.log_softmax, sb.sigmoid, sb.square, lambda m: sb.softmax(m, axis=0)):
        explicit = np.array(f(X).as_explicit().subs(values).doit().evalf().tolist(), dtype=float)
        np.testing.assert_allclose(explicit, sb.lambdify([X], f(X))(numbers), rtol=1e-12)
    for f in (sb.total, sb.mean, sb.max, sb.min, sb.logsumexp, sb.norm, sb.norm2sq, sb.var):
        explicit = float(f(X).doit().subs(values).doit().evalf())
        np.testing.assert_allclose(explicit, sb.lambdify([X], f(X))(numbers), rtol=1e-12)


# ---- lambdify --------------------------------------------------------------------------------------

N, D = sp.symbols("N D", integer=True, positive=True)
X, v = sp.MatrixSymbol("X", N, D), sp.MatrixSymbol("v", D, 1)


def test_lambdify_reads_sizes_off_the_arrays() -> None:
    a, u = np.random.default_rng(0).standard_normal((3, 2)), np.array([0.5, -2.0])
    f = sb.lambdify([X, v], X.applyfunc(sp.tanh) * v + sp.OneMatrix(N, 1) / N)
    np.testing.assert_allclose(f(a, u), (np.tanh(a) @ u + 1 / 3)[:, None])


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (sp.Trace(X.T * X), lambda a: np.trace(a.T @ a)),
        (sp.HadamardPower(X, 3), lambda a: a**3),
        (sb.maximum(X, 0), lambda a: np.maximum(a, 0)),
        (sb.where(sb.step(X), X, -X), np.abs),
        (sb.total(X, axis=0), lambda a: a.sum(axis=0, keepdims=True)),
        (sb.max(X, axis=1), lambda a: a.max(axis=1, keepdims=True)),
        (sp.Identity(N) * X, lambda a: a),
        (sp.Determinant(X.T * X), lambda a: np.linalg.det(a.T @ a)),
        (sp.Inverse(X.T * X), lambda a: np.linalg.inv(a.T @ a)),
        (sp.DiagonalOf(X.T * X), lambda a: np.diag(a.T @ a)[:, None]),
        (X[0, 1] + X[N - 1, 0], lambda a: a[0, 1] + a[-1, 0]),
    ],
)
def test_lambdify_knows_matrices(expr: Any, value: Any) -> None:
    a = np.random.default_rng(1).standard_normal((3, 2))
    np.testing.assert_allclose(sb.lambdify([X], expr)(a), value(a), rtol=1e-10)


@pytest.mark.parametrize(
    "expr",
    [
        sp.Symbol("__import__('os').getpid()"),
        sp.MatrixSymbol("__import__('os').getpid()#", 2, 2),
        sp.IndexedBase("__import__('os').getpid()#")[0],
        sp.Function("__import__('os').system('false')or")(sp.Symbol("x")),
    ],
)
def test_hostile_names_never_reach_the_source(expr: Any) -> None:
    with pytest.raises(sb.SymbpError):
        sb.lambdify([sp.Symbol("x")], expr)(1.0)


def test_hostile_names_of_arguments_are_only_names() -> None:
    x = sp.Symbol("__import__('os').getpid()")
    assert sb.lambdify([x], x + 1)(1.0) == 2.0
