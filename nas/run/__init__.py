"""One run, from a table to a result: the loop of the search, and what surrounds it."""

from nas.run.entry import debug, resume, search
from nas.run.reproduction import Reproduction
from nas.run.result import SearchResult

__all__ = ["Reproduction", "SearchResult", "debug", "resume", "search"]
