"""A Gaussian process for a few hundred noisy observations, with one length scale for each coordinate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from nas.network.arrays import Array, Floats

_STEPS = 4
"""Steps of L-BFGS for each fit: it begins where the last one ended, with a few observations fewer."""

_PRIORS = {"scale": (0.0, 1.0), "signal": (0.0, 1.0), "own": (-3.0, 1.5), "noise": (-3.0, 1.5)}
"""Mean and deviation of the normal priors on the logarithms of length scales and of variances."""

_BOUNDS = {"scale": (-4.0, 4.0), "signal": (-4.0, 4.0), "own": (-9.0, 1.0), "noise": (-9.0, 1.0)}
_JITTER = 1e-6
_LEAST = 1e-10
_SAME = 1e-9
"""Squared distance below which two points are the same."""


class GaussianProcess:
    """Regression with a Matérn kernel of smoothness 5/2 (Rasmussen & Williams 2006, equation 4.17).

    The covariance of two observations is signal · Matérn(distance) + own · [same coordinates] + noise ·
    [same observation]: what a point has of its own, and what two looks at it do not share, are told
    apart where a point was looked at more than once. Length scales and variances are those of greatest
    posterior density.

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

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True) -> GaussianProcess:
        """Learn from observations.

        Parameters
        ----------
        X : float array of shape (observations, coordinates)
        y : float array of shape (observations,)
        adapt : bool
            Whether length scales and variances are adapted too.
        """
        self._X, self._mean, self._spread = X, float(y.mean()), float(y.std()) or 1.0
        z = (y - self._mean) / self._spread
        same = _same(X, X)
        if adapt:
            found = minimize(
                self._loss,
                self._log,
                args=(X, same, z),
                jac=True,
                method="L-BFGS-B",
                bounds=self._bounds,
                options={"maxiter": _STEPS, "maxfun": 2 * _STEPS},
            )
            if np.isfinite(found.fun):
                self._log = found.x
        _, own, noise = np.exp(self._log[self._d :])
        K = self._kernel(X, X) + own * same + (noise + _JITTER) * np.eye(len(X))
        self._root = cholesky(K, lower=True)
        self._alpha = cho_solve((self._root, True), z)
        return self

    def outlook(self, X: Floats) -> Outlook:
        """What is to be known of points, noise apart.

        Parameters
        ----------
        X : float array of shape (points, coordinates)
        """
        signal, own, noise = np.exp(self._log[self._d :])
        covariance = self._covariance(X, self._X)
        seen = solve_triangular(self._root, covariance.T, lower=True)
        variance = signal + own - np.square(seen).sum(axis=0)
        mean = covariance @ self._alpha * self._spread + self._mean
        return Outlook(self._covariance, X, mean, variance, seen, noise + _JITTER, self._spread)

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of points, noise apart; see `outlook`."""
        outlook = self.outlook(X)
        return outlook.mean, outlook.deviation

    def _covariance(self, A: Floats, B: Floats) -> Floats:
        """Of what is to be known of points: without noise."""
        covariance: Floats = self._kernel(A, B) + np.exp(self._log[self._d + 1]) * _same(A, B)
        return covariance

    def _kernel(self, A: Floats, B: Floats) -> Floats:
        precision, signal = np.exp(-2 * self._log[: self._d]), np.exp(self._log[self._d])
        _, _, kernel = _matern(5 * _squares(A, B, precision))
        result: Floats = signal * kernel
        return result

    def _loss(self, log: Floats, X: Floats, same: Array, z: Floats) -> tuple[float, Floats]:
        """The negative logarithm of the posterior density, up to a constant, and its gradient.

        Equations 5.8 and 5.9 of Rasmussen & Williams, with the priors.
        """
        n = len(z)
        precision = np.exp(-2 * log[: self._d])
        signal, own, noise = np.exp(log[self._d :])
        root, decay, kernel = _matern(5 * _squares(X, X, precision))
        try:
            L = cholesky(signal * kernel + own * same + (noise + _JITTER) * np.eye(n), lower=True)
        except LinAlgError:
            return math.inf, np.zeros_like(log)
        lower, _ = dpotri(L, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        alpha = inverse @ z
        by_covariance = 0.5 * (inverse - np.outer(alpha, alpha))
        by_distance = by_covariance * (signal * (5 / 3) * (1 + root) * decay)
        # The sum over pairs of by_distance · (difference of coordinates)², without a third axis.
        by_scale = 2 * (by_distance.sum(axis=1) @ np.square(X) - (X * (by_distance @ X)).sum(axis=0))
        off = (log - self._prior[:, 0]) / self._prior[:, 1]
        gradient = off / self._prior[:, 1]
        gradient[: self._d] += by_scale * precision
        gradient[self._d :] += (
            (by_covariance * signal * kernel).sum(),
            own * (by_covariance * same).sum(),
            noise * by_covariance.trace(),
        )
        loss = 0.5 * float(z @ alpha) + float(np.log(L.diagonal()).sum()) + 0.5 * float(off @ off)
        return loss, gradient


class Outlook:
    """Mean and standard deviation of points, and how they change as some of them are believed.

    Attributes
    ----------
    mean : float array of shape (points,)
    """

    def __init__(
        self,
        covariance: Callable[[Floats, Floats], Floats],
        X: Floats,
        mean: Floats,
        variance: Floats,
        seen: Floats,
        noise: float,
        spread: float,
    ) -> None:
        self.mean = mean
        self._covariance, self._X, self._variance, self._seen = covariance, X, variance, seen
        self._noise, self._spread = noise, spread

    @property
    def deviation(self) -> Floats:
        """The standard deviation of each point; float array of shape (points,)."""
        deviation: Floats = np.sqrt(np.maximum(self._variance, _LEAST)) * self._spread
        return deviation

    def believe(self, points: Sequence[int]) -> None:
        """Take points as observed, with their means: no mean changes, and who is near them is surer.

        Further rows of the Cholesky factor (Rasmussen & Williams, appendix A.4) in place of a new one.
        """
        chosen = list(points)
        if not chosen:
            return
        ours = self._seen[:, chosen]
        covariance = self._covariance(self._X[chosen], self._X) - ours.T @ self._seen
        among = covariance[:, chosen]
        among[np.diag_indices(len(chosen))] = np.maximum(self._variance[chosen], _LEAST) + self._noise
        rows = solve_triangular(cholesky(among, lower=True), covariance, lower=True)
        self._seen = np.vstack([self._seen, rows])
        self._variance = self._variance - np.square(rows).sum(axis=0)


def _squares(A: Floats, B: Floats, precision: Floats | float = 1.0) -> Floats:
    """Squared distances of shape (rows of A, rows of B), coordinates weighted by `precision`."""
    weighted = A * precision
    norms = (weighted * A).sum(axis=1)[:, np.newaxis] + (B * B * precision).sum(axis=1)
    squares: Floats = np.maximum(norms - 2 * (weighted @ B.T), 0.0)
    return squares


def _same(A: Floats, B: Floats) -> Floats:
    same: Floats = (_squares(A, B) < _SAME).astype(float)
    return same


def _matern(squares: Floats) -> tuple[Floats, Floats, Floats]:
    """r, exp(-r) and (1 + r + r² / 3) exp(-r), for squares of r = sqrt(5) · distance."""
    root = np.sqrt(squares)
    decay = np.exp(-root)
    return root, decay, (1 + root + squares / 3) * decay
