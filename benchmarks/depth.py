"""What depth and starting cost: whole processes, as a user waits for them.

    python benchmarks/depth.py

Dense tanh networks of 1 to 1,000 layers are written to files and derived by `symbp derive`, and so is
one of any depth, in a loop, which costs the same whatever its depth is; beside
each run, in turn, one `import sympy`, which is the yardstick: ratios hold on any machine, seconds
do not. Counted is processor time, which other load on the machine disturbs least; shown is the
median. Targets: 1,000 layers in at most 3 × `import sympy`, `symbp --help` in at most 1.5 × the
`--help` of a bare typer application. Exit code 1 when one is missed. The growth exponent (1 is
proportional to the depth) subtracts the start and means something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

DEPTHS = (1, 10, 100, 1000)
MOST_DERIVE, MOST_HELP = 3.0, 1.5

BARE = """
import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(name: str) -> None:
    pass


@app.command()
def stop(name: str) -> None:
    pass


app()
"""


def network(layers: int) -> str:
    """A dense tanh network with a squared error."""
    lines = ["a0: (D,)", "y: (D,)"]
    for n in range(1, layers + 1):
        lines += [f"W{n}: (D, D)", f"b{n}: (D,)"]
    for n in range(1, layers + 1):
        lines += [f"z{n} = W{n} @ a{n - 1} + b{n}", f"a{n} = tanh(z{n})"]
    return "\n".join([*lines, f"L = sum((a{layers} - y)**2)/2", "assert fixed(a0, y)", ""])


LOOP = """x: (n[0],)
y: (n[L],)
for l in range(1, L + 1):
    W[l]: (n[l], n[l-1])
    b[l]: (n[l],)
a[0] = x
for l in range(1, L + 1):
    z[l] = W[l] @ a[l-1] + b[l]
    a[l] = tanh(z[l])
E = sum((a[L] - y)**2)/2
assert fixed(x, y)
"""


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Processor time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(
    commands: Mapping[str, Sequence[str]], rounds: int, environment: Mapping[str, str]
) -> dict[str, list[float]]:
    """Times of every command, all run in turn; the first round only fills the caches."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for n in range(rounds + 1):
        for name, command in commands.items():
            t = seconds(command, environment)
            if n:
                taken[name].append(t)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description="What depth and starting cost.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    root = Path(__file__).resolve().parent.parent
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        path = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH", "")]))
        environment |= {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(Path(folder) / "cache"), "COLUMNS": "80"}
        symbp = [python, "-c", "from symbp.cli import main; main()"]
        commands: dict[str, Sequence[str]] = {"import sympy": [python, "-c", "import sympy"]}
        for depth in DEPTHS:
            file = Path(folder) / f"deep{depth}.symbp"
            file.write_text(network(depth), encoding="utf-8")
            commands[f"{depth} layers"] = [*symbp, "derive", str(file), "--form", "delta", "--check", "none"]
        file = Path(folder) / "any.symbp"
        file.write_text(LOOP, encoding="utf-8")
        commands["any depth"] = [*symbp, "derive", str(file), "--form", "delta", "--check", "none"]
        commands["symbp --help"] = [*symbp, "--help"]
        commands["bare typer --help"] = [python, "-c", BARE, "--help"]
        taken = measure(commands, rounds, environment)
    found = {name: statistics.median(times) for name, times in taken.items()}
    for name, t in found.items():
        print(f"{name:<18} {1000 * t:7.0f} ms  {t / found['import sympy']:5.2f} × import sympy")
    results = [
        ("1,000 layers / import sympy", found["1000 layers"] / found["import sympy"], MOST_DERIVE),
        ("symbp --help / bare typer --help", found["symbp --help"] / found["bare typer --help"], MOST_HELP),
    ]
    hundred, thousand = (
        statistics.median(t - start for t, start in zip(taken[f"{n} layers"], taken["1 layers"], strict=True))
        for n in (100, 1000)
    )
    print()
    if hundred > 0:
        print(f"{'growth exponent, 100 to 1,000 layers':<38} {math.log10(thousand / hundred):5.2f}")
    for name, value, most in results:
        print(f"{name:<38} {value:5.2f}   target ≤ {most}   {'met' if value <= most else 'MISSED'}")
    return int(any(value > most for _, value, most in results))


if __name__ == "__main__":
    sys.exit(main())
