"""Write the gallery: a page for every built-in network and every example, all of it by symbp.

    python docs/make_gallery.py [FOLDER]

For each network a picture (NAME.svg) and its whole derivation as a web page (NAME.html), and index.md with
cards that lead to them. `make docs` calls this; the folder is not kept in the repository.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

SECTIONS = (
    ("Circuits and single neurons", ("circuit", "half", "one-parameter", "linear", "logistic-neuron", "scalar")),
    (
        "Regression and classification",
        ("ridge", "minibatch", "logistic-regression", "softmax", "svm", "weight", "prelu"),
    ),
    ("Vectors and matrices", ("l2", "mean-square", "elementwise", "vjp", "chain")),
)
LAST = "Networks"


def networks() -> Iterator[tuple[str, str]]:
    """Name and what `symbp derive` is called with."""
    from symbp.zoo import names

    yield from ((name, name) for name in names())
    yield from ((p.stem.replace("_", "-"), str(p)) for p in sorted((ROOT / "examples").glob("*.symbp")))


def entry(name: str, spec: str, folder: Path) -> str:
    """Write the picture and the derivation of one network; its title."""
    from symbp.commands import DeriveOptions, Screen, derive, open_network
    from symbp.draw import draw
    from symbp.show.picture.svg import svg

    graph = open_network(spec)
    (folder / f"{name}.svg").write_text(svg(draw(graph)), encoding="utf-8")
    page, status = derive([spec], DeriveOptions(format="html", picture=True), Screen())
    if status:
        raise SystemExit(f"{name}: exit code {status}")
    (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return graph.title or name


def section(name: str) -> str:
    """Where a network stands in the index."""
    return next((title for title, starts in SECTIONS if name.startswith(starts)), LAST)


def gallery(folder: Path, every: int = 1) -> int:
    """Write the index, and the pages of every so many networks; the number of derivations."""
    folder.mkdir(parents=True, exist_ok=True)
    cards: dict[str, list[str]] = {title: [] for title, _ in SECTIONS} | {LAST: []}
    for n, (name, spec) in enumerate(networks()):
        title = entry(name, spec, folder) if n % every == 0 else name
        cards[section(name)].append(
            f'<a href="{name}.html"><img src="{name}.svg" alt="The graph of {escape(name)}">'
            f"<span>{escape(title)}</span></a>"
        )
    count = sum(map(len, cards.values()))
    lines = [
        "# Gallery",
        "",
        f"{count} derivations, each written and checked by `symbp derive NAME --format html --picture`.",
    ]
    for title, found in cards.items():
        if found:
            lines += ["", f"## {title}", "", '<div class="gallery">', *found, "</div>"]
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return count


if __name__ == "__main__":
    print(gallery(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "gallery"), "derivations")
