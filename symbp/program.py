"""A derivation as a NumPy module: straight-line `forward` and `backward`, as one would write them.

Every node becomes one line, every adjoint that is needed another. What occurs twice is computed
once: all right sides are entered into one table of distinct operations, and an operation with two
uses gets a name of its own (or the name of the line that computes it already), if it is worth one.
`forward` hands to `backward` exactly what `backward` reads.

Invariant: the text is made of operations of `matrix.Form`, helper functions of this file and
identifiers that are checked to be identifiers; nothing else of a stranger's text gets into it,
except the title, which is escaped into the docstring. So this is the one module that compiles it.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import keyword
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from symbp import __version__
from symbp.errors import NoRule
from symbp.expr import Expr, Num, Size, number, walk
from symbp.form import Axes, Form, NotReducible
from symbp.graph import DEFINITION, Graph, Node, adjoint, primal
from symbp.helpers import HELPERS
from symbp.index import affine, from_affine
from symbp.numpy_code import POWER, NumpyPrinter, Text
from symbp.ops import UNKNOWN
from symbp.sizes import size_text
from symbp.steps import Derivation
from symbp.windows import WindowEmitter

WIDTH = 100
INDENT = "    "
HARD = "\N{NO-BREAK SPACE}"  # where a docstring is not broken

RESERVED = {*keyword.kwlist, *dir(builtins), *HELPERS, "np", "math", "cache", "forward", "backward"}


# ---- lines -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """`target = form`; a target is a node, an adjoint (`adjoint(node)`) or a local (`%1`)."""

    target: str
    form: Form


def module(derivation: Derivation) -> str:
    """The text of a module with `forward` and `backward`.

    Raises NoRule, naming the tensor, for what has no form in NumPy."""
    return _Program(derivation).text()


def compile_module(text: str) -> dict[str, Any]:
    """The namespace of a module that `module` wrote. Never call it with any other text."""
    namespace: dict[str, Any] = {"__name__": "symbp_program"}
    exec(compile(text, "<symbp program>", "exec"), namespace)
    return namespace


def functions(derivation: Derivation) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`forward(*leaves)` -> (loss, cache) and `backward(cache)` -> gradients by name, compiled.

    Both take the network's own names as keywords, also where the text had to change one. In a
    network that ends in `upstream(y)`, `forward` gives y and `backward(cache, dy)` takes its
    gradient; or `forward` takes dy too, and then gives Σ dy·y, and `backward` needs no more."""
    program = _Program(derivation)
    namespace = compile_module(program.text())
    renamed = {name: program.names[name] for name in (*program.arguments, program.given) if name}
    renamed = {name: shown for name, shown in renamed.items() if name != shown}
    forward, backward = namespace["forward"], namespace["backward"]
    if renamed:
        forward, backward = _with_names(forward, renamed), _with_names(backward, renamed)
    return _with_upstream(forward, backward, program.given) if program.given else (forward, backward)


def _with_names(function: Callable[..., Any], renamed: Mapping[str, str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **values: Any) -> Any:
        return function(*args, **{renamed.get(name, name): v for name, v in values.items()})

    return call


def _with_upstream(
    forward: Callable[..., Any], backward: Callable[..., Any], given: str
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    @functools.wraps(forward)
    def run(*args: Any, **values: Any) -> Any:
        slope = values.pop(given, None)
        result, cache = forward(*args, **values)
        return (result, (cache, None)) if slope is None else ((result * slope).sum(), (cache, slope))

    @functools.wraps(backward)
    def back(cache: Any, *args: Any, **values: Any) -> Any:
        inner, slope = cache
        return backward(inner, *args, **values) if slope is None else backward(inner, slope)

    return run, back


# ---- what occurs twice -------------------------------------------------------------------------

CHEAP = {"name", "num", "const", "size", "index", "transpose", "permute", "subscript", "full", "eye", "causal"} | {
    "reshape",
    "view",
}
WEIGHTS = {"add": 1.0, "times": 1.0, "compare": 1.0, "where": 1.0, "diag": 0.5, "sum": 2.0, "power": 1.0}
CONTRACTIONS = {"matmul", "outer", "dot", "sum", "einsum"}
EXPENSIVE = 4.0  # functions, products of matrices, inverses, …
QUICK = {"abs", "sign", "maximum", "minimum", "relu", "step", "leaky_relu"}  # calls that cost no more than a product
KEPT = 3.0  # so much work is worth a place in the cache


@dataclass
class _Operation:
    """A distinct operation: how often each function writes it down, and for which lines."""

    form: Form
    args: tuple[int, ...]
    weight: float
    forward: int = 0
    backward: int = 0
    targets: dict[str, None] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)


class _Table:
    """Operations by content. Two forms that differ in their letters only are one operation."""

    def __init__(self) -> None:
        self.operations: list[_Operation] = []
        self._keys: dict[Any, int] = {}
        self._seen: dict[int, tuple[Form, int]] = {}

    def number(self, form: Form) -> int:
        """The operation's number; arguments have smaller ones."""
        seen = self._seen.get(id(form))
        if seen is not None:
            return seen[1]
        args = tuple(self.number(a) for a in form.args)
        key = (form.kind, form.data, len(form.axes), _unordered(form, args))
        found = self._keys.get(key)
        if found is None:
            found = self._keys[key] = len(self.operations)
            self.operations.append(_Operation(form, args, self._weight(form, args)))
        self._seen[id(form)] = (form, found)
        return found

    def _weight(self, form: Form, args: Sequence[int]) -> float:
        """Elementwise operations on arrays are worth 1, on scalars little."""
        inner = sum(self.operations[a].weight for a in args)
        if form.kind in CHEAP:
            return inner
        own = 1.0 if form.data[:1] and form.data[0] in QUICK else WEIGHTS.get(form.kind, EXPENSIVE)
        arrays = any(a.letters for a in (form, *form.args))
        return inner + (own if arrays or own == EXPENSIVE else 0.2 * own)

    def count(self, forward: Sequence[Line], backward: Sequence[Line]) -> set[int]:
        """Numbers of the operations that get a name of their own."""
        for side, lines in (("forward", forward), ("backward", backward)):
            for line in lines:
                root = self.operations[self.number(line.form)]
                setattr(root, side, getattr(root, side) + 1)
                root.targets[line.target] = None
        named = set()
        for n in range(len(self.operations) - 1, -1, -1):
            o = self.operations[n]
            if self._worth(o):
                named.add(n)
                uses = (1, 0) if o.forward else (0, 1)
            else:
                uses = (o.forward, o.backward)
            for a in o.args:
                inner = self.operations[a]
                inner.forward += uses[0]
                inner.backward += uses[1]
                inner.targets.update(o.targets)
                inner.parents.update(o.parents if o.form.kind == "transpose" else (o.form.kind,))
        return named

    def _worth(self, o: _Operation) -> bool:
        if o.form.kind in CHEAP or o.form.is_truth or not _has_tensor(o.form):
            return False
        again = max(o.forward, o.backward) >= 2
        return (again and o.weight >= 1) or (o.forward + o.backward >= 2 and o.weight >= KEPT)


def _unordered(form: Form, args: tuple[int, ...]) -> Any:
    """Arguments without their order, where the order does not matter."""
    if form.kind == "times":
        cut = len(args) - int(str(form.data[0]))
        return (tuple(sorted(args[:cut])), tuple(sorted(args[cut:])))
    return args


def _has_tensor(form: Form) -> bool:
    return form.kind == "name" or any(map(_has_tensor, form.args))


# ---- the program -------------------------------------------------------------------------------


class _Program:
    """The lines of both functions, and the names in them."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self.graph = graph = derivation.graph
        self.given = _given(graph)
        self.result = graph.upstream if self.given else graph.loss
        self.emitter = WindowEmitter(graph)
        self.names = _names(graph)
        self.locals: dict[str, Axes] = {}
        forward, backward = self._forward(), self._backward()
        forward, backward = self._shared(forward, backward)
        self.backward = [x for line in backward for x in self._fitting(line)]
        self.forward = [x for line in forward for x in self._fitting(line)]
        self.backward = _needed(self.backward, [adjoint(w) for w in derivation.wrt])
        made = {line.target for line in self.forward} | {n.name for n in graph.leaves} - {self.given}
        self.read = [t for t in dict.fromkeys(t for line in self.backward for t in _tensors(line.form)) if t in made]
        self.forward = _needed(self.forward, [self.result, *self.read])
        self.cached = self._cached()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The leaves, in the order declared, without a gradient that is given."""
        return tuple(n.name for n in self.graph.leaves if n.name != self.given)

    # -- lines --

    def _form(self, node: Node, e: Expr, what: str) -> Form:
        target: Axes = tuple(a if a in node.indices else None for a in node.axes)
        try:
            return self.emitter.exactly(e, target)
        except NotReducible as why:
            raise NoRule(f"{what} has no form in NumPy that symbp knows ({why}).") from None

    def _forward(self) -> list[Line]:
        lines = []
        for node in self.graph.inner:
            if self.given and node.name == self.graph.loss:
                continue
            assert node.body is not None
            lines.append(Line(node.name, self._form(node, node.body, node.name)))
        return lines

    def _backward(self) -> list[Line]:
        """The δ forms; one that only repeats a name is put into the others."""
        asked = {adjoint(w) for w in self.derivation.wrt}
        alias: dict[str, str] = {}
        lines = []
        for a in self.derivation.adjoints.values():
            target = adjoint(a.node.name)
            form = _renamed(self._form(a.node, a.delta, self.graph.adjoint_name(a.node.name)), alias)
            if form.kind == "name" and target not in asked:
                alias[target] = str(form.data[0])
            else:
                lines.append(Line(target, form))
        return _needed(lines, asked)

    def _shared(self, forward: list[Line], backward: list[Line]) -> tuple[list[Line], list[Line]]:
        """The lines with a name for everything that is computed twice."""
        table = _Table()
        named = table.count(forward, backward)
        known: dict[int, str] = {}

        def rewritten(form: Form, out: list[Line], root: bool = False) -> Form:
            n = table.number(form)
            if n in known:
                return Form("name", (), form.axes, (known[n],))
            if n in named and not root:
                done = inner(form, out)
                local = known[n] = self._local(done, table.operations[n])
                out.append(Line(local, done))
                return Form("name", (), form.axes, (local,))
            return inner(form, out)

        def inner(form: Form, out: list[Line]) -> Form:
            args = tuple(rewritten(a, out) for a in form.args)
            return form if all(a is b for a, b in zip(args, form.args, strict=True)) else replace(form, args=args)

        def all_lines(lines: list[Line]) -> list[Line]:
            out: list[Line] = []
            for line in lines:
                out.append(Line(line.target, rewritten(line.form, out, root=True)))
                n = table.number(line.form)
                if line.form.kind not in CHEAP and not line.form.is_truth:
                    known.setdefault(n, line.target)
            return out

        return all_lines(forward), all_lines(backward)

    def _fitting(self, line: Line) -> Iterator[Line]:
        """The line, after lines for parts of it if it would be too long."""
        form, before = line.form, []
        for _ in range(20):
            if all(len(t) <= WIDTH - 8 for t in self._statement(Line(line.target, form))):
                break
            part = self._largest_part(form)
            if part is None:
                break
            local = self._local(part, None)
            before.append(Line(local, part))
            form = _replaced(form, part, Form("name", (), part.axes, (local,)))
        for b in before:
            yield from self._fitting(b)
        yield Line(line.target, form)

    def _largest_part(self, form: Form) -> Form | None:
        whole = len(self._print(form))
        parts = [(len(self._print(p)), n, p) for n, p in enumerate(_proper_parts(form))]
        good = [x for x in parts if 20 <= x[0] <= max(0.75 * whole, whole - 20)]
        return max(good, key=lambda x: (x[0], -x[1]))[2] if good else None

    # -- names --

    def _local(self, form: Form, operation: _Operation | None) -> str:
        """A new local, named for what it is: `dZ1` for the error inside of A1, `exp_z`, `t1`."""
        key = f"%{len(self.locals) + 1}"
        self.locals[key] = form.axes
        wanted = self._inner_error(form, operation) or self._described(form)
        self.names.give(key, wanted or "t1", counted=not wanted or wanted.isalpha())
        return key

    def _inner_error(self, form: Form, operation: _Operation | None) -> str:
        """The error before an activation that has no name: all lines that use it are adjoints of
        what stands inside one node."""
        if operation is None or not operation.targets:
            return ""
        targets = [primal(t) for t in operation.targets]
        users = [n for n in self.graph.inner if all(t is not None and n.body and t in n.body.tensors for t in targets)]
        if len(users) != 1 or users[0].name == self.graph.loss or len(users[0].axes) != len(form.axes):
            return ""
        user = users[0].name
        if adjoint(user) not in _tensors(form) and not operation.parents <= CONTRACTIONS:
            return ""
        inside = ("z" if user[0].islower() else "Z") + "".join(re.findall(r"_?\d+$", user))
        wanted = self.graph.adjoint_name(inside)
        return wanted if inside not in self.graph.nodes and wanted not in self.names.taken else f"d{user}_in"

    def _described(self, form: Form) -> str:
        def name(x: Form) -> str:
            found = self.names[str(x.data[0])] if x.kind == "name" else ""
            return found if len(found) <= 12 else ""

        if form.kind in ("call", "row") and len(form.args) == 1 and name(form.args[0]):
            return f"{form.data[0]}_{name(form.args[0])}"
        if form.kind == "add" and form.data == (1, -1) and all(map(name, form.args)):
            return "diff"
        if form.kind == "inv" and name(form.args[0]):
            return f"inv_{name(form.args[0])}"
        if form.kind == "matmul" and all(a.kind == "name" and len(name(a)) == 1 for a in form.args):
            return "".join(map(name, form.args))
        return ""

    # -- sizes --

    def _cached(self) -> list[str]:
        """What forward hands over: tensors that backward reads, then sizes that no shape shows."""
        order = [*self.arguments, *(line.target for line in self.forward)]
        tensors = sorted(self.read, key=order.index)
        wanted = _sizes_in(line.form for line in self.backward)
        _, missing = self._size_lines(wanted, [*tensors, *((self.given,) if self.given else ())])
        return tensors + missing

    def _size_lines(self, wanted: Iterable[str], tensors: Sequence[str]) -> tuple[list[str], list[str]]:
        """`N, D = X.shape`; and the sizes that the shapes of these tensors do not tell."""
        pending = dict.fromkeys(wanted)
        lines: list[str] = []
        known: set[str] = set()
        for _ in range(len(self.graph.sizes) + 1):
            for s in [s for s in pending if s in self.graph.relations]:
                pending.update(dict.fromkeys(x.name for x in walk(self.graph.relations[s]) if isinstance(x, Size)))
        pending = {s: None for s in pending if not s.isdigit()}
        for t in tensors:
            if t not in self.graph.nodes:
                continue
            shape = self.graph[t].shape
            plain = [d.name if isinstance(d, Size) else "" for d in shape]
            fresh = [s for s in plain if s in pending and s not in known]
            if not fresh:
                continue
            if len(fresh) == len(set(fresh)) == len(shape):
                left = ", ".join(self.names["size " + s] for s in fresh)
                lines.append(f"{left} = {self.names[t]}.shape" + ("[0]" if len(fresh) == 1 else ""))
            else:
                for s in dict.fromkeys(fresh):
                    lines.append(f"{self.names['size ' + s]} = {self.names[t]}.shape[{plain.index(s)}]")
            known.update(fresh)
        for _ in range(len(pending)):
            for s in [s for s in pending if s not in known]:
                text = self._size_from(s, known, tensors)
                if text:
                    lines.append(f"{self.names['size ' + s]} = {text}")
                    known.add(s)
        return lines, [s for s in pending if s not in known]

    def _size_from(self, size: str, known: set[str], tensors: Sequence[str]) -> str:
        """A size from a relation, or from an axis whose length is made of it and known sizes."""
        relation = self.graph.relations.get(size)
        if relation is not None and _sizes_of(relation) <= known:
            return self.printer().size_of(relation)
        for t in tensors:
            if t not in self.graph.nodes:
                continue
            for n, dim in enumerate(self.graph[t].shape):
                parts = affine(dim) or {}
                scale = parts.pop(Size(size), None)
                if scale is None or scale < 1 or scale.denominator != 1:
                    continue
                if not all(_sizes_of(k) <= known for k in parts):
                    continue
                length = f"{self.names[t]}.shape[{n}]"
                rest = self.printer().size_of(from_affine({k: -v for k, v in parts.items()})) if parts else ""
                if rest:
                    length += f" - {rest[1:]}" if rest.startswith("-") else f" + {rest}"
                return length if scale == 1 else f"({length})//{scale}" if rest else f"{length}//{scale}"
        return ""

    # -- text --

    def printer(self) -> _CodePrinter:
        return _CodePrinter(self.graph, self.names)

    def _print(self, form: Form) -> str:
        return self.printer()(form)

    def _statement(self, line: Line) -> list[str]:
        """One line, or a sum with a term per line in parentheses."""
        printer = self.printer()
        piece = printer.piece(line.form)
        text = f"{piece.at(POWER)}.astype(float)" if line.form.is_truth else piece.text
        if line.form.is_truth and line.form.kind == "compare":
            text = f"({piece.text}).astype(float)"
        whole = f"{self.names[line.target]} = {text}"
        if len(whole) > WIDTH - len(INDENT) and line.form.kind == "sum" and line.form.args[0].kind == "add":
            inner = printer.piece(line.form.args[0]).text
            if text == f"np.sum({inner})":
                return [f"{self.names[line.target]} = np.sum(", *(INDENT + t for t in terms(inner)), ")"]
        if len(whole) <= WIDTH - len(INDENT) or line.form.kind != "add":
            return [whole]
        return [f"{self.names[line.target]} = (", *(INDENT + t for t in terms(text)), ")"]

    def text(self) -> str:
        forward, backward = self._forward_text(), self._backward_text()
        body = "\n".join([*forward, "", "", *backward])
        helpers = helpers_in(body)
        texts = [HELPERS[h].strip("\n") for h in helpers]
        imports = [["import " + m] for m in imports_of("\n".join([*texts, body]))]
        head = [self._docstring(), *imports, constants_of(self.graph, self.names, body)]
        start = "\n\n".join("\n".join(paragraph) for paragraph in head if paragraph)
        return "\n\n\n".join([start, *texts, "\n".join(forward), "\n".join(backward)]) + "\n"

    def _docstring(self) -> list[str]:
        title = (self.graph.title or self.graph.name).strip().rstrip(".") or "A network"
        lines = textwrap.wrap(escaped(title) + ".", WIDTH - 3)
        lines[0] = '"""' + lines[0]
        return [*lines, "", f"Forward and backward pass in NumPy, written by symbp {__version__}.", '"""']

    def _forward_text(self) -> list[str]:
        names = [self.names[a] for a in self.arguments]
        statements = [s for line in self.forward for s in self._statement(line)]
        sizes = self._said_sizes((line.form for line in self.forward), statements)
        size_lines, unknown = self._size_lines([*sizes, *filter(self._is_size, self.cached)], self.arguments)
        names += [self.names["size " + s] for s in unknown]  # no leaf shows them
        what = "The loss" if not self.given else "The value of"
        said = f"{what} {self.result}".replace("loss loss", "loss") + ", and what `backward` needs."
        shapes = [f"{self.names[a]}{HARD}{_shape_text(self.graph[a])}" for a in self.arguments]
        lines = [*filled("def forward(", names, "):"), *_said(said, "Shapes: ", shapes)]
        lines += [INDENT + s for s in [*size_lines, *statements]]
        kept = [self._cached_name(c) for c in self.cached]
        comma = "," if len(kept) == 1 else ""
        lines += [INDENT + s for s in filled(f"return {self.names[self.result]}, (", kept, comma + ")")]
        return lines

    def _backward_text(self) -> list[str]:
        wrt = self.derivation.wrt
        given = f", {self.names[self.given]}" if self.given else ""
        of = self.result if not self.given else f"a loss whose gradient for {self.result} is {self.names[self.given]},"
        proved = (b for a in self.derivation.adjoints.values() for b in a.because)
        facts = dict.fromkeys(b for b in proved if not b.startswith(DEFINITION))
        said = f"The gradients of {of} with respect to "
        lines = [f"def backward(cache{given}):", *_said("", said, [*wrt] or ["nothing"], end=".", facts=list(facts))]
        kept = [self._cached_name(c) for c in self.cached]
        if len(kept) == 1:
            lines.append(f"{INDENT}({kept[0]},) = cache")
        elif kept:
            lines += [INDENT + s for s in filled("", kept, " = cache", "()")]
        statements = [s for line in self.backward for s in self._statement(line)]
        wanted = [s for s in self._said_sizes((b.form for b in self.backward), statements) if s not in self.cached]
        tensors = [c for c in self.cached if not self._is_size(c)]
        size_lines, _ = self._size_lines(wanted, [*tensors, *((self.given,) if self.given else ())])
        lines += [INDENT + s for s in [*size_lines, *statements]]
        items = [f'"{w}": {self.names[adjoint(w)]}' for w in wrt]
        return lines + [INDENT + s for s in filled("return {", items, "}")]

    def _said_sizes(self, forms: Iterable[Form], statements: Sequence[str]) -> list[str]:
        """The sizes that the statements name: `np.mean` says none where its form has 1/N."""
        text = "\n".join(statements)
        return [s for s in _sizes_in(forms) if s.isdigit() or word_in(self.names["size " + s], text)]

    def _is_size(self, cached: str) -> bool:
        return cached not in self.graph.nodes and cached not in self.locals

    def _cached_name(self, cached: str) -> str:
        return self.names["size " + cached] if self._is_size(cached) else self.names[cached]


# ---- names -------------------------------------------------------------------------------------


class Names:
    """Identifiers, all different, none of them a keyword, a builtin or a name of the module.
    Sizes are entered as `size N`, constants as `const EPS`."""

    def __init__(self) -> None:
        self.taken: set[str] = set(RESERVED)
        self._of: dict[str, str] = {}

    def __getitem__(self, key: str) -> str:
        return self._of[key]

    def __contains__(self, key: str) -> bool:
        return key in self._of

    def give(self, key: str, wanted: str, counted: bool = False) -> None:
        """`wanted`, with underscores or (counted) another number behind it until it is new."""
        name = unicodedata.normalize("NFKC", wanted)
        if not name.isidentifier():
            raise NoRule(f"{wanted!a} cannot be a name in Python.")
        if counted:
            stem = name.rstrip("0123456789")
            tries = itertools.chain((name,), (f"{stem}{n}" for n in itertools.count(2)))
            name = next(t for t in tries if t not in self.taken)
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        self._of[key] = name


def _names(graph: Graph) -> Names:
    names = Names()
    for node in graph.nodes.values():
        names.give(node.name, node.name)
    for constant in graph.constants:
        names.give("const " + constant, constant)
    for size in graph.sizes:
        if not size.isdigit():
            names.give("size " + size, size)
    for size in graph.relations:
        if size not in graph.sizes and not size.isdigit():
            names.give("size " + size, size)
    for node in graph.nodes.values():
        names.give(adjoint(node.name), graph.adjoint_name(node.name))
    return names


class _CodePrinter(NumpyPrinter):
    """Real NumPy in the names of the program."""

    def __init__(self, graph: Graph, names: Names) -> None:
        super().__init__(graph, "np.", lambda s: s if s.isdigit() else names["size " + s])
        self.names = names

    def _leaf(self, x: Form) -> Text:
        if x.kind == "name":
            return Text(self.names[str(x.data[0])])
        if x.kind == "const" and x.data[0] in self.graph.constants:
            return Text(self.names[f"const {x.data[0]}"])
        return super()._leaf(x)

    def _call(self, x: Form) -> Text:
        row = self.graph.table[str(x.data[0])]
        if not (row.call or row.helper or row.name.startswith(UNKNOWN)):
            raise NoRule(
                f"No program can be written for {self.graph.name}: NumPy has no function {row.name}, and symbp no "
                f"text for one. Write {row.name} as a formula, in SymPy as a Lambda."
            )
        return super()._call(x)

    def _subscript(self, x: Form) -> Text:
        parts = [re.sub(r"[^\W\d]\w*", self._size_in_slice, str(p)) for p in x.data]
        return Text(f"{self.piece(x.args[0]).at(5)}[{', '.join(parts)}]")

    def _size_in_slice(self, found: re.Match[str]) -> str:
        return found[0] if found[0] == "None" else self.size(found[0])

    def _einsum(self, x: Form) -> Text:
        args = [f'"{x.data[0]}"', *self.numbers(x.args)]
        return self._call_text("einsum", *args, *(("optimize=True",) if len(x.args) > 2 else ()))


# ---- small things ------------------------------------------------------------------------------


def _given(graph: Graph) -> str:
    """The leaf that stands for the gradient from upstream, or an empty text."""
    if not graph.upstream:
        return ""
    body = graph[graph.loss].body
    assert body is not None
    return next(iter(body.tensors - {graph.upstream}))


def _tensors(form: Form) -> list[str]:
    if form.kind == "name":
        return [str(form.data[0])]
    return list(dict.fromkeys(t for a in form.args for t in _tensors(a)))


def _needed(lines: Sequence[Line], wanted: Iterable[str]) -> list[Line]:
    """The lines without those whose results nobody reads."""
    needed = set(wanted)
    kept = []
    for line in reversed(lines):
        if line.target in needed:
            kept.append(line)
            needed.update(_tensors(line.form))
    return kept[::-1]


def _renamed(form: Form, alias: Mapping[str, str]) -> Form:
    if form.kind == "name":
        name = str(form.data[0])
        return replace(form, data=(alias[name],)) if name in alias else form
    return replace(form, args=tuple(_renamed(a, alias) for a in form.args)) if form.args else form


def _proper_parts(form: Form) -> Iterator[Form]:
    """Subexpressions that may stand in a line of their own."""
    for a in form.args:
        if a.kind not in ("name", "num", "const", "size", "index"):
            yield a
        yield from _proper_parts(a)


def _replaced(form: Form, part: Form, by: Form) -> Form:
    if form == part:
        return by
    return replace(form, args=tuple(_replaced(a, part, by) for a in form.args)) if form.args else form


def _sizes_in(forms: Iterable[Form]) -> list[str]:
    """Names of the sizes that the text of these forms speaks of."""
    found: dict[str, None] = {}

    def visit(x: Form) -> None:
        if x.kind == "size":
            found[str(x.data[0])] = None
        elif x.kind == "subscript":
            found.update(dict.fromkeys(s for p in x.data for s in re.findall(r"[^\W\d]\w*", str(p)) if s != "None"))
        else:
            for d in x.data:
                if isinstance(d, Expr) and not isinstance(d, Num):
                    found.update(dict.fromkeys(s.name for s in _size_atoms(d)))
        for a in x.args:
            visit(a)

    for form in forms:
        visit(form)
    return [s for s in found if not s.isdigit()]


def _sizes_of(e: Expr) -> set[str]:
    """Names of the sizes in an expression of sizes."""
    return {x.name for x in walk(e) if isinstance(x, Size) and not x.name.isdigit()}


def _size_atoms(e: Expr) -> Iterator[Size]:
    for x in walk(e):
        if isinstance(x, Size):
            yield x
        elif hasattr(x, "dim"):
            yield from _size_atoms(x.dim)


def constants_of(graph: Graph, names: Names, body: str) -> list[str]:
    """`EPS = 1e-05` for the constants that occur."""
    used = set(re.findall(r"[^\W\d]\w*", body))
    found = []
    for name, value in graph.constants.items():
        shown = names["const " + name]
        if shown in used:
            found.append(f"{shown} = {number(value.value, value.decimal)}")
    return found


def helpers_in(body: str) -> list[str]:
    """Helper functions that are called, in the text or by each other, each after those it needs."""
    found: list[str] = []
    for name, text in reversed(HELPERS.items()):
        if re.search(rf"(?<![\w.]){name}\(", body):
            found.insert(0, name)
            body += text
    return found


def imports_of(text: str) -> Iterator[str]:
    """The modules that the text uses."""
    if "math." in text:
        yield "math"
    if "np." in text:
        yield "numpy as np"


def _shape_text(node: Node) -> str:
    dims = [size_text(d) for d in node.shape]
    return f"({f',{HARD}'.join(dims)}{',' if len(dims) == 1 else ''})"


def escaped(text: str) -> str:
    """Text that can stand in a docstring."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean.replace("\\", "\\\\").replace('"', "'")


def terms(text: str) -> list[str]:
    """A sum cut before each + and − that is in no bracket."""
    cuts, depth = [0], 0
    for n, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and text[n : n + 3] in (" + ", " - "):
            cuts.append(n)
    return [text[a:b].strip() for a, b in itertools.pairwise([*cuts, len(text)])]


def filled(start: str, items: Sequence[str], end: str, bracket: str = "") -> list[str]:
    """`start a, b, c end` on one line, or the items on lines of their own inside the bracket, which
    is part of `start` and `end` or added only then."""
    whole = start + ", ".join(items) + end
    if len(whole) <= WIDTH - len(INDENT):
        return [whole]
    room = WIDTH - 3 * len(INDENT)
    inner = textwrap.wrap(", ".join(items) + ",", room, break_long_words=False, break_on_hyphens=False)
    return [start + bracket[:1], *(INDENT + t for t in inner), bracket[1:] + end.lstrip(",")]


def word_in(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None


def _said(first: str, head: str, items: Sequence[str], end: str = "", facts: Sequence[str] = ()) -> list[str]:
    """A docstring on one line if it fits, else a paragraph for each of its parts."""
    tail = f" Uses that {' and '.join(map(escaped, facts))}." if facts else ""
    whole = f'"""{first}{"  " if first else ""}{head}{", ".join(items)}{end}{tail}"""'
    if len(whole) <= WIDTH - len(INDENT):
        return [INDENT + whole.replace(HARD, " ")]
    room = WIDTH - len(INDENT)
    parts = [first] if first else []
    parts.append(head + ", ".join(items) + end)
    if tail:
        parts.append(tail.strip())
    lines: list[str] = []
    for p in parts:
        wrapped = textwrap.wrap(p, room - 3, break_long_words=False, break_on_hyphens=False)
        lines += [*([""] if lines else []), *wrapped]
    lines[0] = '"""' + lines[0]
    return [(INDENT + t).rstrip().replace(HARD, " ") for t in [*lines, '"""']]


__all__ = ["compile_module", "functions", "module"]
