"""Evaluating candidates in Ray workers, with the data once on each machine, in shared memory."""

from __future__ import annotations

import faulthandler
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

# First, as it sets what Ray reads when it is imported.
from nas.execution.ray_cluster import Cluster, joined_ray, private_ray, wait_for_shutdown

# isort: split
import ray
import ray.exceptions

from nas import kernels
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem, evaluate
from nas.execution.attempts import ATTEMPTS, Attempt, AttemptQueue, time_limit
from nas.execution.endings import in_background
from nas.execution.executor import StopFlag, Task, bug

_POLL = 0.2
"""Seconds between two checks of flags and clocks: a person hardly notices them, and they cost nothing."""

_WORKERS_PER_QUEUED = 4
"""Workers for each task that waits inside a private Ray, at least one task: a worker that becomes free gets
it at once, while the driver still reads the results of the task before."""

_UNLIMITED = 1e8
"""Seconds that need no timer, and that no timer can count much further than."""

_STOP_SECONDS = 5.0
"""Seconds to wait, at a stop, until running tasks have seen the flag: they check it between batches."""


@dataclass(frozen=True)
class Share:
    """What one process shares with another; see `RayExecutor.share`.

    The problem's reference is in a list: Ray replaces a reference that is an argument itself by its object.
    """

    cluster: Cluster
    n_workers: int | None
    resources: Mapping[str, float]
    problem: list[Any]

    def open(self) -> tuple[RayExecutor, Problem]:
        """See `nas.execution.SharedExecutor`; the problem's arrays are in memory once for all processes."""
        executor = RayExecutor(self.n_workers, resources=self.resources, cluster=self.cluster)
        problem = ray.get(self.problem[0])
        executor.problems.add(problem, self.problem[0])
        return executor, problem


class StoredProblems:
    """Problems in Ray's shared memory, where workers read their arrays without copies."""

    def __init__(self) -> None:
        self._references: dict[int, tuple[Problem, Any]] = {}

    def add(self, problem: Problem, reference: Any) -> None:
        """Record where a problem is, so that tasks refer to it there."""
        self._references[id(problem)] = (problem, reference)

    def reference(self, problem: Problem) -> Any:
        """Where the problem is; it is stored at its first task."""
        if id(problem) not in self._references:
            self.add(problem, ray.put(problem))
        return self._references[id(problem)][1]

    def remove(self, problem: Problem) -> None:
        """Remove a problem; Ray frees its memory once no task refers to it."""
        self._references.pop(id(problem), None)

    def clear(self) -> None:
        """Remove all problems."""
        self._references.clear()


class RayExecutor:
    """The executor that uses Ray: a private, local one, or one that runs already.

    If the program has initialized Ray already, that Ray is used, and left running at the end.

    Parameters
    ----------
    n_workers : int, optional
        Concurrent tasks, each with one BLAS thread. None, for a Ray that runs already: as many as it has room
        for, including machines that join later.
    n_bytes : int
        About the size of the arrays of all problems, which are put into shared memory once.
    address : str
        "local" for a private Ray; else see `nas.execution.ray_cluster.joined_ray`.
    resources : mapping of str to float
        What a task asks of Ray: ``num_cpus`` (1 by default), ``num_gpus``, ``memory`` in bytes, and any
        other by its name.
    cluster : Cluster, optional
        A cluster that `share` gave to this process; it is left as it is.
    interrupted : callable, optional
        Whether Ray's start is to be abandoned: entering the context then raises `KeyboardInterrupt`. When a
        `KeyboardInterrupt` leaves the context, Ray is shut down in the background.
    is_late : callable, optional
        Whether Ray is shut down in the background at a regular end, too.

    Attributes
    ----------
    problems : StoredProblems
    """

    def __init__(
        self,
        n_workers: int | None,
        n_bytes: int = 0,
        *,
        address: str = "local",
        resources: Mapping[str, float] | None = None,
        cluster: Cluster | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        assert n_workers or address != "local" or cluster, "a private Ray has a size"
        self._shared_cluster = cluster
        self._n_workers = n_workers
        self._n_bytes = n_bytes
        self._address = address
        self._interrupted = interrupted
        self._is_late = is_late
        self._resources = dict(resources or {})
        self._queue = AttemptQueue()
        self._running: dict[Any, Attempt] = {}
        self.problems = StoredProblems()

    def retire(self) -> None:
        """See `Executor.retire`; workers end with the context, as they hold the data."""

    def __enter__(self) -> RayExecutor:
        with ExitStack() as stack:
            self._cluster = stack.enter_context(self._open())
            self._flag = self._cluster.flag()
            if self._cluster.is_private:
                # Workers import what they need while the driver is still busy with other things.
                assert self._n_workers is not None, "a private Ray has a size"
                warm_up = _import.options(**_options(self._resources))
                self._warm_ups = [warm_up.remote() for _ in range(self._n_workers)]
            self._stack = stack.pop_all()
        return self

    def _open(self) -> AbstractContextManager[Cluster]:
        if self._shared_cluster is not None:
            return nullcontext(self._shared_cluster)
        wait_for_shutdown(self._interrupted)
        if ray.is_initialized():
            return joined_ray(None, self._resources)
        if self._address != "local":
            return joined_ray(self._address, self._resources, self._interrupted)
        assert self._n_workers is not None, "checked at the start"
        return private_ray(self._n_workers, self._n_bytes, self._resources, self._interrupted)

    def __exit__(self, *exception: Any) -> None:
        self.problems.clear()
        if exception[:1] == (None,) and (self._is_late() or self._interrupted()):
            in_background(self._stack.close)
        else:
            self._stack.__exit__(*exception)

    @property
    def n_active(self) -> int:
        """See `Executor.n_active`; of another Ray it is not known where its workers are."""
        return min(len(self._running), self._n_workers or 0) if self._cluster.is_private else 0

    def hold(self, problem: Problem) -> Problem:
        """See `Executor.hold`."""
        reference = ray.put(problem)
        # The driver's own scorer: a person's function may hold state that a copy would not share.
        held_problem = replace(ray.get(reference), metric=problem.metric)
        self.problems.add(held_problem, reference)
        return held_problem

    def submit(self, task: Task) -> None:
        """See `Executor.submit`."""
        self._queue.append(task)
        self._start_tasks()

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """See `Executor.completed`."""
        while True:
            self._start_tasks()
            completed_references, _ = ray.wait(list(self._running), timeout=_POLL)
            for reference in completed_references:
                attempt = self._running.pop(reference)
                result = _result(reference, attempt.tasks)
                if isinstance(result, list):
                    self._queue.record_seconds(result, len(attempt.tasks))
                    self._start_tasks()
                    return result
                if failed := self._queue.retry_or_fail(attempt, attempt.retries(), result):
                    return failed
            if should_stop():
                return None
            for attempt in self._killed_overdue():
                error = f"no result within {time_limit(attempt.tasks[0].problem):g} s"
                if failed := self._queue.retry_or_fail(attempt, attempt.parts(), error):
                    return failed

    def release(self, problem: Problem) -> None:
        """See `Executor.release`."""
        self.problems.remove(problem)

    def drop(self) -> None:
        """See `Executor.drop`.

        Tasks check the flag between two batches, and are given a few seconds for that; before the first
        results workers may not have started, and there is nothing to wait for. `ray.cancel` is not used: the
        result of a cancelled task that arrives nevertheless has aborted the whole program (Ray 2.60: "Tried
        to complete task that was not pending").
        """
        self._queue.clear()
        if self._running:
            self._flag.set()
            if self._queue.mean_seconds:
                ray.wait(list(self._running), num_returns=len(self._running), timeout=_STOP_SECONDS)
            self._running.clear()
            self._flag = self._cluster.flag()

    def flag(self) -> StopFlag:
        """See `nas.execution.SharingExecutor`."""
        return self._cluster.flag()

    def share(self, problem: Problem, n: int) -> Share:
        """See `nas.execution.SharingExecutor`.

        Of a private Ray each process may use all workers that are free, as Ray has no more than it was
        started with. Elsewhere the workers that were asked for are divided, at least one for each process.
        """
        divided = self._n_workers is not None and not self._cluster.is_private
        n_workers = max(1, (self._n_workers or 0) // n) if divided else None
        return Share(self._cluster.shared(), n_workers, self._resources, [self.problems.reference(problem)])

    def _start_tasks(self) -> None:
        max_submitted = _max_submitted(self._n_workers, is_private=self._cluster.is_private)
        while self._queue and len(self._running) < max_submitted:
            attempt = self._queue.pop(self._n_workers)
            problem = self.problems.reference(attempt.tasks[0].problem)
            # In a Ray that other programs use, too, a task may wait for its turn, which is not hanging:
            # there, workers check their own time.
            limit = math.inf if self._cluster.is_private else attempt.limit
            # The driver makes the retries, as it records when each starts: Ray itself retries nothing.
            reference = _evaluate.options(max_retries=0, **_options(self._resources)).remote(
                [(task.cohort, task.checkpoints) for task in attempt.tasks], problem, self._flag, limit
            )
            self._running[reference] = attempt
        if self._cluster.is_private:
            # Tasks of one kind start in the order in which Ray gets them, as soon as a worker is free.
            now = time.monotonic()
            for attempt in islice(self._running.values(), self._n_workers):
                attempt.since = attempt.since or now

    def _killed_overdue(self) -> Iterator[Attempt]:
        """Kill, one after the other, attempts that exceed their limit so far that they must be hanging."""
        now = time.monotonic()
        for reference, attempt in list(self._running.items()):
            if attempt.since is not None and now - attempt.since > attempt.limit:
                del self._running[reference]
                ray.cancel(reference, force=True)
                yield attempt


def _max_submitted(n_workers: int | None, *, is_private: bool) -> float:
    """Tasks that may be submitted to Ray at once."""
    if n_workers is None:
        return math.inf  # bounded already, by the batches that the search has in flight
    return n_workers + (-(-n_workers // _WORKERS_PER_QUEUED) if is_private else 0)


def _options(resources: Mapping[str, float]) -> dict[str, Any]:
    """What a task asks for, as Ray's options."""
    names = {"num_cpus", "num_gpus", "memory"}
    built_in = {name: value for name, value in resources.items() if name in names}
    custom = {name: value for name, value in resources.items() if name not in names}
    return {**built_in, "resources": custom} if custom else built_in


@ray.remote(num_cpus=1)
def _import() -> None:
    """Load the loops: to run it, a worker has imported this module, and so all else that it needs."""
    kernels.load()


@ray.remote(num_cpus=1)
def _evaluate(
    tasks: Sequence[tuple[Sequence[Candidate], Mapping[int, Checkpoint]]],
    problem: Problem,
    flag: StopFlag,
    limit: float,
) -> list[Evaluation] | tuple[int, str] | None:
    """The evaluations of cohorts with their checkpoints, in sequence; None once the flag is set.

    For a bug, the position of the cohort that raised it and the traceback, as exceptions do not always
    survive pickling. After `limit` seconds the process must be hanging: it exits, whatever it is doing.
    """
    last_check = time.monotonic()

    def should_stop() -> bool:
        nonlocal last_check
        now = time.monotonic()
        if now - last_check < _POLL:
            return False
        last_check = now
        return flag.is_set()

    if limit < _UNLIMITED:
        faulthandler.dump_traceback_later(limit, exit=True)
    evaluations: list[Evaluation] = []
    try:
        for i, (cohort, checkpoints) in enumerate(tasks):
            try:
                of_cohort = evaluate(cohort, problem, checkpoints, should_stop)
            except Exception:  # noqa: BLE001  # raised again by the driver
                return i, traceback.format_exc()
            if of_cohort is None:
                return None
            evaluations += of_cohort
        return evaluations
    finally:
        faulthandler.cancel_dump_traceback_later()


def _result(reference: Any, tasks: Sequence[Task]) -> list[Evaluation] | str:
    """The evaluations, or the reason why there are none."""
    try:
        result = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError):
        return f"its worker process died, {ATTEMPTS} times"
    except ray.exceptions.OutOfMemoryError:
        return "out of memory: its worker process was ended by Ray"
    if isinstance(result, tuple):
        i, trace = result
        raise bug(tasks[i].cohort, trace)
    return result  # type: ignore[no-any-return]
