"""Second derivatives as what is between two matrices: Wᵀ (diag(p) − p pᵀ) W.

The chain rule multiplies out what it passes, Σ_k W_ki p_k W_kj − (Σ_k W_ki p_k)(Σ_l p_l W_lj), and the laws factor
that from one side only. Where every term has the same matrix at the output's letter and the same at the input's, what
stands between them is the derivative by the tensor before: Gauss and Newton's form, which shows that it is symmetric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symbp.arithmetic import canon, factors_of, powers, sum_over
from symbp.expr import Add, Delta, Entry, Expr, Index, Mul, Num, Reduce, add, fresh, mul, substitute
from symbp.structure import Term, structure_of

MOST = 12  # terms that are looked at

Flat = tuple[tuple[Index, ...], tuple[Expr, ...]]
Sort = Callable[[Expr, tuple[Index, ...], tuple[Index, ...]], tuple[Term, ...]]


@dataclass(frozen=True)
class Sandwich:
    """numbers · Σ_kl left_k,row M_kl right_l,column, with M sorted by δs."""

    numbers: tuple[Expr, ...]
    left: Expr
    terms: tuple[Term, ...]
    right: Expr
    letters: tuple[Index, Index]
    symmetric: bool  # is it seen to be?

    @property
    def expr(self) -> Expr:
        inner = add(*(t.expr for t in self.terms))
        return powers([*self.numbers, Reduce("sum", self.letters, Mul((self.left, inner, self.right)))])

    def between(self, inside: Callable[[Index], Expr], right: bool) -> Expr:
        """M u, or Mᵀ u, for a vector u given by its entries, in the letter that is left."""
        k, l = self.letters
        kept, summed = (k, l) if right else (l, k)
        parts = []
        for t in self.terms:
            if t.pairs:
                parts.append(powers([substitute(t.rest, {k: kept}), inside(kept)]))
            else:
                parts.append(sum_over((summed,), mul(t.rest, inside(summed))))
        return add(*parts)


def sandwich(e: Expr, row: Index, column: Index, sort: Sort) -> Sandwich | None:
    """`e` as Σ_kl A_k,row M_kl B_l,column; None where its terms have no such matrices in common, or where M is a
    diagonal alone. `sort` takes an expression to its terms by δs."""
    flat = _flat(e, frozenset((row, column)))
    if not 1 < len(flat) <= MOST:
        return None
    one = _outermost(flat[0], row)
    two = _outermost(flat[0], column)
    if one is None or two is None:
        return None
    k, l = fresh(one[1].dim), fresh(two[1].dim)
    left, right = substitute(one[0], {one[1]: k}), substitute(two[0], {two[1]: l})
    middle: list[Expr] = []
    for term in flat:
        between = _between(term, row, column, left, right, k, l)
        if between is None:
            return None
        middle.append(between)
    terms = sort(add(*middle), (k,), (l,))
    if len(terms) < 2:
        return None
    numbers, terms = _common(terms)
    mirrored = substitute(left, {row: column, k: l}) is right
    seen = structure_of(terms, (k,), (l,), frozenset(), lambda x: sort(x, (k,), (l,)))
    return Sandwich(numbers, left, terms, right, (k, l), mirrored and seen.symmetric)


def _flat(e: Expr, ends: frozenset[Index]) -> list[Flat]:
    """The terms of `e` multiplied out, as far as a letter of either end is in them: the letters that are summed, and
    the factors."""
    if e.free.isdisjoint(ends):
        return [((), (e,))]
    if isinstance(e, Add):
        return [t for a in e.args for t in _flat(a, ends)]
    if isinstance(e, Mul):
        rows: list[Flat] = [((), ())]
        for a in e.args:
            rows = [((*i, *j), (*f, *g)) for i, f in rows for j, g in _flat(a, ends)][: MOST + 1]
        return rows
    if isinstance(e, Reduce) and e.op == "sum":
        letters, body = e.open()
        return [((*letters, *i), f) for i, f in _flat(body, ends)]
    return [((), (e,))]


def _outermost(term: Flat, letter: Index) -> tuple[Entry, Index] | None:
    """The only factor with the letter of one side, if it is a matrix, and its other letter, if that is summed."""
    letters, factors = term
    mine = [f for f in factors if letter in f.free]
    if len(mine) != 1 or not isinstance(mine[0], Entry) or len(mine[0].free) != 2:
        return None
    (other,) = mine[0].free - {letter}
    return (mine[0], other) if other in letters else None


def _between(term: Flat, row: Index, column: Index, left: Expr, right: Expr, k: Index, l: Index) -> Expr | None:
    """What a term has between the two matrices, in the letters k and l; δ_kl where both stand at one letter."""
    one, two = _outermost(term, row), _outermost(term, column)
    if one is None or two is None:
        return None
    letters, factors = term
    if substitute(one[0], {one[1]: k}) is not left or substitute(two[0], {two[1]: l}) is not right:
        return None
    rest = [f for f in factors if f is not one[0] and f is not two[0]]
    tied = one[1] is two[1]
    own = tuple(i for i in letters if i is not one[1] and i is not two[1])
    inner = substitute(powers(rest), {one[1]: k} if tied else {one[1]: k, two[1]: l})
    return mul(sum_over(own, inner) if own else inner, *([Delta(k, l)] if tied else []))


def _common(terms: tuple[Term, ...]) -> tuple[tuple[Expr, ...], tuple[Term, ...]]:
    """The scalars that all terms share, and the terms without them."""
    tables = [factors_of(t.rest) for t in terms]
    keys = [{canon(f) for f in table} for table in tables]
    shared = [f for f in tables[0] if not f.free and not isinstance(f, Num) and all(canon(f) in s for s in keys)]
    drop = {canon(f) for f in shared}
    rests = (powers([f for f in table if canon(f) not in drop]) for table in tables)
    return tuple(shared), tuple(Term(t.pairs, r) for t, r in zip(terms, rests))


__all__ = ["Sandwich", "sandwich"]
