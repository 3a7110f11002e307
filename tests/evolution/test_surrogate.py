"""Surrogate: features of genomes, and the proposals that a model selects."""

from __future__ import annotations

import ast
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given, settings
from landscape import fitness, individual, randoms, ranking, spaces
from threadpoolctl import threadpool_info, threadpool_limits

from nas.alignment import mean_distance
from nas.evolution import MODELS, Individual
from nas.evolution.features import Features
from nas.evolution.gaussian_process import GaussianProcess, _Points
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.network.arrays import Floats
from nas.space import SearchSpace


def no_parent(_: Proposal) -> Individual | None:
    return None


def sampled(space: SearchSpace, seed: int, n: int) -> list[Genome]:
    rng = random.Random(seed)
    return list(dict.fromkeys(space.sample(rng) for _ in range(2 * n)))[:n]


def pool_of(genomes: list[Genome]) -> list[Proposal]:
    return [Proposal(genome, Operator(Origin.RANDOM)) for genome in genomes]


def fitted(space: SearchSpace, seed: int, model: str = "process", n: int = 60) -> Surrogate:
    """Make a surrogate fitted to `n` genomes of the landscape, which never selects at random."""
    surrogate = Surrogate(space, seed, model)
    surrogate._epsilon = 0.0
    observed = [
        individual(i, genome, fitness(genome)) for i, genome in enumerate(sampled(space, 1000 + seed, n))
    ]
    surrogate.learn(ranking(observed))
    return surrogate


# Features.


@settings(deadline=None)
@given(spaces(), randoms)
def test_all_genomes_of_a_space_have_as_many_features_from_0_to_1(
    space: SearchSpace, rng: random.Random
) -> None:
    features = Features(space)
    rows = [features(space.sample(rng)) for _ in range(8)] + [features(next(iter(space)))]
    assert len({len(row) for row in rows}) == 1
    assert all(0 <= number <= 1 for row in rows for number in row)


@settings(deadline=None)
@given(spaces(), randoms)
def test_different_genomes_have_different_features(space: SearchSpace, rng: random.Random) -> None:
    a, b = space.sample(rng), space.sample(rng)
    features = Features(space)
    assert (features(a) == features(b)) == (a == b)


def test_features_of_a_worked_example() -> None:
    space = SearchSpace(
        depth=(1, 3),
        widths=(4, 8, 16, 32),
        activation=("relu", "tanh", "elu"),
        activation_per_layer=True,
        learning_rate=(0.1, 0.2, 0.3),
        dropout=(0.0, 0.5),
        optimizer=("adam", "sgd"),
    )
    genome = Genome((32, 4), ("tanh", "relu"), 0.2, dropout=0.5, optimizer="sgd")
    depth, widths = [0.5], [1.0, 0.25, 0.0]
    activations = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert Features(space)(genome) == [*depth, *widths, *activations, 0.5, 1.0, 0.0]


def test_every_gene_of_training_has_features() -> None:
    space = SearchSpace(
        depth=(1, 1),
        widths=(8,),
        schedule=("constant", "cosine", "coslog4"),
        beta2=(0.95, 0.99, 0.999),
        label_smoothing=(0.0, 0.1),
        front_scaling=(0.0, 3.0, 6.0),
        members=(1, 8, 32),
        regularization_schedule=("constant", "flat_cosine"),
        clip_norm=(0.0, 1.0, 5.0),
        bias_rate=(0.1, 1.0),
        parametrization=("standard", "ntk"),
        initialization=("random", "data"),
        layer_norm=(0, 1),
    )
    genome = Genome((8,), schedule="coslog4", beta2=0.99, label_smoothing=0.1, front_scaling=3.0, members=8)
    genome = replace(genome, regularization_schedule="constant", clip_norm=1.0)
    genome = replace(genome, bias_rate=1.0, parametrization="ntk", initialization="random", layer_norm=1)
    expected = [0.0, 1.0, 0.0, 0.0, 1.0, 0.5, 1.0, 0.5, 0.5, 1.0, 0.5, 1.0, 0.0, 1.0, 1.0]
    assert Features(space)(genome) == expected


def test_what_layers_share_is_one_feature() -> None:
    space = SearchSpace(depth=(0, 4), widths=(4, 8), equal_widths=True, activation=("relu", "tanh"))
    assert Features(space)(Genome((8, 8), "relu")) == [0.5, 1.0, 1.0]
    assert Features(space)(Genome(())) == [0.0, 0.0, 0.0]


# Selections.


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_a_clear_landscape_selects_better_than_chance(model: str, space: SearchSpace) -> None:
    gains = []
    for seed in range(6):
        genomes = sampled(space, seed, 150)
        selected = fitted(space, seed, model).choose(pool_of(genomes), 3, no_parent)
        values = [fitness(genome) for genome in genomes]
        gains.append(
            (fmean(fitness(individual.genome) for individual in selected) - fmean(values)) / pstdev(values)
        )
    assert min(gains) > 0
    assert fmean(gains) > 0.8


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_selections(model: str, space: SearchSpace) -> None:
    pool = pool_of(sampled(space, 0, 80))
    first, second = (fitted(space, 3, model).choose(pool, 5, no_parent, pool[:3]) for _ in range(2))
    assert first == second


def test_conditioning_on_selections_diversifies_a_batch(space: SearchSpace) -> None:
    conditioned, unconditioned = [], []
    for seed in range(6):
        pool = pool_of(sampled(space, seed, 200))
        conditioned.append(
            mean_distance([proposal.genome for proposal in fitted(space, seed).choose(pool, 6, no_parent)])
        )
        surrogate, remaining, greedy = fitted(space, seed), list(pool), []
        for _ in range(6):
            greedy += surrogate.choose(remaining, 1, no_parent)
            remaining.remove(greedy[-1])
        unconditioned.append(mean_distance([individual.genome for individual in greedy]))
    assert fmean(conditioned) > fmean(unconditioned)


def test_the_posterior_is_conditioned_on_proposals_in_flight(space: SearchSpace) -> None:
    pool = pool_of(sampled(space, 0, 200))
    first = fitted(space, 0).choose(pool, 4, no_parent)
    remaining = [proposal for proposal in pool if proposal not in first[:2]]
    assert fitted(space, 0).choose(remaining, 2, no_parent, in_flight=first[:2]) == first[2:]


@dataclass
class Opinion:
    """A posterior that conditioning does not change."""

    mean: Floats
    deviation: Floats

    def condition_on(self, points: Sequence[int]) -> None:
        pass


class Counting:
    """A model that predicts a better rank for earlier genomes."""

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True, noise: Floats | None = None) -> Counting:
        return self

    def posterior(self, X: Floats) -> Opinion:
        return Opinion(np.arange(len(X), dtype=float), np.zeros(len(X)))

    def mean(self, X: Floats) -> Floats:
        return self.posterior(X).mean


def test_five_percent_of_selections_are_random(space: SearchSpace) -> None:
    surrogate = Surrogate(space, 0)
    surrogate._model = Counting()
    pool = pool_of(sampled(space, 0, 40))
    n_random = sum(surrogate.choose(pool, 1, no_parent) != pool[:1] for _ in range(2000))
    # Within four standard deviations of 0.05 · 39/40.
    assert abs(n_random / 2000 - 0.05 * 39 / 40) < 0.02


def test_uncertain_proposals_are_promising(space: SearchSpace) -> None:
    class Unsure(Counting):
        def posterior(self, X: Floats) -> Opinion:
            deviation = np.zeros(len(X))
            deviation[-1] = len(X) + 1.0
            return Opinion(np.arange(len(X), dtype=float), deviation)

    surrogate = Surrogate(space, 0)
    surrogate._model, surrogate._epsilon = Unsure(), 0.0
    pool = pool_of(sampled(space, 0, 10))
    assert surrogate.choose(pool, 1, no_parent) == pool[-1:]


def test_of_equal_predictions_the_cheapest_is_selected(space: SearchSpace) -> None:
    class Indifferent(Counting):
        def posterior(self, X: Floats) -> Opinion:
            return Opinion(np.zeros(len(X)), np.ones(len(X)))

    surrogate = Surrogate(space, 0)
    surrogate._model, surrogate._epsilon = Indifferent(), 0.0
    pool = pool_of(sampled(space, 0, 30))
    sizes = [proposal.genome.n_parameters(4, 3) for proposal in pool]
    selected = surrogate.choose(pool, 3, no_parent, effort=lambda genome: genome.n_parameters(4, 3))
    assert [individual.genome.n_parameters(4, 3) for individual in selected] == sorted(sizes)[:3]


def test_a_better_promise_is_worth_some_effort(space: SearchSpace) -> None:
    pool = pool_of(sampled(space, 0, 5))
    # The first promises one standard deviation more than the second: worth 1 / 0.15 doublings.
    for doublings, first in ((6, 0), (7, 1)):
        surrogate = Surrogate(space, 0)
        surrogate._model, surrogate._epsilon = Counting(), 0.0
        costs = {proposal.genome: 1.0 for proposal in pool} | {pool[0].genome: 2.0**doublings}
        assert surrogate.choose(pool, 1, no_parent, effort=costs.__getitem__) == [pool[first]]


def test_a_small_pool_is_selected_whole(space: SearchSpace) -> None:
    pool = pool_of(sampled(space, 0, 4))
    selected = fitted(space, 0).choose(pool, 9, no_parent)
    assert {individual.genome for individual in selected} == {proposal.genome for proposal in pool}
    assert len(selected) == 4
    assert fitted(space, 0).choose([], 3, no_parent) == []


def test_the_best_are_better_than_the_luckiest(space: SearchSpace) -> None:
    gains = []
    for seed in range(5):
        surrogate, rng = Surrogate(space, seed), random.Random(seed)
        genomes = sampled(space, seed, 120)
        observed = [
            individual(i, genome, fitness(genome) + rng.gauss(0, 0.3)) for i, genome in enumerate(genomes)
        ]
        for n in range(15, 121, 15):
            luckiest = sorted(observed[:n], key=lambda individual: individual.fitness, reverse=True)
            surrogate.learn(ranking(observed[:n]))
        best = surrogate.best(observed, 8)
        assert len({individual.id for individual in best}) == 8
        of_best, of_luckiest = (
            fmean(fitness(individual.genome) for individual in group) for group in (best, luckiest[:8])
        )
        gains.append(of_best - of_luckiest)
    assert min(gains) >= 0
    assert fmean(gains) > 0.01


def test_proposals_are_predicted_after_a_whole_training(space: SearchSpace) -> None:
    surrogate = Surrogate(space, 0, full=27)
    genome = next(iter(space))
    child = individual(0, genome, 0.5, epochs=3)
    child.age = 15
    row = surrogate._unobserved(surrogate._describe(pool_of([genome]), lambda _: child, None))
    assert row.shape == (1, len(Features(space)(genome)) + 2)
    assert row[0, -2:] == pytest.approx([np.log2(16) / 16, np.log2(28) / 16])


def test_models_use_a_single_thread(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other numbers of threads round differently, and contend with the workers.
    def blas() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    threads, covariance = list[set[int]](), GaussianProcess._covariance

    def watched(process: GaussianProcess, A: _Points, B: _Points, out: Floats | None = None) -> Floats:
        threads.append(blas())
        return covariance(process, A, B, out)

    monkeypatch.setattr(GaussianProcess, "_covariance", watched)
    with threadpool_limits(2, user_api="blas"):
        surrogate = fitted(space, 0, n=20)
        n_learning = len(threads)
        surrogate.choose(pool_of(sampled(space, 0, 9)), 3, no_parent)
        n_choosing = len(threads)
        surrogate.best([individual(0, sampled(space, 1, 1)[0], 0.5)], 1)
        assert 0 < n_learning < n_choosing < len(threads)
        assert all(n == {1} for n in threads)
        assert blas() == {2}


_IN_A_SEARCH = """
import tempfile, nas
from threadpoolctl import threadpool_info, threadpool_limits
from nas.evolution.surrogate import Surrogate
threads, learn = [], Surrogate.learn
def watched(surrogate, ranking):
    model = surrogate._model
    fit = type(model).fit
    def fitted(*arguments, **keywords):
        threads.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return fit(model, *arguments, **keywords)
    model.fit = fitted
    learn(surrogate, ranking)
    del model.fit
Surrogate.learn = watched
nas.search("iris", space="small", n_workers=0, n_candidates=30, epochs=2, folds=1, members=1, n_finalists=1,
           tracking=False, report=False, progress=False, baseline=False, runs_dir=tempfile.mkdtemp())
print(threads)
"""


@pytest.mark.slow
def test_a_search_in_a_new_process_models_with_a_single_thread(tmp_path: Path) -> None:
    # Regression: SciPy's own BLAS was loaded after the libraries to limit were looked up.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", _IN_A_SEARCH]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    threads = ast.literal_eval(done.stdout)
    assert len(threads) > 2
    assert all(n == {1} for n in threads)


def test_a_deep_space_costs_no_more_to_begin_with() -> None:
    # Regression: the first genome was read from the product of all values of all layers.
    deep = SearchSpace(depth=(60, 60), widths=(8, 16), activation=("relu", "tanh"), activation_per_layer=True)
    since = time.monotonic()
    Surrogate(deep, 0)
    assert time.monotonic() - since < 5
