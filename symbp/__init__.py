"""symbp: from a network written as formulas to its backprop derivation, each line checked.

    import sympy as sp, symbp as sb

    x, y, z, q, f = sp.symbols("x y z q f")
    d = sb.Network([sp.Eq(q, x + y), sp.Eq(f, q*z)]).derive()
    d[x].expr, d.latex(), d.check().ok

The public names stand below. They are looked up when they are first used, so that importing
symbp imports neither SymPy nor NumPy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symbp.errors import DeclarationError as DeclarationError
    from symbp.errors import LimitError as LimitError
    from symbp.errors import NoRule as NoRule
    from symbp.errors import ReadError as ReadError
    from symbp.errors import RequestError as RequestError
    from symbp.errors import SymbpError as SymbpError
    from symbp.network import Check as Check
    from symbp.network import Derivation as Derivation
    from symbp.network import Gradient as Gradient
    from symbp.network import Network as Network
    from symbp.network import Values as Values
    from symbp.network import Verdicts as Verdicts
    from symbp.network import lambdify as lambdify
    from symbp.network import load as load

__version__ = "0.1.0"

_PUBLIC = {
    "symbp.network": "Network Derivation Gradient Check Values Verdicts derive load zoo lambdify",
    "symbp.errors": "SymbpError DeclarationError ReadError RequestError LimitError NoRule",
    "symbp.functions": (
        "exp log sin cos tan sinh cosh tanh arctan erf sigmoid softplus softsign silu gelu mish relu leaky_relu elu "
        "selu abs sign step maximum minimum xlogy square sqrt hadamard where softmax log_softmax logsumexp total mean "
        "var max min norm norm2sq scalar rows columns outer dot diag trace det inv logdet"
    ),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"symbp has no {name!r}")
    found = import_module(module)
    return found.PUBLIC[name] if module == "symbp.functions" else getattr(found, name)


def __dir__() -> list[str]:
    return sorted([*_MODULE_OF, "__version__"])


class _Package(ModuleType):
    """`symbp.derive` and `symbp.zoo` are functions, also after the modules of these names have
    been imported (`from symbp.derive import …` works as always)."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
