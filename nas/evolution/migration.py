"""Migration around a ring of separate engines, which exchange their elites (Tanese 1989)."""

from __future__ import annotations

from collections.abc import Sequence

from deap import tools

from nas.genome import Genome


def migrants(elites: Sequence[Sequence[Genome]], position: int) -> list[Genome]:
    """Return the migrants to an engine: the elites of its predecessor, as many as the fewest of any.

    Engines without elites forward their predecessor's elites.

    Parameters
    ----------
    elites : sequence of sequences of Genome
        The elites of each engine, in the order of the ring; the best of each first.
    position : int
        Of the engine that receives them.
    """
    n = len(elites)
    populations = [
        list(next((elites[(i - j) % n] for j in range(n) if elites[(i - j) % n]), ())) for i in range(n)
    ]
    tools.migRing(populations, min(map(len, populations)), lambda population, n: population[:n])
    return populations[position]
