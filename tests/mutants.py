"""Right formulas with one mistake put into them, whose name follows from the definitions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.lexicon import Lexicon
from symbp.judge.rewrite import at_place, flipped, joined_sum, without
from symbp.judge.value import Value

Above = tuple[tuple[Tree, int], ...]
LINEAR = ("sum", "mean", "outer", "dot", "column", "row", "transpose", "diag")


def places(tree: Tree, path: tuple[int, ...] = (), above: Above = ()) -> Iterator[tuple[tuple[int, ...], Tree, Above]]:
    yield path, tree, above
    for k, a in enumerate(tree.args):
        yield from places(a, (*path, k), (*above, (tree, k)))


def bare(tree: Tree) -> Tree:
    """Without letters, columns, marks and spellings, so that one slope equals another."""
    if tree.op == "number":
        return c.number(tree.data[0])
    if (tree.op == "entry" and all(isinstance(i, str) for i in tree.data)) or tree.data == ("column", ()):
        return bare(tree.args[0])
    if tree.op in ("name", "gradient"):
        return c.name(("d" if tree.op == "gradient" else "") + str(tree.data[0]))
    data = (tree.data[0], "") if tree.op == "product" else "" if tree.op in ("chain", "transpose") else tree.data
    return Tree(tree.op, tuple(bare(a) for a in tree.args), data)


class Mutants:
    """All of one formula: (the name of the mistake, the wrong formula)."""

    def __init__(self, link: Tree, about: str, lexicon: Lexicon, value: Callable[[Tree], Value | None]) -> None:
        self.link, self.about, self.lexicon, self.value = link, about, lexicon, value
        slopes = [s.tree for s in lexicon.slopes if s.function not in ("power", "sum", "where", "sqrt", "log")]
        self.slopes = [
            [bare(f) for f, p in (zip(s.args, s.data[0], strict=True) if s.op == "product" else ((s, 1),)) if p > 0]
            for s in slopes
            if s.op in ("product", "compare", "sum") and not s.gradients
        ]

    def __iter__(self) -> Iterator[tuple[str, Tree]]:
        yield "sign", c.negative(self.link)
        yield "factor", c.product((c.number(2, "2"), self.link))
        for path, t, above in places(self.link):
            if not any(
                (p.op == "call" and p.data[0] not in LINEAR) or p.op in ("power", "compare", "alias") for p, _ in above
            ):
                inside = any(p.op == "product" and any(k in found for found in self.slopes_in(p)) for p, k in above)
                kinds = self.in_slope(t) if inside else self.outside(path, t, above)
                yield from ((name, at_place(self.link, path, new)) for name, new in kinds)

    def shape(self, tree: Tree) -> tuple[int, ...]:
        value = self.value(tree)
        return value.shape if value is not None else ()

    def slopes_in(self, tree: Tree) -> Iterator[list[int]]:
        """Which factors of a product are a slope of the network."""
        own = [bare(a) for a in tree.args]
        for wanted in self.slopes:
            found: list[int] = []
            for f in wanted:
                found += [k for k, p in enumerate(own) if p is f and k not in found and tree.data[0][k] > 0][:1]
            if len(found) == len(wanted):
                yield found

    def in_slope(self, t: Tree) -> Iterator[tuple[str, Tree]]:
        if t.op == "sum" and len(t.args) == 2:
            yield "wrong-activation-derivative", c.sum_(t.args, (t.data[0], -t.data[1]))
        if t.op == "compare" and t.data in ("<", ">"):
            yield "wrong-activation-derivative", c.compare("<" if t.data == ">" else ">", *t.args)

    def outside(self, path: tuple[int, ...], t: Tree, above: Above) -> Iterator[tuple[str, Tree]]:
        n = len(t.args)
        if t.op == "sum" and n > 1:
            yield from (("sign", c.sum_(t.args, [-s if i == k else s for i, s in enumerate(t.data)])) for k in range(n))
            if not path:
                yield from self.terms(t)
        elif t.op == "product":
            yield from self.factors(t)
        elif t.op == "chain":
            yield from self.matrices(t)
        elif t.op == "call" and t.data[0] == "outer":
            yield "swapped-order", t.with_args(t.args[::-1])
        elif self.is_sum(t) and not path:
            yield "missing-sum", t.args[0]
        elif t.op == "entry" and n == 1 and len(t.data) == 2 and t.data[0] != t.data[1]:
            yield "index-swap", Tree("entry", t.args, t.data[::-1])
        elif t.op == "name" and t.data[0] in self.lexicon.graph.nodes:
            yield from self.names(t, above)

    def is_sum(self, t: Tree) -> bool:
        if t.op == "over":
            return t.data[0] == "sum" and len(t.args) == 1
        return t.op == "call" and t.data[0] == "sum" and "keepdims" not in dict(t.data[1])

    def terms(self, t: Tree) -> Iterator[tuple[str, Tree]]:
        lexicon = self.lexicon
        for k, term in enumerate(t.args):
            rest = [i for i in range(len(t.args)) if i != k]
            left = joined_sum([t.args[i] for i in rest], [t.data[i] for i in rest])
            free = term.names - lexicon.coefficients - lexicon.reader.sizes
            if free == {self.about} and self.about in lexicon.penalised and not term.gradients:
                yield "missing-regulariser", left
            elif term.op in ("chain", "product", "gradient") and t.args[rest[0]].op in ("chain", "product", "gradient"):
                yield "missing-path", left

    def factors(self, t: Tree) -> Iterator[tuple[str, Tree]]:
        for k, (a, power) in enumerate(zip(t.args, t.data[0], strict=True)):
            if a.op == "number" and a.data[0] != 1:
                yield "factor", without(t, (k,))
            if a.op == "name" and power < 0 and a.data[0] in self.lexicon.reader.sizes:
                yield "missing-mean-factor", without(t, (k,))
        for found in self.slopes_in(t):
            if len(found) < len(t.args):
                yield "missing-activation-derivative", without(t, found)
            rest = [k for k in found if t.args[k].op == "sum"]
            if len(found) == 2 and rest:
                yield "wrong-activation-derivative", without(t, rest[:1])  # a for a(1 - a)

    def matrices(self, t: Tree) -> Iterator[tuple[str, Tree]]:
        shapes = [self.shape(a) for a in t.args]
        for k, s in enumerate(shapes):
            if len(s) == 2 and 1 not in s:
                yield "missing-transpose", t.with_args([*t.args[:k], flipped(t.args[k]), *t.args[k + 1 :]])
        if len(t.args) == 2:
            yield "swapped-order", t.with_args(t.args[::-1])
            if all(len(s) == 2 and 1 not in s for s in shapes):
                yield "hadamard-vs-matmul", c.product(t.args)

    def names(self, t: Tree, above: Above) -> Iterator[tuple[str, Tree]]:
        body = self.lexicon.definitions.get(t.data[0])
        activation = body is not None and body.op == "call" and body.args and body.args[0].op == "name"
        if activation and body is not None and above and above[-1][0].op in ("chain", "transpose"):
            yield "wrong-argument", c.name(body.args[0].data[0])
        family = re.fullmatch(r"([A-Za-z]+)(\d)", t.data[0])
        for other in (f"{family[1]}{int(family[2]) + d}" for d in (-1, 1)) if family else ():
            if other in self.lexicon.graph.nodes and other != self.about:
                yield "index-swap", c.name(other)
