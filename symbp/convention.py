"""δ := −∂L/∂z: the same derivation with the other sign of the error terms.

Half of the textbooks define an error term as the negative derivative. This turns a derivation
around: every adjoint of an inner node is replaced by minus itself, in its own forms and wherever
it is used, and the signs are tidied by the laws that any result goes through. Leaves keep ∂L/∂W.
"""

from __future__ import annotations

from dataclasses import replace

from symbp.expr import MINUS_ONE, Entry, Expr, Mul, Over, mul, neg, walk
from symbp.expr import replace as rewrite
from symbp.graph import primal
from symbp.simplify import Simplifier
from symbp.steps import Adjoint, Derivation, Step


def minus(derivation: Derivation) -> Derivation:
    """The derivation in error terms δ = −∂L/∂z; its checks stay as measured."""
    simplify = Simplifier(derivation.graph)

    def turned(e: Expr, inner: bool) -> Expr:
        """`e` in the new error terms, negated if it is one itself."""
        opposite = rewrite(e, _opposite)
        if any(isinstance(x, Over) for x in walk(opposite)):
            return rewrite(neg(opposite) if inner else opposite, sums)
        return simplify(neg(opposite) if inner else opposite).result

    def sums(e: Expr) -> Expr | None:
        """A minus in front of a sum over a loop, not behind it."""
        if not isinstance(e, Over):
            return None
        body = rewrite(e.body, sums)
        body = body if isinstance(body, Over) else simplify(body).result
        minus = isinstance(body, Mul) and body.args[0] is MINUS_ONE
        rest = mul(*body.args[1:]) if minus else body
        return mul(MINUS_ONE, Over(e.var, e.low, e.high, rest)) if minus else Over(e.var, e.low, e.high, body)

    def turn(a: Adjoint) -> Adjoint:
        inner = not a.node.is_leaf
        delta = turned(a.delta, inner)
        closed = a.closed if a.closed is None or not inner else turned(a.closed, inner)
        return replace(
            a,
            raw=turned(a.raw, inner),
            delta=delta,
            closed=closed,
            steps=tuple(step(s, inner) for s in derivation.steps_of(a)),
        )

    def step(s: Step, inner: bool) -> Step:
        if s.rule in ("definition", "chain-rule", "local-slope"):
            return s
        return replace(s, lines=tuple(turned(e, inner) for e in s.lines))

    return replace(derivation, adjoints={n: turn(a) for n, a in derivation.adjoints.items()})


def _opposite(e: Expr) -> Expr | None:
    if isinstance(e, Entry):
        return mul(MINUS_ONE, e) if primal(e.tensor) is not None else e
    return None
