"""The protocol of an evolutionary algorithm: propose children, select survivors, size batches."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from nas.evolution.archive import Archive
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.ranking import by_fitness
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.space import SearchSpace


@dataclass
class EvolutionState:
    """The state of a search as its strategy reads it.

    Attributes
    ----------
    space : SearchSpace
    rng : random.Random
        The only source of random numbers, so that the same seed gives the same candidates.
    population_size : int
        Individuals that may have children, μ.
    batches_in_flight : int
        Batches that may be in flight at once.
    surrogate : Surrogate, optional
        The model that smooths the noise of single trainings.
    population : list of Individual
        The result of the latest `Strategy.survive`; empty before the first batch.
    proposed : set of Genome
        Every genome that was proposed so far.
    n_evaluated : int
        Candidates that were evaluated so far, failures included.
    """

    space: SearchSpace
    rng: random.Random
    population_size: int
    batches_in_flight: int = 1
    surrogate: Surrogate | None = None
    population: list[Individual] = field(default_factory=list)
    proposed: set[Genome] = field(default_factory=set)
    n_evaluated: int = 0

    def fittest(self, individuals: Sequence[Individual], n: int) -> list[Individual]:
        """Return the `n` best by fitness, or by the surrogate's expectation if there is one; best first."""
        if self.surrogate is not None and self.surrogate.has_learned and individuals:
            return self.surrogate.best(individuals, n)
        return sorted(individuals, key=by_fitness, reverse=True)[:n]

    def tournament(self, size: int) -> Individual:
        """Return the fittest of `size` members of the population, drawn with replacement."""
        random_number, population, n = self.rng.random, self.population, len(self.population)
        # As `random.choices` draws, in half of its time.
        return max([population[int(random_number() * n)] for _ in range(size)], key=by_fitness)


class Strategy(ABC):
    """An evolutionary algorithm; the engine does everything that all algorithms share.

    The engine draws genomes at random until the first batch has been evaluated (and until the surrogate,
    if any, has enough observations), makes proposals unique and keeps them within the limits, promotes
    candidates of successive halving, and passes weights from parents to children.

    A strategy holds parameters and no state: one object may serve several engines, in several processes.
    All that it does follows from the `EvolutionState`; its `rng` is the only source of random numbers.
    Pass a class, or an object of it, as `algorithm` to `nas.evolution.recipe`. An algorithm of the package
    is a module with its class, and an entry of `nas.evolution.ALGORITHMS`.

    Attributes
    ----------
    default_size : int
        The population size unless another is asked for.
    default_batches_in_flight : int
        1 for algorithms that need all results of a batch before they propose the next.
    default_objectives : tuple of str
        See `nas.evolution.individual.OBJECTIVES`.
    archive : type of Archive
        How individuals are ranked: `Archive` by fitness, `ParetoArchive` by several objectives.
    has_parents : bool
        Whether proposals have parents, so that children may start from trained weights.

    Examples
    --------
    >>> class HillClimber(Strategy):
    ...     def propose(self, state):
    ...         return mutant(state.population[0], state.space, state.rng)
    ...
    ...     def survive(self, state, offspring):
    ...         return state.fittest([*state.population, *offspring], 1)
    >>> engine = recipe(HillClimber).engine(space, seed=0, epochs=50)  # doctest: +SKIP
    """

    default_size: ClassVar[int] = 12
    default_batches_in_flight: ClassVar[int] = 1
    default_objectives: ClassVar[tuple[str, ...]] = ("error",)
    archive: ClassVar[type[Archive]] = Archive
    has_parents: ClassVar[bool] = True

    @abstractmethod
    def propose(self, state: EvolutionState) -> Proposal:
        """Make a child of the population, which is not empty; the child may repeat an earlier genome."""

    @abstractmethod
    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """Return the next population, from `state.population` and the batch just evaluated.

        Failed candidates are not in `offspring`, which may therefore be empty.
        """

    def batch_size(self, state: EvolutionState) -> int:
        """Return the number of candidates to ask for at once, at least 1; by default the population size."""
        return state.population_size
