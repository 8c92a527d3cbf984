"""The text of a network or formula: limits before parsing, and places in it after.

`parse` uses Python's own `ast` and nothing else. What it refuses (binary files, control and
direction characters, too much text, too deep nesting) never reaches the readers. Whatever
goes wrong leaves as one `ReadError` or `LimitError` with its place.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import unicodedata
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from symbp.errors import DeclarationError, LimitError, Place, ReadError

LARGEST_TEXT = 200_000
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_FULL_WIDTH_PUNCTUATION = dict(zip("（），：＝＋－＊＠／", "(),:=+-*@/", strict=True))


@dataclass(frozen=True)
class Source:
    """A text and the way from a syntax node to its place and its words."""

    text: str
    file: str = ""
    lines: list[str] = field(default_factory=list)

    def place(self, node: ast.AST) -> Place:
        number = getattr(node, "lineno", 1)
        line = self.lines[number - 1] if number <= len(self.lines) else ""
        column = getattr(node, "col_offset", 0)
        if not line.isascii():
            column = len(line.encode()[:column].decode(errors="ignore"))
        return Place(number, column + 1, line, self.file)

    def words(self, node: ast.expr) -> str:
        """The text of an expression, on one line."""
        first, last = node.lineno, node.end_lineno or node.lineno
        start, end = node.col_offset, node.end_col_offset or 0
        if first == last:
            line = self.lines[first - 1]
            return line[start:end] if line.isascii() else line.encode()[start:end].decode()
        parts = [line.encode() for line in self.lines[first - 1 : last]]
        parts[-1] = parts[-1][:end]
        parts[0] = parts[0][start:]
        return " ".join(p.decode().strip() for p in parts)


def parse(text: str, file: str = "") -> tuple[ast.Module, Source]:
    """The syntax tree of a text, and the text as a `Source`."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > LARGEST_TEXT:
        raise LimitError(f"the text has {len(text)} characters; the limit is {LARGEST_TEXT}", Place(1, file=file))
    source = Source(text, file, text.split("\n"))
    odd = _FORBIDDEN.search(text)
    if odd:
        raise ReadError(f"the text holds the control character U+{ord(odd[0]):04X}", _at(source, odd.start()))
    try:
        with warnings.catch_warnings():  # Python warns of "\alpha" in a title; the title is read raw
            warnings.simplefilter("ignore")
            return ast.parse(text), source
    except SyntaxError as error:
        raise _syntax_error(error, source) from None
    except (RecursionError, MemoryError):
        raise LimitError("the text is nested too deeply", Place(1, file=file)) from None
    except ValueError as error:
        raise LimitError(f"the text holds a number that is too long ({error})"[:120], Place(1, file=file)) from None


def raw_string(node: ast.expr, source: Source) -> str:
    """The inside of a string as it stands in the text: `\\beta` is no backspace."""
    words = source.words(node).lstrip("rRuUbB")
    quotes = words[:3] if words[:3] in ('"""', "'''") else words[:1]
    return words.removeprefix(quotes).removesuffix(quotes)


def _at(source: Source, offset: int) -> Place:
    """The place of a character; its line is not shown, because it is not fit to be shown."""
    before = source.text[:offset]
    return Place(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1, "", source.file)


def _syntax_error(error: SyntaxError, source: Source) -> DeclarationError:
    number = min(max(error.lineno or 1, 1), len(source.lines))
    line = source.lines[number - 1]
    place = Place(number, max(error.offset or 1, 1), line, source.file)
    message = error.msg
    if "too many nested" in message or "too deeply" in message or "integer string conversion" in message:
        return LimitError(f"this is nested too deeply or too long ({message})"[:160], place)
    return ReadError(f"this line is not in the language ({message})"[:200], place, _syntax_hint(line, source.text))


def _syntax_hint(line: str, text: str) -> str:
    wide = [c for c in line if c in _FULL_WIDTH_PUNCTUATION]
    if wide:
        return f"Write {_FULL_WIDTH_PUNCTUATION[wide[0]]} instead of the full-width {wide[0]}."
    if re.search(r"\blambda\b", line):
        return "lambda is a word of Python; the name lambda_ or lam shows as λ."
    if text.lstrip().startswith(("{", "layers:", "<")):
        return "A network is a text such as `x: (n,)` and `L = sum(x**2)`, not JSON, YAML or XML."
    return ""


def check_spelling(name: str, node: ast.AST, source: Source) -> None:
    """Python reads full-width Ｗ as W: what was written and what was read must be one."""
    if source.text.isascii():
        return
    place = source.place(node)
    found = re.match(r"\w*", place.text[place.column - 1 :])
    written = found[0] if found else name
    if written in (name, name.replace("\u03bc", "\u00b5")) or unicodedata.normalize("NFKC", written) != name:
        return
    raise ReadError(f"the name {written!r} is read as {name!r}", place, f"Write {name} in plain letters.")


def read_file(path: str | os.PathLike[str]) -> str:
    """The text of one ordinary file; folders, devices, pipes and large files are refused unread."""
    return decode(read_bytes(path, 4 * LARGEST_TEXT), os.fspath(path))


def read_bytes(path: str | os.PathLike[str], largest: int) -> bytes:
    """The content of one ordinary file that is not larger than this."""
    shown = os.fspath(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
            raise ReadError(f"{shown} is {kind}, not a network file")
        if status.st_size > largest:
            raise LimitError(f"{shown} has {status.st_size} bytes; the limit is {largest}", Place(1, file=shown))
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReadError(f"{shown!r} cannot be read: {reason}", Place(1, file=shown)) from None


def decode(data: bytes, file: str = "") -> str:
    """Bytes as text, or an error that says that they are none."""
    if b"\x00" in data:
        raise ReadError("this is a binary file, not a text", Place(1, file=file))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ReadError(f"byte {error.start + 1} is not UTF-8 text", Place(line, file=file)) from None
