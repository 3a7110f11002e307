"""Whole searches: the same for any number of workers, and from any table to predictions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.metrics import accuracy_score, r2_score

import nas
from nas.data.dataset import BUNDLED, split
from nas.errors import DataError, InputError, RunError, SearchError, SpaceError
from nas.evaluation import (
    WORST_FITNESS,
    Candidate,
    Evaluation,
    build_network,
    evaluate,
    fit,
    plan_cohorts,
)
from nas.evolution import ALGORITHMS, Generational
from nas.run.preparation import final_network, prepare
from nas.tracking.journal import read_journal

QUICK: dict[str, Any] = {"space": "tiny", "n_candidates": 16, "epochs": 6, "n_workers": 0, "progress": False}


def search(data: Any, runs_dir: Path, **options: Any) -> nas.SearchResult:
    return nas.search(data, runs_dir=runs_dir, **(QUICK | {"tracking": False, "name": "one"} | options))


def journal_without_times(result: nas.SearchResult) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (result.run_dir / "journal.jsonl").read_text().splitlines()]
    for entry in entries[1:]:
        del entry["evaluation"]["seconds"]
    return entries


def weights(result: nas.SearchResult) -> bytes:
    return (result.model_path / "weights.safetensors").read_bytes()


@pytest.mark.slow  # Ray starts three times
@pytest.mark.parametrize("algorithm", ["evolution", "random"])
def test_any_number_of_workers_gives_the_same_journal_and_winner(tmp_path: Path, algorithm: str) -> None:
    options = {"space": "small", "n_candidates": 30, "algorithm": algorithm, "seed": 11}
    results = [search("wine", tmp_path / str(workers), n_workers=workers, **options) for workers in (0, 1, 2)]
    serial, *others = results
    for other in others:
        assert journal_without_times(other) == journal_without_times(serial)
        assert weights(other) == weights(serial)
        assert other.best == serial.best
        assert other.test == serial.test


def test_the_same_seed_repeats_and_another_does_not(tmp_path: Path) -> None:
    one, again = (search("iris", tmp_path / str(i), seed=2) for i in range(2))
    other = search("iris", tmp_path / "other", seed=3)
    assert journal_without_times(one) == journal_without_times(again)
    assert weights(one) == weights(again)
    assert journal_without_times(one) != journal_without_times(other)


def test_a_time_budget_only_cuts_the_sequence(tmp_path: Path) -> None:
    options = {"space": "small", "epochs": 3}
    cut = search("digits", tmp_path / "cut", n_candidates=10_000, time_budget=1.0, **options)
    assert cut.stopped == "time"
    n = len(cut.history)
    whole = search("digits", tmp_path / "whole", n_candidates=n + 7, **options)
    assert journal_without_times(whole)[: n + 1] == journal_without_times(cut)


@pytest.mark.parametrize("n", [1, 7, 12, 20])
def test_a_shorter_search_is_the_beginning_of_a_longer_one(tmp_path: Path, n: int) -> None:
    # Cut inside a generation, too, whose cohorts must not depend on where that is.
    options = {"space": "small", "epochs": 3}
    short = search("digits", tmp_path / "short", n_candidates=n, **options)
    long = search("digits", tmp_path / "long", n_candidates=26, **options)
    assert journal_without_times(long)[: n + 1] == journal_without_times(short)


def test_the_first_candidate_is_finished_whatever_the_budget(tmp_path: Path) -> None:
    result = search("digits", tmp_path, time_budget=0.001)
    assert 1 <= len(result.history) <= 3  # whoever was trained with it is there too
    assert result.stopped == "time"


def test_a_tiny_space_is_exhausted_and_says_so(tmp_path: Path) -> None:
    result = search("iris", tmp_path, n_candidates=500, epochs=2)
    assert result.stopped == "exhausted"
    assert len(result.history) == nas.load_space("tiny").size() == 20


def test_the_exported_network_is_the_one_that_was_scored(tmp_path: Path) -> None:
    result = search("digits", tmp_path, epochs=20)
    dataset = nas.load_dataset("digits")
    rows = split(dataset, 0).test
    network = nas.load_network(result.run_dir)
    labels = np.array(dataset.classes)[dataset.y[rows]]
    assert accuracy_score(labels, network.predict(dataset.table.iloc[rows])) == result.test.score
    assert result.test.baseline is not None
    assert result.test.difference == pytest.approx(result.test.score - result.test.baseline)


def test_without_refit_the_network_is_the_one_the_search_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last: list[list[Candidate]] = []

    def spied(networks: Any, candidates: Sequence[Candidate], *args: Any, **options: Any) -> Any:
        last.append(list(candidates))
        return fit(networks, candidates, *args, **options)

    monkeypatch.setattr("nas.run.preparation.fit", spied)
    space = nas.SearchSpace(depth=(2, 2), widths=(13, 21, 37, 45))
    result = search("digits", tmp_path, refit=False, space=space, n_candidates=12)
    dataset = nas.load_dataset("digits")
    rows = split(dataset, 0).validation
    predicted = result.network.predict(dataset.table.iloc[rows])
    labels = np.array(dataset.classes)[dataset.y[rows]]
    assert accuracy_score(labels, predicted) == pytest.approx(result.evaluation.fitness, abs=1e-6)
    # To the last bit, which on some processors depends on whom it was trained with: all 12 are one
    # generation.
    assert not result.evaluation.alone
    problem = prepare(dataset, 0, {"epochs": 6, "time_limit": 600.0}).problem
    (cohort,) = (
        cohort
        for cohort in plan_cohorts([candidate for candidate, _ in result.history], problem)
        if result.best in cohort
    )

    def trained(candidates: Sequence[Candidate]) -> bytes:
        networks = [build_network(one.genome, one.seed, problem) for one in candidates]
        fit(networks, candidates, problem, stop_after=result.evaluation.best_epoch)
        return b"".join(weight.tobytes() for weight in networks[candidates.index(result.best)].weights)

    assert b"".join(weight.tobytes() for weight in result.network.weights) == trained(cohort)
    assert last == [list(cohort)]
    assert len(cohort) > 1


def test_a_network_that_was_measured_alone_is_trained_alone() -> None:
    # Regression: it was trained with its planned cohort, whose memory had not been enough.
    prepared = prepare(nas.load_dataset("iris"), 0, {"epochs": 2})
    pair = [Candidate(i, nas.Genome(w), i, 0, "random") for i, w in enumerate([(8,), (10**6, 10**6)])]
    evaluation, _ = evaluate(pair, prepared.problem) or []
    network = final_network(prepared, pair[0], evaluation, pair, refit=False, provenance={})
    (alone,) = evaluate(pair[:1], prepared.problem) or []
    assert evaluation == alone
    assert network.weights[0].shape[1] == 8


def test_the_last_training_is_annealed_whatever_the_genome_carries() -> None:
    prepared = prepare(nas.load_dataset("iris"), 0, {"epochs": 3})
    trained = set()
    for schedule in (None, "constant", "step"):
        one = Candidate(0, nas.Genome((8,), schedule=schedule), 1, 0, "random")
        network = final_network(prepared, one, Evaluation(0, best_epoch=3), [one], refit=True, provenance={})
        trained.add(network.weights[0].tobytes())
    assert len(trained) == 1


def test_provenance_says_where_a_network_comes_from(tmp_path: Path) -> None:
    result = search("iris", tmp_path, seed=4)
    provenance = nas.load_network(result.model_path).provenance
    assert provenance["seed"] == 4
    assert nas.Genome.from_dict(provenance["candidate"]["genome"]) == result.best.genome
    assert provenance["validation_score"] == result.evaluation.fitness
    assert provenance["test_score"] == result.test.score
    assert provenance["versions"]["numpy"] == np.__version__


def test_a_table_with_gaps_and_categories_goes_all_the_way(tmp_path: Path, table: pd.DataFrame) -> None:
    result = search(table, tmp_path, target="kind", epochs=40)
    assert result.task == "classification"
    assert result.dropped == ("constant",)
    assert result.test.score > 0.8
    predicted = nas.load_network(result.run_dir).predict(table.drop(columns="kind"))
    assert set(predicted) <= {"big", "small"}


def test_regression_is_in_the_targets_units(tmp_path: Path) -> None:
    X, y = make_regression(300, 5, noise=1, random_state=0)
    result = search((X, 1000 + 50 * y), tmp_path, epochs=60, n_candidates=6)
    assert (result.task, result.metric) == ("regression", "r2")
    assert r2_score(1000 + 50 * y, result.network.predict(X)) > 0.9
    with pytest.raises(TypeError, match="expected a classifier"):
        result.network.predict_proba(X)


def test_several_targets_and_several_labels(tmp_path: Path) -> None:
    X, y = make_regression(300, 5, n_targets=2, noise=1, random_state=0)
    regression = search((X, y), tmp_path / "targets", epochs=60, n_candidates=4)
    assert regression.network.predict(X).shape == (300, 2)
    assert regression.test.score > 0.7
    X, labels = make_multilabel_classification(300, 6, n_classes=3, random_state=0)
    several = search((X, labels), tmp_path / "labels", epochs=30, n_candidates=4)
    assert several.task == "multilabel"
    assert several.network.predict_proba(X).shape == (300, 3)
    assert set(np.unique(several.network.predict(X))) <= {0, 1}


def test_hidden_features_have_the_last_layers_width(tmp_path: Path) -> None:
    result = search("iris", tmp_path)
    table = nas.load_dataset("iris").table
    assert result.network.transform(table).shape == (150, result.best.genome.widths[-1])


def test_a_space_in_python_and_no_hidden_layer(tmp_path: Path) -> None:
    space = nas.SearchSpace(depth=(0, 0), widths=(4,), learning_rate=nas.Range(0.01, 0.1, "log"))
    result = search("iris", tmp_path, space=space)
    assert str(result.best.genome).startswith("linear")
    assert result.network.sizes == (4, 3)


def test_the_history_as_a_frame(tmp_path: Path) -> None:
    result = search("iris", tmp_path)
    frame = result.to_frame()
    assert len(frame) == 16
    assert frame["fitness"].max() == result.evaluation.fitness
    assert json.loads(json.dumps(result.to_dict()))["candidates"] == 16


def test_a_search_in_which_all_fail_is_an_error_with_the_reason(tmp_path: Path) -> None:
    space = nas.SearchSpace(depth=(1, 1), widths=(4, 8), learning_rate=(10.0,), optimizer=("sgd",))
    X, y = make_regression(100, 5, random_state=0)
    with pytest.raises(SearchError, match=r"2 candidates to be trained, got none; .* became"):
        search((X, y), tmp_path, space=space, epochs=50)
    evaluations = read_journal(tmp_path / "one" / "journal.jsonl").evaluations
    assert [evaluation.fitness for _, evaluation in evaluations] == [WORST_FITNESS] * 2


class TestResume:
    """Kill a search wherever; go on; get what an uninterrupted one gets."""

    def test_from_any_line_on_the_search_ends_the_same(self, tmp_path: Path) -> None:
        whole = search("iris", tmp_path / "whole", n_candidates=20)
        lines = (whole.run_dir / "journal.jsonl").read_bytes().splitlines(keepends=True)
        for kept in (0, 1, 2, 9, 13, 20, 21):
            torn = search("iris", tmp_path / f"torn{kept}", n_candidates=20)
            rest = lines[kept][: len(lines[kept]) // 2] if kept < len(lines) else b""
            (torn.run_dir / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + rest)
            resumed = nas.resume(torn.run_dir, n_workers=0, progress=False)
            assert journal_without_times(resumed) == journal_without_times(whole)
            assert weights(resumed) == weights(whole)

    def test_what_was_evaluated_is_not_evaluated_again(self, tmp_path: Path) -> None:
        first = search("iris", tmp_path, n_candidates=7)
        before = (first.run_dir / "journal.jsonl").read_bytes()
        resumed = nas.resume(first.run_dir, n_candidates=18, n_workers=0, progress=False)
        assert (first.run_dir / "journal.jsonl").read_bytes().startswith(before)
        assert len(resumed.history) == 18

    def test_more_candidates_than_at_first_give_the_longer_search(self, tmp_path: Path) -> None:
        long = search("iris", tmp_path / "long", n_candidates=18)
        short = search("iris", tmp_path / "short", n_candidates=7)
        resumed = nas.resume(short.run_dir, n_candidates=18, n_workers=0, progress=False)
        assert journal_without_times(resumed) == journal_without_times(long)

    def test_changed_data_is_refused_with_the_difference(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        frame = nas.load_dataset("iris").table.assign(kind=np.arange(150) % 3)
        frame.to_csv(file, index=False)
        result = search(str(file), tmp_path)
        frame.loc[7, frame.columns[0]] = 99.0
        frame.to_csv(file, index=False)
        with pytest.raises(RunError, match=r"expected the data that the search began with, .*digest"):
            nas.resume(result.run_dir, n_workers=0, progress=False)

    def test_data_may_come_again_as_a_path(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        nas.load_dataset("iris").table.assign(a=np.arange(150) % 3, last=1.5).to_csv(file, index=False)
        result = search(str(file), tmp_path, target="a", n_candidates=3)
        resumed = nas.resume(result.run_dir, data=file, n_candidates=5, n_workers=0, progress=False)
        assert len(resumed.history) == 5

    def test_data_from_memory_has_to_come_again(self, tmp_path: Path) -> None:
        X, y = make_regression(100, 5, random_state=0)
        result = search((X, y), tmp_path, n_candidates=3)
        with pytest.raises(RunError, match="expected data="):
            nas.resume(result.run_dir, progress=False)
        resumed = nas.resume(result.run_dir, data=(X, y), n_candidates=5, n_workers=0, progress=False)
        assert len(resumed.history) == 5

    @pytest.mark.slow  # three searches in processes of their own
    def test_a_killed_driver_loses_nothing_that_was_written(self, tmp_path: Path) -> None:
        whole = search("digits", tmp_path / "whole", n_candidates=20, epochs=40)
        command = [sys.executable, "-m", "nas", "search", "digits", "--space", "tiny", "--candidates", "20"]
        command += ["--epochs", "40", "--workers", "1", "--name", "one", "--no-tracking", "--no-baseline"]
        command += ["--runs-dir", str(tmp_path / "runs")]
        journal = tmp_path / "runs" / "one" / "journal.jsonl"
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
            assert process.poll() is None, "the search ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        n_written = len(read_journal(journal).evaluations)
        assert 5 <= n_written < 20
        resumed = nas.resume(tmp_path / "runs" / "one", n_workers=0, progress=False)
        assert journal_without_times(resumed) == journal_without_times(whole)
        assert weights(resumed) == weights(whole)


@pytest.mark.slow  # sixty real trainings
def test_digits_are_learned_as_well_as_promised(tmp_path: Path) -> None:
    # 0.975 where it was measured, 0.97 being asked for; rounding on other processors may move some
    # of the 360 test rows. A last training at a constant rate, once a mistake here, gave 0.958.
    result = nas.search("digits", n_candidates=60, runs_dir=tmp_path, tracking=False, progress=False)
    assert result.test.score >= 0.965


@pytest.mark.parametrize("space", nas.available_spaces())
@pytest.mark.parametrize("data", BUNDLED)
def test_every_shipped_space_fits_every_bundled_set(tmp_path: Path, space: str, data: str) -> None:
    result = search(data, tmp_path, space=space, n_candidates=2, epochs=1, baseline=False)
    assert len(result.history) == 2


class InterruptAfter(Generational):
    """An engine in which a Ctrl-C comes when it is told of the third candidate."""

    def tell(self, evaluation: Evaluation) -> None:
        if evaluation.candidate_id == 2:
            raise KeyboardInterrupt
        super().tell(evaluation)


def test_an_interrupt_at_the_worst_moment_leaves_nothing_in_the_engine_that_is_not_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search("iris", tmp_path / "whole", n_candidates=6)
    monkeypatch.setitem(ALGORITHMS, "evolution", InterruptAfter)
    result = search("iris", tmp_path / "cut", n_candidates=6)
    monkeypatch.undo()
    assert result.stopped == "interrupted"
    journal = read_journal(result.run_dir / "journal.jsonl")
    assert result.history == journal.evaluations[:2]
    assert len(journal.evaluations) == 3
    resumed = nas.resume(result.run_dir, n_workers=0, progress=False)
    assert journal_without_times(resumed) == journal_without_times(whole)


def test_an_interrupt_before_anything_is_known_is_just_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.execution.serial.evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search("iris", tmp_path)


class TestRefusals:
    """What is wrong is said before anything is started, and nothing is left behind."""

    @pytest.mark.parametrize(
        ("options", "error", "complaint"),
        [
            ({"space": "nonsense"}, SpaceError, "expected one of deep, funnel, small, tiny or a TOML file"),
            ({"algorithm": "magic"}, InputError, "algorithm: expected one of evolution, random, got 'magic'"),
            (
                {"n_candidates": 0},
                InputError,
                "n_candidates: expected a whole number of at least 1, below 2\\*\\*32, got 0",
            ),
            (
                {"seed": -1},
                InputError,
                "seed: expected a whole number of at least 0, below 2\\*\\*32, got -1",
            ),
            ({"seed": 0.5}, InputError, "seed: expected a whole number"),
            (
                {"time_budget": 0},
                InputError,
                "time_budget: expected a number of at least 0.001, below 2\\*\\*32, got 0",
            ),
            (
                {"n_workers": -1},
                InputError,
                "n_workers: expected a whole number of at least 0, below 2\\*\\*32, got -1",
            ),
            ({"target": "nonsense"}, DataError, "expected a target among the columns .*, got 'nonsense'"),
            ({"task": "guessing"}, DataError, "task: expected one of classification, multilabel, regression"),
            ({"name": "a/b"}, RunError, "--name a/b: expected a name without slashes"),
        ],
    )
    def test_wrong_settings_are_named(
        self, tmp_path: Path, options: dict[str, Any], error: type[Exception], complaint: str
    ) -> None:
        with pytest.raises(error, match=complaint):
            search("iris", tmp_path / "runs", **options)
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())

    def test_a_batch_larger_than_the_table_is_refused(self, tmp_path: Path) -> None:
        space = nas.SearchSpace(depth=(1, 1), widths=(4,), batch_size=(16, 512), name="mine")
        with pytest.raises(SpaceError, match=r"space mine: batch_size: expected at most 96, .* got 512"):
            search("iris", tmp_path, space=space)

    def test_networks_larger_than_the_machine_are_refused(self, tmp_path: Path) -> None:
        space = nas.SearchSpace(depth=(1, 20), widths=(65_536,), name="mine")
        with pytest.raises(SpaceError, match="space mine: widths: expected networks that train within half"):
            search("iris", tmp_path, space=space)

    def test_a_taken_name_is_refused_and_the_run_untouched(self, tmp_path: Path) -> None:
        first = search("iris", tmp_path, n_candidates=3)
        before = {path: path.read_bytes() for path in first.run_dir.rglob("*") if path.is_file()}
        with pytest.raises(RunError, match=r"--name one: expected a name that is not in .* yet"):
            search("iris", tmp_path)
        assert {path: path.read_bytes() for path in first.run_dir.rglob("*") if path.is_file()} == before

    @pytest.mark.parametrize("runs_dir", ["/proc/runs", "/dev/null/runs"])
    def test_an_unwritable_runs_folder_is_refused(self, runs_dir: str) -> None:
        with pytest.raises(RunError, match=f"--runs-dir {runs_dir}: expected a folder to write to"):
            search("iris", Path(runs_dir))

    @pytest.mark.parametrize("content", [None, "nonsense", "[]", "{}"])
    def test_what_is_no_run_cannot_be_resumed(self, tmp_path: Path, content: str | None) -> None:
        if content is not None:
            (tmp_path / "config.json").write_text(content)
        with pytest.raises(RunError, match="expected"):
            nas.resume(tmp_path, progress=False)
