"""Temperature scaling: less log loss on held-out rows, and never another class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss as scikit_learn_log_loss

from nas.uncertainty.temperature import (
    as_logarithms,
    at_temperature,
    fit_temperature,
    helpful_temperature,
    log_loss,
)


def overconfident(n: int, factor: float, n_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn by true probabilities, and logarithms of probabilities that are too sure by a factor."""
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=1.5, size=(n, n_classes))
    y = np.array([rng.choice(n_classes, p=p) for p in at_temperature(z, 1.0)])
    return np.log(at_temperature(z * factor, 1.0)), y


def test_log_loss_is_scikit_learns() -> None:
    logarithms, y = overconfident(200, 2)
    expected = scikit_learn_log_loss(y, at_temperature(logarithms, 1.7), labels=range(4))
    assert log_loss(logarithms, y, 1.7) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_planted_overconfidence_is_found(factor: float) -> None:
    logarithms, y = overconfident(4000, factor)
    assert fit_temperature(logarithms, y) == pytest.approx(factor, rel=0.1)


def test_the_temperature_is_that_of_scipys_minimum() -> None:
    logarithms, y = overconfident(300, 2.5, seed=1)
    found = minimize_scalar(
        lambda t: log_loss(logarithms, y, t), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}
    )
    assert fit_temperature(logarithms, y) == pytest.approx(found.x, rel=1e-5)


def test_whole_weights_are_copies_of_rows() -> None:
    logarithms, y = overconfident(900, 2.5, seed=4)
    counts = np.where(y == 0, 3, 1)
    copies = np.repeat(np.arange(900), counts)
    weighted = fit_temperature(logarithms, y, counts.astype(float))
    assert weighted == pytest.approx(fit_temperature(logarithms[copies], y[copies]), rel=1e-6)
    assert weighted != pytest.approx(fit_temperature(logarithms, y), rel=1e-3)
    fold = np.arange(900) % 5
    assert helpful_temperature(logarithms, y, fold, counts.astype(float)) == weighted


def test_a_temperature_lowers_the_loss_of_new_rows() -> None:
    logarithms, y = overconfident(2000, 3)
    new, truth = overconfident(2000, 3, seed=9)
    temperature = helpful_temperature(logarithms, y, np.arange(2000) % 5)
    assert log_loss(new, truth, temperature) < log_loss(new, truth, 1.0) - 0.1


def test_without_help_on_other_folds_there_is_none() -> None:
    # Each fold is sure in the other direction: what is fitted on one harms the other.
    sure, y = overconfident(300, 4, seed=2)
    unsure, more = overconfident(300, 0.25, seed=3)
    fold = np.repeat([0, 1], 300)
    assert helpful_temperature(np.vstack([sure, unsure]), np.concatenate([y, more]), fold) == 1.0
    assert helpful_temperature(sure, y, np.zeros(300, int)) == 1.0  # a single fold judges nothing


def test_on_few_rows_chance_makes_no_temperature() -> None:
    rng = np.random.default_rng(0)
    temperatures = []
    for _ in range(60):
        logarithms, y = overconfident(40, 1.0, seed=int(rng.integers(2**31)))
        temperatures.append(helpful_temperature(logarithms, y, np.arange(40) % 5))
    assert np.mean(np.array(temperatures) == 1) > 0.75


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20), st.integers(2, 6))
@settings(max_examples=50, deadline=None)
def test_no_temperature_changes_a_class(seed: int, temperature: float, n_classes: int) -> None:
    z = np.random.default_rng(seed).normal(scale=3, size=(50, n_classes))
    scaled = at_temperature(z, temperature)
    np.testing.assert_array_equal(scaled.argmax(axis=1), z.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def test_certain_errors_have_a_finite_loss() -> None:
    p = np.array([[0.0], [1.0], [0.5]], np.float32)
    assert np.isfinite(log_loss(as_logarithms(p), np.array([1, 0, 1]), 1.0))
    assert 1 < fit_temperature(as_logarithms(p), np.array([1, 0, 1])) <= 20
