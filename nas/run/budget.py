"""What a search has spent, compared with its budget."""

from __future__ import annotations

import math
import time

from nas.evaluation import Candidate, Evaluation
from nas.run.deadline import Deadline, Plan
from nas.run.stop_reason import StopReason
from nas.settings.budget import Budget

__all__ = ["Budget", "BudgetUsage"]


class BudgetUsage:
    """What has been spent of a budget so far.

    Parameters
    ----------
    budget : Budget
    n_recorded : int
        Evaluations in the journal when the search was resumed: they are all taken in, whatever the time.
    plan : Plan, optional
        When the search has to end; by default when the budget's seconds have passed from now on.

    Attributes
    ----------
    budget : Budget
    plan : Plan
    evaluations, candidates, epochs, failures : int
        A candidate with continued training has several evaluations, and counts as a single candidate.
    first_failure : str, optional
        The error of the first candidate that failed.
    """

    def __init__(self, budget: Budget, n_recorded: int = 0, plan: Plan | None = None) -> None:
        self.budget = budget
        self.plan = Plan(Deadline(budget.seconds, time.monotonic())) if plan is None else plan
        self._n_recorded = n_recorded
        self.evaluations = self.candidates = self.epochs = self.failures = 0
        self.first_failure: str | None = None
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
    def is_behind(self) -> bool:
        """Whether the journal of a resumed search holds evaluations that were not replayed yet."""
        return self.evaluations < self._n_recorded

    def out_of_time(self) -> bool:
        """Whether the search has to end; without a candidate, so that a short training is still possible."""
        if self.is_behind:
            return False
        return self.plan.is_late(self.plan.search_until if self.evaluations else self.plan.search_until_first)

    def add(self, candidate: Candidate, evaluation: Evaluation) -> StopReason | None:
        """Count the next evaluation; the reason why the search ends with it, if it does."""
        budget = self.budget
        self.evaluations += 1
        self.candidates += candidate.epochs_done == 0
        self.epochs += evaluation.n_network_epochs
        self.plan.observe(evaluation.seconds, evaluation.n_network_epochs)
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
