"""The result as an object, and searches whose table says which rows judge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from searches import resume, search
from sklearn.metrics import (
    explained_variance_score,
    mean_absolute_error,
    median_absolute_error,
    r2_score,
    root_mean_squared_error,
)

import nas
from nas.errors import InputError
from nas.reporting.result_text import summary
from nas.tracking.archive import RunArchive


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    """A regression by rows in order of time, with weights."""
    folder = tmp_path_factory.mktemp("result")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})
    frame["y"], frame["w"] = 50 * frame["a"] + rng.normal(size=120), rng.uniform(0.5, 2, 120)
    frame.to_csv(folder / "mine.csv", index=False)
    options = {"target": "y", "time_order": True, "weights": "w", "n_candidates": 6, "folds": None}
    return search(folder / "mine.csv", folder, **options)


def test_a_result_is_shown_in_one_line_in_a_few_and_as_a_page(result: nas.SearchResult) -> None:
    assert repr(result).startswith("<SearchResult ")
    assert f"test r2={result.test.score:.4f}, 6 candidates" in repr(result)
    assert "\n" not in repr(result)
    # The folder has all that the summary needs.
    assert result.summary() == summary(RunArchive(result.run_dir).result, result.run_dir)
    assert result.summary(verbose=True).startswith(result.summary())
    assert "<table" in result._repr_html_()
    json.dumps(result.to_dict(), allow_nan=False)


def test_pictures_of_the_report_are_figures(result: nas.SearchResult) -> None:
    picture = result.plot("history")
    assert picture._repr_svg_().lstrip().startswith("<?xml")
    assert len(picture.axes) == 1
    with pytest.raises(InputError, match=r"plot: expected one of .*history.*, got 'magic'"):
        result.plot("magic")


def test_the_leaderboard_has_each_network_once_best_first(result: nas.SearchResult) -> None:
    board = result.leaderboard()
    assert len(board) == board["network"].nunique() == len({one.genome for one, _ in result.history})
    assert board["r2"].is_monotonic_decreasing
    assert list(board["rank"]) == list(range(1, len(board) + 1))
    assert board.loc[board["is_winner"], "network"].tolist() == [str(result.best.genome)]
    assert result.leaderboard(2).equals(board[:2])


def test_the_error_of_a_regression_is_in_the_unit_of_its_target(result: nas.SearchResult) -> None:
    test = pd.read_csv(result.run_dir.parent / "mine.csv")[-24:]  # the latest fifth
    predicted = result.network.predict(test)
    assert result.test.n_rows == 24
    assert result.test.rmse == pytest.approx(float(np.sqrt(np.mean((predicted - test["y"]) ** 2))), rel=1e-4)


def test_a_search_by_the_order_of_time_goes_on_after_a_stop(result: nas.SearchResult, tmp_path: Path) -> None:
    folder = shutil.copytree(result.run_dir, tmp_path / "one")
    journal = (folder / "journal.jsonl").read_bytes()
    more = resume(folder, n_candidates=20)
    assert more.n_candidates == 20
    assert (folder / "journal.jsonl").read_bytes().startswith(journal)
    assert more.best.genome != result.best.genome
    assert more.earlier is not None
    assert more.earlier.score == pytest.approx(result.test.score)
    difference = more.test.score - result.test.score
    assert more.earlier.difference == pytest.approx(difference, abs=1e-5)
    assert nas.load_network(folder / "best-6").provenance["test_score"] == result.test.score
    assert "The test rows are looked at a second time" in " ".join(more.summary().split())


def test_the_rows_of_a_file_judge(tmp_path: Path) -> None:
    table = nas.load_dataset("iris").table.assign(kind=nas.load_dataset("iris").y)
    table.to_csv(tmp_path / "mine.csv", index=False)
    table[::3].to_csv(tmp_path / "judges.csv", index=False)
    result = search(
        tmp_path / "mine.csv",
        tmp_path,
        target="kind",
        validation=tmp_path / "judges.csv",
        folds=None,
        n_candidates=2,
        ignore="",
    )
    assert result.evaluation.fold_scores == ()
    assert result.oof is not None
    assert result.oof.rows.tolist() == list(range(150, 200))
    assert resume(result.run_dir, n_candidates=3).n_candidates == 3


def test_a_network_is_scored_on_further_rows_as_scikit_learn_scores_it(result: nas.SearchResult) -> None:
    frame = pd.read_csv(result.run_dir.parent / "mine.csv")[:50]
    scores = nas.evaluate(result.run_dir, frame, scoring="explained_variance")
    by_name = {score.name: score for score in scores.scores}
    predicted, y = result.network.predict(frame), frame["y"]
    expected = {
        "r2": r2_score(y, predicted),
        "explained_variance": explained_variance_score(y, predicted),
        "neg_root_mean_squared_error": root_mean_squared_error(y, predicted),
        "neg_mean_absolute_error": mean_absolute_error(y, predicted),
        "neg_median_absolute_error": median_absolute_error(y, predicted),
    }
    assert list(by_name) == list(expected)
    for name, value in expected.items():
        assert by_name[name].value == pytest.approx(value, rel=1e-4), name
        assert by_name[name].low <= by_name[name].value <= by_name[name].high
    assert (scores.metric, scores.test_score, scores.n_rows) == ("r2", result.test.score, 50)
    assert not scores.is_own_table
    with pytest.raises(InputError, match="scoring: expected accuracy, r2, or a scorer's name"):
        nas.evaluate(result.network, frame, scoring="magic")
    with pytest.raises(InputError, match="data: expected a file or a table with named columns, got int"):
        nas.evaluate(result.network, 5)
