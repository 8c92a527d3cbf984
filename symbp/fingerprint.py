"""Values that find rewrites: fingerprints at random points, and a table of short expressions by value.

`Samples` evaluates expressions at a few points, at two assignments of sizes that are all different,
and projects each value on random vectors: two expressions that are equal up to a number have
proportional fingerprints. `Table` lists the entries of the network's own tensors, and what one
operation makes of one or two of them, for given letters, with their values at one point; the few
that fit there are looked at at the others, and points are drawn as they are needed, so that where
there is nothing to be found one point has to be drawn. A fingerprint is a reason to try a
rewrite, never the reason for it: prove.py decides. Points come from a fixed seed, so the same
network gives the same proposals everywhere.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbp.arithmetic import factors_of
from symbp.errors import SymbpError
from symbp.evaluate import Evaluation, Named
from symbp.expr import (
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Add,
    Call,
    Compare,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    mul,
)
from symbp.graph import Graph, adjoint, primal
from symbp.known import Known
from symbp.local import canonical_letters, in_letters
from symbp.ops import OPS
from symbp.sample import Point, choose_sizes, draw
from symbp.unknown import samples as functions_of

Vector = NDArray[np.float64]
Places = NDArray[np.intp]

POINTS, MANY = 4, 10
DIGITS = 1e-7  # two fingerprints this close, relatively, are the same
TINY, NOTHING = 1e-11, 1e-9
ROUNDING = 1e-15
MOST, FEW = 60, 20  # entries that pairs are made of, with up to two letters and with more
HUGE = 1e9
MATCHES = 4  # proposals for one value
SCALES = tuple(Fraction(s * p, q) for s in (1, -1) for p, q in ((1, 1), (2, 1), (1, 2), (3, 1), (1, 3), (4, 1), (1, 4)))
_FACTORS = tuple((s, float(1 / s)) for s in SCALES if s > 0)


class Samples:
    """The points of one network and what is worth what there."""

    def __init__(self, graph: Graph, adjoints: Mapping[str, Expr], seed: int = 0) -> None:
        self.graph, self.adjoints = graph, adjoints
        self._drawing = _points(graph, seed)
        self._states: list[Evaluation] = []
        self._vectors: dict[tuple[int, int, int], Vector] = {}
        self._weights: dict[tuple[int, tuple[Index, ...]], Vector] = {}
        self._memo: dict[tuple[Expr, int], float | None] = {}
        self._flat: dict[tuple[Expr, tuple[Index, ...], int], Vector | None] = {}
        self.functions = {x.fn for x in graph.parts if isinstance(x, Call)}

    def state(self, n: int) -> Evaluation | None:
        """The n-th point, drawn when it is asked for the first time; None where there are not so many."""
        while len(self._states) <= n:
            p = next(self._drawing, None)
            if p is None:
                return None
            state = Evaluation.of(self.graph, p.values, p.sizes, functions_of(self.graph))
            state.values.setdefault(adjoint(self.graph.loss), np.asarray(1.0))
            self._states.append(state)
        return self._states[n]

    def points(self) -> Iterator[int]:
        """The numbers of all points."""
        return itertools.takewhile(lambda n: self.state(n) is not None, itertools.count())

    def at(self, e: Expr, letters: tuple[Index, ...], n: int) -> float | None:
        """The projection of `e` over `letters` at the n-th point; None where it has no finite value.
        The letters must be those that go with `e` (`canonical_letters`)."""
        key = (e, n)
        if key not in self._memo:
            self._memo[key] = self.projection(e, letters, n)
        return self._memo[key]

    def projection(self, e: Expr, letters: tuple[Index, ...], n: int) -> float | None:
        state = self.state(n)
        assert state is not None
        value = self._value(e, state, letters)
        if value is None:
            return None
        for k in range(len(letters) - 1, -1, -1):
            value = value @ self._vector(n, k, value.shape[k])
        return float(value)

    def product(
        self, units: Sequence[Expr], letters: tuple[Index, ...], n: int, summed: tuple[Index, ...] = ()
    ) -> float | None:
        """The projection over `letters` of a product that is not written down, summed over its other
        letters; None where it has no finite value."""
        if summed:
            return self._contraction(units, letters, n)
        value = self.weights(n, letters)
        for u in units:
            factor = self.flat(u, letters, n)
            if factor is None:
                return None
            value = value * factor
        number = float(value.sum())
        return number if math.isfinite(number) else None

    def _contraction(self, units: Sequence[Expr], letters: tuple[Index, ...], n: int) -> float | None:
        state = self.state(n)
        assert state is not None
        number, axes = 1.0, dict[Index, int]()
        operands: list[Any] = []
        for u in units:
            value = self._named(u, state)
            if value is None:
                return None
            if value.axes:
                operands += [value.array, [axes.setdefault(i, len(axes)) for i in value.axes]]
            else:
                number *= float(value.array)
        for k, i in enumerate(letters):
            operands += [self._vector(n, k, state.extent(i.dim)), [axes.setdefault(i, len(axes))]]
        number *= float(np.einsum(*operands, []))
        return number if math.isfinite(number) else None

    def first(self, e: Expr, letters: tuple[Index, ...]) -> tuple[int, float] | None:
        """The first point at which `e` is not 0, and its projection there (0.0 where there is no such
        point); None where it has no finite value."""
        n = 0
        for n in self.points():
            value = self.at(e, letters, n)
            if value is None:
                return None
            if abs(value) >= NOTHING:
                return n, value
        return n, 0.0

    def same(self, a: Expr, b: Expr, letters: tuple[Index, ...], digits: float = 1e-8) -> bool:
        """Have both one value at every point? `b` may have fewer letters."""
        largest = 0.0
        for n in self.points():
            one, two = self.at(a, letters, n), self.projection(b, letters, n)
            if one is None or two is None:
                return False
            largest = max(largest, abs(one), abs(two))
            if abs(one - two) > ROUNDING + digits * largest:
                scale = max((abs(self.projection(t, letters, n) or 0.0) for t in _summands(a)), default=0.0)
                if max(abs(one), abs(two)) > NOTHING * scale:  # else summands cancel, and rounding is left
                    return False
        return True

    def vanishes(self, e: Expr, letters: tuple[Index, ...]) -> bool:
        """Is `e` 0 at every point? What is small because a gradient has vanished is not: a product is 0
        where a factor is, a sum where it is small beside its terms."""
        for n in self.points():
            state = self.state(n)
            assert state is not None
            value = self._value(e, state, letters)
            if value is None:
                return False
            scale = 0.0
            if isinstance(e, Mul) and any(self._is_lost(f, state) for f in e.args):
                return False
            if isinstance(e, Add):
                scale = max(abs(self.projection(t, letters, n) or 0.0) for t in e.args)
            elif isinstance(e, Reduce) and e.op == "sum":
                indices, body = e.expose()
                terms = self._value(body, state, (*letters, *indices))
                scale = 0.0 if terms is None else float(np.abs(terms).max(initial=0.0))
            if np.abs(value).max(initial=0.0) > NOTHING * scale:
                return False
        return True

    def _is_lost(self, e: Expr, state: Evaluation) -> bool:
        """Is a tensor 0, which nobody says of it? It is too small for a number."""
        return isinstance(e, Entry) and not state.values[e.tensor].any()

    def ratio(self, a: Expr, b: Expr, letters: tuple[Index, ...]) -> int | None:
        """1, −1 or 2 where `a` is that many times `b` at every point, and `b` is nowhere 0."""
        found: int | None = None
        for n in self.points():
            one, two = self.at(a, letters, n), self.at(b, letters, n)
            if one is None or two is None or abs(two) <= TINY:
                return None
            fits = [r for r in (1, -1, 2) if abs(one - r * two) <= 1e-8 * abs(r * two)]
            if not fits or found not in (None, fits[0]):
                return None
            found = fits[0]
        return found

    def _value(self, e: Expr, state: Evaluation, letters: tuple[Index, ...]) -> NDArray[np.float64] | None:
        named = self._named(e, state)
        if named is None:
            return None
        value = state.spread(named, letters)
        return value if np.isfinite(value).all() else None

    def _named(self, e: Expr, state: Evaluation) -> Named | None:
        if isinstance(e, Reduce) and e.op == "tensor":  # the operand of an unknown map has no entry of its own
            return None
        try:
            for t in e.tensors:
                if t not in state.values:
                    self._provide(t, state)
            if isinstance(e, Entry) or not any(isinstance(a, Reduce) for a in (e, *e.args)):
                return state.named(e)
            mine, theirs = canonical_letters(e)  # what is under a Σ is worked out once, whatever its letters
            value = state.named(in_letters(e, mine, theirs))
            back = dict(zip(theirs, mine))
            return Named(value.array, tuple(back[i] for i in value.axes))
        except (SymbpError, ArithmeticError, ValueError):  # an unknown map has no entries of its own
            return None

    def flat(self, e: Expr, letters: tuple[Index, ...], n: int) -> Vector | None:
        """The values at the n-th point, laid out flat."""
        key = (e, letters, n)
        if key not in self._flat:
            state = self.state(n)
            value = None if state is None else self._value(e, state, letters)
            self._flat[key] = None if value is None else np.ravel(value)
        return self._flat[key]

    def _provide(self, tensor: str, state: Evaluation) -> None:
        """The values of an adjoint, from its δ form."""
        name = primal(tensor)
        if name is not None and name in self.adjoints:
            form = self.adjoints[name]
            for t in form.tensors:
                if t not in state.values:
                    self._provide(t, state)
            state.values[tensor] = state.tensor(self.graph[name], form)

    def _vector(self, point: int, place: int, extent: int) -> Vector:
        key = (point, place, extent)
        found = self._vectors.get(key)
        if found is None:
            found = self._vectors[key] = np.random.default_rng([7, *key]).standard_normal(extent) + 0.3
        return found

    def weights(self, point: int, letters: tuple[Index, ...]) -> Vector:
        """The vectors of all letters as one, for values laid out flat."""
        key = (point, letters)
        whole = self._weights.get(key)
        if whole is None:
            whole = np.ones(1)
            state = self.state(point)
            assert state is not None
            for k, i in enumerate(letters):
                whole = np.outer(whole, self._vector(point, k, state.extent(i.dim))).reshape(-1)
            self._weights[key] = whole
        return whole


def _summands(e: Expr) -> Iterator[Expr]:
    """The summands of a sum, or those of a product's first sum, each with the other factors."""
    factors = factors_of(e)
    f = next((f for f in factors if isinstance(f, Add)), None)
    for t in f.args if f is not None else ():
        yield mul(*(t if x is f else x for x in factors))


def _points(graph: Graph, seed: int) -> Iterator[Point]:
    """Points at two assignments of sizes, or as many as there are."""
    wanted = MANY if _switches(graph) else POINTS
    leaves = sorted(graph.leaves, key=lambda leaf: graph.rank[leaf.name])  # the same values however they were declared
    graph = replace(graph, nodes={n.name: n for n in (*leaves, *graph.inner)})
    for n in range(2 * wanted):
        sizes = choose_sizes(graph, n % 2)
        if sizes is None:
            continue
        p = draw(graph, sizes, np.random.default_rng([seed, n, 5]), functions_of(graph))
        if not p.reason:
            yield p
            wanted -= 1
        if not wanted:
            return


def _switches(graph: Graph) -> bool:
    """Is there a comparison of two numbers, of which few points see both sides?"""
    kinds = ("relu", "maximum", "minimum", "abs", "sign", "step", "leaky_relu", "elu", "selu")
    return any(not x.free and (isinstance(x, Compare) or (isinstance(x, Call) and x.fn in kinds)) for x in graph.parts)


@dataclass(frozen=True)
class Match:
    """A short expression with the value asked for: `expr`, number included, and its price."""

    expr: Expr
    price: int


# ---- what one operation makes ---------------------------------------------------------------------

Unary = tuple[Callable[[Expr], Expr], Callable[[Any], Any]]
UNARY: tuple[Unary, ...] = (
    (lambda e: Add((ONE, mul(MINUS_ONE, e))), lambda x: 1 - x),
    (lambda e: Pow(e, TWO), np.square),
    (lambda e: Compare(">", e, ZERO), lambda x: x > 0),
    (lambda e: Compare("<=", e, ZERO), lambda x: x <= 0),
    (lambda e: Pow(e, MINUS_ONE), lambda x: 1 / x),
    (lambda e: Pow(Add((ONE, mul(MINUS_ONE, e))), MINUS_ONE), lambda x: 1 / (1 - x)),
    (lambda e: Add((ONE, e)), lambda x: 1 + x),
)
COMPARISONS, INVERSE, BOTH = (2, 3), 4, 5  # places in UNARY; BOTH costs two operations
FUNCTIONS = ("exp", "sigmoid", "tanh", "log")
BINARY: tuple[Callable[[Expr, Expr], Expr], ...] = (
    mul,
    lambda a, b: Add((a, b)),
    lambda a, b: Add((a, mul(MINUS_ONE, b))),
    lambda a, b: mul(a, Pow(b, MINUS_ONE)),
)


def _function(fn: str) -> Unary:
    value = OPS[fn].value
    assert value is not None
    return (lambda e: Call(fn, e)), (lambda x: value(np, x))


class Table:
    """Short expressions over some letters, found by their values at one point: `base`, what one
    operation makes of each, and products, sums, differences and safe quotients of two."""

    def __init__(
        self, samples: Samples, known: Known, letters: tuple[Index, ...], base: tuple[Expr, ...], point: int
    ) -> None:
        self.samples, self.known, self.letters, self.point = samples, known, letters, point
        rows = [(e, x) for e in dict.fromkeys(base) if (x := samples.flat(e, letters, point)) is not None]
        self.exprs = [e for e, _ in rows]
        self.weights = samples.weights(point, letters)
        self.values = np.array([x for _, x in rows]).reshape(len(rows), len(self.weights))
        self._entries: _Sorted | None = None
        self._all: _Sorted | None = None
        self._pairs: list[tuple[Places, Places]] = []
        own = samples.functions
        more = [f for f in FUNCTIONS if f in own or (f in ("sigmoid", "exp") and own & {"exp", "sigmoid", "softplus"})]
        self.unary = (*UNARY, *map(_function, more))

    def __call__(self, target: float, most: int) -> Iterator[Match]:
        """What is `target` at the point up to a small number, cheapest first, of price at most `most`."""
        for price, place, scale in sorted(self._places(target, most)):
            yield Match(mul(Num(scale), self.expression(place) if most else self.exprs[place]), price)

    def has(self, target: float, most: int) -> bool:
        """Is there any such expression?"""
        return next(self._places(target, most), None) is not None

    def _places(self, target: float, most: int) -> Iterator[tuple[int, int, Fraction]]:
        """Price, place and factor of what fits."""
        if not TINY < abs(target) < HUGE or not self.exprs:
            return
        if most < 1:
            table = self._entries = self._entries or _Sorted(self.values @ self.weights)
        else:
            if self._all is None:
                prints, self.prices = self._everything()
                self._all = _Sorted(prints)
            table = self._all
        for place, scale in table(target):
            price = (int(self.prices[place]) if most >= 1 else 0) + (abs(scale) != 1)
            if price <= most:
                yield price, place, scale

    def _everything(self) -> tuple[Vector, NDArray[np.int_]]:
        """The prints and the prices of all expressions: entries, each with what one operation makes of
        it, then the pairs of each operation."""
        count = len(self.exprs)
        positive = np.array([self.known.is_positive(e) for e in self.exprs])
        binary = np.array([isinstance(e, Entry) and e.tensor in self.known.binary for e in self.exprs])
        limit = MOST if len(self.letters) < 3 else FEW
        with np.errstate(all="ignore"):
            singles = np.array([self.values, *(f(self.values) for _, f in self.unary)]) @ self.weights
            singles[1 + INVERSE, ~positive] = np.nan
            below = [isinstance(e, Entry) and self.known.is_below_one(e) for e in self.exprs]
            singles[1 + BOTH, ~np.array(below)] = np.nan
            for k in COMPARISONS:
                singles[1 + k, binary] = np.nan
            both = np.stack([self.values, 1 - self.values], 1).reshape(2 * count, -1)[:limit]  # x, 1 − x, y, …
            plain, own = both[::2], singles[0]
            products = (both * self.weights) @ both.T
            low = np.nonzero(positive[: len(plain)])[0]
            quotients = (plain * self.weights) @ (1 / plain[low]).T
        (i, j), (n, m), (top, bottom) = _pairs(len(both), tuple(low.tolist()))
        self._pairs = [(i, j), (2 * n, 2 * m), (2 * n, 2 * m), (2 * top, 2 * low[bottom])]
        prints = [singles.T.ravel(), products[i, j], own[n] + own[m], own[n] - own[m], quotients[top, bottom]]
        prices = np.ones(singles.shape, int)
        prices[0], prices[1 + BOTH] = 0, 2
        costs = [prices.T.ravel(), 1 + i % 2 + j % 2, *(np.ones(len(x), int) for x in prints[2:])]
        return np.concatenate(prints), np.concatenate(costs)

    def expression(self, place: int) -> Expr:
        """The expression at a place of `_everything`."""
        row, made = divmod(place, len(self.unary) + 1)
        if row < len(self.exprs):
            return self.unary[made - 1][0](self.exprs[row]) if made else self.exprs[row]
        place -= len(self.exprs) * (len(self.unary) + 1)
        for op, (left, right) in zip(BINARY, self._pairs, strict=True):
            if place < len(left):
                return op(self._paired(left[place]), self._paired(right[place]))
            place -= len(left)
        raise IndexError(place)

    def _paired(self, k: int) -> Expr:
        e = self.exprs[k // 2]
        return UNARY[0][0](e) if k % 2 else e


@lru_cache(maxsize=64)
def _pairs(count: int, low: tuple[int, ...]) -> tuple[tuple[Places, Places], ...]:
    """Of x, 1 − x, y, 1 − y, …: the places of two factors, not both 1 − …; of two of x, y, …; and of
    a dividend with the place of its divisor among those in `low`."""
    i, j = np.triu_indices(count, 1)
    used = (i % 2 == 0) | (j % 2 == 0)
    plain = (count + 1) // 2
    top, bottom = (k.ravel() for k in np.meshgrid(np.arange(plain), np.arange(len(low)), indexing="ij"))
    apart = top != np.array(low, int)[bottom]
    return (i[used], j[used]), np.triu_indices(plain, 1), (top[apart], bottom[apart])


class _Sorted:
    """Numbers by their absolute value, to find those that are a given one up to a small factor."""

    def __init__(self, prints: Vector) -> None:
        with np.errstate(all="ignore"):
            size = np.abs(prints)
            keep = np.nonzero((size > TINY) & (size < HUGE))[0]  # what is not a number is not kept either
        order = np.argsort(size[keep], kind="stable")
        self.prints, self.places = prints, keep[order]
        self.keys: list[float] = size[self.places].tolist()

    def __call__(self, target: float) -> Iterator[tuple[int, Fraction]]:
        for scale, factor in _FACTORS:
            wanted = abs(target) * factor
            n, highest = bisect_left(self.keys, wanted * (1 - DIGITS)), wanted * (1 + DIGITS)
            while n < len(self.keys) and self.keys[n] <= highest:
                place = int(self.places[n])
                yield place, scale if bool(self.prints[place] < 0) is (target < 0) else -scale
                n += 1


def entries(graph: Graph, letters: tuple[Index, ...], names: tuple[str, ...]) -> Iterator[Entry]:
    """The entries of tensors whose axes can all be named by `letters`, each letter at most once."""
    for tensor in names:
        inner = primal(tensor)
        node = graph[inner if inner is not None else tensor]
        choices = [[j for j in letters if j.dim is a.dim] if isinstance(a, Index) else [ZERO] for a in node.axes]
        for idx in itertools.product(*choices):
            chosen = [i for i in idx if i is not ZERO]
            if len(set(chosen)) == len(chosen):
                yield Entry(tensor, idx)


__all__ = ["Match", "Samples", "Table", "entries"]
