"""Safe names for SymPy objects: identifiers inside, the user's LaTeX outside.

A SymPy name may hold anything. What is an identifier is kept; `\\hat{y}_1` becomes `hat_y_1` and keeps
its LaTeX where that is made of letters, scripts, accents and Greek only; what is left with no
letter is refused. One object, one name: two that differ and are written alike are an error.
"""

from __future__ import annotations

import re
from typing import Any

import sympy as sp

from symbp.errors import DeclarationError
from symbp.read.names import name_problem

Sym = Any
KEYWORDS = {
    "lambda": "lam",
    "in": "in_",
    "is": "is_",
    "as": "as_",
    "if": "if_",
    "or": "or_",
    "and": "and_",
    "not": "not_",
    "del": "del_",
}
LATEX = re.compile(r"[A-Za-z0-9\\{}_^,()'+\- ]+\Z")
COMMANDS = {
    "mathbf", "mathrm", "mathcal", "mathbb", "mathsf", "boldsymbol", "hat", "bar", "tilde", "dot", "vec", "overline",
    "widehat", "widetilde", "text", "prime", "ell", "top", "star", "ast", "varepsilon", "vartheta", "varphi", "varrho",
    "varsigma", "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta",
    "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
}  # fmt: skip


class Names:
    """Safe names for SymPy objects, one each."""

    def __init__(self) -> None:
        self.of_symbol: dict[Sym, str] = {}
        self.of_text: dict[str, Sym] = {}
        self.latex: dict[str, str] = {}

    def __call__(self, symbol: Sym) -> str:
        found = self.of_symbol.get(symbol)
        if found is not None:
            return found
        written = str(getattr(symbol, "label", symbol) if isinstance(symbol, sp.IndexedBase) else symbol.name)
        name = safe_name(written)
        other = self.of_text.get(name)
        if other is not None and str(other) == written:
            raise DeclarationError(_twins(symbol, other, written))
        stem, n = name, 2
        while name in self.of_text:
            name, n = f"{stem}_{n}", n + 1
        self.of_text[name] = symbol
        self.of_symbol[symbol] = name
        if name != written and is_plain_latex(written):
            self.latex[name] = f"{{{written}}}" if "^" in written else written  # x^{(1)} squared needs the braces
        return name


def _twins(a: Sym, b: Sym, name: str) -> str:
    if all(isinstance(x, sp.MatrixSymbol) for x in (a, b)):
        shapes = " and ".join(str(x.shape) for x in (b, a))
        return f"two matrices are called {name}, with the shapes {shapes}"
    kinds = {sp.MatrixSymbol: "a matrix", sp.IndexedBase: "an indexed array"}
    first, second = (next((k for c, k in kinds.items() if isinstance(x, c)), "a symbol") for x in (b, a))
    if first == second:
        return f"two different objects are called {name}: {first} each, with different assumptions or shapes"
    return f"two different objects are called {name}: {first} and {second}"


def safe_name(written: str) -> str:
    """The name as an identifier: `\\hat{y}_1` is hat_y_1; an error where nothing is left."""
    if not name_problem(written) and written.isidentifier():
        return KEYWORDS.get(written, written)
    name = re.sub(r"[^\w]+", "_", written.replace("\\", "_")).strip("_")
    name = re.sub(r"__+", "_", name)
    if name and name[0].isdigit():
        name = "n" + name
    problem = name_problem(name) if name else "nothing of it is a letter or a digit"
    if problem:
        raise DeclarationError(f"the symbol {written[:80]!a} has a name that symbp cannot use: {problem}")
    return KEYWORDS.get(name, name)


def is_plain_latex(written: str) -> bool:
    """May the name be printed in LaTeX as it is? Letters, scripts, accents and Greek only."""
    if len(written) > 60 or not LATEX.match(written) or not re.search(r"[\\{^]", written):
        return False
    depth = 0
    for c in written:
        depth += (c == "{") - (c == "}")
        if depth < 0:
            return False
    commands = re.findall(r"\\([A-Za-z]+|.|$)", written)
    return depth == 0 and all(c in COMMANDS for c in commands)
