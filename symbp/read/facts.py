"""`assert` lines: what the user knows of leaves.

Each fact becomes a `Fact` of its kind by the shape of its syntax; a comparison that is no known
kind is a region to draw points from. A fact about a node would have to be proved from its
definition: what cannot be is refused, because simplification relies on facts.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from symbp.errors import DeclarationError
from symbp.expr import ONE, Expr, Num, Reduce
from symbp.family import base_of
from symbp.graph import Fact, Node
from symbp.read.formula import FormulaReader
from symbp.tensor import normal_axis, reduction, value

NAMED = ("onehot", "permutation", "binary", "pm1", "symmetric", "posdef", "orthogonal", "fixed")
_SQUARE = ("permutation", "symmetric", "posdef", "orthogonal")
_FLIPPED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}


class FactReader:
    """Reads the test of an `assert` when every tensor of the network is known."""

    def __init__(self, formulas: FormulaReader, nodes: Mapping[str, Node]) -> None:
        self.formulas, self.nodes = formulas, nodes
        self.ranges: list[Fact] = []

    def facts(self, test: ast.expr) -> list[Fact]:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return [fact for part in test.values for fact in self.facts(part)]
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id in NAMED:
            return self._named(test, test.func.id)
        if isinstance(test, ast.Compare):
            return [self._comparison(test)]
        hint = f"A fact is a comparison or one of {', '.join(NAMED)}."
        raise self.formulas.error(test, f"{self._text(test)[:60]!r} is not a fact", hint)

    def _text(self, node: ast.expr) -> str:
        return self.formulas.source.words(node)

    # -------- facts with a name

    def _named(self, call: ast.Call, kind: str) -> list[Fact]:
        if not call.args:
            raise self.formulas.error(call, f"{kind} needs the name of a tensor")
        if kind == "fixed":
            return [Fact("fixed", self._leaf(a, call), text=self._text(call)) for a in call.args]
        name = self._leaf(call.args[0], call)
        axis = self._axis(call, name, kind)
        node = self.nodes[name]
        if kind in _SQUARE:
            self._check_square(call, kind, node)
        if kind == "onehot" and axis is None:
            axis = max(len(node.shape) - 1, 0)
        return [Fact(kind, name, axis if kind == "onehot" else None, text=self._text(call))]

    def _leaf(self, argument: ast.expr, fact: ast.expr) -> str:
        """The leaf that a fact speaks of."""
        name = self._name_of(argument)
        if not name:
            raise self.formulas.error(fact, f"{self._text(fact)[:60]!r}: a fact speaks of a tensor by its name")
        if name not in self.nodes and isinstance(argument, ast.Name):
            self.formulas.tensor(argument)
        if name not in self.nodes:
            raise self.formulas.error(fact, f"{name!r} is not a tensor")
        if not self.nodes[name].is_leaf:
            raise self._unproved(fact, name)
        return name

    def _name_of(self, node: ast.expr) -> str:
        """The name of a tensor; a family by its name means all its members, `y[t]` too."""
        scope = self.formulas.scope
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in scope.families:
            return scope.member(node).text if scope.member else ""
        if not isinstance(node, ast.Name):
            return ""
        if node.id not in scope.families:
            return node.id
        leaves = [n.name for n in self.nodes.values() if n.is_leaf and n.loops and base_of(n.name) == node.id]
        return leaves[0] if len(leaves) == 1 else node.id

    def _unproved(self, fact: ast.expr, name: str) -> DeclarationError:
        return self.formulas.error(
            fact,
            f"{self._text(fact)[:60]!r} speaks of {name}, which is computed, and does not follow from its definition",
            "State facts of leaves; what holds for a node must follow from them.",
        )

    def _axis(self, call: ast.Call, name: str, kind: str) -> int | None:
        given = [k.value for k in call.keywords if k.arg == "axis"] + call.args[1:]
        if len(given) > 1 or len(given) < len(call.keywords) or (given and kind not in ("onehot", "sum", "norm")):
            raise self.formulas.error(call, f"{kind} takes a tensor" + (" and axis=" if kind == "onehot" else ""))
        axis = self.formulas._axis(given[0]) if given else None
        if isinstance(axis, tuple):
            raise self.formulas.error(call, f"{kind} takes one axis")
        if axis is None:
            return None
        try:
            return normal_axis(axis, len(self.nodes[name].shape))
        except DeclarationError as error:
            raise self.formulas.error(call, error.reason) from None

    def _check_square(self, fact: ast.expr, kind: str, node: Node) -> None:
        if len(node.shape) != 2 or not self.formulas.sizes.unify(*node.shape):
            raise self.formulas.error(fact, f"{kind}: {node.name} is not a square matrix")

    # -------- comparisons

    def _comparison(self, test: ast.Compare) -> Fact:
        found = self._between(test) if len(test.ops) == 2 else self._single(test) if len(test.ops) == 1 else None
        if found is not None and found.kind == "range":
            self._agrees(test, found)
        return found or self._region(test)

    def _agrees(self, test: ast.Compare, fact: Fact) -> None:
        """Ranges of one tensor that leave no number between them contradict each other."""
        self.ranges.append(fact)
        mine = [f for f in self.ranges if f.tensor == fact.tensor]
        lows = [(f.low.value, f.text) for f in mine if isinstance(f.low, Num)]
        highs = [(f.high.value, f.text) for f in mine if isinstance(f.high, Num)]
        if lows and highs and max(lows)[0] >= min(highs)[0]:
            low, high = max(lows)[1], min(highs)[1]
            which = f"{low!r} and {high!r} contradict each other" if low != high else f"no number fulfils {low!r}"
            raise self.formulas.error(test, which, "Take one of them out.")

    def _between(self, test: ast.Compare) -> Fact | None:
        """`a < x < b`."""
        middle = test.comparators[0]
        name = self._name_of(middle)
        if not self._is_leaf(name):
            return None
        low, high = self._number(test.left), self._number(test.comparators[1])
        less = all(isinstance(op, (ast.Lt, ast.LtE)) for op in test.ops)
        greater = all(isinstance(op, (ast.Gt, ast.GtE)) for op in test.ops)
        if low is None or high is None or not (less or greater):
            return None
        if greater:
            low, high = high, low
        return Fact("range", name, low=low, high=high, text=self._text(test))

    def _single(self, test: ast.Compare) -> Fact | None:
        left, op, right = test.left, type(test.ops[0]), test.comparators[0]
        if op not in _FLIPPED:
            return None
        if self._number(left) is not None and self._number(right) is None:
            left, op, right = right, _FLIPPED[op], left
        text = self._text(test)
        bound = self._number(right)
        if self._is_leaf(self._name_of(left)) and bound is not None:
            return _bounded(self._name_of(left), op, bound, text)
        if op is not ast.Eq:
            return None
        if bound is not None:
            return self._measured(test, left, bound, text)
        return self._symmetric(test, left, right, text) or self._orthogonal(test, left, right, text)

    def _measured(self, test: ast.Compare, call: ast.expr, bound: Expr, text: str) -> Fact | None:
        """`sum(T, axis=1) == 1`, `norm(x) == 1`, `abs(y) == 1`, `diag(M) == 0`."""
        kinds = {"sum": "simplex", "norm": "norm", "abs": "pm1", "diag": "diag"}
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in kinds):
            return None
        kind = kinds[call.func.id]
        name = self._name_of(call.args[0]) if call.args else ""
        if not name or (kind == "pm1" and bound is not ONE):
            return None
        if "[" not in name:
            self.formulas.tensor(call)
        if name not in self.nodes:
            return None
        axis = self._axis(call, name, call.func.id)
        if not self.nodes[name].is_leaf:
            if kind == "simplex" and bound is ONE and _sums_to_one(self.nodes[name], axis):
                return Fact(kind, name, axis, low=bound, text=text)
            raise self._unproved(test, name)
        if kind == "diag":
            self._check_square(test, "diag", self.nodes[name])
        return Fact(kind, name, axis, low=None if kind == "pm1" else bound, text=text)

    def _symmetric(self, test: ast.Compare, left: ast.expr, right: ast.expr, text: str) -> Fact | None:
        """`A == A.T`."""
        for a, b in ((left, right), (right, left)):
            if isinstance(a, ast.Name) and _is_transpose(b, a.id):
                self._check_square(test, "A == A.T", self.nodes[self._leaf(a, test)])
                return Fact("symmetric", a.id, text=text)
        return None

    def _orthogonal(self, test: ast.Compare, left: ast.expr, right: ast.expr, text: str) -> Fact | None:
        """`Q.T @ Q == eye(n)` of a square Q."""
        if not (isinstance(right, ast.Call) and isinstance(right.func, ast.Name) and right.func.id == "eye"):
            return None
        if not (isinstance(left, ast.BinOp) and isinstance(left.op, ast.MatMult)):
            return None
        for a, b in ((left.left, left.right), (left.right, left.left)):
            if isinstance(a, ast.Name) and _is_transpose(b, a.id):
                node = self.nodes[self._leaf(a, test)]
                if len(node.shape) == 2 and self.formulas.sizes.same(*node.shape):
                    return Fact("orthogonal", a.id, text=text)
        return None

    def _is_leaf(self, name: str) -> bool:
        return name in self.nodes and self.nodes[name].is_leaf

    def _number(self, node: ast.expr) -> Expr | None:
        """The value of an expression without tensors, or None."""
        tensors = self.nodes.keys() | self.formulas.scope.families
        if any(isinstance(n, ast.Name) and n.id in tensors for n in ast.walk(node)):
            return None
        if any(isinstance(n, ast.Call) for n in ast.walk(node)):
            return None
        found = self.formulas.tensor(node)
        return found.entry(()) if not found.shape else None

    def _region(self, test: ast.Compare) -> Fact:
        """Any other comparison: it must hold in every entry of the points that are drawn."""
        if any(isinstance(op, ast.Eq) for op in test.ops):
            self._refuse_equal_nodes(test)
        if any(isinstance(n, ast.Name) and n.id in self.formulas.scope.families for n in ast.walk(test)):
            hint = f"A fact of a family is one of {', '.join(NAMED)}, or a bound such as x[t] > 0."
            raise self.formulas.error(test, f"{self._text(test)[:60]!r} is no fact of a family", hint)
        condition = self.formulas.tensor(test)

        def everywhere(letters: object, body: Expr) -> Expr:
            assert isinstance(letters, tuple)
            return Reduce("min", letters, body) if letters else body

        return Fact("region", text=self._text(test), condition=value(reduction(condition, None, False, everywhere)))

    def _refuse_equal_nodes(self, test: ast.Compare) -> None:
        """An equality of a computed tensor is no region: points would have to be found on it."""
        for side in (test.left, *test.comparators):
            if isinstance(side, ast.Name) and side.id in self.nodes and not self._is_leaf(side.id):
                raise self._unproved(test, side.id)


def _bounded(name: str, op: type[ast.cmpop], bound: Expr, text: str) -> Fact | None:
    """`x > 0`, `x <= b`, `x != 0`."""
    if op in (ast.Gt, ast.GtE):
        return Fact("range", name, low=bound, text=text)
    if op in (ast.Lt, ast.LtE):
        return Fact("range", name, high=bound, text=text)
    if op is ast.NotEq and isinstance(bound, Num) and not bound.value:
        return Fact("nonzero", name, text=text)
    return None


def _is_transpose(node: ast.expr, name: str) -> bool:
    inner = node.value if isinstance(node, ast.Attribute) and node.attr == "T" else None
    return isinstance(inner, ast.Name) and inner.id == name


def _sums_to_one(node: Node, axis: int | None) -> bool:
    """Whether a node is a softmax over this axis."""
    body = node.body
    if not isinstance(body, Reduce) or body.op != "softmax":
        return False
    place = 0 if axis is None and len(node.axes) == 1 else axis
    return place is not None and body.at == (node.axes[place],)
