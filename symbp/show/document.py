"""Derivation → blocks, written once for all formats.

A block is a heading, a sentence, rows of formulas (left, right, what was done, shape) or a table.
The formulas are already text in the alphabet asked for; a format only lays blocks out. Nothing is
derived, simplified or evaluated here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from symbp.expr import ONE, Add, Delta, Expr, Index, Num, Size, walk
from symbp.family import mentions, number_text, plain_number, split
from symbp.graph import Fact, Graph, Node, adjoint
from symbp.matrix import negated
from symbp.show.alphabet import Alphabet
from symbp.show.math import MathPrinter, NumberPrinter
from symbp.show.words import say
from symbp.steps import Adjoint, Checked, Derivation, Step


@dataclass(frozen=True)
class Options:
    """What the reader asked for (CONTRACT.md)."""

    form: str = "both"  # delta, closed, both
    detail: str = "normal"  # brief, normal, full
    notation: str = "matrix"  # matrix, index, both
    lang: str = "en"
    delta: str = "plus"
    update: bool = False
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # W2 -> the letters (k, j) asked for
    values: tuple[tuple[str, str, str], ...] = ()  # name, forward value, gradient at a point


@dataclass(frozen=True)
class Heading:
    level: int
    text: str
    shape: str = ""


@dataclass(frozen=True)
class Prose:
    text: str


@dataclass(frozen=True)
class Row:
    """`left = right` (or another relation), what was done, a remark on it, and the shape; an empty
    left continues the row above."""

    left: str
    right: str
    rule: str = ""
    note: str = ""
    shape: str = ""
    relation: str = "="


@dataclass(frozen=True)
class Rows:
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[bool, ...] = field(default=())


Block = Heading | Prose | Rows | Table


def shape_of(node: Node, alphabet: Alphabet) -> str:
    """`N×H`, or nothing for a scalar."""
    if not node.shape:
        return ""
    cross = r" \times " if alphabet.name == "latex" else "×"
    shown = [_size(d, alphabet) for d in node.shape]
    several = len(shown) > 1  # D + H needs brackets beside another size, and 4*H no star
    return cross.join(f"({s})" if several and isinstance(d, Add) else s for s, d in zip(shown, node.shape))


def _size(d: Expr, alphabet: Alphabet) -> str:
    from symbp.sizes import size_text

    if isinstance(d, Size) and not d.name.isdigit():
        base, numbers = split(d.name)
        shown = alphabet.tensor(base)
        return alphabet.numbered(shown, [], [number_text(n) for n in numbers], ()) if numbers else shown
    return re.sub(r"(?<=\d)\*", "", size_text(d)).replace("*", r" \cdot " if alphabet.name == "latex" else "·")


def document(derivation: Derivation, alphabet: Alphabet, options: Options) -> Iterator[Block]:
    """All blocks of a derivation, in reading order."""
    return Writer(derivation, alphabet, options).blocks()


class Writer:
    """Walks a derivation and words it."""

    def __init__(self, derivation: Derivation, alphabet: Alphabet, options: Options) -> None:
        self.derivation, self.alphabet, self.options = derivation, alphabet, options
        self.graph: Graph = derivation.graph
        self.print = MathPrinter(self.graph, alphabet, options.delta == "minus")
        self.lang = options.lang
        self.shapes: dict[tuple[Expr, ...], str] = {}
        self.shown: Counter[str] = Counter()  # how often a kind of local problem was shown in full
        self.diagonal = False  # has the local slope just shown a δ?
        self.turned = False  # was the last left side ∂L/∂z where the next line is about −∂L/∂z?

    def network(self) -> Iterator[Block]:
        """The title, the definitions, and what is known."""
        graph = self.graph
        name = graph.name if graph.name != "network" else f"Loss {graph.loss}"  # it came without a name
        yield Heading(1, graph.title.strip().splitlines()[0] if graph.title.strip() else name)
        yield Heading(2, say("forward", self.lang))
        yield Rows(tuple(self.forward()))
        known = list(self.known())
        if known:
            yield Prose(say("colon", self.lang, say("facts", self.lang)) + "; ".join(known))
        for warning in graph.warnings:
            yield Prose(warning)

    def blocks(self) -> Iterator[Block]:
        yield from self.network()
        yield Heading(2, say("backward", self.lang))
        if self.options.delta == "minus":
            yield Prose(say("delta_minus", self.lang, self.print.tensor(self.graph.loss)))
        for a in self.derivation.adjoints.values():
            if a.node.is_leaf and a.node.name not in self.derivation.wrt:
                continue
            yield from self.adjoint(a)
        if self.derivation.gradients:
            yield Heading(2, say("result", self.lang))
            yield Rows(tuple(self.results()))
        if self.options.update and self.derivation.gradients:
            yield Heading(2, say("update", self.lang))
            yield Rows(tuple(self.updates()))
        if self.options.values:
            yield Heading(2, say("values", self.lang))
            yield Rows(tuple(self.arithmetic()))
            loss = self.print.tensor(self.graph.loss)
            head = (say("tensor", self.lang), say("value", self.lang), f"∂{loss}")
            rows = (
                (n, v.replace("-", self.alphabet.minus), g.replace("-", self.alphabet.minus))
                for n, v, g in self.options.values
            )
            yield Table(head, tuple((self.print.tensor(n), v, g) for n, v, g in rows))
        if self.derivation.left_out:
            held = "; ".join(
                f"{self.alphabet.inline(self.print.tensor(n))} ({self._why_held(n, why)})"
                for n, why in self.derivation.left_out.items()
            )
            yield Prose(say("colon", self.lang, say("held", self.lang)) + held)
        if self.has_kinks():
            yield Prose(say("kink", self.lang))

    # ---- parts ---------------------------------------------------------------------------------

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
            yield self.alphabet.inline(f"{self.print.size(Size(name))} = {self.print.size(value)}")

    def forward(self) -> Iterator[Row]:
        for node in self.graph.inner:
            assert node.body is not None
            left, right = self.equation(node, node.body)
            yield Row(left, right, shape=self._where_shape(node))

    def _where_shape(self, node: Node) -> str:
        """The shape, and for which numbers it holds: `l = 1, …, L  n×m`."""
        space = r" \quad " if self.alphabet.name == "latex" else "  "
        return space.join(filter(None, (self.print.turns(node.loops), self._shape(node))))

    def _shape(self, node: Node) -> str:
        found = self.shapes.get(node.shape)
        if found is None:
            found = self.shapes[node.shape] = shape_of(node, self.alphabet)
        return found

    def formula(self, e: Expr, node: Node) -> str:
        """Matrix notation where there is one, else index notation."""
        if self.options.notation != "index":
            shown = self.print.matrix(e, node.axes)
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
        minus = self.options.delta == "minus" and not node.is_leaf
        return (self.alphabet.minus if minus else "") + self.entry(node)

    def left(self, node: Node) -> str:
        """The left side in matrix notation, with the name of the error term for inner nodes."""
        whole = self.print.derivative(node.name)
        if node.is_leaf:
            return whole
        sign = self.alphabet.minus if self.options.delta == "minus" else ""
        delta = self.print.tensor(adjoint(node.name))
        return f"{delta} = {sign}{whole}"

    def adjoint(self, a: Adjoint) -> Iterator[Block]:
        node = a.node
        heading = self.alphabet.inline(self.left(node))
        if a.case or node.loops:
            heading += self._where(a)
        yield Heading(3, heading, self._shape(node))
        rows: list[Row] = []
        known = a.like and self.shown[a.like] > 1 and self.options.detail == "normal"
        self.shown[a.like or node.name] += 1
        if self.options.detail != "brief" and not known:
            for step in self.derivation.steps_of(a):
                rows.extend(self.step(step, a))
        rows.extend(self.final(a))
        if known:
            rows[0] = replace(rows[0], rule=say("as", self.lang), note=self.alphabet.inline(self._result_name(a.like)))
        yield Rows(tuple(without_repeats(rows)))
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
                    yield Row(self.entry(node), self._chain(step, node, letters), rule)
            case "local-slope":
                self.diagonal = any(isinstance(x, Delta) for x in walk(step.lines[0]))
                self.turned = self.options.delta == "minus" and not node.is_leaf
                left, right = self._slope(step, node, letters)
                note = (
                    step.law.formula
                    if step.law and self.options.detail == "full" and self.alphabet.name == "latex"
                    else ""
                )
                yield Row(left, right, rule, self.alphabet.inline(note) if note else "")
            case "contraction":
                rule = rule if self.diagonal else say("put-in", self.lang)
                if step.via != self.graph.loss or self.options.detail == "full":
                    self.turned = False
                    yield Row(self.signed_entry(node), self.print.index(step.lines[0], letters), rule)
            case "fork":
                self.turned = False
                yield Row(self.signed_entry(node), self.print.index(step.lines[0], letters), rule)
            case "simplification":
                after = step.lines[-1]
                left = self.signed_entry(node) if self.options.detail == "full" or self.turned else ""
                self.turned = False
                yield Row(left, self.print.index(after, letters), *self._law(step))

    def _law(self, step: Step) -> tuple[str, str]:
        """What a simplification did, in a word, and the facts or the adjoints it used."""
        law = step.law
        assert law is not None
        if law.name == "insert":
            names = ", ".join(self.alphabet.inline(self.print.tensor(adjoint(n))) for n in law.inserted)
            return say("insert", self.lang), names
        if law.because:
            return say("facts-law", self.lang), say("because", self.lang, ", ".join(map(self.fact, law.because)))
        full = self.options.detail == "full" and law.formula != law.name
        return say(law.name, self.lang), self.alphabet.code(law.formula.replace("_", " ")) if full else ""

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
            return say(
                "definition-of",
                self.lang,
                ", ".join(self.alphabet.inline(self.print.tensor(n)) for n in f.tensor.split()),
            )
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
        shape = self._shape(node)
        left = self.left(node)
        entry_form = False
        if options.form != "closed":
            if options.notation != "index":
                shown = self.print.matrix(a.delta, node.axes)
                if shown is not None:
                    if shown == self.print.derivative(node.name) and not node.is_leaf:  # of an unknown loss
                        left = self.print.tensor(adjoint(node.name))
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
            again = alone or entry_form
            yield Row(self.left(node) if again else "", shown, rule, shape=shape if alone else "")
        checked = self.derivation.checked_of(a)
        if checked is not None:
            yield Row("", "", say("check", self.lang), self.verdict(checked))

    def verdict(self, c: Checked) -> str:
        if c.note and not c.ok and c.error != c.error:
            return say("undecided", self.lang, c.note.removeprefix("undecided: "))
        error = f"{c.error:.0e}"
        if not c.ok:
            return "✗ " + say("failed", self.lang, error)
        return ("✓ " if self.alphabet.name != "latex" else "") + say("checked", self.lang, error, str(c.points))

    def results(self) -> Iterator[Row]:
        for a in self.derivation.gradients:
            forms = []
            if self.options.form != "closed":
                forms.append(a.delta)
            if self.options.form != "delta" and a.closed is not None and a.closed not in forms:
                forms.append(a.closed)
            left = ""
            for n, e in enumerate(forms):
                by_entry = self.options.notation == "index" or a.node.name in self.options.entries
                whole = None if by_entry else self.print.matrix(e, a.node.axes)
                name = self.entry(a.node) if whole is None else self.print.derivative(a.node.name)
                shown = self.print.index(e, self.letters(a.node)) if whole is None else whole
                yield Row(name if name != left else "", shown, shape=self._where_shape(a.node) if n == 0 else "")
                left = name

    def updates(self) -> Iterator[Row]:
        rate = self.alphabet.word("eta")
        arrow = r"\leftarrow" if self.alphabet.name == "latex" else "←"
        for a in self.derivation.gradients:
            name = self.print.tensor(a.node.name)
            minus, rest = negated(a.delta)
            form = self.formula(rest, a.node)
            if isinstance(rest, Add):
                form = self.alphabet.bracket(form)
            sign = "+" if minus else self.alphabet.minus
            yield Row(name, f"{name} {sign} {self.alphabet.product([rate, form])}", relation=arrow)

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
            steps = list(dict.fromkeys([shown, between, value.replace("-", self.alphabet.minus)]))
            yield Row(left, " = ".join(steps))

    def has_kinks(self) -> bool:
        from symbp.expr import Call, Reduce, walk

        probe, table = Num(1), self.graph.table
        for node in self.graph.inner:
            assert node.body is not None
            for e in walk(node.body):
                if isinstance(e, Call) and table[e.fn].kinks(*[probe] * table[e.fn].arity):
                    return True
                if isinstance(e, Reduce) and e.op in ("max", "min"):
                    return True
        return False


def without_repeats(rows: list[Row]) -> Iterator[Row]:
    """A line that reads like the one before it (only brackets moved) is left out."""
    shown, left = "", ""
    for r in rows:
        if not (r.right and (r.right == r.left or (r.right == shown and r.left in ("", left)))):
            yield r
        shown, left = r.right or shown, r.left or left
