"""The structure of a derivative, read off its δs.

A derivative is a sum of terms, each a product of δs between an output's and an input's letter and
a rest. Nothing else is looked at, no function is known by name:

    diagonal            every letter of one side is tied to its letter of the other
    permuted-diagonal   the same, with the letters tied crosswise (∂Aᵀ/∂A)
    kronecker           some letters are tied, and the rest does not depend on them: I ⊗ block
    block-diagonal      some letters are tied, and the blocks differ
    diagonal-plus-outer a diagonal and f(o) g(i), as diag(p) − p pᵀ
    diagonal-plus-low-rank
    outer-product       f(o) g(i)
    low-rank            Σ_n f(o,n) g(n,i): the rank is at most the length of n
    sparse              every term has a δ or a condition between letters of both sides
    zero, scalar, vector, dense

A block is a derivative in the letters that are left, so it has a structure of its own. Beside it:
`constant` (no tensor in it depends on the variables) and `symmetric` (equal to itself with the two
sides exchanged, as expressions). What is claimed holds; what is not seen is not claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from symbp.arithmetic import canon, plus, powers, split
from symbp.expr import ONE, Add, Compare, Delta, Expr, Index, Mul, Num, Reduce, Size, add, mul, substitute

KINDS = (
    "zero",
    "scalar",
    "vector",
    "diagonal",
    "permuted-diagonal",
    "kronecker",
    "block-diagonal",
    "diagonal-plus-outer",
    "diagonal-plus-low-rank",
    "outer-product",
    "low-rank",
    "sparse",
    "dense",
)

Letters = tuple[Index, ...]
Pair = tuple[Index, Index]


@dataclass(frozen=True)
class Term:
    """Π δ(o, i) · rest; the rest has none of the i."""

    pairs: tuple[Pair, ...]
    rest: Expr

    @property
    def expr(self) -> Expr:
        return powers([self.rest, *(Delta(o, i) for o, i in self.pairs)])


@dataclass(frozen=True)
class Structure:
    """What a derivative looks like as an array.

    `pairs` are the letters tied in every term, `block` what stands at them; `diagonal` the entries
    of a diagonal in the outputs' letters; `minus` says that the outer product beside it is taken
    off; `rank` bounds the rank of a low-rank (part of a) derivative.
    """

    kind: str
    pairs: tuple[Pair, ...] = ()
    diagonal: Expr | None = None
    minus: bool = False
    rank: Expr | None = None
    block: Structure | None = None
    constant: bool = False
    symmetric: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The kind and what else holds."""
        more = (("constant", self.constant), ("symmetric", self.symmetric))
        return (self.kind, *(name for name, holds in more if holds and self.kind != "zero"))


def structure_of(
    terms: tuple[Term, ...],
    outputs: Letters,
    inputs: Letters,
    moving: frozenset[str],
    sort: Callable[[Expr], tuple[Term, ...]],
) -> Structure:
    """The structure of a sum of terms. `moving` are the tensors that depend on the variables;
    `sort` takes an expression to its terms."""
    found = _kind(terms, outputs, inputs)
    constant = all(t.rest.tensors.isdisjoint(moving) for t in terms)
    return replace(found, constant=constant, symmetric=_is_symmetric(terms, outputs, inputs, sort))


def _kind(terms: tuple[Term, ...], outputs: Letters, inputs: Letters) -> Structure:
    if not terms:
        return Structure("zero")
    if not outputs or not inputs:
        return Structure("vector" if outputs or inputs else "scalar")
    common = tuple(p for p in terms[0].pairs if all(p in t.pairs for t in terms))
    if _covers(common, outputs, inputs):
        straight = [o for o, _ in common] == list(outputs) and [i for _, i in common] == list(inputs)
        kind = "diagonal" if straight else "permuted-diagonal"
        return Structure(kind, common, diagonal=terms[0].rest)
    if common:
        return _in_blocks(terms, common, outputs, inputs)
    return _without_blocks(terms, outputs, inputs)


def _covers(pairs: Iterable[Pair], outputs: Letters, inputs: Letters) -> bool:
    """Is each letter of both sides tied once?"""
    pairs = tuple(pairs)
    return (
        len(pairs) == len(outputs) == len(inputs)
        and {o for o, _ in pairs} == set(outputs)
        and {i for _, i in pairs} == set(inputs)
    )


def _in_blocks(terms: tuple[Term, ...], common: tuple[Pair, ...], outputs: Letters, inputs: Letters) -> Structure:
    """Letters that are tied in every term, and a derivative in the others at each of them."""
    tied = {x for p in common for x in p}
    inner = tuple(Term(tuple(p for p in t.pairs if p not in common), t.rest) for t in terms)
    block = _kind(inner, tuple(o for o in outputs if o not in tied), tuple(i for i in inputs if i not in tied))
    once = len(tied) == 2 * len(common)
    alike = once and all(tied.isdisjoint(t.rest.free) for t in terms)
    return Structure("kronecker" if alike else "block-diagonal" if once else "sparse", common, block=block)


def _without_blocks(terms: tuple[Term, ...], outputs: Letters, inputs: Letters) -> Structure:
    free = [t for t in terms if not t.pairs]
    if len(free) == len(terms) == 1:
        rest = terms[0].rest
        if _separates(rest, outputs, inputs):
            return Structure("outer-product", rank=ONE)
        rank = _rank(rest, outputs, inputs)
        if rank is not None:
            return Structure("low-rank", rank=rank)
    elif len(terms) == 2 and free and _straight(terms[0], outputs, inputs):
        rank = _rank(free[0].rest, outputs, inputs)
        if rank is not None:
            kind = "diagonal-plus-outer" if rank is ONE else "diagonal-plus-low-rank"
            return Structure(kind, diagonal=terms[0].rest, minus=split(free[0].rest)[0] < 0, rank=rank)
    if all(t.pairs or _conditioned(t.rest, outputs, inputs) for t in terms):
        return Structure("sparse")
    return Structure("dense")


def _straight(t: Term, outputs: Letters, inputs: Letters) -> bool:
    return t.pairs == tuple(zip(outputs, inputs)) and len(outputs) == len(inputs)


def _separates(e: Expr, outputs: Letters, inputs: Letters) -> bool:
    """Is it f(o) g(i)?"""
    left, right = set(outputs), set(inputs)
    return all(left.isdisjoint(f.free) or right.isdisjoint(f.free) for f in _factors(e))


def _rank(e: Expr, outputs: Letters, inputs: Letters) -> Expr | None:
    """A bound on the rank of the matrix whose rows are the outputs and whose columns the inputs:
    the number of terms f(o) g(i) that add up to it."""
    if _separates(e, outputs, inputs):
        return ONE
    if isinstance(e, Add):
        ranks = [_rank(t, outputs, inputs) for t in e.args]
        return plus(r for r in ranks if r is not None) if None not in ranks else None
    mixed = [f for f in _factors(e) if not _separates(f, outputs, inputs)]
    if len(mixed) != 1:
        return None
    core = mixed[0]
    if isinstance(core, Reduce) and core.op == "sum":
        indices, body = core.expose()
        inner = _rank(body, outputs, inputs)
        return powers([*(i.dim for i in indices), inner]) if inner is not None else None
    return _rank(core, outputs, inputs) if isinstance(core, Add) else None


def _factors(e: Expr) -> tuple[Expr, ...]:
    return e.args if isinstance(e, Mul) else (e,)


def _conditioned(e: Expr, outputs: Letters, inputs: Letters) -> bool:
    """Is it zero outside of a condition between letters of both sides?"""
    for f in _factors(e):
        if isinstance(f, (Delta, Compare)) and not f.tensors:
            if not f.free.isdisjoint(outputs) and not f.free.isdisjoint(inputs):
                return True
    return isinstance(e, Add) and all(_conditioned(t, outputs, inputs) for t in e.args)


def _is_symmetric(
    terms: tuple[Term, ...], outputs: Letters, inputs: Letters, sort: Callable[[Expr], tuple[Term, ...]]
) -> bool:
    """Is it equal to itself with the two sides exchanged?"""
    if not outputs or [o.dim for o in outputs] != [i.dim for i in inputs]:
        return False
    exchange: dict[Index, Expr] = {**dict(zip(outputs, inputs)), **dict(zip(inputs, outputs))}
    whole = add(*(t.expr for t in terms))
    turned = sort(substitute(whole, exchange))
    if {t.pairs: canon(t.rest) for t in terms} == {t.pairs: canon(t.rest) for t in turned}:
        return True
    return not sort(add(whole, mul(Num(-1), add(*(t.expr for t in turned)))))


def rank_is_telling(rank: Expr) -> bool:
    """A bound that is a number, a size, or a product of them."""
    return isinstance(rank, (Num, Size)) or (isinstance(rank, Mul) and all(map(rank_is_telling, rank.args)))


__all__ = ["KINDS", "Structure", "Term", "rank_is_telling", "structure_of"]
