"""The prover: what it proves is equal at random points, and what is not equal is not proved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from symbp.arithmetic import length
from symbp.derive import derive
from symbp.evaluate import run
from symbp.expr import MINUS_ONE, Add, Call, Compare, Delta, Entry, Expr, Index, Mul, Num, Pow, Reduce, Size, mul, text
from symbp.graph import Graph
from symbp.normal import Normaliser
from symbp.prove import Prover
from symbp.read.network import read_network
from symbp.sample import choose_sizes, draw

NETWORK = """
x: (N, D)
t: (N, D)
y: (N,)
w: (D,)
M: (N, D)
A: (D, D)
eps: ()
mu = mean(x, axis=1, keepdims=True)
var = mean((x - mu)**2, axis=1, keepdims=True)
s = sqrt(var + eps)
xh = (x - mu)/s
p = softmax(x @ A, axis=1)
g = sigmoid(x)
h = M*g
L = sum(xh*p) + sum(h*t) + sum(y)
assert onehot(t, axis=1)
assert pm1(y)
assert binary(M)
assert symmetric(A)
assert eps > 0
"""
GRAPH = read_network(NETWORK)
i, j, k = Index("i", Size("N")), Index("j", Size("D")), Index("k", Size("D"))


def at(name: str, *letters: Index) -> Entry:
    axes = iter(letters)
    return Entry(name, tuple(next(axes) if isinstance(a, Index) else Num(0) for a in GRAPH[name].axes))


def total(letters: tuple[Index, ...], e: Expr) -> Expr:
    return Reduce("sum", letters, e)


def minus(e: Expr) -> Expr:
    return mul(MINUS_ONE, e)


ONE, TWO = Num(1), Num(2)
x, t, mu, s, xh, p, g, h, M, y = (
    at("x", i, j), at("t", i, j), at("mu", i), at("s", i), at("xh", i, j), at("p", i, j), at("g", i, j), at("h", i, j),
    at("M", i, j), at("y", i),
)  # fmt: skip

EQUAL = [
    (Add((x, minus(mu))), mul(xh, s)),
    (mul(x, Pow(s, MINUS_ONE)), Add((xh, mul(mu, Pow(s, MINUS_ONE))))),
    (total((j,), Add((x, minus(mu)))), Num(0)),
    (total((j,), xh), Num(0)),
    (total((j,), t), ONE),
    (total((j,), p), ONE),
    (Pow(y, TWO), ONE),
    (Pow(t, TWO), t),
    (mul(M, h), h),
    (mul(t, total((k,), mul(at("t", i, k), at("x", i, k)))), mul(t, x)),
    (Add((ONE, minus(Call("sigmoid", minus(x))))), g),
    (Add((Call("softplus", x), minus(Call("softplus", minus(x))))), x),
    (mul(Call("exp", x), Pow(Add((ONE, Call("exp", x))), MINUS_ONE)), g),
    (Call("exp", Add((x, mu))), mul(Call("exp", x), Call("exp", mu))),
    (Add((Call("relu", x), minus(Call("relu", minus(x))))), x),
    (mul(Call("abs", x), Call("abs", x)), Pow(x, TWO)),
    (mul(Call("relu", x), Compare(">", x, Num(0))), Call("relu", x)),
    (Compare(">", mul(M, Call("relu", x)), Num(0)), mul(M, Compare(">", x, Num(0)))),
    (Add((mul(y, Pow(g, MINUS_ONE)), mul(x, Pow(Add((ONE, minus(g))), MINUS_ONE)))),
     mul(Add((mul(y, Add((ONE, minus(g)))), mul(x, g))), Pow(g, MINUS_ONE), Pow(Add((ONE, minus(g))), MINUS_ONE))),
    (total((k,), mul(at("A", k, j), at("w", k))), total((k,), mul(at("A", j, k), at("w", k)))),
    (total((i, j), mul(x, at("w", j), Pow(total((k,), mul(at("x", i, k), at("w", k))), MINUS_ONE))), Size("N")),
    (total((i,), total((k,), mul(at("x", i, k), at("A", k, j)))),
     total((k,), mul(at("A", j, k), total((i,), at("x", i, k))))),
]  # fmt: skip

DIFFERENT = [
    (Add((x, minus(mu))), xh),
    (mul(M, g), g),
    (Pow(x, TWO), x),
    (total((i,), t), ONE),
    (total((i, j), mul(x, at("w", j), Pow(total((k,), mul(at("x", i, k), at("w", k))), MINUS_ONE))), Size("D")),
    (Add((ONE, minus(Call("sigmoid", x)))), g),
    (total((k,), mul(at("A", k, j), at("w", k))), at("w", j)),
    (Call("abs", x), x),
]


def values(graph: Graph, *both: Expr) -> list[np.ndarray]:
    sizes = choose_sizes(graph)
    assert sizes is not None
    point = draw(graph, sizes, np.random.default_rng(3))
    assert not point.reason
    state = run(graph, point.leaves, sizes)
    letters = tuple(sorted(frozenset().union(*(e.free for e in both)), key=lambda a: a.name))
    return [state(e, letters) for e in both]


@pytest.mark.parametrize(("left", "right"), EQUAL, ids=str)
def test_equal_expressions_are_proved_equal(left: Expr, right: Expr) -> None:
    assert Prover(GRAPH).equal(left, right) is not None
    np.testing.assert_allclose(*values(GRAPH, left, right), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("left", "right"), DIFFERENT, ids=str)
def test_different_expressions_are_not(left: Expr, right: Expr) -> None:
    assert Prover(GRAPH).equal(left, right) is None
    assert not np.allclose(*values(GRAPH, left, right))


def test_a_proof_names_the_definitions_and_facts_that_it_rests_on() -> None:
    prover = Prover(GRAPH)
    fold, fact, plain = (
        prover.equal(Add((x, minus(mu))), mul(xh, s)),
        prover.equal(Pow(y, TWO), ONE),
        prover.equal(x, x),
    )

    assert fold is not None and fold.definitions == ("xh",)
    assert fact is not None and [f.text for f in fact.facts] == ["pm1(y)"]
    assert plain is not None and plain == type(plain)()


def test_what_does_not_fit_in_the_limits_is_not_proved_and_does_not_hang() -> None:
    wide = Mul([Add([Entry(f"a{n}{m}") for m in range(4)]) for n in range(8)])

    assert Prover(GRAPH).equal(wide, Mul(wide.args[::-1])) is None


def test_every_form_of_a_layer_norm_is_proved_equal_to_what_the_chain_rule_gives() -> None:
    graph = read_network((Path(__file__).parent / "golden" / "layer-norm.symbp").read_text(encoding="utf-8"))
    derivation = derive(graph, steps=False)
    prover = Prover(graph, {n: a.delta for n, a in derivation.adjoints.items()})

    for a in derivation.adjoints.values():
        assert prover.equal(a.raw, a.delta) is not None
        assert length(a.delta) <= length(a.raw)


T_SNE = """
Y: (N, d)
P: (N, N)
E = reshape(Y, (N, 1, d)) - Y
K = (1 - eye(N)) / (1 + sum(E**2, axis=2))
Q = K / sum(K)
L = sum(P * log((P + eye(N)) / (Q + eye(N))))
assert P >= 0
assert symmetric(P)
assert sum(P) == 1
"""


def test_a_matrix_with_nothing_on_its_diagonal_and_one_that_sums_to_a_number_are_used_in_proofs() -> None:
    graph = read_network(T_SNE + "assert diag(P) == 0\n")
    a, b, n, m = (Index(letter, Size("N")) for letter in ("a", "b", "n", "m"))
    pairs, off = {}, Add((ONE, minus(Delta(a, b))))
    for name in "PQK":
        pairs[name] = Entry(name, (a, b))
    quotient = mul(pairs["Q"], pairs["P"], Pow(Add((pairs["Q"], Delta(a, b))), Num(-1)))
    prover = Prover(graph)
    proof = prover.equal(quotient, pairs["P"])
    assert proof is not None and [f.text for f in proof.facts] == ["diag(P) == 0"]
    assert prover.equal(mul(pairs["P"], off), pairs["P"]) is not None
    assert prover.equal(Reduce("sum", (a, b), mul(pairs["P"], off)), ONE) is not None
    assert prover.equal(Reduce("sum", (n, m), Entry("P", (n, m))), ONE) is not None
    assert prover.equal(mul(pairs["Q"], Add((pairs["Q"], Delta(a, b)))), pairs["Q"]) is None
    column = Index("k", Size("d"))
    difference = Entry("E", (a, b, column))  # Y_a − Y_b, which is 0 beside a δ_ab
    assert prover.vanishes(mul(difference, Delta(a, b))) is not None
    assert prover.equal(mul(difference, off), difference) is not None
    assert prover.vanishes(mul(Entry("Y", (a, column)), Delta(a, b))) is None
    assert Prover(read_network(T_SNE)).equal(quotient, pairs["P"]) is None  # P may have a diagonal


def test_the_gradient_of_t_sne_is_the_published_one_and_found_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 0

    def spend(self: Normaliser, products: int) -> None:
        nonlocal spent
        spent += products
        counted(self, products)

    counted = Normaliser.spend
    monkeypatch.setattr(Normaliser, "spend", spend)
    closed = derive(read_network(T_SNE + "assert diag(P) == 0\n"), ["Y"]).adjoints["Y"].closed
    assert closed is not None and text(closed).count("P[") == 1 and length(closed) <= 6
    assert spent < 5_000  # products of monomials
