"""Searches among encodings of inputs: networks of different inputs, children across them, and memory."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from searches import assert_same_search, resume, search, snapshots

import nas
from nas.data import BINS, load_dataset
from nas.errors import InputError, SpaceError
from nas.evaluation import Candidate, Checkpoint, Problem, build_network, evaluate, plan_cohorts
from nas.evaluation.problem import architecture, input_change, network_sizes
from nas.genome import NUMERIC_ENCODINGS, SCALINGS, Encoding, Genome
from nas.network import morph, with_inputs
from nas.reporting.history import read_history
from nas.run.preparation import Prepared, prepare
from nas.run.suitable_space import affordable_space
from nas.training import predict

BINNED = Encoding(numeric_encoding="piecewise_linear")
WITH, WITHOUT = (Genome((6, 4), "tanh", 0.01, numeric_encoding=name) for name in ("piecewise_linear", "none"))

SPACE = nas.SearchSpace(depth=(1, 2), widths=(4, 8, 16), scaling=SCALINGS, numeric_encoding=NUMERIC_ENCODINGS)


@pytest.fixture(scope="module")
def thresholds() -> pd.DataFrame:
    """A class that thresholds of single columns decide, with gaps and categories beside them."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 600))
    frame = pd.DataFrame({"a": a, "b": np.exp(b), "word": rng.choice(list("xyz"), 600)})
    frame["kind"] = np.where((np.abs(a) < 0.6) ^ (frame["word"] == "x"), "yes", "no")
    frame.loc[::19, "b"] = np.nan
    return frame


@pytest.fixture(scope="module")
def prepared(thresholds: pd.DataFrame) -> Prepared:
    """A class that rises with numbers, so that lines say most of what bins do."""
    kind = (thresholds["a"] > 0.4) | (thresholds["b"] > 2)
    dataset = load_dataset(thresholds.assign(kind=kind), target="kind")
    return prepare(dataset, 0, {"epochs": 30}, encodings=[BINNED], n_folds=1)


def candidate(genome: Genome, i: int = 0, **options: Any) -> Candidate:
    return Candidate(i, genome, 5 + i, 0, "random", **options)


def trained(problem: Problem, genome: Genome) -> Checkpoint:
    (evaluation,) = evaluate([candidate(genome)], problem) or []
    (state,) = evaluation.states
    return Checkpoint(genome, (state.best or state,))


# Networks of different inputs.


def test_each_network_has_the_inputs_of_its_encoding(prepared: Prepared) -> None:
    problem = prepared.problem
    assert problem.n_inputs_by_encoding == {Encoding(): 6, BINNED: 6 + 2 * BINS}
    assert network_sizes(WITHOUT, problem) == (6, 6, 4, 1)
    assert network_sizes(WITH, problem) == (6 + 2 * BINS, 6, 4, 1)
    cohorts = plan_cohorts([candidate(genome, i) for i, genome in enumerate([WITH, WITHOUT] * 4)], problem)
    assert sorted(len({one.genome.encoding for one in cohort}) for cohort in cohorts) == [1, 1]
    for cohort in cohorts:
        for one in evaluate(cohort, problem) or []:
            genome = next(other.genome for other in cohort if other.id == one.candidate_id)
            assert one.n_parameters == genome.n_parameters(problem.n_inputs_of(genome), 1)
            assert one.states[0].parameters.size == one.n_parameters


# Children of parents with other inputs.


def child_outputs(problem: Problem, parent: Checkpoint, genome: Genome) -> tuple[Any, Any]:
    """The outputs of a parent, and those of a child before it is trained, for the training rows."""
    change = input_change(parent.genome, genome, problem)
    assert change is not None
    before = architecture(parent.genome, problem)
    changed, between = with_inputs(parent.states[0], before, change), change.architecture(before)
    state = morph(changed, between, architecture(genome, problem), [0, 1], np.random.default_rng(0))
    networks = []
    for one, parameters in ((parent.genome, parent.states[0].parameters), (genome, state.parameters)):
        network = build_network(one, 0, problem, initialize=False)
        network.parameters[...] = parameters
        networks.append(predict(network, problem.of(one).X_train))
    return networks[0], networks[1]


def test_a_child_with_bins_computes_what_its_parent_without_does(prepared: Prepared) -> None:
    before, after = child_outputs(prepared.problem, trained(prepared.problem, WITHOUT), WITH)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_a_child_without_bins_keeps_their_lines(prepared: Prepared) -> None:
    problem = prepared.problem
    parent = trained(problem, WITH)
    before, after = child_outputs(problem, parent, WITHOUT)
    codes, means = problem.codes[BINNED], problem.encoded[BINNED][0].mean(axis=0)
    flat = replace(codes, slopes=0 * codes.slopes, heights=means * codes.are_codes)
    _, with_means = child_outputs(replace(problem, codes={BINNED: flat}), parent, WITHOUT)
    assert np.abs(after - before).mean() < 0.7 * np.abs(with_means - before).mean()


@pytest.mark.parametrize(("parent", "genome"), [(WITH, WITHOUT), (WITHOUT, WITH)])
def test_a_child_with_other_inputs_starts_ahead_of_one_from_scratch(
    prepared: Prepared, parent: Genome, genome: Genome
) -> None:
    problem = prepared.problem
    checkpoints = {1: trained(problem, parent)}
    (child,) = evaluate([candidate(genome, 1, inherits=0)], problem, checkpoints) or []
    (scratch,) = evaluate([candidate(genome, 1)], problem) or []
    assert child.train_losses[1] < 0.8 * scratch.train_losses[1]


def test_lines_of_codes_are_those_of_least_squares(prepared: Prepared) -> None:
    codes = prepared.problem.codes[BINNED]
    X = prepared.problem.encoded[BINNED][0].astype(np.float64)
    plain = prepared.problem.X_train
    np.testing.assert_array_equal(X[:, ~codes.are_codes].astype(np.float32), plain)
    assert codes.are_codes.sum() == 2 * BINS
    for i in np.flatnonzero(codes.are_codes):
        slope, height = np.polyfit(plain[:, codes.numbers[i]], X[:, i], 1)
        assert (codes.slopes[i], codes.heights[i]) == pytest.approx((slope, height), rel=1e-3, abs=1e-4)


# Whole searches.


def test_a_search_among_encodings_is_resumed_exported_and_reported(
    tmp_path: Path, thresholds: pd.DataFrame
) -> None:
    options = {"space": SPACE, "target": "kind", "epochs": 12, "n_candidates": 24, "folds": 1, "seed": 1}
    with snapshots(tmp_path / "cut", after=(9,)):
        result = search(thresholds, tmp_path / "whole", **options)
    assert_same_search(resume(tmp_path / "cut" / "9", data=thresholds), result)
    assert {candidate.genome.numeric_encoding for candidate, _ in result.history} == set(NUMERIC_ENCODINGS)
    genomes = {candidate.id: candidate.genome for candidate, _ in result.history}
    for one, _ in result.history:
        assert one.inherits is None or genomes[one.inherits].scaling == one.genome.scaling
    network = nas.load_network(result.run_dir)
    by_name = {column.name: column for column in network.columns}
    has_bins = result.best.genome.numeric_encoding == "piecewise_linear"
    assert (by_name["a"].n_codes, by_name["b"].n_codes) == (BINS * has_bins,) * 2
    exported = nas.export_network(result.run_dir, "python", tmp_path / "model.py")
    assert exported.agreement.difference <= 1e-5
    history = read_history(result.run_dir)
    assert history.costs is not None
    for network_tried in history.networks:
        costs = history.costs(network_tried.genome)
        assert costs.parameters == network_tried.evaluation.n_parameters


@pytest.mark.exhaustive
@pytest.mark.ray
def test_encodings_are_searched_alike_by_any_number_of_workers(
    tmp_path: Path, thresholds: pd.DataFrame
) -> None:
    options = {"space": SPACE, "target": "kind", "epochs": 12, "n_candidates": 24, "n_finalists": 3}
    serial = search(thresholds, tmp_path / "serial", **options)
    assert_same_search(search(thresholds, tmp_path / "two", n_workers=2, **options), serial)


@pytest.mark.slow
def test_the_space_for_tables_finds_thresholds(tmp_path: Path, thresholds: pd.DataFrame) -> None:
    options = {"target": "kind", "epochs": 20, "n_candidates": 12, "importance": True, "report": True}
    result = search(thresholds, tmp_path, space="tables", **options)
    assert result.test.score > 0.85
    assert result.columns is not None


def test_importance_is_of_all_inputs_of_a_column(tmp_path: Path, thresholds: pd.DataFrame) -> None:
    space = replace(SPACE, scaling=(), numeric_encoding=("piecewise_linear",), name="bins")
    result = search(
        thresholds, tmp_path, space=space, target="kind", epochs=25, n_candidates=4, folds=1, importance=True
    )
    assert result.columns is not None
    found = {effect.name: effect.importance for effect in result.columns.effects}
    assert found["a"] > 0.1
    assert found["a"] > 3 * abs(found["b"])


def test_spaces_of_earlier_journals_are_read_and_written_as_they_were() -> None:
    deep = nas.load_space("deep")
    record = deep.to_dict()
    assert "numeric_encoding" not in record
    assert nas.SearchSpace.from_dict(record) == deep
    assert nas.SearchSpace.from_dict(json.loads(json.dumps(SPACE.to_dict()))) == SPACE


# Memory.


def wide() -> pd.DataFrame:
    """More numbers in bins than there is room for, by a bound that a test lowers."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(80, 30))).rename(columns=str).assign(y=list("pq") * 40)


def test_bins_beyond_memory_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = load_dataset(wide(), target="y")
    assert affordable_space(SPACE, dataset) is SPACE
    monkeypatch.setattr("nas.run.suitable_space._MOST_CODES", 2**18)
    with caplog.at_level(logging.WARNING):
        space = affordable_space(SPACE, dataset)
    assert space == replace(SPACE, numeric_encoding=("none",))
    assert "numeric_encoding piecewise_linear is left out of the search" in caplog.text
    assert "16 bins for 30 columns of numbers in 80 rows, 4 scalings each" in caplog.text
    assert affordable_space(space, dataset) is space
    only = replace(SPACE, numeric_encoding=("piecewise_linear",), name="bins")
    with pytest.raises(SpaceError, match=r'^search space bins: numeric_encoding: expected .* "none" among'):
        affordable_space(only, dataset)


@pytest.mark.parametrize(("n_columns", "are_left_out"), [(50, False), (51, True)])
def test_tables_of_very_many_columns_go_without_bins_where_the_space_can(
    n_columns: int, are_left_out: bool, caplog: pytest.LogCaptureFixture
) -> None:
    X = np.random.default_rng(0).normal(size=(20, n_columns))
    dataset = load_dataset((X, np.arange(20) % 2))
    with caplog.at_level(logging.INFO):
        space = affordable_space(SPACE, dataset)
    assert (space.numeric_encoding == ("none",)) == are_left_out
    assert ("left out of the search: 51 columns of numbers" in caplog.text) == are_left_out
    only = replace(SPACE, numeric_encoding=("piecewise_linear",))
    assert affordable_space(only, dataset) is only  # as it was asked for


def test_a_search_goes_without_bins_that_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.run.suitable_space._MOST_CODES", 2**18)
    options = {"target": "y", "space": SPACE, "n_candidates": 6, "epochs": 2, "folds": 1}
    result = search(wide(), tmp_path, **options)
    assert {candidate.genome.numeric_encoding for candidate, _ in result.history} == {"none"}
    again = resume(result.run_dir, data=wide(), n_candidates=8)
    assert len(again.history) == 8
    with pytest.raises(InputError, match=r"^starts: expected genomes of space"):
        search(wide(), tmp_path / "starts", starts=[WITH], **options)
