"""`latex(...)` and `style(...)` lines: how names and conventions are shown, as checked text.

LaTeX from a stranger is put into documents that somebody compiles, so only mathematics is let
through: a list of commands, balanced braces, and no character that starts something else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container

from symbp.errors import ReadError
from symbp.read.source import Source

LONGEST = 200
_WORDS = r"""
mathbf mathrm mathcal mathbb mathsf mathit mathfrak mathscr boldsymbol bm text textbf textit textrm operatorname
hat widehat tilde widetilde bar overline underline vec dot ddot check breve acute grave mathring
prime top bot star ast dagger circ ell hbar infty partial nabla in to rightarrow leftarrow cdot times
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi varpi rho varrho
sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
left right langle rangle lvert rvert lVert rVert quad
"""
_COMMANDS = frozenset(_WORDS.split())
_STYLE_VALUE = re.compile(r"[A-Za-z0-9_+-]{1,40}\Z")


def latex_problem(text: str) -> str:
    """Why this LaTeX may not stand for a name, or an empty text."""
    if not 0 < len(text) <= LONGEST:
        return f"a LaTeX name has 1 to {LONGEST} characters"
    if re.search(r"[\x00-\x1f\x7f-\x9f]", text):
        return 'this text holds a control character; write r"\\beta", with an r in front'
    for command in re.findall(r"\\([A-Za-z]+|.|$)", text, flags=re.S):
        if command not in _COMMANDS and command not in (",", ";", ":", "!", "|", " ", "{", "}", "_"):
            return f"the command \\{command[:40]} may not stand in a LaTeX name"
    bare = re.sub(r"\\.", "", text)
    odd = re.search(r"[$%#&~]|\^\^", bare)
    if odd:
        return f"the character {odd[0]!r} may not stand in a LaTeX name"
    depth = 0
    for c in bare:
        depth += (c == "{") - (c == "}")
        if depth < 0:
            break
    return "" if depth == 0 else "the braces of this LaTeX name do not match"


def latex_names(call: ast.Call, source: Source, known: Container[str]) -> dict[str, str]:
    """`latex(W1=r"\\mathbf{W}")`: the LaTeX of declared names."""
    names: dict[str, str] = {}
    for key, value in _settings(call, source):
        if key not in known:
            raise ReadError(f"latex: {key!r} is not declared", source.place(call))
        problem = latex_problem(value)
        if problem:
            raise ReadError(f"latex({key}=...): {problem}", source.place(call))
        names[key] = value
    return names


def style_settings(call: ast.Call, source: Source) -> dict[str, str]:
    """`style(delta="minus")`: conventions, checked for form; what they mean is show's business."""
    settings: dict[str, str] = {}
    for key, value in _settings(call, source):
        if not _STYLE_VALUE.match(value):
            raise ReadError(f"style({key}=...): a value is one plain word", source.place(call))
        settings[key] = value
    return settings


def _settings(call: ast.Call, source: Source) -> list[tuple[str, str]]:
    if call.args:
        raise ReadError('settings are written name="text"', source.place(call))
    found: list[tuple[str, str]] = []
    for keyword in call.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg is None or not isinstance(value, str):
            raise ReadError('settings are written name="text"', source.place(call))
        found.append((keyword.arg, value))
    return found
