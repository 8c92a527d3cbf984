"""The web page: well-formed, without scripts, under a strict policy, readable for everybody."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from functools import lru_cache
from itertools import pairwise

import pytest

from symbp.commands import DeriveOptions, Screen, derive
from symbp.derive import derive as run
from symbp.read.network import read_network
from symbp.show.alphabet import Latex
from symbp.show.blocks import Figure, Heading, Prose
from symbp.show.document import Options, document
from symbp.show.html import CSS, html
from symbp.show.mathml import mathml
from symbp.zoo import names

HOSTILE = r"""
\"\"\"<script>alert(1)</script> & "quotes" <b onclick=x>\"\"\"
W: (N, N)
x: (N,)
y = relu(W @ x)
L = sum(y**2)
latex(W=r"\mathbf{<img src=x onerror=alert(1)>}", x=r"\text{</math><script>}")
""".replace('\\"', '"')


@lru_cache(maxsize=8)
def page(*specs: str, lang: str = "en", detail: str = "full") -> str:
    text, status = derive(list(specs), DeriveOptions(format="html", lang=lang, detail=detail, check="none"), Screen())
    assert status == 0
    return text


def tree(text: str) -> ET.Element:
    """The page as XML; the void elements of HTML are closed for that."""
    text = text.replace("<details open>", '<details open="open">')
    closed = re.sub(r"<(meta[^>]*|br)>", r"<\1/>", text.removeprefix("<!doctype html>\n"))
    return ET.fromstring(re.sub(r"<style>.*?</style>", "<style></style>", closed, flags=re.S))


EVERY = tuple(names())


def test_every_network_makes_one_well_formed_page_without_double_anchors() -> None:
    for lang in ("en", "zh"):
        root = tree(page(*EVERY, lang=lang))
        anchors = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]

        assert root.attrib["lang"].startswith(lang)
        assert len(anchors) == len(set(anchors))
        for link in root.iter("a"):
            assert link.attrib["href"].removeprefix("#") in anchors


def test_nothing_runs_and_nothing_is_loaded() -> None:
    text = page(*EVERY)
    root = tree(text)

    assert {e.tag for e in root.iter()} & {"script", "iframe", "object", "link", "img", "form"} == set()
    assert not [a for e in root.iter() for a in e.attrib if a == "style" or a.startswith("on")]
    assert "http:" not in text and "https:" not in text and "url(" not in text


def test_the_policy_admits_the_style_sheet_and_nothing_else() -> None:
    text = page("relu-2")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()

    assert policy is not None
    assert policy[1] == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f"<style>{CSS}</style>" in text


def test_hostile_names_are_text() -> None:
    d = run(read_network(HOSTILE))
    text = html([document(d, Latex(d.graph.latex), Options())])

    assert "<script" not in text and "<img" not in text and "<b " not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;" in text
    tree(text)


def test_headings_go_down_one_by_one() -> None:
    root = tree(page("relu-2", "svm"))
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch(r"h\d", e.tag)]

    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert root.find(".//title") is not None and root.find(".//main") is not None


def test_steps_fold_and_show_their_result_when_folded() -> None:
    folds = list(tree(page("relu-2")).iter("details"))

    assert len(folds) == 6
    for fold in folds:
        assert fold.attrib == {"open": "open"} and fold.find("summary/h3") is not None
        assert fold.find("summary/span[@class='result']/math") is not None


def test_what_is_only_a_formula_has_a_name_in_letters() -> None:
    for lang in ("en", "zh"):
        root = tree(page(*EVERY, lang=lang))
        assert all("".join(e.itertext()).strip() and e.find("math") is None for e in root.iter("th"))
        for e in root.iter("h3"):
            assert e.attrib["aria-label"].strip(), "not every screen reader reads MathML"
            assert not set("\\{}\ue020\ue021") & set(e.attrib["aria-label"])
        for picture in root.iter("{http://www.w3.org/2000/svg}svg"):
            assert picture.attrib["role"] == "img" and picture.attrib["aria-label"]
    labels = [e.attrib["aria-label"] for e in tree(page("deep")).iter("h3")]
    assert "δ_z^(l) = ∂E/∂z^(l) (recursion) for l = L-1, …, 1".replace(" ", "") in [x.replace(" ", "") for x in labels]


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_every_colour_has_contrast(scheme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", CSS.split("@media (prefers-color-scheme: dark)")[scheme]))

    assert set(colours) >= {"ink", "paper", "dim", "soft", "new", "link", "good", "bad"}
    for name in ("ink", "dim", "new", "link", "good", "bad"):
        for ground in ("paper", "soft"):
            light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


def test_a_figure_keeps_its_caption() -> None:
    svg = '<svg role="img"><title>a circuit</title></svg>'
    text = html([[Heading(1, "T"), Figure(svg, "", "", caption="a < b", alt="a circuit"), Prose("end")]])

    assert f"<figure>{svg}<figcaption>a &lt; b</figcaption></figure>" in text


@pytest.mark.parametrize(
    ("latex", "found"),
    [
        (r"W_1^{\top}", '<msubsup><mi>W</mi><mn>1</mn><mi mathvariant="normal">⊤</mi></msubsup>'),
        (r"\frac{a}{2}", "<mfrac><mi>a</mi><mn>2</mn></mfrac>"),
        (r"\hat{y}", '<mover accent="true"><mi>y</mi><mo stretchy="false">^</mo></mover>'),
        (r"\mathbf{W}", "<mi>𝐖</mi>"),
        (r"12.5", "<mn>12.5</mn>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        (r"\text{a<b}", "<mtext>a&lt;b</mtext>"),
        (r"\Sigma", '<mi mathvariant="normal">Σ</mi>'),
    ],
)
def test_mathml(latex: str, found: str) -> None:
    assert found in mathml(latex)


def test_one_bar_is_one_bar() -> None:
    assert ">|</mo>" in mathml(r"\left.x\right|_{y}") and "‖" not in mathml(r"\left|x\right|")
    assert "‖" in mathml(r"\left\|x\right\|")
