"""Why a search ended."""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """Why a search, or one of its islands, asked for no more candidates; persisted as text.

    Of several reasons, one from each island, the first in this order is that of the search.
    """

    INTERRUPTED = "interrupted"
    """By a person's Ctrl-C, or SIGTERM."""
    CALLBACK = "callback"
    """A callback asked for it; see `nas.run.callbacks`."""
    TARGET = "target"
    """The target score was reached."""
    TIME = "time"
    """The time budget was spent."""
    EPOCHS = "epochs"
    """The epochs of all candidates together were spent."""
    PATIENCE = "patience"
    """So many candidates in a row were no better than the best before."""
    CANDIDATES = "candidates"
    """So many different networks were tried."""
    EXHAUSTED = "exhausted"
    """The space holds no further genome."""
    NEIGHBOURS = "neighbours"
    """Of an island only: another island has ended, and sends no more elites."""
