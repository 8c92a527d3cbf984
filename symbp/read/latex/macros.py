"""Characters to TeX tokens, and a document's own macros replaced, with every token's place kept.

A raw token is a command, a run of digits, or one character. What a macro gives carries the place of
its call. Nothing else of TeX is here: no category codes, no conditionals, no files; such commands are
errors. Work is limited: the length of the text, the number of expansions, the length of the result.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from symbp.errors import LimitError, Place, ReadError
from symbp.read.latex.commands import (
    BIG,
    COMBINING,
    DANGEROUS,
    DEFINING,
    OPERATORS,
    RELATIONS,
    SIGNS,
    UNICODE,
)

LONGEST = 20_000
EXPANSIONS = 500
LARGEST_RESULT = 20_000


class Raw(NamedTuple):
    """One TeX token: its text, its place in the formula, and whether a space stood before."""

    text: str
    start: int
    end: int
    spaced: bool = False


@dataclass(frozen=True)
class Macro:
    """`\\newcommand{name}[arguments][default]{body}`; `problem` says why it may not be used."""

    arguments: int
    body: tuple[Raw, ...]
    default: tuple[Raw, ...] | None = None
    problem: str = ""


def error(text: str, start: int, reason: str, hint: str = "") -> ReadError:
    """A message with its place; line and column count inside the formula."""
    before = text[:start]
    line = before.count("\n")
    lines = text.split("\n")
    shown = lines[line] if line < len(lines) else ""
    if any(unicodedata.category(c) in ("Cc", "Cf") for c in shown):
        shown = ""
    return ReadError(reason, Place(line + 1, start - (before.rfind("\n") + 1) + 1, shown), hint)


_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?|.|\Z)|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|%[^\n]*|\s+|.", re.S)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def scan(text: str, *, comments: bool = True) -> list[Raw]:
    """The raw tokens of a text; a comment is left out, or is an error where it would hide something."""
    if len(text) > LONGEST:
        raise LimitError(f"the formula has {len(text)} characters; the limit is {LONGEST}", Place(1))
    odd = _CONTROL.search(text)
    if odd:
        raise error(text, odd.start(), f"the formula holds the control character U+{ord(odd[0]):04X}")
    plain = text.isascii()
    found: list[Raw] = []
    spaced = False
    for match in _TOKEN.finditer(text):
        word, start, end = match[0], match.start(), match.end()
        first = word[0]
        if first.isspace():
            spaced = True
        elif first == "%":
            if not comments and word[1:].strip():
                raise error(
                    text, start, "% starts a comment, which hides the rest of the line", r"For a percent sign write \%."
                )
            spaced = True
        elif plain or (first.isascii() and (len(word) == 1 or word.isascii())):
            found.append(Raw(word, start, end, spaced))
            spaced = False
        else:
            _unicode(word, start, end, spaced, found)
            spaced = False
    return found


def _unicode(word: str, start: int, end: int, spaced: bool, found: list[Raw]) -> None:
    """One character beyond ASCII as the commands it stands for."""
    if word in COMBINING:  # follows its letter: x̂
        if found and found[-1].text.isalpha():
            found[-1:] = [Raw("\\" + COMBINING[word], start, end, spaced), found[-1]]
        return
    meant = UNICODE.get(word)
    if meant is None:
        parts = unicodedata.normalize("NFD", word)
        if len(parts) == 2 and parts[1] in COMBINING and parts[0].isascii():
            found += [Raw("\\" + COMBINING[parts[1]], start, end, spaced), Raw(parts[0], start, end)]
            return
        plain = unicodedata.normalize("NFKC", word)
        if 0x1D400 <= ord(word[0]) <= 0x1D7FF:  # mathematical letters
            bold = "BOLD" in unicodedata.name(word, "")
            script = "SCRIPT" in unicodedata.name(word, "")
            meant = UNICODE.get(plain, plain).strip()
            font = "\\mathcal" if script else "\\mathbf" if bold else ""
            pieces = [Raw(font, start, end, spaced)] if font else []
            found += [*pieces, Raw(meant, start, end, spaced and not font)]
            return
        found.append(Raw(plain if len(plain) == 1 else word, start, end, spaced))
        return
    for n, match in enumerate(_TOKEN.finditer(meant)):
        if not match[0].isspace():
            found.append(Raw(match[0], start, end, spaced and n == 0))


def group(tokens: list[Raw], at: int, text: str) -> tuple[list[Raw], int]:
    """The tokens of one TeX argument that starts at `at`, and where it ends."""
    if at >= len(tokens):
        raise error(
            text, tokens[-1].end if tokens else 0, "something is missing at the end", "An argument was expected."
        )
    if tokens[at].text != "{":
        return [tokens[at]], at + 1
    depth = 0
    for end in range(at, len(tokens)):
        depth += (tokens[end].text == "{") - (tokens[end].text == "}")
        if depth == 0:
            return tokens[at + 1 : end], end + 1
    raise error(text, tokens[at].start, "this brace { is not closed")


def optional(tokens: list[Raw], at: int, text: str) -> tuple[list[Raw] | None, int]:
    """An argument in square brackets, if one stands here."""
    if at >= len(tokens) or tokens[at].text != "[":
        return None, at
    depth = 0
    for end in range(at + 1, len(tokens)):
        depth += (tokens[end].text == "{") - (tokens[end].text == "}")
        if tokens[end].text == "]" and depth == 0:
            return tokens[at + 1 : end], end + 1
    raise error(text, tokens[at].start, "this bracket [ is not closed")


_MEANING = {"\\" + name for table in (OPERATORS, RELATIONS, SIGNS, BIG) for name in table} | {
    "\\partial",
    "\\nabla",
    "\\frac",
}


def definition(tokens: list[Raw], at: int, text: str) -> tuple[str, Macro, int]:
    """One `\\newcommand`, `\\def` or `\\DeclareMathOperator` that starts at `at`."""
    command = tokens[at].text.rstrip("*")
    start = at + 1
    if start < len(tokens) and tokens[start].text == "*":
        start += 1
    name, at = group(tokens, start, text)
    if len(name) != 1 or not name[0].text.startswith("\\"):
        raise error(text, tokens[start].start, f"{command} needs the name of a command")
    arguments, default = 0, None
    if command == "\\def":
        while at < len(tokens) and tokens[at].text != "{":
            if tokens[at].text not in ("#",) and not re.fullmatch("[1-9]", tokens[at].text):
                raise error(text, tokens[at].start, f"\\def with delimiters is not read ({tokens[at].text})")
            arguments += tokens[at].text == "#"
            at += 1
    else:
        count, at = optional(tokens, at, text)
        if count:
            arguments = int(count[0].text) if re.fullmatch("[0-9]", count[0].text) else 0
        default, at = optional(tokens, at, text)
    body, at = group(tokens, at, text)
    if command == "\\DeclareMathOperator":
        body = [
            Raw("\\operatorname", body[0].start, body[0].end) if body else tokens[start],
            Raw("{", 0, 0),
            *body,
            Raw("}", 0, 0),
        ]
    problem = ""
    if name[0].text in _MEANING and command != "\\providecommand":
        problem = f"the document redefines {name[0].text}, so that it could mean anything"
    made = Macro(arguments, tuple(body), None if default is None else tuple(default), problem)
    return name[0].text, made, at


def expand(tokens: list[Raw], macros: Mapping[str, Macro], text: str) -> list[Raw]:
    """The tokens with macros replaced, those of the document and those that the formula itself defines."""
    if not macros and not any(t.text[0] == "\\" and t.text[1:] in _SPECIAL for t in tokens):
        return tokens
    known = {**_USUAL, **macros}
    done: list[Raw] = []
    left = list(reversed(tokens))
    count = 0
    while left:
        token = left[-1]
        name = token.text
        if name[0] != "\\":
            done.append(left.pop())
            continue
        if name[1:] in DANGEROUS:
            raise error(text, token.start, f"the command {name} has no place in a formula; it was not run")
        if name[1:] in DEFINING:
            rest = left[::-1]
            defined, macro, used = definition(rest, 0, text)
            if macro.problem:
                raise error(text, token.start, macro.problem.replace("the document", "the formula"))
            known[defined] = macro
            left = rest[used:][::-1]
            continue
        found = known.get(name)
        if found is None:
            done.append(left.pop())
            continue
        if found.problem:
            raise error(text, token.start, found.problem)
        count += 1
        if count > EXPANSIONS or len(done) + len(left) > LARGEST_RESULT:
            raise LimitError(
                f"{name} is expanded more than {EXPANSIONS} times or grows too long", Place(1, token.start + 1)
            )
        left.pop()
        body, end = _filled(found, left, token, text)
        left += reversed([Raw(t.text, token.start, end, t.spaced or n == 0) for n, t in enumerate(body)])
        if len(left) > LARGEST_RESULT:
            raise LimitError(f"{name} grows too long", Place(1, token.start + 1))
    return done


_USUAL = {  # what half of all preambles define
    **{"\\" + c: Macro(0, tuple(scan(rf"\mathbb{{{c[0]}}}"))) for c in ("R", "Reals", "C", "N", "Z", "E")},
    "\\T": Macro(0, tuple(scan("T"))),
}
_SPECIAL = DANGEROUS | DEFINING | {name[1:] for name in _USUAL}


def _filled(macro: Macro, left: list[Raw], call: Raw, text: str) -> tuple[list[Raw], int]:
    """The body of a macro with its arguments put in, and where the call ends; takes the arguments off `left`."""
    values: list[list[Raw]] = []
    end = call.end
    if macro.arguments:
        rest = left[::-1]
        at = 0
        for n in range(macro.arguments):
            if n == 0 and macro.default is not None:
                given, at = optional(rest, at, text)
                values.append(list(macro.default) if given is None else given)
            else:
                if at >= len(rest):
                    raise error(text, call.start, f"{call.text} needs {macro.arguments} arguments")
                value, at = group(rest, at, text)
                values.append(value)
        end = max([end, *(t.end for t in rest[:at])])
        del left[len(left) - at :]
    result: list[Raw] = []
    body = macro.body
    n = 0
    while n < len(body):
        if body[n].text == "#" and n + 1 < len(body) and re.match("[1-9]", body[n + 1].text):
            digit, more = body[n + 1].text[0], body[n + 1].text[1:]
            if int(digit) <= len(values):
                result += values[int(digit) - 1]
            if more:
                result.append(Raw(more, call.start, call.end))
            n += 2
            continue
        result.append(body[n])
        n += 1
    return result, end


def read_macros(text: str) -> dict[str, Macro]:
    """The macros that a document defines, as far as they can be read; the others are left out."""
    macros: dict[str, Macro] = {}
    for match in re.finditer(
        r"\\(?:newcommand|renewcommand|providecommand|DeclareRobustCommand|DeclareMathOperator|def)\b\*?", text
    ):
        piece = text[match.start() : match.start() + 2000]
        try:
            tokens = scan(piece)
            name, macro, _ = definition(tokens, 0, piece)
        except (ReadError, LimitError):
            continue
        macros[name] = macro
    return macros
