"""The searches that nas is compared with in `search_quality`: Optuna's and sklearn-genetic-opt's.

All train scikit-learn's networks in the same way: the space, arrays, batch size, epochs and patience
are those of nas, in float32, epoch by epoch with `partial_fit`. The score is the best over epochs,
which is more than nas gives itself: its score is that of the epoch with the lowest loss. The best
settings are trained once more on training and validation rows together, for a quarter more epochs than
were best and with the rate annealed, as nas does: over 36 networks on vehicle, segment, concrete and
yacht that gave better test scores on average, by 0.006 than the network of the best epoch and by 0.003
than the rate left as it was. scikit-learn has two of the activations of `small`, relu and tanh: silu
and gelu are left out. Its `alpha` takes the place of weight decay; it is a penalty in the loss.

Two processes search, with one BLAS thread each. Optuna's share a study, in a journal file in memory:
widths, rates and decays are whole numbers to it, the places in their lists, so that it knows their
order. GASearchCV can only train several folds in parallel, and here there is one, so that two of them
search apart and the better counts. What a process does before the first trial is not timed: it searches
a few rows first, so that nothing has to be imported later.
"""

from __future__ import annotations

import math
import multiprocessing
import random
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import PredefinedSplit
from threadpoolctl import threadpool_limits

from benchmarks.peer_training import (
    OutOfTime,
    Record,
    Settings,
    Task,
    Tried,
    default,
    n_parameters,
    refitted,
)
from nas.network.arrays import Array

__all__ = ["PROCESSES", "SEARCHES", "Found", "Task", "default", "n_parameters", "search"]

PROCESSES = 2
POPULATION = 20
"""Of NSGA-II and, divided between its processes, of GASearchCV."""

_WARM_UP_SECONDS = 2.0
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, eq=False)
class Found:
    """All that was tried, in order of time, and what the best predicts for the test rows."""

    tried: list[Tried]
    predictions: Array


def search(name: str, task: Task, seconds: float, seed: int) -> Found | None:
    """Search with one of `SEARCHES` for some seconds; None if no network is finished then."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as place,
        ProcessPoolExecutor(PROCESSES, spawn, _keep, (spawn.Barrier(PROCESSES),)) as pool,
    ):
        # Different for all, or a lucky first draw would be that of several.
        first = 1000 * list(SEARCHES).index(name) + PROCESSES * seed
        seeds = range(first, first + PROCESSES)
        jobs = [pool.submit(_search, name, task, seconds, each, Path(place)) for each in seeds]
        tried = [one for job in jobs for one in job.result()]
    if not tried:
        return None
    tried.sort(key=lambda one: one.finished)
    best = max(tried, key=lambda one: (one.score, -one.loss))
    return Found(tried, refitted(task, best, seed).predict(task.X_test))


_barrier: Any = None


def _keep(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _search(name: str, task: Task, seconds: float, seed: int, place: Path) -> list[Tried]:
    """The work of one process."""
    warnings.simplefilter("ignore")
    run = SEARCHES[name]
    with threadpool_limits(1), config_context(assume_finite=True):
        warm_up = Record(task.few(), _WARM_UP_SECONDS, seed)
        _until_out_of_time(run, warm_up, seed, place / f"warm-up-{seed}")
        _barrier.wait(timeout=300)
        record = Record(task, seconds, seed)
        _until_out_of_time(run, record, seed, place / "study")
    return record.tried


def _until_out_of_time(run: Search, record: Record, seed: int, place: Path) -> None:
    try:
        run(record, seed, place)
    except OutOfTime:
        return


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


Search = Callable[[Record, int, Path], None]
SEARCHES: dict[str, Search] = {
    "tpe": _tpe,
    "nsga2": _nsga2,
    "random": _random,
    "genetic": _genetic,
    "pareto": _pareto,
}
"""Optuna's TPE with Hyperband, its NSGA-II and random search, GASearchCV, NSGA-II with two objectives."""
