"""THE table of functions: one row each.

A row says all that symbp knows of an elementwise function: its slope for each argument, seen
from its *output* where that is how books write it (σ′ = a(1 − a), tanh′ = 1 − a²), its value in
NumPy (safe for the complex step: kinks look at the real part), its SymPy twin, how it is written
in LaTeX, Unicode and NumPy, and where it is not smooth. A new activation is one row; the tests
hold every row against `sympy.diff` and finite differences without a line written for it.

A slope is `slope(out, *args) -> Expr`. A template marks its arguments by {0}, {1}, … and is
filled by `fill` (not `str.format`: LaTeX has braces of its own).
"""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypedDict

from symbp.errors import NoRule
from symbp.expr import HALF, ONE, TWO, ZERO, Call, Compare, Const, Entry, Expr, Num, Pow, Select, mul

Slope = Callable[..., Expr]


@dataclass(frozen=True)
class Op:
    """One row. `value(np, *args)` works on NumPy arrays, real or complex; `twin(sp, *args)` is the
    SymPy expression; `kinks(*args)` are expressions that must stay away from 0; `analytic` says
    whether the complex step may pass through it. Generated code writes it as `call` where NumPy has
    it; else `helper` is the text of a function of its name, which is carried along."""

    name: str
    slopes: tuple[Slope, ...]
    value: Callable[..., Any]
    twin: Callable[..., Any]
    numpy: str
    latex: str
    unicode: str
    law: str = ""
    kinks: Callable[..., tuple[Expr, ...]] = lambda *a: ()
    analytic: bool = True
    defaults: tuple[Num, ...] = ()
    domain: str = ""
    call: str = ""
    helper: str = ""

    @property
    def arity(self) -> int:
        return len(self.slopes)


def call(name: str, *args: Expr) -> Call:
    return Call(name, *args)


def _positive(x: Expr) -> Expr:
    return Compare(">", x, ZERO)


def _passes(out: Expr, x: Expr) -> Expr:
    """1[x > 0] for max(0, x), or 1[out > 0], which is the same, where x has no name and out has."""
    return _positive(out if isinstance(out, Entry) and not isinstance(x, Entry) else x)


def _gaussian(x: Expr) -> Expr:
    """exp(−x²)·2/√π, the slope of erf."""
    return mul(TWO, call("exp", -(x**TWO)), Pow(Pow(Const("pi"), HALF), Num(-1)))


def _gelu_slope(out: Expr, x: Expr) -> Expr:
    """Φ(x) + x φ(x)."""
    cdf = mul(HALF, ONE + call("erf", x / Pow(TWO, HALF)))
    pdf = call("exp", -(x**TWO) / 2) / Pow(mul(TWO, Const("pi")), HALF)
    return cdf + mul(x, pdf)


def _mish_slope(out: Expr, x: Expr) -> Expr:
    t = call("tanh", call("softplus", x))
    return t + mul(x, ONE - t**TWO, call("sigmoid", x))


def fill(template: str, *args: str) -> str:
    """Put the arguments into a template."""
    for n, a in enumerate(args):
        template = template.replace(f"{{{n}}}", a)
    return template


def _real(x: Any) -> Any:
    return getattr(x, "real", x)


def _erf(np: Any, x: Any) -> Any:
    """erf; off the real line as the integral of its slope, by Gauss's rule (1e-16 up to |x| = 6)."""
    from math import erf

    value = np.vectorize(erf, otypes=[float])(_real(x))
    if not np.iscomplexobj(x):
        return value
    nodes, weights = np.polynomial.legendre.leggauss(48)
    t = np.clip(_real(x), -6.0, 6.0) + 1j * x.imag
    powers = np.exp(-((t[..., None] * (nodes + 1) / 2) ** 2))
    return value + 1j * (t * (powers * weights).sum(axis=-1) / np.sqrt(np.pi)).imag


def _sigmoid(np: Any, x: Any) -> Any:
    """1/(1+e^−x) without overflow at either end."""
    x = np.asarray(x)
    e = np.exp(np.where(_real(x) > 0, -x, x))
    return np.where(_real(x) > 0, 1 / (1 + e), e / (1 + e))


def _softplus(np: Any, x: Any) -> Any:
    m = np.maximum(_real(x), 0.0)
    return m + np.log(np.exp(x - m) + np.exp(-m))


def _elu(np: Any, x: Any, alpha: Any) -> Any:
    low = np.where(_real(x) > 0, 0.0, x)
    return np.where(_real(x) > 0, x, alpha * np.expm1(low))


def _gt(np: Any, x: Any, y: Any) -> Any:
    return _real(x) > _real(y)


SELU_SCALE = Num("1.0507009873554805", decimal=True)
SELU_ALPHA = Num("1.6732632423543772", decimal=True)
_S, _A = float(SELU_SCALE.value), float(SELU_ALPHA.value)


class _Spelling(TypedDict):
    numpy: str
    latex: str
    unicode: str


def _fn(name: str) -> _Spelling:
    """The common way to write a function whose name is the same everywhere."""
    return {"numpy": name + "({0})", "latex": rf"\mathrm{{{name}}}\left({{0}}\right)", "unicode": name + "({0})"}


class _NumpySpelling(_Spelling):
    call: str


def _tex(name: str) -> _NumpySpelling:
    """A function that LaTeX and NumPy have under this name."""
    shown = name + "({0})"
    return {"numpy": shown, "latex": rf"\{name}\left({{0}}\right)", "unicode": shown, "call": "np." + shown}


# fmt: off
ROWS: tuple[Op, ...] = (
    Op("exp", (lambda a, x: a,), lambda np, x: np.exp(x), lambda sp, x: sp.exp(x), **_tex("exp"), law=r"(e^x)' = e^x"),
    Op("log", (lambda a, x: ONE / x,), lambda np, x: np.log(x), lambda sp, x: sp.log(x), **_tex("log"), law=r"(\log x)' = \frac{1}{x}", domain="x > 0"),
    Op("sin", (lambda a, x: call("cos", x),), lambda np, x: np.sin(x), lambda sp, x: sp.sin(x), **_tex("sin"), law=r"\sin' x = \cos x"),
    Op("cos", (lambda a, x: -call("sin", x),), lambda np, x: np.cos(x), lambda sp, x: sp.cos(x), **_tex("cos"), law=r"\cos' x = -\sin x"),
    Op("tan", (lambda a, x: ONE + a**TWO,), lambda np, x: np.tan(x), lambda sp, x: sp.tan(x), **_tex("tan"), law=r"\tan' = 1 + \tan^2"),
    Op("sinh", (lambda a, x: call("cosh", x),), lambda np, x: np.sinh(x), lambda sp, x: sp.sinh(x), **_tex("sinh"), law=r"\sinh' x = \cosh x"),
    Op("cosh", (lambda a, x: call("sinh", x),), lambda np, x: np.cosh(x), lambda sp, x: sp.cosh(x), **_tex("cosh"), law=r"\cosh' x = \sinh x"),
    Op("tanh", (lambda a, x: ONE - a**TWO,), lambda np, x: np.tanh(x), lambda sp, x: sp.tanh(x), **_tex("tanh"), law=r"\tanh' = 1 - \tanh^2"),
    Op("arctan", (lambda a, x: ONE / (ONE + x**TWO),), lambda np, x: np.arctan(x), lambda sp, x: sp.atan(x), **_tex("arctan"), law=r"\arctan' x = \frac{1}{1 + x^2}"),
    Op("erf", (lambda a, x: _gaussian(x),), _erf, lambda sp, x: sp.erf(x), **_fn("erf"), law=r"\mathrm{erf}' x = \frac{2}{\sqrt{\pi}} e^{-x^2}", helper='''
def erf(x):
    """The error function, entry by entry."""
    return np.vectorize(math.erf, otypes=[float])(x)
'''),
    Op("sigmoid", (lambda a, x: mul(a, ONE - a),), _sigmoid, lambda sp, x: 1 / (1 + sp.exp(-x)), "sigmoid({0})", r"\sigma\left({0}\right)", "σ({0})", law=r"\sigma' = \sigma\,(1 - \sigma)", helper='''
def sigmoid(x):
    """1/(1 + exp(-x)), without overflow at either end."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e)/(1 + e)
'''),
    Op("softplus", (lambda a, x: call("sigmoid", x),), _softplus, lambda sp, x: sp.log(1 + sp.exp(x)), **_fn("softplus"), law=r"\mathrm{softplus}' = \sigma", call="np.logaddexp({0}, 0)"),
    Op("softsign", (lambda a, x: ONE / (ONE + call("abs", x)) ** TWO,), lambda np, x: x / (1 + np.sign(_real(x)) * x), lambda sp, x: x / (1 + sp.Abs(x)), **_fn("softsign"), law=r"\mathrm{softsign}' x = \frac{1}{(1 + |x|)^2}", helper='''
def softsign(x):
    """x/(1 + |x|)."""
    return x/(1 + np.abs(x))
'''),
    Op("silu", (lambda a, x: a + mul(call("sigmoid", x), ONE - a),), lambda np, x: x * _sigmoid(np, x), lambda sp, x: x / (1 + sp.exp(-x)), **_fn("silu"), law=r"\mathrm{silu}' = a + \sigma(x)(1 - a)", helper='''
def silu(x):
    """x sigmoid(x)."""
    return x*sigmoid(x)
'''),
    Op("gelu", (_gelu_slope,), lambda np, x: 0.5 * x * (1 + _erf(np, x / np.sqrt(2.0))), lambda sp, x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2, **_fn("gelu"), law=r"\mathrm{gelu}' x = \Phi(x) + x\,\varphi(x)", helper='''
def gelu(x):
    """x times the normal distribution function of x."""
    return 0.5*x*(1 + erf(x/np.sqrt(2)))
'''),
    Op("mish", (_mish_slope,), lambda np, x: x * np.tanh(_softplus(np, x)), lambda sp, x: x * sp.tanh(sp.log(1 + sp.exp(x))), **_fn("mish"), law=r"\mathrm{mish}' x = t + x\,(1 - t^2)\,\sigma(x), \; t = \tanh(\mathrm{softplus}\,x)", helper='''
def mish(x):
    """x tanh(softplus(x))."""
    return x*np.tanh(np.logaddexp(x, 0))
'''),
    Op("relu", (lambda a, x: _passes(a, x),), lambda np, x: np.where(_real(x) > 0, x, 0.0), lambda sp, x: sp.Max(0, x), **_fn("relu"), law=r"\mathrm{relu}' x = 1[x > 0]", kinks=lambda x: (x,), call="np.maximum({0}, 0)"),
    Op("leaky_relu", (lambda a, x, s: Select(_positive(x), ONE, s), lambda a, x, s: call("minimum", x, ZERO)),
       lambda np, x, s: np.where(_real(x) > 0, x, s * x), lambda sp, x, s: sp.Piecewise((x, x > 0), (s * x, True)),
       "leaky_relu({0}, {1})", r"\mathrm{leaky\_relu}\left({0}, {1}\right)", "leaky_relu({0}, {1})",
       law=r"\mathrm{leaky}' x = 1 \text{ for } x > 0, \text{ else the slope } \alpha", kinks=lambda x, s: (x,), defaults=(Num("0.01", decimal=True),), helper='''
def leaky_relu(x, slope=0.01):
    """x where it is positive, else slope*x."""
    return np.where(x > 0, x, slope*x)
'''),
    Op("elu", (lambda a, x, s: Select(_positive(x), ONE, a + s), lambda a, x, s: Select(_positive(x), ZERO, call("exp", x) - 1)),
       _elu, lambda sp, x, s: sp.Piecewise((x, x > 0), (s * (sp.exp(x) - 1), True)),
       "elu({0}, {1})", r"\mathrm{elu}\left({0}, {1}\right)", "elu({0}, {1})", law=r"\mathrm{elu}' x = 1 \text{ for } x > 0, \text{ else } a + \alpha", kinks=lambda x, s: (x,), defaults=(ONE,), helper='''
def elu(x, alpha=1.0):
    """x where it is positive, else alpha*(exp(x) - 1)."""
    return np.where(x > 0, x, alpha*np.expm1(np.minimum(x, 0)))
'''),
    Op("selu", (lambda a, x: Select(_positive(x), SELU_SCALE, a + mul(SELU_SCALE, SELU_ALPHA)),), lambda np, x: _S * _elu(np, x, _A),
       lambda sp, x: sp.Piecewise((_S * x, x > 0), (_S * _A * (sp.exp(x) - 1), True)), **_fn("selu"), law=r"\mathrm{selu}' x = \lambda \text{ for } x > 0, \text{ else } a + \lambda\alpha", kinks=lambda x: (x,), helper='''
def selu(x):
    """The scaled elu of self-normalising networks."""
    return 1.0507009873554805*elu(x, 1.6732632423543772)
'''),
    Op("abs", (lambda a, x: call("sign", x),), lambda np, x: np.sign(_real(x)) * x, lambda sp, x: sp.Abs(x), "abs({0})", r"\left|{0}\right|", "|{0}|", law=r"|x|' = \mathrm{sign}\,x", kinks=lambda x: (x,), call="np.abs({0})"),
    Op("sign", (lambda a, x: ZERO,), lambda np, x: np.sign(_real(x)), lambda sp, x: sp.sign(x), **_fn("sign"), kinks=lambda x: (x,), call="np.sign({0})"),
    Op("step", (lambda a, x: ZERO,), lambda np, x: (_real(x) > 0) * 1.0, lambda sp, x: sp.Heaviside(x, 0), **_fn("step"), kinks=lambda x: (x,), call="np.heaviside({0}, 0)"),
    Op("maximum", (lambda a, x, y: _passes(a, x) if y is ZERO else Compare(">", x, y),
        lambda a, x, y: _passes(a, y) if x is ZERO else Compare(">" if not x.tensors else ">=", y, x)),
       lambda np, x, y: np.where(_gt(np, x, y), x, y), lambda sp, x, y: sp.Max(x, y),
       "maximum({0}, {1})", r"\max\left({0}, {1}\right)", "max({0}, {1})", law=r"\max(x, y): \text{ the larger input receives the whole gradient}", kinks=lambda x, y: (x - y,), call="np.maximum({0}, {1})"),
    Op("minimum", (lambda a, x, y: Compare("<", x, y), lambda a, x, y: Compare("<" if not x.tensors else "<=", y, x)),
       lambda np, x, y: np.where(_gt(np, y, x), x, y), lambda sp, x, y: sp.Min(x, y),
       "minimum({0}, {1})", r"\min\left({0}, {1}\right)", "min({0}, {1})", law=r"\min(x, y): \text{ the smaller input receives the whole gradient}", kinks=lambda x, y: (x - y,), call="np.minimum({0}, {1})"),
    Op("xlogy", (lambda a, x, y: call("log", y), lambda a, x, y: x / y),
       lambda np, x, y: np.where(_real(x) == 0, 0.0 * _real(y) + x * np.log(np.where(_real(y) > 0, y, 1.0)), x * np.log(np.where(_real(x) == 0, 1.0, y))),
       lambda sp, x, y: x * sp.log(y), "xlogy({0}, {1})", r"{0} \log {1}", "{0} log {1}", law=r"x \log y, \; 0 \log 0 = 0", helper='''
def xlogy(x, y):
    """x log(y), and 0 where x is 0."""
    return x*np.log(np.where(x == 0, 1, y))
'''),
)
# fmt: on

UNKNOWN = "?"
"""An unknown elementwise function `f` of a network is called `?f` inside, and its slope `?f'`."""


def unknown(name: str) -> Op:
    """The row of an unknown function: its slope is f′, and its values come from elsewhere."""
    shown = name.removeprefix(UNKNOWN)

    def value(np: Any, *args: Any) -> Any:
        raise NoRule(f"{shown.rstrip(chr(39))} is unknown")

    upright = shown if len(shown.rstrip("'")) == 1 else rf"\mathrm{{{shown}}}"
    return Op(
        name,
        (lambda a, x: call(name + "'", x),),
        value,
        lambda sp, x: sp.Function(shown)(x),
        shown + "({0})",
        upright + r"\left({0}\right)",
        shown + "({0})",
    )


class Table(dict[str, Op]):
    """The rows by name; a name that begins with `?` is an unknown function of the network."""

    def __missing__(self, name: str) -> Op:
        if not name.startswith(UNKNOWN):
            raise KeyError(name)
        return unknown(name)


OPS: Mapping[str, Op] = Table({row.name: row for row in ROWS})
"""The rows that every network has; nothing is ever added (`Graph.table` has a network's own too)."""

GOLDEN_POINTS = (Fraction(-7, 5), Fraction(-3, 10), Fraction(2, 5), Fraction(13, 10))
"""Points at which tests compare every row with its twin; none is a kink."""
