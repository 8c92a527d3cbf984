"""Values in 50 digits, where float64 cannot tell two formulas apart.

Rounding makes a right formula look wrong (cancellation, overflow) and an almost right one right. There a point is
taken once more: its leaves as they were drawn, put onto the facts of the network again (a sum that is 1 to 16 digits
becomes 1 to 50), then all nodes, all true gradients and the formula. The arrays hold numbers of mpmath, and NumPy's own
loops call the methods of their entries, so evaluation and batches are those of float64 with another arithmetic.

What differs in 50 digits is believed only if it differs as much in 100: more digits remove what is rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from symbp.claim import Tree
from symbp.errors import SymbpError
from symbp.evaluate import Evaluation, Named
from symbp.expr import Const, Expr, Num, Reduce, Size, walk
from symbp.graph import Graph, Node, adjoint
from symbp.judge.equal import Difference, fitted
from symbp.judge.functions import PLAIN, Array
from symbp.judge.points import Points
from symbp.judge.value import Batch, ShapeError, Value
from symbp.ops import SELU_ALPHA, SELU_SCALE, Op

DIGITS = (50, 100)
EQUAL = 1e-30  # in 50 digits
LARGEST = 3_000  # entries of all nodes together
LIMIT = 10.0**12  # of an exponent, and of an angle
WRITTEN = 8  # so many digits of a decimal say that it was rounded


class Unclear(ArithmeticError):
    """A number that 50 digits do not hold, or a function that has no value here."""


class Arithmetic:
    """What formulas use of NumPy, on arrays of numbers with so many digits; anything else is NumPy's own."""

    def __init__(self, digits: int) -> None:
        from mpmath.ctx_mp import MPContext

        self.context = context = MPContext()
        context.dps = digits
        self.pi, self.inf, self.nan = +context.pi, context.inf, context.nan
        for name, value in self._functions().items():
            setattr(self, name, np.frompyfunc(self._of_one(value), 1, 1))
            setattr(context.mpf, name, value)  # np.exp of an array of objects calls their method `exp`
        power = context.mpf.__pow__

        def bounded(x: Any, y: Any) -> Any:
            if abs(y) > LIMIT:
                raise Unclear
            return power(x, y)

        context.mpf.__pow__ = bounded
        context.mpf.__rpow__ = lambda x, y: bounded(self.exact(y), x)
        self._exact = np.frompyfunc(self.exact, 1, 1)

    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        m = self.context

        def within(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def g(x: Any) -> Any:
                if not abs(x) < LIMIT:
                    raise Unclear
                return f(x)

            return g

        exp, expm1 = within(m.exp), within(m.expm1)
        found: dict[str, Callable[[Any], Any]] = {
            "exp": lambda x: m.zero if x < -LIMIT else exp(x),
            "expm1": lambda x: -m.one if x < -LIMIT else expm1(x),
            "log": lambda x: m.log(x) if x > 0 else -m.inf if x == 0 else m.nan,
            "sqrt": lambda x: m.sqrt(x) if x >= 0 else m.nan,
            "tanh": lambda x: m.tanh(x) if abs(x) < LIMIT else m.sign(x),
            "arctan": m.atan,
            "rint": m.nint,
        }
        for name in ("sin", "cos", "tan", "sinh", "cosh"):
            found[name] = within(getattr(m, name))
        return found

    def _of_one(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: function(self.exact(x))

    def exact(self, x: Any) -> Any:
        """A number as it is: no fraction and no decimal is rounded to float64."""
        if type(x) is self.context.mpf:
            return x
        if isinstance(x, Fraction):
            return self.context.mpf(x.numerator) / x.denominator
        if isinstance(x, self.context.mpc):
            return self.nan
        return self.context.mpf(float(x) if isinstance(x, (float, np.floating)) else int(x))

    def numbers(self, x: Any) -> Array:
        """An array of such numbers."""
        return np.asarray(self._exact(x), dtype=object)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    # ---- what NumPy cannot do with them ----------------------------------------------------------

    def erf(self, x: Array) -> Array:
        return np.asarray(np.frompyfunc(self._of_one(self.context.erf), 1, 1)(x), dtype=object)

    def each_matrix(self, f: Callable[[Any], Any], a: Array) -> Array:
        """A function of square matrices, over all leading axes."""
        results = [self.numbers(f(self.context.matrix(a[i].tolist()))) for i in np.ndindex(a.shape[:-2])]
        return np.stack(results).reshape((*a.shape[:-2], *results[0].shape))

    def inverse(self, a: Array) -> Array:
        return self.each_matrix(lambda m: np.array((m**-1).tolist(), dtype=object), a)

    def determinant(self, a: Array) -> Array:
        return self.each_matrix(self.context.det, a)

    def logdet(self, a: Array) -> Array:
        return np.asarray(np.log(abs(self.determinant(a))), dtype=object)

    def logsumexp(self, a: Array, n: int) -> Array:
        axes = tuple(range(-n, 0))
        top = a.max(axis=axes, keepdims=True)
        total = np.log(np.exp(a - top).sum(axis=axes, keepdims=True)) + top
        return np.asarray(total.reshape(a.shape[: a.ndim - n]), dtype=object)

    def log_softmax(self, a: Array, n: int) -> Array:
        total = self.logsumexp(a, n)
        return np.asarray(a - total.reshape(total.shape + (1,) * n), dtype=object)

    def table(self, rows: Mapping[str, Op]) -> Mapping[str, Op]:
        """The table of functions, with these numbers whatever NumPy they are given."""
        found = type(rows)(rows)  # type: ignore[call-arg]
        values = {"erf": lambda _, x: self.erf(x), "gelu": self._gelu, "selu": self._selu}
        for name, row in rows.items():
            value = values.get(name) or (lambda _, *args, row=row: row.value(self, *args))
            found[name] = replace(row, value=value)  # type: ignore[index]
        return found

    def _gelu(self, _: Any, x: Array) -> Any:
        return x * (1 + self.erf(x / self.context.sqrt(2))) / 2

    def _selu(self, _: Any, x: Array) -> Any:
        scale, alpha = self.exact(SELU_SCALE.value), self.exact(SELU_ALPHA.value)
        return np.where(x > 0, scale * x, scale * alpha * self.expm1(np.where(x > 0, 0, x)))


@lru_cache(maxsize=2)
def arithmetic(digits: int) -> Arithmetic:
    return Arithmetic(digits)


class ExactEvaluation(Evaluation):
    """Expressions of a network in such numbers."""

    def __init__(self, graph: Graph, sizes: Mapping[str, int], a: Arithmetic, functions: Mapping[str, Any]) -> None:
        super().__init__({}, sizes, graph.constants, functions, a.table(graph.table))
        self.arithmetic = a
        self.reductions: dict[str, Callable[[Array, int], Array]] = {
            "logsumexp": a.logsumexp,
            "log_softmax": a.log_softmax,
            "softmax": lambda x, n: np.asarray(np.exp(a.log_softmax(x, n)), dtype=object),
            "inv": lambda x, n: a.inverse(x),
            "det": lambda x, n: a.determinant(x),
            "logdet": lambda x, n: a.logdet(x),
        }

    def compute(self, e: Expr) -> Named:
        """In exact numbers, and every result in numbers of this kind."""
        found = self._own(e) or super().compute(e)
        return Named(self.arithmetic.numbers(found.array), found.axes)

    def _own(self, e: Expr) -> Named | None:
        match e:
            case Num():
                return Named(self.arithmetic.numbers(e.value), ())
            case Size():
                return Named(self.arithmetic.numbers(self.extent(e)), ())
            case Const():
                found = self.constants.get(e.name)
                known = {"pi": self.arithmetic.pi, "inf": self.arithmetic.inf}
                value = known.get(e.name) if found is None else found.value if isinstance(found, Num) else found
                return None if value is None else Named(self.arithmetic.numbers(value), ())
            case Reduce() if e.op in self.reductions:
                array, kept = self._open(e)
                result = self.reductions[e.op](array, len(e.bound))
                return self._read(result, kept, e.at) if e.at else Named(result, kept)
        return None


class ExactBatch(Batch):
    """One point of a batch, in such numbers."""

    def __init__(self, at: Batch, a: Arithmetic, graph: Graph) -> None:
        constants = {k: v.value for k, v in graph.constants.items()}
        scalars = {**at.scalars, **constants, "pi": a.pi, "inf": a.inf}
        functions = {k: _with(a, f) for k, f in at.functions.items()}
        super().__init__(1, at.sizes, {}, {}, scalars, a.table(at.table), functions)
        self.arithmetic, self.definitions = a, at.definitions
        self.plain = {**PLAIN, "inv": a.inverse, "det": a.determinant, "logdet": a.logdet}

    def compute(self, tree: Tree) -> Value:
        """Every result in numbers of this kind."""
        found = super().compute(tree)
        return Value(self.arithmetic.numbers(found.array), found.letters)

    def number(self, value: Any) -> Any:
        return self.arithmetic.exact(value)

    def apply(self, function: Callable[..., Any], arrays: Sequence[Any]) -> Array:
        return self.arithmetic.numbers(function(self.arithmetic, *arrays))

    def slope(self, op: Op, x: Array) -> Array:
        rest = [self.arithmetic.numbers(d.value) for d in op.defaults]
        value = lambda t: op.value(self.arithmetic, self.arithmetic.numbers(t), *rest)[()]  # noqa: E731
        return self.arithmetic.numbers(np.frompyfunc(lambda t: self.arithmetic.context.diff(value, t), 1, 1)(x))


# ---- points ----------------------------------------------------------------------------------------------


def exact_batch(points: Points, number: int, point: int, digits: int) -> Batch:
    """The point of a batch with all nodes and gradients, in so many digits; raises Unclear."""
    at, graph, a = points.batches[number], points.graph, arithmetic(digits)
    if points.missing or sum(at.tensors[n][0].size for n in graph.nodes) > LARGEST:
        raise Unclear
    functions = {k: _with(a, f) for k, f in points.functions.items()}
    state = ExactEvaluation(graph, at.sizes, a, functions)
    batch = ExactBatch(at, a, graph)
    values, gradients = state.values, {graph.loss: a.numbers(1)}
    for node in graph.nodes.values():
        if node.body is None:
            leaf = a.numbers(at.tensors[node.name][point])
            values[node.name] = _onto_facts(graph, node, leaf, state)
        else:
            values[node.name] = state.tensor(node, node.body)
    batch.tensors = {n: v[None] for n, v in values.items()}
    values[adjoint(graph.loss)] = gradients[graph.loss]
    for name, found in points.derivation.adjoints.items():
        if name != graph.loss:
            value = np.broadcast_to(state.tensor(found.node, found.delta), values[name].shape)
            values[adjoint(name)] = gradients[name] = value
    batch.gradients = {n: np.asarray(g)[None] for n, g in gradients.items()}
    return batch


def _with(a: Arithmetic, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *args: function(a, *args)


def _onto_facts(graph: Graph, node: Node, x: Array, state: ExactEvaluation) -> Array:
    """What holds of a leaf to 16 digits, to all digits."""
    for fact in graph.facts_of(node.name):
        number = 1 if fact.low is None else state(fact.low)
        match fact.kind:
            case "simplex":
                x = x / x.sum(axis=fact.axis, keepdims=True) * number
            case "norm":
                x = x / np.sqrt((x**2).sum(axis=fact.axis, keepdims=True)) * number
            case "symmetric" | "posdef":
                x = (x + np.swapaxes(x, -1, -2)) / 2
            case "orthogonal":  # Newton's iteration doubles the digits
                for _ in range(4):
                    t = np.swapaxes(x, -1, -2)
                    x = (3 * x - (x @ (t @ x) if x.shape[-2] >= x.shape[-1] else (x @ t) @ x)) / 2
    return np.asarray(x, dtype=object)


# ---- comparing -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Closer:
    """What 50 digits say: the largest relative difference, where, and both values there. `same` is None
    where more digits say something else."""

    same: bool | None
    found: Difference
    claimed: float = 0.0
    true: float = 0.0


class Precise:
    """Compares formulas at the points of a network in 50 digits."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self._batches: dict[tuple[int, int, int], Batch | None] = {}
        self._rounded = max((_rounding(x) for x in _decimals(points.graph)), default=0.0)

    def __call__(self, left: Tree, links: Sequence[Tree], link: Tree, paper: bool, at: Difference) -> Closer | None:
        """Is the link the left side, at the point of a difference and at one of every batch? None where 50 digits
        do not say."""
        first = (at.batch, at.index[0] if at.index else 0)
        written = (_rounding(t.data[0]) for t in link.walk() if t.op == "number")
        within = max(EQUAL, self._rounded, *written)
        worst: Closer | None = None
        for number, point in dict.fromkeys([first, *((n, 0) for n in range(len(self.points.batches)))]):
            found = self._at(number, point, DIGITS[0], left, links, link, paper)
            if found is None:
                return None
            if not found.found.error <= within:
                again = self._at(number, point, DIGITS[1], left, links, link, paper)
                if again is None:
                    return replace(found, same=None)
                if not again.found.error <= within:
                    stable = abs(again.found.error - found.found.error) <= 1e-3 * found.found.error
                    return replace(again, same=False if stable else None)
                found = again
            if worst is None or found.found.error > worst.found.error:
                worst = found
        return worst

    def _at(
        self, number: int, point: int, digits: int, left: Tree, links: Sequence[Tree], link: Tree, paper: bool
    ) -> Closer | None:
        key = (number, point, digits)
        try:
            if key not in self._batches:
                self._batches[key] = None
                self._batches[key] = exact_batch(self.points, *key)
            batch = self._batches[key]
            if batch is None:
                return None
            batch.forget()
            truth = batch.value(left, links)
            value = fitted(batch.value(link, (left,)), truth, paper)
            return _compared(value, truth.array, number, point)
        except (Unclear, ShapeError, SymbpError, ArithmeticError, TypeError, ValueError, AttributeError):
            return None


def _compared(value: Array, truth: Array, number: int, point: int) -> Closer | None:
    truth = np.broadcast_to(truth, value.shape)
    scale = max((abs(t) for t in truth.flat), default=0)
    off = [abs(v - t) for v, t in zip(value.flat, truth.flat, strict=True)]
    if not all(x == x and abs(x) != float("inf") for x in (*off, scale)):
        return None
    most = max(range(len(off)), key=off.__getitem__, default=0)
    if not off:
        return Closer(True, Difference(0.0, number))
    tiny = scale < 1e-40
    error = float(off[most] / (1 if tiny else scale))
    entry = tuple(int(i) for i in np.unravel_index(most, value.shape))[1:]
    claimed, true = (float(x.reshape(-1)[most]) for x in (value, truth))
    return Closer(True, Difference(error, number, (point, *entry)), claimed, true)


def _rounding(x: Fraction | float) -> float:
    """How much, relatively, a decimal may have been rounded; 0 for one with few digits."""
    value = Fraction(repr(x) if isinstance(x, float) else x)
    places = 0
    while value.denominator != 1 and places < 40:
        value, places = value * 10, places + 1
    if not places or value.denominator != 1 or abs(value) < 10 ** (WRITTEN - 1):
        return 0.0
    return 0.75 / abs(float(value))


def _decimals(graph: Graph) -> Iterable[Fraction]:
    yield from (Fraction(v.value) for v in graph.constants.values())
    for node in graph.inner:
        assert node.body is not None
        yield from (x.value for x in walk(node.body) if isinstance(x, Num))


__all__ = ["Closer", "Precise", "Unclear"]
