"""Blocks → lines for a terminal.

Colour has a meaning: weights, data, activations, errors and the loss each keep theirs wherever
they stand; rule names are dim, what a line changed is underlined, shapes stand at the right margin.
Everything fits the width given: long formulas are broken at spaces and continued under their equals
sign. Without colour the very same lines come out as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from symbp.show.alphabet import END, MARKS, ROLES
from symbp.show.blocks import Block, Figure, Heading, Notes, Prose, Row, Rows, Table
from symbp.show.tex import CHANGED, UNCHANGED
from symbp.show.words import say

COLOURS = {
    "weight": "\x1b[38;5;75m",
    "data": "\x1b[38;5;150m",
    "node": "\x1b[38;5;222m",
    "error": "\x1b[38;5;209m",
    "loss": "\x1b[1;38;5;176m",
}
BOLD, DIM, GREEN, RED, RESET = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[1;31m", "\x1b[0m"
PLAIN = "\x1b[22;39m"  # no colour any more, but what is underlined stays so
LEGEND = ("weight", "data", "node", "error", "loss")
_WIDE = re.compile("[\u0300-\u036f\u1100-\u1cff\u2e80-\uffff\U00010000-\U0010ffff]")  # combining or perhaps wide
NARROW = 16  # no column of a table is broken to less, if there is room
LABEL = 14  # columns for the names of the rules


@lru_cache(maxsize=4096)  # the same pieces are measured several times on their way to a line
def width_of(text: str) -> int:
    """Columns that a text takes, without role marks."""
    if text.isascii():
        return len(text)
    text = MARKS.sub("", text)
    if _WIDE.search(text) is None:
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def lines(blocks: Iterable[Block], width: int = 80, colour: bool = False) -> Iterator[str]:
    """The lines of a document."""
    paint = _coloured if colour else _plain
    width = max(width, 40)
    for block in blocks:
        match block:
            case Heading():
                yield from _heading(block, width, colour)
            case Prose():
                for line in wrap(block.text, width, 0):
                    yield paint(line)
            case Rows():
                yield from _rows(block.rows, width, colour)
            case Table():
                yield from _table(block, width, colour)
            case Figure():
                yield from block.text.splitlines()
            case Notes():
                for n, text in enumerate(block.texts, 1):
                    for line in wrap(f"{n} {text}", width, 2):
                        yield paint(line)


def legend(colour: bool, lang: str = "en") -> str:
    """One line that says what the colours mean."""
    if not colour:
        return ""
    return "  ".join(f"{COLOURS[role]}■ {say(f'legend-{role}', lang)}{RESET}" for role in LEGEND)


def _plain(text: str) -> str:
    return text if text.isascii() else MARKS.sub("", text)


_PAINT = {ROLES[role]: code for role, code in COLOURS.items()} | {END: PLAIN, CHANGED: "\x1b[4m", UNCHANGED: "\x1b[24m"}


def _coloured(text: str) -> str:
    return MARKS.sub(lambda m: _PAINT.get(m[0], ""), text)


def _heading(h: Heading, width: int, colour: bool) -> Iterator[str]:
    convert = _coloured if colour else _plain
    bold, dim, reset = (BOLD, DIM, RESET) if colour else ("", "", "")
    if h.level == 1:
        for line in wrap(_plain(h.text), width, 0):
            yield f"{bold}{line}{reset}"
        return
    yield ""
    if h.level == 2:
        *before, last = wrap(h.text, width - 3, 0)
        yield from (f"{bold}{convert(piece)}{reset}" for piece in before)
        yield f"{bold}{convert(last)} {reset}{dim}{'═' * (width - width_of(last) - 1)}{reset}"
        return
    *before, last = wrap(h.text, width - 5, 0)
    for n, piece in enumerate(before):
        yield f"{dim}{'──' if n == 0 else '  '} {reset}{convert(piece)}"
    tail = f" {h.shape}" if h.shape and width_of(last) + width_of(h.shape) + 6 <= width else ""
    rule = "─" * max(width - width_of(last) - 4 - width_of(tail), 1)
    yield f"{dim}{'  ' if before else '──'} {reset}{convert(last)} {dim}{rule}{tail}{reset}"
    if h.shape and not tail:
        yield f"{dim}{' ' * (width - width_of(h.shape))}{h.shape}{reset}"


def _rows(rows: tuple[Row, ...], width: int, colour: bool) -> Iterator[str]:
    convert = _coloured if colour else _plain
    dim, reset = (DIM, RESET) if colour else ("", "")
    indent = LABEL if any(r.rule for r in rows) else 2
    equals = 0
    for r in rows:
        label = f"  {r.rule}" if r.rule else ""
        gap = " " * max(indent - width_of(label), 1) if label else " " * indent
        if not r.right:
            mark = GREEN if r.note.startswith("✓") else RED if r.note.startswith("✗") else DIM
            for n, piece in enumerate(wrap(r.note, width - indent, 0)):
                note = f"{mark}{convert(piece)}{RESET}" if colour else convert(piece)
                yield f"{dim}{label}{reset}{gap}{note}" if n == 0 else " " * indent + note
            continue
        said = r.note or r.because
        if r.left:
            equals = min(width_of(r.left) + 1, max(width // 2 - indent, 8))
        lead = r.left + " " if r.left else " " * equals
        start = max(indent, width_of(label) + 1) + width_of(lead) + 2
        room = width - start
        broken = list(_closed(wrap(r.right, max(room, 16), 0)))
        longest = max(map(width_of, r.right.split(" ")))
        if longest > room or (r.left and width_of(lead) > width // 2):  # a long left side has a line of its own
            for piece in wrap(r.left, width - max(indent, width_of(label) + 1), 4) if r.left else ():
                yield f"{dim}{label}{reset}{gap}{convert(piece)}"
                label, gap = "", " " * indent
            equals, lead, start = 4, "    ", max(indent, width_of(label) + 1) + 6
            broken = list(_closed(wrap(r.right, width - start, 0)))
        beside = width - start - width_of(r.shape) - 2
        if r.shape and width_of(broken[0]) > beside >= longest:
            broken = list(_closed(wrap(r.right, beside, 0)))
        shaped = 0 if width_of(broken[0]) <= beside else len(broken) - 1
        for n, piece in enumerate(broken):
            shape = (r.shape if n == shaped else "") or (said if n == len(broken) - 1 else "")
            if n == 0:
                head = f"{dim}{label}{reset}{gap}{convert(lead)}{r.relation} {convert(piece)}"
            else:
                head = " " * start + convert(piece)
            if shape:
                pad = width - start - width_of(piece) - width_of(shape)
                if pad < 2:
                    yield head
                    *above, shape = wrap(shape, width - indent, 0)
                    yield from (" " * indent + f"{dim}{convert(p).replace(PLAIN, PLAIN + dim)}{reset}" for p in above)
                    head, pad = "", max(width - width_of(shape), 0)
                head += " " * pad + f"{dim}{convert(shape).replace(PLAIN, PLAIN + dim)}{reset}"
            yield head


def _table(table: Table, width: int, colour: bool) -> Iterator[str]:
    convert = _coloured if colour else _plain
    columns = list(zip(table.headers, *table.rows))
    widths = [max(width_of(c) for c in column) for column in columns]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    least = min(NARROW, (width - 2 * (len(widths) - 1)) // len(widths))
    while over > 0 and max(widths) > least:  # the widest column is broken, then the next
        widest = widths.index(max(widths))
        less = min(over, max(widths[widest] - least, 0))
        widths[widest], over = widths[widest] - less, over - less
    dim, reset = (DIM, RESET) if colour else ("", "")

    def laid(cells: tuple[str, ...]) -> Iterator[str]:
        broken = [list(_closed(wrap(c, w, 0))) for c, w in zip(cells, widths)]
        for n in range(max(map(len, broken))):
            pieces = [b[n] if n < len(b) else "" for b in broken]
            yield "  ".join(convert(c) + " " * (w - width_of(c)) for c, w in zip(pieces, widths)).rstrip()

    for line in laid(table.headers):
        yield f"{dim}{line}{reset}"
    for row in table.rows:
        for text in laid(row):
            if colour and table.marks:
                text = text.replace("✓", f"{GREEN}✓{RESET}").replace("✗", f"{RED}✗{RESET}")
            yield text


def _closed(pieces: Iterable[str]) -> Iterator[str]:
    """Lines of a formula; what is underlined across a break is so on both lines."""
    is_open = False
    for piece in pieces:
        line = CHANGED + piece if is_open else piece
        is_open = line.count(CHANGED) > line.count(UNCHANGED)
        yield line + UNCHANGED if is_open else line


def wrap(text: str, width: int, indent: int) -> Iterator[str]:
    """Break at spaces outside of brackets, as far out as possible, so that lines fit; a word that is longer than
    a line is cut."""
    while width_of(text) > width:
        cut = _best_break(text, width)
        if cut is None:
            line, text = _torn(text, width)
        else:
            line, text = text[:cut].rstrip(), text[cut:].lstrip()
        yield line
        text = " " * indent + text
    yield text


def _torn(text: str, width: int) -> tuple[str, str]:
    """A text cut where the line ends, or after a sign in its second half; what has a role keeps it on both lines."""
    used, role = 0, ""
    cut = after = (0, "")
    for n, c in enumerate(text):
        if MARKS.match(c):
            role = c if c in _ROLES else "" if c == END else role
            continue
        used += width_of(c)
        if used > width:
            break
        cut = (n + 1, role)
        if c in "/,_" and used > width // 2:
            after = cut
    n, role = after if after[0] else cut
    return text[:n] + (END if role else ""), role + text[n:]


_ROLES = frozenset(ROLES.values())
_ALONE = re.compile(r"[+−⊙·]?|\(?Σ\S*")  # what does not stand alone on a line
_BREAKS = {"+": 0, "−": 0, "⊙": 1, "·": 1}  # where a formula is broken before it is elsewhere


def _best_break(text: str, width: int) -> int | None:
    """The last space of the lowest bracket depth that fits, before a + or − if there is one; no
    role mark is torn apart."""
    depth, used, open_mark = 0, 0, False
    best = early = None
    lowest = (99, 0)
    start = len(text) - len(text.lstrip())  # a break in the indentation would never end
    for n, c in enumerate(text):
        if MARKS.match(c):
            open_mark = c in _ROLES or (open_mark and c != END)
            continue
        used += 1 if c.isascii() else width_of(c)
        if used > width:
            break
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c in "；，。、：" and depth == 0 and not open_mark:  # no space follows these
            lowest, best = (0, 2), n + 1
        elif c == " " and not open_mark and n > start:
            torn = text[n - 1] in _BREAKS or text[:n].rpartition(" ")[2].startswith(("Σ", "(Σ"))
            here = (depth, 3 if torn else _BREAKS.get(text[n + 1 : n + 2], 2))
            if used <= width // 3 or _ALONE.fullmatch(MARKS.sub("", text[:n]).strip()):
                early = n if text[:n].strip() else early  # only if nothing further on will do
            elif here <= lowest:
                lowest, best = here, n
    return best if best is not None else early
