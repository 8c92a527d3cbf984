"""Does a network with loops define every member before it is used?

`order_problem` runs through the loops at small numbers and looks for a member that is used before
it exists, or is defined twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symbp.expr import Num
from symbp.family import Block, Turn, base_of, shift_name, turns, unrolled
from symbp.graph import Node

TRIED = (3, 4)


def order_problem(nodes: Mapping[str, Node], blocks: Sequence[Turn | Block], bounds: Iterable[str]) -> tuple[str, str]:
    """The first member that is used before it is there, or defined twice, in words, and the line's
    node; else empty texts."""
    bounds = tuple(bounds)
    for size in TRIED:
        known: set[str] = set()
        for name, at in turns(blocks, dict.fromkeys(bounds, size)):
            node = nodes[name]
            one = shift_name(name, {n: Num(v) for n, v in at.items()})
            if one in known:
                return f"{one} is defined twice", name
            for used in sorted(unrolled(node.body, at).tensors) if node.body is not None else ():
                if used not in known:
                    return _missing(used, one, nodes), name
            known.add(one)
    return "", ""


def _missing(used: str, one: str, nodes: Mapping[str, Node]) -> str:
    pieces = [n for n in nodes if base_of(n) == base_of(used)]
    there = f"{base_of(used)} has {', '.join(pieces)}" if pieces else "nothing of that name is declared"
    return f"{one} needs {used}, which is not there (yet): {there}"


__all__ = ["order_problem"]
