"""What can go wrong, as one small tree.

::

    NASError
    ├── InputError          what came from outside is wrong (exit code 2)
    │   ├── DataError       a table, a column, a target
    │   ├── SpaceError      a search space or one of its keys
    │   ├── RunError        a run folder: its name, its place, its contents
    │   │   └── RunningError  its search still runs
    │   └── TrackingError   a tracking server that does not answer
    ├── ExportError         an export that does not compute the same (exit code 1)
    └── SearchError         the search itself failed (exit code 1)
        └── EvaluationError a bug met while evaluating; carries its traceback

Every message is one sentence that names the file, column, key or option, what was expected and
what came. `InputError` is a `ValueError` too, so that scripts may catch either. So are the
`ModelError` and `TableError` of `nas.runtime`, which stands alone and cannot share this tree.
"""

from __future__ import annotations


class NASError(Exception):
    """Anything that this package raises on purpose."""


class InputError(NASError, ValueError):
    """Something that came from outside is wrong."""


class DataError(InputError):
    """A table, column or target that cannot be learned from."""


class SpaceError(InputError):
    """A search space that contradicts itself or does not fit the data."""


class RunError(InputError):
    """A run folder that cannot be created, found or continued."""


class RunningError(RunError):
    """A run that another process is at."""


class TrackingError(InputError):
    """A tracking store that cannot be reached."""


class ExportError(NASError):
    """An export that does not compute what its network computes."""


class SearchError(NASError):
    """A search that ended without a usable network."""


class EvaluationError(SearchError):
    """A bug met while evaluating a candidate; the message holds its traceback."""
