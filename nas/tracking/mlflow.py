"""MLflow while a search goes on: a thread writes to the store, and the search never waits for it.

The search only appends jobs to the queue of a `Writer`; candidates are read from the journal when their job
runs. `nas sync` writes what an outage or an interrupt has left out.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking.address import public
from nas.tracking.candidate_runs import CandidateRuns
from nas.tracking.choice import TrackPolicy
from nas.tracking.folder import RunFolder
from nas.tracking.generations import Pace, Paced
from nas.tracking.shown import command
from nas.tracking.store import in_words, probe
from nas.tracking.tracker import Outcome, OutcomeStatus, RunInfo
from nas.tracking.writer import Job, Writer, run_concurrently

if TYPE_CHECKING:
    from nas.tracking.mlflow_view import View

_log = logging.getLogger(__name__)

_PATIENCE = 3.0
"""Seconds to wait at an interrupt until the end of the run is written: two slow calls to a remote store."""


class MLflowTracker:
    """The tracker that writes to MLflow.

    MLflow takes seconds to be imported and to create its tables; that happens in the writing thread, while
    the search goes on.

    Parameters
    ----------
    uri, experiment, artifacts
        See `nas.tracking.mlflow_view.View`.
    policy : str
        Which candidates have runs of their own; see `nas.tracking.choice.TrackPolicy`.
    register : str, optional
        Name of the registered model of which the winner becomes the next version.
    give_up : callable, optional
        Once true, only the end of the run is written and waited for.

    Raises
    ------
    TrackingError
        If MLflow certainly cannot write to the store, as far as that is seen without MLflow.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifacts: Path | None,
        policy: str = TrackPolicy.AUTO.value,
        register: str | None = None,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._give_up = give_up
        is_checked = probe(uri)
        self.uri, self._register = public(uri), register
        self._run: RunInfo | None = None
        self._pace = Pace()
        self._points: deque[Paced] = deque()
        self._writer: Writer[View] = Writer(
            partial(_connected_view, uri, experiment, artifacts),
            partial(in_words, uri=uri),
            is_checked=is_checked,
        )
        self._candidates = CandidateRuns(policy)

    @property
    def run_id(self) -> str:
        """Id of the parent run; empty until the search has started and the store has answered."""
        return "" if self._writer.store is None else self._writer.store.run_id

    @property
    def url(self) -> str:
        """The page of the parent run; empty where there is none yet."""
        return "" if self._writer.store is None or not self.run_id else self._writer.store.url

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until it is clear that the store accepts writes; raises `TrackingError` if it does not.

        Meanwhile `check` is called, and may raise any exception.
        """
        self._writer.wait_until_ready(check)

    def close(self, *, at_once: bool = False) -> None:
        """End the writing thread of a search that does not start; `at_once`: without waiting for it."""
        self._writer.close((lambda: True) if at_once else (lambda: False))

    def hurry(self) -> None:
        """Write only the end of the run from now on; 'nas sync' and 'nas resume' write the rest.

        Nothing is waited for if MLflow itself is not connected yet.
        """
        self._writer.skip_jobs()

    def seconds_left(self) -> float:
        """Estimate how long the waiting child runs take; NaN where that is unknown, or none waits."""
        return self._candidates.seconds_left()

    def started(self, run: RunInfo) -> None:
        """Create the parent run, or continue that of a resumed search."""
        self._run = run
        self._pace.started(run)
        self._candidates.started(run)
        self._writer.put(lambda view: view.start(run))

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Let the candidate wait for its child run, if the policy has one for it."""
        self._candidates.evaluated(candidate, evaluation)

    def generation(self, generation: Generation) -> None:
        """Add a point to the parent's curves, and write the child runs of candidates."""
        self._points.append((generation, self._pace.of(generation)))
        self._writer.put(self._write_points)
        self._writer.put(self._candidates.write_batches)

    def won(self, outcome: Outcome) -> None:
        """Begin to write the winner, while the search goes on to make its report."""
        self._candidates.ended(outcome.best)
        self._writer.put(self._write_points)
        if outcome.model_dir is not None:
            self._writer.put(partial(_add_model, outcome=outcome, register=self._register))
        self._writer.put(self._write_candidates)

    def finished(self, outcome: Outcome) -> None:
        """Write the rest, end the parent run, and wait until all is written.

        After a `KeyboardInterrupt` meanwhile, only the end of the run is written before it is raised again.
        """
        if self._writer.is_skipping:
            return self._finish_soon(outcome)
        try:
            self._finish(outcome)
        except KeyboardInterrupt:
            # Not `hurry` first: the thread would then reach the end of `close` before it has its last job.
            self._finish_soon(Outcome(OutcomeStatus.INTERRUPTED))
            raise

    def _finish_soon(self, outcome: Outcome) -> None:
        """Write only the end of the run, and wait a moment for it."""
        self._writer.close_with(lambda view: view.end(outcome.status) if view.run_id else None, _PATIENCE)

    def _finish(self, outcome: Outcome) -> None:
        """Append the jobs that complete the parent run, and wait for all of them."""
        self.won(outcome)
        for job in (
            self._write_files,
            lambda view: view.conclude(outcome, self._candidates.n_evaluated),
            lambda view: view.end(outcome.status),
        ):
            self._writer.put(job)
        assert self._run is not None, "started comes first"
        if not self._writer.close(self._give_up):
            self._finish_soon(outcome)
            _log.warning(
                "MLflow: no time to write everything to %s; the journal has it; to write what is missing: %s",
                self.uri,
                command("sync", self._run.run_dir),
            )
        elif self._writer.n_failed:
            _log.warning(
                "MLflow: %d writes to %s were not done; the journal has everything; to write what is "
                "missing: %s",
                self._writer.n_failed,
                self.uri,
                command("sync", self._run.run_dir),
            )

    def _write_points(self, view: View) -> None:
        """Write all points that wait, in one call; they are removed once they are written."""
        n = len(self._points)
        view.add_generations([self._points[i] for i in range(n)])
        for _ in range(n):
            self._points.popleft()

    def _write_candidates(self, view: View) -> None:
        """Write all child runs that wait, unless only the end is to be written."""
        self._candidates.write(view, lambda: self._writer.is_skipping)

    def _write_files(self, view: View) -> None:
        """Write the artifacts: files of the run's folder, and the table of all candidates."""
        assert self._run is not None, "started comes first"
        files = RunFolder(self._run.run_dir).artifacts()
        jobs: list[Job[View]] = [partial(_add_file, file=file) for file in files]
        _run_all(view, [*jobs, lambda view: view.add_table(self._candidates.pairs())])


def _connected_view(uri: str, experiment: str, artifacts: Path | None) -> View:
    """Import MLflow and connect, which takes seconds."""
    from nas.tracking.mlflow_view import View

    view = View(uri, experiment, artifacts)
    view.connect()
    return view


def _run_all(view: View, jobs: list[Job[View]]) -> None:
    """Run independent jobs, concurrently if the store is remote."""
    run_concurrently(view, jobs, view.n_concurrent)


def _add_file(view: View, file: Path) -> None:
    """Write an artifact: `partial` binds the file, where a lambda in a loop would bind the last."""
    view.add_file(file)


def _add_model(view: View, outcome: Outcome, register: str | None) -> None:
    """Write the winner's network as a model."""
    view.add_model(outcome, register)
