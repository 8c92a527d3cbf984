"""The library as LANGUAGE.md shows it: its examples run as printed."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbp as sb
from symbp.zoo import names

RNG = np.random.default_rng(3)


@pytest.fixture
def circuit() -> Any:
    x, y, z, q, f = sp.symbols("x y z q f")
    return sb.Network([sp.Eq(q, x + y), sp.Eq(f, q * z)]), (x, y, z, q, f)


@pytest.fixture
def two_layers() -> Any:
    N, D, H, C = sp.symbols("N D H C", integer=True, positive=True)
    X, W1, W2, Y = (sp.MatrixSymbol(s, *n) for s, n in [("X", (N, D)), ("W1", (D, H)), ("W2", (H, C)), ("Y", (N, C))])
    H1, A, P = sp.MatrixSymbol("H1", N, H), sp.MatrixSymbol("A", N, H), sp.MatrixSymbol("P", N, C)
    L = sp.Symbol("L")
    net = sb.Network([sp.Eq(H1, X * W1), sp.Eq(A, sb.relu(H1)), sp.Eq(P, A * W2), sp.Eq(L, sb.total(sb.square(P - Y)))])
    return net, {s.name: s for s in (X, W1, W2, Y, H1, A, P, L)}


def numbers() -> dict[str, Any]:
    shapes = {"X": (4, 3), "W1": (3, 5), "W2": (5, 2), "Y": (4, 2)}
    return {n: RNG.standard_normal(s) for n, s in shapes.items()}


def test_the_first_example(circuit: Any) -> None:
    net, (x, y, z, _, _) = circuit
    d = net.derive()
    assert d[x].expr == z
    assert r"\frac{\partial f}{\partial x}" in d.latex()
    assert d.check().ok
    assert d.at({x: -2, y: 5, z: -4})[x] == -4


def test_the_second_example(two_layers: Any) -> None:
    net, s = two_layers
    X, W1, W2, Y, H1, P = (s[n] for n in ("X", "W1", "W2", "Y", "H1", "P"))
    d = net.derive(wrt=[W1, W2])
    assert d[W1].expr == 2 * X.T * sp.HadamardProduct((P - Y) * W2.T, sb.step(H1))
    v = numbers()
    loss, grads = d.lambdify()(**v)
    a = np.maximum(v["X"] @ v["W1"], 0)
    p = a @ v["W2"]
    assert loss == pytest.approx(((p - v["Y"]) ** 2).sum())
    np.testing.assert_allclose(grads["W2"], 2 * a.T @ (p - v["Y"]))
    assert set(grads) == {"W1", "W2"}
    np.testing.assert_allclose(net.forward(**v)[P], p)
    np.testing.assert_allclose(net.backward(**v)[W2], grads["W2"])


def test_the_check_of_a_declared_network_asks_sympy(two_layers: Any) -> None:
    found = two_layers[0].check()
    assert found.ok
    assert found["SymPy"].method == "sympy.lambdify"
    assert found["SymPy"].points > 0
    assert "✓ W1" in repr(found)


def test_sympy_is_a_witness_against_a_wrong_reading(two_layers: Any) -> None:
    """If an equation had been read wrongly, the check would say so."""
    from dataclasses import replace

    from symbp.witness import witness

    net, s = two_layers
    wrong = replace(net.declared.equations[3], right=sb.total(sb.square(s["P"] + s["Y"])))
    declared = replace(net.declared, equations=(*net.declared.equations[:3], wrong))
    assert not witness(declared, net.derive().data).ok


def test_indexed_networks_are_checked_by_sympy_too() -> None:
    z, W, x, b, t = map(sp.IndexedBase, ["z", "W", "x", "b", "t"])
    i, j = sp.symbols("i j", cls=sp.Idx)
    m, n, E = *sp.symbols("m n", integer=True, positive=True), sp.Symbol("E")
    d = sb.Network(
        [
            sp.Eq(z[i], sp.Sum(W[i, j] * x[j], (j, 1, n)) + b[i]),
            sp.Eq(E, sp.Sum((sb.tanh(z[i]) - t[i]) ** 2, (i, 1, m)) / 2),
        ]
    ).derive([W, b])
    assert d[W].numpy == "outer((tanh(z) - t)*(1 - tanh(z)**2), x)"
    assert d.check().ok
    assert d[W].latex


def test_values_at_a_point_are_exact_for_exact_numbers(circuit: Any) -> None:
    net, (x, y, z, q, _) = circuit
    d = net.derive()
    assert d.at({"x": Fraction(1, 3), "y": sp.Rational(1, 6), "z": 2})[z] == sp.Rational(1, 2)
    assert d.at({x: 0.5, y: 1, z: 2})[z] == 1.5
    assert d.at({x: 1, y: 1, z: 3})[q] == 3


def test_keys_are_symbols_or_names(circuit: Any) -> None:
    net, (x, *_) = circuit
    d = net.derive(["x", "q"])
    assert d["x"].expr is d[x].expr or d["x"].expr == d[x].expr
    assert list(d) == ["x", "q"]
    assert [g.name for g in d.gradients] == ["x", "q"]


@pytest.mark.parametrize(
    ("key", "words"),
    [("xx", "Did you mean 'x'"), (sp.Symbol("x", positive=True), "assumptions"), ("z", "was not asked for")],
)
def test_a_key_that_is_not_there(circuit: Any, key: Any, words: str) -> None:
    d = circuit[0].derive(["x"])
    with pytest.raises(sb.RequestError, match=words):
        d[key]


def test_what_is_held_fixed_is_left_out_and_said() -> None:
    N, C = sp.symbols("N C", integer=True, positive=True)
    Z, Y, P, L = sp.MatrixSymbol("Z", N, C), sp.MatrixSymbol("Y", N, C), sp.MatrixSymbol("P", N, C), sp.Symbol("L")
    net = sb.Network(
        [sp.Eq(P, sb.softmax(Z)), sp.Eq(L, -sb.total(sp.HadamardProduct(Y, sb.log(P))) / N)],
        facts=["onehot(Y, axis=1)"],
    )
    d = net.derive()
    assert list(d) == ["Z"]
    assert d[Z].numpy == "(P - Y)/N"
    with pytest.raises(sb.RequestError, match="held fixed"):
        d[Y]
    assert d.check().ok


def test_one_expression() -> None:
    n, m = sp.symbols("n m", integer=True, positive=True)
    A, x = sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("x", m, 1)
    d = sb.derive(sb.norm2sq(A * x), wrt=x)
    assert d[x].expr == 2 * A.T * A * x
    assert sb.derive(x.T * x, wrt=x)[x].expr == 2 * x
    u = sp.Symbol("u")
    assert sb.derive(u * sp.exp(u), wrt=u).check().ok


def test_it_goes_back_to_sympy_and_comes_again(two_layers: Any) -> None:
    net, s = two_layers
    equations = net.to_sympy()
    assert equations[0] == sp.Eq(s["H1"], s["X"] * s["W1"])
    again = sb.Network(equations)
    assert [a.closed for a in again.derive().data.adjoints.values()] == [
        a.closed for a in net.derive().data.adjoints.values()
    ]


def test_loading_and_the_zoo(tmp_path: Path) -> None:
    file = tmp_path / "net.symbp"
    file.write_text("x: ()\ny = x**2\n")
    net = sb.load(file)
    assert (net.name, net.loss) == ("net", "y")
    assert net.derive()["x"].expr == 2 * sp.Symbol("x", real=True)
    import symbp.zoo  # noqa: F401  importing the module must not hide the function

    assert sb.zoo(names()[0]).check().ok
    with pytest.raises(sb.RequestError, match="no built-in network"):
        sb.zoo("nothing-of-the-kind")


def test_the_function_derive_stays_a_function() -> None:
    from symbp.derive import derive as engine

    assert callable(sb.derive)
    assert sb.derive is not engine


def test_jupyter(circuit: Any) -> None:
    net, (x, *_) = circuit
    d = net.derive()
    for shown in (net._repr_latex_(), d._repr_latex_(), d[x]._repr_latex_()):
        assert shown.startswith("$$")
        assert shown.endswith("$$")
    bundle = d._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/markdown", "text/latex"}
    assert "∂f/∂x" in bundle["text/plain"]
    assert "∂f/∂x" in str(d)
    assert repr(d[x]) == "<Gradient of f for x: z>"
    assert repr(net) == "<Network network: f of x, y, z>"


def test_every_public_object_shows_itself_in_jupyter(circuit: Any) -> None:
    net, (x, y, z, *_) = circuit
    d = net.derive()
    for shown, kind in (
        (net, "text/latex"),
        (d, "text/markdown"),
        (d[x], "text/latex"),
        (d[x].delta, "text/latex"),
        (d.check(), "text/markdown"),
        (d.at({x: -2, y: 5, z: -4}), "text/markdown"),
    ):
        bundle = shown._repr_mimebundle_(include=None, exclude=None)
        assert bundle["text/plain"] == str(shown)
        assert bundle[kind].startswith("$$") or "|" in bundle[kind] or bundle[kind].startswith("# ")
    assert "| `x` | `-4` |" in d.at({x: -2, y: 5, z: -4})._repr_mimebundle_()["text/markdown"].splitlines()


def test_formats_and_styles_in_python(two_layers: Any) -> None:
    net, _ = two_layers
    d = net.derive()
    assert r"W^{(2)\prime}" in d.latex(layers="paren", transpose="prime")
    assert d.beamer(lang="zh").startswith(r"\documentclass[11pt,fleqn]{ctexbeamer}")
    assert d.html(gradient="nabla").count("<details") == len(d.data.adjoints)
    with pytest.raises(sb.RequestError, match="one of odot, circ"):
        d.latex(product="dot")
    with pytest.raises(sb.RequestError, match="no such option"):
        d.latex(colour="red")


def test_a_gradient_in_every_spelling(two_layers: Any) -> None:
    net, s = two_layers
    g = net.derive()[s["W2"]]
    assert g.numpy == "2*A.T @ (P - Y)"
    assert g.delta.numpy == "A.T @ dP"
    assert g.delta.expr == s["A"].T * sp.MatrixSymbol("dP", *s["P"].shape)
    assert g.shape == s["W2"].shape
    assert "P - Y" in g.latex


def test_a_missing_value_is_named(circuit: Any) -> None:
    net, (x, y, _, _, _) = circuit
    for given in ({x: 1, y: 2}, {x: 1.0, y: 2.0}):
        with pytest.raises(sb.RequestError, match="z"):
            net.derive().at(given)
    with pytest.raises(sb.RequestError, match="no 'w'"):
        net.derive().lambdify()(w=1)


def test_an_option_that_does_not_exist(circuit: Any) -> None:
    with pytest.raises(sb.RequestError, match="option"):
        circuit[0].derive().latex(colour=True)


@pytest.mark.parametrize("module", ["symbp", "symbp.cli"])
def test_importing_does_not_import_sympy(module: str) -> None:
    code = f"import {module}, sys; print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_public_names_exist() -> None:
    for name in dir(sb):
        assert getattr(sb, name) is not None
    with pytest.raises(AttributeError):
        sb.nothing_of_the_kind  # noqa: B018


def test_formulas_are_judged_in_python() -> None:
    """The same mappings as `symbp verify --json`, the report as text; keys may be symbols."""
    net = sb.zoo("relu-2")
    found = net.verify("dW2 = outer(df, a)", "da = W2 @ df")
    assert [f["verdict"] for f in found] == ["correct", "wrong"]
    assert not found.ok and not found and len(found) == 2 and net.verify("outer(df, a)", about="W2").ok
    assert found[1]["mistake"] == "missing-transpose" and found.json["summary"]["wrong"] == 1
    assert "1 right · 1 wrong" in str(found) and "right line" in found._repr_mimebundle_()["text/plain"]
    assert net.verify(r"\bar a = W_2^T g", let=["g := df", r"\bar a := da"]).ok


def test_numbers_are_judged_in_python() -> None:
    x, y, z, q, f = sp.symbols("x y z q f")
    net = sb.Network([sp.Eq(q, x + y), sp.Eq(f, q * z)])
    at = {x: -2, y: 5, z: -4}
    assert net.verify("dx = -4", "f = -12", at=at).ok
    assert [v["verdict"] for v in net.verify("dx = 4", "q = 3", at=at)] == ["wrong", "correct"]
    assert net.verify("z", about=x).ok
    with pytest.raises(sb.RequestError, match="no 'nope'"):
        net.verify("z", about="nope")
