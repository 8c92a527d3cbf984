"""A network file as a `Graph`: Python syntax, NumPy meaning, never executed.

The file is read in two passes. The first looks at the left sides only and learns every name
(constants, sizes, leaves, nodes, families) so that each has one meaning and an unknown one can be
told from one that is defined too late. The second reads the right sides in order, each becoming a
node whose body is one entry of its tensor; a line in a loop becomes one node for all its turns
(loops.py). Then what has been learnt of sizes is put into all bodies, and the facts are read,
which may speak of any tensor.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from symbp.errors import DeclarationError, LimitError, Place, ReadError
from symbp.expr import ONE, ZERO, Add, Entry, Expr, Index, Mul, Num, Pow, fresh, mul, total
from symbp.family import Block, Loop, Turn, base_of, inverse, shift
from symbp.graph import Fact, Graph, Node, Signature, axes_of
from symbp.order import order_problem
from symbp.read.facts import FactReader
from symbp.read.formula import FormulaReader, Scope
from symbp.read.loops import Families
from symbp.read.names import name_problem, printed
from symbp.read.settings import latex_names, style_settings
from symbp.read.source import Source, check_spelling, parse, raw_string, read_file
from symbp.sizes import Sizes, resolve_sizes, shape_text, size_text
from symbp.tensor import Tensor, is_scalar, leaf

MOST_NAMES = 20_000

_REFUSED: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.AugAssign: ("a node is defined once", "Give the new value a new name."),
    ast.Import: ("import is not in the language", "sum, exp and the other functions are there without it."),
    ast.ImportFrom: ("import is not in the language", "sum, exp and the other functions are there without it."),
    ast.FunctionDef: ("def is not in the language", "Write the formula itself, one node a line."),
    ast.AsyncFunctionDef: ("def is not in the language", ""),
    ast.ClassDef: ("class is not in the language", ""),
    ast.Return: ("return is not in the language", "The last assignment is the loss."),
    ast.While: ("while is not in the language", ""),
    ast.If: ("if is not in the language", "Write where(condition, a, b)."),
    ast.With: ("with is not in the language", ""),
    ast.Try: ("try is not in the language", ""),
    ast.Raise: ("raise is not in the language", ""),
    ast.Global: ("global is not in the language", ""),
    ast.Nonlocal: ("nonlocal is not in the language", ""),
    ast.Delete: ("del is not in the language", ""),
    ast.Pass: ("pass is not in the language", ""),
    ast.Match: ("match is not in the language", ""),
}
_LINES = "A network is made of lines `x: (sizes)`, `y = formula` and `assert fact`, and of loops over them."


def read_network(text: str, name: str = "network", file: str = "") -> Graph:
    """The graph of a network text; every problem is one `DeclarationError` with its place."""
    tree, source = parse(text, file)
    try:
        return _Network(tree, source).graph(name)
    except RecursionError:
        raise LimitError("the network is nested too deeply", Place(1, file=file)) from None


def load(path: str | os.PathLike[str]) -> Graph:
    """The graph of a network file; only this file is opened."""
    return read_network(read_file(path), Path(path).stem, os.fspath(path))


@dataclass(frozen=True)
class _Line:
    """A line that defines something, with the loops around it."""

    target: ast.expr
    statement: ast.Assign
    loops: tuple[Loop, ...]


@dataclass(frozen=True)
class _Loop:
    loop: Loop
    body: list[_Line | _Loop | Turn]


class _Network:
    """The state of one reading."""

    def __init__(self, tree: ast.Module, source: Source) -> None:
        self.source = source
        self.sizes = Sizes()
        self.scope = Scope(self.sizes, unknown=self._unknown, taken=lambda name: name in self.lines)
        self.formulas = FormulaReader(source, self.scope)
        self.families = Families(self.formulas)
        self.scope.member, self.scope.over = self.families.tensor, self._over
        self.title = ""
        self.lines: dict[str, int] = {}  # every declared name and the line of its declaration
        self.prints: dict[str, str] = {}  # how a name prints, and the name
        self.leaves: list[tuple[str, ast.AnnAssign]] = []
        self.members: list[tuple[ast.Subscript, ast.AnnAssign, tuple[Loop, ...], Turn]] = []  # leaves with numbers
        self.arrows: list[tuple[ast.expr, ast.BinOp, tuple[Loop, ...]]] = []  # unknown functions
        self.assignments: list[tuple[str, ast.Assign]] = []
        self.lines_in_order: list[_Line | _Loop | Turn] = []
        self.asserts: list[tuple[ast.expr, tuple[Loop, ...]]] = []
        self.settings: list[ast.Call] = []
        self.nodes: dict[str, Node] = {}
        self.current = ""
        self.upstream = ""
        self.given = ""  # the leaf that stands for the upstream gradient
        self._collect(tree)

    def graph(self, name: str) -> Graph:
        self._declare_leaves()
        self._relate_sizes()
        blocks = tuple(self._run(self.lines_in_order))
        loss = self._loss()
        self._put_sizes_in()
        looped = bool(self.scope.families or self.families.variables)
        if looped:
            blocks = self._with_leaves(blocks)
        facts = self._facts()
        self._warn_unused(loss)
        latex, style = self._settings()
        return Graph(
            name=name,
            nodes=self.nodes,
            loss=loss,
            facts=facts,
            constants=self.scope.constants,
            relations={n: size for n, size in self.sizes.relations.items() if n not in self.sizes.invented},
            title=self.title,
            latex=latex,
            style=style,
            warnings=tuple(dict.fromkeys(self.sizes.warnings)),
            upstream=self.upstream,
            functions=self.scope.functions,
            given=self.given,
            blocks=blocks if looped else (),
        )

    # -------- first pass: names

    def _collect(self, tree: ast.Module) -> None:
        self._learn_families(tree)
        self._collect_lines(tree.body, self.lines_in_order)
        if not tree.body:
            raise ReadError("the text is empty", Place(1, file=self.source.file), _LINES)

    def _learn_families(self, tree: ast.Module) -> None:
        """Every name with numbers on a left side is a family, also where it is read before."""
        for statement in _statements(tree.body):
            targets = statement.targets if isinstance(statement, ast.Assign) else ()
            for target in (statement.target,) if isinstance(statement, ast.AnnAssign) else targets:
                if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                    self.scope.families.add(target.value.id)
        self._learn_bounds(tree)

    def _learn_bounds(self, tree: ast.Module) -> None:
        """The symbolic ends of loops, which base cases such as `s[T+1]` name before the loop."""
        if not re.search(r"\bfor\b", self.source.text):
            return
        ranges: list[ast.expr] = []
        known = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.iter, ast.Call):
                ranges += node.iter.args
        for part in (n for r in ranges for n in ast.walk(r)):
            if isinstance(part, ast.Name) and part.id not in known and part.id not in self.scope.size_names:
                self.families.learn_bound(part)

    def _collect_lines(self, lines: list[ast.stmt], into: list[_Line | _Loop | Turn], top: bool = True) -> None:
        for n, statement in enumerate(lines):
            match statement:
                case ast.Assign():
                    self._collect_assignment(statement, into)
                case ast.AnnAssign():
                    self._collect_leaf(statement, into)
                case ast.Assert():
                    if statement.msg is not None and not isinstance(statement.msg, ast.Constant):
                        raise self.formulas.error(
                            statement.msg, "an assert states one fact", "Write each fact on an assert line of its own."
                        )
                    self.asserts.append((statement.test, tuple(self.families.open)))
                case ast.For():
                    self._collect_loop(statement, into)
                case ast.Expr():
                    self._collect_expression(statement, first=top and n == 0)
                case _:
                    unknown = (f"{type(statement).__name__} is not in the language", _LINES)
                    raise self.formulas.error(statement, *_REFUSED.get(type(statement), unknown))

    def _collect_loop(self, statement: ast.For, into: list[_Line | _Loop | Turn]) -> None:
        if statement.orelse:
            raise self.formulas.error(statement.orelse[0], "else is not in the language")
        loop = self.families.loop(statement.target, statement.iter, self.lines)
        body: list[_Line | _Loop | Turn] = []
        try:
            with self.families.inside(loop):
                self._collect_lines(statement.body, body, top=False)
        except LimitError as error:
            error.place = error.place or self.source.place(statement)
            raise
        into.append(_Loop(loop, body))

    def _collect_assignment(self, statement: ast.Assign, into: list[_Line | _Loop | Turn]) -> None:
        target = statement.targets[0]
        if len(statement.targets) > 1 or not self._is_target(target):
            raise self._odd_target(statement, target)
        number = _static_number(statement.value, self.formulas)
        self._declare_target(target)
        if number is not None and isinstance(target, ast.Name):
            self.scope.constants[target.id] = number
            return
        if isinstance(target, ast.Name):
            self.assignments.append((target.id, statement))
        into.append(_Line(target, statement, tuple(self.families.open)))

    def _is_target(self, target: ast.expr) -> bool:
        return isinstance(target.value if isinstance(target, ast.Subscript) else target, ast.Name)

    def _declare_target(self, target: ast.expr) -> None:
        """A name of its own, or a piece of a family, whose name is declared with the first."""
        if isinstance(target, ast.Name):
            if target.id in self.scope.families:
                hint = f"Write {target.id}[0], or give it another name."
                raise self.formulas.error(target, f"{target.id!r} is a family, numbered in brackets", hint)
            if self.families.open:
                var = self.families.open[-1].var
                reason = f"{target.id!r} would be defined anew for every {var}"
                raise self.formulas.error(target, reason, f"Number it: {target.id}[{var}].")
            self._declare(target.id, target)
            return
        assert isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)
        if target.value.id not in self.families.ranks:
            self._declare(target.value.id, target.value)
        self.families.name(target)

    def _collect_leaf(self, statement: ast.AnnAssign, into: list[_Line | _Loop | Turn]) -> None:
        target = statement.target
        if not self._is_target(target):
            raise self._odd_target(statement, target)
        if statement.value is not None:
            raise self.formulas.error(statement, "a leaf has sizes but no value", "Values are given with --at.")
        self._declare_target(target)
        if isinstance(statement.annotation, ast.BinOp) and isinstance(statement.annotation.op, ast.RShift):
            self.arrows.append((target, statement.annotation, tuple(self.families.open)))
        elif isinstance(target, ast.Name):
            self.leaves.append((target.id, statement))
        else:
            assert isinstance(target, ast.Subscript)
            name, loops, put = self.families.target(target)
            turn = Turn(name, tuple(inverse(put.items()).items()))
            self.members.append((target, statement, loops, turn))
            into.append(turn)

    def _odd_target(self, statement: ast.stmt, target: ast.expr) -> ReadError:
        return self.formulas.error(statement, "one name stands on the left of a line", _LINES)

    def _collect_expression(self, statement: ast.Expr, first: bool) -> None:
        value = statement.value
        if first and isinstance(value, ast.Constant) and isinstance(value.value, str):
            title = raw_string(value, self.source) if "\\" in self.source.words(value) else value.value
            self.title = " ".join(title.split())[:300]
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("latex", "style"):
            self.settings.append(value)
        elif isinstance(value, (ast.Await, ast.Lambda, ast.NamedExpr)):
            self.formulas.tensor(value)
        else:
            hint = "This is not JSON: " * isinstance(value, (ast.Dict, ast.List)) + _LINES
            raise self.formulas.error(statement, "this line neither declares nor defines anything", hint)

    def _declare(self, name: str, node: ast.AST) -> None:
        """Give a name its only meaning."""
        twin = self.prints.setdefault(printed(name), name)
        reason, hint = name_problem(name), ""
        if name in self.lines:
            reason = f"{name!r} is already defined on line {self.lines[name]}"
            hint = "Give the second one another name."
        elif twin != name:
            reason = f"{name!r} and {twin!r} (line {self.lines[twin]}) would print the same"
        if reason:
            raise self.formulas.error(node, reason, hint)
        check_spelling(name, node, self.source)
        if len(self.lines) >= MOST_NAMES:
            raise LimitError(f"a network may have at most {MOST_NAMES} names", self.source.place(node))
        self.lines[name] = getattr(node, "lineno", 1)
        self.sizes.names.add(name)

    # -------- leaves and their sizes

    def _declare_leaves(self) -> None:
        for _, statement in self.leaves:
            self._collect_sizes(statement.annotation)
        for _, statement, loops, _ in self.members:
            with self._within(loops):
                self._collect_sizes(statement.annotation)
        for target, arrow, loops in self.arrows:
            self._declare_function(target, arrow, loops)
        for _, statement, loops, turn in self.members:
            with self._within(loops):
                self._declare_member(turn.name, loops, self._shape(statement.annotation), statement)
        for name, statement in self.leaves:
            shape = self._shape(statement.annotation)
            self.nodes[name] = Node(name, shape, axes_of(shape), place=self.source.place(statement))
            self.scope.tensors[name] = leaf(name, shape)
        self.nodes = dict(sorted(self.nodes.items(), key=lambda item: item[1].place.line if item[1].place else 0))

    @contextmanager
    def _within(self, loops: tuple[Loop, ...]) -> Iterator[None]:
        """While something is read in which these loops' variables are numbers."""
        with ExitStack() as stack:
            for loop in loops:
                stack.enter_context(self.families.inside(loop))
            yield

    def _declare_member(
        self, name: str, loops: tuple[Loop, ...], shape: tuple[Expr, ...], statement: ast.AnnAssign | ast.Assign
    ) -> Node:
        """A piece of a family, without its body."""
        if name in self.nodes:
            raise self.formulas.error(statement, f"{name} is already defined")
        self.families.learn(name, shape)
        node = self.nodes[name] = Node(name, shape, axes_of(shape), place=self.source.place(statement), loops=loops)
        return node

    def _declare_function(self, target: ast.expr, arrow: ast.BinOp, loops: tuple[Loop, ...]) -> None:
        """An unknown function, or a family of them, which is known by its name in its variables."""
        with self._within(loops):
            if isinstance(target, ast.Name):
                self.scope.functions[target.id] = self._signature(target.id, arrow)
                return
            assert isinstance(target, ast.Subscript)
            name, _, _ = self.families.target(target)
            if base_of(name) in map(base_of, self.scope.functions):
                raise self.formulas.error(target, f"{base_of(name)} is already declared")
            self.scope.functions[name] = self._signature(name, arrow)

    def _signature(self, name: str, arrow: ast.BinOp) -> Signature:
        """`(m,) >> (n,)`, or `((n,), (n,)) >> ()` for several operands."""
        left = arrow.left
        several = isinstance(left, ast.Tuple) and any(isinstance(e, ast.Tuple) for e in left.elts)
        takes = left.elts if several and isinstance(left, ast.Tuple) else [left]
        for annotation in (*takes, arrow.right):
            self._collect_sizes(annotation)
        return Signature(name, tuple(map(self._shape, takes)), self._shape(arrow.right))

    def _collect_sizes(self, annotation: ast.expr) -> None:
        """Every name in an annotation that is not a constant is a size."""
        parts = annotation.elts if isinstance(annotation, ast.Tuple) else [annotation]
        for part in parts:
            for node in (part,) if isinstance(part, ast.Name) else ast.walk(part):
                if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                    self._collect_size_family(node.value)
            for node in (part,) if isinstance(part, ast.Name) else ast.walk(part):
                if isinstance(node, ast.Name) and node.id not in self.scope.size_names | self.scope.size_families:
                    self._collect_size(node, part)

    def _collect_size_family(self, node: ast.Name) -> None:
        """`n` of `n[l-1]`."""
        if node.id in self.scope.size_families:
            return
        if node.id in self.lines or node.id in self.scope.size_names:
            raise self.formulas.error(node, f"{node.id!r} is declared already and cannot be a family of sizes too")
        self._declare(node.id, node)
        self.scope.size_families.add(node.id)

    def _collect_size(self, node: ast.Name, part: ast.expr) -> None:
        name = node.id
        if name in self.scope.constants or _is_no_size(part):
            return
        if name in self.lines:
            what = "node" if any(name == n for n, _ in self.assignments) else "leaf"
            reason = f"{name!r} is a {what} (line {self.lines[name]}) and cannot be a size too"
            raise self.formulas.error(node, reason)
        self._declare(name, node)
        self.scope.size_names.add(name)

    def _shape(self, annotation: ast.expr) -> tuple[Expr, ...]:
        parts = annotation.elts if isinstance(annotation, ast.Tuple) else [annotation]
        for part in parts:
            for node in () if isinstance(part, (ast.Name, ast.Constant)) else ast.walk(part):
                if isinstance(node, ast.RShift):
                    reason = "an arrow >> stands between the shapes taken and given"
                    raise self.formulas.error(annotation, reason, "Write f: () >> ().")
        return self.formulas.shape(annotation)

    def _relate_sizes(self) -> None:
        """`assert H == P*k`, before any formula needs it."""
        rest: list[tuple[ast.expr, tuple[Loop, ...]]] = []
        for test, loops in self.asserts:
            if self._is_size_relation(test):
                assert isinstance(test, ast.Compare)
                left, right = self.formulas.dimension(test.left), self.formulas.dimension(test.comparators[0])
                if not self.sizes.unify(left, right):
                    reason = f"the sizes {size_text(left)} and {size_text(right)} cannot be equal"
                    raise self.formulas.error(test, reason, "Use one name for both.")
            else:
                rest.append((test, loops))
        self.asserts = rest

    def _is_size_relation(self, test: ast.expr) -> bool:
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
            return False
        if isinstance(test.left, ast.Name) and test.left.id in self.scope.size_names:  # its factors may be new
            for n in ast.walk(test.comparators[0]):
                if isinstance(n, ast.Name) and n.id not in self.lines and not self.scope.declared(n.id):
                    self.formulas.new_size(n)
        names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
        known = self.scope.size_names | self.scope.constants.keys()
        return bool(names & self.scope.size_names) and names <= known

    # -------- second pass: nodes

    def _run(self, lines: list[_Line | _Loop | Turn]) -> Iterator[Turn | Block]:
        """The definitions in order; loops as blocks."""
        for line in lines:
            if isinstance(line, Turn):
                yield line
            elif isinstance(line, _Loop):
                with self.families.inside(line.loop):
                    yield Block(line.loop, tuple(self._run(line.body)))
            elif isinstance(line.target, ast.Name):
                self._define(line.target.id, line.statement)
                yield Turn(line.target.id)
            else:
                yield self._define_member(line)

    def _define_member(self, line: _Line) -> Turn:
        """A piece of a family, as the node of its own variables."""
        assert isinstance(line.target, ast.Subscript)
        name, loops, put = self.families.target(line.target)
        self.current = name
        place = self.source.place(line.statement)
        try:
            value = self.formulas.tensor(line.statement.value)
            shape = tuple(shift(d, put) for d in value.shape)
            body = shift(value.entry(axes_of(value.shape)), put)
            node = self._declare_member(name, loops, shape, line.statement)
        except DeclarationError as error:
            error.place = error.place or place
            raise
        if _too_long(body):
            raise LimitError("this formula is too long", place, "Name a part of it.")
        self.nodes[name] = replace(node, body=body, source=self.source.words(line.statement.value))
        return Turn(name, tuple(inverse(put.items()).items()))

    def _over(self, node: ast.GeneratorExp) -> Tensor:
        return self.families.over(node, self.lines)

    def _with_leaves(self, blocks: tuple[Turn | Block, ...]) -> tuple[Turn | Block, ...]:
        """The order with the plain leaves before everything; it must define before it uses."""
        leaves = tuple(Turn(n.name) for n in self.nodes.values() if n.is_leaf and not n.loops and "[" not in n.name)
        blocks = (*leaves, *blocks)
        problem, name = order_problem(self.nodes, blocks, self.families.bounds)
        if problem:
            raise DeclarationError(problem, self.nodes[name].place)
        return blocks

    def _define(self, name: str, statement: ast.Assign) -> None:
        self.current = name
        warned = len(self.sizes.warnings)
        place = self.source.place(statement)
        try:
            value = self._upstream(statement.value) or self.formulas.tensor(statement.value)
            axes = axes_of(value.shape)
            body = value.entry(axes)
        except DeclarationError as error:
            error.place = error.place or place
            raise
        if _too_long(body):
            raise LimitError("this formula is too long", place, "Name a part of it.")
        for n in range(warned, len(self.sizes.warnings)):
            self.sizes.warnings[n] = f"line {place.line}: {self.sizes.warnings[n]}"
        self.nodes[name] = Node(name, value.shape, axes, body, self.source.words(statement.value), place)
        self.scope.tensors[name] = leaf(name, value.shape)

    def _upstream(self, node: ast.expr) -> Tensor | None:
        """`upstream(y)`: the sum of y's entries, each times the gradient that is given for it."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "upstream"):
            return None
        if self.scope.declared("upstream"):
            return None
        if not self.assignments or self.current != self.assignments[-1][0]:
            raise self.formulas.error(node, "upstream stands alone on the last line", "Write L = upstream(y).")
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
            raise self.formulas.error(node, "upstream takes the name of one tensor", "Write L = upstream(y).")
        y = self.formulas.tensor(node.args[0])
        self.upstream = node.args[0].id
        if self.upstream not in self.nodes:
            raise self.formulas.error(node, f"{self.upstream!r} is not a tensor")
        self.given = self._free_name("d" + self.upstream, "d_" + self.upstream)
        self.nodes[self.given] = Node(self.given, y.shape, axes_of(y.shape), place=self.source.place(node))
        letters = [fresh(d) for d in y.shape if d is not ONE]
        rest = iter(letters)
        idx = tuple(ZERO if d is ONE else next(rest) for d in y.shape)
        body = total(letters, mul(Entry(self.given, idx), y.entry(idx)))
        return Tensor((), lambda _: body)

    def _free_name(self, *wanted: str) -> str:
        for name in wanted:
            if name not in self.lines:
                return name
        n = 1
        while f"{wanted[-1]}_{n}" in self.lines:
            n += 1
        return f"{wanted[-1]}_{n}"

    def _unknown(self, name: str) -> tuple[str, str]:
        """Why a name that stands in a formula means nothing there."""
        line = self.lines.get(name)
        if line is None:
            return f"{name[:64]!r} is not declared", ""
        if name == self.current:
            return f"{name!r} is used in its own definition: a cycle", "A step in time needs two names, h and h_prev."
        cycle = self._cycle(name)
        if cycle:
            return f"a cycle: {' -> '.join(cycle)}", "A node may use earlier lines only."
        return f"{name!r} is defined only on line {line}", "Move that line up."

    def _cycle(self, name: str) -> list[str]:
        """The way from a later node back to the current one, if there is one."""
        later = [(n, s.value) for n, s in self.assignments if n not in self.nodes]
        uses = {n: [x.id for x in ast.walk(value) if isinstance(x, ast.Name)] for n, value in later}
        ways = [[self.current, name]]
        seen = {name}
        while ways:
            way = ways.pop()
            for used in uses.get(way[-1], ()):
                if used == self.current:
                    return [*way, used]
                if used in uses and used not in seen:
                    seen.add(used)
                    ways.append([*way, used])
        return []

    # -------- the whole

    def _loss(self) -> str:
        if not self.assignments:
            place = Place(len(self.source.lines), file=self.source.file)
            raise ReadError("there is no loss: no line assigns a formula", place, "Such as L = sum((y - t)**2).")
        last = self.lines_in_order[-1]
        if not (isinstance(last, _Line) and isinstance(last.target, ast.Name)):
            place = Place(len(self.source.lines), file=self.source.file)
            hint = "End with one that follows the loop, such as J = sum(E[t] for t in range(1, T + 1))."
            raise ReadError("there is no loss: the last line stands in a loop or belongs to a family", place, hint)
        loss = last.target.id
        node = self.nodes[loss]
        if not is_scalar(Tensor(node.shape, lambda idx: ONE)):
            name = next(n for n in ("L", "J", "E", "loss", "total_loss", "symbp_loss") if n not in self.lines)
            raise DeclarationError(
                f"the last assignment is the loss and must be a scalar, but {loss} is {shape_text(node.shape)}",
                node.place,
                f"If some scalar follows whose gradient is given, add the line: {name} = upstream({loss})",
            )
        if not self._reachable(loss) & {n.name for n in self.nodes.values() if n.is_leaf}:
            raise DeclarationError(f"the loss {loss} does not depend on any leaf", node.place)
        return loss

    def _reachable(self, loss: str) -> set[str]:
        """The nodes that the loss depends on."""
        seen = {loss}
        stack = [loss]
        while stack:
            body = self.nodes[stack.pop()].body
            for used in body.tensors if body is not None else ():
                pieces = [used] if used in self.nodes else [n for n in self.nodes if base_of(n) == base_of(used)]
                for name in pieces:
                    if name not in seen:
                        seen.add(name)
                        stack.append(name)
        return seen

    def _warn_unused(self, loss: str) -> None:
        used = self._reachable(loss)
        for node in self.nodes.values():
            if node.name not in used and node.place is not None:
                self.sizes.warnings.append(f"line {node.place.line}: {node.name} has no influence on {loss}")

    def _put_sizes_in(self) -> None:
        """Relations between sizes go into every body and the axes of every node."""
        compound = any(isinstance(d, (Add, Mul, Pow)) for n in self.nodes.values() for d in n.shape)
        if not self.sizes.relations and not compound:
            return
        for name, node in self.nodes.items():
            shape = tuple(map(self.sizes.resolve, node.shape))
            body = None if node.body is None else resolve_sizes(node.body, self.sizes)
            kept = node.shape if node.is_leaf else shape
            self.nodes[name] = replace(node, shape=kept, axes=axes_of(shape), body=body)
        for name, node in self.nodes.items():
            if "[" in name:
                continue
            self.scope.tensors[name] = leaf(name, tuple(a.dim if isinstance(a, Index) else ONE for a in node.axes))

    def _facts(self) -> tuple[Fact, ...]:
        reader = FactReader(self.formulas, self.nodes)
        facts: list[Fact] = []
        self.scope.size_names |= self.families.variables  # `h[l, 0]` in a fact means every l
        for test, loops in self.asserts:
            try:
                with self._within(loops):
                    facts += reader.facts(test)
            except DeclarationError as error:
                error.place = error.place or self.source.place(test)
                raise
        if self.given:
            facts.append(Fact("fixed", self.given, text=f"fixed({self.given})"))
        return tuple(facts)

    def _settings(self) -> tuple[dict[str, str], dict[str, str]]:
        latex: dict[str, str] = {}
        style: dict[str, str] = {}
        for call in self.settings:
            assert isinstance(call.func, ast.Name)
            if call.func.id == "latex":
                latex |= latex_names(call, self.source, self.lines)
            else:
                style |= style_settings(call, self.source)
        return latex, style


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The lines of a file, those in loops too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.For):
            yield from _statements(statement.body)


def _is_no_size(node: ast.expr) -> bool:
    """What can only be a mistake in an annotation; its names are not sizes."""
    return any(isinstance(n, (ast.Call, ast.RShift, ast.Subscript)) for n in ast.walk(node))


def _too_long(body: Expr) -> bool:
    return body.depth > 2000


def _static_number(node: ast.expr, formulas: FormulaReader) -> Num | None:
    """The value of a right side that is a number: `0.1`, `-2`, `1/70`."""
    if isinstance(node, ast.Constant):
        return formulas.number(node) if type(node.value) in (int, float) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _static_number(node.operand, formulas)
        return None if inner is None else Num(-inner.value, inner.decimal)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        if not (isinstance(node.left, (ast.Constant, ast.UnaryOp)) and isinstance(node.right, ast.Constant)):
            return None
        top, bottom = _static_number(node.left, formulas), _static_number(node.right, formulas)
        if top is None or bottom is None:
            return None
        if not bottom.value:
            raise formulas.error(node, "this divides by 0")
        return Num(Fraction(top.value / bottom.value), top.decimal or bottom.decimal)
    return None
