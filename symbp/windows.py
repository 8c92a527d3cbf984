"""Windows in the network language: what an affine index is in arrays.

`x[i + p]` is `windows1d(x, k)` with axes i and p; a product with it that sums over p is a `conv1d`.
A gradient reads `δ[i − p]` where 0 ≤ i − p < m: the same with p counted backwards (which flips the
other factor) and zeros around δ in the place of the condition. With a stride the upstream gradient
is dilated first. Where 0 ≤ i − s q < s, the letter q is i // s: whatever has it is upsampled.

All this is a rewriting: an entry with an affine index becomes an entry of a view, a tensor that has
a form instead of a name, and is emitted like any other. What fits none of these stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symbp.expr import ONE, ZERO, Add, Compare, Delta, Entry, Expr, Index, Num, Reduce, fresh, mul, substitute, walk
from symbp.expr import replace as rewrite
from symbp.form import Form, form
from symbp.index import affine, at_least, bound_of, place, places_normal
from symbp.sizes import size_text
from symbp.views import Term, View, ViewEmitter, added, numbers, opened, sum_of, without


@dataclass(frozen=True)
class Look:
    """Windows over the last `count` axes of a tensor, with this padding around it."""

    inner: Form
    shape: tuple[Expr, ...]
    padding: tuple[tuple[Expr, Expr], ...]
    stride: Expr
    count: int


@dataclass(frozen=True)
class Span:
    """An index as `stride · out + offset + constant`, after counting `flipped` letters backwards."""

    out: Index
    stride: Expr
    offset: Index
    constant: Expr
    flipped: tuple[Index, ...]

    @property
    def last(self) -> Expr:
        return place(self.stride * self.out.dim - self.stride + self.offset.dim - 1 + self.constant)


@dataclass(frozen=True)
class Windows(View):
    """Windows as a tensor, with what they look at."""

    look: Look | None = None


class WindowEmitter(ViewEmitter):
    """An emitter that sees windows, convolutions, dilated and upsampled tensors."""

    # -- the rewriting --

    def split(self, e: Entry) -> Entry:
        """An entry as it is read: at digits, from the end, or through a window on its own."""
        seen = super().split(e)
        if seen is not e:
            return seen
        term = Term([], [self._mirrored(e)], [])
        self._windowed(term, term.factors[0], bare=True)
        only = term.whole()
        assert isinstance(only, Entry)
        return only

    def _mirrored(self, e: Expr) -> Expr:
        """`x[n − 1 − i]` is `flip(x)[i]`."""
        if not isinstance(e, Entry):
            return e
        seen, shape = self.plain(e.tensor)
        places = list(e.idx)
        for n, (i, d) in enumerate(zip(e.idx, shape, strict=True)):
            back = place(d - 1 - i)
            if isinstance(i, Add) and isinstance(back, Index) and self.same_size(back.dim, d):
                places[n], seen = back, flipped(seen, [n])
        return e if places == list(e.idx) else self.view(View(seen, shape), places)

    # -- what is read through one index only --

    def _collected(self, term: Term) -> bool:
        """Factors on the same indices as one tensor: dz[i − p] 1[z[i − p] > 0] is (dz*(z > 0))[i − p]."""
        if not any(_is_window(i) for f in term.factors for x in walk(f) if isinstance(x, Entry) for i in x.idx):
            return False
        groups: dict[frozenset[Expr], list[Expr]] = {}
        for f in term.factors:
            slots = _slots(f)
            if slots and len(slots) <= len(f.free):
                groups.setdefault(frozenset(slots), []).append(f)
        found = False
        for members in groups.values():
            if len(members) > 1 or not isinstance(members[0], Entry):
                found = self._collect(term, members) or found
        return found

    def _recentred(self, term: Term) -> bool:
        """A sum that is read at i − q only, as a tensor: the window inside it is seen on its own."""
        ends: dict[Expr, Expr] = {}
        for m in term.masks:
            for n in term.masks:
                if (
                    m.fn == ">="
                    and n.fn == "<"
                    and m.args[1] is ZERO
                    and n.args[0] is m.args[0]
                    and _is_window(m.args[0])
                ):
                    ends[m.args[0]] = n.args[1]
        put: dict[Index, Expr] = {}
        places: dict[Index, Expr] = {}
        for e, dim in ends.items():
            parts = affine(e) or {}
            letter = next((i for i, c in parts.items() if abs(c) == 1 and isinstance(i, Index) and i not in put), None)
            if letter is not None:
                at = fresh(dim)
                put[letter], places[at] = place((at - e) * Num(parts[letter]) + letter), e
        moved = frozenset().union(*(e.free for e in places.values()))
        inside = {f: places_normal(substitute(f, put)) for f in term.factors if not moved.isdisjoint(f.free)}
        mine = [f for f, done in inside.items() if done.free.isdisjoint(moved)]
        if not any(isinstance(x, Reduce) for f in mine for x in walk(f)):
            return False
        body = mul(*(inside[f] for f in mine))
        others = sorted((i for i in body.free if i not in places and isinstance(i, Index)), key=lambda i: i.name)
        order = (*others, *(i for i in places if i in body.free))
        view = View(self.exactly(body, order), tuple(i.dim for i in order))
        entry = self.view(view, [places.get(i, i) for i in order])
        term.factors = [entry if f is mine[0] else f for f in term.factors if f is mine[0] or f not in mine]
        return True

    def _collect(self, term: Term, members: Sequence[Expr]) -> bool:
        places: dict[Expr, Expr] = {}
        body = mul(*members)
        for x in walk(body):
            for i, d in zip(x.idx, self.shape_of(x.tensor), strict=True) if isinstance(x, Entry) else ():
                if i.free and i.free <= body.free:
                    letter = places.setdefault(i, fresh(d))
                    if not self.same_size(letter.dim, d):  # type: ignore[attr-defined]
                        return False
        own = rewrite(
            body, lambda x: Entry(x.tensor, [places.get(i, i) for i in x.idx]) if isinstance(x, Entry) else None
        )
        letters = tuple(i for i in places.values() if isinstance(i, Index))
        if own.free != frozenset(letters):
            return False
        seen = self.exactly(own, letters)
        first, *others = members
        term.factors = [f for f in term.factors if not any(f is o for o in others)]
        term.put(first, self.view(View(seen, tuple(i.dim for i in letters)), places))
        return True

    def seen(self, e: Expr, bound: Sequence[Index], body: Expr) -> Expr:
        term, found = self._opened(bound, body)
        before = list(term.factors)
        found = self._blocks(term) or self.merged(term) or found
        term.factors = [self._single(f) if isinstance(f, (Entry, Reduce)) else f for f in term.factors]
        found = self._collected(term) or found
        for f in list(term.factors):
            found = (isinstance(f, Entry) and self._overlapping(term, f)) or found
        for see in (self._dilated, self._windowed, self._convolved):
            for f in list(term.factors):
                found = (isinstance(f, Entry) and see(term, f)) or found
        term.factors = [f if isinstance(f, Entry) else self.inside(f) for f in term.factors]
        found = found or any(a is not b for a, b in zip(before, term.factors, strict=True))
        return term.whole() if found else e

    def _opened(self, bound: Sequence[Index], body: Expr) -> tuple[Term, bool]:
        """A term opened as far as something in it is read at i − q only, else altogether."""
        for levels in range(4):
            term = opened(bound, body, levels)
            if self._recentred(term) or self._in_blocks(term):
                return term, True
            if not any(isinstance(x, Reduce) for f in term.factors for x in walk(f)):
                break
        return opened(bound, body), False

    def _single(self, f: Expr) -> Expr:
        """A factor on its own: a sum with what is in it seen, an entry at digits or from the end."""
        if not isinstance(f, Entry):
            return rewrite(f, self.rule)
        return self._mirrored(ViewEmitter.split(self, f))

    # -- blocks: 0 ≤ i − s q < s --

    def _blocks(self, term: Term) -> bool:
        term.factors = [rewrite(f, self._digits_seen) for f in term.factors]
        blocks = {q: found for q in term.bound if (found := self._block(term, q)) is not None}
        if not blocks:
            return False
        for _, _, masks in blocks.values():
            term.masks = [m for m in term.masks if m not in masks]
        term.bound = [i for i in term.bound if i not in blocks]

        def rule(x: Expr) -> Expr | None:
            if not isinstance(x, Entry) or x.free.isdisjoint(blocks):
                return None
            steps = [(n, blocks[i][1]) for n, i in enumerate(x.idx) if isinstance(i, Index) and i in blocks]
            places = [blocks[i][0] if isinstance(i, Index) and i in blocks else i for i in x.idx]
            return self.view(self._upsampled(x.tensor, steps), places)

        term.factors = [rewrite(f, rule) for f in term.factors]
        return True

    def _in_blocks(self, term: Term) -> bool:
        """A sum that is read at i // s, as a tensor, so that it can be upsampled."""
        blocks = {q: found[0] for q in term.bound if (found := self._quotient(term, q)) is not None}
        for f in term.factors:
            letters = sorted((i for i in f.free if isinstance(i, Index)), key=lambda i: i.name)
            mine = [q for q in letters if q in blocks]
            if mine and isinstance(f, Reduce) and not any(_reads_plainly(f, q) for q in mine):
                if f.free.isdisjoint(blocks[q] for q in mine):
                    order = (*(i for i in letters if i not in mine), *(q for q in blocks if q in mine))
                    term.put(f, self.view(View(self.exactly(f, order), tuple(i.dim for i in order)), order))
                    return True
        return False

    def _digits_seen(self, e: Expr) -> Expr | None:
        return ViewEmitter.split(self, e) if isinstance(e, Entry) else None

    def _block(self, term: Term, q: Index) -> tuple[Index, Expr, tuple[Compare, ...]] | None:
        """The letter i and the step s of which q is i // s, and the two conditions that say so."""
        return self._quotient(term, q) if all(_reads_plainly(f, q) for f in term.factors) else None

    def _quotient(self, term: Term, q: Index) -> tuple[Index, Expr, tuple[Compare, ...]] | None:
        masks = [m for m in term.masks if q in m.free]
        if len(masks) != 2:
            return None
        for low, high in (masks, masks[::-1]):
            room = bound_of(low) or {}
            parts = {letter: (c, atom) for atom, c in room.items() for letter in atom.free}
            others = [i for i in parts if i is not q]
            if len(room) != 2 or len(parts) != 2 or parts[others[0]][0] != 1 or parts[others[0]][1] is not others[0]:
                continue
            assert isinstance(others[0], Index)
            step = without(parts[q][1], q, -parts[q][0])
            whole = same(sum_of(room, bound_of(high) or {}), step - 1)
            if whole and self.same_size(others[0].dim, step * q.dim):
                return others[0], step, (low, high)
        return None

    def _upsampled(self, tensor: str, steps: Sequence[tuple[int, Expr]]) -> View:
        x, shape = self.plain(tensor)
        rank, sizes = len(shape), dict(steps)
        whole = tuple(place(sizes.get(n, ONE) * d) for n, d in enumerate(shape))
        if sorted(sizes) == [rank - 2, rank - 1] and sizes[rank - 2] is sizes[rank - 1]:
            return View(form("upsample", (x,), (None,) * rank, sizes[rank - 1]), whole)
        for n, step in steps:
            spread = (*shape[: n + 1], step, *shape[n + 1 :])
            shape = tuple(place(step * d) if n == m else d for m, d in enumerate(shape))
            x = form("repeat", (x,), (None,) * rank, n, spread, shape)
        return View(x, whole)

    # -- dilated upstream gradients: A[v − s i] B[i] is A[p] (B dilated)[v − p] --

    def _dilated(self, term: Term, a: Entry) -> bool:
        spans = {n: s for n, e in enumerate(a.idx) if (s := self._strided(term, a, e)) is not None}
        partners = {id(b): b for b, *_ in spans.values()}
        steps = {step for _, _, step, _ in spans.values()}
        if len(partners) != 1 or len(steps) != 1 or len(spans) > 2:
            return False
        (b,), (step,) = partners.values(), steps
        shape = self.shape_of(a.tensor)
        letters = [i for _, i, _, _ in spans.values()]
        x, dims = self._moved(b, [b.idx.index(i) for i in letters])
        wide = tuple(place(step * i.dim - step + 1) for i in letters)
        kept = [i for i in b.idx if i not in letters]
        taps = {n: fresh(shape[n]) for n in spans}
        view = View(form("dilate", (x,), (None,) * len(dims), step, len(letters)), (*dims[: len(kept)], *wide))
        places = [place(v - taps[n]) for n, (_, _, _, v) in spans.items()]
        for n in spans:
            self._use_up(term, a.idx[n], shape[n])
        term.bound = [i for i in term.bound if i not in letters] + list(taps.values())
        for p, d in zip(places, wide, strict=True):
            term.masks += [Compare(">=", p, ZERO), Compare("<", p, d)]
        term.put(a, Entry(a.tensor, [taps.get(n, e) for n, e in enumerate(a.idx)]))
        term.put(b, self.view(view, [*kept, *places]))
        return True

    def _strided(self, term: Term, a: Entry, e: Expr) -> tuple[Entry, Index, Expr, Expr] | None:
        """`v − s i` with a bound i that one other factor reads: that factor, i, s, and v."""
        parts = affine(e) or {}
        for atom, c in parts.items():
            letter = next(iter(atom.free), None)
            if not isinstance(letter, Index) or letter not in term.bound or c >= 0 or without(atom, letter, -c) is ONE:
                continue
            others = [f for f in term.others(letter, a) if f not in self._masks_of(term, e)]
            if len(others) != 1 or not isinstance(others[0], Entry):
                return None
            b = others[0]
            if list(b.idx).count(letter) == 1 and all(isinstance(i, Index) for i in b.idx):
                step = without(atom, letter, -c)
                return b, letter, step, place(e + step * letter)
        return None

    # -- windows laid over each other: Σ_p x[i − p, p] is a convolution of x with eye(k) --

    def _overlapping(self, term: Term, e: Entry) -> bool:
        """Read the letter that is a place in the window as a channel of its own."""
        for n, p in enumerate(e.idx):
            if not isinstance(p, Index) or p not in term.bound or term.others(p, e) != self._masks_of_letter(term, p):
                continue
            if sum(p in i.free for i in e.idx) != 2 or not any(_is_window(i) and p in i.free for i in e.idx):
                continue
            channel = fresh(p.dim)
            eye = View(Form("eye", (), (None, None), (p.dim,), 1.0), (p.dim, p.dim))
            term.put(e, Entry(e.tensor, [channel if m == n else i for m, i in enumerate(e.idx)]))
            term.factors.append(self.view(eye, (channel, p)))
            term.bound.append(channel)
            return True
        return False

    def _masks_of_letter(self, term: Term, letter: Index) -> list[Expr]:
        return [m for m in term.masks if letter in m.free]

    # -- windows --

    def _windowed(self, term: Term, e: Expr, bare: bool = False) -> bool:
        """See an entry as windows; `bare` where no factor 0 may stand for what is outside."""
        assert isinstance(e, Entry)
        shape = self.shape_of(e.tensor)
        spans: dict[int, Span] = {}
        for n, (i, d) in enumerate(zip(e.idx, shape, strict=True)):
            if (isinstance(i, Index) and self.same_size(i.dim, d)) or (i is ZERO and d is ONE):
                continue
            span = self._span(term, i)
            if span is None:
                return False
            spans[n] = span
        strides = {s.stride for s in spans.values()}
        if not 1 <= len(spans) <= 2 or len(strides) != 1:
            return False
        x, dims = self._moved(e, list(spans))
        front = len(dims) - len(spans)
        margins = [self._margin(s, d) for s, d in zip(spans.values(), dims[front:], strict=True)]
        cut = _cut(x, front, [m and m[0] for m in margins])
        if cut is None:
            return False
        padding = tuple(m[1] for m in margins if m is not None)
        if bare and any(p is not ZERO for pair in padding for p in pair):
            return False
        trimmed = (*dims[:front], *(m[2] for m in margins if m is not None))
        outs, offsets = [s.out for s in spans.values()], [s.offset for s in spans.values()]
        look = Look(cut, trimmed, padding, strides.pop(), len(spans))
        seen = form(
            "windows", (padded(look),), (None,) * (len(dims) + len(spans)), tuple(i.dim for i in offsets), look.stride
        )
        idx = [*(i for n, i in enumerate(e.idx) if n not in spans), *outs, *offsets]
        for n in spans:
            self._use_up(term, e.idx[n], shape[n])
        stays = [i for s in spans.values() for i in s.flipped if not self._turned(term, e, i)]
        view = Windows(seen, (*dims[:front], *(i.dim for i in (*outs, *offsets))), None if stays else look)
        if stays:
            view = replace(view, form=flipped(seen, [idx.index(i) for i in stays]))
        term.put(e, self.view(view, idx))
        return True

    def _span(self, term: Term, e: Expr) -> Span | None:
        parts = affine(e) or {}
        atoms = {atom: next(iter(atom.free)) for atom in parts if atom.free}
        if len(atoms) != 2 or any(len(a.free) != 1 for a in atoms):
            return None
        steps = {i: without(a, i, abs(parts[a])) for a, i in atoms.items() if isinstance(i, Index)}
        single = [i for i, step in steps.items() if step is ONE]
        if not single or len(steps) != 2:
            return None
        offset = next((i for i in single if i in term.bound), single[-1])
        if sum(i in term.bound for i in single) == 2:
            offset = single[-1]
        out = next(i for i in steps if i is not offset)
        back = tuple(i for a, i in atoms.items() if parts[a] < 0 and isinstance(i, Index))
        constant = place(numbers(parts) - added(steps[i] * (i.dim - 1) for i in back))
        return Span(out, steps[out], offset, constant, back)

    def _margin(self, s: Span, dim: Expr) -> tuple[tuple[str, str], tuple[Expr, Expr], Expr] | None:
        """What is cut off an axis as a slice, what is put around it, and its length between the two."""
        start, before = self._signed(s.constant)
        after, cut = self._signed(place(s.last - dim + 1))
        if start is None or before is None or after is None or cut is None:
            return None
        if isinstance(cut, Num) and isinstance(s.stride, Num) and cut.value < s.stride.value and before is ZERO:
            cut = ZERO  # what is left over is too short for a window
        if self.same_size(before, after):
            after = before
        end = "" if cut is ZERO else size_text(place(dim - cut))
        return ("" if start is ZERO else size_text(start), end), (before, after), place(dim - start - cut)

    def _signed(self, size: Expr) -> tuple[Expr | None, Expr | None]:
        """(size, 0) if it is never negative, (0, −size) if it is never positive."""
        known = affine(self._resolved(size)) or {}
        if at_least(known, 0):
            return (size if known else ZERO), ZERO
        if at_least({k: -v for k, v in known.items()}, 0):
            return ZERO, place(-size)
        return None, None

    def _turned(self, term: Term, e: Entry, letter: Index) -> bool:
        """Count a bound letter backwards in the only other factor that has it."""
        others = term.others(letter, e)
        if letter not in term.bound or len(others) != 1 or not isinstance(others[0], Entry):
            return False
        b = others[0]
        x, shape = self.plain(b.tensor)
        if list(b.idx).count(letter) != 1 or not _reads_plainly(b, letter):
            return False
        n = b.idx.index(letter)
        if not self.same_size(shape[n], letter.dim):
            return False
        term.put(b, self.view(View(flipped(x, [n]), shape), b.idx))
        return True

    def _masks_of(self, term: Term, e: Expr) -> list[Compare]:
        return [m for m in term.masks if m.args[0] is e]

    def _use_up(self, term: Term, e: Expr, dim: Expr) -> None:
        """Drop 0 ≤ e < dim: there are zeros outside."""
        fits = {">=": ZERO, "<": dim}
        term.masks = [
            m for m in term.masks if m.args[0] is not e or m.fn not in fits or not self.same_size(m.args[1], fits[m.fn])
        ]

    def _moved(self, e: Entry, last: Sequence[int]) -> tuple[Form, tuple[Expr, ...]]:
        """A tensor with some axes moved to the end."""
        x, shape = self.plain(e.tensor)
        order = (*(n for n in range(len(shape)) if n not in last), *last)
        return permuted(x, order), tuple(shape[n] for n in order)

    # -- convolutions --

    def _convolved(self, term: Term, w: Entry) -> bool:
        """Σ over the offsets of windows times a kernel."""
        window = next((f for f in term.factors if isinstance(f, Entry) and self._slides(term, f, w)), None)
        look = self._look(window.tensor) if window is not None else None
        if window is None or look is None or self._look(w.tensor) is not None:
            return False
        front = len(window.idx) - 2 * look.count
        outs, offsets = window.idx[front : front + look.count], window.idx[front + look.count :]
        order = self._kernel_axes(w, window.idx[:front], offsets)
        assert order is not None
        kernel, dims = self.plain(w.tensor)
        alone = bool(front) and len(order) - look.count == 1
        own: list[Expr] = [w.idx[order[0]]] if front else []
        if alone and window.idx[0] is not ZERO:  # no axis of its own
            kernel = form(
                "subscript", (permuted(kernel, order),), (None,) * (len(dims) + 1), "None", *(":" for _ in dims)
            )
            dims, own, order = (ONE, *(dims[n] for n in order)), [], tuple(range(len(dims) + 1))
        elif alone:  # one channel, and the kernel has no axis for it
            kernel = form(
                "subscript", (permuted(kernel, order),), (None,) * (len(dims) + 1), ":", "None", *(":" for _ in offsets)
            )
            dims = (dims[order[0]], ONE, *(dims[n] for n in order[1:]))
            order = tuple(range(len(dims)))
        same_all = len({p for pair in look.padding for p in pair}) == 1
        padding = look.padding[0][0] if same_all else ZERO
        inner = look.inner if same_all else padded(look)
        rank = front + look.count
        x = form("conv", (inner, permuted(kernel, order)), (None,) * rank, look.count, look.stride, padding)
        if front and not own:
            x = form("subscript", (x,), (None,) * look.count, "0", *(":" for _ in offsets))
        shape = (*(dims[n] for n in order[: len(own)]), *(i.dim for i in outs if isinstance(i, Index)))
        term.bound = [i for i in term.bound if i not in (*window.idx[:front], *offsets)]
        term.factors = [f for f in term.factors if f is not w]
        term.put(window, self.view(View(x, shape), (*own, *outs)))
        return True

    def _kernel_axes(self, w: Entry, channel: tuple[Expr, ...], offsets: tuple[Expr, ...]) -> tuple[int, ...] | None:
        """Where a kernel has its own axis, its channel (unless there is one channel only) and its taps."""
        taps = [n for t in offsets for n, i in enumerate(w.idx) if i is t]
        rest = [n for n in range(len(w.idx)) if n not in taps]
        if len(taps) != len(offsets) or not len(channel) <= len(rest) <= 2 * len(channel):
            return None
        mine = [n for n in reversed(rest) if channel and w.idx[n] is channel[0]]
        if channel and not mine and (channel[0] is not ZERO or len(rest) > 1):
            return None
        if len(rest) == 2:
            rest = [n for n in rest if n != mine[0]] + mine[:1]
        return (*rest, *taps)

    def _look(self, tensor: str) -> Look | None:
        view = self.views.get(tensor)
        return view.look if isinstance(view, Windows) else None

    def _slides(self, term: Term, window: Entry, w: Entry) -> bool:
        """Is the one a view of windows whose offsets are summed against the other?"""
        look = self._look(window.tensor)
        if look is None or window is w:
            return False
        front = len(window.idx) - 2 * look.count
        summed = (*window.idx[:front], *window.idx[front + look.count :])
        outs = window.idx[front : front + look.count]
        if front > 1 or self._kernel_axes(w, window.idx[:front], window.idx[front + look.count :]) is None:
            return False
        alone = all(i is ZERO or (i in term.bound and term.others(i, window) == [w]) for i in summed)
        whole = all(
            (isinstance(i, Index) and self.same_size(i.dim, d)) or (i is ZERO and d is ONE)
            for i, d in zip(w.idx, self.shape_of(w.tensor), strict=True)
        )
        return alone and whole and not any(i in w.idx for i in outs)


# ---- terms -------------------------------------------------------------------------------------


def _is_window(i: Expr) -> bool:
    return isinstance(i, Add) and len(i.free) > 1


def _slots(e: Expr) -> list[Expr]:
    """The indices through which alone an expression is read, or none."""
    found: dict[Expr, None] = {}
    for x in walk(e):
        if isinstance(x, Entry):
            found.update((i, None) for i in x.idx if i.free and i.free <= e.free)
            if any(not i.free <= e.free and not i.free.isdisjoint(e.free) for i in x.idx):
                return []
        elif isinstance(x, (Compare, Delta)) and not x.tensors and not x.free.isdisjoint(e.free):
            return []
    return list(found)


def _reads_plainly(e: Expr, letter: Index) -> bool:
    """Does a letter stand in entries only, as an index of its own?"""
    return all(
        isinstance(x, Entry) or not any(a is letter for a in x.args) for x in walk(e) if letter in x.free
    ) and all(i is letter or letter not in i.free for x in walk(e) if isinstance(x, Entry) for i in x.idx)


def same(a: Expr, b: Expr) -> bool:
    return not affine(a - b)


# ---- forms -------------------------------------------------------------------------------------


def permuted(x: Form, order: tuple[int, ...]) -> Form:
    if order == tuple(sorted(order)):
        return x
    if len(order) == 2:
        return x.args[0] if x.kind == "transpose" else form("transpose", (x,), (None, None), cost=0.3)
    return form("permute", (x,), (None,) * len(order), *order)


def flipped(x: Form, axes: Sequence[int]) -> Form:
    if x.kind == "flip":
        return flipped(x.args[0], sorted({*(n for n in x.data if isinstance(n, int)), *axes}))
    return form("flip", (x,), x.axes, *axes)


def padded(look: Look) -> Form:
    if all(p is ZERO for pair in look.padding for p in pair):
        return look.inner
    return form("pad", (look.inner,), look.inner.axes, look.padding, look.shape)


def _cut(x: Form, front: int, slices: Sequence[tuple[str, str] | None]) -> Form | None:
    """A tensor with a stretch of its last axes only."""
    if any(s is None for s in slices):
        return None
    parts = [":"] * front + [f"{s[0]}:{s[1]}" for s in slices if s is not None]
    return x if set(parts) == {":"} else form("subscript", (x,), x.axes, *parts, cost=0.4)


__all__ = ["WindowEmitter"]
