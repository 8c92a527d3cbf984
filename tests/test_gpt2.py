"""A GPT-2 block against JAX: the loss and every gradient, as expressions and as generated code.

JAX computes in double precision and is not compiled, which keeps this test short.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp.commands import DeriveOptions, Screen
from symbp.commands import derive as derive_command
from symbp.derive import derive
from symbp.program import functions
from symbp.read.network import load
from symbp.steps import Derivation
from symbp.values import evaluate_at

BLOCK = Path(__file__).parent.parent / "examples" / "gpt2_block.symbp"
SIZES = {"T": 5, "V": 7, "D": 6, "h": 2, "k": 4, "F": 9}
TOLERANCE = 1e-10


@pytest.fixture(scope="module")
def derivation() -> Derivation:
    return derive(load(BLOCK), steps=False)


@pytest.fixture(scope="module")
def values(derivation: Derivation) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for leaf in derivation.graph.leaves:
        shape = tuple(SIZES[str(d)] for d in leaf.shape)
        found[leaf.name] = rng.standard_normal(shape) / np.sqrt(shape[0])
    for name in ("tokens", "Y"):
        found[name] = np.eye(SIZES["V"])[rng.integers(0, SIZES["V"], SIZES["T"])]
    return found


@pytest.fixture(scope="module")
def by_jax(values: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    from jax import numpy as jnp

    def normalised(x: Any, gain: Any, bias: Any) -> Any:
        centred = x - x.mean(axis=-1, keepdims=True)
        return gain * centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) + bias

    def loss(w: dict[str, Any]) -> Any:
        x = w["tokens"] @ w["E"] + w["Pos"]
        y = normalised(x, w["g1"], w["b1"])
        q, k, v = (jnp.einsum("td,dhk->htk", y, w[n]) for n in ("Wq", "Wk", "Wv"))
        scores = jnp.einsum("htk,hsk->hts", q, k) / jnp.sqrt(SIZES["k"])
        seen = jnp.tril(jnp.ones((SIZES["T"], SIZES["T"]), bool))
        attention = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
        x = x + jnp.einsum("hts,hsk,hkd->td", attention, v, w["Wo"])
        z = normalised(x, w["g2"], w["b2"]) @ w["W1"] + w["c1"]
        x = x + jax.nn.gelu(z, approximate=False) @ w["W2"] + w["c2"]
        return -(w["Y"] * jax.nn.log_softmax(x @ w["E"].T, axis=-1)).sum() / SIZES["T"]

    value, slopes = jax.value_and_grad(loss)({n: jnp.asarray(v) for n, v in values.items()})
    return float(value), {n: np.asarray(g) for n, g in slopes.items()}


def assert_same(ours: Any, theirs: Any, name: str) -> None:
    assert np.shape(ours) == np.shape(theirs), name
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max(), name


def test_every_gradient_is_that_of_jax(
    derivation: Derivation, values: dict[str, Any], by_jax: tuple[float, dict[str, Any]]
) -> None:
    loss, slopes = by_jax
    forward, gradients = evaluate_at(derivation, values)
    assert forward["L"] == pytest.approx(loss, rel=1e-12)
    assert len(derivation.wrt) == 14
    for name in derivation.wrt:
        assert_same(gradients[name], slopes[name], name)


def test_the_generated_code_gives_the_same(
    derivation: Derivation, values: dict[str, Any], by_jax: tuple[float, dict[str, Any]]
) -> None:
    loss, slopes = by_jax
    forward, backward = functions(derivation)
    value, cache = forward(**values)
    assert value == pytest.approx(loss, rel=1e-12)
    for name, gradient in backward(cache).items():
        assert_same(gradient, slopes[name], name)


def test_it_prints_as_a_lecture_would_write_it() -> None:
    page, status = derive_command([str(BLOCK)], DeriveOptions(form="delta", check="none"), Screen(width=80))
    assert status == 0
    for line in (
        "∂L/∂E = tokensᵀ δ_X₀ + δ_Rᵀ X₂",  # tied: once as embedding, once as logits
        "∂L/∂W₁ = H₂ᵀ δ_Z",
        "∂L/∂Wq[d,i,j] = Σ_t H₁[t,d] δ_Q[i,t,j]",
        "∂L/∂g₂ = (δ_H₂ ⊙ N₂)ᵀ 𝟏",
    ):
        assert line in page
