"""A descent → lines for a terminal, and its JSON.

The reader is told first what moves, what is held and why; then comes a table of steps (as many
columns as fit, the most telling first), the loss as a picture, and where the descent ended. A row
shows what stands before its step and, under Δ, what the step adds.

Invariant: no line is longer than the width, and without colour the same text comes out plain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symbp.descend import Array, Descent, Plan, milestones, norm
from symbp.graph import Graph
from symbp.show.alphabet import END, ROLES, Unicode
from symbp.show.blocks import Heading, Row, Rows
from symbp.show.document import Options, Writer
from symbp.show.plot import Chart, terminal_plot
from symbp.show.terminal import COLOURS, DIM, GREEN, RED, RESET, lines, width_of, wrap
from symbp.show.words import say

SHORT = 4  # a vector of so many entries is shown entry by entry
LISTED = 24  # so many entries are shown at the end
LABEL = 9
WHOLE = 1e9  # whole numbers are shown as such up to here


def descent_text(descent: Descent, width: int, colour: bool, lang: str = "en") -> str:
    """The whole report."""
    shown = [
        *lines(_head(descent.plan, lang), width, colour),
        *_said(_terms(descent.plan, lang), width, colour),
        *lines([Heading(2, say("descent-steps", lang))], width, colour),
        *_table(descent, width, colour, lang),
        *lines([Heading(2, say("descent-loss", lang))], width, colour),
        *_picture(descent, width, colour, lang),
        *lines([Heading(2, say("descent-result", lang))], width, colour),
        *_said(_outcome(descent, lang), width, colour),
    ]
    return "\n".join(line.rstrip() for line in shown) + "\n"


def chart(descent: Descent, lang: str = "en") -> Chart:
    """The loss against the step."""
    graph = descent.plan.graph
    what = say("descent-of-one", lang, graph.loss) if descent.plan.samples else graph.loss
    return Chart(tuple(float(x) for x in descent.losses), what, graph.title or graph.name, lang)


# ---- before the table ---------------------------------------------------------------------------


def _head(plan: Plan, lang: str) -> Iterator[Heading | Rows]:
    writer = Writer(plan.derivation, Unicode(), Options(form="closed", lang=lang))
    if plan.graph.title:
        yield Heading(1, plan.graph.title)
    yield Heading(2, say("descent", lang))
    rows = [r for r in writer.results() if width_of(r.left) + width_of(r.right) + width_of(r.shape) < 70]
    if rows and len(rows) <= 8:
        yield Rows(tuple(rows))
    yield Rows(tuple(_updates(plan, writer)))


def _updates(plan: Plan, writer: Writer) -> Iterator[Row]:
    """w ← w − η ∂E/∂w, once for each leaf that moves, or once for all."""
    for name in plan.moves if len(plan.moves) <= 4 else plan.moves[:1]:
        shown = writer.print.tensor(name)
        yield Row(shown, f"{shown} − η {writer.print.derivative(name)}", relation="←")


def _terms(plan: Plan, lang: str) -> Iterator[tuple[str, str]]:
    """What moves, what is held, what a step uses, the rate, the check; as (label, text)."""
    note = say("descent-note", lang)
    yield say("descent-moves", lang), _and(plan.moves, lang)
    reasons: dict[str, list[str]] = {}
    for name, why in plan.held.items():
        reasons.setdefault(why.replace(f"--wrt {name} ", "--wrt NAME "), []).append(name)
    for n, (why, names) in enumerate(reasons.items()):
        yield say("descent-held", lang) if n == 0 else "", say("with-reason", lang, _and(names, lang), why)
    if plan.samples:
        yield say("descent-step", lang), _counted("descent-one-sample", plan.count or 0, lang)
    rate = f"η = {rate_text(plan.rate.at(0))}"
    many = plan.rate.column and len(plan.rate.values) > 1
    column = say("descent-column", lang, plan.rate.column, plan.source)
    yield say("descent-rate", lang), column if many else rate
    worst = max((c.error for c in plan.derivation.checked.values() if c.error == c.error), default=None)
    if worst is not None:
        yield say("check", lang), "✓ " + say("descent-check", lang, f"{worst:.0e}")
    if plan.drawn:
        yield note, say("descent-random" if len(plan.drawn) > 1 else "descent-random-one", lang, _and(plan.drawn, lang))
    if plan.broken:
        yield note, say("descent-broken", lang, _and(plan.broken, lang))
    if plan.unused:
        yield note, say("descent-unused", lang, plan.source, _and(plan.unused, lang))


def _counted(key: str, count: int, lang: str) -> str:
    """A phrase that differs for one thing and for several."""
    return say(f"{key}-1" if count == 1 else key, lang, str(count))


def _and(names: Sequence[str], lang: str, most: int = 12) -> str:
    listed = say("comma", lang).join(names[:most])
    return say("descent-more", lang, listed, str(len(names) - most)) if len(names) > most else listed


def _said(pairs: Iterable[tuple[str, str]], width: int, colour: bool) -> Iterator[str]:
    """Sentences under dim labels, wrapped."""
    pairs = list(pairs)
    room = min(max([LABEL, *(width_of(label) + 2 for label, _ in pairs)]), width // 3)
    for label, text in pairs:
        if width_of(label) + 1 > room:
            text, label = f"{label}  {text}", ""
        for n, piece in enumerate(wrap(text, width - room - 2, 0)):
            shown = label if n == 0 else ""
            head = "  " + shown + " " * (room - width_of(shown))
            if colour:
                head = f"{DIM}{head}{RESET}"
                piece = piece.replace("✓", f"{GREEN}✓{RESET}").replace("✗", f"{RED}✗{RESET}")
            yield head + piece


# ---- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """`rank` says what is left out first when the width is short: the highest."""

    rank: float
    header: str  # with role marks
    cells: tuple[str, ...]
    left: bool = False

    @property
    def width(self) -> int:
        return max(map(width_of, (self.header, *self.cells)))


def _table(descent: Descent, width: int, colour: bool, lang: str) -> Iterator[str]:
    steps = [s for s in milestones(descent.done) if s in descent.states]
    columns = list(_columns(descent, steps, lang))
    shown = _fitting(columns, width - 2)
    yield "  " + "  ".join(_cell(c, _paint(c.header, colour), width_of(c.header)) for c in shown)
    for n in range(len(steps)):
        yield "  " + "  ".join(_cell(c, c.cells[n], width_of(c.cells[n])) for c in shown)
    missing = [c for c in columns if c not in shown]
    if missing:
        names = [_plain(c.header) for c in missing]
        for line in wrap(say("descent-width", lang, _and(names, lang, 8)), width - 2, 0):
            yield f"  {DIM}{line}{RESET}" if colour else f"  {line}"


def _fitting(columns: Sequence[_Column], width: int) -> list[_Column]:
    """The columns of the lowest ranks that fit side by side, in their order."""
    kept: list[_Column] = []
    for c in sorted(columns, key=lambda c: c.rank):
        if sum(k.width + 2 for k in kept) + c.width <= width:
            kept.append(c)
    return [c for c in columns if c in kept]


def _cell(column: _Column, text: str, used: int) -> str:
    pad = " " * (column.width - used)
    return text + pad if column.left else pad + text


def _columns(descent: Descent, steps: Sequence[int], lang: str) -> Iterator[_Column]:
    plan, graph = descent.plan, descent.plan.graph
    states = [descent.states[s] for s in steps]
    name = _Names(graph)
    yield _Column(0, say("descent-step", lang), tuple(map(str, steps)))
    if plan.count and descent.done > plan.count:
        which = tuple(str(s % plan.count + 1) if descent.states[s].gradients else "" for s in steps)
        yield _Column(6, say("descent-sample", lang), which)
    for n, leaf in enumerate(plan.moves):
        yield _tensor_column(
            (2 if n < 3 else 5.2) + n / 1000, name(leaf, "weight"), [s.parameters[leaf] for s in states]
        )
    scalars = list(states[0].nodes)
    for n, node in enumerate(scalars):
        cells = numbers([s.nodes.get(node) for s in states])
        yield _Column(4 + (len(scalars) - n) / 1000, name(node, "node"), cells)
    losses = [float(descent.losses[s]) if s < len(descent.losses) else None for s in steps]
    yield _Column(1, name(graph.loss, "loss"), numbers(losses))
    if len(plan.rate.values) > 1:
        yield _Column(3.5, "η", tuple(rate_text(plan.rate.at(s)) if s < len(descent.losses) else "" for s in steps))
    yield _gradient_column(descent, steps, name)
    for n, leaf in enumerate(plan.moves):
        changes = [descent.change(s, leaf) for s in steps]
        yield _tensor_column((3 if n < 2 else 5.4) + n / 1000, "Δ" + name(leaf, "weight"), changes)


def _gradient_column(descent: Descent, steps: Sequence[int], name: _Names) -> _Column:
    """∂C/∂w where one number moves, else the norm of all gradients together."""
    plan = descent.plan
    norms = [float(descent.norms[s]) if s < len(descent.norms) else None for s in steps]
    only = next(iter(plan.start.values()))
    if len(plan.moves) > 1 or only.ndim:
        return _Column(5, f"‖∇{name(plan.graph.loss, 'loss')}‖", numbers(norms))
    leaf = plan.moves[0]
    slopes = [float(descent.states[s].gradients[leaf]) if norms[n] is not None else None for n, s in enumerate(steps)]
    return _Column(5, f"∂{name(plan.graph.loss, 'loss')}/∂{name(leaf, 'weight')}", numbers(slopes))


def _tensor_column(rank: float, header: str, values: Sequence[Array | None]) -> _Column:
    """Numbers, short vectors entry by entry, or norms."""
    shape = next((v.shape for v in values if v is not None), ())
    if shape == ():
        return _Column(rank, header, numbers([None if v is None else float(v) for v in values]))
    if len(shape) == 1 and shape[0] <= SHORT:
        return _Column(rank, header, tuple("" if v is None else vector(v) for v in values), left=True)
    norms = [None if v is None else norm(v) for v in values]
    return _Column(rank, f"‖{header}‖", numbers(norms))


class _Names:
    """Names of tensors as they are written, marked with their role."""

    def __init__(self, graph: Graph) -> None:
        self.alphabet = Unicode(graph.latex)

    def __call__(self, name: str, role: str) -> str:
        return self.alphabet.mark(self.alphabet.tensor(name), role)


def _plain(text: str) -> str:
    for mark in (*ROLES.values(), END):
        text = text.replace(mark, "")
    return text


def _paint(text: str, colour: bool) -> str:
    """A heading: its names in the colours of their roles, the rest dim."""
    if not colour:
        return _plain(text)
    text = DIM + text.replace(END, RESET + DIM) + RESET
    for role, mark in ROLES.items():
        text = text.replace(mark, RESET + COLOURS[role])
    return text


# ---- numbers ------------------------------------------------------------------------------------


def numbers(values: Sequence[float | None]) -> tuple[str, ...]:
    """A column of numbers in one format: whole, with equal decimals, or each to four digits."""
    finite = [abs(v) for v in values if v is not None and math.isfinite(v)]
    style = _style([v for v in finite if v], all(v == int(v) for v in finite))
    return tuple("" if v is None else style(v + 0.0) if math.isfinite(v) else str(v) for v in values)


def _style(sizes: Sequence[float], whole: bool) -> Callable[[float], str]:
    low, high = (min(sizes), max(sizes)) if sizes else (1.0, 1.0)
    if whole and high < WHOLE:
        return lambda v: f"{v:.0f}"
    decimals = max(3 - math.floor(math.log10(low)), 0)
    if low < 1e-7 or high >= 1e7 or len(f"{high:.{decimals}f}") > 8:
        return four_digits
    return lambda v: f"{v:.{decimals}f}"


def four_digits(value: float) -> str:
    """A number to four digits, with an exponent only when it is very large or very small."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3e}"
    return f"{value:.{max(3 - math.floor(math.log10(abs(value))), 0)}f}" if value else "0"


def figure(value: float) -> str:
    """One number, to six digits; whole numbers in full."""
    if math.isfinite(value) and value == int(value) and abs(value) < WHOLE:
        return str(int(value))
    return f"{value:.6g}"


def vector(value: Array) -> str:
    """`[50, 20, 40]`, to four digits; rounding residue beside larger entries is 0."""
    entries: list[float] = value.tolist()
    top = max(map(abs, entries), default=0.0)
    near = [0.0 if math.isfinite(top) and abs(x) < 1e-12 * top else x for x in entries]
    return "[" + ", ".join(f"{x + 0.0:.4g}" if abs(x) < 1e4 else figure(round(x, 2)) for x in near) + "]"


def rate_text(rate: float) -> str:
    """A rate as somebody would have written it: 0.02, or 2/27."""
    short = f"{rate:.4g}"
    simple = Fraction(rate).limit_denominator(1000)
    return short if float(short) == rate or float(simple) != rate else str(simple)


def array_text(value: Array) -> str:
    """A tensor at the end: its entries when they are few, else its shape and norm."""
    if value.size > LISTED:
        return f"array of {'×'.join(map(str, value.shape))}, norm {figure(norm(value))}"
    return _nested(value.tolist())


def _nested(value: Any) -> str:
    return "[" + ", ".join(map(_nested, value)) + "]" if isinstance(value, list) else figure(value)


# ---- the picture and the end --------------------------------------------------------------------


def _picture(descent: Descent, width: int, colour: bool, lang: str) -> Iterator[str]:
    drawn = chart(descent, lang)
    if not drawn.points:
        yield "  " + say("descent-nothing", lang)
        return
    for line in wrap(drawn.title, width - 2, 0):
        yield f"  {DIM}{line}{RESET}" if colour else f"  {line}"
    for axis, line, after in terminal_plot(drawn, width):
        yield f"{DIM}{axis}{RESET}{COLOURS['loss']}{line}{RESET}{after}" if colour else axis + line + after


def _outcome(descent: Descent, lang: str) -> Iterator[tuple[str, str]]:
    plan = descent.plan
    loss, steps = plan.graph.loss, _counted("descent-after", descent.done, lang)
    if descent.overall:
        before, after = map(figure, descent.overall)
        yield loss, say("descent-mean", lang, before, after, steps)
    else:
        first, last = figure(float(descent.losses[0])), figure(float(descent.losses[-1]))
        yield loss, say("descent-from-to", lang, first, last, steps)
    for name in plan.moves[:LISTED]:
        yield name, array_text(descent.end[name])
    if len(plan.moves) > LISTED:
        yield "", say("descent-rest", lang, str(len(plan.moves) - LISTED))
    if descent.stopped:
        advice = say("descent-smaller" if descent.done else "descent-other", lang)
        yield say("descent-stopped", lang), f"✗ {descent.stopped}. {advice}"
    elif descent.rose:
        yield say("descent-note", lang), "✗ " + say("descent-rose", lang)


# ---- JSON -----------------------------------------------------------------------------------------


def descent_json(descent: Descent) -> dict[str, Any]:
    """One object: the terms, losses and norms of all steps, the states kept, the end."""
    plan = descent.plan
    rates: Any = [float(r) for r in plan.rate.values]
    return {
        "schema": 1,
        "network": plan.graph.name,
        "loss": plan.graph.loss,
        "mode": "samples" if plan.samples else "batch",
        "samples": plan.count or None,
        "moves": list(plan.moves),
        "held": dict(plan.held),
        "random": list(plan.drawn),
        "facts_broken": list(plan.broken),
        "unused_columns": list(plan.unused),
        "rate": {"column": plan.rate.column, "values": rates} if len(rates) > 1 else rates[0],
        "steps": descent.done,
        "stopped": descent.stopped or None,
        "losses": [_json_number(x) for x in descent.losses],
        "gradient_norms": [_json_number(x) for x in descent.norms],
        "mean_loss": [_json_number(x) for x in descent.overall] if descent.overall else None,
        "states": [_state_json(descent, s) for s in sorted(descent.states)],
        "start": _json_arrays(plan.start),
        "end": _json_arrays(descent.end),
    }


def _state_json(descent: Descent, step: int) -> dict[str, Any]:
    plan, state = descent.plan, descent.states[step]
    made = step < descent.done
    changes = {name: descent.change(step, name) for name in plan.moves}
    return {
        "step": step,
        "sample": step % plan.count if plan.count and state.gradients else None,
        "rate": plan.rate.at(step) if made else None,
        "nodes": {name: _json_number(v) for name, v in state.nodes.items()},
        "parameters": _json_arrays(state.parameters),
        "gradients": _json_arrays(state.gradients),
        "changes": _json_arrays({name: v for name, v in changes.items() if v is not None}),
    }


def _json_arrays(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _json_list(a.tolist()) for name, a in arrays.items()}


def _json_list(value: Any) -> Any:
    return [_json_list(v) for v in value] if isinstance(value, list) else _json_number(value)


def _json_number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) + 0.0 if math.isfinite(value) else None
