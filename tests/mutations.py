"""Mutated formulas: what published formulas become under random edits. Run by itself, it is the long fuzz:

    python tests/mutations.py numpy 10000        (or: latex 10000)

Every mutated formula must get a verdict, in bounded time, and run nothing: no traceback, no hang, no execution.
"""

# ruff: noqa: E501
from __future__ import annotations

import json
import random
import re
import signal
import sys
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import formulas

from symbp.commands import clean_lines
from symbp.derive import derive
from symbp.judge.lines import Lines
from symbp.judge.points import Points
from symbp.judge.verdict import Judge
from symbp.read.network import read_network
from symbp.show.document import Options
from symbp.show.json import derivation_json
from symbp.show.repair import in_latex
from symbp.show.verdict import verdicts_json, verdicts_text
from symbp.unroll import unroll
from symbp.zoo import names as zoo_names
from symbp.zoo import text as zoo_text

HERE = Path(__file__).parent
LIMIT = 10  # seconds of work for one claim
NUMPY = [
    "X", "W1", "dZ", "A", "P", "b1", "N", "2", "0.5", "1e9", "1e400", "0", "-1", "+", "-", "*", "/", "@", "**", "(", ")",
    "[", "]", ".T", ",", "=", "==", ">", ":", ";", "sum(", "mean(", "np.", "exp(", "log(", "inv(", "outer(", "reshape(",
    "where(", "axis=0", "axis=7", "keepdims=True", "None", "'", '"', "\\", "^", "{", "}", "lambda x:", " if ", " else ",
    ".__class__", "einsum('ij,jk->ik',", "dL/d", "zeros(", "9999999", "[0]", "[::-1]", "[:, 0]", "[None]", "\x1b[31m", "−", "π",
    "@ W1", "exp(exp(exp(", "softmax(", "conv1d(", "diag(", "**99", "**0.5", "True", "__import__('os')", "\n", "\t", "#",
]  # fmt: skip
LATEX = [
    *"{}()[]|_^&\\$%,;=+-*/.'<>~ 012xyzWTn", r"\frac", r"\frac{1}{2}", r"\partial", r"\left(", r"\right)", r"\begin{cases}",
    r"\end{cases}", r"\hat", r"\sqrt[3]", r"\text{", r"\nabla_", "\\\\", r"\quad", r"\prod_j", r"\sum_{i=1}^n", r"\sum_i", r"\|", "^T",
    r"\big", r"\not", "∂", "ŷ", "ᵀ", r"\odot", r"\cdot", r"\exp", r"\log", "^{-1}", "_{ij}", "^{(2)}", "^2", r"\delta_{ij}", r"\mathbb{1}",
    r"\mathbf", r"\operatorname{diag}", r"\otimes", r"\input{x}", r"\newcommand{\x}{\x\x}", r"\x", r"\forall i", r"\in \mathcal{B}",
    r"\begin{bmatrix}", r"\end{bmatrix}", r"\sigma'(", r"\dots", r"\neq", "999999999", "10^{99}", r"\max_j", r"\mathbb{E}[", r"\langle", r"\rangle",
]  # fmt: skip
_TOKEN = {"numpy": re.compile(r"\w+|\*\*|\s+|."), "latex": re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.S)}


@cache
def sources(notation: str) -> list[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]]:
    """Networks, lets, and the formulas of each with what they are about."""
    found = []
    if notation == "numpy":
        for path in sorted((HERE / "corpus").rglob("*.toml")):
            case = formulas.Case(tomllib.loads(path.read_text(encoding="utf-8")))
            entries = [e for k in ("delta", "gradient", "wrong") for e in case.case.get(k, []) if e.get("numpy")]
            texts = tuple((f"d{case.loss}/d{e['wrt']} = {e['numpy']}", "") for e in entries)
            found.append((case.network_text(), (), texts))
    else:
        for case in json.loads((HERE / "data" / "latex_claims.json").read_text(encoding="utf-8")):
            import lark  # noqa: F401  # its import executes generated code

            found.append((case["net"], tuple(case["lets"]), tuple((t, a) for t, a in case["right"] + case["wrong"])))
    for name in zoo_names():
        graph = read_network(zoo_text(name), name)
        printed = derivation_json(derive(graph), Options())
        forms = [
            (g[f].get(notation), g["wrt"])
            for g in printed["gradients"]
            for f in ("delta_form", "closed_form")
            if g.get(f)
        ]
        found.append((zoo_text(name), (), tuple((t, a) for t, a in forms if t)))
    return [f for f in found if f[2]]


def mutated(text: str, notation: str, rng: random.Random) -> str:
    """The text after one to four edits: of tokens, mostly, so that much of it can still be read."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if rng.random() < 0.5:
            text = _exchanged(text, notation, rng)
            continue
        parts = _TOKEN[notation].findall(text) if rng.random() < 0.8 else list(text)
        at = rng.randrange(len(parts) + 1)
        end = min(len(parts), at + rng.choice((1, 1, 1, 2, 5)))
        other = rng.randrange(len(parts) + 1)
        match rng.randrange(6):
            case 0:
                parts[at:end] = []
            case 1:
                parts[at:at] = [rng.choice(NUMPY if notation == "numpy" else LATEX)]
            case 2:
                parts[at:end] = [rng.choice(NUMPY if notation == "numpy" else LATEX)]
            case 3:
                parts[other:other] = parts[at:end]
            case 4 if parts:
                parts[at:end] = [rng.choice(parts)]
            case 5 if parts:
                i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
                parts[i], parts[j] = parts[j], parts[i]
        text = "".join(parts)
    return text


def _exchanged(text: str, notation: str, rng: random.Random) -> str:
    """The text with one token in the place of another of its kind, so that it can mostly still be read."""
    parts = _TOKEN[notation].findall(text)
    at = rng.randrange(len(parts)) if parts else 0
    for kind in ("+-", "*@/", "()[]{}"):
        if parts and parts[at] in kind:
            parts[at] = rng.choice(kind)
            return "".join(parts)
    words = [p for p in parts if p.isidentifier() or p.isdigit() or p[:1] == "\\"]
    if parts and parts[at] in words:
        parts[at] = rng.choice(words)
    elif len(words) > 1:
        i, j = sorted(rng.sample(range(len(parts)), 2))
        if parts[i] in words and parts[j] in words:
            parts[i], parts[j] = parts[j], parts[i]
    return "".join(parts)


class _Late(BaseException):
    pass


def _ring(*_: object) -> None:
    raise _Late


RAN: list[str] = []


def _watch(event: str, args: Any) -> None:
    """Python's own audit events: what a formula must never cause."""
    if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.remove", "socket.connect"):
        RAN.append(event)
    elif event == "exec" and not getattr(args[0], "co_filename", "").endswith(".py"):
        RAN.append("exec")
    elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        RAN.append(f"open {args[0]}")


def fuzz(
    notation: str, count: int, seed: int, every: int = 1, seconds: float = 0.1
) -> Iterator[tuple[str, str, float]]:
    """`count` mutated formulas of every so manieth network, as (text, verdict or what went wrong, seconds); the
    verdict is written out too."""
    rng = random.Random(seed)
    chosen = sources(notation)[::every]
    signal.signal(signal.SIGPROF, _ring)
    share = -(-count // len(chosen))
    for k in range(-(-count // share)):
        net, lets, texts = chosen[k % len(chosen)]
        graph = read_network(net)
        if graph.bounds:
            graph = unroll(graph, dict.fromkeys(graph.bounds, 3))
        points = Points(graph)
        latex = in_latex(points)
        for _ in range(min(share, count - k * share)):
            text, about = rng.choice(texts)
            text = mutated(text, notation, rng)
            start = time.process_time()
            RAN.clear()
            try:
                signal.setitimer(signal.ITIMER_PROF, LIMIT)
                lines, judge = Lines(points, lets), Judge(points, seconds)
                claim = lines.numpy.line(text, about) if notation == "numpy" else lines.latex.read_line(text, about)
                verdict = judge(claim)
                json.dumps(verdicts_json([verdict], graph, latex))
                shown = clean_lines(verdicts_text([verdict], graph, 80, False, "en", latex))
                outcome = verdict.verdict
                if verdict.verdict == "wrong" and verdict.counterexample is None:
                    outcome = "ERROR wrong without a counterexample"
                if "\x1b" in shown:
                    outcome = "ERROR an escape sequence is printed"
            except _Late:
                outcome = f"ERROR no answer in {LIMIT} s"
            except Exception as error:  # whatever it is, it is a finding
                outcome = f"ERROR {type(error).__name__}: {error}"
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                for batch in points.batches:
                    batch.definitions.clear()
                    batch.forget()
            if RAN:
                outcome = f"ERROR it ran {RAN[0]}"
            yield text, outcome, time.process_time() - start


def main() -> int:
    notation, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    warnings.simplefilter("error")
    list(fuzz(notation, 20, 0, every=40))  # what is imported late is imported now: an import executes
    sys.addaudithook(_watch)
    outcomes: Counter[str] = Counter()
    slowest: list[tuple[float, str]] = []
    for text, outcome, spent in fuzz(notation, count, seed):
        outcomes[outcome.split(" ")[0]] += 1
        slowest = sorted([*slowest, (spent, text)])[-5:]
        if outcome.startswith("ERROR"):
            print(repr(text), outcome, flush=True)
    print(dict(outcomes), [(round(s, 2), t) for s, t in slowest])
    return int(outcomes["ERROR"] > 0)


if __name__ == "__main__":
    sys.exit(main())
