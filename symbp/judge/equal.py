"""Are two values the same? The numbers decide, at every point of every batch.

Two values agree when no entry differs by more than `SAME`, relative to the largest entry at its
point; they differ when one does by more than `OTHER`. In between nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symbp.judge.functions import Array
from symbp.judge.value import ShapeError, Value

SAME, OTHER = 1e-9, 1e-7
CLEAR = 1e-13  # up to here a difference is rounding, and nothing else
NOTHING = 1e-11  # a truth that is as small as this at every point is rounding


@dataclass(frozen=True)
class Difference:
    """How far a value is from the truth: the largest relative error, and where. `strange` says that
    the value is not finite somewhere where the truth is."""

    error: float
    batch: int = 0
    index: tuple[int, ...] = ()  # point, then entry
    strange: bool = False


def fitted(value: Value, truth: Value, paper: bool) -> Array:
    """The array of a value, laid out as the truth is; raises ShapeError. On paper axes of length 1
    do not count (but an n × 1 matrix is no 1 × n matrix), and a letter that does not occur means the
    same for all its values."""
    a, t = value.array, truth.array
    if not paper:
        if value.shape != truth.shape or value.letters != truth.letters:
            raise ShapeError("the shape is not that of the variable", None, (value.shape, truth.shape))
        return a
    extra = [x for x in value.letters if x not in truth.letters]
    if extra:
        raise ShapeError(f"the index {extra[0]} is free: the left side does not have it")
    own, wanted = [n for n in value.shape if n != 1], [n for n in truth.shape if n != 1]
    turned = len(value.shape) == len(truth.shape) == 2 and value.shape != truth.shape
    if own != wanted or turned:
        raise ShapeError("the shape is not that of the left side", None, (value.shape, truth.shape))
    order = [value.letters.index(x) for x in truth.letters if x in value.letters]
    rest = range(1 + len(value.letters), a.ndim)
    a = a.transpose((0, *[1 + i for i in order], *rest))
    kept = [x for x in truth.letters if x in value.letters]
    lengths = [a.shape[1 + kept.index(x)] if x in kept else 1 for x in truth.letters]
    a = a.reshape((a.shape[0], *lengths, *truth.shape))
    for n, m in zip(a.shape[1:], t.shape[1:], strict=True):
        if n not in (1, m):
            raise ShapeError("an index runs over another range than on the left side")
    return np.broadcast_to(a, (a.shape[0], *t.shape[1:]))


def difference(values: Sequence[Array], truths: Sequence[Array]) -> Difference:
    """The largest relative difference over all batches."""
    worst = Difference(0.0)
    for n, (a, t) in enumerate(zip(values, truths, strict=True)):
        d = relative(a, t)
        strange = ~np.isfinite(d)
        if strange.any():
            return Difference(float("inf"), n, _index(strange), True)
        most = float(d.max(initial=0.0))
        if most > worst.error:
            worst = Difference(most, n, _index(d >= most))
    return worst


def relative(a: Array, t: Array) -> Array:
    """|a − t| relative to the largest |t| at each point; 0 where the truth is not finite."""
    known = np.isfinite(t)
    t = np.where(known, t, 0.0)
    axes = tuple(range(1, t.ndim))
    size = np.abs(t).max(axis=axes, keepdims=True, initial=0.0) if axes else np.abs(t)
    overall = float(size.max(initial=0.0))
    size = np.maximum(size, 1e-6 * overall if overall > NOTHING else 1.0)
    with np.errstate(all="ignore"):
        return np.asarray(np.where(known, np.abs(a - t) / size, 0.0))


def clear(truths: Sequence[Array]) -> bool:
    """Are these finite numbers, and not so small that they may be rounding?"""
    return all(np.isfinite(t).all() and (np.abs(t).max(initial=0.0) > NOTHING or not t.any()) for t in truths)


def same(values: Sequence[Array], truths: Sequence[Array], within: float = SAME) -> bool:
    """Do all arrays agree? Stops at the first that does not."""
    for a, t in zip(values, truths, strict=True):
        if a.shape[1:] != t.shape[1:]:
            return False
        if not (relative(a, t) <= within).all():
            return False
    return True


def _index(mask: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))
