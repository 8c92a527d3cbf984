"""Matrix notation as a view: the text is the textbook's, and it has the value of the entries."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from symbp.derive import derive
from symbp.evaluate import evaluate
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Call,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Num,
    Pow,
    Reduce,
    Select,
    Size,
    add,
    mul,
    total,
)
from symbp.form import NotReducible
from symbp.graph import Graph
from symbp.matrix import index_letter, to_form
from symbp.numpy_code import NumpyPrinter, numpy_text
from symbp.read.network import read_network
from symbp.show.alphabet import Latex, Unicode, plain
from symbp.show.document import Options, document
from symbp.show.latex import latex
from symbp.show.math import MathPrinter
from symbp.sizes import size_text
from symbp.zoo import names, network

LEAVES = """
X: (N, D)
V: (N, D)
W: (D, H)
S: (N, N)
U: (N, D, H)
x: (N,)
y: (N,)
w: (D,)
c: (N, 1)
r: (1, D)
q: ()
"""


def line(text: str) -> tuple[Graph, Any]:
    graph = read_network(LEAVES + f"out = {text}\nL = sum(out)\n")
    return graph, graph["out"]


def numpy_of(text: str) -> str:
    graph, node = line(text)
    return numpy_text(graph, node.body, node.axes)


def math_of(text: str) -> str | None:
    graph, node = line(text)
    shown = MathPrinter(graph, Unicode()).matrix(node.body, node.axes)
    return shown if shown is None else plain(shown)


# ---- as written --------------------------------------------------------------------------------

SAME = """
X @ W
X.T @ V
X @ V.T
X.T @ S @ V
x @ X
X @ w
x @ X @ w
outer(x, w)
X*V
X*V @ W
X - V
2*(X - V)
(X - V)**2
X/V
X/N
-X
X.T
X*c
X*r
X/c
X + r
X + q
q*X
sum(X, axis=0)
sum(X, axis=1)
sum(X)
sum(X, axis=0, keepdims=True)
sum(X, axis=1, keepdims=True)
sum(X*V)
sum(X**2)
sum(U, axis=2)
sum(U, axis=(0, 1))
tanh(X)
exp(-X)
sqrt(X)
maximum(0, X)
where(X > 0, X, V)
X*(X > 0)
X > V
softmax(X, axis=1)
softmax(x)
softmax(X, axis=0)
log_softmax(X, axis=1)
logsumexp(X, axis=1)
max(X, axis=1)
max(x)
inv(S)
inv(S).T
inv(S) @ x
diag(S)
logdet(S)
X[0]
X[:, 0]
x[1:] - x[:-1]
1.0*(X > 0)
tanh(X @ W)
(X @ W)**2
softmax(X @ w)
"""


@pytest.mark.parametrize("text", SAME.split("\n")[1:-1])
def test_a_line_comes_back_as_it_was_written(text: str) -> None:
    found = numpy_of(text)

    assert found == text or found == text.replace("1.0*", "") or numpy_of(found) == found
    assert_same_meaning(text, found)


REWRITTEN = [
    ("(X.T)", "X.T"),
    ("X.T.T", "X"),
    ("X + 0", "X"),
    ("X*1", "X"),
    ("dot(x, y)", "dot(x, y)"),
    ("x @ y", "dot(x, y)"),
    ("sum(x*y)", "dot(x, y)"),
    ("trace(S)", None),
    ("trace(S @ S)", None),
    ("sum(X @ W)", None),
    ("einsum('nd,dh->nh', X, W)", "X @ W"),
    ("einsum('nd,dh->hn', X, W)", None),
    ("einsum('nd,nd->n', X, V)", "sum(X*V, axis=1)"),
    ("einsum('ndh,h->nd', U, sum(W, axis=0))", None),
    ("c @ r", "c @ r"),
    ("c*r", "c @ r"),
    ("X @ W @ W.T", "X @ W @ W.T"),
    ("X @ (W @ W.T)", None),
    ("x[:, None]*X", None),
    ("mean(X, axis=0)", "mean(X, axis=0)"),
    ("norm(x)", None),
    ("X @ W + V @ W", "X @ W + V @ W"),
    ("S.T @ x + S @ x", None),
    ("x @ (S + S.T)", "(S.T + S) @ x"),
]


@pytest.mark.parametrize(("text", "expected"), REWRITTEN)
def test_a_line_is_emitted_as_a_textbook_has_it(text: str, expected: str | None) -> None:
    found = numpy_of(text)

    assert expected is None or found == expected
    assert_same_meaning(text, found)


def assert_same_meaning(one: str, two: str) -> None:
    sizes = {"N": 3, "D": 4, "H": 2}
    values = []
    for graph, node in (line(one), line(two)):
        leaves = leaves_of(graph, sizes, np.random.default_rng(5))
        values.append(evaluate(node.body, leaves, sizes, node.indices, graph.constants))

    assert_allclose(values[0], values[1], atol=1e-10)


def leaves_of(graph: Graph, sizes: dict[str, int], rng: np.random.Generator) -> dict[str, Any]:
    found = {}
    for n in graph.leaves:
        shape = tuple(sizes[d.name] if isinstance(d, Size) else 1 for d in n.shape)
        found[n.name] = rng.uniform(0.5, 1.5, shape)
    return found


MATHS = [
    ("X @ W", "X W"),
    ("X.T @ V", "Xᵀ V"),
    ("x @ X", "Xᵀ x"),
    ("X @ w", "X w"),
    ("outer(x, w)", "x wᵀ"),
    ("dot(x, y)", "xᵀ y"),
    ("X + w", "X + 𝟏 wᵀ"),
    ("X*V", "X ⊙ V"),
    ("X*V @ W", "(X ⊙ V) W"),
    ("X*c", "diag(c) X"),
    ("X*r", "X diag(r)"),
    ("(X @ W)*(X > 0)[:, :1]", None),
    ("sum(X, axis=0)", "Xᵀ 𝟏"),
    ("sum(X, axis=1)", "X 𝟏"),
    ("sum(X**2)", "‖X‖²"),
    ("sum((X - V)**2)/2", "‖X − V‖²/2"),
    ("inv(S)", "S⁻¹"),
    ("x @ S @ S @ y", "xᵀ S S y"),
    ("x @ S @ x", "xᵀ S x"),
    ("2*(X - V)", "2 (X − V)"),
    ("X/N", "X/N"),
    ("(X - V) @ W/N", "(X − V) W/N"),
    ("sum(U, axis=2)", None),  # three axes have no matrix notation
    ("(S + S.T) @ x", "(S + Sᵀ) x"),
]


@pytest.mark.parametrize(("text", "expected"), MATHS)
def test_mathematics_has_columns(text: str, expected: str | None) -> None:
    assert expected is None or math_of(text) == expected


def test_sizes_as_text() -> None:
    n, k = Size("n"), Size("k")

    assert size_text(add(n, mul(MINUS_ONE, k), ONE)) == "n - k + 1"
    assert size_text(mul(2, n)) == "2*n"
    assert size_text(mul(n, HALF)) in ("n/2", "n*1/2")
    assert size_text(mul(2, add(n, ONE))) == "2*(n + 1)"


def test_letters_are_those_of_the_sizes_and_never_twice() -> None:
    i, j = Index("i0", Size("N")), Index("i1", Size("N"))

    assert index_letter(i, set()) == "n"
    assert index_letter(j, {"n"}, primes=True) == "n'"
    assert index_letter(j, {"n"}) == "i"
    assert index_letter(i, set(), {Size("N"): "s"}) == "s"


# ---- against the entries -----------------------------------------------------------------------

N, D, H = map(Size, "NDH")
i, j, k = Index("i", N), Index("j", D), Index("k", H)
i2, j2 = Index("i2", N), Index("j2", D)
SIZES = {"N": 3, "D": 4, "H": 2}
GRAPH = read_network(LEAVES + "L = sum(X)\n")
VALUES = leaves_of(GRAPH, SIZES, np.random.default_rng(2))

letters_N, letters_D = st.sampled_from([i, i2]), st.sampled_from([j, j2])
entries = st.one_of(
    st.builds(lambda t, a, b: Entry(t, (a, b)), st.sampled_from("XV"), letters_N, letters_D),
    st.builds(lambda a: Entry("W", (a, k)), letters_D),
    st.builds(lambda a, b: Entry("S", (a, b)), letters_N, letters_N),
    st.builds(lambda a, b: Entry("U", (a, b, k)), letters_N, letters_D),
    st.builds(lambda t, a: Entry(t, (a,)), st.sampled_from("xy"), letters_N),
    st.builds(lambda a: Entry("w", (a,)), letters_D),
    st.builds(lambda a: Entry("c", (a, ZERO)), letters_N),
    st.builds(lambda a: Entry("r", (ZERO, a)), letters_D),
    st.sampled_from([Entry("q"), N, Num(2), Num("0.5", decimal=True), HALF, MINUS_ONE]),
)
LETTERS = (i, i2, j, j2, k)


def summed(e: Expr, over: Sequence[Index]) -> Expr:
    over = [x for x in over if x in e.free]
    return total(over, e)


def reduced(op: str, e: Expr, over: Index) -> Expr:
    if over not in e.free:
        return e
    return Reduce(op, (over,), e, (over,) if op in ("softmax", "log_softmax") else ())


products = st.lists(entries, min_size=1, max_size=4).map(lambda fs: mul(*fs))
expressions = st.recursive(
    st.one_of(entries, products),
    lambda inner: st.one_of(
        st.builds(lambda a, b: add(a, b), inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: mul(a, b), inner, inner),
        st.builds(lambda a, b: a / b, inner, entries.filter(lambda e: bool(e.tensors))),
        st.builds(lambda a, over: summed(a, over), inner, st.lists(st.sampled_from(LETTERS), max_size=3, unique=True)),
        st.builds(
            lambda a, b, over: summed(mul(a, b), over), inner, inner, st.lists(st.sampled_from(LETTERS), max_size=3)
        ),
        st.builds(lambda a: Pow(a, TWO), inner),
        st.builds(lambda a: Call("tanh", a), inner),
        st.builds(lambda a, b: mul(a, Compare(">", b, ONE)), inner, entries),
        st.builds(lambda a, b, c: Select(Compare(">", a, ONE), b, c), entries, inner, inner),
        st.builds(
            reduced,
            st.sampled_from(["max", "min", "softmax", "log_softmax", "logsumexp"]),
            inner,
            st.sampled_from(LETTERS),
        ),
        st.builds(lambda a: mul(a, Delta(i, i2)), inner),
    ),
    max_leaves=6,
)


def plain_numpy(op: str) -> Any:
    def of(a: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        top = np.max(a, axis=axis, keepdims=True)
        log = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
        if op == "logsumexp":
            return log if keepdims else np.squeeze(log, axis=axis)
        return a - log if op == "log_softmax" else np.exp(a - log)

    return of


SCOPE = {"np": np, **{op: plain_numpy(op) for op in ("softmax", "log_softmax", "logsumexp")}, **SIZES, **VALUES}


@settings(max_examples=600, deadline=None)
@given(expressions, st.permutations(LETTERS), st.integers(0, 4), st.booleans())
def test_numpy_text_has_the_value_of_the_entries(e: Expr, order: list[Index], ones: int, spread: bool) -> None:
    letters = [x for x in order if x in e.free]
    if spread:  # an axis on which the expression does not depend
        letters += [x for x in order if x not in e.free][:1]
    assume(len(letters) <= 4)
    axes: list[Expr] = [*letters]
    if ones < 2:  # an axis of size 1
        axes.insert(min(ones, len(axes)), ZERO)
    expected = evaluate(e, VALUES, SIZES, letters)
    assume(np.all(np.isfinite(expected)) and np.max(np.abs(expected), initial=0) < 1e9)
    shape = tuple(1 if a is ZERO else SIZES[a.dim.name] for a in axes)  # type: ignore[attr-defined]
    try:
        form = to_form(GRAPH, e, axes)
    except NotReducible:
        assume(False)
    text = NumpyPrinter(GRAPH, "np.")(form)
    found = np.asarray(eval(text, {"__builtins__": {}}, dict(SCOPE)), dtype=float)

    assert tuple(x for x in form.axes if x is not None) == tuple(letters), text
    assert found.shape == shape, text
    assert_allclose(found, expected.reshape(shape), rtol=1e-9, atol=1e-9, err_msg=text)


# ---- LaTeX that every engine takes -------------------------------------------------------------

PORTABLE = set(
    re.findall(
        r"\\[A-Za-z]+",
        r"""
    \frac \dfrac \tfrac \partial \mathbf \boldsymbol \pmb \mathrm \mathsf \mathit \mathtt \texttt \mathbb \mathcal
    \top \intercal \dagger \odot \circ \otimes \oplus \cdot \times \cdots \ldots \vdots \ddots \text \tag \left \right
    \prod \middle \lVert \rVert \sum \limits \substack \quad \qquad \hat \bar \tilde \dot \vec \overline \mathring \ln
    \log
    \exp \max \min \tanh \sinh \cosh \sin \cos \tan \arctan \det \triangleq \implies \iff \therefore \displaystyle \int
    \sqrt \le \ge \ne \in \infty \leftarrow \begin \end \nonumber \hline \lvert \rvert \underline \nabla \prime
    \alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \pi \rho \sigma
    \tau \upsilon \phi \varphi \chi \psi \omega
    \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega
    """,
    )
)
TEXT_ONLY = set(
    re.findall(
        r"\\[A-Za-z]+",
        r"""
    \documentclass \usepackage \allowdisplaybreaks \setlength \parindent \section \subsection \paragraph \footnotesize
    \par \hfill \textbackslash \tag \jot \emergencystretch \medskip \noindent \nopagebreak \textbf \textsuperscript
    \rule \vspace \baselineskip \smallskip
    \mathindent \AtBeginDocument \abovedisplayskip \belowdisplayskip \abovedisplayshortskip \textless \textgreater
    \textbar \relpenalty \binoppenalty \renewcommand \pagebreak \bigskip \raggedright \noalign \vskip
    """,
    )
)
ENVIRONMENTS = {"document", "align*", "aligned", "cases", "tabular"}


def lint(text: str, allowed: set[str]) -> list[str]:
    """What is wrong with a piece of LaTeX."""
    wrong = [w for w in re.findall(r"\\[A-Za-z]+", text) if w not in allowed]
    wrong += [w for w in re.findall(r"\\begin\{([^}]*)\}", text) if w not in ENVIRONMENTS]
    wrong += [c for c in text if ord(c) > 126 and allowed is PORTABLE]
    depth, opened = 0, []
    for token in re.findall(r"\\begin\{[^}]*\}|\\end\{[^}]*\}|\\left\b|\\right\b|\\.|[{}]", text, re.DOTALL):
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
        elif token == "\\left" or token.startswith("\\begin"):
            opened.append((token.replace("\\begin", ""), depth))
        elif token == "\\right" or token.startswith("\\end"):
            expected = "\\left" if token == "\\right" else token.replace("\\end", "")
            if not opened or opened.pop() != (expected, depth):
                wrong.append(f"{token} closes nothing")
        if depth < 0:
            wrong.append("} too many")
    if depth or opened:
        wrong.append("something stays open")
    if re.search(r"\^(\{[^{}]*\}|\w)\s*\^|_(\{[^{}]*\}|\w)\s*_", text):
        wrong.append("double superscript or subscript")
    return wrong


def test_the_lint_sees_what_is_wrong() -> None:
    assert lint(r"\frac{a}{b} \left(x\right)", PORTABLE) == []
    assert lint(r"\operatorname{softmax}", PORTABLE) == [r"\operatorname"]
    assert lint(r"\frac{a}{b", PORTABLE) == ["something stays open"]
    assert lint(r"\left(\frac{a\right)}{b}", PORTABLE) != []
    assert lint(r"x^{2}^{\top}", PORTABLE) == ["double superscript or subscript"]
    assert lint(r"W_2_{1:4}", PORTABLE) == ["double superscript or subscript"]
    assert lint("σ", PORTABLE) == ["σ"]


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_latex_of_any_expression_is_balanced_and_portable(e: Expr) -> None:
    letters = [x for x in LETTERS if x in e.free]
    printer = MathPrinter(GRAPH, Latex())
    shown = [printer.index(e, printer.letters_for(letters))]
    if len(letters) <= 2:
        shown += [s for s in (printer.matrix(e, letters), printer.matrix(e, letters[::-1])) if s is not None]

    for text in shown:
        assert lint(text, PORTABLE) == [], text


@pytest.mark.parametrize("name", names())
def test_latex_of_every_network_is_portable(name: str) -> None:
    derivation = derive(network(name))
    for detail, notation in itertools.product(("normal", "full"), ("matrix", "index")):
        view = Options(detail=detail, notation=notation, update=True)
        text = latex(document(derivation, Latex(derivation.graph.latex), view), standalone=True)

        assert lint(text, PORTABLE | TEXT_ONLY) == []
        for c in text:
            assert ord(c) < 127 or c.isalpha(), f"{c!r} is no LaTeX"


def test_custom_latex_names_survive() -> None:
    graph = read_network(
        textwrap.dedent(
            r"""
            x: (N,)
            W1: (N, N)
            y = W1.T @ x
            L = sum(y**2)
            latex(W1=r"\mathbf{W}^{(1)}", y=r"\hat{y}")
            """
        )
    )
    text = latex(document(derive(graph), Latex(graph.latex), Options()))

    assert r"\mathbf{W}^{(1)}" in text
    assert lint(text, PORTABLE | TEXT_ONLY) == []
