"""The search phase: one engine in this process, or the engines of several islands."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from nas.run.budget import BudgetUsage
from nas.run.findings import Findings
from nas.run.gauge import Gauge
from nas.run.islands import search_on_islands
from nas.run.loop import CandidateStream, search_loop
from nas.run.short_training import short_findings
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
    since = time.monotonic()
    findings = _on_one_engine(session) if session.context.n_parts == 1 else search_on_islands(session)
    findings = replace(findings, seconds=time.monotonic() - since)
    if findings.stop_reason == StopReason.TIME and findings.usage.evaluations == 0:
        return short_findings(session, findings)
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
    usage = BudgetUsage(context.settings.budget, len(recorded), session.plan)
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
        after_evaluation=Gauge(session.plan, problem, context, engine, session.executor).measure,
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
