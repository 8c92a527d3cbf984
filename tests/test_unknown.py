"""Unknown functions: `f: () >> ()` entry by entry, maps with Jacobians, losses of several operands."""

import numpy as np
import pytest

from symbp.check import check, check_steps, numerical_gradients
from symbp.derive import derive
from symbp.errors import DeclarationError, NoRule
from symbp.form import NotReducible
from symbp.numpy_code import numpy_text
from symbp.program import module
from symbp.read.network import read_network
from symbp.sample import choose_sizes, draw
from symbp.show.alphabet import Latex, Unicode
from symbp.show.document import Options, document
from symbp.show.latex import latex
from symbp.show.math import MathPrinter
from symbp.show.terminal import lines
from symbp.unknown import samples

CHAIN = """f1: () >> ()
f2: () >> ()
f3: () >> ()
C: () >> ()
x: ()
w1: ()
w2: ()
w3: ()
a1 = f1(w1*x)
a2 = f2(w2*a1)
y = f3(w3*a2)
L = C(y)
"""
JACOBIANS = """g: (m,) >> (n,)
f: (n,) >> ()
x: (m,)
y = g(x)
z = f(y)
"""
LAYER = """f: () >> ()
loss: ((n,), (n,)) >> ()
W: (n, m)
b: (n,)
x: (m,)
t: (n,)
z = W @ x + b
a = f(z)
L = loss(a, t)
assert fixed(x)
"""
MAPS = """g: (m,) >> (n,)
h: ((n,), (m,)) >> (k,)
W: (m, m)
x: (m,)
y = g(W @ x + x)
u = h(y, x)
L = sum(u**2)/2
"""


def shown(text: str, name: str, form: str = "delta") -> str | None:
    graph = read_network(text)
    a = derive(graph, [name]).adjoints[name]
    return MathPrinter(graph, Latex()).matrix(a.delta if form == "delta" else a.closed, a.node.axes)


@pytest.mark.parametrize("text", [CHAIN, JACOBIANS, LAYER, MAPS])
def test_derivations_hold_for_a_random_function_in_the_place_of_every_unknown_one(text: str) -> None:
    derivation = derive(read_network(text))
    checked = check(derivation, "full")
    assert checked
    assert all(c.ok and c.error < 1e-11 for c in checked.values())
    assert check_steps(derivation) == ""


def test_the_product_of_the_layers_slopes() -> None:
    graph = read_network(CHAIN)
    closed = derive(graph, ["w1"]).adjoints["w1"].closed
    text = MathPrinter(graph, Latex()).index(closed, {})
    for slope in ("C'", "f_3'", "f_2'", "f_1'", "w_2", "w_3", "x"):
        assert slope in text


def test_the_chain_rule_with_jacobians_is_transposed() -> None:
    assert shown(JACOBIANS, "x", "closed") == (
        r"\left(\frac{\partial y}{\partial x}\right)^{\top} \frac{\partial z}{\partial y}"
    )


def test_a_layer_with_an_unknown_activation() -> None:
    assert shown(LAYER, "W") == r"\delta_{z} x^{\top}"
    assert shown(LAYER, "z") == r"\delta_{a} \odot f'\left(z\right)"


def test_the_numbers_are_those_of_the_sampled_functions() -> None:
    graph = read_network(JACOBIANS)
    functions = samples(graph)
    point = draw(graph, choose_sizes(graph), np.random.default_rng(3), functions)
    true = numerical_gradients(graph, point.leaves, point.sizes, ["x"], functions=functions)["x"]
    inner = functions["g"](np, 0, (point.sizes["n"],), 0, point.leaves["x"])
    outer = functions["f"](np, 0, (), 0, point.values["y"])

    np.testing.assert_allclose(true, inner.T @ outer, rtol=1e-10)


def test_there_is_no_numpy_text_and_the_reason_is_said() -> None:
    graph = read_network(JACOBIANS)
    a = derive(graph).adjoints["x"]
    with pytest.raises(NotReducible, match="g is unknown"):
        numpy_text(graph, a.delta, a.node.axes)
    with pytest.raises(NoRule, match="unknown"):
        module(derive(graph, closed=False, steps=False))


@pytest.mark.parametrize("text", [CHAIN, JACOBIANS, LAYER, MAPS])
def test_they_print(text: str) -> None:
    derivation = derive(read_network(text))
    assert "\n".join(lines(document(derivation, Unicode(), Options())))
    assert "?" not in latex(document(derivation, Latex(), Options(detail="full")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f: () >> ()\nx: ()\nL = f(x, x)", "f takes 1 arguments, not 2"),
        ("g: (m,) >> (n,)\nx: (k,)\nL = sum(g(x))", "g takes"),
        ("f: () >> ()\nx: ()\nL = f + x", "f"),
        ("f: (m,) >> ()\nf: (m,)\nL = sum(f)", "already defined on line 1"),
    ],
)
def test_wrong_use_is_one_clear_message(text: str, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_network(text)
    assert message in str(caught.value)
    assert caught.value.place is not None
