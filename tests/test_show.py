"""Formulas as trees, marks, conventions, exercises, slides and notebooks: what the whole-document tests do not pin."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbp.commands import DeriveOptions, Screen, derive
from symbp.errors import RequestError
from symbp.read.network import read_network
from symbp.show.alphabet import Latex, Unicode, bare, plain, spans
from symbp.show.blocks import Heading, Notes, Prose, Row, Rows, footnoted, sections
from symbp.show.changes import with_changes
from symbp.show.math import MathPrinter
from symbp.show.style import USUAL, Style, read_styles
from symbp.show.tex import CHANGED, UNCHANGED, broken, read, unmarked, width, write
from symbp.zoo import network

PLAIN = DeriveOptions(check="none")
DEEP = '''"""A network of any depth"""
x: (n[0],)
t: (n[L],)
a[0] = x
for l in range(1, L + 1):
    W[l]: (n[l], n[l-1])
    z[l] = W[l] @ a[l-1]
    a[l] = tanh(z[l])
E = sum((a[L] - t)**2)/2
'''


def shown(name: str, **options: object) -> str:
    text, status = derive([name], replace(PLAIN, **options), Screen())  # type: ignore[arg-type]
    assert status == 0
    return text


# ---- formulas as trees -------------------------------------------------------------------------------


def same(one: str, two: str) -> bool:
    return re.sub(r"([_^])\{(\w)\}|\s", lambda m: (m[1] or "") + (m[2] or ""), one) == re.sub(
        r"([_^])\{(\w)\}|\s", lambda m: (m[1] or "") + (m[2] or ""), two
    )


@pytest.mark.parametrize("name", ["mlp-4", "softmax-kl-positive", "svm", "prelu-batch", "rnn-step", "l2-of-matvec"])
def test_what_is_read_is_written_again(name: str) -> None:
    text = shown(name, format="latex", detail="full", notation="both")
    sides = re.findall(r"&= (.*?)(?: \\tag.*| \\\\\[3pt\])?$", text, re.M)

    assert len(sides) > 10
    for side in sides:
        assert same(write(read(side)), side)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1_^{}\\'&()[] $+-\ue030\ue031", max_size=40))
def test_reading_never_fails(text: str) -> None:
    tree = read(text)

    assert width(tree) >= 0
    write(tree)


LONG = (
    r"W_u^{\top} \left(\mathrm{dh} \odot \left(c - h\right) \odot u \odot \left(1 - u\right)\right)"
    r" + W_c^{\top} \left(u \odot \mathrm{dh} \odot \left(1 - c^{\odot 2}\right)\right)"
    r" + \left(1 - u\right) \odot \mathrm{dh}"
)


def without_growth(text: str) -> str:
    return re.sub(r"\\(left|right)", "", text)


@pytest.mark.parametrize("room", [18, 24, 40, 100])
def test_long_formulas_are_broken_before_a_sum_and_fit(room: float) -> None:
    lines = broken(LONG, room, room - 2)

    assert all(width(read(line)) <= room + 1 for line in lines)
    assert same(without_growth("".join(lines)), without_growth(LONG))
    if room == 24:
        assert [line[0] for line in lines[1:]] == ["+"] * (len(lines) - 1)
    if room == 100:
        assert lines == [LONG]


def test_a_bracket_wider_than_a_line_is_opened() -> None:
    lines = broken(r"\left(a b c d e f + a b c d e f + a b c d e f\right)^{2}", 6, 6)

    assert len(lines) > 1
    assert r"\left" not in "".join(lines)
    assert lines[-1].endswith(")^2")


# ---- what changed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        (r"\delta_{a} x", r"\left(p - t\right) x", r"<\left(p - t\right)> x"),
        (r"a + b", r"a + b", r"a + b"),
        (r"\left(a + b\right) c", r"\left(a + d\right) c", r"\left(a + <d>\right) c"),
        (r"x", r"y", r"y"),  # all of it is new: nothing to see
        ("δ_a x", "(p − t) x", "<(p − t)> x"),
        ("(a + b) c", "(a + d) c", "(a + <d>) c"),
        ("a b", "c d", "c d"),
    ],
)
def test_changes_are_marked(before: str, after: str, marked: str) -> None:
    found = with_changes(before, after)

    assert same(found.replace(CHANGED, "<").replace(UNCHANGED, ">"), marked)
    assert same(unmarked(found), after)


@pytest.mark.parametrize("name", ["softmax-kl-positive", "softmax-classifier"])
def test_marks_take_nothing_away(name: str) -> None:
    text = shown(name, detail="full")

    assert "\ue030" not in text  # no colour, no underline: the plain text has neither marks nor holes
    assert all(line == bare(line) for line in text.splitlines())
    coloured, _ = derive([name], replace(PLAIN, detail="full"), Screen(colour=True))
    without = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in without.splitlines()[: len(text.splitlines())]] == text.splitlines()
    assert coloured.count("\x1b[4m") == coloured.count("\x1b[24m") > 0


# ---- sentences and blocks ------------------------------------------------------------------------------


def test_spans() -> None:
    a = Latex()

    assert list(spans(f"let {a.inline('x')} be {a.code('y_1')}.")) == [
        ("text", "let "),
        ("math", "x"),
        ("text", " be "),
        ("code", "y_1"),
        ("text", "."),
    ]


def test_facts_and_side_conditions_become_footnotes_once() -> None:
    rows = (Row("a", "b", because="since F"), Row("", "c", aside="at 0"), Row("", "d", because="since F"))
    first, *rest = footnoted([Rows(rows), Prose("at 0"), Prose("other")])

    assert isinstance(first, Rows)
    assert [r.marks for r in first.rows] == [(1,), (2,), (1,)]
    assert rest == [Prose("other"), Notes(("since F", "at 0"))]


def test_sections() -> None:
    one, two = Heading(1, "a"), Heading(2, "b")

    assert list(sections([one, two, Prose("x")])) == [(one, []), (two, [Prose("x")])]


# ---- conventions ---------------------------------------------------------------------------------------

NET = """
x: (D,)
W1: (H, D)
z1 = W1 @ x
a1 = tanh(z1)
L = sum(a1**2)
"""


@pytest.mark.parametrize(
    ("style", "name", "latex", "text"),
    [
        (Style(), "derivative", r"\frac{\partial L}{\partial W_1}", "∂L/∂W₁"),
        (Style(gradient="nabla"), "derivative", r"\nabla_{W_1} L", "∇_W₁ L"),
        (Style(gradient="d"), "derivative", r"\mathrm{d}W_1", "dW₁"),
        (Style(layers="paren"), "derivative", r"\frac{\partial L}{\partial {W^{(1)}}}", "∂L/∂W⁽¹⁾"),
        (Style(layers="bracket"), "derivative", r"\frac{\partial L}{\partial {W^{[1]}}}", "∂L/∂W^[1]"),
        (Style(bold="yes"), "tensor", r"\mathbf{W}_1", "𝐖₁"),
    ],
)
def test_names_follow_the_style(style: Style, name: str, latex: str, text: str) -> None:
    graph = read_network(NET)

    assert getattr(MathPrinter(graph, Latex({}, style)), name)("W1") == latex
    assert plain(getattr(MathPrinter(graph, Unicode({}, style)), name)("W1")) == text


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("transpose=T", r"W_1^{T}"),
        ("transpose=prime", r"W_1^{\prime}"),
        ("product=circ", r"\circ \left(1 - a_1^{\circ 2}\right)"),
        ("layers=paren", r"\delta_{a}^{(1)} \odot \left(1 - \left(a^{(1)}\right)^{\odot 2}\right)"),
        ("layers=paren", r"W^{(1)\top}"),
        ("layers=paren", r"W_{hd}^{(1)}"),
        ("delta=minus", r"\delta_{z_1} = -\frac{\partial L}{\partial z_1}"),
        ("gradient=d", r"\mathrm{d}z_1\,x^{\top}"),
    ],
)
def test_formulas_follow_the_style(setting: str, part: str) -> None:
    name, choice = setting.split("=")
    network = NET + f'style({name}="{choice}")\n'
    view = replace(PLAIN, format="latex")

    from_file, _ = _derive_text(network, view)
    from_line, _ = _derive_text(NET, replace(view, style=(setting,)))

    assert part in from_file
    assert from_file == from_line


def _derive_text(text: str, options: DeriveOptions) -> tuple[str, int]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.symbp"
        path.write_text(text, encoding="utf-8")
        return derive([str(path)], options, Screen())


def test_the_command_line_wins_over_the_file() -> None:
    network = NET + 'style(transpose="T", product="circ")\n'
    text, _ = _derive_text(network, replace(PLAIN, format="latex", style=("transpose=top",)))

    assert r"W_1^{\top}" in text and r"\circ" in text


@pytest.mark.parametrize(
    ("setting", "message"),
    [("layer=paren", "Did you mean"), ("layers=roman", "one of subscript, paren, bracket"), ("layers", "layers=paren")],
)
def test_styles_that_there_are_not(setting: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Style.of(read_styles([setting]))


def test_numbers_of_families_follow_the_style() -> None:
    for setting, part in (("layers=bracket", r"W^{[l+1]\top}"), ("layers=paren", r"W^{(l+1)\top}")):
        text, _ = _derive_text(DEEP, replace(PLAIN, format="latex", style=(setting,)))
        assert part in text


# ---- teaching ------------------------------------------------------------------------------------------


def test_the_order_of_factors_is_explained() -> None:
    text = shown("relu-2", detail="full")

    assert "order       ∂L/∂a[h] = Σ_c W₂ᵀ[h,c] df[c]              W₂ transposed: c inside" in text
    assert "order       ∂L/∂W₁[h,d] = δ_z[h] xᵀ[d]                  column times row: h, d" in text


def test_the_summary_has_every_error_term_and_gradient() -> None:
    lines = shown("relu-2", format="markdown").split("## Summary")[1].splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| $")]
    gradients = [rf"$\frac{{\partial L}}{{\partial {n}}}$" for n in ("x", "W_1", "W_2")]

    assert names == [r"$\delta_{f}$", r"$\delta_{a}$", r"$\delta_{z}$", *gradients]


def test_an_exercise_gives_nothing_away() -> None:
    solution, sheet = shown("relu-2", format="markdown"), shown("relu-2", format="markdown", exercise=True)
    answers = [r"W_2^{\top}\,\mathrm{df}", r"\delta_{z} x^{\top}", r"\delta_{a} \odot"]

    assert all(a in solution and a not in sheet for a in answers)
    assert sheet.count(r"\underline{\hspace{9em}}") > 15
    assert r"\sum_{c} \frac{\partial L}{\partial f_{c}}" in sheet  # the chain rule stays as a guide
    with pytest.raises(RequestError, match="for programs"):
        shown("relu-2", format="json", exercise=True)


def test_claims_are_the_solutions_and_an_exercise_leaves_them_open() -> None:
    lines = shown("relu-2", format="claims").splitlines()

    assert lines == [
        "da = W2.T @ df",
        "dz = da*(z > 0)",
        "dL/dx = W1.T @ dz",
        "dL/dW1 = outer(dz, x)",
        "dL/dW2 = outer(df, a)",
    ]
    assert shown("relu-2", format="claims", exercise=True).splitlines() == [
        line.split(" =")[0] + " =" for line in lines
    ]


# ---- slides and notebooks ------------------------------------------------------------------------------


def test_slides_show_one_step_after_the_other() -> None:
    text = shown("relu-2", format="beamer")
    frames = re.findall(r"\\begin\{frame\}.*?\\end\{frame\}", text, re.S)

    assert len(frames) > 8
    for frame in frames:
        steps = [int(n) for n in re.findall(r"\\uncover<(\d+)->\{\\frac|\\uncover<(\d+)->\{= ", frame) for n in n if n]
        assert all(after - before in (0, 1) for before, after in pairwise(steps))
        assert frame.count("{") - frame.count(r"\{") == frame.count("}") - frame.count(r"\}")


@pytest.mark.parametrize("name", ["relu-2", "circuit-max"])
def test_a_notebook_is_a_notebook_whose_program_runs(name: str) -> None:
    whole = json.loads(shown(name, format="ipynb", lang="zh"))

    assert (whole["nbformat"], whole["nbformat_minor"]) == (4, 5)
    ids = [c["id"] for c in whole["cells"]]
    assert len(ids) == len(set(ids))
    for cell in whole["cells"]:
        wanted = {"cell_type", "id", "metadata", "source"}
        assert set(cell) == wanted | ({"outputs", "execution_count"} if cell["cell_type"] == "code" else set())
    program = "".join(whole["cells"][-1]["source"])
    scope: dict[str, object] = {}
    exec(compile(program, name, "exec"), scope)
    assert {"forward", "backward"} <= set(scope)


def test_several_networks_make_one_document() -> None:
    for form in ("latex", "beamer", "html", "ipynb", "markdown"):
        text, _ = derive(["relu-2", "ridge"], replace(PLAIN, format=form, standalone=True), Screen())
        assert text.count(r"\begin{document}") <= 1 and text.count("<html") <= 1
        assert all(network(name).title.splitlines()[0].split(":")[0] in text for name in ("relu-2", "ridge"))


def test_usual_style_is_the_default() -> None:
    assert Style.of({}) == USUAL
