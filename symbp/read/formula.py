"""One formula of the network language: a Python expression, read as a tensor.

The reader walks Python's syntax tree by hand; what it does not know it refuses with the place and
what to write instead. Names mean, in this order: tensors, constants, sizes, functions. Every
operation is one of tensor.py, arrange.py and layers.py, found in the table of functions.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from symbp import arrange, tensor
from symbp.arrange import Item, Slice
from symbp.errors import DeclarationError, LimitError, NoRule, ReadError, nearest
from symbp.expr import MINUS_ONE, ONE, Const, Expr, Num, Size, add, expr, mul, neg
from symbp.family import base_of, member, plain_number, shift, split
from symbp.graph import Signature
from symbp.ops import OPS
from symbp.read.functions import DIMENSIONS, EXACT_SIZES, FUNCTIONS, OTHER_NAMES, WORDS, Function
from symbp.read.names import name_problem
from symbp.read.source import Source, check_spelling
from symbp.sizes import Sizes, literal, polynomial, value_of
from symbp.tensor import Tensor, scalar

DEEPEST = 150
DIGITS = 50


@dataclass
class Scope:
    """What the names of a formula stand for."""

    sizes: Sizes = field(default_factory=Sizes)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, Num] = field(default_factory=dict)
    size_names: set[str] = field(default_factory=set)
    functions: dict[str, Signature] = field(default_factory=dict)  # the unknown ones
    families: set[str] = field(default_factory=set)  # of tensors or functions: numbered in brackets
    size_families: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)  # of the loops around the line that is read
    member: Callable[[ast.Subscript], Tensor] | None = None  # the tensor `a[l-1]`
    over: Callable[[ast.GeneratorExp], Tensor] | None = None  # the sum of `E[t] for t in range(…)`
    unknown: Callable[[str], tuple[str, str]] = lambda name: (f"{name!r} is not declared", "")

    taken: Callable[[str], bool] = lambda name: False  # by a line that has not been read yet

    def declared(self, name: str) -> bool:
        return name in self.tensors or name in self.constants or name in self.size_names


# ---------------------------------------------------------------- syntax that has another spelling

_OPERATORS: Mapping[type[ast.operator], Callable[[Sizes, Tensor, Tensor], Tensor]] = {
    ast.Mult: tensor.times,
    ast.Div: tensor.over,
    ast.MatMult: tensor.matmul,
    ast.Pow: tensor.power,
}
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_REFUSED: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.IfExp: ("`a if c else b` is not in the language", "Write where(c, a, b)."),
    ast.BoolOp: ("`and`, `or` are not in the language", "Comparisons are 0 or 1: multiply them."),
    ast.Lambda: ("functions cannot be defined in a network", "As a name, write lambda_ or lam: both show as λ."),
    ast.GeneratorExp: ("`… for … in …` stands inside sum( ) only", "Write sum(E[t] for t in range(1, T + 1))."),
    ast.ListComp: ("a comprehension is not in the language", ""),
    ast.SetComp: ("a comprehension is not in the language", ""),
    ast.DictComp: ("a comprehension is not in the language", ""),
    ast.JoinedStr: ("an f-string is not in the language", ""),
    ast.NamedExpr: ("`:=` is not in the language", "Give the node a line of its own."),
    ast.Await: ("await is not in the language", ""),
    ast.Yield: ("yield is not in the language", ""),
    ast.YieldFrom: ("yield is not in the language", ""),
    ast.Starred: ("`*` before an argument is not in the language", ""),
    ast.Dict: ("a dictionary is not in the language", ""),
    ast.Set: ("a set is not in the language", ""),
    ast.Tuple: ("several values at once are not in the language", "Give each node a line of its own."),
    ast.List: ("a list of values is not in the language", "Declare a leaf and give its value with --at."),
}
_REFUSED_OPERATORS: Mapping[type[ast.operator], tuple[str, str]] = {
    ast.BitXor: ("^ is not a power", "Write x**2."),
    ast.FloorDiv: ("// is not in the language", "Name the quotient: declare a size as 2*m."),
    ast.Mod: ("% is not in the language", ""),
    ast.BitAnd: ("& is not in the language", "Comparisons are 0 or 1: multiply them."),
    ast.BitOr: ("| is not in the language", "Comparisons are 0 or 1: maximum(a, b)."),
}


class FormulaReader:
    """Reads expressions of one source in one scope."""

    def __init__(self, source: Source, scope: Scope) -> None:
        self.source, self.scope, self.sizes = source, scope, scope.sizes
        self.depth = 0
        self.divisors: set[ast.expr] = set()

    def error(self, node: ast.AST, reason: str, hint: str = "") -> ReadError:
        return ReadError(reason, self.source.place(node), hint)

    def tensor(self, node: ast.expr) -> Tensor:
        """The tensor of an expression; every error leaves with its place."""
        read = self._READ.get(type(node))
        if read is None:
            reason, hint = _REFUSED.get(type(node), (f"{type(node).__name__} is not in the language", ""))
            raise self.error(node, reason, hint)
        self.depth += 1
        if self.depth > DEEPEST:
            raise LimitError(f"this is nested more than {DEEPEST} deep", self.source.place(node), "Name a part of it.")
        try:
            return read(self, node)
        except DeclarationError as error:
            if error.place is None:
                error.place = self.source.place(node)
            raise
        except NoRule as error:
            raise self.error(node, str(error)) from None
        finally:
            self.depth -= 1

    # -------- atoms

    def _name(self, node: ast.Name) -> Tensor:
        name, scope = node.id, self.scope
        found = scope.tensors.get(name)
        if found is not None:
            return found
        if name in scope.constants:
            return scalar(Const(name))
        if name in scope.size_names:
            return scalar(Size(name))
        check_spelling(name, node, self.source)
        if name == "pi":
            return scalar(Const("pi"))
        if name == "inf":
            raise self.error(node, "inf is only a fill inside where", "Write where(mask, x, -inf).")
        if name in WORDS:
            raise self.error(node, f"{name} is a function", f"Write {name}(...).")
        if name in scope.families or name in scope.size_families:
            raise self.error(node, f"{name!r} is a family, numbered in brackets", f"Write a member, such as {name}[1].")
        if node in self.divisors and re.fullmatch("[A-Z]", name) and not scope.taken(name):
            self.sizes.warnings.append(f"{name} is not declared and is read as a size")
            return scalar(self.new_size(node))
        reason, hint = scope.unknown(name)
        near = nearest(name, [*scope.tensors, *scope.constants, *scope.size_names])
        raise self.error(node, reason, hint or near)

    def new_size(self, node: ast.Name) -> Size:
        """A size that no declaration names, but a formula does: `/T`, `reshape(X, (P, k, Q, k))`."""
        problem = name_problem(node.id)
        if problem:
            raise self.error(node, problem)
        check_spelling(node.id, node, self.source)
        self.scope.size_names.add(node.id)
        self.sizes.names.add(node.id)
        return Size(node.id)

    def _constant(self, node: ast.Constant) -> Tensor:
        return scalar(self.number(node))

    def number(self, node: ast.Constant) -> Num:
        """The exact value of a literal: 0.1 is one tenth, and prints as it was written."""
        if type(node.value) not in (int, float):
            shown = type(node.value).__name__ if node.value is not Ellipsis else "..."
            raise self.error(node, f"{'a text' if shown == 'str' else shown} cannot stand here")
        words = self.source.words(node)
        mantissa = re.split("[eE]", words)[0] if isinstance(node.value, float) else words
        if len(mantissa) > DIGITS:
            raise LimitError(f"a number may have at most {DIGITS} digits", self.source.place(node))
        if isinstance(node.value, int):
            return Num(node.value)
        if node.value in (float("inf"), 0.0) and re.search("[1-9]", mantissa):
            raise LimitError("this number is too large or too small", self.source.place(node))
        return Num(Fraction(words), decimal=True)

    # -------- operators

    def _unary(self, node: ast.UnaryOp) -> Tensor:
        if isinstance(node.op, ast.USub):
            return tensor.negative(self.sizes, self.tensor(node.operand))
        if isinstance(node.op, ast.UAdd):
            return self.tensor(node.operand)
        raise self.error(node, "`not` and ~ are not in the language", "Write 1 - mask.")

    def _binary(self, node: ast.BinOp) -> Tensor:
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return self._sum(node)
        operate = _OPERATORS.get(type(node.op))
        if operate is None:
            raise self.error(node, *_REFUSED_OPERATORS.get(type(node.op), ("this operator is not in the language", "")))
        if isinstance(node.op, ast.Div) and isinstance(node.right, ast.Name):
            self.divisors.add(node.right)
        left, right = self.tensor(node.left), self.tensor(node.right)
        if isinstance(node.op, ast.MatMult) and left.ndim == right.ndim == 1:
            self._warn_inner(node)
        return self._explained(operate, node, (node.left, left), (node.right, right))

    def _sum(self, node: ast.BinOp) -> Tensor:
        """A chain of + and − as one sum: long chains are not deep."""
        parts: list[tuple[ast.expr, bool]] = []
        rest: ast.expr = node
        while isinstance(rest, ast.BinOp) and isinstance(rest.op, (ast.Add, ast.Sub)):
            parts.append((rest.right, isinstance(rest.op, ast.Sub)))
            rest = rest.left
        parts.append((rest, False))
        parts.reverse()
        signs = [minus for _, minus in parts]
        what = "-" if all(signs[1:]) else "+"

        def build(sizes: Sizes, *operands: Tensor) -> Tensor:
            return tensor.elementwise(
                sizes, what, lambda *e: add(*(neg(x) if m else x for x, m in zip(e, signs, strict=True))), *operands
            )

        return self._explained(build, node, *((p, self.tensor(p)) for p, _ in parts))

    def _explained(self, operate: Callable[..., Tensor], node: ast.AST, *operands: tuple[ast.expr, Any]) -> Tensor:
        """Apply an operation; if its sizes clash, say it with the operands as they were written."""
        try:
            return operate(self.sizes, *(x for _, x in operands))
        except DeclarationError:
            named = [x.named(self._short(part)) if isinstance(x, Tensor) and not x.text else x for part, x in operands]
            return operate(self.sizes, *named)

    def _short(self, node: ast.expr) -> str:
        words = self.source.words(node)
        compound = isinstance(node, (ast.BinOp, ast.Compare, ast.UnaryOp)) and not words.startswith("(")
        return "" if len(words) > 40 else f"({words})" if compound else words

    def _warn_inner(self, node: ast.BinOp) -> None:
        for side in (node.left, node.right):
            if isinstance(side, ast.Attribute) and side.attr == "T":
                a, b = (self.source.words(s).removesuffix(".T") for s in (node.left, node.right))
                self.sizes.warnings.append(
                    f"{self.source.words(node)} of two vectors is a dot product, a scalar, because .T of a vector "
                    f"does nothing; for the matrix write outer({a}, {b})"
                )
                return

    def _compare(self, node: ast.Compare) -> Tensor:
        sides = [(n, self.tensor(n)) for n in (node.left, *node.comparators)]
        result: Tensor | None = None
        for op, a, b in zip(node.ops, sides, sides[1:], strict=False):
            fn = _COMPARISONS.get(type(op))
            if fn is None:
                raise self.error(node, "`in` and `is` are not in the language")

            def compared(sizes: Sizes, x: Tensor, y: Tensor, fn: str = fn) -> Tensor:
                return tensor.compare(sizes, fn, x, y)

            one = self._explained(compared, node, a, b)
            result = one if result is None else tensor.times(self.sizes, result, one)
        assert result is not None
        return result

    def _attribute(self, node: ast.Attribute) -> Tensor:
        if node.attr == "T":
            return tensor.transpose(self.tensor(node.value))
        hint = f"Write {node.attr}({self.source.words(node.value)[:40]})." if node.attr in WORDS else ""
        raise self.error(node, f".{node.attr[:40]} is not in the language; only .T follows a dot", hint)

    def _subscript(self, node: ast.Subscript) -> Tensor:
        if isinstance(node.value, ast.Name) and node.value.id in self.scope.families and self.scope.member:
            return self.scope.member(node)
        if isinstance(node.value, ast.Name) and node.value.id in self.scope.size_families:
            return scalar(self.size(node))
        value = self.tensor(node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        items: list[Item] = []
        for part in parts:
            if isinstance(part, ast.Constant) and part.value is Ellipsis:
                items += [Slice()] * (value.ndim - sum(1 for p in parts if not _is_new_axis(p)) + 1)
            else:
                items.append(self._item(part))
                self._no_variable(part, "a place in a tensor")
        self._pin(value, items)
        return arrange.subscript(self.sizes, value, items)

    def _item(self, node: ast.expr) -> Item:
        if _is_new_axis(node):
            return arrange.NEW_AXIS
        if not isinstance(node, ast.Slice):
            return self.size(node, exact=True)
        if node.step is not None and self.size(node.step, exact=True) is not ONE:
            raise self.error(node, "a slice with a step is not in the language", "flip(x) turns an axis around.")
        low, high = (None if end is None else self.size(end, exact=True) for end in (node.lower, node.upper))
        return Slice(low, high)

    def _no_variable(self, node: ast.expr, what: str) -> None:
        """A loop variable numbers families, and stands in formulas; depth is no axis."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in self.scope.variables:
                hint = f"Number a family by it: x[{part.id}]: (…) declares one tensor for each {part.id}."
                raise self.error(node, f"the loop variable {part.id!r} cannot be {what}", hint)

    def _pin(self, x: Tensor, items: list[Item]) -> None:
        """A place given by number must stay where it is when a literal size would be shrunk."""
        axes = iter(x.shape)
        for item in items:
            if item is None:
                continue
            dim = next(axes, ONE)
            ends = (item.start, item.stop) if isinstance(item, Slice) else (item,)
            if any(isinstance(e, Num) and not -1 <= e.value <= 1 for e in ends):
                self.sizes.pin(dim)

    # -------- calls

    def _call(self, node: ast.Call) -> Tensor:
        if isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name):
            return self._family_call(node, node.func, node.func.value.id)
        if not isinstance(node.func, ast.Name):
            return self._attribute(node.func) if isinstance(node.func, ast.Attribute) else self._not_callable(node)
        name = node.func.id
        if name in self.scope.functions:
            self._no_keywords(node, name)
            signature = self.scope.functions[name]
            operands = [(a, self.tensor(a)) for a in node.args]
            return self._explained(lambda sizes, *x: tensor.apply_unknown(sizes, signature, *x), node, *operands)
        if self.scope.declared(name):
            raise self.error(node, f"{name!r} is declared in this network and is not a function here")
        if name == "einsum":
            return self._einsum(node)
        if name == "sum" and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp) and self.scope.over:
            self._no_keywords(node, name)
            return self.scope.over(node.args[0])
        function = FUNCTIONS.get(name)
        if function is not None:
            return self._known_call(node, name, function)
        if name in OPS:
            self._no_keywords(node, name)
            operands = [(a, self.tensor(a)) for a in node.args]
            return self._explained(lambda sizes, *x: tensor.apply(sizes, name, *x), node, *operands)
        check_spelling(name, node.func, self.source)
        hint = "" if name == "upstream" else OTHER_NAMES.get(name) or nearest(name, WORDS)
        if name == "upstream":
            raise self.error(node, "upstream stands alone on the last line", "Write L = upstream(y), y a name.")
        raise self.error(node.func, f"there is no function {name[:64]!r}", hint)

    def family_member(self, node: ast.Subscript) -> Tensor:
        """A member whose node is known by this very name: `h[0]`, `y[t]`."""
        assert isinstance(node.value, ast.Name)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        name = member(node.value.id, [plain_number(self.size(p, exact=True)) for p in parts])
        found = self.scope.tensors.get(name)
        if found is None:
            raise self.error(node, f"{name} is not declared", nearest(name, self.scope.tensors))
        return found

    def _family_call(self, node: ast.Call, func: ast.Subscript, base: str) -> Tensor:
        """`f[l](z[l])`: a member of a family of unknown functions."""
        declared = next((s for n, s in self.scope.functions.items() if base_of(n) == base and "[" in n), None)
        if declared is None:
            return self._not_callable(node)
        self._no_keywords(node, base)
        parts = func.slice.elts if isinstance(func.slice, ast.Tuple) else [func.slice]
        numbers = [plain_number(self.size(p, exact=True)) for p in parts]
        own = split(declared.name)[1]
        if len(own) != len(numbers):
            raise self.error(func, f"{base} has {len(own)} numbers, not {len(numbers)}")
        put = {repr(o): n for o, n in zip(own, numbers, strict=True)}
        signature = Signature(
            member(base, numbers),
            tuple(tuple(shift(d, put) for d in shape) for shape in declared.takes),
            tuple(shift(d, put) for d in declared.gives),
        )
        operands = [(a, self.tensor(a)) for a in node.args]
        return self._explained(lambda sizes, *x: tensor.apply_unknown(sizes, signature, *x), node, *operands)

    def _not_callable(self, node: ast.Call) -> Tensor:
        raise self.error(node, "only a function's name can be called")

    def _no_keywords(self, node: ast.Call, name: str) -> None:
        if node.keywords:
            raise self.error(node, f"{name} takes no argument {node.keywords[0].arg or '**'!r}")

    def _known_call(self, node: ast.Call, name: str, function: Function) -> Tensor:
        given = self._bound(node, name, function)
        values = {p: self._argument(p, a) for p, a in given.items()}
        options = {p: v for p, v in values.items() if p not in function.required}
        required = [(given[p], values[p]) for p in function.required]
        try:
            return self._explained(lambda sizes, *x: function.build(sizes, *x, **options), node, *required)
        except DeclarationError as error:
            if name in ("max", "min"):
                error.hint = error.hint or f"{name}imum(a, b) compares two tensors; {name}(x, axis=0) reduces one."
            raise

    def _bound(self, node: ast.Call, name: str, function: Function) -> dict[str, ast.expr]:
        """Parameters and the syntax given for them."""
        places = (*function.required, *function.optional)
        if len(node.args) > len(places):
            hint = f"Write {function.keywords[0]}=... by name." if function.keywords else ""
            raise self.error(node, f"{name} takes at most {len(places)} arguments, not {len(node.args)}", hint)
        given: dict[str, ast.expr] = dict(zip(places, node.args, strict=False))
        for keyword in node.keywords:
            key = keyword.arg or "**"
            if key not in places and key not in function.keywords:
                raise self.error(node, f"{name} has no argument {key!r}", nearest(key, [*places, *function.keywords]))
            if key in given:
                raise self.error(node, f"the argument {key!r} of {name} is given twice")
            given[key] = keyword.value
        for p in function.required:
            if p not in given:
                wanted = ", ".join(q.removesuffix("_fill") for q in function.required)
                raise self.error(node, f"{name} is called with too few arguments: it takes {wanted}")
        return given

    def _argument(self, parameter: str, node: ast.expr) -> Any:
        """The value of an argument, as its parameter wants it."""
        if parameter in ("axis", "axes"):
            return self._axis(node)
        if parameter == "keepdims":
            if isinstance(node, ast.Constant) and node.value in (True, False):
                return bool(node.value)
            raise self.error(node, "keepdims is True or False")
        if parameter in ("shape", "newshape"):
            for part in ast.walk(node) if parameter == "newshape" else ():
                self._learn_size(part)
            return self.shape(node, remainder=parameter == "newshape")
        if parameter in EXACT_SIZES:
            return self._window(parameter, node)
        if parameter in DIMENSIONS:
            return self.dimension(node)
        if parameter == "parts":
            if isinstance(node, (ast.Tuple, ast.List)):
                return [self.tensor(e) for e in node.elts]
            raise self.error(node, "the tensors to join stand in brackets", "Write concatenate((a, b), axis=0).")
        if parameter.endswith("_fill"):
            return self._fill(node)
        return self.tensor(node)

    def _axis(self, node: ast.expr) -> int | tuple[int, ...] | None:
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if isinstance(node, ast.Tuple):
            return tuple(self._whole(e) for e in node.elts)
        return self._whole(node)

    def _whole(self, node: ast.expr) -> int:
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            sign, node = -1, node.operand
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value < 100:
            return sign * node.value
        raise self.error(node, "an axis is a whole number such as 0, 1 or -1")

    def _learn_size(self, node: ast.AST) -> None:
        """A name in a new shape, or of a window, that means nothing else is a size."""
        if isinstance(node, ast.Name) and not self.scope.declared(node.id) and not self.scope.taken(node.id):
            self.new_size(node)

    def _window(self, parameter: str, node: ast.expr) -> Expr:
        self._learn_size(node)
        size = self.size(node, exact=True)
        known = value_of(size)
        if known is not None and known < (0 if parameter == "padding" else 1):
            raise self.error(node, f"{parameter} must not be {known}")
        return size

    def _fill(self, node: ast.expr) -> Tensor:
        """An argument of where, in which inf may stand."""
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        name = node.operand if isinstance(node, ast.UnaryOp) and negative else node
        if isinstance(name, ast.Name) and name.id == "inf" and not self.scope.declared("inf"):
            return scalar(neg(Const("inf")) if negative else Const("inf"))
        return self.tensor(node)

    def _einsum(self, node: ast.Call) -> Tensor:
        self._no_keywords(node, "einsum")
        if not node.args or not (isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)):
            raise self.error(node, "einsum begins with its letters", "Write einsum('ij,jk->ik', A, B).")
        subscripts = node.args[0].value
        operands = [(a, self.tensor(a)) for a in node.args[1:]]
        return self._explained(lambda sizes, *x: tensor.einsum(sizes, subscripts, *x), node, *operands)

    # -------- sizes

    def shape(self, node: ast.expr, remainder: bool = False) -> tuple[Expr, ...]:
        """`(N, D)`, `(n,)`, `()`, or `n` alone; `remainder` allows one −1."""
        parts = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
        if len(parts) > 12:
            raise LimitError("a tensor may have at most 12 axes", self.source.place(node))
        return tuple(MINUS_ONE if remainder and _is_minus_one(p) else self.dimension(p) for p in parts)

    def dimension(self, node: ast.expr) -> Expr:
        """The size of an axis: a size that is at least 1, a number as `sizes.literal` keeps it."""
        if not isinstance(node, ast.Subscript):
            self._no_variable(node, "a size")
        if type(node) is ast.Name and node.id in self.scope.size_names:
            return Size(node.id)
        size = self.size(node)
        known = value_of(size)
        if known is None:
            return size
        try:
            return literal(known)
        except DeclarationError as error:
            error.place = self.source.place(node)
            raise

    def size(self, node: ast.expr, exact: bool = False) -> Expr:
        """A size expression; its numbers stay numbers (`exact`), or become names of digits."""
        try:
            size = self._size(node, exact, 0)
            polynomial(size)
            return size
        except DeclarationError as error:
            if error.place is None:
                error.place = self.source.place(node)
            raise

    def _size(self, node: ast.expr, exact: bool, depth: int) -> Expr:
        if depth > 20:
            raise LimitError("a size is nested too deeply", self.source.place(node))
        if isinstance(node, ast.Name):
            return self._size_name(node, exact)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._size_member(node, node.value.id, depth)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return self._size_number(self.number(node), node, exact)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return neg(self._size(node.operand, True, depth + 1))
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
            left, right = (self._size(side, exact, depth + 1) for side in (node.left, node.right))
            if isinstance(node.op, ast.Mult):
                return mul(left, right)
            return add(left, neg(right) if isinstance(node.op, ast.Sub) else right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            power = node.right.value if isinstance(node.right, ast.Constant) else None
            if type(power) is int and 0 <= power <= 8:
                return mul(*[self._size(node.left, exact, depth + 1)] * power)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.FloorDiv)):
            raise self.error(node, "a size cannot be divided", "Declare the larger size as a multiple, such as 2*m.")
        shown = self.source.words(node)[:40]
        raise self.error(node, f"{shown!r} is not a size: a name, a positive whole number, or + - * of them")

    def _size_member(self, node: ast.Subscript, base: str, depth: int) -> Expr:
        """`n[l-1]`, a size of a family of sizes."""
        if base not in self.scope.size_families:
            known = f"{base!r} is a tensor" if base in self.scope.families else f"the size {base!r} is not declared"
            raise self.error(node, f"{known} and cannot be a size" if base in self.scope.families else known)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return Size(member(base, [plain_number(self._size(p, True, depth + 1)) for p in parts]))

    def _size_name(self, node: ast.Name, exact: bool) -> Expr:
        name = node.id
        if name in self.scope.size_names:
            return Size(name)
        if name in self.scope.constants:
            return self._size_number(self.scope.constants[name], node, exact)
        if name in self.scope.tensors:
            raise self.error(node, f"{name!r} is a tensor and cannot be a size")
        raise self.error(node, f"the size {name!r} is not declared", nearest(name, self.scope.size_names))

    def _size_number(self, number: Num, node: ast.AST, exact: bool) -> Expr:
        if number.value.denominator != 1:
            raise self.error(node, f"a size must be a positive whole number, not {number!r}")
        value = int(number.value)
        if abs(value) > 10**6:
            raise LimitError(f"the size {value} is larger than the limit {10**6}", self.source.place(node))
        return expr(value) if exact or value < 1 else literal(value)

    _READ: Mapping[type[ast.AST], Callable[[FormulaReader, Any], Tensor]] = {
        ast.Name: _name,
        ast.Constant: _constant,
        ast.UnaryOp: _unary,
        ast.BinOp: _binary,
        ast.Compare: _compare,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.Call: _call,
    }


def _is_new_axis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_minus_one(node: ast.expr) -> bool:
    one = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and node.operand
    return isinstance(one, ast.Constant) and type(one.value) is int and one.value == 1
