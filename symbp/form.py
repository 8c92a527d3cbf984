"""Forms: a NumPy expression as a tree that knows its axes.

A form's axes are letters, or None for an axis of size 1, and every form obeys NumPy's broadcasting
exactly. The functions here bring a form into the shape that an operation needs: as it is,
transposed, with kept dimensions, with new axes, or spread by ones; they never change its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_changes

from symbp.errors import NoRule
from symbp.expr import (
    Const,
    Expr,
    Index,
    Num,
    Size,
)

Axis = Index | None
Axes = tuple[Axis, ...]


@dataclass(frozen=True)
class Form:
    """A node of the array tree. `kind` says what `args` and `data` mean:

    num, const, size, index        data: the value or name
    name                           data: tensor name
    transpose                      args: (x,)
    permute                        data: positions
    subscript                      data: ":", "None" or an index per position
    add                            args: terms; data: signs
    times                          args: factors; data: number of divisors at the end
    matmul, outer, dot             args: operands
    sum                            args: (x,); data: (summed positions, keepdims)
    over                           args: (x,); data: loop variable, first and last number
    power                          args: (x, exponent)
    call, row                      data: function name (row: and its axis)
    compare                        data: operator
    where                          args: (condition, yes, no)
    eye                            data: size
    diag, trace, ones_like, full   args
    einsum                         data: the subscripts
    gather                         args: (tensor, index arrays); data: per index, the length to clip to
    concatenate                    args: parts; data: the axis
    view                           args: a form that stands for a tensor with other letters (windows.py)
    reshape                        data: the new sizes
    windows, conv, dilate, flip,   as the functions of the network language
    pad, upsample, repeat
    """

    kind: str
    args: tuple[Form, ...]
    axes: Axes
    data: tuple[object, ...] = ()
    cost: float = 0.0

    @property
    def letters(self) -> frozenset[Index]:
        return frozenset(a for a in self.axes if a is not None)

    @property
    def is_truth(self) -> bool:
        """Does NumPy give booleans here?"""
        if self.kind in ("transpose", "permute", "subscript", "diag", "view", "flip", "upsample", "reshape"):
            return self.args[0].is_truth
        return self.kind in ("compare", "causal") or (self.kind == "times" and all(a.is_truth for a in self.args))


def form(kind: str, args: Iterable[Form], axes: Axes, *data: object, cost: float = 1.0) -> Form:
    args = tuple(args)
    return Form(kind, args, axes, data, cost + sum(a.cost for a in args))


class NotReducible(NoRule):
    """A reduction read at a place that no array notation has."""


def scalar(e: Expr) -> Form:
    if isinstance(e, Num):
        return Form("num", (), (), (e,), 0.0)
    if isinstance(e, Const):
        return Form("const", (), (), (e.name,), 0.0)
    assert isinstance(e, Size)
    return Form("size", (), (), (e.name,), 0.0)


# ---- conforming --------------------------------------------------------------------------------


def fits(axes: Axes, target: Axes) -> bool:
    """Does an array with `axes` broadcast into `target` as it is?"""
    if len(axes) > len(target):
        return False
    return all(a is None or a is t for a, t in zip(reversed(axes), reversed(target)))


def transpose(x: Form) -> Form:
    """x.T, taken back if x is already transposed, and moved inwards where that is cheaper: X gᵀ for (g Xᵀ)ᵀ."""
    if x.kind == "transpose":
        return x.args[0]
    if len(x.axes) < 2:
        return x
    if x.kind in ("num", "size", "const"):
        return x
    inside = _transposed_inside(x)
    if inside is not None:
        return inside
    return Form("transpose", (x,), tuple(reversed(x.axes)), (), x.cost + 0.3)


def _transposed_inside(x: Form) -> Form | None:
    """(A B)ᵀ = Bᵀ Aᵀ and (s A)ᵀ = s Aᵀ, where that needs fewer transposes."""
    if x.kind == "matmul" and all(len(a.axes) == 2 for a in x.args):
        args = tuple(transpose(a) for a in reversed(x.args))
    elif x.kind == "times" and sum(any(a.axes) for a in x.args) == 1 and all(len(a.axes) in (0, 2) for a in x.args):
        args = tuple(transpose(a) if a.axes else a for a in x.args)
    else:
        return None
    cost = x.cost + sum(a.cost for a in args) - sum(a.cost for a in x.args)
    return Form(x.kind, args, tuple(reversed(x.axes)), x.data, cost) if cost < x.cost + 0.29 else None


def broadcast_into(x: Form, target: Axes) -> Form:
    """x in a shape that broadcasts into `target`: as it is, transposed, with kept dimensions, or
    with new axes."""
    if fits(x.axes, target):
        return x
    kept = keep_dimensions(x)
    if kept is not None and fits(kept.axes, target):
        return kept
    if len(x.axes) == 2 and fits(tuple(reversed(x.axes)), target):
        return transpose(x)
    if kept is not None and fits(tuple(reversed(kept.axes)), target) and len(kept.axes) == 2:
        return transpose(kept)
    squeezed = squeeze(x)
    order = [a for a in target if a in squeezed.letters]
    x = permute(squeezed, tuple(order))
    if fits(x.axes, target):
        return x
    first = next(n for n, a in enumerate(target) if a in x.letters)
    pattern = tuple(":" if a in x.letters else "None" for a in target[first:])
    return form("subscript", (x,), tuple(a if a in x.letters else None for a in target[first:]), *pattern, cost=0.5)


def keep_dimensions(x: Form) -> Form | None:
    """A sum (or a row operation's reduction) with keepdims, if x is one over part of its axes."""
    if x.kind in ("sum", "max", "min", "logsumexp", "norm") and x.data[1] is False:
        positions = x.data[0]
        assert isinstance(positions, tuple)
        inner = x.args[0].axes
        if len(positions) == len(inner):  # a sum over everything keeps axes that are 1 anyway
            positions = tuple(n for n in positions if inner[n] is not None)
        axes = tuple(None if n in positions else a for n, a in enumerate(inner))
        return with_changes(x, axes=axes, data=(positions, True))
    if x.kind in ("times", "add", "power", "call") and x.letters:
        kept = [a if not a.axes else keep_dimensions(a) for a in x.args]
        shapes = {k.axes for k in kept if k is not None and k.axes}
        if None not in kept and len(shapes) == 1:
            return with_changes(x, args=tuple(k for k in kept if k is not None), axes=shapes.pop())
    return None


def _kept_whole(x: Form, target: Axes) -> Form | None:
    """A sum of everything, or a multiple of it, with the axes of size 1 that `target` has."""
    if x.kind == "times":
        for n, a in enumerate(x.args):
            inner = _kept_whole(a, target)
            if inner is not None:
                return with_changes(x, args=(*x.args[:n], inner, *x.args[n + 1 :]), axes=target)
    kept = keep_dimensions(x) if x.kind == "sum" and not x.axes else None
    return kept if kept is not None and kept.axes == target else None


def squeeze(x: Form) -> Form:
    """Axes of size 1 taken out by indexing with 0."""
    if None not in x.axes:
        return x
    pattern = tuple("0" if a is None else ":" for a in x.axes)
    while pattern and pattern[-1] == ":" and len(pattern) > 1 and pattern[:-1].count("0") == 0:
        pattern = pattern[:-1]
    return form("subscript", (x,), tuple(a for a in x.axes if a is not None), *pattern, cost=0.4)


def permute(x: Form, order: Axes) -> Form:
    if x.axes == order:
        return x
    if tuple(reversed(x.axes)) == order:
        return transpose(x)
    positions = tuple(x.axes.index(a) for a in order)
    return form("permute", (x,), order, *positions, cost=1.0)


def exact_axes(x: Form, target: Axes, dims: Sequence[Expr]) -> Form:
    """x with precisely the axes `target`, spread along axes that it does not have."""
    if x.axes == target:
        return x
    kept = keep_dimensions(x)
    if kept is not None and kept.axes == target:
        return kept
    if tuple(reversed(x.axes)) == target:
        return transpose(x)
    if kept is not None and tuple(reversed(kept.axes)) == target:
        return transpose(kept)
    if not any(a not in x.letters for a in target if a is not None):
        whole = _kept_whole(x, target) if not x.axes else None
        if whole is not None:
            return whole
        if not x.axes:  # a number, which may be Python's own
            return form("full", (x,), target, *dims, cost=1.0)
        squeezed = permute(squeeze(x), tuple(a for a in target if a is not None))
        if squeezed.axes == target:
            return squeezed
        pattern = tuple(":" if a is not None else "None" for a in target)
        return form("subscript", (squeezed,), target, *pattern, cost=0.5)
    inner = broadcast_into(x, target)
    return form("full", (inner,), target, *dims, cost=1.0)
