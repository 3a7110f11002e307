"""One run, from a table to a result: the loop of the search, and what surrounds it."""

from nas.run.entry import resume, search
from nas.run.result import SearchResult

__all__ = ["SearchResult", "resume", "search"]
