"""Everyone evaluated, in the engine's order, kept as they come in."""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

from nas.evolution.individual import Individual


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

    Putting somebody in its place moves references alone: a microsecond among a thousand, and some ten
    among 100,000, where sorting them all after every batch would take longer than their training.
    """

    def __init__(self) -> None:
        # From the worst to the best, as DEAP compares: the values themselves are what is searched.
        self._ordered: list[Individual] = []
        self._values: list[tuple[float, ...]] = []

    def add(self, individual: Individual) -> None:
        """See `Ranking.add`."""
        values = individual.fitness.wvalues
        i = bisect_left(self._values, values)
        self._values.insert(i, values)
        self._ordered.insert(i, individual)

    def discard(self, individual: Individual) -> None:
        """See `Ranking.discard`."""
        i = self._find(individual)
        del self._values[i], self._ordered[i]

    def best(self, n: int) -> list[Individual]:
        """See `Ranking.best`."""
        return self._ordered[: -n - 1 : -1]

    def position(self, individual: Individual) -> int:
        """See `Ranking.position`."""
        return len(self) - 1 - self._find(individual)

    def _find(self, individual: Individual) -> int:
        i = bisect_left(self._values, individual.fitness.wvalues)
        while self._ordered[i] is not individual:
            i += 1
        return i

    def __len__(self) -> int:
        return len(self._ordered)
