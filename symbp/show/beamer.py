"""Blocks → slides: a frame per tensor, a line per overlay, in LaTeX's beamer class.

Invariant: a frame holds what fits on it; what does not goes on in the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from symbp.show.blocks import Block, Figure, Heading, Notes, Prose, Row, Rows, Table, footnoted, sections
from symbp.show.latex import DISPLAY, TIKZ, label_of, label_width, lines_of, prose, prose_width, table
from symbp.show.tex import height, read, width
from symbp.show.words import say

ROOM = 25.5  # em on a slide of 12.8 cm at 11 pt, a little less than there are
LINES = 11.0  # lines of text on a slide, under its title

PREAMBLE = r"""\documentclass[11pt,fleqn]{%s}
\usepackage{amsmath,amssymb}
%s\usetheme{default}
\setbeamertemplate{navigation symbols}{}
\setbeamertemplate{footline}[frame number]
\setbeamerfont{frametitle}{size=\normalsize}
\setlength{\mathindent}{0.5em}
\begin{document}
"""


def beamer(blocks: Iterable[Block], lang: str = "en") -> str:
    """A whole presentation."""
    body = "".join(_frames(sections(_with_notes(blocks, lang)), lang))
    extra = TIKZ if r"\begin{tikzpicture}" in body else ""
    return PREAMBLE % ("ctexbeamer" if lang == "zh" else "beamer", extra) + body + "\\end{document}\n"


def _with_notes(blocks: Iterable[Block], lang: str) -> Iterator[Block]:
    """The footnotes have a frame of their own."""
    for block in footnoted(blocks):
        if isinstance(block, Notes):
            yield Heading(2, say("notes", lang))
        yield block


def _frames(parts: Iterable[tuple[Heading | None, list[Block]]], lang: str) -> Iterator[str]:
    for heading, body in parts:
        if heading is not None and heading.level == 1 and not body:
            yield f"\\begin{{frame}}\n\\centering\\Large {prose(heading.text)}\n\\end{{frame}}\n\n"
            continue
        if heading is not None and not body:
            continue  # the frames under it say it
        title = prose(heading.text, DISPLAY) if heading is not None else ""
        shape = f"\\quad {{\\footnotesize ${heading.shape}$}}" if heading is not None and heading.shape else ""
        for page in _pages(body, lang):
            yield f"\\begin{{frame}}\n\\frametitle{{{title}{shape}}}\n{page}\\end{{frame}}\n\n"


def _pages(body: list[Block], lang: str) -> Iterator[str]:
    """What stands on each frame."""
    page, used = "", 0.0
    for text, lines in _items(body, lang):
        if page and used + lines > LINES:
            yield page
            page, used = "", 0.0
        page, used = page + text, used + lines
    if page:
        yield page


def _items(body: list[Block], lang: str) -> Iterator[tuple[str, float]]:
    """Pieces that stay on one frame, and how many lines each takes."""
    for block in body:
        match block:
            case Prose():
                yield (
                    f"{{\\footnotesize {prose(block.text)}\\par}}\n",
                    0.8 * (1 + 0.8 * prose_width(block.text) // ROOM),
                )
            case Rows():
                yield from _rows(block.rows, lang)
            case Table():
                for n in range(0, len(block.rows), 6):
                    part = replace(block, rows=block.rows[n : n + 6])
                    yield f"{{\\footnotesize {table(part, ROOM * 1.2).strip()}\\par}}\n", 1.6 * (1 + len(part.rows))
            case Figure():
                yield f"\\begin{{center}}\n{block.tikz}\n\\end{{center}}\n", LINES
            case Notes():
                for n, text in enumerate(block.texts, 1):
                    lines = 0.9 * (1 + 0.8 * prose_width(text) // ROOM)
                    yield f"{{\\footnotesize\\textsuperscript{{{n}}} {prose(text)}\\par}}\n", lines
            case Heading():
                pass


def _rows(rows: tuple[Row, ...], lang: str) -> Iterator[tuple[str, float]]:
    """Formulas, as many on a frame as fit, each appearing after the one before."""
    chunk: list[Row] = []
    used = 0.0
    shown = [r for r in rows if r.right]
    indent = max((width(read(r.left)) + 1.3 for r in shown), default=0.0)
    for r in shown:
        count = len(_lines(r, indent)) * (height(read(r.left + r.right)) + 0.55)
        if chunk and used + count > LINES:
            yield _align(chunk, indent, lang), used
            left = next((c.left for c in reversed(chunk) if c.left), "")
            r, chunk, used = replace(r, left=r.left or left), [], 0.0
        chunk.append(r)
        used += count
    if chunk:
        yield _align(chunk, indent, lang), used
    for r in rows:
        if not r.right:
            yield f"{{\\footnotesize {prose(say('colon', lang, r.rule) + r.note)}\\par}}\n", 1.0


def _lines(r: Row, indent: float) -> list[str]:
    return lines_of(r, ROOM, indent, label_width(r) + 1.5 if r.rule else 0.8 * width(read(r.shape)) + 1.5)


def _align(rows: list[Row], indent: float, lang: str) -> str:
    lines: list[str] = []
    for n, r in enumerate(rows, 1):
        first, *more = _lines(r, indent)
        label = label_of(r, lang) or (f"${r.shape}$" if r.shape else "")
        tag = rf" \tag*{{\uncover<{n}->{{\scriptsize {label}}}}}" if label else ""
        lines.append(rf"\uncover<{n}->{{{r.left}}} &\uncover<{n}->{{{r.relation} {first}}}{tag}")
        lines.extend(rf" &\uncover<{n}->{{\quad {{}}{line}}}" for line in more)
    return "\\begin{align*}\n" + " \\\\[2pt]\n".join(lines) + "\n\\end{align*}\n"
