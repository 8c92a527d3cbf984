"""Readers: text that comes from strangers becomes data, and nothing in it is ever run."""

from symbp.read.network import load, read_network

__all__ = ["load", "read_network"]
