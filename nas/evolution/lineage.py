"""Lineage: how a genome came about, and from which parents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from nas.alignment import genome_distance
from nas.evolution.individual import Individual
from nas.genome import Genome

_CROSSOVER = "crossover:"


class Origin(StrEnum):
    """How a genome came about that neither a mutation nor a crossover made."""

    RANDOM = "random"
    """Drawn from the space."""

    START = "start"
    """Given by the caller of the search."""

    MIGRANT = "migrant"
    """Sent by another engine, around a ring; see `nas.evolution.migration`."""

    CONTINUE = "continue"
    """The same genome as its parent's, trained on from the parent's weights (successive halving)."""

    COPY = "copy"
    """A parent's genome that no mutation can change."""

    RESCORE = "rescore"
    """A finalist, trained on other folds after the search."""


@dataclass(frozen=True, slots=True)
class Operator:
    """What made a genome: an origin or a crossover if any, then mutations in their order.

    ``str`` gives the text that `Candidate.operator` and journals hold, and `parse` reads it.

    Examples
    --------
    >>> str(Operator(crossover="mix_layers", mutations=("widen",)))
    'crossover:mix_layers+widen'
    >>> Operator.parse("narrow+step_gene")
    Operator(origin=None, crossover=None, mutations=('narrow', 'step_gene'))
    """

    origin: Origin | None = None
    crossover: str | None = None
    mutations: tuple[str, ...] = ()

    def followed_by(self, mutation: str) -> Operator:
        """Return the operator followed by one more mutation."""
        return replace(self, mutations=(*self.mutations, mutation))

    def __str__(self) -> str:
        parts = list(self.mutations)
        if self.crossover is not None:
            parts.insert(0, _CROSSOVER + self.crossover)
        if self.origin is not None:
            parts.insert(0, self.origin)
        return "+".join(parts)

    @classmethod
    def parse(cls, text: str) -> Operator:
        """Read the text of an operator; names that are neither origin nor crossover are mutations."""
        first, *mutations = text.split("+")
        if first.startswith(_CROSSOVER):
            return cls(crossover=first.removeprefix(_CROSSOVER), mutations=tuple(mutations))
        if first in _ORIGINS:
            return cls(Origin(first), mutations=tuple(mutations))
        return cls(mutations=(first, *mutations))


_ORIGINS = frozenset(Origin)


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A genome that may become a candidate, the operator that made it, and its parents.

    Two parents mean a crossover, one parent a mutation; genomes without parents train from scratch.
    Proposals are compared by identity, so that what follows from one can be kept by it.
    """

    genome: Genome
    operator: Operator
    parents: tuple[Individual, ...] = ()


def most_similar_parent(proposal: Proposal) -> Individual | None:
    """Return the parent with the weights that fit the genome best; None without such a parent.

    Parents with another scaling do not count, as their first layer reads other numbers; what stands beside
    the scaled numbers may differ, see `nas.evaluation.codes`.
    """
    genome, scaling = proposal.genome, proposal.genome.encoding.scaling
    parents = [parent for parent in proposal.parents if parent.genome.encoding.scaling == scaling]
    if len(parents) < 2:
        return parents[0] if parents else None
    return min(parents, key=lambda parent: genome_distance(genome, parent.genome))
