"""Every sentence that symbp prints, by key, from one catalogue file per language.

The files are gettext catalogues, `symbp/lang/*.po`; one more file is one more language. They are read
here and not compiled: a few hundred phrases need no index. A phrase that a language lacks is said in
English, and a test finds it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files

ENGLISH = "en"
_PLACE = re.compile(r"\{([0-9])\}")
_NAMED = re.compile(r"\{([a-z]+)\}")


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """The languages that there are, English first."""
    found = sorted(f.name.removesuffix(".po") for f in files("symbp.lang").iterdir() if f.name.endswith(".po"))
    return (ENGLISH, *(name for name in found if name != ENGLISH))


@lru_cache(maxsize=8)
def catalogue(lang: str) -> dict[str, str]:
    """Key → phrase."""
    text = files("symbp.lang").joinpath(f"{lang}.po").read_text(encoding="utf-8")
    return {key: phrase for key, phrase in entries(text) if key and phrase}


def entries(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of msgid and msgstr; strings that follow each other are one."""
    parts = {"msgid": "", "msgstr": ""}
    kind = ""
    for line in (*text.splitlines(), "msgid"):
        word, _, rest = line.partition(" ")
        if word == "msgid":
            if kind:
                yield parts["msgid"], parts["msgstr"]
            parts = {"msgid": "", "msgstr": ""}
        if word in parts:
            kind, line = word, rest
        if kind and line.startswith('"'):
            parts[kind] += str(ast.literal_eval(line))


def say(key: str, lang: str = ENGLISH, *args: str) -> str:
    """The phrase in the language, its places filled, all at once: what is put in may hold `{1}` itself."""
    phrase = catalogue(lang).get(key) or catalogue(ENGLISH)[key]
    return _PLACE.sub(lambda place: args[int(place[1])] if int(place[1]) < len(args) else place[0], phrase)


def fill(key: str, lang: str, places: Mapping[str, str]) -> str:
    """The phrase in the language, its named places (`{old}`) filled, all at once."""
    phrase = catalogue(lang).get(key) or catalogue(ENGLISH)[key]
    return _NAMED.sub(lambda place: places.get(place[1], place[0]), phrase)


@cache
def places_of(key: str) -> tuple[str, ...]:
    """The named places of a phrase."""
    return tuple(_NAMED.findall(catalogue(ENGLISH)[key]))


def method_name(method: str, lang: str = ENGLISH) -> str:
    """How a check was made, in words."""
    key = "method-" + method.replace(" ", "-")
    return say(key, lang) if key in catalogue(ENGLISH) else method


def law_name(law: str, lang: str = ENGLISH) -> str:
    """A law of rules.py in words; one that has none yet goes by its own name."""
    key = f"law-{law}"
    return say(key, lang) if key in catalogue(ENGLISH) else law.replace("_", " ")
