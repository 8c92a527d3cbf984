"""Jacobians and Hessians against numbers, and every line of their steps against the others.

The numbers come from the network: `wrt` is moved along unit vectors or random directions, and
what `top` does is compared, by complex step or central differences. For a Hessian `top` is the
gradient's closed form, which is itself held against numerical gradients of the loss first. The
products J v and vᵀ J are compared with the array at the same points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from symbp.check import (
    DIFFERENCES,
    EXACT,
    NOISE,
    check_lines,
    check_slope,
    compare,
    directions_for,
    is_analytic,
    is_sampled,
    numerical_jacobian,
    points_of,
)
from symbp.check import check as check_gradient
from symbp.evaluate import Array, Evaluation, Function
from symbp.expr import Expr
from symbp.graph import Graph
from symbp.higher import Derivative, Product, slope_entry
from symbp.sample import Point
from symbp.steps import Adjoint, Checked
from symbp.unknown import samples

Functions = Mapping[str, Function] | None
NO_VALUE = "there is no point at which everything has a value"


def check_derivative(d: Derivative, level: str = "full", seed: int = 0, functions: Functions = None) -> Derivative:
    """The derivative with what was measured; raises Mismatch where a line does not hold."""
    if d.gradient is not None and d.first is not None:
        measured = check_gradient(d.gradient, level, seed, functions)
        d = replace(d, checked_gradient=measured[d.first.name])
    functions = functions or samples(d.extended)
    points, reasons = points_of(d.extended, seed, functions)
    trials = [_Trial(d, p, level, np.random.default_rng([seed, n]), functions) for n, p in enumerate(points)]
    trials = [t for t in trials if t.has_values]
    if not trials:
        why = "; ".join(reasons) or NO_VALUE
        return replace(d, checked=Checked(d.wrt.name, float("nan"), False, 0, _method(d), 0, f"undecided: {why}"))
    trials[0].check_steps()
    findings = [t.findings() for t in trials]
    error, ok = max(e for e, _ in findings), all(fine for _, fine in findings)
    entries = max(len(t.directions) for t in trials) * max(t.true[0].size for t in trials)
    note = "directions were sampled" if level == "full" and any(t.sampled for t in trials) else ""
    return replace(d, checked=Checked(d.wrt.name, error, ok, len(trials), _method(d), entries, note))


def _method(d: Derivative) -> str:
    return "complex step" if is_analytic(d.extended) else "central differences"


class _Trial:
    """A derivative at one point, and what the numbers say there."""

    def __init__(self, d: Derivative, point: Point, level: str, rng: np.random.Generator, functions: Functions) -> None:
        self.d, self.graph, self.rng = d, d.extended, rng
        self.state = Evaluation.of(self.graph, point.values, point.sizes, functions)
        shape = point.values[d.wrt.name].shape
        self.directions = directions_for(shape, level, rng)
        self.sampled = is_sampled(self.directions, level)
        with np.errstate(all="ignore"):
            self.true = numerical_jacobian(
                self.graph, point.leaves, point.sizes, d.top.name, d.wrt.name, self.directions, functions
            ).reshape(len(self.directions), -1)
            self.array = self.matrix(d.expr)
        self.has_values = bool(np.isfinite(self.true).all() and np.isfinite(self.array).all())

    def matrix(self, e: Expr) -> Array:
        """Rows for the output's entries, columns for the input's."""
        values = self.state(e, (*self.d.outputs, *self.d.inputs))
        rows = int(np.prod([self.state.extent(o.dim) for o in self.d.outputs]))
        return values.reshape(rows, -1)

    def findings(self) -> tuple[float, bool]:
        """The largest error of the array and of the products, and whether all are right."""
        tolerance = EXACT if is_analytic(self.graph) else DIFFERENCES
        values = [self.state.values[self.d.top.name], self.true]
        noise = NOISE * max(1.0, *(float(np.abs(v).max(initial=0.0)) for v in values))
        moved = self.directions.reshape(len(self.directions), -1) @ self.array.T
        results = [compare(moved, self.true, tolerance, noise)]
        results += [compare(self.matrix(self.d.sorted), self.array, EXACT, noise)]
        if self.d.right is not None:
            results.append(self.product(self.d.right, self.array, noise))
        if self.d.left is not None:
            results.append(self.product(self.d.left, self.array.T, noise))
        return max(e for e, _ in results), all(fine for _, fine in results)

    def product(self, p: Product, array: Array, noise: float) -> tuple[float, bool]:
        shape = tuple(self.state.extent(i) for i in p.direction.shape)
        self.state.values[p.direction.name] = direction = self.rng.standard_normal(shape)
        found = self.state.tensor(p.like, p.expr).reshape(-1)
        scale = max(1.0, float(np.abs(array).max(initial=0.0)))
        return compare(found, array @ direction.reshape(-1), EXACT, 100 * noise * scale)

    def check_steps(self) -> None:
        """Raise Mismatch at the first line that is not equal to the others."""
        for part in self.d.parts.values():
            left = slope_entry(self.d.top.name, part.node, self.d.outputs)
            self.state.values[left.tensor] = self.state(part.delta, (*self.d.outputs, *part.node.indices))
        for part in self.d.parts.values():
            self._check_part(part, self.graph)

    def _check_part(self, part: Adjoint, graph: Graph) -> None:
        for step in part.steps:
            check_lines(step, self.state)
            if step.rule == "local-slope":
                check_slope(step, graph, self.state)
