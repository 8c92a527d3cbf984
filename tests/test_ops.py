"""The table of functions, row by row: a new row is tested without a line written for it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp

from symbp.evaluate import evaluate
from symbp.expr import Call, Entry
from symbp.ops import GOLDEN_POINTS, OPS, ROWS, Op

STEP = 1e-30
NAMES = "xyz"


def points(row: Op) -> list[tuple[float, ...]]:
    """The golden points at which the row is defined and smooth: positive ones if it says so."""
    found = []
    for at in product(GOLDEN_POINTS, repeat=row.arity):
        if row.arity > 1 and len(set(at)) < row.arity:
            continue
        numbers = tuple(map(float, at))
        with np.errstate(all="ignore"):
            if np.isfinite(row.value(np, *map(np.asarray, numbers))) and _in_domain(row, numbers):
                found.append(numbers)
    assert found, f"no golden point suits {row.name}"
    return found


def _in_domain(row: Op, at: tuple[float, ...]) -> bool:
    twin = row.twin(sp, *at)
    return bool(sp.sympify(twin).is_real)


def values(at: tuple[float, ...]) -> dict[str, np.ndarray]:
    return {NAMES[n]: np.asarray(x) for n, x in enumerate(at)}


def arguments(row: Op) -> list[Entry]:
    return [Entry(NAMES[n]) for n in range(row.arity)]


def slope_at(row: Op, n: int, at: tuple[float, ...]) -> float:
    args = arguments(row)
    return float(evaluate(row.slopes[n](Call(row.name, *args), *args), values(at), {}))


def slope_from_output_at(row: Op, n: int, at: tuple[float, ...]) -> float:
    """The slope with the output as a tensor of its own, as in a derivation."""
    out = row.value(np, *map(np.asarray, at))
    return float(evaluate(row.slopes[n](Entry("out"), *arguments(row)), {**values(at), "out": out}, {}))


each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@each_row
def test_value_is_the_twin(row: Op) -> None:
    for at in points(row):
        expected = float(sp.N(row.twin(sp, *map(sp.Float, at))))
        assert float(row.value(np, *map(np.asarray, at))) == pytest.approx(expected, rel=1e-13, abs=1e-15)


@each_row
def test_slope_is_the_twin_differentiated(row: Op) -> None:
    symbols = [sp.Symbol(s, real=True) for s in NAMES[: row.arity]]
    twin = row.twin(sp, *symbols)
    for n, x in enumerate(symbols):
        derivative = sp.diff(twin, x)
        for at in points(row):
            expected = float(sp.N(derivative.subs(dict(zip(symbols, at, strict=True))).doit()))
            assert slope_at(row, n, at) == pytest.approx(expected, rel=1e-12, abs=1e-14)
            assert slope_from_output_at(row, n, at) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@each_row
def test_slope_is_the_complex_step(row: Op) -> None:
    if not row.analytic:
        pytest.skip("not analytic")
    for at in points(row):
        for n in range(row.arity):
            moved = [np.asarray(x + (1j * STEP if m == n else 0)) for m, x in enumerate(at)]
            slope = float(np.imag(row.value(np, *moved))) / STEP
            assert slope == pytest.approx(slope_at(row, n, at), rel=1e-12, abs=1e-14)


@each_row
def test_slope_is_the_central_difference(row: Op) -> None:
    h = 1e-5
    for at in points(row):
        for n in range(row.arity):
            up, down = ([np.asarray(x + (s * h if m == n else 0)) for m, x in enumerate(at)] for s in (1, -1))
            slope = float(row.value(np, *up) - row.value(np, *down)) / (2 * h)
            assert slope == pytest.approx(slope_at(row, n, at), rel=1e-6, abs=1e-8)


@each_row
def test_value_works_on_arrays_and_keeps_the_shape(row: Op) -> None:
    at = points(row)[:2]
    stacked = [np.array([[p[n] for p in at]]) for n in range(row.arity)]
    together = row.value(np, *stacked)
    assert together.shape == (1, len(at))
    assert together[0] == pytest.approx([float(row.value(np, *map(np.asarray, p))) for p in at], rel=1e-14)


@each_row
def test_complex_values_have_the_real_values_as_real_part(row: Op) -> None:
    for at in points(row):
        moved = [np.asarray(x + 1j * STEP) for x in at]
        assert np.real(row.value(np, *moved)) == pytest.approx(
            float(row.value(np, *map(np.asarray, at))), rel=1e-13, abs=1e-15
        )


@each_row
def test_templates_name_every_argument(row: Op) -> None:
    for template in (row.numpy, row.latex, row.unicode):
        assert all(f"{{{n}}}" in template for n in range(row.arity))
    assert len(row.defaults) <= row.arity


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "tanh", "silu", "mish", "gelu", "erf", "elu", "selu"])
@pytest.mark.parametrize("x", [-800.0, -40.0, 40.0, 800.0])
def test_far_out_nothing_overflows(name: str, x: float) -> None:
    row = OPS[name]
    at = (x, 1.0)[: row.arity]
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(row.value(np, *map(np.asarray, at)))
    assert np.isfinite(slope_at(row, 0, at))


@pytest.mark.parametrize(
    ("name", "slope"), [("relu", 0.0), ("abs", 0.0), ("sign", 0.0), ("step", 0.0), ("leaky_relu", 0.01)]
)
def test_the_value_keeps_the_convention_at_the_kink(name: str, slope: float) -> None:
    row = OPS[name]
    moved = row.value(np, np.asarray(1j * STEP), *(np.asarray(float(d.value)) for d in row.defaults))
    assert float(np.imag(moved)) / STEP == slope
    assert slope_at(row, 0, (0.0, *(float(d.value) for d in row.defaults))) == slope


def test_xlogy_is_zero_at_zero() -> None:
    row = OPS["xlogy"]
    assert float(row.value(np, np.asarray(0.0), np.asarray(0.0))) == 0.0
    moved = row.value(np, np.asarray(1j * STEP), np.asarray(0.5))
    assert float(np.imag(moved)) / STEP == pytest.approx(np.log(0.5))


@pytest.mark.parametrize("x", [-5.5, -3.0, -0.1, 0.0, 0.7, 2.5, 5.9, 7.0])
def test_erf_off_the_real_line(x: float) -> None:
    slope = float(np.imag(OPS["erf"].value(np, np.asarray(x + 1j * STEP)))) / STEP
    assert slope == pytest.approx(2 / np.sqrt(np.pi) * np.exp(-(min(abs(x), 6) ** 2)), abs=1e-14)
