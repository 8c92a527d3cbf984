"""The table of `symbp check`, laid out by rich."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from symbp.show.alphabet import Unicode, plain
from symbp.show.document import shape_of
from symbp.show.math import MathPrinter
from symbp.steps import Checked, Derivation


def _how(derivation: Derivation, checked: Mapping[str, Checked]) -> Iterator[str]:
    """What the check may say of itself: that it saw every entry, at sizes that all differ."""
    if not any(c.note for c in checked.values()):
        yield "every entry"
    if len(derivation.graph.sizes) > 1 and any(c.points for c in checked.values()):
        yield "sizes all different"


def check_table(derivation: Derivation, checked: Mapping[str, Checked], width: int, colour: bool) -> str:
    """Tensor, shape, worst relative error, how many entries and points, verdict."""
    graph, alphabet = derivation.graph, Unicode()
    printer = MathPrinter(graph, alphabet)
    table = Table(box=box.SIMPLE_HEAD, title=f"{graph.name}: derived against numerical gradients", title_justify="left")
    for name, justify in (
        ("gradient", "left"),
        ("shape", "left"),
        ("error", "right"),
        ("entries", "right"),
        ("points", "right"),
        ("", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, c in checked.items():
        verdict = (
            Text("✓ agrees", "green")
            if c.ok
            else Text("? undecided", "yellow")
            if c.error != c.error
            else Text("✗ differs", "bold red")
        )
        error = "–" if c.error != c.error else f"{c.error:.1e}"
        table.add_row(
            Text(plain(printer.derivative(name))),
            Text(shape_of(derivation.adjoints[name].node, alphabet) or "scalar"),
            error,
            str(c.entries),
            str(c.points),
            verdict,
        )
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        no_color=not colour,
        color_system="256" if colour else None,
        highlight=False,
    )
    console.print(table)
    methods = ", ".join(dict.fromkeys(c.method for c in checked.values()))
    wrong = sum(not c.ok and c.error == c.error for c in checked.values())
    undecided = sum(not c.ok and c.error != c.error for c in checked.values())
    summary = (
        f"All {len(checked)} gradients agree"
        if not wrong and not undecided
        else f"{wrong} of {len(checked)} differ, {undecided} undecided"
    )
    console.print(Text(f"  {summary} ({', '.join((methods, *_how(derivation, checked)))})."))
    for note in dict.fromkeys(c.note for c in checked.values() if c.note):
        console.print(Text(f"  {note}", "dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
