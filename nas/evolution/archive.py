"""The archive: all individuals that were evaluated, ranked by fitness."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import ClassVar

from deap import tools

from nas.evolution.individual import Individual
from nas.evolution.ranking import ByFitness, Ranking
from nas.genome import Genome

_HALL_SIZE = 20
"""Individuals that keep their weights until the end: several times the usual number of finalists."""

_FROM_SCRATCH_SIZE = 5
"""The same for individuals trained from scratch, which are half of the finalists."""

Selector = Callable[[Sequence[Individual], int], list[Individual]]
"""Selects the `n` best individuals, best first; see `nas.evolution.strategy.EvolutionState.fittest`."""


class Archive:
    """The evaluated individuals of a search, without failures, each genome once.

    Attributes
    ----------
    individuals : dict
        Each genome's latest individual: that with most epochs.
    ranking : Ranking
        The same individuals from the best to the worst.
    hall_of_fame : deap.tools.HallOfFame
        The best 20 of those that were trained on all folds.
    from_scratch : deap.tools.HallOfFame
        The best 5 of those that inherited no weights.
    """

    new_ranking: ClassVar[Callable[[], Ranking]] = ByFitness
    """Makes an empty ranking, in the order of this archive."""

    def __init__(self) -> None:
        self.individuals: dict[Genome, Individual] = {}
        self.ranking = type(self).new_ranking()
        self.hall_of_fame = _hall_of_fame(_HALL_SIZE)
        self.from_scratch = _hall_of_fame(_FROM_SCRATCH_SIZE)

    def add(self, individual: Individual) -> Individual | None:
        """Add an individual in place of the same genome with fewer epochs; return the replaced individual."""
        replaced = self.individuals.get(individual.genome)
        if replaced is not None:
            for hall in (self.hall_of_fame, self.from_scratch):
                for i in reversed(range(len(hall))):
                    if hall[i].genome == individual.genome:
                        hall.remove(i)
            self.ranking.discard(replaced)
        self.individuals[individual.genome] = individual
        self.ranking.add(individual)
        if individual.evaluation.is_partial:
            return replaced  # judged by a single fold of several, and without weights for the others
        self.hall_of_fame.update([individual])
        if not individual.inherited:
            self.from_scratch.update([individual])
        return replaced

    @property
    def best(self) -> Individual | None:
        """The best individual so far; None while every candidate has failed."""
        return self.hall_of_fame[0] if len(self.hall_of_fame) else None

    @property
    def front(self) -> list[Individual]:
        """The individuals that no other dominates: with one objective the best, if any."""
        return self.ranking.best(1)

    def representatives(self) -> list[Individual]:
        """Return the front and both halls, each individual once: enough to merge archives."""
        members = [*self.front, *self.hall_of_fame, *self.from_scratch]
        return list({individual.id: individual for individual in members}.values())

    def checkpoints(self) -> set[int]:
        """Return the ids of individuals that the end of a search may need with their trained weights."""
        return ids(self.hall_of_fame) | ids(self.from_scratch)

    def finalists(self, n: int, live: Collection[int], fittest: Selector, *, mixed: bool) -> list[Individual]:
        """Return the `n` best individuals of which trained weights are available, or all if fewer.

        Parameters
        ----------
        n : int
        live : collection of int
            Ids of the individuals with available trained weights.
        fittest : callable
            Selects the best individuals.
        mixed : bool
            Whether half of the finalists are the best trained from scratch.
        """
        best, from_scratch = self._contenders(n, live, fittest)
        if not mixed:
            return best
        finalists = {individual.id: individual for individual in best[: n - n // 2]}
        for individual in [*from_scratch, *best]:
            if len(finalists) < n:
                finalists.setdefault(individual.id, individual)
        return list(finalists.values())

    def _contenders(
        self, n: int, live: Collection[int], fittest: Selector
    ) -> tuple[list[Individual], Sequence[Individual]]:
        """Return the `n` best with available weights, and the best trained from scratch."""
        available = [
            individual
            for individual in self.individuals.values()
            if individual.id in live and not individual.evaluation.is_partial
        ]
        return fittest(available, n), list(self.from_scratch)

    def winner(self, finalists: Sequence[Individual], scores: Sequence[float]) -> int:
        """Return the position of the finalist with the best new score; the first of equal scores."""
        return max(range(len(finalists)), key=lambda i: (scores[i], -i))


def ids(individuals: Iterable[Individual]) -> set[int]:
    """Return the ids of individuals."""
    return {individual.id for individual in individuals}


def _hall_of_fame(size: int) -> tools.HallOfFame:
    """Make an empty hall of fame that holds each genome once."""
    return tools.HallOfFame(size, similar=lambda a, b: a.genome == b.genome)
