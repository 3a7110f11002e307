"""Factors of inputs and waves of numbers, from a search to its saved network: folded, inherited, exported."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import search

import nas
from nas.data import load_dataset
from nas.errors import SpaceError
from nas.evaluation import Candidate, Checkpoint, Problem, build_network, evaluate, plan_cohorts
from nas.evaluation.fitting import Training, started
from nas.genome import Encoding, Genome
from nas.network import MLP, Extras, State
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared, prepare
from nas.run.suitable_space import affordable_space
from nas.run.winner import final_networks
from nas.training import predict

PLAIN = Genome((8, 6), "tanh", 0.01, numeric_encoding="none", front_scaling=0.0)
SCALED = replace(PLAIN, front_scaling=6.0)
WAVES = replace(PLAIN, numeric_encoding="periodic")
BOTH = replace(SCALED, numeric_encoding="periodic")
BINS = replace(SCALED, numeric_encoding="piecewise_linear")
MEMBERS = replace(BOTH, members=4)
UNITS = replace(PLAIN, parametric_activation=0.1, skips=1)
ALL = replace(BOTH, parametric_activation=1.0, skips=1)
NORMS = replace(PLAIN, layer_norm=1)
WITH_NORMS = replace(ALL, layer_norm=1)

ENCODINGS = [Encoding(numeric_encoding=name) for name in ("periodic", "piecewise_linear")]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(load_dataset("wine"), 0, {"epochs": 8}, encodings=ENCODINGS, n_folds=1)


def trained(prepared: Prepared, genome: Genome) -> State:
    (evaluation,) = evaluate([Candidate(0, genome, 5, 0, "random")], prepared.problem) or []
    assert evaluation.n_parameters == genome.n_parameters(prepared.problem.n_inputs_of(genome), 3)
    (state,) = evaluation.states
    return state.best or state


def network_of(problem: Problem, genome: Genome, parameters: Floats) -> MLP:
    network = build_network(genome, 0, problem, initialize=False)
    network.parameters[...] = parameters
    return network


@pytest.mark.parametrize("genome", [SCALED, WAVES, BOTH, UNITS, ALL, NORMS, WITH_NORMS])
def test_the_saved_network_computes_what_the_trained_one_does(prepared: Prepared, genome: Genome) -> None:
    state, problem = trained(prepared, genome), prepared.problem
    network = network_of(problem, genome, state.parameters)
    if network.extras.has_scales:
        assert np.abs(network.scales - 1).max() > 0.05
    candidate = Candidate(0, genome, 5, 0, "random")
    (saved,) = final_networks(prepared, candidate, epochs=None, states=[state], provenance={})
    assert saved.sizes[0] == problem.n_inputs_of(genome) == 13 * (17 if network.extras.periodic else 1)
    units = {} if saved.units is None else saved.units.arrays()
    assert (saved.units is not None) == genome.is_parametric == genome.has_skips
    assert saved.normalized == genome.is_normalized
    n_numbers = sum(array.size for array in (*saved.weights, *saved.biases, *units.values()))
    assert n_numbers == genome.n_parameters(problem.n_inputs_of(genome), problem.n_outputs)
    rows = prepared.dataset.table.iloc[prepared.split.validation]
    expected = predict(network, problem.X_validation)
    np.testing.assert_allclose(saved.predict_proba(rows), expected, atol=2e-6)


def outputs(prepared: Prepared, parent: Genome, genome: Genome) -> tuple[Array, Array]:
    """The outputs of a trained parent, and those of its child before training, for the training rows."""
    problem, state = prepared.problem, trained(prepared, parent)
    child = Candidate(1, genome, 6, 0, "random", inherits=0)
    start = started(Training.of(child, 0, problem, Checkpoint(parent, (state,))), problem).state
    assert start is not None
    before = network_of(problem, parent, state.parameters), problem.of(parent).X_train
    after = network_of(problem, genome, start.parameters), problem.of(genome).X_train
    return predict(*before), predict(*after)


@pytest.mark.parametrize(
    ("parent", "genome"),
    [
        *[(SCALED, SCALED), (SCALED, PLAIN), (PLAIN, BOTH), (WAVES, BOTH), (BOTH, WAVES), (WAVES, WAVES)],
        *[(PLAIN, UNITS), (UNITS, UNITS), (WAVES, ALL), (UNITS, replace(ALL, widths=(8, 6, 9)))],
        *[
            (NORMS, NORMS),
            (NORMS, replace(NORMS, parametric_activation=0.1, skips=1)),
            (WITH_NORMS, WITH_NORMS),
        ],
    ],
)
def test_children_compute_what_their_parents_do(prepared: Prepared, parent: Genome, genome: Genome) -> None:
    before, after = outputs(prepared, parent, genome)
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize(("parent", "genome"), [(BOTH, PLAIN), (WAVES, BINS), (BINS, BOTH)])
def test_children_with_other_inputs_compute_nearly_what_their_parents_do(
    prepared: Prepared, parent: Genome, genome: Genome
) -> None:
    before, after = outputs(prepared, parent, genome)
    assert np.abs(after - before).mean() < 0.25 * np.abs(before - before.mean(axis=0)).mean()


def test_encodings_that_differ_by_waves_alone_share_their_arrays(prepared: Prepared) -> None:
    problem = prepared.problem
    waves = problem.encoded[Encoding(numeric_encoding="periodic")]
    assert waves[0] is problem.X_train
    assert waves[1] is problem.X_validation
    assert problem.numbers == tuple(range(13))
    assert problem.n_inputs_by_encoding[Encoding(numeric_encoding="periodic")] == 13 * 17
    without = replace(
        problem, encoded={key: value for key, value in problem.encoded.items() if key != WAVES.encoding}
    )
    assert problem.n_bytes == without.n_bytes
    candidates = [Candidate(i, genome, i, 0, "random") for i, genome in enumerate([PLAIN, WAVES] * 3)]
    for cohort in plan_cohorts(candidates, problem):
        assert len({one.genome.encoding for one in cohort}) == 1


def test_a_search_with_both_is_exported_and_explained(tmp_path: Path) -> None:
    space = nas.SearchSpace(
        depth=(0, 2), widths=(8,), front_scaling=(6.0,), numeric_encoding=("periodic",),
        learning_rate=(0.01,), parametric_activation=(0.0, 0.1), skips=(0, 1), activation=("selu", "mish"),
        layer_norm=(0, 1),
    )  # fmt: skip
    result = search("wine", tmp_path, space=space, n_candidates=6, importance=True, members=2)
    assert result.test.score > 0.8
    assert result.columns is not None
    assert len(result.columns.effects) == 13
    exported = nas.export_network(result.run_dir, "python", tmp_path / "model.py")
    assert exported.agreement.difference <= 1e-5


@pytest.mark.parametrize(("n_columns", "is_left_out"), [(409, False), (410, True)])
def test_waves_beyond_memory_are_left_out_and_named(
    n_columns: int, caplog: pytest.LogCaptureFixture, *, is_left_out: bool
) -> None:
    dataset = load_dataset((np.random.default_rng(0).normal(size=(12, n_columns)), np.arange(12) % 2))
    options: dict[str, Any] = {"depth": (1, 1), "widths": (8,)}
    space = nas.SearchSpace(**options, numeric_encoding=("piecewise_linear", "periodic"))
    with caplog.at_level(logging.WARNING):
        found = affordable_space(space, dataset)
    assert found.numeric_encoding == (("piecewise_linear",) if is_left_out else space.numeric_encoding)
    named = "periodic is left out of the search: its inputs would take 1.0 GiB for 16 waves for 410 columns"
    assert (named in caplog.text) == is_left_out
    if is_left_out:
        only = nas.SearchSpace(**options, numeric_encoding=("periodic",), name="waves")
        with pytest.raises(SpaceError, match=r"^search space waves: numeric_encoding: expected inputs of at"):
            affordable_space(only, dataset)


@pytest.mark.parametrize(("parent", "genome"), [(BOTH, MEMBERS), (MEMBERS, BOTH)])
def test_members_have_factors_of_their_own_in_place_of_both(
    prepared: Prepared, parent: Genome, genome: Genome
) -> None:
    assert MEMBERS.encoding == PLAIN.encoding
    others: dict[str, Any] = {"parametric_activation": 0.1, "skips": 1, "layer_norm": 1}
    network = build_network(replace(MEMBERS, **others), 0, prepared.problem)
    assert (network.members, bool(network.extras)) == (4, False)
    before, after = outputs(prepared, parent, genome)
    assert np.abs(after - before).mean() < 0.5 * np.abs(before - before.mean(axis=0)).mean()
    with pytest.raises(ValueError, match="extras: expected none of a network with members"):
        MLP((3, 8, 2), ["relu"], "cross_entropy", members=2, extras=Extras(has_scales=True))
