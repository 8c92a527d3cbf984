"""The documentation is run: commands, Python, networks, links and names in README and docs.

How a page is read:

- a ```console block holds `$ command` lines and what they print. Commands that begin with `symbp`
  are run (80 columns, no colour) and compared; a line `…` stands for any lines, `…` in a line for
  any text, and measured errors such as 2e-16 may differ. Other commands are not run.
- a ```python block is run, one after the other on a page; the value of an expression is compared
  with the comment on its line.
- `<!-- file: NAME -->` before a block writes it to NAME, and a `.symbp` file must derive and check;
  `<!-- network -->` is a network without a name.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
import xml.etree.ElementTree as ET
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MEASURED = re.compile(r"\b\d+(\.\d+)?e[-+]\d+\b")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, line, language, text, and the mark in the comment before it."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    found = []
    lines = page.read_text(encoding="utf-8").split("\n")
    n = 0
    while n < len(lines):
        fence = re.match(r"(\s*)```(\w+)", lines[n])
        if not fence:
            n += 1
            continue
        start, indent = n, len(fence[1])
        while lines[n + 1].strip() != "```":
            n += 1
        before = next((x for x in reversed(lines[:start]) if x.strip()), "")
        mark = re.fullmatch(r"\s*<!-- (.*) -->", before)
        text = "\n".join(x[indent:] for x in lines[start + 1 : n + 1]) + "\n"
        found.append(Block(page, start + 1, fence[2], text, mark[1] if mark else ""))
        n += 2
    return tuple(found)


def every(language: str) -> list[Block]:
    return [b for page in PAGES for b in blocks(page) if b.language == language]


def by_name(items: list[Block]) -> list[object]:
    return [pytest.param(b, id=b.name) for b in items]


def folder(page: Path, tmp_path: Path) -> Path:
    """A folder with the files that a page speaks of."""
    for block in blocks(page):
        if block.mark.startswith("file: "):
            (tmp_path / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
    for name in ("examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


# ---- commands ------------------------------------------------------------------------------------


def sessions(text: str) -> list[tuple[str, list[str]]]:
    """Each command with the lines that are shown after it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def agrees(shown: list[str], printed: list[str]) -> bool:
    """Whether the lines printed are those shown, `…` standing for anything."""
    if not shown:
        return not printed
    if shown[0].strip() == "…":
        return any(agrees(shown[1:], printed[n:]) for n in range(len(printed) + 1))
    pattern = ".*".join(re.escape(MEASURED.sub("#", part)) for part in shown[0].rstrip().split("…"))
    return bool(printed) and re.fullmatch(pattern, MEASURED.sub("#", printed[0].rstrip())) is not None and agrees(
        shown[1:], printed[1:]
    )  # fmt: skip


def run(command: str, where: Path) -> tuple[str, int]:
    """What a shell command prints, standard error included, and its exit code."""
    program = where / "bin" / "symbp"
    if not program.exists():
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m symbp.cli "$@"\n')
        program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    python = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PATH": path, "PYTHONPATH": python, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, shell=True, cwd=where, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
    )
    return done.stdout.decode(), done.returncode


@pytest.mark.skipif(os.name == "nt", reason="the pages show a POSIX shell")
@pytest.mark.parametrize("block", by_name(every("console")))
def test_commands_print_what_is_shown(block: Block, tmp_path: Path) -> None:
    where = folder(block.page, tmp_path)
    for command, shown in sessions(block.text):
        if not command.startswith("symbp "):
            continue
        printed, code = run(command, where)
        lines = printed.rstrip("\n").split("\n") if printed.strip() else []

        assert "Traceback" not in printed
        assert "Internal error" not in printed
        assert code == 0 or shown, f"{command}: exit code {code}\n{printed}"
        assert not shown or agrees(shown, lines), f"$ {command}\n{printed}"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a 1e-16", "b"], ["a 3.4e-15", "b"], True),
        (["a", "…", "z"], ["a", "b", "c", "z"], True),
        (["a", "…", "z"], ["a", "b"], False),
        (["a…c"], ["abc"], True),
        (["a"], ["a", "b"], False),
        (["a 10"], ["a 11"], False),
    ],
)
def test_what_counts_as_shown(shown: list[str], printed: list[str], same: bool) -> None:
    assert agrees(shown, printed) is same


# ---- Python and networks -----------------------------------------------------------------------


def run_python(text: str, scope: dict[str, object], name: str) -> None:
    """Run a block; an expression's value is what the comment after it says, what is printed what the
    comment lines after it say."""
    comments = {
        t.start[0]: t.string.removeprefix("#").strip()
        for t in tokenize.generate_tokens(io.StringIO(text).readline)
        if t.type == tokenize.COMMENT
    }
    for statement in ast.parse(text).body:
        code = ast.Module([statement], [])
        where = f"{name}+{statement.lineno}"
        said = comments.get(statement.end_lineno or 0, "")
        if not isinstance(statement, ast.Expr):
            exec(compile(code, where, "exec"), scope)
            continue
        out = io.StringIO()
        with redirect_stdout(out):
            value = eval(compile(ast.Expression(statement.value), where, "eval"), scope)
        found = [out.getvalue().strip()] if value is None else [repr(value), str(value)]
        if said:
            assert any(agrees([said], [x]) for x in found), f"{where}: {found[0]} is not {said}"


RUN = [p for p in PAGES if any(b.language == "python" and not b.mark for b in blocks(p))]


@pytest.mark.parametrize("page", RUN, ids=lambda p: p.name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder(page, tmp_path))
    scope: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python" and not block.mark:
            run_python(block.text, scope, block.name)


@pytest.mark.parametrize("block", by_name([b for b in every("python") if b.mark == "network" or ".symbp" in b.mark]))
def test_networks_on_a_page_derive_and_check(block: Block) -> None:
    from symbp.check import check
    from symbp.derive import derive
    from symbp.read.network import read_network

    derivation = derive(read_network(block.text))

    assert all(c.ok for c in check(derivation, "quick").values())


# ---- names: every function, option, module, target and link is there ------------------------------


def test_every_function_of_the_language_is_explained() -> None:
    from symbp.read.facts import NAMED
    from symbp.read.functions import WORDS

    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", page))))

    assert {*WORDS, *NAMED, "upstream", "latex", "style"} - {"step"} <= explained


def test_every_function_for_sympy_is_named() -> None:
    from symbp.functions import PUBLIC

    page = (ROOT / "docs" / "sympy.md").read_text(encoding="utf-8")

    assert set(PUBLIC) <= set(re.findall(r"`(?:sb\.)?(\w+)", page))


def test_every_option_is_explained() -> None:
    import typer

    from symbp.cli import app

    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {o for c in commands.values() for p in c.params for o in p.opts if o.startswith("--")}

    assert {o for o in options if f"`{o}" not in page} == set()
    assert {c for c in commands if f"`symbp {c}" not in page} == set()


def test_every_module_is_on_the_map() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = {p.relative_to(ROOT / "symbp").as_posix() for p in (ROOT / "symbp").rglob("*.py")}

    assert {m for m in modules if not m.endswith("__init__.py") and f"`{m}`" not in page} == set()


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {t for page in PAGES for t in re.findall(r"(?:`|\$ )make ([\w-]+)", page.read_text(encoding="utf-8"))}

    assert named
    assert named <= targets


def anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    titles = re.findall(r"^#+ +(.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page

        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_linked() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = {p.name for p in PAGES if p.parent.name == "docs"}

    assert {p for p in docs if not re.search(rf": {p}$", site, re.M)} == set()
    assert {p.name for p in PAGES if p.parent == ROOT and p.name != "README.md" and f"{p.name})" not in readme} == set()


# ---- the site ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("gallery")
    load(ROOT / "docs" / "make_gallery.py").gallery(where, every=7)  # type: ignore[attr-defined]
    return where


def test_the_gallery_has_a_derivation_and_a_picture_of_every_network(gallery: Path) -> None:
    from symbp.zoo import names

    cards = re.findall(
        r'<a href="([\w-]+)\.html"><img src="([\w-]+)\.svg"', (gallery / "index.md").read_text(encoding="utf-8")
    )

    assert len(cards) >= 40
    assert set(names()) <= {page for page, picture in cards if page == picture}
    pages = sorted(gallery.glob("*.html"))  # a seventh of them; test_html.py and test_draw.py go through all
    assert len(pages) >= 6
    for path in pages:
        page = path.read_text(encoding="utf-8")
        assert "<math" in page and "<svg" in page and "<script" not in page
        ET.parse(path.with_suffix(".svg"))


@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="the site needs symbp[docs]")
def test_the_site_builds(gallery: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("gallery", "__pycache__"))
    shutil.copytree(gallery, docs / "gallery")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)

    assert done.returncode == 0, done.stderr.decode()
    assert "<math" in (tmp_path / "site" / "derivation.html").read_text(encoding="utf-8")
    assert "class Entry" in re.sub(
        r"<[^>]+>", "", (tmp_path / "site" / "in-150-lines.html").read_text(encoding="utf-8")
    )
    assert "symbp.network.Network" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")


# ---- made and run ------------------------------------------------------------------------------------


def load(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_in_the_pages_are_those_of_the_code() -> None:
    pages = load(ROOT / "docs" / "make_laws.py").pages()  # type: ignore[attr-defined]

    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, "run python docs/make_laws.py"


def test_pictures_in_the_pages_are_what_is_drawn() -> None:
    pictures = load(ROOT / "docs" / "make_pictures.py").pictures()  # type: ignore[attr-defined]

    assert {p.name for p in (ROOT / "docs" / "pictures").iterdir()} == {p.name for p in pictures}
    for path, text in pictures.items():
        assert path.read_text(encoding="utf-8") == text, "run python docs/make_pictures.py"


def test_the_idea_in_150_lines() -> None:
    path = ROOT / "docs" / "symbp_in_150_lines.py"
    sketch = load(path)

    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150
    done = subprocess.run([sys.executable, "-X", "utf8", path], capture_output=True, check=True)
    assert "matrices: Xᵀ δZ ✓" in done.stdout.decode()
    layer = "z[h] = W[h,d] x[d] + b[h]\na[h] = tanh(z[h])\ny[c] = V[c,h] a[h]\nL[] = y[c] u[c]"
    with redirect_stdout(io.StringIO()):
        formulas = sketch.derive(layer, {"h": 3, "d": 2, "c": 4})  # type: ignore[attr-defined]
    expected = {"y": "u", "a": "Vᵀ δy", "z": "δa ⊙ (1 − a²)", "W": "δz xᵀ", "x": "Wᵀ δz", "b": "δz", "V": "δy aᵀ"}
    assert expected.items() <= formulas.items()


# ---- python tests/test_docs.py: outputs brought up to date --------------------------------------------


def update(page: Path, where: Path) -> None:
    """Write what the commands of a page print now into it; blocks with `…` are left as they are."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language != "console" or "…" in block.text:
            continue
        fresh = ""
        for command, shown in sessions(block.text):
            printed = shown
            if command.startswith("symbp ") and shown:
                now = run(command, where)[0].rstrip("\n").split("\n")
                printed = shown if agrees(shown, now) else now
            fresh += f"$ {command}\n" + "".join(f"{line.rstrip()}\n" for line in printed)
        text = text.replace(f"```console\n{block.text}```", f"```console\n{fresh}```")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    for each in PAGES:
        with tempfile.TemporaryDirectory() as temporary:
            update(each, folder(each, Path(temporary)))
