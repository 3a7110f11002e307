"""The search phase: one engine in this process, or the engines of several islands."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from nas.execution import SharingExecutor
from nas.run.budget import BudgetUsage
from nas.run.findings import Findings
from nas.run.islands import Archipelago, Island, run_islands
from nas.run.loop import CandidateStream, search_loop
from nas.run.start import Session
from nas.run.stop_reason import StopReason
from nas.run.weights import Weights

_log = logging.getLogger(__name__)


def search_candidates(session: Session) -> Findings:
    """Try candidates until the budget is spent or the search is stopped.

    Raises
    ------
    KeyboardInterrupt
        If the search was interrupted before the first candidate, or while it replayed a journal.
    """
    on_islands = session.context.settings.islands > 1
    findings = _on_islands(session) if on_islands else _on_one_engine(session)
    if findings.stop_reason == StopReason.INTERRUPTED:
        if findings.engine.best is None or findings.is_behind:
            raise KeyboardInterrupt
        session.hint.log()
        _log.warning("interrupted: keeping the best of %d candidates", findings.usage.evaluations)
    return findings


def _on_one_engine(session: Session) -> Findings:
    context = session.context
    recorded = session.journals[0].record.evaluations
    engine = context.engine(context.recipe)
    usage = BudgetUsage(context.settings.budget, len(recorded))
    weights = Weights(context.folder.weights, run_id=context.run_id)
    problem, n_candidates = context.prepared.problem, context.settings.budget.candidates
    stream = CandidateStream(engine, problem, session.executor, weights, n_candidates, recorded)

    def end_after_batch() -> StopReason | None:
        # A resumed search first takes in its journal: its winner must not be that of a part.
        stops = session.callbacks.stop_requested() and not usage.is_behind
        return StopReason.CALLBACK if stops else None

    stop_reason = search_loop(
        engine,
        stream,
        usage,
        session.trackers,
        interrupted=session.interruption.requested,
        end_after_batch=end_after_batch,
    )
    generation = engine.generation()
    history = recorded.first(usage.evaluations)
    return Findings(
        stop_reason=stop_reason,
        is_behind=usage.is_behind,
        engine=engine,
        usage=usage,
        heredity=generation.heredity if generation is not None else (),
        history=history,
        evaluation=lambda number: history[number][1],
        states=weights.of,
    )


def _on_islands(session: Session) -> Findings:
    context, executor = session.context, session.executor
    settings, n = context.settings, context.settings.islands
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
            since=time.monotonic(),
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
    return run_islands(
        archipelago, executor, session.interruption.requested, session.callbacks.stop_requested
    )
