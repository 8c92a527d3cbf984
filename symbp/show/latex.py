"""Blocks → LaTeX: headings and `align*` blocks, to put into lecture notes, or a whole document.

Only constructs that pdfTeX, XeTeX, KaTeX, MathJax and pandoc all accept are used inside formulas
(the tags with the rule names need `align*`). `standalone` gives a document that compiles as it is:
with pdfLaTeX in English, with XeLaTeX and ctex in Chinese.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from symbp.show.document import Block, Heading, Prose, Row, Rows, Table

SECTIONS = {1: "section*", 2: "subsection*", 3: "paragraph"}

PREAMBLE = r"""\documentclass[11pt]{%s}
\usepackage[a4paper,margin=2.2cm]{geometry}
\usepackage{amsmath,amssymb}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\emergencystretch}{3em}
\begin{document}
"""


def latex(blocks: Iterable[Block], standalone: bool = False, lang: str = "en") -> str:
    """The whole text."""
    body = "\n".join(_pieces(blocks)) + "\n"
    if not standalone:
        return body
    return PREAMBLE % ("ctexart" if lang == "zh" else "article") + body + "\\end{document}\n"


def _pieces(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Heading():
                shape = rf" \hfill ${block.shape}$" if block.shape and block.level == 3 else ""
                text = block.text if block.level == 3 else escape(block.text)
                if block.level == 3:
                    text = text.replace("$", r"$\displaystyle ", 1)
                yield f"\n\\{SECTIONS[block.level]}{{{text}}}{shape}"
            case Prose():
                yield f"\n{prose(block.text)}\n"
            case Rows():
                yield _align(block.rows)
            case Table():
                yield _table(block)


def _align(rows: tuple[Row, ...]) -> str:
    lines: list[str] = []
    after: list[str] = []
    for r in rows:
        if not r.right:
            after.append(prose(f"{r.rule}: {r.note}".replace("✓ ", "").replace("✗ ", "")))
            continue
        label = prose(f"{r.rule}: {r.note}" if r.note and r.rule else r.note or r.rule)
        tag = rf" \tag*{{\footnotesize {label}}}" if label else ""
        if not r.rule and r.shape:
            tag = rf" \tag*{{\footnotesize ${r.shape}$}}"
        lines.append(f"{r.left} &{r.relation} {r.right}{tag}")
    out = ""
    if lines:
        out = "\\begin{align*}\n" + " \\\\[3pt]\n".join(lines) + "\n\\end{align*}"
    for text in after:
        out += f"\n{{\\footnotesize {text}}}\\par"
    return out


def _table(table: Table) -> str:
    spec = "l" * len(table.headers)
    rows = [" & ".join(map(escape, table.headers)) + r" \\ \hline"]
    rows += [" & ".join((f"${r[0]}$", *map(escape, r[1:]))) + r" \\" for r in table.rows]
    return f"\\begin{{tabular}}{{{spec}}}\n" + "\n".join(rows) + "\n\\end{tabular}"


ESCAPES = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "{}_&%#$"},
    "^": r"\^{}",
    "~": r"\~{}",
    "∂": r"$\partial$",
    "δ": r"$\delta$",
    "−": "$-$",
    "×": r"$\times$",
    "…": r"\ldots{}",
    "σ": r"$\sigma$",
    "½": r"$\tfrac12$",
    "²": "$^2$",
    "–": "--",
    "’": "'",
}


def escape(text: str) -> str:
    """Text that is not LaTeX, made safe for it."""
    return "".join(ESCAPES.get(c, c) for c in text)


def prose(text: str) -> str:
    """Sentences that hold inline formulas and code already in LaTeX; stray symbols are replaced."""
    for symbol, tex in {"∂": r"$\partial$", "δ": r"$\delta$", "−": "$-$", "×": r"$\times$"}.items():
        text = text.replace(symbol, tex)
    return text
