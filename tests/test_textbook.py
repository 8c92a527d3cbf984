"""Forms as a lecturer writes them: order of factors and summands, signs, transposes, diagonal matrices.

Each was read next to the published derivation; values are compared elsewhere for every form.
"""

from __future__ import annotations

import numpy as np
import pytest

from symbp.derive import derive
from symbp.evaluate import Evaluation
from symbp.expr import Add, Index, Mul, Num, Reduce, Size
from symbp.higher import hessian, jacobian
from symbp.read.network import read_network
from symbp.sandwich import sandwich
from symbp.show.alphabet import Unicode, plain
from symbp.show.math import MathPrinter
from symbp.textbook import Textbook

GRU = """
h: (H,)
W: (H, H)
U: (H, H)
z = sigmoid(W @ h)
c = tanh(U @ h)
hn = (1 - z)*h + z*c
G: (H,)
L = dot(G, hn)
"""
NORM = """
X: (N, D)
g: (D,)
mu = mean(X, axis=0)
s = sqrt(mean((X - mu)**2, axis=0) + 0.001)
Xh = (X - mu)/s
b: (D,)
Y = Xh*g + b
L = upstream(Y)
"""
LAYER = """
X: (N, D)
W: (D, H)
w: (H,)
t: (N,)
A = tanh(X @ W)
p = A @ w
L = sum((p - t)**2)/2
"""
ATTENTION = """
Q: (n, d)
K: (m, d)
V: (m, e)
P = softmax(Q @ K.T, axis=1)
O = P @ V
L = upstream(O)
"""
FORMS = [
    # the error as an outer product, not as two diagonal matrices
    (LAYER, "W", "Xᵀ (((p − t) wᵀ) ⊙ (1 − A²))"),
    # a matrix-vector product stays one: no outer product is built to be summed
    ("x: (n,)\ny: (m,)\nM: (n, m)\nL = x @ M @ y\n", "x", "M y"),
    # nor where a scaling is meant: D^(-1/2) A D^(-1/2)
    ("A: (n, n)\nu: (n,)\nX: (n, d)\nY = (A*u*reshape(u, (n, 1))) @ X\nL = upstream(Y)\n", "X",
     "diag(u) Aᵀ diag(u) dY"),
    # (dS)ᵀ Q, not every factor transposed
    (ATTENTION, "K", "((dO Vᵀ − (dO ⊙ O) 𝟏 𝟏ᵀ) ⊙ P)ᵀ Q"),
    # Bᵀ Aᵀ, not the transpose of a transpose
    ("A: (n, k)\nB: (k, m)\nT: (n, m)\nL = sum((A @ B - T)**2)/2\n", "B", "Aᵀ (A B − T)"),
    ("w: (d, 1)\nX: (d, N)\nT: (1, N)\nL = sum((w.T @ X - T)**2)/2\n", "w", "X (wᵀ X − T)ᵀ"),
    # one diagonal matrix for all vectors on one letter, means before products with means
    (NORM, "X", "(dY − 𝟏 𝟏ᵀ dY/N − Xh diag((dY ⊙ Xh)ᵀ 𝟏)/N) diag(g/s)"),
    # what comes from upstream first; R − R ⊙ z is R ⊙ (1 − z); the direct path before those through weights
    (GRU, "h", "G ⊙ (1 − z) + Wᵀ (G ⊙ z ⊙ (c − hn)) + Uᵀ (G ⊙ z ⊙ (1 − c²))"),
    # of a − 1 and t − y both are turned; the same difference is written the same way in one sum
    ("z: (n,)\nt: (n,)\nb: (n,)\ny = sigmoid(z - b)\nL = sum((y - t)**2)/2\n", "b", "(t − y) ⊙ y ⊙ (1 − y)"),
    (
        "Z: (n, k)\nT: (n, k)\nP = softmax(Z, axis=1)\nL = sum((P - T)**2)/2\n",
        "Z",
        "(P − T − ((P − T) ⊙ P) 𝟏 𝟏ᵀ) ⊙ P",
    ),
    ("z: (n,)\ny: (n,)\nc: ()\ns = sigmoid(z)\nL = -sum(c*y*log(s) + (1 - y)*log(1 - s))\n", "z",
     "s ⊙ (1 − y) − c (1 − s) ⊙ y"),
    # numbers: 𝟏 𝟏ᵀ/4, and decimals as they were written
    ("x: (2, 2)\ny = 2*x\nL = mean(y)\n", "y", "𝟏 𝟏ᵀ/4"),
    ("z: (n,)\nv: (n,)\ns = sigmoid(1.702*z)\na = z*s\nL = dot(v, a)\n", "z", "v ⊙ (1.702 (1 − s) ⊙ a + s)"),
]  # fmt: skip


def closed(text: str, name: str) -> str:
    graph = read_network(text)
    a = derive(graph, [name]).adjoints[name]
    assert a.closed is not None
    shown = MathPrinter(graph, Unicode()).matrix(a.closed, a.node.axes)
    assert shown is not None
    return plain(shown)


@pytest.mark.parametrize(("text", "name", "form"), FORMS)
def test_forms(text: str, name: str, form: str) -> None:
    assert closed(text, name) == form


def test_a_vector_in_the_middle_of_a_product_ends_up_behind_it() -> None:
    text = "M: (n, k)\nC: (n, d)\nW: (m, d)\nu: (k,)\nt: (m,)\np = exp(M @ u)\no = C.T @ p\nL = sum((W @ o - t)**2)/2\n"

    assert closed(text, "p") == "C Wᵀ (W o − t)"


def test_ones_beside_outer_products_are_written_out() -> None:
    graph = read_network(
        "x: (D,)\nmu = mean(x)\ns = sqrt(mean((x - mu)**2) + 0.001)\nu = (x - mu)/s\nL = upstream(u)\n"
    )
    d = jacobian(graph, "u", "x")

    assert "𝟏 𝟏ᵀ" in plain(MathPrinter(graph, Unicode()).matrix(d.terms[-1].rest, d.axes) or "")


SOFTMAX = "x: (D,)\nW: (K, D)\nt: (K,)\np = softmax(W @ x)\nL = -sum(t*log(p))\nassert onehot(t, axis=0)\n"


def test_second_derivatives_stand_between_two_matrices() -> None:
    d = hessian(read_network(SOFTMAX), "x")

    assert d.structure.symmetric
    assert isinstance(d.expr, Reduce) and len(d.expr.bound) == 2
    assert d.right is not None


def test_no_sandwich_without_common_matrices() -> None:
    graph = read_network(SOFTMAX)
    row, column = Index("o0", Size("D")), Index("i0", Size("D"))
    x = graph["x"].entry

    assert sandwich(Mul((x, x)), row, column, lambda e, o, i: ()) is None


def test_wording_changes_no_value() -> None:
    graph = read_network(LAYER)
    worded = Textbook(graph)
    x, y = graph["p"].entry, graph["t"].entry
    one, two = Add((x, Mul((Num(-1), y)))), Add((y, Mul((Num(-1), x))))
    values = {"p": np.array([2.0, 3.0]), "t": np.array([5.0, 7.0])}
    forms = [
        Mul((two, Add((x, Num(-1))))),
        Add((one, Mul((two, x)))),
        Add((x, y, Mul((Num(-1), x, y)))),
        Add((Mul((two, x)), Mul((one, y)))),
    ]
    for e in forms:
        state = Evaluation.of(graph, values, {"N": 2})
        assert worded(e) is not e
        assert np.array_equal(state(e, graph["p"].indices), state(worded(e), graph["p"].indices))


def test_worded_twice_is_worded_once() -> None:
    graph = read_network(GRU)
    worded = Textbook(graph)
    for a in derive(graph).adjoints.values():
        assert worded(a.delta) is a.delta
