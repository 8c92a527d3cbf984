"""What a document is made of: headings, sentences, rows of formulas, tables, figures.

Sentences, headings and the cells of tables hold formulas and code between the marks of alphabet.py;
the sides of a row are formulas. A format turns blocks into its own text and decides nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Heading:
    """Level 1 is the title; `shape` is that of the tensor that a section is about."""

    level: int
    text: str
    shape: str = ""


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Row:
    """`left = right` (or another relation), what was done, a remark on it, and the shape; an empty
    left continues the row above. `because` names the facts that the step rests on, `aside` is a side
    condition; where there are footnotes they go there. `same`: the row above says the same quantity."""

    left: str
    right: str
    rule: str = ""
    note: str = ""
    shape: str = ""
    relation: str = "="
    because: str = ""
    aside: str = ""
    same: bool = False
    marks: tuple[int, ...] = ()  # numbers of footnotes


@dataclass(frozen=True)
class Rows:
    """Formulas that are aligned at their equals signs."""

    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells under headers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[bool, ...] = field(default=())


@dataclass(frozen=True)
class Figure:
    """A picture in every spelling that a format may want. `svg` is a whole element without styles or
    scripts, `mermaid` the text of a graph, `text` lines for a terminal; `alt` says in words what it shows."""

    svg: str
    tikz: str
    mermaid: str
    caption: str = ""
    alt: str = ""
    text: str = ""


@dataclass(frozen=True)
class Notes:
    """Footnotes, numbered from 1."""

    texts: tuple[str, ...]


Block = Heading | Prose | Rows | Table | Figure | Notes


def footnoted(blocks: Iterable[Block]) -> Iterator[Block]:
    """The document with facts and side conditions as footnotes at its end."""
    numbers: dict[str, int] = {}

    def numbered(r: Row) -> Row:
        texts = [t for t in (r.because, r.aside) if t]
        if not texts:
            return r
        return replace(r, marks=tuple(numbers.setdefault(t, len(numbers) + 1) for t in texts))

    for block in blocks:
        if isinstance(block, Rows):
            yield Rows(tuple(map(numbered, block.rows)))
        elif not (isinstance(block, Prose) and block.text in numbers):  # it is a footnote already
            yield block
    if numbers:
        yield Notes(tuple(numbers))


Section = tuple[Heading | None, list[Block]]


def sections(blocks: Iterable[Block]) -> Iterator[Section]:
    """Every heading with what stands under it."""
    heading: Heading | None = None
    body: list[Block] = []
    for block in blocks:
        if isinstance(block, Heading):
            if heading is not None or body:
                yield heading, body
            heading, body = block, []
        else:
            body.append(block)
    if heading is not None or body:
        yield heading, body
