"""Random search: the baseline of all other algorithms (Bergstra & Bengio 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nas.evolution.individual import Individual
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.strategy import EvolutionState, Strategy


class RandomSearch(Strategy):
    """Genomes drawn from the space without repetition; a generation is a batch.

    ::

        forever:
            batch = random genomes
    """

    default_batches_in_flight: ClassVar[int] = 2
    has_parents: ClassVar[bool] = False

    def propose(self, state: EvolutionState) -> Proposal:
        """See `Strategy.propose`."""
        return Proposal(state.space.sample(state.rng), Operator(Origin.RANDOM))

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """See `Strategy.survive`: the latest batch."""
        return list(offspring)
