"""The polynomial normal form: what decides that two expressions are equal by algebra.

A `Polynomial` is a sum of monomials, each a coefficient times Σ over bound letters of a product of
atoms with exponents. Atoms are entries, function values, comparisons and what does not take apart;
arguments of functions are in normal form themselves. Products are multiplied out, all Σ of a
monomial stand together in front, its bound letters have canonical names and its factors a
canonical order, so equal polynomials are equal dictionaries. Facts that make a product shorter
(t² = t, y² = 1, Σ_k t_k = 1) are part of the form, and are reported.

    1 − σ(u) = σ(−u)      exp(a + b) = exp a · exp b      log(a b) = log a + log b for a > 0
    [x ≤ y] = 1 − [x > y]  max(x, y) = x[x > y] + y[x ≤ y]  where(c, a, b) = c a + (1 − c) b
    Σ_i δ_ij f(i) = f(j)   Σ_k (A⁻¹)_ik A_kj = δ_ij

Nothing here is printed: simplify.py proposes a form, prove.py asks whether it is the same.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

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
    add,
    fresh,
    mul,
    rebuild,
    substitute,
    text,
)
from symbp.graph import Fact, Node
from symbp.index import place
from symbp.known import Known

TERMS = 400  # larger polynomials are given up: the equality is then not proved
RELABELLINGS = 24
_BOUND = re.compile(r"\?\d+")


class TooLarge(Exception):
    """The normal form has too many terms to be worth computing."""


class Monomial(NamedTuple):
    """Σ over `bound` of the product of base ** exponent; factors in canonical order."""

    bound: tuple[Index, ...]
    factors: tuple[tuple[Expr, Expr], ...]


UNIT = Monomial((), ())
Polynomial = dict[Monomial, Fraction]

_TEXT: dict[Expr, str] = {}


def _text(e: Expr) -> str:
    found = _TEXT.get(e)
    if found is None:
        found = _TEXT[e] = text(e)
    return found


class Normaliser:
    """Normal forms for what is known of one network. `facts` collects what they rested on; with
    `deep`, functions that are made of exponentials are written in them."""

    def __init__(self, known: Known, deep: bool = False) -> None:
        self.known, self.deep = known, deep
        self.facts: dict[Fact, None] = {}
        self.work = 100_000  # products of monomials that are left before TooLarge
        self._memo: dict[Expr, tuple[Polynomial, tuple[Fact, ...]]] = {}
        self._regions: dict[Expr, tuple[Fact, int]] | None = None

    # ---- to polynomials -----------------------------------------------------------------------

    def __call__(self, e: Expr) -> Polynomial:
        """The polynomial of `e`. Raises TooLarge."""
        found = self._memo.get(e)
        if found is None:
            outer, self.facts = self.facts, {}
            try:
                value = self._polynomial(e)
            finally:
                own, self.facts = tuple(self.facts), outer
            if len(value) > TERMS:
                raise TooLarge
            found = self._memo[e] = (value, own)
        self.facts.update(dict.fromkeys(found[1]))
        return found[0]

    def expression(self, p: Polynomial) -> Expr:
        """A polynomial as an expression, in canonical order."""
        return add(*(self._term(m, c) for m, c in sorted(p.items(), key=lambda t: _sort_key(t[0]))))

    def _term(self, m: Monomial, c: Fraction) -> Expr:
        body = mul(*(b if x is ONE else Pow(b, x) for b, x in m.factors))
        if m.bound:
            letters = {i: fresh(i.dim) for i in m.bound}
            body = Reduce("sum", letters.values(), substitute(body, letters))
        return body if c == 1 else mul(Num(c), body)

    def normal(self, e: Expr) -> Expr:
        """`e` in normal form, as an expression."""
        return self.expression(self(e))

    def _polynomial(self, e: Expr) -> Polynomial:
        match e:
            case Num():
                return {UNIT: e.value} if e.value else {}
            case Add():
                return _sum(self(a) for a in e.args)
            case Mul():
                result: Polynomial = {UNIT: Fraction(1)}
                for a in e.args:
                    result = self.product(result, self(a))
                return result
            case Pow():
                return self._power(e.base, e.exponent)
            case Reduce():
                return self._reduce(e)
            case Call():
                return self._call(e)
            case Compare():
                return self._compare(e)
            case Select():
                condition = self(e.args[0])
                yes, no = self(e.args[1]), self(e.args[2])
                return _sum((no, self.product(condition, _sum((yes, _scaled(no, -1))))))
            case Delta():
                left, right = map(place, e.args)
                if left is right:
                    return {UNIT: Fraction(1)}
                return self._atom(Delta(*sorted((left, right), key=_text)))
            case Entry():
                return self._entry(e)
        return self._atom(e)

    def _atom(self, e: Expr, exponent: Expr = ONE) -> Polynomial:
        return {Monomial((), ((e, exponent),)): Fraction(1)}

    def _entry(self, e: Entry) -> Polynomial:
        e = Entry(e.tensor, map(place, e.idx))
        node = self.known.definition(e.tensor)
        if node is not None and (mask := masked_by(self.known, node, e)) is not None:
            return self.product(self(mask), self._atom(e))
        fact = self.known.symmetric.get(e.tensor)
        if fact is not None and len(e.idx) == 2 and _text(e.idx[0]) > _text(e.idx[1]):
            self.facts[fact] = None
            e = Entry(e.tensor, e.idx[::-1])
        if e.tensor in self.known.hollow and e.idx[0] is e.idx[1]:
            self.facts[self.known.hollow[e.tensor]] = None
            return {}
        return self._atom(e)

    # ---- products -----------------------------------------------------------------------------

    def spend(self, products: int) -> None:
        """Count the work, in products of monomials. Raises TooLarge where too little is left."""
        self.work -= products
        if self.work < 0:
            raise TooLarge

    def product(self, p: Polynomial, q: Polynomial) -> Polynomial:
        if len(p) * len(q) > 4 * TERMS:
            raise TooLarge
        self.spend(len(p) * len(q))
        result: Polynomial = {}
        for (m, c), (n, d) in itertools.product(p.items(), q.items()):
            n = _apart(n, len(m.bound))
            for k, f in self._made((*m.bound, *n.bound), (*m.factors, *n.factors)).items():
                _put(result, k, c * d * f)
        return result

    def _made(self, bound: tuple[Index, ...], factors: Iterable[tuple[Expr, Expr]]) -> Polynomial:
        """Σ over `bound` of a product of powers, brought to normal form."""
        powers: dict[Expr, Expr] = {}
        for b, x in factors:
            if b in powers:
                x = self._exponent(powers[b], x)
            powers[b] = x
        for b in [b for b, x in powers.items() if isinstance(b, Delta)]:
            powers[b] = ONE
            solved = _solve(b, bound)
            if solved is not None:
                letter, value = solved
                rest = [(self._moved(c, {letter: value}), x) for c, x in powers.items() if c is not b]
                return self._expanded(tuple(i for i in bound if i is not letter), rest)
        for b in [b for b in powers if isinstance(b, Delta)]:  # δ_ij f(i, j) = δ_ij f(i, i)
            one, two = b.args
            if isinstance(one, Index) and isinstance(two, Index) and one.dim is two.dim:
                if any(two in c.free or two in x.free for c, x in powers.items() if c is not b):
                    there: dict[Index, Expr] = {two: one}
                    alike = [(substitute(c, there), substitute(x, there)) for c, x in powers.items() if c is not b]
                    return self.product(self._expanded(bound, alike), self._atom(b))
        for b in [b for b in powers if isinstance(b, Compare) and b.fn == "<"]:
            if Compare(">", *b.args) in powers:  # [x > 0][x < 0] = 0
                return {}
            x = powers.get(b.args[0], ZERO)
            if isinstance(x, Num) and x.value > 0:  # x[x < 0] = x(1 − [x > 0])
                others = tuple((c, y) for c, y in powers.items() if c is not b)
                above = self._made(bound, (*others, (Compare(">", *b.args), ONE)))
                return _sum((self._made(bound, others), _scaled(above, -1)))
        pair = self._one_place(powers, bound)
        if pair is not None:
            rest = [(b, x) for b, x in powers.items() if b is not pair[0]]
            return self._expanded(bound, [*rest, (pair[1], ONE)])
        for b, x in list(powers.items()):
            if x is ZERO:
                del powers[b]
            elif isinstance(x, Num):
                powers[b] = self._reduced_exponent(b, x)
                if powers[b] is ZERO:
                    del powers[b]
        for b, x in powers.items():
            if isinstance(x, Num) and x.value >= 1 and _is_composite(b):
                whole = math.floor(x.value)
                left = {**powers, b: Num(x.value - whole)}
                if left[b] is ZERO:
                    del left[b]
                return self._times_power(bound, tuple(left.items()), b, whole)
        return self._summed(bound, powers)

    def _times_power(
        self, bound: tuple[Index, ...], factors: tuple[tuple[Expr, Expr], ...], base: Expr, n: int
    ) -> Polynomial:
        """A product with an open base multiplied in; `bound` stays bound outside."""
        mine = {i: fresh(i.dim) for i in bound}
        result: Polynomial = {UNIT: Fraction(1)}
        for b, x in factors:
            result = self.product(result, self._atom(substitute(b, mine), substitute(x, mine)))
        inner = self(substitute(base, mine))
        for _ in range(n):
            result = self.product(result, inner)
        return self.total(tuple(mine.values()), result)

    def _moved(self, base: Expr, letters: dict[Index, Expr]) -> Expr:
        return substitute(base, letters)

    def _expanded(self, bound: tuple[Index, ...], factors: list[tuple[Expr, Expr]]) -> Polynomial:
        """As `_made` for bases that may have to be brought to normal form again."""
        mine = {i: fresh(i.dim) for i in bound}
        result: Polynomial = {UNIT: Fraction(1)}
        for b, x in factors:
            part = self._power(substitute(b, mine), substitute(x, mine)) if x is not ONE else self(substitute(b, mine))
            result = self.product(result, part)
        return self.total(tuple(mine.values()), result)

    def _exponent(self, x: Expr, y: Expr) -> Expr:
        if isinstance(x, Num) and isinstance(y, Num):
            return Num(x.value + y.value)
        return self.normal(add(x, y))

    def _reduced_exponent(self, base: Expr, x: Num) -> Expr:
        """t² = t for what is 0 or 1; y² = 1 for what is ±1."""
        if isinstance(base, (Compare, Delta)):
            return ONE if x.value > 0 else x
        if isinstance(base, Entry) and x.value.denominator == 1 and x is not ONE:
            if base.tensor in self.known.binary and x.value > 0:
                self.facts[self.known.binary[base.tensor]] = None
                return ONE
            if base.tensor in self.known.signs:
                self.facts[self.known.signs[base.tensor]] = None
                return Num(x.value % 2)
        return x

    def _one_place(self, powers: dict[Expr, Expr], bound: tuple[Index, ...]) -> tuple[Expr, Expr] | None:
        """t_k t_l = t_k δ_kl for a one-hot t: the entry at a summed letter, and the δ."""
        hot = [b for b in powers if isinstance(b, Entry) and b.tensor in self.known.onehot]
        for a, b in itertools.permutations(hot, 2):
            assert isinstance(a, Entry) and isinstance(b, Entry)
            if a.tensor != b.tensor:
                continue
            fact = self.known.onehot[a.tensor]
            axis = (fact.axis if fact.axis is not None else -1) % len(a.idx)
            same = all(x is y for n, (x, y) in enumerate(zip(a.idx, b.idx)) if n != axis)
            if same and b.idx[axis] in bound and isinstance(a.idx[axis], Index):
                self.facts[fact] = None
                return b, Delta(a.idx[axis], b.idx[axis])
        return None

    # ---- sums ---------------------------------------------------------------------------------

    def total(self, letters: Sequence[Index], p: Polynomial) -> Polynomial:
        """Σ over free letters of a polynomial."""
        result: Polynomial = {}
        for m, c in p.items():
            renamed: dict[Index, Expr] = {i: Index(f"?{len(m.bound) + n}", i.dim) for n, i in enumerate(letters, 1)}
            factors = [(substitute(b, renamed), substitute(x, renamed)) for b, x in m.factors]
            bound = (*m.bound, *renamed.values())
            for k, f in self._made(bound, factors).items():  # type: ignore[arg-type]
                _put(result, k, c * f)
        return result

    def _summed(self, bound: tuple[Index, ...], powers: dict[Expr, Expr]) -> Polynomial:
        """Letters that nothing uses become sizes, facts about sums are used; else a monomial."""
        whole = self._whole_sum(bound, powers)
        if whole is not None:
            entry, number = whole
            left = tuple(i for i in bound if i not in entry.free)
            return self._expanded(left, [*((b, x) for b, x in powers.items() if b is not entry), (number, ONE)])
        for i in bound:
            users = [(b, x) for b, x in powers.items() if i in b.free or i in x.free]
            rest = tuple(j for j in bound if j is not i)
            if not users:
                more = self._factors_of_size(i.dim)
                return self._made(rest, (*powers.items(), *more)) if more is not None else self._monomial(bound, powers)
            if len(users) == 1 and users[0][1] is ONE:
                value = self._sum_of(users[0][0], i)
                if value is not None:
                    return self._expanded(
                        rest, [*((b, x) for b, x in powers.items() if b is not users[0][0]), (value, ONE)]
                    )
            if len(users) == 2 and all(x is ONE for _, x in users):
                unit = _inverse_pair(users[0][0], users[1][0], i)
                if unit is not None:
                    others = [(b, x) for b, x in powers.items() if b not in (users[0][0], users[1][0])]
                    return self._expanded(rest, [*others, (unit, ONE)])
        return self._monomial(bound, powers)

    def _factors_of_size(self, dim: Expr) -> tuple[tuple[Expr, Expr], ...] | None:
        p = self(dim)
        if len(p) != 1:
            return ((self.normal(dim), ONE),)
        ((m, c),) = p.items()
        return (*m.factors, *(((Num(c), ONE),) if c != 1 else ()))

    def _sum_of(self, e: Expr, i: Index) -> Expr | None:
        """Σ_i e by a fact, or None."""
        if isinstance(e, Reduce) and e.op == "softmax" and e.at[0] is i and i not in e.body.free:
            self.facts[Fact("softmax", text="a softmax sums to 1")] = None
            return ONE
        if not isinstance(e, Entry):
            return None
        for fact in self.known.sums_to.get(e.tensor, ()):
            if fact.axis is not None and e.idx[fact.axis] is i and sum(i in x.free for x in e.idx) == 1:
                self.facts[fact] = None
                return fact.low or ONE
        return None

    def _whole_sum(self, bound: tuple[Index, ...], powers: Mapping[Expr, Expr]) -> tuple[Expr, Expr] | None:
        """An entry that is summed over all its letters, which nothing else uses, and what a fact says it is."""
        if len(bound) < 2:
            return None
        for e, x in powers.items():
            if not isinstance(e, Entry) or x is not ONE or len(e.free) != len(e.idx) or not e.free <= set(bound):
                continue
            for fact in self.known.sums_to.get(e.tensor, ()):
                if fact.axis is None and all(b is e or e.free.isdisjoint(b.free | y.free) for b, y in powers.items()):
                    self.facts[fact] = None
                    return e, fact.low or ONE
        return None

    def _monomial(self, bound: tuple[Index, ...], powers: dict[Expr, Expr]) -> Polynomial:
        numbers = [b for b in powers if isinstance(b, Num)]
        scale = Fraction(1)
        for b in numbers:
            x = powers[b]
            if isinstance(b, Num) and isinstance(x, Num) and x.value.denominator == 1:
                scale *= b.value ** int(x.value)
                del powers[b]
            elif isinstance(b, Num) and isinstance(x, Num) and x.value.denominator == 2:  # 1/√2 is √2/2
                scale *= b.value ** (x.value.numerator // 2)
                powers[b] = HALF
        symmetric = {b for b in powers if isinstance(b, Entry) and b.tensor in self.known.symmetric} if bound else ()
        self.facts.update(dict.fromkeys(self.known.symmetric[b.tensor] for b in symmetric))
        return {_canonical(bound, tuple(powers.items()), frozenset(symmetric)): scale}

    def _reduce(self, e: Reduce) -> Polynomial:
        indices, body = e.open()
        if e.op == "sum":
            return self.total(indices, self(body))
        inner = self.normal(body)
        if self.deep and e.op in ("softmax", "logsumexp", "log_softmax"):
            weights = Reduce("sum", indices, Call("exp", body))
            if e.op == "logsumexp":
                return self._call(Call("log", weights))
            at = substitute(body, dict(zip(indices, e.at)))
            if e.op == "softmax":
                return self(mul(Call("exp", at), Pow(weights, MINUS_ONE)))
            return self(add(at, mul(MINUS_ONE, Call("log", weights))))
        if e.op == "log_softmax":
            return self(Call("log", Reduce("softmax", indices, inner, e.at)))
        read = tuple(map(place, e.at))
        if e.op == "inv" and _text(read[0]) > _text(read[1]) and self._is_symmetric(indices, inner):
            read = read[::-1]
        return self._atom(Reduce(e.op, indices, inner, read))

    def _is_symmetric(self, indices: tuple[Index, ...], body: Expr) -> bool:
        if len(indices) != 2 or indices[0].dim is not indices[1].dim:
            return False
        one, two = indices
        return self(substitute(body, {one: two, two: one})) == self(body)

    # ---- powers and functions -----------------------------------------------------------------

    def _power(self, base: Expr, exponent: Expr) -> Polynomial:
        p = self(base)
        x = self.normal(exponent)
        if x is ZERO:
            return {UNIT: Fraction(1)}
        whole = isinstance(x, Num) and x.value.denominator == 1
        if whole and isinstance(x, Num) and 0 < x.value <= 6:
            result = p
            for _ in range(int(x.value) - 1):
                result = self.product(result, p)
            return result
        if len(p) == 1:
            ((m, c),) = p.items()
            if not m.bound:
                return self._power_of_monomial(m, c, x, whole)
        if not p:
            return self._atom(Pow(ZERO, x))
        content, m, rest = self._content(p, whole)
        own = self._power_of_monomial(m, content, x, whole)
        return self.product(own, self._atom(self.expression(rest), x))

    def _power_of_monomial(self, m: Monomial, c: Fraction, x: Expr, whole: bool) -> Polynomial:
        """(c Π b^y)^x = c^x Π b^(xy), for whole x or positive factors."""
        loose: list[tuple[Expr, Expr]] = []
        tight: list[tuple[Expr, Expr]] = []
        for b, y in m.factors:
            root = isinstance(y, Num) and y.value.denominator == 1 and y.value % 2 == 0 and not whole
            free = (whole or self.known.is_positive(b)) and not (root and not self.known.is_positive(b))
            (loose if free else tight).append((b, y))
        if len(tight) == 1 and tight[0][1] is ONE and c > 0:  # what is left must be positive too
            loose, tight = [*loose, *tight], []
        factors = [(b, self._times_exponent(y, x)) for b, y in loose]
        if tight:
            factors.append((mul(*(b if y is ONE else Pow(b, y) for b, y in tight)), x))
        scale = Fraction(1)
        if c != 1:
            if whole and isinstance(x, Num):
                scale = c ** int(x.value)
            else:
                scale, more = _root(c, x)
                factors += more
        return _scaled(self._made((), factors), scale)

    def _times_exponent(self, y: Expr, x: Expr) -> Expr:
        if isinstance(x, Num) and isinstance(y, Num):
            return Num(x.value * y.value)
        return self.normal(mul(y, x))

    def _content(self, p: Polynomial, whole: bool) -> tuple[Fraction, Monomial, Polynomial]:
        """A polynomial as number × monomial × primitive polynomial."""
        ordered = sorted(p, key=_sort_key)
        first = p[ordered[0]]
        content = first if whole else abs(first)
        shared: dict[Expr, Fraction] = {}
        for m in ordered:
            for b, x in m.factors:
                if isinstance(x, Num) and not any(i.name.startswith("?") for i in b.free):
                    shared.setdefault(b, x.value)
        for b in list(shared):
            exponents = []
            for m in ordered:
                x = dict(m.factors).get(b, ZERO)
                if not isinstance(x, Num):
                    exponents = [Fraction(0)]
                    break
                exponents.append(x.value)
            shared[b] = min(exponents)
            if not shared[b] or not (whole or self.known.is_positive(b)):
                del shared[b]
        factors = tuple((b, Num(n)) for b, n in shared.items())
        if not factors and content == 1:
            return content, UNIT, p
        back = tuple((b, Num(-n)) for b, n in shared.items())
        rest: Polynomial = {}
        for m, c in p.items():
            for k, f in self._made(m.bound, (*m.factors, *back)).items():
                _put(rest, k, c / content * f)
        return content, Monomial((), factors), rest

    def _call(self, e: Call) -> Polynomial:
        fn, args = e.fn, e.args
        match fn:
            case "exp":
                return self._exponential(self(args[0]))
            case "log":
                return self._logarithm(self(args[0]))
            case "sigmoid":
                return self._sigmoid(args[0])
            case "softplus":
                if self.deep:
                    return self(Call("log", Add((ONE, Call("exp", args[0])))))
                minus, u = self._oriented(args[0])
                value = self._atom(Call("softplus", u))
                return _sum((value, _scaled(self(u), -1))) if minus else value
            case "tanh":
                if self.deep:
                    up = Call("exp", mul(2, args[0]))
                    return self(mul(Add((up, MINUS_ONE)), Pow(Add((up, ONE)), MINUS_ONE)))
                minus, u = self._oriented(args[0])
                return _scaled(self._atom(Call("tanh", u)), -1 if minus else 1)
            case "cosh" | "sinh" if self.deep:
                sign = ONE if fn == "cosh" else MINUS_ONE
                up, down = Call("exp", args[0]), Call("exp", mul(MINUS_ONE, args[0]))
                return _scaled(self(add(up, mul(sign, down))), Fraction(1, 2))
            case "sign" | "abs":
                return self._sign(args[0], fn == "abs")
            case "relu":
                return self.product(self(args[0]), self(Compare(">", args[0], ZERO)))
            case "step":
                return self(Compare(">", args[0], ZERO))
            case "maximum":
                x, y = args
                return self(Select(Compare(">", x, y), x, y))
            case "minimum":
                x, y = args
                return self(Select(Compare("<=", x, y), x, y))
            case "silu":
                return self(mul(args[0], Call("sigmoid", args[0])))
            case "xlogy":
                return self(mul(args[0], Call("log", args[1])))
        return self._atom(Call(fn, *(self.normal(a) for a in args)))

    def _exponential(self, p: Polynomial) -> Polynomial:
        """exp(Σ c t) = Π exp(t)^c, and exp(log x) = x."""
        factors: list[tuple[Expr, Expr]] = []
        for m, c in sorted(p.items(), key=lambda t: _sort_key(t[0])):
            if len(m.factors) == 1 and not m.bound and m.factors[0][1] is ONE:
                inner = m.factors[0][0]
                if isinstance(inner, Call) and inner.fn == "log":
                    factors.append((inner.args[0], Num(c)))
                    continue
            factors.append((Call("exp", self._term(m, Fraction(1))), Num(c)))
        return self._made((), factors)

    def _logarithm(self, p: Polynomial) -> Polynomial:
        """log(Π b^x) = Σ x log b for positive b, and log(exp x) = x."""
        content, m, rest = self._content(p, False) if len(p) > 1 else (Fraction(1), UNIT, p)
        if len(p) == 1:
            ((m, c),) = p.items()
            if m.bound or c < 0:
                return self._atom(Call("log", self.expression(p)))
            content, rest = c, {UNIT: Fraction(1)}
        loose = [(b, x) for b, x in m.factors if self.known.is_positive(b)]
        tight = [(b, x) for b, x in m.factors if not self.known.is_positive(b)]
        if len(tight) == 1 and tight[0][1] in (ONE, MINUS_ONE) and len(p) == 1:
            loose, tight = [*loose, *tight], []
        terms = [self._log_of(b, x) for b, x in loose]
        if content != 1:
            terms.append(self._atom(Call("log", Num(content))))
        rest = rest if not tight else self.product(rest, self._made((), tight))
        if rest != {UNIT: Fraction(1)}:
            terms.append(self._atom(Call("log", self.expression(rest))))
        return _sum(terms)

    def _log_of(self, base: Expr, x: Expr) -> Polynomial:
        if isinstance(base, Call) and base.fn == "exp":
            value = self(base.args[0])
        elif isinstance(base, Call) and base.fn == "sigmoid":  # log σ(u) = u − softplus(u)
            value = _sum((self(base.args[0]), _scaled(self._atom(Call("softplus", *base.args)), -1)))
        else:
            value = self._atom(Call("log", base))
        return self.product(self(x), value)

    def _oriented(self, u: Expr) -> tuple[bool, Expr]:
        """u with a positive first coefficient, and whether it was turned round."""
        p = self(u)
        if not p:
            return False, ZERO
        minus = p[min(p, key=_sort_key)] < 0
        return minus, self.expression(_scaled(p, -1) if minus else p)

    def _sigmoid(self, u: Expr) -> Polynomial:
        if self.deep:
            up = Call("exp", u)
            return self(mul(up, Pow(Add((ONE, up)), MINUS_ONE)))
        minus, inner = self._oriented(u)
        value = self._atom(Call("sigmoid", inner))
        return _sum(({UNIT: Fraction(1)}, _scaled(value, -1))) if minus else value

    def _sign(self, x: Expr, absolute: bool) -> Polynomial:
        """|x| = x(2[x > 0] − 1), sign(x) = 2[x > 0] − 1 + [x = 0]."""
        if isinstance(x, Entry) and x.tensor in self.known.signs:
            self.facts[self.known.signs[x.tensor]] = None
            return {UNIT: Fraction(1)} if absolute else self(x)
        if self.known.is_positive(x):
            return self(x) if absolute else {UNIT: Fraction(1)}
        turned = _sum((_scaled(self(Compare(">", x, ZERO)), 2), {UNIT: Fraction(-1)}))
        return self.product(self(x), turned) if absolute else _sum((turned, self(Compare("==", x, ZERO))))

    def _minus_above(self, x: Expr) -> Polynomial:
        """[x < 0] for an entry."""
        fact = self._region(x)
        if fact is not None:
            self.facts[fact[0]] = None
            return {UNIT: Fraction(1)} if fact[1] < 0 else {}
        return self._atom(Compare("<", x, ZERO))

    def _direction(self, p: Polynomial) -> tuple[bool, Expr]:
        """Without numbers and positive factors: is it turned round, and what is left."""
        scale, m, rest = self._content(p, True)
        loose = [(b, x) for b, x in m.factors if not self.known.is_positive(b)]
        if loose:
            rest = self.product(rest, self._made((), loose))
        return scale < 0, self.expression(rest)

    def _region(self, inner: Expr) -> tuple[Fact, int] | None:
        """A fact that says whether `inner` is above 0 or below."""
        if self._regions is None:
            self._regions = {}
            for fact in self.known.regions:
                c = fact.condition
                if isinstance(c, Compare) and c.fn in (">", "<", ">=", "<="):
                    p = _sum((self(c.args[0]), _scaled(self(c.args[1]), -1)))
                    if p:
                        minus, inner_ = self._direction(p)
                        up = (c.fn in (">", ">=")) is not minus
                        self._regions[inner_] = (fact, 1 if up else -1)
        return self._regions.get(inner)

    def _is_nonzero(self, inner: Expr) -> bool:
        found = self._region(inner)
        if found is not None:
            self.facts[found[0]] = None
            return True
        for fact in self.known.nonzero:
            if isinstance(inner, Entry) and fact.tensor == inner.tensor:
                self.facts[fact] = None
                return True
        return False

    def _indicator(self, x: Expr, strict: bool = True) -> Polynomial | None:
        """[t x > 0] = t[x > 0] for a t that is 0 or 1; [relu(x) > 0] = [x > 0]."""
        if isinstance(x, Call) and x.fn == "relu":
            return self(Compare(">", x.args[0], ZERO))
        if isinstance(x, Call) and x.fn == "maximum" and ZERO in x.args:
            return self(Compare(">", x.args[1] if x.args[0] is ZERO else x.args[0], ZERO))
        if isinstance(x, Mul):
            for n, f in enumerate(x.args):
                rest = mul(*x.args[:n], *x.args[n + 1 :])
                if isinstance(f, (Compare, Delta)) or self._is_mask(f):
                    return self.product(self(f), self(Compare(">", rest, ZERO)))
                if isinstance(f, Call) and f.fn in ("relu", "maximum") and (own := self._indicator(f)) is not None:
                    if self.known.is_square(rest) or self._is_mask(rest):  # a product of two that are not below 0
                        return self.product(own, self(Compare(">", rest, ZERO)))
        if self._is_mask(x):
            return self(x)
        return None

    def _is_mask(self, e: Expr) -> bool:
        """t or 1 − t for a t that is 0 or 1."""
        if isinstance(e, Add) and len(e.args) == 2 and ONE in e.args:
            other = e.args[1] if e.args[0] is ONE else e.args[0]
            e = (
                other.args[1]
                if isinstance(other, Mul) and other.args[0] is MINUS_ONE and len(other.args) == 2
                else ZERO
            )
        if isinstance(e, Entry) and e.tensor in self.known.binary:
            self.facts[self.known.binary[e.tensor]] = None
            return True
        return isinstance(e, (Compare, Delta))

    def _compare(self, e: Compare) -> Polynomial:
        """[x > y] and [x = y] of the difference, its first coefficient positive."""
        x, y = e.args
        one: Polynomial = {UNIT: Fraction(1)}
        match e.fn:
            case "<" if y is not ZERO or not isinstance(x, (Entry, Index)):
                return self(Compare(">", y, x))
            case "<":
                if self.known.is_positive(x) or (isinstance(x, Entry) and x.tensor in self.known.binary):
                    return {}
                return self._minus_above(x)
            case ">=":
                return _sum((one, _scaled(self(Compare(">", y, x)), -1)))
            case "<=":
                return _sum((one, _scaled(self(Compare(">", x, y)), -1)))
            case "!=":
                return _sum((one, _scaled(self(Compare("==", x, y)), -1)))
            case "==" if not (x.free and not x.tensors and not y.tensors):
                above, below = self(Compare(">", x, y)), self(Compare(">", y, x))
                nonzero = self._is_nonzero(x) if y is ZERO else False
                return {} if nonzero else _sum((one, _scaled(above, -1), _scaled(below, -1)))
        known = self._indicator(x) if e.fn == ">" and y is ZERO else None
        if known is not None:
            return known
        difference = _sum((self(x), _scaled(self(y), -1)))
        if not difference:
            return {} if e.fn == ">" else one
        minus, inner = self._direction(difference)
        if isinstance(inner, Num):
            holds = (inner.value > 0) is not minus if e.fn == ">" else inner.value == 0
            return one if holds else {}
        if e.fn == "==":
            return self._atom(Compare("==", inner, ZERO))
        if self.known.is_positive(inner):
            return {} if minus else one
        fact = self._region(inner)
        if fact is not None:
            self.facts[fact[0]] = None
            return {} if minus is (fact[1] > 0) else one
        return self._atom(Compare("<" if minus else ">", inner, ZERO))


# ---- canonical monomials -----------------------------------------------------------------------


def _sort_key(m: Monomial) -> tuple[int, list[tuple[str, str]]]:
    return len(m.bound), [(_text(b), _text(x)) for b, x in m.factors]


_CANONICAL: dict[tuple[Monomial, frozenset[Entry]], Monomial] = {}


def _canonical(
    bound: tuple[Index, ...], factors: tuple[tuple[Expr, Expr], ...], symmetric: frozenset[Entry] = frozenset()
) -> Monomial:
    """Bound letters ?1, ?2, … in an order that does not depend on their names; entries of symmetric
    matrices with their letters in order."""
    given = Monomial(bound, factors), symmetric
    found = _CANONICAL.get(given)
    if found is None:
        found = _CANONICAL[given] = _in_canonical_letters(bound, factors, symmetric)
    return found


def _in_canonical_letters(
    bound: tuple[Index, ...], factors: tuple[tuple[Expr, Expr], ...], symmetric: frozenset[Entry]
) -> Monomial:
    if not bound:
        return Monomial((), _ordered(factors))
    names = {i.name: i for i in bound}
    words = [f"{_text(b)}^{_text(x)}" if x is not ONE else _text(b) for b, x in factors]
    for b, x in factors:
        if isinstance(b, Entry) and b in symmetric:  # both ways to write it, so that neither is preferred
            turned = _text(Entry(b.tensor, b.idx[::-1]))
            words.append(f"{turned}^{_text(x)}" if x is not ONE else turned)
    colour = {i.name: f"<{_text(i.dim)}>" for i in bound}
    if len(bound) > 1:
        for _ in range(len(bound)):
            signs = {n: sorted(_coloured(w, n, colour) for w in words if n in _BOUND.findall(w)) for n in names}
            ranks = {s: f"<{k}>" for k, s in enumerate(sorted({(colour[n], *signs[n]) for n in names}))}
            fresh_colour = {n: ranks[(colour[n], *signs[n])] for n in names}
            if len(set(fresh_colour.values())) == len(set(colour.values())) and _ > 0:
                colour = fresh_colour
                break
            colour = fresh_colour
    classes: dict[str, list[str]] = {}
    for n in sorted(names, key=lambda n: (_rank(colour[n]), n)):
        classes.setdefault(colour[n], []).append(n)
    count = math.prod(math.factorial(len(c)) for c in classes.values())
    orders: Iterable[Sequence[str]]
    if count == 1 or count > RELABELLINGS:
        orders = [[n for c in classes.values() for n in c]]
    else:
        orders = (
            [n for c in choice for n in c]
            for choice in itertools.product(*map(itertools.permutations, classes.values()))
        )
    best: tuple[list[str], Monomial] | None = None
    for order in orders:
        letters = tuple(names[n] for n in order)
        renamed = tuple(Index(f"?{k}", i.dim) for k, i in enumerate(letters, 1))
        made = _ordered(
            tuple(
                (
                    _resorted(_turned(_relabelled(b, letters, renamed), b in symmetric)),
                    _relabelled(x, letters, renamed),
                )
                for b, x in factors
            )
        )
        key = [f"{_text(b)}^{_text(x)}" for b, x in made]
        if best is None or key < best[0]:
            best = (key, Monomial(renamed, made))
    assert best is not None
    return best[1]


_RELABELLED: dict[tuple[Expr, tuple[Index, ...]], Expr] = {}


def _relabelled(e: Expr, letters: tuple[Index, ...], renamed: tuple[Index, ...]) -> Expr:
    """A factor with its bound letters renamed; few letters and few factors make many products."""
    if e.free.isdisjoint(letters):
        return e
    key = (e, letters)
    found = _RELABELLED.get(key)
    if found is None:
        found = _RELABELLED[key] = _resorted(substitute(e, dict(zip(letters, renamed))))
    return found


def _turned(b: Expr, symmetric: bool) -> Expr:
    if symmetric and isinstance(b, Entry) and len(b.idx) == 2 and _text(b.idx[0]) > _text(b.idx[1]):
        return Entry(b.tensor, b.idx[::-1])
    return b


def _coloured(word: str, own: str, colour: Mapping[str, str]) -> str:
    """A factor as one of its letters sees it: itself marked, the others by their colours."""
    return _BOUND.sub(lambda g: "@" if g[0] == own else colour.get(g[0], g[0]), word)


def _rank(colour: str) -> tuple[int, str]:
    digits = colour.strip("<>")
    return (int(digits), "") if digits.isdigit() else (0, digits)


def _ordered(factors: tuple[tuple[Expr, Expr], ...]) -> tuple[tuple[Expr, Expr], ...]:
    return tuple(sorted(factors, key=lambda f: (_text(f[0]), _text(f[1]))))


def _resorted(e: Expr) -> Expr:
    """Summands and factors inside an atom in the order of their texts, after letters were renamed."""
    if not e.args or not any(i.name.startswith("?") for i in e.free):
        return e
    if isinstance(e, Reduce):
        return rebuild(e, [_resorted(a) for a in e.args])
    args = [_resorted(a) for a in e.args]
    if isinstance(e, (Add, Mul)):
        return type(e)(sorted(args, key=_text))
    return rebuild(e, args)


def _apart(m: Monomial, taken: int) -> Monomial:
    """The same with bound letters that start after `taken`."""
    if not taken or not m.bound:
        return m
    renamed: dict[Index, Expr] = {i: Index(f"?{taken + n}", i.dim) for n, i in enumerate(m.bound, 1)}
    factors = tuple((substitute(b, renamed), substitute(x, renamed)) for b, x in m.factors)
    return Monomial(tuple(renamed.values()), factors)  # type: ignore[arg-type]


def masked_by(known: Known, node: Node, e: Entry) -> Expr | None:
    """The condition c of an entry that is defined as softmax(where(c, x, −inf)), where it is 0
    unless c holds."""
    body = node.body
    if not (isinstance(body, Reduce) and body.op == "softmax"):
        return None
    inner = body.body
    if isinstance(inner, Entry):
        inner = known.body_at(inner) or inner
    if not isinstance(inner, Select):
        return None
    condition, _, no = inner.args
    if no is not mul(MINUS_ONE, Const("inf")) or not isinstance(condition, Compare):
        return None
    at = substitute(condition, dict(zip(body.bound, body.at)))
    return substitute(at, {a: i for a, i in zip(node.axes, e.idx) if isinstance(a, Index)})


def _solve(delta: Delta, bound: tuple[Index, ...]) -> tuple[Index, Expr] | None:
    """The summed letter that a δ uses up, and its value."""
    for letter, value in (delta.args, delta.args[::-1]):
        if isinstance(letter, Index) and letter in bound and isinstance(value, Index) and value.dim is letter.dim:
            return letter, value
    return None


def _is_composite(e: Expr) -> bool:
    return isinstance(e, (Add, Mul)) or (isinstance(e, Reduce) and e.op == "sum")


def _inverse_pair(a: Expr, b: Expr, k: Index) -> Expr | None:
    """Σ_k (A⁻¹)_ik A_kj = δ_ij and Σ_k A_ik (A⁻¹)_kj = δ_ij."""
    for inverse, matrix in ((a, b), (b, a)):
        if not (isinstance(inverse, Reduce) and inverse.op == "inv" and isinstance(inverse.body, Entry)):
            continue
        if not (
            isinstance(matrix, Entry) and matrix.tensor == inverse.body.tensor and inverse.body.idx == inverse.bound
        ):
            continue
        if inverse.at[1] is k and matrix.idx[0] is k and k not in inverse.at[0].free | matrix.idx[1].free:
            return Delta(inverse.at[0], matrix.idx[1])
        if inverse.at[0] is k and matrix.idx[1] is k and k not in inverse.at[1].free | matrix.idx[0].free:
            return Delta(matrix.idx[0], inverse.at[1])
    return None


def _root(c: Fraction, x: Expr) -> tuple[Fraction, list[tuple[Expr, Expr]]]:
    """c^x as a number and powers: √18 is 3 √2, √(2/3) is √2 √3/3."""
    if not (isinstance(x, Num) and x.value.denominator == 2 and c > 0):
        return Fraction(1), [(Num(c), x)]
    under, scale, roots = c.numerator * c.denominator, Fraction(1, c.denominator), []
    for p in (2, 3, 5, 7, 11, 13):
        times = 0
        while under % p == 0:
            under, times = under // p, times + 1
        scale *= p ** (times // 2)
        roots += [p] * (times % 2)
    whole = math.isqrt(under)
    if whole * whole == under:
        scale *= whole
    else:
        roots.append(under)
    n = x.value.numerator
    factors: list[tuple[Expr, Expr]] = [(Num(p), Num(x.value)) for p in roots]
    return scale**n, factors


# ---- arithmetic of dictionaries ----------------------------------------------------------------


def _put(p: Polynomial, m: Monomial, c: Fraction) -> None:
    value = p.get(m, Fraction(0)) + c
    if value:
        p[m] = value
    else:
        p.pop(m, None)


def _sum(parts: Iterable[Polynomial]) -> Polynomial:
    result: Polynomial = {}
    for p in parts:
        for m, c in p.items():
            _put(result, m, c)
    return result


def _scaled(p: Polynomial, c: Fraction | int) -> Polynomial:
    return p if c == 1 else {m: d * c for m, d in p.items()} if c else {}


__all__ = ["UNIT", "Monomial", "Normaliser", "Polynomial", "TooLarge"]
