"""A thread that writes to a store which may be slow, or not answer for a while; callers never wait for it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from nas.errors import TrackingError

_RETRY_PAUSE = 10.0
"""Seconds between two attempts while the store does not answer: a restart of a server takes about as long."""

_POLL = 0.05
"""Seconds between two calls of the check that may interrupt waiting: less than a person notices."""

_log = logging.getLogger(__name__)


class Store(Protocol):
    """The part of a store's interface that a `Writer` calls itself."""

    def answers(self) -> bool:
        """Return whether the store answers."""


S = TypeVar("S", bound=Store)
Job = Callable[[S], object]


class Writer(Generic[S]):
    """Runs jobs in order in a thread of its own, once it has connected to a store.

    While the store does not answer, jobs wait in order; they are tried again with the next job that comes
    after a pause, and at the end. A job that fails although the store answers is dropped and counted.

    Parameters
    ----------
    connect : callable
        Connects and returns the store; called in the thread.
    describe : callable
        Turns an exception into a sentence for the log.
    is_checked : bool
        Whether the store is known to accept writes. Otherwise `connect` is tried once, and its
        `TrackingError` raised by `wait_until_ready`.

    Attributes
    ----------
    store : the store or None
        None until it is connected.
    is_skipping : bool
        Whether `skip_jobs` was called.
    """

    def __init__(
        self, connect: Callable[[], S], describe: Callable[[BaseException], str], *, is_checked: bool
    ) -> None:
        self.store: S | None = None
        self._connect_store, self._describe, self._is_checked = connect, describe, is_checked
        # None ends the thread.
        self._queue: queue.SimpleQueue[Job[S] | None] = queue.SimpleQueue()
        self._backlog: deque[Job[S]] = deque()
        self._paused_until = 0.0
        self._n_dropped = 0
        self._has_warned = False
        self.is_skipping = False
        self._last: Job[S] | None = None
        self._is_ready = threading.Event()
        self._refusal: TrackingError | None = None
        # Not `Thread.join`: interrupted, that of Python 3.11 releases the lock that the running thread holds,
        # and takes the thread for ended.
        self._has_ended = threading.Event()
        threading.Thread(target=self._run, name="nas-mlflow", daemon=True).start()

    @property
    def n_failed(self) -> int:
        """Number of jobs that were dropped, or still wait for the store."""
        return self._n_dropped + len(self._backlog)

    def put(self, job: Job[S]) -> None:
        """Append a job, which is called with the store."""
        self._queue.put(job)

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until it is clear that the store accepts writes; raises `TrackingError` if it does not.

        Meanwhile `check` is called several times a second, and may raise any exception.
        """
        if self._is_checked:
            return
        while not self._is_ready.wait(_POLL):
            check()
        if self._refusal is not None:
            raise self._refusal

    def close(self, give_up: Callable[[], bool] = lambda: False) -> bool:
        """End the thread after the jobs that wait, and return whether it ended before `give_up()`."""
        self._queue.put(None)
        while not self._has_ended.wait(_POLL) and not give_up():
            pass
        return self._has_ended.is_set()

    def skip_jobs(self) -> None:
        """Skip all jobs from now on but that of `close_with`."""
        self.is_skipping = True

    def close_with(self, job: Job[S], patience: float) -> None:
        """Skip all waiting jobs, run this one as the last, and wait up to `patience` seconds for it.

        If the store is not connected yet, nothing is waited for.
        """
        # In this order: once jobs are skipped, the thread may come to the end of an earlier `close` at once,
        # and only goes on if it finds the last job.
        self._last = job
        self.skip_jobs()
        self._queue.put(job)
        self._queue.put(None)
        if self.store is not None:
            self._has_ended.wait(patience)

    def _connect(self) -> None:
        """Connect to the store; keep a refusal for `wait_until_ready`."""
        try:
            self.store = self._connect_store()
        except TrackingError as error:
            self._refusal = error
            raise
        finally:
            self._is_ready.set()

    def _run(self) -> None:
        """Run jobs until the end is read from the queue, then say so: the body of the thread."""
        try:
            self._run_jobs()
        finally:
            self._has_ended.set()

    def _run_jobs(self) -> None:
        if self._is_checked:
            self._run_backlog()
        else:
            with contextlib.suppress(TrackingError):  # wait_until_ready raises it
                self._connect()
        job: Job[S] | None = None
        while job is None or job is not self._last:
            job = self._queue.get()
            if job is None and self._last is None:
                break
            if job is None:
                continue  # the end of `close`, behind which `close_with` has put its job
            self._backlog.append(job)
            if time.monotonic() >= self._paused_until:
                self._run_backlog()
        if self._is_checked or self._refusal is None:
            self._run_backlog()

    def _run_backlog(self) -> None:
        """Run the waiting jobs in order, until none waits or the store does not answer."""
        while self._backlog or self.store is None:
            if self.store is None and self.is_skipping:
                self._backlog.clear()
                return
            try:
                self._run_first()
            except Exception as error:  # noqa: BLE001
                # A store may fail in any way; the journal has everything, and the search goes on.
                if not self._has_warned:
                    _log.warning("MLflow: %s; the search goes on", self._describe(error))
                    self._has_warned = True
                if self.store is None or not self.store.answers():
                    self._paused_until = time.monotonic() + _RETRY_PAUSE
                    return
                self._n_dropped += 1  # the store answers, and refuses this job
                self._backlog.popleft()

    def _run_first(self) -> None:
        """Connect, or run the first job and remove it."""
        if self.store is None:
            self._connect()
            return
        job = self._backlog[0]
        if not self.is_skipping or job is self._last:
            job(self.store)
        self._backlog.popleft()


def run_concurrently(store: S, jobs: Sequence[Job[S]], n_threads: int) -> None:
    """Run jobs in several threads and wait for all of them; raises the first of their exceptions."""
    with ThreadPoolExecutor(n_threads) as pool:
        for future in [pool.submit(job, store) for job in jobs]:
            future.result()
