"""Rankings: individuals in order from the best to the worst, updated as individuals arrive."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Protocol

from nas.evolution.individual import Individual

by_fitness = attrgetter("fitness.wvalues")
"""The sort key of an individual, as DEAP compares: the best has the greatest."""

_FEW = 64
"""Members for each new individual from which on insertion is faster than sorting all of them."""


class Ranking(Protocol):
    """Individuals from the best to the worst."""

    def add(self, individual: Individual) -> None:
        """Add an individual at its position."""

    def discard(self, individual: Individual) -> None:
        """Remove a member."""

    def best(self, n: int) -> list[Individual]:
        """Return the `n` best, or all if there are fewer; best first."""

    def position(self, individual: Individual) -> int:
        """Return the position of a member; 0 is the best."""

    def __len__(self) -> int:
        """Return the number of members added, without those discarded."""
        ...


class ByFitness:
    """The ranking by the first objective that differs; equals in their order of arrival.

    New individuals are sorted in when the ranking is read: few by insertion, which takes a microsecond among
    a thousand members and some ten among 100,000; many by sorting all.
    """

    def __init__(self) -> None:
        # From the worst to the best, the order in which DEAP's fitness rises.
        self._ordered: list[Individual] = []
        self._new: list[Individual] = []

    def add(self, individual: Individual) -> None:
        """See `Ranking.add`."""
        self._new.append(individual)

    def discard(self, individual: Individual) -> None:
        """See `Ranking.discard`."""
        del self._ordered[self._find(individual)]

    def best(self, n: int) -> list[Individual]:
        """See `Ranking.best`."""
        self._sort_in()
        return self._ordered[: -n - 1 : -1]

    def position(self, individual: Individual) -> int:
        """See `Ranking.position`."""
        return len(self) - 1 - self._find(individual)

    def _find(self, individual: Individual) -> int:
        """Return the index of a member, from the worst."""
        self._sort_in()
        i = bisect_left(self._ordered, individual.fitness.wvalues, key=by_fitness)
        while self._ordered[i] is not individual:
            i += 1
        return i

    def _sort_in(self) -> None:
        """Bring new individuals to their positions."""
        if len(self._new) * _FEW < len(self._ordered):
            for individual in self._new:
                i = bisect_left(self._ordered, by_fitness(individual), key=by_fitness)
                self._ordered.insert(i, individual)
        elif self._new:
            self._ordered[:] = sorted([*reversed(self._new), *self._ordered], key=by_fitness)
        self._new.clear()

    def __len__(self) -> int:
        return len(self._ordered) + len(self._new)
