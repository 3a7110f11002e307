"""The end of a search: test scores, the saved winner, the result, the report."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from nas.evolution import Individual
from nas.export.native import save_network
from nas.run.baselines import Baseline, BaselineProcess
from nas.run.deadline import countdown
from nas.run.earlier import keep_earlier_winner
from nas.run.findings import Findings
from nas.run.kept import kept_predictions
from nas.run.out_of_fold import HeldOut, add_uncertainty
from nas.run.result import SearchResult
from nas.run.selection import Selection
from nas.run.start import Session
from nas.run.stop_reason import StopReason
from nas.run.test_scores import TestScores, score_test_rows
from nas.runtime import Ensemble, Network
from nas.tracking import Outcome
from nas.uncertainty import Columns

_log = logging.getLogger(__name__)

EXAMPLE_ROWS = 5
"""Rows of the table that are kept beside the model in MLflow: enough for a person to see their form."""


def conclude(
    session: Session,
    findings: Findings,
    winner: Individual,
    selection: Selection | None,
    network: Network | Ensemble,
    held_out: HeldOut | None,
    baselines: BaselineProcess | None = None,
) -> SearchResult:
    """Measure the trained winner's uncertainty, score it once on the test rows, save it, make the result.

    Parameters
    ----------
    session : Session
    findings : Findings
    winner : Individual
    selection : Selection, optional
        How the winner was selected; None if that was interrupted.
    network : Network or Ensemble
        The winner, trained.
    held_out : HeldOut, optional
        Networks of the winner, with rows that they were not trained on.
    baselines : BaselineProcess, optional
        Where the baselines are fitted already; otherwise they are fitted here.
    """
    context, prepared, plan = session.context, session.context.prepared, session.plan
    interrupted = session.interruption.requested

    def fitted_beside() -> dict[str, Baseline | str]:
        assert baselines is not None, "this is called if there is a process"
        return baselines.results(interrupted, lambda: plan.is_late(plan.conclude_by))

    oof = None if held_out is None else held_out.predictions(network.target)
    if held_out is not None and oof is not None:
        add_uncertainty(network, held_out, oof, prepared)
    test = score_test_rows(
        prepared,
        network,
        baseline=context.settings.baseline,
        seed=context.settings.seed,
        interruption=session.interruption,
        seconds=min(findings.seconds, max(0.0, plan.conclude_by - plan.deadline.clock())),
        beside=None if baselines is None else fitted_beside,
    )
    network.provenance.update(_finite(_test_scores(test)))
    earlier = keep_earlier_winner(context, winner.genome, network, findings.usage.candidates)
    return SearchResult(
        run_dir=context.folder.path,
        model_path=save_network(network, context.folder.best),
        task=context.dataset.task,
        metric=prepared.metric,
        best=winner.candidate,
        evaluation=findings.evaluation(winner.id),
        network=network,
        selection=selection,
        front=[(member.candidate, findings.evaluation(member.id)) for member in findings.engine.front],
        front_costs=[context.costs(member.genome) for member in findings.engine.front],
        test=test,
        history=findings.history,
        n_candidates=findings.usage.candidates,
        n_epochs=findings.usage.epochs,
        n_failures=findings.usage.failures,
        heredity=findings.heredity,
        seconds=findings.seconds,
        stopped=StopReason.INTERRUPTED if interrupted() else findings.stop_reason,
        dropped=prepared.dropped,
        oof=oof,
        columns=_columns(session, findings, held_out),
        earlier=earlier,
    )


def outcome_of(session: Session, result: SearchResult) -> Outcome:
    """The outcome for trackers."""
    context, selection = session.context, result.selection
    scores = {
        "validation_score": result.evaluation.fitness,
        **_test_scores(result.test),
        "best_n_parameters": result.evaluation.n_parameters,
        "rescored": selection.rescore.mean if selection else None,
        "selection_bias": selection.selection_bias if selection else None,
        "temperature": result.temperature,
        "search_seconds": round(result.seconds, 3),
    }
    return Outcome(
        "interrupted" if result.stopped == StopReason.INTERRUPTED else "finished",
        best=result.best if session.has_evaluations else None,  # it is in the journal
        scores=_finite(scores),
        model_dir=result.model_path,
        example=context.dataset.table.iloc[context.prepared.example_rows[:EXAMPLE_ROWS]],
    )


def _columns(session: Session, findings: Findings, held_out: HeldOut | None) -> Columns | None:
    """The importance of columns; None where it is unknown, or the search was interrupted."""
    context = session.context
    if held_out is None or not context.settings.importance or session.interruption.requested():
        return None
    passes = findings.usage.epochs * len(context.prepared.split.train)
    return held_out.importance(context.settings.seed, passes)


def _test_scores(test: TestScores) -> dict[str, float | None]:
    """The scores on the test rows by their names in the saved network and in MLflow."""
    return {
        "test_score": test.score,
        "baseline_test_score": test.baseline,
        "trees_test_score": test.trees,
    }


def write_result(session: Session, result: SearchResult) -> None:
    """Write the result into the folder, and the report."""
    folder = session.context.folder
    try:
        record = result.record()
        folder.keep_result(record, session.context.run_id)
        if rows := record.get("columns", {}).get("importance"):
            folder.keep_columns(rows)
    except Exception as error:  # noqa: BLE001  # the network is saved
        _log.warning("%s: no result.json, because: %s; the search is complete", folder.path, error)
    _keep_predictions(session, result)
    if session.report is not None and session.has_evaluations and not session.interruption.requested():
        session.context.observers.phase("report", countdown(session.plan.conclusion_seconds))
        session.report.make(session.interruption.requested, session.is_late)


def _keep_predictions(session: Session, result: SearchResult) -> None:
    """Write what the winner predicts for held-out rows, for the report."""
    context = session.context
    try:
        kept = kept_predictions(context.prepared, result.network, result.oof)
        context.folder.keep_predictions(kept, context.run_id)
    except Exception as error:  # noqa: BLE001  # the report has fewer pictures
        path = context.folder.path
        _log.warning("%s: no predictions.npz, because: %s; the search is complete", path, error)


def _finite(scores: Mapping[str, float | None]) -> dict[str, float]:
    """The scores that are numbers: a scorer may have none for the test rows, and JSON holds none for that."""
    return {name: score for name, score in scores.items() if score is not None and math.isfinite(score)}
