"""Sums, products and maxima over letters: their ranges, their conditions, and what they take.

An operator takes what stands to the right of it, up to the next plus or minus. A letter that does not occur in
what is summed means the samples of a batch or the entries of a vector; a set that nobody knows is unread.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from symbp import claim
from symbp.claim import Tree
from symbp.read.latex.members import numbered
from symbp.read.latex.names import filled, flat_subscripts, free_letters, key, letters_of
from symbp.read.latex.resolve import Resolver, Unread, Value, big_operator
from symbp.read.latex.tree import (
    Accent,
    Atom,
    Bracket,
    List,
    Node,
    Product,
    Relation,
    Scripts,
)

MOST_NAMES = 16  # a sum over names has at most so many


def big(r: Resolver, factors: list[Node], operators: list[str]) -> tuple[Value, int]:
    """`\\sum`, `\\prod`, `\\max` over letters take what stands to the right of them."""
    node = factors[0]
    bounds = big_operator(node)
    assert bounds is not None
    kind, subs, sups = bounds
    letters, conditions, bound = _range(r, subs, sups, node)
    used = len(factors)
    if kind == "mean":  # 𝔼_i[…] takes its bracket
        if len(factors) < 2 or not isinstance(factors[1], Bracket) or operators[1]:
            raise r.unknown(node)
        used = 2
    if kind == "prod" and letters:
        last = max((n for n in range(1, len(factors)) if letters[0] in letters_of(factors[n])), default=0)
        used = last + 1 if last else used
    if used == 1:
        raise Unread("nothing stands behind the sum", node.span)
    rest = factors[1:used]
    low, high = _numbers(subs, sups)
    counts = r.symbols.counts
    if len(letters) == 1 and letters[0] in counts.letters and not sups and low is None and not conditions:
        low, high = 1, counts.numbers[-1]
    if len(letters) == 1 and not conditions and kind in ("sum", "prod"):
        spelled_out = _spelled_out(r, kind, letters[0], bound, low, high, rest, operators[2:used], node)
        if spelled_out is not None:
            return spelled_out, used
    saved = dict(r.bound)
    for x in letters:
        r.bound[x] = bound
    try:
        body = r.expression(
            Product((rest[0].span[0], rest[-1].span[1]), tuple(rest), ("", *operators[2:used]))
            if len(rest) > 1
            else rest[0]
        )
        condition: Tree | None = None
        for c in conditions:
            tree = r.expression(c).tree
            condition = tree if condition is None else claim.product([condition, tree])
    finally:
        r.bound = saved
    if kind == "sum" and len(letters) == 1 and condition is None and body.is_scalar and not body.ones:
        terms = _count(r, low, sups)
        if terms is not None and letters[0] not in free_letters(body.tree):  # Σ_{k=1}^H 1 = H
            return r.value(claim.product([terms, body.tree]), node.span), used
    return _summed(r, kind, letters, body, condition, node), used


def _spelled_out(
    r: Resolver,
    kind: str,
    letter: str,
    bound: str,
    low: int | None,
    high: int | None,
    rest: Sequence[Node],
    operators: Sequence[str],
    node: Node,
) -> Value | None:
    """A sum or product over numbers, where the letter is a part of names: `\\prod_{j=1}^{4} \\sigma'(z_j)`. Without
    both bounds it runs over all numbers that the network has such names for: `\\sum_l \\|W^{(l)}\\|^2`."""
    body: Node = (
        Product((rest[0].span[0], rest[-1].span[1]), tuple(rest), ("", *operators)) if len(rest) > 1 else rest[0]
    )
    if letter not in letters_of(body):
        return None
    before = list(r.reading.misfits), list(r.reading.notes)
    try:
        with r.also([letter], bound):
            tree = r.expression(body).tree
        if low is None or high is None or not _only_computes(tree, letter) or high - low >= MOST_NAMES:
            return None
        unknown = Unread(f"the sum over {letter} is not read", node.span)
    except Unread as problem:
        if problem.kind != "undefined" or (low is not None and high is not None and high - low >= MOST_NAMES):
            raise
        unknown = problem
    finally:
        r.reading.misfits, r.reading.notes = before
    bounded = low is not None and high is not None
    numbers = range(low or 0, MOST_NAMES if high is None else high + 1)
    trees = {}
    for n in numbers:
        put = {letter: str(n)}
        try:
            trees[n] = _renumbered(r.expression(filled(numbered(body, put), put)).tree, letter, n)
        except Unread:
            if bounded:
                raise
    if not trees:
        raise unknown
    r.note(f"{r.words(node)} is read with {letter} = {min(trees)} to {max(trees)}")
    if kind == "sum":
        return r.value(claim.sum_(list(trees.values())), node.span)
    return r.value(claim.product(list(trees.values())), node.span)


def _count(r: Resolver, low: int | None, sups: Sequence[Node]) -> Tree | None:
    """How many numbers a letter runs through, up to a number or sizes of the network."""
    if low is None or len(sups) != 1:
        return None
    high = r.expression(sups[0]).tree
    if not {t.data[0] for t in high.walk() if t.op in ("name", "gradient", "entry", "letter")} <= set(
        r.view.graph.sizes
    ):
        return None
    return claim.sum_([high, claim.number(1 - low, str(1 - low))]) if low != 1 else high


def _only_computes(tree: Tree, letter: str) -> bool:
    """Whether a letter is a part of places, as the k of U_{2i + k}, and itself no index, which would say its range."""
    alone = {i for t in tree.walk() if t.op == "entry" for i in t.data}
    return letter in free_letters(tree) and letter not in alone


def _summed(r: Resolver, kind: str, letters: list[str], body: Value, condition: Tree | None, node: Node) -> Value:
    if kind not in ("sum", "prod", "max", "min", "mean"):
        raise Unread(f"\\{kind} is not read", node.span)
    have = free_letters(body.tree) | (free_letters(condition) if condition is not None else frozenset())
    inside = [x for x in letters if x in have]
    missing = [x for x in letters if x not in have]
    if not letters:  # \sum without a letter: what the left side lacks
        extra = [x for x in sorted(have) if x not in r.left and x not in r.bound]
        if len(extra) == 1:
            r.note(f"the sum without an index is read over {extra[0]}")
            inside = extra
        elif body.shape is not None and not body.is_scalar:
            r.note(
                "the sum without an index is read over all entries"
                if 1 in body.shape
                else "the sum without an index is read over the samples"
            )
            return _axis_sum(r, body, kind, node)
        else:
            raise Unread("over which index is this sum?", node.span)
    tree = body.tree
    for x in inside:
        if x in r.sets and not _runs_over(r, x, body, r.sets.pop(x)):
            raise Unread(
                f"the set of the index {x} is not known", node.span, "Write the condition: \\sum_{i: z_i > 0}."
            )
    if (
        inside
        and r.reading.loose
        and body.shape is not None
        and len(body.shape) == 2
        and not body.is_scalar
        and 1 in body.shape
    ):
        entry = _per_sample(r, body, inside[0])
        if entry is not None:
            r.note(f"a vector beside indexed factors is read as its entry {inside[0]}")
            tree = entry
    if inside:
        if condition is not None and not free_letters(condition) <= have:
            raise Unread("the condition of the sum is not read", node.span)
        tree = claim.over(kind, inside, tree, condition)
    value = r.value(tree, node.span)
    for x in missing:
        if value.shape is None:
            continue
        if value.is_scalar:
            raise Unread(f"the index {x} is summed, but does not occur", node.span, "Give what is summed this index.")
        value = _axis_sum(r, value, kind, node)
    return value


def _runs_over(r: Resolver, letter: str, body: Value, size: str) -> bool:
    """Whether an index runs over as many places as a size says."""
    others = [x for x in free_letters(body.tree) if x != letter]
    tree = body.tree if body.shape == () else claim.call("sum", [body.tree])
    try:
        return r.evaluator.shape(claim.array([letter], claim.over("sum", others, tree) if others else tree))[1][
            0
        ] == r.integer(size)
    except ValueError:
        return True


def _per_sample(r: Resolver, body: Value, letter: str) -> Tree | None:
    """`\\sum_x x_j (\\sigma(z) - y)`: z and y are vectors over the same x."""
    column = body.shape is not None and body.shape[1] == 1
    tree = claim.entry(body.tree, letter, 0) if column else claim.entry(body.tree, 0, letter)
    return tree if r._fits(tree) else None


def _axis_sum(r: Resolver, body: Value, kind: str, node: Node) -> Value:
    """A sum over an index that is not written: the samples of a batch, or the entries of a vector."""
    assert body.shape is not None
    if 1 in body.shape or len(body.shape) == 1:
        return r.value(claim.call(kind, [body.tree]), node.span)
    axis = _sample_axis(r, body)
    if axis is None:
        raise Unread("over which axis is this sum? The index does not occur", node.span)
    return r.value(claim.call(kind, [body.tree], axis=axis, keepdims=True), node.span)


def _sample_axis(r: Resolver, body: Value) -> int | None:
    for name in sorted(body.tree.names | body.tree.gradients):
        if name in r.view.axes:
            axis = r.view.sample_axis(name)
            if axis is not None and r.view.axes[name] == 2 and body.shape is not None:
                length = r._length(name, axis)
                if length in body.shape and body.shape.count(length) == 1:
                    return body.shape.index(length)
    return None


def _range(r: Resolver, subs: Sequence[Node], sups: Sequence[Node], node: Node) -> tuple[list[str], list[Node], str]:
    """The letters of a sum, its conditions, and the size it runs to."""
    bound = key(sups[0], True) if sups else ""
    letters: list[str] = []
    conditions: list[Node] = []
    for sub in subs:
        for item in sub.items if isinstance(sub, List) else (sub,):
            _bounds(r, item, letters, conditions)
    return letters, conditions, bound


def _bounds(r: Resolver, item: Node, letters: list[str], conditions: list[Node]) -> None:
    if isinstance(item, Bracket) and item.open in ("", "("):
        for inner in item.body.items if isinstance(item.body, List) else (item.body,):
            _bounds(r, inner, letters, conditions)
        return
    if isinstance(item, Relation):
        first = item.sides[0]
        head = [key(x) for x in flat_subscripts((first,))]
        if item.names[0] == ":" and len(item.sides) > 2:
            letters += head
            conditions.append(Relation(item.span, item.sides[1:], item.names[1:]))
            return
        if item.names[0] in ("=", ":=") and len(item.sides) == 2 and all(r._is_letter(h) for h in head):
            if head[0] not in letters:
                letters += head
            return
        if item.names[0] == "in":
            letters += [h for h in head if h not in letters]
            size = r.symbols.spelled.get(key(item.sides[1]))
            if size in r.symbols.scalars:
                r.sets |= dict.fromkeys(head, str(size))
            if not _everything(r, item.sides[1]):
                raise Unread(
                    f"the set {r.words(item.sides[1])} is not known",
                    item.span,
                    "Write the condition: \\sum_{i: z_i > 0}.",
                )
            return
        if item.names[0] == "!=" and len(item.sides) == 2:
            if head[0] not in letters and head[0] not in r.left and head[0] not in r.bound:
                letters += head
            conditions.append(Relation(item.span, tuple(_as_index(r, s) for s in item.sides), item.names))
            return
        if all(n in ("<", "<=", ">", ">=") for n in item.names):
            if len(item.sides) == 3 and isinstance(item.sides[0], Atom) and item.sides[0].kind == "NUM":
                letters += [key(item.sides[1])]
                return
            if head[0] not in letters and r._is_letter(head[0]) and not conditions and not letters:
                letters += head
            conditions.append(Relation(item.span, tuple(_as_index(r, s) for s in item.sides), item.names))
            return
        raise Unread(f"the range {r.words(item)} of the sum is not read", item.span)
    if isinstance(item, Atom) and item.kind in ("DOTS", "TEXT"):
        return
    found = [key(x) for x in flat_subscripts((item,))]
    if all(r._is_letter(f) for f in found):
        letters += [f for f in found if f not in letters]
    elif (isinstance(item, Product) and not any(item.operators)) or isinstance(item, Atom):
        letters.append("".join(found))  # a word: "batch"
    else:
        raise Unread(f"the range {r.words(item)} of the sum is not read", item.span)


def _everything(r: Resolver, node: Node) -> bool:
    """Whether a set is the whole axis: `\\mathcal{B}` where |𝓑| is a size, `N`, `Downstream(j)`."""
    if (f"|{key(node)}|",) in r.symbols.exact or r.symbols.spelled.get(key(node)) in r.symbols.scalars:
        return True
    if isinstance(node, Bracket):
        return True
    items = node.factors if isinstance(node, Product) and not any(node.operators) else (node,)
    if (len(items) > 1 and isinstance(items[-1], Bracket)) or (isinstance(node, Atom) and node.kind in ("WORD", "FUN")):
        return True  # Downstream(j), children(j)
    return isinstance(node, Atom) and node.text in ("B", "D", "N", "batch")


def _as_index(r: Resolver, node: Node) -> Node:
    return Accent(node.span, "index", node) if isinstance(node, (Atom, Scripts)) and r._is_letter(key(node)) else node


def _renumbered(tree: Tree, letter: str, number: int) -> Tree:
    """The texts of a tree with a number in the place of a letter."""

    def spelled(text: str) -> str:
        return re.sub(rf"(?<=[_^{{,(\[]){re.escape(letter)}(?![A-Za-z])", str(number), text)

    args = tuple(_renumbered(a, letter, number) for a in tree.args)
    if tree.op == "alias":
        return claim.alias(args[0], spelled(tree.data))
    if tree.op in ("name", "gradient"):
        return Tree(tree.op, args, (tree.data[0], spelled(tree.data[1])))
    return Tree(tree.op, args, tree.data)


def _numbers(subs: Sequence[Node], sups: Sequence[Node]) -> tuple[int | None, int | None]:
    """The bounds of a sum that runs from one number to another."""
    low = high = None
    if len(subs) == 1 and isinstance(subs[0], Relation) and subs[0].names == ("=",):
        last = subs[0].sides[1]
        if isinstance(last, Atom) and last.kind == "NUM" and last.text.isdigit():
            low = int(last.text[:9])
    if len(sups) == 1 and isinstance(sups[0], Atom) and sups[0].kind == "NUM" and sups[0].text.isdigit():
        high = int(sups[0].text[:9])
    return low, high
