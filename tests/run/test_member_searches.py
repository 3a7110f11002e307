"""Searches among numbers of members: trained, inherited, resumed, saved and reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from searches import assert_same_search, resume, search, snapshots

import nas
from nas.data import load_dataset
from nas.errors import SpaceError
from nas.evaluation import Candidate, Checkpoint, Problem, build_network, evaluate, plan_cohorts
from nas.genome import Encoding, Genome
from nas.reporting.history import read_history
from nas.reporting.panels import _structure
from nas.run.preparation import prepare
from nas.space import SearchSpace
from nas.space.space import check_fits

BINNED = Encoding(numeric_encoding="piecewise_linear")

SPACE = nas.SearchSpace(depth=(0, 2), widths=(4, 8, 16), learning_rate=(0.01,), members=(1, 4, 8))


@pytest.fixture(scope="module")
def problem() -> Problem:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300))
    frame = pd.DataFrame({"a": a, "word": rng.choice(list("xyz"), 300), "b": b})
    frame["kind"] = np.where((a * b > 0) ^ (frame["word"] == "x"), "yes", "no")
    return prepare(
        load_dataset(frame, target="kind"), 0, {"epochs": 20}, encodings=[BINNED], n_folds=1
    ).problem


def candidate(genome: Genome, i: int = 0, inherits: int | None = None) -> Candidate:
    return Candidate(i, genome, 5 + i, 0, "random", inherits=inherits)


def test_inputs_of_a_column_have_one_sign_at_first(problem: Problem) -> None:
    genome = Genome((8,), members=8)
    factors = build_network(genome, 0, problem).factors
    # A number, three categories, a number.
    assert factors.shape == (8, problem.n_inputs) == (8, 5)
    assert (factors[:, 1:4] == factors[:, 1:2]).all()
    assert len(np.unique(factors, axis=0)) > 3
    binned = replace(genome, numeric_encoding="piecewise_linear")
    with_codes = build_network(binned, 0, problem).factors
    n_codes = (with_codes.shape[1] - 5) // 2
    assert (with_codes[:, : 1 + n_codes] == with_codes[:, :1]).all()


def test_cohorts_and_parameters_are_those_of_the_genomes(problem: Problem) -> None:
    genomes = [Genome((width,), members=members) for width in (4, 6, 8, 9) for members in (1, 4)]
    cohorts = plan_cohorts([candidate(genome, i) for i, genome in enumerate(genomes)], problem)
    for cohort in cohorts:
        assert len({one.genome.members for one in cohort}) == 1
        for one in evaluate(cohort, problem) or []:
            genome = genomes[one.candidate_id]
            assert one.n_parameters == genome.n_parameters(5, 1) == one.states[0].parameters.size


@pytest.mark.parametrize(("before", "after"), [(1, 8), (8, 4), (4, 1)])
@pytest.mark.parametrize("encoding", ["none", "piecewise_linear"])
def test_a_child_with_other_members_starts_ahead_of_one_from_scratch(
    problem: Problem, before: int, after: int, encoding: str
) -> None:
    parent = Genome((16, 8), "tanh", 0.01, members=before)
    child = replace(parent, members=after, numeric_encoding=encoding)
    (trained,) = evaluate([candidate(parent)], problem) or []
    state = trained.states[0]
    checkpoints = {1: Checkpoint(parent, (state.best or state,))}
    (inherited,) = evaluate([candidate(child, 1, inherits=0)], problem, checkpoints) or []
    (scratch,) = evaluate([candidate(child, 1)], problem) or []
    assert inherited.train_losses[0] < 0.85 * scratch.train_losses[0]


def test_a_search_among_members_is_resumed_exported_and_reported(tmp_path: Path) -> None:
    options = {"space": SPACE, "epochs": 8, "n_candidates": 20, "seed": 1, "importance": True}
    with snapshots(tmp_path / "cut", after=(9,)):
        result = search("iris", tmp_path / "whole", **options)
    assert_same_search(resume(tmp_path / "cut" / "9"), result)
    assert {candidate.genome.members for candidate, _ in result.history} == {1, 4, 8}
    genomes = {candidate.id: candidate.genome for candidate, _ in result.history}
    pairs = [
        (genomes[one.inherits].n_members, one.genome.n_members)
        for one, _ in result.history
        if one.inherits is not None
    ]
    assert any(before != after for before, after in pairs), "children inherit across numbers of members"
    assert not any(evaluation.failed for _, evaluation in result.history)
    history = read_history(result.run_dir)
    assert history.costs is not None
    for tried in history.networks:
        assert history.costs(tried.genome).parameters == tried.evaluation.n_parameters
    assert nas.SearchSpace.from_dict(json.loads(json.dumps(SPACE.to_dict()))) == SPACE


def test_a_winner_with_members_is_the_mean_of_its_trainings(tmp_path: Path) -> None:
    space = replace(SPACE, depth=(1, 1), members=(4,), name="four")
    result = search("iris", tmp_path, space=space, epochs=8, n_candidates=3, members=2)
    network = nas.load_network(result.run_dir)
    assert [member.n_members for member in network.members] == [4, 4]
    assert len(network.plain_members()) == 8
    table = load_dataset("iris").table
    np.testing.assert_array_equal(network.predict_proba(table), result.network.predict_proba(table))
    assert "hidden layer shared by 4 members" in result.summary()
    panel = _structure(read_history(result.run_dir))
    assert panel is not None
    assert "shared by 4 members" in panel.text
    assert result.oof is not None
    exported = nas.export_network(result.run_dir, "python", tmp_path / "model.py")
    assert exported.agreement.difference <= 1e-5


def test_members_beyond_the_limits_are_not_generated(tmp_path: Path) -> None:
    most = Genome((8,), members=4).n_parameters(4, 3)
    result = search("iris", tmp_path, space=SPACE, n_candidates=12, epochs=2, max_parameters=most)
    assert len(result.history) == 12
    counts = {evaluation.n_parameters for _, evaluation in result.history}
    assert max(counts) <= most
    assert {candidate.genome.members for candidate, _ in result.history} >= {1, 4}


def test_members_beyond_memory_are_refused_with_their_number() -> None:
    space = SearchSpace((2, 2), (8192,), members=(1, 32), name="huge")
    with pytest.raises(SpaceError, match=r"GiB for 2 layers of 8192 on 100 inputs with 32 members"):
        check_fits(space, 1000, 100, 2)


@pytest.mark.exhaustive
@pytest.mark.ray
def test_members_are_searched_alike_by_any_number_of_workers(tmp_path: Path) -> None:
    options = {"space": SPACE, "epochs": 8, "n_candidates": 24, "n_finalists": 3}
    serial = search("iris", tmp_path / "serial", **options)
    assert_same_search(search("iris", tmp_path / "two", n_workers=2, **options), serial)
