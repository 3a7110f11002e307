"""Rankings that are kept as individuals come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from landscape import individual

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Individual
from nas.evolution.nsga2 import ByFronts, by_fronts
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
