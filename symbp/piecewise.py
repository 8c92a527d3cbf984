"""Conditions and signs: laws of what is piecewise, one function each.

Conditions become those that people write: what is subtracted stands on the other side, numbers on
the right, |x| < c for two sides, a case distinction for two masks. Each law answers None where it
does not apply, and says why it ends.
"""

from __future__ import annotations

import itertools

from symbp.arithmetic import (
    MIRRORED,
    arithmetic,
    canon,
    expand,
    factors_of,
    length,
    plus,
    positive,
    powers,
    sign_of,
    split,
)
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Add,
    Call,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Pow,
    Select,
    mul,
    replace,
    substitute,
    walk,
)
from symbp.graph import DEFINITION, Fact, primal
from symbp.identities import compared
from symbp.rules import ODD, Knowledge, Used, opposite, together

LESS, MORE = ("<", "<="), (">", ">=")
PASSES = {"exp": ONE, "sigmoid": HALF, "log": ZERO, "tanh": ZERO, "sinh": ZERO, "arctan": ZERO, "softsign": ZERO}
"""Functions that grow, each with its value where its argument is 0 (for the logarithm 1)."""


def isolated(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """[a − b > 0] = [a > b], [z + 3 > 0] = [z > −3]: what is subtracted goes to the other side, or a
    number. Ends: shorter."""
    if not isinstance(e, Compare) or not e.tensors or not isinstance(e.args[0], Add):
        return None
    terms = e.args[0].args
    if e.args[1] is not ZERO:
        terms = (*terms, powers((MINUS_ONE, e.args[1]))) if isinstance(e.args[1], Num) else ()
        terms = (*(t for t in terms if not isinstance(t, Num)), plus(t for t in terms if isinstance(t, Num)))
    right = [t for t in terms if sign_of(t) < 0] or [t for t in terms if isinstance(t, Num)]
    left = [t for t in terms if t not in right]
    if not left or not right:
        return None
    fn, one, two = e.fn, plus(left), plus(powers((MINUS_ONE, t)) for t in right)
    if isinstance(one, Num):  # 1 > x reads x < 1
        fn, one, two = MIRRORED[fn], two, one
    result = Compare(fn, one, two)
    return result if length(result) < length(e) else None


def bounded(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """[max(u, a) < b] = [u < b] for a < b, [min(u, b) > a] = [u > a]. Ends: a function disappears."""
    if not isinstance(e, Compare) or not isinstance(e.args[0], Call):
        return None
    inner, limit = e.args
    if inner.fn == "maximum" and e.fn in LESS:  # type: ignore[attr-defined]
        room = 1
    elif inner.fn == "minimum" and e.fn in MORE:  # type: ignore[attr-defined]
        room = -1
    else:
        return None
    for u, own in (inner.args, inner.args[::-1]):
        if s.known.is_positive(expand(plus((mul(Num(room), limit), mul(Num(-room), own))))):
            return Compare(e.fn, u, limit)
    return None


def monotone(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """[e^u > 1] = [u > 0], and so for other functions that grow. Ends: a function disappears."""
    if not isinstance(e, Compare) or e.fn not in LESS + MORE or not isinstance(e.args[0], Call):
        return None
    inner, limit = e.args
    if PASSES.get(inner.fn) is not limit:  # type: ignore[attr-defined]
        return None
    return Compare(e.fn, inner.args[0], ONE if inner.fn == "log" else ZERO)  # type: ignore[attr-defined]


def between(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """[u > −c] · [u < c] = [|u| < c]. Ends: two conditions become one."""
    if not isinstance(e, Mul):
        return None
    for low in e.args:
        if isinstance(low, Compare) and low.fn in MORE and low.tensors:
            high = Compare(MIRRORED[low.fn], low.args[0], powers((MINUS_ONE, low.args[1])))
            if high in e.args and s.known.is_positive(high.args[1]):
                whole = Compare(high.fn, Call("abs", low.args[0]), high.args[1])
                return powers(whole if f is low else f for f in e.args if f is not high)
    return None


def kinked(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """a[x > 0] + b[x < 0] = a if x > 0 else b, but at the kink x = 0, where no slope exists: there
    it is the slope from below. Ends: two conditions become one."""
    if not isinstance(e, Add) or len(e.args) != 2:
        return None
    for one, two in (e.args, e.args[::-1]):
        for c in (f for f in factors_of(one) if isinstance(f, Compare) and f.tensors):
            assert isinstance(c, Compare)
            meant = _meant(s, c)
            if meant.fn != ">":
                continue
            other = Compare("<", *meant.args)
            for d in (f for f in factors_of(two) if isinstance(f, Compare) and _meant(s, f) is other):
                x, y = (powers(f for f in factors_of(t) if f is not m) for t, m in ((one, c), (two, d)))
                shared = [f for f in factors_of(x) if f in factors_of(y) and not isinstance(f, Num)]
                x, y = (powers(f for f in factors_of(t) if f not in shared) for t in (x, y))
                result = powers([*shared, x if x is y else Select(c, x, y)])
                return result if length(result) < length(e) else None
    return None


def _meant(s: Knowledge, c: Compare) -> Compare:
    """[u > 0] for [m > 0] where a definition says m = max(u, 0)."""
    if c.fn == ">" and c.args[1] is ZERO and isinstance(c.args[0], Entry):
        body = s.known.body_at(c.args[0])
        if isinstance(body, Call) and (body.fn == "relu" or (body.fn == "maximum" and body.args[1] is ZERO)):
            inner = Compare(">", body.args[0], ZERO)
            meant = compared(s, inner, Used()) or inner
            assert isinstance(meant, Compare)
            return meant
    return c


def in_branch(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """x if z > 0 else f(min(z, 0)) = x if z > 0 else f(z): in a branch its condition holds. Ends: a
    function disappears."""
    if not isinstance(e, Select) or not isinstance(e.args[0], Compare):
        return None
    condition, yes, no = e.args
    assert isinstance(condition, Compare)
    if condition.fn not in LESS + MORE:
        return None
    yes, no = _where(condition, yes), _where(opposite(condition), no)
    return None if (yes, no) == e.args[1:] else Select(condition, yes, no)


def _where(condition: Expr | None, e: Expr) -> Expr:
    """An expression where a condition holds: the larger and the smaller of its two sides are known."""
    assert isinstance(condition, Compare)
    left, right = condition.args
    larger, smaller = (left, right) if condition.fn in MORE else (right, left)

    def known(x: Expr) -> Expr | None:
        if isinstance(x, Call) and x.fn == "relu" and right is ZERO and x.args[0] is left:
            return larger
        if isinstance(x, Call) and x.fn in ("maximum", "minimum") and set(x.args) == {left, right}:
            return larger if x.fn == "maximum" else smaller
        return None

    return replace(e, known)


def even_branches(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """f(z) if z > 0 else f(−z) = f(|z|). Ends: a condition disappears."""
    if not isinstance(e, Select) or not isinstance(e.args[0], Compare) or not e.args[0].tensors:
        return None
    condition, yes, no = e.args
    assert isinstance(condition, Compare)
    z, bound = condition.args
    if bound is not ZERO or condition.fn not in LESS + MORE:
        return None

    def at(x: Expr) -> Expr:
        return arithmetic(replace(yes, lambda y: x if y is z else None))

    if canon(arithmetic(no)) is not canon(at(mul(MINUS_ONE, z))):
        return None
    size = Call("abs", z)
    result = at(size if condition.fn in MORE else mul(MINUS_ONE, size))
    return result if length(result) < length(e) else None


def outside(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """1 if u > c else [u < −c] = [|u| > c] for c > 0. Ends: two conditions become one."""
    if not isinstance(e, Select) or e.args[1] is not ONE:
        return None
    one, _, two = e.args
    if not (isinstance(one, Compare) and isinstance(two, Compare) and one.fn in MIRRORED and one.fn in LESS + MORE):
        return None
    if two is not Compare(MIRRORED[one.fn], one.args[0], powers((MINUS_ONE, one.args[1]))):
        return None
    high = one if one.fn in MORE else two
    return Compare(high.fn, Call("abs", *high.args[:1]), high.args[1]) if s.known.is_positive(high.args[1]) else None


def apart(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """τ if u > 0 else τ − 1 = τ − [u ≤ 0]: branches that are a number apart. Ends: shorter."""
    if not isinstance(e, Select) or not isinstance(e.args[0], Compare) or not e.args[0].tensors:
        return None
    condition, yes, no = e.args
    distance, other = expand(plus((no, mul(MINUS_ONE, yes)))), opposite(condition)
    if not isinstance(distance, Num) or not yes.tensors or other is None:
        return None
    results = plus((yes, powers((distance, other)))), plus((no, powers((Num(-distance.value), condition))))
    result = min(results, key=length)
    return result if length(result) < length(e) else None


def fold_branch(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """1 if z > 0 else α e^z = 1 if z > 0 else a + α, where a = z if z > 0 else α(e^z − 1): in a branch a
    definition by cases is that case. Ends: shorter."""
    if not isinstance(e, Select) or not e.tensors:
        return None
    condition, *branches = e.args
    for node in s.graph.inner:
        body = node.body
        if not isinstance(body, Select) or s.unfolding is None or node.name in e.tensors:
            continue
        theirs, mine = (
            list(dict.fromkeys(x for x in walk(c) if isinstance(x, Index))) for c in (body.args[0], condition)
        )
        letters = dict(zip(theirs, mine))
        if [i.dim for i in theirs] != [i.dim for i in mine] or not set(node.indices) <= set(theirs):
            continue
        if canon(substitute(body.args[0], letters)) is not canon(condition):
            continue
        entry = substitute(node.entry, letters)
        for n, branch in enumerate(branches):
            value = substitute(body.args[n + 1], letters)
            rest = expand(plus((branch, mul(MINUS_ONE, value))))
            folded = plus((entry, rest))
            if length(folded) < length(branch):
                used.facts.update({Fact("definition", node.name, text=DEFINITION + node.name): None})
                return Select(condition, *(folded if m == n else b for m, b in enumerate(branches)))
    return None


def sign_of_product(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """sign(c u) = sign(u) for c > 0, |c u| = c |u|. Ends: a shorter argument."""
    if not isinstance(e, Call) or e.fn not in ("sign", "abs") or not isinstance(e.args[0], Mul):
        return None
    number, rest = split(e.args[0])
    outside = [f for f in factors_of(rest) if s.known.is_positive(f)]
    inside = [f for f in factors_of(rest) if f not in outside]
    if not inside or (number == 1 and not outside):
        return None
    whole = Call(e.fn, powers(inside))
    if e.fn == "abs":
        return powers([Num(abs(number)), *outside, whole])
    return whole if number > 0 else mul(MINUS_ONE, whole)


def odd_function(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """tanh(−u) = −tanh(u), and so for other odd functions. Ends: the minus stands in front."""
    if isinstance(e, Call) and e.fn in ODD and e.fn != "sign" and isinstance(e.args[0], Mul) and sign_of(e.args[0]) < 0:
        return mul(MINUS_ONE, Call(e.fn, positive(e.args[0])))
    return None


def idle_sign(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """sign(u)² [|u| > c] = [|u| > c] for c ≥ 0: where |u| is above c, u is not 0; sign(u)² = 1 for a u that
    is 0 at single points only, where |u| has no slope. Ends: a factor disappears."""
    if isinstance(e, Pow):
        return ONE if _is_sign_squared(e) and _varies(s, e.base.args[0]) else None
    if not isinstance(e, Mul):
        return None
    for f in filter(_is_sign_squared, e.args):
        assert isinstance(f, Pow)
        size = Call("abs", *f.base.args)
        for c in e.args:
            above = isinstance(c, Compare) and c.fn == ">" and c.args[0] is size
            if above and (c.args[1] is ZERO or s.known.is_positive(c.args[1])):
                return powers(x for x in e.args if x is not f)
    return None


def _is_sign_squared(e: Expr) -> bool:
    return isinstance(e, Pow) and e.exponent is TWO and isinstance(e.base, Call) and e.base.fn == "sign"


STEADY = ("relu", "maximum", "minimum", "sign", "step")
"""Functions that may be 0, or anything else that does not change, over a whole range."""


def _varies(s: Knowledge, u: Expr) -> bool:
    """Is u 0 at single points at most: made of leaves that are not 0 or 1, without conditions?"""
    for x in walk(u):
        if isinstance(x, (Compare, Select, Delta)) or (isinstance(x, Call) and x.fn in STEADY):
            return False
        if isinstance(x, Entry):
            body = s.known.body_at(x)
            if x.tensor in s.binary or primal(x.tensor) is not None or (body is not None and not _varies(s, body)):
                return False
    return bool(u.tensors)


def idle_condition(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """max(u, 0) [u > 0] = max(u, 0). Ends: a condition disappears."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        base = f.base if isinstance(f, Pow) else f
        if isinstance(base, Call) and (base.fn == "relu" or (base.fn == "maximum" and base.args[1] is ZERO)):
            c = Compare(">", base.args[0], ZERO)
            same = next((x for x in (c, isolated(s, c, used)) if x is not None and x in e.args), None)
            if same is not None:
                return powers(x for x in e.args if x is not same)
    return None


def double_angle(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """2 sin u cos u = sin 2u, also where a definition names sin u. Ends: two functions become one."""
    if not isinstance(e, Mul) or not isinstance(e.args[0], Num):
        return None
    for g in (g for g in e.args if isinstance(g, Call) and g.fn == "cos"):
        sine = Call("sin", *g.args)
        for f in e.args:
            named = isinstance(f, Entry) and s.unfolding is not None and s.known.body_at(f) is sine
            if f is sine or named:
                double = Call("sin", powers((TWO, g.args[0])))
                rest = (double if x is f else x for x in e.args[1:] if x is not g)
                result = powers([Num(e.args[0].value / 2), *rest])
                if length(result) < length(e):
                    if isinstance(f, Entry):
                        used.facts[Fact("definition", f.tensor, text=DEFINITION + f.tensor)] = None
                    return result
    return None


def angle_difference(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """sin u cos w − cos u sin w = sin(u − w), cos u cos w + sin u sin w = cos(u − w), and with the other sign
    for the sum of the angles. Ends: shorter."""
    if not isinstance(e, Add):
        return None
    waves = [t for t in e.args if any(isinstance(f, Call) and f.fn in _OTHER for f in factors_of(t))]
    for one, two in itertools.permutations(waves, 2):
        (c, a), (d, b) = split(one), split(two)
        if abs(c) != abs(d):
            continue
        for f, g in itertools.permutations((x for x in factors_of(a) if isinstance(x, Call)), 2):
            u, w = f.args[0], g.args[0]
            crossed = Call(_OTHER.get(f.fn, ""), u), Call(_OTHER.get(g.fn, ""), w)
            if (f.fn, g.fn) not in (("sin", "cos"), ("cos", "cos")) or not all(x in factors_of(b) for x in crossed):
                continue
            rest, other = (powers(x for x in factors_of(t) if x not in pair) for t, pair in ((a, (f, g)), (b, crossed)))
            if rest is not other:
                continue
            sign = ONE if (c == d) is (f.fn == "sin") else MINUS_ONE
            whole = Call(f.fn, expand(plus((u, powers((sign, w))))))
            result = plus(powers((Num(c), rest, whole)) if t is one else t for t in e.args if t is not two)
            if length(result) < length(e):
                return result
    return None


_OTHER = {"sin": "cos", "cos": "sin"}


def common_sign(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """a sign u − b |u| = (a − b u) sign u. Ends: shorter."""
    if not isinstance(e, Add):
        return None
    for f in dict.fromkeys(f for t in e.args for f in factors_of(t) if isinstance(f, Call) and f.fn == "sign"):
        size = Call("abs", *f.args)
        if all(f in factors_of(t) or size in factors_of(t) for t in e.args):
            parts = (powers(f.args[0] if x is size else x for x in factors_of(t) if x is not f) for t in e.args)
            inner = plus(parts)
            for whole in (inner, together(s, inner, used)):
                result = powers((f, whole)) if whole is not None else e
                if length(result) < length(e):
                    return result
    return None


def scaled_clip(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """r/δ if |r| < δ else sign r = clip(r/δ, −1, 1) for δ > 0. Ends: a condition disappears."""
    if not isinstance(e, Select):
        return None
    condition, yes, no = e.args
    if not (isinstance(condition, Compare) and condition.fn in LESS and isinstance(condition.args[0], Call)):
        return None
    size, bound = condition.args
    if size.fn != "abs" or not s.known.is_positive(bound):  # type: ignore[attr-defined]
        return None
    r = size.args[0]
    scale = powers((yes, Pow(r, MINUS_ONE)))
    if r.tensors <= scale.tensors or canon(no) is not canon(powers((scale, bound, Call("sign", r)))):
        return None
    limit = powers((scale, bound))
    result = Call("minimum", Call("maximum", yes, powers((MINUS_ONE, limit))), limit)
    return result if length(result) < length(e) else None


def clipped_minimum(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """[c u ≤ r u] · [lo < r < hi] + [r u < c u] = [r u ≤ c u] for c = min(max(r, lo), hi), as c is r
    between the bounds; but at the bounds, where no slope exists. Ends: four conditions become one."""
    if not isinstance(e, Add) or len(e.args) != 2:
        return None
    for inside, outside in (e.args, e.args[::-1]):
        for less in (f for f in factors_of(outside) if isinstance(f, Compare) and f.fn == "<"):
            tie = Compare("<=", less.args[1], less.args[0])
            for c in (x for x in walk(less) if isinstance(x, Entry)):
                between = _clip(s, c)
                whole = {tie, *between} if between else {tie}
                if between is None or not whole <= set(factors_of(inside)):
                    continue
                r = between[0].args[0]
                same = canon(replace(less.args[1], lambda x: r if x is c else None))  # noqa: B023
                rest, other = (powers(f for f in factors_of(t) if f not in {less, *whole}) for t in (inside, outside))
                if same is canon(less.args[0]) and canon(rest) is canon(other):
                    used.facts.update({Fact("definition", c.tensor, text=DEFINITION + c.tensor): None})
                    return powers([rest, Compare("<=", *less.args)])
    return None


def unclipped(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """c − z [|z| < q] = c [|z| ≥ q] for c = clip(z, −q, q), which is z between the bounds. Ends: shorter."""
    if not isinstance(e, Add):
        return None
    for one in e.args:
        for c in (f for f in factors_of(one) if isinstance(f, Entry)):
            sides = _clip(s, c)
            inside = between(s, mul(*sides), used) if sides is not None else None
            if not isinstance(inside, Compare) or sides is None:
                continue
            middle = powers((MINUS_ONE, inside, *(sides[0].args[0] if f is c else f for f in factors_of(one))))
            two = next((t for t in e.args if canon(t) is canon(middle)), None)
            outer = opposite(inside)
            if two is not None and outer is not None:
                used.facts[Fact("definition", c.tensor, text=DEFINITION + c.tensor)] = None
                return plus(powers((one, outer)) if t is one else t for t in e.args if t is not two)
    return None


def _clip(s: Knowledge, c: Entry) -> tuple[Compare, Compare] | None:
    """The conditions under which a node defined as min(max(r, lo), hi) is r."""
    body = s.known.body_at(c)
    if not (isinstance(body, Call) and body.fn == "minimum"):
        return None
    inner, high = body.args
    if not (isinstance(inner, Call) and inner.fn == "maximum"):
        return None
    r, low = inner.args
    return Compare(">", r, low), Compare("<", r, high)


__all__ = [
    "angle_difference",
    "apart",
    "between",
    "bounded",
    "clipped_minimum",
    "common_sign",
    "double_angle",
    "even_branches",
    "fold_branch",
    "idle_condition",
    "idle_sign",
    "in_branch",
    "isolated",
    "kinked",
    "monotone",
    "odd_function",
    "outside",
    "scaled_clip",
    "sign_of_product",
    "unclipped",
]
