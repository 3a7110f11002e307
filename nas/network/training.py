"""Training one network: mini-batches, early stopping, budgets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.network.arrays import Array, Floats
from nas.network.denormals import flush_to_zero
from nas.network.mlp import MLP, Gradient, Workspace
from nas.network.optimizers import OPTIMIZERS, Optimizer
from nas.network.schedules import SCHEDULES, rate_factor

Stop = Literal["epochs", "patience", "time", "interrupted", "diverged"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        Passes over the training rows, at most; schedules run over all of them.
    batch_size : int
        Rows a step; the last step of an epoch takes what is left.
    optimizer : str
        See `nas.network.OPTIMIZERS`.
    learning_rate, momentum : float
        `momentum` counts for the optimizers "momentum" and "nesterov".
    schedule : str
        See `nas.network.SCHEDULES`.
    warmup : float
        The share of all steps over which the rate rises from 0 to its full height.
    weight_decay : float
        Adds weight_decay / 2 · ‖weights‖² to the loss; for adamw it shrinks the weights instead.
    dropout : float
        The share of hidden units that each step drops.
    clip_norm : float, optional
        The greatest norm of a gradient; longer ones are scaled down to it.
    patience : int, optional
        Epochs without a better validation loss after which training stops; None: never.
    time_limit : float, optional
        Seconds after which training stops, wherever in an epoch it is.
    """

    epochs: int = 100
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.9
    schedule: str = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0
    dropout: float = 0.0
    clip_norm: float | None = None
    patience: int | None = 10
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for name, table in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in table:
                raise ValueError(f"{name}: expected one of {', '.join(table)}, got {getattr(self, name)!r}")
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            kinds, noun = (int, "whole number") if name in _WHOLE else ((int, float), "number")
            if not isinstance(value, kinds) or not low <= value <= high:
                raise ValueError(f"{name}: expected a {noun} from {low:g} to {high:g}, got {value!r}")


_BOUNDS = (
    ("epochs", 1, math.inf),
    ("batch_size", 1, math.inf),
    ("learning_rate", 1e-12, 1e3),
    ("momentum", 0, 0.9999),
    ("warmup", 0, 1),
    ("weight_decay", 0, 1e3),
    ("dropout", 0, 0.99),
    ("clip_norm", 1e-12, math.inf),
    ("patience", 1, math.inf),
    ("time_limit", 0, math.inf),
)
_OPTIONAL = ("clip_norm", "patience", "time_limit")
_WHOLE = ("epochs", "batch_size", "patience")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What became of a training; the curves hold one number for each finished epoch.

    Attributes
    ----------
    stopped : str
        Why it ended: "epochs", "patience", "time", "interrupted" or "diverged".
    best_epoch : int
        The epoch, from 1, whose weights the network now has; 0 if none was finished.
    train_loss, validation_loss, validation_score : tuple of float
        The mean loss over the epoch's steps; loss and score on the validation rows after it.
    error : str, optional
        What diverged, and in which epoch.
    """

    stopped: Stop
    best_epoch: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...] = ()
    validation_score: tuple[float, ...] = ()
    error: str | None = None


Score = Callable[[Floats, Array], float]


def train(
    network: MLP,
    X: Floats,
    y: Array,
    config: TrainingConfig,
    *,
    validation: tuple[Floats, Array] | None = None,
    score: Score | None = None,
    sample_weight: Floats | None = None,
    class_weight: Sequence[float] | None = None,
    batch_seed: int = 0,
    rng: np.random.Generator | None = None,
    stop_after: int | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Train a network in place by mini-batch gradient descent.

    The order of the rows follows from `batch_seed` and the epoch alone, so that different networks
    see the same batches. With validation rows the network ends with the weights of the epoch whose
    validation loss was lowest, otherwise with those of the last one.

    Parameters
    ----------
    network : MLP
    X : float array of shape (rows, inputs)
    y : array of shape (rows,) or (rows, outputs), as the network's loss asks for
    config : TrainingConfig
    validation : (X, y), optional
        Rows that decide about early stopping.
    score : callable, optional
        ``score(predictions, y)``, recorded for the validation rows after each epoch.
    sample_weight : array of shape (rows,), optional
    class_weight : sequence of float, optional
        One factor for each class. The products of both weights are scaled to 1 on average.
    rng : numpy.random.Generator, optional
        Draws the dropout masks.
    stop_after : int, optional
        Epochs to train if fewer than ``config.epochs``, on the same schedule.
    should_stop : callable, optional
        Asked after every batch whether to end at once.

    Raises
    ------
    ValueError
        Before the first step, if shapes do not fit, numbers are not finite, or classes are unknown.
    """
    _check_rows(network, X, y, "training")
    if validation is not None:
        _check_rows(network, *validation, "validation")
    if stop_after is not None and stop_after < 1:
        raise ValueError(f"stop_after: expected at least 1 epoch, or None, got {stop_after}")
    weights = _row_weights(network, y, sample_weight, class_weight)
    steps = _Steps(network, X, y, weights, config, batch_seed, rng or np.random.default_rng(batch_seed))
    watch = _Watch(config.time_limit, should_stop)
    record = _Record(network, validation, score)
    # Divergence is looked for once an epoch, and reported.
    with np.errstate(all="ignore"), flush_to_zero():
        for epoch in range(1, min(config.epochs, stop_after or config.epochs) + 1):
            loss = steps.run_epoch(epoch, watch)
            if watch.stopped:
                return record.result(watch.stopped)
            record.add(epoch, loss)
            if record.error:
                return record.result("diverged")
            if validation and config.patience and epoch - record.best_epoch >= config.patience:
                return record.result("patience")
    return record.result("epochs")


class _Watch:
    """Says whether training has to end in the middle of an epoch, and why."""

    def __init__(self, time_limit: float | None, should_stop: Callable[[], bool] | None) -> None:
        self._deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
        self._should_stop = should_stop
        self.stopped: Stop | None = None

    def look(self) -> bool:
        if time.perf_counter() > self._deadline:
            self.stopped = "time"
        elif self._should_stop is not None and self._should_stop():
            self.stopped = "interrupted"
        return self.stopped is not None


class _Steps:
    """Runs the optimizer's steps of one epoch after the other, without allocating."""

    def __init__(
        self,
        network: MLP,
        X: Floats,
        y: Array,
        weights: Floats | None,
        config: TrainingConfig,
        batch_seed: int,
        rng: np.random.Generator,
    ) -> None:
        self._network, self._y, self._weights = network, y, weights
        # Taking batches from rows of another type goes through copies, or is refused.
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is found as divergence
            self._X = X.astype(network.parameters.dtype, copy=False)
        self._config, self._batch_seed, self._rng = config, batch_seed, rng
        self._size = min(config.batch_size, len(X))
        self._per_epoch = math.ceil(len(X) / self._size)
        self._gradient = Gradient(network)
        self._optimizer: Optimizer = OPTIMIZERS[config.optimizer](
            network.parameters, self._gradient.flat, config.momentum
        )
        rest = len(X) % self._size
        self._batches = {
            rows: (np.empty((rows, X.shape[1]), network.parameters.dtype), self._workspace(rows))
            for rows in {self._size, rest} - {0}
        }

    def _workspace(self, rows: int) -> Workspace:
        return Workspace(self._network, rows, dropout=self._config.dropout)

    def run_epoch(self, epoch: int, watch: _Watch) -> float:
        """Train on every row once; returns the mean loss over rows, before each batch's step."""
        order = np.random.default_rng([self._batch_seed, epoch]).permutation(len(self._X))
        total = 0.0
        for step in range(self._per_epoch):
            rows = order[step * self._size : (step + 1) * self._size]
            total += self._step(rows, (epoch - 1) * self._per_epoch + step)
            if watch.look():
                break
        return total / len(self._X)

    def _step(self, rows: Array, step: int) -> float:
        batch, space = self._batches[len(rows)]
        # mode="clip" writes straight into `out`, where the default goes through a copy.
        self._X.take(rows, 0, batch, "clip")
        weights = None if self._weights is None else self._weights[rows]
        if self._config.dropout:
            space.draw_masks(self._rng)
        losses = self._network.backpropagate(batch, self._y[rows], space, self._gradient, weights)
        self._descend(step)
        return float(np.add.reduce(losses))

    def _descend(self, step: int) -> None:
        """Clip, decay, and let the optimizer step."""
        config, gradient = self._config, self._gradient.flat
        total = self._per_epoch * config.epochs
        rate = config.learning_rate * rate_factor(config.schedule, step, total, config.warmup)
        weights = self._network.parameters[: self._network.n_weights]
        if config.weight_decay and not self._optimizer.decoupled_decay:
            gradient[: self._network.n_weights] += config.weight_decay * weights
        if config.clip_norm is not None:
            norm = math.sqrt(gradient.dot(gradient))
            if norm > config.clip_norm:
                gradient *= config.clip_norm / norm
        if config.weight_decay and self._optimizer.decoupled_decay:
            weights *= 1 - rate * config.weight_decay
        self._optimizer.step(rate)


class _Record:
    """The curves so far, and the best weights."""

    def __init__(self, network: MLP, validation: tuple[Floats, Array] | None, score: Score | None) -> None:
        self._network, self._validation, self._score = network, validation, score
        self._train: list[float] = []
        self._losses: list[float] = []
        self._scores: list[float] = []
        self._best_loss = math.inf
        self._best = network.parameters.copy() if validation is not None else None
        self.best_epoch = 0
        self.error: str | None = None

    def add(self, epoch: int, train_loss: float) -> None:
        """Take down a finished epoch; `error` is set if it diverged."""
        if not math.isfinite(train_loss):
            self.error = f"the training loss became {train_loss} in epoch {epoch}"
            return
        if self._validation is None:
            # No loss is taken after the last step; it may be the one that overflowed.
            if not np.isfinite(self._network.parameters).all():
                self.error = f"the weights became infinite or NaN in epoch {epoch}"
                return
            self._train.append(train_loss)
            self.best_epoch = epoch
            return
        X, y = self._validation
        predictions = self._network.predict(X)
        loss = float(self._network.loss.per_row(predictions, y).mean(dtype=np.float64))
        if not math.isfinite(loss):
            self.error = f"the validation loss became {loss} in epoch {epoch}"
            return
        self._train.append(train_loss)
        self._losses.append(loss)
        if self._score is not None:
            self._scores.append(self._score(predictions, y))
        if loss < self._best_loss:
            self._best_loss, self.best_epoch = loss, epoch
            np.copyto(self._best, self._network.parameters)  # type: ignore[arg-type]

    def result(self, stopped: Stop) -> TrainingResult:
        """The curves, after the best weights have been restored."""
        if self._best is not None:
            np.copyto(self._network.parameters, self._best)
        return TrainingResult(
            stopped,
            self.best_epoch,
            tuple(self._train),
            tuple(self._losses),
            tuple(self._scores),
            self.error,
        )


def _row_weights(
    network: MLP, y: Array, sample_weight: Floats | None, class_weight: Sequence[float] | None
) -> Floats | None:
    """Sample weights times class weights, scaled to 1 on average; None if neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(len(y)) if sample_weight is None else np.array(sample_weight, float)
    if weights.shape != (len(y),):
        raise ValueError(f"sample_weight: expected shape ({len(y)},), got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"sample_weight: expected finite numbers >= 0, got {_first_bad(weights):g}")
    if class_weight is not None:
        weights = weights * _weights_of_classes(network, y, class_weight)
    if not weights.any():
        raise ValueError("sample_weight, class_weight: expected a row with a weight above 0, got none")
    result: Floats = (weights / weights.mean()).astype(network.parameters.dtype)
    return result


def _first_bad(weights: Floats) -> float:
    return float(weights[~(np.isfinite(weights) & (weights >= 0))][0])


def _weights_of_classes(network: MLP, y: Array, class_weight: Sequence[float]) -> Floats:
    if network.loss.has_class_targets:
        classes, n_classes = y, network.sizes[-1]
    elif network.loss.name == "binary_cross_entropy" and network.sizes[-1] == 1:
        classes, n_classes = y[:, 0].astype(int), 2
    else:
        raise ValueError(f"class_weight: expected a loss over classes, got {network.loss.name}")
    factors: Floats = np.asarray(class_weight, float)
    if factors.shape != (n_classes,) or not np.isfinite(factors).all() or (factors < 0).any():
        raise ValueError(f"class_weight: expected {n_classes} finite numbers >= 0, got {class_weight!r}")
    return factors[classes]


def _check_rows(network: MLP, X: Floats, y: Array, part: str) -> None:
    """Raise `ValueError` unless the rows are what the network can be trained on."""
    if X.ndim != 2 or len(X) == 0 or X.shape[1] != network.sizes[0]:
        raise ValueError(f"{part} X: expected shape (rows, {network.sizes[0]}), got {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError(f"{part} X: expected finite numbers, got NaN or infinity")
    n_outputs = network.sizes[-1]
    if network.loss.has_class_targets:
        if y.shape != (len(X),) or y.dtype.kind not in "iu":
            raise ValueError(f"{part} y: expected {len(X)} class numbers, got {y.dtype} {y.shape}")
        if y.min() < 0 or y.max() >= n_outputs:
            raise ValueError(f"{part} y: expected classes 0 to {n_outputs - 1}, got {y.min()} to {y.max()}")
        return
    if y.shape != (len(X), n_outputs):
        raise ValueError(f"{part} y: expected shape {(len(X), n_outputs)}, got {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError(f"{part} y: expected finite numbers, got NaN or infinity")
    if network.loss.output == "sigmoid" and not np.isin(y, (0, 1)).all():
        raise ValueError(f"{part} y: expected 0 and 1, got values from {y.min():g} to {y.max():g}")
