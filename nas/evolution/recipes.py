"""Algorithms by name, and the defaults of everything that goes with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.errors import InputError
from nas.evolution.aging import Aging
from nas.evolution.engine import Engine, EngineOptions
from nas.evolution.generational import Comma, Plus
from nas.evolution.nsga2 import NSGA2
from nas.evolution.random_search import RandomSearch
from nas.evolution.steady_state import SteadyState
from nas.evolution.strategy import Strategy
from nas.evolution.successive_halving import SuccessiveHalving, rungs_up_to
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.space import CostModel, Limits, SearchSpace

ALGORITHMS: dict[str, type[Strategy]] = {
    "plus": Plus,
    "comma": Comma,
    "steady-state": SteadyState,
    "aging": Aging,
    "nsga2": NSGA2,
    "random": RandomSearch,
}
"""The strategy of each name on the command line."""

Algorithm = str | Strategy | type[Strategy]
"""A name of `ALGORITHMS`, or the caller's own strategy: a class without required parameters, or an object."""


def strategy_of(algorithm: Algorithm) -> Strategy:
    """Return the strategy of a name, of a class, or of an object, which is returned itself.

    Raises
    ------
    InputError
        On an unknown name, or something that is no `Strategy`.
    """
    if isinstance(algorithm, Strategy):
        return algorithm
    if isinstance(algorithm, str) and algorithm in ALGORITHMS:
        return ALGORITHMS[algorithm]()
    if isinstance(algorithm, type) and issubclass(algorithm, Strategy):
        return algorithm()
    raise InputError(
        f"algorithm: expected one of auto, {', '.join(ALGORITHMS)}, or a class or object of "
        f"nas.evolution.Strategy, got {algorithm!r}"
    )


def name_of(algorithm: Algorithm) -> str:
    """Return the text that stands for an algorithm in records: its name, or its class with its module."""
    if isinstance(algorithm, str):
        return algorithm
    strategy = algorithm if isinstance(algorithm, type) else type(algorithm)
    return f"{strategy.__module__}.{strategy.__qualname__}"


@dataclass(frozen=True)
class Recipe:
    """An algorithm with everything that goes with it.

    Attributes
    ----------
    algorithm : str, or a class or object of Strategy
        See `strategy_of`; not "auto".
    population_size : int
    objectives : tuple of str
        See `nas.evolution.individual.OBJECTIVES`.
    inherit : bool
        Whether children start from a parent's trained weights.
    halving : bool
        Whether successive halving divides trainings into rungs.
    surrogate : str
        "none", or a name of `nas.evolution.surrogate.MODELS`.
    batches_in_flight : int
        Batches that may be evaluated at once.
    """

    algorithm: Algorithm
    population_size: int
    objectives: tuple[str, ...] = ("error",)
    inherit: bool = True
    halving: bool = False
    surrogate: str = "none"
    batches_in_flight: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values for JSON, the algorithm by its name."""
        plain = asdict(replace(self, algorithm=name_of(self.algorithm)))
        return plain | {"objectives": list(self.objectives)}

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
        """Make the engine of a search.

        Parameters
        ----------
        space : SearchSpace
        seed : int
        epochs : int
            Epochs of a whole training.
        steps_per_epoch : int
            Steps of the optimizer in each of them.
        costs, limits, starts
            See `EngineOptions`.
        """
        strategy = strategy_of(self.algorithm)
        options = EngineOptions(
            population_size=self.population_size,
            batches_in_flight=self.batches_in_flight,
            objectives=self.objectives,
            costs=costs,
            limits=limits or Limits(),
            inherit=self.inherit,
            starts=starts,
        )
        halving, surrogate = None, None
        if self.halving:
            halving = SuccessiveHalving(rungs_up_to(epochs, steps_per_epoch), strategy.archive.new_ranking)
        if self.surrogate != "none":
            surrogate = Surrogate(space, seed, self.surrogate, epochs)
        return Engine(strategy, space, seed, options, halving=halving, surrogate=surrogate)


_AUTO = Recipe("steady-state", 8, halving=True, surrogate="process", batches_in_flight=2)
"""The best of `python -m benchmarks.replay`, with what cannot be replayed there: halving and inheritance."""

_AUTO_SEVERAL = Recipe("nsga2", 20, halving=True, surrogate="process", batches_in_flight=2)
"""The same for several objectives."""


def recipe(
    algorithm: Algorithm,
    *,
    population_size: int | None = None,
    objectives: tuple[str, ...] = ("error",),
    inherit: bool | None = None,
    halving: bool | None = None,
    surrogate: str | None = None,
    batches_in_flight: int | None = None,
) -> Recipe:
    """Return the recipe of an algorithm, "auto" included, with its own defaults where nothing is given.

    Parameters
    ----------
    algorithm : str, or a class or object of Strategy
        "auto", or see `strategy_of`.
    population_size, objectives, inherit, halving, surrogate, batches_in_flight : optional
        See `Recipe`.

    Raises
    ------
    InputError
        On an unknown algorithm.
    """
    if algorithm == "auto":
        base = _AUTO if len(objectives) == 1 else replace(_AUTO_SEVERAL, objectives=objectives)
    else:
        strategy = strategy_of(algorithm)
        base = Recipe(
            algorithm,
            strategy.default_size,
            objectives if len(objectives) > 1 else strategy.default_objectives,
            inherit=strategy.has_parents,
            batches_in_flight=strategy.default_batches_in_flight,
        )
    settings: dict[str, Any] = {
        "population_size": population_size,
        "inherit": inherit,
        "halving": halving,
        "surrogate": surrogate,
        "batches_in_flight": batches_in_flight,
    }
    return replace(base, **{key: value for key, value in settings.items() if value is not None})
