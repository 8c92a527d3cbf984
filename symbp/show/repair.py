"""Repaired lines in the student's own LaTeX, and remarks for the margin of a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from symbp.claim import Tree, in_letters
from symbp.graph import Graph
from symbp.judge.points import Points
from symbp.judge.verdict import Verdict
from symbp.read.latex.write import NoLatex, latex_of
from symbp.show.alphabet import Latex
from symbp.show.verdict import message, repaired, spelled, word

LONGEST = 100  # a formula up to this length is repeated beside its verdict


def in_latex(points: Points) -> Callable[[Verdict, Tree], str]:
    """Writes trees in the symbols of the claim they belong to; empty where there is no such text."""

    def write(v: Verdict, tree: Tree) -> str:
        like = v.claim.links[v.link] if v.claim.notation == "latex" and v.link < len(v.claim.links) else None
        if v.claim.at:
            tree = in_letters(tree, v.claim.at, _member(v, points.graph), points.graph.loss)
        try:
            return latex_of(tree, points.graph.latex, points.graph.loss, points.shape, like)
        except NoLatex:
            return ""

    return write


def _member(v: Verdict, graph: Graph) -> Callable[[str, str], str]:
    """Members of families as the student writes them: `z^{l}`, `z^{(l)}`, `z^{[l]}` or `z_{l}`."""
    letter = v.claim.at[0][0]
    scripts = {r"\^\{?\(": "^{{({0})}}", r"\^\{?\[": "^{{[{0}]}}", "_\\{?": "_{{{0}}}"}
    style = next((s for start, s in scripts.items() if re.search(rf"{start}\\?{letter}\b", v.claim.text)), "^{{{0}}}")
    names = Latex(graph.latex)
    return lambda family, index: names.tensor(family) + style.format(index.replace("ell", r"\ell"))


def _in_dollars(v: Verdict, latex: Callable[[Verdict, Tree], str]) -> Callable[[Tree], str]:
    def write(tree: Tree) -> str:
        text = latex(v, tree)
        return f"${text}$" if text else ""

    return write


def remarks(
    verdicts: Sequence[Verdict], graph: Graph, latex: Callable[[Verdict, Tree], str], lang: str = "en"
) -> list[str]:
    """What stands beside a formula of a document: the verdict, what is the matter, the right line."""
    lines: list[str] = []
    for n, v in enumerate(verdicts):
        where = f"({n + 1}) " if len(verdicts) > 1 else ""
        if v.claim.notation == "latex" and len(v.claim.text) <= LONGEST and "$" not in v.claim.text:
            where = f"${v.claim.text}$ "
        text = word(v.verdict, lang)
        paper = v.claim.notation == "latex"
        said = message(v, graph, _in_dollars(v, latex) if paper else spelled, lang)
        if v.verdict == "correct" and not v.claim.about and v.claim.defines:
            text = word("definition", lang)
            said = ""
        lines.append(f"{where}{text}{': ' + said if said else ''}")
        tree = repaired(v) if v.verdict == "wrong" else None
        right = (latex(v, tree) if paper else spelled(tree)) if tree is not None else ""
        if right:
            shown = f"${right}$" if paper else right
            lines.append(f"{word('right-line', lang)}: {shown}")
    return lines
