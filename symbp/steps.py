"""What a derivation is: data that renderers show and checkers test. Nothing here computes.

A `Derivation` holds one `Adjoint` per tensor on the way back, in the order in which a backward
program computes them. Each adjoint carries the steps that the engine took, in reading order;
a step's lines are scalar expressions that are all equal, so every line can be evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from symbp.expr import Expr
from symbp.family import Loop
from symbp.graph import Fact, Graph, Node
from symbp.local import rename

RULES = ("definition", "chain-rule", "local-slope", "contraction", "fork", "simplification", "matrix-form", "check")
"""The kinds of steps, in the order in which they appear for one tensor."""


@dataclass(frozen=True)
class Law:
    """A law that a step applied: its name, its formula in LaTeX, the facts it used, and (for
    `insert`) the tensors whose adjoints were put in."""

    name: str
    formula: str = ""
    because: tuple[Fact, ...] = ()
    inserted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step about the tensor `about`: `left` equals each of `lines`.

    `rule` is one of RULES. `via` is the consumer through which the chain rule goes. A step in
    "matrix" notation shows the same expressions as matrices. `left` is an entry of a node
    (definition), of an adjoint, or a slope.
    """

    rule: str
    about: str
    left: Expr | None
    lines: tuple[Expr, ...]
    notation: str = "index"
    via: str = ""
    law: Law | None = None
    argument: Expr | None = None  # chain-rule: the consumer's entry; local-slope: the variable's
    sums: tuple[Loop, ...] = ()  # chain-rule: loop variables of the consumer that are summed too


def _renamed(step: Step, names: Mapping[str, str]) -> Step:
    return replace(
        step,
        about=names.get(step.about, step.about),
        via=names.get(step.via, step.via),
        left=step.left and rename(step.left, names),
        argument=step.argument and rename(step.argument, names),
        lines=tuple(rename(e, names) for e in step.lines),
    )


@dataclass(frozen=True)
class Paths:
    """How a recursion compares with summing over paths, from the first member to the last: the
    number of paths (`width` at every turn of `loop`) and of products that the recursion takes."""

    loop: Loop
    width: Expr  # entries that one turn sums over
    work: Expr  # products of one turn, for all entries


@dataclass(frozen=True)
class Chain:
    """A recursion written out: (∂y[n]/∂y[n-1] ⋯ ∂y[i+1]/∂y[i])ᵀ δ_y[n]. `top` and `bottom` are the
    first and last of its Jacobians, each (of, by); `link` one more for a tensor beside the chain."""

    top: tuple[str, str]
    bottom: tuple[str, str]
    link: tuple[str, str] | None = None


@dataclass(frozen=True)
class Adjoint:
    """∂loss/∂node, entry by entry in `node.axes`.

    In a network of symbolic depth there is one for every case: the base case ∂L/∂z[L], and the
    step for all z[l] with l in `node.loops`.

    `raw` is the sum over consumers as the chain rule gives it; `delta` the δ form, in leaves,
    nodes and adjoints nearer the loss (tensors named `adjoint(name)`); `closed` the same in
    leaves and nodes only (None with `why` when it was not asked for or is too long).
    """

    node: Node
    raw: Expr
    delta: Expr
    closed: Expr | None
    steps: tuple[Step, ...] = ()
    uses: tuple[str, ...] = ()  # adjoints that the δ form names
    because: tuple[str, ...] = ()  # facts that the forms rest on
    why: str = ""
    like: str = ""  # the tensor whose local problem is the same up to names
    renamed: Mapping[str, str] = field(default_factory=dict)  # from that one's names to these
    case: str = ""  # "base" or "step", where there are several
    paths: Paths | None = None  # of a step: what it saves
    chain: Chain | None = None


@dataclass(frozen=True)
class Checked:
    """What the numeric check measured for one tensor."""

    name: str
    error: float
    ok: bool
    points: int
    method: str
    entries: int
    note: str = ""


@dataclass(frozen=True)
class Derivation:
    """The result. `adjoints` is in backward order; `wrt` what was asked for; `left_out` the leaves
    that were not differentiated because they are held fixed, with the reason."""

    graph: Graph
    wrt: tuple[str, ...]
    adjoints: Mapping[str, Adjoint]
    left_out: Mapping[str, str] = field(default_factory=dict)
    checked: Mapping[str, Checked] = field(default_factory=dict)
    note: str = ""

    def steps_of(self, a: Adjoint) -> tuple[Step, ...]:
        """The steps of an adjoint; for one that is like an earlier one, that one's steps renamed."""
        if a.steps or not a.like:
            return a.steps
        return tuple(_renamed(s, a.renamed) for s in self.adjoints[a.like].steps)

    def checked_of(self, a: Adjoint) -> Checked | None:
        """What the check measured for an adjoint."""
        found = self.checked.get(a.node.name)
        if found is not None or not self.checked:
            return found
        return next((self.checked.get(key) for key, other in self.adjoints.items() if other is a), None)

    @property
    def gradients(self) -> tuple[Adjoint, ...]:
        """Adjoints of the leaves that were asked for, in the order asked."""
        return tuple(a for w in self.wrt if (a := self.adjoints[w]).node.is_leaf)

    @property
    def deltas(self) -> tuple[Adjoint, ...]:
        """Adjoints of inner nodes, in the order a backward program runs them."""
        return tuple(a for a in self.adjoints.values() if not a.node.is_leaf)
