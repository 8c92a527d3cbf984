"""Gradient descent: the lecture's runs with their printed numbers, data files, pictures, and calls that are off.

What must come out is from the lecture notes or from loops written here, never from symbp.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from symbp.cli import app
from symbp.commands import Progress
from symbp.descend import Descent, Rate, choose, descend, milestones, plan, read_rate
from symbp.errors import RequestError, SymbpError
from symbp.graph import Graph
from symbp.read.data import Data, read_data
from symbp.read.network import read_network
from symbp.show.names import roles
from symbp.show.plot import Chart, Scale, svg_plot, terminal_plot
from symbp.show.terminal import width_of
from symbp.zoo import network

BILL = "x1,x2,x3,t,rate\n5,2,4,1250,1/70\n3,3,3,900,1/12\n0,5,1,350,2/27\n"


def rate(value: float) -> Rate:
    return Rate(np.array([value]))


def ran(name: str, step: float, steps: int, **at: Any) -> Descent:
    return descend(plan(network(name), at, rate(step)), steps)


def named_as_data(graph: Graph) -> list[str]:
    return [name for name, role in roles(graph).items() if role == "data"]


def data_for(graph: Graph, path: Path, *also: str) -> Data:
    return read_data(path, {n.name: len(n.shape) for n in graph.leaves}, also)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def to(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to


@pytest.fixture
def bill(write: Callable[[str, str], Path]) -> Path:
    return write("bill.csv", BILL)


def call(*words: object, columns: int = 80) -> Any:
    """The command as it is typed."""
    return CliRunner().invoke(app, ["descend", *map(str, words)], env={"COLUMNS": str(columns), "NO_COLOR": "1"})


# ---- lectures, row 9: one parameter ----------------------------------------------------------------


def test_one_parameter_falls_as_the_lecture_prints_it() -> None:
    found = ran("one-parameter", 0.02, 30, w=2)
    w, costs = 2.0, []
    for _ in range(30):
        costs.append(w**4 / 2)
        w -= 0.02 * 2 * w**3
    assert round(float(found.end["w"]), 3) == 0.597
    assert_allclose(float(found.end["w"]), w)
    assert_allclose(found.losses, [*costs, w**4 / 2])
    assert np.all(np.diff(found.losses) < 0)
    assert found.norms[0] == 16
    assert not found.stopped
    assert not found.rose


def test_one_parameter_on_the_command_line() -> None:
    result = call("one-parameter", "--at", "w=2", "--rate", "0.02", "--steps", 30)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert any(line.split()[:4] == ["0", "2.0000", "4.0000", "8.00000"] for line in lines)
    assert any(line.split()[:2] == ["30", "0.5972"] for line in lines)
    assert "  w        0.597169" in lines
    assert "w ← w − η ∂C/∂w" in result.output
    assert max(map(width_of, lines)) <= 80


# ---- lectures, row 12: the lunch bill ----------------------------------------------------------------


def test_the_lunch_bill_sample_by_sample(bill: Path) -> None:
    graph = network("linear-neuron")
    p = plan(graph, {"w": [50, 50, 50]}, "rate", data_for(graph, bill, "rate"))
    assert (p.moves, p.count, p.unused) == (("w",), 3, ())
    found = descend(p, 3)
    rows = [(50, 50, 50), (100, 70, 90), (130, 100, 120), (130, 0, 100)]
    assert_allclose([found.states[n].parameters["w"] for n in range(4)], rows, atol=1e-12)
    assert [found.states[n].nodes["y"] for n in range(3)] == [550, 780, 620]
    changes = [-p.rate.at(n) * found.states[n].gradients["w"] for n in range(3)]
    assert_allclose(changes, [(50, 20, 40), (30, 30, 30), (0, -100, -20)], atol=1e-12)
    assert_allclose(found.losses, [700**2 / 2, 120**2 / 2, 270**2 / 2])


def test_the_lunch_bill_is_printed_as_in_the_notes(bill: Path) -> None:
    result = call("linear-neuron", "--at", "w=[50,50,50]", "--data", bill, "--rate", "rate", "--steps", 3)
    assert result.exit_code == 0, result.output
    rows = [line.split("  ") for line in result.output.splitlines() if "/70" in line or "/12" in line or "/27" in line]
    shown = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert [(r[1], r[2], r[4], r[-1]) for r in shown] == [
        ("[50, 50, 50]", "550", "1/70", "[50, 20, 40]"),
        ("[100, 70, 90]", "780", "1/12", "[30, 30, 30]"),
        ("[130, 100, 120]", "620", "2/27", "[0, -100, -20]"),
    ]


def test_samples_come_again_in_their_order(bill: Path) -> None:
    graph = network("linear-neuron")
    found = descend(plan(graph, {"w": [50, 50, 50]}, "rate", data_for(graph, bill, "rate")), 600)
    w = np.array([50.0, 50.0, 50.0])
    X, t, rates = np.array([[5, 2, 4], [3, 3, 3], [0, 5, 1]]), [1250, 900, 350], [1 / 70, 1 / 12, 2 / 27]
    for n in range(600):
        w = w + rates[n % 3] * X[n % 3] * (t[n % 3] - X[n % 3] @ w)
    assert_allclose(found.end["w"], w)
    assert found.overall is not None
    assert_allclose(found.overall[1], np.mean((np.array(t) - X @ w) ** 2 / 2), atol=1e-9)


# ---- lectures, rows 13 and 17 ------------------------------------------------------------------------


def test_the_batch_delta_rule_adds_the_samples(write: Callable[[str, str], Path]) -> None:
    graph = network("linear-neuron-batch")
    file = write("bill.csv", BILL.replace("x1,x2,x3", "X1,X2,X3"))
    p = plan(graph, {"w": [50, 50, 50]}, rate(0.01), data_for(graph, file))
    found = descend(p, 5)
    assert (p.count, p.unused) == (0, ("rate",))
    X, t = np.array([[5.0, 2, 4], [3, 3, 3], [0, 5, 1]]), np.array([1250.0, 900, 350])
    w = np.array([50.0, 50, 50])
    for n in range(5):
        assert_allclose(found.losses[n], np.sum((t - X @ w) ** 2) / 2)
        w = w + sum(0.01 * X[k] * (t[k] - X[k] @ w) for k in range(3))
    assert_allclose(found.end["w"], w)


def test_half_square_shrinks_by_the_same_factor() -> None:
    found = ran("half-square", 0.1, 20, x=3)
    assert_allclose([found.states[n].parameters["x"] for n in range(21)], [3 * 0.9**n for n in range(21)])


def test_logistic_regression_against_a_loop_written_by_hand() -> None:
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(20, 3)), (rng.random(20) < 0.5).astype(float)
    graph = network("logistic-regression")
    found = descend(plan(graph, {"X": X, "t": t, "w": np.zeros(3), "b": 0.5}, rate(0.7)), 50)
    w, b = np.zeros(3), 0.5
    for _ in range(50):
        p = 1 / (1 + np.exp(-(X @ w + b)))
        w, b = w - 0.7 * X.T @ (p - t) / 20, b - 0.7 * np.mean(p - t)
    assert_allclose(found.end["w"], w)
    assert_allclose(found.end["b"], b)


# ---- what moves --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "data", "wrt", "moves"),
    [
        ("x: ()\nt: ()\nw: ()\nE = (w*x - t)**2\nassert fixed(x, t)", (), (), ("w",)),
        ("x: ()\nt: ()\nw: ()\nE = (w*x - t)**2", (), (), ("w",)),  # by their names
        ("x: ()\nE = x**2", (), (), ("x",)),  # nothing else is left
        ("a: ()\nb: ()\nE = (a - b)**2", (), (), ("a", "b")),
        ("a: ()\nb: ()\nE = (a - b)**2", ("b",), (), ("a",)),
        ("a: ()\nb: ()\nE = (a - b)**2\nassert binary(b)", (), (), ("a",)),
        ("x: ()\nt: ()\nw: ()\nE = (w*x - t)**2\nassert fixed(x, t)", (), ("x",), ("x",)),
    ],
)
def test_what_moves(text: str, data: tuple[str, ...], wrt: tuple[str, ...], moves: tuple[str, ...]) -> None:
    graph = read_network(text)
    found, held = choose(graph, data, wrt, named_as_data(graph))
    assert found == moves
    assert set(held) == {n.name for n in graph.leaves} - set(moves)
    assert all(held.values())


def test_what_is_held_by_its_name_is_said_with_the_way_out() -> None:
    graph = read_network("x: ()\nw: ()\nE = (w*x - 1)**2")
    _, held = choose(graph, (), (), named_as_data(graph))
    assert "--wrt x moves it" in held["x"]


def test_a_fact_that_the_data_break_is_not_used() -> None:
    graph = network("softmax-cross-entropy")
    leaf = next(n.name for n in graph.leaves if n.name in graph.fixed())
    other = next(n.name for n in graph.leaves if n.name != leaf)
    target, z = np.array([0.2, 0.2, 0.1]), np.array([0.3, -1.0, 0.5])
    p = plan(graph, {leaf: target, other: z}, rate(0.1), wrt=(other,))
    assert len(p.broken) == 1
    softmax = np.exp(z) / np.exp(z).sum()
    found = descend(p, 1)
    assert_allclose(found.states[0].gradients[other], softmax * target.sum() - target)
    assert plan(graph, {leaf: np.array([0.0, 1.0, 0.0]), other: z}, rate(0.1), wrt=(other,)).broken == ()


def test_facts_of_what_moves_are_not_used() -> None:
    graph = read_network("A: (2, 2)\nx: (2,)\nL = dot(x, A @ x)**2 + logdet(A)\nassert symmetric(A)\nassert fixed(x)")
    A, x = np.array([[2.0, 0.5], [0.1, 3.0]]), np.array([1.0, -2.0])
    found = descend(plan(graph, {"A": A, "x": x}, rate(0.01)), 1)
    assert_allclose(found.states[0].gradients["A"], 2 * (x @ A @ x) * np.outer(x, x) + np.linalg.inv(A).T)


# ---- random starts -----------------------------------------------------------------------------------


def test_weights_without_a_start_are_drawn_when_there_are_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 4))
    np.savez(tmp_path / "d.npz", X=X, T=np.eye(3)[np.argmax(X[:, :3], axis=1)])
    graph = read_network(
        "X: (N, D)\nW: (D, C)\nb: (C,)\nT: (N, C)\nP = softmax(X @ W + b, axis=1)\nL = -sum(T*log(P))/N\n"
        "assert onehot(T, axis=1)\nassert fixed(X)"
    )
    data = data_for(graph, tmp_path / "d.npz")
    p = plan(graph, {}, rate(1.0), data, seed=3)
    assert p.drawn == ("W", "b")
    found = descend(p, 100)
    assert found.losses[-1] < 0.3 * found.losses[0]
    assert_allclose(plan(graph, {}, rate(1.0), data, seed=3).start["W"], p.start["W"])
    assert not np.allclose(plan(graph, {}, rate(1.0), data, seed=4).start["W"], p.start["W"])


def test_a_size_that_no_value_says_is_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.ones((5, 2)), Y=np.ones((5, 1)))
    text = "X: (N, D)\nW1: (D, H)\nW2: (H, C)\nY: (N, C)\nA = tanh(X @ W1)\nL = sum((A @ W2 - Y)**2)"
    graph = read_network(text)
    data = data_for(graph, tmp_path / "d.npz")
    with pytest.raises(RequestError, match="--set H=8"):
        plan(graph, {}, rate(0.1), data)
    p = plan(graph, {}, rate(0.1), data, sizes={"H": 7})
    assert p.start["W1"].shape == (2, 7)
    with pytest.raises(RequestError, match="D is 2"):
        plan(graph, {}, rate(0.1), data, sizes={"H": 7, "D": 3})
    with pytest.raises(RequestError, match="no size is called"):
        plan(graph, {}, rate(0.1), data, sizes={"K": 7})


# ---- divergence --------------------------------------------------------------------------------------


def test_divergence_breaks_off_and_is_said() -> None:
    found = ran("one-parameter", 0.3, 100, w=2)
    assert found.stopped == "the loss C is not a finite number after 7 steps"
    assert found.done == 7
    assert not math.isfinite(found.losses[-1])
    assert len(found.losses) == 8
    result = call("one-parameter", "--at", "w=2", "--rate", "0.3", "--steps", 100)
    assert result.exit_code == 1
    assert "✗ the loss C is not a finite number after 7 steps" in result.output
    assert "Traceback" not in result.output


def test_a_loss_that_is_no_number_at_the_start() -> None:
    graph = read_network("w: ()\nL = log(w)")
    found = descend(plan(graph, {"w": -1}, rate(0.1)), 5)
    assert found.stopped == "the loss L is not a finite number at the start"
    assert found.done == 0


def test_a_gradient_that_is_not_finite() -> None:
    found = descend(plan(read_network("w: ()\nL = sqrt(w)"), {"w": 0}, rate(0.1)), 5)
    assert found.stopped == "the gradient of w is not finite at the start"


def test_a_loss_that_rose_is_said() -> None:
    assert ran("half-square", 2.1, 5, x=1).rose
    assert "larger at the end" in call("half-square", "--at", "x=1", "--rate", 2.1, "--steps", 5).output


# ---- data files --------------------------------------------------------------------------------------

LEAVES = {"x": 1, "t": 0, "X": 2, "w": 1}


@pytest.mark.parametrize(
    "text",
    [
        "x1,x2,t\n1,2,3\n4,5,6\n",
        "x_1,x_2,t\n1,2,3\n4,5,6",
        "x0,x1,t\n1,2,3\n4,5,6\n",
        "x[0],x[1],t\n1,2,3\n4,5,6\n",
        '"x[1]","x[0]",t\n2,1,3\n5,4,6\n',
        "\ufefft, x2 , x1\r\n3,2,1\r\n\r\n6,5,4\r\n",
        "x1;x2;t\n1;2;3\n4;5;6\n",
        "x1\tx2\tt\n1\t2\t3\n4\t5\t6\n",
        "name,x1,x2,t\nAda,1,2.0,3e0\nBob,8/2,+5,6.\n",
    ],
)
def test_tables_that_say_the_same(text: str, write: Callable[[str, str], Path]) -> None:
    data = read_data(write("d.csv", text), LEAVES)
    assert_allclose(data.values["x"], [[1, 2], [4, 5]])
    assert_allclose(data.values["t"], [3, 6])
    assert data.by_row
    assert set(data.unused) <= {"name"}


def test_entries_of_a_matrix_and_of_a_batch(write: Callable[[str, str], Path]) -> None:
    text = '"X[0, 0]","X[0, 1]","X[1, 0]","X[1, 1]"\n1,2,3,4\n5,6,7,8\n'
    assert_allclose(read_data(write("d.csv", text), {"X": 2}).values["X"], np.arange(1, 9).reshape(2, 2, 2))
    assert read_data(write("e.csv", "X1,X2\n1,2\n3,4\n5,6\n"), {"X": 2}).values["X"].shape == (3, 2)


def test_the_same_in_json_and_npz(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    found = read_data(write("d.json", '{"x": [[1, "1/2"], [4, 5]], "t": [3, 6], "note": "hello"}'), LEAVES)
    assert_allclose(found.values["x"], [[1, 0.5], [4, 5]])
    assert found.unused == ("note",)
    assert not found.by_row
    np.savez_compressed(tmp_path / "d.npz", x=np.array([[1, 2], [4, 5]], dtype=np.uint8), t=np.array([True, False]))
    packed = read_data(tmp_path / "d.npz", LEAVES)
    assert_allclose(packed.values["x"], [[1, 2], [4, 5]])
    assert packed.values["t"].dtype == np.float64


def test_a_leaf_whose_name_ends_in_a_number_is_itself(write: Callable[[str, str], Path]) -> None:
    data = read_data(write("d.csv", "x1,x2\n1,2\n"), {"x": 1, "x1": 0, "x2": 0})
    assert set(data.values) == {"x1", "x2"}


BAD_DATA = [
    ("empty.csv", "", "the file is empty"),
    ("head.csv", "x1,x2,t\n", "no row below"),
    ("numbers.csv", "1,2,3\n4,5,6\n", "first line holds numbers"),
    ("short.csv", "x1,x2,t\n1,2,3\n1,2\n", "short.csv:3: this row has 2 cells"),
    ("long.csv", "x1,x2,t\n1,2,3,4\n", "long.csv:2: this row has 4 cells"),
    ("word.csv", "x1,x2,t\n1,two,3\n", "word.csv:2: column x2 is 'two', not a number"),
    ("blank.csv", "x1,x2,t\n1,,3\n", "column x2 is empty"),
    ("nan.csv", "x1,x2,t\n1,nan,3\n", "'nan', not a number"),
    ("inf.csv", "x1,x2,t\n1,1e999,3\n", "'1e999', not a number"),
    ("zero.csv", "x1,x2,t\n1,1/0,3\n", "'1/0', not a number"),
    ("code.csv", "x1,x2,t\n1,__import__('os'),3\n", "not a number"),
    ("twice.csv", "x1,x1,t\n1,2,3\n", "two columns are called 'x1'"),
    ("noname.csv", "x1,,t\n1,2,3\n", "column 2 has no name"),
    ("gap.csv", "x1,x3,t\n1,2,3\n", "the column x2 is missing"),
    ("gap0.csv", "x[0],x[2],t\n1,2,3\n", "the column x[1] is missing"),
    ("both.csv", "x1,x[1],t\n1,2,3\n", "x is given in two ways"),
    ("quote.csv", 'x1,x2,t\n"1,2,3\n', "no row of a table"),
    ("text.json", "x1: 3", "text.json:1: this is not JSON"),
    ("cut.json", '{"x": [1, 2,\n', "cut.json:2"),
    ("list.json", "[[1, 2]]", "an object of lists"),
    ("ragged.json", '{"x": [[1, 2], [3]]}', '"x"[1] has 1 entries where its neighbours are lists of 2'),
    ("mixed.json", '{"x": [[1, 2], 3]}', '"x"[1] is 3 where its neighbours are lists'),
    ("null.json", '{"x": [[1, 2], [3, null]]}', '"x"[1][1] is null, not a number'),
    ("true.json", '{"t": true}', '"t" is true, not a number'),
    ("nan.json", '{"t": NaN}', '"t" is NaN, not a number'),
    ("huge.json", '{"t": 1' + "0" * 400 + "}", "not a number"),
    ("digits.json", '{"t": 1' + "0" * 5000 + "}", "cannot be read|not JSON"),
    ("object.json", '{"x": {"a": 1}}', "not a number"),
    ("none.json", '{"x": [[], []]}', "is an empty list"),
    ("double.json", '{"x": 1, "x": 2}', "'x' is given twice"),
    ("deep.json", '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
    ("level.json", '{"x": ' + "[" * 40 + "1" + "]" * 40 + "}", "nested more than"),
    ("nozip.npz", "PK nothing", "not an .npz file"),
    ("data.pkl", "x", "not a data file that symbp reads"),
    ("data", "x", "not a data file that symbp reads"),
]


@pytest.mark.parametrize(("name", "text", "fragment"), BAD_DATA, ids=[row[0] for row in BAD_DATA])
def test_broken_data_files(name: str, text: str, fragment: str, write: Callable[[str, str], Path]) -> None:
    with pytest.raises(SymbpError) as caught:
        read_data(write(name, text), LEAVES)
    message = str(caught.value)
    assert any(f in message for f in fragment.split("|")), message
    assert name in message
    assert len(message) < 600


def npz_of(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def test_broken_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbp.read.data.LARGEST_DATA", 100_000)
    good = io.BytesIO()
    np.save(good, np.ones(3))
    cases: list[tuple[str, dict[str, bytes], str]] = [
        ("lie", {"x": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }")}, "announces"),
        ("cut", {"x": good.getvalue()[:-4]}, "announces|cannot be read"),
        ("text", {"x": b"hello"}, "cannot be read"),
        ("words", {"x": npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", b"a" * 16)}, "values of type"),
        ("bomb", {"x": b"\x00" * 1_000_000}, "the limit is"),
    ]
    for name, members, fragment in cases:
        with pytest.raises(SymbpError) as caught:
            read_data(npz_of(tmp_path / f"{name}.npz", **members), LEAVES)
        assert any(f in str(caught.value) for f in fragment.split("|")), (name, str(caught.value))
    np.savez(tmp_path / "pickle.npz", x=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "nan.npz", x=np.array([1.0, np.nan]))
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 3)))
    for name, fragment in (("pickle", "not loaded"), ("nan", r"x\[1\] is not a finite"), ("none", "is empty")):
        with pytest.raises(SymbpError, match=fragment):
            read_data(tmp_path / f"{name}.npz", LEAVES)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"x1,x2\n\xff\xfe,1\n")
    (tmp_path / "zeros.json").write_bytes(b"\x00\x01")
    with (tmp_path / "big.csv").open("wb") as big:
        big.truncate(60_000_000)
    for name, fragment in (
        ("folder.csv", "a folder"), ("bytes.csv", "not UTF-8"), ("zeros.json", "binary"), ("big.csv", "the limit is"),
        ("missing.csv", "cannot be read"), ("null\x00.csv", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(SymbpError, match=fragment):
            read_data(str(tmp_path / name), LEAVES)


# ---- shapes that do not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("x,t\n5,1250\n3,900\n", "Its entries are columns of their own: x1, x2"),
        ("x1,x2\n5,2\n", "Values are needed for t"),
        ("X1,X2,t\n5,2,1\n", "Is it the column 'X1'"),
        ("x1,x2,t\n5,2,1\n", "size I is"),
        ("x1,x2,x3,t,w1,w2,w3\n5,2,1,1,1,1,1\n", "Nothing is left to move"),
    ],
)
def test_tables_that_do_not_fit(text: str, fragment: str, write: Callable[[str, str], Path]) -> None:
    graph = network("linear-neuron")
    data = data_for(graph, write("d.csv", text))
    at = {} if "w" in data.values else {"w": np.array([1.0, 2, 3])}
    with pytest.raises(SymbpError, match=fragment):
        plan(graph, at, rate(0.1), data)


def test_lists_that_do_not_fit(write: Callable[[str, str], Path]) -> None:
    graph = network("linear-neuron")
    for text, fragment in (
        ('{"x": [[1, 2], [3, 4]], "t": [1, 2, 3]}', "different numbers of samples"),
        ('{"x": [[[1, 2]]], "t": [1]}', "needs 1 axis, or 2 with the samples first"),
        ('{"x": [[1, 2], [3, 4]], "t": [1, 2], "r": [1, 2, 3]}', "3 rates for 2 samples"),
        ('{"x": [[1, 2], [3, 4]], "t": [1, 2], "r": [1, 0]}', "number 2 of the column is not"),
        ('{"x": [1, 2], "t": 1, "r": [1, 2]}', "every step uses all samples"),
    ):
        data = data_for(graph, write("d.json", text), "r")
        with pytest.raises(RequestError, match=fragment):
            plan(graph, {"w": [1, 2]}, "r", data)


def test_one_input_and_many_targets(write: Callable[[str, str], Path]) -> None:
    """A list of numbers for x is one x; t has a sample for each step."""
    graph = network("linear-neuron")
    found = descend(
        plan(graph, {"w": [0, 0]}, rate(0.5), data_for(graph, write("d.json", '{"x": [1, 0], "t": [2, 4, 6]}'))), 3
    )
    assert_allclose(found.end["w"], [0.5 * (0.5 * (0.5 * 2) + 0.5 * 4) + 0.5 * 6, 0])


# ---- the call ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["one-parameter", "--steps", "3"], "--rate"),
        (["one-parameter", "--rate", ".1"], "--steps"),
        (["one-parameter", "--at", "w=2", "--rate", ".1", "--steps", "many"], "--steps"),
        (["one-parameter", "--rate", ".1", "--steps", "3"], "Values are needed for w"),
        (["one-parameter", "--at", "w=2", "--rate", "fast", "--steps", "3"], "no --data file"),
        (["one-parameter", "--at", "w=2", "--rate", "0", "--steps", "3"], "one positive number"),
        (["one-parameter", "--at", "w=2", "--rate", "[1, 2]", "--steps", "3"], "one positive number"),
        (["one-parameter", "--at", "w=2", "--rate", "exit()", "--steps", "3"], "not a number"),
        (["one-parameter", "--at", "w=2", "--rate", ".1", "--steps", "0"], "from 1 to 1,000,000"),
        (["one-parameter", "--at", "w=2", "--rate", ".1", "--steps", "3", "--wrt", "y"], "y is computed"),
        (["one-parameter", "--at", "w=2", "--rate", ".1", "--steps", "3", "--wrt", "v"], "v is not declared"),
        (["one-parameter", "--at", "w=2", "--rate", ".1", "--steps", "3", "--set", "w"], "SIZE=NUMBER"),
        (["one-parameter", "--at", "w=2", "--rate", ".1", "--steps", "3", "--data", "no.csv"], "cannot be read"),
        (["relu-2", "--at", "x=[1]", "--rate", ".1", "--steps", "3"], "Descent needs a loss"),
        (["no-such-network", "--rate", ".1", "--steps", "3"], "no built-in network"),
    ],
)
def test_a_call_that_is_off(words: list[str], fragment: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert fragment in result.output
    assert "Traceback" not in result.output


def test_an_unknown_function_has_no_numbers() -> None:
    with pytest.raises(RequestError, match="f is an unknown function"):
        plan(read_network("f: () >> ()\nw: ()\nL = f(w)**2"), {"w": 1}, rate(0.1))


def test_rates() -> None:
    found = read_rate("1/70")
    assert isinstance(found, Rate)
    assert found.at(5) == 1 / 70
    assert read_rate(" eta ") == "eta"


def test_a_value_from_two_sides(bill: Path) -> None:
    words = ("linear-neuron", "--data", bill, "--at", "w=[1,2,3]", "--at", "t=3", "--rate", 0.1, "--steps", 1)
    result = call(*words)
    assert result.exit_code == 2
    assert "t is given with --at and is a column of" in result.output


# ---- what is printed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("steps", [1, 3, 30, 500])
def test_no_line_is_too_long(columns: int, steps: int, bill: Path) -> None:
    w = "w=[50,50,50]"
    result = call("linear-neuron", "--at", w, "--data", bill, "--rate", "rate", "--steps", steps, columns=columns)
    assert result.exit_code == 0, result.output
    long = [x for x in result.output.splitlines() if width_of(x) > columns and str(bill)[:30] not in x]
    assert not long


def test_control_characters_in_a_file_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31mb.csv"
    path.write_text(BILL.replace("rate", "ra\u202ete"), encoding="utf-8")
    result = call("linear-neuron", "--at", "w=[1,2,3]", "--data", path, "--rate", 0.01, "--steps", 2)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


def test_json_has_everything(bill: Path) -> None:
    words = ("linear-neuron", "--at", "w=[50,50,50]", "--data", bill, "--rate", "rate", "--steps", 3, "--json")
    whole = json.loads(call(*words).stdout)
    assert set(whole) == {
        "schema", "network", "loss", "mode", "samples", "moves", "held", "random", "facts_broken", "unused_columns",
        "rate", "steps", "stopped", "losses", "gradient_norms", "mean_loss", "states", "start", "end",
    }  # fmt: skip
    assert (whole["schema"], whole["loss"], whole["mode"], whole["samples"]) == (1, "E", "samples", 3)
    assert (whole["moves"], set(whole["held"])) == (["w"], {"x", "t"})
    assert whole["rate"] == {"column": "rate", "values": [1 / 70, 1 / 12, 2 / 27]}
    assert [s["sample"] for s in whole["states"]] == [0, 1, 2, None]
    assert [s["nodes"].get("y") for s in whole["states"]] == [550, 780, 620, None]
    assert_allclose(whole["states"][2]["changes"]["w"], [0, -100, -20], atol=1e-12)
    assert_allclose(whole["end"]["w"], [130, 0, 100], atol=1e-12)


def test_json_holds_no_nan() -> None:
    result = call("one-parameter", "--at", "w=2", "--rate", 0.3, "--steps", 50, "--json")
    assert result.exit_code == 1

    def refuse(name: str) -> None:
        raise AssertionError(name)

    whole = json.loads(result.stdout, parse_constant=refuse)
    assert whole["losses"][-1] is None
    assert whole["steps"] == 7
    assert "not a finite number" in whole["stopped"]
    assert whole["rate"] == 0.3


@pytest.mark.parametrize("steps", [1, 2, 5, 12, 13, 30, 99, 100, 1000, 12345, 1_000_000])
def test_milestones_are_few_and_hold_both_ends(steps: int) -> None:
    found = milestones(steps)
    assert found[0] == 0
    assert found[-1] == steps
    assert found == sorted(set(found))
    assert len(found) <= 13


def test_a_long_descent_remembers_the_steps_that_are_shown() -> None:
    found = ran("linear-neuron", 0.001, 3000, w=np.ones(100), x=np.ones(100) / 10, t=3.0)
    assert set(found.states) == set(milestones(3000))
    assert len(found.losses) == 3001


# ---- pictures ------------------------------------------------------------------------------------------

SERIES: list[tuple[str, tuple[float, ...]]] = [
    ("falling", tuple(8 * 0.9**n for n in range(30))),
    ("one", (3.0,)),
    ("flat", (5.0,) * 10),
    ("zero", (0.0,) * 4),
    ("negative", (-1.0, -3.0, -2.0)),
    ("mixed", (-1e9, 5.0, 1e9)),
    ("huge", (1.0, 1e100, 1e307)),
    ("both ends", (-1e308, 1e308)),
    ("tiny", (1e-300, 1e-308)),
    ("broken", (2.0, 1.0, math.nan, math.inf)),
    ("close", (1.0, 1.0 + 1e-13)),
    ("long", tuple(1 + math.sin(n / 50) for n in range(20_000))),
]


@pytest.mark.parametrize(("name", "values"), SERIES, ids=[name for name, _ in SERIES])
@pytest.mark.parametrize("width", [40, 80, 119])
def test_the_plot_fits_and_is_drawn(name: str, values: tuple[float, ...], width: int) -> None:
    lines = ["".join(parts) for parts in terminal_plot(Chart(values, "L"), width)]
    assert max(map(len, lines)) <= width
    assert len(lines) == 15
    assert any("\u2800" < c <= "\u28ff" or c == "●" for line in lines for c in line)
    assert sum("┤" in line for line in lines) >= 2
    assert lines[-1].split()[0] == "0"


@pytest.mark.parametrize(("name", "values"), SERIES, ids=[name for name, _ in SERIES])
def test_the_svg_is_xml_without_script(name: str, values: tuple[float, ...]) -> None:
    text = svg_plot(Chart(values, "L", f'<script>alert(1)</script> & "quotes" \x00\x1b {name} \ud800'))
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "text", "line", "path", "polyline", "circle"}
    assert not any(key.startswith("on") or "href" in key for e in root.iter() for key in e.attrib)
    line = next(e for e in root.iter() if e.tag.endswith("polyline")).attrib["points"].split()
    assert 1 <= len(line) <= 3100
    for point in line:
        x, y = map(float, point.split(","))
        assert 0 <= x <= 720
        assert 0 <= y <= 405
    text.encode("utf-8")


def test_scales_have_round_ticks() -> None:
    assert [label for _, label in Scale.over([0.06, 8]).ticks(4)] == ["0", "2", "4", "6", "8"]
    assert [label for _, label in Scale.over([0.21, 0.29]).ticks(4)] == ["0.20", "0.25", "0.30"]
    assert Scale.over([1e-3, 10]).log
    assert not Scale.over([0, 1e9]).log


def test_the_svg_goes_to_a_file_that_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "loss.svg"
    words = ("half-square", "--at", "x=3", "--rate", "1/10", "--steps", 4, "--svg", file)
    assert call(*words).exit_code == 0
    ElementTree.parse(file)
    again = call(*words)
    assert again.exit_code == 2
    assert "exists; --force overwrites it" in again.output
    assert call(*words, "--force").exit_code == 0
    assert call(*words[:-1], tmp_path / "no" / "folder.svg").exit_code == 2


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_and_long_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with Progress(10) as progress:
        progress(1, 0.5)
        assert screen.getvalue() == ""
        progress.next -= 10
        progress(2, 0.25)
    assert "step 2 of 10, loss 0.25" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with Progress(10) as progress:
        progress.next -= 10
        progress(2, 0.25)
    assert progress.shown is False
