"""Networks declared in SymPy: a list of equations becomes a `Graph`.

Three passes. The first looks at all equations and learns what every symbol is: what stands in the
shape of a matrix or in a range is a size, what stands on the left is a node, the rest are leaves;
indexed arrays get their shapes from the ranges of their letters. The second orders the equations,
because mathematics does not. The third reads the right sides (sympy_in.py), each becoming a node.

Names are SymPy's, made safe where they hold more than letters, digits and `_` (`\\hat{y}` becomes
`hat_y` and keeps its LaTeX). Two symbols that differ and share a name are an error, never merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from sympy.core.sympify import _sympify  # strict: never reads a text
from sympy.logic.boolalg import BooleanAtom
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction

from symbp.arrange import shifted
from symbp.errors import DeclarationError
from symbp.expr import ONE, ZERO, Expr, Index, Num, Size
from symbp.family import base_of
from symbp.graph import Fact, Graph, Node, axes_of
from symbp.sizes import Sizes, polynomial, resolve_sizes, shape_text, size_text
from symbp.sympy_families import FamilyDeclaration, uses_families
from symbp.sympy_in import FAMILIES, ExprReader, OwnFunctions, positive_first
from symbp.sympy_names import Names, safe_name
from symbp.tensor import Tensor, is_scalar, leaf, scalar, value

Sym = Any
UNROLL = "Write the layers or steps out, one equation each."


@dataclass(frozen=True)
class Equation:
    """`left = right`; `number` counts from 1 in the user's list."""

    number: int
    left: Sym
    right: Sym

    @property
    def symbol(self) -> Sym:
        """What is defined: for `z[i]` the array z."""
        return self.left.base if isinstance(self.left, sp.Indexed) else self.left

    def fail(self, reason: str, hint: str = "") -> DeclarationError:
        return DeclarationError(
            f"equation {self.number}, {_shown(self.left)} = {_shown(self.right)}: {reason}", hint=hint
        )


@dataclass(frozen=True)
class Declared:
    """A network as it was declared: the graph, and the SymPy objects that its names came from."""

    graph: Graph
    equations: tuple[Equation, ...]
    symbols: Mapping[str, Sym] = field(default_factory=dict)  # tensors
    sizes: Mapping[str, Sym] = field(default_factory=dict)
    origin: int = 0  # the number at which indices begin


def read_equations(
    equations: Iterable[Any], loss: Any = None, name: str = "network", facts: Sequence[str] = (), title: str = ""
) -> Graph:
    """The graph of a list of `Eq` or `(left, right)`; the last left side is the loss unless named.

    Raises DeclarationError, which says which equation is meant and what would work."""
    return declare(equations, loss, name, facts, title).graph


def declare(
    equations: Iterable[Any], loss: Any = None, name: str = "network", facts: Sequence[str] = (), title: str = ""
) -> Declared:
    """`read_equations`, with the SymPy objects kept."""
    given = pairs(equations)
    if uses_families(given):
        return _with_families(given, loss, name, facts, title)
    return _Declaration(given).finish(loss, name, facts, title)


def _with_families(equations: tuple[Equation, ...], loss: Any, name: str, facts: Sequence[str], title: str) -> Declared:
    """A network of symbolic depth or time (sympy_families.py)."""
    reading = FamilyDeclaration(equations)
    graph = reading.finish(loss, name, title)
    sizes = {reading.names(s): s for s in (*reading.size_symbols, *reading.size_families)}
    sizes |= {name: s for s, name in reading.variables.items()}
    found = read_facts(facts, graph.nodes, reading.sizes, set(sizes))
    tensors = {n: s for s, n in reading.names.of_symbol.items() if n not in sizes}
    return Declared(replace(graph, facts=found), equations, tensors, sizes, reading.origin)


# ---- equations -------------------------------------------------------------------------------------


def pairs(equations: Iterable[Any]) -> tuple[Equation, ...]:
    """The equations, each split into its sides."""
    if isinstance(equations, (sp.Basic, str)) and not isinstance(equations, sp.Tuple):
        raise DeclarationError("a network is a list of equations", hint="Write Network([Eq(q, x + y), Eq(f, q*z)]).")
    found: list[Equation] = []
    for number, e in enumerate(equations, 1):
        if isinstance(e, (bool, BooleanAtom)):
            raise _evaluated(bool(e), number, found)
        if isinstance(e, sp.Eq):
            left, right = e.lhs, e.rhs
        elif isinstance(e, (tuple, list, sp.Tuple)) and len(e) == 2:
            left, right = (_side(x, number) for x in e)
        else:
            raise DeclarationError(f"equation {number} is neither an Eq nor a pair (left, right): {_shown(e)}")
        found.append(Equation(number, left, right))
    if not found:
        raise DeclarationError("there are no equations", hint="Write Network([Eq(q, x + y), Eq(f, q*z)]).")
    return tuple(found)


def _side(x: Any, number: int) -> Sym:
    """One side of a pair as a SymPy object; a text is never read."""
    try:
        return sp.ImmutableMatrix(x) if isinstance(x, sp.MatrixBase) else _sympify(x)
    except sp.SympifyError:
        raise DeclarationError(f"equation {number}: {_shown(x)!r} is not a SymPy expression") from None


def _evaluated(answer: bool, number: int, before: Sequence[Equation]) -> DeclarationError:
    """SymPy decided an equation before symbp saw it."""
    where = f" (it comes after {_shown(before[-1].left)} = {_shown(before[-1].right)})" if before else ""
    if answer:
        why = "its two sides are the same expression"
        hint = "An equation defines its left side by something else."
    else:
        why = (
            "it took one side for a scalar and the other for a matrix: x.T*w is a 1×1 matrix, "
            "and tanh(Z) of a matrix counts as a scalar"
        )
        hint = (
            "Write the equation as a pair, (left, right), or right sides that SymPy takes for what they are: "
            "Eq(s, sb.scalar(x.T*w)), Eq(A, sb.tanh(Z)) or Eq(A, Z.applyfunc(tanh))."
        )
    return DeclarationError(
        f"equation {number}{where} is {answer}: SymPy compared its sides at once, because {why}", hint=hint
    )


# ---- what every symbol is --------------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """One occurrence of an indexed array: its indices, and the ranges of the letters in scope."""

    equation: Equation
    base: Sym
    indices: tuple[Sym, ...]
    ranges: Mapping[Sym, tuple[Sym, Sym] | None]


class _Survey:
    """All symbols of the equations, by what they are used for, in order of appearance."""

    def __init__(self, equations: Sequence[Equation]) -> None:
        self.tensors: dict[Sym, Equation] = {}
        self.sizes: dict[Sym, None] = {}
        self.uses: list[Use] = []
        self.needs: dict[int, dict[Sym, None]] = {}
        for e in equations:
            self._left(e)
            self.found: dict[Sym, None] = {}
            self.walk(e.right, self._free(e), e)
            self.needs[e.number] = self.found
            for s in self.found:
                self.tensors.setdefault(s, e)
            self.tensors.setdefault(e.symbol, e)
        for e in equations:
            if e.symbol in self.sizes:
                raise e.fail(f"{e.symbol} is a size (it stands in a shape or in a range) and cannot be defined")
        for s in self.sizes:
            self.tensors.pop(s, None)

    def _left(self, e: Equation) -> None:
        if isinstance(e.left, (sp.Symbol, sp.MatrixSymbol)):
            self._shape(getattr(e.left, "shape", ()))
            return
        if not isinstance(e.left, sp.Indexed):
            hint = "The left side is one Symbol, MatrixSymbol or Indexed."
            raise e.fail(f"{_shown(e.left)} cannot be defined", hint)
        self.uses.append(Use(e, e.left.base, e.left.indices, self._free(e)))
        self._shape(e.left.base.shape or ())

    def _free(self, e: Equation) -> dict[Sym, tuple[Sym, Sym] | None]:
        """The letters of the left side with their ranges, where known."""
        if not isinstance(e.left, sp.Indexed):
            return {}
        found: dict[Sym, tuple[Sym, Sym] | None] = {}
        for i in e.left.indices:
            low, high = getattr(i, "lower", None), getattr(i, "upper", None)
            found[i] = None
            if low is not None and high is not None:
                found[i] = (low, high)
                self._shape([high - low + 1])
        return found

    def _shape(self, shape: Iterable[Sym]) -> None:
        for d in shape:
            for s in sorted(_sympify(d).free_symbols, key=str):
                self.sizes.setdefault(s)

    def walk(self, e: Sym, ranges: Mapping[Sym, tuple[Sym, Sym] | None], eq: Equation) -> None:
        """Every symbol below; `ranges` holds the letters in scope."""
        if e in ranges:
            return
        if isinstance(e, sp.MatrixSymbol):
            self._shape(e.shape)
            self.found.setdefault(e)
        elif isinstance(e, sp.Indexed):
            self.found.setdefault(e.base)
            self._shape(e.base.shape or ())
            self.uses.append(Use(eq, e.base, e.indices, ranges))
            for i in e.indices:
                self._index(i, ranges, eq)
        elif isinstance(e, sp.Sum):
            inner = dict(ranges)
            for limit in e.limits:
                if len(limit) != 3:
                    raise eq.fail(f"the sum over {limit[0]} has no range", f"Write Sum(…, ({limit[0]}, 1, n)).")
                self._shape([limit[2] - limit[1] + 1])
                inner[limit[0]] = (limit[1], limit[2])
            self.walk(e.function, inner, eq)
        elif isinstance(e, (sp.OneMatrix, sp.ZeroMatrix, sp.Identity)):
            self._shape(e.shape)
        elif isinstance(e, sp.FunctionMatrix):
            self._shape(e.shape)
            self.walk(e.lamda.expr, {**ranges, **dict.fromkeys(e.lamda.variables)}, eq)
        elif isinstance(e, sp.Lambda):
            self.walk(e.expr, {**ranges, **dict.fromkeys(e.variables)}, eq)
        elif isinstance(e, ElementwiseApplyFunction):
            self.walk(e.function, ranges, eq)
            self.walk(e.expr, ranges, eq)
        elif isinstance(e, sp.Idx):
            self._unbound(e, eq)
        elif isinstance(e, sp.Symbol):
            self.found.setdefault(e)
        else:
            for a in positive_first(e) if e.is_Add else e.args:
                self.walk(a, ranges, eq)

    def _index(self, e: Sym, ranges: Mapping[Sym, tuple[Sym, Sym] | None], eq: Equation) -> None:
        """An index: letters in scope, sizes and numbers."""
        for s in e.free_symbols if not isinstance(e, sp.Idx) else {e}:
            if s in ranges or getattr(s, "is_Integer", False):
                continue
            if isinstance(s, sp.Idx):
                self._unbound(s, eq)
            if not any(isinstance(i, sp.Idx) and i.label == s for i in ranges):
                self._shape([s])

    def _unbound(self, e: Sym, eq: Equation) -> None:
        raise eq.fail(
            f"the index {e} is neither on the left side nor bound by a Sum",
            "Repeated indices are not summed by themselves.",
        )


class _Arrays:
    """Shapes of indexed arrays, from their declaration, the ranges of letters, and each other."""

    def __init__(self, uses: Sequence[Use], reader: ExprReader) -> None:
        self.reader, self.uses = reader, uses
        self.dims: dict[tuple[Sym, int], Expr] = {}
        self.letter_dims: dict[tuple[int, Sym], Expr] = {}
        self.letters: dict[Expr, str] = {}
        self.origin = self._origin()
        self._check_ranks()
        for u in uses:
            for k, d in enumerate(u.base.shape or ()):
                self.dims[u.base, k] = reader.size(d)
        while self._learn():
            pass
        self._invent()

    def _origin(self) -> int:
        """0 or 1: the least number at which any index begins."""
        starts = [int(low) for u in self.uses for r in u.ranges.values() if r for low in r[:1] if low.is_Integer]
        starts += [int(i) for u in self.uses for i in u.indices if i.is_Integer]
        origin = min(starts, default=1)
        if origin not in (0, 1):
            raise self.uses[0].equation.fail(f"the indices begin at {origin}; they must begin at 0 or 1")
        return origin

    def _check_ranks(self) -> None:
        ranks: dict[Sym, int] = {}
        for u in self.uses:
            if ranks.setdefault(u.base, len(u.indices)) != len(u.indices):
                raise u.equation.fail(
                    f"{u.base} has {ranks[u.base]} indices in one place and {len(u.indices)} in another"
                )

    def _learn(self) -> bool:
        """One round: letters from ranges and arrays, arrays from letters."""
        known = len(self.dims) + len(self.letter_dims)
        for u in self.uses:
            for k, i in enumerate(u.indices):
                if i not in u.ranges:
                    continue
                limits = u.ranges[i]
                if limits is not None:
                    self._range(u, k, i, limits)
                elif (u.base, k) in self.dims:
                    self._same(
                        u,
                        self.letter_dims.setdefault((u.equation.number, i), self.dims[u.base, k]),
                        self.dims[u.base, k],
                        i,
                    )
                elif (u.equation.number, i) in self.letter_dims:
                    self.dims[u.base, k] = self.letter_dims[u.equation.number, i]
        return len(self.dims) + len(self.letter_dims) > known

    def _range(self, u: Use, k: int, i: Sym, limits: tuple[Sym, Sym]) -> None:
        """A letter that runs up to the end of its axis says how long the axis is."""
        dim = self.reader.size(limits[1] - self.origin + 1)
        self.letters.setdefault(dim, str(i))
        if limits[0] == self.origin:
            self._same(u, self.dims.setdefault((u.base, k), dim), dim, i)
        else:
            self.dims.setdefault((u.base, k), dim)

    def _same(self, u: Use, a: Expr, b: Expr, i: Sym) -> None:
        difference = {m: c for m, c in _difference(a, b).items() if c}
        if any(difference.keys()):
            raise u.equation.fail(f"the index {i} runs to {size_text(a)} and to {size_text(b)}")

    def _invent(self) -> None:
        """A size for every letter that no range and no array tells."""
        for u in self.uses:
            for k, i in enumerate(u.indices):
                if (u.base, k) in self.dims:
                    continue
                if i not in u.ranges:
                    hint = f"Write IndexedBase({str(u.base.label)!r}, shape=(…))."
                    raise u.equation.fail(
                        f"the size of axis {k + 1} of {u.base} cannot be found from {u.base}[{i}]", hint
                    )
                size = self._new_size(f"n_{safe_name(str(i))}")
                self.letters.setdefault(size, str(i))
                self.dims[u.base, k] = self.letter_dims[u.equation.number, i] = size
                while self._learn():
                    pass

    def _new_size(self, name: str) -> Size:
        sizes = self.reader.sizes
        if name in sizes.names:
            return sizes.invent(name)
        sizes.names.add(name)
        return Size(name)

    def shape(self, base: Sym) -> tuple[Expr, ...]:
        rank = next(len(u.indices) for u in self.uses if u.base == base)
        return tuple(self.dims[base, k] for k in range(rank))


def _difference(a: Expr, b: Expr) -> dict[tuple[str, ...], Any]:
    left, right = polynomial(a), polynomial(b)
    return {m: left.get(m, 0) - right.get(m, 0) for m in left.keys() | right.keys()}


# ---- the graph -------------------------------------------------------------------------------------


class _Declaration:
    """The state of one reading."""

    def __init__(self, equations: Sequence[Equation]) -> None:
        self.equations = tuple(equations)
        self.sizes = Sizes()
        self.names = Names()
        self._check_left_sides()
        self.survey = _Survey(self.equations)
        for s in self.survey.sizes:
            self.sizes.names.add(self.names(s))
        for s in self.survey.tensors:
            self.sizes.names.add(self.names(s))
        self.reader = ExprReader(self.sizes, self._operand, self._size_name, OwnFunctions())
        self.arrays = _Arrays(self.survey.uses, self.reader)
        self.reader.origin = self.arrays.origin
        self.operands: dict[Sym, Tensor] = {}
        for s in self.survey.tensors:
            self.operands[s] = leaf(self.names(s), self._shape(s))
        self.nodes: dict[str, Node] = {}

    def _check_left_sides(self) -> None:
        first: dict[Sym, Equation] = {}
        for e in self.equations:
            if isinstance(e.left, sp.Indexed):
                letters = {i for i in e.left.indices if isinstance(i, (sp.Idx, sp.Symbol))}
                if len(letters) < len(e.left.indices):
                    raise e.fail(f"the indices of {e.left} are not different letters; {FAMILIES}", UNROLL)
            before = first.setdefault(e.symbol, e)
            if before is not e:
                why = f"{e.symbol} is already defined by equation {before.number}"
                raise e.fail(f"{why}; {FAMILIES}", UNROLL) if isinstance(e.left, sp.Indexed) else e.fail(why)

    def _size_name(self, symbol: Sym) -> str:
        if symbol not in self.survey.sizes:
            raise DeclarationError(f"{symbol} is not a size")
        return self.names(symbol)

    def _operand(self, symbol: Sym) -> Tensor:
        if symbol in self.survey.sizes:
            return scalar(Size(self.names(symbol)))
        found = self.operands.get(symbol)
        if found is None:
            raise DeclarationError(f"{symbol} stands where no value is known for it")
        return found

    def _shape(self, symbol: Sym) -> tuple[Expr, ...]:
        if isinstance(symbol, sp.MatrixSymbol):
            return self.reader.shape(symbol)
        return self.arrays.shape(symbol) if isinstance(symbol, sp.IndexedBase) else ()

    def finish(self, loss: Any, name: str, facts: Sequence[str], title: str) -> Declared:
        defined = {e.symbol for e in self.equations}
        for s in self.survey.tensors:
            if s not in defined:
                shape = self._shape(s)
                self.nodes[self.names(s)] = Node(self.names(s), shape, axes_of(shape))
        for e in self._ordered():
            try:
                self._define(e)
            except DeclarationError as error:
                if error.reason.startswith("equation "):
                    raise
                raise e.fail(error.reason, error.hint) from None
        chosen = self._loss(loss)
        self._put_sizes_in()
        sizes = {self.names(s): s for s in self.survey.sizes}
        graph = Graph(
            name=name,
            nodes=self.nodes,
            loss=chosen,
            facts=tuple(dict.fromkeys((*self._assumptions(), *read_facts(facts, self.nodes, self.sizes, set(sizes))))),
            relations=dict(self.sizes.relations),
            title=title,
            latex=dict(self.names.latex),
            letters=self.arrays.letters,
            warnings=tuple(dict.fromkeys(self.sizes.warnings)),
            declared="sympy",
            own=self.reader.own.rows,
            functions=self.reader.functions,
        )
        symbols = {self.names(s): s for s in self.survey.tensors}
        return Declared(graph, self.equations, symbols, sizes, self.arrays.origin)

    def _ordered(self) -> Iterator[Equation]:
        """The equations so that each uses earlier ones only; as given where that is so."""
        by_symbol = {e.symbol: e for e in self.equations}
        done: set[Sym] = set()
        for start in self.equations:
            stack = [start]
            while stack:
                e = stack[-1]
                waiting = [s for s in self.survey.needs[e.number] if s in by_symbol and s not in done]
                if e.symbol in waiting or any(by_symbol[s] in stack for s in waiting):
                    why = f"{e.symbol} is defined by itself, directly or around a cycle"
                    raise e.fail(f"{why}; {FAMILIES}", UNROLL) if isinstance(e.left, sp.Indexed) else e.fail(why)
                if waiting:
                    stack.append(by_symbol[waiting[0]])
                    continue
                stack.pop()
                if e.symbol not in done:
                    done.add(e.symbol)
                    yield e

    def _define(self, e: Equation) -> None:
        node_name, shape = self.names(e.symbol), self._shape(e.symbol)
        axes = axes_of(shape)
        env: dict[Sym, Tensor] = {}
        if isinstance(e.left, sp.Indexed):
            self.reader.place = axes
            for i, axis in zip(e.left.indices, axes, strict=True):
                env[i] = scalar(shifted(axis, Num(self.arrays.origin)))
        self.reader.right, self.reader.left = e.right, () if isinstance(e.left, sp.Indexed) else shape
        x = self.reader.read(e.right, env)
        self.reader.place = ()
        if isinstance(e.left, sp.Indexed) or not shape:
            if not is_scalar(x):
                raise e.fail(f"the left side is a scalar, and the right side is {shape_text(x.shape)}")
            body = value(x)
        else:
            body = self._matrix_entry(e, x, shape, axes)
        self.nodes[node_name] = Node(node_name, shape, axes, body)

    def _matrix_entry(self, e: Equation, x: Tensor, shape: tuple[Expr, ...], axes: tuple[Expr, ...]) -> Expr:
        if len(x.shape) != len(shape) or not all(self.sizes.unify(a, b) for a, b in zip(shape, x.shape, strict=True)):
            hint = f"Every entry the same is {_shown(e.right)}*OneMatrix(…)." if not x.shape else ""
            raise e.fail(f"{e.symbol} is {shape_text(shape)}, and the right side is {shape_text(x.shape)}", hint)
        return x.entry(tuple(ZERO if d is ONE else a for d, a in zip(x.shape, axes, strict=True)))

    def _loss(self, loss: Any) -> str:
        last = self.equations[-1]
        if loss is not None:
            wanted = next((e for e in self.equations if e.symbol == loss or self.names(e.symbol) == str(loss)), None)
            if wanted is None:
                raise DeclarationError(f"the loss {loss} is the left side of no equation")
            last = wanted
        name = self.names(last.symbol)
        node = self.nodes[name]
        if any(d is not ONE for d in node.shape):
            raise last.fail(
                f"the loss must be a scalar, and {last.symbol} is {shape_text(node.shape)}",
                "Name another left side with loss=, or add an equation such as Eq(L, sb.total(sb.square(P - Y))).",
            )
        if not any(n.is_leaf for n in self.nodes.values()):
            raise last.fail(f"the loss {last.symbol} does not depend on any leaf")
        return name

    def _put_sizes_in(self) -> None:
        """Relations between sizes go into every body and the axes of every node."""
        if not self.sizes.relations:
            return
        for name, node in self.nodes.items():
            shape = tuple(map(self.sizes.resolve, node.shape))
            body = None if node.body is None else resolve_sizes(node.body, self.sizes)
            self.nodes[name] = replace(
                node, shape=node.shape if node.is_leaf else shape, axes=axes_of(shape), body=body
            )

    def _assumptions(self) -> Iterator[Fact]:
        """What SymPy was told of scalar leaves."""
        for name, node in self.nodes.items():
            symbol = self.names.of_text[name]
            if not node.is_leaf or not isinstance(symbol, sp.Symbol):
                continue
            if symbol.is_positive:
                yield Fact("range", name, low=ZERO, text=f"{name} > 0")
            elif symbol.is_negative:
                yield Fact("range", name, high=ZERO, text=f"{name} < 0")
            elif symbol.is_zero is False:
                yield Fact("nonzero", name, text=f"{name} != 0")


def read_facts(facts: Sequence[str], nodes: Mapping[str, Node], sizes: Sizes, size_names: set[str]) -> tuple[Fact, ...]:
    """Facts in the words of the text file: `onehot(Y, axis=1)`."""
    import ast

    from symbp.read.facts import FactReader
    from symbp.read.formula import FormulaReader, Scope
    from symbp.read.source import parse

    found: list[Fact] = []
    variables = {loop.var for n in nodes.values() for loop in n.loops}
    for text in facts:
        tree, source = parse(f"assert {text}")
        shapes = {n: tuple(a.dim if isinstance(a, Index) else ONE for a in node.axes) for n, node in nodes.items()}
        scope = Scope(sizes, {n: leaf(n, s) for n, s in shapes.items()}, {}, size_names | variables)
        scope.families = {base_of(n) for n in nodes if "[" in n}
        scope.member = FormulaReader(source, scope).family_member
        if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Assert):
            raise DeclarationError(f"{text!r} is not a fact")
        found += FactReader(FormulaReader(source, scope), nodes).facts(tree.body[0].test)
    return tuple(found)


def _shown(e: Any) -> str:
    text = str(e)
    return text if len(text) <= 80 else text[:77] + "…"
