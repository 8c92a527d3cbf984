"""Formulas for people: matrix notation from forms, index notation from expressions.

One class decides what is written and where brackets go, for LaTeX and for the terminal; what
differs is an alphabet. A vector is a column: `x @ W` of a 1-D x reads Wᵀ x, `outer(d, x)` reads
d xᵀ, a bias added to every row 𝟏 bᵀ, a sum over rows Mᵀ 𝟏, a row-wise factor diag(v) M. Nothing is
computed here; an expression that has no matrix form answers None and is shown in index notation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Apply,
    Call,
    Compare,
    Const,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Over,
    Pow,
    Reduce,
    Select,
    Size,
    number,
    substitute,
)
from symbp.family import Loop, base_of, member, split
from symbp.form import Form, NotReducible, exact_axes
from symbp.form import scalar as scalar_form
from symbp.graph import Graph, Node, adjoint, primal
from symbp.index import affine
from symbp.local import skeleton
from symbp.matrix import Emitter, index_letter
from symbp.ops import UNKNOWN
from symbp.show.alphabet import Alphabet, layer_of, parse_name
from symbp.sizes import size_text
from symbp.steps import Chain

SUM, QUOTIENT, PRODUCT, CHAIN, POWER, ATOM = 1, 2, 3, 4, 5, 6
DIGITS = 12  # of a number with a point: 1.7·2/3 is not written to the last bit
"""How tightly a text binds: a + b, a/b in one line, a ⊙ b, matrices side by side, aᵀ, a."""
_PLACE = re.compile("([\ue010\ue011])(\\d+)\ue012")  # where a template takes a name, or an error term


class NoMatrixForm(Exception):
    """Raised inside this module where array notation has no mathematical counterpart."""


class Piece:
    """A text and how tightly it binds."""

    __slots__ = ("level", "text")

    def __init__(self, text: str, level: int = ATOM) -> None:
        self.text, self.level = text, level


@dataclass(frozen=True)
class Ordered:
    """A product entry by entry as matrices multiply: its letters that are summed, and what is transposed."""

    text: str
    summed: tuple[str, ...]
    transposed: tuple[str, ...]


class MathPrinter:
    """Writes the formulas of one graph in one alphabet.

    `minus` writes errors as δ := −∂L/∂z. Letters of indices are chosen once per tensor axis
    (`letters_for`), so that a derivation keeps its letters from line to line.
    """

    def __init__(self, graph: Graph, alphabet: Alphabet, minus: bool = False) -> None:
        self.graph, self.alphabet, self.minus = graph, alphabet, minus
        self.emitter = Emitter(graph)
        self.roles = roles(graph)
        self.names: dict[str, str] = {}
        taken = (*map(base_of, graph.nodes), *graph.constants, *graph.sizes, *graph.bounds, *graph.variables)
        self.reserved = frozenset(taken) - frozenset(graph.letters.values())
        self.templates: dict[object, str | None] = {}
        self.laid_out: dict[object, str | None] = {}

    # ---- names ---------------------------------------------------------------------------------

    def tensor(self, name: str) -> str:
        """A declared tensor, or the error term of one."""
        found = self.names.get(name)
        if found is None:
            inner = primal(name)
            base = base_of(inner or name)
            if inner is not None:
                symbol = self.alphabet.delta(self.alphabet.tensor(base, self._is_bold(inner)))
                found = self.alphabet.mark(self.numbered(symbol, name), "error")
            else:
                symbol = self.alphabet.tensor(base, self._is_bold(name))
                found = self.alphabet.mark(self.numbered(symbol, name), self._role(name))
            self.names[name] = found
        return found

    def _is_bold(self, name: str) -> bool:
        """May a tensor be bold? Vectors and matrices, as a whole."""
        pieces = self.graph.pieces(name)
        return bool(pieces) and bool(pieces[0].indices)

    def _role(self, name: str) -> str:
        pieces = self.graph.pieces(name)
        return self.roles.get(name) or (self.roles.get(pieces[-1].name) if pieces else None) or "node"

    def numbered(self, text: str, name: str, below: Sequence[str] = ()) -> str:
        """A base with the numbers of a member, `W^{(l)}` and `h_{t}`, and indices below it."""
        numbers = split(name)[1]
        if not numbers and not below:
            return text
        over = [self.counts_layers(name, n) for n in range(len(numbers))]
        above = [self.number(n) for n, up in zip(numbers, over) if up]
        under = [self.number(n) for n, up in zip(numbers, over) if not up]
        return self.alphabet.numbered(text, above, under, below)

    def counts_layers(self, name: str, position: int) -> bool:
        """Is this number of a family that of a layer, which stands above as in W^{(l)}?"""
        name = primal(name) or name
        for piece in (*(n.name for n in self.graph.pieces(name)), *self.graph.functions):
            numbers = split(piece)[1]
            if base_of(piece) == base_of(name) and position < len(numbers):
                atoms = affine(numbers[position]) or {}
                if any(isinstance(a, Size) and a.name.startswith(("l", "ℓ")) for a in atoms):
                    return True
        return False

    def number(self, e: Expr) -> str:
        """`l+1`, `T`: the number of a member."""
        shown = ""
        for part in e.args if isinstance(e, Add) else (e,):
            text = self.size(part)
            shown += text.replace("-", self.alphabet.minus) if text.startswith("-") or not shown else "+" + text
        return shown

    def turns(self, loops: Sequence[Loop], backwards: bool = False) -> str:
        """`l = 1, …, L`; as a loop goes, or as the backward pass goes through it."""
        shown = []
        for x in loops:
            ends = [self.number(x.low), self.number(x.high)]
            first, last = ends[::-1] if x.down != backwards else ends
            shown.append(self.alphabet.turns(self.size(Size(x.var)), first, last))
        return ", ".join(shown)

    def product_of_jacobians(self, c: Chain) -> tuple[str, str]:
        """∂h[T]/∂h[t] and (∂h[T]/∂h[T−1]) ⋯ (∂h[t+1]/∂h[t])."""
        whole = self.alphabet.derivative(self.tensor(c.top[0]), self.tensor(c.bottom[1]))
        shown = [self.alphabet.derivative(*map(self.tensor, pair)) for pair in (c.top, c.bottom)]
        first, last = shown if self.alphabet.name == "latex" else map(self.alphabet.bracket, shown)
        return whole, self.alphabet.product([first, self.alphabet.dots, last])

    def chain(self, c: Chain) -> str:
        """(∂y[n]/∂y[n−1] ⋯ ∂y[i+1]/∂y[i])ᵀ δ_y[n]."""

        def slope(pair: tuple[str, str]) -> str:
            shown = self.alphabet.derivative(self.tensor(pair[0]), self.tensor(pair[1]))
            return shown if self.alphabet.name == "latex" else self.alphabet.bracket(shown)

        factors = [slope(c.top), self.alphabet.dots, slope(c.bottom), *([slope(c.link)] if c.link else [])]
        product = self.alphabet.transposed(self.alphabet.bracket(self.alphabet.product(factors)))
        return self.alphabet.product([product, self.tensor(adjoint(c.top[0]))])

    def over(self, loops: Sequence[Loop], body: str) -> str:
        """Σ over loop variables."""
        for x in reversed(loops):
            body = self.alphabet.range_sum(self.size(Size(x.var)), self.number(x.low), self.number(x.high), body)
        return body

    def derivative(self, name: str) -> str:
        """∂L/∂W₁."""
        loss = self.tensor(self.graph.loss)
        return self.alphabet.gradient(loss, self.tensor(name))

    def size(self, e: Expr) -> str:
        if isinstance(e, Size):
            if e.name.isdigit():
                return e.name
            base, numbers = split(e.name)
            shown = self.alphabet.tensor(base)
            return self.alphabet.numbered(shown, [], list(map(self.number, numbers)), ()) if numbers else shown
        return size_text(e)

    # ---- matrix notation -----------------------------------------------------------------------

    def matrix(self, e: Expr, axes: Sequence[Expr]) -> str | None:
        """The expression as an array with these axes in matrix notation, or None.

        Formulas that differ in names only are laid out once: the names are put into a template.
        """
        asked = (e, tuple(axes))
        if asked not in self.laid_out:
            self.laid_out[asked] = self._from_template(e, axes)
        return self.laid_out[asked]

    def _from_template(self, e: Expr, axes: Sequence[Expr]) -> str | None:
        numbers: dict[str, str] = {}
        kind = skeleton(e, numbers)
        key = (kind, tuple(axes), tuple((self.graph[name].shape, self.emitter.manner(name)) for name in numbers))
        if key not in self.templates:
            shown = self.names
            self.names = {}
            for name, number in numbers.items():
                self.names[name], self.names[adjoint(name)] = f"\ue010{number}\ue012", f"\ue011{number}\ue012"
            self.templates[key] = self._matrix(e, axes)
            self.names = shown
        template = self.templates[key]
        if template is None:
            return None
        by_number = list(numbers)
        text = _PLACE.sub(
            lambda m: self.tensor(by_number[int(m[2])] if m[1] == "\ue010" else adjoint(by_number[int(m[2])])), template
        )
        return self.alphabet.spaced(text)

    def _matrix(self, e: Expr, axes: Sequence[Expr]) -> str | None:
        try:
            return self.piece(self._form(e, axes)).text
        except (NoMatrixForm, NotReducible):
            return None

    def _form(self, e: Expr, axes: Sequence[Expr]) -> Form:
        target = tuple(a if isinstance(a, Index) else None for a in axes)
        x = self.emitter.emit(e, tuple(a for a in target if a is not None))
        return exact_axes(x, target, tuple(a.dim if a is not None else ONE for a in target))

    def piece(self, x: Form) -> Piece:
        if len(x.axes) > 2:
            raise NoMatrixForm
        method = getattr(self, "_m_" + x.kind, None)
        if method is None:
            raise NoMatrixForm
        result = method(x)
        assert isinstance(result, Piece)
        return result

    def at(self, x: Form, level: int) -> str:
        return self.wrap(self.piece(x), level)

    def wrap(self, p: Piece, level: int) -> str:
        return p.text if p.level >= level else self.alphabet.bracket(p.text)

    def _m_num(self, x: Form) -> Piece:
        value = x.data[0]
        assert isinstance(value, Num)
        return self._number(value)

    def _number(self, value: Num) -> Piece:
        if value.value < 0:
            return Piece(self.alphabet.minus + self._number(Num(-value.value, value.decimal)).text, SUM)
        if value.value.denominator != 1 and not value.decimal:
            top, bottom = str(value.value.numerator), str(value.value.denominator)
            return Piece(self.alphabet.fraction(top, bottom), PRODUCT)
        return Piece(f"{float(value.value):.{DIGITS}g}" if value.decimal else number(value.value))

    def _m_const(self, x: Form) -> Piece:
        return Piece(self.constant(str(x.data[0])))

    def constant(self, name: str) -> str:
        return self.alphabet.infinity if name == "inf" else self.alphabet.tensor(name)

    def _m_size(self, x: Form) -> Piece:
        return Piece(self.size(Size(str(x.data[0]))))

    def _m_name(self, x: Form) -> Piece:
        return Piece(self.tensor(str(x.data[0])))

    def _m_over(self, x: Form) -> Piece:
        var, low, high = x.data
        assert isinstance(low, Expr) and isinstance(high, Expr)
        return Piece(self.over([Loop(str(var), low, high)], self.at(x.args[0], QUOTIENT)), SUM)

    def _m_transpose(self, x: Form) -> Piece:
        if x.args[0].kind == "inv":
            return Piece(self.alphabet.inverse(self.at(x.args[0].args[0], ATOM), transposed=True), POWER)
        return Piece(self.alphabet.transposed(self.at(x.args[0], ATOM)), POWER)

    def _m_subscript(self, x: Form) -> Piece:
        inner, pattern = x.args[0] if x.args else None, [str(p) for p in x.data]
        if inner is None:
            raise NoMatrixForm
        if set(pattern) <= {":", "None"}:
            if len(x.axes) == 2 and x.axes[0] is None and len(inner.axes) == 1:
                return Piece(self.alphabet.transposed(self.at(inner, ATOM)), POWER)
            return self.piece(inner)
        if set(pattern) <= {":", "0"} and len(inner.axes) == 2 and None in inner.axes:
            if inner.axes[0] is None and inner.axes[1] is not None:
                return Piece(self.alphabet.transposed(self.at(inner, ATOM)), POWER)
            return self.piece(inner)
        return Piece(self.alphabet.slice(self.at(inner, ATOM), pattern))

    def _m_add(self, x: Form) -> Piece:
        out = ""
        for n, (sign, a) in enumerate(zip(x.data, x.args)):
            text = self._spread(a, x, QUOTIENT)
            minus = self.alphabet.minus
            if n == 0:
                out = text if sign == 1 else minus + text
            else:
                out += f" {'+' if sign == 1 else minus} {text}"
        return Piece(out, SUM)

    def _spread(self, a: Form, whole: Form, level: int) -> str:
        """A summand in the shape of the whole: 𝟏 bᵀ for a row, v 𝟏ᵀ for a column."""
        axes, one = whole.axes, self.alphabet.one
        if len(axes) == 2 and a.axes and a.axes != axes and not _is_number(a):
            if len(a.axes) == 1 and axes[0] is not None:
                return self.alphabet.product([one, self.alphabet.transposed(self.at(a, ATOM))])
            if len(a.axes) == 2 and a.axes[0] is None and axes[0] is not None and a.axes[1] is not None:
                return self.alphabet.product([one, self.at(a, POWER)])
            if len(a.axes) == 2 and a.axes[1] is None and axes[1] is not None and a.axes[0] is not None:
                return self.alphabet.product([self.at(a, CHAIN), self.alphabet.transposed(one)])
        return self.at(a, level)

    def _m_times(self, x: Form) -> Piece:
        divisors = int(str(x.data[0]))
        cut = len(x.args) - divisors
        tops, bottoms = list(x.args[:cut]), list(x.args[cut:])
        minus = ""
        if tops and tops[0].kind == "num":
            value = tops[0].data[0]
            assert isinstance(value, Num)
            if value.value < 0:
                minus = self.alphabet.minus
                positive = Num(-value.value, value.decimal)
                tops[0] = Form("num", (), (), (positive,), 0.0)
                if positive is ONE and len(tops) > 1:
                    tops.pop(0)
        text = self._quotient(x, tops, bottoms)
        level = QUOTIENT if bottoms and self.alphabet.name != "latex" else CHAIN if _is_chain(x) else PRODUCT
        return Piece(minus + text, SUM if minus else level)

    def _quotient(self, x: Form, tops: list[Form], bottoms: list[Form]) -> str:
        scalars = [t for t in tops if not any(t.axes)]
        arrays = [t for t in tops if any(t.axes)]
        scalars = [s for s in scalars if not (_is_one(s) and (arrays or len(scalars) > 1))]
        low_scalars = [b for b in bottoms if not any(b.axes)]
        low_scalars.sort(key=lambda b: b.kind not in ("num", "const", "size"))  # D s², not s² D
        low_arrays = [b for b in bottoms if any(b.axes)]
        if x.letters and any(any(a.axes) and a.letters == x.letters for a in (*arrays, *low_arrays)):
            narrow = [b for b in low_arrays if b.letters != x.letters]
            low_arrays = [b for b in low_arrays if b not in narrow]
            bottoms = [b for b in bottoms if b not in narrow]
            arrays += [Form("times", (scalar_form(ONE), b), b.axes, (1,)) for b in narrow]
        if self.alphabet.name != "latex":
            text = self._join(scalars, arrays, x) or "1"
            if low_arrays and len(arrays) == 1 and arrays[0].kind == "matmul":
                text = self.alphabet.bracket(text)
            if not bottoms:
                return text
            if len(bottoms) == 1:
                return f"{text}/{self.at(bottoms[0], POWER)}"
            below = [self.at(b, PRODUCT) for b in low_scalars]
            if low_arrays:
                below.append(self._join([], low_arrays, x))
            return f"{text}/{self.alphabet.bracket(self.alphabet.product(below))}"
        pieces: list[str] = []
        if low_scalars:
            over = self.alphabet.product([self.at(s, SUM if len(scalars) == 1 else PRODUCT) for s in scalars]) or "1"
            pieces.append(
                self.alphabet.fraction(over, self.alphabet.product([self.at(b, PRODUCT) for b in low_scalars]))
            )
        else:
            pieces.extend(self._factor(s, arrays) for s in scalars if not (_is_one(s) and low_arrays))
        if low_arrays:
            lone = len(arrays) == 1
            top = (
                self.at(arrays[0], SUM) if lone and arrays[0].letters == x.letters else self._join([], arrays, x) or "1"
            )
            low = (
                self.at(low_arrays[0], SUM)
                if len(low_arrays) == 1 and low_arrays[0].letters == x.letters
                else self._join([], low_arrays, x)
            )
            pieces.append(self.alphabet.fraction(top, low))
        elif arrays:
            pieces.append(self._join([], arrays, x))
        return self.alphabet.product(pieces)

    def _join(self, scalars: list[Form], arrays: list[Form], whole: Form) -> str:
        """Scalars in front, then ⊙ between arrays; narrower arrays become diagonal matrices."""
        if not arrays:
            return self.alphabet.product([self.at(s, PRODUCT) for s in scalars])
        full = [a for a in arrays if a.letters == whole.letters]
        rows = [a for a in arrays if a.letters != whole.letters and (len(a.axes) == 1 or a.axes[0] is None)]
        columns = [a for a in arrays if a.letters != whole.letters and a not in rows]
        if not full and (rows or columns):
            raise NoMatrixForm
        level = POWER if len(full) > 1 or rows or columns else PRODUCT
        if len(full) == 1 and not rows and not columns:
            core = self.at(full[0], PRODUCT if scalars else QUOTIENT)
        elif len(full) == 1:
            core = self.at(full[0], CHAIN)
        else:
            core = f" {self.alphabet.odot} ".join(self.at(a, level) for a in full)
        if (rows or columns) and len(full) > 1:
            core = self.alphabet.bracket(core)
        parts = [self._factor(s, arrays) for s in scalars]
        parts += [self._diag(c) for c in columns] + [core] + [self._diag(r) for r in rows]
        return self.alphabet.product(parts)

    def _factor(self, scalar: Form, arrays: Sequence[Form]) -> str:
        """A number in front of arrays: xᵀ y is bracketed there."""
        return self.at(scalar, POWER if arrays and scalar.kind in ("dot", "sum", "matmul") else PRODUCT)

    def _diag(self, x: Form) -> str:
        return self.alphabet.apply("diag", [self.at(x, SUM)])

    def _m_matmul(self, x: Form) -> Piece:
        args = list(x.args)
        if len(args[0].axes) == 1:  # a row from the left: x @ A @ B is Bᵀ Aᵀ x
            turned = [self._transposed(a) for a in reversed(args[1:])]
            return Piece(self.alphabet.product([*turned, self.at(args[0], CHAIN)]), CHAIN)
        scaled = _scalars_only(args[0])
        parts = [self.at(a, PRODUCT if n == 0 and scaled else CHAIN) for n, a in enumerate(args)]
        return Piece(self.alphabet.product(parts), PRODUCT if scaled else CHAIN)

    def _transposed(self, a: Form) -> str:
        if a.kind == "transpose":
            return self.at(a.args[0], CHAIN)
        return self.alphabet.transposed(self.at(a, ATOM))

    def _m_dot(self, x: Form) -> Piece:
        left, right = x.args
        row = [left]
        if left.kind == "matmul" and len(left.args[0].axes) == 1:  # (x A) y is xᵀ A y
            row = list(left.args)
        elif left.kind == "matmul" and all(a.kind == "transpose" for a in left.args[:-1]):  # so is (Aᵀ x) y
            row = [left.args[-1], *(a.args[0] for a in reversed(left.args[:-1]))]
        parts = [self.alphabet.transposed(self.at(row[0], ATOM)), *(self.at(a, CHAIN) for a in (*row[1:], right))]
        return Piece(self.alphabet.product(parts), CHAIN)

    def _m_outer(self, x: Form) -> Piece:
        left, right = x.args
        return Piece(
            self.alphabet.product([self.at(left, CHAIN), self.alphabet.transposed(self.at(right, ATOM))]), CHAIN
        )

    def _m_sum(self, x: Form) -> Piece:
        inner = x.args[0]
        positions, keep = x.data
        assert isinstance(positions, tuple)
        one = self.alphabet.one
        if len(positions) == len(inner.axes):
            square = self._squares(inner)
            if square is not None:
                return Piece(square, POWER)
            if len(inner.axes) == 1 or None in inner.axes:
                if len(inner.axes) == 1 or inner.axes[1] is None:
                    return Piece(self.alphabet.product([self.alphabet.transposed(one), self.at(inner, CHAIN)]), CHAIN)
                return Piece(self.alphabet.product([self.at(inner, CHAIN), one]), CHAIN)
            return Piece(self.alphabet.product([self.alphabet.transposed(one), self.at(inner, CHAIN), one]), CHAIN)
        if len(inner.axes) != 2 or len(positions) != 1:
            raise NoMatrixForm
        if positions[0] == 0:
            if keep:
                return Piece(self.alphabet.product([self.alphabet.transposed(one), self.at(inner, CHAIN)]), CHAIN)
            return Piece(self.alphabet.product([self.alphabet.transposed(self.at(inner, ATOM)), one]), CHAIN)
        return Piece(self.alphabet.product([self.at(inner, CHAIN), one]), CHAIN)

    def _squares(self, inner: Form) -> str | None:
        if inner.kind == "power" and inner.args[1].kind == "num" and inner.args[1].data[0] is Num(2):
            return self.alphabet.norm_squared(self.at(inner.args[0], SUM), len(inner.axes) == 2)
        return None

    def _length(self, base: Form, exponent: Form) -> Piece | None:
        """(Σ x²)^(n/2) as ‖x‖ⁿ."""
        value = exponent.data[0] if exponent.kind == "num" else None
        if not (isinstance(value, Num) and value.value.denominator == 2) or base.kind != "sum" or base.letters:
            return None
        (inner,) = base.args
        if not (inner.kind == "power" and inner.args[1].kind == "num" and inner.args[1].data[0] is Num(2)):
            return None
        matrix, power = len([a for a in inner.axes if a is not None]) == 2, int(2 * value.value)
        return Piece(self.alphabet.norm_power(self.at(inner.args[0], SUM), matrix, power), ATOM)

    def _m_power(self, x: Form) -> Piece:
        base, exponent = x.args
        length = self._length(base, exponent)
        if length is not None:
            return length
        if exponent.kind == "num" and exponent.data[0] is HALF:
            return Piece(self.alphabet.root(self.at(base, SUM)), ATOM)
        return Piece(self.alphabet.power(self.at(base, ATOM), self.at(exponent, SUM), bool(x.axes)), POWER)

    def _m_call(self, x: Form) -> Piece:
        return self._function(str(x.data[0]), [self.at(a, SUM) for a in x.args], [self.at(a, ATOM) for a in x.args])

    def _function(self, name: str, args: list[str], tight: list[str]) -> Piece:
        if name.startswith(UNKNOWN):
            base = name[1:].rstrip("'")
            slopes = name[1 + len(base) :]
            if "[" in base and slopes:
                return Piece(
                    self.alphabet.bracket(self.function_name(base)) + slopes + self.alphabet.bracket(", ".join(args))
                )
            return Piece(self.function_name(base) + slopes + self.alphabet.bracket(", ".join(args)))
        if name == "abs":
            return Piece(self.alphabet.absolute(args[0]))
        if name == "sigmoid":
            return Piece(
                self.alphabet.apply("σ", args) if self.alphabet.name != "latex" else rf"\sigma\left({args[0]}\right)"
            )
        if name in ("maximum", "minimum"):
            return Piece(self.alphabet.apply(name[:3], args))
        if name == "xlogy":
            return Piece(self.alphabet.product([tight[0], self.alphabet.apply("log", [args[1]])]), PRODUCT)
        if name == "exp" and self.alphabet.name == "latex":
            return Piece(f"e^{{{args[0]}}}", POWER)
        return Piece(self.alphabet.apply(name, args))

    def _m_unknown(self, x: Form) -> Piece:
        """g(x), or its Jacobian ∂y/∂x for y = g(x)."""
        fn, slot, e = x.data
        assert isinstance(e, Apply)
        operands = [self.at(a, SUM) for a in x.args]
        if slot is None:
            return Piece(self.function_name(str(fn)) + self.alphabet.bracket(", ".join(operands)))
        assert isinstance(slot, int)
        return self._partial(self._value_name(e), operands[slot])

    def _partial(self, top: str, below: str) -> Piece:
        """∂y/∂x, which takes brackets before a power or ᵀ (and in one line, as a factor)."""
        return Piece(self.alphabet.derivative(top, below), POWER if self.alphabet.name == "latex" else PRODUCT)

    def _value_name(self, e: Apply) -> str:
        """The node that an unknown map defines, or the map's own name."""
        for node in self.graph.inner:
            if isinstance(node.body, Apply) and (node.body.fn, node.body.operands) == (e.fn, e.operands):
                return self.tensor(node.name)
            if isinstance(node.body, Apply) and node.loops and base_of(node.body.fn) == base_of(e.fn):
                numbers = split(e.fn)[1]  # a family of maps: y[l] = f[l](…)
                if numbers and split(node.body.fn)[1] == split(node.name)[1]:
                    return self.tensor(member(base_of(node.name), numbers))
        return self.function_name(e.fn)

    def function_name(self, name: str) -> str:
        """An unknown function, or one of a family of them."""
        return self.numbered(self.alphabet.tensor(base_of(name)), name)

    def _m_compare(self, x: Form) -> Piece:
        left, right = (self.at(a, SUM) for a in x.args)
        return Piece(self.alphabet.truth(f"{left} {self.alphabet.relation(str(x.data[0]))} {right}"))

    def _condition(self, x: Form) -> str:
        if x.kind == "compare":
            left, right = (self.at(a, SUM) for a in x.args)
            return f"{left} {self.alphabet.relation(str(x.data[0]))} {right}"
        return self.at(x, SUM)

    def _m_where(self, x: Form) -> Piece:
        condition, yes, no = x.args
        return Piece(self.alphabet.cases(self.at(yes, SUM), self._condition(condition), self.at(no, SUM)))

    def _m_row(self, x: Form) -> Piece:
        op, axis = x.data
        inner = x.args[0]
        name = str(op).replace("log_softmax", "log softmax")
        if len(inner.axes) == 2 and axis == 0:
            turned = Form("transpose", (inner,), tuple(reversed(inner.axes)))
            text = self.alphabet.apply(name, [self.at(turned, SUM)])
            return Piece(self.alphabet.transposed(text), POWER)
        return Piece(self.alphabet.apply(name, [self.at(inner, SUM)]))

    def _m_inv(self, x: Form) -> Piece:
        return Piece(self.alphabet.inverse(self.at(x.args[0], ATOM)), POWER)

    def _m_det(self, x: Form) -> Piece:
        return Piece(self.alphabet.apply("det", [self.at(x.args[0], SUM)]))

    def _m_logdet(self, x: Form) -> Piece:
        inner = self.alphabet.absolute(self.alphabet.apply("det", [self.at(x.args[0], SUM)]))
        return Piece(self.alphabet.apply("log", [inner]))

    def _m_logsumexp(self, x: Form) -> Piece:
        if len(x.data[0]) != len(x.args[0].axes):  # type: ignore[arg-type]
            raise NoMatrixForm
        return Piece(self.alphabet.apply("logsumexp", [self.at(x.args[0], SUM)]))

    def _m_diag(self, x: Form) -> Piece:
        return Piece(self.alphabet.apply("diag", [self.at(x.args[0], SUM)]))

    def _m_trace(self, x: Form) -> Piece:
        return Piece(self.alphabet.apply("tr", [self.at(x.args[0], SUM)]))

    def _m_eye(self, x: Form) -> Piece:
        return Piece("I")

    def _m_full(self, x: Form) -> Piece:
        inner = x.args[0]
        one = self.alphabet.one
        ones = self.alphabet.product([one, self.alphabet.transposed(one)]) if len(x.axes) == 2 else one
        if not any(inner.axes):
            if _is_one(inner):
                return Piece(ones, PRODUCT)
            return Piece(self.alphabet.product([self.at(inner, PRODUCT), ones]), PRODUCT)
        return Piece(self._spread(inner, x, PRODUCT), PRODUCT)

    def pairing(self, g: Expr, move: Expr, node: Node, letters: Mapping[Index, str]) -> str:
        """⟨g, dv⟩: tr(Gᵀ dV) of matrices, gᵀ dv of vectors, a product of numbers; entry by entry where there is no
        matrix notation."""
        try:
            left, right = (self._form(e, node.axes) for e in (g, move))
            if not node.indices:
                return self.alphabet.spaced(self.alphabet.product([self.at(left, PRODUCT), self.at(right, PRODUCT)]))
            pair = [self.alphabet.transposed(self.at(left, ATOM)), self.at(right, CHAIN)]
            text = self.alphabet.product(pair)
            return self.alphabet.spaced(text if len(node.shape) == 1 else self.alphabet.apply("tr", [text]))
        except (NoMatrixForm, NotReducible):
            inner = self.product([self.wrap(self.scalar(e, letters), PRODUCT) for e in (g, move)])
            return self.alphabet.spaced(self.alphabet.big_sum([letters[i] for i in node.indices], inner))

    def ordered(self, e: Expr, axes: Sequence[Expr], letters: Mapping[Index, str]) -> Ordered | None:
        """A product of named matrices entry by entry, in the order and with the transposes of matrix
        notation, and what decides them; None where the whole is not such a product."""
        target = tuple(a for a in axes if isinstance(a, Index))
        try:
            x = self.emitter.emit(e, target)
        except NotReducible:
            return None
        if x.kind not in ("matmul", "outer") or not all(map(_is_named, x.args)):
            return None
        chain = [(a.args[0], True) if a.kind == "transpose" else (a, False) for a in x.args]
        if x.kind == "matmul" and len(x.args[0].axes) == 1:  # a row from the left is a column at the right
            chain = [(a, not turned if len(a.axes) == 2 else turned) for a, turned in reversed(chain)]
        inner = tuple(dict.fromkeys(i for a, _ in chain for i in a.axes if isinstance(i, Index) and i not in target))
        named = self.letters_for(inner, letters)
        factors = []
        for n, (a, turned) in enumerate(chain):
            own = [named[i] for i in (reversed(a.axes) if turned else a.axes) if isinstance(i, Index)]
            row = x.kind == "outer" and n == 1
            symbol = self.tensor(str(a.data[0]))
            if turned or row:
                factors.append(self.alphabet.subscripted(self.alphabet.transposed(symbol), own, False))
            else:
                factors.append(self.index(Entry(str(a.data[0]), [i for i in a.axes if i is not None]), named))
        text = self.alphabet.product(factors)
        summed = tuple(named[i] for i in inner)
        turned_names = tuple(self.tensor(str(a.data[0])) for a, turned in chain if turned)
        return Ordered(
            self.alphabet.spaced(self.alphabet.big_sum(list(summed), text) if summed else text), summed, turned_names
        )

    # ---- index notation ------------------------------------------------------------------------

    def letters_for(self, indices: Sequence[Index], taken: Mapping[Index, str] | None = None) -> dict[Index, str]:
        """Letters for indices: the user's, else the first letter of the size's name."""
        letters = dict(taken or {})
        for i in indices:
            if i not in letters:
                used = set(letters.values())
                letters[i] = index_letter(i, used, self.graph.letters, self.reserved, primes=True)
        return letters

    def index(self, e: Expr, letters: Mapping[Index, str]) -> str:
        """The expression in index notation; `letters` names its free indices."""
        return self.alphabet.spaced(self.scalar(e, letters).text)

    def scalar(self, e: Expr, letters: Mapping[Index, str]) -> Piece:
        match e:
            case Num():
                return self._number(e)
            case Const():
                return Piece(self.constant(e.name))
            case Size():
                return Piece(self.size(e))
            case Index():
                return Piece(letters.get(e, e.name))
            case Entry():
                return Piece(self._entry(e, letters))
            case Add():
                return self._sum_of(e, letters)
            case Mul():
                return self._product_of(e.args, letters)
            case Pow():
                return self._power_of(e, letters)
            case Call():
                args = [self.scalar(a, letters) for a in e.args]
                return self._function(e.fn, [a.text for a in args], [self.wrap(a, ATOM) for a in args])
            case Compare():
                return Piece(self.alphabet.truth(self._relation(e, letters)))
            case Delta():
                return Piece(self.alphabet.kronecker(self.index(e.args[0], letters), self.index(e.args[1], letters)))
            case Select():
                condition, yes, no = e.args
                when = self._when(condition, letters)
                return Piece(self.alphabet.cases(self.index(yes, letters), when, self.index(no, letters)))
            case Reduce():
                return self._reduction(e, letters)
            case Apply():
                return self._unknown_entry(e, letters)
            case Over():
                return Piece(
                    self.over([Loop(e.var, e.low, e.high)], self.wrap(self.scalar(e.body, letters), QUOTIENT)), SUM
                )
        raise AssertionError(type(e))

    def _unknown_entry(self, e: Apply, letters: Mapping[Index, str]) -> Piece:
        """g(x)_j, or ∂y_j/∂x_k."""
        outputs = [self.index(i, letters) for i in (e.at if e.slot is None else e.at[: len(e.at) - self._inputs(e)])]
        if e.slot is not None:
            operand = e.operands[e.slot]
            assert isinstance(operand, Reduce)
            places = dict(zip(operand.bound, e.at[len(outputs) :]))
            below = self.index(substitute(operand.body, places), letters)
            name = self._value_name(e)
            return self._partial(self.alphabet.subscripted(name, outputs, "_" not in name), below)
        operands = []
        for o in e.operands:
            assert isinstance(o, Reduce)
            indices, body = o.expose()
            operands.append(self.matrix(body, indices) or self.index(body, self.letters_for(indices, letters)))
        whole = self.function_name(e.fn) + self.alphabet.bracket(", ".join(operands))
        return Piece(self.alphabet.subscripted(whole, outputs, True))

    def _inputs(self, e: Apply) -> int:
        operand = e.operands[e.slot] if e.slot is not None else None
        return len(operand.bound) if isinstance(operand, Reduce) else 0

    def _entry(self, e: Entry, letters: Mapping[Index, str]) -> str:
        name = primal(e.tensor)
        node = self.graph[name if name is not None else e.tensor]
        shown = [i for i, d in zip(e.idx, node.shape) if not (d is ONE and i is ZERO)]
        inner = [
            self.index(i, letters) if not isinstance(i, Num) else str(i.value + (self.alphabet.name == "latex"))
            for i in shown
        ]
        if split(e.tensor)[1]:
            base = base_of(name if name is not None else e.tensor)
            shown_base = self.alphabet.tensor(base)
            if name is None:
                return self.alphabet.mark(self.numbered(shown_base, e.tensor, inner), self._role(e.tensor))
            return self.alphabet.mark(self.numbered(self.alphabet.delta(shown_base), e.tensor, inner), "error")
        if self.alphabet.name == "latex" and name is not None and inner:
            simple = "".join(inner) if all(len(i.rstrip("'")) == 1 for i in inner) else ", ".join(inner)
            return self.alphabet.delta(self.alphabet.tensor(name), simple)
        custom = e.tensor in self.graph.latex
        _, subs = layer_of(parse_name(e.tensor), self.alphabet.style)
        simple_base = name is None and not subs and not custom
        return self.alphabet.subscripted(self._letter(e.tensor), inner, simple_base)

    def _letter(self, name: str) -> str:
        """The name of a tensor as it stands in one of its entries, which are never bold."""
        symbol = self.tensor(name)
        if self.alphabet.style.bold == "no" or primal(name) is not None or _PLACE.match(symbol):
            return symbol
        return self.alphabet.mark(self.alphabet.tensor(name), self.roles.get(name, "node"))

    def _relation(self, e: Compare, letters: Mapping[Index, str]) -> str:
        left, right = (self.index(a, letters) for a in e.args)
        return f"{left} {self.alphabet.relation(e.fn)} {right}"

    def _range(self, low: Compare, high: Compare, letters: Mapping[Index, str]) -> str:
        """Two bounds in one: 0 ≤ i − p < m."""
        less, below = self.alphabet.relation("<="), self.alphabet.relation("<")
        middle, end = self.index(low.args[0], letters), self.index(high.args[1], letters)
        return f"{self.index(low.args[1], letters)} {less} {middle} {below} {end}"

    def _when(self, condition: Expr, letters: Mapping[Index, str]) -> str:
        """A condition in words of its own: no indicator around it."""
        if isinstance(condition, Compare):
            return self._relation(condition, letters)
        if isinstance(condition, Mul) and all(isinstance(f, Compare) for f in condition.args):
            return ", ".join(
                self._range(f, high, letters) if high is not None else self._relation(f, letters)
                for f, high in ranges(condition.args)
                if isinstance(f, Compare)
            )
        return self.index(condition, letters)

    def _sum_of(self, e: Add, letters: Mapping[Index, str]) -> Piece:
        out = ""
        for n, t in enumerate(e.args):
            piece = self.scalar(t, letters)
            minus = isinstance(t, (Mul, Num)) and piece.text.startswith(self.alphabet.minus)
            text = piece.text[len(self.alphabet.minus) :] if minus else self.wrap(piece, QUOTIENT)
            if n == 0:
                out = self.alphabet.minus + text if minus else text
            else:
                out += f" {self.alphabet.minus if minus else '+'} {text}"
        return Piece(out, SUM)

    def _product_of(self, factors: Sequence[Expr], letters: Mapping[Index, str]) -> Piece:
        minus = ""
        tops: list[Expr] = []
        bottoms: list[Expr] = []
        for f in factors:
            if isinstance(f, Num):
                if f.value < 0:
                    minus = self.alphabet.minus if not minus else ""
                top, bottom = abs(f.value.numerator), f.value.denominator
                if f.decimal:
                    tops.append(Num(abs(f.value), True))
                    continue
                if top != 1:
                    tops.append(Num(top))
                if bottom != 1:
                    bottoms.append(Num(bottom))
            elif isinstance(f, Pow) and isinstance(f.exponent, Num) and f.exponent.value < 0:
                bottoms.append(f.base if f.exponent is MINUS_ONE else Pow(f.base, Num(-f.exponent.value)))
            else:
                tops.append(f)
        text = self._joined(tops, letters)
        if not minus and not bottoms and len(tops) == 1:
            return self.scalar(tops[0], letters)
        if bottoms:
            scales = [b for b in bottoms if not b.tensors]
            others = [b for b in bottoms if b.tensors]
            if self.alphabet.name == "latex":
                if others:
                    over = self._joined(tops, letters, alone=True) or "1"
                    text = self.alphabet.fraction(over, self._joined(others, letters, alone=True))
                elif self._has_sum(tops):
                    front = [t for t in tops if isinstance(t, (Num, Size, Const))]
                    rest = [t for t in tops if t not in front]
                    over = self._joined(front, letters) or "1"
                    text = self.alphabet.product(
                        [
                            self.alphabet.fraction(over, self._joined(scales, letters, alone=True)),
                            self._joined(rest, letters),
                        ]
                    )
                    scales = []
                else:
                    text = self.alphabet.fraction(
                        self._joined(tops, letters, alone=True) or "1", self._joined(scales, letters, alone=True)
                    )
                    scales = []
                if scales:
                    text = self.alphabet.product(
                        [self.alphabet.fraction("1", self._joined(scales, letters, alone=True)), text]
                    )
            elif not others and any(isinstance(t, Reduce) and t.op == "sum" for t in tops):
                front = [t for t in tops if isinstance(t, (Num, Size, Const))]
                after = self._joined([t for t in tops if t not in front], letters)
                below = self._below([self.scalar(b, letters) for b in scales])
                text = self.alphabet.product([f"({self._joined(front, letters) or '1'}/{below})", after])
            else:
                text = (text or "1") + "/" + self._below([self.scalar(b, letters) for b in (*scales, *others)])
                return Piece(minus + text, SUM if minus else QUOTIENT)
        return Piece(minus + (text or "1"), SUM if minus else PRODUCT)

    def _below(self, pieces: list[Piece]) -> str:
        """Everything under the bar, in one line: `/N`, `/(N p)`."""
        if len(pieces) == 1:
            return self.wrap(pieces[0], POWER)
        return self.alphabet.bracket(self.alphabet.product([self.wrap(p, PRODUCT) for p in pieces]))

    def _has_sum(self, tops: Sequence[Expr]) -> bool:
        return any(isinstance(t, (Reduce, Add)) for t in tops)

    def _joined(self, factors: Sequence[Expr], letters: Mapping[Index, str], alone: bool = False) -> str:
        if len(factors) == 1 and alone:
            return self.index(factors[0], letters)
        parts: list[str] = []
        for n, (f, high) in enumerate(paired := ranges(factors)):
            if isinstance(f, Compare) and high is not None:
                parts.append(self.alphabet.truth(self._range(f, high, letters)))
                continue
            piece = self.scalar(f, letters)
            is_sum = isinstance(f, Reduce) and f.op in ("sum", "max", "min")
            if is_sum and n < len(paired) - 1:
                parts.append(self.alphabet.bracket(piece.text))
            elif isinstance(f, Delta) or is_sum:
                parts.append(piece.text)
            else:
                parts.append(self.wrap(piece, PRODUCT if n < len(paired) - 1 else QUOTIENT))
        return self.product(parts)

    def product(self, parts: list[str]) -> str:
        """Factors side by side."""
        return self.alphabet.product(parts)

    def _power_of(self, e: Pow, letters: Mapping[Index, str]) -> Piece:
        if e.exponent is HALF:
            return Piece(self.alphabet.root(self.index(e.base, letters)))
        if isinstance(e.exponent, Num) and e.exponent.value < 0:
            return self._product_of((e,), letters)
        base = self.scalar(e.base, letters)
        text = self.wrap(base, ATOM)
        return Piece(self.alphabet.power(text, self.index(e.exponent, letters), False), POWER)

    def _reduction(self, e: Reduce, letters: Mapping[Index, str]) -> Piece:
        indices, body = e.open()
        inner = self.letters_for(indices, letters)
        names = [inner[i] for i in indices]
        shown = self.scalar(body, inner)
        if e.op == "sum":
            text = shown.text if isinstance(body, Reduce) and body.op == "sum" else self.wrap(shown, QUOTIENT)
            return Piece(self.alphabet.big_sum(names, text), PRODUCT)
        if e.op in ("max", "min"):
            return Piece(self.alphabet.big_max(e.op, names, self.wrap(shown, POWER)), PRODUCT)
        at = [self.index(a, letters) for a in e.at]
        whole = self.alphabet.apply(e.op.replace("_", " "), [f"{self.wrap(shown, SUM)}"])
        if e.op == "inv":
            if isinstance(body, Entry) and body.idx == indices:  # A⁻¹[i,j] of a whole tensor
                return Piece(self.alphabet.subscripted(self.alphabet.inverse(self.tensor(body.tensor)), at, False))
            whole = self.alphabet.inverse(self.alphabet.bracket(shown.text))
        return Piece(self.alphabet.subscripted(whole, at, True))


class NumberPrinter(MathPrinter):
    """Writes numbers in the place of scalar tensors."""

    def __init__(self, graph: Graph, alphabet: Alphabet, numbers: Mapping[str, str]) -> None:
        super().__init__(graph, alphabet)
        self.numbers = numbers

    def scalar(self, e: Expr, letters: Mapping[Index, str]) -> Piece:
        if isinstance(e, Entry) and e.tensor in self.numbers:
            value = self.numbers[e.tensor]
            return Piece(value.replace("-", self.alphabet.minus), SUM if value.startswith("-") else ATOM)
        return super().scalar(e, letters)

    def product(self, parts: list[str]) -> str:
        return self.alphabet.dot.join(parts)


def ranges(factors: Sequence[Expr]) -> list[tuple[Expr, Compare | None]]:
    """The factors, a lower bound e ≥ 0 together with its upper bound e < n."""
    found: list[tuple[Expr, Compare | None]] = []
    used: list[Expr] = []
    for f in factors:
        if any(f is u for u in used):
            continue
        high = _upper_bound(f, factors) if isinstance(f, Compare) and f.fn == ">=" and f.args[1] is ZERO else None
        used += [] if high is None else [high]
        found.append((f, high))
    return found


def _upper_bound(low: Expr, factors: Sequence[Expr]) -> Compare | None:
    for g in factors:
        if isinstance(g, Compare) and g.fn == "<" and g.args[0] is low.args[0]:
            return g
    return None


def _is_one(x: Form) -> bool:
    return x.kind == "num" and x.data[0] is ONE


def _is_named(x: Form) -> bool:
    """A tensor, or the transpose of one, with letters on all its axes."""
    inner = x.args[0] if x.kind == "transpose" else x
    return inner.kind == "name" and None not in inner.axes


def _is_number(x: Form) -> bool:
    return x.kind in ("num", "size", "const") or not x.axes


def _is_chain(x: Form) -> bool:
    """Is a product one array between diagonal matrices, which is a matrix product?"""
    full = [a for a in x.args if any(a.axes) and a.letters == x.letters]
    return len(full) == 1 and x.data[0] == 0 and all(any(a.axes) for a in x.args)


def _scalars_only(x: Form) -> bool:
    return (
        x.kind == "times"
        and sum(bool(any(a.axes)) for a in x.args) <= 1
        and not any(any(a.axes) for a in x.args[len(x.args) - int(str(x.data[0])) :])
    )


def roles(graph: Graph) -> dict[str, str]:
    """What each tensor is: the loss, an inner node, data held fixed, or a weight.

    A leaf is data when it is a target or the first thing multiplied; the names X, x, Y, y, t, T
    and a leading batch of samples are the usual signs, and nothing but colour depends on it.
    """
    found: dict[str, str] = {}
    fixed = graph.fixed()
    for node in graph.nodes.values():
        if node.name == graph.loss:
            found[node.name] = "loss"
        elif not node.is_leaf:
            found[node.name] = "node"
        elif node.name in fixed or parse_name(node.name).base in ("X", "x", "Y", "y", "T", "t", "R"):
            found[node.name] = "data"
        else:
            found[node.name] = "weight"
    return found
