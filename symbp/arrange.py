"""Operations that only move entries: slices, reshape, concatenate, stack, flip.

Their entries are entries of the operand at another place, and the place is affine in the indices
wherever that is possible. Merging axes is not (row h // k, column h % k), so it is written as the
one pair (p, j) with p·k + j = h, a sum over a Kronecker δ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symbp.errors import DeclarationError
from symbp.expr import MINUS_ONE, ONE, ZERO, Add, Compare, Expr, Index, Mul, Num, add, fresh, mul, total
from symbp.sizes import (
    Shape,
    Sizes,
    from_polynomial,
    polynomial,
    quotient,
    shape_text,
    size_product,
    size_sum,
    size_text,
    value_of,
)
from symbp.tensor import Axis, Idx, Tensor, axes_named, clash, delta, normal_axis, select


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop` of an axis; None is the end of the axis, negative numbers count from it."""

    start: Expr | None = None
    stop: Expr | None = None


NEW_AXIS = None
Item = Expr | Slice | None


def shifted(i: Expr, *offsets: Expr) -> Expr:
    """An index expression plus sizes, numbers collected at its end."""
    terms: list[Expr] = []
    constant = Fraction(0)
    for part in (i, *offsets):
        for t in part.args if isinstance(part, Add) else (part,):
            if isinstance(t, Num):
                constant += t.value
            else:
                terms.append(t)
    return add(*terms, Num(constant))


def scaled(i: Expr, factor: Expr) -> Expr:
    """An index expression times a size, term by term so that it stays affine."""
    if isinstance(i, Add):
        return add(*(scaled(t, factor) for t in i.args))
    return Num(i.value * factor.value) if isinstance(i, Num) and isinstance(factor, Num) else mul(factor, i)


def minus_size(size: Expr) -> Expr:
    """−size, term by term."""
    return from_polynomial({names: -v for names, v in polynomial(size).items()})


def less(i: Expr, size: Expr) -> Expr:
    """`i < size` as a condition, decided where it is plain: sizes are at least 1."""
    if i is ZERO or (isinstance(i, Index) and i.dim is size):
        return ONE
    known = value_of(size)
    if isinstance(i, Num) and known is not None:
        return ONE if i.value < known else ZERO
    return Compare("<", i, size)


def concatenate(sizes: Sizes, parts: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Along an existing axis: entries come from the part in whose range the index lies."""
    if not parts:
        raise DeclarationError("concatenate needs at least one tensor")
    first = parts[0]
    n = normal_axis(axis, first.ndim)
    for x in parts[1:]:
        if x.ndim != first.ndim:
            shapes = f"{shape_text(first.shape)} and {shape_text(x.shape)}"
            raise DeclarationError(f"concatenate: {shapes} have different numbers of axes")
        for m, (d, e) in enumerate(zip(first.shape, x.shape, strict=True)):
            if m != n and not sizes.unify(d, e):
                raise clash("concatenate", first, x, d, e)
    ends = [size_sum(*(x.shape[n] for x in parts[: m + 1])) for m in range(len(parts))]

    def entry(idx: Idx) -> Expr:
        def part(m: int) -> Expr:
            offset = minus_size(ends[m - 1]) if m else ZERO
            place = ZERO if parts[m].shape[n] is ONE else shifted(idx[n], offset)
            return parts[m].entry((*idx[:n], place, *idx[n + 1 :]))

        result = part(len(parts) - 1)
        for m in reversed(range(len(parts) - 1)):
            result = select(less(idx[n], ends[m]), part(m), result)
        return result

    return Tensor((*first.shape[:n], ends[-1], *first.shape[n + 1 :]), entry)


def stack(sizes: Sizes, parts: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Along a new axis."""
    if not parts:
        raise DeclarationError("stack needs at least one tensor")
    n = normal_axis(axis, parts[0].ndim + 1)
    return concatenate(sizes, [_with_axis(x, n) for x in parts], n)


def _with_axis(x: Tensor, n: int) -> Tensor:
    if n > x.ndim:
        raise DeclarationError(f"stack: {shape_text(x.shape)} has too few axes")
    return Tensor((*x.shape[:n], ONE, *x.shape[n:]), lambda idx: x.entry((*idx[:n], *idx[n + 1 :])))


def flip(sizes: Sizes, x: Tensor, axis: Axis = None) -> Tensor:
    axes = [n for n in axes_named(x, axis) if x.shape[n] is not ONE]

    def mirrored(i: Expr, d: Expr) -> Expr:
        return shifted(scaled(i, MINUS_ONE), d, MINUS_ONE)

    def entry(idx: Idx) -> Expr:
        return x.entry(tuple(mirrored(i, x.shape[n]) if n in axes else i for n, i in enumerate(idx)))

    return Tensor(x.shape, entry)


def subscript(sizes: Sizes, x: Tensor, items: Sequence[Item]) -> Tensor:
    """`x[i, a:b, None]`: whole numbers, size expressions, slices and new axes."""
    wanted = [s for s in items if s is not NEW_AXIS]
    if len(wanted) > x.ndim:
        operand = f"{x.text or 'this'} is {shape_text(x.shape)}"
        raise DeclarationError(f"{operand} and takes at most {x.ndim} indices, not {len(wanted)}")
    rest = iter(x.shape)
    shape: list[Expr] = []
    places: list[Callable[[Expr], Expr] | Expr | None] = []
    for item in (*items, *(Slice(),) * (x.ndim - len(wanted))):
        if item is NEW_AXIS:
            shape.append(ONE)
            places.append(None)
        elif isinstance(item, Slice):
            size, place = _cut(next(rest), item)
            shape.append(size)
            places.append(place)
        else:
            places.append(_position(next(rest), item, last=False))

    def entry(idx: Idx) -> Expr:
        given = iter(idx)
        full: list[Expr] = []
        for p in places:
            if isinstance(p, Expr):
                full.append(p)
                continue
            i = next(given)
            if p is not None:
                full.append(p(i))
        return x.entry(tuple(full))

    return Tensor(tuple(shape), entry)


def _position(dim: Expr, at: Expr, last: bool) -> Expr:
    """An index or (`last`) the end of a slice, counted from the front and inside the axis."""
    known, number = value_of(dim), value_of(at)
    if number is not None:
        if number < 0:
            at = size_sum(dim, at)
            number = None if known is None else known + number
        if known is not None and number is not None and not 0 <= number < known + last:
            raise DeclarationError(f"the index {size_text(at)} is outside an axis of size {size_text(dim)}")
    return at


def _cut(dim: Expr, item: Slice) -> tuple[Expr, Callable[[Expr], Expr]]:
    start = ZERO if item.start is None else _position(dim, item.start, last=True)
    stop = dim if item.stop is None else _position(dim, item.stop, last=True)
    size = dim if start is ZERO and stop is dim else size_sum(stop, minus_size(start))
    known = value_of(size)
    if known is not None and known < 1:
        cut = f"{size_text(start)}:{size_text(stop)}"
        raise DeclarationError(f"the slice {cut} of an axis of size {size_text(dim)} is empty")
    return size, lambda i: shifted(i, start) if start is not ZERO else i


def reshape(sizes: Sizes, x: Tensor, shape: Sequence[Expr]) -> Tensor:
    """The same entries, row by row, in another shape. Axes are added, removed, split from the
    left (H into (P, k): index p·k + j) and merged (the one pair (p, j) with p·k + j = h)."""
    new = _with_remainder(x, tuple(shape))
    old_axes = [n for n, d in enumerate(x.shape) if d is not ONE]
    new_axes = [n for n, d in enumerate(new) if d is not ONE]
    groups = _groups(sizes, x, new, old_axes, new_axes)

    def entry(idx: Idx) -> Expr:
        full: list[Expr] = [ZERO] * x.ndim
        letters: list[Index] = []
        deltas: list[Expr] = []
        for olds, news in groups:
            flat = horner([idx[n] for n in news], [new[n] for n in news])
            places = _unflattened(flat, [x.shape[n] for n in olds])
            if places is None:
                found = [fresh(x.shape[n]) for n in olds]
                letters += found
                deltas.append(delta(horner(found, [i.dim for i in found]), flat))
                places = found
            for n, p in zip(olds, places, strict=True):
                full[n] = p
        return total(letters, mul(*deltas, x.entry(tuple(full))))

    return Tensor(new, entry)


def horner(idx: Sequence[Expr], dims: Sequence[Expr]) -> Expr:
    """The flat index of a row-major block: ((i·d1 + j)·d2 + k)."""
    flat = idx[0]
    for i, d in zip(idx[1:], dims[1:], strict=True):
        flat = shifted(scaled(flat, d), i)
    return flat


def _unflattened(flat: Expr, dims: Sequence[Expr]) -> Sequence[Expr] | None:
    """The indices that `horner` turns into `flat`, where that can be seen."""
    if len(dims) == 1 or flat is ZERO:
        return [flat] + [ZERO] * (len(dims) - 1) if len(dims) == 1 else [ZERO] * len(dims)
    last = flat.args[-1] if isinstance(flat, Add) else ZERO
    if not isinstance(last, Index) or last.dim is not dims[-1]:
        return None
    high: list[Expr] = []
    for t in flat.args[:-1]:
        if not isinstance(t, Mul) or t.args[-1] is not dims[-1]:
            return None
        high.append(mul(*t.args[:-1]))
    rest = _unflattened(add(*high), dims[:-1])
    return None if rest is None else [*rest, last]


def _with_remainder(x: Tensor, shape: Shape) -> Shape:
    """A −1 in the new shape is what is left."""
    holes = [n for n, d in enumerate(shape) if d is MINUS_ONE]
    if not holes:
        return shape
    given = size_product(*(d for d in shape if d is not MINUS_ONE))
    rest = None if len(holes) > 1 else quotient(size_product(*x.shape), given)
    if rest is None:
        raise DeclarationError(f"reshape: the -1 in the new shape of {shape_text(x.shape)} cannot be found")
    return tuple(rest if d is MINUS_ONE else d for d in shape)


Group = tuple[list[int], list[int]]


def _groups(sizes: Sizes, x: Tensor, new: Shape, old_axes: list[int], new_axes: list[int]) -> list[Group]:
    """Runs of old and of new axes that hold the same number of entries."""
    groups: list[Group] = []
    while old_axes and new_axes:
        p, q = _exact_group(sizes, x.shape, new, old_axes, new_axes) or _guessed_group(len(old_axes), len(new_axes))
        olds, news = old_axes[:p], new_axes[:q]
        if not p or not sizes.unify(_volume(x.shape, olds), _volume(new, news)):
            break
        groups.append((olds, news))
        old_axes, new_axes = old_axes[p:], new_axes[q:]
    if old_axes or new_axes:
        raise DeclarationError(
            f"reshape: {shape_text(x.shape)} does not fit into {shape_text(new)}",
            hint="The product of the sizes must stay; `assert H == P*k` says that a size is a product.",
        )
    return groups


def _volume(shape: Shape, axes: list[int]) -> Expr:
    return size_product(*(shape[n] for n in axes))


def _exact_group(
    sizes: Sizes, old: Shape, new: Shape, old_axes: list[int], new_axes: list[int]
) -> tuple[int, int] | None:
    """The shortest runs whose products are known to be equal, literals by their value last."""
    for equal in (sizes.same, sizes.same_number):
        for length in range(2, len(old_axes) + len(new_axes) + 1):
            for p in range(max(1, length - len(new_axes)), min(length - 1, len(old_axes)) + 1):
                if equal(_volume(old, old_axes[:p]), _volume(new, new_axes[: length - p])):
                    return p, length - p
    return None


def _guessed_group(olds: int, news: int) -> tuple[int, int]:
    """Where products are not known: one against all, or each against its share."""
    if olds == 1 or news == 1:
        return olds, news
    if news % olds == 0:
        return 1, news // olds
    return (olds // news, 1) if olds % news == 0 else (0, 0)
