"""Expressions handed back to SymPy: `.expr` of a gradient, and whole networks as equations.

A result that matrix.py reads as a matrix formula becomes a native `MatrixExpr`
(sympy_matrices.py); a vector is a column (n, 1). What is no matrix formula becomes a
`FunctionMatrix` of sums over indices, and a tensor of higher order its generic entry, with letters
that count from 0. Letters never have the name of a tensor or a size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef
from sympy.matrices.expressions.matexpr import MatrixElement

from symbp import functions
from symbp.errors import NoRule
from symbp.expr import ONE, ZERO, Apply, Const, Delta, Entry, Expr, Index, Over, Reduce, Size, substitute
from symbp.family import Loop
from symbp.form import NotReducible
from symbp.functions import to_scalar
from symbp.graph import Node, axes_of
from symbp.matrix import index_letter, to_form
from symbp.sympy_matrices import NoMatrixForm, Writer
from symbp.sympy_symbols import Symbols, index_value

Sym = Any
NO_INDEX = Index("", ONE)  # an axis of length 1, which needs a letter in a FunctionMatrix


# ---- entry by entry --------------------------------------------------------------------------------


class Extreme(ExprWithLimits):  # type: ignore[misc]
    """The largest or smallest value over ranges, `MaxOver(x[i], (i, 0, n - 1))`: SymPy has none."""

    operation = ""

    def __new__(cls, function: Sym, *limits: Sym, **assumptions: Any) -> Extreme:
        return ExprWithLimits.__new__(cls, function, *limits, **assumptions)  # type: ignore[no-any-return]

    def doit(self, **hints: Any) -> Sym:
        """Written out where the ranges are numbers."""
        values = [self.function]
        for letter, low, high in self.limits:
            if not (low.is_Integer and high.is_Integer):
                return self
            values = [v.subs(letter, k) for v in values for k in range(int(low), int(high) + 1)]
        return functions.FOLDS[self.operation](values)


class MaxOver(Extreme):
    """The largest value over ranges."""

    operation = "max"


class MinOver(Extreme):
    """The smallest value over ranges."""

    operation = "min"


def entry_of(symbols: Symbols, e: Expr, letters: Mapping[Index, Sym]) -> Sym:
    """An expression as a SymPy scalar in the given letters, with sums over indices."""

    def leaf(x: Expr) -> Sym:
        match x:
            case Size():
                return symbols.size(x)
            case Index():
                return letters[x]
            case Entry():
                return symbols.entry(x, letters)
            case Delta():
                a, b = (index_value(i, symbols, letters) for i in x.args)
                return sp.KroneckerDelta(a, b)
            case Const():
                return functions.number(symbols.graph.constants[x.name])
            case Reduce():
                return _reduction(symbols, x, letters)
            case Apply() if not x.at and x.slot is None:
                return _unknown(symbols, x)
            case Apply():
                what = f"one entry of {x.fn}" if x.slot is None else f"the Jacobian of {x.fn}"
                raise NoRule(f"symbp cannot write {what}, which is unknown, in SymPy")
            case Over():
                inner = entry_of(symbols, x.body, letters)
                return sp.Sum(inner, symbols.loop(Loop(x.var, x.low, x.high)))
        raise NoRule(f"symbp cannot write {x!r} in SymPy")

    return to_scalar(e, leaf, symbols.graph.table)


def _unknown(symbols: Symbols, e: Apply) -> Sym:
    """An unknown function of whole tensors: `g(x)`."""
    operands = []
    for x, shape in zip(e.operands, symbols.graph.functions[e.fn].takes, strict=True):
        assert isinstance(x, Reduce)
        letters, body = x.open()
        rest = iter(letters)
        operands.append(to_expr(symbols, body, [ZERO if d is ONE else next(rest) for d in shape]))
    return sp.Function(e.fn)(*operands)


def _reduction(symbols: Symbols, x: Reduce, letters: Mapping[Index, Sym]) -> Sym:
    opened, body = x.open()
    if x.op in ("inv", "det", "logdet"):
        return _matrix_reduction(symbols, x, opened, body, letters)
    scope, limits = dict(letters), []
    taken = symbols.taken(letters)
    for i in opened:
        name = index_letter(i, taken, symbols.graph.letters)
        taken.add(name)
        letter, first = sp.Symbol(name, integer=True), symbols.first
        scope[i] = letter - first
        limits.append((letter, first, symbols.size(i.dim) - 1 + first))
    inner = entry_of(symbols, body, scope)
    match x.op:
        case "sum":
            return sp.Sum(inner, *reversed(limits))
        case "max" | "min":
            return (MaxOver if x.op == "max" else MinOver)(inner, *limits)
        case "logsumexp":
            return sp.log(sp.Sum(sp.exp(inner), *limits))
        case "softmax" | "log_softmax":
            here = entry_of(symbols, substitute(body, {opened[0]: x.at[0]}), letters)
            everything = sp.Sum(sp.exp(inner), *limits)
            return sp.exp(here) / everything if x.op == "softmax" else here - sp.log(everything)
    raise NoRule(f"symbp cannot write {x.op} in SymPy")


def _matrix_reduction(
    symbols: Symbols, x: Reduce, opened: Sequence[Index], body: Expr, letters: Mapping[Index, Sym]
) -> Sym:
    """Inverse and determinant of a matrix, which may itself depend on letters outside."""
    if body.free <= frozenset(opened):
        matrix = to_expr(symbols, body, opened)
    else:
        matrix = _function_matrix(symbols, body, opened, letters)
    if x.op == "inv":
        at = [index_value(i, symbols, letters) for i in x.at]
        return MatrixElement(sp.Inverse(matrix), *at)
    return sp.Determinant(matrix) if x.op == "det" else sp.log(sp.Abs(sp.Determinant(matrix)))


def _function_matrix(symbols: Symbols, e: Expr, axes: Sequence[Expr], outer: Mapping[Index, Sym] | None = None) -> Sym:
    """A matrix given entry by entry; a vector is a column."""
    rows, columns = (*axes, ZERO)[:2]
    letters, taken = dict(outer or {}), symbols.taken(outer or {})
    bound = []
    for a in (rows, columns):
        name = index_letter(a if isinstance(a, Index) else NO_INDEX, taken, symbols.graph.letters)
        taken.add(name)
        bound.append(sp.Symbol(name, integer=True))
        if isinstance(a, Index):
            letters[a] = bound[-1]
    shape = [symbols.size(a.dim) if isinstance(a, Index) else sp.S.One for a in (rows, columns)]
    return sp.FunctionMatrix(*shape, sp.Lambda(tuple(bound), entry_of(symbols, e, letters)))


# ---- the whole -------------------------------------------------------------------------------------


def to_expr(symbols: Symbols, e: Expr, axes: Sequence[Expr]) -> Sym:
    """An expression whose axes are `axes` as SymPy: scalar, matrix, or generic entry; what names
    members of families is given by its entry."""
    if (
        symbols.graph.has_families
        and axes
        and not any(isinstance(symbols.tensor(t), sp.MatrixSymbol) for t in e.tensors if "[" not in t)
    ):
        return entry_of(symbols, e, generic_letters(symbols, axes))
    if any("[" in t for t in e.tensors):
        return entry_of(symbols, e, generic_letters(symbols, axes))
    if isinstance(e, Apply) and e.slot is None and e.at == tuple(a for a in axes if isinstance(a, Index)):
        return _unknown(symbols, e)
    if not axes:
        try:
            return Writer(symbols).scalar(to_form(symbols.graph, e, ()))
        except (NoMatrixForm, NotReducible):
            return entry_of(symbols, e, {})
    if len(axes) > 2:
        return entry_of(symbols, e, generic_letters(symbols, axes))
    try:
        return Writer(symbols).shaped(to_form(symbols.graph, e, axes), axes)
    except (NoMatrixForm, NotReducible):
        return _function_matrix(symbols, e, axes)


def generic_letters(symbols: Symbols, axes: Sequence[Expr]) -> dict[Index, Sym]:
    """A letter with its range for every axis: an `Idx` that counts from 0."""
    taken = symbols.taken({})
    letters: dict[Index, Sym] = {}
    for a in axes:
        if isinstance(a, Index):
            name = index_letter(a, taken, symbols.graph.letters)
            taken.add(name)
            first = symbols.first
            letters[a] = sp.Idx(name, (first, symbols.size(a.dim) - 1 + first)) - first
    return letters


def network_to_sympy(symbols: Symbols) -> list[Any]:
    """The network as equations that `Network` reads back: `Eq`, or a pair where SymPy would
    evaluate the `Eq`."""
    return [equation(symbols, node) for node in symbols.graph.inner]


def _family_equation(symbols: Symbols, node: Node) -> Any:
    """`a[l, i] = f(z[l, i])`, with the range of l in its letter; a scalar that uses families."""
    assert node.body is not None
    ranged = replace(symbols, sizes={**symbols.sizes, **_numbered_letters(symbols, node)})
    letters = generic_letters(ranged, node.axes)
    right = entry_of(ranged, node.body, letters)
    left = ranged.entry(Entry(node.name, node.axes), letters)
    if not node.axes or "[" in node.name or isinstance(symbols.tensor(node.name), sp.IndexedBase):
        return sp.Eq(left, right) if not isinstance(right, (sp.Float, sp.Integer)) else (left, right)
    return symbols.tensor(node.name), to_expr(symbols, node.body, node.axes)


def _numbered_letters(symbols: Symbols, node: Node) -> dict[str, Sym]:
    """Loop variables as `Idx` with their range, unless the user's own are known."""
    found: dict[str, Sym] = {}
    for loop in node.loops:
        var, low, high = symbols.loop(loop)
        found[loop.var] = var if isinstance(var, sp.Idx) else sp.Idx(loop.var, (low, high))
    return found


def equation(symbols: Symbols, node: Node) -> Any:
    assert node.body is not None
    if symbols.graph.has_families and not isinstance(symbols.tensors.get(node.name), sp.MatrixSymbol):
        return _family_equation(symbols, node)
    symbol = symbols.tensor(node.name)
    axes = axes_of(node.shape)
    if not isinstance(symbol, sp.IndexedBase):
        right = to_expr(symbols, node.body, axes)
        if isinstance(right, sp.Float) or (node.shape == () and functions.is_matrix(right)):
            return symbol, right
        if node.shape and isinstance(right, AppliedUndef):  # to SymPy a number
            return symbol, right
        whole = sp.Eq(symbol, right)
        return whole if isinstance(whole, sp.Eq) else (symbol, right)
    letters = generic_letters(symbols, axes)
    left = symbols.entry(Entry(node.name, node.axes), letters)
    return sp.Eq(left, entry_of(symbols, node.body, letters))
