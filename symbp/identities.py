"""Identities of functions: laws that know what a function is, one function each.

Each answers None where it does not apply, and says why it ends. Those that need to know something
of the network (is this positive, is that symmetric) ask `Knowledge`.
"""

from __future__ import annotations

from collections.abc import Iterator

from symbp.arithmetic import (
    MIRRORED,
    below_the_line,
    canon,
    expand,
    factors_of,
    length,
    plus,
    power,
    powers,
    sign_of,
    split,
    sum_over,
)
from symbp.expr import (
    HALF,
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
    mul,
    substitute,
    walk,
)
from symbp.merge import flat
from symbp.rules import Knowledge, Used, common_factor, masks, opposite, out_of_order

# ---- logistic ----------------------------------------------------------------------------------


def mirrored(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """1 − σ(−u) = σ(u), 1 − σ(a − b) = σ(b − a), σ(u) − σ(−u) = 2σ(u) − 1: c σ(−u) is c − c σ(u). Ends: shorter."""
    if not isinstance(e, Add):
        return None
    for n, t in enumerate(e.args):
        c, rest = split(t)
        if not (isinstance(rest, Call) and rest.fn == "sigmoid"):
            continue
        if not (_is_negative(rest.args[0]) or any(isinstance(x, Num) and x.value == -c for x in e.args)):
            continue
        turned = Call("sigmoid", plus(powers((MINUS_ONE, x)) for x in _terms(rest.args[0])))
        for parts in ((Num(c), mul(Num(-c), turned)), (mul(Num(-c), turned), Num(c))):
            result = plus([*e.args[:n], *parts, *e.args[n + 1 :]])
            if length(result) < length(e) and sign_of(_terms(result)[0]) > 0:
                return result
    return None


def normalised(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """e^u_k / Σ_j e^u_j = softmax(u)_k, also for e^u_k under a Σ. Ends: a sum disappears."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        below = f.base if isinstance(f, Pow) and f.exponent is MINUS_ONE else None
        if not isinstance(below, Reduce) or below.op != "sum":
            continue
        for r in (r for r in e.args if isinstance(r, Reduce) and r.op == "sum" and isinstance(r.body, Mul)):
            letters, inner = r.expose(e)
            whole = normalised(s, mul(*factors_of(inner), f), used)
            if whole is not None:
                return powers(sum_over(letters, whole) if x is r else x for x in e.args if x is not f)
        indices, body = below.expose()
        if len(indices) != 1 or not (isinstance(body, Call) and body.fn == "exp"):
            continue
        for g in (g for g in e.args if isinstance(g, Call) and g.fn == "exp"):
            for k in g.free - below.free:
                if k.dim is indices[0].dim and canon(substitute(body, {indices[0]: k})) is canon(g):
                    whole = Reduce("softmax", indices, body.args[0], (k,))
                    return powers(whole if x is g else x for x in e.args if x is not f)
    return None


def exponential_quotient(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """e^u / (e^u + e^w) = σ(u − w). Ends: shorter."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        below = f.base if isinstance(f, Pow) and f.exponent is MINUS_ONE else None
        if isinstance(below, Add) and len(below.args) == 2:
            for one, two in (below.args, below.args[::-1]):
                if all(isinstance(x, Call) and x.fn == "exp" for x in (one, two)) and one in e.args:
                    u, w = one.args[0], two.args[0]
                    whole = Call("sigmoid", expand(plus((u, powers((MINUS_ONE, w))))))
                    result = powers(whole if x is one else x for x in e.args if x is not f)
                    if length(result) < length(e):
                        return result
    return None


def half_angle(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """2σ(u) − 1 = tanh(u/2). Ends: shorter."""
    if not isinstance(e, Add):
        return None
    numbers = [t for t in e.args if isinstance(t, Num)]
    for t in e.args:
        c, rest = split(t)
        if isinstance(rest, Call) and rest.fn == "sigmoid" and numbers and numbers[0].value == -c / 2:
            whole = powers((Num(c / 2), Call("tanh", powers((HALF, rest.args[0])))))
            result = plus(whole if x is t else x for x in e.args if x is not numbers[0])
            return result if length(result) < length(e) else None
    return None


def log_quotient(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """log a − log b = log(a/b) for positive a, b. Ends: a logarithm disappears."""
    if not isinstance(e, Add):
        return None
    terms = [(t, *split(t)) for t in e.args]
    logs = [(t, c, r) for t, c, r in terms if isinstance(r, Call) and r.fn == "log"]
    for t, c, one in logs:
        for u, d, two in logs:
            if c > 0 and d == -c and all(s.known.is_positive(x) for r in (one, two) for x in r.args):
                whole = powers((Num(c), Call("log", powers((one.args[0], power(two.args[0], MINUS_ONE))))))
                result = plus(whole if x is t else x for x in e.args if x is not u)
                if length(result) < length(e):
                    return result
    return None


def _terms(e: Expr) -> tuple[Expr, ...]:
    return e.args if isinstance(e, Add) else (e,)


def _is_negative(u: Expr) -> bool:
    """Does every term of u carry a minus, also inside a Σ that is all there is?"""
    return all(sign_of(t) < 0 for t in _terms(u))


# ---- comparisons -------------------------------------------------------------------------------


def compared(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """[τu > (τ − 1)u] = [u > 0]: what both sides share goes, positive factors too. Ends: shorter."""
    if not isinstance(e, Compare) or not e.tensors:
        return None
    left, right = e.args
    difference = expand(plus((left, powers((MINUS_ONE, right))))) if right is not ZERO else left
    difference = common_factor(None, difference, Used()) or difference
    factors = [f for f in factors_of(difference) if not s.known.is_positive(f)]
    minus = sum(isinstance(f, Num) and f.value < 0 for f in factors)
    rest = powers(f for f in factors if not isinstance(f, Num))
    result = Compare(MIRRORED[e.fn] if minus else e.fn, rest, ZERO)
    return result if length(result) < length(e) else None


def complement(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """a[c] + b[not c] = a + (b − a)[not c], where no case distinction is shorter; 1 − [c] = [not c].
    Ends: shorter."""
    if not isinstance(e, Add):
        return None
    limit = length(masks(s, e, Used()) or e)
    for t in e.args if len(e.args) == 2 else ():
        c, rest = split(t)
        other = opposite(rest)
        if other is not None and any(isinstance(x, Num) and x.value == -c for x in e.args):
            return powers((Num(-c), other))
    found = {f for t in e.args for f in factors_of(t) if isinstance(f, Compare)}
    for condition in sorted(found, key=repr):
        other = opposite(condition)
        if other in found and other is not None:
            whole = (ONE, mul(MINUS_ONE, other))
            terms = [powers(Add(whole) if f is condition else f for f in factors_of(t)) for t in e.args]
            result = expand(plus(terms))
            if length(result) < limit:
                return result
    return None


def sign_quotient(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """sign(x)/|x| = 1/x, sign(x) |x| = x. Ends: two functions disappear."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Call) and f.fn == "sign":
            size = Call("abs", *f.args)
            for g in e.args:
                base, exponent = (g.base, g.exponent) if isinstance(g, Pow) else (g, ONE)
                if base is size and isinstance(exponent, Num) and exponent.value in (1, -1):
                    new = power(f.args[0], exponent)
                    return powers(new if x is f else x for x in e.args if x is not g)
    return None


def _off_diagonal(x: Expr, one: Index, two: Expr) -> Expr:
    """A_ij for A_ii, beside a δ_ij."""
    return Entry(x.tensor, (one, two)) if isinstance(x, Entry) and x.idx == (one, one) else x


def on_diagonal(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """δ_ij f(i, j) = δ_ij f(i, i), δ_ij A_ii = δ_ij A_ij. Ends: shorter."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Delta) and all(isinstance(i, Index) for i in f.args):
            for one, two in (f.args, f.args[::-1]):
                rest = powers(x for x in e.args if x is not f)
                assert isinstance(one, Index)
                parts = [_off_diagonal(x, one, two) for x in factors_of(rest)]  # none below: A_ij may be 0
                if length(powers(parts)) < length(rest):
                    return powers((*parts, f))
                if one in rest.free:
                    result = powers((*factors_of(substitute(rest, {one: two})), f))
                    if length(result) < length(e):
                        return result
    return None


# ---- powers ------------------------------------------------------------------------------------


def common_power(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """a x^γ − b x^(1+γ) = x^γ (a − b x). Ends: shorter."""
    if not isinstance(e, Add):
        return None
    first = e.args[0]
    for f in factors_of(first):
        if not isinstance(f, Pow) or isinstance(f.exponent, Num):
            continue
        same = (h for t in e.args for h in factors_of(t) if isinstance(h, Pow) and h.base is f.base)
        for g in sorted(dict.fromkeys(same), key=lambda h: isinstance(h.exponent, Add)):  # γ before γ − 1
            rests = []
            for t in e.args:
                rest = powers((t, Pow(g.base, expand(plus(powers((MINUS_ONE, x)) for x in _terms(g.exponent))))))
                if any(
                    isinstance(h, Pow) and h.base is g.base and not isinstance(h.exponent, Num)
                    for h in factors_of(rest)
                ):
                    break
                rests.append(rest)
            else:
                result = powers((g, common_factor(None, plus(rests), Used()) or plus(rests)))
                if length(result) < length(e):
                    return result
    return None


def whole_power(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """x (x/l)^(k − 1) = l (x/l)^k, also where x stands in a Σ and l outside. Ends: shorter."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Reduce) and f.op == "sum":
            indices, body = f.expose(e)
            for x in _whole_powers(body):
                result = powers(y for g in e.args for y in ((sum_over(indices, x),) if g is f else (g,)))
                if length(result) < length(e):
                    return result
    return next((x for x in _whole_powers(e) if length(x) < length(e)), None)


def _whole_powers(e: Expr) -> Iterator[Expr]:
    """A product with a factor taken into a power of a quotient that has it above the line."""
    factors = factors_of(e)
    for f in factors:
        if isinstance(f, Pow) and isinstance(f.base, Mul) and not isinstance(f.exponent, Num):
            for x in (x for x in f.base.args if x in factors):
                rest = (power(y, MINUS_ONE) for y in f.base.args if y is not x)
                more = Pow(f.base, plus((f.exponent, ONE)))
                yield powers([*(more if g is f else g for g in factors if g is not x), *rest])


def fold_power(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """S^(1/p − 1) = f^(1 − p) for f = S^(1/p), 1/S = f/n for f = n/S: a power of a sum whose power a definition
    names. Ends: shorter."""
    if not isinstance(e, (Mul, Pow)):
        return None
    factors = factors_of(e)
    for f in factors:
        base, exponent = (f.base, f.exponent) if isinstance(f, Pow) else (f, ONE)
        meets = isinstance(base, Entry) and any(isinstance(g, Pow) and g.exponent.tensors for g in factors)
        if not base.tensors or not (isinstance(base, (Add, Reduce, Mul)) or meets):
            continue
        letters = {i.dim: i for i in base.free}
        for node in s.graph.inner if s.unfolding is not None else ():
            if node.body is None or not base.tensors <= node.body.tensors or len(node.indices) != len(base.free):
                continue
            if {i.dim for i in node.indices} != set(letters):
                continue
            renamed = node.indices if set(node.indices) == set(base.free) else [letters[i.dim] for i in node.indices]
            here = dict(zip(node.indices, renamed))
            parts = factors_of(substitute(node.body, here))
            own = next((g for g in parts if isinstance(g, Pow) and canon(g.base) is canon(base)), None)
            rest = powers(g for g in parts if g is not own)
            if own is None or rest.tensors or rest.free or not _not_negative(s, base):
                continue
            whole = powers((substitute(node.entry, here), power(rest, MINUS_ONE)))
            ratio = expand(powers((exponent, power(own.exponent, MINUS_ONE))))
            step = expand(plus((exponent, *(powers((MINUS_ONE, t)) for t in _terms(own.exponent)))))
            plain = not any(below_the_line(x) is not None for x in walk(ratio) if x.tensors)  # no q^(2/(a + 1))
            forms = [power(whole, ratio)] if plain else []
            if isinstance(step, Num):  # S^(−p − 1) = q/S for q = S^(−p)
                forms.append(powers((whole, power(base, step))))
            for named in sorted(forms, key=length):
                result = powers(x for g in factors for x in (factors_of(named) if g is f else (g,)))
                result = common_exponent(s, result, used) or result
                if length(result) < length(e):
                    return result
    return None


def _not_negative(s: Knowledge, e: Expr) -> bool:
    return s.known.is_positive(e) or s.known.is_square(e)


def common_exponent(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """x^(p − 1) f^(1 − p) = (x/f)^(p − 1) for x, f ≥ 0. Ends: a power disappears."""
    if not isinstance(e, Mul):
        return None
    found = [f for f in e.args if isinstance(f, Pow) and not isinstance(f.exponent, Num) and _not_negative(s, f.base)]
    found.sort(key=lambda f: any(sign_of(t) < 0 for t in _terms(f.exponent) if not isinstance(t, Num)))  # p − 1 first
    for one in found:
        for two in (f for f in found if f is not one):
            for sign in (ONE, MINUS_ONE):
                if canon(expand(powers((sign, two.exponent)))) is canon(one.exponent):
                    whole = Pow(powers((one.base, power(two.base, sign))), one.exponent)
                    result = powers(whole if f is one else f for f in e.args if f is not two)
                    if length(result) < length(e):
                        return result
    return None


def roots(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """√a √b = √(a b) for positive constants. Ends: a root disappears."""
    if not isinstance(e, Mul):
        return None
    found = [
        f
        for f in e.args
        if isinstance(f, Pow)
        and isinstance(f.exponent, Num)
        and abs(f.exponent.value) == HALF.value
        and isinstance(f.base, (Num, Const))
        and s.known.is_positive(f.base)
    ]
    for n, a in enumerate(found):
        for b in found[n + 1 :]:
            if a.exponent is b.exponent:
                one = Pow(powers(sorted((a.base, b.base), key=lambda x: not isinstance(x, Num))), a.exponent)
                return powers(one if f is a else f for f in e.args if f is not b)
    return None


def spread_number(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """½(a + 2b) = ½a + b: a number multiplied out where it cancels. Ends: shorter."""
    if not isinstance(e, Mul) or not isinstance(e.args[0], Num):
        return None
    c = e.args[0].value
    for n, f in enumerate(e.args[1:], 1):
        if isinstance(f, Add):
            gone = [t for t in f.args if abs(split(t)[0] * c) == 1 and split(t)[0] != 1]
            if not gone:
                continue
            kept = [t for t in f.args if t not in gone]
            parts = [powers((Num(c), t)) for t in gone]
            front = powers((e.args[0], plus(kept))) if kept else ZERO
            inner = plus([front, *parts])
            result = powers([*e.args[1:n], inner, *e.args[n + 1 :]])
            if length(result) < length(e):
                return result
    return None


# ---- clip --------------------------------------------------------------------------------------


def clipped(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """where(|r| ≤ δ, r, δ sign r) = min(max(r, −δ), δ) for δ > 0. Ends: a condition disappears."""
    if not isinstance(e, Select):
        return None
    condition, yes, no = e.args
    if not (isinstance(condition, Compare) and condition.fn in ("<=", "<") and condition.args[0] is Call("abs", yes)):
        return None
    bound = condition.args[1]
    if canon(no) is canon(powers((bound, Call("sign", yes)))) and s.known.is_positive(bound):
        return Call("minimum", Call("maximum", yes, powers((MINUS_ONE, bound))), bound)
    return None


# ---- inverses ----------------------------------------------------------------------------------


def inverse_of_inverse(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(A⁻¹)⁻¹ = A. Ends: two inverses disappear."""
    if isinstance(e, Reduce) and e.op == "inv" and isinstance(e.body, Reduce) and e.body.op == "inv":
        inner = e.body
        if inner.at == e.bound and inner.body.free.isdisjoint(e.bound):
            return substitute(inner.body, dict(zip(inner.bound, e.at)))
    return None


def inverse_cancels(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """A⁻¹A = I. Ends: an inverse disappears."""
    if not (isinstance(e, Reduce) and e.op == "sum" and _has_inverse(e.body)):
        return None
    indices, body = flat(e).expose()
    factors = factors_of(body)
    for k in indices:
        users = [f for f in factors if k in f.free]
        if len(users) != 2:
            continue
        for inverse, matrix in (users, users[::-1]):
            if not (isinstance(inverse, Reduce) and inverse.op == "inv" and isinstance(matrix, (Entry, Reduce))):
                continue
            row, column = inverse.at
            other = column if row is k else row
            for free in matrix.free - {k}:
                place = (k, free) if column is k else (free, k)
                if canon(substitute(inverse.body, dict(zip(inverse.bound, place)))) is canon(matrix) and other is not k:
                    rest = [f for f in factors if f not in users]
                    letters = tuple(i for i in indices if i is not k)
                    result = powers([*rest, Delta(other, free)])
                    return sum_over(letters, result) if letters else result
    return None


def _has_inverse(e: Expr) -> bool:
    """Is there an inverse among the factors, also of a Σ in a product?"""
    return any(
        isinstance(f, Reduce) and (f.op == "inv" or (f.op == "sum" and _has_inverse(f.body))) for f in factors_of(e)
    )


def inverse_of_product(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(A X B)⁻¹ = B⁻¹ X⁻¹ A⁻¹ for square factors, where something can cancel against it. Ends: the
    arguments of inverses get shorter."""
    if not (isinstance(e, Reduce) and e.op == "inv" and isinstance(e.body, Reduce) and e.body.op == "sum"):
        return None
    first, last = e.bound
    inner, body = flat(e.body).expose(*e.bound, *e.at)
    factors = list(factors_of(body))
    if not all(isinstance(f, Entry) and len(f.free) == 2 and len(f.idx) == 2 for f in factors):
        return None
    if any(i.dim is not first.dim for i in inner) or len(factors) != len(inner) + 1:
        return None
    chain, at = [], first
    while factors:
        f = next((f for f in factors if at in f.free), None)
        if f is None:
            return None
        factors.remove(f)
        (after,) = f.free - {at}
        chain.append((f, at, after))
        at = after
    if at is not last:
        return None
    letters = {first: e.at[1], last: e.at[0]}
    parts = []
    for f, left, right in reversed(chain):
        matrix = Reduce("inv", (left, right), f, (letters.get(right, right), letters.get(left, left)))
        parts.append(matrix)
    return sum_over(inner, mul(*parts))


def symmetric_by_definition(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(S⁻¹)ᵀ = S⁻¹ where S is symmetric by its definition (X Xᵀ + λI): the letter of the result
    first. Ends: in order."""
    if not isinstance(e, Reduce) or e.op != "inv" or not out_of_order(*e.at) or e.bound[0].dim is not e.bound[1].dim:
        return None
    why = s.symmetric_body(e.bound, e.body)
    if why is None:
        return None
    used.facts.update(dict.fromkeys(why))
    return Reduce("inv", e.bound, e.body, e.at[::-1])


__all__ = [
    "clipped",
    "common_exponent",
    "common_power",
    "compared",
    "complement",
    "exponential_quotient",
    "fold_power",
    "half_angle",
    "inverse_cancels",
    "inverse_of_inverse",
    "inverse_of_product",
    "log_quotient",
    "mirrored",
    "normalised",
    "on_diagonal",
    "roots",
    "sign_quotient",
    "spread_number",
    "symmetric_by_definition",
    "whole_power",
]
