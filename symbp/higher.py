"""Higher derivatives: Jacobians and Hessians by the same chain rule.

Backprop is one row of a Jacobian. So the walk of derive.py is started at any tensor `y` with the
seed δ(o = y's letters), where the letters `o` are new and ride along: what arrives at `x` is
∂y[o]/∂x[i], one expression in both sets of letters. For a Hessian the closed form of the gradient
becomes a node of its own (the rest of the network is what it mentions), and the Jacobian of that
node is taken.

    ∂p[k]/∂z[j] = p[k] (δ_kj − p[j])          ∂²L/∂w[i]∂w[j] = Σ_n X[n,i] s[n] (1 − s[n]) X[n,j]

An array with these entries is never built: the δs say where it is zero, and its product with a
vector is one more expression.

Invariants: `expr`, the sum of `terms`, and what the steps say are equal; their free letters are
`outputs` and `inputs`. A fact is used only on what is no longer differentiated: the gradient may
rest on facts about tensors that stay put while the second variable moves, on no others. A
variable that is an inner node is treated as an input of the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from symbp.arithmetic import length, powers, sum_over
from symbp.chain import Occurrence, chain_steps, contributions
from symbp.derive import derive
from symbp.errors import LimitError, RequestError, nearest
from symbp.expr import ZERO, Add, Delta, Entry, Expr, Index, Mul, Reduce, add, mul, neg, rebuild, substitute, total
from symbp.expr import replace as rewrite
from symbp.graph import Graph, Node, adjoint, axes_of
from symbp.index import affine, from_affine, within
from symbp.sandwich import Sandwich, sandwich
from symbp.simplify import Simplifier
from symbp.steps import Adjoint, Checked, Derivation, Law, Step
from symbp.structure import Structure, Term, structure_of

LONGEST = 400  # operations of an expression beyond which a derivative is not written out
WIDEST = 512  # terms into which a product may be multiplied out for its δs

USE_UP = Law("contraction")
TOGETHER = Law("collect", "under_one_sum")


@dataclass(frozen=True)
class Product:
    """The product with a direction: `expr` in the letters of `like`, whose shape the result has."""

    direction: Node
    like: Node
    expr: Expr


@dataclass(frozen=True)
class Derivative:
    """∂top/∂wrt, entry by entry: top's letters are `outputs`, those of wrt `inputs`.

    `graph` is the network as declared, `extended` the one that was differentiated (a Hessian has
    the gradient as one more node, which is then `top`, and inner variables as leaves). `parts` are
    the derivatives of `top` by every node on the way, in backward order. `right` is J v, `left`
    vᵀ J, where both sides have letters.
    """

    graph: Graph
    extended: Graph
    top: Node
    wrt: Node
    outputs: tuple[Index, ...]
    inputs: tuple[Index, ...]
    expr: Expr
    terms: tuple[Term, ...]
    structure: Structure
    parts: Mapping[str, Adjoint]
    right: Product | None = None
    left: Product | None = None
    gradient: Derivation | None = None  # of the loss by `first`, for a Hessian
    first: Node | None = None
    because: tuple[str, ...] = ()
    checked: Checked | None = None
    checked_gradient: Checked | None = None

    @property
    def sorted(self) -> Expr:
        """The same, sorted by δs."""
        return add(*(t.expr for t in self.terms))

    @property
    def axes(self) -> tuple[Expr, ...]:
        """The axes of the whole array, those of size 1 included."""
        letters = iter(self.outputs)
        return (*(next(letters) if isinstance(a, Index) else a for a in self.top.axes), *self.wrt.axes)


# ---- the two derivatives -----------------------------------------------------------------------


def jacobian(graph: Graph, node: str, wrt: str) -> Derivative:
    """∂node/∂wrt for any two tensors of the network; `wrt` is treated as an input.

    Raises RequestError for a name that the network does not have."""
    for name in (node, wrt):
        _known(graph, name)
    return _differentiated(graph, graph, graph[node], graph[wrt], ())


def hessian(graph: Graph, wrt: str, wrt2: str | None = None) -> Derivative:
    """∂²loss/∂wrt ∂wrt2: the gradient's closed form, differentiated once more.

    Raises RequestError for an unknown name, LimitError where the gradient has no closed form of
    reasonable length."""
    second = wrt if wrt2 is None else wrt2
    for name in (wrt, second):
        _known(graph, name)
    free = _as_inputs(graph, (wrt, second))
    gradient = derive(_without_moving_facts(free, second), [wrt], steps=False)
    found = gradient.adjoints[wrt]
    if found.closed is None:
        raise LimitError(f"The gradient for {wrt} has no closed form to differentiate: it is {found.why}.")
    name = _free_name(graph, "g", f"g_{wrt}", f"grad_{wrt}")
    node = Node(name, free[wrt].shape, free[wrt].axes, found.closed)
    extended = replace(free, nodes={**free.nodes, name: node})
    d = _differentiated(graph, extended, node, free[second], (wrt,))
    because = tuple(dict.fromkeys((*found.because, *d.because)))
    return replace(d, gradient=gradient, first=graph[wrt], because=because)


def _known(graph: Graph, name: str) -> None:
    if name not in graph.nodes:
        hint = nearest(name, graph.nodes) or f"There are: {', '.join([*graph.nodes][:12])}."
        raise RequestError(f"Nothing called '{name[:64]}' is declared. {hint}")


def _as_inputs(graph: Graph, names: Iterable[str]) -> Graph:
    """The network with these tensors as leaves, whatever they were computed from."""
    return replace(graph, nodes={**graph.nodes, **{n: replace(graph[n], body=None) for n in names}})


def _without_moving_facts(graph: Graph, variable: str) -> Graph:
    """Facts about tensors that stay put while the variable moves."""
    moving = downstream(graph, variable)
    return replace(graph, facts=tuple(f for f in graph.facts if f.tensor not in moving))


def downstream(graph: Graph, name: str) -> frozenset[str]:
    """The tensor and all that is computed from it."""
    below = {name}
    for node in graph.inner:
        if node.name != name and node.body is not None and not below.isdisjoint(node.body.tensors):
            below.add(node.name)
    return frozenset(below)


def _free_name(graph: Graph, *choices: str) -> str:
    """The first name that nothing in the network has."""
    taken = {*graph.nodes, *graph.constants, *graph.sizes}
    numbered = (f"{choices[0]}{n}" for n in range(len(taken) + 1))
    return next(c for c in (*choices, *numbered) if c not in taken)


# ---- the walk ----------------------------------------------------------------------------------


def _differentiated(graph: Graph, extended: Graph, top: Node, wrt: Node, others: tuple[str, ...]) -> Derivative:
    """The derivative with its structure and its products. `others` are further variables on which
    a constant must not depend."""
    simplifier = Simplifier(_as_inputs(graph, (*others, wrt.name)) if others else graph, adjoints={})
    outputs = tuple(Index(f"o{n}", i.dim) for n, i in enumerate(top.indices))
    inputs = wrt.indices
    parts, because = _walk(extended, top, wrt, outputs, simplifier)
    last = parts[wrt.name]
    unsolved = by_deltas(last.delta, outputs, inputs, simplifier)
    last = parts[wrt.name] = _with_solved(last, slope_entry(top.name, wrt, outputs), simplifier)
    terms = by_deltas(last.delta, outputs, inputs, simplifier)
    moving = frozenset().union(*(downstream(extended, n) for n in (wrt.name, *others)))
    structure = structure_of(terms, outputs, inputs, moving, lambda e: by_deltas(e, outputs, inputs, simplifier))
    expr = from_left_to_right(add(*(t.expr for t in terms)) if len(terms) < 2 else last.delta, outputs, inputs)
    expr = simplifier.worded(expr)
    between = _between_matrices(terms, outputs, inputs, simplifier)
    if between is not None:
        slope = slope_entry(top.name, wrt, outputs)
        step = Step("simplification", wrt.name, slope, (expr, between.expr), law=TOGETHER)
        parts[wrt.name] = replace(last, steps=(*last.steps, step))
        expr = between.expr
        structure = replace(structure, symmetric=structure.symmetric or between.symmetric)
    d = Derivative(graph, extended, top, wrt, outputs, inputs, expr, terms, structure, parts, because=because)
    right, left = (_product(d, unsolved, simplifier, side, between) for side in (True, False))
    return replace(d, right=right, left=left)


def _between_matrices(
    terms: tuple[Term, ...], outputs: tuple[Index, ...], inputs: tuple[Index, ...], simplifier: Simplifier
) -> Sandwich | None:
    """A derivative without δs as what stands between two matrices, if it is that."""
    if len(outputs) != 1 or len(inputs) != 1 or any(t.pairs for t in terms):
        return None
    return sandwich(
        add(*(t.rest for t in terms)), outputs[0], inputs[0], lambda e, o, i: by_deltas(e, o, i, simplifier)
    )


def _with_solved(part: Adjoint, left: Entry, simplifier: Simplifier) -> Adjoint:
    """The part with its last δs, those of shifted indices, used up too."""
    whole = solved(part.delta)
    if whole is part.delta:
        return part
    done = simplifier(whole).result
    step = Step("simplification", part.node.name, left, (part.delta, done), law=USE_UP)
    return replace(part, delta=done, steps=(*part.steps, step))


def _walk(
    graph: Graph, top: Node, wrt: Node, outputs: tuple[Index, ...], simplifier: Simplifier
) -> tuple[dict[str, Adjoint], tuple[str, ...]]:
    """From `top` back to `wrt`: the derivative of `top` by every node between them, and the facts
    that the simplification rests on."""
    seed = mul(*(Delta(o, i) for o, i in zip(outputs, top.indices)))
    parts = {top.name: Adjoint(top, seed, seed, None)}
    because: dict[str, None] = {}
    seeded = replace(graph, loss=top.name)
    consumers = graph.consumers()
    between = downstream(graph, wrt.name)
    for name in reversed(tuple(graph.nodes)):
        users = [u for u in consumers[name] if u in parts]
        if name != top.name and name in between and users and wrt.name not in parts:
            parts[name], facts = _part(seeded, graph[name], users, parts, outputs, simplifier)
            because.update(dict.fromkeys(facts))
    if wrt.name not in parts:
        parts[wrt.name] = Adjoint(wrt, ZERO, ZERO, None)
    return parts, tuple(because)


def _part(
    graph: Graph,
    node: Node,
    users: list[str],
    parts: Mapping[str, Adjoint],
    outputs: tuple[Index, ...],
    simplifier: Simplifier,
) -> tuple[Adjoint, list[str]]:
    """The derivative of the seed's tensor by one node: contributions, contraction, simplification."""
    found: list[tuple[str, Occurrence]] = []
    terms: list[Expr] = []
    for user in users:
        for o, term in contributions(graph, node, graph[user], parts[user].delta):
            found.append((user, o))
            terms.append(term)
    left = slope_entry(graph.loss, node, outputs)
    raw = add(*terms)
    contracted = use_up(raw)
    done = simplifier(contracted)
    if length(done.result) > LONGEST:
        raise LimitError(
            f"The derivative by {node.name} is longer than {LONGEST} operations. Ask for one by a tensor "
            "nearer to the end of the network; the chain rule puts the parts together."
        )
    steps = [*chain_steps(graph, node, left, found, terms)]
    if contracted is not raw:
        steps.append(Step("simplification", node.name, left, (raw, contracted), law=USE_UP))
    steps.extend(Step("simplification", node.name, left, (a, b), law=law) for law, a, b in done.stages)
    return Adjoint(node, raw, done.result, None, tuple(steps)), [f.text for f in done.facts]


def slope_entry(top: str, node: Node, outputs: tuple[Index, ...]) -> Entry:
    """The name under which ∂top/∂node stands in steps; no declared name can be equal to it."""
    return Entry(f"{adjoint(top)}/{adjoint(node.name)}", (*outputs, *node.indices))


def _product(
    d: Derivative, terms: Sequence[Term], simplifier: Simplifier, right: bool, between: Sandwich | None
) -> Product | None:
    """J v, or vᵀ J, for a direction that is like the variable, or like the tensor."""
    if not d.outputs or not d.inputs or not d.terms:
        return None
    like, other = (d.wrt, d.top) if right else (d.top, d.wrt)
    summed, kept = (d.inputs, d.outputs) if right else (d.outputs, d.inputs)
    base = ("v" if right else "u").upper() if len(summed) > 1 else "v" if right else "u"
    name = _free_name(d.extended, base, f"{base}_{like.name}")
    direction = Node(name, like.shape, like.axes)
    entry = substitute(direction.entry, dict(zip(like.indices, summed)))
    known = simplifier.graph
    simplifier = Simplifier(replace(known, nodes={name: direction, **known.nodes}), adjoints={})
    if between is not None:
        whole = _through(between, simplifier, entry, summed[0], right)
        return Product(direction, other, substitute(whole, dict(zip(kept, other.indices))))
    result = simplifier(add(*(solved(use_up(total(summed, mul(t.expr, entry)))) for t in terms))).result
    return Product(direction, other, inside_out(substitute(result, dict(zip(kept, other.indices)))))


def _through(between: Sandwich, simplifier: Simplifier, entry: Expr, letter: Index, right: bool) -> Expr:
    """Aᵀ (M (B v)), or Bᵀ (Mᵀ (A u)): the vector goes through one after the other."""
    k, l = between.letters
    first, last, into, out = (between.right, between.left, l, k) if right else (between.left, between.right, k, l)
    vector = Node(_free_name(simplifier.graph, "q"), (into.dim,), axes_of((into.dim,)))
    simplifier = Simplifier(
        replace(simplifier.graph, nodes={vector.name: vector, **simplifier.graph.nodes}), adjoints={}
    )
    inner = simplifier(between.between(lambda i: Entry(vector.name, (i,)), right)).result

    def put(x: Expr) -> Expr | None:
        if isinstance(x, Entry) and x.tensor == vector.name:
            return total((letter,), mul(substitute(first, {into: x.idx[0]}), entry))
        return None if vector.name in x.tensors else x

    return powers([*between.numbers, total((out,), mul(last, rewrite(inner, put)))])


# ---- the order of factors and sums -------------------------------------------------------------


def inside_out(e: Expr) -> Expr:
    """Sums of sums in the order in which they cost least: Σ_j (Σ_n a_in b_nj) v_j becomes
    Σ_n a_in Σ_j b_nj v_j, matrix times vector before matrix times matrix."""
    if isinstance(e, Reduce) and e.op == "sum":
        return _nested(*_flat(e))
    if isinstance(e, (Add, Mul)):
        return rebuild(e, map(inside_out, e.args))
    return e


def _flat(e: Reduce) -> tuple[list[Index], list[Expr]]:
    """All letters and all factors of sums inside of sums."""
    indices, body = e.open()
    letters, factors = list(indices), []
    for f in body.args if isinstance(body, Mul) else (body,):
        if isinstance(f, Reduce) and f.op == "sum":
            inner, parts = _flat(f)
            letters.extend(inner)
            factors.extend(parts)
        else:
            factors.append(inside_out(f))
    return letters, factors


def _nested(letters: list[Index], factors: list[Expr]) -> Expr:
    """The letter whose sum leaves the fewest others goes first, as long as matrices come out."""
    while len(letters) > 1:
        left = {k: frozenset[Index]().union(*(f.free for f in factors if k in f.free)) - {k} for k in letters}
        k = min(letters, key=lambda k: len(left[k]))
        if len(left[k]) > 2:
            break
        mine = [f for f in factors if k in f.free]
        place = factors.index(mine[-1])
        factors = [f for n, f in enumerate(factors) if f not in mine or n == place]
        factors[factors.index(mine[-1])] = total((k,), mul(*mine))
        letters = [x for x in letters if x is not k]
    return total(letters, mul(*factors))


def from_left_to_right(e: Expr, outputs: tuple[Index, ...], inputs: tuple[Index, ...]) -> Expr:
    """Factors with letters of the output before those with letters of the input: X[n,i] s[n] X[n,j]."""
    if isinstance(e, Add) or (isinstance(e, Reduce) and e.op == "sum"):
        return rebuild(e, (from_left_to_right(a, outputs, inputs) for a in e.args))
    if not isinstance(e, Mul):
        return e
    args = [from_left_to_right(a, outputs, inputs) for a in e.args]

    def side(f: Expr) -> int:
        return (not f.free.isdisjoint(inputs)) - (not f.free.isdisjoint(outputs))

    moved = iter(sorted((f for f in args if f.free), key=side))
    return mul(*(next(moved) if f.free else f for f in args))


# ---- δs ----------------------------------------------------------------------------------------


def use_up(e: Expr) -> Expr:
    """Every summed δ used up, also where it stands in a bracket: Σ_k a_k (δ_ik − b_k) is
    a_i − Σ_k a_k b_k. From the leaves up; ends because a sum disappears for every δ used."""
    if not any(isinstance(x, Delta) for x in _visible(e)):
        return e
    if isinstance(e, Reduce) and e.op == "sum":
        indices, body = e.open()
        terms = multiplied_out(use_up(body))
        plain = add(*(t for t in terms if not _has_delta(t)))
        done = [sum_over(indices, powers([t])) for t in terms if _has_delta(t)]
        return add(*done, *([sum_over(indices, plain)] if plain is not ZERO else ()))
    if isinstance(e, (Add, Mul)):
        args = [use_up(a) for a in e.args]
        return e if all(a is b for a, b in zip(args, e.args)) else rebuild(e, args)
    return e


def solved(e: Expr) -> Expr:
    """Summed δs of affine indices used up: Σ_l w_l δ(i, j − l) is w_(j−i) as long as that is there."""
    if isinstance(e, Reduce) and e.op == "sum" and any(isinstance(x, Delta) for x in _visible(e)):
        letters, factors = _flat(e)
        for f in factors:
            found = _solution(f, letters) if isinstance(f, Delta) else None
            if found is not None:
                letter, value = found
                rest = substitute(mul(*(x for x in factors if x is not f)), {letter: value})
                left = [x for x in letters if x is not letter]
                return solved(total(left, mul(rest, *within(value, letter.dim))))
        return e
    if isinstance(e, (Add, Mul)):
        args = [solved(a) for a in e.args]
        return e if all(a is b for a, b in zip(args, e.args)) else rebuild(e, args)
    return e


def _solution(delta: Delta, letters: Iterable[Index]) -> tuple[Index, Expr] | None:
    """A letter for which the equation of a δ can be solved, and its value."""
    parts = affine(add(delta.args[0], neg(delta.args[1])))
    for letter in letters if parts else ():
        assert parts is not None
        c = parts.get(letter)
        if c is not None and abs(c) == 1:
            value = {k: -v / c for k, v in parts.items() if k is not letter}
            return letter, from_affine(dict(sorted(value.items(), key=lambda item: item[1] < 0)))
    return None


def _visible(e: Expr) -> Iterator[Expr]:
    """Subexpressions that are reached through sums and products alone."""
    yield e
    if isinstance(e, (Add, Mul)) or (isinstance(e, Reduce) and e.op == "sum"):
        for a in e.args:
            yield from _visible(a)


def _has_delta(e: Expr) -> bool:
    return isinstance(e, Delta) or (isinstance(e, (Add, Mul)) and any(map(_has_delta, e.args)))


def multiplied_out(e: Expr) -> list[Expr]:
    """The terms of `e`, with products multiplied out over brackets that hold a δ, and no others."""
    if isinstance(e, Add):
        return [t for a in e.args for t in multiplied_out(a)]
    if not isinstance(e, Mul) or not _has_delta(e):
        return [e]
    rows: list[list[Expr]] = [[]]
    for f in e.args:
        terms = multiplied_out(f) if _has_delta(f) else [f]
        rows = [[*row, t] for row in rows for t in terms]
        if len(rows) > WIDEST:
            raise LimitError(f"This derivative has more than {WIDEST} terms.")
    return [mul(*row) for row in rows]


def by_deltas(
    e: Expr, outputs: tuple[Index, ...], inputs: tuple[Index, ...], simplifier: Simplifier
) -> tuple[Term, ...]:
    """The terms of `e` by the δs between letters of both sides; behind a δ its two letters are
    one, and the output's is written. Terms with more δs stand first."""
    groups: dict[frozenset[tuple[Index, Index]], list[Expr]] = {}
    for t in multiplied_out(e):
        pairs, rest = _paired(t, outputs, inputs)
        groups.setdefault(pairs, []).append(rest)
    found = []
    for pairs, rests in groups.items():
        rest = simplifier(add(*rests)).result
        if rest is not ZERO:
            ordered = sorted(pairs, key=lambda p: (outputs.index(p[0]), inputs.index(p[1])))
            found.append(Term(tuple(ordered), from_left_to_right(rest, outputs, inputs)))
    return tuple(sorted(found, key=lambda t: -len(t.pairs)))


def _paired(
    t: Expr, outputs: tuple[Index, ...], inputs: tuple[Index, ...]
) -> tuple[frozenset[tuple[Index, Index]], Expr]:
    """The δs between letters of both sides, and what is left of the term."""
    pairs: set[tuple[Index, Index]] = set()
    rest: list[Expr] = []
    for f in t.args if isinstance(t, Mul) else (t,):
        pair = _between(f, outputs, inputs)
        if pair is None:
            rest.append(f)
        else:
            pairs.add(pair)
    same: dict[Index, Expr] = {}
    for o, i in sorted(pairs, key=lambda p: outputs.index(p[0])):
        same.setdefault(i, o)
    return frozenset(pairs), substitute(mul(*rest), same)


def _between(f: Expr, outputs: tuple[Index, ...], inputs: tuple[Index, ...]) -> tuple[Index, Index] | None:
    """δ(o, i) for a letter of each side, of one size."""
    if isinstance(f, Delta):
        for o, i in (f.args, f.args[::-1]):
            if isinstance(o, Index) and isinstance(i, Index) and o in outputs and i in inputs and o.dim is i.dim:
                return o, i
    return None
