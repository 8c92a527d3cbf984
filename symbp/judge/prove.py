"""Proof of a correct claim: not only are the values equal, the expressions are.

The student's formula is read as an expression of one entry, as a network's own lines are, and
proved equal to the derived gradient by the laws of symbp/prove.py. Where no proof is found, or the
formula is long, the verdict rests on numbers.
"""

from __future__ import annotations

from symbp.claim import Claim, Tree
from symbp.errors import SymbpError
from symbp.expr import ZERO, Entry, Expr, Index
from symbp.graph import Node, adjoint
from symbp.judge.lexicon import Lexicon
from symbp.judge.text import NoText, numpy_text
from symbp.prove import Prover
from symbp.read.formula import FormulaReader, Scope
from symbp.read.source import parse
from symbp.sizes import Sizes
from symbp.tensor import Tensor

LONGEST = 60  # nodes of a formula that is worth a proof


def proved(lexicon: Lexicon, claim: Claim, link: Tree) -> bool:
    """Is the link the derived gradient of what the claim is about, by algebra and facts alone?"""
    if not claim.about or claim.left is None or claim.left.op != "gradient":
        return False
    a = lexicon.points.derivation.adjoints.get(claim.about)
    if a is None or link.weight > LONGEST:
        return False
    if link is lexicon.delta(claim.about):
        return True
    expression = _expression(lexicon, link, a.node)
    return expression is not None and _prover(lexicon).equal(expression, a.delta) is not None


def _prover(lexicon: Lexicon) -> Prover:
    if lexicon.prover is None:
        deltas = {n: a.delta for n, a in lexicon.points.derivation.adjoints.items()}
        lexicon.prover = Prover(lexicon.graph, deltas)
    return lexicon.prover


def _expression(lexicon: Lexicon, link: Tree, node: Node) -> Expr | None:
    """The entry of a formula at the node's own indices; None for what is not in the language."""
    graph = lexicon.graph
    tensors: dict[str, Tensor] = {}
    for n, v in graph.nodes.items():
        tensors[n] = Tensor(v.shape, _entry_of(n))
        tensors.setdefault(graph.adjoint_name(n), Tensor(v.shape, _entry_of(adjoint(n))))
    names = {n for n in graph.sizes if not n.isdigit()} | set(graph.relations)
    try:
        text = numpy_text(_named(lexicon, link))
        module, source = parse(text)
        scope = Scope(Sizes(), tensors, dict(graph.constants), names)
        found = FormulaReader(source, scope).tensor(module.body[0].value)  # type: ignore[attr-defined]
        if len(found.shape) != len(node.axes):
            return None
        return found.entry(tuple(a if isinstance(a, Index) else ZERO for a in node.axes))
    except (NoText, SymbpError, AssertionError, AttributeError, RecursionError):
        return None


def _entry_of(name: str):  # type: ignore[no-untyped-def]
    return lambda idx: Entry(name, idx)


def _named(lexicon: Lexicon, tree: Tree) -> Tree:
    """Gradients by the names that a program gives them."""
    if tree.op == "gradient":
        return Tree("name", (), (lexicon.graph.adjoint_name(tree.data[0]),) * 2)
    return tree.with_args([_named(lexicon, a) for a in tree.args]) if tree.args else tree
