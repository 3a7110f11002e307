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


def dominates(a: Individual, b: Individual) -> bool:
    pairs = list(zip(a.fitness.wvalues, b.fitness.wvalues, strict=True))
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


def undominated(individuals: list[Individual]) -> list[Individual]:
    return [
        individual
        for individual in individuals
        if not any(dominates(rival, individual) for rival in individuals)
    ]


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
    single = Individual(candidate, evaluation)
    assert single.fitness.values == (0.7, 0.3)
    assert single.fitness.wvalues == (0.7, -0.3)


@settings(deadline=None)
@given(points)
def test_the_front_is_the_nondominated_set(individuals: list[Individual]) -> None:
    archive = ParetoArchive()
    for member in individuals:
        archive.add(member)
    front = archive.front
    assert {individual.id for individual in front} == {
        individual.id for individual in undominated(individuals)
    }
    assert [individual.evaluation.fitness for individual in front] == sorted(
        (individual.evaluation.fitness for individual in front), reverse=True
    )


@settings(deadline=None)
@given(points)
def test_ranks_go_front_by_front(individuals: list[Individual]) -> None:
    ranked = by_fronts(individuals)
    assert {individual.id for individual in ranked} == {individual.id for individual in individuals}
    remaining = list(individuals)
    while remaining:
        front = {individual.id for individual in undominated(remaining)}
        first, ranked = ranked[: len(front)], ranked[len(front) :]
        assert {individual.id for individual in first} == front
        remaining = [individual for individual in remaining if individual.id not in front]


def test_within_a_front_the_greatest_crowding_distance_is_first() -> None:
    front = [
        tradeoff(i, value, cost) for i, (value, cost) in enumerate([(0, 0), (1, 1), (2, 2), (6, 6), (9, 9)])
    ]
    dominated = tradeoff(5, -1, 4)
    ranked = [individual.id for individual in by_fronts([dominated, *front])]
    # The ends have an infinite crowding distance; then 3 has more than 2, and 2 more than 1.
    assert ranked == [0, 4, 3, 2, 1, 5]


def test_the_knee_is_nearest_to_the_best_of_everything() -> None:
    front = [tradeoff(0, 0.90, 10_000), tradeoff(1, 0.88, 300), tradeoff(2, 0.50, 100)]
    assert [individual.id for individual in knee_first(front)] == [1, 0, 2]
    assert knee_first([]) == []
    assert [individual.id for individual in knee_first(front[:1])] == [0]


def test_costs_count_by_their_logarithm() -> None:
    # 1000 lies half way between 100 and 10,000; linearly it would be almost as good as 100.
    front = [tradeoff(0, 1.0, 10_000), tradeoff(1, 0.5, 1_000), tradeoff(2, 0.0, 100)]
    distances = [math.hypot(0.5, 0.5), 1.0, 1.0]
    assert distances[0] < 1
    assert [individual.id for individual in knee_first(front)] == [1, 0, 2]
    unfavourable = [front[0], tradeoff(1, 0.2, 1_000), front[2]]
    assert [individual.id for individual in knee_first(unfavourable)] == [1, 0, 2]
    worse = [front[0], tradeoff(1, 0.1, 1_000), front[2]]
    assert [individual.id for individual in knee_first(worse)] == [0, 2, 1]


@given(points)
def test_a_front_is_sorted_by_distance(individuals: list[Individual]) -> None:
    front = undominated(individuals)
    ordered = knee_first(front)
    assert {individual.id for individual in ordered} == {individual.id for individual in front}
    rows = {
        individual.id: (-individual.fitness.values[0], *map(math.log, individual.fitness.values[1:]))
        for individual in front
    }
    columns = list(zip(*rows.values(), strict=True))

    def distance(individual: Individual) -> float:
        pairs = zip(rows[individual.id], columns, strict=True)
        return math.sqrt(sum(((x - min(c)) / ((max(c) - min(c)) or 1)) ** 2 for x, c in pairs))

    distances = [distance(individual) for individual in ordered]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(distances))


@pytest.fixture
def engine(space: SearchSpace) -> Engine:
    engine = Engine(NSGA2(), space, 0, EngineOptions(costs=COSTS))
    drive(engine, 120)
    return engine


def test_two_objectives_by_default(engine: Engine) -> None:
    assert engine.objectives == ("error", "parameters")
    assert {len(individual.fitness.values) for individual in engine.state.population} == {2}


def test_the_population_is_the_first_of_parents_and_children_by_rank(space: SearchSpace) -> None:
    engine = Engine(NSGA2(), space, 0, EngineOptions(costs=COSTS))
    for _ in range(5):
        parents, batch = list(engine.state.population), engine.ask()
        for candidate in batch:
            engine.tell(judge(candidate))
        ranked = by_fronts([*parents, *(engine.archive.individuals[candidate.genome] for candidate in batch)])
        assert engine.state.population == ranked[: engine.state.population_size]
        pairs = itertools.combinations(engine.state.population, 2)
        assert not any(dominates(second, first) for first, second in pairs)


def test_the_best_is_the_knee_and_finalists_follow_it(engine: Engine) -> None:
    assert engine.best is not None
    measured = engine.finalists(3, anew=False)
    assert [individual.id for individual in measured] == [
        individual.id for individual in knee_first(engine.front)[:3]
    ]
    assert engine.best.id == measured[0].id
    assert {individual.id for individual in engine.front} <= engine.live_checkpoints()


def test_half_of_the_finalists_are_from_the_front_trained_from_scratch(engine: Engine) -> None:
    finalists = engine.finalists(6)
    from_scratch = [
        individual for individual in engine.archive.individuals.values() if not individual.inherited
    ]
    assert len(from_scratch) < len(engine.archive.individuals) - 6
    undominated = [
        individual
        for individual in from_scratch
        if not any(dominates(rival, individual) for rival in from_scratch)
    ]
    from_scratch_finalists = [
        individual
        for individual in knee_first(undominated)
        if individual.id not in {finalist.id for finalist in finalists[:3]}
    ]
    assert [individual.id for individual in finalists[:3]] == [
        individual.id for individual in knee_first(engine.front)[:3]
    ]
    assert [individual.id for individual in finalists[3:]][: len(from_scratch_finalists)] == [
        individual.id for individual in from_scratch_finalists
    ][:3]
    assert {individual.id for individual in finalists} <= engine.live_checkpoints()


def test_new_scores_name_a_new_knee(engine: Engine) -> None:
    finalists = engine.finalists(4)
    scores = [individual.evaluation.fitness for individual in finalists]
    position = engine.named(finalists, scores)
    assert finalists[position].id == knee_first(finalists)[0].id
    for i in range(4):
        ruined = [-math.inf if j != i else score for j, score in enumerate(scores)]
        assert engine.named(finalists, ruined) == i
    assert engine.named(finalists, [-math.inf] * 4) == 0


@pytest.mark.slow
def test_the_front_is_better_than_random_searchs(space: SearchSpace) -> None:
    def volume(algorithm: str, seed: int) -> float:
        """What the front dominates, by fitness from 0 and doublings of parameters up to 2¹⁰."""
        candidates = drive(Engine(ALGORITHMS[algorithm](), space, seed, EngineOptions(costs=COSTS)), 160)
        points = sorted(
            (COSTS(candidate.genome).parameters, judge(candidate).fitness) for candidate in candidates
        )
        total, best = 0.0, 0.0
        for parameters, value in points:
            if value > best:
                total += (value - best) * (10 - math.log2(parameters))
                best = value
        return total

    gains = [volume("nsga2", seed) - volume("random", seed) for seed in range(16)]
    assert fmean(gains) > 0.05
    assert median(gains) > 0.02


def test_an_individual_of_one_objective_needs_no_costs() -> None:
    assert individual(0, Genome((4,)), 0.5).fitness.values == (0.5, 1.0)
