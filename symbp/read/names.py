"""What may be a name, and which names a reader of the output could not tell apart."""

from __future__ import annotations

import re

LONGEST = 64
_LETTER = r"A-Za-z_\u0370-\u03ff\u3400-\u4dbf\u4e00-\u9fff"
_ALLOWED = re.compile(rf"[{_LETTER}][{_LETTER}0-9]*\Z")
_NAMES = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma
sigma tau upsilon phi chi psi omega
"""
_GREEK = _NAMES.split()
_LOWER = {chr(0x3B1 + n): name for n, name in enumerate(_GREEK)}
_UPPER = {chr(0x391 + n): name.capitalize() for n, name in enumerate(_GREEK) if name != "varsigma"}
_LETTERS = {**_LOWER, **_UPPER, "ϑ": "vartheta", "ϕ": "phi", "ϵ": "epsilon", "ϱ": "varrho", "ϖ": "varpi"}
_LIKE_LATIN = {
    "Alpha": "A", "Beta": "B", "Epsilon": "E", "Zeta": "Z", "Eta": "H", "Iota": "I", "Kappa": "K", "Mu": "M",
    "Nu": "N", "Omicron": "O", "Rho": "P", "Tau": "T", "Upsilon": "Y", "Chi": "X", "omicron": "o",
}  # fmt: skip


def name_problem(name: str) -> str:
    """Why this may not be a name, or an empty text."""
    if len(name) > LONGEST:
        return f"a name may have at most {LONGEST} characters, and this has {len(name)}"
    if name.startswith("__"):
        return f"the name {name!r} begins with two underscores"
    if not _ALLOWED.match(name):
        return f"the name {name!a} holds a character that is not a Latin, Greek or Chinese letter, a digit or _"
    return ""


def printed(name: str) -> str:
    """A key that is equal for names that print alike: `δ` and `delta`, `W_1` and `W1`."""
    if not name.isascii():
        name = "".join(_LETTERS.get(c, c) for c in name)
    stem = name.rstrip("_") or name
    stem = re.sub(r"(?<=[A-Za-z])_(?=\d+$)", "", stem) if "_" in stem else stem
    stem = re.sub(r"_(?=(hat|bar|tilde)$)", "", stem) if "_" in stem else stem
    if stem == "lam":
        return "lambda"
    return _LIKE_LATIN.get(stem, stem)
