"""Edits of a formula that need no other formula: signs, numbers, transposes, orders, sums, names.

Each method tries one family of edits at every place of the formula.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.functions import Array
from symbp.judge.rewrite import (
    ONE,
    REVERSED,
    UNARY,
    at_place,
    everywhere,
    exchanged,
    flipped,
    has_axis,
    joined_chain,
    joined_product,
    joined_sum,
    marked,
    negated,
    other_axes,
    relettered,
    scaled,
    turned,
    unmarked,
    untransposed,
    with_signs,
    without,
)
from symbp.judge.search import Search, Site, ratio_between
from symbp.judge.value import Value


def _shifted_by(exponent: Tree, step: int) -> Tree:
    """An exponent that is one more or less, a number in it joined: q for q - 1 + 1."""
    if exponent.op == "sum":
        for k, a in enumerate(exponent.args):
            if a.op == "number":
                n = exponent.data[k] * Fraction(a.data[0]) + step
                rest = [i for i in range(len(exponent.args)) if i != k]
                terms, signs = [exponent.args[i] for i in rest], [exponent.data[i] for i in rest]
                if not n:
                    return joined_sum(terms, signs)
                return c.sum_([*terms, c.number(abs(n))], [*signs, 1 if n > 0 else -1])
        return c.sum_([*exponent.args, ONE], [*exponent.data, step])
    return c.sum_((exponent, ONE), (1, step))


class Edits(Search):
    """What can be changed in a formula by itself and the names of the network."""

    # ---- edits: ratios, signs, numbers -----------------------------------------------------------

    def ratios(self) -> None:
        """A part that is off by a number, a size, a coefficient or a sign."""
        for site in self.sites:
            if site.wanted is None or (site.above and site.above[-1] == "product"):
                continue
            value = self.value(site.tree)
            if value is None:
                continue
            ratio = ratio_between(value, site.wanted)
            if ratio is None:
                continue
            for tree, sign, sizes in self.scalars_like(ratio, not site.path):
                one = tree.op == "number" and tree.data[0] == 1
                kind = "sign" if one else "scale" if sign > 0 else "scale-sign"
                new = scaled(site.tree, tree, sign)
                self.attempt(site, new, kind, detail=tree, scalar=True, sizes=sizes)

    def scalars_like(self, ratio: Array, any_number: bool = False) -> Iterator[tuple[Tree, int, bool]]:
        """What a formula may be off by: scalars with these values, one for each point, and their signs."""
        first = float(ratio.ravel()[0])
        if np.allclose(np.abs(ratio), 1.0, rtol=1e-6) and np.allclose(ratio, first):
            yield ONE, 1 if first > 0 else -1, False
        known = sorted(self.lexicon.scalars_like(ratio), key=lambda x: (x[0], -x[1]))
        for k, sign in known:
            yield self.lexicon.scalars[k][0], sign, self.lexicon.scalars[k][1]
        nice = Fraction(first).limit_denominator(64)
        small = any_number or max(abs(nice.numerator), nice.denominator) <= 6
        if not known and nice and small and np.allclose(ratio, float(nice), rtol=1e-8):
            yield c.number(abs(nice)), 1 if nice > 0 else -1, False

    def signs(self) -> None:
        """Signs of summands, alone and in pairs, and of arguments; comparisons reversed."""
        for site in self.sites:
            t = site.tree
            if t.op == "sum":
                n = len(t.args)
                for k in range(n if n > 1 else 0):
                    self.attempt(site, with_signs(t, (k,)), "sign")
                for k, m in itertools.combinations(range(min(n, 6)), 2):
                    if n > 2:
                        self.attempt(site, with_signs(t, (k, m)), "signs")
            if site.wanted is None or (site.above and site.above[-1] == "call"):
                self.attempt(site, negated(t), "sign")
            if t.op == "compare" and t.data in REVERSED:
                self.attempt(site, c.compare(REVERSED[t.data], *t.args), "comparison")

    def numbers(self) -> None:
        """Another number in its place."""
        for site in self.sites:
            if site.tree.op == "number":
                if site.tree.data[0] == 1 and site.above[-1:] == ("call",):
                    for tree, sizes in self.lexicon.scalars:
                        if tree.op == "name":
                            self.attempt(site, tree, "scale", detail=tree, scalar=True, sizes=sizes)
                n = Fraction(site.tree.data[0])
                if n == 2 and site.above[-1:] == ("power",) and site.path[-1] == 1:
                    whole = self._site(site.path[:-1])
                    self.attempt(whole, whole.tree.args[0], "delete-factor", detail=whole.tree.args[0])
                for m in dict.fromkeys(
                    x for x in [2 * n, n / 2, n + 1, n - 1, -n, n * n, 1 / n if n else n, Fraction(1), 3 * n] if x
                ):
                    self.attempt(site, c.number(m), "number")
            elif site.above[-1:] == ("power",) and site.path[-1] == 1 and site.tree.op != "letter":
                for step in (-1, 1):
                    self.attempt(site, _shifted_by(site.tree, step), "exponent")
            elif site.wanted is None and site.above and site.above[-1] in ("call", "sum", "power", "compare"):
                for two in (c.number(2), c.number(Fraction(1, 2))):
                    self.attempt(site, scaled(site.tree, two, 1), "scale", detail=two, scalar=True)
                for tree, sizes in self.lexicon.scalars[:60]:
                    if tree.op != "number" and tree not in (site.tree,):
                        self.attempt(site, scaled(site.tree, tree, 1), "scale", detail=tree, scalar=True, sizes=sizes)

    # ---- edits: matrices -------------------------------------------------------------------------

    def transposes(self) -> None:
        """One transpose more or less, at a place or at all uses of a name; two at once."""
        many: list[Site] = []
        for site in self.sites:
            value = self.value(site.tree)
            broken = value is None
            if site.tree.op in ("number", "call") and broken:
                continue
            if not broken and value is not None and len(value.shape) != 2:
                continue
            parent = site.above[-1] if site.above else ""
            if parent in ("transpose", "entry") or site.tree.op in ("number", "letter"):
                continue
            if self.attempt(site, flipped(site.tree), "transpose"):
                continue
            if parent == "chain":
                many.append(site)
        for a, b in itertools.combinations(many[:8], 2):
            if a.path[: len(b.path)] == b.path or b.path[: len(a.path)] == a.path:
                continue
            both = at_place(at_place(self.link, a.path, c.alias(a.tree, "\0")), b.path, c.alias(b.tree, "\0"))
            self.accept(turned(both), a, flipped(a.tree), "transposes")
        for name in sorted(self.link.names):
            whole = everywhere(self.link, c.name(name), c.transpose(c.name(name)))
            if whole is not self.link:
                self.accept(whole, self._first(c.name(name)), whole, "transpose-all")

    def orders(self) -> None:
        """The factors of a matrix product in another order, with all transposes."""
        self._turned_round()
        for site in self.sites:
            t = site.tree
            if t.op == "chain" and len(t.args) <= 4:
                self._permute(site, t)
            if t.op == "call" and t.data[0] in ("outer", "dot", "inner") and len(t.args) == 2:
                self.attempt(site, t.with_args(t.args[::-1]), "order")
                self.attempt(site, c.chain(t.args[::-1]), "order")
            if t.op == "product":
                self._regroup(site, t)

    def _turned_round(self) -> None:
        """All products of two matrices turned round, as they stand or with a transpose moved."""
        for site in self.sites:
            if site.tree.op == "sum" and sum(a.op == "chain" and len(a.args) == 2 for a in site.tree.args) > 1:
                args = [
                    a.with_args(a.args[::-1]) if a.op == "chain" and len(a.args) == 2 else a for a in site.tree.args
                ]
                self.attempt(site, site.tree.with_args(args), "order")

    def _permute(self, site: Site, t: Tree) -> None:
        n = len(t.args)
        for order in itertools.permutations(range(n)):
            factors = [t.args[k] for k in order]
            toggles = itertools.product((False, True), repeat=n) if n <= 3 else ((False,) * n, (True,) * n)
            for toggle in toggles:
                if self.late:
                    return
                new = c.chain([flipped(f) if x else f for f, x in zip(factors, toggle, strict=True)], t.data)
                same_order = order == tuple(range(n))
                self.attempt(site, new, "transpose" if same_order and sum(toggle) == 1 else "order")

    def _regroup(self, site: Site, t: Tree) -> None:
        """A factor on the wrong side of a matrix: W.T @ (f * d) for f * (W.T @ d) and the reverse."""
        for k, part in enumerate(t.args):
            if part.op != "chain":
                continue
            rest = [i for i in range(len(t.args)) if i != k]
            other = joined_product([t.args[i] for i in rest], [t.data[0][i] for i in rest])
            for m in range(len(part.args)):
                inner = list(part.args)
                inner[m] = c.product((inner[m], other))
                self.attempt(site, c.chain(inner), "regroup")
            for m in range(len(rest)):
                one = t.args[rest[m]]
                if t.data[0][rest[m]] < 0:
                    continue
                left = [t.args[i] for i in rest if i != rest[m]]
                powers = [t.data[0][i] for i in rest if i != rest[m]]
                for where in range(len(part.args)):
                    inner = list(part.args)
                    inner[where] = c.product((inner[where], one))
                    self.attempt(site, joined_product([c.chain(inner), *left], [1, *powers]), "regroup")

    def products(self) -> None:
        """Elementwise where a matrix product is due, and the reverse."""
        for site in self.sites:
            t = site.tree
            if t.op == "chain":
                self.attempt(site, c.product(t.args), "hadamard")
                for k in range(1, len(t.args)):
                    left, right = joined_chain(t.args[:k]), joined_chain(t.args[k:])
                    for a, b in itertools.product((left, flipped(left)), (right, flipped(right))):
                        self.attempt(site, c.product((a, b)), "hadamard")
                    self.attempt(site, c.call("outer", (untransposed(left), untransposed(right))), "hadamard")
                    self.attempt(site, c.call("outer", (untransposed(right), untransposed(left))), "order")
            elif t.op == "product":
                self._matrix(site, t)
            elif t.op == "power" and t.args[1].op == "number" and t.args[1].data[0] in (2, 3):
                self.attempt(site, c.chain([t.args[0]] * int(t.args[1].data[0])), "hadamard")
            elif t.op == "call" and t.data[0] in ("outer", "dot"):
                self.attempt(site, c.product(t.args), "hadamard")
                if t.data[0] == "dot":
                    self.attempt(site, c.call("outer", t.args), "hadamard")
                else:
                    self.attempt(site, c.chain(t.args), "hadamard")

    def _matrix(self, site: Site, t: Tree) -> None:
        n, powers = len(t.args), t.data[0]
        for k in range(1, n):
            if powers[k] > 0:
                left = joined_product(t.args[:k], powers[:k])
                right = joined_product(t.args[k:], powers[k:])
                for a, b in itertools.product((left, flipped(left)), (right, flipped(right))):
                    self.attempt(site, c.chain((a, b)), "hadamard")
                    self.attempt(site, c.chain((b, a)), "hadamard")
                self.attempt(site, c.call("outer", (left, right)), "hadamard")
                self.attempt(site, c.call("outer", (right, left)), "hadamard")
        for k, m in itertools.permutations(range(n), 2):
            if n <= 2 or powers[k] < 0 or powers[m] < 0:
                continue
            rest = [i for i in range(n) if i not in (k, m)]
            others, signs = [t.args[i] for i in rest], [powers[i] for i in rest]
            pairs = [c.chain((t.args[k], t.args[m])), c.chain((flipped(t.args[k]), t.args[m]))]
            pairs += [c.chain((t.args[k], flipped(t.args[m]))), c.call("outer", (t.args[k], t.args[m]))]
            for pair in pairs:
                self.attempt(site, joined_product([*others, pair], [*signs, 1]), "hadamard")
        for k in range(n):
            if powers[k] < 0:
                rest = [i for i in range(n) if i != k]
                inverse = c.call("inv", (t.args[k],))
                left = joined_product([t.args[i] for i in rest], [powers[i] for i in rest])
                if left.op == "number":
                    for one in (inverse, c.transpose(inverse)):
                        self.attempt(site, scaled(one, left, 1), "hadamard")
                    continue
                self.attempt(site, c.chain((inverse, left)), "hadamard")
                self.attempt(site, c.chain((left, inverse)), "hadamard")

    # ---- edits: reductions -----------------------------------------------------------------------

    def reductions(self) -> None:
        """A sum or mean put around a part, taken away, or over another axis."""
        for site in self.sites:
            t = site.tree
            value = self.value(t)
            axes = len(value.shape) if value is not None else 2
            parent = site.above[-1] if site.above else ""
            if t.op == "call" and t.data[0] in ("sum", "mean", "max", "min", "softmax", "var", "norm", "logsumexp"):
                self._other_axis(site, t)
            if value is not None and axes and t.op != "number" and parent != "transpose":
                for kind in ("sum", "mean"):
                    for axis in (None, *range(axes)):
                        for keep in (False, True):
                            options = ({} if axis is None else {"axis": axis}) | ({"keepdims": True} if keep else {})
                            new = c.call(kind, (t,), **options)
                            self.attempt(site, new, "reduce" if kind == "sum" else "reduce-mean")
                if axes == 2 and value.shape[0] == value.shape[1]:
                    self.attempt(site, c.call("trace", (t,)), "reduce")
                if axes == 1 and value.letters == ():
                    self.attempt(site, c.item(t, (("slice", None, None, None), None)), "shape")
                    self.attempt(site, c.item(t, (None, ("slice", None, None, None))), "shape")
                if axes == 2 and 1 in value.shape:
                    self.attempt(site, c.call("ravel", (t,)), "shape")
            if value is not None and t.op != "number":
                for x in value.letters:
                    self.attempt(site, c.over("sum", (x,), t), "reduce")
            if t.op == "over":
                self.attempt(site, t.args[0], "unreduce")
                kind, letters = t.data
                self.attempt(site, Tree("over", t.args, ("mean" if kind == "sum" else "sum", letters)), "mean")
        self._all_axes()

    def _other_axis(self, site: Site, t: Tree) -> None:
        function, options = t.data
        words = dict(options)
        inner = self.value(t.args[0])
        axes = len(inner.shape) if inner is not None else 2
        if function in ("sum", "mean"):
            self.attempt(site, t.args[0], "unreduce")
            other = "mean" if function == "sum" else "sum"
            self.attempt(site, Tree("call", t.args, (other, options)), "mean")
        several = [x for n in range(2, axes + 1) for x in itertools.combinations(range(axes), n)] if axes > 2 else []
        for axis in (None, *range(axes), *several):
            for keep in (False, True):
                new = {k: v for k, v in words.items() if k not in ("axis", "keepdims")}
                if axis is not None:
                    new["axis"] = axis
                if keep:
                    new["keepdims"] = True
                same_axis = axis == words.get("axis")
                self.attempt(site, c.call(function, t.args, **new), "keepdims" if same_axis else "axis")
                if function in ("sum", "mean"):
                    other = "mean" if function == "sum" else "sum"
                    self.attempt(site, c.call(other, t.args, **new), "axis")

    def _all_axes(self) -> None:
        """Another axis in all reductions over the same axis."""
        used = {dict(s.tree.data[1])["axis"] for s in self.sites if has_axis(s.tree)}
        first = next((s for s in self.sites if has_axis(s.tree)), None)
        if first is None or sum(has_axis(s.tree) for s in self.sites) < 2:
            return
        value = self.value(first.tree.args[0])
        axes = len(value.shape) if value is not None else 2
        others: list[Any] = list(range(axes))
        others += [x for n in range(2, axes + 1) for x in itertools.combinations(range(axes), n)] if axes > 2 else []
        for old, new in itertools.product(used, others):
            if old != new:
                whole = other_axes(self.link, old, new)
                self.accept(whole, first, whole, "axis")

    # ---- edits: names and functions --------------------------------------------------------------

    def names(self) -> None:
        """Another name in its place, everywhere, or two names exchanged."""
        pool = [(t, v) for t, v in self._leaves() if t.op in ("name", "gradient")]
        used = {t for t in self.link.walk() if t.op in ("name", "gradient")}
        for site in self.sites:
            if site.tree.op not in ("name", "gradient") or self.late:
                continue
            own = self.value(site.tree)
            if own is None:
                continue
            chained = bool(site.above) and site.above[-1] in ("chain", "transpose", "call", "item", "entry")
            for tree, value in pool:
                if value.shape == own.shape or chained or not self.shape_fits:
                    self.attempt(site, tree, "name")
        for old in used:
            own = self.value(old)
            if own is None or sum(t is old for t in self.link.walk()) < 2:
                continue
            for tree, value in pool:
                if value.shape == own.shape and tree is not old:
                    whole = everywhere(self.link, old, tree)
                    self.accept(whole, self._first(old), tree, "name")
        for site in self.sites:  # t'*t for y'*y
            if site.path and site.tree.op in ("chain", "product") and site.tree.weight < 12 and not self.late:
                inside = [t for t in site.tree.walk() if t.op == "name"]
                for old in {t for t in inside if inside.count(t) > 1}:
                    own = self.value(old)
                    for tree, value in pool:
                        if own is not None and value.shape == own.shape:
                            self.attempt(site, everywhere(site.tree, old, tree), "name")
        for a, b in itertools.combinations(sorted(used, key=repr), 2):
            self.accept(exchanged(self.link, a, b), self._first(a), b, "names")
        self._shifted(used)
        self._jacobians()

    def _jacobians(self) -> None:
        """∂y3/∂y2 for ∂y3/∂y1: the derivative of, or by, another node."""
        nodes = list(self.lexicon.graph.nodes)
        for site in self.sites:
            if site.tree.op == "jacobian" and not self.late and len(nodes) < 30:
                of, wrt, _ = site.tree.data
                below = self.lexicon.below
                for new in [(x, wrt) for x in nodes if x in below(wrt)] + [(of, x) for x in nodes if of in below(x)]:
                    if new != (of, wrt):
                        self.attempt(site, c.jacobian(*new), "name")

    def _leaves(self) -> list[tuple[Tree, Value]]:
        """Names and gradients as arrays."""
        found = []
        for tree in self.lexicon.parts(self.about):
            value = self.value(tree) if tree.op in ("name", "gradient") else None
            if value is not None:
                found.append((tree, value))
        return found

    def _first(self, tree: Tree) -> Site:
        return next((s for s in self.sites if s.tree is tree), self.sites[0])

    def _shifted(self, used: set[Tree]) -> None:
        """All names of one family (h1, h2, h3), or of all families, by one number up or down."""
        nodes = self.lexicon.graph.nodes
        families: dict[str, list[tuple[Tree, int]]] = {}
        for t in sorted(used, key=repr):
            m = re.fullmatch(r"(.*?)(\d+)", t.data[0])
            if m:
                families.setdefault(t.op + m[1], []).append((t, int(m[2])))
        groups = [*families.values(), [x for members in families.values() for x in members]]
        for members, step in itertools.product(groups, (1, -1)):
            whole = self.link
            first: Tree | None = None
            for t, n in members:
                other = f"{str(t.data[0])[: -len(str(n))]}{n + step}"
                if other in nodes:
                    first = first or t
                    adjoint = self.lexicon.graph.adjoint_name(other)
                    whole = marked(whole, t, c.name(other) if t.op == "name" else c.gradient(other, adjoint))
            if first is not None:
                self.accept(unmarked(whole), self._first(first), unmarked(whole), "names")

    def functions(self) -> None:
        """f(x) for x, x for f(x), f for g; x > 0, x², 1/x, √x, |x|, 1 − x for x."""
        known = [s.function for s in self.lexicon.slopes]
        fns = [f for f in dict.fromkeys([*known, "exp", "log", "sigmoid", "tanh", "sign", "abs"]) if f in UNARY]
        for site in self.sites:
            t = site.tree
            if self.late:
                return
            if t.op == "call" and t.data[0] in UNARY:
                self.attempt(site, t.args[0], "function")
                for f in fns:
                    self.attempt(site, c.call(f, t.args), "function")
            if t.op in ("name", "gradient", "sum", "chain", "entry", "call"):
                zero = c.number(0, "0")
                options = [c.power(t, c.number(2)), c.compare(">", t, zero), c.compare("<", t, zero)]
                options += [c.product((ONE, t), (1, -1)), c.sum_((ONE, t), (1, -1)), c.call("sqrt", (t,))]
                options += [c.call(f, (t,)) for f in fns]
                for new in options:
                    self.attempt(site, new, "function")
            if t.op == "power":
                self.attempt(site, t.args[0], "function")
                self.attempt(site, c.product((t.args[1], t.args[0])), "function")
            if t.op == "product" and len(t.args) >= 2:
                for k in range(len(t.args)):
                    if t.args[k].op == "number" and t.args[k].data[0] in (2, 3):
                        for m in range(len(t.args)):
                            if m != k:
                                rest = list(t.args)
                                rest[m] = c.power(t.args[m], t.args[k])
                                self.attempt(site, without(c.product(rest, t.data[0]), (k,)), "function")
            if t.op == "compare":
                for other in (">", "<"):
                    for s in self.lexicon.slopes:
                        if s.tree.op == "compare":
                            self.attempt(site, s.tree, "replace")
                        self.attempt(site, c.compare(other, s.argument, c.number(0, "0")), "replace")
            if t.op == "call" and t.data[0] == "where" and len(t.args) == 3:
                self.attempt(site, t.with_args((t.args[0], t.args[2], t.args[1])), "replace")

    # ---- edits: parts taken out ------------------------------------------------------------------

    def deletions(self) -> None:
        """A summand, a factor or two factors less."""
        for site in self.sites:
            t = site.tree
            n = len(t.args)
            if t.op == "sum" and n > 1:
                for k in range(n):
                    rest = [i for i in range(n) if i != k]
                    new = joined_sum([t.args[i] for i in rest], [t.data[i] for i in rest])
                    self.attempt(site, new, "delete-term", detail=t.args[k])
            elif t.op in ("product", "chain") and n > 1:
                for k in range(n):
                    self.attempt(site, without(t, (k,)), "delete-factor", detail=t.args[k])
                for k, m in itertools.combinations(range(n), 2):
                    if n > 2:
                        gone = [t.args[k], t.args[m]]
                        detail = c.product(gone)
                        self.attempt(site, without(t, (k, m)), "delete-factor", detail=detail)
                if t.op == "product" and 3 < n < 9:
                    for gone3 in itertools.combinations(range(n), 3):
                        detail = c.product([t.args[k] for k in gone3], [t.data[0][k] for k in gone3])
                        self.attempt(site, without(t, gone3), "delete-factor", detail=detail)
            elif t.op == "call" and t.data[0] in ("outer", "dot") and n == 2:
                for k in range(2):
                    self.attempt(site, t.args[1 - k], "delete-factor", detail=t.args[k])

    def term_pairs(self) -> None:
        """Two summands less: two paths."""
        for site in self.sites:
            t = site.tree
            if t.op == "sum" and 2 < len(t.args) < 8:
                for gone in itertools.combinations(range(len(t.args)), 2):
                    rest = [i for i in range(len(t.args)) if i not in gone]
                    new = joined_sum([t.args[i] for i in rest], [t.data[i] for i in rest])
                    detail = c.sum_([t.args[i] for i in gone], [t.data[i] for i in gone])
                    self.attempt(site, new, "delete-term", detail=detail)

    def means(self) -> None:
        """A sum for a mean, and the reverse."""
        for site in self.sites:
            t = site.tree
            if t.op == "call" and t.data[0] in ("sum", "mean"):
                other = "mean" if t.data[0] == "sum" else "sum"
                self.attempt(site, Tree("call", t.args, (other, t.data[1])), "mean")

    def brackets(self) -> None:
        """A factor on one summand that belongs to all, or the reverse; a sum that is a product."""
        for site in self.sites:
            t = site.tree
            if t.op == "sum" and 1 < len(t.args) <= 4:
                self.attempt(site, c.product(t.args), "bracket")
                for k, part in enumerate(t.args):
                    if part.op == "product":
                        for m in range(len(part.args)):
                            inner = list(t.args)
                            inner[k] = without(part, (m,))
                            whole = c.product((c.sum_(inner, t.data), part.args[m]), (1, part.data[0][m]))
                            self.attempt(site, whole, "bracket", detail=part.args[m])
            elif t.op == "product":
                for k, part in enumerate(t.args):
                    if part.op != "sum" or t.data[0][k] < 0 or len(part.args) < 2:
                        continue
                    rest = [i for i in range(len(t.args)) if i != k]
                    for m in range(len(part.args)):
                        inner = list(part.args)
                        inner[m] = joined_product(
                            [inner[m], *(t.args[i] for i in rest)], [1, *(t.data[0][i] for i in rest)]
                        )
                        self.attempt(site, c.sum_(inner, part.data), "bracket")
                if len(t.args) == 2:
                    self.attempt(site, c.sum_(t.args), "bracket")

    def symmetric(self) -> None:
        """A for A + Aᵀ, and the like: the other half of a symmetric form."""
        for site in self.sites:
            value = self.value(site.tree)
            if value is None or len(value.shape) != 2 or (site.above and site.above[-1] == "transpose"):
                continue
            both = c.sum_((site.tree, flipped(site.tree)))
            self.attempt(site, both, "symmetric")
            self.attempt(site, c.product((both, c.number(2)), (1, -1)), "symmetric")

    def _letters_exchanged(self) -> None:
        """Two free indices exchanged throughout: the left side has them the other way round."""
        free = self.lefts[0].letters
        for a, b in itertools.combinations(sorted(set(free)), 2):
            self.accept(
                relettered(self.link, {a: b, b: a}), self.sites[0], relettered(self.link, {a: b, b: a}), "index"
            )

    def indices(self) -> None:
        """Two indices of an entry exchanged; another letter for one of them."""
        used = {x for t in self.link.walk() if t.op == "entry" for x in t.data if isinstance(x, str) and x.isalpha()}
        letters = sorted(used | set(self.lefts[0].letters))
        for site in self.sites:
            t = site.tree
            if t.op == "alias" and t.args[0].op == "entry" and t.args[0].args[0].op == "jacobian":
                t = Tree("entry", (c.jacobian(*t.args[0].args[0].data[:2]),), t.args[0].data)  # ∂y_n/∂w_n
            for k, old in enumerate(t.data if t.op == "entry" and len(letters) < 8 else ()):
                for new in letters if old in letters else ():
                    self.attempt(site, Tree("entry", t.args, (*t.data[:k], new, *t.data[k + 1 :])), "letter")
            if t.op == "entry" and len(t.data) > 1:
                for a, b in itertools.combinations(range(len(t.data)), 2):
                    data = list(t.data)
                    data[a], data[b] = data[b], data[a]
                    self.attempt(site, Tree("entry", t.args, tuple(data)), "index")

    def letters(self) -> None:
        """einsum: two letters exchanged; two free indices exchanged throughout."""
        self._letters_exchanged()
        for site in self.sites:
            t = site.tree
            if t.op == "call" and t.data[0] == "einsum":
                text = dict(t.data[1])["letters"]
                used = sorted({x for x in text if x.isalpha()})
                for a, b in itertools.combinations(used, 2):
                    new = text.translate(str.maketrans({a: b, b: a}))
                    inputs, _, out = text.partition("->")
                    self.attempt(site, c.call("einsum", t.args, letters=new), "index")
                    swapped = inputs + "->" + out.translate(str.maketrans({a: b, b: a}))
                    self.attempt(site, c.call("einsum", t.args, letters=swapped), "index")
                parts, _, out = text.partition("->")
                operands = parts.split(",")
                for k, p in enumerate(operands):
                    for q in set(map("".join, itertools.permutations(p))) if len(p) <= 4 else ():
                        changed = ",".join([*operands[:k], q, *operands[k + 1 :]]) + "->" + out
                        self.attempt(site, c.call("einsum", t.args, letters=changed), "index")
            if t.op == "call" and t.data[0] == "transpose" and len(t.args) == 2:
                for order in itertools.permutations(range(len(t.args[1].args))):
                    axes = c.call("tuple", [c.number(i) for i in order])
                    self.attempt(site, c.call("transpose", (t.args[0], axes)), "transpose")
            if t.op == "call" and t.data[0] in ("conv1d", "conv2d") and len(t.args) >= 2:
                self._convolution(site, t)
            if t.op == "call" and t.data[0] == "flip":
                self.attempt(site, t.args[0], "index")

    def _convolution(self, site: Site, t: Tree) -> None:
        w = t.args[1]
        self.attempt(site, t.with_args((t.args[0], c.call("flip", (w,)), *t.args[2:])), "index")
        self.attempt(site, t.with_args((w, t.args[0], *t.args[2:])), "order")
        value = self.value(w)
        for order in itertools.permutations(range(len(value.shape) if value is not None else 0)):
            turned = c.call("transpose", (w, c.call("tuple", [c.number(i) for i in order])))
            self.attempt(site, t.with_args((t.args[0], turned, *t.args[2:])), "transpose")
