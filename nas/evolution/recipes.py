"""Algorithms by name, and what goes with each unless something else is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas.evolution.aging import Aging
from nas.evolution.engine import Engine
from nas.evolution.generational import Comma, Plus
from nas.evolution.nsga2 import NSGA2
from nas.evolution.racing import Racing, rungs_up_to
from nas.evolution.random_search import RandomSearch
from nas.evolution.steady_state import SteadyState
from nas.evolution.surrogate import Screening
from nas.genome import Genome
from nas.space import CostModel, Limits, SearchSpace

ALGORITHMS: dict[str, type[Engine]] = {
    "plus": Plus,
    "comma": Comma,
    "steady-state": SteadyState,
    "aging": Aging,
    "nsga2": NSGA2,
    "random": RandomSearch,
}
"""Every engine by the name that the command line knows it by."""


@dataclass(frozen=True)
class Recipe:
    """An algorithm with all that goes with it.

    Attributes
    ----------
    algorithm : str
        One of `ALGORITHMS`.
    population_size : int
    objectives : tuple of str
    inherit, racing : bool
        See `nas.evolution.engine.Engine`.
    screening : str
        "none", or one of `nas.evolution.surrogate.MODELS`.
    lag : int
        Batches under way at once.
    """

    algorithm: str
    population_size: int
    objectives: tuple[str, ...] = ("error",)
    inherit: bool = True
    racing: bool = False
    screening: str = "none"
    lag: int = 1

    def engine(
        self,
        space: SearchSpace,
        seed: int,
        *,
        epochs: int,
        steps_per_epoch: int = 1,
        costs: CostModel | None = None,
        limits: Limits | None = None,
        starts: Sequence[Genome] = (),
    ) -> Engine:
        """The engine; `epochs` are those of a whole training, `steps_per_epoch` its batches in each."""
        algorithm = ALGORITHMS[self.algorithm]
        return algorithm(
            space,
            seed,
            self.population_size,
            objectives=self.objectives,
            costs=costs,
            limits=limits,
            inherit=self.inherit,
            racing=Racing(rungs_up_to(epochs, steps_per_epoch), algorithm.ranking) if self.racing else None,
            screening=None if self.screening == "none" else Screening(space, seed, self.screening, epochs),
            starts=starts,
            lag=self.lag,
        )


_AUTO = Recipe("steady-state", 8, racing=True, screening="process", lag=2)
"""What wins `python -m benchmarks.replay`, with what cannot be replayed there: racing and inheritance."""

_AUTO_SEVERAL = Recipe("nsga2", 20, racing=True, screening="process", lag=2)
"""The same for several objectives."""


def recipe(
    algorithm: str,
    *,
    population_size: int | None = None,
    objectives: tuple[str, ...] = ("error",),
    inherit: bool | None = None,
    racing: bool | None = None,
    screening: str | None = None,
    lag: int | None = None,
) -> Recipe:
    """What a name stands for, "auto" included, with everything that is asked for otherwise."""
    if algorithm == "auto":
        base = _AUTO if len(objectives) == 1 else replace(_AUTO_SEVERAL, objectives=objectives)
    else:
        # Who draws at random has no parents to inherit from.
        engine, heirs = ALGORITHMS[algorithm], algorithm != "random"
        base = Recipe(algorithm, engine.default_size, objectives, inherit=heirs, lag=engine.default_lag)
    asked: dict[str, Any] = {
        "population_size": population_size,
        "inherit": inherit,
        "racing": racing,
        "screening": screening,
        "lag": lag,
    }
    return replace(base, **{key: value for key, value in asked.items() if value is not None})
