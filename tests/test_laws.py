"""Every law by sampling; every law in a golden derivation; the catalogue; the order of what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_golden import BUILT_IN, FOLDER, OWN

from symbp import simplify
from symbp.arithmetic import canon, length
from symbp.derive import derive
from symbp.evaluate import Evaluation, run, size_value
from symbp.expr import Expr, Index
from symbp.graph import Graph, adjoint
from symbp.laws import LAWS, catalogue
from symbp.read.network import read_network
from symbp.sample import choose_sizes, draw
from symbp.steps import Derivation
from symbp.zoo import text as zoo_text

DOCS = Path(__file__).parent.parent / "docs"
APPLIED = {name for laws in simplify.LAWS.values() for name in (law.__name__ for law in laws)}
ELSEWHERE = {"contract", "one_sum", "fold"}  # arithmetic, the last merge, and what values propose


def network(name: str) -> Graph:
    own = FOLDER / f"{name}.symbp"
    return read_network(own.read_text(encoding="utf-8") if own.exists() else zoo_text(name), name)


@pytest.fixture(scope="module")
def uses() -> dict[str, list[tuple[Graph, Derivation, Expr, Expr]]]:
    """What each law did in all golden derivations: before and after."""
    found: dict[str, list[tuple[Expr, Expr]]] = {}
    tables = dict(simplify.LAWS)

    def watched(law: Callable[..., Expr | None]) -> Callable[..., Expr | None]:
        def apply(s: object, e: Expr, used: object) -> Expr | None:
            result = law(s, e, used)
            if result is not None:
                found.setdefault(law.__name__, []).append((e, result))
            return result

        apply.__name__ = law.__name__
        return apply

    everything: dict[str, list[tuple[Graph, Derivation, Expr, Expr]]] = {}
    try:
        for group, laws in tables.items():
            simplify.LAWS[group] = tuple(map(watched, laws))
        for name in (*BUILT_IN, *OWN):
            graph = network(name)
            if graph.has_families:
                continue
            found.clear()
            derivation = derive(graph, steps=False)
            for law, pairs in found.items():
                everything.setdefault(law, []).extend((graph, derivation, *pair) for pair in pairs[:3])
            for a in derive(graph).adjoints.values():
                for step in a.steps:
                    if step.law is not None and step.law.name == "fold":
                        everything.setdefault("fold", []).append((graph, derivation, *step.lines))
    finally:
        simplify.LAWS.update(tables)
    return everything


def values(graph: Graph, derivation: Derivation) -> Evaluation | None:
    sizes = choose_sizes(graph)
    point = draw(graph, sizes, np.random.default_rng(5)) if sizes is not None else None
    if point is None or point.reason:
        return None
    state = run(graph, point.leaves, sizes or {})
    state.values[adjoint(graph.loss)] = np.asarray(1.0)
    for name, a in derivation.adjoints.items():
        state.values[adjoint(name)] = state.tensor(a.node, a.delta)
    return state


@pytest.mark.parametrize("law", sorted(APPLIED | {"fold"}))
def test_a_law_is_used_by_a_golden_derivation_and_keeps_the_value(law: str, uses: dict[str, list]) -> None:
    assert uses.get(law), f"no golden derivation uses {law}"
    for graph, derivation, before, after in uses[law][:6]:
        state = values(graph, derivation)
        if state is None or any(i.name.startswith("u") for i in before.free):
            continue
        letters: tuple[Index, ...] = tuple(sorted(before.free | after.free, key=lambda i: i.name))
        with np.errstate(all="ignore"):
            one, two = state(before, letters), state(after, letters)
        known = np.isfinite(one) & np.isfinite(two)
        np.testing.assert_allclose(one[known], two[known], rtol=1e-8, atol=1e-10, err_msg=f"{law}: {before} = {after}")


BY_FACTS = {"sum_fact", "sign_fact", "idle_mask", "symmetric_inverse", "symmetric_by_definition", "fold"}
AWAY_FROM_KINKS = {"kinked", "clipped_minimum"}  # the catalogue says so


@pytest.mark.parametrize("law", sorted(APPLIED - BY_FACTS - AWAY_FROM_KINKS))
def test_a_law_holds_at_kinks_and_ties(law: str, uses: dict[str, list]) -> None:
    """At whole numbers, many of which are 0 or equal, a law is no less true."""
    for graph, derivation, before, after in uses[law][:6]:
        sizes = choose_sizes(graph)
        if sizes is None or any(f.kind in ("range", "posdef") for f in graph.facts):
            continue  # it may rest on a sign that whole numbers do not have
        letters: tuple[Index, ...] = tuple(sorted(before.free | after.free, key=lambda i: i.name))
        for seed in range(4):
            rng = np.random.default_rng(seed)
            shapes = {n.name: tuple(size_value(d, sizes) for d in n.shape) for n in graph.leaves}
            with np.errstate(all="ignore"):
                state = run(graph, {n: rng.integers(-1, 2, size=s).astype(float) for n, s in shapes.items()}, sizes)
                for n, a in derivation.adjoints.items():
                    state.values[adjoint(n)] = state.tensor(a.node, a.delta)
                one, two = state(before, letters), state(after, letters)
            known = np.isfinite(one) & np.isfinite(two)
            np.testing.assert_allclose(
                one[known], two[known], rtol=1e-8, atol=1e-9, err_msg=f"{law}: {before} = {after}"
            )


def test_the_catalogue_has_every_law_and_nothing_else() -> None:
    assert {row.name for row in LAWS} == APPLIED | ELSEWHERE
    assert all(row.formula and row.english and row.chinese for row in LAWS)


@pytest.mark.parametrize(("file", "lang"), [("laws.md", "en"), ("laws.zh.md", "zh")])
def test_the_page_of_laws_is_made_from_the_code(file: str, lang: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        (DOCS / file).write_text(catalogue(lang), encoding="utf-8")

    assert (DOCS / file).read_text(encoding="utf-8") == catalogue(lang), "pytest --update-golden writes it anew"


SHUFFLED = ("softmax-classifier", "layer-norm", "attention", "gru-gate", "svm")


@pytest.mark.parametrize("name", SHUFFLED)
def test_the_order_of_laws_does_not_change_the_result(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = derive(network(name), steps=False)
    rng = np.random.default_rng(1)
    for group, laws in simplify.LAWS.items():
        monkeypatch.setitem(simplify.LAWS, group, tuple(laws[n] for n in rng.permutation(len(laws))))
    shuffled = derive(network(name), steps=False)

    for n, a in plain.adjoints.items():
        assert length(shuffled.adjoints[n].delta) == length(a.delta), n


@pytest.mark.parametrize("name", SHUFFLED)
def test_the_order_of_declarations_does_not_change_the_result(name: str) -> None:
    graph = network(name)
    leaves = [n for n in graph.nodes.values() if n.is_leaf]
    inner = [n for n in graph.nodes.values() if not n.is_leaf]
    turned = replace(graph, nodes={n.name: n for n in (*reversed(leaves), *inner)})
    one, two = derive(graph, steps=False), derive(turned, steps=False)

    for n, a in one.adjoints.items():
        assert canon(two.adjoints[n].delta) is canon(a.delta), n
