"""Formulas in index notation: an expression as what one entry of a tensor is.

One class decides what is written and where brackets go, for LaTeX and for the terminal; what differs is an
alphabet. Parts that have a matrix form of their own (the argument of an unknown map) are asked for with
`matrix`, which math.py answers. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symbp.arithmetic import below_the_line
from symbp.expr import (
    HALF,
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
    substitute,
    walk,
)
from symbp.family import Loop, base_of, member, split
from symbp.graph import primal
from symbp.index import from_one, place
from symbp.ops import UNKNOWN
from symbp.show.alphabet import layer_of, parse_name
from symbp.show.names import ATOM, PLACE, POWER, PRODUCT, QUOTIENT, SUM, Names, Piece


class EntryPrinter(Names):
    """Writes expressions entry by entry."""

    def matrix(self, e: Expr, axes: Sequence[Expr]) -> str | None:
        """The expression in matrix notation, where there is one; math.py knows it."""
        return None

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
                a, b = (self.position(a, letters) for a in e.args)
                return Piece(self.alphabet.kronecker(a, b))
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
        if name == "sigmoid" and not self.reserved & {"sigma", "σ"}:
            return Piece(
                self.alphabet.apply("σ", args) if self.alphabet.name != "latex" else rf"\sigma\left({args[0]}\right)"
            )
        if name in ("maximum", "minimum"):
            return Piece(self.alphabet.apply(name[:3], args))
        if name == "xlogy":
            return Piece(self.alphabet.product([tight[0], self.alphabet.apply("log", [args[1]])]), PRODUCT)
        if name == "exp" and self.alphabet.name == "latex" and "e" not in self.reserved:  # e^e would be e times e
            return Piece(f"e^{{{args[0]}}}", POWER)
        return Piece(self.alphabet.apply(name, args))

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

    def _unknown_entry(self, e: Apply, letters: Mapping[Index, str]) -> Piece:
        """g(x)_j, or ∂y_j/∂x_k."""
        outputs = [self.position(i, letters) for i in (e.at if e.slot is None else e.at[: len(e.at) - self._inputs(e)])]
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

    def position(self, i: Expr, letters: Mapping[Index, str]) -> str:
        """A place on an axis: counted from 1 on paper, from 0 in the terminal."""
        if self.alphabet.name == "latex" and not isinstance(i, Index):
            i = place(from_one(i) + 1)
        return self.index(i, letters)

    def _entry(self, e: Entry, letters: Mapping[Index, str]) -> str:
        name = primal(e.tensor)
        node = self.graph[name if name is not None else e.tensor]
        shown = [i for i, d in zip(e.idx, node.shape) if not (d is ONE and i is ZERO)]
        inner = [self.position(i, letters) for i in shown]
        if self.numerator and name is not None and len(inner) == 2:
            inner.reverse()
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
        if self.alphabet.style.bold == "no" or primal(name) is not None or PLACE.match(symbol):
            return symbol
        return self.alphabet.mark(self.alphabet.tensor(name), self.roles.get(name, "node"))

    def _relation(self, e: Compare, letters: Mapping[Index, str]) -> str:
        args, fn = e.args, e.fn
        if self.alphabet.name == "latex" and not e.tensors and any(isinstance(i, Index) for i in e.free):
            args, fn = self._counted(args, fn)
        left, right = (self.index(a, letters) for a in args)
        return f"{left} {self.alphabet.relation(fn)} {right}"

    def _counted(self, args: tuple[Expr, ...], fn: str) -> tuple[tuple[Expr, ...], str]:
        """A comparison of places in letters that count from 1: i < 4 is i ≤ 4, i = 0 is i = 1."""
        left, right = args
        if isinstance(left, Index) and isinstance(right, Index):
            return args, fn
        if isinstance(left, Index) and not right.free:
            closer = {"<": "<=", ">=": ">"}.get(fn)
            return (left, right if closer else place(right + 1)), closer or fn
        return (place(from_one(left)), place(from_one(right))), fn

    def _range(self, low: Compare, high: Compare, letters: Mapping[Index, str]) -> str:
        """Two bounds in one: 0 ≤ i − p < m."""
        less, below = self.alphabet.relation("<="), self.alphabet.relation("<")
        inside = from_one(low.args[0]) if self.alphabet.name == "latex" else low.args[0]
        middle, end = self.index(inside, letters), self.index(high.args[1], letters)
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
            elif (divisor := below_the_line(f)) is not None:
                bottoms.append(divisor)
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
        if isinstance(e.base, Entry) and isinstance(e.exponent, Num) and self.alphabet.name == "latex":
            layer = f"{e.base.tensor}{e.exponent.value}"  # beside a W_2 the square of W is no W^2
            text = self.alphabet.bracket(text) if layer in self.graph.nodes and e.base.idx else text
        return Piece(self.alphabet.power(text, self.index(e.exponent, letters), False), POWER)

    def _reduction(self, e: Reduce, letters: Mapping[Index, str]) -> Piece:
        indices, body = e.open()
        inner = self.letters_for(indices, letters)
        names = [inner[i] for i in indices]
        shown = self.scalar(body, inner)
        if e.op == "sum":
            text = shown.text if isinstance(body, Reduce) and body.op == "sum" else self.wrap(shown, QUOTIENT)
            return Piece(self._sum_over(indices, body, inner, text), PRODUCT)
        if e.op in ("max", "min"):
            return Piece(self.alphabet.big_max(e.op, names, self.wrap(shown, POWER)), PRODUCT)
        at = [self.position(a, letters) for a in e.at]
        beside = sorted(body.free - set(indices), key=lambda i: letters.get(i, i.name))
        if e.op in ("softmax", "log_softmax"):
            array = self.matrix(body, (*beside, *indices)) if len(beside) < 2 else None
            if array is None:
                return self._share(e, names, shown, substitute(body, dict(zip(indices, e.at))), letters)
            whole = self.alphabet.apply(e.op.replace("_", " "), [array])
            return Piece(self.alphabet.subscripted(whole, [*(letters.get(i, i.name) for i in beside), *at], True))
        array = self.matrix(body, indices) if not beside else None
        if e.op == "inv":
            if isinstance(body, Entry) and body.idx == indices:  # A⁻¹[i,j] of a whole tensor
                return Piece(self.alphabet.subscripted(self.alphabet.inverse(self.tensor(body.tensor)), at, False))
            whole = self.alphabet.inverse(self.alphabet.bracket(array or shown.text))
            return Piece(self.alphabet.subscripted(whole, at, False))
        if e.op == "logsumexp":
            return Piece(self.alphabet.apply(e.op, [array])) if array is not None else self._log_sum(names, shown)
        whole = self.alphabet.apply("det", [array or shown.text])
        return Piece(whole if e.op == "det" else self.alphabet.apply("log", [self.alphabet.absolute(whole)]))

    def _sum_over(self, indices: tuple[Index, ...], body: Expr, inner: Mapping[Index, str], text: str) -> str:
        """Σ over letters; how far one runs that is no index by itself, as the k of U[2i + k], is written at its Σ."""
        places = (x.idx if isinstance(x, Entry) else x.at for x in walk(body) if isinstance(x, (Entry, Reduce, Apply)))
        seen = {i for indices in places for i in indices}
        for i in reversed([i for i in indices if i not in seen]):
            first = 1 if self.alphabet.name == "latex" else 0
            text = self.alphabet.range_sum(inner[i], str(first), self.index(place(i.dim - 1 + first), {}), text)
        plain = [inner[i] for i in indices if i in seen]
        return self.alphabet.big_sum(plain, text) if plain else text

    def _log_sum(self, names: list[str], shown: Piece) -> Piece:
        """log Σ_j exp z_j, of which every letter is seen."""
        total = self.alphabet.big_sum(names, self._function("exp", [shown.text], []).text)
        return Piece(self.alphabet.apply("log", [total]))

    def _share(self, e: Reduce, names: list[str], shown: Piece, here: Expr, letters: Mapping[Index, str]) -> Piece:
        """A softmax with every letter: exp z_k / Σ_j exp z_j, or its logarithm z_k − log Σ_j exp z_j."""
        one = self.scalar(here, letters)
        if e.op == "log_softmax":
            total = self._log_sum(names, shown)
            return Piece(f"{self.wrap(one, QUOTIENT)} {self.alphabet.minus} {total.text}", SUM)
        top = self._function("exp", [one.text], []).text
        total = Piece(self.alphabet.big_sum(names, self._function("exp", [shown.text], []).text), PRODUCT)
        below = total.text if self.alphabet.name == "latex" else self.wrap(total, ATOM)
        return Piece(self.alphabet.fraction(top, below), PRODUCT if self.alphabet.name == "latex" else QUOTIENT)


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
