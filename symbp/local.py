"""Local problems: layer 7 is layer 6 with other names.

The adjoint of a tensor depends on the definitions of its consumers alone. `skeleton` writes a
definition down with its tensors numbered by first visit, so that two local problems that differ
in names only have the same skeleton; `rename` carries a result over. A deep network then costs
one derivation per kind of layer, and the rest is renaming.

Both are written for speed: they run several times per tensor, and are what depth costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from symbp.expr import Add, Apply, Call, Compare, Entry, Expr, Index, Reduce, rebuild, substitute, text
from symbp.graph import ADJOINT, Graph, primal


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


_SHAPES: dict[Expr, tuple[int, tuple[str, ...]]] = {}
_KINDS: dict[tuple[object, ...], int] = {}


def placed(e: Expr, numbers: dict[str, str]) -> tuple[object, ...]:
    """What the skeleton says, as short as it gets: the number of its kind and the numbers of the
    tensors, by first visit. An expression is walked through once, whatever it is compared with."""
    found = _SHAPES.get(e)
    if found is None:
        own: dict[str, str] = {}
        tokens = skeleton(e, own)
        found = _SHAPES[e] = (_KINDS.setdefault(tokens, len(_KINDS)), tuple(own))
    kind, names = found
    for n in names:
        if n not in numbers:
            numbers[n] = str(len(numbers))
    return (kind, *[numbers[n] for n in names])


def local_problem(graph: Graph, e: Expr, numbers: dict[str, str]) -> tuple[object, ...]:
    """`e` and the definitions of what it names, up to names, and what is asserted of these."""
    key: list[object] = [placed(e, numbers)]
    for t in sorted(e.tensors, key=lambda t: (numbers[primal(t) or t], t)):
        body = graph[primal(t) or t].body
        key.append(None if body is None else placed(body, numbers))
        if t in graph.asserted:
            key.append(graph.asserted[t])
    return tuple(key)


def changed(before: Expr, after: Expr) -> tuple[tuple[Expr, ...], tuple[Expr, ...], tuple[Expr, ...]] | None:
    """The summands that differ, as they were and as they are, and the others; None where the two are
    no sums of as many."""
    if not (isinstance(before, Add) and isinstance(after, Add) and len(before.args) == len(after.args)):
        return None
    pairs = [*zip(before.args, after.args)]
    old, new = (tuple(pair[n] for pair in pairs if pair[0] is not pair[1]) for n in (0, 1))
    return old, new, tuple(a for a, b in pairs if a is b)


def change_in_sum(graph: Graph, before: Expr, after: Expr) -> object:
    """What is known of a change in some summands, up to names: two steps of an unrolled loop, each
    with its own upstream put in, are the same change in a gradient that sums over the steps."""
    found = changed(before, after)
    if found is None:
        return after
    _, new, others = found
    own = frozenset[str]().union(*(t.tensors for t in new))
    numbers: dict[str, str] = {}
    problem = tuple(local_problem(graph, t, numbers) for t in new)
    shared = ((placed(t, {}), frozenset(numbers[primal(n) or n] for n in t.tensors & own)) for t in others)
    return problem, frozenset(Counter(shared).items())


def rename(e: Expr, names: Mapping[str, str]) -> Expr:
    """`e` with tensors (and their adjoints) renamed; all names at once."""
    return _renamed(e, names, {})


def _renamed(x: Expr, names: Mapping[str, str], memo: dict[Expr, Expr]) -> Expr:
    if not x.tensors:
        return x
    found = memo.get(x)
    if found is None:
        if isinstance(x, Entry):
            if x.tensor.startswith(ADJOINT):
                tensor = ADJOINT + names.get(x.tensor[1:], x.tensor[1:])
            else:
                tensor = names.get(x.tensor, x.tensor)
            found = Entry(tensor, [_renamed(a, names, memo) for a in x.args])
        elif isinstance(x, Reduce):
            found = Reduce(x.op, x.bound, _renamed(x.body, names, memo), [_renamed(a, names, memo) for a in x.at])
        else:
            found = rebuild(x, [_renamed(a, names, memo) for a in x.args])
        memo[x] = found
    return found


_ORDERED: dict[frozenset[Index], tuple[tuple[Index, ...], tuple[Index, ...]]] = {}


def in_order(letters: frozenset[Index]) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """Letters by their sizes, those of the result first, and letters that depend on their sizes alone."""
    found = _ORDERED.get(letters)
    if found is None:
        mine = tuple(sorted(letters, key=lambda i: (text(i.dim), i.name[0] in "!#~", i.name)))
        found = _ORDERED[letters] = mine, tuple(Index(f"@{n}", i.dim) for n, i in enumerate(mine))
    return found


def canonical_letters(e: Expr) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """The free letters of `e` in order, and letters that depend on their sizes alone."""
    return in_order(e.free)


def in_letters(e: Expr, mine: tuple[Index, ...], theirs: tuple[Index, ...]) -> Expr:
    return e if mine == theirs else substitute(e, dict(zip(mine, theirs)))
