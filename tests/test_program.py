"""Generated modules are run: their loss and gradients against symbp's own values and against
numerical gradients, which know nothing of the derivation; three modules are compared as text."""

import ast
import builtins
import keyword
from dataclasses import replace

import numpy as np
import pytest

from symbp import __version__
from symbp.check import numerical_gradients
from symbp.derive import derive
from symbp.errors import NoRule
from symbp.graph import Graph
from symbp.ops import OPS, ROWS, Op
from symbp.program import compile_module, functions, module
from symbp.read.network import read_network
from symbp.sample import Point, choose_sizes, draw
from symbp.values import evaluate_at

NETWORKS = {
    "dense rows": """
X: (N, D)
W1: (D, H)
b1: (H,)
W2: (H, C)
b2: (C,)
Y: (N, C)
A1 = tanh(X @ W1 + b1)
P = A1 @ W2 + b2
L = sum((P - Y)**2)/(2*N)
""",
    "dense columns": """
X: (D, N)
W1: (H, D)
b1: (H, 1)
W2: (C, H)
b2: (C, 1)
Y: (C, N)
A1 = relu(W1 @ X + b1)
P = W2 @ A1 + b2
L = sum((P - Y)**2)/(2*N)
""",
    "one sample": """
x: (D,)
W1: (H, D)
b1: (H,)
w2: (H,)
b2: ()
y: ()
z = W1 @ x + b1
a = sigmoid(z)
L = (w2 @ a + b2 - y)**2/2
""",
    "row bias kept": """
X: (N, D)
W: (D, H)
b: (1, H)
Z = X @ W + b
L = sum(softplus(Z))
""",
    "softmax cross-entropy": """
X: (N, D)
W: (D, C)
b: (C,)
T: (N, C)
P = softmax(X @ W + b, axis=1)
L = -sum(T*log(P))/N
assert onehot(T, axis=1)
""",
    "softmax classifier": """
X: (N, D)
W: (D, C)
b: (C,)
T: (N, C)
Z = X @ W + b
P = softmax(Z, axis=1)
L = -sum(T*log(P))/N
assert onehot(T, axis=1)
""",
    "softmax without facts": """
X: (N, D)
W: (D, C)
T: (N, C)
P = softmax(X @ W, axis=1)
L = -sum(T*log(P))/N
""",
    "binary cross-entropy": """
X: (N, D)
w: (D,)
b: ()
t: (N,)
p = sigmoid(X @ w + b)
L = -mean(t*log(p) + (1 - t)*log(1 - p))
assert binary(t)
""",
    "log-likelihood with xlogy": """
z: (C,)
t: (C,)
p = softmax(z)
L = -sum(xlogy(t, p))
assert fixed(t)
assert sum(t) == 1
assert t > 0
""",
    "tied weights": """
X: (N, D)
W: (D, H)
b: (H,)
c: (D,)
A = sigmoid(X @ W + b)
Y = A @ W.T + c
L = sum((Y - X)**2)/2
""",
    "scalars": """
x: ()
w: ()
b: ()
z = w*x + b
a = tanh(z)*exp(-z**2)
L = (a - 1/3)**2 + 0.25*abs(w)
""",
    "norms": """
v: (n,)
w: (n,)
u: (n, m)
c = dot(v, w)/(norm(v)*norm(w))
L = 1 - c + norm2sq(u) + sum(norm(u, axis=1))
""",
    "layer normalisation": """
EPS = 1e-5
X: (N, D)
g: (D,)
b: (D,)
R: (N, D)
mu = mean(X, axis=1, keepdims=True)
v = var(X, axis=1, keepdims=True)
Xh = (X - mu)/sqrt(v + EPS)
Y = g*Xh + b
L = sum(R*Y)
""",
    "masks": """
X: (N, D)
Y: (N, D)
m = X > Y
Z = where(X > 0.3, X*Y, Y - X) + exp(m)
L = sum(Z*m) + sum((X > 0) - (Y > 0) + X**3)
""",
    "largest entries": """
X: (N, D)
v: (D,)
m = max(X, axis=1)
L = sum(m**2) + max(v) - min(v)
""",
    "hinge": """
s: (C,)
t: (C,)
L = sum((1 - t)*maximum(0, s - sum(t*s) + 1))
assert onehot(t, axis=0)
""",
    "einsum": """
Q: (h, n, d)
K: (h, m, d)
V: (h, m, e)
S = einsum('hnd,hmd->hnm', Q, K)/sqrt(d)
P = softmax(S, axis=2)
O = einsum('hnm,hme->hne', P, V)
L = sum(O**2)
""",
    "bilinear form": """
a: (n,)
B: (n, m, k)
c: (m,)
y = einsum('i,ijk,j->k', a, B, c)
L = sum(y**2)
""",
    "matrices": """
A: (n, n)
B: (n, n)
L = trace(inv(A) @ B) + logdet(A) + 0.1*det(A) + sum(diag(B)**2)
assert posdef(A)
""",
    "gated activations": """
X: (N, D)
W: (D, H)
V: (D, H)
L = sum(silu(X @ W)*(X @ V)) + sum(gelu(X)) + sum(mish(X)) + sum(elu(X)) + sum(selu(X)) + sum(softsign(X))
""",
    "leaky": """
z: (n,)
L = sum(leaky_relu(z)**2) + sum(leaky_relu(z, 0.2))
""",
    "logsumexp": """
Z: (N, C)
T: (N, C)
l = logsumexp(Z, axis=1)
L = sum(l) - sum(T*Z) + logsumexp(Z) + sum(log_softmax(Z, axis=1)**2)
""",
    "slices": """
x: (n + 1,)
w: (n,)
M: (n, 3)
y = x[1:]*w + x[:n]
L = sum(y**2) + sum(M[:, 0]*w) + M[0, 2]
""",
    "joined": """
X: (N, D)
U: (N, E)
W: (D + E, C)
Z = concatenate((X, U), axis=1) @ W
L = sum(tanh(Z))
""",
    "upstream": """
X: (N, D)
W: (D, C)
Y = tanh(X @ W)
L = upstream(Y)
""",
    "attention": """
X: (N, D)
Wq: (D, K)
Wk: (D, K)
Wv: (D, E)
Q = X @ Wq
S = Q @ (X @ Wk).T/sqrt(K)
A = softmax(where(causal_mask(N), S, -inf), axis=1)
O = A @ (X @ Wv)
L = sum(O**2)
""",
    "names of Python and NumPy": """
np: (n,)
sum_: (n,)
cache: (n,)
sigmoid_: (n,)
lambda_: ()
forward = np*cache + sum_
math = sigmoid(forward) + lambda_*sigmoid_
loss = mean(math**2)
""",
    "names of adjoints": """
x: (n,)
dx: (n,)
y = x*dx
dy = tanh(y)
L = sum(dy**2)
""",
    "constants and literal sizes": """
RATE = 0.1
HALF = 1/2
X: (64, 10)
W: (10, 3)
Z = X @ W
L = RATE*sum(Z**2)/64 + HALF*sum(W**2)
""",
    "Greek": """
x: (n,)
θ: (n,)
σ: ()
ŷ_: (n,)
z = θ*x
L = sum((z - ŷ_)**2)/(2*σ**2) + pi*log(σ)
assert σ > 0
""".replace("ŷ_", "y_hat"),
    "an unused gradient": """
x: (n,)
w: (n,)
v: (n,)
L = sum(w*x)
""",
    "outer products and broadcasts": """
a: (n,)
b: (m,)
C: (n, m)
D = outer(a, b) + a[:, None]*C
L = sum(D**2)/sum(C**2)
""",
}


def network(name: str) -> Graph:
    return read_network(NETWORKS[name], name)


def points(graph: Graph) -> list[Point]:
    found = []
    for variant, equal in ((0, False), (1, False), (0, True)):
        sizes = choose_sizes(graph, variant, equal=equal)
        assert sizes is not None
        sizes = {**sizes, **{s: int(s) for s in sizes if s.isdigit()}}  # a literal size is itself in the code
        found.append(draw(graph, sizes, np.random.default_rng(variant)))
    assert any(not p.reason for p in found), found[0].reason
    return [p for p in found if not p.reason]


def same(a: object, b: object, tolerance: float) -> bool:
    x, y = np.asarray(a), np.asarray(b)
    return x.shape == y.shape and bool(np.linalg.norm(x - y) <= tolerance * (1 + np.linalg.norm(y)))


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_code_computes_loss_and_gradients(name: str) -> None:
    graph = network(name)
    derivation = derive(graph, closed=False, steps=False)
    forward, backward = functions(derivation)
    given = "d" + graph.upstream if graph.upstream else ""
    for point in points(graph):
        values = {n.name: np.array(point.leaves[n.name]) for n in graph.leaves}
        upstream = {given: values.pop(given)} if given else {}

        result, cache = forward(**values)
        gradients = backward(cache, **upstream)

        assert same(result, point.values[graph.upstream or graph.loss], 1e-12)
        assert list(gradients) == list(derivation.wrt)
        symbolic = evaluate_at(derivation, point.leaves)[1]
        numeric = numerical_gradients(graph, point.leaves, point.sizes, derivation.wrt)
        for w in derivation.wrt:
            assert same(gradients[w], symbolic[w], 1e-11), w
            assert same(gradients[w], numeric[w], 1e-6), w


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_code_is_tidy(name: str) -> None:
    text = module(derive(network(name), closed=False, steps=False))
    tree = ast.parse(text)
    compile(tree, name, "exec")

    assert all(len(line) <= 100 and line == line.rstrip() for line in text.split("\n"))
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
        bound = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert len(bound) == len(set(bound)), "a name is given twice"
        assert set(bound) <= used, "a name is not used"
        arguments = {a.arg for a in function.args.args}
        assert not (set(bound) | arguments) & {*keyword.kwlist, *dir(builtins), "np", "math"}
        assert function.name in read or function.name in ("forward", "backward"), "a helper is not used"


RELU = '''"""Two-layer ReLU network, summed squared error.

Forward and backward pass in NumPy, written by symbp VERSION.
"""

import numpy as np


def forward(X, W1, W2, Y):
    """The loss L, and what `backward` needs.  Shapes: X (N, D), W1 (D, H), W2 (H, C), Y (N, C)"""
    H1 = X @ W1
    A = np.maximum(H1, 0)
    P = A @ W2
    L = np.sum((P - Y)**2)
    return L, (X, W2, Y, H1, A, P)


def backward(cache):
    """The gradients of L with respect to W1, W2."""
    X, W2, Y, H1, A, P = cache
    dP = 2*(P - Y)
    dA = dP @ W2.T
    dH1 = dA*(H1 > 0)
    dW2 = A.T @ dP
    dW1 = X.T @ dH1
    return {"W1": dW1, "W2": dW2}
'''

SOFTMAX = '''"""softmax classifier.

Forward and backward pass in NumPy, written by symbp VERSION.
"""

import numpy as np


def softmax(x, axis=-1):
    """exp(x)/sum(exp(x)), safe for large x."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e/e.sum(axis=axis, keepdims=True)


def forward(X, W, b, T):
    """The loss L, and what `backward` needs.  Shapes: X (N, D), W (D, C), b (C,), T (N, C)"""
    N = X.shape[0]
    Z = X @ W + b
    P = softmax(Z, axis=1)
    L = -np.sum(T*np.log(P))/N
    return L, (X, W, T, P)


def backward(cache):
    """The gradients of L with respect to X, W, b. Uses that onehot(T, axis=1)."""
    X, W, T, P = cache
    N = X.shape[0]
    dZ = (P - T)/N
    db = np.sum(dZ, axis=0)
    dW = X.T @ dZ
    dX = dZ @ W.T
    return {"X": dX, "W": dW, "b": db}
'''

TANH = '''"""dense rows.

Forward and backward pass in NumPy, written by symbp VERSION.
"""

import numpy as np


def forward(X, W1, b1, W2, b2, Y):
    """The loss L, and what `backward` needs.

    Shapes: X (N, D), W1 (D, H), b1 (H,), W2 (H, C), b2 (C,), Y (N, C)
    """
    N = X.shape[0]
    A1 = np.tanh(X @ W1 + b1)
    P = A1 @ W2 + b2
    L = np.sum((P - Y)**2)/(2*N)
    return L, (X, W1, W2, Y, A1, P)


def backward(cache):
    """The gradients of L with respect to X, W1, b1, W2, b2, Y."""
    X, W1, W2, Y, A1, P = cache
    N = X.shape[0]
    dP = (P - Y)/N
    dA1 = dP @ W2.T
    dY = -dP
    db2 = np.sum(dP, axis=0)
    dW2 = A1.T @ dP
    dZ1 = dA1*(1 - A1**2)
    db1 = np.sum(dZ1, axis=0)
    dW1 = X.T @ dZ1
    dX = dZ1 @ W1.T
    return {"X": dX, "W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "Y": dY}
'''

RELU_NETWORK = '''"""Two-layer ReLU network, summed squared error"""
X:  (N, D)
W1: (D, H)
W2: (H, C)
Y:  (N, C)
H1 = X @ W1
A = relu(H1)
P = A @ W2
L = sum((P - Y)**2)
assert fixed(X, Y)
'''


@pytest.mark.parametrize(
    ("text", "expected"),
    [(RELU_NETWORK, RELU), (NETWORKS["softmax classifier"], SOFTMAX), (NETWORKS["dense rows"], TANH)],
    ids=["relu", "softmax", "tanh"],
)
def test_text_of_a_module(text: str, expected: str) -> None:
    name = "softmax classifier" if "softmax" in text else "dense rows"
    found = module(derive(read_network(text, name), closed=False, steps=False))

    assert found == expected.replace("VERSION", __version__)


def test_a_title_stays_in_its_docstring() -> None:
    title = r"Ends in \\ and \"\"\" and \n import os"
    text = f'"""{title}"""\nx: ()\nL = x**2\n'
    found = module(derive(read_network(text, "n"), closed=False, steps=False))

    body = ast.parse(found).body
    assert [type(x) for x in body] == [ast.Expr, ast.FunctionDef, ast.FunctionDef]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_function_of_the_table_can_be_written(row: Op) -> None:
    """A row says how NumPy calls it, or brings the text of a function."""
    letters = "xyz"[: row.arity]
    leaves = "".join(f"{x}: (n,)\n" for x in letters)
    derivation = derive(read_network(f"{leaves}L = sum({row.name}({', '.join(letters)}))\n", "n"))
    forward, backward = functions(derivation)
    values = [np.array([0.4, 1.3, 2.2]) * (n + 1) for n in range(row.arity)]
    loss, cache = forward(*values)
    wanted = evaluate_at(derivation, dict(zip(letters, values, strict=True)))[1]

    assert bool(row.call) != bool(row.helper)
    assert loss == pytest.approx(float(row.value(np, *values).sum()), rel=1e-13)
    for name, gradient in backward(cache).items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-13)


def test_a_function_without_a_text_is_refused() -> None:
    graph = read_network("x: (n,)\nL = sum(mish(x))\n", "mine")
    lacking = replace(graph, own={"mish": replace(OPS["mish"], helper="")})
    with pytest.raises(NoRule, match=r"written for mine: NumPy has no function mish.*as a formula"):
        module(derive(lacking))


def test_helpers_are_stable_for_large_arguments() -> None:
    text = "z: (n,)\nL = sum(sigmoid(z)) + sum(softmax(z)) + logsumexp(z) + sum(softplus(z)) + sum(elu(z))\n"
    forward, backward = functions(derive(read_network(text, "n"), closed=False, steps=False))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, cache = forward(np.array([-700.0, 0.0, 600.0]))
        gradient = backward(cache)["z"]

    assert np.isfinite(loss)
    assert np.all(np.isfinite(gradient))


def test_the_gradient_from_upstream_may_come_with_the_leaves() -> None:
    forward, backward = functions(derive(read_network("x: (n,)\ny = x**2\nL = upstream(y)\n", "n"), closed=False))
    x, slope = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    loss, cache = forward(x=x, dy=slope)

    assert loss == 19
    assert backward(cache)["x"].tolist() == [6, 16]
    assert backward(forward(x)[1], slope)["x"].tolist() == [6, 16]


def test_a_size_that_no_leaf_shows_is_an_argument() -> None:
    forward, _ = functions(derive(read_network("x: (n,)\nL = sum(x**2)/T\n", "n"), closed=False, steps=False))

    assert forward(np.ones(3), T=6)[0] == 0.5


def test_long_lines_are_divided() -> None:
    names = [f"a_rather_long_name_{n}" for n in range(9)]
    leaves = "".join(f"{n}: (m,)\n" for n in names)
    product = "*".join(f"exp({n})" for n in names)
    text = leaves + f"L = sum({product}) + sum({' + '.join(names)})\n"
    found = module(derive(read_network(text, "n"), closed=False, steps=False))

    compile_module(found)
    assert max(map(len, found.split("\n"))) <= 100
