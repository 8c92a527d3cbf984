"""Local problems: layer 7 is layer 6 with other names.

The adjoint of a tensor depends on the definitions of its consumers alone. `skeleton` writes a
definition down with its tensors numbered by first visit, so that two local problems that differ
in names only have the same skeleton; `rename` carries a result over. A deep network then costs
one derivation per kind of layer, and the rest is renaming.

Both are written for speed: they run several times per tensor, and are what depth costs.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbp.expr import Apply, Call, Compare, Entry, Expr, Reduce, rebuild
from symbp.graph import ADJOINT


def skeleton(e: Expr, numbers: dict[str, str]) -> tuple[object, ...]:
    """The tree of `e` in prefix order with tensors called by number, which decides equality;
    `numbers` grows by those met for the first time."""
    tokens: list[object] = []
    met: dict[Expr, int] = {}
    stack = [e]
    while stack:
        x = stack.pop()
        if not x.tensors:
            tokens.append(x)
        elif x in met:
            tokens.append(met[x])
        else:
            met[x] = len(met)
            if isinstance(x, Entry):
                adjoint = x.tensor.startswith(ADJOINT)
                name = x.tensor[1:] if adjoint else x.tensor
                number = numbers.get(name)
                if number is None:
                    number = numbers[name] = str(len(numbers))
                tokens += (Entry, adjoint, number, len(x.args))
            elif isinstance(x, Reduce):  # the bound letters are canonical already
                tokens += (Reduce, x.op, x.bound, len(x.args))
            elif isinstance(x, (Call, Compare)):
                tokens += (type(x), x.fn, len(x.args))
            elif isinstance(x, Apply):
                tokens += (Apply, x.fn, x.slot, x.count, len(x.args))
            else:
                tokens += (type(x), len(x.args))
            stack.extend(reversed(x.args))
    return tuple(tokens)


def rename(e: Expr, names: Mapping[str, str]) -> Expr:
    """`e` with tensors (and their adjoints) renamed; all names at once."""
    memo: dict[Expr, Expr] = {}

    def walk(x: Expr) -> Expr:
        if not x.tensors:
            return x
        found = memo.get(x)
        if found is not None:
            return found
        if isinstance(x, Entry):
            if x.tensor.startswith(ADJOINT):
                tensor = ADJOINT + names.get(x.tensor[1:], x.tensor[1:])
            else:
                tensor = names.get(x.tensor, x.tensor)
            found = Entry(tensor, tuple(map(walk, x.args)))
        elif isinstance(x, Reduce):
            found = Reduce(x.op, x.bound, walk(x.body), [walk(a) for a in x.at])
        else:
            found = rebuild(x, [walk(a) for a in x.args])
        memo[x] = found
        return found

    return walk(e)
