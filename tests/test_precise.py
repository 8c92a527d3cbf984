"""The stage of 50 digits: no false verdict where float64 is unclear."""

# ruff: noqa: E501
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from test_judge import judged

from symbp.commands import open_network
from symbp.judge.points import Points
from symbp.judge.precise import arithmetic, exact_batch
from symbp.unroll import unroll
from symbp.zoo import names as zoo_names

TANH = "x: (n,)\nW: (m, n)\ny: (m,)\nz = W @ x\na = tanh(z)\nL = sum((a - y)**2)\n"
SOFTMAX = "z: (n,)\nt: (n,)\np = softmax(z)\nL = -sum(t*log(p))\nassert sum(t) == 1\n"
GELU = "z: (n,)\na = gelu(z)\nL = sum(a)\n"
HUGE = "x: (n,)\nw: (n,)\ns = 1e5*dot(w, x)\nL = s**2\n"
DOUBLED = "x0: (n,)\n" + "".join(f"x{i + 1} = x{i} + x{i}\n" for i in range(64)) + "L = sum(x64)\n"
LOGDET = "A: (n, n)\nL = logdet(A)\nassert posdef(A)\n"
MASKED = (
    "Q: (n, d)\nK: (n, d)\nV: (n, e)\nS = Q @ K.T/sqrt(d)\n"
    "P = softmax(where(causal_mask(n) > 0, S, -inf), axis=1)\nO = P @ V\nL = sum(O**2)\n"
)
ROUNDED = "z: (n,)\na = 0.5*z*(1 + tanh(0.7978845608*(z + 0.044715*z**3)))\nL = sum(a)\n"
GELU_SLOPE = "0.5*(1 + erf(z/sqrt(2))) + z*exp(-z**2/2)/sqrt(2*pi)"
SELU = "z: (n,)\na = selu(z)\nL = sum(a)\n"
NORMALISED = "eps = 1e-05\nX: (n,)\nR: (n,)\nM = X - mean(X)\nv = mean(M**2)\nXh = M/sqrt(v + eps)\nL = sum(R*Xh)\n"
ORTHOGONAL = "Q: (n, n)\nx: (n,)\nL = sum((Q @ x)**2)\nassert orthogonal(Q)\n"
NORMED = "u: (n,)\nv: (n,)\nL = dot(u, v)/norm(u)\nassert norm(u) == 1\n"

RIGHT = [
    (TANH, "dz = (1e12 + 2*(a - y)*(1 - a**2)) - 1e12"),  # float64 keeps four digits,
    (TANH, "dz = (1e25 + 2*(a - y)*(1 - a**2)) - 1e25"),  # none,
    (TANH, "dz = (1e60 + 2*(a - y)*(1 - a**2)) - 1e60"),  # and neither do 50
    (TANH, "dz = 2*(a - y)*(1 - ((exp(z)**1000)**0.001 - exp(-z))**2/(exp(z) + exp(-z))**2)"),  # overflow
    (SOFTMAX, "dz = exp(z + 900)/sum(exp(z + 900)) - t"),
    (SOFTMAX, "dz = p*sum(t) - t"),
    (GELU, f"dz = {GELU_SLOPE} + 1e15 - 1e15"),
    (SELU, "dz = where(z > 0, 1.0507009873554805, a + 1.0507009873554805*1.6732632423543772) + 1e15 - 1e15"),
    (HUGE, "dw = 2e5*s*x"),
    (DOUBLED, "dx0 = 2**64*ones(n)"),
    (LOGDET, "dA = inv(A) + 1e14*A - 1e14*A"),
    (MASKED, "dV = P.T @ dO + 1e14*V - 1e14*V"),
    (NORMALISED, "dM = R/sqrt(v + eps) - M*sum(R*M)/(n*(v + eps)**1.5) + 1e12*M - 1e12*M"),
    (ORTHOGONAL, "dx = 2*x + 1e14*x - 1e14*x"),
    (NORMED, "du = v - u*dot(u, v) + 1e14*u - 1e14*u"),
    (ROUNDED, "dz = 0.5*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z**3))) + 0.5*z*(1 - tanh(sqrt(2/pi)*(z + 0.044715*z**3))**2)"
              "*sqrt(2/pi)*(1 + 3*0.044715*z**2)"),  # the network's own constant is rounded
]  # fmt: skip
WRONG = [
    (TANH, "dz = 2.000000002*(a - y)*(1 - a**2)"),
    (TANH, "dz = 2*(a - y)*(1 - a**2) + 1e-10*z"),
    (TANH, "dz = 2*(a - y)*(1 - a**2)*(1 + 1e-9)"),
    (TANH, "dz = (1e12 + 2*(a - y)*(1 - a**2)*(1 + 1e-9)) - 1e12"),
    (TANH, "dz = exp(exp(exp(exp(z + 5))))"),
    (SOFTMAX, "dz = exp(z + 900)/sum(exp(z + 900)) - t*1.000000001"),
    (GELU, f"dz = {GELU_SLOPE} + 1e-9"),
    (HUGE, "dw = 2e5*s*x*(1 + 1e-9)"),
    (DOUBLED, "dx0 = 2**64*(1 + 1e-9)*ones(n)"),
    (DOUBLED, "dx0 = 2**63*ones(n)"),
    (LOGDET, "dA = inv(A) + 1e-9*A"),
    (MASKED, "dV = P.T @ dO*1.000000001"),
]


@pytest.mark.parametrize(("net", "claim"), RIGHT)
def test_a_right_formula_that_float64_cannot_compute(net: str, claim: str) -> None:
    (found,) = judged(net, claim)

    assert (found.verdict, found.reason) == ("correct", "")


@pytest.mark.parametrize(("net", "claim"), WRONG)
def test_a_wrong_formula_that_is_nearly_right(net: str, claim: str) -> None:
    (found,) = judged(net, claim)

    assert found.verdict == "wrong"
    assert found.counterexample is not None
    assert found.counterexample.claimed != found.counterexample.true


@pytest.mark.parametrize("name", zoo_names()[::4])
def test_gradients_in_50_digits_are_those_of_float64(name: str) -> None:
    """And they hold 40 digits: 100 give the same."""
    graph = open_network(name)
    points = Points(unroll(graph, dict.fromkeys(graph.bounds, 3)) if graph.bounds else graph)
    if not points.batches:
        pytest.skip("it has no points")
    more = arithmetic(100).context
    fifty, hundred = exact_batch(points, 0, 0, 50), exact_batch(points, 0, 0, 100)
    for node, value in fifty.gradients.items():
        scale = np.abs(value).max(initial=0) + 1e-9
        known, digits = points.batches[0].gradients[node][:1], hundred.gradients[node]
        assert np.abs(value - known).max(initial=0) <= 1e-12 * scale, node
        assert all(
            abs(b - more.make_mpf(value.flat[n]._mpf_)) <= 1e-40 * float(scale) for n, b in enumerate(digits.flat)
        ), node


def test_mpmath_is_loaded_when_it_is_needed() -> None:
    code = "import sys, symbp.commands, symbp.judge.verdict; assert 'mpmath' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
