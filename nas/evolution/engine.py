"""The ask/tell contract, and what all engines share: lineage, the cache of genomes, statistics.

An engine knows genomes and fitness: no clock, no training, no input or output. Asked, it proposes
one generation of candidates; told their evaluations in the order of their ids, it takes them in.
The same seed and the same evaluations give the same candidates, which is how a search is resumed.
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean, median, pstdev

import numpy as np
from deap import base, tools

from nas.evaluation import Candidate, Evaluation
from nas.evolution.operators import genome_distance
from nas.genome import Genome
from nas.space import SearchSpace

_ENUMERABLE = 20_000
_DRAWS = 200


class Fitness(base.Fitness):  # type: ignore[misc]  # DEAP is not typed
    """Validation score, to be maximized; among equal scores the lower validation loss wins."""

    weights = (1.0, -1.0)


class Individual:
    """DEAP's view of an evaluated candidate."""

    def __init__(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.candidate = candidate
        self.evaluation = evaluation
        self.fitness = Fitness((evaluation.fitness, evaluation.validation_loss))

    @property
    def genome(self) -> Genome:
        """The candidate's genome."""
        return self.candidate.genome


@dataclass(frozen=True, slots=True)
class Generation:
    """The state of a search after a generation: fitness of the population, failures apart.

    `spread` is the standard deviation of fitness; `diversity` the mean distance of two genomes of
    the population (see `genome_distance`); `evaluated` counts all candidates so far.
    """

    number: int
    evaluated: int
    failures: int
    best: float
    median: float
    mean: float
    spread: float
    diversity: float
    best_genome: Genome


class Engine(ABC):
    """Proposes candidates and learns from their evaluations.

    Subclasses say how the next genome comes about (`_propose`) and who survives (`_select`).

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Decides every draw.
    population_size : int
        Candidates a generation, and survivors of it.
    """

    def __init__(self, space: SearchSpace, seed: int, population_size: int = 12) -> None:
        if population_size < 2:
            raise ValueError(f"population_size: expected at least 2, got {population_size}")
        self.space = space
        self.seed = seed
        self.population_size = population_size
        self.rng = random.Random(seed)
        self.population: list[Individual] = []
        self.hall_of_fame = tools.HallOfFame(10, similar=lambda a, b: a.genome == b.genome)
        self.logbook = tools.Logbook()
        self.logbook.header = ["number", "evaluated", "failures", "best", "mean", "spread", "diversity"]
        self._statistics = _fitness_statistics()
        self._seen: set[Genome] = set()
        self._asked: list[Candidate] = []
        self._told: list[Individual] = []
        self._generation = 0
        self._last: Generation | None = None
        self._n_told = 0
        self._n_failures = 0

    def ask(self) -> list[Candidate]:
        """The candidates of the next generation; none if the space holds no further genome.

        Raises
        ------
        RuntimeError
            If the last generation has not been told completely.
        """
        if self._asked:
            raise RuntimeError(f"ask: expected {len(self._asked)} evaluations to be told first")
        for genome, operator, parents in itertools.islice(self._new_genomes(), self.population_size):
            number = self._n_told + len(self._asked)
            seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
            self._asked.append(Candidate(number, genome, seed, self._generation, operator, parents))
        return list(self._asked)

    def tell(self, evaluation: Evaluation) -> None:
        """Take in the evaluation of the next candidate that was asked for, in the order of ids.

        Raises
        ------
        ValueError
            If it is another candidate's.
        """
        expected = self._asked[0].id if self._asked else None
        if evaluation.candidate_id != expected:
            raise ValueError(f"tell: expected candidate {expected}, got {evaluation.candidate_id}")
        individual = Individual(self._asked.pop(0), evaluation)
        self._told.append(individual)
        self._n_told += 1
        if evaluation.failed:
            self._n_failures += 1
        else:
            self.hall_of_fame.update([individual])
        if not self._asked:
            self._end_generation()

    @property
    def best(self) -> Individual | None:
        """The best individual so far; None while every candidate has failed."""
        return self.hall_of_fame[0] if len(self.hall_of_fame) else None

    def generation(self) -> Generation | None:
        """The state after the last generation, or after the part of it that was told."""
        return self._summary(self._generation) if self._told else self._last

    def _summary(self, number: int) -> Generation | None:
        alive = [one for one in self.population + self._told if not one.evaluation.failed]
        if self.best is None or not alive:
            return None
        record = self._statistics.compile(alive)
        return Generation(
            number=number,
            evaluated=self._n_told,
            failures=self._n_failures,
            diversity=diversity([one.genome for one in alive]),
            best_genome=self.best.genome,
            **{**record, "best": self.best.evaluation.fitness},
        )

    def _end_generation(self) -> None:
        self.population = self._select(self.population, self._told)
        self._told = []
        self._last = self._summary(self._generation)
        self._generation += 1
        if self._last is not None:
            self.logbook.record(**{name: getattr(self._last, name) for name in self.logbook.header})

    def _new_genomes(self) -> Iterator[tuple[Genome, str, tuple[int, ...]]]:
        """Genomes that were never proposed, until the space is exhausted."""
        while True:
            proposal = self._new_proposal()
            if proposal is None:
                return
            self._seen.add(proposal[0])
            yield proposal

    def _new_proposal(self) -> tuple[Genome, str, tuple[int, ...]] | None:
        for _ in range(_DRAWS):
            proposal = self._propose()
            if proposal[0] not in self._seen:
                return proposal
        if self.space.size() <= _ENUMERABLE:
            unseen = [genome for genome in self.space if genome not in self._seen]
            return (self.rng.choice(unseen), "random", ()) if unseen else None
        for _ in range(100 * _DRAWS):
            genome = self.space.sample(self.rng)
            if genome not in self._seen:
                return genome, "random", ()
        return None

    @abstractmethod
    def _propose(self) -> tuple[Genome, str, tuple[int, ...]]:
        """A genome, the operator that made it, and the ids of its parents; may repeat itself."""

    @abstractmethod
    def _select(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        """The next population."""


def diversity(genomes: list[Genome]) -> float:
    """The mean distance of two of the genomes; 0 for fewer than two."""
    pairs = list(itertools.combinations(genomes, 2))
    return fmean(genome_distance(one, other) for one, other in pairs) if pairs else 0.0


@contextmanager
def deap_draws_from(rng: random.Random) -> Iterator[None]:
    """Let DEAP, which draws from Python's global generator, draw from `rng` for a while."""
    outside = random.getstate()
    random.setstate(rng.getstate())
    try:
        yield
    finally:
        rng.setstate(random.getstate())
        random.setstate(outside)


def _fitness_statistics() -> tools.Statistics:
    statistics = tools.Statistics(key=lambda individual: individual.evaluation.fitness)
    for name, function in (("median", median), ("mean", fmean), ("spread", pstdev)):
        statistics.register(name, function)
    return statistics
