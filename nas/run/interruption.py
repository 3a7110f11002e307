"""Ending a run in an orderly way: the first signal is noted, the second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether somebody wants a run to end, by Ctrl-C or SIGTERM.

    An exception that a signal raises anywhere leaves things half done: a candidate in the journal of
    which the engine does not know. In this context the first signal is only noted, for whoever looks at
    `requested` where it is safe to stop; the second one is handled as it would have been without.

    Signals that end the process without a word to Python (SIGTERM, unless a program or the command line
    handles it) still do; and where this is not the main thread, signals are the business of another.
    """

    def __init__(self) -> None:
        self._noted = False
        self._raising = False
        self._before: dict[int, Any] = {}

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._noted

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Where others' code runs for long, which looks at nothing: the first signal raises there, too."""
        self._raising = True
        try:
            yield
        finally:
            self._raising = False

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if callable(handler := signal.getsignal(number)):
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self._noted = not self._noted, True
        if self._raising or not first:
            self._before[number](number, frame)
