"""The command line. No logic: every command hands its words to commands.py and prints what comes
back. Nothing heavy is imported here, so that `--help` costs what typer costs.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from symbp import __version__

app = typer.Typer(
    name="symbp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a network written as formulas to its backprop derivation, each line checked by numbers.\n\n"
    "NET is a network file, - for standard input, the name of a built-in network (symbp zoo lists them), "
    "or file.py:name for a network declared in SymPy (that one runs the Python file).",
)

FORMATS = "terminal|latex|beamer|markdown|html|ipynb|claims|numpy|json"
Styles = Annotated[
    list[str] | None,
    typer.Option("--style", metavar="NAME=CHOICE", help="A convention, such as layers=paren; may be repeated."),
]
Color = Annotated[str, typer.Option("--color", metavar="auto|always|never", help="Colour the output.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the random points of the check.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback for an internal error.")]
Output = Annotated[
    str, typer.Option("-o", "--output", metavar="FILE", help="Write to a file instead of standard output.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON.")]
Net = Annotated[str, typer.Argument(metavar="NET", help="File, -, built-in name, or file.py:name.")]
Detail = Annotated[str, typer.Option(metavar="brief|normal|full", help="How many steps.")]
Notation = Annotated[str, typer.Option(metavar="matrix|index|both", help="Matrices or entries.")]
Format = Annotated[str, typer.Option(metavar=FORMATS, help="How it is written.")]
Standalone = Annotated[bool, typer.Option("--standalone", help="LaTeX: a whole document.")]
Lang = Annotated[str, typer.Option(metavar="en|zh", help="English or Chinese.")]
Checking = Annotated[str, typer.Option(metavar="full|quick|none", help="How the result is checked.")]
At = Annotated[list[str] | None, typer.Option("--at", metavar="NAME=VALUE", help="Value at a point; may be repeated.")]
Depth = Annotated[
    list[str] | None, typer.Option("--set", metavar="L=3", help="The end of a loop as a number: the loop written out.")
]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"symbp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")] = False,
) -> None:
    pass


@app.command()
def derive(
    nets: Annotated[list[str], typer.Argument(metavar="NET...", help="File, -, built-in name, or file.py:name.")],
    wrt: Annotated[
        list[str] | None, typer.Option("--wrt", metavar="NAME", help="Leaf, inner node or entry; may be repeated.")
    ] = None,
    form: Annotated[
        str, typer.Option(metavar="delta|closed|both", help="In error terms, in leaves, or both.")
    ] = "both",
    detail: Detail = "normal",
    notation: Notation = "matrix",
    format: Format = "terminal",
    standalone: Standalone = False,
    lang: Lang = "en",
    delta: Annotated[str, typer.Option(metavar="plus|minus", help="minus shows δ := −∂L/∂z.")] = "plus",
    style: Styles = None,
    update: Annotated[bool, typer.Option("--update", help="Add the descent rules.")] = False,
    method: Annotated[
        str, typer.Option(metavar="chain|differential", help="By the chain rule, or by differentials: dL = tr(Gᵀ dX).")
    ] = "chain",
    exercise: Annotated[bool, typer.Option("--exercise", help="Leave the answers blank.")] = False,
    at: At = None,
    set_: Depth = None,
    check: Checking = "quick",
    picture: Annotated[bool, typer.Option("--picture", help="Put a picture of the graph into the document.")] = False,
    output: Output = "",
    force: Force = False,
    json: Json = False,
    color: Color = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """The backprop derivation of a network, step by step."""
    from symbp import commands

    options = commands.DeriveOptions(
        wrt=tuple(wrt or ()), form=form, detail=detail, notation=notation, format="json" if json else format,
        standalone=standalone, lang=lang, delta=delta, style=tuple(style or ()), update=update,
        exercise=exercise, method=method, picture=picture,
        at=tuple(at or ()), set=tuple(set_ or ()), check=check, seed=seed,
    )  # fmt: skip
    _finish(lambda screen: commands.derive(nets, options, screen), color, output, force, debug, lang)


@app.command()
def jacobian(
    net: Net,
    node: Annotated[str, typer.Argument(metavar="NODE", help="What is differentiated: p, or p[k] with its letters.")],
    wrt: Annotated[str, typer.Argument(metavar="WRT", help="By what: z, or z[j].")],
    detail: Detail = "normal",
    notation: Notation = "matrix",
    format: Format = "terminal",
    standalone: Standalone = False,
    lang: Lang = "en",
    style: Styles = None,
    check: Checking = "quick",
    set_: Depth = None,
    json: Json = False,
    output: Output = "",
    force: Force = False,
    color: Color = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """The Jacobian of any tensor by another, its structure, and its products with a vector."""
    from symbp import commands

    options = commands.derivative_options(
        detail, notation, format, standalone, lang, style, check, set_, json, seed
    )  # fmt: skip
    _finish(lambda screen: commands.jacobian(net, node, wrt, options, screen), color, output, force, debug, lang)


@app.command()
def hessian(
    net: Net,
    wrt: Annotated[str, typer.Argument(metavar="WRT", help="By what: w, or w[i] with its letters.")],
    wrt2: Annotated[str | None, typer.Argument(metavar="[WRT]", help="By what else; by default the same.")] = None,
    detail: Detail = "normal",
    notation: Notation = "matrix",
    format: Format = "terminal",
    standalone: Standalone = False,
    lang: Lang = "en",
    style: Styles = None,
    check: Checking = "quick",
    set_: Depth = None,
    json: Json = False,
    output: Output = "",
    force: Force = False,
    color: Color = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Second derivatives of the loss, their structure, and their product with a vector."""
    from symbp import commands

    options = commands.derivative_options(
        detail, notation, format, standalone, lang, style, check, set_, json, seed
    )  # fmt: skip
    _finish(lambda screen: commands.hessian(net, wrt, wrt2, options, screen), color, output, force, debug, lang)


@app.command()
def check(
    net: Net,
    lang: Lang = "en",
    json: Json = False,
    color: Color = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Derived gradients against numerical ones, every entry. Exit code 1 when something is off."""
    from symbp import commands

    _finish(lambda screen: commands.check(net, json, seed, screen, lang), color, "", False, debug, lang)


@app.command()
def verify(
    net: Net,
    claims: Annotated[
        list[str] | None, typer.Argument(metavar="[CLAIM]...", help="dL/dW1 = X.T @ dH1, in NumPy or LaTeX.")
    ] = None,
    file: Annotated[str, typer.Option("--claims", metavar="FILE", help="Claims, one a line.")] = "",
    other_net: Annotated[str, typer.Option("--net", metavar="NET", help="The network of a document.")] = "",
    about: Annotated[str, typer.Option("--about", metavar="NAME", help="What a bare formula is the gradient of.")] = "",
    let: Annotated[
        list[str] | None, typer.Option("--let", metavar="'SYMBOL := EXPR'", help="What a LaTeX symbol stands for.")
    ] = None,
    lets: Annotated[str, typer.Option("--lets", metavar="FILE", help="A file of such lines.")] = "",
    at: At = None,
    annotate: Annotated[str, typer.Option("--annotate", metavar="FILE", help="Write the document with verdicts.")] = "",
    lang: Lang = "en",
    json: Json = False,
    output: Output = "",
    force: Force = False,
    color: Color = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Are these formulas right? If not: which mistake, the right line, and numbers that prove it."""
    from symbp import commands

    options = commands.VerifyOptions(
        claims=file, net=other_net, about=about, let=tuple(let or ()), lets=lets, at=tuple(at or ()),
        annotate=annotate, force=force, json=json, lang=lang, seed=seed,
    )  # fmt: skip
    _finish(lambda screen: commands.verify(net, claims or [], options, screen), color, output, force, debug, lang)


@app.command()
def code(net: Net, output: Output = "", force: Force = False, color: Color = "auto", debug: Debug = False) -> None:
    """NumPy forward and backward functions to paste or import."""
    from symbp import commands

    _finish(lambda screen: commands.code(net, screen), color, output, force, debug)


@app.command()
def draw(
    net: Net,
    format: Annotated[
        str, typer.Option(metavar="svg|tikz|mermaid|dot", help="By default as the output file's suffix says, or svg.")
    ] = "",
    at: At = None,
    set_: Depth = None,
    view: Annotated[str, typer.Option(metavar="auto|gates|blocks", help="Single operations, or tensors.")] = "auto",
    lang: Lang = "en",
    standalone: Annotated[bool, typer.Option("--standalone", help="TikZ: a whole document.")] = False,
    output: Output = "",
    force: Force = False,
    color: Color = "auto",
    debug: Debug = False,
) -> None:
    """The computational graph as a picture; with values, forward values and gradients on every wire."""
    from symbp import commands

    options = commands.DrawOptions(
        format=format,
        at=tuple(at or ()),
        set=tuple(set_ or ()),
        lang=lang,
        view=view,
        standalone=standalone,
        output=output,
    )
    _finish(lambda screen: commands.draw(net, options, screen), color, output, force, debug, lang)


@app.command()
def descend(
    net: Net,
    rate: Annotated[str, typer.Option("--rate", metavar="R", help="A number, 1/70, or a column of the data.")],
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="How many steps.")],
    at: At = None,
    data: Annotated[str, typer.Option("--data", metavar="FILE", help=".csv (one sample a row), .json or .npz.")] = "",
    wrt: Annotated[
        list[str] | None, typer.Option("--wrt", metavar="NAME", help="A leaf that moves; may be repeated.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="H=16", help="A size, for a random start.")] = None,
    svg: Annotated[str, typer.Option("--svg", metavar="FILE", help="Write the plot of the loss as SVG.")] = "",
    lang: Lang = "en",
    json: Json = False,
    output: Output = "",
    force: Force = False,
    color: Color = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Seed of a random start.")] = 0,
    debug: Debug = False,
) -> None:
    """Gradient descent with the derived gradients: a table and a plot of the loss."""
    from symbp import commands

    options = commands.DescendOptions(
        rate=rate, steps=steps, at=tuple(at or ()), data=data, wrt=tuple(wrt or ()), set=tuple(set_ or ()),
        svg=svg, force=force, json=json, lang=lang, seed=seed,
    )  # fmt: skip
    _finish(lambda screen: commands.descend(net, options, screen), color, output, force, debug, lang)


@app.command()
def zoo(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this network.")] = None,
    color: Color = "auto",
    debug: Debug = False,
) -> None:
    """List the built-in networks, or print one."""
    from symbp import commands

    _finish(lambda screen: commands.zoo(name, screen), color, "", False, debug)


def _finish(run: object, color: str, output: str, force: bool, debug: bool, lang: str = "en") -> None:
    """Run a command, print its result, and leave with its exit code."""
    from symbp import commands
    from symbp.errors import SymbpError

    try:
        screen = commands.Screen.of(color, bool(output))
        text, status = run(screen)  # type: ignore[operator]
        commands.deliver(text, output, force)
    except SymbpError as error:
        if debug:
            raise
        _fail(str(error), lang)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (RecursionError, MemoryError):
        if debug:
            raise
        _fail("This network is too deep or too large for one formula; give its parts names of their own.", lang)
    except Exception as error:
        if debug:
            raise
        _fail(
            f"Internal error: {type(error).__name__}: {error}\n"
            "This is a bug in symbp. Run again with --debug and report it."
        )
    raise typer.Exit(status)


def _fail(message: str, lang: str = "en") -> NoReturn:
    from symbp.errors import clean
    from symbp.show.problems import translated

    print(f"symbp: {clean(translated(message, lang))}", file=sys.stderr)
    raise typer.Exit(2)


def main() -> NoReturn:
    """The console script. It leaves at once: the interpreter would free every expression on its own,
    which costs a deep network a sixth of its time."""
    gc.disable()  # one command, one short process: nothing to collect, and scanning the expressions costs a third
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    status = 0
    try:
        app(prog_name="symbp")
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
