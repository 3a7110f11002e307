"""Intervals and sets hold the truth as often as they say, whatever the model."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.evaluation.out_of_fold import OutOfFold
from nas.runtime import Uncertainty
from nas.uncertainty import measure
from nas.uncertainty.conformal import (
    MOST_SCORES,
    fit_scales,
    helpful_scales,
    kept_scores,
    quantile,
)


def test_a_quantile_by_hand() -> None:
    # Nine scores: a tenth is as likely at each of ten ranks, so the ninth is exceeded once in ten times.
    scores = np.arange(1.0, 10)
    assert quantile(scores, 0.9) == 9
    assert quantile(scores, 0.5) == 5
    assert quantile(scores, 0.91) == np.inf


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_a_saved_network_has_the_same_quantiles(scores: list[float], coverage: float) -> None:
    kept = Uncertainty(n_rows=len(scores), scores=(kept_scores(np.array(scores)),))
    assert kept.bounds(coverage)[0] == quantile(np.array(scores), coverage)


@pytest.mark.parametrize("n", [1001, 1500, 99_999])
def test_of_many_scores_the_next_larger_stands_for_those_left_out(n: int) -> None:
    scores = np.random.default_rng(0).exponential(size=n)
    kept = kept_scores(scores)
    assert len(kept) == MOST_SCORES
    assert kept[-1] == scores.max()
    uncertainty = Uncertainty(n_rows=n, scores=(kept,))
    for coverage in (0.01, 0.5, 0.9, 0.95, 0.999):
        bound = uncertainty.bounds(coverage)[0]
        assert quantile(scores, coverage) <= bound <= quantile(scores, min(coverage + 0.0012, 1 - 1e-9))


@pytest.mark.parametrize("n", [40, 3000])
def test_rows_with_more_weight_count_more_in_quantiles(n: int) -> None:
    rng = np.random.default_rng(n)
    scores, weights = rng.exponential(size=n), rng.choice([1.0, 4.0], n)
    equal = kept_scores(scores, np.full(n, 0.3))
    assert equal == kept_scores(scores)
    worth = int(weights.sum() ** 2 / (weights**2).sum())
    kept = Uncertainty(n_rows=worth, scores=(kept_scores(scores, weights),))
    assert len(kept.scores[0]) == min(worth, MOST_SCORES)
    for coverage in (0.3, 0.5, 0.9):
        below = weights[scores <= kept.bounds(coverage)[0]].sum() / weights.sum()
        assert coverage <= below <= coverage + 4.0 / weights.sum() + 2 / min(worth, MOST_SCORES)


def test_intervals_of_a_weighted_group_are_as_wide_as_its_errors() -> None:
    # A fifth of the rows has ten times the errors, and nearly all of the weight.
    rng = np.random.default_rng(0)
    wide = np.arange(2000) % 5 == 0
    errors = rng.normal(scale=np.where(wide, 1.0, 0.1))
    oof = OutOfFold(np.arange(2000), np.zeros((2000, 1)), np.arange(2000) % 5)
    weighted = measure(oof, errors, "regression", weights=np.where(wide, 100.0, 1.0)).bounds(0.9)[0]
    assert weighted == pytest.approx(np.quantile(np.abs(errors[wide]), 0.9), rel=0.1)
    assert measure(oof, errors, "regression").bounds(0.9)[0] < 0.6 * weighted


@pytest.mark.parametrize("n", [19, 50, 400])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_exchangeable_rows_are_covered_as_often_as_asked(n: int, coverage: float) -> None:
    rng = np.random.default_rng(n)
    tries = 4000
    scores = rng.standard_cauchy((tries, n + 1)) ** 2
    bounds = np.array([quantile(row[:-1], coverage) for row in scores])
    covered = (scores[:, -1] <= bounds).mean()
    expected = np.ceil((n + 1) * coverage) / (n + 1)
    assert covered == pytest.approx(expected, abs=4 * np.sqrt(coverage * (1 - coverage) / tries))


def values(n: int, seed: int, grows: float) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, and targets with errors that grow with the prediction."""
    rng = np.random.default_rng(seed)
    predictions = rng.uniform(-1, 2, n)
    return predictions, predictions + rng.normal(size=n) * np.exp(grows * predictions)


def test_scales_narrow_intervals_whose_errors_grow() -> None:
    predictions, y = values(600, 0, grows=1.0)
    fold = np.arange(600) % 5
    scales = helpful_scales(predictions, np.abs(y - predictions), fold)
    assert scales is not None
    assert scales.scales[-1] > 4 * scales.scales[0]
    new, truth = values(20_000, 1, grows=1.0)
    oof = OutOfFold(np.arange(600), predictions[:, np.newaxis], fold)
    measured = measure(oof, y, "regression")
    plain = Uncertainty(n_rows=600, scores=(kept_scores(np.abs(y - predictions)),))
    widths = {}
    for name, uncertainty in (("scaled", measured), ("plain", plain)):
        reach = uncertainty.reach(new[:, np.newaxis], 0.9)[:, 0]
        assert (np.abs(truth - new) <= reach).mean() == pytest.approx(0.9, abs=0.03)
        widths[name] = reach.mean()
    assert widths["scaled"] < 0.9 * widths["plain"]
    # Both halves of the predictions are covered alike, unlike with a single width.
    reach = measured.reach(new[:, np.newaxis], 0.9)[:, 0]
    covered = np.abs(truth - new) <= reach
    assert covered[new < 0].mean() == pytest.approx(covered[new > 1].mean(), abs=0.05)


def test_scales_that_do_not_help_are_left_out() -> None:
    predictions, y = values(300, 0, grows=0.0)
    errors = np.abs(y - predictions)
    assert helpful_scales(predictions, errors, np.zeros(300, int)) is None
    assert fit_scales(predictions[:50], errors[:50]) is None  # too few rows
    assert fit_scales(np.ones(300), errors) is None  # one prediction
    assert fit_scales(predictions, np.zeros(300)) is None  # all exact


def chances(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three classes that are wrong, and the classes."""
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=2, size=(n, 3))
    y = (z + rng.gumbel(scale=1.5, size=z.shape)).argmax(axis=1)
    p = np.exp(2 * z)
    return p / p.sum(axis=1, keepdims=True), y


def test_sets_of_classes_hold_the_class_and_grow_with_the_coverage() -> None:
    p, y = chances(500, 0)
    measured = measure(OutOfFold(np.arange(500), p, np.arange(500) % 5), y, "classification")
    assert measured.temperature > 1.2  # the probabilities are too sure
    new, truth = chances(20_000, 1)
    scaled = new ** (1 / measured.temperature)
    scaled /= scaled.sum(axis=1, keepdims=True)
    sizes = []
    for coverage in (0.5, 0.8, 0.9, 0.99):
        sets = 1 - scaled <= measured.bounds(coverage)
        assert sets[np.arange(20_000), truth].mean() == pytest.approx(coverage, abs=0.04)
        sizes.append(sets.sum(axis=1).mean())
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_larger_coverages_have_larger_bounds(task: str) -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, (90, 2))
    y = {
        "classification": rng.integers(2, size=90),
        "multilabel": rng.integers(2, size=(90, 2)),
        "regression": rng.normal(size=(90, 2)),
    }[task]
    oof = OutOfFold(np.arange(90), p[:, :1] if task == "classification" else p, np.arange(90) % 3)
    bounds = [measure(oof, y, task).bounds(coverage) for coverage in np.linspace(0.01, 0.999, 50)]
    assert all((low <= high).all() for low, high in itertools.pairwise(bounds))
    assert np.isinf(bounds[-1]).all()
    assert bounds[0].shape == ((1,) if task == "classification" else (2,))


def test_rows_of_several_folds_count_once() -> None:
    oof = OutOfFold.joined(
        [np.array([4, 1]), np.array([2, 4])], [np.array([[0.4], [0.1]]), np.array([[0.2], [9.0]])]
    )
    assert oof.rows.tolist() == [1, 2, 4]
    assert oof.predictions[:, 0].tolist() == [0.1, 0.2, 0.4]
    assert oof.fold.tolist() == [0, 1, 0]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_rows_measure_something(n: int) -> None:
    oof = OutOfFold(np.arange(n), np.full((n, 2), 0.5), np.zeros(n, int))
    measured = measure(oof, np.zeros(n, int), "classification")
    assert measured.n_rows == n
    assert np.isinf(measured.bounds(0.9)).all()


def test_rows_of_a_single_network_have_a_temperature_and_scales_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.uncertainty.measurement._MOST_ROWS", 700)
    p, y = chances(2100, 0)
    oof = OutOfFold(np.arange(len(y)), p, np.zeros(len(y), int))
    assert measure(oof, y, "classification").temperature == pytest.approx(
        measure(replace(oof, fold=np.arange(len(y)) % 7), y, "classification").temperature
    )
    assert measure(oof, y, "classification").temperature > 1.2
    assert measure(oof, y, "classification", calibrate=False).temperature == 1
    predictions, truth = values(600, 0, grows=1.0)
    single = OutOfFold(np.arange(600), predictions[:, np.newaxis], np.zeros(600, int))
    assert measure(single, truth, "regression").scales
