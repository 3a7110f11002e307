"""Ending a run in an orderly way: the first signal is noted, the second one ends it at once."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_PATIENCE = 1.0
"""Seconds to wait, at the end, for what is said of a signal to be out."""


class Interruption:
    """Whether somebody wants a run to end, by Ctrl-C or SIGTERM.

    An exception that a signal raises anywhere leaves things half done: a candidate in the journal of
    which the engine does not know. In this context the first signal is only noted, for whoever looks at
    `requested` where it is safe to stop; the second one is handled as it would have been without.

    Signals that end the process without a word to Python (SIGTERM, unless a program or the command line
    handles it) still do; and where this is not the main thread, signals are the business of another.

    Parameters
    ----------
    say : callable, optional
        Called at the first signal, whatever the main thread is at: by another one, as what the main thread
        was interrupted in may hold the lock of a stream.
    """

    def __init__(self, say: Callable[[], None] = lambda: None) -> None:
        self._noted = False
        self._raising = False
        self._say = say
        # What a signal's handler may use in the middle of anything: its `put` is reentrant.
        self._news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._noted

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if a signal has come; for where there is nothing yet to be kept."""
        if self._noted:
            raise KeyboardInterrupt

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
        self._speaker = threading.Thread(target=self._speak, name="nas-interruption", daemon=True)
        self._speaker.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._news.put(False)
        self._speaker.join(_PATIENCE)
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self._noted = not self._noted, True
        self._news.put(True)
        if self._raising or not first:
            self._before[number](number, frame)

    def _speak(self) -> None:
        if self._news.get():
            self._say()
