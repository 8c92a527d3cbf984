"""Windows: convolutions, pooling and their like have right gradients, as text in the network language.

Every gradient is held against the complex step: as an expression by the check, and as text by
evaluating it with plain NumPy (formulas.py) at another point, in error terms and in leaves.
"""

from __future__ import annotations

import formulas
import numpy as np
import pytest

from symbp.check import check, numerical_gradients
from symbp.derive import derive
from symbp.expr import Compare, Delta, Entry, Index, Num, Reduce, Size, add, mul
from symbp.form import NotReducible
from symbp.index import place, places_normal, without_implied
from symbp.numpy_code import numpy_text
from symbp.read.network import read_network
from symbp.sample import choose_sizes, draw
from symbp.show.alphabet import Alphabet, Latex, Unicode, plain
from symbp.show.math import MathPrinter
from symbp.simplify import Simplifier
from symbp.steps import Derivation

CONV1 = "x: ({x})\nw: ({w})\ny = conv1d(x, w{more})\nL = sum(tanh(y))\n"
CONV2 = "x: ({x})\nw: ({w})\ny = conv2d(x, w{more})\nL = sum(tanh(y))\n"
NETWORKS = {
    "conv1d": CONV1.format(x="n,", w="k,", more=""),
    "conv1d, channels": CONV1.format(x="C, n", w="O, C, k", more=""),
    "conv1d, padding": CONV1.format(x="n,", w="3,", more=", padding=1"),
    "conv1d, wide padding": CONV1.format(x="7,", w="3,", more=", padding=4"),
    "conv1d, stride": CONV1.format(x="2*(m - 1) + k,", w="k,", more=", stride=2"),
    "conv1d, stride with a rest": CONV1.format(x="10,", w="3,", more=", stride=2"),
    "conv1d, stride and padding": CONV1.format(x="10,", w="3,", more=", stride=3, padding=2"),
    "conv1d, all": CONV1.format(x="2, 10", w="4, 2, 3", more=", stride=2, padding=1"),
    "conv2d": CONV2.format(x="h, v", w="k, l", more=""),
    "conv2d, channels": CONV2.format(x="C, h, v", w="O, C, k, l", more=""),
    "conv2d, padding": CONV2.format(x="C, h, v", w="O, C, 3, 3", more=", padding=1"),
    "conv2d, stride": CONV2.format(x="7, 9", w="3, 2", more=", stride=2"),
    "conv2d, all": CONV2.format(x="2, 7, 8", w="3, 2, 3, 2", more=", stride=2, padding=1"),
    "conv2d, one row": CONV2.format(x="1, 7, 9", w="3, 1, 1, 2", more=""),
    "maxpool2d": "X: (6, 8)\nR: (3, 4)\nL = sum(R*maxpool2d(X, 2)**2)\n",
    "maxpool2d, channels": "X: (C, 2*P, 2*Q)\nR: (C, P, Q)\nY = maxpool2d(X, 2)\nL = sum(R*Y)\n",
    "avgpool2d": "X: (C, k*P, k*Q)\nY = avgpool2d(X, k)\nL = sum(Y**3)\n",
    "blocks of one axis": "X: (8,)\nR: (4,)\ny = mean(reshape(X, (4, 2)), axis=1)\nL = sum(R*y**2)\n",
    "a dilated vector": "x: (n,)\nR: (3*n - 2,)\ny = dilate1d(x, 3)\nL = sum(R*y**2)\n",
    "an upsampled image": "X: (P, Q)\nR: (2*P, 2*Q)\nY = upsample2d(X, 2)\nL = sum(R*Y**2)\n",
    "a padded image": "X: (P, Q)\nL = sum(tanh(pad2d(X, 2))**2)\n",
    "a flipped vector": "x: (n,)\nR: (n,)\nL = sum(R*flip(x)**2)\n",
    "a layer": "X: (C, h, v)\nK: (O, C, 3, 3)\nb: (O,)\nZ = conv2d(X, K, padding=1) + reshape(b, (O, 1, 1))\n"
    "A = tanh(Z)\nL = sum(A**2)\n",
    "windows1d": "x: (9,)\nR: (7, 3)\nL = sum(R*windows1d(x, 3)**2)\n",
    "windows of any size": "x: (n,)\ny = windows1d(x, k)\nL = sum(tanh(y))\n",
    "a layer of one channel": "X: (1, 7, 8)\nK: (3, 1, 2, 2)\nV: (2, 3, 3, 3)\nZ = conv2d(X, K)\n"
    "Y = conv2d(tanh(Z), V)\nL = sum(Y**2)\n",
    "two stacked": "x: (n,)\nw: (k,)\nv: (m,)\nz = relu(conv1d(x, w))\ny = conv1d(z, v)\nL = sum(y**2)\n",
    "transposed": "x: (n,)\nw: (k,)\ny = conv1d(dilate1d(x, 2), w, padding=k - 1)\nL = sum(y**2)\n",
    "every channel its own kernel": "X: (C, n)\nw: (C, k)\n"
    "Z = einsum('cnk,ck->cn', windows1d(X, k), w)\nL = sum(Z**2)\n",
    "down, up and a skip": "X: (C, 2*P, 2*Q)\nK: (C, C, 3, 3)\nD = avgpool2d(X, 2)\nE = relu(conv2d(D, K, padding=1))\n"
    "U = upsample2d(E, 2)\nY = concatenate((X, U), axis=0)\nL = sum(Y**2)\n",
    "a division": "x: (n,)\nw: (k,)\ny = conv1d(x, w)\nL = -sum(1/(1 + y**2))\n",
}
WITHOUT_TEXT = {  # right as expressions, but with no text in the network language yet
    "a padding of unclear sign": CONV1.format(x="n,", w="k,", more=", padding=1"),
}
TWO_LAYERS = """
X: (h, v)
W: (k, k)
V: (3, 3)
Z = relu(conv2d(X, W))
U = conv2d(Z, V)
L = sum(U**2)
"""


def derivation_of(net: str) -> Derivation:
    return derive(read_network(net, "net"), steps=False)


def texts(derivation: Derivation, form: str) -> dict[str, str | None]:
    """The adjoint of each node (but the loss) in the network language, by its name."""
    found: dict[str, str | None] = {}
    for name, a in derivation.adjoints.items():
        e = a.closed if form == "closed" else a.delta
        if e is not None and name != derivation.graph.loss:
            try:
                found[name] = numpy_text(derivation.graph, e, a.node.axes)
            except NotReducible:
                found[name] = None
    return found


def assert_text_is_right(net: str, seed: int = 3) -> None:
    d = derivation_of(net)
    chosen = choose_sizes(d.graph)
    assert chosen is not None
    sizes = {name: int(name) if name.isdigit() else size for name, size in chosen.items()}  # 9 is a name of a size too
    point = draw(d.graph, sizes, np.random.default_rng(seed))
    truth = numerical_gradients(d.graph, point.leaves, sizes, list(texts(d, "delta")))
    env = {**formulas.FUNCTIONS, **sizes, **{n: np.asarray(v) for n, v in point.values.items()}}
    env |= {d.graph.adjoint_name(name): value for name, value in truth.items()}
    for form in ("delta", "closed"):
        for name, text in texts(d, form).items():
            assert text is not None, f"{name} has no text"
            value = formulas.evaluate(text, env)
            assert np.shape(value) == np.shape(truth[name]), text
            np.testing.assert_allclose(value, truth[name], rtol=1e-7, atol=1e-9, err_msg=f"{name}: {text}")


# ---- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NETWORKS, *WITHOUT_TEXT])
def test_the_derivation_is_right(name: str) -> None:
    found = check(derivation_of({**NETWORKS, **WITHOUT_TEXT}[name]))

    assert found
    assert all(c.ok for c in found.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_printed_text_is_right(name: str) -> None:
    assert_text_is_right(NETWORKS[name])


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_what_has_no_text_says_so(name: str) -> None:
    assert texts(derivation_of(WITHOUT_TEXT[name]), "delta")["x"] is None


# ---- how it reads ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrt", "expected"),
    [
        ("conv1d", "x", "conv1d(dy, flip(w), padding=k - 1)"),
        ("conv1d", "w", "conv1d(x, dy)"),
        ("conv1d, channels", "x", "conv1d(dy, transpose(flip(w, 2), (1, 0, 2)), padding=k - 1)"),
        ("conv1d, padding", "w", "conv1d(x, dy, padding=1)"),
        ("conv1d, stride", "x", "conv1d(dilate1d(dy, 2), flip(w), padding=k - 1)"),
        ("conv1d, stride", "w", "dy @ windows1d(x, k, 2)"),
        ("conv2d, padding", "x", "conv2d(dy, transpose(flip(w, (2, 3)), (1, 0, 2, 3)), padding=1)"),
        ("maxpool2d, channels", "X", "upsample2d(dY, 2)*(X == upsample2d(Y, 2))"),
        ("avgpool2d", "X", "upsample2d(dY, k)/k**2"),
    ],
)
def test_an_adjoint_reads_as_a_layer(name: str, wrt: str, expected: str) -> None:
    assert texts(derivation_of(NETWORKS[name]), "delta")[wrt] == expected


def test_factors_on_one_window_are_multiplied_before_it_slides() -> None:
    d = derivation_of(TWO_LAYERS)

    assert texts(d, "delta")["W"] == "conv2d(X, dZ*(Z > 0))"


def test_a_convolution_in_index_notation() -> None:
    d = derivation_of(NETWORKS["conv1d"])
    a = d.adjoints["x"]

    def shown(alphabet: Alphabet) -> str:
        printer = MathPrinter(d.graph, alphabet)
        return plain(printer.index(a.delta, printer.letters_for(a.node.indices)))

    assert shown(Unicode()) == "Σ_j w[j] δ_y[i − j] 1[0 ≤ i − j < n − k + 1]"
    assert r"\mathbf{1}\left[0 \le i - j < n - k + 1\right]" in shown(Latex())


# ---- indices in normal form --------------------------------------------------------------------

N, K = Size("N"), Size("K")
i, j, p = Index("i", N), Index("j", N), Index("p", Num(2))


def test_a_place_collects_its_letters_and_puts_numbers_first() -> None:
    assert place(add(mul(j, Num(2)), add(i, mul(Num(-2), j)))) is i
    assert place(add(mul(i, Num(2)), p)) is add(mul(Num(2), i), p)
    assert place(mul(i, K)) is mul(K, i)


def test_indices_and_comparisons_become_normal_everywhere() -> None:
    wide = add(mul(j, Num(2)), add(i, mul(Num(-2), j)))
    inner = Reduce("sum", (p,), mul(Entry("x", (wide,)), Compare("<", wide, K), Delta(wide, j)))

    assert places_normal(inner) is Reduce("sum", (p,), mul(Entry("x", (i,)), Compare("<", i, K), Delta(i, j)))


def test_a_comparison_that_follows_from_another_is_dropped() -> None:
    weak, strong = Compare(">=", add(i, Num(-1)), Num(0)), Compare(">=", add(i, Num(-2)), Num(0))
    above = Compare("<", i, K)

    assert list(without_implied([weak, above, strong])) == [above, strong]


def test_a_delta_of_an_affine_index_is_used_up() -> None:
    d = derivation_of(NETWORKS["a dilated vector"])

    assert "==" not in str(texts(d, "delta")["x"])
    assert Simplifier(d.graph)(d.adjoints["x"].delta).result is d.adjoints["x"].delta
