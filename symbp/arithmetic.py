"""The arithmetic that is always on, and the length of a formula.

Sums and products in normal order: numbers folded, powers of one base and like terms merged, zeros
and ones gone, constants in front of a Σ, δs used up, independent sums apart. Order is that of
first appearance, so what the user wrote first stays first. None of this knows a network; laws that
do are in rules.py. Every function ends because its result has fewer nodes, or is itself normal.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from symbp.contraction import Contract, Einsum, Group, Node, SumOut, contraction_tree
from symbp.expr import (
    MINUS_HALF,
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Const,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    Size,
    add,
    mul,
    rebuild,
    substitute,
)
from symbp.index import affine, bound_of, decide, place, places_normal, within, without_implied
from symbp.sizes import value_of

# ---- measuring ---------------------------------------------------------------------------------

_LENGTH: dict[Expr, int] = {}
MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


def length(e: Expr) -> int:
    """How long a formula is: operators and calls; names, numbers, indices and transposes are free.
    Σ over a product is one matrix product."""
    found = _LENGTH.get(e)
    if found is None:
        found = _LENGTH[e] = _length(e)
    return found


def _length(e: Expr) -> int:
    match e:
        case Add():
            lonely = all(map(lone_minus, e.args))
            return sum(length(positive(a)) for a in e.args) + len(e.args) - 1 + lonely
        case Mul():
            inner = sum(length(_divisor(a)) for a in e.args) + len(e.args) - 1
            lonely = all(_divisor(a) is not a or _is_unit(a) for a in e.args)
            return inner + lonely - _averages(e) - _squared_quotient(e) - _squared_products(e)
        case Pow():
            squared = _squares(e.base)
            if squared is not None and isinstance(e.exponent, Num) and abs(e.exponent.value) == Fraction(1, 2):
                return length(squared) + 1
            below = below_the_line(e)
            whole = not isinstance(e.exponent, Num) or e.exponent.value.denominator == 1 or e.exponent is MINUS_HALF
            if below is None or not whole:  # x**-1.5
                return length(e.base) + 1 + length(e.exponent)
            return length(below) + 1
        case Reduce():
            body = length(e.body)
            if e.op == "sum" and isinstance(e.body, Mul) and len(e.bound) > 1:
                arrays = [a for a in e.body.args if a.free]
                joined = sum(map(_work, contraction_tree(arrays, e.bound)))
                rest = len(e.body.args) - len(arrays)
                return sum(length(_divisor(a)) for a in e.body.args) + joined + rest
            if e.op == "sum" and isinstance(e.body, Mul):
                bound = frozenset(e.bound)
                carriers = [a for a in e.body.args if not bound.isdisjoint(a.free)]
                kinds = {a.free for a in carriers}  # a matrix product has two; a dot product vectors of one
                dot = kinds == {bound} and sum(_divisor(a) is a for a in carriers) >= 2
                return body if len(kinds) >= 2 or dot else body + 1
            squared = _squares(e)
            if squared is not None and not e.free:
                return length(squared) + 1
            return body + 1 - (e.op == "sum" and _on_diagonal(e.body)) + _on_diagonal(e)
        case Entry():
            return int(_on_diagonal(e))
        case Delta() | Index():
            return 0
    clip = isinstance(e, Call) and e.fn == "minimum" and isinstance(e.args[0], Call) and e.args[0].fn == "maximum"
    return sum(map(length, e.args)) + (1 if e.args else 0) - clip


def _on_diagonal(e: Expr) -> bool:
    """Is it A_ii, the diagonal of a matrix? Its sum is a trace."""
    at = e.idx if isinstance(e, Entry) else e.at if isinstance(e, Reduce) and e.op == "inv" else ()
    return len(at) == 2 and at[0] is at[1] and isinstance(at[0], Index)


def _is_unit(e: Expr) -> bool:
    """A number 1/n."""
    return isinstance(e, Num) and e.value.denominator > 1 and abs(e.value.numerator) == 1 and not e.decimal


def _work(node: Node | Expr) -> int:
    """Operations of a contraction tree: products, sums, matrix products."""
    match node:
        case Group():
            return len(node.factors) - 1 + sum(map(_work, node.factors))
        case Contract():
            return 1 + _work(node.left) + _work(node.right)
        case SumOut():
            dot = isinstance(node.inner, Group) and len(node.inner.letters) == 1 and len(node.inner.factors) == 2
            return _work(node.inner) + (not dot)
        case Einsum():
            return 2 * len(node.parts) + sum(map(_work, node.parts))
    return 0


def _squares(e: Expr) -> Expr | None:
    """x for Σ x²."""
    if isinstance(e, Reduce) and e.op == "sum" and isinstance(e.body, Pow) and e.body.exponent is Num(2):
        return e.body.base
    return None


def _averages(e: Mul) -> int:
    """How many divisors of a product go into a mean: Σ_n x_n / N is one call."""
    sizes = [a.base for a in e.args if isinstance(a, Pow) and a.exponent is MINUS_ONE and isinstance(a.base, Size)]
    saved = 0
    for a in e.args if sizes else ():
        if isinstance(a, Reduce) and a.op == "sum" and length(a) > length(a.body) and _squares(a) is None:
            dims = [i.dim for i in a.bound]
            if len(set(dims)) == len(dims) and all(d in sizes for d in dims):
                saved += len(dims)
                sizes = [s for s in sizes if s not in dims]
    return saved


def _squared_quotient(e: Mul) -> bool:
    """Is there x²/y², which is (x/y)²?"""
    exponents = [a.exponent for a in e.args if isinstance(a, Pow) and isinstance(a.exponent, Num)]
    return any(x.value > 1 and Num(-x.value) in exponents for x in exponents)


def _squared_products(e: Mul) -> int:
    """How many squares go into another: π²z² is (πz)²."""
    squares = [a for a in e.args if isinstance(a, Pow) and isinstance(a.base, (Entry, Const))]
    if len(squares) < 2:
        return 0
    found = [a.exponent for a in squares if isinstance(a.exponent, Num) and abs(a.exponent.value) > 1]
    return len(found) - len(set(found))


def _divisor(e: Expr) -> Expr:
    below = below_the_line(e)
    return e if below is None else below


def below_the_line(e: Expr) -> Expr | None:
    """x, x², xᵖ for x⁻¹, x⁻², x⁻ᵖ: what a factor divides by, if it does."""
    if not isinstance(e, Pow):
        return None
    if isinstance(e.exponent, Num):
        x = e.exponent.value
        return None if x.numerator >= 0 else e.base if x == -1 else Pow(e.base, Num(-x))
    terms = e.exponent.args if isinstance(e.exponent, Add) else (e.exponent,)
    if not all(sign_of(t) < 0 for t in terms):
        return None
    return Pow(e.base, plus(powers((MINUS_ONE, t)) for t in terms))


def sign_of(e: Expr) -> int:
    """−1 for a term that prints with a minus."""
    if isinstance(e, Num):
        return -1 if e.value.numerator < 0 else 1
    if isinstance(e, Mul) and isinstance(e.args[0], Num):
        return -1 if e.args[0].value.numerator < 0 else 1
    return 1


def lone_minus(e: Expr) -> bool:
    """Does the minus of a term stand alone, as no number takes it: −x, but not −2x or −1/x?"""
    coefficient, rest = split(e)
    return coefficient == -1 and rest is not ONE and not all(map(_is_divisor, factors_of(rest)))


def _is_divisor(e: Expr) -> bool:
    return isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value.numerator < 0


def positive(e: Expr) -> Expr:
    coefficient, rest = split(e)
    if coefficient.numerator >= 0:
        return e
    return mul(Num(-coefficient), rest) if coefficient != -1 else rest


def split(e: Expr) -> tuple[Fraction, Expr]:
    """The numeric coefficient of a term and the rest."""
    if isinstance(e, Num):
        return e.value, ONE
    if isinstance(e, Mul) and isinstance(e.args[0], Num):
        return e.args[0].value, mul(*e.args[1:])
    return _UNIT, e


_UNIT = Fraction(1)
_CANON: dict[Expr, Expr] = {}


def canon(e: Expr) -> Expr:
    """The same for expressions that differ in the order of summands and factors only."""
    found = _CANON.get(e)
    if found is None:
        if not e.args:
            found = e
        elif isinstance(e, Reduce):
            indices, body = e.expose()
            found = Reduce(e.op, indices, canon(body), [canon(a) for a in e.at])
        else:
            args = [canon(a) for a in e.args]
            found = type(e)(sorted(args, key=id)) if isinstance(e, (Add, Mul)) else rebuild(e, args)
        _CANON[e] = found
    return found


def factors_of(e: Expr) -> tuple[Expr, ...]:
    return e.args if isinstance(e, Mul) else (e,)


def negative_power(e: Pow) -> bool:
    return isinstance(e.exponent, Num) and e.exponent.value.numerator < 0 and e.exponent.value.denominator == 1


# ---- the always-on arithmetic ------------------------------------------------------------------


def powers(factors: Iterable[Expr]) -> Expr:
    """x^a x^b = x^(a+b); numbers multiply; order of first appearance. Ends: fewer factors."""
    coefficient, decimal = _UNIT, False
    bases: dict[Expr, list[Expr]] = {}
    shown: dict[Expr, Expr] = {}
    for f in factors:
        for g in f.args if isinstance(f, Mul) else (f,):
            if isinstance(g, Num):
                coefficient = g.value if coefficient is _UNIT else coefficient * g.value
                decimal = decimal or g.decimal
                continue
            base, exponent = (g.base, g.exponent) if isinstance(g, Pow) else (g, ONE)
            if isinstance(base, Num) and isinstance(exponent, Num) and exponent.value.denominator == 1:
                if base.value != 0 and abs(exponent.value) <= 64:
                    coefficient *= base.value ** int(exponent.value)
                    decimal = decimal or base.decimal
                    continue
            key = canon(base)
            if key in bases:
                bases[key].append(exponent)
            else:
                bases[key], shown[key] = [exponent], base
    if not coefficient:
        return ZERO
    result: list[Expr] = [] if coefficient is _UNIT or coefficient == 1 else [Num(coefficient, decimal)]
    for key, exponents in bases.items():
        base = shown[key]
        exponent = exponents[0] if len(exponents) == 1 and isinstance(exponents[0], Num) else plus(exponents)
        if isinstance(base, (Compare, Delta)) and isinstance(exponent, Num) and exponent.value > 0:
            exponent = ONE  # a 0/1 value squared is itself
        if exponent is not ZERO:
            result.append(base if exponent is ONE else Pow(base, exponent))
    return mul(*result)


def plus(terms: Iterable[Expr]) -> Expr:
    """a t + b t = (a + b) t for equal t; numbers add; order of first appearance. Ends: fewer terms."""
    constant: Num = ZERO
    order: list[Expr] = []
    coefficients: dict[Expr, Fraction] = {}
    decimal: dict[Expr, bool] = {}
    shown: dict[Expr, Expr] = {}
    place: int | None = None
    for t in terms:
        for s in t.args if isinstance(t, Add) else (t,):
            if isinstance(s, Num):
                if place is None:
                    place = len(order)
                constant = Num(constant.value + s.value, constant.decimal or s.decimal)
                continue
            c, rest = split(s)
            key = canon(rest)
            if key in coefficients:
                coefficients[key] += c
            else:
                order.append(key)
                shown[key], coefficients[key], decimal[key] = rest, c, False
            if isinstance(s, Mul) and isinstance(s.args[0], Num) and s.args[0].decimal:
                decimal[key] = True
    result: list[Expr] = []
    for n, key in enumerate(order):
        if place == n and constant is not ZERO:
            result.append(constant)
        c = coefficients[key]
        if c:
            result.append(shown[key] if c is _UNIT or c == 1 else mul(Num(c, decimal[key]), shown[key]))
    if place is not None and place >= len(order) and constant is not ZERO:
        result.append(constant)
    return add(*result)


def power(base: Expr, exponent: Expr) -> Expr:
    """(x^a)^n = x^(an), (x y)^n = x^n y^n for whole n, numbers evaluated."""
    if exponent is ONE:
        return base
    if exponent is ZERO:
        return ONE
    if base is ONE:
        return ONE
    whole = isinstance(exponent, Num) and exponent.value.denominator == 1
    if whole and isinstance(base, Pow):
        return power(base.base, powers((base.exponent, exponent)))
    if whole and isinstance(base, Mul):
        return powers(power(a, exponent) for a in base.args)
    if whole and isinstance(base, Num) and isinstance(exponent, Num) and base.value and abs(exponent.value) <= 64:
        return Num(base.value ** int(exponent.value), base.decimal)
    return Pow(base, exponent)


def sum_over(indices: tuple[Index, ...], body: Expr) -> Expr:
    """Σ with constants in front, unused letters as sizes, δs used up, independent parts apart.
    Ends: a smaller body, or fewer letters."""
    if body is ZERO:
        return ZERO
    unused = [i for i in indices if i not in body.free]
    if unused:
        rest = tuple(i for i in indices if i in body.free)
        return powers([*(i.dim for i in unused), sum_over(rest, body) if rest else body])
    if isinstance(body, Reduce) and body.op == "sum":
        inner, core = body.open()
        return sum_over((*indices, *inner), core)
    if not isinstance(body, Mul):
        if isinstance(body, Delta):
            return _use_delta(indices, (body,), body) or Reduce("sum", indices, body)
        return Reduce("sum", indices, body)
    for f in body.args:
        if isinstance(f, Delta):
            done = _use_delta(indices, body.args, f)
            if done is not None:
                return done
    done = _at_the_only_place(indices, body.args) or _use_inner_delta(indices, body.args)
    if done is not None:
        return done
    bound = frozenset(indices)
    outside = [f for f in body.args if bound.isdisjoint(f.free)]
    if outside:
        inside = [f for f in body.args if not bound.isdisjoint(f.free)]
        front = [f for f in outside if isinstance(f, Num)]
        before = [f for f in outside if not isinstance(f, Num) and _precedes(f, inside, body.args)]
        after = [f for f in outside if f not in front and f not in before]
        return powers([*front, *before, sum_over(indices, mul(*inside)), *after])
    parts = _components(bound, body.args)
    if len(parts) > 1:
        return powers(sum_over(tuple(i for i in indices if i in letters), mul(*factors)) for letters, factors in parts)
    return Reduce("sum", indices, body)


def term_by_term(indices: tuple[Index, ...], body: Expr) -> Expr:
    """Σ (a + b) = Σ a + Σ b, after multiplying out."""
    whole = expand(body)
    return plus(sum_over(indices, t) for t in (whole.args if isinstance(whole, Add) else (whole,)))


def _precedes(f: Expr, inside: list[Expr], args: tuple[Expr, ...]) -> bool:
    return not inside or args.index(f) < args.index(inside[0])


def _use_delta(indices: tuple[Index, ...], factors: tuple[Expr, ...], delta: Delta) -> Expr | None:
    """Σ_i δ_ij f(i) = f(j), where an affine j is in the range of i."""
    for letter, value in (delta.args, delta.args[::-1]):
        if isinstance(letter, Index) and letter in indices and letter not in value.free:
            if not isinstance(value, Index) and (not value.free or affine(value) is None):
                continue
            checks = () if isinstance(value, Index) and value.dim is letter.dim else within(value, letter.dim)
            rest = tuple(i for i in indices if i is not letter)
            body = substitute(powers(f for f in factors if f is not delta), {letter: value})
            if not isinstance(value, Index):
                body = places_normal(body)
            body = powers((body, *checks))
            return sum_over(rest, body) if rest else body
    return _solve_delta(indices, factors, delta)


def _solve_delta(
    indices: tuple[Index, ...], factors: tuple[Expr, ...], delta: Delta, more: tuple[Index, ...] = ()
) -> Expr | None:
    """Σ_j δ(i, j + p) f(j) = f(i − p), where i − p is always in the range of j."""
    left, right = affine(delta.args[0]), affine(delta.args[1])
    if left is None or right is None or not all(isinstance(a, Add) or a.free for a in delta.args):
        return None
    for letter in indices:
        c = left.get(letter, Fraction(0)) - right.get(letter, Fraction(0))
        if abs(c) != 1 or all(isinstance(a, Index) for a in delta.args):
            continue
        value = place((delta.args[1] - delta.args[0]) * Num(c) + letter)
        if letter in value.free or within(value, letter.dim):
            continue
        rest = (*(i for i in indices if i is not letter), *more)
        body = places_normal(substitute(powers(f for f in factors if f is not delta), {letter: value}))
        return sum_over(rest, body) if rest else body
    return None


def _use_inner_delta(indices: tuple[Index, ...], factors: tuple[Expr, ...]) -> Expr | None:
    """Σ_j f(j) Σ_i δ(j + p, 2 i) x(i): a δ inside that has an outer letter."""
    for f in factors:
        if isinstance(f, Reduce) and f.op == "sum" and isinstance(f.body, Mul):
            deltas = [d for d in f.body.args if isinstance(d, Delta) and not d.free.isdisjoint(indices)]
            if not deltas or all(isinstance(a, Index) for a in deltas[0].args):
                continue
            inner, core = f.open()
            delta = core.args[f.body.args.index(deltas[0])]
            assert isinstance(delta, Delta)
            both = [x for g in factors for x in (core.args if g is f else (g,))]
            done = _solve_delta(indices, tuple(both), delta, inner)
            if done is not None:
                return done
    return None


def _at_the_only_place(indices: tuple[Index, ...], factors: tuple[Expr, ...]) -> Expr | None:
    """Σ_i f(i) 1[i < 1] = f(0): a letter that its conditions hold at one number."""
    bounds = [(f, room) for f in factors if isinstance(f, Compare) and not f.tensors and (room := bound_of(f))]
    for letter in indices:
        mine = [(f, room) for f, room in bounds if abs(room.get(letter, 0)) == 1 and set(room) <= {letter, ONE}]
        if not mine:
            continue
        number = value_of(letter.dim)
        low = max([-room.get(ONE, Fraction(0)) for _, room in mine if room[letter] == 1], default=Fraction(0))
        tops = [room.get(ONE, Fraction(0)) for _, room in mine if room[letter] == -1]
        top = min(tops if number is None else [*tops, Fraction(number - 1)], default=None)
        if low == top:
            used = [f for f, _ in mine]
            body = substitute(powers(f for f in factors if f not in used), {letter: Num(low)})
            rest = tuple(i for i in indices if i is not letter)
            return sum_over(rest, places_normal(body)) if rest else places_normal(body)
    return None


def _components(bound: frozenset[Index], factors: tuple[Expr, ...]) -> list[tuple[set[Index], list[Expr]]]:
    """Factors grouped by the bound letters that connect them."""
    groups: list[tuple[set[Index], list[Expr]]] = []
    for f in factors:
        letters, members = set(f.free & bound), [f]
        for g in [g for g in groups if not g[0].isdisjoint(letters)]:
            groups.remove(g)
            letters |= g[0]
            members = [*g[1], *members]
        groups.append((letters, members))
    order = {f: n for n, f in enumerate(factors)}
    return [(s, sorted(m, key=lambda f: order[f])) for s, m in groups]


_ARITHMETIC: dict[Expr, Expr] = {}


def arithmetic(e: Expr) -> Expr:
    """The node in normal arithmetic: flat, numbers folded, powers and like terms merged."""
    found = _ARITHMETIC.get(e)
    if found is None:
        found = _ARITHMETIC[e] = _arithmetic(e)
    return found


def _arithmetic(e: Expr) -> Expr:
    match e:
        case Add():
            return plus(e.args)
        case Mul():
            return powers(without_implied(e.args))
        case Pow():
            return power(e.base, e.exponent)
        case Reduce():
            if e.op == "sum":
                indices, body = e.expose()
                return sum_over(indices, body)
            if e.op in ("softmax", "log_softmax") and e.body.free.isdisjoint(e.bound):  # of equal entries
                return power(e.bound[0].dim, MINUS_ONE) if e.op == "softmax" else -Call("log", e.bound[0].dim)
        case Compare():
            known = decide(e)
            if known is not None:
                return ONE if known else ZERO
            if e.args[1] is ZERO and isinstance(e.args[0], Mul) and sign_of(e.args[0]) < 0:
                return Compare(MIRRORED[e.fn], positive(e.args[0]), ZERO)
            return places_normal(e) if not e.tensors and e.free else e
        case Delta():
            left, right = map(place, e.args)
            return ONE if left is right else Delta(left, right)
        case Entry():
            return places_normal(e)
        case Select():
            if e.args[1] is e.args[2]:
                return e.args[1]
            if e.args[0] is ONE:
                return e.args[1]
            if e.args[0] is ZERO:
                return e.args[2]
    return e


def expand(e: Expr, limit: int = 64) -> Expr:
    """Products multiplied out over sums, up to `limit` terms."""
    if isinstance(e, Pow) and isinstance(e.base, Add) and e.exponent is Num(2):
        return expand(Mul((e.base, e.base)), limit)
    if isinstance(e, Add):
        return plus(expand(a, limit) for a in e.args)
    if not isinstance(e, Mul):
        return e
    rows: list[list[Expr]] = [[]]
    for f in e.args:
        f = expand(f, limit) if isinstance(f, (Add, Mul)) else f
        terms = f.args if isinstance(f, Add) else (f,)
        if len(rows) * len(terms) > limit:
            return e
        rows = [[*row, t] for row in rows for t in terms]
    return plus(powers(row) for row in rows)
