"""Values at a point: what the user gives with NAME=VALUE, and what comes out of it.

A value is a number, a fraction `1/70`, or a (nested) list of them; the sizes of the network are
read off the shapes. Nothing is evaluated as Python: the text is parsed and walked.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from symbp.errors import RequestError, nearest
from symbp.evaluate import Evaluation, Function
from symbp.expr import Expr, Num, Size
from symbp.graph import Graph, adjoint
from symbp.index import affine
from symbp.steps import Derivation

Values = dict[str, Any]


def read_values(graph: Graph, texts: Sequence[str]) -> Values:
    """`w=[1, 2]` and `rate=1/70` as arrays, by name.

    Raises RequestError for a name that is not a leaf and for what is no number.
    """
    values: Values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise RequestError(f"--at {text[:80]}: write NAME=VALUE, for example --at x=0.5 or --at 'w=[1, 2]'.")
        if name not in graph.nodes:
            known = [n.name for n in graph.leaves]
            raise RequestError(
                f"--at {text[:80]}: there is no '{name[:64]}'. "
                f"{nearest(name, known) or 'Leaves: ' + ', '.join(known[:12])}"
            )
        if not graph[name].is_leaf:
            raise RequestError(f"--at {name}: {name} is computed; only leaves are given values.")
        values[name] = number_or_list(value, f"--at {name}")
    return values


def number_or_list(text: str, where: str) -> Any:
    """A NumPy array from `3`, `1/70`, `[1, 2]`, `[[1, 0], [0, 1]]`."""
    if len(text) > 100_000:
        raise RequestError(f"{where}: the value is longer than 100,000 characters.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return np.array(_literal(tree, where), dtype=float)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        raise RequestError(
            f"{where}: '{text.strip()[:60]}' is not a number, a fraction or a list of numbers."
        ) from None


def _literal(node: ast.expr, where: str) -> Any:
    match node:
        case ast.Constant(value=int() | float() as v) if not isinstance(v, bool):
            return float(v)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_literal(inner, where)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _literal(inner, where)
        case ast.BinOp(left=top, op=ast.Div(), right=bottom):
            low = _literal(bottom, where)
            if not low:
                raise RequestError(f"{where}: division by 0.")
            return float(Fraction(_literal(top, where)) / Fraction(low))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(i, where) for i in items]
    raise ValueError


def sizes_from(graph: Graph, values: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that the shapes of the values imply.

    Raises RequestError where a shape does not fit, naming both.
    """
    sizes: dict[str, int] = {}
    for name, value in values.items():
        shape = np.shape(value)
        declared = graph[name].shape
        if len(shape) != len(declared):
            raise RequestError(f"{name} has {len(declared)} axes, the value given has {len(shape)}.")
        for dim, n in zip(declared, shape, strict=True):
            _learn(dim, n, name, sizes)
    for size, e in graph.relations.items():
        if size not in sizes:
            sizes[size] = _known(e, sizes)
    for name in graph.sizes:
        if name.isdigit():
            sizes.setdefault(name, int(name))
    return sizes


def _learn(dim: Expr, n: int, name: str, sizes: dict[str, int]) -> None:
    if isinstance(dim, Size):
        expected = sizes.setdefault(dim.name, int(dim.name) if dim.name.isdigit() else n)
        if expected != n:
            raise RequestError(f"{name}: size {dim.name} is {expected}, the value given has {n} there.")
    elif isinstance(dim, Num) and dim.value != n:
        raise RequestError(f"{name}: the size must be {dim.value}, the value given has {n} there.")


def _known(e: Expr, sizes: Mapping[str, int]) -> int:
    total = Fraction(0)
    for atom, c in (affine(e) or {}).items():
        total += c * (sizes.get(atom.name, 1) if isinstance(atom, Size) else 1)
    return int(total)


def evaluate_at(
    derivation: Derivation, values: Mapping[str, Any], functions: Mapping[str, Function] | None = None
) -> tuple[Values, Values]:
    """Forward values of all nodes, and gradients of all adjoints, at a point; `functions` has values
    for unknown functions.

    Raises RequestError when a leaf that is needed has no value.
    """
    graph = derivation.graph
    given = {k: np.asarray(v, dtype=float) for k, v in values.items()}
    missing = [n.name for n in graph.leaves if n.name not in given]
    if missing:
        raise RequestError(f"Values are needed for {', '.join(missing)} too.")
    state = Evaluation.of(graph, given, sizes_from(graph, given), functions)
    for node in graph.inner:
        assert node.body is not None
        state.values[node.name] = state.tensor(node, node.body)
    gradients: Values = {}
    for a in derivation.adjoints.values():
        gradients[a.node.name] = state.values[adjoint(a.node.name)] = state.tensor(a.node, a.delta)
    return {name: state.values[name] for name in graph.nodes}, gradients


def at_point(
    derivation: Derivation, values: Mapping[str, Any], turned: bool = False
) -> tuple[tuple[str, str, str], ...]:
    """Rows for display: name, forward value, gradient; the transpose of a gradient where it is `turned`."""
    forward, gradients = evaluate_at(derivation, values)
    return tuple(
        (name, shown(forward[name]), shown(in_layout(gradients[name], turned)) if name in gradients else "")
        for name in derivation.graph.nodes
    )


def in_layout(value: Any, turned: bool) -> Any:
    """A gradient as it is, or the transpose of a matrix and the row of a vector."""
    array = np.asarray(value, dtype=float)
    return np.atleast_2d(array) if turned and array.ndim == 1 else array.T if turned and array.ndim == 2 else array


def shown(value: Any) -> str:
    """A number to four digits, a list of them in brackets."""
    array = np.asarray(value, dtype=float)
    if array.ndim == 0:
        return f"{float(array):.4g}"
    if array.size > 24:
        return f"array of {'×'.join(map(str, array.shape))}"
    return "[" + ", ".join(shown(a) for a in array) + "]"
