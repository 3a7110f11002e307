from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike

from nas.network import ACTIVATIONS
from nas.network.activation import Activation
from nas.network.arrays import Floats
from nas.network.formula import OPERATORS, translate
from nas.network.initializers import INITIALIZERS

FORMULAS: dict[str, Callable[[float], float]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else z / 100,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)),
    "gelu": lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "mish": lambda z: z * math.tanh(math.log(1 + math.exp(z))),
    "softplus": lambda z: math.log(1 + math.exp(z)),
}
"""The textbook formulas, with no regard for overflow; good for |z| up to some hundreds."""

LIMITS = {
    "identity": ((-1e4, 1.0), (1e4, 1.0)),
    "sigmoid": ((0.0, 0.0), (1.0, 0.0)),
    "tanh": ((-1.0, 0.0), (1.0, 0.0)),
    "relu": ((0.0, 0.0), (1e4, 1.0)),
    "leaky_relu": ((-100.0, 0.01), (1e4, 1.0)),
    "elu": ((-1.0, 0.0), (1e4, 1.0)),
    "selu": ((-1.7580993408473768, 0.0), (1.0507009873554805e4, 1.0507009873554805)),
    "gelu": ((0.0, 0.0), (1e4, 1.0)),
    "silu": ((0.0, 0.0), (1e4, 1.0)),
    "mish": ((0.0, 0.0), (1e4, 1.0)),
    "softplus": ((0.0, 0.0), (1e4, 1.0)),
}
"""Value and slope at -1e4, and at 1e4."""

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=list(ACTIVATIONS))


def value(activation: Activation, z: Floats) -> Floats:
    a = np.empty_like(z)
    activation.forward(z, a)
    return a


def slope(activation: Activation, z: Floats) -> Floats:
    """The derivative, from a `z` that is unreadable wherever the table says that it is not needed."""
    da = np.ones_like(z)
    kept = z if activation.needs_input else np.full_like(z, np.nan)
    activation.backward(da, kept, value(activation, z))
    return da


def test_these_tables_know_every_activation() -> None:
    assert set(FORMULAS) == set(LIMITS) == set(ACTIVATIONS)


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("identity", -3.0, -3.0),
        ("sigmoid", 0.0, 0.5),
        ("sigmoid", math.log(3), 0.75),
        ("tanh", math.log(2), 0.6),
        ("relu", -2.0, 0.0),
        ("relu", 2.0, 2.0),
        ("leaky_relu", -2.0, -0.02),
        ("leaky_relu", 2.0, 2.0),
        ("elu", -math.log(2), -0.5),
        ("elu", 2.0, 2.0),
        ("selu", 2.0, 2.101402),
        ("selu", -math.log(2), -0.8790497),
        ("gelu", 0.0, 0.0),
        ("gelu", 1.0, 0.841192),
        ("silu", math.log(3), 0.75 * math.log(3)),
        ("mish", 0.0, 0.0),
        ("mish", math.log(2), 0.8 * math.log(2)),
        ("softplus", 0.0, math.log(2)),
        ("softplus", math.log(math.e - 1), 1.0),
    ],
)
def test_values_worked_out_by_hand(name: str, z: float, expected: float) -> None:
    # Six digits are what gelu's value was worked out to.
    assert value(ACTIVATIONS[name], np.array([z]))[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("identity", 5.0, 1.0),
        ("sigmoid", math.log(3), 0.75 * 0.25),
        ("tanh", math.log(2), 1 - 0.36),
        ("relu", -1.0, 0.0),
        ("relu", 1.0, 1.0),
        ("leaky_relu", -1.0, 0.01),
        ("elu", -math.log(2), 0.5),
        ("selu", 1.0, 1.0507009873554805),
        ("selu", -math.log(2), 0.8790496704236884),
        ("gelu", 0.0, 0.5),
        ("silu", 0.0, 0.5),
        ("mish", 0.0, 0.6),
        ("softplus", math.log(3), 0.75),
    ],
)
def test_slopes_worked_out_by_hand(name: str, z: float, expected: float) -> None:
    # Rounding in float64.
    assert slope(ACTIVATIONS[name], np.array([z]))[0] == pytest.approx(expected, rel=1e-14)


@every_activation
@given(zs=st.lists(st.floats(-30, 30), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_values_follow_the_formula(activation: Activation, zs: list[float]) -> None:
    expected = [FORMULAS[activation.name](z) for z in zs]
    # The formulas themselves cancel for large |z|, to an absolute error of some 1e-14.
    np.testing.assert_allclose(value(activation, np.array(zs)), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
@every_activation
@given(zs=st.lists(st.floats(-20, 20).filter(lambda z: abs(z) > 1e-3), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_slopes_follow_finite_differences(activation: Activation, zs: list[float]) -> None:
    z, step = np.array(zs), 1e-5
    numeric = (value(activation, z + step) - value(activation, z - step)) / (2 * step)
    # Central differences err by step² · f''' / 6 < 1e-10 and by rounding, 20 · 1e-16 / step < 1e-9.
    # The kinks lie at 0, which is kept away from.
    np.testing.assert_allclose(slope(activation, z), numeric, rtol=0, atol=1e-8)


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_inputs_give_the_limits_without_overflow(activation: Activation, dtype: DTypeLike) -> None:
    z = np.array([-1e4, 1e4], dtype)
    # Overflow would raise here, as all warnings are errors. The slopes of ±1e4 are limits to the last
    # digit; leaky_relu's 0.01 and its product are rounded to float32's seven.
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values, slopes = value(activation, z), slope(activation, z)
    np.testing.assert_allclose(values, [limit[0] for limit in LIMITS[activation.name]], rtol=1e-6)
    np.testing.assert_allclose(slopes, [limit[1] for limit in LIMITS[activation.name]], rtol=1e-6)


@every_activation
@given(zs=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_float32_agrees_with_float64(activation: Activation, zs: list[float]) -> None:
    low, high = np.array(zs, np.float32), np.array(zs, np.float64)
    # A few units of float32's last place, 6e-8, which silu and gelu multiply by |z| where their gate
    # has been rounded towards 0 (at |z| < 20) or their slope's terms cancel.
    np.testing.assert_allclose(value(activation, low), value(activation, high), rtol=2e-6, atol=5e-6)
    np.testing.assert_allclose(slope(activation, low), slope(activation, high), rtol=2e-6, atol=5e-6)


@every_activation
def test_backward_multiplies_what_it_is_given(activation: Activation) -> None:
    rng = np.random.default_rng(0)
    z, da = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    expected = da * slope(activation, z)
    activation.backward(da, z, value(activation, z))
    # One product more or less is one rounding.
    np.testing.assert_allclose(da, expected, rtol=1e-14)


@every_activation
def test_forward_may_overwrite_inputs_that_are_not_needed(activation: Activation) -> None:
    z = np.linspace(-3, 3, 24).reshape(2, 3, 4)
    apart, z_before = value(activation, z), z.copy()
    np.testing.assert_array_equal(z, z_before)  # apart, the inputs are left alone
    if not activation.needs_input:
        activation.forward(z, z)
        np.testing.assert_array_equal(z, apart)


class Counting(np.ndarray[Any, np.dtype[Any]]):
    """An array that counts the operations on arrays of its kind."""

    n_operations = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        Counting.n_operations += 1
        bare = [x.view(np.ndarray) if isinstance(x, Counting) else x for x in inputs]
        if out:
            options["out"] = tuple(x.view(np.ndarray) for x in out)
        result = getattr(ufunc, method)(*bare, **options)
        return out[0] if out else result.view(Counting)


@every_activation
def test_operations_are_those_of_both_passes(activation: Activation) -> None:
    z, da = np.linspace(-1, 1, 5).view(Counting), np.ones(5).view(Counting)
    a = np.empty(5).view(Counting) if activation.needs_input else z
    Counting.n_operations = 0
    activation.forward(z, a)
    activation.backward(da, z, a)
    conversions = activation.name == "leaky_relu"  # of its mask to numbers, which is no ufunc
    assert activation.operations == max(1, Counting.n_operations + conversions)


@every_activation
def test_the_suited_initializer_exists(activation: Activation) -> None:
    assert activation.initializer in INITIALIZERS


_UFUNCS: dict[str, Callable[..., Floats]] = {
    name: getattr(np, name) for name in OPERATORS if name != "sigmoid"
} | {"sigmoid": lambda z: 1 / (1 + np.exp(-z))}


@every_activation
def test_a_formula_is_the_function(activation: Activation) -> None:
    z: Floats = np.linspace(-30, 30, 601)
    written = translate(activation.formula, z, lambda name, operands: _UFUNCS[name](*operands))
    np.testing.assert_allclose(written, value(activation, z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", ["sin(z)", "y + 1", "z ** 2", "z if z else 0", "exp(z, base=2)", "'z'"])
def test_a_formula_of_other_operators_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match="expected add, subtract, multiply"):
        translate(formula, "z", lambda name, operands: name)
