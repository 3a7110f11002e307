from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import DTypeLike
from sklearn.metrics import log_loss, mean_squared_error

from nas.network import LOSSES
from nas.network.arrays import Array, Floats
from nas.network.losses import HUBER_DELTA, Loss, Smoothing

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# In these tests rows are examples; to the losses, columns are.


def predictions(loss: Loss, z: Floats) -> Floats:
    p = np.array(z.T, order="C")
    loss.link(p)
    return p.T


def columns(loss: Loss, y: Array) -> Array:
    return y if loss.has_class_targets else y.T


def row_losses(loss: Loss, z: Floats, y: Array) -> Floats:
    return loss.per_row(predictions(loss, z).T, columns(loss, y))


def gradient(loss: Loss, z: Floats, y: Array) -> Floats:
    p = predictions(loss, z).T
    expected = loss.per_row(p, columns(loss, y))
    losses = loss.gradient(p, columns(loss, y))
    np.testing.assert_array_equal(losses, expected)  # it says them along the way
    return p.T


@every_loss
def test_several_networks_on_the_axes_between_are_each_as_alone(loss: Loss) -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(scale=3, size=(4, 5, 3)), targets(loss, 5, 3, rng)  # networks, rows, outputs
    together = np.ascontiguousarray(z.transpose(2, 0, 1))
    loss.link(together)
    losses = loss.gradient(together, y if loss.has_class_targets else y.T[:, np.newaxis])
    for i in range(4):
        np.testing.assert_array_equal(losses[i], row_losses(loss, z[i], y))
        np.testing.assert_array_equal(together[:, i].T, gradient(loss, z[i], y))


def targets(loss: Loss, rows: int, outputs: int, rng: np.random.Generator) -> Array:
    if loss.has_class_targets:
        return rng.integers(outputs, size=rows)
    if loss.output == "sigmoid":
        return rng.integers(2, size=(rows, outputs)).astype(float)
    # Wide enough for Huber's loss to see both of its sides.
    return rng.normal(scale=2, size=(rows, outputs))


@pytest.mark.parametrize(
    ("name", "z", "y", "p", "expected", "slopes"),
    [
        (
            "cross_entropy",
            [math.log(1), math.log(2), math.log(5)],
            2,
            [1 / 8, 2 / 8, 5 / 8],
            math.log(8 / 5),
            [1 / 8, 2 / 8, -3 / 8],
        ),
        ("binary_cross_entropy", [math.log(3)], [1], [0.75], math.log(4 / 3), [-0.25]),
        ("binary_cross_entropy", [math.log(3)], [0], [0.75], math.log(4), [0.75]),
        ("binary_cross_entropy", [math.log(3), 0.0], [0, 1], [0.75, 0.5], math.log(8), [0.75, -0.5]),
        ("squared_error", [1.0, 3.0], [0, 5], [1, 3], 2.5, [1, -2]),
        ("huber", [0.5], [0], [0.5], 0.125, [0.5]),
        ("huber", [0.0], [3], [0], 2.5, [-1]),
        ("huber", [3.0], [0], [3], 2.5, [1]),
        ("huber", [0.5, 3.0], [0, 0], [0.5, 3], 2.625, [0.5, 1]),
    ],
)
def test_values_worked_out_by_hand(
    name: str, z: list[float], y: Any, p: list[float], expected: float, slopes: list[float]
) -> None:
    loss, row, target = LOSSES[name], np.array([z]), np.array([y])
    # Rounding in float64.
    np.testing.assert_allclose(predictions(loss, row), [p], rtol=1e-14)
    np.testing.assert_allclose(row_losses(loss, row, target), [expected], rtol=1e-14)
    np.testing.assert_allclose(gradient(loss, row, target), [slopes], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "z", "y", "expected", "slopes"),
    [
        # Targets 0.1, 0.1 and 0.8 of a share of 0.3 among three classes; p = 1/8, 2/8, 5/8.
        (
            "cross_entropy",
            [math.log(1), math.log(2), math.log(5)],
            2,
            0.1 * math.log(8) + 0.1 * math.log(4) + 0.8 * math.log(8 / 5),
            [1 / 8 - 0.1, 2 / 8 - 0.1, 5 / 8 - 0.8],
        ),
        # Targets 0.85 and 0.15 of the same share; p = 3/4.
        ("binary_cross_entropy", [math.log(3)], [1], 0.85 * math.log(4 / 3) + 0.15 * math.log(4), [-0.1]),
        ("binary_cross_entropy", [math.log(3)], [0], 0.15 * math.log(4 / 3) + 0.85 * math.log(4), [0.6]),
    ],
)
def test_smoothed_labels_worked_out_by_hand(
    name: str, z: list[float], y: Any, expected: float, slopes: list[float]
) -> None:
    # Of three networks the second is smoothed.
    loss = LOSSES[name]
    p = np.repeat(predictions(loss, np.array([z])).T[:, np.newaxis], 3, axis=1)
    plain = p.copy()
    target = np.array([y]) if loss.has_class_targets else np.array(y, float).reshape(1, 1, 1)
    plain_losses = loss.gradient(plain, target)
    losses = loss.smoothed_gradient(p, target, Smoothing(np.array([1]), np.array([[0.3]])))
    np.testing.assert_allclose(losses[1], [expected], rtol=1e-14)
    np.testing.assert_allclose(p[:, 1, 0], slopes, rtol=1e-14, atol=1e-16)
    np.testing.assert_array_equal(losses[[0, 2]], plain_losses[[0, 2]])
    np.testing.assert_array_equal(p[:, [0, 2]], plain[:, [0, 2]])


@pytest.mark.slow
@every_loss
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 6), outputs=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_gradients_follow_finite_differences(loss: Loss, seed: int, rows: int, outputs: int) -> None:
    rng, step = np.random.default_rng(seed), 1e-5
    z, y = rng.normal(scale=2, size=(rows, outputs)), targets(loss, rows, outputs, rng)
    numeric = np.empty_like(z)
    for j in range(outputs):
        shift = step * np.eye(outputs)[j]
        numeric[:, j] = (row_losses(loss, z + shift, y) - row_losses(loss, z - shift, y)) / (2 * step)
    # step² · f''' and rounding, each below 1e-9; but a residual within a step of Huber's delta, where
    # the slope has a kink, errs by up to that step.
    np.testing.assert_allclose(gradient(loss, z, y), numeric, rtol=0, atol=2 * step)


@given(
    z=hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-50, 50)),
    shift=st.floats(-1e3, 1e3),
)
@settings(deadline=None)
def test_softmax_gives_probabilities_that_a_shift_leaves_alone(z: Floats, shift: float) -> None:
    p = predictions(LOSSES["cross_entropy"], z)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)  # rounding of at most six terms
    # z + shift is rounded by up to 1e-13 (half a unit of 1e3), which exp turns into a factor.
    np.testing.assert_allclose(predictions(LOSSES["cross_entropy"], z + shift), p, rtol=1e-12)


@every_loss
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_losses_are_one_number_a_row_and_never_negative(loss: Loss, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = row_losses(loss, rng.normal(scale=5, size=(7, 3)), targets(loss, 7, 3, rng))
    assert losses.shape == (7,)
    assert (losses >= 0).all()


@pytest.mark.parametrize("name", ["squared_error", "huber"])
def test_perfect_values_have_no_loss_and_no_gradient(name: str) -> None:
    y = np.array([[1.0, -2.0], [0.0, 3e5]])
    assert not row_losses(LOSSES[name], y, y).any()
    assert not gradient(LOSSES[name], y, y).any()


@given(residual=st.floats(-100, 100))
@settings(deadline=None)
def test_huber_is_square_inside_delta_and_straight_outside(residual: float) -> None:
    z, y = np.array([[residual]]), np.zeros((1, 1))
    size = abs(residual)
    inside, outside = 0.5 * residual**2, HUBER_DELTA * (size - HUBER_DELTA / 2)
    # Rounding; the two sides meet at delta, so that it does not matter who owns the point.
    assert row_losses(LOSSES["huber"], z, y)[0] == pytest.approx(
        inside if size <= HUBER_DELTA else outside, rel=1e-14, abs=1e-300
    )
    assert gradient(LOSSES["huber"], z, y)[0, 0] == max(-HUBER_DELTA, min(residual, HUBER_DELTA))


def test_cross_entropy_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(scale=3, size=(200, 4)), rng.integers(4, size=200)
    loss = LOSSES["cross_entropy"]
    expected = log_loss(y, predictions(loss, z), labels=range(4))
    # Summation in another order.
    assert row_losses(loss, z, y).mean() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("labels", [1, 3])
def test_binary_cross_entropy_agrees_with_scikit_learn_summed_over_labels(labels: int) -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(scale=3, size=(200, labels)), rng.integers(2, size=(200, labels))
    loss = LOSSES["binary_cross_entropy"]
    p = predictions(loss, z)
    expected = sum(log_loss(y[:, j], p[:, j], labels=[0, 1]) for j in range(labels))
    # 1 - |y - p| loses digits of small probabilities: e^-9 of them leaves 1e-12.
    assert row_losses(loss, z, y).mean() == pytest.approx(expected, rel=1e-11)


def test_squared_error_is_half_of_scikit_learns_summed_over_outputs() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    expected = 0.5 * mean_squared_error(y, z, multioutput="raw_values").sum()
    # Summation in another order.
    assert row_losses(LOSSES["squared_error"], z, y).mean() == pytest.approx(expected, rel=1e-12)


@every_dtype
@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_hopeless_logits_give_a_large_finite_loss_and_the_full_gradient(name: str, dtype: DTypeLike) -> None:
    z = np.array([[1e4, -1e4]], dtype)
    y = np.array([1]) if name == "cross_entropy" else np.array([[0, 1]])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        losses, slopes = row_losses(LOSSES[name], z, y), gradient(LOSSES[name], z, y)
    # A probability of 0 counts as the type's smallest number (softmax), or its spacing at 1 (sigmoid).
    floor = np.finfo(dtype).tiny if name == "cross_entropy" else np.finfo(dtype).eps
    wrong = 1 if name == "cross_entropy" else 2
    assert losses[0] == pytest.approx(-wrong * math.log(floor), rel=1e-6)
    np.testing.assert_array_equal(slopes, [[1, -1]])


@every_dtype
@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_certain_and_right_logits_cost_nothing(name: str, dtype: DTypeLike) -> None:
    z = np.array([[1e4, -1e4]], dtype)
    y = np.array([0]) if name == "cross_entropy" else np.array([[1, 0]])
    assert not row_losses(LOSSES[name], z, y).any()
    assert not gradient(LOSSES[name], z, y).any()


@every_loss
def test_nan_stays_nan_so_that_divergence_is_seen(loss: Loss) -> None:
    z = np.array([[0.0, np.nan], [0.0, 0.0]])
    y = np.array([1, 1]) if loss.has_class_targets else np.ones((2, 2))
    losses = row_losses(loss, z, y)
    assert np.isnan(losses[0])
    assert np.isfinite(losses[1])


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_classes_may_be_of_any_integer_type(kind: str) -> None:
    # Regression: uint64 has no common integer type with positions, and raised.
    loss, z = LOSSES["cross_entropy"], np.log([[1.0, 3.0], [1.0, 3.0]])
    y = np.array([0, 1], kind)
    np.testing.assert_allclose(row_losses(loss, z, y), [math.log(4), math.log(4 / 3)], rtol=1e-14)
    np.testing.assert_allclose(gradient(loss, z, y), [[-0.75, 0.75], [0.25, -0.25]], rtol=1e-14)


@every_loss
@every_dtype
def test_losses_keep_the_type_of_their_predictions(loss: Loss, dtype: DTypeLike) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4, 3)).astype(dtype)
    y = targets(loss, 4, 3, rng)
    y = y if loss.has_class_targets else y.astype(dtype)
    assert row_losses(loss, z, y).dtype == predictions(loss, z).dtype == dtype
