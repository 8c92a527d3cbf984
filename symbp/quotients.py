"""Quotients of sums: laws where a divisor cancels against a sum or one summand, or goes into another.

A sum and a divisor that is a sum are polynomials in their factors; long division finds out whether
one is a multiple of the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from typing import TypeGuard

from symbp.arithmetic import canon, expand, factors_of, length, plus, power, powers, split, sum_over
from symbp.expr import HALF, MINUS_HALF, MINUS_ONE, ONE, Add, Entry, Expr, Mul, Num, Pow, Reduce, mul
from symbp.graph import DEFINITION, Fact
from symbp.rules import Knowledge, Used

TERMS, STEPS = 6, 12  # longer sums are not divided, longer divisions given up

Monomial = tuple[tuple[Expr, Fraction], ...]
Polynomial = dict[Monomial, Fraction]


def exact_quotient(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(p² − q²)/(p − q) = p + q, (1 + z/r)/(z + r) = 1/r: a sum that is a multiple of the divisor, also of
    one that a definition names. Ends: shorter."""
    if not isinstance(e, Mul) or not any(isinstance(f, Add) for f in e.args):
        return None
    for gone in e.args:
        if not (isinstance(gone, Pow) and gone.exponent is MINUS_ONE and isinstance(gone.base, (Add, Entry))):
            continue
        named = gone.base if isinstance(gone.base, Entry) else None
        below = s.known.body_at(named) if named is not None and s.unfolding is not None else gone.base
        if not isinstance(below, Add):
            continue
        for above in (f for f in e.args if isinstance(f, Add)):
            if len(above.args) > TERMS or len(below.args) > TERMS or above.tensors.isdisjoint(below.tensors):
                continue
            quotient = _quotient(plus(below if t is named else t for t in above.args), below)
            if quotient is not None:
                result = powers(quotient if f is above else f for f in e.args if f is not gone)
                if length(result) < length(e):
                    if named is not None:
                        used.facts[Fact("definition", named.tensor, text=DEFINITION + named.tensor)] = None
                    return result
    return None


def multiple(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """c (x − y) + x − y = (c + 1)(x − y): summands that are a multiple of a factor of another. Ends: shorter."""
    if not isinstance(e, Add) or not 3 <= len(e.args) <= TERMS:
        return None
    for t in e.args:
        for r in (f for f in factors_of(t) if isinstance(f, Add) and f is not t and len(f.args) < len(e.args)):
            others = [x for x in e.args if x is not t]
            choices = itertools.combinations(others, len(r.args)) if len(r.args) < len(others) else ()
            for part in (others, *choices):
                ratio = _quotient(plus(part), r) if _bases(r.args) <= _bases(part) else None
                if ratio is not None:
                    count = plus((powers(x for x in factors_of(t) if x is not r), ratio))
                    result = plus([powers((count, r)), *(x for x in others if x not in part)])
                    if length(result) < length(e):
                        return result
    return None


def _bases(terms: Iterable[Expr]) -> set[Expr]:
    """The factors of summands that carry a tensor, up to their powers."""
    factors = (f.base if isinstance(f, Pow) else f for t in terms for f in factors_of(t))
    return {canon(f) for f in factors if f.tensors}


def divisor_inside(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """1/(x (a + b/x)) = 1/(a x + b), x²/(1 + y²/x²) likewise: a divisor of a summand of a divisor goes.
    Ends: shorter."""
    if not isinstance(e, (Mul, Pow)):
        return None
    factors = factors_of(e)
    for f in factors:
        if not (isinstance(f, Pow) and f.exponent is MINUS_ONE and isinstance(f.base, Add)):
            continue
        for x in dict.fromkeys(g for t in f.base.args for g in factors_of(t) if isinstance(g, Pow)):
            if isinstance(x.exponent, Num) and x.exponent.value < 0:
                gone = power(x.base, Num(-x.exponent.value))
                whole = plus(powers((gone, t)) for t in f.base.args)
                result = powers([gone, *(power(whole, MINUS_ONE) if g is f else g for g in factors)])
                if length(result) < length(e):
                    return result
    return None


def divisor_into_sum(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(1/s²) Σ_i x_i²/(1 + x_i²/s²) = Σ_i x_i²/(s² + x_i²): a divisor goes into a Σ where it meets one.
    Ends: shorter."""
    if not isinstance(e, Mul):
        return None
    for r in e.args:
        if not (isinstance(r, Reduce) and r.op == "sum"):
            continue
        indices, body = r.expose(e)
        inner = [f.base for f in factors_of(body) if isinstance(f, Pow) and f.exponent is MINUS_ONE]
        divided = {g.base for b in inner if isinstance(b, Add) for t in b.args for g in factors_of(t) if _divides(g)}
        for g in (g for g in e.args if _divides(g) and g.base in divided):
            whole = divisor_inside(s, powers((*factors_of(body), g)), used)
            if whole is not None:
                result = powers(sum_over(indices, whole) if f is r else f for f in e.args if f is not g)
                if length(result) < length(e):
                    return result
    return None


def _divides(f: Expr) -> TypeGuard[Pow]:
    return isinstance(f, Pow) and isinstance(f.exponent, Num) and f.exponent.value < 0


def conjugates(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(1 + y)(1 − y) = 1 − y², below the line too. Ends: shorter."""
    if not isinstance(e, Mul):
        return None
    sums = [(f, *((f.base, f.exponent) if isinstance(f, Pow) else (f, ONE))) for f in e.args]
    for n, (f, one, x) in enumerate(sums):
        for g, two, y in sums[n + 1 :]:
            if isinstance(one, Add) and isinstance(two, Add) and x is y and len(one.args) == len(two.args) == 2:
                whole = expand(mul(one, two))
                if isinstance(whole, Add) and len(whole.args) == 2:
                    result = powers(power(whole, x) if h is f else h for h in e.args if h is not g)
                    if length(result) < length(e):
                        return result
    return None


def root_quotient(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """x/√(x y) = √(x/y) for positive x. Ends: a factor disappears."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Pow) and isinstance(f.base, Mul) and f.exponent in (HALF, MINUS_HALF):
            sign = MINUS_ONE if f.exponent is HALF else ONE
            for x in (x for x in f.base.args if power(x, sign) in e.args and s.known.is_positive(x)):
                rest = powers(y for y in f.base.args if y is not x)
                whole = Pow(powers((power(x, sign), power(rest, powers((MINUS_ONE, sign))))), HALF)
                result = powers(whole if g is f else g for g in e.args if g is not power(x, sign))
                if length(result) < length(e):
                    return result
    return None


def root_below(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """1/(d (1 − b)²) = d/(1 − b²) for d = √((1 + b)/(1 − b)): a root below the line stands above what is under
    it. Ends: shorter."""
    if not isinstance(e, Mul) or s.unfolding is None:
        return None
    for f in e.args:
        if isinstance(f, Pow) and f.exponent is MINUS_ONE and isinstance(f.base, Entry):
            body = s.known.body_at(f.base)
            if isinstance(body, Pow) and body.exponent is HALF and isinstance(body.base, Mul):
                above = (f.base, *(power(x, MINUS_ONE) for x in body.base.args))
                whole = powers(y for g in e.args for y in (above if g is f else (g,)))
                result = conjugates(s, whole, used) or whole
                if length(result) < length(e):
                    used.facts[Fact("definition", f.base.tensor, text=DEFINITION + f.base.tensor)] = None
                    return result
    return None


def divided_once(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(a − b x)/x² = (a/x − b)/x: a factor of one summand goes against one of several equal divisors. Ends:
    shorter."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Pow) and isinstance(f.exponent, Num) and f.exponent.value <= -2:
            gone = power(f.base, MINUS_ONE)
            for r in (r for r in e.args if isinstance(r, Add) and len(r.args) == 2):
                if any(f.base in factors_of(t) for t in r.args):
                    inner = plus(powers((t, gone)) for t in r.args)
                    left = power(f.base, Num(f.exponent.value + 1))
                    result = powers(inner if g is r else left if g is f else g for g in e.args)
                    if length(result) < length(e):
                        return result
    return None


def _quotient(above: Expr, below: Expr) -> Expr | None:
    """above/below where it is a sum of products, else None."""
    names: dict[Expr, Expr] = {}
    dividend, divisor = _polynomial(above, names), _polynomial(below, names)
    if dividend is None or divisor is None or len(divisor) < 2:
        return None
    order = {key: n for n, key in enumerate(names)}

    def rank(m: Monomial) -> tuple[Fraction, ...]:
        row = [Fraction(0)] * len(order)
        for key, x in m:
            row[order[key]] = x
        return tuple(row)

    lead = max(divisor, key=rank)
    quotient: Polynomial = {}
    for _ in range(STEPS):
        if not dividend:
            break
        top = max(dividend, key=rank)
        factor, c = _times(top, _inverse(lead)), dividend[top] / divisor[lead]
        quotient[factor] = quotient.get(factor, Fraction(0)) + c
        for m, d in divisor.items():
            key = _times(m, factor)
            value = dividend.get(key, Fraction(0)) - c * d
            if value:
                dividend[key] = value
            else:
                dividend.pop(key, None)
    if dividend or len(quotient) > TERMS:
        return None
    terms = [powers([Num(c), *(power(names[key], Num(x)) for key, x in m)]) for m, c in quotient.items()]
    return plus(sorted(terms, key=lambda t: not isinstance(t, Num)))


def _polynomial(e: Expr, names: dict[Expr, Expr]) -> Polynomial | None:
    """A sum as coefficients of monomials in its factors; `names` gathers what these are."""
    whole = expand(e, 2 * TERMS)
    result: Polynomial = {}
    for t in whole.args if isinstance(whole, Add) else (whole,):
        c, rest = split(t)
        monomial: dict[Expr, Fraction] = {}
        for f in factors_of(rest):
            base, x = (f.base, f.exponent) if isinstance(f, Pow) else (f, ONE)
            if not isinstance(x, Num):
                base, x = f, ONE
            if base is not ONE and isinstance(x, Num):
                key = canon(base)
                names.setdefault(key, base)
                monomial[key] = monomial.get(key, Fraction(0)) + x.value
        m = tuple(sorted(monomial.items(), key=lambda p: id(p[0])))
        result[m] = result.get(m, Fraction(0)) + c
    return result


def _times(a: Monomial, b: Monomial) -> Monomial:
    both = dict(a)
    for key, x in b:
        both[key] = both.get(key, Fraction(0)) + x
    return tuple(sorted(((k, x) for k, x in both.items() if x), key=lambda p: id(p[0])))


def _inverse(m: Monomial) -> Monomial:
    return tuple((key, -x) for key, x in m)


__all__ = [
    "conjugates",
    "divided_once",
    "divisor_inside",
    "divisor_into_sum",
    "exact_quotient",
    "multiple",
    "root_below",
    "root_quotient",
]
