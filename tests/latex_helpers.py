"""What the tests of the LaTeX reader share: a reader for a network text, and whether a claim holds by value."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from symbp.claim import Claim, Tree
from symbp.judge.equal import difference, fitted
from symbp.judge.lines import Lines
from symbp.judge.points import Points
from symbp.judge.value import ShapeError
from symbp.read.network import read_network


@lru_cache(maxsize=64)
def points_of(net: str) -> Points:
    return Points(read_network(net))


def lines_of(net: str, *lets: str) -> Lines:
    """A fresh reader: definitions of one test are unknown to the next."""
    points = points_of(net)
    for batch in points.batches:
        batch.definitions.clear()
        batch.forget()
    return Lines(points, lets)


def holds(points: Points, claim: Claim) -> bool:
    """Whether every link of a claim that was read has the value of its left side at every point."""
    assert not claim.problem, claim.message
    assert claim.left is not None
    return all(_same(points, claim.left, link) for link in claim.links)


def _same(points: Points, left: Tree, link: Tree) -> bool:
    try:
        for batch in points.batches:
            truth, value = batch.value(left, (link,)), batch.value(link, (left,))
            found = difference([fitted(value, truth, True)], [truth.array])
            if not found.error <= 1e-7 and np.abs(truth.array).max(initial=0.0) > 1e-11:
                return False
    except ShapeError:
        return False
    return True


def verdict(points: Points, claim: Claim) -> str:
    """right, wrong, or why the claim was not read."""
    if claim.problem:
        return claim.problem
    if claim.left is None:
        return "definition" if claim.defines else "undefined"
    return "right" if holds(points, claim) else "wrong"
