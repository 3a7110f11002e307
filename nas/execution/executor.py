"""The contract of executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from nas.evaluation import Candidate, Evaluation


class Executor(Protocol):
    """Evaluates candidates on the problem that it was made for.

    Executors are context managers: what they started is gone when the context ends.
    """

    def run(self, candidates: Iterable[Candidate], should_stop: Callable[[], bool]) -> Iterator[Evaluation]:
        """The evaluations of the candidates as they complete, in any order.

        A candidate that cannot be evaluated, whatever the reason, gives an evaluation with an
        error; a bug in the program raises `nas.errors.EvaluationError` with its traceback. As soon
        as `should_stop` says so, no more evaluations come, and what was under way is dropped.
        """

    def __enter__(self) -> Executor: ...

    def __exit__(self, *exception: object) -> None: ...
