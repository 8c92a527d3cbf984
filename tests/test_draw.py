"""Pictures of the graph: what they say, and that nothing overlaps, sticks out or is crossed.

The geometry is read from the SVG text alone, with Times' own widths (tests/times_widths.txt), so a
mistake in the layout cannot hide in the data that the layout made.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks

import symbp as sb
from symbp.circuit import inputs, is_scalar, split
from symbp.derive import derive
from symbp.draw import draw
from symbp.errors import RequestError
from symbp.evaluate import forward
from symbp.graph import Graph
from symbp.read.network import read_network
from symbp.show.picture.dot import dot
from symbp.show.picture.ink import NAME, plain, runs
from symbp.show.picture.layout import Item, Link, layout
from symbp.show.picture.mermaid import mermaid
from symbp.show.picture.numbers import lines, shown
from symbp.show.picture.picture import Picture
from symbp.show.picture.svg import svg
from symbp.show.picture.tikz import document, tikz
from symbp.values import evaluate_at, read_values
from symbp.zoo import names, network

HERE = Path(__file__).parent
POINTS = {
    "circuit-add-mul": ("x=-2", "y=5", "z=-4"),
    "circuit-sigmoid": ("w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"),
    "circuit-sigmoid-gate": ("w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"),
    "circuit-max": ("x=3", "y=-4", "z=2", "w=-1"),
    "circuit-fork": ("x=1", "y=2", "z=-4"),
    "l2-of-matvec": ("W=[[0.1, 0.5], [-0.3, 0.8]]", "x=[0.2, 0.4]"),
}
DEEP = "x: (n,)\nW: (n, n)\nh0 = x\n" + "".join(f"h{k + 1} = tanh(W @ h{k})\n" for k in range(25)) + "L = sum(h25**2)\n"
ANY_DEPTH = """
f: () >> ()
C: (n[L],) >> ()
x: (n[0],)
for l in range(1, L + 1):
    W[l]: (n[l], n[l-1])
    b[l]: (n[l],)
a[0] = x
for l in range(1, L + 1):
    z[l] = W[l] @ a[l-1] + b[l]
    a[l] = f(z[l])
E = C(a[L])
"""
TIME = """
U: (H, H)
V: (H, D)
h[0]: (H,)
for t in range(1, T + 1):
    x[t]: (D,)
    y[t]: (H,)
    h[t] = tanh(U @ h[t-1] + V @ x[t])
    E[t] = sum((h[t] - y[t])**2)/2
J = sum(E[t] for t in range(1, T + 1))
"""
RESIDUAL = """
X: (N, D)
W1: (D, H)
W2: (H, D)
U = X @ W1
A = relu(U)
O = A @ W2 + X
V = O @ W1
B = relu(V)
P = B @ W2 + O
L = sum(P**2) + sum(W1**2)/N
"""


def drawn(name: str, *at: str, view: str = "auto", lang: str = "en") -> Picture:
    graph = network(name) if name in names() else read_network(name)
    return draw(graph, read_values(graph, at), lang, view)


PICTURES = {name: lambda name=name: drawn(name) for name in names()}
PICTURES |= {f"{name} at a point": lambda name=name, at=at: drawn(name, *at) for name, at in POINTS.items()}
PICTURES |= {
    "gates of mlp-3-4-2": lambda: drawn("mlp-3-4-2", view="gates"),
    "blocks of circuit-sigmoid": lambda: drawn("circuit-sigmoid", *POINTS["circuit-sigmoid"], view="blocks"),
    "deep": lambda: drawn(DEEP),
    "residual": lambda: drawn(RESIDUAL),
    "any depth": lambda: drawn(ANY_DEPTH),
    "any time": lambda: drawn(TIME),
    "Chinese": lambda: drawn("relu-2", lang="zh"),
}


# ---- the lectures' numbers ---------------------------------------------------------------------------


def wires(p: Picture) -> dict[str, tuple[str, str]]:
    """What each wire carries forwards and backwards, by the source of the wire."""
    return {f.source: (f.forward[-1], f.backward[-1]) for f in p.flows if f.forward and f.backward}


def test_the_circuit_of_two_gates() -> None:
    found = wires(drawn("circuit-add-mul", *POINTS["circuit-add-mul"]))

    assert found["x"] == ("−2", "−4")
    assert found["y"] == ("5", "−4")
    assert found["z"] == ("−4", "3")
    assert found["q"] == (f"{NAME}q\ue009 = 3", "−4")
    assert found["f"] == (f"{NAME}f\ue009 = −12", "1")


def test_the_sigmoid_gate_by_gate() -> None:
    found = wires(drawn("circuit-sigmoid", *POINTS["circuit-sigmoid"]))

    values = {name: both[0].split(" = ")[-1] for name, both in found.items()}
    assert [values[n] for n in "pqrzuvsf"] == ["−2", "6", "4", "1", "−1", "0.37", "1.37", "0.73"]
    assert [found[n][1] for n in "fsvuzrqp"] == ["1", "−0.53", "−0.53", "−0.20", "0.20", "0.20", "0.20", "0.20"]
    assert [found[n][1] for n in ("w0", "x0", "w1", "x1", "w2")] == ["−0.197", "0.393", "−0.393", "−0.590", "0.197"]


def test_the_larger_input_of_a_max_gate_gets_the_gradient() -> None:
    found = wires(drawn("circuit-max", *POINTS["circuit-max"]))

    assert (found["z"][1], found["w"][1]) == ("2", "0")


def test_gradients_add_up_at_a_fork() -> None:
    p = drawn("circuit-fork", *POINTS["circuit-fork"])
    branches = [f.backward[0] for f in p.flows if f.source == "q"]
    trunk = [t.ink for t in p.labels if t.role == "gradient" and t.ink == "2"]

    assert branches == ["−4", "6"]
    assert len(trunk) == 3  # at q, and at x and y before it


def test_tensors_on_wires() -> None:
    p = drawn("l2-of-matvec", *POINTS["l2-of-matvec"])
    flow = {f.source: f for f in p.flows}

    assert flow["W"].backward == ("[0.088, 0.176", "0.104, 0.208]")
    assert flow["x"].backward == ("[−0.112, 0.636]",)
    assert flow["f"].forward == ("0.12",)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-12.0, 2, "−12"),
        (0.7310585786, 2, "0.73"),
        (-0.1966119, 3, "−0.197"),
        (-0.0, 2, "0"),
        (0.00123, 2, "0.0012"),
        (1.2e-7, 2, "1.2·10⁻⁷"),
        (123456.7, 3, "1.23·10⁵"),
        (math.inf, 2, "∞"),
        (math.nan, 2, "undefined"),
    ],
)
def test_numbers(value: float, digits: int, text: str) -> None:
    assert shown(value, digits) == text


def test_of_a_large_matrix_the_corner() -> None:
    assert lines([[1.0] * 9] * 7) == ("[1, 1, 1, …", "1, 1, 1, …", "⋮]")
    assert lines([[[0.0] * 2] * 3] * 4) == ("4×3×2",)


# ---- circuits -------------------------------------------------------------------------------------------


@st.composite
def scalar_networks(pick: st.DrawFn) -> str:
    """Networks of numbers whose values stay tame."""
    known = ["x", "y", "w"]
    text = "x: ()\ny: ()\nw: ()\n"
    forms = ["{0} + {1}", "{0} - {1}", "{0}*{1}", "2*{0} - {1}/3", "1/(2 + {0}**2)", "{0}/(1 + {1}**2)",
             "tanh({0})*{1}", "maximum({0}, {1})", "1 - {0}", "{0}*{0}", "sigmoid({0} + {1} - 1)", "-{0}",
             "({0} - {1} + 3)**2/2", "where({0} > {1}, {0}, 2*{1})"]  # fmt: skip
    for n in range(pick(st.integers(1, 5))):
        form = pick(st.sampled_from(forms))
        text += f"v{n} = {form.format(pick(st.sampled_from(known)), pick(st.sampled_from(known)))}\n"
        known.append(f"v{n}")
    return text


@settings(max_examples=25, deadline=None)
@given(scalar_networks(), st.integers(0, 999))
def test_a_circuit_computes_what_the_network_computes(text: str, seed: int) -> None:
    graph = read_network(text)
    circuit = split(graph)
    assert circuit is not None
    rng = np.random.default_rng(seed)
    point = {n.name: rng.normal(size=()) for n in graph.leaves}
    whole = forward(graph, point, {})
    gates, slopes = evaluate_at(
        derive(circuit.graph, [n for n in circuit.graph.nodes if n != graph.loss], closed=False, steps=False), point
    )

    for name in graph.nodes:
        assert np.allclose(gates[name], whole[name])
    for name, copies in forks(circuit.source).items():  # what comes back on the branches adds up
        assert np.allclose(slopes[name], sum(slopes[c] for c in copies))
    for name in point:
        step = {**point, name: point[name] + 1e-6}, {**point, name: point[name] - 1e-6}
        numeric = (forward(graph, step[0], {})[graph.loss] - forward(graph, step[1], {})[graph.loss]) / 2e-6
        assert np.allclose(slopes[name], numeric, atol=1e-4, rtol=1e-4)


def forks(source: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for copy, name in source.items():
        found.setdefault(name, []).append(copy)
    return found


def test_every_gate_is_one_operation() -> None:
    graph = read_network("a: ()\nb: ()\nc: ()\nf = (a*b - c)**2/(1 + exp(-a)) + 3\n")
    circuit = split(graph)

    assert circuit is not None
    bodies = [str(n.body) for n in circuit.graph.inner]
    assert len(bodies) == 8 + 2  # × − x² ×(−1) exp +1 ÷ +3, and two copies of a
    assert all(len(inputs(n.body)) <= 2 for n in circuit.graph.inner if n.body is not None)


def test_only_numbers_make_a_circuit() -> None:
    assert is_scalar(network("circuit-max"))
    assert not is_scalar(network("relu-2"))
    with pytest.raises(RequestError, match="tensors"):
        drawn("relu-2", view="gates")


# ---- geometry, read from the SVG ---------------------------------------------------------------------------

_TIMES = {
    int(code): tuple(int(w) / 1000 for w in widths)
    for code, *widths in (
        row.split() for row in (HERE / "times_widths.txt").read_text().splitlines() if not row.startswith("#")
    )
}


@dataclass(frozen=True)
class Area:
    left: float
    top: float
    right: float
    bottom: float
    radius: float = 0.0
    what: str = ""

    def meets(self, other: Area, slack: float) -> bool:
        return (
            min(self.right, other.right) - max(self.left, other.left) > slack
            and min(self.bottom, other.bottom) - max(self.top, other.top) > slack
        )

    def depth(self, x: float, y: float) -> float:
        """How far inside a point is; the corners are round."""
        dx = abs(x - (self.left + self.right) / 2) - (self.right - self.left) / 2 + self.radius
        dy = abs(y - (self.top + self.bottom) / 2) - (self.bottom - self.top) / 2 + self.radius
        return self.radius - math.hypot(max(dx, 0.0), max(dy, 0.0)) - min(max(dx, dy), 0.0)


def tag(e: ET.Element) -> str:
    return e.tag.rpartition("}")[2]


def text_area(e: ET.Element) -> Area:
    size = float(e.attrib["font-size"])
    pieces = [(e.text or "", size, "")]
    for span in e:
        style = "italic" if span.get("font-style") else "bold" if span.get("font-weight") else ""
        pieces += [(span.text or "", float(span.get("font-size", size)), style), (span.tail or "", size, "")]
    wide = sum(s * advance(c, style) for text, s, style in pieces for c in text)
    x, y = float(e.attrib["x"]), float(e.attrib["y"])
    return Area(x - wide / 2, y - 0.66 * size, x + wide / 2, y + 0.1 * size, what="".join(e.itertext()))


def advance(c: str, style: str) -> float:
    if ord(c) >= 0x2E80:
        return 1.0
    return _TIMES.get(ord(c), (0.6,) * 3)[("", "italic", "bold").index(style)]


def points(d: str) -> Iterator[tuple[float, float]]:
    """Points along a path of M, L, C and Q."""
    at = (0.0, 0.0)
    for command, numbers in re.findall(r"([MLCQ])([^MLCQ]*)", d):
        v = [float(n) for n in numbers.split()]
        ends = list(zip(v[::2], v[1::2]))
        if command == "M":
            at = ends[0]
            continue
        curve = [at, *ends]
        for n in range(1, 25):
            t = n / 25
            row = curve
            while len(row) > 1:  # de Casteljau
                row = [((1 - t) * a[0] + t * b[0], (1 - t) * a[1] + t * b[1]) for a, b in pairwise(row)]
            yield row[0]
        at = ends[-1]
        yield at


def assert_sound(text: str) -> None:
    """No box on another, no text outside its box or on another, no wire through a box or a text."""
    root = ET.fromstring(text)
    page = Area(0, 0, float(root.attrib["width"]), float(root.attrib["height"]))
    boxes: list[Area] = []
    words: list[Area] = []
    for g in (e for e in root if tag(e) == "g"):
        inside = [text_area(e) for e in g if tag(e) == "text"]
        rects = [e for e in g if tag(e) == "rect"]
        for r in rects:
            x, y, w, h = (float(r.attrib[k]) for k in ("x", "y", "width", "height"))
            box = Area(x, y, x + w, y + h, float(r.attrib["rx"]), " ".join(t.what for t in inside))
            boxes.append(box)
            for t in inside:
                assert box.left <= t.left and t.right <= box.right, f"{t.what} sticks out of its box"
                assert box.top <= t.top and t.bottom <= box.bottom, f"{t.what} sticks out of its box"
        if not rects:
            words += inside
    words += [text_area(e) for e in root if tag(e) == "text"]
    for n, a in enumerate(boxes):
        assert a.left >= 0 and a.top >= 0 and a.right <= page.right and a.bottom <= page.bottom
        for b in boxes[n + 1 :]:
            assert not a.meets(b, 0.0), f"{a.what} lies on {b.what}"
    for n, t in enumerate(words):
        assert t.left >= 0 and t.top >= 0 and t.right <= page.right and t.bottom <= page.bottom, f"{t.what} is cut off"
        for b in boxes:
            assert not t.meets(b, 0.5), f"{t.what} lies on {b.what}"
        for u in words[n + 1 :]:
            assert not t.meets(u, 0.5), f"{t.what} lies on {u.what}"
    for e in root:
        if tag(e) == "path" and e.get("fill") == "none":  # stacks are in their boxes' groups
            for x, y in points(e.attrib["d"]):
                assert -0.1 <= x <= page.right + 0.1 and -0.1 <= y <= page.bottom + 0.1
                for b in boxes:
                    assert b.depth(x, y) < 1.0, f"a wire runs through {b.what}"
                for t in words:
                    assert t.depth(x, y) < 1.0, f"a wire runs through {t.what}"


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_overlaps_or_sticks_out(name: str) -> None:
    assert_sound(svg(PICTURES[name]()))


@settings(max_examples=25, deadline=None)
@given(networks())
def test_random_networks_are_drawn_soundly(net: object) -> None:
    assert_sound(svg(draw(read_network(net.text))))  # type: ignore[attr-defined]


@settings(max_examples=25, deadline=None)
@given(scalar_networks())
def test_random_circuits_are_drawn_soundly(text: str) -> None:
    graph = read_network(text)

    assert_sound(svg(draw(graph, {n.name: np.array(0.37) for n in graph.leaves}, view="gates")))


@st.composite
def wirings(pick: st.DrawFn) -> tuple[list[Item], list[Link]]:
    count = pick(st.integers(1, 30))
    fed = [pick(st.lists(st.integers(0, n - 1), max_size=4)) if n and pick(st.booleans()) else [] for n in range(count)]
    items = [
        Item(
            str(n), pick(st.floats(5, 200)), max(pick(st.floats(10, 90)), 12.0 * len(f)),
            tuple(12.0 * (k - (len(f) - 1) / 2) for k in range(len(f))), pick(st.booleans()),
            pick(st.sampled_from(["", "early", "late"])) if not f else "",
        )
        for n, f in enumerate(fed)
    ]  # fmt: skip
    return items, [Link(str(s), str(n)) for n, f in enumerate(fed) for s in f]


@settings(max_examples=80, deadline=None)
@given(wirings())
def test_a_layout_of_anything(wiring: tuple[list[Item], list[Link]]) -> None:
    items, links = wiring
    found = layout(items, links)
    areas = {i.key: Area(x, y, x + i.width, y + i.height, what=i.key) for i in items for x, y in [found.places[i.key]]}

    for n, a in enumerate(items):
        assert areas[a.key].left >= -1e-6 and areas[a.key].right <= found.width + 1e-6
        for b in items[n + 1 :]:
            assert not areas[a.key].meets(areas[b.key], 1e-6)
    by_key = {i.key: i for i in items}
    for link, path, port in zip(links, found.paths, found.entered):
        first, last, target = path[0], path[-1], by_key[link.target]
        assert math.isclose(first.x, areas[link.source].right)
        assert math.isclose(last.x, areas[link.target].left)
        middle = (areas[link.target].top + areas[link.target].bottom) / 2
        assert math.isclose(last.y, middle + target.ports[port], abs_tol=1e-6)
    for key in areas:  # every port is taken once
        ports = [p for link, p in zip(links, found.entered) if link.target == key]
        assert sorted(ports) == list(range(len(ports)))
        if by_key[key].in_order:
            assert ports == sorted(ports)


def test_the_same_network_gives_the_same_picture() -> None:
    code = "from symbp.draw import draw; from symbp.zoo import network; from symbp.show.picture.svg import svg\n"
    code += "import sys; sys.stdout.write(svg(draw(network('svm'))))"
    other = [
        subprocess.run(
            [shutil.which("python") or "python3", "-X", "utf8", "-c", code],
            capture_output=True, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE.parent)},
        ).stdout.decode()
        for seed in ("1", "2")
    ]  # fmt: skip

    assert other == [svg(drawn("svm"))] * 2


def test_a_thousand_tensors() -> None:
    text = "x: (n,)\nW: (n, n)\nh0 = x\n" + "".join(f"h{k + 1} = tanh(W @ h{k} + x)\n" for k in range(1000))
    p = draw(read_network(text + "L = sum(h1000)\n"))

    assert len([b for b in p.boxes if b.kind == "block"]) == 1001
    assert p.width < 1400  # long chains are folded


def test_a_shared_weight_far_away_is_named_again() -> None:
    p = drawn(DEEP)

    assert {b.kind for b in p.boxes if b.texts and b.texts[0].ink == f"{NAME}W\ue009"} == {"leaf", "tag"}


# ---- loops -----------------------------------------------------------------------------------------------------


def test_a_family_is_one_block_with_its_range_and_a_loop() -> None:
    p = drawn(ANY_DEPTH)
    stacks = {b.key: [plain(t.ink) for t in b.texts] for b in p.boxes if b.family}

    assert set(stacks) == {"W[l]", "b[l]", "z[l]", "a[l]"}
    assert all(texts[-1] == "l = 1, …, L" for texts in stacks.values())
    assert {(w.source, w.target) for w in p.wires if not w.back} >= {("a[0]", "z[l]"), ("a[l]", "z[l]"), ("a[l]", "E")}
    assert ("z[l]", "a[l]") in {(w.source, w.target) for w in p.wires if w.back}
    assert [plain(f.forward[0]) for f in p.flows if (f.source, f.target) == ("a[l]", "z[l]")] == ["a^(l−1)"]


def test_a_loop_is_written_out_on_request(tmp_path: Path) -> None:
    from symbp.commands import DrawOptions, Screen
    from symbp.commands import draw as command

    (tmp_path / "time.symbp").write_text(TIME, encoding="utf-8")
    text, status = command(str(tmp_path / "time.symbp"), DrawOptions(set=("T=3",)), Screen())

    assert status == 0
    assert "sbp-stack" in svg(drawn(TIME)) and "sbp-stack" not in text
    assert_sound(text)


# ---- the formats --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PICTURES)
def test_svg_is_a_picture_and_nothing_else(name: str) -> None:
    root = ET.fromstring(svg(PICTURES[name]()))

    assert [tag(e) for e in root][:2] == ["title", "desc"]
    assert root.attrib["role"] == "img" and root.attrib["aria-label"]
    for e in root.iter():
        assert tag(e) in {"svg", "title", "desc", "style", "rect", "path", "circle", "g", "text", "tspan"}
        assert not [k for k in e.attrib if k.startswith("on") or k in ("id", "style") or "href" in k]


def test_svg_in_a_page_brings_no_style() -> None:
    text = svg(drawn("svm"), page=True)

    assert "<style" not in text and "currentColor" in text
    assert_sound(text)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_can_be_read_in_light_and_dark() -> None:
    from symbp.show.picture import svg as module

    dark = dict(re.findall(r"\.sbp-(\w+)(?:,\.sbp-\w+)?\{fill:(#\w{6})\}", module.DARK))
    pairs = [(c, module.PAPER) for c in (module.INK, module.QUIET, module.GREEN, module.RED)]
    pairs += [(module.QUIET, fill) for fill in module.FILL.values()]
    pairs += [(dark[k], dark["paper"]) for k in ("ink", "quiet", "value", "gradient")]
    pairs += [(dark["quiet"], dark[k]) for k in ("gate", "loss", "leaf", "data")]
    for text, ground in pairs:
        low, high = sorted((luminance(text), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


HOSTILE = '''"""<script>alert(1)</script> "quoted" & \\\\input{x}; --> ]] $x$ # %"""
pi_: ()
损失: ()
y_hat: ()
W_1: ()
W2: ()
None_: ()
CON: ()
E = 损失*y_hat + W_1*W2 - exp(CON)*None_ + pi_
'''


@pytest.mark.parametrize("view", ["gates", "blocks"])
def test_strange_names_are_escaped_everywhere(view: str) -> None:
    p = drawn(HOSTILE, view=view)
    root = ET.fromstring(svg(p))

    assert not [e for e in root.iter() if tag(e) == "script"]
    assert "<script" not in svg(p) and "<script" not in mermaid(p)
    assert_mermaid(mermaid(p))
    assert_braces(tikz(p))
    assert '\\"quoted\\"' in dot(p)
    assert r"\text{损}" in tikz(p) or r"\text{损失}" in tikz(p)


def assert_braces(text: str) -> None:
    depth = 0
    for c in re.sub(r"\\[{}]", "", text):
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0


MERMAID_LINE = re.compile(
    r"flowchart LR|  acc(Title|Descr): [^;]+|  classDef \w+ [\w#:,.\- ]+"
    r'|  n\d+(\(\("L"\)\)|\(\["L"\]\)|\["L"\]):::\w+|  n\d+ (-- "L" )?--> n\d+'
)


def assert_mermaid(text: str) -> None:
    """The part of Mermaid's grammar that is used; labels hold nothing that it could read."""
    for line in text.rstrip("\n").split("\n"):
        labels = re.findall(r'"([^"]*)"', line)
        assert all(re.fullmatch(r"(<br/>|#\d+;|[^\"'`#;&<>{}\\$])*", x) for x in labels), line
        assert MERMAID_LINE.fullmatch(re.sub(r'"[^"]*"', '"L"', line)), line


@pytest.mark.parametrize("name", PICTURES)
def test_mermaid(name: str) -> None:
    assert_mermaid(mermaid(PICTURES[name]()))


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
def test_graphviz_reads_every_picture() -> None:
    text = "".join(dot(make()) for make in PICTURES.values()) + dot(drawn(HOSTILE))
    done = subprocess.run(["dot", "-Tcanon"], input=text.encode(), capture_output=True, timeout=60)

    assert done.returncode == 0 and not done.stderr


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="TeX is not installed")
def test_tex_compiles_pictures(tmp_path: Path) -> None:
    chosen = (
        "svm",
        "residual",
        "any depth",
        "any time",
        "mlp-3-4-2-matrix",
        "logistic-regression",
        "prelu-batch",
        "one-parameter-any",
    )
    body = "\n\n".join(tikz(PICTURES[name]()) for name in (*chosen, *(n for n in PICTURES if n.endswith("point"))))
    preamble = "\\documentclass{article}\\usepackage{amsmath,amssymb,tikz}\\begin{document}\\noindent"
    (tmp_path / "all.tex").write_text(f"{preamble}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    (tmp_path / "one.tex").write_text(document(PICTURES["any depth"]()), encoding="utf-8")
    for file in ("all.tex", "one.tex"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)

        assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]


def test_conventions_of_the_network_hold_in_its_picture() -> None:
    style = 'style(layers="paren", gradient="nabla")'
    p = draw(read_network(f"W1: (n, n)\nx: (n,)\nz1 = W1.T @ x\nL = sum(z1)\n{style}\n"))
    said = {plain(t.ink) for t in (*p.labels, *(t for b in p.boxes for t in b.texts))}

    assert {"W⁽¹⁾", "z⁽¹⁾", "∇_(W⁽¹⁾) L"} <= said
    assert "{W}^{(1)}{}^{\\top}" in tikz(p)  # TeX takes one superscript


def test_a_document_with_its_picture() -> None:
    from symbp.commands import DeriveOptions, Screen, derive

    for format, sign in (("html", "<svg"), ("latex", "tikzpicture"), ("markdown", "```mermaid"), ("ipynb", "<svg")):
        with_picture, _ = derive(["svm"], DeriveOptions(format=format, picture=True, check="none"), Screen())
        without, _ = derive(["svm"], DeriveOptions(format=format, check="none"), Screen())
        assert sign in with_picture and sign not in without


def test_names_keep_their_latex() -> None:
    p = draw(read_network('W1: (n, n)\nx: (n,)\nz = W1 @ x\nL = sum(z)\nlatex(W1=r"\\mathbf{W}^{(1)}")\n'))

    assert r"\mathbf{W}^{(1)}" in tikz(p)


def test_tikz_and_svg_have_the_same_places() -> None:
    p = drawn("svm")
    places = {(float(r.attrib["x"]), float(r.attrib["y"])) for r in ET.fromstring(svg(p)).iter() if r.get("rx")}
    drawn_there = {(float(x), float(y)) for x, y in re.findall(r"\] \(([\d.]+),([\d.]+)\) rectangle", tikz(p))}

    assert places == drawn_there


def test_golden(request: pytest.FixtureRequest) -> None:
    for name in ("circuit-sigmoid", "relu-3"):
        path = HERE / "golden" / f"{name}.svg"
        text = svg(drawn(name, *POINTS.get(name, ())))
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")

        assert text == path.read_text(encoding="utf-8")


def test_inks_are_sub_and_superscripts() -> None:
    size = {r.text: (r.size < 1, r.rise > 0, r.slanted) for r in runs(f"{NAME}W_1\ue009ᵀ relu")}

    assert size == {"W": (False, False, True), "1": (True, False, False), "⊤": (True, True, False),
                    " relu": (False, False, False)}  # fmt: skip


# ---- in the library -------------------------------------------------------------------------------------------


def test_a_network_draws_itself(tmp_path: Path) -> None:
    net = sb.zoo("circuit-add-mul")
    drawing = net.draw({"x": -2, "y": 5, "z": -4})

    assert drawing._repr_svg_() == drawing.svg == svg(drawn("circuit-add-mul", *POINTS["circuit-add-mul"]))
    assert "tikzpicture" in drawing.tikz and "flowchart" in drawing.mermaid and "digraph" in drawing.dot
    drawing.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text(encoding="utf-8") == drawing.svg
    with pytest.raises(RequestError, match="written as"):
        drawing.save(tmp_path / "net.png")


def test_a_derivation_draws_the_way_back_of_what_was_asked_for() -> None:
    d = sb.zoo("relu-2").derive(wrt="W2")

    assert [f.source for f in d.draw().picture.flows if f.backward and not f.source.startswith("f")] == ["W2"]


def test_values_of_all_leaves_are_needed() -> None:
    with pytest.raises(RequestError, match="needed for y, z"):
        sb.zoo("circuit-add-mul").draw({"x": 1})


def every_graph() -> Iterator[Graph]:
    yield from map(network, names())


def test_every_network_has_words_for_those_who_do_not_see() -> None:
    for graph in every_graph():
        p = draw(graph)
        assert p.title
        assert graph.loss in p.summary or graph.upstream


# ---- on the command line ------------------------------------------------------------------------------------------


def symbp(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "symbp.cli", "draw", *words]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", timeout=60)


def test_the_suffix_says_the_format_and_nothing_is_overwritten(tmp_path: Path) -> None:
    for name, sign in (("a.svg", "<svg"), ("a.tex", "tikzpicture"), ("a.mmd", "flowchart"), ("a.dot", "digraph")):
        assert symbp("relu-2", "-o", name, cwd=tmp_path).returncode == 0
        assert sign in (tmp_path / name).read_text(encoding="utf-8")
    again = symbp("relu-2", "-o", "a.svg", cwd=tmp_path)

    assert again.returncode == 2 and "--force" in again.stderr
    assert symbp("relu-2", "-o", "a.svg", "--force", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["relu-2", "--format", "png"], "svg, tikz, mermaid, dot"),
        (["relu-2", "--view", "gates"], "tensors"),
        (["relu-2", "--view", "gate"], "Did you mean 'gates'"),
        (["relu-2", "--lang", "fr"], "en, zh"),
        (["relu-2", "--standalone"], "tikz"),
        (["relu-2", "--at", "x=[1, 2]"], "needed for W1"),
        (["circuit-add-mul", "--at", "q=1"], "computed"),
        (["circuit-add-mul", "--at", "x=__import__('os')"], "not a number"),
        (["rnn", "--at", "U=[[1]]"], "--set T=3"),
        (["nowhere"], "no file"),
    ],
)
def test_what_is_off_is_said_in_one_message(words: list[str], said: str, tmp_path: Path) -> None:
    done = symbp(*words, cwd=tmp_path)

    assert done.returncode == 2 and not done.stdout
    assert said in done.stderr and "Traceback" not in done.stderr
