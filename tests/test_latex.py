"""The LaTeX reader: every stage, every notation by value against NumPy text, and whole published cases."""

# ruff: noqa: E501
from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from latex_helpers import holds, lines_of, points_of, verdict

from symbp.errors import DeclarationError
from symbp.judge.verdict import Judge
from symbp.read.claims import read_expression
from symbp.read.latex.macros import expand, scan
from symbp.read.latex.names import key, read_symbol
from symbp.read.latex.statements import statements
from symbp.read.latex.tokens import tokenise
from symbp.read.latex.write import NoLatex, latex_of
from symbp.read.network import read_network
from symbp.show.alphabet import Latex
from symbp.zoo import names as zoo_names
from symbp.zoo import text as zoo_text

CASES = json.loads((Path(__file__).parent / "data" / "latex_claims.json").read_text(encoding="utf-8"))
COLUMNS = """
x: (D,)
W1: (H, D)
b1: (H,)
W2: (C, H)
y: (C,)
lam: ()
z1 = W1 @ x + b1
a1 = sigmoid(z1)
z2 = W2 @ a1
y_hat = softmax(z2)
L = -sum(y*log(y_hat)) + lam/2*sum(W1**2)
assert sum(y) == 1
"""
ROWS = """
X: (N, D)
W: (D, K)
b: (K,)
T: (N, K)
Z = X @ W + b
H = tanh(Z)
L = sum((H - T)**2)/N
"""
GAUSSIAN = """
m: (d,)
P: (d, d)
X: (n, d)
L = sum(((X - m) @ P)*(X - m))/2 - n*logdet(P)/2
assert posdef(P)
"""


# ---- tokens and statements


def kinds(text: str) -> list[str]:
    return [t.kind for t in tokenise(expand(scan(text), {}, text), text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"x^23", ["LETTER", "SUP", "NUM", "NUM"]),
        (r"\frac12", ["FRAC", "NUM", "NUM"]),
        (r"\left.x\right|", ["OPEN", "LETTER", "CLOSE"]),
        (r"|a||b|", ["OPEN", "LETTER", "CLOSE", "OPEN", "LETTER", "CLOSE"]),
        (r"p(y|x)", ["LETTER", "OPEN", "LETTER", "REL", "LETTER", "CLOSE"]),
        (r"{}^T", ["LB", "RB", "SUP", "LETTER"]),
        (r"W^{*}", ["LETTER", "SUP", "LB", "SYM", "RB"]),
        (r"log softmax(z)", ["FUN", "FUN", "OPEN", "LETTER", "CLOSE"]),
        (r"\mathrm{keep\_prob}", ["WORD"]),
        ("∂ŷ·Wᵀ", ["PARTIAL", "ACCENT", "LETTER", "OP", "LETTER", "SUP", "LETTER"]),
        (r"\newcommand{\v}[1]{\mathbf{#1}}\v{x}", ["LB", "LETTER", "RB"]),
        (r"\big( x \Big)", ["OPEN", "LETTER", "CLOSE"]),
        (r"a \tag{3} \label{q} \, b % c", ["LETTER", "LETTER"]),
    ],
)
def test_tokens(text: str, wanted: list[str]) -> None:
    assert kinds(text) == wanted


def test_rows_continue_the_chain_above() -> None:
    text = r"\begin{align} a &= b \\ &= c + \\ & d \\ e &= f, \quad g = h \text{ and } i = j \end{align}"
    found = statements(tokenise(scan(text), text))

    assert [len(s.sides) for s in found if s.is_equation] == [3, 2, 2, 2]


def test_the_grammar_has_no_conflict() -> None:
    """`strict` refuses any conflict; lark would settle shift against reduce silently otherwise."""
    import lark

    from symbp.read.latex.grammar import GRAMMAR

    class Nothing(lark.lexer.Lexer):
        def __init__(self, conf: object) -> None:
            pass

        def lex(self, *_: object):  # type: ignore[no-untyped-def]
            return iter(())

    lark.Lark(GRAMMAR, parser="lalr", lexer=Nothing, strict=True)
    worse = GRAMMAR.replace("bracket  : OPEN", "bracket  : LB items RB | OPEN")
    with pytest.raises(lark.exceptions.GrammarError):
        lark.Lark(worse, parser="lalr", lexer=Nothing, strict=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("W_1", r"\mathbf{W}_{1}"), ("W^{(1)}", "W^{[1]}"), ("W^{(1)}", "W^1"), (r"\hat{y_i}", r"\hat y_i"),
        (r"W^{[2]T}", r"{W^{[2]}}^\top"), (r"W^{\mathrm T}", r"W^\intercal"), (r"\varphi", r"\phi"), ("w_{i,j}", "w_{ij}"),
        (r"\boldsymbol\theta", "θ"), (r"\widehat{y}", "ŷ"), (r"f^{\prime}", "f'"), ("a^{[1](i)}", "a^{(1)[i]}"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_symbol(one: str, other: str) -> None:
    assert key(read_symbol(one)) == key(read_symbol(other))


# ---- notations, by value


NOTATIONS = [
    (COLUMNS, r"\frac{\partial L}{\partial W_2} = (\hat{y} - y) a_1^T"),
    (COLUMNS, r"\nabla_{W^{(2)}} L = (\hat y - y) {a^{(1)}}^\top"),
    (COLUMNS, r"dW^{[2]} = (\hat{y}-y)\, a^{[1]T}"),
    (COLUMNS, r"\bar{W}_2 = (\hat{\mathbf y} - \mathbf y) \mathbf a_1^{\mathrm T}"),
    (COLUMNS, r"\partial L / \partial W_2 = (\hat y - y) \cdot a_1'"),
    (COLUMNS, r"\partial_{(z_2)_i} L = \hat y_i - y_i"),
    (COLUMNS, r"\frac{\partial L}{\partial (W_2)_{ij}} = (\hat y_i - y_i)(a_1)_j"),
    (COLUMNS, r"\frac{\partial L}{\partial a_1} = W_2^T(\hat y - y)"),
    (COLUMNS, r"\frac{\partial L}{\partial (a_1)_j} = \sum_{k=1}^{C} (W_2)_{kj} (\hat y_k - y_k)"),
    (COLUMNS, r"\frac{\partial L}{\partial z_1} = W_2^T(\hat y - y) \odot a_1 \odot (1 - a_1)"),
    (COLUMNS, r"\frac{\partial L}{\partial z_1} = W_2^T(\hat y - y) \circ \sigma'(z_1)"),
    (COLUMNS, r"\frac{\partial L}{\partial z_1} = \left[W_2^T(\hat y - y)\right] * a_1(1 - a_1)"),
    (COLUMNS, r"\frac{\partial L}{\partial z_1} = \operatorname{diag}(a_1 \odot (1 - a_1)) W_2^T (\hat y - y)"),
    (COLUMNS, r"\frac{\partial L}{\partial z_1} = \frac{\partial L}{\partial a_1} \odot \frac{e^{-z_1}}{(1+e^{-z_1})^2}"),
    (COLUMNS, r"\frac{\partial L}{\partial b_1} = \frac{\partial L}{\partial z_1}"),
    (COLUMNS, r"\frac{\partial L}{\partial W_1} = \frac{\partial L}{\partial z_1} x^\top + \lambda W_1"),
    (COLUMNS, r"\frac{\partial L}{\partial \lambda} = \frac12 \|W_1\|_F^2"),
    (COLUMNS, r"\frac{dL}{d\lambda} = \frac{1}{2}\operatorname{tr}(W_1^T W_1)"),
    (COLUMNS, r"\frac{\partial \hat y_i}{\partial (z_2)_j} = \hat y_i(\delta_{ij} - \hat y_j)"),
    (COLUMNS, r"\frac{\partial \hat y_i}{\partial (z_2)_j} = \begin{cases} \hat y_i(1-\hat y_i) & i = j \\ -\hat y_i \hat y_j & i \ne j \end{cases}"),
    (COLUMNS, r"\hat y = \operatorname{softmax}(W_2 \sigma(W_1 x + b_1))"),
    (COLUMNS, r"\hat y_k = \frac{\exp((z_2)_k)}{\sum_j \exp((z_2)_j)}"),
    (COLUMNS, r"\frac{\partial L}{\partial W_2} = (\hat y - y) \otimes a_1"),
    (COLUMNS, r"∂L/∂W₂ = (ŷ − y)·a₁ᵀ"),
    (COLUMNS, r"\delta^2 = \frac{\partial L}{\partial z_2} = \hat y - y, \qquad \frac{\partial L}{\partial a_1} = W_2^T \delta^2"),
    (ROWS, r"\frac{\partial L}{\partial W} = \frac{2}{N} X^T ((H - T) \odot (1 - H^2))"),
    (ROWS, r"\nabla_W L = \frac2N X^\top \left[(H-T) \odot \left(1 - \tanh^2(Z)\right)\right]"),
    (ROWS, r"\frac{\partial L}{\partial b} = \frac{2}{N} \sum_{n=1}^N (H_{n} - T_{n}) \odot (1 - H_n^2)"),
    (ROWS, r"\frac{\partial L}{\partial b} = \frac{2}{N} \mathbf{1}^T ((H - T) \odot \tanh'(Z))"),
    (ROWS, r"\frac{\partial L}{\partial b_k} = \frac2N \sum_n (H_{nk} - T_{nk})(1 - H_{nk}^2)"),
    (ROWS, r"\frac{\partial L}{\partial H} = \frac{2(H - T)}{N}"),
    (ROWS, r"Z = XW + b"),
    (GAUSSIAN, r"\frac{\partial L}{\partial m} = P\sum_{i=1}^n(m - X_i)"),
    (GAUSSIAN, r"\nabla_m L = P\sum_i (m - x_i)"),
    (GAUSSIAN, r"\frac{\partial L}{\partial P} = \frac12\sum_{i=1}^n (x_i - m)(x_i - m)^\top - \frac n2 P^{-1}"),
    (ROWS, r"\frac{\partial L}{\partial W_{dk}} = \sum_n \frac{\partial L}{\partial Z_{nk}} \frac{\partial Z_{nk}}{\partial W_{dk}}"),
]  # fmt: skip


@pytest.mark.parametrize(("net", "text"), NOTATIONS, ids=[t for _, t in NOTATIONS])
def test_a_right_formula_is_read_right(net: str, text: str) -> None:
    claims = lines_of(net).latex.read(text)

    assert [verdict(points_of(net), c) for c in claims if c.left is not None] == ["right"] * len(claims)
    assert all(not c.problem for c in claims)


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{\partial L}{\partial W_2} = a_1 (\hat{y} - y)^T",
        r"\frac{\partial L}{\partial W_2} = (\hat y - y) a_1",
        r"\frac{\partial L}{\partial a_1} = W_2(\hat y - y)",
        r"\frac{\partial L}{\partial z_1} = W_2^T(\hat y - y)\, a_1 \odot (1 - z_1)",
        r"\frac{\partial L}{\partial (W_2)_{ij}} = (\hat y_j - y_j)(a_1)_i",
        r"\frac{\partial L}{\partial z_1} = W_2^T(\hat y - y) \cdot a_1(1 - a_1)",
        r"\frac{\partial L}{\partial (a_1)_j} = (W_2)_{kj} (\hat y_k - y_k)",
    ],
)
def test_a_wrong_formula_stays_wrong(text: str) -> None:
    (claim,) = lines_of(COLUMNS).latex.read(text)

    assert verdict(points_of(COLUMNS), claim) == "wrong"


def test_a_letter_too_many_is_a_missing_sum() -> None:
    """x_{ij} is an entry of X without doubt; i is summed nowhere."""
    text = r"\frac{\partial L}{\partial W_{dk}} = \frac2N (H_{nk} - T_{nk})(1 - H_{nk}^2) x_{nd}"
    found = Judge(points_of(ROWS))(lines_of(ROWS).line(text))

    assert found.verdict == "wrong" and found.mistake is not None
    assert found.mistake.name == "missing-sum"


@pytest.mark.parametrize(
    ("net", "text"), [n for n in NOTATIONS if r"\hat y_k - y_k" in n[1] or r"\odot a_1" in n[1] or r"\sum_n (H" in n[1]]
)
def test_formulas_with_letters_and_columns_are_proved(net: str, text: str) -> None:
    assert Judge(points_of(net))(lines_of(net).line(text)).proof == "symbolic"


def test_a_power_is_told_from_a_layer_by_names() -> None:
    net = "x: (n,)\na1 = tanh(x)\na2 = sigmoid(a1)\nL = sum(a2*x**2)"
    (claim,) = lines_of(net).latex.read(r"\frac{\partial L}{\partial a^2} = x^2")

    assert claim.about == "a2"
    assert holds(points_of(net), claim)


@pytest.mark.parametrize(
    ("text", "numpy"),
    [
        ("m_{ij}", "M[i, j]"), (r"\mu_i", "(M @ v)[i]"), (r"\|v\|", "norm(v)"), (r"f'(v_i)", "1 - tanh(v)[i]**2"),
        (r"\theta^T x^{(i)}", "(M @ v)[i]"), (r"|\mathcal{B}|", "n"),
    ],
)  # fmt: skip
def test_lets_are_spans_of_factors(text: str, numpy: str) -> None:
    net = "M: (n, k)\nv: (k,)\nL = sum((M @ v)**2)"
    lines = lines_of(net, f"{text} := {numpy}")
    value, _ = lines.latex._side(read_symbol(text, lines.latex.symbols.words), text, ["i", "j"])
    wanted = read_expression(points_of(net).graph, numpy, {"i", "j"})

    assert points_of(net).shape(value.tree)[0] == points_of(net).shape(wanted)[0]


def test_letters_of_lets_are_literal() -> None:
    """y_i and y_j are two tensors; a letter without a line of its own takes the only line with its base."""
    net = "a: (n,)\nb: (n,)\nW: (n, n)\nL = sum(a*b) + sum(W*W)"
    lets = ["y_i := a[i]", "y_j := b[j]", "w_{ij} := W[i, j]"]
    lines = lines_of(net, *lets)

    assert lines.line(r"\frac{\partial L}{\partial y_i} = b_i").about == "a"
    assert lines.line(r"\frac{\partial L}{\partial y_j} = a_j").about == "b"
    assert lines.line(r"\frac{\partial L}{\partial w_{kl}} = 2w_{kl}").about == "W"
    assert "could be any of" in lines.line(r"\frac{\partial L}{\partial y_k} = 1").message


def test_a_placeholder_is_a_number_in_a_name() -> None:
    net = "x: (n,)\nA1: (n,)\nA2: (n,)\nL = sum(x*A1*A2)"
    lines = lines_of(net, "A^{[l]} := A{l}")

    assert holds(points_of(net), lines.line(r"\frac{\partial L}{\partial x} = A^{[1]} \odot A^{[2]}"))


# ---- what is not read


@pytest.mark.parametrize(
    ("text", "problem", "message"),
    [
        (r"\frac{\partial L}{\partial q} = x", "undefined", "--let 'q := ...'"),
        (r"\frac{\partial L}{\partial x} = \foo x", "unreadable", r"unknown command \foo"),
        (r"\frac{\partial L}{\partial x} = (W_1", "unreadable", "bracket ( is not closed"),
        (r"\frac{\partial L}{\partial x} = \sum_{i \in \mathcal{M}} (W_1)_{i}", "unreadable", "set"),
        (r"\frac{\partial L}{\partial x} = \dots", "unreadable", "ellipsis"),
        (r"\frac{\partial L}{\partial x} = x^2^3", "unreadable", "two superscripts"),
        (r"\frac{\partial L}{\partial x} =", "unreadable", "empty"),
        (r"\frac{\partial L}{\partial x} < 1", "unreadable", "only equations"),
        (r"\input{/etc/passwd}", "unreadable", "it was not run"),
        (r"\frac{\partial L}{\partial x} = \write18{touch x}", "unreadable", "it was not run"),
        (r"\def\a{\a}\a", "unreadable", "expanded more than"),
        (r"\renewcommand{\odot}{+} x \odot x", "unreadable", "redefines"),
        (r"x\phantom{+1}", "unreadable", "hides"),
        ("x % + 1", "unreadable", "comment"),
        (r"x$y$", "unreadable", "dollar"),
        (r"\left(" * 2000 + "x" + r"\right)" * 2000, "unreadable", "limit is"),
        ("{" * 60 + "x" + "}" * 60, "unreadable", "nested more than"),
        ("9^{9^{9}}", "unreadable", "power itself"),
        ("x\u202ey", "unreadable", "control character"),
    ],
    ids=lambda t: t[:30] if isinstance(t, str) else "",
)
def test_what_is_not_read_says_why(text: str, problem: str, message: str) -> None:
    claim = lines_of(COLUMNS).latex.read_line(text)

    assert (claim.problem, message in claim.message) == (problem, True), claim.message


def test_which_function_is_meant_is_asked() -> None:
    net = "x: (n,)\na = tanh(x)\nb = sigmoid(a)\nL = sum(b*x)"
    claim = lines_of(net).latex.read_line(r"\frac{\partial L}{\partial b} = g(2x)")

    assert (claim.problem, "which function is g" in claim.message) == ("undefined", True)


def test_the_place_is_that_of_the_symbol() -> None:
    text = "\\begin{align}\n\\frac{\\partial L}{\\partial x} &= x \\\\\n &= q x\n\\end{align}"
    (claim,) = lines_of(COLUMNS).latex.read(text)

    assert claim.place is not None
    assert (claim.place.line, claim.place.column) == (3, 5)


def test_mutated_formulas_never_crash() -> None:
    rng = random.Random(7)
    pieces = [*"{}()[]|_^&\\$%,;=+-*/.'<> 012xyzWT", r"\frac", r"\partial", r"\left(", r"\begin{cases}", r"\hat", r"\sqrt[3]",
              r"\text{", r"\nabla_", "\\\\", r"\quad", r"\prod", r"\|", "^T", r"\big", r"\not", "∂", "ŷ"]  # fmt: skip
    cases = [(lines_of(c["net"], *c["lets"]), [t for t, _ in c["right"] + c["wrong"]]) for c in CASES[::9]]
    for _ in range(5_000):
        lines, texts = rng.choice(cases)
        text = list(rng.choice(texts))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text) + 1)
            if rng.random() < 0.5:
                text[at:at] = rng.choice(pieces)
            else:
                del text[at : at + rng.randint(1, 3)]
        assert lines.latex.read("".join(text))


def test_other_commands_do_not_import_lark() -> None:
    code = "import sys, symbp.cli, symbp.commands, symbp.judge.lines; assert 'lark' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- published cases


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_published_formulas(case: dict[str, list[str]]) -> None:
    """Right ones are right, wrong ones are wrong, and each can be written again and read to the same value."""
    lines = lines_of(case["net"], *case["lets"])
    points = lines.points
    found = []
    for wanted, claims in (("right", case["right"]), ("wrong", case["wrong"])):
        for text, about in claims:
            claim = lines.latex.read_line(text, about)
            if verdict(points, claim) != wanted:
                found.append((text, wanted, verdict(points, claim), claim.message))
            found += [(text, "written", again) for again in unlike(lines, claim, about)]

    assert found == []


def unlike(lines, claim, about):  # type: ignore[no-untyped-def]
    """Texts of the links of a claim that do not read back to the same values."""
    for link in claim.links:
        try:
            text = latex_of(link, lines.points.graph.latex, lines.points.graph.loss, lines.points.shape, link)
        except NoLatex as error:
            yield f"no LaTeX: {error}"
            continue
        left = "" if about else claim.text.split("=")[0] + " = "
        again = lines.latex.read(left + text, about)[0]
        if claim.left is None:
            continue
        if again.problem or again.left is None:
            yield text + " " + again.message
        elif holds(lines.points, _only(claim, link)) != holds(lines.points, _only(again, again.links[0])):
            yield text


def _only(claim, link):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(claim, links=(link,))


# ---- what symbp itself prints

UNEVEN = {  # networks whose lines (not their results) are left out, and why
    "softmax-kl": "0 log 0",
    "svm": "a row of a sum",
    "mlp-3-4-2-matrix": "places of a slice count from 0",
    "self-attention": "a mask inside a softmax is written in letters of another line",
}


# The whole Jacobian of an unknown map, which is printed as ∂y/∂x, has no indices that could be read.
@pytest.mark.parametrize("name", [n for n in zoo_names() if "[" not in zoo_text(n) and ",) >> (" not in zoo_text(n)])
def test_what_symbp_prints_is_read_back(name: str) -> None:
    """The delta form and the closed form of every gradient and every δ, in matrix notation, and in index
    notation where the lines of the derivation show it."""
    from symbp.derive import derive
    from symbp.show.document import Options
    from symbp.show.json import derivation_json

    text = zoo_text(name)
    graph = read_network(text)
    lines = lines_of(text)
    if not lines.points.batches:
        pytest.skip("no points")
    printed = derivation_json(derive(graph), Options())
    alphabet = Latex(graph.latex)
    loss = alphabet.tensor(graph.loss)
    forms = [(g["wrt"], g[f]["latex"]) for g in printed["gradients"] for f in ("delta_form", "closed_form") if g.get(f)]
    for leaf in graph.leaves:
        shown = alphabet.tensor(leaf.name)
        lines.latex.read(rf"\delta_{{{shown}}} = \frac{{\partial {loss}}}{{\partial {shown}}}")
    for d in printed["deltas"]:
        shown = alphabet.tensor(d["node"])
        lines.latex.read(rf"\delta_{{{shown}}} = \frac{{\partial {loss}}}{{\partial {shown}}}")
        forms.append((d["node"], d["latex"]))
    wrong = [
        (about, formula, verdict(lines.points, claim), claim.message)
        for about, formula in forms
        if formula
        for claim in [lines.latex.read(formula, about)[0]]
        if verdict(lines.points, claim) != "right"
    ]

    uses = graph.consumers()
    for step in printed["steps"]:
        if len(uses.get(step["about"], ())) > 1 or name in UNEVEN:
            continue  # one path of several, or a line that no reader can read back
        claim = lines.latex.read(step["latex"])[0]
        if verdict(lines.points, claim) not in ("right", "definition"):
            wrong.append((step["rule"], step["latex"], verdict(lines.points, claim), claim.message))
    assert wrong == []


def test_reading_raises_only_errors_of_ours() -> None:
    with pytest.raises(DeclarationError):
        read_symbol(r"\frac{1}{")


# ---- the habits of strangers

HABITS = json.loads((Path(__file__).parent / "data" / "latex_habits.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", HABITS, ids=[c["id"] for c in HABITS])
def test_notation_as_strangers_write_it(case: dict[str, list[str]]) -> None:
    """Textbooks, lecture notes, question-and-answer threads: every right formula is accepted, every wrong one
    rejected; what cannot be read (`open`) is at least not called wrong."""
    found = []
    for wanted in ("right", "wrong", "loose", "open"):
        for text in case.get(wanted, []):
            lines = lines_of(case["net"], *case["lets"])
            judge = Judge(lines.points, seconds=0)
            verdicts = {judge(c).verdict for c in lines.latex.read(text)}
            good = {
                "right": verdicts == {"correct"},
                "wrong": "wrong" in verdicts <= {"wrong", "correct"},
                "loose": verdicts == {"loose"},
                "open": not verdicts & {"wrong", "correct"},
            }
            found += [] if good[wanted] else [(wanted, text, verdicts)]
    assert found == []


def test_a_let_is_stronger_than_a_letter_for_the_last_layer() -> None:
    net = "x: (n,)\nw1: (m, n)\nw2: (k, m)\ny: (k,)\nz1 = w1 @ x\na1 = sigmoid(z1)\nz2 = w2 @ a1\na2 = sigmoid(z2)\n"
    net += "C = -sum(y*log(a2) + (1 - y)*log(1 - a2))\n"
    lines = lines_of(net, r"\delta^L := dC/dz2", "a^L := a2")

    assert verdict(lines.points, lines.line(r"\delta^L = a^L - y")) == "right"
    assert verdict(lines.points, lines.line(r"\delta^L = (a^L - y) \odot \sigma'(z^L)")) == "wrong"
