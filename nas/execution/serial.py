"""Evaluating one cohort after the other in this process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator

from nas.evaluation import Evaluation, Problem, evaluate
from nas.execution.executor import Cohort, bug


class SerialExecutor:
    """The executor without workers: nothing to start, the same results."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def run(self, cohorts: Iterable[Cohort], should_stop: Callable[[], bool]) -> Iterator[Evaluation]:
        """See `Executor.run`."""
        for cohort in cohorts:
            if should_stop():
                return
            try:
                evaluations = evaluate(cohort, self._problem, should_stop)
            except Exception as error:
                raise bug(cohort, traceback.format_exc()) from error
            if evaluations is None:
                return
            yield from evaluations

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *exception: object) -> None:
        pass
