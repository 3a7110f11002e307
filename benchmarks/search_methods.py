"""How the peers of `search_quality` propose networks: Optuna's samplers, and GASearchCV.

Optuna's two processes share a study, in a journal file in memory: widths, rates and decays are whole numbers
to it, the places in their lists, so that it knows their order. GASearchCV can only train several folds in
parallel, and here there is one, so that two of them search apart and the better counts.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import PredefinedSplit

from benchmarks.search_peers import PROCESSES, Method, Record, Settings, Task, n_parameters
from nas.network.arrays import Array

POPULATION = 20
"""Of NSGA-II and, divided between its processes, of GASearchCV."""


def _optuna(
    record: Record,
    place: Path,
    sampler: Callable[[Any], Any],
    *,
    pruned: bool = False,
    sizes: bool = False,
) -> None:
    """Until time is out: Optuna with a sampler of its module, in the study that is kept in `place`.

    `pruned` adds Hyperband, `sizes` the number of parameters as a second objective.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task, pruners = record.task, optuna.pruners
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(place))),
        sampler=sampler(optuna.samplers),
        pruner=pruners.HyperbandPruner(max_resource=task.epochs) if pruned else pruners.NopPruner(),
        study_name="study",
        directions=["maximize", "minimize"] if sizes else ["maximize"],
        load_if_exists=True,
    )

    def objective(trial: Any) -> float | tuple[float, float]:
        is_bad = False

        def stop(epoch: int, score: float) -> bool:
            nonlocal is_bad
            trial.report(score, epoch)
            is_bad = bool(trial.should_prune())
            return is_bad

        settings = _suggested(trial, task)
        score = record.add(settings, stop if pruned else None)
        if is_bad:
            raise optuna.TrialPruned
        return (score, math.log10(n_parameters(task, settings))) if sizes else score

    study.optimize(objective)


def _suggested(trial: Any, task: Task) -> Settings:
    space = task.space

    def one_of(name: str, values: Any) -> Any:
        return values[trial.suggest_int(name, 0, len(values) - 1)]

    depth = trial.suggest_int("depth", *space.depth)
    return {
        "hidden_layer_sizes": tuple(one_of(f"width {i}", space.widths_tuple) for i in range(depth)),
        "activation": trial.suggest_categorical("activation", task.activations),
        "learning_rate_init": one_of("learning rate", space.genes["learning_rate"]),
        "alpha": one_of("alpha", space.genes["weight_decay"]),
    }


class _Estimator(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn comes without types
    """A network as GASearchCV wants it: trained, and taken down, by `add`."""

    def __init__(
        self,
        add: Any,
        hidden_layer_sizes: Any = (),
        activation: str = "relu",
        learning_rate_init: float = 0.001,
        alpha: float = 0.0,
    ) -> None:
        self.add = add
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha

    def fit(self, X: Array, y: Array) -> _Estimator:
        """Train on the rows of the task, which are those that the split gives."""
        settings = self.get_params(deep=False)
        self.score_ = settings.pop("add")(settings)
        return self


def _genetic(record: Record, seed: int, place: Path) -> None:
    """Until time is out: GASearchCV on the same split."""
    from sklearn_genetic import GASearchCV
    from sklearn_genetic.space import Categorical

    task, space = record.task, record.task.space
    layers = [widths for depth in space.depths for widths in product(space.widths_tuple, repeat=depth)]
    choices = {
        "hidden_layer_sizes": layers,
        "activation": task.activations,
        "learning_rate_init": list(space.genes["learning_rate"]),
        "alpha": list(space.genes["weight_decay"]),
    }
    X, y = task.together
    fold = np.repeat([-1, 0], [len(task.X_train), len(task.X_validation)])
    evolution = GASearchCV(
        _Estimator(lambda settings: record.add(settings)),  # a function is not copied with the estimator
        cv=PredefinedSplit(fold),
        param_grid={name: Categorical(values) for name, values in choices.items()},
        scoring=lambda estimator, X, y: estimator.score_,
        population_size=POPULATION // PROCESSES,
        generations=10**6,
        refit=False,
        verbose=False,
        error_score="raise",
    )
    random.seed(seed)  # after `Categorical`, which seeds it
    evolution.fit(X, y)


def _tpe(record: Record, seed: int, place: Path) -> None:
    _optuna(record, place, lambda samplers: samplers.TPESampler(seed=seed), pruned=True)


def _nsga2(record: Record, seed: int, place: Path) -> None:
    _optuna(record, place, lambda samplers: samplers.NSGAIISampler(population_size=POPULATION, seed=seed))


def _random(record: Record, seed: int, place: Path) -> None:
    _optuna(record, place, lambda samplers: samplers.RandomSampler(seed=seed))


def _pareto(record: Record, seed: int, place: Path) -> None:
    _optuna(
        record,
        place,
        lambda samplers: samplers.NSGAIISampler(population_size=POPULATION, seed=seed),
        sizes=True,
    )


METHODS: dict[str, Method] = {
    "tpe": _tpe,
    "nsga2": _nsga2,
    "random": _random,
    "genetic": _genetic,
    "pareto": _pareto,
}
"""Optuna's TPE with Hyperband, its NSGA-II and random search, GASearchCV, NSGA-II with two objectives."""
