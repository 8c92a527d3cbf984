"""Steps of gradient descent on paper: `Δw = −η ∂E/∂w`, `W ← W − α dW`, `w^{new} = w^{old} − …`, `w^{(t+1)} = …`.

A step is recognised by its form: the same symbol on both sides, with marks of before and after. What it is claimed
to be is the true step with the learning rate that the line itself names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symbp import claim
from symbp.claim import Tree
from symbp.judge.points import RATES
from symbp.read.latex.names import key
from symbp.read.latex.tree import Accent, Atom, Bracket, List, Node, Product, Scripts, Sum

AFTER = frozenset(["new", "next", "neu", "t+1", "k+1", "n+1", "i+1", "s+1", "tau+1", "+"])
BEFORE = frozenset(["old", "alt", "prev", "t", "k", "n", "i", "s", "tau", "current"])


class Step(NamedTuple):
    """A symbol that is moved; the links without marks; `how` is "Δ" for a difference, "=" for the new value."""

    symbol: Node
    links: tuple[Node, ...]
    how: str


def step(nodes: Sequence[Node], relation: str, is_name: bool) -> Step | None:
    """The step that an equation is, or None. `is_name`: Δ is a name of its own."""
    left = nodes[0]
    if isinstance(left, Product) and len(left.factors) == 2 and not any(left.operators) and not is_name:
        first, symbol = left.factors
        if isinstance(first, Atom) and first.text == "Delta" and isinstance(symbol, (Atom, Scripts, Accent)):
            return Step(symbol, tuple(nodes[1:]), "Δ")
    if len(nodes) != 2 or not isinstance(nodes[1], Sum) or len(nodes[1].terms) < 2:
        return None
    if _decays(left, nodes[1]):
        return Step(left, (nodes[1],), "=")
    symbol, marks = _unmarked(left, AFTER)
    old, old_marks = _unmarked(nodes[1].terms[0], BEFORE if marks else frozenset())
    if key(symbol) != key(old) or bool(old_marks) > bool(marks) or not (marks or relation in (":=", "gets", "=")):
        return None
    if nodes[1].signs[0] not in ("", "+") or not isinstance(symbol, (Atom, Scripts, Accent)):
        return None
    return Step(symbol, (Sum(nodes[1].span, (symbol, *nodes[1].terms[1:]), nodes[1].signs),), "=")


def _decays(left: Node, right: Sum) -> bool:
    """`W = (1 - αλ) W - α …`: the symbol is a factor of the first term, and a rate is in what follows."""
    first = right.terms[0]
    if not isinstance(left, (Atom, Scripts, Accent)) or not isinstance(first, Product) or any(first.operators[1:]):
        return False
    rates = set(RATES) & {x for t in right.terms[1:] for x in key(t).replace("_", " ").split()}
    return any(key(f) == key(left) for f in first.factors) and bool(rates)


def _unmarked(node: Node, marks: frozenset[str]) -> tuple[Node, list[str]]:
    """A symbol without its marks of time, and the marks: `w^{(t+1)}`, `w_{new}`, `W(t+1)`."""
    if isinstance(node, Product) and len(node.factors) == 2 and not any(node.operators):
        symbol, time = node.factors
        if isinstance(time, Bracket) and time.open == "(" and key(time.body, True) in marks:
            return symbol, [key(time.body, True)]
    if not isinstance(node, Scripts):
        return node, []
    found: list[str] = []

    def kept(scripts: Sequence[Node]) -> tuple[Node, ...]:
        rest: list[Node] = []
        for s in scripts:
            for part in s.items if isinstance(s, List) else (s,):
                word = key(part.body if isinstance(part, Bracket) else part, True)
                if word in marks:
                    found.append(word)
                else:
                    rest.append(part)
        return tuple(rest)

    subs, sups = kept(node.subs), kept(node.sups)
    return (Scripts(node.span, node.base, subs, sups) if subs or sups else node.base), found


def rate_of(links: Sequence[Tree]) -> Tree | None:
    """The learning rate that the links name, or a number they begin with."""
    names = frozenset[str]().union(*(link.names for link in links))
    for r in RATES:
        if r in names:
            return next(t for link in links for t in link.walk() if t.op == "name" and t.data[0] == r)
    for link in links:
        for t in link.walk():
            if t.op == "product":
                return next((a for a, p in zip(t.args, t.data[0], strict=True) if a.op == "number" and p > 0), None)
    return None


def true_step(symbol: Tree, gradient: Tree, rate: Tree | None, how: str) -> Tree:
    """What the left side of a step is worth."""
    moved = gradient if rate is None else claim.product((rate, gradient))
    return claim.negative(moved) if how == "Δ" else claim.sum_((symbol, moved), (1, -1))
