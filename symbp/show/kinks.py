"""The conventions at kinks: what was taken as the slope where a function has none.

Only the conventions that the network in hand needs are stated, each about the function it uses. A function of the
table that has a kink and no line here would pass unmentioned; a test compares the two.
"""

from collections.abc import Iterable

from symbp.expr import ONE, Call, Expr, Reduce, walk
from symbp.steps import Step

_SENTENCES = ("kink", "kink-left", "kink-tie", "kink-second", "kink-several")  # in the order they are said

_OF = {
    "relu": "kink",
    "abs": "kink",
    "sign": "kink",
    "step": "kink",
    "leaky_relu": "kink-left",
    "elu": "kink-left",
    "selu": "kink-left",
}


def conventions(bodies: Iterable[Expr]) -> dict[str, tuple[str, ...]]:
    """Sentence key -> the functions it is about, for the definitions given."""
    found: dict[str, dict[str, None]] = {}
    for body in bodies:
        for e in walk(body):
            for key, function in _conventions_of(e):
                found.setdefault(key, {})[function] = None
    return {key: tuple(found[key]) for key in _SENTENCES if key in found}


def joined(steps: Iterable[Step]) -> bool:
    """Did a law join the masks of two conventions in one condition, whose slope at the kink is then another?"""
    laws = (step.law.formula.split(", ") for step in steps if step.law is not None)
    return any(not {"kinked", "clipped_minimum"}.isdisjoint(applied) for applied in laws)


def _conventions_of(e: Expr) -> Iterable[tuple[str, str]]:
    match e:
        case Reduce(op=("max" | "min") as op):
            yield "kink-several", op
        case Call(fn=("maximum" | "minimum") as fn):
            constant = any(not x.tensors for x in e.args)
            yield "kink-tie" if constant else "kink-second", fn[:3]
        case Call(fn="elu") if e.args[1] is ONE:
            return  # its slope is 1 on both sides
        case Call(fn=fn) if fn in _OF:
            yield _OF[fn], fn
