"""How parents have a child: by crossover or by mutation."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from nas.evolution.individual import Individual
from nas.evolution.operators import CROSSOVERS, mutate
from nas.evolution.proposal import Proposal
from nas.genome import Genome
from nas.space import SearchSpace

_CROSSOVER_SHARE = 0.6
_MUTATED_AGAIN = 0.5
"""The chance that another mutation follows one: what one alone can reach is soon known."""


def breed(
    parent: Callable[[], Individual], space: SearchSpace, rng: random.Random, seen: Collection[Genome]
) -> Proposal:
    """A child of one parent, mutated, or of two, crossed over.

    Parameters
    ----------
    parent : callable
        Selects a parent.
    seen : collection of Genome
        Those that a crossover need not make again: parents that are much alike have no new child, and
        a mutation on top makes one.
    """
    mother = parent()
    if rng.random() >= _CROSSOVER_SHARE:
        return _mutant(mother, space, rng)
    father = parent()
    operator = rng.choice(list(CROSSOVERS))
    child = CROSSOVERS[operator](mother.genome, father.genome, space, rng)
    parents = (mother, father) if father is not mother else (mother,)
    if child in seen:
        # Once: it is to remain a child of both.
        mutated = mutate(child, space, rng)
        if mutated is not None:
            child, mutation = mutated
            return Proposal(child, f"crossover:{operator}+{mutation}", parents)
    return Proposal(child, f"crossover:{operator}", parents)


def _mutant(mother: Individual, space: SearchSpace, rng: random.Random) -> Proposal:
    genome = mother.genome
    operators: list[str] = []
    while not operators or rng.random() < _MUTATED_AGAIN:
        mutated = mutate(genome, space, rng)
        if mutated is None:
            break
        genome, operator = mutated
        operators.append(operator)
    return Proposal(genome, "+".join(operators) or "copy", (mother,))
