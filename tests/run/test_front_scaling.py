"""Factors of the inputs from a search to its saved network: folded, inherited, exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from searches import search

import nas
from nas.data import load_dataset
from nas.evaluation import Candidate, Checkpoint, Problem, build_network, evaluate
from nas.evaluation.fitting import Training, started
from nas.genome import Genome
from nas.network import MLP, State
from nas.network.arrays import Floats
from nas.run.preparation import Prepared, prepare
from nas.run.winner import final_networks
from nas.training import predict

WITH, WITHOUT = (Genome((8, 6), "tanh", 0.01, front_scaling=factor) for factor in (6.0, 0.0))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(load_dataset("wine"), 0, {"epochs": 8}, n_folds=1)


def trained(prepared: Prepared, genome: Genome) -> State:
    (evaluation,) = evaluate([Candidate(0, genome, 5, 0, "random")], prepared.problem) or []
    (state,) = evaluation.states
    return state.best or state


def network_of(problem: Problem, genome: Genome, parameters: Floats) -> MLP:
    network = build_network(genome, 0, problem, initialize=False)
    network.parameters[...] = parameters
    return network


def test_the_saved_network_has_the_factors_in_its_weights(prepared: Prepared) -> None:
    state, problem = trained(prepared, WITH), prepared.problem
    network = network_of(problem, WITH, state.parameters)
    assert np.abs(network.scales - 1).max() > 0.05
    candidate = Candidate(0, WITH, 5, 0, "random")
    (saved,) = final_networks(prepared, candidate, epochs=None, states=[state], provenance={})
    n_numbers = sum(array.size for array in (*saved.weights, *saved.biases))
    assert n_numbers == WITH.n_parameters(problem.n_inputs, problem.n_outputs) == state.parameters.size - 13
    rows = prepared.dataset.table.iloc[prepared.split.validation]
    expected = predict(network, problem.X_validation)
    np.testing.assert_allclose(saved.predict_proba(rows), expected, atol=1e-6)


@pytest.mark.parametrize(("parent", "genome"), [(WITH, WITH), (WITH, WITHOUT), (WITHOUT, WITH)])
def test_children_compute_what_their_parents_do(prepared: Prepared, parent: Genome, genome: Genome) -> None:
    problem, state = prepared.problem, trained(prepared, parent)
    child = Candidate(1, genome, 6, 0, "random", inherits=0)
    start = started(Training.of(child, 0, problem, Checkpoint(parent, (state,))), problem).state
    assert start is not None
    X = problem.X_validation
    before = predict(network_of(problem, parent, state.parameters), X)
    after = predict(network_of(problem, genome, start.parameters), X)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_search_with_factors_is_exported_and_explained(tmp_path: Path) -> None:
    space = nas.SearchSpace(depth=(0, 2), widths=(8,), front_scaling=(6.0,), learning_rate=(0.01,))
    result = search("wine", tmp_path, space=space, n_candidates=6, importance=True, members=2)
    assert result.test.score > 0.8
    assert result.columns is not None
    exported = nas.export_network(result.run_dir, "python", tmp_path / "model.py")
    assert exported.agreement.difference <= 1e-5
