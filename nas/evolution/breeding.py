"""Variation: how parents have a child, by crossover or by mutation."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from nas.evolution.individual import Individual
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.operators import CROSSOVERS, mutate
from nas.genome import Genome
from nas.space import SearchSpace

_CROSSOVER_RATE = 0.6
"""The share of children that crossover makes; textbooks give 0.6 to 0.9."""

_FURTHER_MUTATION_RATE = 0.5
"""The chance that another mutation follows: single mutations of good parents are soon exhausted."""


def breed(
    select_parent: Callable[[], Individual],
    space: SearchSpace,
    rng: random.Random,
    proposed: Collection[Genome],
) -> Proposal:
    """Make a child: of one parent by mutation, or of two parents by crossover.

    Parameters
    ----------
    select_parent : callable
        Selects a parent; called once or twice.
    space : SearchSpace
        Contains the child.
    rng : random.Random
    proposed : collection of Genome
        Genomes that a crossover need not make again: where similar parents have no new child, a mutation
        on top of the crossover makes one.
    """
    first = select_parent()
    if rng.random() >= _CROSSOVER_RATE:
        return mutant(first, space, rng)
    second = select_parent()
    name = rng.choice(list(CROSSOVERS))
    child = CROSSOVERS[name](first.genome, second.genome, space, rng)
    operator = Operator(crossover=name)
    if child in proposed:
        # A single mutation, so that the child still resembles both parents.
        mutation = mutate(child, space, rng)
        if mutation is not None:
            child, operator = mutation[0], operator.followed_by(mutation[1])
    return Proposal(child, operator, (first, second) if second is not first else (first,))


def mutant(parent: Individual, space: SearchSpace, rng: random.Random) -> Proposal:
    """Make a child of one parent by at least one mutation; a copy where the space has no other genome."""
    genome, names = parent.genome, list[str]()
    while not names or rng.random() < _FURTHER_MUTATION_RATE:
        mutation = mutate(genome, space, rng)
        if mutation is None:
            break
        genome, name = mutation
        names.append(name)
    operator = Operator(mutations=tuple(names)) if names else Operator(Origin.COPY)
    return Proposal(genome, operator, (parent,))


def further_mutant(proposal: Proposal, space: SearchSpace, rng: random.Random) -> Proposal | None:
    """Mutate the child of a single parent once more; None for other proposals, or if no mutation applies.

    Further mutations would leave less and less of a crossover's parents, and nothing of a random genome.
    """
    mutation = mutate(proposal.genome, space, rng) if len(proposal.parents) == 1 else None
    if mutation is None:
        return None
    genome, name = mutation
    return Proposal(genome, proposal.operator.followed_by(name), proposal.parents)
