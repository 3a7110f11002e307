"""The first line on the screen: seconds pass until the libraries are imported that draw any other."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TextIO

_PERIOD = 0.25
"""Seconds between two changes of the line."""


class FirstLine:
    """A line that shows the seconds since the start, until `end`; only on a terminal.

    Parameters
    ----------
    stream : text file
        Usually standard error.
    text : str
    since : float
        When the program started, on the monotonic clock.
    """

    def __init__(self, stream: TextIO, text: str, since: float) -> None:
        self._stream, self._text, self._since = stream, text, since
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if stream.isatty():
            self._thread = threading.Thread(target=self._run, name="nas-first-line", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Remove the line."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the terminal has gone
            while True:
                self._write(f"\r{self._text} … {time.monotonic() - self._since:.1f} s")
                if self._ended.wait(_PERIOD):
                    break
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


_line: FirstLine | None = None


def begin(stream: TextIO, text: str, since: float) -> None:
    """Show a first line until `end`."""
    global _line
    end()
    _line = FirstLine(stream, text, since)


def end() -> None:
    """Remove the first line, if there is one."""
    global _line
    if _line is not None:
        _line.end()
        _line = None
