"""The loop of a search: ask, evaluate, keep weights, record, tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from nas.errors import RunError
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem, plan_cohorts
from nas.evolution import Engine
from nas.execution import Executor, Task
from nas.run.budget import BudgetUsage
from nas.run.stop_reason import StopReason
from nas.run.weights import Weights
from nas.tracking import Tracker

_TASKS = 4
"""Cohorts in flight at once, at least: few enough for cohorts to pay, and enough tasks for four workers."""


def search_loop(
    engine: Engine,
    stream: CandidateStream,
    usage: BudgetUsage,
    trackers: Sequence[Tracker],
    *,
    interrupted: Callable[[], bool],
    end_after_batch: Callable[[], StopReason | None] = lambda: None,
    before_batch: Callable[[], StopReason | None] = lambda: None,
    after_evaluation: Callable[[], None] = lambda: None,
) -> StopReason:
    """Ask for candidates, evaluate them, keep their weights, record and tell their results in order.

    Until some budget is spent, no candidate is left to try, or the search is stopped. Nothing here keeps
    curves or weights of evaluated candidates: memory grows by what the engine keeps.

    Parameters
    ----------
    engine : Engine
    stream : CandidateStream
        The engine's candidates with their evaluations.
    usage : BudgetUsage
        Counts evaluations against the budget.
    trackers : sequence of Tracker
        Called with each evaluation, and after each batch with the generation; the journal is the first.
    interrupted : callable
        Whether to end at once.
    end_after_batch : callable, optional
        Called after each batch; a reason ends the search there, and batches in flight are dropped.
    before_batch : callable, optional
        Called before each further batch; once it returns a reason, no more candidates are asked for, and the
        search ends with that reason after the batches in flight.
    after_evaluation : callable, optional
        Called after each evaluation.
    """
    stop_reason: StopReason | None = None
    drain_reason: StopReason | None = None

    def should_stop() -> bool:
        return interrupted() or usage.out_of_time()

    try:
        stream.ask()
        while stream.pending and stop_reason is None:
            evaluated = stream.next(should_stop)
            if evaluated is None:
                stop_reason = StopReason.TIME
            else:
                candidate, evaluation = evaluated
                # The journal first: what the engine has observed is then on disk, whenever the process is
                # killed.
                for tracker in trackers:
                    tracker.evaluated(candidate, evaluation)
                engine.tell(evaluation.without_curves())
                stop_reason = usage.add(candidate, evaluation)
                after_evaluation()
            if interrupted():
                stop_reason = StopReason.INTERRUPTED
            if stream.ended_batch or stop_reason:
                # Before the generation is recorded: its line on disk means that these weights are there, too.
                stream.sync(usage.evaluations)
                _record_generation(engine, trackers)
            if stream.ended_batch and stop_reason is None:
                stream.forget()
                stop_reason = end_after_batch()
                drain_reason = drain_reason or before_batch()
                if drain_reason is None and stop_reason is None:
                    stream.ask()
        return stop_reason or drain_reason or StopReason.EXHAUSTED
    finally:
        stream.close()


def _record_generation(engine: Engine, trackers: Sequence[Tracker]) -> None:
    generation = engine.generation()
    if generation is not None:
        for tracker in trackers:
            tracker.generation(generation)


class CandidateStream:
    """Candidates in flight: asked for in batches, evaluated in cohorts, returned in the order of their ids.

    Parameters
    ----------
    engine : Engine
    problem : Problem
    executor : Executor
    weights : Weights
        Where the trained weights of candidates are kept for their children.
    n_candidates : int
        The most different networks that are returned.
    recorded : sequence of (Candidate, Evaluation)
        The evaluations that the journal of a resumed search holds: they are returned instead of new ones.

    Attributes
    ----------
    pending : deque of Candidate
        The candidates that were asked for and not yet returned.
    ended_batch : bool
        Whether the candidate that was returned last is the last of its batch.
    """

    def __init__(
        self,
        engine: Engine,
        problem: Problem,
        executor: Executor,
        weights: Weights,
        n_candidates: int,
        recorded: Sequence[tuple[Candidate, Evaluation]] = (),
    ) -> None:
        self._engine, self._problem, self._executor, self._weights = engine, problem, executor, weights
        self._recorded, self._n_recorded = recorded, len(recorded)
        self._n_unasked = n_candidates
        self._batches: deque[list[Candidate]] = deque()
        self._candidates: dict[int, Candidate] = {}
        self._completed: dict[int, Evaluation] = {}
        self._n_synced, self._live = 0, set[int]()
        self.pending: deque[Candidate] = deque()
        self.ended_batch = False

    def ask(self) -> None:
        """Ask for as many batches as may be in flight, and submit those that have to be evaluated."""
        # Also when the budget allows no candidate of them: with a larger budget, a resumed search asks for
        # the same batches, and needs the weights that their candidates start from.
        while self._engine.can_ask and (batch := self._engine.ask()):
            self._batches.append(batch)
            self._candidates |= {candidate.id: candidate for candidate in batch}
            within_budget = self._within_budget(batch)
            self.pending += within_budget
            missing = {candidate.id for candidate in within_budget if candidate.id >= self._n_recorded}
            # Planned for the whole batch, and trained whole even if only some are within the budget: the
            # members of a cohort decide about rounding, and a longer search has to begin with this one.
            n_tasks = -(-_TASKS // self._engine.state.batches_in_flight)
            for cohort in plan_cohorts(batch, self._problem, n_tasks):
                if any(candidate.id in missing for candidate in cohort):
                    self._executor.submit(Task(self._problem, cohort, self._checkpoints(cohort)))

    def _within_budget(self, batch: Sequence[Candidate]) -> list[Candidate]:
        """The candidates of a batch up to the last that the budget allows."""
        within_budget = []
        for candidate in batch:
            if self._n_unasked > 0:
                within_budget.append(candidate)
                self._n_unasked -= candidate.epochs_done == 0
        return within_budget

    def _checkpoints(self, cohort: Sequence[Candidate]) -> dict[int, Checkpoint]:
        return {
            child.id: Checkpoint.for_child(
                child, self._candidates[child.inherits].genome, self._weights.of(child.inherits)
            )
            for child in cohort
            if child.inherits is not None
        }

    def next(self, should_stop: Callable[[], bool]) -> tuple[Candidate, Evaluation] | None:
        """The next candidate with its completed evaluation; None if `should_stop()` comes first.

        The weights of the candidate have been kept when this returns.

        Raises
        ------
        RunError
            If the journal holds another candidate in this place.
        """
        candidate = self.pending[0]
        if candidate.id < self._n_recorded:
            recorded, evaluation = self._recorded[candidate.id]
            if recorded != candidate:
                raise RunError(
                    f"journal: expected candidate {candidate.id} to be {candidate.genome}, got "
                    f"{recorded.genome}; the run was made by a program that searches differently"
                )
        else:
            while candidate.id not in self._completed:
                completed = self._executor.completed(should_stop)
                if completed is None:
                    return None
                self._completed |= {evaluation.candidate_id: evaluation for evaluation in completed}
            evaluation = self._completed.pop(candidate.id)
            if evaluation.states:
                self._weights.keep(candidate.id, evaluation.states)
                evaluation = replace(evaluation, states=())
        self.pending.popleft()
        self.ended_batch = candidate.id == self._batches[0][-1].id
        if self.ended_batch:
            self._batches.popleft()
        return candidate, evaluation

    def sync(self, n_evaluations: int) -> None:
        """Wait until checkpoints of the first `n_evaluations` that children may start from are on disk."""
        self._n_synced, self._live = (
            n_evaluations,
            self._engine.live_checkpoints() | self._parents_in_flight(),
        )
        self._weights.sync(self._live)

    def forget(self) -> None:
        """Delete candidates and weights that no child can start from any more, as of the last `sync`."""
        n_synced, live = self._n_synced, self._live
        self._weights.forget(n_synced, live)
        self._candidates = {
            i: candidate for i, candidate in self._candidates.items() if i >= n_synced or i in live
        }

    def close(self) -> None:
        """End the evaluations in flight."""
        self._executor.drop()

    def _parents_in_flight(self) -> set[int]:
        """Ids of candidates with weights that batches in flight start from."""
        return {child.inherits for batch in self._batches for child in batch if child.inherits is not None}
