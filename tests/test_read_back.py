"""Whole derivations read back: every formula of the Markdown that symbp prints, in every convention and notation."""

from __future__ import annotations

import contextlib
import io

import pytest

from symbp.cli import app
from symbp.judge.lines import Lines
from symbp.judge.points import Points
from symbp.judge.verdict import Judge
from symbp.read.document import read_document
from symbp.read.network import read_network
from symbp.zoo import text as zoo_text

STYLES = [
    "delta=minus", "gradient=nabla", "gradient=d", "layers=paren", "layers=bracket", "transpose=prime", "transpose=T",
    "product=circ", "bold=yes", "layout=numerator",
]  # fmt: skip
OPTIONS = [["--notation", "index"], ["--notation", "both"], ["--lang", "zh"], ["--detail", "full"]]
NETWORKS = ["relu-2", "mlp-sigmoid-bce", "softmax-cross-entropy", "logistic-layers"]
OTHERS = ["ridge", "batch-norm", "lstm-step", "dropout", "autoencoder-tied", "mlp-4", "rnn-step", "swiglu"]


def printed(name: str, *options: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        app(args=["derive", name, "--format", "markdown", "--check", "none", *options], prog_name="symbp")
    return out.getvalue()


def wrong_lines(name: str, options: list[str], style: str = "") -> tuple[int, list[tuple[str, str, str]]]:
    """How many formulas are accepted, and those that are not. A line about one of several paths, whose left side ends
    in a bar, is left out."""
    key, _, value = style.partition("=")
    network = zoo_text(name) + (f'\nstyle({key}="{value}")\n' if style else "")
    graph = read_network(network)
    points = Points(graph)
    lines, judge = Lines(points), Judge(points, seconds=0)
    accepted, found = 0, []
    for formula in read_document(printed(name, *options).encode(), "a.md").found:
        for claim in lines.found(formula):
            verdict = judge(claim)
            if r"\right|_" in claim.text.partition("=")[0]:
                assert verdict.verdict in ("undefined", "unreadable"), claim.text
            elif verdict.verdict in ("correct", "loose"):
                accepted += 1
            elif verdict.reason.startswith("only equations") or verdict.reason.endswith("given by itself"):
                continue  # what a law says in words; dA = dA, where δ and ∂L/∂A are both written dA
            else:
                found.append((claim.text, verdict.verdict, verdict.reason))
    return accepted, found


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_convention_is_read_back(name: str, style: str) -> None:
    accepted, wrong = wrong_lines(name, ["--style", style], style)

    assert wrong == []
    assert accepted > 8


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: o[1])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_notation_is_read_back(name: str, options: list[str]) -> None:
    accepted, wrong = wrong_lines(name, options)

    assert wrong == []
    assert accepted > 8


@pytest.mark.parametrize("name", OTHERS)
def test_whole_derivations_are_read_back(name: str) -> None:
    accepted, wrong = wrong_lines(name, [])

    assert wrong == []
    assert accepted > 8


def test_a_gradient_that_is_called_da_is_not_said_to_be_itself() -> None:
    shown = printed("relu-2", "--style", "gradient=d")

    assert r"\mathrm{d}a &= W_2^{\top}" in shown and r"\mathrm{d}a = \mathrm{d}a" not in shown
