"""Generated NumPy against hand-written NumPy: loss and all gradients, side by side.

    python benchmarks/code.py

Each network is generated with `symbp code`'s own function and compared with what a programmer
would write. Both run in turn in the same process; printed is the median of the ratios of
neighbouring measurements, which other load on the machine disturbs least. Target: at most 1.05.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from symbp.derive import derive
from symbp.program import functions
from symbp.read.network import read_network

Arrays = dict[str, Any]

RELU = """
X: (N, D)
W1: (D, H)
W2: (H, C)
Y: (N, C)
H1 = X @ W1
A = relu(H1)
P = A @ W2
L = sum((P - Y)**2)
assert fixed(X, Y)
"""

SOFTMAX = """
X: (N, D)
W: (D, C)
b: (C,)
T: (N, C)
Z = X @ W + b
P = softmax(Z, axis=1)
L = -sum(T*log(P))/N
assert onehot(T, axis=1)
assert fixed(X)
"""


def relu_by_hand(X: Any, W1: Any, W2: Any, Y: Any) -> tuple[Any, Arrays]:
    h = X @ W1
    a = np.maximum(h, 0)
    error = a @ W2 - Y
    loss = np.sum(error**2)
    grad_out = 2 * error
    grad_h = (grad_out @ W2.T) * (h > 0)
    return loss, {"W1": X.T @ grad_h, "W2": a.T @ grad_out}


def softmax_by_hand(X: Any, W: Any, b: Any, T: Any) -> tuple[Any, Arrays]:
    z = X @ W + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.sum(T * np.log(p)) / len(X)
    delta = (p - T) / len(X)
    return loss, {"W": X.T @ delta, "b": delta.sum(axis=0)}


def generated(text: str) -> Callable[..., tuple[Any, Arrays]]:
    """The loss and the gradients by the generated functions."""
    forward, backward = functions(derive(read_network(text, "net"), closed=False, steps=False))

    def run(*leaves: Any) -> tuple[Any, Arrays]:
        loss, cache = forward(*leaves)
        return loss, backward(cache)

    return run


def seconds(run: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def compare(name: str, ours: Callable[..., Any], hand: Callable[..., Any], leaves: tuple[Any, ...]) -> float:
    """The median ratio; the two must agree."""
    loss, gradients = ours(*leaves)
    expected_loss, expected = hand(*leaves)
    assert np.allclose(loss, expected_loss)
    assert all(np.allclose(gradients[w], expected[w]) for w in expected)
    pairs = []
    for n in range(200):
        order = (ours, hand) if n % 2 else (hand, ours)
        times = {f: seconds(lambda f=f: f(*leaves), 20) for f in order}  # type: ignore[misc]
        pairs.append((times[ours], times[hand]))
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (1e6 * statistics.median(p[k] for p in pairs) for k in (0, 1))
    print(f"{name:28} generated {a:8.1f} us   by hand {b:8.1f} us   ratio {ratio:.3f}")
    return ratio


def main() -> None:
    rng = np.random.default_rng(0)
    onehot = np.eye(10)[rng.integers(0, 10, 64)]
    relu = (rng.normal(size=(64, 1000)), rng.normal(size=(1000, 100)) / 30, rng.normal(size=(100, 8)) / 10)
    compare("ReLU 64 x 1000-100-8", generated(RELU), relu_by_hand, (*relu, rng.normal(size=(64, 8))))
    softmax = (rng.normal(size=(64, 784)), rng.normal(size=(784, 10)) / 28, np.zeros(10), onehot)
    compare("softmax 64 x 784-10", generated(SOFTMAX), softmax_by_hand, softmax)


if __name__ == "__main__":
    main()
