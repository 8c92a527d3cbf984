"""What the simplifier costs, and what it could not prove: for those who work on it.

    python benchmarks/laws.py            the cost of simplifying a 12-layer MLP and an RNN of 6 steps
    python benchmarks/laws.py FILE…      the missing laws: folds that values propose and nothing proves

A missing law is a pair of expressions of one value at all points, of which the second is shorter.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from symbp import simplify
from symbp.arithmetic import length
from symbp.derive import derive
from symbp.read.network import read_network
from symbp.shorten import Shortener


def mlp(layers: int) -> str:
    lines = ["X: (N, D)", "Y: (N, D)", *(f"W{n}: (D, D)" for n in range(1, layers + 1)), "A0 = X*1"]
    for n in range(1, layers + 1):
        lines += [f"Z{n} = A{n - 1} @ W{n}", f"A{n} = tanh(Z{n})"]
    return "\n".join([*lines, f"L = sum((A{layers} - Y)**2)/(2*N)", "assert fixed(X, Y)", ""])


def rnn(steps: int) -> str:
    every = range(1, steps + 1)
    lines = ["h0: (H,)", "U: (H, H)", "V: (H, D)", "W: (O, H)"]
    lines += [f"x{t}: (D,)" for t in every] + [f"y{t}: (O,)" for t in every]
    for t in every:
        lines += [f"h{t} = tanh(U @ h{t - 1} + V @ x{t})", f"o{t} = W @ h{t}"]
    lines.append("L = " + " + ".join(f"sum((o{t} - y{t})**2)" for t in every))
    return "\n".join([*lines, *(f"assert fixed(x{t}, y{t})" for t in every), ""])


def cost() -> None:
    for name, text in (("mlp of 12 layers", mlp(12)), ("rnn of 6 steps", rnn(6))):
        graph = read_network(text)
        seconds = []
        for simplified in (False, True):
            start = time.process_time()
            derive(graph, simplify=simplified, closed=False)
            seconds.append(time.process_time() - start)
        print(f"{name}: {seconds[0]:.3f} s as the chain rule gives it, {seconds[1]:.3f} s simplified")
    for layers in (4, 8, 16, 32):
        forms = derive(read_network(mlp(layers)), closed=False, steps=False).adjoints.values()
        print(f"{layers} layers: {sum(length(a.delta) for a in forms)} operations in all δ forms")


def missing(path: str) -> None:
    made: list[Shortener] = []
    original = simplify.Shortener

    class Watched(original):  # type: ignore[misc, valid-type]
        def __post_init__(self) -> None:
            super().__post_init__()
            made.append(self)

    simplify.Shortener = Watched  # type: ignore[misc]
    derive(read_network(Path(path).read_text(encoding="utf-8")), steps=False)
    for shortener in made:
        for part, shorter in shortener.unproved:
            print(f"{path}: {part}  =?  {shorter}")


if __name__ == "__main__":
    for file in sys.argv[1:]:
        missing(file)
    if len(sys.argv) == 1:
        cost()
