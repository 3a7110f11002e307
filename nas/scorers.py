"""scikit-learn's scorers, and those of its kind, as metrics of networks.

A scorer wants an estimator and targets as the table has them. It is tried out before anything is trained, on
the table's own targets, so that one that cannot judge them is refused in a sentence.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from inspect import signature
from typing import Any

import numpy as np

from nas.errors import InputError
from nas.network.arrays import Array, Floats
from nas.scoring import METRICS, Metric, NoScore, Scorer, scorer_name

_MOST_ROWS = 1000
"""Rows that a scorer is tried out on."""

_MARGIN = 1e-3
"""Of the way from a score's bound to the smallest target: where predictions below the bound are counted."""


def metric_for(
    scoring: str | Scorer | None,
    task: str,
    *,
    classes: Sequence[Any] = (),
    mean: Sequence[float] = (),
    scale: Sequence[float] = (),
    names: Sequence[str] = (),
    targets: Array | None = None,
    validation: Array | None = None,
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
    names : sequence of str
        Of the targets, for messages.
    targets : array, optional
        The table's own, in the form of ``Dataset.y``; by default made-up ones.
    validation : int array, optional
        The rows of `targets` that candidates are judged by.

    Raises
    ------
    InputError
        If there is no such scorer, or it does not work for the task or for these targets.

    Notes
    -----
    scikit-learn's own functions give what they give on the same predictions; where they give nothing,

    - those that take ``labels`` beside probabilities get the classes of the whole table;
    - areas under the ROC curve, and average precision by classes, are averaged over the classes (the first
      also over labels) that occur among the rows;
    - a ``pos_label`` that is no class becomes the second class in sorted order;
    - predictions at or below the bound of logarithmic scores are clipped, see `_bounds`.
    """
    name = _name(scoring, task)
    if name in METRICS and isinstance(scoring, (str, type(None))):
        if (name == "r2") != (task == "regression"):
            raise InputError(f"scoring: expected a score for {task}, got {name!r}")
        return METRICS[name]
    scorer = _scorer(scoring)
    problem = _Problem(task, tuple(classes), np.array(mean, float), np.array(scale, float), tuple(names))
    y = problem.made_up() if targets is None else problem.as_networks(targets)
    values = problem.as_table(y) if targets is None else targets.reshape(len(targets), -1)
    metric = _metric(scorer, name, problem, values)
    reason = _try_out(metric, problem, y)
    if reason is not None:
        found = f"scoring: {name}: tried out on made-up predictions for {task}: {reason}"
        raise InputError(found + _way_out(scoring, problem, values, y))
    if validation is not None:
        _check_classes(metric, problem, y, validation)
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
    found: Scorer = get_scorer(scoring)
    return found


@dataclass(frozen=True, eq=False)
class _Problem:
    """What a scorer has to know of the targets of a table."""

    task: str
    classes: tuple[Any, ...]
    mean: Array
    scale: Array
    names: tuple[str, ...]

    @cached_property
    def labels(self) -> Array:
        """The classes as an array, of text where some are text and some are not."""
        return np.asarray(self.classes)

    def as_networks(self, targets: Array) -> Array:
        """The table's targets as the loss asks for them; see `nas.network.losses`."""
        if self.task == "regression":
            y: Array = (targets.reshape(len(targets), -1) - self.mean) / self.scale
            return y
        if self.task == "classification" and len(self.classes) == 2:
            return targets.astype(np.float32).reshape(-1, 1)
        return targets

    def made_up(self) -> Array:
        """Targets for a table that is not there."""
        n = 8 * max(2, len(self.classes))
        if self.task == "regression":
            y: Array = np.random.default_rng(0).normal(size=(n, len(self.mean)))
            return y
        if self.task == "multilabel":
            there: Array = np.add.outer(np.arange(n), np.arange(len(self.classes))) % 3 == 0
            return there.astype(np.float32)
        return self.as_networks(np.arange(n) % len(self.classes))

    def as_table(self, y: Array) -> Array:
        """Targets, or predictions of regression, as the table has them."""
        if self.task == "regression":
            values: Array = y * self.scale + self.mean
            return values
        if self.task == "multilabel":
            return (y > 0.5).astype(int)
        labels: Array = self.labels[self.codes(y)]
        return labels

    def codes(self, y: Array) -> Array:
        """The numbers of the classes."""
        codes: Array = (y[:, 0] if y.ndim == 2 else y).astype(int)
        return codes


def _metric(scorer: Scorer, name: str, problem: _Problem, values: Array) -> Metric:
    """The metric of a scorer, where it is scikit-learn's with what its function needs of the targets."""
    scorer, note = _prepared(scorer, problem)
    clip = _clip(scorer, name, problem, values)
    if clip is not None:
        note = clip.note
    zero = problem.task == "regression" and bool((values == 0).any())
    return Metric(name, _ByScorer(scorer, problem, clip, zero), f"scoring: {name}: {note}" if note else "")


@dataclass(frozen=True, eq=False)
class _ByScorer:
    """A metric that asks a scorer.

    `clip` is set where its score has bounds, `zero` where some target is 0, and `weighted` unless the
    scorer refuses weights.
    """

    scorer: Scorer
    problem: _Problem
    clip: _Clip | None = None
    zero: bool = False
    weighted: bool = True

    def __call__(self, predictions: Floats, y: Array, weights: Floats | None = None) -> float:
        estimator, truth = self._answers(predictions), self._truth(y)
        heavy = weights is not None and self.weighted and self.takes_weights
        weighted = {"sample_weight": weights} if heavy else {}
        with warnings.catch_warnings():
            # That no row was predicted to be of a class is said after every epoch.
            warnings.simplefilter("ignore")
            return self.scorer(estimator, np.empty((len(predictions), 0)), truth, **weighted)

    @cached_property
    def takes_weights(self) -> bool:
        """Whether the scorer knows what weights are; of scikit-learn's own, whether their function does."""
        return "sample_weight" in _parameters(getattr(self.scorer, "_score_func", self.scorer))

    def _truth(self, y: Array) -> Array:
        truth = self.problem.as_table(y)
        if self.problem.task != "regression":
            return truth
        if self.zero:
            # float32 has rounded them; a relative error is by the target.
            truth[np.abs(truth) <= 1e-6 * (np.abs(self.problem.mean) + self.problem.scale)] = 0
        return _column(truth if self.clip is None else np.maximum(truth, self.clip.smallest))

    def _answers(self, predictions: Floats) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

        problem = self.problem
        if problem.task == "regression":
            values = problem.as_table(predictions)
            values = _column(values if self.clip is None else np.maximum(values, self.clip.floor))

            class Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
                def predict(self, X: Any) -> Array:
                    return values

            return Regressor()
        # The mean of several networks may be above 1 by rounding.
        proba = np.clip(predictions.astype(float), 0, 1)
        if problem.task == "classification" and proba.shape[1] == 1:
            proba = np.hstack([1 - proba, proba])
        chosen = proba > 0.5 if problem.task == "multilabel" else problem.labels[proba.argmax(axis=1)]
        labels: Array = chosen.astype(int) if problem.task == "multilabel" else chosen
        classes = problem.labels
        if problem.task == "classification":
            # scikit-learn has columns in the order of sorted labels, whatever names them.
            order = np.argsort(classes)
            classes, proba = classes[order], proba[:, order]
        # Logits would rank as probabilities do.
        decisions = proba[:, 1] if problem.task == "classification" and proba.shape[1] == 2 else proba

        class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
            classes_ = classes

            def predict(self, X: Any) -> Array:
                return labels

            def predict_proba(self, X: Any) -> Any:
                return proba

            def decision_function(self, X: Any) -> Any:
                return decisions

            def __sklearn_is_fitted__(self) -> bool:
                return True

        return Classifier()


def _column(values: Array) -> Array:
    return values[:, 0] if values.shape[1] == 1 else values


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of a function's parameters, with their defaults."""
    try:
        return {key: one.default for key, one in signature(function).parameters.items()}
    except (TypeError, ValueError):
        return {}


def _prepared(scorer: Scorer, problem: _Problem) -> tuple[Scorer, str]:
    """A scorer of `sklearn.metrics.make_scorer` with what its function needs of the table, and a note."""
    function = getattr(scorer, "_score_func", None)
    if function is None or problem.task == "regression":
        return scorer, ""
    known, given, note = _parameters(function), dict(scorer._kwargs), ""  # type: ignore[attr-defined]
    ordered = np.sort(problem.labels)
    if problem.task == "classification":
        # Scores of labels alone average over those that occur; those of probabilities have a column for each.
        by_column = scorer._response_method != "predict"  # type: ignore[attr-defined]
        if "labels" in known and "labels" not in given and by_column:
            given["labels"] = ordered
        if len(ordered) == 2 and "pos_label" in known and "pos_label" not in given:
            default = known["pos_label"]
            if default not in ordered.tolist():
                given["pos_label"] = second = ordered.tolist()[1]
                # Without a default both classes count alike.
                note = (
                    "" if default is None else f"the positive class is {second!r}, the second in sorted order"
                )
    made: Any = copy.copy(scorer)
    made._kwargs = given
    if function.__name__ in _BY_CLASS and function.__module__.startswith("sklearn."):
        made._score_func = _over_present(function, ordered)
    return made, note


_BY_CLASS = ("roc_auc_score", "average_precision_score")
"""Functions that average what each class, or label, has against the rest."""


def _over_present(function: Callable[..., float], labels: Array) -> Callable[..., float]:
    """One of `_BY_CLASS` as the mean over what occurs, where scikit-learn's own is not defined.

    A class against the rest is a column of the indicator matrix. One class against one, scikit-learn itself
    takes the pairs that occur.
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
        # scikit-learn takes a single column for two classes.
        return function(*(_column(part[:, present]) for part in (indicators, y_score)), **rest)

    return score


@dataclass(frozen=True, eq=False)
class _Clip:
    """Within what a score is defined: predictions from `floor` on, targets from `smallest` on.

    Both are arrays of shape (targets,).
    """

    smallest: Floats
    floor: Floats

    @property
    def note(self) -> str:
        """What is said of it."""
        floor = ", ".join(f"{one:.3g}" for one in self.floor)
        return f"predictions below {floor} count as {floor}, as the score is not defined for lower ones"


def _bounds(scorer: Scorer) -> tuple[float, bool, float] | None:
    """The largest number that a score allows no target at or below, whether at it, and that of predictions.

    Logarithmic scores of scikit-learn have them; Tweedie deviances by their power, as its documentation
    says. None for all others.
    """
    function = getattr(scorer, "_score_func", None)
    if function is None or not getattr(function, "__module__", "").startswith("sklearn."):
        return None
    name, given = function.__name__, getattr(scorer, "_kwargs", {})
    if name in ("mean_squared_log_error", "root_mean_squared_log_error"):
        return -1.0, False, -1.0
    powers = {
        "mean_poisson_deviance": 1,
        "mean_gamma_deviance": 2,
        "mean_tweedie_deviance": given.get("power", 0),
        "d2_tweedie_score": given.get("power", 0),
    }
    power = powers.get(name, 0)
    if power == 0:
        return None
    return (-np.inf if power < 0 else 0.0), 1 <= power < 2, 0.0


def _clip(scorer: Scorer, name: str, problem: _Problem, values: Array) -> _Clip | None:
    """The bounds of a score for regression; raises `InputError` if some target lies outside."""
    bounds = _bounds(scorer) if problem.task == "regression" else None
    if bounds is None:
        return None
    bound, closed, below = bounds
    outside = values < bound if closed else values <= bound
    if outside.any():
        row, column = np.argwhere(outside)[0]
        target = repr(problem.names[column]) if problem.names else str(column + 1)
        least = "of at least" if closed else "above"
        raise InputError(
            f"scoring: {name}: expected targets {least} {bound:g}, got {values[row, column]:g} in row "
            f"{row + 1} of target {target}; neg_mean_squared_error takes any"
        )
    inside = np.where(values > below, values, np.inf).min(axis=0)
    inside = np.where(np.isfinite(inside), inside, below + problem.scale)
    return _Clip(values.min(axis=0), below + _MARGIN * (inside - below))


def _try_out(metric: Metric, problem: _Problem, y: Array) -> str | None:
    """Why a scorer can judge none of some made-up predictions for these targets; None if it can."""
    if problem.task == "regression" and _needs_classes(metric.function):
        return f"expected a score for regression, got {metric.name}, which compares classes"
    y = y[_some(y)]
    reasons = []
    for predictions in _made_up(problem, y):
        score = metric(predictions, y)
        if not isinstance(score, NoScore):
            return None
        reasons.append(" ".join(score.reason.split()))
    return reasons[0]


def _needs_classes(function: Any) -> bool:
    """Whether scikit-learn compares clusters by it: it would take any number for a cluster."""
    return "sklearn.metrics.cluster" in getattr(
        getattr(function.scorer, "_score_func", None), "__module__", ""
    )


def _some(y: Array) -> Array:
    """Rows, not too many, with every class, and the smallest and largest targets."""
    if len(y) <= _MOST_ROWS:
        return np.arange(len(y))
    even = np.linspace(0, len(y) - 1, _MOST_ROWS).astype(int)
    ends = np.unique(y, return_index=True)[1] if y.ndim == 1 else [*y.argmin(axis=0), *y.argmax(axis=0)]
    return np.union1d(even, ends)


def _made_up(problem: _Problem, y: Array) -> Iterator[Floats]:
    """Predictions within the range of the targets, better and worse, and the targets themselves."""
    rng = np.random.default_rng(0)
    truth = y.astype(float) if y.ndim == 2 else np.eye(len(problem.classes))[problem.codes(y)]
    noise = rng.permutation(truth)
    # Whole numbers would pass for classes, and no network predicts them.
    for good in (0.618, 0.0) if problem.task == "regression" else (0.618, 0.0, 1.0):
        # Shares that sum to 1 stay within the range, and are probabilities where the targets are.
        yield good * truth + (1 - good) * (0.7 * noise + 0.3 * truth.mean(axis=0))


def _without_weights(metric: Metric) -> Metric:
    function: Any = metric.function
    return replace(metric, function=replace(function, weighted=False))


def _takes_weights(metric: Metric, y: Array) -> bool:
    """Whether a scorer that has a parameter for weights judges rows that have some."""
    function: Any = metric.function
    if not function.takes_weights:
        return True
    y = y[_some(y)]
    predictions = next(_made_up(function.problem, y))
    weights = np.ones(len(y))
    return not isinstance(metric(predictions, y, weights), NoScore) or isinstance(
        metric(predictions, y), NoScore
    )


def _way_out(scoring: Any, problem: _Problem, values: Array, y: Array) -> str:
    """The scorers of nearly the same name that can judge these targets, for the end of a sentence."""
    if not isinstance(scoring, str):
        return ""
    from sklearn.metrics import get_scorer_names

    found = []
    for name in get_scorer_names():
        if name.startswith(f"{scoring}_"):
            metric = _metric(_scorer(name), name, problem, values)
            if _try_out(metric, problem, y) is None:
                found.append(name)
    return f"; what works here is {', '.join(found)}" if found else ""


def _check_classes(metric: Metric, problem: _Problem, y: Array, rows: Array) -> None:
    """Raise `InputError` if a class is missing among the rows that judge, and the scorer needs it."""
    missing = _missing(problem, y[rows])
    if not missing:
        return
    reason = _try_out(metric, problem, y[rows])
    if reason is not None:
        raise InputError(
            f"scoring: {metric.name}: expected rows of every class among the {len(rows)} that judge "
            f"candidates, got none of {', '.join(map(repr, missing))}: {reason}"
        )


def _missing(problem: _Problem, y: Array) -> list[Any]:
    """Classes without a row; of several labels those that no row has, or every row."""
    if problem.task == "classification":
        found = np.bincount(problem.codes(y), minlength=len(problem.classes))
        return [label for label, n in zip(problem.classes, found, strict=True) if n == 0]
    if problem.task == "multilabel":
        return [label for label, one in zip(problem.classes, y.T, strict=True) if one.min() == one.max()]
    return []
