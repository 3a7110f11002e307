"""The searches that nas is compared with in `search_quality`: Optuna's and sklearn-genetic-opt's.

All train scikit-learn's networks in the same way: the space, batch size, epochs and patience are as in
nas, in float32, epoch by epoch with `partial_fit`; numbers are standardized and categories one-hot,
fitted on the training rows. The score is the best over epochs, which is more than nas gives itself: its
score is that of the epoch with the lowest loss. The best settings are trained once more on training and
validation rows together, for a quarter more epochs than were best and with the rate annealed, as nas
does: over 36 networks on vehicle, segment, concrete and yacht that gave better test scores on average,
by 0.006 than the network of the best epoch and by 0.003 than the rate left as it was. scikit-learn has
two of the activations of `small`, relu and tanh: silu and gelu are left out. Its `alpha` takes the place
of weight decay; it is a penalty in the loss.

Two processes search, with one BLAS thread each. All is timed: reading and encoding the table, the start
of the processes with their imports, the search, and the last training. The processes share an estimate of
the last training's seconds, by the epochs of the best network so far, and end the search so much earlier;
a network that could not be trained once more in time does not count.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pandas.api.types import is_numeric_dtype
from sklearn import config_context
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.data import command_split
from nas.genome import Genome
from nas.network.arrays import Array, Floats
from nas.run.preparation import default_training
from nas.scoring import METRICS
from nas.space import SearchSpace

PROCESSES = 2

_MEMORY = Path("/dev/shm")
_REFIT_EPOCHS = 1.25
_MARGIN = 0.5
"""Seconds kept for ending the processes and predicting, beside the last training."""

Settings = Mapping[str, Any]
"""Arguments of MLPClassifier and MLPRegressor."""


@dataclass(frozen=True, eq=False)
class Task:
    """Encoded rows and the settings of nas, with targets as scikit-learn asks for them.

    Classes are numbers from 0 on; numbers are standardized, `scale` and `mean` lead back.
    """

    X_train: Floats
    y_train: Array
    X_validation: Floats
    y_validation: Array
    X_test: Floats
    y_test: Array
    metric: str
    n_outputs: int
    space: SearchSpace
    batch_size: int
    epochs: int
    patience: int
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def read(cls, file: Path, task: str, seed: int, space: SearchSpace) -> Task:
        """The task of a file that `Table.write` has written, with the cut of ``nas search --seed``."""
        dataset, *parts = command_split(file, task, seed)
        X, y = dataset.table, dataset.y if task == "classification" else dataset.y[:, 0]
        texts = [name for name in X if not is_numeric_dtype(X[name])]
        numbers = [name for name in X if name not in texts]
        encoding = make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        )
        train, validation, test = parts
        encoding.fit(X.iloc[train])
        inputs = [encoding.transform(X.iloc[rows]).astype(np.float32) for rows in parts]
        mean, scale = 0.0, 1.0
        if task == "regression":
            mean, scale = float(y[train].mean()), float(y[train].std()) or 1.0
            y = ((y - mean) / scale).astype(np.float32)
        training, n_classes = default_training(len(train)), len(dataset.classes)
        return cls(
            X_train=inputs[0],
            y_train=y[train],
            X_validation=inputs[1],
            y_validation=y[validation],
            X_test=inputs[2],
            y_test=y[test],
            metric="accuracy" if task == "classification" else "r2",
            n_outputs=n_classes if n_classes > 2 else 1,
            space=space,
            batch_size=training.batch_size,
            epochs=training.epochs,
            patience=training.patience or training.epochs,
            mean=mean,
            scale=scale,
        )

    @property
    def activations(self) -> list[str]:
        """Those of the space that scikit-learn has."""
        return [name for name in self.space.activation if name in ("relu", "tanh")]

    @property
    def together(self) -> tuple[Floats, Array]:
        """Training and validation rows."""
        y = np.concatenate([self.y_train, self.y_validation])
        return np.concatenate([self.X_train, self.X_validation]), y


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


@dataclass(frozen=True, eq=False)
class Found:
    """All that was tried, in order of time, when searching began, and what the best predicts for the test."""

    tried: list[Tried]
    began: float
    predictions: Array


def search(method: Method, task: Task, first_seed: int, clock: Clock) -> Found | None:
    """Search until the clock's end, the last training included; None if no network is finished then.

    The processes have a seed each, from the first on.
    """
    spawn = multiprocessing.get_context("spawn")
    best = spawn.Array("d", [-math.inf, -math.inf, 0.0])
    with (
        tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as place,
        ProcessPoolExecutor(PROCESSES, spawn, _keep, (best,)) as pool,
    ):
        seeds = range(first_seed, first_seed + PROCESSES)
        jobs = [pool.submit(_search, method, task, clock, each, Path(place) / "study") for each in seeds]
        records = [job.result() for job in jobs]
    tried = [one for its, _ in records for one in its]
    if not tried:
        return None
    tried.sort(key=lambda one: one.finished)
    chosen = max(tried, key=lambda one: (one.score, -one.loss))
    began = min(began for _, began in records)
    return Found(tried, began, _refitted(task, chosen, first_seed).predict(task.X_test))


def default(task: Task, seed: int) -> Array:
    """What scikit-learn's default network, fitted on training and validation rows, predicts for the test."""
    X, y = task.together
    network = _class(task)(random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, y)
    predictions: Array = network.predict(task.X_test)
    return predictions


@dataclass(frozen=True)
class Clock:
    """When a contestant was started and when it has to be done, by `time.monotonic` of this machine."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start


class OutOfTime(Exception):  # noqa: N818  # what happens, not an error
    """Ends a search."""


class Record:
    """What one process has tried.

    Parameters
    ----------
    task : Task
    clock : Clock
    seed : int
    best : shared array of 3 floats
        Score, negative loss, and seconds of the last training, of the best network of all processes.
    """

    def __init__(self, task: Task, clock: Clock, seed: int, best: Any) -> None:
        self.task = task
        self.tried: list[Tried] = []
        self.began = clock.seconds
        self._clock, self._best = clock, best
        self._rng = np.random.RandomState(seed)

    def add(self, settings: Settings, stop: Callable[[int, float], bool] | None = None) -> float:
        """Train a network and take it down; the best score over epochs.

        `stop` is asked after every epoch, with the score, whether training shall end. Raises
        `OutOfTime`.
        """
        task, training_seconds, since = self.task, 0.0, time.monotonic()
        self._check_time()
        best, best_epoch = (-math.inf, -math.inf), 0
        lowest, since_lowest, epoch = math.inf, 0, 0
        for epoch, network in enumerate(_epochs(task, settings, self._rng, task.X_train, task.y_train), 1):
            training_seconds += time.monotonic() - since
            loss, score = _judged(task, network)
            self._check_time()
            if (score, -loss) > best:
                best, best_epoch = (score, -loss), epoch
            lowest, since_lowest = (loss, 0) if loss < lowest else (lowest, since_lowest + 1)
            is_over = stop is not None and stop(epoch, score)
            if is_over or since_lowest >= task.patience or epoch == task.epochs:
                break
            since = time.monotonic()
        if best_epoch:  # otherwise it diverged at once
            refit = _refit_seconds(task, training_seconds / epoch, best_epoch)
            self._offer(*best, refit)
            size = n_parameters(task, settings)
            self.tried.append(Tried(settings, self._clock.seconds, best[0], -best[1], best_epoch, size))
        return best[0]

    def _check_time(self) -> None:
        if time.monotonic() + self._best[2] + _MARGIN >= self._clock.end:
            raise OutOfTime

    def _offer(self, score: float, negative_loss: float, refit: float) -> None:
        """Keep the best of all processes; raises `OutOfTime` if it cannot be trained once more in time."""
        with self._best.get_lock():
            if (score, negative_loss) > (self._best[0], self._best[1]):
                if time.monotonic() + refit + _MARGIN >= self._clock.end:
                    raise OutOfTime
                self._best[:] = [score, negative_loss, refit]


def _refit_seconds(task: Task, epoch_seconds: float, best_epoch: int) -> float:
    """An estimate of the last training's seconds, by the seconds of an epoch on the training rows."""
    more_rows = 1 + len(task.X_validation) / len(task.X_train)
    return epoch_seconds * more_rows * math.ceil(_REFIT_EPOCHS * best_epoch)


def n_parameters(task: Task, settings: Settings) -> int:
    """Weights and biases."""
    genome = Genome(settings["hidden_layer_sizes"])
    return genome.n_parameters(task.X_train.shape[1], task.n_outputs)


def _epochs(task: Task, settings: Settings, rng: np.random.RandomState, X: Floats, y: Array) -> Iterator[Any]:
    """The network after each epoch, until it diverges."""
    # A generator, not a number: with a number every epoch would have the same order of rows.
    network = _class(task)(**settings, batch_size=task.batch_size, random_state=rng)
    extra = {"classes": np.arange(max(2, task.n_outputs))} if task.metric == "accuracy" else {}
    while True:
        try:
            network.partial_fit(X, y, **extra)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            return
        yield network


def _refitted(task: Task, best: Tried, seed: int) -> Any:
    """The best network, trained again on training and validation rows, with the rate annealed."""
    n_epochs = math.ceil(_REFIT_EPOCHS * best.epoch)
    with threadpool_limits(1):
        networks = _epochs(task, best.settings, np.random.RandomState(seed), *task.together)
        for epoch, network in enumerate(islice(networks, n_epochs), 1):
            factor = (1 + math.cos(math.pi * epoch / n_epochs)) / 2
            network._optimizer.learning_rate_init = best.settings["learning_rate_init"] * factor
    return network


def _class(task: Task) -> Any:
    return MLPClassifier if task.metric == "accuracy" else MLPRegressor


def _judged(task: Task, network: Any) -> tuple[float, float]:
    """Loss and score on the validation rows, the score with as many digits as nas gives it."""
    y = task.y_validation
    if task.metric == "accuracy":
        predictions = network.predict_proba(task.X_validation)
        loss = -float(np.log(np.maximum(predictions[np.arange(len(y)), y], 1e-12)).mean())
    else:
        predictions = network.predict(task.X_validation).reshape(y.shape)
        loss = float(np.square(predictions - y).mean())
    return loss, float(f"{METRICS[task.metric](predictions, y):.6g}")


_best: Any = None


def _keep(best: Any) -> None:
    global _best
    _best = best


def _search(method: Method, task: Task, clock: Clock, seed: int, place: Path) -> tuple[list[Tried], float]:
    """The work of one process: what it has tried, and the second at which it began."""
    warnings.simplefilter("ignore")
    with threadpool_limits(1), config_context(assume_finite=True):
        record = Record(task, clock, seed, _best)
        with contextlib.suppress(OutOfTime):
            method(record, seed, place)
    return record.tried, record.began


Method = Callable[[Record, int, Path], None]
"""Searches until a record is out of time, with a seed, and the path of a study that processes share."""
