"""The deadline of a command, and the plan of what it does until then.

A time budget counts from the start of the command to its last line. So a search has to end before that: the
finalists are scored again, the winner is trained, reports are written. `Plan` estimates from what it has
observed how long that takes at the current speed, and holds the moments at which each phase has to end. It
decides nothing about candidates: a shorter search is cut off earlier, and is a prefix of a longer one.

Everything here is arithmetic over a clock that is passed in.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

Clock = Callable[[], float]

_REFIT_COST = 3.0
"""Seconds of an epoch of the final training for each second that an epoch of a candidate took.

A fifth more rows, twice the steps, and no cohort to share the work of a step with; until it is measured."""

_REFIT_SHARE, _SELECTION_SHARE = 0.25, 0.2
"""Shares of the budget that the final training and the finalists may take at most."""

_SELECTION_PART = 0.8
"""Part of the finalists' estimated time that is planned: their scoring can end after any fold, so that an
estimate that was too high leaves no time unused."""

_SCORING_MARGIN = 2.0
"""Of the number of finalists: all folds of a finalist train at once, and half of a training is nothing."""

_REFIT_MARGIN = 1.1
"""The final training cannot be cut short without losing it."""

RECENT = 24
"""Evaluations that show the current speed."""

_EXIT_SECONDS = 0.5
"""What the interpreter needs to exit."""

_CALIBRATION_SHARE = 0.08
"""Share of the budget that the trainings for held-out rows may take at most: an interval of an answer is
worth less than the answer."""

_CONCLUSION_SHARE = 0.12
"""Share of the budget that everything after the final training may take at most."""

_SHORT_TRAINING = 0.15
"""Share of the budget that is kept for one short training while no candidate has been evaluated."""


@dataclass(frozen=True)
class Deadline:
    """The moment at which a command has to be done.

    Attributes
    ----------
    seconds : float, optional
        The budget; None: no limit.
    since : float
        When the command started, on the clock.
    clock : callable
        Monotonic seconds, the same for all processes of this machine.
    """

    seconds: float | None = None
    since: float = 0.0
    clock: Clock = field(default=time.monotonic, repr=False, compare=False)

    @property
    def end(self) -> float:
        """The moment on the clock; infinity without a limit."""
        return math.inf if self.seconds is None else self.since + self.seconds

    def left(self) -> float:
        """Seconds until the deadline, negative afterwards; infinity without a limit."""
        return self.end - self.clock()

    def elapsed(self) -> float:
        """Seconds since the command started."""
        return self.clock() - self.since


@dataclass(frozen=True)
class LastWork:
    """What a search does after its last candidate.

    Attributes
    ----------
    n_scorings : int
        Trainings of finalists and references.
    n_fewest_scorings : int
        With fewer, finalists are not scored at all.
    n_refits : int
        Final trainings, one after the other; 0 where the search's weights are kept.
    n_members : int
        Networks of a final training.
    n_held_out : int
        Networks that are trained as the winner for rows that they do not see, at least; see
        `nas.run.out_of_fold`.
    n_workers : int
        Trainings of finalists at once.
    n_pieces : float
        Everything else, in pieces as `nas.run.speed.piece_of_work`: test scores, report, tracking.
    """

    n_scorings: int = 0
    n_fewest_scorings: int = 0
    n_refits: int = 0
    n_members: int = 1
    n_held_out: int = 0
    n_workers: int = 1
    n_pieces: float = 0.0


class Plan:
    """When each phase of a search has to end.

    Parameters
    ----------
    deadline : Deadline
    last_work : LastWork

    Attributes
    ----------
    deadline : Deadline
    last_work : LastWork
    n_workers : int
        Trainings at once at present.
    seconds_per_epoch : float
        Of a candidate, at the current speed; 0 while none has been observed. A training asks at each step how
        long it may go on, so that this is computed once for each evaluation.
    """

    def __init__(self, deadline: Deadline, last_work: LastWork = LastWork()) -> None:
        self.deadline = deadline
        self.last_work = last_work
        self.n_workers = last_work.n_workers
        self.seconds_per_epoch = 0.0
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT)
        self._scoring_epochs = 0
        self._refit_epochs = 0
        self._refit_pace: float | None = None
        self._piece = 0.0

    def observe(self, seconds: float, n_epochs: int) -> None:
        """Take in an evaluation: its seconds, and its epochs over all folds."""
        if n_epochs and seconds > 0:
            self._recent.append((seconds, n_epochs))
            epochs = sum(n for _, n in self._recent)
            self.seconds_per_epoch = sum(seconds for seconds, _ in self._recent) / epochs

    def expect_scoring(self, n_epochs: int) -> None:
        """Take in how many epochs over all folds the training of a finalist would take."""
        self._scoring_epochs = n_epochs

    def expect_refit(self, n_epochs: int) -> None:
        """Take in how many epochs the final training of the best candidate so far would take."""
        self._refit_epochs = n_epochs

    def measured_refit(self, seconds_per_epoch: float) -> None:
        """Take in the measured time of an epoch of the final training."""
        self._refit_pace = seconds_per_epoch

    def measured_speed(self, seconds: float) -> None:
        """Take in the present seconds of a piece of work."""
        self._piece = seconds

    @property
    def refit_seconds_per_epoch(self) -> float:
        """Of the final training: as measured, otherwise estimated."""
        if self._refit_pace is not None:
            return self._refit_pace
        return _REFIT_COST * self.last_work.n_members * self.seconds_per_epoch

    @property
    def scoring_seconds(self) -> float:
        """The estimated time of one training of a finalist."""
        return self._scoring_epochs * self.seconds_per_epoch

    @property
    def selection_seconds(self) -> float:
        """The estimated time of scoring all finalists."""
        work = self.last_work
        return work.n_scorings * self.scoring_seconds / max(1, self.n_workers)

    @property
    def refit_seconds(self) -> float:
        """The estimated time of the final training."""
        return self.last_work.n_refits * self._refit_epochs * self.refit_seconds_per_epoch

    @property
    def calibration_seconds(self) -> float:
        """The estimated time of the trainings for held-out rows, in one cohort as the final training."""
        work = self.last_work
        networks = work.n_held_out / max(1, work.n_members)
        return networks * self._refit_epochs * self.refit_seconds_per_epoch

    @property
    def conclude_by(self) -> float:
        """The moment at which nothing has to be trained any more."""
        return self.deadline.end - self._at_most(_CONCLUSION_SHARE, self.conclusion_seconds + _EXIT_SECONDS)

    @property
    def give_up_at(self) -> float:
        """The moment from which on nothing but MLflow is waited for any more, at the cost of the report."""
        return self.deadline.end - self._at_most(_CONCLUSION_SHARE, 4 * _EXIT_SECONDS)

    @property
    def refit_by(self) -> float:
        """The moment at which the final training has to be done."""
        seconds = _REFIT_MARGIN * self.calibration_seconds
        return self.conclude_by - self._at_most(_CALIBRATION_SHARE, seconds)

    @property
    def select_by(self) -> float:
        """The moment at which the finalists have to be scored."""
        return self.refit_by - self._at_most(_REFIT_SHARE, _REFIT_MARGIN * self.refit_seconds)

    @property
    def search_until(self) -> float:
        """The moment at which the last candidate has to be evaluated."""
        seconds = self._at_most(_SELECTION_SHARE, _SELECTION_PART * self.selection_seconds)
        work = self.last_work
        fewest = _SCORING_MARGIN * work.n_fewest_scorings * self.scoring_seconds / max(1, self.n_workers)
        return self.select_by - (seconds if seconds >= fewest else 0.0)

    @property
    def search_until_first(self) -> float:
        """The moment at which a search without any candidate has to go on with a short training."""
        return self.conclude_by - self._at_most(_SHORT_TRAINING, math.inf)

    def search_seconds_left(self) -> float:
        """Seconds until the last candidate has to be evaluated."""
        return self.search_until - self.deadline.clock()

    @property
    def conclusion_seconds(self) -> float:
        """The estimated time of everything after the final training; 0 where that is unknown."""
        return self.last_work.n_pieces * self._piece

    def is_late(self, moment: float) -> bool:
        """Whether a moment has passed."""
        return self.deadline.clock() >= moment

    def affordable_epochs(self, n_epochs: int) -> int:
        """The epochs of each final training that there is time for; 0 if too few for a good network."""
        if self.deadline.seconds is None or not self.last_work.n_refits:
            return n_epochs
        left = (self.refit_by - self.deadline.clock()) / self.last_work.n_refits
        pace = self.refit_seconds_per_epoch
        affordable = n_epochs if pace * n_epochs <= left else int(left / (pace * _REFIT_MARGIN))
        return min(n_epochs, affordable) if affordable >= n_epochs / 2 else 0

    def affordable_scorings(self) -> float:
        """The trainings of finalists that there is time for; infinity without a limit."""
        if self.deadline.seconds is None:
            return math.inf
        if not self.scoring_seconds:
            return 0.0
        left = self.select_by - self.deadline.clock()
        seconds = _SCORING_MARGIN * self.scoring_seconds / max(1, self.n_workers)
        return max(0.0, left) / seconds

    def _at_most(self, share: float, seconds: float) -> float:
        return min(share * (self.deadline.seconds or 0.0), seconds)


_start: ContextVar[float | None] = ContextVar("start of the command", default=None)


@contextmanager
def counting_from(moment: float) -> Iterator[None]:
    """Within this context, time budgets count from a moment on the monotonic clock."""
    token = _start.set(moment)
    try:
        yield
    finally:
        _start.reset(token)


def countdown(seconds: float, clock: Clock = time.monotonic) -> Callable[[], float]:
    """The seconds that are left of an estimate, from now on; NaN without one, or once none is left."""
    end = clock() + seconds

    def left() -> float:
        return end - clock() if seconds > 0 and clock() < end else math.nan

    return left


def command_start() -> float:
    """The moment that budgets count from: now, unless the caller has set another by `counting_from`."""
    start = _start.get()
    return time.monotonic() if start is None else start
