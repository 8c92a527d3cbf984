"""A picture as Mermaid, which GitHub, GitLab and notebooks draw from text.

Mermaid lays out for itself; what a wire carries forwards and backwards is written on it (`→ 3`,
`← −4`). Every label is quoted, and what could end a quotation or begin a tag is written as an entity.
"""

from __future__ import annotations

from unicodedata import combining

from symbp.show.picture.ink import plain
from symbp.show.picture.picture import Part, Picture

_SHAPES = {
    "gate": ('(("', '"))'), "leaf": ('(["', '"])'), "data": ('(["', '"])'), "loss": ('["', '"]'), "block": ('["', '"]'),
    "tag": ('(["', '"])'),
}  # fmt: skip
_UNSAFE = "\"'`#;&<>\\${}"
STYLE = (
    "classDef leaf fill:#e8f1fb,stroke:#1b1f24,color:#1b1f24",
    "classDef data fill:#eeeeee,stroke:#1b1f24,color:#1b1f24",
    "classDef gate fill:#f3f6fa,stroke:#1b1f24,color:#1b1f24",
    "classDef block fill:#f3f6fa,stroke:#1b1f24,color:#1b1f24",
    "classDef tag fill:#ffffff,stroke:#1b1f24,stroke-dasharray:3 3,color:#1b1f24",
    "classDef loss fill:#fff3d6,stroke:#1b1f24,stroke-width:2px,color:#1b1f24",
)


def mermaid(p: Picture) -> str:
    """The text of a flowchart, without a fence."""
    number = {part.key: f"n{n}" for n, part in enumerate(p.parts)}
    out = ["flowchart LR", f"  accTitle: {_line(p.title)}", f"  accDescr: {_line(p.summary)}"]
    for part in p.parts:
        out.append(f"  {number[part.key]}{_node(part)}:::{part.kind}")
    for f in p.flows:
        said = [*(f"→ {_escaped(i)}" for i in f.forward), *(f"← {_escaped(i)}" for i in f.backward)]
        arrow = f'-- "{"<br/>".join(said)}" -->' if said else "-->"
        out.append(f"  {number[f.source]} {arrow} {number[f.target]}")
    out += [f"  {s}" for s in STYLE if any(s.startswith(f"classDef {x.kind} ") for x in p.parts)]
    return "\n".join(out) + "\n"


def _node(part: Part) -> str:
    start, end = _SHAPES[part.kind]
    return f"{start}{'<br/>'.join(map(_escaped, part.lines))}{end}"


def _escaped(ink: str) -> str:
    return "".join(f"#{ord(c)};" if c in _UNSAFE else c for c in plain(ink) if c.isprintable())


def _line(text: str) -> str:
    """A title: one line without signs that Mermaid reads; `;` ends a statement."""
    text = text.replace("; ", ". ").replace(":", ",")
    return (
        "".join(
            c if c.isalnum() or combining(c) or c in " ,.=+−·×⊙∂←→/()₀₁₂₃₄₅₆₇₈₉²³ᵀσδ" else " " for c in text
        ).strip()
        or "network"
    )
