"""The points at which claims are tried, with the true gradient of every node.

Several random points at sizes that are all different, at other sizes, and at equal sizes, where
shapes cannot decide. More are drawn until every kink (a relu, a max, a comparison) was seen from
both sides: a formula that is wrong on one side only must not pass. The gradients are the
derivation's own, compared here with numerical ones along random directions; where the derivation
has no rule they are numerical.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from symbp.check import compare, directions_for, is_analytic, numerical_gradients, numerical_slopes
from symbp.claim import Tree
from symbp.derive import derive
from symbp.errors import NoRule, RequestError, SymbpError
from symbp.evaluate import Evaluation, run, size_value
from symbp.expr import Compare, Reduce, Select, walk
from symbp.graph import Graph, adjoint
from symbp.judge.functions import Array
from symbp.judge.value import Batch, ShapeError, Value
from symbp.ops import UNKNOWN
from symbp.read.counts import DEPTH
from symbp.sample import HUGE, Point, choose_sizes, draw
from symbp.steps import Derivation
from symbp.unknown import samples
from symbp.unroll import unroll
from symbp.values import sizes_from

DRAWS = (4, 3, 2)  # at different sizes, at other different sizes, at equal sizes
RATES = ("rate", "eps", "epsilon", "ε", "lr", "eta", "η", "alpha", "α", "learning_rate", "mu", "step", "gamma")
"""Names that a learning rate has in an update, where the network has no such name."""
VAST = 1e150  # a loss that may be judged where no smaller one is found: its square is still a number
MORE = 24  # further draws at most, to see every kink from both sides


def written_out(graph: Graph) -> Graph:
    """A network of symbolic depth at three layers, so that it has a first, a middle and a last one."""
    return unroll(graph, dict.fromkeys(graph.bounds, DEPTH)) if graph.bounds else graph


class Points:
    """What all claims about one network share. `reason` says why there are no points."""

    def __init__(self, graph: Graph, seed: int = 0) -> None:
        self.graph, self.reason, self.note = graph, "", ""
        self.functions = samples(graph)
        self.derivation, self.missing = _derive(graph)
        self.batches: list[Batch] = []
        chosen: list[dict[str, int]] = []
        for n, count in enumerate(DRAWS):
            sizes = choose_sizes(graph, n) if n < 2 else choose_sizes(graph, equal=True)
            if sizes is None or (sizes in chosen):
                continue
            points = self._draw(sizes, count, [seed, n]) or self._draw(sizes, count, [seed, n], VAST)
            if points:
                chosen.append(sizes)
                self.batches.append(self._batch(sizes, points))
        if self.batches and not self.reason:
            self._verify(seed)
        if not self.batches:
            self.reason = self.reason or self.note or "no small sizes fit the relations of the network"

    @classmethod
    def at(cls, graph: Graph, values: Mapping[str, Array], extra: Mapping[str, float]) -> Points:
        """One given point, for claims in numbers; `extra` are numbers that the network does not have.

        Raises RequestError when a leaf has no value or one of the wrong shape."""
        one = cls.__new__(cls)
        one.graph, one.reason, one.note, one.functions = graph, "", "", samples(graph)
        one.derivation, one.missing = _derive(graph)
        missing = [n.name for n in graph.leaves if n.name not in values]
        if missing:
            raise RequestError(f"Values are needed for {', '.join(missing)} too.")
        sizes = sizes_from(graph, values)
        leaves = {k: np.asarray(v, dtype=float) for k, v in values.items()}
        state = run(graph, leaves, sizes, one.functions)
        one.batches = [one._batch(sizes, [Point(sizes, leaves, dict(state.values))])]
        one.extend(extra)
        return one

    def extend(self, scalars: Mapping[str, float]) -> None:
        """Numbers that the network does not have: learning rates."""
        for b in self.batches:
            b.scalars = {**b.scalars, **scalars}

    def _draw(self, sizes: dict[str, int], count: int, seed: Sequence[int], largest: float = HUGE) -> list[Point]:
        points: list[Point] = []
        first = not self.batches
        kinks = _two_sided(self.graph) if first else []
        unseen: set[tuple[int, bool]] = {(k, side) for k in range(len(kinks)) for side in (True, False)}
        for n in range(count + (MORE if first else 0)):
            if n >= count and not unseen:
                break
            point = draw(self.graph, sizes, np.random.default_rng([*seed, n]), self.functions, largest)
            if point.reason:
                self.note = point.reason
                if n >= 2:
                    break
                continue
            seen = self._sides(point, kinks) & unseen if unseen else set()
            if n < count or seen:
                points.append(point)
                unseen -= seen
        return points

    def _sides(self, point: Point, kinks: Sequence[Compare]) -> set[tuple[int, bool]]:
        state = Evaluation.of(self.graph, point.values, point.sizes, self.functions)
        found: set[tuple[int, bool]] = set()
        for k, e in enumerate(kinks):
            value = state.named(e).array != 0
            found |= {(k, True)} if value.any() else set()
            found |= set() if value.all() else {(k, False)}
        return found

    def _batch(self, sizes: dict[str, int], points: list[Point]) -> Batch:
        graph = self.graph
        values = {n: np.stack([p.values[n] for p in points]) for n in graph.nodes}
        state = Evaluation.of(graph, values, sizes, self.functions)
        gradients: dict[str, Array] = {graph.loss: np.ones((len(points),))}
        state.values[adjoint(graph.loss)] = np.ones((len(points),))
        with np.errstate(all="ignore"):
            for name, a in self.derivation.adjoints.items():
                if name in self.missing or name == graph.loss:
                    continue
                value = state.tensor(a.node, a.delta)
                value = np.broadcast_to(value, values[name].shape)
                gradients[name] = state.values[adjoint(name)] = value
            for name in graph.nodes:
                if name not in gradients:
                    rows = [
                        numerical_gradients(graph, p.leaves, sizes, [name], self.functions)[name].reshape(
                            values[name].shape[1:]
                        )
                        for p in points
                    ]
                    gradients[name] = np.stack(rows)
        scalars: dict[str, float] = {r: 0.31 + 0.06 * k for k, r in enumerate(RATES)}
        scalars |= {**{k: float(v.value) for k, v in graph.constants.items()}, **sizes, "pi": np.pi, "inf": np.inf}
        functions = {k.removeprefix(UNKNOWN): self._called(k, v, sizes) for k, v in self.functions.items()}
        return Batch(len(points), sizes, values, gradients, scalars, graph.table, functions, _Jacobians(self, points))

    def _called(self, name: str, value: Any, sizes: Mapping[str, int]) -> Any:
        """An unknown function as a formula calls it: a map of whole tensors gets the shape of its value."""
        signature = self.graph.functions.get(name)
        if signature is None or signature.is_elementwise:
            return value
        shape = tuple(size_value(d, sizes) for d in signature.gives)
        return lambda np, *args: value(np, None, shape, 1, *args)

    def _verify(self, seed: int) -> None:
        """The derived gradients against numerical ones, at one point: a mistake of ours must not
        become a student's."""
        batch = self.batches[0]
        leaves = {n.name: batch.tensors[n.name][0] for n in self.graph.leaves}
        rng = np.random.default_rng([seed, 7])
        names = [n for n in self.derivation.adjoints if n not in self.missing]
        directions = {n: directions_for(batch.tensors[n].shape[1:], "quick", rng) for n in names}
        with np.errstate(all="ignore"):
            true = numerical_slopes(self.graph, leaves, batch.sizes, directions, self.functions)
        noise = 1e-13 * max((float(np.abs(t).max(initial=0.0)) for t in true.values()), default=0.0)
        tolerance = 1e-9 if is_analytic(self.graph) else 1e-5
        for n in names:
            d = directions[n]
            derived = d.reshape(len(d), -1) @ batch.gradients[n][0].reshape(-1)
            with np.errstate(all="ignore"):
                agrees = compare(derived, true[n], tolerance, noise)[1]
            if not agrees and n in self.graph.fixed() and not np.isfinite(batch.gradients[n][0]).all():
                for b in self.batches:  # of given data, at 0 log 0: nobody asks for it
                    b.gradients.pop(n)
            elif not agrees:
                self.reason = f"the derived gradient of {n} does not agree with the numbers"

    def value(self, tree: Tree, beside: Sequence[Tree] = ()) -> list[Value]:
        """The value of a tree in every batch; raises ShapeError. Letters that stand for themselves
        run as far as they do in the trees beside it."""
        return [b.value(tree, beside) for b in self.batches]

    def shape(self, tree: Tree) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Letters and lengths of the array axes, at sizes that are all different; raises ShapeError."""
        value = self.batches[0].value(tree)
        return value.letters, value.shape

    @contextmanager
    def locally(self) -> Iterator[None]:
        """Jacobians mean what a node's own formula says of what stands in it, all else held still."""
        for b in self.batches:
            b.forget()
            if isinstance(b.jacobian, _Jacobians):
                b.jacobian.local = True
        try:
            yield
        finally:
            for b in self.batches:
                b.forget()
                if isinstance(b.jacobian, _Jacobians):
                    b.jacobian.local = False

    def define(self, name: str, tree: Tree) -> None:
        """A name that the student defines, for later claims."""
        for b in self.batches:
            b.definitions[name] = tree
            b.forget()

    def backward(self, about: str, own: Mapping[str, Tree]) -> list[Array] | None:
        """The gradient of a node when those of some nodes are what a student says; None where that
        has no value."""
        found = []
        for b in self.batches:
            state = Evaluation.of(self.graph, b.tensors, b.sizes, self.functions)
            state.values[adjoint(self.graph.loss)] = np.ones((b.count,))
            for name, a in self.derivation.adjoints.items():
                if name == self.graph.loss:
                    continue
                try:
                    value = b.value(own[name]).array if name in own and name != about else state.tensor(a.node, a.delta)
                except (ShapeError, SymbpError, ValueError):
                    return None
                if value.shape[1:] != b.tensors[name].shape[1:]:
                    return None
                state.values[adjoint(name)] = np.broadcast_to(value, b.tensors[name].shape)
                if name == about:
                    found.append(state.values[adjoint(name)])
                    break
        return found if len(found) == len(self.batches) else None

    @property
    def definitions(self) -> Mapping[str, Tree]:
        return self.batches[0].definitions if self.batches else {}


class _Jacobians:
    """∂node/∂leaf at the points of a batch: the node's entries, moved by every entry of the leaf."""

    def __init__(self, points: Points, at: list[Point]) -> None:
        self.points, self.at, self.known = points, at, dict[tuple[str, str, bool], Array]()
        self.local = False

    def __call__(self, of: str, wrt: str) -> Array:
        key = (of, wrt, self.local)
        if key not in self.known:
            self.known[key] = np.stack([self._one(p, of, wrt) for p in self.at])
        return self.known[key]

    def _one(self, point: Point, of: str, wrt: str) -> Array:
        graph = self.points.graph
        shape, top = point.values[wrt].shape, point.values[of].shape
        n = int(np.prod(shape, dtype=int))
        unit = np.eye(n).reshape(n, *shape)
        if is_analytic(graph):
            slopes = np.broadcast_to(self._moved(point, of, wrt, 1e-30j * unit), (n, *top)).imag / 1e-30
        else:
            step = 1e-6
            ends = [np.broadcast_to(self._moved(point, of, wrt, s * step * unit), (n, *top)) for s in (1.0, -1.0)]
            slopes = (ends[0] - ends[1]) / (2 * step)
        return np.moveaxis(slopes, 0, -1).reshape((*top, *shape))

    def _moved(self, point: Point, of: str, wrt: str, by: Array) -> Array:
        """The values of a node when another moves, alone or with all that it moves."""
        graph, functions = self.points.graph, self.points.functions
        node = graph[of]
        if not self.local or node.body is None:
            return run(graph, point.leaves, point.sizes, functions, {wrt: by}).values[of]
        values = {**point.values, wrt: point.values[wrt] + by}
        return Evaluation.of(graph, values, point.sizes, functions).tensor(node, node.body)


def _derive(graph: Graph) -> tuple[Derivation, frozenset[str]]:
    """The derivation for every node, and the names it has no rule for."""
    names = [n for n in graph.nodes if n != graph.loss]
    try:
        return derive(graph, names, closed=False, steps=False), frozenset()
    except (NoRule, RequestError, SymbpError):
        return Derivation(graph, (), {}), frozenset(names)


def _two_sided(graph: Graph) -> list[Any]:
    """Conditions of the network that can hold or not: each is 1 or 0."""
    from symbp.expr import ZERO as zero
    from symbp.expr import Call, add, neg

    found: dict[Any, None] = {}
    for node in graph.inner:
        assert node.body is not None
        for x in walk(node.body):
            if isinstance(x, Compare) and x.tensors:
                found.setdefault(x)
            elif isinstance(x, Call) and x.tensors and x.fn in graph.table:
                for k in graph.table[x.fn].kinks(*x.args):
                    found.setdefault(Compare(">", add(k, neg(zero)), zero))
    return [x for x in found if not (_bound_letters(x))]


def _bound_letters(e: Any) -> bool:
    return any(isinstance(x, (Reduce, Select)) for x in walk(e) if x is not e)


__all__ = ["Points"]
