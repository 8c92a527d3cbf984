"""What is known about a network when a claim about it is repaired.

The right formulas of every gradient, the network's own definitions, the slopes of its nonlinear
operations, and the numbers that may stand before a formula, all as trees in the network's names.
Everything is made when it is first asked for, once for all claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symbp import claim as c
from symbp.claim import Claim, Tree
from symbp.derive import ClosedForms
from symbp.errors import SymbpError
from symbp.expr import Add, Call, Compare, Const, Entry, Expr, Mul, Num, Pow, Select, Size
from symbp.form import NotReducible
from symbp.judge.functions import Array
from symbp.judge.points import Points
from symbp.judge.rewrite import UNARY, without_ones
from symbp.judge.value import ShapeError
from symbp.numpy_code import numpy_text
from symbp.prove import Prover
from symbp.read.claims import ClaimReader, Unread
from symbp.steps import Derivation

if TYPE_CHECKING:
    from symbp.judge.forgotten import Derivations
    from symbp.judge.pool import Pool

_SETTINGS = re.compile(
    r"(lam|lambd|lambda_?|alpha|beta|gamma|delta|eps|epsilon|rho|tau|kappa|eta|nu|mu|sigma|c|C|k|m|margin|T|temp"
    r"|temperature|keep|keep_prob|reg|decay|rate|lr|scale|weight|wd|s|slope)\d*"
)
_VARIABLES = re.compile(r"[bghuvwxyz]|[A-Za-z]+\d+")
LONGEST = 160  # nodes of a derived formula
POOL = 400  # parts of right formulas that are tried


@dataclass(frozen=True)
class Slope:
    """The local derivative of a nonlinear operation, where it stands in the network."""

    tree: Tree
    function: str  # "relu", "square", …
    node: str  # the node whose definition holds it
    argument: Tree
    output: Tree
    whole: bool = False  # of the node itself, not of a part of its definition


class Lexicon:
    """Made from the points of a network; see the module."""

    def __init__(self, points: Points) -> None:
        self.points, self.graph = points, points.graph
        self.reader = ClaimReader(points.graph)
        self._forms: dict[str, tuple[Tree, ...]] = {}
        self._raw: dict[str, Tree | None] = {}
        self._deltas: dict[str, Tree | None] = {}
        self._closed = ClosedForms(points.derivation)
        self.prover: Prover | None = None  # of prove.py, which makes it
        self.derivations: Derivations | None = None  # wrong ones, of forgotten.py, which makes them
        self.pools: dict[tuple[str, bool], Pool] = {}  # of pool.py, which makes them
        self._below: dict[str, frozenset[str]] = {}

    # ---- the network -----------------------------------------------------------------------------

    @cached_property
    def definitions(self) -> dict[str, Tree]:
        """The definition of every inner node."""
        found: dict[str, Tree] = {}
        for node in self.graph.inner:
            assert node.body is not None
            for text in (node.source.partition("=")[2] or node.source, self._text(node.body, node.axes)):
                tree = self.read(text)
                if tree is not None:
                    found[node.name] = tree
                    break
        return found

    def _text(self, e: Expr, axes: Sequence[Expr]) -> str:
        """An expression in NumPy; nothing for one that is too long to be of use."""
        if _nodes(e, {}) > LONGEST:
            return ""
        try:
            return numpy_text(self.graph, e, axes)
        except (NotReducible, SymbpError):
            return ""

    def read(self, text: str) -> Tree | None:
        """A formula of symbp's own as a tree, or None."""
        if not text.strip():
            return None
        try:
            return self.reader.tree(text)
        except (Unread, SymbpError):
            return None

    def below(self, name: str) -> frozenset[str]:
        """Everything that is computed from a node: what its gradient rests on."""
        if not self._below:
            users = self.graph.consumers()
            for n in reversed(tuple(self.graph.nodes)):
                self._below[n] = frozenset(users[n]).union(*(self._below[u] for u in users[n]))
        return self._below.get(name, frozenset())

    # ---- right formulas --------------------------------------------------------------------------

    def forms(self, about: str) -> tuple[Tree, ...]:
        """The derived formulas of a gradient: in gradients nearer the loss, and in nodes only."""
        if about not in self._forms:
            self._forms[about] = tuple(dict.fromkeys(self._derived(about)))
        return self._forms[about]

    def _derived(self, about: str) -> Iterator[Tree]:
        derivation: Derivation = self.points.derivation
        a = derivation.adjoints.get(about)
        if a is None:
            return
        tree = self.delta(about)
        if tree is not None:
            yield tree
        closed = self._closed(about)
        tree = None if closed is None else self.read(self._text(closed, a.node.axes))
        if tree is not None:
            yield tree

    def delta(self, about: str) -> Tree | None:
        """The derived formula in gradients nearer the loss."""
        if about not in self._deltas:
            a = self.points.derivation.adjoints.get(about)
            self._deltas[about] = None if a is None else self.read(self._text(a.delta, a.node.axes))
        return self._deltas[about]

    def unsimplified(self, about: str) -> Tree | None:
        """The sum over all paths as the chain rule gives it."""
        if about not in self._raw:
            a = self.points.derivation.adjoints.get(about)
            tree = None if a is None else self.read(self._text(a.raw, a.node.axes))
            self._raw[about] = None if tree is None else without_ones(tree)
        return self._raw[about]

    def right(self, claim: Claim) -> Tree | None:
        """The right formula to show for a claim: the closed form where the claim has no gradients."""
        if not claim.about or claim.left is None or claim.left.op != "gradient":
            return None
        forms = self.forms(claim.about)
        if not forms:
            return None
        uses = any(link.gradients for link in claim.links)
        return forms[0] if uses or len(forms) == 1 else forms[1]

    # ---- slopes ----------------------------------------------------------------------------------

    @cached_property
    def slopes(self) -> tuple[Slope, ...]:
        """The slopes of all nonlinear operations of the network, each spelling of each."""
        found: dict[Tree, Slope] = {}
        for name, body in self.definitions.items():
            for part in body.walk():
                output = c.name(name) if part is body else part
                for tree, function, argument in self._slopes_of(part, output):
                    direct = part is body and (argument.op in ("name", "gradient") or function in UNARY)
                    if function == "power" and part.args[1].data[0] == 2 and not direct:
                        continue  # an error that a loss squares is a factor of the chain like any other
                    found.setdefault(tree, Slope(tree, function, name, argument, output, direct))
        for slope in self._between_nodes():
            found[slope.tree] = slope
            bare = self._without_coefficients(slope.tree)
            if bare is not slope.tree:
                found.setdefault(bare, replace(slope, tree=bare))
        return tuple(s for s in found.values() if self._evaluates(s.tree))

    def _between_nodes(self) -> Iterator[Slope]:
        """The slope of one node by another, where the right formulas show it as a factor of its own:
        what ∂L/∂z has more than ∂L/∂a, for an a that is no linear function of z."""
        users = self.graph.consumers()
        for name in self.graph.nodes:
            if len(users[name]) != 1:
                continue
            user = users[name][0]
            above = (self.delta(user), self.unsimplified(user))
            uppers = [c.gradient(user, self.graph.adjoint_name(user)), *(x for x in above if x is not None)]
            if user == self.graph.loss:
                continue
            for form in (x for x in (self.delta(name), self.unsimplified(name)) if x is not None):
                for upper in uppers:
                    rest = quotient(form, upper)
                    if rest is not None and rest.names & {name, user} and not rest.gradients:
                        body = self.definitions.get(user)
                        function = str(body.data[0]) if body is not None and body.op == "call" else user
                        yield Slope(rest, function, user, c.name(name), c.name(user), True)

    def _without_coefficients(self, slope: Tree) -> Tree:
        """A slope that is a product, without its scalar coefficients."""
        if slope.op != "product":
            return slope
        kept = [k for k, a in enumerate(slope.args) if a.op != "number" and not a.names <= self.coefficients]
        if not kept or len(kept) == len(slope.args):
            return slope
        factors, powers = [slope.args[k] for k in kept], [slope.data[0][k] for k in kept]
        return factors[0] if len(kept) == 1 and powers == [1] else c.product(factors, powers)

    @cached_property
    def coefficients(self) -> frozenset[str]:
        """Declared constants, and scalar leaves that are settings, not data or parameters."""
        found = set(self.graph.constants)
        all_scalar = not any(n.shape for n in self.graph.nodes.values())
        for n in self.graph.leaves:
            if n.shape:
                continue
            called = _SETTINGS.fullmatch(n.name) and not (all_scalar and len(n.name) == 1)
            scales = not all_scalar and not _VARIABLES.fullmatch(n.name) and self._only_scales(n.name)
            if called or scales:
                found.add(n.name)
        return frozenset(found)

    def _only_scales(self, name: str) -> bool:
        """Is a leaf a factor, a divisor, an exponent or 1 minus itself wherever the network uses it?"""
        leaf = c.name(name)
        for body in self.definitions.values():
            for part in body.walk():
                if leaf not in part.args or part.op in ("product", "power"):
                    continue
                if part.op != "sum" or any(a is not leaf and a.op != "number" for a in part.args):
                    return False
        return True

    @cached_property
    def totals(self) -> tuple[Tree, ...]:
        """Sums of all entries of a leaf (a mask) that the network divides by: they count like a size."""
        found: dict[Tree, None] = {}
        for body in self.definitions.values():
            for part in body.walk():
                if part.op == "product":
                    for a, p in zip(part.args, part.data[0], strict=True):
                        if p < 0 and a.op == "call" and a.data == ("sum", ()) and a.args[0].op == "name":
                            found.setdefault(a)
        return tuple(found)

    @cached_property
    def penalised(self) -> frozenset[str]:
        """Leaves with a penalty of their own in the loss: a coefficient times a function of the leaf."""
        coefficients = {n.name for n in self.graph.leaves if not n.shape} | self.coefficients | self.reader.sizes
        found: set[str] = set()
        stack, seen = [self.definitions.get(self.graph.loss)], set[str]()
        while stack:
            tree = stack.pop()
            if tree is None or tree.op != "sum":
                continue
            for term in tree.args:
                names = term.names
                inner = {n for n in names if n in self.definitions}
                used = (names - coefficients) | {x for n in inner for x in self._leaves(n)}
                leaves = {n for n in used if n not in self.definitions} - coefficients
                if len(leaves) == 1:
                    found |= leaves
                if term.op == "name" and term.data[0] not in seen:
                    seen.add(term.data[0])
                    stack.append(self.definitions.get(term.data[0]))
        return frozenset(found)

    def _leaves(self, name: str) -> frozenset[str]:
        """Leaves that a node is computed from."""
        body = self.graph[name].body
        if body is None:
            return frozenset((name,))
        return frozenset[str]().union(*(self._leaves(n) for n in body.tensors))

    def _slopes_of(self, part: Tree, output: Tree) -> Iterator[tuple[Tree, str, Tree]]:
        if part.op == "power" and part.args[1].op == "number":
            n = part.args[1].data[0]
            lower = part.args[0] if n == 2 else c.power(part.args[0], c.number(n - 1))
            yield c.product((c.number(n), lower)), "power", part.args[0]
        if part.op == "compare":
            yield part, "comparison", part.args[0]
        if part.op != "call":
            return
        function, options = part.data
        x = part.args[0] if part.args else part
        if function in self.graph.table and function not in ("sqrt",):
            op = self.graph.table[function]
            marks = [Entry(f"arg{k}") for k in range(len(part.args))]
            inside: dict[Expr, Tree] = {Entry("out"): output, **dict(zip(marks, part.args, strict=True))}
            rest = op.defaults[len(part.args) - 1 :] if op.defaults else ()
            for k, slope in enumerate(op.slopes[: len(part.args)]):
                try:
                    tree = elementwise(slope(Entry("out"), *marks, *rest), inside)
                except (TypeError, ValueError):
                    continue
                if tree is not None:
                    yield tree, function, part.args[k]
        elif function == "sqrt":
            half = c.product((c.number(1, "1"), c.product((c.number(2, "2"), output))), (1, -1))
            yield half, "sqrt", x
        elif function == "norm":
            yield c.product((x, output), (1, -1)), "norm", x
        elif function in ("max", "min"):
            keep = c.call(function, part.args, **{**dict(options), "keepdims": True})
            yield c.compare("==", x, keep if options else output), function, x
        elif function == "clip":
            low = c.compare(">", x, part.args[1])
            high = c.compare("<", x, part.args[2]) if len(part.args) > 2 else None
            yield (low if high is None else c.product((low, high))), "clip", x
        elif function == "where":
            yield part.args[0], "where", x
        elif function in ("softmax", "sigmoid"):
            yield c.product((output, c.sum_((c.number(1, "1"), output), (1, -1)))), function, x

    def _evaluates(self, tree: Tree) -> bool:
        try:
            self.points.batches[0].value(tree)
        except ShapeError:
            return False
        return True

    # ---- numbers ---------------------------------------------------------------------------------

    @cached_property
    def scalars(self) -> tuple[tuple[Tree, bool], ...]:
        """Scalars that may stand before a formula, and whether each is made of sizes only: sizes,
        their products and quotients, declared constants, scalar leaves, numbers."""
        batch = self.points.batches[0] if self.points.batches else None
        sizes = [c.name(s) for s in sorted(self.reader.sizes) if batch is not None and s in batch.scalars]
        one = c.number(1, "1")
        found: dict[Tree, bool] = {}
        for s in sizes:
            found[s] = True
            found[c.product((one, s), (1, -1))] = True
        for k, s in enumerate(sizes):
            for u in sizes[k + 1 :]:
                both = c.product((s, u))
                found[both] = True
                found[c.product((one, both), (1, -1))] = True
                found[c.product((s, u), (1, -1))] = found[c.product((u, s), (1, -1))] = True
        for whole in (2, 3, 4, 8):
            found[c.number(whole)] = False
            found[c.number(Fraction(1, whole))] = False
        names = [c.name(n) for n in self.graph.nodes if n in self.coefficients] + [
            c.name(n) for n in self.graph.constants
        ]
        for total in self.totals:
            found[total] = True
            found[c.product((one, total), (1, -1))] = True
        for x in names:
            found[x] = False
            found[c.product((one, x), (1, -1))] = False
            found[c.power(x, c.number(2))] = False
            for n in (Fraction(2), Fraction(1, 2)):
                found[c.product((c.number(n), x))] = False
        for s in sizes:
            found[c.call("sqrt", [s])] = found[c.product((one, c.call("sqrt", [s])), (1, -1))] = False
            for n in (Fraction(2), Fraction(1, 2)):
                found[c.product((c.number(n), s))] = found[c.product((c.number(n), s), (1, -1))] = False
            for x in names:
                found[c.product((x, s))] = found[c.product((x, s), (1, -1))] = found[c.product((s, x), (1, -1))] = False
        return tuple(found.items())

    @cached_property
    def _scalar_rows(self) -> list[Array]:
        """For every batch, the values of the scalars as rows, one number for each point."""
        return [
            np.array([np.broadcast_to(np.ravel(b.value(t).array), (b.count,)) for t, _ in self.scalars])
            for b in self.points.batches
        ]

    def scalars_like(self, ratio: Any, batch: int = 0, within: float = 1e-6) -> list[tuple[int, int]]:
        """The scalars that are this number (one, or one for each point) up to sign: (which, sign)."""
        rows = self._scalar_rows[batch]
        wanted = np.broadcast_to(np.ravel(ratio), rows.shape[1:])
        close = within * np.abs(rows) + 1e-8
        found: list[tuple[int, int]] = []
        for sign in (1, -1):
            found += [(int(k), sign) for k in np.flatnonzero((np.abs(sign * wanted - rows) <= close).all(axis=1))]
        return found

    def scalar(self, ratios: Sequence[Any]) -> tuple[Tree, int, bool] | None:
        """The simplest scalar that has these values in the batches (one number, or one for each
        point): (tree, sign, made of sizes only)."""
        for sign in (1, -1):
            if all(np.allclose(r, sign, rtol=1e-8) for r in ratios):
                return c.number(1, "1"), sign, False
        common = [set(self.scalars_like(r, n, 1e-8)) for n, r in enumerate(ratios)]
        for k, sign in sorted(set.intersection(*common) if common else (), key=lambda x: (x[0], -x[1])):
            tree, sizes = self.scalars[k]
            return tree, sign, sizes
        first = float(np.ravel(ratios[0])[0])
        if all(np.allclose(r, first, rtol=1e-9) for r in ratios):
            nice = Fraction(first).limit_denominator(64)
            if nice and abs(float(nice) - first) <= 1e-9 * abs(first):
                return c.number(abs(nice)), 1 if nice > 0 else -1, False
        return None

    def constant(self, ratios: Sequence[float]) -> str | float | None:
        """A ratio to show: a number, or a text in sizes and constants."""
        from symbp.judge.text import numpy_text as shown

        found = self.scalar(ratios)
        if found is None:
            return ratios[0] if len(set(ratios)) == 1 else None
        tree, sign, _ = found
        if tree.op == "number":
            return float(tree.data[0]) * sign
        return ("-" if sign < 0 else "") + shown(tree)

    # ---- parts -----------------------------------------------------------------------------------

    def parts(self, about: str) -> tuple[Tree, ...]:
        """Parts of the right formulas of a gradient and of the network's definitions."""
        found: dict[Tree, None] = {}
        for n in self.graph.nodes:
            found.setdefault(c.name(n))
        for s in self.slopes:
            found.setdefault(s.tree)
        above = self.below(about) if about else frozenset(self.graph.nodes)
        for n in self.graph.nodes:
            if n in above and n != self.graph.loss:
                found.setdefault(c.gradient(n, self.graph.adjoint_name(n)))
        sources = list(self.forms(about) if about else ())
        whole = set(sources)
        raw = self.unsimplified(about) if about else None
        sources += [raw] if raw is not None else []
        for n in self.graph.nodes:
            if n in above:
                near = self.delta(n) if len(self.graph.nodes) < 40 else None
                sources += [near] if near is not None else []
        sources += self.definitions.values()
        for source in sources:
            for part in pieces(source):
                if part not in whole and part.op != "number":
                    found.setdefault(part)
                if len(found) > POOL:
                    break
        return tuple(found)

    def shape_words(self, why: ShapeError) -> str:
        """A shape error in the network's own sizes."""
        if len(why.shapes) < 2:
            return why.reason
        return f"{why.reason}: {' and '.join(self.shape_text(s) for s in why.shapes[:2])}"

    def shape_text(self, shape: Sequence[int]) -> str:
        """(3, 5) as (D, H): at the first batch's sizes, which are all different."""
        names: dict[int, str] = {}
        for k, n in self.points.batches[0].sizes.items():
            names.setdefault(n, k)
        shown = ", ".join(str(n) if n == 1 else names.get(n, str(n)) for n in shape)
        return f"({shown}{',' if len(shape) == 1 else ''})"


def pieces(tree: Tree) -> Iterator[Tree]:
    """All parts of a formula, and parts of its products and sums."""
    seen: set[Tree] = set()
    for part in tree.walk():
        if part in seen:
            continue
        seen.add(part)
        yield part
        n = len(part.args)
        if part.op == "product" and 2 < n <= 6:
            for k in range(n):
                rest = [i for i in range(n) if i != k]
                yield c.product([part.args[i] for i in rest], [part.data[0][i] for i in rest])
            for k in range(n):
                for m in range(k + 1, n):
                    if n > 3:
                        yield c.product([part.args[k], part.args[m]], [part.data[0][k], part.data[0][m]])
        if part.op == "chain" and n > 2:
            for k in range(n):
                for m in range(k + 2, n + 1):
                    if m - k < n:
                        yield c.chain(part.args[k:m])
        if part.op == "sum" and 2 < n <= 6:
            for k in range(n):
                rest = [i for i in range(n) if i != k]
                yield c.sum_([part.args[i] for i in rest], [part.data[i] for i in rest])


def _nodes(e: Expr, known: dict[Expr, int]) -> int:
    """How many nodes an expression has, written out."""
    if e not in known:
        known[e] = 1 + sum(_nodes(a, known) for a in e.args)
    return known[e]


def quotient(form: Tree, upper: Tree) -> Tree | None:
    """What a product has as factors beside those of another; None if it lacks one of them."""

    def flat(t: Tree) -> tuple[list[tuple[Tree, int]], int]:
        sign = 1
        if t.op == "sum" and t.data == (-1,):
            t, sign = t.args[0], -1
        pairs = list(zip(t.args, t.data[0], strict=True)) if t.op == "product" else [(t, 1)]
        return [p for p in pairs if p[0].op != "number"], sign

    (rest, a), (gone, b) = flat(form), flat(upper)
    for pair in gone:
        if pair not in rest:
            return None
        rest.remove(pair)
    if not rest:
        return None
    tree = rest[0][0] if rest[0][1] > 0 and len(rest) == 1 else c.product([t for t, _ in rest], [p for _, p in rest])
    return tree if a == b else c.negative(tree)


def elementwise(e: Expr, inside: dict[Expr, Tree]) -> Tree | None:
    """An expression of scalars as a tree, its entries replaced by trees; None for what is neither."""
    if e in inside:
        return inside[e]
    match e:
        case Num():
            return c.number(e.value, str(e.value) if e.value == int(e.value) >= 0 else "")  # as the reader has it
        case Const() | Size():
            return c.name(e.name)
        case Add():
            terms, signs = [], []
            for a in e.args:
                sign = 1
                if isinstance(a, Mul) and isinstance(a.args[0], Num) and a.args[0].value == -1:
                    a, sign = (Mul(a.args[1:]) if len(a.args) > 2 else a.args[1]), -1
                elif isinstance(a, Num) and a.value < 0:
                    a, sign = Num(-a.value), -1
                tree = elementwise(a, inside)
                if tree is None:
                    return None
                terms.append(tree)
                signs.append(sign)
            return c.sum_(terms, signs)
        case Mul():
            factors, powers, sign = [], [], 1
            for a in e.args:
                power = 1
                if isinstance(a, Num) and a.value == -1:
                    sign = -sign
                    continue
                if isinstance(a, Pow) and isinstance(a.exponent, Num) and a.exponent.value == -1:
                    a, power = a.base, -1
                tree = elementwise(a, inside)
                if tree is None:
                    return None
                factors.append(tree)
                powers.append(power)
            whole = c.product(factors, powers) if len(factors) > 1 or powers[:1] == [-1] else factors[0]
            return whole if sign > 0 else c.negative(whole)
        case Pow():
            base, exponent = elementwise(e.base, inside), elementwise(e.exponent, inside)
            if base is None or exponent is None:
                return None
            if isinstance(e.exponent, Num) and e.exponent.value == -1:
                return c.product((c.number(1, "1"), base), (1, -1))
            return c.power(base, exponent)
        case Call():
            args = [elementwise(a, inside) for a in e.args]
            known = [a for a in args if a is not None]
            return c.call(e.fn, known) if len(known) == len(args) else None
        case Compare():
            left, right = (elementwise(a, inside) for a in e.args)
            return None if left is None or right is None else c.compare(e.fn, left, right)
        case Select():
            parts = [elementwise(a, inside) for a in e.args]
            known = [a for a in parts if a is not None]
            return c.where(*known) if len(known) == 3 else None
    return None
