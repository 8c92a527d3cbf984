"""Calls: named functions, the functions of the network, and what f and f′ are in it.

`f(z)` with a letter f is the node that is a function of z alone, else the network's only activation; σ is
the logistic function if the network uses it. What cannot be settled so is unread.
"""

from __future__ import annotations

from symbp import claim
from symbp.claim import Tree
from symbp.read.latex import atoms
from symbp.read.latex.resolve import FUNCTIONS, Resolver, Unread, Value, argument_of
from symbp.read.latex.tree import Atom, Bracket, List, Node, Product, Scripts, is_prime

_WHOLE = frozenset(
    {
        "softmax",
        "log_softmax",
        "logsumexp",
        "trace",
        "diag",
        "det",
        "logdet",
        "norm",
        "mean",
        "sum",
        "max",
        "min",
        "inv",
        "vec",
    }
)


def call(
    r: Resolver, name: str, node: Node, factors: list[Node], operators: list[str], bracketed: bool
) -> tuple[Value, int] | None:
    """A function with a name, applied to a bracket or to the factor that follows."""
    subs, sups = (node.subs, node.sups) if isinstance(node, Scripts) else ((), ())
    if len(factors) == 1 or operators[1] not in ("",):
        raise Unread(f"{r.words(node)} needs an argument", node.span)
    primes = sum(is_prime(s) for s in sups)
    powers = [s for s in sups if not is_prime(s)]
    after: tuple[tuple[Node, ...], tuple[Node, ...]] = ((), ())
    used = 2
    argument = argument_of(factors[1])
    if name == "prod" and argument is not None and isinstance(argument[0].body, List):
        items = argument[0].body.items  # prod(∂Z/∂Y, ∂Y/∂X): the chain rule, in whatever order fits
        return r.expression(Product(r._around(factors[:2]).span, tuple(items), ("",) * len(items))), 2
    if bracketed and argument is not None:
        inside = argument[0].body
        arguments = list(inside.items) if isinstance(inside, List) else [inside]
        after = (argument[1], argument[2])
        values = [r.expression(a) for a in arguments]
    elif name == "log" and len(factors) > 2 and not operators[2] and _is_function(r, factors[1]):
        inner, count = r._call(factors[1:], operators[1:]) or (r.factor(factors[1]), 1)
        values, used = [inner], 1 + count
    else:
        taken = r._call(factors[1:], ["", *operators[2:]]) if _is_function(r, factors[1]) else None
        if taken is not None:
            values, used = [taken[0]], 1 + taken[1]
        else:
            end = 2
            if isinstance(factors[1], Atom) and factors[1].kind == "NUM":  # \tanh 2z
                while end < len(factors) and not operators[end] and not isinstance(factors[end], Bracket):
                    end += 1
                body = factors[1:end]
                values = [
                    r.expression(Product(factors[1].span, tuple(body), ("",) * len(body)) if len(body) > 1 else body[0])
                ]
            else:
                values = [r.factor(factors[1])]
            used = end
    value = _apply(r, name, values, primes, node)
    if subs and name in ("softmax", "log_softmax"):
        value = atoms.scripted(r, value, subs, (), node)
    elif subs and name not in ("norm", "log", "sigmoid", "relu", "max", "min"):
        pass
    if powers:
        value = atoms.scripted(r, value, (), powers, node)
    if after[0] or after[1]:
        value = atoms.scripted(r, value, after[0], after[1], r._around(factors[:2]))
    return value, used


def _is_function(r: Resolver, node: Node) -> bool:
    base = node.base if isinstance(node, Scripts) else node
    if not isinstance(base, Atom):
        return False
    return (base.kind == "FUN" and base.text in FUNCTIONS) or (
        base.text in ("sigma", "f", "g", "h") and r._own(node) is None
    )


def _apply(r: Resolver, name: str, values: list[Value], primes: int, node: Node) -> Value:
    first = values[0]
    if primes > 1:
        raise Unread("a second derivative is not read", node.span)
    if primes:
        if name in _WHOLE:
            raise Unread(f"{r.words(node)}: the derivative of a function of a whole vector is a matrix", node.span)
        if name == "sech":
            raise Unread("this derivative is not read", node.span)
        return r.value(claim.call("slope", [first.tree], of=name), node.span)
    if first.ones:
        raise Unread("a function of a vector of ones", node.span)
    trees = [v.tree for v in values]
    if name in ("max", "min") and len(values) > 1:
        tree = trees[0]
        for t in trees[1:]:
            tree = claim.call("maximum" if name == "max" else "minimum", [tree, t])
        return r.value(tree, node.span)
    if len(values) > 1 and name not in (
        "outer",
        "dot",
        "leaky_relu",
        "elu",
        "clip",
        "maximum",
        "minimum",
        "where",
        "xlogy",
    ):
        raise Unread(f"{r.words(node)} takes one argument here", node.span)
    if name == "sech":
        return r.value(claim.product([claim.number(1, "1"), claim.call("cosh", trees)], [1, -1]), node.span)
    if name == "coth":
        return r.value(claim.product([claim.number(1, "1"), claim.call("tanh", trees)], [1, -1]), node.span)
    if name == "step":
        return r.value(claim.compare(">", trees[0], claim.number(0, "0")), node.span)
    if name in ("softmax", "log_softmax", "logsumexp"):
        return _rowwise(r, name, first, node)
    if name == "vec":  # the columns, one below the other
        return r.value(claim.column(claim.call("ravel", [claim.transpose(trees[0])])), node.span)
    if name == "diag":
        if first.shape is not None and len(first.shape) == 2 and 1 in first.shape:
            return r.value(claim.call("diag", [r.flat(first)]), node.span)
        return r.vector(claim.call("diag", trees))
    if name == "logit":
        return r.value(
            claim.call(
                "log", [claim.product([trees[0], claim.sum_([claim.number(1, "1"), trees[0]], [1, -1])], [1, -1])]
            ),
            node.span,
        )
    if name in ("outer", "dot"):
        return r.vector(claim.call(name, [r.flat(v) for v in values]))
    return r.value(claim.call(name, trees), node.span)


def _rowwise(r: Resolver, name: str, x: Value, node: Node) -> Value:
    """A softmax over a vector, or over the axis that the network's own softmax runs over."""
    if x.shape is None:
        return x
    if 1 in x.shape or len(x.shape) < 2:
        if name == "logsumexp":
            return r.value(claim.call(name, [x.tree]), node.span)
        return r.value(claim.call(name, [x.tree], axis=None), node.span)
    axis = r.view.softmax_axis
    axis = 1 if axis is None else axis % 2
    lengths = {r.integer(name) for name in r.view.softmax_sizes}
    if (x.shape[0] in lengths) != (x.shape[1] in lengths):  # softmax(Zᵀ)ᵀ runs over the same size
        axis = 0 if x.shape[0] in lengths else 1
    if name == "logsumexp":
        return r.value(claim.call(name, [x.tree], axis=axis, keepdims=True), node.span)
    return r.value(claim.call(name, [x.tree], axis=axis), node.span)


def unknown(r: Resolver, name: str, node: Node, factors: list[Node]) -> tuple[Value, int]:
    """An unknown function that the network declares."""
    sups = node.sups if isinstance(node, Scripts) else ()
    argument = argument_of(factors[1])
    assert argument is not None
    inside = argument[0].body
    values = [r.expression(a) for a in (inside.items if isinstance(inside, List) else [inside])]
    signature = r.view.graph.functions[name]
    if any(is_prime(s) for s in sups):
        if not signature.is_elementwise:
            raise Unread(f"{name}' of a function that is not elementwise", node.span)
        value = r.value(claim.call("slope", [values[0].tree], of=name), node.span)
    else:
        trees = [v.tree if signature.is_elementwise else r.flat(v) for v in values]
        value = r.vector(claim.call(name, trees))
    return atoms.scripted(r, value, argument[1], argument[2], node), 2


def node_call(r: Resolver, node: Node, factors: list[Node]) -> tuple[Value, int] | None:
    """`h(x)`, `\\hat y(W, b)`, `f'(w x)`: a node written as a function of what it is computed from."""
    base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
    argument = argument_of(factors[1])
    if argument is None or argument[0].open not in ("(", ""):
        return None
    primes = [s for s in sups if is_prime(s)]
    rest = tuple(s for s in sups if not is_prime(s))
    bare = Scripts(node.span, base, subs, rest) if subs or rest else base
    found = r.symbols.symbol(bare)
    if found is None or found.tree.op != "name" or found.tree.data[0] not in r.view.axes or found.note:
        return None
    name = found.tree.data[0]
    inside = argument[0].body
    arguments = inside.items if isinstance(inside, List) else (inside,)
    if primes:
        return _node_slope(r, name, arguments, node, factors)
    if not argument[1] and all(
        isinstance(a, (Atom, Scripts)) and not (isinstance(a, Atom) and a.kind == "NUM") for a in arguments
    ):
        names = [r.symbols.symbol(a) for a in arguments]
        inputs = r.view.depends.get(name, frozenset())
        if all(n is not None and not n.sups and n.tree.op == "name" and n.tree.data[0] in inputs for n in names):
            r.note(f"{r.words(r._around(factors[:2]))} is read as {name}, which is a function of it")
            return atoms.scripted(r, r.factor(bare), argument[1], argument[2], node), 2
        return None
    inner = _only_input(r, name)
    if inner is not None and len(arguments) == 1 and not r.view.graph[inner].is_leaf:
        value = r.expression(arguments[0])
        if value.is_scalar == (not r.view.axes[inner]) and r.evaluator.same(
            value.tree, r.vector(claim.name(inner), r.view.is_row(inner)).tree
        ):
            return atoms.scripted(r, r.factor(bare), argument[1], argument[2], node), 2
    return None


def _only_input(r: Resolver, name: str) -> str | None:
    """The tensor that a node is a function of, entry by entry."""
    return next((z for z, nodes in r.view.elementwise.items() if name in nodes), None)


def _node_slope(
    r: Resolver, name: str, arguments: tuple[Node, ...], node: Node, factors: list[Node]
) -> tuple[Value, int] | None:
    """`f'(z)` where f is a node: its slope in z, or the gradient if f is the loss."""
    whole = r._around(factors[:2])
    if len(arguments) != 1:
        return None
    value = r.expression(arguments[0])
    source, index = _tensor(value.tree)
    if name == r.view.graph.loss:
        if source is None or index is not None:
            return None
        return r.vector(claim.gradient(source, r.words(whole)), r.view.is_row(source)), 2
    inner = _only_input(r, name)
    if inner is None:
        return None
    if source != inner and not r.evaluator.same(value.tree, r.vector(claim.name(inner), r.view.is_row(inner)).tree):
        return None
    return _node_function(r, name, inner, index if source == inner else None, value, 1, whole), 2


def activation(r: Resolver, word: str, node: Node, factors: list[Node]) -> tuple[Value, int]:
    """`f(z)`, `f'(z)`, `\\sigma(z)` where nothing has that name."""
    sups = node.sups if isinstance(node, Scripts) else ()
    argument = argument_of(factors[1])
    assert argument is not None
    whole = r._around(factors[:2])
    primes = sum(is_prime(s) for s in sups)
    powers = [
        s
        for s in sups
        if not is_prime(s)
        and not isinstance(s, Bracket)
        and isinstance(s, Atom)
        and s.kind == "NUM"
        and s.text == "2"
        and word == "sigma"
    ]
    if primes > 1:
        raise Unread("a second derivative is not read", node.span)
    inside = argument[0].body
    if isinstance(inside, List):
        raise _which(r, word, node)
    x = r.expression(inside)
    value = _function_of(r, word, x, primes, node, whole)
    if powers:
        r.note(f"{r.words(node)} is read as a power")
        value = atoms.scripted(r, value, (), powers, node)
    return atoms.scripted(r, value, argument[1], argument[2], whole), 2


def _function_of(r: Resolver, word: str, x: Value, primes: int, node: Node, whole: Node) -> Value:
    name, index = _tensor(x.tree)
    if (word == "sigma" and "sigmoid" in r.view.functions) or (word == "sigma" and _is_logistic(r)):
        return _named_function(r, "sigmoid", x, primes, whole)
    if name is not None:
        known = r.view.elementwise.get(name, [])
        if len(known) == 1:
            inner = r.view.applied(known[0])
            if inner and inner in r.view.activations:
                return _named_function(r, inner.lstrip("\x00"), x, primes, whole)
            return _node_function(r, known[0], name, index, x, primes, whole)
    if len(set(r.view.activations)) == 1:
        return _named_function(r, r.view.activations[0], x, primes, whole)
    raise _which(r, word, node)


def _is_logistic(r: Resolver) -> bool:
    """Networks that spell the logistic function out: 1/(1 + exp(−z)), log(1 + exp(z))."""
    return ("exp" in r.view.functions and not r.view.activations and "softmax" not in r.view.functions) or bool(
        r.view.functions & {"softplus", "silu", "mish", "log_sigmoid"}
    )


def _which(r: Resolver, word: str, node: Node) -> Unread:
    shown = r.words(node)
    known = ", ".join(r.view.activations) or "none"
    return Unread(
        f"which function is {shown}? (the network has: {known})",
        node.span,
        f"Say what it is: --let '{shown}(z) := ...'",
        "undefined",
    )


def _named_function(r: Resolver, name: str, x: Value, primes: int, whole: Node) -> Value:
    tree = claim.call("slope", [x.tree], of=name) if primes else claim.call(name, [x.tree])
    return r.value(tree, whole.span)


def _tensor(tree: Tree) -> tuple[str | None, tuple[object, ...] | None]:
    """The tensor that a tree is, whole or one entry of it."""
    while tree.op in ("alias",) or (tree.op == "call" and tree.data[0] in ("column", "row")):
        tree = tree.args[0]
    if tree.op == "name":
        return tree.data[0], None
    if tree.op == "entry" and len(tree.args) == 1 and tree.args[0].op == "name":
        return tree.args[0].data[0], tree.data
    return None, None


def _node_function(
    r: Resolver, of: str, wrt: str, index: tuple[object, ...] | None, x: Value, primes: int, whole: Node
) -> Value:
    """The node that is a function of `wrt` alone, or its slope: the diagonal of its Jacobian."""
    text = r.words(whole)
    if not primes:
        tree = claim.name(of, text)
        if index is None:
            return r.vector(tree, r.view.is_row(of))
        return r.value(Tree("entry", (tree,), index), whole.span)
    axes = r.view.axes[wrt]
    letters = [r.letter() for _ in range(axes)]
    slope = claim.entry(claim.jacobian(of, wrt, text), *letters, *letters)
    tree = claim.alias(claim.array(letters, slope) if axes else slope, text)
    if index is None:
        return r.vector(tree, r.view.is_row(wrt))
    return r.value(Tree("entry", (tree,), index), whole.span)
