"""Processes of ours beside the driver, as Ray actors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

# First, as it sets what Ray reads when it is imported.
from nas.execution.ray_cluster import here

# isort: split
import ray
import ray.exceptions

from nas.errors import SearchError

_LIVES = 5
"""Times that a process may die, of whatever cause, before its work is given up."""

_POLL = 0.2
"""Seconds between two looks at the results."""


@ray.remote(num_cpus=0, max_restarts=_LIVES, max_task_retries=_LIVES)
class _Process:
    """Calls one function; where it dies, Ray starts it anew, and it calls the function again."""

    def call(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        return function(*arguments)


class Processes:
    """Functions that run side by side, each in a process of its own on this machine.

    A process that dies begins again: the functions have to know how far they were.

    Parameters
    ----------
    calls : sequence of (function, arguments)
    """

    def __init__(self, calls: Sequence[tuple[Callable[..., Any], Sequence[Any]]]) -> None:
        self._actors = [_Process.options(scheduling_strategy=here()).remote() for _ in calls]  # type: ignore[attr-defined]
        self._results = [
            actor.call.remote(function, arguments)
            for actor, (function, arguments) in zip(self._actors, calls, strict=True)
        ]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exception: object) -> None:
        for actor in self._actors:
            ray.kill(actor)

    def watched(self) -> Iterator[list[Any]]:
        """Several times a second what has been returned since the last time, until all have.

        Raises
        ------
        SearchError
            If one has died too often.
        """
        waiting = list(self._results)
        while waiting:
            done, waiting = ray.wait(waiting, timeout=_POLL)
            yield [self._result(reference) for reference in done]

    def results(self) -> list[Any]:
        """What each has returned, in the order of the calls."""
        return [self._result(reference) for reference in self._results]

    def _result(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError:
            raise  # its own exception, with its traceback
        except ray.exceptions.RayError as error:
            position = self._results.index(reference)
            raise SearchError(
                f"process {position}: expected a result, got: {type(error).__name__}; what is written is "
                "complete, and 'nas resume' goes on from there"
            ) from error
