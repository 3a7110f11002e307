"""Processes beside the driver that run one function each, as Ray actors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

# First, as it sets what Ray reads when it is imported.
import nas.execution.ray_cluster  # noqa: F401

# isort: split
import ray
import ray.exceptions

from nas.errors import SearchError
from nas.execution.ray_flags import this_node

_RESTARTS = 5
"""Times that a process may end, for any reason, before its function is given up."""

_POLL = 0.2
"""Seconds between two checks of the results; as long as a person waits for progress."""


@ray.remote(num_cpus=0, max_restarts=_RESTARTS, max_task_retries=_RESTARTS)
class _Process:
    """Calls one function; after the process has crashed, Ray restarts it, and it calls the function again."""

    def call(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        return function(*arguments)


class Processes:
    """Functions that run concurrently, each in a process of its own on this machine.

    A process that crashes is restarted and calls its function again, which has to record its progress.

    Parameters
    ----------
    calls : sequence of (function, arguments)
    """

    def __init__(self, calls: Sequence[tuple[Callable[..., Any], Sequence[Any]]]) -> None:
        options = _Process.options(scheduling_strategy=this_node())  # type: ignore[attr-defined]
        self._actors = [options.remote() for _ in calls]
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
        """Several times a second, the results since the last time, until every function has returned.

        Raises
        ------
        SearchError
            If a process has crashed too often.
        """
        pending = list(self._results)
        while pending:
            completed, pending = ray.wait(pending, timeout=_POLL)
            yield [self._result(reference) for reference in completed]

    def results(self) -> list[Any]:
        """The result of each function, in the order of the calls."""
        return [self._result(reference) for reference in self._results]

    def _result(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError:
            raise  # the function's own exception, with its traceback
        except ray.exceptions.RayError as error:
            position = self._results.index(reference)
            raise SearchError(
                f"process {position}: expected a result, got: {type(error).__name__}; what is written is "
                "complete, and 'nas resume' goes on from there"
            ) from error
