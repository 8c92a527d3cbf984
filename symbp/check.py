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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from symbp.errors import RequestError, SymbpError
from symbp.evaluate import Array, Evaluation, Function, run, size_value
from symbp.expr import Call, Entry, Expr, Index, Num, text, walk
from symbp.family import shift_name
from symbp.graph import Graph, Node, adjoint
from symbp.sample import STEP, Point, choose_sizes, draw
from symbp.steps import Adjoint, Checked, Derivation, Step
from symbp.unknown import samples
from symbp.unroll import unroll_derivation

POINTS = 3  # with all sizes different; one more has them equal
DIRECTIONS = 3
SAMPLED = 32  # entries of a tensor that is too large for all of them
CROWD, GROUPS = 100, 16  # beyond so many tensors a quick check moves them in groups
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
    slopes: dict[str, list[Array]] = {name: [] for name in directions}
    for part in _passes(directions, rows):
        found = _probe(graph, leaves, sizes, part, functions)
        for name, (start, d) in part.at.items():
            slopes[name].append(found[start : start + len(d)])
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in slopes.items()}


def numerical_jacobian(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    node: str,
    wrt: str,
    directions: Array,
    functions: Mapping[str, Function] | None = None,
) -> Array:
    """The slope of every entry of `node` along each of the directions of `wrt`."""
    return _probe(graph, leaves, sizes, _Pass(len(directions), {wrt: (0, directions)}), functions, node)


def is_analytic(graph: Graph) -> bool:
    """Whether the complex step may pass through every function of the network."""
    return all(_is_analytic(graph, node.body) for node in graph.inner if node.body is not None)


def _is_analytic(graph: Graph, e: Expr) -> bool:
    table = graph.table
    return all(x.fn not in table or table[x.fn].analytic for x in walk(e) if isinstance(x, Call))


def _shape(graph: Graph, name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    if name not in graph.nodes:
        raise RequestError(f"'{name}' is not a node of the network.")
    return tuple(size_value(d, sizes) for d in graph[name].shape)


@dataclass(frozen=True)
class _Pass:
    """One forward pass: so many perturbed copies, and for each node the first copy in which it is
    perturbed and along what. In one copy several nodes may move."""

    rows: int
    at: Mapping[str, tuple[int, Array]]


def _passes(directions: Mapping[str, Array], rows: int) -> Iterator[_Pass]:
    """The directions one after the other, in passes of at most so many rows."""
    at: dict[str, tuple[int, Array]] = {}
    used = 0
    for name, d in directions.items():
        start = 0
        while start < len(d):
            taken = d[start : start + rows - used]
            at[name] = (used, taken)
            start += len(taken)
            used += len(taken)
            if used == rows:
                yield _Pass(used, at)
                at, used = {}, 0
    if at:
        yield _Pass(used, at)


def _probe(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    part: _Pass,
    functions: Mapping[str, Function] | None,
    of: str = "",
) -> Array:
    """The slope of a node, by default of the loss, for each copy of a pass."""
    if not is_analytic(graph):
        return _differences(graph, leaves, sizes, part, functions, of)
    nudges: dict[str, Array] = {}
    for name, (start, d) in part.at.items():
        nudges[name] = np.zeros((part.rows, *d.shape[1:]), complex)
        nudges[name].imag[start : start + len(d)] = STEP * d
    return _stacked(run(graph, leaves, sizes, functions, nudges), graph[of or graph.loss], part.rows).imag / STEP


def _differences(
    graph: Graph,
    leaves: Mapping[str, Array],
    sizes: Mapping[str, int],
    part: _Pass,
    functions: Mapping[str, Function] | None,
    of: str = "",
) -> Array:
    """Central differences at h and h/2, and Richardson's extrapolation of the two."""
    node = graph[of or graph.loss]
    values = run(graph, leaves, sizes, functions).values
    steps = np.full(part.rows, np.inf)
    for name, (start, d) in part.at.items():
        own = steps[start : start + len(d)]
        np.minimum(own, _step_lengths(d, values[name]), out=own)
    nudges: dict[str, Array] = {}
    for name, (start, d) in part.at.items():
        nudge = np.zeros((part.rows, *d.shape[1:]))
        nudge[start : start + len(d)] = d * steps[start : start + len(d)].reshape(-1, *(1,) * (d.ndim - 1))
        nudges[name] = np.concatenate([nudge, -nudge, nudge / 2, -nudge / 2])
    moved = _stacked(run(graph, leaves, sizes, functions, nudges), node, 4 * part.rows)
    up, down, half_up, half_down = moved.reshape(4, part.rows, *moved.shape[1:])
    steps = steps.reshape(-1, *(1,) * len(node.shape))
    wide, narrow = (up - down) / (2 * steps), (half_up - half_down) / steps
    return np.asarray((4 * narrow - wide) / 3)


def _stacked(state: Evaluation, node: Node, rows: int) -> Array:
    """The values of a node, one copy for each row, also where it does not move."""
    return np.broadcast_to(state.values[node.name], (rows, *[state.extent(d) for d in node.shape]))


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

    def record(self, form: str, error: float, ok: bool) -> None:
        self.error = max(self.error, error)
        if not ok:
            self.ok = False
            self.notes.setdefault(f"the {form} form disagrees by {error:.1e}")


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
    if derivation.graph.has_families:
        return _check_unrolled(derivation, level, seed)
    graph = derivation.graph
    functions = functions or samples(graph)
    findings = {name: _Findings() for name in derivation.adjoints}
    points, reasons = points_of(graph, seed, functions)
    for n, point in enumerate(points):
        with np.errstate(all="ignore"):
            trial = _Trial(derivation, point, level, np.random.default_rng([seed, n, 1]), functions)
            edge = trial.at_an_edge()
            names = [name for name in derivation.adjoints if name not in edge]
            for name in derivation.adjoints:
                if name in edge:
                    findings[name].notes.setdefault(f"no derivative where {edge[name]} holds")
                else:
                    findings[name].points += 1
            suspects = names if level == "full" or len(names) <= CROWD else _check_crowd(trial, findings)
            _check_each(trial, suspects, findings)
    method = "complex step" if is_analytic(graph) else "central differences"
    return {name: _verdict(name, found, method, reasons) for name, found in findings.items()}


EDGES = ("onehot", "binary", "permutation")  # facts of numbers that are 0 in some entries
TURNS = (3, 4)  # the numbers at which a network of symbolic depth is checked


def _check_unrolled(derivation: Derivation, level: str, seed: int) -> dict[str, Checked]:
    """Every case at every number it holds for, in the networks with 3 and with 4 turns; what is
    said of a case is the worst of them."""
    parts: dict[str, list[Checked]] = {name: [] for name in derivation.adjoints}
    for n in TURNS:
        one, source = unroll_derivation(derivation, dict.fromkeys(derivation.graph.bounds, n))
        for name, checked in check(one, level, seed).items():
            for key in source[name]:
                parts[key].append(checked)
    where = " and ".join(map(str, TURNS))
    note = f"unrolled to {', '.join(derivation.graph.bounds)} = {where}" if derivation.graph.bounds else "unrolled"
    return {name: _together(name, found, note) for name, found in parts.items()}


def _together(name: str, found: Sequence[Checked], note: str) -> Checked:
    if not found:
        return Checked(name, float("nan"), False, 0, "", 0, "it holds for none of the numbers tried")
    worst = min(found, key=lambda c: (c.ok, c.error == c.error, -c.error))
    notes = dict.fromkeys(c.note for c in found if c.note and (not c.ok or worst.ok))
    points, entries = sum(c.points for c in found), max(c.entries for c in found)
    return Checked(name, worst.error, worst.ok, points, worst.method, entries, "; ".join([*notes, note]))


def points_of(
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


class _Trial:
    """A derivation at one point: the values of every form of every adjoint."""

    def __init__(
        self,
        derivation: Derivation,
        point: Point,
        level: str,
        rng: np.random.Generator,
        functions: Mapping[str, Function] | None,
    ) -> None:
        self.graph, self.point, self.level, self.rng, self.functions = derivation.graph, point, level, rng, functions
        self.tolerance = EXACT if is_analytic(derivation.graph) else DIFFERENCES
        state = Evaluation.of(derivation.graph, point.values, point.sizes, functions)
        self.forms = dict(_forms(derivation, state))

    def at_an_edge(self) -> dict[str, str]:
        """Leaves that facts hold where the loss ends, with the fact: t log t has no slope at a
        one-hot t, whose zeros may not become negative."""
        held = {f.tensor: f.text for f in self.graph.facts if f.kind in EDGES}
        return {name: held[name] for name in held if name in self.forms and np.isinf(self.forms[name]["delta"]).any()}


def _check_each(trial: _Trial, names: Sequence[str], findings: Mapping[str, _Findings]) -> None:
    """Every tensor along directions of its own."""
    point = trial.point
    directions = {name: directions_for(point.values[name].shape, trial.level, trial.rng) for name in names}
    reference = numerical_slopes(trial.graph, point.leaves, point.sizes, directions, trial.functions)
    noise = NOISE * max((float(np.abs(r).max(initial=0.0)) for r in reference.values()), default=0.0)
    for name in names:
        found, true, d = findings[name], reference[name], directions[name]
        sampled = is_sampled(d, trial.level)
        found.entries = max(found.entries, len(true))
        found.zero = found.zero and float(np.abs(true).max(initial=0.0)) <= noise
        notes = [point.note]
        if trial.level == "full" and sampled:
            notes.append(f"{SAMPLED} of {point.values[name].size} entries and {DIRECTIONS} directions were sampled")
        found.notes.update(dict.fromkeys(filter(None, notes)))
        for form, value in trial.forms[name].items():
            derived = d.reshape(len(d), -1) @ value.reshape(-1) if sampled else value.reshape(-1)
            found.record(form, *compare(derived, true, trial.tolerance, noise))


def _check_crowd(trial: _Trial, findings: Mapping[str, _Findings]) -> list[str]:
    """Very many tensors in few groups: those of a group move together, each along random
    directions that make its share of the slope about 1. Returns the names in groups whose sums
    do not come out, to be looked at one by one."""
    point, names = trial.point, list(trial.forms)
    gradients = {name: trial.forms[name]["delta"] for name in names}
    lengths = {name: float(np.linalg.norm(g)) for name, g in gradients.items()}
    least = 1e-6 * max(lengths.values())
    at: dict[str, tuple[int, Array]] = {}
    derived = np.zeros(GROUPS * DIRECTIONS)
    for n, name in enumerate(names):
        start = n % GROUPS * DIRECTIONS
        g = gradients[name]
        d = trial.rng.standard_normal((DIRECTIONS, *g.shape)) / max(lengths[name], least, 1e-300)
        at[name] = (start, d)
        derived[start : start + DIRECTIONS] += d.reshape(DIRECTIONS, -1) @ g.reshape(-1)
    true = _probe(trial.graph, point.leaves, point.sizes, _Pass(len(derived), at), trial.functions)
    suspects: list[str] = []
    for group in range(GROUPS):
        own = slice(group * DIRECTIONS, (group + 1) * DIRECTIONS)
        error, ok = compare(derived[own], true[own], trial.tolerance)
        for name in names[group::GROUPS]:
            forms = trial.forms[name]
            others = {form: compare(v, forms["delta"], trial.tolerance) for form, v in forms.items()}
            if not ok or not all(fine for _, fine in others.values()):
                suspects.append(name)
                continue
            found = findings[name]
            found.entries, found.zero = max(found.entries, DIRECTIONS), False
            found.record("delta", error, True)
    return suspects


def directions_for(shape: tuple[int, ...], level: str, rng: np.random.Generator) -> Array:
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


def is_sampled(directions: Array, level: str) -> bool:
    return level == "quick" or len(directions) != prod(directions.shape[1:])


def _forms(derivation: Derivation, state: Evaluation) -> Iterator[tuple[str, dict[str, Array]]]:
    """The values of every form of every adjoint, in backward order; δ forms become the values
    of the adjoints that later forms name."""
    state.values.setdefault(adjoint(derivation.graph.loss), np.asarray(1.0))
    for name, a in derivation.adjoints.items():
        forms = {"delta": state.tensor(a.node, a.delta)}
        if a.raw is not a.delta:
            forms["raw"] = _filled(state.tensor(a.node, a.raw), forms["delta"])
        if a.closed is not None and a.closed is not a.delta:
            forms["closed"] = state.tensor(a.node, a.closed)
        state.values[adjoint(name)] = forms["delta"]
        yield name, forms


def _filled(raw: Array, delta: Array) -> Array:
    """Before factors are cancelled a line can be 0/0 in some entries (`t/(t/p)` at a one-hot t,
    where 0 log 0 counts as 0): only what has a value there can be compared. A line that is 0/0
    everywhere stays so, and fails."""
    gone = np.isnan(raw) & np.isfinite(delta)
    return raw if gone.all() else np.where(gone, delta, raw)


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
    rounding = noise / largest * np.sqrt(derived.size) / tolerance
    norms = np.linalg.norm(derived / largest) + np.linalg.norm(true / largest) + rounding
    error = float(np.linalg.norm(difference / largest) / norms)
    each = bool((difference <= 10 * tolerance * np.maximum(size, 1e-3 * largest) + noise).all())
    return error, error <= tolerance and each


def _verdict(name: str, found: _Findings, method: str, reasons: list[str]) -> Checked:
    if not found.points:
        why = "; ".join([*reasons, *found.notes]) or "there was no point to check at"
        return Checked(name, float("nan"), False, 0, method, 0, f"undecided: {why}")
    notes = list(found.notes)
    if found.zero and found.ok:
        notes.append("zero at every point")
    return Checked(name, found.error, found.ok, found.points, method, found.entries, "; ".join(notes))


# ---- every line of every step --------------------------------------------------------------------------


def check_steps(derivation: Derivation, seed: int = 0, functions: Mapping[str, Function] | None = None) -> str:
    """Evaluate every line of every step at one point; raise Mismatch at the first that is not
    equal to the others. Returns an empty text, or why there was no point to check at."""
    if derivation.graph.has_families:
        turns = [dict.fromkeys(derivation.graph.bounds, n) for n in TURNS]
        for t in turns:
            _check_chains(derivation, t, seed)
        return next(filter(None, (check_steps(unroll_derivation(derivation, t)[0], seed) for t in turns)), "")
    graph = derivation.graph
    functions = functions or samples(graph)
    points, reasons = points_of(graph, seed, functions, wanted=1)
    if not points:
        return "; ".join(reasons)
    state = Evaluation.of(graph, points[0].values, points[0].sizes, functions)
    for _ in _forms(derivation, state):
        pass
    with np.errstate(all="ignore"):
        for a in derivation.adjoints.values():
            _check_adjoint(a, graph, state)
    return ""


def _check_chains(derivation: Derivation, turns: Mapping[str, int], seed: int) -> None:
    """A recursion written out: the product of its Jacobians, taken numerically as the one from end
    to end, times the error at the end."""
    chains = {key: a for key, a in derivation.adjoints.items() if a.chain is not None}
    if not chains:
        return
    one, source = unroll_derivation(derivation, turns)
    functions = samples(one.graph)
    points, _ = points_of(one.graph, seed, functions, wanted=1)
    for point in points[:1]:
        state = Evaluation.of(one.graph, point.values, point.sizes, functions)
        forms = {name: f["delta"] for name, f in _forms(one, state)}
        for name, keys in source.items():
            chain = next((chains[k].chain for k in keys if k in chains), None)
            if chain is None:
                continue
            top = shift_name(chain.top[0], {n: Num(v) for n, v in turns.items()})
            unit = np.eye(forms[name].size).reshape(-1, *forms[name].shape)
            jacobian = numerical_jacobian(one.graph, point.leaves, point.sizes, top, name, unit, functions)
            step = Step("unrolled", name, None, ())
            _same_values(step, 0, jacobian @ forms[top] if top != name else forms[top], forms[name])


def _check_adjoint(a: Adjoint, graph: Graph, state: Evaluation) -> None:
    """Lines agree within a step, a slope with the numbers, and all paths together with the
    adjoint."""
    paths: list[Array] = []
    last: Step | None = None
    for step in a.steps:
        check_lines(step, state)
        if step.rule == "local-slope":
            check_slope(step, graph, state)
        elif step.rule == "contraction" and step.lines:
            paths.append(state.tensor(a.node, step.lines[-1]))
            last = step
    if last is not None:
        _same_values(last, len(last.lines), sum(paths[1:], paths[0]), state.values[adjoint(a.node.name)])


def check_slope(step: Step, graph: Graph, state: Evaluation) -> None:
    """∂(entry of the consumer)/∂(entry of the variable), as the consumer's definition has it."""
    top, bottom = step.left, step.argument
    if not (isinstance(top, Entry) and isinstance(bottom, Entry)):
        return
    consumer, value = graph[top.tensor], state.values[bottom.tensor]
    if consumer.body is None or not _is_analytic(graph, consumer.body):
        return
    unit = STEP * np.eye(value.size).reshape(value.size, *value.shape)
    known = {name: state.values[name] for name in consumer.body.tensors}
    moved = state.at({**known, bottom.tensor: value + 1j * unit})
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
    check_lines(step, Evaluation.of(graph, values, sizes, functions))


def check_lines(step: Step, state: Evaluation) -> None:
    """Raise Mismatch unless the lines of the step are equal, and equal to its left side."""
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
    known = np.isfinite(found) & np.isfinite(expected)  # 0/0 where a factor is still to cancel says nothing
    size = np.where(known, np.maximum(np.abs(found), np.abs(expected)), 0.0)
    with np.errstate(invalid="ignore"):
        bound = LINES * np.maximum(size, 1e-3 * size.max(initial=0.0)) + 1e-13
        wrong = known & (found != expected) & ~(np.abs(found - expected) <= bound)
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
