"""Everyone evaluated, in the engine's order, kept as they come in."""

from __future__ import annotations

from bisect import bisect_left, insort
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

    def __len__(self) -> int: ...


class ByFitness:
    """By the first objective that tells two apart; among equals, who came first is first.

    Putting somebody in its place moves references alone: a microsecond among a thousand, and some ten
    among 100,000, where sorting them all after every batch would take longer than their training.
    """

    def __init__(self) -> None:
        self._ordered: list[Individual] = []

    def add(self, individual: Individual) -> None:
        """See `Ranking.add`."""
        insort(self._ordered, individual, key=_worth)

    def discard(self, individual: Individual) -> None:
        """See `Ranking.discard`."""
        i = bisect_left(self._ordered, _worth(individual), key=_worth)
        while self._ordered[i] is not individual:
            i += 1
        del self._ordered[i]

    def best(self, n: int) -> list[Individual]:
        """See `Ranking.best`."""
        return self._ordered[:n]

    def __len__(self) -> int:
        return len(self._ordered)


def _worth(individual: Individual) -> tuple[float, ...]:
    """What rises from the best to the worst."""
    return tuple(-value for value in individual.fitness.wvalues)
