"""When a search ends: candidates, epochs, time, a target, patience."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from nas.evaluation import Candidate, Evaluation


@dataclass(frozen=True)
class Budget:
    """What a search may spend; it ends with whatever is spent first.

    All but `seconds` are decided by the evaluations in their order, and so the same in every run.

    Attributes
    ----------
    candidates : int
        Different networks.
    epochs : int, optional
        Of training, of all candidates together.
    seconds : float, optional
        After start-up; the first candidate is always finished.
    target : float, optional
        The validation score that is good enough.
    patience : int, optional
        Candidates in a row, continued ones included, that were no better than the best before.
    """

    candidates: int
    epochs: int | None = None
    seconds: float | None = None
    target: float | None = None
    patience: int | None = None

    def divided(self, n: int) -> Budget:
        """The share of each of `n` islands, rounded up: of candidates and epochs; all else is for each."""
        epochs = None if self.epochs is None else -(-self.epochs // n)
        return replace(self, candidates=-(-self.candidates // n), epochs=epochs)


class Spent:
    """What has been spent of a budget so far, and in vain.

    Parameters
    ----------
    budget : Budget
    n_known : int
        Evaluations of an earlier life of the search: the clock starts after them.

    Attributes
    ----------
    budget : Budget
    evaluations, candidates, epochs, failures : int
        Candidates are different networks: who goes on is evaluated again, and counts once.
    first_failure : str, optional
        Why the first of those who failed did.
    """

    def __init__(self, budget: Budget, n_known: int = 0) -> None:
        self.budget = budget
        self._n_known = n_known
        self.evaluations = self.candidates = self.epochs = self.failures = 0
        self.first_failure: str | None = None
        self._since = time.monotonic()
        self._in_vain = 0
        self._best = -math.inf

    def include(self, other: Spent) -> None:
        """Add what another one has counted."""
        self.evaluations += other.evaluations
        self.candidates += other.candidates
        self.epochs += other.epochs
        self.failures += other.failures
        self.first_failure = self.first_failure or other.first_failure

    @property
    def seconds(self) -> float:
        """Since the clock started."""
        return 0.0 if self.is_behind else time.monotonic() - self._since

    @property
    def is_behind(self) -> bool:
        """Whether an earlier life of the search has come further."""
        return self.evaluations < self._n_known

    def out_of_time(self) -> bool:
        """Whether the time is up; never before the first candidate is finished."""
        limit = self.budget.seconds
        return limit is not None and self.evaluations > 0 and self.seconds >= limit

    def add(self, candidate: Candidate, evaluation: Evaluation) -> str | None:
        """Take down the next evaluation; why the search has to end with it, if it has to."""
        budget = self.budget
        self.evaluations += 1
        if self.evaluations == self._n_known:
            self._since = time.monotonic()
        self.candidates += candidate.epochs_done == 0
        self.epochs += evaluation.n_epochs
        if evaluation.failed:
            self.failures += 1
            self.first_failure = self.first_failure or evaluation.error
        better = not evaluation.failed and evaluation.fitness > self._best
        self._in_vain = 0 if better else self._in_vain + 1
        if better:
            self._best = evaluation.fitness
        if budget.target is not None and self._best >= budget.target:
            return "target"
        if self.candidates >= budget.candidates:
            return "candidates"
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return "epochs"
        if budget.patience is not None and self._in_vain >= budget.patience:
            return "patience"
        return "time" if self.out_of_time() else None
