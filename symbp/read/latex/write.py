"""Trees of claims as LaTeX, in the student's own symbols: for the line that would be right.

Every leaf carries how it was written (`text`), every operation how it was marked; what the student did not write
comes in the network's own LaTeX names. The text reads back to a tree of the same value. What has no such text
raises `NoLatex`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from symbp.claim import Tree
from symbp.show.alphabet import GREEK, Latex

COMPARISON, SUM, PRODUCT, ATOM = range(4)
Shape = Callable[[Tree], tuple[tuple[str, ...], tuple[int, ...]]]

_FUNCTIONS = {
    "exp": r"\exp", "log": r"\log", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "sinh": r"\sinh",
    "cosh": r"\cosh", "tanh": r"\tanh", "arctan": r"\arctan", "sigmoid": r"\sigma", "maximum": r"\max",
    "minimum": r"\min", "max": r"\max", "min": r"\min", "det": r"\det", "trace": r"\operatorname{tr}",
    "sign": r"\operatorname{sgn}", "relu": r"\mathrm{ReLU}",
}  # fmt: skip
_RELATIONS = {">=": r"\ge", "<=": r"\le", "==": "=", "!=": r"\ne"}


class NoLatex(ValueError):
    """The tree has no LaTeX that could be read back."""


class Writer:
    """Writes trees of one network; `like` is the student's own formula, whose habits are kept."""

    def __init__(
        self,
        latex: Mapping[str, str] | None = None,
        loss: str = "L",
        shape: Shape | None = None,
        like: Tree | None = None,
    ) -> None:
        self.names, self.loss, self.shape = Latex(latex), loss, shape
        marks: Counter[str] = Counter()
        odots: Counter[str] = Counter()
        self.spelled: dict[tuple[str, str], str] = {}
        for t in like.walk() if like is not None else ():
            if t.op == "transpose" and t.data:
                marks[t.data] += 1
            elif t.op == "product" and t.data[1] in (r"\odot", r"\circ", r"\bullet", "*"):
                odots[t.data[1]] += 1
            elif t.op in ("name", "gradient") and t.data[1] not in (t.data[0], "d" + t.data[0]):
                self.spelled.setdefault((t.op, t.data[0]), t.data[1])
        self.top = marks.most_common(1)[0][0] if marks else r"^{\top}"
        self.odot = odots.most_common(1)[0][0] if odots else r"\odot"

    def text(self, tree: Tree) -> str:
        """The tree in LaTeX; raises NoLatex."""
        return self._piece(tree)[0]

    def _at(self, tree: Tree, level: int) -> str:
        text, own = self._piece(tree)
        return text if own >= level else _bracketed(text)

    def _piece(self, tree: Tree) -> tuple[str, int]:
        match tree.op:
            case "number":
                return self._number(*tree.data)
            case "name":
                return self._name(*tree.data), ATOM
            case "gradient":
                return self._gradient(*tree.data), ATOM
            case "jacobian":
                of, wrt, text = tree.data
                return text or rf"\frac{{\partial {self._name(of, of)}}}{{\partial {self._name(wrt, wrt)}}}", ATOM
            case "letter":
                return tree.data[0], ATOM
            case "alias":
                return tree.data, ATOM if _closed(tree.data) else PRODUCT
            case "sum":
                return self._sum(tree)
            case "product":
                return self._product(tree)
            case "chain":
                return self._juxtaposed(
                    [
                        self._at(a, ATOM if self._is_elementwise(a) and not self._heads(a) else PRODUCT)
                        for a in tree.args
                    ],
                    tree.data,
                ), PRODUCT
            case "transpose":
                return self._transpose(tree), PRODUCT if tree.args[0].op == "chain" else ATOM
            case "power":
                return self._power(tree), ATOM
            case "compare":
                left, right = (self._at(a, SUM) for a in tree.args)
                return rf"\mathbb{{1}}[{left} {_RELATIONS.get(tree.data, tree.data)} {right}]", ATOM
            case "entry":
                return self._entry(tree), ATOM
            case "over":
                return self._over(tree), PRODUCT
            case "array":
                return self._piece(tree.args[0])
            case "item":
                if tree.data in ((("slice", None, None, None), 0), (0, ("slice", None, None, None))):
                    return self._piece(tree.args[0])
            case "call":
                return self._call(tree)
        raise NoLatex(tree.op)

    # -------- leaves

    def _number(self, value: Any, text: str) -> tuple[str, int]:
        if isinstance(value, Fraction) and value.denominator != 1 and not text:
            sign = "-" if value < 0 else ""
            return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}", ATOM if not sign else SUM
        shown = text or (str(value) if isinstance(value, Fraction) else repr(value))
        if re.fullmatch(r"-?[0-9]+/[0-9]+", shown):
            top, bottom = shown.split("/")
            return rf"\frac{{{top}}}{{{bottom}}}", ATOM
        if "e" in shown:
            shown = format(value, "f") if not isinstance(value, Fraction) else str(float(value))
        return shown, SUM if shown.startswith("-") else ATOM

    def _name(self, name: str, text: str) -> str:
        if text and text != name:
            return text
        if name == "pi":
            return r"\pi"
        if self.spelled.get(("name", name)):
            return self.spelled["name", name]
        if not name.startswith("\\"):
            return self.names.tensor(name)
        base = re.match(r"[A-Za-z]*", name[1:])  # a name that the student defined: \delta_3, but W_1
        return name if name[1:].isalpha() or (base and base[0] in GREEK) else name[1:]

    def _gradient(self, name: str, text: str) -> str:
        if (text and "\\" in text) or (text.startswith("d") and text not in ("d" + name,)):
            return text
        return (
            self.spelled.get(("gradient", name))
            or rf"\frac{{\partial {self._name(self.loss, self.loss)}}}{{\partial {self._name(name, name)}}}"
        )

    # -------- sums and products

    def _sum(self, tree: Tree) -> tuple[str, int]:
        out = ""
        for n, (term, sign) in enumerate(zip(tree.args, tree.data, strict=True)):
            text = self._at(term, PRODUCT)
            if sign < 0:
                out += (" - " if n else "-") + text
            else:
                out += (" + " if n else "") + text
        return out, SUM

    def _is_elementwise(self, tree: Tree) -> bool:
        return tree.op == "product" and (
            tree.data[1] in (r"\odot", r"\circ", r"\bullet", "*") or self._arrays(tree) > 1
        )

    def _arrays(self, tree: Tree) -> int:
        """How many factors are no scalars."""
        if self.shape is None:
            return 0
        count = 0
        for a in tree.args:
            try:
                count += any(n != 1 for n in self.shape(a)[1])
            except ValueError:
                continue
        return count

    def _product(self, tree: Tree) -> tuple[str, int]:
        powers, mark = tree.data
        above = [a for a, p in zip(tree.args, powers, strict=True) if p > 0]
        below = [a for a, p in zip(tree.args, powers, strict=True) if p < 0]
        if below:
            top, _ = self._factors(above, mark) if above else ("1", ATOM)
            bottom, _ = self._factors(below, mark)
            return rf"\frac{{{top}}}{{{bottom}}}", ATOM
        return self._factors(above, mark)

    def _factors(self, factors: list[Tree], mark: str) -> tuple[str, int]:
        if mark == r"\frac":
            mark = ""
        if len(factors) == 1:
            return self._piece(factors[0])
        elementwise = mark in (r"\odot", r"\circ", r"\bullet", "*")
        if (
            not mark
            and self._arrays(Tree("product", tuple(factors), ((1,) * len(factors), ""))) > 1
            and not _idiom(factors)
        ):
            elementwise, mark = True, self.odot
        if elementwise:
            scalars = self._in_front(factors, mark)
            if scalars:
                rest = [f for f in factors if f not in scalars]
                head = self._juxtaposed([self._at(s, PRODUCT) for s in scalars])
                return f"{head} {_bracketed(self._factors(rest, mark)[0])}", PRODUCT
            return f" {mark} ".join(
                self._at(f, PRODUCT if f.op != "over" and not self._is_elementwise(f) else ATOM) for f in factors
            ), PRODUCT
        pieces = []
        for n, f in enumerate(factors):
            last = n == len(factors) - 1
            loose = (f.op == "over" and not last) or self._is_elementwise(f)
            pieces.append(self._at(f, ATOM if loose else PRODUCT))
        return self._juxtaposed(pieces, mark), PRODUCT

    def _in_front(self, factors: list[Tree], mark: str) -> list[Tree]:
        """The scalars of an elementwise product, which stand before it and its brackets."""
        if self.shape is None or mark != self.odot or tree_marked(factors):
            return []
        scalars = [f for f in factors if self._is_scalar(f)]
        return scalars if len(factors) - len(scalars) > 1 else []

    def _heads(self, tree: Tree) -> bool:
        """Is an elementwise product written as scalars and one bracket?"""
        powers, mark = tree.data
        if any(p < 0 for p in powers) or mark == r"\frac":
            return False
        if not mark and _idiom(list(tree.args)):
            return False
        return bool(self._in_front(list(tree.args), mark or self.odot))

    def _is_scalar(self, tree: Tree) -> bool:
        assert self.shape is not None
        try:
            return not self.shape(tree)[1]
        except ValueError:
            return False

    def _juxtaposed(self, pieces: list[str], mark: str = "") -> str:
        if mark:
            return f" {mark} ".join(pieces)
        out = pieces[0]
        for piece in pieces[1:]:
            digits = piece[0].isdigit() and (out[-1].isdigit() or out[-1] in "}")
            out += (r" \cdot " if digits else " ") + piece
        return out

    # -------- scripts

    def _transpose(self, tree: Tree) -> str:
        inner = tree.args[0]
        mark = tree.data or self.top
        if inner.op == "call" and inner.data[0] == "inv":
            return self._at(inner.args[0], ATOM) + r"^{-\top}"
        if inner.op == "chain":  # (A B)ᵀ = Bᵀ Aᵀ
            turned = [a.args[0] if a.op == "transpose" else Tree("transpose", (a,), mark) for a in reversed(inner.args)]
            return self._piece(Tree("chain", tuple(turned), inner.data))[0]
        text = self._at(inner, ATOM)
        if mark == "'":
            return text + "'"
        if "^" in _outside(text) and not _is_bracket(text):
            joined = re.sub(r"\^\{([\[(][^{}]*[\])])\}$", lambda m: "^{" + m[1] + mark.strip("^{}") + "}", text)
            return joined if joined != text and mark.strip("^{}") == "T" else _bracketed(text) + mark
        return (_bracketed(text) if text.startswith("\\frac") else text) + mark

    def _power(self, tree: Tree) -> str:
        base, exponent = tree.args
        text = self._at(base, ATOM)
        if not _is_bracket(text) and ("^" in _outside(text) or text.endswith("'") or text.startswith("\\frac")):
            text = _bracketed(text)
        shown = self._piece(exponent)[0]
        return f"{text}^{shown}" if len(shown) == 1 else f"{text}^{{{shown}}}"

    def _entry(self, tree: Tree) -> str:
        base = tree.args[0]
        computed = iter(tree.args[1:])
        indices = []
        for i in tree.data:
            if i == "*":
                indices.append(self._piece(next(computed))[0])
            elif isinstance(i, int):
                indices.append(str(i + 1))
            elif i != ":":
                indices.append("\\" + i if i in ("ell", "alpha", "beta", "mu", "nu", "tau") else i)
        plain = all(len(i.rstrip("'")) == 1 for i in indices)
        inner = ("" if plain else ",").join(indices)
        sub = "_" + inner if len(inner) == 1 else f"_{{{inner}}}"
        while base.op == "array" and set(base.data) == {i for i in tree.data if isinstance(i, str)}:
            return self._piece(base.args[0])[0]
        text = self._at(base, ATOM)
        if base.op == "gradient" and text.startswith(r"\frac") and text.endswith("}"):
            return text[:-1] + sub + "}"
        if base.op == "jacobian":
            return tree.args[0].data[2] or _bracketed(text) + sub
        if not _is_bracket(text) and ("_" in _outside(text) or text.startswith(r"\frac")):
            return _bracketed(text) + sub
        return text + sub

    def _over(self, tree: Tree) -> str:
        kind, letters = tree.data
        sign = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}.get(kind)
        if sign is None:
            raise NoLatex(kind)
        below = ", ".join(letters)
        if len(tree.args) > 1:
            condition = tree.args[1]
            if condition.op != "compare":
                raise NoLatex("condition")
            a, b = (self._piece(x)[0] for x in condition.args)
            relation = _RELATIONS.get(condition.data, condition.data)
            below = (
                f"{a} {relation} {b}" if condition.data == "!=" and letters == (a,) else f"{below}: {a} {relation} {b}"
            )
        return rf"{sign}_{{{below}}} {self._at(tree.args[0], PRODUCT)}"

    # -------- calls

    def _call(self, tree: Tree) -> tuple[str, int]:
        function, options = tree.data
        words = dict(options)
        args = tree.args
        if function in ("column", "row"):
            return self._piece(args[0])
        if function == "norm2sq":
            return rf"\lVert {self._piece(args[0])[0]} \rVert^2", ATOM
        if function == "norm" and not words:
            return rf"\lVert {self._piece(args[0])[0]} \rVert", ATOM
        if function == "abs":
            return rf"\left|{self._piece(args[0])[0]}\right|", ATOM
        if function == "sqrt":
            return rf"\sqrt{{{self._piece(args[0])[0]}}}", ATOM
        if function == "inv":
            return self._at(args[0], ATOM) + "^{-1}", ATOM
        if function == "diag":
            return rf"\operatorname{{diag}}\left({self._piece(args[0])[0]}\right)", ATOM
        if function == "ravel":  # row by row, where vec is column by column
            turned = args[0].args[0] if args[0].op == "transpose" else Tree("transpose", args, self.top)
            return rf"\operatorname{{vec}}\left({self._piece(turned)[0]}\right)", ATOM
        if function == "sum":
            return self._reduced(args[0], words)
        if function == "where":
            return self._cases(tree), ATOM
        if function == "concatenate" and args[0].op == "call" and args[0].data[0] == "tuple":
            between = r" \\ " if words.get("axis") == 0 else " & "
            return r"\begin{bmatrix} " + between.join(self._piece(a)[0] for a in args[0].args) + r" \end{bmatrix}", ATOM
        if function == "slope":
            name = words["of"]
            return f"{_FUNCTIONS.get(name) or self._function(name)}'({self._piece(args[0])[0]})", ATOM
        if function == "outer":
            return f"{self._at(args[0], PRODUCT)} {self._at(args[1], ATOM)}{self.top}", PRODUCT
        if function in ("softmax", "log_softmax", "logsumexp") or not words:
            if function in ("tuple", "einsum", "reshape", "eye", "ones", "zeros", "ones_like", "zeros_like"):
                raise NoLatex(function)
            shown = _FUNCTIONS.get(function) or self._function(function)
            return rf"{shown}\left({', '.join(self._piece(a)[0] for a in args)}\right)", ATOM
        raise NoLatex(function)

    def _function(self, name: str) -> str:
        escaped = name.replace("_", r"\_")
        return name if len(name) == 1 else rf"\mathrm{{{escaped}}}"

    def _reduced(self, body: Tree, words: dict[str, Any]) -> tuple[str, int]:
        axis = words.get("axis")
        if body.op == "product" and axis is None and len(body.args) == 2 and body.data[0] == (1, 1):
            a, b = (self._piece(x)[0] for x in body.args)
            return rf"\langle {a}, {b}\rangle", ATOM
        if axis is None and self.shape is not None and body.op != "call":
            try:
                _, shape = self.shape(body)
            except ValueError:
                shape = ()
            if len(shape) == 2 and shape[1] == 1:
                return (
                    rf"\mathbf{{1}}^{{\top}} {self._at(body, PRODUCT if not self._is_elementwise(body) else ATOM)}",
                    PRODUCT,
                )
        if axis == 0:
            return (
                rf"\mathbf{{1}}^{{\top}} {self._at(body, PRODUCT if not self._is_elementwise(body) else ATOM)}",
                PRODUCT,
            )
        if axis in (1, -1):
            return rf"{self._at(body, PRODUCT if not self._is_elementwise(body) else ATOM)} \mathbf{{1}}", PRODUCT
        if body.op == "call" and body.data[0] == "abs":
            return rf"\lVert {self._piece(body.args[0])[0]} \rVert_1", ATOM
        raise NoLatex("sum")

    def _cases(self, tree: Tree) -> str:
        rows = []
        while tree.op == "call" and tree.data[0] == "where":
            condition, yes, no = tree.args
            if condition.op != "compare":
                raise NoLatex("where")
            a, b = (self._at(x, SUM) for x in condition.args)
            rows.append(f"{self._piece(yes)[0]} & {a} {_RELATIONS.get(condition.data, condition.data)} {b}")
            tree = no
        rows.append(rf"{self._piece(tree)[0]} & \text{{otherwise}}")
        return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def tree_marked(factors: list[Tree]) -> bool:
    """Whether a scalar among the factors is itself a product, which keeps its place."""
    return any(f.op == "product" and f.data[1] not in ("", r"\frac") for f in factors)


def _bracketed(text: str) -> str:
    return rf"\left({text}\right)"


def _is_bracket(text: str) -> bool:
    """Is a text one bracket?"""
    depth = 0
    for m in re.finditer(r"\\(left|right)(?![A-Za-z])", text):
        depth += 1 if m[1] == "left" else -1
        if depth == 0:
            return text.startswith(r"\left(") and m.end() == len(text) - 1
    return False


def _outside(text: str) -> str:
    """What of a text stands outside its braces."""
    depth, found = 0, ""
    for c in text:
        depth += (c == "{") - (c == "}")
        found += c if depth == 0 else ""
    return found


def _closed(text: str) -> bool:
    """Whether a text is one factor, as far as its outside shows."""
    return not re.search(r"[+\-=\s*/]", _outside(text).strip())


def _idiom(factors: list[Tree]) -> bool:
    """a(1 − a)."""
    last = factors[-1]
    while last.op == "call" and last.data[0] in ("column", "row"):
        last = last.args[0]
    return last.op == "sum" and len(last.args) == 2 and last.args[0].op == "number" and last.args[1] is factors[-2]


def latex_of(
    tree: Tree,
    latex: Mapping[str, str] | None = None,
    loss: str = "L",
    shape: Shape | None = None,
    like: Tree | None = None,
) -> str:
    """A tree as LaTeX in the habits of `like`; raises NoLatex."""
    return Writer(latex, loss, shape, like).text(tree)
