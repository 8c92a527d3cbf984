"""What each command does: open the network, derive, check, hand to a renderer.

Every function answers (text, exit code); cli.py prints and leaves. Exit codes as in CONTRACT.md:
0 all right, 1 something is wrong, 2 unreadable or a call that is off (raised as SymbpError),
3 undecided.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbp.errors import RequestError, clean, nearest
from symbp.family import base_of

if TYPE_CHECKING:
    from symbp.claim import Tree
    from symbp.descend import Plan
    from symbp.differential import Differentials
    from symbp.errors import Place
    from symbp.graph import Graph
    from symbp.higher import Derivative
    from symbp.judge.lines import Lines
    from symbp.judge.points import Points
    from symbp.judge.verdict import Judge, Verdict
    from symbp.read.document import Document
    from symbp.show.alphabet import Alphabet
    from symbp.show.blocks import Block
    from symbp.show.document import Options
    from symbp.show.style import Style
    from symbp.steps import Chain, Checked, Derivation

Answer = tuple[str, int]
CHOICES = {
    "form": ("delta", "closed", "both"),
    "detail": ("brief", "normal", "full"),
    "notation": ("matrix", "index", "both"),
    "format": ("terminal", "latex", "beamer", "markdown", "html", "ipynb", "claims", "numpy", "json"),
    "delta": ("plus", "minus"),
    "method": ("chain", "differential"),
    "check": ("full", "quick", "none"),
}


@dataclass(frozen=True)
class DeriveOptions:
    """The options of `symbp derive`."""

    wrt: tuple[str, ...] = ()
    form: str = "both"
    detail: str = "normal"
    notation: str = "matrix"
    format: str = "terminal"
    standalone: bool = False
    lang: str = "en"
    delta: str = "plus"
    style: tuple[str, ...] = ()
    update: bool = False
    exercise: bool = False
    method: str = "chain"
    at: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    check: str = "quick"
    seed: int = 0
    picture: bool = False

    def validate(self) -> None:
        """Every option is one of its choices."""
        from symbp.show.words import languages

        for name, choices in {**CHOICES, "lang": languages()}.items():
            value = getattr(self, name)
            if value not in choices:
                raise RequestError(
                    f"--{name} must be one of {', '.join(choices)}, not '{value}'. {nearest(value, choices)}".strip()
                )
        if self.exercise and self.format in ("numpy", "json"):
            raise RequestError(f"--exercise leaves blanks in what people read; --format {self.format} is for programs.")
        if not 0 <= self.seed < 2**63:
            raise RequestError("--seed must be a whole number from 0 to 2^63 − 1.")


def derivative_options(
    detail: str, notation: str, format: str, standalone: bool, lang: str, style: Sequence[str] | None,
    check: str, depth: Sequence[str] | None, json: bool, seed: int,
) -> DeriveOptions:  # fmt: skip
    """The options of `symbp jacobian` and `symbp hessian`, which are those of `symbp derive` as far as they go."""
    return DeriveOptions(
        detail=detail, notation=notation, format="json" if json else format, standalone=standalone, lang=lang,
        style=tuple(style or ()), check=check, seed=seed, set=tuple(depth or ()),
    )  # fmt: skip


@dataclass(frozen=True)
class Screen:
    """Where the result goes: how wide, and in colour or not."""

    width: int = 80
    colour: bool = False

    @classmethod
    def of(cls, color: str, to_file: bool) -> Screen:
        """What the terminal, the environment and --color ask for."""
        if color not in ("auto", "always", "never"):
            raise RequestError(f"--color must be auto, always or never, not '{color}'.")
        auto = sys.stdout.isatty() and not to_file and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        colour = color == "always" or (color == "auto" and auto)
        try:
            width = shutil.get_terminal_size((80, 24)).columns
        except ValueError:
            width = 80
        return cls(min(max(width, 40), 120), colour)


# ---- networks ----------------------------------------------------------------------------------


def open_network(spec: str) -> Graph:
    """A file, `-`, a built-in name, or `file.py:name`."""
    if spec == "-":
        from symbp.read.network import read_network
        from symbp.read.source import decode

        if sys.stdin is None or sys.stdin.closed:
            raise RequestError("There is no standard input to read a network from.")
        return read_network(decode(sys.stdin.buffer.read(1_000_001), "standard input"), "network", "standard input")
    python = re.fullmatch(r"(.+\.py):(\w+)", spec)
    if python:
        return _from_python(python[1], python[2])
    if len(spec) <= 4096 and os.path.exists(spec):
        from symbp.read.network import load

        return load(spec)
    from symbp.zoo import names, network

    if spec in names():
        return network(spec)
    shown = spec if len(spec) <= 80 else spec[:77] + "..."
    hint = nearest(spec[:80], names()) or "`symbp zoo` lists the built-in networks."
    raise RequestError(f"There is no file and no built-in network '{shown}'. {hint}")


def _from_python(file: str, name: str) -> Graph:
    """A network declared in a Python file; the only input that is ever run."""
    import runpy

    if not os.path.isfile(file):
        raise RequestError(f"There is no file '{file}'.")
    scope = runpy.run_path(file)
    if name not in scope:
        raise RequestError(f"{file} declares no '{name}'. {nearest(name, scope)}".strip())
    found = scope[name]
    graph = getattr(found, "graph", None)
    if graph is None:
        raise RequestError(f"'{name}' in {file} is not a symbp.Network but a {type(found).__name__}.")
    return graph  # type: ignore[no-any-return]


def at_depth(graph: Graph, settings: Sequence[str]) -> Graph:
    """The network with the numbers of `--set L=3` for its symbolic depth."""
    from symbp.unroll import unroll

    numbers: dict[str, int] = {}
    for setting in settings:
        match = re.fullmatch(r"\s*(\w+)\s*=\s*(\d{1,6})\s*", setting)
        if not match:
            raise RequestError(f"--set takes the end of a loop and a number, such as L=3, not '{setting[:80]}'.")
        if match[1] in numbers:
            raise RequestError(f"--set gives {match[1]} twice.")
        numbers[match[1]] = int(match[2])
    if numbers and not graph.has_families:
        raise RequestError(f"{graph.name} has no loop whose end --set could give a number.")
    return unroll(graph, numbers) if numbers else graph


def _written_out(graph: Graph) -> Graph:
    """A network whose loops end at numbers, with all its turns; one of symbolic depth as it is."""
    from symbp.unroll import unroll

    return unroll(graph, {}) if graph.has_families and not graph.bounds else graph


# ---- commands ----------------------------------------------------------------------------------


def derive(specs: Sequence[str], options: DeriveOptions, screen: Screen) -> Answer:
    """`symbp derive`."""
    options.validate()
    if options.format == "json":
        import json

        results, status = [], 0
        for spec in specs:
            derivation, view = _derivation(spec, options)
            from symbp.show.json import derivation_json

            results.append(derivation_json(derivation, view))
            status = max(status, _status(derivation.checked))
        whole: Any = results[0] if len(results) == 1 else results
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n", status
    derived = [_derivation(spec, options) for spec in specs]
    status = max(_status(derivation.checked) for derivation, _ in derived)
    if options.format == "numpy":
        from symbp.numpy_code import backward_lines

        return "\n".join("\n".join(backward_lines(d, view.form)) + "\n" for d, view in derived), status
    if options.format == "claims":
        from symbp.show.claims import claims

        return "\n".join(claims(d, view) for d, view in derived), status
    return _laid_out([_document(d, view, options) for d, view in derived], options, screen), status


def _derivation(spec: str, options: DeriveOptions) -> tuple[Derivation, Options]:
    """Open, derive, check; and the view that the options and the file's own style ask for."""
    from symbp.derive import derive as run
    from symbp.show.document import Options

    graph = at_depth(open_network(spec), options.set)
    if options.method == "differential":
        graph = _written_out(graph)
    names, entries = _wanted(options.wrt, graph)
    want_steps = options.detail != "brief" and options.format != "numpy"
    derivation = run(graph, names or None, closed=options.form != "delta", steps=want_steps)
    if options.check != "none":
        from symbp.check import check as numbers
        from symbp.check import check_steps

        derivation = replace(derivation, checked=numbers(derivation, options.check, options.seed))
        check_steps(derivation, options.seed)  # a step that does not hold is never printed
    style = _style(graph, options)
    differentials = _differentials(derivation, options) if options.method == "differential" else None
    values: tuple[tuple[str, str, str], ...] = ()
    if options.at:
        from symbp.values import at_point, read_values

        values = at_point(derivation, read_values(graph, options.at), style.layout == "numerator")
    view = Options(
        options.form,
        options.detail,
        options.notation,
        options.lang,
        style.delta,
        options.update,
        style,
        options.exercise,
        summary=options.detail == "full" or (options.detail == "normal" and options.format != "terminal"),
        differentials=differentials,
        entries=entries,
        values=values,
    )
    return derivation, view


def _wanted(wrt: Sequence[str], graph: Graph) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """`W2[k, j]` is the tensor W2, shown entry by entry in the letters k and j; of a family, `W[2]`
    is a member, and `W[2][k, j]` its entries."""
    names: list[str] = []
    entries: dict[str, tuple[str, ...]] = {}
    for w in wrt:
        name, *brackets = re.split(r"\s*[\[\]]\s*", w.strip())
        parts = [b for b in brackets if b]
        if not re.fullmatch(r"\w+(\[[\w\s,+-]+\]){0,2}", re.sub(r"\s+(?=\[)", "", w.strip())):
            names.append(w.strip())
            continue
        if parts and any("[" in n.name for n in graph.pieces(name)):
            name = f"{name}[{''.join(parts.pop(0).split())}]"
        if name not in graph.nodes and not graph.has_families:  # a family that --set wrote out
            names += [n.name for n in graph.pieces(name) if name == base_of(n.name)] or [name]
        else:
            names.append(name)
        if parts:
            letters = tuple(x.strip() for x in parts[0].split(","))
            if name in graph.nodes and len(letters) != len(graph[name].shape):
                raise RequestError(f"{w}: {name} has {len(graph[name].shape)} indices, not {len(letters)}.")
            entries[name] = letters
    return tuple(names), entries


def _differentials(derivation: Derivation, options: DeriveOptions) -> Differentials:
    """The differentials of a derivation, checked as its steps are."""
    from symbp.differential import check_differentials, differentials

    if _style(derivation.graph, options).gradient == "d":
        raise RequestError(
            "The style gradient=d writes a gradient as dW, which is a differential with --method differential."
        )
    found = differentials(derivation)
    if options.check != "none":
        check_differentials(found, derivation, options.seed)
    return found


def _style(graph: Graph, options: DeriveOptions) -> Style:
    """The conventions: the file's, then those of the command line."""
    from symbp.show.style import Style, read_styles

    asked = read_styles(options.style)
    return Style.of(graph.style, asked, {"delta": options.delta} if options.delta != "plus" else {})


@dataclass(frozen=True)
class Written:
    """What there is to lay out: blocks in any alphabet, the network they are about, and its program."""

    blocks: Callable[[Alphabet], Iterable[Block]]
    graph: Graph
    style: Style
    program: str = ""


def _document(derivation: Derivation, view: Options, options: DeriveOptions) -> Written:
    """A derivation as a document."""
    from symbp.convention import minus
    from symbp.show.document import document

    shown = minus(derivation) if view.delta == "minus" else derivation
    program = _program(derivation) if options.format == "ipynb" and not options.exercise else ""
    picture: tuple[Block, ...] = ()
    if options.picture and options.format != "terminal":
        from symbp.draw import draw, figure

        picture = (figure(draw(derivation.graph, lang=options.lang, derivation=derivation, style=view.style)),)
    return Written(
        lambda alphabet: illustrated(document(shown, alphabet, view), picture), derivation.graph, view.style, program
    )


def illustrated(blocks: Iterable[Block], picture: Iterable[Block]) -> Iterator[Block]:
    """The document with a picture at the end of its first section, the forward pass."""
    from symbp.show.blocks import Heading

    headings = 0
    for block in blocks:
        headings += isinstance(block, Heading)
        if headings == 3:
            yield from picture
            picture = ()
        yield block
    yield from picture


def _program(derivation: Derivation) -> str:
    """The NumPy program of a derivation, or nothing where it has none."""
    from symbp.errors import NoRule
    from symbp.loop_program import loop_module
    from symbp.program import module

    try:
        return (loop_module if derivation.graph.has_families else module)(derivation)
    except NoRule:
        return ""


def _laid_out(documents: Sequence[Written], options: DeriveOptions, screen: Screen) -> str:
    """Documents in the format asked for."""
    from symbp.show.alphabet import Latex, Unicode

    if options.format == "terminal":
        from symbp.show.terminal import legend, lines

        texts = [
            "\n".join(lines(d.blocks(Unicode(style=d.style, lang=options.lang)), screen.width, screen.colour))
            for d in documents
        ]
        key = legend(screen.colour, options.lang)
        return "\n\n".join(texts) + "\n" + (f"\n{key}\n" if key else "")
    parts = [d.blocks(Latex(d.graph.latex, d.style, options.lang)) for d in documents]
    whole = (block for part in parts for block in part)
    match options.format:
        case "latex":
            from symbp.show.latex import latex

            return latex(whole, options.standalone, options.lang)
        case "beamer":
            from symbp.show.beamer import beamer

            return beamer(whole, options.lang)
        case "html":
            from symbp.show.html import html

            return html(parts, options.lang)
        case "ipynb":
            from symbp.show.notebook import notebook

            return notebook(parts, options.lang, [d.program for d in documents])
    from symbp.show.markdown import markdown

    return markdown(whole, options.lang)


def jacobian(spec: str, node: str, wrt: str, options: DeriveOptions, screen: Screen) -> Answer:
    """`symbp jacobian`."""
    from symbp.higher import jacobian as run

    options.validate()
    graph = at_depth(open_network(spec), options.set)
    (name, above), (variable, below) = _one_wanted(node, graph), _one_wanted(wrt, graph)
    if not graph.has_families:
        return _higher(run(graph, name, variable), above, below, options, screen)
    from symbp.turn import turn_graph

    turn, name, variable, chain = turn_graph(graph, name, variable)
    return _higher(run(turn, name, variable), above, below, options, screen, graph, chain)


def hessian(spec: str, wrt: str, wrt2: str | None, options: DeriveOptions, screen: Screen) -> Answer:
    """`symbp hessian`."""
    from symbp.higher import hessian as run

    options.validate()
    graph = _written_out(at_depth(open_network(spec), options.set))
    if graph.has_families:
        raise RequestError(
            f"A Hessian needs a network whose layers are written out: give {graph.bounds[0]} a number, "
            f"--set {graph.bounds[0]}=3."
        )
    (name, above), (second, below) = _one_wanted(wrt, graph), _one_wanted(wrt if wrt2 is None else wrt2, graph)
    if wrt2 is None:
        below = ()
    return _higher(run(graph, name, second), above, below, options, screen)


def _one_wanted(text: str, graph: Graph) -> tuple[str, tuple[str, ...]]:
    """`W2[k, j]`: the name and the letters asked for."""
    (name,), entries = _wanted((text,), graph)
    return name, entries.get(name, ())


def _higher(
    derivative: Derivative,
    above: tuple[str, ...],
    below: tuple[str, ...],
    options: DeriveOptions,
    screen: Screen,
    whole: Graph | None = None,
    chain: Chain | None = None,
) -> Answer:
    """Check a derivative and write it; of a loop, with the product of Jacobians over its turns."""
    from symbp.show.document import Options
    from symbp.show.higher import Letters, blocks, derivative_json, numpy_lines, product_blocks, product_json

    if options.check != "none":
        from symbp.check_higher import check_derivative

        derivative = check_derivative(derivative, options.check, options.seed)
    status = _status({c.name: c for c in (derivative.checked_gradient, derivative.checked) if c is not None})
    style = _style(derivative.graph, options)
    if style.layout == "numerator" and (derivative.first is not None or not derivative.top.shape):
        raise RequestError(
            "layout=numerator turns gradients in symbp derive only. A Jacobian has a row for each entry of what is "
            "differentiated in both layouts; for second derivatives and the loss itself add --style layout=denominator."
        )
    style = replace(style, layout="denominator")
    view = Options(detail=options.detail, notation=options.notation, lang=options.lang, style=style)
    letters = Letters(above, below)
    if options.format == "json":
        import json

        found = derivative_json(derivative, view, letters)
        if whole is not None and chain is not None:
            found["product"] = product_json(whole, chain)
        return json.dumps(found, ensure_ascii=False, indent=1) + "\n", status
    if options.format == "numpy":
        return "\n".join(numpy_lines(derivative)) + "\n", status

    def everything(alphabet: Alphabet) -> Iterator[Block]:
        yield from blocks(derivative, alphabet, view, letters)
        if whole is not None and chain is not None:
            yield from product_blocks(whole, chain, alphabet, options.lang)

    return _laid_out([Written(everything, derivative.graph, style)], options, screen), status


def check(spec: str, as_json: bool, seed: int, screen: Screen, lang: str = "en") -> Answer:
    """`symbp check`."""
    from symbp.check import check as numbers
    from symbp.derive import derive as run

    DeriveOptions(seed=seed, lang=lang).validate()
    graph = open_network(spec)
    derivation = run(graph, steps=False)
    checked = numbers(derivation, "full", seed)
    status = _status(checked)
    if as_json:
        import json

        from symbp.show.json import check_json

        items = {name: check_json(c) for name, c in checked.items()}
        whole = {"schema": 1, "network": graph.name, "ok": status == 0, "tensors": items}
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n", status
    from symbp.show.table import check_table

    return check_table(derivation, checked, screen.width, screen.colour, lang), status


@dataclass(frozen=True)
class VerifyOptions:
    """The options of `symbp verify`."""

    claims: str = ""
    net: str = ""
    about: str = ""
    let: tuple[str, ...] = ()
    lets: str = ""
    at: tuple[str, ...] = ()
    annotate: str = ""
    force: bool = False
    json: bool = False
    lang: str = "en"
    seed: int = 0


def verify(spec: str, texts: Sequence[str], options: VerifyOptions, screen: Screen) -> Answer:
    """`symbp verify`: 1 when a claim is wrong, 2 when one is unreadable or undefined, 3 when one is undecided."""
    from symbp.judge.lines import Lines
    from symbp.judge.points import Points, written_out
    from symbp.judge.verdict import Judge
    from symbp.read.counts import counts
    from symbp.read.document import is_document
    from symbp.show.repair import in_latex

    DeriveOptions(seed=options.seed, lang=options.lang).validate()
    document = None
    if is_document(spec) and not texts and not options.claims:
        document = _open_document(spec)
        graph = _network_of(document, options.net)
    elif options.annotate:
        raise RequestError("--annotate writes a document with verdicts: give a document (.tex, .md, .ipynb or .py)")
    elif not texts and not options.claims:
        raise RequestError(
            f"verify {spec} was given nothing to judge. Write a claim behind the network, give a file of claims, "
            "one a line, with --claims FILE, or give a document (.tex, .md, .ipynb or .py)."
        )
    else:
        graph = open_network(options.net or spec)
    letters = counts(graph)
    graph = written_out(graph)
    points = Points(graph, options.seed)
    macros = document.macros if document is not None else {}
    reader = Lines(points, [*options.let, *_lets_of_file(options.lets)], macros, letters)
    given, reader.numpy.rate = _given_point(graph, options.at)
    judge = Judge(points, given=given, document=document is not None)
    if document is not None:
        verdicts = _judge_document(document, reader, judge, options, in_latex(points))
    else:
        verdicts = [judge(reader.line(*line)) for line in _lines_of_claims(texts, options)]
    status = verify_status([v.verdict for v in verdicts])
    latex = in_latex(points)
    if options.json:
        import json

        from symbp.show.verdict import verdicts_json

        return json.dumps(
            verdicts_json(verdicts, graph, latex, options.lang), ensure_ascii=False, indent=1
        ) + "\n", status
    from symbp.show.verdict import verdicts_text

    return clean_lines(verdicts_text(verdicts, graph, screen.width, screen.colour, options.lang, latex)), status


def _open_document(file: str) -> Document:
    """A submission; what it names is not opened."""
    from symbp.read.document import LARGEST, read_document
    from symbp.read.source import read_bytes

    return read_document(read_bytes(file, LARGEST), file)


def _network_of(document: Document, net: str) -> Graph:
    """The network that a document is about: `--net`, or a block in the document itself."""
    from symbp.read.network import read_network

    if net:
        return open_network(net)
    if document.network:
        return read_network(document.network, name=Path(document.file).stem, file=document.file)
    raise RequestError(
        f"which network is {document.file} about? Give it with --net, or in a ```symbp block of a Markdown document"
    )


def _judge_document(
    document: Document, reader: Lines, judge: Judge, options: VerifyOptions, latex: Callable[[Verdict, Tree], str]
) -> list[Verdict]:
    """The verdicts on the formulas of a document, in order; `--annotate` writes them into it."""
    from symbp.read.document import annotated, line_of
    from symbp.show.repair import remarks

    if options.annotate:
        _check_free(options.annotate, options.force)
    if not document.found:
        raise RequestError(f"there are no formulas in {document.file}")
    beside = []
    verdicts = []
    for found in document.found:
        mine = [judge(claim) for claim in reader.found(found, options.about)]
        verdicts += mine
        if found.kind == "program":
            for v in mine:
                assert v.claim.place is not None
                line = line_of(document, found, v.claim.place)
                beside.append((line, remarks([v], judge.points.graph, latex, options.lang)))
        else:
            beside.append((found, remarks(mine, judge.points.graph, latex, options.lang)))
    if not verdicts:
        raise RequestError(f"none of the {len(document.found)} formulas in {document.file} is an equation to judge")
    if options.annotate:
        deliver(annotated(document, beside), options.annotate, options.force)
    return verdicts


def _given_point(graph: Graph, texts: Sequence[str]) -> tuple[Points | None, str]:
    """The point of `--at`, and the name of the learning rate if one is given with it."""
    from symbp.judge.points import RATES, Points
    from symbp.values import number_or_list, read_values

    if not texts:
        return None, ""
    extra: dict[str, float] = {}
    own: list[str] = []
    for text in texts:
        name, _, value = text.partition("=")
        if name.strip() in RATES and name.strip() not in graph.nodes:
            extra[name.strip()] = float(number_or_list(value, f"--at {name.strip()}"))
        else:
            own.append(text)
    return Points.at(graph, read_values(graph, own), extra), next(iter(extra), "")


def _lines_of_claims(texts: Sequence[str], options: VerifyOptions) -> Iterator[tuple[str, str, Place | None]]:
    """(text, what it is about, place) of every claim of the call and of the claims file."""
    from symbp.errors import Place
    from symbp.read.source import decode, read_file

    for text in texts:
        yield text, options.about, None
    if not options.claims:
        return
    if options.claims == "-":
        whole, file = decode(sys.stdin.buffer.read(1_000_001), "standard input"), "standard input"
    else:
        whole, file = read_file(options.claims), options.claims
    for number, line in enumerate(whole.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "%")):
            continue
        named = re.match(r"\s*([A-Za-z_]\w*)\s*:\s+(?=\S)(?!=)", line)
        text, about = (line[named.end() :], named[1]) if named else (line, options.about)
        yield (
            text.strip(),
            about,
            Place(number, len(line) - len(line[named.end() :] if named else line.lstrip()) + 1, line, file),
        )


def _lets_of_file(file: str) -> list[str]:
    """`SYMBOL := EXPRESSION`, one a line; lines that start with # are comments."""
    from symbp.read.source import read_file

    lines = read_file(file).splitlines() if file else []
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def clean_lines(text: str) -> str:
    """A text for the screen without control characters but those of its colours."""
    return re.sub(
        "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]",
        "\N{REPLACEMENT CHARACTER}",
        text,
    )


def verify_status(verdicts: Sequence[str]) -> int:
    """The exit code for these verdicts."""
    if "wrong" in verdicts:
        return 1
    if "unreadable" in verdicts or "undefined" in verdicts:
        return 2
    return 3 if "undecided" in verdicts else 0


def _status(checked: Mapping[str, Checked]) -> int:
    """1 when a check failed, 3 when one stayed undecided, else 0."""
    wrong = any(not c.ok and c.error == c.error for c in checked.values())
    open_ = any(not c.ok and c.error != c.error for c in checked.values())
    return 1 if wrong else 3 if open_ else 0


def code(spec: str, screen: Screen) -> Answer:
    """`symbp code`."""
    from symbp.derive import derive as run
    from symbp.loop_program import loop_module
    from symbp.program import module

    graph = open_network(spec)
    derivation = run(graph, closed=False, steps=False)
    return (loop_module if graph.has_families else module)(derivation), 0


@dataclass(frozen=True)
class DescendOptions:
    """The options of `symbp descend`."""

    rate: str
    steps: int
    at: tuple[str, ...] = ()
    data: str = ""
    wrt: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    svg: str = ""
    force: bool = False
    json: bool = False
    lang: str = "en"
    seed: int = 0


def descend(spec: str, options: DescendOptions, screen: Screen) -> Answer:
    """`symbp descend`: 1 when it ran out of the numbers, else 0."""
    from symbp.check import check as numbers
    from symbp.descend import descend as run

    DeriveOptions(seed=options.seed, lang=options.lang).validate()
    if options.svg:
        _check_free(options.svg, options.force)
    plan = _plan(spec, options)
    plan = replace(plan, derivation=replace(plan.derivation, checked=numbers(plan.derivation, "quick", options.seed)))
    with Progress(options.steps) as progress:
        descent = run(plan, options.steps, progress)
    if options.svg:
        from symbp.show.descent import chart
        from symbp.show.plot import svg_plot

        deliver(svg_plot(chart(descent, options.lang)), options.svg, options.force)
    status = max(_status(plan.derivation.checked), 1 if descent.stopped else 0)
    if options.json:
        import json

        from symbp.show.descent import descent_json

        return json.dumps(descent_json(descent), ensure_ascii=False, indent=1) + "\n", status
    from symbp.show.descent import descent_text

    return descent_text(descent, screen.width, screen.colour, options.lang), status


def _plan(spec: str, options: DescendOptions) -> Plan:
    """The network, the data and the point, put together."""
    from symbp.descend import plan, read_rate, read_sizes
    from symbp.read.data import read_data
    from symbp.show.names import roles
    from symbp.values import read_values

    graph = open_network(spec)
    bounds = [s for s in options.set if s.partition("=")[0].strip() in graph.bounds]
    graph = at_depth(graph, bounds)
    if graph.has_families:
        raise RequestError(f"{graph.name} has loops: give their ends numbers, --set {graph.bounds[0]}=3.")
    sizes = [s for s in options.set if s not in bounds]
    rate = read_rate(options.rate)
    data = None
    if options.data:
        leaves = {n.name: len(n.shape) for n in graph.leaves}
        data = read_data(options.data, leaves, (rate,) if isinstance(rate, str) else ())
        data = replace(data, file=clean(data.file), unused=tuple(map(clean, data.unused)))
    at = read_values(graph, options.at)
    inputs = [name for name, role in roles(graph).items() if role == "data"]
    return plan(graph, at, rate, data, options.wrt, read_sizes(sizes), options.seed, inputs)


class Progress:
    """One line on standard error that says how far a long run is; only on a terminal, and only
    after a second. It is wiped away at the end."""

    AFTER, EVERY = 1.0, 0.2

    def __init__(self, steps: int) -> None:
        self.steps, self.next, self.shown = steps, time.monotonic() + self.AFTER, False
        self.on = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, step: int, loss: float) -> None:
        if not self.on or time.monotonic() < self.next:
            return
        self.next, self.shown = time.monotonic() + self.EVERY, True
        print(f"\r\x1b[Kstep {step} of {self.steps}, loss {loss:.4g}", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class DrawOptions:
    """The options of `symbp draw`. Without a format the suffix of the output file says it, else SVG."""

    format: str = ""
    at: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    lang: str = "en"
    view: str = "auto"
    standalone: bool = False
    output: str = ""


def draw(spec: str, options: DrawOptions, screen: Screen) -> Answer:
    """`symbp draw`."""
    suffixes = {".tex": "tikz", ".mmd": "mermaid", ".dot": "dot", ".gv": "dot"}
    format = options.format or suffixes.get(Path(options.output).suffix, "svg")
    choices = ("svg", "tikz", "mermaid", "dot")
    if format not in choices:
        raise RequestError(
            f"--format must be one of {', '.join(choices)}, not '{format}'. {nearest(format, choices)}".strip()
        )
    if options.standalone and format != "tikz":
        raise RequestError("--standalone makes a document of a TikZ picture; say --format tikz with it.")
    from symbp.draw import FORMATS
    from symbp.draw import draw as run
    from symbp.show.picture.tikz import document
    from symbp.values import read_values

    graph = at_depth(open_network(spec), options.set)
    picture = run(graph, read_values(graph, options.at), options.lang, options.view)
    return (document if options.standalone else FORMATS[format])(picture), 0


def zoo(name: str | None, screen: Screen) -> Answer:
    """`symbp zoo`."""
    from symbp.zoo import names, text, title

    if name is None:
        width = max(map(len, names()))
        return "\n".join(f"{n:<{width}}  {title(n)}" for n in names()) + "\n", 0
    if name not in names():
        raise RequestError(
            f"There is no built-in network '{name}'. {nearest(name, names()) or '`symbp zoo` lists them.'}"
        )
    return text(name), 0


# ---- output ------------------------------------------------------------------------------------


def deliver(text: str, output: str, force: bool) -> None:
    """To standard output, or to a file that is not overwritten without --force."""
    if not output or output == "-":
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise RequestError(f"Cannot write the result: {error.strerror}.") from None
        return
    _check_free(output, force)
    path = Path(output)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RequestError(f"Cannot write {output}: {error.strerror}.") from None


def _check_free(output: str, force: bool) -> None:
    """An existing file is overwritten with --force only."""
    path = Path(output)
    if path.exists() and not force and path.is_file():
        raise RequestError(f"{output} exists; --force overwrites it.")
