"""Layers that look through windows: convolution, pooling, and what their gradients are written in.

A window is an affine index: `y[i] = Σ_p w[p] x[i·stride + p − padding]`; padding is a condition on
that index. What spreads entries apart (dilation, upsampling) is a sum over a Kronecker δ.
"""

from __future__ import annotations

from collections.abc import Sequence

from symbp.arrange import minus_size, scaled, shifted
from symbp.errors import DeclarationError
from symbp.expr import MINUS_ONE, ONE, ZERO, Compare, Expr, Index, Pow, Reduce, Size, fresh, mul, total
from symbp.sizes import Shape, Sizes, literal, quotient, shape_text, size_product, size_sum, size_text, value_of
from symbp.tensor import Idx, Tensor, clash, delta, select


def conv1d(sizes: Sizes, x: Tensor, w: Tensor, stride: Expr = ONE, padding: Expr = ZERO) -> Tensor:
    """x (n,), w (k,); or x (C, n), w (O, C, k)."""
    return _convolution(sizes, "conv1d", x, w, stride, padding, 1)


def conv2d(sizes: Sizes, x: Tensor, w: Tensor, stride: Expr = ONE, padding: Expr = ZERO) -> Tensor:
    """x (h, w), w (k, l); or x (C, h, w), w (O, C, k, l)."""
    return _convolution(sizes, "conv2d", x, w, stride, padding, 2)


def _convolution(sizes: Sizes, what: str, x: Tensor, w: Tensor, stride: Expr, padding: Expr, nd: int) -> Tensor:
    channels = w.ndim == nd + 2
    if not (channels and x.ndim == nd + 1) and not (w.ndim == nd and x.ndim == nd):
        raise DeclarationError(
            f"{what}: {x.text or 'the input'} is {shape_text(x.shape)}, the kernel is {shape_text(w.shape)}",
            hint=f"The input has {nd} axes and the kernel {nd}, or with channels (C, ...) and (O, C, ...).",
        )
    if channels and not sizes.unify(x.shape[0], w.shape[1]):
        raise clash(what, x, w, x.shape[0], w.shape[1])
    kernel = w.shape[-nd:]
    spans = [window_count(sizes, what, n, k, stride, padding) for n, k in zip(x.shape[-nd:], kernel, strict=True)]

    def entry(idx: Idx) -> Expr:
        taps = [ZERO if k is ONE else fresh(k) for k in kernel]
        channel: list[Expr] = [ZERO if x.shape[0] is ONE else fresh(x.shape[0])] if channels else []
        places = [_window_place(i, p, stride, padding) for i, p in zip(idx[-nd:], taps, strict=True)]
        inside = _inside(places, x.shape[-nd:], padding)
        value = select(inside, x.entry((*channel, *places)), ZERO)
        product = mul(w.entry((*idx[:1], *channel, *taps) if channels else tuple(taps)), value)
        return total([i for i in (*channel, *taps) if isinstance(i, Index)], product)

    return Tensor((*w.shape[:1], *spans) if channels else tuple(spans), entry)


def _window_place(i: Expr, p: Expr, stride: Expr, padding: Expr) -> Expr:
    return shifted(scaled(i, stride), p, minus_size(padding))


def _inside(places: Sequence[Expr], dims: Sequence[Expr], padding: Expr) -> Expr:
    """The condition that a padded place is a real one."""
    if padding is ZERO:
        return ONE
    return mul(*(mul(Compare(">=", i, ZERO), Compare("<", i, d)) for i, d in zip(places, dims, strict=True)))


def window_count(sizes: Sizes, what: str, n: Expr, k: Expr, stride: Expr, padding: Expr = ZERO) -> Expr:
    """How many windows of size k fit into n: (n + 2·padding − k) // stride + 1."""
    room = size_sum(sizes.resolve(n), padding, padding, minus_size(sizes.resolve(k)))
    known = value_of(room)
    if known is not None and known < 0:
        raise DeclarationError(f"{what}: a window of {size_text(k)} does not fit into {size_text(n)}")
    if stride is ONE:
        return size_sum(room, ONE)
    step = value_of(stride)
    if known is not None and step is not None:
        for size in (n, k, stride):
            sizes.pin(size)
        return literal(known // step + 1)
    exact = quotient(room, stride)
    if exact is not None:
        return size_sum(exact, ONE)
    if isinstance(sizes.resolve(n), Size):
        count = sizes.invent(size_text(n))
        covered = size_sum(mul(stride, size_sum(count, MINUS_ONE)), k, minus_size(padding), minus_size(padding))
        if sizes.unify(n, covered):
            return count
    raise DeclarationError(
        f"{what}: how many windows of {size_text(k)} fit into {size_text(n)}, stride {size_text(stride)}, is unclear",
        hint="Write the length of the input as stride*(m - 1) + kernel.",
    )


def _blocks(sizes: Sizes, what: str, x: Tensor, k: Expr) -> Shape:
    if x.ndim < 2:
        raise DeclarationError(f"{what} needs two axes, and {x.text or 'its argument'} is {shape_text(x.shape)}")
    counts = [sizes.divide(d, k) for d in x.shape[-2:]]
    if None in counts:
        raise DeclarationError(
            f"{what}: {shape_text(x.shape)} does not divide into blocks of {size_text(k)}",
            hint=f"Declare the axes as multiples, such as {size_text(k)}*P.",
        )
    return (*x.shape[:-2], *(c for c in counts if c is not None))


def _block_entry(x: Tensor, k: Expr, idx: Idx) -> tuple[list[Index], Expr]:
    inner = [ZERO if k is ONE else fresh(k) for _ in range(2)]
    places = [shifted(scaled(i, k), a) for i, a in zip(idx[-2:], inner, strict=True)]
    return [a for a in inner if isinstance(a, Index)], x.entry((*idx[:-2], *places))


def maxpool2d(sizes: Sizes, x: Tensor, k: Expr) -> Tensor:
    """The maximum of every k×k block."""

    def entry(idx: Idx) -> Expr:
        letters, body = _block_entry(x, k, idx)
        return Reduce("max", letters, body) if letters else body

    return Tensor(_blocks(sizes, "maxpool2d", x, k), entry)


def avgpool2d(sizes: Sizes, x: Tensor, k: Expr) -> Tensor:
    """The mean of every k×k block."""

    def entry(idx: Idx) -> Expr:
        letters, body = _block_entry(x, k, idx)
        return mul(total(letters, body), Pow(mul(k, k), MINUS_ONE)) if letters else body

    return Tensor(_blocks(sizes, "avgpool2d", x, k), entry)


def windows(sizes: Sizes, what: str, x: Tensor, kernel: Sequence[Expr], stride: Expr = ONE) -> Tensor:
    """All windows over the last axes: (…, places, kernel)."""
    nd = len(kernel)
    if x.ndim < nd:
        raise DeclarationError(f"{what} needs {nd} axes, and {x.text or 'its argument'} is {shape_text(x.shape)}")
    counts = [window_count(sizes, what, n, k, stride) for n, k in zip(x.shape[-nd:], kernel, strict=True)]
    front = x.ndim - nd

    def entry(idx: Idx) -> Expr:
        pairs = zip(idx[front : front + nd], idx[front + nd :], strict=True)
        places = [_window_place(i, p, stride, ZERO) for i, p in pairs]
        return x.entry((*idx[:front], *places))

    return Tensor((*x.shape[:front], *counts, *kernel), entry)


def pad2d(sizes: Sizes, x: Tensor, padding: Expr) -> Tensor:
    """Zeros around the last two axes."""
    if x.ndim < 2:
        raise DeclarationError(f"pad2d needs two axes, and {x.text or 'its argument'} is {shape_text(x.shape)}")

    def entry(idx: Idx) -> Expr:
        places = [shifted(i, minus_size(padding)) for i in idx[-2:]]
        return select(_inside(places, x.shape[-2:], padding), x.entry((*idx[:-2], *places)), ZERO)

    return Tensor((*x.shape[:-2], *(size_sum(d, padding, padding) for d in x.shape[-2:])), entry)


def dilate(sizes: Sizes, what: str, x: Tensor, step: Expr, nd: int) -> Tensor:
    """`step − 1` zeros between neighbours on the last axes."""
    if x.ndim < nd:
        raise DeclarationError(f"{what} needs {nd} axes, and {x.text or 'its argument'} is {shape_text(x.shape)}")
    spread = [size_sum(mul(size_sum(d, MINUS_ONE), step), ONE) for d in x.shape[-nd:]]

    def entry(idx: Idx) -> Expr:
        places: list[Expr] = [ZERO if d is ONE else fresh(d) for d in x.shape[-nd:]]
        factors = [delta(i, scaled(p, step)) for i, p in zip(idx[-nd:], places, strict=True)]
        return total([p for p in places if isinstance(p, Index)], mul(*factors, x.entry((*idx[:-nd], *places))))

    return Tensor((*x.shape[:-nd], *spread), entry)


def upsample2d(sizes: Sizes, x: Tensor, k: Expr) -> Tensor:
    """Every entry repeated in a k×k block."""
    if x.ndim < 2:
        raise DeclarationError(f"upsample2d needs two axes, and {x.text or 'its argument'} is {shape_text(x.shape)}")
    shape = [size_product(d, k) for d in x.shape[-2:]]

    def entry(idx: Idx) -> Expr:
        letters: list[Index] = []
        factors: list[Expr] = []
        places: list[Expr] = []
        for i, d in zip(idx[-2:], x.shape[-2:], strict=True):
            block: Expr = ZERO if d is ONE else fresh(d)
            inner: Expr = ZERO if k is ONE else fresh(k)
            letters += [a for a in (block, inner) if isinstance(a, Index)]
            factors.append(delta(i, shifted(scaled(block, k), inner)))
            places.append(block)
        return total(letters, mul(*factors, x.entry((*idx[:-2], *places))))

    return Tensor((*x.shape[:-2], *shape), entry)
