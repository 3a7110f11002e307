"""Initial weights from rows: spreads of 1, biases among the values, in every kind of network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from nas.data import load_dataset
from nas.evaluation import Candidate, Training, build_network, evaluate, fit, plan_cohorts
from nas.genome import Genome
from nas.network import MLP, Extras, initialize_from_rows
from nas.network.arrays import Floats
from nas.network.data_driven import MOST_ROWS
from nas.run.preparation import prepare

KINDS = [Extras(), Extras(True, (1, 2)), Extras(has_skips=True, is_parametric=True)]


def test_with_layer_norm_all_layers_but_the_first_read_normalized_units() -> None:
    network, X = initialized(Extras(is_normalized=True))
    *_, outputs = network._forward(X).linear
    assert_allclose(outputs.std(axis=0), 1, rtol=1e-9)


def initialized(
    extras: Extras = KINDS[0], n: int = 500, activation: str = "selu", seed: int = 1, **options: Any
) -> tuple[MLP, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(3, [1, 20, 0.1, 1], size=(n, 4))
    options = {"rng": rng, "dtype": np.float64, "extras": extras, **options}
    network = MLP((4, 9, 7, 8, 3), [activation] * 3, "cross_entropy", **options)
    initialize_from_rows(network, X, rng)
    return network, X


@pytest.mark.parametrize("extras", KINDS)
@pytest.mark.parametrize("activation", ["selu", "mish", "relu"])
def test_what_weights_give_has_a_spread_of_1_in_every_layer(activation: str, extras: Extras) -> None:
    network, X = initialized(extras, activation=activation)
    for z in network._forward(X).linear:
        assert_allclose(z.std(axis=0), 1, rtol=1e-9)  # rounding; biases do not change it


@pytest.mark.parametrize("extras", KINDS)
def test_the_negative_of_a_bias_is_a_value_among_the_rows(extras: Extras) -> None:
    network, X = initialized(extras)
    for z, bias in zip(network._forward(X).linear, network.biases, strict=True):
        values = z - bias
        assert (values.min(axis=0) < -bias).all()
        assert (-bias < values.max(axis=0)).all()
        assert len(set(bias)) == len(bias)


def test_biases_are_means_of_five_rows_with_exponential_weights() -> None:
    # Shares of five exponential numbers have a mean of 1/5 and a sum of squares of 1/3: so a mean of
    # independent values of variance 1 has the variance 1/3.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2))
    network = MLP((2, 4000, 1), ["relu"], "squared_error", dtype=np.float64)
    initialize_from_rows(network, X, rng)
    # Of 4,000 units; one standard error of the variance is about 0.0075.
    assert network.biases[0].var() == pytest.approx(1 / 3, abs=0.03)
    assert network.biases[0].mean() == pytest.approx(0, abs=0.05)


def test_units_that_give_the_same_for_all_rows_stay_finite() -> None:
    rng = np.random.default_rng(0)
    network = MLP((4, 50, 3), ["relu"], "cross_entropy", dtype=np.float64)
    initialize_from_rows(network, np.ones((20, 4)), rng)
    assert np.isfinite(network.parameters).all()
    assert network.weights[0].std() == pytest.approx(0.5, rel=0.2)  # of 1 / sqrt(4 inputs)


def test_factors_waves_blends_and_gains_stay_as_they_were() -> None:
    rng = np.random.default_rng(0)
    extras = Extras(True, (0, 2), True, True)
    network = MLP((4, 5, 5, 3), ["selu"] * 2, "cross_entropy", rng=rng, extras=extras)
    kept = [network.scales, *network.waves[:3], *network.units.blends, *network.units.gains]
    before, first = [array.copy() for array in kept], network.waves.weights.copy()
    initialize_from_rows(network, rng.normal(size=(50, 4)), rng)
    for array, own in zip(kept, before, strict=True):
        assert_array_equal(array, own)
    assert not np.array_equal(network.waves.weights, first)


def test_the_same_generator_gives_the_same_network_and_of_many_rows_some_are_read() -> None:
    (one, X), (same, _), (other, _) = (initialized(n=3 * MOST_ROWS, seed=seed) for seed in (1, 1, 2))
    assert_array_equal(one.parameters, same.parameters)
    assert not np.array_equal(one.parameters, other.parameters)
    # By about two per cent, a standard error of the spread of 1,024 normal numbers.
    assert_allclose(one._forward(X).linear[0].std(axis=0), 1, rtol=0.1)


def test_candidates_begin_from_the_rows_of_their_fold_and_children_from_their_parents() -> None:
    dataset = load_dataset("iris")
    prepared = prepare(dataset, 0, {"epochs": 1, "learning_rate": 1e-12}, n_folds=3)
    problem, genome = prepared.problem, Genome((6, 5), "tanh", initialization="data")
    trainings = [Training(Candidate(0, genome, 5, 0, "start"), fold) for fold in range(3)]
    networks = [build_network(genome, one.seeds(), problem) for one in trainings]
    fit(networks, trainings, problem)  # too slowly to change anything
    for network, fold in zip(networks, problem.folds, strict=True):
        first, *_ = network._forward(problem.X_train[fold.train]).linear
        assert_allclose(first.std(axis=0), 1, rtol=1e-4)  # float32
    (parent,) = evaluate([trainings[0].candidate], problem) or []
    assert not parent.failed
    plain = replace(genome, initialization="random")
    candidates = [Candidate(i, one, 5, 0, "start") for i, one in enumerate((genome, plain))]
    # Nothing in their training differs: they are members of a cohort.
    assert plan_cohorts(candidates, problem) == [tuple(candidates)]
    members = Genome((6, 5), "tanh", members=4, initialization="data")
    assert not members.is_data_driven
