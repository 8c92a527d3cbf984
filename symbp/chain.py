"""The chain rule at one tensor of a graph of entries: what its consumers send back.

    v̄[v] = Σ over consumers u, over u's open indices, of  ū[…] · ∂body/∂(entry of v) · δ(entry's indices = v)

`occurrences` walks down a body with the upstream factor in hand. At a product it puts the
upstream in the place of the entry, among its siblings, so the factors arrive in the order of the
forward formula: `X W` gives `X … ū` for W and `ū … W` for X. At a function it multiplies by the
slope from the table, seen from the output; at a sum it opens the bound letters; at a reduction
whose entries mix (softmax, inverse, …) it uses that reduction's slope in index form. `contract`
then uses the δs up. There is no rule per layer and no matrix derivative anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from symbp.errors import NoRule
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    Add,
    Apply,
    Call,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Over,
    Pow,
    Reduce,
    Select,
    add,
    mul,
    substitute,
    total,
    walk,
)
from symbp.expr import replace as rewrite
from symbp.family import Loop, shift
from symbp.graph import Graph, Node, adjoint, primal
from symbp.index import contract, same_size
from symbp.ops import OPS, Op
from symbp.steps import Law, Step

CLOSED_DEPTH = 400  # a closed form with a taller tree is not written out
CLOSED_LENGTH = 120


# ---- slopes of reductions, in index form -------------------------------------------------------
# slope(out, body, k, at): ∂ out[at] / ∂ body(k), where out(at) is the reduction's own value

Slope = Callable[[Callable[[tuple[Expr, ...]], Expr], Reduce, tuple[Index, ...], Expr], Expr]


def _softmax_slope(out: Callable[[tuple[Expr, ...]], Expr], r: Reduce, k: tuple[Index, ...], body: Expr) -> Expr:
    """∂p_j/∂z_k = p_j (δ_jk − p_k)."""
    return mul(out(r.at), Add((Delta(r.at[0], k[0]), mul(MINUS_ONE, out(k)))))


def _log_softmax_slope(out: Callable[[tuple[Expr, ...]], Expr], r: Reduce, k: tuple[Index, ...], body: Expr) -> Expr:
    """∂(log p_j)/∂z_k = δ_jk − p_k."""
    return Add((Delta(r.at[0], k[0]), mul(MINUS_ONE, Reduce("softmax", r.bound, r.body, k))))


def _inverse_slope(out: Callable[[tuple[Expr, ...]], Expr], r: Reduce, k: tuple[Index, ...], body: Expr) -> Expr:
    """∂(A⁻¹)_ab/∂A_kl = −(A⁻¹)_ak (A⁻¹)_lb."""
    return mul(MINUS_ONE, out((r.at[0], k[0])), out((k[1], r.at[1])))


REDUCTION_SLOPES: dict[str, Slope] = {
    "sum": lambda out, r, k, body: ONE,
    "max": lambda out, r, k, body: Compare("==", body, out(())),
    "min": lambda out, r, k, body: Compare("==", body, out(())),
    "logsumexp": lambda out, r, k, body: (
        Reduce("softmax", r.bound, r.body, k) if len(k) == 1 else Call("exp", add(body, mul(MINUS_ONE, out(()))))
    ),
    "softmax": _softmax_slope,
    "log_softmax": _log_softmax_slope,
    "inv": _inverse_slope,
    "det": lambda out, r, k, body: mul(out(()), Reduce("inv", r.bound, r.body, (k[1], k[0]))),
    "logdet": lambda out, r, k, body: Reduce("inv", r.bound, r.body, (k[1], k[0])),
}

SLOPE_LAWS: dict[str, str] = {
    "softmax": r"\frac{\partial p_j}{\partial z_k} = p_j\,(\delta_{jk} - p_k)",
    "log_softmax": r"\frac{\partial \log p_j}{\partial z_k} = \delta_{jk} - p_k",
    "logsumexp": r"\frac{\partial}{\partial z_k} \log \sum_j e^{z_j} = \mathrm{softmax}(z)_k",
    "max": r"\text{the largest entry receives the whole gradient}",
    "min": r"\text{the smallest entry receives the whole gradient}",
    "inv": r"\frac{\partial (A^{-1})_{ab}}{\partial A_{kl}} = -(A^{-1})_{ak} (A^{-1})_{lb}",
    "det": r"\frac{\partial \det A}{\partial A} = \det(A)\, A^{-\top}",
    "logdet": r"\frac{\partial \log|\det A|}{\partial A} = A^{-\top}",
}


# ---- one body ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Occurrence:
    """An entry of the variable in a body: its indices, the upstream times all slopes on the way
    down, and the letters and the loops that are still open (to be summed)."""

    entry: Entry
    factors: Expr
    opened: tuple[Index, ...]
    loops: tuple[Loop, ...] = ()

    def closed(self, contracted: Expr) -> Expr:
        """What comes of it once the letters are used up, summed over the loops."""
        for loop in reversed(self.loops):
            contracted = Over(loop.var, loop.low, loop.high, contracted)
        return contracted


def occurrences(
    node: Node,
    upstream: Expr,
    variable: str,
    close: bool = True,
    table: Mapping[str, Op] = OPS,
    turn: Mapping[str, Expr] | None = None,
) -> Iterator[Occurrence]:
    """Every occurrence of `variable` in the node's body. With `close`, letters at which a
    reduction is read are summed right there, which keeps Σ_j ū_j p_j one factor. Of a sum over a
    loop variable that `turn` gives a number, only that turn is looked at."""
    assert node.body is not None
    body = node.body
    around: list[Loop] = []

    def down(e: Expr, up: Expr, opened: tuple[Index, ...]) -> Iterator[Occurrence]:
        if variable not in e.tensors:
            return
        if close:  # a letter that does not occur below is summed here, which keeps δ W one factor
            gone = tuple(i for i in opened if i not in e.free)
            if gone:
                up, opened = total(gone, up), tuple(i for i in opened if i in e.free)
        match e:
            case Entry():
                if e.tensor == variable:
                    yield Occurrence(e, up, opened, tuple(around))
            case Add():
                for a in e.args:
                    if variable in a.tensors:
                        yield from down(a, up, opened)
            case Mul():
                for n, a in enumerate(e.args):
                    if variable in a.tensors:
                        yield from down(a, mul(*e.args[:n], up, *e.args[n + 1 :]), opened)
            case Pow():
                own = node.entry if e is body else e
                if variable in e.base.tensors:
                    yield from down(e.base, mul(up, power_slope(own, e)), opened)
                if variable in e.exponent.tensors:
                    yield from down(e.exponent, mul(up, own, Call("log", e.base)), opened)
            case Call():
                out = node.entry if e is body else e
                for a, slope in zip(e.args, table[e.fn].slopes):
                    if variable in a.tensors:
                        yield from down(a, mul(up, slope(out, *e.args)), opened)
            case Select():
                condition, yes, no = e.args
                yield from down(yes, mul(up, condition), opened)
                yield from down(no, mul(up, negation(condition)), opened)
            case Reduce():
                yield from through_reduction(e, up, opened)
            case Apply():
                yield from through_unknown(e, up, opened)
            case Over() if turn and e.var in turn:
                yield from down(shift(e.body, {e.var: turn[e.var]}), up, opened)
            case Over():
                around.append(Loop(e.var, e.low, e.high))
                yield from down(e.body, up, opened)
                around.pop()
            case Compare() | Delta():
                return
            case _:
                raise NoRule(f"symbp has no slope for {type(e).__name__.lower()} in {node.name}")

    def through_reduction(e: Reduce, up: Expr, opened: tuple[Index, ...]) -> Iterator[Occurrence]:
        k, inner = e.open()
        if e.op == "sum":
            yield from down(inner, up, (*opened, *k))
            return

        everywhere = len(set(e.at)) == len(e.at) and all(
            isinstance(i, Index) and same_size(i.dim, b.dim) and i not in e.body.free for i, b in zip(e.at, e.bound)
        )  # not on a diagonal, nor in a part only

        def out(at: tuple[Expr, ...]) -> Expr:
            whole = Reduce(e.op, e.bound, e.body, at)
            if e is body and everywhere:
                return substitute(node.entry, {i: x for i, x in zip(e.at, at) if isinstance(i, Index)})
            return whole

        slope = REDUCTION_SLOPES[e.op](out, e, k, inner)
        closed = (
            tuple(i for i in e.at if isinstance(i, Index) and i in opened and i not in e.body.free) if close else ()
        )
        if len(closed) < len(e.at) or not e.at or not everywhere:
            yield from down(inner, mul(up, slope), (*opened, *k))
            return
        rest = tuple(i for i in opened if i not in closed)
        if e.op in ("softmax", "log_softmax"):  # Σ_j u_j p_j (δ_jk − p_k) = u_k p_k − p_k Σ_j u_j p_j
            j = closed[0]
            p = out(k) if e.op == "softmax" else Reduce("softmax", e.bound, e.body, k)
            weighted = mul(up, out(e.at)) if e.op == "softmax" else up
            same = substitute(weighted, {j: k[0]})
            yield from down(inner, add(same, mul(MINUS_ONE, p, total((j,), weighted))), (*rest, *k))
        else:
            yield from down(inner, total(closed, mul(slope, up)), (*rest, *k))

    def through_unknown(e: Apply, up: Expr, opened: tuple[Index, ...]) -> Iterator[Occurrence]:
        """An unknown map: its Jacobian ∂g_j/∂x_k, summed with the upstream over j at once."""
        if e.slot is not None:
            raise NoRule(f"symbp has no second derivative of the unknown function {e.fn}")
        for p, operand in enumerate(e.operands):
            if variable not in operand.tensors:
                continue
            assert isinstance(operand, Reduce)
            k, inner = operand.open()
            slope = Apply(e.fn, e.operands, (*e.at, *k), p)
            outer = tuple(i for i in e.at if isinstance(i, Index) and i in opened) if close else ()
            rest = tuple(i for i in opened if i not in outer)
            yield from down(inner, total(outer, mul(slope, up)), (*rest, *k))

    yield from down(body, upstream, node.indices)


def power_slope(own: Expr, e: Pow) -> Expr:
    """(u^p)′ = p u^(p−1); a root is seen from its output: (√u)′ = 1/(2√u)."""
    p = e.exponent
    if p is HALF:
        return mul(HALF, Pow(own, MINUS_ONE))
    if isinstance(p, Num) and p.value == 2:
        return mul(p, e.base)
    if p is MINUS_ONE:
        return mul(MINUS_ONE, Pow(own if own is not e else e.base, Num(2) if own is not e else Num(-2)))
    lower = Num(p.value - 1, p.decimal) if isinstance(p, Num) else add(p, MINUS_ONE)
    return mul(p, Pow(e.base, lower))


def negation(condition: Expr) -> Expr:
    """1 − condition, as the opposite comparison where it is one."""
    opposite = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
    if isinstance(condition, Compare):
        return Compare(opposite[condition.fn], *condition.args)
    return Add((ONE, mul(MINUS_ONE, condition)))


def contributions(
    graph: Graph, node: Node, consumer: Node, upstream: Expr | None = None, turn: Mapping[str, Expr] | None = None
) -> Iterator[tuple[Occurrence, Expr]]:
    """What `consumer` sends back to `node`: each occurrence with its contracted product.

    `upstream` is what arrives at the consumer, in its letters (and any others, which ride along);
    by default the name of its adjoint."""
    if upstream is None:
        upstream = ONE if consumer.name == graph.loss else Entry(adjoint(consumer.name), consumer.axes)
    for o in map(_apart(consumer), occurrences(consumer, upstream, node.name, table=graph.table, turn=turn)):
        yield o, o.closed(contract(o.factors, o.opened, o.entry.idx, node.axes))


def arrives_entrywise(node: Node, user: str, terms: Iterable[Expr]) -> bool:
    """Does what `user` sends back come entry by entry, δ_h ⊙ o, and not through weights or as a mean? Such paths
    are written first: δ + Wᵀ δ_z, δ_x̂/s + δ_μ 𝟏ᵀ/N; all others as they were declared, Xᵀ δ before λ W. What
    comes to an inner tensor from the loss itself is h − y."""
    letters = set(node.indices)

    def is_entrywise(t: Expr) -> bool:
        whole = [x for x in walk(t) if isinstance(x, Entry) and x.free == letters]
        direct = not node.is_leaf and not named_adjoints(t)
        carried = any(direct or primal(x.tensor) == user for x in whole)
        return carried and not any(isinstance(x, Reduce) for x in walk(t))

    return bool(letters) and all(map(is_entrywise, terms))


def _apart(consumer: Node) -> Callable[[Occurrence], Occurrence]:
    """The consumer's own letters renamed, so that they differ from the variable's."""
    renamed = {i: Index("u" + i.name, i.dim) for i in consumer.indices}

    def move(o: Occurrence) -> Occurrence:
        entry = Entry(o.entry.tensor, (substitute(e, renamed) for e in o.entry.idx))
        opened = tuple(renamed.get(i, i) for i in o.opened)
        return Occurrence(entry, substitute(o.factors, renamed), opened, o.loops)

    return move


def local_slope(
    node: Node, consumer: Node, table: Mapping[str, Op] = OPS, turn: Mapping[str, Expr] | None = None
) -> tuple[Expr, Expr]:
    """∂consumer[u…]/∂node[i…] as an expression in both sets of letters: the consumer's entry and
    the slope, with one δ for every index that has to agree."""
    move = _apart(consumer)
    terms = []
    for o in map(move, occurrences(consumer, ONE, node.name, close=False, table=table, turn=turn)):
        inner = tuple(i for i in o.opened if not i.name.startswith("ui"))
        terms.append(o.closed(contract(o.factors, inner, o.entry.idx, node.axes)))
    renamed = {i: Index("u" + i.name, i.dim) for i in consumer.indices}
    return substitute(consumer.entry, renamed), add(*terms)


# ---- adjoints in a form, and the trace -------------------------------------------------------------


def named_adjoints(e: Expr) -> list[str]:
    """The tensors whose adjoints a form names."""
    return sorted(name for t in e.tensors if (name := primal(t)) is not None)


def inline(e: Expr, forms: dict[str, Expr], graph: Graph) -> Expr:
    """Put forms in the place of adjoints: entry `∂u[idx]` becomes the form at those indices."""

    def rule(x: Expr) -> Expr | None:
        if isinstance(x, Entry):
            name = primal(x.tensor)
            if name in forms:
                axes = graph[name].axes
                return substitute(forms[name], {a: i for a, i in zip(axes, x.idx) if isinstance(a, Index)})
            return x
        return None if x.tensors else x

    return rewrite(e, rule)


def chain_steps(
    graph: Graph, node: Node, left: Expr, parts: list[tuple[str, Occurrence]], terms: list[Expr]
) -> Iterator[Step]:
    """For every consumer: its definition, its slope, and what it sends back; then their sum."""
    for user in dict.fromkeys(u for u, _ in parts):
        consumer = graph[user]
        assert consumer.body is not None
        own = [t for (u, _), t in zip(parts, terms) if u == user]
        entry, slope = local_slope(node, consumer, graph.table)
        yield Step("definition", node.name, consumer.entry, (consumer.body,), via=user)
        yield Step("chain-rule", node.name, left, (), via=user, argument=entry)
        law = slope_law(consumer, graph.table)
        yield Step("local-slope", node.name, entry, (slope,), via=user, argument=node.entry, law=law)
        yield Step("contraction", node.name, left, (add(*own),), via=user)
    if len({u for u, _ in parts}) > 1:
        yield Step("fork", node.name, left, (add(*terms),))


def slope_law(consumer: Node, table: Mapping[str, Op]) -> Law | None:
    """The law of the table that the outermost function of a definition rests on."""
    body = consumer.body
    if isinstance(body, Call) and table[body.fn].law:
        return Law(body.fn, table[body.fn].law)
    if isinstance(body, Reduce) and body.op in SLOPE_LAWS:
        return Law(body.op, SLOPE_LAWS[body.op])
    return None
