"""Which executor a search uses: the place where a new executor is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nas.execution.executor import Executor
from nas.execution.serial import SerialExecutor


@dataclass(frozen=True)
class Workers:
    """The workers that a search asks for.

    Attributes
    ----------
    n : int, optional
        Processes; 0 for none, None for as many as a running cluster has room for.
    address : str
        "local" for a private cluster; see `nas.execution.ray.RayExecutor`.
    resources : mapping of str to float
        What each task asks of the cluster.
    n_bytes : int
        An estimate of the shared memory that the problems take.
    """

    n: int | None
    address: str = "local"
    resources: Mapping[str, float] = field(default_factory=dict)
    n_bytes: int = 0


ExecutorFactory = Callable[[Workers, Callable[[], bool]], Executor]
"""Makes an executor of what is asked for; the callable says whether its start is to be abandoned."""


def _serial(workers: Workers, interrupted: Callable[[], bool]) -> Executor:
    return SerialExecutor()


def _ray(workers: Workers, interrupted: Callable[[], bool]) -> Executor:
    # Importing Ray takes a second, and a search in this process does without.
    from nas.execution.ray import RayExecutor

    return RayExecutor(
        workers.n,
        workers.n_bytes,
        address=workers.address,
        resources=workers.resources,
        interrupted=interrupted,
    )


EXECUTORS: Mapping[str, ExecutorFactory] = {"serial": _serial, "ray": _ray}
"""Every executor by its name."""


def executor_for(workers: Workers, interrupted: Callable[[], bool]) -> Executor:
    """The executor for these workers, not yet started."""
    return EXECUTORS["serial" if workers.n == 0 else "ray"](workers, interrupted)
