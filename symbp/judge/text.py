"""Trees of claims as NumPy text, in the network language.

One precedence table decides on brackets: `@`, `*` and `/` bind alike and group to the left. The
text reads back to a tree of the same value. What has no NumPy spelling (index letters, Σ) raises
`NoText`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from symbp.claim import Tree

COMPARISON, SUM, PRODUCT, MINUS, POWER, ATOM = range(6)


class NoText(ValueError):
    """The tree has no spelling in the network language."""


def numpy_text(tree: Tree) -> str:
    """The tree in the network language; raises NoText."""
    return _piece(tree)[0]


def _at(tree: Tree, level: int) -> str:
    text, own = _piece(tree)
    return text if own >= level else f"({text})"


def _piece(tree: Tree) -> tuple[str, int]:
    match tree.op:
        case "number":
            return _number(*tree.data)
        case "name":
            return tree.data[0], ATOM
        case "gradient":
            text = tree.data[1]
            return text, PRODUCT if "/" in text else ATOM
        case "jacobian":
            return tree.data[2] or f"d{tree.data[0]}/d{tree.data[1]}", PRODUCT
        case "sum":
            return _sum(tree)
        case "product":
            return _product(tree)
        case "chain":
            first, *rest = tree.args
            return " @ ".join([_at(first, PRODUCT), *(_at(a, MINUS) for a in rest)]), PRODUCT
        case "transpose":
            return _at(tree.args[0], ATOM) + ".T", ATOM
        case "power":
            return f"{_at(tree.args[0], ATOM)}**{_at(tree.args[1], MINUS)}", POWER
        case "compare":
            left, right = tree.args
            return f"{_at(left, SUM)} {tree.data} {_at(right, SUM)}", COMPARISON
        case "item":
            return f"{_at(tree.args[0], ATOM)}[{', '.join(map(_item, tree.data))}]", ATOM
        case "call":
            return _call(tree)
    raise NoText(tree.op)


def _number(value: Any, text: str) -> tuple[str, int]:
    if not text:
        text = str(value) if isinstance(value, Fraction) else repr(value)
    return text, PRODUCT if "/" in text else MINUS if text.startswith("-") else ATOM


def _sum(tree: Tree) -> tuple[str, int]:
    if len(tree.args) == 1:
        term, sign = tree.args[0], tree.data[0]
        return (_at(term, PRODUCT), PRODUCT) if sign > 0 else ("-" + _at(term, PRODUCT), MINUS)
    parts = []
    for n, (term, sign) in enumerate(zip(tree.args, tree.data, strict=True)):
        text = _at(term, PRODUCT)
        if n and text.startswith("-"):
            text = f"({text})"
        parts.append(("-" if sign < 0 else "") + text if not n else (" - " if sign < 0 else " + ") + text)
    return "".join(parts), SUM


def _product(tree: Tree) -> tuple[str, int]:
    powers = tree.data[0]
    tight = all(a.op in ("name", "number", "gradient") for a in tree.args) and len(tree.args) == 2
    times, over = ("*", "/") if tight or _simple(tree) else (" * ", " / ")
    parts: list[str] = []
    for n, (factor, power) in enumerate(zip(tree.args, powers, strict=True)):
        if not n:
            parts.append(_at(factor, PRODUCT) if power > 0 else "1" + over + _at(factor, MINUS))
        else:
            text = _at(factor, MINUS)
            parts.append((times if power > 0 else over) + (f"({text})" if text.startswith("-") else text))
    return "".join(parts), PRODUCT


def _simple(tree: Tree) -> bool:
    return all(a.op not in ("chain", "compare", "product") for a in tree.args) and len(tree.args) <= 3


def _item(x: Any) -> str:
    if isinstance(x, tuple):
        low, high, step = ("" if e is None else str(e) for e in x[1:])
        return f"{low}:{high}" + (f":{step}" if step else "")
    return "..." if x is Ellipsis else str(x)


def _call(tree: Tree) -> tuple[str, int]:
    function, options = tree.data
    if function in ("column", "row"):
        raise NoText(function)
    if function == "tuple":
        return "(" + ", ".join(map(numpy_text, tree.args)) + ("," if len(tree.args) == 1 else "") + ")", ATOM
    if function == "stack" and all(a.op == "call" and a.data[0] == "tuple" for a in tree.args) and not options:
        inside = tree.args[0].args
        if all(not a.names and not a.gradients for a in inside):
            return "[" + ", ".join(map(numpy_text, inside)) + "]", ATOM
    words = dict(options)
    args = [numpy_text(a) for a in tree.args]
    if function == "einsum":
        return f"einsum({', '.join([repr(words['letters']), *args])})", ATOM
    if function == "slope":
        return f"d{words['of']}({', '.join(args)})", ATOM
    return f"{function}({', '.join([*args, *(f'{k}={v!r}' for k, v in options)])})", ATOM
