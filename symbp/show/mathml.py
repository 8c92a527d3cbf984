"""A formula as MathML Core, which browsers draw without a script.

What Chromium does not draw is kept out: bold and calligraphic letters are code points of their own, columns are
aligned by the page's style sheet. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from symbp.show.tex import (
    BINARY,
    FUNCTIONS,
    LARGE,
    SPACES,
    WORDS,
    Command,
    Fence,
    Grid,
    Group,
    Part,
    Scripts,
    Symbol,
    height,
    read,
)

THIN = '<mspace width="0.17em"/>'
LOW = 1.25  # lines: around what is no higher, brackets keep their size
GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "varpi": "ϖ", "rho": "ρ", "varrho": "ϱ", "sigma": "σ", "varsigma": "ς", "tau": "τ", "upsilon": "υ",
    "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
LETTERS = {"ell": "ℓ", "hbar": "ℏ", "partial": "∂", "infty": "∞", "nabla": "∇"}
OPERATORS = {
    "odot": "⊙", "circ": "∘", "cdot": "·", "times": "×", "otimes": "⊗", "pm": "±", "le": "≤", "ge": "≥", "ne": "≠",
    "in": "∈", "dots": "…", "leftarrow": "←", "rightarrow": "→", "to": "→", "approx": "≈", "top": "⊤", "prime": "′",
    "star": "⋆", "bot": "⊥", "ast": "∗", "dagger": "†", "sum": "∑", "prod": "∏", "int": "∫", "cdots": "⋯", "ldots": "…",
    "vdots": "⋮", "ddots": "⋱", "lvert": "|", "rvert": "|", "lVert": "‖", "rVert": "‖", "langle": "⟨", "rangle": "⟩",
    "{": "{", "}": "}", "|": "‖", "_": "_",
}  # fmt: skip
ACCENTS = {
    "hat": "^", "widehat": "^", "tilde": "~", "widetilde": "~", "bar": "¯", "overline": "¯", "vec": "→", "dot": "˙",
    "ddot": "¨", "check": "ˇ", "breve": "˘", "acute": "´", "grave": "`", "mathring": "˚",
}  # fmt: skip
_SPECIAL = {
    "mathcal": dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ")) | dict(zip("ego", "ℯℊℴ")),
    "mathbb": dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ")),
    "mathfrak": dict(zip("CHIRZ", "ℭℌℑℜℨ")),
}
_STARTS = {  # code points of A, a and 0 in each alphabet
    "mathbf": (0x1D400, 0x1D41A, 0x1D7CE),
    "boldsymbol": (0x1D468, 0x1D482, 0x1D7CE),
    "mathcal": (0x1D49C, 0x1D4B6, 0),
    "mathscr": (0x1D49C, 0x1D4B6, 0),
    "mathbb": (0x1D538, 0x1D552, 0x1D7D8),
    "mathfrak": (0x1D504, 0x1D51E, 0),
    "mathsf": (0x1D5A0, 0x1D5BA, 0x1D7E2),
    "mathtt": (0x1D670, 0x1D68A, 0x1D7F6),
}


def mathml(text: str, display: bool = False, lead: str = "") -> str:
    """A `<math>` element of a formula in LaTeX; `lead` is a relation in front of it."""
    tree = read(text)
    parts = (Symbol(lead), *tree.parts) if lead else tree.parts
    style = ' displaystyle="true"' if display else ""
    return f"<math{style}>{_row(Group(parts))}</math>"


def spoken(part: Part) -> str:
    """A formula in one line of letters, for those to whom a page is read."""
    match part:
        case Symbol(text):
            name = text[1:]
            known = {**OPERATORS, **LETTERS, **GREEK}
            return known.get(name, name) if text.startswith("\\") and name.isalpha() else "" if text in SPACES else text
        case Group(parts):
            return "".join(map(spoken, parts))
        case Command("frac", (top, bottom)):
            return f"{spoken(top)}/{spoken(bottom)}"
        case Command(_, args, word):
            return word if word else "".join(map(spoken, args))
        case Scripts(base, below, above):
            under = f"_{spoken(below)}" if below is not None else ""
            over = "" if above is None else spoken(above) if above in PRIMES else f"^{spoken(above)}"
            return spoken(base) + under + over
        case Fence(left, body, right):
            return OPERATORS.get(left[1:], left) + spoken(body) + OPERATORS.get(right[1:], right)
        case Grid(_, rows):
            return "; ".join(", ".join(map(spoken, r)) for r in rows)
    raise AssertionError(type(part))


def _row(part: Part) -> str:
    """One element, whatever the part is."""
    if isinstance(part, Group) and (len(part.parts) != 1 or part.marked):
        name = ' class="new"' if part.marked else ""
        return f"<mrow{name}>{''.join(_elements(part.parts))}</mrow>"
    return _element(part.parts[0] if isinstance(part, Group) else part)


def _elements(parts: Sequence[Part]) -> Iterator[str]:
    """The parts in a row; digits that follow each other are one number."""
    digits = ""
    for n, p in enumerate(parts):
        if isinstance(p, Symbol) and (p.text.isdigit() or (p.text == "." and digits)):
            digits += p.text
            continue
        if isinstance(p, Scripts) and isinstance(p.base, Symbol) and p.base.text.isdigit() and digits:
            p, digits = Scripts(Symbol(digits + p.base.text), p.below, p.above), ""
        if digits:
            yield f"<mn>{digits}</mn>"
            digits = ""
        first = n == 0 or (isinstance(parts[n - 1], Symbol) and _is_sign(parts[n - 1]))
        function = _is_function(p)
        if function and not first:
            yield THIN
        yield _element(p, first)
        if function and n + 1 < len(parts) and not isinstance(parts[n + 1], Fence):
            yield THIN
    if digits:
        yield f"<mn>{digits}</mn>"


def _is_function(part: Part) -> bool:
    """log, max_k: a word that needs a thin space on both sides."""
    base = part.base if isinstance(part, Scripts) else part
    return isinstance(base, Symbol) and base.text in FUNCTIONS


def _is_sign(part: Part) -> bool:
    return isinstance(part, Symbol) and (part.text in BINARY or part.text in "=<>(,[")


def _element(part: Part, first: bool = False) -> str:
    match part:
        case Symbol(text):
            return _symbol(text, first)
        case Group():
            return _row(part)
        case Command("frac", (top, bottom)):
            return f"<mfrac>{_row(top)}{_row(bottom)}</mfrac>"
        case Command("sqrt", (inner,)):
            return f"<msqrt>{_row(inner)}</msqrt>"
        case Command(name, args, word):
            return _command(name, args, word)
        case Scripts(base, below, above):
            return _scripts(base, below, above)
        case Fence(left, body, right):
            tall = height(body) > LOW
            return f"<mrow>{_bracket(left, 'prefix', tall)}{_row(body)}{_bracket(right, 'postfix', tall)}</mrow>"
        case Grid(kind, rows):
            return _grid(kind, rows)
    raise AssertionError(type(part))


def _symbol(text: str, first: bool) -> str:
    name = text[1:]
    if text in SPACES:
        return f'<mspace width="{SPACES[text]:.2f}em"/>'
    if text in FUNCTIONS:
        return f"<mi>{name}</mi>"
    if text.startswith("\\") and name in GREEK:
        variant = ' mathvariant="normal"' if name[0].isupper() else ""
        return f"<mi{variant}>{GREEK[name]}</mi>"
    if text.startswith("\\") and name in LETTERS:
        return f'<mi mathvariant="normal">{LETTERS[name]}</mi>' if name != "ell" else "<mi>ℓ</mi>"
    if text in (r"\top", r"\prime", r"\star", r"\ast", r"\dagger", r"\bot", "'"):
        return f'<mi mathvariant="normal">{"′" if text == chr(39) else OPERATORS[name]}</mi>'
    if text.startswith("\\") and name in OPERATORS:
        return f"<mo>{escape(OPERATORS[name])}</mo>"
    if text == "-":
        return '<mo form="prefix" lspace="0" rspace="0">−</mo>' if first else "<mo>−</mo>"
    if text.isdigit():
        return f"<mn>{text}</mn>"
    if text.isalpha():
        return f"<mi>{escape(text)}</mi>"
    if text in "()[]|":
        return f'<mo stretchy="false" lspace="0" rspace="0">{escape(text)}</mo>'
    return f"<mo>{escape(text.removeprefix(chr(92)))}</mo>"


def _command(name: str, args: tuple[Part, ...], word: str) -> str:
    if name == "hspace":
        return f'<mspace width="{escape(word)}"/>'
    if name in ("text", "textrm", "textit", "textbf"):
        return f"<mtext>{escape(word)}</mtext>"
    if name == "texttt":
        return f'<mtext class="code">{escape(word)}</mtext>'
    if name in WORDS:
        shown = "".join(_styled(c, "mathtt") for c in word) if name == "mathtt" else word.replace("\\_", "_")
        return f'<mi mathvariant="normal">{escape(shown)}</mi>'
    inner = args[0]
    if name in ACCENTS:
        stretchy = "true" if name in ("widehat", "widetilde", "overline") else "false"
        return f'<mover accent="true">{_row(inner)}<mo stretchy="{stretchy}">{ACCENTS[name]}</mo></mover>'
    if name == "underline" and isinstance(inner, Group) and isinstance(inner.parts[0], Command):
        return f'<mrow class="blank">{_row(inner)}</mrow>'
    if name == "underline":
        return f'<mrow class="new">{_row(inner)}</mrow>'
    return _restyled(inner, name)


def _restyled(part: Part, name: str) -> str:
    """Letters of \\mathbf{...} and its kin."""
    match part:
        case Group(parts):
            return "".join(_restyled(p, name) for p in parts)
        case Symbol(text) if name == "mathrm":
            return f'<mi mathvariant="normal">{escape(text)}</mi>'
        case Symbol(text):
            letter = GREEK.get(text[1:], text)
            tag = "mn" if letter.isdigit() else "mi"
            return f"<{tag}>{escape(_styled(letter, name))}</{tag}>"
    return _element(part)


def _styled(letter: str, name: str) -> str:
    """A letter in another alphabet of Unicode, or as it is."""
    special = _SPECIAL.get("mathcal" if name == "mathscr" else name, {}).get(letter)
    if special:
        return special
    if name in ("boldsymbol", "mathbf", "pmb") and "α" <= letter <= "ω":
        return chr((0x1D736 if name != "mathbf" else 0x1D6C2) + ord(letter) - ord("α"))
    if name in ("boldsymbol", "mathbf", "pmb") and "Α" <= letter <= "Ω":
        return chr(0x1D6A8 + ord(letter) - ord("Α"))
    upper, lower, digit = _STARTS.get("boldsymbol" if name == "pmb" else name, (0, 0, 0))
    for start, first, last in ((upper, "A", "Z"), (lower, "a", "z"), (digit, "0", "9")):
        if start and first <= letter <= last:
            return chr(start + ord(letter) - ord(first))
    return letter


_PRIME, _HIGH = Symbol("'"), '<mo lspace="0" rspace="0">′</mo>'
PRIMES: dict[Part, int] = {
    _PRIME: 1, Symbol(r"\prime"): 1, Group((Symbol(r"\prime"),)): 1, Group((_PRIME, _PRIME)): 2,
}  # fmt: skip


def _scripts(base: Part, below: Part | None, above: Part | None) -> str:
    large = isinstance(base, Symbol) and base.text in LARGE
    core = _row(base)
    if large and isinstance(base, Symbol) and base.text in (r"\sum", r"\prod"):
        core = f'<mo movablelimits="false">{OPERATORS[base.text[1:]]}</mo>'
    if below is None and above is None:
        return core
    if below is None:
        assert above is not None
        if above in PRIMES:  # the sign is small and stands high already
            return f"<mrow>{core}{_HIGH * PRIMES[above]}</mrow>"
        return f"<{'mover' if large else 'msup'}>{core}{_row(above)}</{'mover' if large else 'msup'}>"
    if above is None:
        return f"<{'munder' if large else 'msub'}>{core}{_row(below)}</{'munder' if large else 'msub'}>"
    tag = "munderover" if large else "msubsup"
    return f"<{tag}>{core}{_row(below)}{_row(above)}</{tag}>"


def _bracket(sign: str, form: str, tall: bool = True) -> str:
    shown = OPERATORS.get(sign[1:], sign) if sign.startswith("\\") else sign  # | is one bar, \\| are two
    if shown == ".":
        return ""
    grows = "true" if tall else "false"
    return f'<mo fence="true" form="{form}" stretchy="{grows}" lspace="0" rspace="0">{escape(shown)}</mo>'


_AROUND = {"cases": ("{", "."), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "vmatrix": ("|", "|")}


def _grid(kind: str, rows: tuple[tuple[Part, ...], ...]) -> str:
    left, right = _AROUND.get(kind, (".", "."))
    body = "".join("<mtr>" + "".join(f"<mtd>{_row(c)}</mtd>" for c in r) + "</mtr>" for r in rows)
    name = escape(kind) if kind in _AROUND else "grid"
    table = f'<mtable class="{name}">{body}</mtable>'
    return f"<mrow>{_bracket(left, 'prefix')}{table}{_bracket(right, 'postfix')}</mrow>"
