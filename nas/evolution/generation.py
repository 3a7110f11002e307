"""The state of a search after a batch, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, pstdev
from typing import Any

from deap import tools

from nas.alignment import mean_distance
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.operators import inherited
from nas.genome import Genome


@dataclass(frozen=True, slots=True)
class Generation:
    """The state of a search after a batch; failures count only as `failures`.

    Attributes
    ----------
    number : int
        The batch, from 0.
    evaluated, failures : int
        Candidates so far, and how many of them failed.
    best : float
        Fitness of the best individual so far.
    median, mean, std : float
        Of the population's fitness; `std` is the population standard deviation.
    diversity : float
        The mean distance of two genomes of the population; see `nas.alignment.mean_distance`.
    best_genome : Genome
    heredity : tuple of float
        For each layer position the mean share of genes that children of crossover have from either parent;
        see `nas.evolution.operators.inherited`.
    """

    number: int
    evaluated: int
    failures: int
    best: float
    median: float
    mean: float
    std: float
    diversity: float
    best_genome: Genome
    heredity: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the generation as plain values for JSON."""
        return asdict(self) | {"best_genome": self.best_genome.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Generation:
        """Return the generation that `to_dict` wrote."""
        genome, heredity = Genome.from_dict(record["best_genome"]), tuple(record["heredity"])
        return cls(**{**record, "best_genome": genome, "heredity": heredity})


class Statistics:
    """Counts and sums over all candidates of a search, from which generations are summarized."""

    def __init__(self) -> None:
        self.n_failures = 0
        self._heredity: list[tuple[float, int]] = []
        """For each layer position the sum of inherited shares, and the number of children with that layer."""

        self._fitness = tools.Statistics(key=lambda individual: individual.evaluation.fitness)
        for name, function in (("median", median), ("mean", fmean), ("std", pstdev)):
            self._fitness.register(name, function)

    def count(self, individual: Individual, proposal: Proposal) -> None:
        """Count an evaluated candidate, failed or not, and what it has from its parents."""
        self.n_failures += individual.evaluation.failed
        if proposal.operator.crossover is None:
            return
        first, last = proposal.parents[0].genome, proposal.parents[-1].genome
        for position, share in enumerate(inherited(proposal.genome, first, last)):
            if position == len(self._heredity):
                self._heredity.append((0.0, 0))
            total, n = self._heredity[position]
            self._heredity[position] = (total + share, n + 1)

    def summary(
        self, number: int, evaluated: int, best: Individual | None, population: Sequence[Individual]
    ) -> Generation | None:
        """Summarize the state after a batch; None before any candidate has succeeded."""
        if best is None or not population:
            return None
        return Generation(
            number=number,
            evaluated=evaluated,
            failures=self.n_failures,
            diversity=mean_distance([individual.genome for individual in population]),
            best_genome=best.genome,
            heredity=tuple(total / n for total, n in self._heredity),
            **{**self._fitness.compile(population), "best": best.evaluation.fitness},
        )
