"""Derivatives: ∂L/∂W in every spelling, dW, x̄, Jacobians between nodes, and chain rules as they stand on paper.

The derivative of the loss with respect to a symbol is the symbol read in a table in which every array is its
gradient: indices, transposes and lets work with no further rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from symbp import claim
from symbp.claim import Tree
from symbp.expr import ONE
from symbp.read.latex import atoms, slopes
from symbp.read.latex.names import Ambiguous, Found, key, parts
from symbp.read.latex.resolve import Resolver, Unread, Value
from symbp.read.latex.tree import (
    Accent,
    Atom,
    Bracket,
    Fraction,
    Node,
    Product,
    Relation,
    Scripts,
    is_transpose,
)

LOSSES = frozenset(["L", "J", "E", "C", "ell"])
LOSS_WORDS = frozenset(
    ["loss", "Loss", "cost", "Cost", "error", "Error", "out", "CE", "MSE", "BCE", "NLL", "FL", "Obj", "obj", "NCE"]
)


def derivative(r: Resolver, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
    """A derivative at the start of these factors, and how many of them it takes."""
    node = factors[0]
    base = node.base if isinstance(node, Scripts) else node
    if isinstance(node, Fraction) and node.name == "frac":
        return _fraction(r, node, factors, operators)
    if isinstance(base, Atom) and base.kind == "NABLA":
        return _nabla(r, node, factors, operators)
    if isinstance(base, Atom) and base.kind == "PARTIAL":
        return _partial(r, node, factors, operators)
    if isinstance(node, Scripts) and isinstance(node.base, Fraction) and node.base.name == "frac":
        taken = _fraction(r, node.base, [node.base], [""])
        if taken is not None:
            return atoms.scripted(r, taken[0], node.subs, node.sups, node), 1
        return None
    return _differential(r, node, base, factors, operators)


def _run(factors: Sequence[Node], operators: Sequence[str], start: int) -> list[Node]:
    """The factors from `start` that stand side by side."""
    found = [factors[start]] if start < len(factors) else []
    for f, o in zip(factors[start + 1 :], operators[start + 1 :]):
        if o:
            break
        found.append(f)
    return found


# ---------------------------------------------------------------- the spellings


def _halves(node: Node) -> tuple[str, list[Node]] | None:
    """`∂`, `d` or `δ` and what it stands before."""
    inner = node.body if isinstance(node, Bracket) and node.open == "" else node
    items = list(parts(inner))
    first = items[0]
    if isinstance(first, Atom) and first.kind == "PARTIAL":
        return "∂", items[1:]
    if isinstance(first, Atom) and first.kind == "LETTER" and first.text in ("d", "delta"):
        return ("d" if first.text == "d" else "δ"), items[1:]
    if isinstance(first, Scripts) and isinstance(first.base, Atom) and first.base.kind == "PARTIAL" and not first.subs:
        return "∂2", items[1:]
    word = first.base if isinstance(first, Scripts) else first
    if isinstance(word, Atom) and word.kind == "WORD" and word.text[0] == "d" and len(word.text) > 1:
        rest = Atom(
            (word.span[0] + 1, word.span[1]), "WORD" if len(word.text) > 2 else "LETTER", word.text[1:], word.font
        )
        return "d", [
            Scripts(first.span, rest, first.subs, first.sups) if isinstance(first, Scripts) else rest,
            *items[1:],
        ]
    return None


def _fraction(r: Resolver, node: Fraction, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
    top, bottom = _halves(node.top), _halves(node.bottom)
    if top is None or bottom is None or not bottom[1]:
        return None
    if "2" in top[0] or "2" in bottom[0]:
        raise Unread("a second derivative is not read", node.span)
    if "∂" not in (top[0], bottom[0]) and top[0] != bottom[0]:
        return None
    if (
        top[0] == "δ"
        and r.symbols.symbol(node.top if isinstance(node.top, (Atom, Scripts)) else node.bottom) is not None
        and not top[1]
    ):
        return None
    wrt = r._around(bottom[1])
    if top[1]:
        return _derived(r, top[1], wrt, node), 1
    run = _run(factors, operators, 1)
    if not run:
        raise Unread(f"{r.words(node)} stands before nothing", node.span)
    count, value = _applied(r, run, factors, operators, wrt, node)
    return value, 1 + count


def _applied(
    r: Resolver, run: list[Node], factors: list[Node], operators: list[str], wrt: Node, node: Node
) -> tuple[int, Value]:
    """∂/∂W before an expression: the loss with its arguments, or all that stands to the right."""
    if is_loss(r, run[0]):
        count = 2 if len(run) > 1 and isinstance(run[1], Bracket) else 1
        return count, gradient(r, wrt, node)
    rest = factors[1:]
    body = Product((rest[0].span[0], rest[-1].span[1]), tuple(rest), ("", *operators[2:])) if len(rest) > 1 else rest[0]
    return len(rest), _derived(r, [body], wrt, node)


def _partial(r: Resolver, node: Node, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
    """`\\partial_{o_j} l(…)` and `\\partial L/\\partial W`."""
    if isinstance(node, Scripts) and node.subs:
        run = _run(factors, operators, 1)
        if not run:
            raise Unread(f"{r.words(node)} stands before nothing", node.span)
        count, value = _applied(r, run, factors, operators, r._around(node.subs), node)
        return value, 1 + count
    slash = next((n for n, o in enumerate(operators) if n and o == "/"), 0)
    if slash and slash + 1 < len(factors) and all(not o for o in operators[1:slash]):
        second = factors[slash]
        if isinstance(second, Atom) and second.kind == "PARTIAL" and not operators[slash + 1]:
            whole = r._around([*factors[: slash + 2]])
            return _derived(r, factors[1:slash], factors[slash + 1], whole), slash + 2
        if isinstance(second, Bracket):
            half = _halves(second.body)
            if half is not None:
                return _derived(r, factors[1:slash], r._around(half[1]), r._around(factors[: slash + 1])), slash + 1
    return None


def _nabla(r: Resolver, node: Node, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
    run = _run(factors, operators, 1)
    wrt = _last_member(r, r._around(node.subs)) if isinstance(node, Scripts) and node.subs else None
    if not run:
        if wrt is not None and len(factors) == 1:
            r.note(f"{r.words(node)} is read as the gradient of the loss")
            return gradient(r, wrt, node), 1
        raise Unread(f"{r.words(node)} stands before nothing", node.span)
    if wrt is not None:
        before = list(r.reading.misfits), list(r.reading.notes)
        try:
            count, value = _applied(r, run, factors, operators, wrt, node)
            if value.jacobian is None:
                return value, 1 + count
        except Unread as problem:
            if problem.kind == "undefined":
                raise
        r.reading.misfits[:], r.reading.notes[:] = before  # ∇_H Xᵀ: the gradient stands for itself
        r.note(f"{r.words(node)} is read as the gradient of the loss")
        return gradient(r, wrt, node), 1
    used = 2
    argument: Node | None = None
    if len(run) > 1 and isinstance(run[1], Bracket) and run[1].open == "(":
        used, argument = 3, run[1].body
    if not is_loss(r, run[0]) and not _is_as_loss(r, run[0]):
        found = _found(r, run[0])  # \nabla W is the gradient with respect to W in some notes
        if found is not None and found.tree.op == "name" and used == 2:
            r.note(f"{r.words(r._around([node, run[0]]))} is read as the gradient of {found.tree.data[0]}")
            return gradient(r, run[0], node), 2
        raise Unread(f"{r.words(run[0])} is not the loss", run[0].span)
    if argument is not None and not isinstance(argument, (Relation,)) and _found(r, argument) is not None:
        return gradient(r, argument, node), used
    return Value(Tree("gradient", (), ("", r.words(r._around([node, run[0]])))), (), None), used


def _is_as_loss(r: Resolver, node: Node) -> bool:
    """Is this another name of the loss, as in `L = R`?"""
    found = _found(r, node)
    return found is not None and r.evaluator.same(found.tree, claim.name(r.view.graph.loss))


def _last_member(r: Resolver, wrt: Node) -> Node:
    """`\\nabla_a C` where a is a family: the a that the loss is a function of, the last one."""
    if not isinstance(wrt, Atom) or _found(r, wrt) is not None:
        return wrt
    numbers = [m for n in r.view.axes if (m := re.fullmatch(rf"{re.escape(key(wrt))}\[([0-9]+)\]", n))]
    if not numbers:
        return wrt
    last = max(int(m[1]) for m in numbers)
    r.note(f"{r.words(wrt)} is read as that of the last layer, {key(wrt)}[{last}]")
    return Scripts(wrt.span, wrt, (), (Atom(wrt.span, "NUM", str(last)),))


def _differential(
    r: Resolver, node: Node, base: Node, factors: list[Node], operators: list[str]
) -> tuple[Value, int] | None:
    """`dW`, `\\mathrm{d}W`, `\\bar x`."""
    if isinstance(base, Accent) and base.name == "bar" and r.symbols.symbol(node) is None:
        inner = Scripts(node.span, base.body, node.subs, node.sups) if isinstance(node, Scripts) else base.body
        if isinstance(base.body, Scripts):
            inner = base.body
        if _found(r, inner) is not None:
            r.note(f"{r.words(node)} is read as a gradient")
            return gradient(r, inner, node), 1
        return None
    if isinstance(base, Atom) and base.kind == "WORD" and base.text[0] == "d" and r.symbols.symbol(node) is None:
        half = _halves(node)
        if half is not None and _found(r, half[1][0]) is not None:
            return gradient(r, half[1][0], node), 1
    is_d = isinstance(node, Atom) and node.kind == "LETTER" and node.text == "d"
    if isinstance(node, Atom) and node.kind == "LETTER" and node.text == "delta" and r.symbols.symbol(node) is None:
        is_d = True  # δh_t, as notes on recurrent networks write
    if not is_d or len(factors) < 2 or operators[1]:
        return None
    follows = factors[1]
    found = _found(r, follows)
    if found is None or found.tree.op not in ("name",) or found.tree.data[0] not in r.view.axes:
        return None
    if r.symbols.symbol(node) is not None and factors[1].span[0] != node.span[1]:
        return None
    return gradient(r, follows, r._around([node, follows])), 2


def _found(r: Resolver, node: Node) -> Found | None:
    if not isinstance(node, (Atom, Scripts, Accent)):
        return None
    try:
        return r.symbols.symbol(node)
    except Ambiguous as error:
        raise r._ambiguous(node, error) from None


# ---------------------------------------------------------------- what is differentiated


def is_loss(r: Resolver, node: Node) -> bool:
    """The loss by its name, a let, or a usual letter that no variable has."""
    base = node.base if isinstance(node, Scripts) else node
    loss = r.view.graph.loss
    found = _found(r, node) if isinstance(node, (Atom, Scripts, Accent)) else None
    if found is not None and not (found.note and isinstance(base, Atom) and base.text in LOSSES):
        tree = found.tree
        while tree.op == "alias":
            tree = tree.args[0]
        if tree.op == "name" and tree.data[0] == loss:
            return True
        if found.own is None or found.own[0] or found.own[1] or not isinstance(node, Scripts):
            return False
    if not isinstance(base, Atom):
        return False
    if base.kind == "LETTER" and base.text in LOSSES:
        own = r.symbols.spelled.get(key(base))
        return own is None or own == loss
    return base.kind in ("WORD", "FUN") and base.text in LOSS_WORDS and base.text not in r.symbols.spelled


def _derived(r: Resolver, top: list[Node], wrt: Node, node: Node) -> Value:
    """The derivative of what stands in the numerator."""
    if is_loss(r, top[0]) and (len(top) == 1 or (isinstance(top[1], Bracket) and len(top) == 2)):
        return gradient(r, wrt, node)
    inner = top[0]
    while len(top) == 1 and isinstance(inner, Bracket) and inner.open in ("", "("):
        inner = inner.body
        top = [inner]
    if len(top) == 1 and is_loss(r, inner):
        return gradient(r, wrt, node)
    numerator = r.expression(r._around(top))
    below = _wrt(r, wrt)
    source, below_index = _array(below)
    if source is None or source not in r.view.axes:  # a sum, a size, a constant
        raise Unread(f"a derivative with respect to {r.words(wrt)} is not read", wrt.span)
    of, of_index = _array(numerator.tree)
    if of == r.view.graph.loss:
        return gradient(r, wrt, node)
    if of is not None and of in r.view.axes:
        return _jacobian(r, of, of_index, source, below_index, node)
    loss = claim.name(r.view.graph.loss)
    if numerator.is_scalar and not numerator.letters and r.evaluator.same(claim.call("sum", [numerator.tree]), loss):
        return gradient(r, wrt, node)
    linear = _linear(r, numerator.tree, source, below_index) if numerator.is_scalar else None
    if linear is None and numerator.shape == ():
        letters = [r.letter() for _ in range(r.view.axes[source])] if below_index is None else []
        if not (letters and numerator.letters):
            linear = slopes.derivative(r, numerator.tree, source, tuple(letters) if letters else below_index or ())
            linear = claim.array(letters, linear) if linear is not None and letters else linear
        if linear is not None and letters:
            return r.vector(claim.alias(linear, r.words(node)), r.view.is_row(source))
    if linear is None:
        raise Unread(f"the derivative of {r.words(r._around(top))[:40]} is not read", node.span)
    return r.value(claim.alias(linear, r.words(node)), node.span)


def _linear(r: Resolver, tree: Tree, source: str, index: tuple[object, ...] | None) -> Tree | None:
    """The derivative of a sum of scalars of the network, and of terms that do not depend on `source`."""
    while tree.op == "alias":
        tree = tree.args[0]
    if not any(source == n or source in r.view.depends.get(n, ()) for n in tree.names):
        return claim.number(0, "0")
    if tree.op == "name" and tree.data[0] == r.view.graph.loss:
        g = claim.gradient(source)
        return Tree("entry", (g,), index) if index is not None else g
    if tree.op == "sum":
        terms = [_linear(r, a, source, index) for a in tree.args]
        kept = [(t, s) for t, s in zip(terms, tree.data, strict=True) if not (t is not None and t.op == "number")]
        if any(t is None for t, _ in kept):
            return None
        return claim.sum_([t for t, _ in kept if t is not None], [s for _, s in kept])
    return None


def _wrt(r: Resolver, node: Node) -> Tree:
    """The tree of a denominator."""
    return r.expression(node).tree


def _array(tree: Tree) -> tuple[str | None, tuple[object, ...] | None]:
    """The tensor that a tree is, and its indices if it is one entry."""
    while tree.op == "alias" or (tree.op == "call" and tree.data[0] in ("column", "row")):
        tree = tree.args[0]
    if tree.op == "name":
        return tree.data[0], None
    if tree.op == "entry" and len(tree.args) == 1 and tree.args[0].op == "name" and ":" not in tree.data:
        return tree.args[0].data[0], tree.data
    return None, None


def _jacobian(
    r: Resolver,
    of: str,
    of_index: tuple[object, ...] | None,
    wrt: str,
    wrt_index: tuple[object, ...] | None,
    node: Node,
) -> Value:
    """∂of/∂wrt: one entry, or a whole array that a chain rule must put in its place."""
    tree = claim.jacobian(of, wrt, r.words(node))
    of_axes, wrt_axes = r.view.axes[of], r.view.axes[wrt]
    if of_index is None and wrt_index is not None and all(d is ONE for d in r.view.graph[of].shape):
        of_index = (0,) * of_axes
    whole = (of_index is None and of_axes > 0) or (wrt_index is None and wrt_axes > 0)
    if not whole:
        return r.value(
            claim.alias(Tree("entry", (tree,), (*(of_index or ()), *(wrt_index or ()))), r.words(node))
            if of_axes + wrt_axes
            else tree,
            node.span,
        )
    if of_axes == 0 and of_index is None and wrt_index is None:
        return r.vector(tree, r.view.is_row(wrt))
    if of_index is not None and wrt_index is None and len(of_index) == of_axes:
        return r.vector(
            claim.alias(Tree("entry", (tree,), (*of_index, *[":"] * wrt_axes)), r.words(node)), r.view.is_row(wrt)
        )
    if of_index is None and wrt_index is None:
        return Value(tree, (), None, jacobian=(of, wrt))
    raise Unread(f"{r.words(node)} mixes a whole array and an entry", node.span, "Give both an index, or none.")


def gradient(r: Resolver, wrt: Node, node: Node) -> Value:
    """∂L/∂wrt: the symbol, with every array replaced by its gradient."""
    value = r.expression(wrt)
    text = r.words(node)
    if isinstance(node, Scripts) and any(is_transpose(s) for s in node.sups):
        text = atoms.spelled(r, node, (node.subs, tuple(s for s in node.sups if not is_transpose(s))))
    tree = _replaced(r, value.tree, text, wrt)
    return turned(r, r.value(tree, node.span))


def turned(r: Resolver, value: Value) -> Value:
    """A whole gradient as the network's own convention lays it out: `style(layout="numerator")` is its transpose."""
    if r.view.graph.style.get("layout") == "numerator" and value.shape is not None and len(value.shape) == 2:
        return r.value(claim.transpose(value.tree))
    return value


def _replaced(r: Resolver, tree: Tree, text: str, wrt: Node) -> Tree:
    if tree.op == "alias":
        return claim.alias(_replaced(r, tree.args[0], text, wrt), text)
    if tree.op == "name" and tree.data[0] in r.view.axes:
        return claim.gradient(tree.data[0], text)
    if tree.op in ("entry", "transpose", "item", "array") or (
        tree.op == "call" and tree.data[0] in ("column", "row", "transpose", "reshape")
    ):
        inner = tree.args[0].data[1] if tree.op == "entry" and tree.args[0].op == "name" else ""
        if inner:
            text = _without_index(text, r.words(wrt), inner)
        return Tree(tree.op, (_replaced(r, tree.args[0], text, wrt), *tree.args[1:]), tree.data)
    raise Unread(
        f"a derivative with respect to {r.words(wrt)[:40]} is not read",
        wrt.span,
        kind="undefined" if tree.op == "name" else "unreadable",
    )


def _without_index(text: str, shown: str, inner: str) -> str:
    """`\\frac{\\partial E}{\\partial w_{kj}}` as the derivative with respect to w, whose indices are kept apart."""
    return text.replace(shown, inner, 1) if text.count(shown) == 1 else text


# ---------------------------------------------------------------- chain rules of whole arrays


def chain_rule(r: Resolver, items: list[Value], ops: list[str], node: Node) -> Value | None:
    """∂L/∂a ∂a/∂z ∂z/∂W: Jacobians in any order, put in the order in which they can be multiplied."""
    if not any(v.jacobian for v in items):
        return None
    items = [_slope(r, v, n, items, ops) for n, v in enumerate(items)]
    if not any(v.jacobian for v in items):
        return r._joined(items, ops, [node] * len(items), node)
    start = [
        v
        for v in items
        if v.tree.op in ("gradient",) or (v.tree.op == "call" and v.tree.args and v.tree.args[0].op == "gradient")
    ]
    links = {v.jacobian[0]: v.jacobian[1] for v in items if v.jacobian}
    scalars = [v for v in items if v.shape == () and v not in start and not v.jacobian]
    if len(items) == 1:
        return items[0]
    if len(start) == 1 and len(links) + 1 + len(scalars) == len(items):
        current = start[0].tree if start[0].tree.op == "gradient" else start[0].tree.args[0]
        at = current.data[0]
    else:
        current, at = _upstream(r, items, ops, links, node)
        scalars = []
    while at in links:
        to = links.pop(at)
        outer = [r.letter() for _ in range(r.view.axes[at])]
        inner = [r.letter() for _ in range(r.view.axes[to])]
        body = claim.product(
            [
                claim.entry(current, *outer) if outer else current,
                claim.entry(claim.jacobian(at, to), *outer, *inner) if outer + inner else claim.jacobian(at, to),
            ]
        )
        summed = claim.over("sum", outer, body) if outer else body
        current = claim.array(inner, summed) if inner else summed
        at = to
    if links:
        return _as_written(r, items, node)
    r.reading.licence = True
    tree = claim.alias(current, r.words(node))
    if scalars:
        tree = claim.product([*[v.tree for v in scalars], tree])
    return r.vector(tree, r.view.is_row(at))


def _as_written(r: Resolver, items: list[Value], node: Node) -> Value:
    """A chain whose factors do not meet (∂y_3/∂y_1 ∂y_2/∂y_1) is no chain rule: the product of its matrices as it
    stands, for the judge to say so."""
    factors = [v.tree for v in items]
    if not all(r.view.axes[n] == 1 for v in items if v.jacobian for n in v.jacobian) or items[0].jacobian:
        raise Unread(f"{r.words(node)[:60]}: the factors of this chain do not meet", node.span)
    head = factors[0]
    if head.op == "call" and head.args and head.args[0].op == "gradient":
        head = head.args[0]  # the row that it is here is no column
    return Value(claim.chain([head, *factors[1:]]), (), None)


def _upstream(r: Resolver, items: list[Value], ops: list[str], links: dict[str, str], node: Node) -> tuple[Tree, str]:
    """`(x_3 - t) \\frac{\\partial x_3}{\\partial W_3}`: all that is no Jacobian stands for the gradient of the first
    numerator, if it has its shape."""
    heads = [of for of in links if of not in links.values()]
    rest = [(v, o) for v, o in zip(items, ops, strict=True) if not v.jacobian]
    unread = Unread(
        f"{r.words(node)[:60]} mixes Jacobians and other factors", node.span, "Give every factor its indices."
    )
    if len(heads) != 1 or not rest or len(links) + len(rest) != len(items):
        raise unread
    marks = ["", *(o for _, o in rest[1:])]
    value = r._joined([v for v, _ in rest], marks, [node] * len(rest), node)
    tree = r.flat(value) if r.view.axes[heads[0]] == 1 else value.tree
    try:
        letters, shape = r.evaluator.shape(tree)
        if letters or shape != r.evaluator.shape(claim.name(heads[0]))[1]:
            raise unread
    except ValueError:
        raise unread from None
    return tree, heads[0]


def _slope(r: Resolver, v: Value, n: int, items: list[Value], ops: list[str]) -> Value:
    """∂a/∂z beside ⊙, where a is a function of z entry by entry, is the array of its slopes."""
    if v.jacobian is None:
        return v
    of, wrt = v.jacobian
    beside = ops[n] if n else (ops[1] if len(ops) > 1 else "")
    if of not in r.view.elementwise.get(wrt, []) or beside.split(" ")[0] not in ("odot", "circ", "bullet", "*"):
        return v
    letters = [r.letter() for _ in range(r.view.axes[wrt])]
    tree = claim.alias(claim.array(letters, claim.entry(claim.jacobian(of, wrt), *letters, *letters)), v.tree.data[2])
    return r.vector(tree, r.view.is_row(wrt))
