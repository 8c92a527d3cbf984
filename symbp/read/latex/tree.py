"""The parse tree of one side: brackets, scripts, fractions, sums of flat products. No meaning yet.

Every node knows its place in the formula. `canon` writes a node as a tuple of words without fonts and
spaces: two spellings of one symbol have one tuple, and a product of symbols has the joined tuple.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Node:
    span: Span


@dataclass(frozen=True, slots=True)
class Atom(Node):
    """A letter, number, word, text, function, big operator, ∂, ∇, dots or lone operator, by `kind`."""

    kind: str
    text: str
    font: str = ""


@dataclass(frozen=True, slots=True)
class Accent(Node):
    """`\\hat{y}`, `\\sqrt{x}`."""

    name: str
    body: Node


@dataclass(frozen=True, slots=True)
class Scripts(Node):
    """A base with subscripts and superscripts in order; a transpose and a prime are superscripts."""

    base: Node
    subs: tuple[Node, ...]
    sups: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bracket(Node):
    """`(a)`, `[a]`, `|a|`, and braces that hold more than one thing (`open` is "")."""

    open: str
    close: str
    body: Node


@dataclass(frozen=True, slots=True)
class Fraction(Node):
    name: str
    top: Node
    bottom: Node


@dataclass(frozen=True, slots=True)
class Environment(Node):
    name: str
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Product(Node):
    """Factors side by side; `operators[n]` stands before factor n ("" for none)."""

    factors: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sum(Node):
    """Summands, each with its sign "+", "-", "pm" or "" (the first, when none is written)."""

    terms: tuple[Node, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation(Node):
    sides: tuple[Node, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class List(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Nothing(Node):
    """An empty place: `f(, x)`."""


TRANSPOSES = frozenset({"T", "top", "intercal", "mathsf{T}", "tr"})


def is_transpose(node: Node) -> bool:
    return isinstance(node, Atom) and node.kind in ("LETTER", "FUN") and node.text in ("T", "top", "intercal", "tr")


def is_prime(node: Node) -> bool:
    return isinstance(node, Atom) and node.text == "prime"


def letter(node: Node) -> str:
    """The letter of a node that is only one, or an empty text."""
    return node.text if isinstance(node, Atom) and node.kind == "LETTER" else ""


def factors(node: Node) -> tuple[Node, ...]:
    """The factors of a product without operators, or the node itself."""
    return node.factors if isinstance(node, Product) and not any(node.operators) else (node,)


Canon = tuple[str, ...]


@cache
def canon(node: Node) -> Canon:
    """The node in words: subscripts before superscripts before primes before transposes, no fonts."""
    match node:
        case Atom(kind=kind, text=text):
            return (text,) if kind != "EMPTY" else ()
        case Accent(name=name, body=body):
            return canon(body) if name == "plain" else ("\\" + name, *canon(body), "}")
        case Scripts(base=base, subs=subs, sups=sups):
            words = list(canon(base))
            if subs:
                words += ["_", *[w for s in subs for w in canon(s) if w != ","], "}"]
            plain = [s for s in sups if not is_prime(s) and not is_transpose(s)]
            for s in plain:
                words += ["^", *canon(_unbracketed(s)), "}"]
            words += ["'" for s in sups if is_prime(s)]
            words += ["T" + "^" for s in sups if is_transpose(s)]
            return tuple(words)
        case Bracket(open=left, body=body):
            return ("(" if left in ("[", "{", "(") else left, *canon(body), ")") if left else canon(body)
        case Fraction(name=name, top=top, bottom=bottom):
            return ("\\" + name, *canon(top), "/", *canon(bottom), "}")
        case Product(factors=parts, operators=operators):
            words = []
            for part, operator in zip(parts, operators, strict=True):
                words += [operator] if operator else []
                words += canon(part)
            return tuple(words)
        case Sum(terms=terms, signs=signs):
            words = []
            for term, sign in zip(terms, signs, strict=True):
                words += [sign] if sign else []
                words += canon(term)
            return tuple(words)
        case Relation(sides=sides, names=names):
            words = list(canon(sides[0]))
            for side, name in zip(sides[1:], names, strict=True):
                words += [name, *canon(side)]
            return tuple(words)
        case List(items=items):
            words = []
            for n, item in enumerate(items):
                words += [","] if n else []
                words += canon(item)
            return tuple(words)
        case Environment(name=name, rows=rows):
            words = ["\\" + name]
            for row in rows:
                words += [w for cell in row for w in (*canon(cell), "&")]
            return (*words, "}")
    return ()


def _unbracketed(node: Node) -> Node:
    """The number of a layer stands in any bracket: `^{(1)}`, `^{[1]}`."""
    return node.body if isinstance(node, Bracket) and node.open in ("(", "[", "<") else node
