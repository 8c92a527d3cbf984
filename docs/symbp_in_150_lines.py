"""The idea of symbp in 150 lines: run it, read it, change it. Needs NumPy, and not symbp.

A tensor is defined by one of its entries, a sum of products of entries of earlier tensors:

    Z[n,h] = X[n,d] W[d,h] + b[h]        a letter that is not on the left is summed over

The chain rule is then one rule, without a table of matrix derivatives. Where a tensor u uses v[e],
the entry v[i] gets  Σ (all letters of u) ∂L/∂u · (the other factors) · δ(e,i),  and a δ is used up
by renaming its letter. Order and transposes of the matrix formula are read off at the end.
"""

import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np

FUNCTIONS = {"": np.asarray, "tanh": np.tanh, "exp": np.exp}
SLOPES = {"tanh": ("(1 − {}²)", lambda a: 1 - a**2), "exp": ("{}", np.asarray)}  # in terms of a = f(z)
SIGNS = {1: "", -1: "−"}


class Entry(NamedTuple):  # X[n,d], or f(X[n,d]), or (slope) f′ in terms of f's output, as books write it
    name: str
    idx: tuple[str, ...]
    fn: str = ""
    slope: bool = False

    def shown(self, idx: str) -> str:
        return SLOPES[self.fn][0].format(self.name + idx) if self.slope else self.name + idx


class Term(NamedTuple):  # a number times a product, summed over every letter that is not wanted outside
    number: Fraction
    factors: tuple[Entry, ...]

    def letters(self) -> list[str]:
        return list(dict.fromkeys(i for f in self.factors for i in f.idx))

    def renamed(self, to: dict[str, str]) -> "Term":
        return Term(self.number, tuple(f._replace(idx=tuple(to.get(i, i) for i in f.idx)) for f in self.factors))

    def text(self, own, deltas=()) -> str:
        summed = dict.fromkeys(i for i in (*self.letters(), *(e for e, _ in deltas)) if i not in own)
        front = SIGNS.get(self.number, f"{self.number} ") + (f"Σ_{','.join(summed)} " if summed else "")
        entries = [f.shown(f"[{','.join(f.idx)}]" if f.idx else "") for f in self.factors]
        return front + " ".join([*entries, *(f"δ({e},{i})" for e, i in deltas)] or "1")

    def value(self, own, known, sizes):  # a call of einsum; a letter that no factor carries gets a vector of ones
        absent = [i for i in own if i not in self.letters()]
        inputs = ",".join(["".join(f.idx) for f in self.factors] + absent)
        arrays = [(SLOPES[f.fn][1] if f.slope else FUNCTIONS[f.fn])(known[f.name]) for f in self.factors]
        arrays += [np.ones(sizes[i]) for i in absent]
        return float(self.number) * np.einsum(f"{inputs}->{''.join(own)}", *arrays)


def read(text: str) -> dict[str, tuple[tuple[str, ...], list[Term]]]:
    """Lines `name[letters] = terms` in the order of computation; the last one is the loss."""
    network = {}
    for line in text.splitlines():
        parts = line.replace("=", " + ").replace(" - ", " + -1 ").split(" + ")
        found = [re.findall(r"(?:(\w+)\()?\b([A-Za-z]\w*)\[(.*?)\]", part) for part in parts]
        (left,), *terms = [[Entry(name, tuple(idx.replace(",", "")), fn) for fn, name, idx in part] for part in found]
        numbers = [re.match(r"\s*(-?\d[\d/]*)|", part)[1] or 1 for part in parts[1:]]
        network[left.name] = (left.idx, [Term(Fraction(n), tuple(t)) for n, t in zip(numbers, terms)])
    return network


def chain_rule(network, name: str, own: tuple[str, ...]) -> tuple[list[str], list[Term]]:
    """∂loss/∂name[own]: every contribution with its δs, and the terms when the δs are used up."""
    lines, terms = [], {}
    for user, (letters, body) in network.items():
        upstream = () if user == list(network)[-1] else (Entry("δ" + user, letters),)
        for term in body:
            unused = iter(sorted({*"klmpqrstuvw"}.difference(own, letters, term.letters())))
            away = {i: next(unused) if i in own else i for i in dict.fromkeys((*letters, *term.letters()))}
            for k, f in ((k, f) for k, f in enumerate(term.factors) if f.name == name):
                slope = (Entry(user, letters, f.fn, slope=True),) if f.fn else ()
                rest = Term(term.number, upstream + term.factors[:k] + slope + term.factors[k + 1 :]).renamed(away)
                deltas = [(away[e], i) for e, i in zip(f.idx, own)]
                lines.append(rest.text(own, deltas))
                done = rest.renamed(dict(deltas))  # the δs are used up: Σ_e δ(e,i) f(e) = f(i)
                terms[done.factors] = Term(done.number + getattr(terms.get(done.factors), "number", 0), done.factors)
    return lines, list(terms.values())


def as_matrices(term: Term, own: tuple[str, ...]) -> str:
    """Letters are vertices, matrices edges, and a vector is an edge to the vertex "" (one column).
    Parallel edges are a Hadamard product, two edges at a summed vertex a matrix product, a loose
    end is a product with ones. What does not become one edge stays in index notation."""
    row, column = (*own, "", "")[:2]
    ones = [Entry("𝟏", (i,)) for i in own if i not in term.letters()]
    edges = [(*(*f.idx, "", "")[:2], f.shown("")) for f in (*term.factors, *ones)]

    def at(v: str, edge):  # the edge, read from v on
        m = edge[2]
        turned = m[:-1] if m.endswith("ᵀ") else f"({m})ᵀ" if " " in m and m[0] != "(" else m + "ᵀ"
        return edge if edge[0] == v else (edge[1], edge[0], turned)

    while len(edges) > 1 or {row, column} != {*edges[0][:2]}:
        twins = [(a, b) for n, a in enumerate(edges) for b in edges[n + 1 :] if {*a[:2]} == {*b[:2]}]
        if twins:
            a, b = twins[0]
            new = (*a[:2], f"({a[2]} ⊙ {at(a[0], b)[2]})")
        else:
            inner = {v: [e for e in edges if v in e[:2]] for e in edges for v in e[:2] if v not in (row, column)}
            v, two = min(inner.items(), key=lambda item: len(item[1]) != 2, default=("", []))
            two = [*two, (v, "", "𝟏")] if len(two) == 1 and v else two
            if len(two) != 2:
                return "stays in index notation"
            a, b = two if row in two[0][:2] or row not in two[1][:2] else two[::-1]
            left, right = at(a[a[0] == v], a), at(v, b)
            new = (left[0], right[1], f"{left[2]} {right[2]}")
        edges = [e for e in edges if e is not a and e is not b] + [new]
    bare = re.sub(r"^\(((?:[^()]|\([^()]*\))*)\)$", r"\1", at(row, edges[0])[2])
    return SIGNS.get(term.number, f"{term.number} ") + bare


def derive(text: str, sizes: dict[str, int]) -> dict[str, str]:
    """Print the derivation of a network, check each gradient by numbers, answer the formulas."""
    network, known, formulas = read(text), {}, {}
    used = [f for _, terms in network.values() for t in terms for f in t.factors]
    leaves = {f.name: f.idx for f in used if f.name not in network}
    point = {name: np.random.default_rng(7).standard_normal([sizes[i] for i in idx]) for name, idx in leaves.items()}

    def run(moved="", by=0.0) -> complex:  # the loss, with one tensor moved; `known` keeps all values
        known.update({name: point[name] + (by if name == moved else 0) for name in leaves})
        for name, (own, terms) in network.items():
            known[name] = sum(t.value(own, known, sizes) for t in terms) + (by if name == moved else 0)
        return complex(known[name])

    *inner, loss = network
    for name, own in {**{u: network[u][0] for u in inner[::-1]}, **leaves}.items():
        units = np.eye(int(np.prod([sizes[i] for i in own]))).reshape(-1, *(sizes[i] for i in own))
        slopes = [run(name, 1e-20j * unit).imag / 1e-20 for unit in units]  # the complex step
        lines, terms = chain_rule(network, name, own)
        known["δ" + name] = np.real(sum(t.value(own, known, sizes) for t in terms))  # the last step is 1e-20 away
        assert np.allclose(np.ravel(known["δ" + name]), slopes, rtol=1e-10), f"the gradient for {name} is wrong"
        parts = lines, [t.text(own) for t in terms], [as_matrices(t, own) for t in terms]
        raw, used_up, formulas[name] = (" + ".join(p).replace("+ −", "− ") for p in parts)
        print(f"∂{loss}/∂{name}[{','.join(own)}] = {raw}\n    use up δ: {used_up}\n    matrices: {formulas[name]} ✓\n")
    return formulas


if __name__ == "__main__":
    two_layers = """Z[n,h] = X[n,d] W1[d,h] + b[h]
                    A[n,h] = tanh(Z[n,h])
                    P[n,c] = A[n,h] W2[h,c]
                    L[] = 1/2 P[n,c] P[n,c] - P[n,c] Y[n,c]"""
    derive(two_layers, {"n": 4, "d": 3, "h": 5, "c": 2})
