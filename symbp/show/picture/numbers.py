"""Values on wires: short, aligned, and told apart from exact ones by their digits.

A whole number stands as it is; anything else has two decimals as on a lecturer's board, and the
gradients of leaves, which are the result, three. Small tensors are written out row by row, of large
ones the corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ROWS, COLUMNS = 3, 4


def shown(value: float, digits: int = 2) -> str:
    """−12, 0.73, −0.197, 1.2·10⁻⁷."""
    if value != value:
        return "undefined"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size < 1e5 and abs(value - round(value)) <= 1e-12 * max(size, 1.0):
        text = str(round(value))
    elif 10.0 ** (1 - digits) <= size < 1e5:
        text = f"{value:.{digits}f}"
    elif 1e-3 <= size < 1e5:
        text = f"{value:.{digits}g}"
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}·10{int(exponent)}".replace("·10", "·10^")
        base, power = text.split("^")
        text = base + power.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return text.replace("-", "−")


def lines(value: Any, digits: int = 2) -> tuple[str, ...]:
    """A number, a vector on one line, a matrix row by row; of more, the corner with dots."""
    if not isinstance(value, Sequence):
        return (shown(float(value), digits),)
    if not value:
        return ("[ ]",)
    if not isinstance(value[0], Sequence):
        return (f"[{_row(value, digits)}]",)
    if isinstance(value[0][0], Sequence):
        return ("×".join(map(str, _shape(value))),)
    rows = [_row(r, digits) for r in value[: ROWS if len(value) <= ROWS else ROWS - 1]]
    if len(value) > ROWS:
        rows.append("⋮")
    if len(rows) == 1:
        return (f"[[{rows[0]}]]",)
    return (f"[{rows[0]}", *rows[1:-1], f"{rows[-1]}]")


def _row(row: Sequence[Any], digits: int) -> str:
    cells = [shown(float(x), digits) for x in row[: COLUMNS if len(row) <= COLUMNS else COLUMNS - 1]]
    return ", ".join(cells) + (", …" if len(row) > COLUMNS else "")


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value), *_shape(value[0])) if isinstance(value, Sequence) else ()
