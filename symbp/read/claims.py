"""One line of a student in NumPy: `dL/dW1 = X.T @ dH1`, `dW1 = np.dot(X.T, dH1)`, `X.T @ dH1`.

The line is cut at its `=` signs and every side is parsed with Python's `ast` and walked by hand
into a tree (claim.py); nothing is ever executed. `np.` and `numpy.` prefixes, methods and the usual
spellings of one thing are read as the functions of the network language. What a name means, in this
order: a definition of the student, a node or leaf, a constant or size, the gradient of a node
(`dW1`, `d_W1`), a function.

A line that cannot be read is still a claim: its `problem` says what is the matter.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from symbp import claim as c
from symbp.claim import Claim, Tree
from symbp.errors import DeclarationError, Place, nearest
from symbp.expr import Num, Size
from symbp.graph import Graph
from symbp.judge.points import RATES
from symbp.judge.value import KNOWN
from symbp.read.counts import Counts
from symbp.read.source import parse

LONGEST, DEEPEST, DIGITS, HIGHEST = 20_000, 150, 50, 1000
_ALIKE = str.maketrans(
    "−–×·∗⋅÷（），：＝＋－＊＠／＜＞．［］𝛿∂′←∆",
    "--****/(),:=+-*@/<>.[]δd'=Δ",
)
_BEFORE_NAMES = {"np", "numpy", "jnp", "torch", "tf", "math", "linalg", "scipy", "special", "xp", "cp"}
_ELEMENTWISE = {"multiply": (1, 1), "divide": (1, -1), "true_divide": (1, -1)}
_COMPARED = {
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
}
_OPERATORS: Mapping[type[ast.cmpop], str] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_SAME = {"array", "asarray", "float", "int", "copy", "astype", "asfortranarray", "float64", "float32", "asmatrix"}
_OTHER_NAMES = {
    "absolute": "abs",
    "ln": "log",
    "amax": "max",
    "amin": "min",
    "arctanh": "arctanh",
    "concat": "concatenate",
    "flatten": "ravel",
    "expit": "sigmoid",
    "logistic": "sigmoid",
    "pow": "power",
    "diagonal": "diag",
    "average": "mean",
    "product": "prod",
    "permute": "transpose",
    "view": "reshape",
    "mm": "matmul",
    "fabs": "abs",
    "atan": "arctan",
    "swish": "silu",
    "slogdet": "logdet",
}
_OPTIONS = {"axis", "keepdims", "dim", "keepdim", "k", "stride", "padding", "alpha", "n", "m", "dtype", "axes", "ddof"}
_SHAPED = {"ones", "zeros", "reshape", "broadcast_to", "tile", "full", "transpose"}


class Unread(Exception):
    """Why a line cannot be read. `kind` is a verdict: unreadable or undefined."""

    def __init__(self, reason: str, kind: str = "unreadable", node: ast.AST | None = None) -> None:
        super().__init__(reason)
        self.reason, self.kind, self.node = reason, kind, node


def plain(text: str) -> str:
    """Look-alikes that come from word processors and input methods, as the characters that are meant."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_ALIKE)).translate(_ALIKE)


def sides(text: str) -> list[str]:
    """The parts of a line between its `=` signs, brackets and comparisons respected."""
    found, depth, start, n = [], 0, 0, 0
    while n < len(text):
        ch = text[n]
        if ch in "([{":
            depth += 1
        elif ch in ")]}":
            depth -= 1
        elif ch == "#":
            end = text.find("\n", n)
            text = text[:n] + (text[end:] if end >= 0 else "")
            continue
        elif ch == "=" and depth == 0:
            if text[n + 1 : n + 2] == "=":
                n += 2
                continue
            if n and text[n - 1] in "<>!":
                n += 1
                continue
            end = n - 1 if n and text[n - 1] in ":+-*/@" else n
            found.append(text[start:end])
            start = n + 1
        n += 1
    return [*found, text[start:]]


class ClaimReader:
    """Reads lines about one network. `defined` grows with the student's own names."""

    def __init__(self, graph: Graph, letters: Collection[str] = ()) -> None:
        self.graph, self.letters = graph, frozenset(letters)
        self.defined: set[str] = set()
        self.shapes: dict[str, int] = {}  # axes of the student's own names, where known
        self.sizes = {s for s in graph.sizes if not s.isdigit()} | {n for n in graph.relations if not n.isdigit()}
        self.gradients = {graph.adjoint_name(n): n for n in graph.nodes}
        for n in graph.nodes:
            self.gradients.setdefault("d_" + n, n)
            self.gradients.setdefault("grad_" + n, n)
        self.gradients.setdefault("d" + graph.loss, graph.loss)
        if graph.loss == "E" and "L" not in graph.nodes:
            self.gradients.setdefault("dL", "E")
        self._order = {n: k for k, n in enumerate(graph.nodes)}
        self.rate = ""  # the rate that updates by numbers are taken at
        self.depth = 0
        self.local: dict[str, Tree] = {}  # names that stand for a tree, inside a pasted function
        self.counts = Counts()
        self.numbers: dict[str, int] = {}  # what letters that count layers are now

    # ---- lines -----------------------------------------------------------------------------------

    def line(self, text: str, about: str = "", place: Place | None = None) -> Claim:
        """The claim of one line. `about` says what a formula without a left side is the gradient of."""
        self.numbers = dict(self.counts.ends)
        try:
            return self._line(text, about, place)
        except Unread as why:
            for_every = self._for_every_number(text, about, place)
            if for_every is not None:
                return for_every
            return Claim(text, about=about, place=self._moved(place, why), problem=why.kind, message=why.reason)
        except DeclarationError as error:
            return Claim(text, about=about, place=place, problem="unreadable", message=_reason(error))
        except (RecursionError, MemoryError):
            return Claim(text, about=about, place=place, problem="unreadable", message="this is nested too deeply")

    def _for_every_number(self, text: str, about: str, place: Place | None) -> Claim | None:
        """A line with letters that count layers, once for each number; None if it has none or fits nowhere."""
        used = set(re.findall(r"(?<![\w.])[^\W\d]\w*", " ".join(re.findall(r"\[([^\[\]]*)\]", text))))
        if not used.intersection(self.counts.letters):
            return None
        found: list[Claim] = []
        for choice in self.counts.choices(used):
            self.numbers = {**self.counts.ends, **choice}
            try:
                found.append(replace(self._line(text, about, place), at=tuple(choice.items())))
            except (Unread, DeclarationError, RecursionError, MemoryError):
                continue
        return replace(found[0], instances=tuple(found)) if found else None

    def _moved(self, place: Place | None, why: Unread) -> Place | None:
        if place is None or why.node is None:
            return place
        return Place(place.line, place.column + getattr(why.node, "col_offset", 0), place.text, place.file)

    def _line(self, text: str, about: str, place: Place | None) -> Claim:
        if len(text) > LONGEST:
            raise Unread(f"the formula has {len(text)} characters; the limit is {LONGEST}")
        parts = [p.strip() for p in sides(plain(text))]
        if not any(parts):
            raise Unread("there is no formula here")
        if not all(parts):
            raise Unread("one side of the = is empty")
        if len(parts) > 20:
            raise Unread("this is a chain of more than 20 formulas")
        left, defines, update = None, "", ""
        if len(parts) > 1:
            update = self._update(text, parts)
            left, about, defines = (None, update[:-1], "") if update else self.left(parts[0], about)
            parts = parts[1:]
        elif about:
            left, about = self._subject(about)
        else:
            self.tree(parts[0])
            raise Unread("what is this the gradient of? Write a left side (dW = …) or use --about", "undefined")
        if update:
            left, links = self._step(update, parts)
        else:
            links = tuple(self.tree(p) for p in parts)
        if defines:
            self.defined.add(defines)
        return Claim(text, left, links, about, defines, "numpy", place, update=bool(update))

    # ---- updates ---------------------------------------------------------------------------------

    def _update(self, text: str, parts: list[str]) -> str:
        """The leaf that a line moves and how it says so: `w` with Δ (Δw = …), - or + (w -= …), or = (w = w - …)."""
        left = parts[0]
        delta = re.fullmatch(r"(?:Δ|delta_|Delta_)\s*(\w+)", left)
        if delta and delta[1] in self.graph.nodes and left not in self.graph.nodes:
            return delta[1] + "Δ"
        new = re.fullmatch(r"(\w+?)(?:_new|_next)?", left)
        if not new or new[1] not in self.graph.nodes or not self.graph[new[1]].is_leaf or len(parts) != 2:
            return ""
        sign = re.match(r"\s*\w+\s*([-+])=", plain(text))
        if sign:
            return new[1] + sign[1]
        return new[1] + "=" if re.match(rf"{re.escape(new[1])}\s*[-+]", parts[1]) else ""

    def _step(self, update: str, parts: list[str]) -> tuple[Tree, tuple[Tree, ...]]:
        """The true step of gradient descent, and the links, with the learning rate that they name."""
        leaf, how = update[:-1], update[-1]
        open_rates = [r for r in RATES if not self._known(r) and r not in self.defined]
        self.local.update({r: c.name(r) for r in open_rates})
        try:
            links = tuple(self.tree(p) for p in parts)
        finally:
            for r in open_rates:
                self.local.pop(r, None)
        rate = self._rate(links)
        step = c.gradient(leaf, self.graph.adjoint_name(leaf))
        if rate is not None:
            step = c.product((rate, step))
        if how == "=":
            return c.sum_((c.name(leaf), step), (1, -1)), links
        return (step if how == "-" else c.negative(step)), links

    def _rate(self, links: Sequence[Tree]) -> Tree | None:
        names = frozenset[str]().union(*(link.names for link in links))
        for r in RATES:
            if r in names:
                return c.name(r)
        if not names and self.rate:
            return c.name(self.rate)
        for link in links:
            for t in link.walk():
                if t.op == "product":
                    return next((a for a, p in zip(t.args, t.data[0], strict=True) if a.op == "number" and p > 0), None)
        return None

    def _subject(self, about: str) -> tuple[Tree, str]:
        if about in self.graph.nodes:
            return c.gradient(about, self.graph.adjoint_name(about)), about
        left, name, defines = self.left(about, "")
        if left is None or defines:
            raise Unread(f"{about[:60]} is not a node of the network", "undefined")
        return left, name

    def left(self, text: str, about: str) -> tuple[Tree | None, str, str]:
        """A left side: its true value, the node it is about, and the name it defines."""
        text = text.strip()
        bare = re.fullmatch(r"\w+", text)
        if bare and not self._known(text):
            if not text.isidentifier():
                raise Unread(f"{text[:60]} is no name")
            return None, "", text
        if bare and text in self.defined and text not in self.gradients:
            return None, "", text
        grads = re.fullmatch(r"(?:self\.)?(?:grads?|gradients?|self\.grads?)\[\s*['\"]d?(\w+)['\"]\s*\]", text)
        if grads and grads[1] in self.graph.nodes:
            return c.gradient(grads[1], "d" + grads[1]), grads[1], ""
        tree = self.tree(text, left=True)
        return tree, _subject_of(tree), ""

    def _known(self, name: str) -> bool:
        return name in self.graph.nodes or name in self.gradients or name in self.sizes or name in self.graph.constants

    # ---- expressions -----------------------------------------------------------------------------

    def tree(self, text: str, left: bool = False) -> Tree:
        """The tree of one side; raises Unread."""
        text = text.strip().rstrip(";").strip()
        if _deepest(text) > DEEPEST:
            raise Unread(f"brackets are nested more than {DEEPEST} deep")
        module, _ = parse("(" + text + "\n)")
        if len(module.body) != 1 or not isinstance(module.body[0], ast.Expr):
            raise Unread("this is not one formula")
        node = module.body[0].value
        if isinstance(node, ast.Compare) and any(isinstance(o, ast.Eq) for o in node.ops) and not left:
            raise Unread("this is a comparison, not a formula; an equation has one =", node=node)
        return self.expression(node)

    def expression(self, node: ast.expr) -> Tree:
        read = self._READ.get(type(node))
        if read is None:
            raise Unread(_REFUSED.get(type(node), f"{type(node).__name__} is not in the language"), node=node)
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise Unread(f"this is nested more than {DEEPEST} deep", node=node)
            return read(self, node)
        finally:
            self.depth -= 1

    def _name(self, node: ast.Name) -> Tree:
        name = node.id
        if name in self.local:
            return self.local[name]
        if name in self.defined:
            return c.name(name)
        if name in self.graph.nodes or name in self.graph.constants or name in self.sizes:
            return c.name(name)
        if name in self.gradients:
            return c.gradient(self.gradients[name], name)
        if name == "pi":
            return c.name("pi")
        if name in KNOWN:
            raise Unread(f"{name} is a function: write {name}(...)", node=node)
        if "__" in name:
            raise Unread(f"{name[:60]} is not a name of the language", node=node)
        odd = next((ch for ch in name if not ch.isascii() and "GREEK" not in unicodedata.name(ch, "")), "")
        hint = (
            f"It holds the letter {odd} ({unicodedata.name(odd, 'unknown').title()})."
            if odd
            else nearest(name, [*self.graph.nodes, *self.graph.constants, *self.gradients, *self.defined])
        )
        raise Unread(f"{name[:60]} is not a name of this network. {hint}".strip(), "undefined", node)

    def _constant(self, node: ast.Constant) -> Tree:
        value = node.value
        if type(value) is int:
            if abs(value) >= 10**DIGITS:
                raise Unread(f"a number may have at most {DIGITS} digits", node=node)
            return c.number(value, str(value))
        if type(value) is float:
            if value != value or value in (float("inf"), float("-inf")):
                raise Unread("this number is too large", node=node)
            return c.number(Fraction(repr(value)), repr(value))
        if type(value) is bool:
            return c.number(int(value))
        raise Unread("a text or another constant cannot stand in a formula", node=node)

    def _unary(self, node: ast.UnaryOp) -> Tree:
        if isinstance(node.op, ast.USub):
            return c.negative(self.expression(node.operand))
        if isinstance(node.op, ast.UAdd):
            return self.expression(node.operand)
        if isinstance(node.op, ast.Invert):
            return c.sum_((c.number(1, "1"), self.expression(node.operand)), (1, -1))
        raise Unread("`not` is not in the language; write 1 - mask", node=node)

    def _binary(self, node: ast.BinOp) -> Tree:
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return self._sum(node)
        if isinstance(node.op, ast.Pow):
            return self._power(node)
        if isinstance(node.op, ast.MatMult):
            return self._product(node, (ast.MatMult,))
        if isinstance(node.op, (ast.Mult, ast.Div)):
            return self._product(node, (ast.Mult, ast.Div))
        if isinstance(node.op, ast.BitAnd):
            return c.product((self.expression(node.left), self.expression(node.right)))
        if isinstance(node.op, ast.BitXor):
            raise Unread("^ is not a power in NumPy; write x**2", node=node)
        raise Unread("this operator is not in the language", node=node)

    def _derivative(self, top: ast.expr, bottom: ast.expr) -> Tree | None:
        """dL/dW1, where dL names the loss: the gradient; dy/dx of two other nodes: a Jacobian."""
        if not isinstance(top, ast.Name) or top.id in self.graph.nodes or top.id in self.defined:
            return None
        inner, parts = bottom, list[ast.expr]()
        if isinstance(bottom, ast.Subscript) and self._member(bottom) in self.gradients:
            member = self._member(bottom)
            is_loss = self._differential(top.id) == self.graph.loss
            return c.gradient(self.gradients[member], f"{top.id}/{member}") if is_loss else None
        if isinstance(bottom, ast.Subscript):
            inner = bottom.value
            parts = bottom.slice.elts if isinstance(bottom.slice, ast.Tuple) else [bottom.slice]
        if not isinstance(inner, ast.Name) or not re.match(r"d_?\w", inner.id) or inner.id in self.defined:
            return None
        of, wrt = self._differential(top.id), self._differential(inner.id)
        if of is None or (wrt is None and of != self.graph.loss):
            return None
        if wrt is None:
            near = nearest(inner.id[1:], self.graph.nodes)
            raise Unread(f"{inner.id[:60]}: nothing of that name is declared. {near}".strip(), "undefined", inner)
        text = f"{top.id}/{inner.id}"
        if of == self.graph.loss:
            whole = c.gradient(wrt, text)
        elif self._order[wrt] < self._order[of]:
            whole = c.jacobian(of, wrt, text)
        else:
            return None
        if any(isinstance(p, ast.Name) and p.id in self.letters for p in parts):
            return c.entry(whole, *map(self._index, parts))
        return c.item(whole, tuple(map(self._item, parts))) if parts else whole

    def _differential(self, name: str) -> str | None:
        found = self.gradients.get(name)
        if found is None and name[:1] == "d" and name[1:] in self.graph.nodes:
            found = name[1:]
        return found

    def _power(self, node: ast.BinOp) -> Tree:
        base, exponent = self.expression(node.left), self.expression(node.right)
        inner = exponent.args[0] if exponent.op == "sum" and len(exponent.args) == 1 else exponent
        if (inner.op == "number" and abs(inner.data[0]) > HIGHEST) or (not exponent.names and inner.weight > 8):
            raise Unread(f"an exponent may be at most {HIGHEST}", node=node.right)
        if inner.op == "power" and not inner.names:
            raise Unread("a power of numbers in an exponent is too large", node=node.right)
        return c.power(base, exponent)

    def _sum(self, node: ast.BinOp) -> Tree:
        parts: list[tuple[ast.expr, int]] = []
        rest: ast.expr = node
        while isinstance(rest, ast.BinOp) and isinstance(rest.op, (ast.Add, ast.Sub)):
            parts.append((rest.right, -1 if isinstance(rest.op, ast.Sub) else 1))
            rest = rest.left
        parts.append((rest, 1))
        terms: list[Tree] = []
        signs: list[int] = []
        for part, sign in reversed(parts):
            tree = self.expression(part)
            if tree.op == "sum" and tree.data == (-1,):
                tree, sign = tree.args[0], -sign
            terms.append(tree)
            signs.append(sign)
        return c.sum_(terms, signs)

    def _product(self, node: ast.BinOp, kinds: tuple[type[ast.operator], ...]) -> Tree:
        parts: list[tuple[ast.expr, int]] = []
        rest: ast.expr = node
        while isinstance(rest, ast.BinOp) and isinstance(rest.op, kinds):
            parts.append((rest.right, -1 if isinstance(rest.op, ast.Div) else 1))
            rest = rest.left
        parts.append((rest, 1))
        read: list[tuple[Tree, int]] = []
        before: tuple[ast.expr, int] | None = None  # what may be the dL of a dL/dW
        for part, power in reversed(parts):
            if power < 0 and before is not None and before[1] > 0:
                top, minus = before[0], False
                if isinstance(top, ast.UnaryOp) and isinstance(top.op, ast.USub):
                    top, minus = top.operand, True
                quotient = self._derivative(top, part)
                if quotient is not None:
                    read[-1] = (c.negative(quotient) if minus else quotient, 1)
                    before = None
                    continue
            read.append((self.expression(part), power))
            before = (part, power)
        return read[0][0] if len(read) == 1 else self._joined(read, ast.MatMult in kinds)

    def _joined(self, parts: Sequence[tuple[Tree, int]], matrix: bool = False) -> Tree:
        sign, factors = 1, []
        for tree, _ in parts:
            if tree.op == "sum" and tree.data == (-1,):
                tree, sign = tree.args[0], -sign
            factors.append(tree)
        if matrix:
            head = factors[0].args if factors[0].op == "chain" else (factors[0],)
            whole = c.chain((*head, *factors[1:]))
        else:
            powers = [s for _, s in parts]
            if factors[0].op == "product" and powers[0] > 0:
                inner = factors[0]
                whole = c.product((*inner.args, *factors[1:]), (*inner.data[0], *powers[1:]))
            else:
                whole = c.product(factors, powers)
        return whole if sign > 0 else c.negative(whole)

    def _compare(self, node: ast.Compare) -> Tree:
        trees = [self.expression(x) for x in (node.left, *node.comparators)]
        found: list[Tree] = []
        for op, a, b in zip(node.ops, trees, trees[1:], strict=False):
            if type(op) not in _OPERATORS:
                raise Unread("`in` and `is` are not in the language", node=node)
            found.append(c.compare(_OPERATORS[type(op)], a, b))
        return found[0] if len(found) == 1 else c.product(found)

    def _attribute(self, node: ast.Attribute) -> Tree:
        if node.attr == "T":
            return c.transpose(self.expression(node.value))
        if _is_numpy(node.value):
            if node.attr == "pi":
                return c.name("pi")
            raise Unread(f"{ast.unparse(node)[:40]} is not in the language", node=node)
        if node.attr == "size":
            return self._count(self.expression(node.value), node)
        hint = " (.T is the transpose)" if node.attr in ("t", "transpose", "H") else ""
        raise Unread(f".{node.attr[:40]} is not in the language{hint}", node=node)

    def _count(self, x: Tree, node: ast.AST) -> Tree:
        dims = self._dims(x)
        if dims is None:
            raise Unread("the number of entries of this is not known", node=node)
        return c.product(dims) if len(dims) > 1 else dims[0] if dims else c.number(1, "1")

    def _dims(self, x: Tree) -> list[Tree] | None:
        """The sizes of a name, as trees."""
        while x.op == "transpose":
            inner = self._dims(x.args[0])
            return None if inner is None else inner[::-1]
        if x.op not in ("name", "gradient") or x.data[0] not in self.graph.nodes:
            return None
        found = []
        for d in self.graph[x.data[0]].shape:
            if isinstance(d, Size) and not d.name.isdigit():
                found.append(c.name(d.name))
            elif isinstance(d, (Num, Size)):
                found.append(c.number(int(d.value) if isinstance(d, Num) else int(d.name)))
            else:
                return None
        return found

    def _member(self, node: ast.Subscript) -> str:
        """`W[2]`, a member of a family of tensors, as the network calls it; else nothing."""
        units = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        numbers = [self._number(u) for u in units]
        if not isinstance(node.value, ast.Name) or None in numbers:
            return ""
        return f"{node.value.id}[{','.join(map(str, numbers))}]"

    def _number(self, node: ast.expr) -> int | None:
        """`2`, `l`, `l + 1`, `L - 1`, where l and L are numbers now."""
        match node:
            case ast.Constant(value=int(value)) if type(value) is int:
                return value
            case ast.Name(id=name):
                return self.numbers.get(name)
            case ast.BinOp(left=left, op=(ast.Add() | ast.Sub()) as op, right=right):
                a, b = self._number(left), self._number(right)
                if a is None or b is None:
                    return None
                return a + b if isinstance(op, ast.Add) else a - b
        return None

    def _subscript(self, node: ast.Subscript) -> Tree:
        member = self._member(node)
        if member in self.graph.nodes:
            return c.name(member, _tight(node))
        if member in self.gradients:
            return c.gradient(self.gradients[member], _tight(node))
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            dims = self._dims(self.expression(node.value.value))
            place = self._items(node)
            if (
                dims is None
                or len(place) != 1
                or not isinstance(place[0], int)
                or not -len(dims) <= place[0] < len(dims)
            ):
                raise Unread("this size is not known", node=node)
            return dims[place[0]]
        if self.letters:
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if any(isinstance(p, ast.Name) and p.id in self.letters for p in parts):
                return c.entry(self.expression(node.value), *map(self._index, parts))
        return c.item(self.expression(node.value), self._items(node))

    def _index(self, node: ast.expr) -> str | int:
        """An index letter, a place, or `:`."""
        if isinstance(node, ast.Name) and node.id in self.letters:
            return node.id
        if isinstance(node, ast.Slice) and node.lower is node.upper is node.step is None:
            return ":"
        return self._literal(node)

    def _items(self, node: ast.Subscript) -> tuple[Any, ...]:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return tuple(self._item(p) for p in parts)

    def _item(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and (node.value is None or node.value is Ellipsis):
            return node.value
        if isinstance(node, ast.Attribute) and node.attr == "newaxis":
            return None
        if isinstance(node, ast.Slice):
            return ("slice", *(None if e is None else self._end(e) for e in (node.lower, node.upper, node.step)))
        return self._literal(node)

    def _end(self, node: ast.expr) -> int | Tree:
        """An end of a slice: a number, or sizes of the network."""
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return self.expression(node) if names and names <= set(self.graph.sizes) else self._literal(node)

    def _literal(self, node: ast.expr) -> int:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._literal(node.operand)
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**6:
            return node.value
        raise Unread("an index must be a whole number or a slice of numbers", node=node)

    def _list(self, node: ast.List | ast.Tuple) -> Tree:
        """A list of numbers is a value; other lists are no formula."""
        trees = [self.expression(e) for e in node.elts]
        if not trees or len(trees) > 1000 or any(t.names or t.gradients for t in trees):
            raise Unread("a comma makes several values of this; a formula is one", node=node)
        return c.call("stack", [c.call("tuple", trees)])

    # ---- calls -----------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Tree:
        if isinstance(node.func, ast.Name):
            if node.func.id == "sum" and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
                return self._total(node.args[0])
            return self._function(node, node.func.id, [])
        if isinstance(node.func, ast.Attribute):
            if _is_numpy(node.func.value):
                return self._function(node, node.func.attr, [])
            return self._function(node, node.func.attr, [node.func.value], method=True)
        raise Unread("only functions of the language can be called", node=node)

    def _total(self, node: ast.GeneratorExp) -> Tree:
        """`sum(… for t in range(1, T + 1))`: the members written out."""
        match node.generators:
            case [ast.comprehension(target=ast.Name(id=letter), iter=ast.Call(func=ast.Name(id="range"), args=ends))]:
                numbers = [self._number(e) for e in ends]
            case _:
                raise Unread("sum(… for t in range(…)) runs over one letter and a range", node=node)
        if None in numbers or not 1 <= len(numbers) <= 3 or numbers[2:] == [0]:
            raise Unread("the ends of this range are not known", "undefined", node)
        members = range(*(n for n in numbers if n is not None))
        if not 0 < len(members) <= 64:
            raise Unread("this range is empty or longer than 64", node=node)
        before, trees = self.numbers, []
        try:
            for n in members:
                self.numbers = {**before, letter: n}
                trees.append(self.expression(node.elt))
        finally:
            self.numbers = before
        return c.sum_(trees)

    def _function(self, node: ast.Call, name: str, before: list[ast.expr], method: bool = False) -> Tree:
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise Unread("* before an argument is not in the language", node=node)
        if not method and (name in self.graph.nodes or name in self.defined):
            raise Unread(f"{name} is a tensor of this network, not a function", node=node)
        args = [*before, *node.args]
        name = _OTHER_NAMES.get(name, name)
        if name in _SAME and args:
            return self.expression(args[0])
        if name == "len" and len(args) == 1:
            dims = self._dims(self.expression(args[0]))
            if not dims:
                raise Unread("this length is not known", node=node)
            return dims[0]
        if name == "einsum":
            return self._einsum(node, args)
        special = _CALLS.get(name)
        if special is not None:
            return special(self, [self.expression(a) for a in args], node)
        if name in self.graph.functions and not method:
            return c.call(name, [self.expression(a) for a in args])
        slope = re.fullmatch(r"d_?(\w+)|(\w+?)_?(?:prime|derivative|grad|deriv)", name)
        if slope and not method and len(args) == 1:
            of = slope[1] or slope[2]
            of = _OTHER_NAMES.get(of, of)
            if of in self.graph.functions or of in self.graph.table:
                return c.call("slope", [self.expression(args[0])], of=of)
        if name not in KNOWN or "__" in name or name in ("tuple", "slope", "column", "row"):
            raise Unread(f"{name[:60]} is not a function of the language. {nearest(name, KNOWN)}".strip(), node=node)
        return self._known_call(node, name, args, method)

    def _known_call(self, node: ast.Call, name: str, args: list[ast.expr], method: bool) -> Tree:
        options: dict[str, Any] = {}
        for k in sorted(node.keywords, key=lambda k: k.arg == "padding"):
            word = {"dim": "axis", "keepdim": "keepdims"}.get(k.arg or "", k.arg or "")
            if word == "dtype":
                continue
            if word in ("shape", "newshape", "order") or word not in _OPTIONS:
                if word in ("shape", "newshape"):
                    args = [*args, k.value]
                    continue
                raise Unread(f"{name} has no option {word[:40]}", node=k)
            if word in ("stride", "padding", "alpha", "k", "n", "m", "axes"):
                at = len(args) if word != "padding" or len(args) > 2 else 3
                args = [*args, *([ast.copy_location(ast.Constant(1), k.value)] * (at - len(args))), k.value]
                continue
            options[word] = self._option(k.value)
        if name in ("sum", "mean", "max", "min", "prod", "var", "softmax", "log_softmax", "logsumexp", "norm"):
            if len(args) == 2 and "axis" not in options and name != "norm":
                options["axis"] = self._option(args[1])
                args = args[:1]
            if len(args) != 1:
                raise Unread(f"{name} takes one array and an axis", node=node)
        if name in _SHAPED and method and len(args) > 2:
            args = [args[0], ast.copy_location(ast.Tuple(args[1:], ast.Load()), node)]
        if not args:
            raise Unread(f"{name} needs an argument", node=node)
        options.pop("ddof", None)
        trees = [self._argument(a) for a in args]
        if name == "transpose" and len(trees) == 1 and not options:
            return c.transpose(trees[0])
        return c.call(name, trees, **options)

    def _argument(self, node: ast.expr) -> Tree:
        if isinstance(node, (ast.Tuple, ast.List)):
            if not node.elts:
                return c.call("tuple", ())
            return c.call("tuple", [self.expression(e) for e in node.elts])
        return self.expression(node)

    def _option(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (bool, int, float)):
            return node.value
        if isinstance(node, (ast.Tuple, ast.List)):
            return tuple(self._literal(e) for e in node.elts)
        return self._literal(node)

    def _einsum(self, node: ast.Call, args: list[ast.expr]) -> Tree:
        if not args or not isinstance(args[0], ast.Constant) or not isinstance(args[0].value, str):
            raise Unread("einsum needs its letters as a text", node=node)
        letters = args[0].value.replace(" ", "")
        if not re.fullmatch(r"[a-zA-Z]*(,[a-zA-Z]*)*(->[a-zA-Z]*)?", letters) or len(letters) > 60:
            raise Unread("these letters of einsum are not in the language", node=node)
        return c.call("einsum", [self.expression(a) for a in args[1:]], letters=letters)

    _READ: Mapping[type[ast.expr], Callable[[Any, Any], Tree]] = {
        ast.Name: _name,
        ast.Constant: _constant,
        ast.UnaryOp: _unary,
        ast.BinOp: _binary,
        ast.Compare: _compare,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.Call: _call,
        ast.List: _list,
        ast.Tuple: _list,
    }


def read_expression(graph: Graph, text: str, letters: Collection[str] = ()) -> Tree:
    """The right side of a `--let`: an expression of the network language in which some letters are
    indices (`W2[k, j]`, `-dE/dnet2[k]`, `X[i]`, `(1 - a3**2)[i]`). Raises Unread."""
    try:
        return ClaimReader(graph, letters).tree(plain(text))
    except DeclarationError as error:
        raise Unread(_reason(error)) from None


_REFUSED: Mapping[type[ast.AST], str] = {
    ast.IfExp: "`a if c else b` is not in the language; write where(c, a, b)",
    ast.BoolOp: "`and`, `or` are not in the language; comparisons are 0 or 1: multiply them",
    ast.Lambda: "functions cannot be defined in a formula",
    ast.JoinedStr: "an f-string is not in the language",
    ast.NamedExpr: "`:=` is not in the language",
}


def _two(reader: ClaimReader, args: list[Tree], node: ast.AST) -> tuple[Tree, Tree]:
    if len(args) != 2:
        raise Unread("this function takes two arguments", node=node)
    return args[0], args[1]


def _one(reader: ClaimReader, args: list[Tree], node: ast.AST) -> Tree:
    if len(args) != 1:
        raise Unread("this function takes one argument", node=node)
    return args[0]


_CALLS: Mapping[str, Callable[[ClaimReader, list[Tree], ast.AST], Tree]] = {
    "matmul": lambda r, a, n: r._joined([(x, 1) for x in _two(r, a, n)], matrix=True),
    "add": lambda r, a, n: c.sum_(_two(r, a, n)),
    "subtract": lambda r, a, n: c.sum_(_two(r, a, n), (1, -1)),
    "negative": lambda r, a, n: c.negative(_one(r, a, n)),
    "square": lambda r, a, n: c.power(_one(r, a, n), c.number(2, "2")),
    "reciprocal": lambda r, a, n: c.product((c.number(1, "1"), _one(r, a, n)), (1, -1)),
    "power": lambda r, a, n: c.power(*_two(r, a, n)),
    "multiply": lambda r, a, n: r._joined([(x, 1) for x in _two(r, a, n)]),
    "divide": lambda r, a, n: r._joined([(a[0], 1), (_two(r, a, n)[1], -1)]),
    "true_divide": lambda r, a, n: r._joined([(a[0], 1), (_two(r, a, n)[1], -1)]),
    "heaviside": lambda r, a, n: c.compare(">", a[0], c.number(0, "0")),
    "step": lambda r, a, n: c.compare(">", a[0], c.number(0, "0")),
    "log1p": lambda r, a, n: c.call("log", [c.sum_((c.number(1, "1"), _one(r, a, n)))]),
    "expm1": lambda r, a, n: c.sum_((c.call("exp", [_one(r, a, n)]), c.number(1, "1")), (1, -1)),
    "std": lambda r, a, n: c.call("sqrt", [c.call("var", [_one(r, a, n)])]),
    "logaddexp": lambda r, a, n: c.call("log", [c.sum_((c.call("exp", [_two(r, a, n)[0]]), c.call("exp", [a[1]])))]),
    **{
        name: (lambda r, a, n, op=op: c.compare(op, *_two(r, a, n)))  # type: ignore[misc]
        for name, op in _COMPARED.items()
    },
}


def _tight(node: ast.expr) -> str:
    """`W[l+1]` as people write it."""
    return ast.unparse(node).replace(" ", "")


def _is_numpy(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _BEFORE_NAMES
    return isinstance(node, ast.Attribute) and node.attr in _BEFORE_NAMES and _is_numpy(node.value)


def _subject_of(tree: Tree) -> str:
    """The node that a left side is the gradient of."""
    while tree.op in ("item", "entry", "transpose", "alias") or (tree.op == "sum" and len(tree.args) == 1):
        tree = tree.args[0]
    return str(tree.data[0]) if tree.op == "gradient" else ""


def _deepest(text: str) -> int:
    depth = most = 0
    for ch in text:
        depth += (ch in "([{") - (ch in ")]}")
        most = max(most, depth)
    return most


def _reason(error: DeclarationError) -> str:
    return f"{error.reason}. {error.hint}".strip().removesuffix(".")
