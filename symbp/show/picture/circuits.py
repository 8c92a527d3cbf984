"""A network of numbers as a circuit: an operation is a circle, a leaf a label at the start of its wire, and every
wire carries its name and value above and its gradient below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symbp.circuit import inputs
from symbp.expr import Entry, Expr
from symbp.graph import Node
from symbp.show.picture.gates import keeps_order, label
from symbp.show.picture.ink import plain, width
from symbp.show.picture.layout import PASS
from symbp.show.picture.numbers import lines as number_lines
from symbp.show.picture.page import GATE, LEAD, TEXT, VALUE, Cell, Maker


class CircuitView(Maker):
    """Gates of one operation; LECTURES-style values above and gradients below each wire."""

    def cells(self) -> list[Cell]:
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

    def _cell(self, n: Node, column: Mapping[str, int]) -> Cell:
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
            return Cell(n.name, "copy", wide + 8 if below else 0.0, PASS, (), (), tuple(below), sources, stands="late")
        tip = self._tip(n, declared)
        if n.is_leaf:
            ink, body, height, kind = name, width(name, TEXT) + 8, 22.0, "leaf"
            stands = "early" if column.get(n.name, 0) <= 2 else ""
        else:
            assert n.body is not None
            ink, kind, stands = label(n.body, self.printer), "gate", ""
            height = max(GATE, 11.0 * len(sources) + 12)
            body = max(GATE, width(ink, TEXT) + 16)
        cell = Cell(
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
