"""Trees of claims as tensors of the engine: what one entry of a formula is.

A claim keeps the student's notation: columns, index letters, Σ over letters. Here it becomes a `Tensor`, a shape and
the expression of one entry, as the lines of a network are, so that the laws of symbp/prove.py can be applied to it.
An index letter is one `Index`, made where the letter first stands at an axis and shared by all sides of a claim.
What has no such meaning raises `NoEntry`; nothing is simplified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, reduce
from typing import Any

from symbp import arrange, tensor
from symbp.arrange import Item, Slice
from symbp.claim import Tree
from symbp.errors import SymbpError
from symbp.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Const,
    Expr,
    Index,
    Num,
    Pow,
    Reduce,
    Size,
    add,
    expr,
    fresh,
    mul,
    neg,
    substitute,
    total,
)
from symbp.graph import Graph, adjoint
from symbp.ops import OPS
from symbp.read.functions import DIMENSIONS, EXACT_SIZES, FUNCTIONS
from symbp.sizes import Sizes, literal
from symbp.tensor import Tensor, leaf, scalar


class NoEntry(ValueError):
    """The tree is no tensor of the engine."""


class Entries:
    """Lowers the sides of one claim about one network."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.sizes = graph, Sizes()
        self.letters: dict[str, Index] = {}

    @cached_property
    def _size_names(self) -> frozenset[str]:
        return frozenset(n for n in self.graph.sizes if not n.isdigit()) | frozenset(self.graph.relations)

    def __call__(self, tree: Tree) -> Tensor:
        """The tensor of a tree; raises NoEntry. Its entries are made when they are asked for, and may raise errors of
        symbp's own."""
        try:
            return self._tensor(tree)
        except (SymbpError, RecursionError, KeyError, IndexError) as problem:
            raise NoEntry(str(problem)) from None

    def _tensor(self, tree: Tree) -> Tensor:
        read = self._READ.get(tree.op)
        if read is None:
            raise NoEntry(tree.op)
        return read(self, tree)

    # ---- atoms

    def _number(self, tree: Tree) -> Tensor:
        if isinstance(tree.data[0], float):
            raise NoEntry("a float")
        return scalar(Num(tree.data[0]))

    def _name(self, tree: Tree) -> Tensor:
        name = tree.data[0]
        if name in self.graph.nodes:
            return leaf(name, self.graph[name].shape)
        if name in self.graph.constants or name == "pi":
            return scalar(Const(name))
        if name in self._size_names:
            return scalar(Size(name))
        raise NoEntry(name)

    def _gradient(self, tree: Tree) -> Tensor:
        node = tree.data[0]
        return leaf(adjoint(node), self.graph[node].shape)

    def _letter(self, tree: Tree) -> Tensor:
        if tree.data[0] not in self.letters:
            raise NoEntry("nothing says how far the index runs")
        return scalar(self.letters[tree.data[0]])

    # ---- arithmetic

    def _sum(self, tree: Tree) -> Tensor:
        def build(*terms: Expr) -> Expr:
            return add(*(x if s > 0 else neg(x) for x, s in zip(terms, tree.data, strict=True)))

        return tensor.elementwise(self.sizes, "+", build, *map(self._tensor, tree.args))

    def _product(self, tree: Tree) -> Tensor:
        def build(*factors: Expr) -> Expr:
            pairs = zip(factors, tree.data[0], strict=True)
            return mul(*(x if p > 0 else Pow(x, MINUS_ONE) for x, p in pairs))

        return tensor.elementwise(self.sizes, "*", build, *map(self._tensor, tree.args))

    def _chain(self, tree: Tree) -> Tensor:
        return reduce(lambda a, b: tensor.matmul(self.sizes, a, b), map(self._tensor, tree.args))

    def _transpose(self, tree: Tree) -> Tensor:
        return tensor.transpose(self._tensor(tree.args[0]))

    def _power(self, tree: Tree) -> Tensor:
        base, exponent = map(self._tensor, tree.args)
        return tensor.power(self.sizes, base, exponent)

    def _compare(self, tree: Tree) -> Tensor:
        left, right = map(self._tensor, tree.args)
        return tensor.compare(self.sizes, tree.data, left, right)

    def _alias(self, tree: Tree) -> Tensor:
        return self._tensor(tree.args[0])

    # ---- calls

    def _call(self, tree: Tree) -> Tensor:
        name, options = tree.data
        if name in ("column", "row"):
            x = self._tensor(tree.args[0])
            if x.ndim != 1:
                raise NoEntry("no vector")
            k = 0 if name == "column" else 1
            return Tensor((*x.shape, ONE) if k == 0 else (ONE, *x.shape), lambda idx: x.entry((idx[k],)))
        if name == "einsum":
            return tensor.einsum(self.sizes, dict(options)["letters"], *map(self._tensor, tree.args))
        if name not in FUNCTIONS:
            if name not in OPS or options:
                raise NoEntry(name)
            return tensor.apply(self.sizes, name, *map(self._tensor, tree.args))
        function, words = FUNCTIONS[name], dict(options)
        places = (*function.required, *function.optional)
        if not len(function.required) <= len(tree.args) <= len(places) or not set(words) <= {"axis", "keepdims"}:
            raise NoEntry(name)
        operands = [self._argument(p, a) for p, a in zip(places, tree.args, strict=False)]
        n = len(function.required)
        return function.build(self.sizes, *operands[:n], **dict(zip(places[n:], operands[n:], strict=False)), **words)

    def _argument(self, parameter: str, tree: Tree) -> Any:
        """The value of an argument, as its parameter wants it."""
        parts = tree.args if tree.op == "call" and tree.data == ("tuple", ()) else (tree,)
        if parameter in ("shape", "newshape"):
            return tuple(self._size(x, True) for x in parts)
        if parameter == "parts":
            return [self._tensor(x) for x in parts]
        if parameter == "axes":
            return tuple(self._whole(x) for x in parts)
        if parameter == "axis":
            return self._whole(tree)
        if parameter in EXACT_SIZES or parameter in DIMENSIONS:
            return self._size(tree, parameter in DIMENSIONS)
        return self._tensor(tree)

    def _size(self, tree: Tree, axis: bool) -> Expr:
        """A size: of an axis, where numbers are kept as sizes.literal keeps them."""
        size = tensor.value(self._tensor(tree))
        if not isinstance(size, Num) or not axis or size.value == -1:
            return size
        return literal(self._whole(tree))

    def _whole(self, tree: Tree) -> int:
        value = tensor.value(self._tensor(tree))
        if isinstance(value, Num) and value.value.denominator == 1:
            return int(value.value)
        raise NoEntry("no whole number")

    # ---- letters and axes

    def _at(self, letter: str, size: Expr) -> Index:
        found = self.letters.setdefault(letter, fresh(size))
        if not self.sizes.same(found.dim, size):
            raise NoEntry(f"{letter} runs over two sizes")
        return found

    def _entry(self, tree: Tree) -> Tensor:
        x = self._tensor(tree.args[0])
        if "*" in tree.data or len(tree.data) > x.ndim:
            raise NoEntry("an index that is computed")
        kept: list[Expr] = []
        places: list[Expr | None] = []
        for k, size in enumerate(x.shape):
            index = tree.data[k] if k < len(tree.data) else ":"
            if index == ":":
                kept.append(size)
                places.append(None)
            else:
                places.append(expr(index) if isinstance(index, int) else ZERO if size is ONE else self._at(index, size))

        def entry(idx: tuple[Expr, ...]) -> Expr:
            rest = iter(idx)
            return x.entry(tuple(next(rest) if p is None else p for p in places))

        return Tensor(tuple(kept), entry)

    def _item(self, tree: Tree) -> Tensor:
        items: list[Item] = []
        for x in tree.data:
            if x is None or isinstance(x, int):
                items.append(arrange.NEW_AXIS if x is None else expr(x))
            elif isinstance(x, tuple) and x[3] in (None, 1) and all(e is None or isinstance(e, int) for e in x[1:3]):
                items.append(Slice(*(None if end is None else expr(end) for end in x[1:3])))
            else:
                raise NoEntry("an index")
        return arrange.subscript(self.sizes, self._tensor(tree.args[0]), items)

    def _over(self, tree: Tree) -> Tensor:
        kind, letters = tree.data
        outer = {x: self.letters.pop(x) for x in letters if x in self.letters}
        parts = [self._tensor(a) for a in tree.args]
        if not all(x in self.letters for x in letters):
            raise NoEntry("a sum over nothing")
        bound = [self.letters.pop(x) for x in letters]
        self.letters |= outer
        body = parts[0]
        if len(parts) == 2:
            if kind != "sum":
                raise NoEntry("a condition")
            body = tensor.times(self.sizes, body, parts[1])
        close = _CLOSE.get(kind)
        if close is None:
            raise NoEntry(kind)
        return Tensor(body.shape, lambda idx: close(bound, body.entry(idx)))

    def _array(self, tree: Tree) -> Tensor:
        outer = {x: self.letters.pop(x) for x in tree.data if x in self.letters}
        body = self._tensor(tree.args[0])
        letters = [self.letters.pop(x) for x in tree.data]
        self.letters |= outer
        n = len(letters)

        def entry(idx: tuple[Expr, ...]) -> Expr:
            return substitute(body.entry(idx[n:]), dict(zip(letters, idx[:n], strict=True)))

        return Tensor((*(x.dim for x in letters), *body.shape), entry)

    _READ: Mapping[str, Callable[[Entries, Tree], Tensor]] = {
        "number": _number, "name": _name, "gradient": _gradient, "letter": _letter, "sum": _sum, "product": _product,
        "chain": _chain, "transpose": _transpose, "power": _power, "compare": _compare, "alias": _alias, "call": _call,
        "entry": _entry, "item": _item, "over": _over, "array": _array,
    }  # fmt: skip


def _mean(letters: list[Index], body: Expr) -> Expr:
    return mul(total(letters, body), Pow(mul(*(i.dim for i in letters)), MINUS_ONE))


_CLOSE: Mapping[str, Callable[[list[Index], Expr], Expr]] = {
    "sum": total,
    "mean": _mean,
    "max": lambda letters, body: Reduce("max", letters, body),
    "min": lambda letters, body: Reduce("min", letters, body),
}
