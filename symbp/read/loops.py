"""Loops and families of network files: `for l in range(1, L + 1):` and `a[l-1]`.

A `Families` knows which names are families, the loops that are open while a line is read, and the
shape that every member of a family has: it is learnt from the first piece that is declared (the
base case `a[0]`, or a definition), and every later piece has to agree. A size `n[l-1]` belongs to
a family of sizes. When the whole file is read, `order_problem` runs through the loops at small
numbers and looks for a member that is used before it exists.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from symbp.errors import DeclarationError, LimitError
from symbp.expr import MINUS_ONE, ONE, ZERO, Expr, Over, Size, add
from symbp.family import (
    Loop,
    below,
    generic_shape,
    member,
    mentions,
    piece,
    plain_number,
    shape_at,
    split,
)
from symbp.index import affine
from symbp.read.formula import FormulaReader
from symbp.sizes import shape_text
from symbp.tensor import Tensor, leaf

DEEPEST = 4  # loops inside loops


@dataclass
class Families:
    """What is known of families while a file is read."""

    formulas: FormulaReader
    open: list[Loop] = field(default_factory=list)
    ranks: dict[str, int] = field(default_factory=dict)  # family -> how many numbers it has
    shapes: dict[str, tuple[Expr, ...]] = field(default_factory=dict)  # in the numbers _1_, _2_, …
    variables: set[str] = field(default_factory=set)  # of all loops
    bounds: set[str] = field(default_factory=set)

    # -------- loops

    def loop(self, target: ast.expr, iterable: ast.expr, taken: Mapping[str, int]) -> Loop:
        """`l in range(1, L + 1)`; an unknown name in a bound is a symbolic bound."""
        error, words = self.formulas.error, self.formulas.source.words
        if not isinstance(target, ast.Name):
            raise error(target, "a loop has one variable", "Write for l in range(1, L + 1):")
        if target.id in taken or target.id in self.bounds:
            raise error(target, f"{target.id!r} is declared and cannot be a loop variable too", "Take another letter.")
        if any(target.id == loop.var for loop in self.open):
            raise error(target, f"{target.id!r} is already the variable of the loop around", "Take another letter.")
        call = iterable
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise error(iterable, f"a loop runs over a range, not over {words(iterable)[:40]!r}", "range(1, L + 1)")
        if call.keywords or not 1 <= len(call.args) <= 3:
            raise error(call, "range takes one to three numbers", "Write range(1, L + 1), or range(L, 0, -1).")
        numbers = [self.bound(a, taken) for a in call.args]
        step = numbers[2] if len(numbers) == 3 else ONE
        if step is not ONE and step is not MINUS_ONE:
            hint = "Write range(1, T + 1) or range(T, 0, -1)."
            raise error(call.args[2], "a loop goes forwards by 1 or backwards by 1", hint)
        start, stop = numbers[:2] if len(numbers) > 1 else (ZERO, numbers[0])
        if step is ONE:
            found = Loop(target.id, start, plain_number(add(stop, MINUS_ONE)))
        else:
            found = Loop(target.id, plain_number(add(stop, ONE)), start, down=True)
        ranges = {loop.var: loop for loop in self.open}
        if below(found.low, found.high, ranges) is False:
            raise error(call, f"{words(call)[:40]} is empty")
        self.variables.add(target.id)
        return found

    def bound(self, node: ast.expr, taken: Mapping[str, int]) -> Expr:
        """The end of a range."""
        scope = self.formulas.scope
        for part in ast.walk(node):
            if not isinstance(part, ast.Name) or part.id in scope.size_names or part.id in scope.constants:
                continue
            if part.id in taken:
                raise self.formulas.error(part, f"{part.id!r} is declared and cannot end a loop", "Take another name.")
            self.learn_bound(part)
        number = plain_number(self.formulas.size(node, exact=True))
        if affine(number) is None:
            raise self.formulas.error(node, "the end of a loop is a name plus a number, such as L + 1")
        return number

    def learn_bound(self, node: ast.Name) -> None:
        self.formulas.new_size(node)
        self.bounds.add(node.id)

    @contextmanager
    def inside(self, loop: Loop) -> Iterator[None]:
        """While the lines of a loop are read; its variable is a number there."""
        if len(self.open) >= DEEPEST:
            raise LimitError(f"at most {DEEPEST} loops may stand inside each other")
        names = self.formulas.scope.size_names
        known = loop.var in names
        self.open.append(loop)
        names.add(loop.var)
        self.formulas.scope.variables.add(loop.var)
        try:
            yield
        finally:
            self.open.pop()
            self.formulas.scope.variables.discard(loop.var)
            if not known:
                names.discard(loop.var)

    def over(self, node: ast.GeneratorExp, taken: Mapping[str, int]) -> Tensor:
        """`E[t] for t in range(1, T + 1)`, inside sum(...)."""
        if len(node.generators) != 1 or node.generators[0].ifs or node.generators[0].is_async:
            raise self.formulas.error(node, "a sum runs over one range, without conditions")
        part = node.generators[0]
        loop = self.loop(part.target, part.iter, taken)
        with self.inside(loop):
            inner = self.formulas.tensor(node.elt)
            if any(mentions(d, loop.var) for d in inner.shape):
                raise self.formulas.error(node.elt, f"the summands have different sizes: {shape_text(inner.shape)}")
        return Tensor(inner.shape, lambda idx: Over(loop.var, loop.low, loop.high, inner.entry(idx)))

    # -------- members

    def numbers(self, node: ast.Subscript) -> tuple[Expr, ...]:
        """`l - 1, t` of `h[l - 1, t]`."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found = []
        for part in parts:
            if isinstance(part, ast.Slice):
                raise self.formulas.error(part, "a family is numbered, not sliced", "Sum over it with sum(… for …).")
            number = plain_number(self.formulas.size(part, exact=True))
            parts_of = affine(number)
            if parts_of is None or any(abs(c) != 1 for atom, c in parts_of.items() if atom is not ONE):
                raise self.formulas.error(part, "the number of a member is a loop variable plus or minus a number")
            if sum(isinstance(a, Size) and a.name in self.variables for a in parts_of) > 1:
                raise self.formulas.error(part, "the number of a member holds one loop variable")
            found.append(number)
        return tuple(found)

    def name(self, node: ast.Subscript) -> str:
        """The name of the member, with the family's number of numbers."""
        assert isinstance(node.value, ast.Name)
        base, numbers = node.value.id, self.numbers(node)
        wanted = self.ranks.setdefault(base, len(numbers))
        if wanted != len(numbers):
            hint = "A part of a member is taken with a second bracket: a[l][0]." * (wanted < len(numbers))
            raise self.formulas.error(node, f"{base} has {wanted} numbers, not {len(numbers)}", hint)
        return member(base, numbers)

    def tensor(self, node: ast.Subscript) -> Tensor:
        """A member of a family in a formula."""
        name = self.name(node)
        base, numbers = split(name)
        shape = self.shapes.get(base)
        if shape is None:
            hint = f"Declare its base case before the loop: {member(base, [ZERO] * len(numbers))}: (…)."
            raise self.formulas.error(node, f"the size of {name} is not known here", hint)
        return leaf(name, shape_at(shape, numbers))

    def learn(self, name: str, shape: tuple[Expr, ...]) -> None:
        """A piece of a family and its shape, which has to agree with what is known."""
        base, numbers = split(name)
        known = self.shapes.get(base)
        if known is None:
            self.shapes[base] = generic_shape(shape, numbers)
            return
        expected = shape_at(known, numbers)
        sizes = self.formulas.sizes
        if len(expected) != len(shape) or not all(sizes.unify(a, b) for a, b in zip(expected, shape)):
            raise DeclarationError(
                f"{name} is {shape_text(shape)}, but by an earlier line it would be {shape_text(expected)}"
            )

    def target(self, node: ast.Subscript) -> tuple[str, tuple[Loop, ...], dict[str, Expr]]:
        """The left side of a line, as `piece` has it."""
        base, numbers = split(self.name(node))
        try:
            return piece(base, numbers, self.open)
        except ValueError as why:
            raise self.formulas.error(node, str(why), "Number it by every variable of the loops around.") from None


__all__ = ["Families"]
