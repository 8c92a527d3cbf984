"""Outer products where the algebra has two diagonal matrices: Xᵀ ((p − t) wᵀ ⊙ A ⊙ (1 − A)).

What is constant in a sum stands outside it, so that the weights w of the next layer come away from the error p − t
and from the slopes: Xᵀ diag(p − t) (A ⊙ (1 − A)) diag(w). A lecturer writes the error of the layer, (p − t) wᵀ, and
its slopes next to each other. The product is the same, factor by factor; only its grouping changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbp.arithmetic import sign_of
from symbp.expr import Add, Entry, Expr, Index, Mul, Num, Pow, Reduce
from symbp.graph import primal


def outward(factors: Sequence[Expr], bound: Sequence[Index], grouped: bool = False) -> Sequence[Expr]:
    """(e wᵀ) ⊙ M where the algebra has diag(e) M diag(w): an error and a vector of weights as one factor with the
    slopes between them, also where the vector was taken out of the sum that holds the others."""
    for w in factors:
        if not is_vector(w):
            continue
        outer = outer_at(w, factors)
        if outer is not None and _goes_on(outer, factors, bound):
            rest = _without(factors, outer)
            if not bound and not grouped and not any(f.free for f in rest):
                return factors  # nothing but this: the elementwise product is written so
            return outward([Mul(outer.factors), *rest], bound, True)
        for n, f in enumerate(factors):
            inside = _put_in(w, f)
            if inside is not None:
                rest = [x for x in factors if x is not f and x is not w]
                return outward([*rest[:n], inside, *rest[n:]], bound, True)
    return factors


@dataclass(frozen=True)
class Outer:
    """Vectors on the two letters of a matrix of slopes: (e wᵀ) ⊙ M."""

    errors: tuple[Expr, ...]
    weights: tuple[Expr, ...]
    slopes: tuple[Expr, ...]

    @property
    def factors(self) -> tuple[Expr, ...]:
        return (*self.errors, *self.weights, *self.slopes)


def is_vector(e: object) -> bool:
    """A factor on one letter that does not divide."""
    if not isinstance(e, Expr) or len(e.free) != 1:
        return False
    return not (isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value < 0)


def outer_at(w: object, factors: Sequence[object]) -> Outer | None:
    """The vector `w`, those on another letter, and the slopes on both, where the outer product of the vectors reads
    better than two diagonal matrices: one of them is an error, or the matrix is slopes. D^(-1/2) A D^(-1/2) is none."""
    assert isinstance(w, Expr)
    vectors = [f for f in factors if isinstance(f, Expr) and is_vector(f)]
    weights = tuple(v for v in vectors if v.free == w.free)
    for letters in dict.fromkeys(f.free for f in factors if isinstance(f, Expr)):
        if len(letters) != 2 or not w.free < letters:
            continue
        errors = tuple(v for v in vectors if v.free == letters - w.free)
        slopes = tuple(f for f in factors if isinstance(f, Expr) and f.free == letters)
        plain = len(slopes) == 1 and isinstance(slopes[0], (Entry, Reduce))
        if errors and (any(map(_is_error, (*errors, *weights))) or not (plain or any(map(_is_error, slopes)))):
            return Outer(errors, weights, slopes)
    return None


def _goes_on(outer: Outer, factors: Sequence[Expr], bound: Sequence[Index]) -> bool:
    """Is each of its letters one of the result, or one that another factor goes on with? Else M w is meant."""
    others = frozenset().union(*(f.free for f in _without(factors, outer)))
    return all(i in others or i not in bound for i in outer.slopes[0].free)


def _without(factors: Sequence[Expr], outer: Outer) -> list[Expr]:
    return [f for f in factors if not any(f is x for x in outer.factors)]


def _is_error(e: Expr) -> bool:
    """Does it come from upstream: does it name an adjoint, or is it a difference like p − t?"""
    if isinstance(e, Add):
        return len([t for t in e.args if t.tensors]) > 1 and any(sign_of(t) < 0 for t in e.args)
    if isinstance(e, Entry):
        return primal(e.tensor) is not None
    return isinstance(e, (Mul, Reduce)) and any(map(_is_error, e.args))


def _put_in(w: Expr, e: Expr) -> Expr | None:
    """A sum with the vector `w` put in, at the place where it makes an outer product with what stands there."""
    if not isinstance(e, Reduce) or e.op != "sum" or not isinstance(e.body, Mul) or not w.free < e.free:
        return None
    letters, body = e.expose(w)
    for n, f in enumerate(body.args):
        inside = _put_in(w, f)
        if inside is not None:
            return Reduce("sum", letters, Mul((*body.args[:n], inside, *body.args[n + 1 :])))
    outer = outer_at(w, [*body.args, w])
    if outer is None or not _goes_on(outer, body.args, letters):
        return None
    rest = _without(body.args, outer)
    return Reduce("sum", letters, Mul((*rest, Mul(outer.factors)) if rest else outer.factors))


__all__ = ["Outer", "is_vector", "outer_at", "outward"]
