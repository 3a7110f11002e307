"""Scores on the test part, which is used once: of the winner, and of scikit-learn's default network."""

from __future__ import annotations

import contextlib
import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.run.interruption import Interruption
from nas.run.preparation import Prepared
from nas.runtime import Predictor
from nas.scoring import METRICS, Metric

_RESAMPLES = 200
"""Bootstrap samples of the test rows: enough for a standard error (Efron & Tibshirani 1993, section 6.4)."""


@dataclass(frozen=True)
class TestScores:
    """Scores on the test part, with their standard errors. Without test rows, all are NaN or None.

    Attributes
    ----------
    score, error : float
        The winner's.
    baseline : float, optional
        The baseline's score; None where no baseline was asked for, as the following.
    difference, difference_error : float, optional
        The winner's score less the baseline's. Its error is that of paired rows, which is smaller than the
        errors of the two scores suggest.
    n_rows : int
        Rows of the test part.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    score: float
    error: float
    baseline: float | None = None
    difference: float | None = None
    difference_error: float | None = None
    n_rows: int = 0


def score_test_rows(
    prepared: Prepared, network: Predictor, *, baseline: bool, seed: int, interruption: Interruption
) -> TestScores:
    """Score a network on the test rows, and scikit-learn's default for comparison.

    The baseline, `MLPClassifier` or `MLPRegressor` with all settings at their defaults, is fitted
    on training and validation rows together, encoded in the same way, with standardized targets.
    A Ctrl-C before or during that leaves the baseline out.

    Parameters
    ----------
    prepared : Prepared
    network : Predictor
    baseline : bool
        Whether there is a baseline.
    seed : int
        Of the baseline's initial weights, and of bootstrap samples.
    interruption : Interruption
    """
    rows = prepared.split.test
    if len(rows) == 0:
        return TestScores(math.nan, math.nan)
    table = prepared.dataset.table.iloc[rows]
    fitted = _baseline(prepared, seed, interruption) if baseline else None
    if prepared.problem.metric in METRICS.values():
        y = prepared.dataset.y[rows]
        row_scores = _row_scores(prepared, _codes(prepared, network.predict(table)), y)
        of_baseline = None if fitted is None else _row_scores(prepared, fitted.codes(), y)
        return replace(_by_rows(row_scores, of_baseline), n_rows=len(rows))
    y = prepared.targets(rows)
    outputs = [_outputs(prepared, network, table)] + ([] if fitted is None else [fitted.outputs()])
    return replace(_by_bootstrap(prepared.problem.metric, outputs, y, seed), n_rows=len(rows))


def _by_rows(row_scores: Floats, of_baseline: Floats | None) -> TestScores:
    """Scores that are means over rows, with their errors."""
    score, error = _mean_and_error(row_scores)
    if of_baseline is None:
        return TestScores(score, error)
    difference, difference_error = _mean_and_error(row_scores - of_baseline)
    return TestScores(score, error, float(of_baseline.mean()), difference, difference_error)


def _by_bootstrap(metric: Metric, predictions: list[Floats], y: Array, seed: int) -> TestScores:
    """Any scores, with standard errors by the bootstrap (Efron 1979), with the same samples for both."""
    rng = np.random.default_rng(seed)
    samples = [rng.integers(0, len(y), len(y)) for _ in range(_RESAMPLES)]
    scores = [metric(outputs, y) for outputs in predictions]
    resampled = np.array([[metric(outputs[rows], y[rows]) for rows in samples] for outputs in predictions])
    error = _std(resampled[0])
    if len(predictions) == 1:
        return TestScores(scores[0], error)
    difference_error = _std(resampled[0] - resampled[1])
    return TestScores(scores[0], error, scores[1], scores[0] - scores[1], difference_error)


def _std(scores: Floats) -> float:
    """The standard deviation of the finite scores: a sample may lack what a score needs, such as a class."""
    finite = scores[np.isfinite(scores)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else math.nan


def _row_scores(prepared: Prepared, predictions: Array, y: Array) -> Floats:
    """A number for each row, of which the mean is the score: right or wrong; or the row's part in R²."""
    if prepared.dataset.task == "regression":
        variance = y.var(axis=0)
        safe = np.where(variance > 0, variance, 1)
        parts: Floats = np.where(variance > 0, 1 - np.square(y - predictions) / safe, 0).mean(axis=1)
        return parts
    is_right = predictions == y
    hits: Floats = is_right.all(axis=1).astype(float) if is_right.ndim == 2 else is_right.astype(float)
    return hits


def _codes(prepared: Prepared, predictions: Array) -> Array:
    """Predictions in the form of ``Dataset.y``."""
    if prepared.dataset.task == "classification":
        positions = {label: code for code, label in enumerate(prepared.dataset.classes)}
        return np.array([positions[label] for label in predictions.tolist()])
    return predictions.reshape(len(predictions), -1)


def _outputs(prepared: Prepared, network: Predictor, table: Any) -> Floats:
    """Predictions in the metric's form: of shape (rows, outputs), numeric targets standardized."""
    if prepared.dataset.task == "regression":
        return _standardized(prepared, network.predict(table))
    probabilities: Floats = network.predict_proba(table)
    return _without_first_of_two(prepared, probabilities)


def _standardized(prepared: Prepared, values: Array) -> Floats:
    target = prepared.target
    result: Floats = (values.reshape(len(values), -1) - np.array(target.mean)) / np.array(target.scale)
    return result


def _without_first_of_two(prepared: Prepared, probabilities: Floats) -> Floats:
    return probabilities[:, 1:] if len(prepared.dataset.classes) == 2 else probabilities


@dataclass(frozen=True)
class _Baseline:
    """scikit-learn's default network, fitted, with the encoded test rows."""

    prepared: Prepared
    model: Any
    X: Floats

    def codes(self) -> Array:
        """Predictions in the form of ``Dataset.y``."""
        predictions: Array = self.model.predict(self.X)
        if self.prepared.dataset.task == "regression":
            return self._values(predictions)
        return (
            predictions.reshape(len(self.X), -1)
            if self.prepared.dataset.task == "multilabel"
            else predictions
        )

    def outputs(self) -> Floats:
        """Predictions in the metric's form."""
        if self.prepared.dataset.task == "regression":
            return _standardized(self.prepared, self._values(self.model.predict(self.X)))
        return _without_first_of_two(self.prepared, self.model.predict_proba(self.X))

    def _values(self, predictions: Array) -> Array:
        target = self.prepared.final.target
        values: Array = predictions.reshape(len(self.X), -1) * np.array(target.scale) + np.array(target.mean)
        return values


def _baseline(prepared: Prepared, seed: int, interruption: Interruption) -> _Baseline | None:
    """The baseline, fitted, which takes minutes on large tables; None if that is interrupted."""
    if interruption.requested():
        return None
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    dataset, source = prepared.dataset, prepared.final
    X = source.preprocessor.encode(dataset.table.iloc[source.split.test])
    y = dataset.y[source.split.train]
    mean, scale = np.array(source.target.mean), np.array(source.target.scale)
    regression = dataset.task == "regression"
    model = (MLPRegressor if regression else MLPClassifier)(random_state=seed)
    targets = (y - mean) / scale if regression else y
    with warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt), interruption.raising():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn catches a KeyboardInterrupt itself, warns, and calls the half-trained model fitted.
        warnings.filterwarnings("ignore", "Training interrupted by user")
        model.fit(source.problem.X_train, targets[:, 0] if targets.shape[1:] == (1,) else targets)
    if interruption.requested():
        return None
    return _Baseline(prepared, model, X)


def _mean_and_error(values: Floats) -> tuple[float, float]:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error
