"""Random smooth functions in the place of unknown ones, so that a derivation can be checked.

A network may name a function without defining it: `f: () >> ()`. Its derivation must hold for
every f, so it is checked with a random one: entry by entry sin(ax + b) + cx with its slopes, and
for maps and losses of whole tensors Σ A sin(x) + (Σ B x)²/3 with its Jacobians. The same name
always gets the same function.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from symbp.graph import Graph, Signature
from symbp.ops import UNKNOWN


def samples(graph: Graph) -> Mapping[str, Any]:
    """Values for every unknown function of a network, its slopes included."""
    found: dict[str, Any] = {}
    for name, signature in graph.functions.items():
        if signature.is_elementwise:
            for order in range(4):
                found[UNKNOWN + name + "'" * order] = _elementwise(name, order)
        else:
            found[name] = _map(signature)
    return found


def _seed(name: str) -> int:
    return zlib.crc32(name.encode())


def _elementwise(name: str, order: int) -> Any:
    """The derivative of this order of sin(ax + b) + cx."""

    def value(np: Any, x: Any) -> Any:
        a, b, c = np.random.default_rng(_seed(name)).uniform(0.6, 1.4, 3)
        wave = a**order * np.sin(a * x + b + order * np.pi / 2)
        return wave + (c * x if order == 0 else c if order == 1 else 0.0)

    return value


def _map(signature: Signature) -> Any:
    """Σ A sin(x) + (Σ B x)²/3, or its Jacobian with respect to one operand."""

    def value(np: Any, slot: int | None, shape: tuple[int, ...], lead: int, *operands: Any) -> Any:
        rng = np.random.default_rng(_seed(signature.name))
        out = int(np.prod(shape, dtype=int))
        flat = [x.reshape(*x.shape[:lead], -1) for x in operands]
        weights = [rng.standard_normal((2, out, x.shape[-1])) for x in flat]
        linear = [(w[0], w[1] / 2) for w in weights]
        inner: Any = sum(x @ b.T for x, (_, b) in zip(flat, linear, strict=True))
        stack = inner.shape[:lead]
        if slot is None:
            waves: Any = sum(np.sin(x) @ a.T for x, (a, _) in zip(flat, linear, strict=True))
            return (waves + inner**2 / 3).reshape(stack + shape)
        a, b = linear[slot]
        jacobian = a * np.cos(flat[slot])[..., None, :] + 2 / 3 * inner[..., :, None] * b
        return np.broadcast_to(jacobian, (*stack, out, flat[slot].shape[-1])).reshape(
            stack + shape + operands[slot].shape[lead:]
        )

    return value
