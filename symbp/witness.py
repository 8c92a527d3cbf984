"""SymPy as a witness: the same numbers by sympy.lambdify of the user's own equations.

symbp's own evaluation never looks at the SymPy expressions, so reading them wrongly would go
unnoticed by it. Here every equation is evaluated by SymPy, in order; the loss must agree with
symbp's, and its slope along random directions, by central differences, with the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from symbp.declare import Declared, Equation
from symbp.evaluate import run, size_value
from symbp.graph import Graph, Signature, adjoint
from symbp.ops import UNKNOWN
from symbp.sample import choose_sizes, draw
from symbp.steps import Checked, Derivation
from symbp.sympy_code import lambdify
from symbp.unknown import samples

Values = dict[str, Any]
STEP = 1e-5
VALUE, SLOPE = 1e-9, 1e-5  # tolerances
POINTS = 2
MANY = 12  # leaves that are moved one at a time


@dataclass(frozen=True)
class Program:
    """The equations of a declared network as NumPy functions."""

    declared: Declared
    steps: tuple[tuple[str, Callable[[Values, Mapping[str, int]], Any]], ...]

    def __call__(self, leaves: Mapping[str, Any], sizes: Mapping[str, int]) -> Values:
        """The values of all nodes."""
        values = dict(leaves)
        for name, function in self.steps:
            values[name] = function(values, sizes)
        return values


def program(declared: Declared) -> Program:
    """Every equation, lambdified by SymPy, in the order of the graph."""
    by_symbol = {e.symbol: e for e in declared.equations}
    steps = [(n.name, _function(declared, by_symbol[declared.symbols[n.name]])) for n in declared.graph.inner]
    return Program(declared, tuple(steps))


def _function(declared: Declared, e: Equation) -> Callable[[Values, Mapping[str, int]], Any]:
    graph, name_of = declared.graph, {s: n for n, s in declared.symbols.items()}
    node = graph[name_of[e.symbol]]
    tensors = [n for n in graph.nodes if node.body is not None and n in node.body.tensors]
    symbols = [declared.symbols[n] for n in tensors]
    sizes = list(declared.sizes)
    letters = list(e.left.indices) if isinstance(e.left, sp.Indexed) else []
    at: dict[str, int] = {}  # the sizes, which the values of an unknown map must fit
    args = [*symbols, *(declared.sizes[s] for s in sizes), *letters]
    source = lambdify(args, e.right, origin=declared.origin, unknown=_unknown(graph, at))

    def function(values: Values, known: Mapping[str, int]) -> Any:
        at.update(known)
        given = [*(values[t] for t in tensors), *(known[s] for s in sizes)]
        shape = tuple(size_value(d, known) for d in node.shape)
        if not letters:
            return np.broadcast_to(source(*given), shape) if shape else float(np.squeeze(source(*given)))
        entries = [source(*given, *(i + declared.origin for i in place)) for place in product(*map(range, shape))]
        return np.array(entries).reshape(shape)

    return function


def _unknown(graph: Graph, sizes: Mapping[str, int]) -> Mapping[str, Callable[..., Any]]:
    """The random functions that stand for unknown ones, for SymPy's evaluation."""
    values = samples(graph)

    def of(signature: Signature) -> Callable[..., Any]:
        if signature.is_elementwise:
            return lambda x: values[UNKNOWN + signature.name](np, x)
        value = values[signature.name]
        return lambda *x: value(
            np, None, tuple(size_value(d, sizes) for d in signature.gives), 0, *(np.asarray(a) for a in x)
        )

    return {name: of(signature) for name, signature in graph.functions.items()}


def witness(declared: Declared, derivation: Derivation, seed: int = 0) -> Checked:
    """Loss and slopes by SymPy against symbp's, at random points."""
    graph = derivation.graph
    try:
        forward = program(declared)
    except Exception as error:  # SymPy and the user's own functions may raise anything
        return Checked(graph.loss, float("nan"), False, 0, "sympy.lambdify", 0, f"SymPy cannot evaluate this: {error}")
    worst, ok, points, note = 0.0, True, 0, ""
    for leaves, sizes in _points(graph, seed):
        points += 1
        rng = np.random.default_rng([seed, points])
        for distance, tolerance in _errors(forward, derivation, leaves, sizes, rng):
            worst, ok = max(worst, distance), ok and distance <= tolerance
    if not points:
        note, worst, ok = "no point could be drawn", float("nan"), False
    return Checked(graph.loss, worst, ok, points, "sympy.lambdify", len(derivation.wrt), note)


def _points(graph: Graph, seed: int) -> Iterator[tuple[Values, Mapping[str, int]]]:
    for n in range(POINTS):
        sizes = choose_sizes(graph, n)
        point = None if sizes is None else draw(graph, sizes, np.random.default_rng([seed, n, 7]), samples(graph))
        if point is not None and not point.reason:
            yield dict(point.leaves), point.sizes


def _errors(
    forward: Program, derivation: Derivation, leaves: Values, sizes: Mapping[str, int], rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Relative errors and what they may be."""
    graph = derivation.graph
    state = run(graph, leaves, sizes, samples(graph))
    ours = {n.name: state.values[n.name] for n in graph.inner}
    theirs = forward(leaves, sizes)
    for name, value in ours.items():
        yield _distance(value, theirs[name]), VALUE
    for a in derivation.adjoints.values():
        state.values[adjoint(a.node.name)] = state.tensor(a.node, a.delta)
    for direction in _directions(derivation, leaves, rng):
        ahead, behind = (
            forward({**leaves, **{n: leaves[n] + h * v for n, v in direction.items()}}, sizes)[graph.loss]
            for h in (STEP, -STEP)
        )
        slope, rounding = float(np.sum(ahead - behind)) / (2 * STEP), 1e-14 * abs(float(np.sum(ahead))) / STEP
        exact = sum(float(np.sum(state.values[adjoint(n)] * v)) for n, v in direction.items())
        yield max(abs(slope - exact) - rounding, 0.0) / max(abs(slope), abs(exact), 1e-3), SLOPE


def _directions(derivation: Derivation, leaves: Values, rng: np.random.Generator) -> Iterator[Values]:
    """One leaf at a time, or in a network of many leaves all of them together, a few times."""
    wrt = [n for n in derivation.wrt if derivation.graph[n].is_leaf]
    groups = [[n] for n in wrt] if len(wrt) <= MANY else [wrt] * MANY
    for names in groups:
        yield {n: rng.standard_normal(np.shape(leaves[n])) for n in names}


def _distance(a: Any, b: Any) -> float:
    scale = np.linalg.norm(a) + np.linalg.norm(b)
    return float(np.linalg.norm(np.asarray(a) - np.asarray(b)) / scale) if scale else 0.0


def with_witness(checked: Mapping[str, Checked], found: Checked) -> dict[str, Checked]:
    """The table of a check with the line of the witness; named after its method."""
    return {**checked, "SymPy": replace(found, name="SymPy")}
