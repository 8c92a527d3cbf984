"""Letters that count layers or time steps in a student's formula.

A formula such as `dz[l] = W[l+1].T @ dz[l+1] * f_prime(z[l])` is meant for every l. A network of symbolic depth is
judged written out, so the formula is read once for each number that l can be. Where the network has numbered names
(W1, W2, …) and no loop, l (or ℓ) counts those. An index that no member has (`W[L+1]`) leaves that number out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from symbp.graph import Graph

MOST = 12  # numbers of one letter that are tried
DEPTH = 3  # a network of symbolic depth is judged with a first, a middle and a last layer


@dataclass(frozen=True)
class Counts:
    """The letters, the numbers that each can be, and the letters that stand for a last number (L, T)."""

    letters: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    ends: Mapping[str, int] = field(default_factory=dict)
    spare: tuple[str, ...] = ()  # that count only where they stand beside a number: `W_{i+1}`

    def choices(self, used: frozenset[str] | set[str]) -> Iterator[dict[str, int]]:
        """Numbers for the letters that a formula uses, the last ones first, as a backward pass goes."""
        letters = [x for x in (*self.letters, *self.spare) if x in used]
        for numbers in product(self.numbers[::-1], repeat=len(letters)):
            yield dict(zip(letters, numbers, strict=True))


NONE = Counts()


def counts(graph: Graph) -> Counts:
    """What may count in formulas about a network, as it was declared."""
    if graph.bounds:
        letters = sorted(graph.variables)
        return Counts(_also_ell(letters), tuple(range(DEPTH + 1)), dict.fromkeys(graph.bounds, DEPTH))
    families: dict[str, set[int]] = {}
    for name in graph.nodes:
        found = re.fullmatch(r"(.*?)_?([0-9]+)", name)
        if found and found[1]:
            families.setdefault(found[1], set()).add(int(found[2]))
    counted = {n for numbers in families.values() if len(numbers) > 1 for n in numbers}
    if not counted or max(counted) >= MOST:
        return Counts()
    taken = {*graph.nodes, *graph.sizes, *graph.constants}
    letters = [] if "l" in taken else ["l"]
    ends = {} if "L" in taken else {"L": max(counted)}
    return Counts(_also_ell(letters), tuple(sorted(counted)), ends, tuple(x for x in "ikn" if x not in taken))


def _also_ell(letters: list[str]) -> tuple[str, ...]:
    return (*letters, "ell") if "l" in letters else tuple(letters)
