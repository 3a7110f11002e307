"""A search as MLflow shows it: one parent run, child runs of candidates, the winner as a model.

Each method writes at once, and may be called again: it writes only what the store lacks.
`nas.tracking.mlflow` calls them while a search goes on, `nas sync` afterwards.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nas.tracking.mlflow_experiment import Experiment  # isort: skip  # it settles MLflow's environment

from mlflow.entities import Metric, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from nas.evaluation import Candidate, Evaluation
from nas.tracking.address import check_uri, is_database, public
from nas.tracking.generations import Paced
from nas.tracking.mlflow_entries import (
    child_metrics,
    child_name,
    child_tags,
    dataset_input,
    flat,
    generation_metrics,
    genes,
    metrics,
    note,
    params,
    versions,
)
from nas.tracking.shown import as_text
from nas.tracking.store import cause, unusable
from nas.tracking.table import write_table
from nas.tracking.tracker import Outcome, OutcomeStatus, RunInfo

_STATUS = {
    OutcomeStatus.FINISHED: "FINISHED",
    OutcomeStatus.INTERRUPTED: "KILLED",
    OutcomeStatus.FAILED: "FAILED",
}
"""MLflow's status of a run by the outcome of the search."""


_CONNECTIONS = 8
"""Calls in progress at once to a server: MLflow's client keeps ten connections open."""


class View:
    """The parent run of a search, and everything that belongs to it.

    Parameters
    ----------
    address : str
        The tracking store, with its secrets.
    experiment : str
        Name of the experiment that the search belongs to; created if there is none of that name.
    artifacts : Path, optional
        Folder for the artifacts of a new experiment; None: the server decides.

    Attributes
    ----------
    uri : str
        The tracking store, without secrets.
    run_id : str
        Of the parent run; empty until `start`.
    n_concurrent : int
        Calls that may be in progress at once: several where they wait for a network.

    Raises
    ------
    TrackingError
        If MLflow cannot write to such a store.
    """

    def __init__(self, address: str, experiment: str, artifacts: Path | None) -> None:
        check_uri(address)
        self.uri = public(address)
        self.n_concurrent = 1 if is_database(address) else _CONNECTIONS
        self.run_id = ""
        self._place = address, experiment, artifacts
        self._run: RunInfo | None = None
        self._children: dict[int, str] = {}
        self._complete: set[int] = set()
        self._generations: set[tuple[int, int]] = set()
        self._scores: dict[str, float] = {}
        self._logged_winner: str | None = None

    def connect(self) -> None:
        """Find or create the experiment; raises `nas.errors.TrackingError` if the store cannot be used."""
        address = self._place[0]
        try:
            self._experiment = Experiment(*self._place)
        except Exception as error:  # noqa: BLE001
            # SQLAlchemy, requests and MLflow have no common base class for their exceptions.
            raise unusable(address, error) from cause(address, error)
        self._client = self._experiment.client

    def answers(self) -> bool:
        """Return whether the store answers."""
        return self._experiment.answers()

    def has(self, candidate_id: int) -> bool:
        """Return whether a candidate has a complete child run."""
        return candidate_id in self._complete

    @property
    def url(self) -> str:
        """The page of the parent run; of a database the page that `nas ui` serves; empty where unknown."""
        return self._experiment.page_of(self.run_id)

    @property
    def n_children(self) -> int:
        """Number of candidates with complete child runs."""
        return len(self._complete)

    def start(self, run: RunInfo) -> None:
        """Create the parent run, or continue an existing one."""
        self._run = run
        existing = self._experiment.search(f"tags.`nas.run_id` = '{run.run_id}'")
        if existing:
            self._continue(existing[0])
            return
        tags = {
            MLFLOW_RUN_NAME: as_text(run.name),
            MLFLOW_RUN_NOTE: note(run),
            "nas.run_id": run.run_id,
            "nas.kind": "search",
            **{f"version.{name}": number for name, number in versions().items()},
        }
        created = self._client.create_run(self._experiment.id, run_name=as_text(run.name), tags=tags)
        self.run_id = created.info.run_id
        settings = {**flat(run.identity), **flat(run.options)}
        self._client.log_batch(self.run_id, params=params(settings))
        self._client.log_inputs(self.run_id, [dataset_input(run)])
        self._client.log_dict(self.run_id, run.space.to_dict(), "search_space.json")

    def _continue(self, parent: Any) -> None:
        """Read what an earlier process has written of the search."""
        self.run_id = parent.info.run_id
        self._client.update_run(self.run_id, status="RUNNING")
        self._scores = dict(parent.data.metrics)
        history = self._client.get_metric_history(self.run_id, "candidates")
        self._generations = {(point.step, int(point.value)) for point in history}
        self._logged_winner = parent.data.tags.get("nas.logged_candidate")
        for child in self._experiment.search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"):
            number = int(child.data.tags["nas.candidate"])
            self._children[number] = child.info.run_id
            if child.info.status in ("FINISHED", "FAILED"):
                self._complete.add(number)

    def add_child(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Create the child run of a candidate, or complete it."""
        assert self._run is not None, "start comes first"
        if self.has(candidate.id):
            return
        end = int(time.time() * 1000)
        start = end - int(evaluation.seconds * 1000)
        if candidate.id not in self._children:
            created = self._client.create_run(
                self._experiment.id,
                start_time=start,
                run_name=child_name(candidate),
                tags={MLFLOW_PARENT_RUN_ID: self.run_id, **child_tags(candidate, evaluation)},
            )
            self._children[candidate.id] = created.info.run_id
        child = self._children[candidate.id]
        points = child_metrics(evaluation, self._run.metric, end)
        self._client.log_batch(child, points, params(genes(candidate)))
        status = "FAILED" if evaluation.failed else "FINISHED"
        self._client.set_terminated(child, status, end_time=end)
        self._complete.add(candidate.id)

    def add_generations(self, generations: Iterable[Paced]) -> None:
        """Add points to the parent's curves.

        Parameters
        ----------
        generations : iterable of (Generation, float or None)
            See `nas.tracking.generations.Paced`.
        """
        points: list[Metric] = []
        added = set()
        for generation, pace in generations:
            key = (generation.number, generation.evaluated)
            if key not in self._generations:
                points += metrics(generation_metrics(generation, pace), step=generation.number)
                added.add(key)
        if points:
            self._client.log_batch(self.run_id, points)
            self._generations |= added

    def conclude(self, outcome: Outcome, n_candidates: int) -> None:
        """Write the scores, the winner, and the number of candidates with child runs."""
        tags = {"nas.children": f"{self.n_children} of {n_candidates}"}
        if outcome.best is not None:
            tags |= {"nas.best": str(outcome.best.genome), "nas.best_candidate": str(outcome.best.id)}
        new = {key: value for key, value in outcome.scores.items() if self._scores.get(key) != value}
        self._client.log_batch(
            self.run_id,
            metrics(new),
            tags=[RunTag(key, text) for key, text in tags.items()],
        )

    def add_file(self, file: Path) -> None:
        """Log a file of the run's folder as an artifact, in the same subfolder."""
        assert self._run is not None, "start comes first"
        place = file.parent.relative_to(self._run.run_dir)
        self._client.log_artifact(self.run_id, str(file), str(place) if place.parts else None)

    def add_table(self, pairs: Iterable[tuple[Candidate, Evaluation]]) -> None:
        """Log a table of all candidates."""
        with tempfile.TemporaryDirectory() as scratch:
            write_table(pairs, table := Path(scratch, "candidates.csv"))
            self._client.log_artifact(self.run_id, str(table))

    def add_model(self, model_dir: Path, example: Any, candidate: str, register: str | None = None) -> None:
        """Log the saved winner as a model of the parent run, unless this candidate is logged.

        `candidate` is the winner's id; for the rest see `Experiment.log_network`.
        """
        if self._logged_winner == candidate:
            return
        self._experiment.log_network(self.run_id, model_dir, example, register)
        self._logged_winner = candidate
        self._client.set_tag(self.run_id, "nas.logged_candidate", candidate)

    def end(self, status: str) -> None:
        """Mark the parent run as ended; `status` is an `OutcomeStatus`."""
        self._client.set_terminated(self.run_id, _STATUS[OutcomeStatus(status)])
        self._experiment.analyze()
