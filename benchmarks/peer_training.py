"""Training scikit-learn's networks in the way of nas, for the searches of `benchmarks.search_peers`."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from nas.genome import Genome
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared
from nas.scoring import METRICS
from nas.space import SearchSpace

_WARM_UP_ROWS = 50
_REFIT_EPOCHS = 1.25

Settings = Mapping[str, Any]
"""Arguments of MLPClassifier and MLPRegressor."""


@dataclass(frozen=True, eq=False)
class Task:
    """The rows and settings of nas, with targets as scikit-learn asks for them."""

    X_train: Floats
    y_train: Array
    X_validation: Floats
    y_validation: Array
    X_test: Floats
    metric: str
    n_outputs: int
    space: SearchSpace
    batch_size: int
    epochs: int
    patience: int

    @classmethod
    def of(cls, prepared: Prepared, space: SearchSpace) -> Task:
        """The task of a prepared data set."""
        problem, parts, dataset = prepared.problem, prepared.split, prepared.dataset
        classes = prepared.metric == "accuracy"
        return cls(
            X_train=problem.X_train,
            y_train=dataset.y[parts.train] if classes else problem.y_train,
            X_validation=problem.X_validation,
            y_validation=dataset.y[parts.validation] if classes else problem.y_validation,
            X_test=prepared.preprocessor.encode(dataset.table.iloc[parts.test]),
            metric=prepared.metric,
            n_outputs=problem.n_outputs,
            space=space,
            batch_size=problem.training.batch_size,
            epochs=problem.training.epochs,
            patience=problem.training.patience or problem.training.epochs,
        )

    @property
    def activations(self) -> list[str]:
        """Those of the space that scikit-learn has."""
        return [name for name in self.space.activation if name in ("relu", "tanh")]

    @property
    def training_rows(self) -> tuple[Floats, Array]:
        """Those that a search trains on."""
        return self.X_train, as_expected(self.y_train)

    @property
    def together(self) -> tuple[Floats, Array]:
        """Training and validation rows."""
        y = np.concatenate([self.y_train, self.y_validation])
        return np.concatenate([self.X_train, self.X_validation]), as_expected(y)

    def few(self) -> Task:
        """A few rows and one epoch, to warm up with."""
        few = slice(_WARM_UP_ROWS)
        return replace(self, X_train=self.X_train[few], y_train=self.y_train[few], epochs=1)


@dataclass(frozen=True)
class Tried:
    """A network: the seconds after which it was known, its best score, the epoch of that, its size.

    Of several epochs with the best score it is the one with the lowest loss.
    """

    settings: Settings
    finished: float
    score: float
    loss: float
    epoch: int
    n_parameters: int


def default(task: Task, seed: int) -> Array:
    """What scikit-learn's default network, fitted on training and validation rows, predicts for the test."""
    X, y = task.together
    network = network_class(task)(random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, y)
    predictions: Array = network.predict(task.X_test)
    return predictions


class OutOfTime(Exception):  # noqa: N818  # what happens, not an error
    """Ends a search."""


class Record:
    """What one process has tried."""

    def __init__(self, task: Task, seconds: float, seed: int) -> None:
        self.task = task
        self.tried: list[Tried] = []
        self._rng = np.random.RandomState(seed)
        self._since = time.monotonic()
        self._deadline = self._since + seconds

    def add(self, settings: Settings, stop: Callable[[int, float], bool] | None = None) -> float:
        """Train a network and take it down; the best score over epochs.

        `stop` is asked after every epoch, with the score, whether training shall end. Raises
        `OutOfTime`.
        """
        task = self.task
        if (now := time.monotonic()) >= self._deadline:
            raise OutOfTime
        best, best_epoch = (-math.inf, -math.inf), 0
        lowest, since_lowest = math.inf, 0
        for epoch, network in enumerate(epochs(task, settings, self._rng, *task.training_rows), 1):
            loss, score = judged(task, network)
            now = time.monotonic()
            if now >= self._deadline:
                raise OutOfTime
            if (score, -loss) > best:
                best, best_epoch = (score, -loss), epoch
            lowest, since_lowest = (loss, 0) if loss < lowest else (lowest, since_lowest + 1)
            is_over = stop is not None and stop(epoch, score)
            if is_over or since_lowest >= task.patience or epoch == task.epochs:
                break
        if best_epoch:  # otherwise it diverged at once
            size = n_parameters(task, settings)
            self.tried.append(Tried(settings, now - self._since, best[0], -best[1], best_epoch, size))
        return best[0]


def n_parameters(task: Task, settings: Settings) -> int:
    """Weights and biases."""
    genome = Genome(settings["hidden_layer_sizes"])
    return genome.n_parameters(task.X_train.shape[1], task.n_outputs)


def epochs(task: Task, settings: Settings, rng: np.random.RandomState, X: Floats, y: Array) -> Iterator[Any]:
    """The network after each epoch, until it diverges."""
    # A generator, not a number: with a number every epoch would have the same order of rows.
    network = network_class(task)(**settings, batch_size=task.batch_size, random_state=rng)
    extra = {"classes": np.arange(max(2, task.n_outputs))} if task.metric == "accuracy" else {}
    while True:
        try:
            network.partial_fit(X, y, **extra)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            return
        yield network


def refitted(task: Task, best: Tried, seed: int) -> Any:
    """The best network, trained again on training and validation rows, with the rate annealed."""
    n_epochs = math.ceil(_REFIT_EPOCHS * best.epoch)
    with threadpool_limits(1):
        networks = epochs(task, best.settings, np.random.RandomState(seed), *task.together)
        for epoch, network in enumerate(islice(networks, n_epochs), 1):
            factor = (1 + math.cos(math.pi * epoch / n_epochs)) / 2
            network._optimizer.learning_rate_init = best.settings["learning_rate_init"] * factor
    return network


def network_class(task: Task) -> Any:
    """scikit-learn's network for the task."""
    return MLPClassifier if task.metric == "accuracy" else MLPRegressor


def as_expected(y: Array) -> Array:
    """A single target without an axis of its own."""
    return y[:, 0] if y.shape[1:] == (1,) else y


def judged(task: Task, network: Any) -> tuple[float, float]:
    """Loss and score on the validation rows, the score with as many digits as nas gives it."""
    y = task.y_validation
    if task.metric == "accuracy":
        predictions = network.predict_proba(task.X_validation)
        loss = -float(np.log(np.maximum(predictions[np.arange(len(y)), y], 1e-12)).mean())
    else:
        predictions = network.predict(task.X_validation).reshape(y.shape)
        loss = float(np.square(predictions - y).mean())
    return loss, float(f"{METRICS[task.metric](predictions, y):.6g}")
