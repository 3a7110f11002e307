"""What a search has spent, compared with its budget."""

from __future__ import annotations

import math
import time

from nas.evaluation import Candidate, Evaluation
from nas.settings.budget import Budget

__all__ = ["Budget", "Spent"]


class Spent:
    """What a search has spent of its budget so far.

    Parameters
    ----------
    budget : Budget
    n_known : int
        Evaluations that the journal of a resumed search holds: the clock starts after them.

    Attributes
    ----------
    budget : Budget
    evaluations, candidates, epochs, failures : int
        A candidate with continued training has several evaluations, and counts as a single candidate.
    first_failure : str, optional
        The error message of the first failed evaluation.
    """

    def __init__(self, budget: Budget, n_known: int = 0) -> None:
        self.budget = budget
        self._n_known = n_known
        self.evaluations = self.candidates = self.epochs = self.failures = 0
        self.first_failure: str | None = None
        self._since = time.monotonic()
        self._n_without_gain = 0
        self._best = -math.inf

    def include(self, island: Spent) -> None:
        """Add the counts of another island."""
        self.evaluations += island.evaluations
        self.candidates += island.candidates
        self.epochs += island.epochs
        self.failures += island.failures
        self.first_failure = self.first_failure or island.first_failure

    @property
    def seconds(self) -> float:
        """Seconds since the clock started; 0 while recorded evaluations are replayed."""
        return 0.0 if self.is_behind else time.monotonic() - self._since

    @property
    def is_behind(self) -> bool:
        """Whether recorded evaluations are still being replayed."""
        return self.evaluations < self._n_known

    def out_of_time(self) -> bool:
        """Whether the time budget is spent; never before the first candidate is finished."""
        limit = self.budget.seconds
        return limit is not None and self.evaluations > 0 and self.seconds >= limit

    def add(self, candidate: Candidate, evaluation: Evaluation) -> str | None:
        """Count the next evaluation.

        Returns
        -------
        str or None
            The limit that it reached: "target", "candidates", "epochs", "patience" or "time".
        """
        budget = self.budget
        self.evaluations += 1
        if self.evaluations == self._n_known:
            self._since = time.monotonic()
        self.candidates += candidate.epochs_done == 0
        self.epochs += evaluation.n_epochs
        if evaluation.failed:
            self.failures += 1
            self.first_failure = self.first_failure or evaluation.error
        improved = not evaluation.failed and evaluation.fitness > self._best
        self._n_without_gain = 0 if improved else self._n_without_gain + 1
        if improved:
            self._best = evaluation.fitness
        if budget.target is not None and self._best >= budget.target:
            return "target"
        if self.candidates >= budget.candidates:
            return "candidates"
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return "epochs"
        if budget.patience is not None and self._n_without_gain >= budget.patience:
            return "patience"
        return "time" if self.out_of_time() else None
