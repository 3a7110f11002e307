"""A search as MLflow shows it: one parent run, child runs of candidates, the winner as a model.

Everything here is written at once and may be written again: what is there already is left alone.
`nas.tracking.mlflow` does it while a search goes on, `nas sync` afterwards.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nas.export.mlflow_model import save_mlflow_model  # isort: skip  # it settles MLflow's environment

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.db.utils import create_sqlalchemy_engine
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from nas.evaluation import Candidate, Evaluation
from nas.runtime import load_network
from nas.tracking.address import check_uri, is_database, is_server, public, sqlite_file
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
from nas.tracking.store import analyze, cause, exclusively, ping, unusable
from nas.tracking.table import write_table
from nas.tracking.tracker import Outcome, RunInfo

_MOST_METRICS = 1000

_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class View:
    """What people browse of one search.

    Parameters
    ----------
    uri : str
        The tracking store, with its secrets; the attribute of that name is without them.
    experiment : str
        The experiment that the search belongs to; made if there is none of that name.
    artifacts : Path, optional
        Where a new experiment's artifacts go; None leaves that to the server.

    Attributes
    ----------
    run_id, experiment_id : str
        Of the parent run; empty until `connect` and `start`.

    Raises
    ------
    TrackingError
        If MLflow cannot write to such a store.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path | None) -> None:
        check_uri(uri)
        self._address, self.uri = uri, public(uri)
        self.run_id = ""
        self.experiment_id = ""
        self._experiment, self._artifacts = experiment, artifacts
        self._run: RunInfo | None = None
        self._children: dict[int, str] = {}
        self._complete: set[int] = set()
        self._generations: set[tuple[int, int]] = set()
        self._scores: dict[str, float] = {}
        self._logged_best: str | None = None

    def connect(self) -> None:
        """Find or make the experiment; raises `nas.errors.TrackingError` if the store cannot be used."""
        try:
            self._connect()
        except Exception as error:  # noqa: BLE001
            # Whatever SQLAlchemy, requests or MLflow raise.
            raise unusable(self._address, error) from cause(self._address, error)

    def _connect(self) -> None:
        file = sqlite_file(self._address)
        if is_server(self._address):
            ping(self._address)
        elif file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            # MLflow would try for two minutes to open what cannot be opened.
            sqlite3.connect(file).close()
        elif is_database(self._address):
            # Once: MLflow would try for two minutes to reach what does not answer.
            create_sqlalchemy_engine(self._address).connect().close()  # type: ignore[no-untyped-call]
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with exclusively(file):
            self._client = mlflow.MlflowClient(self._address)
            found = self._client.get_experiment_by_name(self._experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        self.experiment_id = found.experiment_id if found else self._create_experiment()

    def _create_experiment(self) -> str:
        place = self._artifacts.resolve().as_uri() if self._artifacts else None
        try:
            return self._client.create_experiment(self._experiment, artifact_location=place)
        except MlflowException:
            # Another search may have made it in between.
            found = self._client.get_experiment_by_name(self._experiment)
            if found is None:
                raise
            return str(found.experiment_id)

    def answers(self) -> bool:
        """Whether the store does."""
        try:
            self._client.get_experiment(self.experiment_id)
        except Exception:  # noqa: BLE001  # SQLAlchemy, requests and MLflow have many for that
            return False
        return True

    def has(self, candidate_id: int) -> bool:
        """Whether a candidate has its child run, with all that belongs to it."""
        return candidate_id in self._complete

    @property
    def url(self) -> str:
        """The page of the parent run; for a database, the one that `nas ui` serves; empty where unknown."""
        if not is_server(self.uri) and not is_database(self.uri):
            return ""
        base = self.uri.rstrip("/") if is_server(self.uri) else "http://127.0.0.1:5000"
        return f"{base}/#/experiments/{self.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"

    @property
    def is_far(self) -> bool:
        """Whether its calls wait for a network, so that several may be under way."""
        return not is_database(self.uri)

    @property
    def n_children(self) -> int:
        """Candidates with child runs."""
        return len(self._complete)

    def start(self, run: RunInfo) -> None:
        """Make the parent run, or find the one that is there."""
        self._run = run
        same = self._search(f"tags.`nas.run_id` = '{run.run_id}'")
        if same:
            self._take_up(same[0])
            return
        tags = {
            MLFLOW_RUN_NAME: as_text(run.name),
            MLFLOW_RUN_NOTE: note(run),
            "nas.run_id": run.run_id,
            "nas.kind": "search",
            **{f"version.{name}": number for name, number in versions().items()},
        }
        created = self._client.create_run(self.experiment_id, run_name=as_text(run.name), tags=tags)
        self.run_id = created.info.run_id
        settings = {**flat(run.identity), **flat(run.options)}
        self._client.log_batch(self.run_id, params=params(settings))
        self._client.log_inputs(self.run_id, [dataset_input(run)])
        self._client.log_dict(self.run_id, run.space.to_dict(), "search_space.json")

    def _take_up(self, parent: Any) -> None:
        """Go on where an earlier life stopped."""
        self.run_id = parent.info.run_id
        self._client.update_run(self.run_id, status="RUNNING")
        self._scores = dict(parent.data.metrics)
        history = self._client.get_metric_history(self.run_id, "candidates")
        self._generations = {(point.step, int(point.value)) for point in history}
        self._logged_best = parent.data.tags.get("nas.logged_candidate")
        for child in self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"):
            number = int(child.data.tags["nas.candidate"])
            self._children[number] = child.info.run_id
            if child.info.status in ("FINISHED", "FAILED"):
                self._complete.add(number)

    def _search(self, condition: str) -> list[Any]:
        """All runs of the experiment that meet a condition."""
        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment_id], condition, max_results=1000, page_token=token
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def add_child(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Make the child run of a candidate, unless it is there."""
        if self.has(candidate.id):
            return
        end = int(time.time() * 1000)
        start = end - int(evaluation.seconds * 1000)
        if candidate.id not in self._children:
            created = self._client.create_run(
                self.experiment_id,
                start_time=start,
                run_name=child_name(candidate),
                tags={MLFLOW_PARENT_RUN_ID: self.run_id, **child_tags(candidate, evaluation)},
            )
            self._children[candidate.id] = created.info.run_id
        child = self._children[candidate.id]
        points = child_metrics(evaluation, self._info.metric, end)
        self._log_metrics(child, points, params(genes(candidate)))
        status = "FAILED" if evaluation.failed else "FINISHED"
        self._client.set_terminated(child, status, end_time=end)
        self._complete.add(candidate.id)

    def _log_metrics(self, run_id: str, points: Sequence[Metric], first: Sequence[Any] = ()) -> None:
        """Log any number of metrics, with params beside the first of them."""
        self._client.log_batch(run_id, points[:_MOST_METRICS], first)
        for i in range(_MOST_METRICS, len(points), _MOST_METRICS):
            self._client.log_batch(run_id, points[i : i + _MOST_METRICS])

    def add_generations(self, generations: Iterable[Paced]) -> None:
        """Add points to the parent's curves, unless they are there.

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
            self._log_metrics(self.run_id, points)
            self._generations |= added

    def conclude(self, outcome: Outcome, n_candidates: int) -> None:
        """Write the scores, who won, and how many of the candidates have child runs."""
        tags = {"nas.children": f"{self.n_children} of {n_candidates}"}
        if outcome.best is not None:
            tags |= {"nas.best": str(outcome.best.genome), "nas.best_candidate": str(outcome.best.id)}
        new = {key: value for key, value in outcome.scores.items() if self._scores.get(key) != value}
        self._client.log_batch(
            self.run_id,
            metrics(new),
            tags=[RunTag(key, text) for key, text in tags.items()],
        )

    def files(self) -> list[Path]:
        """Those of the run's folder that are artifacts: journals, the report and its pictures."""
        folder = self._info.run_dir
        return sorted([*folder.rglob("journal.jsonl"), *folder.glob("report.*"), *folder.glob("plots/*.svg")])

    def add_file(self, file: Path) -> None:
        """Log one of `files`."""
        place = file.parent.relative_to(self._info.run_dir)
        self._client.log_artifact(self.run_id, str(file), str(place) if place.parts else None)

    def add_table(self, pairs: Iterable[tuple[Candidate, Evaluation]]) -> None:
        """Log a table of all candidates."""
        with tempfile.TemporaryDirectory() as scratch:
            write_table(pairs, table := Path(scratch, "candidates.csv"))
            self._client.log_artifact(self.run_id, str(table))

    def add_model(self, model_dir: Path, example: Any, candidate: str, register: str | None = None) -> None:
        """Log the saved winner as a pyfunc model of the parent run, unless it is logged already.

        Parameters
        ----------
        model_dir : Path
            The saved network.
        example : data frame, optional
            A few rows of the table that it is for.
        candidate : str
            Which candidate it was.
        register : str, optional
            The name of the registered model that it becomes the next version of.
        """
        if self._logged_best == candidate:
            return
        network = load_network(model_dir)
        made = self._client.create_logged_model(
            self.experiment_id, name="network", source_run_id=self.run_id, model_type="pyfunc"
        )
        # In parts: `Model.log` asks for the history of each metric of the run, one call for each.
        with tempfile.TemporaryDirectory() as folder:
            known = Model(run_id=self.run_id, model_id=made.model_id)
            save_mlflow_model(network, model_dir, place := Path(folder, "model"), example, known)
            self._client.log_model_artifacts(made.model_id, str(place))
        self._client.finalize_logged_model(made.model_id, "READY")
        self._client.log_outputs(self.run_id, [LoggedModelOutput(made.model_id, step=0)])
        if register is not None:
            self._register(register, made)
        self._logged_best = candidate
        self._client.set_tag(self.run_id, "nas.logged_candidate", candidate)

    def _register(self, name: str, made: LoggedModel) -> None:
        with contextlib.suppress(MlflowException):  # it is there
            self._client.create_registered_model(name)
        # By its place: "models:/..." would be looked up in the store that MLflow is set to by itself.
        self._client.create_model_version(
            name, made.artifact_location, run_id=self.run_id, model_id=made.model_id
        )

    def end(self, status: str) -> None:
        """Say that the search is over, and let SQLite know how large its tables have become."""
        self._client.set_terminated(self.run_id, _STATUS[status])
        if (file := sqlite_file(self._address)) is not None:
            analyze(file)

    @property
    def _info(self) -> RunInfo:
        assert self._run is not None, "start comes first"
        return self._run
