"""What the symbols of one network are: lets, the student's own definitions, and obvious spellings.

A symbol is matched by its key: the node in words without fonts, brackets around layer numbers or commas in
subscripts. A let matches a span of factors (`\\theta^T x^{(i)}`, `f'(z^{(2)})`) literally first, then with
its index letters renamed, but only where all lets that fit mean one array. Obvious spellings come after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product as combinations

from symbp.claim import Tree
from symbp.errors import SymbpError
from symbp.read.counts import NONE, Counts
from symbp.read.latex.grammar import parse
from symbp.read.latex.macros import scan
from symbp.read.latex.tokens import tokenise
from symbp.read.latex.tree import (
    Accent,
    Atom,
    Bracket,
    Environment,
    Fraction,
    List,
    Node,
    Product,
    Relation,
    Scripts,
    Sum,
    is_prime,
    is_transpose,
)
from symbp.show.alphabet import GREEK, Latex, parse_name

Key = tuple[str, ...]

_SAME = {
    "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "varrho": "rho", "varsigma": "sigma",
    "varpi": "pi", "varPhi": "Phi", "varDelta": "Delta", "varSigma": "Sigma", "varTheta": "Theta",
    "varGamma": "Gamma", "varLambda": "Lambda", "varPsi": "Psi", "varOmega": "Omega", "varXi": "Xi", "varPi": "Pi",
}  # fmt: skip
_GREEK_NAMES = {
    "lam": "lambda", "lambd": "lambda", "lambda_": "lambda", "lmbda": "lambda", "lmbd": "lambda", "eps": "epsilon",
    "alph": "alpha", "sig": "sigma", "gam": "gamma", "bet": "beta", "thet": "theta", "del": "delta", "ell": "ell",
}  # fmt: skip


def key(node: Node, tight: bool = False) -> str:
    """A node in words: equal for two spellings of one symbol."""
    match node:
        case Atom(kind="EMPTY"):
            return ""
        case Atom(text=text):
            return _SAME.get(text, text)
        case Accent(name=name, body=body):
            return f"{name}{{{key(body, True)}}}"
        case Scripts(base=base, subs=subs, sups=sups):
            words = key(base)
            if subs:
                words += "_" + "".join(key(s, True) for s in subs)
            for s in sups:
                if not is_prime(s) and not is_transpose(s):
                    words += "^" + key(_plain(s), True)
            words += "'" * sum(is_prime(s) for s in sups)
            words += "ᵀ" * sum(is_transpose(s) for s in sups)
            return words
        case Bracket(open=left, body=body):
            if left in ("|", "||", "<", "floor", "ceil"):
                return f"{left}{key(body)}{left}"
            return key(body, tight) if left == "" else f"({key(body)})"
        case Fraction(name=name, top=top, bottom=bottom):
            return f"{name}{{{key(top)}}}{{{key(bottom)}}}"
        case Product(factors=parts, operators=operators):
            gap = "" if tight else " "
            return gap.join((f"{o}{gap}" if o else "") + key(p, tight) for p, o in zip(parts, operators, strict=True))
        case Sum(terms=terms, signs=signs):
            return "".join(s + key(t, tight) for t, s in zip(terms, signs, strict=True))
        case Relation(sides=sides, names=names):
            return key(sides[0]) + "".join(n + key(s) for n, s in zip(names, sides[1:], strict=True))
        case List(items=items):
            return ("" if tight else ",").join(key(i, tight) for i in items)
        case Environment(name=name, rows=rows):
            return name + ";".join("&".join(key(c) for c in row) for row in rows)
    return ""


def _plain(node: Node) -> Node:
    return node.body if isinstance(node, Bracket) and node.open in ("(", "[", "<", "") else node


def parts(node: Node) -> tuple[Node, ...]:
    """The factors of a symbol; what stands between them must be juxtaposition."""
    if isinstance(node, Product) and not any(node.operators):
        return node.factors
    return (node,)


def read_symbol(text: str, names: Iterable[str] = ()) -> Node:
    """The tree of one symbol in LaTeX; raises what the reader raises."""
    tokens = tokenise(scan(text), text, frozenset(names))
    return parse(tokens, text)


@dataclass(frozen=True)
class Let:
    """`SYMBOL := EXPRESSION`: a span of factors, the index letters in it, and what it means."""

    symbol: tuple[Node, ...]
    tree: Tree
    letters: frozenset[str]
    text: str

    @property
    def key(self) -> Key:
        return tuple(key(n) for n in self.symbol)


@dataclass
class Found:
    """What a symbol means: a tree, and the scripts that are left over."""

    tree: Tree
    subs: tuple[Node, ...] = ()
    sups: tuple[Node, ...] = ()
    note: str = ""
    compound: bool = False
    own: tuple[tuple[Node, ...], tuple[Node, ...]] | None = None  # the scripts that belong to the name


def free_letters(tree: Tree) -> frozenset[str]:
    """The index letters of a tree that nothing uses up."""
    own: set[str] = set()
    if tree.op == "entry":
        own = {i for i in tree.data if isinstance(i, str) and i not in ("*", ":")}
    elif tree.op == "letter":
        own = {tree.data[0]}
    for a in tree.args:
        own |= free_letters(a)
    if tree.op == "over":
        own -= set(tree.data[1])
    elif tree.op == "array":
        own -= set(tree.data)
    return frozenset(own)


def rename(tree: Tree, to: Mapping[str, str | int]) -> Tree:
    """The tree with free index letters replaced by letters or by numbers counted from 0."""
    if not to:
        return tree
    if tree.op == "letter":
        new = to.get(tree.data[0], tree.data[0])
        return Tree("letter", (), (new,)) if isinstance(new, str) else Tree("number", (), (_fraction(new), str(new)))
    inner = dict(to)
    if tree.op in ("over", "array"):
        bound = tree.data[1] if tree.op == "over" else tree.data
        inner = {k: v for k, v in to.items() if k not in bound}
    args = tuple(rename(a, inner) for a in tree.args)
    data = tree.data
    if tree.op == "entry":
        data = tuple(to.get(i, i) if isinstance(i, str) else i for i in data)
    return Tree(tree.op, args, data)


def _fraction(n: int) -> object:
    from fractions import Fraction

    return Fraction(n)


def unify(pattern: Sequence[Node], nodes: Sequence[Node], letters: frozenset[str]) -> dict[str, str | int] | None:
    """How the index letters of a let become those of a span, or None."""
    found: dict[str, str | int] = {}

    def one(p: Node, n: Node) -> bool:
        p, n = _same_level(p), _same_level(n)
        if isinstance(p, Atom) and p.text in letters and p.kind == "LETTER":
            value: str | int
            if (isinstance(n, Atom) and n.kind == "LETTER" and len(n.text) == 1) or (
                isinstance(n, Atom) and n.text in ("ell",)
            ):
                value = n.text
            elif isinstance(n, Atom) and n.kind == "NUM" and n.text.isdigit() and int(n.text) > 0:
                value = int(n.text) - 1
            elif (
                isinstance(n, Scripts)
                and isinstance(n.base, Atom)
                and n.base.kind == "LETTER"
                and all(is_prime(s) for s in n.sups)
                and not n.subs
            ):
                value = key(n)
            else:
                return False
            return found.setdefault(p.text, value) == value
        if type(p) is not type(n):
            return False
        match p, n:
            case Atom(text=a), Atom(text=b):
                return _SAME.get(a, a) == _SAME.get(b, b)
            case Accent(name=a, body=x), Accent(name=b, body=y):
                return a == b and one(x, y)
            case Scripts(), Scripts():
                return (
                    one(p.base, n.base)
                    and many(_flat(p.subs), _flat(n.subs))
                    and many(_sorted(p.sups), _sorted(n.sups))
                )
            case Bracket(open=a, body=x), Bracket(open=b, body=y):
                return (a == b or {a, b} <= {"(", "[", "{"}) and one(x, y)
            case Fraction(name=a, top=t, bottom=u), Fraction(name=b, top=v, bottom=w):
                return a == b and one(t, v) and one(u, w)
            case Product(), Product():
                return p.operators == n.operators and many(p.factors, n.factors)
            case Sum(), Sum():
                return p.signs == n.signs and many(p.terms, n.terms)
            case Relation(), Relation():
                return p.names == n.names and many(p.sides, n.sides)
            case List(), List():
                return many(p.items, n.items)
        return key(p) == key(n)

    def many(ps: Sequence[Node], ns: Sequence[Node]) -> bool:
        return len(ps) == len(ns) and all(map(one, ps, ns))

    return found if many(pattern, nodes) else None


def _same_level(node: Node) -> Node:
    return node.body if isinstance(node, Bracket) and node.open == "" else node


def _flat(subs: Sequence[Node]) -> list[Node]:
    """Subscripts one by one: `_{ij}`, `_{i,j}`, `_i{_j}`."""
    found: list[Node] = []
    for s in subs:
        if isinstance(s, List):
            found += _flat(s.items)
        elif isinstance(s, Product) and not any(s.operators):
            found += _flat(s.factors)
        elif isinstance(s, Bracket) and s.open == "":
            found += _flat((s.body,))
        else:
            found.append(s)
    return found


flat_subscripts = _flat


def _sorted(sups: Sequence[Node]) -> list[Node]:
    rest = [_plain(s) for s in sups if not is_prime(s) and not is_transpose(s)]
    return rest + [s for s in sups if is_prime(s)] + [s for s in sups if is_transpose(s)]


@dataclass
class Symbols:
    """All names of one network, as the LaTeX reader sees them."""

    tensors: Mapping[str, int]  # name -> number of axes
    scalars: frozenset[str]  # sizes and constants
    latex: Mapping[str, str] = field(default_factory=dict)
    lets: list[Let] = field(default_factory=list)
    exact: dict[Key, Let] = field(default_factory=dict)
    defined: dict[str, tuple[str, int]] = field(default_factory=dict)  # key -> (name of a definition, axes)
    spelled: dict[str, str] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    longest: int = 1
    functions: dict[str, str] = field(default_factory=dict)  # spelling -> a function that the network declares
    words: frozenset[str] = frozenset()
    counts: Counts = NONE

    def __post_init__(self) -> None:
        names = [*self.tensors, *self.scalars]
        words = {n for n in names if len(n) > 1 and re.fullmatch(r"[A-Za-z]+", n)}
        for n in names:
            base = parse_name(n).base
            if len(base) > 1 and base.isalpha() and base.isascii() and base not in GREEK:
                words.add(base)
        words |= {"d" + w for w in list(words) if len(w) > 2}
        self.words = frozenset(words)
        first, later, last = [], [], []
        for n in names:
            shown = Latex(self.latex).tensor(n)
            with suppress(SymbpError):
                first.append((key(read_symbol(shown, self.words)), n))
            first.append((n, n))
            later += [(s, n) for s in member_spellings(n)]
            a, b = spellings(n)
            later += [(s, n) for s in a]
            last += [(s, n) for s in (*b, *_turned_spellings(n))]
        for level in (first, later, last):
            for spelling, n in level:
                self.spelled.setdefault(spelling, n)
        seen: dict[str, set[str]] = {}
        for spelling, n in self.spelled.items():
            seen.setdefault(spelling.lower(), set()).add(n)
        self.folded = {s: next(iter(ns)) for s, ns in seen.items() if len(ns) == 1}

    # -------- lets

    def let(self, text: str, make: Callable[[frozenset[str]], Tree]) -> None:
        """One `SYMBOL := …`; `make` reads the right side, told which letters may be indices."""
        node = read_symbol(text, self.words)
        symbol = parts(node)
        tree = make(frozenset(letters_of(node)))
        self.add(Let(symbol, tree, free_letters(tree) & frozenset(letters_of(node)), text))

    def add(self, let: Let) -> None:
        self.lets.append(let)
        self.exact.setdefault(let.key, let)
        self.longest = max(self.longest, len(let.symbol))
        if len(let.symbol) == 1 and isinstance(let.symbol[0], Scripts):
            base = let.tree
            while base.op in ("entry", "alias"):
                base = base.args[0]
            number = re.search(r"(\d+)$", base.data[0]) if base.op in ("name", "gradient") else None
            for s in let.symbol[0].sups:
                s = _plain(s)
                if (
                    isinstance(s, Atom)
                    and s.kind == "LETTER"
                    and number
                    and not is_transpose(s)
                    and not is_prime(s)
                    and s.text not in let.letters
                ):
                    self.layers.setdefault(s.text, int(number[1]))

    def span(self, nodes: Sequence[Node]) -> tuple[int, Found] | None:
        """The longest span of factors at the start that a let names, if it has more than one factor."""
        for size in range(min(self.longest, len(nodes)), 1, -1):
            last = nodes[size - 1]
            base, subs, sups = (last.base, last.subs, last.sups) if isinstance(last, Scripts) else (last, (), ())
            for own, left in _splits(subs, sups):
                found = self._let([*nodes[: size - 1], _join(last, base, *own)])
                if found is not None:
                    return size, Found(found.tree, *left, compound=True, own=own)
        return None

    def compound(self, node: Node) -> Found | None:
        """A let of a bracket, norm or fraction: `|\\mathcal{B}|`, `\\frac{\\partial C}{\\partial a_4}`."""
        if not self.lets:
            return None
        base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
        if not isinstance(base, (Bracket, Fraction, Environment)):
            return None
        for own, left in _splits(subs, sups):
            found = self._let([_join(node, base, *own)])
            if found is not None:
                return Found(found.tree, *left, compound=True, own=own)
        return None

    def _let(self, nodes: Sequence[Node]) -> Found | None:
        exact = self.exact.get(tuple(key(n) for n in nodes))
        if exact is not None:
            return Found(exact.tree, compound=True)
        fits: list[tuple[Let, dict[str, str | int]]] = []
        for let in self.lets:
            if len(let.symbol) == len(nodes) and let.letters:
                to = unify(let.symbol, nodes, let.letters)
                if to is not None:
                    fits.append((let, to))
        if not fits:
            return None
        same = [f for f in fits if set(f[1].values()) == set(f[1])]
        for chosen in (same, fits):
            if chosen:
                trees = {_forget(let.tree): rename(let.tree, to) for let, to in chosen}
                if len(trees) == 1:
                    return Found(next(iter(trees.values())), compound=True)
                if chosen is fits:
                    raise Ambiguous([let.text for let, _ in fits])
        return None

    # -------- one symbol

    def symbol(self, node: Node) -> Found | None:
        """The meaning of one factor, with as many of its scripts as possible used for the name."""
        base, subs, sups = (node.base, node.subs, node.sups) if isinstance(node, Scripts) else (node, (), ())
        if isinstance(base, Bracket) and base.open == "(" and isinstance(base.body, (Scripts, Atom, Accent)):
            base = base.body  # (W_2)_{ij}, handled by the caller if it means nothing here
            if isinstance(base, Scripts):
                return None
        splits = list(_splits(subs, sups))
        for own, left in splits:  # definitions, then lets, exact or renamed
            whole = _join(node, base, *own)
            defined = self.defined.get(key(whole))
            if defined is not None:
                return Found(Tree("name", (), (defined[0], "")), *left, own=own)
            found = self._let([whole])
            if found is not None:
                return Found(found.tree, *left, compound=True, own=own)
        found = self._without_indices(base, subs, sups)
        if found is not None:
            return found
        for own, left in splits:
            whole = _join(node, base, *own)
            for spelling in self._spelled(whole):
                name = self.spelled.get(spelling)
                if name is not None:
                    return Found(Tree("name", (), (name, "")), *left, own=own)
        for own, left in splits:
            whole = _join(node, base, *own)
            for spelling in self._spelled(whole):
                name = self.folded.get(spelling.lower())
                if name is not None and name not in self.scalars:
                    return Found(Tree("name", (), (name, "")), *left, own=own, note=f"{key(whole)} is read as {name}")
        return None

    def _without_indices(self, base: Node, subs: tuple[Node, ...], sups: tuple[Node, ...]) -> Found | None:
        """`\\delta^{3}` from a let of `\\delta_i^{3}`: the whole array."""
        bodies: dict[Tree, None] = {}
        plain = next((n for n, s in enumerate(sups) if is_prime(s) or is_transpose(s)), len(sups))
        for rest in range(plain, -1, -1):
            wanted = (key(base), tuple(key(_plain(s), True) for s in sups[:rest]))
            for let in self.lets:
                symbol = let.symbol[0]
                if len(let.symbol) == 1 and let.letters and isinstance(symbol, Scripts) and symbol.subs:
                    flat = _flat(symbol.subs)
                    if not all(isinstance(s, Atom) and s.text in let.letters for s in flat):
                        continue
                    mine = (key(symbol.base), tuple(key(_plain(s), True) for s in symbol.sups))
                    whole = _whole(let.tree, [s.text for s in flat if isinstance(s, Atom)])
                    if mine == wanted and whole is not None:
                        bodies.setdefault(whole)
            if bodies:
                if len(bodies) == 1 and not subs:
                    return Found(next(iter(bodies)), (), sups[rest:], compound=True, own=((), sups[:rest]))
                return None
        return None

    def _spelled(self, node: Node) -> list[str]:
        spelling = key(node)
        found = [spelling]
        if self.layers and isinstance(node, Scripts):
            for letter, number in self.layers.items():
                found.append(
                    re.sub(
                        rf"(?<=[\^_]){re.escape(letter)}([+-]\d+)?(?=$|[\^_])",
                        lambda m, n=number: str(n + int(m[1] or 0)),  # type: ignore[misc]
                        spelling,
                    )
                )
        return found


class Ambiguous(Exception):
    """Several lets fit a symbol and mean different arrays."""

    def __init__(self, lets: Sequence[str]) -> None:
        super().__init__(", ".join(lets))
        self.lets = lets


def _forget(tree: Tree) -> Tree:
    """The tree with its index letters made equal: which array is it?"""
    return rename(tree, dict.fromkeys(free_letters(tree), ""))


def _whole(tree: Tree, letters: Sequence[str]) -> Tree | None:
    """The array whose entry at these letters a let's tree is."""
    if tree.op == "alias":
        inner = _whole(tree.args[0], letters)
        return inner
    if tree.op == "entry" and len(tree.args) == 1 and tuple(i for i in tree.data if i != ":") == tuple(letters):
        return tree.args[0]
    if set(letters) == free_letters(tree):
        return Tree("array", (tree,), tuple(letters))
    return None


def letters_of(node: Node) -> set[str]:
    """All plain letters in a symbol's scripts and brackets."""
    found: set[str] = set()
    match node:
        case Atom(kind="LETTER", text=text):
            found.add(text)
        case Accent(body=body) | Bracket(body=body):
            found |= letters_of(body)
        case Scripts(base=base, subs=subs, sups=sups):
            for part in (base, *subs, *sups):
                found |= letters_of(part)
        case Fraction(top=top, bottom=bottom):
            found |= letters_of(top) | letters_of(bottom)
        case Product(factors=items) | Sum(terms=items) | List(items=items) | Relation(sides=items):
            for part in items:
                found |= letters_of(part)
    return found


_Split = tuple[tuple[tuple[Node, ...], tuple[Node, ...]], tuple[tuple[Node, ...], tuple[Node, ...]]]


def _splits(subs: tuple[Node, ...], sups: tuple[Node, ...]) -> Iterable[_Split]:
    """Which scripts belong to the name, most of them first; the others are indices, powers, transposes."""
    units: list[tuple[Node, ...]] = []
    for s in subs:
        units += [(x,) for x in s.items] if isinstance(s, List) else [(s,)]
    ways: list[tuple[int, list[Node], list[Node], tuple[Node, ...], tuple[Node, ...]]] = []
    for k in range(len(units), -1, -1):
        taken, left = [x for u in units[:k] for x in u], [x for u in units[k:] for x in u]
        n = len(sups)
        for chosen in combinations((True, False), repeat=n) if n <= 4 else [(True,) * n, (False,) * n]:
            mine = tuple(s for s, c in zip(sups, chosen, strict=True) if c)
            rest = tuple(s for s, c in zip(sups, chosen, strict=True) if not c)
            if (
                any(is_prime(s) or is_transpose(s) for s in mine)
                and rest
                and not any(is_prime(s) or is_transpose(s) for s in rest)
            ):
                if any(is_transpose(s) for s in mine):
                    continue
            ways.append((k + len(mine), taken, left, mine, rest))
    ways.sort(key=lambda w: -w[0])
    for _, taken, left, mine, rest in ways:
        yield (tuple(taken), mine), (tuple(left), rest)


def _join(node: Node, base: Node, subs: tuple[Node, ...], sups: tuple[Node, ...]) -> Node:
    return Scripts(node.span, base, subs, sups) if subs or sups else base


def spellings(name: str) -> tuple[list[str], list[str]]:
    """The keys by which a name is obviously meant, the likely and the less likely ones."""
    taken = parse_name(name)
    bases = _bases(taken.base)
    likely: list[str] = []
    unlikely: list[str] = []
    for base in bases:
        shown = f"{taken.accent}{{{base}}}" if taken.accent else base
        likely += _with(shown, taken.subs)
    if taken.accent == "" and len(taken.base) > 1 and taken.base not in GREEK and taken.base.isascii():
        stem = next(
            (g for g in sorted(GREEK, key=len, reverse=True) if taken.base.startswith(g) and len(g) > 2), taken.base[0]
        )
        rest = taken.base[len(stem) :]
        for base in _bases(stem):
            unlikely += _with(base, (rest, *taken.subs))
            if rest in ("h", "hat"):
                unlikely += _with(f"hat{{{base}}}", taken.subs)
            if rest in ("t", "til", "tilde"):
                unlikely += _with(f"tilde{{{base}}}", taken.subs)
            if rest in ("b", "bar"):
                unlikely += _with(f"bar{{{base}}}", taken.subs)
    if taken.subs[-1:] == ("prev",):
        unlikely += [f"{b}_t-1" for b in bases] + [f"{b}^t-1" for b in bases]
    return likely, unlikely


def member_spellings(name: str) -> list[str]:
    """The keys of a member of a family: `W[2]` is `W^{(2)}`, `W_2`; `h[1, 4]` is `h^{(1)}_4`: first the layer."""
    likely, units = _member(name)
    plain = [base for base in likely if "_" not in base and "^" not in base]
    if len(units) == 2:
        both = [s for base in plain for s in _with(base, units) if "^" not in s or "_" not in s]
        return [f"{base}_{units[1]}^{units[0]}" for base in plain] + both
    found = [s for base in plain for s in _with(base, units)] if units else []
    return found + [f"{base}^{units[0]}" for base in likely if "_" in base and "^" not in base and len(units) == 1]


def _turned_spellings(name: str) -> list[str]:
    """`h[1, 4]` as `h^{(4)}_1`: the layer is counted second."""
    likely, units = _member(name)
    return [f"{base}_{units[0]}^{units[1]}" for base in likely if "_" not in base and len(units) == 2]


def _member(name: str) -> tuple[list[str], list[str]]:
    """The likely keys of a family, and the numbers of its member."""
    family, bracket, numbers = name.partition("[")
    return (spellings(family)[0], [u.strip() for u in numbers.rstrip("]").split(",")]) if bracket else ([], [])


def _bases(base: str) -> list[str]:
    found = [_GREEK_NAMES.get(base, base)]
    if base in ("ell", "l"):
        found = ["ell", "l"] if base == "ell" else ["l", "ell"]
    return found


def _with(base: str, subs: Sequence[str]) -> list[str]:
    if not subs:
        return [base]
    shown = [_GREEK_NAMES.get(s, s) for s in subs]
    joined = "".join(shown)
    found = [f"{base}_{joined}", f"{base}^{joined}"]
    if len(shown) == 2:
        found += [f"{base}_{shown[0]}^{shown[1]}", f"{base}_{shown[1]}^{shown[0]}"]
    return found


def filled(node: Node, numbers: Mapping[str, str]) -> Node:
    """A symbol with numbers in the place of letters."""
    match node:
        case Atom(kind="LETTER", text=text) if text in numbers:
            return Atom(node.span, "NUM", numbers[text])
        case Accent():
            return Accent(node.span, node.name, filled(node.body, numbers))
        case Scripts():
            return Scripts(
                node.span,
                filled(node.base, {}),
                tuple(filled(s, numbers) for s in node.subs),
                tuple(filled(s, numbers) for s in node.sups),
            )
        case Bracket():
            return Bracket(node.span, node.open, node.close, filled(node.body, numbers))
        case Fraction():
            return Fraction(node.span, node.name, filled(node.top, numbers), filled(node.bottom, numbers))
        case Product():
            return Product(node.span, tuple(filled(f, numbers) for f in node.factors), node.operators)
        case Sum():
            return Sum(node.span, tuple(filled(t, numbers) for t in node.terms), node.signs)
        case List():
            return List(node.span, tuple(filled(i, numbers) for i in node.items))
    return node
