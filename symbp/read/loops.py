"""Loops and families of network files: `for l in range(1, L + 1):` and `a[l-1]`.

A `Families` knows which names are families, the loops that are open while a line is read, and the
shape that every member of a family has: it is learnt from the first piece that is declared (the
base case `a[0]`, or a definition), and every later piece has to agree. A size `n[l-1]` belongs to
a family of sizes. When the whole file is read, `order_problem` runs through the loops at small
numbers and looks for a member that is used before it exists.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from symbp.errors import DeclarationError, LimitError
from symbp.expr import MINUS_ONE, ONE, ZERO, Expr, Num, Over, Size, add, rebuild
from symbp.family import (
    Block,
    Loop,
    Turn,
    base_of,
    below,
    member,
    mentions,
    number_text,
    plain_number,
    shift,
    shift_name,
    shift_number,
    split,
    turns,
    unrolled,
)
from symbp.graph import Node
from symbp.index import affine
from symbp.read.formula import FormulaReader
from symbp.sizes import shape_text
from symbp.tensor import Tensor, leaf

DEEPEST = 4  # loops inside loops
TRIED = (3, 4)  # numbers at which the order of a file is looked at


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
        self.formulas._new_size(node)
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
        return leaf(name, _at(shape, numbers))

    def learn(self, name: str, shape: tuple[Expr, ...]) -> None:
        """A piece of a family and its shape, which has to agree with what is known."""
        base, numbers = split(name)
        known = self.shapes.get(base)
        if known is None:
            self.shapes[base] = _generic(shape, numbers)
            return
        expected = _at(known, numbers)
        sizes = self.formulas.sizes
        if len(expected) != len(shape) or not all(sizes.unify(a, b) for a, b in zip(expected, shape)):
            raise DeclarationError(
                f"{name} is {shape_text(shape)}, but by an earlier line it would be {shape_text(expected)}"
            )

    def target(self, node: ast.Subscript) -> tuple[str, tuple[Loop, ...], dict[str, Expr]]:
        """The left side of a line: the piece's name in its own variables, their ranges, and what
        the loops' variables are in them: `h[t+1]` in a loop over t is h[t], and that t is t − 1."""
        base, numbers = split(self.name(node))
        variables = {loop.var: loop for loop in self.open}
        own: dict[str, Expr] = {}
        loops: list[Loop] = []
        for n in numbers:
            parts = affine(n) or {}
            var = next((a.name for a in parts if isinstance(a, Size) and a.name in variables), "")
            if not var:
                continue
            if var in own:
                raise self.formulas.error(node, f"{var} numbers {base} twice", "One number for each loop variable.")
            rest = {a: c for a, c in parts.items() if not (isinstance(a, Size) and a.name == var)}
            if rest.keys() - {ONE}:
                raise self.formulas.error(node, "a left side is numbered by its variable, plus or minus a number")
            by = Num(rest.get(ONE, ZERO.value))
            own[var] = plain_number(Size(var) - by)
            loop = variables[var]
            low, high = (plain_number(e + by) for e in (loop.low, loop.high))
            loops.append(Loop(var, low, high, loop.down))
        missing = [v for v in variables if v not in own]
        if missing:
            raise self.formulas.error(
                node,
                f"{member(base, numbers)} would be defined anew for every {missing[0]}",
                f"Number it by {missing[0]} too, or move the line out of the loop.",
            )
        order = {loop.var: n for n, loop in enumerate(self.open)}
        loops = [Loop(x.var, shift_number(x.low, own), shift_number(x.high, own), x.down) for x in loops]
        loops.sort(key=lambda x: order[x.var])
        put = {v: e for v, e in own.items() if e is not Size(v)}
        return shift_name(member(base, numbers), put), tuple(loops), put


def _placeholder(n: int) -> str:
    return f"_{n}_"


def _generic(shape: Sequence[Expr], numbers: Sequence[Expr]) -> tuple[Expr, ...]:
    """The shape of a member as a shape of every member: n[0] of a[0] is n[_0_]."""
    known = {number_text(n): Size(_placeholder(k)) for k, n in reversed(list(enumerate(numbers)))}
    variables = {
        a.name: Size(_placeholder(k)) - Num(affine(n).get(ONE, 0))  # type: ignore[union-attr]
        for k, n in enumerate(numbers)
        for a in affine(n) or {}
        if isinstance(a, Size)
    }

    def general(size: Size) -> Expr:
        base, own = split(size.name)
        if not own:
            return size
        return Size(member(base, (known.get(number_text(n)) or shift_number(n, variables) for n in own)))

    def walk_size(e: Expr) -> Expr:
        if isinstance(e, Size):
            return general(e)
        return rebuild(e, map(walk_size, e.args)) if e.args else e

    return tuple(map(walk_size, shape))


def _at(shape: Iterable[Expr], numbers: Sequence[Expr]) -> tuple[Expr, ...]:
    put = {_placeholder(k): n for k, n in enumerate(numbers)}
    return tuple(shift(d, put) for d in shape)


# -------- the order


def order_problem(nodes: Mapping[str, Node], blocks: Sequence[Turn | Block], bounds: Iterable[str]) -> tuple[str, str]:
    """The first member that is used before it is there, or defined twice, in words, and the line's
    node; else empty texts."""
    for size in TRIED:
        known: set[str] = set()
        for name, at in turns(blocks, dict.fromkeys(bounds, size)):
            node = nodes[name]
            one = shift_name(name, {n: Num(v) for n, v in at.items()})
            if one in known:
                return f"{one} is defined twice", name
            for used in sorted(unrolled(node.body, at).tensors) if node.body is not None else ():
                if used not in known:
                    return _missing(used, one, nodes), name
            known.add(one)
    return "", ""


def _missing(used: str, one: str, nodes: Mapping[str, Node]) -> str:
    pieces = [n for n in nodes if base_of(n) == base_of(used)]
    there = f"{base_of(used)} has {', '.join(pieces)}" if pieces else "nothing of that name is declared"
    return f"{one} needs {used}, which is not there (yet): {there}"


__all__ = ["Families", "order_problem"]
