"""A formula for every layer or step is judged at all of them, in NumPy and in LaTeX: Nielsen's four equations, BPTT."""

from __future__ import annotations

import pytest

import symbp as sb
from symbp.claim import gradient, in_letters, name
from symbp.read.counts import counts
from symbp.read.latex.members import counting, numbered
from symbp.read.latex.names import key, read_symbol
from symbp.read.network import read_network
from symbp.zoo import network

NIELSEN = [
    r"\delta^l = \frac{\partial E}{\partial z^l}",
    r"\delta^L = \nabla_a C \odot f'(z^L)",
    r"\delta^l = ((W^{l+1})^T \delta^{l+1}) \odot f'(z^l)",
    r"\frac{\partial C}{\partial b^l_j} = \delta^l_j",
    r"\frac{\partial C}{\partial w^l_{jk}} = a^{l-1}_k \delta^l_j",
]
THROUGH_TIME = [
    r"\delta_t = \frac{\partial J}{\partial z_t}",
    r"\delta_t = (1 - h_t^2) \odot (h_t - y_t + U^\top \delta_{t+1})",
    r"\frac{\partial J}{\partial U} = \sum_{t=1}^{T} \delta_t h_{t-1}^\top",
    r"\frac{\partial J}{\partial b} = \sum_t \delta_t",
    "dz[t] = (h[t] - y[t] + U.T @ dz[t+1]) * (1 - h[t]**2)",
    "dV = sum(outer(dz[t], x[t]) for t in range(1, T + 1))",
]


@pytest.mark.parametrize(("net", "claims"), [("deep", NIELSEN), ("rnn", THROUGH_TIME)])
def test_the_equations_of_the_books(net: str, claims: list[str]) -> None:
    found = sb.zoo(net).verify(*claims)
    assert found.ok, str(found)


@pytest.mark.parametrize(
    ("net", "claim", "mistake", "repair"),
    [
        ("deep", "dW[l] = outer(dz[l], a[l])", "wrong-argument", "outer(dz[l], a[l-1])"),
        ("deep", "dz[l] = W[l+1] @ dz[l+1] * f_prime(z[l])", "missing-transpose", "W[l+1].T @ dz[l+1] * df(z[l])"),
        (
            "deep",
            r"\nabla_{z^{(l)}} E = (W^{(l+1)})^T \nabla_{z^{(l+1)}} E \odot f'(a^{(l)})",
            "wrong-argument",
            r"f'(z^{(l)})",
        ),
        (
            "rnn",
            r"\frac{\partial J}{\partial h_t} = U^\top \frac{\partial J}{\partial z_{t+1}}",
            "missing-path",
            "h_{t}",
        ),
        (
            "rnn",
            r"\frac{\partial J}{\partial z_t} = \frac{\partial J}{\partial h_t} \odot (1 - z_t^2)",
            "wrong-argument",
            "h_{t}",
        ),
    ],
)
def test_a_mistake_is_named_and_mended_with_the_letter(net: str, claim: str, mistake: str, repair: str) -> None:
    (found,) = sb.zoo(net).verify(claim)
    assert found["verdict"] == "wrong" and found["mistake"] == mistake
    assert repair in (found["repair"]["latex"] if "\\" in claim else found["repair"]["numpy"])
    assert set("lt") & set(found["counterexample"]["sizes"]), "the layer is one of the numbers"


def test_numbered_names_are_layers_too() -> None:
    net = sb.zoo("mlp-4")
    right = net.verify(
        r"\delta^l = \frac{\partial E}{\partial z^l}",
        r"\delta^{l} = (W^{l+1})^\top \delta^{l+1} \odot (1 - a^l \odot a^l)",
        r"\frac{\partial E}{\partial W^{[\ell]}} = \delta^{\ell} (a^{\ell-1})^\top",
        r"\delta^L = z^L - t",
    )
    assert right.ok, str(right)


THREE = """x0: (n0,)
W1: (n1, n0)
W2: (n2, n1)
W3: (n3, n2)
t: (n3,)
f1: () >> ()
f2: () >> ()
f3: () >> ()
x1 = f1(W1 @ x0)
x2 = f2(W2 @ x1)
x3 = f3(W3 @ x2)
E = sum((x3 - t)**2)/2
"""


def test_another_letter_counts_where_it_stands_beside_a_number() -> None:
    """W_i x_{i-1} counts layers; b_i alone may be an entry, and is asked about."""
    net = sb.Network.of(read_network(THREE, "three"))
    right = net.verify(
        r"x_i = f_i(W_i x_{i-1})",
        r"\delta_L = (x_L - t) \circ f_L'(W_L x_{L-1})",
        r"\delta_i = W_{i+1}^T \delta_{i+1} \circ f_i'(W_i x_{i-1})",
        r"\frac{\partial E}{\partial W_i} = \delta_i x_{i-1}^T",
    )
    assert right.ok, str(right)
    wrong, alone = net.verify(
        r"\frac{\partial E}{\partial x_{i-1}} = W_i \frac{\partial E}{\partial x_i}",
        r"\frac{\partial E}{\partial W_i} = x_i",
    )
    assert (wrong["verdict"], alone["verdict"]) == ("wrong", "undefined")


def test_wrong_at_one_layer_is_wrong() -> None:
    """a[l] = tanh at the last layer too, says the claim; there it is not."""
    net = sb.Network.of(read_network(
        "x: (n0,)\nt: (n2,)\nW1: (n1, n0)\nW2: (n2, n1)\nz1 = W1 @ x\na1 = tanh(z1)\nz2 = W2 @ a1\na2 = sigmoid(z2)\n"
        "E = sum((a2 - t)**2)/2\n", "two"
    ))  # fmt: skip
    (found,) = net.verify(
        r"\frac{\partial E}{\partial z^l} = \frac{\partial E}{\partial a^l} \odot (1 - a^l \odot a^l)"
    )
    assert found["verdict"] == "wrong" and found["counterexample"]["sizes"]["l"] == 2


def test_what_fits_at_no_layer_says_why() -> None:
    (found,) = sb.zoo("deep").verify(r"\frac{\partial E}{\partial W^l} = \delta^l (Q^{l-1})^T")
    assert found["verdict"] == "undefined"
    (found,) = sb.zoo("deep").verify("dW[l] = outer(dz[l], q[l-1])")
    assert found["verdict"] == "undefined"


def test_only_scripts_count() -> None:
    node = read_symbol(r"l W^{l+1} a_{l-1}^{T} \sum_{t=l}^{L} h_t")
    assert counting(node, ("l", "t")) == {"l"}
    assert "W^3" in key(numbered(node, {"l": "2", "L": "3"})) and key(numbered(node, {"l": "2"})).startswith("l")


def test_letters_that_count() -> None:
    assert counts(network("deep")).letters == ("l", "ell") and counts(network("deep")).ends == {"L": 3}
    assert counts(network("rnn")).ends == {"T": 3}
    assert counts(network("mlp-4")).numbers == (1, 2, 3, 4)
    assert not counts(network("linear-neuron")).letters
    assert next(iter(counts(network("deep")).choices({"l"}))) == {"l": 3}


def test_letters_come_back_in_repairs() -> None:
    def member(family: str, index: str) -> str:
        return f"{family}[{index}]"

    assert in_letters(name("z[2]"), (("l", 2),), member).data[1] == "z[l]"
    assert in_letters(gradient("z[3]"), (("l", 2),), member).data[1] == "dz[l+1]"
    assert in_letters(name("h[1,2]"), (("l", 1), ("t", 2)), member) is name("h[1,2]")
