"""A derivation of symbolic depth as a NumPy module: `forward` and `backward` with its loops.

The loops are those of the network; `backward` runs them in the other direction, with an `if` where
a tensor has a base case. A family is a dictionary by number: `W[1]`, …, `W[L]`, or by a pair of
numbers, `h[l, t]`. What a loop needs of sizes it reads off the shapes of the arguments.

As in program.py, no text of a stranger gets into the code but names that are checked to be
identifiers, and the title, escaped.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from symbp import __version__
from symbp.errors import NoRule
from symbp.expr import Expr, Over, Size
from symbp.expr import walk as visit
from symbp.family import (
    Block,
    Loop,
    Turn,
    base_of,
    plain_number,
    shift,
    shift_name,
    shift_number,
    solve,
    split,
)
from symbp.form import Form, NotReducible
from symbp.graph import Graph, Node, adjoint, primal
from symbp.helpers import HELPERS
from symbp.index import same_size
from symbp.numpy_code import NumpyPrinter, Text
from symbp.program import INDENT, WIDTH, Names, constants_of, escaped, filled, helpers_in, imports_of, terms, word_in
from symbp.steps import Adjoint, Derivation
from symbp.windows import WindowEmitter


def loop_module(derivation: Derivation) -> str:
    """The text of a module with `forward` and `backward` for any depth.

    Raises NoRule, naming the tensor, for what has no form in NumPy."""
    return _LoopProgram(derivation).text()


class _LoopProgram:
    """The lines of both functions."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation, self.graph = derivation, derivation.graph
        if self.graph.functions:
            unknown = ", ".join(dict.fromkeys(map(base_of, self.graph.functions)))
            raise NoRule(f"No program can be written for {self.graph.name}: {unknown} is unknown.")
        self.emitter = WindowEmitter(self.graph)
        self.names = _names(self.graph)
        self.printer = _Printer(self.graph, self.names)
        self.bases = list(dict.fromkeys(base_of(n) for n in self.graph.nodes))
        leaves = dict.fromkeys(base_of(n.name) for n in self.graph.leaves)
        self.arguments = [*leaves, *(f"size {b}" for b in self.graph.bounds)]

    # -- lines --

    def statement(self, target: str, e: Expr, node: Node) -> list[str]:
        """`target = e`, broken before the operators of its outermost sum if it is long."""
        axes = tuple(a if a in node.indices else None for a in node.axes)
        try:
            x = self.emitter.exactly(e, axes)
        except NotReducible as why:
            raise NoRule(f"{target} has no form in NumPy that symbp knows ({why}).") from None
        piece = self.printer.piece(x)
        text = f"({piece.text}).astype(float)" if x.is_truth else piece.text
        whole = f"{target} = {text}"
        if len(whole) <= WIDTH - 3 * len(INDENT) or x.kind != "add":
            return [whole]
        return [f"{target} = (", *(INDENT + t for t in terms(text)), ")"]

    def name(self, tensor: str) -> str:
        return self.printer.tensor(tensor)

    def forward(self) -> list[str]:
        lines: list[str] = []
        leaves = {base_of(n.name) for n in self.graph.leaves}
        families = dict.fromkeys(base_of(n.name) for n in self.graph.inner if "[" in n.name)
        for base in families:
            shown = self.names[base]
            lines.append(f"{shown} = dict({shown})" if base in leaves else f"{shown} = {{}}")
        lines += self.run(self.graph.blocks, self.forward_turn)
        return lines

    def forward_turn(self, turn: Turn) -> list[str]:
        node = self.graph.nodes[turn.name].at(dict(turn.put))
        return [] if node.body is None else self.statement(self.name(node.name), node.body, node)

    def run(
        self, blocks: Iterable[Turn | Block], each: Callable[[Turn], list[str]], backwards: bool = False
    ) -> list[str]:
        """The lines of loops and what stands in them; empty loops are left out."""
        lines: list[str] = []
        items = list(blocks)
        for item in reversed(items) if backwards else items:
            if isinstance(item, Turn):
                lines += each(item)
                continue
            inner = self.run(item.body, each, backwards)
            if inner:
                lines.append(f"for {self.size(Size(item.loop.var))} in {self.range(item.loop, backwards)}:")
                lines += [INDENT + s for s in inner]
        return lines

    def range(self, loop: Loop, backwards: bool) -> str:
        if loop.down == backwards:
            return f"range({self.size(loop.low)}, {self.size(plain_number(loop.high + 1))})"
        return f"range({self.size(loop.high)}, {self.size(plain_number(loop.low - 1))}, -1)"

    def size(self, e: Expr) -> str:
        return self.printer.size_of(e)

    # -- backward --

    def backward(self) -> list[str]:
        cases: dict[str, list[Adjoint]] = {}
        needed = self.needed()
        for a in self.derivation.adjoints.values():
            if a.node.name == self.graph.loss or base_of(a.node.name) not in needed:
                continue
            piece = next((p for p in self.graph.pieces(a.node.name) if _belongs(a, p, self.graph)), None)
            if piece is not None:
                cases.setdefault(piece.name, []).append(a)
        families = dict.fromkeys(base_of(n) for n in cases if "[" in n)
        lines = [f"{self.names[adjoint(base)]} = {{}}" for base in families]

        def turn(item: Turn) -> list[str]:
            return self.backward_turn(self.graph.nodes[item.name], item, cases.get(item.name, []))

        lines += self.run(self.graph.blocks, turn, backwards=True)
        return lines

    def needed(self) -> set[str]:
        """The tensors whose adjoints are asked for, or named in one that is needed."""
        found = {base_of(a.node.name) for a in self.derivation.gradients}
        while True:
            more = {
                base_of(u) for a in self.derivation.adjoints.values() if base_of(a.node.name) in found for u in a.uses
            } - found
            if not more:
                return found
            found |= more

    def backward_turn(self, piece: Node, turn: Turn, cases: Sequence[Adjoint]) -> list[str]:
        """The adjoint of one member: a line, or one for each case."""
        put = {loop.var: dict(turn.put).get(loop.var, Size(loop.var)) for loop in piece.loops}
        lines: list[str] = []
        for n, a in enumerate(cases):
            target = self.name(adjoint(shift_name(piece.name, put)))
            conditions = _conditions(a, piece)
            shifted = {v: put[v] for v in (loop.var for loop in a.node.loops) if v in put}
            own = self.statement(target, shift(a.delta, shifted), a.node.at(shifted))
            if not conditions:
                return [*lines, *(["else:"] + [INDENT + s for s in own] if lines else own)]
            shown = " and ".join(self.condition(c, put) for c in conditions)
            last = n == len(cases) - 1 and n > 0
            lines.append("else:" if last else f"{'elif' if n else 'if'} {shown}:")
            lines += [INDENT + s for s in own]
        return lines

    def condition(self, c: tuple[Expr, str, Expr], put: Mapping[str, Expr]) -> str:
        left, op, right = c
        return f"{self.size(shift_number(left, put))} {op} {self.size(shift_number(right, put))}"

    # -- text --

    def text(self) -> str:
        forward, backward = self.forward(), self.backward()
        loss = self.names[self.graph.loss]
        body = "\n".join([*forward, *backward])
        kept = list(
            dict.fromkeys(
                [
                    *self.read([*self.printer.size_lines(backward), *backward]),
                    *(self.names[f"size {b}"] for b in self.graph.bounds),
                ]
            )
        )
        arguments = [self.names[a] for a in self.arguments]
        numbered = [self.names[base_of(n.name)] for n in self.graph.leaves if "[" in n.name]
        said = f"The loss {self.graph.loss}, and what `backward` needs."
        first = [
            *filled("def forward(", arguments, "):"),
            *_docstring(said, numbered),
            *(INDENT + s for s in [*self.printer.size_lines(forward), *forward]),
            *(INDENT + s for s in filled(f"return {loss}, (", kept, ",)" if len(kept) == 1 else ")")),
        ]
        keys = dict.fromkeys(base_of(a.node.name) for a in self.derivation.gradients)
        items = [f'"{k}": {self.gradient(k)}' for k in keys]
        second = ["def backward(cache):", f'{INDENT}"""The gradients of {self.graph.loss}."""']
        second += [INDENT + s for s in filled("", kept, ", = cache" if len(kept) == 1 else " = cache", "()")]
        second += [INDENT + s for s in [*self.printer.size_lines(backward), *backward]]
        short = "return {" + ", ".join(items) + "}"
        whole = [short] if len(short) <= WIDTH - len(INDENT) else ["return {", *(f"{INDENT}{i}," for i in items), "}"]
        second += [INDENT + s for s in whole]
        helpers = [HELPERS[h].strip("\n") for h in helpers_in(body)]
        text = "\n".join([*helpers, body])
        title = (self.graph.title or self.graph.name).strip().rstrip(".") or "A network"
        head = textwrap.wrap(escaped(title) + ".", WIDTH - 3)
        head[0] = '"""' + head[0]
        head += ["", f"Forward and backward pass in NumPy, written by symbp {__version__}.", '"""']
        start = [head, *(["import " + m] for m in imports_of(text)), constants_of(self.graph, self.names, body)]
        opening = "\n\n".join("\n".join(p) for p in start if p)
        return "\n\n\n".join([opening, *helpers, "\n".join(first), "\n".join(second)]) + "\n"

    def read(self, backward: Sequence[str]) -> Iterator[str]:
        """What backward reads of forward, by name."""
        text = "\n".join(backward)
        for base in self.bases:
            name = self.names[base]
            if word_in(name, text):
                yield name

    def gradient(self, base: str) -> str:
        """A plain gradient, or the leaves' part of a family of them."""
        name = self.names[adjoint(base)]
        pieces = [n for n in self.graph.pieces(base) if "[" in n.name]
        leaves = [n for n in pieces if n.is_leaf]
        if not pieces or len(leaves) == len(pieces):
            return name
        parts = []
        plain = [self.key(n.name) for n in leaves if not n.loops]
        if plain:
            parts.append("{" + ", ".join(f"{k}: {name}[{k.strip('()')}]" for k in plain) + "}")
        for n in leaves:
            loops = " ".join(f"for {self.size(Size(x.var))} in {self.range(x, x.down)}" for x in n.loops)
            if loops:
                parts.append(f"{{{self.key(n.name)}: {name}[{self.key(n.name).strip('()')}] {loops}}}")
        return " | ".join(parts)

    def key(self, name: str) -> str:
        """The key of a member: its number, or its numbers in brackets."""
        numbers = [self.size(n) for n in split(name)[1]]
        return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


def _belongs(a: Adjoint, piece: Node, graph: Graph) -> bool:
    """Is the adjoint a case of this piece, and not that of one member asked for?"""
    ranges = {loop.var: loop for loop in a.node.loops}
    if not piece.loops:
        return a.node.name == piece.name
    whole = bool(a.node.loops) or bool(a.case)
    return whole and graph.covers(piece, split(a.node.name)[1], ranges)


def _conditions(a: Adjoint, piece: Node) -> list[tuple[Expr, str, Expr]]:
    """Where a case holds, in the piece's variables."""
    own = {loop.var: loop for loop in a.node.loops}
    found: list[tuple[Expr, str, Expr]] = []
    for number, n in zip(split(a.node.name)[1], split(piece.name)[1]):
        loop = next((x for x in piece.loops if isinstance(n, Size) and x.var == n.name), None)
        if loop is None:
            continue
        part = own.get(loop.var)
        if part is None:
            if not same_size(loop.low, loop.high):
                found.append((Size(loop.var), "==", number))
            continue
        if not same_size(part.low, loop.low):
            found.append((Size(loop.var), ">=", part.low))
        if not same_size(part.high, loop.high):
            found.append((Size(loop.var), "<=", part.high))
    return found


# ---- names and sizes ------------------------------------------------------------------------------


def _names(graph: Graph) -> Names:
    names = Names()
    bases = list(dict.fromkeys(base_of(n) for n in graph.nodes))
    for base in bases:
        names.give(base, base)
    for constant in graph.constants:
        names.give("const " + constant, constant)
    sizes = dict.fromkeys(base_of(s) for s in (*graph.sizes, *graph.bounds, *sorted(graph.variables)))
    bound = {x.var for n in graph.inner if n.body is not None for x in _sums(n.body)}
    for size in dict.fromkeys([*sizes, *sorted(bound)]):
        if not size.isdigit():
            names.give("size " + size, size)
    for base in bases:
        names.give(adjoint(base), graph.adjoint_name(base))
    return names


def _sums(e: Expr) -> Iterator[Loop]:
    for x in visit(e):
        if isinstance(x, Over):
            yield Loop(x.var, x.low, x.high)


_SIZE = re.compile(r"[^\W\d]\w*(?:\[[^\]]*\])?")


class _Printer(NumpyPrinter):
    """Real NumPy in the names of the program; members by number, sizes as shapes tell them."""

    def __init__(self, graph: Graph, names: Names) -> None:
        super().__init__(graph, "np.", self._size_text)
        self.names = names
        self.told: dict[str, str] = {}  # a plain size, and the text that tells it

    def size_lines(self, body: Sequence[str]) -> list[str]:
        """`D = x[1].shape[0]` for the sizes that these lines name."""
        text = "\n".join(body)
        named = {self.names[f"size {n}"]: told for n, told in self.told.items()}
        return [f"{n} = {told}" for n, told in named.items() if word_in(n, text)]

    def tensor(self, name: str) -> str:
        inner = primal(name)
        base, numbers = split(inner if inner is not None else name)
        shown = self.names[adjoint(base) if inner is not None else base]
        if not numbers:
            return shown
        return f"{shown}[{', '.join(self.size_of(n).replace(' ', '') for n in numbers)}]"

    def _leaf(self, x: Form) -> Text:
        if x.kind == "name":
            return Text(self.tensor(str(x.data[0])))
        if x.kind == "const" and x.data[0] in self.graph.constants:
            return Text(self.names[f"const {x.data[0]}"])
        return super()._leaf(x)

    def _subscript(self, x: Form) -> Text:
        parts = [_SIZE.sub(lambda m: m[0] if m[0] == "None" else self._size_text(m[0]), str(p)) for p in x.data]
        return Text(f"{self.piece(x.args[0]).at(5)}[{', '.join(parts)}]")

    def _size_text(self, name: str) -> str:
        if name.isdigit():
            return name
        if "[" in name:
            return self._told(name)
        if name not in self.graph.bounds and name not in self.graph.variables and (told := self._told(name)):
            self.told[name] = told
        if f"size {name}" not in self.names:  # of a sum that the derivation made
            self.names.give(f"size {name}", name)
        return self.names[f"size {name}"]

    def _told(self, name: str) -> str:
        """`W[l].shape[0]`: the first leaf that has this size on an axis."""
        base, numbers = split(name)
        for leaf in self.graph.leaves:
            for axis, d in enumerate(leaf.shape):
                if not isinstance(d, Size) or base_of(d.name) != base:
                    continue
                put: dict[str, Expr] = {loop.var: loop.low for loop in leaf.loops} if not numbers else {}
                fits = True
                for n, m in zip(split(d.name)[1], numbers):
                    var = next((x.var for x in leaf.loops if solve(n, m, x.var) is not None), None)
                    if var is not None and var not in put:
                        value = solve(n, m, var)
                        assert value is not None
                        put[var] = value
                    fits = fits and same_size(shift_number(n, put), m)
                if fits and all(x.var in put for x in leaf.loops):
                    return f"{self.tensor(shift_name(leaf.name, put))}.shape[{axis}]"
        if numbers:
            raise NoRule(f"No argument of the program tells the size {name}.")
        return ""


def _docstring(said: str, families: Sequence[str]) -> list[str]:
    more = f" {', '.join(dict.fromkeys(families))}: dictionaries by number." if families else ""
    whole = f'"""{said}{more}"""'
    if len(whole) <= WIDTH - len(INDENT):
        return [INDENT + whole]
    lines = textwrap.wrap(more.strip(), WIDTH - len(INDENT) - 3)
    return [f'{INDENT}"""{said}', "", *(INDENT + s for s in lines), INDENT + '"""']


__all__ = ["loop_module"]
