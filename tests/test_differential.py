"""The second method: every differential is the true one, and gives the gradient that the chain rule gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symbp.commands import DeriveOptions, Screen, at_depth
from symbp.commands import derive as command
from symbp.derive import derive
from symbp.differential import SIGN, Differential, check_differentials, differential, differentials
from symbp.errors import RequestError, SymbpError
from symbp.expr import TWO, mul
from symbp.read.network import read_network
from symbp.zoo import names, network

OPTIONS = DeriveOptions(check="none", method="differential")


@pytest.mark.parametrize("name", names())
def test_differentials_give_the_gradients(name: str) -> None:
    graph = network(name)
    if graph.has_families:
        graph = at_depth(graph, [f"{bound}=3" for bound in graph.bounds])
    d = derive(graph)
    found = differentials(d)

    check_differentials(found, d)
    for variable, ways in found.of.items():
        for way in ways:
            moved = [t for t in way.expr.tensors if t.startswith(SIGN)]
            assert moved in ([differential(variable)], [])  # linear in dv, and in nothing else that moves


def test_a_wrong_differential_is_found() -> None:
    d = derive(network("relu-2"))
    found = differentials(d)
    (way,) = found.of["z"]
    wrong = replace(found, of={**found.of, "z": (Differential(way.consumer, mul(TWO, way.expr)),)})

    with pytest.raises(SymbpError, match="differentials for z do not give its gradient"):
        check_differentials(wrong, d)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("softmax-classifier", "take d      dP = P ⊙ (dZ − (P ⊙ dZ) 𝟏 𝟏ᵀ)"),
        ("softmax-classifier", "rearrange   dL = tr((Xᵀ δ_Z)ᵀ dW)                                           dW"),
        ("autoencoder-tied", "add paths   dL = tr(δ_Zᵀ X dW) + tr(δ_Yᵀ A dWᵀ)"),
        ("mlp-4", "rearrange   dE = (W₄ᵀ δ_z₄)ᵀ da₃                                           da₃"),
        ("circuit-add-mul", "take d      df = z dq"),
    ],
)
def test_lines(name: str, line: str) -> None:
    text, status = command([name], OPTIONS, Screen())

    assert status == 0
    assert line in text


def test_the_other_sign_of_delta() -> None:
    text, _ = command(["mlp-4"], replace(OPTIONS, delta="minus"), Screen())

    assert "chain rule  dE = −δ_z₄ᵀ dz₄" in text
    assert "rearrange   dE = −(W₄ᵀ δ_z₄)ᵀ da₃" in text


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(RequestError, match="dW, which is a differential"):
        command(["relu-2"], replace(OPTIONS, style=("gradient=d",)), Screen())
    deep = read_network("x: (n,)\na[0] = x\nfor l in range(1, L + 1):\n    a[l] = tanh(a[l-1])\nE = sum(a[L]**2)\n")
    with pytest.raises(RequestError, match="--set L=3"):
        differentials(derive(deep))
