"""The backward walk through loops: for a tensor a[l], its base case and its recursion.

The number of a layer or a step is one more index, and the chain rule treats it as one: what a
tensor gets back depends on the case (cases.py). Each case is an ordinary local problem: the
tensor, its consumers and what they use, by the names of their members, as a small graph. The rest
of the engine never knows that l is symbolic, and the cost does not depend on what L is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from symbp.arithmetic import length
from symbp.cases import MARK, Case, Ranges, Use, cases, uses_of
from symbp.chain import CLOSED_LENGTH, arrives_entrywise, contributions, inline, local_slope, named_adjoints, slope_law
from symbp.errors import RequestError, nearest
from symbp.expr import Add, Call, Entry, Expr, Mul, Num, Over, Pow, Reduce, Size, add, mul
from symbp.expr import walk as visit
from symbp.family import (
    Loop,
    base_of,
    below,
    member,
    plain_number,
    shift,
    shift_name,
    shift_number,
    solve,
    split,
)
from symbp.graph import Graph, Node, adjoint, primal
from symbp.index import same_size
from symbp.local import rename
from symbp.simplify import Result, Simplifier
from symbp.steps import Adjoint, Chain, Derivation, Law, Paths, Step

# ---- the walk ---------------------------------------------------------------------------------------


def derive_families(
    graph: Graph, wrt: Iterable[str] | None, *, closed: bool = True, steps: bool = True, simplify: bool = True
) -> Derivation:
    """Differentiate the loss of a network of symbolic depth; as `derive`, with an adjoint for
    every case of every tensor. `wrt` takes families (`W`), pieces (`h[0]`) and members (`W[2]`)."""
    wanted, left_out = _wanted(graph, wrt)
    needed = _needed(graph, [graph.loss, *wanted])
    walk = _Walk(graph, closed, steps, simplify)
    for node in reversed(tuple(graph.nodes.values())):
        if node.name == graph.loss or base_of(node.name) not in needed:
            continue
        walk.add(node)
    keys = dict.fromkeys(key for name in wanted for key in walk.keys_of(name))
    return Derivation(graph, tuple(keys), walk.with_chains(walk.needed(keys)), left_out)


def _wanted(graph: Graph, wrt: Iterable[str] | None) -> tuple[tuple[str, ...], dict[str, str]]:
    if wrt is not None:
        names = tuple(dict.fromkeys(wrt))
        for name in names:
            try:
                found = bool(graph.pieces(name)) and (bool(split(name)[1]) or base_of(name) == name)
                if split(name)[1]:
                    graph[name]
            except (KeyError, ValueError, IndexError):
                found = False
            if not found:
                known = list(dict.fromkeys(base_of(n) for n in graph.nodes if n != graph.loss))
                raise RequestError(
                    f"Cannot differentiate with respect to '{name}': nothing of that name is declared. "
                    f"{nearest(name, known) or 'There are: ' + ', '.join(known[:12]) + '.'}"
                )
        return names, {}
    fixed = {base_of(n) for n in graph.fixed()}
    leaves = [n.name for n in graph.leaves]
    reason = {base_of(f.tensor): f.text or f.kind for f in graph.facts if base_of(f.tensor) in fixed}
    free = tuple(n for n in leaves if base_of(n) not in fixed)
    return free, {n: reason[base_of(n)] for n in leaves if base_of(n) in fixed}


def _needed(graph: Graph, wanted: Iterable[str]) -> set[str]:
    """Bases of the tensors on a way from a wanted one to the loss."""
    uses: dict[str, set[str]] = {}
    for node in graph.inner:
        assert node.body is not None
        uses.setdefault(base_of(node.name), set()).update(map(base_of, node.body.tensors))
    below_ = {base_of(n) for n in wanted}
    while True:
        more = {b for b, used in uses.items() if used & below_} - below_
        if not more:
            break
        below_ |= more
    above, stack = {base_of(graph.loss)}, [base_of(graph.loss)]
    while stack:
        for b in uses.get(stack.pop(), ()):
            if b not in above:
                above.add(b)
                stack.append(b)
    return below_ & above


class _Walk:
    """The adjoints found so far, by the names of their members."""

    def __init__(self, graph: Graph, closed: bool, steps: bool, simplify: bool) -> None:
        self.graph, self.closed, self.steps, self.simplify = graph, closed, steps, simplify
        self.adjoints: dict[str, Adjoint] = {}
        self.of: dict[str, list[Adjoint]] = {}  # base -> its cases
        self.of_piece: dict[str, list[str]] = {}  # node -> the keys of its cases
        self.uses = {n.name: uses_of(graph, n) for n in graph.nodes.values()}

    def add(self, node: Node) -> None:
        """The adjoint of a tensor, case by case."""
        uses = self.uses[node.name]
        found = cases(node, uses, self._cuts(node, uses)) if node.loops else [Case(node, tuple(uses))]
        forms = _merged([(case, self.case(case)) for case in found if case.uses])
        for a in forms:
            if len(forms) > 1 and node.loops:
                a = replace(a, case="step" if self._goes_back(a) else "base")
            key = a.node.name
            while key in self.adjoints:
                key += "'"
            self.adjoints[key] = a
            self.of_piece.setdefault(node.name, []).append(key)
            self.of.setdefault(base_of(a.node.name), []).append(a)

    def keys_of(self, name: str) -> list[str]:
        """The adjoints that answer for a name."""
        if name in self.graph.nodes:
            return self.of_piece.get(name, [])
        if not split(name)[1]:
            return [key for n in self.graph.pieces(name) for key in self.of_piece.get(n.name, ())]
        if name in self.adjoints:
            return [name]
        a = self.at(name, {})
        if a is not None:
            self.adjoints[name] = a
            return [name]
        pieces = ", ".join(n.name for n in self.graph.pieces(name))
        hint = f"Ask for {base_of(name)}, or give numbers with --set."
        raise RequestError(f"{name} is no single case of {pieces}. {hint}")

    def needed(self, keys: Iterable[str]) -> dict[str, Adjoint]:
        """These adjoints and all that their forms and steps name."""
        kept = dict.fromkeys(keys)
        stack = list(kept)
        while stack:
            a = self.adjoints[stack.pop()]
            inserted = [n for s in a.steps if s.law is not None for n in s.law.inserted]
            for used in (*named_adjoints(a.raw), *a.uses, *inserted):
                for key, other in self.adjoints.items():
                    if key not in kept and _may_be(used, other, {loop.var: loop for loop in a.node.loops}):
                        kept[key] = None
                        stack.append(key)
        return {key: a for key, a in self.adjoints.items() if key in kept}

    def with_chains(self, found: Mapping[str, Adjoint]) -> dict[str, Adjoint]:
        """The same, with a product of Jacobians where a recursion passes one error on and adds nothing."""
        links: dict[str, tuple[Expr, Adjoint]] = {}
        for base, forms in self.of.items():
            ends = [a for a in forms if not a.node.loops and a.case == "base"]
            steps = [a for a in forms if a.node.loops]
            if (
                sum(bool(a.case) for a in forms) == 2
                and len(ends) == len(steps) == 1
                and len(steps[0].node.loops) == 1
                and _passes_on(steps[0])
            ):
                links[base] = split(ends[0].node.name)[1][0], steps[0]
        return {key: replace(a, chain=self._chain_of(a, links)) for key, a in found.items()}

    def _chain_of(self, a: Adjoint, links: Mapping[str, tuple[Expr, Adjoint]]) -> Chain | None:
        if not _passes_on(a) or base_of(a.uses[0]) not in links or len(split(a.uses[0])[1]) != 1:
            return None
        base, (first,) = split(a.uses[0])
        last, step = links[base]
        own = split(step.node.name)[1][0]
        by = plain_number(split(step.uses[0])[1][0] - own)  # +1, or −1 for a loop that runs down
        if not isinstance(by, Num) or abs(by.value) != 1 or same_size(first, last):
            return None
        top = (member(base, [last]), member(base, [plain_number(last - by)]))
        if base_of(a.node.name) == base:
            return Chain(top, (a.uses[0], a.node.name))
        if not a.node.is_leaf or isinstance(a.delta, Entry):
            return None
        upper = member(base, [plain_number(first + by)])
        return Chain(top, (upper, a.uses[0]), (a.uses[0], a.node.name))

    # -- one case

    def case(self, case: Case) -> Adjoint:
        """The chain rule for one case, simplified, with its trace."""
        node = case.node
        left = Entry(adjoint(node.name), node.axes)
        ranges = {loop.var: loop for loop in node.loops}
        groups: dict[tuple[Loop, ...], list[tuple[Use, Expr]]] = {}
        trace: list[Step] = []
        all_terms: list[Expr] = []
        local = self.local(node, case.uses)
        marked = replace(node, name=MARK)
        sent = [
            (use, [rename(t, {MARK: node.name}) for _, t in contributions(local, marked, use.marked, turn=use.turn)])
            for use in case.uses
        ]

        def place(s: tuple[Use, list[Expr]]) -> tuple[bool, bool]:
            entrywise = arrives_entrywise(node, s[0].consumer.name, s[1])
            return not entrywise, entrywise and any(map(named_adjoints, s[1]))

        for use, own in sorted(sent, key=place):
            term = add(*own)
            groups.setdefault(use.sums, []).append((use, term))
            all_terms.append(_summed(use.sums, term))
            if self.steps:
                trace += self._chain(local, node, marked, left, use, all_terms[-1])
        if self.steps and len({u.consumer.name for u in case.uses}) > 1:
            trace.append(Step("fork", node.name, left, (add(*all_terms),)))
        raw = add(*all_terms)
        chosen: list[Expr] = []
        results: list[Expr] = []
        stages: list[tuple[Law, Expr, Expr]] = []
        because: dict[str, None] = {}
        inserted: dict[str, None] = {}
        for sums, members in groups.items():
            inner = {**ranges, **{loop.var: loop for loop in sums}}
            term = add(*(t for _, t in members))
            known = [a.delta.tensors for n in named_adjoints(term) if (a := self.at(n, inner)) is not None]
            near = sorted(t for tensors in known for t in tensors if primal(t) is None)
            simplifier = Simplifier(self.local(node, [u for u, _ in members], near), self.simplify)
            best, put_in, names = self._inlined(node, term, inner, simplifier)
            inserted.update(dict.fromkeys(names))
            chosen.append(_summed(sums, put_in))
            results.append(_summed(sums, best.result))
            because.update(dict.fromkeys(f.text for f in best.facts))
            stages += ((law, _summed(sums, a), _summed(sums, b)) for law, a, b in best.stages)
        delta = add(*results)
        if self.steps:
            if inserted:
                law = Law("insert", inserted=tuple(inserted))
                trace.append(Step("simplification", node.name, left, (raw, add(*chosen)), law=law))
            trace += _stage_steps(node, left, chosen, stages)
            trace.append(Step("matrix-form", node.name, left, (delta,), notation="matrix"))
        uses = tuple(named_adjoints(delta))
        a = Adjoint(
            node, raw, delta, None, tuple(trace), uses, tuple(because), "not asked for", paths=_paths(node, delta)
        )
        return self._with_closed(a, ranges) if self.closed else a

    def _chain(self, local: Graph, node: Node, marked: Node, left: Expr, use: Use, term: Expr) -> Iterator[Step]:
        consumer = use.consumer
        assert consumer.body is not None
        entry, slope = local_slope(marked, use.marked, local.table, use.turn)
        slope = rename(slope, {MARK: node.name})
        law = slope_law(consumer, local.table)
        yield Step("definition", node.name, consumer.entry, (consumer.body,), via=consumer.name, sums=use.sums)
        yield Step("chain-rule", node.name, left, (), via=consumer.name, argument=entry, sums=use.sums)
        yield Step(
            "local-slope", node.name, entry, (slope,), via=consumer.name, argument=node.entry, law=law, sums=use.sums
        )
        yield Step("contraction", node.name, left, (term,), via=consumer.name, sums=use.sums)

    def local(self, node: Node, uses: Iterable[Use], others: Iterable[str] = ()) -> Graph:
        """The tensor, its consumers, and what they and adjoints near the loss use, as an ordinary
        graph: what is used is a leaf, or has its definition where that holds for the whole case."""
        ranges = {loop.var: loop for loop in node.loops}
        consumers: dict[str, Node] = {}
        for use in uses:
            ranges |= {loop.var: loop for loop in use.sums}
            consumers[use.consumer.name] = use.consumer
        nodes: dict[str, Node] = {}

        def put(name: str, depth: int) -> None:
            if name in nodes or name in consumers:
                return
            found = self._definition(name, ranges) if depth else None
            if found is not None and found.body is not None:
                for used in sorted(found.body.tensors):
                    put(used, depth - 1)
                nodes[name] = replace(found, loops=())
            else:
                nodes[name] = replace(self.graph[name], body=None, loops=())

        nodes[node.name] = replace(node, body=None, loops=())
        for name in others:
            if name != node.name:
                put(name, 0)
        for consumer in consumers.values():
            assert consumer.body is not None
            for name in sorted(consumer.body.tensors):
                if name != node.name:
                    put(name, 1)
        if node.body is not None and node.name in nodes:
            whole = self._definition(node.name, ranges)
            if whole is not None and whole.body is not None and not any(t in consumers for t in whole.body.tensors):
                for used in sorted(whole.body.tensors):
                    put(used, 0)
                del nodes[node.name]
                nodes[node.name] = replace(whole, loops=())
        nodes.update({name: replace(c, loops=()) for name, c in consumers.items()})
        return replace(self.graph, nodes=nodes, facts=self.graph.facts_among(nodes), blocks=())

    def _definition(self, name: str, ranges: Ranges) -> Node | None:
        numbers = split(name)[1]
        pieces = self.graph.pieces(name)
        if not numbers:
            return pieces[0] if pieces else None
        for piece in pieces:
            if self.graph.covers(piece, numbers, ranges):
                own = split(piece.name)[1]
                variables = {loop.var for loop in piece.loops}
                put = {n.name: m for n, m in zip(own, numbers) if isinstance(n, Size) and n.name in variables}
                return piece.at(put)
        return None

    # -- what arrives from above

    def at(self, name: str, ranges: Ranges) -> Adjoint | None:
        """The adjoint of a member, if one case holds wherever the ranges let it be."""
        numbers = split(name)[1]
        for a in self.of.get(base_of(name), ()):
            if not self.graph.covers(a.node, numbers, ranges):
                continue
            own = split(a.node.name)[1]
            variables = {loop.var for loop in a.node.loops}
            put = {n.name: m for n, m in zip(own, numbers) if isinstance(n, Size) and n.name in variables}
            return moved(a, put)
        return None

    def _inlined(
        self, node: Node, term: Expr, ranges: Ranges, simplifier: Simplifier
    ) -> tuple[Result, Expr, list[str]]:
        """The simplified term: short adjoints near the loss are put in where that is shorter, and
        that of an activation that nothing else uses, always: δ stands for the input."""
        best, chosen = simplifier(term), term
        names: list[str] = []
        for name in named_adjoints(term):
            a = self.at(name, ranges)
            if a is None or _has_sum(a.delta):
                continue
            forms = {name: a.delta}
            tried = inline(chosen, forms, self.graph)
            if self._is_activation_of(name, node):
                best, chosen = simplifier(tried), tried
                names.append(name)
            elif not a.uses and length(a.delta) <= 12:
                shorter = simplifier(tried)
                if length(shorter.result) < length(best.result):
                    best, chosen = shorter, tried
                    names.append(name)
        return best, chosen, names

    def _is_activation_of(self, name: str, node: Node) -> bool:
        """Is `name` a function of the entries of this node alone, and nothing else uses the node
        or needs the adjoint of `name`?"""
        piece = self._definition(name, {loop.var: loop for loop in node.loops})
        if piece is None or not isinstance(piece.body, Call) or (not node.loops and "[" not in node.name):
            return False
        args = piece.body.args
        if len(args) != 1 or not isinstance(args[0], Entry) or args[0].tensor != node.name:
            return False
        pieces = self.graph.pieces(name)
        return all(isinstance(p.body, Call) or p.body is None or not p.loops for p in pieces)

    def _cuts(self, node: Node, uses: Sequence[Use]) -> dict[str, list[Expr]]:
        """Where the adjoint of an activation changes its case: δ changes there too."""
        found: dict[str, list[Expr]] = {}
        for use in uses:
            if use.sums or not self._is_activation_of(use.consumer.name, node):
                continue
            for a in self.of.get(base_of(use.consumer.name), ()):
                own = split(a.node.name)[1]
                for n, m in zip(own, split(use.consumer.name)[1]):
                    loops = {loop.var: loop for loop in a.node.loops}
                    loop = loops.get(n.name) if isinstance(n, Size) else None
                    low, high = (loop.low, loop.high) if loop else (n, n)
                    for var in (x.var for x in node.loops):
                        for end in (low, plain_number(high + 1)):
                            value = solve(m, end, var)
                            if value is not None:
                                found.setdefault(var, []).append(value)
        return found

    def _goes_back(self, a: Adjoint) -> bool:
        """Does the form name an adjoint of another turn?"""
        numbers = split(a.node.name)[1]
        return any(not any(same_size(n, m) for m in numbers) for used in a.uses for n in split(used)[1])

    def _with_closed(self, a: Adjoint, ranges: Ranges) -> Adjoint:
        """The closed form, where no recursion stands in the way."""
        forms: dict[str, Expr] = {}
        because = dict.fromkeys(a.because)
        if _has_sum(a.delta) and a.uses:
            return self._closed_sum(a, ranges)
        for name in a.uses:
            used = self.at(name, ranges)
            if used is None or used.closed is None:
                return replace(a, why=_why(self.graph))
            forms[name] = used.closed
            because.update(dict.fromkeys(used.because))
        whole = inline(a.delta, forms, self.graph) if forms else a.delta
        if length(whole) > CLOSED_LENGTH:
            return replace(a, why=f"longer than {CLOSED_LENGTH} operations; the δ form names its parts")
        if not forms:
            return replace(a, closed=a.delta, why="")
        simplifier = Simplifier(self.local(a.node, ()), self.simplify)
        return replace(a, closed=simplifier(whole).result, because=tuple(because), why="")

    def _closed_sum(self, a: Adjoint, ranges: Ranges) -> Adjoint:
        """The same for summands that are sums over a loop."""
        parts: list[Expr] = []
        for term in a.delta.args if isinstance(a.delta, Add) else (a.delta,):
            sums: list[Loop] = []
            body = term
            while isinstance(body, Over):
                sums.append(Loop(body.var, body.low, body.high))
                body = body.body
            if _has_sum(body):
                return replace(a, why="it sums over a loop inside a formula")
            inner = replace(a, delta=body, uses=tuple(named_adjoints(body)))
            inner = self._with_closed(inner, {**ranges, **{loop.var: loop for loop in sums}})
            if inner.closed is None:
                return replace(a, why=inner.why)
            parts.append(_summed(sums, inner.closed))
        return replace(a, closed=add(*parts), why="")


def _passes_on(a: Adjoint) -> bool:
    """Is the form one error, times what is known, and are both vectors?"""
    return len(a.node.indices) == 1 == len(a.uses) and _is_multiple(a.delta)


def _is_multiple(e: Expr) -> bool:
    """Is every summand a multiple of an adjoint?"""
    match e:
        case Entry():
            return primal(e.tensor) is not None
        case Add():
            return all(map(_is_multiple, e.args))
        case Mul():
            return any(map(_is_multiple, e.args))
        case Reduce(op="sum"):
            return _is_multiple(e.body)
    return False


def _may_be(name: str, a: Adjoint, ranges: Ranges) -> bool:
    """Could this member be one that the adjoint is about?"""
    base, numbers = split(a.node.name)
    if base != base_of(name):
        return False
    own = {loop.var: loop for loop in a.node.loops}
    for n, m in zip(numbers, split(name)[1]):
        loop = own.get(n.name) if isinstance(n, Size) else None
        low, high = (loop.low, loop.high) if loop else (n, n)
        if below(m, low, ranges, margin=1) is True or below(high, m, ranges, margin=1) is True:
            return False
    return True


def _merged(forms: list[tuple[Case, Adjoint]]) -> list[Adjoint]:
    """Cases with the same form, and consumers that are defined alike, as one: that of l = L is
    often that of every l."""
    kept: list[tuple[Case, Adjoint]] = []
    for case, a in forms:
        for n, (before, other) in enumerate(kept):
            whole = _union(other, a, before, case)
            if whole is not None:
                kept[n] = before, whole
                break
            whole = _union(a, other, case, before)
            if whole is not None:
                kept[n] = case, whole
                break
        else:
            kept.append((case, a))
    return [a for _, a in kept]


def _union(a: Adjoint, b: Adjoint, mine: Case, other_case: Case) -> Adjoint | None:
    """`a` for a longer range, if `b` is its form at the number beside it, or on the range beside it."""
    base, numbers = split(a.node.name)
    if base != base_of(b.node.name) or not a.node.loops:
        return None
    theirs = {loop.var: loop for loop in b.node.loops}
    put: dict[str, Expr] = {}
    loops: list[Loop] = []
    grown = 0
    for n, m in zip(numbers, split(b.node.name)[1]):
        loop = next((x for x in a.node.loops if isinstance(n, Size) and x.var == n.name), None)
        other = theirs.get(m.name) if isinstance(m, Size) else None
        if loop is None:
            if not same_size(n, m):
                return None
            continue
        low, high = (other.low, other.high) if other else (m, m)
        put[loop.var] = m
        if same_size(low, loop.low) and same_size(high, loop.high):
            loops.append(loop)
            continue
        grown += 1
        if same_size(low, loop.high + 1):
            loops.append(replace(loop, high=high))
        elif same_size(high + 1, loop.low):
            loops.append(replace(loop, low=low))
        else:
            return None
    if grown != 1 or shift(a.delta, put) is not b.delta:
        return None
    ours, theirs_ = ([(u.consumer.body, u.sums) for u in case.uses] for case in (mine, other_case))
    if [(shift(e, put) if e is not None else e, sums) for e, sums in ours] != theirs_:
        return None
    if a.closed is not None and (b.closed is None or shift(a.closed, put) is not b.closed):
        return None
    order = [x.var for x in a.node.loops]
    loops.sort(key=lambda x: order.index(x.var))
    return replace(a, node=replace(a.node, loops=tuple(loops)))


def _why(graph: Graph) -> str:
    bounds = graph.bounds
    number = f"; --set {bounds[0]}=3 writes it out for 3" if bounds else ""
    return f"a recursion has no closed form of one length{number}"


def moved(a: Adjoint, put: Mapping[str, Expr]) -> Adjoint:
    """An adjoint at other numbers: the case of z[l], said of z[l+1]."""
    if all(isinstance(e, Size) and e.name == v for v, e in put.items()):
        return a
    return replace(
        a,
        node=a.node.at(put),
        raw=shift(a.raw, put),
        delta=shift(a.delta, put),
        closed=None if a.closed is None else shift(a.closed, put),
        steps=tuple(_moved_step(s, put) for s in a.steps),
        uses=tuple(shift_name(u, put) for u in a.uses),
    )


def _moved_step(s: Step, put: Mapping[str, Expr]) -> Step:
    return replace(
        s,
        about=shift_name(s.about, put),
        via=shift_name(s.via, put),
        left=s.left and shift(s.left, put),
        argument=s.argument and shift(s.argument, put),
        lines=tuple(shift(e, put) for e in s.lines),
        sums=tuple(Loop(x.var, shift_number(x.low, put), shift_number(x.high, put)) for x in s.sums),
        law=s.law and replace(s.law, inserted=tuple(shift_name(n, put) for n in s.law.inserted)),
    )


def _summed(sums: Iterable[Loop], e: Expr) -> Expr:
    for loop in reversed(tuple(sums)):
        e = Over(loop.var, loop.low, loop.high, e)
    return e


def _stage_steps(node: Node, left: Expr, parts: list[Expr], stages: list[tuple[Law, Expr, Expr]]) -> Iterator[Step]:
    """The simplifications of all groups, each shown within the whole sum."""
    parts = list(parts)
    for law, before, after in stages:
        whole = add(*parts)
        parts[next(n for n, p in enumerate(parts) if p is before)] = after
        if add(*parts) is not whole:
            yield Step("simplification", node.name, left, (whole, add(*parts)), law=law)


def _has_sum(e: Expr) -> bool:
    return any(isinstance(x, Over) for x in visit(e))


def _paths(node: Node, delta: Expr) -> Paths | None:
    """For a step that sums over the entries of its own adjoint one turn on: the two counts."""
    if not node.loops or not node.indices:
        return None
    for e in visit(delta):
        if not (isinstance(e, Reduce) and e.op == "sum" and len(e.bound) == 1):
            continue
        for x in visit(e.body):
            if isinstance(x, Entry) and (name := primal(x.tensor)) is not None and base_of(name) == base_of(node.name):
                if name != node.name and any(b in x.free for b in e.bound):
                    width = e.bound[0].dim
                    dims = dict.fromkeys((*(i.dim for i in node.indices), width))
                    times = [sum(d is e for e in (*(i.dim for i in node.indices), width)) for d in dims]
                    work = mul(*(d if n == 1 else Pow(d, Num(n)) for d, n in zip(dims, times)))
                    return Paths(node.loops[-1], width, work)
    return None


__all__ = ["derive_families", "moved"]
