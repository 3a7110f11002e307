"""What engines propose before it becomes a candidate."""

from __future__ import annotations

from dataclasses import dataclass

from nas.evolution.individual import Individual
from nas.genome import Genome


@dataclass(frozen=True, slots=True)
class Proposal:
    """A genome that may become a candidate, the operator that made it, and its parents."""

    genome: Genome
    operator: str
    parents: tuple[Individual, ...] = ()
