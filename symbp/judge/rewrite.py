"""Formulas made from formulas, as a person would write them: factors joined, signs taken together.

Nothing here looks at values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from symbp import claim as c
from symbp.claim import Tree

ONE = c.number(1, "1")


REVERSED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
UNARY = {
    "exp", "log", "tanh", "sigmoid", "relu", "sin", "cos", "sqrt", "abs", "sign", "softplus", "softmax", "arctan",
    "erf", "gelu", "silu", "cosh", "sinh", "softsign", "selu", "elu", "leaky_relu", "mish", "tan",
}  # fmt: skip


def rebuilt(parent: Tree, args: Sequence[Tree]) -> Tree:
    """The parent with other parts, its sums of one negative term joined."""
    if parent.op == "sum" and parent.data == (-1,) and args[0].op == "sum" and args[0].data == (-1,):
        return args[0].args[0]
    if parent.op == "product":
        sign, factors = 1, []
        for a in args:
            if a.op == "sum" and a.data == (-1,):
                a, sign = a.args[0], -sign
            factors.append(a)
        whole = parent.with_args(factors)
        return whole if sign > 0 else c.negative(whole)
    if parent.op == "sum":
        terms, signs = [], []
        for a, s in zip(args, parent.data, strict=True):
            if a.op == "sum" and a.data == (-1,):
                a, s = a.args[0], -s
            terms.append(a)
            signs.append(s)
        return c.sum_(terms, signs)
    return parent.with_args(args)


def at_place(tree: Tree, path: Sequence[int], new: Tree) -> Tree:
    """The formula with another part at this place, and no other change."""
    if not path:
        return new
    k, *rest = path
    return tree.with_args([*tree.args[:k], at_place(tree.args[k], rest, new), *tree.args[k + 1 :]])


def tidy(tree: Tree) -> Tree:
    """Matrix products inside matrix products joined."""
    if not tree.args:
        return tree
    args = [tidy(a) for a in tree.args]
    if tree.op == "chain" and any(a.op == "chain" for a in args):
        return Tree("chain", tuple(x for a in args for x in (a.args if a.op == "chain" else (a,))), tree.data)
    return tree.with_args(args)


def without_ones(tree: Tree) -> Tree:
    """A formula without factors that are the number 1."""
    if not tree.args:
        return tree
    args = [without_ones(a) for a in tree.args]
    if tree.op == "product":
        kept = [k for k, a in enumerate(args) if not (a.op == "number" and a.data[0] == 1)]
        powers = [tree.data[0][k] for k in kept]
        if kept and len(kept) < len(args) and max(powers) > 0:
            return (
                args[kept[0]]
                if len(kept) == 1
                else Tree("product", tuple(args[k] for k in kept), (tuple(powers), tree.data[1]))
            )
    return tree.with_args(args)


ELEMENTWISE = ("\\odot", "\\circ", "\\bullet", "⊙", "∘", "*")


def flattened(tree: Tree) -> Tree:
    """Products inside products joined: on paper brackets and juxtaposition are one product (fractions stay)."""
    if not tree.args:
        return tree
    args = [flattened(a) for a in tree.args]
    if tree.op != "product":
        return tree.with_args(args)
    powers, mark = tree.data
    if all(a.op != "product" or p < 0 for a, p in zip(args, powers, strict=True)):
        return tree.with_args(args)
    factors: list[Tree] = []
    flat: list[int] = []
    marks = [mark]
    for a, p in zip(args, powers, strict=True):
        inside = a.op == "product" and p > 0 and a.data[1] != "\\frac"
        factors += a.args if inside else (a,)
        flat += a.data[0] if inside else (p,)
        marks += [a.data[1]] if inside else []
    return c.product(factors, flat, next((m for m in marks if m in ELEMENTWISE), mark))


def joined_sum(terms: Sequence[Tree], signs: Sequence[int]) -> Tree:
    if len(terms) == 1:
        return terms[0] if signs[0] > 0 else c.negative(terms[0])
    return c.sum_(terms, signs)


def joined_product(factors: Sequence[Tree], powers: Sequence[int]) -> Tree:
    if not factors:
        return ONE
    if len(factors) == 1 and powers[0] > 0:
        return factors[0]
    return c.product(factors, powers)


def joined_chain(factors: Sequence[Tree]) -> Tree:
    flat = [x for f in factors for x in (f.args if f.op == "chain" else (f,))]
    return flat[0] if len(flat) == 1 else c.chain(flat)


def without(t: Tree, gone: Sequence[int]) -> Tree:
    """A product or a chain without some of its factors."""
    rest = [i for i in range(len(t.args)) if i not in gone]
    if t.op == "chain":
        return joined_chain([t.args[i] for i in rest]) if rest else ONE
    return joined_product([t.args[i] for i in rest], [t.data[0][i] for i in rest])


def flipped(t: Tree) -> Tree:
    """The transpose, or what it is the transpose of."""
    return t.args[0] if t.op == "transpose" else c.transpose(t)


def untransposed(t: Tree) -> Tree:
    return t.args[0] if t.op == "transpose" else t


def with_signs(t: Tree, which: Sequence[int]) -> Tree:
    return c.sum_(t.args, [-s if k in which else s for k, s in enumerate(t.data)])


def scaled(t: Tree, by: Tree, sign: int) -> Tree:
    """±by · t, as a person writes it: numbers joined, a factor that cancels taken out."""
    if by is ONE and sign < 0:
        return negated(t)
    if t.op == "sum" and t.data == (-1,):
        t, sign = t.args[0], -sign
    whole = _scaled(t, by)
    return whole if sign > 0 else c.negative(whole)


def _scaled(t: Tree, by: Tree) -> Tree:
    if by.op == "number" and by.data[0] == 1:
        return t
    if t.op == "product":
        for k, (factor, power) in enumerate(zip(t.args, t.data[0], strict=True)):
            if factor.op == "number" == by.op:
                n = Fraction(by.data[0]) * (Fraction(factor.data[0]) if power > 0 else 1 / Fraction(factor.data[0]))
                rest = without(t, (k,))
                return rest if n == 1 else _scaled(rest, c.number(n))
            if power < 0 and factor is by:
                return without(t, (k,))
            if power > 0 and factor.op == "product":  # a fraction among the factors takes it up
                inner = _scaled(factor, by)
                if inner.weight < factor.weight:
                    if inner.op == "number" and inner.data[0] == 1:
                        return without(t, (k,))
                    return t.with_args([*t.args[:k], inner, *t.args[k + 1 :]])
            if power > 0 and by.op == "product" and by.data[0] == (1, -1) and by.args == (ONE, factor):
                return without(t, (k,))
    if by.op == "product" and by.args[0] is ONE and by.data[0] == (1, -1):
        return divided(t, by.args[1])
    if by.op == "number" and Fraction(by.data[0]).numerator == 1:
        return divided(t, c.number(Fraction(by.data[0]).denominator))
    head = by.args if by.op == "product" and all(p > 0 for p in by.data[0]) else (by,)
    if t.op == "product":
        return c.product((*head, *t.args), (*(1,) * len(head), *t.data[0]))
    return c.product((*head, t))


def negated(t: Tree) -> Tree:
    """−t, as a person writes it: a difference among the factors is turned round."""
    return _turned_difference(t) or c.negative(t)


def _turned_difference(t: Tree) -> Tree | None:
    if t.op == "sum" and t.data == (1, -1):
        return c.sum_(t.args[::-1], t.data)
    if t.op in ("product", "chain", "transpose", "over"):
        for k, a in enumerate(t.args):
            fixed = (t.op == "product" and t.data[0][k] < 0) or (t.op == "over" and (k or t.data[0] != "sum"))
            new = None if fixed else _turned_difference(a)
            if new is not None:
                return t.with_args([*t.args[:k], new, *t.args[k + 1 :]])
    return None


def multiplied(t: Tree, by: Tree) -> Tree:
    """t · by, elementwise; one factor more of what is there is a power."""
    return _with_factor(t, by, 1)


def divided(t: Tree, by: Tree) -> Tree:
    """t / by, elementwise."""
    return _with_factor(t, by, -1)


def _with_factor(t: Tree, by: Tree, power: int) -> Tree:
    if t.op == "sum" and t.data == (-1,):
        return c.negative(_with_factor(t.args[0], by, power))
    left = t.args if t.op == "product" else (t,)
    powers = t.data[0] if t.op == "product" else (1,)
    if by.op in ("name", "entry"):
        for k, (a, p) in enumerate(zip(left, powers, strict=True)):
            more = _one_more(a, by) if p == power else None
            if more is not None:
                return more if len(left) == 1 and p > 0 else t.with_args([*left[:k], more, *left[k + 1 :]])
    if power > 0 and by.op == "product" and by.data[0][0] > 0:
        return c.product((*left, *by.args), (*powers, *by.data[0]))
    return c.product((*left, by), (*powers, power))


def _one_more(a: Tree, by: Tree) -> Tree | None:
    """a · by as a power, if a is one of the same part; the student's spelling stays."""
    if _same_part(a, by):
        return c.power(a, c.number(2))
    if a.op == "power" and _same_part(a.args[0], by) and a.args[1].op == "number":
        return c.power(a.args[0], c.number(Fraction(a.args[1].data[0]) + 1))
    return None


def _same_part(a: Tree, b: Tree) -> bool:
    """Names, or entries of names, that are the same but for their spelling."""
    if a.op == b.op == "name":
        return bool(a.data[0] == b.data[0])
    return a.op == b.op == "entry" and a.data == b.data and len(a.args) == 1 and _same_part(a.args[0], b.args[0])


def added(t: Tree, term: Tree, sign: int) -> Tree:
    if term.op == "sum" and term.data == (-1,):
        term, sign = term.args[0], -sign
    if t.op == "sum":
        return c.sum_((*t.args, term), (*t.data, sign))
    return c.sum_((t, term), (1, sign))


def everywhere(tree: Tree, old: Tree, new: Tree) -> Tree:
    if tree is old:
        return new
    if not tree.args or (tree.op == "alias" and tree.data == "\0"):  # what was put in is not met again
        return tree
    args = [everywhere(a, old, new) for a in tree.args]
    if tree.op == "transpose" and args[0].op == "transpose":
        return args[0].args[0]
    return tree.with_args(args)


def relettered(tree: Tree, letters: Mapping[str, str]) -> Tree:
    """A formula with other index letters."""
    args = tuple(relettered(a, letters) for a in tree.args)
    data = tree.data
    if tree.op in ("entry", "letter", "array"):
        data = tuple(letters.get(x, x) if isinstance(x, str) else x for x in data)
    elif tree.op == "over":
        data = (data[0], tuple(letters.get(x, x) for x in data[1]))
    return Tree(tree.op, args, data)


def has_axis(tree: Tree) -> bool:
    return tree.op == "call" and "axis" in dict(tree.data[1])


def other_axes(tree: Tree, old: Any, new: Any) -> Tree:
    args = [other_axes(a, old, new) for a in tree.args]
    if has_axis(tree) and dict(tree.data[1])["axis"] == old:
        return c.call(tree.data[0], args, **{**dict(tree.data[1]), "axis": new, "keepdims": True})
    return tree.with_args(args) if args else tree


def renamed(tree: Tree, a: str, b: str) -> Tree:
    """All calls of one function made calls of another."""
    args = [renamed(x, a, b) for x in tree.args]
    if tree.op == "call" and tree.data[0] == a:
        return Tree("call", tuple(args), (b, tree.data[1]))
    return tree.with_args(args) if args else tree


def marked(tree: Tree, old: Tree, new: Tree) -> Tree:
    """As `_everywhere`, but what was put in is not met again."""
    return everywhere(tree, old, c.alias(new, "\0"))


def unmarked(tree: Tree) -> Tree:
    if tree.op == "alias" and tree.data == "\0":
        return tree.args[0]
    return tree.with_args([unmarked(a) for a in tree.args]) if tree.args else tree


def turned(tree: Tree) -> Tree:
    """What was marked, transposed."""
    if tree.op == "alias" and tree.data == "\0":
        return flipped(tree.args[0])
    return rebuilt(tree, [turned(a) for a in tree.args]) if tree.args else tree


def exchanged(tree: Tree, a: Tree, b: Tree) -> Tree:
    return unmarked(marked(marked(tree, a, b), b, a))
