"""A network all the same, where a time budget is too small for a single candidate."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from nas.evaluation import Candidate, Evaluation, Problem, evaluate
from nas.run.budget import BudgetUsage
from nas.run.deadline import Plan
from nas.run.findings import Findings
from nas.run.start import Session

_log = logging.getLogger(__name__)

_MARGIN = 1.3
"""Estimated seconds of an epoch for each second of the first: there is no second try."""


def short_findings(session: Session, findings: Findings) -> Findings:
    """The first candidate of the search, trained solo for as many epochs as there is time for, at least one.

    It is not in the journal: candidates there have the same results for any budget.
    """
    context, problem = session.context, session.context.prepared.problem
    engine = context.engine(replace(context.recipe, halving=False, surrogate="none"))
    candidate = engine.ask()[0]
    evaluation = _train(candidate, problem, session.plan)
    states = evaluation.states
    evaluation = replace(evaluation, states=())
    engine.tell(evaluation.without_curves())
    usage = BudgetUsage(context.settings.budget, plan=session.plan)
    usage.add(candidate, evaluation)
    _log.warning(
        "time budget of %g s: expected enough for one candidate; its network was trained for %d of %d epochs",
        context.settings.time_budget,
        evaluation.n_epochs,
        problem.training.epochs,
    )

    return replace(
        findings,
        engine=engine,
        usage=usage,
        history=[(candidate, evaluation)],
        evaluation=lambda number: evaluation,
        states=lambda number: states,
    )


def _train(candidate: Candidate, problem: Problem, plan: Plan) -> Evaluation:
    """Train for one epoch, and if there is time for a few more, again for these."""

    def trained(epochs: int) -> Evaluation:
        training = replace(problem.training, epochs=epochs, time_limit=None)
        evaluations = evaluate([candidate], replace(problem, training=training))
        assert evaluations is not None, "nothing stops it"
        return evaluations[0]

    start = time.perf_counter()
    evaluation = trained(1)
    seconds = time.perf_counter() - start
    left = plan.conclude_by - plan.deadline.clock()
    epochs = min(problem.training.epochs, int(left / (_MARGIN * seconds)))
    return trained(epochs) if epochs > 1 else evaluation
