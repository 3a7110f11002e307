"""The networks that a search has trained, as reports compare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome


@dataclass(frozen=True)
class Network:
    """One genome of a search with its fitness after its longest training.

    Attributes
    ----------
    candidate : Candidate
        The first candidate with this genome.
    evaluation : Evaluation
        The last evaluation that did not fail, without curves.
    epochs : int
        Total epochs of training.
    by_rung : mapping of int to float
        Fitness by rung, in epochs of training; 0: a full training.
    """

    candidate: Candidate
    evaluation: Evaluation
    epochs: int
    by_rung: Mapping[int, float]

    @property
    def genome(self) -> Genome:
        """The candidate's genome."""
        return self.candidate.genome

    @property
    def fitness(self) -> float:
        """The fitness after the longest training."""
        return self.evaluation.fitness


@dataclass(frozen=True)
class Trial:
    """One evaluation of a search, with its fitness as it was then; NaN if it failed."""

    candidate: Candidate
    fitness: float
