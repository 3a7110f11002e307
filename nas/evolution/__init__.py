"""Evolution of genomes behind ask and tell; the only place that uses DEAP."""

from nas.evolution.engine import Engine, Generation
from nas.evolution.generational import Generational
from nas.evolution.random_search import RandomSearch

ALGORITHMS: dict[str, type[Engine]] = {"evolution": Generational, "random": RandomSearch}
"""Every engine by the name that the command line knows it by."""

__all__ = ["ALGORITHMS", "Engine", "Generation", "Generational", "RandomSearch"]
