"""What the simplifier costs, and what it could not prove: for those who work on it.

    python benchmarks/laws.py            the cost of simplifying a 12-layer MLP and an RNN of 6 steps
    python benchmarks/laws.py FILE…      the missing laws: folds that values propose and nothing proves

Times are medians of processor time, every derivation in a process of its own, the two in turn. A
missing law is a pair of expressions of one value at all points, of which the second is shorter.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import numpy.random  # noqa: F401  (loaded once, before anything is timed)

from symbp import shorten
from symbp.arithmetic import length
from symbp.derive import derive
from symbp.graph import Graph
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


def seconds(graph: Graph, simplified: bool, closed: bool) -> float:
    """Processor time of one derivation, in a process of its own in which nothing was derived before."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        start = time.process_time()
        derive(graph, simplify=simplified, closed=closed)
        os.write(writer, repr(time.process_time() - start).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        taken = float(answer.read())
    os.waitpid(child, 0)
    return taken


def cost(rounds: int = 9) -> None:
    networks = [(f"mlp of {n} layers", mlp(n)) for n in (12, 100)] + [(f"rnn of {n} steps", rnn(n)) for n in (6, 24)]
    for name, text in networks:
        graph = read_network(text)
        for closed in (False, True) if name.endswith(("12 layers", " 6 steps")) else (False,):
            plain, short = (
                [*column]
                for column in zip(*([seconds(graph, s, closed) for s in (False, True)] for _ in range(rounds)))
            )
            ratio = statistics.median(b / a for a, b in zip(plain, short))
            print(
                f"{name}, {'δ and closed forms' if closed else 'δ forms'}: "
                f"{1e3 * statistics.median(plain):.1f} ms as the chain rule gives it, "
                f"{1e3 * statistics.median(short):.1f} ms simplified, {ratio:.1f} times as long"
            )
    for layers in (4, 8, 16, 32):
        forms = derive(read_network(mlp(layers)), closed=False, steps=False).adjoints.values()
        print(f"{layers} layers: {sum(length(a.delta) for a in forms)} operations in all δ forms")


def missing(path: str) -> None:
    made: list[Shortener] = []

    class Watched(shorten.Shortener):
        def __post_init__(self) -> None:
            super().__post_init__()
            made.append(self)

    shorten.Shortener = Watched  # type: ignore[misc]
    derive(read_network(Path(path).read_text(encoding="utf-8")), steps=False)
    for shortener in made:
        for part, shorter in shortener.unproved:
            print(f"{path}: {part}  =?  {shorter}")


if __name__ == "__main__":
    for file in sys.argv[1:]:
        missing(file)
    if len(sys.argv) == 1:
        cost()
