"""Local problems: layer 7 is layer 6 with other names.

The adjoint of a tensor depends on the definitions of its consumers alone. `skeleton` writes a
definition with its tensors numbered by first visit, so that two local problems that differ in
names only have the same skeleton; `rename` carries a result over. A deep network then costs one
derivation per kind of layer, and the rest is renaming.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbp.expr import Entry, Expr, Reduce, rebuild
from symbp.graph import ADJOINT


def skeleton(e: Expr, numbers: dict[str, str]) -> Expr:
    """`e` with tensors called by number; `numbers` grows by those met for the first time."""
    memo: dict[Expr, Expr] = {}

    def walk(x: Expr) -> Expr:
        if not x.tensors:
            return x
        found = memo.get(x)
        if found is not None:
            return found
        if isinstance(x, Entry):
            adjoint = x.tensor.startswith(ADJOINT)
            name = x.tensor[1:] if adjoint else x.tensor
            number = numbers.get(name)
            if number is None:
                number = numbers[name] = str(len(numbers))
            args = x.args if not any(a.tensors for a in x.args) else tuple(map(walk, x.args))
            found = Entry(ADJOINT + number if adjoint else number, args)
        elif isinstance(x, Reduce):
            # the bound letters are canonical already and names do not change the nesting
            found = Reduce(x.op, x.bound, walk(x.body), [walk(a) for a in x.at])
        else:
            found = rebuild(x, [walk(a) for a in x.args])
        memo[x] = found
        return found

    return walk(e)


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
