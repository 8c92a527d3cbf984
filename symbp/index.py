"""Index calculus: using up δs by solving index equations.

The chain rule gives, for an occurrence of `v[e_1, e_2, …]` in a body, the factor
δ(e_1 = v_1) δ(e_2 = v_2) …, summed over all open indices. `contract` uses these δs up: a plain
letter is renamed to the target's, an affine expression is solved for a letter with coefficient ±1
and leaves a range condition (unless the ranges prove it), a constant leaves δ(constant, v).
Every δ that is used up removes one summed letter, so this ends.

Affine expressions in letters and sizes are dictionaries {atom: coefficient}; `decide` proves
inequalities between them from the ranges 0 ≤ i ≤ dim − 1 and sizes ≥ 1. What is solved is brought
back to normal (`place`): equal letters collected, numbers before letters, `2 i + k`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from symbp.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Reduce,
    Size,
    add,
    mul,
    replace,
    substitute,
    total,
)

Affine = dict[Expr, Fraction]  # ONE is the atom of the constant part


def affine(e: Expr) -> Affine | None:
    """`2*i + p − 1` as {i: 2, p: 1, ONE: −1}; products of sizes count as one atom; None if the
    expression is not affine."""
    if isinstance(e, Num):
        return {ONE: e.value} if e.value else {}
    if isinstance(e, (Index, Size)):
        return {e: Fraction(1)}
    if isinstance(e, Add):
        result: Affine = {}
        for a in e.args:
            part = affine(a)
            if part is None:
                return None
            result = _plus(result, part)
        return result
    if isinstance(e, Mul):
        scale, rest = Fraction(1), []
        for a in e.args:
            if isinstance(a, Num):
                scale *= a.value
            else:
                rest.append(a)
        if not rest:
            return {ONE: scale}
        if len(rest) == 1:
            inner = affine(rest[0])
            return None if inner is None else {k: scale * v for k, v in inner.items()}
        if all(isinstance(a, Size) for a in rest):
            return {Mul(sorted(rest, key=lambda s: s.name)): scale}  # type: ignore[attr-defined]
        indices = [a for a in rest if isinstance(a, Index)]
        if len(indices) == 1 and all(isinstance(a, (Size, Index)) for a in rest):
            sizes = sorted((a for a in rest if a is not indices[0]), key=lambda s: s.name)  # type: ignore[attr-defined]
            return {Mul((*sizes, indices[0])): scale}
    return None


def _plus(a: Affine, b: Affine, times: int = 1) -> Affine:
    result = dict(a)
    for atom, c in b.items():
        value = result.get(atom, Fraction(0)) + times * c
        if value:
            result[atom] = value
        else:
            result.pop(atom, None)
    return result


def from_affine(a: Affine) -> Expr:
    """Back to an expression: letters first, then sizes, then the number."""
    ordered = sorted(a.items(), key=lambda item: (item[0] is ONE, not item[0].free))
    return add(*(mul(Num(c), atom) for atom, c in ordered))


def from_one(e: Expr) -> Expr:
    """What an affine expression of letters that count from 0 is in letters that count from 1: `i + p` is i + p − 2."""
    parts = affine(e)
    if parts is None:
        return e
    result = parts
    for atom, c in parts.items():
        if isinstance(atom, Index):
            result = _plus(result, {ONE: c}, -1)
        elif isinstance(atom, Mul) and atom.free:
            result = _plus(result, {mul(*(a for a in atom.args if not isinstance(a, Index))): c}, -1)
    return from_affine(result)


def place(e: Expr) -> Expr:
    """An index with equal letters and numbers collected: `2 k + (i − 2 k)` is `i`."""
    if not isinstance(e, (Add, Mul)):
        return e
    parts = affine(e)
    return e if parts is None else from_affine(parts)


def places_normal(e: Expr) -> Expr:
    """The same with all its indices and comparisons of indices normal, decided ones as 1 or 0."""
    return replace(e, _place_normal)


def _place_normal(e: Expr) -> Expr | None:
    if isinstance(e, Entry):
        return Entry(e.tensor, map(place, e.idx)) if any(isinstance(i, (Add, Mul)) for i in e.idx) else e
    if isinstance(e, Compare) and not e.tensors and e.free:
        known = decide(e)
        return Compare(e.fn, *map(place, e.args)) if known is None else ONE if known else ZERO
    if isinstance(e, Delta):
        return Delta(*map(place, e.args))
    if isinstance(e, Reduce) and any(isinstance(i, (Add, Mul)) for i in e.at):
        letters, body = e.open()
        return Reduce(e.op, letters, places_normal(body), map(place, e.at))
    return None


def same_size(a: Expr, b: Expr) -> bool:
    """Do two size expressions always agree?"""
    if a is b:
        return True
    left, right = affine(a), affine(b)
    return left is not None and right is not None and not _plus(left, right, -1)


def at_least(a: Affine, bound: int) -> bool:
    """Is a ≥ bound for all values of its letters and sizes? Sound, not complete."""
    low = dict(a)
    for _ in range(8):
        atom = next((x for x in low if x.free), None)
        if atom is None:
            break
        c = low.pop(atom)
        if c < 0:  # worst at the upper end, dim − 1
            worst = _largest(atom)
            if worst is None:
                return False
            low = _plus(low, {k: c * v for k, v in worst.items()})
    value = low.pop(ONE, Fraction(0))
    for c in low.values():
        if c < 0:
            return False
        value += c  # a size, or a product of sizes, is at least 1
    return value >= bound


def _largest(atom: Expr) -> Affine | None:
    """The greatest value of `i`, or of `k·i` for a size k: k·dim − k."""
    sizes = [a for a in atom.args if not a.free] if isinstance(atom, Mul) else []
    (letter,) = atom.free
    assert isinstance(letter, Index)
    dim = affine(letter.dim)
    if dim is None or not sizes:
        return dim and _plus(dim, {ONE: Fraction(1)}, -1)
    return affine(add(*(mul(Num(c), *sizes, *_factors(k)) for k, c in _plus(dim, {ONE: Fraction(1)}, -1).items())))


def _factors(atom: Expr) -> tuple[Expr, ...]:
    return () if atom is ONE else atom.args if isinstance(atom, Mul) else (atom,)


def decide(e: Compare) -> bool | None:
    """True or False where the ranges alone prove a comparison of index expressions, else None."""
    left, right = affine(e.args[0]), affine(e.args[1])
    if left is None or right is None or not any(isinstance(x, Index) for x in (*left, *right)):
        return None
    up, down = _plus(right, left, -1), _plus(left, right, -1)  # right − left, left − right
    match e.fn:
        case "<":
            return True if at_least(up, 1) else False if at_least(down, 0) else None
        case "<=":
            return True if at_least(up, 0) else False if at_least(down, 1) else None
        case ">":
            return True if at_least(down, 1) else False if at_least(up, 0) else None
        case ">=":
            return True if at_least(down, 0) else False if at_least(up, 1) else None
        case "==":
            return True if not up else False if at_least(up, 1) or at_least(down, 1) else None
        case "!=":
            return False if not up else True if at_least(up, 1) or at_least(down, 1) else None
    return None


def without_implied(factors: Sequence[Expr]) -> Sequence[Expr]:
    """The factors without comparisons that follow from another one: 1[i ≥ 0] 1[i ≥ 2] is 1[i ≥ 2]."""
    bounds = {f: low for f in factors if isinstance(f, Compare) and (low := bound_of(f)) is not None}
    if len(bounds) < 2:
        return factors
    gone: set[Expr] = set()
    for f, low in bounds.items():
        others = (other for g, other in bounds.items() if g is not f and g not in gone)
        if any(at_least(_plus(low, other, -1), 0) for other in others):
            gone.add(f)
    return [f for f in factors if f not in gone]


def bound_of(e: Compare) -> Affine | None:
    """A comparison of indices as what has to be at least 0."""
    left, right = affine(e.args[0]), affine(e.args[1])
    if left is None or right is None or not e.free or e.fn not in ("<", "<=", ">", ">="):
        return None
    room = _plus(right, left, -1) if e.fn in ("<", "<=") else _plus(left, right, -1)
    return _plus(room, {ONE: Fraction(1)}, -1) if e.fn in ("<", ">") else room


def within(e: Expr, dim: Expr) -> tuple[Expr, ...]:
    """The conditions 0 ≤ e < dim that the ranges do not prove."""
    conditions = (Compare(">=", e, ZERO), Compare("<", e, dim))
    return tuple(c for c in conditions if decide(c) is not True)


def contract(factors: Expr, opened: Sequence[Index], occurrence: Iterable[Expr], target: Iterable[Expr]) -> Expr:
    """Σ over the open letters of `factors` · Π δ(occurrence = target), with the δs used up."""
    pending: list[tuple[Expr, Expr]] = [(e, v) for e, v in zip(occurrence, target) if v is not ZERO]
    mapping: dict[Index, Expr] = {}
    left = list(opened)
    conditions: list[Expr] = []
    while pending:
        chosen = next((n for n, (e, _) in enumerate(pending) if isinstance(substitute(e, mapping), Index)), 0)
        e, v = pending.pop(chosen)
        e = substitute(e, mapping)
        letter, solution, checks = _solve(e, v, left)
        if letter is None:
            if e is not v:
                conditions.append(Delta(v, e))
            continue
        left.remove(letter)
        mapping = {k: substitute(x, {letter: solution}) for k, x in mapping.items()}
        mapping[letter] = solution
        conditions = [substitute(c, {letter: solution}) for c in conditions]
        conditions.extend(checks)
    body = substitute(factors, mapping)
    if any(not isinstance(solution, Index) for solution in mapping.values()):
        body, conditions = places_normal(body), [places_normal(c) for c in conditions]
    return total(left, mul(body, *conditions))


def _solve(e: Expr, v: Expr, left: Sequence[Index]) -> tuple[Index | None, Expr, tuple[Expr, ...]]:
    """Solve e = v for a letter of `left`: the letter, its value, the range conditions."""
    if isinstance(e, Index):
        if e not in left:
            return None, v, ()
        assert isinstance(v, Index)
        return e, v, () if same_size(e.dim, v.dim) else within(v, e.dim)
    parts = affine(e)
    if parts is not None:
        for letter in left:
            c = parts.get(letter)
            if c is not None and abs(c) == 1:
                rest = {k: x for k, x in parts.items() if k is not letter}
                value = _plus({v: Fraction(1)}, rest, -1)
                solution = from_affine({k: x * c for k, x in value.items()})
                return letter, solution, within(solution, letter.dim)
    return None, v, ()


__all__ = [
    "MINUS_ONE",
    "Affine",
    "affine",
    "at_least",
    "bound_of",
    "contract",
    "decide",
    "from_affine",
    "place",
    "places_normal",
    "same_size",
    "within",
    "without_implied",
]
