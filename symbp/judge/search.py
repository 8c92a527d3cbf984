"""The smallest edit of a formula that gives it another value.

A formula is edited at one place (or at all places of one name). Where the way from the root to the
place can be inverted (sums, elementwise products, transposes), the value that the place ought to
have is known: it is looked up among the values of all parts of the right formulas, instead of
trying them one by one. Elsewhere (inside matrix products, functions and reductions) edits are tried.
What fits at the first batch of points must fit at all of them, whole, with its shape.

Every edit that fits is a `Repair`; naming and weighing them is `diagnose.py`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbp.claim import Tree
from symbp.judge.equal import OTHER, fitted, same
from symbp.judge.functions import Array
from symbp.judge.lexicon import Lexicon
from symbp.judge.pool import Pool, pool_of
from symbp.judge.rewrite import rebuilt, tidy
from symbp.judge.value import ShapeError, Value

CLOSE = 1e-6  # at the first batch; what divides loses digits


@dataclass(frozen=True)
class Repair:
    """An edit that fits: `old` at the place `path` became `new`, which makes the formula `tree`."""

    tree: Tree
    old: Tree
    new: Tree
    kind: str
    path: tuple[int, ...] = ()
    detail: Tree | None = None  # what was put in or taken out
    scalar: bool = False  # `detail` is made of numbers, sizes and coefficients …
    sizes: bool = False  # … of sizes only


@dataclass(frozen=True)
class Site:
    """A part of the formula. `wanted` is the value that would make the whole right, if known;
    `anchor` the nearest part above for which it is."""

    tree: Tree
    path: tuple[int, ...]
    wanted: Value | None
    anchor: int  # length of the path to the anchor
    above: tuple[str, ...]  # operations on the way, from the root


@dataclass(frozen=True)
class _Goal:
    """The value that a place ought to have: `array` where it is `known` (None: everywhere), within `within`."""

    kept: Array  # so that its id stays its own
    array: Array
    known: Array | None
    within: float
    first: float | None


class Search:
    """Edits of `link` that give it the values `truth`, laid out as `left` is."""

    def __init__(
        self,
        lexicon: Lexicon,
        link: Tree,
        truth: Sequence[Array],
        lefts: Sequence[Value],
        about: str,
        paper: bool,
        until: float,
        beside: Sequence[Tree] = (),
        pool: Pool | None = None,
        deep: bool = True,
    ) -> None:
        self.lexicon, self.link, self.truth, self.lefts = lexicon, link, truth, lefts
        self.about, self.paper, self.until = about, paper, until
        self.beside = (link, *beside) if link.lettered else ()
        self.batches = lexicon.points.batches
        self.batch = self.batches[0]
        self.found: dict[tuple[Tree, str], Repair] = {}
        self._goals: dict[int, _Goal] = {}
        self.tried: set[tuple[Tree, tuple[int, ...]]] = set()
        self.sites = list(self._sites()) if deep else [Site(link, (), self._root(), 0, ())]
        self.shape_fits = self.fits(link)
        self.pool = pool or pool_of(lexicon, about, paper)

    # ---- values ----------------------------------------------------------------------------------

    def value(self, tree: Tree) -> Value | None:
        """At the first batch, or None."""
        try:
            return self.batch.value(tree, self.beside)
        except ShapeError:
            return None

    def values(self, tree: Tree) -> list[Array] | None:
        """At all batches, laid out as the left side; None where it does not fit."""
        try:
            return [
                fitted(b.value(tree, self.beside), t, self.paper) for b, t in zip(self.batches, self.lefts, strict=True)
            ]
        except ShapeError:
            return None

    def fits(self, tree: Tree) -> bool:
        """Does it have the shape of the left side?"""
        return self.values(tree) is not None

    def holds(self, tree: Tree) -> bool:
        """Is this whole formula right?"""
        try:
            first = fitted(self.batch.value(tree, self.beside), self.lefts[0], self.paper)
        except ShapeError:
            return False
        if not same([first], self.truth[:1], OTHER):
            return False
        values = self.values(tree)
        return values is not None and same(values, self.truth, OTHER)

    @property
    def late(self) -> bool:
        return time.thread_time() > self.until

    # ---- places ----------------------------------------------------------------------------------

    def _sites(self) -> Iterator[Site]:
        root = self._root()
        stack = [Site(self.link, (), root, 0, ())]
        while stack:
            site = stack.pop()
            yield site
            if site.tree.op == "alias":
                continue
            for k, child in enumerate(site.tree.args):
                wanted = None if site.wanted is None else self._wanted(site.tree, k, site.wanted)
                path = (*site.path, k)
                anchor = len(path) if wanted is not None else site.anchor
                stack.append(Site(child, path, wanted, anchor, (*site.above, site.tree.op)))

    def _root(self) -> Value:
        """What the whole formula must be, laid out as the formula is: on paper a vector is a column."""
        truth, letters = self.truth[0], self.lefts[0].letters
        if not self.paper:
            return Value(truth, letters)
        lead, own = truth.shape[: 1 + len(letters)], self.lefts[0].shape
        value = self.value(self.link)
        turned = value is not None and len(value.shape) == len(own) == 2 and value.shape != own
        if value is not None and not turned and [n for n in value.shape if n != 1] == [n for n in own if n != 1]:
            own = value.shape
        elif len(own) == 1 and any(t.op == "call" and t.data[0] == "column" for t in self.link.walk()):
            own = (*own, 1)
        return Value(truth.reshape((*lead, *own)), letters)

    def _wanted(self, parent: Tree, k: int, whole: Value) -> Value | None:
        """What the k-th part must be for the parent to be `whole`; nan where anything will do."""
        if parent.op == "transpose":
            start = 1 + len(whole.letters)
            axes = (*range(start), *range(whole.array.ndim - 1, start - 1, -1))
            return Value(whole.array.transpose(axes), whole.letters)
        if parent.op not in ("sum", "product"):
            return None
        others = [(i, self.value(a)) for i, a in enumerate(parent.args) if i != k]
        if any(v is None for _, v in others):
            return None
        known = [(i, v) for i, v in others if v is not None]
        try:
            arrays, letters = self.batch.aligned([whole, *(v for _, v in known)])
        except (ShapeError, ValueError):
            return None
        if set(letters) != set(whole.letters):
            return None
        rest = arrays[0]
        with np.errstate(all="ignore"):
            try:
                if parent.op == "sum":
                    for (i, _), a in zip(known, arrays[1:], strict=True):
                        rest = rest - parent.data[i] * a
                    rest = rest * parent.data[k]
                else:
                    powers = parent.data[0]
                    for (i, _), a in zip(known, arrays[1:], strict=True):
                        divisor = a if powers[i] > 0 else 1.0 / a
                        small = np.abs(rest) <= 1e-12 * np.nanmax(np.abs(whole.array), initial=1e-300)
                        nothing = np.abs(divisor) <= 1e-13 * np.nanmax(np.abs(divisor), initial=0.0)
                        if (nothing & ~small & np.isfinite(rest)).any():
                            return None
                        rest = np.where(nothing, np.nan, rest / np.where(nothing, 1.0, divisor))
                    if powers[k] < 0:
                        rest = 1.0 / rest
                        rest = np.where(np.isfinite(rest), rest, np.nan)
            except ValueError:
                return None
        if rest.shape[1 + len(letters) :] != whole.shape or not np.isfinite(rest).any():
            return None
        return Value(rest, letters)

    def replaced(self, path: tuple[int, ...], new: Tree, start: Tree | None = None) -> Tree:
        """The formula with another part at this place."""
        tree = self.link if start is None else start
        if not path:
            return new
        chain = [tree]
        for k in path[:-1]:
            chain.append(chain[-1].args[k])
        for parent, k in zip(reversed(chain), reversed(path), strict=True):
            args = list(parent.args)
            args[k] = new
            new = rebuilt(parent, args)
        return new

    # ---- trying ----------------------------------------------------------------------------------

    def attempt(self, site: Site, new: Tree | None, kind: str, **detail: Any) -> bool:
        """Try one edit; True if it makes the formula right."""
        if new is None or new is site.tree or (new, site.path) in self.tried:
            return False
        self.tried.add((new, site.path))
        if site.wanted is not None:
            value = self.value(new)
            if value is None or not self._close(value, site.wanted):
                return False
        else:
            cut = site.anchor
            part = self._at(site.path[:cut])
            above = self._site(site.path[:cut])
            value = self.value(self.replaced(site.path[cut:], new, part))
            if value is None or above.wanted is None or not self._close(value, above.wanted):
                return False
        return self.accept(self.replaced(site.path, new), site, new, kind, **detail)

    def accept(self, tree: Tree, site: Site, new: Tree, kind: str, **detail: Any) -> bool:
        """Keep the edit if the whole formula holds everywhere."""
        if not self.holds(tree):
            return False
        tree = tidy(tree)
        self.found.setdefault((tree, kind), Repair(tree, site.tree, new, kind, site.path, **detail))
        return True

    def _at(self, path: tuple[int, ...]) -> Tree:
        tree = self.link
        for k in path:
            tree = tree.args[k]
        return tree

    def _site(self, path: tuple[int, ...]) -> Site:
        if not hasattr(self, "_by_path"):
            self._by_path = {s.path: s for s in self.sites}
        return self._by_path[path]

    def _close(self, value: Value, wanted: Value) -> bool:
        if self.paper and not set(value.letters) <= set(wanted.letters):
            return False
        goal = self._goal(wanted.array)
        a = value.array
        if value.letters == wanted.letters and a.shape == goal.array.shape:
            if goal.first is not None and not abs(a.item(0) - goal.first) <= goal.within:
                return False
            near = np.abs(a - goal.array) <= goal.within
            return bool(near.all() if goal.known is None else (near | ~goal.known).all())
        w = wanted.array
        if value.letters != wanted.letters or a.shape[1:] != w.shape[1:]:
            try:
                (a, w), _ = self.batch.aligned([value, wanted])
                np.broadcast_shapes(a.shape, w.shape)
            except (ShapeError, ValueError):
                return False
            if not self.paper and a.ndim > w.ndim:
                return False
        known = np.isfinite(w)
        try:
            d = np.abs(a - w)
        except ValueError:
            return False
        if d.shape != np.broadcast_shapes(w.shape, d.shape):
            return False
        return bool((np.where(known, d, 0.0) <= goal.within).all())

    def _goal(self, wanted: Array) -> _Goal:
        """What an array is compared with, prepared once."""
        found = self._goals.get(id(wanted))
        if found is None:
            known = np.isfinite(wanted)
            every = bool(known.all())
            array = wanted if every else np.where(known, wanted, 0.0)
            within = CLOSE * max(float(np.abs(array).max(initial=0.0)), 1e-9)
            first = float(wanted.item(0)) if wanted.size and bool(known.item(0)) else None
            found = self._goals[id(wanted)] = _Goal(wanted, array, None if every else known, within, first)
        return found


# ---- comparing with many -------------------------------------------------------------------------------


def ratio_between(value: Value, wanted: Value) -> Array | None:
    """wanted / value where that is one number for each point; None if it is not."""
    if value.letters != wanted.letters and sorted(value.letters) == sorted(wanted.letters):
        order = [1 + value.letters.index(x) for x in wanted.letters]
        rest = range(1 + len(order), value.array.ndim)
        value = Value(value.array.transpose((0, *order, *rest)), wanted.letters)
    if value.letters != wanted.letters or value.array.shape[1:] != wanted.array.shape[1:]:
        return None
    w, a = np.broadcast_arrays(wanted.array, value.array)  # one of them may be the same at all points
    w, a = w.reshape(w.shape[0], -1), a.reshape(a.shape[0], -1)
    known = np.isfinite(w) & np.isfinite(a)
    w, a = np.where(known, w, 0.0), np.where(known, a, 0.0)
    norm = (a * a).sum(axis=1)
    if not (norm > 1e-24).all() or not (np.abs(w).max(axis=1, initial=0.0) > 1e-12).all():
        return None
    ratio = (a * w).sum(axis=1) / norm
    off = np.abs(a * ratio[:, None] - w).max(axis=1, initial=0.0)
    return ratio if (off <= CLOSE * np.abs(w).max(axis=1, initial=0.0)).all() else None


def shape_of_names(tree: Tree) -> object:
    """A formula without its index letters and columns: the same for x, x_i and a column x."""
    while tree.op in ("entry", "alias") or (tree.op == "call" and tree.data[0] in ("column", "row")):
        tree = tree.args[0]
    if not tree.args:
        return (tree.op, tree.data[0])
    return (tree.op, str(tree.data), tuple(shape_of_names(a) for a in tree.args))


def proportional(matrix: Array, wanted: Array, strict: bool = False) -> list[tuple[int, int]]:
    """Rows that are the wanted values up to sign, as (row, sign)."""
    known = np.isfinite(wanted)
    if known.sum() < 2 or not len(matrix):
        return []
    w, m = wanted[known], matrix[:, known]
    size = np.abs(w).max(initial=0.0)
    if size < 1e-12:
        return []
    with np.errstate(all="ignore"):
        plus = np.abs(m - w).max(axis=1, initial=0.0)
        minus = np.abs(m + w).max(axis=1, initial=0.0)
    if strict:
        finite = np.isfinite(m).all(axis=1)
        plus, minus = np.where(finite, plus, np.inf), np.where(finite, minus, np.inf)
    found = [(int(k), 1) for k in np.flatnonzero(plus <= CLOSE * size)[:12]]
    return found + [(int(k), -1) for k in np.flatnonzero(minus <= CLOSE * size)[:12]]
