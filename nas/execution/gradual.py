"""Evaluating in this process while Ray starts beside it, and without Ray where a search is short."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nas.evaluation import Evaluation, Problem
from nas.execution.endings import in_background
from nas.execution.executor import Executor, Task

_log = logging.getLogger(__name__)

_START_SECONDS = 9.0
"""Seconds until a private Ray has workers, measured on two cores beside an evaluating driver."""

_LONG = 120.0
"""Seconds of work from which workers pay anyway: what ends a worker does not end the search."""

_PATIENCE = 2.0
"""Seconds of the first evaluation after which workers are started: the whole will not be short."""

_SWITCH_INTERVAL = 0.0005
"""Seconds after which Python's threads take turns. With its 0.005 s, each of the many short operations of a
training could wait so long for a thread that imports a library or talks to Ray."""


def workers_pay(seconds: float, n_workers: int) -> bool:
    """Whether workers that have to be started first save time on work of so many seconds in this process."""
    return seconds * (1 - 1 / n_workers) > _START_SECONDS or seconds > _LONG


class _TerminationHandler:
    """The program's handler of SIGTERM, which Ray's core replaces when it starts."""

    def __init__(self) -> None:
        self._handler: Any = None

    def keep(self) -> None:
        """Record the handler as it is now."""
        self._handler = signal.getsignal(signal.SIGTERM)

    def restore(self) -> None:
        """Set the recorded handler again, where that is possible: in the main thread."""
        is_main = threading.current_thread() is threading.main_thread()
        # None: none is recorded, or it is not Python's and cannot be set.
        if self._handler is not None and is_main:
            signal.signal(signal.SIGTERM, self._handler)


class GradualExecutor:
    """The executor that starts workers when they pay; until they are ready, this process evaluates.

    The results are the same wherever they are computed.

    Parameters
    ----------
    local : Executor
        Evaluates in this process.
    start : callable
        Makes an executor with workers, not yet started, from a function that says whether to abandon that.
    n_workers : int
    n_expected : int
        Evaluations that the search will ask for at most.
    seconds_left : callable
        Seconds that the search may go on at most; may be infinity.
    interrupted : callable
    is_late : callable
        Whether the end of workers is not waited for, because a budget is spent.
    """

    def __init__(
        self,
        local: Executor,
        start: Callable[[Callable[[], bool]], Executor],
        n_workers: int,
        n_expected: int,
        seconds_left: Callable[[], float],
        interrupted: Callable[[], bool],
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_late = is_late
        self._make, self._n_asked = start, n_workers
        self._n_expected, self._seconds_left, self._interrupted = n_expected, seconds_left, interrupted
        self._local = local
        self._queue: deque[Task] = deque()
        self._n_evaluated, self._seconds = 0, 0.0
        self._workers: Executor | None = None
        self._started: Executor | None = None
        self._thread: threading.Thread | None = None
        self._is_retired = False
        self._handler = _TerminationHandler()

    @property
    def n_active(self) -> int:
        """See `Executor.n_active`."""
        return 0 if self._workers is None else self._workers.n_active

    @property
    def n_workers(self) -> int:
        """Evaluations at once: by this process, or by the workers once they are ready."""
        return 1 if self._workers is None else self._n_asked

    def hold(self, problem: Problem) -> Problem:
        """See `Executor.hold`; the problem itself: workers read a copy, so that it should be small."""
        return problem

    def submit(self, task: Task) -> None:
        """See `Executor.submit`."""
        (self._queue.append if self._workers is None else self._workers.submit)(task)

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """See `Executor.completed`."""
        self._use_workers_if_ready()
        if self._workers is not None:
            return self._workers.completed(should_stop)
        if should_stop():
            return None
        start = time.monotonic()

        def checked() -> bool:
            self._handler.restore()
            if self._thread is None and time.monotonic() - start > _PATIENCE:
                self._start_workers()
            return should_stop()

        self._local.submit(self._queue.popleft())
        evaluations = self._local.completed(checked)
        if evaluations is not None:
            self._seconds += time.monotonic() - start
            self._n_evaluated += len(evaluations)
            left = (self._n_expected - self._n_evaluated) * self._seconds / max(1, self._n_evaluated)
            if self._thread is None and workers_pay(min(left, self._seconds_left()), self._n_asked):
                self._start_workers()
        return evaluations

    def release(self, problem: Problem) -> None:
        """See `Executor.release`."""
        if self._workers is not None:
            self._workers.release(problem)

    def drop(self) -> None:
        """See `Executor.drop`."""
        self._queue.clear()
        self._local.drop()
        if self._workers is not None:
            self._workers.drop()

    def retire(self) -> None:
        """End the workers in the background: no task follows."""
        if not self._is_retired:
            self._is_retired = True
            self._ending = in_background(self._end_workers)

    def __enter__(self) -> GradualExecutor:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        return self

    def __exit__(self, *exception: Any) -> None:
        self.retire()
        try:
            is_hurried = self._interrupted() or self._is_late()
            if not is_hurried and exception[:1] != (KeyboardInterrupt,):
                self._ending.join()
        finally:
            self._handler.restore()
            sys.setswitchinterval(self._interval)

    def _start_workers(self) -> None:
        self._handler.keep()
        self._thread = threading.Thread(target=self._run_start, name="nas-workers-start", daemon=True)
        self._thread.start()

    def _run_start(self) -> None:
        def is_abandoned() -> bool:
            # Only the start: the end of started workers is waited for.
            return (self._is_retired and self._started is None) or self._interrupted()

        try:
            workers = self._make(is_abandoned)
            workers.__enter__()
            self._started = workers
        except KeyboardInterrupt:
            pass  # abandoned
        except Exception as error:  # noqa: BLE001  # Ray may fail in any way; the search does without
            _log.warning("workers: expected to start, got: %s; the search goes on in this process", error)

    def _use_workers_if_ready(self) -> None:
        self._handler.restore()
        if self._workers is None and self._started is not None and not self._is_retired:
            self._workers = self._started
            while self._queue:
                self._workers.submit(self._queue.popleft())

    def _end_workers(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._started is not None:
            self._started.__exit__(None, None, None)
