"""The backward walk: each law of backpropagation, by form and by number."""

from __future__ import annotations

import textwrap

import pytest

from symbp.chain import local_slope, negation, occurrences, power_slope
from symbp.check import check, check_steps
from symbp.derive import derive
from symbp.errors import RequestError
from symbp.expr import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Call,
    Compare,
    Delta,
    Entry,
    Index,
    Num,
    Pow,
    Reduce,
    add,
    mul,
    walk,
)
from symbp.graph import Graph, adjoint
from symbp.numpy_code import backward_lines, numpy_text
from symbp.read.network import read_network
from symbp.show.alphabet import Unicode
from symbp.show.math import MathPrinter
from symbp.steps import RULES, Derivation


def net(text: str) -> Graph:
    return read_network(textwrap.dedent(text))


def delta(d: Derivation) -> list[str]:
    return list(backward_lines(d))


def proved(d: Derivation) -> Derivation:
    """The derivation, after its gradients and each of its steps were checked by numbers."""
    checked = check(d, "full")
    assert all(c.ok for c in checked.values()), checked
    check_steps(d)
    return d


# ---- the textbook, line by line ----------------------------------------------------------------

TEXTBOOK = {
    "batch as rows": (
        """
        X: (N, D)
        W: (D, H)
        b: (H,)
        Z = X @ W + b
        L = sum(Z**2)/2
        """,
        ["dZ = Z", "db = sum(dZ, axis=0)", "dW = X.T @ dZ", "dX = dZ @ W.T"],
    ),
    "batch as columns": (
        """
        X: (D, N)
        W: (H, D)
        Z = W @ X
        L = sum(Z**2)/2
        """,
        ["dZ = Z", "dX = W.T @ dZ", "dW = dZ @ X.T"],
    ),
    "one sample as a column": (
        """
        x: (D,)
        W: (H, D)
        b: (H,)
        z = W @ x + b
        L = sum(z**2)/2
        """,
        ["dz = z", "db = dz", "dx = W.T @ dz", "dW = outer(dz, x)"],
    ),
    "one sample as a row": (
        """
        x: (D,)
        W: (D, H)
        z = x @ W
        L = sum(z**2)/2
        """,
        ["dz = z", "dW = outer(x, dz)", "dx = dz @ W.T"],
    ),
    "a column of numbers": (
        """
        x: (D, 1)
        W: (H, D)
        z = W @ x
        L = sum(z**2)/2
        """,
        ["dz = z", "dx = W.T @ dz", "dW = dz @ x.T"],
    ),
    "three matrices": (
        """
        A: (I, J)
        B: (J, K)
        C: (K, M)
        Y = A @ B @ C
        L = sum(Y**2)/2
        """,
        ["dY = Y", "dC = B.T @ A.T @ dY", "dB = A.T @ dY @ C.T", "dA = dY @ C.T @ B.T"],
    ),
    "a transposed operand": (
        """
        X: (N, D)
        W: (H, D)
        Z = X @ W.T
        L = sum(Z**2)/2
        """,
        ["dZ = Z", "dW = dZ.T @ X", "dX = dZ @ W"],
    ),
    "a Hadamard product": (
        """
        A: (N, D)
        B: (N, D)
        C = A*B
        L = sum(C**2)/2
        """,
        ["dC = C", "dB = dC*A", "dA = dC*B"],
    ),
    "tanh from its output": (
        """
        z: (D,)
        a = tanh(z)
        L = sum(a**2)/2
        """,
        ["da = a", "dz = da*(1 - a**2)"],
    ),
    "relu masks": (
        """
        z: (D,)
        y: (D,)
        a = relu(z)
        L = dot(a, y)
        """,
        ["da = y", "dy = a", "dz = da*(z > 0)"],
    ),
    "a dot product": (
        """
        x: (D,)
        y: (D,)
        L = dot(x, y)
        """,
        ["dy = x", "dx = y"],
    ),
    "an outer product": (
        """
        x: (D,)
        y: (H,)
        A = outer(x, y)
        L = sum(A**2)/2
        """,
        ["dA = A", "dy = x @ dA", "dx = dA @ y"],
    ),
    "kept axes of size 1": (
        """
        X: (N, D)
        c: (N, 1)
        r: (1, D)
        Y = X*c + r
        L = sum(Y**2)/2
        """,
        ["dY = Y", "dr = sum(dY, axis=0, keepdims=True)", "dc = sum(dY*X, axis=1, keepdims=True)", "dX = dY*c"],
    ),
    "a scalar in front": (
        """
        a: ()
        x: (D,)
        y = a*x
        L = sum(y**2)/2
        """,
        ["dy = y", "dx = a*dy", "da = dot(dy, x)"],
    ),
    "log determinant": (
        """
        A: (D, D)
        L = logdet(A)
        """,
        ["dA = inv(A).T"],
    ),
    "attention": (
        """
        q: (N, D)
        k: (M, D)
        v: (M, H)
        S = q @ k.T/sqrt(D)
        P = softmax(S, axis=1)
        O = P @ v
        L = sum(O**2)/2
        """,
        [
            "dO = O",
            "dP = dO @ v.T",
            "dS = (dP - sum(dP*P, axis=1, keepdims=True))*P",
            "dv = P.T @ dO",
            "dk = dS.T @ q/sqrt(D)",
            "dq = dS @ k/sqrt(D)",
        ],
    ),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook(name: str) -> None:
    text, expected = TEXTBOOK[name]

    assert sorted(delta(proved(derive(net(text))))) == sorted(expected)


# ---- the same tensor twice ---------------------------------------------------------------------

TWICE = {
    "h*h": ("h: (D,)\nL = sum(h*h)\n", ["dh = 2*h"]),
    "x @ x": ("x: (D,)\nL = x @ x\n", ["dx = 2*x"]),
    "X @ X.T": ("X: (N, D)\nG = X @ X.T\nL = sum(G**2)/2\n", ["dG = G", "dX = 2*G @ X"]),
    "X.T @ X": ("X: (N, D)\nG = X.T @ X\nL = sum(G**2)/2\n", ["dG = G", "dX = 2*X @ G"]),
    "X @ X": ("X: (N, N)\nG = X @ X\nL = sum(G**2)/2\n", ["dG = G", "dX = dG @ X.T + X.T @ dG"]),
    "trace(X @ X)": ("X: (N, N)\nL = trace(X @ X)\n", ["dX = 2*X.T"]),
    "x.T A x": ("A: (N, N)\nx: (N,)\nL = x @ A @ x\n", ["dx = (A + A.T) @ x", "dA = outer(x, x)"]),
    "x/sum(x)": ("x: (D,)\ny: (D,)\np = x/sum(x)\nL = dot(p, y)\n", None),
    "A*A.T": ("A: (N, N)\nB = A*A.T\nL = sum(B**2)/2\n", None),
    "X @ X @ X": ("X: (N, N)\nG = X @ X @ X\nL = sum(G)\n", None),
    "x*x*x": ("x: (D,)\nL = sum(x*x*x)\n", ["dx = 3*x**2"]),
}


@pytest.mark.parametrize("name", TWICE)
def test_an_operand_used_twice_gets_both_gradients(name: str) -> None:
    text, expected = TWICE[name]
    found = delta(proved(derive(net(text))))

    assert expected is None or sorted(found) == sorted(expected)


def test_shared_weights_add_up() -> None:
    d = proved(
        derive(
            net(
                """
                W: (N, N)
                x: (N,)
                z1 = W @ x
                h1 = tanh(z1)
                z2 = W @ h1
                h2 = tanh(z2)
                L = sum(h2**2)/2
                """
            )
        )
    )

    assert "dW = outer(dz1, x) + outer(dz2, h1)" in delta(d)


def test_a_fork_adds_and_says_so() -> None:
    d = proved(derive(net("x: (D,)\nW: (D, D)\nz = W @ x\na = tanh(z)\ny = x + a\nL = sum(y**2)/2\n")))
    steps = d.adjoints["x"].steps

    assert "dx = W.T @ dz + dy" in delta(d) or "dx = dy + W.T @ dz" in delta(d)
    assert [s.via for s in steps if s.rule == "contraction"] == ["z", "y"]
    assert [s.rule for s in steps].count("fork") == 1


def test_a_bias_sums_over_the_batch_and_over_nothing_else() -> None:
    d = derive(net("X: (N, T, D)\nb: (D,)\nc: (T, D)\ns: ()\nZ = X + b + c + s\nL = sum(Z**2)/2\n"))
    lines = dict(line.split(" = ", 1) for line in delta(proved(d)))

    assert lines["db"] == "sum(dZ, axis=(0, 1))"
    assert lines["dc"] == "sum(dZ, axis=0)"
    assert lines["ds"] == "sum(dZ)"
    assert lines["dX"] == "dZ"


# ---- what is asked for -------------------------------------------------------------------------

TWO_LAYERS = """
    X: (N, D)
    W: (D, H)
    V: (H, C)
    Y: (N, C)
    A = tanh(X @ W)
    P = A @ V
    L = sum((P - Y)**2)/2
    assert fixed(X, Y)
    """


def test_held_leaves_are_left_out_with_the_reason() -> None:
    d = derive(net(TWO_LAYERS))

    assert d.wrt == ("W", "V")
    assert d.left_out == {"X": "fixed(X, Y)", "Y": "fixed(X, Y)"}


def test_a_held_leaf_is_differentiated_when_it_is_asked_for() -> None:
    d = proved(derive(net(TWO_LAYERS), ["Y"]))

    assert delta(d) == ["dY = Y - P"]


def test_inner_nodes_may_be_asked_for_and_nothing_below_them_is_derived() -> None:
    d = derive(net(TWO_LAYERS), ["A"])

    assert list(d.adjoints) == ["P", "A"]
    assert d.gradients == ()


def test_the_loss_may_be_asked_for() -> None:
    d = derive(net(TWO_LAYERS), ["L"])

    assert d.adjoints["L"].delta is ONE


def test_what_is_asked_for_twice_is_answered_once() -> None:
    assert derive(net(TWO_LAYERS), ["V", "V"]).wrt == ("V",)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(RequestError, match="'V'"):
        derive(net(TWO_LAYERS), ["VV"])


def test_a_leaf_that_the_loss_does_not_use_has_the_gradient_0() -> None:
    d = proved(derive(net("x: (D,)\nu: (D, H)\ny = tanh(u)\nL = sum(x**2)\n")))

    assert d.adjoints["u"].delta is ZERO
    assert "du = zeros((D, H))" in delta(d)


# ---- facts are used after, never before --------------------------------------------------------


def test_a_one_hot_target_is_differentiated_as_if_it_were_free() -> None:
    text = "z: (K,)\nt: (K,)\np = softmax(z)\nL = -sum(t*log(p))\nassert onehot(t)\n"
    d = proved(derive(net(text), ["z", "t"]))

    assert sorted(delta(d)) == ["dp = -t/p", "dt = -log(p)", "dz = p - t"]
    assert d.adjoints["z"].because == ("onehot(t)",)
    assert d.adjoints["t"].because == ()


def test_without_the_fact_the_sum_stays() -> None:
    d = proved(derive(net("z: (K,)\nt: (K,)\np = softmax(z)\nL = -sum(t*log(p))\n"), ["z"]))

    assert list(backward_lines(d, "closed"))[-1] == "dz = sum(t)*p - t"


def test_a_symmetric_matrix_is_differentiated_as_if_it_were_free() -> None:
    d = derive(net("A: (N, N)\nx: (N,)\ny: (N,)\nL = x @ A @ y\nassert symmetric(A)\n"), ["A"])

    assert delta(d) == ["dA = outer(x, y)"]


def test_a_normalised_vector_is_differentiated_as_if_it_were_free() -> None:
    d = derive(net("q: (K,)\nL = sum(q)**2\nassert sum(q) == 1\n"), ["q"])
    raw = d.adjoints["q"].raw

    assert any(isinstance(x, Reduce) for x in walk(raw))  # 2 Σ q, not 0
    assert delta(d) == ["dq = full((K,), 2)"] or delta(d) == ["dq = 2*ones((K,))"]


# ---- many layers -------------------------------------------------------------------------------


def test_depth_costs_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    layers = 2000
    lines = ["x0: (D,)", "W: (D, D)"]
    for n in range(layers):
        lines.append(f"x{n + 1} = tanh(W @ x{n})")
    lines.append(f"L = sum(x{layers}**2)/2")
    graph = read_network("\n".join(lines))
    before = sys.getrecursionlimit()
    d = derive(graph, ["x0"], closed=False, steps=False)

    assert len(d.adjoints) == layers + 1
    assert delta(d)[-1] == "dx0 = W.T @ (dx1*(1 - x1**2))"
    assert sys.getrecursionlimit() == before


def test_a_closed_form_that_is_too_long_says_why() -> None:
    lines = ["x0: (D,)"]
    for n in range(60):
        lines.append(f"x{n + 1} = tanh(x{n})*x{n}")
    lines.append("L = sum(x60)")
    d = derive(read_network("\n".join(lines)), ["x0"])

    assert d.adjoints["x0"].closed is None
    assert "δ form" in d.adjoints["x0"].why
    assert d.adjoints["x60"].closed is not None


def test_forms_that_were_not_asked_for_say_so() -> None:
    d = derive(net(TWO_LAYERS), closed=False)

    assert all(a.closed is None and a.why == "not asked for" for a in d.adjoints.values())


# ---- the parts ---------------------------------------------------------------------------------


def test_power_slopes() -> None:
    u, y = Entry("u"), Entry("y")

    assert power_slope(y, Pow(u, TWO)) is mul(2, u)
    assert power_slope(y, Pow(u, Num(3))) is mul(3, Pow(u, TWO))
    assert power_slope(y, Pow(u, HALF)) is mul(HALF, Pow(y, MINUS_ONE))
    assert power_slope(y, Pow(u, MINUS_ONE)) is mul(MINUS_ONE, Pow(y, TWO))
    assert power_slope(y, Pow(u, Entry("p"))) is mul(Entry("p"), Pow(u, add(Entry("p"), MINUS_ONE)))


def test_the_negation_of_a_comparison_is_the_opposite_one() -> None:
    x = Entry("x")

    assert negation(Compare(">", x, ZERO)) is Compare("<=", x, ZERO)
    assert negation(negation(Compare("==", x, ZERO))) is Compare("==", x, ZERO)


def test_an_occurrence_is_found_in_every_place() -> None:
    graph = net("x: ()\ny = x*sin(x) + where(x > 0, x**2, x)/x\nL = y**2\n")
    found = list(occurrences(graph["y"], ONE, "x"))

    assert len(found) == 5  # two in the product, two branches, the divisor; not the condition


def test_the_local_slope_of_an_elementwise_function_is_diagonal() -> None:
    graph = net("z: (D,)\na = sigmoid(z)\nL = sum(a)\n")
    entry, slope = local_slope(graph["z"], graph["a"])
    (u,) = [x for x in entry.free if isinstance(x, Index)]

    assert any(isinstance(x, Delta) for x in walk(slope))
    assert slope.free == {u, *graph["z"].indices}


def test_the_local_slope_of_softmax_is_p_times_delta_minus_p() -> None:
    graph = net("z: (D,)\np = softmax(z)\nL = sum(p**2)\n")
    entry, slope = local_slope(graph["z"], graph["p"])
    (k,) = graph["z"].indices

    assert slope is mul(entry, add(Delta(entry.args[0], k), mul(MINUS_ONE, Entry("p", (k,)))))


def test_steps_come_in_reading_order() -> None:
    for a in derive(net(TWO_LAYERS)).adjoints.values():
        rules = [s.rule for s in a.steps]
        assert set(rules) <= set(RULES)
        assert rules[0] == "definition"
        assert rules[-1] == "matrix-form"
        per_path = [r for r in rules if r in ("definition", "chain-rule", "local-slope", "contraction")]
        assert per_path == ["definition", "chain-rule", "local-slope", "contraction"] * (len(per_path) // 4)


def test_an_adjoint_names_the_adjoints_it_uses() -> None:
    d = derive(net(TWO_LAYERS))

    assert d.adjoints["P"].uses == ()
    assert d.adjoints["V"].uses == ("P",)
    assert adjoint("P") in d.adjoints["V"].delta.tensors


def test_a_slope_is_seen_from_the_output_where_books_write_it_so() -> None:
    d = derive(net("z: (D,)\ny: (D,)\na = sigmoid(z)\nL = dot(a, y)\n"), ["z"])

    assert not any(isinstance(x, Call) for x in walk(d.adjoints["z"].delta))
    assert delta(d)[-1] == "dz = da*a*(1 - a)"


def test_decimals_are_shown_with_twelve_digits_and_computed_with_all() -> None:
    d = derive(read_network("w: ()\nz: ()\nL = 1.1*1.1*w*tanh(2.2*z)\n", "n"), ["z"])
    a = d.adjoints["z"]
    assert MathPrinter(d.graph, Unicode()).scalar(Num("1.1439333333333332", decimal=True), {}).text == "1.14393333333"
    assert "1.2100000000000002" not in MathPrinter(d.graph, Unicode()).index(a.delta, {})
    assert numpy_text(d.graph, Num("1.1439333333333332", decimal=True), ()) == "1.1439333333333332"
