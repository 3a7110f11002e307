"""Steady-state evolution without a barrier: who is worst makes room."""

from __future__ import annotations

from typing import ClassVar

from nas.evolution.generational import Plus

BATCH = 4
"""Children that are asked for at once: enough for a cohort, few enough to rest on recent news."""

_SHARE = 24
"""Of so many genomes proposed before, one is asked for now: what another few can change becomes less, and
larger cohorts train faster."""

MOST = 32
"""Children that are asked for at once, at most."""

_UNKNOWN = 0.5
"""With many batches under way these grow no further than to so many candidates for each one told: as
children of children that nobody has seen yet, most would be asked for in vain."""


class SteadyState(Plus):
    """(μ+1) in small batches, several of which are under way at once.

    ::

        population = random genomes
        whenever a batch has been told, and while `batches_in_flight` - 1 others are under way:
            population = the μ best of population + batch
            batch = mutated or crossed-over winners of tournaments in population
    """

    default_batches_in_flight: ClassVar[int] = 2
    default_size: ClassVar[int] = 16

    @property
    def batch_size(self) -> int:
        """Children that are asked for at once."""
        known = int(_UNKNOWN * self._n_told / self.batches_in_flight)
        return min(max(BATCH, min(self._n_fresh // _SHARE, known)), MOST, self._room)

    @property
    def _room(self) -> int:
        """The most children at once that leave the algorithm what it is."""
        return 4 * self.population_size
