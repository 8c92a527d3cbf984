"""A line of numbers as a picture: in a terminal, and as SVG.

Both draw the same `Chart`: one series against its step. A `Scale` maps values to 0…1 and knows its
ticks, round numbers; it is logarithmic where all values are positive and their sizes differ by
more than LOG_FROM. In the terminal the line is drawn with braille dots, two by four in a
character; few points are marked as well.

Invariants: no line of the terminal picture is longer than asked for; values that are not finite
are left out; the SVG holds shapes and escaped text, nothing that runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.sax.saxutils import escape

from symbp.show.words import say

LOG_FROM = 1000.0
MARKED = 12  # up to so many points are marked one by one
HUGE = 1e300
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille character, by column and row
Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From `low` to `high`, both round numbers."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], log: bool | None = None) -> Scale:
        """A scale on which all the values lie."""
        low, high = min(values), max(values)
        if log is None:
            log = low > 0 and high / low > LOG_FROM
        if log:
            bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
            return cls(float(bottom), float(max(top, bottom + 1)), True)
        if low > 0 and low < 0.6 * high:
            low = 0.0
        if high == low:
            low, high = (0.0, 2 * high) if high > 0 else (2 * low, 0.0) if low < 0 else (0.0, 1.0)
        step = round_step((high - low) / 4)
        return cls(step * math.floor(low / step), step * math.ceil(high / step))

    def at(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end."""
        value = math.log10(value) if self.log else value
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most about so many ticks: place and label."""
        span = self.high - self.low
        step = float(math.ceil(span / max(most, 1))) if self.log else round_step(span / max(most, 1))
        count = math.floor(span / step + 1e-9)
        values = [self.low + n * step for n in range(count + 1)]
        if self.log:
            return [((v - self.low) / span, _power_of_ten(round(v))) for v in values]
        decimals = max(-math.floor(math.log10(step) + 1e-9), 0)
        return [((v - self.low) / span, _label(v, decimals)) for v in values]


def round_step(size: float) -> float:
    """The smallest of 1, 2, 5, 10, … that is at least this size."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= size * (1 - 1e-9))


def _label(value: float, decimals: int) -> str:
    if abs(value) >= 1e6 or decimals > 5:
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value + 0.0:.{decimals}f}"


def _power_of_ten(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -3 <= exponent <= 5 else f"1e{exponent}"


@dataclass(frozen=True)
class Chart:
    """`values[n]` against n. `what` names the values, `of` the network."""

    values: tuple[float, ...]
    what: str
    of: str = ""
    lang: str = "en"

    @cached_property
    def points(self) -> tuple[Point, ...]:
        return tuple((float(n), max(min(v, HUGE), -HUGE)) for n, v in enumerate(self.values) if math.isfinite(v))

    @cached_property
    def vertical(self) -> Scale:
        return Scale.over([v for _, v in self.points])

    @cached_property
    def across(self) -> float:
        """The last step, at least 1."""
        return max(self.points[-1][0], 1.0)

    @property
    def title(self) -> str:
        return say("plot-log" if self.vertical.log else "plot", self.lang, self.what)

    def placed(self) -> Iterator[Point]:
        """The points in the unit square, y upwards."""
        return ((x / self.across, self.vertical.at(y)) for x, y in self.points)

    def steps(self, most: int) -> list[tuple[float, str]]:
        """Ticks at whole steps."""
        stride = max(round_step(self.across / max(most, 1)), 1.0)
        return [(n * stride / self.across, f"{n * stride:.0f}") for n in range(int(self.across / stride + 1e-9) + 1)]


# ---- in the terminal --------------------------------------------------------------------------------


def terminal_plot(chart: Chart, width: int, height: int = 13) -> list[tuple[str, str, str]]:
    """Lines of a picture as (axis left of the line, the line, what follows), to be coloured apart."""
    if not chart.points:
        return []
    ticks = _rows_of_ticks(chart.vertical, height)
    margin = max(map(len, ticks.values())) + 2
    room = width - margin - 2
    rows = _drawn(chart, room, height)
    lines = []
    for n, row in enumerate(rows):
        label = ticks.get(n, "")
        lines.append((f"{label:>{margin}} {'┤' if label else '│'}", row.rstrip(), ""))
    marks, labels = _bottom(chart, room)
    lines.append((" " * (margin + 1) + "└" + marks, "", ""))
    lines.append((" " * (margin + 2) + labels, "", ""))
    return lines


def _rows_of_ticks(scale: Scale, height: int) -> dict[int, str]:
    """Row (from the top) -> label."""
    return {height - 1 - round(place * (height - 1)): label for place, label in scale.ticks(max(height // 3, 2))}


def _drawn(chart: Chart, width: int, height: int) -> list[str]:
    """The line itself, `height` rows of at most `width` characters."""
    across, up = 2 * width - 1, 4 * height - 4  # the ticks stand at the middle of their rows
    dots = [(round(x * across), round(y * up) + 2) for x, y in chart.placed()]
    cells = [[0] * width for _ in range(height)]
    for x, y in _joined(_thinned(dots)):
        row, column = height - 1 - y // 4, x // 2
        cells[max(row, 0)][column] |= DOTS[x % 2][3 - y % 4]
    rows = [[chr(0x2800 + c) if c else " " for c in row] for row in cells]
    if len(dots) <= MARKED:
        for x, y in dots:
            rows[max(height - 1 - y // 4, 0)][x // 2] = "●"
    return ["".join(row) for row in rows]


def _thinned(dots: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """At most four dots in each column: where it is entered, its ends, where it is left."""
    start = 0
    for n in range(1, len(dots) + 1):
        if n == len(dots) or dots[n][0] != dots[start][0]:
            heights = [y for _, y in dots[start:n]]
            for y in dict.fromkeys((heights[0], min(heights), max(heights), heights[-1])):
                yield dots[start][0], y
            start = n


def _joined(dots: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """All dots on the lines from each to the next."""
    last: tuple[int, int] | None = None
    for x, y in dots:
        if last is None:
            yield x, y
        else:
            reach = max(abs(x - last[0]), abs(y - last[1]), 1)
            for n in range(1, reach + 1):
                yield last[0] + round(n * (x - last[0]) / reach), last[1] + round(n * (y - last[1]) / reach)
        last = x, y


def _bottom(chart: Chart, width: int) -> tuple[str, str]:
    """The axis with its ticks, and the numbers under them; both fit the width."""
    marks, labels = ["─"] * width, [" "] * width
    free = 0
    for place, label in chart.steps(max(width // 12, 2)):
        column = min(round(place * (2 * width - 1)) // 2, width - 1)
        marks[column] = "┬"
        start = min(max(column - len(label) // 2, 0), width - len(label))
        if start >= free:
            labels[start : start + len(label)] = label
            free = start + len(label) + 1
    return "".join(marks), "".join(labels).rstrip()


# ---- SVG --------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 405, 84, 24, 52, 52
MOST_POINTS = 3000
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;fill:#24292f}"
    ".grid{stroke:#d0d7de;stroke-width:1}.axis{stroke:#57606a;stroke-width:1;fill:none}"
    ".line{stroke:#0b62c4;stroke-width:2;fill:none;stroke-linejoin:round}.dot{fill:#0b62c4}"
    ".paper{fill:#fff}"
)
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\ue000-\uf8ff]")


def svg_plot(chart: Chart) -> str:
    """The chart as an SVG document."""
    name = fit(f"{chart.of}: {chart.title}" if chart.of else chart.title)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    base = TOP + high
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{name}">',
        f"<title>{name}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="28">{name}</text>',
    ]
    for place, label in chart.vertical.ticks(5):
        y = base - place * high
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for place, label in chart.steps(8):
        x = LEFT + place * wide
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 5}"/>')
        parts.append(f'<text x="{x:.1f}" y="{base + 21}" text-anchor="middle">{label}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{base}H{LEFT + wide}"/>')
    parts.append(
        f'<text x="{LEFT + wide / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{say('descent-step', chart.lang)}</text>"
    )
    placed = [(LEFT + x * wide, base - y * high) for x, y in _thin_points(list(chart.placed()))]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in placed)}"/>')
    if len(placed) <= 40:
        parts.extend(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _thin_points(points: list[Point]) -> list[Point]:
    """Of many points, the lowest and the highest of every stretch, in their order."""
    if len(points) <= MOST_POINTS:
        return points
    stretch = math.ceil(len(points) / (MOST_POINTS // 2))
    kept = [points[0]]
    for n in range(0, len(points), stretch):
        part = points[n : n + stretch]
        kept.extend(sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])}))
    return [*kept, points[-1]]


def fit(text: str) -> str:
    """A text that XML can hold, escaped, without role marks and control characters."""
    return escape(_UNFIT.sub("", text), {'"': "&quot;", "'": "&apos;"})
