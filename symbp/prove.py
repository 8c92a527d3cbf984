"""Proving that two expressions are equal, by laws.

    proof = Prover(graph).equal(left, right)        a Proof, or None where none was found

The difference is brought to polynomial normal form (normal.py). What does not vanish there is
multiplied by its denominators, and sums over the same letters are compared under their Σ. If that
does not do, definitions are put in, one at a time: first of what one side alone names, the newest
before older ones; in the end functions are written in exponentials. A proof says which definitions
and which facts it needed, so that a reader can follow. None means "not proved", never "different".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from symbp.arithmetic import sum_over
from symbp.expr import MINUS_ONE, Add, Entry, Expr, Index, Mul, Num, Pow, Reduce, add, fresh, mul, replace, substitute
from symbp.graph import DEFINITION, Fact, Graph, Node, primal
from symbp.known import Known
from symbp.normal import Normaliser, Polynomial, TooLarge

UNFOLDINGS = 8
WORK = 1500  # products of monomials in one attempt
HEAVY = 300  # symbols of both sides together; what is larger is not proved
ROUNDS = 4  # denominators within denominators


@dataclass(frozen=True)
class Proof:
    """What an equality rests on: definitions of tensors that were put in, and facts."""

    definitions: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()


Definition = Callable[[str], tuple[Node, Expr] | None]


class Prover:
    """Proofs for one graph. `adjoints` gives δ forms by the name of their tensor, for expressions
    that name adjoints."""

    def __init__(self, graph: Graph, adjoints: Mapping[str, Expr] | None = None, known: Known | None = None) -> None:
        self.graph, self.adjoints = graph, adjoints if adjoints is not None else {}
        self.known = known or Known(graph)
        self.rank = {name: n for n, name in enumerate(graph.nodes)}
        self.plain, self.deep = Normaliser(self.known), Normaliser(self.known, deep=True)
        self._memo: dict[tuple[Expr, Expr], Proof | None] = {}
        self._weights: dict[Expr, int] = {}

    def equal(self, left: Expr, right: Expr) -> Proof | None:
        """A proof that `left` = `right` for all data that the facts allow, or None."""
        key = (left, right)
        if key not in self._memo:
            self._memo[key] = self._equal(left, right)
        return self._memo[key]

    def vanishes(self, e: Expr) -> Proof | None:
        """A proof that `e` = 0, or None."""
        return self.equal(e, Num(0))

    def _equal(self, left: Expr, right: Expr) -> Proof | None:
        if left is right:
            return Proof()
        return self._unfolding(left, right, one_side_first=True) or self._unfolding(left, right, one_side_first=False)

    def _unfolding(self, left: Expr, right: Expr, *, one_side_first: bool) -> Proof | None:
        put_in: list[str] = []
        for _ in range(UNFOLDINGS):
            if self._weight(left) + self._weight(right) > HEAVY:
                return None
            facts = self._is_zero(add(left, mul(MINUS_ONE, right)), self.plain)
            if facts is not None:
                return Proof(tuple(put_in), facts)
            lonely = self._newest(left.tensors ^ right.tensors) if one_side_first else None
            name = lonely or self._newest(left.tensors | right.tensors)
            if name is None:
                break
            put_in.append(name)
            left, right = self._unfolded(left, name), self._unfolded(right, name)
        if self._weight(left) + self._weight(right) > HEAVY:
            return None
        facts = self._is_zero(add(left, mul(MINUS_ONE, right)), self.deep)
        return None if facts is None else Proof(tuple(put_in), facts)

    def _weight(self, e: Expr) -> int:
        """How many symbols the expression has when it is written out, what is shared every time."""
        found = self._weights.get(e)
        if found is None:
            found = self._weights[e] = 1 + sum(map(self._weight, e.args))
        return found

    def _newest(self, tensors: frozenset[str]) -> str | None:
        """The tensor whose definition is put in next: adjoints first (those nearest the leaves),
        then the node that is computed last."""
        adjoints = [t for t in tensors if (n := primal(t)) is not None and n in self.adjoints]
        if adjoints:
            return min(adjoints, key=lambda t: self.rank[t[1:]])
        nodes = [t for t in tensors if self.known.definition(t) is not None]
        return max(nodes, key=lambda t: self.rank[t]) if nodes else None

    def _unfolded(self, e: Expr, name: str) -> Expr:
        inner = primal(name)
        node = self.graph[inner if inner is not None else name]
        body = self.adjoints[inner] if inner is not None else node.body
        assert body is not None

        def rule(x: Expr) -> Expr | None:
            if isinstance(x, Entry):
                if x.tensor != name:
                    return x
                return substitute(body, {a: i for a, i in zip(node.axes, x.idx) if isinstance(a, Index)})
            return None if name in x.tensors else x

        return replace(e, rule)

    # ---- is it zero -----------------------------------------------------------------------------

    def _is_zero(self, e: Expr, laws: Normaliser) -> tuple[Fact, ...] | None:
        laws.facts, laws.work = {}, WORK
        try:
            zero = self._vanishes(laws(e), laws, ROUNDS)
        except (TooLarge, RecursionError):
            return None
        return tuple(laws.facts) if zero else None

    def _vanishes(self, p: Polynomial, laws: Normaliser, rounds: int) -> bool:
        if not p or not rounds:
            return not p
        cleared = _cleared(p, laws)
        if cleared is not None:
            return self._vanishes(cleared, laws, rounds - 1)
        groups: dict[tuple[Expr, ...], Polynomial] = {}
        for m, c in p.items():
            groups.setdefault(tuple(sorted((i.dim for i in m.bound), key=repr)), {})[m] = c
        if not any(_divides(m.bound, b, x) for m in p for b, x in m.factors):
            return False
        if all(groups) and all(self._under_one_sum(g, laws, rounds) for g in groups.values()):
            return True
        return len(groups) > 1 and self._where_divided(p, laws, rounds)

    def _where_divided(self, p: Polynomial, laws: Normaliser, rounds: int) -> bool:
        """Does it vanish for each letter of a denominator, a term without that letter being a mean over it?
        Σ_t (Σ_i R_ti b_i)/x_t − T, with x_t = Σ_i R_ti b_i."""
        low = next(m for m in p if any(_divides(m.bound, b, x) for b, x in m.factors))
        outer = [i for i in low.bound if any(i in b.free and _divides(low.bound, b, x) for b, x in low.factors)]
        shared = [fresh(i.dim) for i in outer]
        options: list[list[Expr]] = []
        for m, c in p.items():
            forms = []
            body = mul(Num(c), *(Pow(b, x) for b, x in m.factors))
            for chosen in itertools.islice(itertools.permutations(m.bound, len(shared)), 6):
                if all(i.dim is j.dim for i, j in zip(chosen, shared)):
                    inner = substitute(body, dict(zip(chosen, shared)))
                    rest = tuple(i for i in m.bound if i not in chosen)
                    forms.append(sum_over(rest, inner) if rest else inner)
            if not forms and all(i.dim is not j.dim for i in m.bound for j in shared):
                mean = mul(body, *(Pow(j.dim, MINUS_ONE) for j in shared))
                forms = [sum_over(m.bound, mean) if m.bound else mean]
            options.append(forms)
        choices = itertools.islice(itertools.product(*options), 8) if all(options) else ()
        return any(self._vanishes(laws(add(*choice)), laws, rounds - 1) for choice in choices)

    def _under_one_sum(self, p: Polynomial, laws: Normaliser, rounds: int) -> bool:
        """Do terms with the same summed letters cancel under one Σ?"""
        first = next(iter(p)).bound
        shared = [fresh(i.dim) for i in first]
        options: list[list[tuple[Expr, Fraction]]] = []
        for m, c in p.items():
            forms = []
            for order in itertools.islice(itertools.permutations(shared), 6):
                if all(i.dim is j.dim for i, j in zip(m.bound, order)):
                    renamed: dict[Index, Expr] = dict(zip(m.bound, order))
                    body = mul(*(Pow(substitute(b, renamed), substitute(x, renamed)) for b, x in m.factors))
                    forms.append((body, c))
            options.append(forms or [])
        if not all(options):
            return False
        for choice in itertools.islice(itertools.product(*options), 8):
            e = add(*(mul(Num(c), body) for body, c in choice))
            if self._vanishes(laws(e), laws, rounds - 1):
                return True
        return False


def _divides(bound: tuple[Index, ...], base: Expr, exponent: Expr) -> bool:
    """Is this a denominator that carries summed letters?"""
    negative = isinstance(exponent, Num) and exponent.value < 0
    return negative and not base.free.isdisjoint(bound)


def _cleared(p: Polynomial, laws: Normaliser) -> Polynomial | None:
    """Multiplied by its denominators; None if there are none, or only under a Σ."""
    lows: dict[Expr, int] = {}
    for m in p:
        for b, x in m.factors:
            if isinstance(x, Num) and x.value < 0 and _is_open(b) and b.free.isdisjoint(m.bound):
                lows[b] = max(lows.get(b, 0), -(x.value.numerator // x.value.denominator))
    if not lows:
        return None
    result: Polynomial = {}
    powers = tuple((b, Num(n)) for b, n in lows.items())
    for m, c in p.items():
        laws.spend(1)
        for k, f in laws._made(m.bound, (*m.factors, *powers)).items():
            value = result.get(k, Fraction(0)) + c * f
            if value:
                result[k] = value
            else:
                result.pop(k, None)
    return result


def _is_open(e: Expr) -> bool:
    """Does a base take apart when it stands above?"""
    return isinstance(e, (Add, Mul)) or (isinstance(e, Reduce) and e.op == "sum")


def reason(graph: Graph, proof: Proof) -> tuple[Fact, ...]:
    """What a proof rests on, as facts that a step can print."""
    names = {t: primal(t) for t in proof.definitions}
    shown = {t: t if n is None else graph.adjoint_name(n) for t, n in names.items()}
    return (*(Fact("definition", t, text=DEFINITION + n) for t, n in shown.items()), *proof.facts)


__all__ = ["Proof", "Prover", "reason"]
