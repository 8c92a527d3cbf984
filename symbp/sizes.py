"""Arithmetic of sizes, and what is known of them while a network is read.

A size is an expression made of names (`Size`), whole numbers, sums and products; two sizes are
equal when they are equal as polynomials. A number that was written in a declaration and is larger
than 8 is a name made of digits, `Size("64")`, so that a numeric check can shrink it; whatever
depends on its value (64 = 8·8) is recorded as a relation of that name, so shrinking stays sound.

`Sizes` keeps the relations in solved form: the right side of a relation holds no name that has a
relation itself. Two names never become equal by being used together: that is a clash, which the
caller reports, because only the caller knows the operands.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from fractions import Fraction

from symbp.errors import DeclarationError, LimitError
from symbp.expr import ONE, Add, Expr, Index, Mul, Num, Pow, Reduce, Size, add, fresh, mul, number, rebuild, substitute

Monomial = tuple[str, ...]
Polynomial = dict[Monomial, Fraction]
Shape = tuple[Expr, ...]

KEPT = 8  # literal sizes up to here stand for themselves
LARGEST = 10**6
_CONSTANT: Monomial = ()


def literal(value: int) -> Expr:
    """A size written as a number."""
    if value < 1:
        raise DeclarationError(f"a size must be a positive whole number, not {value}")
    if value > LARGEST:
        raise LimitError(f"the size {value} is larger than the limit {LARGEST}")
    return Num(value) if value <= KEPT else Size(str(value))


def is_literal(name: str) -> bool:
    """Whether the name of a size is a number that somebody wrote."""
    return name.isdigit()


def polynomial(size: Expr, relations: Mapping[str, Expr] | None = None) -> Polynomial:
    """A size as coefficients of products of names, relations put in."""
    match size:
        case Num():
            return {_CONSTANT: size.value} if size.value else {}
        case Size():
            if relations and size.name in relations:
                return polynomial(relations[size.name])
            return {(size.name,): Fraction(1)}
        case Add():
            result: Polynomial = {}
            for part in size.args:
                _accumulate(result, polynomial(part, relations))
            return result
        case Mul():
            result = {_CONSTANT: Fraction(1)}
            for part in size.args:
                result = _times(result, polynomial(part, relations))
            return result
        case Pow():
            return _power(size, relations)
    raise DeclarationError(f"a size is made of names, whole numbers, + - and *, not {size!r}")


def _power(size: Pow, relations: Mapping[str, Expr] | None) -> Polynomial:
    base, exponent = polynomial(size.base, relations), size.exponent
    if not isinstance(exponent, Num):
        raise DeclarationError(f"the exponent of a size must be a number, not {exponent!r}")
    if exponent.value == -1 and base.keys() == {_CONSTANT}:
        return {_CONSTANT: 1 / base[_CONSTANT]}
    if exponent.value.denominator != 1 or not 0 <= exponent.value <= 8:
        raise DeclarationError(f"a size cannot be raised to the power {exponent!r}")
    result: Polynomial = {_CONSTANT: Fraction(1)}
    for _ in range(int(exponent.value)):
        result = _times(result, base)
    return result


def _accumulate(into: Polynomial, more: Polynomial, factor: int = 1) -> None:
    for names, value in more.items():
        into[names] = into.get(names, Fraction(0)) + factor * value
        if not into[names]:
            del into[names]


def _times(left: Polynomial, right: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for a, x in left.items():
        for b, y in right.items():
            _accumulate(result, {tuple(sorted(a + b)): x * y})
    if len(result) > 100:
        raise LimitError("a size has too many terms")
    return result


def from_polynomial(terms: Polynomial) -> Expr:
    """The size expression of a polynomial, terms in the order in which they arose."""
    return add(*(mul(Num(value), *map(Size, names)) for names, value in terms.items()))


def size_sum(*sizes: Expr) -> Expr:
    """Sizes added and like terms collected: `n − k + 1`."""
    return from_polynomial(polynomial(add(*sizes)))


def size_product(*sizes: Expr) -> Expr:
    """Sizes multiplied; one factor is kept as it was written."""
    factors = [s for s in sizes if s is not ONE]
    return mul(*factors) if len(factors) < 2 else from_polynomial(polynomial(mul(*factors)))


def quotient(total: Expr, part: Expr) -> Expr | None:
    """total / part where that is a size again, else None."""
    divisor = polynomial(part)
    if len(divisor) != 1:
        return ONE if polynomial(total) == divisor else None
    ((names, value),) = divisor.items()
    result: Polynomial = {}
    for monomial, coefficient in polynomial(total).items():
        left = list(monomial)
        for name in names:
            if name not in left:
                return None
            left.remove(name)
        if (coefficient / value).denominator != 1:
            return None
        result[tuple(left)] = coefficient / value
    return from_polynomial(result)


def value_of(size: Expr) -> int | None:
    """The number that a size is when only literals occur in it, else None."""
    number = _numbers(polynomial(size))
    if not number:
        return 0
    return int(number[_CONSTANT]) if number.keys() == {_CONSTANT} else None


def _numbers(terms: Polynomial) -> Polynomial:
    """Literal names replaced by their values."""
    result: Polynomial = {}
    for names, value in terms.items():
        for name in filter(is_literal, names):
            value *= int(name)
        _accumulate(result, {tuple(n for n in names if not is_literal(n)): value})
    return result


def size_text(size: Expr) -> str:
    """A size as a user would write it: `n - k + 1`."""
    if isinstance(size, Num):
        return number(size.value)
    known = value_of(size)
    if known is not None:
        return str(known)
    if isinstance(size, Add):
        shown = size_text(size.args[0])
        for part in size.args[1:]:
            more = size_text(part)
            shown += " - " + more[1:] if more.startswith("-") else " + " + more
        return shown
    if isinstance(size, Mul):
        factors = list(size.args)
        sign = "-" if isinstance(factors[0], Num) and factors[0].value == -1 else ""
        return sign + "*".join(
            f"({size_text(f)})" if isinstance(f, Add) else size_text(f) for f in factors[len(sign) :]
        )
    return repr(size)


def shape_text(shape: Iterable[Expr]) -> str:
    """`(N, D)`, `(n,)`, `()`."""
    parts = [size_text(s) for s in shape]
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


class Sizes:
    """What is known of the sizes of one network: the relations found so far, and warnings."""

    def __init__(self) -> None:
        self.relations: dict[str, Expr] = {}
        self.warnings: list[str] = []
        self.names: set[str] = set()  # every name of the network, so that an invented size is new
        self.invented: set[str] = set()  # sizes that nobody declared; they may become any other
        self._forms: dict[frozenset[tuple[Monomial, Fraction]], Expr] = {}

    def same(self, a: Expr, b: Expr) -> bool:
        """Equal as far as known; nothing is recorded."""
        return a is b or polynomial(a, self.relations) == polynomial(b, self.relations)

    def same_number(self, a: Expr, b: Expr) -> bool:
        """Equal once literals are taken by their value; nothing is recorded."""
        difference = dict(polynomial(a, self.relations))
        _accumulate(difference, polynomial(b, self.relations), -1)
        return not _numbers(difference)

    def unify(self, a: Expr, b: Expr) -> bool:
        """Make two sizes equal: True if they are, or now are by a recorded relation; False if
        they clash."""
        if a is b:
            return True
        left, right = polynomial(a, self.relations), polynomial(b, self.relations)
        difference = dict(left)
        _accumulate(difference, right, -1)
        if not difference:
            return True
        numbers = _numbers(difference)
        if not numbers:
            self._tie_literals(difference)
            return True
        if numbers.keys() == {_CONSTANT} or left == {_CONSTANT: 1} or right == {_CONSTANT: 1}:
            return False
        solved = _solve(difference, self._candidates(left, right), self.invented)
        if solved is None:
            return False
        self._record(*solved)
        return True

    def _candidates(self, left: Polynomial, right: Polynomial) -> list[str]:
        """Names to solve for: invented ones, then a side that is a name alone, then any."""
        sides = sorted((left, right), key=len)
        names = [n for side in sides for names in side for n in names if not is_literal(n)]
        return sorted(dict.fromkeys(names), key=lambda n: n not in self.invented)

    def resolve(self, size: Expr) -> Expr:
        """A size with the relations put in, the same expression for equal sizes."""
        if isinstance(size, Num) or (isinstance(size, Size) and size.name not in self.relations):
            return size
        terms = polynomial(size, self.relations)
        plain = not any(n in self.relations for names in polynomial(size) for n in names)
        return self._forms.setdefault(frozenset(terms.items()), size if plain else from_polynomial(terms))

    def divide(self, total: Expr, part: Expr) -> Expr | None:
        """total / part; a bare name that does not divide becomes a multiple by a new name."""
        total, part = self.resolve(total), self.resolve(part)
        exact = quotient(total, part)
        if exact is not None:
            return exact
        number, by = value_of(total), value_of(part)
        if number is not None and by is not None:
            return self._literal_quotient(total, part, number, by)
        if not isinstance(total, Size) or is_literal(total.name):
            return None
        new = self.invent(total.name)
        return new if self.unify(total, mul(new, part)) else None

    def _literal_quotient(self, total: Expr, part: Expr, number: int, by: int) -> Expr | None:
        if number % by:
            return None
        result = literal(number // by)
        self.unify(total, mul(result, part))
        return result

    def pin(self, size: Expr) -> int | None:
        """The number of a literal size; from here on its literals stand for themselves."""
        size = self.resolve(size)
        known = value_of(size)
        if known is not None:
            for name in {n for names in polynomial(size) for n in names}:
                self._record(name, Num(int(name)))
        return known

    def invent(self, stem: str) -> Size:
        """A size with a new name."""
        n = 1
        while f"{stem}{n}" in self.names:
            n += 1
        self.names.add(f"{stem}{n}")
        self.invented.add(f"{stem}{n}")
        return Size(f"{stem}{n}")

    def _record(self, name: str, size: Expr) -> None:
        self.relations[name] = size
        for other, old in self.relations.items():
            if other != name:
                self.relations[other] = self.resolve(old)

    def _tie_literals(self, difference: Polynomial) -> None:
        """Literals that are equal by value only must stay equal when they are shrunk."""
        literals = {n for names in difference for n in names if is_literal(n)}
        solved = _solve(difference, sorted(literals, key=int, reverse=True))
        if solved is not None:
            self._record(*solved)
            return
        for name in literals:
            self._record(name, Num(int(name)))


def _solve(difference: Polynomial, candidates: Iterable[str], free: Container[str] = ()) -> tuple[str, Expr] | None:
    """A name and the size it must have so that the difference vanishes; another declared name
    only for a name that is `free`."""
    for name in candidates:
        rest = {names: value for names, value in difference.items() if names != (name,)}
        if (name,) not in difference or any(name in names for names in rest):
            continue
        solution = {names: -value / difference[(name,)] for names, value in rest.items()}
        if not solution or any(value.denominator != 1 for value in solution.values()):
            continue
        size = from_polynomial(dict(sorted(solution.items(), key=lambda term: (not term[0], term[1] < 0))))
        if isinstance(size, Size) and not (is_literal(size.name) or is_literal(name) or name in free):
            return None
        if isinstance(size, Num) and size.value < 2:
            return None
        return name, size
    return None


def resolve_sizes(e: Expr, sizes: Sizes) -> Expr:
    """An expression with the relations put in, in the ranges of its indices too."""
    memo: dict[Expr, Expr] = {}

    def walk(x: Expr) -> Expr:
        found = memo.get(x)
        if found is None:
            found = memo[x] = put_in(x)
        return found

    def put_in(x: Expr) -> Expr:
        if isinstance(x, Size):
            return sizes.resolve(x)
        if isinstance(x, Index):
            dim = sizes.resolve(x.dim)
            return x if dim is x.dim else Index(x.name, dim)
        if isinstance(x, Reduce):
            letters = {old: fresh(sizes.resolve(old.dim)) for old in x.bound}
            return Reduce(x.op, letters.values(), walk(substitute(x.body, letters)), map(walk, x.at))
        return rebuild(x, map(walk, x.args)) if x.args else x

    return walk(e)
