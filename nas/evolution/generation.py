"""The state of a search after a batch, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from nas.genome import Genome


@dataclass(frozen=True, slots=True)
class Generation:
    """The state of a search after a batch: fitness of the population, failures apart.

    `spread` is the standard deviation of fitness; `diversity` the mean distance of two genomes of
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
    spread: float
    diversity: float
    best_genome: Genome
    heredity: tuple[float, ...] = ()
