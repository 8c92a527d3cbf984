"""What a student claims: formulas as trees, and a claim as a left side with links.

A network is made of tensors defined entry by entry (`expr.py`). A claim is different: it has to be
repaired and printed again in the student's own notation, so it is kept as it was written: n-ary
nodes, in the student's order, never simplified. Equal trees are the same object, so a value that
was computed for one is computed for all, and an edit costs only the nodes above it.

There is one node type. `op` says what it is, `args` are its parts, `data` is what is not a tree:

    op          args                      data                      value
    number      ()                        (value, text)             a scalar
    name        ()                        (name, text)              a node, leaf, size, constant or definition
    gradient    ()                        (node, text)              the true ∂loss/∂node, shaped like the node
    jacobian    ()                        (node, leaf, text)        ∂node/∂leaf, axes of the node, then of the leaf
    letter      ()                        (letter,)                 the index itself, counted from 0
    sum         terms                     signs, ±1 each            broadcasts as NumPy does
    product     factors                   (powers, mark), ±1 each   elementwise, broadcasts as NumPy does
    chain       factors                   mark                      matrix product, from left to right
    transpose   (body,)                   mark                      .T
    power       (base, exponent)          ()                        elementwise
    call        positional arguments      (function, options)       a function of the network language
    compare     (left, right)             operator                  1 or 0
    item        (body,)                   items                     NumPy's x[0, 1:, None], counted from 0
    entry       (body, *computed)         indices                   x_{kj}: array axes become index letters
    over        (body,) or (body, cond)   (kind, letters)           Σ Π max mean over index letters
    array       (body,)                   letters                   index letters become array axes
    alias       (body,)                   text                      the body, written and kept as `text`

**Two kinds of axes.** A value has *array axes* (as in NumPy: 0 for a scalar, 1 for a vector, 2 for
a matrix …) and *index letters*. `name` gives array axes only. `entry` turns array axes into letters:
an index is a letter ("k"), a whole number counted from 0, ":", which keeps the axis (as do axes that
have no index), or "*", which takes the next of the computed trees (`w_{y_i}`); a letter twice is the
diagonal. All operations line letters up by name and array axes by position from the right. `over`
and `array` use letters up. A letter runs over the axis in which it occurs. So  Σ_k w_{kj} δ_k  is
`over("sum", ("k",), product(entry(W, "k", "j"), entry(delta, "k")))`, whose value has the letter j
and no array axis.

**Paper.** On paper a vector is a column. A LaTeX reader wraps every tensor of one axis that it uses
as a whole in `column(...)` (n × 1; or `row(...)`, 1 × n, where the network has it on the left of @).
Then  δ xᵀ  is `chain(column(delta), transpose(column(x)))` with no further rule. A 1 × 1 value is
broadcast like a scalar by sums and products; the judge drops axes of length 1 before it compares.
Scalars are multiplied by `product`, matrices by `chain`: which one a juxtaposition is, is the
reader's decision (`points.shape(tree)` tells the shape).

`text` is how the student spells the leaf (`\\hat{y}`, `W^{[2]}`); printers use it. `alias` is for a
symbol that stands for something compound (`\\delta_k := -dE/dnet2[k]`): it has the value of its body
and is edited as a leaf. `mark` is how an operation was written ("⊙", "\\cdot", "^T"; "" for the default).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from symbp.errors import Place


class Tree:
    """One node of a formula; equal nodes are the same object. Made by the functions below."""

    __slots__ = ("__weakref__", "args", "data", "lettered", "op", "weight")
    _all: ClassVar[WeakValueDictionary[Any, Tree]] = WeakValueDictionary()

    op: str
    args: tuple[Tree, ...]
    data: Any
    weight: int
    """How many nodes it has."""
    lettered: bool
    """Is an index letter used as a number in it?"""

    def __new__(cls, op: str, args: tuple[Tree, ...] = (), data: Any = ()) -> Tree:
        key = (op, args, data)
        found = cls._all.get(key)
        if found is None:
            found = super().__new__(cls)
            found.op, found.args, found.data = op, args, data
            found.weight = 1 + sum([a.weight for a in args])
            found.lettered = op == "letter" or any(a.lettered for a in args)
            cls._all[key] = found
        return found

    def with_args(self, args: Sequence[Tree]) -> Tree:
        """The same operation on other parts."""
        return Tree(self.op, tuple(args), self.data)

    def walk(self) -> Iterator[Tree]:
        """All nodes, parents first; one that occurs twice comes twice."""
        stack = [self]
        while stack:
            tree = stack.pop()
            yield tree
            stack.extend(reversed(tree.args))

    @property
    def names(self) -> frozenset[str]:
        """Names of tensors, sizes, constants and definitions in it (not of gradients)."""
        return frozenset(t.data[0] for t in self.walk() if t.op == "name")

    @property
    def gradients(self) -> frozenset[str]:
        """Nodes whose gradients it uses."""
        return frozenset(t.data[0] for t in self.walk() if t.op == "gradient")

    def __repr__(self) -> str:
        inside = ", ".join([*map(repr, self.args), *([repr(self.data)] if self.data != () else [])])
        return f"{self.op}({inside})"


# ---- makers --------------------------------------------------------------------------------------------


def number(value: Fraction | float | int, text: str = "") -> Tree:
    """A number; a whole number or a Fraction is exact. `text` as it was written."""
    return Tree("number", (), (value if isinstance(value, float) else Fraction(value), text))


def name(of: str, text: str = "") -> Tree:
    """A node, leaf, size, constant or earlier definition, by its name in the network."""
    return Tree("name", (), (of, text or of))


def gradient(of: str, text: str = "") -> Tree:
    """The true gradient of the loss for a node."""
    return Tree("gradient", (), (of, text or "d" + of))


def jacobian(of: str, wrt: str, text: str = "") -> Tree:
    """∂of/∂wrt as an array: the axes of `of`, then those of `wrt`."""
    return Tree("jacobian", (), (of, wrt, text))


def letter(of: str) -> Tree:
    """An index letter used as a number (`1[j = k]` is `compare("==", letter("j"), letter("k"))`)."""
    return Tree("letter", (), (of,))


def sum_(terms: Sequence[Tree], signs: Sequence[int] = ()) -> Tree:
    """Terms with signs; one term with the sign −1 is its negative."""
    return Tree("sum", tuple(terms), tuple(signs) or (1,) * len(terms))


def negative(x: Tree) -> Tree:
    """−x; a sum of one negative term gives its term back."""
    if x.op == "sum" and x.data == (-1,):
        return x.args[0]
    return sum_((x,), (-1,))


def product(factors: Sequence[Tree], powers: Sequence[int] = (), mark: str = "") -> Tree:
    """The elementwise product; a factor with the power −1 divides."""
    return Tree("product", tuple(factors), (tuple(powers) or (1,) * len(factors), mark))


def chain(factors: Sequence[Tree], mark: str = "") -> Tree:
    """The matrix product, from left to right."""
    return Tree("chain", tuple(factors), mark)


def transpose(x: Tree, mark: str = "") -> Tree:
    return Tree("transpose", (x,), mark)


def power(base: Tree, exponent: Tree) -> Tree:
    return Tree("power", (base, exponent))


def call(function: str, args: Sequence[Tree], **options: Any) -> Tree:
    """A function of the network language; options are literals: `axis=0`, `keepdims=True`, or an
    einsum's `letters="ij,jk->ik"`."""
    return Tree("call", tuple(args), (function, tuple(sorted(options.items()))))


def column(x: Tree) -> Tree:
    """A vector as an n × 1 matrix."""
    return call("column", (x,))


def row(x: Tree) -> Tree:
    """A vector as a 1 × n matrix."""
    return call("row", (x,))


def where(condition: Tree, yes: Tree, no: Tree) -> Tree:
    """A case distinction; several cases nest in `no`."""
    return call("where", (condition, yes, no))


def compare(operator: str, left: Tree, right: Tree) -> Tree:
    """An indicator, 1 where it holds; `operator` is one of < <= > >= == !=."""
    return Tree("compare", (left, right), operator)


def entry(body: Tree, *indices: str | int | Tree) -> Tree:
    """x_{kj}: one index for each array axis, a letter, a number counted from 0, or a tree (a label)."""
    computed = tuple(i for i in indices if isinstance(i, Tree))
    return Tree("entry", (body, *computed), tuple("*" if isinstance(i, Tree) else i for i in indices))


def over(kind: str, letters: Sequence[str], body: Tree, condition: Tree | None = None) -> Tree:
    """Σ ("sum"), Π ("prod"), "max", "min" or "mean" over index letters, where the condition holds."""
    return Tree("over", (body,) if condition is None else (body, condition), (kind, tuple(letters)))


def array(letters: Sequence[str], body: Tree) -> Tree:
    """The array whose entry at these letters is the body: the inverse of `entry`."""
    return Tree("array", (body,), tuple(letters))


def item(body: Tree, items: Sequence[Any]) -> Tree:
    """NumPy indexing by literals: whole numbers, ("slice", low, high, step), None for a new axis."""
    return Tree("item", (body,), tuple(items))


def alias(body: Tree, text: str) -> Tree:
    """Something compound that is written as one symbol."""
    return Tree("alias", (body,), text)


# ---- claims --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """One line of a student: `left = link = link …`.

    `left` is what the links are claimed to be, as a tree whose value is the truth: `gradient("W1")`,
    `entry(gradient("W2"), "k", "j")`, `negative(gradient("Z"))` for a δ with the other sign. It is
    None for a definition of a new name (`defines`; its value is the last link, an `array` where the
    left side has letters) and for a bare formula nobody said the subject of. `about` is the node
    whose gradient the left side is, "" if none. Links must have the letters of `left` or fewer.

    A line that cannot be read is a claim too: `problem` is its verdict ("unreadable", "undefined")
    and `message` says why. `loose` marks a line whose reading needed more licence than the notation
    gives (factors of a chain rule in an order that does not fit). `notes` say which of several
    readings was taken.
    """

    text: str
    left: Tree | None = None
    links: tuple[Tree, ...] = ()
    about: str = ""
    defines: str = ""
    notation: str = "numpy"
    place: Place | None = None
    problem: str = ""
    message: str = ""
    loose: bool = False
    notes: tuple[str, ...] = ()
    update: bool = field(default=False)
    """The left side is a step of descent (`Δw = …`, `w -= …`), not a gradient."""
    at: tuple[tuple[str, int], ...] = ()
    """The numbers that letters of the text had when it was read: l = 2."""
    instances: tuple[Claim, ...] = ()
    """The claim at every number that its letters can have; then the claim itself is the first of them."""
    own: tuple[Own, ...] = ()
    """Names that the student's program gave to parts of the links, which hold the parts themselves."""


@dataclass(frozen=True)
class Own:
    """A name of a program, what it stands for, and the node whose gradient it is meant to be ("" for none)."""

    name: str
    tree: Tree
    node: str = ""


def by_name(tree: Tree, own: Iterable[Own]) -> Tree:
    """The tree as the program wrote it: a part that has a name is that name, outermost first. The names of
    gradients are the true gradients then."""
    names = {o.tree: gradient(o.node, o.name) if o.node else alias(o.tree, o.name) for o in own}

    def written(part: Tree) -> Tree:
        found = names.get(part)
        if found is not None:
            return found
        return part.with_args([written(a) for a in part.args]) if part.args and part.op != "alias" else part

    return written(tree) if names else tree


def in_letters(tree: Tree, at: Sequence[tuple[str, int]], member: Callable[[str, str], str], loss: str = "") -> Tree:
    """The tree with letters for the numbers that they had: at l = 2, `z[2]` is written `member("z", "l")` and `W[3]`
    `member("W", "l+1")`; gradients so with `d` before the name, or over `loss` as a LaTeX fraction. What the student
    wrote stays. Members with several numbers keep them."""
    if len(at) != 1:
        return tree
    letter, number = at[0]

    def written(part: Tree) -> Tree:
        if part.op not in ("name", "gradient"):
            return part.with_args([written(a) for a in part.args]) if part.args and part.op != "alias" else part
        of, text = part.data
        found = re.fullmatch(r"(\w+)\[([0-9]+)\]", of)
        if letter in re.findall(r"[a-z]+", text.removeprefix("d").replace("\\partial", "")):
            return part if loss or part.op == "gradient" else Tree("name", (), (text, text))
        if not found:
            return part
        step = int(found[2]) - number
        index = letter + (f"{step:+d}" if step else "")
        if part.op == "name":
            text = member(found[1], index)
            return Tree("name", (), (of if loss else text, text))
        text = (
            rf"\frac{{\partial {loss}}}{{\partial {member(found[1], index)}}}"
            if loss
            else f"d{member(found[1], index)}"
        )
        return Tree("gradient", (), (of, text))

    return written(tree)
