"""The name of a mistake, by what the edit that mends it takes out and puts in.

A number, sizes, a slope of the network, a factor of the chain, a path: the table of names is read
from the top. Every name has a cost, and so have the edits that lead to it: the cheapest explanation
is the diagnosis.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from symbp import claim as c
from symbp.claim import Tree
from symbp.judge.equal import same
from symbp.judge.functions import Array
from symbp.judge.lexicon import Lexicon, Slope, quotient
from symbp.judge.pool import spread
from symbp.judge.rewrite import ONE, untransposed
from symbp.judge.search import CLOSE, Repair, Search, proportional, shape_of_names
from symbp.judge.value import ShapeError, Value

NAMES = (
    "shape", "sign", "missing-mean-factor", "factor", "missing-transpose", "swapped-order", "index-swap",
    "hadamard-vs-matmul", "missing-sum", "missing-regulariser", "missing-path", "missing-term",
    "missing-activation-derivative", "wrong-activation-derivative", "wrong-argument", "missing-factor", "extra-term",
    "value", "other",
)  # fmt: skip
COST = {
    "shape": 4.6, "sign": 1.0, "missing-mean-factor": 2.0, "factor": 3.0, "missing-transpose": 4.0,
    "swapped-order": 4.5, "index-swap": 6.0, "hadamard-vs-matmul": 5.0, "missing-sum": 4.2,
    "missing-regulariser": 4.0, "missing-path": 5.8, "missing-term": 6.4, "missing-activation-derivative": 5.0,
    "wrong-activation-derivative": 6.6, "wrong-argument": 6.2, "missing-factor": 5.6, "extra-term": 5.5,
    "value": 9.0, "other": 8.0,
}  # fmt: skip
PLAIN = ("sum", "mean", "outer", "dot", "transpose", "reshape", "ravel", "einsum", "diag", "column", "row")
"""Functions that are linear: a change of what they are applied to is a change of the formula."""
RIVAL = 0.6  # a name this near to the cheapest is a rival


@dataclass(frozen=True)
class Mistake:
    """A named mistake. `tree` is the student's formula repaired (None where the right formula has to
    do); `old` became `new`; `function` and `node` say where a slope belongs; `second` is another
    mistake in the same line."""

    name: str
    tree: Tree | None = None
    old: Tree | None = None
    new: Tree | None = None
    detail: Tree | None = None
    also: tuple[str, ...] = ()
    kind: str = ""
    function: str = ""
    node: str = ""
    slope: Tree | None = None  # the derivative of `function`
    at: str = ""  # the node in whose gradient something was forgotten
    whole: bool = False  # the edit is at the root
    cost: float = 99.0
    second: Mistake | None = field(default=None)


class Namer:
    """Gives an edit its name and its cost."""

    def __init__(self, lexicon: Lexicon, search: Search, student: Tree | None = None) -> None:
        self.lexicon, self.search = lexicon, search
        self.student = search.link if student is None else student
        self.start = search.link  # the formula before the edit
        self.coefficients = lexicon.coefficients

    def __call__(self, r: Repair) -> Mistake:
        name, adjust, slope = self._name(r)
        moved = _moved(r.old, r.new)
        weigh = r.kind in ("replace", "multiply", "divide", "add", "insert", "name")
        moved -= r.kind == "insert" and r.detail is not None and r.detail.op == "transpose"
        weight = 0.35 * max(0, moved - 1) if weigh else 0.0
        if r.tree.gradients and not self.search.link.gradients:
            weight += 1.0  # the student's formula has no gradients of other nodes
        if name in ("missing-activation-derivative", "missing-path") and r.kind in ("multiply", "add"):
            weight = min(weight, 1.0)
        if name == "wrong-activation-derivative" and slope is not None and self._is_value(r, slope):
            weight = min(weight, 0.35)
        if name == "wrong-activation-derivative" and self._exponent(r):
            weight = 0.0
        inverse, another = self.start is not self.search.link, False
        if r.kind in ("replace", "function") and (inverse or name in ("wrong-argument", "other")):
            kept, _ = _narrowed(r.old, r.new)
            if kept.weight > 3 and 2 * kept.weight > self.start.weight:
                weight += 3.0  # most of the formula replaced: another formula, or two mistakes
                another = name == "other"
        cost = COST[name] + adjust + weight
        kind, detail = r.kind, r.detail
        if name == "wrong-activation-derivative" and self._exponent(r):
            kind = "exponent"
        if name == "wrong-argument" and kind == "name" and self._gate(r.old, r.new) is not None:
            kind, detail = "gate", self._gate(r.old, r.new)
        if name == "wrong-activation-derivative" and slope is not None and self._is_value(r, slope):
            lacking = _factor_between(r.old, r.new)
            if lacking is not None and lacking[0] is not None and lacking[1] is None:
                kind, detail = "value", lacking[0]
        if name == "missing-activation-derivative" and slope is not None and detail is not None and detail.gradients:
            detail = slope.tree
        if name == "missing-factor" and detail is None:
            lacking = _factor_between(r.old, r.new)
            detail = lacking[0] if lacking is not None and lacking[1] is None else None
        second = None
        if self._turns_sign(r, name):
            second = Mistake("sign", r.tree, r.old, r.new, kind="sign", whole=not r.path, cost=COST["sign"])
        return Mistake(
            name,
            None if another else r.tree,
            r.old,
            r.new,
            detail,
            kind=kind,
            slope=slope.tree if slope else None,
            function=slope.function if slope else "",
            node=slope.node if slope else "",
            whole=not r.path,
            cost=cost,
            second=second,
        )

    def _turns_sign(self, r: Repair, name: str) -> bool:
        """Does an edit of something else change the sign, too? Then there are two mistakes."""
        if r.kind == "scale-sign":
            return name in ("factor", "missing-mean-factor")
        before, after = (t.op == "sum" and t.data == (-1,) for t in (r.old, r.new))
        if r.kind == "replace":
            return after and r.old.op != "sum"
        return before != after and r.kind in ("multiply", "divide")

    def inverse(self, r: Repair, form: Tree) -> Mistake:
        """The name of a mistake that changed the right formula by this edit: roles exchanged."""
        back = {
            "delete-term": "add",
            "delete-factor": "multiply",
            "multiply": "delete-factor",
            "divide": "multiply",
            "add": "delete-term",
            "reduce": "unreduce",
            "unreduce": "reduce",
        }.get(r.kind, r.kind)
        turned = replace(r, tree=form, old=r.new, new=r.old, kind=back)
        self.start = r.tree
        mistake = self(turned)
        self.start = self.search.link
        extra = 7.0 if r.kind in ("sign", "signs", "comparison") and r.path else 0.6
        if r.kind == "delete-term":
            extra = -0.6 - min(1.0, 0.35 * max(0, _moved(turned.old, turned.new) - 1))
            if mistake.name == "wrong-activation-derivative":
                extra = 0.8  # rather a term of the product rule
        kept = r.kind in ("ratio", "sign", "scale") and not r.path
        second = mistake.second if kept else None
        return replace(mistake, tree=None, cost=mistake.cost + (0.0 if kept else extra), whole=False, second=second)

    # ---- what an edit is ---------------------------------------------------------------------------

    def _name(self, r: Repair) -> tuple[str, float, Slope | None]:
        above = self._above(r)
        in_argument = self._in_argument(r)
        slope = self._slope_mended(r)
        kind = r.kind
        if self._exponent(r):
            if in_argument or self._beside_summand(r):
                return "wrong-argument", -0.3, None  # u for u² in u² - y
            return "wrong-activation-derivative", -1.6, None
        if kind in ("multiply", "divide", "delete-factor") and r.detail is not None and not in_argument:
            scalar = self._scalar(r.detail)  # inside a slope too
            if scalar is not None:
                return scalar, 0.3, None
        if (
            slope is not None
            and r.path
            and kind in ("multiply", "divide", "add", "delete-term", "delete-factor", "number")
        ):
            return "wrong-activation-derivative", -0.6, slope
        if kind in ("sign", "signs") and any(a == "compare" for a in above):
            return "wrong-activation-derivative", -1.5, slope
        if kind in ("sign", "signs"):
            if slope is not None and r.path and slope.function != "power":
                return "wrong-activation-derivative", -1.5, slope
            if in_argument:
                return "wrong-argument", -2.0, None
            return "sign", 0.0 if kind == "sign" else 0.5, None
        if kind == "comparison":
            return "wrong-activation-derivative", -1.5, slope
        if kind in ("scale", "scale-sign", "number"):
            if slope is not None and r.path and kind != "scale":
                return "wrong-activation-derivative", -1.0, slope
            if in_argument or "compare" in above:
                return "wrong-argument", -0.5, None
            if kind == "number":
                return "factor", 1.0, None
            return ("missing-mean-factor" if r.sizes else "factor"), (0.5 if kind == "scale-sign" else 0.0), None
        if kind in ("transpose", "transpose-all", "transposes", "order", "regroup"):
            return self._order(r)
        if kind == "hadamard":
            return "hadamard-vs-matmul", 0.0, None
        if kind in ("index", "letter"):
            return "index-swap", (-1.5 if kind == "index" else -0.9), None
        if kind == "mean":
            return "missing-mean-factor", 0.0, None
        if kind in ("reduce", "reduce-mean", "unreduce", "axis", "keepdims", "shape"):
            return self._reduction(r)
        if self._in_slope_place and kind in ("delete-term", "add", "bracket", "replace", "function"):
            old, new = _narrowed(r.old, r.new)
            if _skeleton(old) != _skeleton(new) and self._ratio_of(self.student, r.tree) is None:
                return "wrong-activation-derivative", -1.0, self._in_slope_place
        if kind == "delete-term":
            return "extra-term", 0.0 if not in_argument else 0.5, None
        if kind == "delete-factor":
            assert r.detail is not None
            return self._extra(r.detail, r, slope)
        if kind == "bracket":
            return self._bracket(r, slope)
        if kind == "symmetric":
            return "missing-path", 0.5, None
        if kind == "multiply" or kind == "insert":
            assert r.detail is not None
            if kind == "multiply" and self._divided(r):
                return self._extra(r.detail, replace(r, kind="divide"), slope)
            name, adjust, which = self._missing(r.detail, r)
            if which is not None and self._is_output(r, which):
                return "wrong-argument", 0.5, None  # z · 1[z > 0] is the activation itself
            if in_argument:
                return "wrong-argument", 0.5, None
            if kind == "multiply" and self._beside_number(r):
                adjust += 1.0  # 1 - a·u for 1 - a
            return name, adjust + (0.5 if kind == "insert" else 0.0), which
        if kind == "divide":
            assert r.detail is not None
            return self._extra(r.detail, r, slope)
        if kind == "add":
            return self._added(r, in_argument)
        if kind in ("name", "names", "function", "replace"):
            return self._replaced(r, slope, in_argument, above)
        return "other", 0.0, None

    def _exponent(self, r: Repair, by: Tree | None = None) -> bool:
        """Does the edit change the exponent of a part that is there: u² for u, 1/n² for 1/n? `by` is what is put in,
        where it is not the detail."""
        base, parent = None, self._parent(r)
        if r.kind in ("number", "exponent"):
            base = parent.args[0] if parent.op == "power" and r.path[-1] == 1 else None
        elif r.kind == "delete-factor" and r.old.op == "power" and r.old.args[0] is r.new:
            base = r.new
        elif by is not None or r.kind in ("multiply", "divide"):
            put, sign = by if by is not None else r.detail, -1 if by is None and r.kind == "divide" else 1
            if put is None or self._scalar(put) is not None:
                return False
            if put.op == "product" and put.args[0] is ONE and put.data[0] == (1, -1):
                put, sign = put.args[1], -sign
            beside = _bases(r.old) | (_bases(parent) if parent.op == "product" else set())
            base = put if (shape_of_names(put), sign) in beside else None
        return base is not None and not self._is_factor(base)

    def _parent(self, r: Repair) -> Tree:
        """What the place of an edit is a part of."""
        parent = self.start
        for k in r.path[:-1]:
            parent = parent.args[k] if k < len(parent.args) else parent
        return parent

    def _is_factor(self, part: Tree) -> bool:
        """Does the network multiply by a part: a weight, so that one more of it is a factor of the chain?"""
        like = shape_of_names(part)
        if any(t.op == "gradient" for t in part.walk()):
            return True
        for body in self.lexicon.definitions.values():
            for t in body.walk():
                matrix = t.op == "chain" or (t.op == "call" and t.data[0] in ("dot", "outer"))
                if matrix and any(shape_of_names(untransposed(a)) == like for a in t.args):
                    return True
                if t.op == "product" and part.op in ("name", "entry") and like[0] == "name":  # type: ignore[index]
                    pairs = zip(t.args, t.data[0], strict=True)
                    if like[1] not in self.lexicon.definitions and any(  # type: ignore[index]
                        p > 0 and shape_of_names(a) == like for a, p in pairs
                    ):
                        return True
        return False

    def _beside_summand(self, r: Repair) -> bool:
        """Is the place a whole summand beside others that are no numbers?"""
        parent = self._parent(r)
        return bool(r.path) and parent.op == "sum" and r.old.op in ("name", "entry", "call") and len(parent.args) > 1

    def _inside_call(self, tree: Tree, part: Tree) -> bool:
        """Is a part inside the argument of a function?"""
        return any(
            t.op == "call" and t.data[0] not in (*PLAIN, "where") and t is not part and part in t.walk()
            for t in tree.walk()
        )

    def _beside_number(self, r: Repair) -> bool:
        """Is the place in a summand beside a number?"""
        tree, found = self.search.link, False
        for k in r.path:
            found |= tree.op == "sum" and any(a.op == "number" for i, a in enumerate(tree.args) if i != k)
            if k >= len(tree.args):
                break
            tree = tree.args[k]
        return found

    def _divided(self, r: Repair) -> bool:
        """Does the formula divide by what stands at the place?"""
        tree, below = self.search.link, False
        for k in r.path:
            if tree.op == "product" and k < len(tree.args):
                below ^= tree.data[0][k] < 0
            if k >= len(tree.args):
                break
            tree = tree.args[k]
        return below

    def _above(self, r: Repair) -> tuple[str, ...]:
        ops, tree = [], self.search.link
        for k in r.path:
            ops.append(tree.op if tree.op != "call" else f"call:{tree.data[0]}")
            if k < len(tree.args):
                tree = tree.args[k]
        return tuple(ops)

    def _in_argument(self, r: Repair) -> bool:
        """Is the place inside the argument of a function of something that varies (no reduction, no
        product, no branch of a case distinction)?"""
        tree = self.search.link
        for k in r.path:
            if tree.op == "call" and tree.data[0] not in PLAIN and not (tree.data[0] == "where" and k > 0):
                if self._scalar(tree) is None:
                    return True
            if k >= len(tree.args):
                break
            tree = tree.args[k]
        return False

    def _bracket(self, r: Repair, slope: Slope | None) -> tuple[str, float, Slope | None]:
        if r.detail is not None:
            known = self.slope_like(r.detail)
            if known is not None:
                return "missing-activation-derivative", -1.0, known
        return "other", 0.0, slope

    def _order(self, r: Repair) -> tuple[str, float, None]:
        """A transpose, or the order: by the names of the matrix factors read from left to right."""
        above = [a for a in self._above(r) if a not in ("product", "sum", "transpose")]
        if above[-1:] in (["call:sum"], ["call:mean"]):
            return "wrong-argument", 0.5, None
        adjust = {"transpose-all": 0.4, "transposes": 0.8, "regroup": 0.5}.get(r.kind, 0.0)
        if not r.path and r.kind == "transpose":
            adjust += 0.3
        if any(t.op == "entry" for t in self.search.link.walk()):
            return "index-swap", adjust - 1.5, None
        same_order = _factor_order(self.search.link) == _factor_order(r.tree)
        return ("missing-transpose" if same_order else "swapped-order"), adjust, None

    def _reduction(self, r: Repair) -> tuple[str, float, None]:
        fits = self.search.shape_fits
        if r.kind in ("keepdims", "shape"):
            return ("shape" if not fits else "wrong-argument"), 0.0, None
        if r.kind == "axis":
            return ("shape", -0.7, None) if not fits else ("wrong-argument", -2.4, None)
        if r.kind == "unreduce":
            return ("shape", 0.0, None) if not fits else ("extra-term", 0.5, None)
        if r.kind == "reduce-mean":
            return "missing-sum", 0.5 if not fits else 3.5, None
        return "missing-sum", 0.0 if not fits else 3.0, None

    # ---- what was put in or taken out --------------------------------------------------------------

    def _missing(self, tree: Tree, r: Repair) -> tuple[str, float, Slope | None]:
        """A factor that is missing."""
        scalar = self._scalar(tree)
        if scalar is not None:
            return scalar, 0.5, None
        if self._exponent(r, tree):
            return "wrong-activation-derivative", -1.6, None
        slope = self.slope_like(tree)
        if slope is not None:
            return "missing-activation-derivative", 0.0, slope
        whole = self._slope_within(r.tree, True)
        own = frozenset[str]() if whole is None else tree.names - whole.argument.names - {whole.node}
        if own and own == tree.names - self.lexicon.reader.sizes:
            whole = None  # a weight is no part of a function's slope
        if whole is not None and self._slope_within(self.student, True) is None:
            within = None if self._is_value(r, whole) else self._slope_within(tree)
            if within is not None:
                return "missing-activation-derivative", 0.3, within
            return "wrong-activation-derivative", (-1.6 if self._is_value(r, whole) else -1.0), whole
        return "missing-factor", 0.0, None

    def _is_value(self, r: Repair, slope: Slope) -> bool:
        """Does the function's value stand where its slope belongs, here or as a factor beside?"""
        factors = self._factors(r.old)
        if r.path:
            parent = self.start
            for k in r.path[:-1]:
                parent = parent.args[k] if k < len(parent.args) else parent
            factors |= self._factors(parent) if parent.op == "product" else set()
        like = shape_of_names(slope.output)
        return any(shape_of_names(f) == like for f in factors)

    def _extra(self, tree: Tree, r: Repair, slope: Slope | None) -> tuple[str, float, Slope | None]:
        scalar = self._scalar(tree)
        if scalar is not None:
            return scalar, 0.3, None
        if r.kind == "delete-factor" and (tree, -1) in _flat(r.old)[0]:
            gone = self.slope_like(tree)
            if gone is not None:  # what is divided by a slope lacks it
                return "missing-activation-derivative", -0.3, gone
        if slope is not None and r.path:
            return "wrong-activation-derivative", -0.6, slope
        if r.kind == "delete-factor":
            value = self._value_for_slope(tree, r)
            if value is not None:
                return "wrong-activation-derivative", -1.3, value
        if r.kind == "divide" and tree not in self._factors(r.old):
            inverse = self.slope_like(c.product((ONE, tree), (1, -1)))
            if inverse is not None:
                return "missing-activation-derivative", 0.5, inverse
            if self._completes(r):
                return "wrong-activation-derivative", 0.0, self._slope_within(r.tree, True)
            return "missing-factor", 0.7, None
        if self._completes(r):
            return "wrong-activation-derivative", -0.6, self._slope_within(r.tree, True)
        return "extra-term", 0.0, None

    def _value_for_slope(self, tree: Tree, r: Repair) -> Slope | None:
        """The slope in whose place its function's value stands: z · 1[z > 0] for 1[z > 0]."""
        branch = "call:where" in self._above(r)
        for slope in self.lexicon.slopes:
            if shape_of_names(slope.argument) != shape_of_names(tree):
                continue
            if branch and slope.function == "where" and slope.whole:
                return slope
            if slope.tree.op == "compare":
                if any(shape_of_names(t) == shape_of_names(slope.tree) for t in r.old.walk()):
                    return slope
        return None

    def _completes(self, r: Repair) -> bool:
        """Does the edit make a slope of what was none?"""
        return self._slope_within(r.tree, True) is not None and self._slope_within(self.student, True) is None

    def _factors(self, tree: Tree) -> set[Tree]:
        return {t for t, _ in _flat(tree)[0]}

    def _scalar(self, tree: Tree) -> str | None:
        """ "factor" or "missing-mean-factor" for what is made of numbers, coefficients and sizes."""
        if tree in self.lexicon.totals:
            return "missing-mean-factor"
        names = tree.names
        if tree.gradients or any(t.op in ("entry", "compare", "over", "jacobian") for t in tree.walk()):
            return None
        if any(t.op == "call" and t.data[0] in ("eye", "ones", "zeros", "ones_like", "diag") for t in tree.walk()):
            return None  # made of sizes, and no number
        sizes = self.lexicon.reader.sizes
        if names and names <= sizes:
            return "factor" if any(t.op == "call" for t in tree.walk()) else "missing-mean-factor"
        if names <= sizes | self.coefficients | {"pi"}:
            return "factor"
        return None

    def _added(self, r: Repair, in_argument: bool) -> tuple[str, float, None]:
        tree = r.detail
        assert tree is not None
        about = self.search.about
        if in_argument:
            return "wrong-argument", 1.0, None
        free = tree.names - self.coefficients - self.lexicon.reader.sizes - {"pi"}
        penalised = about in self.lexicon.penalised
        if about and penalised and free == {about} and not tree.gradients and self._is_penalty(tree):
            return "missing-regulariser", -0.5, None
        if self._scalar(tree) is not None:
            return "missing-term", 2.0, None
        if any(a not in ("sum", "product", "transpose") for a in self._above(r)):
            return "missing-term", 1.5, None
        return "missing-path", 0.8, None

    def _is_penalty(self, tree: Tree) -> bool:
        return bool(tree.names & self.coefficients) or any(t.op == "number" for t in tree.walk())

    def _replaced(
        self, r: Repair, slope: Slope | None, in_argument: bool, above: tuple[str, ...]
    ) -> tuple[str, float, Slope | None]:
        old, new = r.old, r.new
        if not r.path and r.kind in ("replace", "function") and self.student is self.search.link:
            old, new = self.search.link, r.tree
        if r.kind == "replace":
            start = old
            old, new = _narrowed(old, new)
            in_argument |= self._inside_call(start, old)
        softmax = self._softmax_diagonal()
        if softmax is not None and not self._has_diagonal(r.tree):
            return "wrong-activation-derivative", -0.5, softmax
        mended = slope if r.path or r.kind == "name" else None
        if _summed(old, new):
            return "missing-sum", 1.0, None
        if new.op == "gradient" and old.op != "gradient":
            forms = self.lexicon.forms(str(new.data[0]))
            if any(_terms_between(old, f) == "more" for f in forms):
                return "missing-path", 0.5, None
        direct = self.slope_like(new) if r.kind != "names" else None
        if direct is not None and old.op == "call" and old.data[0] in ("ones", "ones_like"):
            return "missing-activation-derivative", -0.3, direct
        same_kind = _skeleton(old) == _skeleton(new)
        if r.kind == "names" or (r.kind == "name" and _one_family(old, new)):
            return "index-swap", 0.0, None
        if r.kind == "name" and old.op == new.op == "gradient":
            return self._other_gradient(old, new)
        if r.kind == "name" and old.op == new.op == "name" and self._computed_from(old, new):
            return "wrong-argument", -0.7, None
        if _turned(old, new):
            return "missing-transpose", 1.0, None
        ratio = self._ratio_of(old, new) if mended is None else None
        if ratio is not None and not in_argument:
            return ratio, 1.0, None
        scalars = self._scalar(old), self._scalar(new)
        if None not in scalars and not in_argument and mended is None:
            return ("missing-mean-factor" if "missing-mean-factor" in scalars else "factor"), 0.5, None
        if self._before(old, new):
            return "wrong-argument", 0.0, None
        if new.op == "call" and new.args and new.args[0] is old and mended is None:
            return "wrong-argument", 1.2 if r.kind == "function" else 0.3, None
        between = self._known_factor(old, new) if r.kind in ("name", "replace") and not in_argument else None
        if between is not None:
            missing = self._missing(between, r)
            return missing[0], missing[1] + 0.2, missing[2]
        if {old.op, new.op} == {"product", "chain"} and set(map(untransposed, old.args)) == set(
            map(untransposed, new.args)
        ):
            return "hadamard-vs-matmul", 0.0, None
        if _inverted(old, new) and self._divides(new):
            return "hadamard-vs-matmul", 0.0, None
        if self._transposed(old, new):
            return "missing-transpose", 0.5, None
        factor = _factor_between(old, new)
        if factor is not None and not in_argument:
            lacking, extra = factor
            if lacking is not None and extra is None:
                return self._missing(lacking, r)
            if extra is not None and lacking is None:
                return self._extra(extra, r, slope)
        if direct is not None and self.slope_like(old) is None:
            if same_kind:
                return "wrong-argument", -0.4, direct
            return "wrong-activation-derivative", -0.3, direct
        if direct is not None:
            return ("wrong-argument", -0.4, direct) if same_kind else ("wrong-activation-derivative", -0.6, direct)
        if mended is not None:
            if r.kind == "name" and same_kind:
                return "wrong-argument", -0.7, mended
            exponent = r.kind == "function" and new.op == "power" and new.args[0] is old
            return "wrong-activation-derivative", (-0.5 if exponent else 0.0), mended
        gone = self._slope_within(self.student)
        if gone is not None and self._slope_within(r.tree) is None and r.kind == "replace":
            return "wrong-activation-derivative", 0.3, gone
        terms = _terms_between(old, new)
        if terms == "more":
            return ("wrong-argument" if in_argument else "missing-path"), 1.0, None
        if terms == "less":
            return "extra-term", 0.5, None
        if new.op == "name" and new.data[0] in self.lexicon.definitions:
            return "wrong-argument", 0.5, None
        if in_argument or r.kind == "name" or same_kind or old.op in ("name", "gradient"):
            return "wrong-argument", 0.0, None
        if r.kind == "function":
            return "wrong-argument", 1.2, None
        coming = self._slope_within(new)
        if coming is not None and self._slope_within(old) is None:
            return "missing-activation-derivative", 1.5, coming
        return "other", 0.0, None

    def _other_gradient(self, old: Tree, new: Tree) -> tuple[str, float, Slope | None]:
        """The gradient of another node: of one further on, its slope is missing."""
        a, b = old.data[0], new.data[0]
        if a in self.lexicon.below(b):
            body = self.lexicon.definitions.get(a)
            if (
                body is not None
                and b in body.names
                and len(self.lexicon.graph[a].shape) == len(self.lexicon.graph[b].shape)
            ):
                slope = next((s for s in self.lexicon.slopes if s.node == a), None)
                if slope is not None:
                    return "missing-activation-derivative", 0.5, slope
        return "wrong-argument", 0.0, None

    def _ratio_of(self, old: Tree, new: Tree) -> str | None:
        """The name of a constant between two parts."""
        try:
            a, b = self.lexicon.points.value(old), self.lexicon.points.value(new)
        except ShapeError:
            return None
        ratios = []
        for x, y in zip(a, b, strict=True):
            if x.array.shape[1:] != y.array.shape[1:] or x.letters != y.letters:
                return None
            u, v = np.broadcast_arrays(x.array, y.array)
            norm = float((u * u).sum())
            if not np.isfinite(norm) or norm < 1e-20:
                return None
            k = float((u * v).sum()) / norm
            if not np.abs(v - k * u).max(initial=0.0) <= CLOSE * np.abs(v).max(initial=0.0) or u.size < 2:
                return None
            ratios.append(k)
        found = self.lexicon.scalar(ratios)
        if found is None:
            return None
        tree, sign, sizes = found
        if tree is ONE or (tree.op == "number" and tree.data[0] == 1):
            return "sign" if sign < 0 else None
        return "missing-mean-factor" if sizes else "factor"

    def _softmax_diagonal(self) -> Slope | None:
        """The slope p(1 − p) of a softmax, where the student's formula has it."""
        for slope in self.lexicon.slopes:
            if slope.function == "softmax" and self._holds_slope(self.student, slope):
                return slope
        return None

    def _has_diagonal(self, tree: Tree) -> bool:
        return any(s.function == "softmax" and self._holds_slope(tree, s) for s in self.lexicon.slopes)

    def _holds_slope(self, tree: Tree, slope: Slope) -> bool:
        wanted = Counter(zip(slope.tree.args, slope.tree.data[0], strict=True)) if slope.tree.op == "product" else None
        for t in tree.walk():
            if wanted is not None and t.op == "product" and not wanted - Counter(zip(t.args, t.data[0], strict=True)):
                return True
        return False

    @cached_property
    def _in_slope_place(self) -> Slope | None:
        """The slope that belongs where the student has something else: the formula is the gradient
        of the node behind an elementwise function, times something of this node alone."""
        lexicon, about = self.lexicon, self.search.about
        users = lexicon.graph.consumers().get(about, []) if about else []
        if len(users) != 1:
            return None
        slope = next((s for s in lexicon.slopes if s.node == users[0] and s.whole), None)
        if slope is None or slope.function in ("softmax", "log_softmax", "norm", "logsumexp"):
            return None
        own = {about, users[0], "pi"} | self.coefficients
        for upper in (c.gradient(users[0], lexicon.graph.adjoint_name(users[0])), *lexicon.forms(users[0])):
            rest = quotient(self.student, upper)
            if rest is not None and rest.names <= own and not rest.gradients and rest.names & {about, users[0]}:
                return slope
        return None

    def _is_output(self, r: Repair, slope: Slope) -> bool:
        """Is the part, multiplied by the slope, simply the function's value?"""
        if r.old.op != "name" or slope.output.op != "name":
            return False
        a, b = self.search.value(r.new), self.search.value(slope.output)
        return a is not None and b is not None and a.shape == b.shape and bool(np.allclose(a.array, b.array))

    def _gate(self, old: Tree, new: Tree) -> Tree | None:
        """What one node is multiplied by, entry by entry, to give another: its gate or mask."""
        body = self.lexicon.definitions.get(str(new.data[0])) if new.op == "name" else None
        if body is None or body.op != "product" or body.data[0] != (1,) * len(body.args):
            return None
        rest = [a for a in body.args if a is not c.name(str(old.data[0]))]
        if len(rest) != len(body.args) - 1:
            return None
        return rest[0] if len(rest) == 1 else c.product(rest)

    def _computed_from(self, old: Tree, new: Tree) -> bool:
        """Is one node a step of the network away from the other: before or after a mask, an activation?"""
        a, b = str(old.data[0]), str(new.data[0])
        nodes = self.lexicon.graph.nodes
        if a not in nodes or b not in nodes or len(nodes[a].shape) != len(nodes[b].shape):
            return False
        users = self.lexicon.graph.consumers()
        return b in users.get(a, ()) or a in users.get(b, ())

    def _before(self, old: Tree, new: Tree) -> bool:
        """Is one the function value of the other: before for after the activation, or the reverse?"""
        if old.op != "name" or new.op != "name":
            return False
        bodies = [(self.lexicon.definitions.get(x.data[0]), y) for x, y in ((new, old), (old, new))]
        return any(b is not None and b.op == "call" and b.args and b.args[0] is y for b, y in bodies)

    def _divides(self, new: Tree) -> bool:
        """Does the student's formula divide by, or raise to a power, what the new part inverts?"""
        return any(
            (
                t.op == "product"
                and any(p < 0 and new.names >= a.names != frozenset() for a, p in zip(t.args, t.data[0]))
            )
            or t.op == "power"
            for t in self.search.link.walk()
        )

    def _known_factor(self, old: Tree, new: Tree) -> Tree | None:
        """The part of the right formula by which `new` is more than `old`, elementwise."""
        a, b = self.search.value(old), self.search.value(new)
        if a is None or b is None or a.shape != b.shape or a.letters or b.letters or not a.shape:
            return None
        x, y = np.broadcast_arrays(a.array, b.array)
        if x.shape[0] != self.search.batch.count or (x == 0).any():
            return None
        trees, matrix = self.search.pool.rows((), x.shape)
        found = proportional(matrix, (y / x).ravel())
        return trees[found[0][0]] if found else None

    def _transposed(self, old: Tree, new: Tree) -> bool:
        try:
            return old is not new and self._same_value(c.transpose(old), new) and not self._same_value(old, new)
        except ShapeError:
            return False

    def _same_value(self, a: Tree, b: Tree) -> bool:
        u, v = self.lexicon.points.value(a), self.lexicon.points.value(b)
        return all(x.shape == y.shape and len(x.shape) == 2 for x, y in zip(u, v, strict=True)) and same(
            [x.array for x in u], [y.array for y in v]
        )

    # ---- slopes ------------------------------------------------------------------------------------

    def slope_like(self, tree: Tree, whole: bool = False) -> Slope | None:
        """The slope of the network that this part is, up to a constant; None if it is none."""
        value = self.search.value(tree)
        if value is None:
            return None
        a = value.array
        if not np.isfinite(a).all() or not np.ptp(a) > 1e-9 * np.abs(a).max(initial=0.0):
            return None
        shape = (self.search.batch.count, *a.shape[1:])
        wide = np.broadcast_to(a, shape).ravel()
        for slope in self.lexicon.slopes:
            if whole and not slope.whole:
                continue
            v = self.search.value(slope.tree)
            if v is None:
                continue
            for s in _layouts(v, value):
                row = spread(s, value.letters, shape)
                if row is not None and _is_multiple(wide, row):
                    return slope
        return None

    def _slope_within(self, tree: Tree, whole: bool = False) -> Slope | None:
        """A slope of the network among the parts of a formula; with `whole`, of a node itself."""
        for part in tree.walk():
            if part.op in ("number", "gradient", "letter", "name"):
                continue
            found = self.slope_like(part, whole) if part.weight <= 16 else None
            if found is not None:
                return found
            n = len(part.args)
            if part.op != "product" or n < 3:
                continue
            groups: list[tuple[int, ...]] = list(itertools.combinations(range(n), 2))
            groups += list(itertools.combinations(range(n), n - 1)) if 3 < n < 7 else []
            for group in groups:
                some = c.product([part.args[i] for i in group], [part.data[0][i] for i in group])
                if some.weight > 20:
                    continue
                found = self.slope_like(some, whole)
                if found is not None:
                    return found
        return None

    def _slope_mended(self, r: Repair) -> Slope | None:
        """A part around the place that is a slope now and was none before."""
        old, new = self.start, r.tree
        if r.kind in ("names", "transposes", "transpose-all", "axis") and not r.path:
            return None
        pairs: list[tuple[Tree, Tree]] = []
        for k in r.path:
            if old.op != new.op or k >= len(new.args) or len(old.args) != len(new.args):
                break
            if old.op == "product" and old.data[0][k] < 0:
                pairs.append((c.product((ONE, old.args[k]), (1, -1)), c.product((ONE, new.args[k]), (1, -1))))
            if old.op == "product":
                for m in range(len(old.args)):
                    if m != k and len(old.args) > 2:
                        powers = (old.data[0][k], old.data[0][m])
                        pairs.append(
                            (
                                c.product((old.args[k], old.args[m]), powers),
                                c.product((new.args[k], new.args[m]), powers),
                            )
                        )
            old, new = old.args[k], new.args[k]
            pairs.append((old, new))
        if len(pairs) > 1 or (pairs and not r.path):
            pass
        for a, b in reversed(pairs):
            if a.weight < 2 and r.kind not in ("name",):
                continue
            slope = self.slope_like(b)
            if slope is not None and self.slope_like(a) is None and b.op not in ("name", "gradient"):
                return slope
        if r.path and self.start.weight < 14:
            slope = self.slope_like(r.tree)
            if slope is not None and self.slope_like(self.start) is None:
                return slope
        return None


def _layouts(slope: Value, like: Value) -> list[Value]:
    """The values of a slope with the letters, or as the column, of another value."""
    if not like.letters:
        if len(slope.shape) == 1 and len(like.shape) == 2 and 1 in like.shape:
            shape = like.shape
            return [Value(slope.array.reshape((-1, *shape)))] if np.prod(slope.shape) == np.prod(shape) else []
        return [slope] if slope.shape == like.shape else []
    if like.shape and any(n != 1 for n in like.shape):
        return []
    lengths = dict(zip(like.letters, like.array.shape[1:], strict=False))
    return [
        Value(slope.array, order)
        for order in itertools.permutations(like.letters, len(slope.shape))
        if all(lengths[x] == n for x, n in zip(order, slope.shape, strict=True))
    ]


def _is_multiple(a: Array, s: Array) -> bool:
    """Is a a number times s?"""
    norm = float((s * s).sum())
    if norm < 1e-20 or not np.isfinite(norm):
        return False
    k = float((s * a).sum()) / norm
    return bool(k and np.abs(a - k * s).max(initial=0.0) <= 1e-7 * np.abs(a).max(initial=0.0))


def _narrowed(old: Tree, new: Tree) -> tuple[Tree, Tree]:
    """The parts that differ, where the rest of two formulas is the same."""
    while old.op == new.op and old.data == new.data and len(old.args) == len(new.args):
        other = [k for k, (a, b) in enumerate(zip(old.args, new.args, strict=True)) if a is not b]
        if len(other) != 1:
            break
        old, new = old.args[other[0]], new.args[other[0]]
    if old.op == new.op in ("sum", "product") and old is not new:
        signs = (old.data, new.data) if old.op == "sum" else (old.data[0], new.data[0])
        left, right = (list(zip(t.args, s, strict=True)) for t, s in zip((old, new), signs, strict=True))
        for pair in list(left):
            if pair in right:
                left.remove(pair)
                right.remove(pair)
        if len(left) == len(right) == 1 and left[0][1] == right[0][1]:
            return _narrowed(left[0][0], right[0][0])
    if old.op == new.op == "chain":
        a, b = list(old.args), list(new.args)
        while len(a) > 1 and len(b) > 1 and a[0] is b[0]:
            a, b = a[1:], b[1:]
        while len(a) > 1 and len(b) > 1 and a[-1] is b[-1]:
            a, b = a[:-1], b[:-1]
        old, new = (x[0] if len(x) == 1 else c.chain(x) for x in (a, b))
    return old, new


def _summed(old: Tree, new: Tree) -> bool:
    """The new part is the old one, added up."""
    if new.op != "call" or not new.args:
        return False
    if new.data[0] in ("sum", "mean"):
        return new.args[0] is old
    return new.data[0] == "dot" and old.op == "product" and set(old.args) == set(new.args)


def _inverted(old: Tree, new: Tree) -> bool:
    """inv(X) for 1/X, X @ X for X**2."""
    if old.names != new.names:
        return False
    has = [{t.op if t.op != "call" else str(t.data[0]) for t in x.walk()} for x in (old, new)]
    matrix = has[1] - has[0]
    return ("inv" in matrix and "inv" not in has[0]) or (has[0] >= {"power"} and "chain" in matrix)


def _turned(old: Tree, new: Tree) -> bool:
    """The same but for a flip or a transpose."""

    def bare(t: Tree) -> object:
        while t.op == "transpose" or (t.op == "call" and t.data[0] in ("flip", "transpose")):
            t = t.args[0]
        return (t.op, t.data, tuple(bare(a) for a in t.args)) if t.args else t

    return old is not new and bare(old) == bare(new)


def _moved(old: Tree, new: Tree) -> int:
    """How many nodes the edit takes out and puts in."""
    a, b = (Counter((t.op, t.data) for t in x.walk()) for x in (old, new))
    return (a - b).total() + (b - a).total()


def _skeleton(tree: Tree) -> object:
    """The form of a formula without its names."""
    if tree.op in ("name", "gradient"):
        return "x"
    return (tree.op, str(tree.data), tuple(_skeleton(a) for a in tree.args))


def _one_family(a: Tree, b: Tree) -> bool:
    """Names that differ in their number only."""
    k = int(a.op == b.op == "jacobian" and a.data[0] == b.data[0])  # the node that a Jacobian is by
    x, y = (re.fullmatch(r"(.*?)_?(\d+)", str(t.data[k] if t.data else "")) for t in (a, b))
    return bool(x and y and x[1] == y[1] and a.op == b.op)


def _factor_order(tree: Tree) -> list[str]:
    """The names of all matrix factors, from left to right, without transposes."""
    found: list[str] = []

    def visit(t: Tree, inside: bool) -> None:
        if t.op in ("name", "gradient", "number"):
            if inside:
                found.append(str(t.data[0]))
            return
        matrix = t.op == "chain" or (t.op == "call" and t.data[0] in ("outer", "dot"))
        if matrix:
            for a in t.args:
                inner: list[str] = [str(x.data[0]) for x in a.walk() if x.op in ("name", "gradient")]
                found.append("·".join(sorted(inner)))
            return
        for a in t.args:
            visit(a, inside)

    visit(tree, False)
    return found


def _flat(tree: Tree) -> tuple[Counter[tuple[Tree, int]], bool]:
    """The factors of a product with their powers, its sign taken off."""
    minus = tree.op == "sum" and tree.data == (-1,)
    if minus:
        tree = tree.args[0]
    if tree.op == "product":
        return Counter(zip(tree.args, tree.data[0], strict=True)), minus
    return Counter([(tree, 1)]), minus


def _bases(tree: Tree) -> set[tuple[object, int]]:
    """The factors of a product and of powers in it, and the signs of their exponents."""
    found = set()
    for t, power in _flat(tree)[0]:
        if t.op == "power":
            t, exponent = t.args
            negative = exponent.data[0] < 0 if exponent.op == "number" else exponent.data == (-1,)
            power = -power if negative else power
        if t.op != "number":
            found.add((shape_of_names(t), power))
    return found


def _factor_between(old: Tree, new: Tree) -> tuple[Tree | None, Tree | None] | None:
    """What `new` has as factors that `old` lacks, and the reverse; None if they share nothing."""
    if new.op == "chain":
        short, long = (list(t.args) if t.op == "chain" else [t] for t in (old, new))
        extra = len(long) - len(short)
        for k in (0, extra) if extra > 0 else ():
            if long[k : k + len(short)] == short:
                rest = [*long[:k], *long[k + len(short) :]]
                return (rest[0] if len(rest) == 1 else c.chain(rest)), None
    a, sa = _flat(old)
    b, sb = _flat(new)
    common = a & b
    if not common or sa != sb:
        return None

    def joined(rest: Counter[tuple[Tree, int]]) -> Tree | None:
        items = list(rest.elements())
        if len(items) == 1 and items[0][1] > 0:
            return items[0][0]
        return c.product([t for t, _ in items], [p for _, p in items]) if items else None

    return joined(b - common), joined(a - common)


def _terms_between(old: Tree, new: Tree) -> str:
    """Is one formula the other with summands more or less?"""

    def terms(t: Tree) -> Counter[tuple[Tree, int]]:
        return Counter(zip(t.args, t.data, strict=True)) if t.op == "sum" else Counter([(t, 1)])

    a, b = terms(old), terms(new)
    if not a - b and b - a:
        return "more"
    if not b - a and a - b:
        return "less"
    return ""
