"""A derivation → claims, one a line, in the network language: the solutions of an exercise.

An adjoint of an inner node is `dZ = …`, a gradient `dL/dW = …`. What has no expression in the language is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from symbp.form import NotReducible
from symbp.numpy_code import numpy_text
from symbp.show.document import Options
from symbp.steps import Adjoint, Derivation


def claims(derivation: Derivation, options: Options) -> str:
    """The lines; with `exercise` their right sides are missing, and a student fills them in."""
    return "".join(f"{line}\n" for line in _lines(derivation, options))


def _lines(derivation: Derivation, options: Options) -> Iterator[str]:
    asked = (*derivation.deltas, *derivation.gradients) if options.form != "closed" else derivation.gradients
    for a in asked:
        right = _right(derivation, a, options)
        left = _left(derivation, a)
        if right and right != left:  # what is given from upstream is no claim
            yield f"{left} = {'' if options.exercise else right}".rstrip()


def _left(derivation: Derivation, a: Adjoint) -> str:
    graph = derivation.graph
    return f"d{graph.loss}/d{a.node.name}" if a.node.is_leaf else graph.adjoint_name(a.node.name)


def _right(derivation: Derivation, a: Adjoint, options: Options) -> str:
    """In error terms, or where they were not asked for in closed form."""
    e = a.closed if options.form == "closed" else a.delta
    if e is None:
        return ""
    try:
        return numpy_text(derivation.graph, e, a.node.axes)
    except NotReducible:
        return ""
