"""Tokens to statements, and statements to sides: everything at the outermost level, before any parsing.

A row of an alignment that starts with a relation goes on with the chain above it; one that starts with an
operator goes on with the side above. Words such as "and", wide spaces, arrows and commas end a statement.
`∈ ℝ^{m×n}` declares a shape and is no link of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from symbp.read.latex.commands import ALIGNING
from symbp.read.latex.tokens import Token

LINKS = frozenset({"=", ":=", "==", "approx", "gets"})


@dataclass
class Side:
    """One side of a relation; `relation` stands before it ("" for the first)."""

    relation: str
    tokens: list[Token] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.tokens[0].start if self.tokens else 0

    @property
    def end(self) -> int:
        return self.tokens[-1].end if self.tokens else 0


@dataclass
class Statement:
    """`side REL side REL side`, and the words that stood beside it."""

    sides: list[Side]
    asides: list[str] = field(default_factory=list)

    @property
    def is_equation(self) -> bool:
        return len(self.sides) > 1 and all(s.relation in LINKS for s in self.sides[1:])

    @property
    def start(self) -> int:
        return self.sides[0].start or next((s.start for s in self.sides if s.tokens), 0)

    @property
    def end(self) -> int:
        return max(s.end for s in self.sides)


def statements(tokens: list[Token]) -> list[Statement]:
    """The statements of a formula, in order."""
    pieces: list[list[Token]] = []
    for row in _rows(_unwrapped(_without_empty(tokens))):
        for n, piece in enumerate(_pieces(row)):
            if n == 0 and pieces and _continues(pieces[-1], piece):
                pieces[-1] = pieces[-1] + piece
            elif piece:
                pieces.append(piece)
    return [_statement(piece) for piece in pieces]


def _without_empty(tokens: list[Token]) -> list[Token]:
    """Without `{}` that nothing is written on: symbp itself begins a line with it, so that a bracket opens there. A
    factor that follows it there goes on with the product above."""
    done: list[Token] = []
    n = 0
    while n < len(tokens):
        empty = [t.kind for t in tokens[n : n + 2]] == ["LB", "RB"]
        after = tokens[n + 2].kind if n + 2 < len(tokens) else ""
        before = done[-1].kind if done else ""
        if empty and after not in ("SUP", "SUB", "PRIME") and before not in ("SUP", "SUB", "FRAC", "ACCENT", "RB"):
            if after not in ("ADD", "OP", "REL", "NEWLINE", "AMP", "") and _breaks_product(done):
                done.append(Token("OP", "", tokens[n].start, tokens[n + 1].end))
            n += 2
            continue
        done.append(tokens[n])
        n += 1
    return done


def _breaks_product(before: list[Token]) -> bool:
    """Whether a line begins here, and the one above ends with an operand."""
    n = len(before)
    while n and before[n - 1].kind in ("AMP", "SEP"):
        n -= 1
    return n > 1 and before[n - 1].kind == "NEWLINE" and before[n - 2].kind not in ("ADD", "OP", "REL", "OPEN", "LB")


def _unwrapped(tokens: list[Token]) -> list[Token]:
    """Outer alignments opened, with what encloses nothing but one: a brace around equations, a bracket."""
    while True:
        if len(tokens) > 2 and tokens[0].kind in ("OPEN", "LB") and _closing(tokens, 0) == len(tokens) - 1:
            inside = tokens[1:-1]
            if (
                inside
                and inside[0].kind == "BEGIN"
                and inside[0].text in ALIGNING
                and _closing(inside, 0) == len(inside) - 1
            ):
                tokens = inside
                continue
            if tokens[0].kind == "LB":
                tokens = inside
                continue
        break
    done: list[Token] = []
    depth = 0
    for token in tokens:
        if token.kind == "BEGIN" and token.text in ALIGNING and depth == 0:
            continue
        if token.kind == "END" and token.text in ALIGNING and depth == 0:
            continue
        depth += (token.kind in ("OPEN", "LB", "BEGIN")) - (token.kind in ("CLOSE", "RB", "END"))
        done.append(token)
    return done


def _closing(tokens: list[Token], at: int) -> int:
    depth = 0
    for n in range(at, len(tokens)):
        depth += (tokens[n].kind in ("OPEN", "LB", "BEGIN")) - (tokens[n].kind in ("CLOSE", "RB", "END"))
        if depth == 0:
            return n
    return -1


def _rows(tokens: list[Token]) -> list[list[Token]]:
    rows: list[list[Token]] = [[]]
    depth = inner = 0
    begun = remark = False  # whether the row has begun; whether a column behind it has
    for n, token in enumerate(tokens):
        if remark and token.kind != "NEWLINE":
            continue
        depth += (token.kind in ("OPEN", "LB", "BEGIN")) - (token.kind in ("CLOSE", "RB", "END"))
        inner += (token.kind == "BEGIN") - (token.kind == "END")
        if depth and not inner and token.kind in ("NEWLINE", "AMP"):  # a line that is broken inside a bracket
            after = tokens[n + 1].kind if n + 1 < len(tokens) else ""
            remark = token.kind == "AMP" and begun and after not in ("ADD", "OP", "REL")
            begun = begun and token.kind == "AMP"
            continue
        begun = token.kind not in ("NEWLINE", "AMP", "SEP") or (begun and token.kind != "NEWLINE")
        if token.kind == "NEWLINE" and depth == 0:
            rows.append([])
        else:
            rows[-1].append(token)
    return rows


def _pieces(row: list[Token]) -> list[list[Token]]:
    """A row cut at separators of statements; columns behind an equation that are none are left out."""
    pieces: list[list[Token]] = [[]]
    remarks: list[int] = []
    beside = False  # in a column behind an equation
    depth = 0
    for n, token in enumerate(row):
        depth += (token.kind in ("OPEN", "LB", "BEGIN")) - (token.kind in ("CLOSE", "RB", "END"))
        before, after = row[n - 1].kind if n else "", row[n + 1].kind if n + 1 < len(row) else ""
        if depth == 0 and token.kind == "AMP":
            if _ends_equation(pieces[-1], after):
                pieces.append([])  # a second column: a remark, a shape, or another equation
                beside = True
                remarks.append(len(pieces) - 1)
            continue
        if (
            depth == 0
            and token.kind == "SEP"
            and (before in ("REL", "OP", "ADD") or after in ("REL", "OP", "ADD", "TEXT"))
        ):
            continue  # space around an operator
        if depth == 0 and token.kind in ("SEP", "ARROW", "COMMA"):
            pieces.append([])
        elif depth == 0 and token.kind == "TEXT" and before not in ("SUP", "SUB") and len(row) > 1:
            pieces += [[token], []]
        else:
            pieces[-1].append(token)
        if beside:
            remarks += range(remarks[-1] + 1, len(pieces))
    return [p for n, p in enumerate(pieces) if n not in remarks or any(t.kind == "REL" for t in _outer(p))]


def _ends_equation(piece: list[Token], after: str) -> bool:
    """Whether an & stands behind an equation, and not beside its sign or in the middle of a side."""
    outer = _outer(piece)
    return (
        any(t.kind == "REL" for t in outer)
        and piece[-1].kind not in ("REL", "OP", "ADD")
        and after not in ("REL", "OP", "ADD", "")
    )


def _continues(above: list[Token], piece: list[Token]) -> bool:
    """Whether a row goes on with the statement above it."""
    if not piece:
        return False
    if all(t.kind == "TEXT" for t in above):
        return False
    first = piece[0]
    if above[-1].kind in ("OP", "ADD", "REL"):
        return True
    if first.kind == "REL":
        return first.text not in ("in", ":")
    if first.kind == "OP":
        return True
    return first.kind == "ADD" and not any(t.kind == "REL" for t in _outer(piece))


def _outer(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    depth = 0
    for token in tokens:
        depth += (token.kind in ("OPEN", "LB", "BEGIN")) - (token.kind in ("CLOSE", "RB", "END"))
        if depth == 0:
            found.append(token)
    return found


def _statement(piece: list[Token]) -> Statement:
    sides = [Side("")]
    asides: list[str] = []
    depth = 0
    skipping = False
    for n, token in enumerate(piece):
        depth += (token.kind in ("OPEN", "LB", "BEGIN")) - (token.kind in ("CLOSE", "RB", "END"))
        if token.kind == "REL" and depth == 0:
            skipping = token.text == "in" and _is_space(piece[n + 1 : n + 6])
            if skipping:
                asides.append("shape")
                continue
            if token.text == "=" and sides[-1].relation == ":" and not sides[-1].tokens:  # ": ="
                sides[-1].relation = ":="
                continue
            sides.append(Side(token.text))
        elif not skipping:
            sides[-1].tokens.append(token)
    return Statement(sides, asides)


def _is_space(after: list[Token]) -> bool:
    """`\\mathbb{R}`, `R`."""
    return any(t.kind == "LETTER" and t.text == "R" for t in after[:3]) or any(t.text == "times" for t in after)
