"""The contract of executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from nas.errors import EvaluationError
from nas.evaluation import Candidate, Evaluation

Cohort = Sequence[Candidate]
"""Candidates that are trained together, in one task."""


class Executor(Protocol):
    """Evaluates candidates on the problem that it was made for.

    Executors are context managers: what they started is gone when the context ends.
    """

    def run(self, cohorts: Iterable[Cohort], should_stop: Callable[[], bool]) -> Iterator[Evaluation]:
        """The evaluations of all candidates as their cohorts complete, in any order.

        A candidate that cannot be evaluated, whatever the reason, gives an evaluation with an
        error; a bug in the program raises `nas.errors.EvaluationError` with its traceback. As soon
        as `should_stop` says so, no more evaluations come, and what was under way is dropped.
        """

    def __enter__(self) -> Executor: ...

    def __exit__(self, *exception: object) -> None: ...


def bug(cohort: Cohort, trace: str) -> EvaluationError:
    """The error that tells of a bug in the program which a cohort has met."""
    whom = ", ".join(f"candidate {candidate.id} ({candidate.genome})" for candidate in cohort)
    return EvaluationError(f"{whom}:\n{trace}")
