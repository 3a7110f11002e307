"""The test part, looked at once: the winner beside scikit-learn's default network."""

from __future__ import annotations

import contextlib
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.run.interruption import Interruption
from nas.run.preparation import Prepared
from nas.runtime import Predictor
from nas.scoring import METRICS, Metric

_RESAMPLES = 200


@dataclass(frozen=True)
class TestScores:
    """Scores on the test part, with the standard errors that its size leaves them.

    `baseline` and `difference` (the winner's score less the baseline's) are None where no baseline
    was asked for. The error of the difference is that of paired rows, which is smaller than the
    scores' own errors suggest. Without test rows all are NaN or None.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    score: float
    error: float
    baseline: float | None = None
    difference: float | None = None
    difference_error: float | None = None


def compare(
    prepared: Prepared, network: Predictor, *, baseline: bool, seed: int, interruption: Interruption
) -> TestScores:
    """Score a network on the test rows, and scikit-learn's default beside it.

    The baseline, `MLPClassifier` or `MLPRegressor` with all settings at their defaults, is fitted
    on training and validation rows together, encoded in the same way, with standardized targets.
    A Ctrl-C before or while it is fitted leaves it out.
    """
    rows = prepared.split.test
    if len(rows) == 0:
        return TestScores(math.nan, math.nan)
    table = prepared.dataset.table.iloc[rows]
    fitted = _baseline(prepared, seed, interruption) if baseline else None
    if prepared.problem.metric in METRICS.values():
        y = prepared.dataset.y[rows]
        ours = _merits(prepared, _codes(prepared, network.predict(table)), y)
        theirs = None if fitted is None else _merits(prepared, fitted.codes(), y)
        return _by_rows(ours, theirs)
    y = prepared.targets(rows)
    judged = [_outputs(prepared, network, table)] + ([] if fitted is None else [fitted.outputs()])
    return _by_bootstrap(prepared.problem.metric, judged, y, seed)


def _by_rows(ours: Floats, theirs: Floats | None) -> TestScores:
    """Scores that are means over rows, with their errors."""
    score, error = _mean_and_error(ours)
    if theirs is None:
        return TestScores(score, error)
    difference, difference_error = _mean_and_error(ours - theirs)
    return TestScores(score, error, float(theirs.mean()), difference, difference_error)


def _by_bootstrap(metric: Metric, predictions: list[Floats], y: Array, seed: int) -> TestScores:
    """Any scores, with errors by drawing the test rows again and again (Efron 1979), the same for all."""
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(_RESAMPLES)]
    scores = [metric(one, y) for one in predictions]
    again = np.array([[metric(one[rows], y[rows]) for rows in draws] for one in predictions])
    errors = [_spread(one) for one in again]
    if len(predictions) == 1:
        return TestScores(scores[0], errors[0])
    spread = _spread(again[0] - again[1])
    return TestScores(scores[0], errors[0], scores[1], scores[0] - scores[1], spread)


def _spread(scores: Floats) -> float:
    """The standard deviation of the scores that there are: a draw may lack what the score asks for."""
    known = scores[np.isfinite(scores)]
    return float(known.std(ddof=1)) if len(known) > 1 else math.nan


def _merits(prepared: Prepared, predictions: Array, y: Array) -> Floats:
    """One number a row whose mean is the score: right or wrong; or the row's part in R²."""
    if prepared.dataset.task == "regression":
        variance = y.var(axis=0)
        safe = np.where(variance > 0, variance, 1)
        shares: Floats = np.where(variance > 0, 1 - np.square(y - predictions) / safe, 0).mean(axis=1)
        return shares
    right = predictions == y
    merits: Floats = right.all(axis=1).astype(float) if right.ndim == 2 else right.astype(float)
    return merits


def _codes(prepared: Prepared, predictions: Array) -> Array:
    """Predictions in the form of ``Dataset.y``."""
    if prepared.dataset.task == "classification":
        positions = {label: code for code, label in enumerate(prepared.dataset.classes)}
        return np.array([positions[label] for label in predictions.tolist()])
    return predictions.reshape(len(predictions), -1)


def _outputs(prepared: Prepared, network: Predictor, table: Any) -> Floats:
    """Predictions as the metric takes them: of shape (rows, outputs), targets standardized."""
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
    """scikit-learn's default network, fitted, with the test rows as it reads them."""

    prepared: Prepared
    model: Any
    X: Floats

    def codes(self) -> Array:
        """Its predictions in the form of ``Dataset.y``."""
        predictions: Array = self.model.predict(self.X)
        if self.prepared.dataset.task == "regression":
            return self._values(predictions)
        return (
            predictions.reshape(len(self.X), -1)
            if self.prepared.dataset.task == "multilabel"
            else predictions
        )

    def outputs(self) -> Floats:
        """Its predictions as the metric takes them."""
        if self.prepared.dataset.task == "regression":
            return _standardized(self.prepared, self._values(self.model.predict(self.X)))
        return _without_first_of_two(self.prepared, self.model.predict_proba(self.X))

    def _values(self, predictions: Array) -> Array:
        target = self.prepared.together.target
        values: Array = predictions.reshape(len(self.X), -1) * np.array(target.scale) + np.array(target.mean)
        return values


def _baseline(prepared: Prepared, seed: int, interruption: Interruption) -> _Baseline | None:
    """Fit it, which takes minutes on large tables; None where that is interrupted."""
    if interruption.requested():
        return None
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    dataset, source = prepared.dataset, prepared.together
    X = source.preprocessor.encode(dataset.table.iloc[source.split.test])
    y = dataset.y[source.split.train]
    mean, scale = np.array(source.target.mean), np.array(source.target.scale)
    regression = dataset.task == "regression"
    model = (MLPRegressor if regression else MLPClassifier)(random_state=seed)
    fitted = (y - mean) / scale if regression else y
    with warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt), interruption.raising():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn catches a KeyboardInterrupt itself, warns, and calls the half-trained model fitted.
        warnings.filterwarnings("ignore", "Training interrupted by user")
        model.fit(source.problem.X_train, fitted[:, 0] if fitted.shape[1:] == (1,) else fitted)
    if interruption.requested():
        return None
    return _Baseline(prepared, model, X)


def _mean_and_error(values: Floats) -> tuple[float, float]:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error
