"""Families in SymPy: `a[l, i] = f(z[l, i])` with an index l that counts layers or steps.

Which index is such a number, mathematics does not say; the equations do. It is one where a base
case stands (`a[0, i]`), and one that is shifted around a cycle of definitions (`h[t-1, i]`); from
there it spreads: what shares its letter is numbered by it too (`W[l, i, j]`), and a `Sum` over
such a letter runs over members. All other indices run along axes, whose sizes are learnt from the
ranges of sums, as in declare.py, and may be families themselves (`n[l-1]`).

What a member is used for and no equation defines, is a leaf: `W[l]` for all l, and a base case
such as `h[0]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbp import tensor as T
from symbp.arrange import shifted
from symbp.errors import DeclarationError
from symbp.expr import ZERO, Entry, Expr, Num, Over, Size
from symbp.family import (
    Block,
    Loop,
    Turn,
    base_of,
    below,
    generic_shape,
    inverse,
    member,
    names_in,
    piece,
    plain_number,
    shape_at,
    shift,
    split,
)
from symbp.graph import Graph, Node, Signature, axes_of
from symbp.index import affine, same_size
from symbp.order import order_problem
from symbp.sizes import Sizes, size_text
from symbp.sympy_in import Env, ExprReader, OwnFunctions
from symbp.sympy_names import Names
from symbp.tensor import Tensor, leaf

if TYPE_CHECKING:
    from symbp.declare import Equation

Sym = Any
Place = tuple[Sym, int]  # an indexed array and one of its positions


def uses_families(equations: Sequence[Equation]) -> bool:
    """Does a left side hold a number, is an array defined twice, or by itself with a shift?"""
    left = [e for e in equations if isinstance(e.left, sp.Indexed)]
    symbols = [e.symbol for e in left]
    if len(set(symbols)) < len(symbols):
        return True
    return any(not _is_letter(i) for e in left for i in e.left.indices) or bool(_shifted_in_cycles(equations))


def _is_letter(i: Sym) -> bool:
    return isinstance(i, (sp.Idx, sp.Symbol)) and not (isinstance(i, sp.Idx) and i.label.is_Integer)


def _shifted_in_cycles(equations: Sequence[Equation]) -> set[Place]:
    """Positions of arrays that are defined by themselves, directly or around a cycle, with another
    number: the n of `h[n-1]`."""
    uses: dict[Sym, set[Sym]] = {}
    for e in equations:
        if isinstance(e.left, sp.Indexed):
            uses.setdefault(e.symbol, set()).update(u.base for u in e.right.atoms(sp.Indexed))
    found: set[Place] = set()
    for e in equations:
        for u in e.right.atoms(sp.Indexed) if isinstance(e.left, sp.Indexed) else ():
            if e.symbol in _reached(u.base, uses):
                for k, i in enumerate(u.indices):
                    if isinstance(i, sp.Add) and any(a.is_Integer for a in i.args):
                        found.add((u.base, k))
    return found


def _reached(start: Sym, uses: Mapping[Sym, set[Sym]]) -> set[Sym]:
    seen, stack = {start}, [start]
    while stack:
        for s in uses.get(stack.pop(), ()):
            if s not in seen:
                seen.add(s)
                stack.append(s)
    return seen


# ---- what is numbered ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Use:
    """An occurrence of an array: its equation, its indices, and the sums around it."""

    equation: Equation
    base: Sym
    indices: tuple[Sym, ...]
    limits: Mapping[Sym, tuple[Sym, Sym]]


def _uses(equations: Sequence[Equation]) -> Iterator[_Use]:
    for e in equations:
        if isinstance(e.left, sp.Indexed):
            yield _Use(e, e.left.base, e.left.indices, {})
        yield from _uses_in(e, e.right, {})


def _uses_in(e: Equation, x: Sym, limits: Mapping[Sym, tuple[Sym, Sym]]) -> Iterator[_Use]:
    if isinstance(x, sp.Indexed):
        yield _Use(e, x.base, x.indices, limits)
        return
    if isinstance(x, sp.Sum):
        limits = {**limits, **{s: (low, high) for s, low, high in x.limits}}
    for a in x.args:
        yield from _uses_in(e, a, limits)


def _letter(i: Sym) -> Sym | None:
    """The letter of `l`, `l - 1`; None for a number such as 0 or L."""
    letters = sorted(i.atoms(sp.Idx), key=str) or ([i] if isinstance(i, sp.Symbol) else [])
    if not letters and isinstance(i, sp.Add):
        letters = [a for a in i.args if isinstance(a, sp.Symbol)]
    return letters[0] if len(letters) == 1 else None


def _numbered(equations: Sequence[Equation], uses: Sequence[_Use]) -> set[Place]:
    """All positions of arrays that number members."""
    found = _shifted_in_cycles(equations)
    for e in equations:
        if isinstance(e.left, sp.Indexed):
            found |= {(e.symbol, k) for k, i in enumerate(e.left.indices) if not _is_letter(i)}
    while True:
        letters: set[tuple[int, Sym]] = set()
        for u in uses:
            letters |= {
                (u.equation.number, letter)
                for k, i in enumerate(u.indices)
                if (u.base, k) in found and (letter := _letter(i)) is not None
            }
        for u in uses:  # what ends the range of a number is one
            for letter, limits in u.limits.items():
                if (u.equation.number, letter) in letters:
                    ends = [a for end in limits for a in end.atoms(sp.Idx)]
                    letters |= {(u.equation.number, a) for a in ends}
        more = {
            (u.base, k) for u in uses for k, i in enumerate(u.indices) if (u.equation.number, _letter(i)) in letters
        }
        if more <= found:
            return found
        found |= more


# ---- reading ---------------------------------------------------------------------------------------


class _Reader(ExprReader):
    """Reads expressions in which arrays may be families."""

    def __init__(self, owner: FamilyDeclaration) -> None:
        super().__init__(owner.sizes, owner.operand, owner.size_name, OwnFunctions())
        self.owner = owner

    def size(self, e: Sym) -> Expr:
        e = sp.Integer(e) if isinstance(e, int) else e
        if isinstance(e, sp.Indexed):
            return Size(member(self.owner.names(e.base), [self.owner.number(i) for i in e.indices]))
        return super().size(e)

    def symbol(self, e: Sym, env: Env) -> Tensor:
        return self.owner.operand(e)

    def indexed(self, e: Sym, env: Env) -> Tensor:
        numbers, rest = self.owner.parted(e.base, e.indices)
        if not numbers:
            return super().indexed(e, env)
        name = member(self.owner.names(e.base), numbers)
        x = leaf(name, self.owner.shape(e.base, numbers))
        return T.scalar(x.entry(self._places(rest, x, self.origin, env)))

    def _is_whole(self, e: Sym) -> bool:
        return isinstance(e, sp.IndexedBase) or (
            isinstance(e, sp.Indexed) and len(e.indices) < self.owner.rank(e.base) and self.owner.is_family(e.base)
        )

    def _whole(self, e: Sym) -> Tensor:
        """A member without indices along its axes."""
        if isinstance(e, sp.IndexedBase):
            return self.owner.operand(e)
        numbers = [self.owner.number(i) for i in e.indices]
        return leaf(member(self.owner.names(e.base), numbers), self.owner.shape(e.base, numbers))

    def sum(self, e: Sym, env: Env) -> Tensor:
        """Σ over letters, and over loop variables."""
        loops = [limit for limit in e.limits if limit[0] in self.owner.variables]
        if not loops:
            return super().sum(e, env)
        rest = [limit for limit in e.limits if limit[0] not in self.owner.variables]
        inner = sp.Sum(e.function, *rest) if rest else e.function
        body = self.entry(inner, env)
        for symbol, low, high in loops:
            body = Over(self.owner.variables[symbol], self.owner.number(low), self.owner.number(high), body)
        return T.scalar(body)

    def unknown(self, e: Sym, env: Env) -> Tensor:
        """f(z[l, i]) entry by entry; C(a[L]) is a number made of the whole member."""
        name = e.func.__name__
        if any(self._is_whole(a) for a in e.args):
            operands = [self._whole(a) if self._is_whole(a) else self.read(a, env) for a in e.args]
            loss = self.owner.functions.setdefault(name, Signature(name, tuple(x.shape for x in operands), ()))
            return T.apply_unknown(self.sizes, loss, *operands)
        if len(e.args) != 1:
            return super().unknown(e, env)
        signature = self.owner.functions.setdefault(name, Signature(name, ((),), ()))
        return T.apply_unknown(self.sizes, signature, self.read(e.args[0], env))


class FamilyDeclaration:
    """The state of one reading."""

    def __init__(self, equations: Sequence[Equation]) -> None:
        self.equations = tuple(equations)
        self.sizes, self.names = Sizes(), Names()
        self.functions: dict[str, Signature] = {}
        self.uses = list(_uses(self.equations))
        self.numbered = _numbered(self.equations, self.uses)
        self.variables = self._variables()
        self.bounds: dict[Sym, None] = {}
        self.size_symbols: dict[Sym, None] = {}
        self._survey()
        self.reader = _Reader(self)
        self.origin = self.reader.origin = self._origin()
        self.dims: dict[Place, Expr] = {}
        self.letter_dims: dict[tuple[int, Sym, Any], Expr] = {}
        self._learn_shapes()
        self.nodes: dict[str, Node] = {}

    # -- symbols

    def _variables(self) -> dict[Sym, str]:
        found: dict[Sym, str] = {}
        for u in self.uses:
            for k, i in enumerate(u.indices):
                letter = _letter(i)
                if (u.base, k) in self.numbered and letter is not None:
                    if isinstance(letter, sp.Idx) or letter in u.limits:
                        found.setdefault(letter, str(letter))
        return found

    def _survey(self) -> None:
        """Sizes, and the symbols that end loops."""
        self.arrays = list(dict.fromkeys(u.base for u in self.uses))
        ranges: list[Sym] = []
        for u in self.uses:
            for letter in (_letter(i) for i in u.indices):
                if isinstance(letter, sp.Idx) and letter.upper is not None:
                    ranges += [letter.lower, letter.upper]
        for e in self.equations:
            for s in e.right.atoms(sp.Sum):
                for limit in s.limits:
                    ranges += limit[1:]
        for r in ranges:
            for s in sorted(r.atoms(sp.Symbol), key=str):
                if not any(s == getattr(b, "label", None) for b in (*self.arrays, *r.atoms(sp.IndexedBase))):
                    if not any(isinstance(v, sp.Idx) and v.label == s for v in self.variables):
                        self.size_symbols.setdefault(s)
        self.size_families = {b for r in ranges for b in r.atoms(sp.IndexedBase)}
        for u in self.uses:
            for k, i in enumerate(u.indices):
                if (u.base, k) in self.numbered:
                    for s in i.free_symbols:
                        letter = _letter(i)
                        if isinstance(s, sp.Symbol) and s != letter and s != getattr(letter, "label", None):
                            self.size_symbols.setdefault(s)

    def operand(self, symbol: Sym) -> Tensor:
        if symbol in self.variables:
            return T.scalar(Size(self.variables[symbol]))
        if symbol in self.size_symbols:
            return T.scalar(Size(self.names(symbol)))
        if isinstance(symbol, sp.IndexedBase):
            return leaf(self.names(symbol), self.shape(symbol, ()))
        if isinstance(symbol, sp.MatrixSymbol):
            return leaf(self.names(symbol), self.reader.shape(symbol))
        if isinstance(symbol, sp.Symbol):
            return leaf(self.names(symbol), ())
        raise DeclarationError(f"{symbol} stands where no value is known for it")

    def size_name(self, symbol: Sym) -> str:
        if symbol in self.variables:
            return self.variables[symbol]
        if symbol not in self.size_symbols:
            raise DeclarationError(f"{symbol} is not a size")
        return self.names(symbol)

    def number(self, e: Sym) -> Expr:
        """The number of a member: `l - 1`, `L`, `0`."""
        e = sp.Integer(e) if isinstance(e, int) else e
        if e.is_Integer:
            return Num(int(e))
        if isinstance(e, (sp.Idx, sp.Symbol)):
            return Size(self.size_name(e))
        if isinstance(e, sp.Add):
            total: Expr = ZERO
            for a in e.args:
                total = total + self.number(a)
            return plain_number(total)
        if isinstance(e, sp.Mul) and len(e.args) == 2 and e.args[0] == -1:
            return plain_number(-self.number(e.args[1]))
        raise DeclarationError(f"{e} cannot number a family: it must be a letter, plus or minus a number")

    def parted(self, base: Sym, indices: Sequence[Sym]) -> tuple[list[Expr], list[Sym]]:
        """The numbers of a member, and the indices along its axes."""
        numbers = [self.number(i) for k, i in enumerate(indices) if (base, k) in self.numbered]
        return numbers, [i for k, i in enumerate(indices) if (base, k) not in self.numbered]

    # -- shapes

    def _origin(self) -> int:
        """The number at which indices along axes begin."""
        starts = [
            int(low)
            for u in self.uses
            for s, (low, _) in u.limits.items()
            if s not in self.variables and low.is_Integer
        ]
        for u in self.uses:
            for k, i in enumerate(u.indices):
                if (u.base, k) not in self.numbered:
                    starts += [int(i)] if i.is_Integer else []
                    lower = getattr(i, "lower", None)
                    starts += [int(lower)] if lower is not None and lower.is_Integer else []
        origin = min(starts, default=1)
        if origin not in (0, 1):
            raise DeclarationError(f"the indices begin at {origin}; they must begin at 0 or 1")
        return origin

    def _learn_shapes(self) -> None:
        for b in self.arrays:
            for k, d in enumerate(b.shape or ()):
                if (b, k) not in self.numbered:
                    self.dims[b, k] = self.reader.size(d)
        while self._learn() or self._invent():
            pass

    def _learn(self) -> bool:
        """One round: letters from ranges and arrays, arrays from letters."""
        known = len(self.dims) + len(self.letter_dims)
        for u in self.uses:
            numbers, _ = self.parted(u.base, u.indices)
            for k, i in enumerate(u.indices):
                if (u.base, k) in self.numbered or not _is_letter(i):
                    continue
                limits = u.limits.get(i)
                if limits is None and getattr(i, "upper", None) is not None:
                    limits = (i.lower, i.upper)
                key = (u.equation.number, i, limits)
                if limits is not None and key not in self.letter_dims:
                    self.letter_dims[key] = self.reader.size(limits[1] - self.origin + 1)
                whole = limits is None or limits[0] == self.origin
                if key not in self.letter_dims:
                    if (u.base, k) in self.dims:
                        self.letter_dims[key] = shape_at((self.dims[u.base, k],), numbers)[0]
                elif (u.base, k) not in self.dims:
                    if whole:
                        self.dims[u.base, k] = generic_shape((self.letter_dims[key],), numbers)[0]
                elif whole:
                    self._same(u, i, self.letter_dims[key], shape_at((self.dims[u.base, k],), numbers)[0])
        return len(self.dims) + len(self.letter_dims) > known

    def _same(self, u: _Use, i: Sym, a: Expr, b: Expr) -> None:
        if not self.sizes.same(a, b):
            raise u.equation.fail(f"the index {i} runs to {size_text(a)} and to {size_text(b)}")

    def _invent(self) -> bool:
        """A size for a letter of which nothing tells the range."""
        for u in self.uses:
            for k, i in enumerate(u.indices):
                if (u.base, k) in self.numbered or (u.base, k) in self.dims:
                    continue
                if not _is_letter(i):
                    raise u.equation.fail(f"the size of axis {k + 1} of {u.base} cannot be found from {u.base}[{i}]")
                self.dims[u.base, k] = Size(f"n_{i}")
                return True
        return False

    def rank(self, base: Sym) -> int:
        return max(len(u.indices) for u in self.uses if u.base == base)

    def is_family(self, base: Sym) -> bool:
        return any(b == base for b, _ in self.numbered)

    def shape(self, base: Sym, numbers: Sequence[Expr]) -> tuple[Expr, ...]:
        rank = self.rank(base)
        dims = [self.dims[base, k] for k in range(rank) if (base, k) not in self.numbered]
        return shape_at(dims, numbers)

    # -- the graph

    def finish(self, loss: Any, name: str, title: str) -> Graph:
        """Facts are added by the caller."""
        lines = [self._define(e) for e in self.equations]
        leaf_blocks = [*self._plain_leaves(), *self._family_leaves()]
        blocks = (*leaf_blocks, *_ordered(lines, self.nodes))
        problem, _ = order_problem(self.nodes, blocks, (self.names(s) for s in self.size_symbols))
        if problem:
            raise DeclarationError(problem)
        last = self.equations[-1]
        if loss is not None:
            found = [e for e in self.equations if e.symbol == loss or str(e.symbol) == str(loss)]
            if not found:
                raise DeclarationError(f"the loss {loss} is the left side of no equation")
            last = found[0]
        if isinstance(last.left, sp.Indexed):
            raise last.fail("the loss must be a scalar", "End with one, such as Eq(J, Sum(E[t], (t, 1, T))).")
        order = [n for b in blocks for n in _names(b)]
        return Graph(
            name=name,
            nodes={n: self.nodes[n] for n in order},
            loss=self.names(last.symbol),
            title=title,
            latex=dict(self.names.latex),
            declared="sympy",
            own=self.reader.own.rows,
            functions=self.functions,
            blocks=blocks,
        )

    def _around(self, e: Equation, indices: Iterable[Sym]) -> list[Loop]:
        """The loops of a left side, outermost first."""
        loops = []
        for k, i in enumerate(indices):
            letter = _letter(i) if (e.symbol, k) in self.numbered else None
            if letter is None or letter not in self.variables:
                continue
            if getattr(letter, "upper", None) is None:
                hint = f'Write Idx("{letter}", (1, {str(letter).upper()})).'
                raise e.fail(f"the range of {letter} is not known", hint)
            loops.append(Loop(self.variables[letter], self.number(letter.lower), self.number(letter.upper)))
        return loops

    def _define(self, e: Equation) -> tuple[Turn, list[Loop]]:
        """An equation as a node, with its place in the order."""
        try:
            if not isinstance(e.left, sp.Indexed):
                return self._define_plain(e), []
            numbers, letters = self.parted(e.symbol, e.left.indices)
            around = self._around(e, e.left.indices)
            base = self.names(e.symbol)
            shape = self.shape(e.symbol, numbers)
            axes = axes_of(shape)
            env = {i: T.scalar(shifted(a, Num(self.origin))) for i, a in zip(letters, axes)}
            self.reader.place = axes
            body = self.reader.entry(e.right, env)
            self.reader.place = ()
            try:
                name, loops, put = piece(base, numbers, around)
            except ValueError as why:
                raise e.fail(str(why)) from None
            if name in self.nodes:
                raise e.fail(f"{name} is already defined")
            shape = tuple(shift(d, put) for d in shape)
            self.nodes[name] = Node(name, shape, axes_of(shape), shift(body, put), loops=loops)
            return Turn(name, tuple(inverse(put.items()).items())), around
        except DeclarationError as error:
            if error.reason.startswith("equation "):
                raise
            raise e.fail(error.reason, error.hint) from None

    def _define_plain(self, e: Equation) -> Turn:
        name = self.names(e.symbol)
        x = self.reader.read(e.right, {})
        shape = self.reader.shape(e.left) if isinstance(e.left, sp.MatrixSymbol) else ()
        if len(x.shape) != len(shape) or not all(self.sizes.unify(a, b) for a, b in zip(shape, x.shape)):
            raise e.fail("its sides have different shapes")
        axes = axes_of(shape)
        self.nodes[name] = Node(name, shape, axes, x.entry(axes))
        return Turn(name)

    def _plain_leaves(self) -> Iterator[Turn]:
        """Symbols, matrices and arrays without numbers that nothing defines."""
        defined = {e.symbol for e in self.equations}
        skip = {*self.size_symbols, *self.variables, *(getattr(v, "label", v) for v in self.variables)}
        for e in self.equations:
            labels = {b.label for b in e.right.atoms(sp.IndexedBase)}
            bound = {s for x in e.right.atoms(sp.Sum) for s in x.variables} | {i.label for i in e.right.atoms(sp.Idx)}
            for s in _leaves_in(e.right):
                if s in defined or s in skip or s in labels or s in bound or s in self.size_families:
                    continue
                if isinstance(s, sp.IndexedBase) and self.is_family(s):
                    continue
                name = self.names(s)
                if name not in self.nodes:
                    shape = self.operand(s).shape
                    self.nodes[name] = Node(name, shape, axes_of(shape))
                    yield Turn(name)

    def _family_leaves(self) -> Iterator[Turn | Block]:
        """Members that are used and not defined, in as few ranges as they fall into."""
        used: dict[str, dict[tuple[tuple[Expr, Expr], ...], tuple[str, ...]]] = {}
        for node in list(self.nodes.values()):
            if node.body is not None:
                _collect(node.body, {loop.var: loop for loop in node.loops}, used)
        arrays = {self.names(b): b for b in self.arrays}
        for base, boxes in used.items():
            if base not in arrays or not self.is_family(arrays[base]):
                continue
            defined = [_box(n) for n in self.nodes.values() if base_of(n.name) == base]
            variables = next(iter(boxes.values()))
            for cell in _missing(list(boxes), defined):
                numbers = [low if same_size(low, high) else Size(v) for v, (low, high) in zip(variables, cell)]
                loops = tuple(Loop(v, *c) for v, c in zip(variables, cell) if not same_size(*c))
                name = member(base, numbers)
                shape = self.shape(arrays[base], numbers)
                self.nodes[name] = Node(name, shape, axes_of(shape), loops=loops)
                item: Turn | Block = Turn(name)
                for loop in reversed(loops):
                    item = Block(loop, (item,))
                yield item


def _leaves_in(e: Sym) -> Iterator[Sym]:
    """Symbols and bases in order of appearance."""
    if isinstance(e, sp.Indexed):
        yield e.base
        return
    if isinstance(e, (sp.Symbol, sp.MatrixSymbol)):
        yield e
        return
    if isinstance(e, sp.Sum):
        yield from _leaves_in(e.function)
        return
    for a in e.args:
        yield from _leaves_in(a)


def _names(item: Turn | Block) -> Iterator[str]:
    if isinstance(item, Turn):
        yield item.name
    else:
        for x in item.body:
            yield from _names(x)


# ---- which members are leaves -----------------------------------------------------------------------

Cell = tuple[tuple[Expr, Expr], ...]


def _collect(e: Expr, ranges: Mapping[str, Loop], used: dict[str, dict[Cell, tuple[str, ...]]]) -> None:
    """The boxes of numbers in which families are used, with the variables that run there."""
    if isinstance(e, Over):
        ranges = {**ranges, e.var: Loop(e.var, e.low, e.high)}
    if isinstance(e, Entry) and "[" in e.tensor:
        base, numbers = split(e.tensor)
        found = [_ends(n, ranges) for n in numbers]
        box = tuple((low, high) for low, high, _ in found)
        used.setdefault(base, {})[box] = tuple(var for _, _, var in found)
    for x in e.args:
        _collect(x, ranges, used)


def _ends(n: Expr, ranges: Mapping[str, Loop]) -> tuple[Expr, Expr, str]:
    """The least and the greatest value of a number, and its variable."""
    var = next((a.name for a in affine(n) or {} if isinstance(a, Size) and a.name in ranges), "")
    if not var:
        return n, n, "t"
    low, high = (plain_number(shift(n, {var: b})) for b in (ranges[var].low, ranges[var].high))
    return _outermost(low, ranges, lower=True), _outermost(high, ranges, lower=False), var


def _outermost(e: Expr, ranges: Mapping[str, Loop], lower: bool) -> Expr:
    """An end that depends on another loop's variable, at that loop's end."""
    for _ in range(4):
        var = next((v for v in names_in(e) if v in ranges), None)
        if var is None:
            break
        e = plain_number(shift(e, {var: ranges[var].low if lower else ranges[var].high}))
    return e


def _box(node: Node) -> Cell:
    loops = {loop.var: loop for loop in node.loops}
    found = []
    for n in split(node.name)[1]:
        loop = loops.get(n.name) if isinstance(n, Size) else None
        found.append((loop.low, loop.high) if loop else (n, n))
    return tuple(found)


def _missing(used: Sequence[Cell], defined: Sequence[Cell]) -> list[Cell]:
    """The part of the used boxes that no defined one covers, neighbours joined."""
    rank = len(used[0])
    axes = []
    for k in range(rank):
        starts: list[Expr] = []
        for low, high in (box[k] for box in (*used, *defined)):
            for s in (low, plain_number(high + 1)):
                if not any(same_size(s, o) for o in starts):
                    at = next((n for n, o in enumerate(starts) if below(s, o, {}) is True), len(starts))
                    starts.insert(at, s)
        axes.append([(a, plain_number(b - 1)) for a, b in pairwise(starts)])
    cells: list[Cell] = []
    for cell in product(*axes):
        if any(_inside(cell, box) for box in used) and not any(_inside(cell, box) for box in defined):
            cells.append(cell)
    for k in range(rank):
        cells = _joined(cells, k)
    return cells


def _joined(cells: Sequence[Cell], k: int) -> list[Cell]:
    """Neighbours along an axis that are alike along the others, as one."""
    found: list[Cell] = []
    for cell in cells:
        for n, other in enumerate(found):
            rest = all(a == b for m, (a, b) in enumerate(zip(other, cell)) if m != k)
            if rest and same_size(other[k][1] + 1, cell[k][0]):
                found[n] = (*other[:k], (other[k][0], cell[k][1]), *other[k + 1 :])
                break
        else:
            found.append(cell)
    return found


def _inside(cell: Cell, box: Cell) -> bool:
    return all(below(low, a, {}) is True and below(b, high, {}) is True for (a, b), (low, high) in zip(cell, box))


# ---- the order --------------------------------------------------------------------------------------


def _ordered(lines: Sequence[tuple[Turn, list[Loop]]], nodes: Mapping[str, Node]) -> list[Turn | Block]:
    """Equations with the same loops that need each other, or follow each other, in one loop; then
    whatever defines a family before what only uses it."""
    groups: list[tuple[list[Loop], list[Turn]]] = []
    for turn, loops in lines:
        same = next((g for g in groups if loops and g[0] == loops), None)
        if same is None:
            groups.append((loops, [turn]))
        else:
            same[1].append(turn)
    made = [{base_of(t.name) for t in turns} for _, turns in groups]
    needs = [
        {base_of(u) for t in turns if (body := nodes[t.name].body) is not None for u in body.tensors} - made[n]
        for n, (_, turns) in enumerate(groups)
    ]
    left = list(range(len(groups)))
    result: list[Turn | Block] = []
    done: list[int] = []
    while left:
        ready = [n for n in left if not any(made[m] & needs[n] for m in left if m != n)]
        chosen = next((n for n in ready if not groups[n][0]), ready[0] if ready else left[0])
        left.remove(chosen)
        done.append(chosen)
    for n in done:
        loops, turns = groups[n]
        items: tuple[Turn | Block, ...] = tuple(_by_need(turns, nodes))
        for loop in reversed(loops):
            items = (Block(loop, items),)
        result += items
    return result


def _by_need(turns: Sequence[Turn], nodes: Mapping[str, Node]) -> list[Turn]:
    """The lines of a loop so that each uses earlier ones of the same turn."""
    left, done = list(turns), []
    while left:
        names = {t.name for t in left}
        ready = [t for t in left if not ((body := nodes[t.name].body) is not None and body.tensors & names - {t.name})]
        chosen = ready[0] if ready else left[0]
        left.remove(chosen)
        done.append(chosen)
    return done


__all__ = ["FamilyDeclaration", "uses_families"]
