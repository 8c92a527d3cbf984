"""Random networks as text: a Hypothesis strategy over the operations of the network language.

A network is drawn line by line. Every row of `OPERATIONS` asks for operands of the shape it needs
and answers with one formula; an operand is a tensor that is already there (so tensors fork and
weights are tied), a new leaf, or another formula in brackets. Shapes are kept as the sizes are
written, so that what is drawn is a network that a reader must accept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from symbp.ops import ROWS

Shape = tuple[str, ...]

SIZES = {"N": 2, "D": 3, "H": 4}
NUMBERS = ("3", "5")  # sizes that are written as numbers; 10 and more stand for names
PLAIN = (*SIZES, *NUMBERS)
DOMAINS = {"log": "{0}**2 + 0.5", "exp": "tanh({0})", "sinh": "tanh({0})", "cosh": "tanh({0})", "tan": "tanh({0})/2"}
DEEPEST = 2


@dataclass(frozen=True)
class Network:
    """What was drawn: the text, and what a test needs to know of it."""

    text: str
    leaves: dict[str, tuple[int, ...]]
    lines: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> Network:
        leaves: dict[str, tuple[int, ...]] = {}
        lines: list[tuple[str, str]] = []
        for line in text.strip().splitlines():
            if " = " in line:
                name, _, formula = line.partition(" = ")
                lines.append((name, formula))
            else:
                name, _, shape = line.partition(": ")
                leaves[name] = eval(shape, {"__builtins__": {}}, dict(SIZES))
        return cls(text, leaves, tuple(lines))

    def __repr__(self) -> str:
        return f"Network(\n{self.text})"


@dataclass
class Part:
    """A formula and its shape."""

    text: str
    shape: Shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def bracketed(self) -> str:
        return self.text if self.text.isidentifier() else f"({self.text})"


@dataclass
class Draft:
    """The state of one drawing."""

    draw: Callable[[st.SearchStrategy], object]
    leaves: dict[str, Shape] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    tensors: list[Part] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    depth: int = 0

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == one_in

    def size(self) -> str:
        """A size that a leaf declares, as a number."""
        return self.pick("3", *dict.fromkeys(d for shape in self.leaves.values() for d in shape if d in SIZES))

    def number(self) -> str:
        return self.pick("2", "0.5", "3", "-1", "1.5", "1/3")

    def new_shape(self, ndim: int | None = None) -> Shape:
        n = self.pick(1, 2, 2, 2, 3, 0) if ndim is None else ndim
        return tuple(self.pick(*PLAIN, *SIZES) for _ in range(n))

    def leaf(self, shape: Shape) -> Part:
        name = f"{'xwvuabcpq'[len(shape)] if len(shape) < 2 else 'ABCXWUVPQ'[len(self.leaves) % 9]}{len(self.leaves)}"
        self.leaves[name] = shape
        part = Part(name, shape)
        self.tensors.append(part)
        return part

    def operand(self, fits: Callable[[Shape], bool], otherwise: Callable[[], Shape]) -> Part:
        """Something of a shape that fits: mostly a tensor that is there, else a new leaf."""
        if self.depth < DEEPEST and self.chance(5):
            part = formula(self)
            if fits(part.shape):
                return Part(part.bracketed, part.shape)
        found = [t for t in self.tensors if fits(t.shape)]
        if found and not self.chance(4):
            recent = found[-3:] if self.chance(2) else found
            part = self.pick(*recent)
        else:
            part = self.leaf(otherwise())
        self.used.add(part.text)
        if part.ndim == 2 and part.shape[0] == part.shape[1] and self.chance(4):
            return Part(f"{part.text}.T", part.shape)
        return part

    def any(self, least: int = 0, most: int = 3) -> Part:
        def shape() -> Shape:
            return self.new_shape(self.draw(st.integers(least, min(most, 2))))

        return self.operand(lambda s: least <= len(s) <= most, shape)

    def exactly(self, shape: Shape) -> Part:
        """An operand of this shape, perhaps the transpose of one that is there."""
        if len(shape) == 2 and shape[0] != shape[1] and self.chance(3):
            turned = self.operand(lambda s: s == shape[::-1], lambda: shape[::-1])
            return Part(f"{turned.text}.T", shape)
        return self.operand(lambda s: s == shape, lambda: shape)

    def matrix(self) -> Part:
        part = self.any(2, 2)
        if self.chance(3) and part.text.isidentifier():
            return Part(f"{part.text}.T", part.shape[::-1])
        return part

    def square(self) -> Part:
        n = self.pick(*SIZES)
        return self.operand(lambda s: len(s) == 2 and s[0] == s[1], lambda: (n, n))

    def partner(self, x: Part) -> Part:
        """An operand that broadcasts with x without changing its shape, or is a scalar."""
        if self.chance(5):
            return Part(self.number().join("()") if self.chance(2) else self.pick(self.size(), "0.7"), ())
        if self.chance(4):
            return x
        n = self.draw(st.integers(0, x.ndim))
        shape = tuple("1" if self.chance(6) else d for d in x.shape[x.ndim - n :])
        return self.exactly(shape)


OPERATIONS: list[Callable[[Draft], Part]] = []


def operation(weight: int = 1) -> Callable[[Callable[[Draft], Part]], Callable[[Draft], Part]]:
    def add(build: Callable[[Draft], Part]) -> Callable[[Draft], Part]:
        OPERATIONS.extend([build] * weight)
        return build

    return add


def filled(pattern: str, *parts: str) -> str:
    """`{0}` and `{1}` of a pattern replaced."""
    for n, part in enumerate(parts):
        pattern = pattern.replace(f"{{{n}}}", part)
    return pattern


def formula(net: Draft) -> Part:
    net.depth += 1
    try:
        return net.pick(*OPERATIONS)(net)
    finally:
        net.depth -= 1


# ---- entry by entry


@operation(4)
def function(net: Draft) -> Part:
    name = net.pick(*(row.name for row in ROWS if row.arity == 1))
    x = net.any()
    inner = filled(DOMAINS.get(name, "{0}"), x.text)
    return Part(f"{name}({inner})", x.shape)


@operation()
def sloped(net: Draft) -> Part:
    x = net.any()
    name = net.pick("leaky_relu", "elu")
    return Part(f"{name}({x.text}{net.pick('', ', 0.2', ', alpha=0.3')})", x.shape)


@operation()
def square_root(net: Draft) -> Part:
    x = net.any()
    pattern = net.pick("sqrt({0}**2 + 1)", "({0}**2 + 0.5)**(-0.5)", "sqrt({1})*{0}")
    return Part(filled(pattern, x.bracketed, net.size()), x.shape)


@operation(4)
def arithmetic(net: Draft) -> Part:
    x = net.any()
    y = net.partner(x)
    pattern = net.pick(
        "{0} + {1}", "{0} - {1}", "{1} - {0}", "{0}*{1}", "{1}*{0}", "{0}/({1}**2 + 1)", "{1}/({0}**2 + 0.5)",
        "-{0}*{1}", "2*{0} - {1}/3",
    )  # fmt: skip
    return Part(filled(pattern, x.bracketed, y.bracketed), x.shape)


@operation(2)
def power(net: Draft) -> Part:
    x = net.any()
    y = net.partner(x)
    pattern = net.pick(
        "{0}**2", "{0}**3", "({0}**2 + 1)**{1}", "(abs({0}) + 0.5)**1.5", "2**tanh({0})", "1/(1 + {0}**2)",
        "0.5*{0}**2", "({0}**2 + 1)**(-2)",
    )  # fmt: skip
    return Part(filled(pattern, x.bracketed, y.bracketed), x.shape)


@operation()
def twice(net: Draft) -> Part:
    x = net.any()
    pattern = net.pick("{0}*{0}", "{0}*tanh({0})", "{0} + {0}", "sigmoid({0})*{0}")
    return Part(filled(pattern, x.bracketed), x.shape)


@operation()
def compared(net: Draft) -> Part:
    x = net.any()
    y = net.partner(x)
    pattern = net.pick(
        "({0} > {1})*{0}", "where({0} >= {1}, {0}, {1}**2)", "where({0} < 0.1, 0, tanh({0}))", "maximum({0}, {1})",
        "minimum({0}, {1})", "maximum(0, {0})", "clip({0}, -0.5, 0.7)", "where({1} <= 0.2, {0}, 2*{0}*{0})",
        "maximum(1 - {0}, 0)", "clip({0}, 0, {1}**2)", "{0}*({1} != 0)",
    )  # fmt: skip
    return Part(filled(pattern, x.bracketed, y.bracketed), x.shape)


@operation()
def entropy(net: Draft) -> Part:
    x = net.any()
    y = net.partner(x)
    return Part(f"xlogy({y.text}, {x.bracketed}**2 + 0.5)", x.shape)


# ---- over axes


def reduced(net: Draft, x: Part, call: str) -> Part:
    """A call over no axis, one or two, with keepdims or without."""
    if x.ndim == 0 or net.chance(3):
        return Part(f"{call}({x.text})", ())
    axes = (net.draw(st.integers(0, x.ndim - 1)),)
    if x.ndim == 3 and net.chance(3):
        axes = (0, 2) if net.chance(2) else (1, 2)
    keep = net.chance(2)
    shape = tuple("1" if n in axes else d for n, d in enumerate(x.shape) if keep or n not in axes)
    axis = str(axes) if len(axes) > 1 else str(axes[0] - x.ndim if net.chance(3) else axes[0])
    return Part(f"{call}({x.text}, axis={axis}{', keepdims=True' if keep else ''})", shape)


@operation(3)
def reduction(net: Draft) -> Part:
    x = net.any(1)
    call = net.pick("sum", "mean", "var", "max", "min", "logsumexp", "norm")
    if call == "logsumexp":
        x = Part(f"2*tanh({x.text})", x.shape)
    return reduced(net, x, call)


@operation()
def squared_norm(net: Draft) -> Part:
    return Part(f"norm2sq({net.any(1).text})", ())


@operation(2)
def row_function(net: Draft) -> Part:
    x = net.any(1)
    axis = net.draw(st.integers(-x.ndim, x.ndim - 1))
    more = "" if axis == -1 and net.chance(2) else f", axis={axis}"
    return Part(f"{net.pick('softmax', 'log_softmax')}({x.text}{more})", x.shape)


@operation()
def normalised(net: Draft) -> Part:
    x = net.any(1)
    axis = net.draw(st.integers(0, x.ndim - 1))
    pattern = net.pick(
        "({0} - mean({0}, axis={1}, keepdims=True))/sqrt(var({0}, axis={1}, keepdims=True) + 0.1)",
        "{0}/sum({0}**2 + 0.3, axis={1}, keepdims=True)",
        "{0}/(norm({0}, axis={1}, keepdims=True) + 0.2)",
        "{0} - max({0}, axis={1}, keepdims=True)",
        "exp(tanh({0}))/sum(exp(tanh({0})), axis={1}, keepdims=True)",
    )
    return Part(filled(pattern, x.bracketed, str(axis)), x.shape)


# ---- products


@operation(6)
def product(net: Draft) -> Part:
    kind = net.pick("matrices", "matrices", "layer", "right", "left", "dot", "gram", "stack")
    if kind == "layer":
        x = net.matrix()
        w = net.exactly((x.shape[1], net.pick(*PLAIN)))
        b = net.exactly(w.shape[1:])
        return Part(f"{x.text} @ {w.text} + {b.text}", (x.shape[0], w.shape[1]))
    if kind == "dot":
        v = net.any(1, 1)
        w = net.exactly(v.shape)
        return Part(net.pick(f"dot({v.text}, {w.text})", f"{v.bracketed} @ {w.bracketed}"), ())
    if kind == "gram":
        x = net.any(2, 2)
        a = x.bracketed
        n = net.pick(0, 1)
        return Part(f"{a} @ {a}.T" if n == 0 else f"{a}.T @ {a}", (x.shape[n],) * 2)
    if kind == "stack":
        x = net.operand(lambda s: len(s) == 3, lambda: net.new_shape(3))
        w = net.exactly((x.shape[2], net.pick(*PLAIN)))
        return Part(f"{x.bracketed} @ {w.bracketed}", (*x.shape[:2], w.shape[1]))
    x = net.matrix()
    if kind == "right":
        v = net.exactly(x.shape[1:])
        return Part(f"{x.bracketed} @ {v.bracketed}", x.shape[:1])
    if kind == "left":
        v = net.exactly(x.shape[:1])
        return Part(f"{v.bracketed} @ {x.bracketed}", x.shape[1:])
    y = net.exactly((x.shape[1], net.pick(*PLAIN)))
    return Part(f"{x.bracketed} @ {y.bracketed}", (x.shape[0], y.shape[1]))


@operation()
def outer(net: Draft) -> Part:
    a, b = net.any(1, 1), net.any(1, 1)
    return Part(f"outer({a.text}, {b.text})", (*a.shape, *b.shape))


EINSUMS = (
    "ij,jk->ik", "ij,ij->i", "ij->ji", "ij,j->i", "i,j->ij", "ij,kj->ik", "ij,ij->", "bij,bjk->bik", "i,ij,j->",
    "ij,jk,kl->il", "ij,ik->ijk", "ijk,k->ij", "ijk->ki", "bij,ij->b", "ij,i->ij", "ij,ij,ij->j",
)  # fmt: skip


@operation(2)
def contraction(net: Draft) -> Part:
    letters = net.pick(*EINSUMS)
    inputs, output = letters.split("->")
    known: dict[str, str] = {}
    parts: list[Part] = []
    for term in inputs.split(","):

        def fits(shape: Shape, term: str = term) -> bool:
            if len(shape) != len(term) or "1" in shape:
                return False
            return all(known.get(c, d) == d for c, d in zip(term, shape, strict=True))

        def shape(term: str = term) -> Shape:
            return tuple(known.get(c) or net.pick(*PLAIN) for c in term)

        part = net.operand(fits, shape)
        known.update(zip(term, part.shape, strict=True))
        parts.append(part)
    return Part(f"einsum('{letters}', {', '.join(p.text for p in parts)})", tuple(known[c] for c in output))


# ---- square matrices


@operation()
def of_square(net: Draft) -> Part:
    x = net.square()
    n = x.shape[0]
    call = net.pick("trace", "diag", "diag")
    return Part(f"{call}({x.text})", () if call == "trace" else (n,))


@operation()
def diagonal(net: Draft) -> Part:
    v = net.any(1, 1)
    return Part(f"diag({v.text})", v.shape * 2)


@operation()
def inverse(net: Draft) -> Part:
    n = net.pick("N", "D")
    a = net.operand(lambda s: len(s) == 2 and s[0] in ("N", "D", "H", "3") and s[1] in PLAIN, lambda: (n, n))
    n = a.shape[0]
    well = f"{a.bracketed} @ {a.bracketed}.T + 2*eye({n})"
    if net.chance(3) and a.shape == (n, n):
        well = f"tanh({a.text})/5 + eye({n})"
    call = net.pick("inv", "inv", "det", "logdet")
    return Part(f"{call}({well})", (n, n) if call == "inv" else ())


# ---- shapes


@operation()
def transposed(net: Draft) -> Part:
    x = net.any(2)
    if x.ndim == 2:
        return Part(net.pick(f"{x.bracketed}.T", f"transpose({x.text})"), x.shape[::-1])
    axes = net.pick((0, 2, 1), (1, 0, 2), (2, 0, 1))
    return Part(f"transpose({x.text}, {axes})", tuple(x.shape[a] for a in axes))


@operation(2)
def reshaped(net: Draft) -> Part:
    x = net.any(1)
    if any(not d.isidentifier() and not d.isdigit() for d in x.shape):
        return x
    if x.ndim == 1:
        n = x.shape[0]
        shape = net.pick((n, "1"), ("1", n))
    elif x.ndim == 2:
        shape = net.pick((merged(*x.shape),), (x.shape[0], "1", x.shape[1]))
    else:
        a, b, c = x.shape
        shape = net.pick((merged(a, b), c), (a, merged(b, c)), (merged(a, b, c),))
    newshape = "-1" if len(shape) == 1 and net.chance(2) else f"({', '.join(shape)}{',' * (len(shape) == 1)})"
    return Part(f"reshape({x.text}, {newshape})", shape)


def merged(*dims: str) -> str:
    dims = tuple(d for d in dims if d != "1")
    if not dims:
        return "1"
    if all(d.isdigit() for d in dims):
        return str(math.prod(map(int, dims)))
    return "*".join(sorted(dims))


@operation()
def new_axis(net: Draft) -> Part:
    x = net.any(1, 2)
    if x.ndim == 1:
        column, row = Part(f"{x.bracketed}[:, None]", (*x.shape, "1")), Part(f"{x.bracketed}[None, :]", ("1", *x.shape))
        return net.pick(column, row)
    return Part(f"{x.bracketed}[:, None, :]", (x.shape[0], "1", x.shape[1]))


@operation(2)
def joined(net: Draft) -> Part:
    x = net.any(1)
    if net.chance(2):
        y = net.exactly(x.shape)
        axis = net.draw(st.integers(0, min(x.ndim, 2)))
        if x.ndim < 3:
            return Part(f"stack(({x.text}, {y.text}), axis={axis})", (*x.shape[:axis], "2", *x.shape[axis:]))
    axis = net.draw(st.integers(0, x.ndim - 1))
    if x.shape[axis] not in PLAIN:
        return x
    other = net.pick(*PLAIN)
    y = net.exactly((*x.shape[:axis], other, *x.shape[axis + 1 :]))
    both = added(x.shape[axis], other)
    call = net.pick("concatenate", "concatenate", "concat")
    return Part(f"{call}(({x.text}, {y.text}), axis={axis})", (*x.shape[:axis], both, *x.shape[axis + 1 :]))


def added(a: str, b: str) -> str:
    if a.isdigit() and b.isdigit():
        return str(int(a) + int(b))
    return f"2*{a}" if a == b else " + ".join(sorted((a, b)))


@operation(3)
def sliced(net: Draft) -> Part:
    x = net.any(1)
    axis = net.draw(st.integers(0, x.ndim - 1))
    d = x.shape[axis]
    if d not in PLAIN:
        return x
    rest = f"{d} - 1" if not d.isdigit() else str(int(d) - 1)
    item, new = net.pick(("0", None), ("-1", None), ("1", None), ("1:", rest), (":-1", rest), (":2", "2"), ("0:1", "1"))
    places = ", ".join([":"] * axis + [item] + [":"] * net.pick(0, x.ndim - axis - 1))
    shape = (*x.shape[:axis], *((new,) if new else ()), *x.shape[axis + 1 :])
    return Part(f"{x.bracketed}[{places}]", shape)


@operation()
def flipped(net: Draft) -> Part:
    x = net.any(1)
    return Part(f"flip({x.text}, axis={net.draw(st.integers(0, x.ndim - 1))})", x.shape)


@operation(2)
def split(net: Draft) -> Part:
    """One axis read as two, or two as one and that as two others."""
    if net.chance(2):
        x = net.exactly((net.pick("2*N", "3*D", "D*H"), *((net.pick(*PLAIN),) if net.chance(2) else ())))
        first, _, second = x.shape[0].partition("*")
        return Part(f"reshape({x.text}, ({', '.join((first, second, *x.shape[1:]))}))", (first, second, *x.shape[1:]))
    x = net.exactly((net.pick("N", "D"), "2*H"))
    return Part(f"reshape({x.text}, (2*{x.shape[0]}, H))", (f"2*{x.shape[0]}", "H"))


@operation()
def constants(net: Draft) -> Part:
    if net.chance(2):
        a = net.square()
        return Part(f"{a.bracketed} + 0.5*eye({a.shape[0]})", a.shape)
    x = net.any()
    if net.chance(2) and x.ndim:
        shape = f"({', '.join(x.shape)}{',' * (x.ndim == 1)})"
        return Part(f"{x.bracketed}*{net.pick('ones', 'ones', 'zeros')}({shape}) + {x.bracketed}", x.shape)
    return Part(f"{x.bracketed} - {net.pick('ones_like', 'zeros_like')}({x.text})*0.5", x.shape)


@operation()
def masked_attention(net: Draft) -> Part:
    a = net.square()
    pattern = net.pick("softmax(where(causal_mask({1}), {0}, -inf), axis=1)", "causal_mask({1})*{0}")
    return Part(filled(pattern, a.bracketed, a.shape[0]), a.shape)


# ---- windows


LONG = ("D", "H", "3", "5")  # axes into which a window of 2 fits


def longer(d: str, by: int) -> str:
    """The size d + by."""
    return str(int(d) + by) if d.isdigit() else f"{d} {'+' if by > 0 else '-'} {abs(by)}" if by else d


def times(k: int, d: str) -> str:
    return str(k * int(d)) if d.isdigit() else f"{k}*{d}"


@operation(3)
def convolved(net: Draft) -> Part:
    nd = net.pick(1, 1, 2)
    channels = (net.pick("2", "N", "1"),) if net.chance(2) else ()
    strided = net.chance(4)
    places = tuple("5" if strided else net.pick(*LONG) for _ in range(nd))
    x = net.exactly((*channels, *places))
    own = (net.pick("3", "D"),) if channels else ()
    k = "3" if strided else "2"
    w = net.exactly((*own, *channels, *(k for _ in places)))
    if strided:
        more, new = net.pick((", stride=2", "2"), (", stride=2, padding=1", "3"))
        return Part(f"conv{nd}d({x.text}, {w.text}{more})", (*own, *(new for _ in places)))
    padding = net.pick(0, 0, 1)
    more = f", padding={padding}" * (padding > 0)
    return Part(f"conv{nd}d({x.text}, {w.text}{more})", (*own, *(longer(d, 2 * padding - 1) for d in places)))


@operation(2)
def pooled(net: Draft) -> Part:
    x = net.exactly((*((net.pick("D", "3"),) if net.chance(2) else ()), net.pick("2*N", "2*D"), net.pick("4", "2*N")))
    shape = (*x.shape[:-2], *(d.removeprefix("2*") if "*" in d else "2" for d in x.shape[-2:]))
    return Part(f"{net.pick('maxpool2d', 'avgpool2d')}({x.text}, 2)", shape)


@operation(2)
def spread(net: Draft) -> Part:
    """Padded, dilated, upsampled, or looked at through windows."""
    call = net.pick("upsample2d", "pad2d", "dilate1d", "dilate2d", "windows1d", "windows2d")
    nd = 1 if "1" in call else 2
    d, e = net.pick(*LONG), net.pick(*LONG)
    x = net.exactly((d,) if nd == 1 else (d, e))
    match call:
        case "upsample2d":
            return Part(f"{call}({x.text}, 2)", (times(2, d), times(2, e)))
        case "pad2d":
            return Part(f"{call}({x.text}, 1)", (longer(d, 2), longer(e, 2)))
        case "dilate1d" | "dilate2d":
            return Part(f"{call}({x.text}, 2)", tuple(longer(times(2, n), -1) for n in x.shape))
        case _:
            taps = ", ".join("2" for _ in x.shape)
            return Part(f"{call}({x.text}, {taps})", (*(longer(n, -1) for n in x.shape), *("2" for _ in x.shape)))


# ---- networks


def scalar_of(net: Draft, x: Part) -> str:
    if x.ndim == 0:
        return x.text
    pattern = net.pick("sum({0})", "mean({0})", "norm2sq({0})", "0.5*sum({0}**2)", "sum(tanh({0}))", "mean({0}**2)")
    return filled(pattern, x.bracketed)


@st.composite
def networks(draw: Callable[[st.SearchStrategy], object], most: int = 8) -> Network:
    """A network of up to `most` nodes that ends in a scalar."""
    net = Draft(draw)
    for n in range(draw(st.integers(1, most - 1))):
        part = formula(net)
        name = f"h{n}"
        net.lines.append((name, part.text))
        net.tensors.append(Part(name, part.shape))
    inner = [t for t in net.tensors if t.text not in net.leaves]
    ends = [t for t in inner if t.text not in net.used][-3:] or inner[-1:]
    net.lines.append(("L", " + ".join(scalar_of(net, t) for t in ends)))
    if net.chance(12):
        net.leaf(net.new_shape())
    declared = [f"{name}: ({', '.join(shape)}{',' * (len(shape) == 1)})" for name, shape in net.leaves.items()]
    return Network.of("\n".join([*declared, *(f"{name} = {text}" for name, text in net.lines)]) + "\n")
