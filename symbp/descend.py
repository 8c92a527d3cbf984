"""Gradient descent with the derived gradients: w ← w − rate · ∂L/∂w, step after step.

`plan` settles everything that is not arithmetic: which leaves move, what the others are, whether a
step uses the whole batch or one sample, the rate of every step, the derivation. `descend` then only
computes. A step is numbered by the updates before it: row 0 is the start, row n the state after n.

Which leaves move: those asked for; else every leaf that is not held fixed, does not come from the
data, and is not by its name an input or a target (unless nothing else is left). What is held is
kept with the reason, because a reader must be told.

Invariants: a fact is used in a gradient only while it is true, so facts about leaves that move are
not used, nor facts that the values given break; nothing goes on after a loss or gradient that is
not finite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbp.derive import derive
from symbp.errors import RequestError, nearest
from symbp.evaluate import Evaluation, evaluate, exact, run
from symbp.expr import Expr, Size, walk
from symbp.graph import Fact, Graph, Node, adjoint
from symbp.read.data import Data, unknown_column
from symbp.steps import Derivation
from symbp.values import number_or_list, sizes_from

Array = NDArray[np.float64]
Report = Callable[[int, float], None]
"""Called before every step with its number and the loss."""

LONGEST = 1_000_000  # steps
REMEMBERED = 20_000  # so many parameters are kept of all steps together
SHORT = 1000  # and of so many steps
WRITTEN = 8  # so many gradients are derived in closed form, to be shown
WATCHED = 64  # scalar inner nodes that are kept beside them
CHUNK = 1024  # samples evaluated together
TOLERANCE = 1e-8  # of facts in given values


@dataclass(frozen=True)
class Rate:
    """One learning rate, or one for each sample (then `column` is its name)."""

    values: Array
    column: str = ""

    def at(self, step: int) -> float:
        return float(self.values[step % len(self.values)])


@dataclass(frozen=True)
class Plan:
    """A descent that is ready to run. `values` are the leaves that stay the same at every step,
    `samples` those that are another sample each step (stacked along the first axis)."""

    derivation: Derivation
    start: Mapping[str, Array]
    values: Mapping[str, Array]
    samples: Mapping[str, Array]
    rate: Rate
    sizes: Mapping[str, int]
    held: Mapping[str, str]  # leaf -> why it does not move
    drawn: tuple[str, ...] = ()  # leaves that start at random
    broken: tuple[str, ...] = ()  # facts that the values break
    unused: tuple[str, ...] = ()  # columns of the data that belong to nothing
    source: str = ""  # the data file

    @property
    def graph(self) -> Graph:
        return self.derivation.graph

    @property
    def moves(self) -> tuple[str, ...]:
        return tuple(self.start)

    @property
    def count(self) -> int:
        """How many samples there are; 0 when every step uses all the data."""
        return len(next(iter(self.samples.values()))) if self.samples else 0


@dataclass(frozen=True)
class State:
    """The parameters before a step, their gradients there, and the inner nodes that are numbers."""

    parameters: Mapping[str, Array]
    gradients: Mapping[str, Array]
    nodes: Mapping[str, float]


@dataclass(frozen=True)
class Descent:
    """What happened. `losses[n]` and `norms[n]` belong to the parameters after n updates (sample by
    sample: on the sample that comes next, so the last state has none). `states` holds every step
    of a short descent, else those worth showing; `overall` the mean loss over all samples at the
    start and at the end; `stopped` says why the descent broke off."""

    plan: Plan
    losses: Array
    norms: Array
    states: Mapping[int, State]
    end: Mapping[str, Array]
    overall: tuple[float, float] | None = None
    stopped: str = ""

    def change(self, step: int, name: str) -> Array | None:
        """What the step after `step` updates added to a leaf; None where none was made."""
        if step == self.done:
            return None
        return np.asarray(-self.plan.rate.at(step) * self.states[step].gradients[name])

    @property
    def done(self) -> int:
        """Updates that were made."""
        return max(self.states)

    @property
    def rose(self) -> bool:
        """Whether the loss is larger at the end than at the start."""
        first, last = self.overall or (self.losses[0], self.losses[-1])
        return bool(last > first)


# ---- what the user wrote ------------------------------------------------------------------------


def read_rate(text: str) -> Rate | str:
    """`0.02` or `1/70` as a rate; the name of a column as it is."""
    try:
        value = number_or_list(text, "--rate")
    except RequestError:
        if re.fullmatch(r"[^\W\d]\w*", text.strip()):
            return text.strip()
        raise
    if value.ndim or not np.isfinite(value) or value <= 0:
        raise RequestError(f"--rate {text[:64]}: a rate is one positive number, or the name of a column of --data.")
    return Rate(value.reshape(1))


def read_sizes(texts: Sequence[str]) -> dict[str, int]:
    """`H=16` as a size, by name."""
    sizes: dict[str, int] = {}
    for text in texts:
        found = re.fullmatch(r"\s*(\w+)\s*=\s*([1-9]\d{0,5})\s*", text, re.ASCII)
        if found is None:
            raise RequestError(f"--set {text[:80]}: write SIZE=NUMBER, for example --set H=16.")
        sizes[found[1]] = int(found[2])
    return sizes


# ---- the plan -----------------------------------------------------------------------------------


def plan(
    graph: Graph,
    at: Mapping[str, Any],
    rate: Rate | str,
    data: Data | None = None,
    wrt: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    inputs: Collection[str] = (),
) -> Plan:
    """Settle what moves, what is held, the sizes, the start and the rate.

    `rate` is a rate, or the name of a column of the data; `inputs` are leaves that by their names
    are inputs or targets. Raises RequestError for whatever does not fit.
    """
    if graph.upstream:
        raise RequestError(
            f"{graph.name} ends in upstream({graph.upstream}): its loss is not known, only the gradient that is given. "
            "Descent needs a loss; end the network with one."
        )
    if graph.functions:
        name = next(iter(graph.functions))
        raise RequestError(f"{name} is an unknown function; descent needs numbers. Write a known one in its place.")
    both = sorted(set(at) & set(data.values if data else ()))
    if both:
        raise RequestError(f"{both[0]} is given with --at and is a column of {data.file if data else ''} too.")
    moves, held = choose(graph, tuple(data.values) if data else (), wrt, inputs, data.file if data else "")
    given, samples = _split(graph, at, data, moves)
    found = _rate(rate, data, samples)
    drawn = tuple(name for name in moves if name not in given)
    _complain_of_missing(graph, given, samples, drawn, data)
    known = _sizes(graph, {**given, **{name: a[0] for name, a in samples.items()}}, sizes or {})
    rng = np.random.default_rng(seed)
    start = {name: given[name] if name in given else _draw(graph[name], known, rng) for name in moves}
    values = {name: a for name, a in given.items() if name not in moves}
    kept, broken = _facts_that_hold(graph, moves, values, samples, known)
    derivation = derive(replace(graph, facts=kept), moves, closed=len(moves) <= WRITTEN, steps=False)
    unused = tuple(c for c in data.unused if c != found.column) if data else ()
    return Plan(
        derivation, start, values, samples, found, known, held, drawn, broken, unused, data.file if data else ""
    )


def choose(
    graph: Graph,
    from_data: Collection[str],
    wrt: Sequence[str] = (),
    inputs: Collection[str] = (),
    file: str = "the data",
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The leaves that move, and for every other leaf why it is held."""
    leaves = [n.name for n in graph.leaves]
    if wrt:
        for name in wrt:
            if name not in leaves:
                what = "is computed" if name in graph.nodes else "is not declared"
                raise RequestError(
                    f"--wrt {name[:64]}: only leaves can move, and {name[:64]} {what}. "
                    f"{nearest(name, leaves) or 'Leaves: ' + ', '.join(leaves[:12])}"
                )
        return tuple(dict.fromkeys(wrt)), {n: "not in --wrt" for n in leaves if n not in wrt}
    held: dict[str, str] = {f.tensor: f.text or f.kind for f in graph.facts if f.tensor in graph.fixed()}
    held |= dict.fromkeys(from_data, f"from {file}")
    free = [n for n in leaves if n not in held]
    weights = [n for n in free if n not in inputs]
    if weights:
        held |= {n: f"by its name an input or a target; --wrt {n} moves it" for n in free if n not in weights}
    if not free:
        raise RequestError(f"Nothing is left to move: {', '.join(leaves[:12])} are all held. --wrt NAME moves a leaf.")
    return tuple(weights or free), {n: held[n] for n in leaves if n in held}


def _split(
    graph: Graph, at: Mapping[str, Any], data: Data | None, moves: Collection[str]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Leaves with one value, and leaves with a sample for every step: one axis more than declared."""
    given = {name: np.asarray(value, dtype=np.float64) for name, value in at.items()}
    samples: dict[str, Array] = {}
    for name, value in (data.values if data else {}).items():
        if name not in graph.nodes or not graph[name].is_leaf:
            continue  # a column that was asked for as the rate
        axes = len(graph[name].shape)
        if value.ndim == axes:
            given[name] = value
        elif value.ndim == axes + 1 and name not in moves:
            samples[name] = value
        else:
            raise RequestError(
                f"{name} in {data.file if data else ''} has the shape {value.shape}; "
                f"{_needs(name, axes, name in moves)}"
            )
    if data and data.by_row and samples:
        _one_row_one_sample(graph, data, given, samples)
    lengths = {name: len(value) for name, value in samples.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise RequestError(f"The leaves have different numbers of samples ({listed}).")
    return given, samples


def _needs(name: str, axes: int, moves: bool) -> str:
    """What a column must look like."""
    one = "a number" if axes == 0 else f"{axes} {'axis' if axes == 1 else 'axes'}"
    return f"{name} needs {one}" + (", because it moves." if moves else f", or {axes + 1} with the samples first.")


def _one_row_one_sample(graph: Graph, data: Data, given: Mapping[str, Array], samples: Mapping[str, Array]) -> None:
    """In a table where rows are samples, every leaf has one sample a row."""
    for name in data.values:
        if name in given:
            other = next(iter(samples))
            raise RequestError(
                f"{data.file} has one sample a row for {other}, but {name} is a vector and the file has one column "
                f"for it. Its entries are columns of their own: {name}1, {name}2, … or {name}[0], {name}[1], …"
            )


def _rate(rate: Rate | str, data: Data | None, samples: Mapping[str, Array]) -> Rate:
    """The rate of every step; a column of the data holds one for each sample."""
    if isinstance(rate, Rate):
        return rate
    if data is None or rate not in data.values:
        where = f"{data.file} has no such column" if data else "there is no --data file that could have such a column"
        hint = unknown_column(rate, data.unused) if data else ""
        raise RequestError(f"--rate {rate[:64]}: this is not a number, and {where}. {hint}".strip())
    values = data.values[rate]
    if np.any(values <= 0):
        place = int(np.argmax(np.ravel(values) <= 0))
        raise RequestError(f"--rate {rate}: rates are positive; number {place + 1} of the column is not.")
    if values.ndim == 0:
        return Rate(values.reshape(1), rate)
    if values.ndim == 1 and samples:
        count = len(next(iter(samples.values())))
        if len(values) == count:
            return Rate(values, rate)
        raise RequestError(f"--rate {rate}: the column has {len(values)} rates for {count} samples.")
    raise RequestError(
        f"--rate {rate}: a column has one rate for each sample, "
        + ("and this one has more axes." if samples else "but here every step uses all samples; give one number.")
    )


def _sizes(graph: Graph, known: Mapping[str, Array], chosen: Mapping[str, int]) -> dict[str, int]:
    """All sizes that the values, the choices of the user, and the relations between sizes say."""
    sizes = sizes_from(replace(graph, relations={}), known)
    for name, n in chosen.items():
        if name not in graph.sizes:
            raise RequestError(f"--set {name[:64]}: no size is called so. {nearest(name, graph.sizes)}".strip())
        if sizes.setdefault(name, n) != n:
            raise RequestError(f"--set {name}={n}: by the values given, {name} is {sizes[name]}.")
    for name, size in graph.relations.items():
        if all(s in sizes for s in _names(size)):
            n = int(exact(size, sizes))
            if sizes.setdefault(name, n) != n:
                raise RequestError(f"The size {name} is {sizes[name]} in the values given, but must be {size!r} = {n}.")
    return sizes


def _names(size: Expr) -> list[str]:
    return [x.name for x in walk(size) if isinstance(x, Size) and not x.name.isdigit()]


def _complain_of_missing(
    graph: Graph, given: Mapping[str, Array], samples: Mapping[str, Array], drawn: Sequence[str], data: Data | None
) -> None:
    """What is held needs values; what moves needs a start, unless there are data (then it is drawn)."""
    missing = [n.name for n in graph.leaves if n.name not in given and n.name not in samples and n.name not in drawn]
    if drawn and data is None:
        missing = [n.name for n in graph.leaves if n.name in missing or n.name in drawn]
    if missing:
        hint = unknown_column(missing[0], data.unused) if data else ""
        how = f"with --at {missing[0]}=…" + (f" or as a column of {data.file}" if data else " or as columns of --data")
        raise RequestError(f"Values are needed for {', '.join(missing)}, {how}. {hint}".strip())


def _draw(node: Node, sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    """A random start: small, and smaller the more inputs and outputs a matrix has."""
    unknown = [s for d in node.shape for s in _names(d) if s not in sizes]
    if unknown:
        raise RequestError(
            f"{node.name} has no value to start from, and to draw one its size {unknown[0]} must be known: "
            f"give {node.name} with --at, or --set {unknown[0]}=8."
        )
    shape = tuple(int(exact(d, sizes)) for d in node.shape)
    spread = np.sqrt(2 / (shape[0] + int(np.prod(shape[1:])))) if len(shape) > 1 else 0.1
    return rng.normal(0, spread, shape)


def norm(a: Array) -> float:
    """The root of the sum of the squares."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.sum(a * a)))


# ---- facts --------------------------------------------------------------------------------------


def _facts_that_hold(
    graph: Graph,
    moves: Collection[str],
    values: Mapping[str, Array],
    samples: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """Facts that may be used on the way, and the texts of those that the values break."""
    kept: list[Fact] = []
    broken: list[str] = []
    for fact in graph.facts:
        if fact.tensor in moves:
            continue
        stacked = samples.get(fact.tensor)
        if stacked is None and fact.tensor in values:
            stacked = values[fact.tensor][None]
        if stacked is None or holds(fact, stacked, sizes, graph):
            kept.append(fact)
        else:
            broken.append(fact.text or f"{fact.kind}({fact.tensor})")
    return tuple(kept), tuple(broken)


def holds(fact: Fact, stacked: Array, sizes: Mapping[str, int], graph: Graph) -> bool:
    """Whether every one of the values (stacked along the first axis) has the property."""
    a = stacked
    axis = tuple(range(1, a.ndim)) if fact.axis is None else fact.axis + 1

    def bound(e: Expr | None) -> float:
        return float(evaluate(e, {}, sizes, (), graph.constants)) if e is not None else float("nan")

    def near(x: Array, y: Any) -> bool:
        return bool(np.allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE))

    def unit() -> Array:
        return np.eye(a.shape[-1])

    match fact.kind:
        case "onehot":
            return bool(np.all((a == 0) | (a == 1)) and np.all(a.sum(axis=axis) == 1))
        case "permutation":
            return bool(np.all((a == 0) | (a == 1)) and np.all(a.sum(-1) == 1) and np.all(a.sum(-2) == 1))
        case "binary":
            return bool(np.all((a == 0) | (a == 1)))
        case "pm1":
            return bool(np.all(np.abs(a) == 1))
        case "simplex":
            return near(a.sum(axis=axis), bound(fact.low))
        case "norm":
            return near(np.sqrt((a**2).sum(axis=axis)), bound(fact.low))
        case "symmetric":
            return near(a, np.swapaxes(a, -1, -2))
        case "posdef":
            return near(a, np.swapaxes(a, -1, -2)) and bool(np.all(np.linalg.eigvalsh(a) > 0))
        case "orthogonal":
            return near(np.swapaxes(a, -1, -2) @ a, unit())
        case "diag":
            return near(np.diagonal(a, axis1=-2, axis2=-1), bound(fact.low))
        case "nonzero":
            return bool(np.all(a != 0))
        case "range":
            return not (np.any(a < bound(fact.low)) or np.any(a > bound(fact.high)))
    return True


# ---- the descent --------------------------------------------------------------------------------


def descend(plan: Plan, steps: int, report: Report | None = None) -> Descent:
    """Run the plan; it breaks off where the loss or a gradient is no longer a finite number."""
    if not 1 <= steps <= LONGEST:
        raise RequestError(f"--steps must be from 1 to {LONGEST:,}, not {steps}.")
    log = _Log(plan, steps)
    before = overall_loss(plan, plan.start)
    parameters = dict(plan.start)
    stopped = ""
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            if step == steps and plan.count:
                log.end(step, parameters)
                break
            loss, gradients, nodes = _at(plan, parameters, step)
            stopped = _objection(plan, step, loss, gradients)
            log.add(step, parameters, loss, gradients, nodes, last=bool(stopped) or step == steps)
            if stopped or step == steps:
                break
            if report is not None:
                report(step, loss)
            rate = plan.rate.at(step)
            parameters = {name: p - rate * gradients[name] for name, p in parameters.items()}
    after = overall_loss(plan, parameters)
    overall = (before, after) if before is not None and after is not None else None
    return Descent(plan, np.array(log.losses), np.array(log.norms), log.states, parameters, overall, stopped)


def _at(plan: Plan, parameters: Mapping[str, Array], step: int) -> tuple[float, dict[str, Array], dict[str, float]]:
    """The loss, the gradients, and the inner nodes that are numbers."""
    graph, derivation = plan.graph, plan.derivation
    sample = {name: a[step % plan.count] for name, a in plan.samples.items()}
    state = run(graph, {**plan.values, **sample, **parameters}, plan.sizes)
    for a in derivation.adjoints.values():
        state.values[adjoint(a.node.name)] = state.tensor(a.node, a.delta)
    gradients = {name: np.asarray(state.values[adjoint(name)], dtype=np.float64) for name in parameters}
    return float(state.values[graph.loss]), gradients, _scalars(graph, state)


def _scalars(graph: Graph, state: Evaluation) -> dict[str, float]:
    names = [n.name for n in graph.inner if not n.shape and n.name != graph.loss][:WATCHED]
    return {name: float(state.values[name]) for name in names}


def _objection(plan: Plan, step: int, loss: float, gradients: Mapping[str, Array]) -> str:
    """Why the descent cannot go on, or an empty text."""
    when = f"after {step} step{'' if step == 1 else 's'}" if step else "at the start"
    if not np.isfinite(loss):
        return f"the loss {plan.graph.loss} is not a finite number {when}"
    for name, g in gradients.items():
        if not np.all(np.isfinite(g)):
            return f"the gradient of {name} is not finite {when}"
    return ""


def overall_loss(plan: Plan, parameters: Mapping[str, Array]) -> float | None:
    """The mean loss over all samples; None when there are none (then each step's loss is of all)."""
    if not plan.samples:
        return None
    total = 0.0
    for first in range(0, plan.count, CHUNK):
        part = {name: a[first : first + CHUNK] for name, a in plan.samples.items()}
        losses = run(plan.graph, {**plan.values, **part, **parameters}, plan.sizes).values[plan.graph.loss]
        total += float(np.sum(np.broadcast_to(losses, min(CHUNK, plan.count - first))))
    return total / plan.count


@dataclass
class _Log:
    """What is remembered while a descent runs."""

    plan: Plan
    steps: int
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = sum(p.size for p in self.plan.start.values())
        everything = self.steps <= SHORT and size * self.steps <= REMEMBERED
        self.wanted = set(range(self.steps + 1)) if everything else set(milestones(self.steps))

    def add(
        self,
        step: int,
        parameters: Mapping[str, Array],
        loss: float,
        gradients: Mapping[str, Array],
        nodes: Mapping[str, float],
        last: bool,
    ) -> None:
        self.losses.append(loss)
        self.norms.append(math.hypot(*map(norm, gradients.values())))
        if last or step in self.wanted:
            self.states[step] = State(parameters, gradients, nodes)

    def end(self, step: int, parameters: Mapping[str, Array]) -> None:
        """The state after the last sample: parameters, and nothing to compare them with."""
        self.states[step] = State(parameters, {}, {})


def milestones(steps: int, few: int = 12) -> list[int]:
    """Steps worth showing: all of a few, else the first three and then round numbers up to the last."""
    if steps <= few:
        return list(range(steps + 1))
    stride = next(s for s in _round_numbers() if s * (few - 4) >= steps)
    middle = range(stride, steps, stride)
    return sorted({0, 1, 2, *(m for m in middle if steps - m > stride // 3), steps})


def _round_numbers() -> Sequence[int]:
    return [m * 10**e for e in range(7) for m in (1, 2, 5)]
