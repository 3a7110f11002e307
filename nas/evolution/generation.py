"""The state of a search after a batch, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas.genome import Genome


@dataclass(frozen=True, slots=True)
class Generation:
    """The state of a search after a batch: fitness of the population, failures apart.

    `std` is the standard deviation of fitness; `diversity` the mean distance of two genomes of
    the population (see `nas.alignment.mean_distance`); `evaluated` counts all candidates so far;
    `heredity` is, for each layer position, the share of genes that all children of crossover so far
    have from either parent (see `nas.evolution.operators.inherited`).
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
        """The generation as plain values for JSON."""
        return asdict(self) | {"best_genome": self.best_genome.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Generation:
        """The generation that `to_dict` wrote."""
        genome, heredity = Genome.from_dict(record["best_genome"]), tuple(record["heredity"])
        return cls(**{**record, "best_genome": genome, "heredity": heredity})
