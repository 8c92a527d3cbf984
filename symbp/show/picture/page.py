"""From boxes without a place to a page: what both views of a network share.

A view (circuits.py, blocks.py) says which cells there are and what is written in and beside them; here they get
their places from layout.py, far wires are cut into two ends with the same name, and labels, loops and the legend
are put beside them. Values and gradients are handed in; nothing is computed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from symbp.circuit import Circuit
from symbp.graph import Graph, Node
from symbp.show.math import MathPrinter
from symbp.show.picture.ink import Ink, plain, width
from symbp.show.picture.layout import PASS, Item, Layout, Link, Move, layers, layout
from symbp.show.picture.picture import Box, Flow, Part, Picture, Text, Wire
from symbp.show.style import Style
from symbp.show.words import say

TEXT, SMALL, LINE = 15.0, 11.5, 17.0  # sizes of letters, and from line to line
VALUE, VALUE_LINE = 12.5, 14.0
GATE = 34.0
PAD = 9.0
LEAD = 16.0  # a wire that carries no label
BESIDE = 5.0  # the way back runs so far below the wire
WIDEST = 190.0  # of a formula in a block
MOST_LINES = 4
STACK = 6.0  # what a stack shows of the cards behind the first
MOST_OVER_A_FOLD = 4  # wires from one row to the next, before long ones are cut
FAR = 9  # a wire over more columns becomes two ends with the same name
BORDER = 14.0
PAGE = 780.0


@dataclass(frozen=True)
class Cell:
    """A box before it has a place: its own width (the rest of the item is the lead of its wire), what is
    written inside, above and below the wire."""

    key: str
    kind: str
    body: float
    height: float
    inside: tuple[tuple[str, float, str], ...]  # ink, size, role
    above: tuple[tuple[str, str], ...] = ()  # ink, role
    below: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()
    in_order: bool = False
    stands: str = ""
    tip: str = ""
    lead: float = 0.0
    loops: tuple[tuple[str, str], ...] = ()  # where turns of a loop go on: from which box, as which member (an ink)
    family: bool = False

    @property
    def label_width(self) -> float:
        return max((width(ink, VALUE) for ink, _ in (*self.above, *self.below)), default=0.0)


class Maker:
    """What both views share: cells, wires, the page."""

    back_wires = False

    def __init__(
        self, graph: Graph, circuit: Circuit | None, adjoints: Collection[str],
        forward: Mapping[str, Any], backward: Mapping[str, Any], lang: str, style: Style,
    ) -> None:  # fmt: skip
        self.graph, self.circuit, self.adjoints, self.lang = graph, circuit, adjoints, lang
        self.forward, self.backward = forward, backward
        self.style = style
        self.printer = MathPrinter(graph, Ink(graph.latex, style, lang))

    def cells(self) -> list[Cell]:
        raise NotImplementedError

    def picture(self) -> Picture:
        cells = self.cells()
        names = {c.key: self.printer.tensor(c.key) for c in cells if c.key in self.graph.nodes}
        parts, flows = tuple(_parts(cells, names)), tuple(_flows(cells))
        column = layers([self._item(c) for c in cells], [Link(s, c.key) for c in cells for s in c.sources])
        far = {(s, c.key) for c in cells for s in c.sources if column[c.key] - column[s] > FAR}
        for _ in range(3):
            cells = self._tagged(cells, far)
            by_key = {c.key: c for c in cells}
            items = [self._item(c) for c in cells]
            links = [Link(s, c.key, self._pull(by_key[s], c)) for c in cells for s in c.sources]
            page = math.inf if any(c.loops for c in cells) else PAGE  # a loop is not folded
            placed = layout(items, links, page, PASS + BESIDE if self.back_wires else PASS)
            far = self._over_folds(links, placed, by_key)
            if not far:
                break
        return self._page(cells, links, placed, parts, flows)

    def _over_folds(self, links: Sequence[Link], placed: Layout, cells: Mapping[str, Cell]) -> set[tuple[str, str]]:
        """Wires that would run from one row to a later one and are better cut: those of leaves, and where
        many run, those that pass a column."""
        found: set[tuple[str, str]] = set()
        folds: dict[int, list[Link]] = {}
        for link in links:
            row, until = placed.rows[link.source], placed.rows[link.target]
            if row == until or not self._named(link.source):
                continue
            if cells[link.source].kind in ("leaf", "data"):
                found.add((link.source, link.target))
                continue
            for r in range(row, until):
                folds.setdefault(r, []).append(link)
        for crossing in folds.values():
            if len(crossing) > MOST_OVER_A_FOLD:
                long = (x for x in crossing if placed.columns[x.target] - placed.columns[x.source] > 1)
                found |= {(x.source, x.target) for x in long}
        return found

    def _item(self, c: Cell) -> Item:
        above, below = len(c.above) * VALUE_LINE + 2, len(c.below) * VALUE_LINE + (7 if self.back_wires else 2)
        height = max(c.height, 2 * max(above, below) if c.above or c.below else 0.0)
        return Item(c.key, c.body + c.lead, height, _ports(c, self.back_wires)[: len(c.sources)], c.in_order, c.stands)

    def _pull(self, source: Cell, target: Cell) -> float:
        """The chain of computed tensors is straight; leaves come from aside."""
        return 0.12 if source.kind in ("leaf", "data", "tag") and any(s != source.key for s in target.sources) else 1.0

    def _tagged(self, cells: list[Cell], far: Collection[tuple[str, str]]) -> list[Cell]:
        """These wires become tags with the name of their source."""
        by_key = {c.key: c for c in cells}
        found: list[Cell] = []
        for c in cells:
            cut = [s for s in c.sources if (s, c.key) in far and self._named(s)]
            if not cut:
                found.append(c)
                continue
            renamed = []
            for s in c.sources:
                if s not in cut:
                    renamed.append(s)
                    continue
                key = f"{s}⇢{c.key}"
                if key not in by_key:
                    ink = self._tag_ink(s)
                    own = Cell(
                        key,
                        "tag",
                        width(ink, TEXT) + 2 * PAD,
                        24.0,
                        ((ink, TEXT, "name"),),
                        tip=by_key[s].tip,
                        lead=LEAD,
                    )
                    by_key[key] = own
                    found.append(own)
                renamed.append(key)
            found.append(replace(c, sources=tuple(renamed)))
        return found

    def _named(self, key: str) -> bool:
        return key in self.graph.nodes

    def _tag_ink(self, key: str) -> str:
        return self.printer.tensor(self.circuit.source.get(key, key) if self.circuit else key)

    # -- the page --

    def _page(
        self, cells: list[Cell], links: list[Link], placed: Layout, parts: tuple[Part, ...], flows: tuple[Flow, ...]
    ) -> Picture:
        by_key = {c.key: c for c in cells}
        shift = BORDER
        boxes: list[Box] = []
        labels: list[Text] = []
        middle: dict[str, float] = {}
        for c in cells:
            x, top = placed.places[c.key]
            item = self._item(c)
            y = top + item.height / 2 + shift
            middle[c.key] = y
            boxes.append(self._box(c, x + shift, y))
            labels.extend(self._labels(c, x + shift, y))
        wires: list[Wire] = []
        starts: dict[tuple[float, float], int] = {}
        for link, path in zip(links, placed.paths):
            source, target = by_key[link.source], by_key[link.target]
            moved = [Move(m.x + shift, m.y + shift, m.curved) for m in path]
            start = (moved[0].x, moved[0].y)
            starts[start] = starts.get(start, 0) + 1
            moved[0] = Move(moved[0].x - source.lead, moved[0].y)
            moved.insert(1, Move(*start))
            end = _edge(target, middle[target.key], moved[-1])
            if target.kind == "copy":
                moved.append(Move(moved[-1].x + target.body, moved[-1].y))
            elif end > moved[-1].x:
                moved.append(Move(end, moved[-1].y))
            wires.append(Wire(tuple(moved), False, target.kind != "copy", link.source, link.target))
            if self.back_wires and self._flows_back(source, target):
                wires.append(Wire(_beside(moved), True, True, link.target, link.source))
        turning, low = self._turning(cells, placed, middle, shift)
        for wire, said in turning:
            wires += [wire, Wire(_beside(wire.path), True, True, wire.target, wire.source)]
            labels.extend(said)
        fed = {link.source for link in links} | {s for c in cells for s, _ in c.loops}
        for c in cells:
            if c.key not in fed and c.lead:
                x = placed.places[c.key][0] + shift + c.body
                wires.append(Wire((Move(x, middle[c.key]), Move(x + c.lead, middle[c.key])), False, True, c.key))
                if self.back_wires and self._given(c):
                    y = middle[c.key] + BESIDE
                    wires.append(Wire((Move(x + c.lead, y), Move(x, y)), True, True, "", c.key))
        dots = tuple(p for p, n in starts.items() if n > 1 and not self.back_wires)
        placed = replace(placed, height=placed.height + low)
        legend, size = self._legend(placed, shift)
        return Picture(
            self.graph.title or self.graph.name, self._summary(parts, flows), max(placed.width + 2 * shift, size[0]),
            placed.height + 2 * shift + size[1], tuple(boxes), tuple(wires), tuple(labels), dots, legend, parts, flows,
            dict(self.graph.latex), self.style, self.lang,
        )  # fmt: skip

    def _turning(
        self, cells: Sequence[Cell], placed: Layout, middle: Mapping[str, float], shift: float
    ) -> tuple[list[tuple[Wire, tuple[Text, ...]]], float]:
        """The arrows of loops, under everything: out to the right, back to the left, in at the lowest port;
        and how much room they take."""
        found: list[tuple[Wire, tuple[Text, ...]]] = []
        right: dict[int, float] = {}
        for c in cells:
            column, x = placed.columns[c.key], placed.places[c.key][0] + c.body + c.lead
            right[column] = max(right.get(column, x), x)
        by_key, low = {c.key: c for c in cells}, 0.0
        left_out, right_out = [0.0] * len(right), [0.0] * len(right)
        lanes: dict[tuple[str, str], tuple[float, float]] = {}  # what goes on as one member shares one line
        turns: dict[tuple[str, str, int], float] = {}
        for c in cells:
            for n, (source, ink) in enumerate(c.loops):
                origin, column = by_key[source], placed.columns[c.key]
                port = _ports(c, True)[len(c.sources) + n]
                start = placed.places[source][0] + shift + origin.body
                into, y = placed.places[c.key][0] + shift, middle[c.key] + port
                new = (source, ink) not in lanes
                if new:
                    at = placed.columns[source]
                    lanes[source, ink] = (right[at] + shift + 9 + right_out[at], placed.height + shift + low + 8)
                    right_out[at] += PASS + BESIDE
                    low += VALUE_LINE + PASS + BESIDE
                if (source, ink, column) not in turns:
                    turns[source, ink, column] = into - 11 - left_out[column]
                    left_out[column] += PASS + BESIDE
                (out, base), back = lanes[source, ink], turns[source, ink, column]
                corners = [
                    (start, middle[source]),
                    (out, middle[source]),
                    (out, base),
                    (back, base),
                    (back, y),
                    (into, y),
                ]
                wire = Wire(tuple(Move(*p) for p in corners), False, True, source, c.key)
                said = Text(ink, (out + back) / 2, base + VALUE + BESIDE + 2, VALUE, width(ink, VALUE), "name")
                found.append((wire, (said,) if new else ()))
        return found, low + (6 if low else 0)

    def _gradient(self, n: Node) -> str:
        """∂L/∂W as the conventions write it."""
        return self.printer.alphabet.gradient(self.printer.tensor(self.graph.loss), self.printer.tensor(n.name))

    def _given(self, c: Cell) -> bool:
        return False

    def _flows_back(self, source: Cell, target: Cell) -> bool:
        origin = source.key.partition("⇢")[0]
        return origin in self.adjoints and (target.key in self.adjoints or target.kind == "loss")

    def _box(self, c: Cell, x: float, y: float) -> Box:
        rows = [(ink, size, role) for ink, size, role in c.inside]
        total = sum(line_height(size) for _, size, _ in rows)
        texts, at = [], y - total / 2
        for ink, size, role in rows:
            step = line_height(size)
            texts.append(Text(ink, x + c.body / 2, at + step / 2 + size * 0.33, size, width(ink, size), role))
            at += step
        return Box(c.key, c.kind, x, y - c.height / 2, c.body, c.height, tuple(texts), c.tip, c.family)

    def _labels(self, c: Cell, x: float, y: float) -> Iterator[Text]:
        behind = STACK if c.family else 0.0
        left = x if c.kind == "copy" else x + c.body + behind
        room = c.body if c.kind == "copy" else c.lead - behind
        mid = left + room / 2
        for n, (ink, role) in enumerate(reversed(c.above)):
            yield Text(ink, mid, y - 5 - n * VALUE_LINE, VALUE, width(ink, VALUE), role)
        first = y + VALUE + (BESIDE + 1 if self.back_wires else 2)
        for n, (ink, role) in enumerate(c.below):
            yield Text(ink, mid, first + n * VALUE_LINE, VALUE, width(ink, VALUE), role)

    def _legend(self, placed: Layout, shift: float) -> tuple[tuple[Text, ...], tuple[float, float]]:
        loss = self.printer.tensor(self.graph.loss)
        if self.forward:
            said = [("value", say("picture-value", self.lang)), ("gradient", say("picture-gradient", self.lang, loss))]
        elif self.adjoints:
            said = [("gradient", self._backward_words(loss))]
        else:
            return (), (0.0, 0.0)
        texts: list[Text] = []
        y, x = placed.height + 2 * shift + 8, shift
        for role, ink in said:
            w = width(ink, SMALL)
            if texts and x + w > max(placed.width, 300.0):
                x, y = shift, y + 16
            texts.append(Text(ink, x + w / 2, y, SMALL, w, role))
            x += w + 18
        return tuple(texts), (max(t.x + t.width / 2 for t in texts) + shift, y - placed.height - 2 * shift + 8)

    def _backward_words(self, loss: str) -> str:
        return say("picture-below", self.lang, loss)

    def _summary(self, parts: Sequence[Part], flows: Sequence[Flow]) -> str:
        """The picture in words, for those who do not see it."""
        names = {p.key: plain(p.lines[0]).partition(": ")[0] for p in parts}
        fed: dict[str, list[str]] = {}
        for f in flows:
            fed.setdefault(f.target, []).append(names[f.source])
        said = []
        for p in parts:
            if p.kind == "tag" and fed.get(p.key) == [names[p.key]]:  # only the end of a wire
                continue
            head, *formula = map(plain, p.lines)
            name, _, shape = head.partition(": ")
            text = (f"{name} ({shape})" if shape else name) + (f" = {' '.join(formula)}" if formula else "")
            said.append(f"{text} ← {', '.join(fed[p.key])}" if p.key in fed and not formula else text)
        whole = "; ".join(said)
        return whole if len(whole) <= 1500 else whole[:1497] + "…"


# ---- geometry of boxes and wires ----------------------------------------------------------------------


def line_height(size: float) -> float:
    return LINE if size > SMALL else 14.0


def _ports(c: Cell, back: bool) -> tuple[float, ...]:
    """Where wires enter: spread over the left side; those of loops last."""
    count = len(c.sources) + len(c.loops)
    if not count:
        return ()
    if back:
        step = min(18.0, (c.height - 8) / count) if c.height < 18.0 * count + 8 else 18.0
        return tuple((n - (count - 1) / 2) * step - BESIDE / 2 for n in range(count))
    step = min((c.height - 10) / count, 18.0)
    return tuple((n - (count - 1) / 2) * step for n in range(count))


def _edge(c: Cell, y: float, at: Move) -> float:
    """Where a level wire at this height meets the box: gates are round at their ends."""
    if c.kind != "gate":
        return at.x
    radius = min(c.body, c.height) / 2
    off = abs(at.y - y)
    straight = c.height / 2 - radius
    inside = max(off - straight, 0.0)
    return at.x + radius - float((radius**2 - min(inside, radius) ** 2) ** 0.5)


def _beside(path: Sequence[Move]) -> tuple[Move, ...]:
    """The same way back, a little to the side: below where the wire runs level, beside it where it climbs."""
    found: list[Move] = []
    count = len(path)
    for n, m in enumerate(path):
        before, after = path[n - 1] if n else None, path[n + 1] if n + 1 < count else None
        dx = dy = 0.0
        for a, b in ((before, m), (m, after)):
            if a is None or b is None:
                continue
            curved = b.curved
            level = curved or abs(b.x - a.x) >= abs(b.y - a.y)
            if level:
                dy = BESIDE if curved or b.x >= a.x else -BESIDE
            else:
                dx = -BESIDE if b.y > a.y else BESIDE
        found.append(Move(m.x + dx, m.y + dy, m.curved))
    turned = [Move(found[-1].x, found[-1].y)]
    for a, b in pairwise(reversed(found)):
        turned.append(Move(b.x, b.y, a.curved))
    return tuple(turned)


# ---- the graph itself ----------------------------------------------------------------------------------


OUT = "⇥"


def _parts(cells: Sequence[Cell], names: Mapping[str, str]) -> Iterator[Part]:
    for c in cells:
        if c.kind != "copy":
            head, *rest = c.inside
            if rest and rest[0][2] == "shape":
                head, rest = (f"{head[0]}: {rest[0][0]}", *head[1:]), rest[1:]
            yield Part(c.key, c.kind, (head[0], *(ink for ink, _, _ in rest)))
    for c in _last(cells):
        yield Part(c.key + OUT, "tag", (names[c.key],))


def _flows(cells: Sequence[Cell]) -> Iterator[Flow]:
    by_key = {c.key: c for c in cells}
    for c in cells:
        if c.kind == "copy":
            continue
        for s in c.sources:
            copy = by_key[s] if by_key[s].kind == "copy" else None
            origin = by_key[copy.sources[0]] if copy else by_key[s]
            carried = copy or origin
            yield Flow(origin.key, c.key, tuple(i for i, _ in origin.above), tuple(i for i, _ in carried.below))
    for c in cells:
        for s, ink in c.loops:
            yield Flow(s, c.key, (ink,), tuple(i for i, _ in by_key[s].below))
    for c in _last(cells):
        yield Flow(c.key, c.key + OUT, tuple(i for i, _ in c.above), tuple(i for i, _ in c.below))


def _last(cells: Sequence[Cell]) -> list[Cell]:
    """What leaves the picture with something on its wire."""
    fed = {s for c in cells for s in (*c.sources, *(again for again, _ in c.loops))}
    return [c for c in cells if c.key not in fed and (c.above or c.below)]
