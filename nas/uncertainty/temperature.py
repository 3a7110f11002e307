"""Temperature scaling: linear outputs are divided by one number, so that probabilities hold what they say.

A network that was trained to the end is too sure of itself; the temperature with the least log loss on rows
that were held out corrects that, and changes no predicted class (Guo et al. 2017, "On calibration of modern
neural networks").
"""

from __future__ import annotations

import numpy as np

from nas.network.arrays import Array, Floats
from nas.uncertainty.weighting import effective_size

_RANGE = (0.05, 20.0)
"""Bounds of the temperature: beyond them a network's probabilities hold no information at all."""

_STEPS = 32
"""Of the search by golden section, each of which narrows the range to 0.62 of its width."""

_TINY = 1e-30
"""Probability that stands for 0, which has no logarithm."""


def fit_temperature(logarithms: Floats, y: Array, weights: Floats | None = None) -> float:
    """The temperature with the least log loss.

    Parameters
    ----------
    logarithms : array of shape (rows, classes)
        Logarithms of probabilities; see `as_logarithms`.
    y : int array of shape (rows,)
        The true classes.
    weights : array of shape (rows,), optional
        A row of weight 2 counts as two rows.
    """

    def loss(logarithm: float) -> float:
        return log_loss(logarithms, y, float(np.exp(logarithm)), weights)

    # The loss is convex in 1 / temperature: it has a single minimum, in the logarithm too.
    low, high = np.log(_RANGE)
    shrink = (np.sqrt(5) - 1) / 2
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    losses = [loss(left), loss(right)]
    for _ in range(_STEPS):
        if losses[0] < losses[1]:
            high, right, losses[1] = right, left, losses[0]
            left = high - shrink * (high - low)
            losses[0] = loss(left)
        else:
            low, left, losses[0] = left, right, losses[1]
            right = low + shrink * (high - low)
            losses[1] = loss(right)
    return float(np.exp((low + high) / 2))


def helpful_temperature(logarithms: Floats, y: Array, fold: Array, weights: Floats | None = None) -> float:
    """The temperature of all rows if temperatures of other folds lower the log loss of each fold, else 1.

    The gain has to exceed its standard error over rows: of few rows chance makes a temperature too.

    Parameters
    ----------
    logarithms, y, weights
        See `fit_temperature`.
    fold : int array of shape (rows,)
    """
    w = np.ones(len(y)) if weights is None else weights
    gains = np.empty(len(y))
    for number in np.unique(fold):
        held_out = fold == number
        if held_out.all():
            return 1.0
        temperature = fit_temperature(logarithms[~held_out], y[~held_out], w[~held_out])
        rows, truth = logarithms[held_out], y[held_out]
        gains[held_out] = _row_losses(rows, truth, 1.0) - _row_losses(rows, truth, temperature)
    gain = np.average(gains, weights=w)
    variance = np.average(np.square(gains - gain), weights=w)
    helps = gain > np.sqrt(variance / effective_size(w))
    return fit_temperature(logarithms, y, w) if helps else 1.0


def log_loss(logarithms: Floats, y: Array, temperature: float, weights: Floats | None = None) -> float:
    """The mean of -log of the true class' probability at a temperature."""
    return float(np.average(_row_losses(logarithms, y, temperature), weights=weights))


def _row_losses(logarithms: Floats, y: Array, temperature: float) -> Floats:
    scaled = logarithms / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    losses: Floats = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(y)), y]
    return losses


def as_logarithms(probabilities: Floats) -> Floats:
    """Logarithms of probabilities, of shape (rows, classes) in float64; of two classes those of both."""
    p = probabilities.astype(np.float64)
    both = np.hstack([1 - p, p]) if p.shape[1] == 1 else p
    result: Floats = np.log(np.maximum(both, _TINY))
    return result


def at_temperature(logarithms: Floats, temperature: float) -> Floats:
    """Probabilities at a temperature, of shape (rows, classes)."""
    powers = np.exp((logarithms - logarithms.max(axis=1, keepdims=True)) / temperature)
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result
