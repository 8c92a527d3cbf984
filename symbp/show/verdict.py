"""Verdicts for a terminal and as JSON.

On the screen a claim takes one line with its verdict at the right margin; a wrong one is followed
by what is the matter, the right line with what changed in green, and the numbers that prove it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symbp.claim import Tree, by_name, in_letters
from symbp.claim import name as named
from symbp.errors import Place, clean
from symbp.graph import Graph
from symbp.judge.text import NoText, numpy_text
from symbp.judge.verdict import Counterexample, Verdict
from symbp.show.mistakes import sentence, title
from symbp.show.problems import translated
from symbp.show.terminal import BOLD, DIM, GREEN, RED, RESET, width_of, wrap
from symbp.show.words import say

YELLOW, CYAN = "\x1b[33m", "\x1b[36m"
ORDER = ("correct", "wrong", "loose", "undecided", "unreadable", "undefined")
MARK = {"correct": "✓", "loose": "≈", "wrong": "✗", "unreadable": "?", "undefined": "?", "undecided": "?"}
PAINT = {"correct": GREEN, "loose": CYAN, "wrong": RED}
SHAPES = ("shape", "other", "missing-transpose", "swapped-order", "hadamard-vs-matmul")
"""Mistakes that sizes which do not fit are the sign of."""
LONGEST_SHOWN = 1000  # characters of a claim on the screen
Spell = Callable[[Tree], str]


def word(key: str, lang: str, *args: str) -> str:
    """A phrase about verdicts in the language, its places filled."""
    return say(f"verdict-{key}", lang, *args)


def spelled(tree: Tree | None) -> str:
    """A tree as NumPy text, or nothing."""
    if tree is None:
        return ""
    try:
        return numpy_text(tree)
    except NoText:
        return ""


def repaired(v: Verdict) -> Tree | None:
    """The right line: the student's own, mended, or the derived one."""
    if v.mistake is not None and v.mistake.tree is not None:
        return v.mistake.tree
    return v.right


def message(v: Verdict, graph: Graph, spell: Spell, lang: str = "en") -> str:
    """What is to be said of a claim, in a sentence or two."""
    if v.verdict == "loose":
        return word("looseness", lang)
    reason = translated(v.reason, lang)
    if v.verdict != "wrong":
        return _capital(reason) if " " in v.reason[:40] and v.claim.problem != "undefined" else reason
    said = ""
    if v.mistake is not None:
        about, node = (n and _lettered(v, named(n)) for n in (v.claim.about, v.mistake.node))
        at = v.mistake.at and _lettered(v, named(v.mistake.at))
        mistake, claim = replace(v.mistake, node=node, at=at), replace(v.claim, about=about)
        said = sentence(mistake, claim, graph.loss, spell, lang)
    if reason and (v.mistake is None or v.mistake.name in SHAPES):
        said = f"{_capital(reason)}{say('full-stop', lang)}{said}".strip()
    if v.sources:
        said += _gap(lang) + word("carried-from" if v.carried else "besides", lang, ", ".join(v.sources))
    elif v.carried:
        said += _gap(lang) + word("carried", lang)
    return said.strip()


def _gap(lang: str) -> str:
    return "" if lang == "zh" else " "


def _capital(text: str) -> str:
    """A sentence begins with a capital, but for one that begins with a name: `h is not read here`."""
    return text[:1].upper() + text[1:] if re.match(r"(?:a|[a-z]{2,}) ", text) else text


# ---- JSON ----------------------------------------------------------------------------------------------


def verdicts_json(
    verdicts: Sequence[Verdict], graph: Graph, latex: Callable[[Verdict, Tree], str] | None = None, lang: str = "en"
) -> dict[str, Any]:
    """All verdicts, as CONTRACT describes them. `latex` writes a tree of a claim in LaTeX."""
    claims = [_claim_json(v, graph, latex, lang) for v in verdicts]
    summary = {name: sum(v.verdict == name for v in verdicts) for name in ORDER}
    return {"schema": 1, "network": graph.name, "claims": claims, "summary": summary}


def _claim_json(v: Verdict, graph: Graph, latex: Callable[[Verdict, Tree], str] | None, lang: str) -> dict[str, Any]:
    tree = repaired(v) if v.verdict == "wrong" else None
    spell = _speller(v, latex)
    repair = None
    if tree is not None:
        tree = by_name(tree, v.claim.own)
        repair = {
            "numpy": _lettered(v, tree) or spelled(v.right) or None,
            "latex": (latex(v, tree) or None) if latex else None,
        }
    mistake = v.mistake
    place = v.claim.place
    found: dict[str, Any] = {
        "text": clean(v.claim.text),
        "about": v.claim.about or None,
        "verdict": v.verdict,
        "carried": v.carried,
        "ratio": v.ratio,
        "proof": v.proof,
        "mistake": mistake.name if mistake else None,
        "also": list(_also(v)),
        "message": clean(message(v, graph, spell, lang)),
        "repair": repair,
        "counterexample": _example_json(v.counterexample),
        "where": _where(place),
    }
    if v.claim.notes:
        found["notes"] = list(v.claim.notes)
    return found


def _also(v: Verdict) -> Iterator[str]:
    if v.mistake is not None:
        if v.mistake.second is not None:
            yield v.mistake.second.name
        yield from (n for n in v.mistake.also if v.mistake.second is None or n != v.mistake.second.name)


def _where(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"line": place.line, "column": place.column, **({"file": place.file} if place.file else {})}


def _example_json(e: Counterexample | None) -> dict[str, Any] | None:
    if e is None:
        return None
    found: dict[str, Any] = {
        "sizes": e.sizes,
        "entry": list(e.entry),
        "claimed": _number(e.claimed),
        "true": _number(e.true),
    }
    if e.shapes is not None:
        found["shapes"] = {"claimed": list(e.shapes[0]), "true": list(e.shapes[1])}
    if e.point is not None and sum(np.size(a) for a in e.point.values()) <= 400:
        found["point"] = {k: np.round(a, 12).tolist() for k, a in e.point.items()}
    return found


def _number(x: float | None) -> float | None:
    return None if x is None or not np.isfinite(x) else x


def _speller(v: Verdict, latex: Callable[[Verdict, Tree], str] | None) -> Spell:
    if v.claim.notation == "latex" and latex is not None:
        return lambda tree: latex(v, by_name(tree, v.claim.own))
    return lambda tree: _lettered(v, by_name(tree, v.claim.own))


def _lettered(v: Verdict, tree: Tree) -> str:
    """As NumPy text, with the letters of a claim that is made for every layer."""
    return spelled(in_letters(tree, v.claim.at, lambda family, index: f"{family}[{index}]"))


# ---- the terminal --------------------------------------------------------------------------------------


def verdicts_text(
    verdicts: Sequence[Verdict],
    graph: Graph,
    width: int,
    colour: bool,
    lang: str = "en",
    latex: Callable[[Verdict, Tree], str] | None = None,
) -> str:
    """All verdicts for a screen of this width."""
    lines: list[str] = []
    for v in verdicts:
        lines += _lines(v, graph, width, colour, lang, latex)
    lines += [*([""] if lines[-1:] != [""] else []), _summary(verdicts, colour, lang)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{RESET}" if colour and text else text


def _lines(
    v: Verdict, graph: Graph, width: int, colour: bool, lang: str, latex: Callable[[Verdict, Tree], str] | None
) -> Iterator[str]:
    code = PAINT.get(v.verdict, YELLOW)
    right = word(v.verdict, lang)
    if v.verdict == "correct" and v.proof:
        right = f"{right}, {word(v.proof, lang)}"
    elif v.verdict == "correct":
        right = word("definition", lang)
    elif v.verdict == "wrong" and v.mistake is not None:
        names = [v.mistake.name] + ([v.mistake.second.name] if v.mistake.second else [])
        right = word("named", lang, right, " + ".join(title(n, lang) for n in names))
    elif v.verdict == "wrong" and v.sources:
        right = word("named", lang, right, word("earlier", lang))
    text = clean(" ".join(v.claim.text.split()))
    if len(text) > LONGEST_SHOWN:
        text = text[:LONGEST_SHOWN] + " …"
    where = f"{v.claim.place.line:>3} " if v.claim.place is not None and v.claim.place.file else ""
    head = f"{where}{MARK[v.verdict]} "
    room = width - width_of(head) - width_of(right) - 2
    shown = list(wrap(text, width - width_of(head), 4)) if width_of(text) > room else [text]
    plain = _paint(MARK[v.verdict], code + BOLD if colour else "", colour)
    first = f"{_paint(where, DIM, colour)}{plain} {shown[0]}"
    if len(shown) == 1 and width_of(shown[0]) <= room:
        gap = width - width_of(head) - width_of(shown[0]) - width_of(right)
        yield first + " " * gap + _paint(right, code, colour)
    else:
        yield first
        yield from (" " * width_of(head) + line for line in shown[1:])
        yield " " * (width - width_of(right)) + _paint(right, code, colour)
    indent = " " * (width_of(head) + 2)
    said = clean(message(v, graph, _speller(v, latex), lang))
    if v.verdict == "correct" and v.reason == "a definition":
        said = ""
    yield from (indent + line for line in _filled(said, width - len(indent)))
    if v.verdict == "wrong":
        yield from (indent + line for line in _facts(v, text, colour, lang, latex, width - len(indent), len(indent)))
        yield ""


def _facts(
    v: Verdict,
    text: str,
    colour: bool,
    lang: str,
    latex: Callable[[Verdict, Tree], str] | None,
    width: int,
    width_before: int,
) -> Iterator[str]:
    label = max(width_of(word("right-line", lang)), width_of(word("numbers", lang))) + 2

    def row(key: str, body: str) -> str:
        name = word(key, lang)
        first, *rest = _filled(body, width - label) if key == "numbers" else [body]
        head = _paint(name, DIM, colour) + " " * (label - width_of(name)) + first
        return "\n".join([head, *(" " * (label + width_before) + line for line in rest)])

    tree = repaired(v)
    fixed = _speller(v, latex)(tree) if tree is not None else ""
    if fixed:
        left = re.match(r"[^=]*?\s*(?::|[-+*/])?=\s*", text)
        body = _marked(text.rpartition("=")[2].strip(), fixed, colour) if v.mistake and v.mistake.tree else fixed
        yield row("right-line", f"{left[0].strip()} {body}" if left else body)
    if v.ratio is not None:
        yield row("numbers", word("ratio", lang, v.ratio if isinstance(v.ratio, str) else f"{v.ratio:g}"))
    e = v.counterexample
    if e is None:
        return
    sizes = ", ".join(f"{k} = {n}" for k, n in e.sizes.items() if not k.isdigit()) or word("somewhere", lang)
    if e.claimed is not None and e.true is not None:
        entry = f"[{', '.join(map(str, e.entry))}]" if e.entry else word("whole", lang)
        yield row("numbers", word("entry", lang, sizes, entry, *_told_apart(e.claimed, e.true)))
    elif e.shapes is not None:
        shapes = [f"({', '.join(map(str, s))}{',' if len(s) == 1 else ''})" for s in e.shapes]
        yield row("numbers", word("shapes", lang, sizes, *shapes))
    else:
        yield row("numbers", word("unfit", lang, sizes))


def _filled(text: str, width: int) -> list[str]:
    """Words on lines of this width; Chinese text is broken anywhere."""
    lines: list[str] = []
    line = ""
    for word in re.findall(r"[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+\s*|\s+", text):
        if line.strip() and width_of(line) + width_of(word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += word
    return [*lines, line.rstrip()] if line.strip() else lines


def _told_apart(a: float, b: float) -> tuple[str, str]:
    """Two numbers, with as many digits as it takes to see that they differ."""
    found = ((f"{a:.{n}g}", f"{b:.{n}g}") for n in range(4, 18))
    one, other = next((pair for pair in found if pair[0] != pair[1]), (f"{a:.17g}", f"{b:.17g}"))
    return one.replace("-", "−"), other.replace("-", "−")


def _marked(old: str, new: str, colour: bool) -> str:
    """The new text, with what is not in the old one in green."""
    if not colour:
        return new
    a, b = (re.findall(r"\w+(?:\.\w+)*|\s+|\.T|.", x) for x in (old, new))
    found = []
    for tag, _, _, low, high in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        piece = "".join(b[low:high])
        found.append(_paint(piece, GREEN + BOLD, True) if tag in ("replace", "insert") and piece.strip() else piece)
    return "".join(found)


def _summary(verdicts: Sequence[Verdict], colour: bool, lang: str) -> str:
    parts = []
    for name in ORDER:
        n = sum(v.verdict == name for v in verdicts)
        if n:
            parts.append(_paint(f"{n} {word(name, lang)}", PAINT.get(name, YELLOW), colour))
    return "  " + " · ".join(parts) if parts else ""
