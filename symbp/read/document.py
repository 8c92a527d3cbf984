"""Submissions: the formulas in .tex, .md, .ipynb and .py files, with their places.

A document is scanned once, from left to right, and nothing in it is run, opened or fetched. Formulas in comments and
code are not formulas; blocks of Python are programs, each one piece. What is broken in a way that
changes what is mathematics and what is text (a dollar that is not closed) is an error with its line.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath

from symbp.errors import LimitError, Place, ReadError
from symbp.read.latex.commands import ALIGNING
from symbp.read.latex.macros import Macro, read_macros

SUFFIXES = (".tex", ".md", ".markdown", ".ipynb", ".py")
LARGEST = 2_000_000
MOST = 2_000


@dataclass(frozen=True)
class Found:
    """One formula or piece of Python: `start` and `end` are its place in the text of its cell, `display` says
    that it stands on lines of its own, and `closed` is where its last dollar, bracket or fence ends."""

    text: str
    kind: str  # "latex", "program", or "numpy" for one line of a program
    place: Place
    start: int
    end: int
    cell: int = 0
    display: bool = False
    closed: int = 0


@dataclass(frozen=True)
class Document:
    """What a submission holds. `cells` are the texts that were scanned: one, or a notebook's."""

    file: str
    suffix: str
    cells: tuple[str, ...]
    found: tuple[Found, ...]
    macros: Mapping[str, Macro] = field(default_factory=dict)
    network: str = ""  # the text of a ```symbp block
    raw: str = ""


def is_document(name: str) -> bool:
    """Whether a file name has the suffix of a submission."""
    return PurePath(name).suffix.lower() in SUFFIXES


def read_document(data: bytes, file: str) -> Document:
    """The formulas of a submission; raises ReadError or LimitError with the place."""
    suffix = PurePath(file).suffix.lower()
    if len(data) > LARGEST:
        raise LimitError(f"the document has {len(data)} bytes; the limit is {LARGEST}", Place(1, file=file))
    text = _text(data, file)
    if suffix == ".ipynb":
        return _notebook(text, file)
    if suffix == ".py":
        return Document(file, suffix, (text,), tuple(_program(text, file, 1, 0, 0)), raw=text)
    scanner = _Markdown(text, file) if suffix in (".md", ".markdown") else _Tex(text, file)
    found = tuple(scanner.run())
    return Document(file, suffix, (text,), found, read_macros(text), scanner.network, text)


def _text(data: bytes, file: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise ReadError("this is not UTF-16 text", Place(1, file=file)) from None
    if b"\x00" in data:
        raise ReadError("this is a binary file, not a text", Place(1, file=file))
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        hint = "It looks like GBK: save it as UTF-8." if _is_gbk(data) else "Save it as UTF-8."
        raise ReadError(f"byte {error.start + 1} is not UTF-8 text", Place(line, file=file), hint) from None


def _is_gbk(data: bytes) -> bool:
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return any("\u4e00" <= c <= "\u9fff" for c in text)


class _Scanner:
    """Walks over one text and yields formulas."""

    def __init__(self, text: str, file: str, cell: int = 0) -> None:
        self.text, self.file, self.cell = text, file, cell
        self.network = ""
        self.lines = [0]
        for match in re.finditer("\n", text):
            self.lines.append(match.end())

    def place(self, at: int) -> Place:
        low, high = 0, len(self.lines) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.lines[middle] <= at else (low, middle - 1)
        start = self.lines[low]
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else len(self.text)]
        shown = line if len(line) < 300 and line.isprintable() else ""
        return Place(low + 1, at - start + 1, shown, self.file)

    def error(self, at: int, reason: str, hint: str = "") -> ReadError:
        return ReadError(reason, self.place(at), hint)

    def formula(self, start: int, end: int, closed: int = 0, display: bool = False) -> Found | None:
        inside = self.text[start:end]
        if not inside.strip():
            return None
        first = start + len(inside) - len(inside.lstrip())
        return Found(
            inside.strip(),
            "latex",
            self.place(first),
            first,
            start + len(inside.rstrip()),
            self.cell,
            display,
            closed or end,
        )

    def run(self) -> Iterator[Found]:
        raise NotImplementedError

    def until(self, mark: str, start: int, opened: int, what: str) -> int:
        """Where `mark` stands next, outside of comments and escapes."""
        at = start
        while True:
            at = self.text.find(mark, at)
            if at < 0:
                raise self.error(opened, f"{what} is not closed")
            back = 0
            while at - back - 1 >= 0 and self.text[at - back - 1] == "\\":
                back += 1
            if back % 2 == 0 or mark[0] == "\\":
                return at
            at += 1

    def environment(self, match: re.Match[str]) -> tuple[Found | None, int]:
        """From `\\begin{align}` to its end, both included."""
        name = match[1]
        begin, end = rf"\begin{{{name}}}", rf"\end{{{name}}}"
        depth, at = 1, match.end()
        while depth:
            next_end = self.text.find(end, at)
            next_begin = self.text.find(begin, at)
            if next_end < 0:
                other = re.compile(r"\\end\{([A-Za-z*]+)\}").search(self.text, match.end())
                what = f"; \\end{{{other[1]}}} follows" if other else ""
                raise self.error(match.start(), f"\\begin{{{name}}} is not closed{what}")
            if 0 <= next_begin < next_end:
                depth, at = depth + 1, next_begin + len(begin)
            else:
                depth, at = depth - 1, next_end + len(end)
        return self.formula(match.start(), at, at, True), at


_OUTER = "|".join(
    re.escape(n) for n in sorted(ALIGNING - {"aligned", "alignedat", "split", "gathered"}, key=len, reverse=True)
)
_BEGIN = re.compile(rf"\\begin\{{({_OUTER})\}}")


class _Tex(_Scanner):
    """LaTeX: comments and verbatim text are skipped, the preamble is not searched."""

    _NEXT = re.compile(
        r"\\begin\{verbatim\*?\}|\\begin\{lstlisting\}|\\begin\{comment\}|\\verb\b\*?(.)|\\[\\%$]|%|\$\$?|\\\(|\\\[|"
        + _BEGIN.pattern
    )

    def run(self) -> Iterator[Found]:
        at = self.text.find(r"\begin{document}")
        at = max(at, 0)
        stop = self.text.find(r"\end{document}", at)
        stop = len(self.text) if stop < 0 else stop
        count = 0
        while True:
            match = self._NEXT.search(self.text, at, stop)
            if match is None:
                return
            found, at = self.one(match)
            if found is not None:
                count += 1
                if count > MOST:
                    raise LimitError(f"the document has more than {MOST} formulas", found.place)
                yield found

    def one(self, match: re.Match[str]) -> tuple[Found | None, int]:
        word, start = match[0], match.end()
        if word in ("\\\\", "\\%", "\\$"):
            return None, start
        if word == "%":
            end = self.text.find("\n", start)
            return None, len(self.text) if end < 0 else end
        if word.startswith(r"\verb"):
            end = self.text.find(match[1], start)
            return None, len(self.text) if end < 0 else end + 1
        if word.startswith((r"\begin{verbatim", r"\begin{lst", r"\begin{comment")):
            end = self.text.find(word.replace("begin", "end"), start)
            return None, len(self.text) if end < 0 else end
        if word.startswith(r"\begin"):
            begin = _BEGIN.match(self.text, match.start())
            assert begin is not None
            return self.environment(begin)
        close = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}[word]
        what = {"$": "the dollar", "$$": "the double dollar"}.get(word, word)
        end = self.until(close, start, match.start(), what)
        if word == "$" and "\n\n" in self.text[start:end]:
            raise self.error(match.start(), "the dollar is not closed before the paragraph ends")
        return self.formula(start, end, end + len(close), word in ("$$", r"\[")), end + len(close)


_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*\{?[ \t]*([A-Za-z0-9_+-]*)[^\n]*$", re.M)


class _Markdown(_Scanner):
    """Markdown: fences, inline code, HTML comments and front matter are no text; dollars as GitHub reads them."""

    _NEXT = re.compile(
        r"<!--|\$`|`+|\\\\\[|\\\\\(|\\[\\$`]|\$\$|\$|\\\(|\\\[|" + _BEGIN.pattern + r"|^ {0,3}(?:`{3,}|~{3,})", re.M
    )

    def run(self) -> Iterator[Found]:
        text = self.text
        at = 0
        if text.startswith("---\n"):
            end = text.find("\n---", 3)
            at = end + 4 if end >= 0 else 0
        count = 0
        while True:
            match = self._NEXT.search(text, at)
            if match is None:
                return
            for found in self._found(match):
                count += 1
                if count > MOST:
                    raise LimitError(f"the document has more than {MOST} formulas", found.place)
                yield found
            at = self._after

    def _found(self, match: re.Match[str]) -> list[Found]:
        text, word, start = self.text, match[0], match.end()
        self._after = start
        stripped = word.strip()
        if stripped[:3] in ("```", "~~~") and (match.start() == 0 or text[match.start() - 1] == "\n"):
            return self._fence(match)
        if word == "<!--":
            end = text.find("-->", start)
            self._after = len(text) if end < 0 else end + 3
            return []
        if word in ("\\\\", "\\$", "\\`"):
            return []
        if word == "$`":
            end = text.find("`$", start)
            self._after = start if end < 0 else end + 2
            return self._as_list(self.formula(start, end)) if end >= 0 else []
        if word[0] == "`":
            end = text.find(word, start)
            while end >= 0 and (text[end + len(word) : end + len(word) + 1] == "`" or text[end - 1] == "`"):
                end = text.find(word, end + len(word))
            paragraph = text.find("\n\n", start)
            if end >= 0 and (paragraph < 0 or end < paragraph):
                self._after = end + len(word)
            return []
        if word.startswith(r"\begin"):
            begin = _BEGIN.match(text, match.start())
            assert begin is not None
            found, self._after = self.environment(begin)
            return self._as_list(found)
        if word == "$":
            return self._dollar(start, match.start())
        if word in (r"\[", r"\(", r"\\[", r"\\("):
            close = word.replace("[", "]").replace("(", ")")
            end = text.find(close, start)
            if end < 0 or "\n\n" in text[start:end]:
                return []  # an escaped bracket of Markdown
            self._after = end + len(close)
            return self._as_list(self.formula(start, end, self._after, "[" in word))
        end = self.until("$$", start, match.start(), "the double dollar")
        self._after = end + 2
        return self._as_list(self.formula(start, end, end + 2, True))

    def _as_list(self, found: Found | None) -> list[Found]:
        return [] if found is None else [found]

    def _dollar(self, start: int, opened: int) -> list[Found]:
        """`$x$`: no space inside the dollars, no digit behind, all in one paragraph; else it is money."""
        text = self.text
        if start >= len(text) or text[start].isspace():
            return []
        paragraph = text.find("\n\n", start)
        paragraph = len(text) if paragraph < 0 else paragraph
        end = start
        while True:
            end = text.find("$", end, paragraph)
            if end < 0:
                if re.search(r"[\\^_=]", text[start : min(paragraph, start + 200)].split("\n")[0]):
                    raise self.error(opened, "the dollar is not closed")
                return []
            if text[end - 1] == "\\":
                end += 1
                continue
            if text[end - 1].isspace() or text[end + 1 : end + 2].isdigit():
                return []
            break
        self._after = end + 1
        return self._as_list(self.formula(start, end))

    def _fence(self, match: re.Match[str]) -> list[Found]:
        text = self.text
        head = _FENCE.match(text, match.start())
        if head is None:
            return []
        mark, language = head[1], head[2].lower()
        start = min(head.end() + 1, len(text))
        close = re.compile(rf"^ {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$", re.M).search(text, start)
        end = close.start() if close else len(text)
        self._after = close.end() if close else len(text)
        inside = text[start:end]
        if language == "math":
            return self._as_list(self.formula(start, end, self._after, True))
        if language in ("symbp",) and not self.network:
            self.network = inside
        if language in ("python", "py", "python3", "numpy", "code-cell", "code"):
            return _program(inside, self.file, self.place(start).line, start, self.cell)
        return []


# ---------------------------------------------------------------- notebooks and Python


def _notebook(text: str, file: str) -> Document:
    """The Markdown and code cells of a notebook; outputs and attachments are not looked at."""
    try:
        data = json.JSONDecoder().decode(text)
    except RecursionError:
        raise LimitError("the notebook is nested too deeply", Place(1, file=file)) from None
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise ReadError(
            f"this is not JSON ({error})"[:160], Place(line, file=file), "A notebook is a JSON file."
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        version = data.get("nbformat") if isinstance(data, dict) else None
        hint = (
            "Old notebooks (nbformat 3 and before): open and save it in Jupyter."
            if isinstance(version, int) and version < 4
            else ""
        )
        raise ReadError("this notebook has no list of cells", Place(1, file=file), hint)
    cells: list[str] = []
    found: list[Found] = []
    macros: dict[str, Macro] = {}
    network = ""
    for number, cell in enumerate(data["cells"], 1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(s, str) for s in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise ReadError(f"cell {number} has no text", Place(1, file=file))
        cells.append(source)
        shown = f"{file} cell {number}"
        if cell.get("cell_type") == "markdown":
            scanner = _Markdown(source, shown, number - 1)
            found += scanner.run()
            macros |= read_macros(source)
            network = network or scanner.network
        elif cell.get("cell_type") == "code":
            found += _program(source, shown, 1, 0, number - 1)
        if len(found) > MOST:
            raise LimitError(f"the notebook has more than {MOST} formulas", Place(1, file=file))
    return Document(file, ".ipynb", tuple(cells), tuple(found), macros, network, text)


def _program(code: str, file: str, line: int, offset: int, cell: int) -> list[Found]:
    """A piece of Python as one program; lines for the shell or for IPython are blanked."""
    plain = "\n".join(" " * len(x) if x.lstrip().startswith(("%", "!", "?")) else x for x in code.split("\n"))
    if not plain.strip() or code.startswith("%%"):
        return []
    try:
        ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [Found(plain, "program", Place(line, 1, "", file), offset, offset + len(code), cell)]


def line_of(document: Document, program: Found, place: Place) -> Found:
    """One statement of a program as a place of its own, to the end of its last line; `place` counts as in the
    document."""
    text = document.cells[program.cell]
    number = place.line - program.place.line
    start = program.start
    for _ in range(number):
        start = text.find("\n", start) + 1
    end = start - 1
    for _ in range(_heights(program.text).get(number + 1, 1)):
        end = text.find("\n", end + 1)
        end = len(text) if end < 0 else end
    return Found(text[start:end].strip(), "numpy", place, start, end, program.cell)


@lru_cache(maxsize=8)
def _heights(program: str) -> Mapping[int, int]:
    """How many lines the statements that begin on a line take: no remark may stand within them."""
    simple = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)
    heights: dict[int, int] = {}
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, simple):
            height = (node.end_lineno or node.lineno) - node.lineno + 1
            heights[node.lineno] = max(height, heights.get(node.lineno, 1))
    return heights


# ---------------------------------------------------------------- the document with verdicts in it


def annotated(document: Document, remarks: Sequence[tuple[Found, Sequence[str]]]) -> str:
    """The document with remarks beside its formulas: comments in LaTeX and Python, quotes in Markdown."""
    if document.suffix == ".ipynb":
        return _annotated_notebook(document, remarks)
    style: Style = {".tex": _tex_lines, ".py": _python_lines}.get(document.suffix, _markdown_lines)
    return _inserted(document.cells[0], remarks, style)


Style = Callable[[Sequence[str], Found, str], str]


def _inserted(text: str, remarks: Sequence[tuple[Found, Sequence[str]]], style: Style) -> str:
    """Remarks after the line (or the paragraph) in which a formula ends; those of one place together."""
    beside: dict[int, tuple[Found, list[str]]] = {}
    for found, lines in sorted(remarks, key=lambda r: r[0].end):
        if lines:
            at = text.find("\n", max(found.end, found.closed))
            if style is _markdown_lines and found.kind == "latex" and not found.display:
                at = _paragraph_end(text, found.closed)
            beside.setdefault(len(text) if at < 0 else at, (found, []))[1].extend(lines)
    pieces: list[str] = []
    done = 0
    for at, (found, lines) in sorted(beside.items()):
        indent = re.match(r"[ \t]*", text[text.rfind("\n", 0, found.start) + 1 :])
        pieces += [text[done:at], style(lines, found, indent[0] if indent else "")]
        done = at
    return "".join([*pieces, text[done:]])


def _paragraph_end(text: str, at: int) -> int:
    """The end of the paragraph that holds a place: an empty line, a fence or a display formula follows."""
    match = re.compile(r"\n(?=[ \t]*(?:\n|```|~~~|\$\$|\\begin))").search(text, at)
    return match.start() if match else len(text.rstrip("\n"))


def _tex_lines(lines: Sequence[str], found: Found, indent: str) -> str:
    return "".join(f"\n{indent}% symbp: {_one_line(x)}" for x in lines)


def _python_lines(lines: Sequence[str], found: Found, indent: str) -> str:
    return "".join(f"\n{indent}# symbp: {_one_line(x)}" for x in lines)


def _markdown_lines(lines: Sequence[str], found: Found, indent: str) -> str:
    if found.kind == "numpy":
        return _python_lines(lines, found, indent)
    shown = [_escaped(_one_line(x)) for x in lines]
    return "\n\n" + "\n>\n".join(f"> **symbp:** {x}" if n == 0 else f"> {x}" for n, x in enumerate(shown)) + "\n"


def _escaped(text: str) -> str:
    """A line of Markdown in which only what stands between dollars is not taken literally."""
    parts = re.split(r"(\$[^$]*\$)", text)
    return "".join(
        x.replace("<", r"\lt ").replace(">", r"\gt ") if n % 2 else re.sub(r"([\\`*_{}\[\]<>#|$~&])", r"\\\1", x)
        for n, x in enumerate(parts)
    )


def _one_line(text: str) -> str:
    shown = " ".join(text.split())
    return "".join(c for c in shown if c.isprintable())


def _annotated_notebook(document: Document, remarks: Sequence[tuple[Found, Sequence[str]]]) -> str:
    data = json.JSONDecoder().decode(document.raw)
    for number, cell in enumerate(data["cells"]):
        mine = [(f, lines) for f, lines in remarks if f.cell == number and lines]
        if mine:
            style = _python_lines if cell.get("cell_type") == "code" else _markdown_lines
            cell["source"] = _inserted(document.cells[number], mine, style)
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
