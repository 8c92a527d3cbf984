"""symbp: from a network written as formulas to its backprop derivation, each line checked."""

__version__ = "0.1.0"
