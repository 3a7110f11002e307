"""Aging evolution without a barrier: who is oldest makes room."""

from __future__ import annotations

from typing import ClassVar

from nas.evolution.individual import Individual
from nas.evolution.steady_state import SteadyState


class Aging(SteadyState):
    """Regularized evolution (Real et al. 2019, algorithm 1) in small batches, several under way at once.

    ::

        population = random genomes
        whenever a batch has been told, and while `batches_in_flight` - 1 others are under way:
            population = the youngest μ of population + batch
            batch = mutated or crossed-over winners of tournaments in population
    """

    default_size: ClassVar[int] = 20

    def _survivors(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        return sorted(population + offspring, key=lambda one: one.id)[-self.population_size :]

    @property
    def _room(self) -> int:
        """More would be the oldest before they have had a child."""
        return max(1, self.population_size // 2)
