"""Verdicts: every link of a claim against the truth.

The truth is the value of the claim's left side. A claim is `correct` when every link has that value
at every point, `wrong` when one does not (always with a counterexample), `undecided` when rounding
does not allow to say. What a line says is absolute: `dH1` on the right is the true gradient, unless
an earlier definition of a new name gives it. A line that is wrong only because an earlier line of
the same student was, is wrong too, and `carried` says "correct". In a program, where a name stands
for what an earlier line made of it, the mistake of a line is looked for with the true gradients in
the place of those names: its own mistake, not an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from symbp.claim import Claim, Own, Tree, by_name, call, gradient, number, transpose
from symbp.judge.diagnose import diagnose
from symbp.judge.equal import CLEAR, OTHER, SAME, Difference, clear, difference, fitted, same
from symbp.judge.functions import Array
from symbp.judge.lexicon import Lexicon
from symbp.judge.naming import Mistake
from symbp.judge.points import Points
from symbp.judge.pool import pool_of
from symbp.judge.precise import Closer, Precise
from symbp.judge.prove import proved
from symbp.judge.value import ShapeError

AT_WHICH_POINT = "at which point? A number like this is judged with --at NAME=VALUE"


@dataclass(frozen=True)
class Counterexample:
    """Numbers that anyone can recompute: at these sizes and this point this entry is claimed to be
    one number and is another. A value of another shape has shapes in place of the claimed number."""

    sizes: dict[str, int]
    entry: tuple[int, ...]
    claimed: float | None
    true: float | None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    point: dict[str, Array] | None = None


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one claim. `right` is the right formula for the left side (a tree),
    where `mistake` has no repair of the student's own. `sources` are names of earlier lines that a line
    carries the mistake of."""

    claim: Claim
    verdict: str
    proof: str | None = None
    ratio: str | float | None = None
    carried: str | None = None
    mistake: Mistake | None = None
    counterexample: Counterexample | None = None
    right: Tree | None = None
    link: int = 0
    reason: str = ""
    sources: tuple[str, ...] = ()


class Judge:
    """Judges claims about one network, one after the other."""

    def __init__(
        self, points: Points, seconds: float = 2.0, given: Points | None = None, document: bool = False
    ) -> None:
        self.points, self.seconds, self.given, self.document = points, seconds, given, document
        self.lexicon, self.precise = Lexicon(points), Precise(points)
        self.own: dict[str, Tree] = {}  # node -> the wrong formula that the student gave for its gradient
        self._scaled: dict[str, Tree] = {}  # those of them that are a constant times the gradient

    def __call__(self, claim: Claim) -> Verdict:
        """The verdict on one claim; definitions in it are known to later ones."""
        with np.errstate(all="ignore"):
            return self._judged(claim)

    def _judged(self, claim: Claim) -> Verdict:
        if claim.instances:
            return self._at_every_number(claim)
        if claim.problem:
            return Verdict(claim, claim.problem, reason=claim.message)
        if self.points.reason:
            return Verdict(claim, "undecided", reason=f"there are no points to try it at: {self.points.reason}")
        if claim.left is None:
            return self._definition(claim)
        circular = self._circular(claim)
        if circular:
            return Verdict(claim, "undefined", reason=circular)
        try:
            truth = self._truth(claim)
        except ShapeError as why:
            return Verdict(claim, "unreadable", reason=f"the left side: {why.reason}")
        return self._against(claim, truth)

    def _at_every_number(self, claim: Claim) -> Verdict:
        """A formula for every l is right if it is right at all of them; else the one whose mistake is clearest is
        shown."""
        found = [self(replace(one, text=claim.text, place=claim.place)) for one in claim.instances]
        for verdict in ("wrong", "unreadable", "undefined", "undecided"):
            kind = [v for v in found if v.verdict == verdict]
            if kind:
                worst = min(kind, key=lambda v: v.mistake.cost if v.mistake is not None else 99.0)
                example = worst.counterexample
                if example is not None:
                    example = replace(example, sizes={**example.sizes, **dict(worst.claim.at)})
                return replace(worst, counterexample=example)
        loose = next((v for v in found if v.verdict == "loose"), found[0])
        numeric = next((v for v in found if v.proof != "symbolic"), found[0])
        return loose if loose.verdict == "loose" else numeric

    # ---- kinds of claims -------------------------------------------------------------------------

    def _definition(self, claim: Claim) -> Verdict:
        try:
            values = [self.points.value(link) for link in claim.links]
            first = [v.array for v in values[0]]
            paper = claim.notation != "numpy"
            for n, link in enumerate(values[1:], 1):
                arrays = [fitted(v, t, paper) for v, t in zip(link, values[0], strict=True)]
                found = difference(arrays, first)
                if not found.error <= OTHER:
                    example = self._example(arrays, first, found)
                    return Verdict(claim, "wrong", counterexample=example, link=n, reason="the sides are not equal")
        except ShapeError as why:
            return self._unfit(claim, why, None, 0)
        if claim.defines:
            self.points.define(claim.defines, claim.links[-1])
        return Verdict(claim, "correct", proof="numeric" if len(claim.links) > 1 else None, reason="a definition")

    def _circular(self, claim: Claim) -> str:
        """A gradient may rest on those nearer the loss, never on itself."""
        if not claim.about or claim.update:
            return ""
        used = frozenset[str]().union(*(_written(link) for link in claim.links if not _again(claim, link)))
        if claim.about in used:
            return f"the gradient of {claim.about} is given by itself"
        before = sorted(u for u in used if claim.about in self.lexicon.below(u))
        if before:
            return f"the gradient of {before[0]} comes after that of {claim.about}: it cannot be used here"
        return ""

    def _truth(self, claim: Claim) -> list[Array]:
        assert claim.left is not None
        return [v.array for v in self.points.value(claim.left, claim.links)]

    def _against(self, claim: Claim, truth: list[Array]) -> Verdict:
        assert claim.left is not None
        left, lefts = claim.left, self.points.value(claim.left, claim.links)
        paper = claim.notation != "numpy"
        worst = 0.0
        judged = 0
        if any(t.op == "jacobian" for t in left.walk()) and not self._holds(claim, truth):
            with self.points.locally():
                if self._holds(claim, self._truth(claim)):
                    return Verdict(claim, "correct", proof="numeric")
        for n, link in enumerate(claim.links):
            if _again(claim, link) or (self.given is None and _is_measured(link)):
                continue
            judged += 1
            if self.given is not None and _is_number(link):
                wrong = self._number(claim, link, n)
                if wrong is not None:
                    return wrong
                continue
            if left.op == "jacobian" and self._turned(claim, link):
                claim = replace(claim, loose=True)
                continue
            try:
                values = [fitted(v, t, paper) for v, t in zip(self.points.value(link, (left,)), lefts, strict=True)]
            except ShapeError as why:
                if self._is_of_one_point(link, truth):
                    return Verdict(claim, "undefined", reason=AT_WHICH_POINT)
                alone = self._alone(claim, n, truth)
                return (
                    replace(alone, counterexample=self._misfit(why, truth))
                    if alone
                    else self._unfit(claim, why, truth, n)
                )
            found = difference(values, truth)
            if not (found.error <= CLEAR and clear(truth)):
                closer = self.precise(left, claim.links, link, paper, found)
                if closer is not None and closer.same:
                    continue
                if closer is not None and closer.same is None:
                    return Verdict(claim, "undecided", reason="not even 100 digits show whether this is rounding")
                if closer is not None and found.error <= OTHER:
                    return self._nearly(claim, closer, n)
                if not found.error <= OTHER:
                    if self._is_of_one_point(link, truth):
                        return Verdict(claim, "undefined", reason=AT_WHICH_POINT)
                    if self._is_right_with_own(claim, link, values, truth):
                        continue
                    wrong = self._alone(claim, n, truth)
                    if wrong is None:
                        wrong = self._wrong(claim, values, truth, found, n)
                    else:  # the numbers are those of the line as it stands
                        example, ratio = self._example(values, truth, found), ratio_of(values, truth, self.lexicon)
                        wrong = replace(wrong, counterexample=example, ratio=ratio)
                    if found.strange and closer is not None:  # too large for float64, and a number all the same
                        return replace(wrong, counterexample=self._closer_example(closer), reason="")
                    return wrong
            worst = max(worst, found.error)
        if not judged and any(_is_measured(link) for link in claim.links):
            return Verdict(claim, "undefined", reason=AT_WHICH_POINT)
        if not judged:
            return Verdict(claim, "correct", reason="a definition")
        if worst > SAME:
            reason = f"the values agree to {worst:.0e} only: rounding, or a very small mistake"
            return Verdict(claim, "undecided", reason=reason)
        if claim.loose:
            return Verdict(claim, "loose", proof="numeric")
        proof = "symbolic" if all(proved(self.lexicon, claim, link) for link in claim.links) else "numeric"
        return Verdict(claim, "correct", proof=proof)

    def _holds(self, claim: Claim, truth: list[Array]) -> bool:
        """Whether every link has the value of the left side: of ∂u/∂v, which is also the slope of u's own formula."""
        assert claim.left is not None
        try:
            lefts = self.points.value(claim.left, claim.links)
            return all(
                same(
                    [fitted(v, t, True) for v, t in zip(self.points.value(x, (claim.left,)), lefts, strict=True)], truth
                )
                for x in claim.links
            )
        except ShapeError:
            return False

    def _turned(self, claim: Claim, link: Tree) -> bool:
        """Is a Jacobian right in the other layout only?"""
        assert claim.left is not None
        try:
            truths = self.points.value(claim.left)
            if len(truths[0].shape) < 2:
                return False  # of a scalar, or by one: no matrix
            turned = [fitted(v, t, True) for v, t in zip(self.points.value(transpose(link)), truths, strict=True)]
            if not same(turned, [t.array for t in truths]):
                return False
            return not same([v.array for v in self.points.value(link)], [t.array for t in truths])
        except ShapeError:
            return False

    def _number(self, claim: Claim, link: Tree, n: int) -> Verdict | None:
        """A value claimed at the given point; None if it is right to the digits that are written."""
        assert self.given is not None and claim.left is not None
        try:
            lefts = self.given.value(claim.left)
            values = [fitted(v, t, True) for v, t in zip(self.given.value(link), lefts, strict=True)]
        except ShapeError as why:
            return Verdict(claim, "unreadable", reason=f"the value does not fit: {why.reason}")
        true, said = lefts[0].array, np.broadcast_to(values[0], lefts[0].array.shape)
        off = np.abs(true - said)
        allowed = np.maximum(0.505 * _last_digit(link), 1e-6 * np.abs(true)) + 1e-9
        if (off <= allowed).all():
            return None
        entry = tuple(int(i) for i in np.unravel_index(int(np.argmax(off / allowed)), off.shape))
        sizes = dict(self.given.batches[0].sizes)
        example = Counterexample(sizes, entry[1:], float(said[entry]), float(true[entry]))
        right = _numbers(true[0])
        mistake = Mistake("value", right, link, right, whole=True)
        return Verdict(claim, "wrong", mistake=mistake, counterexample=example, right=right, link=n)

    # ---- what is wrong ---------------------------------------------------------------------------

    def _alone(self, claim: Claim, n: int, truth: list[Array]) -> Verdict | None:
        """The verdict on a wrong line of a program with the true gradients in the place of the program's own; None if
        it uses none that is wrong."""
        link = claim.links[n]
        alone = by_name(link, (o for o in claim.own if o.node))
        sources = tuple(o.name for o in claim.own if o.node in alone.gradients and self._is_wrong(o))
        if not sources:
            return None
        line = replace(claim, links=(*claim.links[:n], alone, *claim.links[n + 1 :]), own=())
        verdict = self._against(line, truth)
        if verdict.verdict == "wrong":
            return replace(verdict, claim=claim, sources=sources)
        return Verdict(claim, "wrong", carried="correct", link=n, sources=sources)

    def _is_of_one_point(self, link: Tree, truth: list[Array]) -> bool:
        """Is this a list of numbers, where the truth is another at every point?"""
        if self.given is not None or not _is_number(link):
            return False
        is_list = any(t.op == "call" and t.data[0] in ("stack", "concatenate") for t in link.walk())
        return is_list and any(np.ptp(t, axis=0).max(initial=0.0) > 0 for t in truth)

    def _is_right_with_own(self, claim: Claim, link: Tree, values: list[Array], truth: list[Array]) -> bool:
        """Is the line of a document right with the constant that an earlier line left out of a gradient? Many books say
        `dZ = A - Y` where the loss is a mean, and have the 1/m in `dW = dZ X^T / m`: there every dZ is m times the
        gradient, that of an earlier layer too."""
        if not self.document or not self._scaled or not link.gradients or claim.about in self._scaled:
            return False
        scales = [self._scales(u) for u in link.gradients]
        first = scales[0]
        if first is None or same(first, [np.ones_like(c) for c in first]):
            return False
        if any(c is None or not same(c, first) for c in scales[1:]):
            return False
        return all(v.shape == t.shape for v, t in zip(values, truth, strict=True)) and same(
            [v * float(c) for v, c in zip(values, first, strict=True)], truth
        )

    def _scales(self, node: str) -> list[Array] | None:
        """What the student's gradient of a node is the true one times, in every batch."""
        true = [v.array for v in self.points.value(gradient(node))]
        said = (
            [v.array for v in self.points.value(self._scaled[node], (gradient(node),))]
            if node in self._scaled
            else self.points.backward(node, self._scaled)
        )
        if said is None or any(s.shape != t.shape for s, t in zip(said, true, strict=True)):
            return None
        scales = [np.asarray((s * t).sum() / max(float((t * t).sum()), 1e-30)) for s, t in zip(said, true, strict=True)]
        return scales if same([c * t for c, t in zip(scales, true, strict=True)], said) else None

    def _is_wrong(self, own: Own) -> bool:
        try:
            said, true = self.points.value(own.tree), self.points.value(gradient(own.node))
            return not same([fitted(v, t, False) for v, t in zip(said, true, strict=True)], [t.array for t in true])
        except ShapeError:
            return True

    def _wrong(self, claim: Claim, values: list[Array], truth: list[Array], found: Difference, n: int) -> Verdict:
        example = self._example(values, truth, found)
        ratio = ratio_of(values, truth, self.lexicon)
        carried = self._carried(claim, values, claim.links[n])
        mistake = diagnose(self.lexicon, claim, claim.links[n], values, truth, self.seconds)
        if claim.about:
            if ratio is not None and claim.about not in self.own:
                self._scaled[claim.about] = claim.links[n]
            self.own.setdefault(claim.about, claim.links[n])
        sources = self._carriers(claim, claim.links[n]) if carried else ()
        right = self._right(claim)
        return Verdict(claim, "wrong", None, ratio, carried, mistake, example, right, n, self._why(found), sources)

    def _right(self, claim: Claim) -> Tree | None:
        """The right formula to show, as the left side is written: as an array, or entry by entry."""
        left = claim.left
        if left is None or left.op != "entry" or left.args[0].op != "gradient" or not claim.about:
            return self.lexicon.right(claim)
        whole = self.lexicon.right(replace(claim, left=left.args[0]))
        letters = [i for i in left.data if isinstance(i, str) and i not in (":", "*")]
        if whole is None or len(letters) != len(left.data):
            return None
        return pool_of(self.lexicon, claim.about, claim.notation != "numpy").indexed(whole, tuple(letters))

    def _nearly(self, claim: Claim, closer: Closer, n: int) -> Verdict:
        """A formula that float64 cannot tell from the right one: too near for a search for the mistake."""
        example = self._closer_example(closer)
        reason = f"it is off by {closer.found.error:.0e} of the value, and that is no rounding"
        return Verdict(
            claim, "wrong", None, None, None, Mistake("other"), example, self.lexicon.right(claim), n, reason
        )

    def _closer_example(self, closer: Closer) -> Counterexample:
        batch, (point, *entry) = self.points.batches[closer.found.batch], closer.found.index
        leaves = {n.name: batch.tensors[n.name][point] for n in self.points.graph.leaves}
        return Counterexample(dict(batch.sizes), tuple(entry), closer.claimed, closer.true, point=leaves)

    def _why(self, found: Difference) -> str:
        return "its value is not a finite number" if found.strange else ""

    def _unfit(self, claim: Claim, why: ShapeError, truth: list[Array] | None, n: int) -> Verdict:
        """A formula whose parts, or whose value, do not have the shapes they must have."""
        example = self._misfit(why, truth)
        mistake = None
        if truth is not None:
            mistake = diagnose(self.lexicon, claim, claim.links[n], None, truth, self.seconds)
            if claim.about:
                self.own.setdefault(claim.about, claim.links[n])
        reason = self.lexicon.shape_words(why)
        return Verdict(
            claim,
            "wrong",
            mistake=mistake,
            counterexample=example,
            right=self._right(claim),
            link=n,
            reason=reason,
        )

    def _misfit(self, why: ShapeError, truth: list[Array] | None) -> Counterexample:
        entry = (0,) * (truth[0].ndim - 1) if truth is not None else ()
        true = float(truth[0][(0, *entry)]) if truth is not None else None
        shapes = (why.shapes[0], why.shapes[1]) if len(why.shapes) == 2 else None
        return Counterexample(dict(self.points.batches[0].sizes), entry, None, true, shapes)

    def _example(self, values: Sequence[Array], truth: Sequence[Array], found: Difference) -> Counterexample:
        batch = self.points.batches[found.batch]
        a, t = np.broadcast_arrays(values[found.batch], truth[found.batch])  # one of them may be the same at all points
        point, *entry = found.index or (0,) * t.ndim
        claimed = float(a[(point, *entry)])
        leaves = {n.name: batch.tensors[n.name][point] for n in self.points.graph.leaves}
        return Counterexample(dict(batch.sizes), tuple(entry), claimed, float(t[(point, *entry)]), point=leaves)

    def _carried(self, claim: Claim, values: list[Array], link: Tree) -> str | None:
        """ "correct" if the line follows from the student's own wrong lines."""
        if claim.about and self.own:
            followed = self.points.backward(claim.about, self.own)
            if followed is not None and same(values, followed):
                return "correct"
        return "correct" if self._carriers(claim, link) else None

    def _carriers(self, claim: Claim, link: Tree) -> tuple[str, ...]:
        """A symbol of the student's own that makes the line wrong: with a gradient in its place the line is right."""
        assert claim.left is not None
        lefts = self.points.value(claim.left)
        truth = [v.array for v in lefts]
        for name in [n for n in link.names if n in self.points.definitions]:
            for node in self.points.graph.nodes.values():
                whole = gradient(node.name)
                for by in (whole, call("column", [whole])) if len(node.shape) == 1 else (whole,):
                    try:
                        said = self.points.value(_substituted(link, name, by))
                        arrays = [fitted(v, t, claim.notation != "numpy") for v, t in zip(said, lefts, strict=True)]
                    except ShapeError:
                        continue
                    if same(arrays, truth):
                        texts = [str(t.data[1]) for t in link.walk() if t.op == "name" and t.data[0] == name]
                        return (texts[0] or name,)
        return ()


def _written(tree: Tree) -> frozenset[str]:
    """Nodes whose gradients a formula writes out; what a symbol stands for is not looked into."""
    if tree.op == "alias":
        return frozenset()
    if tree.op == "gradient":
        return frozenset((tree.data[0],))
    return frozenset[str]().union(*map(_written, tree.args))


def _is_number(tree: Tree) -> bool:
    """Is this made of numbers only?"""
    return all(t.op in ("number", "sum", "product", "power", "call") for t in tree.walk())


def _is_measured(tree: Tree) -> bool:
    """Is this a number with so many digits that it is a value at some point, as `0.552`?"""
    texts = [str(t.data[1]) for t in tree.walk() if t.op == "number"] if _is_number(tree) else []
    return any("." in t and len(t.replace(".", "").lstrip("0")) >= 3 for t in texts)


def _again(claim: Claim, link: Tree) -> bool:
    """Is a link the left side once more in other words, as in `dZ := ∂J/∂Z = …`? Alone and in the same words it says
    nothing."""
    assert claim.left is not None
    worded = len(claim.links) > 1 or link is not claim.left
    return worded and bool(link.gradients) and _wordless(link) is _wordless(claim.left)


def _wordless(tree: Tree) -> Tree:
    if tree.op == "alias" or (tree.op == "call" and tree.data[0] in ("column", "row")):
        return _wordless(tree.args[0])
    args = tuple(_wordless(a) for a in tree.args)
    return Tree(tree.op, args, (tree.data[0], "") if tree.op in ("name", "gradient") else tree.data)


def _last_digit(tree: Tree) -> float:
    """One unit of the last decimal that is written, the coarsest of a list; 0 for whole numbers."""
    texts = [str(t.data[1]) for t in tree.walk() if t.op == "number"]
    places = [len(t.partition(".")[2]) for t in texts if "." in t and "e" not in t]
    return 10.0 ** -min(places) if places else 0.0


def _numbers(a: Array) -> Tree:
    """An array as a list of numbers, to six digits."""
    if a.ndim == 0:
        text = f"{float(a) + 0.0:.6g}"
        return number(Fraction(text), text)
    return call("stack", [call("tuple", [_numbers(x) for x in a[:50]])])


def _substituted(tree: Tree, name: str, by: Tree) -> Tree:
    if tree.op == "name" and tree.data[0] == name:
        return by
    if not tree.args:
        return tree
    return tree.with_args([_substituted(a, name, by) for a in tree.args])


def ratio_of(values: Sequence[Array], truth: Sequence[Array], lexicon: Lexicon) -> str | float | None:
    """The constant c with truth = c · value: a number, or a text in sizes and constants."""
    ratios: list[float] = []
    for a, t in zip(values, truth, strict=True):
        if a.shape[1:] != t.shape[1:] or not np.isfinite(a).all() or not np.isfinite(t).all():
            return None
        dot = float((a * a).sum())
        if dot < 1e-20 or float(np.abs(t).max(initial=0.0)) < 1e-9:
            return None
        c = float((a * t).sum()) / dot
        if not same([c * a], [t]):
            return None
        ratios.append(c)
    if not ratios:
        return None
    if max(ratios) - min(ratios) <= 1e-9 * abs(ratios[0]):
        found = lexicon.constant(ratios)
        nice = Fraction(ratios[0]).limit_denominator(1000)
        number = float(nice) if abs(float(nice) - ratios[0]) < 1e-12 * abs(ratios[0]) else ratios[0]
        return found if found is not None else number
    return lexicon.constant(ratios)


def judge(points: Points, claims: Sequence[Claim], seconds: float = 2.0) -> list[Verdict]:
    """The verdicts on claims in the order in which they were written."""
    one = Judge(points, seconds)
    return [one(c) for c in claims]


__all__ = ["Counterexample", "Judge", "Verdict", "judge"]
