"""Proof of a correct claim: not only are the values equal, the expressions are.

Both sides are read as expressions of one entry (entries.py), as a network's own lines are, and proved
equal by the laws of symbp/prove.py, by definitions, facts and the derived gradients. Where no proof
is found, or the formula is long, the verdict rests on numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from symbp.claim import Claim, Tree
from symbp.errors import SymbpError
from symbp.expr import ONE, ZERO, Expr, Index, fresh
from symbp.judge.entries import Entries, NoEntry
from symbp.judge.lexicon import Lexicon
from symbp.prove import Prover
from symbp.tensor import Tensor

LONGEST = 60  # nodes of a formula that is worth a proof


def proved(lexicon: Lexicon, claim: Claim, link: Tree) -> bool:
    """Is the link the left side, a derived gradient or a node, by definitions, algebra and facts alone?"""
    left, a = claim.left, lexicon.points.derivation.adjoints.get(claim.about)
    if left is None or (claim.about and a is None) or link.weight > LONGEST:
        return False
    if left.op == "gradient" and link is lexicon.delta(claim.about):
        return True
    entries = Entries(lexicon.graph)
    try:
        true, said = entries(left), entries(link)
        lengths = [[d for d in x.shape if d is not ONE] for x in (true, said)]
        if len(lengths[0]) != len(lengths[1]):
            return False
        if a is not None and left.op == "gradient":  # the derived form is at hand, in the node's own letters
            places = [i for i in a.node.axes if isinstance(i, Index)]
            return _prover(lexicon).equal(_at(said, places), a.delta) is not None
        places = [fresh(d) for d in lengths[0]]
        return _prover(lexicon).equal(_at(said, places), _at(true, places)) is not None
    except (NoEntry, SymbpError):
        return False


def _at(x: Tensor, places: Sequence[Index]) -> Expr:
    """One entry; axes of length 1 are no places."""
    rest = iter(places)
    return x.entry(tuple(ZERO if d is ONE else next(rest) for d in x.shape))


def _prover(lexicon: Lexicon) -> Prover:
    if lexicon.prover is None:
        deltas = {n: a.delta for n, a in lexicon.points.derivation.adjoints.items()}
        lexicon.prover = Prover(lexicon.graph, deltas)
    return lexicon.prover
