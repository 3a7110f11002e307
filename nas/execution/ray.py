"""Evaluating candidates in Ray workers: a process each, the data put once a machine and shared."""

from __future__ import annotations

import faulthandler
import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

# First, as it sets what Ray reads when it is imported.
from nas.execution.ray_cluster import Cluster, Flag, joined_ray, private_ray, wait_for_the_last

# isort: split
import ray
import ray.exceptions

from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem, evaluate
from nas.execution.executor import Task, bug

_POLL = 0.2
"""Seconds between two looks at the clock while waiting for results."""

_GRACE = 30.0
"""Seconds that a candidate may overrun its limit, which it watches itself, before it is killed."""

_LIVES = 3
"""Workers that may die of a cohort, and then of each of its candidates alone.

A machine's hiccup, or a person's kill, should neither cost a candidate nor have it trained in other
company, which moves the last bits; one that kills its worker should not cost many.
"""

_WORKERS_A_SPARE = 4
"""Workers for each task that waits in a private Ray itself, one at least: who is free has it at once,
while the driver still reads what the task before it has brought."""

_WORTH = 0.5
"""Seconds that a task should last: its way to a worker and back takes a hundredth of one."""

_FOR_EVER = 1e8
"""Seconds that need no watching, and that no timer can count much further than."""

_END = 5.0
"""Seconds to wait, at a stop, for candidates under way to notice it."""


@dataclass(frozen=True)
class Share:
    """What one process shares with another; see `RayExecutor.share`.

    The problem's reference is in a list: of one that is an argument itself Ray would make the problem.
    """

    cluster: Cluster
    n_workers: int | None
    resources: Mapping[str, float]
    problem: list[Any]


@dataclass
class _Trial:
    """Tasks that a worker is to run, one after the other.

    Attributes
    ----------
    tasks : list of Task
    lives : int
        Workers that may die of them. Of several tasks nobody knows who it was: they have one life.
    since : float, optional
        When they began, as far as the driver can know; None while they wait for a worker.
    """

    tasks: list[Task]
    lives: int
    since: float | None = None

    @property
    def limit(self) -> float:
        """Seconds after which one of them must be hanging: those who are together are short."""
        return max(_limit(task.problem) * len(task.cohort) for task in self.tasks) + _GRACE

    def after_a_death(self) -> list[_Trial]:
        """What is to be tried now; nothing if it is clear who it was."""
        if len(self.tasks) == 1 and self.lives > 1:
            return [_Trial(self.tasks, self.lives - 1)]
        return self.apart()

    def apart(self) -> list[_Trial]:
        """Its tasks, or the candidates of the only one, each by itself; nothing if there is only one."""
        if len(self.tasks) > 1:
            return [_Trial([task], _LIVES) for task in self.tasks]
        alone = self.tasks[0].one_by_one()
        return [_Trial([task], _LIVES) for task in alone] if len(alone) > 1 else []


class RayExecutor:
    """The executor over Ray: a private, local one, or one that runs already.

    Parameters
    ----------
    n_workers : int, optional
        Tasks at once, each with one BLAS thread. None, for a Ray that runs already: as many as it has room
        for, machines that join it later included.
    n_bytes : int
        About what the arrays of all problems take, which are put into shared memory once.
    address : str
        "local" for a private Ray; else see `nas.execution.ray_cluster.joined_ray`.
    resources : mapping of str to float
        What a task asks of Ray: ``num_cpus`` (1 by default), ``num_gpus``, ``memory`` in bytes, and any
        other by its name.
    cluster : Cluster, optional
        One that is there, as `share` gives it to another process; it is left as it is.
    interrupted : callable, optional
        Whether Ray's start is to be abandoned: entering the context then raises `KeyboardInterrupt`. However
        that comes out of the context, Ray is ended in the background.

    If the program has initialized Ray already, that Ray is used, and left running at the end.
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
    ) -> None:
        assert n_workers or address != "local" or cluster, "who starts a Ray says how large"
        self._given = cluster
        self._n_workers = n_workers
        self._n_bytes = n_bytes
        self._address = address
        self._interrupted = interrupted
        self._resources = dict(resources or {})
        self._waiting: deque[Task] = deque()
        self._suspects: deque[_Trial] = deque()
        """What has died or hung, or parts of it, to be tried again."""
        self._usual = 0.0
        """Seconds that a cohort takes, the latest counting most; 0 before the first."""
        self._running: dict[Any, _Trial] = {}
        self._shared: dict[int, tuple[Problem, Any]] = {}

    def __enter__(self) -> RayExecutor:
        with ExitStack() as stack:
            self._cluster = stack.enter_context(self._open())
            self._flag = self._cluster.flag()
            if self._cluster.is_private:
                # Workers import what they need while the driver is still busy with other things.
                assert self._n_workers is not None, "who starts a Ray says how large"
                ready = _import.options(**_options(self._resources))
                self._ready = [ready.remote() for _ in range(self._n_workers)]
            self._stack = stack.pop_all()
        return self

    def _open(self) -> AbstractContextManager[Cluster]:
        if self._given is not None:
            return nullcontext(self._given)
        wait_for_the_last(self._interrupted)
        if ray.is_initialized():
            return joined_ray(None, self._resources)
        if self._address != "local":
            return joined_ray(self._address, self._resources, self._interrupted)
        assert self._n_workers is not None, "checked at the start"
        return private_ray(self._n_workers, self._n_bytes, self._resources, self._interrupted)

    def __exit__(self, *exception: Any) -> None:
        self._shared.clear()
        self._stack.__exit__(*exception)

    def hold(self, problem: Problem) -> Problem:
        """See `Executor.hold`."""
        reference = ray.put(problem)
        # The driver's own scorer: a person's may know things that a copy would not.
        held = replace(ray.get(reference), metric=problem.metric)
        self._shared[id(held)] = (held, reference)
        return held

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
                trial = self._running.pop(reference)
                result = _result(reference, trial.tasks)
                if isinstance(result, list):
                    self._note_seconds(result, len(trial.tasks))
                    self._start()
                    return result
                if failed := self._tried(trial, trial.after_a_death(), result):
                    return failed
            if should_stop():
                return None
            for trial in self._overdue():
                why = f"no result within {_limit(trial.tasks[0].problem):g} s"
                if failed := self._tried(trial, trial.apart(), why):
                    return failed

    def release(self, problem: Problem) -> None:
        """See `Executor.release`."""
        self._shared.pop(id(problem), None)

    def drop(self) -> None:
        """See `Executor.drop`.

        Tasks look for the flag between two batches, and have a moment for it; before the first results
        workers may not be up, and there is nothing to wait for. `ray.cancel` would be
        the way, but the result of a cancelled task that arrives all the same has brought down the whole
        program (Ray 2.60: "Tried to complete task that was not pending").
        """
        self._waiting.clear()
        self._suspects.clear()
        if self._running:
            self._flag.put_up()
            if self._usual:
                ray.wait(list(self._running), num_returns=len(self._running), timeout=_END)
            self._running.clear()
            self._flag = self._cluster.flag()

    def flag(self) -> Flag:
        """A flag that other processes of ours can see."""
        return self._cluster.flag()

    def share(self, problem: Problem, n: int) -> Share:
        """The Ray that is used here, and a problem in its shared memory, for one of `n` processes of ours.

        Of one's own Ray each may use all that is free: it has no more than it was started with. Elsewhere the
        workers that were asked for are divided, one each at least.
        """
        divided = self._n_workers is not None and not self._cluster.is_private
        n_workers = max(1, (self._n_workers or 0) // n) if divided else None
        return Share(self._cluster.shared(), n_workers, self._resources, [self._reference(problem)])

    @classmethod
    def sharing(cls, share: Share) -> tuple[RayExecutor, Problem]:
        """The executor over what another process shares, and the problem, which is there once for all."""
        executor = cls(share.n_workers, resources=share.resources, cluster=share.cluster)
        problem = ray.get(share.problem[0])
        executor._shared[id(problem)] = (problem, share.problem[0])
        return executor, problem

    def _start(self) -> None:
        while (self._waiting or self._suspects) and len(self._running) < self._most:
            trial = self._suspects.popleft() if self._suspects else self._next()
            problem = self._reference(trial.tasks[0].problem)
            # Where others use the Ray, too, a task may wait for its turn, which is not hanging: there
            # workers watch themselves.
            limit = math.inf if self._cluster.is_private else trial.limit
            # Who dies is tried again by the driver, which so knows when: Ray itself retries nothing.
            reference = _evaluate.options(max_retries=0, **_options(self._resources)).remote(
                [(task.cohort, task.checkpoints) for task in trial.tasks], problem, self._flag, limit
            )
            self._running[reference] = trial
        if self._cluster.is_private:
            # Tasks of one kind begin in the order in which Ray gets them, as soon as a worker is free.
            now = time.monotonic()
            for trial in islice(self._running.values(), self._n_workers):
                trial.since = trial.since or now

    @property
    def _most(self) -> float:
        """Tasks that may be with Ray at once."""
        if self._n_workers is None:
            return math.inf  # bounded already, by what the search asks for before it is told
        if not self._cluster.is_private:
            return self._n_workers
        return self._n_workers + -(-self._n_workers // _WORKERS_A_SPARE)

    def _next(self) -> _Trial:
        """What is to be run next, by one worker one after the other: several tasks, where all are short.

        No more than half of each worker's share of those that wait (guided self-scheduling; Polychronopoulos
        & Kuck 1987), so that none has to wait in the end, for the others or for the driver to think of more.
        """
        most = 1
        if self._n_workers is not None and self._usual:
            most = min(math.ceil(_WORTH / self._usual), len(self._waiting) // (2 * self._n_workers))
        tasks = [self._waiting.popleft()]
        while len(tasks) < most and self._waiting[0].problem is tasks[0].problem:
            tasks.append(self._waiting.popleft())
        return _Trial(tasks, _LIVES if len(tasks) == 1 else 1)

    def _reference(self, problem: Problem) -> Any:
        """The problem in shared memory, where workers see its arrays without copies."""
        if id(problem) not in self._shared:
            self._shared[id(problem)] = (problem, ray.put(problem))
        return self._shared[id(problem)][1]

    def _note_seconds(self, found: Sequence[Evaluation], n_tasks: int) -> None:
        seconds = sum(one.seconds for one in found) / n_tasks
        self._usual = 0.7 * self._usual + 0.3 * seconds if self._usual else seconds

    def _tried(self, trial: _Trial, again: list[_Trial], why: str) -> list[Evaluation]:
        """The failure of the candidate that it must have been; none if something is to be tried again."""
        self._suspects.extendleft(reversed(again))
        return [] if again else [Evaluation(trial.tasks[0].cohort[0].id, error=why)]

    def _overdue(self) -> Iterator[_Trial]:
        """Kill, one after the other, what has overrun its time limit so far that it must be hanging."""
        now = time.monotonic()
        for reference, trial in list(self._running.items()):
            if trial.since is not None and now - trial.since > trial.limit:
                del self._running[reference]
                ray.cancel(reference, force=True)
                yield trial


def _options(resources: Mapping[str, float]) -> dict[str, Any]:
    """What a task asks for, as Ray's options."""
    known = {name: value for name, value in resources.items() if name in ("num_cpus", "num_gpus", "memory")}
    others = {name: value for name, value in resources.items() if name not in known}
    return {**known, "resources": others} if others else known


def _limit(problem: Problem) -> float:
    """Seconds that each candidate may take."""
    limit = problem.training.time_limit
    return math.inf if limit is None else limit


@ray.remote(num_cpus=1)
def _import() -> None:
    """Nothing: to run it, a worker has imported this module, and so all that it needs."""


@ray.remote(num_cpus=1)
def _evaluate(
    tasks: Sequence[tuple[Sequence[Candidate], Mapping[int, Checkpoint]]],
    problem: Problem,
    flag: Flag,
    limit: float,
) -> list[Evaluation] | tuple[int, str] | None:
    """The evaluations of cohorts with their checkpoints, one cohort after the other; None if ended.

    Or, of a bug, the position of the cohort that met it and the traceback, as exceptions do not always
    survive pickling. After `limit` seconds one must be hanging: its process dies, whatever holds it up.
    """
    looked = time.monotonic()

    def should_stop() -> bool:
        nonlocal looked
        now = time.monotonic()
        if now - looked < _POLL:
            return False
        looked = now
        return flag.is_up()

    if limit < _FOR_EVER:
        faulthandler.dump_traceback_later(limit, exit=True)
    found: list[Evaluation] = []
    try:
        for i, (cohort, checkpoints) in enumerate(tasks):
            try:
                evaluations = evaluate(cohort, problem, checkpoints, should_stop)
            except Exception:  # noqa: BLE001  # raised again by the driver
                return i, traceback.format_exc()
            if evaluations is None:
                return None
            found += evaluations
        return found
    finally:
        faulthandler.cancel_dump_traceback_later()


def _result(reference: Any, tasks: Sequence[Task]) -> list[Evaluation] | str:
    """The evaluations, or why there are none."""
    try:
        result = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError):
        return f"its worker process died, {_LIVES} times"
    except ray.exceptions.OutOfMemoryError:
        return "out of memory: its worker process was ended by Ray"
    if isinstance(result, tuple):
        i, trace = result
        raise bug(tasks[i].cohort, trace)
    return result  # type: ignore[no-any-return]
