"""Rankings that are updated as individuals are added and discarded."""

from __future__ import annotations

import random

import pytest
from deap import tools
from hypothesis import given
from hypothesis import strategies as st
from landscape import individual

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Individual, pareto, successive_halving, surrogate
from nas.evolution.pareto import ByFronts, by_fronts
from nas.evolution.ranking import ByFitness, Ranking
from nas.genome import Genome
from nas.space import cost_model

COSTS = cost_model(4, 2)
values = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30)


def by_fitness_only(i: int, value: int) -> Individual:
    return individual(i, Genome((i + 1,)), value / 4)


def with_costs(i: int, value: int) -> Individual:
    genome = Genome((1 + (7 * i) % 5, i + 1))
    return Individual(
        Candidate(i, genome, 0, 0, "random"),
        Evaluation(i, value / 4, 0.5),
        COSTS(genome),
        ("error", "parameters"),
    )


@given(values)
def test_the_fittest_are_first_and_equals_in_order_of_arrival(steps: list[tuple[int, bool]]) -> None:
    ranking, individuals = ByFitness(), list[Individual]()
    for i, (value, leaves) in enumerate(steps):
        individuals.append(by_fitness_only(i, value))
        ranking.add(individuals[-1])
        if leaves:
            ranking.discard(individuals.pop(i // 2 % len(individuals)))
        ranked = sorted(individuals, key=lambda individual: -individual.evaluation.fitness)
        assert [individual.id for individual in ranking.best(99)] == [individual.id for individual in ranked]
        assert [individual.id for individual in ranking.best(2)] == [
            individual.id for individual in ranked[:2]
        ]
        assert [ranking.position(individual) for individual in ranked] == list(range(len(ranked)))
        assert len(ranking) == len(individuals)


def test_many_and_few_additions_are_sorted_in() -> None:
    rng, ranking, individuals = random.Random(0), ByFitness(), list[Individual]()
    for n in [200, 1, 2, 30, 1, 3, 150, 1]:
        for _ in range(n):
            individuals.append(by_fitness_only(len(individuals), rng.randrange(9)))
            ranking.add(individuals[-1])
        ranked = sorted(individuals, key=lambda individual: (-individual.evaluation.fitness, individual.id))
        assert ranking.best(len(individuals)) == ranked
        assert ranking.position(ranked[len(ranked) // 3]) == len(ranked) // 3


@given(values)
def test_fronts_are_those_of_the_remaining_individuals(steps: list[tuple[int, bool]]) -> None:
    ranking, individuals = ByFronts(), list[Individual]()
    for i, (value, leaves) in enumerate(steps):
        individuals.append(with_costs(i, value))
        ranking.add(individuals[-1])
        if leaves:
            ranking.discard(individuals.pop(i // 2 % len(individuals)))
        ranked = by_fronts(individuals)
        assert [individual.id for individual in ranking.best(99)] == [individual.id for individual in ranked]
        assert [ranking.position(individual) for individual in ranked] == list(range(len(ranked)))
        assert len(ranking) == len(individuals)


@pytest.mark.parametrize("ranking", [ByFitness(), ByFronts()])
def test_an_empty_ranking_has_no_best(ranking: Ranking) -> None:
    assert ranking.best(3) == []
    assert len(ranking) == 0


def test_forgetting_leaves_the_first_fronts_as_they_are() -> None:
    rng = random.Random(0)
    ranking, individuals = ByFronts(), list[Individual]()
    for i in range(3000):
        genome = Genome((rng.randint(1, 300),), learning_rate=i * 1e-6)
        evaluation = Evaluation(i, rng.random() * min(1.0, i / 1000), 0.5)
        individual = Individual(
            Candidate(i, genome, 0, 0, "random"), evaluation, COSTS(genome), ("error", "parameters")
        )
        individuals.append(individual)
        ranking.add(individual)
        if i % 37 == 0:  # a longer training replaces an individual, kept or dropped
            ranking.discard(individuals.pop(rng.randrange(len(individuals))))
        if i % 50 == 0:
            ranking.best(300)
    fronts = [
        {individual.id for individual in front} for front in tools.sortLogNondominated(individuals, 300)
    ]
    best = [individual.id for individual in ranking.best(300)]
    whole = fronts[:-1]  # of the last front, the best have the greatest crowding distance
    n = sum(map(len, whole))
    assert n > 150
    assert [{*best[sum(map(len, whole[:k])) :][: len(front)]} for k, front in enumerate(whole)] == whole
    assert set(best[n:]) <= fronts[-1]
    assert len(ranking) == len(individuals)
    assert len(ranking.best(3000)) < 1000
    dropped = {individual.id for individual in individuals} - {
        individual.id for individual in ranking.best(3000)
    }
    last = next(individual for individual in individuals if individual.id in dropped)
    assert ranking.position(last) == len(ranking.best(3000))


def test_rankings_keep_as_many_individuals_as_are_read() -> None:
    assert pareto._RANKED >= surrogate._MOST_OBSERVED  # to which a model is fitted
    assert 2 * pareto._RANKED >= successive_halving._LATEST  # with exact positions on a rung
