"""What a search has spent, compared with its budget."""

from __future__ import annotations

import math
import time

from nas.evaluation import Candidate, Evaluation
from nas.run.stop_reason import StopReason
from nas.settings.budget import Budget

__all__ = ["Budget", "BudgetUsage"]


class BudgetUsage:
    """What has been spent of a budget so far.

    Parameters
    ----------
    budget : Budget
    n_recorded : int
        Evaluations in the journal when the search was resumed: the clock starts after them.

    Attributes
    ----------
    budget : Budget
    evaluations, candidates, epochs, failures : int
        A candidate with continued training has several evaluations, and counts as a single candidate.
    first_failure : str, optional
        The error of the first candidate that failed.
    """

    def __init__(self, budget: Budget, n_recorded: int = 0) -> None:
        self.budget = budget
        self._n_recorded = n_recorded
        self.evaluations = self.candidates = self.epochs = self.failures = 0
        self.first_failure: str | None = None
        self._since = time.monotonic()
        self._n_without_improvement = 0
        self._best = -math.inf

    def include(self, part: BudgetUsage) -> None:
        """Add the counts of a part of the search."""
        self.evaluations += part.evaluations
        self.candidates += part.candidates
        self.epochs += part.epochs
        self.failures += part.failures
        self.first_failure = self.first_failure or part.first_failure

    @property
    def seconds(self) -> float:
        """Seconds since the clock started."""
        return 0.0 if self.is_behind else time.monotonic() - self._since

    @property
    def is_behind(self) -> bool:
        """Whether the journal of a resumed search holds evaluations that were not replayed yet."""
        return self.evaluations < self._n_recorded

    def out_of_time(self) -> bool:
        """Whether the time is spent; never before the first candidate is finished."""
        limit = self.budget.seconds
        return limit is not None and self.evaluations > 0 and self.seconds >= limit

    def add(self, candidate: Candidate, evaluation: Evaluation) -> StopReason | None:
        """Count the next evaluation; the reason why the search ends with it, if it does."""
        budget = self.budget
        self.evaluations += 1
        if self.evaluations == self._n_recorded:
            self._since = time.monotonic()
        self.candidates += candidate.epochs_done == 0
        self.epochs += evaluation.n_network_epochs
        if evaluation.failed:
            self.failures += 1
            self.first_failure = self.first_failure or evaluation.error
        is_better = not evaluation.failed and evaluation.fitness > self._best
        self._n_without_improvement = 0 if is_better else self._n_without_improvement + 1
        if is_better:
            self._best = evaluation.fitness
        if budget.target is not None and self._best >= budget.target:
            return StopReason.TARGET
        if self.candidates >= budget.candidates:
            return StopReason.CANDIDATES
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return StopReason.EPOCHS
        if budget.patience is not None and self._n_without_improvement >= budget.patience:
            return StopReason.PATIENCE
        return StopReason.TIME if self.out_of_time() else None
