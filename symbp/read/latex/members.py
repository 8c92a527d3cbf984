"""One formula for every layer: letters that count layers or time steps, in the scripts of a formula.

`delta^l = (W^{l+1})^T delta^{l+1} * f'(z^l)` is a formula for every l. It is read once for each number that l can
be, with the number in the letter's place; what it says at one layer is then an ordinary formula.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from symbp.read.latex.tree import (
    Accent,
    Atom,
    Bracket,
    Environment,
    Fraction,
    List,
    Node,
    Product,
    Relation,
    Scripts,
    Sum,
    is_prime,
    is_transpose,
)


def numbered(node: Node, numbers: Mapping[str, str]) -> Node:
    """A formula with numbers for the letters that count layers or steps: `W^{(l+1)}` is `W^{(3)}` at l = 2. Only in
    scripts, where such a letter stands alone or beside a number; the index of a sum is its own letter."""

    def below(n: Node) -> Node:
        return numbered(n, numbers)

    match node:
        case Scripts():
            return Scripts(
                node.span,
                below(node.base),
                tuple(s if _is_own(s, node.base) else _script(s, numbers) for s in node.subs),
                tuple(s if _is_mark(s, node.base) else _script(s, numbers) for s in node.sups),
            )
        case Accent():
            return Accent(node.span, node.name, below(node.body))
        case Bracket():
            return Bracket(node.span, node.open, node.close, below(node.body))
        case Fraction():
            return Fraction(node.span, node.name, below(node.top), below(node.bottom))
        case Product():
            return Product(node.span, tuple(map(below, node.factors)), node.operators)
        case Sum():
            return Sum(node.span, tuple(map(below, node.terms)), node.signs)
        case List():
            return List(node.span, tuple(map(below, node.items)))
        case Relation():
            return Relation(node.span, tuple(map(below, node.sides)), node.names)
        case Environment():
            return Environment(node.span, node.name, tuple(tuple(map(below, row)) for row in node.rows))
    return node


def _script(node: Node, numbers: Mapping[str, str]) -> Node:
    """One script: `l`, `l+1`, `(l-1)`, `\\ell`; the last sides of `t = 1`; a list of such."""
    match node:
        case Atom(text=text) if text in numbers:
            return Atom(node.span, "NUM", numbers[text])
        case Sum(terms=terms) if all(_counts(x, numbers) for x in terms):
            total = sum(
                (-1 if sign == "-" else 1) * int(numbers.get(x.text, x.text))
                for x, sign in zip(terms, node.signs, strict=True)
                if isinstance(x, Atom)
            )
            return Atom(node.span, "NUM", str(total)) if total >= 0 else node
        case Bracket():
            return Bracket(node.span, node.open, node.close, _script(node.body, numbers))
        case List():
            return List(node.span, tuple(_script(i, numbers) for i in node.items))
        case Relation():
            first, *others = node.sides
            return Relation(node.span, (first, *(_script(s, numbers) for s in others)), node.names)
    return numbered(node, numbers)


def _counts(node: Node, numbers: Mapping[str, str]) -> bool:
    return isinstance(node, Atom) and (node.text in numbers or (node.kind == "NUM" and node.text.isdigit()))


def counting(node: Node, letters: Container[str], beside: bool = False) -> set[str]:
    """Which of the letters count layers in the scripts of a formula, other than as the index of its own sum; with
    `beside` only those that stand there beside a number, as in `W_{i+1}`."""
    found: set[str] = set()
    bound: set[str] = set()
    stack = [node]
    while stack:
        n = stack.pop()
        match n:
            case Scripts():
                stack.append(n.base)
                bound |= {s.text for s in n.subs if isinstance(s, Atom) and _is_own(s, n.base)}
                for s in (*n.subs, *(s for s in n.sups if not _is_mark(s, n.base))):
                    stack.append(s)
                    s = s.body if isinstance(s, Bracket) else s
                    own = s.terms if isinstance(s, Sum) else s.items if isinstance(s, List) else (s,)
                    if isinstance(s, Sum) or not beside:
                        found |= {x.text for x in own if isinstance(x, Atom) and x.text in letters}
            case Relation():
                bound |= {x.text for x in n.sides[:1] if isinstance(x, Atom)}
                stack += n.sides
            case Accent() | Bracket():
                stack.append(n.body)
            case Fraction():
                stack += (n.top, n.bottom)
            case Product():
                stack += n.factors
            case Sum():
                stack += n.terms
            case List():
                stack += n.items
            case Environment():
                stack += [c for row in n.rows for c in row]
    return found - bound


def _is_mark(script: Node, base: Node) -> bool:
    """A transpose or a prime; the T above a sum is its last number."""
    return is_prime(script) or (is_transpose(script) and not (isinstance(base, Atom) and base.kind == "BIGOP"))


def _is_own(script: Node, base: Node) -> bool:
    """The letter below a sum: `\\sum_t`."""
    return isinstance(script, Atom) and isinstance(base, Atom) and base.kind == "BIGOP"
