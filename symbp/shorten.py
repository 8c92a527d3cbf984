"""Shorter forms: values propose, algebra proves, the laws clean up.

`Shortener` looks at every part of an expression (a subexpression, some factors of a product, some
summands of a sum, a partial contraction, a factor that meets a factor inside a Σ) and asks the
table of values (fingerprint.py) for something of the same value that is no longer. A proposal that
makes the whole shorter, after the laws have cleaned up, is put to the prover; what is proved becomes
a step that names the definitions and facts it rests on, what is not proved is not used, and is
kept in `unproved` for the developers' list of missing laws. Every step shortens the formula, so
this ends; it is steepest descent, and ties are decided by the order of the expression.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from symbp.arithmetic import canon, expand, factors_of, length, plus, power, powers, split, sum_over
from symbp.expr import (
    HALF,
    MINUS_HALF,
    MINUS_ONE,
    ONE,
    TWO,
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
    Size,
    add,
    mul,
    rebuild,
    walk,
)
from symbp.expr import replace as rewrite
from symbp.fingerprint import DIGITS, MATCHES, NOTHING, Samples, Table, entries
from symbp.graph import Graph, adjoint, primal
from symbp.known import Known
from symbp.local import canonical_letters, in_letters, in_order, local_problem, placed
from symbp.merge import flat
from symbp.prove import Proof, Prover
from symbp.related import Related

STEPS = 12  # rewrites in a row
LONGEST, LONGEST_CLOSED = 30, 20  # longer δ forms and closed forms are left to the laws
SHORT = 20  # formulas in which changes of equal length are tried, as they may help elsewhere
SHORTEST = 6  # products in which two folds are tried at once
SPREAD = 16  # longer products are not multiplied out for a trial
SMALL = 24  # tensors of a network that are all looked at
PLAIN = (Entry, Num, Add, Size, Const)
SUBSETS = 6  # more factors or summands than these are not taken apart
TABLES = 4  # letters of the largest table of values


Change = tuple[Expr, Expr, Expr]
"""A part of a node, what it becomes, and what the node is then."""


@dataclass(frozen=True)
class Proposal:
    """A part of a node, what it may become, the node with that put in and cleaned up, and by how much
    that is shorter."""

    part: Expr
    becomes: Expr
    after: Expr
    gain: int

    def in_letters(self, mine: tuple[Index, ...], theirs: tuple[Index, ...]) -> Proposal:
        part, becomes, after = (in_letters(e, mine, theirs) for e in (self.part, self.becomes, self.after))
        return Proposal(part, becomes, after, self.gain)


@dataclass
class Shortener:
    """Shorter forms for one graph. `adjoints` are the δ forms derived so far; `laws` cleans up."""

    graph: Graph
    known: Known
    adjoints: Mapping[str, Expr]
    laws: Callable[[Expr], Expr]
    unproved: dict[tuple[Expr, Expr], None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.samples = Samples(self.graph, self.adjoints)
        self.prover = Prover(self.graph, self.adjoints, self.known)
        self._upstream: tuple[str, ...] = ()  # adjoints that may be named
        self._tables: dict[object, Table] = {}
        self._calls: dict[Expr, tuple[Expr, ...]] = {}
        self._whole: dict[tuple[Index, ...], float] = {}
        self._local: dict[object, list[Proposal]] = {}
        self._done: set[Expr] = set()
        self._fruitless: set[object] = set()
        self._problems: dict[tuple[Expr, tuple[str, ...]], object] = {}
        self._barren: set[object] = set()  # problems for no part of which there is a proposal
        self._scope: tuple[str, ...] = ()  # tensors that a fold may name, and what was found among them
        self._found: dict[tuple[Expr, int], list[Expr]] = {}
        loss = self.graph[self.graph.loss].body
        numbers = [t for t in loss.args if isinstance(t, Num)] if isinstance(loss, Add) else []
        entry = self.graph[self.graph.loss].entry
        self._totals = (entry, *(plus((entry, Num(-n.value))) for n in numbers))
        halves = (x for x in self.graph.parts if isinstance(x, Pow) and x.exponent is HALF)
        self._rooted = {x.base.tensors for x in halves}
        self._neighbours: dict[str, set[str]] = {}
        for node in self.graph.inner:
            assert node.body is not None
            for t in node.body.tensors:
                self._neighbours.setdefault(t, set()).add(node.name)
                self._neighbours.setdefault(node.name, set()).add(t)
        own = loss is not None and _returns(loss)
        given = (n for n in self.graph.nodes if own or n != self.graph.loss)
        self._given = tuple(sorted(given, key=self.graph.rank.__getitem__))  # however they were declared and called
        self._related = Related(self.graph, self.adjoints)

    def __call__(
        self, e: Expr, siblings: tuple[str, ...] = (), without: tuple[str, ...] = ()
    ) -> Iterator[tuple[Expr, Expr, Proof]]:
        """The steps that shorten `e`: before, after, and why they are equal. `siblings` are tensors
        whose adjoints may be named too, as those that it names already, except `without`."""
        named = {t for t in e.tensors if primal(t) is not None} | {adjoint(n) for n in siblings}
        self._upstream = tuple(sorted(named - {adjoint(n) for n in without}, key=self._rank))
        if not _in_reach(e) or not self._related(e, self._upstream):
            return
        problem = self._problem(e)
        if problem in self._fruitless:
            return
        if self.samples.state(0) is None:
            return
        for _ in range(STEPS):
            if not _in_reach(e):
                return
            self._scope = self._near(e)
            step = self._best(e)
            if step is None:
                self._mark(e)
                self._fruitless.add(problem)
                return
            problem = None
            after, proof = step
            yield e, after, proof
            e = after

    def _rank(self, error: str) -> tuple[int, str]:
        return self.graph.rank.get(primal(error) or error, len(self.graph.rank)), error

    def _problem(self, e: Expr) -> object:
        """What decides whether something is found, up to names: the formula and the definitions of
        what it names. Where nothing was found nothing is looked for again."""
        found = self._problems.get((e, self._upstream))
        if found is None:
            numbers: dict[str, str] = {}
            key: list[object] = [local_problem(self.graph, e, numbers)]
            for t in self._upstream:  # adjoints that are made of the same ones may be folded to
                form = None if t in e.tensors else self.adjoints.get(t[1:])
                if form is not None and not form.tensors.isdisjoint(e.tensors):
                    if all(u in e.tensors for u in form.tensors if primal(u) is not None):
                        key.append((numbers.get(t[1:]), placed(form, numbers)))
            found = self._problems[e, self._upstream] = tuple(key)
        return found

    def _best(self, e: Expr) -> tuple[Expr, Proof] | None:
        """The proved rewrite of one part that shortens most."""
        found = [(-p.gain, length(p.part), n, p, build) for n, (p, build) in enumerate(self._everywhere(e))]
        for _, _, _, p, build in sorted(found, key=lambda f: f[:3]):
            if p.gain < 1 and length(e) > SHORT:
                break
            far = not isinstance(split(p.becomes)[1], Entry) and _names_others(p.becomes, e)
            if (far and p.gain < 2) or _new_condition(p.part, p.becomes):
                continue
            after = self.laws(build(p.after))
            if length(e) - length(after) < (2 if far else 1):
                continue  # δ − ∂L/∂w for δ [z > w]: hardly shorter, and it sends the reader elsewhere
            proof = self.prover.equal(p.part, p.becomes)
            if proof is not None and self._same(e, after):
                return after, proof
            if proof is None:
                self.unproved.setdefault((p.part, p.becomes))
        return None

    # ---- where ----------------------------------------------------------------------------------

    def _everywhere(self, e: Expr) -> list[tuple[Proposal, Callable[[Expr], Expr]]]:
        """Every proposal for every part, with how the whole is built again; outer parts first."""
        if isinstance(e, (Entry, Num, Delta)) or not e.args or not self._related(e, self._upstream):
            return []
        mine, theirs = canonical_letters(e)
        own = in_letters(e, mine, theirs)
        problem = self._problem(own)
        if problem in self._barren:
            return []
        found: list[tuple[Proposal, Callable[[Expr], Expr]]] = []
        found += ((p.in_letters(theirs, mine), _itself) for p in self._proposals(own))
        if isinstance(e, Reduce):
            indices, body = e.expose()
            for p, build in self._everywhere(body):
                found.append((p, lambda x, b=build: _closed(e, indices, b(x))))  # type: ignore[misc]
        else:
            for n, a in enumerate(e.args):
                for p, build in self._everywhere(a):
                    found.append((p, lambda x, n=n, b=build: _rebuilt(e, n, b(x))))  # type: ignore[misc]
        if not found:
            self._barren.add(problem)
        return found

    def _proposals(self, own: Expr) -> list[Proposal]:
        """What a node, in canonical letters, may become that is no longer."""
        key = (own, self._upstream)
        found = self._local.get(key)
        if found is None and own in self._done:
            return []
        if found is None:
            found = []
            self._found = {}
            for part, becomes, node in dict.fromkeys(self._propose(own)):
                after = self.laws(node)
                if length(after) <= length(own) and canon(after) is not canon(own):
                    found.append(Proposal(part, becomes, after, length(own) - length(after)))
            self._local[key] = found
        return found

    def _mark(self, e: Expr) -> None:
        """The parts of a result are as short as they get: where they come again, only the seam is new."""
        if isinstance(e, (Entry, Num, Delta)) or not e.args:
            return
        mine, theirs = canonical_letters(e)
        own = in_letters(e, mine, theirs)
        if own not in self._done:
            self._done.add(own)
            for a in (e.expose()[1],) if isinstance(e, Reduce) else e.args:
                self._mark(a)

    def _propose(self, e: Expr) -> Iterator[Change]:
        if length(e) == 0:
            return
        if self._may_fold([e]):
            yield from ((e, x, x) for x in self.shorter(e))
        match e:
            case Pow() if e.exponent is MINUS_HALF:  # 1/|p − y| for |p − y| = L d
                for x in self.shorter(Pow(e.base, HALF)):
                    yield e, power(x, MINUS_ONE), power(x, MINUS_ONE)
            case Mul():
                yield from self._of_product(e)
            case Add():
                yield from self._of_sum(e)
            case Reduce() if e.op == "sum":
                yield from self._of_contraction(e)

    @cached_property
    def _loss(self) -> set[Expr]:
        """The loss as it is defined, and as the laws leave it."""
        loss = self.graph[self.graph.loss].body
        return {canon(x) for x in (loss, self.laws(loss))} if loss is not None else set()

    @cached_property
    def _loss_factors(self) -> list[tuple[Expr, ...]]:
        """The factors of a loss that is one product with a Σ, as it is defined and one definition deeper:
        vᵀy for y = r x/s is r vᵀx/s."""
        found = []
        loss = self.graph[self.graph.loss].body
        product = loss if isinstance(loss, Mul) or not (isinstance(loss, Reduce) and loss.op == "sum") else loss.body
        if loss is None or not isinstance(product, Mul) or not all(f.tensors for f in product.args):
            return []
        for form in (loss, self._unfolded(loss)):
            factors = factors_of(self.laws(form))
            named = [f for f in factors if f.tensors]
            if len(named) > 1 and len(named) == len(factors) and any(isinstance(f, Reduce) for f in named):
                found.append(tuple(map(canon, factors)))
        return found

    @cached_property
    def _loss_terms(self) -> tuple[Expr, ...]:
        """The terms of a loss that is a sum with more than one Σ."""
        loss = self.graph[self.graph.loss].body
        terms = tuple(map(self.laws, loss.args)) if isinstance(loss, Add) else ()
        return terms if sum(isinstance(f, Reduce) for t in terms for f in factors_of(t)) > 1 else ()

    def _unfolded(self, e: Expr) -> Expr:
        return rewrite(e, lambda x: self.known.body_at(x) or x if isinstance(x, Entry) else None)

    def _of_product(self, e: Mul, again: bool = True) -> Iterator[Change]:
        units = self._units(e)
        for factors in self._loss_factors:
            left = [canon(u) for u in units]
            if all(f in left for f in factors):
                rest = powers((e, *(power(f, MINUS_ONE) for f in factors)))
                whole = powers((self.graph[self.graph.loss].entry, rest))
                yield e, whole, whole
        numbers: list[Expr] = [u for u in units if isinstance(u, Num)]
        units = [u for u in units if not isinstance(u, Num)]
        rooted = again and length(e) <= SHORTEST and sum(isinstance(u, Pow) and u.exponent is MINUS_HALF for u in units)
        if all(units.count(u) % 2 == 0 for u in units):  # (b/(a + b))² is (m/a)²
            for x in self.shorter(powers(u for n, u in enumerate(units) if units[:n].count(u) % 2)):
                whole = powers((*numbers, power(x, TWO)))
                yield e, whole, whole
        for t in self._slopes_by(e, units):
            for x in self.shorter(powers((*units, *t)), slack=-1):
                whole = powers((*numbers, x, *(power(f, MINUS_ONE) for f in t)))
                yield e, whole, whole
        for m in units:  # a mask that does nothing
            if self._is_truth(m) and len(units) > 1:
                rest = powers(u for u in units if u is not m)
                whole = mul(m, rest)
                if self._same(whole, rest):
                    yield e, powers([*numbers, rest]), powers([*numbers, rest])
        if len(units) <= SUBSETS:
            for size in range(2, min(len(units), 5)):
                for chosen in itertools.combinations(range(len(units)), size):
                    if not self._may_fold([units[n] for n in chosen]):
                        continue
                    part = powers(units[n] for n in chosen)
                    for x in self.shorter(part):
                        others = [x if n == chosen[0] else u for n, u in enumerate(units) if n not in chosen[1:]]
                        whole = powers([*numbers, *others])
                        yield part, x, whole
                        if rooted == 2 and isinstance(whole, Mul):  # x yᵀx/|x|²: half of the divisor for each x
                            for _, _, then in self._of_product(whole, again=False):
                                if length(then) < length(e):
                                    yield e, then, then
        for n, r in enumerate(units):
            if isinstance(r, Add) and len(r.args) <= SUBSETS:
                front = [*numbers, *(u for m, u in enumerate(units) if m != n)]
                together = length(e) <= SPREAD and self._entangled(units, r)
                cancels = together and any(self._may_cancel(front, t) for t in r.args)
                if cancels or (together and self._has_more_sums(units, r)):
                    spread = self._spread_out(e, r)
                    if not _only_multiplied_out(e, spread):
                        yield e, e, spread
                if cancels:
                    yield e, e, plus(powers([*front, t]) for t in r.args)
                if len(units) <= SUBSETS:
                    yield from self._pushed_into_terms(r, n, units, numbers)
            if isinstance(r, Reduce) and r.op == "sum" and len(units) <= SUBSETS:
                yield from ((a, b, powers([*numbers, *x])) for a, b, x in self._pushed_in(r, n, units))

    def _slopes_by(self, e: Mul, units: list[Expr]) -> Iterator[tuple[Expr, ...]]:
        """Positive factors that a slope may have lost: that of s = q²/(1 + q²) is 2 s (1 − s)/q, that of
        A = (1 + r)ᵗ is t A/(1 + r), that of p = a b/(a b + c (1 − a)) is p (1 − p)/(a (1 − a))."""
        if length(e) < 4:
            return
        for u in units:
            if isinstance(u, Pow) and not isinstance(u.exponent, Num) and self.known.is_positive(u.base):
                yield (u.base,)
        if any(isinstance(u, Pow) and isinstance(u.base, Add) for u in units):
            for t in dict.fromkeys(x for x in walk(e) if isinstance(x, Entry) and x.free <= e.free):
                if self.known.is_positive(t):
                    yield (t,)
                    if self.known.is_below_one(t):
                        yield (t, Add((ONE, mul(MINUS_ONE, t))))

    def _may_cancel(self, front: list[Expr], term: Expr, summed: tuple[Index, ...] = ()) -> bool:
        """May a product with a summand (under a Σ over `summed`) be shorter than it is written? Entries
        and sums that differ stay, as long as a Σ has two factors to join."""
        bases = [[f.base if isinstance(f, Pow) else f for f in side] for side in (front, factors_of(term))]
        if not all(isinstance(b, PLAIN) or (isinstance(b, Reduce) and b.op == "sum") for s in bases for b in s):
            return True
        if any(sum(i in b.free for s in bases for b in s) < 2 for i in summed):
            return True
        return not {canon(b) for b in bases[0] if b.tensors}.isdisjoint(map(canon, bases[1]))

    def _entangled(self, units: list[Expr], r: Add) -> bool:
        """Is there anything to merge when the product is multiplied out over `r`? Where no two of its
        factors have something in common, and no part of a Σ folds, collecting only leads back."""
        nested = [f for t in r.args for f in factors_of(t) if isinstance(f, Add)]
        seen: set[Expr] = set()
        for u in (*units, *nested):
            mine: set[Expr] = set()
            for f in (f for t in (u.args if isinstance(u, Add) else (u,)) for f in factors_of(t)):
                base = f.base if isinstance(f, Pow) else f
                if u is r and isinstance(base, Add):
                    continue
                parts = self._spread(base) if u is r and isinstance(base, Reduce) and base.op == "sum" else []
                if any(self._may_fold([p]) for p in parts):
                    return True
                mine.update(q for p in parts for q in factors_of(p)) if parts else mine.add(base)
            mine = {canon(b) for b in mine if not isinstance(b, Num)}
            if not all(isinstance(b, PLAIN) or (isinstance(b, Reduce) and b.op == "sum") for b in mine):
                return True  # eᵃ eᵇ, [a > b][b > c]
            if not seen.isdisjoint(mine):
                return True
            seen |= mine
        return False

    def _has_more_sums(self, units: list[Expr], r: Add) -> bool:
        """May multiplying out over `r` bring together what stands in different sums?"""
        inner = (f for t in r.args for f in factors_of(t))
        return any(isinstance(u, Add) and u is not r for u in units) or any(isinstance(f, (Add, Reduce)) for f in inner)

    def _pushed_in(self, r: Reduce, place: int, units: list[Expr]) -> Iterator[tuple[Expr, Expr, list[Expr]]]:
        """Outer factors that meet factors inside a Σ."""
        indices, body = r.expose(*units)
        inner = self._units(body)
        if len(inner) > SUBSETS:
            return
        outer = [n for n, u in enumerate(units) if n != place and not isinstance(u, Num)]
        differences = {n for n, u in enumerate(inner) if isinstance(u, Add)}
        for taken in (*((n,) for n in outer), *itertools.combinations(outer, 2)):  # (x − y) b/(a + b) or E s²: two
            for size in range(1, (min(len(inner), 3) if len(taken) == 1 else 1) + 1):
                for chosen in itertools.combinations(range(len(inner)), size):
                    if len(taken) == 2 and units[taken[0]] is not units[taken[1]] and differences.isdisjoint(chosen):
                        continue
                    meeting = [*(inner[k] for k in chosen), *(units[n] for n in taken)]
                    if not self._may_fold(meeting):
                        continue
                    part = powers(meeting)
                    for x in self.shorter(part):
                        left = [
                            x if k == chosen[0] else u for k, u in enumerate(inner) if k == chosen[0] or k not in chosen
                        ]
                        rest = [u for m, u in enumerate(units) if m not in (*taken, place)]
                        rest.insert(min(place, len(rest)), sum_over(indices, powers(left)))
                        yield part, x, rest

    def _pushed_into_terms(self, r: Add, place: int, units: list[Expr], numbers: list[Expr]) -> Iterator[Change]:
        """Outer factors that meet factors of one summand: (u/s + v) w with u w = x s."""
        outer = [n for n in range(len(units)) if n != place]
        for size in range(1, min(len(outer), 3) + 1):
            for taken in itertools.combinations(outer, size):
                mine = [units[n] for n in taken]
                rest = [u for n, u in enumerate(units) if n not in (*taken, place)]
                for k, t in enumerate(r.args):
                    inner = [u for u in self._units(t) if not isinstance(u, Num)]
                    for count in range(1, min(len(inner), 3) + 1):
                        for chosen in itertools.combinations(range(len(inner)), count):
                            if not self._may_fold([*mine, *(inner[m] for m in chosen)]):
                                continue
                            part = powers([*mine, *(inner[m] for m in chosen)])
                            for x in self.shorter(part):
                                left: list[Expr] = [u for u in self._units(t) if isinstance(u, Num)]
                                left += [u for m, u in enumerate(inner) if m not in chosen]
                                terms = [powers([*left, x] if m == k else [*mine, a]) for m, a in enumerate(r.args)]
                                yield part, x, powers([*numbers, *rest, plus(terms)])

    def _of_sum(self, e: Add) -> Iterator[Change]:
        terms = e.args
        if len(terms) > SUBSETS:
            return
        for size in range(2, len(terms) if len(terms) <= 4 else 3):
            for chosen in itertools.combinations(range(len(terms)), size):
                if not self._may_fold([terms[n] for n in chosen], added=True):
                    continue
                part = add(*(terms[n] for n in chosen))
                for x in self.shorter(part, slack=1):
                    rest = [
                        x if n == chosen[0] else t for n, t in enumerate(terms) if n == chosen[0] or n not in chosen
                    ]
                    yield part, x, plus(rest)
        yield from self._with_loss(e)
        yield from self._of_roots(e)
        yield from self._of_projections(e)
        yield from self._regrouped(e)
        for n, m in itertools.combinations(range(len(terms)), 2):  # two terms of one value
            ratio = self._ratio(terms[m], terms[n])
            if ratio is not None:
                merged = powers([Num(1 + ratio), terms[n]])
                yield (
                    add(terms[n], terms[m]),
                    merged,
                    plus([merged if k == n else t for k, t in enumerate(terms) if k != m]),
                )

    def _with_loss(self, e: Add) -> Iterator[Change]:
        """A sum with all terms of the loss, or their negatives: r − b log p − (pᵀr − b pᵀlog p) = r − b log p − L."""
        loss = self.graph[self.graph.loss].body
        if not isinstance(loss, Add) or not loss.tensors <= e.tensors or len(self._loss_terms) < 2:
            return
        whole = _terms(expand(e, 8))
        for sign in (ONE, MINUS_ONE):
            turned = {canon(powers((sign, t))) for t in self._loss_terms}
            left = [t for t in whole if canon(t) not in turned]
            if len(left) == len(whole) - len(turned):
                folded = plus((*left, powers((sign, self.graph[self.graph.loss].entry))))
                yield e, folded, folded

    def _of_roots(self, e: Add) -> Iterator[Change]:
        """A summand with a divisor v where another has √v: R/√v − c X/v = (R − c Y)/√v for Y = X/√v."""
        halves = {f.base for t in e.args for f in factors_of(t) if isinstance(f, Pow) and f.exponent is MINUS_HALF}
        for n, t in enumerate(e.args):
            for base in (f.base for f in factors_of(t) if isinstance(f, Pow) and f.exponent is MINUS_ONE):
                for g in (g for g in factors_of(t) if base in halves and isinstance(g, (Entry, Add))):
                    root = Pow(base, MINUS_HALF)
                    for x in self.shorter(powers((g, root))):
                        rest = (f for f in factors_of(t) if f is not g and f is not Pow(base, MINUS_ONE))
                        folded = powers((*rest, x, root))
                        yield t, folded, plus(folded if m == n else a for m, a in enumerate(e.args))

    def _of_projections(self, e: Add) -> Iterator[Change]:
        """A summand with Σ c (x + y) in two, where one part folds: q − t − q qᵀ(q − t) = q qᵀt − t for |q| = 1."""
        if length(e) > SPREAD:
            return
        for n, t in enumerate(e.args):
            factors = factors_of(t)
            for r in factors:
                parts = self._spread(r) if isinstance(r, Reduce) and r.op == "sum" else []
                pieces = [powers(x if f is r else f for f in factors) for x in parts]
                folded = [min(self.shorter(p), key=length, default=p) for p in pieces]
                if folded != pieces:
                    yield t, plus(folded), plus([*(a for m, a in enumerate(e.args) if m != n), *folded])

    def _regrouped(self, e: Add) -> Iterator[Change]:
        """Summands of the sum multiplied out, brought together: two that fold, or those that lack a letter,
        a (x_k − Σ p x) − y_k + Σ p y with Σ p (a x − y) = L."""
        nested = any(isinstance(f, Add) for t in e.args for f in factors_of(t))
        if length(e) > SPREAD or (not nested and sum(t.free < e.free for t in e.args) < 2):
            return
        whole = expand(e, 16)
        terms = whole.args if isinstance(whole, Add) else ()
        if len(terms) > SUBSETS:
            return
        groups = [tuple(t for t in terms if t.free == letters) for letters in {t.free for t in terms} - {e.free}]
        pairs = itertools.combinations(terms, 2) if nested else ()
        for group in dict.fromkeys((*pairs, *sorted(groups, key=repr))):
            if 2 <= len(group) < len(terms) and self._may_fold(group, added=True):
                part = add(*group)
                for x in self.shorter(part):
                    yield part, x, plus([*(t for t in terms if t not in group), x])

    def _spread_out(self, e: Mul, r: Add) -> Expr:
        """The product multiplied out over the sum, with every Σ of a sum in its summands taken apart."""
        terms: list[Expr] = []
        for t in r.args:
            factors = factors_of(t)
            reduced = next((f for f in factors if isinstance(f, Reduce) and f.op == "sum" and self._spread(f)), None)
            parts = self._spread(reduced) if isinstance(reduced, Reduce) else [ONE]
            terms += [powers(x if f is reduced else f for f in factors) if reduced else t for x in parts]
        return expand(powers([*(f for f in e.args if f is not r), plus(terms)]), 16)

    def _spread(self, r: Reduce) -> list[Expr]:
        """Σ c x and Σ c y for Σ c (x + y)."""
        indices, body = r.expose()
        for part in factors_of(body):
            if isinstance(part, Add) and len(part.args) <= 3:
                rest = [f for f in factors_of(body) if f is not part]
                return [sum_over(indices, powers([*rest, t])) for t in part.args]
        return []

    def _of_contraction(self, e: Reduce) -> Iterator[Change]:
        indices, body = e.expose()
        for part in body.args if isinstance(body, Mul) and length(e) <= SPREAD else ():  # Σ c (x + y) = Σ c x + Σ c y
            if isinstance(part, Add) and len(part.args) <= 3:
                rest = [f for f in body.args if f is not part]
                for t in part.args:  # Σ c (x_k + y) = Σ c x_k where Σ c = 0
                    total = sum_over(indices, powers(rest)) if t.free.isdisjoint(indices) else ONE
                    if ZERO in self.shorter(total):
                        others = plus(x for x in part.args if x is not t)
                        yield total, ZERO, sum_over(indices, powers([*rest, others]))
                if not any(self._may_cancel(rest, t, indices) for t in part.args):
                    continue
                yield e, e, plus(sum_over(indices, powers([*rest, t])) for t in part.args)
        if isinstance(body, Add):
            yield e, e, plus(sum_over(indices, t) for t in body.args)
        for r in dict.fromkeys((e, flat(e))):
            yield from self._contracted(r)

    def _contracted(self, e: Reduce) -> Iterator[Change]:
        """Some letters of a contraction summed first: Σ_m P_nm V_me is O_ne."""
        indices, body = e.expose()
        factors = list(factors_of(body))
        if len(factors) > SUBSETS + 2 or len(factors) < 2:
            return
        for size in range(1, len(indices) + 1):
            for letters in itertools.combinations(indices, size):
                touching = [f for f in factors if not f.free.isdisjoint(letters)]
                others = [f for f in factors if f.free.isdisjoint(letters)]
                rest = tuple(i for i in indices if i not in letters)
                for extra in (None, *others):
                    inside = touching if extra is None else [f for f in factors if f in touching or f is extra]
                    left = [f for f in others if f is not extra]
                    if (not rest and not left) or not self._may_fold(inside, letters):
                        continue
                    part = sum_over(letters, powers(inside))
                    for x in self.shorter(part):
                        yield part, x, sum_over(rest, powers([*left, x])) if rest else powers([*left, x])

    # ---- what -----------------------------------------------------------------------------------

    def shorter(self, e: Expr, slack: int = 0) -> list[Expr]:
        """What has the value of `e` and is shorter (sums of two: as short, as a factor may cancel)."""
        if length(e) == 0 or len(e.free) > TABLES or not e.tensors:
            return []
        key = (e, slack)
        if key not in self._found:
            self._found[key] = self._shorter(e, slack)
        return self._found[key]

    def _shorter(self, e: Expr, slack: int) -> list[Expr]:
        mine, theirs = canonical_letters(e)
        own = in_letters(e, mine, theirs)
        first = self.samples.first(own, theirs)
        if first is None:
            return []
        point, target = first
        if target == 0:
            return [ZERO] if self.samples.vanishes(own, theirs) else []
        one = self._number(own, theirs, point, target)
        most = max(length(e) - 1 + (isinstance(e, Add) or slack), 0)
        found = [] if one is None else [one]
        for sign, total in itertools.product((ONE, MINUS_ONE), () if e.free else self._totals):
            x = powers((sign, total))
            whole = isinstance(total, Entry) and canon(powers((sign, e))) in self._loss
            if whole or self._is_total(own, x):
                found.append(x)
        hidden = tuple(x for x in self._hidden(own) if x is not own and x.free <= set(theirs))
        matches = (m.expr for m in self._table(theirs, hidden, point)(target, most))
        others = (x for x in matches if canon(x) is not canon(own))
        same = (x for x in others if _turned(own, x) or self.samples.same(own, x, theirs, DIGITS))
        return [*found, *(in_letters(x, theirs, mine) for x in itertools.islice(same, MATCHES))]

    def _is_total(self, e: Expr, total: Expr) -> bool:
        """Has what is made of totals only the value of the loss (or −1 times it, or a number beside it)?
        Σ_k p_k (f_k − b) where L = Σ_k p_k f_k − b."""
        terms = e.args if isinstance(e, Add) else (e,)
        if not all(any(isinstance(f, Reduce) for f in factors_of(t)) for t in terms):
            return False
        return length(total) < length(e) and self.samples.same(e, total, ())

    def _may_fold(self, parts: Sequence[Expr], summed: tuple[Index, ...] = (), added: bool = False) -> bool:
        """May a product, summed over some letters, or a sum have the value of something short? Most have
        not, and one value shows it before they are written down."""
        letters, theirs = in_order(frozenset().union(*(p.free for p in parts)).difference(summed))
        if len(letters) > TABLES:
            return False
        if not letters or any(map(self._hidden, parts)):
            return True
        product = self.samples.product
        values = [product((p,), letters, 0) for p in parts] if added else [product(parts, letters, 0, summed)]
        value = sum(v for v in values if v is not None)
        if None in values or abs(value) < NOTHING:
            return True
        whole = self._whole.get(theirs)
        if whole is None:
            whole = self._whole[theirs] = float(self.samples.weights(0, theirs).sum())
        if any(abs(value - n * whole) <= DIGITS * abs(whole) for n in (1, -1, 2)):
            return True
        most = sum(map(length, parts)) + len(parts) - (1 if added or summed or len(parts) == 1 else 2)
        return self._table(theirs, (), 0).has(value, most)

    def _number(self, e: Expr, letters: tuple[Index, ...], point: int, value: float) -> Expr | None:
        """A value that is the same small number at every point and place."""
        whole = float(self.samples.weights(point, letters).sum())
        for n in (ONE, MINUS_ONE, TWO):
            close = abs(value - float(n.value) * whole) <= DIGITS * abs(whole)
            if close and self.samples.same(e, n, letters, 1e-9):
                return n
        return None

    def _hidden(self, e: Expr) -> tuple[Expr, ...]:
        """What is not written as a tensor, though it could be one: calls, norms, inverses."""
        found = self._calls.get(e)
        if found is None:
            calls = (x for x in walk(e) if isinstance(x, (Call, Reduce)) and x.tensors and length(x) <= 2)
            found = self._calls[e] = tuple(x for x in calls if not (isinstance(x, Reduce) and x.op == "sum"))
        return found

    def _table(self, letters: tuple[Index, ...], hidden: tuple[Expr, ...], point: int) -> Table:
        near = self._scope
        key = (letters, near, hidden, point)
        found = self._tables.get(key)
        if found is None:
            base = (*entries(self.graph, letters, near), *hidden)
            found = self._tables.get((letters, base, point))
            if found is None:
                found = self._tables[letters, base, point] = Table(self.samples, self.known, letters, base, point)
            self._tables[key] = found
        return found

    def _near(self, e: Expr) -> tuple[str, ...]:
        """The tensors that a fold may name: all of a small network, else those around `e`; never the
        loss, and of the adjoints those that are upstream."""
        names = self._given
        if len(names) > SMALL:
            near = {primal(t) or t for t in e.tensors}
            for _ in range(2):
                near |= {u for t in near for u in self._neighbours.get(t, ())}
            names = tuple(n for n in names if n in near)
        return (*names, *self._upstream)

    def _units(self, e: Expr) -> list[Expr]:
        """Factors, small powers taken apart: x² as x x, and v⁻¹ as v^−½ v^−½ where the network has √v."""
        result: list[Expr] = []
        for f in factors_of(e):
            if isinstance(f, Pow) and isinstance(f.exponent, Num):
                x = f.exponent.value
                halves = int(2 * x)
                if x.denominator == 2 or (x == -1 and f.base.tensors and f.base.tensors in self._rooted):
                    if abs(halves) <= 3:
                        result += [Pow(f.base, HALF if x > 0 else MINUS_HALF)] * abs(halves)
                        continue
                elif x.denominator == 1 and 1 < abs(x) <= 3:
                    result += [f.base if x > 0 else Pow(f.base, MINUS_ONE)] * abs(int(x))
                    continue
            result.append(f)
        return result if len(result) <= SUBSETS else list(factors_of(e))

    def _is_truth(self, e: Expr) -> bool:
        return isinstance(e, (Compare, Delta)) or (isinstance(e, Entry) and e.tensor in self.known.binary)

    def _same(self, a: Expr, b: Expr) -> bool:
        mine, theirs = canonical_letters(a)
        return b.free <= a.free and self.samples.same(in_letters(a, mine, theirs), in_letters(b, mine, theirs), theirs)

    def _ratio(self, a: Expr, b: Expr) -> int | None:
        if a.free != b.free or not a.free:
            return None
        mine, theirs = canonical_letters(a)
        return self.samples.ratio(in_letters(a, mine, theirs), in_letters(b, mine, theirs), theirs)


def _terms(e: Expr) -> tuple[Expr, ...]:
    return e.args if isinstance(e, Add) else (e,)


def _turned(e: Expr, x: Expr) -> bool:
    """Is one a difference and the other −1 times the opposite one? Points need not be drawn for that."""
    return isinstance(e, Add) and isinstance(x, Mul) and canon(expand(x)) is canon(expand(e))


def _returns(body: Expr) -> bool:
    """Does a function come back in its own slope, (u/v)′ = (u′ − f v′)/v, √u′ = u′/2f, (eᵘ)′ = f u′?
    The value of such a loss is named in its gradients; that of a sum of losses is not."""
    quotient = any(isinstance(f, Pow) and f.base.tensors and f.exponent is not TWO for f in factors_of(body))
    return quotient or (isinstance(body, Call) and body.fn == "exp") or (isinstance(body, Reduce) and body.op == "det")


def _names_others(e: Expr, than: Expr) -> bool:
    """Does it name adjoints that the other does not?"""
    return any(primal(t) is not None for t in e.tensors - than.tensors)


def _new_condition(e: Expr, than: Expr) -> bool:
    """Is it a condition on something else, where there was none? P/(P + I) is no place to read [K > 0]."""
    conditions = [x for x in walk(than) if isinstance(x, Compare)]
    return any(not x.tensors <= e.tensors for x in conditions) and not any(isinstance(x, Compare) for x in walk(e))


def _only_multiplied_out(e: Mul, spread: Expr) -> bool:
    """Is it a product of flat sums of powers, each of which met each, so that no two terms merged? Such
    a sum has these factors again and no shorter ones."""
    count, tops, bottoms = 1, set[Expr](), list[Expr]()
    for f in e.args:
        terms = f.args if isinstance(f, Add) else (f,)
        count *= len(terms)
        for x in (x for t in terms for x in factors_of(t)):
            base, exponent = (x.base, x.exponent) if isinstance(x, Pow) else (x, ONE)
            if not (isinstance(base, (Entry, Num, Size, Const)) and isinstance(exponent, Num)):
                return False
            if exponent.value > 0:
                tops.add(base)
            else:
                bottoms.append(base)
    merged = not isinstance(spread, Add) or len(spread.args) < count
    return not merged and tops.isdisjoint(bottoms) and len(bottoms) == len(set(bottoms))


def _itself(e: Expr) -> Expr:
    return e


def _closed(e: Reduce, indices: tuple[Index, ...], body: Expr) -> Expr:
    return sum_over(indices, body) if e.op == "sum" else Reduce(e.op, indices, body, e.at)


def _rebuilt(e: Expr, n: int, argument: Expr) -> Expr:
    args = [*e.args[:n], argument, *e.args[n + 1 :]]
    return mul(*args) if isinstance(e, Mul) else add(*args) if isinstance(e, Add) else rebuild(e, args)


def _in_reach(e: Expr) -> bool:
    """Is there something to shorten, and not too much to look through?"""
    return 0 < length(e) <= (LONGEST if _names_adjoints(e) else LONGEST_CLOSED)


def _names_adjoints(e: Expr) -> bool:
    return any(primal(t) is not None for t in e.tensors)
