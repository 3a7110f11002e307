"""The panels on a winner's predictions for rows that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import nas.reporting.model_pictures as model_pictures
from nas.reporting.history import History
from nas.reporting.lines import counted, quantity
from nas.reporting.panel import Panel, Table
from nas.reporting.predictions import (
    ClassScore,
    Predictions,
    calibration_error,
    class_scores,
    confidence,
    one_against_rest,
    reliability,
    roc,
    value_scores,
)

_FEW_ROWS = 10
"""Rows of a class below which its scores are marked: one row more or less moves them by 0.1."""

_MOST_CLASSES, _MOST_CONFUSIONS, _MOST_TARGETS = 30, 5, 3
"""Classes of a table, most frequent confusions, and targets with pictures."""


def model_panels(history: History) -> list[Panel]:
    """Return the panels of the predictions that the run keeps; none where it keeps none."""
    predictions = history.predictions
    if predictions is None:
        return []
    if predictions.task == "regression":
        return _of_values(predictions)
    panels = [_confusion(predictions) if predictions.task == "classification" else _labels(predictions)]
    return [*panels, *_roc(predictions), *_reliability(predictions)]


def _source(predictions: Predictions) -> str:
    """The rows in words, and what predicted them."""
    if predictions.part == "test":
        return f"{predictions.rows}, which neither the search nor a training has used"
    return (
        f"{predictions.rows}, each predicted by a network that was not trained on it: there is no test part"
    )


def _confusion(predictions: Predictions) -> Panel:
    from sklearn.metrics import confusion_matrix

    names = predictions.names
    counts = confusion_matrix(predictions.truth, predictions.codes, labels=range(len(names)))
    n_right, n = int(np.trace(counts)), int(counts.sum())
    text = (
        f"On {_source(predictions)}: {n_right:,} of {n:,} are right ({n_right / n:.1%}). Each row of the "
        "matrix is a true class, each column a predicted one; colours are shares of the true class."
    )
    return Panel(
        "confusion",
        "Which classes are confused",
        text,
        [lambda axes: model_pictures.confusion(axes, counts, names)],
        height=min(5.2, 2.4 + 0.25 * len(names)),
        table=_score_table("class", class_scores(predictions)),
        notes=_confusions(counts, names),
    )


def _labels(predictions: Predictions) -> Panel:
    right = (predictions.values > 0.5) == (predictions.truth > 0)
    text = (
        f"On {_source(predictions)}: {right.all(axis=1).mean():.1%} of the rows have all labels right, and "
        f"{right.mean():.1%} of all labels are right."
    )
    return Panel(
        "labels", "Scores of each label", text, table=_score_table("label", class_scores(predictions))
    )


def _score_table(kind: str, scores: Sequence[ClassScore]) -> Table:
    shown = scores if len(scores) <= _MOST_CLASSES else sorted(scores, key=_by_f1)[:_MOST_CLASSES]
    head = (kind if shown is scores else f"{kind} (the {len(shown)} with the lowest F1)", "rows")
    rows = [
        (
            score.name,
            f"{score.n_rows:,}{' (few)' if score.n_rows < _FEW_ROWS else ''}",
            *(_number(value) for value in (score.precision, score.recall, score.f1, score.auc)),
        )
        for score in shown
    ]
    return Table((*head, "precision", "recall", "F1", "ROC AUC"), rows)


def _by_f1(score: ClassScore) -> float:
    return -1.0 if math.isnan(score.f1) else score.f1


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _confusions(counts: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The most frequent confusions of more than two classes."""
    if len(names) < 3:
        return ()
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    places = zip(*np.unravel_index(order, wrong.shape), strict=True)
    parts = [f"{names[i]} taken for {names[j]} ({wrong[i, j]:,})" for i, j in places if wrong[i, j]]
    return (f"Most frequent confusions: {', '.join(parts)}.",) if parts else ("No row is confused.",)


def _roc(predictions: Predictions) -> list[Panel]:
    """Return the panel of ROC curves; none where every class has all rows or none."""
    which = range(1, 2) if _is_binary(predictions) else range(len(predictions.names))
    curves = {
        predictions.names[i]: curve
        for i in which
        if (curve := roc(predictions.values[:, i], one_against_rest(predictions, i)[0])) is not None
    }
    if not curves:
        return []
    areas = [curve.auc for curve in curves.values()]
    text = f"On {predictions.rows}: how many rows of a class are found, by how many others are taken for it. "
    if len(areas) == 1:
        text += f"The area under the curve is {areas[0]:.3f}; by chance it is 0.5."
    else:
        kind = "label" if predictions.task == "multilabel" else "class against the rest"
        text += f"One curve for each {kind}; the mean area is {sum(areas) / len(areas):.3f}, by chance 0.5."
    return [
        Panel(
            "roc",
            "ROC curve" if len(areas) == 1 else "ROC curves",
            text,
            [lambda axes: model_pictures.roc_curves(axes, list(curves.values()), list(curves))],
            height=3.6,
        )
    ]


def _is_binary(predictions: Predictions) -> bool:
    return predictions.task == "classification" and len(predictions.names) == 2


def _reliability(predictions: Predictions) -> list[Panel]:
    """Return the panel of the reliability curve."""
    probabilities, came_true, what = confidence(predictions)
    bins = reliability(probabilities, came_true)
    title = "Can its probabilities be trusted?"
    if not bins:
        text = f"Not estimated: {predictions.rows}, and a reliability curve needs at least 40."
        return [Panel("reliability", title, text)]
    text = (
        f"On {predictions.rows}, in {counted(len(bins), 'bin')} of equally many: how often a prediction came "
        "true, by its probability. Above the dotted line it came true more often than the network said, "
        "below it less often. The mean distance (expected calibration error) is "
        f"{calibration_error(bins):.3f}."
    )
    return [
        Panel(
            "reliability",
            title,
            text,
            [lambda axes: model_pictures.reliability(axes, bins, what)],
            height=3.4,
        )
    ]


def _of_values(predictions: Predictions) -> list[Panel]:
    scores = value_scores(predictions)
    head = (
        "target",
        "R²",
        "RMSE",
        "mean absolute error",
        "median absolute error",
        "mean of predicted − true",
    )
    rows = [
        (
            score.name,
            "–" if math.isnan(score.r2) else f"{score.r2:.4f}",
            *map(quantity, (score.rmse, score.mae, score.median, score.bias)),
        )
        for score in scores
    ]
    shown = range(min(_MOST_TARGETS, len(scores)))
    more = (
        f" Pictures show the first {len(shown)} of {len(scores)} targets." if len(shown) < len(scores) else ""
    )
    truth, values, names = predictions.truth, predictions.values, predictions.names

    def each(draw: Callable[..., None]) -> list[Callable[[Any], None]]:
        return [partial(_drawn, draw, truth[:, i], values[:, i], names[i]) for i in shown]

    return [
        Panel(
            "predicted_actual",
            "Predicted and true values",
            f"On {_source(predictions)}. Errors are in the unit of the target.{more}",
            each(model_pictures.predicted_actual),
            height=3.4 * len(shown),
            table=Table(head, rows),
        ),
        Panel(
            "residuals",
            "Residuals",
            f"On {predictions.rows}: true value less prediction. Medians away from zero show where "
            "predictions are too high (below) or too low (above); a spread that grows shows where they are "
            "less certain.",
            each(model_pictures.residuals),
            height=2.8 * len(shown),
        ),
    ]


def _drawn(draw: Callable[..., None], truth: Any, values: Any, name: str, axes: Any) -> None:
    draw(axes, truth, values, name)
