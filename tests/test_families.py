"""Networks of any depth and any number of steps: what is derived for all numbers at once agrees
with the network written out, at several numbers, in every form."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbp as sb
from symbp.check import check, check_steps, numerical_gradients, points_of
from symbp.commands import DeriveOptions, Screen
from symbp.commands import derive as derive_command
from symbp.commands import jacobian as jacobian_command
from symbp.derive import derive
from symbp.errors import RequestError
from symbp.expr import Num, Size
from symbp.family import Loop, below, member, shift, shift_name, split
from symbp.graph import Graph
from symbp.loop_program import loop_module
from symbp.numpy_code import numpy_text
from symbp.program import compile_module
from symbp.read.network import read_network
from symbp.unroll import unroll, unroll_derivation
from symbp.values import evaluate_at
from symbp.zoo import network

NAMES = ("deep", "deep-softmax", "layers", "chain-jacobians", "rnn", "rnn-stacked", "lstm")
WITHOUT_UNKNOWN = ("deep-softmax", "rnn", "rnn-stacked", "lstm")

BACKWARDS = """
w: ()
c: ()
s[T+1]: ()
s[T+2]: ()
for t in range(T, 0, -1):
    x[t]: ()
    s[t] = w*s[t+1] + c*s[t+2]*x[t]
L = s[1]**2 + 0.1*w**2
"""
ATTENTION = """
U: (H, H)
q: (H,)
h[0]: (H,)
for t in range(0, T):
    x[t]: (H,)
    h[t+1] = tanh(U @ h[t] + x[t])
for t in range(1, T + 1):
    c[t] = sum(h[s]*dot(q, h[s]) for s in range(1, t + 1))/t
E = sum(sum(c[t]**2) for t in range(1, T + 1))/T
"""
MARKOV = """
A: (K, K)
B: (K, D)
mu: (K,)
for t in range(1, T + 1):
    x[t]: (D,)
s[1] = mu + B @ x[1]
for t in range(2, T + 1):
    s[t] = logsumexp(A + reshape(s[t-1], (K, 1)), axis=0) + B @ x[t]
L = logsumexp(s[T])
"""
RESIDUAL = """
v: (n,)
x: (n,)
g: (n,)
for l in range(1, L + 1):
    W[l]: (n, n)
h[0] = x
for l in range(1, L + 1):
    r[l] = W[l] @ h[l-1]
    h[l] = h[l-1] + tanh(r[l])*g
E = dot(v, h[L]) + 0.5*sum(sum(W[l]**2) for l in range(1, L + 1)) + sum(h[0]**2)
"""
POWERS = """
w: ()
x: ()
y: ()
L = (sum(w**k*x/k for k in range(1, 5)) - y)**2
"""
TEXTS = {"backwards": BACKWARDS, "attention": ATTENTION, "markov": MARKOV, "residual": RESIDUAL, "powers": POWERS}


def graph_of(name: str) -> Graph:
    return read_network(TEXTS[name], name) if name in TEXTS else network(name)


def at(graph: Graph, number: int) -> dict[str, int]:
    return dict.fromkeys(graph.bounds, number)


def point_of(graph: Graph) -> Any:
    points, reasons = points_of(graph, 0, None, 1)
    assert points, reasons
    return points[0]


every = pytest.mark.parametrize("name", [*NAMES, *TEXTS])


# ---- names and numbers -----------------------------------------------------------------------------


def test_names_of_members_read_back() -> None:
    for name in ("a[l-1]", "h[l,t+1]", "W[2]", "s[T+2]", "x", "e[-1]"):
        assert member(*split(name)) == name
    assert shift_name("∂a[l-1]", {"l": Size("l") + 1}) == "∂a[l]"
    assert shift_name("n[L]", {"l": Num(2)}) == "n[L]"


def test_symbolic_bounds_count_as_large() -> None:
    big, one = Size("L"), Num(1)
    assert below(one, big - 1, {}) is True
    assert below(big, one, {}) is False
    assert below(Size("l") + 1, big, {"l": Loop("l", one, big)}) is None
    assert below(Size("l"), big, {"l": Loop("l", one, big)}) is True
    assert below(big, Size("T"), {}) is None


# ---- against the network written out ----------------------------------------------------------------


@every
def test_every_case_and_every_line_holds(name: str) -> None:
    derivation = derive(graph_of(name))
    for key, c in check(derivation, "full").items():
        assert c.ok, f"{key}: {c.note}"
        assert c.error < 1e-10
    assert check_steps(derivation) == ""


@every
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_the_symbolic_derivation_agrees_with_that_of_the_network_written_out(name: str, number: int) -> None:
    graph = graph_of(name)
    if number == 1 and name == "chain-jacobians":
        pytest.skip("a chain of one has no map")
    symbolic, _ = unroll_derivation(derive(graph), at(graph, number))
    twin = derive(unroll(graph, at(graph, number)), [*symbolic.adjoints])
    from symbp.unknown import samples

    point = points_of(twin.graph, 1, samples(twin.graph), 1)[0][0]
    true = numerical_gradients(twin.graph, point.leaves, point.sizes, [*symbolic.adjoints], samples(twin.graph))
    found = check(symbolic, "full")
    for key in symbolic.adjoints:
        assert found[key].ok, f"{key} at {number}: {found[key].note}"
        assert key in true


@pytest.mark.parametrize("name", [*WITHOUT_UNKNOWN, *TEXTS])
@pytest.mark.parametrize("number", [2, 3, 6])
def test_the_program_with_loops_computes_the_gradients(name: str, number: int) -> None:
    graph = graph_of(name)
    program = compile_module(loop_module(derive(graph, steps=False)))
    bounds = at(graph, number)
    written = unroll(graph, bounds)
    point = point_of(written)
    given: dict[str, Any] = {}
    for leaf, value in point.leaves.items():
        base, key = keyed(leaf)
        if key is None:
            given[base] = value
        else:
            given.setdefault(base, {})[key] = value
    loss, cache = program["forward"](**given, **bounds)
    gradients = program["backward"](cache)
    assert np.isclose(loss, point.values[written.loss])
    wrt = [n.name for n in written.leaves if n.name not in written.fixed()]
    for leaf, expected in numerical_gradients(written, point.leaves, point.sizes, wrt).items():
        base, key = keyed(leaf)
        found = gradients[base] if key is None else gradients[base][key]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=leaf)


def keyed(name: str) -> tuple[str, Any]:
    """`h[2,1]` is the entry (2, 1) of the dictionary h."""
    base, numbers = split(name)
    key = tuple(int(n.value) for n in numbers if isinstance(n, Num))
    return base, None if not key else key[0] if len(key) == 1 else key


# ---- random recurrences --------------------------------------------------------------------------


def recurrence(seed: int) -> str:
    """A random network with one or two loops: shared or own weights, one or two turns back, forwards
    or backwards, losses at the end, at the start of the range, or at every turn."""
    rng = random.Random(seed)
    down, order = rng.random() < 0.3, rng.choice([1, 1, 2])
    own, every_turn, vector = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.7
    sign, ends = (
        ("+", [f"T+{k}" for k in range(1, order + 1)]) if down else ("-", [str(1 - k) for k in range(1, order + 1)])
    )
    shape, square, times = ("(n,)", "(n, n)", " @ ") if vector else ("()", "()", "*")
    lines = [f"h[{e}]: {shape}" for e in ends]
    weights = [f"W{k}" for k in range(order)]
    lines += [] if own else [f"{w}: {square}" for w in weights]
    lines.append(f"u: {shape}")
    lines.append("for t in range(T, 0, -1):" if down else "for t in range(1, T + 1):")
    lines += [f"    {w}[t]: {square}" for w in weights] if own else []
    lines.append(f"    x[t]: {shape}")
    terms = [f"{w}{'[t]' if own else ''}{times}h[t{sign}{k}]" for k, w in enumerate(weights, 1)]
    lines.append(f"    z[t] = {' + '.join(terms)} + {rng.choice(['x[t]', 'u*x[t]', 'x[t]/t'])}")
    lines.append(f"    h[t] = {rng.choice(['tanh(z[t])', 'sigmoid(z[t])', 'h[t' + sign + '1] + sin(z[t])', 'z[t]*u'])}")
    total = "sum({})" if vector else "{}"
    if every_turn:
        lines.append(f"    E[t] = {total.format('(h[t] - x[t])**2')}")
        tail = "sum(E[t] for t in range(1, T + 1))" + rng.choice(["", "/T"])
    else:
        tail = total.format(f"h[{'1' if down else 'T'}]**2")
    if rng.random() < 0.4:
        tail += f" + {total.format('h[' + rng.choice(['1', 'T']) + ']*u')}"
    if not own and rng.random() < 0.4:
        tail += " + 0.1*sum(W0**2)" if vector else " + 0.1*W0**2"
    return "\n".join([*lines, f"L = {tail}"])


@pytest.mark.parametrize("seed", range(60))
def test_random_recurrences(seed: int) -> None:
    text = recurrence(seed)
    derivation = derive(read_network(text))
    for key, c in check(derivation, "quick").items():
        assert c.ok, f"{text}\n{key}: {c.note}"
    assert check_steps(derivation) == "", text


# ---- the forms of the lectures --------------------------------------------------------------------


def forms(name: str, **options: Any) -> dict[str, str]:
    derivation = derive(graph_of(name), **options)
    return {k: numpy_text(derivation.graph, a.delta, a.node.axes) for k, a in derivation.adjoints.items()}


def test_the_four_equations_of_backpropagation() -> None:
    derivation = derive(network("deep"))
    cases = {
        k: (a.case, [(x.var, repr(x.low), repr(x.high)) for x in a.node.loops]) for k, a in derivation.adjoints.items()
    }
    assert cases["z[L]"] == ("base", [])
    assert cases["z[l]"] == ("step", [("l", "1", "(L + -1)")])
    assert cases["W[l]"] == ("", [("l", "1", "L")])
    text = sb.zoo("deep").derive().text(width=100)
    for line in (
        "δ_z[L] = ∂E/∂z[L] = (∂E/∂a[L]) ⊙ f'(z[L])",
        "δ_z[l] = ∂E/∂z[l] = (W[l+1]ᵀ δ_z[l+1]) ⊙ f'(z[l])",
        "∂E/∂W[l] = δ_z[l] a[l−1]ᵀ",
        "∂E/∂b[l] = δ_z[l]",
        "Π_{l=1..L−1} n[l+1] paths",
        "Σ_{l=1..L−1} n[l] n[l+1] products",
    ):
        assert line in " ".join(text.split()), line


def test_a_softmax_at_the_end_gives_p_minus_t() -> None:
    found = forms("deep-softmax")
    assert found["z[L]"] == "p - t"
    assert found["z[l]"] == "W[l+1].T @ dz[l+1] * (z[l] > 0)"
    assert found["W[l]"] == "outer(dz[l], a[l-1])", "one form for the last layer and all others"


def test_backpropagation_through_time() -> None:
    found = forms("rnn")
    assert found["h[T]"] == "h[T] - y[T]"
    assert found["h[t]"] == "h[t] - y[t] + U.T @ dz[t+1]"
    assert found["z[t]"] == "(h[t] - y[t] + U.T @ dz[t+1])*(1 - h[t]**2)"
    assert found["U"] == "sum(outer(dz[t], h[t-1]) for t in range(1, T + 1))"
    assert found["b"] == "sum(dz[t] for t in range(1, T + 1))"


def test_gates_of_a_memory() -> None:
    found = forms("lstm")
    assert found["c[t]"] == "dh[t]*o[t]*(1 - tanh(c[t])**2) + dc[t+1]*f[t+1]"
    assert found["o[t]"] == "dh[t]*tanh(c[t])"
    assert found["f[t]"] == "dc[t]*c[t-1]"
    assert found["W_i"] == "sum(outer(di[t]*i[t]*(1 - i[t]), x[t]) for t in range(1, T + 1))"


def test_layers_and_time() -> None:
    found = forms("rnn-stacked")
    assert found["h[L,T]"] == "h[L,T] - y[T]"
    assert found["h[l,T]"] == "V[l+1].T @ dz[l+1,T]"
    assert found["h[L,t]"] == "h[L,t] - y[t] + U[L].T @ dz[L,t+1]"
    assert found["h[l,t]"] == "U[l].T @ dz[l,t+1] + V[l+1].T @ dz[l+1,t]"
    assert found["V[l]"] == "sum(outer(dz[l,t], h[l-1,t]) for t in range(1, T + 1))"


def test_products_of_jacobians() -> None:
    text = " ".join(sb.zoo("layers").derive().text(width=100).split())
    assert "∂L/∂W[i] = (∂y[i]/∂W[i])ᵀ δ_y[i]" in text
    assert "((∂y[n]/∂y[n−1]) ⋯ (∂y[i+1]/∂y[i]) (∂y[i]/∂W[i]))ᵀ δ_y[n]" in text
    text = " ".join(sb.zoo("chain-jacobians").derive().text(width=100).split())
    assert "∂z/∂y[1] = (∂y[2]/∂y[1])ᵀ δ_y[2]" in text
    assert "((∂y[n]/∂y[n−1]) ⋯ (∂y[2]/∂y[1]))ᵀ δ_y[n]" in text
    assert sb.zoo("rnn").derive().data.adjoints["z[t]"].chain is None, "a loss at every step adds to it"


def test_vanishing_gradients_on_request() -> None:
    text, status = jacobian_command("rnn", "h[T]", "h[t]", DeriveOptions(), Screen(100))
    assert status == 0
    assert "∂h[t]/∂h[t−1] = diag(1 − h[t]²) U" in text
    assert "∂h[T]/∂h[t] = (∂h[T]/∂h[T−1]) ⋯ (∂h[t+1]/∂h[t])" in text
    with pytest.raises(RequestError, match="c\\[t-2\\]"):
        jacobian_command("lstm", "h[T]", "h[t]", DeriveOptions(), Screen())
    text, _ = jacobian_command("rnn", "h[3]", "h[1]", DeriveOptions(set=("T=3",)), Screen(100))
    assert "diag(1 − h[3]²) U diag(1 − h[2]²) U" in text


# ---- asking ----------------------------------------------------------------------------------------


def test_what_may_be_asked_for() -> None:
    graph = network("deep")
    assert derive(graph, ["W"]).wrt == ("W[l]",)
    assert derive(graph, ["W[l]"]).wrt == ("W[l]",)
    assert derive(graph, ["W[2]"]).wrt == ("W[2]",)
    assert derive(graph, ["z"]).wrt == ("z[L]", "z[l]")
    one = derive(graph, ["W[2]"])
    assert numpy_text(graph, one.adjoints["W[2]"].delta, one.adjoints["W[2]"].node.axes) == "outer(dz[2], a[1])"
    with pytest.raises(RequestError, match="nothing of that name"):
        derive(graph, ["V"])
    with pytest.raises(RequestError, match="no single case"):
        derive(graph, ["z[l+3]"])


def test_set_writes_the_network_out() -> None:
    text, status = derive_command(
        ["deep"], DeriveOptions(set=("L=3",), wrt=("W",), form="delta", detail="brief"), Screen()
    )
    assert status == 0
    assert all(f"∂E/∂W[{k}] = δ_z[{k}] a[{k - 1}]ᵀ" in text for k in (1, 2, 3))
    for wrong, part in (("L", "L=3"), ("K=3", "K is not the end of a loop"), ("L=x", "L=3")):
        with pytest.raises(RequestError, match=part):
            derive_command(["deep"], DeriveOptions(set=(wrong,)), Screen())
    with pytest.raises(RequestError, match="has no loop"):
        derive_command(["relu-2"], DeriveOptions(set=("L=3",)), Screen())


def test_the_numbers_of_set_are_those_of_the_symbolic_form() -> None:
    graph = network("lstm")
    written = unroll(graph, {"T": 3})
    point = point_of(written)
    _, direct = evaluate_at(derive(written), point.leaves)
    symbolic, _ = unroll_derivation(derive(graph, steps=False), {"T": 3})
    _, derived = evaluate_at(symbolic, point.leaves)
    for name, value in direct.items():
        np.testing.assert_allclose(derived[name], value, rtol=1e-10, atol=1e-13, err_msg=name)


def test_json_says_case_and_range() -> None:
    import json

    found = json.loads(derive_command(["deep"], DeriveOptions(format="json"), Screen())[0])
    assert found["gradients"][0] | {} != {}
    (weights,) = [g for g in found["gradients"] if g["wrt"] == "W[l]"]
    assert weights["for"] == {"l": ["1", "L"]}
    assert "case" not in weights
    deltas = {d["node"]: d for d in found["deltas"]}
    assert deltas["z[L]"]["case"] == "base"
    assert deltas["z[l]"]["case"] == "step"
    assert deltas["z[l]"]["for"] == {"l": ["1", "L - 1"]}
    assert deltas["a[l]"]["numpy"] == "W[l+1].T @ dz[l+1]"


# ---- SymPy -----------------------------------------------------------------------------------------


def test_the_example_of_the_language_in_sympy() -> None:
    L = sp.Symbol("L", integer=True, positive=True)
    l = sp.Idx("l", (1, L))
    i, j = sp.symbols("i j", cls=sp.Idx)
    n, z, a, W, b, x, t = map(sp.IndexedBase, ["n", "z", "a", "W", "b", "x", "t"])
    f, E = sp.Function("f"), sp.Symbol("E")
    net = sb.Network(
        [
            sp.Eq(a[0, i], x[i]),
            sp.Eq(z[l, i], sp.Sum(W[l, i, j] * a[l - 1, j], (j, 1, n[l - 1])) + b[l, i]),
            sp.Eq(a[l, i], f(z[l, i])),
            sp.Eq(E, sp.Sum((a[L, i] - t[i]) ** 2, (i, 1, n[L])) / 2),
        ]
    )
    d = net.derive()
    assert d.check().ok
    assert d["W"].delta.numpy == "outer(dz[l], a[l-1])"
    assert str(d["W"].expr) == "a[l - 1, j]*dz[l, i]"
    assert {s.name: s.shape for s in net.graph.leaves}["W[l]"] == (Size("n[l]"), Size("n[l-1]"))


@pytest.mark.parametrize("name", [*WITHOUT_UNKNOWN, "attention", "residual"])
def test_a_network_goes_to_sympy_and_back(name: str) -> None:
    graph = graph_of(name)
    back = sb.Network(sb.Network.of(graph).to_sympy(), facts=sb.Network.of(graph).facts).graph
    written = unroll(graph, at(graph, 3))
    again = unroll(back, at(back, 3))
    point = point_of(written)
    _, one = evaluate_at(derive(written), point.leaves)
    _, two = evaluate_at(derive(again), point.leaves)
    assert set(one) == set(two)
    for tensor, value in one.items():
        np.testing.assert_allclose(two[tensor], value, rtol=1e-10, atol=1e-12, err_msg=tensor)


def test_letters_of_one_equation_may_run_over_different_ranges() -> None:
    d, t = sp.symbols("D T", integer=True, positive=True)
    s = sp.Idx("t", (1, t))
    i, j = sp.symbols("i j", cls=sp.Idx)
    h, U, V, x = map(sp.IndexedBase, ["h", "U", "V", "x"])
    H = sp.Symbol("H", integer=True, positive=True)
    right = sp.Sum(U[i, j] * h[s - 1, j], (j, 1, H)) + sp.Sum(V[i, j] * x[s, j], (j, 1, d))
    net = sb.Network([sp.Eq(h[s, i], right), (sp.Symbol("J"), sp.Sum(h[t, i] ** 2, (i, 1, H)))])
    assert {n.name: n.shape for n in net.graph.leaves}["V"] == (Size("H"), Size("D"))
    assert net.check().ok


# ---- moving expressions -----------------------------------------------------------------------------


def test_a_sum_never_catches_a_variable_put_in() -> None:
    graph = read_network(ATTENTION)
    body = graph.nodes["c[t]"].body
    assert body is not None
    moved = shift(body, {"t": Size("s")})
    assert {t.split("[")[0] for t in moved.tensors} == {"q", "h"}
    assert not any("h[s]" in t for t in moved.tensors), "the inner sum has another variable now"


# ---- values, and conventions --------------------------------------------------------------------------


def test_families_are_dictionaries_in_the_library() -> None:
    net = sb.zoo("rnn")
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {"U": rng.standard_normal((2, 2)), "V": rng.standard_normal((2, 3)), "b": np.ones(2)}
    given |= {"h": {0: np.zeros(2)}, "x": {t: rng.standard_normal(3) for t in (1, 2)}}
    given["y"] = {t: rng.standard_normal(2) for t in (1, 2)}
    hidden = net.forward(**given)["h"]
    np.testing.assert_allclose(hidden[1], np.tanh(given["V"] @ given["x"][1] + 1))
    written = net.at_depth(T=2)
    flat = {f"{n}[{k}]": v for n in "hxy" for k, v in given[n].items()} | {n: given[n] for n in "UVb"}
    point = written.derive().at(flat)
    derivation = net.derive()
    loss, gradients = derivation.lambdify()(**given)
    assert np.isclose(loss, net.forward(**given)["J"])
    for n in "UVb":
        np.testing.assert_allclose(gradients[n], point[n])
        np.testing.assert_allclose(derivation.at(given)[n], point[n])
        np.testing.assert_allclose(net.backward(**given)[n], point[n])
    with pytest.raises(RequestError, match="Nothing given tells T"):
        net.forward(U=given["U"], V=given["V"], b=given["b"], h=given["h"])
    with pytest.raises(RequestError, match=r"x\[2\]"):
        derivation.lambdify()(**{**given, "x": {1: np.ones(3)}, "T": 2})


def test_errors_of_the_other_sign() -> None:
    text, _ = derive_command(["rnn"], DeriveOptions(delta="minus", update=True, wrt=("U",)), Screen(100))
    assert "∂J/∂U = −(Σ_{t=1..T} δ_z[t] h[t−1]ᵀ)" in text
    assert "U ← U + η Σ_{t=1..T} δ_z[t] h[t−1]ᵀ" in text
    assert "δ_z[T] = −∂J/∂z[T] = (y[T] − h[T]) ⊙ (1 − h[T]²)" in text
