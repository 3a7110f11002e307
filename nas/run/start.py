"""Starting a search: checks, executor, folder, journals and trackers, and their end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nas import kernels
from nas.errors import InputError
from nas.execution import Executor, Workers, executor_for
from nas.export.formats import FORMATS
from nas.run.callbacks import CallbackTracker
from nas.run.context import SearchContext
from nas.run.deadline import LastWork, Plan
from nas.run.formats import check_formats
from nas.run.interruption import Interruption
from nas.run.report_process import ReportProcess
from nas.run.selection import finalists_to_score, n_fewest_scorings, n_scorings
from nas.run.winner import n_members
from nas.space import check_fits
from nas.tracking import Outcome, RunInfo, Tracker
from nas.tracking.address import is_database
from nas.tracking.folder import RunFolder
from nas.tracking.generations import GenerationLog
from nas.tracking.journal import Journal, Pair, Tail
from nas.tracking.parts import pair_of
from nas.tracking.shown import as_text, command

if TYPE_CHECKING:
    from nas.tracking.mlflow import MLflowTracker

_log = logging.getLogger(__name__)

_PROBLEMS = 6
"""Problems that an executor holds at most: that of the search, and five folds at its end."""

_SHORT_BUDGET = 20.0
"""Seconds of a budget below which a number of workers that is asked for does not start them at once: Ray
takes 5 to 9 s to start on two cores and 2 s to end, and a budget of 6 s left no time for a candidate."""

_CONCLUSION_PIECES, _REPORT_PIECES, _TRACKING_PIECES = 30, 170, 70
"""What follows the final training, in pieces of `nas.run.speed.piece_of_work`: measured on two cores."""

_SECONDS_OF_PIECE = 0.012
"""Of a core like those on which the seconds of formats were measured."""

_LAST_SHARE = 0.015
"""Share of a time budget that is left when MLflow's writing is given up; 'nas sync' writes the rest."""

_PATIENCE = 1.5
"""Seconds from an interrupt until MLflow's writing is given up; 'nas sync' writes the rest."""


class ResumeHint:
    """Logs once how to resume an interrupted search: from its first journal until its result."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._is_armed = False

    def arm(self) -> None:
        """From now on there is something to resume."""
        self._is_armed = True

    def disarm(self) -> None:
        """From now on the search is complete."""
        self._is_armed = False

    def log(self) -> None:
        """Log the command, once."""
        if self._is_armed:
            self._is_armed = False
            _log.warning("interrupted; to go on: %s", command("resume", self._run_dir))


@dataclass(frozen=True)
class Session:
    """A search that has started: its context, and what was opened for it.

    Attributes
    ----------
    context : SearchContext
    info : RunInfo
        What trackers are given at the start.
    executor : Executor
    plan : Plan
        When each phase has to end.
    interruption : Interruption
    hint : ResumeHint
    journals : tuple of Journal
        One for each part of the run.
    tails : tuple of Tail
        They follow the journals that processes of the parts write; empty with one engine.
    trackers : tuple of Tracker
        The journal is the first: what the other trackers show is on disk already.
    callbacks : CallbackTracker
    mlflow : MLflowTracker, optional
        It is among the trackers, too.
    report : ReportProcess, optional
        None where no report was asked for.
    resources : ExitStack
        Closed at the end of the session.
    """

    context: SearchContext
    info: RunInfo
    executor: Executor
    plan: Plan
    interruption: Interruption
    hint: ResumeHint
    journals: tuple[Journal, ...]
    tails: tuple[Tail, ...]
    trackers: tuple[Tracker, ...]
    callbacks: CallbackTracker
    mlflow: MLflowTracker | None = None
    report: ReportProcess | None = None
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def has_evaluations(self) -> bool:
        """Whether there is anything in the journals."""
        if self.tails:
            return any(len(tail.evaluations) > 0 for tail in self.tails)
        return len(self.journals[0].record.evaluations) > 0

    def is_late(self) -> bool:
        """Whether the search has to end, with what there is."""
        return self.plan.is_late(self.plan.give_up_at)


@contextmanager
def started(context: SearchContext) -> Iterator[Session]:
    """Within this context the search has its executor, its folder with the lock, its journals and trackers.

    MLflow is connected while Ray starts. Nothing is written before both are known to work.

    Raises
    ------
    InputError
        If the data is too small for the space, or limits leave nothing of the space.
    TrackingError
        If MLflow's store cannot be used.
    """
    check_space(context)
    check_formats(context)
    kernels.prepare()
    if note := context.prepared.problem.metric.note:
        _log.warning("%s", note)
    hint = ResumeHint(context.folder.path)
    if context.journals and context.can_be_resumed:
        hint.arm()
    # The lock is released last, after the executor has ended.
    with Interruption(hint.log) as interruption, ExitStack() as lock, ExitStack() as stack:
        mlflow = _connect(context, interruption)
        context.observers.phase("starting")
        try:
            executor = stack.enter_context(executor_for(_workers(context), interruption.requested))
            stack.enter_context(context.data.held_by(executor))
            if mlflow is not None:
                mlflow.wait_until_ready(interruption.check)
            interruption.check()
            journals = context.journals or _new_journals(context, lock)
            if context.can_be_resumed:
                hint.arm()
            callbacks = CallbackTracker(context.observers.callbacks)
            tails = _tails(context, journals)
            plan = Plan(context.deadline, _last_work(context))
            session = Session(
                context=context,
                info=_run_info(context, journals, tails, plan),
                executor=executor,
                plan=plan,
                interruption=interruption,
                hint=hint,
                journals=journals,
                tails=tails,
                trackers=_trackers(context, journals, mlflow, callbacks),
                callbacks=callbacks,
                mlflow=mlflow,
                report=_report_process(context, stack),
                resources=stack,
            )
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                hint.log()
            if mlflow is not None:
                mlflow.close(at_once=isinstance(error, KeyboardInterrupt))
            raise
        yield session


def check_space(context: SearchContext) -> None:
    """Raise `InputError` if the limits leave nothing of the space, or exclude a genome to start with."""
    settings, problem, costs = context.settings, context.prepared.problem, context.costs
    n_inputs = max(problem.n_inputs_by_encoding.values())
    check_fits(settings.space, len(problem.X_train), n_inputs, problem.n_outputs)
    settings.limits.smallest(settings.space, costs)
    for genome in settings.starts:
        if not settings.limits.allow(costs(genome)):
            raise InputError(f"starts: expected genomes within the limits, got {genome}")


def finish(session: Session, outcome: Outcome) -> None:
    """Tell every tracker the outcome, and close the journals, also where a tracker fails.

    Everything else is saved by now: MLflow may take as long as it needs, or until it is interrupted.
    """
    display = session.context.observers.display
    with session.interruption.raising(), ExitStack() as stack:
        for journal in session.journals:
            stack.callback(journal.close)
        if display is not None:
            stack.callback(display.finished, outcome)  # last: it shows the others until then
        for tracker in reversed(session.trackers):  # a stack is last in, first out
            if tracker is session.mlflow:
                stack.callback(_finish_mlflow, session, session.mlflow, outcome)
            elif tracker is not display:
                stack.callback(tracker.finished, outcome)


def _finish_mlflow(session: Session, mlflow: MLflowTracker, outcome: Outcome) -> None:
    session.context.observers.phase("MLflow", mlflow.seconds_left)
    mlflow.finished(outcome)


def experiment(uri: str, folder: RunFolder, data_name: str) -> tuple[str, str, Path | None]:
    """The store, the experiment's name in it, and the place for the artifacts of a new experiment."""
    artifacts = folder.path.parent / "artifacts" if is_database(uri) else None
    return uri, as_text(f"nas-{data_name}"), artifacts


def _last_work(context: SearchContext) -> LastWork:
    """What follows the last candidate."""
    settings, observers = context.settings, context.observers
    return LastWork(
        n_scorings=n_scorings(context.prepared, finalists_to_score(context.prepared, settings.n_finalists)),
        n_fewest_scorings=n_fewest_scorings(context.prepared),
        n_refits=settings.ensemble if settings.refit else 0,
        n_members=n_members(settings, context.prepared),
        n_held_out=context.prepared.problem.n_folds if settings.refit else 0,
        n_workers=settings.workers or 1,
        n_pieces=_CONCLUSION_PIECES
        + (_REPORT_PIECES if observers.report else 0)
        + (_TRACKING_PIECES if observers.tracking else 0)
        + sum(FORMATS[name].seconds for name in observers.formats) / _SECONDS_OF_PIECE,
    )


def _workers(context: SearchContext) -> Workers:
    settings, prepared = context.settings, context.prepared
    n_bytes = _PROBLEMS * prepared.problem.n_bytes
    # A number of workers is taken literally if there is time; a function of the caller's may end its process.
    is_asked_for = settings.n_workers is not None and context.deadline.left() > _SHORT_BUDGET
    may_wait = not is_asked_for and settings.islands == 1 and not callable(settings.scoring)
    n_expected = settings.n_candidates + n_scorings(
        prepared, finalists_to_score(prepared, settings.n_finalists)
    )
    return Workers(
        settings.workers,
        settings.ray_address,
        settings.resources or {},
        n_bytes,
        n_expected=n_expected if may_wait else None,
        seconds_left=context.deadline.left,
    )


def _connect(context: SearchContext, interruption: Interruption) -> MLflowTracker | None:
    """The tracker for MLflow, which connects in the background."""
    tracking = context.observers.tracking
    if tracking is None:
        return None
    # Importing MLflow takes seconds, and a search without tracking does without.
    from nas.tracking.mlflow import MLflowTracker

    place = experiment(tracking.uri, context.folder, context.dataset.name)
    deadline = context.deadline

    def give_up() -> bool:
        is_late = deadline.seconds is not None and deadline.left() < _LAST_SHARE * deadline.seconds
        return is_late or interruption.requested_for(_PATIENCE)

    return MLflowTracker(*place, tracking.policy, tracking.register, give_up=give_up)


def _report_process(context: SearchContext, stack: ExitStack) -> ReportProcess | None:
    if not context.observers.report:
        return None
    process = ReportProcess(context.folder)
    stack.callback(process.close)
    return process


def _new_journals(context: SearchContext, lock: ExitStack) -> tuple[Journal, ...]:
    """The folder of a new run, locked until `lock` is closed, and its journals."""
    lock.callback(context.folder.create(context.config(), context.n_parts).release)
    return tuple(Journal(part.journal) for part in context.folder.parts)


def _tails(context: SearchContext, journals: Sequence[Journal]) -> tuple[Tail, ...]:
    if context.n_parts == 1:
        return ()
    for journal in journals:
        journal.close()  # each part's process opens its own
    return tuple(Tail(part.journal) for part in context.folder.parts)


def _trackers(
    context: SearchContext,
    journals: Sequence[Journal],
    mlflow: MLflowTracker | None,
    callbacks: CallbackTracker,
) -> tuple[Tracker, ...]:
    """All trackers: the journal first, callbacks last, as they may raise anything."""
    # The processes of several parts write their journals themselves.
    trackers: list[Tracker | None] = [*journals] if context.n_parts == 1 else []
    trackers += [GenerationLog(), context.observers.display, mlflow, *context.observers.trackers, callbacks]
    return tuple(tracker for tracker in trackers if tracker is not None)


def _run_info(
    context: SearchContext, journals: Sequence[Journal], tails: Sequence[Tail], plan: Plan
) -> RunInfo:
    settings, n = context.settings, context.n_parts
    return RunInfo(
        name=context.folder.path.name,
        run_id=context.run_id,
        run_dir=context.folder.path,
        space=settings.space,
        metric=context.prepared.metric,
        identity=context.identity(),
        options={**settings.options, "source": context.dataset.source},
        n_candidates=n * settings.budget.divided(n).candidates,
        n_recorded=sum(journal.record.n_candidates for journal in context.journals),
        n_evaluated=len(context.recorded),
        time_budget=settings.time_budget,
        seconds_left=None if settings.time_budget is None else plan.search_seconds_left,
        pair=partial(_pair_in_parts, tails) if tails else partial(_pair, journals[0]),
    )


def _pair(journal: Journal, number: int) -> Pair:
    """A candidate by its id, and its evaluation, from the journal."""
    return journal.record.evaluations[number]


def _pair_in_parts(tails: Sequence[Tail], number: int) -> Pair:
    """A candidate by its global id, and its evaluation, from the journal of its part."""
    return pair_of([tail.evaluations for tail in tails], number)
