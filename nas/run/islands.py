"""A search on several islands: engines in processes of their own, with migration around a ring.

Each island is a search with a seed, a journal and weights of its own, and a share of the candidates. After
every `ROUND` candidates the islands exchange messages, and each receives the elites of its predecessor in the
ring: genomes, which it trains as its own. Which migrants arrive when depends on the evaluations only, so that
the same seed gives the same journals at any speed, killed and resumed or not. Where one island ends, the
other islands end at their next exchange: otherwise, a longer search would not begin with this one.

The driver starts the islands, passes what they write into their journals to its trackers, and merges their
best candidates at the end. Candidate `k` of island `i` of `n` has the global id ``k * n + i``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from nas.errors import NASError
from nas.evaluation import Problem
from nas.evolution import Engine, Generation, Individual, Recipe, migrants
from nas.execution import Executor, SharedExecutor, SharingExecutor, StopFlag
from nas.genome import Genome
from nas.run.budget import Budget, BudgetUsage
from nas.run.deadline import RECENT, Deadline, LastWork, Plan
from nas.run.exchange import Exchange, Message
from nas.run.findings import Findings
from nas.run.gauge import Gauge
from nas.run.loop import CandidateStream, search_loop
from nas.run.stop_reason import StopReason
from nas.run.weights import Weights
from nas.space import Limits, cost_model
from nas.tracking import RunInfo, Tracker
from nas.tracking.folder import RunFolder
from nas.tracking.journal import Journal, Tail, read_journal
from nas.tracking.parts import AllEvaluations, to_global_ids

if TYPE_CHECKING:  # the islands' processes do without what a session needs
    from nas.run.start import Session

ROUND = 50
"""Candidates of each island between two migrations: enough for a population to change several times."""

N_MIGRANTS = 2
"""Elites that each island sends to the next: few, so that the islands stay different."""

_FLAG_POLL = 0.2
"""Seconds between two checks of a flag: on many machines each is a call to another process."""


@dataclass(frozen=True)
class Island:
    """The description of an island: its number `i` of `n`, and its share of everything.

    Attributes
    ----------
    i, n : int
    folder : RunFolder
        The island's folder in the run's folder.
    info : RunInfo
    recipe : Recipe
    seed : int
        Of the whole search.
    limits : Limits
    starts : tuple of Genome
        Of the whole search; the island begins with every `n`-th.
    budget : Budget
        The island's share.
    n_recorded : int
        Evaluations in its journal when the driver started it.
    deadline : Deadline
        Of the whole search: in a process that was restarted, the time has been running.
    last_work : LastWork
        What follows after all islands.
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
    n_recorded: int
    deadline: Deadline
    last_work: LastWork

    def engine(self, problem: Problem) -> Engine:
        """The island's own engine."""
        return self.recipe.engine(
            self.info.space,
            int(np.random.SeedSequence([self.seed, self.i]).generate_state(1)[0]),
            epochs=problem.training.epochs,
            steps_per_epoch=problem.steps_per_epoch,
            costs=cost_model(problem.n_inputs_by_encoding, problem.n_outputs),
            limits=self.limits,
            starts=self.starts[self.i :: self.n],
        )


@dataclass(frozen=True)
class IslandResult:
    """What an island has found, and why it ended."""

    stop_reason: StopReason
    usage: BudgetUsage
    best: list[Individual]
    generation: Generation | None


@dataclass(frozen=True)
class StopFlags:
    """What the driver sets to end all islands: at once, or each after its batch."""

    at_once: StopFlag
    after_batch: StopFlag


def run_island(
    island: Island, shared: SharedExecutor, exchange: Exchange, flags: StopFlags
) -> IslandResult | NASError:
    """Search on one island, in a process of its own; an error is returned, for the driver to raise."""
    try:
        executor, problem = shared.open()
        with executor:
            return _search_island(island, executor, problem, exchange, flags)
    except NASError as error:
        exchange.leave(island.i)
        return type(error)(f"island {island.i}: {error}")


def _search_island(
    island: Island, executor: Executor, problem: Problem, exchange: Exchange, flags: StopFlags
) -> IslandResult:
    journal = Journal(island.folder.journal, island.info.run_dir)
    try:
        recorded = journal.record.evaluations.first(len(journal.record.evaluations))
        engine, plan = island.engine(problem), Plan(island.deadline, island.last_work)
        usage = BudgetUsage(island.budget, len(recorded), plan)
        n_rounds = 0

        def message() -> Message:
            elites = [individual.genome for individual in engine.elites(N_MIGRANTS)]
            return Message(elites, engine.generation())

        def migrate() -> StopReason | None:
            nonlocal n_rounds
            while usage.candidates >= (n_rounds + 1) * ROUND:
                messages = exchange.all_gather(island.i, n_rounds, message())
                if messages is None:
                    return StopReason.NEIGHBOURS
                n_rounds += 1
                engine.immigrate(migrants([received.elites for received in messages], island.i))
            return None

        ends_after_batch = _rarely(flags.after_batch.is_set)

        def end_after_batch() -> StopReason | None:
            return StopReason.CALLBACK if not usage.is_behind and ends_after_batch() else None

        journal.started(island.info)
        weights = Weights(island.folder.weights, island.info.run_dir, island.info.run_id)
        stream = CandidateStream(engine, problem, executor, weights, usage.budget.candidates, recorded)
        stop_reason = search_loop(
            engine,
            stream,
            usage,
            [journal],
            interrupted=_rarely(flags.at_once.is_set),
            end_after_batch=end_after_batch,
            before_batch=migrate,
            after_evaluation=Gauge(plan, problem, None, engine, executor).measure,
        )
        # An island that has exhausted the space would try no more in a longer search either, so its elites
        # stay valid; any other end cuts a search short.
        exchange.leave(island.i, message() if stop_reason == StopReason.EXHAUSTED else None)
        best = engine.archive.representatives()
        return IslandResult(stop_reason, usage, best, engine.generation())
    finally:
        journal.close()


def _rarely(is_set: Callable[[], bool]) -> Callable[[], bool]:
    """The same answer, checked every `_FLAG_POLL` seconds at most, and no more once it is true."""
    last_check, answer = 0.0, False

    def check() -> bool:
        nonlocal last_check, answer
        if not answer and time.monotonic() - last_check > _FLAG_POLL:
            last_check, answer = time.monotonic(), is_set()
        return answer

    return check


@dataclass(frozen=True)
class Archipelago:
    """The islands of a search, and what the driver needs to follow them.

    Attributes
    ----------
    islands : sequence of Island
    merged : Engine
        An engine that has not searched, and takes in the islands' best candidates.
    problem : Problem
        Held by the executor.
    trackers : sequence of Tracker
        Called with the evaluations of all islands, under their global ids.
    tails : sequence of Tail
        They follow the islands' journals.
    """

    islands: Sequence[Island]
    merged: Engine
    problem: Problem
    trackers: Sequence[Tracker]
    tails: Sequence[Tail]


def search_on_islands(session: Session) -> Findings:
    """Search with an engine for each part of the run."""
    context, executor = session.context, session.executor
    settings, n = context.settings, context.n_parts
    assert isinstance(executor, SharingExecutor), "settings with several islands have workers"
    islands = [
        Island(
            i=i,
            n=n,
            folder=context.folder.parts[i],
            info=replace(session.info, identity={**session.info.identity, "island": i}, pair=None),
            recipe=context.recipe,
            seed=settings.seed,
            limits=settings.limits,
            starts=settings.starts,
            budget=settings.budget.divided(n),
            n_recorded=len(session.journals[i].record.evaluations),
            deadline=context.deadline,
            last_work=session.plan.last_work,
        )
        for i in range(n)
    ]
    archipelago = Archipelago(
        islands,
        # This engine only compares: what it takes in has been trained, and its scores are known.
        merged=context.engine(replace(context.recipe, halving=False, surrogate="none")),
        problem=context.prepared.problem,
        trackers=session.trackers,
        tails=session.tails,
    )
    findings = _run_islands(
        archipelago, executor, session.interruption.requested, session.callbacks.stop_requested
    )
    # The islands have plans of their own; what follows them is planned here.
    problem, history = context.prepared.problem, findings.history
    for number in range(max(0, len(history) - RECENT), len(history)):
        evaluation = history[number][1]
        session.plan.observe(evaluation.seconds, evaluation.n_network_epochs)
    Gauge(session.plan, problem, context, findings.engine, executor).measure()
    return findings


def _run_islands(
    archipelago: Archipelago,
    executor: SharingExecutor,
    interrupted: Callable[[], bool],
    stop_requested: Callable[[], bool],
) -> Findings:
    """Search on all islands, until `interrupted` at once, or `stop_requested` after each island's batch."""
    # Importing Ray takes a second, and a search on one island in this process does without.
    from nas.execution.ray_processes import Processes

    islands, problem, tails = archipelago.islands, archipelago.problem, archipelago.tails
    trackers, n = archipelago.trackers, len(islands)
    flags = StopFlags(executor.flag(), executor.flag())
    n_rounds = 0
    with Exchange(islands[0].info.run_dir / "exchange", n) as exchange:
        calls = [(run_island, (island, executor.share(problem, n), exchange, flags)) for island in islands]
        with Processes(calls) as processes:
            for returned in processes.watched():
                for error in returned:
                    if isinstance(error, NASError):
                        raise error
                _record_evaluations(trackers, tails)
                for messages in exchange.since(n_rounds):
                    _record_generation(trackers, n_rounds, [message.generation for message in messages])
                    n_rounds += 1
                if interrupted():
                    flags.at_once.set()
                elif stop_requested():
                    flags.after_batch.set()
            results: list[IslandResult] = processes.results()
    generation = _record_generation(trackers, n_rounds, [result.generation for result in results])
    return _merged_findings(archipelago, results, generation)


def _merged_findings(
    archipelago: Archipelago, results: Sequence[IslandResult], generation: Generation | None
) -> Findings:
    islands, n = archipelago.islands, len(archipelago.islands)
    usage = BudgetUsage(islands[0].budget)
    for i, result in enumerate(results):
        usage.include(result.usage)
        archipelago.merged.merge([_with_global_ids(individual, i, n) for individual in result.best])
    history = AllEvaluations(
        [
            read_journal(island.folder.journal).evaluations.first(result.usage.evaluations)
            for island, result in zip(islands, results, strict=True)
        ]
    )
    weights = [Weights(island.folder.weights, run_id=island.info.run_id) for island in islands]
    return Findings(
        stop_reason=_common_reason([result.stop_reason for result in results]),
        is_behind=any(result.usage.is_behind for result in results),
        engine=archipelago.merged,
        usage=usage,
        heredity=generation.heredity if generation is not None else (),
        history=history,
        evaluation=history.of,
        states=lambda number: weights[number % n].of(number // n),
    )


def _common_reason(reasons: Sequence[StopReason]) -> StopReason:
    """The first of the islands' reasons in the order of `StopReason`.

    An island that crashes after its search has ended is restarted, and finds that all other islands
    have left. Where that is all that is known, the time was up.
    """
    return next(
        (reason for reason in StopReason if reason in reasons and reason != "neighbours"), StopReason.TIME
    )


def _record_evaluations(trackers: Sequence[Tracker], tails: Sequence[Tail]) -> None:
    for i, tail in enumerate(tails):
        for pair in tail.new():
            candidate, evaluation = to_global_ids(pair, i, len(tails))
            for tracker in trackers:
                tracker.evaluated(candidate, evaluation)


def _record_generation(
    trackers: Sequence[Tracker], number: int, generations: Sequence[Generation | None]
) -> Generation | None:
    """Record the state of all islands together: the best of all, sums of counts, means of everything else."""
    present = [generation for generation in generations if generation is not None]
    if not present:
        return None
    best = max(present, key=lambda generation: generation.best)
    merged = replace(
        best,
        number=number,
        evaluated=sum(generation.evaluated for generation in present),
        failures=sum(generation.failures for generation in present),
        median=fmean(generation.median for generation in present),
        mean=fmean(generation.mean for generation in present),
        std=fmean(generation.std for generation in present),
        diversity=fmean(generation.diversity for generation in present),
        heredity=tuple(map(fmean, zip(*(generation.heredity for generation in present), strict=False))),
    )
    for tracker in trackers:
        tracker.generation(merged)
    return merged


def _with_global_ids(individual: Individual, island: int, n: int) -> Individual:
    renumbered = copy(individual)
    pair = to_global_ids((renumbered.candidate, renumbered.evaluation), island, n)
    renumbered.candidate, renumbered.evaluation = pair
    return renumbered
