"""Which way a symmetric matrix is written: S_ik where i stands nearer to the row of the result than k.

Laws keep the letters of a symmetric matrix in one order, so that equal terms meet. A reader wants the
order in which the matrices of a product follow each other, which needs no transposes: Z S and S Z,
not Z Sᵀ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symbp.arithmetic import factors_of
from symbp.expr import Entry, Expr, Index, Reduce, rebuild

Symmetric = Callable[[Expr], bool]


def readable(e: Expr, is_symmetric: Symmetric) -> Expr:
    """`e` with every symmetric matrix (an entry, or an inverse) the way round in which its product reads."""
    rows = sorted((i for i in e.free if i.name[0] not in "!#~"), key=lambda i: i.name)
    return _visited(e, {rows[0]: 0} if rows else {}, is_symmetric)


def _visited(e: Expr, distance: Mapping[Index, int], is_symmetric: Symmetric) -> Expr:
    at = e.idx if isinstance(e, Entry) else e.at if isinstance(e, Reduce) and e.op == "inv" else ()
    if len(at) == 2:
        one, two = (distance.get(i) if isinstance(i, Index) else None for i in at)
        if one is not None and two is not None and one > two and is_symmetric(e):
            e = Entry(e.tensor, at[::-1]) if isinstance(e, Entry) else Reduce("inv", e.bound, e.body, at[::-1])  # type: ignore[attr-defined]
        if isinstance(e, Entry):
            return e
    if isinstance(e, Reduce):
        if e.op not in ("sum", "inv", "det", "logdet"):
            return e
        indices, body = e.expose()
        near = distance if e.op == "sum" else {indices[0]: 0}  # (Xᵀ A X)⁻¹ has rows of its own
        inner = _visited(body, _distances(factors_of(body), near), is_symmetric)
        return e if inner is body else Reduce(e.op, indices, inner, e.at)
    args = [_visited(a, distance, is_symmetric) for a in e.args] if e.args else []
    return rebuild(e, args) if any(a is not b for a, b in zip(args, e.args)) else e


def _distances(factors: tuple[Expr, ...], outer: Mapping[Index, int]) -> dict[Index, int]:
    """How many factors away each letter is from the one nearest to the row."""
    letters = {i for f in factors for i in f.free}
    known = [i for i in letters if i in outer]
    if not known:
        return {}
    first = min(known, key=lambda i: (outer[i], i.name))
    found = {first: outer[first]}
    edge = [first]
    while edge:
        near = edge.pop(0)
        for f in factors:
            for i in sorted(f.free - set(found), key=lambda i: i.name) if near in f.free else ():
                found[i] = found[near] + 1
                edge.append(i)
    return found


__all__ = ["readable"]
