"""What changed from one line of a derivation to the next, as marks in the text.

Both lines are cut into parts and compared as sequences; a bracket that stands in both is looked into.
It is only about what is written: two lines that say the same in other words differ here.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from symbp.show.alphabet import MARKS
from symbp.show.tex import CHANGED, UNCHANGED
from symbp.show.tex import with_changes as in_latex

MOST = 0.75  # if more than this part of a line is new, marking it says nothing


def with_changes(before: str, after: str) -> str:
    """`after` with marks around what `before` did not have."""
    if "\\" in after or "\\" in before:
        return in_latex(before, after)
    return _marked(before, after) or after


def _marked(before: str, after: str) -> str | None:
    """The same for a line of the terminal, whose parts stand between spaces; None if all is new."""
    old, new = _parts(before), _parts(after)
    out: list[str] = []
    fresh = 0
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        part = " ".join(new[j1:j2])
        if tag == "equal":
            out.append(part)
        elif tag in ("replace", "insert"):
            inner = _inside(old[i1:i2], new[j1:j2])
            fresh += 0 if inner else j2 - j1
            out.append(inner or f"{CHANGED}{part}{UNCHANGED}")
    return " ".join(out) if fresh <= MOST * len(new) and CHANGED in "".join(out) else None


def _inside(old: list[str], new: list[str]) -> str | None:
    """A bracket that became another bracket: what changed in it."""
    if len(old) == len(new) == 1 and all(x.startswith("(") and x.endswith(")") for x in (*old, *new)):
        found = _marked(old[0][1:-1], new[0][1:-1])
        return f"({found})" if found else None
    return None


def _parts(text: str) -> list[str]:
    """The pieces between spaces outside of brackets."""
    out, depth, part = [], 0, ""
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == " " and depth == 0:
            out.append(part)
            part = ""
        else:
            part += c
    return [p for p in (*out, part) if MARKS.sub("", p)]
