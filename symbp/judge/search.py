"""The smallest edit of a formula that gives it another value.

A formula is edited at one place (or at all places of one name). Where the way from the root to the
place can be inverted (sums, elementwise products, transposes), the value that the place ought to
have is known: it is looked up among the values of all parts of the right formulas, instead of
trying them one by one. Elsewhere (inside matrix products, functions and reductions) edits are tried.
What fits at the first batch of points must fit at all of them, whole, with its shape.

Every edit that fits is a `Repair`; naming and weighing them is `diagnose.py`'s.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.equal import OTHER, fitted, same
from symbp.judge.functions import Array
from symbp.judge.lexicon import Lexicon
from symbp.judge.value import ShapeError, Value

CLOSE = 1e-6  # at the first batch; what divides loses digits
ONE = c.number(1, "1")


@dataclass(frozen=True)
class Repair:
    """An edit that fits: `old` at the place `path` became `new`, which makes the formula `tree`."""

    tree: Tree
    old: Tree
    new: Tree
    kind: str
    path: tuple[int, ...] = ()
    detail: Tree | None = None  # what was put in or taken out
    scalar: bool = False  # `detail` is made of numbers, sizes and coefficients …
    sizes: bool = False  # … of sizes only


@dataclass(frozen=True)
class Site:
    """A part of the formula. `wanted` is the value that would make the whole right, if known;
    `anchor` the nearest part above for which it is."""

    tree: Tree
    path: tuple[int, ...]
    wanted: Value | None
    anchor: int  # length of the path to the anchor
    above: tuple[str, ...]  # operations on the way, from the root


class Search:
    """Edits of `link` that give it the values `truth`, laid out as `left` is."""

    def __init__(
        self,
        lexicon: Lexicon,
        link: Tree,
        truth: Sequence[Array],
        lefts: Sequence[Value],
        about: str,
        paper: bool,
        until: float,
    ) -> None:
        self.lexicon, self.link, self.truth, self.lefts = lexicon, link, truth, lefts
        self.about, self.paper, self.until = about, paper, until
        self.batches = lexicon.points.batches
        self.batch = self.batches[0]
        self.found: dict[tuple[Tree, str], Repair] = {}
        self.tried: set[tuple[Tree, tuple[int, ...]]] = set()
        self.sites = list(self._sites())
        self.shape_fits = self._fits(link)
        self._pool: list[tuple[Tree, Value]] | None = None
        self._stacked: dict[tuple[int, ...], tuple[list[Tree], Array]] = {}

    # ---- values ----------------------------------------------------------------------------------

    def value(self, tree: Tree) -> Value | None:
        """At the first batch, or None."""
        try:
            return self.batch.value(tree)
        except ShapeError:
            return None

    def values(self, tree: Tree) -> list[Array] | None:
        """At all batches, laid out as the left side; None where it does not fit."""
        try:
            return [fitted(b.value(tree), t, self.paper) for b, t in zip(self.batches, self.lefts, strict=True)]
        except ShapeError:
            return None

    def _fits(self, tree: Tree) -> bool:
        return self.values(tree) is not None

    def holds(self, tree: Tree) -> bool:
        """Is this whole formula right?"""
        try:
            first = fitted(self.batch.value(tree), self.lefts[0], self.paper)
        except ShapeError:
            return False
        if not same([first], self.truth[:1], OTHER):
            return False
        values = self.values(tree)
        return values is not None and same(values, self.truth, OTHER)

    @property
    def late(self) -> bool:
        return time.monotonic() > self.until

    # ---- places ----------------------------------------------------------------------------------

    def _sites(self) -> Iterator[Site]:
        root = Value(self.truth[0], self.lefts[0].letters)
        stack = [Site(self.link, (), root, 0, ())]
        while stack:
            site = stack.pop()
            yield site
            if site.tree.op == "alias":
                continue
            for k, child in enumerate(site.tree.args):
                wanted = None if site.wanted is None else self._wanted(site.tree, k, site.wanted)
                path = (*site.path, k)
                anchor = len(path) if wanted is not None else site.anchor
                stack.append(Site(child, path, wanted, anchor, (*site.above, site.tree.op)))

    def _wanted(self, parent: Tree, k: int, whole: Value) -> Value | None:
        """What the k-th part must be for the parent to be `whole`; nan where anything will do."""
        if parent.op == "transpose":
            start = 1 + len(whole.letters)
            axes = (*range(start), *range(whole.array.ndim - 1, start - 1, -1))
            return Value(whole.array.transpose(axes), whole.letters)
        if parent.op not in ("sum", "product"):
            return None
        others = [(i, self.value(a)) for i, a in enumerate(parent.args) if i != k]
        if any(v is None for _, v in others):
            return None
        known = [(i, v) for i, v in others if v is not None]
        try:
            arrays, letters = self.batch.aligned([whole, *(v for _, v in known)])
        except (ShapeError, ValueError):
            return None
        if set(letters) != set(whole.letters):
            return None
        rest = arrays[0]
        with np.errstate(all="ignore"):
            try:
                if parent.op == "sum":
                    for (i, _), a in zip(known, arrays[1:], strict=True):
                        rest = rest - parent.data[i] * a
                    rest = rest * parent.data[k]
                else:
                    powers = parent.data[0]
                    for (i, _), a in zip(known, arrays[1:], strict=True):
                        divisor = a if powers[i] > 0 else 1.0 / a
                        small = np.abs(rest) <= 1e-12 * np.nanmax(np.abs(whole.array), initial=1e-300)
                        impossible = (divisor == 0) & ~small & np.isfinite(rest)
                        if impossible.any():
                            return None
                        rest = np.where(divisor == 0, np.nan, rest / np.where(divisor == 0, 1.0, divisor))
                    if powers[k] < 0:
                        rest = 1.0 / rest
                        rest = np.where(np.isfinite(rest), rest, np.nan)
            except ValueError:
                return None
        if rest.shape[1 + len(letters) :] != whole.shape or not np.isfinite(rest).any():
            return None
        return Value(rest, letters)

    def replaced(self, path: tuple[int, ...], new: Tree, start: Tree | None = None) -> Tree:
        """The formula with another part at this place."""
        tree = self.link if start is None else start
        if not path:
            return new
        chain = [tree]
        for k in path[:-1]:
            chain.append(chain[-1].args[k])
        for parent, k in zip(reversed(chain), reversed(path), strict=True):
            args = list(parent.args)
            args[k] = new
            new = _rebuilt(parent, args)
        return new

    # ---- trying ----------------------------------------------------------------------------------

    def attempt(self, site: Site, new: Tree | None, kind: str, **detail: Any) -> bool:
        """Try one edit; True if it makes the formula right."""
        if new is None or new is site.tree or (new, site.path) in self.tried:
            return False
        self.tried.add((new, site.path))
        if site.wanted is not None:
            value = self.value(new)
            if value is None or not self._close(value, site.wanted):
                return False
        else:
            cut = site.anchor
            part = self._at(site.path[:cut])
            above = self._site(site.path[:cut])
            value = self.value(self.replaced(site.path[cut:], new, part))
            if value is None or above.wanted is None or not self._close(value, above.wanted):
                return False
        return self.accept(self.replaced(site.path, new), site, new, kind, **detail)

    def accept(self, tree: Tree, site: Site, new: Tree, kind: str, **detail: Any) -> bool:
        """Keep the edit if the whole formula holds everywhere."""
        if not self.holds(tree):
            return False
        tree = tidy(tree)
        self.found.setdefault((tree, kind), Repair(tree, site.tree, new, kind, site.path, **detail))
        return True

    def _at(self, path: tuple[int, ...]) -> Tree:
        tree = self.link
        for k in path:
            tree = tree.args[k]
        return tree

    def _site(self, path: tuple[int, ...]) -> Site:
        if not hasattr(self, "_by_path"):
            self._by_path = {s.path: s for s in self.sites}
        return self._by_path[path]

    def _close(self, value: Value, wanted: Value) -> bool:
        if self.paper and not set(value.letters) <= set(wanted.letters):
            return False
        w = wanted.array
        a = value.array
        if value.letters == wanted.letters and a.shape[1:] == w.shape[1:]:
            pass
        else:
            try:
                (a, w), _ = self.batch.aligned([value, wanted])
                np.broadcast_shapes(a.shape, w.shape)
            except (ShapeError, ValueError):
                return False
            if not self.paper and a.ndim > w.ndim:
                return False
        known = np.isfinite(w)
        scale = np.abs(np.where(known, w, 0.0)).max(initial=0.0)
        with np.errstate(all="ignore"):
            try:
                d = np.abs(a - w)
            except ValueError:
                return False
        if d.shape != np.broadcast_shapes(w.shape, d.shape):
            return False
        d = np.where(known, d, 0.0)
        return bool((d <= CLOSE * max(scale, 1e-9)).all())

    # ---- edits: ratios, signs, numbers -----------------------------------------------------------

    def ratios(self) -> None:
        """A part that is off by a number, a size, a coefficient or a sign."""
        for site in self.sites:
            if site.wanted is None or (site.above and site.above[-1] == "product"):
                continue
            value = self.value(site.tree)
            if value is None:
                continue
            ratio = _ratio(value, site.wanted)
            if ratio is None:
                continue
            for tree, sizes in self._scalars_like(ratio):
                for sign in (1, -1):
                    new = scaled(site.tree, tree, sign)
                    if self._scalar_value(tree, sign, ratio):
                        one = tree.op == "number" and tree.data[0] == 1
                        kind = "sign" if one else "scale" if sign > 0 else "scale-sign"
                        self.attempt(site, new, kind, detail=tree, scalar=True, sizes=sizes)

    def _scalars_like(self, ratio: Array) -> Iterator[tuple[Tree, bool]]:
        yield ONE, False
        seen = 0
        for (tree, sizes), values in zip(self.lexicon.scalars, self.lexicon._scalar_values, strict=True):
            if np.allclose(np.abs(ratio), np.abs(values[0]), rtol=1e-6):
                yield tree, sizes
                seen += 1
        first = float(ratio.ravel()[0])
        nice = Fraction(first).limit_denominator(64)
        if not seen and nice and np.allclose(ratio, float(nice), rtol=1e-8):
            yield c.number(abs(nice)), False

    def _scalar_value(self, tree: Tree, sign: int, ratio: Array) -> bool:
        value = self.value(tree)
        return value is not None and bool(np.allclose(sign * np.ravel(value.array), ratio, rtol=1e-6))

    def signs(self) -> None:
        """Signs of summands, alone and in pairs, and of arguments; comparisons reversed."""
        for site in self.sites:
            t = site.tree
            if t.op == "sum":
                n = len(t.args)
                for k in range(n if n > 1 else 0):
                    self.attempt(site, _flipped(t, (k,)), "sign")
                for k, m in itertools.combinations(range(min(n, 6)), 2):
                    if n > 2:
                        self.attempt(site, _flipped(t, (k, m)), "signs")
            if site.wanted is None or (site.above and site.above[-1] == "call"):
                self.attempt(site, c.negative(t), "sign")
            if t.op == "compare" and t.data in _REVERSED:
                self.attempt(site, c.compare(_REVERSED[t.data], *t.args), "comparison")

    def numbers(self) -> None:
        """Another number in its place."""
        for site in self.sites:
            if site.tree.op == "number":
                n = Fraction(site.tree.data[0])
                for m in dict.fromkeys(
                    x for x in [2 * n, n / 2, n + 1, n - 1, -n, n * n, 1 / n if n else n, Fraction(1), 3 * n] if x
                ):
                    self.attempt(site, c.number(m), "number")
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
            if parent == "transpose" or site.tree.op in ("number", "letter"):
                continue
            if self.attempt(site, flipped(site.tree), "transpose"):
                continue
            if parent == "chain":
                many.append(site)
        for a, b in itertools.combinations(many[:8], 2):
            if a.path[: len(b.path)] == b.path or b.path[: len(a.path)] == a.path:
                continue
            marked = self.replaced(a.path, c.alias(a.tree, "\0"))  # keeps its place while the other is edited
            whole = self.replaced(b.path, flipped(b.tree), marked)
            self.accept(_turned(whole), a, flipped(a.tree), "transposes")
        for name in sorted(self.link.names):
            whole = _everywhere(self.link, c.name(name), c.transpose(c.name(name)))
            if whole is not self.link:
                self.accept(whole, self._first(c.name(name)), whole, "transpose-all")

    def orders(self) -> None:
        """The factors of a matrix product in another order, with all transposes."""
        for site in self.sites:
            t = site.tree
            if t.op == "chain" and len(t.args) <= 4:
                self._permute(site, t)
            if t.op == "call" and t.data[0] in ("outer", "dot", "inner") and len(t.args) == 2:
                self.attempt(site, t.with_args(t.args[::-1]), "order")
                self.attempt(site, c.chain(t.args[::-1]), "order")
            if t.op == "product":
                self._regroup(site, t)

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
            other = _product([t.args[i] for i in rest], [t.data[0][i] for i in rest])
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
                    self.attempt(site, _product([c.chain(inner), *left], [1, *powers]), "regroup")

    def products(self) -> None:
        """Elementwise where a matrix product is due, and the reverse."""
        for site in self.sites:
            t = site.tree
            if t.op == "chain":
                self.attempt(site, c.product(t.args), "hadamard")
                for k in range(1, len(t.args)):
                    left, right = _chain(t.args[:k]), _chain(t.args[k:])
                    for a, b in itertools.product((left, flipped(left)), (right, flipped(right))):
                        self.attempt(site, c.product((a, b)), "hadamard")
                    self.attempt(site, c.call("outer", (_bare(left), _bare(right))), "hadamard")
                    self.attempt(site, c.call("outer", (_bare(right), _bare(left))), "order")
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
                left = _product(t.args[:k], powers[:k])
                right = _product(t.args[k:], powers[k:])
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
                self.attempt(site, _product([*others, pair], [*signs, 1]), "hadamard")
        for k in range(n):
            if powers[k] < 0:
                rest = [i for i in range(n) if i != k]
                inverse = c.call("inv", (t.args[k],))
                left = _product([t.args[i] for i in rest], [powers[i] for i in rest])
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
                if axes == 1 and value.letters == ():
                    self.attempt(site, c.item(t, (("slice", None, None, None), None)), "shape")
                    self.attempt(site, c.item(t, (None, ("slice", None, None, None))), "shape")
                if axes == 2 and 1 in value.shape:
                    self.attempt(site, c.call("ravel", (t,)), "shape")
                if value.letters:
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
        used = {dict(s.tree.data[1])["axis"] for s in self.sites if _has_axis(s.tree)}
        first = next((s for s in self.sites if _has_axis(s.tree)), None)
        if first is None or sum(_has_axis(s.tree) for s in self.sites) < 2:
            return
        value = self.value(first.tree.args[0])
        axes = len(value.shape) if value is not None else 2
        others: list[Any] = list(range(axes))
        others += [x for n in range(2, axes + 1) for x in itertools.combinations(range(axes), n)] if axes > 2 else []
        for old, new in itertools.product(used, others):
            if old != new:
                whole = _other_axes(self.link, old, new)
                self.accept(whole, first, whole, "axis")

    # ---- edits: names and functions --------------------------------------------------------------

    def names(self) -> None:
        """Another name in its place, everywhere, or two names exchanged."""
        pool = [(t, v) for t, v in self.pool() if t.op in ("name", "gradient")]
        used = {t for t in self.link.walk() if t.op in ("name", "gradient")}
        for site in self.sites:
            if site.tree.op not in ("name", "gradient") or self.late:
                continue
            own = self.value(site.tree)
            if own is None:
                continue
            chained = bool(site.above) and site.above[-1] in ("chain", "transpose", "call", "item", "entry")
            for tree, value in pool:
                if value.shape == own.shape or chained:
                    self.attempt(site, tree, "name")
        for old in used:
            own = self.value(old)
            if own is None or sum(t is old for t in self.link.walk()) < 2:
                continue
            for tree, value in pool:
                if value.shape == own.shape and tree is not old:
                    whole = _everywhere(self.link, old, tree)
                    self.accept(whole, self._first(old), tree, "name")
        for a, b in itertools.combinations(sorted(used, key=repr), 2):
            self.accept(_exchanged(self.link, a, b), self._first(a), b, "names")
        self._shifted(used)

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
                    whole = _marked(whole, t, c.name(other) if t.op == "name" else c.gradient(other, adjoint))
            if first is not None:
                self.accept(_unmarked(whole), self._first(first), _unmarked(whole), "names")

    def functions(self) -> None:
        """f(x) for x, x for f(x), f for g; x > 0, x², 1/x, √x, |x|, 1 − x for x."""
        known = [s.function for s in self.lexicon.slopes]
        fns = [f for f in dict.fromkeys([*known, "exp", "log", "sigmoid", "tanh", "sign", "abs"]) if f in _UNARY]
        for site in self.sites:
            t = site.tree
            if self.late:
                return
            if t.op == "call" and t.data[0] in _UNARY:
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
                    new = _sum([t.args[i] for i in rest], [t.data[i] for i in rest])
                    self.attempt(site, new, "delete-term", detail=t.args[k])
            elif t.op in ("product", "chain") and n > 1:
                for k in range(n):
                    self.attempt(site, without(t, (k,)), "delete-factor", detail=t.args[k])
                for k, m in itertools.combinations(range(n), 2):
                    if n > 2:
                        gone = [t.args[k], t.args[m]]
                        detail = c.product(gone)
                        self.attempt(site, without(t, (k, m)), "delete-factor", detail=detail)
            elif t.op == "call" and t.data[0] in ("outer", "dot") and n == 2:
                for k in range(2):
                    self.attempt(site, t.args[1 - k], "delete-factor", detail=t.args[k])
            elif t.op == "power":
                pass

    def term_pairs(self) -> None:
        """Two summands less: two paths."""
        for site in self.sites:
            t = site.tree
            if t.op == "sum" and 2 < len(t.args) < 8:
                for gone in itertools.combinations(range(len(t.args)), 2):
                    rest = [i for i in range(len(t.args)) if i not in gone]
                    new = _sum([t.args[i] for i in rest], [t.data[i] for i in rest])
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
                        inner[m] = _product([inner[m], *(t.args[i] for i in rest)], [1, *(t.data[0][i] for i in rest)])
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

    def first_edits(self) -> Iterator[Repair]:
        """Simple edits that do not make the formula right by themselves, for a second one to follow."""
        kept = self.tried
        noted: list[Repair] = []

        def note(tree: Tree, site: Site, new: Tree, kind: str, **detail: Any) -> bool:
            noted.append(Repair(tree, site.tree, new, kind, site.path, **detail))
            return False

        def attempt(site: Site, new: Tree | None, kind: str, **detail: Any) -> bool:
            if new is None or new is site.tree or (new, site.path) in self.tried or len(noted) > 3000:
                return False
            self.tried.add((new, site.path))
            return note(self.replaced(site.path, new), site, new, kind, **detail)

        self.tried = set()
        self.attempt, self.accept = attempt, note  # type: ignore[method-assign]
        try:
            for edits in (
                self.signs,
                self.transposes,
                self.deletions,
                self.orders,
                self.names,
                self.slopes,
                self.products,
            ):
                edits()
                yield from noted
                noted.clear()
        finally:
            del self.attempt, self.accept
            self.tried = kept

    def slopes(self) -> None:
        """A part multiplied by a slope."""
        for site in self.sites:
            if site.tree.op in ("number", "letter") or (site.above and site.above[-1] == "transpose"):
                continue
            own = self.value(site.tree)
            for s in self.lexicon.slopes:
                value = self.value(s.tree)
                if own is not None and value is not None and value.shape == own.shape:
                    self.attempt(site, multiplied(site.tree, s.tree), "multiply", detail=s.tree)

    # ---- edits: parts of the right formula -------------------------------------------------------

    def pool(self) -> list[tuple[Tree, Value]]:
        """Parts of right formulas and definitions with their values at the first batch."""
        if self._pool is None:
            found: dict[Tree, Value] = {}
            for tree in self.lexicon.parts(self.about):
                value = self.value(tree)
                if value is not None and np.isfinite(value.array).all():
                    found[tree] = value
            self._pool = list(found.items())
        return self._pool

    def stacked(self, shape: tuple[int, ...]) -> tuple[list[Tree], Array]:
        """The pool's values that broadcast to a shape (points first), as rows of a matrix."""
        if shape not in self._stacked:
            trees, rows = [], []
            for tree, value in self.pool():
                if value.letters or len(value.shape) >= len(shape):
                    continue
                a = value.array
                a = a.reshape(a.shape[:1] + (1,) * (len(shape) - a.ndim) + a.shape[1:])
                try:
                    rows.append(np.broadcast_to(a, shape).ravel())
                except ValueError:
                    continue
                trees.append(tree)
            matrix = np.array(rows) if rows else np.zeros((0, int(np.prod(shape))))
            self._stacked[shape] = (trees, matrix)
        return self._stacked[shape]

    def lookups(self, kinds: Sequence[str] = ("replace", "multiply", "add")) -> None:
        """Replace a part, multiply it, divide it, or add to it: what is needed is known."""
        for site in self.sites:
            if site.wanted is None or site.wanted.letters or self.late:
                continue
            w = site.wanted.array
            shape = (self.batch.count, *w.shape[1:])
            wide = np.broadcast_to(w, shape).ravel()
            trees, matrix = self.stacked(shape)
            if not trees:
                continue
            for k in _matching(matrix, wide):
                self.attempt(site, trees[k], "replace")
                self.attempt(site, c.negative(trees[k]), "replace")
            if site.tree.op == "product" and len(site.tree.args) > 2:
                self._groups(site, trees, matrix, shape)
            value = self.value(site.tree)
            if value is None or value.letters or kinds == ("replace",):
                continue
            try:
                own = np.broadcast_to(
                    value.array.reshape(value.array.shape[:1] + (1,) * (len(shape) - value.array.ndim) + value.shape),
                    shape,
                ).ravel()
            except ValueError:
                continue
            self._multiplied(site, trees, matrix, wide, own)
            self._added(site, trees, matrix, wide, own)

    def _groups(self, site: Site, trees: list[Tree], matrix: Array, shape: tuple[int, ...]) -> None:
        """Two or more factors of a product replaced by one part."""
        t, powers = site.tree, site.tree.data[0]
        n = len(t.args)
        for size in range(2, min(n, 4)):
            for group in itertools.combinations(range(n), size):
                rest = [i for i in range(n) if i not in group]
                others = c.product([t.args[i] for i in rest] + [ONE], [powers[i] for i in rest] + [1])
                assert site.wanted is not None
                wanted = self._wanted(others, len(rest), site.wanted)
                if wanted is None or wanted.letters:
                    continue
                wide = np.broadcast_to(wanted.array, shape).ravel()
                old = c.product([t.args[i] for i in group], [powers[i] for i in group])
                for k, sign in _proportional(matrix, wide):
                    new = c.product([*(t.args[i] for i in rest), trees[k]], [*(powers[i] for i in rest), 1])
                    whole = self.replaced(site.path, new if sign > 0 else c.negative(new))
                    inner = Site(old, (*site.path, group[0]), None, 0, (*site.above, "product"))
                    self.accept(whole, inner, trees[k], "replace")

    def _multiplied(self, site: Site, trees: list[Tree], matrix: Array, wide: Array, own: Array) -> None:
        known = np.isfinite(wide)
        size = np.abs(wide[known]).max(initial=0.0)
        blocked = known & (own == 0) & (np.abs(wide) > 1e-9 * size)
        with np.errstate(all="ignore"):
            if not blocked.any():
                factor = np.where(own == 0, np.nan, wide / np.where(own == 0, 1.0, own))
                for k, sign in _proportional(matrix, factor):
                    new = multiplied(site.tree, trees[k])
                    self.attempt(site, new if sign > 0 else c.negative(new), "multiply", detail=trees[k])
                self._two_slopes(site, factor)
                inverse = np.where(np.isfinite(matrix) & (matrix != 0), 1.0 / matrix, np.nan)
                for k, sign in _proportional(inverse, factor, strict=True):
                    new = divided(site.tree, trees[k])
                    self.attempt(site, new if sign > 0 else c.negative(new), "divide", detail=trees[k])

    def _two_slopes(self, site: Site, factor: Array) -> None:
        """Two slopes that are missing at once."""
        shape = (self.batch.count, *(site.wanted.array.shape[1:] if site.wanted is not None else ()))
        known: list[tuple[Tree, Array]] = []
        for s in self.lexicon.slopes[:24]:
            v = self.value(s.tree)
            if v is not None and len(v.shape) < len(shape) and s.whole:
                try:
                    a = v.array.reshape(v.array.shape[:1] + (1,) * (len(shape) - v.array.ndim) + v.shape)
                    known.append((s.tree, np.broadcast_to(a, shape).ravel()))
                except ValueError:
                    continue
        if len(known) < 2:
            return
        rows = np.array([a for _, a in known])
        for k, (tree, a) in enumerate(known):
            for m, sign in _proportional(rows, np.where(a == 0, np.nan, factor / np.where(a == 0, 1.0, a))):
                if m > k:
                    both = multiplied(tree, known[m][0])
                    new = multiplied(site.tree, both)
                    self.attempt(site, new if sign > 0 else c.negative(new), "multiply", detail=both)

    def _added(self, site: Site, trees: list[Tree], matrix: Array, wide: Array, own: Array) -> None:
        rest = wide - own
        for k, sign in _proportional(matrix, rest):
            self.attempt(site, added(site.tree, trees[k], sign), "add", detail=trees[k])
        with np.errstate(all="ignore"):
            known = np.isfinite(rest)
            top = matrix[:, known] @ rest[known]
            norm = (matrix[:, known] ** 2).sum(axis=1)
            ratio = np.where(norm > 0, top / np.where(norm > 0, norm, 1.0), 0.0)
            off = np.abs(matrix[:, known] * ratio[:, None] - rest[known]).max(axis=1, initial=0.0)
            close = np.flatnonzero(off <= CLOSE * max(np.abs(rest[known]).max(initial=0.0), 1e-12))
        for k in close[:6]:
            for tree, sizes in self._scalars_like(ratio[k : k + 1]):
                sign = 1 if ratio[k] > 0 else -1
                if tree is not ONE:
                    term = c.product((tree, trees[k]))
                    self.attempt(site, added(site.tree, term, sign), "add", detail=term, sizes=sizes)

    def within_chains(self) -> None:
        """A slope between two factors of a matrix product, or in the place of two factors inside one."""
        for site in self.sites:
            t = site.tree
            if self.late:
                return
            if t.op == "chain" and len(t.args) > 2:
                for k in range(2, len(t.args)):
                    for head, rest in ((t.args[:k], t.args[k:]),):
                        inner = c.chain(head)
                        own = self.value(inner)
                        for s in self.lexicon.slopes:
                            value = self.value(s.tree)
                            if own is not None and value is not None and value.shape == own.shape:
                                new = c.chain((c.product((inner, s.tree)), *rest))
                                self.attempt(site, new, "multiply", detail=s.tree)
                for k in range(1, len(t.args) - 1):
                    inner = c.chain(t.args[k:])
                    own = self.value(inner)
                    for s in self.lexicon.slopes:
                        value = self.value(s.tree)
                        if own is not None and value is not None and value.shape == own.shape:
                            self.attempt(
                                site, c.chain((*t.args[:k], c.product((inner, s.tree)))), "multiply", detail=s.tree
                            )
            if t.op == "product" and len(t.args) > 1 and site.wanted is None:
                self._slopes_for_factors(site, t)

    def _slopes_for_factors(self, site: Site, t: Tree) -> None:
        n, powers = len(t.args), t.data[0]
        own = self.value(t)
        for size in range(1, min(n, 4)):
            for group in itertools.combinations(range(n), size):
                rest = [i for i in range(n) if i not in group]
                old = _product([t.args[i] for i in group], [powers[i] for i in group])
                for s in self.lexicon.slopes:
                    value = self.value(s.tree)
                    if own is None or value is None or value.shape != own.shape:
                        continue
                    factors, signs = [*(t.args[i] for i in rest), s.tree], [*(powers[i] for i in rest), 1]
                    whole = c.product(factors, signs)
                    inner = Site(old, (*site.path, group[0]), None, 0, (*site.above, "product"))
                    self.try_whole(self.replaced(site.path, whole), inner, s.tree, "replace")

    def try_whole(self, tree: Tree, site: Site, new: Tree, kind: str, **detail: Any) -> None:
        """Try a whole formula that no single place makes."""
        self.accept(tree, site, new, kind, **detail)

    def everywhere(self) -> None:
        """The same edit at all places: f(x) by x, all sums by means."""
        for t in {s.tree for s in self.sites if s.tree.op == "call" and s.tree.data[0] in _UNARY}:
            if sum(s.tree is t for s in self.sites) > 1:
                self.accept(_everywhere(self.link, t, t.args[0]), self._first(t), t.args[0], "function")
        for a, b in (("sum", "mean"), ("mean", "sum")):
            whole = _renamed(self.link, a, b)
            if whole is not self.link:
                site = next(s for s in self.sites if s.tree.op == "call" and s.tree.data[0] == a)
                self.accept(whole, site, _renamed(site.tree, a, b), "mean")
        for t in {s.tree for s in self.sites if s.tree.op == "name"}:
            if sum(s.tree is t for s in self.sites) > 1:
                for f in dict.fromkeys(s.function for s in self.lexicon.slopes):
                    if f in _UNARY:
                        self.accept(
                            _everywhere(self.link, t, c.call(f, (t,))), self._first(t), c.call(f, (t,)), "function"
                        )

    def grafts(self) -> None:
        """Inside matrix products and functions: replace or multiply by parts of the right formula."""
        slopes = {s.tree for s in self.lexicon.slopes}
        for site in self.sites:
            if site.wanted is not None or site.tree.op in ("number", "letter"):
                continue
            own = self.value(site.tree)
            parent = site.above[-1] if site.above else ""
            if parent == "transpose" and site.tree.op in ("name", "gradient"):
                pass
            for tree, value in self.pool():
                if self.late:
                    return
                fits = own is None or value.shape == own.shape
                if fits or parent == "chain":
                    self.attempt(site, tree, "replace")
                if own is None:
                    continue
                if fits or not value.shape or (len(value.shape) == len(own.shape) and tree in slopes):
                    self.attempt(site, multiplied(site.tree, tree), "multiply", detail=tree)
                    if tree in slopes or tree.op == "name":
                        self.attempt(site, divided(site.tree, tree), "divide", detail=tree)
                if fits and tree.op != "number":
                    for sign in (1, -1):
                        self.attempt(site, added(site.tree, tree, sign), "add", detail=tree)

    def insertions(self) -> None:
        """A matrix factor more: from the left or the right, or an outer product."""
        for site in self.sites:
            if site.tree.op in ("number", "letter") or self.late:
                continue
            own = self.value(site.tree)
            if own is None or not own.shape or (site.above and site.above[-1] == "transpose"):
                continue
            for tree, value in self.pool():
                if tree.weight > 6 or not value.shape or (tree.weight > 1 and site.path):
                    continue
                for factor in (tree, c.transpose(tree)) if len(value.shape) == 2 else (tree,):
                    self.attempt(site, _chain((site.tree, factor)), "insert", detail=tree)
                    self.attempt(site, _chain((factor, site.tree)), "insert", detail=tree)
                if len(value.shape) == 1 == len(own.shape):
                    self.attempt(site, c.call("outer", (site.tree, tree)), "insert", detail=tree)
                    self.attempt(site, c.call("outer", (tree, site.tree)), "insert", detail=tree)

    def letters(self) -> None:
        """einsum: two letters exchanged; entries: two indices exchanged, another letter."""
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
            if t.op == "entry" and len(t.data) > 1:
                for a, b in itertools.combinations(range(len(t.data)), 2):
                    data = list(t.data)
                    data[a], data[b] = data[b], data[a]
                    self.attempt(site, Tree("entry", t.args, tuple(data)), "index")
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


# ---- making trees --------------------------------------------------------------------------------------


_REVERSED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_UNARY = {
    "exp", "log", "tanh", "sigmoid", "relu", "sin", "cos", "sqrt", "abs", "sign", "softplus", "softmax", "arctan",
    "erf", "gelu", "silu", "cosh", "sinh", "softsign", "selu", "elu", "leaky_relu", "mish", "tan",
}  # fmt: skip


def _rebuilt(parent: Tree, args: Sequence[Tree]) -> Tree:
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


def tidy(tree: Tree) -> Tree:
    """Matrix products inside matrix products joined."""
    if not tree.args:
        return tree
    args = [tidy(a) for a in tree.args]
    if tree.op == "chain" and any(a.op == "chain" for a in args):
        return Tree("chain", tuple(x for a in args for x in (a.args if a.op == "chain" else (a,))), tree.data)
    return tree.with_args(args)


def _sum(terms: Sequence[Tree], signs: Sequence[int]) -> Tree:
    if len(terms) == 1:
        return terms[0] if signs[0] > 0 else c.negative(terms[0])
    return c.sum_(terms, signs)


def _product(factors: Sequence[Tree], powers: Sequence[int]) -> Tree:
    if not factors:
        return ONE
    if len(factors) == 1 and powers[0] > 0:
        return factors[0]
    return c.product(factors, powers)


def _chain(factors: Sequence[Tree]) -> Tree:
    flat = [x for f in factors for x in (f.args if f.op == "chain" else (f,))]
    return flat[0] if len(flat) == 1 else c.chain(flat)


def without(t: Tree, gone: Sequence[int]) -> Tree:
    """A product or a chain without some of its factors."""
    rest = [i for i in range(len(t.args)) if i not in gone]
    if t.op == "chain":
        return _chain([t.args[i] for i in rest]) if rest else ONE
    return _product([t.args[i] for i in rest], [t.data[0][i] for i in rest])


def flipped(t: Tree) -> Tree:
    """The transpose, or what it is the transpose of."""
    return t.args[0] if t.op == "transpose" else c.transpose(t)


def _bare(t: Tree) -> Tree:
    return t.args[0] if t.op == "transpose" else t


def _flipped(t: Tree, which: Sequence[int]) -> Tree:
    return c.sum_(t.args, [-s if k in which else s for k, s in enumerate(t.data)])


def scaled(t: Tree, by: Tree, sign: int) -> Tree:
    """±by · t, as a person writes it: numbers joined, a factor that cancels taken out."""
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


def multiplied(t: Tree, by: Tree) -> Tree:
    """t · by, elementwise."""
    if t.op == "sum" and t.data == (-1,):
        return c.negative(multiplied(t.args[0], by))
    left = t.args if t.op == "product" else (t,)
    powers = t.data[0] if t.op == "product" else (1,)
    if by.op == "product" and by.data[0][0] > 0:
        return c.product((*left, *by.args), (*powers, *by.data[0]))
    return c.product((*left, by), (*powers, 1))


def divided(t: Tree, by: Tree) -> Tree:
    if t.op == "sum" and t.data == (-1,):
        return c.negative(divided(t.args[0], by))
    left = t.args if t.op == "product" else (t,)
    powers = t.data[0] if t.op == "product" else (1,)
    return c.product((*left, by), (*powers, -1))


def added(t: Tree, term: Tree, sign: int) -> Tree:
    if term.op == "sum" and term.data == (-1,):
        term, sign = term.args[0], -sign
    if t.op == "sum":
        return c.sum_((*t.args, term), (*t.data, sign))
    return c.sum_((t, term), (1, sign))


def _everywhere(tree: Tree, old: Tree, new: Tree) -> Tree:
    if tree is old:
        return new
    if not tree.args:
        return tree
    args = [_everywhere(a, old, new) for a in tree.args]
    if tree.op == "transpose" and args[0].op == "transpose":
        return args[0].args[0]
    return tree.with_args(args)


def _has_axis(tree: Tree) -> bool:
    return tree.op == "call" and "axis" in dict(tree.data[1])


def _other_axes(tree: Tree, old: Any, new: Any) -> Tree:
    args = [_other_axes(a, old, new) for a in tree.args]
    if _has_axis(tree) and dict(tree.data[1])["axis"] == old:
        return c.call(tree.data[0], args, **{**dict(tree.data[1]), "axis": new, "keepdims": True})
    return tree.with_args(args) if args else tree


def _renamed(tree: Tree, a: str, b: str) -> Tree:
    """All calls of one function made calls of another."""
    args = [_renamed(x, a, b) for x in tree.args]
    if tree.op == "call" and tree.data[0] == a:
        return Tree("call", tuple(args), (b, tree.data[1]))
    return tree.with_args(args) if args else tree


def _marked(tree: Tree, old: Tree, new: Tree) -> Tree:
    """As `_everywhere`, but what was put in is not met again."""
    return _everywhere(tree, old, c.alias(new, "\0"))


def _unmarked(tree: Tree) -> Tree:
    if tree.op == "alias" and tree.data == "\0":
        return tree.args[0]
    return tree.with_args([_unmarked(a) for a in tree.args]) if tree.args else tree


def _turned(tree: Tree) -> Tree:
    """What was marked, transposed."""
    if tree.op == "alias" and tree.data == "\0":
        return flipped(tree.args[0])
    return _rebuilt(tree, [_turned(a) for a in tree.args]) if tree.args else tree


def _exchanged(tree: Tree, a: Tree, b: Tree) -> Tree:
    return _unmarked(_marked(_marked(tree, a, b), b, a))


# ---- comparing with many -------------------------------------------------------------------------------


def _ratio(value: Value, wanted: Value) -> Array | None:
    """wanted / value where that is one number for each point; None if it is not."""
    if value.letters != wanted.letters or value.shape != wanted.shape:
        return None
    w, a = wanted.array, np.broadcast_to(value.array, wanted.array.shape)
    w, a = w.reshape(w.shape[0], -1), a.reshape(a.shape[0], -1)
    known = np.isfinite(w) & np.isfinite(a)
    w, a = np.where(known, w, 0.0), np.where(known, a, 0.0)
    norm = (a * a).sum(axis=1)
    if not (norm > 1e-24).all() or not (np.abs(w).max(axis=1, initial=0.0) > 1e-12).all():
        return None
    ratio = (a * w).sum(axis=1) / norm
    off = np.abs(a * ratio[:, None] - w).max(axis=1, initial=0.0)
    return ratio if (off <= CLOSE * np.abs(w).max(axis=1, initial=0.0)).all() else None


def _matching(matrix: Array, wanted: Array) -> list[int]:
    """Rows that are ± the wanted values, where these are known."""
    return [k for k, _ in _proportional(matrix, wanted)]


def _proportional(matrix: Array, wanted: Array, strict: bool = False) -> list[tuple[int, int]]:
    """Rows that are the wanted values up to sign, as (row, sign)."""
    known = np.isfinite(wanted)
    if known.sum() < 2 or not len(matrix):
        return []
    w, m = wanted[known], matrix[:, known]
    size = np.abs(w).max(initial=0.0)
    if size < 1e-12:
        return []
    with np.errstate(all="ignore"):
        plus = np.abs(m - w).max(axis=1, initial=0.0)
        minus = np.abs(m + w).max(axis=1, initial=0.0)
    if strict:
        finite = np.isfinite(m).all(axis=1)
        plus, minus = np.where(finite, plus, np.inf), np.where(finite, minus, np.inf)
    found = [(int(k), 1) for k in np.flatnonzero(plus <= CLOSE * size)[:12]]
    return found + [(int(k), -1) for k in np.flatnonzero(minus <= CLOSE * size)[:12]]
