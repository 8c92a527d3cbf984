"""What MkDocs asks for while it builds the site: formulas become MathML, by symbp, so that no page needs a
script for them; the reference of the library and the file of 150 lines are put in their places.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.S)
FORMULA = re.compile(r"(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])")
NAMES = re.compile(r"<!-- (reference|errors): ([\w ]+) -->")


def on_page_markdown(text: str, *, page: Any, **_: Any) -> str:
    """The text of a page as the site shows it."""
    if page.file.src_uri == "api.md":
        text = NAMES.sub(lambda m: "\n\n".join(f"::: {path}" for path in paths(m[1], m[2].split())), text)
    if page.file.src_uri == "index.md":
        text = text.replace(
            "a gallery of derivations: `make docs` writes it with this site", "[a gallery](gallery/index.md)"
        )
    if page.file.src_uri == "in-150-lines.md":
        source = (HERE / "symbp_in_150_lines.py").read_text(encoding="utf-8")
        text = text.replace("<!-- the site shows the file here -->", f"```python\n{source}```")
    return formulas(text)


def paths(kind: str, names: list[str]) -> list[str]:
    """Where each name of the library is defined."""
    home = {"Drawing": "symbp.draw", "zoo": "symbp.network"}
    return [f"{'symbp.errors' if kind == 'errors' else home.get(n, 'symbp.network')}.{n}" for n in names]


def formulas(text: str) -> str:
    """`$…$` outside code as MathML."""
    from symbp.show.mathml import mathml

    parts = CODE.split(text)
    return "".join(
        p if n % 2 else FORMULA.sub(lambda m: mathml(m[1].replace(r"\|", "|").replace(r"\vert ", "|")), p)
        for n, p in enumerate(parts)
    )
