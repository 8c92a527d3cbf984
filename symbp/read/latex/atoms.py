"""Factors: symbols with their scripts, numbers, brackets, fractions, roots, cases and matrices.

Scripts that are left over from a name are read in this order: subscripts and a bracketed superscript as
indices (`x_j^{(i)}`), T and ′ as transposes, −1 as the inverse of a square matrix, a plain number as a power.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction as Rational
from typing import Literal

from symbp import claim
from symbp.claim import Tree
from symbp.read.latex.names import Ambiguous, Found, flat_subscripts, free_letters, key
from symbp.read.latex.resolve import Resolver, Unread, Value, from_one
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
    Sum,
    is_prime,
    is_transpose,
)

LARGEST_POWER = 64


def factor(r: Resolver, node: Node) -> Value:
    """The value of one factor."""
    if isinstance(node, Accent) and node.name == "index":
        return r.value(claim.letter(key(node.body)))
    base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
    if isinstance(base, Atom) and base.kind == "NUM":
        if subs:
            ones = _ones(r, base, subs, sups)
            if ones is not None:
                return ones
            raise Unread(f"{r.words(node)} is no number", node.span)
        ones = _ones(r, base, subs, sups) if base.font in ("bf", "bb") else None
        return ones or scripted(r, _number(base), (), sups, node)
    if isinstance(base, Atom) and sups and not subs and all(is_prime(s) for s in sups):
        if key(node) in r.bound or key(node) in r.left:  # an index k' that is used as a number
            return r.value(claim.letter(key(node)), node.span)
    if isinstance(base, (Atom, Accent)):
        found = _symbol(r, node)
        if found is not None:
            return named(r, found, node)
        if isinstance(base, Atom) and base.text == "e" and sups:
            return _exponential(r, node, subs, sups)
        if isinstance(base, Accent) and base.name == "sqrt":
            inner = r.expression(base.body)
            return scripted(r, r.value(claim.call("sqrt", [inner.tree]), node.span), subs, sups, node)
        if isinstance(base, Atom):
            return _letter(r, node, base, subs, sups)
        raise r.unknown(node)
    if isinstance(base, Bracket):
        return _bracket(r, base, subs, sups, node)
    if isinstance(base, Fraction):
        return scripted(r, _fraction(r, base), subs, sups, node)
    if isinstance(base, Environment):
        return scripted(r, _environment(r, base), subs, sups, node)
    raise Unread(f"{r.words(node)} is not read here", node.span)


def _symbol(r: Resolver, node: Node) -> Found | None:
    try:
        found = r.symbols.symbol(node)
    except Ambiguous as error:
        raise r._ambiguous(node, error) from None
    base = node.base if isinstance(node, Scripts) else node
    if (
        found is not None
        and found.note
        and isinstance(node, Scripts)
        and node.sups
        and isinstance(base, Atom)
        and base.text == "e"
    ):
        return None
    if (
        found is not None
        and isinstance(base, Atom)
        and base.text in r.bound
        and not isinstance(node, Scripts)
        and found.tree.op != "name"
    ):
        return found
    if found is not None and isinstance(node, Atom) and node.text in r.bound and found.note:
        return None
    return found


def _number(atom: Atom) -> Value:
    return Value(claim.number(Rational(atom.text), atom.text), (), ())


def _letter(r: Resolver, node: Node, base: Atom, subs: tuple[Node, ...], sups: tuple[Node, ...]) -> Value:
    """What is left: π, ∞, Kronecker's δ, an index used as a number, or nothing known."""
    if base.text == "pi" and not subs:
        return scripted(r, r.value(claim.name("pi", r.words(base))), (), sups, node)
    if base.text == "infty":
        return r.value(claim.name("inf", r.words(base)))
    if base.text == "delta" and len(subs) == 1 and isinstance(subs[0], List):
        adjoint = _delta(r, base, subs, sups, node)
        if adjoint is not None:
            return adjoint
    if base.text == "delta" and len(subs) >= 1 and not sups:
        indices = flat_subscripts(subs)
        if len(indices) == 2 and all(r._is_letter(key(i)) and not _is_size(r, i) for i in indices):
            a, b = (claim.letter(key(i)) for i in indices)
            return r.value(claim.compare("==", a, b), node.span)
        known = [
            i for i in indices if not r._is_letter(key(i)) or key(i) in r.bound or key(i) in r.left or _is_size(r, i)
        ]
        if len(indices) == len(known) == 2 and isinstance(subs[0], (List, Product)):  # \\delta_{i1}, \\delta_{i,2k-1}
            places = [_place(r, i) for i in indices]
            if all(p is not None for p in places) and any(free_letters(p) for p in places if p is not None):
                return r.value(claim.compare("==", *(p for p in places if p is not None)), node.span)
    adjoint = _delta(r, base, subs, sups, node)
    if adjoint is not None:
        return adjoint
    if not subs and not sups and base.text in (*r.bound, *r.left):
        return r.value(claim.letter(base.text), node.span)
    if base.text == "I" and not subs:
        like = r.square or r.view.square
        if like is not None:
            return scripted(r, r.unit(like, node), (), sups, node)
    if base.kind == "TEXT":
        raise Unread(f"the words {base.text[:40]!r} are no part of a formula", node.span)
    if base.kind in ("PARTIAL", "NABLA"):
        raise Unread(f"{r.words(node)} stands alone", node.span)
    raise r.unknown(node)


def _delta(r: Resolver, base: Atom, subs: tuple[Node, ...], sups: tuple[Node, ...], node: Node) -> Value | None:
    """`\\delta_{H_1}`: the gradient of a node that is named in the subscript, as symbp prints it."""
    if base.text != "delta" or not subs:
        return None
    units: list[Node] = []
    for s in subs:
        units += s.items if isinstance(s, List) else [s]
    first, rest = units[0], units[1:]
    text = rf"\delta_{{{r.words(first)}}}"
    found = r.symbols.symbol(first) if isinstance(first, (Atom, Scripts, Accent)) else None
    numbers = tuple(s for s in sups if not is_transpose(s) and not is_prime(s))
    if found is None and numbers and isinstance(first, (Atom, Accent)):  # \delta_z^{(2)} is that of z^{(2)}
        found = r.symbols.symbol(Scripts(node.span, first, (), numbers))
        if found is not None and not found.sups:
            sups = tuple(s for s in sups if s not in numbers)
            text = r.words(node) if not sups else rf"\delta_{{{r.words(first)}}}^{{{''.join(map(r.words, numbers))}}}"
    if found is None and rest and isinstance(first, (Atom, Accent)):  # \delta_{h,3,j} is that of h_3
        found = r.symbols.symbol(Scripts(node.span, first, (List(node.span, tuple(rest)),), numbers))
        if found is not None and not found.sups:
            text, rest = r.words(node), flat_subscripts(found.subs)
            sups = tuple(s for s in sups if s not in numbers)
            found = replace(found, subs=())
    if found is None or found.tree.op != "name" or found.tree.data[0] not in r.view.axes or found.note:
        return None
    name = found.tree.data[0]
    leaf = r.view.graph[name].is_leaf and (isinstance(first, Atom) and first.text in "ijklmnpqrst")
    if leaf or (r.view.applied(name) in r.view.activations and len(name) == 1):
        return None  # δ_n of a gate n is ∂L/∂n here and the error before its activation there
    if (
        isinstance(first, Atom)
        and first.kind == "LETTER"
        and "[" not in name
        and r._is_letter(first.text)
        and (first.text in r.bound or first.text in r.left)
    ):
        return None
    sign = r.view.graph.style.get("delta") == "minus"
    tree = claim.gradient(name, text)
    if found.subs or (found.sups and not all(is_transpose(s) for s in found.sups)):
        return None
    if r.view.graph.style.get("layout") == "numerator" and len(flat_subscripts(rest)) == 2:
        rest = flat_subscripts(rest)[::-1]  # an entry of the transpose
    value = indexed(r, tree, rest, [], node)
    if (
        not rest
        and r.view.graph.style.get("layout") == "numerator"
        and value.shape is not None
        and len(value.shape) == 2
    ):
        value = r.value(claim.transpose(value.tree))
    if sign:
        value = r.value(claim.negative(value.tree))
    return scripted(r, value, (), sups, node)


def _ones(r: Resolver, base: Atom, subs: tuple[Node, ...], sups: tuple[Node, ...]) -> Value | None:
    """`\\mathbf 1`, `1_n`, `\\mathbf{1}^{\\top}`."""
    if base.text != "1" or any(not is_transpose(s) and not is_prime(s) for s in sups):
        return None
    if subs and not all(isinstance(s, (Atom, Scripts, Product)) for s in subs):
        return None
    return Value(claim.alias(claim.number(1, "1"), r.words(base)), (), (), ones="row" if len(sups) % 2 else "column")


def _exponential(r: Resolver, node: Node, subs: tuple[Node, ...], sups: tuple[Node, ...]) -> Value:
    exponent = r.expression(sups[0])
    value = r.value(claim.call("exp", [exponent.tree]), node.span)
    return scripted(r, value, subs, sups[1:], node)


# ---------------------------------------------------------------- names and their scripts


def spelled(r: Resolver, node: Node, own: tuple[Sequence[Node], Sequence[Node]] | None) -> str:
    """How the student writes the name, without indices, powers and transposes."""
    if own is None:
        return r.words(node)
    if isinstance(node, Product):
        before = r.text[node.span[0] : node.factors[-1].span[0]]
        return before + spelled(r, node.factors[-1], own)
    base = node.base if isinstance(node, Scripts) else node
    text = _source(r, base)
    subs, sups = own
    if subs:
        inner = ",".join(_source(r, s) for s in subs)
        text += "_" + inner if len(inner) == 1 else f"_{{{inner}}}"
    if sups:
        text += "^{" + "".join(_source(r, s) for s in sups) + "}"
    return text


def _source(r: Resolver, node: Node) -> str:
    shown = r.words(node)
    if isinstance(node, Atom) and node.kind in ("WORD", "TEXT") and "\\" not in shown:
        return rf"\mathrm{{{node.text}}}" if len(node.text) > 1 else node.text
    if shown.startswith("{") and shown.endswith("}"):
        return shown[1:-1]
    return shown


def named(r: Resolver, found: Found, node: Node) -> Value:
    """A tree that a symbol stands for, with the scripts that are left over."""
    tree = found.tree
    r.guess(found.note)
    if found.compound:
        whole = found.own is None or not (found.subs or found.sups)
        text = _source(r, node) if whole else spelled(r, node, found.own)
        if tree.op in ("name", "gradient"):
            tree = Tree(tree.op, tree.args, (tree.data[0], text))
        elif tree.op == "entry" and tree.args[0].op in ("name", "gradient") and not found.subs:
            pass
        else:
            tree = claim.alias(tree, text)
        if tree.op == "entry":
            tree = (
                claim.alias(tree, text) if tree.args[0].op == "gradient" else _spelled_entry(r, tree, node, found, text)
            )
    elif tree.op == "name":
        tree = claim.name(tree.data[0], spelled(r, node, found.own))
    subs, sups = list(found.subs), list(found.sups)
    samples = [
        s
        for s in sups
        if isinstance(s, Bracket)
        and s.open in ("(", "[")
        and isinstance(s.body, Atom)
        and s.body.kind == "LETTER"
        and not is_transpose(s)
    ]
    if samples and tree.op in ("name", "alias"):
        sups = [s for s in sups if s not in samples]
    else:
        samples = []
    value = indexed(r, tree, subs, samples, node)
    return scripted(r, value, (), sups, node)


def _spelled_entry(r: Resolver, tree: Tree, node: Node, found: Found, text: str) -> Tree:
    """An entry that a let names: the base keeps the student's letter, so that indices can be edited."""
    name = tree.args[0]
    subs, sups = found.own or (node.subs, node.sups) if isinstance(node, Scripts) else ((), ())
    if name.op != "name" or not subs or sorted(map(str, tree.data)) != sorted(key(s) for s in flat_subscripts(subs)):
        return claim.alias(tree, text)
    return Tree("entry", (claim.name(name.data[0], spelled(r, node, ((), sups))), *tree.args[1:]), tree.data)


def indexed(r: Resolver, tree: Tree, subs: Sequence[Node], samples: Sequence[Node], node: Node) -> Value:
    """A tensor with indices: subscripts in order, and the sample."""
    whole = r.value(tree)
    places = _slices(r, subs) if len(subs) == 1 else None
    if places is not None and whole.shape is not None:
        if len(places) != len(whole.shape):
            raise Unread(
                f"{r.words(node)} has {_count(len(places), 'place', 'places')} "
                f"for {_count(len(whole.shape), 'axis', 'axes')}",
                node.span,
            )
        return r.vector(claim.item(tree, places), r.view.is_row(tree.data[0] if tree.op == "name" else ""))
    flat = [x for s in flat_subscripts(subs) for x in _colons(s)]
    if tree.op == "name" and len(flat) == len(subs) == 1 and key(flat[0]) in r.reading.labels:
        r.note(f"{r.words(node)} is read as {tree.data[0]}")
        flat, samples = [], ()
    if tree.op in ("name", "gradient") and len(flat) > 2 and len(flat) > len(whole.shape or ()):
        raise r.unknown(node)
    for s in flat:
        if (
            isinstance(s, Atom)
            and s.kind == "LETTER"
            and s.text in r.view.axes
            and s.text not in r.bound
            and s.text not in r.left
            and tree.op in ("name", "gradient")
        ):
            raise r.unknown(node)
    indices = [_index(r, s) for s in flat]
    indices = [claim.letter(i) if isinstance(i, str) and i in r.reading.computed else i for i in indices]
    if whole.shape is None:
        return whole
    axes = len(whole.shape)
    long = [k for k, n in enumerate(whole.shape) if n != 1]
    name = tree.data[0] if tree.op in ("name", "gradient") else ""
    sample = [_index(r, s.body) for s in samples if isinstance(s, Bracket)]
    if not indices and not sample:
        return r.vector(tree, r.view.is_row(name))
    place = _sample_axis(r, tree, whole.shape)
    if sample and place is None:
        if len(whole.shape) and not indices and len(long) == 1:
            place = long[0]
        else:
            r.guess(f"{r.words(node)}: the sample index is left out, the network has one sample")
            sample = []
            if not indices:
                return r.vector(tree, r.view.is_row(name))
    if len(indices) == 1 and isinstance(indices[0], int) and axes == 2 and len(long) == 2:
        digits = key(subs[0], True)
        if len(digits) == 2 and digits.isdigit():
            indices = [int(d) - 1 for d in digits]
    full: list[str | int | Tree] = []
    count = len(indices) + len(sample)
    if sample and place is not None:
        rest = iter(indices)
        for k in range(axes):
            if k == place:
                full.append(sample[0])
            elif k in long or count == axes:
                full.append(next(rest, ":"))
            else:
                full.append(":" if not indices else 0)
    elif count == axes:
        full = list(indices)
    elif count == len(long):
        rest = iter(indices)
        full = [next(rest) if k in long else 0 for k in range(axes)]
    elif count == 1 and axes == 2:
        axis = _one_index(r, tree, indices[0], whole, place, node)
        full = [indices[0] if k == axis else ":" for k in range(2)]
    else:
        raise Unread(
            f"{r.words(node)} has {_count(count, 'index', 'indices')}, "
            f"but {name or 'it'} has {_count(axes, 'axis', 'axes')}",
            node.span,
            f"Say what it is: --let '{r.words(node)} := ...'",
            "undefined",
        )
    value = r.value(claim.entry(tree, *full), node.span)
    if value.shape is not None and len(value.shape) == 1:
        lying = indices[-1:] == [":"] and axes == 2  # X_{i:} is a row
        return r.value(claim.row(value.tree) if lying else claim.column(value.tree))
    return value


def _colons(node: Node) -> list[Node]:
    """`i:` and `:j` as two indices, the colon one that keeps its axis."""
    if isinstance(node, Relation) and set(node.names) == {":"} and any(isinstance(s, Nothing) for s in node.sides):
        sides = [s for s in node.sides if not isinstance(s, Nothing)]
        colon = Atom(node.span, "SYM", ":")
        if not sides:
            return [colon]
        return [colon, *sides] if isinstance(node.sides[0], Nothing) else [*sides, colon]
    return [node]


def _slices(r: Resolver, subs: Sequence[Node]) -> list[object] | None:
    """`_{[:,1:4]}`: a part of an array, counted from 1, its end included; sizes may stand in it."""
    sub = subs[0]
    if not isinstance(sub, Bracket) or sub.open != "[":
        return None
    places: list[object] = []
    sliced = False
    for item in sub.body.items if isinstance(sub.body, List) else (sub.body,):
        if isinstance(item, Relation) and set(item.names) == {":"} and len(item.sides) < 4:
            low, high, step = (*(_bound(r, s) for s in item.sides), 1)[:3]
            if False in (low, high, step):
                return None
            low = low - 1 if isinstance(low, int) else low and claim.sum_([low, claim.number(1, "1")], [1, -1])
            places.append(("slice", low, high, None if step == 1 else step))
            sliced = True
        elif isinstance(item, Atom) and item.kind == "NUM" and item.text.isdigit():
            places.append(int(item.text) - 1)
        else:
            return None
    return places if sliced else None


def _bound(r: Resolver, node: Node) -> int | Tree | Literal[False] | None:
    """An end of a slice: nothing, a number or sizes; False for what is none."""
    if isinstance(node, Nothing):
        return None
    if isinstance(node, Atom) and node.kind == "NUM" and node.text.isdigit():
        return int(node.text)
    try:
        tree = r.expression(node).tree
    except Unread:
        return False
    names = {t.data[0] for t in tree.walk() if t.op in ("name", "gradient", "entry", "letter")}
    return tree if names <= set(r.view.graph.sizes) else False


def _count(n: int, one: str, more: str) -> str:
    return f"{n or 'no'} {one if n == 1 else more}"


def _sample_axis(r: Resolver, tree: Tree, shape: tuple[int, ...]) -> int | None:
    inner = tree
    while inner.op in ("alias", "sum", "product") and inner.args:
        inner = inner.args[-1]
    if inner.op in ("name", "gradient") and inner.data[0] in r.view.axes and r.view.axes[inner.data[0]] == len(shape):
        return r.view.sample_axis(inner.data[0])
    return None


def _one_index(r: Resolver, tree: Tree, index: str | int | Tree, whole: Value, place: int | None, node: Node) -> int:
    """Which axis of a matrix one index means: the one whose size the sum runs to, or the samples."""
    assert whole.shape is not None
    if isinstance(index, str) and r.bound.get(index):
        bound = r.bound[index]
        found = r.symbols.spelled.get(bound)
        if found in r.symbols.scalars:
            try:
                size = r.integer(found)
            except ValueError:
                size = -1
            fits = [k for k, n in enumerate(whole.shape) if n == size]
            if len(fits) == 1:
                return fits[0]
    if place is not None:
        r.guess(f"{r.words(node)} is read as the sample {index if isinstance(index, str) else ''}".rstrip())
        return place
    raise Unread(
        f"{r.words(node)}: is the index a row or a column?",
        node.span,
        f"Say which: --let '{r.words(node)} := NAME[i]' or NAME[:, i]",
    )


def _index(r: Resolver, node: Node) -> str | int | Tree:
    """A letter, a number counted from 0, or a tensor that holds a label."""
    while isinstance(node, Bracket) and node.open in ("", "("):
        node = node.body
    if isinstance(node, Atom) and node.kind == "NUM" and node.text.isdigit() and int(node.text) > 0:
        return int(node.text) - 1
    word = key(node)
    if isinstance(node, Atom) and node.kind == "SYM" and node.text == ":":
        return ":"
    if _is_size(r, node):
        return claim.sum_([r.expression(node).tree, claim.number(1, "1")], [1, -1])
    if (isinstance(node, Atom) and node.kind in ("LETTER",)) or r._is_letter(word):
        return word
    if (
        isinstance(node, Scripts)
        and isinstance(node.base, Atom)
        and all(is_prime(s) for s in node.sups)
        and not node.subs
    ):
        return word
    if isinstance(node, (Scripts, Atom)) and r.symbols.symbol(node) is not None:
        return r.expression(node).tree
    if isinstance(node, Sum) and all((r._is_letter(key(t)) and not _is_size(r, t)) or _is_whole(t) for t in node.terms):
        return _affine(node)
    if isinstance(node, (Sum, Product)):  # 2 h + j - 2, H i + j - H
        try:
            place = r.expression(node).tree
        except Unread:
            raise Unread(f"the index {r.words(node)} is not read", node.span) from None
        names = {t.data[0] for t in place.walk() if t.op in ("name", "gradient")}
        if names <= set(r.view.graph.sizes) and not any(t.op == "entry" for t in place.walk()):
            return claim.sum_([from_one(place), claim.number(1, "1")], [1, -1])
    raise Unread(f"the index {r.words(node)} is not read", node.span)


def _is_size(r: Resolver, node: Node) -> bool:
    """`N` in an index is the last place, unless it is an index here."""
    return isinstance(node, Atom) and node.text in r.view.graph.sizes and node.text not in (*r.bound, *r.left)


def _place(r: Resolver, node: Node) -> Tree | None:
    """A letter, a number or an affine index as a place that counts from 0; None for anything else."""
    try:
        place = _index(r, node)
    except Unread:
        return None
    if isinstance(place, int):
        return claim.number(place, str(place))
    return claim.letter(place) if isinstance(place, str) else place


def _is_whole(node: Node) -> bool:
    return isinstance(node, Atom) and node.kind == "NUM" and node.text.isdigit()


def _affine(node: Sum) -> Tree:
    """`i + p - 1`, where letters count from 1, as a place that counts from 0."""
    letters = [
        (claim.letter(key(t)), -1 if s == "-" else 1) for t, s in zip(node.terms, node.signs) if not _is_whole(t)
    ]
    shift = sum(s for _, s in letters) - 1
    for t, s in zip(node.terms, node.signs, strict=True):
        if isinstance(t, Atom) and _is_whole(t):
            shift += -int(t.text[:9]) if s == "-" else int(t.text[:9])
    terms = [*letters, (claim.number(abs(shift), str(abs(shift))), -1 if shift < 0 else 1)]
    return claim.sum_([t for t, _ in terms], [s for _, s in terms])


def scripted(r: Resolver, value: Value, subs: Sequence[Node], sups: Sequence[Node], node: Node) -> Value:
    """Indices and superscripts on a value that is already on paper."""
    if subs:
        tree = value.tree
        if tree.op == "call" and tree.data[0] in ("column", "row"):
            tree = tree.args[0]
        value = indexed(r, tree, subs, (), node)
    for s in sups:
        if value.ones and is_transpose(s):
            value = value._replace(ones="row" if value.ones == "column" else "column")
        elif is_transpose(s):
            value = r.value(claim.transpose(value.tree, _mark(r, s)), node.span)
        elif is_prime(s):
            if value.is_scalar or len(sups) > 1 or (isinstance(node, Scripts) and node.subs and value.letters):
                raise Unread(
                    f"{r.words(node)}: a prime on a number means nothing here",
                    node.span,
                    f"Say what it is: --let '{r.words(node)} := ...'",
                    "undefined",
                )
            r.note("′ is read as the transpose")
            value = r.value(claim.transpose(value.tree, "'"), node.span)
        else:
            value = _power(r, value, s, node)
    return value


def _mark(r: Resolver, node: Node) -> str:
    """How a transpose was written: `^T`, `^\\top`, `^{\\mathrm T}`."""
    if isinstance(node, Atom) and len(node.text) == 1 and not node.font:
        return "^" + node.text
    if isinstance(node, Atom) and node.font:
        return r"^{\mathrm{T}}"
    shown = r.words(node).strip("{} ")
    return "^" + shown if re.fullmatch(r"\\[a-z]+", shown) else "^T"


def _power(r: Resolver, value: Value, exponent: Node, node: Node) -> Value:
    inner = exponent.body if isinstance(exponent, Bracket) and exponent.open == "" else exponent
    if isinstance(inner, Sum) and inner.signs == ("-",):
        term = inner.terms[0]
        if is_transpose(term):
            inverse = r.value(claim.call("inv", [value.tree]), node.span)
            return r.value(claim.transpose(inverse.tree), node.span)
        if (
            isinstance(term, Atom)
            and term.text == "1"
            and value.shape is not None
            and len(value.shape) == 2
            and not value.is_scalar
        ):
            if 1 in value.shape:
                r.note(f"{r.words(node)[:40]} is read entry by entry")
                return r.value(claim.power(value.tree, claim.number(-1, "-1")), node.span)
            if value.shape[0] != value.shape[1]:
                r.misfit(f"the inverse of a {value.shape[0]} × {value.shape[1]} matrix", node)
            return r.value(claim.call("inv", [value.tree]), node.span)
        if isinstance(term, Scripts) and isinstance(term.base, Atom) and term.base.text == "1":
            raise Unread(f"the exponent {r.words(exponent)} is not read", exponent.span)
    if isinstance(inner, Product) and isinstance(inner.factors[0], Atom) and inner.factors[0].kind == "SYM":
        inner = (
            inner.factors[1]
            if len(inner.factors) == 2
            else Product(inner.span, inner.factors[1:], ("", *inner.operators[2:]))
        )
    elif isinstance(inner, Bracket) or (isinstance(inner, Atom) and inner.kind in ("SYM", "TEXT", "WORD", "DOTS")):
        raise r.unknown(node)
    if isinstance(inner, Atom) and inner.kind == "NUM":
        if Rational(inner.text) > LARGEST_POWER:
            raise Unread(f"the exponent {inner.text[:20]} is too large", inner.span)
        if (
            value.shape is not None
            and len(value.shape) == 2
            and value.shape[0] == value.shape[1]
            and not value.is_scalar
        ):
            r.note(f"{r.words(node)[:40]} is read entry by entry")
        return r.value(claim.power(value.tree, _number(inner).tree), node.span)
    if isinstance(inner, Atom) and inner.kind == "LETTER":
        found = r.symbols.symbol(inner)
        if found is None:
            raise r.unknown(node)
    power = r.expression(inner)
    if power.tree.op == "power":
        raise Unread(f"the exponent {r.words(exponent)[:40]} is a power itself", exponent.span)
    return r.value(claim.power(value.tree, power.tree), node.span)


# ---------------------------------------------------------------- brackets, fractions, environments


def _bracket(r: Resolver, bracket: Bracket, subs: tuple[Node, ...], sups: tuple[Node, ...], node: Node) -> Value:
    kind, body = bracket.open, bracket.body
    if kind == "||":
        return _norm(r, body, subs, sups, node)
    if kind == "|":
        inner = r.expression(body)
        return scripted(r, r.value(claim.call("abs", [inner.tree]), node.span), subs, sups, node)
    if kind == "<":
        subs = () if [key(s, True) for s in subs] in (["F"], ["2"]) else subs  # ⟨A, B⟩_F
        if (isinstance(body, List) and len(body.items) == 2) or (isinstance(body, Relation) and body.names == ("mid",)):
            pair = body.items if isinstance(body, List) else body.sides
            a, b = (r.expression(i) for i in pair)
            if a.shape != b.shape and a.shape is not None and b.shape is not None and not a.is_scalar:
                r.misfit("the two sides of an inner product have different shapes", node)
            return scripted(
                r, r.value(claim.call("sum", [claim.product([a.tree, b.tree])]), node.span), subs, sups, node
            )
        raise Unread(f"{r.words(node)[:40]} is not read", node.span)
    if kind in ("floor", "ceil", "."):
        if kind == ".":
            return scripted(r, r.expression(body), subs, sups, node)
        raise Unread("rounding is not read", node.span)
    if isinstance(body, List):
        raise Unread(f"{r.words(node)[:40]} is no formula", node.span)
    value = r.expression(body)
    if subs and isinstance(body, (Atom, Scripts, Accent)):
        tree = value.tree.args[0] if value.tree.op == "call" and value.tree.data[0] in ("column", "row") else value.tree
        return scripted(r, indexed(r, tree, subs, (), node), (), sups, node)
    return scripted(r, value, subs, sups, node)


def _norm(r: Resolver, body: Node, subs: tuple[Node, ...], sups: tuple[Node, ...], node: Node) -> Value:
    inner = r.expression(body)
    which = key(subs[0], True) if subs else "2"
    if which == "1":
        value = r.value(claim.call("sum", [claim.call("abs", [inner.tree])]), node.span)
        return scripted(r, value, (), sups, node)
    if which not in ("2", "F", "Fro", "fro"):
        raise Unread(f"the norm {r.words(node)[:40]} is not read", node.span)
    if which == "2" and inner.shape is not None and len(inner.shape) == 2 and 1 not in inner.shape:
        r.note("the norm of a matrix is read as the root of the sum of squares")
    if sups and isinstance(sups[0], Atom) and sups[0].text == "2":
        return scripted(r, r.value(claim.call("norm2sq", [inner.tree]), node.span), (), sups[1:], node)
    return scripted(r, r.value(claim.call("norm", [inner.tree]), node.span), (), sups, node)


def _fraction(r: Resolver, node: Fraction) -> Value:
    if node.name == "root":
        raise Unread("a root of this kind is not read", node.span, "Write it as a power.")
    if node.name != "frac":
        raise Unread(f"\\{node.name} is not read", node.span)
    top, bottom = r.expression(node.top), r.expression(node.bottom)
    if top.ones or bottom.ones:
        raise Unread("a vector of ones in a fraction", node.span)
    if top.tree.op == bottom.tree.op == "number" and bottom.tree.data[0] != 0:
        pass
    if (
        top.shape is not None
        and bottom.shape is not None
        and not bottom.is_scalar
        and not top.is_scalar
        and top.shape != bottom.shape
        and not r.reading.loose
    ):
        r.misfit("the two sides of a fraction have different shapes", node)
    return r.value(claim.product([top.tree, bottom.tree], [1, -1], r"\frac"), node.span)


def _environment(r: Resolver, node: Environment) -> Value:
    if "cases" in node.name or (node.name == "array" and _is_cases(node)):
        return _cases(r, node)
    rows = node.rows
    if any(isinstance(c, Atom) and c.kind == "DOTS" for row in rows for c in row):
        raise Unread("a matrix with dots is an ellipsis", node.span)
    if sum(len(row) for row in rows) > 400:
        raise Unread("a matrix of so many entries is not read", node.span)
    values = [[r.expression(c) for c in row] for row in rows]
    if any(len(row) != len(values[0]) for row in values):
        raise Unread("the rows of this matrix have different lengths", node.span)
    lines = [_beside(r, row, 1, node) for row in values]
    return _beside(r, lines, 0, node)


def _beside(r: Resolver, values: list[Value], axis: int, node: Node) -> Value:
    """Blocks side by side or one below the other."""
    trees = []
    for v in values:
        if v.shape is None:
            return v
        one = claim.number(1, "1")
        tree = v.tree
        if v.shape == ():
            tree = claim.call("reshape", [tree, claim.call("tuple", [one, one])])
        elif len(v.shape) == 1:
            tree = claim.column(tree)
        trees.append(tree)
    if len(trees) == 1:
        return r.value(trees[0], node.span)
    return r.value(claim.call("concatenate", [claim.call("tuple", trees)], axis=axis), node.span)


def _is_cases(node: Environment) -> bool:
    return all(len(row) == 2 for row in node.rows) and any(
        isinstance(_condition(row[1]), Relation) for row in node.rows
    )


def _condition(cell: Node) -> Node | None:
    """The relation of a case, without "if" before it; None for "otherwise"."""
    while isinstance(cell, Bracket) and cell.open in ("(", "["):
        cell = cell.body
    if isinstance(cell, List):
        found = [c for c in (_condition(i) for i in cell.items) if c is not None]
        return found[0] if len(found) == 1 else None
    if isinstance(cell, Relation):
        first = cell.sides[0]
        if (
            isinstance(first, Product)
            and isinstance(first.factors[0], Atom)
            and first.factors[0].kind in ("TEXT", "WORD")
            and first.factors[0].text.lower().strip(" :,") in _IF
        ):
            rest = first.factors[1:]
            head = rest[0] if len(rest) == 1 else Product(first.span, rest, ("", *first.operators[2:]))
            return Relation(cell.span, (head, *cell.sides[1:]), cell.names)
        return cell
    return None


_IF = frozenset(["if", "for", "when", "wenn", "falls", "si", "für", "where", "若", "当", "如果", "if:"])


def _cases(r: Resolver, node: Environment) -> Value:
    """`cases`: the first condition that holds; the last may be "otherwise"."""
    pairs: list[tuple[Value, Node | None]] = []
    for row in node.rows:
        cell = row[0]
        condition = row[1] if len(row) > 1 else None
        if isinstance(cell, List) and len(row) == 1 and len(cell.items) == 2:
            cell, condition = cell.items
        if isinstance(cell, List):
            items = [i for i in cell.items if key(i)]
            if len(items) == 1:
                cell = items[0]
            elif len(items) == 2 and condition is None:
                cell, condition = items
        pairs.append((r.expression(cell), condition))
    if not pairs or len(pairs) == 1:
        raise Unread("cases need two rows", node.span)
    result = pairs[-1][0].tree
    for value, condition in reversed(pairs[:-1]):
        where = None if condition is None else _condition(condition)
        if where is None:
            raise Unread("a case has no condition that can be read", node.span)
        result = claim.where(r.expression(where).tree, value.tree, result)
    return r.value(result, node.span)
