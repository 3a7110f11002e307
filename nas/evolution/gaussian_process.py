"""A Gaussian process for a few hundred noisy observations, with a length scale for each coordinate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from nas.network.arrays import Array, Floats

_STEPS = 4
"""Steps of L-BFGS for each fit, which starts from the result of the last fit, with few observations less."""

_PRIORS = {"scale": (0.0, 1.0), "signal": (0.0, 1.0), "own": (-3.0, 1.5), "noise": (-3.0, 1.5)}
"""Mean and standard deviation of the normal priors on the logarithms of length scales and of variances:
scales are near the range of features, which is 1, and noise is a small part of the variance, which is 1."""

_BOUNDS = {"scale": (-4.0, 4.0), "signal": (-4.0, 4.0), "own": (-9.0, 1.0), "noise": (-9.0, 1.0)}
"""Bounds of the same logarithms: a scale of e⁴ is 55 times the range of a feature."""

_JITTER = 1e-6
"""Added to the diagonal of covariances, so that they stay positive definite in float64."""

_LEAST = 1e-10
"""The least variance of a point: differences of variances may round to less than 0."""

_SPARE_ROWS = 32
"""Rows that are allocated at once when those of a posterior are full."""


class GaussianProcess:
    """Regression with a Matérn kernel of smoothness 5/2 (Rasmussen & Williams 2006, equation 4.17).

    The covariance of two observations is signal · Matérn(distance) + own · [same coordinates] + noise ·
    [same observation]. Repeated observations of a point distinguish its own deviation from the noise. Length
    scales and variances are those of maximum posterior density.

    Parameters
    ----------
    n_coordinates : int
    """

    def __init__(self, n_coordinates: int) -> None:
        self._d = n_coordinates
        names = ["scale"] * n_coordinates + ["signal", "own", "noise"]
        self._prior = np.array([_PRIORS[name] for name in names])
        self._bounds = [_BOUNDS[name] for name in names]
        self._log = self._prior[:, 0].copy()

    def fit(
        self, X: Floats, y: Floats, *, adapt: bool = True, noise: Floats | None = None
    ) -> GaussianProcess:
        """Fit observations.

        Parameters
        ----------
        X : float array of shape (observations, coordinates)
        y : float array of shape (observations,)
        adapt : bool
            Whether to adapt length scales and variances, too.
        noise : float array of shape (observations,), optional
            The variance of each observation's noise as a multiple of the others'; by default 1 for all.
        """
        self._numbers: dict[bytes, int] = {}
        self._mean, self._std = float(y.mean()), float(y.std()) or 1.0
        z = (y - self._mean) / self._std
        numbers = self._numbered(X)
        same = np.equal.outer(numbers, numbers)
        if adapt:
            optimum = minimize(
                self._loss,
                self._log,
                args=(X, same, z, noise),
                jac=True,
                method="L-BFGS-B",
                bounds=self._bounds,
                options={"maxiter": _STEPS, "maxfun": 2 * _STEPS},
            )
            if np.isfinite(optimum.fun):
                self._log = optimum.x
        self._observed = self._points(X)
        K = self._covariance(self._observed, self._observed)
        K[np.diag_indices(len(X))] += np.exp(self._log[-1]) * (1.0 if noise is None else noise) + _JITTER
        self._root = cholesky(K, lower=True, overwrite_a=True)
        self._alpha = cho_solve((self._root, True), z)
        return self

    def posterior(self, X: Floats) -> Posterior:
        """Predict points without the noise of single observations.

        Parameters
        ----------
        X : float array of shape (points, coordinates)
        """
        signal, own, noise = np.exp(self._log[self._d :])
        points = self._points(X)
        covariance = self._covariance(points, self._observed)
        mean = covariance @ self._alpha * self._std + self._mean
        rows = solve_triangular(self._root, covariance.T, lower=True, check_finite=False)
        variance = signal + own - np.square(rows).sum(axis=0)
        return Posterior(self._covariance, points, mean, variance, rows, noise + _JITTER, self._std)

    def mean(self, X: Floats) -> Floats:
        """Return only the means of a posterior, which take a fraction of its time."""
        mean: Floats = self._covariance(self._points(X), self._observed) @ self._alpha
        return mean * self._std + self._mean

    def _points(self, X: Floats) -> _Points:
        scaled, squares = _scaled(X, self._log[: self._d])
        return _Points(scaled, squares, self._numbered(X))

    def _numbered(self, X: Floats) -> Array:
        """Return a number for each point, the same for the same coordinates."""
        numbers = self._numbers
        return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in X], dtype=int)

    def _covariance(self, A: _Points, B: _Points) -> Floats:
        """Return the covariance of points without noise; float array of shape (points of A, points of B)."""
        signal, own = np.exp(self._log[self._d : -1])
        _, _, covariance = _matern(_distances(A.scaled, A.squares, B.scaled, B.squares))
        covariance *= signal
        np.add(covariance, own, out=covariance, where=np.equal.outer(A.numbers, B.numbers))
        return covariance

    def _loss(
        self, log: Floats, X: Floats, same: Array, z: Floats, factors: Floats | None = None
    ) -> tuple[float, Floats]:
        """Return the negative log posterior density, up to a constant, and its gradient.

        Equations 5.8 and 5.9 of Rasmussen & Williams, with the priors.
        """
        n = len(z)
        precision = np.exp(-2 * log[: self._d])
        signal, own, noise = np.exp(log[self._d :])
        scaled, squares = _scaled(X, log[: self._d])
        root, decay, kernel = _matern(_distances(scaled, squares, scaled, squares))
        try:
            of_noise = np.eye(n) if factors is None else np.diag(factors)
            diagonal = noise * of_noise + _JITTER * np.eye(n)
            L = cholesky(signal * kernel + own * same + diagonal, lower=True)
        except LinAlgError:
            return math.inf, np.zeros_like(log)
        lower, _ = dpotri(L, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        alpha = inverse @ z
        by_covariance = 0.5 * (inverse - np.outer(alpha, alpha))
        by_distance = by_covariance * (signal * (5 / 3) * (1 + root) * decay)
        # The sum over pairs of by_distance · (difference of coordinates)², without a third axis.
        by_scale = 2 * (by_distance.sum(axis=1) @ np.square(X) - (X * (by_distance @ X)).sum(axis=0))
        z_log = (log - self._prior[:, 0]) / self._prior[:, 1]
        gradient = z_log / self._prior[:, 1]
        gradient[: self._d] += by_scale * precision
        gradient[self._d :] += (
            (by_covariance * signal * kernel).sum(),
            own * (by_covariance * same).sum(),
            noise * (by_covariance.trace() if factors is None else by_covariance.diagonal() @ factors),
        )
        loss = 0.5 * float(z @ alpha) + float(np.log(L.diagonal()).sum()) + 0.5 * float(z_log @ z_log)
        return loss, gradient


class Posterior:
    """Mean and standard deviation of points, which may be conditioned on some of these points.

    `rows` is L⁻¹ K(observed, points), float array of shape (observations, points), where L is the Cholesky
    factor of the observations' covariance.

    Attributes
    ----------
    mean : float array of shape (points,)
    """

    def __init__(
        self,
        covariance: Callable[[_Points, _Points], Floats],
        points: _Points,
        mean: Floats,
        variance: Floats,
        rows: Floats,
        noise: float,
        std: float,
    ) -> None:
        self.mean = mean
        self._covariance, self._points, self._variance = covariance, points, variance
        self._rows, self._n_rows = rows, len(rows)
        self._noise, self._std = noise, std

    @property
    def deviation(self) -> Floats:
        """The standard deviation of each point; float array of shape (points,)."""
        deviation: Floats = np.sqrt(np.maximum(self._variance, _LEAST)) * self._std
        return deviation

    def condition_on(self, points: Sequence[int]) -> None:
        """Take points as observed, with their means: no mean changes, and deviations near the points fall.

        Appends rows to the Cholesky factor (Rasmussen & Williams, appendix A.4) in place of a new factor.
        """
        added = list(points)
        if not added:
            return
        rows = self._rows[: self._n_rows]
        covariance = self._covariance(self._points.of(added), self._points) - rows[:, added].T @ rows
        block = covariance[:, added]
        block[np.diag_indices(len(added))] = np.maximum(self._variance[added], _LEAST) + self._noise
        if len(added) == 1:  # the usual case, in which a call of LAPACK takes ten times as long
            rows = covariance / math.sqrt(block[0, 0])
        else:
            root = cholesky(block, lower=True, check_finite=False)
            rows = solve_triangular(root, covariance, lower=True, check_finite=False)
        self._append(rows)
        self._variance = self._variance - np.square(rows).sum(axis=0)

    def _append(self, rows: Floats) -> None:
        """Append rows, with spare rows for the next: each reallocation copies all."""
        n = self._n_rows + len(rows)
        if n > len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty((len(rows) + _SPARE_ROWS, rows.shape[1]))])
        self._rows[self._n_rows : n] = rows
        self._n_rows = n


class _Points(NamedTuple):
    """Points as kernels read them.

    Attributes
    ----------
    scaled : float array of shape (points, coordinates)
        Coordinates in length scales.
    squares : float array of shape (points,)
        The sums of their squares.
    numbers : int array of shape (points,)
        Equal for points with the same coordinates, and only for these.
    """

    scaled: Floats
    squares: Floats
    numbers: Array

    def of(self, points: Sequence[int]) -> _Points:
        """Return the points at these positions."""
        return _Points(self.scaled[points], self.squares[points], self.numbers[points])


def _scaled(X: Floats, log_scales: Floats) -> tuple[Floats, Floats]:
    """Return coordinates in length scales, and the sums of their squares, with the kernel's factor of 5."""
    scaled: Floats = X * (math.sqrt(5) * np.exp(-log_scales))
    return scaled, np.square(scaled).sum(axis=1)


def _distances(A: Floats, squares_A: Floats, B: Floats, squares_B: Floats) -> Floats:
    """Return squared distances; float array of shape (rows of A, rows of B)."""
    distances: Floats = A @ B.T
    distances *= -2
    distances += squares_A[:, np.newaxis]
    distances += squares_B
    return np.maximum(distances, 0.0, out=distances)


def _matern(squares: Floats) -> tuple[Floats, Floats, Floats]:
    """Return r, exp(-r) and (1 + r + r² / 3) exp(-r) for squares of r = sqrt(5) · distance."""
    root = np.sqrt(squares)
    decay = np.exp(-root)
    kernel = squares
    kernel /= 3
    kernel += root
    kernel += 1
    kernel *= decay
    return root, decay, kernel
