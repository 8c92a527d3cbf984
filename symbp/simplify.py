"""Simplification: from what the chain rule gives to what a textbook prints.

The laws of rules.py work in groups, from the leaves up, and a group is
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

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symbp.arithmetic import arithmetic, canon, factors_of, length, powers, term_by_term
from symbp.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Reduce,
    mul,
    rebuild,
    substitute,
)
from symbp.expr import replace as rewrite
from symbp.graph import Fact, Graph, Node, primal
from symbp.identities import (
    clipped,
    common_exponent,
    common_power,
    compared,
    complement,
    exponential_quotient,
    fold_power,
    half_angle,
    inverse_cancels,
    inverse_of_inverse,
    inverse_of_product,
    log_quotient,
    mirrored,
    normalised,
    on_diagonal,
    roots,
    sign_quotient,
    spread_number,
    symmetric_by_definition,
    whole_power,
)
from symbp.known import Known
from symbp.local import canonical_letters, in_letters, local_problem
from symbp.merge import one_sum, under_one_sum
from symbp.orient import readable
from symbp.piecewise import (
    angle_difference,
    apart,
    between,
    bounded,
    clipped_minimum,
    common_sign,
    double_angle,
    even_branches,
    fold_branch,
    idle_condition,
    idle_sign,
    in_branch,
    isolated,
    kinked,
    monotone,
    odd_function,
    outside,
    scaled_clip,
    sign_of_product,
    unclipped,
)
from symbp.prove import Prover, reason
from symbp.quotients import (
    conjugates,
    divided_once,
    divisor_inside,
    divisor_into_sum,
    exact_quotient,
    multiple,
    root_below,
    root_quotient,
)
from symbp.rules import (
    Knowledge,
    Used,
    absolute,
    clamp,
    common_factor,
    expand_terms,
    fold_definition,
    fold_logistic,
    hyperbolic,
    idle_mask,
    logistic,
    masks,
    multiply_out,
    out_of_order,
    partial_factor,
    positive_first,
    selected,
    sign_fact,
    sum_fact,
    symmetric_inverse,
    together,
    turn_difference,
)
from symbp.steps import Law
from symbp.textbook import Textbook

if TYPE_CHECKING:
    from symbp.shorten import Shortener

GATHERED = 40  # longer formulas are not searched for sums over the same letters
MANY = 4  # summands from which on those are skipped that are like one that was left alone
LARGE = 400  # tensors of a network up to which its values are drawn to propose folds
RuleOf = Callable[[Knowledge, Expr, Used], Expr | None]


@dataclass(frozen=True)
class Result:
    """A simplified expression, the stages that led to it, and the facts it rests on."""

    result: Expr
    stages: tuple[tuple[Law, Expr, Expr], ...] = ()
    facts: tuple[Fact, ...] = ()


class Simplifier:
    """The laws for one graph (facts and definitions), with what they already found."""

    def __init__(
        self,
        graph: Graph,
        enabled: bool = True,
        fold: bool = True,
        adjoints: Mapping[str, Expr] | None = None,
        known: Known | None = None,
    ) -> None:
        self.graph = graph
        self.enabled = enabled
        self.by_values = fold and adjoints is not None and len(graph.nodes) <= LARGE  # a whole network at hand
        self.totals: dict[tuple[Entry, tuple[Index, ...]], Expr | None] = {}
        self.known = known or Known(graph)
        self.unfolding = Simplifier(graph, fold=False, known=self.known) if fold else None  # without definitions
        self.sums_to, self.signs = self.known.sums_to, self.known.signs
        self.binary, self.symmetric = self.known.binary, self.known.symmetric
        self.adjoints: Mapping[str, Expr] = adjoints if adjoints is not None else {}
        self._shortener: Shortener | None = None
        self.definitions: dict[tuple[type[Expr], frozenset[str]], list[Node]] = {}
        for node in graph.inner if fold else ():
            if node.body is not None and node.body.args:
                self.definitions.setdefault((type(node.body), node.body.tensors), []).append(node)
        self._mirrored: dict[tuple[str, int, int], tuple[int, tuple[Fact, ...]]] = {}
        self.worded = Textbook(graph)
        self._symmetric: dict[tuple[tuple[Index, ...], Expr], tuple[Fact, ...] | None] = {}
        self._memo: dict[tuple[str, Expr], tuple[Expr, Used]] = {}
        self._problems: dict[Expr, object] = {}
        self._letters: dict[Expr, Expr] = {}
        self._idle: set[tuple[str, object]] = set()  # groups of laws that leave alone what is like this
        self._done: dict[tuple[Expr, tuple[str, ...], tuple[str, ...]], Result] = {}

    def __call__(self, e: Expr, siblings: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> Result:
        """`e` as short as the laws and proved folds make it; `siblings` are tensors whose adjoints
        are known and may be named, also where `e` names none; those of `without` may not."""
        if not self.enabled:
            return Result(self._bottom_up("contract", e, Used()))
        found = self._done.get((e, siblings, without))
        if found is None:
            found = self._simplify(e)
            if self.by_values:
                found = self._shortened(found, siblings, without)
            found = self._readable(found)
            self._done[e, siblings, without] = found
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
                        first, start, _ = stages[-1]
                        names = dict.fromkeys(n for w in (first, law) if w.formula for n in w.formula.split(", "))
                        stages[-1] = (replace(first, formula=", ".join(names)), start, after)
                    else:
                        stages.append((law, e, after))
                    facts.update(used.facts)
                    e = after
            if e is before:
                break
        gathered = one_sum(e) if length(e) <= GATHERED else e
        if gathered is not e:
            stages.append((Law("collect", "one_sum"), e, gathered))
            e = gathered
        forms = [stages[0][1], *(after for _, _, after in stages)] if stages else [e]
        shortest = min(range(len(forms)), key=lambda n: (length(forms[n]), -n))
        if length(forms[shortest]) < length(e):  # (x y)² is shorter than x² y²: stop there
            e, stages = forms[shortest], stages[:shortest]
            facts = dict.fromkeys(f for law, _, _ in stages for f in law.because)
        return Result(e, tuple(stages), tuple(facts))

    def _shortened(self, found: Result, siblings: tuple[str, ...], without: tuple[str, ...]) -> Result:
        """What values find beyond the laws, proved: further stages."""
        if length(found.result) < 2:
            return found
        stages, facts = list(found.stages), dict.fromkeys(found.facts)
        for before, after, proof in self.shortener(found.result, siblings, without):
            because = reason(self.graph, proof)
            stages.append((Law("fold", because=because), before, after))
            facts.update(dict.fromkeys(because))
        e = stages[-1][2] if stages else found.result
        return Result(e, tuple(stages), tuple(facts))

    def _readable(self, found: Result) -> Result:
        """Symmetric matrices the way round in which products read, order and signs as textbooks have them, as part of
        the last stage."""
        used: dict[Fact, None] = {}

        def is_symmetric(e: Expr) -> bool:
            if isinstance(e, Entry):
                sign, why = self.mirrored_node(e)
                used.update(dict.fromkeys(why if sign > 0 else ()))
                return sign > 0
            because = self.symmetric_body(e.bound, e.body) if isinstance(e, Reduce) else None
            used.update(dict.fromkeys(because or ()))
            return because is not None

        oriented = readable(found.result, is_symmetric)
        e = self.worded(oriented)
        if e is found.result:
            return found
        if not found.stages and oriented is found.result:
            law = Law("collect", "turn_difference")  # order alone is no law
            stages = () if canon(e) is canon(oriented) else ((law, oriented, e),)
            return Result(e, stages, found.facts)
        law, before, _ = found.stages[-1] if found.stages else (Law("facts"), found.result, e)
        because = tuple(dict.fromkeys((*law.because, *used)))
        last = (replace(law, because=because), before, e)
        return Result(e, (*found.stages[:-1], last), tuple(dict.fromkeys((*found.facts, *used))))

    @property
    def shortener(self) -> Shortener:
        if self._shortener is None:
            from symbp.shorten import Shortener  # needs NumPy, which a derivation without folds does without

            self._shortener = Shortener(self.graph, self.known, self.adjoints, self.by_laws)
        return self._shortener

    def by_laws(self, e: Expr) -> Expr:
        """The laws alone, until nothing changes."""
        return self._simplify(e).result

    def defining_factors(self, e: Entry) -> tuple[Expr, ...]:
        """The factors of an entry's definition, if it is a product."""
        node = self.graph.nodes.get(e.tensor)
        if node is None or not isinstance(node.body, Mul):
            return ()
        axes = {a: i for a, i in zip(node.axes, e.idx) if isinstance(a, Index)}
        return factors_of(substitute(node.body, axes))

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

    def symmetric_body(self, bound: tuple[Index, ...], body: Expr) -> tuple[Fact, ...] | None:
        """The facts and definitions that make a matrix symmetric, if they do."""
        key = (bound, body)
        if key not in self._symmetric:
            rows, columns = (Index(f"§{n}", i.dim) for n, i in enumerate(bound))
            matrix = substitute(body, dict(zip(bound, (rows, columns))))
            transposed = substitute(body, dict(zip(bound, (columns, rows))))
            proof = Prover(self.graph, {}, self.known).equal(matrix, transposed)
            self._symmetric[key] = None if proof is None else reason(self.graph, proof)
        return self._symmetric[key]

    def _bottom_up(self, group: str, e: Expr, used: Used) -> Expr:
        """Children first, then the group's rewrite at this node; remembered per expression."""
        if isinstance(e, Entry) and group == "facts":
            return self._oriented(e, used)
        if isinstance(e, Entry):
            return arithmetic(e)
        if not e.args:
            return e
        key = (group, e)
        found = self._memo.get(key)
        if found is None:
            own = Used()
            lettered = self._lettered(e) if isinstance(e, Reduce) else e
            if lettered is not e and (group, lettered) in self._idle:
                self._memo[key] = e, own
                return e
            if isinstance(e, Reduce):
                indices, body = e.expose()
                inner = self._bottom_up(group, body, own)
                if inner is body:
                    now: Expr = e
                else:
                    now = Reduce(e.op, indices, inner, e.at)
            else:
                now = rebuild(
                    e,
                    self._alike(group, e.args, own)
                    if isinstance(e, Add)
                    else [self._bottom_up(group, a, own) for a in e.args],
                )
            result = GROUPS[group](self, now, own)
            found = self._memo[key] = (result, own)
            if result is e and isinstance(e, Reduce):
                self._idle.add((group, lettered))
        used.laws.update(found[1].laws)
        used.facts.update(found[1].facts)
        return found[0]

    def _alike(self, group: str, terms: tuple[Expr, ...], used: Used) -> list[Expr]:
        """Summands, those left alone that are like one, up to names, that the group left alone."""
        done: list[Expr] = []
        for t in terms:
            problem = self._problem(t) if len(terms) >= MANY else None
            if problem is None or (group, problem) not in self._idle:
                done.append(self._bottom_up(group, t, used))
                if done[-1] is t and problem is not None:
                    self._idle.add((group, problem))
            else:
                done.append(t)
        return done

    def _lettered(self, e: Expr) -> Expr:
        """The same with letters that depend on their sizes alone: a form that is put in elsewhere is
        not gone through again."""
        found = self._letters.get(e)
        if found is None:
            found = self._letters[e] = in_letters(e, *canonical_letters(e))
        return found

    def _problem(self, e: Expr) -> object:
        found = self._problems.get(e)
        if found is None:
            found = self._problems[e] = local_problem(self.graph, e, {})
        return found

    def _oriented(self, e: Entry, used: Used) -> Expr:
        """A_ji = A_ij for a symmetric A, E_ji = −E_ij where a definition says so: the letter of the result
        first."""
        for n, m in itertools.combinations(range(len(e.idx)), 2):
            if not out_of_order(e.idx[n], e.idx[m]):
                continue
            sign, why = self.mirrored_node(e, n, m)
            if sign:
                used.facts.update(dict.fromkeys(why))
                turned = _swapped(e, n, m)
                return turned if sign > 0 else mul(MINUS_ONE, turned)
        return e

    def mirrored_node(self, e: Entry, n: int = 0, m: int = 1) -> tuple[int, tuple[Fact, ...]]:
        """1 or −1 where the tensor of an entry stays the same, or turns its sign, when two axes are
        swapped, and why: a fact, or its definition (S = H P Hᵀ + R, E_ij = y_i − y_j). Else 0."""
        fact = self.symmetric.get(e.tensor)
        if fact is not None and len(e.idx) == 2:
            return 1, (fact,)
        key = (e.tensor, n, m)
        if key not in self._mirrored:
            self._mirrored[key] = self._why_mirrored(e, n, m)
        return self._mirrored[key]

    def _why_mirrored(self, e: Entry, n: int, m: int) -> tuple[int, tuple[Fact, ...]]:
        name = primal(e.tensor)
        node = self.graph.nodes.get(name if name is not None else e.tensor)
        if node is None or not self.by_values or node.shape[n] is not node.shape[m] or node.shape[n] is ONE:
            return 0, ()
        if (node.body is None) if name is None else (name not in self.adjoints):
            return 0, ()
        letters = tuple(Index(f"§{k}", d) for k, d in enumerate(node.shape))
        one = Entry(e.tensor, [i if d is not ONE else ZERO for i, d in zip(letters, node.shape)])
        letters = tuple(i for i in letters if i in one.free)
        for sign in (1, -1):
            two = powers((Num(sign), _swapped(one, n, m)))
            if self.shortener.samples.same(one, two, letters):
                proof = self.shortener.prover.equal(one, two)
                return (0, ()) if proof is None else (sign, reason(self.graph, proof))
        return 0, ()


def _swapped(e: Entry, n: int, m: int) -> Entry:
    idx = list(e.idx)
    idx[n], idx[m] = idx[m], idx[n]
    return Entry(e.tensor, idx)


LAWS: dict[str, tuple[RuleOf, ...]] = {
    "facts": (sum_fact, sign_fact, idle_mask, selected, symmetric_inverse, symmetric_by_definition),
    "combine": (
        fold_definition,
        fold_logistic,
        sign_quotient,
        sign_of_product,
        odd_function,
        idle_sign,
        idle_condition,
        absolute,
        common_sign,
        clamp,
        clipped,
        scaled_clip,
        in_branch,
        even_branches,
        outside,
        apart,
        fold_branch,
        compared,
        bounded,
        monotone,
        isolated,
        between,
        logistic,
        normalised,
        exponential_quotient,
        mirrored,
        half_angle,
        log_quotient,
        hyperbolic,
        double_angle,
        angle_difference,
        on_diagonal,
        roots,
        inverse_of_inverse,
        inverse_cancels,
        inverse_of_product,
        exact_quotient,
        conjugates,
        root_quotient,
        root_below,
        divisor_inside,
        divisor_into_sum,
        divided_once,
        together,
        multiply_out,
        expand_terms,
        whole_power,
        fold_power,
        common_exponent,
    ),
    "collect": (
        complement,
        clipped_minimum,
        masks,
        unclipped,
        kinked,
        common_power,
        common_factor,
        multiple,
        partial_factor,
        spread_number,
        under_one_sum,
        turn_difference,
        positive_first,
    ),
}
"""The laws of each group, in the order in which they are tried; laws.py says what they say."""


def _group_contract(s: Simplifier, e: Expr, used: Used) -> Expr:
    result = arithmetic(e)
    if result is not e:
        used.laws["contract"] = None
    return result


def _first_law(group: str) -> Callable[[Simplifier, Expr, Used], Expr]:
    """The first law that applies, then arithmetic."""

    def apply(s: Simplifier, e: Expr, used: Used) -> Expr:
        for law in LAWS[group]:
            result = law(s, e, used)
            if result is not None:
                used.laws[law.__name__] = None
                return arithmetic(result)
        return arithmetic(e)

    return apply


def _group_collect(s: Simplifier, e: Expr, used: Used) -> Expr:
    for law in LAWS["collect"]:
        result = law(s, e, used)
        if result is not None:
            used.laws[law.__name__] = None
            e = result
    return e


GROUPS: dict[str, Callable[[Simplifier, Expr, Used], Expr]] = {
    "contract": _group_contract,
    "facts": _first_law("facts"),
    "combine": _first_law("combine"),
    "collect": _group_collect,
}
