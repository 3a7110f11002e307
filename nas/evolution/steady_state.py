"""Steady-state evolution: small batches in flight, without a barrier between generations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nas.evolution.generational import child_of_tournaments
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.strategy import EvolutionState, Strategy

BATCH = 4
"""Children of a first batch: enough for a cohort, few enough to follow from recent results."""

MOST = 32
"""Children of a batch, at most: bounds how many children are proposed without the results of the others."""

_PROPOSED_PER_CHILD = 24
"""Proposed genomes for each child of the next batch: batches grow as a few more results change less and less,
and larger cohorts train faster."""

_IN_FLIGHT_SHARE = 0.5
"""Candidates in flight, at most, for each evaluated candidate once batches grow: with many batches in flight
most children would otherwise descend from a few early parents."""


class SteadyState(Strategy):
    """(μ+1) evolution (Whitley 1989) in small batches, several of which are in flight at once.

    ::

        population = random genomes
        whenever a batch has been evaluated, and while fewer than `batches_in_flight` are in flight:
            population = the μ best of population + batch
            batch = mutated or crossed-over winners of tournaments in population
    """

    default_batches_in_flight: ClassVar[int] = 2
    default_size: ClassVar[int] = 16

    def propose(self, state: EvolutionState) -> Proposal:
        """See `Strategy.propose`."""
        return child_of_tournaments(state)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """See `Strategy.survive`."""
        return state.fittest([*state.population, *offspring], state.population_size)

    def batch_size(self, state: EvolutionState) -> int:
        """See `growing_batch`."""
        return growing_batch(state, 4 * state.population_size)


def growing_batch(state: EvolutionState, at_most: int) -> int:
    """Return the size of the next batch: from 4, growing with the number of results, to 32 or `at_most`."""
    by_evaluated = int(_IN_FLIGHT_SHARE * state.n_evaluated / state.batches_in_flight)
    by_proposed = len(state.proposed) // _PROPOSED_PER_CHILD
    return min(max(BATCH, min(by_proposed, by_evaluated)), MOST, at_most)
