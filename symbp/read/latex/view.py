"""What the LaTeX reader knows about one network: columns or rows, where the samples are, which functions it uses.

All of it follows from the declaration. `shape` and `value` come from whoever evaluates trees; they are used to
see what fits and whether a numerator is the loss, never to see whether a claim is true.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

from symbp import claim
from symbp.claim import Tree
from symbp.expr import ONE, Call, Compare, Entry, Expr, Index, Reduce, Size, walk
from symbp.graph import Graph

Shape = tuple[tuple[str, ...], tuple[int, ...]]

COUNTS = ("N", "n", "M", "m", "B", "T")
"""Sizes that count samples, by custom."""


class Evaluator(Protocol):
    """Who evaluates trees: `shape` gives letters and axes or raises ValueError, `same` compares by value."""

    def shape(self, tree: Tree) -> Shape: ...

    def same(self, a: Tree, b: Tree) -> bool: ...


class View:
    """One network as its notation shows it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def axes(self) -> dict[str, int]:
        return {n.name: len(n.shape) for n in self.graph.nodes.values()}

    def long(self, name: str) -> list[int]:
        """The axes of a tensor that are not of length 1."""
        return [k for k, d in enumerate(self.graph[name].shape) if d is not ONE]

    @cached_property
    def sources(self) -> list[ast.AST]:
        found: list[ast.AST] = []
        for node in self.graph.inner:
            try:
                found.append(ast.parse(node.source, mode="eval"))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
        return found

    def _products(self) -> Iterator[tuple[ast.expr, ast.expr]]:
        for tree in self.sources:
            for x in ast.walk(tree):
                if isinstance(x, ast.BinOp) and isinstance(x.op, ast.MatMult):
                    yield x.left, x.right

    @cached_property
    def _votes(self) -> tuple[set[str], set[str]]:
        """Vectors that stand right of @ (columns) and left of it (rows)."""
        columns: set[str] = set()
        rows: set[str] = set()
        for left, right in self._products():
            if isinstance(right, ast.Name) and self.axes.get(right.id) == 1:
                columns.add(right.id)
            if (
                isinstance(left, ast.Name)
                and self.axes.get(left.id) == 1
                and not (isinstance(right, ast.Name) and self.axes.get(right.id) == 1)
            ):
                rows.add(left.id)
        return columns, rows

    def is_row(self, name: str) -> bool:
        """Whether a vector of the network is a row: it stands left of @, and no vector stands right of it."""
        return self.rows

    @cached_property
    def added_to_rows(self) -> set[str]:
        """Vectors that are added to every row of a matrix: the biases of a batch of rows."""
        found: set[str] = set()
        for node in self.graph.inner:
            if len(node.shape) != 2:
                continue
            try:
                tree = ast.parse(node.source, mode="eval")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for x in ast.walk(tree):
                if isinstance(x, ast.BinOp) and isinstance(x.op, (ast.Add, ast.Sub, ast.Mult)):
                    pair = (x.left, x.right)
                    found |= {
                        y.id
                        for y in pair
                        if isinstance(y, ast.Name)
                        and self.axes.get(y.id) == 1
                        and self.graph[y.id].shape[0] == node.shape[1]
                    }
        return found

    @cached_property
    def rows(self) -> bool:
        columns, rows = self._votes
        if self.graph.style.get("layout") == "numerator":
            return False  # there vectors are columns, and gradients rows
        return bool(rows) and not columns

    @cached_property
    def has_matrix(self) -> bool:
        return any(len(self.long(n)) > 1 for n in self.graph.nodes)

    @cached_property
    def sample_size(self) -> Expr | None:
        """The size that all inner matrices share: the number of samples."""
        shared: Counter[Expr] = Counter()
        count = 0
        for node in self.graph.inner:
            if len(node.shape) == 2 and len(self.long(node.name)) == 2:
                count += 1
                shared.update(set(node.shape))
        best = [d for d, n in shared.items() if n == count]
        if count and len(best) == 1:
            return best[0]
        if count and len(best) == 2:
            weights = Counter(d for node in self.graph.leaves if len(node.shape) == 2 for d in node.shape)
            best.sort(key=lambda d: weights[d])
            if weights[best[0]] < weights[best[1]] or self._biased(best[1]):
                return best[0]
            if self._biased(best[0]):
                return best[1]
        if not count:  # X @ w with vectors of samples
            inner = {n.shape[0] for n in self.graph.inner if len(n.shape) == 1}
            data = [n for n in self.graph.leaves if len(n.shape) == 2]
            if len(inner) == 1 and len(data) == 1 and data[0].shape[0] in inner:
                return next(iter(inner))
            if len(data) == 1 and not inner:
                matches = [d for d in data[0].shape if any(n.shape == (d,) for n in self.graph.leaves)]
                if data[0].shape[0] in matches:
                    return data[0].shape[0]
        return None

    def _biased(self, size: Expr) -> bool:
        """Whether a bias has this size: then it counts units, not samples."""
        return any(size in n.shape and len(self.long(n.name)) == 1 and len(n.shape) <= 2 for n in self.graph.leaves)

    def sample_axis(self, name: str) -> int | None:
        """Which axis of a tensor runs over the samples."""
        shape = self.graph[name].shape
        if self.sample_size is not None and self.sample_size in shape:
            return shape.index(self.sample_size)
        counted = [k for k in self.long(name) if str(shape[k]) in COUNTS]  # only the names of the sizes are left
        return counted[0] if len(shape) == 2 and len(counted) == 1 and self.sample_size is None else None

    @cached_property
    def functions(self) -> set[str]:
        """The functions that the network applies."""
        found: set[str] = set()
        for node in self.graph.inner:
            assert node.body is not None
            for x in walk(node.body):
                if isinstance(x, Call):
                    found.add(x.fn)
                elif isinstance(x, Reduce):
                    found.add(x.op)
        for tree in self.sources:
            found |= {x.func.id for x in ast.walk(tree) if isinstance(x, ast.Call) and isinstance(x.func, ast.Name)}
        return found

    @cached_property
    def activations(self) -> list[str]:
        """Elementwise functions that could be called f, in order of use."""
        likely = (
            "sigmoid",
            "tanh",
            "relu",
            "leaky_relu",
            "elu",
            "softplus",
            "gelu",
            "silu",
            "selu",
            "softsign",
            "mish",
            "arctan",
            "sin",
            "cos",
            "erf",
        )
        found = [f for f in likely if f in self.functions]
        return [*found, *[n for n, s in self.graph.functions.items() if s.is_elementwise]]

    @cached_property
    def elementwise(self) -> dict[str, list[str]]:
        """z -> the nodes that are a function of z alone, entry by entry."""
        found: dict[str, list[str]] = {}
        for node in self.graph.inner:
            assert node.body is not None
            inner = [x for x in walk(node.body) if isinstance(x, Entry)]
            arguments = {x.tensor for x in inner}
            if any(isinstance(x, Reduce) for x in walk(node.body)):
                continue
            for z in arguments:
                shaped = self.graph[z].shape == node.shape
                others = [a for a in arguments if a != z]
                if (
                    shaped
                    and all(x.args == node.axes for x in inner if x.tensor == z)
                    and all(not self.graph[o].shape for o in others)
                ):
                    found.setdefault(z, []).append(node.name)
        return found

    def applied(self, name: str) -> str:
        """The function of the table whose value a node is, applied to one tensor; else an empty text."""
        body = self.graph[name].body
        if isinstance(body, Call) and isinstance(body.args[0], Entry):
            return body.fn
        return ""

    @cached_property
    def softmax_axis(self) -> int | None:
        for tree in self.sources:
            for x in ast.walk(tree):
                if isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id in ("softmax", "log_softmax"):
                    for k in x.keywords:
                        if k.arg == "axis" and isinstance(k.value, ast.Constant) and isinstance(k.value.value, int):
                            return k.value.value
        return None

    @cached_property
    def square(self) -> Tree | None:
        """A square matrix, if all that the network has are as large."""
        found = [n for n in self.graph.nodes.values() if len(n.shape) == 2 and n.shape[0] is n.shape[1]]
        same = found and all(n.shape[0] is found[0].shape[0] for n in found)
        return claim.name(found[0].name) if same else None

    @cached_property
    def has_parts(self) -> bool:
        """Whether tensors are cut or joined, so that one letter runs over axes of different lengths."""
        inside = (x for n in self.graph.inner if n.body is not None for x in walk(n.body))
        return any(isinstance(x, Compare) and not x.tensors and x.free for x in inside) or any(
            x.dim is not d
            for n in self.graph.inner
            if n.body is not None
            for e in walk(n.body)
            if isinstance(e, Entry)
            for x, d in zip(e.idx, self.graph[e.tensor].shape)
            if isinstance(x, Index)
        )

    @cached_property
    def softmax_sizes(self) -> frozenset[str]:
        """The sizes that the network's softmaxes run over."""
        found: set[str] = set()
        for node in self.graph.inner:
            for x in walk(node.body) if node.body is not None else ():
                if isinstance(x, Reduce) and x.op in ("softmax", "log_softmax", "logsumexp"):
                    found |= {i.dim.name for i in x.bound if isinstance(i.dim, Size) and not i.dim.name.isdigit()}
        return frozenset(found)

    @cached_property
    def depends(self) -> dict[str, frozenset[str]]:
        """node -> everything it is computed from."""
        found: dict[str, frozenset[str]] = {}
        for node in self.graph.nodes.values():
            found[node.name] = (
                frozenset()
                if node.body is None
                else frozenset(node.body.tensors).union(*[found.get(t, frozenset()) for t in node.body.tensors])
            )
        return found
