"""A search as MLflow shows it: one parent run, child runs of candidates, the winner as a model.

Each method writes at once, and may be called again: it writes only what the store lacks.
`nas.tracking.mlflow` calls them while a search goes on, `nas sync` afterwards.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nas.tracking.mlflow_experiment import Experiment  # isort: skip  # it settles MLflow's environment

from mlflow.entities import Metric, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from nas.evaluation import Candidate, Evaluation
from nas.tracking.address import check_uri, is_database, public
from nas.tracking.generations import Paced
from nas.tracking.mlflow_children import ChildRuns, child_run
from nas.tracking.mlflow_entries import (
    CANDIDATES,
    dataset_input,
    flat,
    generation_metrics,
    genes,
    learning_curves,
    metrics,
    origin_tags,
    params,
    score_metrics,
    versions,
)
from nas.tracking.notes import NOTE_START, model_note, note
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


_OF_OTHERS = ("baseline_test_score", "trees_test_score", "search_seconds")
"""Numbers of an outcome that do not describe the winner."""

_CURVES_OF = "nas.curves_of"
"""The tag of a search that names the candidate whose learning curves its run has."""

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
        self._origin: dict[str, str] = {}
        self._generations: set[tuple[int, int]] = set()
        self._scores: dict[str, float] = {}
        self._logged_winner: str | None = None
        self._tags: dict[str, str] = {}

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

    @property
    def url(self) -> str:
        """The page of the parent run; of a database the page that `nas ui` serves; empty where unknown."""
        return self._experiment.page_of(self.run_id)

    @property
    def n_children(self) -> int:
        """Number of candidates with complete child runs."""
        return len(self._children.complete)

    def start(self, run: RunInfo) -> None:
        """Create the parent run, or continue an existing one."""
        self._run, self._origin = run, origin_tags()
        self._experiment.save_views(run.metric)
        existing = self._experiment.search(f"tags.`nas.run_id` = '{run.run_id}'")
        if existing:
            self._continue(existing[0])
        else:
            self._create(run)
        children = (
            self._experiment.search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'") if existing else []
        )
        self._children = ChildRuns(
            self._client, self._experiment.id, self.run_id, self.n_concurrent, children
        )

    def _create(self, run: RunInfo) -> None:
        """Create the parent run."""
        tags = {
            **self._origin,
            MLFLOW_RUN_NAME: as_text(run.name),
            MLFLOW_RUN_NOTE: note(run),
            "nas.run_id": run.run_id,
            "nas.kind": "search",
            **{f"version.{name}": number for name, number in versions().items()},
        }
        self._tags = tags
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
        history = self._client.get_metric_history(self.run_id, CANDIDATES)
        self._generations = {(point.step, int(point.value)) for point in history}
        self._tags = dict(parent.data.tags)
        self._logged_winner = self._tags.get("nas.logged_candidate")

    def add_children(self, pairs: Iterable[tuple[Candidate, Evaluation]]) -> None:
        """Write the child runs of candidates, each with its curves, where they are missing."""
        assert self._run is not None, "start comes first"
        now = int(time.time() * 1000)
        missing = [pair for pair in pairs if pair[0].id not in self._children.complete]
        self._children.add([child_run(*pair, self._run.metric, self._origin, now) for pair in missing])

    def add_generations(self, generations: Iterable[Paced]) -> None:
        """Add points to the parent's curves.

        Parameters
        ----------
        generations : iterable of (Generation, float or None)
            See `nas.tracking.generations.Paced`.
        """
        assert self._run is not None, "start comes first"
        points: list[Metric] = []
        added = set()
        for generation, pace in generations:
            key = (generation.number, generation.evaluated)
            if key not in self._generations:
                values = generation_metrics(generation, pace, self._run.metric)
                points += metrics(values, step=generation.number)
                added.add(key)
        if points:
            self._client.log_batch(self.run_id, points)
            self._generations |= added

    def conclude(self, outcome: Outcome, n_candidates: int) -> None:
        """Write the scores, the winner, and the number of candidates with child runs."""
        assert self._run is not None, "start comes first"
        self._add_scores(outcome.scores)
        tags = {"nas.children": f"{self.n_children} of {n_candidates}"}
        if outcome.best is not None:
            tags |= {"nas.best": str(outcome.best.genome), "nas.best_candidate": str(outcome.best.id)}
            if outcome.status == OutcomeStatus.FINISHED:
                self._add_winner(outcome.best, n_candidates)
        if NOTE_START in self._tags.get(MLFLOW_RUN_NOTE, ""):  # not rewritten by a person
            tags[MLFLOW_RUN_NOTE] = note(self._run, outcome)
        self._client.log_batch(self.run_id, tags=[RunTag(key, text) for key, text in tags.items()])

    def _add_scores(self, scores: Mapping[str, float], model_id: str | None = None) -> None:
        """Write the scores that the run lacks, of a logged model to its page as well."""
        assert self._run is not None, "start comes first"
        data = dataset_input(self._run).dataset
        new = score_metrics(scores, self._run.metric)
        if model_id is None:
            new = {key: value for key, value in new.items() if self._scores.get(key) != value}
        points = [
            Metric(one.key, one.value, one.timestamp, one.step, model_id, data.name, data.digest, self.run_id)
            for one in metrics(new)
        ]
        if points:
            self._client.log_batch(self.run_id, points)
            self._scores |= new

    def _add_winner(self, winner: Candidate, n_candidates: int) -> None:
        """Write the winner's genome as a param, and its curves.

        A param is written once: that of another winner, of a search that was resumed with more candidates,
        has a name of its own, and so have its curves.
        """
        assert self._run is not None, "start comes first"
        if self._tags.get(_CURVES_OF) == str(winner.id):
            return
        is_first = _CURVES_OF not in self._tags
        self._tags[_CURVES_OF] = str(winner.id)
        section = "learning" if is_first else f"learning_c{winner.id:04d}"
        self._client.log_batch(
            self.run_id,
            learning_curves(self._training_of(winner), self._run.metric, section),
            params({"winner" if is_first else f"winner_of_{n_candidates}": winner.genome}),
            [RunTag(_CURVES_OF, str(winner.id))],
        )

    def _training_of(self, candidate: Candidate) -> list[tuple[Candidate, Evaluation]]:
        """Return the parts of a candidate's training, the first first: a rung continues that before it."""
        assert self._run is not None, "start comes first"
        if self._run.pair is None:
            return []
        parts = [self._run.pair(candidate.id)]
        while parts[0][0].epochs_done and parts[0][0].inherits is not None:
            parts.insert(0, self._run.pair(parts[0][0].inherits))
        return parts

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

    def add_model(self, outcome: Outcome, register: str | None = None) -> None:
        """Log the saved winner as a model of the parent run, unless this candidate is logged.

        Its page has the winner's genes, its scores with the data they are of, and a description.

        Parameters
        ----------
        outcome : Outcome
        register : str, optional
            Name of the registered model of which it becomes the next version.
        """
        assert self._run is not None, "start comes first"
        candidate = "none" if outcome.best is None else str(outcome.best.id)
        if self._logged_winner == candidate or outcome.model_dir is None:
            return
        of_winner = {} if outcome.best is None else genes(outcome.best)
        model_id = self._experiment.log_network(
            self.run_id,
            outcome.model_dir,
            outcome.example,
            {param.key: param.value for param in params(of_winner)},
            self._origin,
            partial(model_note, self._run, outcome),
            register,
        )
        scores = {name: value for name, value in outcome.scores.items() if name not in _OF_OTHERS}
        self._add_scores(scores, model_id)
        self._logged_winner = candidate
        self._client.set_tag(self.run_id, "nas.logged_candidate", candidate)

    def end(self, status: str) -> None:
        """Mark the parent run as ended; `status` is an `OutcomeStatus`."""
        self._client.set_terminated(self.run_id, _STATUS[OutcomeStatus(status)])
        self._experiment.analyze()
