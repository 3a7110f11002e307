"""Scores: those of scikit-learn on the same predictions, and what becomes of scores that are none."""

from __future__ import annotations

import json
import math
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ray import cloudpickle
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.datasets import make_multilabel_classification

import nas
from nas.errors import InputError, RunError, SearchError
from nas.run.interruption import Interruption
from nas.run.preparation import prepare
from nas.run.test_scores import score_test_rows
from nas.scorers import metric_for as metric_of_targets
from nas.scorers.targets import ScoredTargets
from nas.scoring import METRICS, WORST_SCORE, Metric, NoScore

RNG = np.random.default_rng(5)
N = 90


def metric_for(
    scoring: Any,
    task: str,
    *,
    classes: Any = (),
    mean: Any = (),
    scale: Any = (),
    names: Any = (),
    targets: Any = None,
    validation: Any = (),
) -> Metric:
    """The metric of a task, by default for generated targets with all classes."""
    problem = ScoredTargets(task, tuple(classes), np.array(mean, float), np.array(scale, float), tuple(names))
    if targets is None:
        n = 8 * max(2, len(classes))
        targets = {
            "regression": np.random.default_rng(0).normal(size=(n, len(mean))) * problem.scale + problem.mean,
            "multilabel": (np.add.outer(np.arange(n), np.arange(len(classes))) % 3 == 0).astype(np.float32),
            "classification": np.arange(n) % max(1, len(classes)),
        }[task]
    return metric_of_targets(scoring, problem, targets, validation)


def binary() -> tuple[Any, ...]:
    """Predictions, the network's targets, the metric's options, scikit-learn's truth and labels."""
    classes, codes = ("no", "yes"), RNG.integers(0, 2, N)
    p = np.clip(0.5 * codes + RNG.uniform(0, 0.5, N), 0.01, 0.99).astype(np.float32)[:, np.newaxis]
    return p, codes.astype(np.float32)[:, np.newaxis], {"task": "classification", "classes": classes}


def multiclass() -> tuple[Any, ...]:
    codes = RNG.integers(0, 3, N)
    p = RNG.dirichlet(np.ones(3), N).astype(np.float32)
    return p, codes, {"task": "classification", "classes": ("b", "a", "c")}


def multilabel() -> tuple[Any, ...]:
    y = RNG.integers(0, 2, (N, 3)).astype(np.float32)
    p = np.clip(0.4 * y + RNG.uniform(0, 0.6, y.shape), 0.01, 0.99).astype(np.float32)
    return p, y, {"task": "multilabel", "classes": ("x", "y", "z")}


def one_value() -> tuple[Any, ...]:
    y = RNG.normal(size=(N, 1)).astype(np.float32)
    p = (y + RNG.normal(scale=0.3, size=y.shape)).astype(np.float32)
    return p, y, {"task": "regression", "mean": (100.0,), "scale": (7.0,)}


def two_values() -> tuple[Any, ...]:
    y = RNG.normal(size=(N, 2)).astype(np.float32)
    p = (y + RNG.normal(scale=0.3, size=y.shape)).astype(np.float32)
    return p, y, {"task": "regression", "mean": (100.0, -3.0), "scale": (7.0, 0.1)}


def expected(name: str, p: Any, y: Any, options: dict[str, Any]) -> float:
    """scikit-learn's own score function of that name, on values as a person has them."""
    if options["task"] == "regression":
        mean, scale = np.array(options["mean"]), np.array(options["scale"])
        truth, values = y * scale + mean, p * scale + mean
        functions = {
            "neg_mean_squared_error": lambda: -metrics.mean_squared_error(truth, values),
            "neg_mean_absolute_error": lambda: -metrics.mean_absolute_error(truth, values),
            "explained_variance": lambda: metrics.explained_variance_score(truth, values),
            "r2": lambda: metrics.r2_score(truth, values),
        }
        return float(functions[name]())
    if options["task"] == "multilabel":
        truth, labels, chances = y.astype(int), (p > 0.5).astype(int), p
    else:
        classes = np.array(options["classes"])
        chances = np.hstack([1 - p, p]) if p.shape[1] == 1 else p
        truth = classes[(y[:, 0] if y.ndim == 2 else y).astype(int)]
        labels = classes[chances.argmax(axis=1)]
    if p.shape[1] == 1:
        chances = p[:, 0]
    p = p.astype(float)
    losses = np.hstack([1 - p, p]) if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)
    order = options["classes"]
    functions = {
        "accuracy": lambda: metrics.accuracy_score(truth, labels),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(truth, labels),
        "f1_macro": lambda: metrics.f1_score(truth, labels, average="macro"),
        "roc_auc": lambda: metrics.roc_auc_score(truth, chances),
        "roc_auc_ovr": lambda: metrics.roc_auc_score(truth, by_label(losses, order), multi_class="ovr"),
        "neg_log_loss": lambda: -metrics.log_loss(truth, by_label(losses, order)),
        "average_precision": lambda: metrics.average_precision_score(truth, chances),
    }
    return float(functions[name]())


def by_label(chances: Any, classes: tuple[str, ...]) -> Any:
    """Columns as scikit-learn takes them: by sorted labels."""
    return chances[:, np.argsort(classes)].astype(float)


CASES = [
    (binary, ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "neg_log_loss")),
    (multiclass, ("accuracy", "balanced_accuracy", "f1_macro")),
    (multilabel, ("accuracy", "f1_macro", "roc_auc", "average_precision")),
    (one_value, ("r2", "neg_mean_squared_error", "neg_mean_absolute_error", "explained_variance")),
    (two_values, ("r2", "neg_mean_squared_error", "neg_mean_absolute_error")),
]


@pytest.mark.parametrize(("case", "name"), [(case, name) for case, names in CASES for name in names])
def test_a_score_is_scikit_learns_on_the_same_predictions(case: Any, name: str) -> None:
    p, y, options = case()
    score = metric_for(name, **options)(p, y)
    assert not isinstance(score, NoScore)
    assert score == pytest.approx(expected(name, p, y, options), rel=1e-5)  # of float32


@pytest.mark.parametrize("name", ["neg_log_loss", "roc_auc_ovr"])
def test_chances_of_several_classes_are_in_the_order_of_their_labels(name: str) -> None:
    # A table's classes are sorted: those of a network are in scikit-learn's order.
    p, y, options = multiclass()
    options = options | {"classes": ("a", "b", "c")}
    assert metric_for(name, **options)(p, y) == pytest.approx(expected(name, p, y, options), rel=1e-5)


@pytest.mark.parametrize("labels", [(3, 7), (False, True), (-1.0, 1.0)])
def test_labels_may_be_anything(labels: tuple[Any, ...]) -> None:
    p, y, _ = binary()
    for name in ("balanced_accuracy", "roc_auc", "neg_log_loss"):
        metric = metric_for(name, "classification", classes=labels)
        plain = metric_for(name, "classification", classes=("no", "yes"))
        assert metric(p, y) == plain(p, y)


def test_our_own_and_scikit_learns_accuracy_are_one() -> None:
    for case in (binary, multiclass, multilabel):
        *_, options = case()
        assert metric_for(None, **options) is METRICS["accuracy"] is metric_for("accuracy", **options)
    assert metric_for(None, "regression", mean=(0,), scale=(1,)) is METRICS["r2"]


def test_r2_of_a_constant_target_is_0_and_the_worst_is_bounded() -> None:
    y = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    assert METRICS["r2"](y, y) == 0.5
    with np.errstate(over="ignore"):
        assert METRICS["r2"](np.full_like(y, 1e30), y) == WORST_SCORE


# Weights


@pytest.mark.parametrize("case", [binary, multiclass, multilabel, one_value, two_values])
def test_whole_weights_in_a_score_are_copies_of_rows(case: Any) -> None:
    p, y, options = case()
    counts = np.arange(len(y)) % 3
    p = np.where((counts == 2)[:, np.newaxis], p[::-1], p)  # wrong where it counts
    copies = np.repeat(p, counts, axis=0), np.repeat(y, counts, axis=0)
    names = ["r2", "neg_mean_absolute_error"] if options["task"] == "regression" else ["accuracy", "f1_macro"]
    judges = [metric_for(name, **options) for name in names]
    weighted = [metric(p, y, counts.astype(float)) for metric in judges]
    # Sums of other lengths, in float32.
    assert weighted == pytest.approx([metric(*copies) for metric in judges], rel=1e-5)
    assert weighted != pytest.approx([metric(p, y) for metric in judges], rel=1e-5)


@pytest.mark.parametrize("scoring", ["neg_max_error", lambda estimator, X, y: float(np.mean(y))])
def test_a_scorer_without_weights_scores_all_rows_alike(scoring: Any) -> None:
    p, y, options = one_value()
    metric = metric_for(scoring, **options)
    assert metric(p, y, np.linspace(0, 1, len(y))) == metric(p, y)


def test_a_function_that_takes_weights_gets_them() -> None:
    def weight(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        return 0.0 if sample_weight is None else float(sample_weight.sum())

    p, y, options = binary()
    metric = metric_for(weight, **options)
    assert (metric(p, y), metric(p, y, np.full(len(y), 0.5))) == (0, len(y) / 2)


# Functions


def share_of_yes(estimator: Any, X: Any, y: Any) -> float:
    return float(np.mean(estimator.predict(X) == "yes"))


def test_a_function_is_asked_as_scikit_learns_scorers_are() -> None:
    p, y, options = binary()
    metric = metric_for(share_of_yes, **options)
    assert metric.name == "share_of_yes"
    assert metric(p, y) == pytest.approx(float(np.mean(p > 0.5)))

    heard: list[tuple[Any, ...]] = []

    def curious(estimator: Any, X: Any, truth: Any) -> float:
        heard.append((list(estimator.classes_), estimator.predict_proba(X), estimator.predict(X), truth))
        return 0.5

    assert metric_for(curious, **options)(p, y) == 0.5
    classes, chances, labels, truth = heard[-1]
    assert classes == ["no", "yes"]
    np.testing.assert_array_equal(chances, np.hstack([1 - p.astype(float), p]))
    np.testing.assert_array_equal(labels, np.where(p[:, 0] > 0.5, "yes", "no"))
    np.testing.assert_array_equal(truth, np.where(y[:, 0] > 0.5, "yes", "no"))
    made = metrics.make_scorer(metrics.fbeta_score, beta=2, pos_label="yes")
    score = metric_for(made, **options)(p, y)
    assert score == pytest.approx(metrics.fbeta_score(truth, labels, beta=2, pos_label="yes"))


def test_regression_is_judged_in_the_targets_units() -> None:
    def largest_error(estimator: Any, X: Any, y: Any) -> float:
        return -float(np.abs(estimator.predict(X) - y).max())

    p, y, options = one_value()
    score = metric_for(largest_error, **options)(p, y)
    assert score == pytest.approx(-7 * float(np.abs(p - y).max()), rel=1e-5)


def test_a_score_that_is_none_says_why() -> None:
    def raises(*_: object) -> float:
        raise KeyError("gone")

    score = Metric("mine", raises)(np.zeros((2, 1)), np.zeros((2, 1)))
    assert isinstance(score, NoScore)
    assert math.isnan(score)
    assert score.reason == "expected a number, got KeyError: 'gone'"
    assert pickle.loads(pickle.dumps(score)).reason == score.reason
    score = Metric("mine", lambda *_: "much")(np.zeros((2, 1)), np.zeros((2, 1)))  # type: ignore[arg-type]
    assert isinstance(score, NoScore)
    assert "expected a number, got TypeError" in score.reason
    with pytest.raises(MemoryError):
        Metric("mine", lambda *_: np.empty(10**15).sum())(np.zeros((2, 1)), np.zeros((2, 1)))


def test_a_metric_goes_to_workers_as_it_is() -> None:
    p, y, options = binary()
    for scoring in ("roc_auc", share_of_yes, "accuracy"):
        metric = metric_for(scoring, **options)
        assert cloudpickle.loads(cloudpickle.dumps(metric))(p, y) == metric(p, y)  # type: ignore[no-untyped-call]


def test_scikit_learns_warnings_are_not_passed_on() -> None:
    # In the first epochs of many networks no row is predicted to be of some class.
    y = np.array([[0.0], [1.0], [1.0]], np.float32)
    metric = metric_for("precision_macro", "classification", classes=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric(np.zeros((3, 1), np.float32), y) == pytest.approx(1 / 6)


# What is refused


@pytest.mark.parametrize(
    ("scoring", "task", "complaint"),
    [
        (
            "nonsense",
            "classification",
            "scoring: expected accuracy, r2, or a scorer's name in scikit-learn, got",
        ),
        (5, "classification", "scoring: expected a name or a function, got 5"),
        ("r2", "classification", "scoring: expected a score for classification, got 'r2'"),
        ("accuracy", "regression", "scoring: expected a score for regression, got 'accuracy'"),
        ("roc_auc", "regression", "scoring: roc_auc: tried out on made-up predictions for regression: "),
        ("f1", "classification", "scoring: f1: tried out on made-up predictions for classification: "),
        ("roc_auc", "classification", "scoring: roc_auc: tried out"),
        ("neg_mean_squared_error", "classification", "scoring: neg_mean_squared_error: tried out"),
        ("balanced_accuracy", "multilabel", "scoring: balanced_accuracy: tried out"),
        (
            "neg_max_error",
            "values",
            "scoring: neg_max_error: tried out on made-up predictions for regression",
        ),
    ],
)
def test_what_does_not_score_the_task_is_refused_before_anything_is_trained(
    scoring: Any, task: str, complaint: str
) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "classification": {"classes": ("a", "b", "c")},
        "multilabel": {"classes": ("a", "b", "c")},
        "regression": {"mean": (0.0,), "scale": (1.0,)},
        "values": {"mean": (0.0, 0.0), "scale": (1.0, 1.0)},
    }
    options = kinds[task]
    with pytest.raises(InputError, match=re.escape(complaint)) as error:
        metric_for(scoring, "regression" if task == "values" else task, **options)
    assert "\n" not in str(error.value)


# Every scorer that scikit-learn has a name for


def table_of(kind: str) -> tuple[dict[str, Any], Any, Any, Any]:
    """The metric's options with a table's targets, and targets and predictions of its validation rows."""
    rng = np.random.default_rng(7)
    if kind in ("positive", "negative", "several", "counts"):
        a = rng.normal(size=(N, 2 if kind == "several" else 1))
        targets = a if kind == "negative" else np.exp(1 + a / 2)
        targets = np.round(targets) - 1 if kind == "counts" else targets
        assert kind != "counts" or targets.min() == 0
        mean, scale = targets.mean(axis=0), targets.std(axis=0)
        options = {
            "task": "regression",
            "mean": mean,
            "scale": scale,
            "names": ("price",),
            "targets": targets,
        }
        y = ((targets - mean) / scale).astype(np.float32)[:60]
        # Some are far below the smallest target.
        return options, y, (y + rng.normal(scale=0.8, size=y.shape)).astype(np.float32), np.arange(60)
    if kind == "multilabel":
        targets = rng.integers(0, 2, (N, 3)).astype(float)
        targets[:60, 2] = 0  # none of them validates
        noise = np.clip(0.4 * targets + rng.uniform(0, 0.6, targets.shape), 0.01, 0.99).astype(np.float32)
        options = {"task": kind, "classes": ("x", "y", "z"), "targets": targets}
        return options, targets[:60].astype(np.float32), noise[:60], np.arange(60)
    classes: tuple[Any, ...] = {"text": ("no", "yes"), "numbers": (1, 2), "rare": ("a", "b", "rare")}[kind]
    codes = rng.integers(0, 2, N)
    if kind == "rare":
        codes[-2:] = 2  # its two rows do not validate
        p = (0.6 * np.eye(3)[codes] + 0.4 * rng.dirichlet(np.ones(3), N)).astype(np.float32)
        return (
            {"task": "classification", "classes": classes, "targets": codes},
            codes[:60],
            p[:60],
            np.arange(60),
        )
    p = np.clip(0.5 * codes + rng.uniform(0, 0.6, N), 0.01, 0.99).astype(np.float32)[:, np.newaxis]
    y = codes.astype(np.float32)[:, np.newaxis]
    return {"task": "classification", "classes": classes, "targets": codes}, y[:60], p[:60], np.arange(60)


def plain(name: str, options: dict[str, Any], y: Any, p: Any) -> float | None:
    """What scikit-learn's scorer of that name gives for the same predictions; None where it gives nothing."""
    regression = options["task"] == "regression"
    kind: Any = RegressorMixin if regression else ClassifierMixin
    if regression:
        truth, values = (part * options["scale"] + options["mean"] for part in (y, p))
        answers: dict[str, Any] = {
            "predict": lambda self, X: values[:, 0] if values.shape[1] == 1 else values
        }
        truth = options["targets"][: len(y)]
        truth = truth[:, 0] if truth.shape[1] == 1 else truth
    else:
        classes = np.array(options["classes"])
        chances = p.astype(float)
        chances = np.hstack([1 - chances, chances]) if chances.shape[1] == 1 else chances
        several = options["task"] == "multilabel"
        labels = (p > 0.5).astype(int) if several else classes[chances.argmax(axis=1)]
        truth = y.astype(int) if several else classes[(y[:, 0] if y.ndim == 2 else y).astype(int)]
        answers = {
            "predict": lambda self, X: labels,
            "predict_proba": lambda self, X: chances,
            "decision_function": lambda self, X: chances[:, 1] if p.shape[1] == 1 else chances,
            "__sklearn_is_fitted__": lambda self: True,
        }
    for word, function in answers.items():
        function.__name__ = word  # scikit-learn asks for it
    estimator = type("Answers", (kind, BaseEstimator), answers)()
    if not regression:
        estimator.classes_ = classes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = float(metrics.get_scorer(name)(estimator, np.empty((len(y), 0)), truth))
    except Exception:  # noqa: BLE001  # it may raise anything
        return None
    return score if math.isfinite(score) else None


KINDS = ("text", "numbers", "rare", "multilabel", "positive", "negative", "several", "counts")
NUMBERS = {
    *("r2", "explained_variance", "d2_absolute_error_score", "neg_max_error", "neg_mean_squared_error"),
    *("neg_mean_absolute_error", "neg_median_absolute_error", "neg_root_mean_squared_error"),
    *("neg_mean_absolute_percentage_error", "neg_mean_squared_log_error", "neg_mean_gamma_deviance"),
    *("neg_root_mean_squared_log_error", "neg_mean_poisson_deviance"),
}
LOGARITHMIC = {name for name in NUMBERS if "log" in name or "deviance" in name}
SAMPLES = {name for name in metrics.get_scorer_names() if name.endswith("_samples")}
TWO = {
    *("f1", "precision", "recall", "jaccard", "roc_auc"),
    *("positive_likelihood_ratio", "neg_negative_likelihood_ratio"),
}
ONE_COLUMN = {
    *("balanced_accuracy", "matthews_corrcoef", "top_k_accuracy", "neg_max_error"),
    *("positive_likelihood_ratio", "neg_negative_likelihood_ratio"),
    *("neg_mean_poisson_deviance", "neg_mean_gamma_deviance"),
}
CLUSTERS = {
    name
    for name in metrics.get_scorer_names()
    if "sklearn.metrics.cluster" in metrics.get_scorer(name)._score_func.__module__
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_scorer_of_scikit_learn_scores_or_is_refused_in_a_sentence(kind: str) -> None:
    options, y, p, rows = table_of(kind)
    scored = set()
    for name in metrics.get_scorer_names():
        judged = plain(name, options, y, p)
        try:
            metric = metric_for(name, **options, validation=[rows])
        except InputError as found:
            error = str(found)
        else:
            error = ""
        if error:
            assert re.fullmatch(rf"scoring: [^\n]*{name}[^\n]+", error), name
            # scikit-learn takes any number for a cluster, and sees two classes where the table has three.
            strict = "compares classes" in error or name == "r2" or (kind == "rare" and name in TWO)
            assert judged is None or strict, f"{name}: {error}"
            continue
        score = metric(p, y)
        assert not isinstance(score, NoScore), f"{name}: {score.reason}"
        scored.add(name)
        if judged is not None:
            assert score == pytest.approx(judged, rel=1e-4, abs=1e-5), name  # of float32
    everything = set(metrics.get_scorer_names()) - {"r2"}
    assert (
        scored
        == {
            "text": everything - SAMPLES - NUMBERS,
            "numbers": everything - SAMPLES,
            "rare": everything - SAMPLES - NUMBERS - TWO,
            "multilabel": everything - ONE_COLUMN - CLUSTERS - {"f1", "precision", "recall", "jaccard"},
            "positive": NUMBERS,
            "negative": NUMBERS - LOGARITHMIC,
            "several": NUMBERS - ONE_COLUMN,
            "counts": NUMBERS - {"neg_mean_gamma_deviance"},
        }[kind]
    )


def test_a_target_that_a_score_is_not_defined_for_is_named_with_its_row() -> None:
    options = table_of("positive")[0] | {"names": ("price",)}
    options["targets"] = options["targets"].copy()
    options["targets"][7] = -2
    for kind, least in (("gamma", "above 0"), ("poisson", "of at least 0")):
        with pytest.raises(InputError, match=f"expected targets {least}, got -2 in row 8 of target 'price'"):
            metric_for(f"neg_mean_{kind}_deviance", **options)
    with pytest.raises(InputError, match="expected targets above -1, got -2 in row 8"):
        metric_for("neg_mean_squared_log_error", **options)
    tweedie = metrics.make_scorer(metrics.mean_tweedie_deviance, power=-1, greater_is_better=False)
    assert "predictions below" in metric_for(tweedie, **options).note  # any target, predictions above 0


def test_logarithmic_scores_count_predictions_that_they_do_not_allow_as_the_least_and_say_so() -> None:
    options, y, p, _ = table_of("positive")
    metric = metric_for("neg_mean_gamma_deviance", **options)
    smallest = options["targets"].min() / 1000
    assert metric.note == (
        f"scoring: neg_mean_gamma_deviance: predictions below {smallest:.3g} count as {smallest:.3g}, as the "
        "score is not defined for lower ones"
    )
    values = (p * options["scale"] + options["mean"])[:, 0]
    assert values.min() < 0
    truth = options["targets"][:60, 0]
    expected = -metrics.mean_gamma_deviance(truth, np.maximum(values, smallest))
    assert metric(p, y) == pytest.approx(expected, rel=1e-4)
    assert metric_for("neg_mean_squared_error", **options).note == ""


def test_zeros_among_targets_stay_zeros_though_float32_rounds_them() -> None:
    targets = np.array([0.0, 3.0, 1.0, 0.0, 7.0, 2.0, 5.0, 0.0, 1.0, 4.0])[:, np.newaxis]
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    y = ((targets - mean) / scale).astype(np.float32)
    options = {"mean": mean, "scale": scale, "targets": targets}
    for name in ("neg_mean_absolute_percentage_error", "neg_mean_poisson_deviance"):
        score = metric_for(name, "regression", **options)(y + np.float32(0.5), y)
        function: Any = getattr(metrics, name.removeprefix("neg_"))
        expected = -function(targets, (y + np.float32(0.5)) * scale + mean)
        assert score == pytest.approx(expected, rel=1e-4)


def test_the_second_class_is_positive_where_scikit_learn_has_none_and_that_is_said() -> None:
    for name in ("f1", "precision", "recall", "jaccard", "average_precision"):
        options, y, p, _ = table_of("text")
        metric = metric_for(name, **options)
        assert metric.note == f"scoring: {name}: the positive class is 'yes', the second in sorted order"
        assert metric(p, y) == metric_for(name, "classification", classes=(0, 1))(p, y)
        # 1 is one of its classes, which scikit-learn takes.
        assert metric_for(name, "classification", classes=(1, 2)).note == ""
    chosen = metrics.make_scorer(metrics.f1_score, pos_label="no")
    assert metric_for(chosen, **options)(p, y) == pytest.approx(
        metric_for("f1", "classification", classes=("yes", "no"))(p, y)
    )


def test_a_score_that_needs_every_class_names_the_one_that_does_not_validate() -> None:
    codes = np.array([0] * 30 + [1])
    options: dict[str, Any] = {"classes": ("no", "yes"), "targets": codes, "validation": [np.arange(10)]}
    message = r"scoring: roc_auc: expected rows of every class among the 10 that judge .* none of 'yes': "
    with pytest.raises(InputError, match=message):
        metric_for("roc_auc", "classification", **options)
    assert metric_for("f1", "classification", **options)(np.zeros((10, 1)), np.zeros((10, 1))) == 0


def test_classes_that_are_missing_do_not_count_in_areas_by_class() -> None:
    options, y, p, rows = table_of("rare")
    metric = metric_for("roc_auc_ovr", **options, validation=[rows])
    areas = [metrics.roc_auc_score(y == code, p[:, code]) for code in (0, 1)]
    assert metric(p, y) == pytest.approx(np.mean(areas))


def test_a_refused_name_names_those_of_its_kind_that_work() -> None:
    for name, others in (
        ("f1", "f1_macro, f1_micro, f1_weighted"),
        ("roc_auc", "roc_auc_ovo, roc_auc_ovo_w"),
    ):
        with pytest.raises(InputError, match=f"; what works here is {others}"):
            metric_for(name, "classification", classes=("a", "b", "c"))


def test_a_score_that_refuses_weights_judges_all_rows_alike() -> None:
    p, y, options = multiclass()
    metric = metric_for("roc_auc_ovo", **options)
    assert metric(p, y, np.linspace(0.1, 1, len(y))) == metric(p, y)


# In a search


@pytest.mark.slow
def test_a_search_for_prices_by_a_logarithmic_score_says_once_what_it_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a = np.random.default_rng(3).normal(size=120)
    frame = pd.DataFrame({"a": a, "price": np.exp(7 + a)})
    result = search(frame, tmp_path, target="price", scoring="neg_mean_gamma_deviance", n_candidates=3)
    assert result.n_failures == 0
    assert math.isfinite(result.test.score)
    assert caplog.text.count("count as") == 1


def search(data: Any, tmp_path: Path, **options: Any) -> nas.SearchResult:
    settings: dict[str, Any] = {
        "space": "small",
        "n_candidates": 12,
        "epochs": 12,
        "folds": 2,
        "members": 1,
        "n_workers": 0,
        "n_finalists": 2,
        "baseline": False,
        "progress": False,
        "report": False,
        "tracking": False,
        "name": "one",
        "runs_dir": tmp_path,
    }
    return nas.search(data, **(settings | options))


def judged_by_hand(result: nas.SearchResult, data: Any, name: str) -> float:
    """scikit-learn's scorer of the saved network, on the test rows."""
    prepared = prepare(nas.load_dataset(data), 0)
    rows = prepared.split.test
    network, table = nas.load_network(result.run_dir), prepared.dataset.table.iloc[rows]
    y = prepared.dataset.y[rows]

    kind: Any = RegressorMixin if result.task == "regression" else ClassifierMixin

    class Answers(kind, BaseEstimator):  # type: ignore[misc]
        classes_ = np.array(prepared.dataset.classes)

        def predict(self, X: Any) -> Any:
            return network.predict(X)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    if result.task != "regression":

        def predict_proba(self: Any, X: Any) -> Any:
            return network.predict_proba(X)

        Answers.predict_proba = predict_proba
    truth = y[:, 0] if result.task == "regression" else (y if y.ndim == 2 else Answers.classes_[y])
    return float(metrics.get_scorer(name)(Answers(), table, truth))


@pytest.mark.exhaustive_except("wine-f1_macro")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("breast_cancer", "roc_auc"),
        ("breast_cancer", "neg_log_loss"),
        ("wine", "f1_macro"),
        ("wine", "balanced_accuracy"),
        ("wine", "neg_log_loss"),
        ("diabetes", "neg_mean_squared_error"),
        ("diabetes", "neg_median_absolute_error"),
    ],
)
def test_a_search_by_any_score_tells_scikit_learns_numbers(tmp_path: Path, data: str, name: str) -> None:
    result = search(data, tmp_path, scoring=name, baseline=True, n_candidates=6)
    assert result.metric == name
    assert result.test.score == pytest.approx(judged_by_hand(result, data, name), rel=1e-4)  # float32
    assert result.test.baseline is not None
    assert result.test.difference == pytest.approx(result.test.score - result.test.baseline)
    for error in (result.test.error, result.test.difference_error):
        assert error is not None
        # Where all is right, it is so in every draw.
        assert 0 <= error < max(1, abs(result.test.score))
        assert (error > 0) == (result.test.score not in (1.0, result.test.baseline))
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record["metric"] == name
    assert record["test_score_error"] == result.test.error
    if data == "diabetes":
        # In squares of the target's unit, and its unit: the mean alone is about 5,900 and 65 off.
        assert -20_000 < result.test.score < (-1000 if "squared" in name else -20)


@pytest.mark.slow
def test_test_scores_are_the_same_for_the_same_seed() -> None:
    prepared = prepare(nas.load_dataset("wine"), 0, {"epochs": 2}, "neg_log_loss")

    class Even:
        def predict_proba(self, table: Any) -> Any:
            return np.random.default_rng(0).dirichlet(np.ones(3), len(table))

    one, again, other = (
        score_test_rows(
            prepared,
            Even(),  # type: ignore[arg-type]
            baseline=False,
            seed=seed,
            interruption=Interruption(),
        )
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one.score == other.score
    assert one.error != other.error
    # Of a mean over rows, drawing rows tells about the standard error that the rows' spread does.
    y, p = prepared.dataset.y[prepared.split.test], Even().predict_proba(prepared.split.test)
    losses = -np.log(p[np.arange(len(y)), y])
    assert one.error == pytest.approx(losses.std(ddof=1) / math.sqrt(len(y)), rel=0.2)


@pytest.mark.exhaustive
def test_baselines_are_judged_as_networks_are(tmp_path: Path) -> None:
    result = search("wine", tmp_path, scoring="neg_log_loss", baseline=True, n_candidates=3)
    assert result.test.baseline is not None
    assert math.log(1 / 3) < result.test.baseline < 0


@pytest.mark.slow
def test_several_labels_are_scored(tmp_path: Path) -> None:
    X, y = make_multilabel_classification(200, 6, n_classes=3, random_state=0)
    result = search((X, y), tmp_path, scoring="f1_macro", n_candidates=4)
    assert 0 < result.test.score <= 1


@pytest.mark.slow
def test_some_candidates_without_a_score_are_failures_and_the_search_goes_on(tmp_path: Path) -> None:
    def picky(estimator: Any, X: Any, y: Any) -> float:
        accuracy = metrics.accuracy_score(y, estimator.predict(X))
        # Tried out on made-up predictions there are all rows.
        if len(y) != 178 and accuracy < 0.8:
            return float("nan") if accuracy < 0.5 else 1 / 0
        return float(accuracy)

    space = nas.SearchSpace(depth=(1, 1), widths=(4, 8, 16, 32), learning_rate=(1e-6, 0.03))
    result = search("wine", tmp_path, scoring=picky, space=space, n_candidates=8)
    reasons = {one.error for _, one in result.history if one.failed}
    assert 0 < result.n_failures < 8
    assert reasons <= {
        "picky: expected a finite number, got nan",
        "picky: expected a number, got ZeroDivisionError: division by zero",
    }
    assert result.evaluation.fitness >= 0.8


def test_no_candidate_with_a_score_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    def never(estimator: Any, X: Any, y: Any) -> float:
        if len(y) != 178:  # those that it is tried out on
            raise RuntimeError("never satisfied")
        return 0.0

    with pytest.raises(SearchError, match=r"got none; the first failure: never: .* RuntimeError: never sat"):
        search("wine", tmp_path, scoring=never)


@pytest.mark.exhaustive
def test_a_function_has_to_come_again_for_a_resumed_search(tmp_path: Path) -> None:
    result = search("wine", tmp_path, scoring=(score := metrics.make_scorer(metrics.cohen_kappa_score)))
    with pytest.raises(InputError, match=r"scoring: expected the function .* that the search had, got none"):
        nas.resume(result.run_dir, progress=False)
    resumed = nas.resume(result.run_dir, scoring=score, n_candidates=14, n_workers=0, progress=False)
    assert resumed.n_candidates == 14
    with pytest.raises(RunError, match='got another: metric was "_Scorer", now "share_of_yes"'):
        nas.resume(result.run_dir, scoring=share_of_yes, n_workers=0, progress=False)
