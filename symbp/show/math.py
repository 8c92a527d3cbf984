"""Formulas for people: matrix notation from forms, and where there is none, index notation (entries.py).

One class decides what is written and where brackets go, for LaTeX and for the terminal; what
differs is an alphabet. A vector is a column: `x @ W` of a 1-D x reads Wᵀ x, `outer(d, x)` reads
d xᵀ, a bias added to every row 𝟏 bᵀ, a sum over rows Mᵀ 𝟏, a row-wise factor diag(v) M. Nothing is
computed here; an expression that has no matrix form answers None and is shown in index notation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symbp.expr import (
    HALF,
    ONE,
    Apply,
    Entry,
    Expr,
    Index,
    Num,
    Size,
)
from symbp.family import Loop
from symbp.form import Form, NotReducible, exact_axes, transpose
from symbp.form import scalar as scalar_form
from symbp.graph import Graph, Node, adjoint, primal
from symbp.local import skeleton
from symbp.show.alphabet import Alphabet
from symbp.show.entries import EntryPrinter
from symbp.show.layout import turned as turned_form
from symbp.show.names import ATOM, CHAIN, PLACE, POWER, PRODUCT, QUOTIENT, SUM, Piece


class NoMatrixForm(Exception):
    """Raised inside this module where array notation has no mathematical counterpart."""


@dataclass(frozen=True)
class Ordered:
    """A product entry by entry as matrices multiply: its letters that are summed, and what is transposed."""

    text: str
    summed: tuple[str, ...]
    transposed: tuple[str, ...]


class MathPrinter(EntryPrinter):
    """Writes the formulas of one graph in one alphabet: in matrix notation, else entry by entry."""

    def matrix(self, e: Expr, axes: Sequence[Expr], turned: bool = False) -> str | None:
        """The expression as an array with these axes in matrix notation, or None; or the transpose of that array.

        Formulas that differ in names only are laid out once: the names are put into a template.
        """
        asked = (e, tuple(axes), turned)
        if asked not in self.laid_out:
            self.laid_out[asked] = self._from_template(e, axes, turned)
        return self.laid_out[asked]

    def gradient(self, e: Expr, axes: Sequence[Expr]) -> str | None:
        """The gradient for a tensor with these axes in matrix notation: as large as the tensor, or its transpose
        where the layout is that of the numerator."""
        return self.matrix(e, axes, self.numerator)

    def _from_template(self, e: Expr, axes: Sequence[Expr], turned: bool) -> str | None:
        numbers: dict[str, str] = {}
        kind = skeleton(e, numbers)
        tensors = tuple((self.graph[name].shape, self.emitter.manner(name)) for name in numbers)
        key = (kind, tuple(axes), turned, tensors)
        if key not in self.templates:
            shown = self.names
            self.names = {}
            for name, number in numbers.items():
                self.names[name], self.names[adjoint(name)] = f"\ue010{number}\ue012", f"\ue011{number}\ue012"
            self.templates[key] = self._matrix(e, axes, turned)
            self.names = shown
        template = self.templates[key]
        if template is None:
            return None
        by_number = list(numbers)
        text = PLACE.sub(
            lambda m: self.tensor(by_number[int(m[2])] if m[1] == "\ue010" else adjoint(by_number[int(m[2])])), template
        )
        return self.alphabet.spaced(text)

    def _matrix(self, e: Expr, axes: Sequence[Expr], turned: bool) -> str | None:
        try:
            x = self._form(e, axes)
            return self.piece(turned_form(x) if turned else x).text
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

    def _m_num(self, x: Form) -> Piece:
        value = x.data[0]
        assert isinstance(value, Num)
        return self._number(value)

    def _m_const(self, x: Form) -> Piece:
        return Piece(self.constant(str(x.data[0])))

    def _m_size(self, x: Form) -> Piece:
        return Piece(self.size(Size(str(x.data[0]))))

    def _m_name(self, x: Form) -> Piece:
        if self._stands_turned(x):
            return Piece(self.alphabet.transposed(self.wrap(self._symbol(x), ATOM)), POWER)
        return Piece(self.tensor(str(x.data[0])))

    def _stands_turned(self, x: Form) -> bool:
        """Does a symbol stand for the transpose of the engine's array? With numerator layout a gradient does."""
        if not self.numerator or not any(x.axes):
            return False
        if x.kind == "unknown":
            e = x.data[2]
            return isinstance(e, Apply) and e.slot is not None and self._inputs(e) == len(e.at)
        return x.kind == "name" and primal(str(x.data[0])) is not None

    def _symbol(self, x: Form) -> Piece:
        """The symbol itself of a form that stands turned."""
        return Piece(self.tensor(str(x.data[0]))) if x.kind == "name" else self._slope_of(x)

    def _turned(self, x: Form) -> Piece:
        """The transpose of a form."""
        if self._stands_turned(x):
            return self._symbol(x)
        if x.kind == "transpose":
            return self.piece(x.args[0])
        row = self._as_row(x)
        return self.piece(row) if row is not None else Piece(self.alphabet.transposed(self.at(x, ATOM)), POWER)

    def _as_row(self, x: Form) -> Form | None:
        """The transpose of a vector, moved inwards where it goes in without more transposes: (Mᵀ 𝟏)ᵀ is 𝟏ᵀ M,
        (Wᵀ s)ᵀ is sᵀ W, (c b)ᵀ is c bᵀ."""
        if self.numerator and len(x.axes) == 1 and (row := turned_form(x)).kind in ("matmul", "times"):
            return row
        if x.kind == "times" and len(x.axes) == 2 and None in x.axes and x.letters:
            args = [transpose(a) if len(a.axes) == 2 and a.letters else a for a in x.args]
            return Form("times", tuple(args), tuple(reversed(x.axes)), x.data)
        if len(x.axes) != 1 or not x.letters:
            return None
        if x.kind == "matmul" and len(x.args[0].axes) == 1 and all(a.kind != "transpose" for a in x.args[1:]):
            return turned_form(x)
        if x.kind == "matmul" and all(a.kind == "transpose" and a.args[0].kind != "inv" for a in x.args[:-1]):
            return turned_form(x)
        if x.kind == "sum" and len(x.args[0].axes) == 2 and x.data[0] == (0,):
            return turned_form(x)
        if x.kind == "times" and sum(map(bool, (a.letters for a in x.args))) == 1:
            parts = [(self._as_row(a) or turned_form(a)) if a.letters else a for a in x.args]
            divisors = x.args[len(x.args) - int(str(x.data[0])) :]
            return None if any(a.letters for a in divisors) else Form("times", tuple(parts), (None, *x.axes), x.data)
        return None

    def _transposed(self, x: Form, level: int = CHAIN) -> str:
        return self.wrap(self._turned(x), level)

    def _m_over(self, x: Form) -> Piece:
        var, low, high = x.data
        assert isinstance(low, Expr) and isinstance(high, Expr)
        return Piece(self.over([Loop(str(var), low, high)], self.at(x.args[0], QUOTIENT)), SUM)

    def _m_transpose(self, x: Form) -> Piece:
        if x.args[0].kind == "inv":
            return Piece(self.alphabet.inverse(self.at(x.args[0].args[0], ATOM), transposed=True), POWER)
        return self._turned(x.args[0])

    def _m_subscript(self, x: Form) -> Piece:
        inner, pattern = x.args[0] if x.args else None, [str(p) for p in x.data]
        if inner is not None and inner.kind == "name" and pattern and all(p.isdigit() for p in pattern):
            return Piece(self._entry(Entry(str(inner.data[0]), [Num(int(p)) for p in pattern]), {}))
        if inner is None:
            raise NoMatrixForm
        if set(pattern) <= {":", "None"}:
            if len(x.axes) == 2 and x.axes[0] is None and len(inner.axes) == 1:
                return self._turned(inner)
            return self.piece(inner)
        if set(pattern) <= {":", "0"} and len(inner.axes) == 2 and None in inner.axes:
            if inner.axes[0] is None and inner.axes[1] is not None:
                return self._turned(inner)
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
        """A summand in the shape of the whole: 𝟏 bᵀ for a row, v 𝟏ᵀ for a column, scalars in front and below."""
        return self.at(_spread_in(_as_row(a, whole), whole), level)

    def _m_spread(self, x: Form) -> Piece:
        """A vector along rows or columns of a matrix: 𝟏 bᵀ or v 𝟏ᵀ."""
        (a,) = x.args
        one = self.alphabet.one
        if x.axes[1] in a.letters:
            row = self.at(a, POWER) if a.axes[0] is None else self._transposed(a)
            return Piece(self.alphabet.product([one, row]), CHAIN)
        v = _as_column(a)
        column = self._transposed(v) if v.axes[0] is None else self.at(v, CHAIN)
        return Piece(self.alphabet.product([column, self.alphabet.transposed(one)]), CHAIN)

    def _m_times(self, x: Form) -> Piece:
        divisors = int(str(x.data[0]))
        cut = len(x.args) - divisors
        args = [_as_row(a, x) for a in x.args]
        tops, bottoms = args[:cut], args[cut:]
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
            value = abs(value.value) if (endless := _endless(value)) > 1 else None
            if value is not None:  # 3.4318/3, not 1.14393333
                tops[0] = scalar_form(Num(value * endless, True))
                bottoms.append(scalar_form(Num(endless)))
        text = self._quotient(x, tops, bottoms)
        level = CHAIN if _is_chain(x) else QUOTIENT if bottoms and self.alphabet.name != "latex" else PRODUCT
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
            below = [self._factor(b, low_arrays) for b in low_scalars]
            if low_arrays:
                below.append(self._join([], low_arrays, x))
            return f"{text}/{self.alphabet.bracket(self.alphabet.product(below))}"
        pieces: list[str] = []
        if low_scalars:
            over = self.alphabet.product([self.at(s, SUM if len(scalars) == 1 else PRODUCT) for s in scalars]) or "1"
            pieces.append(
                self.alphabet.fraction(
                    over,
                    self.alphabet.product([self.at(b, SUM if len(low_scalars) == 1 else PRODUCT) for b in low_scalars]),
                )
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
            scalars = sorted(scalars, key=lambda s: s.kind in ("dot", "sum", "matmul"))  # c tᵀ p, not tᵀ p c
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
        parts += [self._diag(columns)] if columns else []
        parts += [core] if len(full) > 1 or full[0].kind != "eye" or not (rows or columns) else []
        parts += [self._diag(rows)] if rows else []
        return self.alphabet.product(parts)

    def _factor(self, scalar: Form, arrays: Sequence[Form]) -> str:
        """A number in front of arrays: xᵀ y is bracketed there."""
        return self.at(scalar, POWER if arrays and scalar.kind in ("dot", "sum", "matmul") else PRODUCT)

    def _diag(self, vectors: Sequence[Form]) -> str:
        """The vectors on one letter as one diagonal matrix: diag(g ⊙ 1/s) is diag(g/s)."""
        tops: list[Form] = []
        bottoms: list[Form] = []
        for v in map(_as_column, vectors):
            inverse = v.kind == "times" and v.data[0] == 1 and len(v.args) == 2 and _is_one(v.args[0])
            (bottoms if inverse else tops).append(v.args[1] if inverse else v)
        if len(vectors) == 1:
            (x,) = map(_as_column, vectors)
            return self.alphabet.apply("diag", [(self._symbol(x) if self._stands_turned(x) else self.piece(x)).text])
        axes = max((v.axes for v in tops + bottoms), key=len)  # a column beside a row is turned, too
        whole = Form("times", (*(tops or [scalar_form(ONE)]), *bottoms), axes, (len(bottoms),))
        return self.alphabet.apply("diag", [self.piece(whole).text])

    def _m_matmul(self, x: Form) -> Piece:
        args = list(x.args)
        vector = next((n for n, a in enumerate(args[:-1]) if len(a.axes) == 1), None)
        if vector is not None:  # a row from the left: M @ x @ A @ B is Bᵀ Aᵀ M x
            turned = [self._transposed(a) for a in reversed(args[vector + 1 :])]
            return Piece(self.alphabet.product([*turned, *(self.at(a, CHAIN) for a in args[: vector + 1])]), CHAIN)
        scaled = _scalars_only(args[0])
        parts = [self.at(a, PRODUCT if n == 0 and scaled else CHAIN) for n, a in enumerate(args)]
        return Piece(self.alphabet.product(parts), PRODUCT if scaled else CHAIN)

    def _m_dot(self, x: Form) -> Piece:
        left, right = x.args
        if self._stands_turned(right) and left.kind != "matmul":  # a row stands in front
            left, right = right, left
        row = [left]
        if left.kind == "matmul" and len(left.args[0].axes) == 1:  # (x A) y is xᵀ A y
            row = list(left.args)
        elif left.kind == "matmul" and all(a.kind == "transpose" for a in left.args[:-1]):  # so is (Aᵀ x) y
            row = [left.args[-1], *(a.args[0] for a in reversed(left.args[:-1]))]
        parts = [self._transposed(row[0]), *(self.at(a, CHAIN) for a in (*row[1:], right))]
        return Piece(self.alphabet.product(parts), CHAIN)

    def _m_outer(self, x: Form) -> Piece:
        left, right = x.args
        return Piece(self.alphabet.product([self.at(left, CHAIN), self._transposed(right)]), CHAIN)

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
            return Piece(self.alphabet.product([self._transposed(inner), one]), CHAIN)
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
        elementwise = any(x.axes) and self.alphabet.name == "latex"  # ^{\\odot (p - 1)}
        raised = self._spread(exponent, x, PRODUCT if elementwise else SUM)
        return Piece(self.alphabet.power(self._spread(base, x, ATOM), raised, bool(x.axes)), POWER)

    def _m_call(self, x: Form) -> Piece:
        loose, tight = ([self._spread(a, x, level) for a in x.args] for level in (SUM, ATOM))
        if x.data[0] == "xlogy" and any(x.args[0].axes):
            return Piece(f"{tight[0]} {self.alphabet.odot} {self.alphabet.apply('log', [loose[1]])}", PRODUCT)
        return self._function(str(x.data[0]), loose, tight)

    def _m_unknown(self, x: Form) -> Piece:
        """g(x), or its Jacobian ∂y/∂x for y = g(x)."""
        fn, slot, e = x.data
        assert isinstance(e, Apply)
        if slot is None:
            operands = [self.at(a, SUM) for a in x.args]
            return Piece(self.function_name(str(fn)) + self.alphabet.bracket(", ".join(operands)))
        if self._stands_turned(x):
            return Piece(self.alphabet.transposed(self.wrap(self._symbol(x), ATOM)), POWER)
        return self._slope_of(x)

    def _slope_of(self, x: Form) -> Piece:
        """∂y/∂x for an unknown y = g(x)."""
        _, slot, e = x.data
        assert isinstance(e, Apply) and isinstance(slot, int)
        return self._partial(self._value_name(e), self.at(x.args[slot], SUM))

    def _m_compare(self, x: Form) -> Piece:
        return Piece(self.alphabet.truth(self._condition(x, x)))

    def _condition(self, x: Form, whole: Form) -> str:
        if x.kind == "compare":
            left, right = (self._spread(a, whole, SUM) for a in x.args)
            return f"{left} {self.alphabet.relation(str(x.data[0]))} {right}"
        return self._spread(x, whole, SUM)

    def _m_where(self, x: Form) -> Piece:
        condition, yes, no = x.args
        return Piece(
            self.alphabet.cases(self._spread(yes, x, SUM), self._condition(condition, x), self._spread(no, x, SUM))
        )

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
        if "I" in self.reserved:
            raise NoMatrixForm
        return Piece("I")

    def _m_full(self, x: Form) -> Piece:
        inner = x.args[0]
        one = self.alphabet.one
        parts = _quotient_parts(inner)
        if parts is not None:  # 𝟏 𝟏ᵀ/4
            whole = Form("full", (scalar_form(ONE),), x.axes, x.data)
            return self.piece(Form("times", (*parts[0], whole, *parts[1]), x.axes, (len(parts[1]),)))
        ones = self.alphabet.product([one, self.alphabet.transposed(one)]) if len(x.axes) == 2 else one
        if not any(inner.axes):
            if _is_one(inner):
                return Piece(ones, PRODUCT)
            factors = inner.args if inner.kind == "times" else (inner,)
            sums = any(a.kind in ("dot", "sum", "matmul") for a in factors)
            plain = not sums or (inner.kind == "times" and inner.data[0] and self.alphabet.name == "latex")
            return Piece(self.alphabet.product([self.at(inner, PRODUCT if plain else ATOM), ones]), PRODUCT)
        return self.piece(_spread_in(inner, x))

    def pairing(self, g: Expr, move: Expr, node: Node, letters: Mapping[Index, str]) -> str:
        """⟨g, dv⟩: tr(Gᵀ dV) of matrices, gᵀ dv of vectors, a product of numbers; entry by entry where there is no
        matrix notation."""
        try:
            left, right = (self._form(e, node.axes) for e in (g, move))
            if not node.indices:
                return self.alphabet.spaced(self.alphabet.product([self.at(left, PRODUCT), self.at(right, PRODUCT)]))
            if self.numerator:
                turned = self.at(turned_form(left), CHAIN)
            elif len(left.axes) == 1 and left.kind != "name":  # the gradient stays in one piece: (Wᵀ δ)ᵀ da
                turned = self.alphabet.transposed(self.at(left, ATOM))
            else:
                turned = self._transposed(left, POWER)
            pair = [turned, self.at(right, CHAIN)]
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
        if (x.kind == "matmul" and len(x.args[0].axes) == 1) != self.numerator:
            chain = [(a, not turned if len(a.axes) == 2 else turned) for a, turned in reversed(chain)]
        inner = tuple(dict.fromkeys(i for a, _ in chain for i in a.axes if isinstance(i, Index) and i not in target))
        if any(sum(i in a.axes for a, _ in chain) > 2 for i in (*target, *inner)):
            return None  # one letter for two sums
        named = self.letters_for(inner, letters)
        factors, marked = [], []
        for n, (a, turned) in enumerate(chain):
            own = [named[i] for i in (reversed(a.axes) if turned else a.axes) if isinstance(i, Index)]
            row = len(a.axes) == 1 and (n == 1 if x.kind == "outer" else n == 0)
            symbol = self.tensor(str(a.data[0]))
            if (turned or row) != self._stands_turned(a):
                factors.append(self.alphabet.subscripted(self.alphabet.transposed(symbol), own, False))
                marked += [symbol] if len(a.axes) == 2 else []
            else:
                factors.append(self.index(Entry(str(a.data[0]), [i for i in a.axes if i is not None]), named))
        text = self.alphabet.product(factors)
        summed = tuple(named[i] for i in inner)
        return Ordered(
            self.alphabet.spaced(self.alphabet.big_sum(list(summed), text) if summed else text), summed, tuple(marked)
        )


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


def _as_column(x: Form) -> Form:
    """The vector that is broadcast along the other axis of a matrix."""
    while x.kind in ("subscript", "transpose") and x.args and len(x.letters) == 1 and x.letters == x.args[0].letters:
        (x,) = x.args
    return x


def _spread_in(a: Form, whole: Form) -> Form:
    """A summand as a form in the shape of the whole."""
    axes = whole.axes
    if len(axes) != 2 or None in axes:
        return a
    if a.kind == "num" and whole.kind == "add" and any(map(_is_matrix_product, whole.args)):  # 1 + u uᵀ is no I + u uᵀ
        return Form("times", (a, Form("full", (scalar_form(ONE),), axes)), axes, (0,))
    if len(a.letters) != 1:
        return a
    v = _as_column(a)
    arrays = [f for f in v.args if f.letters] if v.kind == "times" else []
    if len(arrays) == 1 and v.args.index(arrays[0]) < len(v.args) - int(str(v.data[0])):  # 𝟏 𝟏ᵀ M/N
        args = [Form("spread", (f,), axes) if f is arrays[0] else f for f in v.args]
        return Form("times", tuple(args), axes, v.data)
    return Form("spread", (a,), axes)


def _is_matrix_product(x: Form) -> bool:
    """A product, or a diagonal, that is a matrix on its own and nothing entry by entry."""
    if x.kind == "times":
        return sum(bool(a.letters) for a in x.args) == 1 and any(map(_is_matrix_product, x.args))
    return x.kind in ("outer", "matmul", "eye") or (x.kind == "diag" and len(x.axes) == 2)


def _endless(n: Num) -> int:
    """What a decimal must be multiplied with to end: 3 for 1.14393333…"""
    bottom = n.value.denominator if n.decimal else 1
    for p in (2, 5):
        while bottom % p == 0:
            bottom //= p
    return bottom


def _quotient_parts(x: Form) -> tuple[Sequence[Form], Sequence[Form]] | None:
    """A number that is a quotient as what stands above and below."""
    if x.kind == "num" and isinstance(value := x.data[0], Num) and value.value.denominator > 1 and not value.decimal:
        top, bottom = value.value.as_integer_ratio()
        return [scalar_form(Num(top))] if top != 1 else [], [scalar_form(Num(bottom))]
    if x.kind == "times" and not any(x.axes) and (divisors := int(str(x.data[0]))):
        cut = len(x.args) - divisors
        return [a for a in x.args[:cut] if not _is_one(a)], x.args[cut:]
    return None


def _is_one(x: Form) -> bool:
    return x.kind == "num" and x.data[0] is ONE


def _as_row(a: Form, whole: Form) -> Form:
    """An array with one axis, which is a column on paper, as a part of a row."""
    if len(a.axes) == 1 and len(whole.axes) == 2 and whole.axes[0] is None and whole.axes[1] is not None:
        return Form("subscript", (a,), (None, *a.axes), ("None", ":"))
    return a


def _is_named(x: Form) -> bool:
    """A tensor, or the transpose of one, with letters on all its axes."""
    inner = x.args[0] if x.kind == "transpose" else x
    return inner.kind == "name" and None not in inner.axes


def _is_number(x: Form) -> bool:
    return x.kind in ("num", "size", "const") or not x.axes


def _is_chain(x: Form) -> bool:
    """Is a product one array, or several in brackets, between diagonal matrices, which is a matrix product?"""
    full = [any(a.axes) and a.letters == x.letters for a in x.args]
    below = full[len(full) - int(str(x.data[0])) :]  # what divides along one axis is a diagonal, too
    return (sum(full) == 1 or 1 < sum(full) < len(full)) and not any(below) and all(any(a.axes) for a in x.args)


def _scalars_only(x: Form) -> bool:
    return (
        x.kind == "times"
        and sum(bool(any(a.axes)) for a in x.args) <= 1
        and not any(any(a.axes) for a in x.args[len(x.args) - int(str(x.data[0])) :])
    )
