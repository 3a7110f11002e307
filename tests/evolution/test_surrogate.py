"""Surrogate: what a model makes of genomes, and whom it chooses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given, settings
from landscape import fitness, individual, randoms, ranking, spaces
from threadpoolctl import threadpool_info, threadpool_limits

from nas.alignment import mean_distance
from nas.evolution import MODELS, Individual
from nas.evolution.gaussian_process import GaussianProcess, _Points
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.surrogate import Surrogate, features
from nas.genome import Genome
from nas.network.arrays import Floats
from nas.space import SearchSpace


def nobody(_: Proposal) -> Individual | None:
    return None


def drawn(space: SearchSpace, seed: int, n: int) -> list[Genome]:
    rng = random.Random(seed)
    return list(dict.fromkeys(space.sample(rng) for _ in range(2 * n)))[:n]


def pool_of(genomes: list[Genome]) -> list[Proposal]:
    return [Proposal(genome, Operator(Origin.RANDOM)) for genome in genomes]


def taught(space: SearchSpace, seed: int, model: str = "process", n: int = 60) -> Surrogate:
    """Surrogate that has seen so many of the landscape, and never chooses blindly."""
    surrogate = Surrogate(space, seed, model)
    surrogate._epsilon = 0.0
    known = [individual(i, one, fitness(one)) for i, one in enumerate(drawn(space, 1000 + seed, n))]
    surrogate.learn(ranking(known))
    return surrogate


# Features.


@settings(deadline=None)
@given(spaces(), randoms)
def test_all_genomes_of_a_space_have_as_many_features_from_0_to_1(
    space: SearchSpace, rng: random.Random
) -> None:
    rows = [features(space.sample(rng), space) for _ in range(8)] + [features(next(iter(space)), space)]
    assert len({len(row) for row in rows}) == 1
    assert all(0 <= number <= 1 for row in rows for number in row)


@settings(deadline=None)
@given(spaces(), randoms)
def test_different_genomes_have_different_features(space: SearchSpace, rng: random.Random) -> None:
    one, other = space.sample(rng), space.sample(rng)
    assert (features(one, space) == features(other, space)) == (one == other)


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
    assert features(genome, space) == [*depth, *widths, *activations, 0.5, 1.0, 0.0]


def test_what_layers_share_is_one_feature() -> None:
    space = SearchSpace(depth=(0, 4), widths=(4, 8), equal_widths=True, activation=("relu", "tanh"))
    assert features(Genome((8, 8), "relu"), space) == [0.5, 1.0, 1.0]
    assert features(Genome(()), space) == [0.0, 0.0, 0.0]


# Choices.


@pytest.mark.parametrize("model", MODELS)
def test_who_has_seen_a_clear_landscape_chooses_better_than_chance(model: str, space: SearchSpace) -> None:
    gains = []
    for seed in range(6):
        genomes = drawn(space, seed, 150)
        chosen = taught(space, seed, model).choose(pool_of(genomes), 3, nobody)
        values = [fitness(genome) for genome in genomes]
        gains.append((fmean(fitness(one.genome) for one in chosen) - fmean(values)) / pstdev(values))
    assert min(gains) > 0
    assert fmean(gains) > 0.8


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_makes_the_same_choices(model: str, space: SearchSpace) -> None:
    pool = pool_of(drawn(space, 0, 80))
    one, again = (taught(space, 3, model).choose(pool, 5, nobody, pool[:3]) for _ in range(2))
    assert one == again


def test_believing_what_was_chosen_spreads_a_batch(space: SearchSpace) -> None:
    together, apart = [], []
    for seed in range(6):
        pool = pool_of(drawn(space, seed, 200))
        together.append(mean_distance([one.genome for one in taught(space, seed).choose(pool, 6, nobody)]))
        surrogate, left, greedy = taught(space, seed), list(pool), []
        for _ in range(6):
            greedy += surrogate.choose(left, 1, nobody)
            left.remove(greedy[-1])
        apart.append(mean_distance([one.genome for one in greedy]))
    assert fmean(together) > fmean(apart)


def test_who_is_under_way_is_believed_too(space: SearchSpace) -> None:
    pool = pool_of(drawn(space, 0, 200))
    first = taught(space, 0).choose(pool, 4, nobody)
    left = [one for one in pool if one not in first[:2]]
    assert taught(space, 0).choose(left, 2, nobody, in_flight=first[:2]) == first[2:]


@dataclass
class Opinion:
    """An posterior that believing does not change."""

    mean: Floats
    deviation: Floats

    def condition_on(self, points: Sequence[int]) -> None:
        pass


class Counting:
    """A model that thinks the more of a genome the earlier it stands."""

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True) -> Counting:
        return self

    def posterior(self, X: Floats) -> Opinion:
        return Opinion(np.arange(len(X), dtype=float), np.zeros(len(X)))

    def mean(self, X: Floats) -> Floats:
        return self.posterior(X).mean


def test_one_choice_in_twenty_is_blind(space: SearchSpace) -> None:
    surrogate = Surrogate(space, 0)
    surrogate._model = Counting()
    pool = pool_of(drawn(space, 0, 40))
    others = sum(surrogate.choose(pool, 1, nobody) != pool[:1] for _ in range(2000))
    # Within four standard deviations of 0.05 · 39/40.
    assert abs(others / 2000 - 0.05 * 39 / 40) < 0.02


def test_unsure_is_promising(space: SearchSpace) -> None:
    class Unsure(Counting):
        def posterior(self, X: Floats) -> Opinion:
            deviation = np.zeros(len(X))
            deviation[-1] = len(X) + 1.0
            return Opinion(np.arange(len(X), dtype=float), deviation)

    surrogate = Surrogate(space, 0)
    surrogate._model, surrogate._epsilon = Unsure(), 0.0
    pool = pool_of(drawn(space, 0, 10))
    assert surrogate.choose(pool, 1, nobody) == pool[-1:]


def test_of_those_who_promise_as_much_the_cheapest_is_chosen(space: SearchSpace) -> None:
    class Indifferent(Counting):
        def posterior(self, X: Floats) -> Opinion:
            return Opinion(np.zeros(len(X)), np.ones(len(X)))

    surrogate = Surrogate(space, 0)
    surrogate._model, surrogate._epsilon = Indifferent(), 0.0
    pool = pool_of(drawn(space, 0, 30))
    sizes = [one.genome.n_parameters(4, 3) for one in pool]
    chosen = surrogate.choose(pool, 3, nobody, effort=lambda genome: genome.n_parameters(4, 3))
    assert [one.genome.n_parameters(4, 3) for one in chosen] == sorted(sizes)[:3]


def test_a_better_promise_is_worth_some_effort(space: SearchSpace) -> None:
    surrogate = Surrogate(space, 0)
    surrogate._model, surrogate._epsilon = Counting(), 0.0
    pool = pool_of(drawn(space, 0, 5))
    # The first promises one standard deviation more than the second: worth 1 / 0.15 doublings.
    for doublings, first in ((6, 0), (7, 1)):
        costs = {one.genome: 1.0 for one in pool} | {pool[0].genome: 2.0**doublings}
        assert surrogate.choose(pool, 1, nobody, effort=costs.__getitem__) == [pool[first]]


def test_a_small_pool_is_chosen_whole(space: SearchSpace) -> None:
    pool = pool_of(drawn(space, 0, 4))
    chosen = taught(space, 0).choose(pool, 9, nobody)
    assert {one.genome for one in chosen} == {one.genome for one in pool}
    assert len(chosen) == 4
    assert taught(space, 0).choose([], 3, nobody) == []


def test_the_best_are_better_than_the_luckiest(space: SearchSpace) -> None:
    gains = []
    for seed in range(5):
        surrogate, rng = Surrogate(space, seed), random.Random(seed)
        genomes = drawn(space, seed, 120)
        known = [individual(i, one, fitness(one) + rng.gauss(0, 0.3)) for i, one in enumerate(genomes)]
        for n in range(15, 121, 15):
            luckiest = sorted(known[:n], key=lambda one: one.fitness, reverse=True)
            surrogate.learn(ranking(known[:n]))
        best = surrogate.best(known, 8)
        assert len({one.id for one in best}) == 8
        of_best, of_luckiest = (fmean(fitness(one.genome) for one in some) for some in (best, luckiest[:8]))
        gains.append(of_best - of_luckiest)
    assert min(gains) >= 0
    assert fmean(gains) > 0.01


def test_proposals_are_judged_as_after_a_whole_training(space: SearchSpace) -> None:
    surrogate = Surrogate(space, 0, full=27)
    genome = next(iter(space))
    child = individual(0, genome, 0.5, epochs=3)
    child.age = 15
    row = surrogate._unobserved(pool_of([genome]), lambda _: child)
    assert row.shape == (1, len(features(genome, space)) + 2)
    assert row[0, -2:] == pytest.approx([np.log2(16) / 16, np.log2(28) / 16])


def test_one_thread_is_enough(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other numbers of threads round differently, and wait for each other where workers are busy.
    def blas() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    threads, covariance = list[set[int]](), GaussianProcess._covariance

    def watched(process: GaussianProcess, A: _Points, B: _Points) -> Floats:
        threads.append(blas())
        return covariance(process, A, B)

    monkeypatch.setattr(GaussianProcess, "_covariance", watched)
    with threadpool_limits(2, user_api="blas"):
        surrogate = taught(space, 0, n=20)
        n_learning = len(threads)
        surrogate.choose(pool_of(drawn(space, 0, 9)), 3, nobody)
        n_choosing = len(threads)
        surrogate.best([individual(0, drawn(space, 1, 1)[0], 0.5)], 1)
        assert 0 < n_learning < n_choosing < len(threads)
        assert all(one == {1} for one in threads)
        assert blas() == {2}
