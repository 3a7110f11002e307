"""How good a winner's predictions are: pure functions of true values and predictions.

scikit-learn is imported by the functions that need it: a report without predictions does without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.runtime import Predictor
from nas.tracking.shown import as_text

_MOST_BINS, _LEAST_IN_BIN = 10, 20
"""Bins of a reliability curve, and the rows that each has to hold."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of the saved network for rows that it was not trained on.

    Attributes
    ----------
    part : str
        "test" or "held_out"; see `nas.run.kept`.
    n_rows : int
        Rows of that part; those that were kept may be fewer.
    truth : array of shape (rows,) or (rows, outputs)
        Codes of classes; 0 and 1 for labels; values in the units of the targets.
    values : float array of shape (rows, outputs)
        Probabilities of classes or labels, or values in the units of the targets.
    task : str
        A name in `nas.runtime.TASKS`.
    names : tuple of str
        Of the classes, the labels or the targets.
    """

    part: str
    n_rows: int
    truth: Array
    values: Floats
    task: str
    names: tuple[str, ...]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Predictor) -> Predictions | None:
        """The predictions that a run keeps; None where it keeps none of this network."""
        if not arrays or not len(arrays["truth"]):
            return None
        classes = network.target.classes if network.task == "classification" else network.target.names
        names = tuple(as_text(str(name)) for name in classes)
        values = arrays["predictions"]
        if values.ndim != 2 or values.shape[1] != len(names):
            return None
        n_rows = int(arrays["n_rows"])
        return cls(str(arrays["part"]), n_rows, arrays["truth"], values, network.task, names)

    @property
    def codes(self) -> Array:
        """The most probable class of each row."""
        codes: Array = self.values.argmax(axis=1)
        return codes

    @property
    def rows(self) -> str:
        """The rows in words, such as "360 held-out test rows"."""
        kind = "held-out test row" if self.part == "test" else "out-of-fold row"
        n, s = len(self.truth), "" if len(self.truth) == 1 else "s"
        return f"{n:,} {kind}{s}" + ("" if n == self.n_rows else f" (evenly taken from {self.n_rows:,})")


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class or label; NaN where it is undefined, as a precision without predictions is."""

    name: str
    n_rows: int
    precision: float
    recall: float
    f1: float
    auc: float


def class_scores(predictions: Predictions) -> list[ClassScore]:
    """The scores of each class or label against all others; a label is predicted from 0.5."""
    from sklearn.metrics import precision_recall_fscore_support

    scores = []
    for i, name in enumerate(predictions.names):
        true, predicted = one_against_rest(predictions, i)
        curve = roc(predictions.values[:, i], true)
        precision, recall, f1, _ = precision_recall_fscore_support(
            true, predicted, average="binary", zero_division=math.nan
        )
        auc = math.nan if curve is None else curve.auc
        scores.append(ClassScore(name, int(true.sum()), precision, recall, f1, auc))
    return scores


def one_against_rest(predictions: Predictions, i: int) -> tuple[Array, Array]:
    """Whether each row has a class or label, and whether that is predicted; bool, shape (rows,)."""
    if predictions.task == "multilabel":
        return predictions.truth[:, i] > 0, predictions.values[:, i] > 0.5
    return predictions.truth == i, predictions.codes == i


@dataclass(frozen=True, eq=False)
class Roc:
    """A receiver operating characteristic, from (0, 0) to (1, 1), and the area below it."""

    false_positives: Floats
    true_positives: Floats
    auc: float


def roc(scores: Floats, positive: Array) -> Roc | None:
    """The curve over all thresholds; None unless there are rows of both kinds."""
    from sklearn.metrics import auc, roc_curve

    if positive.all() or not positive.any():
        return None
    false, true, _ = roc_curve(positive, scores)
    return Roc(false, true, float(auc(false, true)))


@dataclass(frozen=True)
class Bin:
    """Rows of similar probability: its mean, the share that came true, its interval of 95 %, their number."""

    probability: float
    share: float
    low: float
    high: float
    n: int


def reliability(probabilities: Floats, came_true: Array) -> list[Bin]:
    """Bins of equally many rows, from the least probability; empty for fewer than 40 rows."""
    n_bins = min(_MOST_BINS, len(probabilities) // _LEAST_IN_BIN)
    if n_bins < 2:
        return []
    from scipy.stats import binomtest

    bins = []
    for rows in np.array_split(np.argsort(probabilities, kind="stable"), n_bins):
        n_true = int(came_true[rows].sum())
        interval = binomtest(n_true, len(rows)).proportion_ci(method="wilson")
        probability = float(probabilities[rows].mean())
        bins.append(Bin(probability, n_true / len(rows), interval.low, interval.high, len(rows)))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: the mean distance of shares from probabilities (Guo et al. 2017)."""
    return sum(b.n * abs(b.share - b.probability) for b in bins) / sum(b.n for b in bins)


def confidence(predictions: Predictions) -> tuple[Floats, Array, str]:
    """Probabilities, whether each came true, and what they are of, for a reliability curve."""
    if predictions.task == "multilabel":
        return predictions.values.ravel(), predictions.truth.ravel() > 0, "a label"
    if len(predictions.names) == 2:
        return predictions.values[:, 1], predictions.truth == 1, predictions.names[1]
    return predictions.values.max(axis=1), predictions.codes == predictions.truth, "the predicted class"


@dataclass(frozen=True)
class ValueScores:
    """Scores of a numeric target, errors in its unit; R² is NaN where all true values are the same."""

    name: str
    r2: float
    rmse: float
    mae: float
    median: float
    bias: float


def value_scores(predictions: Predictions) -> list[ValueScores]:
    """The scores of each numeric target; `bias` is the mean of prediction less true value."""
    from sklearn.metrics import (
        mean_absolute_error,
        median_absolute_error,
        r2_score,
        root_mean_squared_error,
    )

    scores = []
    for i, name in enumerate(predictions.names):
        true, own = predictions.truth[:, i], predictions.values[:, i]
        scores.append(
            ValueScores(
                name,
                r2=r2_score(true, own) if np.ptp(true) else math.nan,
                rmse=root_mean_squared_error(true, own),
                mae=mean_absolute_error(true, own),
                median=median_absolute_error(true, own),
                bias=float(np.mean(own - true)),
            )
        )
    return scores
