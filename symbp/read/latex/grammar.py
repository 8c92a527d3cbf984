"""The grammar of one side, and the nodes it builds.

LALR(1) without a conflict, because everything that is not context-free in LaTeX has been settled on the
tokens, and because nothing here has a meaning: a call, a product and a sum over letters are all flat
products. lark is imported when the first formula is read, and builds its tables once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from symbp.errors import ReadError
from symbp.read.latex.macros import error
from symbp.read.latex.tokens import Token
from symbp.read.latex.tree import (
    Accent,
    Atom,
    Bracket,
    Environment,
    Fraction,
    List,
    Node,
    Nothing,
    Product,
    Relation,
    Scripts,
    Span,
    Sum,
    is_prime,
    is_transpose,
)

if TYPE_CHECKING:
    import lark

GRAMMAR = r"""
start    : items
items     : relation | items COMMA relation
relation :                              -> nothing
         | sum                          -> alone
         | relation REL                 -> related
         | relation REL sum             -> related
sum      : signed | sum ADD signed
signed   : product | ADD signed
product  : unit | product unit | product op unit
op       : OP | op ADD | op OP
unit     : base scripts
scripts  : | scripts SUP arg | scripts SUB arg | scripts PRIME
base     : LETTER | NUM | WORD | TEXT | FUN | BIGOP | PARTIAL | NABLA | DOTS | SYM | EMPTY
         | group | bracket | frac | accent | env
arg      : LETTER | NUM | WORD | TEXT | FUN | BIGOP | PARTIAL | NABLA | DOTS | SYM
         | group | frac | accent
group    : LB items RB
bracket  : OPEN items CLOSE
frac     : FRAC arg arg
accent   : ACCENT arg
env      : BEGIN rows END
rows     : row | rows NEWLINE row
row      : items | row AMP items
%declare LETTER NUM WORD TEXT FUN BIGOP PARTIAL NABLA DOTS SYM EMPTY LB RB OPEN CLOSE FRAC ACCENT BEGIN END
%declare NEWLINE AMP COMMA REL ADD OP SUP SUB PRIME
"""


class _Build:
    """One method a rule: the children are tokens and what other rules made."""

    def start(self, c: list[Any]) -> Node:
        return c[0][0] if len(c[0]) == 1 else List(_around(c[0]), tuple(c[0]))

    def items(self, c: list[Any]) -> list[Node]:
        if len(c) == 1:
            return [_relation(c[0])]
        c[0].append(_relation(c[2]))
        return c[0]  # type: ignore[no-any-return]

    def nothing(self, c: list[Any]) -> list[Any]:
        return [None]

    def alone(self, c: list[Any]) -> list[Any]:
        return [_sum(c[0])]

    def related(self, c: list[Any]) -> list[Any]:
        c[0] += [c[1], _sum(c[2]) if len(c) > 2 else None]
        return c[0]  # type: ignore[no-any-return]

    def sum(self, c: list[Any]) -> list[Any]:
        if len(c) == 1:
            sign, term = c[0]
            return [(sign, term)]
        sign, term = c[2]
        c[0].append((_signs(c[1].text, sign), term))
        return c[0]  # type: ignore[no-any-return]

    def signed(self, c: list[Any]) -> tuple[str, Node]:
        if len(c) == 1:
            return "", _product(c[0])
        sign, term = c[1]
        return _signs(c[0].text, sign), term

    def product(self, c: list[Any]) -> list[Any]:
        if len(c) == 1:
            return [("", c[0])]
        c[0].append(("", c[1]) if len(c) == 2 else (c[1], c[2]))
        return c[0]  # type: ignore[no-any-return]

    def op(self, c: list[Any]) -> str:
        if len(c) == 1:
            return c[0].text  # type: ignore[no-any-return]
        return c[0] + " " + c[1].text  # type: ignore[no-any-return]

    def unit(self, c: list[Any]) -> Node:
        return _scripted(c[0], c[1])

    def scripts(self, c: list[Any]) -> list[Any]:
        if not c:
            return []
        c[0].append((c[1], c[2] if len(c) > 2 else None))
        return c[0]  # type: ignore[no-any-return]

    def base(self, c: list[Any]) -> Node:
        return _atom(c[0]) if isinstance(c[0], Token) else c[0]

    arg = base

    def group(self, c: list[Any]) -> Node:
        span = (c[0].start, c[2].end)
        inside = c[1][0] if len(c[1]) == 1 else List(_around(c[1]), tuple(c[1]))
        if isinstance(inside, (Atom, Accent, Fraction, Scripts, Bracket, Environment)):
            return replace(inside, span=span)
        return Bracket(span, "", "", inside)

    def bracket(self, c: list[Any]) -> Node:
        inside = c[1][0] if len(c[1]) == 1 else List(_around(c[1]), tuple(c[1]))
        return Bracket((c[0].start, c[2].end), c[0].text, c[2].text, inside)

    def frac(self, c: list[Any]) -> Node:
        return Fraction((c[0].start, c[2].span[1]), c[0].text, c[1], c[2])

    def accent(self, c: list[Any]) -> Node:
        span = (c[0].start, c[1].span[1])
        name, body = c[0].text, c[1]
        if name in ("plain", "brace", "substack"):
            return body  # type: ignore[no-any-return]
        if isinstance(body, Scripts) and name != "sqrt":  # \hat{y_i} is \hat y_i
            return Scripts(span, Accent(span, name, body.base), body.subs, body.sups)
        return Accent(span, name, body)

    def env(self, c: list[Any]) -> Node:
        rows = [r for r in c[1] if not (len(r) == 1 and isinstance(r[0], Nothing))]
        return Environment((c[0].start, c[2].end), c[0].text, tuple(tuple(r) for r in rows))

    def rows(self, c: list[Any]) -> list[list[Node]]:
        if len(c) == 1:
            return [c[0]]
        c[0].append(c[2])
        return c[0]  # type: ignore[no-any-return]

    def row(self, c: list[Any]) -> list[Node]:
        cell = c[-1]
        node = cell[0] if len(cell) == 1 else List(_around(cell), tuple(cell))
        if len(c) == 1:
            return [node]
        c[0].append(node)
        return c[0]  # type: ignore[no-any-return]


def _atom(token: Token) -> Atom:
    return Atom((token.start, token.end), token.kind, token.text, token.font)


def _around(nodes: list[Node]) -> Span:
    return nodes[0].span[0], nodes[-1].span[1]


def _signs(a: str, b: str) -> str:
    if {a, b} <= {"+", "-", ""}:
        return "-" if (a == "-") != (b == "-") else "+"
    return a if b in ("", "+") else "pm"


def _sum(parts: list[tuple[str, Node]]) -> Node:
    if len(parts) == 1 and parts[0][0] == "":
        return parts[0][1]
    terms = tuple(t for _, t in parts)
    return Sum((terms[0].span[0], terms[-1].span[1]), terms, tuple(s for s, _ in parts))


def _product(parts: list[tuple[str, Node]]) -> Node:
    if len(parts) == 1:
        return parts[0][1]
    nodes = tuple(p for _, p in parts)
    return Product((nodes[0].span[0], nodes[-1].span[1]), nodes, tuple(o for o, _ in parts))


def _relation(parts: list[Any]) -> Node:
    sides = [Nothing((0, 0)) if s is None else s for s in parts[::2]]
    if len(sides) == 1:
        return sides[0]
    return Relation(_around(sides), tuple(sides), tuple(t.text for t in parts[1::2]))


def _scripted(base: Node, scripts: list[tuple[Token, Node | None]]) -> Node:
    if not scripts:
        return base
    subs: list[Node] = []
    sups: list[Node] = []
    start = base.span[0]
    written = 0
    for token, script in scripts:
        if token.kind == "PRIME":
            sups.append(Atom((token.start, token.end), "LETTER", "prime"))
        elif token.kind == "SUB":
            subs.append(_letters(_opened(script)))
        else:
            written += 1
            if written > 1 and isinstance(sups[-1], Atom) and sups[-1].kind == "NUM":
                raise _DoubleScript(token.start)
            sups += _superscripts(script, isinstance(base, Atom) and base.text == "e")
    last = scripts[-1]
    end = last[1].span[1] if last[1] is not None else last[0].end
    if isinstance(base, Scripts):  # {W^{[2]}}^T
        return Scripts((start, end), base.base, (*base.subs, *subs), (*base.sups, *sups))
    return Scripts((start, end), base, tuple(subs), tuple(sups))


def _letters(node: Node) -> Node:
    """`ln` below a symbol is two indices."""
    if isinstance(node, List):
        return List(node.span, tuple(map(_letters, node.items)))
    if isinstance(node, Atom) and node.text == "ln":
        start, end = node.span
        return Product(
            node.span, (Atom((start, end - 1), "LETTER", "l"), Atom((end - 1, end), "LETTER", "n")), ("", "")
        )
    return node


class _DoubleScript(Exception):
    pass


def _opened(node: Any) -> Node:
    """A braced script without its braces."""
    return node.body if isinstance(node, Bracket) and node.open == "" else node


def _superscripts(node: Any, exponential: bool = False) -> list[Node]:
    """`[2]T`, `(l)\\top`, `[2](i)`, `(2)\\prime`: several superscripts in one; `\\odot (p - 1)` and ½ (a − 2) are
    powers, and so is what stands above e."""
    inside = _opened(node)
    if isinstance(inside, Product) and not any(inside.operators):
        parts = inside.factors
        special = [isinstance(p, Bracket) or is_transpose(p) or is_prime(p) for p in parts]
        is_power = isinstance(parts[0], Fraction) or (isinstance(parts[0], Atom) and parts[0].kind == "SYM")
        if special[0] or (special[-1] and not is_power and not (exponential and isinstance(parts[-1], Bracket))):
            return [q for p in parts for q in _superscripts(p)]
    if isinstance(inside, Scripts) and inside.subs == () and all(is_prime(s) or is_transpose(s) for s in inside.sups):
        if isinstance(inside.base, Atom) and inside.base.kind == "EMPTY":
            return list(inside.sups)
        return [inside.base, *inside.sups]
    return [inside]


@cache
def _parser() -> lark.Lark:
    import lark

    class Lexer(lark.lexer.Lexer):
        def __init__(self, conf: Any) -> None:
            pass

        def lex(self, data: Any, parser_state: Any = None) -> Iterator[Any]:
            return iter(data)

    build: Any = _Build()
    return lark.Lark(GRAMMAR, parser="lalr", lexer=Lexer, transformer=build, propagate_positions=False)


# lark asks the last token for these when it makes the token of the end
for _name in ("line", "column", "end_line", "end_column"):
    setattr(Token, _name, None)
Token.start_pos = property(lambda self: self.start)  # type: ignore[attr-defined]
Token.end_pos = property(lambda self: self.end)  # type: ignore[attr-defined]


def parse(tokens: list[Token], text: str) -> Node:
    """The tree of one side; a text that does not parse is an error with its place."""
    import lark

    if not tokens:
        return Nothing((0, 0))
    try:
        return _parser().parse(tokens)  # type: ignore[return-value]
    except lark.UnexpectedToken as problem:
        raise _explained(problem.token, tokens, text) from None
    except lark.exceptions.VisitError as problem:
        if isinstance(problem.orig_exc, _DoubleScript):
            raise error(text, problem.orig_exc.args[0], "two superscripts on one base", "Use braces.") from None
        raise
    except _DoubleScript as problem:
        raise error(text, problem.args[0], "two superscripts on one base", "Use braces.") from None


def _explained(token: Any, tokens: list[Token], text: str) -> ReadError:
    if not isinstance(token, Token):
        last = tokens[-1]
        what = {"SUP": "an exponent", "SUB": "a subscript", "FRAC": "a fraction", "ACCENT": "an accent"}.get(
            last.kind, last.text
        )
        return error(text, last.start, f"the formula breaks off after {what}")
    return error(text, token.start, f"{token.text or 'the end'} cannot stand here")
