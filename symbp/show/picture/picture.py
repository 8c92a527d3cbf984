"""What a picture is made of: boxes, wires and labels with places, once for all formats.

Nothing is computed here. Formulas are inks, which each format spells in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symbp.show.picture.layout import Move
from symbp.show.style import USUAL, Style


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
