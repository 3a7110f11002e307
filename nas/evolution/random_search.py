"""Random search: the baseline that every other engine has to beat."""

from __future__ import annotations

from nas.evolution.engine import Engine, Individual
from nas.genome import Genome


class RandomSearch(Engine):
    """Genomes drawn from the space, none twice; its generations are batches and no more."""

    def _propose(self) -> tuple[Genome, str, tuple[int, ...]]:
        return self.space.sample(self.rng), "random", ()

    def _select(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        return list(offspring)
