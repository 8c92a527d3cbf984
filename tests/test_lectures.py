"""The lecture notes that symbp must be able to reproduce, a section each.

Forms are compared as text where the notes state a form; numbers come from the notes, from NumPy
written by hand, or from finite differences of such a NumPy loss, never from symbp itself.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symbp as sb
from symbp.chain import local_slope
from symbp.commands import DeriveOptions, Screen
from symbp.commands import derive as derive_command
from symbp.derive import derive
from symbp.expr import Delta, text, walk
from symbp.numpy_code import numpy_text
from symbp.steps import Derivation
from symbp.values import evaluate_at
from symbp.zoo import network

Array = np.ndarray[Any, np.dtype[Any]]
Loss = Callable[..., Any]


def derivation(name: str, *wrt: str) -> Derivation:
    return derive(network(name), wrt or None)


def delta(d: Derivation, name: str) -> str:
    a = d.adjoints[name]
    return numpy_text(d.graph, a.delta, a.node.axes)


def closed(d: Derivation, name: str) -> str:
    a = d.adjoints[name]
    assert a.closed is not None
    return numpy_text(d.graph, a.closed, a.node.axes)


def at(d: Derivation, **values: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """Forward values and gradients."""
    forward, gradients = evaluate_at(d, values)
    return forward, gradients


def shown(name: str, *wrt: str, **options: Any) -> str:
    """What the terminal says."""
    given = DeriveOptions(wrt=wrt, check="none", **options)
    return derive_command([name], given, Screen(width=120))[0]


def numerical(loss: Loss, values: Mapping[str, Any], name: str, h: float = 1e-6) -> Array:
    """Central differences of a loss written by hand."""
    x = np.array(values[name], dtype=float)
    slope = np.zeros_like(x)
    for n in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[n] = h
        up, down = loss(**{**values, name: x + step}), loss(**{**values, name: x - step})
        slope[n] = (up - down) / (2 * h)
    return slope


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# ---- 1  circuit-add-mul ------------------------------------------------------------------------


def test_circuit_add_mul_has_the_local_slopes_1_1_z_q() -> None:
    graph = network("circuit-add-mul")
    slopes = [text(local_slope(graph[a], graph[b])[1]) for a, b in ("xq", "yq", "qf", "zf")]
    assert slopes == ["1", "1", "z", "q"]


def test_circuit_add_mul_at_the_point_of_the_lecture() -> None:
    d = derivation("circuit-add-mul")
    forward, gradient = at(d, x=-2, y=5, z=-4)
    assert (forward["q"], forward["f"]) == (3, -12)
    assert (gradient["x"], gradient["y"], gradient["z"], gradient["q"]) == (-4, -4, 3, -4)
    assert (closed(d, "x"), closed(d, "y"), closed(d, "z")) == ("z", "z", "q")


# ---- 2  circuit-sigmoid ------------------------------------------------------------------------

SIGMOID_POINT = {"w0": 2, "w1": -3, "w2": -3, "x0": -1, "x1": -2}


def test_circuit_sigmoid_gate_by_gate() -> None:
    forward, gradient = at(derivation("circuit-sigmoid"), **SIGMOID_POINT)
    assert round(float(forward["f"]), 2) == 0.73
    gates = [round(float(gradient[g]), 2) for g in ("s", "v", "u", "z", "r", "p", "q")]
    assert gates == [-0.53, -0.53, -0.20, 0.20, 0.20, 0.20, 0.20]


@pytest.mark.parametrize("name", ["circuit-sigmoid", "circuit-sigmoid-gate"])
def test_circuit_sigmoid_at_the_leaves(name: str) -> None:
    _, gradient = at(derivation(name), **SIGMOID_POINT)
    leaves = {leaf: round(float(gradient[leaf]), 3) for leaf in SIGMOID_POINT}
    assert leaves == {"w0": -0.197, "x0": 0.393, "w1": -0.393, "x1": -0.590, "w2": 0.197}


def test_circuit_sigmoid_as_one_gate_has_the_slope_f_times_1_minus_f() -> None:
    assert closed(derivation("circuit-sigmoid-gate"), "z") == "f*(1 - f)"


# ---- 3  circuit-max ----------------------------------------------------------------------------


def test_circuit_max_sends_2_to_the_larger_input_and_0_to_the_other() -> None:
    d = derivation("circuit-max")
    forward, gradient = at(d, x=3, y=-4, z=2, w=-1)
    assert forward["f"] == -20
    assert (gradient["z"], gradient["w"]) == (2, 0)
    assert (gradient["x"], gradient["y"]) == (-8, 6)
    _, gradient = at(d, x=3, y=-4, z=-1, w=2)
    assert (gradient["z"], gradient["w"]) == (0, 2)


# ---- 4  circuit-fork ---------------------------------------------------------------------------


def test_circuit_fork_adds_the_gradients_of_its_branches() -> None:
    d = derivation("circuit-fork")
    rules = [step.rule for step in d.adjoints["q"].steps]
    assert rules.count("chain-rule") == 2, "one for each branch"
    assert "fork" in rules
    assert closed(d, "q") == "z + 2*q"
    point = {"x": -2.0, "y": 5.0, "z": -4.0}
    _, gradient = at(d, **point)
    for leaf in point:
        expected = numerical(lambda x, y, z: (x + y) * z + (x + y) ** 2, point, leaf)
        assert_allclose(gradient[leaf], expected, rtol=1e-7)


# ---- 5  elementwise-max ------------------------------------------------------------------------


def test_elementwise_max_multiplies_by_its_jacobian_without_building_it(rng: np.random.Generator) -> None:
    d = derivation("elementwise-max")
    x, upstream = rng.standard_normal((2, 4096))
    at(d, x=x, dy=upstream)  # whatever is loaded once
    tracemalloc.start()
    _, gradient = at(d, x=x, dy=upstream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_allclose(gradient["x"], np.where(x > 0, upstream, 0))
    assert peak < 4096 * 4096 / 8, "less than a bit for each entry of the Jacobian"


def test_elementwise_max_has_a_diagonal_jacobian() -> None:
    graph = network("elementwise-max")
    left, slope = local_slope(graph["x"], graph["y"])
    row, column = *left.free, graph["x"].axes[0]
    deltas = [e for e in walk(slope) if isinstance(e, Delta)]
    assert len(deltas) == 1
    assert set(deltas[0].args) == {row, column}


# ---- 6  l2-of-matvec ---------------------------------------------------------------------------


def test_l2_of_matvec_at_the_point_of_the_lecture() -> None:
    forward, gradient = at(derivation("l2-of-matvec"), W=[[0.1, 0.5], [-0.3, 0.8]], x=[0.2, 0.4])
    assert_allclose(forward["f"], 0.116)
    assert_allclose(gradient["W"], [[0.088, 0.176], [0.104, 0.208]])
    assert_allclose(gradient["x"], [-0.112, 0.636])


def test_l2_of_matvec_has_the_forms_2qxt_and_2wtq() -> None:
    d = derivation("l2-of-matvec")
    assert closed(d, "W") == "2*outer(q, x)"
    assert closed(d, "x") == "2*W.T @ q"
    assert r"2 q x^{\top}" in shown("l2-of-matvec", format="latex").replace(r"\,", " ")


def test_l2_of_matvec_each_gradient_has_the_shape_of_its_variable(rng: np.random.Generator) -> None:
    values = {"W": rng.standard_normal((3, 5)), "x": rng.standard_normal(5)}
    _, gradient = at(derivation("l2-of-matvec"), **values)
    assert {n: g.shape for n, g in gradient.items()} == {"W": (3, 5), "x": (5,), "q": (3,)}


# ---- 7  svm ------------------------------------------------------------------------------------


def hinge(W: Array, x: Array, t: Array, lam: float) -> float:
    s, y = W @ x, int(np.argmax(t))
    data = sum(max(0.0, s[j] - s[y] + 1) for j in range(len(s)) if j != y)
    return float(data + lam * np.sum(W**2))


def test_svm_data_and_regularisation_parts_add(rng: np.random.Generator) -> None:
    d = derivation("svm")
    values = {"W": rng.standard_normal((4, 3)), "x": rng.standard_normal(3), "t": np.eye(4)[2], "lam": 0.3}
    forward, gradient = at(d, **values)
    assert_allclose(forward["L"], hinge(**values))
    assert_allclose(gradient["W"], numerical(hinge, values, "W"), rtol=1e-6, atol=1e-8)
    _, data_only = at(d, **{**values, "lam": 0.0})
    assert_allclose(gradient["W"], data_only["W"] + 2 * 0.3 * values["W"])
    assert delta(d, "W") == "outer(ds, x) + 2*dR*W"
    assert closed(d, "W").endswith(" + 2*lam*W")


# ---- 8  relu-2, relu-3 -------------------------------------------------------------------------


def test_relu_2_masks_where_the_unit_is_off() -> None:
    d = derivation("relu-2")
    assert closed(d, "z") == "W2.T @ df * (z > 0)"
    assert closed(d, "W1") == "outer(W2.T @ df * (z > 0), x)"
    assert closed(d, "W2") == "outer(df, a)"
    assert closed(d, "x") == "W1.T @ (W2.T @ df * (z > 0))"


def test_relu_3_masks_twice(rng: np.random.Generator) -> None:
    d = derivation("relu-3")
    assert closed(d, "W1") == "outer(W2.T @ (W3.T @ df * (z2 > 0)) * (z1 > 0), x)"
    values = {
        "x": rng.standard_normal(3),
        "W1": rng.standard_normal((4, 3)),
        "W2": rng.standard_normal((5, 4)),
        "W3": rng.standard_normal((2, 5)),
        "df": rng.standard_normal(2),
    }

    def loss(x: Array, W1: Array, W2: Array, W3: Array, df: Array) -> float:
        return float(df @ (W3 @ np.maximum(0, W2 @ np.maximum(0, W1 @ x))))

    _, gradient = at(d, **values)
    for name in ("x", "W1", "W2", "W3"):
        assert_allclose(gradient[name], numerical(loss, values, name), rtol=1e-6, atol=1e-8)


# ---- 9  one-parameter --------------------------------------------------------------------------


def test_one_parameter_has_the_slope_2_w_cubed() -> None:
    form = closed(derivation("one-parameter"), "w")
    w, t, y = sp.symbols("w t y")
    value = sp.sympify(form, locals={"w": w, "t": t, "y": y}).subs({y: w**2, t: 0})
    assert sp.expand(value - 2 * w**3) == 0


def test_one_parameter_descends_to_0_597_in_30_steps() -> None:
    d = derivation("one-parameter")
    w, costs = 2.0, []
    for _ in range(30):
        forward, gradient = at(d, w=w)
        costs.append(float(forward["C"]))
        w -= 0.02 * float(gradient["w"])
    assert round(w, 3) == 0.597
    assert costs[0] == 8
    assert costs == sorted(costs, reverse=True)


def test_one_parameter_for_any_input_and_target() -> None:
    d = derivation("one-parameter-any")
    for w, x, t in ((2.0, 1.0, 0.0), (0.7, -1.3, 0.4)):
        _, gradient = at(d, w=w, x=x, t=t)
        assert_allclose(gradient["w"], 2 * w * x * (w**2 * x - t))


# ---- 10  scalar-chain-3 ------------------------------------------------------------------------


def test_scalar_chain_3_is_the_product_of_the_slopes() -> None:
    page = shown("scalar-chain-3")
    assert "δ_y = ∂E/∂y = C'(y)" in page
    assert "δ_a₂ = ∂E/∂a₂ = w₃ δ_y f₃'(w₃ a₂)" in page
    assert "δ_a₁ = ∂E/∂a₁ = w₂ δ_a₂ f₂'(w₂ a₁)" in page
    assert "= w₂ w₃ C'(y) f₃'(w₃ a₂) f₂'(w₂ a₁) f₁'(w₁ x) x" in page


@pytest.mark.parametrize("f", [(np.tanh, lambda a: 1 - np.tanh(a) ** 2), (np.sin, np.cos)])
def test_scalar_chain_3_holds_for_any_functions(f: tuple[Any, Any]) -> None:
    value, slope = f
    d = derivation("scalar-chain-3")
    functions = {}
    for name in ("f1", "f2", "f3", "C"):
        functions |= {f"?{name}": lambda np, a: value(a), f"?{name}'": lambda np, a: slope(a)}
    point = {"x": 0.7, "w1": -1.2, "w2": 0.8, "w3": 1.4}
    _, gradient = evaluate_at(d, point, functions)
    for w in ("w1", "w2", "w3"):
        expected = numerical(lambda x, w1, w2, w3: value(value(w3 * value(w2 * value(w1 * x)))), point, w)
        assert_allclose(gradient[w], expected, rtol=1e-7)


def test_scalar_chain_3_is_the_same_in_sympy() -> None:
    x, w1, w2, w3, a1, a2, y, E = sp.symbols("x w1 w2 w3 a1 a2 y E")
    f1, f2, f3, C = map(sp.Function, ("f1", "f2", "f3", "C"))
    net = sb.Network([sp.Eq(a1, f1(w1 * x)), sp.Eq(a2, f2(w2 * a1)), sp.Eq(y, f3(w3 * a2)), sp.Eq(E, C(y))])
    derived = net.derive()
    assert derived.check().ok
    last = str(derived).rpartition("∂E/∂w₁")[2]  # SymPy sorts the factors
    assert all(slope in last for slope in ("C'(y)", "f₃'(a₂ w₃)", "f₂'(a₁ w₂)", "f₁'(w₁ x)"))
    assert sb.Network(net.to_sympy()).derive().check().ok


# ---- 12  linear-neuron -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("w", "x", "t", "rate", "y", "error", "change"),
    [
        ((50, 50, 50), (5, 2, 4), 1250, 1 / 70, 550, 700, (50, 20, 40)),
        ((100, 70, 90), (3, 3, 3), 900, 1 / 12, 780, 120, (30, 30, 30)),
        ((130, 100, 120), (0, 5, 1), 350, 2 / 27, 620, -270, (0, -100, -20)),
    ],
)
def test_linear_neuron_pays_the_lunch_bill(
    w: Any, x: Any, t: float, rate: float, y: float, error: float, change: Any
) -> None:
    forward, gradient = at(derivation("linear-neuron"), w=w, x=x, t=t)
    assert forward["y"] == y
    assert t - forward["y"] == error
    assert_allclose(-rate * gradient["w"], change)


def test_linear_neuron_has_the_delta_rule() -> None:
    d = derivation("linear-neuron")
    assert closed(d, "w") in ("(y - t)*x", "x*(y - t)", "-x*(t - y)")
    page = shown("linear-neuron", delta="minus", update=True)
    assert "δ_y = −∂E/∂y = t − y" in page
    assert "w ← w + η δ_y x" in page or "w ← w + η x δ_y" in page


# ---- 13  linear-neuron-batch -------------------------------------------------------------------


def test_linear_neuron_batch_sums_the_delta_rule_over_samples(rng: np.random.Generator) -> None:
    d = derivation("linear-neuron-batch")
    assert closed(d, "w") == "X.T @ (y - t)"
    X, w, t = rng.standard_normal((6, 3)), rng.standard_normal(3), rng.standard_normal(6)
    _, gradient = at(d, X=X, w=w, t=t)
    by_sample = [sum(X[n, i] * (t[n] - X[n] @ w) for n in range(6)) for i in range(3)]
    assert_allclose(-gradient["w"], by_sample)


def test_linear_neuron_batch_is_a_quadratic_bowl(rng: np.random.Generator) -> None:
    """The Hessian Σ x xᵀ does not depend on w: the gradient is affine in w."""
    d = derivation("linear-neuron-batch")
    X, t = rng.standard_normal((6, 3)), rng.standard_normal(6)
    for w in rng.standard_normal((4, 3)):
        _, here = at(d, X=X, w=w, t=t)
        columns = [at(d, X=X, w=w + e, t=t)[1]["w"] - here["w"] for e in np.eye(3)]
        assert_allclose(columns, sum(np.outer(x, x) for x in X), atol=1e-12)


# ---- 14  logistic-neuron -----------------------------------------------------------------------


def test_logistic_neuron_shows_the_algebra_of_y_times_1_minus_y() -> None:
    d = derivation("logistic-neuron")
    page = shown("logistic-neuron", "w")
    assert page.index("y² exp(−z)") < page.index("δ_y y (1 − y)"), "from 1/(1 + exp(−z)) to y (1 − y)"
    assert delta(d, "z") == "dy*y*(1 - y)"
    assert closed(d, "z") == "(y - t)*y*(1 - y)"


def test_logistic_neuron_slope_of_a_sigmoid_is_y_times_1_minus_y() -> None:
    graph = network("logistic-neuron-batch")
    shown_slope = shown("logistic-neuron-batch", "w", detail="full")
    assert "y[n] (1 − y[n])" in shown_slope or "y[n'] (1 − y[n'])" in shown_slope
    assert graph["y"].source == "sigmoid(z)"


def test_logistic_neuron_gradients(rng: np.random.Generator) -> None:
    d = derivation("logistic-neuron")
    x, w, b, t = rng.standard_normal(4), rng.standard_normal(4), 0.3, 1.0
    _, gradient = at(d, x=x, w=w, b=b, t=t)
    y = sigmoid(b + x @ w)
    assert_allclose(gradient["w"], -x * y * (1 - y) * (t - y))
    assert_allclose(gradient["b"], -y * (1 - y) * (t - y))


def test_logistic_neuron_batch_sums_over_samples(rng: np.random.Generator) -> None:
    d = derivation("logistic-neuron-batch")
    assert closed(d, "w") == "X.T @ ((y - t)*y*(1 - y))"
    X, w, b, t = rng.standard_normal((5, 3)), rng.standard_normal(3), -0.2, rng.integers(0, 2, 5)
    _, gradient = at(d, X=X, w=w, b=b, t=t)
    y = [sigmoid(b + X[n] @ w) for n in range(5)]
    expected = [-sum(X[n, i] * y[n] * (1 - y[n]) * (t[n] - y[n]) for n in range(5)) for i in range(3)]
    assert_allclose(gradient["w"], expected)


# ---- 15  logistic-layers -----------------------------------------------------------------------


def test_logistic_layers_has_the_four_lines_of_the_lecture_in_indices() -> None:
    page = shown("logistic-layers", "y2[j]", "x2[j]", "w2[i, j]", "y1[i]", notation="index", form="delta")
    assert "= −(t[j] − y₂[j])" in page.split("δ_x₂")[0]
    assert "∂E/∂x₂[j] = δ_y₂[j] y₂[j] (1 − y₂[j])" in page
    assert "∂E/∂w₂[i,j] = y₁[i] δ_x₂[j]" in page
    assert "∂E/∂y₁[i] = Σ_k δ_x₂[k] w₂[i,k]" in page or "∂E/∂y₁[i] = Σ_j δ_x₂[j] w₂[i,j]" in page


def test_logistic_layers_has_the_recursion_in_matrices() -> None:
    d = derivation("logistic-layers")
    assert delta(d, "x2") == "dy2*y2*(1 - y2)"
    assert delta(d, "w2") == "outer(y1, dx2)"
    assert delta(d, "y1") in ("w2 @ dx2", "dx2 @ w2.T")
    assert delta(d, "x1") == "dy1*y1*(1 - y1)"
    assert delta(d, "w1") == "outer(y0, dx1)"


def test_logistic_layers_gradients_by_loops(rng: np.random.Generator) -> None:
    d = derivation("logistic-layers")
    y0, w1, b1 = rng.standard_normal(3), rng.standard_normal((3, 4)), rng.standard_normal(4)
    w2, b2, t = rng.standard_normal((4, 2)), rng.standard_normal(2), rng.standard_normal(2)
    y1 = [sigmoid(b1[j] + sum(y0[i] * w1[i, j] for i in range(3))) for j in range(4)]
    y2 = [sigmoid(b2[k] + sum(y1[j] * w2[j, k] for j in range(4))) for k in range(2)]
    dx2 = [-(t[k] - y2[k]) * y2[k] * (1 - y2[k]) for k in range(2)]
    dy1 = [sum(w2[j, k] * dx2[k] for k in range(2)) for j in range(4)]
    dx1 = [y1[j] * (1 - y1[j]) * dy1[j] for j in range(4)]
    _, gradient = at(d, y0=y0, w1=w1, b1=b1, w2=w2, b2=b2, t=t)
    assert_allclose(gradient["y1"], dy1)
    assert_allclose(gradient["w2"], [[y1[j] * dx2[k] for k in range(2)] for j in range(4)])
    assert_allclose(gradient["w1"], [[y0[i] * dx1[j] for j in range(4)] for i in range(3)])
    assert_allclose(gradient["b1"], dx1)


# ---- 16  chain-jacobian ------------------------------------------------------------------------


def test_chain_jacobian_is_the_transposed_jacobian_times_the_gradient() -> None:
    page = shown("chain-jacobian")
    assert "∂z/∂x[i] = Σ_j ∂z/∂y[j] · ∂y[j]/∂x[i]" in page
    assert "∂z/∂x = (∂y/∂x)ᵀ δ_y" in page
    assert "= (∂y/∂x)ᵀ (∂z/∂y)" in page


def test_chain_jacobian_is_the_same_in_sympy() -> None:
    m, n = sp.symbols("m n", integer=True, positive=True)
    x, y = sp.MatrixSymbol("x", m, 1), sp.MatrixSymbol("y", n, 1)
    g, f, z = sp.Function("g"), sp.Function("f"), sp.Symbol("z")
    net = sb.Network([(y, g(x)), sp.Eq(z, f(y))])
    checked = net.derive().check()
    assert checked.ok
    assert "∂z/∂x = (∂y/∂x)ᵀ δ_y" in str(net.derive())
    assert sb.Network(net.to_sympy()).derive().check().ok


# ---- 17  half-square ---------------------------------------------------------------------------


def test_half_square_has_the_gradient_x() -> None:
    assert closed(derivation("half-square"), "x") == "x"


def test_half_square_descends() -> None:
    d = derivation("half-square")
    x = 3.0
    for _ in range(20):
        x -= 0.1 * float(at(d, x=x)[1]["x"])
    assert_allclose(x, 3 * 0.9**20)


# ---- 18  mean-square-2x2 -----------------------------------------------------------------------


def test_mean_square_has_the_gradient_y() -> None:
    d = derivation("mean-square-2x2")
    assert closed(d, "x") == "y"
    forward, gradient = at(d, x=np.ones((2, 2)))
    assert forward["out"] == 18
    assert_allclose(gradient["x"], np.full((2, 2), 3.0))


def test_mean_square_agrees_with_an_autograd_library() -> None:
    autograd = pytest.importorskip("autograd")
    numpy = pytest.importorskip("autograd.numpy")
    x = np.array([[1.0, -0.5], [0.25, 2.0]])
    _, gradient = at(derivation("mean-square-2x2"), x=x)
    assert_allclose(gradient["x"], autograd.grad(lambda x: numpy.mean(2 * (x + 2) ** 2))(x))


# ---- 19  rnn-step ------------------------------------------------------------------------------


def test_rnn_step_has_four_gradients(rng: np.random.Generator) -> None:
    d = derivation("rnn-step")
    assert set(d.wrt) == {"W_h", "W_x", "h_prev", "x"}
    assert closed(d, "z") == "dh*(1 - h**2)"
    assert delta(d, "W_h") == "outer(dz, h_prev)"
    assert delta(d, "W_x") == "outer(dz, x)"
    assert delta(d, "h_prev") == "W_h.T @ dz"
    assert delta(d, "x") == "W_x.T @ dz"
    values = {
        "W_h": rng.standard_normal((3, 3)),
        "W_x": rng.standard_normal((3, 2)),
        "h_prev": rng.standard_normal(3),
        "x": rng.standard_normal(2),
        "dh": rng.standard_normal(3),
    }

    def loss(W_h: Array, W_x: Array, h_prev: Array, x: Array, dh: Array) -> float:
        return float(dh @ np.tanh(W_h @ h_prev + W_x @ x))

    _, gradient = at(d, **values)
    for name in d.wrt:
        assert_allclose(gradient[name], numerical(loss, values, name), rtol=1e-6, atol=1e-8)


# ---- 20  weight-decay, dropout -----------------------------------------------------------------


def test_weight_decay_adds_lambda_w(rng: np.random.Generator) -> None:
    d = derivation("weight-decay")
    assert closed(d, "W") == "X.T @ (P - Y) + lam*W"
    X, W, Y = rng.standard_normal((5, 3)), rng.standard_normal((3, 2)), rng.standard_normal((5, 2))
    _, gradient = at(d, X=X, W=W, Y=Y, lam=0.7)
    assert_allclose(gradient["W"], X.T @ (X @ W - Y) + 0.7 * W)


def test_weight_decay_l1_adds_lambda_sign_w(rng: np.random.Generator) -> None:
    d = derivation("weight-decay-l1")
    assert closed(d, "W") == "X.T @ (P - Y) + lam*sign(W)"
    X, W, Y = rng.standard_normal((5, 3)), rng.standard_normal((3, 2)), rng.standard_normal((5, 2))
    W[1, 1] = 0
    _, gradient = at(d, X=X, W=W, Y=Y, lam=0.7)
    assert_allclose(gradient["W"], X.T @ (X @ W - Y) + 0.7 * np.sign(W))


def test_dropout_mask_passes_through(rng: np.random.Generator) -> None:
    d = derivation("dropout")
    assert delta(d, "A") == "dB*M/keep"
    values = {
        "X": rng.standard_normal((4, 3)),
        "W1": rng.standard_normal((3, 5)),
        "W2": rng.standard_normal((5, 2)),
        "Y": rng.standard_normal((4, 2)),
        "M": rng.integers(0, 2, (4, 5)),
        "keep": 0.5,
    }

    def loss(X: Array, W1: Array, W2: Array, Y: Array, M: Array, keep: float) -> float:
        return float(np.sum((np.maximum(X @ W1, 0) * M / keep @ W2 - Y) ** 2) / 2)

    _, gradient = at(d, **values)
    assert_allclose(gradient["A"][values["M"] == 0], 0)
    for name in ("W1", "W2"):
        assert_allclose(gradient[name], numerical(loss, values, name), rtol=1e-6, atol=1e-7)


# ---- 21  relu-batch-64x1000x100x8 --------------------------------------------------------------


def test_relu_batch_has_the_forms_of_the_notes_without_their_mistakes() -> None:
    d = derivation("relu-batch-64x1000x100x8")
    assert delta(d, "y_pred") == "2*(y_pred - y)"
    assert delta(d, "W2") == "h_relu.T @ dy_pred"
    assert delta(d, "h_relu") == "dy_pred @ W2.T"
    assert delta(d, "h") == "dh_relu*(h > 0)"
    assert delta(d, "W1") == "x.T @ dh"
    assert closed(d, "W2") == "2*h_relu.T @ (y_pred - y)"
    assert closed(d, "h_relu") == "2*(y_pred - y) @ W2.T"
    assert closed(d, "W1") == "2*x.T @ ((y_pred - y) @ W2.T * (h > 0))"


def test_relu_batch_answers_why_it_is_transposed_and_swapped() -> None:
    page = shown("relu-batch-64x1000x100x8", "W1", "W2", form="delta")
    for line in (
        "Σ_k x[k,i] δ_h[k,j]",  # the sample index k stands first in both: that is xᵀ in front
        "∂loss/∂W₁ = xᵀ δ_h",
        "Σ_k h_relu[k,i] δ_y_pred[k,j]",
        "∂loss/∂W₂ = h_reluᵀ δ_y_pred",
        "Σ_k δ_y_pred[i,k] W₂[j,k]",
        "δ_y_pred W₂ᵀ",
    ):
        assert line in page


def test_relu_batch_gradients_are_those_of_plain_numpy(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((64, 1000)), rng.standard_normal((64, 8))
    w1, w2 = rng.standard_normal((1000, 100)), rng.standard_normal((100, 8))
    h = x @ w1
    h_relu = np.maximum(h, 0)
    y_pred = h_relu @ w2
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T @ grad_y_pred
    grad_h = grad_y_pred @ w2.T
    grad_h[h < 0] = 0
    grad_w1 = x.T @ grad_h
    forward, gradient = at(derivation("relu-batch-64x1000x100x8"), x=x, y=y, W1=w1, W2=w2)
    assert_allclose(forward["loss"], np.sum((y_pred - y) ** 2))
    assert_allclose(gradient["W2"], grad_w2)
    assert_allclose(gradient["h"], grad_h, rtol=1e-6, atol=1e-6)
    assert_allclose(gradient["W1"], grad_w1, rtol=1e-6, atol=1e-6)


# ---- 22  leaky-relu-batch, prelu-batch ---------------------------------------------------------


def test_leaky_relu_batch_lets_a_hundredth_through_below_0(rng: np.random.Generator) -> None:
    d = derivation("leaky-relu-batch")
    assert delta(d, "h") == "dh_leaky*where(h > 0, 1, 0.01)"
    x, y = rng.standard_normal((64, 1000)), rng.standard_normal((64, 8))
    W1, W2 = rng.standard_normal((1000, 100)), rng.standard_normal((100, 8))
    h = x @ W1
    up = 2 * (np.where(h > 0, h, 0.01 * h) @ W2 - y) @ W2.T
    _, gradient = at(d, x=x, y=y, W1=W1, W2=W2)
    assert_allclose(gradient["W1"], x.T @ (up * np.where(h > 0, 1, 0.01)), rtol=1e-6, atol=1e-6)


def test_prelu_batch_has_a_gradient_for_its_slope(rng: np.random.Generator) -> None:
    d = derivation("prelu-batch")
    assert delta(d, "slope") == "sum(dv*minimum(z, 0))"
    values = {
        "x": rng.standard_normal((5, 3)),
        "y": rng.standard_normal((5, 2)),
        "W1": rng.standard_normal((3, 4)),
        "W2": rng.standard_normal((4, 2)),
        "slope": 0.25,
    }

    def loss(x: Array, y: Array, W1: Array, W2: Array, slope: float) -> float:
        z = x @ W1
        return float(np.sum((np.where(z > 0, z, slope * z) @ W2 - y) ** 2))

    _, gradient = at(d, **values)
    for name in ("slope", "W1", "W2"):
        assert_allclose(gradient[name], numerical(loss, values, name), rtol=1e-6, atol=1e-7)


# ---- 23  vjp-exp -------------------------------------------------------------------------------


def test_vjp_exp_multiplies_entry_by_entry(rng: np.random.Generator) -> None:
    d = derivation("vjp-exp")
    assert closed(d, "z") in ("dy*y", "y*dy", "exp(z)*dy", "dy*exp(z)")
    z, upstream = rng.standard_normal((2, 7))
    _, gradient = at(d, z=z, dy=upstream)
    assert_allclose(gradient["z"], np.diag(np.exp(z)).T @ upstream)


def test_vjp_exp_takes_linear_time_and_space(rng: np.random.Generator) -> None:
    d = derivation("vjp-exp")
    z, upstream = rng.standard_normal((2, 100_000))
    tracemalloc.start()
    _, gradient = at(d, z=z, dy=upstream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_allclose(gradient["z"], np.exp(z) * upstream)
    assert peak < 50 * z.nbytes


def test_vjp_at_a_fork_sums_transposed_jacobians_times_adjoints(rng: np.random.Generator) -> None:
    """v̄_i = Σ_j (∂v_j/∂v_i)ᵀ v̄_j, over the consumers j of a shared W."""
    d = derivation("autoencoder-tied")
    assert delta(d, "W") == "X.T @ dZ + dY.T @ A"
    X, W, b, c = (rng.standard_normal(s) for s in ((4, 3), (3, 2), (2,), (3,)))
    _, gradient = at(d, X=X, W=W, b=b, c=c)

    def loss(W: Array) -> float:
        return float(np.sum((sigmoid(X @ W + b) @ W.T + c - X) ** 2) / 2)

    assert_allclose(gradient["W"], numerical(loss, {"W": W}, "W"), rtol=1e-6, atol=1e-8)


# ---- 24  softmax-kl ----------------------------------------------------------------------------


def test_softmax_kl_of_a_one_hot_target_has_the_gradient_p_minus_t() -> None:
    d = derivation("softmax-kl")
    assert closed(d, "z") == "p - t"
    assert d.adjoints["z"].because == ("onehot(t, axis=0)",)
    z, t = np.array([0.2, -1.0, 0.5, 2.0]), np.array([0.0, 0.0, 1.0, 0.0])
    forward, gradient = at(d, z=z, t=t)
    assert_allclose(forward["D"], -np.log(softmax(z)[2]))
    assert_allclose(gradient["z"], softmax(z) - t)


def test_softmax_kl_of_a_positive_target_has_the_gradient_p_minus_t() -> None:
    d = derivation("softmax-kl-positive")
    assert closed(d, "z") == "p - t"
    assert d.adjoints["z"].because == ("sum(t, axis=0) == 1",)
    z, t = np.array([0.2, -1.0, 0.5, 2.0]), np.array([0.1, 0.2, 0.3, 0.4])
    forward, gradient = at(d, z=z, t=t)
    assert_allclose(forward["D"], np.sum(t * np.log(t / softmax(z))))
    assert_allclose(gradient["z"], softmax(z) - t)


def test_softmax_kl_says_that_it_needs_the_target_to_sum_to_1() -> None:
    assert "because Σ_k t[k] = 1" in shown("softmax-kl-positive")
    assert "because Σ_k t[k] = 1" in shown("softmax-kl")


def test_softmax_cross_entropy_has_the_same_gradient() -> None:
    assert closed(derivation("softmax-cross-entropy"), "z") == "p - t"


# ---- 25  minibatch -----------------------------------------------------------------------------


def test_minibatch_averages_the_gradients_of_its_samples(rng: np.random.Generator) -> None:
    d = derivation("minibatch")
    assert closed(d, "W") == "X.T @ (Y - T)/B"
    X, W, T = rng.standard_normal((5, 3)), rng.standard_normal((3, 2)), rng.standard_normal((5, 2))
    _, gradient = at(d, X=X, W=W, T=T)
    single = [at(d, X=X[[n]], W=W, T=T[[n]])[1]["W"] for n in range(5)]
    assert_allclose(gradient["W"], sum(single) / 5)
    assert_allclose(single[2], np.outer(X[2], X[2] @ W - T[2]))


def test_minibatch_prints_its_update_rule() -> None:
    page = shown("minibatch", form="delta", update=True)
    assert "W ← W − η Xᵀ δ_Y" in page
    assert "δ_Y = ∂E/∂Y = (Y − T)/B" in page


# ---- 26  mlp-3-4-2 -----------------------------------------------------------------------------

HIDDEN, OUTPUT = (4, 5, 6, 7), (8, 9)


def units(rng: np.random.Generator) -> dict[str, float]:
    """Values for all weights, inputs and targets of the 3-4-2 network."""
    graph = network("mlp-3-4-2")
    return {leaf.name: float(rng.standard_normal()) for leaf in graph.leaves}


def backpropagation(v: Mapping[str, float], rate: float) -> tuple[dict[int, float], dict[str, float]]:
    """The algorithm of the notes, unit by unit: δ_i and the changed weights."""
    out: dict[int, float] = {i: v[f"x{i}"] for i in (1, 2, 3)}
    for i in HIDDEN:
        out[i] = sigmoid(sum(v[f"w{i}{j}"] * out[j] for j in (1, 2, 3)) + v[f"w{i}b"])
    for i in OUTPUT:
        out[i] = sigmoid(sum(v[f"w{i}{j}"] * out[j] for j in HIDDEN) + v[f"w{i}b"])
    error = {i: out[i] * (1 - out[i]) * (v[f"t{i - 7}"] - out[i]) for i in OUTPUT}
    for i in HIDDEN:
        error[i] = out[i] * (1 - out[i]) * sum(v[f"w{k}{i}"] * error[k] for k in OUTPUT)
    changed: dict[str, float] = {}
    for i, below in [(i, (1, 2, 3)) for i in HIDDEN] + [(i, HIDDEN) for i in OUTPUT]:
        for j in below:
            changed[f"w{i}{j}"] = v[f"w{i}{j}"] + rate * error[i] * out[j]
        changed[f"w{i}b"] = v[f"w{i}b"] + rate * error[i]
    return error, changed


def test_mlp_3_4_2_gives_the_deltas_and_updates_of_the_notes(rng: np.random.Generator) -> None:
    v, rate = units(rng), 0.5
    error, changed = backpropagation(v, rate)
    _, gradient = at(derivation("mlp-3-4-2"), **v)
    for unit, expected in error.items():
        assert_allclose(-gradient[f"net{unit}"], expected)
    assert len(changed) == 4 * 4 + 2 * 5
    for weight, expected in changed.items():
        assert_allclose(v[weight] - rate * gradient[weight], expected)


def test_mlp_3_4_2_in_formulas_with_unit_numbers() -> None:
    page = shown("mlp-3-4-2", delta="minus", update=True)
    assert "Here δ := −∂" in page
    for line in (
        "δ_y₁ = −∂E/∂y₁ = t₁ − y₁",
        "δ_net₈ = −∂E/∂net₈ = δ_y₁ y₁ (1 − y₁)",
        "(t₁ − y₁) y₁ (1 − y₁)",  # δ₈ = y₁ (1 − y₁)(t₁ − y₁)
        "δ_a₄ = −∂E/∂a₄ = w₈₄ δ_net₈ + w₉₄ δ_net₉",
        "δ_net₄ = −∂E/∂net₄ = δ_a₄ a₄ (1 − a₄)",
        "w₈₄ ← w₈₄ + η δ_net₈ a₄",
        "w_4b ← w_4b + η δ_net₄",
    ):
        assert line in page


@pytest.mark.parametrize("unit", HIDDEN)
def test_mlp_3_4_2_hidden_unit_collects_from_both_outputs(unit: int) -> None:
    d = derivation("mlp-3-4-2")
    assert delta(d, f"a{unit}") == f"w8{unit}*dnet8 + w9{unit}*dnet9"
    assert delta(d, f"net{unit}") == f"da{unit}*a{unit}*(1 - a{unit})"
    assert delta(d, f"w8{unit}") == f"dnet8*a{unit}"
    assert delta(d, f"w{unit}b") == f"dnet{unit}"


# ---- 29  mlp-3-4-2-matrix ----------------------------------------------------------------------


def test_mlp_3_4_2_matrix_has_the_matrix_forms() -> None:
    d = derivation("mlp-3-4-2-matrix")
    assert delta(d, "net2") == "dy*y*(1 - y)"
    assert delta(d, "W2") == "outer(dnet2, a_1)"
    assert delta(d, "a_1") == "W2.T @ dnet2"
    assert delta(d, "net1") == "da*a*(1 - a)"
    assert delta(d, "W1") == "outer(dnet1, x_1)"


def test_mlp_3_4_2_matrix_equals_the_entries_with_unit_numbers(rng: np.random.Generator) -> None:
    v = units(rng)
    forward, entry = at(derivation("mlp-3-4-2"), **v)
    W1 = [[v[f"w{i}{j}"] for j in (1, 2, 3, "b")] for i in HIDDEN]
    W2 = [[v[f"w{i}{j}"] for j in (*HIDDEN, "b")] for i in OUTPUT]
    whole, matrix = at(
        derivation("mlp-3-4-2-matrix"), x=[v["x1"], v["x2"], v["x3"]], W1=W1, W2=W2, t=[v["t1"], v["t2"]]
    )
    assert_allclose(whole["E"], forward["E"])
    assert_allclose(matrix["net1"], [entry[f"net{i}"] for i in HIDDEN])
    assert_allclose(matrix["net2"], [entry[f"net{i}"] for i in OUTPUT])
    assert_allclose(matrix["W1"], [[entry[f"w{i}{j}"] for j in (1, 2, 3, "b")] for i in HIDDEN])
    assert_allclose(matrix["W2"], [[entry[f"w{i}{j}"] for j in (*HIDDEN, "b")] for i in OUTPUT])
