"""Random search: the baseline that every other engine has to beat."""

from __future__ import annotations

from typing import ClassVar

from nas.evolution.engine import Engine
from nas.evolution.individual import Individual
from nas.evolution.proposal import Proposal


class RandomSearch(Engine):
    """Genomes drawn from the space, none twice; its generations are batches and no more."""

    default_batches_in_flight: ClassVar[int] = 2

    def _propose(self) -> Proposal:
        return self._random()

    def _survivors(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        return list(offspring)
