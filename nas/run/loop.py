"""The loop of a search: ask, run, take down, tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from nas.errors import RunError
from nas.evaluation import Candidate, Evaluation, Problem, plan_cohorts
from nas.evolution import Engine
from nas.execution import Cohort, Executor
from nas.tracking import Tracker

History = list[tuple[Candidate, Evaluation]]


def run_search(
    engine: Engine,
    problem: Problem,
    executor: Executor,
    trackers: Sequence[Tracker],
    n_candidates: int,
    *,
    history: History,
    cohorts: dict[int, Cohort],
    recorded: Mapping[int, tuple[Candidate, Evaluation]],
    out_of_time: Callable[[], bool],
) -> str:
    """Ask for a generation, run it, take down and tell the results in order; until a limit is reached.

    Fills `history`, and `cohorts` with those whom each candidate was trained with. Returns why it
    ended: "candidates", "time" or "exhausted". What is in `recorded`, from an earlier life of the
    search, is taken from there.
    """

    def should_stop() -> bool:
        return bool(history) and out_of_time()

    while len(history) < n_candidates:
        asked = engine.ask()
        if not asked:
            return "exhausted"
        # Of the whole generation, whoever of it is wanted: a longer search begins with this one.
        planned = plan_cohorts(asked, problem)
        cohorts.update({candidate.id: cohort for cohort in planned for candidate in cohort})
        candidates = asked[: n_candidates - len(history)]
        for candidate, evaluation in _in_order(candidates, planned, recorded, executor, should_stop):
            # The journal first: what the engine knows is then on disk, wherever this is interrupted.
            for tracker in trackers:
                tracker.evaluated(candidate, evaluation)
            engine.tell(evaluation)
            history.append((candidate, evaluation))
        if (generation := engine.generation()) is not None:
            for tracker in trackers:
                tracker.generation(generation)
        if should_stop():
            return "time"
    return "candidates"


def _in_order(
    candidates: Sequence[Candidate],
    cohorts: Sequence[Cohort],
    recorded: Mapping[int, tuple[Candidate, Evaluation]],
    executor: Executor,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[Candidate, Evaluation]]:
    """Candidates with their evaluations in the order of ids, whatever order they complete in."""
    waiting = deque(candidates)
    while waiting and waiting[0].id in recorded:
        candidate = waiting.popleft()
        known, evaluation = recorded[candidate.id]
        if known != candidate:
            raise RunError(
                f"journal: expected candidate {candidate.id} to be {candidate.genome}, got {known.genome}; "
                "the run was made by a program that searches differently"
            )
        yield candidate, evaluation
    wanted = {candidate.id for candidate in waiting}
    # A cohort is trained whole even if only some are wanted, as who is in it decides about rounding.
    chosen = [cohort for cohort in cohorts if any(one.id in wanted for one in cohort)]
    early: dict[int, Evaluation] = {}
    for evaluation in executor.run(chosen, should_stop) if chosen else ():
        early[evaluation.candidate_id] = evaluation
        while waiting and waiting[0].id in early:
            candidate = waiting.popleft()
            yield candidate, early.pop(candidate.id)
