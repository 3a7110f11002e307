"""The lock of a run: one process has it, from the first moment of its life to the last.

It is a lock of the kernel (`flock`) on an empty file in the run's folder, and so gone with the process,
whatever that dies of. The journals, which islands write in processes of their own, have locks besides.
"""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import BinaryIO

from nas.errors import RunError, RunningError

LOCK = ".lock"

_MOMENT = 0.2
"""Seconds for which the lock is tried: who only looks whether a run is over has it for a moment."""


class RunLock:
    """The lock of the run in a folder, which is had until it is let go.

    A run that was made before there were locks gets one.

    Raises
    ------
    RunningError
        If another process has it.
    RunError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file: BinaryIO = (folder / LOCK).open("ab")
        except OSError as error:
            raise RunError(f"{folder}: expected a folder to write to, got: {error.strerror}") from None
        until = time.monotonic() + _MOMENT
        while not _take(self._file, fcntl.LOCK_EX):
            if time.monotonic() > until:
                self._file.close()
                raise _running(folder)
            time.sleep(0.01)

    def release(self) -> None:
        """Let others have it; more than once does no harm."""
        self._file.close()


def check_is_over(folder: Path) -> None:
    """Raise `RunningError` if a process has the lock of the run in a folder; nothing is written."""
    try:
        file = (folder / LOCK).open("rb")
    except OSError:
        return  # no run, or one that was made before there were locks
    with file:
        if not _take(file, fcntl.LOCK_SH):
            raise _running(folder)


def _take(file: BinaryIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _running(path: Path) -> RunningError:
    return RunningError(f"{path}: expected a search that is over, got one that still runs")
