"""What is written into a gate: `+`, `×`, `1/x`, `σ`, `max`, `+1`."""

from __future__ import annotations

from symbp.expr import HALF, MINUS_ONE, Add, Apply, Call, Compare, Entry, Expr, Mul, Num, Pow, Select
from symbp.ops import UNKNOWN
from symbp.show.math import MathPrinter
from symbp.show.picture.ink import BACK, UP

_SYMBOLS = {"sigmoid": "σ", "maximum": "max", "minimum": "min", "abs": "|x|", "arctan": "arctan"}


def label(body: Expr, printer: MathPrinter) -> str:
    """The sign of a gate (an ink). Its operand, where one must be named, is x."""
    match body:
        case Add():
            return _sum(body, printer)
        case Mul():
            return _product(body, printer)
        case Pow():
            return _power(body, printer)
        case Call():
            constants = [a for a in body.args if not a.tensors]
            name = _SYMBOLS.get(body.fn, body.fn.removeprefix(UNKNOWN).replace("_", " "))
            if constants and len(body.args) > 1:
                arguments = ["x" if a.tensors else printer.index(a, {}) for a in body.args]
                return f"{name}({', '.join(arguments)})"
            return name
        case Compare():
            sign = printer.alphabet.relation(body.fn)
            sides = ["" if a.tensors else printer.index(a, {}) for a in body.args]
            return f"{sides[0]}{sign}{sides[1]}"
        case Select():
            return "if"
        case Apply():
            return body.fn
        case Entry():
            return "="
    return printer.index(body, {})


def _sum(body: Add, printer: MathPrinter) -> str:
    fixed = [a for a in body.args if not a.tensors]
    if not fixed:
        return "−" if _is_negative(body.args[1]) else "+"
    moving = next(a for a in body.args if a.tensors)
    constant = printer.index(fixed[0], {})
    if _is_negative(moving):
        return f"{constant} − x"
    return f"−{constant.lstrip('−')}" if constant.startswith("−") else f"+{constant}"


def _product(body: Mul, printer: MathPrinter) -> str:
    fixed = [a for a in body.args if not a.tensors]
    if not fixed:
        return "÷" if any(isinstance(a, Pow) and a.exponent is MINUS_ONE for a in body.args) else "×"
    if len(fixed) == 1 and isinstance(fixed[0], Pow) and fixed[0].exponent is MINUS_ONE:
        return f"÷{printer.index(fixed[0].base, {})}"
    factor = fixed[0] if len(fixed) == 1 else Mul(fixed)
    text = printer.index(factor, {})
    return f"×({text})" if text.startswith("−") else f"×{text}"


def _power(body: Pow, printer: MathPrinter) -> str:
    if body.exponent.tensors:
        return f"x{UP}y{BACK}" if body.base.tensors else f"{printer.index(body.base, {})}{UP}x{BACK}"
    if body.exponent is MINUS_ONE:
        return "1/x"
    if body.exponent is HALF:
        return "√x"
    return f"x{UP}{printer.index(body.exponent, {})}{BACK}"


def keeps_order(body: Expr) -> bool:
    """Whether the inputs of a gate may not be exchanged: a − b, a ÷ b, a ^ b, a > b, if."""
    if isinstance(body, Add):
        return len(body.args) == 2 and _is_negative(body.args[1])
    if isinstance(body, Mul):
        return any(isinstance(a, Pow) for a in body.args)
    if isinstance(body, Call):
        return body.fn not in ("maximum", "minimum")
    return isinstance(body, (Pow, Compare, Select, Apply))


def _is_negative(e: Expr) -> bool:
    return isinstance(e, Mul) and isinstance(e.args[0], Num) and e.args[0].value < 0
