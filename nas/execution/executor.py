"""The contract of executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from nas.errors import EvaluationError
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem


@dataclass(frozen=True, eq=False)
class Task:
    """A cohort of candidates to evaluate on a problem, with their parents' checkpoints.

    Attributes
    ----------
    problem : Problem
    cohort : sequence of Candidate
        Trained together.
    checkpoints : mapping of int to Checkpoint
        By the id of the child that starts from it.
    """

    problem: Problem
    cohort: Sequence[Candidate]
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)

    def split(self) -> list[Task]:
        """A task for each candidate of the cohort."""
        return [Task(self.problem, [candidate], self.checkpoints) for candidate in self.cohort]


class Executor(Protocol):
    """Evaluates candidates: tasks are submitted, and their evaluations are returned as they complete.

    Executors are context managers: the processes and the memory that they started with end with the context.
    `tests/execution/test_contract.py` holds what every executor has to do.
    """

    @property
    def n_active(self) -> int:
        """Workers on this machine that evaluate beside this process."""

    def hold(self, problem: Problem) -> Problem:
        """Copy a problem into the memory that workers read: the copy is valid until the context ends.

        The arrays of the copy are read-only, and exist once on each machine, for any number of processes.
        """

    def submit(self, task: Task) -> None:
        """Append a task to the queue."""

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """Wait for the next evaluations, in the order in which tasks complete; None once `should_stop()`.

        A candidate that cannot be evaluated, whatever the reason, results in an evaluation with an error.

        Raises
        ------
        nas.errors.EvaluationError
            On a bug in the program; it holds the worker's traceback.
        """

    def release(self, problem: Problem) -> None:
        """Release the memory that `hold` took for a problem; none of its tasks may be queued or running.

        The memory is free once no reference to the held problem is left.
        """

    def drop(self) -> None:
        """Clear the queue, and end the tasks that are running."""

    def retire(self) -> None:
        """End what is not needed any more, in the background: no task follows."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *exception: object) -> None: ...


class StopFlag(Protocol):
    """An event, as `threading.Event`, that processes on any machine of the executor can see."""

    def set(self) -> None:
        """Have the tasks and processes end that were given this flag."""

    def is_set(self) -> bool:
        """Whether the flag was set."""


class SharedExecutor(Protocol):
    """An executor's workers and a held problem, in a form that can be sent to another process."""

    def open(self) -> tuple[SharingExecutor, Problem]:
        """The executor and the problem, in the process that this was sent to."""


@runtime_checkable
class SharingExecutor(Executor, Protocol):
    """An executor with workers that several processes of one search can use."""

    def flag(self) -> StopFlag:
        """A new flag, not set."""

    def share(self, problem: Problem, n: int) -> SharedExecutor:
        """The workers and a held problem, for one of `n` processes."""


def bug(cohort: Sequence[Candidate], trace: str) -> EvaluationError:
    """The error for a bug in the program: the candidates of the cohort, and the traceback."""
    named = ", ".join(f"candidate {candidate.id} ({candidate.genome})" for candidate in cohort)
    return EvaluationError(f"{named}:\n{trace}")
