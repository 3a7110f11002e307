"""Fitness: the scores of predictions against targets, our own and scikit-learn's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from statistics import stdev
from typing import Any

import numpy as np

from nas.errors import InputError
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
    """

    name: str
    function: Callable[..., float]

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


def metric_for(
    scoring: str | Scorer | None,
    task: str,
    *,
    classes: Sequence[Any] = (),
    mean: Sequence[float] = (),
    scale: Sequence[float] = (),
) -> Metric:
    """The metric that `scoring` names, as it judges the networks of a task.

    Parameters
    ----------
    scoring : str or callable, optional
        A name of `METRICS`, any other of `sklearn.metrics.get_scorer_names`, or a scorer
        ``scorer(estimator, X, y) -> float`` as scikit-learn's functions take it; by default accuracy,
        or R² for regression. The estimator answers `predict`, and for classes `predict_proba` and
        `decision_function`, for the validation rows, whatever `X` is. Where rows have weights, one that
        takes a ``sample_weight`` gets them; to any other all rows are alike.
    task : str
        "classification", "multilabel" or "regression".
    classes : sequence
        Labels in the order of the network's codes.
    mean, scale : sequences of float
        What standardized regression targets have to be multiplied by and added to.

    Raises
    ------
    InputError
        If there is no such scorer, or it does not work for the task.
    """
    name = _name(scoring, task)
    if name in METRICS and isinstance(scoring, (str, type(None))):
        if (name == "r2") != (task == "regression"):
            raise InputError(f"scoring: expected a score for {task}, got {name!r}")
        return METRICS[name]
    if isinstance(scoring, str):
        from sklearn.metrics import get_scorer, get_scorer_names

        if scoring not in get_scorer_names():
            raise InputError(
                f"scoring: expected {', '.join(METRICS)}, or a scorer's name in scikit-learn, got {scoring!r}"
            )
        scorer = get_scorer(scoring)
    elif callable(scoring):
        scorer = scoring
    else:
        raise InputError(f"scoring: expected a name or a function, got {scoring!r}")
    metric = Metric(name, _ByScorer(scorer, task, np.asarray(classes), np.array(mean), np.array(scale)))
    _try_out(metric, task, len(classes), len(mean))
    return metric


def _name(scoring: Any, task: str) -> str:
    if scoring is None:
        return "r2" if task == "regression" else "accuracy"
    return scoring if isinstance(scoring, str) else scorer_name(scoring)


def scorer_name(scorer: Any) -> str:
    """What a scoring function is called."""
    return str(getattr(scorer, "__name__", type(scorer).__name__))


@dataclass(frozen=True, eq=False)
class _ByScorer:
    """A metric that asks a scikit-learn scorer."""

    scorer: Scorer
    task: str
    classes: Array
    mean: Array
    scale: Array

    def __call__(self, predictions: Floats, y: Array, weights: Floats | None = None) -> float:
        estimator, truth = self._answers(predictions), self._truth(y)
        weighted = {"sample_weight": weights} if weights is not None and self._takes_weights else {}
        with warnings.catch_warnings():
            # That no row was predicted to be of a class is said after every epoch.
            warnings.simplefilter("ignore")
            return self.scorer(estimator, np.empty((len(predictions), 0)), truth, **weighted)

    @cached_property
    def _takes_weights(self) -> bool:
        """Whether the scorer knows what weights are; of scikit-learn's own, whether their function does."""
        function = getattr(self.scorer, "_score_func", self.scorer)
        try:
            return "sample_weight" in signature(function).parameters
        except (TypeError, ValueError):
            return False

    def _truth(self, y: Array) -> Array:
        if self.task == "regression":
            values: Array = y * self.scale + self.mean
            return values[:, 0] if values.shape[1] == 1 else values
        if self.task == "multilabel":
            return (y > 0.5).astype(int)
        codes = y[:, 0] if y.ndim == 2 else y
        return np.asarray(self.classes[codes.astype(int)])

    def _answers(self, predictions: Floats) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

        if self.task == "regression":
            values: Array = self._truth(predictions)

            class Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
                def predict(self, X: Any) -> Array:
                    return values

            return Regressor()
        proba = predictions.astype(float)
        if self.task == "classification" and proba.shape[1] == 1:
            proba = np.hstack([1 - proba, proba])
        chosen = proba > 0.5 if self.task == "multilabel" else self.classes[proba.argmax(axis=1)]
        labels: Array = chosen.astype(int) if self.task == "multilabel" else chosen
        # Logits would rank as probabilities do.
        decisions = proba[:, 1] if self.task == "classification" and proba.shape[1] == 2 else proba
        classes = self.classes

        class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
            classes_ = classes

            def predict(self, X: Any) -> Array:
                return labels

            def predict_proba(self, X: Any) -> Array:
                return proba

            def decision_function(self, X: Any) -> Array:
                return decisions

            def __sklearn_is_fitted__(self) -> bool:
                return True

        return Classifier()


def _try_out(metric: Metric, task: str, n_classes: int, n_targets: int) -> None:
    """Raise `InputError` if the scorer cannot judge even a made-up network, before anything is trained."""
    rng = np.random.default_rng(0)
    y: Array
    n = 8 * max(2, n_classes)
    if task == "regression":
        y = rng.normal(size=(n, n_targets)).astype(np.float32)
        predictions = y + rng.normal(size=y.shape).astype(np.float32)
    elif task == "multilabel":
        y = (np.add.outer(np.arange(n), np.arange(n_classes)) % 3 == 0).astype(np.float32)
        predictions = rng.random(y.shape, np.float32)
    elif n_classes == 2:
        y = (np.arange(n) % 2).astype(np.float32)[:, np.newaxis]
        predictions = rng.random((n, 1), np.float32)
    else:
        y = np.arange(n) % n_classes
        predictions = rng.random((n, n_classes), np.float32)
        predictions /= predictions.sum(axis=1, keepdims=True)
    score = metric(predictions, y)
    if isinstance(score, NoScore):
        raise InputError(f"scoring: {metric.name}: tried out on made-up predictions for {task}: {score.why}")


def error_over_folds(scores: Sequence[float]) -> float:
    """The standard error of a mean of scores, one from each fold; NaN for fewer than two.

    Folds share the rows that they train on, which makes it wider than that of as many independent scores
    (Nadeau & Bengio 2003, equation 9).
    """
    n = len(scores)
    return stdev(scores) * math.sqrt(1 / n + 1 / (n - 1)) if n > 1 else math.nan
