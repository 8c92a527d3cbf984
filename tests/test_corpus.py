"""Published gradients: symbp derives every one of them, and not longer than it was published.

Each file of `corpus/` holds a network, the gradients that a textbook, a course or a paper gives for
it, and mistakes that people make. Compared are values, at random points that respect the facts, of
both forms as printed in NumPy; then lengths: operators, comparisons and calls.
"""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

import formulas
import numpy as np
import pytest

from symbp.derive import derive
from symbp.form import NotReducible
from symbp.numpy_code import numpy_text
from symbp.read.network import read_network
from symbp.steps import Adjoint, Derivation

CORPUS = Path(__file__).parent / "corpus"
SEEDS = (1, 2)
CASES = sorted(CORPUS.rglob("*.toml"))
LISTED = """
    act-elu:z
"""
LONGER = set(LISTED.split())  # published shorter than symbp prints them: this list only ever shrinks


@functools.cache
def case_of(path: Path) -> formulas.Case:
    return formulas.Case(tomllib.loads(path.read_text(encoding="utf-8")))


def published(case: formulas.Case) -> list[dict[str, str]]:
    return [*case.case.get("delta", []), *case.case.get("gradient", [])]


@functools.cache
def derivation_of(path: Path) -> Derivation:
    case = case_of(path)
    wrt = sorted({entry["wrt"] for entry in published(case)})
    return derive(read_network(case.network_text(), path.stem), wrt, steps=False)


def text(derivation: Derivation, a: Adjoint, form: str) -> str | None:
    e = a.closed if form == "closed" else a.delta
    try:
        return None if e is None else numpy_text(derivation.graph, e, a.node.axes)
    except NotReducible:
        return None


def points(path: Path):
    """All values at a point, and the published gradients as values of adjoints."""
    case, graph = case_of(path), derivation_of(path).graph
    for seed in SEEDS:
        env = case.draw(seed)
        for entry in published(case):
            env["d" + entry["wrt"]] = np.asarray(formulas.evaluate(entry["numpy"], env), float)
        env |= {graph.adjoint_name(entry["wrt"]): env["d" + entry["wrt"]] for entry in published(case)}
        yield env


def backward(derivation: Derivation, env: dict[str, object]) -> dict[str, object]:
    """The adjoints that the published formulas do not give, by symbp's own backward program."""
    values = dict(env)
    for a in derivation.adjoints.values():
        name, line = derivation.graph.adjoint_name(a.node.name), text(derivation, a, "delta")
        if name not in values and line is not None:
            values[name] = np.asarray(formulas.evaluate(line, values), float)  # a mask counts as 0 and 1
    return values


def is_same(value: object, truth: object) -> bool:
    value, truth = np.asarray(value, float), np.asarray(truth, float)
    scale = max(np.abs(truth).max(initial=0.0), 1e-9)
    return value.shape == truth.shape and bool(np.abs(value - truth).max(initial=0.0) <= 1e-7 * scale)


def is_short(path: Path, entry: dict[str, str]) -> bool:
    """Is the better form at most as long? A published formula in leaves meets the closed form."""
    case, derivation = case_of(path), derivation_of(path)
    known = {*case.leaves, *(name for name, _ in case.nodes)}
    by_deltas = any(re.search(rf"\bd{n}\b", entry["numpy"]) for n in known if f"d{n}" not in known)
    a = derivation.adjoints[entry["wrt"]]
    texts = [text(derivation, a, form) for form in (("closed", "delta") if by_deltas else ("closed",))]
    lengths = [formulas.operations(t) for t in texts if t is not None]
    return bool(lengths) and min(lengths) <= formulas.operations(entry["numpy"])


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_every_published_gradient_is_derived(path: Path) -> None:
    derivation = derivation_of(path)
    for env in points(path):
        values = backward(derivation, env)
        for entry in published(case_of(path)):
            a = derivation.adjoints[entry["wrt"]]
            forms = [t for form in ("closed", "delta") if (t := text(derivation, a, form)) is not None]
            assert forms, f"∂/∂{entry['wrt']} has no NumPy text"
            for form in forms:
                assert is_same(formulas.evaluate(form, values), env["d" + entry["wrt"]]), f"{entry['wrt']}: {form}"


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_no_form_is_longer_than_published(path: Path) -> None:
    longer = {f"{path.stem}:{entry['wrt']}" for entry in published(case_of(path)) if not is_short(path, entry)}
    assert longer <= LONGER


@pytest.mark.parametrize(("folder", "count"), [("classical", 279), ("modern", 451)])
def test_the_corpus_is_whole(folder: str, count: int) -> None:
    assert sum(len(published(case_of(p))) for p in CASES if p.parent.name == folder) == count


def test_the_page_of_shorter_forms_says_what_is_derived() -> None:
    """docs/shorter.md, which docs/make_shorter.py writes: what is published, symbp's form, and by how much it is
    shorter."""
    page = (Path(__file__).parent.parent / "docs" / "shorter.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^## ([^\n]*): `(\w+)`\n.*?published \| `(.*?)` \|\n\| symbp \| `(.*?)` \|\n"
        r"\| shorter by \| (\d+) \|\n\nProof\. \S",
        page,
        re.M | re.S,
    )
    cases = {case_of(p).case["title"]: p for p in CASES}

    assert len(rows) == page.count("\n## ") >= 30
    for title, wrt, formula, shown, saved in rows:
        derivation = derivation_of(cases[title])
        a = derivation.adjoints[wrt]
        assert (wrt, formula) in [(e["wrt"], e["numpy"]) for e in published(case_of(cases[title]))]
        assert shown in (text(derivation, a, "closed"), text(derivation, a, "delta")), "run docs/make_shorter.py"
        assert formulas.operations(formula) - formulas.operations(shown) == int(saved)
