"""MLflow: one parent run a search, one child run a candidate, the winner as a model.

One thread writes, through `MlflowClient` with explicit run ids; the search only puts jobs into its
queue and never waits for the store. While the store does not answer, the jobs wait in order, and
are done when it is back or, at the latest, tried once more at the end.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sqlite3
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.errors import TrackingError
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.export.mlflow_model import write_model_code
from nas.runtime import load_network
from nas.tracking.store import analyze, check_uri, knock, one_at_a_time, sqlite_file
from nas.tracking.tracker import Outcome, RunInfo

# Read by MLflow when it is imported: nothing sent home, nothing printed between our lines, and a
# server that is gone noticed within seconds instead of minutes.
for _name, _value in (
    ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
    ("MLFLOW_LOGGING_LEVEL", "WARNING"),
    ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
    ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"),
):
    os.environ.setdefault(_name, _value)

import mlflow
import mlflow.pyfunc
from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from nas.tracking.mlflow_entries import (
    as_the_model_reads,
    child_metrics,
    child_name,
    flat,
    genes,
    metrics,
    note,
    params,
    schema,
    versions,
)

_log = logging.getLogger(__name__)

_MOST_METRICS = 1000
_PAUSE = 10.0
"""Seconds between two tries while the store does not answer."""

_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class MLflowTracker:
    """The tracker that people browse.

    Parameters
    ----------
    uri : str
        The tracking store: ``sqlite:///PATH`` or ``http(s)://HOST``.
    experiment : str
        The experiment that the search belongs to; made if there is none of that name.
    artifacts : Path, optional
        Where a new experiment's artifacts go; None leaves that to the server.

    Attributes
    ----------
    run_id, experiment_id : str
        Of the parent run; empty until the search has started and the store has answered.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path | None) -> None:
        check_uri(uri)
        self.uri = uri
        self.run_id = ""
        self.experiment_id = ""
        self._experiment, self._artifacts = experiment, artifacts
        self._run: RunInfo | None = None
        self._children: dict[int, str] = {}
        self._complete: set[int] = set()
        self._generations: set[tuple[int, int]] = set()
        self._logged_best: str | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._backlog: deque[Callable[[], None]] = deque()
        self._paused_until = 0.0
        self._lost = 0
        self._warned = False
        self._ready = threading.Event()
        self._refusal: TrackingError | None = None
        self._thread = threading.Thread(target=self._work, name="nas-mlflow", daemon=True)
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Wait until the store has answered; raises `TrackingError` if it does not."""
        self._ready.wait()
        if self._refusal is not None:
            raise self._refusal

    def close(self) -> None:
        """End the writing thread where a search does not come to its start."""
        self._jobs.put(None)
        self._thread.join()

    @property
    def url(self) -> str:
        """The page of the parent run; for SQLite, the one that `nas ui` serves by default."""
        base = self.uri.rstrip("/") if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{base}/#/experiments/{self.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"

    def started(self, run: RunInfo) -> None:
        """Make the parent run, or find that of the search that is resumed."""
        self._run = run
        self._jobs.put(self._start_parent)

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Make the candidate's child run."""
        self._jobs.put(lambda: self._write_child(candidate, evaluation))

    def generation(self, generation: Generation) -> None:
        """Add a point to the parent's curves."""
        self._jobs.put(lambda: self._write_generation(generation))

    def finished(self, outcome: Outcome) -> None:
        """Write what is left, log the model, end the parent run, and wait until all is written."""
        self._jobs.put(lambda: self._finish(outcome))
        self.close()
        if self._lost or self._backlog:
            _log.warning(
                "MLflow: %d writes to %s were not done; the journal has everything",
                self._lost + len(self._backlog),
                self.uri,
            )

    def _work(self) -> None:
        try:
            self._connect()
        except Exception as error:  # noqa: BLE001
            # Whatever SQLAlchemy, requests or MLflow raise: the store cannot be used.
            self._refusal = TrackingError(
                f"tracking store {self.uri}: expected an MLflow store that answers, got: {_in_words(error)}"
            )
        self._ready.set()
        while (job := self._jobs.get()) is not None:
            self._backlog.append(job)
            if time.monotonic() >= self._paused_until:
                self._work_off()
        if self._refusal is None:
            self._work_off()

    def _work_off(self) -> None:
        """Do what waits, in order, until it is done or the store no longer answers."""
        while self._backlog:
            try:
                self._backlog[0]()
            except Exception as error:  # noqa: BLE001
                # A store may fail in any way; the search goes on, and the journal has everything.
                if not self._warned:
                    _log.warning("MLflow: %s; the search goes on", _in_words(error))
                    self._warned = True
                if not self._answers():
                    self._paused_until = time.monotonic() + _PAUSE
                    return
                self._lost += 1  # the store is well: it is this write that it refuses
            self._backlog.popleft()

    def _answers(self) -> bool:
        try:
            self._client.get_experiment(self.experiment_id)
        except Exception:  # noqa: BLE001  # as above
            return False
        return True

    def _connect(self) -> None:
        file = sqlite_file(self.uri)
        if self.uri.startswith("http"):
            knock(self.uri)
        elif file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            # MLflow would try for two minutes to open what cannot be opened.
            sqlite3.connect(file).close()
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with one_at_a_time(file):
            self._client = mlflow.MlflowClient(self.uri)
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

    def _start_parent(self) -> None:
        run = self._info
        same = self._search(f"tags.`nas.run_id` = '{run.run_id}'")
        if same:
            self.run_id = same[0].info.run_id
            self._client.update_run(self.run_id, status="RUNNING")
            history = self._client.get_metric_history(self.run_id, "candidates")
            self._generations = {(point.step, int(point.value)) for point in history}
            self._logged_best = same[0].data.tags.get("nas.logged_candidate")
            for child in self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"):
                number = int(child.data.tags["nas.candidate"])
                self._children[number] = child.info.run_id
                if child.info.status in ("FINISHED", "FAILED"):
                    self._complete.add(number)
            return
        tags = {
            MLFLOW_RUN_NAME: run.name,
            MLFLOW_RUN_NOTE: note(run),
            "nas.run_id": run.run_id,
            "nas.kind": "search",
            **{f"version.{name}": number for name, number in versions().items()},
        }
        created = self._client.create_run(self.experiment_id, run_name=run.name, tags=tags)
        self.run_id = created.info.run_id
        settings = {**flat(run.identity), **flat(run.options)}
        self._client.log_batch(self.run_id, params=params(settings))
        self._client.log_dict(self.run_id, run.space.to_dict(), "search_space.json")

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

    def _write_child(self, candidate: Candidate, evaluation: Evaluation) -> None:
        if candidate.id in self._complete:
            return
        end = int(time.time() * 1000)
        start = end - int(evaluation.seconds * 1000)
        if candidate.id not in self._children:
            created = self._client.create_run(
                self.experiment_id,
                start_time=start,
                run_name=child_name(candidate),
                tags=self._child_tags(candidate, evaluation),
            )
            self._children[candidate.id] = created.info.run_id
        child = self._children[candidate.id]
        points = child_metrics(evaluation, self._info.metric, end)
        self._client.log_batch(child, points[:_MOST_METRICS], params(genes(candidate)))
        for i in range(_MOST_METRICS, len(points), _MOST_METRICS):
            self._client.log_batch(child, points[i : i + _MOST_METRICS])
        status = "FAILED" if evaluation.failed else "FINISHED"
        self._client.set_terminated(child, status, end_time=end)
        self._complete.add(candidate.id)

    def _child_tags(self, candidate: Candidate, evaluation: Evaluation) -> dict[str, str]:
        tags = {
            MLFLOW_PARENT_RUN_ID: self.run_id,
            "nas.kind": "candidate",
            "nas.candidate": str(candidate.id),
            "nas.generation": str(candidate.generation),
            "nas.operator": candidate.operator,
            "nas.parents": ", ".join(map(str, candidate.parents)) or "none",
            "nas.inherits": "nobody" if candidate.inherits is None else str(candidate.inherits),
            "nas.stopped": evaluation.stopped,
        }
        return tags | ({"nas.error": evaluation.error} if evaluation.error else {})

    def _write_generation(self, generation: Generation) -> None:
        if (generation.number, generation.evaluated) in self._generations:
            return  # of an earlier life
        values = {
            "best_fitness": generation.best,
            "median_fitness": generation.median,
            "mean_fitness": generation.mean,
            "fitness_spread": generation.spread,
            "diversity": generation.diversity,
            "best_depth": generation.best_genome.depth,
            "candidates": generation.evaluated,
            "failures": generation.failures,
            **{f"heredity_layer_{i}": share for i, share in enumerate(generation.heredity, 1)},
        }
        self._client.log_batch(self.run_id, metrics(values, step=generation.number))

    def _finish(self, outcome: Outcome) -> None:
        self._client.log_batch(self.run_id, metrics(outcome.scores))
        if outcome.best is not None:
            best = {"nas.best": str(outcome.best.genome), "nas.best_candidate": str(outcome.best.id)}
            self._client.log_batch(self.run_id, tags=[RunTag(key, text) for key, text in best.items()])
        if outcome.model_dir is not None and outcome.best is not None:
            self._log_model(outcome.model_dir, outcome.example, str(outcome.best.id))
        for journal in sorted(self._info.run_dir.rglob("journal.jsonl")):
            place = journal.parent.relative_to(self._info.run_dir)
            self._client.log_artifact(self.run_id, str(journal), str(place) if place.parts else None)
        self._client.set_terminated(self.run_id, _STATUS[outcome.status])
        if (file := sqlite_file(self.uri)) is not None:
            analyze(file)

    def _log_model(self, model_dir: Path, example: Any, candidate: str) -> None:
        """Log the saved winner as a pyfunc model of the parent run, unless it is logged already."""
        if self._logged_best == candidate:
            return
        network = load_network(model_dir)
        example = as_the_model_reads(example, network)
        signature = infer_signature(example, network.predict(example), params={"probabilities": False})
        signature.inputs = schema(network)
        model = self._client.create_logged_model(
            self.experiment_id, name="network", source_run_id=self.run_id, model_type="pyfunc"
        )
        with _tracking_to(self.uri), tempfile.TemporaryDirectory() as folder:
            Model.log(
                artifact_path=None,
                flavor=mlflow.pyfunc,
                run_id=self.run_id,
                model_id=model.model_id,
                python_model=str(write_model_code(Path(folder))),
                artifacts={"network": str(model_dir)},
                signature=signature,
                input_example=example,
                pip_requirements=[f"mlflow=={mlflow.__version__}", f"numpy=={version('numpy')}"],
            )

        self._logged_best = candidate
        self._client.set_tag(self.run_id, "nas.logged_candidate", candidate)

    @property
    def _info(self) -> RunInfo:
        assert self._run is not None, "started comes first"
        return self._run


@contextlib.contextmanager
def _tracking_to(uri: str) -> Iterator[None]:
    """Point MLflow's global address somewhere for a while: `Model.log` takes it from nowhere else."""
    variable = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None  # type: ignore[no-untyped-call]
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it
        # Setting the address also sets the variable, which later searches would follow.
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable


def _in_words(error: BaseException) -> str:
    """The first line of an error, which from SQLAlchemy and requests can be pages long."""
    reason = getattr(error, "reason", None) or error
    return (str(reason).strip() or type(error).__name__).splitlines()[0][:300]
