"""Individuals: evaluated candidates with a DEAP fitness, of one objective or of several."""

from __future__ import annotations

from functools import cache
from typing import Any

from deap import base

from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.space import COSTS, Costs

OBJECTIVES = ("error", *COSTS)
"""Objectives to minimize. The error is the fitness with its sign reversed."""


class Individual:
    """An evaluated candidate.

    Parameters
    ----------
    candidate : Candidate
    evaluation : Evaluation
    costs : Costs, optional
        Needed for objectives other than the error.
    objectives : tuple of str
        Of `OBJECTIVES`, "error" first. With no other objective, the lower validation loss decides among
        equal scores.
    age : int
        Epochs that its weights have been trained for, those of its ancestors included.

    Attributes
    ----------
    fitness : deap.base.Fitness
        Its `wvalues` are (fitness, -validation loss), or (fitness, -cost, ...) with several objectives.
    """

    __slots__ = ("age", "candidate", "evaluation", "fitness")

    def __init__(
        self,
        candidate: Candidate,
        evaluation: Evaluation,
        costs: Costs | None = None,
        objectives: tuple[str, ...] = ("error",),
        age: int = 0,
    ) -> None:
        self.candidate, self.evaluation, self.age = candidate, evaluation, age
        if len(objectives) == 1:
            values: tuple[float, ...] = (evaluation.fitness, evaluation.validation_loss)
        else:
            values = (evaluation.fitness, *(getattr(costs, name) for name in objectives[1:]))
        self.fitness = _fitness(len(values))(values)

    def __deepcopy__(self, memo: object) -> Individual:
        """Return itself: DEAP's halls copy their members in case that these change; individuals never do."""
        return self

    @property
    def trained(self) -> int:
        """Epochs of its own training, up to the best epoch."""
        return self.evaluation.best_epoch

    @property
    def inherited(self) -> int:
        """Epochs that its first weights had been trained for before, by its ancestors."""
        return self.age - self.trained

    @property
    def epochs(self) -> int:
        """Epochs of its own training, earlier rungs included."""
        return self.candidate.epochs_done + self.evaluation.n_epochs

    @property
    def genome(self) -> Genome:
        """The candidate's genome."""
        return self.candidate.genome

    @property
    def id(self) -> int:
        """The candidate's id."""
        return self.candidate.id


@cache
def _fitness(n_values: int) -> type[base.Fitness]:
    """Return DEAP's fitness class of so many values: the first is maximized, all others are minimized."""
    weights = (1.0,) + (-1.0,) * (n_values - 1)
    return type("Fitness", (base.Fitness,), {"weights": weights, "__reduce__": _reduce})


def _reduce(fitness: base.Fitness) -> tuple[Any, ...]:
    """Pickle by the number of values: a class that is made at run time has no name to import it by."""
    return _without_values, (len(fitness.weights),), vars(fitness)


def _without_values(n_values: int) -> base.Fitness:
    return _fitness(n_values)()
