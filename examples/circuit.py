"""A circuit of two gates, f = (x + y) z, in SymPy.

symbp derive examples/circuit.py:net --at x=-2 --at y=5 --at z=-4
"""

import sympy as sp

import symbp as sb

x, y, z, q, f = sp.symbols("x y z q f")
net = sb.Network([sp.Eq(q, x + y), sp.Eq(f, q * z)], name="circuit")

if __name__ == "__main__":
    d = net.derive()
    print(d)
    print("gradient for x, as a SymPy expression:", d[x].expr)
    print("at x = -2, y = 5, z = -4:", d.at({x: -2, y: 5, z: -4})[x])
