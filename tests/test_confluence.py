"""The result does not hang on the order in which a network was written: any order of definitions, any
order of summands, gives the same forms. (The order of laws: test_laws.py.)"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest
from formulas import Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbp.arithmetic import length
from symbp.derive import derive
from symbp.expr import Add, Call, Compare, Entry, Expr, Index, Mul, Reduce, rebuild, text
from symbp.graph import Graph, adjoint, primal
from symbp.read.network import read_network
from symbp.steps import Derivation
from symbp.zoo import network

HERE = Path(__file__).parent
BUILT_IN = ("batch-norm", "gru-step", "lstm-step", "mlp-sigmoid-bce", "self-attention", "softmax-kl", "svm", "swiglu")
GOLDEN = ("layer-norm", "attention", "masks", "functions", "residual")
PUBLISHED = (
    "classical/cs229-least-squares",
    "classical/unrolled-3-2-2-network",
    "modern/batchnorm-means",
    "modern/contrastive-pairs",
    "modern/gaussian-nll-logvar",
    "modern/kl-two-diagonal-gaussians",
    "modern/ranknet",
    "modern/word2vec-negative-sampling",
)
NETWORKS = (*BUILT_IN, *GOLDEN, *PUBLISHED)


@cache
def graph_of(name: str) -> Graph:
    if name in BUILT_IN:
        return network(name)
    if name in GOLDEN:
        return read_network((HERE / "golden" / f"{name}.symbp").read_text(encoding="utf-8"))
    case = Case(tomllib.loads((HERE / "corpus" / f"{name}.toml").read_text(encoding="utf-8")))
    return read_network(case.network_text())


@cache
def derived(name: str) -> Derivation:
    return derive(graph_of(name), steps=False)


def form(e: Expr, names: dict[Expr, str] | None = None) -> str:
    """The same text for forms that differ in the order of summands and factors and in summed letters."""
    names = names or {}
    match e:
        case Index():
            return names.get(e, e.name)
        case Add() | Mul():
            return f"{type(e).__name__}({', '.join(sorted(form(a, names) for a in e.args))})"
        case Reduce():
            orders = itertools.permutations(e.bound) if e.op == "sum" else (e.bound,)
            bodies = (form(e.body, {**names, **{b: f"{e.level}.{n}" for n, b in enumerate(o)}}) for o in orders)
            return f"{e.op}({min(bodies)} at {', '.join(form(a, names) for a in e.at)})"
    if not e.args:
        return text(e)
    head = e.tensor if isinstance(e, Entry) else e.fn if isinstance(e, (Call, Compare)) else type(e).__name__
    return f"{head}({', '.join(form(a, names) for a in e.args)})"


def with_definitions_in_another_order(graph: Graph, random: Random) -> Graph:
    left, found = dict(graph.nodes), {}
    while left:
        ready = [n for n in left.values() if n.body is None or n.body.tensors <= found.keys()]
        node = random.choice(ready)
        found[node.name] = left.pop(node.name)
    return replace(graph, nodes=found)


def with_summands_in_another_order(graph: Graph, random: Random) -> Graph:
    def turned(e: Expr) -> Expr:
        if isinstance(e, Reduce):
            indices, body = e.open()
            return Reduce(e.op, indices, turned(body), map(turned, e.at))
        args = [turned(a) for a in e.args]
        if isinstance(e, Add):
            random.shuffle(args)
        return rebuild(e, args)

    nodes = {k: n if n.body is None else replace(n, body=turned(n.body)) for k, n in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def with_other_names(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """The same network with names that stand the other way round in the alphabet."""
    names = {n: f"q{chr(122 - i // 26)}{chr(122 - i % 26)}" for i, n in enumerate(sorted(graph.nodes))}
    nodes = {
        names[n.name]: replace(n, name=names[n.name], body=None if n.body is None else renamed(n.body, names))
        for n in graph.nodes.values()
    }
    facts = tuple(replace(f, tensor=names.get(f.tensor, f.tensor)) for f in graph.facts)
    other = replace(graph, nodes=nodes, facts=facts, loss=names[graph.loss], upstream=names.get(graph.upstream, ""))
    return other, names


def renamed(e: Expr, names: dict[str, str]) -> Expr:
    if isinstance(e, Reduce):
        indices, body = e.open()
        return Reduce(e.op, indices, renamed(body, names), [renamed(a, names) for a in e.at])
    if isinstance(e, Entry):
        inner = primal(e.tensor)
        called = names[e.tensor] if inner is None else adjoint(names[inner])
        return Entry(called, [renamed(a, names) for a in e.idx])
    return rebuild(e, [renamed(a, names) for a in e.args]) if e.args else e


def assert_same_forms(one: Derivation, two: Derivation) -> None:
    assert one.adjoints.keys() == two.adjoints.keys()
    for name, a in one.adjoints.items():
        b = two.adjoints[name]
        assert form(a.delta) == form(b.delta), f"the δ form of {name}: {a.delta} and {b.delta}"
        assert (a.closed is None) == (b.closed is None), name
        if a.closed is not None and b.closed is not None:
            assert form(a.closed) == form(b.closed), f"the closed form of {name}: {a.closed} and {b.closed}"


many = settings(
    max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@many
@given(st.sampled_from(NETWORKS), st.randoms(use_true_random=False))
def test_the_order_of_definitions_does_not_change_the_forms(name: str, random: Random) -> None:
    other = with_definitions_in_another_order(graph_of(name), random)

    assert_same_forms(derived(name), derive(other, steps=False))


@many
@given(st.sampled_from(NETWORKS), st.randoms(use_true_random=False))
def test_the_order_of_summands_does_not_change_the_forms(name: str, random: Random) -> None:
    other = with_summands_in_another_order(graph_of(name), random)

    assert_same_forms(derived(name), derive(other, steps=False))


@pytest.mark.parametrize(
    "name", ["batch-norm", "gru-step", "swiglu", "svm", "modern/ranknet", "modern/contrastive-pairs"]
)
def test_names_do_not_change_the_forms(name: str) -> None:
    graph = graph_of(name)
    other, names = with_other_names(graph)
    two = derive(other, steps=False).adjoints

    for n, a in derived(name).adjoints.items():
        assert form(renamed(a.delta, names)) == form(two[names[n]].delta), n


def test_of_a_difference_the_first_is_named() -> None:
    """(a − b)² has two gradients, one minus the other: that of b is named by that of a, whatever they are called."""
    for a, b in ("xy", "yx"):
        for difference in (f"{a} - {b}", f"-{b} + {a}"):
            forms = derive(read_network(f"{b}: (n,)\n{a}: (n,)\nL = sum(({difference})**2)"), steps=False).adjoints
            assert forms[b].uses == (a,), difference
            assert forms[a].uses == (), difference


@pytest.mark.parametrize("name", ["batch-norm", "modern/ranknet"])
def test_shuffling_does_shuffle(name: str) -> None:
    graph, random = graph_of(name), Random(3)

    assert list(with_definitions_in_another_order(graph, random).nodes) != list(graph.nodes)
    assert with_summands_in_another_order(graph, random).nodes != graph.nodes


def test_a_gradient_is_shown_after_those_that_it_names() -> None:
    for name in NETWORKS:
        shown: set[str] = set()
        for n, a in derived(name).adjoints.items():
            assert shown.issuperset(a.uses), n
            shown.add(n)


def test_a_closed_form_is_not_longer_for_another_gradient_that_the_short_form_names() -> None:
    """dC = −dA is short, and so is what dC is without dA."""
    adjoints = derived("modern/contrastive-pairs").adjoints

    assert adjoints["C"].uses == ("A",)
    assert length(adjoints["C"].closed) == length(adjoints["A"].closed)
