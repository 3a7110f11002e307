"""Clearing away what a private Ray leaves behind where its driver was killed: processes, and its folder.

Run as a program of its own, by path, with nothing but the standard library::

    python -I -S reaper.py FOLDER

It waits until its standard input ends, which is when the driver closes it, or dies of whatever cause.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE = 20.0
"""Seconds for which new processes of the folder are looked for."""


@contextmanager
def reaped(folder: Path) -> Iterator[None]:
    """While in this context, the folder and whoever has files of it open do not outlive this process.

    Whoever leaves it alive has removed the folder before.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is not for it
    )
    try:
        yield
    finally:
        process.communicate()


def reap(folder: Path) -> None:
    """Kill whoever has files of a folder open, and remove it, until both are gone."""
    until = time.monotonic() + _PATIENCE
    while folder.exists() and time.monotonic() < until:
        for pid in _users(folder):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.2)


def _users(folder: Path) -> Iterator[int]:
    """Others of this user that have files of the folder open; none where there is no ``/proc``."""
    driver = os.getppid()  # if it lives
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        pid = int(descriptors.parent.name)
        with suppress(OSError):
            if pid != driver and any(folder in one.readlink().parents for one in descriptors.iterdir()):
                yield pid


if __name__ == "__main__":
    sys.stdin.buffer.read()
    reap(Path(sys.argv[1]))
