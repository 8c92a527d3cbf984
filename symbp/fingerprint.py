"""Values that find rewrites: fingerprints at random points, and a table of short expressions by value.

`Samples` evaluates expressions at a few points, at two assignments of sizes that are all different,
and projects each value on random vectors: two expressions that are equal up to a number have
proportional fingerprints. `Table` lists the entries of the network's own tensors, and what one
operation makes of one or two of them, for given letters. A fingerprint is a reason to try a
rewrite, never the reason for it: prove.py decides. Points come from a fixed seed, so the same
network gives the same proposals everywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from symbp.errors import SymbpError
from symbp.evaluate import Evaluation
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
    Num,
    Pow,
    Reduce,
    mul,
    substitute,
    text,
    walk,
)
from symbp.graph import Graph, adjoint, primal
from symbp.known import Known
from symbp.sample import Point, choose_sizes, draw
from symbp.unknown import samples as functions_of

Vector = NDArray[np.float64]

POINTS, MANY = 4, 10
DIGITS = 1e-7  # two fingerprints this close, relatively, are the same
TINY = 1e-11
MOST, FEW = 60, 20  # entries that pairs are made of, with up to two letters and with more
HUGE = 1e9
SCALES = tuple(Fraction(s * p, q) for s in (1, -1) for p, q in ((1, 1), (2, 1), (1, 2), (3, 1), (1, 3), (4, 1), (1, 4)))


class Samples:
    """The points of one network and what is worth what there."""

    def __init__(self, graph: Graph, adjoints: Mapping[str, Expr], seed: int = 0) -> None:
        self.graph, self.adjoints = graph, adjoints
        self.states = [self._state(p) for p in _points(graph, seed)]
        self._vectors: dict[tuple[int, int, int], Vector] = {}
        self._memo: dict[Expr, Vector | None] = {}
        self._flat: dict[tuple[Expr, tuple[Index, ...]], list[Vector] | None] = {}
        bodies = [n.body for n in graph.inner if n.body is not None]
        self.functions = {x.fn for b in bodies for x in walk(b) if isinstance(x, Call)}

    def _state(self, p: Point) -> Evaluation:
        state = Evaluation.of(self.graph, p.values, p.sizes, functions_of(self.graph))
        state.values.setdefault(adjoint(self.graph.loss), np.asarray(1.0))
        return state

    def fingerprint(self, e: Expr, letters: tuple[Index, ...]) -> Vector | None:
        """The projection of `e` over `letters` at every point; None where it has no finite value."""
        found = self._memo.get(e)
        if found is None and e not in self._memo:
            found = self._memo[e] = self._project(e, letters)
        return found

    def _project(self, e: Expr, letters: tuple[Index, ...]) -> Vector | None:
        result = np.zeros(len(self.states))
        for n, state in enumerate(self.states):
            value = self.value(e, state, letters)
            if value is None:
                return None
            for k in range(len(letters) - 1, -1, -1):
                value = value @ self._vector(n, k, value.shape[k])
            result[n] = value
        return result

    def value(self, e: Expr, state: Evaluation, letters: tuple[Index, ...]) -> NDArray[np.float64] | None:
        if isinstance(e, Reduce) and e.op == "tensor":
            return None  # the operand of an unknown map is a tensor as a whole
        try:
            for t in e.tensors:
                self._provide(t, state)
            value = state(e, letters)
        except (SymbpError, ArithmeticError, ValueError):  # an unknown map has no entries of its own
            return None
        return value if np.isfinite(value).all() else None

    def flat(self, e: Expr, letters: tuple[Index, ...]) -> list[Vector] | None:
        """The values at every point, laid out flat."""
        key = (e, letters)
        if key not in self._flat:
            values = [self.value(e, state, letters) for state in self.states]
            self._flat[key] = None if any(v is None for v in values) else [np.ravel(v) for v in values]  # type: ignore[arg-type]
        return self._flat[key]

    def _provide(self, tensor: str, state: Evaluation) -> None:
        """The values of an adjoint, from its δ form."""
        if tensor not in state.values:
            name = primal(tensor)
            if name is not None and name in self.adjoints:
                form = self.adjoints[name]
                for t in form.tensors:
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
        whole = np.ones(1)
        state = self.states[point]
        for k, i in enumerate(letters):
            whole = np.outer(whole, self._vector(point, k, state.extent(i.dim))).reshape(-1)
        return whole


def _points(graph: Graph, seed: int) -> list[Point]:
    """Points at two assignments of sizes, or as many as there are."""
    found: list[Point] = []
    wanted = MANY if _switches(graph) else POINTS
    for n in range(2 * wanted):
        sizes = choose_sizes(graph, n % 2)
        if sizes is None:
            continue
        p = draw(graph, sizes, np.random.default_rng([seed, n, 5]), functions_of(graph))
        if not p.reason:
            found.append(p)
        if len(found) == wanted:
            break
    return found


def _switches(graph: Graph) -> bool:
    """Is there a comparison of two numbers, of which few points see both sides?"""
    kinds = ("relu", "maximum", "minimum", "abs", "sign", "step", "leaky_relu", "elu", "selu")
    for node in graph.inner:
        for x in walk(node.body) if node.body is not None else ():
            if not x.free and (isinstance(x, Compare) or (isinstance(x, Call) and x.fn in kinds)):
                return True
    return False


@dataclass(frozen=True)
class Match:
    """A short expression with the value asked for: `expr`, number included, and its price."""

    expr: Expr
    price: int


class Table:
    """Short expressions over some letters, found by their values: `base`, what one operation makes
    of each, and products, sums, differences and safe quotients of two."""

    def __init__(self, samples: Samples, known: Known, letters: tuple[Index, ...], base: tuple[Expr, ...]) -> None:
        functions = samples.functions
        self.exprs: list[Expr] = []
        prices: list[int] = []
        rows: list[list[Vector]] = []
        of_pairs: list[int] = []
        for e in dict.fromkeys(base):
            flat = samples.flat(e, letters)
            if flat is None:
                continue
            of_pairs.append(len(self.exprs))
            self.exprs.append(e)
            prices.append(0)
            rows.append(flat)
            for made in _unary(e, functions, known):
                more = samples.flat(made, letters)
                if more is not None:
                    if isinstance(made, Add):
                        of_pairs.append(len(self.exprs))
                    self.exprs.append(made)
                    prices.append(1)
                    rows.append(more)
        of_pairs = of_pairs[: MOST if len(letters) < 3 else FEW]
        count = len(samples.states)
        weights = [samples.weights(n, letters) for n in range(count)]
        own = np.array([[a @ w for a, w in zip(flat, weights)] for flat in rows]).reshape(len(rows), count)
        self._where: list[tuple[str, NDArray[np.intp], NDArray[np.intp]]] = []
        prints, costs = [own], [np.array(prices, int)]
        if len(of_pairs) > 1:
            chosen = np.array(of_pairs)
            price = costs[0][chosen]
            positive = np.array([known.is_positive(self.exprs[k]) for k in of_pairs])
            products, quotients = [], []
            for n, w in enumerate(weights):
                flat_rows = np.array([rows[k][n] for k in of_pairs])
                products.append((flat_rows * w) @ flat_rows.T)
                with np.errstate(all="ignore"):
                    quotients.append((flat_rows * w) @ (1 / flat_rows).T)
            i, j = np.triu_indices(len(chosen), 1)
            two = price[i] + price[j] < 2
            self._add(
                prints,
                costs,
                "*",
                chosen[i[two]],
                chosen[j[two]],
                np.stack(products, -1)[i[two], j[two]],
                (1 + price[i] + price[j])[two],
            )
            plain = price[i] + price[j] == 0
            i, j = i[plain], j[plain]
            values = own[chosen]
            self._add(prints, costs, "+", chosen[i], chosen[j], values[i] + values[j], np.ones(len(i), int))
            self._add(prints, costs, "-", chosen[i], chosen[j], values[i] - values[j], np.ones(len(i), int))
            i, j = np.nonzero(
                ~np.eye(len(chosen), dtype=bool) & positive[None, :] & (price[:, None] + price[None, :] == 0)
            )
            self._add(prints, costs, "/", chosen[i], chosen[j], np.stack(quotients, -1)[i, j], np.ones(len(i), int))
        whole, cost = np.concatenate(prints), np.concatenate(costs)
        norms = np.linalg.norm(whole, axis=1) if count else np.zeros(0)
        keep = np.nonzero(np.isfinite(norms) & (norms > TINY) & (norms < HUGE))[0]
        self.mark = np.random.default_rng(11).standard_normal(count)
        units, keys = _directions(whole[keep], norms[keep], self.mark)
        order = np.argsort(keys, kind="stable")
        self.units, self.keys, self.places = units[order], keys[order], keep[order]
        self.prints, self.prices = whole[self.places], cost[self.places]
        self.count = len(rows)

    def _add(
        self,
        prints: list[Vector],
        costs: list[NDArray[np.int_]],
        op: str,
        left: NDArray[np.intp],
        right: NDArray[np.intp],
        values: Vector,
        price: NDArray[np.int_],
    ) -> None:
        self._where.append((op, left, right))
        prints.append(values)
        costs.append(price)

    def expression(self, place: int) -> Expr:
        """The entry of the table at a place."""
        if place < self.count:
            return self.exprs[place]
        place -= self.count
        for op, left, right in self._where:
            if place < len(left):
                return _made(op, self.exprs[left[place]], self.exprs[right[place]])
            place -= len(left)
        raise IndexError(place)

    def __call__(self, target: Vector, most: int) -> Iterator[Match]:
        """Entries proportional to `target` by a small number, cheapest first, of price at most `most`."""
        norm = float(np.linalg.norm(target))
        if not len(self.prints) or not TINY < norm < HUGE:
            return
        (unit,), (key,) = _directions(target[None, :], np.array([norm]), self.mark)
        low, high = np.searchsorted(self.keys, (key - DIGITS, key + DIGITS))
        if low == high:
            return
        near = np.abs(self.units[low:high] - unit).max(axis=1) <= DIGITS
        found: list[tuple[int, int, Fraction]] = []
        for k in np.nonzero(near)[0] + low:
            mine = self.prints[k]
            scale = _small(float(target @ mine / (mine @ mine)))
            if scale is not None:
                price = int(self.prices[k]) + (abs(scale) != 1)
                if price <= most:
                    found.append((price, int(self.places[k]), scale))
        for price, place, scale in sorted(found)[:4]:
            yield Match(mul(Num(scale), self.expression(place)), price)


def _directions(prints: Vector, norms: Vector, mark: Vector) -> tuple[Vector, Vector]:
    """Fingerprints without their scale, and a number for each to sort them by."""
    units = prints / norms[:, None]
    keys = units @ mark
    return units * np.sign(keys)[:, None], np.abs(keys)


def _small(ratio: float) -> Fraction | None:
    return next((s for s in SCALES if abs(ratio - float(s)) <= DIGITS * abs(float(s))), None)


def _made(op: str, a: Expr, b: Expr) -> Expr:
    if op == "*":
        return mul(a, b)
    if op == "/":
        return mul(a, Pow(b, MINUS_ONE))
    return Add((a, b if op == "+" else mul(MINUS_ONE, b)))


def _unary(e: Expr, functions: set[str], known: Known) -> Iterator[Expr]:
    """What one operation makes of an entry."""
    if isinstance(e, Num):
        return
    yield Add((ONE, mul(MINUS_ONE, e)))
    yield Pow(e, TWO)
    if not (isinstance(e, Entry) and e.tensor in known.binary):
        yield Compare(">", e, ZERO)
        yield Compare("<=", e, ZERO)
    if known.is_positive(e):
        yield Pow(e, MINUS_ONE)
    for fn in ("exp", "sigmoid", "tanh", "log"):
        if fn in functions or (fn in ("sigmoid", "exp") and functions & {"exp", "sigmoid", "softplus"}):
            yield Call(fn, e)


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


def canonical_letters(e: Expr) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """The free letters of `e` in order, and letters that depend on their sizes alone."""
    mine = tuple(sorted(e.free, key=lambda i: (text(i.dim), i.name[0] in "!#~", i.name)))  # the result's first
    return mine, tuple(Index(f"@{n}", i.dim) for n, i in enumerate(mine))


def in_letters(e: Expr, mine: tuple[Index, ...], theirs: tuple[Index, ...]) -> Expr:
    return substitute(e, dict(zip(mine, theirs)))


__all__ = ["Match", "Samples", "Table", "canonical_letters", "entries", "in_letters"]
