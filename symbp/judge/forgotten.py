"""Derivations with one ingredient forgotten, and the wrong gradients they lead to.

The chain rule makes a gradient a sum over all paths to the loss, and every path a product with a slope for
every nonlinear operation. One path or one slope left out at one node, and carried on by the rest of the right
derivation, is what a student gets who forgets this and nothing else, however the result is simplified.
The wrong gradients of a node are computed once, for all claims about it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.equal import same
from symbp.judge.functions import Array
from symbp.judge.lexicon import Lexicon, Slope
from symbp.judge.rewrite import ONE, everywhere, joined_sum, without
from symbp.judge.value import ShapeError

MOST_NODES, MOST = 24, 80  # nodes on the way that are looked at; wrong gradients that are kept
LINEAR = ("sum", "mean", "power")  # operations without a slope that could be forgotten as a whole


@dataclass(frozen=True)
class Forgotten:
    """What one wrong derivation leaves out, and the gradient that it gives: the value of `gradient` at
    the points. `name` is the mistake, `at` the node in whose gradient it is made, `node` the consumer
    whose slope is missing, `detail` what is left out."""

    name: str
    at: str
    detail: Tree
    gradient: Tree
    function: str = ""
    node: str = ""


@dataclass(frozen=True)
class _Change:
    """The gradient of the node `at`, with something left out."""

    at: str
    tree: Tree
    name: str
    detail: Tree
    slope: Slope | None = None


class Derivations:
    """The wrong derivations of one network."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon, self.points = lexicon, lexicon.points
        self._known: dict[str, list[Forgotten]] = {}
        self._made = 0

    def about(self, name: str) -> Sequence[Forgotten]:
        """All that can be forgotten on the way back from the loss to a node."""
        if name not in self._known:
            self._known[name] = list(itertools.islice(self._all(name), MOST))
        return self._known[name]

    def _all(self, name: str) -> Iterator[Forgotten]:
        below = self.lexicon.below(name)
        order = [n for n in self.points.derivation.adjoints if n in below or n == name]
        if not 0 < len(order) <= MOST_NODES:
            return
        changes = [change for at in reversed(order) for change in self._changes(at)]
        slopes = [x for x in changes if x.name == "missing-activation-derivative"]
        seen: list[list[Array]] = []
        ways = [[x] for x in changes] + [list(p) for p in itertools.combinations(slopes[:6], 2) if p[0].at != p[1].at]
        for way in ways:
            for found in self._made_by(way, order, name):
                values = [b.tensors[found.gradient.data[0]] for b in self.points.batches]
                if not any(same(values, other) for other in seen):
                    seen.append(values)
                    yield found

    def _changes(self, at: str) -> Iterator[_Change]:
        """What can be left out where the gradient of one node is computed."""
        raw = self.lexicon.unsimplified(at)
        if raw is None:
            return
        users = set(self.lexicon.graph.consumers().get(at, ()))
        slopes = [s for s in self.lexicon.slopes if s.node in users and s.function not in LINEAR]
        for node in users if len(users) == 1 and at in self.lexicon.graph.nodes else ():
            if raw.op == "sum" and self._sums_to_one(node, at):
                diagonal = c.product((c.name(node), c.sum_((ONE, c.name(node)), (1, -1))))
                user = c.gradient(node, self.lexicon.graph.adjoint_name(node))
                softmax = Slope(diagonal, "softmax", node, c.name(at), c.name(node), True)
                yield _Change(at, c.product((user, diagonal)), "wrong-activation-derivative", diagonal, softmax)
        if raw.op == "sum" and len(raw.args) > 1:
            for k, (term, sign) in enumerate(zip(raw.args, raw.data, strict=True)):
                rest = [i for i in range(len(raw.args)) if i != k]
                tree = joined_sum([raw.args[i] for i in rest], [raw.data[i] for i in rest])
                detail = term if sign > 0 else c.negative(term)
                guarded = _guarded(term) and all(map(_guarded, tree.args if tree.op == "sum" else (tree,)))
                case = next((s for s in slopes if s.whole), None) if guarded else None
                if guarded:  # one case of a distinction is no path
                    yield _Change(at, tree, "wrong-activation-derivative", detail, case)
                else:
                    yield _Change(at, tree, "missing-path", detail)
            if 3 <= len(raw.args) <= 6:
                for gone in itertools.combinations(range(len(raw.args)), 2):
                    rest = [i for i in range(len(raw.args)) if i not in gone]
                    tree = joined_sum([raw.args[i] for i in rest], [raw.data[i] for i in rest])
                    both = c.sum_([raw.args[i] for i in gone], [raw.data[i] for i in gone])
                    yield _Change(at, tree, "missing-path", both)
        for s in slopes:
            tree = _without_slope(raw, s.tree)
            if tree is not raw:
                yield _Change(at, tree, "missing-activation-derivative", s.tree, s)
            elif s.whole:
                user = c.gradient(s.node, self.lexicon.graph.adjoint_name(s.node))
                yield _Change(at, user, "missing-activation-derivative", s.tree, s)

    def _sums_to_one(self, node: str, at: str) -> bool:
        """Is a node a softmax, however it is written: positive, with sums that are 1?"""
        for b in self.points.batches:
            a = b.tensors[node]
            if a.ndim < 2 or a.shape != b.tensors[at].shape or not (a > 0).all():
                return False
            if not any(np.allclose(a.sum(axis=axis), 1.0) for axis in range(1, a.ndim)):
                return False
        return True

    def _made_by(self, changes: Sequence[_Change], order: Sequence[str], name: str) -> Iterator[Forgotten]:
        """The wrong gradient of `name`, if there is one and it differs from the right one."""
        wrong: dict[str, Tree] = {}
        changed = {x.at: x.tree for x in changes}
        for at in order:
            tree = changed.get(at, self.lexicon.unsimplified(at))
            if tree is None:
                return
            used = tree.gradients & wrong.keys()
            if at not in changed and not used:
                continue
            for n in used:
                tree = everywhere(tree, c.gradient(n, self.lexicon.graph.adjoint_name(n)), wrong[n])
            stand_in = self._kept(at, tree)
            if stand_in is None:
                return
            wrong[at] = stand_in
        if name not in wrong:
            return
        x = changes[0]
        detail = x.detail if len(changes) == 1 else c.product([y.detail for y in changes])
        function, node = (x.slope.function, x.slope.node) if x.slope is not None else ("", "")
        yield Forgotten(x.name, x.at, detail, wrong[name], function, node)

    def _kept(self, at: str, tree: Tree) -> Tree | None:
        """A name for the values of a wrong gradient; None where it has none, or they are the right ones."""
        found: list[Array] = []
        for b in self.points.batches:
            try:
                value = b.value(tree)
            except ShapeError:
                return None
            if value.letters or value.shape != b.tensors[at].shape[1:] or not np.isfinite(value.array).all():
                return None
            found.append(np.broadcast_to(value.array, b.tensors[at].shape))
        if same(found, [b.gradients[at] for b in self.points.batches]):
            return None
        self._made += 1
        stand_in = c.name(f"\0{self._made}")
        for b, a in zip(self.points.batches, found, strict=True):
            b.tensors[stand_in.data[0]] = a
        return stand_in


def wrong_derivations(lexicon: Lexicon) -> Derivations:
    """Those of a network, made once."""
    if lexicon.derivations is None:
        lexicon.derivations = Derivations(lexicon)
    return lexicon.derivations


def _without_slope(tree: Tree, slope: Tree) -> Tree:
    """A formula without a slope, wherever it is a factor."""
    wanted = Counter(_factors(slope))
    if tree.op == "product":
        own = _factors(tree)
        if not wanted - Counter(own) and len(own) > len(wanted.keys()):
            gone: list[int] = []
            for pair in wanted.elements():
                gone.append(next(k for k, p in enumerate(own) if p == pair and k not in gone))
            return without(tree, gone)
    if not tree.args:
        return tree
    args = [_without_slope(a, slope) for a in tree.args]
    return tree if all(a is b for a, b in zip(args, tree.args, strict=True)) else tree.with_args(args)


def _guarded(tree: Tree) -> bool:
    """Is an indicator one of the factors?"""
    return any(t.op == "compare" for t, _ in _factors(tree))


def _factors(tree: Tree) -> list[tuple[Tree, int]]:
    return list(zip(tree.args, tree.data[0], strict=True)) if tree.op == "product" else [(tree, 1)]


def claimed(left: Tree, about: str, by: Tree) -> Tree:
    """The left side of a claim, with another gradient of its node."""

    def put(tree: Tree) -> Tree:
        if tree.op == "gradient" and tree.data[0] == about:
            return by
        return tree.with_args([put(a) for a in tree.args]) if tree.args else tree

    return put(left)


__all__ = ["Derivations", "Forgotten", "claimed", "wrong_derivations"]
