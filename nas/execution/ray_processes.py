"""Processes of ours beside the driver, as Ray actors, and a place where they meet in logical time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
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


class Meeting:
    """Where so many processes exchange messages, round by round; may be sent to each of them.

    What somebody hears in a round depends on the round alone, never on who is fast.

    Parameters
    ----------
    n : int
        Those who meet, by numbers from 0.
    """

    def __init__(self, n: int) -> None:
        self._table = _Table.options(scheduling_strategy=here()).remote(n)  # type: ignore[attr-defined]

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, *exception: object) -> None:
        ray.kill(self._table)

    def exchange(self, who: int, round_: int, message: Any) -> list[Any] | None:
        """Everybody's message of a round, once all are there; None once it is known that somebody won't come.

        Said twice, as by a process that begins again, it counts once.
        """
        return ray.get(self._table.exchange.remote(who, round_, message))  # type: ignore[no-any-return]

    def leave(self, who: int, last: Any = None) -> None:
        """Come no more; with a last message, which then counts in all rounds that follow."""
        ray.get(self._table.leave.remote(who, last))

    def since(self, round_: int) -> list[list[Any]]:
        """The messages of each complete round from this one on."""
        return ray.get(self._table.since.remote(round_))  # type: ignore[no-any-return]


@ray.remote(num_cpus=0)
class _Table:
    def __init__(self, n: int) -> None:
        self._everyone = range(n)
        self._messages: defaultdict[int, dict[int, Any]] = defaultdict(dict)
        self._last: dict[int, Any] = {}
        self._gone: set[int] = set()
        self._news = asyncio.Condition()

    async def exchange(self, who: int, round_: int, message: Any) -> list[Any] | None:
        async with self._news:
            self._messages[round_].setdefault(who, message)
            self._news.notify_all()
            await self._news.wait_for(lambda: self._is_decided(round_))
            return self._complete(round_)

    async def leave(self, who: int, last: Any) -> None:
        async with self._news:
            if last is None:
                self._gone.add(who)
            else:
                self._last.setdefault(who, last)
            self._news.notify_all()

    async def since(self, round_: int) -> list[list[Any]]:
        found = []
        while round_ in self._messages and (complete := self._complete(round_)) is not None:
            found.append(complete)
            round_ += 1
        return found

    def _is_decided(self, round_: int) -> bool:
        said = self._messages[round_]
        return any(i in self._gone and i not in said for i in self._everyone) or all(
            i in said or i in self._last for i in self._everyone
        )

    def _complete(self, round_: int) -> list[Any] | None:
        said = self._last | self._messages[round_]
        return [said[i] for i in self._everyone] if len(said) == len(self._everyone) else None
