"""Evaluating candidates in Ray workers: a process each, the data put once and shared."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nas.evaluation import Evaluation, Problem, evaluate
from nas.execution.executor import Cohort, bug

# Read by Ray when it is imported or started: no reports sent home, and no copied working directory
# for workers where the program runs under uv.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
# Ray warns at import that a later version will leave accelerators' variables alone.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

# A candidate that fills the memory is tried once more, as after any death, and not for ever.
os.environ.setdefault("RAY_task_oom_retries", "1")

import ray
import ray.exceptions

_POLL = 0.2
"""Seconds between two looks at the clock while waiting for results."""

_GRACE = 30.0
"""Seconds that a candidate may overrun its limit, which it watches itself, before it is killed."""

_END = 5.0
"""Seconds to wait, at a stop, for candidates under way to notice it."""

_SMALLEST_STORE = 128 * 2**20


class RayExecutor:
    """The executor over a private, local Ray of its own.

    Parameters
    ----------
    problem : Problem
        Put into shared memory once; workers see its arrays without copies.
    n_workers : int
        Worker processes, each with one BLAS thread.

    If the program has initialized Ray already, that Ray is used, and left running at the end.
    """

    def __init__(self, problem: Problem, n_workers: int) -> None:
        self._problem = problem
        self._n_workers = n_workers
        self._time_limit = problem.training.time_limit
        self._owns_ray = False
        self._n_runs = 0

    def __enter__(self) -> RayExecutor:
        with ExitStack() as stack:
            # Sockets in this folder must have paths of at most 107 characters: keep it short.
            place = "/tmp" if Path("/tmp").is_dir() else None
            self._folder = Path(tempfile.mkdtemp(prefix="nas-ray-", dir=place))
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            if not ray.is_initialized():
                # The kernel ends Ray's processes with the thread that started them: it has to live.
                thread = stack.enter_context(ThreadPoolExecutor(1))
                stack.callback(ray.shutdown)
                self._owns_ray = True
                _start_ray(
                    thread,
                    address="local",
                    num_cpus=self._n_workers,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    object_store_memory=_SMALLEST_STORE + 2 * _size(self._problem),
                    _temp_dir=str(self._folder),
                )
            self._shared = ray.put(self._problem)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        del self._shared
        self._stack.close()

    def run(self, cohorts: Iterable[Cohort], should_stop: Callable[[], bool]) -> Iterator[Evaluation]:
        """See `Executor.run`."""
        waiting = deque(cohorts)
        self._n_runs += 1
        flag = self._folder / f"stop-{self._n_runs}"
        # Only as many tasks as there are workers: each so starts when it is submitted, and the
        # time that it has taken is known.
        running: dict[Any, tuple[Cohort, float]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._n_workers:
                    cohort = waiting.popleft()
                    reference = _evaluate.remote(cohort, self._shared, str(flag))
                    running[reference] = (cohort, time.monotonic())
                done, _ = ray.wait(list(running), timeout=_POLL)
                for reference in done:
                    cohort, _ = running.pop(reference)
                    yield from self._settled(cohort, _result(reference, cohort), waiting)
                if should_stop():
                    return
                for cohort in self._overdue(running):
                    yield from self._settled(cohort, f"no result within {self._time_limit:g} s", waiting)
        finally:
            if running:
                _end(list(running), flag)

    def _settled(
        self, cohort: Cohort, result: list[Evaluation] | str, waiting: deque[Cohort]
    ) -> Iterator[Evaluation]:
        """The evaluations, or a failure of who caused it: each of several is tried again alone."""
        if not isinstance(result, str):
            yield from result
        elif len(cohort) == 1:
            yield Evaluation(cohort[0].id, error=result, alone=True)
        else:
            waiting.extendleft([candidate] for candidate in reversed(cohort))

    def _overdue(self, running: dict[Any, tuple[Cohort, float]]) -> list[Cohort]:
        """Kill what has overrun its time limit so far that it must be hanging."""
        if self._time_limit is None or not self._owns_ray:
            return []  # in a Ray of others a task may wait for its turn, which is not hanging
        now, ended = time.monotonic(), []
        for reference, (cohort, since) in list(running.items()):
            if now - since > self._time_limit * len(cohort) + _GRACE:
                del running[reference]
                ray.cancel(reference, force=True)
                ended.append(cohort)
        return ended


def _end(running: list[Any], flag: Path) -> None:
    """Have tasks end by themselves, and wait a moment for it.

    They look for the flag between two batches. `ray.cancel` would be the way, but the result of a
    cancelled task that arrives all the same has brought down the whole program (Ray 2.60: "Tried to
    complete task that was not pending"). Workers on other machines do not see the flag; what they
    run goes on to its end, and is not looked at.
    """
    flag.touch()
    ray.wait(running, num_returns=len(running), timeout=_END)


def _start_ray(thread: ThreadPoolExecutor, **options: Any) -> None:
    """Initialize Ray so that a signal meanwhile is heard once Ray is up and can be ended again.

    Interrupted in the middle, Ray leaves processes behind, or crashes; in another thread it is not
    interrupted. Nor does it then install its handler of SIGTERM, which just exits; the one that its
    core installs somewhere in between is replaced by the program's again within a millisecond.
    """
    handler = signal.getsignal(signal.SIGTERM)
    # None: not Python's own, and so not Python's to put back; other threads may not set handlers.
    ours = handler is not None and threading.current_thread() is threading.main_thread()
    starting = thread.submit(ray.init, **options)
    try:
        while not starting.done():
            wait([starting], timeout=0.001)
            if ours:
                signal.signal(signal.SIGTERM, handler)
        starting.result()
    finally:
        wait([starting])
        if ours:
            signal.signal(signal.SIGTERM, handler)


# A worker that dies is tried once more: a machine's hiccup should not cost a candidate, and a
# candidate that kills its worker should not cost more than two for its cohort, and two for itself.
@ray.remote(num_cpus=1, max_retries=1)
def _evaluate(cohort: Cohort, problem: Problem, flag: str) -> list[Evaluation] | str | None:
    """The evaluations; a bug's traceback, as exceptions do not always survive pickling; None if ended."""
    looked = time.monotonic()

    def should_stop() -> bool:
        nonlocal looked
        now = time.monotonic()
        if now - looked < _POLL:
            return False
        looked = now
        return Path(flag).exists()

    try:
        return evaluate(cohort, problem, should_stop)
    except Exception:  # noqa: BLE001  # raised again by the driver
        return traceback.format_exc()


def _result(reference: Any, cohort: Cohort) -> list[Evaluation] | str:
    """The evaluations, or why there are none."""
    try:
        result = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
        return "its worker process died, twice"
    except ray.exceptions.OutOfMemoryError:
        return "out of memory: its worker process was ended by Ray"
    if isinstance(result, str):
        raise bug(cohort, result)
    return result  # type: ignore[no-any-return]


def _size(problem: Problem) -> int:
    """Bytes of the problem's arrays."""
    arrays = (problem.X_train, problem.y_train, problem.X_validation, problem.y_validation)
    return sum(array.nbytes for array in arrays)
