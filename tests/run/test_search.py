"""Whole searches: the same for any number of workers, and from any table to predictions."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from searches import (
    COPIES,
    QUICK,
    RACE,
    assert_same_result,
    assert_same_search,
    journal_without_times,
    resume,
    search,
    snapshots,
    weights,
)
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.metrics import accuracy_score, make_scorer, r2_score

import nas
from nas.data.cuts import split
from nas.data.sources import BUNDLED
from nas.errors import DataError, InputError, RunError, SearchError, SpaceError
from nas.evaluation import WORST_FITNESS, Candidate, Training, build_network, evaluate, fit
from nas.run.preparation import prepare
from nas.run.winner import final_networks
from nas.space import cost_model, encodings_of
from nas.tracking.journal import read_journal

WAYS: dict[str, dict[str, Any]] = {
    "auto": {},
    "plus": {"algorithm": "plus"},
    "plus with halving": {"algorithm": "plus", "halving": True},
    "aging": {"algorithm": "aging", "halving": True, "inherit": True},
    "nsga2": {"algorithm": "nsga2", "halving": True},
    "many under way": {"batches_in_flight": 5},
    "comma without children": {"algorithm": "comma", "inherit": False, "surrogate": "trees"},
    "random": {"algorithm": "random"},
}


def kinds(result: nas.SearchResult) -> set[str]:
    """What there was among the candidates: children, continued ones."""
    found = {"child" for one, _ in result.history if one.inherits is not None and not one.epochs_done}
    return found | {"continued" for one, _ in result.history if one.epochs_done}


@pytest.mark.exhaustive_except("auto")
@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("way", ["auto", "plus", "aging", "nsga2", "random"])
def test_any_number_of_workers_gives_the_same_journal_and_winner(tmp_path: Path, way: str) -> None:
    options = RACE | WAYS[way] | {"seed": 11, "n_finalists": 3}
    results = [search("wine", tmp_path / str(n), n_workers=n, **options) for n in (0, 2, 7)]
    serial, *others = results
    for other in others:
        assert_same_search(other, serial)
    assert kinds(serial) == {"auto": {"child", "continued"}, "plus": {"child"}, "random": set()}.get(
        way, {"child", "continued"}
    )


@pytest.mark.slow
@pytest.mark.exhaustive_except("auto", "plus")
@pytest.mark.parametrize("way", ["auto", "plus with halving", "nsga2"])
def test_the_same_seed_repeats_and_another_does_not(tmp_path: Path, way: str) -> None:
    one, again = (search("iris", tmp_path / str(i), seed=2, **RACE | WAYS[way]) for i in range(2))
    other = search("iris", tmp_path / "other", seed=3, **RACE | WAYS[way])
    assert_same_search(one, again)
    assert journal_without_times(one) != journal_without_times(other)
    assert kinds(one) == {"child", "continued"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("algorithm", ["auto", "plus"])
def test_a_time_budget_only_cuts_the_sequence(tmp_path: Path, algorithm: str) -> None:
    options = {"space": "small", "epochs": 3, "algorithm": algorithm}
    cut = search("digits", tmp_path / "cut", n_candidates=10_000, time_budget=4.0, **options)
    assert cut.stopped == "time"
    n = len(cut.history)
    whole = search("digits", tmp_path / "whole", n_candidates=n + 7, **options)
    assert journal_without_times(whole)[: n + 1] == journal_without_times(cut)


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", ["auto", "plus", "aging", "nsga2"])
def test_a_shorter_search_is_the_beginning_of_a_longer_one(tmp_path: Path, way: str) -> None:
    # Cut inside a generation, too, whose cohorts must not depend on where that is.
    options = RACE | WAYS[way]
    long = journal_without_times(search("wine", tmp_path / "long", **options))
    for n in (1, 7, 12, 29):
        short = search("wine", tmp_path / f"short{n}", **options | {"n_candidates": n})
        entries = journal_without_times(short)
        assert short.n_candidates == n
        assert long[: len(entries)] == entries


def test_a_tiny_space_is_exhausted_and_says_so(tmp_path: Path) -> None:
    result = search("iris", tmp_path, n_candidates=500, epochs=2)
    assert result.stopped == "exhausted"
    assert len(result.history) == nas.load_space("tiny").size() == 20


@pytest.mark.slow
def test_the_exported_network_is_the_one_that_was_scored(tmp_path: Path) -> None:
    result = search("wine", tmp_path, epochs=20, baseline=True)
    dataset = nas.load_dataset("wine")
    rows = split(dataset, 0).test
    network = nas.load_network(result.run_dir)
    labels = np.array(dataset.classes)[dataset.y[rows]]
    assert accuracy_score(labels, network.predict(dataset.table.iloc[rows])) == result.test.score
    assert result.test.baseline is not None
    assert result.test.difference == pytest.approx(result.test.score - result.test.baseline)


@pytest.mark.exhaustive_except("auto-wine")
@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "diabetes", "labels"])
@pytest.mark.parametrize("way", ["auto", "plus"])
def test_without_refit_the_network_is_the_one_the_search_measured(
    tmp_path: Path, data: str, way: str
) -> None:
    made = make_multilabel_classification(300, 6, n_classes=3, random_state=0) if data == "labels" else data
    n_folds = 5 if way == "plus" else 1
    options = RACE | WAYS[way] | {"n_candidates": 16, "folds": n_folds}
    result = search(made, tmp_path, refit=False, n_finalists=3, **options)
    encodings = encodings_of(nas.load_space("small"))
    prepared = prepare(nas.load_dataset(made), 0, encodings=encodings, n_folds=n_folds)
    problem = prepared.problem.of(result.best.genome)
    rows, X, y = prepared.split.validation, problem.X_validation, problem.y_validation
    measured = result.evaluation.fitness
    if n_folds > 1:  # the network of the fold with the best score
        fold_scores = result.evaluation.fold_scores
        part = problem.folds[int(np.argmax(fold_scores))].validation
        rows, X, y, measured = (
            prepared.split.train[part],
            problem.X_train[part],
            problem.y_train[part],
            max(fold_scores),
        )
    table = prepared.dataset.table.iloc[rows]
    network = build_network(result.best.genome, 0, problem, initialize=False)
    for mine, its in zip(
        [*network.weights, *network.biases],
        [*result.network.members[0].weights, *result.network.members[0].biases],
        strict=True,
    ):
        mine[...] = its
    assert float(f"{problem.metric(network.predict(X), y):.6g}") == measured
    if data == "digits":
        labels = np.array(prepared.dataset.classes)[prepared.dataset.y[rows]]
        predicted = result.network.predict(table)
        assert float(f"{accuracy_score(labels, predicted):.6g}") == measured
    provenance = nas.load_network(result.run_dir).provenance
    assert provenance["refit"] is False


def test_a_refit_takes_the_given_number_of_epochs() -> None:
    prepared = prepare(nas.load_dataset("iris"), 0, {"epochs": 3})
    one = Candidate(0, nas.Genome((8,)), 1, 0, "random")
    networks = [
        final_networks(prepared, candidate, epochs=epochs, states=(), provenance={})[0]
        for candidate, epochs in ((one, 4), (one, 4), (one, 40))
    ]
    first, again, longer = (network.weights[0].tobytes() for network in networks)
    assert first == again != longer
    # Its parent, and the rung it was on, have no part in it.
    child = Candidate(0, nas.Genome((8,)), 1, 3, "continue", (2,), inherits=2, epochs_done=2, epochs=3)
    (network,) = final_networks(prepared, child, epochs=4, states=(), provenance={})
    assert network.weights[0].tobytes() == first
    assert network.provenance == {"refit": True}


def test_a_refit_takes_batches_of_half_the_size_that_the_search_took() -> None:
    prepared = prepare(nas.load_dataset("iris"), 0, {"batch_size": 16})
    source = prepared.final.problem
    half = replace(source.training, batch_size=8, epochs=5, schedule="cosine")
    expected = build_network(nas.Genome((8,)), 1, source)
    plain = Candidate(0, nas.Genome((8,)), 1, 0, "random")
    fit([expected], [Training(plain)], replace(source, training=half), validate=False)
    for gene, alike in ((None, True), (16, True), (32, False)):
        one = Candidate(0, nas.Genome((8,), batch_size=gene), 1, 0, "random")
        (network,) = final_networks(prepared, one, epochs=4, states=(), provenance={})
        assert np.array_equal(network.weights[0], expected.weights[0]) == alike


def test_a_refit_that_diverges_leaves_what_was_measured() -> None:
    prepared = prepare(nas.load_dataset("diabetes"), 0, {"epochs": 30}, n_folds=1)
    (found,) = evaluate([Candidate(0, nas.Genome((8,)), 1, 0, "random")], prepared.problem) or []
    wild = nas.Genome((8,), learning_rate=100.0, optimizer="sgd")
    (network,) = final_networks(
        prepared, Candidate(0, wild, 1, 0, "random"), epochs=9, states=found.states, provenance={}
    )
    assert network.provenance == {"refit": False}
    X = prepared.dataset.table.iloc[prepared.split.validation]
    y = prepared.dataset.y[prepared.split.validation]
    assert r2_score(y, network.predict(X)) == pytest.approx(found.fitness, abs=1e-4)  # float32


def test_the_last_training_is_annealed_whatever_the_genome_carries() -> None:
    prepared = prepare(nas.load_dataset("iris"), 0, {"epochs": 3})
    trained = set()
    for schedule in (None, "constant", "step"):
        one = Candidate(0, nas.Genome((8,), schedule=schedule), 1, 0, "random")
        (network,) = final_networks(prepared, one, epochs=3, states=(), provenance={})
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


@pytest.fixture
def skewed() -> pd.DataFrame:
    """Two classes that depend on a number of heavy tails and on one of 60 codes, both with gaps."""
    rng = np.random.default_rng(5)
    codes, effects = rng.integers(0, 60, 900), rng.normal(0, 1, 60)
    income = np.exp(rng.normal(0, 2, 900))
    log_odds = 2 * effects[codes] + np.log(income) + rng.normal(0, 0.3, 900)
    frame = pd.DataFrame({"code": [f"c{code}" for code in codes], "income": income, "kind": log_odds > 0})
    frame.loc[::31, "income"] = np.nan
    frame.loc[::37, "code"] = None
    return frame


SCALED = nas.SearchSpace(depth=(1, 2), widths=(4, 8, 16), scaling=("standard", "quantile"))


@pytest.mark.exhaustive_except("1")
@pytest.mark.slow
@pytest.mark.parametrize("ensemble", [1, 3])
def test_how_numbers_are_scaled_is_searched_and_exported(
    tmp_path: Path, skewed: pd.DataFrame, ensemble: int
) -> None:
    result = search(skewed, tmp_path, target="kind", space=SCALED, epochs=20, ensemble=ensemble)
    tried = {candidate.genome.scaling for candidate, _ in result.history}
    assert tried == {"standard", "quantile"}
    assert result.test.score > 0.85
    network = nas.load_network(result.run_dir)
    by_name = {column.name: column for column in network.columns}
    assert bool(by_name["income"].knots) == (result.best.genome.scaling == "quantile")
    assert len(by_name["code"].means) == 62
    assert network.predict(skewed).tolist() == result.network.predict(skewed).tolist()
    parents = {one.id: one.genome for one, _ in result.history}
    for one, _ in result.history:
        assert one.inherits is None or parents[one.inherits].scaling == one.genome.scaling


@pytest.mark.exhaustive
@pytest.mark.ray
def test_scalings_are_searched_alike_by_any_number_of_workers_and_resumed(
    tmp_path: Path, skewed: pd.DataFrame
) -> None:
    options = RACE | {"space": SCALED, "target": "kind", "n_finalists": 3}
    with snapshots(tmp_path / "cut", after=(9,)):
        serial = search(skewed, tmp_path / "serial", **options)
    assert_same_search(search(skewed, tmp_path / "two", n_workers=2, **options), serial)
    assert_same_search(resume(tmp_path / "cut" / "9", data=skewed), serial)


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


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "options",
    [
        {"n_finalists": 2, "ensemble": 3, "scoring": lambda one, X, y: float(np.mean(one.predict(X) == y))},
        {"objectives": ("error", "parameters"), "scoring": "roc_auc_ovr", "baseline": True},
        {"n_finalists": 2, "scoring": make_scorer(accuracy_score)},
    ],
    ids=["ensemble", "front", "scorer"],
)
def test_a_result_can_be_pickled_and_copied(tmp_path: Path, options: dict[str, Any]) -> None:
    result = search("iris", tmp_path, **({"n_candidates": 6, "epochs": 3} | options))
    for make in COPIES.values():
        assert_same_result(make(result), result, nas.load_dataset("iris").table)


@pytest.mark.exhaustive
def test_a_search_in_another_process_hands_its_result_over(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        options = QUICK | {"n_finalists": 2, "n_candidates": 4, "runs_dir": tmp_path / "there"}
        there = pool.submit(nas.search, "iris", **options).result()
    here = search("iris", tmp_path / "here", n_finalists=2, n_candidates=4)
    assert there.best == here.best
    assert there.test == here.test
    assert list(there.history) == list(here.history)


def test_hidden_features_have_the_last_layers_width(tmp_path: Path) -> None:
    result = search("iris", tmp_path)
    table = nas.load_dataset("iris").table
    assert result.network.transform(table).shape == (150, result.best.genome.widths[-1])


def test_a_space_in_python_and_no_hidden_layer(tmp_path: Path) -> None:
    space = nas.SearchSpace(depth=(0, 0), widths=(4,), learning_rate=nas.Range(0.01, 0.1, "log"))
    result = search("iris", tmp_path, space=space)
    assert str(result.best.genome).startswith("linear")
    assert result.network.members[0].sizes == (4, 3)


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

    @pytest.mark.exhaustive_except("auto")
    @pytest.mark.slow
    @pytest.mark.parametrize("way", WAYS)
    def test_killed_anywhere_the_search_ends_the_same(self, tmp_path: Path, way: str) -> None:
        cuts = (0, 9, 22, 31)
        options = RACE | WAYS[way] | {"n_finalists": 2}
        with snapshots(tmp_path / "cut", cuts):
            whole = search("wine", tmp_path / "whole", **options)
        for cut in cuts:
            folder = tmp_path / "cut" / str(cut)
            assert len(read_journal(folder / "journal.jsonl").evaluations) == cut
            assert_same_search(resume(folder), whole)

    @pytest.mark.exhaustive
    @pytest.mark.ray
    @pytest.mark.usefixtures("running_ray")
    @pytest.mark.parametrize("way", ["auto", "aging"])
    def test_killed_anywhere_two_workers_end_the_same(self, tmp_path: Path, way: str) -> None:
        serial = search("wine", tmp_path / "serial", **RACE | WAYS[way])
        with snapshots(tmp_path / "cut", (3, 27)):
            whole = search("wine", tmp_path / "whole", n_workers=2, **RACE | WAYS[way])
        assert_same_search(whole, serial)
        for cut in (3, 27):
            assert_same_search(resume(tmp_path / "cut" / str(cut), n_workers=2), serial)

    @pytest.mark.exhaustive
    def test_killed_twice_it_ends_the_same(self, tmp_path: Path) -> None:
        with snapshots(tmp_path / "once", (9,)):
            whole = search("wine", tmp_path / "whole", **RACE)
        with snapshots(tmp_path / "twice", (26,)):
            assert_same_search(resume(tmp_path / "once" / "9"), whole)
        assert_same_search(resume(tmp_path / "twice" / "26"), whole)

    @pytest.mark.exhaustive
    def test_a_journal_cut_at_any_line_goes_on_the_same(self, tmp_path: Path) -> None:
        whole = search("iris", tmp_path / "whole", n_candidates=20)
        lines = (whole.run_dir / "journal.jsonl").read_bytes().splitlines(keepends=True)
        for kept in (0, 1, 2, 9, 13, 20, 21):
            # While all candidates are among the best twenty, no weights are removed.
            folder = tmp_path / f"torn{kept}" / "one"
            shutil.copytree(whole.run_dir, folder)
            rest = lines[kept][: len(lines[kept]) // 2] if kept < len(lines) else b""
            (folder / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + rest)
            for file in (folder / "weights").glob("*.npz"):
                if int(file.stem) >= kept - 1:
                    file.unlink()
            assert_same_search(resume(folder), whole)

    def test_what_was_evaluated_is_not_evaluated_again(self, tmp_path: Path) -> None:
        first = search("iris", tmp_path, n_candidates=7)
        before = (first.run_dir / "journal.jsonl").read_bytes()
        resumed = resume(first.run_dir, n_candidates=18)
        assert (first.run_dir / "journal.jsonl").read_bytes().startswith(before)
        assert resumed.n_candidates == 18

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("way", WAYS)
    def test_more_candidates_than_at_first_give_the_longer_search(self, tmp_path: Path, way: str) -> None:
        options = RACE | WAYS[way]
        long = search("wine", tmp_path / "long", **options | {"n_candidates": 50})
        for n in (18, 37):
            short = search("wine", tmp_path / str(n), **options | {"n_candidates": n})
            assert_same_search(resume(short.run_dir, n_candidates=50), long)

    def test_changed_data_is_refused_with_the_difference(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        frame = nas.load_dataset("iris").table.assign(kind=np.arange(150) % 3)
        frame.to_csv(file, index=False)
        result = search(str(file), tmp_path)
        frame.loc[7, frame.columns[0]] = 99.0
        frame.to_csv(file, index=False)
        with pytest.raises(RunError, match=r"got another: data\.digest was \".*, now \""):
            resume(result.run_dir)

    def test_with_force_changed_data_begin_a_run_beside_the_old_one(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = tmp_path / "mine.csv"
        frame = nas.load_dataset("iris").table.assign(kind=np.arange(150) % 3)
        frame.to_csv(file, index=False)
        first = search(str(file), tmp_path, max_parameters=120)
        before = first.run_dir.joinpath("journal.jsonl").read_bytes()
        frame.loc[7, frame.columns[0]] = 99.0
        frame.to_csv(file, index=False)
        second = resume(first.run_dir, force=True)
        assert second.run_dir == tmp_path / "one-2"
        assert first.run_dir.joinpath("journal.jsonl").read_bytes() == before
        best = sorted(first.history, key=lambda pair: -pair[1].fitness)
        starts = [one.genome for one, _ in second.history if one.operator == "start"]
        assert starts == list(dict.fromkeys(one.genome for one, _ in best))[: len(starts)]
        assert "going on all the same: data.digest was" in caplog.text
        assert f"one-2: a new run, which begins with the best {len(starts)} genomes" in caplog.text
        # That one is resumed as any other, and the next one beside it has a name of its own.
        assert resume(second.run_dir).best == second.best
        assert resume(first.run_dir, force=True).run_dir == tmp_path / "one-3"

    def test_with_force_a_changed_space_begins_with_what_it_holds(self, tmp_path: Path) -> None:
        first = search("iris", tmp_path, space="small", n_candidates=20)
        config = json.loads((first.run_dir / "config.json").read_text())
        config["settings"]["space"]["depth"] = [1, 1]
        (first.run_dir / "config.json").write_text(json.dumps(config))
        with pytest.raises(RunError, match="if that was meant, delete the keys 'format' and 'checksum'"):
            resume(first.run_dir)
        del config["format"], config["checksum"]
        (first.run_dir / "config.json").write_text(json.dumps(config))
        with pytest.raises(RunError, match=r"space\.depth was \[1, \d\], now \[1, 1\]; with force"):
            resume(first.run_dir)
        second = resume(first.run_dir, force=True)
        assert {one.genome.depth for one, _ in second.history} == {1}
        kept = {one.genome for one, evaluation in first.history if one.genome.depth == 1}
        assert kept & {one.genome for one, _ in second.history if one.operator == "start"}

    @pytest.mark.exhaustive
    def test_with_force_another_version_goes_on_in_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options = RACE | {"n_candidates": 40}
        whole = search("wine", tmp_path / "whole", **options)
        cut = search("wine", tmp_path / "cut", **RACE)
        before = (cut.run_dir / "journal.jsonl").read_bytes()
        monkeypatch.setattr("nas.run.context.__version__", "9.0")
        with pytest.raises(RunError, match=r'got another: nas was ".*", now "9\.0"'):
            resume(cut.run_dir, n_candidates=40)
        result = resume(cut.run_dir, n_candidates=40, force=True)
        journal = (cut.run_dir / "journal.jsonl").read_bytes()
        assert result.run_dir == cut.run_dir
        assert journal.startswith(before)
        assert list(result.history) == list(whole.history)
        assert (result.best, weights(result)) == (whole.best, weights(whole))
        # From now on it is a run of that version.
        assert resume(cut.run_dir, n_candidates=40).best == whole.best
        assert (cut.run_dir / "journal.jsonl").read_bytes() == journal
        assert read_journal(cut.run_dir / "journal.jsonl").identity["nas"] == "9.0"

    def test_data_may_come_again_as_a_path(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        nas.load_dataset("iris").table.assign(a=np.arange(150) % 3, last=1.5).to_csv(file, index=False)
        result = search(str(file), tmp_path, target="a", n_candidates=3)
        resumed = resume(result.run_dir, data=file, n_candidates=5)
        assert len(resumed.history) == 5

    def test_data_from_memory_has_to_come_again(self, tmp_path: Path) -> None:
        X, y = make_regression(100, 5, random_state=0)
        result = search((X, y), tmp_path, n_candidates=3)
        with pytest.raises(RunError, match="expected data="):
            resume(result.run_dir)
        resumed = resume(result.run_dir, data=(X, y), n_candidates=5)
        assert len(resumed.history) == 5

    @pytest.mark.exhaustive
    @pytest.mark.ray  # three searches in processes of their own
    def test_a_killed_driver_loses_nothing_that_was_written(self, tmp_path: Path) -> None:
        whole = search("digits", tmp_path / "whole", n_candidates=20, epochs=40)
        command = [sys.executable, "-m", "nas", "search", "digits", "--space", "tiny", "--candidates", "20"]
        command += [
            "--epochs",
            "40",
            "--workers",
            "1",
            "--name",
            "one",
            "--no-tracking",
            "--no-report",
            "--no-baseline",
        ]
        command += ["--finalists", "1", "--members", "1", "--folds", "2"]
        command += ["--runs-dir", str(tmp_path / "runs")]
        journal = tmp_path / "runs" / "one" / "journal.jsonl"
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
            assert process.poll() is None, "the search ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        n_written = len(read_journal(journal).evaluations)
        assert 5 <= n_written < len(whole.history)
        resumed = resume(tmp_path / "runs" / "one")
        assert journal_without_times(resumed) == journal_without_times(whole)
        assert weights(resumed) == weights(whole)


@pytest.mark.exhaustive
@pytest.mark.ray  # and twenty real trainings of five folds
def test_digits_are_learned_as_well_as_promised(tmp_path: Path) -> None:
    # 0.975 where it was measured, 0.97 being asked for; rounding on other processors may move some
    # of the 360 test rows. A last training at a constant rate, once a mistake here, gave 0.958.
    result = nas.search("digits", n_candidates=20, runs_dir=tmp_path, tracking=False, progress=False)
    assert result.test.score >= 0.965


@pytest.mark.exhaustive
@pytest.mark.parametrize("space", nas.available_spaces())
@pytest.mark.parametrize("data", BUNDLED)
def test_every_shipped_space_fits_every_bundled_set(tmp_path: Path, space: str, data: str) -> None:
    options = {"n_candidates": 2, "epochs": 1, "folds": 1, "importance": False}
    result = search(data, tmp_path, space=space, **options)
    assert len(result.history) == 2


class TestLimits:
    """No network exceeds what it may cost."""

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("algorithm", ["auto", "plus", "comma", "aging", "nsga2", "random"])
    def test_no_candidate_of_a_search_exceeds_the_limits(self, tmp_path: Path, algorithm: str) -> None:
        limits = {"max_parameters": 3000, "max_flops": 5000.0, "max_latency": 9.0}
        result = search("wine", tmp_path, **RACE | limits | {"algorithm": algorithm})
        costs = cost_model(13, 3)
        for candidate, evaluation in result.history:
            found = costs(candidate.genome)
            assert found.parameters == evaluation.n_parameters <= 3000
            assert found.flops <= 5000
            assert found.latency <= 9
        assert len({evaluation.n_parameters for _, evaluation in result.history}) > 5

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ({"max_parameters": 10}, r"at most 10 parameters, got none; the least there is: \d+ parameters"),
            ({"max_flops": 1}, "at most 1 FLOPs, got none; the least there is: .* FLOPs"),
            ({"max_latency": 0.1}, "at most 0.1 µs of latency, got none; the least there is: .* µs"),
            (
                {"max_parameters": 10, "max_latency": 5},
                "at most 10 parameters, at most 5 µs of latency, got none; the least .* parameters, .* µs",
            ),
            ({"max_parameters": 0}, "max_parameters: expected a number above 0, got 0"),
            ({"max_latency": float("nan")}, "max_latency: expected a number above 0, got nan"),
            ({"max_flops": "few"}, "max_flops: expected a number above 0, got 'few'"),
        ],
    )
    def test_what_leaves_nothing_is_refused(
        self, tmp_path: Path, options: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(InputError, match=complaint) as error:
            search("wine", tmp_path, **options)
        assert "\n" not in str(error.value)
        assert not list(tmp_path.iterdir())


class TestStarts:
    """Searches that begin with what is known."""

    STARTS = (nas.Genome((32, 8)), nas.Genome((16,)))

    def test_they_come_first(self, tmp_path: Path) -> None:
        result = search("iris", tmp_path, starts=self.STARTS)
        assert [one.genome for one, _ in result.history[:2]] == list(self.STARTS)
        assert [one.operator for one, _ in result.history[:2]] == ["start"] * 2
        genomes = [one.genome for one, _ in result.history if not one.epochs_done]
        assert len(set(genomes)) == len(genomes) == 16

    def test_they_are_resumed_with_the_rest(self, tmp_path: Path) -> None:
        with snapshots(tmp_path / "cut", (1, 5)):
            whole = search("iris", tmp_path / "whole", starts=self.STARTS)
        for cut in ("1", "5"):
            assert_same_search(resume(tmp_path / "cut" / cut), whole)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_the_best_of_an_earlier_run_are_taken(self, tmp_path: Path, kind: type) -> None:
        first = search("iris", tmp_path, n_candidates=16)
        second = search("iris", tmp_path, name="two", seed=1, starts=kind(first.run_dir))
        ranked = sorted((pair for pair in first.history), key=lambda pair: -pair[1].fitness)
        best = list(dict.fromkeys(candidate.genome for candidate, _ in ranked))
        assert [one.genome for one, _ in second.history[:12]] == best[:12]
        assert second.history[12][0].operator != "start"

    def test_of_an_earlier_run_only_what_fits_is_taken(self, tmp_path: Path) -> None:
        first = search("iris", tmp_path, n_candidates=16)
        space = nas.SearchSpace(depth=(1, 1), widths=(8, 16, 32, 64), name="mine")
        second = search("iris", tmp_path, name="two", space=space, starts=first.run_dir, n_candidates=4)
        starts = [one.genome for one, _ in second.history if one.operator == "start"]
        assert starts
        assert all(genome in space for genome in starts)

    @pytest.mark.parametrize(
        ("options", "error", "complaint"),
        [
            (
                {"starts": [nas.Genome((5,))]},
                InputError,
                "starts: expected genomes of space tiny, got 5: width 5 is not among 4, 8",
            ),
            ({"starts": [(4, 8)]}, InputError, "starts: expected genomes, got \\(4, 8\\)"),
            (
                {"starts": [nas.Genome((32, 8))], "max_parameters": 100},
                InputError,
                "starts: expected genomes within the limits, got 32-8$",
            ),
            ({"starts": "nowhere"}, RunError, "nowhere: expected a run with a journal.jsonl, got none"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, tmp_path: Path, options: dict[str, Any], error: type[Exception], complaint: str
    ) -> None:
        with pytest.raises(error, match=complaint):
            search("iris", tmp_path, **options)
        assert not list(tmp_path.iterdir())

    def test_a_run_of_another_space_is_refused(self, tmp_path: Path) -> None:
        first = search("iris", tmp_path, n_candidates=3)
        space = nas.SearchSpace(depth=(1, 1), widths=(5, 7), name="mine")
        with pytest.raises(
            InputError, match=r"starts: expected a run with genomes of space mine, got .*one, "
        ):
            search("iris", tmp_path, name="two", space=space, starts=first.run_dir)


class TestRefusals:
    """What is wrong is said before anything is started, and nothing is left behind."""

    @pytest.mark.parametrize(
        ("options", "error", "complaint"),
        [
            (
                {"space": "nonsense"},
                SpaceError,
                "expected one of deep, funnel, realmlp, small, tables, tabm,",
            ),
            (
                {"algorithm": "magic"},
                InputError,
                "algorithm: expected one of auto, plus, .*random, .*Strategy, got 'magic'",
            ),
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
            (
                {"total_epochs": 0},
                InputError,
                "total_epochs: expected a whole number of at least 1, .* got 0",
            ),
            ({"patience": 1.5}, InputError, "patience: expected a whole number of at least 1, .* got 1.5"),
            ({"n_finalists": 0}, InputError, "n_finalists: expected a whole number of at least 1, .* got 0"),
            ({"target_score": float("inf")}, InputError, "target_score: expected a number, got inf"),
            ({"target_score": True}, InputError, "target_score: expected a number, got True"),
            ({"inherit": "yes"}, InputError, "inherit: expected true or false, got 'yes'"),
            ({"halving": 2}, InputError, "halving: expected true or false, got 2"),
            (
                {"batches_in_flight": 0},
                InputError,
                "batches_in_flight: expected a whole number of at least 1, .* got 0",
            ),
            (
                {"batches_in_flight": 2, "algorithm": "plus"},
                InputError,
                "batches_in_flight: expected 1 for the generations of plus, got 2",
            ),
            ({"surrogate": "stars"}, InputError, "surrogate: expected one of none, process, trees, got"),
            ({"objectives": ("speed",)}, InputError, "objectives: expected some of error, parameters"),
            ({"objectives": ("parameters", "error")}, InputError, "objectives: expected error first, got"),
            ({"objectives": ("error", "error")}, InputError, "objectives: expected some of"),
            ({"objectives": 5}, InputError, "objectives: expected some of error, .*, latency, got 5"),
            ({"objectives": [5]}, InputError, r"objectives: expected some of error, .*, got \[5\]"),
            ({"objectives": ()}, InputError, r"objectives: expected some of error, .*, got \(\)"),
            ({"starts": 5}, InputError, "starts: expected a run's folder or a JSON file, or genomes, got 5"),
            ({"scoring": 5}, InputError, "scoring: expected a scorer's name or a function, got 5"),
            ({"space": 5}, InputError, "space: expected a name or a path, or a SearchSpace, got 5"),
            ({"na": 5}, InputError, "na: expected texts, got 5"),
            ({"callbacks": 5}, InputError, "callbacks: expected a list of objects, got 5"),
            ({"trackers": 5}, InputError, "trackers: expected a list of objects, got 5"),
            (
                {"objectives": ("error", "flops"), "algorithm": "plus"},
                InputError,
                "algorithm: expected auto or nsga2 for the objectives error, flops, got plus",
            ),
            ({"scoring": "nonsense"}, InputError, "scoring: expected accuracy, r2, or a scorer's name"),
            ({"scoring": "r2"}, InputError, "scoring: expected a score for classification, got 'r2'"),
            ({"target": "nonsense"}, DataError, "target: expected names of the columns .*, got 'nonsense'"),
            (
                {"task": "guessing"},
                InputError,
                "task: expected one of classification, ",
            ),
            ({"name": "a/b"}, RunError, "--name a/b: expected a name without slashes"),
        ],
    )
    def test_wrong_settings_are_named(
        self, tmp_path: Path, options: dict[str, Any], error: type[Exception], complaint: str
    ) -> None:
        with pytest.raises(error, match=complaint):
            search("iris", tmp_path / "runs", **options)
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())

    def test_a_folder_that_is_no_path_is_refused(self) -> None:
        with pytest.raises(InputError, match="runs_dir: expected a folder, got 5"):
            nas.search("iris", runs_dir=5)  # type: ignore[arg-type]

    def test_a_batch_larger_than_the_table_is_refused(self, tmp_path: Path) -> None:
        space = nas.SearchSpace(depth=(1, 1), widths=(4,), batch_size=(16, 512), name="mine")
        with pytest.raises(SpaceError, match=r"space mine: batch_size: expected at most 120, .* got 512"):
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


TRAINING_SPACE = nas.SearchSpace(
    depth=(1, 2),
    widths=(4, 8),
    learning_rate=(0.01,),
    schedule=("constant", "cosine", "coslog4"),
    beta2=(0.95, 0.999),
    label_smoothing=(0.0, 0.1),
    front_scaling=(0.0, 6.0),
    regularization_schedule=("constant", "flat_cosine"),
    clip_norm=(0.0, 0.5),
    bias_rate=(0.1, 1.0),
    parametrization=("standard", "ntk"),
    initialization=("random", "data"),
    layer_norm=(0, 1),
    skips=(0, 1),  # regression: journals with 0 could not be read
)


def test_genes_of_training_are_searched_recorded_and_resumed(tmp_path: Path) -> None:
    options = RACE | WAYS["aging"] | {"space": TRAINING_SPACE, "folds": 1}
    whole = search("iris", tmp_path / "whole", **options)
    genomes = [candidate.genome for candidate, _ in whole.history]
    for name, values in TRAINING_SPACE.genes.items():
        assert {getattr(genome, name) for genome in genomes} == set(values), name
    assert kinds(whole) == {"child", "continued"}
    assert not any(evaluation.failed for _, evaluation in whole.history)
    part = search("iris", tmp_path / "part", **options | {"n_candidates": 15})
    resumed = resume(part.run_dir, n_candidates=32)
    assert_same_search(resumed, whole)


def test_a_regression_leaves_label_smoothing_out(tmp_path: Path) -> None:
    genes: dict[str, Any] = {
        "schedule": "cosine",
        "beta2": 0.95,
        "front_scaling": 6.0,
        "regularization_schedule": "constant",
        "clip_norm": 0.5,
        "bias_rate": 0.1,
        "parametrization": "standard",
        "initialization": "data",
        "layer_norm": 1,
        "skips": 0,
    }
    starts = [nas.Genome((8,), learning_rate=0.01, label_smoothing=0.1, **genes)]
    space = {"space": TRAINING_SPACE, "n_candidates": 6}
    result = search("diabetes", tmp_path, starts=starts, **space)
    genomes = [candidate.genome for candidate, _ in result.history]
    assert genomes[0] == replace(starts[0], label_smoothing=None)
    assert {genome.label_smoothing for genome in genomes} == {None}
    assert len(resume(result.run_dir, n_candidates=8).history) >= 8
