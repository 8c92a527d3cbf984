"""Blocks → a Jupyter notebook (format 4.5): a cell per section, and a program to run at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from symbp.show.blocks import Block, Figure, footnoted, sections
from symbp.show.markdown import joined, pieces


def notebook(documents: Sequence[Iterable[Block]], lang: str = "en", programs: Sequence[str] = ()) -> str:
    """The JSON of a notebook that holds one or more documents, each with the text of its program."""
    cells: list[dict[str, Any]] = []
    for n, blocks in enumerate(documents):
        cells += _cells(blocks, lang)
        if n < len(programs) and programs[n]:
            cells.append(_code(programs[n]))
    for n, cell in enumerate(cells, 1):
        cell["id"] = f"cell-{n}"
    meta = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    whole = {"cells": cells, "metadata": meta, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _cells(blocks: Iterable[Block], lang: str) -> Iterator[dict[str, Any]]:
    waiting: list[Block] = []  # a heading alone goes with what follows
    for heading, body in sections(footnoted(blocks)):
        if heading is not None:
            waiting.append(heading)
        for block in body:
            if isinstance(block, Figure):
                yield _markdown(waiting, lang)
                waiting = []
                yield _picture(block)
            else:
                waiting.append(block)
        if body and waiting:
            yield _markdown(waiting, lang)
            waiting = []
    if waiting:
        yield _markdown(waiting, lang)


def _markdown(blocks: Sequence[Block], lang: str) -> dict[str, Any]:
    text = joined(pieces(blocks, lang)).rstrip("\n")
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    source = text.rstrip("\n").splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def _picture(figure: Figure) -> dict[str, Any]:
    """A picture as the output of a cell that does nothing: every front end shows that."""
    cell = _code(f"# {figure.alt or 'picture'}")
    data = {"image/svg+xml": figure.svg, "text/plain": figure.alt}
    cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
    return cell
