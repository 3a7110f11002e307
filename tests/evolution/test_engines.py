"""The contract that every engine keeps, and what is particular to each."""

from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest

from nas.evaluation import WORST_FITNESS, WORST_LOSS, Candidate, Evaluation
from nas.evolution import ALGORITHMS, Engine, Generational, RandomSearch
from nas.evolution.engine import deap_draws_from, diversity
from nas.genome import Genome
from nas.space import SearchSpace

TARGET = (16, 8, 4)


def fitness(genome: Genome) -> float:
    """A landscape with structure: best at 16-8-4 with tanh, worse by every step away from it."""
    depth = abs(genome.depth - len(TARGET))
    widths = sum(abs(np.log2(one / other)) for one, other in zip(genome.widths, TARGET, strict=False))
    return float(1 - 0.2 * depth - 0.05 * widths - 0.1 * (genome.activation != "tanh"))


def judge(candidate: Candidate) -> Evaluation:
    value = fitness(candidate.genome)
    return Evaluation(candidate.id, fitness=value, validation_loss=1 - value, stopped="epochs")


def drive(engine: Engine, n: int, failing: int = 0) -> list[Candidate]:
    """Ask and tell until `n` candidates are judged; every `failing`-th one fails."""
    judged: list[Candidate] = []
    while len(judged) < n:
        asked = engine.ask()
        if not asked:
            break
        for candidate in asked[: n - len(judged)]:
            failed = failing and candidate.id % failing == 0
            engine.tell(Evaluation(candidate.id, error="it failed") if failed else judge(candidate))
            judged.append(candidate)
    return judged


@pytest.mark.parametrize("algorithm", ALGORITHMS)
class TestEveryEngine:
    """What ask and tell promise, whatever the algorithm."""

    def engine(self, algorithm: str, space: SearchSpace, seed: int = 0) -> Engine:
        return ALGORITHMS[algorithm](space, seed)

    def test_candidates_are_inside_the_space_and_never_repeat(
        self, algorithm: str, space: SearchSpace
    ) -> None:
        genomes = [candidate.genome for candidate in drive(self.engine(algorithm, space), 200)]
        assert all(genome in space for genome in genomes)
        assert len(set(genomes)) == 200

    def test_the_same_seed_gives_the_same_candidates(self, algorithm: str, space: SearchSpace) -> None:
        one, other = (drive(self.engine(algorithm, space, seed=4), 80) for _ in range(2))
        assert one == other
        assert drive(self.engine(algorithm, space, seed=5), 80) != one

    def test_a_shorter_search_is_a_prefix_of_a_longer_one(self, algorithm: str, space: SearchSpace) -> None:
        short, long = drive(self.engine(algorithm, space), 31), drive(self.engine(algorithm, space), 90)
        assert long[:31] == short

    def test_global_randomness_is_neither_read_nor_changed(self, algorithm: str, space: SearchSpace) -> None:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002  # the global generator is what this is about
        one = drive(self.engine(algorithm, space), 40)
        after = random.random(), np.random.random()  # noqa: NPY002
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        assert after == (random.random(), np.random.random())  # noqa: NPY002
        assert drive(self.engine(algorithm, space), 40) == one

    def test_ids_count_up_and_seeds_differ(self, algorithm: str, space: SearchSpace) -> None:
        candidates = drive(self.engine(algorithm, space), 50)
        assert [candidate.id for candidate in candidates] == list(range(50))
        assert len({candidate.seed for candidate in candidates}) == 50

    def test_parents_are_earlier_candidates(self, algorithm: str, space: SearchSpace) -> None:
        candidates = drive(self.engine(algorithm, space), 100)
        for candidate in candidates:
            assert all(candidates[parent].generation < candidate.generation for parent in candidate.parents)

    def test_the_best_is_the_fittest_of_all(self, algorithm: str, space: SearchSpace) -> None:
        engine = self.engine(algorithm, space)
        candidates = drive(engine, 100)
        assert engine.best is not None
        assert engine.best.evaluation.fitness == max(fitness(candidate.genome) for candidate in candidates)

    def test_a_tiny_space_is_searched_to_its_end(self, algorithm: str) -> None:
        tiny = SearchSpace(depth=(1, 2), widths=(4, 8, 16))
        engine = self.engine(algorithm, tiny)
        candidates = drive(engine, 1000)
        assert {candidate.genome for candidate in candidates} == set(tiny)
        assert engine.ask() == []

    def test_failures_cost_nothing_but_themselves(self, algorithm: str, space: SearchSpace) -> None:
        engine = self.engine(algorithm, space)
        drive(engine, 60, failing=2)
        generation = engine.generation()
        assert engine.best is not None
        assert generation is not None
        assert engine.best.evaluation.error is None
        assert generation.failures == 30
        assert generation.mean > -1  # the failures' fitness of -1e9 is not in it

    def test_a_search_of_failures_alone_has_no_best(self, algorithm: str, space: SearchSpace) -> None:
        engine = self.engine(algorithm, space)
        drive(engine, 30, failing=1)
        assert engine.best is None
        assert engine.generation() is None

    def test_asking_twice_is_an_error(self, algorithm: str, space: SearchSpace) -> None:
        engine = self.engine(algorithm, space)
        engine.ask()
        with pytest.raises(RuntimeError, match="expected 12 evaluations to be told first"):
            engine.ask()

    def test_telling_out_of_order_is_an_error(self, algorithm: str, space: SearchSpace) -> None:
        engine = self.engine(algorithm, space)
        with pytest.raises(ValueError, match="expected candidate None, got 0"):
            engine.tell(Evaluation(0))
        asked = engine.ask()
        with pytest.raises(ValueError, match="expected candidate 0, got 1"):
            engine.tell(judge(asked[1]))

    def test_generations_tell_where_the_search_stands(self, algorithm: str, space: SearchSpace) -> None:
        engine = self.engine(algorithm, space)
        drive(engine, 24)
        generation = engine.generation()
        assert generation is not None
        assert (generation.number, generation.evaluated) == (1, 24)
        values = [one.evaluation.fitness for one in engine.population]
        assert generation.mean == pytest.approx(fmean(values))
        assert generation.best >= max(values)
        assert generation.spread == pytest.approx(np.std(values))
        assert generation.diversity == diversity([one.genome for one in engine.population])
        assert engine.logbook[-1]["evaluated"] == 24


def test_evolution_finds_more_than_random_search(space: SearchSpace) -> None:
    # Paired over 20 seeds on a landscape with structure: by far, and for nearly every seed.
    def found(engine: Engine) -> float:
        drive(engine, 120)
        assert engine.best is not None
        return engine.best.evaluation.fitness

    gains = [found(Generational(space, seed)) - found(RandomSearch(space, seed)) for seed in range(20)]
    assert fmean(gains) > 0.02
    assert sum(gain < 0 for gain in gains) <= 3


def test_the_population_never_gets_worse(space: SearchSpace) -> None:
    engine = Generational(space, seed=3)
    means = []
    for n in range(12, 120, 12):
        drive(engine, 12)
        generation = engine.generation()
        assert generation is not None
        assert generation.evaluated == n
        means.append(generation.mean)
    assert means == sorted(means)


def test_among_equal_scores_the_lower_loss_wins(space: SearchSpace) -> None:
    engine = Generational(space, seed=0)
    for candidate in engine.ask():
        loss = abs(candidate.id - 5) + 1.0
        engine.tell(Evaluation(candidate.id, fitness=0.5, validation_loss=loss, stopped="epochs"))
    assert engine.best is not None
    assert engine.best.candidate.id == 5


def test_the_operators_all_take_part(space: SearchSpace) -> None:
    operators = {candidate.operator for candidate in drive(Generational(space, seed=0), 300)}
    assert {
        "random",
        "crossover",
        "add_layer",
        "remove_layer",
        "widen",
        "narrow",
        "resample_gene",
    } <= operators


def test_the_worst_fitness_can_be_ordered() -> None:
    assert np.isfinite([WORST_FITNESS, WORST_LOSS]).all()
    assert Evaluation(0, error="no").fitness < fitness(Genome((2,) * 4))


def test_deaps_draws_follow_the_engines_generator() -> None:
    state = random.getstate()
    one, other = random.Random(8), random.Random(8)
    with deap_draws_from(one):
        drawn = [random.random(), random.random()]
    assert drawn == [other.random(), other.random()]
    assert one.random() == other.random()  # it went on from where the draws ended
    assert random.getstate() == state


def test_a_population_of_one_is_refused(space: SearchSpace) -> None:
    with pytest.raises(ValueError, match="population_size: expected at least 2, got 1"):
        RandomSearch(space, 0, population_size=1)
