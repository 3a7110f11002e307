"""The report of a search, made in a process of its own: beside MLflow's last writing, and to be ended."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from nas.execution.beside import Beside, BesideError
from nas.tracking.folder import RunFolder
from nas.tracking.shown import command

_log = logging.getLogger(__name__)

_MODULES = (
    "nas.reporting.figures",  # before matplotlib, as it sets the folder of matplotlib's files
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "nas.reporting",
    "scipy.stats",
    "sklearn.ensemble",
)
"""What a report imports, which takes seconds."""


class ReportProcess:
    """Makes the report of a run.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._process: Beside | None = None

    def prepare(self) -> None:
        """Start the process with its imports, while the search goes on."""
        if self._process is None:
            with contextlib.suppress(OSError):
                self._process = Beside(_MODULES)

    def make(self, interrupted: Callable[[], bool], is_late: Callable[[], bool]) -> None:
        """Write the report, or log why there is none: no search fails because of a picture."""
        path = self._folder.path
        self.prepare()
        process, self._process = self._process, None
        if process is None:
            _log.warning("%s: no report, as no process could be started; the search is complete", path)
            return
        try:
            process.call("nas.reporting:report", str(path))
            if process.result(lambda: interrupted() or is_late()) is None:
                for file in path.glob(f"**/.*.{process.pid}"):
                    file.unlink(missing_ok=True)
                reason = "it was interrupted" if interrupted() else "the time was up"
                _log.warning("%s: no report, as %s; to make it: %s", path, reason, command("report", path))
        except BesideError as error:
            _log.warning("%s: no report, because: %s; the search is complete", path, error)

    def close(self) -> None:
        """End the process, if no report was asked for."""
        if self._process is not None:
            self._process.close()
            self._process = None
