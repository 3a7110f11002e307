"""Migration around a ring of islands: engines that evolve by themselves and sometimes send their best on."""

from __future__ import annotations

from collections.abc import Sequence

from deap import tools

from nas.genome import Genome


def migrants(elites: Sequence[Sequence[Genome]], island: int) -> list[Genome]:
    """Who comes to an island of a ring: the elites of the island before it, as many as every one has.

    Parameters
    ----------
    elites : sequence of sequences of Genome
        Of each island, in the order of the ring; the best of each first.
    island : int
        The position of the one that they come to.
    """
    n = len(elites)
    # Through an island where nobody lives, those of the one before it pass.
    populations = [
        list(next((elites[(i - j) % n] for j in range(n) if elites[(i - j) % n]), ())) for i in range(n)
    ]
    tools.migRing(populations, min(map(len, populations)), lambda those, n: those[:n])
    return populations[island]
