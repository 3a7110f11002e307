"""The exceptions that this package raises on purpose, as a tree.

::

    NASError
    ├── InputError          the caller's input is wrong (exit code 2)
    │   ├── DataError       a table, a column, a target
    │   ├── SpaceError      a search space or one of its keys
    │   ├── RunError        a run folder: its name, its place, its contents
    │   │   └── RunningError  another process searches in it
    │   └── TrackingError   a tracking store that does not answer
    ├── ExportError         an export that does not compute the same (exit code 1)
    └── SearchError         the search itself failed (exit code 1)
        └── EvaluationError a bug met while evaluating; holds its traceback

Every message is one sentence that names the file, column, key or option, what was expected and
what came. `InputError` is a `ValueError` too, so that scripts may catch either. So are the
`ModelError` and `TableError` of `nas.runtime`, which imports nothing but NumPy and cannot share this tree.
"""

from __future__ import annotations

from collections.abc import Iterable


class NASError(Exception):
    """Base class of all exceptions that this package raises on purpose."""


class InputError(NASError, ValueError):
    """The caller's input is wrong: an argument, an option, a file."""

    def _render_traceback_(self) -> list[str]:
        """What IPython and notebooks show: the sentence, which names the argument or file to mend."""
        return [f"{type(self).__name__}: {self}"]


class DataError(InputError):
    """A table, column or target that cannot be learned from."""


class SpaceError(InputError):
    """A search space that contradicts itself or does not fit the data."""


class RunError(InputError):
    """A run folder that cannot be created, found or continued."""


class RunningError(RunError):
    """A run in which another process still searches."""


class TrackingError(InputError):
    """A tracking store that cannot be reached."""


class ExportError(NASError):
    """An export that does not compute what its network computes."""


class SearchError(NASError):
    """A search that ended without a usable network."""


class EvaluationError(SearchError):
    """A bug met while evaluating a candidate; the message holds its traceback."""


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The word that was probably meant, as the end of a message; empty if none resembles it."""
    import difflib  # only once something is wrong

    similar = difflib.get_close_matches(word, list(words), n=1, cutoff=0.7)
    return f"; did you mean {similar[0]}?" if similar else ""
