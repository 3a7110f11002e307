"""Algorithms by name, and what goes with each unless something else is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas.evolution.aging import Aging
from nas.evolution.engine import Engine
from nas.evolution.generational import Comma, Plus
from nas.evolution.nsga2 import NSGA2
from nas.evolution.random_search import RandomSearch
from nas.evolution.steady_state import SteadyState
from nas.evolution.successive_halving import SuccessiveHalving, rungs_up_to
from nas.evolution.surrogate import Surrogate
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
    inherit, halving : bool
        See `nas.evolution.engine.Engine`.
    surrogate : str
        "none", or one of `nas.evolution.surrogate.MODELS`.
    batches_in_flight : int
        Batches under way at once.
    """

    algorithm: str
    population_size: int
    objectives: tuple[str, ...] = ("error",)
    inherit: bool = True
    halving: bool = False
    surrogate: str = "none"
    batches_in_flight: int = 1

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
            halving=SuccessiveHalving(rungs_up_to(epochs, steps_per_epoch), algorithm.ranking)
            if self.halving
            else None,
            surrogate=None if self.surrogate == "none" else Surrogate(space, seed, self.surrogate, epochs),
            starts=starts,
            batches_in_flight=self.batches_in_flight,
        )


_AUTO = Recipe("steady-state", 8, halving=True, surrogate="process", batches_in_flight=2)
"""What wins `python -m benchmarks.replay`, with what cannot be replayed there: halving and inheritance."""

_AUTO_SEVERAL = Recipe("nsga2", 20, halving=True, surrogate="process", batches_in_flight=2)
"""The same for several objectives."""


def recipe(
    algorithm: str,
    *,
    population_size: int | None = None,
    objectives: tuple[str, ...] = ("error",),
    inherit: bool | None = None,
    halving: bool | None = None,
    surrogate: str | None = None,
    batches_in_flight: int | None = None,
) -> Recipe:
    """What a name stands for, "auto" included, with everything that is asked for otherwise."""
    if algorithm == "auto":
        base = _AUTO if len(objectives) == 1 else replace(_AUTO_SEVERAL, objectives=objectives)
    else:
        # Who draws at random has no parents to inherit from.
        engine, children = ALGORITHMS[algorithm], algorithm != "random"
        base = Recipe(
            algorithm,
            engine.default_size,
            objectives,
            inherit=children,
            batches_in_flight=engine.default_batches_in_flight,
        )
    asked: dict[str, Any] = {
        "population_size": population_size,
        "inherit": inherit,
        "halving": halving,
        "surrogate": surrogate,
        "batches_in_flight": batches_in_flight,
    }
    return replace(base, **{key: value for key, value in asked.items() if value is not None})
