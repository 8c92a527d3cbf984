"""Derivation → blocks, written once for all formats.

The blocks are those of blocks.py; their formulas are text in the alphabet asked for, and a format
only lays blocks out. Nothing is derived, simplified or evaluated here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from symbp.arithmetic import length
from symbp.differential import Differentials, differential
from symbp.errors import RequestError
from symbp.expr import ONE, Add, Delta, Entry, Expr, Index, Size, walk
from symbp.family import mentions, number_text, plain_number, split
from symbp.graph import Fact, Graph, Node, adjoint, primal
from symbp.matrix import negated
from symbp.show.alphabet import Alphabet, bare
from symbp.show.blocks import Block, Heading, Prose, Row, Rows, Table
from symbp.show.changes import with_changes
from symbp.show.kinks import conventions, joined
from symbp.show.math import MathPrinter, NumberPrinter
from symbp.show.problems import translated
from symbp.show.style import USUAL, Style
from symbp.show.words import law_name, say
from symbp.steps import Adjoint, Checked, Derivation, Step

DEFINITION = 8  # a longer definition is named, not written out, where a step rests on it


@dataclass(frozen=True)
class Options:
    """What the reader asked for (CONTRACT.md)."""

    form: str = "both"  # delta, closed, both
    detail: str = "normal"  # brief, normal, full
    notation: str = "matrix"  # matrix, index, both
    lang: str = "en"
    delta: str = "plus"
    update: bool = False
    style: Style = USUAL
    exercise: bool = False  # are the answers left blank?
    summary: bool = True  # a table of all results at the end
    marked: bool = True  # are the parts that changed from line to line marked?
    differentials: Differentials | None = None  # the second method: dL = tr(Gᵀ dX)
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # W2 -> the letters (k, j) asked for
    values: tuple[tuple[str, str, str], ...] = ()  # name, forward value, gradient at a point

    def __post_init__(self) -> None:
        if self.exercise and self.style.layout == "numerator":
            raise RequestError(
                "symbp verify marks gradients that are as large as their tensors: with layout=numerator there is no "
                "exercise. --style layout=denominator gives it."
            )


def shape_of(node: Node, alphabet: Alphabet, turned: bool = False) -> str:
    """`N×H`, or nothing for a scalar; or the shape of the transpose, which is a row for a vector."""
    if not node.shape:
        return ""
    cross = r" \times " if alphabet.name == "latex" else "×"
    dims = node.shape
    if turned and len(dims) < 3:
        dims = (ONE, *dims) if len(dims) == 1 else dims[::-1]
    shown = [_size(d, alphabet) for d in dims]
    several = len(shown) > 1  # D + H needs brackets beside another size, and 4*H no star
    return cross.join(f"({s})" if several and isinstance(d, Add) else s for s, d in zip(shown, dims))


def _size(d: Expr, alphabet: Alphabet) -> str:
    from symbp.sizes import size_text

    if isinstance(d, Size) and not d.name.isdigit():
        base, numbers = split(d.name)
        shown = alphabet.tensor(base)
        below = [number_text(n).replace("-", alphabet.minus) for n in numbers]
        return alphabet.numbered(shown, [], below, ()) if below else shown
    return re.sub(r"(?<=\d)\*", "", size_text(d)).replace("*", r" \cdot " if alphabet.name == "latex" else "·")


def document(derivation: Derivation, alphabet: Alphabet, options: Options) -> Iterator[Block]:
    """All blocks of a derivation, in reading order."""
    return Writer(derivation, alphabet, options).blocks()


def _adjoints_in(steps: Iterable[Step]) -> set[str]:
    """The tensors whose error terms the lines of steps name."""
    return {n for step in steps for e in step.lines for n in map(primal, e.tensors) if n is not None}


class Writer:
    """Walks a derivation and words it."""

    def __init__(self, derivation: Derivation, alphabet: Alphabet, options: Options) -> None:
        self.derivation, self.alphabet, self.options = derivation, alphabet, options
        self.graph: Graph = derivation.graph
        self.print = MathPrinter(self.graph, alphabet, options.delta == "minus")
        self.lang = options.lang
        self.named = self._named()
        self.moves = self._movers()
        self.shapes: dict[tuple[tuple[Expr, ...], bool], str] = {}
        self.shown: Counter[str] = Counter()  # how often a kind of local problem was shown in full
        self.forked = False  # does more than one path come back to this tensor, and are they not added yet?
        self.explained = False  # has the sign for one path been explained?
        self.diagonal = False  # has the local slope just shown a δ?
        self.turned = False  # was the last left side ∂L/∂z where the next line is about −∂L/∂z?

    def _named(self) -> set[str]:
        """The leaves whose error term another form or step names."""
        adjoints = self.derivation.adjoints
        named = {n: _adjoints_in(a.steps) - {n} for n, a in adjoints.items() if a.steps}
        found = {u for a in adjoints.values() for u in a.uses}.union(*named.values())
        for a in adjoints.values():
            if not a.steps and a.like:  # the steps of one that it is like, under other names
                found.update(a.renamed.get(n, n) for n in named.get(a.like, ()))
        return {n for n in found if n in self.graph.nodes and self.graph[n].is_leaf}

    def network(self) -> Iterator[Block]:
        """The title, the definitions, and what is known."""
        graph = self.graph
        name = graph.name if graph.name != "network" else f"Loss {graph.loss}"  # it came without a name
        yield Heading(1, bare(graph.title.strip().splitlines()[0] if graph.title.strip() else name))
        yield Heading(2, say("forward", self.lang))
        leaves = [self.alphabet.inline(self.member(n)) for n in graph.leaves]
        if leaves and self.options.detail != "brief":
            yield Prose(self.listed("inputs", leaves))
        yield Rows(tuple(self.forward()))
        known = list(self.known())
        if known:
            yield Prose(self.listed("facts", known))
        for warning in graph.warnings:
            yield Prose(bare(translated(warning, self.lang)))

    def blocks(self) -> Iterator[Block]:
        yield from self.network()
        yield Heading(2, say("backward", self.lang))
        if self.options.delta == "minus":
            yield Prose(say("delta_minus", self.lang, self.print.tensor(self.graph.loss)))
        if self.print.numerator:
            yield Prose(say("numerator", self.lang, self.print.tensor(self.graph.loss)))
        if self.options.detail == "brief":
            yield from self.deltas()
        for a in self.derivation.adjoints.values() if self.options.detail != "brief" else ():
            if a.node.is_leaf and a.node.name not in self.derivation.wrt:
                continue
            yield from self.adjoint(a)
        if self.options.exercise:
            yield Heading(2, say("answers", self.lang))
            yield Rows(tuple(self.blank(r) for r in self.results() if r.left))
            yield Prose(say("answers-how", self.lang, self.alphabet.code("symbp verify NET --claims answers.txt")))
            return
        summary = self.options.summary and self.options.form != "closed" and bool(self.derivation.deltas)
        if self.derivation.gradients and not (summary and self.options.form == "delta"):  # else the table says it
            yield Heading(2, say("result", self.lang))
            yield Rows(tuple(self.results()))
        if self.options.update and self.derivation.gradients:
            yield Heading(2, say("update", self.lang))
            yield Rows(tuple(self.updates()))
        if summary:
            yield Heading(2, say("summary", self.lang))
            yield self.summary()
        if self.options.values:
            yield Heading(2, say("values", self.lang))
            if sums := tuple(self.arithmetic()):
                yield Rows(sums)
            head = tuple(say(k, self.lang) for k in ("tensor", "value", "value-gradient"))
            rows = ((self.print.tensor(n), *(map(self.number, (v, g))))
                    for n, v, g in self.options.values)  # fmt: skip
            yield Table(head, tuple(tuple(self.alphabet.inline(c) if c else "" for c in r) for r in rows))
        if self.derivation.left_out:
            held = [
                say("with-reason", self.lang, self.alphabet.inline(self.print.tensor(n)), self._why_held(n, why))
                for n, why in self.derivation.left_out.items()
            ]
            yield Prose(self.listed("held", held))
        if note := self.kinks():
            yield Prose(note)

    # ---- parts ---------------------------------------------------------------------------------

    def listed(self, key: str, items: Iterable[str]) -> str:
        """`Known: a; b`, with the signs of the language."""
        return say("colon", self.lang, say(key, self.lang)) + say("semicolon", self.lang).join(items)

    def member(self, node: Node) -> str:
        """A tensor and the space it lives in."""
        return self.alphabet.member(self.print.tensor(node.name), self._shape(node))

    def kinks(self, name: str = "") -> str:
        """The conventions at the kinks in the definition of a node, or in all definitions; empty without any."""
        nodes = [self.graph[name]] if name else self.graph.inner
        found = conventions(node.body for node in nodes if node.body is not None)
        sentences = [self._convention(key, found[key]) for key in found]
        if (
            found
            and not name
            and joined(s for a in self.derivation.adjoints.values() for s in self.derivation.steps_of(a))
        ):
            sentences.append(say("kink-joined", self.lang))
        return reduce(lambda before, after: say("two-sentences", self.lang, before, after), sentences, "").strip()

    def _convention(self, key: str, functions: tuple[str, ...]) -> str:
        alphabet = self.alphabet
        if key == "kink":
            words = [
                alphabet.apply("sign", ["0"]) + " = 0" if f == "abs" else alphabet.slope_at_zero(alphabet.function(f))
                for f in functions
            ]
        else:
            words = [alphabet.function(f) for f in functions]
        return say(key, self.lang, say("comma", self.lang).join(alphabet.inline(w) for w in words))

    def summary(self) -> Table:
        """All error terms and all gradients in one table, with their shapes."""
        head = [say(k, self.lang) for k in ("quantity", "formula", "shape")]
        rows = []
        for a in (*self.derivation.deltas, *self.derivation.gradients):
            left = self.print.tensor(adjoint(a.node.name)) if not a.node.is_leaf else self.print.derivative(a.node.name)
            right = self.formula(a.delta, a.node)
            if self.options.notation == "index" or self.print.gradient(a.delta, a.node.axes) is None:
                left = self.signed_entry(a.node)
            rows.append(
                tuple(self.alphabet.inline(c) if c else "" for c in (left, right, self._where_shape(a.node, True)))
            )
        columns = 3 if any(r[2] for r in rows) else 2
        return Table(tuple(head[:columns]), tuple(r[:columns] for r in rows))

    def _why_held(self, name: str, why: str) -> str:
        """`given` for an upstream gradient, else the fact that the user wrote."""
        loss = self.graph[self.graph.loss].body
        if self.graph.upstream and loss is not None and name in loss.tensors:
            return say("given", self.lang)
        return f"{say('held_because', self.lang)} {self.alphabet.code(why)}"

    def letters(self, node: Node) -> dict[Index, str]:
        """The node's letters: those asked for (`--wrt 'W2[k, j]'`), else the usual ones."""
        asked = self.options.entries.get(node.name)
        taken = {a: s for a, s in zip(node.axes, asked) if isinstance(a, Index)} if asked else {}
        return self.print.letters_for(node.indices, taken)

    def known(self) -> Iterator[str]:
        for f in dict.fromkeys(f.text or f.kind for f in self.graph.facts if f.kind != "fixed"):
            yield self.alphabet.code(f)
        for name, value in self.graph.relations.items():
            left, right = self.print.size(Size(name)), self.print.size(value)
            if left != right:  # 12 = 12 is what a slice of a given length leaves
                yield self.alphabet.inline(f"{left} = {right}")

    def forward(self) -> Iterator[Row]:
        for node in self.graph.inner:
            assert node.body is not None
            left, right = self.equation(node, node.body)
            yield Row(left, right, shape=self._where_shape(node))

    def _where_shape(self, node: Node, gradient: bool = False) -> str:
        """The shape, of a tensor or of its gradient, and for which numbers it holds: `l = 1, …, L  n×m`."""
        space = r" \quad " if self.alphabet.name == "latex" else "  "
        return space.join(filter(None, (self.print.turns(node.loops), self._shape(node, gradient))))

    def _shape(self, node: Node, gradient: bool = False) -> str:
        turned = gradient and self.print.numerator
        found = self.shapes.get((node.shape, turned))
        if found is None:
            found = self.shapes[node.shape, turned] = shape_of(node, self.alphabet, turned)
        return found

    def formula(self, e: Expr, node: Node, gradient: bool = True) -> str:
        """A gradient in matrix notation where there is one, else in index notation; or what is as large as the
        tensor itself."""
        if self.options.notation != "index":
            shown = self.print.gradient(e, node.axes) if gradient else self.print.matrix(e, node.axes)
            if shown is not None:
                return shown
        return self.print.index(e, self.letters(node))

    def equation(self, node: Node, e: Expr) -> tuple[str, str]:
        """A definition: in matrices, or entry by entry on both sides."""
        if self.options.notation != "index" and node.name not in self.options.entries:
            shown = self.print.matrix(e, node.axes)
            if shown is not None and not (not node.indices and self.alphabet.one in shown):
                return self.print.tensor(node.name), shown
        letters = self.letters(node)
        return self.print.index(node.entry, letters), self.print.index(e, letters)

    def entry(self, node: Node) -> str:
        """The left side in index notation: ∂L/∂W₁[d,h]."""
        letters = self.letters(node)
        loss = self.print.tensor(self.graph.loss)
        return self.alphabet.derivative(loss, self.print.index(node.entry, letters))

    def signed_entry(self, node: Node) -> str:
        """The entry that a line about δ equals: −∂L/∂z where δ is defined so."""
        return self._sign(node) + self.entry(node)

    def along(self, node: Node, via: str) -> str:
        """What one of several paths contributes to an entry: ∂L/∂W₁[d,h]|_P is what comes back through P."""
        return self.alphabet.along(self.entry(node), self.print.tensor(via)) if self.forked else self.entry(node)

    def left(self, node: Node) -> str:
        """The left side in matrix notation, with the name of the error term for inner nodes and for those leaves
        whose gradient another form names."""
        whole = self.print.derivative(node.name)
        minus = self.options.delta == "minus"
        if node.is_leaf and (minus or node.name not in self.named):  # of a leaf ∂L/∂W is shown, also where δ is −∂L/∂W
            return whole
        sign = self.alphabet.minus if minus else ""
        delta = self.print.tensor(adjoint(node.name))
        return whole if delta == whole and not sign else f"{delta} = {sign}{whole}"  # both are dA where gradients are

    def adjoint(self, a: Adjoint) -> Iterator[Block]:
        node = a.node
        left = self.left(node)
        if self.options.delta == "minus" and node.is_leaf and node.name in self.named:
            left = f"{self.print.tensor(adjoint(node.name))} = {self.alphabet.minus}{left}"
        heading = self.alphabet.inline(left)
        if a.case or node.loops:
            heading += self._where(a)
        yield Heading(3, heading, self._shape(node, True))
        rows: list[Row] = []
        known = self.moves is None and a.like and self.shown[a.like] > 1 and self.options.detail == "normal"
        self.shown[a.like or node.name] += 1
        if self.moves is not None and self.options.detail != "brief":
            rows.extend(self.differential(a, self.moves))
        elif self.options.detail != "brief" and not known:
            steps = self.derivation.steps_of(a)
            self.forked = any(step.rule == "fork" for step in steps)
            if self.forked and not self.explained:
                self.explained = True
                part, via = self.along(node, steps[0].via), self.print.tensor(steps[0].via)
                yield Prose(say("along", self.lang, self.alphabet.inline(part), self.alphabet.inline(via)))
            for step in steps:
                found = self.step(step, a)
                asked = self.options.exercise and step.rule not in ("definition", "chain-rule")
                rows.extend(map(self.blank, found) if asked else found)
        rows.extend([self.blank(next(self.final(a)))] if self.options.exercise else self.final(a))
        if known:
            rows[0] = replace(rows[0], rule=say("as", self.lang), note=self.alphabet.inline(self._result_name(a.like)))
        rows = list(without_repeats(rows))
        yield Rows(tuple(marked(rows) if self.options.marked else rows))
        if self.options.detail != "brief":
            yield from self._paths(a)

    def _where(self, a: Adjoint) -> str:
        """Which case this is, and for which numbers it holds."""
        turns = self.alphabet.inline(self.print.turns(a.node.loops, backwards=True)) if a.node.loops else ""
        case = say(f"case-{a.case}", self.lang) if a.case else ""
        return case + (say("for", self.lang, turns) if turns else "")

    def _paths(self, a: Adjoint) -> Iterator[Block]:
        """What the recursion saves: paths against products."""
        p = a.paths
        if p is None:
            return
        width, work = self.print.size(p.width), self.print.index(p.work, {})
        if mentions(p.width, p.loop.var):
            var = self.print.size(Size(p.loop.var))
            low, high = self.print.number(p.loop.low), self.print.number(p.loop.high)
            many = self.alphabet.range_product(var, low, high, width)
            few = self.alphabet.range_sum(var, low, high, work)
        else:
            turns = plain_number(p.loop.high - p.loop.low + 1)
            count = self.print.number(turns)
            many = self.alphabet.power(width, count, False)
            few = self.print.product([self.alphabet.bracket(count) if isinstance(turns, Add) else count, work])
        yield Prose(say("dynamic", self.lang, self.alphabet.inline(many), self.alphabet.inline(few)))

    def differential(self, a: Adjoint, printer: MathPrinter) -> Iterator[Row]:
        """The gradient by differentials: du, then dL = ⟨δ_u, du⟩, turned until dv stands last."""
        assert self.options.differentials is not None
        node, loss = a.node, self.graph.loss
        change = self.alphabet.differential(self.print.tensor(loss))
        ways: list[str] = []
        for d in self.options.differentials.of[node.name]:
            consumer = self.graph[d.consumer]
            assert consumer.body is not None
            yield Row(*self.equation(consumer, consumer.body), say("definition", self.lang))
            letters = self.letters(consumer)
            shown = None if self.options.notation == "index" else printer.matrix(d.expr, consumer.axes)
            left = printer.tensor(differential(d.consumer))
            if shown is None:
                shown = printer.index(d.expr, letters)
                left = printer.index(Entry(differential(d.consumer), consumer.axes), letters)
            yield Row(left, shown, say("take-d", self.lang), aside=self.kinks(d.consumer))
            if d.consumer == loss:
                ways.append(shown)
                continue
            upstream, move = Entry(adjoint(d.consumer), consumer.axes), Entry(differential(d.consumer), consumer.axes)
            text = printer.pairing(upstream, d.expr, consumer, letters)
            yield Row(change, self._sign(consumer) + printer.pairing(upstream, move, consumer, letters),
                      say("chain-d", self.lang))  # fmt: skip
            ways.append(self._sign(consumer) + text)
            yield Row("", ways[-1], say("insert", self.lang), printer.tensor(differential(d.consumer)) and
                      self.alphabet.inline(printer.tensor(differential(d.consumer))), same=True)  # fmt: skip
        if len(ways) > 1:
            total = ways[0]
            for w in ways[1:]:
                total += f" {w}" if w.startswith(self.alphabet.minus) else f" + {w}"
            yield Row(change, total, say("fork", self.lang))
        own = Entry(differential(node.name), node.axes)
        turned = self._sign(node) + printer.pairing(a.delta, own, node, self.letters(node))
        if turned != ways[-1] or len(ways) > 1:
            yield Row(change, turned, say("rearrange", self.lang), self.alphabet.inline(printer.tensor(own.tensor)))

    def _sign(self, node: Node) -> str:
        """Minus where δ is −∂L/∂z."""
        return self.alphabet.minus if self.options.delta == "minus" and not node.is_leaf else ""

    def _movers(self) -> MathPrinter | None:
        """The printer of formulas with differentials in them, if that is the method asked for."""
        if self.options.differentials is None:
            return None
        printer = MathPrinter(self.options.differentials.graph, self.alphabet, self.options.delta == "minus")
        printer.roles = self.print.roles
        for name in self.graph.nodes:
            printer.names[differential(name)] = self.alphabet.differential(self.print.tensor(name))
        return printer

    def blank(self, r: Row) -> Row:
        """A line without its answer, and without what would give it away."""
        return replace(r, right=self.alphabet.blank, note="", because="", same=False)

    def deltas(self) -> Iterator[Block]:
        """All error terms in short, without their steps; the gradients follow in a section of their own."""
        rows = [r for a in self.derivation.deltas for r in self.final(a) if r.right]
        if rows:
            yield Rows(tuple(replace(r, rule="", shape=r.shape if r.left else "") for r in rows))
        checked = self.derivation.checked.values()
        if checked:
            worst = max(checked, key=lambda c: (not c.ok, c.error))
            yield Rows((Row("", "", say("check", self.lang), self.verdict(worst)),))

    def _result_name(self, name: str) -> str:
        return self.print.derivative(name) if self.graph[name].is_leaf else self.print.tensor(adjoint(name))

    def step(self, step: Step, a: Adjoint) -> Iterator[Row]:
        node = a.node
        letters = self.letters(node)
        rule = say(step.rule, self.lang) if step.rule != "matrix-form" else ""
        match step.rule:
            case "definition":
                yield Row(*self.equation(self.graph[step.via], step.lines[0]), rule)
            case "chain-rule":
                if step.via != self.graph.loss:
                    yield Row(self.along(node, step.via), self._chain(step, node, letters), rule)
            case "local-slope":
                self.diagonal = any(isinstance(x, Delta) for x in walk(step.lines[0]))
                self.turned = self.options.delta == "minus" and not node.is_leaf
                left, right = self._slope(step, node, letters)
                if step.via == self.graph.loss:
                    left = self.along(node, step.via)
                note = (
                    step.law.formula
                    if step.law and self.options.detail == "full" and self.alphabet.name == "latex"
                    else ""
                )
                yield Row(left, right, rule, self.alphabet.inline(note) if note else "", aside=self.kinks(step.via))
            case "contraction":
                rule = rule if self.diagonal else say("put-in", self.lang)
                if step.via != self.graph.loss or self.options.detail == "full":
                    self.turned = False
                    left = self._sign(node) + self.along(node, step.via)
                    yield Row(left, self.print.index(step.lines[0], letters), rule)
            case "fork":
                self.turned = self.forked = False
                yield Row(self.signed_entry(node), self.print.index(step.lines[0], letters), rule)
            case "simplification":
                after = step.lines[-1]
                left = self.signed_entry(node) if self.options.detail == "full" or self.turned else ""
                self.turned = False
                yield replace(self._law(step), left=left, right=self.print.index(after, letters), same=True)

    def _law(self, step: Step) -> Row:
        """What a simplification did, in a word, and the facts or the adjoints it used."""
        law = step.law
        assert law is not None
        if law.name == "insert":
            names = say("comma", self.lang).join(
                self.alphabet.inline(self.print.tensor(adjoint(n))) for n in law.inserted
            )
            return Row("", "", say("insert", self.lang), names)
        if law.because:
            definitions = [f for f in law.because if f.kind == "definition"]
            reasons = [f for f in law.because if len(definitions) < 2 or f.kind != "definition"]
            if len(definitions) > 1:  # several are named, one is written out
                reasons.insert(0, Fact("balance", " ".join(f.tensor for f in definitions)))
            facts = say("comma", self.lang).join(map(self.fact, reasons))
            return Row(
                "",
                "",
                say("fold" if law.name == "fold" else "facts-law", self.lang),
                because=say("because", self.lang, facts),
            )
        laws = law.formula.split(", ") if self.options.detail == "full" and law.formula != law.name else []
        return Row("", "", say(law.name, self.lang), say("comma", self.lang).join(law_name(n, self.lang) for n in laws))

    def fact(self, f: Fact) -> str:
        """What a fact says, as a formula where it is one: Σ_k t_k = 1."""
        if f.kind in ("onehot", "simplex", "permutation") and f.tensor in self.graph.nodes:
            node = self.graph[f.tensor]
            letters = self.letters(node)
            over = node.axes if f.axis is None else (node.axes[f.axis],)
            names = [letters[i] for i in over if isinstance(i, Index)]
            total = self.alphabet.big_sum(names, self.print.index(node.entry, letters))
            return self.alphabet.inline(f"{total} = {self.print.index(f.low or ONE, letters)}")
        if f.kind == "balance":
            names = [self.alphabet.inline(self.print.tensor(n)) for n in f.tensor.split()]
            return say("definition-of", self.lang, say("comma", self.lang).join(names))
        if f.kind == "definition":
            defined = self.graph.nodes.get(f.tensor)
            if defined is not None and defined.body is not None and length(defined.body) <= DEFINITION:
                node, letters = defined, self.letters(defined)
                assert node.body is not None
                return self.alphabet.inline(
                    f"{self.print.index(node.entry, letters)} = {self.print.index(node.body, letters)}"
                )
            return say("definition-of", self.lang, self.alphabet.inline(self.print.tensor(f.tensor)))
        if f.kind == "total":
            node = self.graph[f.tensor]
            return self.alphabet.inline(
                f"{self.alphabet.sum} {self.print.tensor(f.tensor)} = {self.print.index(f.low or ONE, {})}"
            )
        if f.kind == "softmax":
            return say("softmax-sums", self.lang)
        return self.alphabet.code(f.text)

    def _chain(self, step: Step, node: Node, letters: dict[Index, str]) -> str:
        """Σ over the consumer's letters of ∂L/∂u[…] · ∂u[…]/∂v[…]."""
        assert step.argument is not None
        consumer = step.argument
        inner = self.print.letters_for([i for i in consumer.args if isinstance(i, Index)], letters)
        loss = self.print.tensor(self.graph.loss)
        u = self.print.index(consumer, inner)
        v = self.print.index(node.entry, letters)
        body = self.alphabet.times.join([self.alphabet.derivative(loss, u), self.alphabet.derivative(u, v)])
        names = [inner[i] for i in consumer.args if isinstance(i, Index)]
        return self.print.over(step.sums, self.alphabet.big_sum(names, body) if names else body)

    def _slope(self, step: Step, node: Node, letters: dict[Index, str]) -> tuple[str, str]:
        assert step.left is not None and step.argument is not None
        inner = self.print.letters_for([i for i in step.left.args if isinstance(i, Index)], letters)
        u, v = self.print.index(step.left, inner), self.print.index(step.argument, letters)
        return self.alphabet.derivative(u, v), self.print.index(step.lines[0], inner)

    def final(self, a: Adjoint) -> Iterator[Row]:
        """The result: matrix form, index form, closed form, check."""
        node, options = a.node, self.options
        shape = self._shape(node, True)
        left = self.left(node)
        entry_form = False
        if options.form != "closed":
            if options.notation != "index":
                shown = self.print.gradient(a.delta, node.axes)
                if shown is not None:
                    if shown == self.print.derivative(node.name) and not node.is_leaf:  # of an unknown loss
                        left = self.print.tensor(adjoint(node.name))
                    yield from self.order(a)
                    yield Row(left, shown, say("matrix-form", self.lang) if node.indices else "", shape=shape)
                    left = ""
            if options.notation != "matrix" or left or node.name in options.entries:
                entry_form = True
                yield Row(
                    self.signed_entry(node),
                    self.print.index(a.delta, self.letters(node)),
                    say("index-form", self.lang),
                    shape=shape,
                )
        if options.form != "delta" and a.closed is not None and (a.closed is not a.delta or options.form == "closed"):
            shown = self.formula(a.closed, node)
            alone = options.form == "closed"
            rule = say("closed-form", self.lang)
            by_entry = options.notation == "index" or self.print.gradient(a.closed, node.axes) is None
            again = alone or entry_form or by_entry
            left = self.signed_entry(node) if by_entry else self.left(node)
            yield Row(left if again else "", shown, rule, shape=shape if alone else "")
        if a.chain is not None and options.form != "closed" and options.detail != "brief":
            yield Row("", self.print.chain(a.chain), say("unrolled", self.lang))
        checked = self.derivation.checked_of(a)
        if checked is not None:
            yield Row("", "", say("check", self.lang), self.verdict(checked))

    def order(self, a: Adjoint) -> Iterator[Row]:
        """Why a factor stands where it stands, and is transposed: the entries as matrices multiply them."""
        if self.options.detail != "full" and self.options.notation != "both":
            return
        found = self.print.ordered(a.delta, a.node.axes, self.letters(a.node))
        if found is None:
            return
        comma = say("comma", self.lang)
        summed = comma.join(map(self.alphabet.inline, found.summed))
        turned = comma.join(map(self.alphabet.inline, found.transposed))
        key = "inside-transposed" if turned else "inside" if summed else "outer"
        own = list(self.letters(a.node).values())
        letters = comma.join(map(self.alphabet.inline, own[::-1] if self.print.numerator else own))
        note = say(key, self.lang, summed or letters, turned)
        yield Row(self.signed_entry(a.node), found.text, say("order", self.lang), note)

    def verdict(self, c: Checked) -> str:
        if c.note and not c.ok and c.error != c.error:
            return say("undecided", self.lang, translated(c.note.removeprefix("undecided: "), self.lang))
        error = f"{c.error:.0e}"
        if not c.ok:
            return "✗ " + say("failed", self.lang, self.alphabet.inline(self.alphabet.scientific(error)))
        return "✓ " + say("checked", self.lang, self.alphabet.inline(self.alphabet.scientific(error)), str(c.points))

    def results(self) -> Iterator[Row]:
        for a in self.derivation.gradients:
            forms = []
            if self.options.form != "closed":
                forms.append(a.delta)
            if self.options.form != "delta" and a.closed is not None and a.closed not in forms:
                forms.append(a.closed)
            left, shape = "", self._where_shape(a.node, True)
            for by_entry, e in self._views(a.node, forms):
                whole = None if by_entry else self.print.gradient(e, a.node.axes)
                name = self.entry(a.node) if whole is None else self.left(a.node)
                shown = self.print.index(e, self.letters(a.node)) if whole is None else whole
                yield Row(name if name != left else "", shown, shape=shape)
                left, shape = name, ""

    def _views(self, node: Node, forms: list[Expr]) -> Iterator[tuple[bool, Expr]]:
        """Each form in matrices, by entry, or in both notations."""
        by_entry = self.options.notation == "index" or node.name in self.options.entries
        yield from ((by_entry, e) for e in forms)
        if self.options.notation == "both" and node.indices and not by_entry:
            yield from ((True, e) for e in forms if self.print.gradient(e, node.axes) is not None)

    def updates(self) -> Iterator[Row]:
        rate = self.alphabet.word("eta")
        arrow = r"\leftarrow" if self.alphabet.name == "latex" else "←"
        for a in self.derivation.gradients:
            name = self.print.tensor(a.node.name)
            minus, rest = negated(a.delta)
            form = self.formula(rest, a.node, gradient=False)
            if isinstance(rest, Add):
                form = self.alphabet.bracket(form)
            sign = "+" if minus else self.alphabet.minus
            yield Row(name, f"{name} {sign} {self.alphabet.product([rate, form])}", relation=arrow)

    def number(self, text: str) -> str:
        """A value, or a list of them, as it is written on paper: −0.5, 1.2·10⁻⁵."""
        signed = re.sub(r"(?<!e)-", self.alphabet.minus, text)
        return re.sub(r"[\d.]+e[-+]?\d+", lambda m: self.alphabet.scientific(m[0]), signed)

    def arithmetic(self) -> Iterator[Row]:
        """Symbols, numbers put in, and the value, for everything that is a number."""
        given = {name: (value, gradient) for name, value, gradient in self.options.values}
        numbers = {name: value for name, (value, _) in given.items() if not self.graph[name].shape}
        numbers |= {adjoint(n): g for n, (_, g) in given.items() if g and not self.graph[n].shape}
        put_in = NumberPrinter(self.graph, self.alphabet, numbers)
        for node in self.graph.inner:
            assert node.body is not None
            yield from self._put_in(put_in, self.print.tensor(node.name), node, node.body, given[node.name][0])
        for a in self.derivation.adjoints.values():
            if not a.node.is_leaf or a.node.name in self.derivation.wrt:
                yield from self._put_in(
                    put_in, self.print.derivative(a.node.name), a.node, a.delta, given[a.node.name][1]
                )

    def _put_in(self, numbers: NumberPrinter, left: str, node: Node, e: Expr, value: str) -> Iterator[Row]:
        if not e.free and all(t in numbers.numbers for t in e.tensors):
            shown = self.print.index(e, {})
            between = numbers.index(e, {})
            steps = list(dict.fromkeys([shown, between, self.number(value)]))
            yield Row(left, " = ".join(steps))


def without_repeats(rows: list[Row]) -> Iterator[Row]:
    """A line that reads like the one before it (only brackets moved) is left out; of a number, for which there is no
    matrix form to tell, the last step and the result are one line: δ_q = ∂f/∂q = δ_f z."""
    shown, left = "", ""
    for n, r in enumerate(rows):
        after = rows[n + 1] if n + 1 < len(rows) else r
        if r.left and after.right == r.right and not after.rule and after.left.endswith("= " + r.left):
            rows[n + 1] = replace(r, left=after.left, shape=after.shape)
        elif not (r.right and (r.right == r.left or (r.right == shown and r.left in ("", left)))):
            yield r
        shown, left = r.right or shown, r.left or left


def marked(rows: Iterable[Row]) -> Iterator[Row]:
    """What a line changed of the one before it, where both say the same quantity, gets marks."""
    before = ""
    for r in rows:
        changed = with_changes(before, r.right) if r.same and before else r.right
        before = r.right or before
        yield r if changed == r.right else replace(r, right=changed)
