"""Which built-in networks have a symbolic depth, and which are written out."""

from __future__ import annotations

from symbp.zoo import names, network

FAMILIES = tuple(n for n in names() if network(n).has_families)
ORDINARY = tuple(n for n in names() if n not in FAMILIES)
TEXT_ONLY = ("layers", "chain-jacobians")
"""Their layers are unknown maps, numbered: SymPy has no functions that are numbered."""
