"""The contract of every engine, plain and with all extras, and the traits of each strategy."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from statistics import fmean, median, pstdev
from typing import Any

import numpy as np
import pytest
from landscape import RUNGS, ask_all, drive, fitness, judge

from nas.alignment import genome_distance, mean_distance
from nas.evaluation import WORST_FITNESS, WORST_LOSS, Candidate, Evaluation
from nas.evolution import ALGORITHMS, Engine, EngineOptions, migrants, recipe
from nas.evolution.generational import Plus
from nas.evolution.lineage import Origin
from nas.evolution.random_search import RandomSearch
from nas.evolution.steady_state import BATCH
from nas.evolution.successive_halving import SuccessiveHalving
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.space import Limits, SearchSpace, cost_model, load_space

SPACE = SearchSpace(
    depth=(0, 4),
    widths=(2, 3, 4, 6, 8, 12, 16),
    activation=("relu", "tanh", "gelu"),
    learning_rate=(0.001, 0.003, 0.01, 0.03),
    batch_size=(8, 16, 32),
    dropout=(0.0, 0.1),
    optimizer=("adam", "sgd"),
)
TINY = SearchSpace(depth=(1, 3), widths=(4, 8, 16))
COSTS = cost_model(4, 2)
LIMITS = Limits(parameters=150, flops=320, latency=6.0)
OBJECTIVES = ("error", "parameters", "latency")

EXTRAS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "halving": ("halving",),
    "process": ("process",),
    "trees": ("trees",),
    "limits": ("limits",),
    "starts": ("starts",),
    "objectives": ("objectives",),
    "everything": ("halving", "process", "limits", "starts", "objectives"),
}
GENETIC = [name for name in ALGORITHMS if name != "random"]


def starts_of(space: SearchSpace) -> list[Genome]:
    """Fifteen genomes within the limits, or fewer of a small space: more than a batch of some engines."""
    rng = random.Random(5)
    genomes = dict.fromkeys(space.sample(rng) for _ in range(90))
    return [genome for genome in genomes if LIMITS.allow(COSTS(genome))][:15]


def build(
    algorithm: str,
    extra: str = "plain",
    seed: int = 0,
    space: SearchSpace = SPACE,
    batches_in_flight: int | None = None,
) -> Engine:
    """Make an engine with the extras of this name."""
    options: dict[str, Any] = {"costs": COSTS, "batches_in_flight": batches_in_flight}
    parts: dict[str, Any] = {}
    for name in EXTRAS[extra]:
        if name == "halving":
            parts["halving"] = SuccessiveHalving(RUNGS, ALGORITHMS[algorithm].archive.new_ranking)
        elif name == "limits":
            options["limits"] = LIMITS
        elif name == "objectives":
            options["objectives"] = OBJECTIVES
        elif name == "starts":
            options["starts"] = starts_of(space)
        else:
            parts["surrogate"] = Surrogate(space, seed, name, RUNGS[-1])
            parts["surrogate"].pool_size = 20
    return Engine(ALGORITHMS[algorithm](), space, seed, EngineOptions(**options), **parts)


N = 54


@cache
def searched(algorithm: str, extra: str, seed: int = 0) -> list[Candidate]:
    """The candidates of a search, the same for every test that asks."""
    return drive(build(algorithm, extra, seed), N)


@pytest.fixture(autouse=True, scope="module")
def small_forests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.evolution.surrogate._TREES", 2)
        yield


@pytest.mark.exhaustive_except("plain", "everything")
@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
class TestEveryEngine:
    """The promises of ask and tell, for every algorithm with every extra."""

    @pytest.mark.slow
    def test_candidates_are_inside_the_space_and_never_repeat(self, algorithm: str, extra: str) -> None:
        candidates = searched(algorithm, extra)
        new = [candidate.genome for candidate in candidates if candidate.operator != Origin.CONTINUE]
        assert len(candidates) == N
        assert all(candidate.genome in SPACE for candidate in candidates)
        assert len(set(new)) == len(new)

    @pytest.mark.slow
    def test_only_halving_continues_a_genome(self, algorithm: str, extra: str) -> None:
        continued = [
            candidate for candidate in searched(algorithm, extra) if candidate.operator == Origin.CONTINUE
        ]
        assert bool(continued) == ("halving" in EXTRAS[extra])

    @pytest.mark.slow
    def test_the_same_seed_gives_the_same_candidates(self, algorithm: str, extra: str) -> None:
        assert drive(build(algorithm, extra), N // 2) == searched(algorithm, extra)[: N // 2]
        assert drive(build(algorithm, extra, seed=1), N // 2) != searched(algorithm, extra)[: N // 2]

    @pytest.mark.slow
    def test_a_shorter_search_is_a_prefix_of_a_longer_one(self, algorithm: str, extra: str) -> None:
        short = drive(build(algorithm, extra), 31)
        assert len(short) == 31
        assert searched(algorithm, extra)[:31] == short

    @pytest.mark.slow
    def test_global_randomness_is_neither_read_nor_changed(self, algorithm: str, extra: str) -> None:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002  # the global generator is the subject of this test
        before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
        assert drive(build(algorithm, extra), 40) == searched(algorithm, extra)[:40]
        after = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
        assert after == before

    def test_ids_count_up_and_seeds_differ(self, algorithm: str, extra: str) -> None:
        candidates = searched(algorithm, extra)
        assert [candidate.id for candidate in candidates] == list(range(N))
        assert len({candidate.seed for candidate in candidates}) == N
        generations = [candidate.generation for candidate in candidates]
        assert generations == sorted(generations)

    @pytest.mark.slow
    def test_workers_that_end_in_any_order_change_nothing(self, algorithm: str, extra: str) -> None:
        engine, rng = build(algorithm, extra), random.Random(3)
        waiting, evaluated = deque(ask_all(engine)), list[Candidate]()
        running, ended = list(waiting), dict[int, Evaluation]()
        while len(evaluated) < 40:
            candidate = running.pop(rng.randrange(len(running)))
            ended[candidate.id] = judge(candidate)
            while waiting and waiting[0].id in ended and len(evaluated) < 40:
                evaluated.append(waiting.popleft())
                engine.tell(ended[evaluated[-1].id])
                if not waiting or waiting[0].generation != evaluated[-1].generation:
                    batches = ask_all(engine)
                    waiting += batches
                    running += batches
        assert evaluated == searched(algorithm, extra)[:40]

    def test_parents_were_evaluated_before(self, algorithm: str, extra: str) -> None:
        batches_in_flight = ALGORITHMS[algorithm].default_batches_in_flight
        candidates = searched(algorithm, extra)
        for candidate in candidates:
            generations = [candidates[parent].generation for parent in candidate.parents]
            assert all(generation <= candidate.generation - batches_in_flight for generation in generations)

    def test_batches_are_asked_for_up_to_the_number_in_flight(self, algorithm: str, extra: str) -> None:
        engine = build(algorithm, extra)
        n_batches = engine.state.batches_in_flight
        for _ in range(n_batches):
            assert engine.can_ask
            batch = engine.ask()
            assert len(batch) == engine.strategy.batch_size(engine.state)
        assert not engine.can_ask
        with pytest.raises(
            RuntimeError,
            match=f"ask: expected some of {n_batches * len(batch)} evaluations to be told",
        ):
            engine.ask()

    @pytest.mark.slow
    def test_more_batches_are_in_flight_on_request(self, algorithm: str, extra: str) -> None:
        if ALGORITHMS[algorithm].default_batches_in_flight == 1:
            with pytest.raises(ValueError, match="batches_in_flight: expected 1, got 3"):
                build(algorithm, extra, batches_in_flight=3)
            return
        engine = build(algorithm, extra, batches_in_flight=5)
        candidates = drive(engine, 120)
        assert {candidate.generation for candidate in candidates[: 5 * 4]} >= set(range(2))
        for candidate in candidates:
            generations = [candidates[parent].generation for parent in candidate.parents]
            assert all(generation <= candidate.generation - 5 for generation in generations)
        assert len([candidate for candidate in candidates if candidate.parents]) > 20 or algorithm == "random"

    def test_evaluations_in_another_order_are_an_error(self, algorithm: str, extra: str) -> None:
        engine = build(algorithm, extra)
        with pytest.raises(ValueError, match="tell: expected candidate None, got 0"):
            engine.tell(Evaluation(0))
        batch = engine.ask()
        with pytest.raises(ValueError, match="tell: expected candidate 0, got 1"):
            engine.tell(judge(batch[1]))
        engine.tell(judge(batch[0]))
        with pytest.raises(ValueError, match="tell: expected candidate 1, got 0"):
            engine.tell(judge(batch[0]))

    @pytest.mark.slow
    def test_failures_have_no_children_and_are_counted(self, algorithm: str, extra: str) -> None:
        engine = build(algorithm, extra)
        candidates = drive(engine, 40, failing=2)
        failed = set(range(0, 40, 2))
        assert not failed & {parent for candidate in candidates for parent in candidate.parents}
        assert not failed & {individual.id for individual in engine.state.population}
        generation = engine.generation()
        assert engine.best is not None
        assert engine.best.evaluation.error is None
        assert generation is not None
        assert (generation.evaluated, generation.failures) == (40, 20)
        assert generation.mean > -1  # the failures' fitness of -1e9 is not in it

    def test_a_search_of_failures_only_has_no_best(self, algorithm: str, extra: str) -> None:
        engine = build(algorithm, extra)
        assert len(drive(engine, 30, failing=1)) == 30
        assert engine.best is None
        assert engine.generation() is None
        assert engine.finalists(3) == engine.front == engine.state.population == []

    @pytest.mark.slow
    def test_a_tiny_space_is_searched_to_its_end(self, algorithm: str, extra: str) -> None:
        engine = build(algorithm, extra, space=TINY)
        candidates = drive(engine, 1000)
        new = [candidate.genome for candidate in candidates if candidate.operator != Origin.CONTINUE]
        limited = "limits" in EXTRAS[extra]
        reachable = {genome for genome in TINY if not limited or LIMITS.allow(COSTS(genome))}
        assert 5 < len(reachable) <= 39
        assert set(new) == reachable
        assert len(new) == len(reachable)
        assert engine.can_ask
        assert engine.ask() == engine.ask() == []

    def test_no_candidate_exceeds_the_limits(self, algorithm: str, extra: str) -> None:
        exceeding = [
            candidate for candidate in searched(algorithm, extra) if not LIMITS.allow(COSTS(candidate.genome))
        ]
        if "limits" in EXTRAS[extra]:
            assert exceeding == []
        elif extra == "plain":
            assert exceeding  # or the limits would limit nothing

    def test_starts_are_proposed_first(self, algorithm: str, extra: str) -> None:
        started = [candidate for candidate in searched(algorithm, extra) if candidate.operator == "start"]
        if "starts" not in EXTRAS[extra]:
            assert started == []
            return
        assert [candidate.genome for candidate in started] == starts_of(SPACE)
        not_starts = [
            candidate
            for candidate in searched(algorithm, extra)
            if candidate.operator not in ("start", Origin.CONTINUE)
        ]
        assert max(candidate.id for candidate in started) < min(candidate.id for candidate in not_starts)

    def test_children_inherit_from_the_parent_that_they_resemble_most(
        self, algorithm: str, extra: str
    ) -> None:
        candidates = searched(algorithm, extra)
        for candidate in candidates:
            assert (candidate.inherits is None) == (candidate.parents == ())
            assert (candidate.parents == ()) == (candidate.operator in ("random", "start"))
            if candidate.inherits is not None:
                distances = {
                    i: genome_distance(candidate.genome, candidates[i].genome) for i in candidate.parents
                }
                assert distances[candidate.inherits] == min(distances.values())

    @pytest.mark.slow
    def test_checkpoints_of_parents_stay_live_until_their_children_start(
        self, algorithm: str, extra: str
    ) -> None:
        engine = build(algorithm, extra)
        waiting, live = deque(ask_all(engine)), set[int]()
        for _ in range(N):
            candidate = waiting.popleft()
            engine.tell(judge(candidate))
            live.add(candidate.id)
            if waiting and waiting[0].generation == candidate.generation:
                continue
            live &= engine.live_checkpoints()
            assert engine.best is not None
            assert engine.best.id in live
            assert {individual.id for individual in engine.front} <= live
            assert len(live) < N - 10 or candidate.id < N - 10
            batches = ask_all(engine)
            assert {candidate.inherits for candidate in batches} - {None} <= live
            waiting += batches

    def test_a_generation_summarizes_the_population(self, algorithm: str, extra: str) -> None:
        engine = build(algorithm, extra)
        n = 2 * engine.strategy.batch_size(engine.state)
        drive(engine, n)
        generation = engine.generation()
        assert generation is not None
        assert engine.best is not None
        assert (generation.number, generation.evaluated, generation.failures) == (1, n, 0)
        values = [individual.evaluation.fitness for individual in engine.state.population]
        assert generation.mean == pytest.approx(fmean(values))
        assert generation.median == pytest.approx(median(values))
        assert generation.std == pytest.approx(pstdev(values))
        assert generation.diversity == mean_distance(
            [individual.genome for individual in engine.state.population]
        )
        assert generation.best == engine.best.evaluation.fitness
        assert generation.best_genome == engine.best.genome


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["steady-state", "aging", "nsga2"])
def test_at_most_half_as_many_are_in_flight_as_were_evaluated(algorithm: str) -> None:
    batches_in_flight = 60
    engine = build(algorithm, batches_in_flight=batches_in_flight)
    waiting = deque(ask_all(engine))
    assert (
        len(waiting) == batches_in_flight * BATCH
    )  # before the first result all batches have the least size
    for n_told in range(1, 1501):
        engine.tell(judge(waiting.popleft()))
        waiting += ask_all(engine)
        assert len(waiting) <= max(batches_in_flight * BATCH, n_told / 2)
    assert engine.strategy.batch_size(engine.state) > BATCH


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generation_counts_the_evaluated_part_of_a_batch(algorithm: str) -> None:
    engine = build(algorithm)
    batch = engine.ask()
    for candidate in batch[:3]:
        engine.tell(judge(candidate))
    generation = engine.generation()
    assert generation is not None
    assert (generation.number, generation.evaluated) == (0, 3)
    assert generation.mean == pytest.approx(fmean(judge(candidate).fitness for candidate in batch[:3]))


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "nsga2"])
def test_the_best_is_the_fittest_of_all(algorithm: str) -> None:
    engine = build(algorithm)
    candidates = drive(engine, 100)
    assert engine.best is not None
    assert engine.best.evaluation.fitness == max(judge(candidate).fitness for candidate in candidates)
    best = sorted((judge(candidate).fitness for candidate in candidates), reverse=True)
    finalists = engine.finalists(5)
    assert [individual.evaluation.fitness for individual in finalists[:3]] == best[:3]
    # All others are the best trained from scratch.
    first = {individual.id for individual in finalists[:3]}
    from_scratch = [
        candidate for candidate in candidates if candidate.inherits is None and candidate.id not in first
    ]
    best_from_scratch = sorted((judge(candidate).fitness for candidate in from_scratch), reverse=True)
    assert [individual.evaluation.fitness for individual in finalists[3:]] == best_from_scratch[:2]
    assert {individual.id for individual in finalists} <= engine.live_checkpoints()
    assert engine.named(engine.finalists(3), [0.1, 0.7, 0.7]) == 1
    # Without a last training from scratch, inherited weights count like all others.
    assert [individual.evaluation.fitness for individual in engine.finalists(5, anew=False)] == best[:5]


def test_without_inheritance_finalists_are_the_best() -> None:
    engine = Engine(Plus(), SPACE, 0, EngineOptions(costs=COSTS, inherit=False))
    candidates = drive(engine, 100)
    best = sorted((judge(candidate).fitness for candidate in candidates), reverse=True)
    assert [individual.evaluation.fitness for individual in engine.finalists(5)] == best[:5]


@cache
def best_fitness(algorithm: str, seed: int) -> float:
    return max(fitness(candidate.genome) for candidate in drive(build(algorithm, seed=seed), 120))


@pytest.mark.exhaustive
@pytest.mark.parametrize("algorithm", [name for name in GENETIC if name != "nsga2"])
def test_evolution_finds_more_than_random_search(algorithm: str) -> None:
    # Over 80 seeds the mean is 0.03 for aging and more for others, give or take 0.005.
    gains = [best_fitness(algorithm, seed) - best_fitness("random", seed) for seed in range(24)]
    assert fmean(gains) > 0.01
    assert sum(gain < 0 for gain in gains) <= 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(algorithm, name) for name in ("one of each gene", "small") for algorithm in GENETIC],
)
def test_heredity_stays_high_at_every_position(algorithm: str, name: str) -> None:
    space = load_space(name) if name == "small" else SPACE
    shares = []
    for seed in range(2):
        engine = build(algorithm, seed=seed, space=space)
        drive(engine, 240)
        generation = engine.generation()
        assert generation is not None
        assert len(generation.heredity) == space.depth[1]
        shares.append(generation.heredity)
    assert np.mean(shares, axis=0).min() > 0.8


@pytest.mark.parametrize("extra", ["process", "halving"])
@pytest.mark.parametrize("algorithm", ["comma", "aging", "nsga2", "random"])
def test_checkpoints_of_finalists_stay_live_with_random_fitness(algorithm: str, extra: str) -> None:
    engine, rng, live = build(algorithm, extra), random.Random(1), set[int]()
    n_told = 0
    while n_told < 110:
        batch = ask_all(engine)
        for number, candidate in enumerate(batch, 1):
            value = rng.gauss(0, 1)
            epochs = candidate.epochs or RUNGS[-1]
            losses = (1.0,) * (epochs - candidate.epochs_done)
            engine.tell(Evaluation(candidate.id, value, 1.0, 1, epochs, "epochs", losses))
            live.add(candidate.id)
            if number % engine.strategy.batch_size(engine.state) == 0:
                live &= engine.live_checkpoints()
        n_told += len(batch)
    assert {individual.id for individual in engine.finalists(5)} <= live


def test_heredity_is_counted_only_for_children_of_crossover() -> None:
    for name, expected in (("plus", True), ("random", False)):
        engine = build(name)
        drive(engine, 60)
        generation = engine.generation()
        assert generation is not None
        assert bool(generation.heredity) == expected
        assert all(0 <= share <= 1 for share in generation.heredity)


def test_the_operators_all_take_part() -> None:
    operators = {candidate.operator for candidate in drive(build("plus"), 400)}
    parts = {part for operator in operators for part in operator.removeprefix("crossover:").split("+")}
    assert parts >= {
        *("random", "mix_layers", "cut_and_splice", "insert_layer", "duplicate_layer"),
        *("remove_layer", "widen", "narrow", "swap_activation", "step_gene"),
    }
    assert {"crossover:mix_layers", "crossover:cut_and_splice"} <= operators


def test_without_inheritance_only_halving_starts_from_weights() -> None:
    engine = Engine(Plus(), SPACE, 0, EngineOptions(inherit=False), halving=SuccessiveHalving(RUNGS))
    candidates = drive(engine, 80)
    assert any(candidate.operator == Origin.CONTINUE for candidate in candidates)
    assert any(candidate.parents and candidate.operator != Origin.CONTINUE for candidate in candidates)
    assert all(
        (candidate.inherits is not None) == (candidate.operator == Origin.CONTINUE)
        for candidate in candidates
    )


def test_age_counts_the_epochs_of_ancestors() -> None:
    engine = build("plus")
    drive(engine, 60)
    by_id = {individual.id: individual for individual in engine.archive.individuals.values()}
    assert any(individual.candidate.inherits is not None for individual in by_id.values())
    for individual in by_id.values():
        before = 0 if individual.candidate.inherits is None else by_id[individual.candidate.inherits].age
        assert individual.age == before + RUNGS[-1]


def test_the_population_never_gets_worse_where_parents_compete() -> None:
    engine = build("plus", seed=3)
    means = []
    for _ in range(9):
        for candidate in engine.ask():
            engine.tell(judge(candidate))
        means.append(fmean(individual.evaluation.fitness for individual in engine.state.population))
        assert len(engine.state.population) == 12
    assert means == sorted(means)
    assert means[0] < means[-1]


def test_offspring_replace_their_parents_under_comma() -> None:
    engine = build("comma")
    for _ in range(4):
        batch = engine.ask()
        assert len(batch) == 2 * engine.state.population_size
        for candidate in batch:
            engine.tell(judge(candidate))
        best = sorted(batch, key=lambda candidate: (-judge(candidate).fitness, candidate.id))[
            : engine.state.population_size
        ]
        assert [individual.candidate for individual in engine.state.population] == best


def test_parents_stay_under_comma_where_all_offspring_fail() -> None:
    engine = build("comma")
    for candidate in engine.ask():
        engine.tell(judge(candidate))
    before = list(engine.state.population)
    for candidate in engine.ask():
        engine.tell(Evaluation(candidate.id, error="no"))
    assert engine.state.population == before


def test_aging_keeps_the_youngest() -> None:
    engine = build("aging")
    drive(engine, 60)
    assert [individual.id for individual in engine.state.population] == list(range(40, 60))


def test_steady_state_keeps_the_best() -> None:
    engine = build("steady-state")
    candidates = drive(engine, 60)
    best = sorted((judge(candidate).fitness for candidate in candidates), reverse=True)[:16]
    assert [individual.evaluation.fitness for individual in engine.state.population] == best


def test_among_equal_scores_the_lower_loss_wins() -> None:
    engine = build("plus")
    for candidate in engine.ask():
        loss = abs(candidate.id - 5) + 1.0
        engine.tell(Evaluation(candidate.id, fitness=0.5, validation_loss=loss, stopped="epochs"))
    assert engine.best is not None
    assert engine.best.id == 5


def test_starts_that_repeat_are_proposed_once() -> None:
    start = Genome((8,), "relu", 0.01, 16, dropout=0.0, optimizer="adam")
    engine = Engine(Plus(), SPACE, 0, EngineOptions(starts=[start, start]))
    assert [candidate.operator for candidate in engine.ask()[:2]] == ["start", "random"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_migrants_are_the_next_to_be_tried_if_they_are_new(algorithm: str) -> None:
    engine = recipe(algorithm).engine(SPACE, 3, epochs=27, costs=COSTS)
    first = ask_all(engine)
    for candidate in first:
        engine.tell(judge(candidate))
    earlier = [candidate.genome for candidate in first]
    new = [genome for genome in starts_of(SPACE) if genome not in earlier][:3]
    engine.immigrate([earlier[0], *new, new[0]])
    arrived = [candidate for candidate in ask_all(engine) if candidate.operator == "migrant"]
    assert [candidate.genome for candidate in arrived] == new
    assert all(candidate.parents == () and candidate.inherits is None for candidate in arrived)


def test_elites_go_round_the_ring() -> None:
    engines = [recipe("plus").engine(SPACE, seed, epochs=27) for seed in range(3)]
    for engine in engines:
        drive(engine, 60)
        assert [individual.fitness for individual in engine.elites(2)] == [
            individual.fitness for individual in engine.archive.hall_of_fame[:2]
        ]
    elites = [[individual.genome for individual in engine.elites(2)] for engine in engines]
    for i in range(3):
        assert set(migrants(elites, i)) == set(elites[i - 1])
    # Empty islands forward their predecessor's elites, and receive them, too.
    assert set(migrants([elites[0], [], elites[2]], 2)) == set(elites[0])
    assert set(migrants([elites[0], [], elites[2]], 1)) == set(elites[0])
    assert migrants([[], [], []], 1) == []
    # As many as the fewest elites of any island, the best of each.
    assert migrants([elites[0], elites[1][:1], elites[2]], 0).count(elites[2][0]) == 1


def test_a_merged_engine_of_several_objectives_has_the_finalists_of_the_engine() -> None:
    def judge_children_better(candidate: Candidate, failing: int) -> Evaluation:
        # So that few of the networks trained from scratch are on the front, or in the hall of fame.
        evaluation = judge(candidate, failing)
        bonus = 0.0 if candidate.inherits is None else 0.2
        return replace(evaluation, fitness=evaluation.fitness + bonus)

    made = recipe("nsga2", objectives=OBJECTIVES)
    for seed in range(2):
        engine, merged = (made.engine(SPACE, s, epochs=27, costs=COSTS) for s in (seed, 9))
        drive(engine, 400, judge=judge_children_better)
        merged.merge(engine.archive.representatives())
        assert merged.finalists(6) == engine.finalists(6)


def test_merging_engines_gives_the_best_of_all() -> None:
    engines = [recipe("plus").engine(SPACE, seed, epochs=27, costs=COSTS) for seed in range(3)]
    for engine in engines:
        drive(engine, 60)
    merged = recipe("plus").engine(SPACE, 9, epochs=27, costs=COSTS)
    for engine in engines:
        merged.merge(engine.archive.representatives())
    bests = [individual for engine in engines for individual in engine.elites(3)]
    assert merged.best is not None
    assert merged.best.evaluation.fitness == max(individual.evaluation.fitness for individual in bests)
    assert len(merged.finalists(3)) == 3


def test_the_worst_fitness_can_be_ordered() -> None:
    assert np.isfinite([WORST_FITNESS, WORST_LOSS]).all()
    assert Evaluation(0, error="no").fitness < fitness(Genome((2,) * 4))


def test_a_population_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="population_size: expected at least 2, got 1"):
        Engine(RandomSearch(), SPACE, 0, EngineOptions(population_size=1))


@pytest.mark.parametrize("algorithm", ["auto", *ALGORITHMS])
def test_a_recipe_makes_an_engine_with_its_settings(algorithm: str) -> None:
    plain = recipe(algorithm, inherit=False, halving=True, surrogate="none", population_size=6)
    engine = plain.engine(SPACE, 3, epochs=40, costs=COSTS, limits=LIMITS, starts=[Genome((4,))])
    assert type(engine.strategy) is ALGORITHMS["steady-state" if algorithm == "auto" else algorithm]
    assert (engine.state.population_size, engine.options.inherit, engine.state.surrogate) == (6, False, None)
    assert engine.halving is not None
    assert engine.halving.rungs == (4, 13, 40)
    assert (engine.seed, engine.options.limits) == (3, LIMITS)


def test_a_recipe_has_the_strategys_size_and_random_search_no_inheritance() -> None:
    for name, engine in ALGORITHMS.items():
        assert recipe(name).population_size == engine.default_size
        assert recipe(name).inherit == (name != "random")
        assert not recipe(name).halving
        assert recipe(name).surrogate == "none"


def test_several_objectives_have_halving_and_a_surrogate_too() -> None:
    objectives = ("error", "flops")
    auto = recipe("auto", objectives=objectives)
    assert (auto.algorithm, auto.objectives) == ("nsga2", objectives)
    assert (auto.inherit, auto.halving, auto.surrogate) == (True, True, "process")
    assert recipe("auto", objectives=objectives, surrogate="none").surrogate == "none"


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "most"), [("steady-state", 32), ("aging", 10), ("nsga2", 32)])
def test_batches_grow_with_the_number_of_results(algorithm: str, most: int) -> None:
    engine = Engine(ALGORITHMS[algorithm](), SPACE, 0, EngineOptions(costs=COSTS))
    sizes: list[int] = []
    while sum(sizes) < 1200:
        batch = engine.ask()
        sizes.append(len(batch))
        for candidate in batch:
            engine.tell(Evaluation(candidate.id, fitness=candidate.seed / 2**32, best_epoch=1))
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (4, most)
    # Batches keep the least size while few candidates are evaluated.
    assert set(sizes[:24]) == {4}
