"""Split and merged axes, and parts of an axis: their gradients read as NumPy would be written.

Values are held against autograd by the random graphs; here it is how the text reads.
"""

from __future__ import annotations

import pytest
from test_windows import assert_text_is_right, texts

from symbp.derive import derive
from symbp.program import module
from symbp.read.network import read_network

HEADS = """
X: (T, D)
W: (D, D)
assert D == h*k
Q = transpose(reshape(X @ W, (T, h, k)), (1, 0, 2))
C = reshape(transpose(Q, (1, 0, 2)), (T, D))
L = sum(C**3) + sum(Q**2)
"""
LSTM = """
Z: (N, 4*H)
i = sigmoid(Z[:, :H])
f = sigmoid(Z[:, H:2*H])
o = sigmoid(Z[:, 2*H:3*H])
g = tanh(Z[:, 3*H:])
L = sum(i*f*o*g)
"""
NETWORKS = {
    "heads": HEADS,
    "gates": LSTM,
    "groups": "X: (N, C, S)\nassert C == G*K\nY = reshape(X, (N, G, K*S))\nm = mean(Y, axis=2, keepdims=True)\n"
    "L = sum((Y - m)**4)\n",
    "flat": "X: (C, a, b)\nW: (k, C*a*b)\nf = reshape(X, -1)\ny = tanh(W @ f)\nL = sum(y**2)\n",
    "patches": "x: (P*k,)\nW: (k, D)\nY = tanh(reshape(x, (P, k)) @ W)\nL = sum(Y**2)\n",
    "rows one by one": "Q: (n, m)\nL = sum(tanh(Q[0])) + sum(Q[1:]**2)\n",
    "the last row": "H: (T, D)\nw: (D,)\ns = H[-1] @ w\nL = s**2\n",
    "stacked": "a: (n,)\nb: (n,)\nS = stack((a, b), axis=0)\nL = sum(S**3)\n",
    "shuffled": "X: (4, P, Q)\nY = reshape(transpose(reshape(X, (2, 2, P, Q)), (2, 0, 3, 1)), (2*P, 2*Q))\n"
    "L = sum(Y**3)\n",
}


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_the_printed_text_is_right(net: str) -> None:
    assert_text_is_right(net)


@pytest.mark.parametrize(
    ("name", "wrt", "expected"),
    [
        ("heads", "W", "X.T @ reshape(transpose(dQ, (1, 0, 2)), (T, D))"),
        ("heads", "Q", "transpose(reshape(dC, (T, h, k)), (1, 0, 2)) + 2*Q"),
        ("gates", "Z", "concatenate((di*i*(1 - i), df*f*(1 - f), do*o*(1 - o), dg*(1 - g**2)), axis=1)"),
        ("groups", "X", "reshape(dY, (N, C, S))"),
        ("flat", "X", "reshape(df, (C, a, b))"),
        ("patches", "x", "reshape((dY*(1 - Y**2)) @ W.T, (P*k,))"),
        ("rows one by one", "Q", "concatenate(((1 - tanh(Q[0])**2)[None, :], 2*Q[1:]))"),
        ("the last row", "w", "ds*H[-1]"),
        ("stacked", "b", "dS[1]"),
    ],
)
def test_an_adjoint_reads_as_it_would_be_written(name: str, wrt: str, expected: str) -> None:
    assert texts(derive(read_network(NETWORKS[name], "net"), steps=False), "delta")[wrt] == expected


def test_generated_code_has_no_index_arithmetic() -> None:
    code = module(derive(read_network(HEADS, "net"), steps=False))
    assert "np.reshape" in code
    assert "arange" not in code
