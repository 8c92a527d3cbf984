"""The whole product in under two seconds: the first thing to run."""

from __future__ import annotations

import json

from symbp.check import check, check_steps
from symbp.commands import DeriveOptions, Screen
from symbp.commands import derive as command
from symbp.derive import derive
from symbp.numpy_code import backward_lines
from symbp.program import module
from symbp.read.network import read_network

TEXT = '''"""One layer, half the squared error"""
X: (N, D)
W: (D, C)
Y: (N, C)
P = X @ W
L = sum((P - Y)**2)/2
assert fixed(X, Y)
'''


def test_declare_derive_check() -> None:
    derivation = derive(read_network(TEXT))
    checked = check(derivation, "quick")
    check_steps(derivation)

    assert derivation.wrt == ("W",)
    assert list(checked) == ["P", "W"]
    assert all(c.ok for c in checked.values())
    assert list(backward_lines(derivation)) == ["dP = P - Y", "dW = X.T @ dP"]
    assert list(backward_lines(derivation, "closed")) == ["dP = P - Y", "dW = X.T @ (P - Y)"]


def test_code_runs() -> None:
    text = module(derive(read_network(TEXT), closed=False, steps=False))

    assert "def forward(" in text
    assert "def backward(" in text
    compile(text, "generated", "exec")


def test_every_format() -> None:
    shown = {}
    for form in ("terminal", "latex", "json", "numpy", "markdown"):
        text, status = command(["linear-neuron-batch"], DeriveOptions(format=form), Screen())
        assert status == 0
        shown[form] = text
    assert "∂E/∂w = Xᵀ δ_y" in shown["terminal"]
    assert r"\frac{\partial E}{\partial w} &= X^{\top} \delta_{y}" in shown["latex"]
    assert r"\frac{\partial E}{\partial w} &= X^{\top} \delta_{y}" in shown["markdown"]
    assert json.loads(shown["json"])["gradients"][0]["delta_form"]["numpy"] == "X.T @ dy"
    assert shown["numpy"] == "dy = y - t\ndw = X.T @ dy\n"
