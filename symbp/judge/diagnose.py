"""The name of a mistake: the cheapest edit that mends the student's formula, and what it touched.

Three ways to an explanation, weighed in one list: edits of the student's formula (`search.py`);
edits of the right formula that lead to the student's value, which explain a line that was
simplified after the mistake; and two edits, where one does not do. The name follows from what the
edit took out and put in: a number, sizes, a slope of the network, a factor of the chain, a path.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from symbp import claim as c
from symbp.claim import Claim, Tree
from symbp.judge.equal import OTHER, same
from symbp.judge.forgotten import Forgotten, claimed, wrong_derivations
from symbp.judge.functions import Array
from symbp.judge.grafts import Grafts
from symbp.judge.lexicon import Lexicon
from symbp.judge.naming import COST, RIVAL, Mistake, Namer
from symbp.judge.rewrite import added, flattened
from symbp.judge.search import Repair, ratio_between
from symbp.judge.value import ShapeError, Value


def diagnose(
    lexicon: Lexicon, claim: Claim, link: Tree, values: Sequence[Array] | None, truth: Sequence[Array], seconds: float
) -> Mistake:
    """Why `link` does not have the values `truth`; the name "other" if nothing is found."""
    assert claim.left is not None
    start = time.thread_time()
    lefts = lexicon.points.value(claim.left, claim.links)
    paper, until = claim.notation != "numpy", start + 0.5 * seconds
    if paper:
        link = flattened(link)
    with np.errstate(all="ignore"):
        search = Grafts(lexicon, link, truth, lefts, claim.about, paper, until, (claim.left,))
        found = Explanations(lexicon, search, claim.left)
        mistake = found.single(values)
        if mistake is None or mistake.cost > 9.5 or mistake.name == "other":
            double = found.double(values, start + seconds)
            most = 99.0 if mistake is None else 14.0 if mistake.name == "other" else mistake.cost
            if double is not None and double.cost < most:
                mistake = double
    return mistake or Mistake("other")


MOST_FITTING = 30  # first edits of one kind that a second one anywhere may follow


def _cheaper(a: Mistake | None, b: Mistake | None) -> Mistake | None:
    return b if a is None or (b is not None and b.cost < a.cost) else a


class Explanations:
    """All explanations of one wrong formula that were found so far."""

    def __init__(self, lexicon: Lexicon, search: Grafts, left: Tree | None = None) -> None:
        self.lexicon, self.search, self.left = lexicon, search, left
        self.namer = Namer(lexicon, search)
        self.mistakes: list[Mistake] = []
        self.seen = 0

    def single(self, values: Sequence[Array] | None) -> Mistake | None:
        """The cheapest explanation by one edit."""
        s = self.search
        tiers: list[tuple[float, Sequence[Callable[[], None]]]] = [
            (3.0, (s.ratios,)),
            (4.6, (s.signs, s.transposes, s.indices)),
            (4.6, (s.orders, s.deletions)),
            (5.0, (s.reductions, s.products, s.lookups)),
            (5.5, (s.within_chains, s.names, s.brackets, s.letters, s.numbers, s.everywhere)),
            (5.8, (lambda: self.forgotten(values), lambda: self.backwards(values))),
            (6.0, (s.functions, s.symmetric)),
            (99.0, (s.grafts, s.insertions)),
        ]
        for floor, edits in tiers:
            if floor == 5.0:
                self._prepared(lambda: (s.pool.parts, self.lexicon.slopes))
            for edit in edits:
                edit()
            self._collect()
            best = self.best
            if best is not None and best.cost <= floor:
                break
            if s.late:
                break
        return self._chosen()

    def _prepared(self, make: Callable[[], object]) -> None:
        """What is made once for all claims is not taken off the time of this one."""
        start = time.thread_time()
        make()
        self.search.until += time.thread_time() - start

    @property
    def best(self) -> Mistake | None:
        return min(self.mistakes, key=lambda m: m.cost, default=None)

    def _collect(self) -> None:
        repairs = list(self.search.found.values())
        for r in repairs[self.seen :]:
            self.mistakes.append(self.namer(r))
        self.seen = len(repairs)

    def _chosen(self) -> Mistake | None:
        best = self.best
        if best is None:
            return None
        own = [m for m in self.mistakes if m.name == best.name and m.tree is not None and m.cost <= best.cost + RIVAL]
        if own:
            like = min(own, key=lambda m: m.cost)
            said = best.kind in ("forgotten", "product-rule")  # says more than the edit that mends it
            if not said:
                best = like
            elif best.tree is None and not like.whole:
                best = replace(best, tree=like.tree, old=like.old, new=like.new)
        also = {m.name: m.cost for m in sorted(self.mistakes, key=lambda m: -m.cost) if m.name != best.name}
        near = tuple(n for n, cost in sorted(also.items(), key=lambda x: x[1]) if cost <= best.cost + RIVAL)
        return replace(best, also=near)

    # ---- from the right derivation ---------------------------------------------------------------

    def forgotten(self, values: Sequence[Array] | None) -> None:
        """The right derivation without one of its paths or slopes, carried on to this gradient."""
        s = self.search
        if values is None or not s.about or self.left is None:
            return
        self._prepared(lambda: wrong_derivations(self.lexicon).about(s.about))
        for x in wrong_derivations(self.lexicon).about(s.about):
            if s.late:
                return
            left = claimed(self.left, s.about, x.gradient)
            try:
                wrong = [v.array for v in self.lexicon.points.value(left, (s.link,))]
            except ShapeError:
                continue
            if not same(values, wrong, OTHER):
                continue
            tree = self._mended(x) if x.at == s.about else None
            rule = x.name == "missing-path" and len(self.lexicon.graph.consumers()[x.at]) == 1
            cost = COST[x.name] + (0.2 if x.at == s.about else 0.6) - (0.5 if x.name.startswith("wrong") else 0.0)
            if rule:
                cost += 0.7  # of the product rule inside one node
            self.mistakes.append(
                Mistake(
                    x.name,
                    tree,
                    s.link,
                    tree,
                    x.detail,
                    kind="product-rule" if rule else "forgotten",
                    slope=x.detail if x.function else None,
                    function=x.function,
                    node=x.node or x.at,
                    at=x.at,
                    whole=True,
                    cost=cost,
                )
            )

    def _mended(self, x: Forgotten) -> Tree | None:
        """The student's formula with what was forgotten put back, if it is as simple as that."""
        s = self.search
        if x.name != "missing-path" or s.lefts[0].letters:
            return None
        tree = added(s.link, s.pool.on_paper(x.detail) if s.paper else x.detail, 1)
        return tree if s.holds(tree) else None

    # ---- from the right formula ------------------------------------------------------------------

    def backwards(self, values: Sequence[Array] | None) -> None:
        """Edits of the right formula that lead to the student's value."""
        s = self.search
        if values is None or not s.about or not all(np.isfinite(v).all() for v in values):
            return
        truth = [np.broadcast_to(v, t.shape) for v, t in zip(values, s.truth, strict=True)]
        self._slope_of_one(truth)
        for form in self.lexicon.forms(s.about)[:2]:
            if s.late:
                return
            other = Grafts(self.lexicon, form, truth, s.lefts, s.about, s.paper, s.until, pool=s.pool)
            for edit in (other.ratios, other.signs, other.deletions, other.term_pairs, other.transposes, other.means):
                edit()
            if form.weight < 40:
                other.lookups(("replace",))
            for r in other.found.values():
                self.mistakes.append(Namer(self.lexicon, other, s.link).inverse(r, form))

    def _slope_of_one(self, truth: Sequence[Array]) -> None:
        """The gradient of a node further on, in the place of this one's: its slope is missing."""
        s = self.search
        for name in self.lexicon.below(s.about):
            gradients = [b.gradients[name] for b in s.batches]
            if gradients[0].shape[1:] != truth[0].shape[1:] or not same(truth, gradients):
                continue
            body = self.lexicon.definitions.get(name)
            slope = next((x for x in self.lexicon.slopes if x.node == name), None)
            function = slope.function if slope is not None else ""
            if body is not None and body.op == "call":
                function = str(body.data[0])
            label = "missing-activation-derivative" if function else "missing-factor"
            self.mistakes.append(
                Mistake(label, None, function=function, node=name, kind="slope-of-one", cost=COST[label] + 0.2)
            )

    def _exchanged_slope(self, gone: Mistake, put: Mistake) -> Mistake | None:
        """One factor taken out and a slope put in is one mistake: the slope was taken of something else."""
        if gone.detail is None or put.detail is None or 2 * gone.detail.weight > self.search.link.weight:
            return None
        a, b = self.search.value(gone.detail), self.search.value(put.detail)
        if a is not None and b is not None and ratio_between(a, b) is not None:
            return None  # the same slope, multiplied in another way
        of_another = gone.detail.op == put.detail.op and len(gone.detail.args) == len(put.detail.args)
        name = "wrong-argument" if of_another else "wrong-activation-derivative"
        cost = COST[name] + 1.0
        return replace(put, name=name, old=gone.detail, new=put.detail, kind="replace", whole=False, cost=cost)

    # ---- two mistakes ----------------------------------------------------------------------------

    def double(self, values: Sequence[Array] | None, until: float) -> Mistake | None:
        """Two edits: in two summands, or one edit and then a closing test."""
        best = self._by_terms(until)
        for old, new, path in self._places():
            best = _cheaper(best, self._within(old, new, path, until))
        return best or self._closing(until)

    def _places(self) -> list[tuple[Tree, Tree, tuple[int, ...]]]:
        """Parts of the formula outside of which all is right, and what should stand there: the smallest ones."""
        replaced = [r for r in self.search.found.values() if r.kind == "replace" and r.path and r.old.weight > 4]
        small = sorted(replaced, key=lambda r: (r.old.weight, abs(r.new.weight - r.old.weight)))
        return [(r.old, r.new, r.path) for r in small[:3]]

    def _within(self, old: Tree, new: Tree, path: tuple[int, ...], until: float) -> Mistake | None:
        """Two mistakes inside one part of the formula."""
        s = self.search
        try:
            lefts = self.lexicon.points.value(new)
        except ShapeError:
            return None
        inner = Grafts(self.lexicon, old, [v.array for v in lefts], lefts, s.about, s.paper, until, s.beside, s.pool)
        double = Explanations(self.lexicon, inner)._closing(min(until, time.thread_time() + 0.3))
        if double is None or double.tree is None or double.second is None:
            return None
        whole = s.replaced(path, double.tree)
        if not s.holds(whole):
            return None
        return replace(double, tree=whole, second=replace(double.second, tree=whole))

    def _by_terms(self, until: float) -> Mistake | None:
        """Summands matched with those of a right formula; each of two wrong ones mended alone."""
        s = self.search
        if s.link.op != "sum" or len(s.link.args) < 2:
            return None
        for form in self.lexicon.forms(s.about) if s.about else ():
            if form.op != "sum" or len(form.args) < 2 or time.thread_time() > until:
                continue
            right = list(zip(form.args, form.data, strict=True))
            wrong: list[tuple[int, Tree, int]] = []
            for k, (term, sign) in enumerate(zip(s.link.args, s.link.data, strict=True)):
                match = next((r for r in right if r[1] == sign and self._equal(term, r[0])), None)
                if match is not None:
                    right.remove(match)
                else:
                    wrong.append((k, term, sign))
            if len(wrong) != 2 or len(right) != 2:
                continue
            for order in (right, right[::-1]):
                mended: list[Mistake] = []
                whole = s.link
                for (k, term, sign), (goal, goal_sign) in zip(wrong, order, strict=True):
                    m = self._mend(term, goal, sign * goal_sign, until)
                    if m is None or m.tree is None:
                        break
                    mended.append(m)
                    whole = s.replaced((k,), m.tree, whole)
                if len(mended) == 2 and s.holds(whole):
                    second = replace(mended[1], tree=whole)
                    return replace(mended[0], tree=whole, second=second, cost=mended[0].cost + mended[1].cost)
        return None

    def _equal(self, a: Tree, b: Tree) -> bool:
        try:
            return same(
                [v.array for v in self.lexicon.points.value(a)], [v.array for v in self.lexicon.points.value(b)]
            )
        except ShapeError:
            return False

    def _mend(self, term: Tree, goal: Tree, sign: int, until: float) -> Mistake | None:
        try:
            lefts = self.lexicon.points.value(goal if sign > 0 else c.negative(goal))
        except ShapeError:
            return None
        s = self.search
        truth = [v.array for v in lefts]
        inner = Grafts(self.lexicon, term, truth, lefts, s.about, s.paper, s.until, s.beside, s.pool)
        inner.until = min(until, time.thread_time() + 0.3)
        return Explanations(self.lexicon, inner).single(None)

    def _closing(self, until: float) -> Mistake | None:
        """After each simple edit: is the rest a number, a sign, a transpose, a slope or a factor?"""
        s = self.search
        s.until = until
        best: Mistake | None = None
        fitting: list[tuple[Repair, Value]] = []
        count: Counter[str] = Counter()
        own = s.value(s.link)
        for repair in list(s.first_edits()):
            if time.thread_time() > until:
                return best
            value = s.value(repair.tree)
            if value is None or not np.isfinite(value.array).all() or not np.abs(value.array).max(initial=0.0):
                continue
            if own is not None and value.letters == own.letters and np.array_equal(value.array, own.array):
                continue
            if count[repair.kind] < MOST_FITTING and (s.shape_fits or s.fits(repair.tree)):
                count[repair.kind] += 1
                fitting.append((repair, value))
            best = _cheaper(best, self._close(repair, value, False))
            if best is not None and best.cost < 9:
                return best
        for repair, value in fitting:  # the second may be anywhere
            if time.thread_time() > until or (best is not None and best.cost < 9):
                break
            best = _cheaper(best, self._close(repair, value, True))
        return best

    def _close(self, repair: Repair, value: Value, anywhere: bool) -> Mistake | None:
        """The second edit of an edited formula: at the root, or anywhere."""
        s = self.search
        lefts, beside = s.lefts, s.beside
        inner = Grafts(
            self.lexicon, repair.tree, s.truth, lefts, s.about, s.paper, s.until, beside, s.pool, deep=anywhere
        )
        inner.ratios()
        if not inner.found and anywhere:
            for edit in (inner.signs, inner.transposes, inner.deletions, inner.slopes, inner.numbers, inner.names):
                edit()
        if not inner.found and len(value.shape) == 2 and 1 not in value.shape:
            inner.sites = inner.sites[:1]
            inner.transposes()
        if not inner.found:
            inner.sites = inner.sites[:1]
            inner.lookups(("multiply", "add"))
        if not inner.found:
            return None
        namer = Namer(self.lexicon, inner)
        second = min((namer(r) for r in inner.found.values()), key=lambda m: m.cost)
        first = self.namer(repair)
        if {first.name, second.name} <= {"extra-term", "missing-path", "missing-term"}:
            return None
        if first.name == "extra-term" and second.name in ("missing-factor", "missing-path"):
            return None
        if first.name == "extra-term" and second.name == "missing-activation-derivative":
            return self._exchanged_slope(first, second)
        return replace(first, tree=second.tree, second=second, cost=first.cost + second.cost)
