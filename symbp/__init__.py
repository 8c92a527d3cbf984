"""symbp: from a network written as formulas to its backprop derivation, each line checked.

    import sympy as sp, symbp as sb

    x, y, z, q, f = sp.symbols("x y z q f")
    d = sb.Network([sp.Eq(q, x + y), sp.Eq(f, q*z)]).derive()
    d[x].expr, d.latex(), d.check().ok

Names are looked up when they are first used, so that importing symbp imports neither SymPy nor
NumPy. The functions of networks (`sb.sigmoid`, `sb.total`, …) are those of symbp.functions.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_OBJECTS = ("Check", "Derivation", "Gradient", "Network", "Values", "derive", "lambdify", "load", "zoo")
_ERRORS = ("DeclarationError", "LimitError", "NoRule", "ReadError", "RequestError", "SymbpError")
_SHADOWED = ("derive", "zoo")  # public functions whose module has the same name


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from importlib import import_module

    if name in _OBJECTS:
        return getattr(import_module("symbp.network"), name)
    if name in _ERRORS:
        return getattr(import_module("symbp.errors"), name)
    functions = import_module("symbp.functions").PUBLIC
    if name in functions:
        return functions[name]
    raise AttributeError(f"symbp has no {name!r}")


def __dir__() -> list[str]:
    from importlib import import_module

    return sorted([*_OBJECTS, *_ERRORS, *import_module("symbp.functions").PUBLIC, "__version__"])


class _Package(ModuleType):
    """`symbp.derive` and `symbp.zoo` are functions, also after the modules of these names have
    been imported (`from symbp.derive import …` works as always)."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _SHADOWED and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
