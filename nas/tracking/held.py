"""The exclusive access to a run that is over: its lock, and its journals, opened under the lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nas.errors import RunningError
from nas.tracking.archive import RunArchive
from nas.tracking.folder import RunFolder
from nas.tracking.journal import Journal
from nas.tracking.lock import RunLock

_PATIENCE = 15.0
"""Seconds to wait for the processes of a killed search that write the journals of a run's parts.

They notice within a few seconds that the search is gone, and finish the batch in progress before.
"""


@contextmanager
def locked_journals(folder: RunFolder) -> Iterator[list[Journal]]:
    """Lock a run that is over, and open its journals, one for each part.

    Raises
    ------
    RunningError
        If the search still runs.
    RunError
        If there is no such run.
    """
    _ = RunArchive(folder).config  # raises where this is no run, before a lock file is made
    with ExitStack() as stack:
        stack.callback(RunLock(folder.path).release)
        deadline = time.monotonic() + _PATIENCE
        journals = []
        for part in folder.parts:
            journals.append(_journal(part.journal, deadline if part != folder else 0.0))
            stack.callback(journals[-1].close)
        yield journals


def _journal(path: Path, deadline: float) -> Journal:
    """Open a journal; wait until the deadline for a process that still writes to it."""
    while True:
        try:
            return Journal(path)
        except RunningError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
