"""A network of symbolic depth at given numbers: an ordinary network, its loops written out.

`unroll(graph, {"L": 3})` has the nodes `z[1]`, `a[1]`, `z[2]`, … with sizes `n[1]`, `n[2]`, …;
`--set L=3` derives it, and the check compares the symbolic derivation with it at 3 and at 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symbp.errors import LimitError, RequestError, nearest
from symbp.expr import Expr, Num
from symbp.family import Block, Loop, Turn, base_of, shift, shift_name, turns, unrolled
from symbp.graph import Graph, Node, Signature
from symbp.steps import Adjoint, Derivation, Step

MOST_NODES = 20_000


def unroll(graph: Graph, numbers: Mapping[str, int]) -> Graph:
    """The ordinary network at these values of its symbolic bounds.

    Raises RequestError for a bound that is missing, unknown or too small, LimitError for too many
    nodes."""
    for name in numbers:
        if name not in graph.bounds:
            known = ", ".join(graph.bounds) or "none"
            hint = nearest(name, graph.bounds)
            raise RequestError(f"{name} is not the end of a loop of {graph.name}; there are: {known}. {hint}".strip())
    missing = [b for b in graph.bounds if b not in numbers]
    if missing:
        raise RequestError(f"A number is needed for {', '.join(missing)} too: --set {missing[0]}=3.")
    nodes: dict[str, Node] = {}
    functions: dict[str, Signature] = {}
    for name, at in turns(graph.blocks, numbers):
        if len(nodes) >= MOST_NODES:
            raise LimitError(f"{graph.name} would have more than {MOST_NODES} nodes")
        piece = graph.nodes[name]
        put: dict[str, Expr] = {n: Num(v) for n, v in at.items()}
        body = None if piece.body is None else unrolled(piece.body, at)
        node = replace(piece, body=None).at(put)
        nodes[node.name] = replace(node, body=body)
        functions |= {shift_name(s.name, put): _signature(s, put) for s in graph.functions.values()}
    return replace(
        graph,
        nodes=nodes,
        facts=graph.facts_among(n for n in nodes if any(base_of(f.tensor) == base_of(n) for f in graph.facts)),
        functions=functions,
        blocks=(),
    )


def _signature(s: Signature, put: Mapping[str, Expr]) -> Signature:
    return Signature(
        shift_name(s.name, put),
        tuple(tuple(shift(d, put) for d in shape) for shape in s.takes),
        tuple(shift(d, put) for d in s.gives),
    )


# ---- a derivation ------------------------------------------------------------------------------------


def unroll_derivation(derivation: Derivation, numbers: Mapping[str, int]) -> tuple[Derivation, dict[str, list[str]]]:
    """The derivation of the ordinary network that the forms of a symbolic one say: every case at
    every number it holds for; and which adjoints of the symbolic one each comes from."""
    graph = unroll(derivation.graph, numbers)
    found: dict[str, Adjoint] = {}
    source: dict[str, list[str]] = {}
    for key, a in derivation.adjoints.items():
        for at in _turns_of(a, numbers):
            one = _at(a, at)
            if one.node.name in graph.nodes:
                found.setdefault(one.node.name, one)
                source.setdefault(one.node.name, []).append(key)
    order = [name for name in reversed(tuple(graph.nodes)) if name in found]
    return Derivation(graph, tuple(order), {name: found[name] for name in order}), source


def _turns_of(a: Adjoint, numbers: Mapping[str, int]) -> list[dict[str, int]]:
    """The numbers of an adjoint's own variables."""
    body: tuple[Turn | Block, ...] = (Turn(a.node.name),)
    for loop in reversed(a.node.loops):
        body = (Block(Loop(loop.var, loop.low, loop.high), body),)
    return [at for _, at in turns(body, numbers)]


def _at(a: Adjoint, at: Mapping[str, int]) -> Adjoint:
    put: dict[str, Expr] = {n: Num(v) for n, v in at.items()}
    node = replace(a.node, body=None).at(put)
    return Adjoint(
        node,
        unrolled(a.raw, at),
        unrolled(a.delta, at),
        None if a.closed is None else unrolled(a.closed, at),
        tuple(s for step in a.steps for s in _step_at(step, at)),
        tuple(shift_name(u, put) for u in a.uses),
    )


def _step_at(step: Step, at: Mapping[str, int]) -> list[Step]:
    """The step at these numbers; where the consumer's own variable is summed, at each of its."""
    body: tuple[Turn | Block, ...] = (Turn(""),)
    if step.rule in ("definition", "chain-rule", "local-slope"):
        for loop in reversed(step.sums):
            body = (Block(loop, body),)
    found = []
    for _, here in turns(body, at):
        put: dict[str, Expr] = {n: Num(v) for n, v in here.items()}
        found.append(
            replace(
                step,
                about=shift_name(step.about, put),
                via=shift_name(step.via, put),
                left=step.left and unrolled(step.left, here),
                argument=step.argument and unrolled(step.argument, here),
                lines=tuple(unrolled(e, here) for e in step.lines),
                sums=(),
            )
        )
    return found
