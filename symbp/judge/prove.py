"""Proof of a correct claim: when its formula is the derived one, not only in value.

A claim is proved when its tree, with the arithmetic that every reader does in the head (order of
summands and factors, brackets, signs, numbers) is the tree of the derivation.
"""

from __future__ import annotations

from symbp.claim import Claim, Tree
from symbp.judge.lexicon import Lexicon


def proved(lexicon: Lexicon, claim: Claim, link: Tree) -> bool:
    """Is the link the derived formula of what the claim is about?"""
    if not claim.about or claim.left is None or claim.left.op != "gradient":
        return False
    return any(link is form for form in lexicon.forms(claim.about))
