"""Evaluating candidates in Ray workers: a process each, the data put once and shared."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nas.evaluation import Candidate, Evaluation, Legacy, Problem, evaluate
from nas.execution.executor import Task, bug

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
    n_workers : int
        Worker processes, each with one BLAS thread.
    n_bytes : int
        About what the arrays of all problems take, which are put into shared memory once.

    If the program has initialized Ray already, that Ray is used, and left running at the end.
    """

    def __init__(self, n_workers: int, n_bytes: int = 0) -> None:
        self._n_workers = n_workers
        self._n_bytes = n_bytes
        self._owns_ray = False
        self._n_flags = 0
        self._waiting: deque[Task] = deque()
        # Only as many tasks as there are workers: each so starts when it is submitted, and the
        # time that it has taken is known.
        self._running: dict[Any, tuple[Task, float]] = {}
        self._shared: dict[int, tuple[Problem, Any]] = {}

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
                    object_store_memory=_SMALLEST_STORE + 2 * self._n_bytes,
                    _temp_dir=str(self._folder),
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._shared.clear()
        self._stack.close()

    def submit(self, task: Task) -> None:
        """See `Executor.submit`."""
        self._waiting.append(task)
        self._start()

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """See `Executor.completed`."""
        while True:
            self._start()
            done, _ = ray.wait(list(self._running), timeout=_POLL)
            for reference in done:
                task, _ = self._running.pop(reference)
                if found := self._settled(task, _result(reference, task)):
                    self._start()
                    return found
            if should_stop():
                return None
            for task in self._overdue():
                if found := self._settled(task, f"no result within {_limit(task):g} s"):
                    return found

    def drop(self) -> None:
        """See `Executor.drop`."""
        self._waiting.clear()
        if self._running:
            _end(list(self._running), self._flag)
            self._running.clear()
        self._n_flags += 1

    @property
    def _flag(self) -> Path:
        """The file that ends the tasks of now."""
        return self._folder / f"stop-{self._n_flags}"

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._n_workers:
            task = self._waiting.popleft()
            problem = self._reference(task.problem)
            reference = _evaluate.remote(task.cohort, problem, task.legacies, str(self._flag))
            self._running[reference] = (task, time.monotonic())

    def _reference(self, problem: Problem) -> Any:
        """The problem in shared memory, where workers see its arrays without copies."""
        if id(problem) not in self._shared:
            self._shared[id(problem)] = (problem, ray.put(problem))
        return self._shared[id(problem)][1]

    def _settled(self, task: Task, result: list[Evaluation] | str) -> list[Evaluation]:
        """The evaluations, or a failure of who caused it: each of several is tried again alone."""
        if not isinstance(result, str):
            return result
        if len(task.cohort) == 1:
            return [Evaluation(task.cohort[0].id, error=result)]
        self._waiting.extendleft(reversed(task.one_by_one()))
        return []

    def _overdue(self) -> Iterator[Task]:
        """Kill, one after the other, what has overrun its time limit so far that it must be hanging."""
        if not self._owns_ray:
            return  # in a Ray of others a task may wait for its turn, which is not hanging
        now = time.monotonic()
        for reference, (task, since) in list(self._running.items()):
            if now - since > _limit(task) * len(task.cohort) + _GRACE:
                del self._running[reference]
                ray.cancel(reference, force=True)
                yield task


def _limit(task: Task) -> float:
    """Seconds that each of its candidates may take."""
    limit = task.problem.training.time_limit
    return math.inf if limit is None else limit


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
def _evaluate(
    cohort: Sequence[Candidate], problem: Problem, legacies: Mapping[int, Legacy], flag: str
) -> list[Evaluation] | str | None:
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
        return evaluate(cohort, problem, legacies, should_stop)
    except Exception:  # noqa: BLE001  # raised again by the driver
        return traceback.format_exc()


def _result(reference: Any, task: Task) -> list[Evaluation] | str:
    """The evaluations, or why there are none."""
    try:
        result = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
        return "its worker process died, twice"
    except ray.exceptions.OutOfMemoryError:
        return "out of memory: its worker process was ended by Ray"
    if isinstance(result, str):
        raise bug(task.cohort, result)
    return result  # type: ignore[no-any-return]
