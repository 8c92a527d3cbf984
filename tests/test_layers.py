"""The house: imports run downwards only, the outside is light, and nothing is evaluated.

`ORDER` is the order of the modules. A module may import what stands above it in this list, inside a
function or at the top; `commands.py`, `network.py` and `cli.py` hold everything together.
"""

# ruff: noqa: SIM905, E501
from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "symbp"
ORDER = """
errors expr ops index family graph order local steps circuit unroll turn
sizes tensor arrange layers
read.names read.source read.settings read.functions read.formula read.facts read.loops read.network read zoo
contraction arithmetic known rules merge identities quotients piecewise orient textbook laws normal prove evaluate sample unknown fingerprint related shorten
simplify chain cases recursion derive convention structure sandwich higher
form outer matrix views windows check values family_values read.data descend
numpy_code helpers program loop_program diagonal check_higher differential
lang show show.style show.words show.problems show.alphabet show.tex show.blocks show.changes show.kinks show.names show.layout show.entries show.math show.document
show.terminal show.latex
show.picture show.picture.ink show.picture.layout show.picture.numbers show.picture.gates show.picture.picture show.picture.page
show.picture.circuits show.picture.blocks
show.picture.svg show.picture.tikz show.picture.mermaid show.picture.dot
show.beamer show.markdown show.mathml show.html show.notebook
show.claims show.json show.table show.plot show.descent show.higher
draw
functions sympy_names sympy_in sympy_families declare sympy_symbols sympy_matrices sympy_out sympy_code witness
claim read.counts judge judge.functions judge.value judge.points read.claims read.homework judge.text judge.equal judge.rewrite judge.lexicon judge.pool
judge.precise judge.search judge.edits judge.grafts judge.naming judge.forgotten judge.diagnose judge.entries judge.prove judge.verdict
read.latex read.latex.commands read.latex.macros read.latex.tokens read.latex.statements read.latex.tree
read.latex.grammar read.latex.members read.latex.names read.latex.view read.latex.resolve read.latex.atoms read.latex.functions
read.latex.slopes read.latex.calculus read.latex.sums read.latex.updates read.latex.formula read.latex.write read.latex.reader read.document
judge.lines
show.mistakes show.verdict show.repair
network commands cli
""".split()
OUTSIDE = {  # what each of these may be imported by
    "sympy": "functions sympy_names sympy_in sympy_families declare sympy_symbols sympy_matrices sympy_out sympy_code "
    "witness network",
    "numpy": "differential evaluate sample fingerprint shorten check check_higher values read.data descend program draw "
    "functions sympy_code witness network "
    "judge.functions judge.value judge.points judge.equal judge.precise judge.lexicon judge.pool judge.rewrite judge.search "
    "judge.edits judge.grafts judge.naming judge.forgotten judge.diagnose judge.verdict show.verdict",
    "mpmath": "judge.precise",
    "lark": "read.latex.grammar",
    "rich": "show.table show.terminal",
    "typer": "cli",
}
EVALUATED = {"program": {"exec", "compile"}}  # the one module that runs generated code
NEVER = {"eval", "exec", "compile", "__import__", "parse_expr", "parse_latex", "pickle", "loads"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


MODULES = {name_of(p): ast.parse(p.read_text(encoding="utf-8")) for p in sorted(PACKAGE.rglob("*.py"))}
HOUSE = [m for m in ORDER if m in MODULES]


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Every import, but for those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        yield from statements(node)


def imported(tree: ast.AST) -> set[str]:
    """Full names of the modules that a module imports."""
    found: set[str] = set()
    for node in statements(tree):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for a in node.names:
                whole = f"{node.module}.{a.name}"
                found.add(whole if whole.removeprefix("symbp.") in MODULES else node.module)
    return found


def test_every_module_has_its_place() -> None:
    assert set(MODULES) - {""} - set(ORDER) == set()


@pytest.mark.parametrize("module", HOUSE)
def test_imports_run_downwards(module: str) -> None:
    own = {m.removeprefix("symbp.") for m in imported(MODULES[module]) if m.startswith("symbp.")}
    below = set(HOUSE[: HOUSE.index(module)])

    assert own - below == set()


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert {m for m in imported(MODULES[""]) if m.startswith("symbp")} == set()


@pytest.mark.parametrize("library", OUTSIDE)
def test_libraries_stay_where_they_belong(library: str) -> None:
    users = {m for m, tree in MODULES.items() if library in {i.split(".")[0] for i in imported(tree)}}

    assert users <= set(OUTSIDE[library].split())


def test_the_engine_neither_prints_nor_shows() -> None:
    engine = HOUSE[: HOUSE.index("show")]
    prints = {m for m in engine for n in ast.walk(MODULES[m]) if isinstance(n, ast.Name) and n.id == "print"}

    assert prints == set()


@pytest.mark.parametrize("module", [m for m in HOUSE if m.startswith("show.")])
def test_renderers_do_not_compute(module: str) -> None:
    names = "rules simplify derive check evaluate sample values convention".split()
    engine = {f"symbp.{m}" for m in names}

    assert imported(MODULES[module]).isdisjoint(engine)


# ---- nothing is evaluated --------------------------------------------------------------------------


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call | None]]:
    """Names that are called, or passed on, or imported."""
    inside = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, inside.get(id(node))
        elif isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "re"):
            yield node.attr, inside.get(id(node))
        elif isinstance(node, ast.alias):
            yield node.name.split(".")[-1], None


@pytest.mark.parametrize("module", HOUSE)
def test_nothing_is_evaluated(module: str) -> None:
    found = {name for name, _ in calls(MODULES[module])} & NEVER

    assert found <= EVALUATED.get(module, set())


@pytest.mark.parametrize("module", HOUSE)
def test_sympify_never_sees_a_text(module: str) -> None:
    """`sympify` of a text evaluates it; with strict=True it refuses texts."""
    found = [call for name, call in calls(MODULES[module]) if name == "sympify"]
    loose = [call for call in found if call is None or "strict=True" not in ast.unparse(call)]

    assert loose == []


# ---- the outside is light ----------------------------------------------------------------------------


def loaded(*arguments: str) -> set[str]:
    """The libraries that a command of the command line loads."""
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['symbp', *{list(arguments)!r}]\n"
        "try:\n    runpy.run_module('symbp.cli', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print(' '.join(m for m in ('sympy', 'numpy', 'rich', 'symbp.expr') if m in sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=PACKAGE.parent, check=True)
    return set(done.stderr.decode().split())


def test_help_loads_nothing() -> None:
    assert loaded("--help") == set()
    assert loaded("derive", "--help") == set()
    assert loaded("--version") == set()


def test_the_list_of_networks_loads_nothing() -> None:
    assert loaded("zoo") == set()


def test_a_text_file_needs_no_sympy() -> None:
    assert "sympy" not in loaded("derive", "circuit-add-mul")
    assert "sympy" not in loaded("code", "relu-2")


def test_importing_symbp_loads_nothing() -> None:
    code = "import sys, symbp; print([m for m in ('sympy', 'numpy', 'rich', 'typer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=PACKAGE.parent, check=True)

    assert done.stdout.decode().strip() == "[]"
