"""LaTeX lines to claims: every statement of a formula, its left side, and one tree for each link of its chain.

Readings are tried in order of likelihood until one fits; if none does, the first one stands, for it is the one
that the author made. Which one was taken is a note. A symbol that nothing explains and that stands alone on a left
side is a definition; later statements may use it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from symbp import claim
from symbp.claim import Claim, Tree
from symbp.errors import DeclarationError, Place, ReadError
from symbp.graph import Graph
from symbp.judge.points import RATES
from symbp.read.counts import NONE, Counts
from symbp.read.latex import calculus
from symbp.read.latex.formula import Formula
from symbp.read.latex.grammar import parse
from symbp.read.latex.macros import LONGEST, Macro, error, expand, scan
from symbp.read.latex.members import counting, numbered
from symbp.read.latex.names import (
    Ambiguous,
    Let,
    Symbols,
    filled,
    flat_subscripts,
    free_letters,
    key,
    letters_of,
    parts,
    read_symbol,
    spellings,
)
from symbp.read.latex.resolve import Reading, Unread, Value
from symbp.read.latex.statements import Statement, statements
from symbp.read.latex.tokens import tokenise
from symbp.read.latex.tree import (
    Accent,
    Atom,
    Bracket,
    Fraction,
    List,
    Node,
    Product,
    Relation,
    Scripts,
    Sum,
    is_prime,
    is_transpose,
)
from symbp.read.latex.updates import Step, rate_of, step, true_step
from symbp.read.latex.view import Evaluator, View

READINGS: tuple[tuple[bool, str], ...] = ((False, "last"), (False, "left"), (False, "first"), (True, "last"))
MOST_LINKS = 40
TOO_WIDE = "a vector times a row of ones is wider than the left side"

Expression = Callable[[str, Collection[str]], Tree]


class LatexReader:
    """Reads the LaTeX of one student about one network; definitions are kept from line to line."""

    def __init__(
        self,
        graph: Graph,
        evaluator: Evaluator,
        expression: Expression,
        lets: Iterable[tuple[str, str]] = (),
        macros: Mapping[str, Macro] | None = None,
        counts: Counts = NONE,
    ) -> None:
        self.graph, self.evaluator, self.expression = graph, evaluator, expression
        self.view = View(graph)
        scalars = frozenset(graph.sizes) | frozenset(graph.constants)
        self.symbols = Symbols(self.view.axes, frozenset(s for s in scalars if not s.isdigit()), dict(graph.latex))
        for function in graph.functions:
            likely, unlikely = spellings(function)
            for spelling in (*likely, *unlikely, function):
                self.symbols.functions.setdefault(spelling, function)
        self.macros = dict(macros or {})
        self.counts = self.symbols.counts = counts
        self.unfit: dict[str, str] = {}  # symbols whose own line does not fit together
        for symbol, meaning in lets:
            self.let(symbol, meaning)

    # -------- lets

    def let(self, symbol: str, meaning: str) -> None:
        """`SYMBOL := EXPRESSION`; names in braces in EXPRESSION are numbers that the network's names supply."""
        text = _undollared(symbol)
        holes = re.findall(r"\{([A-Za-z]\w*)\}", meaning)
        if not holes:
            self.symbols.let(text, lambda letters: self.expression(meaning, letters | self._subscripts(meaning)))
            return
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(_first_name(meaning)), count=1))
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P=\1)", pattern.pattern))
        found = [m for m in (pattern.fullmatch(n) for n in self.view.axes) if m]
        if not found:
            raise ReadError(
                f"no name of the network fits {meaning}",
                None,
                "A name in braces stands for a number: W{l} is W1, W2, ...",
            )
        node = read_symbol(text, self.symbols.words)
        for match in found:
            numbers = match.groupdict()
            concrete = re.sub(r"\{(\w+)\}", lambda m, n=numbers: n.get(m[1], m[0]), meaning)  # type: ignore[misc]
            symbol_node = filled(node, numbers)
            letters = letters_of(symbol_node)
            tree = self.expression(concrete, frozenset(letters) | self._subscripts(concrete))
            self.symbols.add(Let(parts(symbol_node), tree, free_letters(tree) & frozenset(letters), text))

    def _subscripts(self, meaning: str) -> frozenset[str]:
        """Single letters in the subscripts of an expression: indices, although the symbol leaves them out."""
        found = re.findall(r"\[([^\[\]]*)\]", meaning)
        return frozenset(x for inside in found for x in re.findall(r"(?<![\w.])[A-Za-z](?![\w(])", inside))

    # -------- claims

    def read(self, text: str, about: str = "", place: Place | None = None) -> list[Claim]:
        """The claims of one formula, one for each statement; what cannot be read is a claim that says so."""
        formula, offset = _formula(text)
        try:
            found = statements(
                tokenise(
                    expand(scan(formula, comments="\n" in text.strip()), self.macros, formula),
                    formula,
                    self.symbols.words,
                )
            )
        except DeclarationError as problem:
            shown = text if len(text) <= LONGEST else text[:80] + " …"
            return [_unreadable(shown, problem, place, offset)]
        except RecursionError:
            return [
                Claim(
                    text,
                    notation="latex",
                    place=place,
                    problem="unreadable",
                    message="the formula is nested too deeply",
                )
            ]
        found = [s for s in found if not (_is_range(s) and len(found) > 1)]
        made: list[Claim | None] = [None] * len(found)
        for _ in range(2):  # "…, where D = …": what stands behind explains what stands before
            for n, statement in enumerate(found):
                before = made[n]
                if before is None or (before.problem == "undefined" and any(c and c.defines for c in made[n + 1 :])):
                    alone = len(found) == 1 or not statement.is_equation
                    made[n] = self._statement(statement, formula, about if alone else "")
        claims = [replace(c, place=_moved(c.place, place, offset)) for c in made if c is not None]
        if not claims:
            claims = [
                Claim(text, notation="latex", place=place, problem="unreadable", message="there is no formula here")
            ]
        return claims

    def read_line(self, text: str, about: str = "", place: Place | None = None) -> Claim:
        """One claim: the statement that has a gradient on its left side, else the first; definitions
        that stand beside it are taken in before it is read again."""
        found = self.read(text, about, place)
        if len(found) == 1:
            return found[0]
        if any(c.defines for c in found) and any(c.problem for c in found):
            found = self.read(text, about, place)
        unread = next((c for c in found if c.problem), None)
        main = next((c for c in found if c.left is not None and c.left.gradients), None)
        chosen = main or next((c for c in found if not c.defines), found[0])
        return replace(chosen if unread is None or main is not None else unread, text=text)

    def _statement(self, statement: Statement, formula: str, about: str) -> Claim | None:
        """One statement; with letters that count layers, once for each number that they can be."""
        plain = self._once(statement, formula, about, {})
        if plain is None or plain.problem != "undefined" or not self.counts.letters:
            return plain
        try:
            sides = [parse(s.tokens, formula) for s in statement.sides]
        except (Unread, DeclarationError, RecursionError):
            return plain
        used = set().union(*(counting(side, self.counts.letters) for side in sides))
        near = set().union(*(counting(side, self.counts.spare, beside=True) for side in sides))
        tried = []
        for letters in ([used] if used or not near else []) + [{x} for x in sorted(near)]:
            tried = [(choice, self._once(statement, formula, about, choice)) for choice in self.counts.choices(letters)]
            found = [replace(m, at=tuple(choice.items())) for choice, m in tried if m is not None and not m.problem]
            if found:
                return replace(found[0], instances=tuple(found))
        if near:
            return plain
        return tried[len(tried) // 2][1] or plain  # what is wrong in the middle is wrong everywhere

    def _once(self, statement: Statement, formula: str, about: str, choice: Mapping[str, int]) -> Claim | None:
        start, end = statement.start, statement.end
        told = {x for let in self.symbols.lets for node in let.symbol for x in letters_of(node)}  # a^L := a2
        numbers = {letter: str(n) for letter, n in {**self.counts.ends, **choice}.items() if letter not in told}
        shown = formula[start:end].strip() or formula.strip()
        if "\\begin" not in shown:
            shown = re.sub(r"\s*(?<!\\)&\s*", " ", shown)
        where = error(formula, start, "").place
        base = Claim(shown, notation="latex", place=where)
        try:
            if len(statement.sides) > MOST_LINKS:
                raise Unread(f"a chain of more than {MOST_LINKS} links is not read")
            if len(statement.sides) > 1 and not statement.is_equation:
                return self._other(statement, base)
            nodes = [numbered(parse(s.tokens, formula), numbers) for s in statement.sides]
            if len(nodes) == 1:
                return self._bare(nodes[0], formula, about, base)
            if any(not s.tokens for s in statement.sides):
                raise Unread("a side of the equation is empty", (start, end))
            relation = statement.sides[1].relation
            moved = step(nodes, relation, self.symbols.symbol(nodes[0]) is not None)
            if moved is not None:
                return self._step(moved, formula, base)
            if relation == "gets":
                raise Unread("this is no equation")
            return self._equation(nodes, formula, about, base)
        except Unread as problem:
            for symbol in self.unfit:
                if problem.kind == "undefined" and key_in(problem.reason, symbol):
                    problem.hint = "The line that says what it is does not fit together."
            return _explained(base, problem, formula)
        except Ambiguous as problem:
            return replace(base, problem="undefined", message=f"this could be any of {', '.join(problem.lets)}")
        except DeclarationError as problem:
            return _unreadable(shown, problem, None, 0, where)
        except RecursionError:
            return replace(base, problem="unreadable", message="the formula is nested too deeply")

    def _other(self, statement: Statement, base: Claim) -> Claim | None:
        """Declarations of shapes and ranges are no claims; other relations are not judged."""
        relations = {s.relation for s in statement.sides[1:]}
        if relations <= {"in", "notin", "ni", ":", "sim", "subset", "gets"} or (statement.asides and not relations):
            return replace(base, problem="unreadable", message="this is no equation")
        return replace(
            base, problem="unreadable", message=f"only equations are judged, not {' '.join(sorted(relations))}"
        )

    # -------- one statement

    def _bare(self, node: Node, formula: str, about: str, base: Claim) -> Claim:
        """A formula without a left side."""
        if not about:
            value, reading = self._side(node, formula, ())
            return replace(base, links=(value.tree,), notes=tuple(reading.notes))
        value, reading = self._side(node, formula, (), about)
        left = self._subject(about, value)
        return self._made(base, left, [(value, reading)], about)

    def _subject(self, about: str, value: Value) -> Tree:
        """∂loss/∂about, with the letters that the formula has, in the order of the axes."""
        name = self._declared(about)
        whole = claim.gradient(name)
        letters = sorted(free_letters(value.tree))
        if not letters:
            return whole
        axes = self.view.axes[name]
        for let in self.symbols.lets:
            tree = let.tree
            if (
                tree.op == "entry"
                and tree.args[0].op == "name"
                and tree.args[0].data[0] == name
                and sorted(let.letters) == letters
            ):
                if value.shape is None or sum(n != 1 for n in value.shape) == sum(i == ":" for i in tree.data):
                    return Tree("entry", (whole,), tree.data)
        lengths = dict(zip(value.letters, self._extents(value), strict=False))
        _, shape = self.evaluator.shape(claim.name(name))
        long = [k for k, n in enumerate(shape) if n != 1]
        if len(letters) == 1 and len(long) == 1:
            return claim.entry(whole, *[letters[0] if k == long[0] else 0 for k in range(axes)])
        if len(letters) == len(long) and all(x in lengths for x in letters):
            order = [x for k in long for x in letters if lengths[x] == shape[k]]
            if sorted(order) == letters:
                rest = iter(order)
                return claim.entry(whole, *[next(rest) if k in long else 0 for k in range(axes)])
        if len(letters) == 1 and len(long) == 2 and letters[0] in lengths:
            place = [k for k in long if shape[k] == lengths[letters[0]]]
            if len(place) == 1 and value.shape is not None and any(n != 1 for n in value.shape):
                return claim.entry(whole, *[letters[0] if k == place[0] else ":" for k in range(axes)])
        if len(letters) == axes:
            return claim.entry(whole, *letters)
        return whole

    def _extents(self, value: Value) -> list[int]:
        try:
            return [
                self.evaluator.shape(
                    claim.array([x], claim.over("sum", [y for y in value.letters if y != x], _scalar(value)))
                    if len(value.letters) > 1
                    else claim.array([x], _scalar(value))
                )[1][0]
                for x in value.letters
            ]
        except ValueError:
            return []

    def _declared(self, about: str) -> str:
        if about in self.view.axes:
            return about
        node = read_symbol(_undollared(about), self.symbols.words)
        found = self.symbols.symbol(node)
        if found is not None and found.tree.op == "name" and found.tree.data[0] in self.view.axes:
            return str(found.tree.data[0])
        raise Unread(f"{about} is not a name of this network", kind="undefined")

    def _equation(self, nodes: list[Node], formula: str, about: str, base: Claim) -> Claim:
        reading = Reading()
        if self._is_other(nodes, formula):
            return self._definition(nodes, formula, base)
        partial = self._partial(nodes, formula)
        if partial is not None:
            sides = [self._side(n, formula, (), tree=partial) for n in nodes[1:]]
            return self._made(base, partial, sides, about)
        try:
            left = self._left(nodes[0], formula, reading)
        except Unread as problem:
            if problem.kind == "undefined" and _is_symbol(nodes[0]):
                return self._definition(nodes, formula, base)
            raise
        if left.tree.op == "gradient" and not left.tree.data[0]:  # \nabla E: of which leaf?
            value, _ = self._side(nodes[1], formula, ())
            left = left._replace(tree=claim.gradient(self._unnamed(value, nodes[0], formula), left.tree.data[1]))
        left = left._replace(tree=_bare(left.tree))
        if left.jacobian is not None:
            return self._jacobian(left, nodes[1:], formula, base)
        letters = _ordered_letters(left.tree)
        whole = self._labelled(left.tree, letters)
        sides = []
        if whole is not None and all(self._only_labels(n, formula, letters, left.tree, whole) for n in nodes[1:]):
            r = Reading(labels=frozenset(letters))
            left = self._left(nodes[0], formula, r)
            reading.notes += r.notes
            letters = []
        named = self._name_at_the_end(nodes, left.tree.gradients) if left.tree.gradients else None
        if named is not None:
            if len(nodes) == 2:
                self._name(named, left.tree, letters)
                return replace(base, links=(left.tree,), defines=_spelling(named))
            nodes = nodes[:-1]
        for node in nodes[1:]:
            value, taken = self._side(node, formula, letters, tree=left.tree)
            if value.tree.op == "gradient" and not value.tree.data[0]:
                value = value._replace(tree=left.tree)
            sides.append((value, taken))
        if named is not None:
            self._name(named, left.tree, letters)
        sides[0][1].notes[:0] = reading.notes
        return self._made(base, left.tree, sides, about)

    def _jacobian(self, left: Value, links: Sequence[Node], formula: str, base: Claim) -> Claim:
        """`\\frac{\\partial p}{\\partial z} = …` of two vectors is a matrix; beside a vector, where the function works
        entry by entry, its slopes."""
        assert left.jacobian is not None
        of, wrt = left.jacobian
        sides = [self._side(n, formula, (), tree=left.tree) for n in links]
        shapes = [v.shape for v, _ in sides]
        if of in self.view.elementwise.get(wrt, []) and any(s is not None and 1 in s for s in shapes):
            letter = claim.entry(left.tree, "·", "·")
            return self._made(base, claim.array(["·"], letter), sides, "")
        return self._made(base, left.tree, sides, "")

    def _step(self, moved: Step, formula: str, base: Claim) -> Claim:
        """A step of descent: the learning rate is any letter that usually is one and means nothing else here."""
        reading = Reading()
        resolver = Formula(
            self.symbols, self.view, self.evaluator, formula, reading, sorted(_index_letters(moved.symbol))
        )
        symbol = resolver.expression(moved.symbol)
        gradient = calculus.gradient(resolver, moved.symbol, moved.symbol)
        leaf = next(iter(sorted(gradient.tree.gradients)), "")
        if not leaf or not self.graph[leaf].is_leaf:
            raise Unread(f"{resolver.words(moved.symbol)} is no parameter", moved.symbol.span)
        rates = {r: (r, 0) for r in RATES if r not in self.symbols.spelled and r not in self.symbols.defined}
        self.symbols.defined |= rates
        try:
            letters = _ordered_letters(gradient.tree)
            sides = [self._side(n, formula, letters, tree=symbol.tree) for n in moved.links]
        finally:
            for r in rates:
                self.symbols.defined.pop(r, None)
        rate = rate_of([v.tree for v, _ in sides])
        left = true_step(_bare(symbol.tree), _bare(gradient.tree), rate, moved.how)
        return replace(self._made(base, left, sides, leaf), update=True)

    def _made(self, base: Claim, left: Tree, sides: Sequence[tuple[Value, Reading]], about: str) -> Claim:
        notes: dict[str, None] = {}
        for _, reading in sides:
            for n in reading.notes:
                notes.setdefault(n)
            for reason, _ in reading.misfits[:1]:
                notes.setdefault(f"it does not fit: {reason}")
        gradients = sorted(left.gradients)
        subject = about or (gradients[0] if len(gradients) == 1 else "")
        if subject and subject not in self.view.axes:
            subject = self._declared(subject)
        return replace(
            base,
            left=left,
            links=tuple(v.tree for v, _ in sides),
            about=subject,
            notes=tuple(notes),
            loose=any(r.licence for _, r in sides),
        )

    def _left(self, node: Node, formula: str, reading: Reading) -> Value:
        found = Formula(
            self.symbols,
            self.view,
            self.evaluator,
            formula,
            reading,
            sorted(x for x in _index_letters(node) if x not in self.view.axes),
        )
        if (
            isinstance(node, Scripts)
            and isinstance(node.base, Atom)
            and node.base.text == "delta"
            and self.symbols.symbol(node) is None
        ):
            if (
                not isinstance(node.subs[0] if node.subs else node.base, Atom)
                or self.symbols.spelled.get(key(node.subs[0]) if node.subs else "") not in self.view.axes
            ):
                raise found.unknown(node)  # no Kronecker on a left side
        value = found.expression(node)
        if value.jacobian is not None:
            if any(self.view.axes[n] != 1 for n in value.jacobian):
                raise Unread("a whole Jacobian is not judged", node.span, "Give it indices.")
            return value
        if reading.misfits and not (value.tree.op == "gradient" and not value.tree.data[0]):
            raise Unread(f"the left side does not fit: {reading.misfits[0][0]}", node.span)
        return value

    def _side(
        self, node: Node, formula: str, letters: Sequence[str], about: str = "", tree: Tree | None = None
    ) -> tuple[Value, Reading]:
        """The first reading of a side that fits; if none does, the first one."""
        first: tuple[Value, Reading] | None = None
        unread: Unread | None = None
        left = list(letters)
        if about and not left:
            left = [x for let in self.symbols.lets for x in sorted(let.letters)]
        target = tree or (claim.gradient(self._declared(about)) if about else None)
        square = target if target is not None and self._is_square(target) else None
        ways = [Reading(loose, order) for loose, order in READINGS]
        labels = frozenset(_index_letters(node)) - frozenset(letters)
        if labels and not about:
            ways.append(Reading(labels=labels))
        if self.view.rows:
            ways.append(Reading(columns=True))
        if letters and self.view.has_parts:
            ways.append(Reading(computed=frozenset(letters)))
        for reading in ways:
            resolver = Formula(self.symbols, self.view, self.evaluator, formula, reading, left)
            resolver.square = square
            try:
                value = resolver.expression(node)
            except Unread as problem:
                unread = unread or problem
                continue
            if value.jacobian is not None:
                raise Unread(f"{resolver.words(node)[:60]} is a whole Jacobian", node.span, "Give it indices.")
            if reading.computed and tree is not None:  # the left side says how far its letters run
                whole = claim.product([value.tree, claim.call("ones_like", [tree])])
                value = resolver.value(claim.alias(whole, resolver.words(node)))
            if value.ones or value.wide:  # c 1: as long as the left side
                if target is not None and value.wide and not value.is_scalar and self._like(target, value, letters):
                    reading.misfits.append((TOO_WIDE, node.span))
                    value = resolver.value(claim.chain([value.tree, self._row_of_ones()]))
                elif target is not None and not _ordered_letters(target):
                    value = resolver.value(
                        claim.alias(
                            claim.product([value.tree, claim.call("ones_like", [target])]), resolver.words(node)
                        )
                    )
            if tree is not None and _is_vec(tree) and value.shape is not None and r"\otimes" in resolver.words(node):
                if len(value.shape) == 2 and 1 not in value.shape:  # x ⊗ y of two vectors, not x yᵀ
                    value = resolver.value(claim.column(claim.call("ravel", [value.tree])))
            if first is None and (unread is None or not reading.labels):
                first = value, reading
            fits = (
                not reading.misfits and value.shape is not None and (tree is None or self._like(tree, value, letters))
            )
            if fits and tree is not None and letters and self.view.has_parts:
                fits = resolver._fits(claim.sum_([tree, value.tree]))
            if fits:
                self._bounded(value.tree, tree, node)
                if reading.order != "last":
                    reading.notes.append(
                        "elementwise products are read "
                        + ("from left to right" if reading.order == "left" else "before matrix products")
                    )
                if reading.columns:
                    reading.notes.append("vectors are read as columns")
                return value, reading
        if first is None:
            assert unread is not None
            raise unread
        beyond = not first[1].misfits and not set(first[0].letters) <= set(letters)  # a sum is missing, no symbol
        if first[1].guesses and not beyond:
            raise Unread(
                f"{first[1].guesses[0]}; then it does not fit"
                + (f" ({first[1].misfits[0][0]})" if first[1].misfits else ""),
                node.span,
                "Say what the symbols are with --let 'SYMBOL := NAME'.",
                "undefined",
            )
        return first

    def _row_of_ones(self) -> Tree:
        """A row of ones of some length, for what it does not fit."""
        size = next((claim.name(s) for s in self.graph.sizes if not s.isdigit()), claim.number(2))
        return claim.alias(claim.call("ones", [claim.call("tuple", [claim.number(1), size])]), r"\mathbf{1}^{\top}")

    def _is_square(self, tree: Tree) -> bool:
        try:
            letters, shape = self.evaluator.shape(tree)
        except ValueError:
            return False
        return not letters and len(shape) == 2 and shape[0] == shape[1]

    def _bounded(self, tree: Tree, left: Tree | None, node: Node) -> None:
        """A δ_{ij} whose letters occur nowhere else is some symbol that is not known."""
        trees = [t for whole in (tree, left) if whole is not None for t in whole.walk()]
        placed = {i for t in trees if t.op == "entry" for i in t.data if isinstance(i, str)}
        for t in tree.walk():
            if t.op == "letter" and t.data[0] not in placed:
                raise Unread(
                    f"nothing says how far the index {t.data[0]} runs",
                    node.span,
                    "Say what the symbols are with --let.",
                    "undefined",
                )

    def _labelled(self, left: Tree, letters: Sequence[str]) -> Tree | None:
        """∂L/∂v_c as ∂L/∂v: the whole vector, if its only index could be a label."""
        body = left.args[0] if left.op == "alias" else left
        if (
            len(letters) == 1
            and body.op == "entry"
            and body.args[0].op == "gradient"
            and sum(i == letters[0] for i in body.data) == 1
            and ":" not in body.data
        ):
            return body.args[0]
        return None

    def _only_labels(self, node: Node, formula: str, letters: Sequence[str], left: Tree, whole: Tree) -> bool:
        """Whether a side gives a whole vector once the letter is a label, and does not fit otherwise."""
        if any(let.letters for let in self.symbols.lets):
            return False
        try:
            value, reading = self._side(node, formula, letters, tree=left)
            if not reading.misfits and self._like(left, value, letters):
                return False
            value, reading = self._side(node, formula, letters, tree=whole)
            if reading.misfits or not self._like(whole, value, ()) or value.letters:
                reading = Reading(labels=frozenset(letters))
                value = Formula(self.symbols, self.view, self.evaluator, formula, reading, []).expression(node)
        except Unread:
            return False
        return not reading.misfits and not value.letters and self._like(whole, value, ())

    def _like(self, left: Tree, value: Value, letters: Sequence[str]) -> bool:
        """Whether a side has the shape of the left side, lengths of 1 aside."""
        if value.shape is None:
            return False
        try:
            _, shape = self.evaluator.shape(left)
        except ValueError:
            return True
        if any(x not in letters for x in value.letters):
            return False
        return [n for n in shape if n != 1] == [n for n in value.shape if n != 1]

    def _unnamed(self, value: Value, node: Node, formula: str) -> str:
        """The leaf that `\\nabla E` is about: the only one that is shaped like the right side."""
        if value.shape is not None:
            wanted = [n for n in value.shape if n != 1]
            fixed = self.graph.fixed()
            fits = []
            for leaf in self.graph.leaves:
                _, shape = self.evaluator.shape(claim.name(leaf.name))
                if [n for n in shape if n != 1] == wanted and leaf.name not in fixed:
                    fits.append(leaf.name)
            if len(fits) == 1:
                return fits[0]
        raise Unread("with respect to what is this gradient?", node.span, "Write \\nabla_{W}.", "undefined")

    # -------- definitions

    def _is_other(self, nodes: Sequence[Node], formula: str) -> bool:
        """`e = x - t` where the loss is called E: a new name, if it does not fit the one that is written otherwise."""
        found = self.symbols.symbol(nodes[0]) if _is_symbol(nodes[0]) else None
        if found is None or not found.note or found.subs or found.sups:
            return False
        try:
            value, reading = self._side(nodes[1], formula, (), tree=found.tree)
        except Unread:
            return False
        if any(reason == TOO_WIDE for reason, _ in reading.misfits):
            return True
        return not reading.misfits and value.shape is not None and not self._like(found.tree, value, ())

    def _partial(self, nodes: Sequence[Node], formula: str) -> Tree | None:
        """`f_x = …`: the partial derivative, where f is the scalar at the end, x one of its tensors, and the right side
        could be the gradient. `L_W` of a scalar right side is a loss of its own."""
        node = nodes[0]
        if not isinstance(node, Scripts) or node.sups or len(node.subs) != 1:
            return None
        known = self.symbols.symbol(node)
        if known is not None and not known.subs:
            return None
        if not isinstance(node.base, Atom) or not isinstance(node.subs[0], (Atom, Scripts, Accent)):
            return None
        whole, part = self.symbols.symbol(node.base), self.symbols.symbol(node.subs[0])
        if whole is None or part is None or whole.note or part.note or part.subs or part.sups:
            return None
        if (
            whole.tree.data[:1] != (self.graph.loss,)
            or part.tree.op != "name"
            or part.tree.data[0] not in self.view.axes
        ):
            return None
        gradient = claim.gradient(part.tree.data[0], formula[node.span[0] : node.span[1]])
        if not self.view.axes[part.tree.data[0]] and node.base.text.isupper():
            return None
        try:
            value, reading = self._side(nodes[1], formula, (), tree=gradient)
        except Unread:
            return None
        lengths = [sorted(n for n in x if n != 1) for x in (self.evaluator.shape(gradient)[1], value.shape or ())]
        return gradient if not reading.misfits and lengths[0] == lengths[1] and not value.letters else None

    def _name_at_the_end(self, nodes: Sequence[Node], about: Collection[str]) -> Node | None:
        """`\\frac{\\partial L}{\\partial z} = … = \\delta`: a new name for the left side, if it is a Greek letter or
        stands behind something else that the left side is; not the \\delta_s of another tensor s."""
        last = nodes[-1]
        base = last.base if isinstance(last, Scripts) else last
        if not _is_symbol(last) or not isinstance(base, Atom) or self.symbols.symbol(last) is not None:
            return None
        units = flat_subscripts(last.subs) if base.text == "delta" and isinstance(last, Scripts) else []
        other = self.symbols.symbol(units[0]) if units and _is_symbol(units[0]) else None
        if other is not None and not other.note and other.tree.op == "name":
            name = other.tree.data[0]
            if name in self.view.axes and name not in about and not self.view.graph[name].is_leaf:
                return None
        greek = len(base.text) > 1 and base.kind == "LETTER" and base.text not in ("ell", "partial", "pi", "infty")
        return last if greek and (len(nodes) > 2 or base.text == "delta") else None

    def _definition(self, nodes: list[Node], formula: str, base: Claim) -> Claim:
        """`\\delta_3 = …`: a new name. A link that is a gradient says what it is, and the others are judged."""
        symbol = nodes[0]
        subs = flat_subscripts(symbol.subs) if isinstance(symbol, Scripts) else []
        letters = [key(s) for s in subs if isinstance(s, Atom) and s.kind == "LETTER"]
        sides = [self._side(n, formula, letters) for n in nodes[1:]]
        for n, (value, _) in enumerate(sides):
            if _is_gradient(value.tree):
                value = value._replace(tree=_bare(value.tree))
                self._name(symbol, value.tree, letters)
                others = [
                    self._side(nodes[k + 1], formula, letters, tree=value.tree) if s[0].ones or s[0].wide else s
                    for k, s in enumerate(sides)
                    if k != n
                ]
                if not others:
                    return replace(base, left=None, links=(value.tree,), defines=_spelling(symbol))
                return self._made(base, value.tree, others, "")
        name = _spelling(symbol)
        if sides[-1][0].shape is None:
            self.unfit[key(symbol)] = name  # judged as it stands, and of no use to later lines
            notes = tuple(f"it does not fit: {m[0]}" for _, r in sides for m in r.misfits[:1])
            return replace(base, links=tuple(v.tree for v, _ in sides), defines=name, notes=notes)
        used = [x for x in letters if any(x in free_letters(v.tree) for v, _ in sides)]
        tree = sides[-1][0].tree
        if used:
            tree = claim.array(used, tree)
        self._define(symbol, name, tree, used)
        notes = tuple(n for _, r in sides for n in r.notes)
        return replace(base, links=(*[v.tree for v, _ in sides[:-1]], tree), defines=name, notes=notes)

    def _define(self, symbol: Node, name: str, tree: Tree, letters: Sequence[str]) -> None:
        define = getattr(self.evaluator, "define", None)
        if define is not None:
            define(name, tree)
        if letters:
            self._name(symbol, claim.entry(claim.name(name, name), *letters), letters)
        else:
            self.symbols.defined[key(symbol)] = (name, 2)

    def _name(self, symbol: Node, tree: Tree, letters: Sequence[str]) -> None:
        let = Let(parts(symbol), tree, frozenset(letters) & free_letters(tree), "")
        self.symbols.exact[let.key] = let
        self.symbols.lets = [other for other in self.symbols.lets if other.key != let.key]
        self.symbols.lets.insert(0, let)


# ---------------------------------------------------------------- small things


def _scalar(value: Value) -> Tree:
    if value.shape and any(n != 1 for n in value.shape):
        return claim.call("sum", [value.tree])
    return value.tree


def _index_letters(node: Node) -> set[str]:
    """The letters that stand in scripts."""
    match node:
        case Scripts(base=base, subs=subs, sups=sups):
            return _index_letters(base) | {x for s in (*subs, *sups) for x in letters_of(s)} - {
                "T",
                "top",
                "prime",
                "intercal",
            }
        case Accent(body=body) | Bracket(body=body):
            return _index_letters(body)
        case Fraction(top=top, bottom=bottom):
            return _index_letters(top) | _index_letters(bottom)
        case Product(factors=items) | Sum(terms=items) | List(items=items) | Relation(sides=items):
            return {x for i in items for x in _index_letters(i)}
    return set()


def key_in(reason: str, symbol: str) -> bool:
    """Whether a message is about this symbol."""
    plain = re.sub(r"[\\{}() ]", "", reason)
    return plain.startswith(symbol.replace(" ", ""))


def _bare(tree: Tree) -> Tree:
    """A vector of the network, which is neither a column nor a row."""
    if tree.op == "sum" and len(tree.args) == 1:
        return tree.with_args([_bare(tree.args[0])])
    while tree.op == "call" and tree.data[0] in ("column", "row"):
        tree = tree.args[0]
    return tree


def _ordered_letters(tree: Tree) -> list[str]:
    found: list[str] = []
    for t in tree.walk():
        if t.op == "entry":
            found += [i for i in t.data if isinstance(i, str) and i not in ("*", ":") and i not in found]
    free = free_letters(tree)
    return [x for x in found if x in free]


def _is_gradient(tree: Tree) -> bool:
    """A gradient, an entry of one, or one with a factor or sign."""
    while (
        tree.op in ("alias", "entry", "transpose")
        or (tree.op == "call" and tree.data[0] in ("column", "row"))
        or (tree.op == "sum" and len(tree.args) == 1)
    ):
        tree = tree.args[0]
    return tree.op == "gradient"


def _is_vec(tree: Tree) -> bool:
    """Is this the columns of a matrix, one below the other?"""
    while tree.op in ("alias", "sum", "product") or (tree.op == "call" and tree.data[0] == "column"):
        tree = tree.args[-1]
    return tree.op == "call" and tree.data[0] == "ravel"


def _is_symbol(node: Node) -> bool:
    """Whether a left side is one symbol, so that it may be a new name."""
    if isinstance(node, Scripts):
        return isinstance(node.base, (Atom, Accent)) and not any(is_prime(s) or is_transpose(s) for s in node.sups)
    if isinstance(node, Accent):
        return True
    return isinstance(node, Atom) and node.kind in ("LETTER", "WORD")


def _spelling(node: Node) -> str:
    return "\\" + key(node)


def _is_range(statement: Statement) -> bool:
    """`i = 1`, `\\dots`, `n`: what stands beside a formula."""
    tokens = [t for s in statement.sides for t in s.tokens]
    if not tokens:
        return True
    if all(t.kind in ("TEXT", "DOTS", "SYM") for t in tokens):
        return True
    if len(statement.sides) == 1 and tokens[0].kind == "TEXT":
        return True
    first = statement.sides[0].tokens
    return (
        len(first) == 1
        and first[0].kind == "LETTER"
        and first[0].text in "ijklmnpqrst"
        and len(statement.sides) == 2
        and all(t.kind in ("NUM", "LETTER", "DOTS", "COMMA") for t in statement.sides[1].tokens)
    )


def _undollared(text: str) -> str:
    return _formula(text)[0]


def _formula(text: str) -> tuple[str, int]:
    """A formula without its dollars or display brackets, and where it starts in the text."""
    inside = text
    stripped = inside.strip()
    for left, right in (("$$", "$$"), ("$", "$"), ("\\[", "\\]"), ("\\(", "\\)")):
        if stripped.startswith(left) and stripped.endswith(right) and len(stripped) >= len(left) + len(right):
            inner = stripped[len(left) : len(stripped) - len(right)]
            return inner, text.index(stripped) + len(left)
    return text, 0


def _moved(place: Place | None, outer: Place | None, offset: int) -> Place | None:
    """A place inside a formula as a place in the document."""
    if place is None or outer is None:
        return outer if outer is not None else place
    column = outer.column + offset + place.column - 1 if place.line == 1 else place.column
    return Place(outer.line + place.line - 1, column, place.text, outer.file)


def _explained(base: Claim, problem: Unread, formula: str) -> Claim:
    where = base.place if problem.span == (0, 0) else error(formula, problem.span[0], "").place
    message = problem.reason + (f". {problem.hint}" if problem.hint else "")
    return replace(base, problem=problem.kind, message=message, place=where)


def _unreadable(
    text: str, problem: DeclarationError, place: Place | None, offset: int, inner: Place | None = None
) -> Claim:
    message = problem.reason + (f". {problem.hint}" if problem.hint else "")
    return Claim(
        text,
        notation="latex",
        place=_moved(problem.place or inner, place, offset),
        problem="unreadable",
        message=message,
    )


def _first_name(meaning: str) -> str:
    """The name with placeholders in an expression: `W{l}` in `W{l}[k, i]`."""
    match = re.search(r"[A-Za-z]\w*(?:\{\w+\}\w*)+", meaning)
    return match[0].split("/d")[-1] if match else meaning
