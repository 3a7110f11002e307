"""Successive halving without a barrier: everyone is trained for a few epochs, the best of them on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from nas.evolution.individual import Individual
from nas.evolution.ranking import ByFitness, Ranking

CONTINUE = "continue"
"""The operator of a candidate that goes on where the same genome stopped, with all its weights."""

_SHARE = 3
"""Of so many who have reached a rung, one goes on."""

_EPOCHS, _STEPS = 4, 300
"""Epochs, or steps of an optimizer, up to the first rung, at least."""

_LATEST = 500
"""Of so many who have reached a rung last, one in three goes on. What all have reached that ever did would
ask less and less, as a search comes to propose better ones; and takes ever longer to rank."""

_ROOM = 12
"""How many behind those who would go on now are kept in case that they may later."""


class SuccessiveHalving:
    """Asynchronous successive halving (ASHA; Li et al. 2020, algorithm 2), with any engine.

    ::

        from the highest rung down:
            whoever is among the best third of those who have reached it goes on to the next

    "Best" is as the engine ranks, by one objective or by several; those who have reached a rung are the
    latest 500.

    Parameters
    ----------
    rungs : sequence of int
        Epochs up to each rung, rising; the last is a whole training.
    ranking : callable
        Makes an empty ranking, in the order of the engine.
    """

    def __init__(self, rungs: Sequence[int], ranking: Callable[[], Ranking] = ByFitness) -> None:
        if list(rungs) != sorted(set(rungs)) or not rungs or rungs[0] < 1:
            raise ValueError(f"rungs: expected rising numbers of epochs, got {tuple(rungs)}")
        self.rungs = tuple(rungs)
        self._reached = [ranking() for _ in rungs]
        self._latest: list[deque[Individual]] = [deque() for _ in rungs]
        self._waiting: list[dict[int, Individual]] = [{} for _ in rungs]

    def next_rung(self, epochs: int) -> int:
        """The epochs of the first rung above so many."""
        return next(rung for rung in self.rungs if rung > epochs)

    def enter(self, individual: Individual) -> None:
        """Take note of who has reached a rung.

        Who stopped before its epochs were up has nothing to gain from more; it counts all the same.
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
        """Those who go on, from the highest rung down; each is named once."""
        chosen: list[Individual] = []
        for reached, waiting in reversed(list(zip(self._reached, self._waiting, strict=True))):
            if not waiting:
                continue
            n = len(reached) // _SHARE
            places = {number: reached.position(one) for number, one in waiting.items()}
            for number, place in places.items():
                if place >= n + _ROOM:
                    del waiting[number]
            those = sorted((number for number, place in places.items() if place < n), key=places.__getitem__)
            chosen += [waiting.pop(number) for number in those[: at_most - len(chosen)]]
        return chosen

    def waiting(self) -> list[Individual]:
        """Those who may go on one day."""
        return [one for waiting in self._waiting for one in waiting.values()]


def rungs_up_to(epochs: int, steps_per_epoch: int = 1) -> tuple[int, ...]:
    """Rungs that end with so many epochs, each a third of the next.

    The first is at least 4 epochs, or fewer if they have some hundred steps: one epoch of a large table
    teaches as much as ten of a small one.
    """
    rungs = [epochs]
    while (below := rungs[0] // _SHARE) >= _EPOCHS or below * steps_per_epoch >= _STEPS:
        rungs.insert(0, below)
    return tuple(rungs)
