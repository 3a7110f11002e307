"""A Gaussian process for a few hundred noisy observations, with one length scale for each coordinate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from nas.network.arrays import Array, Floats

_STEPS = 4
"""Steps of L-BFGS for each fit: it begins where the last one ended, with a few observations fewer."""

_PRIORS = {"scale": (0.0, 1.0), "signal": (0.0, 1.0), "own": (-3.0, 1.5), "noise": (-3.0, 1.5)}
"""Mean and deviation of the normal priors on the logarithms of length scales and of variances."""

_BOUNDS = {"scale": (-4.0, 4.0), "signal": (-4.0, 4.0), "own": (-9.0, 1.0), "noise": (-9.0, 1.0)}
_JITTER = 1e-6

_F = TypeVar("_F", bound=Callable[..., object])
_one_thread: Callable[[_F], _F] = ThreadpoolController().wrap(limits=1, user_api="blas")
"""For the same bits on every machine; and more threads wait for each other where workers are busy."""


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

    @_one_thread
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
        squares = np.square(X[:, np.newaxis] - X)
        same = np.where(squares.sum(axis=2) < 1e-9, 1.0, 0.0)
        if adapt:
            found = minimize(
                self._loss,
                self._log,
                args=(squares.reshape(-1, self._d), same, z),
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

    @_one_thread
    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of what is to be known of points, noise apart.

        Parameters
        ----------
        X : float array of shape (points, coordinates)

        Returns
        -------
        mean, deviation : float arrays of shape (points,)
        """
        signal, own, _ = np.exp(self._log[self._d :])
        squares = np.square(X[:, np.newaxis] - self._X).sum(axis=2)
        K = self._kernel(X, self._X) + np.where(squares < 1e-9, own, 0.0)
        seen = solve_triangular(self._root, K.T, lower=True)
        variance = np.maximum(signal + own - np.square(seen).sum(axis=0), 1e-10)
        return K @ self._alpha * self._spread + self._mean, np.sqrt(variance) * self._spread

    def _kernel(self, A: Floats, B: Floats) -> Floats:
        scales = np.exp(self._log[: self._d])
        difference = (A[:, np.newaxis] - B) / scales
        _, _, kernel = _matern(5 * np.square(difference).sum(axis=2))
        result: Floats = np.exp(self._log[self._d]) * kernel
        return result

    def _loss(self, log: Floats, squares: Floats, same: Array, z: Floats) -> tuple[float, Floats]:
        """The negative logarithm of the posterior density, up to a constant, and its gradient.

        Equations 5.8 and 5.9 of Rasmussen & Williams, with the priors.
        """
        n = len(z)
        precision = np.exp(-2 * log[: self._d])
        signal, own, noise = np.exp(log[self._d :])
        root, decay, kernel = _matern(5 * (squares @ precision).reshape(n, n))
        try:
            L = cholesky(signal * kernel + own * same + (noise + _JITTER) * np.eye(n), lower=True)
        except LinAlgError:
            return math.inf, np.zeros_like(log)
        inverse = cho_solve((L, True), np.eye(n))
        alpha = inverse @ z
        by_covariance = 0.5 * (inverse - np.outer(alpha, alpha))
        by_distance = (by_covariance * (signal * (5 / 3) * (1 + root) * decay)).ravel()
        off = (log - self._prior[:, 0]) / self._prior[:, 1]
        gradient = off / self._prior[:, 1]
        gradient[: self._d] += (by_distance @ squares) * precision
        gradient[self._d :] += (
            (by_covariance * signal * kernel).sum(),
            own * (by_covariance * same).sum(),
            noise * by_covariance.trace(),
        )
        loss = 0.5 * float(z @ alpha) + float(np.log(L.diagonal()).sum()) + 0.5 * float(off @ off)
        return loss, gradient


def _matern(squares: Floats) -> tuple[Floats, Floats, Floats]:
    """r, exp(-r) and (1 + r + r² / 3) exp(-r), for squares of r = sqrt(5) · distance."""
    root = np.sqrt(squares)
    decay = np.exp(-root)
    return root, decay, (1 + root + squares / 3) * decay
