"""Declaring in SymPy: what is read, in which order, and what every mistake is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbp as sb
from symbp.declare import read_equations
from symbp.derive import derive
from symbp.errors import DeclarationError, NoRule
from symbp.expr import text
from symbp.graph import Graph
from symbp.numpy_code import numpy_text
from symbp.ops import OPS
from symbp.read.network import read_network

N, D, H, C = sp.symbols("N D H C", integer=True, positive=True)
X, W1, W2, Y = (sp.MatrixSymbol(s, *n) for s, n in [("X", (N, D)), ("W1", (D, H)), ("W2", (H, C)), ("Y", (N, C))])
H1, A, P, L = sp.MatrixSymbol("H1", N, H), sp.MatrixSymbol("A", N, H), sp.MatrixSymbol("P", N, C), sp.Symbol("L")
b, s, w = sp.MatrixSymbol("b", H, 1), sp.Symbol("s"), sp.MatrixSymbol("w", D, 1)
x, y, z, q, t = sp.symbols("x y z q t")
i, j = sp.symbols("i j", cls=sp.Idx)
m, n = sp.symbols("m n", integer=True, positive=True)


def body(graph: Graph, name: str) -> str:
    node = graph[name]
    assert node.body is not None
    return text(node.body)


def gradient(graph: Graph, name: str) -> str:
    a = derive(graph, [name]).adjoints[name]
    assert a.closed is not None
    return numpy_text(graph, a.closed, a.node.axes)


def test_the_same_network_as_text() -> None:
    declared = read_equations(
        [sp.Eq(H1, X * W1), sp.Eq(A, sb.relu(H1)), sp.Eq(P, A * W2), sp.Eq(L, sb.total(sb.square(P - Y)))],
        facts=["onehot(Y, axis=1)"],
    )
    written = read_network(
        "X: (N, D)\nW1: (D, H)\nW2: (H, C)\nY: (N, C)\nH1 = X @ W1\nA = relu(H1)\nP = A @ W2\n"
        "L = sum((P - Y)**2)\nassert onehot(Y, axis=1)"
    )
    assert list(declared.nodes) == list(written.nodes)
    assert [n.body for n in declared.inner] == [n.body for n in written.inner]
    assert declared.facts == written.facts
    assert declared.fixed() == {"Y"}


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        (y - t, "(y + -1*t)"),
        (sp.Add(-t, y, evaluate=False), "(-1*t + y)"),
        (1 - y, "(1 + -1*y)"),
        (y / 2, "y*2**-1"),
        (-3 * y / (2 * t), "-3*y*2**-1*t**-1"),
        (y * sp.exp(-t), "y*exp(-1*t)"),
        (sp.sqrt(y) + 1 / y, "(y**1/2 + y**-1)"),
        (sp.Max(0, y), "maximum(y, 0)"),
        (sb.relu(y), "relu(y)"),
        (sb.leaky_relu(y), "leaky_relu(y, 0.01)"),
        (sb.step(y - t), "((y + -1*t) > 0)"),
        (sp.Heaviside(y), "(y > 0)"),
        (sp.Piecewise((y, t < y), (0, True)), "where((t < y), y, 0)"),
        (sp.Abs(y) + sp.sign(t), "(abs(y) + sign(t))"),
        (sp.pi * y, "pi*y"),
        (0.5 * y, "0.5*y"),
        (sp.Lambda(z, z**2)(y), "y**2"),
    ],
)
def test_scalars(right: Any, expected: str) -> None:
    assert body(read_equations([(L, right)]), "L") == expected


def test_summands_are_read_as_sympy_prints_them_positive_ones_first() -> None:
    graph = read_equations([sp.Eq(L, sb.total(sb.square(P - Y)))])
    assert body(graph, "L") == "sum[#1,#2]((P[#1,#2] + -1*Y[#1,#2])**2)"


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        (X * W1 + sb.rows(b, N), "sum(X[i0,k]*W1[k,i1]) + b[i1,0]"),
        (X * W1 + sp.OneMatrix(N, 1) * b.T, "sum(X[i0,k]*W1[k,i1]) + b[i1,0]"),
        (2 * X * W1 / N, "2*sum(X[i0,k]*W1[k,i1])*N**-1"),
        (sp.HadamardProduct(A, H1), "A[i0,i1]*H1[i0,i1]"),
        (sp.HadamardPower(A, -1), "A[i0,i1]**-1"),
        (H1.applyfunc(sp.tanh), "tanh(H1[i0,i1])"),
        (sp.tanh(H1), "tanh(H1[i0,i1])"),
        (H1.applyfunc(sp.Lambda(x, x**2 + 1)), "H1[i0,i1]**2 + 1"),
        (sb.maximum(A, H1), "maximum(A[i0,i1], H1[i0,i1])"),
        (A * sp.DiagMatrix(b), "A[i0,k]*b[k,0]*δ"),
        (s * sp.OneMatrix(N, H), "s"),
    ],
)
def test_matrices(right: Any, expected: str) -> None:
    graph = read_equations([(sp.MatrixSymbol("Z", N, H), right), (L, sb.total(sp.MatrixSymbol("Z", N, H)))])
    found = body(graph, "Z").replace("[#1](", "(").replace("#1", "k")
    assert expected.split("δ")[0].strip("*") in found


def test_scalars_of_matrices() -> None:
    S = sp.MatrixSymbol("S", N, N)
    assert body(read_equations([(L, sp.Trace(S))]), "L") == "sum[#1](S[#1,#1])"
    assert body(read_equations([(L, sp.log(sp.Determinant(S)))]), "L").startswith("log")
    assert body(read_equations([(L, (w.T * w))]), "L") == "sum[#1](w[#1,0]*w[#1,0])"
    assert body(read_equations([(L, sb.scalar(w.T * w))]), "L") == "sum[#1](w[#1,0]*w[#1,0])"
    assert body(read_equations([(L, sb.mean(X))]), "L") == "sum[#1,#2](X[#1,#2])*D**-1*N**-1"
    assert body(read_equations([(L, sb.logsumexp(w))]), "L") == "logsumexp[#1](w[#1,0])"


def test_softmax_of_a_column_is_along_the_column() -> None:
    p = sp.MatrixSymbol("p", D, 1)
    assert body(read_equations([(p, sb.softmax(w)), (L, sb.total(p))]), "p") == "softmax[#1](w[#1,0] at i0)"


def test_indices_keep_their_letters_and_count_from_one() -> None:
    Z, W, v, c = map(sp.IndexedBase, ["Z", "W", "v", "c"])
    graph = read_equations(
        [sp.Eq(Z[i], sp.Sum(W[i, j] * v[j], (j, 1, n)) + c[i]), sp.Eq(L, sp.Sum(Z[i] ** 2, (i, 1, m)) / 2)]
    )
    assert body(graph, "Z") == "(c[i0] + sum[#1](W[i0,#1]*v[#1]))"
    assert [repr(d) for d in graph["W"].shape] == ["m", "n"]
    assert set(graph.letters.values()) == {"i", "j"}
    assert gradient(graph, "W") == "outer(Z, v)"


def test_indices_that_count_from_zero_and_shift() -> None:
    v, k, c = sp.IndexedBase("v", shape=(n,)), sp.IndexedBase("k", shape=(m,)), sp.IndexedBase("c")
    i0, p = sp.Idx("i", (0, n - m)), sp.Idx("p", (0, m - 1))
    graph = read_equations([sp.Eq(c[i0], sp.Sum(k[p] * v[i0 + p], (p, 0, m - 1))), (L, sp.Sum(c[i0], (i0, 0, n - m)))])
    assert body(graph, "c") == "sum[#1](k[#1]*v[(i0 + #1)])"
    assert repr(graph["c"].shape[0]) == "(n + -1*m + 1)"


def test_softmax_in_indices_is_recognised() -> None:
    p, v = sp.IndexedBase("p"), sp.IndexedBase("v")
    graph = read_equations(
        [sp.Eq(p[i], sp.exp(v[i]) / sp.Sum(sp.exp(v[j]), (j, 1, n))), (L, -sp.Sum(sp.log(p[i]), (i, 1, n)))]
    )
    assert body(graph, "p") == "softmax[#1](v[#1] at i0)"


def test_equations_may_come_in_any_order() -> None:
    graph = read_equations([sp.Eq(q, x + y), sp.Eq(L, z * t), sp.Eq(z, q**2)], loss=L)
    assert list(graph.nodes) == ["x", "y", "t", "q", "z", "L"]


def test_sizes_may_be_values() -> None:
    assert body(read_equations([(L, sb.total(X) / N)]), "L") == "sum[#1,#2](X[#1,#2])*N**-1"


def test_assumptions_are_facts() -> None:
    u = sp.Symbol("u", positive=True)
    graph = read_equations([(L, sp.log(u) * y)])
    assert [(f.kind, f.tensor, f.text) for f in graph.facts] == [("range", "u", "u > 0")]


def test_names_become_safe_and_keep_their_latex() -> None:
    hat, lam, bad = sp.symbols(r"\hat{y} lambda \input{secret}")
    graph = read_equations([(L, hat * lam * bad)])
    assert {n.name for n in graph.leaves} == {"lam", "hat_y", "input_secret"}
    assert graph.latex == {"hat_y": r"\hat{y}"}


class Cube(sp.Function):  # type: ignore[misc]
    """A user's function: SymPy knows its slope, symbp does not know the function."""

    def fdiff(self, argindex: int = 1) -> Any:
        return 3 * self.args[0] ** 2

    def _eval_evalf(self, prec: int) -> Any:
        return (self.args[0] ** 3)._eval_evalf(prec)


class Mystery(sp.Function):  # type: ignore[misc]
    """A function without a slope."""


def test_a_function_with_fdiff_is_differentiated_by_sympy() -> None:
    d = sb.Network([(q, Cube(x)), (L, q * y)]).derive()
    assert d[x].expr == 3 * x**2 * y
    assert d.check().ok


def test_a_sympy_function_that_is_no_row_of_the_table() -> None:
    d = sb.Network([(L, sp.asinh(x) * y)]).derive()
    assert sp.simplify(d[x].expr - y / sp.sqrt(x**2 + 1)) == 0
    assert d.check().ok


def cube_of(factor: int, name: str = "own") -> Any:
    """factor·x³ as a function class, a new one for every call."""

    def fdiff(self: Any, argindex: int = 1) -> Any:
        return 3 * factor * self.args[0] ** 2

    def evalf(self: Any, prec: int) -> Any:
        return (factor * self.args[0] ** 3)._eval_evalf(prec)

    return type(name, (sp.Function,), {"fdiff": fdiff, "_eval_evalf": evalf})


def test_functions_of_the_same_name_belong_to_their_networks() -> None:
    before = dict(OPS)
    once, twice = cube_of(1), cube_of(2)
    nets = [sb.Network([(q, f(x)), (L, q * y)]) for f in (once, twice)]
    for net, f, factor in zip(nets, (once, twice), (1, 2), strict=True):
        d = net.derive()
        assert list(d.data.graph.own) == ["own"]
        assert d[x].expr == 3 * factor * x**2 * y
        assert d.check().ok
        assert d.lambdify()(x=2.0, y=1.0) == (8.0 * factor, {"x": 12.0 * factor, "y": 8.0 * factor})
        assert net.to_sympy()[0].rhs == f(x)
    both = sb.Network([(q, once(x)), (s, twice(y)), (L, q * s)]).derive()
    assert [*both.data.graph.own] == ["own", "own2"]
    assert both.check().ok
    assert dict(OPS) == before


def test_a_function_of_the_user_may_have_the_name_of_a_row() -> None:
    d = sb.Network([(q, cube_of(1, "relu")(x)), (L, sb.relu(q) * y)]).derive()
    assert [*d.data.graph.own] == ["relu2"]
    assert d.check().ok


class NoValue(sp.Function):  # type: ignore[misc]
    """A function with a slope, and no values."""

    def fdiff(self, argindex: int = 1) -> Any:
        return -2 * self.args[0] * self


def test_without_values_a_function_is_derived_and_its_check_undecided() -> None:
    d = sb.Network([(L, NoValue(x) * y)]).derive()
    assert d[x].expr == -2 * x * y * NoValue(x)
    found = d.check()
    assert not found.ok
    assert all(c.points == 0 for c in found.values())
    assert "NoValue(" in str(found)
    assert "has no value" in str(found)
    with pytest.raises(NoRule, match="has no value"):
        d.lambdify()(x=1.0, y=1.0)


def test_outside_of_its_domain_a_function_is_not_a_number() -> None:
    d = sb.Network([(L, sp.acosh(x) * y)], facts=["x > 1"]).derive()
    assert d.check().ok
    assert np.isnan(d.lambdify()(x=0.5, y=1.0)[0])


# ---- mistakes ----------------------------------------------------------------------------------------

a, W, v = sp.IndexedBase("a"), sp.IndexedBase("W"), sp.IndexedBase("v")


@pytest.mark.parametrize(
    ("equations", "words"),
    [
        ([sp.Eq(s, X * w)], ["equation 1 is False", "pair", "sb.scalar"]),
        ([sp.Eq(q, x), sp.Eq(A, sp.tanh(H1))], ["equation 2", "after q = x", "False", "applyfunc"]),
        ([sp.Eq(x, x)], ["equation 1 is True", "the same expression"]),
        ([(H1, X * W1 + b.T), (L, sb.total(H1))], ["equation 1, H1 =", "(N, H)", "(1, H)", "sb.rows(b.T, N)"]),
        ([(H1, X * W1 + b), (L, sb.total(H1))], ["(N, H)", "(H, 1)"]),
        ([(A, X * W1 * W2), (L, sb.total(A))], ["equation 1, A =", "(N, H)", "(N, C)"]),
        ([(s, X * W1)], ["the left side is a scalar", "(N, H)"]),
        ([(H1, X * W1)], ["the loss must be a scalar", "H1 is (N, H)", "loss="]),
        ([(L, x), (L, y)], ["equation 2", "already defined by equation 1"]),
        ([(x, y), (y, x)], ["defined by itself"]),
        ([(x + y, z)], ["cannot be defined"]),
        ([(N, sb.total(X))], ["N is a size"]),
        ([(L, Mystery(x))], ["Mystery has no fdiff", "Lambda"]),
        ([(L, sp.Integral(x, (x, 0, 1)))], ["Integral is not in its language"]),
        ([(L, sp.I * x)], ["I is not a real number"]),
        ([(L, sp.Piecewise((x, x > 0)))], ["no last case"]),
        ([(L, x * sp.Symbol("x", positive=True))], ["two different objects are called x"]),
        ([(L, sb.total(X) + sb.total(sp.MatrixSymbol("X", D, N)))], ["two matrices are called X", "(N, D)", "(D, N)"]),
        ([(a[0, i], v[i])], ["the loss must be a scalar", "Sum(E[t], (t, 1, T))"]),
        ([(a[i], a[i - 1]), (L, a[1])], ["the range of i is not known", "Idx("]),
        ([(a[i], v[j]), (L, sp.Sum(a[i], (i, 1, n)))], ["index j", "neither on the left side nor bound"]),
        ([(L, sp.Sum(W[i, j] * v[j], (j, 1, n)))], ["index i"]),
        ([(L, sp.Sum(v[j], (j, 1, n)) + sp.Sum(v[i], (i, 1, m)))], ["runs to"]),
        ([(L, sp.Sum(v[j], (j, 1, n)) + W[1, 2] * v[1, 2])], ["v has 2 indices in one place and 1 in another"]),
        ([], ["no equations"]),
        ([x], ["neither an Eq nor a pair"]),
    ],
)  # fmt: skip
def test_mistakes_are_explained(equations: list[Any], words: list[str]) -> None:
    with pytest.raises(DeclarationError) as error:
        read_equations(equations)
    for word in words:
        assert word in str(error.value), str(error.value)


def test_a_name_that_nothing_is_left_of() -> None:
    with pytest.raises(DeclarationError, match="cannot use"):
        read_equations([(L, sp.Symbol("%#&") * x)])


def test_a_fact_about_a_node_is_refused() -> None:
    with pytest.raises(DeclarationError, match="computed"):
        read_equations([(q, x + y), (L, q * z)], facts=["binary(q)"])
