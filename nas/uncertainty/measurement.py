"""The uncertainty of a network by out-of-fold predictions, as a saved network carries it."""

from __future__ import annotations

import numpy as np

from nas.evaluation.out_of_fold import OutOfFold
from nas.network.arrays import Array, Floats
from nas.runtime import Uncertainty
from nas.uncertainty.conformal import Scales, helpful_scales, kept_scores
from nas.uncertainty.temperature import (
    as_logarithms,
    at_temperature,
    helpful_temperature,
)
from nas.uncertainty.weighting import effective_size

_BLOCKS = 7
"""Parts of the rows that a single network has not been trained on."""

_MOST_ROWS = 20_000
"""Rows by which a temperature is fitted: its error is then below a hundredth, and it takes a second."""


def measure(
    oof: OutOfFold, y: Array, task: str, *, weights: Floats | None = None, calibrate: bool = True
) -> Uncertainty:
    """The temperature and the conformity scores of a network.

    Parameters
    ----------
    oof : OutOfFold
    y : array of shape (rows,) or (rows, outputs)
        The targets of these rows: codes of classes, 0 and 1 for labels, or standardized values.
    task : str
        A name in `nas.runtime.TASKS`.
    weights : array of shape (rows,), optional
        The positive weights of these rows: one of weight 2 counts as two rows.
    calibrate : bool
        Whether a temperature is fitted; otherwise it is 1.
    """
    w = np.ones(len(y)) if weights is None else weights
    # The rows of a single network judge each other by blocks.
    fold = oof.fold if len(np.unique(oof.fold)) > 1 else np.arange(len(oof.fold)) % _BLOCKS
    if task == "regression":
        return _of_values(oof.predictions.astype(np.float64), y.reshape(len(y), -1), fold, w)
    if task == "multilabel":
        return _of_labels(oof.predictions, y.astype(int), fold, w, calibrate=calibrate)
    logarithms, codes = as_logarithms(oof.predictions), y.reshape(-1).astype(int)
    temperature = _temperature(logarithms, codes, fold, w) if calibrate else 1.0
    scores = _scores_of(logarithms, codes, temperature)
    return Uncertainty(temperature, effective_size(w), (kept_scores(scores, w),))


def _of_labels(predictions: Floats, y: Array, fold: Array, w: Floats, *, calibrate: bool) -> Uncertainty:
    """One temperature for all labels, which count alike, and scores for each label."""
    labels = [as_logarithms(predictions[:, i : i + 1]) for i in range(y.shape[1])]
    temperature = 1.0
    if calibrate:
        of_labels = (np.tile(rows, len(labels)) for rows in (fold, w))
        temperature = _temperature(np.concatenate(labels), y.T.ravel(), *of_labels)
    scores = [
        kept_scores(_scores_of(logarithms, codes, temperature), w)
        for logarithms, codes in zip(labels, y.T, strict=True)
    ]
    return Uncertainty(temperature, effective_size(w), tuple(scores))


def _temperature(logarithms: Floats, codes: Array, fold: Array, w: Floats) -> float:
    """The temperature by as many rows as decide it well, at equal distances."""
    rows = slice(None, None, max(1, len(codes) // _MOST_ROWS))
    return helpful_temperature(logarithms[rows], codes[rows], fold[rows], w[rows])


def _scores_of(logarithms: Floats, codes: Array, temperature: float) -> Floats:
    """1 minus the probability of the true class."""
    scores: Floats = 1 - at_temperature(logarithms, temperature)[np.arange(len(codes)), codes]
    return scores


def _of_values(predictions: Floats, y: Floats, fold: Array, w: Floats) -> Uncertainty:
    """Absolute errors of each target, divided by their scales where that narrows some target's intervals."""
    errors = np.abs(y - predictions)
    scales = [helpful_scales(*pair, fold) for pair in zip(predictions.T, errors.T, strict=True)]
    if not any(scales):
        return Uncertainty(
            n_rows=effective_size(w), scores=tuple(kept_scores(error, w) for error in errors.T)
        )
    curves = [curve or Scales((0.0,), (1.0,)) for curve in scales]
    scores = [
        kept_scores(error / curve.at(prediction), w)
        for curve, prediction, error in zip(curves, predictions.T, errors.T, strict=True)
    ]
    return Uncertainty(
        n_rows=effective_size(w),
        scores=tuple(scores),
        positions=tuple(curve.positions for curve in curves),
        scales=tuple(curve.scales for curve in curves),
    )
