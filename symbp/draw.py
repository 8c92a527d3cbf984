"""`symbp draw`: from a network, and values if there are any, to a picture.

The one place where a picture gets its numbers: the circuit (or the graph itself) is derived by the
engine and evaluated at the point, so the gradient on every wire is a result like any other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbp.circuit import Circuit, is_scalar, split
from symbp.derive import derive, on_the_way
from symbp.errors import RequestError, nearest
from symbp.graph import Graph
from symbp.show.blocks import Figure
from symbp.show.picture.blocks import BlockView
from symbp.show.picture.circuits import CircuitView
from symbp.show.picture.dot import dot
from symbp.show.picture.mermaid import mermaid
from symbp.show.picture.picture import Picture
from symbp.show.picture.svg import svg
from symbp.show.picture.tikz import document, tikz
from symbp.show.style import Style
from symbp.show.words import languages, say
from symbp.steps import Derivation
from symbp.values import evaluate_at, in_layout

FORMATS = {"svg": svg, "tikz": tikz, "mermaid": mermaid, "dot": dot}
VIEWS = ("auto", "gates", "blocks")
MOST_GATES = 60  # a larger circuit is drawn as blocks, if gates are not asked for


def draw(
    graph: Graph,
    values: Mapping[str, Any] | None = None,
    lang: str = "en",
    view: str = "auto",
    derivation: Derivation | None = None,
    style: Style | None = None,
) -> Picture:
    """The picture of a network; with values of all leaves, the numbers on every wire.

    `view` is gates (scalar networks only), blocks, or auto. Raises RequestError for gates of a network
    with tensors, and where a value is missing or does not fit.
    """
    if view not in VIEWS:
        raise RequestError(f"--view must be one of {', '.join(VIEWS)}, not '{view}'. {nearest(view, VIEWS)}".strip())
    if lang not in languages():
        raise RequestError(f"--lang must be one of {', '.join(languages())}, not '{lang}'.")
    circuit = _circuit(graph, view)
    style = style or Style.of(graph.style)
    adjoints = frozenset(derivation.adjoints) if derivation else on_the_way(graph)
    make = CircuitView if circuit else BlockView
    if not values:
        return make(graph, circuit, adjoints, {}, {}, lang, style).picture()
    if graph.has_families:
        ends = " ".join(f"--set {b}=3" for b in graph.bounds)
        raise RequestError(f"Values are for a network whose loops are written out: say {ends} with them.")
    shown = circuit.graph if circuit else graph
    every = [n for n in shown.nodes if n not in (shown.loss, shown.given)]
    forward, backward = evaluate_at(derive(shown, every, closed=False, steps=False), values)
    backward[graph.loss] = np.ones(())
    backward = {name: in_layout(v, style.layout == "numerator") for name, v in backward.items()}
    return make(graph, circuit, frozenset(backward), _plain(forward), _plain(backward), lang, style).picture()


def figure(picture: Picture) -> Figure:
    """The picture as a block of a document."""
    return Figure(
        svg(picture, page=True),
        tikz(picture),
        mermaid(picture),
        caption=say("picture-caption" if any(w.back for w in picture.wires) else "picture-caption-gates", picture.lang),
        alt=picture.summary,
    )


def _circuit(graph: Graph, view: str) -> Circuit | None:
    if view == "blocks":
        return None
    if not is_scalar(graph) or graph.upstream:
        if view == "gates":
            raise RequestError("Only a network of single numbers is drawn gate by gate; this one has tensors.")
        return None
    circuit = split(graph)
    if circuit is None and view == "gates":
        raise RequestError("This network has too many gates to be drawn one by one. --view blocks draws its tensors.")
    return None if circuit is None or (view == "auto" and len(circuit.graph.nodes) > MOST_GATES) else circuit


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(v, dtype=float).tolist() for name, v in values.items()}


@dataclass(frozen=True)
class Drawing:
    """A picture that a user of the library holds: it shows itself in Jupyter, and `svg`, `tikz`,
    `mermaid` and `dot` are its text in each format."""

    picture: Picture

    @property
    def svg(self) -> str:
        return svg(self.picture)

    @property
    def tikz(self) -> str:
        return tikz(self.picture)

    @property
    def mermaid(self) -> str:
        return mermaid(self.picture)

    @property
    def dot(self) -> str:
        return dot(self.picture)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file; its suffix says the format: .svg, .tex (a document of its own), .mmd or .dot.

        Raises RequestError for another suffix."""
        suffix = os.path.splitext(path)[1]
        writers = {".svg": svg, ".tex": document, ".mmd": mermaid, ".dot": dot, ".gv": dot}
        if suffix not in writers:
            raise RequestError(f"{os.fspath(path)}: a picture is written as {', '.join(writers)}, not '{suffix}'.")
        with open(path, "w", encoding="utf-8") as file:
            file.write(writers[suffix](self.picture))

    def __repr__(self) -> str:
        return f"<Drawing of {self.picture.title}>"

    def _repr_svg_(self) -> str:
        return self.svg
