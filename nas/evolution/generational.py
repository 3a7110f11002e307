"""Evolution by generations: (μ+λ) and (μ,λ)."""

from __future__ import annotations

from nas.evolution.breeding import breed
from nas.evolution.engine import Engine
from nas.evolution.individual import Individual
from nas.evolution.proposal import Proposal
from nas.evolution.ranking import by_fitness

_TOURNAMENT = 3


class Plus(Engine):
    """(μ+λ): parents and offspring compete for a place in the next generation; μ = λ.

    ::

        population = random genomes
        forever:
            offspring = mutated or crossed-over winners of tournaments in population
            population = the μ best of population + offspring
    """

    def _propose(self) -> Proposal:
        if self._is_starting:
            return self._random()
        return breed(self._parent, self.space, self.rng, self._seen)

    def _parent(self) -> Individual:
        return max(self.rng.choices(self.population, k=_TOURNAMENT), key=by_fitness)

    def _survivors(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        return self._fittest(population + offspring, self.population_size)


class Comma(Plus):
    """(μ,λ): the offspring replace their parents, however good those were; λ = 2 μ.

    ::

        population = random genomes
        forever:
            offspring = 2 μ mutated or crossed-over winners of tournaments in population
            population = the μ best of offspring
    """

    @property
    def batch_size(self) -> int:
        """λ, the offspring of a generation."""
        return 2 * self.population_size

    def _survivors(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        return self._fittest(offspring, self.population_size) or population
