"""Evolution strategies by generations (Beyer & Schwefel 2002): (μ+λ) and (μ,λ)."""

from __future__ import annotations

from collections.abc import Sequence

from nas.evolution.breeding import breed
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.strategy import EvolutionState, Strategy

TOURNAMENT_SIZE = 3
"""Contenders of a tournament for a place as parent; DEAP's examples use the same size."""


class Plus(Strategy):
    """(μ+λ): parents and offspring compete for a place in the next generation; λ = μ.

    ::

        population = random genomes
        forever:
            offspring = mutated or crossed-over winners of tournaments in population
            population = the μ best of population + offspring
    """

    def propose(self, state: EvolutionState) -> Proposal:
        """See `Strategy.propose`."""
        return child_of_tournaments(state)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """See `Strategy.survive`."""
        return state.fittest([*state.population, *offspring], state.population_size)


class Comma(Strategy):
    """(μ,λ): the offspring replace all parents, however fit these were; λ = 2 μ.

    ::

        population = random genomes
        forever:
            offspring = λ mutated or crossed-over winners of tournaments in population
            population = the μ best of offspring
    """

    def propose(self, state: EvolutionState) -> Proposal:
        """See `Strategy.propose`."""
        return child_of_tournaments(state)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """See `Strategy.survive`; the parents stay if all offspring failed."""
        return state.fittest(offspring, state.population_size) or state.population

    def batch_size(self, state: EvolutionState) -> int:
        """See `Strategy.batch_size`: λ."""
        return 2 * state.population_size


def child_of_tournaments(state: EvolutionState) -> Proposal:
    """Breed winners of tournaments of three."""
    return breed(lambda: state.tournament(TOURNAMENT_SIZE), state.space, state.rng, state.proposed)
