"""A network file as a `Graph`: Python syntax, NumPy meaning, never executed.

The file is read in two passes. The first looks at the left sides only and learns every name
(constants, sizes, leaves, nodes) so that each has one meaning and an unknown one can be told from
one that is defined too late. The second reads the right sides in order, each becoming a node whose
body is one entry of its tensor. Then what has been learnt of sizes is put into all bodies, and the
facts are read, which may speak of any tensor.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from symbp.errors import DeclarationError, LimitError, Place, ReadError
from symbp.expr import ONE, ZERO, Add, Entry, Expr, Index, Mul, Num, Pow, fresh, mul, total
from symbp.graph import Fact, Graph, Node, Signature, axes_of
from symbp.read.facts import FactReader
from symbp.read.formula import FormulaReader, Scope
from symbp.read.names import name_problem, printed
from symbp.read.settings import latex_names, style_settings
from symbp.read.source import Source, check_spelling, parse, raw_string, read_file
from symbp.sizes import Sizes, resolve_sizes, shape_text, size_text
from symbp.tensor import Tensor, is_scalar, leaf

MOST_NAMES = 20_000

_LATER = "loops and families of tensors come in a later version"
_REFUSED: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.For: (_LATER, "Write the layers out, one line each."),
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
_LINES = "A network is made of lines `x: (sizes)`, `y = formula` and `assert fact`."


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


class _Network:
    """The state of one reading."""

    def __init__(self, tree: ast.Module, source: Source) -> None:
        self.source = source
        self.sizes = Sizes()
        self.scope = Scope(self.sizes, unknown=self._unknown, taken=lambda name: name in self.lines)
        self.formulas = FormulaReader(source, self.scope)
        self.title = ""
        self.lines: dict[str, int] = {}  # every declared name and the line of its declaration
        self.prints: dict[str, str] = {}  # how a name prints, and the name
        self.leaves: list[tuple[str, ast.AnnAssign]] = []
        self.arrows: list[tuple[str, ast.BinOp]] = []  # unknown functions
        self.assignments: list[tuple[str, ast.Assign]] = []
        self.asserts: list[ast.expr] = []
        self.settings: list[ast.Call] = []
        self.nodes: dict[str, Node] = {}
        self.current = ""
        self.upstream = ""
        self.given = ""  # the leaf that stands for the upstream gradient
        self._collect(tree)

    def graph(self, name: str) -> Graph:
        self._declare_leaves()
        self._relate_sizes()
        for node_name, statement in self.assignments:
            self._define(node_name, statement)
        loss = self._loss()
        self._put_sizes_in()
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
        )

    # -------- first pass: names

    def _collect(self, tree: ast.Module) -> None:
        for n, statement in enumerate(tree.body):
            match statement:
                case ast.Assign():
                    self._collect_assignment(statement)
                case ast.AnnAssign():
                    self._collect_leaf(statement)
                case ast.Assert():
                    self.asserts.append(statement.test)
                case ast.Expr():
                    self._collect_expression(statement, first=n == 0)
                case _:
                    unknown = (f"{type(statement).__name__} is not in the language", _LINES)
                    raise self.formulas.error(statement, *_REFUSED.get(type(statement), unknown))
        if not tree.body:
            raise ReadError("the text is empty", Place(1, file=self.source.file), _LINES)

    def _collect_assignment(self, statement: ast.Assign) -> None:
        target = statement.targets[0]
        if len(statement.targets) > 1 or not isinstance(target, ast.Name):
            raise self._odd_target(statement, target)
        number = _static_number(statement.value, self.formulas)
        self._declare(target.id, target)
        if number is not None:
            self.scope.constants[target.id] = number
        else:
            self.assignments.append((target.id, statement))

    def _collect_leaf(self, statement: ast.AnnAssign) -> None:
        target = statement.target
        if not isinstance(target, ast.Name):
            raise self._odd_target(statement, target)
        if statement.value is not None:
            raise self.formulas.error(statement, "a leaf has sizes but no value", "Values are given with --at.")
        self._declare(target.id, target)
        if isinstance(statement.annotation, ast.BinOp) and isinstance(statement.annotation.op, ast.RShift):
            self.arrows.append((target.id, statement.annotation))
        else:
            self.leaves.append((target.id, statement))

    def _odd_target(self, statement: ast.stmt, target: ast.expr) -> ReadError:
        if isinstance(target, ast.Subscript):
            return self.formulas.error(statement, f"{self.source.words(target)[:40]}: {_LATER}")
        return self.formulas.error(statement, "one name stands on the left of a line", _LINES)

    def _collect_expression(self, statement: ast.Expr, first: bool) -> None:
        value = statement.value
        if first and isinstance(value, ast.Constant) and isinstance(value.value, str):
            title = raw_string(value, self.source) if "\\" in self.source.words(value) else value.value
            self.title = " ".join(title.split())[:300]
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("latex", "style"):
            self.settings.append(value)
        elif isinstance(value, (ast.GeneratorExp, ast.Await, ast.Lambda, ast.NamedExpr)):
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
        for name, arrow in self.arrows:
            self.scope.functions[name] = self._signature(name, arrow)
        for name, statement in self.leaves:
            shape = self._shape(statement.annotation)
            self.nodes[name] = Node(name, shape, axes_of(shape), place=self.source.place(statement))
            self.scope.tensors[name] = leaf(name, shape)

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
                if isinstance(node, ast.Name) and node.id not in self.scope.size_names:
                    self._collect_size(node, part)

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
                if isinstance(node, ast.Subscript):
                    raise self.formulas.error(annotation, f"{self.source.words(annotation)[:40]}: {_LATER}")
        return self.formulas.shape(annotation)

    def _relate_sizes(self) -> None:
        """`assert H == P*k`, before any formula needs it."""
        rest: list[ast.expr] = []
        for test in self.asserts:
            if self._is_size_relation(test):
                assert isinstance(test, ast.Compare)
                left, right = self.formulas.dimension(test.left), self.formulas.dimension(test.comparators[0])
                if not self.sizes.unify(left, right):
                    reason = f"the sizes {size_text(left)} and {size_text(right)} cannot be equal"
                    raise self.formulas.error(test, reason, "Use one name for both.")
            else:
                rest.append(test)
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
        if self.current != self.assignments[-1][0]:
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
        loss = self.assignments[-1][0]
        node = self.nodes[loss]
        if not is_scalar(Tensor(node.shape, lambda idx: ONE)):
            name = next(n for n in ("L", "J", "E", "loss", "total_loss", "symbp_loss") if n not in self.lines)
            raise DeclarationError(
                f"the last assignment is the loss and must be a scalar, but {loss} is {shape_text(node.shape)}",
                node.place,
                f"If some scalar follows whose gradient is given, add the line: {name} = upstream({loss})",
            )
        if not self._reachable(loss) & {n for n, _ in self.leaves}:
            raise DeclarationError(f"the loss {loss} does not depend on any leaf", node.place)
        return loss

    def _reachable(self, loss: str) -> set[str]:
        """The nodes that the loss depends on."""
        seen = {loss}
        stack = [loss]
        while stack:
            body = self.nodes[stack.pop()].body
            for name in body.tensors if body is not None else ():
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
            self.scope.tensors[name] = leaf(name, tuple(a.dim if isinstance(a, Index) else ONE for a in node.axes))

    def _facts(self) -> tuple[Fact, ...]:
        reader = FactReader(self.formulas, self.nodes)
        facts: list[Fact] = []
        for test in self.asserts:
            try:
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
