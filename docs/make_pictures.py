"""Write the pictures that README and the pages show: docs/pictures/*.svg.

    python docs/make_pictures.py

A test compares the files with what this would write.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TWO_LAYERS = '''"""Two layers, ReLU, squared error"""
X:  (N, D)
W1: (D, H)
W2: (H, C)
Y:  (N, C)
Z = X @ W1
A = relu(Z)
P = A @ W2
L = sum((P - Y)**2)
assert fixed(X, Y)
'''
RESIDUAL = '''"""A residual block with a shared weight penalty"""
X: (N, D)
W: (D, D)
U = X @ W
A = relu(U)
O = A + X
L = sum(O**2) + 0.1*sum(W**2)
assert fixed(X)
'''
ANY_DEPTH = '''"""A network of any depth"""
f: () >> ()
C: (n[L],) >> ()
x: (n[0],)
for l in range(1, L + 1):
    W[l]: (n[l], n[l-1])
    b[l]: (n[l],)
a[0] = x
for l in range(1, L + 1):
    z[l] = W[l] @ a[l-1] + b[l]
    a[l] = f(z[l])
E = C(a[L])
'''
SIGMOID = ("w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3")
DRAWN = {
    "two-layers": (TWO_LAYERS, ()),
    "residual": (RESIDUAL, ()),
    "any-depth": (ANY_DEPTH, ()),
    "circuit": ("circuit-add-mul", ("x=-2", "y=5", "z=-4")),
    "fork": ("circuit-fork", ("x=1", "y=2", "z=-4")),
    "sigmoid": ("circuit-sigmoid", SIGMOID),
    "matrix-vector": ("l2-of-matvec", ("W=[[0.1, 0.5], [-0.3, 0.8]]", "x=[0.2, 0.4]")),
}


COLUMN, LINE, SIZE = 7.3, 17.5, 12  # of a letter on a screen
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK SC',monospace"
ANSI = {
    "1": "#ffffff", "2": "#8b949e", "32": "#56d364", "38;5;75": "#5fafff", "38;5;150": "#afd787", "38;5;222": "#ffd787",
    "38;5;209": "#ff875f", "1;38;5;176": "#d787d7",
}  # fmt: skip
PLAIN = "#e6edf3"


def first_look() -> str:
    """The network as text, and what `symbp derive` prints for it, in colour."""
    from symbp.commands import DeriveOptions, Screen, derive
    from symbp.read.network import read_network

    assert read_network(TWO_LAYERS).loss == "L"
    path = HERE.parent / "build" / "net.symbp"
    path.parent.mkdir(exist_ok=True)
    path.write_text(TWO_LAYERS, encoding="utf-8")
    printed, _ = derive([str(path)], DeriveOptions(wrt=("W1",), detail="full"), Screen(80, True))
    rows = printed.split("\n")
    start = next(n for n, row in enumerate(rows) if "──" in row and "W₁" in row)
    stop = next(n for n in range(start, len(rows)) if not rows[n].strip())
    shown = [re.sub(r"\d+e-1\d", "1e-16", row) for row in rows[start:stop]]  # the digit depends on the machine
    right = ["\x1b[2m$\x1b[0m \x1b[1msymbp derive net.symbp --wrt W1 --detail full\x1b[0m", "", *shown]
    left = [
        f"\x1b[2m{row}\x1b[0m" if row.startswith(('"', "assert")) else row for row in TWO_LAYERS.rstrip().split("\n")
    ]
    left = ["\x1b[2mnet.symbp\x1b[0m", "", *left]
    high = 30 + LINE * max(len(left), len(right))
    a, b = 39.5 * COLUMN, 84 * COLUMN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {a + b + 12:.0f} {high:.0f}" width="{a + b + 12:.0f}" '
        f'height="{high:.0f}" role="img" font-family="{MONO}" font-size="{SIZE}" '
        'aria-label="A network and its derivation">',
        "<title>A network of ten lines, and the derivation that symbp prints for it</title>",
        *screen(left, 0, a, high),
        *screen(right, a + 12, b, high),
        "</svg>",
    ]
    return "\n".join(out) + "\n"


def screen(rows: list[str], x: float, width: float, high: float) -> list[str]:
    """Lines with colours as letters on a dark ground, each run at its own column."""
    from html import escape

    from symbp.show.terminal import width_of

    out = [f'<rect x="{x:.1f}" width="{width:.1f}" height="{high:.1f}" rx="8" fill="#0d1117"/>']
    for n, row in enumerate(rows):
        column, colour, under = 0, PLAIN, False
        for piece in re.split("(\x1b\\[[0-9;]*m)", row):
            code = re.fullmatch("\x1b\\[([0-9;]*)m", piece)
            if code:
                under = code[1] == "4" or (under and code[1] not in ("24", "0"))
                colour = ANSI.get(code[1], colour if code[1] in ("4", "24") else PLAIN)
                continue
            for m in re.finditer(r"\S+(?: \S+)*", piece):
                at = x + 14 + COLUMN * (column + width_of(piece[: m.start()]))
                line = ' text-decoration="underline"' if under else ""
                y, long = 24 + LINE * n, COLUMN * width_of(m[0])
                out.append(
                    f'<text x="{at:.1f}" y="{y:g}" fill="{colour}" textLength="{long:.1f}"{line}>{escape(m[0])}</text>'
                )
            column += width_of(piece)
    return out


def pictures() -> dict[Path, str]:
    """Each file with its text."""
    sys.path.insert(0, str(ROOT))
    from symbp.draw import draw
    from symbp.read.network import read_network
    from symbp.show.picture.svg import svg
    from symbp.values import read_values
    from symbp.zoo import names, network

    found = {HERE / "pictures" / "first-look.svg": first_look()}
    for name, (net, at) in DRAWN.items():
        graph = network(net) if net in names() else read_network(net, name)
        found[HERE / "pictures" / f"{name}.svg"] = svg(draw(graph, read_values(graph, at)))
    return found


if __name__ == "__main__":
    for path, text in pictures().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
