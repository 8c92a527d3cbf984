"""Random networks: every form of every adjoint, as an expression and as printed text, is held
against automatic differentiation by autograd."""

from __future__ import annotations

import ast
import textwrap
import zlib
from collections import Counter
from collections.abc import Iterator

import autograd_reference
import formulas
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from strategies import SIZES, Network, networks

from symbp.check import check_steps
from symbp.derive import derive
from symbp.errors import DeclarationError
from symbp.evaluate import Evaluation
from symbp.form import NotReducible
from symbp.graph import adjoint
from symbp.numpy_code import numpy_text
from symbp.read.functions import WORDS
from symbp.read.network import read_network

TOLERANCE = 1e-7
MORE = {"step": lambda x: (x > 0) * 1.0, "tan": np.tan, "sinh": np.sinh, "xlogy": lambda x, y: x * np.log(y)}
LARGEST = 1e6


def point(net: Network):
    """Values of all tensors and their gradients at the first of a few points that is regular."""
    for seed in range(6):
        rng = np.random.default_rng([seed, zlib.crc32(net.text.encode())])
        leaves = {name: rng.standard_normal(shape) for name, shape in net.leaves.items()}
        try:
            with np.errstate(all="ignore"):
                values, slopes = autograd_reference.gradients(net.lines, leaves, SIZES)
        except (autograd_reference.TooClose, np.linalg.LinAlgError):
            continue
        whole = [*values.values(), *slopes.values()]
        if all(np.isfinite(x).all() and np.abs(x).max(initial=0.0) < LARGEST for x in whole):
            return values, slopes
    return None


def assert_same(value, truth, what: str) -> None:
    value, truth = np.asarray(value, float), np.asarray(truth, float)
    assert value.shape == truth.shape, f"{what} has the shape {value.shape}, not {truth.shape}"
    scale = max(1e-3, np.abs(truth).max(initial=0.0))
    error = np.abs(value - truth).max(initial=0.0) / scale
    assert error < TOLERANCE, f"{what} is off by {error:.1e}"


def assert_forms_agree(derivation, state, slopes) -> None:
    """Expressions: raw, δ form and closed form."""
    for name, a in derivation.adjoints.items():
        for form, e in (("raw", a.raw), ("δ form", a.delta), ("closed form", a.closed)):
            if e is not None:
                assert_same(state.tensor(a.node, e), slopes[name], f"the {form} of {name}, {e!r},")


def assert_texts_agree(derivation, values, slopes) -> None:
    """The same forms as NumPy text, run as a reader would run it."""
    graph = derivation.graph
    env = {**formulas.FUNCTIONS, **MORE, **SIZES, **values}
    for name in derivation.adjoints:
        env[graph.adjoint_name(name)] = slopes[name]
    for name, a in derivation.adjoints.items():
        for form, e in (("δ form", a.delta), ("closed form", a.closed)):
            if e is None:
                continue
            try:
                text = numpy_text(graph, e, a.node.axes)
            except NotReducible:
                continue
            assert_same(formulas.evaluate(text, env), slopes[name], f"the text of the {form} of {name}, {text},")


def every_form_agrees(net: Network) -> bool:
    """False where no regular point was found."""
    found = point(net)
    if found is None:
        return False
    values, slopes = found
    graph = read_network(net.text)
    derivation = derive(graph, [n for n in graph.nodes if n != graph.loss])
    with_adjoints = {**values, **{adjoint(name): g for name, g in slopes.items()}, adjoint(graph.loss): np.ones(())}
    assert_forms_agree(derivation, Evaluation(with_adjoints, SIZES, graph.constants), slopes)
    assert_texts_agree(derivation, values, slopes)
    check_steps(derivation)
    return True


MET: Counter[str] = Counter()  # operations of the language in networks whose every form agreed


def operations_of(net: Network) -> Iterator[str]:
    """Calls by name, operators and the ways of reading entries by what they are in Python's syntax."""
    for _, formula in net.lines:
        for node in ast.walk(ast.parse(formula, mode="eval")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node, ast.BinOp):
                yield type(node.op).__name__
            elif isinstance(node, ast.Compare):
                yield "Compare"
            elif isinstance(node, ast.Subscript):
                yield "Slice" if any(isinstance(n, ast.Slice) for n in ast.walk(node.slice)) else "Index"
            elif isinstance(node, ast.Attribute):
                yield node.attr


@settings(max_examples=400, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(networks())
def every_form_of_random_networks_agrees(net: Network) -> None:
    try:
        assume(every_form_agrees(net))
    except DeclarationError as error:  # a softmax over an axis of size 1 is constant
        assert "does not depend" in error.reason  # noqa: PT017
        assume(False)
    MET.update(operations_of(net))


def test_every_form_agrees_with_autograd_and_every_operation_of_the_language_is_met() -> None:
    MET.clear()
    every_form_of_random_networks_agrees()
    syntax = {"Add", "Sub", "Mult", "Div", "Pow", "MatMult", "Compare", "Slice", "Index", "T"}
    named = {op for text in FOUND.values() for op in operations_of(Network.of(textwrap.dedent(text)))}
    missed = (WORDS | syntax) - MET.keys() - named
    assert not missed, f"no network had {', '.join(sorted(missed))}"


FOUND = {  # networks that once failed, and one of rare operations
    "what a draw may leave out": """
        X: (2, 3)
        Y: (2, 3)
        u = maximum(X, Y)
        v = minimum(X, 2*Y)
        c = concatenate((u, zeros((2, 3))), axis=0)
        U = upsample2d(X, 2)
        L = sum(c**2) + sum(v**3) + sum(U**2)""",
    "a kernel of one channel, transposed": """
        C2: (1, D)
        X3: (3, 1, 2)
        W4: (D - 1, 3)
        h = -conv1d(C2, X3)*W4.T
        L = mean(h)""",
    "the diagonal of an inverse": """
        A: (D, H)
        h = trace(inv(A @ A.T + 2*eye(D)))
        b = diag(inv(A @ A.T + eye(D)))
        L = h + sum(b**2)""",
    "an inverse in part": """
        A: (D, D)
        B = inv(A @ A.T + eye(D))[1:, :]
        c = inv(A @ A.T + eye(D))[0]
        e = inv(A @ A.T + eye(D))[0, 1]
        F = inv(A @ A.T + eye(D))[:2, :]
        L = sum(B**2) + sum(c**3) + e**2 + sum(F**3)""",
    "a softmax in part": """
        w: (5,)
        h = log_softmax(w)[:2]
        p = softmax(w)[1:]
        q = softmax(w)[0]
        L = sum(h**2) + sum(p**3) + q""",
    "the diagonal of a softmax": """
        A: (D, D)
        b = diag(softmax(A))
        L = sum(b**2)""",
    "a softmax of parts joined": """
        v: (N,)
        w: (H,)
        c = concatenate((v, w), axis=0)
        h = log_softmax(sigmoid(c)*c)
        L = 0.5*sum(h**2)""",
    "literals beside names in a reshape": """
        A: (D, 5)
        h = reshape(concatenate((A, A), axis=1), (10*D,))
        L = sum(h**2)""",
    "literals known by their value in a reshape": """
        W: (5, 5)
        U: (5, 5)
        h = reshape(einsum('ij,ik->ijk', W.T, U), (25, 5))
        L = sum(h**2)""",
    "a vector of one": """
        A: (5, 5)
        v: (5,)
        w: (1,)
        h = xlogy(w, (A @ v)**2 + 0.5)
        L = mean(h**2)""",
    "the maximum of a formula that is written in two ways": """
        A: (H, H)
        h = max(sigmoid(A.T)*A.T, axis=0)
        g = max((A**2 + 1)**(-2), axis=1, keepdims=True)
        L = sum(cosh(h)) + sum(g)""",
    "the maximum on a diagonal": """
        w: (N,)
        h = -diag(w)**3*norm2sq(diag(w))
        m = max(h.T, axis=0, keepdims=True)
        L = sum(w) + sum(tanh(m))""",
    "a matrix of one before a product with a vector": """
        w: (N,)
        B: (1, 1)
        h = B*outer(w, w)
        L = sum(h**2)""",
    "what does not reach the loss": """
        A: (N, N)
        h = relu(A)
        dead = h/(norm(h, axis=0, keepdims=True) + 0.2)
        L = sum(exp(tanh(h)))""",
    "a diagonal of what was cut": """
        A: (N, N)
        h = diag(diag(A.T))[:, :-1]
        L = mean(h)""",
    "an axis of equal factors split": """
        w: (D,)
        h = reshape(softmax(where(causal_mask(D), diag(w), -inf), axis=1), (D*D,))
        L = sum(abs(h))""",
    "one tensor read at digits and plainly": """
        A: (H, D)
        h = 1/(1 + A**2)
        g = reshape(A, (D*H,))
        L = sum(h) + mean(g**2)""",
    "a row function read in part": """
        w: (D,)
        h = log_softmax(w[:-1], axis=0)
        L = sum(h)""",
    "two axes read as two others": """
        A: (N, 2*H)
        w: (3*D,)
        h = reshape(A, (2*N, H))
        g = logsumexp(2*tanh(reshape(w, (3, D))), axis=1, keepdims=True)
        L = sum(h**3) + mean(A.T) + sum(g)""",
    "single entries": """
        A: (N, D)
        w: (D,)
        b = A[0]*w
        c = A[-1]
        d = A[:, 1]
        e = w[0]
        L = sum(b**2) + sum(c**3) + norm2sq(tanh(d)) + e**2""",
}


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_named_networks_agree(text: str) -> None:
    assert every_form_agrees(Network.of(textwrap.dedent(text)))
