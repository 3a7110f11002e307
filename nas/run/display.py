"""The display of a search, which is on the screen before its data is read."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from nas import screen

if TYPE_CHECKING:
    from nas.tracking.progress import ProgressDisplay


def display(progress: bool) -> AbstractContextManager[ProgressDisplay | None]:
    """A context in which progress is shown on standard error, in a notebook's output, or is not."""
    if not progress:
        screen.end()
        return nullcontext()
    # Importing rich takes a tenth of a second.
    from nas.tracking.notebook import NotebookDisplay, notebook_output
    from nas.tracking.progress import ProgressDisplay

    show = notebook_output()
    return ProgressDisplay(sys.stderr) if show is None else NotebookDisplay(show)
