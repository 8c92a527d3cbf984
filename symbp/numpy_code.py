"""Forms as NumPy text: the network language (`X.T @ dH1`), or real NumPy with a prefix.

One precedence table and one function decide on parentheses, so a bracket cannot be lost in one
of several places. The text read back by Python gives the value of the form: `@`, `*` and `/` have
one precedence and group to the left, booleans are never added or negated as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from symbp.arithmetic import MIRRORED
from symbp.expr import HALF, ONE, ZERO, Expr, Index, Num, Reduce, Size, add, mul, number
from symbp.form import Form, NotReducible, scalar
from symbp.graph import Graph, primal
from symbp.index import affine, from_affine, place
from symbp.ops import UNKNOWN, fill
from symbp.sizes import size_text
from symbp.steps import Derivation
from symbp.windows import WindowEmitter

SUM, PRODUCT, MINUS, POWER, ATOM = 1, 2, 3, 4, 5
COMPARISON = 0


@dataclass(frozen=True)
class Text:
    """A piece of text and how tightly it binds."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        return self.text if self.level >= level else f"({self.text})"


class NumpyPrinter:
    """Prints forms. `prefix` goes before NumPy functions ("" for the network language, "np." for
    code); `names` may rename tensors."""

    def __init__(self, graph: Graph, prefix: str = "", size: Callable[[str], str] = lambda s: s) -> None:
        self.graph, self.prefix, self.size = graph, prefix, size

    def __call__(self, x: Form) -> str:
        return self.piece(x).text

    def piece(self, x: Form) -> Text:
        if x.kind in ("num", "const", "size", "index", "name"):
            return self._leaf(x)
        found = getattr(self, "_" + x.kind)(x)
        assert isinstance(found, Text)
        return found

    # -- leaves --

    def _leaf(self, x: Form) -> Text:
        data = x.data[0]
        if x.kind == "num":
            assert isinstance(data, Num)
            shown = number(data.value, data.decimal)
            return Text(shown, PRODUCT if "/" in shown else MINUS if shown[0] == "-" else ATOM)
        if x.kind == "index":
            if not self.prefix:
                raise NotReducible("an index used as a value")
            assert isinstance(data, Expr)
            return Text(f"{self._np('arange')}({self.size_of(data)})")
        name = str(data)
        if x.kind == "size":
            return Text(self.size(name))
        if x.kind == "const":
            return Text(self.prefix + name if name in ("pi", "inf") and name not in self.graph.constants else name)
        inner = primal(name)
        return Text(self.graph.adjoint_name(inner) if inner is not None else name)

    def size_of(self, e: Expr) -> str:
        return size_text(_renamed(e, self.size))

    def _np(self, name: str) -> str:
        return self.prefix + name

    def _call_text(self, name: str, *args: str) -> Text:
        return Text(f"{self._np(name)}({', '.join(args)})")

    def _plain_call(self, name: str, *args: str) -> Text:
        """A call of a function that NumPy lacks."""
        return Text(f"{name}({', '.join(args)})")

    # -- shapes --

    def _transpose(self, x: Form) -> Text:
        return Text(self.piece(x.args[0]).at(ATOM) + ".T")

    def _permute(self, x: Form) -> Text:
        return self._call_text("transpose", self(x.args[0]), f"({', '.join(map(str, x.data))})")

    def _subscript(self, x: Form) -> Text:
        pattern = list(map(str, x.data))
        while len(pattern) > 1 and pattern[-1] == ":" and "None" not in pattern:
            pattern.pop()
        return Text(f"{self.piece(x.args[0]).at(ATOM)}[{', '.join(pattern)}]")

    def _gather(self, x: Form) -> Text:
        if not self.prefix:
            raise NotReducible("indices that no slice can say")
        places = []
        for a, limit in zip(x.args[1:], x.data, strict=True):
            shown = self(a)
            if isinstance(limit, Expr):
                last = affine(limit - 1)
                end = self.size_of(from_affine(last) if last is not None else limit - 1)
                shown = f"{self._np('clip')}({shown}, 0, {end})"
            places.append(shown)
        return Text(f"{self(x.args[0])}[{', '.join(places)}]")

    def _concatenate(self, x: Form) -> Text:
        parts = ", ".join(map(self, x.args))
        return self._call_text("concatenate", f"({parts})" + (f", axis={x.data[0]}" if x.data[0] else ""))

    def _reshape(self, x: Form) -> Text:
        return self._call_text("reshape", self(x.args[0]), self._shape([d for d in x.data if isinstance(d, Expr)]))

    # -- windows --

    def _view(self, x: Form) -> Text:
        return self.piece(x.args[0])

    def _windows(self, x: Form) -> Text:
        kernel, stride = x.data
        assert isinstance(kernel, tuple)
        sizes = [self.size_of(k) for k in kernel]
        return self._plain_call(f"windows{len(kernel)}d", self(x.args[0]), *sizes, *self._unless_one(stride))

    def _conv(self, x: Form) -> Text:
        count, stride, padding = x.data
        assert isinstance(padding, Expr)
        more = [f"stride={s}" for s in self._unless_one(stride)]
        more += [] if padding is ZERO else [f"padding={self.size_of(padding)}"]
        return self._plain_call(f"conv{count}d", *map(self, x.args), *more)

    def _unless_one(self, step: object) -> list[str]:
        assert isinstance(step, Expr)
        return [] if step is ONE else [self.size_of(step)]

    def _dilate(self, x: Form) -> Text:
        step, count = x.data
        assert isinstance(step, Expr)
        return self._plain_call(f"dilate{count}d", self(x.args[0]), self.size_of(step))

    def _upsample(self, x: Form) -> Text:
        step = x.data[0]
        assert isinstance(step, Expr)
        return self._plain_call("upsample2d", self(x.args[0]), self.size_of(step))

    def _repeat(self, x: Form) -> Text:
        """Every entry `step` times along one axis."""
        axis, spread, shape = x.data
        assert isinstance(axis, int) and isinstance(spread, tuple) and isinstance(shape, tuple)
        if self.prefix:
            return self._call_text("repeat", self(x.args[0]), self.size_of(spread[axis + 1]), f"axis={axis}")
        pattern = ", ".join("None" if n == axis + 1 else ":" for n in range(len(spread)))
        wide = f"{self.piece(x.args[0]).at(ATOM)}[{pattern}]*{self._np('ones')}({self._shape(spread)})"
        return self._call_text("reshape", wide, self._shape(shape))

    def _flip(self, x: Form) -> Text:
        if len(x.data) == len(x.axes):
            return self._call_text("flip", self(x.args[0]))
        axes = str(x.data[0]) if len(x.data) == 1 else str(x.data)
        return self._call_text("flip", self(x.args[0]), axes)

    def _pad(self, x: Form) -> Text:
        """Zeros around the last axes."""
        padding, shape = x.data
        assert isinstance(padding, tuple) and isinstance(shape, tuple)
        if self.prefix:
            pairs = [(ZERO, ZERO)] * (len(shape) - len(padding)) + list(padding)
            widths = ", ".join(f"({self.size_of(a)}, {self.size_of(b)})" for a, b in pairs)
            return self._call_text("pad", self(x.args[0]), f"({widths}{',' * (len(pairs) == 1)})")
        if len(padding) == 2 and len({p for pair in padding for p in pair}) == 1:
            return self._call_text("pad2d", self(x.args[0]), self.size_of(padding[0][0]))
        text, dims, front = self(x.args[0]), list(shape), len(shape) - len(padding)
        for n, pair in enumerate(padding, front):
            zeros = [f"zeros({self._shape([*dims[:n], p, *dims[n + 1 :]])})" if p is not ZERO else "" for p in pair]
            dims[n] = place(dims[n] + pair[0] + pair[1])
            parts = ", ".join(p for p in (zeros[0], text, zeros[1]) if p)
            if any(zeros):
                text = self._call_text("concatenate", f"({parts})" + (f", axis={n}" if n else "")).text
        return Text(text)

    def _shape(self, dims: Sequence[Expr]) -> str:
        return f"({', '.join(map(self.size_of, dims))}{',' if len(dims) == 1 else ''})"

    def _full(self, x: Form) -> Text:
        dims = [self.size_of(d) for d in x.data if isinstance(d, Expr)]
        shape = f"({', '.join(dims)}{',' if len(dims) == 1 else ''})"
        if x.args[0].kind == "num" and x.args[0].data[0] is Num(1):
            return self._call_text("ones", shape)
        if x.args[0].kind == "num" and x.args[0].data[0] is Num(0):
            return self._call_text("zeros", shape)
        whole = x.args[0]
        if whole.kind == "times" and whole.args[0].kind == "num" and whole.args[0].data[0] is Num(1):  # ones/n
            return self.piece(replace(whole, args=(replace(x, args=whole.args[:1]), *whole.args[1:]), axes=x.axes))
        inner = x.args[0].data[0] if x.args[0].kind == "num" else None
        if isinstance(inner, Num) and inner.value.numerator == 1 and not inner.decimal:
            return Text(f"{self._np('ones')}({shape})/{inner.value.denominator}", PRODUCT)
        return Text(f"{self.piece(x.args[0]).at(PRODUCT)}*{self._np('ones')}({shape})", PRODUCT)

    # -- arithmetic --

    def _add(self, x: Form) -> Text:
        out, truth = "", True  # so far only booleans, which NumPy does not subtract and adds to one
        for n, (sign, a) in enumerate(zip(x.data, x.args)):
            piece = self.piece(a)
            follower = x.args[n + 1] if n + 1 < len(x.args) else a
            if a.is_truth and truth and (n or sign == -1 or follower.is_truth):
                piece = self.number(a)
            truth = truth and a.is_truth and n == 0 and not follower.is_truth
            if n == 0:
                out = piece.at(PRODUCT) if sign == 1 else "-" + piece.at(PRODUCT)
            else:
                out += (" + " if sign == 1 else " - ") + piece.at(PRODUCT)
        return Text(out, SUM)

    def number(self, x: Form) -> Text:
        """As `piece`, and booleans as numbers: NumPy's functions and products of booleans differ."""
        piece = self.piece(x)
        return Text("1.0*" + piece.at(POWER), PRODUCT) if x.is_truth else piece

    def numbers(self, args: Sequence[Form]) -> list[str]:
        """Texts of operands of which one at least has to be a number, not a boolean."""
        first = self.number(args[0]) if all(a.is_truth for a in args) else self.piece(args[0])
        return [first.text, *map(self, args[1:])]

    def _times(self, x: Form) -> Text:
        divisors = int(str(x.data[0]))
        cut = len(x.args) - divisors
        tops, bottoms = _averages(list(x.args[:cut]), list(x.args[cut:]))
        minus = False
        if tops and tops[0].kind == "num":
            value = tops[0].data[0]
            assert isinstance(value, Num)
            if value.value < 0 and len(tops) + len(bottoms) > 1:
                minus = True
                tops[0] = scalar(Num(-value.value, value.decimal))
        if minus and tops[0].data[0] is Num(1) and len(tops) > 1:
            turned = next(((n, t) for n, x in enumerate(tops) if (t := _turned(x)) is not None), None)
            if turned is not None:  # (p - 1)*x for -(1 - p)*x
                tops[turned[0]], minus = turned[1], False
            if tops[1].is_truth:
                tops[0] = scalar(Num("1.0"))
            else:
                tops.pop(0)
        if len(tops) == 1 and not bottoms and not minus:
            return self.piece(tops[0])
        if [t.data for t in tops] == [(ONE,)] and len(bottoms) == 1 and bottoms[0].kind == "power":
            shown = self.piece(bottoms[0]).text
            base, mark, exponent = shown.rpartition("**")
            if mark and "." in exponent and not exponent.strip(".0123456789"):  # whole numbers may have no −2nd power
                return Text(f"{base}**-{exponent}", POWER)
        out = ""
        for n, a in enumerate(tops):
            piece = self.piece(a)
            if a.kind == "num" and a.data[0] is Num(1) and len(tops) > 1:
                piece = Text("1.0")
            tight = POWER if n or (a.is_truth) else PRODUCT
            if n == 0 and a.kind in ("times", "matmul", "full"):
                tight = PRODUCT
            spaced = n > 0 and "matmul" in (a.kind, tops[n - 1].kind)
            if a.kind == "matmul" and n > 0 and not any(t.axes for t in tops[:n]):
                spaced, tight = False, PRODUCT  # 2*A @ B is (2*A) @ B, which is 2*(A @ B)
            out += (" * " if spaced else "*") * (n > 0) + piece.at(tight)
        bottoms.sort(key=lambda b: (b.kind != "num", b.kind not in ("size", "const")))  # 1/(2*n*a)
        below = "*".join(self.piece(b).at(POWER) for b in bottoms)
        out += f"/({below})" if len(bottoms) > 1 else "/" + below if bottoms else ""
        return Text(("-" + out) if minus else out, MINUS if minus else PRODUCT)

    def _matmul(self, x: Form) -> Text:
        first = self.number(x.args[0])
        parts = [first.at(PRODUCT)]
        parts += [self.piece(a).at(POWER) for a in x.args[1:]]
        if x.args[0].kind in ("times", "full") and not x.args[0].is_truth and not _scalar_times(x.args[0]):
            parts[0] = f"({first.text})"
        return Text(" @ ".join(parts), PRODUCT)

    def _length(self, base: Form, exponent: Form) -> Text | None:
        """(Σ x²)^(n/2) as norm(x)**n in the network language, where the network has no `norm`."""
        value = exponent.data[0] if exponent.kind == "num" else None
        if self.prefix or "norm" in self.graph.nodes or "norm" in self.graph.functions or base.kind != "sum":
            return None
        (inner,) = base.args
        squared = inner.kind == "power" and inner.args[1].kind == "num" and inner.args[1].data[0] is Num(2)
        if (
            not isinstance(value, Num)
            or value.value.denominator != 2
            or not squared
            or inner.axes != inner.args[0].axes
        ):
            return None
        power = int(2 * value.value)
        shown = self._call_text("norm", self.number(inner.args[0]).text + self._axes(base)).text
        return Text(shown) if power == 1 else Text(f"{shown}**{power}", POWER)

    def _power(self, x: Form) -> Text:
        base, exponent = x.args
        length = self._length(base, exponent)
        if length is not None:
            return length
        if exponent.kind == "num" and exponent.data[0] is HALF:
            squared = _squared(base)
            if squared is not None:
                return Text(f"{self._norm_name()}({self.number(squared).text}{self._axes(base)})")
            return self._call_text("sqrt", self.number(base).text)
        if exponent.kind == "num":
            value = exponent.data[0]
            assert isinstance(value, Num)
            exact = value.value.denominator in (2, 4, 8)  # x**1.5
            shown = number(value.value, value.decimal or exact)
            shown = f"({shown})" if "/" in shown or "-" in shown else shown
        else:
            shown = self.piece(exponent).at(ATOM)
        return Text(f"{self.number(base).at(ATOM)}**{shown}", POWER)

    # -- contractions --

    def _dot(self, x: Form) -> Text:
        return self._call_text("dot", *self.numbers(x.args))

    def _outer(self, x: Form) -> Text:
        return self._call_text("outer", *self.numbers(x.args))

    def _einsum(self, x: Form) -> Text:
        return self._call_text("einsum", f"'{x.data[0]}'", *self.numbers(x.args))

    def _axes(self, x: Form) -> str:
        positions, keep = x.data
        assert isinstance(positions, tuple)
        if len(positions) == len(x.args[0].axes):
            return ", keepdims=True" if keep else ""
        axis = str(positions[0]) if len(positions) == 1 else str(positions)
        return f", axis={axis}" + (", keepdims=True" if keep else "")

    def _norm_name(self) -> str:
        return "np.linalg.norm" if self.prefix else "norm"

    def _mean(self, x: Form) -> Text:
        return self._call_text("mean", self(x.args[0]) + self._axes(x))

    def _sum(self, x: Form) -> Text:
        squared = _squared(x)
        if squared is not None and not x.axes and not x.data[1] and not self.prefix:
            return Text(f"norm2sq({self.number(squared).text})")
        return self._call_text("sum", self(x.args[0]) + self._axes(x))

    def _over(self, x: Form) -> Text:
        var, low, high = x.data
        assert isinstance(low, Expr) and isinstance(high, Expr)
        turns = f"range({self.size_of(low)}, {self.size_of(place(high + 1))})"
        return Text(f"sum({self.number(x.args[0]).text} for {self.size_of(Size(str(var)))} in {turns})")

    def _max(self, x: Form) -> Text:
        return self._call_text("max", self.number(x.args[0]).text + self._axes(x))

    def _min(self, x: Form) -> Text:
        return self._call_text("min", self.number(x.args[0]).text + self._axes(x))

    def _logsumexp(self, x: Form) -> Text:
        return Text(f"logsumexp({self.number(x.args[0]).text}{self._axes(x)})")

    def _row(self, x: Form) -> Text:
        op, axis = x.data
        more = f", axis={axis}" if len(x.args[0].axes) > 1 else ""
        return Text(f"{op}({self.number(x.args[0]).text}{more})")

    def _inv(self, x: Form) -> Text:
        return Text(f"{'np.linalg.' if self.prefix else ''}inv({self.number(x.args[0]).text})")

    def _det(self, x: Form) -> Text:
        return Text(f"{'np.linalg.' if self.prefix else ''}det({self.number(x.args[0]).text})")

    def _logdet(self, x: Form) -> Text:
        if self.prefix:
            return Text(f"np.linalg.slogdet({self.number(x.args[0]).text})[1]")
        return Text(f"logdet({self.number(x.args[0]).text})")

    def _diag(self, x: Form) -> Text:
        return self._call_text("diag", self(x.args[0]))

    def _trace(self, x: Form) -> Text:
        return self._call_text("trace", self(x.args[0]))

    def _causal(self, x: Form) -> Text:
        dim = x.data[0]
        assert isinstance(dim, Expr)
        size = self.size_of(dim)
        return Text(f"np.tril(np.ones(({size}, {size}), dtype=bool))" if self.prefix else f"causal_mask({size})")

    def _eye(self, x: Form) -> Text:
        dim = x.data[0]
        assert isinstance(dim, Expr)
        return self._call_text("eye", self.size_of(dim))

    # -- functions --

    def _call(self, x: Form) -> Text:
        op = self.graph.table[str(x.data[0])]
        if op.name.startswith(UNKNOWN):
            raise NotReducible(f"{op.name[1:].rstrip(chr(39))} is unknown")
        inner = x.args[0]
        if op.name == "minimum" and inner.kind == "call" and inner.data[0] == "maximum":
            bounds = [*inner.args[1:], *x.args[1:]]
            if not any(b.axes for b in bounds):
                return self._call_text("clip", *(self.number(a).text for a in (inner.args[0], *bounds)))
        args = [self.number(a).text for a in x.args]
        defaults = op.defaults
        while defaults and len(args) > 1 and x.args[len(args) - 1].data[:1] == (defaults[-1],):
            args.pop()
            defaults = defaults[:-1]
        if self.prefix and op.call:
            return Text(fill(op.call, *args))
        if len(args) == len(x.args):
            return Text(fill(op.numpy, *args))
        return Text(f"{op.name}({', '.join(args)})")

    def _unknown(self, x: Form) -> Text:
        raise NotReducible(f"{x.data[0]} is unknown")

    def _compare(self, x: Form) -> Text:
        if not self.prefix and x.data[0] == "==":
            index, at = sorted(x.args, key=lambda a: a.kind != "index")
            if index.kind == "index" and not at.axes:  # 1 at one place: a row of the unit matrix
                size = index.data[0]
                assert isinstance(size, Expr)
                return Text(f"{self._np('eye')}({self.size_of(size)})[{self._place(at, size)}]")
        stretch = "" if self.prefix else self._stretch(x)
        if stretch:
            return Text(stretch)
        left, right = (self.piece(a).at(SUM) for a in x.args)
        op, axes = self._extreme(x)
        if op:  # computed twice in two ways, the largest entry might miss itself by a rounding
            largest = Form("sum", (x.args[0],), (), (axes, True))
            right = f"{self._np(op)}({self(x.args[0])}{self._axes(largest)})"
        return Text(f"{left} {x.data[0]} {right}", COMPARISON)

    def _place(self, at: Form, dim: Expr) -> str:
        """A place on an axis, counted from the end where it is near."""
        known = _size(at)
        back = place(dim - known) if known is not None else None
        return f"-{back.value}" if isinstance(back, Num) and not isinstance(known, Num) else self(at)

    def _stretch(self, x: Form) -> str:
        """`i < c` for an index i: ones and then zeros."""
        index, at = x.args if x.args[0].kind == "index" else x.args[::-1]
        size, end, op = index.data[0] if index.data else None, _size(at), str(x.data[0])
        op = op if index is x.args[0] else MIRRORED.get(op, op)
        if index.kind != "index" or not isinstance(size, Expr) or end is None or op not in ("<", "<=", ">", ">="):
            return ""
        end = place(end + 1) if op in ("<=", ">") else end
        rest = place(size - end)
        parts = (("ones", end), ("zeros", rest)) if op[0] == "<" else (("zeros", end), ("ones", rest))
        return self._call_text("concatenate", f"({', '.join(f'{what}({self._shape([n])})' for what, n in parts)})").text

    def _extreme(self, x: Form) -> tuple[str, tuple[int, ...]]:
        """Does `x == m` ask where a formula x takes the maximum m that a node holds? Then which
        reduction m is, and over which axes of x."""
        left, right = x.args
        named = _under(right)
        node = self.graph.nodes.get(str(named.data[0])) if named.kind == "name" else None
        if node is None or not isinstance(node.body, Reduce) or x.data[0] != "==":
            return "", ()
        given = _under(left)
        if node.body.op not in ("max", "min") or (given.kind == "name" and str(given.data[0]) in self.graph.nodes):
            return "", ()
        axes = tuple(n for n, a in enumerate(left.axes) if a is not None and a not in right.letters)
        return (node.body.op, axes) if len(axes) == len(node.body.bound) else ("", ())  # fewer: a diagonal

    def _where(self, x: Form) -> Text:
        return self._call_text("where", self(x.args[0]), *self.numbers(x.args[1:]))


def _size(x: Form) -> Expr | None:
    """A form that is a size or a number, as an expression."""
    if x.kind in ("num", "size"):
        data = x.data[0]
        return data if isinstance(data, Expr) else Size(str(data))
    if x.kind == "add":
        parts = [_size(a) for a in x.args]
        if all(p is not None for p in parts):
            return place(add(*(mul(Num(int(str(s))), p) for s, p in zip(x.data, parts) if p is not None)))
    return None


def _under(x: Form) -> Form:
    """A form without its transposes and subscripts."""
    while x.kind in ("transpose", "permute", "subscript") and x.args:
        x = x.args[0]
    return x


def _squared(x: Form) -> Form | None:
    """The array whose squares are summed."""
    if x.kind != "sum" or x.args[0].kind != "power":
        return None
    base, exponent = x.args[0].args
    is_two = exponent.kind == "num" and exponent.data[0] is Num(2)
    return base if is_two and base.axes == x.args[0].axes and not base.is_truth else None


def _turned(x: Form) -> Form | None:
    """The negative of a difference of two, or of a product with one, as short as it is."""
    if x.kind == "add" and x.data == (1, -1):
        return replace(x, args=x.args[::-1])
    if x.kind in ("outer", "dot", "matmul"):
        for n, a in enumerate(x.args):
            turned = _turned(a)
            if turned is not None:
                return replace(x, args=(*x.args[:n], turned, *x.args[n + 1 :]))
    if x.kind in ("transpose", "subscript", "sum", "mean"):
        turned = _turned(x.args[0])
        return None if turned is None else replace(x, args=(turned,))
    return None


def _averages(tops: list[Form], bottoms: list[Form]) -> tuple[list[Form], list[Form]]:
    """sum(x)/N is mean(x), where N entries are summed: the sizes below that a sum above takes up."""
    for n, t in enumerate(tops):
        sizes = [b for b in bottoms if b.kind in ("size", "num")]
        done = _averaged(t, {str(b.data[0]): b for b in sizes})
        if done is not None:
            tops = [*tops[:n], done[0], *tops[n + 1 :]]
            bottoms = [b for b in bottoms if not any(b is u for u in done[1])]
    return tops, bottoms


def _averaged(x: Form, sizes: dict[str, Form]) -> tuple[Form, list[Form]] | None:
    """A sum as a mean, with the sizes that this uses up."""
    if x.kind in ("transpose", "subscript", "permute"):
        inner = _averaged(x.args[0], sizes)
        return None if inner is None else (replace(x, args=(inner[0], *x.args[1:])), inner[1])
    if x.kind != "sum":
        return None
    positions, axes = x.data[0], x.args[0].axes
    assert isinstance(positions, tuple)
    letters = [a for n, a in enumerate(axes) if n in positions and a is not None]
    names = [size_text(a.dim) for a in letters]
    if not names or len(set(names)) < len(names) or any(n not in sizes for n in names):
        return None
    if all(a is None for a in axes) or _squared(x) is not None:
        return None
    return replace(x, kind="mean"), [sizes[n] for n in names]


def _scalar_times(x: Form) -> bool:
    """A product in which all factors but one are scalars may stand before an `@` without
    parentheses: (2·X) @ Y = 2·(X @ Y)."""
    return sum(bool(a.axes) for a in x.args) <= 1 and not (x.data[0] and x.args[-1].axes)


def _renamed(e: Expr, size: Callable[[str], str]) -> Expr:
    if isinstance(e, Size):
        return Size(size(e.name))
    if not e.args:
        return e
    from symbp.expr import rebuild

    return rebuild(e, [_renamed(a, size) for a in e.args])


def backward_lines(derivation: Derivation, form: str = "delta") -> Iterator[str]:
    """The backward program, a line per tensor: `dW1 = X.T @ dH1`."""
    graph = derivation.graph
    for a in derivation.adjoints.values():
        if (a.node.is_leaf and a.node.name not in derivation.wrt) or a.node.name == graph.upstream:
            continue
        e = a.closed if form == "closed" and a.closed is not None else a.delta
        try:
            yield f"{graph.adjoint_name(a.node.name)} = {numpy_text(graph, e, a.node.axes, number=True)}"
        except NotReducible as why:
            yield f"# {graph.adjoint_name(a.node.name)} has no expression in the network language: {why}"


def numpy_text(graph: Graph, e: Expr, axes: Sequence[Expr], number: bool = False) -> str:
    """The expression in the network language: `X.T @ dH1`; with `number`, a mask as numbers, so that lines
    that follow can compute with it (NumPy has no minus for booleans)."""
    target = tuple(a if isinstance(a, Index) else None for a in axes)
    printer, form = NumpyPrinter(graph), WindowEmitter(graph).exactly(e, target)
    return printer.number(form).text if number else printer(form)
