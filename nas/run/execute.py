"""A search from its start to its result: start, search, select, train, conclude."""

from __future__ import annotations

import logging
from dataclasses import replace

from nas.errors import SearchError
from nas.evolution import Individual
from nas.run.baselines import BaselineProcess
from nas.run.conclude import conclude, outcome_of, write_result
from nas.run.context import SearchContext
from nas.run.deadline import countdown
from nas.run.exports import write_exports
from nas.run.findings import Findings
from nas.run.out_of_fold import HeldOut, held_out
from nas.run.result import SearchResult
from nas.run.searching import search_candidates
from nas.run.selection import Selection, finalists_to_score, select
from nas.run.start import Session, finish, started
from nas.run.test_scores import seconds_for_baselines
from nas.run.winner import affordable_epochs, final_model, n_members
from nas.tracking import Outcome
from nas.tracking.shown import as_text

_SMALL = 2**26
"""Bytes of a problem that may be copied to the process of the baselines."""

_log = logging.getLogger(__name__)


def execute(context: SearchContext) -> SearchResult:
    """Start, search, select, train, conclude; whatever happens, trackers get the outcome.

    Raises
    ------
    InputError
        If anything about the settings is wrong for this data; nothing was started then.
    SearchError
        If no candidate could be trained.
    KeyboardInterrupt
        If the search was interrupted before there was anything to conclude, or a second time.
    """
    with started(context) as session:
        outcome = Outcome("failed")
        try:
            _log.info("%s", as_text(context.dataset.summary()))
            for tracker in session.trackers:
                tracker.started(session.info)
            result = _search_and_conclude(session)
            session.hint.disarm()
            outcome = outcome_of(session, result)
            if session.mlflow is not None:
                session.mlflow.won(outcome)
            write_result(session, result)
            write_exports(session, result.network)
        except KeyboardInterrupt:
            session.hint.log()
            if session.mlflow is not None:
                session.mlflow.hurry()
            outcome = Outcome("interrupted")
            raise
        finally:
            finish(session, outcome)
        result = replace(result, interrupted=session.interruption.requested())
        return _with_mlflow_run(session, result)


def _search_and_conclude(session: Session) -> SearchResult:
    """Search, select, train, conclude.

    After an interrupt, nothing is trained any more: the winner and its weights are the search's own.
    """
    findings = search_candidates(session)
    baselines = _start_baselines(session, findings.seconds)
    phase, plan = session.context.observers.phase, session.plan
    phase("checking finalists", countdown(plan.selection_seconds))
    selection = _select(session, findings)
    session.executor.retire()
    if session.report is not None and not session.interruption.requested():
        session.report.prepare()
    winner = _best_of(findings) if selection is None else selection.winner
    phase("last training", countdown(plan.refit_seconds))
    network = final_model(
        session.context,
        findings,
        winner,
        selection,
        interrupted=session.interruption.requested,
        plan=session.plan,
    )
    phase("calibration", countdown(plan.calibration_seconds))
    held_out = _held_out(session, findings, winner, selection)
    phase("baselines" if session.context.settings.baseline else "test scores")
    return conclude(session, findings, winner, selection, network, held_out, baselines)


def _start_baselines(session: Session, seconds: float) -> BaselineProcess | None:
    """The baselines in a process of their own; None if there are none, or they come later, in this one."""
    context, prepared = session.context, session.context.prepared
    if (
        not context.settings.baseline
        or len(prepared.split.test) == 0
        or prepared.problem.n_bytes > _SMALL
        or session.interruption.requested()
    ):
        return None
    try:
        process = BaselineProcess(prepared.final, context.settings.seed, seconds_for_baselines(seconds))
    except Exception:  # noqa: BLE001  # no further process, or a table that cannot be sent to it
        return None
    session.resources.callback(process.close)
    return process


def _held_out(
    session: Session, findings: Findings, winner: Individual, selection: Selection | None
) -> HeldOut | None:
    """The winner's networks with rows that they were not trained on."""
    settings, plan, interrupted = session.context.settings, session.plan, session.interruption.requested
    is_refit = settings.refit and not interrupted()
    states = findings.states(winner.id)
    # Where the search has networks for all held-out rows, they can stand in for those of a last training.
    can_do_without = len(states) == session.context.prepared.problem.n_folds
    return held_out(
        winner.candidate,
        states,
        session.context.prepared,
        epochs=affordable_epochs(winner, selection, plan) if is_refit else None,
        n_members=n_members(settings, session.context.prepared),
        search_epochs=findings.usage.epochs,
        should_stop=lambda: (
            interrupted() or plan.is_late(plan.conclude_by if can_do_without else plan.give_up_at)
        ),
    )


def _best_of(findings: Findings) -> Individual:
    """The best individual of the search; raises `SearchError` if every candidate failed."""
    if findings.engine.best is None:
        raise SearchError(
            f"search: expected at least one of {findings.usage.failures} candidates to be trained, got none; "
            f"the first failure: {findings.usage.first_failure}"
        )
    return findings.engine.best


def _select(session: Session, findings: Findings) -> Selection | None:
    """The winner among the finalists; None if that was interrupted, or there is no time for it."""
    _best_of(findings)
    if session.interruption.requested():
        return None
    settings, plan = session.context.settings, session.plan
    return select(
        findings.engine,
        session.context.prepared,
        session.executor,
        settings.seed,
        finalists_to_score(session.context.prepared, settings.n_finalists),
        refit=settings.refit,
        should_stop=session.interruption.requested,
        out_of_time=lambda: plan.is_late(plan.select_by),
        affordable=plan.affordable_scorings(),
    )


def _with_mlflow_run(session: Session, result: SearchResult) -> SearchResult:
    mlflow = session.mlflow
    if mlflow is None:
        return result
    return replace(result, tracking_uri=mlflow.uri, mlflow_run_id=mlflow.run_id, mlflow_url=mlflow.url)
