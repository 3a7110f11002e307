"""Measurements for the plan of a search with a time budget, between two evaluations."""

from __future__ import annotations

import os

from nas.evolution import Engine, Individual
from nas.execution import Executor
from nas.run.context import SearchContext
from nas.run.schedule import Plan, piece_of_work, seconds_without
from nas.run.winner import refit_epochs, seconds_of_epoch

_SPEED_EVERY, _REFIT_EVERY = 0.04, 0.15
"""Shares of the budget between two measurements of the machine's speed, and of the final training."""

_REFIT_FROM = 0.5
"""Share of the budget from which on the best candidate's final training is measured: it may win."""

_REFIT_MOST = 0.03
"""Share of the budget that an epoch may take to be measured; of longer epochs there is no time for many."""


class Gauge:
    """Measures how fast this machine is at the moment, and how long the final training will take.

    Parameters
    ----------
    plan : Plan
    context : SearchContext or None
        None where the final training is not in this process: it is estimated from the candidates then.
    engine : Engine
        Of the search.
    executor : Executor
    """

    def __init__(self, plan: Plan, context: SearchContext | None, engine: Engine, executor: Executor) -> None:
        self._plan, self._context, self._engine, self._executor = plan, context, engine, executor
        self._next_speed, self._next_refit = 0.0, _REFIT_FROM

    def measure(self) -> None:
        """Measure what is due; nothing without a time budget."""
        deadline, best = self._plan.deadline, self._engine.best
        if deadline.seconds is None:
            return
        share = deadline.elapsed() / deadline.seconds
        if share >= self._next_speed:
            self._next_speed = share + _SPEED_EVERY
            self._plan.measured_speed(seconds_without(piece_of_work, self._busy))
        if best is None or not self._plan.last_work.n_refits:
            return
        self._plan.expect_refit(refit_epochs(best))
        expected = self._plan.refit_seconds_per_epoch
        if (
            share >= self._next_refit
            and self._context is not None
            and expected < _REFIT_MOST * deadline.seconds
        ):
            self._next_refit = share + _REFIT_EVERY
            self._plan.measured_refit(self._seconds_of_epoch(best))

    @property
    def _busy(self) -> float:
        return self._executor.n_active / (os.cpu_count() or 1)

    def _seconds_of_epoch(self, best: Individual) -> float:
        assert self._context is not None, "the final training is in this process"
        n = self._context.settings.members
        return seconds_of_epoch(self._context.prepared, best.candidate, n, self._busy)
