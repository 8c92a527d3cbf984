"""A mistake as a sentence that a student understands, in the languages of the catalogue.

Every kind of mistake has several sentences (`slip-…` in `symbp/lang/*.po`), with places for what stands
(`{old}`), what should stand (`{new}`), what is missing or too many (`{detail}`, `{amount}`), the variable (`{x}`),
the function (`{f}`), its derivative (`{slope}`) and the node (`{node}`, `{at}`). The first whose places can all be
filled is said; the last of each kind has none that may be empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction

from symbp import claim as c
from symbp.claim import Claim, Tree
from symbp.judge.naming import Mistake
from symbp.judge.rewrite import ONE
from symbp.show.words import ENGLISH, catalogue, fill, places_of, say

_SPACES = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
LONGEST = 90  # parts that are longer are not quoted


def title(name: str, lang: str = ENGLISH) -> str:
    """The name of a mistake in a word or two."""
    return say(f"mistake-{name}", lang)


def sentence(mistake: Mistake, claim: Claim, loss: str, spell: Callable[[Tree], str], lang: str = ENGLISH) -> str:
    """What is wrong, in one or two sentences. `spell` writes a tree in the student's notation, or
    returns an empty text."""
    first = _one(mistake, claim, loss, spell, lang)
    if mistake.second is None:
        return first
    second = _one(mistake.second, claim, loss, spell, lang)
    return fill("slip-two", lang, {"first": first, "second": second})


def _one(m: Mistake, claim: Claim, loss: str, spell: Callable[[Tree], str], lang: str) -> str:
    def shown(tree: Tree | None) -> str:
        text = spell(tree) if tree is not None else ""
        return text if len(text) <= LONGEST else ""

    amount, _ = _amount(m)
    places = {
        "old": shown(m.old) if m.tree is not None else "",
        "new": shown(m.new) if m.tree is not None else "",
        "detail": shown(m.detail),
        "amount": shown(amount),
        "slope": shown(m.slope),
        "x": claim.about or claim.defines,
        "f": _function(m, lang),
        "node": m.node,
        "at": m.at,
        "loss": loss,
    }
    for kind in _kinds(m, claim):
        key = f"slip-{m.name}{'-' if kind else ''}{kind}"
        if key in catalogue(ENGLISH) and all(places[p] for p in places_of(key)):
            return _SPACES.sub("", fill(key, lang, places))
    return say("slip-other-bare", lang)


def _function(m: Mistake, lang: str) -> str:
    """The function of a slope in words; a node that has no function of a name is called by its own."""
    key = f"function-{m.function}"
    return say(key, lang) if key in catalogue(ENGLISH) else m.function


def _amount(m: Mistake) -> tuple[Tree | None, bool]:
    """A constant factor, and whether it is missing (else it is too many); None where it is neither."""
    by, old, new = m.detail, m.old, m.new
    if by is None or old is None or new is None or m.name not in ("factor", "missing-mean-factor"):
        return None, False
    if m.kind == "delete-factor":
        return by, False
    if m.kind == "multiply":
        return by, True
    if m.kind == "divide" or old.weight == new.weight:
        return (_inverse(by), True) if m.kind == "divide" else (None, False)
    return (by, True) if new.weight > old.weight else (_inverse(by), False)


def _inverse(tree: Tree) -> Tree:
    if tree.op == "number" and tree.data[0]:
        return c.number(1 / Fraction(tree.data[0]))
    if tree.op == "product" and tree.args[0] is ONE and tree.data[0] == (1, -1):
        return tree.args[1]
    return c.product((ONE, tree), (1, -1))


def _kinds(m: Mistake, claim: Claim) -> Iterator[str]:
    """The sentences that might be said of a mistake, the one that says most first."""
    kind = m.kind
    match m.name:
        case "sign" if m.whole:
            yield from ("update",) if claim.update else ()
            yield "whole"
        case "factor" | "missing-mean-factor":
            amount, missing = _amount(m)
            if kind == "mean":
                yield "mean"
            if amount is not None:
                way = "missing" if missing else "extra"
                yield from (f"{way}-whole",) if m.whole else (way,)
        case "missing-transpose":
            yield from _transposes(m)
        case "index-swap":
            yield "index" if kind == "index" else "name" if kind in ("name", "names", "replace") else ""
        case "hadamard-vs-matmul":
            yield from _products(m)
        case "missing-path":
            if kind == "product-rule":
                yield "product"
            if kind == "symmetric":
                yield "symmetric"
            if m.at and m.at != claim.about:
                yield from ("at", "there")
            else:
                yield ""
            yield "new"
        case "missing-term":
            yield "add"
        case "missing-activation-derivative":
            if kind == "slope-of-one":
                yield "one"
            yield from ("", "inside", "step")
        case "wrong-activation-derivative":
            if kind == "forgotten":
                yield "softmax"
            if kind == "exponent":
                yield from ("exponent", "power")
            if kind == "comparison":
                yield "comparison"
            if kind in ("value", "delete-factor"):
                yield "missing" if kind == "value" else "extra"
            yield from ("", "new", "is")
        case "wrong-argument":
            yield {"sign": "sign", "signs": "sign", "scale": "factor", "axis": "axis", "gate": "gate"}.get(kind, "")
        case "missing-factor":
            if m.whole:
                yield ""
            yield from ("there", "new", "")
        case "extra-term":
            if kind == "delete-term":
                yield "summand"
            if kind == "unreduce":
                yield "sum"
            yield from ("", "new")
    yield from ("", "bare")


def _transposes(m: Mistake) -> Iterator[str]:
    if m.old is not None and m.new is not None:
        old, new = (sum(t.op == "transpose" for t in x.walk()) for x in (m.old, m.new))
        if old != new:
            yield "extra" if new < old else ""
        else:
            yield "moved"


def _products(m: Mistake) -> Iterator[str]:
    if m.old is not None and m.new is not None:
        new = {t.op if t.op != "call" else str(t.data[0]) for t in m.new.walk()}
        old = {t.op if t.op != "call" else str(t.data[0]) for t in m.old.walk()}
        for sign, kind in (("outer", "outer"), ("chain", "matrix"), ("product", "elementwise")):
            if sign in new - old:
                yield kind


KINDS = (
    "sign-whole", "sign-update", "factor-missing", "factor-missing-whole", "factor-extra", "factor-extra-whole",
    "missing-mean-factor-missing", "missing-mean-factor-missing-whole", "missing-mean-factor-extra",
    "missing-mean-factor-extra-whole", "missing-mean-factor-mean", "missing-transpose-extra",
    "missing-transpose-moved", "index-swap-index", "index-swap-name", "hadamard-vs-matmul-outer",
    "hadamard-vs-matmul-matrix", "hadamard-vs-matmul-elementwise", "missing-path-product", "missing-path-symmetric",
    "missing-path-at", "missing-path-there", "missing-path-new", "missing-term-add",
    "missing-activation-derivative-one", "missing-activation-derivative-inside", "missing-activation-derivative-step",
    "wrong-activation-derivative-softmax", "wrong-activation-derivative-exponent",
    "wrong-activation-derivative-power", "wrong-activation-derivative-comparison",
    "wrong-activation-derivative-missing", "wrong-activation-derivative-extra", "wrong-activation-derivative-new",
    "wrong-activation-derivative-is", "wrong-argument-sign", "wrong-argument-gate", "wrong-argument-factor",
    "wrong-argument-axis", "missing-factor-there", "missing-factor-new", "extra-term-summand", "extra-term-sum",
    "extra-term-new",
)  # fmt: skip
"""Sentences beside the plain and the bare one of every name: all must be in the catalogue."""
