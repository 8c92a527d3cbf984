"""A picture as DOT for Graphviz. Places are given too: `neato -n` draws this layout, `dot` its own."""

from __future__ import annotations

from symbp.show.picture.ink import plain
from symbp.show.picture.picture import Box, Picture

_SHAPES = {"gate": "ellipse", "leaf": "plaintext", "data": "box", "block": "box", "loss": "box", "tag": "box"}
_FILL = {
    "gate": "#f3f6fa",
    "leaf": "#e8f1fb",
    "data": "#eeeeee",
    "block": "#f3f6fa",
    "loss": "#fff3d6",
    "tag": "#ffffff",
}
GREEN, RED = "#00735a", "#b34700"


def dot(p: Picture) -> str:
    """A directed graph; the way back is dashed."""
    number = {part.key: f"n{n}" for n, part in enumerate(p.parts)}
    places = {b.key: b for b in p.boxes}
    blocks = any(part.kind in ("block", "loss", "data") for part in p.parts)
    out = [
        f"digraph {_quoted(p.title)} {{",
        '  graph [rankdir=LR, fontname="Times"];',
        '  node [fontname="Times", fontsize=14, style="filled", fillcolor="#f3f6fa"];',
        '  edge [fontname="Times", fontsize=11, arrowsize=0.7];',
    ]
    for part in p.parts:
        b = places.get(part.key)
        shape = "box" if blocks and part.kind == "leaf" else _SHAPES[part.kind]
        style = "rounded,filled" if part.kind in ("leaf", "data", "tag") else "filled"
        label = "\\n".join(_escaped(plain(line)) for line in part.lines)
        where = f', pos="{_place(b, p)}", width={b.width / 72:.2f}, height={b.height / 72:.2f}' if b else ""
        out.append(
            f'  {number[part.key]} [label="{label}", shape={shape}, style="{style}", '
            f'fillcolor="{_FILL[part.kind]}"{where}];'
        )
    for f in p.flows:
        ends = f"{number[f.source]} -> {number[f.target]}"
        there = "\\n".join(_escaped(plain(i)) for i in f.forward)
        back = "\\n".join(_escaped(plain(i)) for i in f.backward)
        out.append(f'  {ends} [label="{there}", fontcolor="{GREEN}"];')
        if back:
            out.append(
                f'  {number[f.target]} -> {number[f.source]} [label="{back}", color="{RED}", fontcolor="{RED}", '
                f"style=dashed, constraint=false];"
            )
    return "\n".join([*out, "}"]) + "\n"


def _place(b: Box, p: Picture) -> str:
    return f"{b.x + b.width / 2:.1f},{p.height - b.y - b.height / 2:.1f}"


def _escaped(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'
