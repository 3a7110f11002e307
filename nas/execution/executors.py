"""The executor that a search uses: the one place that chooses among executors."""

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


def executor_for(workers: Workers, interrupted: Callable[[], bool]) -> Executor:
    """The executor for these workers, not yet started; `interrupted` says whether to abandon its start."""
    if workers.n == 0:
        return SerialExecutor()
    # Importing Ray takes a second, and a search in this process does without.
    from nas.execution.ray import RayExecutor

    return RayExecutor(
        workers.n,
        workers.n_bytes,
        address=workers.address,
        resources=workers.resources,
        interrupted=interrupted,
    )
