"""A Gaussian process for a few hundred noisy observations, with one length scale for each coordinate."""

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
"""Steps of L-BFGS for each fit: it begins where the last one ended, with a few observations fewer."""

_PRIORS = {"scale": (0.0, 1.0), "signal": (0.0, 1.0), "own": (-3.0, 1.5), "noise": (-3.0, 1.5)}
"""Mean and deviation of the normal priors on the logarithms of length scales and of variances."""

_BOUNDS = {"scale": (-4.0, 4.0), "signal": (-4.0, 4.0), "own": (-9.0, 1.0), "noise": (-9.0, 1.0)}
_JITTER = 1e-6
_LEAST = 1e-10
_ROOM = 32
"""Rows more that are made room for when those of an posterior have none left."""


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
        self._numbers: dict[bytes, int] = {}
        self._mean, self._std = float(y.mean()), float(y.std()) or 1.0
        z = (y - self._mean) / self._std
        numbers = self._numbered(X)
        same = np.equal.outer(numbers, numbers)
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
        self._known = self._points(X)
        K = self._covariance(self._known, self._known)
        K[np.diag_indices(len(X))] += np.exp(self._log[-1]) + _JITTER
        self._root = cholesky(K, lower=True, overwrite_a=True)
        self._alpha = cho_solve((self._root, True), z)
        return self

    def posterior(self, X: Floats) -> Posterior:
        """What is to be known of points, noise apart.

        Parameters
        ----------
        X : float array of shape (points, coordinates)
        """
        signal, own, noise = np.exp(self._log[self._d :])
        points = self._points(X)
        covariance = self._covariance(points, self._known)
        mean = covariance @ self._alpha * self._std + self._mean
        seen = solve_triangular(self._root, covariance.T, lower=True, check_finite=False)
        variance = signal + own - np.square(seen).sum(axis=0)
        return Posterior(self._covariance, points, mean, variance, seen, noise + _JITTER, self._std)

    def mean(self, X: Floats) -> Floats:
        """The means of an posterior, which alone take a fraction of its time."""
        mean: Floats = self._covariance(self._points(X), self._known) @ self._alpha
        return mean * self._std + self._mean

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of points, noise apart; see `posterior`."""
        posterior = self.posterior(X)
        return posterior.mean, posterior.deviation

    def _points(self, X: Floats) -> _Points:
        scaled, squares = _scaled(X, self._log[: self._d])
        return _Points(scaled, squares, self._numbered(X))

    def _numbered(self, X: Floats) -> Array:
        """A number for each point, the same for the same coordinates."""
        numbers = self._numbers
        return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in X], dtype=int)

    def _covariance(self, A: _Points, B: _Points) -> Floats:
        """Of what is to be known of points: without noise."""
        signal, own = np.exp(self._log[self._d : -1])
        _, _, covariance = _matern(_distances(A.scaled, A.squares, B.scaled, B.squares))
        covariance *= signal
        np.add(covariance, own, out=covariance, where=np.equal.outer(A.numbers, B.numbers))
        return covariance

    def _loss(self, log: Floats, X: Floats, same: Array, z: Floats) -> tuple[float, Floats]:
        """The negative logarithm of the posterior density, up to a constant, and its gradient.

        Equations 5.8 and 5.9 of Rasmussen & Williams, with the priors.
        """
        n = len(z)
        precision = np.exp(-2 * log[: self._d])
        signal, own, noise = np.exp(log[self._d :])
        scaled, squares = _scaled(X, log[: self._d])
        root, decay, kernel = _matern(_distances(scaled, squares, scaled, squares))
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


class Posterior:
    """Mean and standard deviation of points, and how they change as some of them are believed.

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
        seen: Floats,
        noise: float,
        std: float,
    ) -> None:
        self.mean = mean
        self._covariance, self._points, self._variance = covariance, points, variance
        self._seen, self._n_seen = seen, len(seen)
        self._noise, self._std = noise, std

    @property
    def deviation(self) -> Floats:
        """The standard deviation of each point; float array of shape (points,)."""
        deviation: Floats = np.sqrt(np.maximum(self._variance, _LEAST)) * self._std
        return deviation

    def condition_on(self, points: Sequence[int]) -> None:
        """Take points as observed, with their means: no mean changes, and who is near them is surer.

        Further rows of the Cholesky factor (Rasmussen & Williams, appendix A.4) in place of a new one.
        """
        chosen = list(points)
        if not chosen:
            return
        seen = self._seen[: self._n_seen]
        covariance = self._covariance(self._points.of(chosen), self._points) - seen[:, chosen].T @ seen
        among = covariance[:, chosen]
        among[np.diag_indices(len(chosen))] = np.maximum(self._variance[chosen], _LEAST) + self._noise
        if len(chosen) == 1:  # as is usual, and LAPACK takes ten times as long to begin
            rows = covariance / math.sqrt(among[0, 0])
        else:
            root = cholesky(among, lower=True, check_finite=False)
            rows = solve_triangular(root, covariance, lower=True, check_finite=False)
        self._see(rows)
        self._variance = self._variance - np.square(rows).sum(axis=0)

    def _see(self, rows: Floats) -> None:
        """Put further rows below those seen: one by one, they would be copied with all the others."""
        n = self._n_seen + len(rows)
        if n > len(self._seen):
            self._seen = np.concatenate([self._seen, np.empty((len(rows) + _ROOM, rows.shape[1]))])
        self._seen[self._n_seen : n] = rows
        self._n_seen = n


class _Points(NamedTuple):
    """Points as kernels read them.

    `scaled` are their coordinates in length scales, float array of shape (points, coordinates), `squares`
    the sums of their squares, and `numbers` equal for the same point alone; int array of shape (points,).
    """

    scaled: Floats
    squares: Floats
    numbers: Array

    def of(self, points: Sequence[int]) -> _Points:
        return _Points(self.scaled[points], self.squares[points], self.numbers[points])


def _scaled(X: Floats, log_scales: Floats) -> tuple[Floats, Floats]:
    """Coordinates in length scales, and the sums of their squares; of both the factor 5 of the kernel."""
    scaled: Floats = X * (math.sqrt(5) * np.exp(-log_scales))
    return scaled, np.square(scaled).sum(axis=1)


def _distances(A: Floats, squares_A: Floats, B: Floats, squares_B: Floats) -> Floats:
    """Squared distances of shape (rows of A, rows of B)."""
    distances: Floats = A @ B.T
    distances *= -2
    distances += squares_A[:, np.newaxis]
    distances += squares_B
    return np.maximum(distances, 0.0, out=distances)


def _matern(squares: Floats) -> tuple[Floats, Floats, Floats]:
    """r, exp(-r) and (1 + r + r² / 3) exp(-r), for squares of r = sqrt(5) · distance."""
    root = np.sqrt(squares)
    decay = np.exp(-root)
    kernel = squares
    kernel /= 3
    kernel += root
    kernel += 1
    kernel *= decay
    return root, decay, kernel
