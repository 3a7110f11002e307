"""A Gaussian process for a few hundred noisy observations, with a length scale for each coordinate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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
        self._buffers = _Buffers()

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
        if adapt:
            numbers = self._numbered(X)
            same = np.equal.outer(numbers, numbers).astype(float)
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
        K = self._covariance(self._observed, self._observed, self._buffers.array("kernel", (len(X), len(X))))
        K[np.diag_indices(len(X))] += np.exp(self._log[-1]) * (1.0 if noise is None else noise) + _JITTER
        self._root = self._root_of(K, "root of observed")
        self._alpha = cho_solve((self._root, True), z)
        return self

    def posterior(self, X: Floats) -> Posterior:
        """Predict points without the noise of single observations.

        Parameters
        ----------
        X : float array of shape (points, coordinates)
        """
        signal, own, _ = np.exp(self._log[self._d :])
        points = self._points(X)
        covariance = self._covariance(points, self._observed)
        mean = covariance @ self._alpha * self._std + self._mean
        rows = solve_triangular(self._root, covariance.T, lower=True, overwrite_b=True, check_finite=False)
        variance = signal + own - self._sums_of_squares(rows)
        return Posterior(self, points, mean, variance, rows)

    def mean(self, X: Floats) -> Floats:
        """Return only the means of a posterior, which take a fraction of its time."""
        mean: Floats = self._covariance(self._points(X), self._observed) @ self._alpha
        return mean * self._std + self._mean

    def _sums_of_squares(self, rows: Floats) -> Floats:
        """Return the sum of squares of each column of an array in the order of memory of LAPACK."""
        sums: Floats = np.square(rows, out=self._buffers.array("kernel", rows.T.shape).T).sum(axis=0)
        return sums

    def _points(self, X: Floats) -> _Points:
        scaled, squares = _scaled(X, self._log[: self._d])
        return _Points(scaled, squares, self._numbered(X))

    def _numbered(self, X: Floats) -> Array:
        """Return a number for each point, the same for the same coordinates."""
        numbers = self._numbers
        whole_row = np.dtype((np.void, X.itemsize * X.shape[1]))
        rows: list[Any] = np.ascontiguousarray(X).view(whole_row).ravel().tolist()
        return np.array([numbers.setdefault(row, len(numbers)) for row in rows], dtype=int)

    def _covariance(self, A: _Points, B: _Points, out: Floats | None = None) -> Floats:
        """Return the covariance of points without noise; float array of shape (points of A, points of B)."""
        signal, own = np.exp(self._log[self._d : -1])
        covariance: Floats = np.empty((len(A.squares), len(B.squares))) if out is None else out
        _distances(A, B, covariance)
        distance, decay = (self._buffers.array(name, covariance.shape) for name in ("distance", "decay"))
        _matern(covariance, distance, decay)
        covariance *= signal
        np.add(covariance, own, out=covariance, where=np.equal.outer(A.numbers, B.numbers))
        return covariance

    def _root_of(self, K: Floats, name: str) -> Floats:
        """Return the lower Cholesky factor of K, in the buffer `name`, in the order of memory of LAPACK."""
        root = self._buffers.array(name, K.shape).T
        root[...] = K
        L: Floats = cholesky(root, lower=True, overwrite_a=True)
        return L

    def _loss(
        self, log: Floats, X: Floats, same: Floats, z: Floats, factors: Floats | None = None
    ) -> tuple[float, Floats]:
        """Return the negative log posterior density, up to a constant, and its gradient.

        Equations 5.8 and 5.9 of Rasmussen & Williams, with the priors. `same`, of shape (observations,
        observations), is 1 for those with the same coordinates, and 0 for others.
        """
        signal, own, noise = np.exp(log[self._d :])
        of_noise = np.ones(len(z)) if factors is None else factors
        distance, decay, kernel, by_covariance, product = (
            self._buffers.array(name, same.shape)
            for name in ("distance", "decay", "kernel", "by_covariance", "product")
        )
        points = _Points(*_scaled(X, log[: self._d]), np.empty(0, dtype=int))
        _distances(points, points, kernel)
        _matern(kernel, distance, decay)
        K = np.multiply(kernel, signal, out=product)
        K += np.multiply(same, own, out=by_covariance)
        K[np.diag_indices(len(z))] += noise * of_noise + _JITTER
        try:
            L = self._root_of(K, "root")
        except LinAlgError:
            return math.inf, np.zeros_like(log)
        log_root = float(np.log(L.diagonal()).sum())
        inverse = _inverse(L, product)
        alpha = inverse @ z
        np.subtract(inverse, np.multiply.outer(alpha, alpha, out=by_covariance), out=by_covariance)
        by_covariance *= 0.5
        z_log = (log - self._prior[:, 0]) / self._prior[:, 1]
        gradient = z_log / self._prior[:, 1]
        gradient[self._d :] += (
            np.multiply(np.multiply(by_covariance, signal, out=product), kernel, out=product).sum(),
            own * np.multiply(by_covariance, same, out=product).sum(),
            noise * (by_covariance.trace() if factors is None else by_covariance.diagonal() @ factors),
        )
        # The derivative of the kernel by distances, times that of the loss by covariances.
        slope = np.add(distance, 1, out=distance)
        slope *= signal * (5 / 3)
        slope *= decay
        by_distance = np.multiply(by_covariance, slope, out=slope)
        # The sum over pairs of by_distance · (difference of coordinates)², without a third axis.
        by_scale = 2 * (by_distance.sum(axis=1) @ np.square(X) - (X * (by_distance @ X)).sum(axis=0))
        gradient[: self._d] += by_scale * np.exp(-2 * log[: self._d])
        loss = 0.5 * float(z @ alpha) + log_root + 0.5 * float(z_log @ z_log)
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
        self, process: GaussianProcess, points: _Points, mean: Floats, variance: Floats, rows: Floats
    ) -> None:
        self.mean = mean
        self._process, self._points, self._variance = process, points, variance
        self._rows, self._n_rows = rows, len(rows)
        self._noise, self._std = np.exp(process._log[-1]) + _JITTER, process._std

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
        buffers, shape = self._process._buffers, (len(added), rows.shape[1])
        covariance = buffers.array("covariance", shape)
        self._process._covariance(self._points.of(added), self._points, covariance)
        covariance -= np.matmul(rows[:, added].T, rows, out=buffers.array("product", shape))
        diagonal = np.maximum(self._variance[added], _LEAST) + self._noise
        if len(added) == 1:  # the usual case, in which a call of LAPACK takes ten times as long
            rows = covariance / math.sqrt(diagonal[0])
        else:
            block = covariance[:, added]
            block[np.diag_indices(len(added))] = diagonal
            root = cholesky(block, lower=True, check_finite=False)
            rows = solve_triangular(root, covariance, lower=True, check_finite=False)
        self._append(rows)
        self._variance = self._variance - self._process._sums_of_squares(rows)

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


def _distances(A: _Points, B: _Points, out: Floats) -> None:
    """Write the squared distances of points of A (rows) and of B (columns) to `out`."""
    np.matmul(A.scaled, B.scaled.T, out=out)
    out *= -2
    out += A.squares[:, np.newaxis]
    out += B.squares
    np.maximum(out, 0.0, out=out)


def _matern(squares: Floats, root: Floats, decay: Floats) -> None:
    """Replace squares of r = sqrt(5) · distance by (1 + r + r² / 3) exp(-r); write r and exp(-r)."""
    np.sqrt(squares, out=root)
    np.exp(np.negative(root, out=decay), out=decay)
    squares /= 3
    squares += root
    squares += 1
    squares *= decay


def _inverse(L: Floats, out: Floats) -> Floats:
    """Return the inverse of L Lᵀ, in `out`; L is overwritten, except its upper triangle, which is 0."""
    lower, _ = dpotri(L, lower=1, overwrite_c=1)
    np.add(lower, lower.T, out=out)
    np.fill_diagonal(out, lower.diagonal())
    return out


class _Buffers:
    """Arrays that are written again and again: the pages of new ones take more time than the arithmetic."""

    def __init__(self) -> None:
        self._flat: dict[str, Floats] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Floats:
        """Return an array of this shape, of any numbers, in the memory of the last one of this name."""
        size = math.prod(shape)
        if name not in self._flat or self._flat[name].size < size:
            self._flat[name] = np.empty(2 * size)
        return self._flat[name][:size].reshape(shape)
