"""Evolution of genomes behind ask and tell; the only place that uses DEAP.

An engine (`Plus`, `Comma`, `SteadyState`, `Aging`, `NSGA2`, `RandomSearch`) says who has children and who
survives. `SuccessiveHalving` (over epochs) and `Surrogate` (a learned model chooses among many children)
go with each of them.
"""

from nas.evolution.engine import Engine
from nas.evolution.generation import Generation
from nas.evolution.individual import OBJECTIVES, Individual
from nas.evolution.migration import migrants
from nas.evolution.recipes import ALGORITHMS, Recipe, recipe
from nas.evolution.surrogate import MODELS

__all__ = [
    "ALGORITHMS",
    "MODELS",
    "OBJECTIVES",
    "Engine",
    "Generation",
    "Individual",
    "Recipe",
    "migrants",
    "recipe",
]
