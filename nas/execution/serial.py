"""Evaluating cohorts in this process, in the order of submission."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable

from nas.evaluation import Evaluation, Problem, evaluate
from nas.execution.executor import Task, bug


class SerialExecutor:
    """The executor without workers: nothing to start, the same results."""

    def __init__(self) -> None:
        self._queue: deque[Task] = deque()

    @property
    def n_active(self) -> int:
        """See `Executor.n_active`."""
        return 0

    def hold(self, problem: Problem) -> Problem:
        """See `Executor.hold`; returns the problem itself, as no other process reads it."""
        return problem

    def submit(self, task: Task) -> None:
        """See `Executor.submit`."""
        self._queue.append(task)

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """See `Executor.completed`."""
        if should_stop():
            return None
        task = self._queue.popleft()
        try:
            return evaluate(task.cohort, task.problem, task.checkpoints, should_stop)
        except Exception as error:
            raise bug(task.cohort, traceback.format_exc()) from error

    def release(self, problem: Problem) -> None:
        """See `Executor.release`; `hold` took no memory."""

    def drop(self) -> None:
        """See `Executor.drop`."""
        self._queue.clear()

    def retire(self) -> None:
        """See `Executor.retire`; there is nothing to end."""

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *exception: object) -> None:
        pass
