"""What a user of the library holds: `Network`, `Derivation`, `Gradient`.

    net = Network([Eq(q, x + y), Eq(f, q*z)])
    d = net.derive()
    d[x].expr, d[x].numpy, d.latex(), d.check().ok, d.at({x: -2, y: 5, z: -4})[x]

Thin views of the engine's data: every answer is computed when it is asked for and remembered.
Keys may be SymPy symbols or names everywhere. Objects show themselves in Jupyter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from sympy.core.sympify import _sympify  # strict: never reads a text

from symbp import check as numbers
from symbp import steps, values
from symbp.declare import Declared, declare
from symbp.derive import derive as run
from symbp.draw import Drawing, draw
from symbp.errors import NoRule, RequestError, nearest
from symbp.evaluate import forward as evaluate_forward
from symbp.expr import ONE, Expr
from symbp.family_values import flattened, gathered
from symbp.form import NotReducible
from symbp.graph import Fact, Graph
from symbp.numpy_code import numpy_text
from symbp.sympy_code import lambdify
from symbp.sympy_out import network_to_sympy, to_expr
from symbp.sympy_symbols import Symbols
from symbp.unroll import unroll, unroll_derivation

if TYPE_CHECKING:
    from symbp.judge.points import Points
    from symbp.judge.verdict import Verdict

Key = Any  # a SymPy symbol or a name


# ---- keys ------------------------------------------------------------------------------------------


class Keys:
    """Names of tensors by SymPy symbol, name or printed name."""

    def __init__(self, graph: Graph, symbols: Mapping[str, Any]) -> None:
        self.graph = graph
        self.of_symbol = {s: n for n, s in symbols.items()}

    def name(self, key: Key) -> str:
        """The name that a key means.

        Raises RequestError if the network has nothing of that name."""
        if not isinstance(key, str):
            found = self.of_symbol.get(key)
            if found is not None:
                return found if found in self.graph.nodes else self._member(found) or found
        name = key if isinstance(key, str) else str(getattr(key, "name", key))
        if name not in self.graph.nodes and self.graph.has_families:
            found = self._member("".join(name.split()))
            if found:
                return found
        if name in self.graph.nodes and (isinstance(key, str) or name not in self.of_symbol.values()):
            return name
        if name in self.graph.nodes:
            raise RequestError(
                f"{name} here is another symbol than the network's {name} (its assumptions or shape differ)."
            )
        hint = nearest(name, self.graph.nodes) or f"There are: {', '.join(list(self.graph.nodes)[:12])}."
        raise RequestError(f"The network has no '{name[:64]}'. {hint}")

    def _member(self, name: str) -> str:
        """A member or a case of a family; a family's own name where it has one node."""
        if "[" in name:
            try:
                return self.graph[name].name
            except (KeyError, ValueError, IndexError):
                return ""
        pieces = self.graph.pieces(name)
        return pieces[0].name if len(pieces) == 1 else ""

    def named(self, given: Mapping[Key, Any]) -> dict[str, Any]:
        return {self.name(k): v for k, v in given.items()}


class Shown:
    """An object that shows itself in Jupyter: as Markdown where it has tables or sentences, as LaTeX where it is
    a formula, and always as text."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = {"text/plain": str(self)}
        for kind, method in (("text/latex", "_repr_latex_"), ("text/markdown", "_markdown")):
            write = getattr(self, method, None)
            if write is not None:
                bundle[kind] = write()
        return bundle


class Values(Shown, Mapping[Key, Any]):
    """Values by tensor; iterates over names, and is read by symbol or name."""

    def __init__(self, keys: Keys, found: Mapping[str, Any]) -> None:
        self._keys, self._found = keys, dict(found)

    def __getitem__(self, key: Key) -> Any:
        if isinstance(key, str) and key in self._found:
            return self._found[key]
        name = self._keys.name(key)
        if name not in self._found:
            raise RequestError(f"There is no value for {name} here; there is one for {', '.join(self._found)}.")
        return self._found[name]

    def __contains__(self, key: object) -> bool:
        try:
            return self._keys.name(key) in self._found
        except RequestError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(self._found)

    def _markdown(self) -> str:
        rows = [(f"`{name}`", f"`{' '.join(str(value).split())}`") for name, value in self._found.items()]
        return _table(("name", "value"), rows)


# ---- the network -------------------------------------------------------------------------------------


class Network(Shown):
    """A network: equations in SymPy, the last left side (or `loss`) the loss.

    An equation is an `Eq` or a pair `(left, right)`; `facts` are texts such as "onehot(Y, axis=1)".
    Raises DeclarationError, which says what is wrong with which equation.
    """

    def __init__(
        self,
        equations: Iterable[Any],
        loss: Any = None,
        *,
        name: str = "network",
        facts: Sequence[str] = (),
        title: str = "",
    ) -> None:
        self._setup(declare(equations, loss, name, facts, title))

    @classmethod
    def of(cls, graph: Graph) -> Network:
        """A network that was declared in another way, such as a text file."""
        network = cls.__new__(cls)
        network._setup(Declared(graph, ()))
        return network

    def _setup(self, declared: Declared) -> None:
        self.declared, self.graph = declared, declared.graph
        self.symbols = Symbols(self.graph, declared.symbols, declared.sizes, declared.origin)
        self.keys = Keys(self.graph, declared.symbols)

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def loss(self) -> str:
        return self.graph.loss

    def derive(self, wrt: Iterable[Key] | Key | None = None) -> Derivation:
        """The derivation: by default for every leaf that is not held fixed.

        Raises RequestError for a key that the network does not have."""
        if wrt is not None:
            wrt = [wrt] if isinstance(wrt, (str, sp.Basic)) else list(wrt)
            wrt = [self.keys.name(w) for w in wrt]
        return Derivation(self, run(self.graph, wrt))

    @cached_property
    def _default(self) -> Derivation:
        return self.derive()

    def at_depth(self, **numbers: int) -> Network:
        """A network of symbolic depth written out: `net.at_depth(L=3)`.

        Raises RequestError for a bound that it does not have, or that is missing."""
        return Network.of(unroll(self.graph, numbers))

    def forward(self, **given: Any) -> Values:
        """The values of all nodes, from NumPy values of the leaves; of a family, as a dictionary by
        number."""
        if self.graph.has_families:
            bounds, flat = flattened(self.graph, given)
            written = self.at_depth(**bounds)
            return Values(self.keys, gathered(written._forward(_arrays(written.keys.named(flat)))))
        return Values(self.keys, self._forward(_arrays(self.keys.named(given))))

    def _forward(self, given: Mapping[str, Any]) -> dict[str, Any]:
        sizes = values.sizes_from(self.graph, given)
        return {n: _plain(v) for n, v in evaluate_forward(self.graph, given, sizes).items()}

    def backward(self, **given: Any) -> Values:
        """The gradients of the loss, from NumPy values of the leaves."""
        return Values(self.keys, self._compiled(**given)[1])

    @cached_property
    def _compiled(self) -> Any:
        return self._default.lambdify()

    def check(self, level: str = "full", seed: int = 0) -> Check:
        """Derived gradients against numbers, and against SymPy where it was declared there."""
        return self._default.check(level, seed)

    def verify(
        self,
        *claims: str,
        about: Key = "",
        let: Iterable[str] = (),
        at: Mapping[Key, Any] | None = None,
        lang: str = "en",
        seed: int = 0,
    ) -> Verdicts:
        """Whether formulas for gradients are right, each in NumPy or LaTeX: `net.verify("dW = X.T @ (P - Y)")`.

        `about` is the tensor that formulas without a left side are the gradient of, `let` says what LaTeX symbols
        stand for (r"\\hat{y} := P"), `at` gives values of all leaves for claims about numbers.
        Raises RequestError for a key that the network does not have, ReadError for a bad `let`."""
        from symbp.judge.lines import Lines
        from symbp.judge.points import Points, written_out
        from symbp.judge.verdict import Judge
        from symbp.read.counts import counts

        graph = written_out(self.graph)
        points = Points(graph, seed)
        given = Points.at(graph, _arrays(self.keys.named(at)), {}) if at is not None else None
        lines = Lines(points, let, counts=counts(self.graph))
        judge = Judge(points, given=given)
        subject = self.keys.name(about) if about else ""
        return Verdicts([judge(lines.line(claim, subject)) for claim in claims], points, lang)

    def draw(self, at: Mapping[Key, Any] | None = None, *, lang: str = "en", view: str = "auto") -> Drawing:
        """The computational graph as a picture, which shows itself in Jupyter; with values of all
        leaves, the value and the gradient on every wire. `view` is auto, gates or blocks."""
        return self._drawn(at, lang, view, None)

    def _drawn(self, at: Mapping[Key, Any] | None, lang: str, view: str, data: steps.Derivation | None) -> Drawing:
        named = _arrays(self.keys.named(at)) if at else None
        return Drawing(draw(self.graph, named, lang, view, data))

    @property
    def facts(self) -> tuple[str, ...]:
        """What the network asserts, in words that `Network(…, facts=…)` reads."""
        return tuple(t for f in self.graph.facts if (t := _fact_text(f, self.graph)))

    def to_sympy(self) -> list[Any]:
        """Equations that `Network` reads back; pairs where SymPy would evaluate the Eq."""
        return network_to_sympy(self.symbols)

    def __repr__(self) -> str:
        leaves = ", ".join(n.name for n in self.graph.leaves)
        return f"<Network {self.graph.name}: {self.graph.loss} of {leaves}>"

    def _repr_latex_(self) -> str:
        from symbp.show.alphabet import Latex
        from symbp.show.document import Options, Writer

        writer = Writer(self._default.data, Latex(self.graph.latex), Options())
        return _aligned([f"{r.left} &= {r.right}" for r in writer.forward()])


def load(path: str | os.PathLike[str]) -> Network:
    """The network of a text file."""
    from symbp.read.network import load as read

    return Network.of(read(path))


def zoo(name: str) -> Network:
    """A built-in network; `symbp zoo` lists them."""
    from symbp.zoo import network

    return Network.of(network(name))


def derive(expr: Any, wrt: Key | Iterable[Key] | None = None, *, facts: Sequence[str] = ()) -> Derivation:
    """The derivation of one expression, a scalar, in whatever symbols occur in it."""
    taken = {str(s) for s in expr.free_symbols}
    loss = next(n for n in ("L", "J", "E", "loss", "the_loss") if n not in taken)
    return Network([(sp.Symbol(loss), expr)], facts=facts, name="expression").derive(wrt)


# ---- the derivation -----------------------------------------------------------------------------------


class Derivation(Shown):
    """The derivation of a network: gradients by key, the steps as text, the numbers."""

    def __init__(self, network: Network, data: steps.Derivation) -> None:
        self.network, self.data = network, data

    def __getitem__(self, key: Key) -> Gradient:
        name = self.network.keys.name(key)
        if name not in self.data.adjoints:
            why = self.data.left_out.get(name)
            reason = f"is held fixed ({why})" if why else "was not asked for"
            raise RequestError(f"The gradient for {name} is not here: {name} {reason}. Say derive(wrt=[{name}]).")
        return Gradient(self, self.data.adjoints[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.data.wrt)

    def __len__(self) -> int:
        return len(self.data.wrt)

    @property
    def gradients(self) -> tuple[Gradient, ...]:
        """What was asked for, in that order."""
        return tuple(self[name] for name in self.data.wrt)

    @property
    def deltas(self) -> tuple[Gradient, ...]:
        """The error terms of inner nodes, in the order of a backward program."""
        return tuple(Gradient(self, a) for a in self.data.deltas)

    # -- numbers --

    def check(self, level: str = "full", seed: int = 0) -> Check:
        """Every gradient against numerical ones; for a network declared in SymPy also against
        sympy.lambdify of its equations."""
        found = numbers.check(self.data, level, seed)
        if self.network.declared.equations and not self.data.graph.has_families:
            from symbp.witness import with_witness, witness

            found = with_witness(found, witness(self.network.declared, self.data, seed))
        return Check(found)

    def at(self, given: Mapping[Key, Any]) -> Values:
        """The gradients at a point, for values of all leaves by symbol or name. Scalars that are
        whole numbers or fractions are computed with exactly."""
        if self.data.graph.has_families:
            bounds, flat = flattened(self.data.graph, {str(k): v for k, v in given.items()})
            written, source = unroll_derivation(self.data, bounds)
            _, found = values.evaluate_at(written, _arrays(flat))
            wanted = {n: _plain(g) for n, g in found.items() if not self.data.wrt or {*source[n]} & {*self.data.wrt}}
            return Values(self.network.keys, gathered(wanted))
        named = self.network.keys.named(given)
        if all(n.shape == () for n in self.data.graph.nodes.values()) and all(map(_is_exact, named.values())):
            return Values(self.network.keys, self._exactly(named))
        _, gradients = values.evaluate_at(self.data, _arrays(named))
        return Values(self.network.keys, {n: _plain(g) for n, g in gradients.items()})

    def _exactly(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """Values of gradients by SymPy, node by node."""
        graph, symbols = self.data.graph, self.network.symbols
        missing = [n.name for n in graph.leaves if n.name not in named]
        if missing:
            raise RequestError(f"Values are needed for {', '.join(missing)} too.")
        known = {symbols.tensor(n): _sympify(v) for n, v in named.items()}

        def value(e: Expr) -> Any:
            return to_expr(symbols, e, ()).subs(known)

        for node in graph.inner:
            assert node.body is not None
            known[symbols.tensor(node.name)] = value(node.body)
        found: dict[str, Any] = {}
        for a in self.data.adjoints.values():
            found[a.node.name] = known[symbols.tensor("∂" + a.node.name)] = value(a.delta)
        return found

    def lambdify(self) -> Any:
        """A function of the leaves' NumPy values, by name: `loss, gradients = f(X=…, W=…)`. It is
        the NumPy program that `symbp code` writes, or where there is none, evaluation."""
        graph, keys = self.data.graph, self.network.keys
        if graph.has_families:
            return self._with_loops()
        run_program = self._program() or self._interpreted

        def function(**given: Any) -> tuple[float, dict[str, Any]]:
            named = _arrays(keys.named(given))
            missing = [n.name for n in graph.leaves if n.name not in named]
            if missing:
                raise RequestError(f"Values are needed for {', '.join(missing)} too.")
            computed = [n for n in named if not graph[n].is_leaf]
            if computed:
                raise RequestError(f"{computed[0]} is computed; only leaves are given values.")
            values.sizes_from(graph, named)
            return run_program(named)

        function.__doc__ = f"The loss {graph.loss} and its gradients for {', '.join(self.data.wrt)}."
        return function

    def _with_loops(self) -> Any:
        """The same for a network with loops, families as dictionaries by number."""
        from symbp.loop_program import loop_module
        from symbp.program import compile_module

        graph = self.data.graph
        try:
            program = compile_module(loop_module(self.data))
        except NoRule:
            program = {}

        def function(**given: Any) -> tuple[float, dict[str, Any]]:
            bounds, flat = flattened(graph, given)
            written, _ = unroll_derivation(self.data, bounds)
            missing = [n.name for n in written.graph.leaves if n.name not in flat]
            if missing:
                raise RequestError(f"Values are needed for {', '.join(missing[:12])} too.")
            named = _arrays(flat)
            values.sizes_from(written.graph, named)
            if not program:
                forward, _ = values.evaluate_at(written, named)
                return float(np.squeeze(forward[graph.loss])), dict(self.at({**flat, **bounds}))
            loss, cache = program["forward"](**gathered(named), **bounds)
            return float(np.squeeze(loss)), dict(program["backward"](cache))

        return function

    def _program(self) -> Any:
        """The compiled NumPy program; None where NumPy has no form for a tensor or a function."""
        from symbp.program import functions

        if self.data.graph.own or not all(self.data.graph[n].is_leaf for n in self.data.wrt):
            return None
        try:
            forward, backward = functions(self.data)
        except NoRule:
            return None

        def both(named: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
            loss, cache = forward(**named)
            return float(np.squeeze(loss)), {n: _plain(g) for n, g in backward(cache).items()}

        return both

    def _interpreted(self, named: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        forward, gradients = values.evaluate_at(self.data, named)
        return float(np.squeeze(forward[self.data.graph.loss])), {n: _plain(gradients[n]) for n in self.data.wrt}

    def draw(self, at: Mapping[Key, Any] | None = None, *, lang: str = "en", view: str = "auto") -> Drawing:
        """The computational graph with the way back for what was asked for; see `Network.draw`."""
        return self.network._drawn(at, lang, view, self.data)

    # -- text --

    def latex(self, *, standalone: bool = False, **options: Any) -> str:
        """The steps in LaTeX; options as of `symbp derive`: detail, form, notation, lang, delta, update, and the
        conventions of its --style: gradient, layers, transpose, product, bold."""
        from symbp.show.latex import latex

        return latex(self._blocks(options), standalone, options.get("lang", "en"))

    def beamer(self, **options: Any) -> str:
        """The steps as slides, a whole LaTeX document."""
        from symbp.show.beamer import beamer

        return beamer(self._blocks(options), options.get("lang", "en"))

    def markdown(self, **options: Any) -> str:
        """The steps in Markdown with LaTeX formulas."""
        from symbp.show.markdown import markdown

        return markdown(self._blocks(options), options.get("lang", "en"))

    def html(self, **options: Any) -> str:
        """The steps as a web page that needs nothing else."""
        from symbp.show.html import html

        return html([self._blocks(options)], options.get("lang", "en"))

    def text(self, *, width: int = 80, **options: Any) -> str:
        """The steps for a terminal, without colour."""
        from symbp.show.alphabet import Unicode
        from symbp.show.terminal import lines

        return "\n".join(lines(self._blocks({"summary": False, **options}, Unicode), width, False))

    def _blocks(self, options: Mapping[str, Any], alphabet: Any = None) -> Any:
        from symbp.convention import minus
        from symbp.show.alphabet import Latex
        from symbp.show.document import Options, document
        from symbp.show.style import CHOICES, Style

        style = Style.of(self.data.graph.style, {k: v for k, v in options.items() if k in CHOICES})
        data = minus(self.data) if style.delta == "minus" else self.data
        others = {k: v for k, v in options.items() if k not in CHOICES}
        try:
            view = Options(**others, delta=style.delta, style=style)
        except TypeError as error:
            raise RequestError(f"There is no such option: {error}") from None
        return document(data, (alphabet or Latex)(data.graph.latex, style, view.lang), view)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Derivation of {self.data.graph.loss} for {', '.join(self.data.wrt)}>"

    def _repr_latex_(self) -> str:
        return _aligned([g._row() for g in self.gradients])

    def _markdown(self) -> str:
        return self.markdown()


class Spelling(Shown):
    """One form of a gradient, in every spelling."""

    def __init__(self, derivation: Derivation, adjoint: steps.Adjoint, e: Expr) -> None:
        self._derivation, self._adjoint, self._e = derivation, adjoint, e

    @cached_property
    def expr(self) -> Any:
        """SymPy: a scalar, a MatrixExpr, or the generic entry of a tensor of higher order."""
        return to_expr(self._derivation.network.symbols, self._e, self._adjoint.node.axes)

    @cached_property
    def numpy(self) -> str | None:
        """The network language, which is NumPy; None where it has no expression."""
        try:
            return numpy_text(self._derivation.data.graph, self._e, self._adjoint.node.axes)
        except NotReducible:
            return None

    @cached_property
    def latex(self) -> str:
        """Matrix notation where there is one, else indices."""
        from symbp.show.alphabet import Latex
        from symbp.show.math import MathPrinter

        graph, node = self._derivation.data.graph, self._adjoint.node
        printer = MathPrinter(graph, Latex(graph.latex))
        return printer.matrix(self._e, node.axes) or printer.index(self._e, printer.letters_for(node.indices))

    def __repr__(self) -> str:
        return str(self.numpy or self._e)

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"


class Gradient(Shown):
    """∂loss/∂tensor. `delta` is the form in error terms, `closed` the one in leaves and nodes
    (None, with `why`, where it is too long); `expr`, `numpy` and `latex` are those of the closed
    form if there is one."""

    def __init__(self, derivation: Derivation, adjoint: steps.Adjoint) -> None:
        self._derivation, self.data = derivation, adjoint
        self.name, self.why = adjoint.node.name, adjoint.why

    @cached_property
    def delta(self) -> Spelling:
        return Spelling(self._derivation, self.data, self.data.delta)

    @cached_property
    def closed(self) -> Spelling | None:
        return None if self.data.closed is None else Spelling(self._derivation, self.data, self.data.closed)

    @property
    def best(self) -> Spelling:
        return self.closed or self.delta

    @property
    def shape(self) -> tuple[Any, ...]:
        return self._derivation.network.symbols.shape(self.data.node)

    @property
    def expr(self) -> Any:
        return self.best.expr

    @property
    def numpy(self) -> str | None:
        return self.best.numpy

    @property
    def latex(self) -> str:
        return self.best.latex

    def _row(self) -> str:
        from symbp.show.alphabet import Latex
        from symbp.show.math import MathPrinter

        graph = self._derivation.data.graph
        return f"{MathPrinter(graph, Latex(graph.latex)).derivative(self.name)} &= {self.latex}"

    def __repr__(self) -> str:
        return f"<Gradient of {self._derivation.data.graph.loss} for {self.name}: {self.best!r}>"

    def _repr_latex_(self) -> str:
        return f"$${self._row().replace('&', '')}$$"


class Check(Shown, Mapping[str, steps.Checked]):
    """What a check measured, by tensor; `ok` when all of it holds."""

    def __init__(self, found: Mapping[str, steps.Checked]) -> None:
        self._found = dict(found)

    @property
    def ok(self) -> bool:
        return all(c.ok for c in self._found.values())

    @property
    def error(self) -> float:
        """The largest relative error."""
        return max((c.error for c in self._found.values()), default=0.0)

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, key: Key) -> steps.Checked:
        return self._found[key if isinstance(key, str) else str(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        rows = []
        for c in self._found.values():
            note = f", {c.note}" if c.note else ""
            rows.append(f"{'✓' if c.ok else '✗'} {c.name}: {c.error:.1e}, {c.points} points, {c.method}{note}")
        return "\n".join(rows)

    def _markdown(self) -> str:
        rows = [(f"`{c.name}`", f"{c.error:.1e}", "✓" if c.ok else "✗") for c in self._found.values()]
        return _table(("gradient", "relative error", ""), rows)


class Verdicts(Shown, Sequence[Mapping[str, Any]]):
    """What was found out about claims: one mapping each, as `symbp verify --json` has it, with `verdict`, `mistake`,
    `message`, `repair` and `counterexample`; `ok` when none is wrong, unreadable or undecided."""

    def __init__(self, verdicts: Sequence[Verdict], points: Points, lang: str) -> None:
        from symbp.show.repair import in_latex

        self._verdicts, self._graph, self._latex, self._lang = verdicts, points.graph, in_latex(points), lang

    @cached_property
    def json(self) -> dict[str, Any]:
        """All verdicts and their summary."""
        from symbp.show.verdict import verdicts_json

        return verdicts_json(self._verdicts, self._graph, self._latex, self._lang)

    @property
    def ok(self) -> bool:
        return all(v.verdict in ("correct", "loose") for v in self._verdicts)

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, n: Any) -> Any:
        return self.json["claims"][n]

    def __len__(self) -> int:
        return len(self._verdicts)

    def __repr__(self) -> str:
        from symbp.show.verdict import verdicts_text

        return verdicts_text(self._verdicts, self._graph, 80, False, self._lang, self._latex).rstrip()


# ---- small things ---------------------------------------------------------------------------------------


def _fact_text(fact: Fact, graph: Graph) -> str:
    """The fact as said of columns: the only axis of a vector is the first of two."""
    if fact.tensor and len(graph[fact.tensor].shape) == 1:
        axis = {"onehot": "onehot({0}, axis=0)", "simplex": "sum({0}, axis=0) == 1", "norm": "norm({0}, axis=0) == 1"}
        if fact.kind in axis and (fact.kind == "onehot" or fact.low is ONE):
            return axis[fact.kind].format(fact.tensor)
    vectors = any(len(n.shape) == 1 for n in graph.nodes.values())
    return "" if fact.kind == "region" and vectors else fact.text


def _is_exact(value: Any) -> bool:
    from fractions import Fraction

    if isinstance(value, bool | float | np.ndarray):
        return False
    return isinstance(value, int | Fraction) or bool(getattr(value, "is_Rational", False))


def _arrays(given: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, lists, arrays and SymPy numbers or matrices as arrays."""
    return {k: np.array(v.tolist() if isinstance(v, sp.MatrixBase) else v, dtype=float) for k, v in given.items()}


def _plain(value: Any) -> Any:
    """A scalar as a Python number, anything else as the array that it is."""
    return float(value) if np.ndim(value) == 0 else np.array(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def _aligned(rows: Sequence[str]) -> str:
    body = r" \\ ".join(rows)
    return rf"$$\begin{{aligned}} {body} \end{{aligned}}$$"


__all__ = ["Check", "Derivation", "Drawing", "Gradient", "Network", "Values", "derive", "lambdify", "load", "zoo"]
