"""What repeating costs: GPT-2 blocks stacked, and a recurrent network unrolled.

    python benchmarks/blocks.py

Networks of 1 to 48 transformer blocks (attention with heads, two layer norms, an MLP with GELU,
residuals, tied embeddings, cross-entropy, sizes all symbols; GPT-2 has 12) and recurrent networks
of 25 to 200 steps are derived in whole processes, in turn; counted is processor time, shown the
median. The growth exponent subtracts the smallest network: 1 is proportional. Exit code 1 above 1.3.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from depth import measure

MOST = 1.3
HEAD = """tokens: (T, V)
E: (V, D)
Pos: (T, D)
Y: (T, V)
eps = 0.00001
assert onehot(tokens, axis=1)
assert onehot(Y, axis=1)
X0 = tokens @ E + Pos
"""
BLOCK = """Wq{n}: (D, h, k)
Wk{n}: (D, h, k)
Wv{n}: (D, h, k)
Wo{n}: (h, k, D)
g{n}: (D,)
b{n}: (D,)
f{n}: (D,)
c{n}: (D,)
V{n}: (D, F)
v{n}: (F,)
W{n}: (F, D)
w{n}: (D,)
m{n} = mean(X{p}, axis=1, keepdims=True)
s{n} = sqrt(mean((X{p} - m{n})**2, axis=1, keepdims=True) + eps)
N{n} = (X{p} - m{n})/s{n}
H{n} = g{n}*N{n} + b{n}
Q{n} = einsum('td,dhk->htk', H{n}, Wq{n})
K{n} = einsum('td,dhk->htk', H{n}, Wk{n})
U{n} = einsum('td,dhk->htk', H{n}, Wv{n})
S{n} = einsum('htk,hsk->hts', Q{n}, K{n})/sqrt(k)
A{n} = softmax(where(causal_mask(T), S{n}, -inf), axis=2)
O{n} = einsum('hts,hsk->htk', A{n}, U{n})
R{n} = X{p} + einsum('htk,hkd->td', O{n}, Wo{n})
mm{n} = mean(R{n}, axis=1, keepdims=True)
ss{n} = sqrt(mean((R{n} - mm{n})**2, axis=1, keepdims=True) + eps)
M{n} = (R{n} - mm{n})/ss{n}
G{n} = f{n}*M{n} + c{n}
Z{n} = G{n} @ V{n} + v{n}
X{n} = R{n} + gelu(Z{n}) @ W{n} + w{n}
"""


def blocks(count: int) -> str:
    """So many GPT-2 blocks between tied embeddings."""
    body = "".join(BLOCK.format(n=n, p=n - 1) for n in range(1, count + 1))
    return f"{HEAD}{body}logits = X{count} @ E.T\nL = -sum(Y*log_softmax(logits))/T\n"


def recurrent(steps: int) -> str:
    """A recurrent network with shared weights and a loss at every step."""
    lines = ["U: (H, H)", "V: (H, D)", "h0: (H,)", "assert fixed(h0)"]
    for t in range(1, steps + 1):
        lines += [f"x{t}: (D,)", f"y{t}: (H,)", f"assert fixed(x{t}, y{t})"]
        lines += [f"h{t} = tanh(U @ h{t - 1} + V @ x{t})", f"E{t} = sum((h{t} - y{t})**2)/2"]
    return "\n".join([*lines, "J = " + " + ".join(f"E{t}" for t in range(1, steps + 1)), ""])


SERIES: dict[str, tuple[Callable[[int], str], Sequence[int]]] = {
    "blocks": (blocks, (1, 6, 12, 48)),
    "steps": (recurrent, (25, 50, 100, 200)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="What repeating costs.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(__file__).resolve().parent.parent
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "80"}
        symbp = [sys.executable, "-c", "from symbp.cli import main; main()", "derive"]
        commands = {}
        for name, (write, counts) in SERIES.items():
            for count in counts:
                file = Path(folder) / f"{name}{count}.symbp"
                file.write_text(write(count), encoding="utf-8")
                commands[f"{count} {name}"] = [*symbp, str(file), "--form", "delta", "--check", "none"]
        taken = measure(commands, rounds, environment)
    for name, (_, counts) in SERIES.items():
        least, *_, half, most = counts
        for count in counts:
            print(f"{count:>4} {name:<7} {1000 * statistics.median(taken[f'{count} {name}']):7.0f} ms")
        above = [
            statistics.median(
                t - start for t, start in zip(taken[f"{n} {name}"], taken[f"{least} {name}"], strict=True)
            )
            for n in (half, most)
        ]
        ideal = math.log((most - least) / (half - least))
        exponent = math.log(above[1] / above[0]) / ideal
        verdict = "met" if exponent <= MOST else "MISSED"
        print(f"     growth exponent, {half} to {most}: {exponent:.2f}   target ≤ {MOST}   {verdict}\n")
        missed = missed or exponent > MOST
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
