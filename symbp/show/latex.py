"""Blocks → LaTeX: headings and `align*` blocks, to put into lecture notes, or a whole document.

Only constructs that pdfTeX, XeTeX, KaTeX, MathJax and pandoc all accept are used inside formulas
(the tags with the rule names need `align*`). `standalone` gives a document that compiles as it is:
with pdfLaTeX in English, with XeLaTeX and ctex in Chinese. Formulas that are wider than the page are
broken; what a line changed is underlined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from symbp.show.alphabet import spans
from symbp.show.blocks import Block, Figure, Heading, Notes, Prose, Row, Rows, Table, footnoted
from symbp.show.tex import broken, height, read, underlined, unmarked, width
from symbp.show.words import say

SECTIONS = {1: "section*", 2: "subsection*"}
PAGE = 40.0  # em of formula on a line of 16.6 cm at 11 pt, a little less than there are
TALL = 20  # rows of a table that stay on one page
TAG = 0.8  # of the size of the text

PREAMBLE = r"""\documentclass[11pt,fleqn]{%s}
\usepackage[a4paper,margin=2.2cm]{geometry}
\usepackage{amsmath,amssymb}
%s\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\mathindent}{1.5em}
\AtBeginDocument{\abovedisplayskip=5pt plus 2pt\belowdisplayskip=5pt plus 2pt\abovedisplayshortskip=3pt}
\relpenalty=10000\binoppenalty=10000
%% before a heading: rather a new page than a line or two under it at the foot of the old one
\renewcommand{\medskip}{\par\vspace{0pt plus 5\baselineskip}\pagebreak[2]\vspace{0pt plus -5\baselineskip}\bigskip}
\begin{document}\raggedright
"""
DISPLAY = r"$\displaystyle "
TIKZ = "\\usepackage{tikz}\n\\usetikzlibrary{arrows.meta}\n"


def latex(blocks: Iterable[Block], standalone: bool = False, lang: str = "en") -> str:
    """The whole text."""
    body = re.sub(r"\n\n+\\begin\{align", r"\n\\begin{align", "\n".join(_pieces(footnoted(blocks), lang))) + "\n"
    if not standalone:
        return body
    extra = TIKZ if r"\begin{tikzpicture}" in body else ""
    extra += "\\pagestyle{plain}\n" if lang == "zh" else ""
    return PREAMBLE % ("ctexart" if lang == "zh" else "article", extra) + body + "\\end{document}\n"


def _pieces(blocks: Iterable[Block], lang: str) -> Iterator[str]:
    before: Block | None = None
    for block in blocks:
        if isinstance(before, Heading) and before.level < 3 and isinstance(block, Rows):
            tall = height(read(block.rows[0].left + block.rows[0].right)) > 1.5
            less = (0.3 if tall else 0.6) + (0.5 if lang == "zh" else 0.0)  # TeX leaves an empty line there otherwise
            yield rf"\vspace{{-{less}\baselineskip}}"
        before = block
        match block:
            case Heading() if block.level == 3:
                shape = rf"\hfill {{\footnotesize ${block.shape}$}}" if block.shape else ""
                yield f"\n\\medskip\\noindent\\textbf{{{prose(block.text, DISPLAY)}}}{shape}\\nopagebreak"
            case Heading():
                yield f"\n\\{SECTIONS[block.level]}{{{prose(block.text)}}}"
            case Prose():
                yield f"\n{prose(block.text)}\n"
            case Rows():
                yield aligned(block.rows, lang)
            case Table():
                yield table(block)
            case Figure():
                caption = f"\\par{{\\footnotesize {prose(block.caption)}}}" if block.caption else ""
                yield f"\n\\begin{{center}}\n{block.tikz}{caption}\n\\end{{center}}"
            case Notes():
                yield "\n\\medskip\\noindent\\rule{4cm}{0.4pt}\\par"
                for n, text in enumerate(block.texts, 1):
                    yield f"{{\\footnotesize\\textsuperscript{{{n}}} {prose(text)}\\par}}"


def label_of(r: Row, lang: str = "en") -> str:
    """What was done, a remark on it, and the numbers of its footnotes."""
    text = say("colon", lang, r.rule) + r.note if r.note and r.rule else r.note or r.rule
    marks = r"\textsuperscript{" + ",".join(map(str, r.marks)) + "}" if r.marks else ""
    return prose(text) + marks


def label_width(r: Row) -> float:
    """Its width in em."""
    return TAG * (prose_width(unmarked(r.rule + r.note)) + 1.2 * bool(r.rule and r.note) + len(r.marks))


def lines_of(r: Row, room: float, indent: float, tag: float) -> list[str]:
    """The right side in lines: the first has the left side and the tag beside it."""
    pieces = broken(r.right, room - indent - tag, room - indent - 1.5)
    if len(pieces) > 1 and tag:
        wide = broken(r.right, room - indent, room - indent - 1.5)  # a tag may go under its line
        pieces = wide if len(wide) == 1 else pieces
    return [underlined(p) for p in pieces]


def aligned(rows: tuple[Row, ...], lang: str = "en", room: float = PAGE) -> str:
    """Rows in `align*`, the rules as tags at the right margin; what the check says comes after."""
    lines: list[str] = []
    after: list[str] = []
    indent = max((width(read(r.left)) + 1.3 for r in rows if r.right), default=0.0)
    below = indent > 0.3 * room and any(width(read(r.right)) > room - indent - label_width(r) for r in rows)
    space_of = r"\qquad" if below else r"\quad"
    if below:  # long left sides: what they are equal to stands below
        indent = 2.3
    for r in rows:
        if not r.right:
            after.append(say("colon", lang, r.rule) + r.note)
            continue
        label = label_of(r, lang)
        tag = rf" \tag*{{\footnotesize {label}}}" if label else ""
        if not r.rule and r.shape:
            tag = rf" \tag*{{\footnotesize ${r.shape}$}}"
        space = label_width(r) + 2.0 if label else 0.8 * width(read(r.shape)) + 2.0
        first, *more = lines_of(r, room, indent, space)
        if below:
            lines += [rf"&{r.left}"] if r.left else []
            lines.append(rf"&\quad {r.relation} {first}{tag}")
        else:
            lines.append(f"{r.left} &{r.relation} {first}{tag}")
        lines.extend(rf" &{space_of} {{}}{line}" for line in more)
    out = ""
    if lines:
        out = "\\begin{align*}\n" + " \\\\[3pt]\n".join(lines) + "\n\\end{align*}"
    for text in after:
        out += f"\n{{\\footnotesize {prose(text)}}}\\par"
    return out


def table(block: Table, page: float = PAGE) -> str:
    """A table; the formulas of a column that is too wide for the page are broken."""
    widths = [max(prose_width(c) for c in column) for column in zip(block.headers, *block.rows)]
    widest = widths.index(max(widths))
    room = page - 1.2 * len(widths) - sum(w for n, w in enumerate(widths) if n != widest)
    spec = "l" * len(block.headers)
    head = " & ".join(map(prose, block.headers)) + r" \\[2pt] \hline\noalign{\vskip 6pt}" + "\n"
    lines = [" & ".join(_cell(c, room if n == widest else page) for n, c in enumerate(r)) for r in block.rows]
    parts = [lines[n : n + TALL] for n in range(0, len(lines), TALL)]  # a tabular does not break
    begin, end = f"\n\\begin{{tabular}}{{@{{}}{spec}@{{}}}}\n{head}", " \\\\[3pt]\n\\end{tabular}\\par\\smallskip\n"
    return "\\medskip".join(begin + " \\\\ \\noalign{\\vskip 6pt}\n".join(part) + end for part in parts)


def prose_width(text: str) -> float:
    """The width of a sentence or a cell in em."""
    return sum(
        width(read(t)) if kind == "math" else sum(1.0 if ord(c) > 0x2E7F else 0.5 for c in t) for kind, t in spans(text)
    )


def _cell(cell: str, room: float) -> str:
    """A cell; a formula on its own may take several lines."""
    (kind, text), *more = list(spans(cell)) or [("text", "")]
    if kind != "math" or more:
        return prose(cell)
    first, *rest = (underlined(p) for p in broken(text, room, room - 1.5))
    if not rest:
        return f"{DISPLAY}{first}$"
    lines = "".join(rf" \\ &\quad {{}}{line}" for line in rest)
    return rf"$\begin{{aligned}}[t] & {first}{lines} \end{{aligned}}$"


ESCAPES = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "{}_&%#$"},
    "^": r"\^{}",
    "~": r"\~{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "∂": r"$\partial$",
    "δ": r"$\delta$",
    "−": "$-$",
    "×": r"$\times$",
    "…": r"\ldots{}",
    "σ": r"$\sigma$",
    "½": r"$\tfrac12$",
    "²": "$^2$",
    "ᵀ": r"$^{\top}$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "←": r"$\leftarrow$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "Σ": r"$\Sigma$",
    "–": "--",
    "’": "'",
    "✓ ": "",
    "✓": "",
    "✗": "",
}


def escape(text: str) -> str:
    """Text that is not LaTeX, made safe for it."""
    return "".join(ESCAPES.get(c, c) for c in text)


def prose(text: str, opening: str = "$") -> str:
    """A sentence: its formulas between dollars, its code in typewriter, everything else escaped."""
    out = ""
    for kind, t in spans(text):
        if kind == "math":
            out += f"{opening}{underlined(t)}$"
        else:
            out += rf"\texttt{{{escape(t)}}}" if kind == "code" else escape(t)
    return out.strip()
