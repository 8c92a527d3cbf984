"""Jacobians and Hessians: forms as books have them, numbers from autograd and from NumPy written by
hand, and every structure that is claimed looked for in the numbers."""

from __future__ import annotations

import itertools
import json
import re
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import autograd_reference
import formulas
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from kinds import ORDINARY
from numpy.testing import assert_allclose
from strategies import SIZES, Network, networks
from typer.testing import CliRunner

from symbp.check_higher import check_derivative
from symbp.cli import app
from symbp.commands import DeriveOptions, Screen
from symbp.commands import hessian as hessian_command
from symbp.commands import jacobian as jacobian_command
from symbp.diagonal import numpy_of
from symbp.errors import DeclarationError, LimitError, NoRule, RequestError
from symbp.evaluate import Evaluation, forward
from symbp.expr import Compare, Delta, Index, Mul
from symbp.form import NotReducible
from symbp.higher import Derivative, hessian, jacobian
from symbp.read.network import read_network
from symbp.show.higher import _with_directions
from symbp.structure import KINDS, Structure, Term
from symbp.zoo import network

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, Array]

# ---- helpers -----------------------------------------------------------------------------------


def numpy(d: Derivative) -> str:
    return numpy_of(_with_directions(d), d.sorted, d.axes)


def right(d: Derivative) -> str:
    assert d.right is not None
    return numpy_of(_with_directions(d), d.right.expr, d.right.like.axes)


def left(d: Derivative) -> str:
    assert d.left is not None
    return numpy_of(_with_directions(d), d.left.expr, d.left.like.axes)


def state(d: Derivative, leaves: Values, sizes: dict[str, int]) -> Evaluation:
    return Evaluation(forward(d.extended, leaves, sizes), sizes, d.extended.constants)


def array(d: Derivative, values: Evaluation) -> Array:
    return values(d.expr, (*d.outputs, *d.inputs))


def differences(f: Callable[[Array], Array], x: Array, h: float = 1e-6) -> Array:
    """Central differences: the output's axes first, then the input's."""
    columns = []
    for n in range(x.size):
        step = np.zeros(x.size)
        step[n] = h
        up, down = f(x + step.reshape(x.shape)), f(x - step.reshape(x.shape))
        columns.append((np.asarray(up) - np.asarray(down)) / (2 * h))
    return np.stack(columns, -1).reshape((*np.shape(columns[0]), *x.shape))


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def shown(command: Any, *args: Any, **options: Any) -> str:
    text, status = command(*args, DeriveOptions(**options), Screen(width=100))
    assert status == 0
    return str(text)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# ---- is a structure that is claimed there? ------------------------------------------------------


def assert_structure(d: Derivative, whole: Array) -> None:
    """Everything that the structure says, in the numbers."""
    assert d.structure.kind in KINDS
    assert_kind(d.structure, d.terms, whole, d.outputs, d.inputs)
    if d.structure.symmetric:
        n = len(d.outputs)
        assert_allclose(whole, np.transpose(whole, (*range(n, 2 * n), *range(n))), rtol=1e-9, atol=1e-12)


def assert_kind(
    s: Structure, terms: Sequence[Term], whole: Array, outputs: Sequence[Index], inputs: Sequence[Index]
) -> None:
    matrix = whole.reshape(int(np.prod(whole.shape[: len(outputs)])), -1)
    if s.kind == "zero":
        assert not whole.any()
    elif s.kind == "scalar":
        assert whole.shape == ()
    elif s.kind == "vector":
        assert not outputs or not inputs
    elif s.kind in ("diagonal", "permuted-diagonal", "kronecker", "block-diagonal"):
        assert_blocks(s, terms, whole, outputs, inputs)
    elif s.kind.startswith("diagonal-plus"):
        off = ~np.eye(len(matrix), dtype=bool)
        rest = sum_of([t for t in terms if not t.pairs], whole, outputs, inputs).reshape(matrix.shape)
        assert_allclose(matrix[off], rest[off], rtol=1e-9, atol=1e-12)
        assert np.linalg.matrix_rank(rest) <= rank(s)
    elif s.kind in ("outer-product", "low-rank"):
        assert np.linalg.matrix_rank(matrix) <= rank(s)
    elif s.kind == "sparse":
        support = sum(mask(t, whole.shape, outputs, inputs) for t in terms)
        assert not whole[support == 0].any()


CURRENT: list[Evaluation] = []  # the values at which a structure is looked at


def sum_of(terms: Sequence[Term], like: Array, outputs: Sequence[Index], inputs: Sequence[Index]) -> Array:
    return sum((CURRENT[-1](t.expr, (*outputs, *inputs)) for t in terms), np.zeros(like.shape))


def rank(s: Structure) -> int:
    assert s.rank is not None
    return int(CURRENT[-1](s.rank))


def assert_blocks(
    s: Structure, terms: Sequence[Term], whole: Array, outputs: Sequence[Index], inputs: Sequence[Index]
) -> None:
    """Zero where tied letters differ; and the blocks are what they are said to be."""
    letters = [*outputs, *inputs]
    apart = np.zeros(whole.shape, bool)
    for o, i in s.pairs:
        apart |= place(o, letters, whole.shape) != place(i, letters, whole.shape)
    assert not whole[apart].any()
    if s.kind == "diagonal":
        assert [o for o, _ in s.pairs] == list(outputs) and [i for _, i in s.pairs] == list(inputs)
    if s.block is None:
        return
    tied = [x for p in s.pairs for x in p]
    inner_outputs = [x for x in outputs if x not in tied]
    inner_inputs = [x for x in inputs if x not in tied]
    blocks: list[tuple[tuple[Any, ...], Array]] = []
    for position in itertools.product(*(range(whole.shape[letters.index(o)]) for o, _ in s.pairs)):
        at = {x: n for pair, n in zip(s.pairs, position) for x in pair}
        chosen = tuple(at.get(x, slice(None)) for x in letters)
        blocks.append((chosen, whole[chosen]))
    if s.kind == "kronecker":
        assert all(np.allclose(b, blocks[0][1], rtol=1e-9, atol=1e-12) for _, b in blocks)
    if s.block.kind in ("zero", "diagonal", "permuted-diagonal", "outer-product", "low-rank"):
        for _, b in blocks:
            assert_kind(s.block, (), b, inner_outputs, inner_inputs)
    if s.block.kind == "diagonal-plus-outer":
        outer = sum_of([t for t in terms if len(t.pairs) == len(s.pairs)], whole, outputs, inputs)
        for at, b in blocks:
            square = (-1, int(np.prod(b.shape[len(inner_outputs) :])))
            part, found = outer[at].reshape(square), b.reshape(square)
            assert np.linalg.matrix_rank(part) <= 1
            off = ~np.eye(len(part), dtype=bool)
            assert_allclose(found[off], part[off], rtol=1e-9, atol=1e-12)


def mask(t: Term, shape: tuple[int, ...], outputs: Sequence[Index], inputs: Sequence[Index]) -> Array:
    """Where a term may be other than zero, by its δs and conditions."""
    letters = [*outputs, *inputs]
    found = np.ones(shape)
    for o, i in t.pairs:
        found = found * (place(o, letters, shape) == place(i, letters, shape))
    for f in t.rest.args if isinstance(t.rest, Mul) else (t.rest,):
        if isinstance(f, (Compare, Delta)) and not f.tensors:
            found = found * CURRENT[-1](f, letters)
    return found


def place(letter: Index, letters: Sequence[Index], shape: tuple[int, ...]) -> Array:
    n = letters.index(letter)
    return np.arange(shape[n]).reshape([-1 if m == n else 1 for m in range(len(shape))])


def structure_holds(d: Derivative, leaves: Values, sizes: dict[str, int]) -> None:
    CURRENT.append(state(d, leaves, sizes))
    try:
        assert_structure(d, array(d, CURRENT[-1]))
    finally:
        CURRENT.pop()


# ---- rows of the lectures ------------------------------------------------------------------------


def test_elementwise_max_is_diagonal_and_never_built() -> None:
    """Row 5: 4096 × 4096 and diagonal; the product with it is built."""
    jacobian(network("elementwise-max"), "y", "x")  # what is imported is not counted
    tracemalloc.start()
    d = check_derivative(jacobian(network("elementwise-max"), "y", "x"))
    text = shown(jacobian_command, "elementwise-max", "y", "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert d.structure.names == ("diagonal", "symmetric")
    assert right(d) == "v*(x > 0)"
    assert d.checked is not None and d.checked.ok
    assert peak < 4096 * 4096 / 4
    assert "4096×4096" in text and "diag(1[x > 0])" in text and "never built" in text


def test_linear_neuron_has_a_constant_bowl() -> None:
    """Row 13: the Hessian Σ x xᵀ does not depend on the weights."""
    d = hessian(network("linear-neuron-batch"), "w")
    assert numpy(d) == "X.T @ X"
    assert d.structure.names == ("low-rank", "constant", "symmetric")
    assert right(d) == "X.T @ (X @ v)" or right(d) == "X.T @ X @ v"
    text = shown(hessian_command, "linear-neuron-batch", "w", None)
    assert "∂²E/∂w ∂wᵀ = Xᵀ X" in text and "constant: it does not depend on w" in text
    assert "Σ_n X[n,i] X[n,i']" in shown(hessian_command, "linear-neuron-batch", "w", None, notation="index")


def test_vjp_exp_has_a_diagonal_jacobian() -> None:
    """Row 23: diag(exp z), and the product in linear time."""
    d = jacobian(network("vjp-exp"), "y", "z")
    assert numpy(d) == "diag(y)"
    assert left(d) == "y*u"
    assert d.structure.kind == "diagonal"


# ---- forms as books have them --------------------------------------------------------------------


def test_softmax_is_a_diagonal_minus_an_outer_product() -> None:
    d = jacobian(network("softmax-kl"), "p", "z")
    assert numpy(d) == "diag(p) - outer(p, p)"
    assert right(d) == "p*(v - dot(p, v))"
    assert d.structure.names == ("diagonal-plus-outer", "symmetric") and d.structure.minus
    assert "a diagonal minus an outer product" in shown(jacobian_command, "softmax-kl", "p", "z")


SOFTMAX_ROWS = """
X: (N, D)
W: (D, C)
T: (N, C)
Z = X @ W
P = softmax(Z, axis=1)
L = -sum(T*log(P))/N
assert onehot(T, axis=1)
"""


def test_softmax_of_rows_has_a_block_for_every_row(rng: np.random.Generator) -> None:
    d = jacobian(read_network(SOFTMAX_ROWS), "P", "Z")
    assert d.structure.kind == "block-diagonal"
    assert d.structure.block is not None and d.structure.block.kind == "diagonal-plus-outer"
    assert d.structure.pairs == ((d.outputs[0], d.inputs[0]),)
    assert right(d) == "P*(V - sum(P*V, axis=1, keepdims=True))"
    sizes = {"N": 2, "D": 3, "C": 4}
    leaves = {"X": rng.standard_normal((2, 3)), "W": rng.standard_normal((3, 4)), "T": np.eye(4)[[0, 2]]}
    found = array(d, state(d, leaves, sizes))
    assert_allclose(found, differences(softmax, leaves["X"] @ leaves["W"]), atol=1e-8)
    structure_holds(d, leaves, sizes)


def test_a_matrix_product_has_the_identity_times_a_block() -> None:
    d = jacobian(read_network(SOFTMAX_ROWS), "Z", "W")
    assert d.structure.kind == "kronecker" and d.structure.constant
    assert (right(d), left(d)) == ("X @ V", "X.T @ U")
    assert jacobian(read_network(SOFTMAX_ROWS), "Z", "X").structure.kind == "kronecker"


def test_logistic_regression() -> None:
    d = hessian(network("logistic-regression"), "w")
    assert d.structure.symmetric and not d.structure.constant
    assert numpy(d) == "X.T @ ((p*(1 - p))[:, None]*X)/N"
    assert right(d) == "X.T @ (p*(1 - p) * (X @ v))/N"
    text = shown(hessian_command, "logistic-regression", "w", None, check="full")
    assert "∂²L/∂w ∂wᵀ = Xᵀ diag(p ⊙ (1 − p)) X/N" in text
    mixed = hessian(network("logistic-regression"), "w", "b")
    assert mixed.structure.kind == "vector"
    assert numpy(mixed) == "X.T @ (p*(1 - p))/N"


@pytest.mark.parametrize("case", ["logistic", "ridge"])
def test_hessian_times_a_vector_as_the_corpus_has_it(case: str, rng: np.random.Generator) -> None:
    nets = {
        "logistic": "s = sigmoid(X @ w)\nL = -sum(y*log(s) + (1 - y)*log(1 - s))\n",
        "ridge": "L = 0.5*sum((X @ w - y)**2) + 0.5*lam*sum(w**2)\n",
    }
    expected = {"logistic": "X.T @ (s*(1 - s)*(X @ v))", "ridge": "X.T @ (X @ v) + lam*v"}
    d = hessian(read_network("lam = 0.3\nX: (N, d)\nw: (d,)\ny: (N,)\n" + nets[case]), "w")
    X, w, v = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(3)
    env = {**formulas.FUNCTIONS, "X": X, "w": w, "v": v, "lam": 0.3, "s": sigmoid(X @ w), "d": 3, "N": 5}
    assert_allclose(formulas.evaluate(right(d), env), formulas.evaluate(expected[case], env))


def test_a_quadratic_form_has_the_hessian_A_plus_A_transposed() -> None:
    d = hessian(read_network("A: (n, n)\nx: (n,)\nL = x @ A @ x\n"), "x")
    assert numpy(d) in ("A + A.T", "A.T + A")
    assert d.structure.constant and d.structure.symmetric
    assert right(d) in ("(A + A.T) @ v", "(A.T + A) @ v")


def test_mean_squared_error_of_linear_regression() -> None:
    d = hessian(network("linear-regression"), "w")
    assert numpy(d) in ("2*X.T @ X/N", "2/N * (X.T @ X)", "2*(X.T @ X)/N")
    assert d.structure.constant and d.structure.symmetric
    assert numpy(hessian(network("linear-regression"), "b")) == "2"


TWO_LAYERS = """
X: (N, D)
W1: (D, H)
W2: (H, C)
Y: (N, C)
A = tanh(X @ W1)
P = A @ W2
L = 0.5*sum((P - Y)**2)
"""


def two_layers(rng: np.random.Generator) -> tuple[Values, dict[str, int]]:
    sizes = {"N": 3, "D": 2, "H": 4, "C": 5}
    shapes = {"X": (3, 2), "W1": (2, 4), "W2": (4, 5), "Y": (3, 5)}
    return {n: rng.standard_normal(s) for n, s in shapes.items()}, sizes


def two_layer_gradients(v: Values) -> Values:
    a = np.tanh(v["X"] @ v["W1"])
    d = a @ v["W2"] - v["Y"]
    return {"W2": a.T @ d, "W1": v["X"].T @ ((d @ v["W2"].T) * (1 - a**2))}


def test_two_layers_are_a_bowl_in_the_last_weights(rng: np.random.Generator) -> None:
    d = hessian(read_network(TWO_LAYERS), "W2")
    assert d.structure.kind == "kronecker" and d.structure.names[1:] == ("constant", "symmetric")
    assert right(d) == "A.T @ (A @ V)" or right(d) == "A.T @ A @ V"
    leaves, sizes = two_layers(rng)
    found = array(d, state(d, leaves, sizes))
    a = np.tanh(leaves["X"] @ leaves["W1"])
    assert_allclose(found, np.einsum("hk,cd->hckd", a.T @ a, np.eye(5)))
    structure_holds(d, leaves, sizes)


@pytest.mark.parametrize(("first", "second"), [("W1", "W1"), ("W1", "W2"), ("W2", "W1"), ("W2", "W2")])
def test_two_layers_in_numbers(first: str, second: str, rng: np.random.Generator) -> None:
    d = hessian(read_network(TWO_LAYERS), first, second)
    leaves, sizes = two_layers(rng)

    def gradient(w: Array) -> Array:
        return two_layer_gradients({**leaves, second: w})[first]

    assert_allclose(array(d, state(d, leaves, sizes)), differences(gradient, leaves[second]), rtol=1e-6, atol=1e-6)
    structure_holds(d, leaves, sizes)
    checked = check_derivative(d, "full")
    assert checked.checked is not None and checked.checked.ok
    assert checked.checked_gradient is not None and checked.checked_gradient.ok


def test_mixed_hessians_are_transposes_of_each_other(rng: np.random.Generator) -> None:
    graph = read_network(TWO_LAYERS)
    one, two = hessian(graph, "W1", "W2"), hessian(graph, "W2", "W1")
    leaves, sizes = two_layers(rng)
    assert_allclose(array(one, state(one, leaves, sizes)), array(two, state(two, leaves, sizes)).transpose(2, 3, 0, 1))


@pytest.mark.parametrize(
    ("net", "node", "wrt", "expected"),
    [
        ("circuit-add-mul", "f", "z", "q"),
        ("circuit-add-mul", "q", "x", "1"),
        ("circuit-add-mul", "q", "z", "0"),
        ("one-parameter", "C", "w", "2*(y - t)*w"),
    ],
)
def test_scalars(net: str, node: str, wrt: str, expected: str) -> None:
    d = jacobian(network(net), node, wrt)
    assert numpy(d) == expected
    assert d.structure.kind == ("zero" if expected == "0" else "scalar")
    assert d.right is None and d.left is None


def test_second_derivatives_of_scalars() -> None:
    assert numpy(hessian(network("circuit-add-mul"), "x", "z")) == "1"
    assert numpy(hessian(network("circuit-add-mul"), "x")) == "0"
    assert numpy(hessian(network("half-square"), "x")) == "1"
    d = hessian(network("one-parameter"), "w")  # w⁴/2
    w = 1.7
    assert_allclose(array(d, Evaluation({"w": w, "y": w * w}, {}, d.graph.constants)), 6 * w * w)


# ---- what a derivative means -----------------------------------------------------------------------


def test_facts_about_what_moves_are_not_used_before_the_derivative_is_taken() -> None:
    """Σ_c T = 1 turns Xᵀ(P ⊙ T𝟏 − T) into Xᵀ(P − T); differentiated by T the first is right."""
    d = hessian(read_network(SOFTMAX_ROWS), "W", "T")
    assert d.gradient is not None and not d.gradient.graph.facts
    assert check_derivative(d).checked.ok  # type: ignore[union-attr]
    same = hessian(read_network(SOFTMAX_ROWS), "W")
    assert same.gradient is not None and same.gradient.graph.facts


def test_an_inner_variable_is_an_input() -> None:
    graph = read_network("x: (n,)\nz = 2*x\nL = sum(z)*sum(2*x) + sum(z**2)\n")
    assert numpy(hessian(graph, "z")) == "2*eye(n)"  # sum(2*x) stays what it is
    assert hessian(graph, "z", "x").structure.kind == "outer-product"
    d = jacobian(graph, "L", "z")
    assert check_derivative(d).checked.ok  # type: ignore[union-attr]


def test_a_tensor_by_itself_and_by_what_it_does_not_depend_on() -> None:
    graph = read_network(TWO_LAYERS)
    assert jacobian(graph, "A", "A").structure.names == ("diagonal", "constant", "symmetric")
    nothing = jacobian(graph, "A", "W2")
    assert nothing.structure.kind == "zero" and nothing.right is None
    assert jacobian(graph, "W1", "A").structure.kind == "zero"


def test_a_transpose_is_a_permuted_diagonal(rng: np.random.Generator) -> None:
    d = jacobian(read_network("A: (n, m)\nB = A.T\nL = sum(B**2)\n"), "B", "A")
    assert d.structure.kind == "permuted-diagonal"
    assert (right(d), left(d)) == ("V.T", "U.T")
    structure_holds(d, {"A": rng.standard_normal((2, 3))}, {"n": 2, "m": 3})


def test_a_gram_matrix_and_a_convolution_are_sparse(rng: np.random.Generator) -> None:
    gram = jacobian(read_network("X: (n, d)\nG = X @ X.T\nL = sum(G**2)\n"), "G", "X")
    assert gram.structure.kind == "sparse"
    structure_holds(gram, {"X": rng.standard_normal((3, 2))}, {"n": 3, "d": 2})
    band = jacobian(read_network("x: (n,)\nw: (k,)\ny = conv1d(x, w)\nL = sum(y**2)\n"), "y", "x")
    assert band.structure.kind == "sparse"
    structure_holds(band, {"x": rng.standard_normal(6), "w": rng.standard_normal(2)}, {"n": 6, "k": 2})


def test_an_outer_product_and_a_low_rank(rng: np.random.Generator) -> None:
    norm = jacobian(read_network("a: (n,)\nx: (m,)\ns = sum(x**2)\ny = a*s\nL = sum(y**2)\n"), "y", "x")
    assert norm.structure.kind == "outer-product"
    structure_holds(norm, {"a": rng.standard_normal(3), "x": rng.standard_normal(4)}, {"n": 3, "m": 4})
    deep = jacobian(read_network("A: (n, k)\nB: (k, m)\nx: (m,)\ny = A @ (B @ x)\nL = sum(y**2)\n"), "y", "x")
    assert deep.structure.kind == "low-rank" and repr(deep.structure.rank) == "k"


def test_every_network_of_the_zoo_has_checked_derivatives() -> None:
    for name in ORDINARY:
        graph = network(name)
        wrt = [n.name for n in graph.leaves if n.name not in graph.fixed()][:3]
        for w in wrt:
            last = graph.inner[-2].name if len(graph.inner) > 1 else graph.loss
            maps = any(not f.is_elementwise and f.takes != ((),) for f in graph.functions.values())
            for d in (jacobian(graph, last, w), *([] if maps else [hessian(graph, w)])):  # an unknown map has none
                checked = check_derivative(d, "quick").checked
                assert checked is not None and checked.ok, (name, w, checked)


# ---- random networks -------------------------------------------------------------------------------


def truth_of(net: Network, node: str, leaves: Values, wrt: str) -> Array:
    """The Jacobian by autograd, a row for every entry of the node."""
    names = [n for n, _ in net.lines]
    lines = [*net.lines[: names.index(node) + 1], ("R_", f"sum({node}*seed_)")]
    shape = autograd_reference.gradients(net.lines, leaves, SIZES)[0][node].shape
    rows = []
    for n in range(int(np.prod(shape))):
        seed = np.eye(int(np.prod(shape)))[n].reshape(shape)
        rows.append(autograd_reference.gradients(lines, {**leaves, "seed_": seed}, SIZES)[1][wrt])
    return np.array(rows).reshape((*shape, *leaves[wrt].shape))


def hessian_of(net: Network, leaves: Values, wrt: str, second: str) -> Array:
    """Central differences of autograd's gradients."""

    def gradient(x: Array) -> Array:
        return np.asarray(autograd_reference.gradients(net.lines, {**leaves, second: x}, SIZES)[1][wrt])

    return differences(gradient, leaves[second], 1e-5)


def values_of(net: Network, d: Derivative, leaves: Values) -> Array:
    found = array(d, state(d, leaves, SIZES))
    shape = tuple(x for x in (*d.top.shape, *d.wrt.shape) if x is not None)
    whole = Evaluation({}, SIZES)
    return found.reshape([whole.extent(x) for x in shape])


def assert_close(found: Array, true: Array, tolerance: float) -> None:
    assert found.shape == true.shape
    scale = max(1.0, float(np.abs(true).max(initial=0.0)))
    assert float(np.abs(found - true).max(initial=0.0)) < tolerance * scale


def assert_text(d: Derivative, leaves: Values, found: Array) -> None:
    """The array as NumPy text gives what the expression gives."""
    try:
        text = numpy(d)
    except NotReducible:
        return
    more = {"step": lambda x: (x > 0) * 1.0, "xlogy": lambda x, y: x * np.log(y), "tan": np.tan, "sinh": np.sinh}
    env = {**formulas.FUNCTIONS, **more, **SIZES}
    env.update(state(d, leaves, SIZES).values)
    value = np.asarray(formulas.evaluate(text, env), dtype=float)
    assert_close(np.broadcast_to(value, found.shape) if value.ndim < found.ndim else value, found, 1e-9)


@settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(networks(4))
def test_random_networks(net: Network) -> None:
    rng = np.random.default_rng(zlib.crc32(net.text.encode()))
    leaves = {name: rng.standard_normal(shape) for name, shape in net.leaves.items()}
    try:
        graph = read_network(net.text)
    except DeclarationError as error:  # softmax over an axis of length 1 is 1
        assume("does not depend" not in str(error))
        raise
    loss = net.lines[-1][0]
    node = net.lines[-2][0] if len(net.lines) > 1 else loss
    wrt, second = next(iter(net.leaves)), list(net.leaves)[-1]
    sizes = [int(np.prod(net.leaves[w])) for w in (wrt, second)]
    assume(max(sizes) <= 40)
    try:
        with np.errstate(all="ignore"):
            truths = (
                truth_of(net, node, leaves, wrt),
                hessian_of(net, leaves, wrt, wrt),
                hessian_of(net, leaves, wrt, second),
            )
    except (autograd_reference.TooClose, np.linalg.LinAlgError):
        assume(False)
        return
    assume(all(np.isfinite(t).all() and np.abs(t).max(initial=0) < 1e5 for t in truths))
    makers: list[Callable[[], Derivative]] = [
        lambda: jacobian(graph, node, wrt),
        lambda: hessian(graph, wrt),
        lambda: hessian(graph, wrt, second),
    ]
    for make, true, tolerance in zip(makers, truths, (1e-8, 1e-4, 1e-4)):
        try:
            d = make()
        except LimitError:
            continue
        found = values_of(net, d, leaves)
        assert_close(found, true, tolerance)
        assert_text(d, leaves, found)
        structure_holds(d, leaves, SIZES)
        if d.structure.constant:
            moved = {**leaves, d.wrt.name: leaves[d.wrt.name] + 1}
            if d.first is not None:
                moved[d.first.name] = moved[d.first.name] - 2
            assert_close(values_of(net, d, moved), found, 1e-9)


# ---- formats and the command line --------------------------------------------------------------------


def test_json_says_what_the_terminal_says() -> None:
    d = json.loads(shown(jacobian_command, "softmax-kl", "p", "z", format="json"))
    assert (d["kind"], d["of"], d["wrt"], d["shape"]) == ("jacobian", "p", ["z"], ["K", "K"])
    assert d["form"]["numpy"] == "diag(p) - outer(p, p)"
    assert d["structure"]["kind"] == "diagonal-plus-outer" and d["structure"]["symmetric"]
    assert d["products"]["right"]["numpy"] == "p*(v - dot(p, v))"
    assert d["check"]["ok"] and d["steps"][0]["rule"] == "definition"
    h = json.loads(shown(hessian_command, "linear-neuron-batch", "w", None, format="json"))
    assert h["gradient"]["numpy"] == "X.T @ (y - t)" and h["gradient"]["check"]["ok"]
    assert h["structure"]["rank_at_most"] == "N" and h["structure"]["constant"]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("form", ["terminal", "latex", "markdown", "numpy", "json"])
def test_every_format(form: str, lang: str) -> None:
    for net, wrt in (("logistic-regression", "w"), ("relu-2", "W1"), ("one-parameter", "w")):
        text = shown(hessian_command, net, wrt, None, format=form, lang=lang, standalone=True, check="none")
        assert text.endswith("\n") and not re.search("[\ue000-\uf8ff]", text)


def test_latex_has_second_derivatives() -> None:
    text = shown(hessian_command, "logistic-regression", "w", None, format="latex")
    assert r"\frac{\partial^{2} L}{\partial w \, \partial w^{\top}}" in text
    assert r"\mathrm{diag}" in text


def test_the_command_line() -> None:
    run = CliRunner().invoke
    found = run(app, ["jacobian", "softmax-kl", "p[k]", "z[j]", "--notation", "index", "--detail", "brief"])
    assert found.exit_code == 0 and "∂p[k]/∂z[j]" in found.output
    assert run(app, ["hessian", "logistic-neuron-batch", "w", "b", "--json"]).exit_code == 0
    unknown = run(app, ["jacobian", "relu-2", "nothing", "W1"])
    assert unknown.exit_code == 2
    assert run(app, ["hessian", "relu-2", "W1", "--format", "html"]).exit_code == 0


def test_errors_name_what_is_missing() -> None:
    with pytest.raises(RequestError, match="'W9' is declared"):
        jacobian(network("relu-2"), "a", "W9")
    with pytest.raises(RequestError, match="Did you mean 'theta'"):
        hessian(read_network("theta: (n,)\nL = sum(theta**2)\n"), "theta", "thetta")
    with pytest.raises((LimitError, NoRule)):
        hessian(network("mlp-3-4-2"), "x1")


def test_steps_end_in_the_result() -> None:
    text = shown(hessian_command, "logistic-regression", "w", None, detail="full", check="full")
    for line in ("g = ∂L/∂w = Xᵀ (p − t)/N", "definition", "chain rule", "local slope", "∂p[n']/∂z[n]"):
        assert line in text
