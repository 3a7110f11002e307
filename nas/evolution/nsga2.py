"""NSGA-II: several objectives at once, and a front instead of one best."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from operator import lt
from typing import Any, ClassVar

from deap import tools

from nas.evolution.breeding import breed
from nas.evolution.individual import Individual
from nas.evolution.proposal import Proposal
from nas.evolution.ranking import Ranking
from nas.evolution.steady_state import SteadyState

_RANKED = 400
"""Who stands further behind is forgotten once there are twice as many, as sorting takes time by their
number."""


class ByFronts:
    """The ranking by front, then by crowding distance, the lonely ones first.

    Where somebody stands depends on all: it is found anew whenever it is asked for. The best 400 at least
    are remembered. Their fronts are as they would be if all were, as who dominates one of them stands
    before it.
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
        return self._all()[:n]

    def position(self, individual: Individual) -> int:
        """See `nas.evolution.ranking.Ranking.position`; behind all others for who was forgotten."""
        remembered = self._all()
        return self._positions.get(individual.id, len(remembered))

    def _all(self) -> list[Individual]:
        if self._ordered is None:
            self._ordered = by_fronts(self._members.values())
            if len(self._ordered) > 2 * _RANKED:
                del self._ordered[_RANKED:]
                self._members = {one.id: one for one in self._ordered}
            self._positions = {one.id: i for i, one in enumerate(self._ordered)}
        return self._ordered

    def __len__(self) -> int:
        return self._n


def by_fronts(individuals: Collection[Individual]) -> list[Individual]:
    """By front, then by crowding distance, the lonely ones first."""
    if not individuals:
        return []
    ranked: list[Individual] = []
    for front in tools.sortLogNondominated(list(individuals), len(individuals)):
        tools.emo.assignCrowdingDist(front)
        ranked += sorted(front, key=lambda one: (-one.fitness.crowding_dist, one.id))
    return ranked


class NSGA2(SteadyState):
    """Deb et al. 2002, with structural operators, in small batches (Durillo et al. 2009).

    ::

        population = random genomes
        whenever a batch has been told, and while `batches_in_flight` - 1 others are under way:
            population = the μ best of population + batch, by front, then by crowding
            batch = mutated or crossed-over winners of tournaments of two, by front, then by crowding

    Its best individual is the knee of the first front; see `knee_first`.
    """

    default_size: ClassVar[int] = 20
    ranking: ClassVar[type[Ranking]] = ByFronts

    def __init__(
        self, *arguments: Any, objectives: tuple[str, ...] = ("error", "parameters"), **more: Any
    ) -> None:
        super().__init__(*arguments, objectives=objectives, **more)
        self._front = tools.ParetoFront(similar=_alike)
        self._self_made_front = tools.ParetoFront(similar=_alike)

    @property
    def best(self) -> Individual | None:
        """The knee of the front; None while every candidate has failed."""
        front = self.front
        return knee_first(front)[0] if front else None

    @property
    def front(self) -> list[Individual]:
        """Those than whom nobody is better in every objective, best in the first objective first."""
        return sorted(self._front, key=lambda one: one.fitness, reverse=True)

    def _contenders(self, n: int) -> tuple[list[Individual], Sequence[Individual]]:
        """Of all, and of those who inherited nothing: the knee of the front, and those nearest to it."""
        return knee_first(self.front)[:n], knee_first(self._self_made_front)

    def named(self, finalists: Sequence[Individual], scores: Sequence[float]) -> int:
        """The position of the knee, with the scores in place of the search's."""
        again = [
            Individual(
                one.candidate, replace(one.evaluation, fitness=score), self._cost(one.genome), self.objectives
            )
            for one, score in zip(finalists, scores, strict=True)
            if math.isfinite(score)
        ]
        if not again:
            return 0
        knee = knee_first(again)[0].genome
        return next(i for i, one in enumerate(finalists) if one.genome == knee)

    def live_checkpoints(self) -> set[int]:
        """Ids of candidates whose trained weights may still be asked for: by children, or at the end."""
        return super().live_checkpoints() | {one.id for one in [*self._front, *self._self_made_front]}

    def _propose(self) -> Proposal:
        if self._is_starting:
            return self._random()
        return breed(self._parent, self.space, self.rng, self._seen)

    def _parent(self) -> Individual:
        # The population is ranked: of two, the one that stands before the other wins.
        position = min(self.rng.randrange(len(self.population)) for _ in range(2))
        return self.population[position]

    def _survivors(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        return self._ranked(population + offspring)[: self.population_size]

    def _ranked(self, individuals: Collection[Individual]) -> list[Individual]:
        return by_fronts(individuals)

    def _take_in(self, individual: Individual) -> None:
        before = self.individuals.get(individual.genome)
        super()._take_in(individual)
        self._enter(self._front, individual, before, self.individuals.values())
        if not individual.inherited:
            heirless = (one for one in self.individuals.values() if not one.inherited)
            self._enter(self._self_made_front, individual, before, heirless)

    def _enter(
        self,
        front: tools.ParetoFront,
        individual: Individual,
        before: Individual | None,
        everyone: Iterable[Individual],
    ) -> None:
        """Let somebody onto a front, in place of the same genome with fewer epochs."""
        for i in reversed(range(len(front))):
            if before is not None and _alike(front[i], before):
                front.remove(i)
                if any(map(lt, individual.fitness.wvalues, before.fitness.wvalues)):
                    # Whom it dominated before may be on the front again.
                    front.clear()
                    front.update(everyone)
                    return
        front.update([individual])


def _alike(one: Individual, other: Individual) -> bool:
    return one.genome == other.genome


def knee_first(front: Sequence[Individual]) -> list[Individual]:
    """A front by the distance to its ideal point, the knee first.

    Objectives are taken from 0, the best on the front, to 1, the worst; costs by their logarithm, as
    half the parameters are worth as much to a large network as to a small one.
    """
    if not front:
        return []
    rows = [_coordinates(one) for one in front]
    low = [min(column) for column in zip(*rows, strict=True)]
    span = [max(column) - least or 1.0 for column, least in zip(zip(*rows, strict=True), low, strict=True)]

    def distance(i: int) -> float:
        return math.hypot(*((x - least) / s for x, least, s in zip(rows[i], low, span, strict=True)))

    return [front[i] for i in sorted(range(len(front)), key=lambda i: (distance(i), front[i].id))]


def _coordinates(individual: Individual) -> list[float]:
    fitness, *costs = individual.fitness.values
    return [-fitness, *map(math.log, costs)]
