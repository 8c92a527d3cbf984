"""Whole derivations, word for word: what a lecturer hands out. `pytest --update-golden` writes them anew.

Numbers that a machine measures are left out (`--check none`), so the files are the same everywhere.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from symbp.commands import DeriveOptions, Screen, derive
from symbp.zoo import names

FOLDER = Path(__file__).parent / "golden"
PLAIN = DeriveOptions(check="none")
OWN = sorted(p.stem for p in FOLDER.glob("*.symbp"))
BUILT_IN = [
    "autoencoder-tied",
    "circuit-sigmoid",
    "dropout",
    "l2-of-matvec",
    "logistic-layers",
    "mlp-3-4-2-matrix",
    "mlp-sigmoid-bce",
    "relu-2",
    "rnn-step",
    "softmax-classifier",
    "softmax-kl-positive",
    "svm",
    "swiglu",
]
VIEWS = {
    ".txt": PLAIN,
    ".tex": replace(PLAIN, format="latex"),
    ".json": replace(PLAIN, format="json"),
}
MORE = {
    "softmax-classifier.zh.txt": replace(PLAIN, lang="zh"),
    "gram.zh.tex": replace(PLAIN, lang="zh", format="latex", standalone=True),
    "logistic-layers.minus.txt": replace(PLAIN, delta="minus", update=True),
    "l2-of-matvec.full.txt": replace(PLAIN, detail="full", notation="both"),
    "residual.index.txt": replace(PLAIN, notation="index"),
    "mlp-sigmoid-bce.brief.txt": replace(PLAIN, detail="brief"),
    "relu-2.numerator.txt": replace(PLAIN, style=("layout=numerator",), update=True),
    "attention.md": replace(PLAIN, format="markdown"),
    "relu-2.closed.tex": replace(PLAIN, format="latex", form="closed", standalone=True),
    "circuit-sigmoid.at.txt": replace(PLAIN, at=("w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"), detail="brief"),
}
FILES = {name + end: view for name in (*BUILT_IN, *OWN) for end, view in VIEWS.items()} | MORE


def shown(file: str) -> str:
    name = file.split(".")[0]
    spec = name if name in names() else str(FOLDER / f"{name}.symbp")
    text, status = derive([spec], FILES[file], Screen(width=80))
    assert status == 0
    return text


@pytest.mark.parametrize("file", FILES)
def test_golden(file: str, request: pytest.FixtureRequest) -> None:
    path, found = FOLDER / file, shown(file)
    if request.config.getoption("--update-golden"):
        path.write_text(found, encoding="utf-8")

    assert found == path.read_text(encoding="utf-8"), "pytest --update-golden writes it anew"


def test_no_golden_file_is_left_over() -> None:
    assert {p.name for p in FOLDER.iterdir() if p.suffix != ".svg"} == {*FILES, *(f"{name}.symbp" for name in OWN)}


@pytest.mark.parametrize("file", [f for f in FILES if f.endswith(".json")])
def test_golden_json_has_every_form(file: str) -> None:
    whole = json.loads((FOLDER / file).read_text(encoding="utf-8"))

    assert whole["schema"] == 1
    for g in whole["gradients"]:
        for form in (g["delta_form"], g["closed_form"]):
            assert all(form[k] for k in ("numpy", "latex", "index"))


@pytest.mark.parametrize("file", [f for f in FILES if f.endswith(".txt")])
def test_golden_text_fits_80_columns(file: str) -> None:
    from symbp.show.terminal import width_of

    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
        assert width_of(line) <= 80
        assert line == line.rstrip()
