"""Write the tables of docs/derivation.md that are made from the code: laws and slopes.

    python docs/make_laws.py

The laws are the functions of rules.py (and the arithmetic that is always on) that each group of
simplify.py calls, by their docstrings;
the slopes are the rows of ops.py. A test compares the page with what this would write.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = HERE / "derivation.md"
GROUPS = {"contract": "cancel", "facts": "use a fact", "combine": "expand", "collect": "factor"}


def laws() -> str:
    """One table row per law, in the order in which the simplifier tries them."""
    functions: dict[str, ast.FunctionDef] = {}
    for module in ("arithmetic", "rules", "simplify"):
        tree = ast.parse((ROOT / "symbp" / f"{module}.py").read_text(encoding="utf-8"))
        functions.update({f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)})
    rows = ["| the step says | law | what it does |", "|---|---|---|"]
    seen: set[str] = set()
    for group, word in GROUPS.items():
        queue = [f"_group_{group}"]
        while queue:
            function = functions[queue.pop(0)]
            for name in dict.fromkeys(n.id for n in ast.walk(function) if isinstance(n, ast.Name)):
                if name not in functions or name in seen:
                    continue
                if name == "arithmetic" and group != "contract":
                    continue
                text = " ".join((ast.get_docstring(functions[name]) or "").split())
                if name == "arithmetic":
                    queue.append(name)
                elif (
                    " = " in text or "Ends:" in text or [a.arg for a in functions[name].args.args] == ["s", "e", "used"]
                ):
                    seen.add(name)
                    rows.append(f"| {word} | `{name}` | {_shown(text)} |")
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
