"""Values of networks with loops: dictionaries by number in and out.

A family is given as a dictionary, `x={1: …, 2: …}` or `h={(0, 1): …}`; a symbolic bound as a
number, `T=2`, or it is read off the numbers of the families given. Inside, the network is the one
that is written out for these bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbp.errors import RequestError
from symbp.expr import Num
from symbp.family import base_of, member, solve, split
from symbp.graph import Graph

Values = dict[str, Any]


def flattened(graph: Graph, given: Mapping[str, Any]) -> tuple[dict[str, int], Values]:
    """The bounds, and a value for every member, by name: `x[1]`.

    Raises RequestError for a bound that nothing tells, and for numbers that are none."""
    bounds = {n: _whole(n, given[n]) for n in graph.bounds if n in given}
    values: Values = {}
    for name, value in given.items():
        if name in bounds:
            continue
        if isinstance(value, Mapping):
            values |= {member(name, map(Num, _key(name, k))): v for k, v in value.items()}
        else:
            values[name] = value
    for name in graph.bounds:
        if name not in bounds:
            found = _told(graph, name, values)
            if found is None:
                raise RequestError(f"Nothing given tells {name}: say {name}=3, or give a family up to {name}.")
            bounds[name] = found
    return bounds, values


def _whole(name: str, value: Any) -> int:
    if int(value) != value:
        raise RequestError(f"{name} is a whole number, not {value!r}.")
    return int(value)


def _key(name: str, key: Any) -> tuple[int, ...]:
    numbers = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(n, int) for n in numbers):
        raise RequestError(f"{name} is numbered by whole numbers, as {name}={{1: …}} or {{(1, 2): …}}, not by {key!r}.")
    return numbers


def _told(graph: Graph, bound: str, values: Values) -> int | None:
    """The bound, from the last number of a family that ends with it."""
    for leaf in graph.leaves:
        for loop in leaf.loops:
            place = next((k for k, n in enumerate(split(leaf.name)[1]) if repr(n) == loop.var), None)
            known = [split(n)[1] for n in values if base_of(n) == base_of(leaf.name) and "[" in n]
            last = [n[place] for n in known if place is not None and place < len(n)]
            numbers = [n.value for n in last if isinstance(n, Num)]
            found = solve(loop.high, Num(max(numbers)), bound) if numbers else None
            if isinstance(found, Num):
                return int(found.value)
    return None


def gathered(values: Mapping[str, Any]) -> Values:
    """Members as dictionaries by number."""
    found: Values = {}
    for name, value in values.items():
        base, numbers = split(name)
        if not numbers:
            found[name] = value
            continue
        key = tuple(int(n.value) for n in numbers if isinstance(n, Num))
        found.setdefault(base, {})[key[0] if len(key) == 1 else key] = value
    return found


__all__ = ["flattened", "gathered"]
