"""NSGA-II: several objectives at once, and a front in place of a single best individual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nas.evolution.archive import Archive
from nas.evolution.breeding import breed
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.pareto import ParetoArchive, by_fronts
from nas.evolution.steady_state import growing_batch
from nas.evolution.strategy import EvolutionState, Strategy


class NSGA2(Strategy):
    """NSGA-II (Deb et al. 2002) with structural operators, in small batches (Durillo et al. 2009).

    ::

        population = random genomes
        whenever a batch has been evaluated, and while fewer than `batches_in_flight` are in flight:
            population = the μ first of population + batch, by front, then by crowding distance
            batch = mutated or crossed-over winners of binary tournaments, by the same order

    Its best individual is the knee of the first front; see `nas.evolution.pareto.knee_first`.
    """

    default_batches_in_flight: ClassVar[int] = 2
    default_size: ClassVar[int] = 20
    default_objectives: ClassVar[tuple[str, ...]] = ("error", "parameters")
    archive: ClassVar[type[Archive]] = ParetoArchive

    def propose(self, state: EvolutionState) -> Proposal:
        """See `Strategy.propose`."""

        def binary_tournament() -> Individual:
            # The population is sorted: of two members the one at the smaller position wins.
            n = len(state.population)
            return state.population[min(state.rng.randrange(n), state.rng.randrange(n))]

        return breed(binary_tournament, state.space, state.rng, state.proposed)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """See `Strategy.survive`."""
        return by_fronts([*state.population, *offspring])[: state.population_size]

    def batch_size(self, state: EvolutionState) -> int:
        """See `growing_batch`."""
        return growing_batch(state, 4 * state.population_size)
