"""Every built-in network compiles: notes and slides, with pdfLaTeX in English and XeLaTeX in Chinese.

TeX is large, so this runs where it is found; `make test-tex` installs it. The log is read: nothing is undefined,
no sign is missing from the fonts, and nothing stands out of the page by more than a hair.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from symbp.commands import DeriveOptions, Screen, derive
from symbp.zoo import names

ROOT = Path(__file__).parent.parent
GOLDEN = sorted(str(p) for p in (Path(__file__).parent / "golden").glob("*.symbp"))
HAIR = 3.0  # points
VIEWS = {
    "notes": DeriveOptions(format="latex", standalone=True, update=True),
    "full": DeriveOptions(format="latex", standalone=True, detail="full", notation="both"),
    "styles": DeriveOptions(
        format="latex",
        standalone=True,
        detail="brief",
        style=("layers=paren", "gradient=nabla", "transpose=prime", "bold=yes"),
    ),
    "numerator": DeriveOptions(
        format="latex", standalone=True, detail="brief", style=("layout=numerator",), update=True
    ),
    "slides": DeriveOptions(format="beamer"),
}
ENGINES = {"en": "pdflatex", "zh": "xelatex"}


def log_of(text: str, engine: str, folder: Path) -> str:
    """Compile once; the log with its lines joined."""
    (folder / "page.tex").write_text(text, encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    log = (folder / "page.log").read_text(encoding="utf-8", errors="replace")
    assert run.returncode == 0, "\n".join(line for line in log.splitlines() if line.startswith(("!", "l.")))
    return log


@pytest.mark.parametrize("lang", ENGINES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_network_compiles(view: str, lang: str, tmp_path: Path) -> None:
    engine = ENGINES[lang]
    if shutil.which(engine) is None or (lang == "zh" and _lacks("ctex.sty")):
        pytest.skip(f"{engine} with what it needs is not here: make test-tex")
    if view == "slides" and _lacks("beamer.cls"):
        pytest.skip("beamer is not here: make test-tex")
    every = [*names(), *GOLDEN] if view not in ("slides", "numerator") else [*names()[::8], *GOLDEN[:3]]
    options = DeriveOptions(**{**vars(VIEWS[view]), "lang": lang, "check": "none"})
    text, status = derive(every, options, Screen())

    log = log_of(text, engine, tmp_path)

    assert status == 0
    assert "Missing character" not in log
    assert [x for x in re.findall(r"Overfull .hbox \(([\d.]+)pt", log) if float(x) > HAIR] == []


@pytest.mark.skipif(shutil.which("xelatex") is None, reason="xelatex is not here: make test-tex")
def test_two_pages_in_chinese_as_the_tutorial_has_them(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tutorial-lecture.md").read_text(encoding="utf-8")
    network = re.search(r"<!-- file: three-layers.symbp -->\n```python\n(.*?)```", page, re.S)
    command = re.search(r"\$ symbp derive three-layers.symbp (.*) -o pages.tex", page)
    assert network is not None and command is not None
    (tmp_path / "three-layers.symbp").write_text(network[1], encoding="utf-8")
    words = [sys.executable, "-m", "symbp.cli", "derive", "three-layers.symbp", *command[1].split(), "-o", "page.tex"]
    subprocess.run(words, cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})

    log = log_of((tmp_path / "page.tex").read_text(encoding="utf-8"), "xelatex", tmp_path)

    assert "Output written on page.pdf (2 pages" in log
    assert "Missing character" not in log and "Overfull" not in log


def _lacks(file: str) -> bool:
    found = subprocess.run(["kpsewhich", file], capture_output=True, check=False) if shutil.which("kpsewhich") else None
    return found is None or found.returncode != 0
