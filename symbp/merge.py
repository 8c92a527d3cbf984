"""Sums that become one: Σ_k x_k c_k + Σ_k y_k c_k = Σ_k (x_k + y_k) c_k.

What two contractions share is factored out on its own side, whatever they sum besides:
(A + Aᵀ) x, (XᵀE + EᵀX) W, (W₀ + B A)ᵀ R, A⁻¹(S + d dᵀ)A⁻¹. A result is taken where it is shorter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from symbp.arithmetic import factors_of, length, plus, powers, split, sum_over
from symbp.expr import (
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
    Size,
    mul,
    substitute,
    walk,
)
from symbp.expr import replace as rewrite
from symbp.rules import Knowledge, Used, common_factor, positive_first

FLAT = 12  # longer contractions are not taken apart to find what they share


def under_one_sum(s: Knowledge | None, e: Expr, used: Used) -> Expr | None:
    """Σ_k x_k c_k + Σ_k y_k c_k = Σ_k (x_k + y_k) c_k: (A + Aᵀ) x, Xᵀ (p − y). Ends: shorter."""
    if not isinstance(e, Add) or len(e.args) > 8:
        return None
    best: Expr | None = None
    for n, one in enumerate(e.args):
        for m, two in enumerate(e.args[n + 1 :], n + 1):
            for merged in _merged(one, two):
                result = plus(merged if k == n else t for k, t in enumerate(e.args) if k != m)
                if length(result) < length(best if best is not None else e):
                    best = result
    return best


def _merged(one: Expr, two: Expr) -> Iterator[Expr]:
    """Every way to put two terms under the sum of a factor that they share."""
    for outer, left in _sums_of(one):
        for other, right in _sums_of(two):
            if left.tensors.isdisjoint(right.tensors):
                continue
            lone = not (isinstance(left.body, Mul) and isinstance(right.body, Mul))
            apart = lone and any(f.tensors for f in (*outer, *other))
            most = length(one) + length(two)  # x Σ c − y Σ c d is as good as Σ c (x − y d)
            mine, first = left.expose(one, two)
            theirs, second = right.expose(one, two, first)
            tops, bottoms = factors_of(first), factors_of(second)
            tried: set[Expr] = set()
            for n, f in enumerate(tops):
                if f in tried or f.free.isdisjoint(mine):
                    continue
                tried.add(f)
                for g in bottoms:
                    same: dict[Index, Expr] = {}
                    if _match(g, f, frozenset(theirs), frozenset(mine), same):
                        joined = _joined(outer, other, mine, theirs, tops, bottoms, n, g, same)
                        yield from (x for x in joined if not apart or length(x) < most)


def _joined(
    outer: list[Expr],
    other: list[Expr],
    mine: tuple[Index, ...],
    theirs: tuple[Index, ...],
    tops: tuple[Expr, ...],
    bottoms: tuple[Expr, ...],
    n: int,
    g: Expr,
    same: dict[Index, Expr],
) -> Iterator[Expr]:
    shared = [tops[n]]
    left = [f for k, f in enumerate(tops) if k != n]
    right = [substitute(f, same) for f in bottoms if f is not g]
    letters = tuple(i for i in mine if i in tops[n].free)
    for f in list(left):
        if f in right and f.free.isdisjoint(set(mine) - set(letters)):
            left.remove(f)
            right.remove(f)
            shared.append(f)
    both = [f for f in outer if f in other and not isinstance(f, Num)]
    rests = []
    for extra, rest, bound in (
        ([f for f in outer if f not in both], left, tuple(i for i in mine if i not in letters)),
        ([f for f in other if f not in both], right, tuple(i for i in theirs if i not in same)),
    ):
        body = sum_over(bound, powers(rest)) if bound else powers(rest)
        rests.append(powers([*extra, body]))
    if (
        any(_is_outer(r) for r in rests)
        and len(frozenset().union(*(f.free for f in (*both, *shared, *rests))) - set(letters)) < 2
    ):
        return  # an outer product would be built to be multiplied by a vector
    if any(_is_spread(r) for r in rests):
        return  # W diag(a) + V diag(b) is shorter, but (W ⊙ …) x with each its own vector reads better
    inner = plus(rests)
    inner = under_one_sum(None, inner, Used()) or common_factor(None, inner, Used()) or inner
    inner = positive_first(None, inner, Used()) or inner
    if len(inner.free) > max([2, *(len(x.idx) for x in walk(inner) if isinstance(x, Entry))]):
        return  # an array of higher order than any tensor in it has no matrix form
    order = [*shared, inner] if n == 0 else [inner, *shared]
    yield powers([*both, sum_over(letters, powers(order))])


def _is_spread(r: Expr) -> bool:
    """A matrix times something else, entry by entry."""
    carriers = [f for f in factors_of(r) if f.free]
    return len(carriers) > 1 and any(len(f.free) > 1 for f in carriers)


def _is_outer(r: Expr) -> bool:
    """A product of vectors on different letters."""
    return len({f.free for f in factors_of(r) if f.free}) > 1


def _sums_of(t: Expr) -> Iterator[tuple[list[Expr], Reduce]]:
    """Each sum over a product, or over one factor, among the factors of a term, with the other factors."""
    factors = list(factors_of(t))
    for n, f in enumerate(factors):
        if isinstance(f, Reduce) and f.op == "sum" and not isinstance(f.body, Add):
            rest = factors[:n] + factors[n + 1 :]
            yield rest, f
            whole = flat(f) if length(f) <= FLAT else f
            if whole is not f:
                yield rest, whole


def flat(r: Reduce) -> Reduce:
    """Σ_i a_i Σ_j b_ij = Σ_ij a_i b_ij, at every depth of a product."""
    if not any(isinstance(f, Reduce) and f.op == "sum" and isinstance(f.body, Mul) for f in factors_of(r.body)):
        return r
    indices, body = r.open()
    letters, factors = list(indices), []
    pending = list(factors_of(body))
    while pending:
        f = pending.pop(0)
        if isinstance(f, Reduce) and f.op == "sum" and isinstance(f.body, Mul):
            inner, part = f.open()
            letters.extend(inner)
            pending = [*factors_of(part), *pending]
        else:
            factors.append(f)
    return Reduce("sum", letters, mul(*factors))


def _match(a: Expr, b: Expr, theirs: frozenset[Index], mine: frozenset[Index], same: dict[Index, Expr]) -> bool:
    """Is `a` the factor `b` with letters of the one sum for letters of the other?"""
    if isinstance(a, Index) and a in theirs:
        if a in same:
            return same[a] is b
        if isinstance(b, Index) and b in mine and b.dim is a.dim and b not in same.values():
            same[a] = b
            return True
        return False
    if a is b:
        return a.free.isdisjoint(theirs)
    if type(a) is not type(b) or len(a.args) != len(b.args):
        return False
    if isinstance(a, Entry) and isinstance(b, Entry) and a.tensor != b.tensor:
        return False
    if isinstance(a, (Call, Compare)) and isinstance(b, (Call, Compare)) and a.fn != b.fn:
        return False
    if isinstance(a, Reduce) and isinstance(b, Reduce) and (a.op != b.op or a.bound != b.bound):
        return False
    if not a.args:
        return False
    return all(_match(x, y, theirs, mine, same) for x, y in zip(a.args, b.args))


def one_sum(e: Expr) -> Expr:
    """Σ x + Σ y = Σ (x + y), where that shortens: the last thing, as two sums may still fold apart."""
    if not any(isinstance(x, Add) and any(map(_is_total, x.args)) for x in walk(e)):
        return e

    def rule(x: Expr) -> Expr | None:
        if isinstance(x, Add):
            args = [one_sum(a) for a in x.args]
            return _one_sum(x if tuple(args) == x.args else plus(args))
        if isinstance(x, Mul) and any(isinstance(f, Pow) and isinstance(f.base, Size) for f in x.args):
            means = powers(_one_sum(f, 1) if isinstance(f, Add) else f for f in x.args)
            return means if length(means) < length(x) else None  # Σ/N is one call
        return None if any(isinstance(y, Add) for y in walk(x)) else x

    return rewrite(e, rule)


def _one_sum(e: Expr, slack: int = 0) -> Expr:
    if not isinstance(e, Add):
        return e
    for n, one in enumerate(e.args):
        for m, two in enumerate(e.args[n + 1 :], n + 1):
            merged = _same_sum(one, two)
            if merged is not None:
                result = plus(merged if k == n else t for k, t in enumerate(e.args) if k != m)
                if length(result) < length(e) + slack:
                    return _one_sum(result)
    return e


def _is_total(t: Expr) -> bool:
    """Is there a Σ among the factors that is no matrix product?"""
    return any(map(_is_sum, factors_of(t)))


def _is_sum(f: Expr) -> TypeGuard[Reduce]:
    squares = isinstance(f, Reduce) and isinstance(f.body, Pow)
    return isinstance(f, Reduce) and f.op == "sum" and (squares or length(f) > length(f.body))


def _same_sum(one: Expr, two: Expr) -> Expr | None:
    (c, left), (d, right) = split(one), split(two)
    tops, bottoms = list(factors_of(left)), list(factors_of(right))
    for n, f in enumerate(tops):
        if _is_sum(f):
            rest = tops[:n] + tops[n + 1 :]
            for m, g in enumerate(bottoms):
                if (
                    isinstance(g, Reduce)
                    and g.op == "sum"
                    and g.bound == f.bound
                    and length(g) > length(g.body)
                    and bottoms[:m] + bottoms[m + 1 :] == rest
                ):
                    letters, body = f.expose()
                    other = substitute(g.body, dict(zip(g.bound, letters)))
                    inner = plus((mul(Num(c), body), mul(Num(d), other)))
                    return powers([*rest, sum_over(letters, common_factor(None, inner, Used()) or inner)])
    return None


__all__ = ["one_sum", "under_one_sum"]
