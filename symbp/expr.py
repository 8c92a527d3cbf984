"""Scalar expressions: what one entry of a tensor is.

Few node types, frozen and interned: two equal expressions are one object, so `is` decides
equality, hashing is free, and results can be remembered per expression. Summands and factors
stay in the order in which they were written, because a textbook's `ŷ − y` must survive; the
constructors never simplify (what is not a rule could not be shown as a step).

An index is a letter with a range, `Index("i0", N)` runs over 0..N-1. `Reduce` binds indices and
renames them to canonical letters (`#1`, `#2`, … by nesting), so that Σ_i x_i and Σ_j x_j are the
same object and a substitution can never capture: free and bound letters live apart.

    z[n,j] = Σ_i X[n,i] W[i,j] + b[j]
    Add(Reduce("sum", (#1,), Mul(Entry("X", (n, #1)), Entry("W", (#1, j)))), Entry("b", (j,)))

Reductions other than sums carry the place where the result is read: `softmax` over `#1`, read at
`j`, is `Reduce("softmax", (#1,), body, at=(j,))`; `inv`, `det`, `logdet` bind a row and a column.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeVar

_TABLE: dict[Any, Any] = {}  # the intern table; weak references would cost three times as much
_fresh = itertools.count(1)
_NOTHING: frozenset[Any] = frozenset()


class Expr:
    """Base of all expressions. Never instantiated itself.

    `args` are the children in the order written, `free` the indices that occur free, `tensors`
    the names of the tensors whose entries occur, `level` the depth of binders inside and
    `depth` the height of the tree.
    """

    __slots__ = ("args", "depth", "free", "level", "tensors")
    args: tuple[Expr, ...]
    free: frozenset[Index]
    tensors: frozenset[str]
    level: int
    depth: int

    def _gather(self, args: tuple[Expr, ...]) -> None:
        self.args = args
        free: frozenset[Index] = _NOTHING
        tensors: frozenset[str] = _NOTHING
        level = depth = 0
        for a in args:
            if a.free and not a.free <= free:
                free = free | a.free
            if a.tensors and not a.tensors <= tensors:
                tensors = tensors | a.tensors
            if a.level > level:
                level = a.level
            if a.depth > depth:
                depth = a.depth
        self.free, self.tensors, self.level, self.depth = free, tensors, level, depth + 1

    def __add__(self, other: Value) -> Expr:
        return add(self, other)

    def __radd__(self, other: Value) -> Expr:
        return add(other, self)

    def __sub__(self, other: Value) -> Expr:
        return add(self, neg(other))

    def __rsub__(self, other: Value) -> Expr:
        return add(other, neg(self))

    def __mul__(self, other: Value) -> Expr:
        return mul(self, other)

    def __rmul__(self, other: Value) -> Expr:
        return mul(other, self)

    def __truediv__(self, other: Value) -> Expr:
        return mul(self, Pow(expr(other), MINUS_ONE))

    def __rtruediv__(self, other: Value) -> Expr:
        return mul(other, Pow(self, MINUS_ONE))

    def __pow__(self, other: Value) -> Expr:
        return Pow(self, expr(other))

    def __neg__(self) -> Expr:
        return neg(self)

    def __repr__(self) -> str:
        return text(self)


Value = Expr | int | Fraction


class Num(Expr):
    """An exact rational; `decimal` when it was written with a point and should print so."""

    __slots__ = ("decimal", "value")
    value: Fraction
    decimal: bool

    def __new__(cls, value: int | Fraction | str, decimal: bool = False) -> Num:
        number = Fraction(value)
        decimal = decimal and number.denominator != 1
        key = (Num, number.numerator, number.denominator, decimal)
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(cls)
            found._gather(())
            found.value, found.decimal = number, decimal
            _TABLE[key] = found
        return found


class Const(Expr):
    """A named constant: `pi`, `inf`, or a `NAME = number` of the network file."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str) -> Const:
        return _leaf(cls, name)


class Size(Expr):
    """A size of the network, used as a number: `N`, or a literal such as `64` kept as a name."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str) -> Size:
        return _leaf(cls, name)


_Leaf = TypeVar("_Leaf", Const, Size)


def _leaf(cls: type[_Leaf], name: str) -> _Leaf:
    key = (cls, name)
    found = _TABLE.get(key)
    if found is None:
        found = object.__new__(cls)
        found._gather(())
        found.name = name
        _TABLE[key] = found
    return found


class Index(Expr):
    """A letter that runs over 0..dim-1. As a value it is its own number (causal masks)."""

    __slots__ = ("dim", "name")
    name: str
    dim: Expr

    def __new__(cls, name: str, dim: Expr) -> Index:
        key = (Index, name, dim)
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(cls)
            found._gather(())
            found.name, found.dim = name, dim
            found.free = frozenset((found,))
            _TABLE[key] = found
        return found


class Entry(Expr):
    """`tensor[idx]`; each index is an expression: a letter, a number, or affine (`i + p`)."""

    __slots__ = ("tensor",)
    tensor: str

    def __new__(cls, tensor: str, idx: Iterable[Expr] = ()) -> Entry:
        args = tuple(idx)
        key = (Entry, tensor, args)
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(cls)
            found._gather(args)
            found.tensor = tensor
            found.tensors = found.tensors | {tensor}
            _TABLE[key] = found
        return found

    @property
    def idx(self) -> tuple[Expr, ...]:
        return self.args


class Add(Expr):
    """A sum of two or more summands, in the order written; `a − b` is `a + (−1)·b`."""

    __slots__ = ()

    def __new__(cls, args: Iterable[Expr]) -> Add:
        return _node(cls, tuple(args))


class Mul(Expr):
    """A product of two or more factors, in the order written; `a / b` is `a · b^−1`."""

    __slots__ = ()

    def __new__(cls, args: Iterable[Expr]) -> Mul:
        return _node(cls, tuple(args))


class Pow(Expr):
    """`base ** exponent`; a square root has exponent 1/2."""

    __slots__ = ()

    def __new__(cls, base: Expr, exponent: Expr) -> Pow:
        return _node(cls, (base, exponent))

    @property
    def base(self) -> Expr:
        return self.args[0]

    @property
    def exponent(self) -> Expr:
        return self.args[1]


class Select(Expr):
    """`where(condition, yes, no)`."""

    __slots__ = ()

    def __new__(cls, condition: Expr, yes: Expr, no: Expr) -> Select:
        return _node(cls, (condition, yes, no))


class Delta(Expr):
    """Kronecker's δ: 1 where two index expressions are equal, else 0."""

    __slots__ = ()

    def __new__(cls, left: Expr, right: Expr) -> Delta:
        return _node(cls, (left, right))


_Node = TypeVar("_Node", Add, Mul, Pow, Select, Delta)


def _node(cls: type[_Node], args: tuple[Expr, ...]) -> _Node:
    key = (cls, args)
    found = _TABLE.get(key)
    if found is None:
        found = object.__new__(cls)
        found._gather(args)
        _TABLE[key] = found
    return found


class Call(Expr):
    """An elementwise function of the table in ops.py: `tanh(x)`, `maximum(a, b)`."""

    __slots__ = ("fn",)
    fn: str

    def __new__(cls, fn: str, *args: Expr) -> Call:
        return _labelled(cls, fn, args)


class Compare(Expr):
    """`left fn right`, worth 1 or 0; `fn` is one of `> >= < <= == !=`."""

    __slots__ = ("fn",)
    fn: str

    def __new__(cls, fn: str, *args: Expr) -> Compare:
        return _labelled(cls, fn, args)


_Labelled = TypeVar("_Labelled", Call, Compare)


def _labelled(cls: type[_Labelled], fn: str, args: tuple[Expr, ...]) -> _Labelled:
    key = (cls, fn, args)
    found = _TABLE.get(key)
    if found is None:
        found = object.__new__(cls)
        found._gather(args)
        found.fn = fn
        _TABLE[key] = found
    return found


class Reduce(Expr):
    """An operation over bound indices: `sum`, `max`, `min`, `logsumexp`; read at a place:
    `softmax`, `log_softmax` (one index), `inv` (two); `det` and `logdet` bind two.

    `Reduce(op, indices, body, at)` closes `indices` in `body` and renames them; `open()` gives
    them back with fresh letters. `at` stands outside the binder.
    """

    __slots__ = ("at", "body", "bound", "op")
    op: str
    bound: tuple[Index, ...]
    body: Expr
    at: tuple[Expr, ...]

    def __new__(cls, op: str, indices: Iterable[Index], body: Expr, at: Iterable[Expr] = ()) -> Reduce:
        indices, place = tuple(indices), tuple(at)
        start = body.level
        if len(indices) > 1 and op in ("sum", "max", "min", "logsumexp"):
            rank = {x: n for n, x in enumerate(_visit(body))}
            indices = tuple(sorted(indices, key=lambda i: rank.get(i, len(rank))))
        bound = tuple(Index(f"#{start + n}", i.dim) for n, i in enumerate(indices, 1))
        if bound != indices:
            body = substitute(body, dict(zip(indices, bound)))
        key = (Reduce, op, bound, body, place)
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(cls)
            found._gather((body, *place))
            found.op, found.bound, found.body, found.at = op, bound, body, place
            found.free = (body.free - frozenset(bound)).union(*(a.free for a in place))
            found.level = max(start + len(bound), *(a.level for a in place), 0)
            _TABLE[key] = found
        return found

    def open(self) -> tuple[tuple[Index, ...], Expr]:
        """Fresh letters for the bound indices, and the body in them."""
        indices = tuple(fresh(i.dim) for i in self.bound)
        return indices, substitute(self.body, dict(zip(self.bound, indices)))

    def expose(self, *beside: Expr) -> tuple[tuple[Index, ...], Expr]:
        """The same with letters that depend on the reduction alone, so that what is remembered of
        its body is found again. What is put next to the body must be named: `beside`."""
        if not beside:
            found = _EXPOSED.get(self)
            if found is None:
                found = _EXPOSED[self] = self._expose(beside)
            return found
        return self._expose(beside)

    def _expose(self, beside: tuple[Expr, ...]) -> tuple[tuple[Index, ...], Expr]:
        taken = {i.name for i in self.free} | {i.name for i in self.body.free}
        taken |= {i.name for e in beside for i in e.free}
        letters: list[Index] = []
        n = 0
        for b in self.bound:
            n += 1
            while f"!{n}" in taken:
                n += 1
            letters.append(Index(f"!{n}", b.dim))
        return tuple(letters), substitute(self.body, dict(zip(self.bound, letters)))


_EXPOSED: dict[Reduce, tuple[tuple[Index, ...], Expr]] = {}


class Apply(Expr):
    """An unknown map or loss, read at a place: `g(x)_j`, or one of its partial derivatives.

    Each operand is a whole tensor, `Reduce("tensor", letters, entry)`. With `slot` None this is
    the value at `at`; with `slot` p it is ∂g/∂(operand p), and `at` holds the output's letters
    followed by the operand's.
    """

    __slots__ = ("count", "fn", "slot")
    fn: str
    slot: int | None
    count: int

    def __new__(cls, fn: str, operands: Iterable[Expr], at: Iterable[Expr] = (), slot: int | None = None) -> Apply:
        operands = tuple(operands)
        args = (*operands, *at)
        key = (cls, fn, slot, len(operands), args)
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(cls)
            found._gather(args)
            found.fn, found.slot, found.count = fn, slot, len(operands)
            _TABLE[key] = found
        return found

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.args[: self.count]

    @property
    def at(self) -> tuple[Expr, ...]:
        return self.args[self.count :]


class Over(Expr):
    """Σ over a loop variable: `Over("t", 1, T, E[t])` is Σ_{t=1}^{T} E[t].

    The variable is no `Index`: it stands in the names of tensors and sizes (`h[t-1]`, `n[t]`), so
    the range is inclusive and made of sizes, as a loop has it. family.py moves and unrolls it.
    """

    __slots__ = ("high", "low", "var")
    var: str
    low: Expr
    high: Expr

    def __new__(cls, var: str, low: Expr, high: Expr, body: Expr) -> Over:
        key = (cls, var, low, high, body)
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(cls)
            found._gather((body,))
            found.var, found.low, found.high = var, low, high
            _TABLE[key] = found
        return found

    @property
    def body(self) -> Expr:
        return self.args[0]


ZERO, ONE, TWO, MINUS_ONE, HALF = Num(0), Num(1), Num(2), Num(-1), Num(Fraction(1, 2))
MINUS_HALF = Num(Fraction(-1, 2))


def expr(value: Value) -> Expr:
    """A Python number as an expression; an expression as it is."""
    return value if isinstance(value, Expr) else Num(value)


def add(*terms: Value) -> Expr:
    """A sum; nested sums are flattened and zeros left out, nothing else happens."""
    flat: list[Expr] = []
    for t in map(expr, terms):
        if isinstance(t, Add):
            flat.extend(t.args)
        elif t is not ZERO:
            flat.append(t)
    if not flat:
        return ZERO
    return flat[0] if len(flat) == 1 else Add(flat)


def mul(*factors: Value) -> Expr:
    """A product; nested products are flattened, ones left out, a zero wins."""
    flat: list[Expr] = []
    for f in map(expr, factors):
        if isinstance(f, Mul):
            flat.extend(f.args)
        elif f is ZERO:
            return ZERO
        elif f is not ONE:
            flat.append(f)
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Mul(flat)


def neg(value: Value) -> Expr:
    """The negative: a number changes its sign, anything else gets a factor −1 in front."""
    value = expr(value)
    if isinstance(value, Num):
        return Num(-value.value, value.decimal)
    if isinstance(value, Mul) and isinstance(value.args[0], Num):
        return mul(Num(-value.args[0].value, value.args[0].decimal), *value.args[1:])
    return mul(MINUS_ONE, value)


def total(indices: Iterable[Index], body: Expr) -> Expr:
    """Σ over the indices; no indices, no Σ."""
    indices = tuple(indices)
    return Reduce("sum", indices, body) if indices else body


def fresh(dim: Expr) -> Index:
    """A letter that occurs nowhere else. The only maker of fresh letters."""
    return Index(f"~{next(_fresh)}", dim)


def rebuild(e: Expr, args: Iterable[Expr]) -> Expr:
    """The same kind of node with other children (for a `Reduce`: body first, then `at`)."""
    args = tuple(args)
    if args == e.args:
        return e
    if isinstance(e, (Add, Mul)):
        return type(e)(args)
    if isinstance(e, Entry):
        return Entry(e.tensor, args)
    if isinstance(e, (Call, Compare)):
        return type(e)(e.fn, *args)
    if isinstance(e, (Pow, Delta, Select)):
        return type(e)(*args)
    if isinstance(e, Reduce):
        return Reduce(e.op, e.bound, args[0], args[1:])
    if isinstance(e, Apply):
        return Apply(e.fn, args[: e.count], args[e.count :], e.slot)
    if isinstance(e, Over):
        return Over(e.var, e.low, e.high, *args)
    return e


def substitute(e: Expr, mapping: Mapping[Index, Expr]) -> Expr:
    """Put expressions in the place of free indices. Bound letters cannot be captured as long as
    the expressions put in carry no `#` letters free, which `open` guarantees."""
    return _substituted(e, mapping.keys().isdisjoint, dict[Expr, Expr](mapping.items()))


def _substituted(x: Expr, untouched: Callable[[frozenset[Index]], bool], memo: dict[Expr, Expr]) -> Expr:
    if untouched(x.free):
        return x
    found = memo.get(x)
    if found is None:
        args = [_substituted(a, untouched, memo) for a in x.args]
        if isinstance(x, (Mul, Add)):
            found = type(x)(args)
        elif isinstance(x, Entry):
            found = Entry(x.tensor, args)
        else:
            found = rebuild(x, args)
        memo[x] = found
    return found


def replace(e: Expr, rule: Callable[[Expr], Expr | None]) -> Expr:
    """Top down: where `rule` answers with an expression, take it and do not look inside."""
    return _replaced(e, rule, {})


def _replaced(x: Expr, rule: Callable[[Expr], Expr | None], memo: dict[Expr, Expr]) -> Expr:
    found = memo.get(x)
    if found is None:
        answer = rule(x)
        if answer is not None:
            found = answer
        elif not x.args:
            found = x
        elif isinstance(x, Reduce):
            indices, body = x.open()
            done = _replaced(body, rule, memo)
            at = [_replaced(a, rule, memo) for a in x.at]
            found = x if done is body and tuple(at) == x.at else Reduce(x.op, indices, done, at)
        else:
            found = rebuild(x, [_replaced(a, rule, memo) for a in x.args])
        memo[x] = found
    return found


def _visit(e: Expr) -> Iterator[Index]:
    """Indices by first visit."""
    seen: set[Expr] = set()
    stack = [e]
    while stack:
        x = stack.pop()
        if x in seen or not x.free:
            continue
        seen.add(x)
        if isinstance(x, Index):
            yield x
        else:
            stack.extend(reversed(x.args))


def walk(e: Expr) -> Iterator[Expr]:
    """Every distinct subexpression once, parents before children."""
    seen: set[Expr] = set()
    stack = [e]
    while stack:
        x = stack.pop()
        if x not in seen:
            seen.add(x)
            yield x
            stack.extend(reversed(x.args))


def number(value: Fraction, decimal: bool = False) -> str:
    """`2`, `1/3`, or `0.25` for a number that was written with a point."""
    if value.denominator == 1:
        return str(value.numerator)
    if decimal:
        shown = repr(float(value))
        return shown
    return f"{value.numerator}/{value.denominator}"


def text(e: Expr) -> str:
    """A plain one-line form for errors and debugging; show/ has the printers for people."""
    match e:
        case Num():
            return number(e.value, e.decimal)
        case Const() | Size() | Index():
            return e.name
        case Entry():
            return e.tensor + (f"[{','.join(map(text, e.args))}]" if e.args else "")
        case Add():
            return "(" + " + ".join(map(text, e.args)) + ")"
        case Mul():
            return "*".join(map(text, e.args))
        case Pow():
            return f"{text(e.base)}**{text(e.exponent)}"
        case Reduce():
            at = f" at {','.join(map(text, e.at))}" if e.at else ""
            return f"{e.op}[{','.join(i.name for i in e.bound)}]({text(e.body)}{at})"
        case Call():
            return f"{e.fn}({', '.join(map(text, e.args))})"
        case Compare():
            return f"({text(e.args[0])} {e.fn} {text(e.args[1])})"
        case Apply():
            mark = "" if e.slot is None else f"'{e.slot}"
            return f"{e.fn}{mark}({', '.join(map(text, e.operands))})[{','.join(map(text, e.at))}]"
        case Delta():
            return f"δ({text(e.args[0])},{text(e.args[1])})"
        case Over():
            return f"sum[{e.var}={text(e.low)}..{text(e.high)}]({text(e.body)})"
    return f"where({', '.join(map(text, e.args))})"
