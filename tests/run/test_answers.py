"""A search's predictions for held-out rows: temperature, intervals, sets, and which columns matter."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from blas import rows_are_alike
from searches import assert_same_search, resume, search
from sklearn.datasets import make_multilabel_classification

import nas
from nas.data import split
from nas.estimators import NASClassifier, NASRegressor
from nas.evaluation import evaluate
from nas.evaluation.out_of_fold import OutOfFold
from nas.run.out_of_fold import HeldOut, add_uncertainty, held_out
from nas.run.preparation import prepare
from nas.runtime import Uncertainty
from nas.tracking.archive import RunArchive
from nas.tracking.folder import RunFolder


def table(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """A target of one number, a category and noise; a further number has no part in it."""
    rng = np.random.default_rng(seed)
    x, color = rng.normal(size=n), rng.choice(list("ab"), n)
    y = 3 * x + 2 * (color == "a") + rng.normal(scale=0.5, size=n)
    return pd.DataFrame({"x": x, "color": color, "nothing": rng.normal(size=n), "y": y})


def found(data: Any, folder: Path, **options: Any) -> nas.SearchResult:
    return search(data, folder, **({"epochs": 30, "n_candidates": 8} | options))


@pytest.mark.slow
def test_a_search_holds_out_every_row_once_and_says_which_columns_matter(tmp_path: Path) -> None:
    data = table()
    result = found(data, tmp_path, target="y", report=True, folds=5)
    oof, columns = result.oof, result.columns
    assert isinstance(oof, OutOfFold)
    assert columns is not None
    expected = np.setdiff1d(np.arange(240), split(nas.load_dataset(data, target="y"), 0).test)
    np.testing.assert_array_equal(oof.rows, expected)
    assert oof.predictions.shape == (192, 1)
    assert np.unique(oof.fold).tolist() == [0, 1, 2, 3, 4]
    target = result.network.target
    values = oof.predictions[:, 0] * target.scale[0] + target.mean[0]
    assert np.corrcoef(values, data["y"].to_numpy()[oof.rows])[0, 1] > 0.9
    assert [effect.name for effect in columns.effects] == ["x", "color", "nothing"]
    assert columns.effects[0].low > 0.3
    assert columns.effects[2].importance < 0.05
    record = result.to_dict()["columns"]
    assert record["n_columns"] == 3
    assert [entry["column"] for entry in record["importance"]] == ["x", "color", "nothing"]
    assert RunArchive(RunFolder(result.run_dir)).result["columns"] == record
    assert "columns           of 3 these matter most: x, color" in result.summary(verbose=True)
    page = (result.run_dir / "report.html").read_text()
    assert "Which columns matter" in page
    assert "variances of the target" in page
    with (result.run_dir / "column_importance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["column"] for row in rows] == ["x", "color", "nothing"]
    assert float(rows[0]["low"]) == columns.effects[0].low
    assert result.run_dir / "column_importance.csv" in RunFolder(result.run_dir).artifacts()


def test_the_saved_network_has_intervals_that_hold_new_rows(tmp_path: Path) -> None:
    result = found(table(), tmp_path, target="y")
    network = nas.load_network(result.run_dir)
    assert network.uncertainty == result.network.uncertainty
    assert network.uncertainty.n_rows == 192
    new = table(4000, seed=1)
    for coverage in (0.5, 0.9):
        bounds = network.predict_interval(new, coverage)
        covered = (bounds[:, 0] <= new["y"]) & (new["y"] <= bounds[:, 1])
        assert covered.mean() == pytest.approx(coverage, abs=0.09)


@pytest.mark.slow
@pytest.mark.parametrize("refit", [True, False])
def test_a_calibrated_network_predicts_the_same_classes(tmp_path: Path, refit: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = np.where(rng.random(300) < 0.3, rng.integers(3, size=300), (X[:, 0] > 0) + (X[:, 1] > 0))
    result = found((X, y), tmp_path, epochs=60, refit=refit, n_candidates=4)
    network = result.network
    assert result.temperature == network.uncertainty.temperature
    assert result.to_dict()["temperature"] == result.temperature
    labels, chances = network.predict(X), network.predict_proba(X)
    if len(network.members) == 1:
        np.testing.assert_array_equal(np.array(network.target.classes)[chances.argmax(axis=1)], labels)
    network.uncertainty = Uncertainty()
    np.testing.assert_array_equal(network.predict(X), labels)


@pytest.mark.slow
def test_a_temperature_is_that_of_networks_that_were_trained_alike(tmp_path: Path) -> None:
    result = found("wine", tmp_path)
    prepared, oof = prepare(nas.load_dataset("wine"), 0), result.oof
    assert oof is not None
    doubtful = oof.predictions.astype(float) ** 0.2
    unsure = replace(oof, predictions=doubtful / doubtful.sum(axis=1, keepdims=True))
    alike = HeldOut([], [], [], {}, result.network.target, refit=True)
    add_uncertainty(result.network, alike, unsure, prepared)
    assert result.network.uncertainty.temperature < 0.5
    add_uncertainty(result.network, replace(alike, refit=False), unsure, prepared)
    assert result.network.uncertainty.temperature == 1
    (member,) = result.network.members
    ensemble = nas.Ensemble([member, member], [1, 1], result.network.provenance)
    add_uncertainty(ensemble, alike, unsure, prepared)
    assert ensemble.uncertainty.temperature == 1
    assert ensemble.uncertainty.n_rows == len(oof.rows)
    mean = replace(alike, further=[[object()]])  # type: ignore[list-item]  # a second network of the fold
    add_uncertainty(ensemble, mean, unsure, prepared)
    assert ensemble.uncertainty.temperature < 0.5


@pytest.mark.slow
def test_probabilities_of_the_test_score_are_those_of_the_saved_network(tmp_path: Path) -> None:
    result = found("wine", tmp_path, scoring="neg_log_loss", epochs=5, n_candidates=4)
    dataset = nas.load_dataset("wine")
    rows = split(dataset, 0).test
    chances = nas.load_network(result.run_dir).predict_proba(dataset.table.iloc[rows])
    expected = np.log(chances[np.arange(len(rows)), dataset.y[rows]].astype(float)).mean()
    assert result.test.score == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_mean_of_several_networks_is_held_out_by_means_of_as_many(tmp_path: Path) -> None:
    one = found("wine", tmp_path / "one", n_candidates=4)
    mean = found("wine", tmp_path / "mean", n_candidates=4, members=3)
    assert len(mean.network.members) == 3
    assert one.oof is not None
    assert mean.oof is not None
    y = nas.load_dataset("wine").y[mean.oof.rows]

    def log_loss(oof: OutOfFold) -> float:
        return float(-np.log(oof.predictions[np.arange(len(y)), y]).mean())

    assert log_loss(mean.oof) != log_loss(one.oof)
    np.testing.assert_allclose(mean.oof.predictions.sum(axis=1), 1, rtol=1e-5)
    # The first network of each fold is that of a single last training: to the last bit, if BLAS has that to
    # offer. A last bit may be enough for another best epoch.
    if rows_are_alike():
        assert mean.columns == one.columns


@pytest.mark.slow
def test_a_resumed_search_measures_the_same(tmp_path: Path) -> None:
    whole = found("iris", tmp_path, n_candidates=12)
    again = resume(whole.run_dir)
    assert_same_search(again, whole)
    assert again.network.uncertainty == whole.network.uncertainty
    assert again.columns == whole.columns


@pytest.mark.slow
def test_several_labels_and_several_targets_have_their_own_scores(tmp_path: Path) -> None:
    X, y = make_multilabel_classification(200, 5, n_classes=3, random_state=0)
    result = found((X, y), tmp_path, epochs=5)
    assert len(result.network.uncertainty.scores) == 3
    assert result.network.predict_set(X[:4]).shape == (4, 3, 2)
    assert result.columns is not None
    two = table().assign(z=lambda frame: 5 - frame["x"])
    result = found(two, tmp_path, target=["y", "z"], epochs=5, name="two")
    assert result.network.predict_interval(two, 0.8).shape == (240, 2, 2)
    assert result.oof is not None
    assert result.oof.predictions.shape == (192, 2)


@pytest.mark.slow
def test_a_single_split_holds_out_its_validation_rows(tmp_path: Path) -> None:
    data = table()
    result = found(data, tmp_path, target="y", folds=1)
    assert result.oof is not None
    dataset = nas.load_dataset(data, target="y")
    np.testing.assert_array_equal(result.oof.rows, split(dataset, 0).validation)
    assert result.network.uncertainty.n_rows == len(result.oof.rows)
    assert result.columns is not None
    assert result.columns.effects[0].name == "x"
    assert result.columns.effects[0].low > 0


@pytest.mark.slow
def test_categories_with_target_means_are_held_out_by_encodings_of_their_folds(tmp_path: Path) -> None:
    # 60 towns, with targets that are noise: means that had seen a row's own target would predict it.
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"town": rng.choice([f"t{i}" for i in range(60)], 300), "y": rng.normal(size=300)})
    result = found(data, tmp_path, target="y", epochs=20)
    assert result.oof is not None
    truth = (
        data["y"].to_numpy()[result.oof.rows] - result.network.target.mean[0]
    ) / result.network.target.scale[0]
    assert np.corrcoef(result.oof.predictions[:, 0], truth)[0, 1] < 0.2


@pytest.mark.slow
def test_without_importance_there_is_none(tmp_path: Path) -> None:
    result = found("iris", tmp_path, importance=False, report=True)
    assert result.columns is None
    assert "columns" not in result.to_dict()
    assert not (result.run_dir / "column_importance.csv").exists()
    assert "Which columns matter" not in (result.run_dir / "report.html").read_text()


@pytest.mark.slow
def test_a_wide_table_names_the_columns_that_were_shuffled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(100, 400)), columns=[f"c${i}$" for i in range(400)])
    data["y"] = data["c$7$"] * 3 + rng.normal(size=100)
    result = found(data, tmp_path, target="y", epochs=3, n_candidates=4, report=True)
    assert result.columns is not None
    assert len(result.columns.effects) == 100
    assert (
        "Of 400 columns the 100 with the largest weights were shuffled."
        in (result.run_dir / "report.html").read_text()
    )


@pytest.mark.slow
def test_few_epochs_of_searching_spare_the_last_trainings_of_large_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(nas.load_dataset("iris"), 0)
    result = found("iris", tmp_path, n_candidates=4)
    states = [result_state(prepared, result, fold) for fold in range(prepared.problem.n_folds)]

    def of(search_epochs: int, epochs: int | None = 8, n_states: int = 5) -> Any:
        return held_out(
            result.best,
            states[:n_states],
            prepared,
            epochs=epochs,
            n_members=3,
            search_epochs=search_epochs,
            should_stop=lambda: False,
        )

    def n_of(held: Any) -> int:
        return 1 + len(held.further[0])

    assert (of(1).refit, n_of(of(1))) == (True, 3)  # a small table: it takes no time
    monkeypatch.setattr("nas.run.out_of_fold._FREE_WORK", 0)
    assert not of(399).refit
    assert (of(400).refit, n_of(of(400))) == (True, 1)  # 8 epochs of 5 folds take as long as 100
    assert n_of(of(2000)) == 2
    assert n_of(of(4000)) == 3
    assert of(9, epochs=None, n_states=1) is None
    assert n_of(of(9, n_states=1)) == 1  # a winner of which the search has trained one fold


def result_state(prepared: Any, result: nas.SearchResult, fold: int) -> Any:
    """A state as the search keeps it, of a fold's network."""
    (evaluation,) = evaluate([replace(result.best, inherits=None, epochs_done=0)], prepared.problem) or []
    return evaluation.states[fold]


@pytest.mark.slow
def test_the_folds_are_trained_as_the_last_network_is(tmp_path: Path) -> None:
    # With as many epochs and the same schedule, their errors are those of the network that is saved.
    result = found(table(1000), tmp_path, target="y", epochs=40)
    assert result.network.provenance["refit"]
    assert result.oof is not None
    new = table(3000, seed=5)
    error = np.sqrt(np.square(result.network.predict(new) - new["y"]).mean())
    target = result.network.target
    truth = (table(1000)["y"].to_numpy()[result.oof.rows] - target.mean[0]) / target.scale[0]
    out_of_fold = np.sqrt(np.square(result.oof.predictions[:, 0] - truth).mean()) * target.scale[0]
    assert out_of_fold == pytest.approx(error, rel=0.1)


@pytest.mark.slow
def test_estimators_have_intervals_and_sets() -> None:
    data = table()
    regressor = NASRegressor("tiny", n_candidates=4, epochs=20, random_state=0)
    regressor.fit(data[["x", "color", "nothing"]], data["y"])
    bounds = regressor.predict_interval(data[["x", "color", "nothing"]])
    assert bounds.shape == (240, 2)
    predicted = regressor.predict(data[["x", "color", "nothing"]])
    assert ((bounds[:, 0] < predicted) & (predicted < bounds[:, 1])).all()
    with pytest.raises(ValueError, match="coverage: expected a number above 0 and below 1"):
        regressor.predict_interval(data[["x", "color", "nothing"]], coverage=90)
    labels = np.where(data["x"] > 0, "up", "down")
    classifier = NASClassifier("tiny", n_candidates=4, epochs=20, random_state=0)
    classifier.fit(data[["x", "nothing"]], labels)
    sets = classifier.predict_set(data[["x", "nothing"]], coverage=0.8)
    assert sets.shape == (240, 2)
    held = sets[np.arange(240), np.searchsorted(classifier.classes_, labels)]
    assert held.mean() > 0.6
