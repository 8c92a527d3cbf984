"""Families: tensors that are numbered by loop variables, `a[l]`, `h[l, t]`.

A member of a family is a tensor of its own, and its name says which: `a[l-1]` is the tensor
`Entry("a[l-1]", …)`, with sizes such as `n[l-1]`. So one turn of a loop is an ordinary small graph
to everything that works on expressions, and depth is only a matter of names: `shift` puts l + 1 in
the place of l in every name, size and range. A loop variable, and whatever bounds its range, is a
`Size` when it is used as a number.

Ranges are inclusive. `below` compares their ends: a symbolic bound (L, T) counts as large, which
is what the written cases assume; for small numbers the cases that are empty are left out.

Invariant: `member(*split(name)) == name` for every name that this module made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from symbp.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Apply,
    Call,
    Entry,
    Expr,
    Index,
    Num,
    Over,
    Reduce,
    Size,
    add,
    mul,
    rebuild,
)
from symbp.index import Affine, affine, from_affine

ADJOINT_MARK = "∂"


@dataclass(frozen=True)
class Loop:
    """`for var in low..high`, both included; `down` when it runs from high to low."""

    var: str
    low: Expr
    high: Expr
    down: bool = False

    @property
    def is_point(self) -> bool:
        return self.low is self.high


# ---- names ---------------------------------------------------------------------------------------


def number_text(e: Expr) -> str:
    """`l+1`, `T`, `-1`: an index of a family, as it stands in a name."""
    parts = affine(e)
    if parts is None:
        raise ValueError(f"{e!r} is not the number of a member")
    shown = ""
    for atom, c in sorted(parts.items(), key=lambda item: item[0] is ONE):
        name = "" if atom is ONE else repr(atom)
        size = "" if abs(c) == 1 and name else str(abs(c)) + ("*" if name else "")
        shown += ("-" if c < 0 else "+" if shown else "") + size + name
    return shown or "0"


def member(base: str, numbers: Iterable[Expr]) -> str:
    """The name of a member: `a[l-1]`, `h[l,t]`; without numbers the base itself."""
    shown = ",".join(map(number_text, numbers))
    return f"{base}[{shown}]" if shown else base


@lru_cache(maxsize=65536)
def split(name: str) -> tuple[str, tuple[Expr, ...]]:
    """The base and the numbers of a member's name; `("x", ())` for any other name."""
    base, bracket, inner = name.partition("[")
    if not bracket:
        return name, ()
    return base, tuple(map(_number, inner[:-1].split(",")))


def base_of(name: str) -> str:
    return name.partition("[")[0]


_TERM = re.compile(r"([+-]?)(?:(\d+)\*)?(\w+)")


def _number(text: str) -> Expr:
    parts: Affine = {}
    for sign, times, atom in _TERM.findall(text):
        value = Fraction(int(times or 1) * (-1 if sign == "-" else 1))
        if atom.isdigit():
            value, key = value * int(atom), ONE
        else:
            key = Size(atom)  # type: ignore[assignment]
        parts[key] = parts.get(key, Fraction(0)) + value
    return from_affine({k: v for k, v in parts.items() if v})


def plain_number(e: Expr) -> Expr:
    """A number collected: `(l + 1) - 1` is `l`."""
    parts = affine(e)
    return e if parts is None else from_affine(parts)


# ---- moving ---------------------------------------------------------------------------------------


def shift_number(e: Expr, put: Mapping[str, Expr]) -> Expr:
    """An index, bound or size with numbers in the place of loop variables."""
    return plain_number(_Mover(put)(e)) if put else e


def shift_name(name: str, put: Mapping[str, Expr]) -> str:
    """`a[l-1]` with l + 1 for l is `a[l]`; adjoints `∂a[l]` and other names too."""
    if "[" not in name:
        return name
    base, numbers = split(name)
    return member(base, (shift_number(n, put) for n in numbers))


def shift(e: Expr, put: Mapping[str, Expr]) -> Expr:
    """The expression with numbers in the place of loop variables: in the names of tensors, sizes
    and unknown functions, in the ranges of indices, and where they stand as numbers."""
    return _Mover(put)(e) if put else e


class _Mover:
    """One substitution; remembers what it did."""

    def __init__(self, put: Mapping[str, Expr]) -> None:
        self.put = put
        self.memo: dict[Expr, Expr] = {}

    def __call__(self, e: Expr) -> Expr:
        found = self.memo.get(e)
        if found is None:
            found = self.memo[e] = self._move(e)
        return found

    def _move(self, e: Expr) -> Expr:
        match e:
            case Size():
                return self.put.get(e.name) or Size(shift_name(e.name, self.put))
            case Index():
                dim = self(e.dim)
                return e if dim is e.dim else Index(e.name, dim)
            case Entry():
                return Entry(shift_name(e.tensor, self.put), map(self, e.args))
            case Call():
                return Call(shift_name(e.fn, self.put), *map(self, e.args))
            case Apply():
                args = [self(a) for a in e.args]
                return Apply(shift_name(e.fn, self.put), args[: e.count], args[e.count :], e.slot)
            case Reduce():
                bound = [self(i) for i in e.bound]
                return Reduce(e.op, bound, self(e.body), map(self, e.at))  # type: ignore[arg-type]
            case Over():
                return self._over(e)
        return rebuild(e, map(self, e.args)) if e.args else e

    def _over(self, e: Over) -> Expr:
        low, high = (shift_number(b, self.put) for b in (e.low, e.high))
        inner = {k: v for k, v in self.put.items() if k != e.var}
        if not inner:
            return Over(e.var, low, high, e.body)
        body, var = e.body, e.var
        if any(mentions(v, var) for v in inner.values()):  # its variable would catch one put in
            var = fresh_variable(var, names_in(body) | {n for v in inner.values() for n in names_in(v)})
            body = shift(body, {e.var: Size(var)})
        return Over(var, low, high, shift(body, inner))


def names_in(e: Expr) -> set[str]:
    """Every variable and symbolic bound that occurs in an expression."""
    found: set[str] = set()
    stack, seen = [e], {e}
    while stack:
        x = stack.pop()
        more: list[Expr] = list(x.args)
        if isinstance(x, Size):
            _add_names(x.name, found)
        elif isinstance(x, Index):
            more.append(x.dim)
        elif isinstance(x, Entry):
            _add_names(x.tensor, found)
        elif isinstance(x, (Call, Apply)):
            _add_names(x.fn, found)
        elif isinstance(x, Reduce):
            more += x.bound
        elif isinstance(x, Over):
            found.add(x.var)
            more += (x.low, x.high)
        for y in more:
            if y not in seen:
                seen.add(y)
                stack.append(y)
    return found


def _add_names(name: str, found: set[str]) -> None:
    base, numbers = split(name)
    if not numbers:
        found.add(base)
    for n in numbers:
        found |= {a.name for a in affine(n) or {} if isinstance(a, Size)}


def mentions(e: Expr, var: str) -> bool:
    return var in names_in(e)


def fresh_variable(var: str, taken: set[str]) -> str:
    """`t` as `s`, `t2`, … whatever is new."""
    wanted = [c for c in {"t": "s", "l": "k", "i": "j"}.get(var[0], "k") if c not in taken]
    n = 2
    while not wanted:
        if f"{var}{n}" not in taken:
            wanted = [f"{var}{n}"]
        n += 1
    return wanted[0]


def unrolled(e: Expr, numbers: Mapping[str, int]) -> Expr:
    """The expression with numbers for symbolic bounds and variables, its sums written out."""
    return _Unroller({n: Num(v) for n, v in numbers.items()})(e)


class _Unroller(_Mover):
    def _over(self, e: Over) -> Expr:
        low, high = (shift_number(b, self.put) for b in (e.low, e.high))
        assert isinstance(low, Num) and isinstance(high, Num)
        turns = range(int(low.value), int(high.value) + 1)
        return add(*(_Unroller({**self.put, e.var: Num(n)})(e.body) for n in turns))


# ---- pieces -----------------------------------------------------------------------------------------


def piece(base: str, numbers: Sequence[Expr], around: Sequence[Loop]) -> tuple[str, tuple[Loop, ...], dict[str, Expr]]:
    """A left side `base[numbers]` in loops: the piece's name in its own variables, their ranges, and
    what the loops' variables are in them: `h[t+1]` in a loop over t is h[t], and that t is t − 1.

    Raises ValueError, which says what is wrong with the numbers."""
    variables = {loop.var: loop for loop in around}
    own: dict[str, Expr] = {}
    loops: list[Loop] = []
    for n in numbers:
        parts = affine(n) or {}
        var = next((a.name for a in parts if isinstance(a, Size) and a.name in variables), "")
        if not var:
            continue
        if var in own:
            raise ValueError(f"{var} numbers {base} twice")
        rest = {a: c for a, c in parts.items() if not (isinstance(a, Size) and a.name == var)}
        if rest.keys() - {ONE}:
            raise ValueError("a left side is numbered by its variable, plus or minus a number")
        by = Num(rest.get(ONE, Fraction(0)))
        own[var] = plain_number(Size(var) - by)
        loop = variables[var]
        loops.append(Loop(var, plain_number(loop.low + by), plain_number(loop.high + by), loop.down))
    missing = [v for v in variables if v not in own]
    if missing:
        raise ValueError(f"{member(base, numbers)} would be defined anew for every {missing[0]}")
    order = {loop.var: n for n, loop in enumerate(around)}
    loops = [Loop(x.var, shift_number(x.low, own), shift_number(x.high, own), x.down) for x in loops]
    loops.sort(key=lambda x: order[x.var])
    put = {v: e for v, e in own.items() if e is not Size(v)}
    return shift_name(member(base, numbers), put), tuple(loops), put


def _placeholder(n: int) -> str:
    return f"_{n}_"


def generic_shape(shape: Sequence[Expr], numbers: Sequence[Expr]) -> tuple[Expr, ...]:
    """The shape of a member as a shape of every member: n[0] of a[0] is n[_0_]."""
    known = {number_text(n): Size(_placeholder(k)) for k, n in reversed(list(enumerate(numbers)))}
    variables = {
        a.name: Size(_placeholder(k)) - Num(affine(n).get(ONE, 0))  # type: ignore[union-attr]
        for k, n in enumerate(numbers)
        for a in affine(n) or {}
        if isinstance(a, Size)
    }

    def general(size: Size) -> Expr:
        base, own = split(size.name)
        if not own:
            return size
        return Size(member(base, (known.get(number_text(n)) or shift_number(n, variables) for n in own)))

    def walk(e: Expr) -> Expr:
        if isinstance(e, Size):
            return general(e)
        return rebuild(e, map(walk, e.args)) if e.args else e

    return tuple(map(walk, shape))


def shape_at(shape: Iterable[Expr], numbers: Sequence[Expr]) -> tuple[Expr, ...]:
    put = {_placeholder(k): n for k, n in enumerate(numbers)}
    return tuple(shift(d, put) for d in shape)


# ---- comparing -------------------------------------------------------------------------------------


def below(a: Expr, b: Expr, ranges: Mapping[str, Loop], margin: int = 0) -> bool | None:
    """Is a + margin ≤ b, for every value of the loop variables in `ranges` and for large symbolic
    bounds? True or False when that is always so, None when it depends or cannot be told."""
    room = affine(add(b, mul(MINUS_ONE, a), Num(-margin)))
    if room is None:
        return None
    least = _extreme(room, ranges, lowest=True)
    if least is not None and least >= 0:
        return True
    most = _extreme(room, ranges, lowest=False)
    return False if most is not None and most < 0 else None


_LARGE = 10**6


def _extreme(a: Affine, ranges: Mapping[str, Loop], lowest: bool) -> Fraction | None:
    """The least (or greatest) value of an affine expression; None where two symbolic bounds pull
    in opposite directions."""
    rest = dict(a)
    for _ in range(16):
        atom = next((x for x in rest if isinstance(x, Size) and x.name in ranges), None)
        if atom is None:
            break
        assert isinstance(atom, Size)
        c = rest.pop(atom)
        end = ranges[atom.name].low if (c > 0) == lowest else ranges[atom.name].high
        for k, v in (affine(end) or {}).items():
            rest[k] = rest.get(k, Fraction(0)) + c * v
            if not rest[k]:
                del rest[k]
    value = rest.pop(ONE, Fraction(0))
    if not rest:
        return value
    if all(c > 0 for c in rest.values()):
        return value + _LARGE
    return value - _LARGE if all(c < 0 for c in rest.values()) else None


def contains(outer: Loop, low: Expr, high: Expr, ranges: Mapping[str, Loop]) -> bool:
    """Do the ranges prove outer.low ≤ low and high ≤ outer.high?"""
    return below(outer.low, low, ranges) is True and below(high, outer.high, ranges) is True


# ---- the order of a network ------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """One member computed: the node `name`, at the numbers `put` for its own variables (in the
    variables of the loops around; `h[t+1] = …` is the node h[t] at t + 1)."""

    name: str
    put: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True)
class Block:
    """A loop and what stands in it, in order."""

    loop: Loop
    body: tuple[Turn | Block, ...]


def turns(blocks: Iterable[Turn | Block], numbers: Mapping[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """Every member that is computed, in order: its node, and the node's variables as numbers."""
    for item in blocks:
        if isinstance(item, Turn):
            put = {n: Num(v) for n, v in numbers.items()}
            own = {v: _int(shift_number(e, put)) for v, e in item.put}
            yield item.name, {**numbers, **own}
            continue
        low, high = (
            _int(shift_number(e, {n: Num(v) for n, v in numbers.items()})) for e in (item.loop.low, item.loop.high)
        )
        values = range(low, high + 1)
        for value in reversed(values) if item.loop.down else values:
            yield from turns(item.body, {**numbers, item.loop.var: value})


def _int(e: Expr) -> int:
    assert isinstance(e, Num), e
    return int(e.value)


def solve(e: Expr, target: Expr, var: str) -> Expr | None:
    """The value of `var` at which the number `e` is `target`; None if `e` does not hold it with
    coefficient ±1."""
    parts = affine(e)
    if parts is None:
        return None
    c = parts.pop(Size(var), None)
    if c is None or abs(c) != 1:
        return None
    rest = add(target, mul(MINUS_ONE, from_affine(parts)))
    return plain_number(mul(Num(c), rest) if c != 1 else rest)


def inverse(put: Iterable[tuple[str, Expr]]) -> dict[str, Expr]:
    """The shifts backwards: t − 1 for t + 1."""
    return {v: plain_number(Size(v) + (Size(v) - e)) for v, e in put}


def variables(numbers: Sequence[Expr], among: Iterable[str]) -> list[str]:
    """The loop variables among these that occur in the numbers of a member."""
    found = {a.name for n in numbers for a in affine(n) or {} if isinstance(a, Size)}
    return [v for v in among if v in found]


__all__ = [
    "ZERO",
    "Block",
    "Loop",
    "Turn",
    "base_of",
    "below",
    "contains",
    "fresh_variable",
    "generic_shape",
    "inverse",
    "member",
    "mentions",
    "names_in",
    "number_text",
    "piece",
    "plain_number",
    "shape_at",
    "shift",
    "shift_name",
    "shift_number",
    "solve",
    "split",
    "turns",
    "unrolled",
    "variables",
]
