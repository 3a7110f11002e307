"""Which candidates still lack their MLflow run, and writing these runs in batches."""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from nas.evaluation import Candidate, Evaluation
from nas.tracking.choice import ChildChoice
from nas.tracking.journal import Pair
from nas.tracking.tracker import RunInfo

if TYPE_CHECKING:
    from nas.tracking.mlflow_view import View

BATCH = 50
"""Runs that are written at once. Of SQLite's time for a single one, nine tenths are the transaction's."""

_PAUSE = 3.0
"""Seconds after which fewer are written, too: what MLflow's pages show of a slow search is that old."""


class CandidateRuns:
    """The child runs of a search: candidates wait here until they are written.

    Parameters
    ----------
    policy : str
        A `TrackPolicy` or its text.
    """

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._choice = ChildChoice(policy)
        self._ids = array("q")
        self._waiting: deque[int] = deque()
        self._written_at = time.monotonic()
        self._seconds_each = math.nan
        self._run: RunInfo | None = None

    @property
    def n_evaluated(self) -> int:
        """Number of candidates that were evaluated."""
        return len(self._ids)

    def started(self, run: RunInfo) -> None:
        """Receive the search before its first candidate."""
        self._run = run
        self._choice = ChildChoice(self._policy, run.n_candidates)

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Receive an evaluated candidate."""
        self._ids.append(candidate.id)
        if self._choice.add(candidate, evaluation):
            self._waiting.append(candidate.id)

    def ended(self, winner: Candidate | None) -> None:
        """Receive the end of the search: now the candidates are known that are chosen in view of all."""
        self._waiting.extend(self._choice.rest(winner))

    def write_batches(self, view: View) -> None:
        """Write full batches; a smaller one only if the last was written a while ago."""
        if len(self._waiting) >= BATCH or time.monotonic() - self._written_at > _PAUSE:
            self.write(view, lambda: len(self._waiting) < BATCH)

    def write(self, view: View, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Write all that wait, until `should_stop`; what the store does not take waits on, as the last."""
        while self._waiting:
            n = min(BATCH, len(self._waiting))
            since = time.monotonic()
            # Not a slice: the search's thread appends meanwhile, which an iterator does not survive.
            numbers = dict.fromkeys(self._waiting[i] for i in range(n))
            try:
                view.add_children(list(self._pairs(numbers)))
            except BaseException:
                self._waiting.extend(numbers)  # the last: a run that the store refuses holds up no other
                raise
            finally:
                for _ in range(n):
                    self._waiting.popleft()
            self._written_at = time.monotonic()
            self._seconds_each = (self._written_at - since) / n
            if should_stop():
                return

    def seconds_left(self) -> float:
        """Estimate how long it takes to write what waits; NaN where that is unknown, or nothing waits."""
        return len(self._waiting) * self._seconds_each or math.nan

    def pairs(self) -> Iterator[Pair]:
        """Yield all candidates with their evaluations, read from the journal."""
        return self._pairs(self._ids)

    def _pairs(self, ids: Iterable[int]) -> Iterator[Pair]:
        """Yield candidates and their evaluations from the journal."""
        assert self._run is not None, "started comes first"
        assert self._run.pair is not None, "a search gives access to its journal"
        return map(self._run.pair, ids)
