"""How things are written: LaTeX and Unicode spellings of names, letters and constructions.

An `Alphabet` is the only place where the two differ; math.py decides what is written and where
the brackets go. Names are split into a base, accents and subscripts (`W1` is W with index 1,
`y_hat` is ŷ, `lam` is λ, `net8` is upright net with index 8), so both alphabets agree on what a
name means. Unicode names carry invisible role marks from which a terminal takes its colours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "lam": "λ", "lambd": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω",
}  # fmt: skip
LATEX_GREEK = {
    "eps": r"\varepsilon",
    "epsilon": r"\varepsilon",
    "lam": r"\lambda",
    "lambd": r"\lambda",
    "phi": r"\varphi",
}
GREEK_LETTERS = {v: k for k, v in GREEK.items() if k not in ("eps", "lam", "lambd")}
ACCENTS = {
    "hat": ("\\hat", "\u0302"),
    "bar": ("\\bar", "\u0304"),
    "tilde": ("\\tilde", "\u0303"),
    "dot": ("\\dot", "\u0307"),
}
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
ROLES = {"weight": "\ue001", "data": "\ue002", "node": "\ue003", "error": "\ue004", "loss": "\ue005"}
END = "\ue000"
MARKS = re.compile("[\ue000-\ue00f]")


def plain(text: str) -> str:
    """A marked text without its role marks."""
    return MARKS.sub("", text)


@dataclass(frozen=True)
class Name:
    """A name taken apart: `y_hat_2` is base y, accent hat, subscripts (2,)."""

    base: str
    accent: str = ""
    subs: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def parse_name(name: str) -> Name:
    """Take a declared name apart; what fits nothing is one upright word."""
    if name in GREEK or name in GREEK_LETTERS:
        return Name(name)
    parts = [p for p in name.split("_") if p]
    if not parts:
        return Name(name)
    head, subs, accent = parts[0], parts[1:], ""
    match = re.fullmatch(r"([^\W\d_]+?)(\d+)([a-z]?)", head)
    if match:
        head = match[1]
        subs = [match[2] + match[3], *subs]
    for a in ACCENTS:
        if subs and a in subs:
            subs.remove(a)
            accent = a
            break
        if head.endswith(a) and (len(head) == len(a) + 1 or head[: -len(a)] in GREEK):
            head, accent = head[: -len(a)], a
            break
    return Name(head, accent, tuple(subs))


def _side_by_side(parts: list[str], dot: str) -> str:
    """Factors with a space between them, and a dot between two numbers."""
    if len(parts) < 2:
        return "".join(parts)
    out = parts[0]
    for before, after in pairwise(parts):
        numbers = (before[-1:] + after[:1]).isdigit() and (before[-1:] + after[:1]).isascii()
        out += (dot if numbers else " ") + after
    return out


def _from_one(place: str) -> str:
    """`2:` as `3:`, `:4` as `1:4`, `0` as `1`: a NumPy slice counted from 1, its end included."""
    start, colon, rest = place.partition(":")
    if not colon:
        return _next(place)
    return (_next(start) if start else "1" if rest else "") + colon + rest


def _next(number: str) -> str:
    return str(int(number) + 1) if number.isdigit() else f"{number} + 1"


_BEFORE = re.compile(r"(\\[A-Za-z]+|[\w})\]]) (?=\\mathrm\{|\\mathbf\{1\}\\left)")
_AFTER = re.compile(
    r"(\\mathrm\{[^{}]*\}(?:_\{[^{}]*\}|_\w)?(?:\^\{[^{}]*\})?) "
    r"(?=[A-Za-z(]|\\(?:left(?![a-z])|hat|bar|tilde|delta|mathbf|frac|mathrm))"
)
_RELATIONS = {rf"\{w}" for w in ("odot", "cdot", "times", "le", "ge", "ne", "leftarrow", "log", "max", "min")}


TEXT_ESCAPES = {
    **{c: "\\" + c for c in "_#%&{}$"},
    "^": r"\^{}",
    "\\": r"\textbackslash{}",
    "~": r"\~{}",
}


class Latex:
    """LaTeX: the portable subset that KaTeX, MathJax, pandoc and pdfTeX all accept."""

    name = "latex"
    odot, times, minus, top, one = r"\odot", r"\,", "-", r"^{\top}", r"\mathbf{1}"
    sum, partial, infinity, dot = r"\sum", r"\partial", r"\infty", r" \cdot "

    def __init__(self, custom: Mapping[str, str] | None = None) -> None:
        self.custom = dict(custom or {})

    def mark(self, text: str, role: str) -> str:
        return text

    def word(self, text: str) -> str:
        """One word in math: Greek, a single letter, or upright."""
        if text in GREEK or text in GREEK_LETTERS:
            text = GREEK_LETTERS.get(text, text)
            return LATEX_GREEK.get(text, "\\" + text)
        if len(text) == 1 or text.isdigit():
            return text
        if re.fullmatch(r"\d+[a-z]", text):
            return text
        if all(ord(c) < 128 for c in text):
            return rf"\mathrm{{{text}}}"
        return rf"\text{{{text}}}"

    def tensor(self, name: str) -> str:
        if name in self.custom:
            chosen = self.custom[name]
            return f"{{{chosen}}}" if "^" in chosen else chosen  # so that a power or ᵀ may follow
        parts = parse_name(name)
        base = self.word(parts.base)
        if parts.accent:
            base = f"{ACCENTS[parts.accent][0]}{{{base}}}"
        if parts.subs:
            inner = r",".join(self.word(s) for s in parts.subs)
            base += f"_{inner}" if len(inner) == 1 else f"_{{{inner}}}"
        return base

    def subscripted(self, name: str, indices: list[str], simple: bool) -> str:
        inner = ("" if all(len(i.rstrip("'")) == 1 or i.startswith("\\") for i in indices) else ",").join(indices)
        base = name if simple else f"({name})"
        return f"{base}_{{{inner}}}" if indices else name

    def delta(self, inner: str) -> str:
        return rf"\delta_{{{inner}}}"

    def derivative(self, loss: str, of: str) -> str:
        return rf"\frac{{\partial {loss}}}{{\partial {of}}}"

    def second_derivative(self, loss: str, of: str, by: str) -> str:
        return rf"\frac{{\partial^{{2}} {loss}}}{{\partial {of} \, \partial {by}}}"

    def fraction(self, top: str, bottom: str) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def power(self, base: str, exponent: str, elementwise: bool) -> str:
        return f"{base}^{{{chr(92) + 'odot ' if elementwise else ''}{exponent}}}"

    def root(self, inner: str) -> str:
        return rf"\sqrt{{{inner}}}"

    def bracket(self, inner: str) -> str:
        return rf"\left({inner}\right)"

    def truth(self, inner: str) -> str:
        return rf"\mathbf{{1}}\left[{inner}\right]"

    def function(self, name: str) -> str:
        known = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "max", "min", "det"}
        return "\\" + name if name in known else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"

    def apply(self, name: str, args: list[str]) -> str:
        return f"{self.function(name)}{self.bracket(', '.join(args))}"

    def norm_squared(self, inner: str, matrix: bool) -> str:
        return self.norm_power(inner, matrix, 2)

    def norm_power(self, inner: str, matrix: bool, power: int) -> str:
        """The length of a vector or matrix, to a power."""
        return rf"\left\lVert {inner} \right\rVert{'_F' if matrix else ''}" + (f"^{{{power}}}" if power != 1 else "")

    def big_sum(self, letters: list[str], body: str) -> str:
        return rf"\sum_{{{', '.join(letters)}}} {body}"

    def range_sum(self, var: str, low: str, high: str, body: str) -> str:
        return rf"\sum_{{{var}={low}}}^{{{high}}} {body}"

    def range_product(self, var: str, low: str, high: str, body: str) -> str:
        return rf"\prod_{{{var}={low}}}^{{{high}}} {body}"

    def turns(self, var: str, low: str, high: str) -> str:
        return rf"{var} = {low}, \dots, {high}"

    def numbered(self, text: str, above: list[str], under: list[str], below: Sequence[str]) -> str:
        """A name with the number of its layer above and that of its step, and indices, below."""
        bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
        base, mark, sub = bare.partition("_")
        inner = [sub.removeprefix("{").removesuffix("}")] if mark and not base.endswith("\\") else []
        subs = ",".join([*inner, *under, *(["".join(below)] if all(len(b) == 1 for b in below) and below else below)])
        shown = (base if inner else bare) + (f"_{{{subs}}}" if subs else "")
        return f"{{{shown}^{{({', '.join(above)})}}}}" if above else shown

    def big_max(self, op: str, letters: list[str], body: str) -> str:
        return rf"\{op}_{{{', '.join(letters)}}} {body}"

    def kronecker(self, a: str, b: str) -> str:
        return rf"\delta_{{{a}{b}}}" if len(a.rstrip("'")) == len(b.rstrip("'")) == 1 else rf"\delta_{{{a},{b}}}"

    def relation(self, op: str) -> str:
        return {">=": r"\ge", "<=": r"\le", "==": "=", "!=": r"\ne"}.get(op, op)

    def cases(self, yes: str, condition: str, no: str) -> str:
        return rf"\begin{{cases}} {yes} & {condition} \\ {no} & \text{{otherwise}} \end{{cases}}"

    def absolute(self, inner: str) -> str:
        return rf"\left|{inner}\right|"

    def inverse(self, inner: str, transposed: bool = False) -> str:
        return rf"{inner}^{{-\top}}" if transposed else f"{inner}^{{-1}}"

    def slice(self, name: str, pattern: list[str]) -> str:
        return f"{{{name}}}_{{[{','.join(_from_one(p) for p in pattern)}]}}"

    def product(self, parts: list[str]) -> str:
        return _side_by_side(parts, self.dot)

    def inline(self, formula: str) -> str:
        """A formula inside a sentence."""
        return f"${formula}$"

    def code(self, text: str) -> str:
        """What the user wrote, as it stands in a sentence."""
        return rf"\texttt{{{''.join(TEXT_ESCAPES.get(c, c) for c in text)}}}"

    def spaced(self, formula: str) -> str:
        """Thin spaces around upright words and masks, which would run into their neighbours."""
        formula = _BEFORE.sub(lambda m: m[0] if m[1] in _RELATIONS else m[1] + r"\,", formula)
        return _AFTER.sub(r"\1\\,", formula)


class Unicode:
    """Unicode text for the terminal."""

    name = "unicode"
    odot, times, minus, top, one = "⊙", " · ", "−", "ᵀ", "𝟏"
    sum, partial, infinity, dot = "Σ", "∂", "∞", " · "

    def __init__(self, custom: Mapping[str, str] | None = None) -> None:
        pass

    def mark(self, text: str, role: str) -> str:
        return f"{ROLES[role]}{text}{END}" if role in ROLES else text

    def word(self, text: str) -> str:
        return GREEK.get(text, text)

    def tensor(self, name: str) -> str:
        parts = parse_name(name)
        base = self.word(parts.base)
        if parts.accent and len(base) == 1:
            import unicodedata

            base = unicodedata.normalize("NFC", base + ACCENTS[parts.accent][1])
        elif parts.accent:
            base += "_" + parts.accent
        for n, s in enumerate(parts.subs):
            digits = s.isdigit()
            base += s.translate(SUBSCRIPT) if digits and not (n and parts.subs[n - 1].isdigit()) else "_" + self.word(s)
        return base

    def subscripted(self, name: str, indices: list[str], simple: bool) -> str:
        return f"{name}[{','.join(indices)}]" if indices else name

    def delta(self, inner: str) -> str:
        return f"δ_{inner}"

    def derivative(self, loss: str, of: str) -> str:
        return f"∂{loss}/∂{of}"

    def second_derivative(self, loss: str, of: str, by: str) -> str:
        return f"∂²{loss}/∂{of} ∂{by}"

    def fraction(self, top: str, bottom: str) -> str:
        return f"{top}/{bottom}"

    def power(self, base: str, exponent: str, elementwise: bool) -> str:
        if re.fullmatch(r"-?\d+", exponent):
            return base + exponent.translate(SUPERSCRIPT)
        return f"{base}^{exponent}" if re.fullmatch(r"\w+", exponent) else f"{base}^({exponent})"

    def root(self, inner: str) -> str:
        return f"√{inner}" if plain(inner).isalnum() else f"√({inner})"

    def bracket(self, inner: str) -> str:
        return f"({inner})"

    def truth(self, inner: str) -> str:
        return f"1[{inner}]"

    def function(self, name: str) -> str:
        return name

    def apply(self, name: str, args: list[str]) -> str:
        return f"{name}({', '.join(args)})"

    def norm_squared(self, inner: str, matrix: bool) -> str:
        return self.norm_power(inner, matrix, 2)

    def norm_power(self, inner: str, matrix: bool, power: int) -> str:
        return f"‖{inner}‖" + (str(power).translate(SUPERSCRIPT) if power != 1 else "")

    def big_sum(self, letters: list[str], body: str) -> str:
        return f"Σ_{letters[0]} {body}" if len(letters) == 1 else f"Σ_{{{','.join(letters)}}} {body}"

    def range_sum(self, var: str, low: str, high: str, body: str) -> str:
        return f"Σ_{{{var}={low}..{high}}} {body}"

    def range_product(self, var: str, low: str, high: str, body: str) -> str:
        return f"Π_{{{var}={low}..{high}}} {body}"

    def turns(self, var: str, low: str, high: str) -> str:
        return f"{var} = {low}, …, {high}"

    def numbered(self, text: str, above: list[str], under: list[str], below: Sequence[str]) -> str:
        """A name with its numbers, and its indices, in brackets."""
        numbers = [*above, *under]
        return text + (f"[{','.join(numbers)}]" if numbers else "") + (f"[{','.join(below)}]" if below else "")

    def big_max(self, op: str, letters: list[str], body: str) -> str:
        return f"{op}_{','.join(letters)} {body}"

    def kronecker(self, a: str, b: str) -> str:
        return f"δ({a},{b})"

    def relation(self, op: str) -> str:
        return {">=": "≥", "<=": "≤", "==": "=", "!=": "≠"}.get(op, op)

    def cases(self, yes: str, condition: str, no: str) -> str:
        return f"{{{yes} if {condition} else {no}}}"

    def absolute(self, inner: str) -> str:
        return f"|{inner}|"

    def inverse(self, inner: str, transposed: bool = False) -> str:
        return inner + ("⁻ᵀ" if transposed else "⁻¹")

    def slice(self, name: str, pattern: list[str]) -> str:
        return f"{name}[{', '.join(pattern)}]"

    def product(self, parts: list[str]) -> str:
        return _side_by_side(parts, self.dot)

    def inline(self, formula: str) -> str:
        return formula

    def code(self, text: str) -> str:
        return text

    def spaced(self, formula: str) -> str:
        return formula


class MarkdownTex(Latex):
    """LaTeX formulas in a Markdown text."""

    def code(self, text: str) -> str:
        return f"`{text}`"


Alphabet = Latex | Unicode
