"""One reading of one formula: the resolver with everything that it hands on."""

from __future__ import annotations

from symbp.read.latex import atoms, calculus, functions, sums
from symbp.read.latex.names import Found
from symbp.read.latex.resolve import Resolver, Value
from symbp.read.latex.tree import Node


class Formula(Resolver):
    """Reads expressions of one formula in one reading."""

    def factor(self, node: Node) -> Value:
        return atoms.factor(self, node)

    def named(self, found: Found, node: Node) -> Value:
        return atoms.named(self, found, node)

    def big(self, factors: list[Node], operators: list[str]) -> tuple[Value, int]:
        return sums.big(self, factors, operators)

    def derivative(self, factors: list[Node], operators: list[str]) -> tuple[Value, int] | None:
        return calculus.derivative(self, factors, operators)

    def chain_rule(self, items: list[Value], ops: list[str], node: Node) -> Value | None:
        return calculus.chain_rule(self, items, ops, node)

    def function(
        self, name: str, node: Node, factors: list[Node], operators: list[str], bracketed: bool
    ) -> tuple[Value, int] | None:
        return functions.call(self, name, node, factors, operators, bracketed)

    def node_call(self, node: Node, factors: list[Node]) -> tuple[Value, int] | None:
        return functions.node_call(self, node, factors)

    def unknown_call(self, name: str, node: Node, factors: list[Node]) -> tuple[Value, int]:
        return functions.unknown(self, name, node, factors)

    def activation(self, word: str, node: Node, factors: list[Node]) -> tuple[Value, int]:
        return functions.activation(self, word, node, factors)
