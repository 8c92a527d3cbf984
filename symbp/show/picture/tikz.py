"""A picture as TikZ: the same places and paths as in SVG, names in the network's own LaTeX.

Needs `\\usepackage{tikz}` and nothing else. Every text is set in a box of the width that the layout
gave it and shrunk where LaTeX needs more, so nothing sticks out of its box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from symbp.show.alphabet import GREEK_LETTERS, LATEX_GREEK, Latex
from symbp.show.latex import escape
from symbp.show.picture.ink import tokens
from symbp.show.picture.layout import Move
from symbp.show.picture.picture import Box, Picture, Text, Wire

UNIT = 0.6  # pt for one unit of the layout
_MATH = {
    "−": "-", "⊙": r"\odot ", "·": r"\cdot ", "×": r"\times ", "÷": r"\div ", "∑": r"\textstyle\sum ",
    "∂": r"\partial ",
    "∞": r"\infty ", "∇": r"\nabla ", "∘": r"\circ ", "′": r"'", "∏": r"\textstyle\prod ", "Π": r"\textstyle\prod ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "√": r"\surd ", "ᵀ": r"^{\top}", "⊤": r"\top ",
    "𝟏": r"\mathbf{1}", "‖": r"\Vert ", "∈": r"\in ", "…": r"\ldots ", "⋮": r"\vdots ", "ℓ": r"\ell ", "Σ": r"\Sigma ",
    "%": r"\%", "#": r"\#", "&": r"\&", "_": r"\_", "{": r"\{", "}": r"\}", "$": r"\$", "~": r"\sim ",
    "\\": r"\backslash ", "^": r"\hat{}", "'": r"{'}",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
_FUNCTIONS = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "max", "min", "det"}
_BINARY = frozenset("=+−<>≤≥≠⊙·×÷/,∈")
COLOURS = (
    r"\definecolor{sbpvalue}{RGB}{0,115,90}\definecolor{sbpgradient}{RGB}{179,71,0}"
    r"\definecolor{sbpblock}{RGB}{243,246,250}\definecolor{sbpleaf}{RGB}{232,241,251}"
    r"\definecolor{sbpdata}{RGB}{238,238,238}\definecolor{sbploss}{RGB}{255,243,214}\definecolor{sbpquiet}{RGB}{87,96,106}"
)
FIT = (
    r"\providecommand{\sbpfit}[2]{\begingroup\medmuskip=2mu\thickmuskip=3mu\setbox0=\hbox{#2}"
    r"\ifdim\wd0>#1\relax\resizebox{#1}{!}{\copy0}\else\copy0\fi\endgroup}"
)


def tikz(p: Picture, fit: bool = True) -> str:
    """A `tikzpicture`, shrunk to the width of the line if it is wider (`fit`)."""
    names = Latex(p.latex, replace(p.style, layers="subscript"))
    out = [
        r"% needs \usepackage{tikz}",
        COLOURS + FIT + "%",
        r"\sbpfit{\linewidth}{%" if fit else "%",
        rf"\begin{{tikzpicture}}[x={UNIT}pt,y=-{UNIT}pt,line width=0.5pt,line join=round,inner sep=0pt,outer sep=0pt]",
    ]
    out += [_wire(w) for w in p.wires]
    out += [rf"\fill ({_n(x)},{_n(y)}) circle[radius=1.5pt];" for x, y in p.dots]
    for b in p.boxes:
        if b.kind != "copy":
            out.append(_box(b))
            out += [_text(t, names, p.lang) for t in b.texts]
    out += [_text(t, names, p.lang) for t in (*p.labels, *p.legend)]
    return "\n".join([*out, r"\end{tikzpicture}}" if fit else r"\end{tikzpicture}"]) + "\n"


def document(p: Picture) -> str:
    """A whole LaTeX document, cut to the picture."""
    chinese = any("\u2e80" < c < "\ue000" for t in _inks(p) for c in t)
    package = "\\usepackage{ctex}\n" if chinese else ""
    return (
        "\\documentclass[border=4pt]{standalone}\n"
        f"{package}\\usepackage{{amsmath,amssymb}}\n\\usepackage{{tikz}}\n"
        f"\\begin{{document}}\n{tikz(p, fit=False)}\\end{{document}}\n"
    )


def _inks(p: Picture) -> list[str]:
    return [t.ink for t in (*p.labels, *p.legend, *(t for b in p.boxes for t in b.texts))]


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _wire(w: Wire) -> str:
    style = "sbpgradient,densely dashed" if w.back else "black"
    found = rf"\draw[{style},rounded corners=3pt] {_path(w.path)};"
    if w.arrow:
        x, y, d = w.path[-1].x, w.path[-1].y, -1 if w.path[-1].x < w.path[-2].x else 1
        colour = "sbpgradient" if w.back else "black"
        found += rf"\fill[{colour}] ({_n(x)},{_n(y)}) -- ++({-7 * d},-3) -- ++(0,6) -- cycle;"
    return found


def _path(moves: Sequence[Move]) -> str:
    out = [f"({_n(moves[0].x)},{_n(moves[0].y)})"]
    for a, b in pairwise(moves):
        if b.curved:
            mid = _n((a.x + b.x) / 2)
            out.append(f".. controls ({mid},{_n(a.y)}) and ({mid},{_n(b.y)}) .. ({_n(b.x)},{_n(b.y)})")
        elif (a.x, a.y) != (b.x, b.y):
            out.append(f"-- ({_n(b.x)},{_n(b.y)})")
    return " ".join(out)


def _box(b: Box) -> str:
    if b.kind == "leaf" and b.height == 22.0 and len(b.texts) == 1:
        return "%"
    radius = {"gate": min(b.width, b.height) / 2, "leaf": 11.0, "data": 11.0, "tag": 11.0}.get(b.kind, 4.0) * UNIT
    fill = {"gate": "sbpblock", "block": "sbpblock", "loss": "sbploss", "leaf": "sbpleaf", "data": "sbpdata"}.get(
        b.kind, "white"
    )
    more = ",line width=0.9pt" if b.kind == "loss" else ",densely dotted" if b.kind == "tag" else ""
    stack = ""
    for k in (6, 3) if b.family else ():
        x, y = b.x + k, b.y - k
        corners = f"({_n(x + b.width)},{_n(y)}) |- ({_n(x + b.width - 3)},{_n(y + b.height)})"
        stack += rf"\draw ({_n(x)},{_n(y + 3)}) |- {corners};"
    return stack + (
        rf"\draw[fill={fill},rounded corners={radius - 0.05:.2f}pt{more}] ({_n(b.x)},{_n(b.y)}) rectangle "
        f"({_n(b.x + b.width)},{_n(b.y + b.height)});"
    )


def _text(t: Text, names: Latex, lang: str) -> str:
    colour = {"value": "sbpvalue", "gradient": "sbpgradient", "shape": "sbpquiet"}.get(t.role, "black")
    size = t.size * UNIT
    font = rf"\fontsize{{{size:.1f}}}{{{size * 1.1:.1f}}}\selectfont"
    inner = words(t.ink, names) if t.role == "legend" or _is_sentence(t.ink) else f"${math(t.ink, names)}$"
    if t.role == "head":
        inner = rf"\boldmath {inner}"
    room = max(t.width, 4.0) * UNIT + 2.0
    return rf"\node[anchor=base,text={colour}] at ({_n(t.x)},{_n(t.y)}) {{{font}\sbpfit{{{room:.1f}pt}}{{{inner}}}}};"


def _is_sentence(ink: str) -> bool:
    """Words with blanks between them, not a formula."""
    text = "".join(x for kind, x in tokens(ink) if kind == "text")
    return ": " in text or "：" in text


def words(ink: str, names: Latex) -> str:
    """A sentence with names in it."""
    out, formula = [], ""
    for piece in _words_and_formulas(ink):
        if piece[0] == "text":
            out.append("".join(_letter(c) for c in piece[1]))
        else:
            formula = math(piece[1], names)
            out.append(f"${formula}$")
    return "".join(out)


def _words_and_formulas(ink: str) -> list[tuple[str, str]]:
    found = []
    for part in ink.split(" "):
        formula = any(c in part for c in "\ue006∂δ")
        text = part.rstrip(",") if formula else part
        found.append(("math" if formula else "text", text))
        found.append(("text", part[len(text) :] + " "))
    return found[:-1] if found else []


def _letter(c: str) -> str:
    return {"δ": r"$\delta$", "∂": r"$\partial$"}.get(c) or escape(c)


def math(ink: str, names: Latex) -> str:
    """A formula in LaTeX's mathematics."""
    out: list[str] = []
    opened: list[str] = []
    word = closed = ""

    def flush() -> None:
        nonlocal word
        if word:
            out.append(_word(word))
        word = ""

    for kind, text in tokens(ink):
        if kind != "text":
            flush()
            if kind in ("up", "down"):
                sign = {"up": "^", "down": "_"}[kind]
                out.append(f"{{}}{sign}{{" if closed == sign else f"{sign}{{")  # TeX takes one of each
                opened.append(sign)
            elif kind == "back":
                closed = opened.pop()
                out.append("}")
                continue
            else:
                out.append(f"{{{names.tensor(text)}}}")
            closed = ""
            continue
        n = 0
        while n < len(text):
            c = text[n]
            if c.isalpha() and c.isascii():
                word += c
                n += 1
                continue
            flush()
            raised = ""
            while n < len(text) and text[n] in _RAISED:
                raised += _RAISED[text[n]]
                n += 1
            if raised:
                out.append(f"^{{{raised}}}")
                continue
            if c == "ᵀ" and closed == "^":  # TeX takes one superscript
                out.append("{}")
            closed = ""
            if c != " " or not (_BINARY.intersection(text[max(n - 1, 0) : n + 2])):  # TeX spaces these itself
                out.append(_symbol(c))
            n += 1
    flush()
    return "".join(out)


def _word(word: str) -> str:
    if len(word) == 1:
        return word
    return f"\\{word} " if word in _FUNCTIONS else rf"\mathrm{{{word}}}"


def _symbol(c: str) -> str:
    if c in _MATH:
        return _MATH[c]
    if c in GREEK_LETTERS:
        name = GREEK_LETTERS[c]
        return LATEX_GREEK.get(name, "\\" + name) + " "
    if c == " ":
        return r"\,"
    return c if ord(c) < 128 else rf"\text{{{c}}}"
