"""A network of scalars, gate by gate: what is drawn as a circuit.

`split` cuts every body into gates of one operation each, and gives every wire that leaves a fork a
node of its own (a copy, `q→1`), so that the gradient of that wire alone has a name. The result is
a graph like any other: the engine that derives the network derives its circuit, and the gradients
at every gate, and how they add up at a fork, are its results.

    f = w*x + 1         f·1 = w*x,  f = f·1 + 1
    u = q*z, v = q**2   q→1 = q,  q→2 = q,  u = q→1*z,  v = q→2**2

Constants belong to the gate that uses them (`+1`, `×2`), so every input of a gate is a wire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from symbp.expr import MINUS_ONE, ONE, Add, Apply, Call, Compare, Entry, Expr, Mul, Num, Pow, Reduce, Select, add, mul
from symbp.expr import replace as rewrite
from symbp.graph import Graph, Node

GATE, COPY = "·", "→"  # no declared name holds them
MOST_GATES = 400


@dataclass(frozen=True)
class Circuit:
    """The split network. `source` names the node whose value a copy hands on."""

    graph: Graph
    source: Mapping[str, str]


def is_scalar(graph: Graph) -> bool:
    """Whether every node is one number, computed from single numbers."""
    return all(
        n.shape == () and (n.body is None or not any(isinstance(x, Reduce) for x in _inside(n.body)))
        for n in graph.nodes.values()
    )


def _inside(e: Expr) -> Iterable[Expr]:
    """Subexpressions, but for the operands of unknown maps, which are tensors as a whole."""
    yield e
    if not isinstance(e, Apply):
        for a in e.args:
            yield from _inside(a)


def split(graph: Graph) -> Circuit | None:
    """The circuit of a network of scalars; None when it would have more than `MOST_GATES` gates."""
    nodes: dict[str, Node] = {}
    for node in graph.nodes.values():
        if node.body is not None:
            _Cutter(node, nodes).cut()
        else:
            nodes[node.name] = node
        if len(nodes) > MOST_GATES:
            return None
    nodes, source = _forked(nodes)
    return Circuit(replace(graph, nodes=nodes), source)


class _Cutter:
    """Cuts one body; gates go to `nodes` in the order in which they are computed."""

    def __init__(self, node: Node, nodes: dict[str, Node]) -> None:
        self.node, self.nodes, self.made = node, nodes, 0

    def cut(self) -> None:
        assert self.node.body is not None
        top = self.gate(self.node.body)
        self.nodes[self.node.name] = replace(self.node, body=top)

    def wire(self, e: Expr) -> Expr:
        """An operand: a constant, or an entry that carries its value."""
        if not e.tensors or isinstance(e, Entry):
            return e
        body = self.gate(e)
        self.made += 1
        name = f"{self.node.name}{GATE}{self.made}"
        self.nodes[name] = Node(name, (), (), body)
        return Entry(name)

    def gate(self, e: Expr) -> Expr:
        """The outermost operation, its operands being wires."""
        match e:
            case Add():
                return self.sum(e)
            case Mul():
                return self.product(e)
            case Pow():
                return self.power(e)
            case Call():
                return Call(e.fn, *map(self.wire, e.args))
            case Compare():
                return Compare(e.fn, *map(self.wire, e.args))
            case Select():
                return Select(*map(self.wire, e.args))
        return e

    def sum(self, e: Add) -> Expr:
        """`a + b + …`; `a − b`; and a constant added to what goes through."""
        moving = [a for a in e.args if a.tensors]
        fixed = add(*(a for a in e.args if not a.tensors))
        constant = len(moving) < len(e.args)
        if len(moving) == 1:
            below = _negated(moving[0])
            return Add((fixed, mul(MINUS_ONE, self.wire(below))) if below else (self.wire(moving[0]), fixed))
        if constant:
            return Add((self.wire(Add(moving)), fixed))
        if len(moving) == 2:
            for first, second in (moving, reversed(moving)):
                below = _negated(second)
                if below and not _negated(first):
                    return Add((self.wire(first), mul(MINUS_ONE, self.wire(below))))
        return Add([self.wire(a) for a in moving])

    def product(self, e: Mul) -> Expr:
        """`a b …`, `a / b`, and a constant times what goes through."""
        fixed = [a for a in e.args if not a.tensors]
        below = [a for a in e.args if a.tensors and _is_inverse(a)]
        above = [a for a in e.args if a.tensors and a not in below]
        if fixed:
            rest = [a for a in e.args if a.tensors]
            inner = self.wire(mul(*rest))
            return mul(*fixed, inner) if mul(*fixed) is not ONE else inner
        if not below:
            return Mul([self.wire(a) for a in above])
        under = mul(*(mul(a.args[0]) if a.args[1] is MINUS_ONE else Pow(a.args[0], _minus(a.args[1])) for a in below))
        if not above:
            return Pow(self.wire(under), MINUS_ONE)
        return Mul((self.wire(mul(*above)), Pow(self.wire(under), MINUS_ONE)))

    def power(self, e: Pow) -> Expr:
        if _is_inverse(e) and e.exponent is not MINUS_ONE:
            return Pow(self.wire(Pow(e.base, _minus(e.exponent))), MINUS_ONE)
        return Pow(self.wire(e.base), self.wire(e.exponent))


def _negated(e: Expr) -> Expr | None:
    """b of −b."""
    if isinstance(e, Mul) and isinstance(e.args[0], Num) and e.args[0].value < 0:
        return mul(_minus(e.args[0]), *e.args[1:])
    return None


def _minus(e: Expr) -> Num:
    assert isinstance(e, Num)
    return Num(-e.value, e.decimal)


def _is_inverse(e: Expr) -> bool:
    return isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value < 0


# ---- forks -----------------------------------------------------------------------------------------


def inputs(body: Expr) -> tuple[str, ...]:
    """The tensors that a gate takes, in the order of its operands; one that is taken twice, twice."""
    if isinstance(body, Entry):
        return (body.tensor,)
    return tuple(t for a in body.args for t in inputs(a)) if body.tensors else ()


def _forked(nodes: Mapping[str, Node]) -> tuple[dict[str, Node], dict[str, str]]:
    """A copy for every wire that leaves a fork, right before the gate that takes it."""
    uses = Counter(t for n in nodes.values() if n.body is not None for t in inputs(n.body))
    found: dict[str, Node] = {}
    source: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for node in nodes.values():
        if node.body is None or not any(uses[t] > 1 for t in inputs(node.body)):
            found[node.name] = node
            continue

        def copy(e: Entry) -> Entry:
            if uses[e.tensor] < 2:
                return e
            taken[e.tensor] += 1
            name = f"{e.tensor}{COPY}{taken[e.tensor]}"
            source[name] = e.tensor
            found[name] = Node(name, (), (), e)
            return Entry(name)

        body = _each(node.body, copy)
        found[node.name] = replace(node, body=body)
    return found, source


def _each(e: Expr, change: Callable[[Entry], Entry]) -> Expr:
    """The gate with every operand changed, each occurrence on its own."""
    match e:
        case Entry():
            return change(e)
        case Add() | Mul():
            return type(e)([_each(a, change) for a in e.args])
        case Pow():
            return Pow(_each(e.base, change), _each(e.exponent, change))
        case Call() | Compare():
            return type(e)(e.fn, *(_each(a, change) for a in e.args))
        case Select():
            return Select(*(_each(a, change) for a in e.args))
        case Apply():
            return rewrite(e, lambda x: change(x) if isinstance(x, Entry) else None)
    return e
