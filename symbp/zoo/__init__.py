"""The built-in networks: one text file each, in the order in which a course meets them.

Names and titles are read without parsing a network or importing anything that computes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from symbp.errors import RequestError, nearest

if TYPE_CHECKING:
    from symbp.graph import Graph

FOLDER = Path(__file__).parent
_NAMES = """
circuit-add-mul circuit-sigmoid circuit-sigmoid-gate circuit-max circuit-fork
half-square one-parameter one-parameter-any
linear-neuron linear-neuron-batch linear-regression ridge minibatch
logistic-neuron logistic-neuron-batch logistic-regression
l2-of-matvec mean-square-2x2 elementwise-max vjp-exp scalar-chain-3 chain-jacobian
softmax-cross-entropy softmax-kl softmax-kl-positive softmax-classifier svm
relu-2 relu-3 relu-batch-64x1000x100x8 leaky-relu-batch prelu-batch
logistic-layers mlp-3-4-2 mlp-3-4-2-matrix mlp-sigmoid-bce mlp-4
weight-decay weight-decay-l1 dropout autoencoder-tied
rnn-step lstm-step gru-step batch-norm self-attention swiglu
deep deep-softmax layers chain-jacobians rnn rnn-stacked lstm
"""


def names() -> tuple[str, ...]:
    """All built-in networks."""
    return tuple(_NAMES.split())


@cache
def text(name: str) -> str:
    """The network file.

    Raises RequestError for a name that is not built in.
    """
    if name not in names():
        raise RequestError(f"There is no built-in network '{name[:64]}'. {nearest(name[:64], names())}".strip())
    return (FOLDER / f"{name}.symbp").read_text(encoding="utf-8")


def title(name: str) -> str:
    """The first line of the network's docstring."""
    return text(name).splitlines()[0].strip('"')


def network(name: str) -> Graph:
    """The network itself."""
    from symbp.read.network import read_network

    return read_network(text(name), name)
