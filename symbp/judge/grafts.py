"""Edits that put parts of the right formulas into the student's: replaced, multiplied, added.

Where the value that a place ought to have is known it is looked up (pool.py), elsewhere the parts
are tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.edits import Edits
from symbp.judge.functions import Array
from symbp.judge.pool import spread
from symbp.judge.rewrite import (
    ONE,
    UNARY,
    added,
    divided,
    everywhere,
    joined_chain,
    joined_product,
    multiplied,
    renamed,
)
from symbp.judge.search import CLOSE, Repair, Site, proportional, shape_of_names
from symbp.judge.value import Value


class Grafts(Edits):
    """All edits of a formula."""

    def first_edits(self) -> Iterator[Repair]:
        """Simple edits that do not make the formula right by themselves, for a second one to follow."""
        kept = self.tried
        noted: list[Repair] = []

        def note(tree: Tree, site: Site, new: Tree, kind: str, **detail: Any) -> bool:
            noted.append(Repair(tree, site.tree, new, kind, site.path, **detail))
            return False

        def attempt(site: Site, new: Tree | None, kind: str, **detail: Any) -> bool:
            if new is None or new is site.tree or (new, site.path) in self.tried or len(noted) > 3000:
                return False
            self.tried.add((new, site.path))
            return note(self.replaced(site.path, new), site, new, kind, **detail)

        self.tried = set()
        self.attempt, self.accept = attempt, note  # type: ignore[method-assign]
        try:
            for edits in (
                self.signs,
                self.transposes,
                self.deletions,
                self.orders,
                self.names,
                self.slopes,
                self.products,
                *(() if self.shape_fits else (self.reductions,)),
            ):
                edits()
                yield from noted
                noted.clear()
        finally:
            del self.attempt, self.accept
            self.tried = kept

    def slopes(self) -> None:
        """A part multiplied by a slope, or by a factor of one: 1 - a where a stands for a(1 - a)."""
        trees = {s.tree: None for s in self.lexicon.slopes}
        for t in [t for t in trees if t.op == "product" and t.data[0] == (1, 1)]:
            trees.update(dict.fromkeys(a for a in t.args if a.op == "sum"))
        for site in self.sites:
            if site.tree.op in ("number", "letter") or (site.above and site.above[-1] == "transpose"):
                continue
            own = self.value(site.tree)
            for t in trees:
                value = self.value(t)
                if own is not None and value is not None and value.shape == own.shape:
                    self.attempt(site, multiplied(site.tree, t), "multiply", detail=t)

    # ---- edits: parts of the right formula -------------------------------------------------------

    def lookups(self, kinds: Sequence[str] = ("replace", "multiply", "add")) -> None:
        """Replace a part, multiply it, divide it, or add to it: what is needed is known."""
        for site in self.sites:
            if site.wanted is None or self.late:
                continue
            letters = site.wanted.letters
            shape = (self.batch.count, *site.wanted.array.shape[1:])
            trees, matrix = self.pool.rows(letters, shape)
            wide = spread(site.wanted, letters, shape)
            if not trees or wide is None:
                continue
            if "replace" in kinds:
                for k, sign in proportional(matrix, wide):
                    self.attempt(site, trees[k] if sign > 0 else c.negative(trees[k]), "replace")
                if site.tree.op == "product" and len(site.tree.args) > 2:
                    self._groups(site, trees, matrix, shape)
            value = self.value(site.tree)
            own = spread(value, letters, shape) if value is not None else None
            if own is None or kinds == ("replace",):
                continue
            self._multiplied(site, trees, matrix, wide, own)
            self._added(site, trees, matrix, wide, own)

    def _groups(self, site: Site, trees: list[Tree], matrix: Array, shape: tuple[int, ...]) -> None:
        """Two or more factors of a product replaced by one part."""
        t, powers = site.tree, site.tree.data[0]
        n = len(t.args)
        assert site.wanted is not None
        for size in range(2, min(n, 4)):
            for group in itertools.combinations(range(n), size):
                rest = [i for i in range(n) if i not in group]
                others = c.product([t.args[i] for i in rest] + [ONE], [powers[i] for i in rest] + [1])
                wanted = self._wanted(others, len(rest), site.wanted)
                wide = spread(wanted, site.wanted.letters, shape) if wanted is not None else None
                if wide is None:
                    continue
                old = c.product([t.args[i] for i in group], [powers[i] for i in group])
                for k, sign in proportional(matrix, wide):
                    new = c.product([*(t.args[i] for i in rest), trees[k]], [*(powers[i] for i in rest), 1])
                    whole = self.replaced(site.path, new if sign > 0 else c.negative(new))
                    inner = Site(old, (*site.path, group[0]), None, 0, (*site.above, "product"))
                    self.accept(whole, inner, trees[k], "replace")

    def _multiplied(self, site: Site, trees: list[Tree], matrix: Array, wide: Array, own: Array) -> None:
        known = np.isfinite(wide)
        size = np.abs(wide[known]).max(initial=0.0)
        blocked = known & (own == 0) & (np.abs(wide) > 1e-9 * size)
        with np.errstate(all="ignore"):
            if not blocked.any():
                factor = np.where(own == 0, np.nan, wide / np.where(own == 0, 1.0, own))
                for k, sign in proportional(matrix, factor):
                    new = multiplied(site.tree, trees[k])
                    self.attempt(site, new if sign > 0 else c.negative(new), "multiply", detail=trees[k])
                self._two_slopes(site, factor)
                inverse = np.where(np.isfinite(matrix) & (matrix != 0), 1.0 / matrix, np.nan)
                for k, sign in proportional(inverse, factor, strict=True):
                    if trees[k] is site.tree:
                        continue
                    new = divided(site.tree, trees[k])
                    self.attempt(site, new if sign > 0 else c.negative(new), "divide", detail=trees[k])

    def _two_slopes(self, site: Site, factor: Array) -> None:
        """Two slopes that are missing at once."""
        assert site.wanted is not None
        letters, shape = site.wanted.letters, (self.batch.count, *site.wanted.array.shape[1:])
        whole = {shape_of_names(s.tree) for s in self.lexicon.slopes if s.whole}
        if len(whole) < 2:
            return
        trees, matrix = self.pool.rows(letters, shape)
        chosen = [k for k, t in enumerate(trees) if t.weight > 2 and shape_of_names(t) in whole][:24]
        rows = matrix[chosen]
        for k, a in zip(chosen, rows, strict=True):
            for m, sign in proportional(rows, np.where(a == 0, np.nan, factor / np.where(a == 0, 1.0, a))):
                if chosen[m] > k:
                    both = multiplied(trees[k], trees[chosen[m]])
                    new = multiplied(site.tree, both)
                    self.attempt(site, new if sign > 0 else c.negative(new), "multiply", detail=both)

    def _added(self, site: Site, trees: list[Tree], matrix: Array, wide: Array, own: Array) -> None:
        rest = wide - own
        for k, sign in proportional(matrix, rest):
            self.attempt(site, added(site.tree, trees[k], sign), "add", detail=trees[k])
        with np.errstate(all="ignore"):
            known = np.isfinite(rest)
            top = matrix[:, known] @ rest[known]
            norm = (matrix[:, known] ** 2).sum(axis=1)
            ratio = np.where(norm > 0, top / np.where(norm > 0, norm, 1.0), 0.0)
            off = np.abs(matrix[:, known] * ratio[:, None] - rest[known]).max(axis=1, initial=0.0)
            close = np.flatnonzero(off <= CLOSE * max(np.abs(rest[known]).max(initial=0.0), 1e-12))
        for k in close[:6]:
            for tree, sign, sizes in self.scalars_like(ratio[k : k + 1]):
                if tree is not ONE:
                    term = c.product((tree, trees[k]))
                    self.attempt(site, added(site.tree, term, sign), "add", detail=term, sizes=sizes)

    def within_chains(self) -> None:
        """A slope between two factors of a matrix product, or in the place of two factors inside one."""
        for site in self.sites:
            t = site.tree
            if self.late:
                return
            if t.op == "chain" and len(t.args) > 2:
                for k in range(2, len(t.args)):
                    for head, rest in ((t.args[:k], t.args[k:]),):
                        inner = c.chain(head)
                        own = self.value(inner)
                        for s in self.lexicon.slopes:
                            value = self.value(s.tree)
                            if own is not None and value is not None and value.shape == own.shape:
                                new = c.chain((c.product((inner, s.tree)), *rest))
                                self.attempt(site, new, "multiply", detail=s.tree)
                for k in range(1, len(t.args) - 1):
                    inner = c.chain(t.args[k:])
                    own = self.value(inner)
                    for s in self.lexicon.slopes:
                        value = self.value(s.tree)
                        if own is not None and value is not None and value.shape == own.shape:
                            self.attempt(
                                site, c.chain((*t.args[:k], c.product((inner, s.tree)))), "multiply", detail=s.tree
                            )
            if t.op == "product" and len(t.args) > 1 and site.wanted is None:
                self._slopes_for_factors(site, t)

    def _slopes_for_factors(self, site: Site, t: Tree) -> None:
        n, powers = len(t.args), t.data[0]
        own = self.value(t)
        for size in range(1, min(n, 4)):
            for group in itertools.combinations(range(n), size):
                rest = [i for i in range(n) if i not in group]
                old = joined_product([t.args[i] for i in group], [powers[i] for i in group])
                for s in self.lexicon.slopes:
                    value = self.value(s.tree)
                    if own is None or value is None or value.shape != own.shape:
                        continue
                    factors, signs = [*(t.args[i] for i in rest), s.tree], [*(powers[i] for i in rest), 1]
                    whole = c.product(factors, signs)
                    inner = Site(old, (*site.path, group[0]), None, 0, (*site.above, "product"))
                    self.try_whole(self.replaced(site.path, whole), inner, s.tree, "replace")

    def try_whole(self, tree: Tree, site: Site, new: Tree, kind: str, **detail: Any) -> None:
        """Try a whole formula that no single place makes."""
        self.accept(tree, site, new, kind, **detail)

    def everywhere(self) -> None:
        """The same edit at all places: f(x) by x, all sums by means, a coefficient at every use of a name."""
        self._scaled_everywhere()
        for t in {s.tree for s in self.sites if s.tree.op == "call" and s.tree.data[0] in UNARY}:
            if sum(s.tree is t for s in self.sites) > 1:
                self.accept(everywhere(self.link, t, t.args[0]), self._first(t), t.args[0], "function")
        for a, b in (("sum", "mean"), ("mean", "sum")):
            whole = renamed(self.link, a, b)
            if whole is not self.link:
                site = next((s for s in self.sites if s.tree.op == "call" and s.tree.data[0] == a), self.sites[0])
                self.accept(whole, site, renamed(site.tree, a, b), "mean")
        for t in {s.tree for s in self.sites if s.tree.op == "name"}:
            if sum(s.tree is t for s in self.sites) > 1:
                for f in dict.fromkeys(s.function for s in self.lexicon.slopes):
                    if f in UNARY:
                        self.accept(
                            everywhere(self.link, t, c.call(f, (t,))), self._first(t), c.call(f, (t,)), "function"
                        )

    def _scaled_everywhere(self) -> None:
        for t in {s.tree for s in self.sites if s.tree.op in ("name", "entry") and s.tree.data[0] not in UNARY}:
            if sum(s.tree is t for s in self.sites) > 1:
                for tree, sizes in self.lexicon.scalars:
                    if tree.op == "name" and tree is not t:
                        new = c.product((tree, t))
                        whole = everywhere(self.link, t, new)
                        self.accept(whole, self._first(t), new, "scale", detail=tree, scalar=True, sizes=sizes)

    def parts_for(self, own: Value | None) -> list[tuple[Tree, Value]]:
        """Parts of the right formulas, spelled as a part of the student's formula is."""
        if own is None or not own.letters:
            return self.pool.parts
        return self.pool.lettered(own.letters, own.array.shape[1 : 1 + len(own.letters)])

    def grafts(self) -> None:
        """Inside matrix products and functions: replace or multiply by parts of the right formula."""
        slopes = {shape_of_names(s.tree) for s in self.lexicon.slopes}
        for site in self.sites:
            if site.wanted is not None or site.tree.op in ("number", "letter"):
                continue
            own = self.value(site.tree)
            parent = site.above[-1] if site.above else ""
            for tree, value in self.parts_for(own):
                if self.late:
                    return
                fits = own is None or (value.shape == own.shape and set(value.letters) <= set(own.letters))
                if fits or parent == "chain":
                    self.attempt(site, tree, "replace")
                if own is None:
                    continue
                like = shape_of_names(tree) in slopes
                if fits or not value.shape or (len(value.shape) == len(own.shape) and like):
                    self.attempt(site, multiplied(site.tree, tree), "multiply", detail=tree)
                    if (like or tree.op in ("name", "entry")) and tree is not site.tree:
                        self.attempt(site, divided(site.tree, tree), "divide", detail=tree)
                if fits and tree.op != "number":
                    for sign in (1, -1):
                        self.attempt(site, added(site.tree, tree, sign), "add", detail=tree)

    def insertions(self) -> None:
        """A matrix factor more: from the left or the right, or an outer product."""
        for site in self.sites:
            if site.tree.op in ("number", "letter") or self.late:
                continue
            own = self.value(site.tree)
            if own is None or not own.shape or (site.above and site.above[-1] == "transpose"):
                continue
            for tree, value in self.pool.parts:
                if tree.weight > 6 or not value.shape or (tree.weight > 1 and site.path):
                    continue
                factors = (tree, c.transpose(tree)) if len(value.shape) == 2 else (tree,)
                for factor in factors:
                    self.attempt(site, joined_chain((factor, site.tree)), "insert", detail=factor)
                for factor in factors:
                    self.attempt(site, joined_chain((site.tree, factor)), "insert", detail=factor)
                if len(value.shape) == 1 == len(own.shape):
                    self.attempt(site, c.call("outer", (site.tree, tree)), "insert", detail=tree)
                    self.attempt(site, c.call("outer", (tree, site.tree)), "insert", detail=tree)
