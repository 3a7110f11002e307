"""A run that is held to be written to: its lock, and its journals under it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nas.errors import RunningError
from nas.tracking.folder import RunFolder
from nas.tracking.journal import Journal
from nas.tracking.lock import RunLock

_PATIENCE = 15.0
"""Seconds that the islands of a killed driver may outlive it, which write their journals themselves."""


@contextmanager
def locked_journals(folder: RunFolder) -> Iterator[list[Journal]]:
    """The lock of a run that is over, and its journals.

    Raises
    ------
    RunningError
        If it is not over.
    RunError
        If there is no such run.
    """
    folder.config()
    with ExitStack() as stack:
        stack.callback(RunLock(folder.path).release)
        until = time.monotonic() + _PATIENCE
        journals = []
        for part in folder.parts:
            journals.append(_journal(part.journal, until if part != folder else 0.0))
            stack.callback(journals[-1].close)
        yield journals


def _journal(path: Path, until: float) -> Journal:
    while True:
        try:
            return Journal(path)
        except RunningError:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)
