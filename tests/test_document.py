"""Submissions: which formulas a document holds, where, and the document with verdicts in it."""

# ruff: noqa: E501
from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest
from test_contract import process

from symbp.errors import DeclarationError, Place
from symbp.read.document import annotated, line_of, read_document

NET = """x: (D,)
W1: (H, D)
W2: (C, H)
t: (C,)
z = W1 @ x
a = maximum(0, z)
f = W2 @ a
L = sum((f - t)**2)/2
"""
MARKDOWN = rf"""---
title: $nothing$
---
# Homework

```symbp
{NET}```

It costs $5 or $6. We have $z = W_1 x$ and `$code$`.

$$
\begin{{aligned}}
\delta_2 &= f - t \\
\frac{{\partial L}}{{\partial W_2}} &= \delta_2 a^\top
\end{{aligned}}
$$
<!-- $x = y$ -->

so $\frac{{\partial L}}{{\partial a}} = W_2^T (t - f)$.

```math
\nabla_{{W_1}} L = (W_2^\top (f - t) \odot 1[z > 0]) x^\top
```

```python
import os; os.system("touch symbp_pwned")
df = f - t
dW2 = np.outer(df, a)
```
"""
TEX = r"""\documentclass{article}
\newcommand{\pd}[2]{\frac{\partial #1}{\partial #2}}
\input{secret.txt}
\begin{document}
% $a = b$
Five \% of \$ 3, \verb|$x$|, $z = W_1 x$ and
\begin{align}
  \pd{L}{f} &= f - t \\
  \pd{L}{a} &= W_2 (f - t)
\end{align}
\end{document}
"""


def found(text: str, name: str) -> list[tuple[str, int, int]]:
    return [(f.text, f.place.line, f.place.column) for f in read_document(text.encode(), name).found]


def test_markdown() -> None:
    texts = [(text.split("\n")[0], line) for text, line, _ in found(MARKDOWN, "a.md")]

    assert texts == [
        ("z = W_1 x", 17), (r"\begin{aligned}", 20), (r"\frac{\partial L}{\partial a} = W_2^T (t - f)", 27),
        (r"\nabla_{W_1} L = (W_2^\top (f - t) \odot 1[z > 0]) x^\top", 30), ('import os; os.system("touch symbp_pwned")', 34),
    ]  # fmt: skip


def test_latex() -> None:
    document = read_document(TEX.encode(), "a.tex")

    assert [(f.text.split("\n")[0], f.place.line) for f in document.found] == [("z = W_1 x", 6), (r"\begin{align}", 7)]
    assert set(document.macros) == {r"\pd"}


@pytest.mark.parametrize("text", [r"$`x = y`$", r"\\( x = y \\)", r"\[ x = y \]", "$$x = y$$", "~~~math\nx = y\n~~~"])
def test_other_dialects_of_markdown(text: str) -> None:
    assert [t for t, _, _ in found(text, "a.md")] == ["x = y"]


def test_notebook() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["Text\n", "$x = y$"]},
        {"cell_type": "code", "source": "%%bash\nls\n", "outputs": [{"data": {"text/html": "<script>"}}]},
        {"cell_type": "code", "source": "def f():\n    dW = x @ y\n"},
    ]
    document = read_document(json.dumps({"cells": cells, "nbformat": 4}).encode(), "a.ipynb")

    assert [(f.text, f.place.file, f.place.line) for f in document.found] == [
        ("x = y", "a.ipynb cell 1", 2),
        ("def f():\n    dW = x @ y\n", "a.ipynb cell 3", 1),
    ]
    line = line_of(document, document.found[1], Place(2, 5, "", "a.ipynb cell 3"))
    again = json.loads(annotated(document, [(line, ["right"])]))
    assert again["cells"][2]["source"] == "def f():\n    dW = x @ y\n    # symbp: right\n"


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"$x = 1", "a.tex", "the dollar is not closed"),
        (rb"\begin{align}x&=1\end{equation}", "a.tex", r"\begin{align} is not closed; \end{equation} follows"),
        (b'{"cells":[', "a.ipynb", "not JSON"),
        (b'{"nbformat":4}', "a.ipynb", "no list of cells"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "a.ipynb", "too deeply"),
        (b"\xff\xd8\xff\x00", "a.tex", "binary"),
        ("公式".encode("gbk"), "a.tex", "GBK"),
        (b"x" * 3_000_000, "a.md", "the limit is"),
        (b"$a = b$ " * 3_000, "a.md", "more than"),
    ],
)
def test_bad_documents(data: bytes, name: str, message: str) -> None:
    with pytest.raises(DeclarationError, match="") as caught:
        read_document(data, name)

    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 50_000 + "a" + "](b)" * 50_000, "*a " * 100_000, "$" * 100_000, "`" * 100_000])
def test_long_runs_take_no_time(text: str) -> None:
    start = time.perf_counter()
    read_document(text.encode(), "a.md")

    assert time.perf_counter() - start < 1


def test_verify_a_document(tmp_path: Path) -> None:
    (tmp_path / "hw.md").write_text(MARKDOWN, encoding="utf-8")
    answer = process("verify", "hw.md", "--json", "--annotate", "out.md", cwd=tmp_path)
    claims = json.loads(answer.stdout)["claims"]

    assert answer.returncode == 1
    assert [(c["where"]["line"], c["verdict"]) for c in claims] == [
        (17, "correct"), (21, "correct"), (22, "correct"), (27, "wrong"), (30, "correct"), (35, "correct"), (36, "correct"),
    ]  # fmt: skip
    assert not (tmp_path / "symbp_pwned").exists()
    out = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert "wrong: The sign is wrong throughout" in out
    assert r"> right line: $W_2^T \left(f - t\right)$" in out
    assert "dW2 = np.outer(df, a)\n# symbp: right" in out
    plain = [x for x in out.split("\n") if not x.startswith((">", "# symbp"))]
    assert [x for x in plain if x.strip()] == [x for x in MARKDOWN.split("\n") if x.strip()]


def test_verify_latex_with_a_network(tmp_path: Path) -> None:
    (tmp_path / "hw.tex").write_text(TEX, encoding="utf-8")
    (tmp_path / "net.symbp").write_text(NET, encoding="utf-8")
    (tmp_path / "secret.txt").write_text("canary", encoding="utf-8")
    answer = process("verify", "hw.tex", "--net", "net.symbp", "--annotate", "out.tex", cwd=tmp_path)
    out = (tmp_path / "out.tex").read_text(encoding="utf-8")

    assert answer.returncode == 1
    assert "canary" not in answer.stdout.decode() + out
    assert "% symbp: $z = W_1 x$ right" in out
    assert "symbp: $\\pd{L}{a} = W_2 (f - t)$ wrong" in out


def test_remarks_never_stand_within_a_statement(tmp_path: Path) -> None:
    """A statement on several lines keeps its lines together, and what was Python is Python still."""
    code = "z = W1 @ x\ndf = 2*(f -\n        t)\ndW2 = df @ \\\n    a.T\nda = W2 @ (\n    df  # again\n)\n"
    (tmp_path / "hw.py").write_text(code, encoding="utf-8")
    (tmp_path / "net.symbp").write_text(NET, encoding="utf-8")
    process("verify", "hw.py", "--net", "net.symbp", "--annotate", "out.py", cwd=tmp_path)
    out = (tmp_path / "out.py").read_text(encoding="utf-8")

    assert ast.dump(ast.parse(out)) == ast.dump(ast.parse(code))
    assert "        t)\n# symbp: " in out and "    a.T\n# symbp: wrong" in out and ")\n# symbp: wrong" in out


def test_a_macro_at_the_end_of_a_formula_keeps_its_arguments(tmp_path: Path) -> None:
    text = r"\newcommand{\pd}[2]{\frac{\partial #1}{\partial #2}} $\pd{L}{a} = W_2 \pd{L}{f}$"
    (tmp_path / "hw.tex").write_text(text, encoding="utf-8")
    (tmp_path / "net.symbp").write_text(NET, encoding="utf-8")
    process("verify", "hw.tex", "--net", "net.symbp", "--annotate", "out.tex", cwd=tmp_path)
    out = (tmp_path / "out.tex").read_text(encoding="utf-8")

    assert r"% symbp: $\pd{L}{a} = W_2 \pd{L}{f}$ wrong" in out
    assert "instead of $W_2$" in out and r"\top} \pd{L}{f}$" in out


def test_a_document_needs_a_network(tmp_path: Path) -> None:
    (tmp_path / "hw.tex").write_text(TEX, encoding="utf-8")
    answer = process("verify", "hw.tex", cwd=tmp_path)

    assert (answer.returncode, b"--net" in answer.stderr) == (2, True)


def test_lets_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "net.symbp").write_text(NET, encoding="utf-8")
    (tmp_path / "lets.txt").write_text("# two\nw_{kj} := W2[k, j]\n\\delta_k := -dL/df[k]\n", encoding="utf-8")
    text = r"\frac{\partial L}{\partial w_{kj}} = -\delta_k a_j"
    answer = process("verify", "net.symbp", text, "--lets", "lets.txt", "--json", cwd=tmp_path)

    assert [c["verdict"] for c in json.loads(answer.stdout)["claims"]] == ["correct"]
    assert process("verify", "net.symbp", text, "--let", "nothing", cwd=tmp_path).returncode == 2


def test_a_repaired_line_keeps_the_names_of_the_student(tmp_path: Path) -> None:
    net = "x: (N, D)\nW: (D, C)\ny: (N, C)\nz = x @ W\nL = sum((z - y)**2)/(2*N)\n"
    text = f"```symbp\n{net}```\n\n" + r"$\delta_3 = z - y$ and $\frac{\partial L}{\partial W} = x^T \delta_3$."
    (tmp_path / "hw.md").write_text(text, encoding="utf-8")
    answer = process("verify", "hw.md", "--json", cwd=tmp_path)

    assert json.loads(answer.stdout)["claims"][1]["repair"]["latex"] == r"\frac{x^T \delta_3}{N}"
