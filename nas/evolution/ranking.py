"""Everyone evaluated, in the engine's order, kept as they come in."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Protocol

from nas.evolution.individual import Individual

by_fitness = attrgetter("fitness.wvalues")
"""The key of an individual among others, as DEAP compares: the best has the greatest."""

_FEW = 64
"""Of so many one may be put in its place faster than all are sorted."""


class Ranking(Protocol):
    """Individuals from the best to the worst."""

    def add(self, individual: Individual) -> None:
        """Put somebody in the place that is theirs."""

    def discard(self, individual: Individual) -> None:
        """Take out somebody who is in it."""

    def best(self, n: int) -> list[Individual]:
        """The `n` best, or all if there are fewer; best first."""

    def position(self, individual: Individual) -> int:
        """The place of somebody who is in it; 0 is the best."""

    def __len__(self) -> int: ...


class ByFitness:
    """By the first objective that tells two apart; among equals, who came first is first.

    Everyone is put in their place when somebody asks: few of many at a time by moving references, a
    microsecond among a thousand, some ten among 100,000; many by sorting all.
    """

    def __init__(self) -> None:
        # From the worst to the best, as DEAP compares.
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
        self._put_in_place()
        return self._ordered[: -n - 1 : -1]

    def position(self, individual: Individual) -> int:
        """See `Ranking.position`."""
        return len(self) - 1 - self._find(individual)

    def _find(self, individual: Individual) -> int:
        self._put_in_place()
        i = bisect_left(self._ordered, individual.fitness.wvalues, key=by_fitness)
        while self._ordered[i] is not individual:
            i += 1
        return i

    def _put_in_place(self) -> None:
        if len(self._new) * _FEW < len(self._ordered):
            for one in self._new:
                self._ordered.insert(bisect_left(self._ordered, by_fitness(one), key=by_fitness), one)
        elif self._new:
            self._ordered[:] = sorted([*reversed(self._new), *self._ordered], key=by_fitness)
        self._new.clear()

    def __len__(self) -> int:
        return len(self._ordered) + len(self._new)
