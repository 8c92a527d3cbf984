"""How things are written: LaTeX and Unicode spellings of names, letters and constructions.

An `Alphabet` is the only place where the two differ; math.py decides what is written and where
the brackets go. Both follow the conventions of a `Style`. Formulas and code inside of a sentence stand
between marks (`inline`, `code`), and each format puts its own signs there (`spans`).

Names are split into a base, accents and subscripts (`W1` is W with index 1,
`y_hat` is ŷ, `lam` is λ, `net8` is upright net with index 8), so both alphabets agree on what a
name means. Unicode names carry invisible role marks from which a terminal takes its colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from symbp.show.style import USUAL, Style
from symbp.show.words import say

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
SUPERSCRIPT = str.maketrans("0123456789-()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁽⁾")
ROLES = {"weight": "\ue001", "data": "\ue002", "node": "\ue003", "error": "\ue004", "loss": "\ue005"}
END = "\ue000"
MARKS = re.compile("[\ue000-\ue00f\ue020-\ue031]")


MATH, CODE, CLOSE = "\ue020", "\ue021", "\ue022"
_SPAN = re.compile("([\ue020\ue021])(.*?)\ue022", re.S)


def plain(text: str) -> str:
    """A marked text without its role marks."""
    return MARKS.sub("", text)


def spans(text: str) -> Iterator[tuple[str, str]]:
    """A sentence in its parts: ("text" | "math" | "code", what stands there)."""
    at = 0
    for m in _SPAN.finditer(text):
        if m.start() > at:
            yield "text", text[at : m.start()]
        yield ("math" if m[1] == MATH else "code"), m[2]
        at = m.end()
    if at < len(text):
        yield "text", text[at:]


def bare(text: str) -> str:
    """A text of the user's without the characters that mark something here."""
    return _PRIVATE.sub("", text)


_PRIVATE = re.compile("[\ue000-\uf8ff]")


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
    """Factors with a space between them, and a dot before a number: δ · 2 x."""
    out = "".join(parts[:1])
    for after in parts[1:]:
        out += (dot if _NUMBER.match(after) else " ") + after
    return out


_NUMBER = re.compile(r"[0-9](?!\[)|\\frac\{[0-9]+\}\{[0-9]+\}")  # but 1[z > 0] is an indicator


def _from_one(place: str) -> str:
    """`2:` as `3:`, `:4` as `1:4`, `0` as `1`: a NumPy slice counted from 1, its end included."""
    start, colon, rest = place.partition(":")
    if not colon:
        return _next(place)
    return (_next(start) if start else "1" if rest else "") + colon + rest


def _next(number: str) -> str:
    return str(int(number) + 1) if number.isdigit() else f"{number} + 1"


_TWICE = re.compile(  # {W^{(1)}}^{\top}; the braces of a \sqrt or a \frac are not those of a name
    r"(?<![A-Za-z}\]_^])\{((?:[^{}^]|\{[^{}]*\})+)\^\{([^{}]*)\}\}([_^])\{([^{}]*)\}"
)
_BRACED = re.compile(r"(?:^|(?<=[ (&]))\{((?:[^{}^ ]|\{[^{}]*\})+\^\{[^{}]*\})\}(?![_^'])")  # braces that do nothing
_BEFORE = re.compile(r"(\\[A-Za-z]+|[\w})\]]) (?=\\mathrm\{|\\mathbf\{1\}\\left)")
_AFTER = re.compile(
    r"(\\mathrm\{[^{}]*\}(?:_\{[^{}]*\}|_\w)?(?:\^\{[^{}]*\})?) "
    r"(?=[A-Za-z(]|\\(?:left(?![a-z])|hat|bar|tilde|delta|mathbf|frac|mathrm))"
)
_MOVED = re.compile(  # dW X: what stands after a differential keeps away from it
    r"(\\mathrm\{d\}(?:\\[A-Za-z]+(?:\{[^{}]*\})?|\w)(?:_\{[^{}]*\}|_\w)?(?:\^\{[^{}]*\})?) "
    r"(?=[A-Za-z(]|\\(?:left(?![a-z])|hat|bar|tilde|delta|math|frac|max|min))"
)
_RELATIONS = {rf"\{w}" for w in ("odot", "cdot", "times", "le", "ge", "ne", "leftarrow", "log", "max", "min")}


def layer_of(name: Name, style: Style) -> tuple[str, tuple[str, ...]]:
    """The number of a layer as it stands above a name, and the subscripts that stay below."""
    if style.layers == "subscript" or not name.subs or not name.subs[-1].isdigit():
        return "", name.subs
    number = name.subs[-1]
    return (f"({number})" if style.layers == "paren" else f"[{number}]"), name.subs[:-1]


def _above(text: str) -> tuple[str, str] | None:
    """`{W^{(1)}}` as W and (1): a name that has something above it."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    match = re.fullmatch(r"\{((?:[^{}^]|\{[^{}]*\})+)\^(?:\{([^{}]*)\}|(\w))\}", text)
    return (match[1], match[2] or match[3]) if match else None


def _bold(word: str) -> str:
    """A letter or an upright word in bold."""
    return rf"\mathbf{{{word.removeprefix(chr(92) + 'mathrm{').removesuffix('}')}}}"


def bold_letter(letter: str) -> str:
    """The bold twin of a Latin or Greek letter in Unicode."""
    for first, last, start in (("A", "Z", 0x1D400), ("a", "z", 0x1D41A), ("Α", "Ω", 0x1D6A8), ("α", "ω", 0x1D6C2)):
        if first <= letter <= last:
            return chr(start + ord(letter) - ord(first))
    return letter


def _portable(latex: str) -> str:
    """The user's LaTeX of a name in commands that every engine has."""
    return re.sub(r"\\(bm|operatorname)(?![A-Za-z])", lambda m: _PLAIN[m[1]], latex)


_PLAIN = {"bm": r"\boldsymbol", "operatorname": r"\mathrm"}


class Latex:
    """LaTeX: the portable subset that KaTeX, MathJax, pandoc and pdfTeX all accept."""

    name = "latex"
    times, minus, one = r"\,", "-", r"\mathbf{1}"
    sum, partial, infinity, dot = r"\sum", r"\partial", r"\infty", r" \cdot "
    dots = r"\cdots"

    blank = r"\underline{\hspace{9em}}"

    def __init__(self, custom: Mapping[str, str] | None = None, style: Style = USUAL, lang: str = "en") -> None:
        self.lang = lang
        self.custom = {name: _portable(text) for name, text in (custom or {}).items()}
        self.style = style
        self.odot = rf"\{style.product}"
        self.raised = {"top": r"\top", "T": "T", "prime": r"\prime"}[style.transpose]

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

    def tensor(self, name: str, bold: bool = False) -> str:
        """A name; one with something above it stands in braces, so that a power or ᵀ may follow."""
        if name in self.custom:
            chosen = self.custom[name]
            return f"{{{chosen}}}" if "^" in chosen else chosen
        parts = parse_name(name)
        base = self.word(parts.base)
        if bold and self.style.bold == "yes":
            base = rf"\boldsymbol{{{base}}}" if base.startswith("\\") and "mathrm" not in base else _bold(base)
        if parts.accent:
            base = f"{ACCENTS[parts.accent][0]}{{{base}}}"
        layer, subs = layer_of(parts, self.style)
        if subs:
            inner = r",".join(self.word(s) for s in subs)
            base += f"_{inner}" if len(inner) == 1 else f"_{{{inner}}}"
        return f"{{{base}^{{{layer}}}}}" if layer else base

    def transposed(self, base: str) -> str:
        return f"{base}^{{{self.raised}}}"

    def subscripted(self, name: str, indices: list[str], simple: bool) -> str:
        inner = ("" if all(len(i.rstrip("'")) == 1 or i.startswith("\\") for i in indices) else ",").join(indices)
        base = name if simple else f"({name})"
        return f"{base}_{{{inner}}}" if indices else name

    def delta(self, inner: str, indices: str = "") -> str:
        """The error term of a tensor, or one entry of it; a layer's number goes up to the δ."""
        if self.style.gradient == "d":
            whole = rf"\mathrm{{d}}{inner.removeprefix('{').removesuffix('}') if _above(inner) else inner}"
            return rf"(\mathrm{{d}}{inner})_{{{indices}}}" if indices else f"{{{whole}}}" if "^" in whole else whole
        split = _above(inner)
        name, layer = split if split else (inner, "")
        below = rf"{name},\,{indices}" if indices else name
        if not layer:
            return rf"\delta_{{{below}}}"
        whole = rf"\delta_{{{below}}}^{{{layer}}}"
        return f"{{{whole}}}"

    def differential(self, of: str) -> str:
        """What a tensor changes by."""
        return rf"\mathrm{{d}}{of}"

    def gradient(self, loss: str, of: str) -> str:
        """The gradient of the loss as a whole."""
        if self.style.gradient == "nabla":
            return rf"\nabla_{{{of}}} {loss}"
        return self.delta(of) if self.style.gradient == "d" else self.derivative(loss, of)

    def derivative(self, loss: str, of: str) -> str:
        return rf"\frac{{\partial {loss}}}{{\partial {of}}}"

    def along(self, derivative: str, via: str) -> str:
        """What one path contributes: the part that comes back through `via`."""
        return rf"\left.{derivative}\right|_{{{via}}}"

    def second_derivative(self, loss: str, of: str, by: str) -> str:
        return rf"\frac{{\partial^{{2}} {loss}}}{{\partial {of} \, \partial {by}}}"

    def fraction(self, top: str, bottom: str) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def power(self, base: str, exponent: str, elementwise: bool) -> str:
        if self.style.gradient == "d" and base.startswith(r"\mathrm{d}"):  # (dT)^2 is not d(T^2)
            base = self.bracket(base)
        return f"{base}^{{{self.odot + ' ' if elementwise else ''}{exponent}}}"

    def root(self, inner: str) -> str:
        return rf"\sqrt{{{inner}}}"

    def bracket(self, inner: str) -> str:
        return rf"\left({inner}\right)"

    def truth(self, inner: str) -> str:
        return rf"\mathbf{{1}}\left[{inner}\right]"

    def function(self, name: str) -> str:
        if name == "log softmax":
            return r"\log\mathrm{softmax}"
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
        return rf"{var} = {low}, \ldots, {high}"

    def numbered(self, text: str, above: list[str], under: list[str], below: Sequence[str]) -> str:
        """A name with the number of its layer above and that of its step, and indices, below."""
        bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
        base, mark, sub = bare.partition("_")
        inner = [sub.removeprefix("{").removesuffix("}")] if mark and not base.endswith("\\") else []
        subs = ",".join([*inner, *under, *(["".join(below)] if all(len(b) == 1 for b in below) and below else below)])
        shown = (base if inner else bare) + (f"_{{{subs}}}" if subs else "")
        left, right = "[]" if self.style.layers == "bracket" else "()"
        return f"{{{shown}^{{{left}{', '.join(above)}{right}}}}}" if above else shown

    def big_max(self, op: str, letters: list[str], body: str) -> str:
        return rf"\{op}_{{{', '.join(letters)}}} {body}"

    def kronecker(self, a: str, b: str) -> str:
        return rf"\delta_{{{a}{b}}}" if len(a.rstrip("'")) == len(b.rstrip("'")) == 1 else rf"\delta_{{{a},{b}}}"

    def relation(self, op: str) -> str:
        return {">=": r"\ge", "<=": r"\le", "==": "=", "!=": r"\ne"}.get(op, op)

    def cases(self, yes: str, condition: str, no: str) -> str:
        return rf"\begin{{cases}} {yes} & {condition} \\ {no} & \text{{{say('otherwise', self.lang)}}} \end{{cases}}"

    def absolute(self, inner: str) -> str:
        return rf"\left\lvert {inner} \right\rvert"

    def inverse(self, inner: str, transposed: bool = False) -> str:
        if transposed and self.style.transpose == "prime":
            return rf"{self.bracket(inner + '^{-1}')}^{{\prime}}"
        return f"{inner}^{{-{self.raised}}}" if transposed else f"{inner}^{{-1}}"

    def slice(self, name: str, pattern: list[str]) -> str:
        return f"{{{name}}}_{{[{','.join(_from_one(p) for p in pattern)}]}}"

    def product(self, parts: list[str]) -> str:
        return _side_by_side(parts, self.dot)

    def member(self, name: str, shape: str) -> str:
        """A name and the space it lives in."""
        return rf"{name} \in \mathbb{{R}}" + (f"^{{{shape}}}" if shape else "")

    def slope_at_zero(self, function: str) -> str:
        return rf"{function}'(0) = 0"

    def scientific(self, number: str) -> str:
        """`3e-16` as 3·10⁻¹⁶."""
        digits, e, exponent = number.partition("e")
        if digits == "0":
            return "0"
        return rf"{digits} \cdot 10^{{{int(exponent)}}}" if e else digits

    def inline(self, formula: str) -> str:
        """A formula inside a sentence."""
        return f"{MATH}{formula}{CLOSE}"

    def code(self, text: str) -> str:
        """What the user wrote, as it stands in a sentence."""
        return f"{CODE}{bare(text)}{CLOSE}"

    def spaced(self, formula: str) -> str:
        """Thin spaces around upright words and masks, which would run into their neighbours; and one
        place above a letter for all that stands there: W^{(1)\\top}, W^{(1)}_{ij}, (a^{(1)})^2."""
        formula = _BRACED.sub(r"\1", _TWICE.sub(self._once, _TWICE.sub(self._once, formula)))
        formula = _BEFORE.sub(lambda m: m[0] if m[1] in _RELATIONS else m[1] + r"\,", formula)
        formula = _MOVED.sub(r"\1\\,", formula)
        return _AFTER.sub(r"\1\\,", formula)

    def _once(self, m: re.Match[str]) -> str:
        base, above, sign, more = m[1], m[2], m[3], m[4]
        if sign == "_":
            return f"{{{base}_{{{more}}}^{{{above}}}}}"
        return f"{base}^{{{above}{more}}}" if more == self.raised else rf"\left({base}^{{{above}}}\right)^{{{more}}}"


class Unicode:
    """Unicode text for the terminal."""

    name = "unicode"
    times, minus, one = " · ", "−", "𝟏"
    sum, partial, infinity, dot = "Σ", "∂", "∞", " · "
    dots = "⋯"

    blank = "____________________"

    def __init__(self, custom: Mapping[str, str] | None = None, style: Style = USUAL, lang: str = "en") -> None:
        self.lang = lang
        self.style = style
        self.odot = {"odot": "⊙", "circ": "∘"}[style.product]
        self.raised = {"top": "ᵀ", "T": "^T", "prime": "′"}[style.transpose]

    def mark(self, text: str, role: str) -> str:
        return f"{ROLES[role]}{text}{END}" if role in ROLES else text

    def word(self, text: str) -> str:
        return GREEK.get(text, text)

    def tensor(self, name: str, bold: bool = False) -> str:
        parts = parse_name(name)
        base = self.word(parts.base)
        if bold and self.style.bold == "yes" and len(base) == 1:
            base = bold_letter(base)
        if parts.accent and len(base) == 1:
            import unicodedata

            base = unicodedata.normalize("NFC", base + ACCENTS[parts.accent][1])
        elif parts.accent:
            base += "_" + parts.accent
        layer, subs = layer_of(parts, self.style)
        for n, s in enumerate(subs):
            digits = s.isdigit()
            base += s.translate(SUBSCRIPT) if digits and not (n and subs[n - 1].isdigit()) else "_" + self.word(s)
        return base + (f"^{layer}" if self.style.layers == "bracket" and layer else layer.translate(SUPERSCRIPT))

    def transposed(self, base: str) -> str:
        return base + self.raised

    def subscripted(self, name: str, indices: list[str], simple: bool) -> str:
        return f"{name}[{','.join(indices)}]" if indices else name

    def delta(self, inner: str, indices: str = "") -> str:
        whole = f"d{inner}" if self.style.gradient == "d" else f"δ_{inner}"
        return f"{whole}[{indices}]" if indices else whole

    def differential(self, of: str) -> str:
        return f"d{of}"

    def gradient(self, loss: str, of: str) -> str:
        if self.style.gradient == "nabla":
            return f"∇_{of} {loss}"
        return self.delta(of) if self.style.gradient == "d" else self.derivative(loss, of)

    def derivative(self, loss: str, of: str) -> str:
        return f"∂{loss}/∂{of}"

    def along(self, derivative: str, via: str) -> str:
        return f"{derivative}|{via}"

    def second_derivative(self, loss: str, of: str, by: str) -> str:
        return f"∂²{loss}/∂{of} ∂{by}"

    def fraction(self, top: str, bottom: str) -> str:
        return f"{top}/{bottom}"

    def power(self, base: str, exponent: str, elementwise: bool) -> str:
        if re.fullmatch(r"-?\d+", exponent):
            return base + exponent.translate(SUPERSCRIPT)
        return f"{base}^{exponent}" if re.fullmatch(r"\w+", plain(exponent)) else f"{base}^({exponent})"

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
        return say("if-else", self.lang, yes, condition, no)

    def absolute(self, inner: str) -> str:
        return f"|{inner}|"

    def inverse(self, inner: str, transposed: bool = False) -> str:
        return inner + ("⁻¹" if not transposed else "⁻ᵀ" if self.style.transpose != "prime" else "⁻¹′")

    def slice(self, name: str, pattern: list[str]) -> str:
        return f"{name}[{', '.join(pattern)}]"

    def product(self, parts: list[str]) -> str:
        return _side_by_side(parts, self.dot)

    def member(self, name: str, shape: str) -> str:
        return f"{name} ({shape})" if shape else name

    def slope_at_zero(self, function: str) -> str:
        return f"{function}'(0) = 0"

    def scientific(self, number: str) -> str:
        return number

    def inline(self, formula: str) -> str:
        return f"{MATH}{formula}{CLOSE}"

    def code(self, text: str) -> str:
        return f"{CODE}{bare(text)}{CLOSE}"

    def spaced(self, formula: str) -> str:
        return formula


Alphabet = Latex | Unicode
