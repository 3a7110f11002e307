"""Ending a run in an orderly way: the first signal is noted, the second ends the run at once."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_PATIENCE = 1.0
"""Seconds to wait, at the end, until the message about a signal is written: a slow terminal needs a tenth."""


class Interruption:
    """Whether a run is to end, by Ctrl-C or SIGTERM.

    An exception that a signal raises anywhere leaves operations half done: a candidate that is in the journal
    but not in the engine. In this context the first signal is only noted, for code that checks `requested`
    where it is safe to stop; the second is handled as it would have been without this context.

    Signals that end the process without running Python code (SIGTERM, unless a program or the command line
    handles it) still do; and outside of the main thread no signal is handled.

    Parameters
    ----------
    on_request : callable, optional
        Called at the first signal, whatever the main thread is doing: in another thread, as the function that
        was interrupted in the main thread may hold the lock of a stream.
    """

    def __init__(self, on_request: Callable[[], None] = lambda: None) -> None:
        self._requested = False
        self._since = 0.0
        self._raising = False
        self._on_request = on_request
        # What a signal's handler may use in the middle of anything: its `put` is reentrant.
        self._events: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._outer_handlers: dict[int, Any] = {}

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._requested

    def requested_for(self, seconds: float) -> bool:
        """Whether a signal has come so many seconds ago."""
        return self._requested and time.monotonic() - self._since >= seconds

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if a signal has come; for phases that have nothing yet to be saved."""
        if self._requested:
            raise KeyboardInterrupt

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Within this context the first signal raises, too: for long calls of other libraries' code."""
        self._raising = True
        try:
            yield
        finally:
            self._raising = False

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if callable(handler := signal.getsignal(number)):
                    self._outer_handlers[number] = handler
                    signal.signal(number, self._handle)
        self._notifier = threading.Thread(target=self._notify, name="nas-interruption", daemon=True)
        self._notifier.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.put(False)
        self._notifier.join(_PATIENCE)
        while self._outer_handlers:
            signal.signal(*self._outer_handlers.popitem())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first = not self._requested
        if is_first:
            self._since = time.monotonic()
        self._requested = True
        self._events.put(True)
        if self._raising or not is_first:
            self._outer_handlers[number](number, frame)

    def _notify(self) -> None:
        if self._events.get():
            self._on_request()
