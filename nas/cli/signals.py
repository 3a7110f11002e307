"""Ctrl-C and SIGTERM on the command line: exit code 130, without a traceback and without a long wait.

Until the handlers are installed a Ctrl-C prints a traceback, so that no module is imported before that Python
has not loaded already.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_INTERRUPTED = 130
"""The exit code of an interrupted program."""

_CLEAN_LINE = "\r\x1b[K\x1b[?25h"
"""Clears a live line of a terminal, and shows the cursor that it hides."""

_GRACE = 0.7
"""Seconds from the second signal to the end of the process.

A compromise: time for a run to be marked in MLflow as interrupted, and still felt as an immediate end."""


class Signals:
    """Handles SIGINT and SIGTERM within the context; in the program's own process, until the process ends.

    The first signal ends the process at once where nothing needs an orderly end: while modules are imported,
    where an exception may surface as a traceback of another kind, and while a search reads its data. Work
    that needs an orderly end is notified (a run by its own handler, another command by `KeyboardInterrupt`)
    and has until `_GRACE` seconds after the second signal. A thread that does not depend on the main thread,
    which may be waiting in C code, then ends the process.

    A signal that the caller ignores, as a shell does for a background job, stays ignored.

    Parameters
    ----------
    is_program : bool
        Whether the process was started for this program. In any other process signals only raise.

    Attributes
    ----------
    hint : str
        Text to add to the message of an interrupted program.
    """

    def __init__(self, *, is_program: bool) -> None:
        self._is_program = is_program
        self._raises = not is_program
        self._previous: dict[int, Any] = {}
        self.hint = ""

    def __enter__(self) -> Signals:
        for number in _SIGNALS:
            if (handler := signal.getsignal(number)) is not signal.SIG_IGN:
                try:
                    signal.signal(number, self._handle)
                except ValueError:
                    return self  # not the main thread: Python delivers no signals here
                self._previous[number] = handler
        if self._is_program:
            self._watch()
        return self

    def __exit__(self, *exception: object) -> None:
        # In the program's own process the handlers stay: a signal during the interpreter's exit, which
        # takes a while, needs no orderly end.
        self._raises = not self._is_program
        while self._previous and not self._is_program:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)

    def raise_on_signal(self) -> None:
        """Let signals raise `KeyboardInterrupt`, as work has begun that needs an orderly end."""
        self._raises = True

    def interrupted(self) -> int:
        """Print that the program was interrupted, and end its process; elsewhere return the exit code."""
        from contextlib import suppress

        with suppress(OSError, ValueError):
            sys.stdout.flush()
        if self._is_program:
            self._leave()
        print(self._message, end="", file=sys.stderr)
        return 130

    def ended(self, code: int) -> int:
        """End the program's process with this code, without its interpreter's long exit; elsewhere return it.

        The interpreter would take up to two seconds to free what the kernel frees at once.
        """
        if self._is_program:
            import atexit
            from contextlib import suppress

            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            if code != _INTERRUPTED:
                atexit._run_exitfuncs()
            os._exit(code)
        return code

    @property
    def _message(self) -> str:
        return f"nas: interrupted{self.hint}\n"

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Where a run has installed its own handler, that handler calls this method.
        if not self._raises and signal.getsignal(number) == self._handle:
            self._leave()
        raise KeyboardInterrupt

    def _watch(self) -> None:
        import threading

        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        threading.Thread(target=self._count, args=(read,), name="nas-signals", daemon=True).start()

    def _count(self, pipe: int) -> None:
        n = 0
        while n < 2:
            n += sum(number in _SIGNALS for number in os.read(pipe, 1))
        time.sleep(_GRACE)
        self._leave()

    def _leave(self) -> None:
        try:
            is_terminal = os.isatty(2) and os.environ.get("TERM") != "dumb"
            os.write(2, (_CLEAN_LINE * is_terminal + self._message).encode(errors="replace"))
        finally:
            os._exit(130)
