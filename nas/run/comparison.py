"""The test part, looked at once: the winner beside scikit-learn's default network."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import numpy as np

from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared
from nas.runtime import Network

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestScores:
    """Scores on the test part, with the standard errors that its size leaves them.

    `baseline` and `difference` (the winner's score less the baseline's) are None where no baseline
    was asked for. The error of the difference is that of paired rows, which is smaller than the
    scores' own errors suggest.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    score: float
    error: float
    baseline: float | None = None
    difference: float | None = None
    difference_error: float | None = None


def compare(prepared: Prepared, network: Network, *, baseline: bool, seed: int) -> TestScores:
    """Score a network on the test rows, and scikit-learn's default beside it.

    The baseline, `MLPClassifier` or `MLPRegressor` with all settings at their defaults, is fitted
    on training and validation rows together, encoded in the same way, with standardized targets.
    A Ctrl-C while it is fitted leaves it out.
    """
    rows = prepared.split.test
    table, y = prepared.dataset.table.iloc[rows], prepared.dataset.y[rows]
    merits = _merits(prepared, _codes(prepared, network.predict(table)), y)
    score, error = _mean_and_error(merits)
    try:
        predictions = _baseline_predictions(prepared, seed) if baseline else None
    except KeyboardInterrupt:
        # On large tables it takes minutes; whoever does not want to wait keeps the network.
        _log.warning("interrupted: scikit-learn's default network is left out")
        predictions = None
    if predictions is None:
        return TestScores(score, error)
    others = _merits(prepared, predictions, y)
    difference, difference_error = _mean_and_error(merits - others)
    return TestScores(score, error, float(others.mean()), difference, difference_error)


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


def _baseline_predictions(prepared: Prepared, seed: int) -> Array:
    """What scikit-learn's default network predicts for the test rows, in the form of ``Dataset.y``."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    dataset, source = prepared.dataset, prepared.together
    X = source.preprocessor.encode(dataset.table.iloc[source.split.test])
    y = dataset.y[source.split.train]
    mean, scale = np.array(source.target.mean), np.array(source.target.scale)
    regression = dataset.task == "regression"
    model = (MLPRegressor if regression else MLPClassifier)(random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = (y - mean) / scale if regression else y
        model.fit(source.problem.X_train, fitted[:, 0] if fitted.shape[1:] == (1,) else fitted)
    predictions: Array = model.predict(X)
    if regression:
        predictions = predictions.reshape(len(X), -1) * scale + mean
    return predictions.reshape(len(X), -1) if dataset.task == "multilabel" else predictions


def _mean_and_error(values: Floats) -> tuple[float, float]:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error
