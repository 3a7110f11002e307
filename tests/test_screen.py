"""The first line on the screen."""

from __future__ import annotations

import io
import time

from nas import screen


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_line_counts_the_seconds_and_is_removed() -> None:
    stream = Terminal()
    screen.begin(stream, "starting", time.monotonic() - 5)
    until = time.monotonic() + 10
    while stream.getvalue().count("\r") < 3 and time.monotonic() < until:
        time.sleep(0.02)
    screen.end()
    shown = stream.getvalue()
    assert shown.startswith("\rstarting … 5.")
    assert shown.endswith("\r\x1b[K")
    time.sleep(0.6)
    assert stream.getvalue() == shown


def test_nothing_is_shown_without_a_terminal() -> None:
    stream = io.StringIO()
    screen.begin(stream, "starting", 0.0)
    screen.end()
    assert stream.getvalue() == ""
