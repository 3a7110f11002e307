"""Several objectives at once: fronts, crowding, the knee."""

from __future__ import annotations

import itertools
import math
from statistics import fmean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscape import drive, individual, judge

from nas.evaluation import Candidate, Evaluation
from nas.evolution import ALGORITHMS, OBJECTIVES, Engine, EngineOptions, Individual, ParetoArchive
from nas.evolution.nsga2 import NSGA2
from nas.evolution.pareto import by_fronts, knee_first
from nas.genome import Genome
from nas.space import Costs, SearchSpace, cost_model

COSTS = cost_model(4, 2)


def tradeoff(number: int, value: float, parameters: int, latency: float = 1.0) -> Individual:
    evaluation = Evaluation(number, fitness=value, validation_loss=0.0, stopped="epochs")
    candidate = Candidate(number, Genome((number + 1,)), 0, 0, "random")
    costs = Costs(parameters, 2 * parameters, latency)
    return Individual(candidate, evaluation, costs, ("error", "parameters", "latency"))


def dominates(one: Individual, other: Individual) -> bool:
    pairs = list(zip(one.fitness.wvalues, other.fitness.wvalues, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def undominated(everyone: list[Individual]) -> list[Individual]:
    return [one for one in everyone if not any(dominates(other, one) for other in everyone)]


points = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=12
).map(lambda rows: [tradeoff(i, a / 4, b, float(c)) for i, (a, b, c) in enumerate(rows)])


def test_fitness_has_a_value_for_each_objective() -> None:
    genome = Genome((8, 4))
    candidate = Candidate(0, genome, 0, 0, "random")
    evaluation, costs = Evaluation(0, fitness=0.7, validation_loss=0.3), COSTS(genome)
    several = Individual(candidate, evaluation, costs, OBJECTIVES)
    assert several.fitness.values == (0.7, costs.parameters, costs.flops, costs.latency)
    assert several.fitness.wvalues == (0.7, -costs.parameters, -costs.flops, -costs.latency)
    alone = Individual(candidate, evaluation)
    assert alone.fitness.values == (0.7, 0.3)
    assert alone.fitness.wvalues == (0.7, -0.3)


@settings(deadline=None)
@given(points)
def test_the_front_is_who_nobody_dominates(everyone: list[Individual]) -> None:
    archive = ParetoArchive()
    for one in everyone:
        archive.add(one)
    front = archive.front
    assert {one.id for one in front} == {one.id for one in undominated(everyone)}
    assert [one.evaluation.fitness for one in front] == sorted(
        (one.evaluation.fitness for one in front), reverse=True
    )


@settings(deadline=None)
@given(points)
def test_ranks_go_front_by_front(everyone: list[Individual]) -> None:
    ranked = by_fronts(everyone)
    assert {one.id for one in ranked} == {one.id for one in everyone}
    left = list(everyone)
    while left:
        front = {one.id for one in undominated(left)}
        here, ranked = ranked[: len(front)], ranked[len(front) :]
        assert {one.id for one in here} == front
        left = [one for one in left if one.id not in front]


def test_within_a_front_the_lonely_go_first() -> None:
    front = [
        tradeoff(i, value, cost) for i, (value, cost) in enumerate([(0, 0), (1, 1), (2, 2), (6, 6), (9, 9)])
    ]
    dominated = tradeoff(5, -1, 4)
    ranked = [one.id for one in by_fronts([dominated, *front])]
    # The ends are infinitely far from others; 3 is lonelier than 2, 2 than 1.
    assert ranked == [0, 4, 3, 2, 1, 5]


def test_the_knee_is_nearest_to_the_best_of_everything() -> None:
    front = [tradeoff(0, 0.90, 10_000), tradeoff(1, 0.88, 300), tradeoff(2, 0.50, 100)]
    assert [one.id for one in knee_first(front)] == [1, 0, 2]
    assert knee_first([]) == []
    assert [one.id for one in knee_first(front[:1])] == [0]


def test_costs_count_by_their_logarithm() -> None:
    # 1000 lies half way between 100 and 10,000; linearly it would be almost as good as 100.
    front = [tradeoff(0, 1.0, 10_000), tradeoff(1, 0.5, 1_000), tradeoff(2, 0.0, 100)]
    distances = [math.hypot(0.5, 0.5), 1.0, 1.0]
    assert distances[0] < 1
    assert [one.id for one in knee_first(front)] == [1, 0, 2]
    unfavourable = [front[0], tradeoff(1, 0.2, 1_000), front[2]]
    assert [one.id for one in knee_first(unfavourable)] == [1, 0, 2]
    worse = [front[0], tradeoff(1, 0.1, 1_000), front[2]]
    assert [one.id for one in knee_first(worse)] == [0, 2, 1]


@given(points)
def test_everyone_of_a_front_has_a_place_by_distance(everyone: list[Individual]) -> None:
    front = undominated(everyone)
    ordered = knee_first(front)
    assert {one.id for one in ordered} == {one.id for one in front}
    rows = {one.id: (-one.fitness.values[0], *map(math.log, one.fitness.values[1:])) for one in front}
    columns = list(zip(*rows.values(), strict=True))

    def distance(one: Individual) -> float:
        pairs = zip(rows[one.id], columns, strict=True)
        return math.sqrt(sum(((x - min(c)) / ((max(c) - min(c)) or 1)) ** 2 for x, c in pairs))

    distances = [distance(one) for one in ordered]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(distances))


@pytest.fixture
def engine(space: SearchSpace) -> Engine:
    engine = Engine(NSGA2(), space, 0, EngineOptions(costs=COSTS))
    drive(engine, 120)
    return engine


def test_two_objectives_unless_told_otherwise(engine: Engine) -> None:
    assert engine.objectives == ("error", "parameters")
    assert {len(one.fitness.values) for one in engine.state.population} == {2}


def test_the_population_is_the_first_of_parents_and_children_by_rank(space: SearchSpace) -> None:
    engine = Engine(NSGA2(), space, 0, EngineOptions(costs=COSTS))
    for _ in range(5):
        parents, batch = list(engine.state.population), engine.ask()
        for candidate in batch:
            engine.tell(judge(candidate))
        ranked = by_fronts([*parents, *(engine.archive.individuals[candidate.genome] for candidate in batch)])
        assert engine.state.population == ranked[: engine.state.population_size]
        pairs = itertools.combinations(engine.state.population, 2)
        assert not any(dominates(later, earlier) for earlier, later in pairs)


def test_the_best_is_the_knee_and_finalists_follow_it(engine: Engine) -> None:
    assert engine.best is not None
    measured = engine.finalists(3, anew=False)
    assert [one.id for one in measured] == [one.id for one in knee_first(engine.front)[:3]]
    assert engine.best.id == measured[0].id
    assert {one.id for one in engine.front} <= engine.live_checkpoints()


def test_half_of_the_finalists_are_the_front_of_those_who_inherited_nothing(engine: Engine) -> None:
    chosen = engine.finalists(6)
    heirless = [one for one in engine.archive.individuals.values() if not one.inherited]
    assert len(heirless) < len(engine.archive.individuals) - 6
    undominated = [one for one in heirless if not any(dominates(other, one) for other in heirless)]
    others = [one for one in knee_first(undominated) if one.id not in {each.id for each in chosen[:3]}]
    assert [one.id for one in chosen[:3]] == [one.id for one in knee_first(engine.front)[:3]]
    assert [one.id for one in chosen[3:]][: len(others)] == [one.id for one in others][:3]
    assert {one.id for one in chosen} <= engine.live_checkpoints()


def test_new_scores_name_a_new_knee(engine: Engine) -> None:
    finalists = engine.finalists(4)
    scores = [one.evaluation.fitness for one in finalists]
    again = engine.named(finalists, scores)
    assert finalists[again].id == knee_first(finalists)[0].id
    for i in range(4):
        ruined = [-math.inf if j != i else score for j, score in enumerate(scores)]
        assert engine.named(finalists, ruined) == i
    assert engine.named(finalists, [-math.inf] * 4) == 0


def test_the_front_is_better_than_random_searchs(space: SearchSpace) -> None:
    def volume(algorithm: str, seed: int) -> float:
        """What the front dominates, by fitness from 0 and doublings of parameters up to 2¹⁰."""
        candidates = drive(Engine(ALGORITHMS[algorithm](), space, seed, EngineOptions(costs=COSTS)), 160)
        found = sorted((COSTS(one.genome).parameters, judge(one).fitness) for one in candidates)
        total, best = 0.0, 0.0
        for parameters, value in found:
            if value > best:
                total += (value - best) * (10 - math.log2(parameters))
                best = value
        return total

    gains = [volume("nsga2", seed) - volume("random", seed) for seed in range(16)]
    assert fmean(gains) > 0.05
    assert median(gains) > 0.02


def test_an_individual_of_one_objective_needs_no_costs() -> None:
    assert individual(0, Genome((4,)), 0.5).fitness.values == (0.5, 1.0)
