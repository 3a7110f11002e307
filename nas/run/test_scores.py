"""Scores on the test part, which is used once: of the winner, and of scikit-learn's default models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.run.baselines import FREE_SECONDS, SHARE, Baseline, fit_baselines
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
        The score of scikit-learn's default network; None where no baseline was asked for, as the following.
    difference, difference_error : float, optional
        The winner's score less the baseline's. Its error is that of paired rows, which is smaller than the
        errors of the two scores suggest.
    n_rows : int
        Rows of the test part.
    trees, trees_difference, trees_difference_error : float, optional
        As `baseline`, `difference` and `difference_error`, of scikit-learn's default gradient-boosted trees.
    rmse : float, optional
        The winner's root mean squared error, in the unit of the target; None for classes and several targets.
    left_out : mapping of str to str
        The reasons why a baseline that was asked for has no score, by its name in `nas.run.baselines.KINDS`.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    score: float
    error: float
    baseline: float | None = None
    difference: float | None = None
    difference_error: float | None = None
    n_rows: int = 0
    trees: float | None = None
    trees_difference: float | None = None
    trees_difference_error: float | None = None
    rmse: float | None = None
    left_out: Mapping[str, str] = field(default_factory=dict, compare=False)  # depends on the time

    @property
    def trees_are_better(self) -> bool:
        """Whether trees score better, beyond two standard errors of the difference."""
        difference, error = self.trees_difference, self.trees_difference_error
        return difference is not None and error is not None and difference < -2 * error


def score_test_rows(
    prepared: Prepared,
    network: Predictor,
    *,
    baseline: bool,
    seed: int,
    interruption: Interruption,
    seconds: float = math.inf,
    beside: Callable[[], Mapping[str, Baseline | str]] | None = None,
) -> TestScores:
    """Score a network on the test rows, and scikit-learn's default models for comparison.

    A Ctrl-C before or during the fit of a baseline leaves it out.

    Parameters
    ----------
    prepared : Prepared
    network : Predictor
    baseline : bool
        Whether there are baselines; see `nas.run.baselines`.
    seed : int
        Of the baselines, and of bootstrap samples.
    interruption : Interruption
    seconds : float
        Duration of the search: a baseline that takes more than a tenth of it is left out.
    beside : callable, optional
        Waits for the baselines, where they have been fitted elsewhere meanwhile.
    """
    rows = prepared.split.test
    if len(rows) == 0:
        return TestScores(math.nan, math.nan)
    results: Mapping[str, Baseline | str] = {}
    if baseline and beside is not None:
        results = beside()
    elif baseline:
        allowed = seconds_for_baselines(seconds)
        results = fit_baselines(prepared.final, seed=seed, seconds=allowed, interruption=interruption)
    fitted = {name: result for name, result in results.items() if isinstance(result, Baseline)}
    left_out = {name: result for name, result in results.items() if isinstance(result, str)}
    table = prepared.dataset.table.iloc[rows]
    names, rmse = list(fitted), _rmse(prepared, network, table)
    if prepared.problem.metric in METRICS.values():
        y = prepared.dataset.y[rows]
        codes = [_codes(prepared, network.predict(table)), *(fitted[name].codes() for name in names)]
        scored = _by_rows([_row_scores(prepared, predictions, y) for predictions in codes])
    else:
        outputs = [_outputs(prepared, network, table)]
        outputs += [_outputs_of(prepared, fitted[name]) for name in names]
        scored = _by_bootstrap(prepared.problem.metric, outputs, prepared.targets(rows), seed)
    by_name = dict(zip(names, scored.others, strict=True))
    network_scores, trees = by_name.get("network", _NONE), by_name.get("trees", _NONE)
    return TestScores(scored.score, scored.error, *network_scores, len(rows), *trees, rmse, left_out)


def paired_score(
    prepared: Prepared, network: Predictor, other: Predictor, seed: int
) -> tuple[float | None, float | None, float | None]:
    """Another network's score on the test rows, the first one's lead over it, and the lead's standard error.

    None where there are no test rows, or a score is no number.
    """
    rows = prepared.split.test
    if len(rows) == 0:
        return _NONE
    table = prepared.dataset.table.iloc[rows]
    if prepared.problem.metric in METRICS.values():
        codes = [_codes(prepared, predictor.predict(table)) for predictor in (network, other)]
        y = prepared.dataset.y[rows]
        scored = _by_rows([_row_scores(prepared, predictions, y) for predictions in codes])
    else:
        outputs = [_outputs(prepared, predictor, table) for predictor in (network, other)]
        scored = _by_bootstrap(prepared.problem.metric, outputs, prepared.targets(rows), seed)
    return scored.others[0] if all(map(_is_number, scored.others[0])) else _NONE


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _rmse(prepared: Prepared, network: Predictor, table: Any) -> float | None:
    """See `TestScores`; the table has the test rows."""
    if prepared.dataset.task != "regression" or prepared.dataset.y.shape[1:] not in ((), (1,)):
        return None
    y = prepared.dataset.y[prepared.split.test]
    error = float(np.sqrt(np.mean(np.square(y.reshape(-1) - network.predict(table).reshape(-1)))))
    return error if math.isfinite(error) else None


@dataclass(frozen=True)
class _Scored:
    """The winner's score and error; of each other its score, the difference, and the difference's error."""

    score: float
    error: float
    others: Sequence[tuple[float | None, float | None, float | None]]


_NONE = (None, None, None)


def seconds_for_baselines(seconds: float) -> float:
    """Seconds that each baseline may take after a search of so many."""
    return max(FREE_SECONDS, SHARE * seconds)


def _by_rows(row_scores: Sequence[Floats]) -> _Scored:
    """Scores that are means over rows, with their errors."""
    first, *others = row_scores
    return _Scored(
        *_mean_and_error(first),
        [(float(other.mean()), *_mean_and_error(first - other)) for other in others],
    )


def _by_bootstrap(metric: Metric, predictions: list[Floats], y: Array, seed: int) -> _Scored:
    """Any scores, with standard errors by the bootstrap (Efron 1979), with the same samples for all."""
    rng = np.random.default_rng(seed)
    samples = [rng.integers(0, len(y), len(y)) for _ in range(_RESAMPLES)]
    scores = [metric(outputs, y) for outputs in predictions]
    resampled = np.array([[metric(outputs[rows], y[rows]) for rows in samples] for outputs in predictions])
    return _Scored(
        scores[0],
        _std(resampled[0]),
        [
            (score, scores[0] - score, _std(resampled[0] - other))
            for score, other in zip(scores[1:], resampled[1:], strict=True)
        ],
    )


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


def _outputs_of(prepared: Prepared, baseline: Baseline) -> Floats:
    """A baseline's predictions in the metric's form."""
    if prepared.dataset.task == "regression":
        return _standardized(prepared, baseline.codes())
    return _without_first_of_two(prepared, baseline.probabilities())


def _mean_and_error(values: Floats) -> tuple[float, float]:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error
