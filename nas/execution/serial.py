"""Evaluating one candidate after the other in this process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator

from nas.errors import EvaluationError
from nas.evaluation import Candidate, Evaluation, Problem, evaluate


class SerialExecutor:
    """The executor without workers: nothing to start, the same results."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def run(self, candidates: Iterable[Candidate], should_stop: Callable[[], bool]) -> Iterator[Evaluation]:
        """See `Executor.run`."""
        for candidate in candidates:
            if should_stop():
                return
            try:
                evaluation = evaluate(candidate, self._problem, should_stop)
            except Exception as error:
                raise EvaluationError(
                    f"candidate {candidate.id} ({candidate.genome}):\n{traceback.format_exc()}"
                ) from error
            if evaluation is None:
                return
            yield evaluation

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *exception: object) -> None:
        pass
