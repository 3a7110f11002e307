"""(μ+λ) evolution: parents and offspring compete for a place in the next generation."""

from __future__ import annotations

from deap import base, tools

from nas.evolution.engine import Engine, Individual, deap_draws_from
from nas.evolution.operators import MUTATIONS, crossover
from nas.genome import Genome
from nas.space import SearchSpace

_CROSSOVER_SHARE = 0.4
_TOURNAMENT = 3


class Generational(Engine):
    """Evolution of structure by generations, with μ = λ = `population_size`.

    ::

        population = random genomes
        forever:
            offspring = mutated or crossed-over winners of tournaments in population
            population = the μ best of population + offspring
    """

    def __init__(self, space: SearchSpace, seed: int, population_size: int = 12) -> None:
        super().__init__(space, seed, population_size)
        self.toolbox = base.Toolbox()
        self.toolbox.register("select_parent", tools.selTournament, k=1, tournsize=_TOURNAMENT)
        self.toolbox.register("select_survivors", tools.selBest, k=population_size)
        self.toolbox.register("mate", crossover, space=space)
        for name, mutation in MUTATIONS.items():
            self.toolbox.register(name, mutation, space=space)

    def _propose(self) -> tuple[Genome, str, tuple[int, ...]]:
        if not self.population:
            return self.space.sample(self.rng), "random", ()
        return self._cross() if self.rng.random() < _CROSSOVER_SHARE else self._mutate()

    def _cross(self) -> tuple[Genome, str, tuple[int, ...]]:
        mother, father = self._parent(), self._parent()
        child = self.toolbox.mate(mother.genome, father.genome, rng=self.rng)
        parents = (mother.candidate.id, father.candidate.id)
        if child not in self._seen:
            return child, "crossover", parents
        # Parents that are much alike have no new child; a mutation on top makes one.
        child, operator = self._mutated(child)
        return child, f"crossover+{operator}", parents

    def _mutate(self) -> tuple[Genome, str, tuple[int, ...]]:
        parent = self._parent()
        child, operator = self._mutated(parent.genome)
        return child, operator, (parent.candidate.id,)

    def _mutated(self, genome: Genome) -> tuple[Genome, str]:
        """The genome after one mutation that applies to it, and that mutation's name."""
        for name in self.rng.sample(list(MUTATIONS), len(MUTATIONS)):
            child = getattr(self.toolbox, name)(genome, rng=self.rng)
            if child is not None and child != genome:
                return child, name
        return self.space.sample(self.rng), "random"

    def _parent(self) -> Individual:
        with deap_draws_from(self.rng):
            chosen: list[Individual] = self.toolbox.select_parent(self.population)
        return chosen[0]

    def _select(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        survivors: list[Individual] = self.toolbox.select_survivors(population + offspring)
        return survivors
