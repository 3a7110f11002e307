"""One run, from a table to a result: start, search, select, train, conclude."""

from nas.run.callbacks import Callback, CallbackContext
from nas.run.entry import debug, resume, search
from nas.run.exporting import export_network
from nas.run.labelled import LabelledScores, evaluate
from nas.run.reproduction import Reproduction
from nas.run.result import SearchResult
from nas.run.synchronization import Synced, sync

__all__ = [
    "Callback",
    "CallbackContext",
    "LabelledScores",
    "Reproduction",
    "SearchResult",
    "Synced",
    "debug",
    "evaluate",
    "export_network",
    "resume",
    "search",
    "sync",
]
