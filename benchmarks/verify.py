"""How many claims a second of one core: right ones, and wrong ones with their diagnosis, for a two-layer network.

    python benchmarks/verify.py

The network is read, derived and sampled once, and one claim of each kind is judged (the start-up); then every claim is
new to the judge.
"""

from __future__ import annotations

import time

from symbp.judge.points import Points
from symbp.judge.verdict import Judge
from symbp.read.claims import ClaimReader
from symbp.read.network import read_network

NETWORK = """
X: (N, D)
W1: (D, H)
b1: (H,)
W2: (H, C)
b2: (C,)
Y: (N, C)
Z = X @ W1 + b1
A = sigmoid(Z)
P = A @ W2 + b2
L = sum((P - Y)**2)/N
"""
RIGHT = [
    "dP = {k}*(P - Y)/N/{h}",
    "dW2 = {k}*A.T @ dP/{k}",
    "db2 = sum({k}*dP, axis=0)/{k}",
    "dA = dP @ W2.T*{k}/{k}",
    "dZ = {k}*dA*A*(1 - A)/{k}",
    "dW1 = X.T @ (2*(P - Y)/N @ W2.T*A*(1 - A))*{k}/{k}",
    "db1 = np.sum(dZ*{k}, axis=0)/{k}",
]
WRONG = [
    "dP = {k}*(P - Y)",
    "dW2 = A @ dP*{k}/{k}",
    "db2 = {k}*dP/{k}",
    "dA = {k}*dP @ W2/{k}",
    "dZ = {k}*dA*A*(1 + A)/{k}",
    "dZ = {k}*dA/{k}",
    "dW1 = X.T @ ({k}*dA)/{k}",
    "dW1 = {k}*dZ @ X.T/{k}",
    "db1 = np.sum({k}*dZ, axis=1)/{k}",
    "dW1 = X.T @ (2*(P - Y)/N @ W2.T*A)*{k}/{k}",
]


def rate(points: Points, lines: list[str], rounds: int) -> tuple[float, set[str]]:
    """Claims a second, and the verdicts; the right formulas of every gradient are made before."""
    reader, judge = ClaimReader(points.graph), Judge(points)
    for line in lines:
        judge(reader.line(line.format(k=2, h=1)))
    texts = [line.format(k=k, h=k / 2) for k in range(3, 3 + rounds) for line in lines]
    start, verdicts = time.process_time(), set()
    for text in texts:
        verdicts.add(judge(reader.line(text)).verdict)
    return len(texts) / (time.process_time() - start), verdicts


def main() -> None:
    start = time.process_time()
    points = Points(read_network(NETWORK, "two-layers"))
    print(f"start-up (network, derivation, points)   {time.process_time() - start:6.2f} s")
    for name, lines, rounds in (
        ("right claims, proved where possible", RIGHT, 30),
        ("wrong claims, diagnosed", WRONG, 12),
    ):
        speed, verdicts = rate(points, lines, rounds)
        print(f"{name:<40} {speed:6.0f} a second   ({', '.join(sorted(verdicts))})")


if __name__ == "__main__":
    main()
