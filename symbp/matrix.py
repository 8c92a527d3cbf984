"""Matrix notation as a view of an index expression.

`to_form(e, axes)` reads an index expression as arrays: a term's factors, grouped by their letters,
are a graph with letters as vertices and matrices as edges, and series-parallel reduction reads the
formula off it. Factors with the same letters make a Hadamard product; a summed letter in one group
is a sum (a vector of ones), in two groups a matrix product; a group inside a larger one is
broadcast into it first; two vectors on different letters make an outer product. What does not
reduce becomes an `einsum` in NumPy and stays in index notation in mathematics.

A `Form` is a NumPy expression tree that knows its axes: letters, or None for an axis of size 1.
Every form obeys NumPy's broadcasting exactly; the mathematical printers read the same tree with a
vector as a column. Where two orders are possible, the one with fewer transposes is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from symbp.arithmetic import below_the_line
from symbp.contraction import Contract, Einsum, Group, Node, SumOut, contraction_tree
from symbp.expr import (
    ONE,
    ZERO,
    Add,
    Apply,
    Call,
    Compare,
    Const,
    Delta,
    Entry,
    Expr,
    Index,
    Mul,
    Num,
    Over,
    Pow,
    Reduce,
    Select,
    Size,
    add,
    fresh,
    mul,
    rebuild,
    substitute,
    walk,
)
from symbp.form import (
    Axes,
    Axis,
    Form,
    NotReducible,
    broadcast_into,
    exact_axes,
    form,
    permute,
    scalar,
    squeeze,
    transpose,
)
from symbp.graph import Graph, primal
from symbp.index import affine, decide, from_affine, places_normal, same_size
from symbp.outer import is_vector, outer_at, outward
from symbp.sizes import size_text


def to_form(graph: Graph, e: Expr, axes: Sequence[Expr]) -> Form:
    """The form of `e` as an array whose axes are `axes` (an Index, or ZERO for size 1), exactly."""
    target: Axes = tuple(a if isinstance(a, Index) else None for a in axes)
    return Emitter(graph).exactly(e, target)


# ---- the emitter -------------------------------------------------------------------------------


class Emitter:
    """Emits forms for one graph; remembers them per expression and order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.memo: dict[tuple[Expr, Axes], Form] = {}

    def exactly(self, e: Expr, target: Axes) -> Form:
        wanted = tuple(a for a in target if a is not None)
        x = self.emit(places_normal(e) if _has_places(e) else e, wanted)
        return exact_axes(x, target, tuple(a.dim if a is not None else ONE for a in target))

    def emit(self, e: Expr, order: Axes) -> Form:
        """A form whose letters are those of `e`, in the order of `order`; axes of size 1 may stand
        between them."""
        order = tuple(a for a in order if a in e.free)
        if len(order) != len(e.free):
            raise NotReducible(str(e))
        key = (e, order)
        found = self.memo.get(key)
        if found is None:
            found = self._emit(e, order)
            if len(order) == 2 and isinstance(e, (Add, Mul, Reduce, Call, Pow)):
                other = transpose(self._emit(e, (order[1], order[0])))
                found = other if _reads_better(other, found) else found
            self.memo[key] = found
        return found

    def _emit(self, e: Expr, order: Axes) -> Form:
        match e:
            case Num() | Const() | Size():
                return scalar(e)
            case Index():
                return Form("index", (), (e,), (e.dim,), 1.0)
            case Entry():
                return self._entry(e, order)
            case Add():
                return self._add(e, order)
            case Mul():
                return self._banded(e, order) or self._product(e.args, (), order)
            case Pow():
                return self._power(e, order)
            case Reduce():
                return self._reduce(e, order)
            case Call():
                return self._elementwise("call", e.args, order, e.fn)
            case Compare():
                return self._causal(e, order) or self._elementwise("compare", e.args, order, e.fn)
            case Select():
                return self._joined(e, order) or self._elementwise("where", e.args, order)
            case Delta():
                return self._delta(e, order)
            case Apply():
                return self._apply(e, order)
            case Over():
                inner = self.emit(e.body, order)
                return form("over", (inner,), inner.axes, e.var, e.low, e.high)
        raise AssertionError(type(e))

    def _apply(self, e: Apply, order: Axes) -> Form:
        """An unknown map as an array over the letters at which it is read."""
        letters = tuple(i for i in e.at if isinstance(i, Index))
        if len(letters) != len(e.at) or len(set(letters)) != len(letters) or any(o.free for o in e.operands):
            raise NotReducible(f"{e.fn} is read in part only")
        operands = []
        for o in e.operands:
            assert isinstance(o, Reduce)
            indices, body = o.expose()
            operands.append(squeeze(self.emit(body, indices)))
        x = form("unknown", operands, letters, e.fn, e.slot, e)
        return x if letters == order else transpose(x) if len(letters) == 2 else permute(x, order)

    # -- leaves --

    def shape_of(self, tensor: str) -> tuple[Expr, ...]:
        """The shape of a node, or of the node whose adjoint it is."""
        name = primal(tensor)
        return self.graph[name if name is not None else tensor].shape

    def named(self, tensor: str, axes: Axes) -> Form:
        return Form("name", (), axes, (tensor,), 0.0)

    def _entry(self, e: Entry, order: Axes) -> Form:
        shape = self.shape_of(e.tensor)
        axes: list[Axis] = []
        pattern: list[str] = []
        shifted = False
        for idx, dim in zip(e.idx, shape):
            if idx is ZERO and dim is ONE:
                axes.append(None)
                pattern.append(":")
            elif isinstance(idx, Index):
                axes.append(idx)
                same = self.same_size(idx.dim, dim)
                if not same and not self._inside(idx, dim):
                    return self._gather(e, order)
                pattern.append(":" if same else f":{size_text(idx.dim)}")
                shifted = shifted or not same
            elif not idx.free:
                pattern.append(_number_of(idx, dim))
                shifted = True
            else:
                part = _slice(idx, dim) if self._inside(idx, dim) else None
                if part is None:
                    return self._gather(e, order)
                axes.append(part[0])
                pattern.append(part[1])
                shifted = True
        x = self.named(e.tensor, tuple(axes))
        if shifted:
            x = Form("subscript", (replace(x, axes=(None,) * len(shape)),), tuple(axes), tuple(pattern), 0.4)
        letters = [a for a in axes if a is not None]
        if len(set(letters)) < len(letters):
            if len(axes) == 2 and axes[0] is axes[1]:
                return form("diag", (x,), (axes[0],))
            return self._gather(e, order)
        if tuple(letters) != order:
            x = transpose(x) if len(axes) == 2 else permute(squeeze(x), order)
        return x

    def _gather(self, e: Entry, order: Axes) -> Form:
        """An entry with indices that no slice can say: fancy indexing by letters. Where an index may
        leave its range (a condition guards it) it is clipped, as NumPy would count from the end."""
        shape = self.shape_of(e.tensor)
        parts = [broadcast_into(self.emit(i, order), order) for i in e.idx]
        limits = [None if self._inside(i, d) else d for i, d in zip(e.idx, shape, strict=True)]
        x = Form("name", (), (), (e.tensor,), 0.0)
        return form("gather", (x, *parts), order, *limits, cost=3.0)

    def same_size(self, a: Expr, b: Expr) -> bool:
        """Are two sizes equal, also by the network's relations (E == D + 1)?"""
        return same_size(a, b) or same_size(self._resolved(a), self._resolved(b))

    def _resolved(self, e: Expr) -> Expr:
        """Sizes as their relations have them, letters with such ranges."""
        if isinstance(e, Size) and e.name in self.graph.relations:
            return self._resolved(self.graph.relations[e.name])
        if isinstance(e, Index):
            return Index(e.name, self._resolved(e.dim))
        return rebuild(e, map(self._resolved, e.args)) if e.args and self.graph.relations else e

    def _inside(self, idx: Expr, dim: Expr) -> bool:
        """Do the ranges prove 0 ≤ idx < dim?"""
        place, length = self._resolved(idx), self._resolved(dim)
        if not place.free:
            return True  # a number: the reader has compared it with the size
        return decide(Compare(">=", place, ZERO)) is True and decide(Compare("<", place, length)) is True

    def _delta(self, e: Delta, order: Axes) -> Form:
        a, b = e.args
        if isinstance(a, Index) and isinstance(b, Index) and a.dim is b.dim:
            return Form("eye", (), order, (a.dim,), 1.0)
        if (mirrored := _mirror(a, b) or _mirror(b, a)) is not None:
            eye = Form("eye", (), order, (mirrored,), 1.0)
            return Form("flip", (eye,), order, (0,), 2.0)
        solved = _one_letter(a, b)
        return self._elementwise("compare", solved or e.args, order, "==")

    def _causal(self, e: Compare, order: Axes) -> Form | None:
        """j ≤ i on one size is a causal mask."""
        left, right = e.args
        if isinstance(left, Index) and isinstance(right, Index) and left.dim is right.dim and e.fn in ("<=", ">="):
            row, column = (right, left) if e.fn == "<=" else (left, right)
            mask = Form("causal", (), (row, column), (left.dim,), 1.0)
            return mask if order == (row, column) else transpose(mask)
        return None

    # -- parts along an axis --

    def _joined(self, e: Select, order: Axes) -> Form | None:
        """where(i < D, …, …) with entries of other lengths: two parts, one after the other."""
        condition, yes, no = e.args
        cut = self._cut(condition)
        if cut is None or cut[0] not in order or not self._leaves_range(yes, no):
            return None
        letter, place, low_first = cut
        low, high = (yes, no) if low_first else (no, yes)
        return self._concatenated(letter, [(ZERO, place, low), (place, letter.dim, high)], order)

    def _banded(self, e: Mul, order: Axes) -> Form | None:
        """A product with (i >= a)*(i < b): zeros around it."""
        cuts = [(f, c) for f in e.args if (c := self._cut(f)) is not None and c[0] in order]
        if not cuts:
            return None
        letter = cuts[0][1][0]
        mine = [(f, place, low_first) for f, (x, place, low_first) in cuts if x is letter]
        starts = [place for _, place, low_first in mine if not low_first]
        ends = [place for _, place, low_first in mine if low_first]
        if len(starts) > 1 or len(ends) > 1:
            return None
        rest = mul(*(f for f in e.args if not any(f is m for m, _, _ in mine)))
        start, end = (starts or [ZERO])[0], (ends or [letter.dim])[0]
        parts: list[tuple[Expr, Expr, Expr]] = [(ZERO, start, ZERO)] if starts else []
        parts += [(start, end, rest), *([(end, letter.dim, ZERO)] if ends else [])]
        return self._concatenated(letter, parts, order)

    def _side_by_side(self, e: Add, order: Axes) -> Form | None:
        """Summands that live on different stretches of an axis: one array, part by part."""
        for letter in order:
            if letter is None:
                continue
            parts, rest = [], []
            for t in e.args:
                band = self._band(t, letter)
                if band is None:
                    rest.append(t)
                else:
                    parts.append(band)
            if len(parts) < 2:
                continue
            joined = self._stretches(parts, letter.dim)
            x = self._concatenated(letter, joined, order) if joined is not None else None
            if x is None:
                continue
            if not rest:
                return x
            forms, axes = self._operands([x, self.emit(add(*rest), order)], order)
            return form("add", forms, axes, 1, 1, cost=1)
        return None

    def _band(self, t: Expr, letter: Index) -> tuple[Expr, Expr, Expr] | None:
        """A summand that is 0 outside a stretch of `letter`: where that starts and ends, and the rest of it."""
        start: Expr = ZERO
        end: Expr = letter.dim
        others: list[Expr] = []
        for f in t.args if isinstance(t, Mul) else (t,):
            at = next((i for i in f.args if i is not letter and not i.free), None) if isinstance(f, Delta) else None
            cut = self._cut(f) if isinstance(f, Compare) and not f.tensors else None
            if at is not None and letter in f.args and (start, end) == (ZERO, letter.dim):
                start, end = at, _sum(at, ONE)
            elif cut is not None and cut[0] is letter and cut[2] and end is letter.dim:
                end = cut[1]
            elif cut is not None and cut[0] is letter and not cut[2] and start is ZERO:
                start = cut[1]
            else:
                others.append(f)
        return None if start is ZERO and end is letter.dim else (start, end, mul(*others))

    def _stretches(self, parts: Sequence[tuple[Expr, Expr, Expr]], dim: Expr) -> list[tuple[Expr, Expr, Expr]] | None:
        """The parts in order, with zeros between them; None where they overlap or are not in a known order."""
        found: list[tuple[Expr, Expr, Expr]] = []
        at: Expr = ZERO
        pending = list(parts)
        while pending:
            following = [p for p in pending if self._before(at, p[0])]
            if len(following) < len(pending):
                return None
            first = next((p for p in pending if all(q is p or self._before(p[1], q[0]) for q in pending)), None)
            if first is None:
                return None
            pending.remove(first)
            if not self.same_size(at, first[0]):
                found.append((at, first[0], ZERO))
            found.append(first)
            at = first[1]
        if not self.same_size(at, dim):
            if not self._before(at, dim):
                return None
            found.append((at, dim, ZERO))
        return found

    def _before(self, a: Expr, b: Expr) -> bool:
        """Is a ≤ b for all sizes?"""
        room = _minus(self._resolved(b), self._resolved(a))
        return room is not None and _fits(room)

    def _cut(self, condition: Expr) -> tuple[Index, Expr, bool] | None:
        """`i < c` or `i >= c` (in any affine spelling) as (i, c, is it the low part)."""
        if not isinstance(condition, Compare) or condition.fn not in ("<", ">=", ">", "<="):
            return None
        left, right = affine(condition.args[0]), affine(condition.args[1])
        if left is None or right is None:
            return None
        both = {k: left.get(k, Fraction(0)) - right.get(k, Fraction(0)) for k in (*left, *right)}
        letters = [k for k in both if k.free and both[k]]
        if len(letters) != 1 or not isinstance(letters[0], Index) or abs(both[letters[0]]) != 1:
            return None
        letter = letters[0]
        upward = both[letter] > 0
        less = (condition.fn in ("<", "<=")) is upward
        place = {k: (-v if upward else v) for k, v in both.items() if k is not letter and v}
        if condition.fn == ("<=" if upward else ">="):  # i <= c is i < c + 1
            place[ONE] = place.get(ONE, Fraction(0)) + 1
        if condition.fn == (">" if upward else "<"):  # i > c is i >= c + 1
            place[ONE] = place.get(ONE, Fraction(0)) + 1
        return letter, from_affine({k: v for k, v in place.items() if v}), less

    def _leaves_range(self, *parts: Expr) -> bool:
        """Has some entry an index whose range alone does not keep it inside?"""
        for e in parts:
            for x in walk(e):
                if isinstance(x, Entry):
                    shape = self.shape_of(x.tensor)
                    if any(i.free and not self._inside(i, d) for i, d in zip(x.idx, shape, strict=True)):
                        return True
                if isinstance(x, Reduce) and x.at:
                    if any(i.free and not self._inside(i, b.dim) for i, b in zip(x.at, x.bound, strict=True)):
                        return True
        return False

    def _concatenated(self, letter: Index, parts: Sequence[tuple[Expr, Expr, Expr]], order: Axes) -> Form | None:
        """Parts along `letter`, each an expression on a stretch from … to …, in turn."""
        forms: list[Form] = []
        axis = order.index(letter)
        for start, end, e in parts:
            length = _minus(self._resolved(end), self._resolved(start))
            if length is None or not _fits(length):
                return None
            inner = fresh(length) if length is not ONE else None
            place = _sum(inner, start) if inner is not None else start
            body = places_normal(substitute(e, {letter: place}))
            wanted = tuple(inner if a is letter else a for a in order)
            part = self.exactly(body, wanted)
            forms.extend(part.args if part.kind == "concatenate" and part.data[0] == axis else (part,))
        return form("concatenate", forms, order, axis, cost=1.0)

    # -- elementwise --

    def _operands(self, args: Sequence[Form], order: Axes) -> tuple[tuple[Form, ...], Axes]:
        """Operands made to broadcast, and the axes of the result."""
        patterns = {a.axes for a in args if None in a.axes and tuple(x for x in a.axes if x is not None) == order}
        target = order
        if len(patterns) == 1 and order:
            pattern = next(iter(patterns))
            if len(pattern) > len(order):
                target = pattern
        if not order:
            ranks = {len(a.axes) for a in args}
            target = (None,) * max(ranks, default=0) if ranks else ()
        return tuple(broadcast_into(a, target) for a in args), target

    def _elementwise(self, kind: str, args: Sequence[Expr], order: Axes, *data: object) -> Form:
        forms, axes = self._operands([self.emit(a, order) for a in args], order)
        return form(kind, forms, axes, *data)

    def _add(self, e: Add, order: Axes) -> Form:
        joined = self._side_by_side(e, order)
        if joined is not None:
            return joined
        signs, terms = [], []
        for t in e.args:
            minus, rest = negated(t)
            signs.append(-1 if minus else 1)
            terms.append(self.emit(rest, order))
        forms, axes = self._operands(terms, order)
        return form("add", forms, axes, *signs, cost=len(terms) - 1)

    def _power(self, e: Pow, order: Axes) -> Form:
        if isinstance(e.exponent, Num) and e.exponent.value < 0:
            return self._product((e,), (), order)
        forms, axes = self._operands([self.emit(e.base, order), self.emit(e.exponent, order)], order)
        return form("power", forms, axes)

    # -- products and sums --

    def _product(self, factors: Sequence[Expr], bound: Sequence[Index], order: Axes) -> Form:
        factors = outward(factors, bound)
        present = frozenset().union(*(f.free for f in factors))
        absent = [k for k in bound if k not in present]  # Σ_k of what has no k
        bound = [k for k in bound if k in present]
        scalars = [*(k.dim for k in absent), *(f for f in factors if not f.free)]
        arrays = [f for f in factors if f.free]
        if not arrays:
            return self._times(scalars, [], order)
        nodes = contraction_tree(arrays, bound)
        if len(nodes) == 2 and all(len(n.letters) == 1 for n in nodes) and nodes[0].letters != nodes[1].letters:
            return self._scaled(scalars, self._outer(nodes, order), order)
        if len(nodes) == 1:
            return self._scaled(scalars, self._node(nodes[0], order), order)
        return self._times(scalars, nodes, order)

    def _outer(self, nodes: Sequence[Node], order: Axes) -> Form:
        first, second = sorted(nodes, key=lambda n: order.index(next(iter(n.letters))))
        left, right = self._node(first, order), self._node(second, order)
        if len(left.axes) == 2 and len(right.axes) == 2:  # a column times a row
            left = transpose(left) if left.axes[0] is None else left
            right = transpose(right) if right.axes[1] is None else right
            return form("matmul", (left, right), (left.axes[0], right.axes[1]))
        left, right = squeeze(left), squeeze(right)
        return form("outer", (left, right), (left.axes[0], right.axes[0]))

    def _scaled(self, scalars: Sequence[Expr], x: Form, order: Axes) -> Form:
        """A scalar factor: numbers in front, sizes below."""
        if not scalars:
            return x
        top, bottom = self._scalar_parts(scalars)
        parts, divisors = (list(x.args), int(str(x.data[0]))) if x.kind == "times" else ([x], 0)
        cut = len(parts) - divisors
        if top and cut == 1 and parts[0].data == (ONE,):  # N * (1/x) is N/x
            parts, cut = parts[1:], 0
        tops, low, bottom = _quotient_powers([*top, *parts[:cut]], parts[cut:], bottom)
        bottoms = [*low, *bottom]
        if len(tops) == 1 and not bottoms:
            return tops[0]
        rank = max((len(p.axes) for p in (*tops, *bottoms)), default=0)
        axes = x.axes if len(x.axes) >= rank else (None,) * (rank - len(x.axes)) + x.axes
        return form("times", (*tops, *bottoms), axes, len(bottoms), cost=len(top) + len(bottom))

    def _scalar_parts(self, scalars: Sequence[Expr]) -> tuple[list[Form], list[Form]]:
        top: list[Form] = []
        bottom: list[Form] = []
        for s in scalars:
            if isinstance(s, Num) and s.value.denominator != 1 and not s.decimal:
                if s.value.numerator != 1:
                    top.insert(0, scalar(Num(s.value.numerator)))
                bottom.append(scalar(Num(s.value.denominator)))
            elif (below := below_the_line(s)) is not None:
                bottom.append(self.emit(below, ()))
            else:
                top.append(self.emit(s, ()))
        return top, bottom

    def _times(self, scalars: Sequence[Expr], nodes: Sequence[Node], order: Axes) -> Form:
        """An elementwise product with broadcasting."""
        top, bottom = self._scalar_parts(scalars)
        parts: list[tuple[Expr | Node, bool]] = []
        for n in nodes:
            parts.extend(self._flat(n))
        tops = []
        for w, divides in parts if len(order) == 2 and all(isinstance(p, Expr) for p, _ in parts) else ():
            outer = outer_at(w, [p for p, d in parts if not d]) if not divides and is_vector(w) else None
            if outer is not None:
                vectors = (*outer.errors, *outer.weights)
                parts = [(p, d) for p, d in parts if not any(p is v for v in vectors)]
                pair = [Group(v[0].free, v, 0) for v in (outer.errors, outer.weights)]
                tops.append(self._outer(pair, order))
                break
        tops += [self._part(p, order) for p, divides in parts if not divides]
        tops.sort(key=lambda t: (t.is_truth, not self._is_upstream(t)))  # what comes from upstream first, masks last
        bottoms = [self._part(p, order) for p, divides in parts if divides]
        if not top and not tops and not bottoms and len(bottom) == 0:
            return scalar(ONE)
        if not top and not tops:
            top = [scalar(ONE)]
        every, bottoms, bottom = _quotient_powers([*top, *tops], bottoms, bottom)
        forms, axes = self._operands([*every, *bottoms, *bottom], order)
        if len(forms) == 1:
            return forms[0]
        return form("times", forms, axes, len(bottoms) + len(bottom), cost=len(forms) - 1)

    def _is_upstream(self, x: Form) -> bool:
        """Does it name an adjoint, or what is given in place of one?"""
        if x.kind == "name":
            name = str(x.data[0])
            return primal(name) is not None or self.manner(name)[0]
        return any(map(self._is_upstream, x.args))

    def _flat(self, node: Node) -> Iterable[tuple[Expr | Node, bool]]:
        """The factors of a group, divisors marked."""
        if not isinstance(node, Group):
            return [(node, False)]
        found: list[tuple[Expr | Node, bool]] = []
        for f in node.factors:
            below = below_the_line(f) if isinstance(f, Expr) else None
            found.append((f, False) if below is None else (below, True))
        return found

    def _part(self, part: Expr | Node, order: Axes) -> Form:
        if isinstance(part, Expr):
            return self.emit(part, order)
        return self._node(part, tuple(a for a in order if a in part.letters))

    def _node(self, node: Node, order: Axes) -> Form:
        order = tuple(a for a in order if a in node.letters)
        found = self._orient(node, order)
        if len(order) == 2:
            other = transpose(self._orient(node, (order[1], order[0])))
            return other if _reads_better(other, found) else found
        return found

    def _orient(self, node: Node, order: Axes) -> Form:
        match node:
            case Group():
                flat = list(self._flat(node))
                if len(flat) == 1 and not flat[0][1]:
                    return self._part(flat[0][0], order)
                return self._times((), (node,), order)
            case SumOut():
                return self._sum_out(node, order)
            case Contract():
                return self._contract(node, order)
            case Einsum():
                return self._einsum(node, order)

    def _sum_out(self, node: SumOut, order: Axes) -> Form:
        if len(node.inner.letters) == 1 and isinstance(node.inner, Group) and len(node.inner.factors) >= 2:
            flat = list(self._flat(node.inner))
            vectors = [self._part(f, node.ks) for f, divides in flat if not divides]
            bottoms = [self._part(f, node.ks) for f, divides in flat if divides]
            plain = all(len(x.axes) == 1 for x in (*vectors, *bottoms)) and len(vectors) >= 2
            several = len(vectors) + len(bottoms) > 2
            if plain and not all(x.is_truth for x in vectors):
                if several:  # gᵀ (a ⊙ b): what comes from upstream first, masks last
                    vectors.sort(key=lambda x: (x.is_truth, not self._is_upstream(x)))
                    rest = (*vectors[1:], *bottoms)
                    whole = form("times", rest, vectors[0].axes, len(bottoms), cost=len(rest) - 1)
                    vectors = [vectors[0], whole]
                return form("dot", vectors, ())
        inner_order = (*node.ks, *order) if len(order) + len(node.ks) > 2 or not order else None
        if inner_order is None:
            k, free = node.ks[0], order[0]
            one = self._node(node.inner, (k, free))
            two = self._node(node.inner, (free, k))
            x = one if one.cost <= two.cost - 0.1 else two
            if one.cost == two.cost:
                x = one if one.kind == "name" and one.axes == (k, free) else two
        else:
            orders = dict.fromkeys((self._widest_order(node.inner), inner_order))
            fitting = [o for o in orders if tuple(a for a in o if a in order) == order and len(o) == len(inner_order)]
            x = min((self._node(node.inner, o) for o in fitting), key=lambda f: f.cost)
        x = squeeze(x) if None in x.axes and len(x.axes) > 2 else x
        positions = tuple(n for n, a in enumerate(x.axes) if a in node.ks)
        axes = tuple(a for a in x.axes if a not in node.ks)
        if not order:
            positions = tuple(range(len(x.axes)))
            axes = ()
            if x.kind == "diag":
                return form("trace", x.args, ())
        return form("sum", (x,), axes, positions, False)

    def _widest_order(self, node: Node) -> Axes:
        """The order in which the widest entries of a node have their letters, if it is one."""
        for f in node.factors if isinstance(node, Group) else ():
            for x in walk(f) if isinstance(f, Expr) else ():
                if isinstance(x, Entry) and x.free == node.letters:
                    return natural_order(x)
                if isinstance(x, Reduce) and x.at and x.free == node.letters:  # a softmax, read at a letter
                    indices, body = x.expose()
                    at = dict(zip(indices, x.at))
                    whole = next((y for y in walk(body) if isinstance(y, Entry) and y.free == body.free), None)
                    letters = [a for a in natural_order(whole) if a is not None] if whole is not None else []
                    order = tuple(i for a in letters if isinstance(i := at.get(a, a), Index))
                    if set(order) == node.letters:
                        return order
        return ()

    def _contract(self, node: Contract, order: Axes) -> Form:
        a, b, k = node.left, node.right, node.k
        la, lb = a.letters - {k}, b.letters - {k}
        if not la and not lb:
            left, right = self._node(a, (k,)), self._node(b, (k,))
            if None in left.axes or None in right.axes:
                return self._matmul(left, right, k)
            return form("dot", (left, right), ())
        if la and lb:
            if order.index(next(iter(la))) > order.index(next(iter(lb))):
                a, b, la, lb = b, a, lb, la
        left = self._node(a, (*la, k))
        right = self._node(b, (k, *lb))
        if not la and (right.kind == "add" or self._needs_no_turn(right)):  # a vector reads better behind a bracket
            return self._matmul(self._node(b, (*lb, k)), left, k)
        return self._matmul(left, right, k)

    def _needs_no_turn(self, x: Form) -> bool:
        """Aᵀ of what is no plain weight matrix: behind it a vector needs no transpose. Weights stay where
        rows have them, `g @ W.T`."""
        if x.kind != "transpose" or x.args[0].kind != "name":
            return x.kind == "transpose"
        return self.manner(str(x.args[0].data[0]))[1]

    def manner(self, name: str) -> tuple[bool, bool]:
        """What of a tensor decides how it is laid out, beside its shape: is it given from upstream, is it
        symmetric?"""
        symmetric = any(f.kind in ("symmetric", "posdef") and f.tensor == name for f in self.graph.facts)
        return name in self.graph.errors, symmetric

    def _matmul(self, left: Form, right: Form, k: Index) -> Form:
        """left (…, k) @ right (k, …), with axes of size 1 as they come."""
        if len(left.axes) == 2 and left.axes[0] is k:
            left = transpose(left)
        if len(right.axes) == 2 and right.axes[1] is k:
            right = transpose(right)
        if len(left.axes) > 2:
            left = squeeze(left)
        if len(right.axes) > 2:
            right = squeeze(right)
        axes = (*left.axes[:-1], *right.axes[1:])
        if not axes:
            return form("dot", (left, right), ())
        if left.kind == "matmul" and len(left.axes) == 1 and len(left.args[0].axes) == 2:  # (A v) @ B is Bᵀ A v
            left, right = transpose(right), left
        parts: list[Form] = []
        for x in (left, right):  # `@` groups to the left
            flat = x.kind == "matmul" and (x is left or len(x.args[0].axes) == 2)
            parts.extend(x.args if flat else (x,))
        return form("matmul", parts, axes, cost=1.0)

    def _einsum(self, node: Einsum, order: Axes) -> Form:
        parts: list[Form] = []
        for p in node.parts:
            pieces = (
                [x for x, _ in self._flat(p)] if isinstance(p, Group) and not any(d for _, d in self._flat(p)) else [p]
            )
            for x in pieces:
                letters = x.free if isinstance(x, Expr) else x.letters
                natural = self._natural(x, letters)
                parts.append(squeeze(self._part(x, natural)))
        names: dict[Index, str] = {}
        for part in parts:
            for a in part.axes:
                assert a is not None
                if a not in names:
                    names[a] = index_letter(a, set(names.values()))
        inputs = ",".join("".join(names[a] for a in x.axes if a is not None) for x in parts)
        output = "".join(names[a] for a in order if a is not None)
        extra = 4.0 if all(len(x.axes) <= 2 for x in parts) else 1.0
        return form("einsum", parts, order, f"{inputs}->{output}", cost=len(parts) + extra)

    def _natural(self, x: Expr | Node, letters: frozenset[Index]) -> Axes:
        """The order in which a part's letters come most cheaply."""
        if isinstance(x, Entry):
            return natural_order(x)
        return tuple(sorted(letters, key=lambda i: i.name))

    def _reduce(self, e: Reduce, order: Axes) -> Form:
        indices, body = e.expose()
        if e.op == "sum":
            if isinstance(body, Mul):
                return self._product(body.args, indices, order)
            if isinstance(body, Reduce) and body.op == "sum":
                inner, core = body.open()
                factors = core.args if isinstance(core, Mul) else (core,)
                return self._product(factors, (*indices, *inner), order)
            return self._product((body,), indices, order)
        if e.op in ("max", "min", "logsumexp"):
            absent = [i for i in indices if i not in body.free]
            if absent:  # of so many equal entries: the same, and the logarithm of their number more
                rest = [i for i in indices if i in body.free]
                present = Reduce(e.op, rest, body) if rest else body
                more = [Call("log", i.dim) for i in absent] if e.op == "logsumexp" else []
                return self.emit(add(present, *more), order)
            x = self.emit(body, self._row_order(body, order, indices))
            positions = tuple(n for n, a in enumerate(x.axes) if a in indices)
            axes = tuple(a for a in x.axes if a not in indices)
            return self._reordered(form(e.op, (x,), axes, positions, False), order)
        if e.op in ("softmax", "log_softmax"):
            letter = indices[0]
            if e.at[0] not in body.free and isinstance(e.at[0], Index) and self.same_size(e.at[0].dim, letter.dim):
                body, letter = substitute(body, {letter: e.at[0]}), e.at[0]
            x = self.emit(body, self._row_order(body, order, (letter,)))
            x = form("row", (x,), x.axes, e.op, x.axes.index(letter))
            return self._reordered(self._read(x, {letter: e.at[0]}), order)
        if e.op in ("inv", "det", "logdet"):
            x = squeeze(self.emit(body, indices))
            if e.op != "inv":
                return form(e.op, (x,), ())
            return self._reordered(self._read(form("inv", (x,), indices), dict(zip(indices, e.at, strict=True))), order)
        raise NotReducible(e.op)

    def _read(self, x: Form, places: Mapping[Index, Expr]) -> Form:
        """x where some of its letters are read at other places: by name, by slice, from the end, on the diagonal."""
        axes: list[Axis] = []
        mirrored: tuple[int, ...] = ()
        pattern: list[str] = []
        for a in x.axes:
            place = places.get(a, a) if a is not None else ZERO
            if isinstance(place, Num):
                pattern.append(str(place.value) if a is not None else ":")
                axes += () if a is not None else (None,)
            elif a is not None and isinstance(place, Index):
                pattern.append(":" if self.same_size(place.dim, a.dim) else f":{size_text(place.dim)}")
                axes.append(place)
            else:
                inside = a is not None and self._inside(place, a.dim)
                part = _slice(place, a.dim) if inside and a is not None else None
                if part is None and inside and a is not None:
                    back = _minus(_minus(a.dim, ONE) or a.dim, place)
                    if isinstance(back, Index) and self.same_size(back.dim, a.dim):
                        part, mirrored = (back, ":"), (*mirrored, len(axes))
                if part is None:
                    raise NotReducible(f"a {x.kind} read at {place!r}")
                pattern.append(part[1])
                axes.append(part[0])
        letters = [a for a in axes if a is not None]
        if mirrored:
            x = form("flip", (x,), x.axes, *mirrored)
        if any(p != ":" for p in pattern):
            x = Form("subscript", (replace(x, axes=(None,) * len(x.axes)),), tuple(axes), tuple(pattern), x.cost + 0.4)
        if len(set(letters)) == len(letters):
            return replace(x, axes=tuple(axes))
        if len(axes) == 2 and axes[0] is axes[1]:
            return form("diag", (x,), (axes[0],))
        raise NotReducible(f"a {x.kind} read along a diagonal")

    def _row_order(self, body: Expr, order: Axes, bound: Sequence[Index]) -> Axes:
        """The natural order for a row operation: that of its argument when it is one tensor."""
        if isinstance(body, Entry):
            return natural_order(body)
        rest = tuple(a for a in order if a not in bound)
        return order if set(bound) <= set(order) else (*rest, *bound)

    def _reordered(self, x: Form, order: Axes) -> Form:
        letters = tuple(a for a in x.axes if a is not None)
        if letters == order:
            return x
        return transpose(x) if len(x.axes) == 2 else permute(squeeze(x), order)


def _reads_better(other: Form, found: Form) -> bool:
    """Is the transpose of the transpose the better form? σ(Z)ᵀ and (1 − A²)ᵀ; (A ⊙ B)ᵀ for Aᵀ ⊙ Bᵀ, and
    (A Bᵀ ⊙ P)ᵀ for B Aᵀ ⊙ Pᵀ; but Bᵀ Aᵀ, which a longer product goes on, unless much is saved: (A⁻¹ B C)ᵀ."""
    saved = found.cost - other.cost
    if other.kind != "transpose":
        return saved > 0.01
    (inner,) = other.args
    arrays = [a for a in found.args if any(a.axes) and a.kind != "eye"]
    if found.kind == "call" or (found.kind in ("add", "power") and len(arrays) == 1 < len(found.args)):
        return saved > -0.01
    if found.kind == "times" and len(arrays) > 1 and saved > -0.01:
        if any(map(_is_turned, found.args)) and not any(map(_is_turned, inner.args)):
            return True
    return saved > (0.29 if found.kind in ("add", "times") else 0.59) and not _has_transpose(inner)


def _is_turned(x: Form) -> bool:
    return x.kind == "transpose" and None not in x.axes


def _has_transpose(x: Form) -> bool:
    return x.kind == "transpose" or any(map(_has_transpose, x.args))


def _quotient_powers(
    tops: list[Form], bottoms: list[Form], bottom: list[Form]
) -> tuple[list[Form], list[Form], list[Form]]:
    """x²/y² is (x/y)², and π²z² is (πz)²."""
    tops, bottoms, bottom = (_product_powers(forms) for forms in (tops, bottoms, bottom))
    for n, t in enumerate(tops):
        for low in (bottoms, bottom):
            for m, b in enumerate(low):
                if _same_power(t, b):
                    axes = t.axes or b.axes
                    quotient = form("times", (t.args[0], b.args[0]), axes, 1)
                    whole = form("power", (quotient, t.args[1]), axes)
                    rest = [*low[:m], *low[m + 1 :]]
                    tops = [*tops[:n], whole, *tops[n + 1 :]]
                    return (tops, rest, bottom) if low is bottoms else (tops, bottoms, rest)
    return tops, bottoms, bottom


def _mirror(a: Expr, b: Expr) -> Expr | None:
    """The size n of i = n − 1 − j, where both letters run to n."""
    parts = affine(b)
    if not isinstance(a, Index) or parts is None:
        return None
    letters = [x for x, c in parts.items() if isinstance(x, Index) and c == -1 and x.dim is a.dim]
    rest = from_affine({x: c for x, c in parts.items() if x not in letters})
    return a.dim if len(letters) == 1 and affine(rest) == affine(a.dim - 1) else None


def _one_letter(a: Expr, b: Expr) -> tuple[Expr, Expr] | None:
    """n − 1 − i = 0 as i = n − 1: an equation of places that has one letter, once."""
    left, right = affine(a), affine(b)
    if left is None or right is None or isinstance(a, Index) or isinstance(b, Index):
        return None
    parts = {atom: left.get(atom, Fraction(0)) - right.get(atom, Fraction(0)) for atom in {**left, **right}}
    letters = [atom for atom, c in parts.items() if atom.free and c]
    if len(letters) != 1 or not isinstance(letters[0], Index) or abs(parts[letters[0]]) != 1:
        return None
    (letter,) = letters
    return letter, from_affine({atom: -c * parts[letter] for atom, c in parts.items() if atom is not letter and c})


def _product_powers(forms: list[Form]) -> list[Form]:
    """Two squares of names as the square of their product."""
    for n, a in enumerate(forms):
        for m, b in enumerate(forms[n + 1 :], n + 1):
            if _same_power(a, b) and all(x.args[0].kind in ("name", "const") for x in (a, b)):
                axes = a.axes or b.axes
                whole = form("power", (form("times", (a.args[0], b.args[0]), axes, 0), a.args[1]), axes)
                return _product_powers([whole if k == n else x for k, x in enumerate(forms) if k != m])
    return forms


def _same_power(a: Form, b: Form) -> bool:
    """Have both the same number as exponent, and axes that go together entry by entry?"""
    if not (a.kind == b.kind == "power" and a.args[1] == b.args[1] and a.args[1].kind == "num"):
        return False
    return all(x.args[0].axes == x.axes for x in (a, b)) and (not a.axes or not b.axes or a.axes == b.axes)


def natural_order(e: Entry) -> Axes:
    """The letters of an entry as they come: `X[2*i + p, j]` has i, p, j."""
    return tuple(dict.fromkeys(x for i in e.idx for x in walk(i) if isinstance(x, Index)))


def negated(e: Expr) -> tuple[bool, Expr]:
    """Is the term written with a minus, and what follows it."""
    if isinstance(e, Num) and e.value < 0:
        return True, Num(-e.value, e.decimal)
    if isinstance(e, Mul) and isinstance(e.args[0], Num) and e.args[0].value < 0:
        head = e.args[0]
        front: tuple[Expr, ...] = () if head.value == -1 else (Num(-head.value, head.decimal),)
        return True, mul(*front, *e.args[1:])
    return False, e


def _minus(a: Expr, b: Expr) -> Expr | None:
    left, right = affine(a), affine(b)
    if left is None or right is None:
        return None
    both = {k: left.get(k, Fraction(0)) - right.get(k, Fraction(0)) for k in (*left, *right)}
    return from_affine({k: v for k, v in both.items() if v})


def _sum(a: Expr, b: Expr) -> Expr:
    left, right = affine(a), affine(b)
    if left is None or right is None:
        return a + b
    both = {k: left.get(k, Fraction(0)) + right.get(k, Fraction(0)) for k in (*left, *right)}
    return from_affine({k: v for k, v in both.items() if v})


def _number_of(idx: Expr, dim: Expr) -> str:
    """A place without letters: `2`, or `-1` for the last."""
    back = _minus(dim, idx)
    return f"-{back.value}" if isinstance(back, Num) and not isinstance(idx, Num) else size_text(idx)


def _fits(size: Expr) -> bool:
    """May it be the length of a stretch: not below 0 where sizes are large? Slices of other lengths
    the reader refuses."""
    parts = affine(size) or {}
    sizes = [c for k, c in parts.items() if k is not ONE]
    return all(c > 0 for c in sizes) and (bool(sizes) or parts.get(ONE, 0) >= 0)


def _has_places(e: Expr) -> bool:
    """Is some index more than a letter or a number?"""
    return any(isinstance(x, Entry) and any(isinstance(i, (Add, Mul)) for i in x.idx) for x in walk(e))


def _slice(idx: Expr, dim: Expr) -> tuple[Index, str] | None:
    """`i + 1` with i over n − 1 is `1:`; `2*i` is `::2`; None where no slice says it."""
    parts = affine(idx)
    if parts is None:
        return None
    letters = [x for x in parts if isinstance(x, Index)]
    if len(letters) != 1 or parts[letters[0]] < 1 or parts[letters[0]].denominator != 1:
        return None
    letter, step = letters[0], int(parts[letters[0]])
    start = {k: v for k, v in parts.items() if k is not letter}
    if any(k.free for k in start):
        return None
    count = affine(letter.dim)
    if count is None:
        return None
    last = dict(start)
    for k, v in count.items():
        last[k] = last.get(k, Fraction(0)) + step * v
    last[ONE] = last.get(ONE, Fraction(0)) - step + 1
    stop = {k: v for k, v in last.items() if v}
    whole = stop == affine(dim)
    first = size_text(from_affine(start)) if start else ""
    end = "" if whole else size_text(from_affine(stop))
    return letter, f"{first}:{end}" + (f":{step}" if step != 1 else "")


def index_letter(
    i: Index,
    taken: Collection[str],
    preferred: Mapping[Expr, str] | None = None,
    names: Collection[str] = (),
    primes: bool = False,
) -> str:
    """A letter for an index: the user's, else the small letter of its size's name (with a prime
    if another index has it), else the next free one; never one of `names`."""
    choices: list[str] = []
    if preferred and i.dim in preferred:
        choices.append(preferred[i.dim])
    if isinstance(i.dim, Size) and i.dim.name[0].isalpha() and i.dim.name[0].isascii() and "[" not in i.dim.name:
        choices.append(i.dim.name[0].lower())
    choices = [c for c in choices if c not in names]
    if primes:
        choices.extend([c + "'" for c in choices])
    choices.extend("ijklmnpqrstuvabcdefgh")
    return next((c for c in choices if c not in taken and c not in names), f"i{len(taken)}")


__all__ = ["Emitter", "Form", "NotReducible", "index_letter", "negated", "to_form"]
