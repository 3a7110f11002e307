"""Fitness: the scores of predictions against targets, our own and scikit-learn's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats

WORST_SCORE = -1e9
"""The lowest fitness there is: finite, because DEAP cannot order NaN or infinity."""


@dataclass(frozen=True)
class Metric:
    """A score, to be maximized, by its name.

    ``metric(predictions, y)`` takes predictions of shape (rows, outputs), as a network gives them, and
    targets as its loss asks for; see `nas.network.losses`; and perhaps weights of shape (rows,). What
    `function` returns that is no number, or raises, comes back as `NoScore`.

    Attributes
    ----------
    name : str
    function : callable
        ``function(predictions, y) -> float``; given weights, ``function(predictions, y, weights)``.
    note : str
        What has to be known of the score to read it, in a sentence; empty where its name says all.
    """

    name: str
    function: Callable[..., float]
    note: str = ""

    def __call__(self, predictions: Floats, y: Array, weights: Floats | None = None) -> float:
        """The score, or a `NoScore` that says why there is none."""
        try:
            score = self.function(predictions, y, *(() if weights is None else (weights,)))
            return float(score) if np.isfinite(score) else NoScore(f"expected a finite number, got {score}")
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a person's own function may raise anything
            return NoScore(f"expected a number, got {type(error).__name__}: {error}")


class NoScore(float):
    """A NaN that says where it comes from."""

    why: str

    def __new__(cls, why: str) -> NoScore:
        """A NaN for this reason."""
        nothing = super().__new__(cls, float("nan"))
        nothing.why = why
        return nothing

    def __reduce__(self) -> Any:
        """Through a pipe with its reason."""
        return NoScore, (self.why,)


def accuracy(predictions: Floats, y: Array, weights: Floats | None = None) -> float:
    """The share of rows whose class, or whose labels all together, are right."""
    one_class = y.ndim == 1
    right = predictions.argmax(axis=1) == y if one_class else ((predictions > 0.5) == (y > 0.5)).all(axis=1)
    return float(np.mean(right) if weights is None else np.average(right, weights=weights))


def r2(predictions: Floats, y: Array, weights: Floats | None = None) -> float:
    """The share of variance explained, averaged over targets; 0 is the mean's own score.

    A target that does not vary counts 0, as in scikit-learn; the worst score is `WORST_SCORE`.
    """
    center = y.mean(axis=0) if weights is None else np.average(y, axis=0, weights=weights)
    residual = _sum(np.square(y - predictions), weights)
    total = _sum(np.square(y - center), weights)
    scores = np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), 0.0)
    return max(float(scores.mean()), WORST_SCORE)


def _sum(values: Floats, weights: Floats | None) -> Floats:
    """Sums over rows, in which each counts by its weight."""
    sums: Floats = np.sum(values, axis=0, dtype=np.float64) if weights is None else weights @ values
    return sums


METRICS: dict[str, Metric] = {"accuracy": Metric("accuracy", accuracy), "r2": Metric("r2", r2)}
"""Our own, by name: much faster than scikit-learn's on small tables."""

Scorer = Callable[..., float]
"""``scorer(estimator, X, y) -> float``, perhaps with a ``sample_weight``."""


def scorer_name(scorer: Any) -> str:
    """What a scoring function is called."""
    return str(getattr(scorer, "__name__", type(scorer).__name__))


def error_over_folds(scores: Sequence[float]) -> float:
    """The standard error of a mean of scores, one from each fold; NaN for fewer than two.

    Folds share the rows that they train on, which makes it wider than that of as many independent scores
    (Nadeau & Bengio 2003, equation 9).
    """
    n = len(scores)
    return stdev(scores) * math.sqrt(1 / n + 1 / (n - 1)) if n > 1 else math.nan
