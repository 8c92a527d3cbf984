"""Blocks → Markdown with `$$` formulas, as Jupyter, GitHub, Quarto and pandoc read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from symbp.show.document import Block, Heading, Prose, Row, Rows, Table
from symbp.show.latex import prose


def markdown(blocks: Iterable[Block]) -> str:
    """The whole text."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_pieces(blocks))).strip() + "\n"


def _pieces(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Heading():
                shape = f" &nbsp; ${block.shape}$" if block.shape else ""
                yield f"\n{'#' * block.level} {block.text}{shape}\n"
            case Prose():
                yield f"\n{block.text}\n"
            case Rows():
                yield from _formulas(block.rows)
            case Table():
                yield "| " + " | ".join(block.headers) + " |"
                yield "|" + " --- |" * len(block.headers)
                for r in block.rows:
                    yield "| " + " | ".join((f"${r[0]}$", *r[1:])) + " |"


def _formulas(rows: tuple[Row, ...]) -> Iterator[str]:
    lines = [
        f"{r.left} &{r.relation} {r.right}" + (rf" && \text{{{prose(r.rule)}}}" if r.rule else "")
        for r in rows
        if r.right
    ]
    if lines:
        yield "\n$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$\n"
    for r in rows:
        if not r.right:
            yield f"*{r.rule}: {r.note}*\n"
