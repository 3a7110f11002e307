"""Several objectives: fronts, crowding distance, the knee of a front, and the archive that ranks by them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import lt
from typing import ClassVar

from deap import tools

from nas.evolution.archive import Archive, Selector, ids
from nas.evolution.individual import Individual
from nas.evolution.ranking import Ranking

_RANKED = 400
"""Individuals that a ranking by fronts keeps once there are twice as many: sorting takes longer with more."""


def by_fronts(individuals: Collection[Individual]) -> list[Individual]:
    """Sort by front, then by descending crowding distance (Deb et al. 2002, section III)."""
    if not individuals:
        return []
    ranked: list[Individual] = []
    for front in tools.sortLogNondominated(list(individuals), len(individuals)):
        tools.emo.assignCrowdingDist(front)
        ranked += sorted(front, key=lambda member: (-member.fitness.crowding_dist, member.id))
    return ranked


class ByFronts:
    """The ranking by front, then by descending crowding distance; see `nas.evolution.ranking.Ranking`.

    The position of each individual depends on all others, so that reading the ranking sorts it again. At
    least the best 400 are kept. Their fronts are the same as if all individuals were kept, as an individual
    that dominates another is ranked before it.
    """

    def __init__(self) -> None:
        self._n = 0
        self._members: dict[int, Individual] = {}
        self._ordered: list[Individual] | None = []
        self._positions: dict[int, int] = {}

    def add(self, individual: Individual) -> None:
        """See `nas.evolution.ranking.Ranking.add`."""
        self._n += 1
        self._members[individual.id] = individual
        self._ordered = None

    def discard(self, individual: Individual) -> None:
        """See `nas.evolution.ranking.Ranking.discard`."""
        self._n -= 1
        if self._members.pop(individual.id, None) is not None:
            self._ordered = None

    def best(self, n: int) -> list[Individual]:
        """See `nas.evolution.ranking.Ranking.best`."""
        return self._sorted()[:n]

    def position(self, individual: Individual) -> int:
        """See `nas.evolution.ranking.Ranking.position`; the last position for individuals no longer kept."""
        ordered = self._sorted()
        return self._positions.get(individual.id, len(ordered))

    def _sorted(self) -> list[Individual]:
        """Return the members in order, sorted if there was a change, and drop the last of too many."""
        if self._ordered is None:
            self._ordered = by_fronts(self._members.values())
            if len(self._ordered) > 2 * _RANKED:
                del self._ordered[_RANKED:]
                self._members = {member.id: member for member in self._ordered}
            self._positions = {member.id: i for i, member in enumerate(self._ordered)}
        return self._ordered

    def __len__(self) -> int:
        return self._n


class ParetoArchive(Archive):
    """An archive of several objectives: its best individual is the knee of the first front.

    Attributes
    ----------
    all_front, from_scratch_front : deap.tools.ParetoFront
        The front of all individuals, and that of individuals that inherited no weights.
    """

    new_ranking: ClassVar[Callable[[], Ranking]] = ByFronts

    def __init__(self) -> None:
        super().__init__()
        self.all_front = tools.ParetoFront(similar=_same_genome)
        self.from_scratch_front = tools.ParetoFront(similar=_same_genome)

    def add(self, individual: Individual) -> Individual | None:
        """See `Archive.add`."""
        replaced = super().add(individual)
        _update(self.all_front, individual, replaced, self.individuals.values())
        if not individual.inherited:
            from_scratch = (member for member in self.individuals.values() if not member.inherited)
            _update(self.from_scratch_front, individual, replaced, from_scratch)
        return replaced

    @property
    def best(self) -> Individual | None:
        """The knee of the front; None while every candidate has failed."""
        front = self.front
        return knee_first(front)[0] if front else None

    @property
    def front(self) -> list[Individual]:
        """The individuals that no other dominates, the best in the first objective first."""
        return sorted(self.all_front, key=lambda member: member.fitness, reverse=True)

    def representatives(self) -> list[Individual]:
        """See `Archive.representatives`."""
        members = [*super().representatives(), *self.from_scratch_front]
        return list({individual.id: individual for individual in members}.values())

    def checkpoints(self) -> set[int]:
        """See `Archive.checkpoints`."""
        return super().checkpoints() | ids(self.all_front) | ids(self.from_scratch_front)

    def _contenders(
        self, n: int, live: Collection[int], fittest: Selector
    ) -> tuple[list[Individual], Sequence[Individual]]:
        """Return the `n` members nearest to the knee, of the front and of the front trained from scratch."""
        return knee_first(self.front)[:n], knee_first(self.from_scratch_front)

    def winner(self, finalists: Sequence[Individual], scores: Sequence[float]) -> int:
        """Return the position of the knee, with the new scores in place of fitness; 0 if all have failed."""
        scored = [i for i, score in enumerate(scores) if math.isfinite(score)]
        if not scored:
            return 0
        points = [(-scores[i], *_costs(finalists[i])) for i in scored]
        order = _by_distance(points, [finalists[i].id for i in scored])
        genome = finalists[scored[order[0]]].genome
        return next(i for i, finalist in enumerate(finalists) if finalist.genome == genome)


def knee_first(front: Sequence[Individual]) -> list[Individual]:
    """Sort a front by the distance to its ideal point, the knee first.

    Objectives are scaled from 0, the best on the front, to 1, the worst. Costs count by their logarithm,
    so that halving the parameters counts the same for a large network as for a small one.
    """
    points = [(-member.fitness.values[0], *_costs(member)) for member in front]
    return [front[i] for i in _by_distance(points, [member.id for member in front])]


def _costs(individual: Individual) -> list[float]:
    """Return the logarithms of all objectives but the error."""
    return [math.log(cost) for cost in individual.fitness.values[1:]]


def _by_distance(points: Sequence[tuple[float, ...]], numbers: Sequence[int]) -> list[int]:
    """Sort positions by the points' scaled distance to the ideal point; numbers break ties."""
    low = [min(column) for column in zip(*points, strict=True)]
    span = [max(column) - least or 1.0 for column, least in zip(zip(*points, strict=True), low, strict=True)]

    def distance(i: int) -> float:
        return math.hypot(*((x - least) / s for x, least, s in zip(points[i], low, span, strict=True)))

    return sorted(range(len(points)), key=lambda i: (distance(i), numbers[i]))


def _update(
    front: tools.ParetoFront,
    individual: Individual,
    replaced: Individual | None,
    individuals: Iterable[Individual],
) -> None:
    """Add an individual to a front of these individuals, in place of the same genome with fewer epochs."""
    for i in reversed(range(len(front))):
        if replaced is not None and _same_genome(front[i], replaced):
            front.remove(i)
            if any(map(lt, individual.fitness.wvalues, replaced.fitness.wvalues)):
                # Individuals that only the replaced individual dominated belong to the front again.
                front.clear()
                front.update(individuals)
                return
    front.update([individual])


def _same_genome(a: Individual, b: Individual) -> bool:
    return a.genome == b.genome
