"""Which candidates get an MLflow run of their own while a search goes on, and when it is written."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from nas.evaluation import Candidate, Evaluation
from nas.tracking.choice import TrackPolicy, elites
from nas.tracking.journal import Pair
from nas.tracking.tracker import RunInfo
from nas.tracking.writer import Job, run_concurrently

if TYPE_CHECKING:
    from nas.tracking.mlflow_view import View

_BUSY = 16
"""Waiting jobs beyond which the store lags behind the search: only elites are written then."""

_GRACE, _SHARE = 0.3, 0.01
"""Seconds, and a share of the search's time, that runs of candidates outside the elites may cost.

It is spent twice: as processor time during the search, and as waiting time after it. A small search is
written completely; a large one is slowed down by 1 %, which its budget does not show.
"""

_SECONDS_PER_CHILD = 0.02
"""Least time that one child run takes, measured with SQLite on a fast disk."""


class Allowance:
    """The time that child runs of candidates outside the elites may cost a search."""

    def __init__(self) -> None:
        self._since = self._spent = 0.0

    def start(self) -> None:
        """Start to count the search's time."""
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        """The whole allowance up to now."""
        return _GRACE + _SHARE * (time.monotonic() - self._since)

    @property
    def is_spent(self) -> bool:
        """Whether measured work has used the allowance up."""
        return self._spent > self.seconds

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count the processor time of this thread: waiting for a remote store costs the search nothing."""
        before = time.thread_time()
        yield
        self._spent += time.thread_time() - before


class CandidateRuns:
    """The child runs of a search.

    Parameters
    ----------
    policy : str
        A `TrackPolicy` or its text.
    n_waiting : callable
        Returns the number of jobs that wait for the store.

    Attributes
    ----------
    n_evaluated : int
        Number of candidates that were evaluated.
    """

    def __init__(self, policy: str, n_waiting: Callable[[], int]) -> None:
        self._policy, self._n_waiting = TrackPolicy(policy), n_waiting
        self._elites = elites(policy)
        self._allowance = Allowance()
        self._ids = array("q")
        self._postponed: list[int] = []
        self._is_over = False
        self._run: RunInfo | None = None

    def started(self, run: RunInfo) -> None:
        """Receive the search before its first candidate."""
        self._run = run
        self._allowance.start()

    def ended(self) -> None:
        """Postpone all further child runs: the search waits for the writing from now on."""
        self._is_over = True

    @property
    def n_evaluated(self) -> int:
        """Number of candidates that were evaluated."""
        return len(self._ids)

    def job_for(self, candidate: Candidate, evaluation: Evaluation) -> Job[View] | None:
        """Receive an evaluated candidate, and return the job that writes its run, if it may get one."""
        number = candidate.id
        self._ids.append(number)
        is_elite = self._elites.add(candidate, evaluation)
        if self._policy in (TrackPolicy.AUTO, TrackPolicy.ALL):
            return lambda view: self._write(view, number, is_elite)
        return partial(self._add, number=number) if is_elite else None

    def jobs_for_best(self, winner: Candidate | None) -> list[Job[View]]:
        """Return the jobs that write the runs of the elites and of the winner, where they are missing."""
        numbers = dict.fromkeys([*self._elites.ids, *([] if winner is None else [winner.id])])
        return [partial(self._add, number=number) for number in numbers]

    def write_postponed(self, view: View) -> None:
        """Write all postponed runs, if that is quick; a few of many would be of no use."""
        seconds = self._allowance.seconds
        if len(self._postponed) * _SECONDS_PER_CHILD > seconds * view.n_concurrent:
            return
        deadline = time.monotonic() + seconds
        while self._postponed and time.monotonic() < deadline:
            batch = self._postponed[: view.n_concurrent]
            run_concurrently(view, [partial(self._add, number=number) for number in batch], view.n_concurrent)
            del self._postponed[: view.n_concurrent]

    def pairs(self) -> Iterator[Pair]:
        """Yield all candidates with their evaluations, read from the journal."""
        return map(self._pair, self._ids)

    def _write(self, view: View, number: int, is_elite: bool) -> None:
        """Write a child run, or postpone it where that costs the search too much or the store lags."""
        lags = self._is_over or self._n_waiting() > _BUSY
        exceeds = not is_elite and self._allowance.is_spent
        if self._policy == TrackPolicy.ALL or not (lags or exceeds):
            self._add(view, number)
        elif not view.has(number):
            self._postponed.append(number)

    def _add(self, view: View, number: int) -> None:
        """Write a child run within the measured time."""
        with self._allowance.measured():
            view.add_child(*self._pair(number))

    def _pair(self, number: int) -> Pair:
        """Read a candidate and its evaluation from the journal."""
        assert self._run is not None, "started comes first"
        assert self._run.pair is not None, "a search gives access to its journal"
        return self._run.pair(number)
