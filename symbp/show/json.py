"""Derivation → the JSON of CONTRACT.md, schema 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from symbp.expr import Expr, Num, Size
from symbp.form import NotReducible
from symbp.graph import Node
from symbp.numpy_code import numpy_text
from symbp.show.alphabet import Latex, Unicode, plain
from symbp.show.blocks import Row
from symbp.show.document import Options, Writer
from symbp.show.math import MathPrinter
from symbp.sizes import size_text
from symbp.steps import Adjoint, Checked, Derivation

SCHEMA = 1


def derivation_json(derivation: Derivation, options: Options) -> dict[str, Any]:
    """One object for one network."""
    return Encoder(derivation, options).whole()


class Encoder:
    """Holds the printers while one derivation is written."""

    def __init__(self, derivation: Derivation, options: Options) -> None:
        self.derivation, self.options = derivation, options
        self.graph = derivation.graph
        self.latex = MathPrinter(self.graph, Latex(self.graph.latex))
        self.unicode = MathPrinter(self.graph, Unicode())

    def whole(self) -> dict[str, Any]:
        d, graph = self.derivation, self.graph
        result: dict[str, Any] = {
            "schema": SCHEMA,
            "network": graph.name,
            "loss": graph.loss,
            "assumptions": list(dict.fromkeys(f.text or f.kind for f in graph.facts)),
            "gradients": [self.gradient(a) for a in d.gradients],
            "deltas": [self.delta(a) for a in d.deltas],
            "steps": list(self.steps()),
        }
        if graph.relations:
            result["relations"] = {k: size_text(v) for k, v in graph.relations.items()}
        if d.left_out:
            result["left_out"] = dict(d.left_out)
        if graph.warnings:
            result["warnings"] = list(graph.warnings)
        return result

    def gradient(self, a: Adjoint) -> dict[str, Any]:
        item: dict[str, Any] = {"wrt": a.node.name, **case_json(a), "shape": shape_json(a.node.shape)}
        item["delta_form"] = self.form(a.delta, a.node, number=True) if self.options.form != "closed" else None
        item["closed_form"] = self.form(a.closed, a.node, a.why) if self.options.form != "delta" else None
        if a.chain is not None:
            item["product"] = self.latex.chain(a.chain)
        if a.because:
            item["because"] = list(a.because)
        checked = self.derivation.checked_of(a)
        item["check"] = check_json(checked) if checked else None
        return item

    def delta(self, a: Adjoint) -> dict[str, Any]:
        delta = self.form(a.delta, a.node, number=True)
        item: dict[str, Any] = {"node": a.node.name, **case_json(a)}
        item |= {"shape": shape_json(a.node.shape), "numpy": delta["numpy"]}
        item["closed_numpy"] = self.numpy(a.closed, a.node)[0] if a.closed is not None else None
        item["latex"] = delta["latex"]
        if a.chain is not None:
            item["product"] = self.latex.chain(a.chain)
        if delta["numpy"] is None:
            item["why"] = delta["why"]
        elif a.closed is None and a.why:
            item["why"] = a.why
        checked = self.derivation.checked_of(a)
        if checked:
            item["check"] = check_json(checked)
        return item

    def form(self, e: Expr | None, node: Node, why: str = "", number: bool = False) -> dict[str, Any]:
        if e is None:
            return {"numpy": None, "latex": None, "index": None, "why": why or "not asked for"}
        letters = self.unicode.letters_for(node.indices)
        shown = self.latex.matrix(e, node.axes) or self.latex.index(e, letters)
        text, reason = self.numpy(e, node, number)
        result = {"numpy": text, "latex": shown, "index": plain(self.unicode.index(e, letters))}
        if text is None:
            result["why"] = reason
        return result

    def numpy(self, e: Expr, node: Node, number: bool = False) -> tuple[str | None, str]:
        """The text in the network language, or None and why there is none."""
        try:
            return numpy_text(self.graph, e, node.axes, number), ""
        except NotReducible as why:
            return None, str(why)

    def steps(self) -> list[dict[str, Any]]:
        if self.options.detail == "brief":
            return []
        options = replace(self.options, marked=False)
        tex = Writer(self.derivation, Latex(self.graph.latex), options)
        uni = Writer(self.derivation, Unicode(), options)
        found: list[dict[str, Any]] = []
        for a in self.derivation.adjoints.values():
            rules: list[str] = []
            rows: list[tuple[Row, Row]] = []
            for step in self.derivation.steps_of(a):
                rows += zip(tex.step(step, a), uni.step(step, a))
                rules += [step.rule] * (len(rows) - len(rules))
            rows += [(one, two) for one, two in zip(tex.final(a), uni.final(a)) if one.right]
            rules += ["matrix-form"] * (len(rows) - len(rules))
            left = rows[0] if rows else None
            for rule, pair in zip(rules, rows):
                left = pair if pair[0].left else left  # a line without a left side continues the one above
                assert left is not None
                one, two = (replace(r, left=above.left) for r, above in zip(pair, left))
                found.append(step_json(len(found) + 1, a.node.name, rule, one, two))
        return found


def step_json(number: int, about: str, rule: str, one: Row, two: Row) -> dict[str, Any]:
    """One line of a step, in LaTeX and as text."""
    equals = " = " if one.left else "= "
    return {
        "number": number,
        "about": about,
        "rule": rule,
        "latex": one.left + equals + one.right,
        "text": plain(two.left + equals + two.right),
    }


def case_json(a: Adjoint) -> dict[str, Any]:
    """Of symbolic depth: which case it is, and the first and last number that it holds for."""
    item: dict[str, Any] = {"case": a.case} if a.case else {}
    if a.node.loops:
        item["for"] = {x.var: [size_text(x.low), size_text(x.high)] for x in a.node.loops}
    return item


def shape_json(shape: Iterable[Expr]) -> list[str | int]:
    """Names of sizes, or numbers where they were literal."""
    found: list[str | int] = []
    for d in shape:
        if isinstance(d, Num):
            found.append(int(d.value))
        elif isinstance(d, Size) and d.name.isdigit():
            found.append(int(d.name))
        else:
            found.append(size_text(d))
    return found


def check_json(c: Checked) -> dict[str, Any]:
    error = None if c.error != c.error else c.error
    result: dict[str, Any] = {"max_relative_error": error, "points": c.points, "ok": c.ok, "method": c.method}
    if c.note:
        result["note"] = c.note
    return result
