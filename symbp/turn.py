"""One turn of a loop as a network of its own: what h[t] is of h[t-1].

Far apart, ∂h[T]/∂h[t] is a product of such Jacobians, one for every turn in between. That product
is what makes gradients vanish or explode, so it is worth seeing.

Invariant: the product is only claimed where h[t-1] is all that h[t] has of earlier turns.
"""

from __future__ import annotations

from dataclasses import replace

from symbp.errors import RequestError
from symbp.expr import Expr, Num, Size
from symbp.family import Loop, base_of, member, plain_number, split
from symbp.graph import Graph, Node
from symbp.index import same_size
from symbp.steps import Chain


def turn_graph(graph: Graph, node: str, wrt: str) -> tuple[Graph, str, str, Chain | None]:
    """The turn that leads from one member of a family to the next, the names of both, and the
    product between the members asked for, if they are further apart.

    Raises RequestError where no such product is to be had."""
    _, numbers = split(node)
    base, theirs = split(wrt)
    hint = "Members of one family are differentiated by each other; with numbers for --set, any by any."
    if base != base_of(node) or len(numbers) != 1 or len(theirs) != 1:
        raise RequestError(f"∂{node}/∂{wrt} is no product over the turns of one loop. {hint}")
    piece = next((p for p in graph.pieces(base) if p.body is not None and p.loops), None)
    if piece is None:
        raise RequestError(f"{base} is not computed in a loop. {hint}")
    var = piece.loops[0].var
    nodes, earlier = _turn(graph, piece)
    own = [n for n in earlier if base_of(n) == base]
    if len(own) != 1 or len(earlier) > 1:
        others = ", ".join(earlier) or "nothing"
        raise RequestError(
            f"{piece.name} comes from {others} of other turns, so ∂{node}/∂{wrt} is no product of its own Jacobians."
        )
    before = own[0]
    by = plain_number(Size(var) - split(before)[1][0])
    small = replace(graph, nodes=nodes, loss=piece.name, blocks=(), facts=graph.facts_among(nodes), upstream="")
    if same_size(numbers[0], theirs[0] + by):
        return small, piece.name, before, None

    def beside(n: Expr, steps: Expr) -> str:
        return member(base, [plain_number(n + steps)])

    back = Num(-by.value) if isinstance(by, Num) else -by
    chain = Chain((node, beside(numbers[0], back)), (beside(theirs[0], by), wrt))
    return small, piece.name, before, chain


def _turn(graph: Graph, piece: Node) -> tuple[dict[str, Node], list[str]]:
    """The definitions of one turn, back to the family itself one turn before, and the computed
    members of other turns that stand at their beginning."""
    inner = piece.loops[0]  # where the turn before is computed too
    low, high = (inner.low, inner.high - 1) if inner.down else (inner.low + 1, inner.high)
    ranges = {inner.var: Loop(inner.var, plain_number(low), plain_number(high))}
    here = split(piece.name)[1]
    near = [*here, *(plain_number(n + by) for n in here for by in (1, -1))]
    nodes: dict[str, Node] = {}
    earlier: list[str] = []
    computed = {base_of(n.name) for n in graph.inner}

    def put(name: str) -> None:
        if name in nodes:
            return
        numbers = split(name)[1]
        own = base_of(name) == base_of(piece.name) and name != piece.name
        close = not own and all(any(same_size(n, m) for m in near) for n in numbers)
        found = next((p for p in graph.pieces(name) if graph.covers(p, numbers, ranges)), None)
        if close and found is not None and found.body is not None:
            body = graph[name].body
            assert body is not None
            for used in sorted(body.tensors):
                put(used)
            nodes[name] = replace(graph[name], loops=())
        else:
            nodes[name] = replace(graph[name], body=None, loops=())
            if base_of(name) in computed and numbers:
                earlier.append(name)

    put(piece.name)
    leaves = {n: node for n, node in nodes.items() if node.body is None}
    return {**leaves, **nodes}, earlier


__all__ = ["turn_graph"]
