"""Points to test at: small sizes that tell axes apart, and random values that respect the facts.

`choose_sizes` gives every size name a small number of its own, so that a wrong transpose cannot
have the right shape; relations between sizes (H = 2·P, n − k + 1) hold, every axis is at least 1
and every entry named by a number exists. `draw` fills the leaves, pushes them onto the facts
(one-hot rows, symmetric matrices, ranges) and draws again until the loss is finite, the regions
hold and every kink is at least `MARGIN` away (nearer where there are very many, and the point's
note says so). What cannot be drawn is returned with a reason: the check is then undecided, never
failed.

A kink counts only where it matters: the leaves are perturbed along a random direction (a complex
step), and a `relu` of a padded zero, which does not move, is no kink. Exact ties keep the
convention of the slopes and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice

import numpy as np

from symbp.errors import NoRule, SymbpError
from symbp.evaluate import Array, Evaluation, Function, exact, run, size_value
from symbp.expr import Call, Compare, Entry, Expr, Index, Num, Reduce, Size, add, neg, walk
from symbp.graph import Fact, Graph, Node

ATTEMPTS = 100
PLAIN = 8  # of them with nothing but normal values and what the facts say
MARGIN = 1e-2  # distance from every kink
CLOSE = 1e-4  # after half of the attempts; enough for the complex step
EXPECTED = 5  # kinks within the margin, of very many, beyond which drawing again would not help
HUGE = 1e9  # a loss that has exploded
SINGULAR = 1e4  # condition of matrices that are inverted
STEP = 1e-30
SEARCH = 4000  # assignments of sizes that are looked at
_FIRST = (2, 3, 5, 7, 4, 6)


# ---- sizes -------------------------------------------------------------------------------------------


def choose_sizes(graph: Graph, variant: int = 0, *, equal: bool = False) -> dict[str, int] | None:
    """A number for every size name: all different (`variant` permutes them), or all equal as far
    as the relations allow. None where no assignment was found."""
    needs = _requirements(graph)
    names = dict.fromkeys(graph.sizes)
    for name, e in graph.relations.items():
        names.update(dict.fromkeys([name, *_names(e)]))
    loose = [n for n in names if n not in graph.relations]
    if equal:
        options = (dict.fromkeys(loose, k) for k in (3, 4, 2, 6, 5, 8, 12))
        return next((s for o in options if (s := _complete(graph, o, needs)) is not None), None)
    best: tuple[int, int, dict[str, int]] | None = None
    for chosen in islice(_assignments(loose, graph, needs, variant), SEARCH):
        sizes = _complete(graph, chosen, needs)
        if sizes is None:
            continue
        dims = [exact(d, sizes) for d in needs]
        clashes = len(dims) - len(set(dims))
        cost = (clashes, sum(sizes.values()))
        if best is None or cost < best[:2]:
            best = (*cost, sizes)
        if not clashes:
            break
    return None if best is None else best[2]


def _names(e: Expr) -> list[str]:
    return [x.name for x in walk(e) if isinstance(x, Size)]


def _requirements(graph: Graph) -> dict[Expr, int]:
    """Every axis of the network with the least length that it must have."""
    needs: dict[Expr, int] = {}
    for node in graph.nodes.values():
        for d in node.shape:
            needs.setdefault(d, 1)
    for x in graph.parts:
        if isinstance(x, Index):
            needs.setdefault(x.dim, 1)
        elif isinstance(x, Reduce):
            for letter in x.bound:
                needs.setdefault(letter.dim, 1)
        elif isinstance(x, Entry) and x.tensor in graph.nodes:
            for i, d in zip(x.idx, graph[x.tensor].shape, strict=True):
                if isinstance(i, Num):
                    needs[d] = max(needs.get(d, 1), int(i.value) + 1)
    for e in graph.relations.values():
        needs.setdefault(e, 1)
    return needs


def _complete(graph: Graph, chosen: Mapping[str, int], needs: Mapping[Expr, int]) -> dict[str, int] | None:
    """The chosen sizes and those that follow, or None if an axis does not come out right."""
    sizes = dict(chosen)
    try:
        for name, e in graph.relations.items():
            sizes[name] = size_value(e, sizes)
        if any(size_value(d, sizes) < least for d, least in needs.items()):
            return None
    except SymbpError:
        return None
    return sizes


def _assignments(names: list[str], graph: Graph, needs: Mapping[Expr, int], variant: int) -> Iterator[dict[str, int]]:
    """Different small numbers for the names, nearest to the usual order first; axes that depend
    on the names so far only are checked at once."""
    first = [*_FIRST, *islice(count(8), max(len(names) - 2, 2))]
    used, rest = first[: len(names)], first[len(names) :]
    pool = used[-(variant % max(len(used), 1)) :] + used[: -(variant % max(len(used), 1))] if variant else used
    pool = [rest[0], *used, *rest[1:]] if variant % 2 and len(used) == 1 else pool + rest
    known = {d: set(_names(d)) for d in needs if not _names(d) or not set(_names(d)) & set(graph.relations)}
    budget = [SEARCH]

    def extend(chosen: dict[str, int]) -> Iterator[dict[str, int]]:
        if len(chosen) == len(names):
            yield dict(chosen)
            return
        name = names[len(chosen)]
        for value in pool:
            if value in chosen.values() or budget[0] < 0:
                continue
            budget[0] -= 1
            chosen[name] = value
            if all(
                _long_enough(d, chosen, needs[d]) for d, over in known.items() if name in over and over <= chosen.keys()
            ):
                yield from extend(chosen)
            del chosen[name]

    return extend({})


def _long_enough(dim: Expr, sizes: Mapping[str, int], least: int) -> bool:
    value = exact(dim, sizes)
    return value.denominator == 1 and value >= least


# ---- values ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One assignment of numbers: `leaves`, and `values` of all nodes. A `reason` says why there is
    none; a `note` what had to be given up to find it."""

    sizes: Mapping[str, int]
    leaves: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    reason: str = ""
    note: str = ""


def draw(
    graph: Graph,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    functions: Mapping[str, Function] | None = None,
    largest: float = HUGE,
) -> Point:
    """Random values for the leaves that respect the facts and stay away from kinks, at which the loss is at most
    `largest`."""
    kinks = _kinks(graph)
    wide, reason = MARGIN, ""
    for attempt in range(ATTEMPTS):
        margin = wide if attempt < ATTEMPTS // 2 else min(wide, CLOSE)
        with np.errstate(all="ignore"):
            leaves = _leaves(graph, sizes, rng, attempt)
            try:
                state = run(graph, leaves, sizes, functions)
            except NoRule as why:
                return Point(sizes, reason=str(why))
            reason = _objection(graph, state, kinks, largest)
            if not reason and (kinks.arguments or kinks.maxima):
                moved = {k: v + 1j * STEP * rng.standard_normal(v.shape) for k, v in leaves.items()}
                perturbed = run(graph, moved, sizes, functions)
                if attempt == 0:
                    wide = margin = min(MARGIN, EXPECTED / max(1, _number_of_kinks(perturbed, kinks)))
                reason = _too_close(perturbed, kinks, margin)
        if not reason:
            values = {k: np.array(v) for k, v in state.values.items()}
            note = "" if margin == MARGIN else f"kinks are only {margin:.0e} away"
            return Point(sizes, leaves, values, note=note)
    return Point(sizes, reason=f"no point found in {ATTEMPTS} draws: {reason}")


def _leaves(graph: Graph, sizes: Mapping[str, int], rng: np.random.Generator, attempt: int) -> dict[str, Array]:
    leaves = {n.name: _base(n, sizes, rng, attempt) for n in graph.leaves}
    for node in graph.leaves:
        facts = graph.facts_of(node.name)
        if not facts:
            continue
        known = Evaluation.of(graph, leaves, sizes)
        low = [_bound(f.low, node, known) for f in facts if f.kind == "range" and f.low is not None]
        high = [_bound(f.high, node, known) for f in facts if f.kind == "range" and f.high is not None]
        value = _into_range(leaves[node.name], low, high, rng)
        for fact in sorted(facts, key=lambda f: _ORDER.get(f.kind, 0)):
            number = 1.0 if fact.low is None or fact.kind == "range" else float(known(fact.low))
            value = _respect(fact, value, number, rng, mixed=attempt < PLAIN)
        leaves[node.name] = value
    return leaves


def _base(node: Node, sizes: Mapping[str, int], rng: np.random.Generator, attempt: int) -> Array:
    """Normal values away from 0, matrices scaled so that their products keep their size. Later
    attempts try smaller matrices, for deep networks, and positive numbers and probabilities, for
    logarithms and roots without a fact."""
    shape = tuple(size_value(d, sizes) for d in node.shape)
    value = np.asarray(rng.standard_normal(shape))
    value = value + 0.1 * np.sign(value)
    if len(shape) > 1:
        gain = 1.2 if attempt < PLAIN else rng.uniform(0.3, 1.2)
        value = value * (gain / np.sqrt(np.mean(shape[-2:])))
    style = attempt % 4 if attempt >= PLAIN else 0
    if style == 2:
        return np.abs(value)
    return rng.uniform(0.15, 0.85, shape) if style == 3 else value


def _bound(e: Expr, node: Node, known: Evaluation) -> Array:
    return known.tensor(node, e) if e.free else known(e)


def _into_range(value: Array, low: list[Array], high: list[Array], rng: np.random.Generator) -> Array:
    bottom = np.max(np.broadcast_arrays(*low), axis=0) if low else np.asarray(-np.inf)
    top = np.min(np.broadcast_arrays(*high), axis=0) if high else np.asarray(np.inf)
    if low and high:
        return np.asarray(bottom + (top - bottom) * rng.uniform(0.1, 0.9, value.shape))
    if low:
        return np.asarray(bottom + 0.2 + np.abs(value))
    return np.asarray(top - 0.2 - np.abs(value)) if high else value


_ORDER = {"symmetric": 1, "posdef": 2, "diag": 3, "simplex": 4, "norm": 5}


def _respect(fact: Fact, a: Array, number: float, rng: np.random.Generator, mixed: bool) -> Array:
    """Push values onto a fact; with `mixed`, both of two values occur. Ranges and regions are seen
    to elsewhere."""
    axis = fact.axis if fact.axis is not None else -1
    match fact.kind:
        case "onehot":
            return np.asarray((a == a.max(axis=axis, keepdims=True)).astype(float))
        case "permutation":
            return np.eye(len(a))[rng.permutation(len(a))]
        case "simplex":
            a = a if np.all(a >= 0) else np.exp(a)
            return np.asarray(a / a.sum(axis=fact.axis, keepdims=True) * number)
        case "binary":
            return _two_kinds(a, 1.0, 0.0, mixed)
        case "pm1":
            return _two_kinds(a, 1.0, -1.0, mixed)
        case "symmetric":
            return np.asarray((a + np.swapaxes(a, -1, -2)) / 2)
        case "posdef":
            return np.asarray(a @ np.swapaxes(a, -1, -2) + 0.5 * np.eye(a.shape[-1]))
        case "orthogonal":
            tall = a.shape[-2] >= a.shape[-1]
            q = np.linalg.qr(a if tall else np.swapaxes(a, -1, -2))[0]
            return np.asarray(q if tall else np.swapaxes(q, -1, -2))
        case "norm":
            return np.asarray(a / np.sqrt((a**2).sum(axis=fact.axis, keepdims=True)) * number)
        case "diag":
            unit = np.eye(a.shape[-1])
            return np.asarray(a * (1 - unit) + number * unit)
    return a


def _two_kinds(a: Array, yes: float, no: float, mixed: bool) -> Array:
    result = np.where(a > 0, yes, no)
    if mixed and a.size > 1:
        result.flat[0], result.flat[-1] = yes, no
    return np.asarray(result)


# ---- what a point must satisfy -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Kinks:
    """Expressions that must stay away from 0, with a word for each; reductions without ties; and
    matrices that must not be singular."""

    arguments: tuple[tuple[Expr, str], ...]
    maxima: tuple[Reduce, ...]
    matrices: tuple[Reduce, ...]


def _kinks(graph: Graph) -> _Kinks:
    arguments: dict[Expr, str] = {}
    maxima: dict[Reduce, None] = {}
    matrices: dict[Reduce, None] = {}
    for node in graph.inner:
        assert node.body is not None
        for x in walk(node.body):
            if not x.tensors:
                continue
            if isinstance(x, Call) and x.fn in graph.table:
                for k in graph.table[x.fn].kinks(*x.args):
                    arguments.setdefault(k, f"{x.fn} in {node.name}")
            elif isinstance(x, Compare):
                arguments.setdefault(add(x.args[0], neg(x.args[1])), f"a comparison in {node.name}")
            elif isinstance(x, Reduce) and x.op in ("max", "min"):
                maxima.setdefault(x)
            elif isinstance(x, Reduce) and x.op in ("inv", "det", "logdet"):
                matrices.setdefault(x)
    return _Kinks(tuple(arguments.items()), tuple(maxima), tuple(matrices))


def _objection(graph: Graph, state: Evaluation, kinks: _Kinks, largest: float) -> str:
    """Why the values will not do, or an empty text."""
    loss = state.values[graph.loss]
    if not np.isfinite(loss).all():
        return "the loss is not finite"
    if np.abs(loss).max(initial=0.0) > largest:
        return f"the loss is larger than {largest:g}"
    for name, value in state.values.items():
        if np.isnan(value).any():
            return f"{name} is not a number"
    for fact in graph.facts:
        if fact.condition is not None and not np.all(state.named(fact.condition).array != 0):
            return f"'{fact.text or 'the region'}' does not hold"
    for reduction in kinks.matrices:
        matrix = state.reduced(reduction)[0]
        rows = size_value(reduction.bound[0].dim, state.sizes)
        if not (np.linalg.cond(matrix.reshape(*matrix.shape[:-1], rows, -1)) < SINGULAR).all():
            return f"a matrix under {reduction.op} is nearly singular"
    return ""


def _number_of_kinks(state: Evaluation, kinks: _Kinks) -> int:
    return sum(state.named(e).array.size for e, _ in kinks.arguments)


def _too_close(state: Evaluation, kinks: _Kinks, margin: float) -> str:
    """The kink that the perturbed values are too close to, or an empty text."""
    for e, where in kinks.arguments:
        value = state.named(e).array
        near = (np.abs(value.real) < margin) & (value.real != 0) & (value.imag != 0)
        if near.any():
            return f"{where} stays too close to its kink"
    for reduction in kinks.maxima:
        if _nearly_tied(state.reduced(reduction)[0], reduction.op, margin):
            return f"two entries under a {reduction.op} stay too close to each other"
    return ""


def _nearly_tied(x: Array, op: str, margin: float) -> bool:
    real = x.real if op == "max" else -x.real
    top = real.max(axis=-1, keepdims=True)
    tied = top - real <= 1e-12 * np.maximum(np.abs(top), 1.0)
    second = np.where(tied, -np.inf, real).max(axis=-1, keepdims=True)
    return bool(((top - second < margin) & (x.imag != 0).any(axis=-1, keepdims=True)).any())
