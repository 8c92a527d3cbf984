"""The laws of simplification: named functions from an expression to a shorter one.

Each answers None where it does not apply, says its law and why it ends, and reports the facts it
used. A law may ask what is known of the network (`Knowledge`): the facts that the user asserted,
the definitions of nodes, and sums that definitions make a number. simplify.py applies them, in
groups and from the leaves up. Facts are used on derivatives already taken, never before: a
one-hot leaf is differentiated as if it were free.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from symbp.arithmetic import (
    MIRRORED,
    canon,
    expand,
    factors_of,
    length,
    lone_minus,
    negative_power,
    plus,
    power,
    powers,
    sign_of,
    split,
    sum_over,
    term_by_term,
)
from symbp.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
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
    Select,
    Size,
    add,
    mul,
    substitute,
    walk,
)
from symbp.graph import DEFINITION, Fact, Graph, Node
from symbp.known import Known


@dataclass
class Used:
    """Names of laws and facts used by one stage."""

    laws: dict[str, None] = field(default_factory=dict)
    facts: dict[Fact, None] = field(default_factory=dict)


class Simplified(Protocol):
    """What a law gets back when it asks for an expression to be simplified."""

    @property
    def result(self) -> Expr: ...


class Knowledge(Protocol):
    """What laws may ask about a network."""

    graph: Graph
    known: Known
    sums_to: dict[str, list[Fact]]
    signs: dict[str, Fact]
    binary: dict[str, Fact]
    symmetric: dict[str, Fact]
    definitions: dict[tuple[type[Expr], frozenset[str]], list[Node]]
    totals: dict[tuple[Entry, tuple[Index, ...]], Expr | None]

    @property
    def unfolding(self) -> Knowledge | None: ...

    def __call__(self, e: Expr, siblings: tuple[str, ...] = ()) -> Simplified: ...

    def defining_factors(self, e: Entry) -> tuple[Expr, ...]: ...

    def total_by_definition(self, e: Entry, indices: tuple[Index, ...]) -> Expr | None: ...

    def unfolded(self, e: Expr) -> Expr: ...

    def symmetric_body(self, bound: tuple[Index, ...], body: Expr) -> tuple[Fact, ...] | None: ...


# ---- facts -------------------------------------------------------------------------------------


def sum_fact(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """Σ_k t_k = 1 where the user said so, or where t is a softmax. Ends: a sum disappears."""
    if not isinstance(e, Reduce) or e.op != "sum":
        return None
    indices, body = e.expose()
    terms = body.args if isinstance(body, Add) else (body,)
    done: list[Expr] = []
    hit = False
    for t in terms:
        c, rest = split(t)
        answer = None
        if isinstance(rest, Entry):
            answer = _entry_sum(s, rest, indices, used)
        elif isinstance(rest, Reduce) and rest.op == "softmax" and rest.at[0] in indices:
            place = rest.at[0]
            if isinstance(place, Index) and place not in rest.body.free:
                used.facts[Fact("softmax", text="a softmax sums to 1")] = None
                answer = sum_over(tuple(i for i in indices if i is not place), ONE) if len(indices) > 1 else ONE
        if answer is None:
            done.append(sum_over(indices, t))
        else:
            hit = True
            done.append(mul(Num(c), answer))
    if not hit and isinstance(body, Add):
        return _balance(s, body, indices, used)
    return plus(done) if hit else None


def _balance(s: Knowledge, body: Add, indices: tuple[Index, ...], used: Used) -> Expr | None:
    """Σ_i (x_i − μ) = 0 where μ is defined as the mean: a sum that the definitions make a number."""
    names = sorted(t.args[-1].tensor if isinstance(t, Mul) else t.tensor for t in body.args if _is_entry(t))  # type: ignore[attr-defined]
    if len(names) != len(body.args) or s.unfolding is None:
        return None
    key = (Entry(" ".join(names), body.args), indices)
    if key not in s.totals:
        result = s.unfolding(term_by_term(indices, s.unfolded(body))).result
        s.totals[key] = None if result.tensors or result.free else result
    value = s.totals[key]
    if value is not None:
        used.facts[Fact("balance", " ".join(names), low=value, text=DEFINITION + ", ".join(names))] = None
    return value


def _is_entry(t: Expr) -> bool:
    return isinstance(t, Entry) or (
        isinstance(t, Mul) and t.args[0] is MINUS_ONE and len(t.args) == 2 and isinstance(t.args[1], Entry)
    )


def _entry_sum(s: Knowledge, e: Entry, indices: tuple[Index, ...], used: Used) -> Expr | None:
    for fact in s.sums_to.get(e.tensor, ()):
        value = fact.low or ONE
        if fact.axis is None:
            if set(e.idx) == set(indices):
                used.facts[fact] = None
                return value
            continue
        letter = e.idx[fact.axis]
        others = [i for n, i in enumerate(e.idx) if n != fact.axis]
        if isinstance(letter, Index) and letter in indices and all(letter not in o.free for o in others):
            used.facts[fact] = None
            rest = tuple(i for i in indices if i is not letter)
            return sum_over(rest, value) if rest else value
    value_by_definition = s.total_by_definition(e, indices)
    if value_by_definition is not None:
        used.facts[Fact("total", e.tensor, low=value_by_definition, text=f"{e.tensor} by its definition")] = None
    return value_by_definition


def sign_fact(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """y² = 1 for y = ±1. Ends: a power disappears."""
    if isinstance(e, Pow) and isinstance(e.base, Entry) and e.base.tensor in s.signs:
        p = e.exponent
        if isinstance(p, Num) and p.value.denominator == 1:
            used.facts[s.signs[e.base.tensor]] = None
            return ONE if p.value % 2 == 0 else e.base
    return None


def idle_mask(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """M E = E where E is defined as M · … and M is 0 or 1. Ends: a factor disappears."""
    if not isinstance(e, Mul):
        return None
    for m in e.args:
        if isinstance(m, Entry) and m.tensor in s.binary:
            for f in e.args:
                if isinstance(f, Entry) and f is not m and m in s.defining_factors(f):
                    used.facts[s.binary[m.tensor]] = None
                    return powers(x for x in e.args if x is not m)
    return None


def selected(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """p_k (t_k − q) = q (t_k − p_k) for a one-hot t and q = Σ_k t_k p_k, as t_k p_k = t_k q. Ends: q stands
    outside."""
    if not isinstance(e, Mul):
        return None
    for p in e.args:
        for r in e.args if isinstance(p, Entry) else ():
            if not isinstance(r, Add) or len(r.args) != 2:
                continue
            for one, two in (r.args, r.args[::-1]):
                (c, t), (d, q) = split(one), split(two)
                fact = s.known.onehot.get(t.tensor) if isinstance(t, Entry) else None
                if fact is None or fact.kind != "onehot" or c != -d or abs(c) != 1 or t.idx != p.idx:  # type: ignore[attr-defined]
                    continue
                k = t.idx[-1 if fact.axis is None else fact.axis]  # type: ignore[attr-defined]
                meant = s.known.body_at(q) if isinstance(q, Entry) else q
                if isinstance(k, Index) and meant is not None and canon(meant) is canon(sum_over((k,), mul(t, p))):
                    used.facts[fact] = None
                    if isinstance(q, Entry):
                        used.facts[Fact("definition", q.tensor, text=DEFINITION + q.tensor)] = None
                    turned = (
                        plus(powers((MINUS_ONE, p)) if x is two else t for x in r.args)
                        if c > 0
                        else plus(p if x is two else one for x in r.args)
                    )
                    return powers(q if x is p else turned if x is r else x for x in e.args)
    return None


def symmetric_inverse(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(S⁻¹)_ji = (S⁻¹)_ij for a symmetric S: the letter of the result first. Ends: in order."""
    if not isinstance(e, Reduce) or e.op != "inv" or not isinstance(e.body, Entry):
        return None
    fact = s.symmetric.get(e.body.tensor)
    if fact is None or e.body.idx != e.bound or not out_of_order(*e.at):
        return None
    used.facts[fact] = None
    return Reduce("inv", e.bound, e.body, e.at[::-1])


def out_of_order(one: Expr, two: Expr) -> bool:
    """Of two letters, those of the result come before those that are summed."""
    if not isinstance(one, Index) or not isinstance(two, Index):
        return False
    return (one.name[0] in "!#~", one.name) > (two.name[0] in "!#~", two.name)


# ---- folding definitions -----------------------------------------------------------------------


def fold_definition(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """A forward definition's right side becomes its name again, with whatever letters it has here.
    Ends: a node for a tree."""
    candidates = s.definitions.get((type(e), e.tensors))
    if not candidates or length(e) == 0:
        return None
    mine = _letters(e)
    for node in candidates:
        body = node.body
        assert body is not None
        if len(body.free) != len(e.free) or body.free != frozenset(node.indices):
            continue
        theirs = _letters(body)
        if [i.dim for i in mine] == [i.dim for i in theirs]:
            renamed = dict(zip(theirs, mine))
            if canon(substitute(body, renamed)) is canon(e):
                return substitute(node.entry, renamed)
    return None


def _letters(e: Expr) -> list[Index]:
    found: dict[Index, None] = {}
    for x in walk(e):
        if isinstance(x, Index) and x in e.free:
            found.setdefault(x)
    return list(found)


def fold_logistic(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """e^−z / (1 + e^−z)² = a (1 − a) for a = 1/(1 + e^−z). Ends: an exponential disappears."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        base = _logistic_base(s, f)
        if base is None:
            continue
        a, whole = base
        one_plus = whole.base if isinstance(whole, Pow) else whole
        exponential = _exponential_of(one_plus)
        if exponential is None or exponential not in e.args:
            continue
        rest = [x for x in e.args if x is not exponential]
        value = mul(Add((ONE, mul(MINUS_ONE, a))), Pow(a, MINUS_ONE))
        return powers([*rest, value])
    return None


def _logistic_base(s: Knowledge, f: Expr) -> tuple[Expr, Expr] | None:
    """A node a (or power of it) that is defined as 1/(1 + e^u): the node's entry and its body."""
    entry = f.base if isinstance(f, Pow) else f
    if isinstance(entry, Entry) and entry.tensor in s.graph.nodes:
        node = s.graph[entry.tensor]
        if isinstance(node.body, Pow) and node.body.exponent is MINUS_ONE:
            axes = {a: i for a, i in zip(node.axes, entry.idx) if isinstance(a, Index)}
            return entry, substitute(node.body, axes)
    return None


def _exponential_of(e: Expr) -> Expr | None:
    """The exponential in 1 + e^u."""
    if isinstance(e, Add) and len(e.args) == 2 and ONE in e.args:
        other = e.args[1] if e.args[0] is ONE else e.args[0]
        if isinstance(other, Call) and other.fn == "exp":
            return other
    return None


def absolute(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """x sign(x) = |x|. Ends: two factors become one."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Call) and f.fn == "sign" and f.args[0] in e.args:
            whole = Call("abs", *f.args)
            return powers(whole if x is f else x for x in e.args if x is not f.args[0])
    return None


ONE_SIDED = {"<": "minimum", "<=": "minimum", ">": "maximum", ">=": "maximum"}


def clamp(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """x 1[x ≤ 0] = min(x, 0), x 1[x > 0] = max(x, 0). Ends: two factors become one."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Compare) and f.fn in ONE_SIDED and f.args[1] is ZERO and f.args[0] in e.args:
            whole = Call(ONE_SIDED[f.fn], f.args[0], ZERO)
            return powers(whole if x is f.args[0] else x for x in e.args if x is not f)
    return None


def logistic(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """e^u / (1 + e^u) = σ(u) and 1/(1 + e^u) = σ(−u). Ends: an exponential disappears."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Pow) and f.exponent is MINUS_ONE:
            exponential = _exponential_of(f.base)
            if exponential is not None and exponential in e.args:
                value = Call("sigmoid", *exponential.args)
                return powers([value if x is exponential else x for x in e.args if x is not f])
    return None


def hyperbolic(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """sinh u / cosh u = tanh u. Ends: two functions become one."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Call) and f.fn == "sinh":
            divisor = Pow(Call("cosh", *f.args), MINUS_ONE)
            if divisor in e.args:
                return powers([Call("tanh", *f.args) if x is f else x for x in e.args if x is not divisor])
    return None


# ---- fractions and products --------------------------------------------------------------------


def _fraction(e: Expr) -> tuple[Expr, list[Expr]]:
    """Numerator and the compound or named divisors of a term."""
    if isinstance(e, Pow) and _is_below(e):
        return ONE, [e]
    if isinstance(e, Mul):
        low: list[Expr] = [f for f in e.args if isinstance(f, Pow) and _is_below(f) and not _is_scale(f.base)]
        return mul(*(f for f in e.args if f not in low)), low
    return e, []


def _is_below(e: Pow) -> bool:
    """Does it stand below the line: 1/x, 1/√x?"""
    return isinstance(e.exponent, Num) and e.exponent.value < 0 and e.exponent.value.denominator <= 2


def _is_scale(e: Expr) -> bool:
    return isinstance(e, (Size, Num))


def together(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """a/x + b/y = (a y + b x)/(x y), where that shortens. Ends: shorter."""
    if not isinstance(e, Add) or len(e.args) > 4:
        return None
    parts = [_fraction(t) for t in e.args]
    lows: dict[Expr, Fraction] = {}
    for _, low in parts:
        for f in low:
            assert isinstance(f, Pow) and isinstance(f.exponent, Num)
            lows[f.base] = max(lows.get(f.base, Fraction(0)), -f.exponent.value)
    if not lows or not any(isinstance(b, (Add, Entry)) for b in lows):
        return None
    if any(n.denominator > 1 for n in lows.values()) and any(
        isinstance(f, Compare) for t, _ in parts for f in factors_of(t)
    ):
        return None  # cases, each with its own root
    numerators = []
    for top, low in parts:
        own = {f.base: -f.exponent.value for f in low if isinstance(f, Pow) and isinstance(f.exponent, Num)}
        missing = [power(b, Num(n - own.get(b, Fraction(0)))) for b, n in lows.items() if n != own.get(b, Fraction(0))]
        numerators.append(expand(powers([top, *missing])))
    numerator = collect(plus(numerators))
    result = powers([numerator, *(power(b, Num(-n)) for b, n in lows.items())])
    return result if length(result) < length(e) else None


def collect(e: Expr) -> Expr:
    """The common factor of a sum in front, if there is one."""
    return common_factor(None, e, Used()) or e


def multiply_out(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """(a/x + b) x, (a x + b)/x and (1/N)(…) with parts that cancel: multiplied out where that shortens."""
    if not isinstance(e, Mul) or not any(isinstance(f, Add) for f in e.args):
        return None
    sums = [f for f in e.args if isinstance(f, Add)]
    others = [f for f in e.args if not isinstance(f, Add)]
    for f, g in itertools.product(sums, others):
        if isinstance(g, Pow) and negative_power(g) and any(g.base in factors_of(t) for t in f.args):
            inner = plus(powers([t, g]) for t in f.args)
            result = powers(inner if x is f else x for x in e.args if x is not g)
            if length(result) < length(e):
                return result
    bases = {f.base if isinstance(f, Pow) else f for f in others if not isinstance(f, (Num, Size))}
    divided = {x.base for f in sums for t in f.args for x in _fraction(t)[1] if isinstance(x, Pow)}
    small = sum(len(f.args) for f in sums) <= 5 and len(sums) >= 2
    if bases.isdisjoint(divided) and not small:
        return None
    for f in sums:
        if bases & {x.base for t in f.args for x in _fraction(t)[1] if isinstance(x, Pow)}:
            rest = [x for x in e.args if x is not f]
            result = collect(plus(powers([*rest, t]) for t in f.args))
            if length(result) < length(e):
                return result
    result = collect(expand(e))
    return result if length(result) < length(e) else None


def expand_terms(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """y (s − 1) + (1 − y) s = s − y: a sum of products multiplied out where that shortens.
    Ends: shorter."""
    if not isinstance(e, Add) or not any(isinstance(f, Add) for t in e.args for f in factors_of(t)):
        return None
    if not _may_meet(e.args):
        return None
    result = collect(expand(e, 16))
    summands = sum(len(x.args) for x in walk(result) if isinstance(x, Add))
    return result if length(result) < length(e) and summands <= len(e.args) else None


def _may_meet(terms: tuple[Expr, ...]) -> bool:
    """May two summands have a term in common when they are multiplied out? What stands before the
    brackets of the one is then in the other, too."""
    seen: list[tuple[set[Expr], set[Expr]]] = []
    for t in terms:
        before, inside = set[Expr](), set[Expr]()
        for f in factors_of(t):
            parts = [x for a in f.args for x in factors_of(a)] if isinstance(f, Add) else [f]
            for x in parts:
                if isinstance(x, Pow) and not (isinstance(x.exponent, Num) and x.exponent.value > 0):
                    return True  # a divisor may cancel
                if isinstance(x, (Add, Call, Compare)) or (isinstance(x, Pow) and isinstance(x.base, Add)):
                    return True
                base = canon(x.base if isinstance(x, Pow) else x)
                (inside if isinstance(f, Add) else before).update(() if isinstance(x, Num) else (base,))
        whole = before | inside
        if any(before <= w and b <= whole for b, w in seen):
            return True
        seen.append((before, whole))
    return False


# ---- factors and signs -------------------------------------------------------------------------


def masks(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """c·A + (1−c)·B = where(c, A, B); where(c, A, B)·f with a zero branch is a mask. Ends: shorter."""
    if isinstance(e, Add) and len(e.args) == 2:
        for one, two in (e.args, e.args[::-1]):
            a, b = _masked(one), _masked(two)
            for c, x in a:
                for d, y in b:
                    if d in (opposite(c), turned(opposite(c))) and length(result := Select(c, x, y)) <= length(e):
                        shared = [f for f in factors_of(x) if f in factors_of(y) and not isinstance(f, Num)]
                        if shared:
                            x = mul(*(f for f in factors_of(x) if f not in shared))
                            y = mul(*(f for f in factors_of(y) if f not in shared))
                            return mul(*shared, Select(c, x, y))
                        return result
    if isinstance(e, Select) and e.args[2] is ZERO:
        return mul(e.args[1], e.args[0])
    return None


def opposite(c: Expr) -> Expr | None:
    table = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
    return Compare(table[c.fn], *c.args) if isinstance(c, Compare) else None


def turned(c: Expr | None) -> Expr | None:
    """[b < a] for [a > b]."""
    return Compare(MIRRORED[c.fn], c.args[1], c.args[0]) if isinstance(c, Compare) else None


def _masked(e: Expr) -> list[tuple[Expr, Expr]]:
    factors = factors_of(e)
    return [(f, mul(*(x for x in factors if x is not f))) for f in factors if isinstance(f, Compare)]


def common_factor(s: Knowledge | None, e: Expr, used: Used) -> Expr | None:
    """a b + a c = a (b + c), numbers and divisors too. Ends: shorter, or as short with fewer nodes."""
    if not isinstance(e, Add):
        return None
    split_terms = [split(t) for t in _one_way(e.args)]
    content = _content([c for c, _ in split_terms])
    tables = [_power_table(rest) for _, rest in split_terms]
    shared: dict[Expr, Fraction] = {}
    first = tables[0]
    for base, (_, exponent) in first.items():
        least = exponent
        for t in tables[1:]:
            other = t.get(base)
            if other is None or (other[1] > 0) != (exponent > 0):
                least = Fraction(0)
                break
            least = min(least, other[1]) if exponent > 0 else max(least, other[1])
        if least:
            shared[base] = least
    if not shared and content == 1:
        return None
    taken = [power(first[b][0], Num(n)) for b, n in shared.items()]
    cancel = [power(first[b][0], Num(-n)) for b, n in shared.items()]
    inner = plus(powers([Num(c / content), rest, *cancel]) for c, rest in split_terms)
    order = _place(taken, split_terms)
    result = powers([Num(content), *order[0], inner, *order[1]])
    if not shared and length(result) > length(e):
        return None
    return result if length(result) <= length(e) else None


def _one_way(terms: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """(r − b) x and (b − r) y as (r − b) x and −(r − b) y, so that they share a factor; odd functions too."""
    seen: dict[Expr, Expr] = {}
    result = []
    for t in terms:
        factors = list(factors_of(t))
        for n, f in enumerate(factors):
            inside = f.args[0] if isinstance(f, Call) and f.fn in ODD else f
            if isinstance(inside, Add) and len({sign_of(a) for a in inside.args}) == 2:
                opposite_one = plus(powers((MINUS_ONE, a)) for a in inside.args)
                turned = canon(opposite_one if inside is f else Call(f.fn, opposite_one))  # type: ignore[attr-defined]
                if turned in seen and canon(f) not in seen:
                    factors[n] = mul(MINUS_ONE, seen[turned])
                else:
                    seen.setdefault(canon(f), f)
        result.append(t if all(a is b for a, b in zip(factors, factors_of(t))) else powers(factors))
    return tuple(result)


def _place(taken: list[Expr], terms: list[tuple[Fraction, Expr]]) -> tuple[list[Expr], list[Expr]]:
    """Common factors stand before or after the bracket as they stood in the longest term."""
    longest = max((factors_of(r) for _, r in terms), key=len)
    before: list[Expr] = []
    after: list[Expr] = []
    for f in taken:
        base = canon(f.base if isinstance(f, Pow) else f)
        position = next((n for n, x in enumerate(longest) if canon(x.base if isinstance(x, Pow) else x) is base), 0)
        negative = isinstance(f, Pow) and negative_power(f)
        (after if negative or (position > 0 and position == len(longest) - 1) else before).append(f)
    return before, after


def _content(coefficients: list[Fraction]) -> Fraction:
    """The rational content of integer-like coefficients; 1 if it would make fractions worse."""
    from math import gcd, lcm

    tops = [abs(c.numerator) for c in coefficients]
    bottoms = [c.denominator for c in coefficients]
    content = Fraction(gcd(*tops), lcm(*bottoms))
    if any((c / content).denominator != 1 for c in coefficients):
        return Fraction(1)
    return content


def _power_table(e: Expr) -> dict[Expr, tuple[Expr, Fraction]]:
    table: dict[Expr, tuple[Expr, Fraction]] = {}
    for f in factors_of(e):
        base, p = (f.base, f.exponent) if isinstance(f, Pow) else (f, ONE)
        if isinstance(p, Num) and not isinstance(base, Num):
            table[canon(base)] = (base, p.value)
    return table


def partial_factor(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """a b + a c + d = a (b + c) + d, for the factor that shortens most; a − b + c (b − a) = (a − b)(1 − c).
    Ends: shorter."""
    if not isinstance(e, Add) or len(e.args) < 3 or len(e.args) > 8:
        return None
    counts: dict[Expr, list[int]] = {}
    terms = _one_way(e.args)
    for n, t in enumerate(terms):
        number, letters = split(t)
        if abs(number) != 1 and letters is not ONE:
            counts.setdefault(Num(abs(number)), []).append(n)
        for base in _power_table(letters):
            if not isinstance(base, Size):
                counts.setdefault(base, []).append(n)
    best: Expr | None = None
    for where in counts.values():
        if 2 <= len(where) < len(e.args):
            grouped = collect(plus(terms[n] for n in where))
            rest = [grouped if n == where[0] else t for n, t in enumerate(e.args) if n == where[0] or n not in where]
            result = add(*rest)
            if length(result) < length(best or e):
                best = result
    whole = _with_itself(e)
    return whole if whole is not None and length(whole) < length(best or e) else best


def _with_itself(e: Add) -> Expr | None:
    """a − b + c (b − a) = (a − b)(1 − c): a factor that the other terms make."""
    for n, t in enumerate(e.args):
        for f in (f for f in factors_of(t) if isinstance(f, Add) and len(f.args) == len(e.args) - 1):
            others = add(*e.args[:n], *e.args[n + 1 :])
            if f.tensors != others.tensors:
                continue
            for sign in (ONE, MINUS_ONE):
                if canon(plus(powers((sign, x)) for x in f.args)) is canon(others):
                    rest = powers((sign, *(x for x in factors_of(t) if x is not f)))
                    return powers((others, plus((ONE, rest))))
    return None


ODD = ("sign", "tanh", "sin", "arctan", "sinh", "erf", "softsign")


def turn_difference(s: Knowledge, e: Expr, used: Used) -> Expr | None:
    """−(t − y) = y − t inside a product, a sum that is a factor, and an odd function. Ends: one minus
    fewer."""
    if not isinstance(e, Mul):
        return None
    both = _both_turned(e)
    if both is not None:
        return both
    if not isinstance(e.args[0], Num) or e.args[0].value >= 0:
        return None
    for n, f in enumerate(e.args[1:], 1):
        turned = _turned(f)
        if turned is not None:
            front = Num(-e.args[0].value, e.args[0].decimal)
            result = mul(front, *e.args[1:n], turned, *e.args[n + 1 :])
            terms = _summands(f)
            named = not any(isinstance(t, Num) for t in terms)
            plain = any(isinstance(split(t)[1], Entry) for t in terms)
            if named or (e.args[0] is MINUS_ONE and not plain and length(result) < length(e)):  # −(1 − a) stays
                return result
    return None


def _both_turned(e: Mul) -> Expr | None:
    """(1 + x)(y − t) for (−1 − x)(t − y): what has only minuses turns with a difference."""
    for f in e.args:
        for g in e.args if isinstance(f, Add) and all(sign_of(t) < 0 for t in f.args) else ():
            turned = _turned(g) if isinstance(g, Add) and g is not f else None
            if turned is not None and not any(isinstance(t, Num) for t in _summands(g)):
                whole = plus(powers((MINUS_ONE, t)) for t in f.args)
                return mul(*(turned if x is g else whole if x is f else x for x in e.args))
    return None


def _summands(f: Expr) -> tuple[Expr, ...]:
    return tuple(t for x in walk(f) if isinstance(x, Add) for t in x.args) if isinstance(f, (Add, Reduce, Call)) else ()


def _turned(f: Expr) -> Expr | None:
    """The negative of a difference, or of a sum over one."""
    if isinstance(f, Add):
        if not any(sign_of(t) < 0 for t in f.args):
            return None
        turned = plus(powers((MINUS_ONE, t)) for t in f.args)
        return positive_first(None, turned, Used()) or turned
    if isinstance(f, Call) and f.fn in ODD and isinstance(f.args[0], Add):
        inside = _turned(f.args[0])
        return None if inside is None else Call(f.fn, inside)
    if isinstance(f, Reduce) and f.op == "sum":
        indices, body = f.expose()
        parts = list(factors_of(body))
        for n, part in enumerate(parts):
            inner = _turned(part)
            if inner is not None:
                return Reduce("sum", indices, mul(*parts[:n], inner, *parts[n + 1 :]))
    return None


def positive_first(s: Knowledge | None, e: Expr, used: Used) -> Expr | None:
    """−t + y = y − t. Ends: the first summand has a plus."""
    if not isinstance(e, Add) or sign_of(e.args[0]) > 0:
        return None
    n = next((n for n, t in enumerate(e.args) if sign_of(t) > 0), None)
    if n is None:
        free = next((n for n, t in enumerate(e.args) if not lone_minus(t)), None)
        if free is not None:  # −2x − y and −1/x − y need no minus in front
            return Add((e.args[free], *e.args[:free], *e.args[free + 1 :])) if free else None
        turned = plus(powers((MINUS_ONE, t)) for t in e.args)
        return mul(MINUS_ONE, turned) if isinstance(turned, Add) else None
    return Add((e.args[n], *e.args[:n], *e.args[n + 1 :]))
