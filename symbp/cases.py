"""Who uses a tensor a[l], and for which l: the cases of a recursion.

A consumer such as `z[l] = W[l] a[l-1]` uses a[l] where l − 1 is solved for l: it is z[l+1], for l
up to L − 1. A consumer outside the loop, `C(a[L])`, uses a[l] at l = L alone. A variable of the
consumer that the tensor does not have (time, for shared weights) is summed. So the range of a
tensor falls into cases, each with its own consumers.

Invariant: the cases of a tensor do not overlap, and together they cover its range for large
bounds; for small ones the cases whose range is empty fall away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from symbp.errors import NoRule
from symbp.expr import ZERO, Entry, Expr, Num, Over, Size, add, mul
from symbp.family import (
    Loop,
    base_of,
    below,
    fresh_variable,
    names_in,
    plain_number,
    shift_number,
    solve,
    split,
)
from symbp.graph import Graph, Node
from symbp.index import affine, same_size
from symbp.local import rename

Ranges = Mapping[str, Loop]
Box = dict[str, tuple[Expr, Expr]]
MARK = "‡"  # the occurrence that is looked at, among others of the same family


# ---- who uses a tensor, and where -----------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """A consumer of the members of a family: `consumer` in the tensor's own variables, the
    consumer's variables that are summed, and for which members (`box`) it is one. `marked` is the
    consumer with the occurrence marked, `turn` the turn of a sum in it."""

    consumer: Node
    marked: Node
    sums: tuple[Loop, ...]
    box: Mapping[str, tuple[Expr, Expr]]
    turn: Mapping[str, Expr]

    def at(self, put: Mapping[str, Expr]) -> Use:
        """The same at numbers; a sum that is left with one turn is that turn."""
        sums = [Loop(x.var, shift_number(x.low, put), shift_number(x.high, put)) for x in self.sums]
        put = {**put, **{x.var: x.low for x in sums if same_size(x.low, x.high)}}
        left = tuple(x for x in sums if x.var not in put)
        turn = {k: shift_number(v, put) for k, v in self.turn.items()}
        return Use(self.consumer.at(put, left), self.marked.at(put, left), left, self.box, turn)


def uses_of(graph: Graph, target: Node) -> list[Use]:
    """Every consumer of a tensor, in the order of the network."""
    found: list[Use] = []
    for node in graph.inner:
        assert node.body is not None
        for name, around in references(node.body, base_of(target.name)):
            use = _use(node, name, around, target)
            if use is not None:
                found.append(use)
    here = split(target.name)[1]
    return sorted(found, key=lambda use: _is_another_turn(use.consumer.name, here))


def _is_another_turn(name: str, here: Sequence[Expr]) -> bool:
    """Is this member of another turn than the tensor? What happens in its own turn is said first."""
    variables = set().union(*map(names_in, here))
    return any(names_in(n) & variables and n not in here for n in split(name)[1])


def references(body: Expr, base: str) -> list[tuple[str, tuple[Loop, ...]]]:
    """The members of a family that a body names, each with the sums that it stands in."""
    found: dict[tuple[str, tuple[Loop, ...]], None] = {}
    seen: set[tuple[Expr, tuple[Loop, ...]]] = set()
    stack: list[tuple[Expr, tuple[Loop, ...]]] = [(body, ())]
    while stack:
        e, around = stack.pop()
        if (e, around) in seen or not any(base_of(t) == base for t in e.tensors):
            continue
        seen.add((e, around))
        if isinstance(e, Entry) and base_of(e.tensor) == base:
            found[(e.tensor, around)] = None
        if isinstance(e, Over):
            around = (*around, Loop(e.var, e.low, e.high))
        stack.extend((a, around) for a in reversed(e.args))
    return list(found)


def _use(node: Node, name: str, around: tuple[Loop, ...], target: Node) -> Use | None:
    """One reference, solved for the tensor's variables; None where it can never be this tensor."""
    free = {loop.var: loop for loop in (*node.loops, *around)}
    own = {loop.var: loop for loop in target.loops}
    put: dict[str, Expr] = {}
    equal: list[tuple[Expr, Expr]] = []
    for e, w in zip(split(name)[1], split(target.name)[1], strict=True):
        e = shift_number(e, put)
        var = next((v for v in free if v not in put and solve(e, w, v) is not None), None)
        if var is None:
            equal.append((e, w))
        else:
            value = solve(e, w, var)
            assert value is not None
            put[var] = value
    rest = [loop for loop in node.loops if loop.var not in put]
    taken = {*own, *(v for e in put.values() for v in names_in(e))}
    for loop in rest:  # a variable that is summed must not be one of the tensor's
        if loop.var in taken:
            assert node.body is not None
            put[loop.var] = Size(fresh_variable(loop.var, {*taken, *free, *names_in(node.body)}))
            taken.add(repr(put[loop.var]))
    sums = [_moved(loop, put) for loop in rest]
    box: Box = {v: (loop.low, loop.high) for v, loop in own.items()}
    conditions: list[tuple[Expr, Expr]] = []
    for e, w in equal:
        if same_size(e, w):
            continue
        if isinstance(w, Size) and w.name in own:
            conditions += [(w, e), (e, w)]
        else:
            return None
    for loop in (*node.loops, *around):
        if loop.var in put and loop not in rest:
            moved = _moved(loop, put)
            conditions += [(moved.low, put[loop.var]), (put[loop.var], moved.high)]
    for a, b in conditions:
        if not _restrict(a, b, own, box, sums):
            return None
    if any(_is_empty(low, high, own) for low, high in box.values()):
        return None
    turn = {loop.var: put[loop.var] for loop in around if loop.var in put}
    outer = {v: e for v, e in put.items() if v not in turn}
    consumer = node.at(outer, tuple(sums))
    assert node.body is not None
    marked = replace(node, body=_mark(node.body, name)).at(outer, tuple(sums))
    return Use(consumer, marked, tuple(sums), box, turn)


def _moved(loop: Loop, put: Mapping[str, Expr]) -> Loop:
    var = put.get(loop.var)
    name = var.name if isinstance(var, Size) else loop.var
    return Loop(name, shift_number(loop.low, put), shift_number(loop.high, put), loop.down)


def _mark(body: Expr, name: str) -> Expr:
    return rename(body, {name: MARK})


def _restrict(a: Expr, b: Expr, own: Ranges, box: Box, sums: list[Loop]) -> bool:
    """Put a ≤ b into the box or a sum; False if it never holds."""
    ranges = {**own, **{loop.var: loop for loop in sums}}
    known = below(a, b, ranges)
    if known is not None:
        return known
    room = affine(plain_number(add(b, mul(Num(-1), a)))) or {}
    for n, loop in enumerate(sums):
        c = room.get(Size(loop.var))
        if c is not None:
            bound = solve(plain_number(add(b, mul(Num(-1), a))), ZERO, loop.var)
            assert bound is not None
            low, high = loop.low, loop.high
            if c > 0:
                low = _tighter(low, bound, own, lower=True)
            else:
                high = _tighter(high, bound, own, lower=False)
            sums[n] = Loop(loop.var, low, high, loop.down)
            return True
    for var in own:
        c = room.get(Size(var))
        if c is not None:
            bound = solve(plain_number(add(b, mul(Num(-1), a))), ZERO, var)
            assert bound is not None
            low, high = box[var]
            box[var] = (
                (_tighter(low, bound, {}, lower=True), high) if c > 0 else (low, _tighter(high, bound, {}, lower=False))
            )
            return True
    raise NoRule(f"symbp cannot tell whether {a!r} comes before {b!r}, which decides the cases of this network.")


def _tighter(old: Expr, new: Expr, ranges: Ranges, lower: bool) -> Expr:
    """The larger of two lower ends, or the smaller of two upper ones."""
    before = below(old, new, ranges)
    if before is None:
        after = below(new, old, ranges)
        if after is None:
            raise NoRule(f"symbp cannot tell which of {old!r} and {new!r} comes first, which decides a range.")
        before = not after
    return new if before == lower else old


def _is_empty(low: Expr, high: Expr, ranges: Ranges) -> bool:
    return below(low, high, {}) is False


# ---- cases ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A part of a tensor's range with the same consumers: the member, and them."""

    node: Node  # with the ranges that are left as its loops
    uses: tuple[Use, ...]


def cases(target: Node, uses: Sequence[Use], cuts: Mapping[str, Iterable[Expr]]) -> list[Case]:
    """The cases of a tensor, in the order in which a backward pass meets them. `cuts` are further
    places at which the range is cut."""
    axes = [_intervals(loop, uses, cuts.get(loop.var, ())) for loop in target.loops]
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for place in product(*(range(len(a)) for a in axes)):
        cell = [axes[n][k] for n, k in enumerate(place)]
        found[place] = tuple(n for n, use in enumerate(uses) if _holds(use, target.loops, cell))
    _merge(found, axes, target.loops, cuts)
    result = []
    for place, ids in found.items():
        cell = [axes[n][k] for n, k in enumerate(place)]
        put = {loop.var: low for loop, (low, high) in zip(target.loops, cell) if same_size(low, high)}
        ranges = tuple(
            Loop(loop.var, low, high, loop.down) for loop, (low, high) in zip(target.loops, cell) if loop.var not in put
        )
        result.append(Case(target.at(put, ranges), tuple(uses[n].at(put) for n in ids)))
    return result


def _intervals(loop: Loop, uses: Sequence[Use], cuts: Iterable[Expr]) -> list[tuple[Expr, Expr]]:
    """The range cut where a consumer begins or ends, in backward order."""
    starts = [loop.low]
    for use in uses:
        low, high = use.box[loop.var]
        starts += [low, plain_number(high + 1)]
    starts += cuts
    ordered: list[Expr] = []
    for s in starts:
        if below(s, loop.low, {}, margin=1) is True or below(s, loop.high, {}) is False:
            continue
        if any(same_size(s, o) for o in ordered):
            continue
        n = 0
        while n < len(ordered):
            before = below(ordered[n], s, {})
            if before is None:
                raise NoRule(f"symbp cannot tell whether {ordered[n]!r} comes before {s!r}: the ends of two loops.")
            if not before:
                break
            n += 1
        ordered.insert(n, s)
    ends = [plain_number(s - 1) for s in ordered[1:]] + [loop.high]
    found = [(low, high) for low, high in zip(ordered, ends) if below(low, high, {}) is not False]
    return found if loop.down else found[::-1]


def _holds(use: Use, loops: Sequence[Loop], cell: Sequence[tuple[Expr, Expr]]) -> bool:
    return all(
        below(use.box[loop.var][0], low, {}) is True and below(high, use.box[loop.var][1], {}) is True
        for loop, (low, high) in zip(loops, cell)
    )


def _merge(
    found: dict[tuple[int, ...], tuple[int, ...]],
    axes: list[list[tuple[Expr, Expr]]],
    loops: Sequence[Loop],
    cuts: Mapping[str, Iterable[Expr]],
) -> None:
    """Neighbouring intervals with the same consumers everywhere become one, but for the cuts."""
    for n, loop in enumerate(loops):
        kept = list(cuts.get(loop.var, ()))
        k = 0
        while k + 1 < len(axes[n]):
            lower, upper = (k, k + 1) if loop.down else (k + 1, k)
            start = axes[n][upper][0]
            same = all(ids == found[(*p[:n], k + 1, *p[n + 1 :])] for p, ids in found.items() if p[n] == k)
            if not same or any(same_size(start, c) for c in kept):
                k += 1
                continue
            axes[n][k] = (axes[n][lower][0], axes[n][upper][1])
            del axes[n][k + 1]
            moved = {p: ids for p, ids in found.items() if p[n] != k + 1}
            found.clear()
            found.update({(*p[:n], p[n] - (p[n] > k), *p[n + 1 :]): ids for p, ids in moved.items()})


__all__ = ["MARK", "Case", "Ranges", "Use", "cases", "references", "uses_of"]
