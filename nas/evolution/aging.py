"""Aging evolution: the oldest individuals leave the population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nas.evolution.generational import child_of_tournaments
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.steady_state import growing_batch
from nas.evolution.strategy import EvolutionState, Strategy


class Aging(Strategy):
    """Regularized evolution (Real et al. 2019, algorithm 1), in small batches, several in flight at once.

    ::

        population = random genomes
        whenever a batch has been evaluated, and while fewer than `batches_in_flight` are in flight:
            population = the youngest μ of population + batch
            batch = mutated or crossed-over winners of tournaments in population
    """

    default_batches_in_flight: ClassVar[int] = 2
    default_size: ClassVar[int] = 20

    def propose(self, state: EvolutionState) -> Proposal:
        """See `Strategy.propose`."""
        return child_of_tournaments(state)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """See `Strategy.survive`."""
        by_age = sorted([*state.population, *offspring], key=lambda individual: individual.id)
        return by_age[-state.population_size :]

    def batch_size(self, state: EvolutionState) -> int:
        """See `growing_batch`: at most half of the population, so that individuals have children in time."""
        return growing_batch(state, max(1, state.population_size // 2))
