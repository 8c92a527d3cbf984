"""A two-layer ReLU network in SymPy: derived, checked, and run as NumPy.

symbp derive examples/relu2.py:net --wrt W1
"""

import numpy as np
import sympy as sp

import symbp as sb

N, D, H, C = sp.symbols("N D H C", integer=True, positive=True)
X, W1 = sp.MatrixSymbol("X", N, D), sp.MatrixSymbol("W1", D, H)
W2, Y = sp.MatrixSymbol("W2", H, C), sp.MatrixSymbol("Y", N, C)
H1, A, P = sp.MatrixSymbol("H1", N, H), sp.MatrixSymbol("A", N, H), sp.MatrixSymbol("P", N, C)
L = sp.Symbol("L")

net = sb.Network(
    [
        sp.Eq(H1, X * W1),
        sp.Eq(A, sb.relu(H1)),
        sp.Eq(P, A * W2),
        sp.Eq(L, sb.total(sb.square(P - Y))),
    ],
    name="relu2",
    facts=["fixed(X, Y)"],
)

if __name__ == "__main__":
    d = net.derive(wrt=[W1, W2])
    print(d[W1].expr)
    print(d.check())

    rng = np.random.default_rng(0)
    data = {"X": rng.standard_normal((64, 10)), "Y": rng.standard_normal((64, 2))}
    weights = {"W1": rng.standard_normal((10, 5)), "W2": rng.standard_normal((5, 2))}
    step = d.lambdify()
    for n in range(5):
        loss, gradients = step(**data, **weights)
        print(f"step {n}: loss {loss:.2f}")
        weights = {name: w - 0.0005 * gradients[name] for name, w in weights.items()}
