"""Metrics: scores of predictions against targets, to be maximized."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats

WORST_SCORE = -1e9
"""The lowest score: finite, because DEAP cannot order NaN or infinity."""


@dataclass(frozen=True)
class Metric:
    """A score with its name.

    ``metric(predictions, y)`` takes a network's predictions, of shape (rows, outputs), targets
    as its loss asks for (see `nas.network.losses`) and, optionally, weights of shape (rows,). If `function`
    raises, or returns no finite number, the score is a `NoScore`.

    Attributes
    ----------
    name : str
    function : callable
        ``function(predictions, y) -> float``; given weights, ``function(predictions, y, weights)``.
    note : str
        A sentence on how to read the score; empty if its name is enough.
    """

    name: str
    function: Callable[..., float]
    note: str = ""

    def __call__(self, predictions: Floats, y: Array, weights: Floats | None = None) -> float:
        """The score, or a `NoScore` with the reason for its absence."""
        try:
            score = self.function(predictions, y, *(() if weights is None else (weights,)))
            return float(score) if np.isfinite(score) else NoScore(f"expected a finite number, got {score}")
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a user's function may raise anything
            return NoScore(f"expected a number, got {type(error).__name__}: {error}")


class NoScore(float):
    """A NaN with the reason for it, so that a candidate's failure can name it."""

    reason: str

    def __new__(cls, reason: str) -> NoScore:
        """A NaN for this reason."""
        score = super().__new__(cls, float("nan"))
        score.reason = reason
        return score

    def __reduce__(self) -> Any:
        """Pickle with the reason, which a float's own way would lose."""
        return NoScore, (self.reason,)


def accuracy(predictions: Floats, y: Array, weights: Floats | None = None) -> float:
    """The share of rows with the right class, or with all labels right.

    A label counts as predicted above a probability of 0.5, as in scikit-learn.
    """
    if y.ndim == 1:
        correct = predictions.argmax(axis=1) == y
    else:
        correct = ((predictions > 0.5) == (y > 0.5)).all(axis=1)
    return float(np.mean(correct) if weights is None else np.average(correct, weights=weights))


def r2(predictions: Floats, y: Array, weights: Floats | None = None) -> float:
    """The explained share of the variance, averaged over targets; predicting the mean scores 0.

    A constant target scores 0; the lowest score is `WORST_SCORE`.
    """
    center = y.mean(axis=0) if weights is None else np.average(y, axis=0, weights=weights)
    residual = _sum(np.square(y - predictions), weights)
    total = _sum(np.square(y - center), weights)
    scores = np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), 0.0)
    return max(float(scores.mean()), WORST_SCORE)


def _sum(values: Floats, weights: Floats | None) -> Floats:
    """Weighted sums over rows, of shape (targets,)."""
    sums: Floats = np.sum(values, axis=0, dtype=np.float64) if weights is None else weights @ values
    return sums


METRICS: dict[str, Metric] = {"accuracy": Metric("accuracy", accuracy), "r2": Metric("r2", r2)}
"""Metrics by name. scikit-learn's check their arguments, which takes longer than scoring a small table."""

Scorer = Callable[..., float]
"""``scorer(estimator, X, y) -> float``, optionally with a ``sample_weight``."""


def scorer_name(scorer: Any) -> str:
    """The name of a scoring function, or of its type."""
    return str(getattr(scorer, "__name__", type(scorer).__name__))


def error_over_folds(scores: Sequence[float]) -> float:
    """The standard error of a mean of scores, one from each fold; NaN for fewer than two.

    Folds share training rows, so their scores are correlated, and the error is larger than that of as many
    independent scores (Nadeau & Bengio 2003, equation 9).
    """
    n = len(scores)
    return stdev(scores) * math.sqrt(1 / n + 1 / (n - 1)) if n > 1 else math.nan
