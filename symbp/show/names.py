"""What stands for a tensor, a size, a number of a layer: the names of one graph in one alphabet.

The base of the printers of formulas. A name is written once and kept, with the mark of its role, so that
colours and letters stay the same through a document. Nothing is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from symbp.expr import Add, Expr, Index, Num, Size, number
from symbp.family import Loop, base_of, split
from symbp.graph import Graph, adjoint, primal
from symbp.index import affine
from symbp.matrix import Emitter, index_letter
from symbp.show.alphabet import Alphabet, parse_name
from symbp.sizes import size_text
from symbp.steps import Chain

SUM, QUOTIENT, PRODUCT, CHAIN, POWER, ATOM = 1, 2, 3, 4, 5, 6
"""How tightly a text binds: a + b, a/b in one line, a ⊙ b, matrices side by side, aᵀ, a."""
DIGITS = 12  # of a number with a point: 1.7·2/3 is not written to the last bit
PLACE = re.compile("([\ue010\ue011])(\\d+)\ue012")  # where a template takes a name, or an error term


class Piece:
    """A text and how tightly it binds."""

    __slots__ = ("level", "text")

    def __init__(self, text: str, level: int = ATOM) -> None:
        self.text, self.level = text, level


class Names:
    """The names of one graph in one alphabet.

    `minus` writes errors as δ := −∂L/∂z. Letters of indices are chosen once per tensor axis
    (`letters_for`), so that a derivation keeps its letters from line to line.
    """

    def __init__(self, graph: Graph, alphabet: Alphabet, minus: bool = False) -> None:
        self.graph, self.alphabet, self.minus = graph, alphabet, minus
        self.numerator = alphabet.style.layout == "numerator"
        self.emitter = Emitter(graph)
        self.roles = roles(graph)
        self.names: dict[str, str] = {}
        taken = (*map(base_of, graph.nodes), *graph.constants, *graph.sizes, *graph.bounds, *graph.variables)
        self.reserved = frozenset(taken) - frozenset(graph.letters.values())
        self.templates: dict[object, str | None] = {}
        self.laid_out: dict[object, str | None] = {}

    def tensor(self, name: str) -> str:
        """A declared tensor, or the error term of one."""
        found = self.names.get(name)
        if found is None:
            inner = primal(name)
            base = base_of(inner or name)
            if inner is not None:
                symbol = self.alphabet.delta(self.alphabet.tensor(base, self._is_bold(inner)))
                found = self.alphabet.mark(self.numbered(symbol, name), "error")
            else:
                symbol = self.alphabet.tensor(base, self._is_bold(name))
                found = self.alphabet.mark(self.numbered(symbol, name), self._role(name))
            self.names[name] = found
        return found

    def _is_bold(self, name: str) -> bool:
        """May a tensor be bold? Vectors and matrices, as a whole."""
        pieces = self.graph.pieces(name)
        return bool(pieces) and bool(pieces[0].indices)

    def _role(self, name: str) -> str:
        pieces = self.graph.pieces(name)
        return self.roles.get(name) or (self.roles.get(pieces[-1].name) if pieces else None) or "node"

    def numbered(self, text: str, name: str, below: Sequence[str] = ()) -> str:
        """A base with the numbers of a member, `W^{(l)}` and `h_{t}`, and indices below it."""
        numbers = split(name)[1]
        if not numbers and not below:
            return text
        over = [self.counts_layers(name, n) for n in range(len(numbers))]
        above = [self.number(n) for n, up in zip(numbers, over) if up]
        under = [self.number(n) for n, up in zip(numbers, over) if not up]
        return self.alphabet.numbered(text, above, under, below)

    def counts_layers(self, name: str, position: int) -> bool:
        """Is this number of a family that of a layer, which stands above as in W^{(l)}?"""
        name = primal(name) or name
        for piece in (*(n.name for n in self.graph.pieces(name)), *self.graph.functions):
            numbers = split(piece)[1]
            if base_of(piece) == base_of(name) and position < len(numbers):
                atoms = affine(numbers[position]) or {}
                if any(isinstance(a, Size) and a.name.startswith(("l", "ℓ")) for a in atoms):
                    return True
        return False

    def number(self, e: Expr) -> str:
        """`l+1`, `T`: the number of a member."""
        shown = ""
        for part in e.args if isinstance(e, Add) else (e,):
            text = self.size(part)
            shown += text.replace("-", self.alphabet.minus) if text.startswith("-") or not shown else "+" + text
        return shown

    def turns(self, loops: Sequence[Loop], backwards: bool = False) -> str:
        """`l = 1, …, L`; as a loop goes, or as the backward pass goes through it."""
        shown = []
        for x in loops:
            ends = [self.number(x.low), self.number(x.high)]
            first, last = ends[::-1] if x.down != backwards else ends
            shown.append(self.alphabet.turns(self.size(Size(x.var)), first, last))
        return ", ".join(shown)

    def product_of_jacobians(self, c: Chain) -> tuple[str, str]:
        """∂h[T]/∂h[t] and (∂h[T]/∂h[T−1]) ⋯ (∂h[t+1]/∂h[t])."""
        whole = self.alphabet.derivative(self.tensor(c.top[0]), self.tensor(c.bottom[1]))
        shown = [self.alphabet.derivative(*map(self.tensor, pair)) for pair in (c.top, c.bottom)]
        first, last = shown if self.alphabet.name == "latex" else map(self.alphabet.bracket, shown)
        return whole, self.alphabet.product([first, self.alphabet.dots, last])

    def chain(self, c: Chain) -> str:
        """(∂y[n]/∂y[n−1] ⋯ ∂y[i+1]/∂y[i])ᵀ δ_y[n]; in the other layout δ_y[n] ∂y[n]/∂y[n−1] ⋯ ∂y[i+1]/∂y[i]."""

        def slope(pair: tuple[str, str]) -> str:
            shown = self.alphabet.derivative(self.tensor(pair[0]), self.tensor(pair[1]))
            return shown if self.alphabet.name == "latex" else self.alphabet.bracket(shown)

        factors = [slope(c.top), self.alphabet.dots, slope(c.bottom), *([slope(c.link)] if c.link else [])]
        error = self.tensor(adjoint(c.top[0]))
        if self.numerator:
            return self.alphabet.product([error, *factors])
        product = self.alphabet.transposed(self.alphabet.bracket(self.alphabet.product(factors)))
        return self.alphabet.product([product, error])

    def over(self, loops: Sequence[Loop], body: str) -> str:
        """Σ over loop variables."""
        for x in reversed(loops):
            body = self.alphabet.range_sum(self.size(Size(x.var)), self.number(x.low), self.number(x.high), body)
        return body

    def derivative(self, name: str) -> str:
        """∂L/∂W₁."""
        loss = self.tensor(self.graph.loss)
        return self.alphabet.gradient(loss, self.tensor(name))

    def size(self, e: Expr) -> str:
        if isinstance(e, Size):
            if e.name.isdigit():
                return e.name
            base, numbers = split(e.name)
            shown = self.alphabet.tensor(base)
            return self.alphabet.numbered(shown, [], list(map(self.number, numbers)), ()) if numbers else shown
        return size_text(e)

    def wrap(self, p: Piece, level: int) -> str:
        return p.text if p.level >= level else self.alphabet.bracket(p.text)

    def _number(self, value: Num) -> Piece:
        if value.value < 0:
            return Piece(self.alphabet.minus + self._number(Num(-value.value, value.decimal)).text, SUM)
        if value.value.denominator != 1 and not value.decimal:
            top, bottom = str(value.value.numerator), str(value.value.denominator)
            return Piece(self.alphabet.fraction(top, bottom), PRODUCT)
        return Piece(f"{float(value.value):.{DIGITS}g}" if value.decimal else number(value.value))

    def constant(self, name: str) -> str:
        return self.alphabet.infinity if name == "inf" else self.alphabet.tensor(name)

    def function_name(self, name: str) -> str:
        """An unknown function, or one of a family of them."""
        return self.numbered(self.alphabet.tensor(base_of(name)), name)

    def letters_for(self, indices: Sequence[Index], taken: Mapping[Index, str] | None = None) -> dict[Index, str]:
        """Letters for indices: the user's, else the first letter of the size's name."""
        letters = dict(taken or {})
        for i in indices:
            if i not in letters:
                used = set(letters.values())
                letters[i] = index_letter(i, used, self.graph.letters, self.reserved, primes=True)
        return letters


def roles(graph: Graph) -> dict[str, str]:
    """What each tensor is: the loss, an inner node, data held fixed, or a weight.

    A leaf is data when it is a target or the first thing multiplied; the names X, x, Y, y, t, T
    and a leading batch of samples are the usual signs, and nothing but colour depends on it.
    """
    found: dict[str, str] = {}
    fixed = graph.fixed()
    for node in graph.nodes.values():
        if node.name == graph.loss:
            found[node.name] = "loss"
        elif not node.is_leaf:
            found[node.name] = "node"
        elif node.name in fixed or parse_name(node.name).base in ("X", "x", "Y", "y", "T", "t", "R"):
            found[node.name] = "data"
        else:
            found[node.name] = "weight"
    return found
