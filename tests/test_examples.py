"""Everything in examples/ runs, derives and agrees with numbers; both spellings of the zoo agree."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinds import FAMILIES, ORDINARY, TEXT_ONLY
from numpy.testing import assert_allclose

import symbp as sb
from symbp.check import check
from symbp.commands import DeriveOptions, Screen
from symbp.commands import check as check_command
from symbp.commands import derive as derive_command
from symbp.derive import derive
from symbp.evaluate import Evaluation, run
from symbp.graph import Graph, adjoint
from symbp.numpy_code import numpy_text
from symbp.read.network import load
from symbp.sample import choose_sizes, draw
from symbp.show.terminal import width_of
from symbp.sizes import is_literal
from symbp.unknown import samples
from symbp.unroll import unroll
from symbp.values import evaluate_at
from symbp.zoo import names, network

EXAMPLES = Path(__file__).parent.parent / "examples"
TEXTS = sorted(EXAMPLES.glob("*.symbp"))
PROGRAMS = sorted(p for p in EXAMPLES.glob("*.py") if p.stem != "zoo_sympy")
ZOO = runpy.run_path(str(EXAMPLES / "zoo_sympy.py"))["ZOO"]


def forms(graph: Graph, form: str = "delta") -> dict[str, str]:
    d = derive(graph)
    found = {}
    for name, a in d.adjoints.items():
        e = a.delta if form == "delta" else a.closed
        assert e is not None
        found[name] = numpy_text(graph, e, a.node.axes)
    return found


def in_declared_sizes(graph: Graph) -> dict[str, Any]:
    """Random values for the leaves; sizes that are numbers keep them."""
    sizes = choose_sizes(graph)
    assert sizes is not None
    sizes = {name: int(name) if is_literal(name) else n for name, n in sizes.items()}
    point = draw(graph, sizes, np.random.default_rng(1), samples(graph))
    assert not point.reason
    return point.leaves


# ---- text files --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.stem)
def test_a_text_example_agrees_in_every_entry(path: Path) -> None:
    graph = load(path)
    assert graph.title
    assert graph.warnings == ()
    for tensor, c in check(derive(graph), "full").items():
        assert c.ok, f"{tensor}: {c.note}"
    table, status = check_command(str(path), False, 0, Screen())
    assert status == 0
    assert all(width_of(line) <= 80 for line in table.splitlines())


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.stem)
@pytest.mark.parametrize("form", ["delta", "both"])
def test_a_text_example_fits_the_terminal(path: Path, form: str) -> None:
    page, status = derive_command([str(path)], DeriveOptions(form=form), Screen())
    assert status == 0
    assert all(width_of(line) <= 80 for line in page.splitlines())


def test_digits_has_the_backward_pass_that_one_writes_by_hand() -> None:
    found = forms(load(EXAMPLES / "digits.symbp"))
    assert found == {
        "P": "-T/(N*P)",
        "Z2": "(P - T)/N",
        "A1": "dZ2 @ W2.T",
        "Z1": "dA1*(Z1 > 0)",
        "b2": "sum(dZ2, axis=0)",
        "W2": "A1.T @ dZ2",
        "b1": "sum(dZ1, axis=0)",
        "W1": "X.T @ dZ1",
    }


def test_digits_learns_with_the_derived_gradients() -> None:
    """Ten clusters in 784 dimensions, full batches: the loss falls and all are told apart."""
    d = derive(load(EXAMPLES / "digits.symbp"), steps=False)
    rng = np.random.default_rng(0)
    label = np.arange(60) % 10
    X = rng.random((10, 784))[label] + 0.1 * rng.standard_normal((60, 784))
    values = {
        "X": X - X.mean(axis=0),
        "T": np.eye(10)[label],
        "W1": 0.05 * rng.standard_normal((784, 128)),
        "b1": np.zeros(128),
        "W2": 0.1 * rng.standard_normal((128, 10)),
        "b2": np.zeros(10),
    }
    losses = []
    for _ in range(30):
        forward, gradient = evaluate_at(d, values)
        losses.append(float(forward["L"]))
        for name in d.wrt:
            values[name] = values[name] - 0.2 * gradient[name]
    assert losses[-1] < 0.1 * losses[0]
    assert (evaluate_at(d, values)[0]["P"].argmax(axis=1) == label).all()


def test_attention_has_the_textbook_forms() -> None:
    found = forms(load(EXAMPLES / "attention.symbp"))
    assert found["Wq"] == "X.T @ dQ"
    assert found["Wk"] == "X.T @ dK"
    assert found["K"] in ("dS.T @ Q/sqrt(k)", "(dS.T @ Q)/sqrt(k)")
    assert found["X"] == "dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T"


# ---- Python files ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_a_program_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert "∂" in capsys.readouterr().out or path.stem == "relu2"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_the_network_of_a_program_can_be_derived_from_the_command_line(path: Path) -> None:
    page, status = derive_command([f"{path}:net"], DeriveOptions(check="full"), Screen())
    assert status == 0
    assert "✓" in page
    assert "✗" not in page
    assert all(width_of(line) <= 80 for line in page.splitlines())


def test_circuit_at_the_point_of_the_lecture() -> None:
    scope = runpy.run_path(str(EXAMPLES / "circuit.py"))
    x, y, z = scope["x"], scope["y"], scope["z"]
    d = scope["net"].derive()
    assert d[x].expr == z
    assert d.at({x: -2, y: 5, z: -4})[x] == -4
    assert d.check().ok


def test_relu2_prints_the_gradient_of_the_first_layer(capsys: pytest.CaptureFixture[str]) -> None:
    net = runpy.run_path(str(EXAMPLES / "relu2.py"), run_name="__main__")["net"]
    lines = capsys.readouterr().out.splitlines()
    losses = [float(line.split()[-1]) for line in lines if line.startswith("step")]
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    assert forms(net.graph)["W1"] == "X.T @ dH1"
    assert forms(net.graph)["H1"] == "dA*(H1 > 0)"


def test_own_activation_uses_the_slope_of_the_users_function() -> None:
    net = runpy.run_path(str(EXAMPLES / "own_activation.py"))["net"]
    rng = np.random.default_rng(0)
    W1, W2, x, t = (rng.standard_normal(s) for s in ((4, 3), (2, 4), (3, 1), (2, 1)))
    z1 = W1 @ x
    a1 = z1 / np.sqrt(1 + z1**2)
    z2 = W2 @ a1
    dz2 = (np.exp(-(z2**2)) - t) * -2 * z2 * np.exp(-(z2**2))
    dz1 = W2.T @ dz2 / (1 + z1**2) ** 1.5
    found = net.backward(W1=W1, W2=W2, x=x, t=t)
    assert_allclose(found["W2"], dz2 @ a1.T)
    assert_allclose(found["W1"], dz1 @ x.T)


# ---- the zoo in SymPy --------------------------------------------------------------------------


def test_every_network_of_the_zoo_exists_in_both_spellings() -> None:
    assert set(ZOO) | set(TEXT_ONLY) == set(names())


@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in TEXT_ONLY])
def test_both_spellings_of_any_depth_have_the_same_values_and_gradients(name: str) -> None:
    text, declared = (unroll(g, dict.fromkeys(g.bounds, 3)) for g in (network(name), ZOO[name]().graph))
    sizes = choose_sizes(text)
    assert sizes is not None
    functions = samples(text)
    point = draw(text, sizes, np.random.default_rng(0), functions)
    assert not point.reason
    assert {n.name for n in text.leaves} == {n.name for n in declared.leaves}
    found = []
    for graph in (text, declared):
        d = derive(graph, [n.name for n in text.leaves])
        assert graph.fixed() == text.fixed()
        state = Evaluation.of(graph, run(graph, point.leaves, point.sizes, functions).values, point.sizes, functions)
        for a in d.adjoints.values():
            state.values[adjoint(a.node.name)] = state.tensor(a.node, a.delta)
        found.append(state.values)
    for tensor, value in found[0].items():
        assert_allclose(found[1][tensor], value, rtol=1e-9, atol=1e-12, err_msg=tensor)


@pytest.mark.parametrize("name", [n for n in ORDINARY if n != "chain-jacobian"])  # no leaf shows its size n
def test_both_spellings_have_the_same_forward_values_and_gradients(name: str) -> None:
    text, declared = network(name), ZOO[name]().graph
    leaves = in_declared_sizes(text)
    forward, gradients = evaluate_at(derive(text), leaves, samples(text))
    as_columns = {
        n.name: np.reshape(leaves[n.name], (-1, 1) if n.shape else ())
        if len(text[n.name].shape) < 2
        else leaves[n.name]
        for n in declared.leaves
    }
    forward_2, gradients_2 = evaluate_at(derive(declared), as_columns, samples(declared))
    assert set(gradients) == set(gradients_2), "the same tensors are differentiated"
    for tensor, value in gradients.items():
        assert_allclose(np.reshape(gradients_2[tensor], value.shape), value, rtol=1e-9, atol=1e-9, err_msg=tensor)
    assert_allclose(forward_2[declared.loss], forward[text.loss])


@pytest.mark.parametrize("name", list(ZOO))
def test_the_sympy_spelling_is_checked_by_numbers(name: str) -> None:
    for tensor, c in check(ZOO[name]().derive().data, "full").items():
        assert c.ok, f"{tensor}: {c.note}"


def test_the_python_front_door_opens_the_zoo() -> None:
    assert sb.zoo("relu-2").derive()["W2"].numpy == "outer(df, a)"
