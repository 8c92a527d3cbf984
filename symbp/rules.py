"""Simplification: from what the chain rule gives to what a textbook prints.

Laws are named functions from an expression to a shorter one, or None where they do not apply;
each says its law and why it ends. They work in groups, from the leaves up, and a group is
repeated until nothing changes; what a group changed becomes one step of the derivation.

    contract   use up δs, take constants out of sums, cancel x · 1/x, merge like terms
    facts      Σ_k t_k = 1 and its kin: what the user asserted or a softmax guarantees
    combine    common denominators, products multiplied out where that shortens, definitions folded
    collect    common factors, signs: y − t instead of −(t − y)

Every law but the sign laws lowers `length` or the number of nodes, so the process ends. Facts are
used on derivatives already taken, never before (a one-hot leaf is differentiated as if free), and
every use is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
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
    Reduce,
    Select,
    Size,
    add,
    mul,
    rebuild,
    substitute,
    walk,
)
from symbp.expr import replace as rewrite
from symbp.graph import Fact, Graph, Node
from symbp.index import decide
from symbp.steps import Law

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
            negative = sum(_sign(a) < 0 for a in e.args)
            return sum(length(_positive(a)) for a in e.args) + len(e.args) - 1 + (negative == len(e.args))
        case Mul():
            inner = sum(length(_divisor(a)) for a in e.args) + len(e.args) - 1
            lonely = all(isinstance(a, Pow) and a.exponent is MINUS_ONE for a in e.args)
            return inner + lonely
        case Pow():
            return length(e.base) + 1 + (length(e.exponent) if e.exponent is not MINUS_ONE else 0)
        case Reduce():
            body = length(e.body)
            if e.op == "sum" and isinstance(e.body, Mul):
                bound = frozenset(e.bound)
                carriers = [a.free for a in e.body.args if not bound.isdisjoint(a.free)]
                kinds = set(carriers)  # a matrix product has two; a dot product two vectors of one
                return body if len(kinds) >= 2 or (len(carriers) == 2 and kinds == {bound}) else body + 1
            return body + 1
        case Entry() | Delta() | Index():
            return 0
    return sum(map(length, e.args)) + (1 if e.args else 0)


def _divisor(e: Expr) -> Expr:
    return e.base if isinstance(e, Pow) and e.exponent is MINUS_ONE else e


def _sign(e: Expr) -> int:
    """−1 for a term that prints with a minus."""
    if isinstance(e, Num):
        return -1 if e.value < 0 else 1
    if isinstance(e, Mul) and isinstance(e.args[0], Num):
        return -1 if e.args[0].value < 0 else 1
    return 1


def _positive(e: Expr) -> Expr:
    coefficient, rest = split(e)
    if coefficient >= 0:
        return e
    return mul(Num(-coefficient), rest) if coefficient != -1 else rest


def split(e: Expr) -> tuple[Fraction, Expr]:
    """The numeric coefficient of a term and the rest."""
    if isinstance(e, Num):
        return e.value, ONE
    if isinstance(e, Mul) and isinstance(e.args[0], Num):
        return e.args[0].value, mul(*e.args[1:])
    return Fraction(1), e


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


# ---- the always-on arithmetic ------------------------------------------------------------------


def powers(factors: Iterable[Expr]) -> Expr:
    """x^a x^b = x^(a+b); numbers multiply; order of first appearance. Ends: fewer factors."""
    coefficient, decimal = Fraction(1), False
    bases: dict[Expr, list[Expr]] = {}
    shown: dict[Expr, Expr] = {}
    for f in factors:
        for g in f.args if isinstance(f, Mul) else (f,):
            if isinstance(g, Num):
                coefficient *= g.value
                decimal = decimal or g.decimal
                continue
            base, exponent = (g.base, g.exponent) if isinstance(g, Pow) else (g, ONE)
            if isinstance(base, Num) and isinstance(exponent, Num) and exponent.value.denominator == 1:
                if base.value != 0 and abs(exponent.value) <= 64:
                    coefficient *= base.value ** int(exponent.value)
                    decimal = decimal or base.decimal
                    continue
            key = canon(base)
            if key not in bases:
                shown[key] = base
            bases.setdefault(key, []).append(exponent)
    if coefficient == 0:
        return ZERO
    result: list[Expr] = [] if coefficient == 1 else [Num(coefficient, decimal)]
    for key, exponents in bases.items():
        base = shown[key]
        exponent = plus(exponents)
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
            if key not in coefficients:
                order.append(key)
                shown[key] = rest
            coefficients[key] = coefficients.get(key, Fraction(0)) + c
            decimal[key] = decimal.get(key, False) or (
                isinstance(s, Mul) and isinstance(s.args[0], Num) and s.args[0].decimal
            )
    result: list[Expr] = []
    for n, key in enumerate(order):
        if place == n and constant is not ZERO:
            result.append(constant)
        c = coefficients[key]
        if c:
            result.append(shown[key] if c == 1 else mul(Num(c, decimal[key]), shown[key]))
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
    """Σ_i δ_ij f(i) = f(j)."""
    for letter, value in (delta.args, delta.args[::-1]):
        if isinstance(letter, Index) and letter in indices and letter not in value.free:
            if isinstance(value, Index) and value.dim is not letter.dim:
                continue
            if not isinstance(value, Index):
                continue
            rest = tuple(i for i in indices if i is not letter)
            body = substitute(powers(f for f in factors if f is not delta), {letter: value})
            return sum_over(rest, body) if rest else body
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


# ---- the engine --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A simplified expression, the stages that led to it, and the facts it rests on."""

    result: Expr
    stages: tuple[tuple[Law, Expr, Expr], ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass
class Used:
    """Names of laws and facts used by one stage."""

    laws: dict[str, None] = field(default_factory=dict)
    facts: dict[Fact, None] = field(default_factory=dict)


Rewrite = Callable[[Expr, Used], Expr]


class Simplifier:
    """The laws for one graph (facts and definitions), with what they already found."""

    def __init__(self, graph: Graph, enabled: bool = True, fold: bool = True) -> None:
        self.graph = graph
        self.enabled = enabled
        self.unfolding = Simplifier(graph, fold=False) if fold else None  # the same laws without definitions
        self.totals: dict[tuple[Entry, tuple[Index, ...]], Expr | None] = {}
        self.sums_to: dict[str, list[Fact]] = {}  # each with its axis, or None for the sum of all entries
        for f in graph.facts:
            if f.kind in ("onehot", "simplex", "permutation") and f.tensor in graph.nodes:
                rank = len(graph[f.tensor].shape)
                last = rank - 1 if f.axis is None else f.axis % max(rank, 1)
                axes: tuple[int | None, ...] = tuple(range(rank)) if f.kind == "permutation" else (last,)
                if f.kind == "simplex" and f.axis is None and rank > 1:
                    axes = (None,)
                facts = [replace(f, axis=a, low=f.low if f.kind == "simplex" and f.low else ONE) for a in axes]
                self.sums_to.setdefault(f.tensor, []).extend(facts)
        self.signs = {f.tensor: f for f in graph.facts if f.kind == "pm1"}
        self.binary = {f.tensor: f for f in graph.facts if f.kind in ("binary", "onehot", "permutation")}
        self.symmetric = {f.tensor: f for f in graph.facts if f.kind in ("symmetric", "posdef")}
        for node in graph.inner:
            if isinstance(node.body, Reduce) and node.body.op == "softmax":
                axis = node.axes.index(node.body.at[0]) if node.body.at[0] in node.axes else None
                if axis is not None:
                    text = f"sum({node.name}{f', axis={axis}' if len(node.shape) > 1 else ''}) == 1"
                    self.sums_to.setdefault(node.name, []).append(Fact("simplex", node.name, axis, ONE, text=text))
        self.definitions: dict[tuple[type[Expr], frozenset[str]], list[Node]] = {}
        for node in graph.inner if fold else ():
            if node.body is not None and node.body.args:
                self.definitions.setdefault((type(node.body), node.body.tensors), []).append(node)
        self._memo: dict[tuple[str, Expr], tuple[Expr, Used]] = {}
        self._done: dict[Expr, Result] = {}

    def __call__(self, e: Expr) -> Result:
        if not self.enabled:
            return Result(self._bottom_up("contract", e, Used()))
        found = self._done.get(e)
        if found is None:
            found = self._done[e] = self._simplify(e)
        return found

    def _simplify(self, e: Expr) -> Result:
        stages: list[tuple[Law, Expr, Expr]] = []
        facts: dict[Fact, None] = {}
        for _ in range(6):
            before = e
            for group in GROUPS:
                used = Used()
                after = self._bottom_up(group, e, used)
                if after is not e:
                    law = Law(group, ", ".join(used.laws), tuple(used.facts))
                    if stages and stages[-1][0].name == group and not law.because:
                        stages[-1] = (stages[-1][0], stages[-1][1], after)
                    else:
                        stages.append((law, e, after))
                    facts.update(used.facts)
                    e = after
            if e is before:
                break
        forms = [stages[0][1], *(after for _, _, after in stages)] if stages else [e]
        shortest = min(range(len(forms)), key=lambda n: (length(forms[n]), -n))
        if length(forms[shortest]) < length(e):  # (x y)² is shorter than x² y²: stop there
            e, stages = forms[shortest], stages[:shortest]
            facts = dict.fromkeys(f for law, _, _ in stages for f in law.because)
        return Result(e, tuple(stages), tuple(facts))

    def factors_of(self, e: Entry) -> tuple[Expr, ...]:
        """The factors of an entry's definition, if it is a product."""
        node = self.graph.nodes.get(e.tensor)
        if node is None or not isinstance(node.body, Mul):
            return ()
        axes = {a: i for a, i in zip(node.axes, e.idx) if isinstance(a, Index)}
        return _factors(substitute(node.body, axes))

    def total_by_definition(self, e: Entry, indices: tuple[Index, ...]) -> Expr | None:
        """Σ of a node's entries, if its definition makes that a number: Σ_k q_k = 1, Σ_i (x_i − μ) = 0."""
        if self.unfolding is None:
            return None
        key = (e, indices)
        if key not in self.totals:
            self.totals[key] = self._total(self.unfolding, e, indices)
        return self.totals[key]

    def _total(self, laws: Simplifier, e: Entry, indices: tuple[Index, ...]) -> Expr | None:
        node = self.graph.nodes.get(e.tensor)
        if node is None or node.body is None or not set(indices) <= e.free or length(node.body) > 12:
            return None
        axes = {a: i for a, i in zip(node.axes, e.idx) if isinstance(a, Index)}
        whole = substitute(node.body, axes)
        for body in (whole, self.unfolded(whole)):
            result = laws(term_by_term(indices, body)).result
            if not result.tensors and not result.free:
                return result
        return None

    def unfolded(self, e: Expr) -> Expr:
        """Definitions put in for the nodes of an expression, one level."""

        def rule(x: Expr) -> Expr | None:
            if not isinstance(x, Entry):
                return None
            node = self.graph.nodes.get(x.tensor)
            if node is None or node.body is None:
                return x
            return substitute(node.body, {a: i for a, i in zip(node.axes, x.idx) if isinstance(a, Index)})

        return rewrite(e, rule)

    def _bottom_up(self, group: str, e: Expr, used: Used) -> Expr:
        """Children first, then the group's rewrite at this node; remembered per expression."""
        if isinstance(e, Entry) and group == "facts":
            return self._oriented(e, used)
        if not e.args or isinstance(e, Entry):
            return e
        key = (group, e)
        found = self._memo.get(key)
        if found is None:
            own = Used()
            if isinstance(e, Reduce):
                indices, body = e.expose()
                inner = self._bottom_up(group, body, own)
                if inner is body:
                    now: Expr = e
                else:
                    now = Reduce(e.op, indices, inner, e.at)
            else:
                now = rebuild(e, [self._bottom_up(group, a, own) for a in e.args])
            result = GROUPS[group](self, now, own)
            found = self._memo[key] = (result, own)
        used.laws.update(found[1].laws)
        used.facts.update(found[1].facts)
        return found[0]

    def _oriented(self, e: Entry, used: Used) -> Expr:
        """A_ji = A_ij for a symmetric A: the letter of the result first."""
        if e.tensor not in self.symmetric or len(e.idx) != 2:
            return e
        one, two = e.idx
        if (
            isinstance(one, Index)
            and isinstance(two, Index)
            and (one.name[0] in "!#~", one.name) > (two.name[0] in "!#~", two.name)
        ):
            used.facts[self.symmetric[e.tensor]] = None
            return Entry(e.tensor, (two, one))
        return e


def arithmetic(e: Expr, used: Used | None = None) -> Expr:
    """The node in normal arithmetic: flat, numbers folded, powers and like terms merged."""
    match e:
        case Add():
            return plus(e.args)
        case Mul():
            return powers(e.args)
        case Pow():
            return power(e.base, e.exponent)
        case Reduce():
            if e.op == "sum":
                indices, body = e.expose()
                return sum_over(indices, body)
        case Compare():
            known = decide(e)
            if known is not None:
                return ONE if known else ZERO
            if e.args[1] is ZERO and isinstance(e.args[0], Mul) and _sign(e.args[0]) < 0:
                return Compare(MIRRORED[e.fn], _positive(e.args[0]), ZERO)
        case Delta():
            if e.args[0] is e.args[1]:
                return ONE
        case Select():
            if e.args[1] is e.args[2]:
                return e.args[1]
            if e.args[0] is ONE:
                return e.args[1]
            if e.args[0] is ZERO:
                return e.args[2]
    return e


def _group_contract(s: Simplifier, e: Expr, used: Used) -> Expr:
    result = arithmetic(e)
    if result is not e:
        used.laws["contract"] = None
    return result


def _group_facts(s: Simplifier, e: Expr, used: Used) -> Expr:
    for law in (sum_fact, sign_fact, idle_mask):
        result = law(s, e, used)
        if result is not None:
            return arithmetic(result)
    return arithmetic(e)


def _group_combine(s: Simplifier, e: Expr, used: Used) -> Expr:
    for law in (
        fold_definition,
        fold_logistic,
        absolute,
        clamp,
        logistic,
        hyperbolic,
        together,
        multiply_out,
        expand_terms,
    ):
        result = law(s, e, used)
        if result is not None:
            used.laws[law.__name__] = None
            return arithmetic(result)
    return arithmetic(e)


def _group_collect(s: Simplifier, e: Expr, used: Used) -> Expr:
    for law in (masks, common_factor, partial_factor, under_one_sum, turn_difference, positive_first):
        result = law(s, e, used)
        if result is not None:
            used.laws[law.__name__] = None
            e = result
    return e


GROUPS: dict[str, Callable[[Simplifier, Expr, Used], Expr]] = {
    "contract": _group_contract,
    "facts": _group_facts,
    "combine": _group_combine,
    "collect": _group_collect,
}


# ---- facts -------------------------------------------------------------------------------------


def sum_fact(s: Simplifier, e: Expr, used: Used) -> Expr | None:
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


def _balance(s: Simplifier, body: Add, indices: tuple[Index, ...], used: Used) -> Expr | None:
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
        used.facts[Fact("balance", " ".join(names), low=value, text=f"the definition of {', '.join(names)}")] = None
    return value


def _is_entry(t: Expr) -> bool:
    return isinstance(t, Entry) or (
        isinstance(t, Mul) and t.args[0] is MINUS_ONE and len(t.args) == 2 and isinstance(t.args[1], Entry)
    )


def _entry_sum(s: Simplifier, e: Entry, indices: tuple[Index, ...], used: Used) -> Expr | None:
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


def sign_fact(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """y² = 1 for y = ±1. Ends: a power disappears."""
    if isinstance(e, Pow) and isinstance(e.base, Entry) and e.base.tensor in s.signs:
        p = e.exponent
        if isinstance(p, Num) and p.value.denominator == 1:
            used.facts[s.signs[e.base.tensor]] = None
            return ONE if p.value % 2 == 0 else e.base
    return None


def idle_mask(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """M E = E where E is defined as M · … and M is 0 or 1. Ends: a factor disappears."""
    if not isinstance(e, Mul):
        return None
    for m in e.args:
        if isinstance(m, Entry) and m.tensor in s.binary:
            for f in e.args:
                if isinstance(f, Entry) and f is not m and m in s.factors_of(f):
                    used.facts[s.binary[m.tensor]] = None
                    return powers(x for x in e.args if x is not m)
    return None


# ---- folding definitions -----------------------------------------------------------------------


def fold_definition(s: Simplifier, e: Expr, used: Used) -> Expr | None:
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


def fold_logistic(s: Simplifier, e: Expr, used: Used) -> Expr | None:
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
        return powers([*(value if x is rest[0] and False else x for x in rest), value])
    return None


def _logistic_base(s: Simplifier, f: Expr) -> tuple[Expr, Expr] | None:
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


def absolute(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """x sign(x) = |x|. Ends: two factors become one."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Call) and f.fn == "sign" and f.args[0] in e.args:
            whole = Call("abs", *f.args)
            return powers(whole if x is f else x for x in e.args if x is not f.args[0])
    return None


def clamp(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """x 1[x ≤ 0] = min(x, 0). Ends: two factors become one."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        if isinstance(f, Compare) and f.fn in ("<=", "<") and f.args[1] is ZERO and f.args[0] in e.args:
            whole = Call("minimum", f.args[0], ZERO)
            return powers(whole if x is f.args[0] else x for x in e.args if x is not f)
    return None


def logistic(s: Simplifier, e: Expr, used: Used) -> Expr | None:
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


def hyperbolic(s: Simplifier, e: Expr, used: Used) -> Expr | None:
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
    if isinstance(e, Pow) and _negative_power(e):
        return ONE, [e]
    if isinstance(e, Mul):
        low: list[Expr] = [f for f in e.args if isinstance(f, Pow) and _negative_power(f) and not _is_scale(f.base)]
        return mul(*(f for f in e.args if f not in low)), low
    return e, []


def _negative_power(e: Pow) -> bool:
    return isinstance(e.exponent, Num) and e.exponent.value < 0 and e.exponent.value.denominator == 1


def _is_scale(e: Expr) -> bool:
    return isinstance(e, (Size, Num))


def together(s: Simplifier, e: Expr, used: Used) -> Expr | None:
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
    numerators = []
    for top, low in parts:
        own = {f.base: -f.exponent.value for f in low if isinstance(f, Pow) and isinstance(f.exponent, Num)}
        missing = [power(b, Num(n - own.get(b, Fraction(0)))) for b, n in lows.items() if n != own.get(b, Fraction(0))]
        numerators.append(expand(powers([top, *missing])))
    numerator = collect(plus(numerators))
    result = powers([numerator, *(power(b, Num(-n)) for b, n in lows.items())])
    return result if length(result) < length(e) else None


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


def collect(e: Expr) -> Expr:
    """The common factor of a sum in front, if there is one."""
    return common_factor(None, e, Used()) or e


def multiply_out(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """(a/x + b) x and (1/N)(…) with parts that cancel: multiplied out where that shortens."""
    if not isinstance(e, Mul) or not any(isinstance(f, Add) for f in e.args):
        return None
    sums = [f for f in e.args if isinstance(f, Add)]
    others = [f for f in e.args if not isinstance(f, Add)]
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


def expand_terms(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """y (s − 1) + (1 − y) s = s − y: a sum of products multiplied out where that shortens.
    Ends: shorter."""
    if not isinstance(e, Add) or not any(isinstance(f, Add) for t in e.args for f in _factors(t)):
        return None
    result = collect(expand(e, 16))
    summands = sum(len(x.args) for x in walk(result) if isinstance(x, Add))
    return result if length(result) < length(e) and summands <= len(e.args) else None


# ---- factors and signs -------------------------------------------------------------------------


def masks(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """c·A + (1−c)·B = where(c, A, B); where(c, A, B)·f with a zero branch is a mask. Ends: shorter."""
    if isinstance(e, Add) and len(e.args) == 2:
        for one, two in (e.args, e.args[::-1]):
            a, b = _masked(one), _masked(two)
            for c, x in a:
                for d, y in b:
                    if d is opposite(c) and length(result := Select(c, x, y)) <= length(e):
                        shared = [f for f in _factors(x) if f in _factors(y) and not isinstance(f, Num)]
                        if shared:
                            x = mul(*(f for f in _factors(x) if f not in shared))
                            y = mul(*(f for f in _factors(y) if f not in shared))
                            return mul(*shared, Select(c, x, y))
                        return result
    if isinstance(e, Select) and e.args[2] is ZERO:
        return mul(e.args[1], e.args[0])
    return None


def opposite(c: Expr) -> Expr | None:
    table = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
    return Compare(table[c.fn], *c.args) if isinstance(c, Compare) else None


def _masked(e: Expr) -> list[tuple[Expr, Expr]]:
    factors = _factors(e)
    return [(f, mul(*(x for x in factors if x is not f))) for f in factors if isinstance(f, Compare)]


def _factors(e: Expr) -> tuple[Expr, ...]:
    return e.args if isinstance(e, Mul) else (e,)


def common_factor(s: Simplifier | None, e: Expr, used: Used) -> Expr | None:
    """a b + a c = a (b + c), numbers and divisors too. Ends: shorter, or as short with fewer nodes."""
    if not isinstance(e, Add):
        return None
    split_terms = [split(t) for t in e.args]
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


def _place(taken: list[Expr], terms: list[tuple[Fraction, Expr]]) -> tuple[list[Expr], list[Expr]]:
    """Common factors stand before or after the bracket as they stood in the longest term."""
    longest = max((_factors(r) for _, r in terms), key=len)
    before: list[Expr] = []
    after: list[Expr] = []
    for f in taken:
        base = canon(f.base if isinstance(f, Pow) else f)
        position = next((n for n, x in enumerate(longest) if canon(x.base if isinstance(x, Pow) else x) is base), 0)
        negative = isinstance(f, Pow) and _negative_power(f)
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
    for f in _factors(e):
        base, p = (f.base, f.exponent) if isinstance(f, Pow) else (f, ONE)
        if isinstance(p, Num) and not isinstance(base, Num):
            table[canon(base)] = (base, p.value)
    return table


def partial_factor(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """a b + a c + d = a (b + c) + d, for the factor that shortens most. Ends: shorter."""
    if not isinstance(e, Add) or len(e.args) < 3 or len(e.args) > 8:
        return None
    counts: dict[Expr, list[int]] = {}
    for n, t in enumerate(e.args):
        for base in _power_table(split(t)[1]):
            if not isinstance(base, Size):
                counts.setdefault(base, []).append(n)
    best: Expr | None = None
    for where in counts.values():
        if 2 <= len(where) < len(e.args):
            grouped = collect(plus(e.args[n] for n in where))
            rest = [grouped if n == where[0] else t for n, t in enumerate(e.args) if n == where[0] or n not in where]
            result = add(*rest)
            if length(result) < length(best or e):
                best = result
    return best


def under_one_sum(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """Σ_k x_k c_k + Σ_k y_k c_k = Σ_k (x_k + y_k) c_k: (A + Aᵀ) x, Xᵀ (p − y). Ends: one sum less."""
    if not isinstance(e, Add):
        return None
    sums = [(n, *_as_sum(t)) for n, t in enumerate(e.args)]
    for a, (n, scale, left) in enumerate(sums):
        for m, other, right in sums[a + 1 :]:
            if left is None or right is None or [i.dim for i in left.bound] != [i.dim for i in right.bound]:
                continue
            merged = _merged(left, right, scale, other)
            if merged is not None:
                rest = [merged if k == n else t for k, t in enumerate(e.args) if k != m]
                result = plus(rest)
                if length(result) < length(e):
                    return result
    return None


def _as_sum(t: Expr) -> tuple[Fraction, Reduce | None]:
    c, rest = split(t)
    return c, rest if isinstance(rest, Reduce) and rest.op == "sum" and isinstance(rest.body, Mul) else None


def _merged(left: Reduce, right: Reduce, c: Fraction, d: Fraction) -> Expr | None:
    """The two sums as one, if their bodies share a factor that carries the bound letters."""
    indices, one = left.expose()
    two = substitute(right.body, dict(zip(right.bound, indices)))
    shared = [f for f in _factors(one) if f in _factors(two) and not f.free.isdisjoint(indices)]
    if not shared:
        return None
    rest_one = powers([Num(c), *(f for f in _factors(one) if f not in shared)])
    rest_two = powers([Num(d), *(f for f in _factors(two) if f not in shared)])
    if any(len(r.free) > 1 and sum(bool(f.free) for f in _factors(r)) > 1 for r in (rest_one, rest_two)):
        return None  # W diag(a) + V diag(b) is shorter, but (W ⊙ …) x with each its own vector reads better
    inner = common_factor(None, plus((rest_one, rest_two)), Used()) or plus((rest_one, rest_two))
    inner = positive_first(None, inner, Used()) or inner
    first = next(n for n, f in enumerate(_factors(one)) if f in shared)
    if len(inner.free) > max([2, *(len(x.idx) for x in walk(inner) if isinstance(x, Entry))]):
        return None  # an array of higher order than any tensor in it has no matrix form
    order = [*shared, inner] if first == 0 else [inner, *shared]
    return sum_over(indices, powers(order))


def turn_difference(s: Simplifier, e: Expr, used: Used) -> Expr | None:
    """−(t − y) = y − t inside a product, and inside a sum that is a factor. Ends: one minus fewer."""
    if not isinstance(e, Mul) or not isinstance(e.args[0], Num) or e.args[0].value >= 0:
        return None
    for n, f in enumerate(e.args[1:], 1):
        turned = _turned(f)
        if turned is not None:
            front = Num(-e.args[0].value, e.args[0].decimal)
            return mul(front, *e.args[1:n], turned, *e.args[n + 1 :])
    return None


def _turned(f: Expr) -> Expr | None:
    """The negative of a difference of two named things, or of a sum over one; 1 − a stays."""
    if isinstance(f, Add):
        if not any(_sign(t) < 0 for t in f.args) or any(isinstance(t, Num) for t in f.args):
            return None
        turned = plus(powers((MINUS_ONE, t)) for t in f.args)
        return positive_first(None, turned, Used()) or turned
    if isinstance(f, Reduce) and f.op == "sum":
        indices, body = f.expose()
        parts = list(_factors(body))
        for n, part in enumerate(parts):
            inner = _turned(part)
            if inner is not None:
                return Reduce("sum", indices, mul(*parts[:n], inner, *parts[n + 1 :]))
    return None


def positive_first(s: Simplifier | None, e: Expr, used: Used) -> Expr | None:
    """−t + y = y − t. Ends: the first summand has a plus."""
    if not isinstance(e, Add) or _sign(e.args[0]) > 0:
        return None
    n = next((n for n, t in enumerate(e.args) if _sign(t) > 0), None)
    if n is None:
        turned = plus(powers((MINUS_ONE, t)) for t in e.args)
        return mul(MINUS_ONE, turned) if isinstance(turned, Add) else None
    return Add((e.args[n], *e.args[:n], *e.args[n + 1 :]))


__all__ = ["HALF", "Result", "Simplifier", "arithmetic", "canon", "expand", "length", "split"]
