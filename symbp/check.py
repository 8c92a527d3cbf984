"""Derived gradients against numerical ones, and every printed line against the others.

The numbers come from the loss alone: node by node the graph is evaluated with small perturbations
added to leaves *and* inner nodes, all directions stacked on one axis, so that one forward pass
gives every entry of every gradient. The perturbations are imaginary (the complex step: no
cancellation, errors of 1e-15) unless some function of the network is not analytic; then central
differences at h and h/2, extrapolated.

What is compared: per tensor the norm-wise error ‖a − b‖ / (‖a‖ + ‖b‖) and each entry, for the
chain rule's raw sum, the δ form and the closed form, at three seeded points with sizes all
different and at one with equal sizes, where shapes cannot decide. Leaves are perturbed freely: a
one-hot or symmetric leaf is differentiated as if free, and facts hold at the points only.

`checked.points == 0` means undecided: no point could be drawn, and the note says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from symbp.errors import RequestError, SymbpError
from symbp.evaluate import Array, Evaluation, Function, run, size_value
from symbp.expr import ONE, Call, Entry, Index, text, walk
from symbp.graph import Graph, adjoint
from symbp.ops import OPS
from symbp.sample import STEP, Point, choose_sizes, draw
from symbp.steps import Adjoint, Checked, Derivation, Step

POINTS = 3  # with all sizes different; one more has them equal
DIRECTIONS = 3
SAMPLED = 32  # entries of a tensor that is too large for all of them
LARGE = 1500  # entries of a tensor beyond which they are sampled
STACKED = 1_000_000  # numbers of one tensor of the whole network that a pass may hold at once
EXACT, DIFFERENCES = 1e-11, 1e-7  # tolerances
NOISE = 2e-15  # rounding, in units of the largest gradient of the network
LINES = 1e-9  # two lines of a step
NO_SIZES = "no small sizes fit the relations"


class Mismatch(SymbpError):
    """A line of a derivation is not equal to the one before it: a bug of symbp, or a wrong claim.

    Names the step, the entry and both numbers."""

    def __init__(self, step: Step, line: int, entry: tuple[int, ...], found: float, expected: float) -> None:
        self.step, self.line, self.entry, self.found, self.expected = step, line, entry, found, expected
        shown = text(step.lines[line])[:200] if line < len(step.lines) else "the sum of all paths"
        super().__init__(
            f"The step '{step.rule}' about {step.about} does not hold: {shown} is {found:.12g} "
            f"at {list(entry)}, where {expected:.12g} was expected."
        )


# ---- numerical gradients -------------------------------------------------------------------------------


def numerical_gradients(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    wrt: Iterable[str],
    functions: Mapping[str, Function] | None = None,
) -> dict[str, Array]:
    """∂loss/∂node for leaves and inner nodes, every entry. An inner node is treated as an input:
    its value is perturbed, and what comes after is computed again."""
    shapes = {name: _shape(graph, name, sizes) for name in wrt}
    unit = {name: np.eye(prod(s)).reshape(prod(s), *s) for name, s in shapes.items()}
    slopes = numerical_slopes(graph, leaves, sizes, unit, functions)
    return {name: slopes[name].reshape(shapes[name]) for name in shapes}


def numerical_slopes(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    directions: Mapping[str, Array],
    functions: Mapping[str, Function] | None = None,
) -> dict[str, Array]:
    """The slope of the loss along each of the directions of each node, one after the other on
    the first axis of `directions[node]`."""
    whole = sum(prod(size_value(d, sizes) for d in n.shape) for n in graph.nodes.values())
    rows = max(1, STACKED // max(1, whole))
    probe = _complex_step if is_analytic(graph) else _differences
    slopes: dict[str, list[Array]] = {name: [] for name in directions}
    for part in _chunks(directions, rows):
        found = probe(graph, leaves, sizes, part, functions)
        start = 0
        for name, d in part.items():
            slopes[name].append(found[start : start + len(d)])
            start += len(d)
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in slopes.items()}


def is_analytic(graph: Graph) -> bool:
    """Whether the complex step may pass through every function of the network."""
    return all(
        x.fn not in OPS or OPS[x.fn].analytic
        for node in graph.inner
        for x in walk(node.body or ONE)
        if isinstance(x, Call)
    )


def _shape(graph: Graph, name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    if name not in graph.nodes:
        raise RequestError(f"'{name}' is not a node of the network.")
    return tuple(size_value(d, sizes) for d in graph[name].shape)


def _chunks(directions: Mapping[str, Array], rows: int) -> Iterator[dict[str, Array]]:
    """The directions in parts of at most so many rows."""
    part: dict[str, Array] = {}
    room = rows
    for name, d in directions.items():
        start = 0
        while start < len(d):
            taken = d[start : start + room]
            part[name] = taken
            start += len(taken)
            room -= len(taken)
            if room == 0:
                yield part
                part, room = {}, rows
    if part:
        yield part


def _complex_step(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    part: Mapping[str, Array],
    functions: Mapping[str, Function] | None,
) -> Array:
    rows = sum(len(d) for d in part.values())
    nudges: dict[str, Array] = {}
    start = 0
    for name, d in part.items():
        nudge = np.zeros((rows, *d.shape[1:]), complex)
        nudge.imag[start : start + len(d)] = STEP * d
        nudges[name] = nudge
        start += len(d)
    loss = run(graph, leaves, sizes, functions, nudges).values[graph.loss]
    return np.broadcast_to(np.asarray(loss.imag / STEP).reshape(-1), (rows,))


def _differences(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    part: Mapping[str, Array],
    functions: Mapping[str, Function] | None,
) -> Array:
    """Central differences at h and h/2, and Richardson's extrapolation of the two."""
    rows = sum(len(d) for d in part.values())
    values = run(graph, leaves, sizes, functions).values
    steps = np.concatenate([_step_lengths(d, values[name]) for name, d in part.items()])
    nudges: dict[str, Array] = {}
    start = 0
    for name, d in part.items():
        nudge = np.zeros((rows, *d.shape[1:]))
        own = slice(start, start + len(d))
        nudge[own] = d * steps[own].reshape(-1, *(1,) * (d.ndim - 1))
        nudges[name] = np.concatenate([nudge, -nudge, nudge / 2, -nudge / 2])
        start += len(d)
    loss = run(graph, leaves, sizes, functions, nudges).values[graph.loss]
    up, down, half_up, half_down = np.broadcast_to(loss.reshape(-1), (4 * rows,)).reshape(4, rows)
    wide, narrow = (up - down) / (2 * steps), (half_up - half_down) / steps
    return np.asarray((4 * narrow - wide) / 3)


def _step_lengths(directions: Array, value: Array) -> Array:
    """1e-5 · max(1, |x|), relative to the direction's largest entry."""
    flat = np.abs(directions.reshape(len(directions), -1))
    size = np.abs(value).reshape(1, -1)
    reach = np.where(flat > 0, size, 0.0).max(axis=1, initial=1.0)
    return np.asarray(1e-5 * reach / np.maximum(flat.max(axis=1, initial=0.0), 1e-300))


# ---- a derivation against them -------------------------------------------------------------------------


@dataclass
class _Findings:
    """What all points together say about one tensor."""

    error: float = 0.0
    ok: bool = True
    points: int = 0
    entries: int = 0
    zero: bool = True
    notes: dict[str, None] = field(default_factory=dict)


def check(
    derivation: Derivation,
    level: str = "full",
    seed: int = 0,
    functions: Mapping[str, Function] | None = None,
) -> dict[str, Checked]:
    """Compare every adjoint of a derivation with the numbers.

    "full" looks at every entry, "quick" at three random directions per tensor.
    """
    if level not in ("full", "quick"):
        raise RequestError(f"The level of a check is full or quick, not {level}.")
    graph = derivation.graph
    findings = {name: _Findings() for name in derivation.adjoints}
    points, reasons = _points(graph, seed, functions)
    for n, point in enumerate(points):
        _check_at(derivation, point, level, np.random.default_rng([seed, n, 1]), functions, findings)
    method = "complex step" if is_analytic(graph) else "central differences"
    return {name: _verdict(name, found, method, reasons) for name, found in findings.items()}


def _points(
    graph: Graph, seed: int, functions: Mapping[str, Function] | None, wanted: int = POINTS
) -> tuple[list[Point], list[str]]:
    """Points with all sizes different, in several orders (a wide matrix times its transpose is
    singular, a tall one is not), and one with all sizes equal; and why there are not more."""
    points: list[Point] = []
    reasons: dict[str, None] = {}

    def take(sizes: dict[str, int] | None, n: int) -> None:
        point = (
            Point({}, reason=NO_SIZES)
            if sizes is None
            else draw(graph, sizes, np.random.default_rng([seed, n]), functions)
        )
        if point.reason:
            reasons.setdefault(point.reason)
        else:
            points.append(point)

    for n in range(wanted + 3):
        if len(points) < wanted:
            take(choose_sizes(graph, n), n)
    if wanted > 1 and graph.sizes:
        take(choose_sizes(graph, equal=True), wanted + 3)
    return points, list(reasons)


def _check_at(
    derivation: Derivation,
    point: Point,
    level: str,
    rng: np.random.Generator,
    functions: Mapping[str, Function] | None,
    findings: Mapping[str, _Findings],
) -> None:
    graph = derivation.graph
    directions = {name: _directions(point.values[name].shape, level, rng) for name in derivation.adjoints}
    reference = numerical_slopes(graph, point.leaves, point.sizes, directions, functions)
    noise = NOISE * max((float(np.abs(r).max(initial=0.0)) for r in reference.values()), default=0.0)
    tolerance = EXACT if is_analytic(graph) else DIFFERENCES
    state = Evaluation(point.values, point.sizes, graph.constants, functions)
    for name, forms in _forms(derivation, state):
        found, true, d = findings[name], reference[name], directions[name]
        found.points += 1
        found.entries = max(found.entries, len(true))
        found.zero = found.zero and float(np.abs(true).max(initial=0.0)) <= noise
        notes = [point.note]
        if level == "full" and _is_sampled(d, level):
            notes.append(f"{SAMPLED} of {point.values[name].size} entries and {DIRECTIONS} directions were sampled")
        found.notes.update(dict.fromkeys(filter(None, notes)))
        for form, value in forms.items():
            derived = d.reshape(len(d), -1) @ value.reshape(-1) if _is_sampled(d, level) else value.reshape(-1)
            error, ok = compare(derived, true, tolerance, noise)
            found.error = max(found.error, error)
            if not ok:
                found.ok = False
                found.notes.setdefault(f"the {form} form disagrees by {error:.1e}")


def _directions(shape: tuple[int, ...], level: str, rng: np.random.Generator) -> Array:
    """Unit vectors for every entry, or random directions, or, for a large tensor, some of both."""
    n = prod(shape)
    if level == "full" and n <= LARGE:
        return np.eye(n).reshape(n, *shape)
    random = rng.standard_normal((DIRECTIONS, *shape))
    if level == "quick":
        return random
    chosen = np.zeros((SAMPLED, n))
    chosen[np.arange(SAMPLED), rng.choice(n, SAMPLED, replace=False)] = 1.0
    return np.concatenate([random, chosen.reshape(SAMPLED, *shape)])


def _is_sampled(directions: Array, level: str) -> bool:
    return level == "quick" or len(directions) != prod(directions.shape[1:])


def _forms(derivation: Derivation, state: Evaluation) -> Iterator[tuple[str, dict[str, Array]]]:
    """The values of every form of every adjoint, in backward order; δ forms become the values
    of the adjoints that later forms name."""
    state.values.setdefault(adjoint(derivation.graph.loss), np.asarray(1.0))
    for name, a in derivation.adjoints.items():
        forms = {"delta": state.tensor(a.node, a.delta)}
        if a.raw is not a.delta:
            forms["raw"] = state.tensor(a.node, a.raw)
        if a.closed is not None and a.closed is not a.delta:
            forms["closed"] = state.tensor(a.node, a.closed)
        state.values[adjoint(name)] = forms["delta"]
        yield name, forms


def compare(derived: Array, true: Array, tolerance: float, noise: float = 0.0) -> tuple[float, bool]:
    """The norm-wise relative error, and whether it and every entry are within the tolerance.

    `noise` is what rounding alone does to one entry, because other gradients of the network are
    much larger: it is allowed for."""
    if not (np.isfinite(derived).all() and np.isfinite(true).all()):
        return float("inf"), False
    difference, size = np.abs(derived - true), np.maximum(np.abs(derived), np.abs(true))
    largest = float(size.max(initial=0.0))
    if largest <= noise:
        return 0.0, True
    rounding = noise * np.sqrt(derived.size) / tolerance
    norms = np.linalg.norm(derived) + np.linalg.norm(true) + rounding
    error = float(np.linalg.norm(derived - true) / norms)
    each = bool((difference <= 10 * tolerance * np.maximum(size, 1e-3 * largest) + noise).all())
    return error, error <= tolerance and each


def _verdict(name: str, found: _Findings, method: str, reasons: list[str]) -> Checked:
    if not found.points:
        why = "; ".join(reasons) or "there was no point to check at"
        return Checked(name, float("nan"), False, 0, method, 0, f"undecided: {why}")
    notes = list(found.notes)
    if found.zero and found.ok:
        notes.append("zero at every point")
    return Checked(name, found.error, found.ok, found.points, method, found.entries, "; ".join(notes))


# ---- every line of every step --------------------------------------------------------------------------


def check_steps(derivation: Derivation, seed: int = 0, functions: Mapping[str, Function] | None = None) -> str:
    """Evaluate every line of every step at one point; raise Mismatch at the first that is not
    equal to the others. Returns an empty text, or why there was no point to check at."""
    graph = derivation.graph
    points, reasons = _points(graph, seed, functions, wanted=1)
    if not points:
        return "; ".join(reasons)
    state = Evaluation(points[0].values, points[0].sizes, graph.constants, functions)
    for _ in _forms(derivation, state):
        pass
    for a in derivation.adjoints.values():
        _check_adjoint(a, graph, state)
    return ""


def _check_adjoint(a: Adjoint, graph: Graph, state: Evaluation) -> None:
    """Lines agree within a step, a slope with the numbers, and all paths together with the
    adjoint."""
    paths: list[Array] = []
    last: Step | None = None
    for step in a.steps:
        _check_lines(step, state)
        if step.rule == "local-slope":
            _check_slope(step, graph, state)
        elif step.rule == "contraction" and step.lines:
            paths.append(state.tensor(a.node, step.lines[-1]))
            last = step
    if last is not None:
        _same_values(last, len(last.lines), sum(paths[1:], paths[0]), state.values[adjoint(a.node.name)])


def _check_slope(step: Step, graph: Graph, state: Evaluation) -> None:
    """∂(entry of the consumer)/∂(entry of the variable), as the consumer's definition has it."""
    top, bottom = step.left, step.argument
    if not (isinstance(top, Entry) and isinstance(bottom, Entry)):
        return
    consumer, value = graph[top.tensor], state.values[bottom.tensor]
    if consumer.body is None or not is_analytic(graph):
        return
    unit = STEP * np.eye(value.size).reshape(value.size, *value.shape)
    moved = Evaluation(
        {**state.values, bottom.tensor: value + 1j * unit}, state.sizes, state.constants, state.functions
    )
    slopes = moved.tensor(consumer, consumer.body).imag / STEP
    ups = [n for n, i in enumerate(top.idx) if isinstance(i, Index)]
    downs = [n for n, i in enumerate(bottom.idx) if isinstance(i, Index)]
    letters = [i for i in (*top.idx, *bottom.idx) if isinstance(i, Index)]
    shape = [slopes.shape[1 + n] for n in ups] + [value.shape[n] for n in downs]
    expected = np.moveaxis(slopes, 0, -1).reshape(shape)
    for n, e in enumerate(step.lines):
        _same_values(step, n, state(e, letters), expected)


def check_step(
    step: Step,
    graph: Graph,
    values: Mapping[str, Array],
    sizes: Mapping[str, int],
    functions: Mapping[str, Function] | None = None,
) -> None:
    """Raise Mismatch unless all lines of the step are equal at these values."""
    _check_lines(step, Evaluation(values, sizes, graph.constants, functions))


def _check_lines(step: Step, state: Evaluation) -> None:
    lines = list(step.lines)
    whole = step.rule not in ("chain-rule", "contraction", "local-slope")
    if whole and isinstance(step.left, Entry) and step.left.tensor in state.values:
        lines.insert(0, step.left)
    if len(lines) < 2:
        return
    free = tuple(sorted(frozenset[Index]().union(*(e.free for e in lines)), key=lambda i: i.name))
    expected = state(lines[0], free)
    for n, e in enumerate(lines[1:], 1 - (len(lines) - len(step.lines))):
        _same_values(step, n, state(e, free), expected)


def _same_values(step: Step, line: int, found: Array, expected: Array) -> None:
    size = np.maximum(np.abs(found), np.abs(expected))
    with np.errstate(invalid="ignore"):
        wrong = ~(
            (found == expected)
            | (np.abs(found - expected) <= LINES * np.maximum(size, 1e-3 * size.max(initial=0.0)) + 1e-13)
        )
    if wrong.any():
        entry = tuple(int(n) for n in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
        raise Mismatch(step, line, entry, float(found[entry]), float(expected[entry]))


__all__ = [
    "Mismatch",
    "check",
    "check_step",
    "check_steps",
    "compare",
    "is_analytic",
    "numerical_gradients",
    "numerical_slopes",
]
