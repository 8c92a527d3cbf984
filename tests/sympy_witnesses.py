"""Witnesses over whole networks, as functions of a graph: SymPy says what the numbers must be.

Each raises AssertionError with the tensor's name. They take any `Graph`, so they run on networks
written in tests and on every built-in one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from symbp import functions
from symbp.derive import derive
from symbp.evaluate import Evaluation, run, size_value
from symbp.expr import Size
from symbp.graph import Graph, adjoint
from symbp.network import Network
from symbp.sample import Point, choose_sizes, draw
from symbp.sympy_code import lambdify
from symbp.sympy_out import generic_letters, to_expr
from symbp.sympy_symbols import Symbols


def point_of(graph: Graph, variant: int = 0) -> Point:
    sizes = choose_sizes(graph, variant)
    assert sizes is not None, "no sizes"
    point = draw(graph, sizes, np.random.default_rng(variant))
    assert not point.reason, point.reason
    return point


def state_of(graph: Graph, point: Point, adjoints: Any) -> Evaluation:
    """All nodes and all adjoints at a point, by symbp's own evaluation."""
    state = run(graph, point.leaves, point.sizes)
    for a in adjoints.values():
        state.values[adjoint(a.node.name)] = state.tensor(a.node, a.delta)
    return state


def lambdified_gradients_agree(network: Network) -> None:
    """sympy.lambdify of every δ form and closed form against symbp's evaluation."""
    graph = network.graph
    small = {s: sp.Symbol(f"n{s}", integer=True, positive=True) for s in graph.sizes if s.isdigit()}
    symbols = replace(network.symbols, sizes={**network.symbols.sizes, **small})
    d = derive(graph, steps=False)
    point = point_of(graph)
    state = state_of(graph, point, d.adjoints)
    for a in d.adjoints.values():
        expected = state.values[adjoint(a.node.name)]
        for form in (a.delta, a.closed):
            if form is not None:
                found = value_of(symbols, to_expr(symbols, form, a.node.axes), form.tensors, a.node, state)
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=a.node.name)


def value_of(symbols: Symbols, e: Any, tensors: Any, node: Any, state: Evaluation) -> Any:
    """The value of a result by sympy.lambdify, in the shape of the node."""
    names = sorted(tensors)
    sizes = symbols.graph.sizes
    letters = sorted((s for s in e.free_symbols if isinstance(s, sp.Idx)), key=str)
    axes = [i for i in letters if len(node.shape) > 2]
    args = [*(symbols.tensor(n) for n in names), *(symbols.size(Size(s)) for s in sizes), *axes]
    function = lambdify(args, e)
    given = [*(state.values[n] for n in names), *(state.sizes[s] for s in sizes)]
    shape = state.values[node.name].shape
    if len(node.shape) <= 2:
        return np.broadcast_to(np.asarray(function(*given)).reshape(shape if shape else ()), shape)
    order = generic_order(symbols, node)
    values = np.empty(shape)
    for at in np.ndindex(*shape):
        place = dict(zip(order, at, strict=True))
        values[at] = function(*given, *(place[str(i)] for i in axes))
    return values


def generic_order(symbols: Symbols, node: Any) -> list[str]:
    letters = generic_letters(symbols, node.axes)
    return [str(letters[a]) if a in letters else f"one{n}" for n, a in enumerate(node.axes)]


def reads_back(network: Network) -> None:
    """`to_sympy()` gives equations whose network has the same values and the same gradients."""
    graph = network.graph
    again = Network(network.to_sympy(), loss=network.symbols.tensor(graph.loss), facts=network.facts)
    point = point_of(graph)
    leaves = [n.name for n in graph.leaves if n.name in again.graph.nodes]
    first, second = derive(graph, leaves, steps=False), derive(again.graph, leaves, steps=False)
    one = state_of(graph, point, first.adjoints)
    given = {n.name: point.leaves[n.name].reshape(shape_at(n, point)) for n in again.graph.leaves}
    two = run(again.graph, given, point.sizes)
    for a in second.adjoints.values():
        two.values[adjoint(a.node.name)] = two.tensor(a.node, a.delta)
    for name in (*graph.nodes, *(adjoint(w) for w in first.wrt)):
        if name.removeprefix("∂") in again.graph.nodes:
            np.testing.assert_allclose(
                np.ravel(two.values[name]), np.ravel(one.values[name]), rtol=1e-9, atol=1e-9, err_msg=name
            )


def shape_at(node: Any, point: Point) -> tuple[int, ...]:
    return tuple(size_value(d, point.sizes) for d in node.shape)


# ---- sympy.diff ------------------------------------------------------------------------------------


def scalar_gradients_agree(network: Network) -> None:
    """A network of scalars: every gradient against sympy.diff of the loss in its leaves."""
    graph, symbols = network.graph, network.symbols
    values: dict[Any, Any] = {}
    for node in graph.inner:
        values[symbols.tensor(node.name)] = to_expr(symbols, node.body, ()).subs(values)
    loss = twin(values[symbols.tensor(graph.loss)])
    d = derive(graph, steps=False)
    leaves = [symbols.tensor(n.name) for n in graph.leaves]
    place = {s: sp.Rational(3 + 2 * n, 7 + n) for n, s in enumerate(leaves)}
    for a in d.gradients:
        found = twin(to_expr(symbols, a.closed, ()).subs(values))
        expected = sp.diff(loss, symbols.tensor(a.node.name))
        assert abs(sp.N((found - expected).subs(place).doit())) < 1e-12, a.node.name


def twin(e: Any) -> Any:
    """Our functions in SymPy's own, so that SymPy differentiates by its own rules."""
    return e.replace(lambda x: isinstance(x, functions.TableFunction), lambda x: x.as_twin())


def entries_agree(network: Network, size_set: tuple[int, int] = (2, 3)) -> None:
    """A network of matrices at sizes 2 and 3: every entry of every gradient against sympy.diff of
    the loss, everything written out by SymPy. Facts are left aside: the points do not respect them."""
    graph, symbols = replace(network.graph, facts=()), network.symbols
    sizes = {s: size_set[n % 2] for n, s in enumerate(graph.sizes) if s not in graph.relations}
    sizes |= {s: size_value(d, sizes) for s, d in graph.relations.items()}
    explicit: dict[str, Any] = {}
    rng = np.random.default_rng(1)
    numbers: dict[Any, Any] = {}
    for node in graph.leaves:
        shape = tuple(size_value(d, sizes) for d in node.shape)
        explicit[node.name] = leaf_matrix(node.name, shape)
        entries = list(explicit[node.name]) if functions.is_matrix(explicit[node.name]) else [explicit[node.name]]
        numbers |= {x: sp.Rational(int(rng.integers(2, 30)), 11) for x in entries}
    known = {symbols.tensor(n): v for n, v in explicit.items()}
    known |= {symbols.size(Size(s)): sp.Integer(n) for s, n in sizes.items()}
    for node in graph.inner:
        known[symbols.tensor(node.name)] = written_out(to_expr(symbols, node.body, node.axes), known)
    loss = known[symbols.tensor(graph.loss)]
    loss = loss[0, 0] if functions.is_matrix(loss) else loss
    d = derive(graph, steps=False)
    for a in d.gradients:
        found = written_out(to_expr(symbols, a.closed, a.node.axes), known)
        leaf = explicit[a.node.name]
        pairs = zip(leaf, found, strict=True) if functions.is_matrix(leaf) else [(leaf, found)]
        for x, slope in pairs:
            expected = sp.diff(twin(loss), x).subs(numbers).doit()
            assert abs(sp.N(expected - twin(slope).subs(numbers).doit())) < 1e-9, (a.node.name, x)


def leaf_matrix(name: str, shape: tuple[int, ...]) -> Any:
    if not shape:
        return sp.Symbol(name, real=True)
    rows, columns = (*shape, 1)[:2]
    return sp.ImmutableMatrix(rows, columns, lambda i, j: sp.Symbol(f"{name}_{i}{j}", real=True))


def written_out(e: Any, known: dict[Any, Any]) -> Any:
    """An expression with numbers for sizes and explicit matrices for symbols, entry by entry."""
    if e in known:
        return known[e]
    if not getattr(e, "args", ()):
        return e
    if isinstance(e, sp.Lambda):
        return e
    if isinstance(e, sp.FunctionMatrix):
        rows, columns = (int(written_out(d, known)) for d in e.shape)
        return sp.ImmutableMatrix(rows, columns, lambda i, j: written_out(at(e.lamda, i, j), known))
    if isinstance(e, sp.Sum):
        (letter, low, high), *rest = reversed(e.limits)
        inner = sp.Sum(e.function, *reversed(rest)) if rest else e.function
        places = range(int(written_out(low, known)), int(written_out(high, known)) + 1)
        return sp.Add(*(written_out(inner.subs(letter, k), known) for k in places))
    args = [written_out(a, known) for a in e.args]
    if isinstance(e, sp.matrices.expressions.matexpr.MatrixElement):
        return args[0][int(args[1]), int(args[2])]
    if isinstance(e, sp.MatMul | sp.MatAdd):
        return fold(e, args)
    if isinstance(e, sp.HadamardProduct):
        result = args[0]
        for a in args[1:]:
            result = result.multiply_elementwise(a)
        return result
    if isinstance(e, sp.HadamardPower):
        return args[0].applyfunc(lambda x: x ** args[1])
    if isinstance(e, sp.DiagMatrix):
        return sp.diag(*args[0])
    if isinstance(e, sp.matrices.expressions.applyfunc.ElementwiseApplyFunction):
        return args[1].applyfunc(e.function)
    if isinstance(e, sp.Transpose):
        return args[0].T
    done = e.func(*args)
    done = done.doit() if hasattr(done, "doit") and not isinstance(done, sp.Function) else done
    return done.as_explicit() if hasattr(done, "as_explicit") else done


def at(function: Any, *values: int) -> Any:
    """The body of a Lambda with numbers for its letters."""
    return function.expr.subs(dict(zip(function.variables, values, strict=True)))


def fold(e: Any, args: list[Any]) -> Any:
    result = args[0]
    for a in args[1:]:
        result = result * a if isinstance(e, sp.MatMul) else result + a
    return result
