"""Removing the processes and files that a killed process leaves behind.

Run as a program of its own, by path, with nothing but the standard library::

    python -I -S reaper.py FOLDER               a private Ray's processes, and its folder
    python -I -S reaper.py --run COMMAND...     a command that it runs, with the whole group of its processes

It waits until its standard input ends: when the process that started it closes it, or exits for any reason.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_GRACE = 5.0
"""Seconds that a command has to end by itself: a server closes its connections in less."""

_PATIENCE = 20.0
"""Seconds to go on searching for processes of the folder: longer than a process of Ray takes to start."""


@contextmanager
def reaped(folder: Path) -> Iterator[None]:
    """Within this context, the folder and the processes with open files in it do not outlive this process.

    A process that leaves the context regularly has removed the folder before.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C does not reach it
    )
    try:
        yield
    finally:
        process.communicate()


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command within this context: neither it nor a process that it starts outlives this process.

    Yields the process that supervises the command, which ends with it, and with its exit code. A Ctrl-C
    reaches neither of them. What the command prints goes to the file `output`.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, "--run", *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.communicate()


def supervise(command: Sequence[str]) -> int:
    """Run a command until it ends, or standard input does; end its group, and return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def end_with_input() -> None:
        sys.stdin.buffer.read()
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
        time.sleep(_GRACE)
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)

    threading.Thread(target=end_with_input, daemon=True).start()
    code = process.wait()
    with suppress(OSError):  # the rest of its group
        os.killpg(process.pid, signal.SIGKILL)
    return code


def reap(folder: Path) -> None:
    """Kill the processes that use a folder, and remove it, until there is neither.

    Also if the folder was removed already: a process of Ray's that has only just started would make it again.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        users = list(_users(folder))
        for pid in users:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if not users and not folder.exists():
            return
        time.sleep(0.1)


def _users(folder: Path) -> Iterator[int]:
    """Other processes of this user with open files in the folder, or with its name in their command line.

    None where there is no ``/proc``.
    """
    excluded = (os.getpid(), os.getppid())  # the latter is the driver, if it still runs
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with suppress(OSError):
            is_candidate = process.stat().st_uid == os.getuid() and pid not in excluded
            if is_candidate and (_names(process, folder) or _has_open(process, folder)):
                yield pid


def _names(process: Path, folder: Path) -> bool:
    return os.fsencode(folder) in (process / "cmdline").read_bytes()


def _has_open(process: Path, folder: Path) -> bool:
    return any(folder in descriptor.readlink().parents for descriptor in (process / "fd").iterdir())


if __name__ == "__main__":
    if sys.argv[1] == "--run":
        sys.exit(supervise(sys.argv[2:]))
    sys.stdin.buffer.read()
    reap(Path(sys.argv[1]))
