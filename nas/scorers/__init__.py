"""Metrics of networks by scikit-learn's scorers, or functions with their signature.

A scorer takes an estimator, and targets as in the table. It is tried out on the table's targets before
anything is trained, so that an unsuitable scorer is refused in a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas.errors import InputError
from nas.network.arrays import Array
from nas.scorers.clipping import clip_for
from nas.scorers.metric import ScorerMetric
from nas.scorers.scikit_learn import prepared
from nas.scorers.targets import ScoredTargets
from nas.scorers.trial import generated_predictions, sample_rows, try_out
from nas.scoring import METRICS, Metric, NoScore, Scorer, scorer_name


def metric_for(
    scoring: str | Scorer | None,
    problem: ScoredTargets,
    targets: Array,
    validation: Sequence[Array] = (),
) -> Metric:
    """The metric for the networks of a task.

    Parameters
    ----------
    scoring : str or callable, optional
        A name of `METRICS`, any other of `sklearn.metrics.get_scorer_names`, or a scorer
        ``scorer(estimator, X, y) -> float`` as scikit-learn's functions take it; by default accuracy,
        or R² for regression. The estimator has `predict`, and for classes `predict_proba` and
        `decision_function`, which return the predictions for the validation rows, whatever `X` is. Weights
        of rows are passed to scorers with a parameter ``sample_weight``; others ignore them.
    problem : ScoredTargets
        The task, and how networks encode its targets.
    targets : array
        The table's targets, in the form of ``Dataset.y``.
    validation : sequence of int arrays
        The rows of `targets` that candidates are judged by: one part, or one of each fold.

    Raises
    ------
    InputError
        If there is no such scorer, or it fails for the task or for these targets.

    Notes
    -----
    scikit-learn's functions are called on the predictions; where they would fail,

    - functions of probabilities with a parameter ``labels`` get the classes of the whole table;
    - areas under the ROC curve, and average precision by classes, are averaged over the classes that occur
      among the rows (the first also over labels);
    - a ``pos_label`` that is no class becomes the second class in sorted order;
    - predictions at or below the bound of logarithmic scores are clipped, see `nas.scorers.clipping`.
    """
    task = problem.task
    name = _name(scoring, task)
    if name in METRICS and isinstance(scoring, (str, type(None))):
        if (name == "r2") != (task == "regression"):
            raise InputError(f"scoring: expected a score for {task}, got {name!r}")
        return METRICS[name]
    scorer = _scorer(scoring)
    y, values = problem.as_networks(targets), targets.reshape(len(targets), -1)
    metric = _metric(scorer, name, problem, values)
    reason = try_out(metric, problem, y)
    if reason is not None:
        message = f"scoring: {name}: tried out on made-up predictions for {task}: {reason}"
        raise InputError(message + _way_out(scoring, problem, values, y))
    for rows in validation:
        _check_classes(metric, problem, y, rows)
    return metric if _takes_weights(metric, y) else _without_weights(metric)


def _name(scoring: Any, task: str) -> str:
    if scoring is None:
        return "r2" if task == "regression" else "accuracy"
    return scoring if isinstance(scoring, str) else scorer_name(scoring)


def _scorer(scoring: Any) -> Scorer:
    if callable(scoring):
        scorer: Scorer = scoring
        return scorer
    if not isinstance(scoring, str):
        raise InputError(f"scoring: expected a name or a function, got {scoring!r}")
    from sklearn.metrics import get_scorer, get_scorer_names

    if scoring not in get_scorer_names():
        raise InputError(
            f"scoring: expected {', '.join(METRICS)}, or a scorer's name in scikit-learn, got {scoring!r}"
        )
    named_scorer: Scorer = get_scorer(scoring)
    return named_scorer


def _metric(scorer: Scorer, name: str, problem: ScoredTargets, values: Array) -> Metric:
    """The metric of a scorer, completed and clipped if it is scikit-learn's, with a note of that."""
    scorer, note = prepared(scorer, problem)
    clip = clip_for(scorer, name, problem, values)
    if clip is not None:
        note = clip.note
    zero = problem.task == "regression" and bool((values == 0).any())
    return Metric(name, ScorerMetric(scorer, problem, clip, zero), f"scoring: {name}: {note}" if note else "")


def _without_weights(metric: Metric) -> Metric:
    function: Any = metric.function
    return replace(metric, function=replace(function, weighted=False))


def _takes_weights(metric: Metric, y: Array) -> bool:
    """Whether a scorer accepts weights, if it has a parameter for them."""
    function: Any = metric.function
    if not function.takes_weights:
        return True
    y = y[sample_rows(y)]
    predictions = next(generated_predictions(function.problem, y))
    weights = np.ones(len(y))
    return not isinstance(metric(predictions, y, weights), NoScore) or isinstance(
        metric(predictions, y), NoScore
    )


def _way_out(scoring: Any, problem: ScoredTargets, values: Array, y: Array) -> str:
    """The advice that ends a message: working scorers with names that begin with the given name."""
    if not isinstance(scoring, str):
        return ""
    from sklearn.metrics import get_scorer_names

    working_names = []
    for name in get_scorer_names():
        if name.startswith(f"{scoring}_"):
            metric = _metric(_scorer(name), name, problem, values)
            if try_out(metric, problem, y) is None:
                working_names.append(name)
    return f"; what works here is {', '.join(working_names)}" if working_names else ""


def _check_classes(metric: Metric, problem: ScoredTargets, y: Array, rows: Array) -> None:
    """Raise `InputError` if a class is missing among the validation rows, and the scorer needs it."""
    missing = _missing(problem, y[rows])
    if not missing:
        return
    reason = try_out(metric, problem, y[rows])
    if reason is not None:
        raise InputError(
            f"scoring: {metric.name}: expected rows of every class among the {len(rows)} that judge "
            f"candidates, got none of {', '.join(map(repr, missing))}: {reason}"
        )


def _missing(problem: ScoredTargets, y: Array) -> list[Any]:
    """Classes without a row; of several labels, the constant ones."""
    if problem.task == "classification":
        counts = np.bincount(problem.codes(y), minlength=len(problem.classes))
        return [label for label, n in zip(problem.classes, counts, strict=True) if n == 0]
    if problem.task == "multilabel":
        return [
            label for label, column in zip(problem.classes, y.T, strict=True) if column.min() == column.max()
        ]
    return []
