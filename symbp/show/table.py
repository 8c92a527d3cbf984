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
from symbp.show.problems import translated
from symbp.show.words import method_name, say
from symbp.steps import Checked, Derivation


def _how(derivation: Derivation, checked: Mapping[str, Checked], lang: str) -> Iterator[str]:
    """What the check may say of itself: that it saw every entry, at sizes that all differ."""
    if not any(c.note for c in checked.values()):
        yield say("check-every", lang)
    if len(derivation.graph.sizes) > 1 and any(c.points for c in checked.values()):
        yield say("check-sizes", lang)


def check_table(
    derivation: Derivation, checked: Mapping[str, Checked], width: int, colour: bool, lang: str = "en"
) -> str:
    """Tensor, shape, worst relative error, how many entries and points, verdict."""
    graph, alphabet = derivation.graph, Unicode()
    printer = MathPrinter(graph, alphabet)
    table = Table(box=box.SIMPLE_HEAD, title=say("check-title", lang, graph.name), title_justify="left")
    for name, justify in (
        ("gradient", "left"),
        ("shape", "left"),
        ("check-error", "right"),
        ("check-entries", "right"),
        ("check-points", "right"),
        ("", "left"),
    ):
        table.add_column(say(name, lang).lower() if name else "", justify=justify)  # type: ignore[arg-type]
    for name, c in checked.items():
        verdict = (
            Text("✓ " + say("check-agrees", lang), "green")
            if c.ok
            else Text("? " + say("check-undecided", lang), "yellow")
            if c.error != c.error
            else Text("✗ " + say("check-differs", lang), "bold red")
        )
        error = "–" if c.error != c.error else f"{c.error:.1e}"
        table.add_row(
            Text(plain(printer.derivative(name))),
            Text(shape_of(derivation.adjoints[name].node, alphabet) or say("check-scalar", lang)),
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
    methods = dict.fromkeys(method_name(c.method, lang) for c in checked.values())
    wrong = sum(not c.ok and c.error == c.error for c in checked.values())
    undecided = sum(not c.ok and c.error != c.error for c in checked.values())
    summary = (
        say("check-all", lang, str(len(checked)))
        if not wrong and not undecided
        else say("check-some", lang, str(wrong), str(len(checked)), str(undecided))
    )
    how = say("comma", lang).join((*methods, *_how(derivation, checked, lang)))
    console.print(Text("  " + say("check-summary", lang, summary, how)))
    for note in dict.fromkeys(c.note for c in checked.values() if c.note):
        console.print(Text(f"  {translated(note, lang)}", "dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
