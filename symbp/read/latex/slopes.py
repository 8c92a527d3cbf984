"""The derivative of an expression in entries, by the rules of calculus: `\\frac{\\partial \\log p_i}{\\partial z_k}`.

What a tensor of the network depends on is its Jacobian's business; sums, products, powers and functions of numbers are
differentiated here. Anything else has no derivative that is read (None).
"""

from __future__ import annotations

from fractions import Fraction

from symbp import claim
from symbp.claim import Tree
from symbp.ops import OPS
from symbp.read.latex.names import rename
from symbp.read.latex.resolve import Resolver

Index = tuple[object, ...]


def derivative(r: Resolver, tree: Tree, wrt: str, index: Index) -> Tree | None:
    """∂tree/∂wrt[index], for a tree without array axes; `index` is empty for a number. None if that is not read."""
    if not any(n == wrt or wrt in r.view.depends.get(n, ()) for n in tree.names):
        return claim.number(0, "0")
    match tree.op:
        case "alias":
            return derivative(r, tree.args[0], wrt, index)
        case "name":
            return _of_entry(r, tree, (), wrt, index)
        case "entry" if len(tree.args) == 1 and tree.args[0].op == "name" and ":" not in tree.data:
            return _of_entry(r, tree.args[0], tree.data, wrt, index)
        case "sum":
            parts = [derivative(r, a, wrt, index) for a in tree.args]
            kept = [(p, s) for p, s in zip(parts, tree.data, strict=True) if p is None or not _is_zero(p)]
            if any(p is None for p, _ in kept):
                return None
            return claim.sum_([p for p, _ in kept if p is not None], [s for _, s in kept])
        case "product":
            return _of_product(r, tree, wrt, index)
        case "power" if tree.args[1].op == "number":
            n = Fraction(tree.args[1].data[0])
            inner = derivative(r, tree.args[0], wrt, index)
            base = tree.args[0] if n == 2 else claim.power(tree.args[0], claim.number(n - 1, str(n - 1)))
            return None if inner is None else claim.product([claim.number(n, str(n)), base, inner])
        case "call" if len(tree.args) == 1 and not tree.data[1]:
            return _of_call(r, tree, wrt, index)
        case "over" if tree.data[0] == "sum":
            fresh = {x: r.letter() for x in tree.data[1]}
            body = derivative(r, rename(tree.args[0], dict(fresh)), wrt, index)
            condition = rename(tree.args[1], dict(fresh)) if len(tree.args) > 1 else None
            return None if body is None else claim.over("sum", list(fresh.values()), body, condition)
    return None


def _is_zero(tree: Tree) -> bool:
    return tree.op == "number" and tree.data[0] == 0


def _of_entry(r: Resolver, name: Tree, at: Index, wrt: str, index: Index) -> Tree | None:
    """An entry of a tensor: Kronecker's δ for the variable itself, else an entry of the Jacobian."""
    of = name.data[0]
    if of not in r.view.axes or len(at) != r.view.axes[of]:
        return None
    if of == wrt:
        pairs = [claim.compare("==", _place(i), _place(k)) for i, k in zip(at, index, strict=True)]
        return claim.number(1, "1") if not pairs else pairs[0] if len(pairs) == 1 else claim.product(pairs)
    if of == r.view.graph.loss:
        g = claim.gradient(wrt)
        return Tree("entry", (g,), index) if index else g
    whole = claim.jacobian(of, wrt)
    return Tree("entry", (whole,), (*at, *index)) if at or index else whole


def _place(index: object) -> Tree:
    """An index as a number, counted from 0 as letters are."""
    return claim.letter(index) if isinstance(index, str) else claim.number(Fraction(str(index)), str(index))


def _of_product(r: Resolver, tree: Tree, wrt: str, index: Index) -> Tree | None:
    powers, mark = tree.data
    terms: list[Tree] = []
    for k, (factor, power) in enumerate(zip(tree.args, powers, strict=True)):
        inner = derivative(r, factor, wrt, index)
        if inner is None:
            return None
        if _is_zero(inner):
            continue
        if power > 0:
            args = [*tree.args[:k], inner, *tree.args[k + 1 :]]
            terms.append(claim.product(args, powers, mark))
        else:  # (1/f)′ = −f′/f²
            args = [*tree.args, factor, inner]
            terms.append(claim.negative(claim.product(args, (*powers, -1, 1), mark)))
    return claim.number(0, "0") if not terms else terms[0] if len(terms) == 1 else claim.sum_(terms)


def _of_call(r: Resolver, tree: Tree, wrt: str, index: Index) -> Tree | None:
    x = tree.args[0]
    inner = derivative(r, x, wrt, index)
    if inner is None or _is_zero(inner):
        return inner
    match tree.data[0]:
        case "exp":
            slope = tree
        case "log":
            return claim.product([inner, x], (1, -1), r"\frac")
        case "sqrt":
            return claim.product([inner, claim.number(2, "2"), tree], (1, -1, -1))
        case name if name in OPS:
            slope = claim.call("slope", [x], of=name)
        case _:
            return None
    return claim.product([slope, inner])
