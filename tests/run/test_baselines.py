"""scikit-learn's models beside the winner: the same as fitted by hand, or a reason why not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from searches import search
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score
from threadpoolctl import threadpool_limits

import nas
from nas.run.baselines import KINDS, Baseline, BaselineProcess, fit_baseline
from nas.run.interruption import Interruption
from nas.run.preparation import Prepared, prepare


def fitted(prepared: Prepared, name: str, seconds: float = 1e9) -> Baseline | str:
    return fit_baseline(name, prepared.final, seed=0, seconds=seconds, interruption=Interruption())


def stairs(n: int = 600) -> pd.DataFrame:
    """A target that jumps with a number and depends on a category: easy for trees, hard for few epochs."""
    rng = np.random.default_rng(0)
    x, color = rng.uniform(0, 40, n), rng.choice(list("abcd"), n)
    y = (np.floor(x) * 7 % 5) * 10 + 100 * (color == "c")
    return pd.DataFrame({"x": x, "color": color, "noise": rng.normal(size=n), "y": y + rng.normal(size=n)})


def test_trees_on_numbers_are_scikit_learns_own() -> None:
    prepared = prepare(nas.load_dataset("wine"), 0)
    baseline = fitted(prepared, "trees")
    assert isinstance(baseline, Baseline)
    rest, test = prepared.search_rows, prepared.split.test
    X, y = prepared.dataset.table.to_numpy(float), prepared.dataset.y
    with threadpool_limits(1):
        own = HistGradientBoostingClassifier(random_state=0).fit(X[rest], y[rest])
    np.testing.assert_array_equal(baseline.codes(), own.predict(X[test]))
    np.testing.assert_allclose(baseline.probabilities(), own.predict_proba(X[test]))


def test_trees_read_categories_and_gaps_as_such() -> None:
    table = stairs()
    table.loc[::7, "x"] = np.nan
    prepared = prepare(nas.load_dataset(table, target="y"), 0)
    baseline = fitted(prepared, "trees")
    assert isinstance(baseline, Baseline)
    X = table[["x", "color", "noise"]].assign(color=table["color"].map(ord) - 97.0).to_numpy()
    y = table["y"].to_numpy()
    rest, test = prepared.search_rows, prepared.split.test
    with threadpool_limits(1):
        own = HistGradientBoostingRegressor(random_state=0, categorical_features=[1]).fit(X[rest], y[rest])
    np.testing.assert_allclose(baseline.codes()[:, 0], own.predict(X[test]), rtol=1e-6)
    assert r2_score(y[test], baseline.codes()[:, 0]) > 0.8
    assert baseline.X.shape[1] == 3


@pytest.mark.parametrize("name", KINDS)
def test_several_labels_and_targets_have_predictions_of_their_shape(name: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    two = table.assign(y=table["a"] * 3, z=table["b"] - 5)
    baseline = fitted(prepare(nas.load_dataset(two, target=["y", "z"]), 0), name)
    assert isinstance(baseline, Baseline)
    assert baseline.codes().shape == (24, 2)
    labels = (table.to_numpy() > 0).astype(int)
    test = prepare(nas.load_dataset((table.to_numpy(), labels)), 0).split.test
    labels[:, 2] = np.arange(len(labels)) != test[0]  # every training row has the label
    dataset = nas.load_dataset((table.to_numpy(), labels))
    assert dataset.task == "multilabel"
    baseline = fitted(prepare(dataset, 0), name)
    assert isinstance(baseline, Baseline)
    assert baseline.codes().shape == baseline.probabilities().shape == (24, 3)
    assert accuracy_score(dataset.y[test, 0], baseline.codes()[:, 0]) > 0.8


@pytest.mark.parametrize("name", KINDS)
def test_a_baseline_that_takes_too_long_is_left_out(name: str) -> None:
    reason = fitted(prepare(nas.load_dataset("diabetes"), 0), name, seconds=0)
    assert isinstance(reason, str)
    assert "left out, as it would take about" in reason


def test_an_interrupted_search_fits_no_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    interruption = Interruption()
    monkeypatch.setattr(interruption, "_requested", True)
    prepared = prepare(nas.load_dataset("iris"), 0)
    for name in KINDS:
        assert "interrupted" in str(
            fit_baseline(name, prepared.final, seed=0, seconds=9, interruption=interruption)
        )


@pytest.mark.slow
def test_a_search_says_plainly_that_trees_are_better(tmp_path: Path) -> None:
    result = search(stairs(), tmp_path, target="y", baseline=True, report=True)
    test = result.test
    assert test.trees is not None
    assert test.trees_difference == pytest.approx(test.score - test.trees)
    assert test.trees_are_better
    words = " ".join(result.summary().split())
    assert "On this table gradient boosting is better than the best network found." in words
    assert f"significantly worse (it has {test.trees:.4f})" in words
    record: dict[str, Any] = result.to_dict()
    assert record["trees_test_score"] == test.trees
    assert nas.load_network(result.run_dir).provenance["trees_test_score"] == test.trees
    assert "gradient boosting is better than the best" in (result.run_dir / "report.html").read_text()


def test_without_baselines_the_summary_has_none(tmp_path: Path) -> None:
    result = search("iris", tmp_path, baseline=False)
    assert result.test.trees is None
    assert not result.test.trees_are_better
    assert "vs " not in result.summary(verbose=True)


def test_a_killed_process_costs_the_baselines_alone() -> None:
    process = BaselineProcess(prepare(nas.load_dataset("digits"), 0).final, 0, 1e9)
    os.kill(process.pid, signal.SIGKILL)
    results = process.results(lambda: False, lambda: False)
    assert set(results) == set(KINDS)
    assert all(isinstance(reason, str) and "left out, because" in reason for reason in results.values())
