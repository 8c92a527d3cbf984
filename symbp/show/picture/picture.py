"""A network as a picture: boxes, wires and labels with places, once for all formats.

Two views of one graph. As a circuit (networks of scalars): an operation is a circle, a leaf a label
at the start of its wire, and every wire carries its name and value above and its gradient below.
As blocks: one box for each tensor, with its name, its shape and the operation that makes it; the
backward pass runs beside every wire, dashed, with the name of the error that it carries.

Nothing is computed here. Values and gradients are handed in; geometry comes from layout.py; formulas
are inks, which each format spells in its own way.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Any

from symbp.circuit import Circuit, inputs
from symbp.expr import Entry, Expr, Index, Size, walk
from symbp.family import shift_name, split
from symbp.graph import Graph, Node, adjoint
from symbp.index import same_size
from symbp.show.math import MathPrinter
from symbp.show.picture.gates import keeps_order, label
from symbp.show.picture.ink import BACK, DOWN, Ink, plain, width, wrapped
from symbp.show.picture.layout import PASS, Item, Layout, Link, Move, layers, layout
from symbp.show.picture.numbers import lines as number_lines
from symbp.show.style import USUAL, Style
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
class Text:
    """One line: an ink, the middle of its baseline, the size of its letters, its width as measured, and
    what it is: name, formula, shape, value, gradient."""

    ink: str
    x: float
    y: float
    size: float
    width: float
    role: str


@dataclass(frozen=True)
class Box:
    """What stands at a place: `kind` is gate, leaf, data, block, loss, tag or copy; the last three words of a
    tensor are what a pointer shows: `tip`. A `family` is drawn as a stack."""

    key: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Text, ...] = ()
    tip: str = ""
    family: bool = False


@dataclass(frozen=True)
class Wire:
    """A path from box to box; `back` for the backward pass, drawn in the direction in which it runs."""

    path: tuple[Move, ...]
    back: bool = False
    arrow: bool = True
    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class Flow:
    """A wire of the graph itself, for formats that do their own layout: what it carries both ways."""

    source: str
    target: str
    forward: tuple[str, ...] = ()
    backward: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A box of the graph itself: its lines as inks."""

    key: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A picture with everything in place. `legend` says what is above and below the wires; `summary`
    tells the picture in words."""

    title: str
    summary: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    labels: tuple[Text, ...]
    dots: tuple[tuple[float, float], ...]
    legend: tuple[Text, ...]
    parts: tuple[Part, ...]
    flows: tuple[Flow, ...]
    latex: Mapping[str, str] = field(default_factory=dict)
    style: Style = USUAL
    lang: str = "en"


@dataclass(frozen=True)
class _Cell:
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


def picture(
    graph: Graph,
    adjoints: Collection[str],
    circuit: Circuit | None = None,
    forward: Mapping[str, Any] | None = None,
    backward: Mapping[str, Any] | None = None,
    lang: str = "en",
    style: Style = USUAL,
) -> Picture:
    """The picture of a network, as a circuit if one is given.

    `adjoints` names the tensors that have a gradient ; `forward` and
    `backward` are values and gradients as numbers or nested lists, by the names of the nodes drawn.
    """
    make = _Circuit if circuit else _Blocks
    return make(graph, circuit, adjoints, forward or {}, backward or {}, lang, style).picture()


class _Maker:
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

    def cells(self) -> list[_Cell]:
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

    def _over_folds(self, links: Sequence[Link], placed: Layout, cells: Mapping[str, _Cell]) -> set[tuple[str, str]]:
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

    def _item(self, c: _Cell) -> Item:
        above, below = len(c.above) * VALUE_LINE + 2, len(c.below) * VALUE_LINE + (7 if self.back_wires else 2)
        height = max(c.height, 2 * max(above, below) if c.above or c.below else 0.0)
        return Item(c.key, c.body + c.lead, height, _ports(c, self.back_wires)[: len(c.sources)], c.in_order, c.stands)

    def _pull(self, source: _Cell, target: _Cell) -> float:
        """The chain of computed tensors is straight; leaves come from aside."""
        return 0.12 if source.kind in ("leaf", "data", "tag") and any(s != source.key for s in target.sources) else 1.0

    def _tagged(self, cells: list[_Cell], far: Collection[tuple[str, str]]) -> list[_Cell]:
        """These wires become tags with the name of their source."""
        by_key = {c.key: c for c in cells}
        found: list[_Cell] = []
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
                    own = _Cell(
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
        self, cells: list[_Cell], links: list[Link], placed: Layout, parts: tuple[Part, ...], flows: tuple[Flow, ...]
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
        self, cells: Sequence[_Cell], placed: Layout, middle: Mapping[str, float], shift: float
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

    def _given(self, c: _Cell) -> bool:
        return False

    def _flows_back(self, source: _Cell, target: _Cell) -> bool:
        origin = source.key.partition("⇢")[0]
        return origin in self.adjoints and (target.key in self.adjoints or target.kind == "loss")

    def _box(self, c: _Cell, x: float, y: float) -> Box:
        rows = [(ink, size, role) for ink, size, role in c.inside]
        total = sum(_line(size) for _, size, _ in rows)
        texts, at = [], y - total / 2
        for ink, size, role in rows:
            step = _line(size)
            texts.append(Text(ink, x + c.body / 2, at + step / 2 + size * 0.33, size, width(ink, size), role))
            at += step
        return Box(c.key, c.kind, x, y - c.height / 2, c.body, c.height, tuple(texts), c.tip, c.family)

    def _labels(self, c: _Cell, x: float, y: float) -> Iterator[Text]:
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


# ---- circuits ----------------------------------------------------------------------------------------


class _Circuit(_Maker):
    """Gates of one operation; LECTURES-style values above and gradients below each wire."""

    def cells(self) -> list[_Cell]:
        assert self.circuit is not None
        nodes = self.circuit.graph.nodes
        used = {t for n in nodes.values() if n.body is not None for t in inputs(n.body)}
        column = _depth(nodes)
        found = []
        for n in nodes.values():
            if n.is_leaf and n.name not in used:
                continue
            found.append(self._cell(n, column))
        return found

    def _cell(self, n: Node, column: Mapping[str, int]) -> _Cell:
        assert self.circuit is not None
        copy = n.name in self.circuit.source
        declared = n.name in self.graph.nodes
        above: list[tuple[str, str]] = []
        below: list[tuple[str, str]] = []
        name = self.printer.tensor(n.name) if declared else ""
        if n.name in self.forward and not copy:
            value = number_lines(self.forward[n.name])[0]
            above.append((f"{name} = {value}" if name and not n.is_leaf else value, "value"))
        elif name and not n.is_leaf:
            above.append((name, "name"))
        if n.name in self.backward:
            below.append((number_lines(self.backward[n.name], 3 if n.is_leaf else 2)[0], "gradient"))
        elif not self.forward and declared and n.name in self.adjoints and n.name != self.graph.loss:
            below.append((self._gradient(n), "gradient"))
        sources = inputs(n.body) if n.body is not None else ()
        if copy:
            wide = max((width(i, VALUE) for i, _ in below), default=0.0)
            return _Cell(n.name, "copy", wide + 8 if below else 0.0, PASS, (), (), tuple(below), sources, stands="late")
        tip = self._tip(n, declared)
        if n.is_leaf:
            ink, body, height, kind = name, width(name, TEXT) + 8, 22.0, "leaf"
            stands = "early" if column.get(n.name, 0) <= 2 else ""
        else:
            assert n.body is not None
            ink, kind, stands = label(n.body, self.printer), "gate", ""
            height = max(GATE, 11.0 * len(sources) + 12)
            body = max(GATE, width(ink, TEXT) + 16)
        cell = _Cell(
            n.name, kind, body, height, ((ink, TEXT, "name" if n.is_leaf else "gate"),), tuple(above), tuple(below),
            sources, n.body is not None and keeps_order(n.body), stands, tip,
        )  # fmt: skip
        return replace(cell, lead=max(cell.label_width + 12, LEAD))

    def _tip(self, n: Node, declared: bool) -> str:
        if n.body is None:
            return plain(self.printer.tensor(n.name))
        formula = plain(self.printer.index(self._whole(n.body), {}))
        return f"{plain(self.printer.tensor(n.name))} = {formula}" if declared else formula

    def _whole(self, body: Expr) -> Expr:
        """A gate's body with copies named as what they copy, and inner gates written out."""
        from symbp.expr import replace as rewrite

        assert self.circuit is not None
        nodes, source = self.circuit.graph.nodes, self.circuit.source

        def out(e: Expr) -> Expr | None:
            if not isinstance(e, Entry):
                return None
            name = source.get(e.tensor, e.tensor)
            if name in self.graph.nodes:
                return Entry(name)
            inner = nodes[name].body
            assert inner is not None
            return rewrite(inner, out)

        return rewrite(body, out)

    def _named(self, key: str) -> bool:
        assert self.circuit is not None
        return key in self.graph.nodes or self.circuit.source.get(key, "") in self.graph.nodes


def _depth(nodes: Mapping[str, Node]) -> dict[str, int]:
    """For each leaf the column of the first gate that takes it."""
    column: dict[str, int] = {}
    first: dict[str, int] = {}
    for n in nodes.values():
        column[n.name] = 0 if n.body is None else max((column[t] + 1 for t in inputs(n.body)), default=0)
        for t in inputs(n.body) if n.body is not None else ():
            first[t] = min(first.get(t, column[n.name]), column[n.name])
    return first


# ---- blocks ----------------------------------------------------------------------------------------


class _Blocks(_Maker):
    """One box for each tensor, the backward pass beside the wires."""

    back_wires = True

    def cells(self) -> list[_Cell]:
        graph = self.graph
        hidden = {graph.given, graph.loss} if graph.upstream else set()
        order = {name: n for n, name in enumerate(graph.nodes)}
        wired = {n.name: self._sources(n, order) for n in graph.inner}
        used = {s for before, again in wired.values() for s in (*before, *(a for a, _ in again))} | {graph.loss}
        nodes = [n for n in graph.nodes.values() if n.name not in hidden and n.name in used]
        return [self._cell(n, *wired.get(n.name, ((), ()))) for n in nodes]

    def _sources(self, n: Node, order: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The boxes whose tensors a node takes, and those that it takes from the turn before: a later line
        of the same loop, or itself."""
        before: dict[str, None] = {}
        again: dict[tuple[str, str], None] = {}
        for tensor in _taken(n):
            if tensor in self.graph.nodes:
                before.setdefault(tensor)
                continue
            for piece in self.graph.pieces(tensor):
                if not _may_be(piece, tensor, n):
                    continue
                if order[piece.name] < order[n.name]:
                    before.setdefault(piece.name)
                else:
                    again.setdefault((piece.name, self.printer.tensor(tensor)))
        return tuple(before), tuple(again)

    def _cell(self, n: Node, sources: tuple[str, ...], loops: tuple[tuple[str, str], ...]) -> _Cell:
        name = self.printer.tensor(n.name)
        shape = "×".join(self.printer.size(d) for d in n.shape)
        loss = n.name == (self.graph.upstream or self.graph.loss)
        above: list[tuple[str, str]] = []
        below: list[tuple[str, str]] = []
        if n.name in self.forward:
            above += [(ink, "value") for ink in number_lines(self.forward[n.name])]
        if n.name in self.backward:
            below += [(ink, "gradient") for ink in number_lines(self.backward[n.name], 3 if n.is_leaf else 2)]
        elif not self.forward and (n.name in self.adjoints or (loss and self.graph.upstream)):
            below.append((self._error(n), "gradient"))
        tip = f"{plain(name)}: {plain(shape) or say('scalar', self.lang)}"
        if n.is_leaf:
            kind = "data" if self.printer.roles.get(n.name) == "data" else "leaf"
            inside: list[tuple[str, float, str]] = [(name, TEXT, "name")]
            if shape:
                inside.append((shape, SMALL, "shape"))
        else:
            kind = "loss" if n.name == self.graph.loss else "block"
            left, formula = self._formula(n)
            inside = [(left, TEXT, "head")]
            if shape:
                inside.append((shape, SMALL, "shape"))
            shown = wrapped(formula, TEXT - 1, WIDEST)
            if len(shown) > MOST_LINES:
                shown = (*shown[: MOST_LINES - 1], "…")
            inside += [(line, TEXT - 1, "formula") for line in shown]
            tip = f"{plain(left)} = {plain(formula)}" + (f", {plain(shape)}" if shape else "")
        if n.loops:
            inside.append((self.printer.turns(n.loops), SMALL, "shape"))
        body = max(width(ink, size) for ink, size, _ in inside) + 2 * PAD
        height = max(sum(_line(size) for _, size, _ in inside) + 10, 26.0)
        cell = _Cell(
            n.name, kind, max(body, 40.0), max(height, 18.0 * (len(sources) + len(loops)) + 8), tuple(inside),
            tuple(above), tuple(below), sources, tip=tip, loops=loops, family=bool(n.loops),
        )  # fmt: skip
        last = n.name == self.graph.loss and not below and not above
        return replace(cell, lead=0.0 if last else max(cell.label_width + 12, LEAD) + (STACK if n.loops else 0.0))

    def _error(self, n: Node) -> str:
        if n.is_leaf:
            return self._gradient(n)
        return self.printer.tensor(adjoint(n.name))

    def _formula(self, n: Node) -> tuple[str, str]:
        """Left side and right side, as matrices if possible, else by entries."""
        assert n.body is not None
        name = self.printer.tensor(n.name)
        matrix = self.printer.matrix(n.body, n.axes)
        if matrix is not None:
            return name, matrix
        letters = self.printer.letters_for(n.indices)
        places = [letters[a] if isinstance(a, Index) else "0" for a in n.axes]
        left = f"{name}{DOWN}{','.join(places)}{BACK}" if places else name
        return left, self.printer.index(n.body, letters)

    def _backward_words(self, loss: str) -> str:
        return say("picture-back", self.lang, loss)

    def _given(self, c: _Cell) -> bool:
        return bool(self.graph.upstream) and c.key == self.graph.upstream


def _may_be(piece: Node, tensor: str, n: Node) -> bool:
    """Whether a member of a family, as a node's body names it, can be one of this piece's: where the piece has a
    fixed number, the member has it at an end of the node's loops."""
    own = split(piece.name)[1]
    turning = {loop.var for loop in piece.loops}
    fixed = [k for k, e in enumerate(own) if not any(isinstance(x, Size) and x.name in turning for x in walk(e))]
    ends = (((loop.var, loop.low), (loop.var, loop.high)) for loop in n.loops)
    corners = (split(shift_name(tensor, dict(corner)))[1] for corner in product(*ends))
    return any(len(m) == len(own) and all(same_size(m[k], own[k]) for k in fixed) for m in corners)


def _taken(n: Node) -> tuple[str, ...]:
    """The tensors that a body takes, in the order in which it names them."""
    found: dict[str, None] = {}

    def walk(e: Expr) -> None:
        if isinstance(e, Entry):
            found.setdefault(e.tensor)
        if e.tensors:
            for a in e.args:
                walk(a)

    assert n.body is not None
    walk(n.body)
    return tuple(found)


# ---- geometry of boxes and wires ----------------------------------------------------------------------


def _line(size: float) -> float:
    return LINE if size > SMALL else 14.0


def _ports(c: _Cell, back: bool) -> tuple[float, ...]:
    """Where wires enter: spread over the left side; those of loops last."""
    count = len(c.sources) + len(c.loops)
    if not count:
        return ()
    if back:
        step = min(18.0, (c.height - 8) / count) if c.height < 18.0 * count + 8 else 18.0
        return tuple((n - (count - 1) / 2) * step - BESIDE / 2 for n in range(count))
    step = min((c.height - 10) / count, 18.0)
    return tuple((n - (count - 1) / 2) * step for n in range(count))


def _edge(c: _Cell, y: float, at: Move) -> float:
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


def _parts(cells: Sequence[_Cell], names: Mapping[str, str]) -> Iterator[Part]:
    for c in cells:
        if c.kind != "copy":
            head, *rest = c.inside
            if rest and rest[0][2] == "shape":
                head, rest = (f"{head[0]}: {rest[0][0]}", *head[1:]), rest[1:]
            yield Part(c.key, c.kind, (head[0], *(ink for ink, _, _ in rest)))
    for c in _last(cells):
        yield Part(c.key + OUT, "tag", (names[c.key],))


def _flows(cells: Sequence[_Cell]) -> Iterator[Flow]:
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


def _last(cells: Sequence[_Cell]) -> list[_Cell]:
    """What leaves the picture with something on its wire."""
    fed = {s for c in cells for s in (*c.sources, *(again for again, _ in c.loops))}
    return [c for c in cells if c.key not in fed and (c.above or c.below)]
