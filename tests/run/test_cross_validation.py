"""Searches that judge candidates by folds of all rows that are not for testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from searches import RACE as SHORT
from searches import assert_same_search, journal_without_times, resume, search, snapshots
from sklearn.datasets import load_wine, make_regression
from sklearn.metrics import accuracy_score

import nas
from nas.data.cuts import Cuts, held_out, in_groups, n_folds_of_candidates
from nas.errors import InputError
from nas.evaluation import Candidate, Checkpoint, Evaluation, evaluate
from nas.evolution import Individual
from nas.genome import Genome
from nas.network.arrays import Array
from nas.run.ensemble import select_members
from nas.run.preparation import Prepared, prepare
from nas.runtime import Uncertainty
from nas.tracking.journal import read_journal

RACE = SHORT | {"folds": 5}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    return search("wine", tmp_path_factory.mktemp("runs"), **RACE)


def prepared_wine(**options: Any) -> Prepared:
    return prepare(nas.load_dataset("wine"), 0, {"epochs": 9}, **options)


def evaluated(prepared: Prepared, *candidates: Candidate, **options: Any) -> list[Evaluation]:
    evaluations = evaluate(candidates, prepared.problem, **options)
    assert evaluations is not None
    return evaluations


def candidate(i: int, *widths: int, **attributes: Any) -> Candidate:
    return Candidate(i, Genome(widths), 50 + i, 0, "random", **attributes)


# Scores


def test_fitness_is_the_mean_over_folds_of_all_rows_but_the_test_rows(result: nas.SearchResult) -> None:
    whole = [one for _, one in result.history if not one.is_partial]
    assert len(whole) > 8
    for evaluation in whole:
        assert len(evaluation.fold_scores) == 5
        assert evaluation.fitness == pytest.approx(np.mean(evaluation.fold_scores), abs=1e-5)
        assert evaluation.standard_error >= 0
    prepared = prepared_wine()
    judged = np.concatenate([fold.validation for fold in prepared.problem.folds])
    assert sorted(prepared.split.train[judged]) == prepared.search_rows.tolist()
    assert not set(prepared.search_rows) & set(prepared.split.test)


def test_candidates_without_a_chance_train_on_the_first_fold_alone(result: nas.SearchResult) -> None:
    partial = [(one, found) for one, found in result.history if found.is_partial]
    assert partial
    best = max(found.fitness for _, found in result.history)
    for one, found in partial:
        assert one.bar is not None
        (score,) = found.fold_scores
        assert score < one.bar
        # The first fold may be easier than the others: its score alone makes no candidate the best.
        assert found.fitness == pytest.approx(score + one.offset, abs=1e-5)
        assert found.fitness < best
    for one, found in result.history:
        if not found.is_partial and one.bar is not None:
            assert found.fold_scores[0] >= one.bar
    # No weights of such a candidate are inherited: it has none for the other folds.
    without = {one.id for one, _ in partial}
    assert not {one.inherits for one, _ in result.history} & without
    assert result.best.id not in without


def test_a_journal_holds_the_scores_of_the_folds(result: nas.SearchResult) -> None:
    pairs = list(read_journal(result.run_dir / "journal.jsonl").evaluations)
    assert pairs == list(result.history)


@pytest.mark.parametrize(("n_rows", "n"), [(20, 5), (3999, 5), (4000, 1), (10**6, 1)])
def test_few_rows_are_cross_validated(n_rows: int, n: int) -> None:
    assert n_folds_of_candidates(n_rows) == n


def test_a_candidate_s_folds_are_the_same_beside_others() -> None:
    prepared = prepared_wine()
    candidates = [candidate(0, 8), candidate(1, 12, 6), candidate(2, 8, bar=2.0)]
    together = evaluated(prepared, *candidates)
    assert [len(one.fold_scores) for one in together] == [5, 5, 1]
    for one, expected in zip(candidates, together, strict=True):
        (alone,) = evaluated(prepared, one)
        np.testing.assert_allclose(alone.fold_scores, expected.fold_scores, atol=0.08)


def test_folds_of_a_child_begin_with_the_same_folds_of_its_parent() -> None:
    prepared = prepared_wine()
    (parent,) = evaluated(prepared, candidate(0, 8))
    still = prepare(nas.load_dataset("wine"), 0, {"epochs": 1, "learning_rate": 1e-12})
    child = candidate(1, 8, 8, inherits=0)
    checkpoint = Checkpoint.for_child(child, Genome((8,)), parent.states)
    (found,) = evaluated(still, child, checkpoints={1: checkpoint})
    assert found.fold_scores == parent.fold_scores


def test_a_training_in_two_rungs_ends_as_one() -> None:
    prepared = prepared_wine()
    (whole,) = evaluated(prepared, candidate(0, 8))
    first_rung = candidate(0, 8, epochs=3)
    (first,) = evaluated(prepared, first_rung)
    rest = candidate(0, 8, epochs_done=3)
    checkpoint = Checkpoint.for_child(rest, rest.genome, first.states)
    (second,) = evaluated(prepared, rest, checkpoints={0: checkpoint})
    assert second.fold_scores == whole.fold_scores
    assert second.fitness == whole.fitness


def test_a_score_at_the_bar_reaches_it() -> None:
    prepared = prepared_wine()
    for one in evaluated(prepared, *(candidate(i, 4 + i) for i in range(4))):
        tied = candidate(one.candidate_id, 4 + one.candidate_id, bar=one.fold_scores[0])
        (again,) = evaluated(prepared, tied)
        assert not again.is_partial


def test_finalists_are_scored_on_folds_that_the_search_has_not_seen() -> None:
    X, y = load_wine(return_X_y=True)
    dataset = nas.load_dataset((X, y))
    rows = np.arange(len(y))
    for cuts in (None, held_out(dataset, 0.2, 0, 5), in_groups(dataset, rows % 9, 0.2, 0, 5)):
        prepared = prepare(dataset, 0, cuts=cuts)
        other = prepared.repeated(0).folds
        searched = [fold.validation.tolist() for fold in prepared.problem.folds]
        # Of few groups a fold may be drawn again.
        n_again = sum(fold.validation.tolist() in searched for fold in other)
        assert n_again == 0 or (cuts is not None and n_again < 3)
        judged = np.concatenate([fold.validation for fold in other])
        assert sorted(judged) == sorted(np.concatenate(searched))


@pytest.mark.parametrize("seed", range(5))
def test_other_folds_hold_out_every_class_that_all_of_the_searchs_do(seed: int) -> None:
    # One class is in four of twelve groups: of random thirds many have none of these.
    groups = np.repeat(np.arange(12), 10)
    y = np.where(groups < 4, 1, 0)
    X = np.random.default_rng(0).normal(size=(120, 2))
    dataset = nas.load_dataset((X, y))
    pairs = [(np.flatnonzero(groups % 3 != i), np.flatnonzero(groups % 3 == i)) for i in range(3)]

    def redraw(other: int) -> list[tuple[Array, Array]]:
        parts = np.array_split(np.random.default_rng(other).permutation(12), 3)
        held_out = [np.isin(groups, part) for part in parts]
        return [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in held_out]

    prepared = prepare(dataset, seed, cuts=Cuts.by(pairs, redraw=redraw), scoring="roc_auc")
    for fold in prepared.repeated(seed).folds:
        assert set(y[fold.validation]) == {0, 1}


def test_a_child_without_memory_for_its_inheritance_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepared_wine()
    (parent,) = evaluated(prepared, candidate(0, 8))
    child = candidate(1, 8, 8, inherits=0)

    def too_large(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("nas.evaluation.fitting.morph", too_large)
    checkpoint = Checkpoint.for_child(child, Genome((8,)), parent.states)
    failed, fine = evaluated(prepared, child, candidate(2, 8), checkpoints={1: checkpoint})
    assert failed.error == "out of memory: no room"
    assert not fine.failed


# What a fold may know


def table_of_noise(task: str) -> tuple[pd.DataFrame, Array]:
    """Targets that nothing tells, and a column of so many categories that their target means would."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"group": [f"g{i // 3}" for i in range(300)], "size": rng.normal(size=300)})
    return X, rng.integers(2, size=300).astype(str) if task == "classes" else rng.normal(size=300)


@pytest.mark.parametrize("task", ["classes", "values"])
def test_no_fold_sees_the_targets_that_judge_it(task: str) -> None:
    X, y = table_of_noise(task)
    X["group"] = X["group"].astype("category")
    prepared = prepare(nas.load_dataset((X, y)), 0, {"epochs": 30})
    assert len(prepared.problem.by_fold) == 5
    (found,) = evaluated(prepared, candidate(0, 16))
    assert found.fitness < (0.6 if task == "classes" else 0.1)
    if task == "classes":  # cuts are stratified: with other targets they are others
        return
    # And to the letter: other targets in a fold, the same training and the same predictions there.
    spoiled, i = y.copy(), 3
    rows = prepared.split.train[prepared.problem.folds[i].validation]
    spoiled[rows] = spoiled[rows][::-1]
    again = prepare(nas.load_dataset((X, spoiled)), 0, {"epochs": 30})
    before, after = prepared.problem.by_fold[i], again.problem.by_fold[i]
    np.testing.assert_allclose(before.X_train, after.X_train, rtol=1e-5)
    np.testing.assert_allclose(before.X_validation, after.X_validation, rtol=1e-5)
    np.testing.assert_allclose(before.y_train, after.y_train, rtol=1e-5)
    assert not np.allclose(before.y_validation, after.y_validation)


# Whole searches


@pytest.mark.slow
def test_a_killed_search_goes_on_as_if_nothing_had_been(tmp_path: Path, result: nas.SearchResult) -> None:
    with snapshots(tmp_path, {5, 17}):
        whole = search("wine", tmp_path / "runs", **RACE)
    for n in (5, 17):
        assert_same_search(resume(tmp_path / str(n)), whole)
    assert journal_without_times(whole)[1:] == journal_without_times(result)[1:]


@pytest.mark.ray
def test_workers_change_nothing(tmp_path: Path, result: nas.SearchResult) -> None:
    assert_same_search(search("wine", tmp_path, **RACE, n_workers=2), result)


@pytest.mark.slow
@pytest.mark.parametrize("refit", [True, False])
def test_the_exported_network_is_the_mean_of_the_trainings(tmp_path: Path, refit: bool) -> None:
    result = search("wine", tmp_path, refit=refit, members=3, folds=5, epochs=12)
    assert len(result.network.members) == (3 if refit else 5)
    assert len({member.weights[0].tobytes() for member in result.network.members}) > 1
    X, y = load_wine(return_X_y=True, as_frame=True)
    expected = np.mean([member.predict_proba(X) for member in result.network.members], axis=0)
    saved = nas.load_network(result.run_dir)
    saved.uncertainty = Uncertainty()  # without the temperature
    np.testing.assert_allclose(saved.predict_proba(X), expected, atol=1e-6)
    names = load_wine().target_names
    assert accuracy_score(names[y], saved.predict(X)) > 0.9


def test_an_ensemble_is_selected_by_out_of_fold_predictions() -> None:
    prepared = prepared_wine()
    candidates = [candidate(i, *widths) for i, widths in enumerate([(2,), (16,), (8, 8)])]
    evaluations = {one.candidate_id: one for one in evaluated(prepared, *candidates)}
    pool = [Individual(one, evaluations[one.id]) for one in candidates]
    picks = select_members(pool[1], pool, lambda i: evaluations[i].states, prepared.problem, 4)
    assert sum(n for _, n in picks) == 4
    assert picks[0][0].id in {0, 1}


# Tables that folds are hard to cut from


def test_a_class_with_fewer_rows_than_folds_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    y = np.array(["often"] * 60 + ["rarely"] * 57 + ["never"] * 3)
    X = rng.normal(size=(120, 3)) + (y == "often")[:, None]
    result = search((X, y), tmp_path, folds=5)
    assert "classes with fewer rows than the 5 folds, so that some folds have none: never (2)" in caplog.text
    assert result.evaluation.fitness > 0.6


def test_a_score_that_needs_every_class_is_computed_on_a_single_split_where_folds_have_not_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(100) < 3
    X = rng.normal(size=(100, 3)) + y[:, np.newaxis]
    model = estimated(scoring="roc_auc").fit(X, y.astype(str))
    assert 0 <= model.validation_score_ <= 1
    assert "roc_auc cannot be computed on each of 5 folds: a single split judges candidates" in caplog.text
    with pytest.raises(InputError, match="expected rows of every class"):
        estimated(scoring="roc_auc", cv=5).fit(X, y.astype(str))


def test_a_fold_of_few_rows_has_target_means() -> None:
    X = pd.DataFrame({"many": pd.Categorical([f"c{i % 36}" for i in range(90)])})
    rows, y = np.arange(90), np.random.default_rng(0).normal(size=90)
    cv = [(rows[:1], rows[3:20]), (rows[:3], rows[3:20]), (rows[:60], rows[60:])]
    small: dict[str, Any] = {"space": "tiny", "n_candidates": 2, "epochs": 2, "n_finalists": 1}
    assert np.isfinite(nas.NASRegressor(**small, random_state=0, cv=cv).fit(X, y).validation_score_)


def test_a_single_network_without_a_refit_is_that_of_the_best_fold(tmp_path: Path) -> None:
    result = search("wine", tmp_path, refit=False, max_parameters=400)
    assert len(result.network.members) == 1


def test_folds_are_as_many_as_asked(tmp_path: Path) -> None:
    result = search("iris", tmp_path / "three", folds=3)
    assert len(result.evaluation.fold_scores) == 3
    result = search("iris", tmp_path / "single", folds=1)
    assert result.evaluation.fold_scores == ()
    X, y = make_regression(n_samples=12, n_features=2, random_state=0)
    result = search((X, y), tmp_path / "few", folds=50, n_candidates=3)
    assert len(result.evaluation.fold_scores) == 9  # as many as rows that are not for testing


def estimated(**options: Any) -> Any:
    small: dict[str, Any] = {"space": "tiny", "n_candidates": 6, "epochs": 3, "n_finalists": 1}
    return nas.NASClassifier(**(small | {"random_state": 0} | options))


def test_groups_and_time_order_are_cross_validated() -> None:
    X, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    groups = np.arange(len(X)) % 3
    model = estimated().fit(X, y, groups=groups)
    assert len(model.candidates_) == 6
    assert 0 < estimated(time_order=True).fit(X, y).validation_score_ <= 1
    assert 0 < estimated(time_order=True, cv=4).fit(X, y).validation_score_ <= 1
    weights = np.random.default_rng(1).uniform(0.1, 3, len(X))
    assert 0 < estimated().fit(X, y, sample_weight=weights).validation_score_ <= 1
