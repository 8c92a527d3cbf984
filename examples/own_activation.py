"""Activations that symbp does not know: a formula, and a SymPy function with a slope of its own.

symbp derive examples/own_activation.py:net
"""

import sympy as sp

import symbp as sb

u = sp.Symbol("u")
isru = sp.Lambda(u, u / sp.sqrt(1 + u**2))  # SymPy differentiates it


class bump(sp.Function):
    """exp(-x²), whose slope is -2 x times its own value."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return -2 * self.args[0] * self

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return sp.exp(-(self.args[0] ** 2))._eval_evalf(prec)


n, m, k = sp.symbols("n m k", integer=True, positive=True)
x, t = sp.MatrixSymbol("x", n, 1), sp.MatrixSymbol("t", k, 1)
W1, W2 = sp.MatrixSymbol("W1", m, n), sp.MatrixSymbol("W2", k, m)
z1, a1 = sp.MatrixSymbol("z1", m, 1), sp.MatrixSymbol("a1", m, 1)
z2, a2 = sp.MatrixSymbol("z2", k, 1), sp.MatrixSymbol("a2", k, 1)
E = sp.Symbol("E")

net = sb.Network(
    [
        sp.Eq(z1, W1 * x),
        sp.Eq(a1, z1.applyfunc(isru)),
        sp.Eq(z2, W2 * a1),
        sp.Eq(a2, z2.applyfunc(bump)),
        sp.Eq(E, sb.total(sb.square(a2 - t)) / 2),
    ],
    name="own_activation",
    facts=["fixed(x, t)"],
)

if __name__ == "__main__":
    d = net.derive()
    print(d)
    print(d.check())
