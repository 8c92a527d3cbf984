"""Error messages in other languages.

Messages are written in English where they arise, with names and sizes filled in. The catalogues in
`symbp/lang/errors/*.po` hold them with places `{0}`, `{1}`, …; a message is found by its form, and said in the
other language with the same fillings. What a catalogue lacks, and what the user wrote, stays as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from symbp.show.words import ENGLISH, entries

_PLACE = re.compile(r"\{(\d)\}")
_WHERE = re.compile(r"(?:line (\d+)|(.+?:\d+)): (?=\S)")


@lru_cache(maxsize=8)
def phrases(lang: str) -> dict[str, str]:
    """English with places → the same in another language; empty if there is no catalogue."""
    file = files("symbp.lang").joinpath("errors", f"{lang}.po")
    return {key: phrase for key, phrase in entries(file.read_text("utf-8")) if key} if file.is_file() else {}


@lru_cache(maxsize=8)
def _forms(lang: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The forms of messages, the most telling first."""
    most = sorted(phrases(lang).items(), key=lambda kv: -len(_PLACE.sub("", kv[0])))
    return tuple((_form(english), other) for english, other in most)


def _form(english: str) -> re.Pattern[str]:
    parts = _PLACE.split(english)
    text = "".join(re.escape(p) if n % 2 == 0 else f"(?P<p{p}>.+?)" for n, p in enumerate(parts))
    return re.compile(text if parts[-1] == "" else rf"{text}(?: (?P<rest>\S.*))?", re.S)


def translated(message: str, lang: str) -> str:
    """A message in the language, line by line; lines of the user's text under it are not touched."""
    if lang == ENGLISH or not phrases(lang):
        return message
    return "\n".join(line if line.startswith("    ") else _line(line, lang) for line in message.split("\n"))


def _line(line: str, lang: str) -> str:
    where = _WHERE.match(line)
    whole = _said(line, lang)
    if whole is not None or where is None:
        return line if whole is None else whole
    inner = _said(line[where.end() :], lang)
    if inner is None:
        return line
    return (phrases(lang)["line {0}: "].replace("{0}", where[1]) if where[1] else f"{where[2]}: ") + inner


def _said(text: str, lang: str) -> str | None:
    """One or more sentences; None if the first is not in the catalogue."""
    for form, phrase in _forms(lang):
        found = form.fullmatch(text)
        if found is None:
            continue
        parts = found.groupdict()
        out = "".join(p if n % 2 == 0 else parts[f"p{p}"] for n, p in enumerate(_PLACE.split(phrase)))
        return out + _line(parts["rest"], lang) if parts.get("rest") else out
    return None
