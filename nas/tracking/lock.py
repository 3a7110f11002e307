"""The lock of a run, held by the process that searches from its first file to its last.

It is a lock of the kernel (`flock`) on an empty file in the run's folder: it is released when the process
ends, however it ends. Journals have locks of their own, as other processes may write to them.
"""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import BinaryIO

from nas.errors import RunError, RunningError

LOCK = ".lock"

_MOMENT = 0.2
"""Seconds for which the lock is tried: `check_is_over` of another process holds it for an instant."""


class RunLock:
    """The lock of the run in a folder, held until it is released.

    A run of an earlier version, which has no lock file, gets one.

    Raises
    ------
    RunningError
        If another process holds it.
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
        """Release the lock; may be called repeatedly."""
        self._file.close()


def check_is_over(folder: Path) -> None:
    """Raise `RunningError` if a process holds the lock of the run in a folder; nothing is written."""
    try:
        file = (folder / LOCK).open("rb")
    except OSError:
        return  # no run, or a run of an earlier version without a lock
    with file:
        if not _take(file, fcntl.LOCK_SH):
            raise _running(folder)


def _take(file: BinaryIO, operation: int) -> bool:
    """Try to lock a file with an operation of `flock`; return whether that succeeded."""
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _running(path: Path) -> RunningError:
    """Make the `RunningError` of a run."""
    return RunningError(f"{path}: expected a search that is over, got one that still runs")
