"""Order and signs as textbooks have them, once a form is as short as the laws make it.

What comes from upstream is written first, then the slope: δ ⊙ σ′, R ⊙ z ⊙ (1 − h²). Of the two ways to write a
difference the usual one is taken where a sign elsewhere pays for it: 1 − a rather than a − 1, y − t rather than t − y,
and the same way throughout one sum. Means stand before products with means: δ − mean(δ) − x̂ mean(δ ⊙ x̂). Values and
length stay what they are; the letters of sums, and matrix products, are not touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

from symbp.arithmetic import canon, factors_of, length, plus, positive, powers, sign_of, split
from symbp.expr import MINUS_ONE, ONE, Add, Entry, Expr, Index, Mul, Num, Reduce, add, mul, rebuild, substitute, walk
from symbp.graph import Graph, primal
from symbp.local import canonical_letters, in_letters
from symbp.rules import Used, positive_first

ROOM = 60  # signs of longer forms are left as they are
TERMS = 8


class Textbook:
    """Words the forms of one graph; remembers what it has worded."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._decimals = any(isinstance(x, Num) and x.decimal for x in (*graph.constants.values(), *graph.parts))
        self._done: dict[tuple[Expr, frozenset[Index]], Expr] = {}
        self._as_it_is: dict[Expr, list[frozenset[Index]]] = {}
        self._how_unusual: dict[Add, int] = {}

    def __call__(self, e: Expr, bound: frozenset[Index] = frozenset()) -> Expr:
        """`e` with factors and signs in the usual order; `bound` are the letters of the sums around it."""
        key = (e, bound)
        found = self._done.get(key)
        if found is None:
            found = self._done[key] = self._sum(e, bound) if isinstance(e, Reduce) else self._worded(e, bound)
        return found

    def _sum(self, e: Reduce, bound: frozenset[Index]) -> Expr:
        """A sum that was left as it is stays so whatever its letters are called, and among more sums: these only
        forbid changes."""
        mine, theirs = canonical_letters(e)
        there = frozenset(t for i, t in zip(mine, theirs) if i in bound)
        as_it_is = self._as_it_is.setdefault(in_letters(e, mine, theirs), [])
        if any(other <= there for other in as_it_is):
            return e
        found = self._worded(e, bound)
        if found is e:
            as_it_is.append(there)
        return found

    def _worded(self, e: Expr, bound: frozenset[Index]) -> Expr:
        if isinstance(e, Num):
            return self._number(e)
        if not e.args or isinstance(e, Entry):
            return e
        if isinstance(e, Reduce):
            indices, body = e.expose()
            inner = self(body, bound | set(indices))
            return e if inner is body else Reduce(e.op, indices, inner, e.at)
        args = [self(a, bound) for a in e.args]
        now = rebuild(e, args) if any(a is not b for a, b in zip(args, e.args)) else e
        if isinstance(now, Add):
            return _means_first(self._entrywise_first(_complements(self._signs(now))))
        return self._upstream_first(self._signs(now), bound) if isinstance(now, Mul) else now

    def _number(self, e: Num) -> Num:
        """1.702 where the user wrote decimals, also where a law has made 851/500 of it."""
        bottom = e.value.denominator
        return Num(e.value, True) if self._decimals and bottom % 5 == 0 and 10**12 % bottom == 0 else e

    # -- factors --

    def _upstream_first(self, e: Expr, bound: frozenset[Index]) -> Expr:
        """What comes from upstream before the factors that it is multiplied with entry by entry."""
        factors = list(factors_of(e))
        first = [f for f in factors if f.free and self._names_error(f)]
        if not first:
            holding = [f for f in factors if f.free and any(map(self._is_residual, (f, *_differences(f))))]
            first = [f for f in holding if self._is_residual(f)]
            if len(holding) != 1 or not first:
                return e
        for f in first:
            at = factors.index(f)
            ahead = (n for n, g in enumerate(factors[:at]) if g not in first and _beside(g, f, bound))
            place = next(ahead, None)
            if place is not None:
                factors.insert(place, factors.pop(at))
        return e if tuple(factors) == e.args else mul(*factors)

    def _entrywise_first(self, e: Expr) -> Expr:
        """What arrives entry by entry before what comes through weights: δ ⊙ (1 − z) + Uᵀ δ_z."""
        if not isinstance(e, Add) or not e.free:
            return e
        entries = [t for t in e.args if isinstance(split(t)[1], Entry) and t.free == e.free]
        plain = [t for t in entries if not self._names_error(t)]
        residual = plain if len({sign_of(t) for t in plain}) > 1 else []  # h − y
        arriving = [t for t in e.args if not any(t is f for f in residual) and self._arrives_entrywise(t, e.free)]
        arriving.sort(key=lambda t: (sign_of(t) < 0, self.graph.errors.isdisjoint(t.tensors)))
        first = [*residual, *arriving]
        rest = [t for t in e.args if not any(t is f for f in first)]
        return add(*first, *rest) if arriving and sign_of(first[0]) > 0 else e

    def _arrives_entrywise(self, t: Expr, letters: frozenset[Index]) -> bool:
        parts = list(walk(t))
        whole = any(isinstance(x, Entry) and x.free == letters and self._names_error(x) for x in parts)
        return whole and not any(isinstance(x, Reduce) for x in parts)

    def _names_error(self, e: Expr) -> bool:
        return any(primal(t) is not None or t in self.graph.errors for t in e.tensors)

    def _is_residual(self, e: Expr) -> bool:
        """p − t, of what the network computes and a leaf; where a gradient comes from outside, h − c is no error."""
        if self.graph.errors or not isinstance(e, Add) or len(e.args) != 2 or sign_of(e.args[0]) == sign_of(e.args[1]):
            return False
        plain = [split(t)[1] for t in e.args]
        return sorted(self._is_leaf(t.tensor) for t in plain if isinstance(t, Entry)) == [False, True]

    def _is_leaf(self, tensor: str) -> bool:
        return tensor in self.graph.nodes and self.graph[tensor].is_leaf

    # -- signs --

    def _signs(self, e: Expr) -> Expr:
        """The usual way to write the differences of a sum or a product, where signs allow it."""
        if not isinstance(e, (Add, Mul)) or len(e.args) > TERMS or length(e) > ROOM:
            return e
        badness = self._badness(e)
        while badness:
            better = ((self._badness(x), x) for x in self._turned(e) if length(x) <= length(e))
            least, found = min(better, key=lambda p: p[0], default=(badness, e))
            if least >= badness:
                break
            badness, e = least, found
        return e

    def _turned(self, e: Expr) -> Iterator[Expr]:
        """The same value with two differences of a product turned, or one in a summand and its sign."""
        if isinstance(e, Mul):
            ways = [(n, t) for n, f in enumerate(e.args) for t in _turnings(f)]
            for k, (n, one) in enumerate(ways):
                for m, two in ways[k + 1 :]:
                    if m != n:
                        yield mul(*(one if i == n else two if i == m else f for i, f in enumerate(e.args)))
            return
        for n, t in enumerate(e.args):
            coefficient, rest = split(t)
            for m, f in enumerate(factors_of(rest)):
                for turned in _turnings(f):
                    parts = [*factors_of(rest)]
                    parts[m] = turned
                    term = mul(*((Num(-coefficient),) if coefficient != -1 else ()), *parts)
                    whole = Add((*e.args[:n], term, *e.args[n + 1 :]))
                    yield positive_first(None, whole, Used()) or whole

    def _badness(self, e: Expr) -> int:
        """How unusual the differences of a form are written; a minus counts too, so that none comes for nothing."""
        found = _differences(e)
        minus = 0
        if isinstance(e, Add):
            own = set(map(_unlettered, e.args))
            found += [d for d in found if all(_unlettered(powers((MINUS_ONE, t))) in own for t in d.args)] * 2
            minus = sum(sign_of(t) < 0 for t in e.args)
        count = Counter(d.tensors for d in found)
        alike = [d for d in found if count[d.tensors] > 1]
        seen = set(map(_unlettered, alike))
        both = sum(_unlettered(_negative(d)) in seen for d in alike)
        return sum(map(self._unusual, found)) + both + minus

    def _unusual(self, d: Add) -> int:
        """t − y for a target t and an output y, a − 1, −1 − a."""
        found = self._how_unusual.get(d)
        if found is None:
            found = self._how_unusual[d] = self._weighed(d)
        return found

    def _weighed(self, d: Add) -> int:
        if all(sign_of(t) < 0 for t in d.args):
            return 4
        if any(isinstance(t, Num) and t.value < 0 for t in d.args):
            return 2
        if not self._is_residual(d):
            return 0
        taken_away = next(split(t)[1] for t in d.args if sign_of(t) < 0)
        return 0 if self._is_leaf(next(iter(taken_away.tensors))) else 1


def _beside(g: Expr, f: Expr, bound: frozenset[Index]) -> bool:
    """Does f stand with g entry by entry, and not in a matrix product?"""
    return bool(g.free) and (g.free == f.free or (g.free < f.free and g.free.isdisjoint(bound)))


def _differences(e: Expr) -> list[Add]:
    """The differences that are factors of a form, or of its summands, also under sums."""
    return [d for t in (e.args if isinstance(e, Add) else (e,)) for d in _inside(t)]


def _inside(e: Expr) -> list[Add]:
    found: list[Add] = []
    for f in factors_of(e):
        if isinstance(f, Add):
            if any(sign_of(t) < 0 for t in f.args):
                found.append(f)
            found += (d for t in f.args for d in _inside(t))
        elif isinstance(f, Reduce) and f.op == "sum":
            found += _under_sum(f.body)
    return found


@lru_cache(maxsize=4096)
def _under_sum(body: Expr) -> tuple[Add, ...]:
    return tuple(_inside(body))


@lru_cache(maxsize=4096)
def _unlettered(e: Expr) -> Expr:
    """The same for a difference whatever its letters are called, up to the order of its terms."""
    return canon(substitute(e, {i: Index("§", i.dim) for i in e.free}))


def _turnings(f: Expr) -> Iterator[Expr]:
    """The negative of a factor, by turning one difference in it."""
    if isinstance(f, Add) and any(sign_of(t) < 0 for t in f.args):
        yield _negative(f)
    elif isinstance(f, Reduce) and f.op == "sum":
        indices, body = f.expose()
        parts = factors_of(body)
        for n, p in enumerate(parts):
            for turned in _turnings(p):
                yield Reduce("sum", indices, mul(*parts[:n], turned, *parts[n + 1 :]))


@lru_cache(maxsize=4096)
def _negative(d: Add) -> Expr:
    turned = plus(powers((MINUS_ONE, t)) for t in d.args)
    return positive_first(None, turned, Used()) or turned


def _complements(e: Expr) -> Expr:
    """x − x y = x (1 − y) among other summands; of two alone a law has seen it."""
    for n, t in enumerate(e.args if isinstance(e, Add) and len(e.args) > 2 else ()):
        for m, u in enumerate(e.args):
            rest = [f for f in factors_of(positive(u)) if f not in factors_of(t)]
            if t.tensors and sign_of(t) > 0 > sign_of(u) and len(rest) == 1 and isinstance(rest[0], Entry):
                whole = powers((t, Add((ONE, mul(MINUS_ONE, rest[0])))))
                result = plus(whole if k == n else s for k, s in enumerate(e.args) if k != m)
                if canon(powers((t, rest[0]))) is canon(positive(u)) and length(result) <= length(e):
                    return _complements(result)
    return e


def _means_first(e: Expr) -> Expr:
    """δ − mean(δ) − x̂ mean(δ ⊙ x̂): of what is taken away, tensors first, then what lies along fewer axes."""
    if not isinstance(e, Add) or sign_of(e.args[0]) < 0:
        return e
    places = [n for n, t in enumerate(e.args) if sign_of(t) < 0]
    key: Callable[[Expr], tuple[bool, int]] = lambda t: (not isinstance(split(t)[1], Entry), len(t.free))  # noqa: E731
    terms = list(e.args)
    for n, t in zip(places, sorted((e.args[n] for n in places), key=key)):
        terms[n] = t
    return e if tuple(terms) == e.args else Add(terms)


__all__ = ["Textbook"]
