"""The parse tree of one side: brackets, scripts, fractions, sums of flat products. No meaning yet.

Every node knows its place in the formula and nothing about mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def is_transpose(node: Node) -> bool:
    return isinstance(node, Atom) and node.kind in ("LETTER", "FUN") and node.text in ("T", "top", "intercal", "tr")


def is_prime(node: Node) -> bool:
    return isinstance(node, Atom) and node.text == "prime"


def letter(node: Node) -> str:
    """The letter of a node that is only one, or an empty text."""
    return node.text if isinstance(node, Atom) and node.kind == "LETTER" else ""
