"""Local problems: what differs in names only is derived once and renamed."""

from __future__ import annotations

import pytest

from symbp.derive import LocalProblems, derive
from symbp.expr import Call, Entry, Index, Reduce, Size, add, fresh, mul, total
from symbp.graph import adjoint
from symbp.local import change_in_sum, local_problem, placed, rename, skeleton
from symbp.read.network import read_network
from symbp.steps import Derivation

N, D = Size("N"), Size("D")
i, j = Index("i0", N), Index("i1", D)


def product(a: str, b: str) -> Reduce:
    k = fresh(N)
    found = total((k,), mul(Entry(a, (i, k)), Entry(b, (k, j))))
    assert isinstance(found, Reduce)
    return found


def test_two_layers_have_one_skeleton() -> None:
    one, two = ({}, {})  # type: tuple[dict[str, str], dict[str, str]]

    assert skeleton(product("X", "W1"), one) == skeleton(product("A1", "W2"), two)
    assert one == {"X": "0", "W1": "1"}
    assert two == {"A1": "0", "W2": "1"}


def test_a_square_is_not_a_product_of_two() -> None:
    assert skeleton(product("X", "X"), {}) != skeleton(product("X", "W"), {})


def test_a_tensor_and_its_adjoint_share_a_number() -> None:
    numbers: dict[str, str] = {}
    e = mul(Entry("z", (i,)), Entry(adjoint("z"), (i,)))

    other = mul(Entry("a", (i,)), Entry(adjoint("a"), (i,)))
    assert skeleton(e, numbers) == skeleton(other, {})
    assert skeleton(e, {}) != skeleton(mul(Entry("a", (i,)), Entry("a", (i,))), {})
    assert numbers == {"z": "0"}


def test_numbers_given_before_are_kept() -> None:
    numbers = {"b": "0"}

    e = add(Entry("a", (i,)), Entry("b", (i,)))

    assert skeleton(e, numbers) != skeleton(e, {})
    assert numbers == {"b": "0", "a": "1"}


def test_shared_parts_are_written_once() -> None:
    e = Call("tanh", Entry("x", (i,)))
    for _ in range(60):
        e = mul(add(e, e), Call("exp", e))

    assert len(skeleton(e, {})) < 1000


def test_rename_swaps_names_at_once() -> None:
    e = add(Entry("a", (i,)), Call("tanh", Entry("b", (i,))), Entry(adjoint("a"), (i,)))
    swapped = rename(e, {"a": "b", "b": "a"})

    assert swapped is add(Entry("b", (i,)), Call("tanh", Entry("a", (i,))), Entry(adjoint("b"), (i,)))
    assert rename(swapped, {"a": "b", "b": "a"}) is e


def test_rename_goes_into_indices_and_reductions() -> None:
    e = total((i,), Entry("x", (Entry("place", (i,)),)))

    assert rename(e, {"place": "q"}).tensors == {"x", "q"}


def deep(layers: int) -> Derivation:
    lines = ["a0: (N, D)"]
    for n in range(1, layers + 1):
        lines += [f"W{n}: (D, D)", f"z{n} = a{n - 1} @ W{n}", f"a{n} = tanh(z{n})"]
    lines.append(f"L = sum(a{layers}**2)/2")
    return derive(read_network("\n".join(lines)))


def test_like_layers_are_derived_once_and_say_what_they_are_like() -> None:
    derivation = deep(6)
    first = {a.like for n, a in derivation.adjoints.items() if n.startswith("W") and a.like}

    assert len(first) == 1
    # a0 has a sibling leaf that is derived first, so it is a problem of its own
    assert sum(bool(a.like) for a in derivation.adjoints.values()) >= 10


def test_what_was_recalled_equals_what_would_have_been_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    recalled = deep(5)
    monkeypatch.setattr(LocalProblems, "recall", lambda *_: None)
    derived = deep(5)

    assert not any(a.like for a in derived.adjoints.values())
    for name, a in derived.adjoints.items():
        other = recalled.adjoints[name]
        assert other.raw is a.raw
        assert other.delta is a.delta
        assert other.closed is a.closed
        assert recalled.steps_of(other) == derived.steps_of(a)


def test_a_tensor_with_a_fact_is_not_taken_for_one_without() -> None:
    derivation = derive(
        read_network(
            """
            a: (N,)
            s: (N,)
            t: (N,)
            x = a*s**2
            y = x*t**2
            z = y*a
            w = z*z
            L = sum(w)
            assert pm1(s)
            """.replace("            ", "")
        ),
        ["a"],
    )
    text = repr(derivation.adjoints["a"].closed)

    assert "s" not in derivation.adjoints["a"].delta.tensors
    assert "t" in derivation.adjoints["x"].delta.tensors, text


STEPS = """
U: (D, D)
h0: (D,)
y1: (D,)
y2: (D,)
y3: (D,)
h1 = tanh(U @ h0)
h2 = tanh(U @ h1)
h3 = tanh(U @ h2)
g = exp(h3)
L = sum((h1 - y1)**2) + sum((h2 - y2)**2) + sum((h3 - y3)**2) + sum(g)
assert y3 > 0
"""


def test_a_place_is_a_kind_and_numbers() -> None:
    numbers: dict[str, str] = {}

    one, two = placed(product("X", "W1"), numbers), placed(product("W1", "X"), numbers)
    assert one[0] == two[0] == placed(product("A", "B"), {})[0]
    assert one[1:] == ("0", "1")
    assert two[1:] == ("1", "0")


def test_a_problem_is_its_definitions_and_facts_too() -> None:
    graph = read_network(STEPS)

    def problem(*names: str) -> tuple[object, ...]:
        return local_problem(graph, mul(*(Entry(n, (i,)) for n in names)), {})

    assert problem("h1", "y1") == problem("h2", "y2")
    assert problem("h1", "y1") != problem("g", "y1")  # an exponential is no tanh
    assert problem("h1", "y1") != problem("h3", "y3")  # y3 is positive


def test_changes_of_alike_summands_are_alike() -> None:
    graph = read_network(STEPS)
    terms = [mul(Entry(adjoint(f"h{n}"), (i,)), Entry(f"y{n}", (i,))) for n in (1, 2)]
    form = [mul(Entry(f"h{n}", (i,)), Entry(f"y{n}", (i,))) for n in (1, 2)]
    other = mul(Entry("g", (i,)), Entry("y2", (i,)))

    first = change_in_sum(graph, add(*terms), add(form[0], terms[1]))
    assert first == change_in_sum(graph, add(*terms), add(terms[0], form[1]))
    assert first != change_in_sum(graph, add(*terms), add(terms[0], other))
