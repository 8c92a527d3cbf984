"""The layout of the numerator: every printed gradient, read back, is the transpose of the gradient by value."""

import re

import pytest

from symbp.commands import DeriveOptions, Screen, derive, hessian, jacobian
from symbp.derive import derive as run
from symbp.errors import RequestError
from symbp.graph import adjoint
from symbp.judge.lines import Lines
from symbp.judge.points import Points
from symbp.judge.verdict import Judge
from symbp.show.alphabet import Latex
from symbp.show.math import MathPrinter
from symbp.show.style import Style
from symbp.zoo import network

NUMERATOR = Style(layout="numerator")
NETWORKS = (
    *("autoencoder-tied", "batch-norm", "dropout", "logistic-layers", "logistic-neuron-batch", "mlp-4", "ridge"),
    *("mlp-sigmoid-bce", "relu-2", "relu-3", "rnn-step", "self-attention", "softmax-classifier", "svm", "swiglu"),
)


@pytest.mark.parametrize("name", NETWORKS)
def test_read_back(name):
    graph = network(name)
    points = Points(graph, 0)
    usual = MathPrinter(graph, Latex(graph.latex))
    lets = [f"{usual.tensor(adjoint(n.name))} := d{graph.loss}/d{n.name}" for n in graph.inner if n.shape]
    reader, judge = Lines(points, lets, {}), Judge(points)
    printer = MathPrinter(graph, Latex(graph.latex, NUMERATOR))
    for error in (adjoint(n.name) for n in graph.inner if n.shape):  # what is printed as δ is the transpose of δ
        printer.names[error] = printer.alphabet.transposed(usual.tensor(error))
    seen = 0
    for a in run(graph).adjoints.values():
        left = rf"\frac{{\partial {graph.loss}}}{{\partial {usual.tensor(a.node.name)}}}"
        for e in filter(None, (a.delta, a.closed)):
            row, column = printer.gradient(e, a.node.axes), printer.matrix(e, a.node.axes)
            if not a.node.shape or row is None or column is None:
                continue
            for text in (rf"\left({row}\right)^{{\top}}", column):
                # the reader takes ᵀ after a bracket, not after an indicator
                text = re.sub(r"(\\mathbf\{1\}\\left\[[^\]]*\\right\])\^", r"\\left(\1\\right)^", text)
                verdict = judge(reader.line(f"{left} = {text}"))
                assert verdict.verdict == "correct", (text, verdict.reason)
                seen += 1
    assert seen > 2


def shown(name, *style, **options):
    text, status = derive([name], DeriveOptions(style=("layout=numerator", *style), **options), Screen(100))
    assert status == 0
    return text


def test_chain_rule_reads_from_left_to_right():
    text = shown("deep")
    assert "δ_a[l] = ∂E/∂a[l] = δ_z[l+1] W[l+1]" in text
    assert "∂E/∂W[l] = a[l−1] δ_z[l]" in text
    assert re.search(r"∂E/∂W\[l\] = a\[l−1\] δ_z\[l\] .*n\[l−1\]×n\[l\]$", text, re.M), "the shape of the transpose"
    assert re.search(r"δ_a\[L\] = ∂E/∂a\[L\] +1×n\[L\]$", text, re.M), "the gradient of an unknown loss is a row"
    assert "= δ_z[L] (∂z[L]/∂z[L−1]) ⋯ (∂z[l+1]/∂z[l])" in text
    assert "∂z/∂x = δ_y (∂y/∂x)" in shown("chain-jacobian")


def test_entries_of_errors_count_the_other_way():
    text = shown("relu-batch-64x1000x100x8", notation="index")
    usual, _ = derive(["relu-batch-64x1000x100x8"], DeriveOptions(notation="index"), Screen(100))
    pairs = set(re.findall(r"δ_h_relu\[(\w+),(\w+)\]", usual))
    assert pairs and {(b, a) for a, b in pairs} == set(re.findall(r"δ_h_relu\[(\w+),(\w+)\]", text))


def test_updates_have_the_shape_of_the_parameter():
    text = shown("relu-2", update=True)
    assert "W₁ ← W₁ − η δ_zᵀ xᵀ" in text


def test_values_are_transposed():
    at = ("W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]")
    text = shown("l2-of-matvec", at=at)
    assert "[[0.088, 0.104], [0.176, 0.208]]" in text
    assert "[[−0.112, 0.636]]" in text


def test_values_of_tensors_only_in_every_format():
    at = ("W=[[0.1,0.5],[-0.3,0.00001]]", "x=[0.2,0.4]")
    for form in ("terminal", "latex", "beamer", "markdown", "html", "ipynb"):
        text = shown("l2-of-matvec", at=at, format=form)
        assert "0.1" in text
        assert form == "terminal" or "1e-05" not in text, "powers of ten are written as such"


def test_differentials():
    text = shown("softmax-classifier", method="differential")
    assert re.search(r"dL = .*tr\(δ_Z dZ\)", text)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: shown("relu-2", "gradient=nabla"), "as large as W"),
        (lambda: shown("relu-2", "gradient=d"), "as large as W"),
        (lambda: shown("relu-2", exercise=True), "no exercise"),
        (
            lambda: hessian("logistic-neuron", "w", None, DeriveOptions(style=("layout=numerator",)), Screen()),
            "Jacobian",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(call, says):
    with pytest.raises(RequestError, match=says):
        call()


def test_a_jacobian_is_the_same_in_both():
    texts = {
        jacobian("softmax-cross-entropy", "p", "z", DeriveOptions(style=(f"layout={x}",)), Screen())[0]
        for x in ("numerator", "denominator")
    }
    assert len(texts) == 1
