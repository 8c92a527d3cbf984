"""Formulas in pictures: text with marks, which every format writes in its own way, and its width.

`Ink` is an alphabet: a `MathPrinter` that uses it writes a formula in which names stand as they were
declared, between marks, and sub- and superscripts between others. `runs` reads the marks, so that
SVG sets names in italics with small subscripts, TikZ uses the LaTeX names of the network, and
Mermaid and DOT write plain Unicode, all from the same text. `width` measures it with the metrics of
Times, which every system has under some name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from symbp.show.alphabet import ACCENTS, GREEK, MARKS, SUBSCRIPT, SUPERSCRIPT, Unicode, layer_of, parse_name
from symbp.show.style import USUAL, Style

NAME, UP, DOWN, BACK = "\ue006", "\ue007", "\ue008", "\ue009"
"""A declared name follows, a superscript, a subscript; and what was begun last ends."""
_LAYER = re.compile(r"_?\d+$")
SMALL = 0.72  # the size of sub- and superscripts
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ", "0123456789−⊤"))


class Ink(Unicode):
    """The alphabet of pictures."""

    name = "unicode"

    def __init__(self, custom: Mapping[str, str] | None = None, style: Style = USUAL, lang: str = "en") -> None:
        super().__init__(custom, style, lang)
        self.custom = dict(custom or {})
        self.raised = {"top": "ᵀ", "T": f"{UP}T{BACK}", "prime": "′"}[style.transpose]

    def mark(self, text: str, role: str) -> str:
        return text

    def tensor(self, name: str, bold: bool = False) -> str:
        layer, _ = layer_of(parse_name(name), self.style)
        if not layer or name in self.custom:
            return f"{NAME}{name}{BACK}"
        return f"{NAME}{_LAYER.sub('', name)}{BACK}{UP}{layer}{BACK}"

    def delta(self, inner: str, indices: str = "") -> str:
        whole = f"d{inner}" if self.style.gradient == "d" else f"δ{DOWN}{inner}{BACK}"
        return f"{whole}{DOWN}{indices}{BACK}" if indices else whole

    def gradient(self, loss: str, of: str) -> str:
        return f"∇{DOWN}{of}{BACK} {loss}" if self.style.gradient == "nabla" else super().gradient(loss, of)

    def subscripted(self, name: str, indices: list[str], simple: bool) -> str:
        return f"{name}{DOWN}{','.join(indices)}{BACK}" if indices else name

    def numbered(self, text: str, above: list[str], under: list[str], below: Sequence[str]) -> str:
        left, right = "[]" if self.style.layers == "bracket" else "()"
        up = f"{UP}{left}{','.join(above)}{right}{BACK}" if above else ""
        down = ",".join((*under, *below))
        if down and text.startswith(f"δ{DOWN}"):  # the error of h_t
            return f"{text[:-1]}{DOWN}{down}{BACK}{BACK}{up}"
        return text + (f"{DOWN}{down}{BACK}" if down else "") + up

    def range_sum(self, var: str, low: str, high: str, body: str) -> str:
        return f"∑{DOWN}{var}={low}{BACK}{UP}{high}{BACK} {body}"

    def big_sum(self, letters: list[str], body: str) -> str:
        return f"∑{DOWN}{','.join(letters)}{BACK} {body}"

    def big_max(self, op: str, letters: list[str], body: str) -> str:
        return f"{op}{DOWN}{','.join(letters)}{BACK} {body}"

    def kronecker(self, a: str, b: str) -> str:
        return f"δ{DOWN}{a},{b}{BACK}"

    def power(self, base: str, exponent: str, elementwise: bool) -> str:
        return f"{base}{UP}{exponent.replace('-', '−')}{BACK}"


@dataclass(frozen=True)
class Run:
    """A stretch of text: its letters, whether slanted or bold, how small, and its height over the line
    (in sizes of the text)."""

    text: str
    slanted: bool = False
    bold: bool = False
    size: float = 1.0
    rise: float = 0.0


def tokens(ink: str) -> Iterator[tuple[str, str]]:
    """What an ink is made of: ("name", declared name), ("up", ""), ("down", ""), ("back", "") and
    ("text", letters). Every "up" and "down" has its "back"."""
    n = 0
    while n < len(ink):
        c = ink[n]
        if c == NAME:
            end = ink.index(BACK, n)
            yield "name", ink[n + 1 : end]
            n = end + 1
        elif c in (UP, DOWN, BACK):
            yield {UP: "up", DOWN: "down", BACK: "back"}[c], ""
            n += 1
        else:
            end = n
            while end < len(ink) and ink[end] not in (NAME, UP, DOWN, BACK):
                end += 1
            yield "text", ink[n:end]
            n = end


def runs(ink: str) -> tuple[Run, ...]:
    """The stretches of equal kind, left to right."""
    found: list[Run] = []
    size, rise = 1.0, 0.0
    outer: list[tuple[float, float]] = []

    def put(text: str, slanted: bool = False, bold: bool = False) -> None:
        if not text:
            return
        last = found[-1] if found else None
        if last and (last.slanted, last.bold, last.size, last.rise) == (slanted, bold, size, rise):
            found[-1] = Run(last.text + text, slanted, bold, size, rise)
        else:
            found.append(Run(text, slanted, bold, size, rise))

    def shift(by: float) -> None:
        nonlocal size, rise
        outer.append((size, rise))
        size, rise = max(size * SMALL, 0.5), rise + by * size

    def back() -> None:
        nonlocal size, rise
        size, rise = outer.pop()

    for kind, text in tokens(ink):
        if kind == "up":
            shift(0.36)
        elif kind == "down":
            shift(-0.22)
        elif kind == "back":
            back()
        elif kind == "name":
            base, subs = spelled(text)
            put(base, slanted=_is_slanted(base))
            if subs:
                shift(-0.22)
                for n, s in enumerate(subs):
                    put("," if n else "")
                    put(s, slanted=_is_slanted(s))
                back()
        else:
            n = 0
            while n < len(text):
                c = text[n]
                if c in _RAISED:
                    shift(0.36)
                    put(_RAISED[c])
                    back()
                elif c == "‖":
                    put("||")
                elif c == "𝟏":
                    put("1", bold=True)
                else:
                    put(c, slanted=c.isalpha() and _is_slanted(c) and _alone(text, n))
                n += 1
    return tuple(found)


def _alone(text: str, n: int) -> bool:
    """Whether a letter is a word of its own: a function or an index, not a part of `relu`."""
    before, after = text[n - 1 : n], text[n + 1 : n + 2]
    return not before.isalpha() and not after.isalpha()


def _is_slanted(word: str) -> bool:
    """Single letters are variables; capital Greek and words stand upright, as do CJK characters."""
    base = unicodedata.normalize("NFD", word)
    letters = [c for c in base if not unicodedata.combining(c)]
    return len(letters) == 1 and letters[0].isalpha() and not "Α" <= letters[0] <= "Ω" and ord(letters[0]) < 0x2E80


def spelled(name: str) -> tuple[str, tuple[str, ...]]:
    """A declared name as letters and subscripts: `y_hat_2` is ŷ and 2."""
    parts = parse_name(name)
    base = GREEK.get(parts.base, parts.base)
    if parts.accent and len(base) == 1:
        base = unicodedata.normalize("NFC", base + ACCENTS[parts.accent][1])
    elif parts.accent:
        base += " " + parts.accent
    return base, tuple(GREEK.get(s, s) for s in parts.subs)


def plain(ink: str) -> str:
    """The same in plain Unicode, on one line; digits as Unicode sub- and superscripts."""
    out: list[str] = []
    opened: list[tuple[str, int]] = []
    for kind, text in tokens(ink):
        if kind == "name":
            out.append(_NAMES.tensor(text))
        elif kind in ("up", "down"):
            opened.append((kind, len(out)))
        elif kind == "back":
            way, start = opened.pop()
            inner = "".join(out[start:])
            del out[start:]
            out.append(_shifted(inner, way))
        else:
            out.append(text)
    return MARKS.sub("", "".join(out))


_NAMES = Unicode()


def _shifted(inner: str, way: str) -> str:
    """`₁`, `²`, `_n`, `^(n+1)`."""
    table = SUBSCRIPT if way == "down" else SUPERSCRIPT
    if all(ord(c) in table for c in inner):
        return inner.translate(table)
    sign = "_" if way == "down" else "^"
    alone = inner.replace(",", "").isalnum() or (inner.startswith("(") and inner.endswith(")"))
    return f"{sign}{inner}" if alone else f"{sign}({inner})"


# ---- width -----------------------------------------------------------------------------------------

_ASCII = (
    "250 333 408 500 500 833 778 180 333 333 500 564 250 333 250 278 500 500 500 500 500 500 500 500 500 500 278 278 "
    "564 564 564 444 921 722 667 667 722 611 556 722 722 333 389 722 611 889 722 722 556 722 667 556 611 722 722 944 "
    "722 722 611 333 278 333 469 500 333 444 500 444 500 444 333 500 500 278 278 500 278 778 500 500 500 500 333 389 "
    "278 500 500 722 500 500 444 480 200 480 541"
)
_WIDTH = {chr(32 + n): int(w) / 1000 for n, w in enumerate(_ASCII.split())}
_WIDTH |= {"−": 0.675, "×": 0.675, "÷": 0.55, "·": 0.25, "⊙": 0.84, "∑": 0.713, "∂": 0.494, "⊤": 0.75, "√": 0.55}


def width(ink: str, size: float) -> float:
    """How wide a text is, in the unit of `size`."""
    return size * sum(r.size * sum(_advance(c) * (1.06 if r.bold else 1.0) for c in r.text) for r in runs(ink))


def _advance(c: str) -> float:
    found = _WIDTH.get(c)
    if found is not None:
        return found
    if unicodedata.combining(c):
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    base = unicodedata.normalize("NFD", c)[0]
    if base in _WIDTH:
        return _WIDTH[base]
    return 0.55 if c.islower() else 0.72 if c.isalpha() else 0.8


def wrapped(ink: str, size: float, most: float) -> tuple[str, ...]:
    """The text on lines of at most this width where it has spaces to break at; no break falls inside a
    sub- or superscript."""
    lines, line, depth, word = [], "", 0, ""
    for c in ink + " ":
        depth += (c in (NAME, UP, DOWN)) - (c == BACK)
        if c != " " or depth:
            word += c
            continue
        longer = f"{line} {word}" if line else word
        if line and width(longer, size) > most:
            lines.append(line)
            line = word
        else:
            line = longer
        word = ""
    return (*lines, line)
