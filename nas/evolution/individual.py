"""Individuals: evaluated candidates as DEAP compares them, by one objective or by several."""

from __future__ import annotations

from functools import cache
from typing import Any

from deap import base

from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.space import COSTS, Costs

OBJECTIVES = ("error", *COSTS)
"""What can be minimized. Error is the fitness with its sign turned."""


class Individual:
    """An evaluated candidate.

    Parameters
    ----------
    candidate : Candidate
    evaluation : Evaluation
    costs : Costs, optional
        Needed for objectives other than the error.
    objectives : tuple of str
        Of `OBJECTIVES`, "error" first. With the error alone, the lower validation loss decides among
        equal scores.
    age : int
        Epochs that its weights have been trained for, those of its ancestors included.
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
        """Itself: DEAP's halls copy what they keep, in case that it changes, which nobody does here."""
        return self

    @property
    def trained(self) -> int:
        """Epochs up to the best one, since its weights were another's."""
        return self.evaluation.best_epoch

    @property
    def inherited(self) -> int:
        """Epochs that its first weights had been trained for by others."""
        return self.age - self.trained

    @property
    def epochs(self) -> int:
        """Epochs that it was trained for, since its weights were another's."""
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
    """DEAP's class of a fitness: the first value is maximized, the others are minimized."""
    weights = (1.0,) + (-1.0,) * (n_values - 1)
    return type("Fitness", (base.Fitness,), {"weights": weights, "__reduce__": _reduce})


def _reduce(fitness: base.Fitness) -> tuple[Any, ...]:
    """How to pickle it: its class is made while a program runs, so that no name leads to it."""
    return _without_values, (len(fitness.weights),), vars(fitness)


def _without_values(n_values: int) -> base.Fitness:
    return _fitness(n_values)()
