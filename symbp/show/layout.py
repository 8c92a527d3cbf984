"""The layout of the numerator: gradients as transposes, a row for a vector.

The engine knows one layout, in which ∂L/∂W is as large as W. Some courses print its transpose, so that the chain
rule reads from left to right, ∂L/∂x = ∂L/∂z · ∂z/∂x. `turned` takes a form of the one layout to its transpose and
moves the transpose inwards, (A B)ᵀ = Bᵀ Aᵀ, so that errors stand turned and everything else is turned around them.
Values never change.
"""

from __future__ import annotations

from symbp.form import Form, transpose
from symbp.graph import primal


def turned(x: Form) -> Form:
    """The transpose of a form of one or two axes; that of a vector is a row."""
    if len(x.axes) not in (1, 2):
        return x
    axes = tuple(reversed(x.axes)) if len(x.axes) == 2 else (None, *x.axes)
    match x.kind:
        case "transpose":
            return x.args[0]
        case "outer":
            return Form("outer", tuple(reversed(x.args)), axes)
        case "matmul":
            first, last = x.args[0], x.args[-1]
            if len(first.axes) == 1:  # NumPy reads it as a row already
                return Form("matmul", (turned(first), *x.args[1:]), axes)
            return Form("matmul", (turned(last), *(turned(a) for a in reversed(x.args[:-1]))), axes)
        case "times" | "add" if holds_error(x) or (x.kind == "times" and x.data[0] == 0):
            return Form(x.kind, tuple(_part(a, len(x.axes)) for a in x.args), axes, x.data)
        case "over":
            return Form("over", (turned(x.args[0]),), axes, x.data)
        case "sum" if len(x.axes) == 1 and len(x.args[0].axes) == 2:
            return Form("sum", (x.args[0] if x.data[0] == (0,) else turned(x.args[0]),), axes, ((0,), True))
    return transpose(x) if len(x.axes) == 2 else Form("subscript", (x,), axes, ("None", ":"))


def _part(x: Form, axes: int) -> Form:
    """A factor or a summand of a form of so many axes, turned with it: what lay along rows lies along columns."""
    if axes == 2 and len(x.axes) == 1:
        return Form("subscript", (x,), (*x.axes, None), (":", "None"))
    if axes == 2 and len(x.axes) == 2 and x.axes[1] is None:
        if x.kind == "subscript" and x.data == (":", "None"):
            return x.args[0]
        if x.kind == "sum" and x.data[1]:
            return Form("sum", x.args, x.axes[:1], (x.data[0], False))
        return Form("subscript", (x,), x.axes[:1], (":", "0"))
    return turned(x)


def holds_error(x: Form) -> bool:
    """Does an error term stand in a form?"""
    return (x.kind == "name" and primal(str(x.data[0])) is not None) or any(map(holds_error, x.args))
