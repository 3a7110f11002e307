"""MLflow while a search goes on: written to by one thread, for which the search never waits.

The search only puts jobs into its queue; candidates are read from the journal when their turn comes.
While the store does not answer, the jobs wait in order, and are done when it is back or, at the latest,
tried once more at the end. `nas sync` does what is then left.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import TrackingError
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking.address import public
from nas.tracking.choice import elites
from nas.tracking.generations import Pace, Paced
from nas.tracking.shown import command
from nas.tracking.store import in_words, probe
from nas.tracking.tracker import Outcome, RunInfo

if TYPE_CHECKING:
    from nas.tracking.mlflow_view import View

_log = logging.getLogger(__name__)

_PAUSE = 10.0
"""Seconds between two tries while the store does not answer."""

_LOOK = 0.05
"""Seconds between two looks at whether the search that waits was interrupted."""

_BUSY = 16
"""Jobs that wait, beyond which the store lags and not everybody has a run of their own."""

_AT_ONCE = 8
"""Calls that are under way together at the end, to a store that is far away."""

_GRACE, _SHARE = 0.3, 0.01
"""Seconds, and a share of the search's time, that may go into runs of candidates who are no elites: once
meanwhile, of processor time, and once more at the end, of waiting."""

_HURRY = 3.0
"""Seconds to wait for the end of a run that was interrupted to be written."""

_ONE = 0.02
"""Seconds that one of them takes at least."""


class MLflowTracker:
    """The tracker that people browse.

    MLflow itself takes seconds to be imported and to make its tables; that happens in the writing thread,
    while the search goes on.

    Parameters
    ----------
    uri, experiment, artifacts
        See `nas.tracking.mlflow_view.View`.
    policy : str
        Which candidates have runs of their own; see `nas.tracking.choice.POLICIES`.
    register : str, optional
        The name of the registered model that the winner becomes the next version of.

    Raises
    ------
    TrackingError
        If it is plain to see, without MLflow, that it could not write to such a store.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifacts: Path | None,
        policy: str = "auto",
        register: str | None = None,
    ) -> None:
        self._address, self.uri = uri, public(uri)
        self._is_sound = probe(uri)
        self._experiment, self._artifacts = experiment, artifacts
        self._policy, self._register = policy, register
        self._elites = elites(policy)
        self._view_or_none: View | None = None
        self._run: RunInfo | None = None
        self._pace = Pace()
        self._told = array("q")
        self._left: list[int] = []
        self._points: deque[Paced] = deque()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._backlog: deque[Callable[[], None]] = deque([self._connect])
        self._paused_until = 0.0
        self._since = self._spent = 0.0
        self._lost = 0
        self._is_over = False
        self._is_hurried = False
        self._warned = False
        self._ready = threading.Event()
        self._refusal: TrackingError | None = None
        self._last: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._work, name="nas-mlflow", daemon=True)
        self._thread.start()

    @property
    def run_id(self) -> str:
        """Of the parent run; empty until the search has started and the store has answered."""
        return self._view_or_none.run_id if self._view_or_none is not None else ""

    @property
    def url(self) -> str:
        """The page of the parent run; empty where there is none yet."""
        return self._view.url if self.run_id else ""

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until it is clear that the store can be used; raises `TrackingError` if it cannot.

        Meanwhile `check` is called, and may raise something else.
        """
        if self._is_sound:
            return
        while not self._ready.wait(_LOOK):
            check()
        if self._refusal is not None:
            raise self._refusal

    def close(self, *, at_once: bool = False) -> None:
        """End the writing thread where a search does not come to its start; `at_once`: wait for nothing."""
        self._jobs.put(None)
        if not at_once:
            self._thread.join()

    def hurry(self) -> None:
        """Write nothing any more but that the run is over: 'nas sync' and 'nas resume' write the rest.

        Nor is anything waited for where MLflow itself is not there yet.
        """
        self._is_hurried = True

    def started(self, run: RunInfo) -> None:
        """Make the parent run, or find that of the search that is resumed."""
        self._run = run
        self._since = time.monotonic()
        self._pace.started(run)
        self._jobs.put(lambda: self._view.start(run))

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Make the candidate's child run, if the policy has one for it."""
        self._told.append(candidate.id)
        number, is_elite = candidate.id, self._elites.add(candidate, evaluation)
        if self._policy in ("auto", "all"):
            self._jobs.put(lambda: self._write_child(number, is_elite))
        elif is_elite:
            self._jobs.put(lambda: self._add_child(number))

    def generation(self, generation: Generation) -> None:
        """Add a point to the parent's curves."""
        self._points.append((generation, self._pace.of(generation)))
        self._jobs.put(self._write_points)

    def won(self, outcome: Outcome) -> None:
        """Begin to write who has won, while the search has other things to do before it is finished."""
        self._is_over = True
        self._jobs.put(self._write_points)
        self._jobs.put(lambda: self._together(self._best_jobs(outcome)))

    def finished(self, outcome: Outcome) -> None:
        """Write what is left, end the parent run, and wait until all is written.

        An interrupt meanwhile is raised once it is written that the search was interrupted.
        """
        if self._is_hurried:
            return self._end_soon(outcome)
        try:
            self._finish(outcome)
        except KeyboardInterrupt:
            self.hurry()
            self._end_soon(Outcome("interrupted"))
            raise

    def _end_soon(self, outcome: Outcome) -> None:
        self._last = partial(self._end_if_started, outcome.status)
        self._jobs.put(self._last)
        self._jobs.put(None)
        if self._view_or_none is not None:
            self._thread.join(_HURRY)

    def _end_if_started(self, status: str) -> None:
        if self.run_id:
            self._view.end(status)

    def _finish(self, outcome: Outcome) -> None:
        self.won(outcome)
        for job in (
            lambda: self._together(self._file_jobs()),
            self._write_those_left,
            lambda: self._view.conclude(outcome, len(self._told)),
            lambda: self._view.end(outcome.status),
        ):
            self._jobs.put(job)
        self.close()
        if self._lost or self._backlog:
            _log.warning(
                "MLflow: %d writes to %s were not done; the journal has everything; to write what is "
                "missing: %s",
                self._lost + len(self._backlog),
                self.uri,
                command("sync", self._info.run_dir),
            )

    def _connect(self) -> None:
        from nas.tracking.mlflow_view import View

        try:
            view = View(self._address, self._experiment, self._artifacts)
            view.connect()
            self._view_or_none = view
        except TrackingError as error:
            self._refusal = error
            raise
        finally:
            self._ready.set()

    def _work(self) -> None:
        if self._is_sound:
            self._work_off()
        else:
            with contextlib.suppress(TrackingError):  # whoever waits gets to know it
                self._connect()
                self._backlog.clear()
        # In a hurry the last comes behind the None that ends the thread otherwise.
        job: Callable[[], None] | None = None
        while job is None or job is not self._last:
            job = self._jobs.get()
            if job is None and self._last is None:
                break
            if job is None:
                continue
            self._backlog.append(job)
            if time.monotonic() >= self._paused_until:
                self._work_off()
        if self._is_sound or self._refusal is None:
            self._work_off()

    def _work_off(self) -> None:
        """Do what waits, in order, until it is done or the store no longer answers."""
        while self._backlog:
            try:
                if not self._is_hurried or self._backlog[0] is self._last:
                    self._backlog[0]()
            except Exception as error:  # noqa: BLE001
                # A store may fail in any way; the search goes on, and the journal has everything.
                if not self._warned:
                    _log.warning("MLflow: %s; the search goes on", in_words(error, self._address))
                    self._warned = True
                if self._view_or_none is None or not self._view.answers():
                    self._paused_until = time.monotonic() + _PAUSE
                    return
                self._lost += 1  # the store is well: it is this write that it refuses
            self._backlog.popleft()

    def _write_points(self) -> None:
        """Add all points that wait, in one go."""
        n = len(self._points)
        self._view.add_generations([self._points[i] for i in range(n)])
        for _ in range(n):
            self._points.popleft()

    def _write_child(self, number: int, is_elite: bool) -> None:
        """Make a child run, unless it would cost the search too much, or others wait."""
        lags = self._is_over or len(self._backlog) + self._jobs.qsize() > _BUSY
        if self._policy == "all" or not (lags or (not is_elite and self._spent > self._allowance)):
            self._add_child(number)
        elif not self._view.has(number):
            self._left.append(number)

    @property
    def _allowance(self) -> float:
        return _GRACE + _SHARE * (time.monotonic() - self._since)

    def _add_child(self, number: int) -> None:
        # Of a store that is far away, waiting costs the search nothing.
        before = time.thread_time()
        self._view.add_child(*self._pair(number))
        self._spent += time.thread_time() - before

    def _best_jobs(self, outcome: Outcome) -> list[Callable[[], None]]:
        """The model, and runs of the best, each only if it is not there yet; in no particular order."""
        jobs: list[Callable[[], None]] = []
        wanted = dict.fromkeys(self._elites.ids)
        if (best := outcome.best) is not None:
            wanted[best.id] = None
            if (place := outcome.model_dir) is not None:
                jobs.append(
                    lambda: self._view.add_model(place, outcome.example, str(best.id), self._register)
                )
        return jobs + [partial(self._add_child, number) for number in wanted]

    def _file_jobs(self) -> list[Callable[[], None]]:
        """Files of the run's folder, and the table of all candidates; in no particular order."""
        files: list[Callable[[], None]] = [partial(self._view.add_file, file) for file in self._view.files()]
        return [*files, lambda: self._view.add_table(map(self._pair, self._told))]

    def _together(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Do some jobs, side by side where the store is far away; raises the first of their errors."""
        with ThreadPoolExecutor(_AT_ONCE if self._view.is_far else 1) as pool:
            for future in [pool.submit(job) for job in jobs]:
                future.result()

    def _write_those_left(self) -> None:
        """The others, where all of them take no time to speak of; a few of many would be of no use."""
        until = time.monotonic() + self._allowance
        if len(self._left) * _ONE > self._allowance * (_AT_ONCE if self._view.is_far else 1):
            return
        while self._left and time.monotonic() < until:
            self._together([partial(self._add_child, number) for number in self._left[:_AT_ONCE]])
            del self._left[:_AT_ONCE]

    def _pair(self, number: int) -> tuple[Candidate, Evaluation]:
        assert self._info.pair is not None, "a search says where they are"
        return self._info.pair(number)

    @property
    def _view(self) -> View:
        assert self._view_or_none is not None, "connecting comes first"
        return self._view_or_none

    @property
    def _info(self) -> RunInfo:
        assert self._run is not None, "started comes first"
        return self._run
