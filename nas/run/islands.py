"""A search on several islands: engines in processes of their own, which send their best around a ring.

Each island is a search with a seed, a journal and weights of its own, and a share of the candidates. After
every so many candidates it waits for the others, and the elites of the one before it in the ring come to
it: genomes, which it trains as its own. What comes when depends on nothing but the evaluations, so that the
same seed gives the same journals however fast anybody is, killed and resumed or not. Where one island ends,
the others end when they next wait for it: any other way, a longer search would not begin with this one.

The driver starts them, reads what they write into their journals for those who watch, and puts their best
together at the end. It knows candidate `k` of island `i` of `n` as ``k * n + i``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from nas.errors import NASError
from nas.evaluation import Problem
from nas.evolution import Engine, Generation, Individual, Recipe, migrants
from nas.execution.ray import RayExecutor, Share
from nas.execution.ray_cluster import Flag
from nas.execution.ray_processes import Processes
from nas.genome import Genome
from nas.run.budget import Budget, Spent
from nas.run.findings import Findings
from nas.run.loop import run_search
from nas.run.meeting import Meeting, Message
from nas.run.weights import Weights
from nas.space import Limits, cost_model
from nas.tracking import RunInfo, Tracker
from nas.tracking.archive import AllEvaluations, to_global_ids
from nas.tracking.folder import RunFolder
from nas.tracking.journal import Journal, Tail, read_journal

ROUND = 50
"""Candidates of each island between two migrations."""

N_MIGRANTS = 2
"""Elites of each that are sent on then."""

_ENDS = ("interrupted", "target", "time", "epochs", "patience", "candidates", "exhausted")
"""Why islands end; of several reasons, the first of these is that of the search."""


@dataclass(frozen=True)
class Island:
    """What an island has to know of itself: the number `i` of `n`, and its share of everything.

    `n_known` evaluations were in its journal when it was first started, at `since` of this machine's
    monotonic clock.
    """

    i: int
    n: int
    folder: RunFolder
    info: RunInfo
    recipe: Recipe
    seed: int
    limits: Limits
    starts: tuple[Genome, ...]
    budget: Budget
    n_known: int
    since: float

    def budget_left(self, n_known: int) -> Budget:
        """The budget of a life that begins with so many evaluations.

        In any but the first the time has been running since: others would wait for one who began it anew.
        """
        seconds = self.budget.seconds
        if seconds is None or n_known <= self.n_known:
            return self.budget
        return replace(self.budget, seconds=max(0.0, seconds - (time.monotonic() - self.since)))

    def engine(self, problem: Problem) -> Engine:
        """The island's own engine."""
        return self.recipe.engine(
            self.info.space,
            int(np.random.SeedSequence([self.seed, self.i]).generate_state(1)[0]),
            epochs=problem.training.epochs,
            steps_per_epoch=problem.steps_per_epoch,
            costs=cost_model(problem.n_inputs, problem.n_outputs),
            limits=self.limits,
            starts=self.starts[self.i :: self.n],
        )


@dataclass(frozen=True)
class Return:
    """What an island has found, and why it ended."""

    why: str
    spent: Spent
    best: list[Individual]
    generation: Generation | None


def live(island: Island, share: Share, meeting: Meeting, stop: Flag) -> Return | NASError:
    """Search on one island, in a process of its own."""
    try:
        executor, problem = RayExecutor.sharing(share)
        with executor:
            return _live(island, executor, problem, meeting, stop)
    except NASError as error:
        meeting.leave(island.i)
        return type(error)(f"island {island.i}: {error}")


def _live(island: Island, executor: RayExecutor, problem: Problem, meeting: Meeting, stop: Flag) -> Return:
    journal = Journal(island.folder.journal, island.info.run_dir)
    try:
        recorded = journal.record.evaluations.first(len(journal.record.evaluations))
        engine, spent = island.engine(problem), Spent(island.budget_left(len(recorded)), len(recorded))
        rounds = 0

        def message() -> Message:
            return Message([one.genome for one in engine.elites(N_MIGRANTS)], engine.generation())

        def between() -> str | None:
            nonlocal rounds
            while spent.candidates >= (rounds + 1) * ROUND:
                heard = meeting.exchange(island.i, rounds, message())
                if heard is None:
                    return "neighbours"
                rounds += 1
                engine.immigrate(migrants([one.elites for one in heard], island.i))
            return None

        journal.started(island.info)
        weights = Weights(island.folder.weights, island.info.run_dir, island.info.run_id)
        why = run_search(
            engine,
            problem,
            executor,
            [journal],
            weights,
            spent,
            _rarely(stop.is_up),
            recorded,
            between=between,
        )
        # Who has tried all there is would try no more in a longer search either; all else is a cut.
        meeting.leave(island.i, message() if why == "exhausted" else None)
        found = {one.id: one for one in engine.archive.representatives()}
        return Return(why, spent, list(found.values()), engine.generation())
    finally:
        journal.close()


def _rarely(is_up: Callable[[], bool]) -> Callable[[], bool]:
    """The same, asked a few times a second at most, and never again once it is true."""
    asked, answer = 0.0, False

    def ask() -> bool:
        nonlocal asked, answer
        if not answer and time.monotonic() - asked > 0.2:
            asked, answer = time.monotonic(), is_up()
        return answer

    return ask


def evolve(
    islands: Sequence[Island],
    merged: Engine,
    problem: Problem,
    executor: RayExecutor,
    trackers: Sequence[Tracker],
    tails: Sequence[Tail],
    interrupted: Callable[[], bool],
) -> Findings:
    """Search on all islands.

    `merged` is an engine that has not searched, and takes in their best; `tails` follow their journals.
    """
    stop = executor.flag()
    n_rounds = 0
    with Meeting(islands[0].info.run_dir / "meeting", len(islands)) as meeting:
        calls = [(live, (island, executor.share(problem, len(islands)), meeting, stop)) for island in islands]
        with Processes(calls) as processes:
            for returned in processes.watched():
                for error in returned:
                    if isinstance(error, NASError):
                        raise error
                _tell(trackers, tails)
                for messages in meeting.since(n_rounds):
                    _tell_generation(trackers, n_rounds, [one.generation for one in messages])
                    n_rounds += 1
                if interrupted():
                    stop.put_up()
            found: list[Return] = processes.results()
    generation = _tell_generation(trackers, n_rounds, [one.generation for one in found])
    spent = Spent(islands[0].budget)
    for i, one in enumerate(found):
        spent.include(one.spent)
        merged.merge([_renamed(individual, i, len(islands)) for individual in one.best])
    history = AllEvaluations(
        [
            read_journal(island.folder.journal).evaluations.first(one.spent.evaluations)
            for island, one in zip(islands, found, strict=True)
        ]
    )
    return Findings(
        # One that died after it had ended begins again, and finds the others gone.
        why=next((why for why in _ENDS if any(one.why == why for one in found)), "time"),
        is_behind=any(one.spent.is_behind for one in found),
        engine=merged,
        spent=spent,
        heredity=generation.heredity if generation is not None else (),
        history=history,
        evaluation=history.of,
        state=lambda number: Weights(
            islands[number % len(islands)].folder.weights, run_id=islands[0].info.run_id
        ).of(number // len(islands)),
    )


def _tell(trackers: Sequence[Tracker], tails: Sequence[Tail]) -> None:
    for i, tail in enumerate(tails):
        for pair in tail.new():
            candidate, evaluation = to_global_ids(pair, i, len(tails))
            for tracker in trackers:
                tracker.evaluated(candidate, evaluation)


def _tell_generation(
    trackers: Sequence[Tracker], number: int, generations: Sequence[Generation | None]
) -> Generation | None:
    """Tell where all islands together stand: the best of all, else the mean of what each says."""
    known = [one for one in generations if one is not None]
    if not known:
        return None
    best = max(known, key=lambda one: one.best)
    together = replace(
        best,
        number=number,
        evaluated=sum(one.evaluated for one in known),
        failures=sum(one.failures for one in known),
        median=fmean(one.median for one in known),
        mean=fmean(one.mean for one in known),
        std=fmean(one.std for one in known),
        diversity=fmean(one.diversity for one in known),
        heredity=tuple(map(fmean, zip(*(one.heredity for one in known), strict=False))),
    )
    for tracker in trackers:
        tracker.generation(together)
    return together


def _renamed(individual: Individual, island: int, n: int) -> Individual:
    one = copy(individual)
    one.candidate, one.evaluation = to_global_ids((one.candidate, one.evaluation), island, n)
    return one
