"""Measurements for the plan of a search with a time budget, between two evaluations."""

from __future__ import annotations

import os
from collections import deque
from statistics import fmean

from nas.evaluation import Problem
from nas.evolution import Engine
from nas.execution import Executor
from nas.execution.gradual import GradualExecutor
from nas.run.context import SearchContext
from nas.run.deadline import Plan
from nas.run.speed import piece_of_work, processor_seconds, slowdown
from nas.run.winner import n_members, refit_epochs, seconds_of_epoch

_SPEED_EVERY, _REFIT_EVERY = 0.04, 0.15
"""Shares of the budget between two measurements of the machine's speed, and of the final training."""

_REFIT_FROM = 0.2
"""Share of the budget from which on the best candidate's final training is measured: others may follow, but
an estimate from the candidates' own trainings is several times too long or too short."""

_REFIT_MOST = 0.03
"""Share of the budget that an epoch may take to be measured; of longer epochs there is no time for many."""


_SLOWDOWNS = 8
"""Measurements of the load that are averaged: a single one is a matter of luck."""


class Gauge:
    """Measures how fast this machine is at the moment, and how long what follows the search will take.

    Parameters
    ----------
    plan : Plan
    problem : Problem
    context : SearchContext or None
        None where the final training is not in this process: it is estimated from the candidates then.
    engine : Engine
        Of the search.
    executor : Executor
    """

    def __init__(
        self, plan: Plan, problem: Problem, context: SearchContext | None, engine: Engine, executor: Executor
    ) -> None:
        self._plan, self._problem, self._context = plan, problem, context
        self._engine, self._executor = engine, executor
        self._next_speed, self._next_refit = 0.0, _REFIT_FROM
        self._slowdowns: deque[float] = deque(maxlen=_SLOWDOWNS)
        self._refit_pace: float | None = None

    def measure(self) -> None:
        """Measure what is due; without a time budget, once, for the time that the screen shows."""
        deadline, best = self._plan.deadline, self._engine.best
        share = deadline.elapsed() / deadline.seconds if deadline.seconds is not None else 0.0
        if isinstance(self._executor, GradualExecutor):
            self._plan.n_workers = self._executor.n_workers
        if share >= self._next_speed:
            self._next_speed = share + _SPEED_EVERY
            # The single measurement without a budget is beside Ray's start, which says nothing of the end.
            busy = self._executor.n_active / (os.cpu_count() or 1)
            self._slowdowns.append(1.0 if deadline.seconds is None else slowdown(busy))
            self._plan.measured_speed(processor_seconds(piece_of_work) * self._slowdown)
            if self._refit_pace is not None:
                self._plan.measured_refit(self._refit_pace * self._slowdown)
        if best is None:
            return
        training = self._problem.training
        n_epochs = min(training.epochs, best.age + (training.patience or training.epochs))
        self._plan.expect_scoring(n_epochs * max(1, self._problem.n_folds))
        self._plan.expect_refit(refit_epochs(best))
        is_due = share >= self._next_refit and self._plan.last_work.n_refits > 0
        if deadline.seconds is None or self._context is None or not is_due:
            return
        if self._plan.refit_seconds_per_epoch < _REFIT_MOST * deadline.seconds:
            self._next_refit = share + _REFIT_EVERY
            n = n_members(self._context.settings, self._context.prepared)
            self._refit_pace = seconds_of_epoch(self._context.prepared, best.candidate, n)
            self._plan.measured_refit(self._refit_pace * self._slowdown)

    @property
    def _slowdown(self) -> float:
        return fmean(self._slowdowns)
