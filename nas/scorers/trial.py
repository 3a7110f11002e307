"""Trials of a scorer: generated predictions for the table's targets, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.scorers.targets import ScoredTargets
from nas.scoring import Metric, NoScore

_MOST_ROWS = 1000
"""Rows of a trial, so that slow scorers delay the start of a search only a little."""


def try_out(metric: Metric, problem: ScoredTargets, y: Array) -> str | None:
    """Try a scorer on generated predictions; return the reason if it fails for all of them, else None."""
    if problem.task == "regression" and _needs_classes(metric.function):
        return f"expected a score for regression, got {metric.name}, which compares classes"
    y = y[sample_rows(y)]
    reasons = []
    for predictions in generated_predictions(problem, y):
        score = metric(predictions, y)
        if not isinstance(score, NoScore):
            return None
        reasons.append(" ".join(score.reason.split()))
    return reasons[0]


def _needs_classes(function: Any) -> bool:
    """Whether the scorer is of scikit-learn's clustering metrics, which take any number for a cluster."""
    return "sklearn.metrics.cluster" in getattr(
        getattr(function.scorer, "_score_func", None), "__module__", ""
    )


def sample_rows(y: Array) -> Array:
    """At most `_MOST_ROWS` evenly spaced rows, and rows of all classes or extreme targets."""
    if len(y) <= _MOST_ROWS:
        return np.arange(len(y))
    even = np.linspace(0, len(y) - 1, _MOST_ROWS).astype(int)
    ends = np.unique(y, return_index=True)[1] if y.ndim == 1 else [*y.argmin(axis=0), *y.argmax(axis=0)]
    return np.union1d(even, ends)


def generated_predictions(problem: ScoredTargets, y: Array) -> Iterator[Floats]:
    """Predictions of different quality within the range of the targets."""
    rng = np.random.default_rng(0)
    truth = y.astype(float) if y.ndim == 2 else np.eye(len(problem.classes))[problem.codes(y)]
    noise = rng.permutation(truth)
    # For regression not the targets themselves: whole numbers would pass for classes.
    for good in (0.618, 0.0) if problem.task == "regression" else (0.618, 0.0, 1.0):
        # A convex combination stays within the range, and probabilities stay probabilities.
        yield good * truth + (1 - good) * (0.7 * noise + 0.3 * truth.mean(axis=0))
