"""The loop of a search: ask, run, keep, take down, tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from nas.errors import RunError
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem, plan_cohorts
from nas.evolution import Engine
from nas.execution import Executor, Task
from nas.run.budget import Spent
from nas.run.weights import Weights
from nas.tracking import Tracker

_TASKS = 4
"""Cohorts under way at once, at least: few enough that cohorts are worth it, and work for four workers."""


def run_search(
    engine: Engine,
    problem: Problem,
    executor: Executor,
    trackers: Sequence[Tracker],
    weights: Weights,
    spent: Spent,
    interrupted: Callable[[], bool],
    recorded: Sequence[tuple[Candidate, Evaluation]] = (),
    *,
    between: Callable[[], str | None] = lambda: None,
) -> str:
    """Ask for candidates, run them, keep their weights, take down and tell their results in order.

    Until something of the budget is spent: returns what, "exhausted" where nothing is left to try, or
    "interrupted". What is in `recorded`, from an earlier life of the search, is taken from there. `between`
    is called before each further batch; once it says why, nothing is asked for any more.

    Nothing here keeps curves or weights of who was told: memory grows by what the engine remembers.
    """
    flow = _Flow(engine, problem, executor, weights, spent.budget.candidates, recorded)
    why: str | None = None
    over: str | None = None

    def should_stop() -> bool:
        return interrupted() or spent.out_of_time()

    try:
        flow.ask()
        while flow.waiting and why is None:
            evaluated = flow.next(should_stop)
            if evaluated is None:
                why = "time"
            else:
                candidate, evaluation = evaluated
                # The journal first: what the engine knows is then on disk, wherever this is killed.
                for tracker in trackers:
                    tracker.evaluated(candidate, evaluation)
                engine.tell(evaluation.without_curves())
                why = spent.add(candidate, evaluation)
            if interrupted():
                why = "interrupted"
            if flow.ended_batch or why:
                # The journal comes after: its lines on the disk mean that these weights are there, too.
                flow.sync(spent.evaluations)
                _tell_generation(engine, trackers)
            if flow.ended_batch and why is None:
                flow.forget()
                over = over or between()
                if over is None:
                    flow.ask()
        return why or over or "exhausted"
    finally:
        executor.drop()


def _tell_generation(engine: Engine, trackers: Sequence[Tracker]) -> None:
    generation = engine.generation()
    if generation is not None:
        for tracker in trackers:
            tracker.generation(generation)


class _Flow:
    """Candidates on their way: asked in batches, run in cohorts, handed out in the order of their ids.

    Attributes
    ----------
    waiting : deque of Candidate
        Those that have been asked for and whose turn has not come.
    ended_batch : bool
        Whether the last one handed out was the last of its batch.
    """

    def __init__(
        self,
        engine: Engine,
        problem: Problem,
        executor: Executor,
        weights: Weights,
        n_candidates: int,
        recorded: Sequence[tuple[Candidate, Evaluation]],
    ) -> None:
        self._engine, self._problem, self._executor, self._weights = engine, problem, executor, weights
        self._recorded, self._n_recorded = recorded, len(recorded)
        self._left = n_candidates
        self._batches: deque[list[Candidate]] = deque()
        self._genomes: dict[int, Candidate] = {}
        self._early: dict[int, Evaluation] = {}
        self._told, self._kept = 0, set[int]()
        self.waiting: deque[Candidate] = deque()
        self.ended_batch = False

    def ask(self) -> None:
        """Ask for as many batches as may be under way, and submit what has to be run of them."""
        # Also when the budget holds none of them: with a larger one, a resumed search asks for the same,
        # and needs the weights that they inherit.
        while self._engine.can_ask and (batch := self._engine.ask()):
            self._batches.append(batch)
            self._genomes |= {candidate.id: candidate for candidate in batch}
            wanted = self._wanted(batch)
            self.waiting += wanted
            missing = {candidate.id for candidate in wanted if candidate.id >= self._n_recorded}
            # Planned for the whole batch, and trained whole even if only some are wanted: who is in a
            # cohort decides about rounding, and a longer search has to begin with this one.
            n_tasks = -(-_TASKS // self._engine.batches_in_flight)
            for cohort in plan_cohorts(batch, self._problem, n_tasks):
                if any(one.id in missing for one in cohort):
                    self._executor.submit(Task(self._problem, cohort, self._checkpoints(cohort)))

    def _wanted(self, batch: Sequence[Candidate]) -> list[Candidate]:
        """Those of a batch up to the last candidate that the budget holds."""
        wanted = []
        for candidate in batch:
            if self._left > 0:
                wanted.append(candidate)
                self._left -= candidate.epochs_done == 0
        return wanted

    def _checkpoints(self, cohort: Sequence[Candidate]) -> dict[int, Checkpoint]:
        return {
            one.id: Checkpoint.for_child(
                one, self._genomes[one.inherits].genome, self._weights.of(one.inherits)
            )
            for one in cohort
            if one.inherits is not None
        }

    def next(self, should_stop: Callable[[], bool]) -> tuple[Candidate, Evaluation] | None:
        """The next candidate with its evaluation, once there is one; None if it is time to stop.

        Its weights have been kept then.
        """
        candidate = self.waiting[0]
        if candidate.id < self._n_recorded:
            known, evaluation = self._recorded[candidate.id]
            if known != candidate:
                raise RunError(
                    f"journal: expected candidate {candidate.id} to be {candidate.genome}, got "
                    f"{known.genome}; the run was made by a program that searches differently"
                )
        else:
            while candidate.id not in self._early:
                completed = self._executor.completed(should_stop)
                if completed is None:
                    return None
                self._early |= {one.candidate_id: one for one in completed}
            evaluation = self._early.pop(candidate.id)
            if evaluation.state is not None:
                self._weights.keep(candidate.id, evaluation.state)
                evaluation = replace(evaluation, state=None)
        self.waiting.popleft()
        self.ended_batch = candidate.id == self._batches[0][-1].id
        if self.ended_batch:
            self._batches.popleft()
        return candidate, evaluation

    def sync(self, told: int) -> None:
        """Wait until weights that may be inherited, of the first `told` candidates, are on the disk."""
        self._told, self._kept = told, self._engine.live_checkpoints() | self._ancestors()
        self._weights.sync(self._kept)

    def forget(self) -> None:
        """Forget whom nobody inherits from any more, as of the last `sync`, and their weights."""
        told, kept = self._told, self._kept
        self._weights.forget(told, kept)
        self._genomes = {i: one for i, one in self._genomes.items() if i >= told or i in kept}

    def _ancestors(self) -> set[int]:
        """Those whose weights are needed by batches that are not over, should they be run again."""
        return {one.inherits for batch in self._batches for one in batch if one.inherits is not None}
