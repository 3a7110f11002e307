"""The executor that a search uses: the one place that chooses among executors."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nas.execution.endings import wait_for_endings
from nas.execution.executor import Executor
from nas.execution.gradual import GradualExecutor
from nas.execution.serial import SerialExecutor

_SMALL = 2**29
"""Bytes of problems that may be in memory twice: in this process, and where workers read them."""


_LAST_SECONDS = 2.0
"""Seconds before a deadline from which on the end of workers is not waited for."""


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
    n_expected : int, optional
        Evaluations that are expected at most, if workers may be started when they pay; None: at the start.
    seconds_left : callable
        Seconds that the search may go on at most.
    """

    n: int | None
    address: str = "local"
    resources: Mapping[str, float] = field(default_factory=dict)
    n_bytes: int = 0
    n_expected: int | None = None
    seconds_left: Callable[[], float] = lambda: math.inf


def executor_for(workers: Workers, interrupted: Callable[[], bool]) -> Executor:
    """The executor for these workers, not yet started; `interrupted` says whether to abandon its start."""
    if workers.n == 0:
        return SerialExecutor()
    wait_for_endings()

    def is_late() -> bool:
        return workers.seconds_left() < _LAST_SECONDS

    def with_workers(interrupted: Callable[[], bool]) -> Executor:
        # Importing Ray takes a second, and a search in this process does without.
        from nas.execution.ray import RayExecutor

        return RayExecutor(
            workers.n,
            workers.n_bytes,
            address=workers.address,
            resources=workers.resources,
            interrupted=interrupted,
            is_late=is_late,
        )

    is_gradual = workers.n is not None and workers.n_expected is not None and workers.n_bytes <= _SMALL
    if not is_gradual or workers.address != "local" or workers.resources or _ray_runs():
        return with_workers(interrupted)
    assert workers.n is not None
    assert workers.n_expected is not None
    return GradualExecutor(
        SerialExecutor(),
        with_workers,
        workers.n,
        workers.n_expected,
        workers.seconds_left,
        interrupted,
        is_late,
    )


def _ray_runs() -> bool:
    """Whether this program has started Ray before: then there is nothing to start."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
