"""What a report says of a winner's predictions, against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    mean_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from nas.reporting.history import History
from nas.reporting.model_panels import model_panels
from nas.reporting.predictions import (
    Predictions,
    calibration_error,
    class_scores,
    reliability,
    roc,
    value_scores,
)
from nas.space import SearchSpace


def of_classes(n: int = 300, part: str = "test", n_classes: int = 3) -> Predictions:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes)).round(1) + 1.5 * np.eye(n_classes)[truth]  # rounded: with ties
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(part, n, truth, values, "classification", tuple("abcdefgh"[:n_classes]))


def of_values(n: int = 200) -> Predictions:
    rng = np.random.default_rng(1)
    truth = rng.normal(100, 20, (n, 2))
    return Predictions("test", n, truth, truth + rng.normal(3, 5, (n, 2)), "regression", ("x", "y"))


def history_of(predictions: Predictions | None) -> History:
    return History(
        folder=Path("runs/one"),
        name="one",
        identity={"metric": "accuracy"},
        config={},
        result={},
        space=SearchSpace(depth=(1, 2), widths=(8, 16)),
        candidates={},
        networks=[],
        failures=[],
        generations=[],
        n_evaluations=0,
        curves={},
        predictions=predictions,
    )


def test_scores_of_classes_are_those_of_scikit_learn() -> None:
    predictions = of_classes()
    precision, recall, f1, rows = precision_recall_fscore_support(predictions.truth, predictions.codes)
    scores = class_scores(predictions)
    assert [score.n_rows for score in scores] == rows.tolist()
    np.testing.assert_allclose([score.precision for score in scores], precision)
    np.testing.assert_allclose([score.recall for score in scores], recall)
    np.testing.assert_allclose([score.f1 for score in scores], f1)
    areas = [roc_auc_score(predictions.truth == i, predictions.values[:, i]) for i in range(3)]
    np.testing.assert_allclose([score.auc for score in scores], areas)


def test_a_class_without_rows_has_no_scores_and_no_curve() -> None:
    predictions = Predictions(
        "test", 2, np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]), "classification", ("a", "b")
    )
    absent = class_scores(predictions)[1]
    assert absent.n_rows == 0
    assert np.isnan([absent.precision, absent.recall, absent.f1, absent.auc]).all()
    assert roc(predictions.values[:, 1], predictions.truth == 1) is None


def test_errors_of_values_are_those_of_scikit_learn() -> None:
    predictions = of_values()
    for i, score in enumerate(value_scores(predictions)):
        truth, values = predictions.truth[:, i], predictions.values[:, i]
        expected = [
            r2_score(truth, values),
            root_mean_squared_error(truth, values),
            mean_absolute_error(truth, values),
        ]
        np.testing.assert_allclose([score.r2, score.rmse, score.mae], expected)
        np.testing.assert_allclose(score.bias, (values - truth).mean())


def test_calibrated_probabilities_lie_on_the_line_and_their_intervals_cover_it() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.uniform(size=20_000)
    bins = reliability(probabilities, rng.uniform(size=20_000) < probabilities)
    assert len(bins) == 10
    assert sum(b.low <= b.probability <= b.high for b in bins) >= 8
    assert calibration_error(bins) < 0.02
    # Too sure: what is said to be certain comes true as often as not.
    assert calibration_error(reliability(np.ones(100), np.arange(100) % 2 == 0)) == pytest.approx(0.5)
    assert reliability(probabilities[:30], probabilities[:30] > 0.5) == []


def test_panels_show_the_counts_and_mark_classes_of_few_rows() -> None:
    predictions = of_classes()
    matrix, curves, trust = model_panels(history_of(predictions))
    right = int((predictions.codes == predictions.truth).sum())
    assert f"{right} of 300 are right" in matrix.text
    assert "300 held-out test rows" in matrix.text
    assert matrix.table is not None
    assert [row[1] for row in matrix.table.rows] == [
        str(int((predictions.truth == i).sum())) for i in range(3)
    ]
    assert curves.title == "ROC curves"
    assert trust.plots
    rare = Predictions(
        "held_out", 50, np.array([1] + [0] * 49), np.tile([0.9, 0.1], (50, 1)), "classification", ("a", "b")
    )
    matrix, curves, _ = model_panels(history_of(rare))
    assert matrix.table is not None
    assert matrix.table.rows[1][1] == "1 (few)"
    assert "out-of-fold rows" in matrix.text
    assert curves.title == "ROC curve"


def test_each_task_has_the_panels_that_suit_it() -> None:
    assert [panel.name for panel in model_panels(history_of(of_values()))] == [
        "predicted_actual",
        "residuals",
    ]
    assert len(model_panels(history_of(of_values()))[0].plots) == 2  # of two targets
    rng = np.random.default_rng(0)
    labels = Predictions(
        "test", 60, rng.integers(0, 2, (60, 2)), rng.uniform(size=(60, 2)), "multilabel", ("a", "b")
    )
    assert [panel.name for panel in model_panels(history_of(labels))] == ["labels", "roc", "reliability"]
    assert model_panels(history_of(None)) == []
