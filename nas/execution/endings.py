"""Ends of workers that go on in the background, while a command has its last line already."""

from __future__ import annotations

import threading
from collections.abc import Callable

_threads: list[threading.Thread] = []


def in_background(end: Callable[[], object]) -> threading.Thread:
    """Call a function that ends workers in a thread, which does not keep the process from exiting."""
    thread = threading.Thread(target=end, name="nas-workers-end", daemon=True)
    thread.start()
    _threads.append(thread)
    return thread


def wait_for_endings() -> None:
    """Wait until the workers of earlier searches have ended: a process has one Ray at most."""
    while _threads:
        _threads.pop(0).join()
