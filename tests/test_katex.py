"""Every formula that symbp prints for every built-in network renders in KaTeX, in both languages, all notations and
all conventions, and keeps to what pandoc, MathJax and GitHub take too.

KaTeX comes from npm (`make test` installs it where npm is); without it that half is skipped.
"""

# ruff: noqa: SIM905
from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path

import pytest

from symbp.convention import minus
from symbp.derive import derive
from symbp.differential import differentials
from symbp.show.alphabet import Latex
from symbp.show.document import Options, document
from symbp.show.latex import latex
from symbp.show.markdown import markdown
from symbp.show.style import CHOICES, USUAL, Style
from symbp.show.words import languages
from symbp.steps import Derivation
from symbp.zoo import names, network

FOLDER = Path(__file__).parent / "katex"
STYLES = [USUAL, *(Style(**{name: choice}) for name, (_, *others) in CHOICES.items() for choice in others)]
EVERYTHING = Style("minus", "nabla", "paren", "prime", "circ", "yes")
COMMANDS = {
    *(rf"\{c}" for c in "left right begin end frac sqrt text texttt mathbf boldsymbol mathrm mathbb mathcal".split()),
    *(rf"\{c}" for c in "hat bar tilde dot underline hspace displaystyle quad qquad lVert rVert lvert rvert".split()),
    *(rf"\{c}" for c in "partial nabla sum max min exp log tanh sin cos sinh cosh arctan det infty prime top".split()),
    *(rf"\{c}" for c in "odot circ cdot cdots ldots times le ge ne in to leftarrow dots prod".split()),
    *(rf"\{c}" for c in "alpha beta gamma delta varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma".split()),
    *(rf"\{c}" for c in "tau upsilon varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split()),
    *(rf"\{c}" for c in r", ; : ! \ _ % & # { } $".split()),
}


@lru_cache(maxsize=64)
def derivation(name: str) -> Derivation:
    return derive(network(name))


def text(
    name: str, form: str, lang: str = "en", notation: str = "matrix", detail: str = "normal", style: Style = USUAL
) -> str:
    d = minus(derivation(name)) if style.delta == "minus" else derivation(name)
    view = Options(lang=lang, notation=notation, detail=detail, delta=style.delta, style=style, update=True)
    blocks = document(d, Latex(d.graph.latex, style), view)
    return markdown(blocks, lang) if form == "markdown" else latex(blocks, lang=lang)


def by_differentials(name: str) -> str:
    d = derivation(name)
    view = Options(differentials=differentials(d), exercise=name == names()[0])
    return markdown(document(d, Latex(d.graph.latex), view))


def formulas(markdown: str) -> Iterator[str]:
    """The formulas of a Markdown text, as a reader of it would find them."""
    for n, part in enumerate(markdown.split("$$")):
        if n % 2:
            yield part.strip()
        else:
            yield from re.findall(r"(?<![\\$])\$([^$]+)\$", re.sub(r"`[^`]*`", "", part))


def views() -> Iterator[tuple[str, str, str, str, Style]]:
    """Network, language, notation, detail, style: all languages and notations, and every choice of every convention."""
    for name in names():
        for lang, notation in product(languages(), ("matrix", "both")):
            yield name, lang, notation, "full", EVERYTHING if notation == "both" else USUAL
    for name, style in product(names()[::5], STYLES):
        yield name, "en", "index", "normal", style


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """Formula → where it was printed first."""
    found: dict[str, str] = {}
    for name, lang, notation, detail, style in views():
        for formula in formulas(text(name, "markdown", lang, notation, detail, style)):
            found.setdefault(formula, f"{name} {lang} {notation} {detail} {style}")
    for name in names():
        if not network(name).has_families:
            for formula in formulas(by_differentials(name)):
                found.setdefault(formula, f"{name} by differentials")
    return found


def test_formulas_keep_to_the_portable_core(printed: dict[str, str]) -> None:
    used = {command for formula in printed for command in re.findall(r"\\(?:[A-Za-z]+|.)", formula)}

    assert used - COMMANDS == set()


def test_formulas_are_balanced(printed: dict[str, str]) -> None:
    for formula, where in printed.items():
        bare = re.sub(r"\\[{}]", "", formula)
        assert bare.count("{") == bare.count("}"), where
        assert formula.count(r"\left") - formula.count(r"\leftarrow") == formula.count(r"\right"), where
        assert formula.count(r"\begin") == formula.count(r"\end"), where
        assert "^^" not in formula and not re.search(r"\^\{[^{}]*\}\^|_\{[^{}]*\}_", formula), f"{where}: {formula}"


def test_markdown_keeps_to_what_github_accepts(printed: dict[str, str]) -> None:
    for formula, where in printed.items():
        assert not re.search(r"\\(operatorname|tag|label|color|mbox|phantom)\b", formula), where
    for name in names():
        for lang in languages():
            lines = text(name, "markdown", lang).splitlines()
            for n, line in enumerate(lines):
                if line == "$$":  # alone on its line, with an empty line outside
                    assert "" in (lines[n - 1], lines[n + 1] if n + 1 < len(lines) else "")
            for n, line in enumerate(lines):  # nothing inside of a table ends a cell too early
                if line.startswith("| ") and lines[n - 1].startswith("|"):
                    assert line.count("|") - line.count(r"\|") == lines[n - 1].count("|"), line


@pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules" / "katex").is_dir(),
    reason="KaTeX is not here: npm ci --prefix tests/katex",
)
def test_katex_renders_every_formula(printed: dict[str, str]) -> None:
    items = json.dumps([[where, formula] for formula, where in printed.items()])
    run = subprocess.run(
        ["node", "check.js"], input=items, capture_output=True, text=True, cwd=FOLDER, timeout=300, check=True
    )

    assert json.loads(run.stdout) == []
    assert len(printed) > 500
