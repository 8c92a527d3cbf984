"""Jacobians and Hessians → blocks, JSON and NumPy text.

Written with the parts of document.py: the steps of a derivative are steps like any others, with
the letters of both sides. What is added here is the result: the array in matrix notation where it
is a matrix, else by its entries; its structure in words; and the products with a direction, in
matrices, since those are what a program computes. Nothing is derived here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from symbp.diagonal import DiagonalEmitter, numpy_of
from symbp.expr import ONE, ZERO, Expr, Index, add, substitute
from symbp.form import NotReducible
from symbp.graph import Graph, Node
from symbp.higher import Derivative, Product
from symbp.show.alphabet import Alphabet, Latex, Unicode, plain
from symbp.show.blocks import Block, Heading, Prose, Row, Rows
from symbp.show.document import Options, Writer, shape_of, without_repeats
from symbp.show.json import SCHEMA, check_json, shape_json, step_json
from symbp.show.math import MathPrinter
from symbp.show.names import roles
from symbp.show.words import say
from symbp.steps import Adjoint, Chain, Derivation, Step
from symbp.structure import Structure, Term, rank_is_telling

NO_NUMPY = "it has no expression in the network language"


@dataclass(frozen=True)
class Letters:
    """The letters asked for: `y[i]` by `x[j]`."""

    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


def blocks(d: Derivative, alphabet: Alphabet, options: Options, letters: Letters = Letters()) -> Iterator[Block]:
    """All blocks of a derivative, in reading order."""
    return HigherWriter(d, alphabet, options, letters).blocks()


def _with_directions(d: Derivative) -> Graph:
    """The network with the directions of the products as leaves."""
    directions = {p.direction.name: p.direction for p in (d.right, d.left) if p is not None}
    return replace(d.extended, loss=d.top.name, nodes={**d.extended.nodes, **directions})


class HigherWriter(Writer):
    """Walks a derivative and words it; `plain` words the network itself."""

    def __init__(self, d: Derivative, alphabet: Alphabet, options: Options, letters: Letters) -> None:
        whole = _with_directions(d)
        super().__init__(Derivation(whole, (), {}), alphabet, replace(options, delta="plus"))
        self.d = d
        self.print.emitter = DiagonalEmitter(whole)
        self.print.roles = roles(replace(whole, loss=d.graph.loss))
        self.network_writer = Writer(Derivation(d.graph, (), {}), alphabet, self.options)
        asked = _chosen(d.top, d.outputs, letters.outputs)
        self.out = {o: s for o, s in self.print.letters_for(d.outputs, asked).items() if o in d.outputs}
        self.asked = _chosen(d.wrt, d.inputs, letters.inputs)

    def blocks(self) -> Iterator[Block]:
        d = self.d
        yield from self.network_writer.network()
        if d.first is not None:
            yield Heading(2, say("gradient", self.lang))
            yield Rows(tuple(self.gradient()))
        if self.options.detail != "brief":
            yield Heading(2, say("chain", self.lang))
            for part in d.parts.values():
                if part.steps:
                    yield from self.part(part)
        yield Heading(2, say("jacobian" if d.first is None else "hessian", self.lang))
        yield Rows(tuple(self.whole()))
        if d.structure.kind == "diagonal" and d.terms:
            yield Prose(say("never-built", self.lang, self.alphabet.inline(self.name())))
        if note := self.network_writer.kinks():
            yield Prose(note)

    # ---- names and letters -----------------------------------------------------------------------

    def letters(self, node: Node) -> dict[Index, str]:
        """The output's letters and the node's."""
        asked = self.asked if node.name == self.d.wrt.name else {}
        return self.print.letters_for((*self.d.outputs, *node.indices), {**self.out, **asked})

    def entry(self, node: Node) -> str:
        """∂p[k]/∂z[j]."""
        return self.alphabet.derivative(self._output(), self.print.index(node.entry, self.letters(node)))

    def signed_entry(self, node: Node) -> str:
        return self.entry(node)

    def _output(self) -> str:
        letters = iter(self.d.outputs)
        axes = tuple(next(letters) if isinstance(a, Index) else a for a in self.d.top.axes)
        return self.print.index(replace(self.d.top, axes=axes).entry, self.out)

    def equation(self, node: Node, e: Expr) -> tuple[str, str]:
        if node.name == self.d.top.name and self.d.first is not None:
            return Writer.equation(self, node, e)
        return self.network_writer.equation(node, e)

    def name(self) -> str:
        """∂p/∂z, or ∂²L/∂w ∂wᵀ."""
        d = self.d
        wrt = self.print.tensor(d.wrt.name)
        if d.first is None:
            return self.alphabet.derivative(self.print.tensor(d.top.name), wrt)
        both_vectors = len(d.outputs) == len(d.inputs) == 1
        first, loss = self.print.tensor(d.first.name), self.print.tensor(d.graph.loss)
        return self.alphabet.second_derivative(loss, first, self.alphabet.transposed(wrt) if both_vectors else wrt)

    def entry_name(self) -> str:
        """The same for one entry."""
        d = self.d
        letters = self.letters(d.wrt)
        below = self.print.index(d.wrt.entry, letters)
        if d.first is None:
            return self.alphabet.derivative(self._output(), below)
        places = iter(d.outputs)
        axes = tuple(next(places) if isinstance(a, Index) else a for a in d.first.axes)
        above = self.print.index(replace(d.first, axes=axes).entry, letters)
        return self.alphabet.second_derivative(self.print.tensor(d.graph.loss), above, below)

    def _chain(self, step: Step, node: Node, letters: dict[Index, str]) -> str:
        """Σ over the consumer's letters of ∂p[…]/∂u[…] · ∂u[…]/∂v[…]."""
        assert step.argument is not None
        indices = [i for i in step.argument.args if isinstance(i, Index)]
        inner = self.print.letters_for(indices, letters)
        u, v = self.print.index(step.argument, inner), self.print.index(node.entry, letters)
        slopes = [self.alphabet.derivative(self._output(), u), self.alphabet.derivative(u, v)]
        body = self.alphabet.times.join(slopes)
        return self.alphabet.big_sum([inner[i] for i in indices], body) if indices else body

    def _slope(self, step: Step, node: Node, letters: dict[Index, str]) -> tuple[str, str]:
        """A local slope; that of the output itself in the output's letters."""
        assert step.left is not None and step.argument is not None
        indices = [i for i in step.left.args if isinstance(i, Index)]
        own = dict(zip(indices, self.out.values())) if step.via == self.d.top.name else {}
        inner = self.print.letters_for(indices, {**letters, **own})
        u, v = self.print.index(step.left, inner), self.print.index(step.argument, letters)
        return self.alphabet.derivative(u, v), self.print.index(step.lines[0], inner)

    # ---- parts -----------------------------------------------------------------------------------

    def gradient(self) -> Iterator[Row]:
        """g = ∂L/∂w in closed form, and its check."""
        d = self.d
        assert d.first is not None and d.top.body is not None
        shown = self.print.matrix(d.top.body, d.top.axes) if self.options.notation != "index" else None
        above = Writer(Derivation(d.graph, (), {}), self.alphabet, self.options)
        if shown is not None:
            left = f"{self.print.tensor(d.top.name)} = {above.print.derivative(d.first.name)}"
        else:
            own = self.print.letters_for(d.top.indices)
            left = f"{self.print.index(d.top.entry, own)} = {above.entry(d.first)}"
            shown = self.print.index(d.top.body, own)
        yield Row(left, shown, say("closed-form", self.lang), shape=shape_of(d.first, self.alphabet))
        if d.checked_gradient is not None:
            yield Row("", "", say("check", self.lang), self.verdict(d.checked_gradient))

    def part(self, part: Adjoint) -> Iterator[Block]:
        """The steps to the derivative by one node on the way."""
        node = part.node
        title = self.alphabet.derivative(self.print.tensor(self.d.top.name), self.print.tensor(node.name))
        yield Heading(3, self.alphabet.inline(title), self.shape(self.d.top.shape, node.shape))
        rows = [row for step in part.steps for row in self.step(step, part)]
        shown = self.matrix((part.delta,), (*self.d.outputs, *node.indices))
        if shown is not None and node.name != self.d.wrt.name:
            rows.append(Row(title, shown, say("matrix-form", self.lang)))
        yield Rows(tuple(without_repeats(rows)))

    def whole(self) -> Iterator[Row]:
        """The array, its structure, its products, and the check."""
        d = self.d
        shape = self.shape(d.top.shape, d.wrt.shape)
        shown = self.array()
        if shown is not None:
            label = "matrix-form" if d.outputs and d.inputs else ""
            yield Row(self.name(), shown, say(label, self.lang) if label else "", shape=shape)
        if shown is None or self.options.notation == "both":
            right = self.print.index(d.expr, self.letters(d.wrt))
            yield Row(self.entry_name(), right, say("index-form", self.lang), shape="" if shown else shape)
        if d.structure.kind not in ("scalar", "vector") or d.structure.constant:
            yield Row("", "", say("structure", self.lang), say("comma", self.lang).join(self.structure(d.structure)))
        if d.structure.kind == "diagonal" and len(d.outputs) > 1 and d.structure.diagonal is not None:
            yield from self.diagonal_row(d.structure.diagonal)
        for product, turned in ((d.right, False), (d.left, True)):
            if product is not None and not (turned and d.structure.symmetric):
                yield self.product(product, turned)
        if d.checked is not None:
            yield Row("", "", say("check", self.lang), self.verdict(d.checked))

    def array(self) -> str | None:
        """The whole in matrix notation, if that is asked for and there is one."""
        d = self.d
        if not d.terms:
            return "0"
        forms = (d.sorted,) if d.structure.kind.startswith("diagonal") else (d.expr, d.sorted)
        return self.matrix(forms, (*d.outputs, *d.inputs))

    def matrix(self, forms: Sequence[Expr], letters: tuple[Index, ...]) -> str | None:
        """The first of equal forms that has a matrix notation in at most two letters."""
        if len(letters) > 2 or self.options.notation == "index":
            return None
        if forms[0] is ZERO:
            return "0"
        found = (self.print.matrix(e, letters) for e in forms)
        return next((shown for shown in found if shown is not None), None)

    def diagonal_row(self, e: Expr) -> Iterator[Row]:
        own = self.d.top
        inside = dict(zip(self.d.outputs, own.indices))
        shown = self.formula(substitute(e, inside), own)
        yield Row(self.alphabet.apply("diag", [self.name()]), shown, shape=shape_of(own, self.alphabet))

    def product(self, p: Product, turned: bool) -> Row:
        """(∂p/∂z) v, or (∂p/∂z)ᵀ u; in square brackets where the direction is no vector."""
        whole = self.name()
        if turned or self.alphabet.name != "latex":
            whole = self.alphabet.bracket(whole)
        whole = self.alphabet.transposed(whole) if turned else whole
        direction = self.print.tensor(p.direction.name)
        left = self.alphabet.product([whole, direction]) if len(p.direction.shape) < 2 else f"{whole}[{direction}]"
        letters = self.print.letters_for(p.like.indices)
        shown = self.print.matrix(p.expr, p.like.axes) if self.options.notation != "index" else None
        right = self.print.index(p.expr, letters) if shown is None else shown
        if shown is None and p.like.indices:
            left += "[" + ",".join(letters.values()) + "]"
        return Row(left, right, say("times", self.lang), shape=shape_of(p.like, self.alphabet))

    def shape(self, *shapes: Sequence[Expr]) -> str:
        """4096×4096, or (N×C)×(D×C)."""
        cross = r" \times " if self.alphabet.name == "latex" else "×"
        several = any(len(s) > 1 for s in shapes)
        parts = [shape_of(Node("", tuple(s), ()), self.alphabet) for s in shapes if s]
        compound = [len(parts) > 1 and ((several and cross in p) or " " in p.replace(cross, "")) for p in parts]
        return cross.join(f"({p})" if c else p for p, c in zip(parts, compound))

    def structure(self, s: Structure) -> Iterator[str]:
        """The names of a structure in words."""
        if s.kind not in ("scalar", "vector"):
            yield self.kind(s)
        if s.constant and s.kind != "zero":
            variables = dict.fromkeys([*([self.d.first.name] if self.d.first else []), self.d.wrt.name])
            names = ", ".join(self.alphabet.inline(self.print.tensor(n)) for n in variables)
            yield say("constant", self.lang, names)
        if s.symmetric and s.kind != "zero":
            yield say("symmetric", self.lang)

    def kind(self, s: Structure) -> str:
        key, words = s.kind, []
        if s.kind in ("kronecker", "block-diagonal") and s.block is not None:
            block = self.block(s) if s.kind == "kronecker" else None
            words = [", ".join(self.alphabet.inline(self.out[o]) for o, _ in s.pairs), block or self.kind(s.block)]
        elif s.rank is not None and s.rank is not ONE:
            key = s.kind if rank_is_telling(s.rank) else "dense"
            words = [self.alphabet.inline(self.print.index(s.rank, {}))]
        elif s.kind == "diagonal-plus-outer" and s.minus:
            key = "diagonal-minus-outer"
        return say(key, self.lang, *words)

    def block(self, s: Structure) -> str | None:
        """The block of a Kronecker product as a matrix."""
        tied = {x for pair in s.pairs for x in pair}
        inner = add(*(Term(tuple(p for p in t.pairs if p not in s.pairs), t.rest).expr for t in self.d.terms))
        shown = self.matrix((inner,), tuple(x for x in (*self.d.outputs, *self.d.inputs) if x not in tied))
        return None if shown is None else self.alphabet.inline(shown)


def _chosen(node: Node, indices: tuple[Index, ...], names: tuple[str, ...]) -> dict[Index, str]:
    """The letters that were asked for, of the axes that are longer than 1."""
    kept = [s for a, s in zip(node.axes, names) if a is not ZERO]
    return dict(zip(indices, kept))


# ---- NumPy and JSON ------------------------------------------------------------------------------


def numpy_text_of(graph: Graph, e: Expr, axes: Sequence[Expr]) -> tuple[str | None, str]:
    """An expression in the network language, or None and why it has none."""
    try:
        return numpy_of(graph, e, axes), ""
    except NotReducible as why:
        return None, str(why) or NO_NUMPY


def product_blocks(graph: Graph, chain: Chain, alphabet: Alphabet, lang: str) -> Iterator[Block]:
    """∂h[T]/∂h[t] as a product over the turns in between, and what follows."""
    printer = MathPrinter(graph, alphabet)
    left, right = printer.product_of_jacobians(chain)
    yield Heading(2, say("over-turns", lang))
    yield Rows((Row(left, right),))
    yield Prose(say("vanishing", lang))


def product_json(graph: Graph, chain: Chain) -> dict[str, str]:
    """The same as LaTeX and as text."""
    tex = " = ".join(MathPrinter(graph, Latex(graph.latex)).product_of_jacobians(chain))
    return {"latex": tex, "text": plain(" = ".join(MathPrinter(graph, Unicode()).product_of_jacobians(chain)))}


def numpy_lines(d: Derivative) -> Iterator[str]:
    """Assignments: the array, and its products with the directions."""
    graph = _with_directions(d)
    name = f"d{d.top.name}_d{d.wrt.name}" if d.first is None else f"d2{d.graph.loss}_d{d.first.name}_d{d.wrt.name}"
    writer = HigherWriter(d, Unicode(), Options(), Letters())
    yield f"# {plain(writer.name())}: {plain(', '.join(writer.structure(d.structure)))}"
    yield _assignment(name, *numpy_text_of(graph, d.sorted, d.axes))
    for p, turned in ((d.right, False), (d.left, True)):
        if p is not None and not (turned and d.structure.symmetric):
            text = numpy_text_of(graph, p.expr, p.like.axes)
            yield _assignment(f"{name}{'_T' if turned else ''}_{p.direction.name}", *text)


def _assignment(name: str, text: str | None, why: str) -> str:
    return f"{name} = {text}" if text is not None else f"# {name}: {why}"


def derivative_json(d: Derivative, options: Options, letters: Letters = Letters()) -> dict[str, Any]:
    """One object: the array, its structure, its products, the check and the steps."""
    tex = HigherWriter(d, Latex(d.graph.latex), options, letters)
    uni = HigherWriter(d, Unicode(), options, letters)
    graph = _with_directions(d)
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "network": d.graph.name,
        "kind": "jacobian" if d.first is None else "hessian",
        "of": d.top.name if d.first is None else d.graph.loss,
        "wrt": [d.wrt.name] if d.first is None else [d.first.name, d.wrt.name],
        "shape": shape_json((*d.top.shape, *d.wrt.shape)),
        "assumptions": [f.text or f.kind for f in d.graph.facts],
    }
    if d.first is not None and d.top.body is not None:
        result["gradient"] = {
            "name": d.top.name,
            **_form(d.top.body, d.top.axes, tex, uni, graph, d.top.indices),
            "check": check_json(d.checked_gradient) if d.checked_gradient else None,
        }
    whole = _form(d.sorted, d.axes, tex, uni, graph, None)
    whole["latex"] = tex.array() or tex.print.index(d.expr, tex.letters(d.wrt))
    whole["index"] = plain(uni.print.index(d.expr, uni.letters(d.wrt)))
    result["form"] = whole
    result["structure"] = _structure_json(d, uni, graph)
    result["products"] = {
        key: {"direction": p.direction.name, "shape": shape_json(p.like.shape)}
        | _form(p.expr, p.like.axes, tex, uni, graph, p.like.indices)
        for key, p in (("right", d.right), ("left", d.left))
        if p is not None
    }
    if d.because:
        result["because"] = list(d.because)
    result["check"] = check_json(d.checked) if d.checked else None
    result["steps"] = list(_steps_json(d, tex, uni)) if options.detail != "brief" else []
    return result


def _form(
    e: Expr,
    axes: Sequence[Expr],
    tex: HigherWriter,
    uni: HigherWriter,
    graph: Graph,
    indices: Sequence[Index] | None,
) -> dict[str, Any]:
    """An array in NumPy, in LaTeX and by its entry; without `indices` those two are left to be filled in."""
    text, why = numpy_text_of(graph, e, axes)
    found: dict[str, Any] = {"numpy": text, "latex": None, "index": None}
    if text is None:
        found["why"] = why
    if indices is not None:
        found["latex"] = tex.print.matrix(e, axes) or tex.print.index(e, tex.print.letters_for(indices))
        found["index"] = plain(uni.print.index(e, uni.print.letters_for(indices)))
    return found


def _structure_json(d: Derivative, uni: HigherWriter, graph: Graph) -> dict[str, Any]:
    s = d.structure
    found: dict[str, Any] = {"kind": s.kind, "constant": s.constant, "symmetric": s.symmetric}
    found["text"] = plain(", ".join(uni.structure(s)))
    if s.pairs:
        letters = uni.letters(d.wrt)
        found["pairs"] = [[letters[o], letters[i]] for o, i in s.pairs]
    if s.block is not None:
        found["block"] = s.block.kind
    if s.rank is not None:
        found["rank_at_most"] = plain(uni.print.index(s.rank, {}))
    if s.diagonal is not None and s.kind == "diagonal":
        inside = dict(zip(d.outputs, d.top.indices))
        found["diagonal"] = numpy_text_of(graph, substitute(s.diagonal, inside), d.top.axes)[0]
    return found


def _steps_json(d: Derivative, tex: HigherWriter, uni: HigherWriter) -> Iterator[dict[str, Any]]:
    number = 0
    for part in d.parts.values():
        for step in part.steps:
            for one, two in zip(tex.step(step, part), uni.step(step, part)):
                number += 1
                yield step_json(number, part.node.name, step.rule, one, two)
    for one, two in zip(tex.whole(), uni.whole()):
        if one.right:
            number += 1
            yield step_json(number, d.wrt.name, "matrix-form", one, two)
