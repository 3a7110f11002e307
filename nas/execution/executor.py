"""The contract of executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nas.errors import EvaluationError
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem


@dataclass(frozen=True, eq=False)
class Task:
    """A cohort of candidates to evaluate on a problem, with what each of them inherits by its id."""

    problem: Problem
    cohort: Sequence[Candidate]
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)

    def one_by_one(self) -> list[Task]:
        """A task for each of its candidates alone."""
        return [Task(self.problem, [candidate], self.checkpoints) for candidate in self.cohort]


class Executor(Protocol):
    """Evaluates candidates: tasks go in, and their evaluations come out as they complete.

    Executors are context managers: what they started is gone when the context ends.
    """

    def hold(self, problem: Problem) -> Problem:
        """Take a problem into the memory that workers read: what to use in its place until the context ends.

        Its arrays may not be written to, and are there once a machine, however many processes read them.
        """

    def submit(self, task: Task) -> None:
        """Put a task behind those that wait."""

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """Wait for the next evaluations; whose they are, depends on who is ready first.

        A candidate that cannot be evaluated, whatever the reason, gives an evaluation with an
        error; a bug in the program raises `nas.errors.EvaluationError` with its traceback. None
        comes as soon as `should_stop` says so.
        """

    def release(self, problem: Problem) -> None:
        """Let go of the memory that was taken for a problem; no task of it is under way or to come.

        It is free once nobody has the problem that `hold` gave any more.
        """

    def drop(self) -> None:
        """Forget the tasks that wait, and end those under way."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *exception: object) -> None: ...


def bug(cohort: Sequence[Candidate], trace: str) -> EvaluationError:
    """The error that tells of a bug in the program which a cohort has met."""
    whom = ", ".join(f"candidate {candidate.id} ({candidate.genome})" for candidate in cohort)
    return EvaluationError(f"{whom}:\n{trace}")
