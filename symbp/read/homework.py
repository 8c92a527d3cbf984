"""A backward pass pasted from homework: every gradient that it computes, as a claim.

The program is parsed with Python's `ast` and followed from the top, never executed: assignments,
augmented ones, masked ones (`dZ[Z <= 0] = 0`), `def` lines, `return`, dictionaries of gradients,
`with` and docstrings. A name that is assigned again has its last value. What cannot be followed (a
loop, a branch) makes the names that it assigns unreadable, and nothing else.

Unlike separate claims, a program's `dZ2` is what the program made it. So every gradient is one
claim whose formula is the program's own line, with the program's names as definitions where they
are not gradients of nodes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from symbp import claim as c
from symbp.claim import Claim, Own, Tree
from symbp.errors import DeclarationError, Place
from symbp.read.claims import ClaimReader, Unread, _subject_of, plain
from symbp.read.source import Source, parse

MOST = 400  # statements


def is_program(text: str) -> bool:
    """Does the text hold a function or statements that only a program has?"""
    return any(
        line.lstrip().startswith(("def ", "import ", "return ", "class ", "from ")) for line in text.splitlines()
    )


@dataclass
class _Line:
    """What a name was last given: the tree, the text and the place."""

    tree: Tree | None
    text: str
    place: Place
    problem: Unread | None = None


@dataclass
class _Program:
    reader: ClaimReader
    source: Source
    names: dict[str, _Line] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    count: int = 0

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.count += 1
            if self.count > MOST:
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef() | ast.With() | ast.ClassDef():
                self.run(node.body)
            case ast.Assign(targets=[ast.Tuple(elts=left)], value=ast.Tuple(elts=right)) if len(left) == len(right):
                for a, b in zip(left, right, strict=True):
                    self.assign(a, b, node)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value, node)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, value, node)
            case ast.AugAssign(target=target, op=op, value=value):
                load = ast.copy_location(ast.BinOp(_loaded(target), op, value), node)
                self.assign(target, load, node)
            case ast.For() | ast.While() | ast.If() | ast.Try():
                self.skip(node)

    def skip(self, node: ast.stmt) -> None:
        """What a loop or a branch assigns is not known afterwards."""
        kind = type(node).__name__.lower()
        why = Unread(f"it is assigned inside a `{kind}`, which is not followed")
        for inner in ast.walk(node):
            targets = inner.targets if isinstance(inner, ast.Assign) else []
            targets += [inner.target] if isinstance(inner, (ast.AugAssign, ast.AnnAssign)) else []
            for t in targets:
                name = _name_of(t)
                if name:
                    self.keep(name, _Line(None, self.words(inner), self.source.place(inner), why))

    def words(self, node: ast.AST) -> str:
        place = self.source.place(node)
        return place.text.strip()[:200]

    def assign(self, target: ast.expr, value: ast.expr, node: ast.stmt) -> None:
        name = _name_of(target)
        place, text = self.source.place(node), self.words(node)
        if isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and not isinstance(item, ast.Name):
                    self.assign(ast.copy_location(ast.Name(key.value, ast.Store()), node), item, node)
            return
        if not name:
            return
        try:
            tree = self.masked(target, value) if isinstance(target, ast.Subscript) and not _key(target) else None
            tree = tree or self.reader.expression(value)
            self.keep(name, _Line(tree, text, place))
        except Unread as why:
            if why.kind == "undefined" and _from_cache(value):
                return  # A1 = cache["A1"]: the name is the network's own
            self.keep(name, _Line(None, text, place, why))
        except (DeclarationError, RecursionError):
            self.keep(name, _Line(None, text, place, Unread("this line cannot be read")))

    def masked(self, target: ast.Subscript, value: ast.expr) -> Tree:
        """dZ[mask] = number: the old value outside of the mask."""
        old = self.reader.expression(_loaded(target.value))
        mask = self.reader.expression(target.slice)
        return c.where(mask, self.reader.expression(value), old)

    def keep(self, name: str, line: _Line) -> None:
        """Give a name its value; what it had before is no claim of its own."""
        if line.tree is not None and line.tree.op == "name" and line.tree.data[0] == name:
            return
        before = self.names.get(name)
        if before is not None and line.tree is not None:
            line = replace(line, text=f"{before.text}; {line.text}"[:400])
        self.names[name] = line
        if name in self.order:
            self.order.remove(name)
        self.order.append(name)
        known = name in self.reader.graph.nodes or name in self.reader.sizes
        if line.tree is not None and not known:
            self.reader.local[name] = line.tree
        elif line.tree is not None and known and name not in self.reader.graph.nodes:
            pass

    def result(self) -> Iterator[Claim]:
        """The gradients, in the order in which the program gives them their last values."""
        own: list[Own] = []
        for name in self.order:
            line = self.names[name]
            node = self.reader.gradients.get(name)
            before, own = own, self._named(own, name, line, node or "")
            if node is None or node == self.reader.graph.loss:
                continue
            if line.tree is None:
                why = line.problem or Unread("this line cannot be read")
                yield Claim(line.text, None, (), node, place=line.place, problem=why.kind, message=why.reason)
            else:
                left = c.gradient(node, name)
                yield Claim(line.text, left, (line.tree,), _subject_of(left), place=line.place, own=tuple(before))

    def _named(self, own: list[Own], name: str, line: _Line, node: str) -> list[Own]:
        """The names so far and this one, unless it stands for a name or a number; of two names for one part the first
        one counts."""
        if line.tree is None or line.tree.weight < 2 or any(o.tree is line.tree for o in own):
            return own
        return [*own, Own(name, line.tree, node)]


def read_program(reader: ClaimReader, text: str, file: str = "") -> list[Claim]:
    """The claims of a pasted program. Raises ReadError where it is no Python."""
    module, source = parse(plain(text), file)
    program = _Program(reader, source)
    program.run(module.body)
    reader.local.clear()
    return list(program.result())


def _name_of(target: ast.expr) -> str:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Subscript):
        key = _key(target)
        if key:
            return key if key.startswith("d") else "d" + key
        return _name_of(target.value)
    if isinstance(target, ast.Attribute):
        return target.attr
    return ""


def _key(target: ast.Subscript) -> str:
    s = target.slice
    return s.value if isinstance(s, ast.Constant) and isinstance(s.value, str) else ""


def _loaded(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    return node


def _from_cache(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and bool(_key(node))
