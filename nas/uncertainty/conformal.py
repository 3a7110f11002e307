"""Conformal prediction: intervals and sets that hold the truth with a given probability.

The conformity score of a row says how badly its target fits the prediction. If new rows are exchangeable with
the held-out rows, the score of a new row is below the k-th smallest of n with the probability k / (n + 1)
(Vovk, Gammerman & Shafer 2005). The scores are those of all folds together (cross-conformal prediction, Vovk
2015; CV+ of Barber et al. 2021 has the same scores), around the prediction of the network that was trained on
all rows: its errors are no larger than those of the folds' networks, which had fewer rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.network.arrays import Array, Floats
from nas.uncertainty.weighting import effective_size

MOST_SCORES = 1000
"""Scores that are kept of a target: coverages then have steps of a thousandth."""

_BINS = 10
"""Most knots of the curve of error scales."""

_LEAST_ROWS = 30
"""Rows of a knot: with fewer a mean error is too uncertain to divide by."""

_FLOOR = 0.1
"""The smallest scale, as a share of the mean error, so that no interval is a point."""

_LEVEL = 0.9
"""The coverage at which intervals with and without scales are compared."""


@dataclass(frozen=True)
class Scales:
    """The scale of errors as a function of the prediction: straight lines between points."""

    positions: tuple[float, ...]
    scales: tuple[float, ...]

    def at(self, predictions: Floats) -> Floats:
        """The scales at predictions of shape (rows,)."""
        return np.interp(predictions, self.positions, self.scales)


def kept_scores(scores: Floats, weights: Floats | None = None) -> tuple[float, ...]:
    """The scores in rising order, or `MOST_SCORES` of them at equal distances of rank, the largest last.

    `nas.runtime.Uncertainty.bounds` reads them; of scores that are left out, the next larger stands for them.
    With weights there are as many as the rows are worth; the k-th of m is the least score such that rows with
    k / m of all weight have no larger one.
    """
    order = np.argsort(scores, kind="stable")
    n = len(order)
    w = np.ones(n) if weights is None else weights[order] * (n / weights.sum())
    m = min(effective_size(w), MOST_SCORES)
    # Sums of weights are rounded, and a rank must not depend on that.
    ranks = np.searchsorted(np.cumsum(w), np.arange(1, m + 1) * n / m - 1e-9 * n)
    return tuple(scores[order[np.minimum(ranks, n - 1)]].tolist())


def quantile(scores: Floats, coverage: float) -> float:
    """The score that a new row does not exceed with a probability of `coverage`; infinity with few rows."""
    rank = int(np.ceil(round((len(scores) + 1) * coverage, 9)))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else float("inf")


def helpful_scales(predictions: Floats, errors: Floats, fold: Array) -> Scales | None:
    """The scales of errors by the prediction, if they narrow the intervals of 90 %; otherwise None.

    Parameters
    ----------
    predictions, errors : arrays of shape (rows,)
        Predictions, and absolute errors.
    fold : int array of shape (rows,)
        Scales of other folds are tried out on each fold.
    """
    if len(np.unique(fold)) < 2:
        return None
    tried = np.empty(len(errors))
    for number in np.unique(fold):
        held_out = fold == number
        scales = fit_scales(predictions[~held_out], errors[~held_out])
        if scales is None:
            return None
        tried[held_out] = scales.at(predictions[held_out])
    width = quantile(errors / tried, _LEVEL) * tried.mean()
    return fit_scales(predictions, errors) if width < quantile(errors, _LEVEL) else None


def fit_scales(predictions: Floats, errors: Floats) -> Scales | None:
    """The mean absolute error of equally many rows each, by the mean of their predictions.

    None with too few rows, where predictions are all the same, or all are exact.
    """
    n_bins = min(_BINS, len(errors) // _LEAST_ROWS)
    if n_bins < 2 or errors.mean() == 0:
        return None
    parts = np.array_split(np.argsort(predictions, kind="stable"), n_bins)
    positions = np.array([predictions[part].mean() for part in parts])
    scales = np.array([max(errors[part].mean(), _FLOOR * errors.mean()) for part in parts])
    rises = np.concatenate([[True], np.diff(positions) > 0])
    if rises.sum() < 2:
        return None
    return Scales(tuple(positions[rises].tolist()), tuple(scales[rises].tolist()))
