"""Split and merged axes: what the digits of an index are in arrays.

`x[h·k + j]` reads an axis of h·k entries by two letters: it is `reshape(x, (h, k))[h, j]`. The other
way, what is summed with 0 ≤ d − h·k < k (or with δ(h·k + j, d)) has one axis d where it had the two
letters: it is computed with the letters h and j as axes, which are merged by a `reshape`.

All this is a rewriting: an entry becomes an entry of a view, a tensor that has a form instead of a
name, and is emitted like any other. What fits none of these stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from symbp.expr import (
    ONE,
    ZERO,
    Add,
    Compare,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Reduce,
    Select,
    Size,
    fresh,
    mul,
    rebuild,
    substitute,
    total,
    walk,
)
from symbp.expr import replace as rewrite
from symbp.form import Axes, Form, NotReducible, form
from symbp.graph import Graph
from symbp.index import Affine, affine, at_least, bound_of, place, places_normal, same_size, within
from symbp.matrix import Emitter, natural_order
from symbp.sizes import size_text

VIEW = "\ue020"
"""Names of views begin with this: no tensor's name does."""


@dataclass(frozen=True)
class View:
    """A tensor that has a form, and its shape."""

    form: Form
    shape: tuple[Expr, ...]


@dataclass
class Term:
    """Σ over `bound` of the product of `factors` and of comparisons of indices."""

    bound: list[Index]
    factors: list[Expr]
    masks: list[Compare]

    def others(self, letter: Index, but: Expr) -> list[Expr]:
        return [f for f in (*self.factors, *self.masks) if letter in f.free and f is not but]

    def put(self, old: Expr, new: Expr) -> None:
        self.factors = [new if f is old else f for f in self.factors]

    def whole(self) -> Expr:
        return total(self.bound, mul(*self.factors, *self.masks))


@dataclass(frozen=True)
class Digits:
    """Letters of which an index is made, `start + (q·A + a)·B + b`: the slowest first."""

    letters: tuple[Index, ...]
    start: Expr

    @property
    def length(self) -> Expr:
        """How many values they take together."""
        whole: Expr = ONE
        for i in self.letters:
            whole = place(mul(whole, i.dim)) if whole is not ONE else i.dim
        return whole

    @property
    def index(self) -> Expr:
        flat, step = self.start, ONE  # type: Expr, Expr
        for i in reversed(self.letters):
            flat = flat + (mul(step, i) if step is not ONE else i)
            step = mul(step, i.dim) if step is not ONE else i.dim
        return place(flat)


class ViewEmitter(Emitter):
    """An emitter that sees split and merged axes."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.views: dict[str, View] = {}

    def exactly(self, e: Expr, target: Axes) -> Form:
        return super().exactly(rewrite(e, self.rule) if has_places(e) else e, target)

    def shape_of(self, tensor: str) -> tuple[Expr, ...]:
        return self.views[tensor].shape if tensor in self.views else super().shape_of(tensor)

    def named(self, tensor: str, axes: Axes) -> Form:
        return (
            form("view", (self.views[tensor].form,), axes, cost=0.0)
            if tensor in self.views
            else super().named(tensor, axes)
        )

    def view(self, view: View, idx: Iterable[Expr]) -> Entry:
        """An entry of a view."""
        name = f"{VIEW}{len(self.views)}"
        self.views[name] = view
        return Entry(name, idx)

    def plain(self, tensor: str) -> tuple[Form, tuple[Expr, ...]]:
        shape = self.shape_of(tensor)
        return self.views[tensor].form if tensor in self.views else self.named(tensor, (None,) * len(shape)), shape

    def _reshaped(self, x: Form, shape: Sequence[Expr]) -> Form:
        """x in another shape, sizes by the names that the network has for them; reshaped only once."""
        while x.kind == "reshape":
            x = x.args[0]
        names = {name: size for name, size in self.graph.relations.items() if not name.isdigit()}
        named = (next((Size(n) for n, size in names.items() if same_size(d, size)), d) for d in shape)
        return form("reshape", (x,), (None,) * len(shape), *named, cost=1.0)

    # -- the rewriting --

    def rule(self, e: Expr) -> Expr | None:
        """One step of the rewriting, top down: what is seen here, or None."""
        if isinstance(e, Reduce) and e.op == "sum":
            bound, body = e.open()
            return self.seen(e, bound, body)
        if isinstance(e, (Mul, Select)):
            return self.seen(e, (), e)
        if isinstance(e, Entry):
            return ViewEmitter.split(self, e) if e.tensor in self.views else self.split(e)
        return None

    def seen(self, e: Expr, bound: Sequence[Index], body: Expr) -> Expr:
        """One term with everything in it seen; `e` itself where there is nothing to see."""
        term = opened(bound, body)
        found = self.merged(term)
        for n, f in enumerate(term.factors):
            done = self.inside(f)
            found, term.factors[n] = found or done is not f, done
        return term.whole() if found else e

    def inside(self, f: Expr) -> Expr:
        """A factor with everything in it seen."""
        if isinstance(f, Select):  # on its own it would be opened as a term again
            return rebuild(f, [rewrite(a, self.rule) for a in f.args])
        return rewrite(f, self.rule)

    # -- one axis read by several letters --

    def split(self, e: Entry) -> Entry:
        """`x[h·k + j]` as an entry of `reshape(x, (h, k))`."""
        x, shape = self.plain(e.tensor)
        idx: list[Expr] = []
        dims: list[Expr] = []
        slices: list[str] = []
        for i, d in zip(e.idx, shape, strict=True):
            digits = self.digits(i) if isinstance(i, Add) else None
            if digits is None or len(digits.letters) < 2 or not self._holds(digits, d):
                idx.append(i)
                dims.append(d)
                slices.append(":")
                continue
            idx += digits.letters
            dims += [a.dim for a in digits.letters]
            end = place(digits.start + digits.length)
            first = "" if digits.start is ZERO else size_text(digits.start)
            slices.append(first + ":" + ("" if self.same_size(end, d) else size_text(end)))
        if len(idx) == len(e.idx):
            return e
        if set(slices) != {":"}:
            x = form("subscript", (x,), (None,) * len(shape), *slices, cost=0.4)
        return self.view(View(self._reshaped(x, dims), tuple(dims)), idx)

    def _holds(self, digits: Digits, dim: Expr) -> bool:
        """Are all values of the digits places of an axis?"""
        room = affine(self._resolved(dim - digits.start - digits.length)) or {}
        return at_least(affine(digits.start) or {}, 0) and at_least(room, 0)

    def digits(self, e: Expr, among: Iterable[Expr] | None = None) -> Digits | None:
        """An affine index as digits: each letter's step is the number of values of the faster ones."""
        parts = affine(e) or {}
        steps: dict[Index, Expr] = {}
        for atom, c in parts.items():
            for i in atom.free:
                if c <= 0 or not isinstance(i, Index) or i in steps or (among is not None and i not in among):
                    return None
                steps[i] = without(atom, i, c)
        found: list[Index] = []
        step: Expr = ONE
        while len(found) < len(steps):
            next_one = next((x for x, s in steps.items() if x not in found and self.same_size(s, step)), None)
            if next_one is None:
                return None
            found.insert(0, next_one)
            step = place(mul(step, next_one.dim)) if step is not ONE else next_one.dim
        return Digits(tuple(found), place(numbers(parts))) if found else None

    # -- several letters as one axis --

    def merged(self, term: Term) -> bool:
        """What is summed over the digits of an index, as an entry of one tensor with that axis."""
        for f in term.factors:
            if isinstance(f, Delta):
                for flat, other in (f.args, f.args[::-1]):
                    digits = self.digits(flat, term.bound)
                    if digits is None or not digits.letters or not other.free.isdisjoint(digits.letters):
                        continue
                    if not within(place(other - digits.start), digits.length):
                        return self._merge(term, digits, place(other - digits.start), {f})
        for low in term.masks:
            for high in term.masks:
                found = self._digits_between(term, low, high) if low is not high else None
                if found is not None:
                    digits, i = found
                    return self._merge(term, digits, place(i - digits.start), {low, high}, i)
        return False

    def _digits_between(self, term: Term, low: Compare, high: Compare) -> tuple[Digits, Index] | None:
        """The digits (q, ρ) of a letter i of which `low` and `high` say 0 ≤ i − q·B < B."""
        room = bound_of(low) or {}
        across = affine(sum_of(room, bound_of(high) or {}))
        if across is None or any(atom.free for atom in across):
            return None
        size = place(sum_of(across, {ONE: Num(1).value}))
        plain = [a for a, c in room.items() if isinstance(a, Index) and c == 1]
        qs = [i for a, c in room.items() if c < 0 for i in a.free]
        if len(plain) != 1 or not qs or not set(qs) <= set(term.bound) or plain[0] in qs:
            return None
        i = plain[0]
        assert isinstance(i, Index)
        last = fresh(size)
        rest = place(i - from_room(room) + last)
        digits = self.digits(rest)
        if digits is None or digits.letters[-1] is not last or set(digits.letters) != {*qs, last}:
            return None
        put = {i: digits.index}
        read = [f for f in term.factors if _reads_last_digit(f, i, put, digits)]
        return (digits, i) if read and self._holds(digits, i.dim) else None

    def _merge(self, term: Term, digits: Digits, at: Expr, used: set[Expr], i: Index | None = None) -> bool:
        letters = set(digits.letters)
        mine = [f for f in term.factors if f not in used and not letters.isdisjoint(f.free)]
        put = {i: digits.index} if i is not None else {}
        if i is not None:
            mine += [f for f in term.factors if f not in mine and _reads_last_digit(f, i, put, digits)]
        masks = [m for m in term.masks if m not in used and not letters.isdisjoint(m.free)]
        body = places_normal(substitute(mul(*mine, *masks), put))
        if any(_slides(x) for x in walk(body)):
            return False
        if not mine:  # a number of times one entry
            if i is not None or masks:
                return False
            term.factors = [f for f in term.factors if f not in used]
            term.bound = [b for b in term.bound if b not in letters]
            return True
        gone = (*used, *mine, *masks)
        rest = [f for f in (*term.factors, *term.masks) if f not in gone]
        within = [
            b for b in term.bound if b in body.free and b not in letters and not any(b in x.free for x in (*rest, at))
        ]
        body = total(within, body)
        order = self._order(body, digits)
        try:
            x = self.exactly(body, order)
        except NotReducible:
            return False
        n = order.index(digits.letters[0])
        others = [a for a in order if a is not None]
        kept = [*others[:n], *others[n + len(digits.letters) :]]
        shape = (*(a.dim for a in others[:n]), digits.length, *(a.dim for a in others[n + len(digits.letters) :]))
        entry = ViewEmitter.split(self, self.view(View(self._reshaped(x, shape), shape), [*kept[:n], at, *kept[n:]]))
        term.factors = [entry if f is mine[0] else f for f in term.factors if f is mine[0] or f not in gone]
        term.masks = [m for m in term.masks if m not in gone]
        if i is not None and not self.same_size(digits.length, i.dim):
            term.masks += [Compare(">=", at, ZERO)] * (digits.start is not ZERO)
            term.masks.append(Compare("<", at, digits.length))
        term.bound = [b for b in term.bound if b not in letters and b not in within]
        return True

    def _order(self, body: Expr, digits: Digits) -> tuple[Index, ...]:
        """The letters of a body with the digits side by side, as its widest entry has them if it does."""
        free = (*body.free, *digits.letters)
        entries = [x for x in walk(body) if isinstance(x, Entry)]
        for x in sorted(entries, key=lambda x: -len(x.free)):
            order = [a for a in natural_order(x) if a in free]
            n = order.index(digits.letters[0]) if digits.letters[0] in order else -1
            if n >= 0 and tuple(order[n : n + len(digits.letters)]) == digits.letters and set(order) == set(free):
                return tuple(order)
        rest = [i for x in entries for i in natural_order(x) if i in free and i not in digits.letters]
        rest += [i for i in sorted(body.free, key=str) if i not in digits.letters]
        return (*dict.fromkeys(rest), *digits.letters)


def _reads_last_digit(f: Expr, i: Index, put: Mapping[Index, Expr], digits: Digits) -> bool:
    """Does an entry read i − q·B, the last digit of i, once the digits are put in?"""
    last = digits.letters[-1]
    for x in walk(f):
        for p in x.idx if isinstance(x, Entry) else x.at if isinstance(x, Reduce) else ():
            done = place(substitute(p, put))
            if i in p.free and last in done.free and done.free.isdisjoint(digits.letters[:-1]):
                return True
    return False


def _slides(x: Expr) -> bool:
    """Does an entry look through a window?"""
    return isinstance(x, Entry) and any(
        isinstance(p, Add) and any(c < 0 for a, c in (affine(p) or {}).items() if a.free) for p in x.idx
    )


# ---- terms -------------------------------------------------------------------------------------


def has_places(e: Expr) -> bool:
    """Is some index more than a letter or a number, or compared?"""
    return any(
        (isinstance(x, Entry) and any(isinstance(i, (Add, Mul)) for i in x.idx))
        or (isinstance(x, (Compare, Delta)) and not x.tensors and bool(x.free))
        for x in walk(e)
    )


def opened(bound: Sequence[Index], body: Expr, levels: int = 99) -> Term:
    """A term with its comparisons of indices apart, and sums inside it opened, down to so many levels,
    if there are any comparisons."""
    term = Term(list(bound), [], [])
    pending = [(f, levels) for f in (body.args if isinstance(body, Mul) else (body,))]
    masked = any(is_mask(x) for f, _ in pending for x in (f, *(f.args if isinstance(f, (Select, Mul)) else ())))
    while pending:
        f, left = pending.pop(0)
        if isinstance(f, Select) and f.args[2] is ZERO and isinstance(f.args[1], Entry) and not f.args[0].tensors:
            pending[:0] = [(a, left) for a in f.args[:2]]
        elif isinstance(f, Mul):
            pending[:0] = [(a, left) for a in f.args]
        elif isinstance(f, Reduce) and f.op == "sum" and ((masked and left) or not (term.factors or pending)):
            inner, core = f.open()
            term.bound += inner
            pending.insert(0, (core, left - 1 if masked else left))
        elif isinstance(f, Compare) and is_mask(f):
            term.masks.append(f)
        else:
            term.factors.append(f)
    return term


def is_mask(e: Expr) -> bool:
    return isinstance(e, Compare) and bound_of(e) is not None


def without(atom: Expr, letter: Expr, scale: object) -> Expr:
    """The coefficient of a letter: `2` of 2 i, `k` of k i."""
    rest = [a for a in atom.args if a is not letter] if isinstance(atom, Mul) else []
    return mul(Num(scale), *rest)  # type: ignore[arg-type]


def numbers(parts: Affine) -> Expr:
    """What of an affine expression has no letter."""
    return added(mul(Num(c), a) for a, c in parts.items() if not a.free)


def added(terms: Iterable[Expr]) -> Expr:
    whole: Expr = ZERO
    for t in terms:
        whole = whole + t
    return whole


def from_room(room: Affine) -> Expr:
    return added(mul(Num(c), atom) for atom, c in room.items())


def sum_of(a: Affine, b: Affine) -> Expr:
    return place(from_room(a) + from_room(b))


__all__ = ["View", "ViewEmitter"]
