"""Differentials: the second way in which courses derive gradients, dL = tr(Gᵀ dX).

For every place where a tensor v is used, in u = f(…, v, …), the differential du is linear in dv: the local slope times
dv, summed over v's entries. Then dL = ⟨δ_u, du⟩ is turned until dv stands last, dL = ⟨G, dv⟩, and G is the
gradient. The slopes are those of the derivation's own steps and G is its result, so both styles say the same; `dv` is a
tensor named `differential(v)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symbp.errors import RequestError, SymbpError
from symbp.expr import Entry, Expr, Index, fresh, mul, substitute, total
from symbp.graph import Graph, Node, adjoint
from symbp.higher import use_up
from symbp.simplify import Simplifier
from symbp.steps import Derivation, Step

SIGN = "𝑑"
TOLERANCE = 1e-9


def differential(name: str) -> str:
    """The internal name of dv; no declared name can contain it."""
    return SIGN + name


@dataclass(frozen=True)
class Differential:
    """What the consumer changes by when only one of its inputs does, entry by entry in its axes."""

    consumer: str
    expr: Expr


@dataclass(frozen=True)
class Differentials:
    """By tensor, one for each way in which it is used; `graph` has the dv as leaves."""

    graph: Graph
    of: Mapping[str, tuple[Differential, ...]]


def differentials(derivation: Derivation) -> Differentials:
    """All of a derivation that has its steps.

    Raises RequestError for a network of symbolic depth."""
    graph = derivation.graph
    if graph.has_families:
        raise RequestError(
            f"Differentials are for networks whose layers are written out: give {graph.bounds[0]} a number, "
            f"--set {graph.bounds[0]}=3."
        )
    moves = {differential(n.name): Node(differential(n.name), n.shape, n.axes) for n in graph.nodes.values()}
    extended = replace(graph, nodes={**graph.nodes, **moves})
    simplify = Simplifier(extended)
    found = {
        a.node.name: tuple(
            Differential(s.via, _differential(s, graph, simplify))
            for s in derivation.steps_of(a)
            if s.rule == "local-slope"
        )
        for a in derivation.adjoints.values()
    }
    return Differentials(extended, found)


def _differential(step: Step, graph: Graph, simplify: Simplifier) -> Expr:
    """Σ over v's entries of slope · dv."""
    top, bottom = step.left, step.argument
    assert isinstance(top, Entry) and isinstance(bottom, Entry)
    summed = {i: fresh(i.dim) for i in bottom.idx if isinstance(i, Index)}
    slope = substitute(step.lines[0], summed)
    move = substitute(Entry(differential(bottom.tensor), bottom.idx), summed)
    own = {i: axis for i, axis in zip(top.idx, graph[step.via].axes) if isinstance(i, Index)}
    e = use_up(total(summed.values(), mul(slope, move)))
    return simplify(substitute(e, own)).result


def check_differentials(found: Differentials, derivation: Derivation, seed: int = 0) -> None:
    """Σ ⟨δ_u, du⟩ over the consumers is ⟨gradient, dv⟩, at one point and for a random dv.

    Raises SymbpError where it is not, which is a bug."""
    import numpy as np  # pages need only the names from this module, and start without it

    from symbp.check import points_of
    from symbp.evaluate import Evaluation
    from symbp.unknown import samples

    graph, functions = found.graph, samples(derivation.graph)
    points, _ = points_of(derivation.graph, seed, functions, wanted=1)
    if not points:
        return
    state = Evaluation.of(graph, points[0].values, points[0].sizes, functions)
    random = np.random.default_rng(seed)
    state.values[adjoint(graph.loss)] = np.ones(())
    for a in derivation.adjoints.values():
        state.values[adjoint(a.node.name)] = state.tensor(a.node, a.delta)
        shape = state.values[adjoint(a.node.name)].shape
        move = state.values[differential(a.node.name)] = random.standard_normal(shape)
        ways = [
            (state.values[adjoint(d.consumer)], state.tensor(graph[d.consumer], d.expr)) for d in found.of[a.node.name]
        ]
        through = sum(float(np.vdot(g, du)) for g, du in ways)
        scale = sum(float(np.abs(g * du).sum()) for g, du in ways) + 1e-300
        if ways and abs(through - float(np.vdot(state.values[adjoint(a.node.name)], move))) > TOLERANCE * scale:
            raise SymbpError(f"The differentials for {a.node.name} do not give its gradient. This is a bug in symbp.")
