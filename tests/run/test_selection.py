"""Who is named the winner, and how honest the numbers about it are."""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import pytest
from searches import RACE, assert_same_search, search

import nas
from nas.data import folds
from nas.evaluation import Candidate, Evaluation, Problem
from nas.evolution import Archive, Engine, Individual
from nas.execution import Executor, Task
from nas.execution.ray import RayExecutor
from nas.execution.serial import SerialExecutor
from nas.genome import Genome
from nas.run.preparation import Prepared, prepare
from nas.run.selection import REFERENCE, Rescore, Selection, select
from nas.run.test_scores import TestScores
from nas.scoring import Metric

GENOMES = [Genome((6,)), Genome((12, 4), "tanh"), Genome((), learning_rate=0.03)]


def iris(epochs: int = 12) -> Prepared:
    return prepare(nas.load_dataset("iris"), 3, {"epochs": epochs}, n_folds=1)


def found(fitness: float, genome: Genome = GENOMES[0]) -> Individual:
    return Individual(Candidate(0, genome, 1, 0, "random"), Evaluation(0, fitness, 0.1))


class Told:
    """As much of an engine as is asked for its finalists."""

    named = Archive.winner
    objectives = ("error",)

    def __init__(self, genomes: Sequence[Genome] = GENOMES) -> None:
        self._finalists = [found(0.9, genome) for genome in genomes]

    def finalists(self, n: int, *, anew: bool) -> list[Individual]:
        return self._finalists[:n]


def chosen_of(prepared: Prepared, executor: Executor | None = None, seed: int = 3) -> Selection:
    chosen = select(cast("Engine", Told()), prepared, executor or SerialExecutor(), seed, 3)
    assert chosen is not None
    return chosen


def selection(
    scores: tuple[float, ...] = (0.8, 0.9, 0.85),
    reference: tuple[float, ...] = (0.7, 0.85, 0.85),
    reference_scores: tuple[float, ...] = (0.8, 0.82),
) -> Selection:
    finalists = [Rescore(GENOMES[1], (0.5,) * 3, (4, 4, 4)), Rescore(GENOMES[0], scores, (3, 9, 4))]
    return Selection(found(0.95), finalists, 1, Rescore(REFERENCE, reference, (5, 5, 5)), reference_scores, 3)


# Numbers by hand


def test_selection_bias_and_gain_by_hand() -> None:
    one = selection()
    assert one.rescore.mean == pytest.approx(0.85)
    gain, error = one.gain
    # Differences 0.1, 0.05 and 0 have the deviation 0.05; of three folds of which each was trained on
    # the other two, a mean's variance is that of one score by 1/3 + 1/2.
    assert gain == pytest.approx(0.05)
    assert error == pytest.approx(0.05 * math.sqrt(1 / 3 + 1 / 2))
    assert one.rescore.error == pytest.approx(0.05 * math.sqrt(1 / 3 + 1 / 2))
    assert one.rescore.epochs == 4
    # Where the search took place, its lead was 0.95 - 0.81; elsewhere it is 0.05, and that of the other -0.3.
    # These have the variance 0.06125, the noise of a mean has 0.0025 / 2 / 3: the lead is shrunk by that.
    expected = -0.125 + (1 - 0.0025 / 6 / 0.06125) * 0.175
    assert one.selection_bias == pytest.approx(0.14 - expected)


@pytest.mark.parametrize(
    ("n_finalists", "own_noise", "spread"), [(3, 0.009, 0.01), (6, 0.02, 0.01), (3, 0.009, 0.005)]
)
def test_the_selection_bias_is_estimated_within_a_fifth(
    n_finalists: int, own_noise: float, spread: float
) -> None:
    """By simulated searches with known candidates: the best of 100 by a noisy score, named by other cuts."""
    rng = np.random.default_rng(0)
    estimates, truths = [], []
    for _ in range(1500):
        quality, place = 0.8 + spread * rng.normal(size=100), 0.01 * rng.normal()
        searched = quality + place + own_noise * rng.normal(size=100)
        best = np.argsort(-searched)[:n_finalists]
        cuts = 0.02 * rng.normal(size=5)
        finalists = [
            Rescore(GENOMES[0], tuple(quality[i] + cuts + 0.02 * rng.normal(size=5)), (3,) * 5) for i in best
        ]
        reference = Rescore(REFERENCE, tuple(0.79 + cuts + 0.02 * rng.normal(size=5)), (3,) * 5)
        position = max(range(n_finalists), key=lambda i: finalists[i].mean)
        winner = best[position]
        own = (0.79 + place + own_noise * rng.normal(),)
        one = Selection(found(float(searched[winner])), finalists, position, reference, own, 5)
        estimates.append(one.selection_bias)
        truths.append(searched[winner] - place - quality[winner])
    assert 0.8 < np.mean(estimates) / np.mean(truths) < 1.2


@pytest.mark.parametrize(
    ("scores", "reference"), [((0.8, 0.9), (0.7,) * 3), ((0.8,) * 3, (0.7,)), ((0.8,) * 3, ())]
)
def test_a_fold_that_failed_leaves_no_gain(scores: tuple[float, ...], reference: tuple[float, ...]) -> None:
    one = selection(scores, reference)
    assert all(map(math.isnan, one.gain))
    assert math.isnan(one.selection_bias)


def test_a_reference_that_failed_on_the_own_split_leaves_no_selection_bias() -> None:
    assert math.isnan(selection(reference_scores=()).selection_bias)
    assert math.isfinite(selection(reference_scores=()).gain[0])


def test_a_finalist_that_failed_on_every_fold_is_ranked_last() -> None:
    nothing = Rescore(GENOMES[0], (), ())
    assert nothing.mean == -math.inf
    assert math.isnan(nothing.error)
    assert Rescore(GENOMES[0], (0.5,), (3,)).mean == 0.5


# Scored again


def test_a_rescore_is_a_training_from_the_start_on_each_fold() -> None:
    prepared = iris()
    one = chosen_of(prepared)
    assert [each.genome for each in one.finalists] == GENOMES
    assert one.reference.genome == REFERENCE
    assert one.n_folds == 5
    for each in [*one.finalists, one.reference]:
        assert len(each.scores) == len(each.best_epochs) == 5
        assert 0.3 < each.mean <= 1
        assert 0 < each.error < 0.5
    assert len(one.reference_scores) == 3
    assert one.winner.genome == one.rescore.genome
    assert one.rescore.mean == max(each.mean for each in one.finalists)


def test_every_row_that_is_not_for_testing_validates_once() -> None:
    prepared = iris()
    cuts = folds(prepared.dataset, prepared.search_rows, 5, 3)
    assert sorted(np.concatenate([validation for _, validation in cuts])) == prepared.search_rows.tolist()
    for train, validation in cuts:
        assert not set(train) & set(validation)
        assert not {*train, *validation} & set(prepared.split.test)


def test_all_finalists_are_trained_on_the_same_folds_with_seeds_of_their_own() -> None:
    class Spy(SerialExecutor):
        tasks: list[Task] = []  # noqa: RUF012

        def submit(self, task: Task) -> None:
            self.tasks.append(task)
            super().submit(task)

    spy, prepared = Spy(), iris(epochs=2)
    chosen_of(prepared, spy)
    by_fold: dict[int, list[Candidate]] = {}
    for task in spy.tasks:
        assert not task.checkpoints
        for one in task.cohort:
            by_fold.setdefault(id(task.problem), []).append(one)
            assert (one.inherits, one.epochs_done, one.epochs) == (None, 0, None)
    # The reference alone on the rows of the search.
    home = by_fold.pop(id(prepared.problem))
    assert {one.genome for one in home} == {REFERENCE}
    assert len(by_fold) == 5
    for those in by_fold.values():
        assert len(those) == 4
        assert {one.genome for one in those} == {*GENOMES, REFERENCE}
    seeds = [one.seed for those in [home, *by_fold.values()] for one in those]
    assert len(set(seeds)) == len(seeds) == 20 + len(home)
    for problem in {id(task.problem): task.problem for task in spy.tasks}.values():
        # Encodings are learned from the rows that are trained on.
        np.testing.assert_allclose(problem.X_train.mean(axis=0), 0, atol=1e-5)
        assert len(problem.X_train) + len(problem.X_validation) == len(prepared.search_rows)
        assert problem.metric is prepared.problem.metric


def test_where_memory_is_short_one_fold_is_there_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spy(SerialExecutor):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[weakref.ref[Problem]] = []
            self.released: list[int] = []
            self.most = 0

        def submit(self, task: Task) -> None:
            super().submit(task)
            self.seen.append(weakref.ref(task.problem))
            alive = {id(problem) for one in self.seen if (problem := one()) is not None}
            self.most = max(self.most, len(alive))

        def release(self, problem: Problem) -> None:
            self.released.append(id(problem))

    prepared = iris()
    together = Spy()
    expected = chosen_of(prepared, together)
    monkeypatch.setattr("nas.run.selection._MAX_BYTES", 0)
    apart = Spy()
    assert numbers(chosen_of(prepared, apart)) == numbers(expected)
    assert (together.most, apart.most) == (6, 1)
    assert len(apart.released) == len(together.released) == 6


def numbers(one: Selection) -> tuple[Any, ...]:
    return one.finalists, one.position, one.reference, one.reference_scores, one.gain, one.selection_bias


def test_the_same_seed_gives_the_same_scores() -> None:
    prepared = iris()
    assert numbers(chosen_of(prepared)) == numbers(chosen_of(prepared))
    assert numbers(chosen_of(prepared)) != numbers(chosen_of(prepared, seed=4))


@pytest.mark.exhaustive
@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("n_workers", [1, 2])
def test_workers_give_the_same_scores(n_workers: int) -> None:
    prepared = iris()
    with RayExecutor(n_workers) as executor:
        assert numbers(chosen_of(prepared, executor)) == numbers(chosen_of(prepared))


@pytest.mark.parametrize("data", ["diabetes", "wine", "labels"])
def test_every_task_is_scored_again(data: str) -> None:
    X = np.random.default_rng(0).normal(size=(120, 3))
    made: Any = (X, (X[:, :2] > 0).astype(int)) if data == "labels" else data
    dataset = nas.load_dataset(made, task="multilabel" if data == "labels" else None)
    one = chosen_of(prepare(dataset, 0, {"epochs": 9}))
    assert all(len(each.scores) == 5 for each in one.finalists)
    assert all(map(math.isfinite, (one.selection_bias, *one.gain)))


# In a search


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["auto", "plus", "random"])
def test_the_winner_has_the_best_mean_of_the_finalists(tmp_path: Path, algorithm: str) -> None:
    result = search("wine", tmp_path, **RACE | {"algorithm": algorithm, "n_finalists": 4, "folds": 1})
    chosen = result.selection
    assert chosen is not None
    assert len(chosen.finalists) == 4
    means = [one.mean for one in chosen.finalists]
    assert chosen.position == means.index(max(means))
    assert chosen.rescore.genome == chosen.winner.genome == result.best.genome
    assert result.evaluation.without_curves() == chosen.winner.evaluation
    assert chosen.reference.genome == REFERENCE
    assert len(chosen.reference.scores) == chosen.n_folds == 5
    lead = result.evaluation.fitness - fmean(chosen.reference_scores)
    # The best mean has been lucky: its expected lead is less.
    assert chosen.selection_bias >= lead - chosen.gain[0] - 1e-9
    assert math.isfinite(chosen.selection_bias)
    assert all(map(math.isfinite, chosen.gain))
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record["rescored"] == chosen.rescore.mean
    assert record["selection_bias"] == chosen.selection_bias
    assert record["single_layer_gain"] == chosen.gain[0]
    words = " ".join(result.summary(verbose=True).split())
    assert f"{chosen.rescore.mean:.4f} ± {chosen.rescore.error:.4f}" in words
    assert f"selection bias {chosen.selection_bias:+.4f}" in words
    assert f"one layer of 100 {chosen.gain[0]:+.4f} ± {chosen.gain[1]:.4f}" in words


def test_one_finalist_is_the_winner(tmp_path: Path) -> None:
    result = search("iris", tmp_path, algorithm="plus", n_finalists=1)
    assert result.selection is not None
    assert result.selection.position == 0
    assert result.evaluation.fitness == max(one.fitness for _, one in result.history)


def test_more_finalists_than_there_are_networks(tmp_path: Path) -> None:
    result = search("iris", tmp_path, n_candidates=3, n_finalists=50)
    assert result.selection is not None
    assert len(result.selection.finalists) == 3


def test_finalists_do_not_change_the_search(tmp_path: Path) -> None:
    one, many = (search("iris", tmp_path / str(n), n_finalists=n) for n in (1, 6))
    assert [pair[1] for pair in one.history] == [pair[1] for pair in many.history]
    again = search("iris", tmp_path / "again", n_finalists=6)
    assert_same_search(many, again)


def test_among_several_objectives_the_knee_is_named(tmp_path: Path) -> None:
    result = search("wine", tmp_path, objectives=("error", "parameters"), n_finalists=4, **RACE)
    chosen = result.selection
    assert chosen is not None
    assert chosen.winner.genome in {one.genome for one in chosen.finalists}
    front = result.front
    on_it = {candidate.genome for candidate, _ in front}
    # Where the front is small, others fill the places up.
    assert len({one.genome for one in chosen.finalists} & on_it) >= min(2, len(on_it))
    for _, one in front:
        # No candidate is better in both.
        assert not any(
            other.fitness >= one.fitness
            and other.n_parameters <= one.n_parameters
            and (other.fitness, other.n_parameters) != (one.fitness, one.n_parameters)
            for _, other in front
        )
    assert [pair[1].fitness for pair in front] == sorted((pair[1].fitness for pair in front), reverse=True)


@pytest.mark.parametrize("refit", [True, False])
def test_where_all_finalists_fail_on_every_fold_the_winner_of_the_search_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refit: bool
) -> None:
    # Regression: nothing was left to take the median epochs of.
    fold = Prepared.fold

    def without_scores(*arguments: Any) -> Problem:
        def fail(*_: object) -> float:
            raise ValueError("not here")

        return replace(fold(*arguments), metric=Metric("picky", fail))

    monkeypatch.setattr(Prepared, "fold", without_scores)
    result = search("iris", tmp_path, algorithm="plus", n_finalists=3, refit=refit, folds=1)
    chosen = result.selection
    assert chosen is not None
    assert not any(one.scores for one in [*chosen.finalists, chosen.reference])
    assert chosen.position == 0
    assert result.evaluation.fitness == max(one.fitness for _, one in result.history)
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record["rescored"] is record["selection_bias"] is record["single_layer_gain"] is None
    words = result.summary(verbose=True)
    assert "re-scored         none: every training on 5 other cuts of the rows failed" in words
    assert "bias not estimated: trainings on other cuts of the rows failed" in " ".join(words.split())
    assert "selection bias  " not in words
    assert "nan" not in words


def test_one_fold_that_is_left_has_no_error_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Regression: "± nan".
    fold, n_folds = Prepared.fold, iter(range(99))

    def often_without_scores(*arguments: Any) -> Problem:
        def fail(*_: object) -> float:
            raise ValueError("not here")

        problem = fold(*arguments)
        return problem if next(n_folds) == 0 else replace(problem, metric=Metric("picky", fail))

    monkeypatch.setattr(Prepared, "fold", often_without_scores)
    result = search("iris", tmp_path, algorithm="plus", n_finalists=3, folds=1)
    words = " ".join(result.summary(verbose=True).split())
    assert ", trained anew on 1 of 5 other cuts of the rows, best of 3" in words
    assert "nan" not in words


def test_a_test_score_that_is_no_number_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = TestScores(math.nan, math.nan)
    monkeypatch.setattr("nas.run.conclude.score_test_rows", lambda *_, **__: scores)
    result = search("iris", tmp_path)
    assert "test_score" not in nas.load_network(result.run_dir).provenance
