"""A small share of the long fuzz (tests/mutations.py): mutated formulas get a verdict, in bounded time."""

from __future__ import annotations

import pytest
from mutations import fuzz, mutated, sources


@pytest.mark.parametrize(("notation", "every"), [("numpy", 24), ("latex", 14)])
def test_mutated_formulas_get_a_verdict(notation: str, every: int) -> None:
    found = list(fuzz(notation, 120, 5, every))

    assert [(text, outcome) for text, outcome, _ in found if outcome.startswith("ERROR")] == []
    assert len(found) == 120
    assert {"wrong", "correct", "unreadable"} <= {outcome for _, outcome, _ in found}


def test_a_line_of_the_screen_is_never_broken_in_its_indentation() -> None:
    from symbp.show.terminal import wrap

    text = "(" * 3 + "x" * 200 + ") y"
    assert "".join(x.strip() for x in wrap("    " + text, 60, 4)).startswith("(((x")


def test_mutations_are_the_same_every_time() -> None:
    import random

    text = sources("numpy")[0][2][0][0]
    assert mutated(text, "numpy", random.Random(1)) == mutated(text, "numpy", random.Random(1))
