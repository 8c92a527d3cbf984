"""A picture as SVG: no script, no ids, colours as attributes.

On its own it carries a style for dark screens; as part of a page (`page=True`) it takes its black from
the text around it, and the page's style sheet may use `PAGE_CSS`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from symbp.show.picture.ink import runs
from symbp.show.picture.layout import Move
from symbp.show.picture.picture import Box, Picture, Text, Wire

SERIF = "'Times New Roman',Times,'Liberation Serif','Nimbus Roman','Songti SC','Noto Serif CJK SC',SimSun,serif"
INK, QUIET, PAPER = "#1b1f24", "#57606a", "#ffffff"
GREEN, RED = "#00735a", "#b34700"  # Okabe and Ito's pair, dark enough to read
FILL = {
    "gate": "#f3f6fa",
    "block": "#f3f6fa",
    "loss": "#fff3d6",
    "leaf": "#e8f1fb",
    "data": "#eeeeee",
    "tag": "#ffffff",
}
DARK = (
    ".sbp-paper{fill:#0d1117}.sbp-ink{fill:#e6edf3}.sbp-line{stroke:#e6edf3}.sbp-tip{fill:#e6edf3}"
    ".sbp-quiet{fill:#9ea7b3}.sbp-value{fill:#4cd3a5}.sbp-gradient{fill:#ffa366}.sbp-back{stroke:#ffa366}"
    ".sbp-backtip{fill:#ffa366}.sbp-gate,.sbp-block{fill:#1b2430}.sbp-loss{fill:#3a2f10}.sbp-leaf{fill:#12304d}"
    ".sbp-data{fill:#2a2e33}.sbp-tag{fill:#0d1117}"
)
PAGE_CSS = f"@media screen and (prefers-color-scheme:dark){{{DARK}}}"
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\ue000-\uf8ff]")
_ROLE = {"value": GREEN, "gradient": RED, "shape": QUIET}
_CLASS = {"value": "sbp-value", "gradient": "sbp-gradient", "shape": "sbp-quiet"}


def svg(p: Picture, page: bool = False) -> str:
    """The picture as an `<svg>` element, which is also a file."""
    ink = "currentColor" if page else INK
    wide, high = _n(p.width), _n(p.height)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img" font-family="{SERIF}" aria-label="{_fit(p.title)}">',
        f"<title>{_fit(p.title)}</title>",
        f"<desc>{_fit(p.summary)}</desc>",
    ]
    if not page:
        out.append(f"<style>{PAGE_CSS}</style>")
        out.append(f'<rect class="sbp-paper" width="{wide}" height="{high}" fill="{PAPER}"/>')
    out += [_wire(w, ink) for w in p.wires]
    out += [f'<circle class="sbp-tip" cx="{_n(x)}" cy="{_n(y)}" r="2.6" fill="{ink}"/>' for x, y in p.dots]
    out += [_box(b, ink) for b in p.boxes if b.kind != "copy"]
    out += [_text(t, ink) for t in (*p.labels, *p.legend)]
    return "\n".join([*out, "</svg>"]) + "\n"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _fit(text: str) -> str:
    return escape(_UNFIT.sub("", text), {'"': "&quot;", "'": "&apos;"})


def _wire(w: Wire, ink: str) -> str:
    line = (
        f'class="sbp-back" stroke="{RED}" stroke-width="1.2" stroke-dasharray="4 3"'
        if w.back
        else f'class="sbp-line" stroke="{ink}" stroke-width="1.3"'
    )
    found = f'<path {line} fill="none" d="{path(w.path)}"/>'
    if w.arrow:
        x, y, d = w.path[-1].x, w.path[-1].y, -1 if w.path[-1].x < w.path[-2].x else 1
        tip = f'class="sbp-backtip" fill="{RED}"' if w.back else f'class="sbp-tip" fill="{ink}"'
        found += f'<path {tip} d="M{_n(x)} {_n(y)}l{_n(-7 * d)} -3v6z"/>'
    return found


def path(moves: Sequence[Move]) -> str:
    """Lines with rounded corners, curves with level tangents."""
    out = [f"M{_n(moves[0].x)} {_n(moves[0].y)}"]
    for n in range(1, len(moves)):
        a, b = moves[n - 1], moves[n]
        if b.curved:
            mid = (a.x + b.x) / 2
            out.append(f"C{_n(mid)} {_n(a.y)} {_n(mid)} {_n(b.y)} {_n(b.x)} {_n(b.y)}")
            continue
        after = moves[n + 1] if n + 1 < len(moves) else None
        turn = after is not None and not after.curved and (a.x == b.x) != (b.x == after.x) and (a != b) and (b != after)
        if not turn or after is None:
            out.append(f"L{_n(b.x)} {_n(b.y)}")
            continue
        r = min(6.0, (abs(b.x - a.x) + abs(b.y - a.y)) / 2, (abs(after.x - b.x) + abs(after.y - b.y)) / 2)
        x0, y0 = _toward(b, a, r)
        x1, y1 = _toward(b, after, r)
        out.append(f"L{_n(x0)} {_n(y0)}Q{_n(b.x)} {_n(b.y)} {_n(x1)} {_n(y1)}")
    return "".join(out)


def _toward(a: Move, b: Move, r: float) -> tuple[float, float]:
    far = abs(b.x - a.x) + abs(b.y - a.y) or 1.0
    return a.x + (b.x - a.x) * r / far, a.y + (b.y - a.y) * r / far


def _box(b: Box, ink: str) -> str:
    tip = f"<title>{_fit(b.tip)}</title>" if b.tip else ""
    texts = "".join(_text(t, ink) for t in b.texts)
    if b.kind == "leaf" and len(b.texts) == 1 and b.texts[0].role == "name" and b.height == 22.0:
        return f"<g>{tip}{texts}</g>"  # a name at the start of its wire
    radius = {"gate": min(b.width, b.height) / 2, "leaf": 12.0, "data": 12.0, "tag": 12.0}.get(b.kind, 5.0)
    dash = ' stroke-dasharray="3 3"' if b.kind == "tag" else ""
    heavy = "1.8" if b.kind == "loss" else "1.1"
    rect = (
        f'<rect class="sbp-{b.kind} sbp-line" x="{_n(b.x)}" y="{_n(b.y)}" width="{_n(b.width)}" '
        f'height="{_n(b.height)}" rx="{_n(radius)}" fill="{FILL[b.kind]}" stroke="{ink}" stroke-width="{heavy}"{dash}/>'
    )
    return f"<g>{tip}{_stack(b, ink) if b.family else ''}{rect}{texts}</g>"


def _stack(b: Box, ink: str) -> str:
    """The edges of the cards behind the first."""
    found = ""
    for n in (2, 1):
        x, y, d = b.x + 3 * n, b.y - 3 * n, 3
        found += (
            f'<path class="sbp-line sbp-stack" fill="none" stroke="{ink}" stroke-width="1.1" d="M{_n(x)} {_n(y + d)}'
            f"L{_n(x)} {_n(y)}L{_n(x + b.width)} {_n(y)}L{_n(x + b.width)} {_n(y + b.height)}"
            f'L{_n(x + b.width - d)} {_n(y + b.height)}"/>'
        )
    return found


def _text(t: Text, ink: str) -> str:
    colour, kind = _ROLE.get(t.role, ink), _CLASS.get(t.role, "sbp-ink")
    spans, height = [], 0.0
    for r in runs(t.ink):
        rise = -r.rise * t.size
        marks = [f'dy="{_n(rise - height)}"'] if abs(rise - height) > 0.05 else []
        if r.size != 1.0:
            marks.append(f'font-size="{_n(t.size * r.size)}"')
        if r.slanted:
            marks.append('font-style="italic"')
        if r.bold:
            marks.append('font-weight="bold"')
        height = rise
        spans.append(f"<tspan {' '.join(marks)}>{_fit(r.text)}</tspan>" if marks else _fit(r.text))
    weight = ' font-weight="bold"' if t.role == "head" else ""
    return (
        f'<text class="{kind}" x="{_n(t.x)}" y="{_n(t.y)}" font-size="{_n(t.size)}" text-anchor="middle" '
        f'fill="{colour}"{weight} xml:space="preserve">{"".join(spans)}</text>'
    )
