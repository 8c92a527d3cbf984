"""Lines of a student to claims, in whichever notation they are written.

A line with a command, a caret or a braced script is LaTeX; one with `@`, `**` or `.T` is NumPy. Anything else is tried
as NumPy first, then as LaTeX. Definitions of either notation are known to later lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from symbp.chain import SLOPE_LAWS
from symbp.claim import Claim, Tree
from symbp.errors import DeclarationError, Place, ReadError
from symbp.judge.equal import same
from symbp.judge.points import Points
from symbp.judge.value import ShapeError
from symbp.ops import ROWS
from symbp.read.claims import ClaimReader, Unread, read_expression
from symbp.read.counts import NONE, Counts
from symbp.read.homework import read_program

if TYPE_CHECKING:
    from symbp.read.document import Found
    from symbp.read.latex.macros import Macro
    from symbp.read.latex.reader import LatexReader

_LATEX = re.compile(r"\\[A-Za-z,;:!|{}()\[\] ]|[_^]\s*\{|\^|\$|[∂∇⊙∘Σ·−ᵀ₀-₉]|\.[*/] ")
_NUMPY = re.compile(r"@|\*\*|\bnp\.|\bnumpy\.|\.T\b|\.(?:sum|mean|dot|reshape|transpose)\(|axis\s*=|keepdims")


NO_EQUATION = "this is no equation"
_LAWS = (*(op.law for op in ROWS if op.law), *SLOPE_LAWS.values())
QUOTED = frozenset({*_LAWS, *(re.split(r" ?\\text|, \\;", law)[0] for law in _LAWS)})
"""Rules of calculus as symbp quotes them beside a step: they are in letters of their own, and about no network."""


class Evaluator:
    """The points of a network, as the LaTeX reader asks them: what fits, and what is the same."""

    def __init__(self, points: Points) -> None:
        self.points = points

    def shape(self, tree: Tree) -> tuple[tuple[str, ...], tuple[int, ...]]:
        return self.points.shape(tree)

    def same(self, a: Tree, b: Tree) -> bool:
        """Whether two trees have the same values at all points (not whether a claim is true)."""
        try:
            pairs = list(zip(self.points.value(a), self.points.value(b), strict=True))
        except ShapeError:
            return False
        if any(x.shape != y.shape or x.letters != y.letters for x, y in pairs):
            return False
        return same([x.array for x, _ in pairs], [y.array for _, y in pairs])

    def define(self, name: str, tree: Tree) -> None:
        self.points.define(name, tree)


class Lines:
    """Reads one student's lines about one network."""

    def __init__(
        self,
        points: Points,
        lets: Iterable[str] = (),
        macros: Mapping[str, Macro] | None = None,
        counts: Counts = NONE,
    ) -> None:
        self.points, self.lets, self.macros, self.counts = points, list(lets), macros or {}, counts
        self.numpy = ClaimReader(points.graph)
        self.numpy.counts = counts
        for let in self.lets:  # a bad one is an error of the call, not of a line
            self.latex.let(*split_let(let))

    @cached_property
    def latex(self) -> LatexReader:
        from symbp.read.latex.reader import LatexReader

        return LatexReader(
            self.points.graph, Evaluator(self.points), self._expression, macros=self.macros, counts=self.counts
        )

    def _expression(self, text: str, letters: Collection[str]) -> Tree:
        try:
            return read_expression(self.points.graph, text, letters)
        except Unread as error:
            raise ReadError(f"--let: {text[:80]}: {error}") from None

    def line(self, text: str, about: str = "", place: Place | None = None) -> Claim:
        """The claim of one line."""
        if not self.points.batches:
            return self.numpy.line(text, about, place)
        if _LATEX.search(text) and not re.search(r"\bnp\.", text):
            return _subject(self.latex.read_line(text, about, place))
        if _NUMPY.search(text):
            return self.numpy.line(text, about, place)
        first = self.numpy.line(text, about, place)
        if not first.problem and not first.defines:
            return first
        second = _subject(self.latex.read_line(text, about, place))
        if not second.problem and (first.problem or not second.defines):
            return second
        return second if first.problem and self.lets else first

    def found(self, found: Found, about: str = "") -> list[Claim]:
        """The claims of one formula of a document. What is no equation about the network is none: shapes,
        ranges, bare symbols."""
        if found.kind == "program":
            try:
                claims = read_program(self.numpy, found.text, found.place.file)
            except (DeclarationError, Unread):
                return []  # no Python that is read here: a cell of plots, a sketch
            return [replace(c, place=_later(c.place, found.place)) for c in claims]
        if not self.points.batches:
            return []
        claims = []
        for read in self.latex.read(found.text, about, found.place):
            if read.text.strip() in QUOTED:
                continue
            equation = read.left is not None or read.defines or (read.message != NO_EQUATION and read.problem)
            about_gradients = re.search(r"\\partial|\\nabla|\\delta|∂|∇|δ|\bd[A-Z]|\\bar", read.text)
            if equation and (not read.problem or (about_gradients and "=" in read.text)):
                claims.append(read)
        return claims


def _later(place: Place | None, start: Place) -> Place:
    """A place in a program as a place in its document."""
    if place is None:
        return start
    return Place(start.line + place.line - 1, place.column, place.text, start.file)


def _subject(read: Claim) -> Claim:
    """A formula that nobody said the subject of is no claim."""
    if read.left is None and not read.defines and not read.problem:
        message = "what is this the gradient of? Write a left side (∂L/∂W = …) or use --about"
        return Claim(
            read.text, None, read.links, notation="latex", place=read.place, problem="undefined", message=message
        )
    return read


def split_let(text: str) -> tuple[str, str]:
    """`SYMBOL := EXPRESSION` in two."""
    symbol, sign, meaning = text.partition(":=")
    if not sign or not symbol.strip() or not meaning.strip():
        raise ReadError(f"--let {text[:80]!r} is not SYMBOL := EXPRESSION", None, r"For example --let '\hat{y} := P'.")
    return symbol.strip(), meaning.strip()
