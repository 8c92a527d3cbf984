"""Parts of the right formulas, as they would stand in a student's formula, with their values.

A student writes arrays, columns on paper, or entries with index letters. The pool writes every part
in the way that a place of the formula asks for, and keeps the values of all parts that fit there
as the rows of one matrix, so that looking up a needed value is one comparison.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.functions import Array
from symbp.judge.lexicon import Lexicon
from symbp.judge.value import Batch, ShapeError, Value

MOST = 1200  # spellings with index letters for one place


class Pool:
    """The parts for a claim about `about`, at one batch of points."""

    def __init__(self, lexicon: Lexicon, batch: Batch, about: str, paper: bool) -> None:
        self.lexicon, self.batch, self.about, self.paper = lexicon, batch, about, paper
        self._parts: list[tuple[Tree, Value]] | None = None
        self._spelled: dict[tuple[tuple[str, int], ...], list[tuple[Tree, Value]]] = {}
        self._rows: dict[tuple[tuple[str, ...], tuple[int, ...]], tuple[list[Tree], Array]] = {}

    def value(self, tree: Tree) -> Value | None:
        """The value of a tree, or None."""
        try:
            return self.batch.value(tree)
        except ShapeError:
            return None

    @property
    def parts(self) -> list[tuple[Tree, Value]]:
        """Every part as an array; on paper vectors are columns."""
        if self._parts is None:
            found: dict[Tree, Value] = {}
            for tree in self.lexicon.parts(self.about):
                value = self.value(tree)
                if value is None or not np.isfinite(value.array).all():
                    continue
                if self.paper and len(value.shape) == 1:
                    tree = self.on_paper(tree)
                    value = self.value(tree) or value
                found[tree] = value
            self._parts = list(found.items())
        return self._parts

    def on_paper(self, tree: Tree) -> Tree:
        """A vector as a column, written as one."""
        value = self.value(tree)
        if value is None or len(value.shape) != 1:
            return tree
        if tree.op in ("sum", "product", "power", "compare") and self._even(tree, 1):
            return tree.with_args([self.on_paper(a) for a in tree.args])
        return c.column(tree)

    def _even(self, tree: Tree, axes: int) -> bool:
        """Do all parts have this many axes, or none?"""
        values = [self.value(a) for a in tree.args]
        return all(v is not None and len(v.shape) in (0, axes) for v in values)

    def lettered(self, letters: tuple[str, ...], extents: tuple[int, ...]) -> list[tuple[Tree, Value]]:
        """Every part with index letters from these, in every order that fits."""
        key = tuple(zip(letters, extents, strict=True))
        if key not in self._spelled:
            self._spelled[key] = list(itertools.islice(self._entries(letters, extents), MOST))
        return self._spelled[key]

    def _entries(self, letters: tuple[str, ...], extents: tuple[int, ...]) -> Iterator[tuple[Tree, Value]]:
        length = dict(zip(letters, extents, strict=True))
        for tree in self.lexicon.parts(self.about):
            value = self.value(tree)
            if value is None or value.letters or not np.isfinite(value.array).all():
                continue
            n = len(value.shape)
            if not n:
                yield tree, value
                continue
            for order in itertools.permutations(letters, n):
                if all(length[x] == m for x, m in zip(order, value.shape, strict=True)):
                    yield self.indexed(tree, order), Value(value.array, order)

    def indexed(self, tree: Tree, letters: tuple[str, ...]) -> Tree:
        """The entry of a part at these letters, written as entries of its names."""
        value = self.value(tree)
        if value is None or not value.shape:
            return tree
        elementwise = tree.op in ("sum", "product", "power", "compare")
        elementwise |= tree.op == "call" and tree.data[0] in self.lexicon.graph.table and not tree.data[1]
        if elementwise and self._even(tree, len(letters)):
            return tree.with_args([self.indexed(a, letters) for a in tree.args])
        return c.entry(tree, *letters)

    def rows(self, letters: tuple[str, ...], shape: tuple[int, ...]) -> tuple[list[Tree], Array]:
        """The parts that broadcast to a shape (points, letters, axes), and their values as rows."""
        key = (letters, shape)
        if key not in self._rows:
            trees: list[Tree] = []
            rows: list[Array] = []
            inner = shape[1 + len(letters) :]
            source = self.parts if not letters else self.lettered(letters, shape[1 : 1 + len(letters)])
            if letters and any(n != 1 for n in inner):
                source = []
            for tree, value in source:
                row = spread(value, letters, shape)
                if row is not None:
                    trees.append(tree)
                    rows.append(row)
            self._rows[key] = (trees, np.array(rows) if rows else np.zeros((0, int(np.prod(shape)))))
        return self._rows[key]


def pool_of(lexicon: Lexicon, about: str, paper: bool) -> Pool:
    """The parts for claims about `about`, at the first batch; made once."""
    if (about, paper) not in lexicon.pools:
        lexicon.pools[about, paper] = Pool(lexicon, lexicon.points.batches[0], about, paper)
    return lexicon.pools[about, paper]


def spread(value: Value, letters: tuple[str, ...], shape: tuple[int, ...]) -> Array | None:
    """A value laid out in this shape (points, letters, axes) as one row; None if it does not fit."""
    if not set(value.letters) <= set(letters) or len(value.shape) > len(shape) - 1 - len(letters):
        return None
    a = value.array
    order = sorted(range(len(value.letters)), key=lambda i: letters.index(value.letters[i]))
    a = a.transpose((0, *[1 + i for i in order], *range(1 + len(value.letters), a.ndim)))
    found = iter(a.shape[1:])
    lengths = [next(found) if x in value.letters else 1 for x in letters]
    missing = len(shape) - 1 - len(letters) - len(value.shape)
    a = a.reshape((a.shape[0], *lengths, *(1,) * missing, *value.shape))
    try:
        return np.broadcast_to(a, shape).ravel()
    except ValueError:
        return None
