"""The convention at a kink is stated for the functions that the network uses, and for no others."""

import pytest

from symbp.derive import derive
from symbp.expr import Call, Entry, Num
from symbp.ops import OPS
from symbp.read.network import read_network
from symbp.show.kinks import conventions, joined
from symbp.show.words import catalogue, languages, say


def of_function(name: str) -> dict[str, tuple[str, ...]]:
    """The conventions of a definition that applies the function to a tensor (and to numbers)."""
    return conventions([Call(name, Entry("x", ()), *(Num(2) for _ in range(OPS[name].arity - 1)))])


def test_every_function_with_a_kink_has_a_convention_and_no_other() -> None:
    kinked = {name for name, row in OPS.items() if row.kinks(*(Entry("x", ()) for _ in range(row.arity)))}
    assert "relu" in kinked
    assert {name for name in OPS if of_function(name)} == kinked


@pytest.mark.parametrize(
    ("expression", "key"),
    [
        (Call("maximum", Num(0), Entry("x", ())), "kink-tie"),
        (Call("maximum", Entry("y", ()), Entry("x", ())), "kink-second"),
        (Call("leaky_relu", Entry("x", ()), Num("0.1")), "kink-left"),
        (Call("abs", Entry("x", ())), "kink"),
    ],
)
def test_the_convention_is_the_one_of_the_function(expression: Call, key: str) -> None:
    assert list(conventions([expression])) == [key]


def test_the_stated_slope_at_a_tie_is_the_slope() -> None:
    x, y = Entry("x", ()), Entry("y", ())
    first, second = (OPS["maximum"].slopes[k](Call("maximum", x, y), x, y) for k in (0, 1))
    assert (first.fn, second.fn) == (">", ">=")


def test_the_smooth_elu_has_none() -> None:
    assert not conventions([Call("elu", Entry("x", ()), Num(1))])


def test_every_convention_has_words_in_every_language() -> None:
    keys = {key for name in OPS for key in of_function(name)} | {"kink-second", "kink-several", "kink-joined"}
    for lang in languages():
        assert keys <= catalogue(lang).keys()
        assert say("two-sentences", lang, "a {1}", "b").replace(" ", "") == "a{1}b"  # what is put in is not read again


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("maximum(0, z) + al*minimum(0, z)", True),  # al at 0, where max and min alone have the slope 0
        ("maximum(0, z)", False),
        ("where(z > 0, z, al*z)", False),
    ],
)
def test_where_masks_are_joined_the_one_sided_slope_is_stated(body: str, expected: bool) -> None:
    d = derive(read_network(f"z: (n,)\nal: ()\na = {body}\nL = sum(a)"))
    assert joined(s for a in d.adjoints.values() for s in d.steps_of(a)) is expected
