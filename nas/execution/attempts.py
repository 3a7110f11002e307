"""The queue of a parallel executor: tasks by submission, and retries after a worker's failure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nas.evaluation import Evaluation, Problem
from nas.execution.executor import Task

ATTEMPTS = 3
"""Worker processes that a cohort may crash, and then each of its candidates solo.

A machine's hiccup, or a person's kill, should neither cost a candidate nor move it into another cohort, which
changes the last bits of its result; a candidate that kills its worker should not cost many workers.
"""

GRACE = 30.0
"""Seconds that a candidate may exceed its time limit, which it checks itself between batches, before its
worker is killed: longer than a batch, a checkpoint's way or a busy machine's pause take."""

_TASK_SECONDS = 0.5
"""Seconds that the tasks of one attempt should take: their way to a worker and back takes a hundredth."""

_SMOOTHING = 0.3
"""Weight of the latest cohort in the mean duration (exponential smoothing): about the last five count."""


@dataclass
class Attempt:
    """Tasks that one worker is to run in sequence.

    Attributes
    ----------
    tasks : list of Task
    attempts_left : int
        Worker processes that they may still crash. Which of several tasks crashed a worker is unknown: such
        an attempt is made once, and then each task has attempts of its own.
    since : float, optional
        When they started, as far as the driver can tell; None while they wait for a worker.
    """

    tasks: list[Task]
    attempts_left: int
    since: float | None = None

    @property
    def limit(self) -> float:
        """Seconds after which one of the tasks must be hanging; tasks that are run in sequence are short."""
        return max(time_limit(task.problem) * len(task.cohort) for task in self.tasks) + GRACE

    def retries(self) -> list[Attempt]:
        """What to try after the worker crashed; nothing if it is clear which candidate crashed it."""
        if len(self.tasks) == 1 and self.attempts_left > 1:
            return [Attempt(self.tasks, self.attempts_left - 1)]
        return self.parts()

    def parts(self) -> list[Attempt]:
        """The tasks, or the candidates of the only task, each as an attempt; nothing if there is only one."""
        if len(self.tasks) > 1:
            return [Attempt([task], ATTEMPTS) for task in self.tasks]
        solo = self.tasks[0].split()
        return [Attempt([task], ATTEMPTS) for task in solo] if len(solo) > 1 else []


class AttemptQueue:
    """Tasks that wait for a worker: first what has to be retried, then in the order of submission.

    Attributes
    ----------
    mean_seconds : float
        The mean duration of a cohort, smoothed exponentially; 0 before the first.
    """

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._retries: deque[Attempt] = deque()
        self.mean_seconds = 0.0

    def __bool__(self) -> bool:
        return bool(self._tasks or self._retries)

    def append(self, task: Task) -> None:
        """Add a task at the end."""
        self._tasks.append(task)

    def retry_or_fail(self, attempt: Attempt, retries: Sequence[Attempt], error: str) -> list[Evaluation]:
        """Put the retries of an attempt in front of everything else, in this order.

        If there are none, the attempt has a single candidate left: the evaluation with its failure.
        """
        self._retries.extendleft(reversed(retries))
        return [] if retries else [Evaluation(attempt.tasks[0].cohort[0].id, error=error)]

    def clear(self) -> None:
        """Remove everything."""
        self._tasks.clear()
        self._retries.clear()

    def pop(self, n_workers: int | None) -> Attempt:
        """The next attempt: several tasks of one problem in sequence, where cohorts are short.

        No more than half of each worker's share of the tasks that wait (guided self-scheduling;
        Polychronopoulos & Kuck 1987), so that towards the end no worker waits for another,
        or for the driver to ask for more.
        """
        if self._retries:
            return self._retries.popleft()
        most = 1
        if n_workers is not None and self.mean_seconds:
            most = min(math.ceil(_TASK_SECONDS / self.mean_seconds), len(self._tasks) // (2 * n_workers))
        tasks = [self._tasks.popleft()]
        while len(tasks) < most and self._tasks[0].problem is tasks[0].problem:
            tasks.append(self._tasks.popleft())
        return Attempt(tasks, ATTEMPTS if len(tasks) == 1 else 1)

    def record_seconds(self, evaluations: Sequence[Evaluation], n_tasks: int) -> None:
        """Update the mean duration by the evaluations of so many tasks."""
        seconds = sum(evaluation.seconds for evaluation in evaluations) / n_tasks
        if self.mean_seconds:
            seconds = (1 - _SMOOTHING) * self.mean_seconds + _SMOOTHING * seconds
        self.mean_seconds = seconds


def time_limit(problem: Problem) -> float:
    """Seconds that each candidate may take."""
    limit = problem.training.time_limit
    return math.inf if limit is None else limit
