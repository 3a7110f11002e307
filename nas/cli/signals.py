"""Ctrl-C and SIGTERM on the command line: exit code 130, without a traceback, and without a long wait.

Only what Python has loaded by itself is imported before there are handlers: until then a Ctrl-C is answered
by a traceback.
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

_GRACE = 0.7
"""Seconds after a second signal in which a run may say in MLflow that it was interrupted."""


class Signals:
    """Answers SIGINT and SIGTERM while in the context; in the program itself, until the process ends.

    The first signal ends the program at once where nothing has to be ended in an orderly way: while modules
    are imported, where an exception may come out as another's traceback, and while a search reads its
    data. Whatever has to be ended hears of it (a run by its own handler, another command by
    `KeyboardInterrupt`), and has until `_GRACE` after the second signal: a thread that needs nothing of the
    main thread, which may be waiting in C code, then ends the program.

    A signal that the caller ignores, as a shell does for what runs in the background, stays ignored.

    Parameters
    ----------
    is_program : bool
        Whether the process is this program's own. Where it is not, signals only raise.

    Attributes
    ----------
    hint : str
        What to add when the program is interrupted.
    """

    def __init__(self, *, is_program: bool) -> None:
        self._is_program = is_program
        self._raises = not is_program
        self._before: dict[int, Any] = {}
        self.hint = ""

    def __enter__(self) -> Signals:
        for number in _SIGNALS:
            if (handler := signal.getsignal(number)) is not signal.SIG_IGN:
                try:
                    signal.signal(number, self._answer)
                except ValueError:
                    return self  # another thread than the main one, which signals do not come to
                self._before[number] = handler
        if self._is_program:
            self._watch()
        return self

    def __exit__(self, *exception: object) -> None:
        # The program's own stay: the interpreter's end takes a while, too, and has nothing to be ended.
        self._raises = not self._is_program
        while self._before and not self._is_program:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def raise_from_now_on(self) -> None:
        """Have signals raise `KeyboardInterrupt`: something is begun that has to be ended."""
        self._raises = True

    def interrupted(self) -> int:
        """Say that the program was interrupted and end it; in another's process return the exit code."""
        from contextlib import suppress

        with suppress(OSError, ValueError):
            sys.stdout.flush()
        if self._is_program:
            self._leave()
        print(self._last_words, end="", file=sys.stderr)
        return 130

    @property
    def _last_words(self) -> str:
        return f"nas: interrupted{self.hint}\n"

    def _answer(self, number: int, frame: FrameType | None) -> None:
        # Where a run has put its own handler in front, it is that which calls this one.
        if not self._raises and signal.getsignal(number) == self._answer:
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
            os.write(2, self._last_words.encode(errors="replace"))
        finally:
            os._exit(130)
