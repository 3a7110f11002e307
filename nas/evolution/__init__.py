"""Evolution of genomes behind ask and tell; the only room that uses DEAP.

A strategy (`Plus`, `Comma`, `SteadyState`, `Aging`, `NSGA2`, `RandomSearch`, or the caller's own) proposes
children and selects survivors. An engine adds what all strategies share: an archive of evaluated individuals,
a source of unique proposals within the limits, successive halving (over epochs) and a surrogate (a model that
selects among many children).
"""

from nas.evolution.archive import Archive
from nas.evolution.breeding import breed, mutant
from nas.evolution.engine import Engine, EngineOptions
from nas.evolution.generation import Generation
from nas.evolution.individual import OBJECTIVES, Individual
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.migration import migrants
from nas.evolution.pareto import ParetoArchive
from nas.evolution.recipes import ALGORITHMS, Algorithm, Recipe, name_of, recipe, strategy_of
from nas.evolution.strategy import EvolutionState, Strategy
from nas.evolution.surrogate import MODELS

__all__ = [
    "ALGORITHMS",
    "MODELS",
    "OBJECTIVES",
    "Algorithm",
    "Archive",
    "Engine",
    "EngineOptions",
    "EvolutionState",
    "Generation",
    "Individual",
    "Operator",
    "Origin",
    "ParetoArchive",
    "Proposal",
    "Recipe",
    "Strategy",
    "breed",
    "migrants",
    "mutant",
    "name_of",
    "recipe",
    "strategy_of",
]
