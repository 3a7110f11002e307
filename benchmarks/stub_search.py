"""A search of which only the training is replaced: logical workers evaluate candidates by a formula."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import Silent
from nas.data import load_dataset
from nas.evaluation import Candidate, Evaluation, Problem
from nas.evolution import ALGORITHMS, recipe
from nas.execution import Task
from nas.network import State
from nas.run.budget import Budget, BudgetUsage
from nas.run.loop import CandidateStream, search_loop
from nas.run.preparation import prepare
from nas.run.weights import Weights
from nas.space import cost_model, encodings_of, load_space
from nas.tracking import Outcome, RunInfo, Tracker
from nas.tracking.journal import Journal

_SPACE = "deep"
_EPOCHS = 100
_NOISE = np.random.default_rng(0).random(10_000).round(6)
_LUCK = np.random.default_rng(1).normal(0, 0.005, 10_007).tolist()
_LAG_A_WORKER = 1 / 4
"""Batches under way for each logical worker, at least 2: a first batch has four candidates."""


class _Logical:
    """An executor of logical workers that know the fitness of a genome without training it."""

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._waiting: deque[Task] = deque()
        self._running: list[Task] = []
        self._rng = random.Random(0)

    @property
    def n_active(self) -> int:
        """See `Executor.n_active`."""
        return 0

    def hold(self, problem: Problem) -> Problem:
        """See `Executor.hold`; itself."""
        return problem

    def submit(self, task: Task) -> None:
        """See `Executor.submit`."""
        self._waiting.append(task)

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """See `Executor.completed`; any busy worker is the next to end."""
        if should_stop():
            return None
        while self._waiting and len(self._running) < self._n_workers:
            self._running.append(self._waiting.popleft())
        i = self._rng.randrange(len(self._running))
        self._running[i], self._running[-1] = self._running[-1], self._running[i]
        return [_judged(candidate) for candidate in self._running.pop().cohort]

    def release(self, problem: Problem) -> None:
        """See `Executor.release`; there is none."""

    def drop(self) -> None:
        """See `Executor.drop`."""
        self._waiting.clear()
        self._running.clear()

    def retire(self) -> None:
        """See `Executor.retire`."""

    def __enter__(self) -> _Logical:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def _judged(candidate: Candidate) -> Evaluation:
    """Best at two layers of 64, with more epochs, and with some luck."""
    genome, epochs = candidate.genome, candidate.epochs or _EPOCHS
    doublings = sum(abs(math.log2(width / 64)) for width in genome.widths)
    luck = _LUCK[candidate.seed % len(_LUCK)]
    fitness = 0.95 - 0.02 * abs(genome.depth - 2) - 0.01 * doublings - 0.2 / epochs + luck
    n_epochs = epochs - candidate.epochs_done
    start = candidate.id % (len(_NOISE) - 3 * n_epochs)
    # Numbers of its own, as those of a real candidate are: what keeps them shows in the memory.
    curves = tuple(
        tuple(_NOISE[start + i * n_epochs : start + (i + 1) * n_epochs].tolist()) for i in range(3)
    )
    return Evaluation(
        candidate.id,
        fitness=round(fitness, 6),
        validation_loss=round(1 - fitness, 6),
        n_parameters=genome.n_parameters(64, 10),
        best_epoch=epochs,
        stopped="epochs",
        train_losses=curves[0],
        validation_losses=curves[1],
        validation_scores=curves[2],
    )


class _SameForAll(Weights):
    """The same weights for all candidates, as none is trained."""

    def __init__(self) -> None:
        self._state = State(np.zeros(0, "f"), (), ("adam", 0.0), 0, 0)

    def of(self, candidate_id: int) -> tuple[State, ...]:
        """See `Weights.of`."""
        return (self._state,)

    def sync(self, candidate_ids: object) -> None:
        """See `Weights.sync`."""

    def forget(self, told: int, keep: object) -> None:
        """See `Weights.forget`."""


class _Marks(Silent):
    """A tracker that calls a function when so many have been evaluated."""

    def __init__(self, marks: Sequence[int], note: Callable[[int], object]) -> None:
        self._marks, self._note = marks, note
        self._n = 0

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """See `Tracker.evaluated`."""
        self._n += 1
        if self._n in self._marks:
            self._note(self._n)


def stub_search(
    engine: str,
    folder: Path,
    *,
    n_candidates: int,
    n_workers: int,
    marks: Sequence[int],
    note: Callable[[int], object],
    more: Sequence[Tracker] = (),
) -> None:
    """Search in the real loop, with a real journal in `folder`, while logical workers evaluate.

    `note` is called when as many as each of `marks` have been evaluated; `more` trackers are told.
    """
    space = load_space(_SPACE)
    problem = prepare(load_dataset("digits"), 0, {"epochs": _EPOCHS}, encodings=encodings_of(space)).problem
    batches_in_flight = max(2, round(_LAG_A_WORKER * n_workers))
    in_generations = engine in ALGORITHMS and ALGORITHMS[engine].default_batches_in_flight == 1
    if " of two objectives" in engine:
        chosen = recipe("auto", objectives=("error", "parameters"), batches_in_flight=batches_in_flight)
    else:
        chosen = recipe(engine, batches_in_flight=None if in_generations else batches_in_flight)
    searched = chosen.engine(
        space,
        0,
        epochs=_EPOCHS,
        steps_per_epoch=problem.steps_per_epoch,
        costs=cost_model(problem.n_inputs_by_encoding, problem.n_outputs),
    )
    file = folder / "journal.jsonl"
    file.touch()
    journal = Journal(file)
    data = {"name": "digits", "rows": 0, "columns": 0, "task": "", "target": [], "classes": 0, "digest": "0"}
    info = RunInfo(
        "scaling",
        "0",
        folder,
        searched.state.space,
        "accuracy",
        {"data": data, "metric": "accuracy", "space": searched.state.space.to_dict(), "seed": 0},
        {},
        n_candidates,
        pair=journal.record.evaluations.__getitem__,
    )
    for tracker in (journal, *more):
        tracker.started(info)
    note(0)
    search_loop(
        searched,
        CandidateStream(searched, problem, _Logical(n_workers), _SameForAll(), n_candidates),
        BudgetUsage(Budget(candidates=n_candidates)),
        [journal, _Marks(marks, note), *more],
        interrupted=lambda: False,
    )
    for tracker in more:
        tracker.finished(Outcome("finished"))
