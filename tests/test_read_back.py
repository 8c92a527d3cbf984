"""Whole derivations read back: every formula of the Markdown that symbp prints, in every convention and notation."""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from formulas import Case

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
    in a bar, is left out, and so is what a table shows without a left side."""
    return wrong_lines_of(zoo_text(name), name, options, style)


def wrong_lines_of(text: str, spec: str, options: list[str], style: str = "") -> tuple[int, list[tuple[str, str, str]]]:
    key, _, value = style.partition("=")
    network = text + (f'\nstyle({key}="{value}")\n' if style else "")
    graph = read_network(network)
    points = Points(graph)
    lines, judge = Lines(points), Judge(points, seconds=0)
    accepted, found = 0, []
    for formula in read_document(printed(spec, *options).encode(), "a.md").found:
        for claim in lines.found(formula):
            if "=" not in re.sub(r"_\{[^{}]*\}", "", claim.text):
                continue
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


CORPUS = sorted((Path(__file__).parent / "corpus").rglob("*.toml"))
WAYS = [["--style", s] for s in STYLES] + OPTIONS  # one for each network, in turn


@pytest.mark.parametrize("n", range(0, len(CORPUS), 9), ids=lambda n: CORPUS[n].stem)
def test_derivations_of_published_networks_are_read_back(n: int, tmp_path: Path) -> None:
    text = Case(tomllib.loads(CORPUS[n].read_text(encoding="utf-8"))).network_text()
    file = tmp_path / "network.symbp"
    file.write_text(text, encoding="utf-8")
    way = WAYS[n // 9 % len(WAYS)]
    accepted, wrong = wrong_lines_of(text, str(file), way, way[1] if way[0] == "--style" else "")

    assert wrong == []
    assert accepted > 4


FOUND = {  # what was once printed so that it did not read back, or read back to something else
    "a name e beside exponentials": """
        x: (n,)
        m: (n,)
        e = exp(x)*m
        L = sum(e**2)""",
    "a root squared": """
        z: (n,)
        v: (n,)
        c: ()
        a = z/sqrt(1 + c*z**2)
        L = dot(v, a)""",
    "a row in the branches of a case": """
        Z: (N, C)
        c: (C,)
        G: (N, C)
        L = sum(G*where(Z > 0, Z, c*Z))""",
    "a power with a difference as exponent": """
        x: (n,)
        p: ()
        f = sum(x**p)**(1/p)
        assert x > 0
        assert p > 0""",
    "softmax over columns": """
        W: (C, D)
        X: (D, N)
        b: (C, 1)
        Y: (C, N)
        P = softmax(W @ X + b, axis=0)
        L = -sum(Y*log(P))/N""",
    "a softmax inside of a formula": """
        s: (K,)
        t: (K,)
        M: ()
        L = logsumexp(s + M*(1 - t)) - dot(s, t)""",
    "the gradient of a leaf in that of another": """
        p: (n,)
        y: (n,)
        L = sqrt(mean((p - y)**2))""",
    "the unit matrix alone": """
        X: (N, D)
        A: (D, D)
        S = X.T @ X + A
        L = trace(S)""",
    "an input called I": """
        I: (N, D)
        T: (N, D)
        S = I @ T.T
        P = softmax(S, axis=1)
        L = -mean(log(diag(P)))""",
    "a row among columns": """
        W: (m, n)
        g: (1, n)
        G: (m, n)
        c = norm(W, axis=0, keepdims=True)
        Y = g*W/c
        L = sum(G*Y)""",
    "places in a convolution": """
        x: (9,)
        w: (3,)
        b: ()
        t: (7,)
        z = conv1d(x, w) + b
        L = norm2sq(relu(z) - t)/2""",
    "the end of an axis": """
        w: (H,)
        v: (H,)
        A: (N, N)
        h = flip(w)[0]
        g = flip(v)[1]
        d = diag(flip(A, axis=0))
        L = tanh(h) + g**2 + sum(d**2)""",
    "slices between sizes": """
        x: (H + 2,)
        A: (2*N, 4)
        y = x[1:H+1]
        B = A[:, 1:3]
        U = upsample2d(A, 2)
        c = x[:H-1]
        L = sum(y**2) + sum(B**3) + sum(tanh(c)) + sum(U**2)""",
    "ones behind a sum": """
        w: (N,)
        h = sum(w)
        L = h**2/N""",
    "weights W and W2": """
        X: (N, D)
        W: (D, H)
        W2: (H, K)
        L = sum((X @ W @ W2)**2)/2 + sum(W**2) + sum(W2**2)""",
    "the entries of an inverse": """
        X: (n, n)
        A: (n, n)
        L = sum(inv(X @ X.T + A))
        assert posdef(A)""",
    "indices l and n": """
        H: (m, d)
        P: (d, d)
        R: (m, m)
        S = H @ P @ H.T + R
        L = logdet(S)
        assert posdef(P)
        assert posdef(R)""",
}


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_what_once_did_not_read_back(text: str, tmp_path: Path) -> None:
    text = textwrap.dedent(text)
    file = tmp_path / "network.symbp"
    file.write_text(text, encoding="utf-8")
    for options in ([], ["--notation", "both", "--detail", "full"]):
        accepted, wrong = wrong_lines_of(text, str(file), options)
        assert wrong == []
        assert accepted > 3
