"""Asynchronous successive halving: all candidates train for a few epochs, and the best continue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from nas.evolution.individual import Individual
from nas.evolution.ranking import ByFitness, Ranking

_REDUCTION = 3
"""Individuals of a rung for each promotion, and the ratio of two rungs: η of Li et al. (2020)."""

_EPOCHS, _STEPS = 4, 300
"""The least epochs, or steps of the optimizer, up to the first rung."""

_LATEST = 500
"""The latest individuals of a rung that count. A third of all individuals ever would promote more and more as
a search proposes better candidates, and takes ever longer to rank."""

_RESERVE = 12
"""Positions below the best third that stay eligible: later arrivals may move them into it."""


class SuccessiveHalving:
    """Asynchronous successive halving (ASHA; Li et al. 2020, algorithm 2), with any strategy.

    ::

        for each rung, from the highest down:
            promote to the next rung the best third of the individuals in it

    Individuals are ranked in the order of the archive, by one objective or by several; a rung consists of
    the latest 500 individuals that have reached it.

    Parameters
    ----------
    rungs : sequence of int
        Epochs up to each rung, rising; the last is a whole training.
    ranking : callable
        Makes an empty ranking, in the order of the archive.

    Raises
    ------
    ValueError
        If the rungs do not rise, or there is none.
    """

    def __init__(self, rungs: Sequence[int], ranking: Callable[[], Ranking] = ByFitness) -> None:
        if list(rungs) != sorted(set(rungs)) or not rungs or rungs[0] < 1:
            raise ValueError(f"rungs: expected rising numbers of epochs, got {tuple(rungs)}")
        self.rungs = tuple(rungs)
        self._reached = [ranking() for _ in rungs]
        self._latest: list[deque[Individual]] = [deque() for _ in rungs]
        self._waiting: list[dict[int, Individual]] = [{} for _ in rungs]

    def next_rung(self, epochs: int) -> int:
        """Return the first rung above a number of epochs."""
        return next(rung for rung in self.rungs if rung > epochs)

    def enter(self, individual: Individual) -> None:
        """Add an individual to the rung that it has reached.

        An individual that stopped early counts in its rung, but is not promoted: more epochs would not help.
        """
        rung = self.rungs.index(individual.candidate.epochs or self.rungs[-1])
        self._reached[rung].add(individual)
        self._latest[rung].append(individual)
        if len(self._latest[rung]) > _LATEST:
            oldest = self._latest[rung].popleft()
            self._reached[rung].discard(oldest)
            self._waiting[rung].pop(oldest.id, None)
        if rung < len(self.rungs) - 1 and individual.evaluation.stopped == "epochs":
            self._waiting[rung][individual.id] = individual

    def promoted(self, at_most: int) -> list[Individual]:
        """Return up to `at_most` individuals to train on, from the highest rung down; each only once."""
        promoted: list[Individual] = []
        for reached, waiting in reversed(list(zip(self._reached, self._waiting, strict=True))):
            if not waiting:
                continue
            n = len(reached) // _REDUCTION
            positions = {number: reached.position(individual) for number, individual in waiting.items()}
            for number, position in positions.items():
                if position >= n + _RESERVE:
                    del waiting[number]
            best = sorted(
                (number for number, position in positions.items() if position < n),
                key=positions.__getitem__,
            )
            promoted += [waiting.pop(number) for number in best[: at_most - len(promoted)]]
        return promoted

    def waiting(self) -> list[Individual]:
        """Return the individuals that may be promoted later."""
        return [individual for waiting in self._waiting for individual in waiting.values()]


def rungs_up_to(epochs: int, steps_per_epoch: int = 1) -> tuple[int, ...]:
    """Return rungs that end with `epochs`, each a third of the next.

    The first rung is at least 4 epochs, or fewer if they have 300 steps: an epoch on a large table trains as
    much as ten on a small table.
    """
    rungs = [epochs]
    while (below := rungs[0] // _REDUCTION) >= _EPOCHS or below * steps_per_epoch >= _STEPS:
        rungs.insert(0, below)
    return tuple(rungs)
