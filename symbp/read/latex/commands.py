"""The LaTeX commands that a formula may use, by what they do. A command that is not here is unknown.

Values: the symbol as it is called afterwards (`\\geq` and `\\ge` are both `>=`).
"""

# ruff: noqa: SIM905
from __future__ import annotations

LETTERS = frozenset(
    r"""alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi omicron pi varpi
    rho varrho sigma varsigma tau upsilon phi varphi chi psi omega digamma Gamma Delta Theta Lambda Xi Pi Sigma
    Upsilon Phi Psi Omega varGamma varDelta varTheta varLambda varXi varPi varSigma varPhi varPsi varOmega ell hbar
    imath jmath infty forall exists top intercal transp emptyset varnothing aleph square dagger ddagger diamond star
    bigstar sharp flat checkmark""".split()
)
SAME_LETTER = {"varnothing": "emptyset", "transp": "top", "imath": "i", "jmath": "j"}

FONTS = {
    "mathbf": "bf", "bold": "bf", "boldsymbol": "bf", "bm": "bf", "pmb": "bf", "symbf": "bf", "vb": "bf",
    "mathbfit": "bf", "mathrm": "rm", "rm": "rm", "mathnormal": "it", "mathit": "it", "mathsf": "sf", "mathtt": "tt",
    "mathcal": "cal", "cal": "cal", "mathscr": "cal", "mathfrak": "frak", "mathbb": "bb", "mathds": "bb", "Bbb": "bb",
    "bf": "bf", "it": "it", "sf": "sf", "tt": "tt", "mathbbm": "bb", "symup": "rm", "bfseries": "bf",
}  # fmt: skip
SWITCHES = frozenset("""rm bf it sf tt cal bfseries""".split())
TEXTS = frozenset(
    """text textrm textbf textit texttt textsf textnormal mbox hbox operatorname operatorname* mathop mathrm mathsf
    mathtt mathit mathbf bold boldsymbol bm mathcal""".split()
)

FUNCTIONS = frozenset(
    r"""log ln exp sin cos tan sinh cosh tanh coth sec csc cot arcsin arccos arctan max min sup inf det lim arg deg dim
    gcd hom ker Pr lg sech csch arctanh argmax argmin sgn sign tr Tr trace diag Diag softmax sigmoid relu ReLU rank
    vec erf abs norm logsumexp softplus lse""".split()
)
BIG = {
    "sum": "sum", "prod": "prod", "coprod": "coprod", "bigodot": "odot", "int": "int", "iint": "int", "oint": "int",
    "bigcup": "cup", "bigcap": "cap", "bigoplus": "oplus", "bigotimes": "otimes", "smallsum": "sum",
}  # fmt: skip
DOTS = frozenset("""dots ldots cdots vdots ddots dotsc dotsb dotsm dotso hdots iddots mathellipsis""".split())
OPERATORS = {
    "cdot": "cdot", "times": "times", "odot": "odot", "circ": "circ", "bullet": "bullet", "otimes": "otimes",
    "ast": "*", "oslash": "oslash", "div": "/", "star": "*", "cdotp": "cdot", "hadamard": "odot",
    "circledast": "conv", "bigcirc": "circ", "cap": "cap", "cup": "cup", "setminus": "setminus", "wedge": "wedge",
    "vee": "vee", "land": "wedge", "lor": "vee", "mod": "mod", "bmod": "mod", "boxtimes": "otimes", "boxdot": "odot",
    "centerdot": "cdot",
}  # fmt: skip
SIGNS = {"pm": "pm", "mp": "mp", "oplus": "oplus", "ominus": "ominus"}
RELATIONS = {
    "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "ne": "!=", "neq": "!=",
    "lt": "<", "gt": ">", "in": "in", "notin": "notin", "ni": "ni", "equiv": ":=", "triangleq": ":=",
    "coloneqq": ":=", "coloneq": ":=", "doteq": ":=", "approx": "approx", "approxeq": "approx", "simeq": "approx",
    "cong": "approx", "sim": "sim", "propto": "propto", "mid": "mid", "colon": ":", "ll": "<", "gg": ">",
    "subset": "subset", "subseteq": "subset", "supset": "subset", "perp": "perp", "parallel": "parallel",
    "eqqcolon": "=", "leftarrow": "gets", "gets": "gets", "longleftarrow": "gets", "Leftarrow": "gets", "prec": "<",
    "succ": ">", "models": "mid", "defeq": ":=",
}  # fmt: skip
ARROWS = frozenset(
    r"""Rightarrow implies iff to rightarrow longrightarrow Longrightarrow Leftrightarrow leftrightarrow mapsto
    longmapsto leadsto Longleftrightarrow hookrightarrow therefore because""".split()
)
OPENING = {
    "(": "(", "[": "[", "langle": "<", "lfloor": "floor", "lceil": "ceil", "lbrace": "{", "lbrack": "[", "lvert": "|",
    "lVert": "||", "llbracket": "[", "{": "{", "lparen": "(", "lgroup": "(",
}  # fmt: skip
CLOSING = {
    ")": ")", "]": "]", "rangle": ">", "rfloor": "floor", "rceil": "ceil", "rbrace": "}", "rbrack": "]", "rvert": "|",
    "rVert": "||", "rrbracket": "]", "}": "}", "rparen": ")", "rgroup": ")",
}  # fmt: skip
BARS = {"vert": "|", "Vert": "||", "|": "||"}
SIZING = {
    **dict.fromkeys(("big", "Big", "bigg", "Bigg"), ""),
    **{s + "l": "open" for s in ("big", "Big", "bigg", "Bigg")},
    **{s + "r": "close" for s in ("big", "Big", "bigg", "Bigg")},
    **{s + "m": "mid" for s in ("big", "Big", "bigg", "Bigg")},
    "left": "open", "right": "close", "middle": "mid",
}  # fmt: skip

FRACTIONS = {
    "frac": "frac", "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "smallfrac": "frac", "sfrac": "frac",
    "nicefrac": "frac", "binom": "binom", "overset": "over", "underset": "under", "stackrel": "over",
    "dbinom": "binom", "tbinom": "binom",
}  # fmt: skip
ACCENTS = {
    "hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "widebar": "bar", "tilde": "tilde",
    "widetilde": "tilde", "vec": "", "dot": "dot", "ddot": "ddot", "check": "check", "breve": "breve",
    "acute": "acute", "grave": "grave", "mathring": "ring", "underline": "", "underbrace": "brace",
    "overbrace": "brace", "sqrt": "sqrt", "boxed": "", "fbox": "", "cancel": "", "bcancel": "", "xcancel": "",
    "substack": "substack", "overrightarrow": "", "underbar": "", "uline": "", "ensuremath": "", "mathstrut": "",
    "mathopen": "", "mathclose": "", "mathbin": "", "mathord": "", "mathinner": "", "smash": "", "overleftarrow": "",
}  # fmt: skip

DROPPED = frozenset(
    r"""displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits nonumber notag , ; : ! > / space thinspace
    medspace thickspace negthinspace negmedspace negthickspace enspace enskip relax tiny small scriptsize
    footnotesize normalsize large Large LARGE huge Huge strut mathstrut hfill hfil noindent centering allowbreak
    nobreak displaylimits par hline boldmath unboldmath normalfont rmfamily qed qedhere footnotemark protect bigskip
    medskip toprule midrule bottomrule""".split()
)
DROPPED_WITH_ARGUMENT = frozenset(
    """label tag tag* ref eqref hspace hspace* vspace vspace* color cite footnote footnotetext mspace""".split()
)
DROPPED_FIRST_ARGUMENT = frozenset("textcolor colorbox mathcolor".split())
MARKERS = frozenset("underline uline cancel bcancel xcancel".split())
OVERLAYS = frozenset("only onslide uncover visible alert pause".split())
LENGTHS = frozenset("kern mkern mskip hskip vskip".split())
PHANTOMS = frozenset("phantom hphantom vphantom".split())
SEPARATORS = frozenset("quad qquad".split())

# What a formula has no business with: named in the message, so that nobody thinks it was run.
DANGEROUS = frozenset(
    r"""input include InputIfFileExists IfFileExists verbatiminput lstinputlisting catcode openin openout read write
    immediate ShellEscape directlua special pdfobj includegraphics includepdf href url class style cssId unicode
    csname endcsname edef xdef gdef loop repeat iftrue iffalse expandafter newwrite newread closeout closein
    usepackage documentclass""".split()
)
DEFINING = frozenset(
    """newcommand renewcommand providecommand def DeclareMathOperator DeclareRobustCommand newcommand* renewcommand*
    DeclareMathOperator* providecommand*""".split()
)

ALIGNING = frozenset(
    """align align* aligned alignat alignat* alignedat eqnarray eqnarray* split gather gather* gathered multline
    multline* flalign flalign* equation equation* displaymath math IEEEeqnarray IEEEeqnarray* subequations dmath
    dmath* empheq""".split()
)
MATRICES = frozenset(
    """matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix array cases dcases rcases drcases matrix* pmatrix*
    bmatrix* psmallmatrix bsmallmatrix cases* tabular""".split()
)

UNICODE = {
    "∂": r"\partial ", "∇": r"\nabla ", "⊙": r"\odot ", "∘": r"\circ ", "·": r"\cdot ", "⋅": r"\cdot ",
    "•": r"\bullet ", "×": r"\times ", "⊗": r"\otimes ", "∗": "*", "−": "-", "–": "-", "—": "-", "＋": "+", "－": "-",
    "＝": "=", "（": "(", "）": ")", "［": "[", "］": "]", "，": ",", "、": ",", "；": ";", "：": ":", "。": ".",
    "′": "'",
    "″": "''", "’": "'", "ᵀ": "^T", "ᵗ": "^T", "⊤": r"\top ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "≈": r"\approx ", "≡": r"\equiv ", "∈": r"\in ", "∉": r"\notin ", "∑": r"\sum ", "∏": r"\prod ", "√": r"\sqrt ",
    "∞": r"\infty ", "→": r"\to ", "⇒": r"\Rightarrow ", "←": r"\leftarrow ", "↦": r"\mapsto ", "∀": r"\forall ",
    "∝": r"\propto ", "±": r"\pm ", "‖": r"\|", "∥": r"\|", "⟨": r"\langle ", "⟩": r"\rangle ", "ℓ": r"\ell ",
    "…": r"\dots ", "⋯": r"\cdots ", "ℝ": r"\mathbb{R}", "ℒ": r"\mathcal{L}", "∣": r"\mid ", "÷": "/", "⁄": "/",
    "\u00a0": " ", "\u2009": " ", "\u200a": " ", "\u202f": " ", "\u3000": " ", "½": r"\frac12 ", "¼": r"\frac14 ",
    "⁻": "^-", "≔": ":=", "≜": ":=", "∙": r"\cdot ", "⊘": r"\oslash ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
    "𝟙": r"\mathbb{1}", "𝟏": r"\mathbf{1}", "¹": "^1", "²": "^2", "³": "^3", "⁰": "^0", "⁴": "^4", "⁵": "^5",
    "⁶": "^6", "⁷": "^7", "⁸": "^8", "⁹": "^9", "₀": "_0", "₁": "_1", "₂": "_2", "₃": "_3", "₄": "_4", "₅": "_5",
    "₆": "_6", "₇": "_7", "₈": "_8", "₉": "_9", "ᵢ": "_i", "ⱼ": "_j", "ₖ": "_k", "ₙ": "_n", "ₘ": "_m", "ₗ": "_l",
    "ₜ": "_t", "ˡ": "^l", "ⁱ": "^i", "ʲ": "^j", "ᵏ": "^k", "ⁿ": "^n", "ᴸ": "^L", "⁺": "^+", "ₚ": "_p", "ₛ": "_s",
    "ₓ": "_x",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon varphi chi psi omega"
)
UNICODE |= {chr(0x3B1 + n): rf"\{name} " for n, name in enumerate(_GREEK.split())}
_OTHERS = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega epsilon vartheta phi varpi varrho mu"
UNICODE |= {c: rf"\{name} " for c, name in zip("ΓΔΘΛΞΠΣΥΦΨΩϵϑϕϖϱµ", _OTHERS.split(), strict=True)}
COMBINING = {
    "\u0302": "hat",
    "\u0304": "bar",
    "\u0303": "tilde",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u20d7": "vec",
    "\u030c": "check",
}
