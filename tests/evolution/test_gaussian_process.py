"""The Gaussian process: its gradient, its posterior, its noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from nas.evolution.gaussian_process import GaussianProcess
from nas.network.arrays import Floats


def predict(process: GaussianProcess, X: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of points without noise."""
    posterior = process.posterior(X)
    return posterior.mean, posterior.deviation


def same(X: Floats) -> Floats:
    ones: Floats = (np.square(X[:, np.newaxis] - X).sum(axis=2) < 1e-9).astype(float)
    return ones


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.random((12, 3))
    X[6:9] = X[:3]  # observed twice, as own deviation and noise are otherwise the same
    z = rng.normal(size=12)
    process = GaussianProcess(3)
    log = process._prior[:, 0] + rng.normal(0, 0.5, 6)
    _, gradient = process._loss(log, X, same(X), z)
    numeric = approx_fprime(log, lambda at: process._loss(at, X, same(X), z)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)
    factors = rng.uniform(1, 5, 12)
    _, gradient = process._loss(log, X, same(X), z, factors)
    numeric = approx_fprime(log, lambda at: process._loss(at, X, same(X), z, factors)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)


def test_a_noisier_observation_counts_less() -> None:
    X = np.array([[0.2], [0.2], [0.8]])
    y = np.array([1.0, 0.0, 0.5])
    process = GaussianProcess(1)
    alike = process.fit(X, y, adapt=False).mean(X)[0]
    noisy = process.fit(X, y, adapt=False, noise=np.array([5.0, 1.0, 1.0])).mean(X)[0]
    assert alike == pytest.approx(0.5)
    assert noisy < alike - 0.05


def test_the_posterior_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    X, Z = rng.random((25, 3)), rng.random((40, 3))
    y = np.sin(5 * X[:, 0]) + X[:, 1] + rng.normal(0, 0.1, 25)
    process = GaussianProcess(3)
    process._log = np.log([0.5, 1.5, 4.0, 2.0, 1e-4, 0.03])
    mean, deviation = predict(process.fit(X, y, adapt=False), Z)
    # No point is observed twice: its own deviation then cannot be distinguished from noise.
    own, noise = 1e-4, 0.03 + 1e-6
    kernel = ConstantKernel(2.0) * Matern([0.5, 1.5, 4.0], nu=2.5) + WhiteKernel(own + noise)
    reference = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None, normalize_y=True).fit(X, y)
    expected, spread = reference.predict(Z, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(deviation**2, spread**2 - noise * y.std() ** 2, rtol=1e-6, atol=1e-10)


def test_a_smooth_function_is_interpolated() -> None:
    rng = np.random.default_rng(1)
    X, Z = rng.random((60, 2)), 0.1 + 0.8 * rng.random((50, 2))

    def function(at: Floats) -> Floats:
        values: Floats = np.sin(4 * at[:, 0]) * np.cos(3 * at[:, 1])
        return values

    process = GaussianProcess(2)
    for _ in range(8):
        process.fit(X, function(X))
    mean, deviation = predict(process, Z)
    assert np.abs(mean - function(Z)).max() < 0.1
    at_known, _ = predict(process, X)
    assert np.abs(at_known - function(X)).max() < 0.05
    far, _ = predict(process, np.full((1, 2), 50.0))
    assert far == pytest.approx(function(X).mean(), abs=0.05)
    assert predict(process, np.full((1, 2), 50.0))[1] > 2 * deviation.max()


def test_conditioning_on_a_point_is_observing_its_mean() -> None:
    rng = np.random.default_rng(7)
    X, Z = rng.random((30, 3)), rng.random((20, 3))
    Z[5] = Z[3]  # conditioned on once, and recognized as the same point
    y = np.sin(5 * X[:, 0]) + rng.normal(0, 0.1, 30)
    process = GaussianProcess(3).fit(X, y)
    posterior = process.posterior(Z)
    mean = posterior.mean.copy()
    posterior.condition_on([3, 11])
    posterior.condition_on([5])
    np.testing.assert_array_equal(posterior.mean, mean)
    # The same by a new fit: hyperparameters and scale unchanged, three observations more.
    observed = GaussianProcess(3)
    observed._log = process._log
    conditioned = [3, 11, 5]
    refitted = observed.fit(
        np.vstack([X, Z[conditioned]]), np.append(y, mean[conditioned]), adapt=False
    ).posterior(Z)
    scale = process._std / observed._std
    np.testing.assert_allclose(posterior.deviation, refitted.deviation * scale, rtol=1e-6, atol=1e-9)


def test_points_may_be_added_one_by_one_or_at_once() -> None:
    rng = np.random.default_rng(3)
    X, Z = rng.random((30, 3)), rng.random((60, 3))
    process = GaussianProcess(3).fit(X, rng.random(30))
    order = rng.permutation(60)[:50].tolist()  # more than the spare rows that are allocated at first
    one_by_one, at_once = process.posterior(Z), process.posterior(Z)
    for i in order:
        one_by_one.condition_on([i])
    at_once.condition_on(order)
    np.testing.assert_allclose(one_by_one.deviation, at_once.deviation, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(process.mean(Z), at_once.mean)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_noise_is_estimated_from_repeated_observations(noise: float) -> None:
    rng = np.random.default_rng(2)
    X = np.repeat(rng.random((30, 1)), 5, axis=0)
    y = np.sin(6 * X[:, 0]) + rng.normal(0, noise, 150)
    process = GaussianProcess(1)
    for _ in range(10):
        process.fit(X, y)
    optimum = np.exp(process._log[-1]) * y.var()
    assert noise**2 / 1.5 < optimum < noise**2 * 1.5


@pytest.mark.exhaustive
def test_what_points_have_of_their_own_is_no_noise() -> None:
    rng = np.random.default_rng(3)
    points = rng.random((40, 1))
    X = np.repeat(points, 4, axis=0)
    own = rng.normal(0, 0.7, 40)
    y = np.repeat(np.sin(3 * points[:, 0]) + own, 4) + rng.normal(0, 0.1, 160)
    process = GaussianProcess(1)
    for _ in range(12):
        process.fit(X, y)
    mean, deviation = predict(process, points)
    assert np.abs(mean - np.sin(3 * points[:, 0]) - own).max() < 0.25
    _, nearby = predict(process, points + 1e-3)
    assert nearby.min() > 2 * deviation.max()


def test_settings_are_kept_where_they_are_not_to_adapt() -> None:
    rng = np.random.default_rng(4)
    X, y = rng.random((20, 2)), rng.normal(size=20)
    process = GaussianProcess(2)
    before = process._log.copy()
    process.fit(X, y, adapt=False)
    np.testing.assert_array_equal(process._log, before)
    process.fit(X, y)
    assert (process._log != before).any()


def test_adapting_makes_the_observations_more_likely() -> None:
    rng = np.random.default_rng(5)
    X = rng.random((40, 2))
    y = np.sin(6 * X[:, 0]) + rng.normal(0, 0.1, 40)
    process = GaussianProcess(2)
    z = (y - y.mean()) / y.std()
    before, _ = process._loss(process._log, X, same(X), z)
    process.fit(X, y)
    after, _ = process._loss(process._log, X, same(X), z)
    assert after < before


@pytest.mark.slow
def test_coordinates_that_say_nothing_get_long_scales() -> None:
    rng = np.random.default_rng(6)
    X = rng.random((80, 2))
    process = GaussianProcess(2)
    for _ in range(6):
        process.fit(X, np.sin(8 * X[:, 0]))
    assert process._log[1] > process._log[0] + 1


def test_observations_that_are_all_the_same_are_no_trouble() -> None:
    X, y = np.array([[0.1], [0.2], [0.2]]), np.array([3.0, 3.0, 3.0])
    mean, deviation = predict(GaussianProcess(1).fit(X, y), np.array([[0.1], [0.9]]))
    assert mean == pytest.approx([3.0, 3.0])
    assert np.isfinite(deviation).all()


def test_a_posterior_is_not_changed_by_later_ones() -> None:
    # The process writes its covariances to the same memory again and again.
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 3)), rng.normal(size=40)
    process = GaussianProcess(3).fit(X, y)
    first, same = (process.posterior(X[:9]) for _ in range(2))
    before = first.mean.copy(), first.deviation.copy()
    process.posterior(rng.random((30, 3))).condition_on([1, 2])
    process.mean(rng.random((50, 3)))
    assert np.array_equal(first.mean, before[0])
    assert np.array_equal(first.deviation, before[1])
    for posterior in (first, same):
        posterior.condition_on([4, 5])
        posterior.condition_on([7])
    assert np.array_equal(first.deviation, same.deviation)
