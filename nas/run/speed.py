"""The speed and the load of this machine at present, by short measurements."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

_STEPS = 300_000
"""Of a piece of work: a fiftieth of a second."""

_HASHED = 2**24
"""Bytes that are hashed in a fiftieth of a second: a busy machine changes between processes within that."""


def processor_seconds(function: Callable[[], object]) -> float:
    """Seconds of processor time that a function takes in this thread."""
    start = time.thread_time()
    function()
    return time.thread_time() - start


def slowdown(busy: float = 0.0) -> float:
    """Elapsed time for each second of processor time, at the present load of this machine; at least 1.

    Of n processes that compute on c cores each gets a share of c / n, so that elapsed time exceeds processor
    time by a factor of n / c; without b of them, by n / c - b / c.

    Parameters
    ----------
    busy : float
        Workers of this search for each core, which compute now and will not then.
    """
    # Hashing needs no lock of the interpreter, for which a thread that imports libraries would have to be
    # waited for: that it slows this thread down says nothing about the machine.
    start, own_start = time.perf_counter(), time.thread_time()
    hashlib.sha256(bytes(_HASHED)).digest()
    elapsed, own = time.perf_counter() - start, time.thread_time() - own_start
    return max(1.0, elapsed / own - busy) if own > 0 else 1.0


def piece_of_work() -> None:
    """A fixed piece of work: its duration shows the speed of this machine."""
    total = 0
    for i in range(_STEPS):
        total += i & 7
