"""Flags that processes of a Ray cluster can see; see `nas.execution.StopFlag`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class FileFlag:
    """A flag that the processes of this machine see: set once a file exists."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def set(self) -> None:
        """Create the file."""
        self._path.touch()

    def is_set(self) -> bool:
        """Whether the file exists."""
        return self._path.exists()


@ray.remote(num_cpus=0)
class _Board:
    """The names of flags that are set, for processes on any machine."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def set(self, name: str) -> None:
        self._names.add(name)

    def is_set(self, name: str) -> bool:
        return name in self._names


class BoardFlag:
    """A flag that every process of a cluster sees: its name is on a board, which is an actor."""

    def __init__(self, board: Any, name: str) -> None:
        self._board, self._name = board, name

    def set(self) -> None:
        """Put the name on the board."""
        ray.get(self._board.set.remote(self._name))

    def is_set(self) -> bool:
        """Whether the name is on the board; False if the board's node has failed, which ends the search."""
        try:
            return bool(ray.get(self._board.is_set.remote(self._name)))
        except ray.exceptions.RayActorError:
            return False


def new_board() -> Any:
    """A board on the driver's node, so that it exists as long as the driver may set a flag."""
    return _Board.options(scheduling_strategy=this_node()).remote()  # type: ignore[attr-defined]


def this_node() -> NodeAffinitySchedulingStrategy:
    """The node of this process, for actors that are to run beside it."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
