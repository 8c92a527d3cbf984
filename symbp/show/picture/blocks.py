"""A network as blocks: one box for each tensor, with its name, its shape and the operation that makes it; the
backward pass runs beside every wire, dashed, with the name of the error that it carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from symbp.expr import Entry, Expr, Index, Size, walk
from symbp.family import shift_name, split
from symbp.graph import Node, adjoint
from symbp.index import same_size
from symbp.show.picture.ink import BACK, DOWN, plain, width, wrapped
from symbp.show.picture.numbers import lines as number_lines
from symbp.show.picture.page import LEAD, MOST_LINES, PAD, SMALL, STACK, TEXT, WIDEST, Cell, Maker, line_height
from symbp.show.words import say


class BlockView(Maker):
    """One box for each tensor, the backward pass beside the wires."""

    back_wires = True

    def cells(self) -> list[Cell]:
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

    def _cell(self, n: Node, sources: tuple[str, ...], loops: tuple[tuple[str, str], ...]) -> Cell:
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
        height = max(sum(line_height(size) for _, size, _ in inside) + 10, 26.0)
        cell = Cell(
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

    def _given(self, c: Cell) -> bool:
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
