"""Blocks → Markdown with `$$` formulas, as Jupyter, GitHub, Quarto, MyST and pandoc read it.

What GitHub's renderer refuses or garbles is kept out: no \\operatorname, no tags inside `aligned`, a
blank line around `$$`, a rule's name in a second column. Pandoc makes Word and PowerPoint of this text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from symbp.show.alphabet import spans
from symbp.show.blocks import Block, Figure, Heading, Notes, Prose, Row, Rows, Table, footnoted
from symbp.show.latex import label_width, lines_of
from symbp.show.tex import read, underlined, width
from symbp.show.words import say

ROOM = 42.0  # em that a page of GitHub or a notebook has for a formula and its rule


def markdown(blocks: Iterable[Block], lang: str = "en") -> str:
    """The whole text."""
    return joined(pieces(footnoted(blocks), lang))


def joined(texts: Iterable[str]) -> str:
    """Pieces one below the other, with one empty line between."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(texts)).strip() + "\n"


def pieces(blocks: Iterable[Block], lang: str = "en") -> Iterator[str]:
    """The text of each block."""
    for block in blocks:
        match block:
            case Heading():
                shape = f" &nbsp; ${block.shape}$" if block.shape else ""
                yield f"\n{'#' * block.level} {sentence(block.text)}{shape}\n"
            case Prose():
                yield f"\n{sentence(block.text)}\n"
            case Rows():
                yield from _formulas(block.rows, lang)
            case Table():
                yield "\n" + _line(block.headers)
                yield "|" + " --- |" * len(block.headers)
                yield from map(_line, block.rows)
                yield ""
            case Figure():
                yield f"\n```mermaid\n{block.mermaid.strip()}\n```\n"
                if block.caption:
                    yield f"\n*{sentence(block.caption)}*\n"
            case Notes():
                yield "\n---\n"
                for n, text in enumerate(block.texts, 1):
                    yield f"<sup>{n}</sup> {sentence(text)}\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(sentence, cells)) + " |"


def _formulas(rows: tuple[Row, ...], lang: str) -> Iterator[str]:
    shown = [r for r in rows if r.right]
    indent = max((width(read(r.left)) + 1.3 for r in shown), default=0.0)
    lines: list[str] = []
    for r in shown:
        label = _label(r, lang)
        first, *more = lines_of(r, ROOM, indent, label_width(r) + 2.0 if label else 0.0)
        lines.append(f"{r.left} &{r.relation} {first}{label}")
        lines.extend(rf" &\quad {{}}{line}" for line in more)
    if lines:
        yield "\n$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$\n"
    for r in rows:
        if not r.right:
            yield "*" + sentence(say("colon", lang, r.rule) + r.note).replace("*", "") + "*\n"


def _label(r: Row, lang: str) -> str:
    """The rule in a column of its own: words in \\text, formulas beside them."""
    said = say("colon", lang, r.rule) + r.note if r.rule and r.note else r.rule or r.note
    text = "".join(t if kind == "math" else rf"\text{{{_words(t)}}}" for kind, t in spans(said))
    marks = rf"{{}}^{{{','.join(map(str, r.marks))}}}" if r.marks else ""
    shape = r.shape if r.shape and not r.rule else ""
    return f" && {text}{marks}{shape}" if text or marks or shape else ""


def _words(text: str) -> str:
    """Words inside of \\text{...}; the few symbols that occur in them are formulas."""
    text = re.sub(r"[\\{}$%#&_^~]", lambda m: "" if m[0] in "\\{}^~" else "\\" + m[0], text)
    return re.sub(r"[∂δσ−×Σ·²]", lambda m: f"${_SYMBOLS[m[0]]}$", text)


_SYMBOLS = {
    "∂": r"\partial",
    "δ": r"\delta",
    "σ": r"\sigma",
    "²": "^2",
    "−": "-",
    "×": r"\times",
    "Σ": r"\Sigma",
    "·": r"\cdot",
}


def sentence(text: str) -> str:
    """A sentence: its formulas between dollars, its code in backticks, everything else escaped."""
    out = ""
    for kind, t in spans(text):
        if kind == "math":
            out += f"${underlined(t)}$"
        else:
            out += f"`{t.replace('`', ' ').replace('|', ' ')}`" if kind == "code" else escape(t)
    return out.strip()


def escape(text: str) -> str:
    """Text without a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|$~])", r"\\\1", text).replace("&", "&amp;")
