"""Write the pictures that README and the pages show: docs/pictures/*.svg.

    python docs/make_pictures.py

A test compares the files with what this would write.
"""

from __future__ import annotations

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


def pictures() -> dict[Path, str]:
    """Each file with its text."""
    sys.path.insert(0, str(ROOT))
    from symbp.draw import draw
    from symbp.read.network import read_network
    from symbp.show.picture.svg import svg
    from symbp.values import read_values
    from symbp.zoo import names, network

    found = {}
    for name, (net, at) in DRAWN.items():
        graph = network(net) if net in names() else read_network(net, name)
        found[HERE / "pictures" / f"{name}.svg"] = svg(draw(graph, read_values(graph, at)))
    return found


if __name__ == "__main__":
    for path, text in pictures().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
