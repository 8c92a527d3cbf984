"""Write the tables of docs/derivation.md that are made from the code: laws and slopes.

    python docs/make_laws.py

The laws are the rows of laws.py, in the words of the functions that simplify.py calls; the slopes
are the rows of ops.py. A test compares the page with what this would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = HERE / "derivation.md"
GROUPS = {"contract": "cancel", "facts": "use a fact", "combine": "expand", "collect": "factor", "fold": "shorten"}


def laws() -> str:
    """One table row per law, in the order in which the simplifier tries them."""
    sys.path.insert(0, str(ROOT))
    from symbp.laws import LAWS
    from symbp.simplify import LAWS as FUNCTIONS

    said = {law.__name__: " ".join((law.__doc__ or "").split()) for group in FUNCTIONS.values() for law in group}
    rows = ["| the step says | law | what it does |", "|---|---|---|"]
    rows += [f"| {GROUPS[r.group]} | `{r.name}` | {_shown(said.get(r.name, r.english))} |" for r in LAWS]
    return "\n".join(rows)


def _shown(text: str) -> str:
    """Without the remark on why it ends, which is for those who change it."""
    return text.partition(" Ends:")[0].replace("|", "\\|")


def slopes() -> str:
    """One table row per elementwise function."""
    sys.path.insert(0, str(ROOT))
    from symbp.expr import Entry, text
    from symbp.ops import ROWS

    rows = ["| function | slope | not smooth at | defined for |", "|---|---|---|---|"]
    for row in ROWS:
        kinks = [text(k).replace("(x + -1*y)", "x − y") for k in row.kinks(*(Entry(n, ()) for n in "xyz"[: row.arity]))]
        law = f"${row.law}$".replace("|", r"\vert ") if row.law else "0"
        rows.append(f"| `{row.name}` | {law} | {', '.join(f'{k} = 0' for k in kinks)} | {row.domain} |")
    return "\n".join(rows)


def pages() -> dict[Path, str]:
    """The text of every page with made parts, as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    for name, made in (("laws", laws()), ("slopes", slopes())):
        mark = f"<!-- {name}: made by docs/make_laws.py -->"
        before, found, rest = text.partition(mark)
        assert found, f"the mark for the {name} is gone"
        text = f"{before}{mark}\n\n{made}\n\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    return {PAGE: text}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
