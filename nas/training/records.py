"""The course of a network's training: its curves, its best epoch, and its result."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nas.network.state import State


class TrainingStop(StrEnum):
    """The reasons of a training's end."""

    EPOCHS = "epochs"
    PATIENCE = "patience"
    TIME = "time"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training; the curves hold one number for each finished epoch.

    Attributes
    ----------
    stopped : TrainingStop
    best_epoch : int
        The epoch, from 1, of the weights that the network now has; 0 if none was finished. Epochs before the
        state from which training continued count too.
    train_loss, validation_loss, validation_score : tuple of float
        The mean loss over the epoch's steps, of smoothed labels where training smooths them; loss and score
        on the validation rows after it.
    error : str, optional
        The quantity that diverged, and the epoch.
    best : State, optional
        The state of the weights that the network now has, if states are kept.
    last : State, optional
        The state to continue from, if training ended by "epochs" and states are kept.
    """

    stopped: TrainingStop
    best_epoch: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...] = ()
    validation_score: tuple[float, ...] = ()
    error: str | None = None
    best: State | None = field(default=None, repr=False, compare=False)
    last: State | None = field(default=None, repr=False, compare=False)


class Record:
    """The curves of a network since its start or its first state.

    Attributes
    ----------
    epochs : int
        Finished epochs, those before the first state included.
    improved : int
        The last epoch in which the validation score or loss was the best so far.
    best : State, optional
        The state of the best epoch, if states are kept.
    error : str, optional
        See `TrainingResult`.
    """

    def __init__(self, start: State | None) -> None:
        self._train: list[float] = []
        self._losses: list[float] = []
        self._scores: list[float] = []
        self.epochs = 0 if start is None else start.epochs
        self.best = (start.best or start) if start is not None and start.epochs else None
        self.best_epoch = 0 if self.best is None else self.best.epochs
        # Patience and the best epoch count from the whole training, not from the state on.
        self._least = (math.inf, 0) if start is None or start.least is None else start.least
        self._best = _quality(None, None) if self.best is None else _quality(self.best.score, self.best.loss)
        self.error: str | None = None

    def add_training(self, epoch: int, train_loss: float, *, finite: bool) -> None:
        """Record an epoch without validation rows; sets `error` if it diverged."""
        if not math.isfinite(train_loss):
            self.error = f"the training loss became {train_loss} in epoch {epoch}"
        elif not finite:
            # Losses are taken before each step: in them, an overflow of the last step leaves no trace.
            self.error = f"the weights became infinite or NaN in epoch {epoch}"
        else:
            self._train.append(train_loss)
            self.epochs = self.best_epoch = epoch

    def add(self, epoch: int, train_loss: float, loss: float, score: float | None) -> bool:
        """Record an epoch; returns whether it is the best so far, and sets `error` if it diverged."""
        for name, value in (("training", train_loss), ("validation", loss)):
            if not math.isfinite(value):
                self.error = f"the {name} loss became {value} in epoch {epoch}"
                return False
        self._train.append(train_loss)
        self._losses.append(loss)
        self.epochs = epoch
        if score is not None:
            self._scores.append(score)
        # Patience looks at the loss too: an accuracy on few rows often stays equal while the network learns.
        self._least = min(self._least, (loss, epoch))
        quality = _quality(score, loss)
        if quality <= self._best:
            return False
        self._best, self.best_epoch = quality, epoch
        return True

    @property
    def improved(self) -> int:
        """The last epoch in which the validation score or loss was the best so far."""
        return max(self.best_epoch, self._least[1])

    def stamp(self, state: State) -> State:
        """A state after these epochs, with its loss and score."""
        score = self._scores[-1] if self._scores else None
        return replace(state, loss=self._losses[-1] if self._losses else None, score=score, least=self._least)

    def result(self, stopped: TrainingStop) -> TrainingResult:
        """The curves as a result, without states."""
        curves = (tuple(self._train), tuple(self._losses), tuple(self._scores))
        return TrainingResult(stopped, self.best_epoch, *curves, self.error)


def _quality(score: float | None, loss: float | None) -> tuple[float, float]:
    """The order of epochs: by score if there is one, then by loss."""
    comparable = score if score is not None and math.isfinite(score) else -math.inf
    return comparable, -math.inf if loss is None else -loss
