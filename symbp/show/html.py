"""Blocks → one self-contained web page: MathML, a style sheet, no script, nothing from elsewhere.

The page's own Content-Security-Policy admits its style sheet, by hash, and nothing else; so there are
no style attributes, and every name is escaped. Each tensor's steps fold; on paper all are open. What a
line changed is underlined as well as coloured.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from symbp.show.alphabet import bare, spans
from symbp.show.blocks import Block, Figure, Heading, Notes, Prose, Row, Rows, Table, footnoted, sections
from symbp.show.mathml import mathml, spoken
from symbp.show.picture.svg import PAGE_CSS
from symbp.show.tex import broken, read, width
from symbp.show.words import say

ROOM = 46.0  # em that a line has for its formula

CSS = (
    """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --dim: #57606a; --line: #d0d7de; --soft: #f6f8fa;
  --new: #0a5cad; --newline: #d55e00; --link: #0a5cad; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --dim: #9aa4af; --line: #30363d;
  --soft: #161b22; --new: #79c0ff; --newline: #ffa657; --link: #79c0ff; --good: #56d364; --bad: #ff7b72; } }
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); }
body { font: 1.05rem/1.6 Georgia, "Noto Serif CJK SC", "Songti SC", SimSun, serif; max-width: 58rem; margin: 0 auto;
  padding: 2rem 1.2rem 4rem; }
:lang(zh) body, body:lang(zh) { text-spacing-trim: normal; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; font-weight: normal; display: inline; margin: 0; }
math { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "Noto Sans Math", math; font-size: 1.08em; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .9rem 0; background: var(--paper); }
summary { cursor: pointer; padding: .55rem .9rem; background: var(--soft); border-radius: 8px; }
details[open] > summary { border-bottom: 1px solid var(--line); border-radius: 8px 8px 0 0; }
details > p { margin: .8rem .9rem 0; }
details[open] > summary .result { display: none; }
summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.shape { color: var(--dim); float: right; font-size: .9em; }
.rows { display: grid; gap: .35rem .9rem;
  grid-template-columns: minmax(5.5em, max-content) max-content minmax(0, 1fr) max-content; align-items: baseline;
  padding: .7rem .9rem; overflow-x: auto; }
.row { display: contents; }
.rule { color: var(--dim); font-size: .88em; max-width: 13em; }
.left { text-align: right; }
.right .more { display: block; margin: .3rem 0 0 1.6em; }
.check { grid-column: 2 / -1; font-size: .92em; }
.good { color: var(--good); }
.bad { color: var(--bad); font-weight: bold; }
.blank { border-bottom: 1px solid var(--ink); }
.rows .shape { text-align: right; }
.new { color: var(--new); border-bottom: 2px solid var(--newline); }
mfrac { padding-inline: .08em; }
mtable.cases mtd, mtable.grid mtd { text-align: left; }
mtd { padding: .15em .45em; }
table { border-collapse: collapse; margin: .8rem 0; }
.scroll { overflow-x: auto; }
th, td { text-align: left; padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: normal; color: var(--dim); font-size: .9em; }
code, .code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em; }
sup { line-height: 0; }
a { color: var(--link); }
.notes { margin-top: 2.5rem; padding-top: .6rem; border-top: 1px solid var(--line); font-size: .92em; }
figure { margin: 1.2rem 0; text-align: center; }
figure svg { max-width: 100%; height: auto; }
figcaption { color: var(--dim); font-size: .92em; }
@media (max-width: 44rem) {
  .rows { grid-template-columns: max-content minmax(0, 1fr) max-content; }
  .rule { grid-column: 1 / -1; max-width: none; margin-top: .4rem; } .rule:empty { display: none; }
  .rows .shape { grid-column: 3; } .check { grid-column: 1 / -1; }
  .right { overflow-x: auto; } }
@media print {
  :root { --ink: #000; --paper: #fff; --dim: #444; --line: #bbb; --soft: #fff; --new: #000; --newline: #000; }
  body { font-size: 10.5pt; max-width: none; padding: 0; }
  details::details-content { content-visibility: visible; display: block; }
  details { border: 0; margin: .5rem 0; break-inside: avoid; } summary { list-style: none; padding: .2rem 0; }
  .rows { padding: .3rem 0; }
  details[open] > summary, details > summary { border-bottom: 0; }
  .row, summary, figure, tr { break-inside: avoid; } h2, summary { break-after: avoid; } .rows { overflow: visible; } }
"""
    + PAGE_CSS
)


def html(documents: Sequence[Iterable[Block]], lang: str = "en") -> str:
    """A page that holds one or more documents."""
    parts = [list(footnoted(blocks)) for blocks in documents]
    titles = [b.text for blocks in parts for b in blocks if isinstance(b, Heading) and b.level == 1]
    title = escape(bare("; ".join("".join(t for _, t in spans(t)) for t in titles)))
    body = "\n".join(text for n, blocks in enumerate(parts, 1) for text in _Page(f"{n}-", lang).pieces(blocks))
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if lang == "zh" else escape(lang)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


class _Page:
    """Writes one document; `prefix` keeps its anchors apart from those of others."""

    def __init__(self, prefix: str, lang: str) -> None:
        self.prefix, self.lang = prefix, lang
        self.noted: set[int] = set()

    def pieces(self, blocks: Iterable[Block]) -> Iterator[str]:
        for heading, body in sections(blocks):
            if heading is not None and heading.level == 3:
                yield self.folding(heading, body)
                continue
            if heading is not None:
                yield f"<h{heading.level}>{sentence(heading.text)}</h{heading.level}>"
            yield from map(self.block, body)

    def folding(self, heading: Heading, body: list[Block]) -> str:
        """A section whose steps fold; folded, it shows its result."""
        rows = [r for b in body if isinstance(b, Rows) for r in b.rows if r.right]
        result = f' <span class="result">{mathml(rows[-1].right, lead=rows[-1].relation)}</span>' if rows else ""
        shape = f'<span class="shape">{mathml(heading.shape)}</span>' if heading.shape else ""
        inner = "\n".join(map(self.block, body))
        title = f'<h3 aria-label="{said(heading.text)}">{sentence(heading.text)}</h3>'
        return f"<details open>\n<summary>{shape}{title}{result}</summary>\n{inner}\n</details>"

    def block(self, block: Block) -> str:
        match block:
            case Prose():
                return f"<p>{sentence(block.text)}</p>"
            case Rows():
                indent = max((width(read(r.left)) for r in block.rows if r.right), default=0.0)
                return f'<div class="rows">\n{chr(10).join(self.row(r, indent) for r in block.rows)}\n</div>'
            case Table():
                head = "".join(f'<th scope="col">{sentence(h)}</th>' for h in block.headers)
                rows = "\n".join("<tr>" + "".join(f"<td>{_cell(c)}</td>" for c in r) + "</tr>" for r in block.rows)
                whole = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
                return f'<div class="scroll">{whole}</div>'
            case Figure():
                caption = f"<figcaption>{sentence(block.caption)}</figcaption>" if block.caption else ""
                return f"<figure>{block.svg}{caption}</figure>"
            case Notes():
                items = "\n".join(
                    f'<li id="{self.prefix}note-{n}">{sentence(t)} <a href="#{self.prefix}from-{n}" '
                    f'aria-label="↩ {escape(say("back", self.lang))}">↩</a></li>'
                    for n, t in enumerate(block.texts, 1)
                )
                name = escape(say("notes", self.lang))
                return f'<section class="notes" aria-label="{name}">\n<ol>\n{items}\n</ol>\n</section>'
            case Heading():
                return ""

    def row(self, r: Row, indent: float) -> str:
        if not r.right:
            verdict = "good" if r.note.startswith("✓") else "bad" if r.note.startswith("✗") else "open"
            return (
                f'<div class="row"><span class="rule">{sentence(r.rule)}</span>'
                f'<span class="check {verdict}">{sentence(r.note)}</span></div>'
            )
        said = say("colon", self.lang, r.rule) + r.note if r.rule and r.note else r.rule or r.note
        marks = "".join(self.mark(n) for n in r.marks)
        left = mathml(r.left, display=True) if r.left else ""
        first, *more = broken(r.right, ROOM - indent, ROOM - indent - 2)
        right = mathml(first, display=True, lead=_COMMAND.get(r.relation, r.relation))
        right += "".join(f'<span class="more">{mathml(line, display=True)}</span>' for line in more)
        shape = mathml(r.shape) if r.shape else ""
        return (
            f'<div class="row"><span class="rule">{sentence(said)}{marks}</span><span class="left">{left}</span>'
            f'<span class="right">{right}</span><span class="shape">{shape}</span></div>'
        )

    def mark(self, n: int) -> str:
        """The number of a footnote; the first use is where its way back leads."""
        anchor = "" if n in self.noted else f' id="{self.prefix}from-{n}"'
        self.noted.add(n)
        return f'<sup><a{anchor} href="#{self.prefix}note-{n}">{n}</a></sup>'


_COMMAND = {"←": r"\leftarrow"}


def _cell(cell: str) -> str:
    """A cell; a formula that stands alone may take several lines."""
    found = list(spans(cell))
    if len(found) != 1 or found[0][0] != "math":
        return sentence(cell)
    first, *more = broken(found[0][1], ROOM * 0.7, ROOM * 0.7)
    lines = "".join(f'<span class="more">{mathml(line, display=True)}</span>' for line in more)
    return f'<span class="right">{mathml(first, display=True)}{lines}</span>'


def said(text: str) -> str:
    """A heading as it is read aloud: not every reader of pages knows MathML."""
    return escape(bare("".join(spoken(read(t)) if kind == "math" else t for kind, t in spans(text))))


def sentence(text: str) -> str:
    """A sentence with its formulas and its code."""
    out = ""
    for kind, t in spans(text):
        shown = escape(bare(t)) if kind != "math" else ""
        out += mathml(t) if kind == "math" else f"<code>{shown}</code>" if kind == "code" else shown
    return out
