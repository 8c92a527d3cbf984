"""Every built-in network, from its text to every format, without a line written for any of them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kinds import ORDINARY
from numpy.testing import assert_allclose

from symbp.check import check, check_steps
from symbp.commands import DeriveOptions, Screen
from symbp.commands import derive as derive_command
from symbp.commands import zoo as zoo_command
from symbp.derive import derive
from symbp.errors import RequestError
from symbp.evaluate import run
from symbp.expr import Expr
from symbp.graph import Graph, Node
from symbp.numpy_code import numpy_text
from symbp.read.network import read_network
from symbp.sample import choose_sizes, draw
from symbp.show.alphabet import Latex, Unicode
from symbp.show.document import Options, document
from symbp.show.latex import latex
from symbp.show.terminal import lines, width_of
from symbp.sizes import is_literal, shape_text, size_text
from symbp.steps import Derivation
from symbp.unknown import samples
from symbp.values import evaluate_at
from symbp.zoo import FOLDER, names, network, title
from symbp.zoo import text as text_of

every_network = pytest.mark.parametrize("name", names())

LECTURES = """
circuit-add-mul circuit-sigmoid circuit-max circuit-fork elementwise-max l2-of-matvec svm relu-2 relu-3
one-parameter linear-neuron linear-neuron-batch logistic-neuron logistic-layers half-square mean-square-2x2
rnn-step weight-decay dropout relu-batch-64x1000x100x8 leaky-relu-batch vjp-exp softmax-kl minibatch
mlp-3-4-2 mlp-3-4-2-matrix scalar-chain-3 chain-jacobian deep layers chain-jacobians
"""


def real_point(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """Values for the leaves, in the sizes that the network declares."""
    sizes = choose_sizes(graph)
    assert sizes is not None
    sizes = {name: int(name) if is_literal(name) else n for name, n in sizes.items()}
    point = draw(graph, sizes, np.random.default_rng(seed), samples(graph))
    assert not point.reason
    return point.leaves


# ---- the list ----------------------------------------------------------------------------------


def test_the_lectures_networks_are_there() -> None:
    assert set(LECTURES.split()) <= set(names())


def test_names_and_files_are_the_same() -> None:
    files = {path.name for path in FOLDER.glob("*.symbp")}
    assert files == {f"{name}.symbp" for name in names()}
    assert len(set(names())) == len(names())


def test_the_list_fits_the_screen_and_names_each_network_with_its_title() -> None:
    text, status = zoo_command(None, Screen())
    rows = text.splitlines()
    assert status == 0
    assert [row.split()[0] for row in rows] == list(names())
    assert all(width_of(row) <= 80 for row in rows)
    assert all(row.endswith(title(row.split()[0])) for row in rows)


def test_the_list_imports_nothing_that_computes() -> None:
    script = (
        "import sys; from symbp.zoo import names, title; [title(n) for n in names()]; "
        "assert not {'sympy', 'numpy', 'symbp.read.network'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@every_network
def test_a_network_is_printed_as_it_stands_in_its_file(name: str) -> None:
    text, status = zoo_command(name, Screen())
    assert status == 0
    assert text == text_of(name)
    assert text.endswith("\n")


@every_network
def test_the_title_is_that_of_the_network(name: str) -> None:
    assert network(name).title == title(name) != ""


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(RequestError, match="relu-2"):
        text_of("relu2")


# ---- the derivation ----------------------------------------------------------------------------


@every_network
def test_reads_without_a_warning(name: str) -> None:
    assert network(name).warnings == ()


@every_network
def test_every_tensor_passes_the_full_check(name: str) -> None:
    derivation = derive(network(name))
    checked = check(derivation, "full")
    assert set(checked) == set(derivation.adjoints)
    for tensor, c in checked.items():
        assert c.ok, f"{tensor}: {c.note}"
        assert c.points >= 3
        assert c.error < 1e-10


@every_network
def test_every_line_of_every_step_has_the_value_of_the_line_before(name: str) -> None:
    assert check_steps(derive(network(name))) == ""


@pytest.mark.parametrize("name", [n for n in ORDINARY if ">>" not in text_of(n)])
def test_the_numpy_text_of_every_form_means_what_it_stands_for(name: str) -> None:
    derivation = derive(network(name))
    leaves = real_point(derivation.graph)
    _, gradients = evaluate_at(derivation, leaves)
    for form in ("delta", "closed"):
        texts, values = read_back(derivation, form, leaves, gradients)
        for tensor, value in values.items():
            assert value.shape == gradients[tensor].shape, texts[tensor]
            assert_allclose(value, gradients[tensor], rtol=1e-9, atol=1e-9, err_msg=texts[tensor])


def read_back(
    derivation: Derivation, form: str, leaves: dict[str, Any], gradients: dict[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """The printed forms, and what they are worth when symbp reads them again: as lines of the
    network's own text, with the adjoints that they name as leaves."""
    graph = derivation.graph
    texts = {
        a.node.name: _text(graph, a.node, a.delta if form == "delta" else a.closed)
        for a in derivation.adjoints.values()
    }
    own = (
        text_of(graph.name)
        .split("\n", 1)[1]
        .replace(f"upstream({graph.upstream})", f"sum(d{graph.upstream}*{graph.upstream})")
    )
    given = f"d{graph.upstream}: {shape_text(graph[graph.upstream].shape)}\n" if graph.upstream else ""
    adjoints = {n: graph.adjoint_name(n) for n in texts if graph.adjoint_name(n) not in graph.nodes}
    declared = "".join(f"{d}: {shape_text(graph[n].shape)}\n" for n, d in adjoints.items())
    forms = "".join(f"form_{n} = {t}\n" for n, t in texts.items())
    last = "all_forms = " + " + ".join(f"sum(form_{n})" for n in texts) + "\n"
    again = read_network(given + declared + own + forms + last)
    values = {**leaves, **{d: gradients[n] for n, d in adjoints.items()}}
    sizes: dict[str, int] = {}
    for node in again.leaves:
        for dim, n in zip(node.shape, np.shape(values[node.name]), strict=True):
            sizes[size_text(dim)] = n
    state = run(again, values, sizes)
    constants = {name: float(c.value) for name, c in again.constants.items()}  # `form_q = 2` is a constant
    return texts, {n: np.asarray((state.values | constants)[f"form_{n}"]) for n in texts}


def _text(graph: Graph, node: Node, e: Expr | None) -> str:
    assert e is not None, f"{node.name} has no closed form"
    return numpy_text(graph, e, node.axes)


# ---- what is shown -----------------------------------------------------------------------------


@every_network
def test_no_line_is_wider_than_the_terminal(name: str) -> None:
    derivation = derive(network(name))
    full = Options(detail="full", notation="both", delta="minus", update=True)
    for view in (Options(), full, replace(full, lang="zh")):
        blocks = list(document(derivation, Unicode(), view))
        for width in (60, 80, 120):
            for line in lines(blocks, width):
                assert width_of(line) <= width, line


LONG = '''"""多么长的标题都要折行：一个词元接着一个词元，没有空格也要折行，直到这一行写满为止才换到下一行去"""
customer_features: (batch_size, feature_count)
embedding_weights: (feature_count, embedding_width)
output_weights_of_the_very_last_layer: (embedding_width, product_count)
clicked: (batch_size, product_count)
hidden_activation_of_the_layer = tanh(customer_features @ embedding_weights)
predicted_probabilities = softmax(hidden_activation_of_the_layer @ output_weights_of_the_very_last_layer, axis=1)
cross_entropy_loss = -mean(sum(clicked * log(predicted_probabilities), axis=1)) + 0.5 * sum(embedding_weights**2)
assert onehot(clicked, axis=1)
'''


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_long_names_fit_and_keep_every_letter(lang: str) -> None:
    derivation = derive(read_network(LONG))
    blocks = list(document(derivation, Unicode(), Options(lang=lang, update=True, detail="full")))
    texts = []
    for width in (40, 60, 80, 120, 400):
        shown = list(lines(blocks, width))
        assert all(width_of(line) <= width for line in shown)
        texts.append(re.sub(r"[\s═─]", "", "".join(shown)))
    for text in texts:
        assert sorted(text) == sorted(texts[0]), "breaking lines loses nothing"


@every_network
def test_latex_has_matching_braces_and_environments(name: str) -> None:
    derivation = derive(network(name))
    for detail in ("brief", "normal", "full"):
        for notation in ("matrix", "index", "both"):
            view = Options(detail=detail, notation=notation)
            out = latex(document(derivation, Latex(derivation.graph.latex), view), standalone=True)
            bare = out.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "")
            assert bare.count("{") == bare.count("}")
            assert bare.count(r"\begin{") == bare.count(r"\end{")
            assert bare.count(r"\left") - bare.count(r"\leftarrow") == bare.count(r"\right") - bare.count(
                r"\rightarrow"
            )
            assert out.isprintable() or "\n" in out
            assert out.rstrip().endswith(r"\end{document}")


@every_network
@pytest.mark.parametrize("form", ["terminal", "latex", "markdown", "numpy", "json"])
def test_every_format_comes_out_of_the_command(name: str, form: str) -> None:
    text, status = derive_command([name], DeriveOptions(format=form), Screen())
    assert status == 0
    assert text.endswith("\n")
