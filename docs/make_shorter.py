"""Write docs/shorter.md: the published gradients of tests/corpus that symbp prints shorter, each with its proof.

    python docs/make_shorter.py

Length counts operators, comparisons and calls. Listed are forms in leaves and forward nodes, and δ
forms where the published one names error terms, that rest on a definition or a fact. The published
formula is read as a node of its own network, and proved equal to symbp's by the prover that the
derivation uses; the page says what was put in, and what both sides are then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import formulas  # noqa: E402
import test_corpus as corpus  # noqa: E402

from symbp.expr import Add, Entry, Expr, Num, Pow, Reduce, mul, replace, substitute  # noqa: E402
from symbp.form import NotReducible  # noqa: E402
from symbp.graph import DEFINITION, Graph, adjoint, primal  # noqa: E402
from symbp.normal import TooLarge  # noqa: E402
from symbp.numpy_code import numpy_text  # noqa: E402
from symbp.prove import Prover  # noqa: E402
from symbp.read.network import read_network  # noqa: E402
from symbp.sizes import size_text  # noqa: E402
from symbp.steps import Adjoint, Derivation  # noqa: E402

PAGE = ROOT / "docs" / "shorter.md"
LONGEST = 160  # longer normal forms are not shown
HEAD = """# Shorter than the textbook

Forms that symbp derives and that are shorter than the published ones, because the network's own definitions or the
facts of its data allow it. Length counts operators, comparisons and calls. Each has its proof: what is put into both
sides, and what both are when they are multiplied out. Made by `docs/make_shorter.py` from the published gradients in
`tests/corpus`.
"""


def rows() -> Iterator[str]:
    for path in corpus.CASES:
        case, derivation = corpus.case_of(path), corpus.derivation_of(path)
        for entry in corpus.published(case):
            a = derivation.adjoints[entry["wrt"]]
            forms = {t: e for t, e in ((corpus.text(derivation, a, f), _form(a, f)) for f in ("closed", "delta")) if t}
            if not any("d" + used in entry["numpy"] for used in a.uses):  # published in leaves and nodes
                forms = dict(list(forms.items())[:1])
            best = min(forms, key=formulas.operations, default=None)
            saved = formulas.operations(entry["numpy"]) - formulas.operations(best) if best else 0
            if best is not None and saved > 0:
                proof = proof_of(path, derivation, a, entry["numpy"], forms[best])
                if proof is not None:
                    yield row(case.case["title"], entry, best, saved, proof)


def _form(a: Adjoint, form: str) -> Expr | None:
    return a.closed if form == "closed" else a.delta


def row(title: str, entry: dict[str, str], best: str, saved: int, proof: str) -> str:
    lines = [f"## {title}: `{entry['wrt']}`", "", "| | |", "|---|---|"]
    lines += [f"| published | `{entry['numpy']}` |", f"| symbp | `{best}` |", f"| shorter by | {saved} |"]
    return "\n".join([*lines, "", proof, ""])


def proof_of(path: Path, derivation: Derivation, a: Adjoint, published: str, mine: Expr) -> str | None:
    """Why the two are equal, in sentences; None where that is arithmetic alone or no proof was found."""
    found = _read(path, derivation.graph, a, published)
    if found is None:
        return None
    graph, theirs = derivation.graph, found
    prover = Prover(graph, {n: x.delta for n, x in derivation.adjoints.items()}, None)
    proof = prover.equal(theirs, mine)
    if proof is None or not (proof.definitions or proof.facts):
        return None
    put_in = list(dict.fromkeys(_definition(graph, derivation, t) for t in proof.definitions))
    left, right = theirs, mine
    for name in proof.definitions:
        left, right = prover._unfolded(left, name), prover._unfolded(right, name)
    facts = ", ".join(f"`{f.text}`" for f in proof.facts if not f.text.startswith(DEFINITION))
    said = "Proof. " + (f"Put in {', '.join(put_in)}. " if put_in else "")
    said += f"Known is {facts}. " if facts else ""
    return said + _common(graph, prover, a, left, right)


def _read(path: Path, graph: Graph, a: Adjoint, published: str) -> Expr | None:
    """The published formula, as the body of a node of the network, in the letters of the adjoint."""
    case = corpus.case_of(path)
    *lines, last = case.network_text().splitlines()
    at = next(n for n, line in enumerate([*lines, last]) if re.match(rf"{case.loss}\s*=", line))
    lines = [*lines, last]
    named = sorted(n for n in graph.nodes if re.search(rf"\b{graph.adjoint_name(n)}\b", published))
    for n in named:  # error terms are given, as far as this text goes
        shape = ", ".join(size_text(d) for d in graph[n].shape)
        lines.insert(at, f"{graph.adjoint_name(n)}: ({shape}{',' if len(graph[n].shape) == 1 else ''})")
        at += 1
    lines.insert(at, f"published_form = {published}")
    try:
        other = read_network("\n".join(lines), "published")
    except Exception:
        return None
    node = other["published_form"]
    if node.body is None or len(node.axes) != len(a.node.axes):
        return None
    body = substitute(node.body, {i: j for i, j in zip(node.axes, a.node.axes) if i.free})
    names = {graph.adjoint_name(n): adjoint(n) for n in named}

    def rule(x: Expr) -> Expr | None:
        return Entry(names[x.tensor], x.idx) if isinstance(x, Entry) and x.tensor in names else None

    return replace(body, rule)


def _definition(graph: Graph, derivation: Derivation, tensor: str) -> str:
    name = primal(tensor)
    node = graph[name if name is not None else tensor]
    body = derivation.adjoints[name].delta if name is not None else node.body
    shown = graph.adjoint_name(name) if name is not None else tensor
    assert body is not None
    try:
        return f"`{shown} = {numpy_text(graph, body, node.axes)}`"
    except NotReducible:
        return f"the definition of `{shown}`"


def _common(graph: Graph, prover: Prover, a: Adjoint, left: Expr, right: Expr) -> str:
    """What both sides are when multiplied out, times their denominators where they have some."""
    times: list[Expr] = []
    for laws in (prover.plain, prover.deep):
        for _ in range(3):
            laws.work = 100_000
            try:
                one, two = laws(mul(*times, left)), laws(mul(*times, right))
            except (TooLarge, RecursionError):
                break
            if one == two:
                return f"{_said(graph, a, times)} `{_text(graph, a, laws.expression(one))}`."
            below = _denominators([*one, *two])
            if not below:
                break
            times += below
        times = []
    return "Over their common denominator the two are the same, term by term."


def _denominators(monomials: list) -> list[Expr]:
    lows: dict[Expr, Fraction] = {}
    for m in monomials:
        for b, x in m.factors:
            compound = isinstance(b, Add) or (isinstance(b, Reduce) and b.op == "sum")
            if compound and isinstance(x, Num) and x.value < 0 and b.free.isdisjoint(m.bound):
                lows[b] = max(lows.get(b, Fraction(0)), -x.value)
    return [Pow(b, Num(n)) for b, n in lows.items()]


def _said(graph: Graph, a: Adjoint, times: list[Expr]) -> str:
    if not times:
        return "Multiplied out, both are"
    return f"Times `{_text(graph, a, mul(*times))}` and multiplied out, both are"


def _text(graph: Graph, a: Adjoint, e: Expr) -> str:
    try:
        axes = [i for i in a.node.axes if i in e.free]
        text = numpy_text(graph, e, axes)
    except (NotReducible, AssertionError):
        text = "…"
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


if __name__ == "__main__":
    PAGE.write_text(HEAD + "\n" + "\n".join(rows()), encoding="utf-8")
