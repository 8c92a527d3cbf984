"""The backward walk: the chain rule (chain.py) at every tensor, from the loss back to the leaves.

The walk is a loop over the reversed topological order, so depth costs time, not stack; a layer
that is like an earlier one up to names is not derived again (local.py). Networks with loops go
the same way case by case (recursion.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from symbp.arithmetic import arithmetic, length, sign_of
from symbp.chain import (
    CLOSED_DEPTH,
    CLOSED_LENGTH,
    Occurrence,
    chain_steps,
    contributions,
    inline,
    named_adjoints,
)
from symbp.errors import RequestError, nearest
from symbp.expr import (
    ONE,
    ZERO,
    Entry,
    Expr,
    add,
)
from symbp.family import base_of
from symbp.graph import Fact, Graph, Node, adjoint, primal
from symbp.local import change_in_sum, changed, placed, rename
from symbp.recursion import derive_families
from symbp.simplify import Simplifier
from symbp.steps import Adjoint, Derivation, Law, Step

BETWEEN = 3  # definitions between two upstream tensors (x̂ and the variance) that may be put in
REACH = 20  # how much longer a form may be at first for proved folds to be tried on it


def derive(
    graph: Graph, wrt: Iterable[str] | None = None, *, closed: bool = True, steps: bool = True, simplify: bool = True
) -> Derivation:
    """Differentiate the loss with respect to `wrt` (leaves or inner nodes; by default every leaf
    that is not held fixed).

    Raises RequestError for a name that the network does not have.
    """
    if graph.has_families:
        return derive_families(graph, wrt, closed=closed, steps=steps, simplify=simplify)
    wanted, left_out = _wanted(graph, wrt)
    needed = _needed(graph, wanted)
    consumers = graph.consumers()
    forms: dict[str, Expr] = {}
    simplifier = Simplifier(graph, simplify, adjoints=forms)
    known = LocalProblems(graph, consumers)
    adjoints: dict[str, Adjoint] = {}
    for name in _order(graph, needed - {graph.loss}, consumers, simplifier, known):
        users = [u for u in consumers[name] if u == graph.loss or (u in adjoints and adjoints[u].delta is not ZERO)]
        a = known.recall(graph[name], users, adjoints)
        if a is None:
            a = _adjoint(graph, graph[name], users, adjoints, simplifier, known, steps)
        adjoints[name] = _with_closed(graph, a, adjoints, simplifier) if closed else a
        forms[name] = a.delta
    adjoints = _as_declared(graph, adjoints)
    if graph.loss in wanted:
        node = graph[graph.loss]
        adjoints = {graph.loss: Adjoint(node, ONE, ONE, ONE), **adjoints}
    return Derivation(graph, wanted, adjoints, left_out)


def _wanted(graph: Graph, wrt: Iterable[str] | None) -> tuple[tuple[str, ...], dict[str, str]]:
    if wrt is not None:
        names = tuple(dict.fromkeys(wrt))
        for name in names:
            if name not in graph.nodes:
                known = [n for n in graph.nodes if n != graph.loss]
                hint = nearest(name, known) or f"There are: {', '.join(known[:12])}{'…' if len(known) > 12 else ''}."
                raise RequestError(
                    f"Cannot differentiate with respect to '{name}': nothing of that name is declared. {hint}"
                )
        return names, {}
    fixed = graph.fixed()
    leaves = [n.name for n in graph.leaves]
    reason = {f.tensor: f.text or f.kind for f in graph.facts if f.tensor in fixed}
    return tuple(n for n in leaves if n not in fixed), {n: reason[n] for n in leaves if n in fixed}


def _needed(graph: Graph, wanted: Iterable[str]) -> set[str]:
    """Nodes on a path from a wanted tensor to the loss."""
    below = set(wanted)
    for node in graph.inner:
        assert node.body is not None
        if not below.isdisjoint(node.body.tensors):
            below.add(node.name)
    above = {graph.loss}
    for node in reversed(graph.inner):
        if node.name in above:
            assert node.body is not None
            above |= node.body.tensors
    return (below & above) | set(wanted)


def _order(
    graph: Graph, names: set[str], consumers: Mapping[str, list[str]], simplifier: Simplifier, known: LocalProblems
) -> list[str]:
    """The order of the walk. It does not depend on the order of the declarations, as what is known
    first may be named in the others: nearest to the loss first, what has fewer axes first, leaves
    last, of these the bias before its weights; of x − y first x, whose gradient has no minus."""
    far = graph.far
    alike: dict[tuple[str, int, int], list[str]] = {}  # tensors with as many axes in the same definition
    for name in names:
        node = graph[name]
        for user in consumers[name]:
            alike.setdefault((user, len(node.indices), 0 if node.is_leaf else far[name]), []).append(name)
    raw = dict.fromkeys(names, (0, 0))
    for name in {n for group in alike.values() if len(group) > 1 for n in group}:
        terms = [term for u in consumers[name] for _, term in known.contributions(name, u)]
        minus = sum(sign_of(arithmetic(t)) < 0 for t in terms)
        size = 0
        if graph[name].is_leaf:
            size = length(simplifier.by_laws(add(*terms)) if simplifier.enabled else add(*terms))
        raw[name] = size, minus

    def place(name: str) -> tuple[bool, int, int, tuple[int, int], int]:
        node = graph[name]
        return node.is_leaf, 0 if node.is_leaf else far[name], len(node.indices), raw[name], graph.rank[name]

    return sorted(names, key=place)


def _as_declared(graph: Graph, adjoints: Mapping[str, Adjoint]) -> dict[str, Adjoint]:
    """From the last definition to the first, each after what it names."""
    result: dict[str, Adjoint] = {}
    for name in reversed(tuple(graph.nodes)):
        stack = [name] if name in adjoints else []
        while stack:
            missing = [u for u in adjoints[stack[-1]].uses if u in adjoints and u not in result]
            if missing:
                stack += missing
            else:
                n = stack.pop()
                result[n] = adjoints[n]
    return result


def on_the_way(graph: Graph) -> frozenset[str]:
    """The tensors for which `derive` finds an adjoint; nothing is differentiated. Of a family, all
    members or none."""
    fixed = frozenset(map(base_of, graph.fixed()))
    below = {base_of(n.name) for n in graph.leaves} - fixed
    above = {graph.loss}
    for _ in range(2 if graph.has_families else 1):  # a loop goes on with what its later lines made
        for node in graph.inner:
            assert node.body is not None
            if not below.isdisjoint(map(base_of, node.body.tensors)):
                below.add(base_of(node.name))
        for node in reversed(graph.inner):
            if base_of(node.name) in above:
                assert node.body is not None
                above.update(map(base_of, node.body.tensors))
    return frozenset(n for n in graph.nodes if base_of(n) in below & above) - {graph.loss}


def _adjoint(
    graph: Graph,
    node: Node,
    users: list[str],
    adjoints: dict[str, Adjoint],
    simplifier: Simplifier,
    known: LocalProblems,
    want_steps: bool,
) -> Adjoint:
    """One adjoint by the chain rule: contributions, contraction, simplification, and the trace."""
    terms: list[Expr] = []
    trace: list[Step] = []
    left = Entry(adjoint(node.name), node.axes)
    parts: list[tuple[str, Occurrence]] = []
    for user in users:
        for o, term in known.contributions(node.name, user):
            terms.append(term)
            parts.append((user, o))
    raw = add(*terms)
    siblings = known.siblings(node, users, adjoints)
    best, chosen = simplifier(raw, siblings), raw
    if graph.upstream in named_adjoints(raw):  # given from outside: its own leaf is its name
        chosen = inline(raw, {graph.upstream: adjoints[graph.upstream].delta}, graph)
        best = simplifier(chosen, siblings)
    fruitless: set[object] = set()
    for names in _inlining_candidates(known, raw, adjoints) if simplifier.enabled else ():
        tried = chosen
        for name in names:
            tried = inline(tried, {name: adjoints[name].delta}, graph)
        change = change_in_sum(graph, chosen, tried)
        if change in fruitless:
            continue
        if length(simplifier.by_laws(tried)) > length(best.result) + REACH:
            continue
        if _changes_nothing(simplifier, chosen, tried, siblings, names):
            fruitless.add(change)
            continue
        shorter = simplifier(tried, siblings, names)
        through = any(primal(f.tensor) in names for f in best.facts)  # a fold that looked into it anyway
        constant = not any(adjoints[name].delta.tensors for name in names)
        if length(shorter.result) < length(best.result) + (through or constant):
            best, chosen = shorter, tried
        else:
            fruitless.add(change)
    delta = best.result
    known.keep(delta, best.facts)
    if want_steps:
        trace.extend(chain_steps(graph, node, left, parts, terms))
        if chosen is not raw:
            named = tuple(sorted(set(named_adjoints(raw)) - set(named_adjoints(chosen))))
            law = Law("insert", inserted=named)
            trace.append(Step("simplification", node.name, left, (raw, chosen), law=law))
        trace.extend(Step("simplification", node.name, left, (a, b), law=w) for w, a, b in best.stages)
        trace.append(Step("matrix-form", node.name, left, (delta,), notation="matrix"))
    because = tuple(f.text for f in best.facts)
    return Adjoint(node, raw, delta, None, tuple(trace), tuple(named_adjoints(delta)), because, "not asked for")


def _changes_nothing(
    simplifier: Simplifier, before: Expr, after: Expr, siblings: tuple[str, ...], names: tuple[str, ...]
) -> bool:
    """Are the summands in which adjoints were put in longer than before, which is all there is to see
    where the others, and the adjoints that these name, name other tensors?"""
    found = changed(before, after)
    if found is None or not found[2]:
        return False
    old, new, others = (add(*terms) for terms in found)
    beside = others.tensors.union(*(simplifier.adjoints[n].tensors for n in named_adjoints(others)))
    if not beside.isdisjoint(new.tensors):
        return False
    return length(simplifier(new, siblings, names).result) > length(simplifier(old, siblings).result)


def _with_closed(graph: Graph, a: Adjoint, adjoints: dict[str, Adjoint], simplifier: Simplifier) -> Adjoint:
    """The same with its closed form: the adjoints it names, put in and simplified."""
    whole, why = _closed(graph, a.delta, adjoints)
    if whole is None:
        return replace(a, why=why)
    done = simplifier(whole)
    named = a.delta.tensors - a.raw.tensors
    if any(primal(t) is not None or t == graph.loss for t in named):  # is it shorter without other gradients?
        straight, _ = _closed(graph, a.raw, adjoints)
        other = simplifier(straight) if straight is not None else done
        done = other if length(other.result) < length(done.result) else done
    because = dict.fromkeys((*a.because, *(f.text for f in done.facts)))
    for used in a.uses:
        because.update(dict.fromkeys(adjoints[used].because))
    return replace(a, closed=done.result, because=tuple(because), why="")


class ClosedForms:
    """The closed forms of a derivation that was made without them, each when it is asked for. The
    network has no loops."""

    def __init__(self, derivation: Derivation) -> None:
        self.graph, self.given = derivation.graph, derivation.adjoints
        self._simplifier = Simplifier(self.graph, adjoints={n: a.delta for n, a in self.given.items()})
        self._found: dict[str, Adjoint] = {}

    def __call__(self, name: str) -> Expr | None:
        """The gradient with respect to `name` in leaves and nodes; None where it is too long."""
        needed = {name}
        for n in reversed(tuple(self.given)):  # what a form names comes before it
            if n in needed:
                needed.update(named_adjoints(self.given[n].delta), named_adjoints(self.given[n].raw))
        for n, a in self.given.items():
            if n in needed and n not in self._found:
                self._found[n] = _with_closed(self.graph, a, self._found, self._simplifier)
        return self._found[name].closed


class LocalProblems:
    """What was derived before, by its skeleton: the definitions around a tensor without names."""

    def __init__(self, graph: Graph, consumers: dict[str, list[str]]) -> None:
        self.graph, self.consumers = graph, consumers
        self.special = {f.tensor for f in graph.facts if f.kind != "fixed"}
        self.rank = {name: n for n, name in enumerate(graph.nodes)}
        self.found: dict[object, tuple[str, dict[str, str]]] = {}
        self._contributions: dict[tuple[str, str], list[tuple[Occurrence, Expr]]] = {}
        self.pending: tuple[object, str, dict[str, str], set[str]] | None = None

    def recall(self, node: Node, users: list[str], adjoints: dict[str, Adjoint]) -> Adjoint | None:
        """The adjoint of a tensor whose local problem was met before, renamed; else None, and the
        problem can be kept. At the loss and where facts are known nothing is carried over."""
        self.pending = None
        if self.graph.loss in users:
            return None
        numbers = {node.name: "0"}
        key: list[object] = [node.axes, node.is_leaf]
        defined = set(users)
        for user in users:
            body = self.graph[user].body
            assert body is not None
            numbers.setdefault(user, str(len(numbers)))
            key += [numbers[user], self.graph[user].axes, placed(body, numbers)]
            for other in self._related(user, body):
                related = self.graph[other].body
                assert related is not None
                key.append(placed(related, numbers))
                defined.add(other)
        for user in (*self.between(users, adjoints, self.rank), *(u for u in users if not adjoints[u].uses)):
            key.append(placed(adjoints[user].delta, numbers))
            defined.add(adjoint(user))
        siblings = self.siblings(node, users, adjoints)
        for sibling in siblings:
            key += [numbers[sibling], placed(adjoints[sibling].delta, numbers)]
            defined.add(adjoint(sibling))
        if not self.special.isdisjoint(numbers):
            return None
        found = self.found.get(tuple(key))
        if found is None:
            self.pending = (tuple(key), node.name, numbers, defined)
            return None
        name, old = found
        back = {number: tensor for tensor, number in old.items()}
        names = {back[number]: tensor for tensor, number in numbers.items()}
        like = adjoints[name]
        delta = rename(like.delta, names)
        return Adjoint(
            node,
            delta if like.raw is like.delta else rename(like.raw, names),
            delta,
            None,
            (),
            tuple(named_adjoints(delta)),
            (),
            "not asked for",
            name,
            names,
        )

    def keep(self, delta: Expr, facts: Iterable[Fact]) -> None:
        """Remember the problem at hand, if its solution rests on nothing but what is in its skeleton."""
        if self.pending is not None:
            key, name, numbers, defined = self.pending
            named = {primal(t) or t for t in delta.tensors}
            if named <= numbers.keys() and all(f.kind == "definition" and f.tensor in defined for f in facts):
                self.found[key] = (name, numbers)

    def contributions(self, name: str, user: str) -> list[tuple[Occurrence, Expr]]:
        """What a consumer sends back to a tensor."""
        found = self._contributions.get((name, user))
        if found is None:
            found = [*contributions(self.graph, self.graph[name], self.graph[user])]
            self._contributions[name, user] = found
        return found

    @staticmethod
    def between(names: Iterable[str], adjoints: dict[str, Adjoint], rank: Mapping[str, int]) -> tuple[str, ...]:
        """Tensors, nearest the leaves first, whose δ forms may be put in one after the other without
        naming anything that is not named already."""
        names = set(names)
        inner: dict[str, None] = {}

        def leads_back(n: str, steps: int) -> bool:
            a = adjoints[n]
            if steps == 0 or not a.uses or not all(u in names or leads_back(u, steps - 1) for u in a.uses):
                return False
            inner[n] = None
            return True

        for n in sorted(n for n in names if n in adjoints):
            leads_back(n, BETWEEN)
        return tuple(sorted(inner, key=lambda n: rank[n]))

    def siblings(self, node: Node, users: Iterable[str], adjoints: dict[str, Adjoint]) -> tuple[str, ...]:
        """Other tensors that the same definitions read and whose adjoints are known: one may be the
        other's negative. A leaf's adjoint is named for a leaf only."""
        read = {t for u in users for t in self._operands(u)} - {node.name}
        known = [n for n in read if n in adjoints and (node.is_leaf or not self.graph[n].is_leaf)]
        return tuple(sorted(known, key=lambda n: -self.rank[n]))

    def _related(self, user: str, body: Expr) -> list[str]:
        """Other definitions in the same operands: what a slope could be folded into."""
        near = {u for t in body.tensors for u in self.consumers[t]}
        return sorted(u for u in near if u != user and self._operands(u) <= body.tensors)

    def _operands(self, name: str) -> frozenset[str]:
        body = self.graph[name].body
        return body.tensors if body is not None else frozenset()


def _inlining_candidates(known: LocalProblems, raw: Expr, adjoints: dict[str, Adjoint]) -> list[tuple[str, ...]]:
    """Upstream adjoints that may be put in, in turn: those that are short and free of adjoints (near
    the loss, where p − t and y − t come from); and together those that say nothing new, as what they
    name is upstream here as well (the mean and the variance of a normalisation)."""
    names = named_adjoints(raw)
    short = [(n,) for n in names if not adjoints[n].uses and length(adjoints[n].delta) <= 12]
    inner = LocalProblems.between(names, adjoints, known.rank)
    return [*short, inner] if inner and sum(length(adjoints[n].delta) for n in inner) <= 40 else list(short)


def _closed(graph: Graph, delta: Expr, adjoints: dict[str, Adjoint]) -> tuple[Expr | None, str]:
    forms: dict[str, Expr] = {}
    for name in named_adjoints(delta):
        form = adjoints[name].closed
        if form is None:
            return None, adjoints[name].why
        forms[name] = form
    whole = inline(delta, forms, graph) if forms else delta
    if whole.depth > CLOSED_DEPTH or length(whole) > CLOSED_LENGTH:
        return None, f"longer than {CLOSED_LENGTH} operations; the δ form names its parts"
    return whole, ""
