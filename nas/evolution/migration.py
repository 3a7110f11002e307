"""Migration around a ring of islands: engines that evolve by themselves and sometimes send their best on."""

from __future__ import annotations

from collections.abc import Sequence

from deap import tools

from nas.evolution.individual import Individual
from nas.genome import Genome


def migrants(elites: Sequence[Sequence[Individual]], island: int) -> list[Genome]:
    """Who comes to an island of a ring: the elites of the island before it, as many as every one has.

    Parameters
    ----------
    elites : sequence of sequences of Individual
        Of each island, in the order of the ring.
    island : int
        The position of the one that they come to.
    """
    n = len(elites)
    # Through an island where nobody lives, those of the one before it pass.
    populations = [
        list(next((elites[(i - j) % n] for j in range(n) if elites[(i - j) % n]), ())) for i in range(n)
    ]
    tools.migRing(populations, min(map(len, populations)), tools.selBest)
    return [one.genome for one in populations[island]]
