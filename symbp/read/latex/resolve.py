"""What a tree means in one network: nodes of the parse tree to trees of a claim.

A value has index letters and array axes (claim.py); on paper a vector has two axes, n × 1 or 1 × n. A
product is walked from left to right: spans that a let names, sums and derivatives, indicators, calls, then
operators. What a juxtaposition is, is decided by names, then by what fits, never by what is true. A reading
that does not fit is kept with its first misfit, because a wrong formula may well not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction as Rational
from typing import TYPE_CHECKING, NamedTuple

from symbp import claim
from symbp.claim import Tree
from symbp.errors import nearest
from symbp.expr import Size
from symbp.read.latex.names import Ambiguous, Found, Symbols, free_letters, key
from symbp.read.latex.tree import (
    Atom,
    Bracket,
    List,
    Node,
    Nothing,
    Product,
    Relation,
    Scripts,
    Span,
    Sum,
    is_prime,
)
from symbp.read.latex.view import Evaluator, View

if TYPE_CHECKING:
    from collections.abc import Iterator


class Unread(Exception):
    """A part that has no meaning here; `kind` is the verdict of its claim."""

    def __init__(self, reason: str, span: Span = (0, 0), hint: str = "", kind: str = "unreadable") -> None:
        super().__init__(reason)
        self.reason, self.span, self.hint, self.kind = reason, span, hint, kind


class Value(NamedTuple):
    """A tree, its letters and axes; `shape` is None where it does not fit together."""

    tree: Tree
    letters: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = ()
    ones: str = ""  # "column" or "row": a vector of ones as long as its neighbour needs
    wide: bool = False  # a column times a row of ones, or the reverse: as wide as the left side
    jacobian: tuple[str, str] | None = None

    @property
    def is_scalar(self) -> bool:
        return self.shape is not None and all(n == 1 for n in self.shape)


FUNCTIONS = {
    "log": "log", "ln": "log", "exp": "exp", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "arctan": "arctan", "erf": "erf", "sigmoid": "sigmoid", "sigm": "sigmoid", "Sigmoid": "sigmoid",
    "logistic": "sigmoid", "relu": "relu", "ReLU": "relu", "Relu": "relu", "RELU": "relu", "softmax": "softmax",
    "Softmax": "softmax", "softplus": "softplus", "sgn": "sign", "sign": "sign", "abs": "abs", "tr": "trace",
    "Tr": "trace", "trace": "trace", "diag": "diag", "Diag": "diag", "det": "det", "logdet": "logdet",
    "logsumexp": "logsumexp", "lse": "logsumexp", "norm": "norm", "gelu": "gelu", "GELU": "gelu", "silu": "silu",
    "SiLU": "silu", "swish": "silu", "elu": "elu", "ELU": "elu", "selu": "selu", "softsign": "softsign",
    "mish": "mish", "mean": "mean", "sum": "sum", "sech": "sech", "max": "max", "min": "min", "coth": "coth",
    "log_softmax": "log_softmax", "leaky_relu": "leaky_relu", "LeakyReLU": "leaky_relu", "clip": "clip",
    "maximum": "maximum", "minimum": "minimum", "where": "where", "xlogy": "xlogy", "tril": "tril", "Tanh": "tanh",
    "prod": "prod", "logit": "logit", "sqrt": "sqrt", "outer": "outer", "dot": "dot", "step": "step", "inv": "inv",
    "vec": "vec",
}  # fmt: skip
_LETTER_FUNCTIONS = frozenset(
    ["f", "g", "h", "phi", "psi", "sigma", "varphi", "Phi", "varPhi", "sigma_1", "a", "F", "G"]
) | {"varsigma"}
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "!=", "=", "=="})
_ELEMENTWISE = frozenset({"odot", "circ", "bullet", "*"})
_MARKS = {
    "odot": r"\odot",
    "circ": r"\circ",
    "bullet": r"\bullet",
    "*": "*",
    "cdot": r"\cdot",
    "times": r"\times",
    "otimes": r"\otimes",
}


def _product_of(factors: Sequence[Node]) -> Node:
    if len(factors) == 1:
        return factors[0]
    return Product((factors[0].span[0], factors[-1].span[1]), tuple(factors), ("",) * len(factors))


def from_one(tree: Tree) -> Tree:
    """The same with letters as numbers that count from 1."""
    if tree.op == "letter":
        return claim.sum_([tree, claim.number(1, "1")])
    if tree.op in ("entry", "name", "number"):
        return tree
    return Tree(tree.op, tuple(map(from_one, tree.args)), tree.data)


def _behind_operators(node: Sum) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """`\\sum_i -2 x_i` is one summand: what stands behind a Σ may have a sign."""
    terms, signs = [node.terms[0]], [node.signs[0]]
    for term, sign in zip(node.terms[1:], node.signs[1:], strict=True):
        before = terms[-1]
        last = before.factors[-1] if isinstance(before, Product) else before
        if sign in ("-", "+") and big_operator(last) is not None:
            body = Sum(term.span, (term,), (sign,))
            inside = Bracket(term.span, "(", ")", body)
            heads = before.factors if isinstance(before, Product) else (before,)
            operators = before.operators if isinstance(before, Product) else ("",)
            terms[-1] = Product((before.span[0], term.span[1]), (*heads, inside), (*operators, ""))
        else:
            terms.append(term)
            signs.append(sign)
    return tuple(terms), tuple(signs)


@dataclass
class Reading:
    """One way of taking a formula. `loose` lets shapes broadcast, `order` is the precedence of ⊙."""

    loose: bool = False
    order: str = "last"
    notes: list[str] = field(default_factory=list)
    misfits: list[tuple[str, Span]] = field(default_factory=list)
    licence: bool = False  # a chain of Jacobians was put in order
    guesses: list[str] = field(default_factory=list)  # names that were only guessed
    columns: bool = False  # vectors are columns, whatever the network has
    computed: frozenset[str] = frozenset()  # letters of the left side that may run past the end of another tensor
    labels: frozenset[str] = (
        frozenset()
    )  # letters that are labels, not indices: the i of x_i in a network of one sample


class Resolver:
    """Reads expressions of one formula in one reading."""

    def __init__(
        self, symbols: Symbols, view: View, evaluator: Evaluator, text: str, reading: Reading, left: Sequence[str] = ()
    ) -> None:
        self.symbols, self.view, self.evaluator, self.text, self.reading = symbols, view, evaluator, text, reading
        self.left = left  # the letters of the left side
        self.square: Tree | None = None  # a matrix as large as the left side, where that is square
        self.bound: dict[str, str] = {}  # letters that a sum binds -> the size it runs to
        self.sets: dict[str, str] = {}  # letters of a sum over a set that is called like a size
        self.fresh = 0
        self.depth = 0

    # -------- plumbing

    def value(self, tree: Tree, span: Span = (0, 0), why: str = "") -> Value:
        """A tree with its axes; a misfit is remembered."""
        try:
            letters, shape = self.evaluator.shape(tree)
        except ValueError as error:
            if "how far the index" in str(error):  # δ_{ij}: another factor says it
                return Value(tree, tuple(sorted(free_letters(tree))), ())
            if all(self._fits(a) for a in tree.args):
                self.reading.misfits.append((why or str(error), span))
            return Value(tree, (), None)
        return Value(tree, letters, shape)

    def _fits(self, tree: Tree) -> bool:
        try:
            self.evaluator.shape(tree)
        except ValueError:
            return False
        return True

    def note(self, text: str) -> None:
        if text and text not in self.reading.notes:
            self.reading.notes.append(text)

    def guess(self, text: str) -> None:
        """A note on a name that may mean something else: where it does not fit, it is not the author's mistake."""
        self.note(text)
        if text:
            self.reading.guesses.append(text)

    def misfit(self, reason: str, node: Node) -> None:
        self.reading.misfits.append((reason, node.span))

    def words(self, node: Node) -> str:
        return " ".join(self.text[node.span[0] : node.span[1]].split())

    def letter(self) -> str:
        """An index letter that no formula contains."""
        self.fresh += 1
        return f"·{self.fresh}"

    def vector(self, tree: Tree, row: bool | None = None) -> Value:
        """A tree as it stands on paper: one axis becomes two."""
        found = self.value(tree)
        if found.shape is not None and len(found.shape) == 1:
            upright = self.reading.columns or not (self.view.rows if row is None else row)
            return self.value(claim.column(tree) if upright else claim.row(tree))
        return found

    def flat(self, value: Value) -> Tree:
        """The vector of a column or row, with one axis."""
        tree = value.tree
        if tree.op == "call" and tree.data[0] in ("column", "row"):
            return tree.args[0]
        every = ("slice", None, None, None)
        if value.shape is not None and len(value.shape) == 2 and value.shape[1] == 1:
            return claim.item(tree, (every, 0))
        if value.shape is not None and len(value.shape) == 2 and value.shape[0] == 1:
            return claim.item(tree, (0, every))
        return tree

    # -------- expressions

    def expression(self, node: Node) -> Value:
        self.depth += 1
        try:
            if self.depth > 200:
                raise Unread("this is nested too deeply", node.span)
            match node:
                case Sum():
                    return self._sum(node)
                case Product():
                    return self._product(list(node.factors), list(node.operators), node)
                case Relation(names=names) if "mid" not in names and all(n in _COMPARISONS for n in names):
                    return self._condition(node)
                case Nothing():
                    raise Unread("something is missing here", node.span)
                case List() | Relation():
                    raise Unread(f"{self.words(node)[:60]} is no formula", node.span)
            return self._product([node], [""], node)
        finally:
            self.depth -= 1

    def _sum(self, node: Sum) -> Value:
        terms, signs = _behind_operators(node)
        values = [self._identity(t, node) or self.expression(t) for t in terms]
        if any(s not in ("+", "-", "") for s in signs):
            raise Unread("± is no formula to check", node.span)
        if len(values) == 1:
            v = values[0]
            if signs[0] != "-":
                return v
            return self.value(claim.negative(v.tree), node.span)._replace(ones=v.ones, wide=v.wide)
        values = self._biases(values)
        self._addable(values, node)
        tree = claim.sum_([v.tree for v in values], [-1 if s == "-" else 1 for s in signs])
        return self.value(tree, node.span)

    def _is_bias(self, values: list[Value]) -> bool:
        return any(
            v.tree.op == "call" and v.tree.data[0] == "row" and v.tree.args[0].names <= self.view.added_to_rows
            for v in values
        )

    def _biases(self, values: list[Value]) -> list[Value]:
        """`X W + b` where the network adds b to every row: b is written as it stands there."""
        wide = [v.shape for v in values if v.shape is not None and len(v.shape) == 2 and 1 not in v.shape]
        if not wide:
            return values
        done = []
        for v in values:
            tree = v.tree
            if (
                tree.op == "call"
                and tree.data[0] == "column"
                and tree.args[0].op == "name"
                and tree.args[0].data[0] in self.view.added_to_rows
                and v.shape == (wide[0][1], 1)
            ):
                v = self.value(claim.row(tree.args[0]))
            done.append(v)
        return done

    def _addable(self, values: list[Value], node: Sum) -> None:
        shapes = [v.shape for v in values]
        if any(s is None for s in shapes):
            return
        widest = tuple(max(axis) for axis in zip(*(s for s in shapes if s is not None and len(s) == 2)))
        shapes = [widest if v.wide and v.shape and all(n in (1, m) for n, m in zip(v.shape, widest)) else v.shape
                  for v in values]  # fmt: skip
        long = [s for s in shapes if s is not None and any(n != 1 for n in s)]
        for n, shape in enumerate(long):
            if n and shape != long[0]:
                if shape == (1, long[0][-1]) and self._is_bias(values):
                    continue
                if (
                    self.reading.loose
                    and len(shape) == len(long[0])
                    and all(a == b or 1 in (a, b) for a, b in zip(shape, long[0]))
                ):
                    self.note(f"{self.words(node)[:60]}: a vector is added to every row or column")
                    continue
                self.misfit(f"{_by(long[0])} and {_by(shape)} cannot be added", node)
                return

    def _identity(self, term: Node, node: Sum) -> Value | None:
        """`I` beside a square matrix; `\\lambda I` too."""
        if isinstance(term, Product) and len(term.factors) > 1 and not any(term.operators):
            last = self._identity(term.factors[-1], node)
            if last is None:
                return None
            factor = self.expression(_product_of(term.factors[:-1]))
            return self.value(claim.product([factor.tree, last.tree]), term.span) if factor.is_scalar else None
        if not (
            (isinstance(term, Atom) and term.text in ("I",))
            or (isinstance(term, Scripts) and isinstance(term.base, Atom) and term.base.text == "I" and not term.sups)
        ):
            return None
        if self.symbols.symbol(term) is not None:
            return None
        for other in node.terms:
            if other is not term and term not in getattr(other, "factors", ()):
                v = self.expression(other)
                if v.shape is not None and len(v.shape) == 2 and v.shape[0] == v.shape[1]:
                    return self.unit(v.tree, term)
        return None

    def unit(self, like: Tree, node: Node) -> Value:
        """The unit matrix that is as large as a square matrix."""
        column = claim.item(like, (("slice", None, None, None), 0))
        return self.value(claim.alias(claim.call("diag", [claim.call("ones_like", [column])]), "I"), node.span)

    def _condition(self, node: Relation) -> Value:
        """A relation as 1 or 0."""
        sides = [self.expression(s) for s in node.sides]
        parts = []
        for n, name in enumerate(node.names):
            operator = {"=": "=="}.get(name, name)
            pair = [sides[n].tree, sides[n + 1].tree]
            if not all(t.op == "letter" for t in pair):  # on paper entries count from 1
                pair = [from_one(t) for t in pair]
            parts.append(claim.compare(operator, *pair))
        return self.value(parts[0] if len(parts) == 1 else claim.product(parts), node.span)

    # -------- products

    def _product(self, factors: list[Node], operators: list[str], node: Node) -> Value:
        items, ops, parts = self._items(factors, operators)
        return self._joined(items, ops, parts, node)

    def _items(self, factors: list[Node], operators: list[str]) -> tuple[list[Value], list[str], list[Node]]:
        """The factors of a product as values: spans, sums, derivatives, calls and atoms."""
        items: list[Value] = []
        ops: list[str] = []
        n = 0
        nodes: list[Node] = []
        while n < len(factors):
            node = factors[n]
            op = operators[n]
            run = 1
            while n + run < len(factors) and not operators[n + run]:
                run += 1
            value: Value | None = None
            used = 1
            try:
                spanned = self.symbols.span(factors[n : n + run])
            except Ambiguous as error:
                raise self._ambiguous(node, error) from None
            if spanned is None:
                compound = self.symbols.compound(node)
                spanned = None if compound is None else (1, compound)
            if spanned is not None:
                used, found = spanned
                value = self.named(found, self._around(factors[n : n + used]))
            if value is None:
                big = big_operator(node)
                if big is not None:
                    value, used = self.big(factors[n:], operators[n:])
                elif isinstance(node, Atom) and node.kind == "DOTS":
                    raise Unread("an ellipsis is no formula", node.span)
                else:
                    taken = (
                        self.derivative(factors[n:], operators[n:])
                        or self._indicator(factors[n : n + run])
                        or self._call(factors[n:], operators[n:])
                    )
                    if taken is not None:
                        value, used = taken
                    else:
                        value = self.factor(node)
            items.append(value)
            ops.append(op)
            nodes.append(self._around(factors[n : n + used]))
            n += used
        return items, ops, nodes

    def _around(self, nodes: Sequence[Node]) -> Node:
        if len(nodes) == 1:
            return nodes[0]
        return Product((nodes[0].span[0], nodes[-1].span[1]), tuple(nodes), ("",) * len(nodes))

    def _joined(self, items: list[Value], ops: list[str], parts: list[Node], node: Node) -> Value:
        """Operators: elementwise ones bind loosest, or from left to right, or tightest."""
        chained = self.chain_rule(items, ops, node)
        if chained is not None:
            return chained
        signed = [o.split(" ") for o in ops]
        items = [
            self.value(claim.negative(v.tree)) if len(s) > 1 and s[-1] == "-" else v
            for v, s in zip(items, signed, strict=True)
        ]
        ops = [s[0] for s in signed]
        order = self.reading.order
        if order == "last":
            groups: list[tuple[str, list[Value], list[str], list[Node]]] = [("", [items[0]], [""], [parts[0]])]
            for v, o, p in zip(items[1:], ops[1:], parts[1:], strict=True):
                if o in _ELEMENTWISE:
                    groups.append((o, [v], [""], [p]))
                else:
                    groups[-1][1].append(v)
                    groups[-1][2].append(o)
                    groups[-1][3].append(p)
            values = [self._run(vs, os, ps, node) for _, vs, os, ps in groups]
            marks = [g[0] for g in groups]
            return self._elementwise(values, marks, node)
        if order == "first":
            merged, marks, places = [items[0]], [""], [parts[0]]
            for v, o, p in zip(items[1:], ops[1:], parts[1:], strict=True):
                if o in _ELEMENTWISE:
                    merged[-1] = self._elementwise([merged[-1], v], ["", o], node)
                else:
                    merged.append(v)
                    marks.append(o)
                    places.append(p)
            return self._run(merged, marks, places, node)
        total, place = items[0], parts[0]
        for v, o, p in zip(items[1:], ops[1:], parts[1:], strict=True):
            total = (
                self._elementwise([total, v], ["", o], node)
                if o in _ELEMENTWISE
                else self._run([total, v], ["", o], [place, p], node)
            )
        return total

    def _elementwise(self, values: list[Value], marks: list[str], node: Node) -> Value:
        if len(values) == 1:
            return values[0]
        shapes = [v.shape for v in values if not v.is_scalar and v.shape is not None and not v.ones]
        if any(s != shapes[0] for s in shapes):
            reference = shapes[0]
            if len(values) == 2 and marks[1] == "*" and self.reading.loose and _chains(values[0], values[1]):
                self.note("* is read as the matrix product, because nothing else fits")
                return self.value(claim.chain([v.tree for v in values], "*"), node.span)
            if not (
                self.reading.loose
                and all(
                    len(s) == len(reference) and all(a == b or 1 in (a, b) for a, b in zip(s, reference))
                    for s in shapes
                )
            ):
                other = next(s for s in shapes if s != reference)
                self.misfit(f"elementwise product of {_by(reference)} and {_by(other)}", node)
            else:
                self.note("a vector is multiplied into every row or column")
        return self.value(claim.product([v.tree for v in values], mark=_MARKS[marks[1]]), node.span)

    def _run(self, items: list[Value], ops: list[str], parts: list[Node], node: Node) -> Value:
        """Juxtaposition, ·, × and /: scalars scale, matrices multiply in the first bracketing that fits."""
        scalars: list[tuple[Tree, int]] = []
        matrices: list[tuple[Value, str, Node]] = []
        n = 0
        while n < len(items):
            v, o, p = items[n], ops[n], parts[n]
            if o == "/" or o == "oslash":
                if v.is_scalar and v.shape == ():
                    scalars.append((v.tree, -1))
                else:
                    before = self._matrices(matrices, node) if matrices else None
                    matrices = []
                    if before is not None:
                        top = self.value(claim.product([before.tree, v.tree], [1, -1]), p.span)
                        self._same_shape(before, v, p)
                        matrices = [(top, "", p)]
                    elif v.is_scalar:
                        scalars.append((v.tree, -1))
                    else:
                        matrices = [(self.value(claim.product([v.tree], [-1])), "", p)]
            elif o in ("", "cdot", "times", "otimes"):
                if v.shape == () and not v.ones:
                    scalars.append((v.tree, 1))
                else:
                    matrices.append((v, o, p))
            elif o == "conv":
                raise Unread("a convolution is not read from LaTeX", p.span)
            else:
                raise Unread(f"the operator {o} is not read here", p.span)
            n += 1
        if not matrices:
            return self._scaled(scalars, None, node)
        return self._scaled(scalars, self._matrices(matrices, node), node)

    def _same_shape(self, a: Value, b: Value, node: Node) -> None:
        if a.shape is not None and b.shape is not None and not a.is_scalar and not b.is_scalar and a.shape != b.shape:
            if not self.reading.loose:
                self.misfit(f"{_by(a.shape)} is divided by {_by(b.shape)}", node)

    def _scaled(self, scalars: list[tuple[Tree, int]], rest: Value | None, node: Node) -> Value:
        if rest is not None and rest.ones:
            if scalars:
                tree = (
                    scalars[0][0]
                    if len(scalars) == 1 and scalars[0][1] == 1
                    else claim.product([t for t, _ in scalars], [p for _, p in scalars])
                )
                return self.value(tree, node.span)._replace(ones=rest.ones)
            return rest
        if not scalars:
            assert rest is not None
            return rest
        trees = [t for t, _ in scalars] + ([rest.tree] if rest is not None else [])
        powers = [p for _, p in scalars] + ([1] if rest is not None else [])
        if len(trees) == 1 and powers == [1]:
            return self.value(trees[0], node.span)
        if rest is not None and any(p < 0 for p in powers[:-1]):  # divisors stand last
            order = sorted(range(len(trees)), key=lambda i: powers[i] < 0)
            trees, powers = [trees[i] for i in order], [powers[i] for i in order]
        return self.value(claim.product(trees, powers), node.span)

    def _matrices(self, matrices: list[tuple[Value, str, Node]], node: Node) -> Value:
        """The first bracketing of a matrix product that fits."""
        if len(matrices) == 1:
            return matrices[0][0]
        left = self._fold(matrices)
        if left is not None:
            return left
        if len(matrices) <= 8:
            right = self._fold_right(matrices)
            if right is not None:
                return right
        total, _, place = matrices[0]
        for v, o, p in matrices[1:]:
            pair = self._pair(total, v, o, place, p)
            if pair is None:
                if total.shape is not None and v.shape is not None:
                    self.misfit(
                        f"product of {_by(total.shape)} and {_by(v.shape)} "
                        f"({self.words(place)[:40]}, then {self.words(p)[:40]})",
                        node,
                    )
                pair = Value(_chain(total, v, _MARKS.get(o, "")), (), None)
            total, place = pair, node
        return total

    def _fold(self, matrices: list[tuple[Value, str, Node]]) -> Value | None:
        total, _, place = matrices[0]
        for v, o, p in matrices[1:]:
            pair = self._pair(total, v, o, place, p)
            if pair is None:
                return None
            total, place = pair, self._around([place, p])
        return total

    def _fold_right(self, matrices: list[tuple[Value, str, Node]]) -> Value | None:
        total, o, place = matrices[-1]
        for v, before, p in reversed(matrices[:-1]):
            pair = self._pair(v, total, o, p, place)
            if pair is None:
                return None
            total, o, place = pair, before, self._around([p, place])
        return total

    def _pair(self, a: Value, b: Value, op: str, left: Node, right: Node) -> Value | None:
        """a times b, or None where it does not fit."""
        span = (left.span[0], right.span[1])
        mark = _MARKS.get(op, "")
        if a.ones or b.ones:
            return self._ones(a, b, span, mark)
        if a.shape is None or b.shape is None:
            return Value(_chain(a, b, mark), (), None)
        if a.wide and len(a.shape) == len(b.shape) == 2 and a.shape[1] == 1:  # u 1ᵀ B
            return self.value(claim.chain([a.tree, claim.call("sum", [b.tree], axis=0, keepdims=True)]), span)
        if b.wide and len(a.shape) == len(b.shape) == 2 and b.shape[0] == 1:  # A 1 vᵀ
            return self.value(claim.chain([claim.call("sum", [a.tree], axis=1, keepdims=True), b.tree]), span)
        if op == "otimes":
            if (
                len(a.shape) == len(b.shape) == 2
                and 1 in a.shape
                and 1 in b.shape
                and not (a.shape == b.shape and self.reading.loose)
            ):
                x = claim.column(self.flat(a))
                y = claim.row(self.flat(b))
                return self.value(claim.chain([x, y], mark), span)
            return self.value(claim.product([a.tree, b.tree], mark=mark), span) if a.shape == b.shape else None
        if a.shape == b.shape and op != "cdot" and self._idiom(left, right):
            return self.value(claim.product([a.tree, b.tree], mark=mark), span)
        if len(a.shape) == len(b.shape) == 2 and a.shape[1] == b.shape[0]:
            return self.value(_chain(a, b, mark), span)
        if a.is_scalar or b.is_scalar:
            return self.value(claim.product([a.tree, b.tree], mark=mark), span)
        if op == "cdot" and a.shape == b.shape and 1 in a.shape:
            x, y = (claim.transpose(a.tree), b.tree) if a.shape[1] == 1 else (a.tree, claim.transpose(b.tree))
            return self.value(claim.chain([x, y], mark), span)
        if (
            a.shape == b.shape
            and op == ""
            and (not self.view.has_matrix or (self.reading.loose and (a.letters or b.letters)))
        ):
            self.note(f"{self.words(left)[:30]} times {self.words(right)[:30]} is read entry by entry")
            return self.value(claim.product([a.tree, b.tree]), span)
        return None

    def _idiom(self, left: Node, right: Node) -> bool:
        """`A(1 − A)`, `σ(z)(1 − σ(z))`: a function's slope is written without ⊙."""
        last = left.factors[-1] if isinstance(left, Product) else left
        whole = [last]
        if isinstance(left, Product) and len(left.factors) > 1:
            whole += [left, self._around(left.factors[-2:])]
        if not (isinstance(right, Bracket) and isinstance(right.body, Sum) and len(right.body.terms) == 2):
            return False
        one, other = right.body.terms
        if not (isinstance(one, Atom) and one.text == "1"):
            one, other = other, one
        bare = {_unwrapped(key(w)) for w in whole}
        return isinstance(one, Atom) and one.text == "1" and _unwrapped(key(other)) in bare

    def _ones(self, a: Value, b: Value, span: Span, mark: str) -> Value | None:
        """1ᵀA, A 1, 1 1ᵀ."""
        if a.ones and b.ones:
            return a._replace(ones="matrix") if a.ones == "column" and b.ones == "row" else None
        if a.ones:
            if b.shape is None:
                return Value(b.tree, (), None)
            if a.ones == "row" and len(b.shape) == 2 and not (b.shape[0] == 1 < b.shape[1]):
                return self._times_ones(a, self.value(claim.call("sum", [b.tree], axis=0, keepdims=True), span))
            if a.ones == "column" and (b.is_scalar or (len(b.shape) == 2 and b.shape[0] == 1)):
                return self._times_ones(a, b)._replace(wide=True)
            return None
        if a.shape is None:
            return Value(a.tree, (), None)
        if a.is_scalar and a.shape == (1, 1) and b.ones == "column":  # (1ᵀ w) 1
            return self._times_ones(b, self.value(claim.call("sum", [a.tree]), span))._replace(ones=b.ones)
        if b.ones == "column" and len(a.shape) == 2 and not (a.shape[1] == 1 < a.shape[0]):
            return self._times_ones(b, self.value(claim.call("sum", [a.tree], axis=1, keepdims=True), span))
        if b.ones == "row" and (a.is_scalar or (len(a.shape) == 2 and a.shape[1] == 1)):
            return self._times_ones(b, a)._replace(wide=True)
        return None

    def _times_ones(self, ones: Value, value: Value) -> Value:
        """A value beside ones that have a factor of their own: (1/n) 1 times bᵀ."""
        factor = ones.tree
        if factor.op == "alias" and factor.args[0].op == "number" and factor.args[0].data[0] == 1:
            return value
        return self.value(claim.product([factor, value.tree]))

    def _length(self, name: str, axis: int) -> int:
        return self.evaluator.shape(claim.name(name))[1][axis]

    def _is_letter(self, word: str) -> bool:
        bare = word.rstrip("'")
        return (len(bare) == 1 and bare.isalpha()) or bare in ("ell", "alpha", "beta", "mu", "nu", "tau")

    def integer(self, name: str) -> int:
        """The length that a size name stands for, seen on a tensor that has it."""
        for node in self.view.graph.nodes.values():
            for k, d in enumerate(node.shape):
                if isinstance(d, Size) and d.name == name:
                    return self._length(node.name, k)
        raise ValueError(name)

    # -------- indicators

    def _indicator(self, factors: Sequence[Node]) -> tuple[Value, int] | None:
        """`1[h > 0]`, `\\mathbb{1}\\{y = k\\}`, `\\mathbf 1_{z > 0}`, `[h > 0]`."""
        node = factors[0]
        base = node.base if isinstance(node, Scripts) else node
        if isinstance(node, Bracket) and _holds_relation(node.body) and node.open in ("[", "(", "{", ""):
            if node.open == "(" or node.open == "":
                self.note(f"{self.words(node)[:40]} is read as 1 where it holds, else 0")
            return self.expression(node.body), 1
        if (
            isinstance(node, Bracket)
            and node.open == "["
            and isinstance(node.body, Bracket)
            and _holds_relation(node.body.body)
        ):
            return self.expression(node.body.body), 1
        one = isinstance(base, Atom) and (
            (base.text in ("1", "I") and base.kind in ("NUM", "LETTER")) or base.text in ("chi",)
        )
        if not one:
            return None
        if isinstance(node, Scripts) and len(node.subs) == 1:
            sub = node.subs[0]
            inner = sub.body if isinstance(sub, Bracket) else sub
            if _holds_relation(inner):
                held = Bracket(sub.span, "[", "]", inner)
                return (
                    self.factor(Scripts(node.span, held, (), node.sups)) if node.sups else self.expression(inner)
                ), 1
        if (
            len(factors) > 1
            and isinstance(factors[1], Bracket)
            and node is base
            and _holds_relation(_opened(factors[1].body))
        ):
            return self.expression(_opened(factors[1].body)), 2
        if len(factors) > 1 and node is base and isinstance(factors[1], Scripts) and not factors[1].subs:
            condition = factors[1].base  # 1[Z > 0]^T
            if isinstance(condition, Bracket) and _holds_relation(_opened(condition.body)):
                return self.factor(factors[1]), 2
        return None

    # -------- calls

    def _call(self, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
        """A function and its argument."""
        node = factors[0]
        base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
        bracketed = len(factors) > 1 and not operators[1] and argument_of(factors[1]) is not None
        if isinstance(base, Bracket) and base.open in ("(", "[") and any(is_prime(s) for s in sups) and bracketed:
            inner = base.body  # [f]'(h)
            if isinstance(inner, (Atom, Scripts)):
                merged = Scripts(
                    node.span,
                    inner.base if isinstance(inner, Scripts) else inner,
                    (*(inner.subs if isinstance(inner, Scripts) else ()), *subs),
                    (*(inner.sups if isinstance(inner, Scripts) else ()), *sups),
                )
                return self._call([merged, *factors[1:]], operators)
        if not isinstance(base, Atom):
            return None
        word = base.text
        if base.kind in ("FUN", "WORD") and word in FUNCTIONS and self._own(node) is None:
            return self.function(FUNCTIONS[word], node, factors, operators, bracketed)
        if base.kind == "WORD" and word in self.view.graph.functions and bracketed:
            return self.unknown_call(word, node, factors)
        if any(is_prime(x) for x in sups) and self.view.graph.style.get("transpose") == "prime":
            return None  # v'(w): the author writes transposes so
        if bracketed and (base.kind in ("LETTER", "WORD")):
            taken = self.node_call(node, factors)
            if taken is not None:
                return taken
        if base.kind == "LETTER" and bracketed and self._own(node) is None:
            if word == "D" or word == "E":
                return None
            unknown = self.symbols.functions.get(_plain_key(node)) or self.symbols.functions.get(word)
            if unknown is not None:
                return self.unknown_call(unknown, node, factors)
            if word in _LETTER_FUNCTIONS or any(is_prime(s) for s in sups):
                return self.activation(word, node, factors)
        if (
            base.kind == "LETTER"
            and not bracketed
            and any(is_prime(s) for s in sups)
            and word in ("f", "g", "sigma", "phi", "varphi")
        ):
            raise Unread(f"{self.words(node)} needs an argument", node.span)
        return None

    def _own(self, node: Node) -> Found | None:
        """Whether a symbol is a variable of the network or of the student."""
        base = node.base if isinstance(node, Scripts) else node
        try:
            found = self.symbols.symbol(node) or (
                self.symbols.symbol(base) if isinstance(base, Atom) and base.kind == "LETTER" else None
            )
        except Ambiguous:
            return None
        return found if found is not None and not (found.note and isinstance(base, Atom)) else None

    # -------- what the other modules of this folder read (formula.py puts them together)

    def factor(self, node: Node) -> Value:
        """A symbol, number, bracket, fraction or environment."""
        raise NotImplementedError

    def named(self, found: Found, node: Node) -> Value:
        """A tree that a symbol stands for, with its scripts."""
        raise NotImplementedError

    def big(self, factors: list[Node], operators: list[str]) -> tuple[Value, int]:
        """A sum, product or maximum over letters."""
        raise NotImplementedError

    def derivative(self, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
        """A derivative at the start of these factors."""
        raise NotImplementedError

    def chain_rule(self, items: list[Value], ops: list[str], node: Node) -> Value | None:
        """A product of whole Jacobians."""
        raise NotImplementedError

    def function(
        self, name: str, node: Node, factors: list[Node], operators: list[str], bracketed: bool
    ) -> tuple[Value, int] | None:
        """A function with a name."""
        raise NotImplementedError

    def node_call(self, node: Node, factors: list[Node]) -> tuple[Value, int] | None:
        """A node of the network, written as a function."""
        raise NotImplementedError

    def unknown_call(self, name: str, node: Node, factors: list[Node]) -> tuple[Value, int]:
        """A function that the network declares without saying what it is."""
        raise NotImplementedError

    def activation(self, word: str, node: Node, factors: list[Node]) -> tuple[Value, int]:
        """f, σ, φ where nothing has that name."""
        raise NotImplementedError

    def _ambiguous(self, node: Node, error: Ambiguous) -> Unread:
        return Unread(
            f"{self.words(node)} could be any of {', '.join(error.lets)}",
            node.span,
            f"Say which: --let '{self.words(node)} := ...'",
            "undefined",
        )

    def unknown(self, node: Node) -> Unread:
        """The error of a symbol that nothing explains, with the let that would help."""
        shown = self.words(node)
        near = nearest(key(node), [*self.symbols.spelled, *self.symbols.tensors])
        names = ", ".join(list(self.view.axes)[:12])
        hint = f"Say what it is: --let '{shown} := ...'"
        if near:
            close = self.symbols.spelled.get(near.split("'")[1], near.split("'")[1])
            hint = f"Did you mean {close}? Then: --let '{shown} := {close}'"
        return Unread(f"{shown} is not a name of this network ({names})", node.span, hint, "undefined")

    @contextmanager
    def also(self, letters: Sequence[str], bound: str = "") -> Iterator[None]:
        """These letters are bound too, by a sum that runs to `bound`."""
        saved = dict(self.bound)
        self.bound |= dict.fromkeys(letters, bound)
        try:
            yield
        finally:
            self.bound = saved


# ---------------------------------------------------------------- small things


def _plain_key(node: Node) -> str:
    """A function's name, without primes."""
    if not isinstance(node, Scripts):
        return key(node)
    return key(Scripts(node.span, node.base, node.subs, tuple(s for s in node.sups if not is_prime(s))))


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "a number"


def _chains(a: Value, b: Value) -> bool:
    return (
        a.shape is not None and b.shape is not None and len(a.shape) == len(b.shape) == 2 and a.shape[1] == b.shape[0]
    )


def _chain(a: Value, b: Value, mark: str) -> Tree:
    """a @ b; chains that were written without brackets are one."""
    first = a.tree.args if a.tree.op == "chain" and a.tree.data == mark else (a.tree,)
    second = b.tree.args if b.tree.op == "chain" and b.tree.data == mark else (b.tree,)
    return claim.chain([*first, *second], mark)


def argument_of(node: Node) -> tuple[Bracket, tuple[Node, ...], tuple[Node, ...]] | None:
    """The bracket of a call, and the scripts that belong to its result."""
    base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
    return (base, subs, sups) if isinstance(base, Bracket) and base.open in ("(", "[", "{", "") else None


def big_operator(node: Node) -> tuple[str, tuple[Node, ...], tuple[Node, ...]] | None:
    """A big operator with its bounds."""
    base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
    if isinstance(base, Atom) and base.kind == "BIGOP":
        return base.text, subs, sups
    if isinstance(base, Atom) and base.kind == "FUN" and base.text in ("max", "min") and subs:
        return base.text, subs, sups
    if isinstance(base, Atom) and base.text == "E" and base.font == "bb" and not sups:
        return "mean", subs, ()
    return None


def _holds_relation(node: Node) -> bool:
    node = _opened(node)
    return (
        isinstance(node, Relation)
        and all(n in _COMPARISONS for n in node.names)
        and not any(isinstance(s, Nothing) for s in node.sides)
    )


def _opened(node: Node) -> Node:
    return node.body if isinstance(node, Bracket) and node.open == "" else node


def _unwrapped(word: str) -> str:
    while word.startswith("(") and word.endswith(")"):
        word = word[1:-1]
    return word


def rational(text: str) -> Rational:
    return Rational(text)
