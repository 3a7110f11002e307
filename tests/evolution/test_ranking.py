"""Rankings that are kept as individuals come and go."""

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


def alone(i: int, value: int) -> Individual:
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
def test_the_fittest_are_first_and_among_equals_who_came_first(steps: list[tuple[int, bool]]) -> None:
    ranking, everyone = ByFitness(), list[Individual]()
    for i, (value, leaves) in enumerate(steps):
        everyone.append(alone(i, value))
        ranking.add(everyone[-1])
        if leaves:
            ranking.discard(everyone.pop(i // 2 % len(everyone)))
        ranked = sorted(everyone, key=lambda one: -one.evaluation.fitness)
        assert [one.id for one in ranking.best(99)] == [one.id for one in ranked]
        assert [one.id for one in ranking.best(2)] == [one.id for one in ranked[:2]]
        assert [ranking.position(one) for one in ranked] == list(range(len(ranked)))
        assert len(ranking) == len(everyone)


def test_many_and_few_between_two_looks_find_their_places() -> None:
    rng, ranking, everyone = random.Random(0), ByFitness(), list[Individual]()
    for n in [200, 1, 2, 30, 1, 3, 150, 1]:
        for _ in range(n):
            everyone.append(alone(len(everyone), rng.randrange(9)))
            ranking.add(everyone[-1])
        ranked = sorted(everyone, key=lambda one: (-one.evaluation.fitness, one.id))
        assert ranking.best(len(everyone)) == ranked
        assert ranking.position(ranked[len(ranked) // 3]) == len(ranked) // 3


@given(values)
def test_fronts_are_those_of_whom_is_left(steps: list[tuple[int, bool]]) -> None:
    ranking, everyone = ByFronts(), list[Individual]()
    for i, (value, leaves) in enumerate(steps):
        everyone.append(with_costs(i, value))
        ranking.add(everyone[-1])
        if leaves:
            ranking.discard(everyone.pop(i // 2 % len(everyone)))
        ranked = by_fronts(everyone)
        assert [one.id for one in ranking.best(99)] == [one.id for one in ranked]
        assert [ranking.position(one) for one in ranked] == list(range(len(ranked)))
        assert len(ranking) == len(everyone)


@pytest.mark.parametrize("ranking", [ByFitness(), ByFronts()])
def test_nobody_ranks_nowhere(ranking: Ranking) -> None:
    assert ranking.best(3) == []
    assert len(ranking) == 0


def test_of_many_the_best_are_on_the_fronts_that_all_would_make() -> None:
    rng = random.Random(0)
    ranking, everyone = ByFronts(), list[Individual]()
    for i in range(3000):
        genome = Genome((rng.randint(1, 300),), learning_rate=i * 1e-6)
        evaluation = Evaluation(i, rng.random() * min(1.0, i / 1000), 0.5)
        one = Individual(
            Candidate(i, genome, 0, 0, "random"), evaluation, COSTS(genome), ("error", "parameters")
        )
        everyone.append(one)
        ranking.add(one)
        if i % 37 == 0:  # who is better trained takes somebody's place, remembered or not
            ranking.discard(everyone.pop(rng.randrange(len(everyone))))
        if i % 50 == 0:
            ranking.best(300)
    fronts = [{one.id for one in front} for front in tools.sortLogNondominated(everyone, 300)]
    best = [one.id for one in ranking.best(300)]
    whole = fronts[:-1]  # of the last, those are best that stand alone there
    n = sum(map(len, whole))
    assert n > 150
    assert [{*best[sum(map(len, whole[:k])) :][: len(front)]} for k, front in enumerate(whole)] == whole
    assert set(best[n:]) <= fronts[-1]
    assert len(ranking) == len(everyone)
    assert len(ranking.best(3000)) < 1000
    forgotten = {one.id for one in everyone} - {one.id for one in ranking.best(3000)}
    last = next(one for one in everyone if one.id in forgotten)
    assert ranking.position(last) == len(ranking.best(3000))


def test_as_many_are_remembered_as_anybody_asks_for() -> None:
    assert pareto._RANKED >= surrogate._MOST_OBSERVED  # of whom a model learns
    assert 2 * pareto._RANKED >= successive_halving._LATEST  # whose places on a rung have to be exact
