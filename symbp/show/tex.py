"""A formula as a tree, read back from the LaTeX that math.py wrote.

LaTeX is the one written form of a formula outside of the terminal, and names in it may be the user's
own LaTeX; whoever needs more than the text (MathML, the width of a line, where to break it, what
changed from one line to the next) reads the text into this tree. `read` accepts the subset that
symbp prints and `latex(...)` admits, and never fails: what it does not know is a symbol.

Invariant: `write(read(text))` typesets like `text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[\ue030\ue031]|\s+|.", re.S)
CHANGED, UNCHANGED = "\ue030", "\ue031"
"""Marks around a part that the line before did not have."""

ONE_ARGUMENT = {
    "mathbf", "mathrm", "mathcal", "mathbb", "mathsf", "mathit", "mathtt", "mathfrak", "mathscr", "boldsymbol", "bm",
    "text", "textbf", "textit", "textrm", "texttt", "operatorname", "hspace", "hat", "widehat", "tilde", "widetilde",
    "bar", "overline", "underline", "vec", "dot", "ddot", "check", "breve", "acute", "grave", "mathring", "sqrt", "pmb",
}  # fmt: skip
WORDS = {"hspace", "mathrm", "mathtt", "text", "textbf", "textit", "textrm", "texttt", "operatorname"}
SPACES = {r"\,": 0.17, r"\:": 0.22, r"\;": 0.28, r"\!": -0.17, r"\ ": 0.25, r"\quad": 1.0, r"\qquad": 2.0}
RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\ne", r"\leftarrow", r"\in", r"\approx", r"\to", r"\rightarrow"}
BINARY = {"+", "-", r"\odot", r"\circ", r"\cdot", r"\times", r"\pm", r"\otimes"}
LARGE = {r"\sum", r"\prod", r"\max", r"\min", r"\int", r"\arg"}
FUNCTIONS = {
    r"\exp", r"\log", r"\ln", r"\sin", r"\cos", r"\tan", r"\sinh", r"\cosh", r"\tanh", r"\arctan",
    r"\det", r"\max", r"\min", r"\arg",
}  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    """One character or command: `x`, `\\alpha`, `+`, `\\,`."""

    text: str


@dataclass(frozen=True)
class Group:
    """Parts side by side; `marked` if the line before did not have them."""

    parts: tuple[Part, ...]
    marked: bool = False


@dataclass(frozen=True)
class Command:
    """`\\frac{a}{b}`, `\\hat{y}`, `\\mathrm{loss}`; a word keeps its letters in `word`."""

    name: str
    args: tuple[Part, ...]
    word: str = ""


@dataclass(frozen=True)
class Scripts:
    """A base with what stands below and above it."""

    base: Part
    below: Part | None
    above: Part | None


@dataclass(frozen=True)
class Fence:
    """`\\left( … \\right)`."""

    left: str
    body: Part
    right: str


@dataclass(frozen=True)
class Grid:
    """`cases`, `pmatrix`, `aligned`: rows of cells."""

    kind: str
    rows: tuple[tuple[Part, ...], ...]


Part = Symbol | Group | Command | Scripts | Fence | Grid


# ---- reading ---------------------------------------------------------------------------------------


def read(text: str) -> Group:
    """The tree of a formula."""
    return _Reader([t for t in _TOKEN.findall(text) if not t.isspace()], text).group(None)


class _Reader:
    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens, self.at = tokens, 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def group(self, end: str | None) -> Group:
        """Parts up to `end`, which is taken."""
        parts: list[Part] = []
        while self.at < len(self.tokens):
            token = self.peek()
            if token == end:
                self.at += 1
                break
            if token in (r"\right", "}", r"\end", "&", r"\\") and end != token:
                if end in (None, "}") and token in ("}", "&", r"\\", r"\right", r"\end") and end != "cell":
                    self.at += 1  # stray: left out
                    continue
                break
            if token == UNCHANGED:
                break
            part = self.part()
            if part is not None:
                parts.append(self.scripts(part))
        return Group(tuple(parts))

    def part(self) -> Part | None:
        token = self.next()
        if token == "{":
            return self.group("}")
        if token == CHANGED:
            inner = self.group(UNCHANGED)
            if self.peek() == UNCHANGED:
                self.at += 1
            return Group(inner.parts, True)
        if token in ("_", "^", "'"):
            self.at -= 1
            return Group(())
        if token == r"\left":
            left = self.next()
            body = self.group(r"\right")
            return Fence(left, body, self.next())
        if token == r"\begin":
            return self.grid()
        name = token[1:]
        if token == r"\frac" or token in (r"\dfrac", r"\tfrac"):
            return Command("frac", (self.argument(), self.argument()))
        if token.startswith("\\") and name in ONE_ARGUMENT:
            if name in WORDS:
                return Command(name, (), self.word())
            return Command(name, (self.argument(),))
        return Symbol(token)

    def argument(self) -> Part:
        part = self.part()
        return part if part is not None else Group(())

    def word(self) -> str:
        """The letters of \\mathrm{...}, as they stand."""
        if self.peek() != "{":
            return self.next()
        self.at += 1
        depth, out = 1, ""
        while self.at < len(self.tokens):
            token = self.next()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                break
            out += token
        return out

    def scripts(self, base: Part) -> Part:
        below: Part | None = None
        above: Part | None = None
        while self.peek() in ("_", "^", "'"):
            token = self.next()
            if token == "_":
                below = self.argument()
            elif token == "^":
                given = self.argument()
                above = given if above is None else Group((above, given))
            else:
                above = Symbol("'") if above is None else Group((above, Symbol("'")))
        return base if below is None and above is None else Scripts(base, below, above)

    def grid(self) -> Part:
        kind = self.word()
        rows: list[tuple[Part, ...]] = []
        cells: list[Part] = []
        while self.at < len(self.tokens):
            cells.append(self.group("cell"))
            token = self.next()
            if token == "&":
                continue
            rows.append(tuple(cells))
            cells = []
            if token == r"\end":
                self.word()
                break
        return Grid(kind, tuple(r for r in rows if any(c != Group(()) for c in r)))


# ---- writing ---------------------------------------------------------------------------------------


def write(part: Part) -> str:
    """The tree as LaTeX; marked parts are underlined."""
    match part:
        case Symbol(text):
            return text
        case Group(parts, marked):
            inner = _spaced([write(p) if not isinstance(p, Group) or p.marked else f"{{{write(p)}}}" for p in parts])
            return rf"\underline{{{inner}}}" if marked else inner
        case Command("frac", (top, bottom)):
            return rf"\frac{{{write(top)}}}{{{write(bottom)}}}"
        case Command(name, args, word):
            return rf"\{name}{{{word if name in WORDS else write(args[0])}}}"
        case Scripts(base, below, above):
            core = write(base)
            if isinstance(base, Group):
                core = f"{{{core}}}"
            primes = _primes(above)
            return core + primes + _script("_", below) + ("" if primes else _script("^", above))
        case Fence(left, body, right):
            return _fenced(left, write(body), right)
        case Grid(kind, rows):
            lines = r" \\ ".join(" & ".join(write(c) for c in r) for r in rows)
            return rf"\begin{{{kind}}} {lines} \end{{{kind}}}"
    raise AssertionError(type(part))


def _fenced(left: str, body: str, right: str) -> str:
    word = len(left) > 1 and left[1].isalpha()
    return rf"\left{left}{' ' if word else ''}{body}\right{right}"


def _primes(part: Part | None) -> str:
    """What stands above, if it is primes only."""
    if part == Symbol("'"):
        return "'"
    if isinstance(part, Group) and len(part.parts) == 2 and part.parts[1] == Symbol("'"):
        return first + "'" if (first := _primes(part.parts[0])) else ""
    return ""


def _script(sign: str, part: Part | None) -> str:
    if part is None:
        return ""
    inner = write(part)
    return f"{sign}{inner}" if len(inner) == 1 and inner != "'" else f"{sign}{{{inner}}}"


def _spaced(texts: Sequence[str]) -> str:
    """Pieces of LaTeX side by side: a space after a command that ends in a letter, and around signs."""
    out = ""
    for t in texts:
        if t in BINARY or t in RELATIONS:
            out = out.rstrip() + f" {t} " if out else t if t == "-" else t + " "
            continue
        if t in SPACES:
            out = out.rstrip() + t
            continue
        glue = t[:1].isalpha() and re.search(r"\\[A-Za-z]+\Z", out) is not None
        apart = len(t) > 1 and t[0] in "\\(" + CHANGED and bool(out) and (out[-1].isalnum() or out[-1] in ")}")
        out += (" " if glue or apart else "") + t
    return out.rstrip()


# ---- width and breaking ----------------------------------------------------------------------------

_WIDE = {"M": 0.95, "W": 0.95, "m": 0.85, "w": 0.72, "i": 0.35, "l": 0.3, "j": 0.4, "t": 0.36, "f": 0.5, "r": 0.45}


def width(part: Part) -> float:
    """The width in em, roughly; a little too wide rather than too narrow."""
    match part:
        case Symbol(text):
            if text in SPACES:
                return SPACES[text]
            if text in BINARY or text in RELATIONS:
                return 1.25
            if text in LARGE:
                return 1.5 if text in (r"\sum", r"\prod", r"\int") else 2.0
            if text in FUNCTIONS:
                return 0.5 * len(text)
            if text in "()[]|,.;:'" or text in (r"\lvert", r"\rvert"):
                return 0.4
            if len(text) == 1 and ord(text) > 0x2E7F:
                return 1.0
            return _WIDE.get(text, 0.58 if text.islower() else 0.5 if text.isdigit() else 0.75)
        case Group(parts):
            return sum(width(p) for p in parts)
        case Command("frac", (top, bottom)):
            return max(width(top), width(bottom)) + 0.24
        case Command("sqrt", (inner,)):
            return width(inner) + 0.9
        case Command("hspace", _, word):
            return float(word.removesuffix("em"))
        case Command(name, args, word):
            if name in WORDS:
                return sum(1.0 if ord(c) > 0x2E7F else 0.48 for c in word) + 0.15
            return sum(width(a) for a in args) * (1.12 if name in ("mathbf", "boldsymbol") else 1.0)
        case Scripts(base, below, above):
            scripts = [width(s) * 0.72 + 0.05 for s in (below, above) if s is not None]
            if isinstance(base, Symbol) and base.text in LARGE:
                return max(width(base), *scripts) + 0.2
            return width(base) + max(scripts)
        case Fence(_, body, _):
            return width(body) + 1.1
        case Grid(_, rows):
            columns = [max(width(r[n]) for r in rows if n < len(r)) for n in range(max(map(len, rows), default=0))]
            return sum(columns) + len(columns) + 0.8
    raise AssertionError(type(part))


def height(part: Part) -> float:
    """The height in lines, roughly."""
    match part:
        case Group(parts):
            return max(map(height, parts), default=1.0)
        case Command("frac", (top, bottom)):
            return 0.55 + 0.65 * (height(top) + height(bottom))
        case Scripts(Symbol(text), _, _) if text in LARGE:
            return 2.2
        case Scripts(base, _, _):
            return height(base) + 0.1
        case Fence(_, body, _):
            return height(body)
        case Command(_, args, _):
            return max(map(height, args), default=1.0)
        case Grid(_, rows):
            return sum(max(map(height, r), default=1.0) for r in rows)
    return 1.0


def broken(text: str, first: float, rest: float) -> list[str]:
    """The formula in lines no wider than `first` and then `rest` em, broken where a person would: before
    a plus or minus, else before ⊙, else between factors; inside of brackets only if nothing else will do."""
    whole = read(text)
    if width(whole) <= first:
        return [text]
    pieces = list(_pieces(whole.parts, 0, rest))
    lines: list[str] = []
    room = first
    while pieces:
        cut = _cut(pieces, room)
        lines.append(_spaced([p.text for p in pieces[:cut]]))
        pieces, room = pieces[cut:], rest
    return [line.strip() for line in lines]


@dataclass(frozen=True)
class _Piece:
    text: str
    width: float
    badness: float  # of breaking before it; 99: never


def _pieces(parts: Sequence[Part], depth: int, room: float) -> Iterator[_Piece]:
    """The parts in a row; fences that are wider than a line are opened."""
    before: Part | None = None
    for p in parts:
        bad = _badness(before, p) + 4 * depth
        if isinstance(p, Group) and not p.marked:
            yield from _with_first(_pieces(p.parts, depth, room), bad)
        elif isinstance(p, Group):
            yield _Piece(write(p), width(p), bad)
        elif isinstance(p, Fence) and width(p) > 0.6 * room:
            yield _Piece(_bare(p.left), 0.5, bad)
            inner = p.body.parts if isinstance(p.body, Group) else (p.body,)
            yield from _with_first(_pieces(inner, depth + 1, room), 99)
            yield _Piece(_bare(p.right), 0.5, 99)
        elif isinstance(p, Scripts) and isinstance(p.base, Fence) and width(p) > 0.6 * room:
            fence = p.base
            yield _Piece(_bare(fence.left), 0.5, bad)
            inner = fence.body.parts if isinstance(fence.body, Group) else (fence.body,)
            yield from _with_first(_pieces(inner, depth + 1, room), 99)
            yield _Piece(_bare(fence.right) + _script("_", p.below) + _script("^", p.above), 1.5, 99)
        else:
            yield _Piece(write(p), width(p), bad)
        before = p


def _bare(fence: str) -> str:
    return "" if fence == "." else fence


def _with_first(pieces: Iterator[_Piece], badness: float) -> Iterator[_Piece]:
    for n, p in enumerate(pieces):
        yield _Piece(p.text, p.width, badness) if n == 0 else p


def _badness(before: Part | None, p: Part) -> float:
    """How bad it is to break before a part."""
    if before is None:
        return 99
    if isinstance(before, Symbol) and (before.text in BINARY or before.text in RELATIONS or before.text in FUNCTIONS):
        return 99
    if isinstance(before, Scripts) and isinstance(before.base, Symbol) and before.base.text in LARGE | FUNCTIONS:
        return 99
    if isinstance(before, Command) and before.name in (*WORDS, "mathbf") and isinstance(p, Fence):
        return 99  # softmax(…), 𝟏[…]
    if isinstance(before, Symbol) and isinstance(p, Fence) and before.text in (r"\sigma", r"\varphi", "f", "g"):
        return 99
    if isinstance(before, Symbol) and before.text in "([" + r"\lvert":
        return 99
    if isinstance(p, Scripts) and isinstance(p.base, Symbol) and p.base.text in (")", "]", r"\rvert"):
        return 99
    if isinstance(p, Symbol):
        if p.text in RELATIONS:
            return 0
        if p.text in ("+", "-"):
            return 1
        if p.text in BINARY:
            return 2
        if p.text in SPACES or p.text in ")],.;:'|" or p.text == r"\rvert":
            return 99
    return 3


def _cut(pieces: Sequence[_Piece], room: float) -> int:
    """How many pieces stand on the next line: up to the best place that fits, of equals the last; a place near
    the beginning is as bad as one inside of a bracket. If nothing fits, up to the first place there is."""
    used, best, best_bad = 0.0, 0, 1000.0
    for n, p in enumerate(pieces):
        if n and p.badness < 99:
            bad = p.badness + (4 if used < 0.4 * room else 0)
            if used > room:
                return best or n
            if bad <= best_bad:
                best, best_bad = n, bad
        used += p.width
    return len(pieces) if used <= room or not best else best


# ---- what changed ----------------------------------------------------------------------------------


def with_changes(before: str, after: str) -> str:
    """`after` with marks around what `before` did not have; as it is when everything is new."""
    old, new = read(before), read(after)
    marked = _marked(old.parts, new.parts)
    if marked is None:
        return after
    return marks(Group(marked))


def _marked(old: Sequence[Part], new: Sequence[Part]) -> tuple[Part, ...] | None:
    """The new parts, those that are not old in marked groups; None if too much is new to be worth it."""
    before, after = list(_units(old)), list(_units(new))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    out: list[Part] = []
    fresh = 0
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        parts = [p for unit in after[j1:j2] for p in unit]
        if tag == "equal":
            out.extend(parts)
        elif tag in ("replace", "insert"):
            inner = _inside([p for unit in before[i1:i2] for p in unit], parts)
            if inner is not None:
                out.extend(inner)
                continue
            fresh += len(parts)
            first, last = 0, len(parts)
            while first < last - 1 and _is_space(parts[first]):  # spaces around what is new are not
                first += 1
            while last > first + 1 and _is_space(parts[last - 1]):
                last -= 1
            out += [*parts[:first], Group(tuple(parts[first:last]), True), *parts[last:]]
    if fresh == len(new) or (not fresh and not any(_holds_mark(p) for p in out)):
        return None
    return tuple(out)


def _units(parts: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    """What is marked as one: a number, `(X^{-1})_{ij}` with its brackets, `\\mathrm{d}X` with its d."""
    held: list[Part] = []
    depth = 0
    for n, p in enumerate(parts):
        mark = p.base if isinstance(p, Scripts) else p
        sign = mark.text if isinstance(mark, Symbol) else ""
        depth = max(0, depth + (sign == "(") - (sign == ")"))
        held.append(p)
        number = _is_digit(p) and n + 1 < len(parts) and _is_digit(parts[n + 1])
        if depth == 0 and not number and not (isinstance(p, Command) and p.word == "d"):
            yield tuple(held)
            held = []
    if held:
        yield tuple(held)


def _is_digit(part: Part) -> bool:
    mark = part.base if isinstance(part, Scripts) else part
    return isinstance(mark, Symbol) and (mark.text.isdigit() or mark.text == ".")


def _is_space(part: Part) -> bool:
    return isinstance(part, Symbol) and part.text in SPACES


def _inside(old: Sequence[Part], new: Sequence[Part]) -> tuple[Part, ...] | None:
    """One part became another of the same kind: look at what changed in it."""
    if len(old) != 1 or len(new) != 1:
        return None
    match old[0], new[0]:
        case Fence(a, Group(x), b), Fence(c, Group(y), d) if (a, b) == (c, d):
            found = _marked(x, y)
            return None if found is None else (Fence(a, Group(found), b),)
    return None


def _holds_mark(part: Part) -> bool:
    match part:
        case Group(parts, marked):
            return marked or any(map(_holds_mark, parts))
        case Fence(_, body, _):
            return _holds_mark(body)
    return False


def marks(part: Part) -> str:
    """The tree as LaTeX with the marks of this module around what is marked."""
    match part:
        case Group(parts, marked):
            inner = _spaced([marks(p) if not isinstance(p, Group) or p.marked else f"{{{marks(p)}}}" for p in parts])
            return f"{CHANGED}{inner}{UNCHANGED}" if marked else inner
        case Fence(left, body, right):
            return _fenced(left, marks(body), right)
    return write(part)


def underlined(text: str) -> str:
    """Marks as underlines, in LaTeX that every engine takes."""
    return text.replace(CHANGED, r"\underline{").replace(UNCHANGED, "}")


def unmarked(text: str) -> str:
    """The formula without marks."""
    return text.replace(CHANGED, "").replace(UNCHANGED, "")
