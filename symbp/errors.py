"""The tree of errors, by who must act.

    SymbpError
    ├── DeclarationError    your network: a size that clashes, an unknown name, no scalar loss
    │   └── ReadError       your text: it is not in the language; carries line and column
    ├── RequestError        your call: a `--wrt` nobody declared, a value of the wrong shape
    ├── LimitError          too large, too deep, too long
    └── NoRule              ours: symbp lacks a rule for this, and says for what

A message is one text: what was asked, what was found, where, what would work. Inner code raises
a short reason; the reader adds the place. Nothing here is ever shown as a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class SymbpError(Exception):
    """Base of all errors that symbp raises on purpose."""


@dataclass(frozen=True)
class Place:
    """Where in a text: line and column count from 1, `text` is the line itself."""

    line: int
    column: int = 1
    text: str = ""
    file: str = ""


class DeclarationError(SymbpError):
    """The network is not one: the message says which line, which sizes, and what would fit."""

    def __init__(self, reason: str, place: Place | None = None, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.place, self.hint = reason, place, hint

    def __str__(self) -> str:
        lines = [self.reason]
        if self.place:
            where = f"{self.place.file or 'line'}{':' if self.place.file else ' '}{self.place.line}"
            lines[0] = f"{where}: {self.reason}"
            if self.place.text:
                shown = self.place.text[:160]
                lines.append("    " + shown)
                if 1 <= self.place.column <= len(shown):
                    lines.append("    " + " " * (self.place.column - 1) + "^")
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)


class ReadError(DeclarationError):
    """The text is not in the language of network files."""


class RequestError(SymbpError):
    """The call asks for something that the network does not have."""


class LimitError(DeclarationError):
    """A limit of size, depth or number was reached."""


class NoRule(SymbpError):
    """symbp has no rule for this operation."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'sigmoid'?` for the closest known name, or an empty text."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """A stranger's text, or a message that quotes one, without control and direction characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
