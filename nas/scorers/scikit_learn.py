"""scikit-learn's scorers, completed by the classes of the whole table."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np

from nas.network.arrays import Array
from nas.scorers.targets import ScoredTargets, as_column
from nas.scoring import Scorer


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a function with their defaults; empty if Python cannot inspect it."""
    try:
        return {key: parameter.default for key, parameter in signature(function).parameters.items()}
    except (TypeError, ValueError):
        return {}


def prepared(scorer: Scorer, problem: ScoredTargets) -> tuple[Scorer, str]:
    """A scorer of `sklearn.metrics.make_scorer` with labels and positive class of the table, and a note."""
    function = getattr(scorer, "_score_func", None)
    if function is None or problem.task == "regression":
        return scorer, ""
    parameters, options, note = parameters_of(function), dict(scorer._kwargs), ""  # type: ignore[attr-defined]
    ordered = np.sort(problem.labels)
    if problem.task == "classification":
        # Scores of labels average over the labels that occur; probabilities have a column for each class.
        by_column = scorer._response_method != "predict"  # type: ignore[attr-defined]
        if "labels" in parameters and "labels" not in options and by_column:
            options["labels"] = ordered
        if len(ordered) == 2 and "pos_label" in parameters and "pos_label" not in options:
            default = parameters["pos_label"]
            if default not in ordered.tolist():
                options["pos_label"] = second = ordered.tolist()[1]
                # Without a default, the function treats both classes alike.
                note = (
                    "" if default is None else f"the positive class is {second!r}, the second in sorted order"
                )
    completed: Any = copy.copy(scorer)
    completed._kwargs = options
    if function.__name__ in _BY_CLASS and function.__module__.startswith("sklearn."):
        completed._score_func = _over_present(function, ordered)
    return completed, note


_BY_CLASS = ("roc_auc_score", "average_precision_score")
"""Functions that average a score of each class, or label, against the rest."""


def _over_present(function: Callable[..., float], labels: Array) -> Callable[..., float]:
    """A function in `_BY_CLASS`, averaged over the classes that occur where scikit-learn's is undefined.

    A class against the rest is a column of the indicator matrix. For pairs of classes ("ovo"), scikit-learn
    itself averages over the pairs that occur.
    """
    by_area = function.__name__ == "roc_auc_score"

    @wraps(function)
    def score(y_true: Array, y_score: Array, **options: Any) -> float:
        indicators = y_true if y_true.ndim == 2 else (y_true[:, np.newaxis] == labels).astype(int)
        present = indicators.max(axis=0) == 1
        if by_area:
            present &= indicators.min(axis=0) == 0
        several_classes = y_true.ndim == 1 and y_score.ndim == 2
        one_by_one = options.get("multi_class") == "ovo" and several_classes
        defined = y_true.ndim == 2 and not by_area
        if present.all() or not present.any() or y_score.ndim == 1 or one_by_one or defined:
            return function(y_true, y_score, **options)
        rest = {key: value for key, value in options.items() if key not in ("labels", "multi_class")}
        # A single column means two classes to scikit-learn.
        return function(*(as_column(part[:, present]) for part in (indicators, y_score)), **rest)

    return score
