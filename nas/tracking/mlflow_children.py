"""Child runs in MLflow: what they hold, and two ways to write them.

Databases take rows, fifty runs in one transaction; servers take calls, three for each run.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_USER
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from nas.evaluation import Candidate, Evaluation
from nas.metric_names import metric_key, shown_metric
from nas.tracking.mlflow_entries import genes, learning_curves, metrics, params

_log = logging.getLogger(__name__)

_MOST_OF_A_TAG = 5000
"""Characters of a tag's text that every version of MLflow takes."""


@dataclass(frozen=True)
class ChildRun:
    """The run of a candidate; times in milliseconds since 1970.

    Attributes
    ----------
    number : int
        The candidate's id.
    name : str
        Such as ``g03 c0141 64-128-32``: generation, id and widths.
    """

    number: int
    name: str
    status: str
    start: int
    end: int
    tags: dict[str, str]
    params: list[Param]
    metrics: list[Metric]


def child_run(
    candidate: Candidate, evaluation: Evaluation, metric: str, tags: dict[str, str], now: int
) -> ChildRun:
    """Return the run of a candidate that ended at `now`; `tags` are those that all runs of a search have."""
    score = f"validation_{metric_key(metric)}"
    values: dict[str, float] = {"seconds": evaluation.seconds, "n_parameters": evaluation.n_parameters}
    if not evaluation.failed:
        values |= {score: shown_metric(metric)(evaluation.fitness), "best_epoch": evaluation.best_epoch}
    widths = "-".join(map(str, candidate.genome.widths)) or "linear"
    return ChildRun(
        number=candidate.id,
        name=f"g{candidate.generation:02d} c{candidate.id:04d} {widths}",
        status="FAILED" if evaluation.failed else "FINISHED",
        start=now - int(evaluation.seconds * 1000),
        end=now,
        tags={**tags, **_tags(candidate, evaluation)},
        params=params(genes(candidate)),
        metrics=learning_curves([(candidate, evaluation)], metric) + metrics(values),
    )


def _tags(candidate: Candidate, evaluation: Evaluation) -> dict[str, str]:
    """Return a candidate's origin and its outcome as tags."""
    tags = {
        "nas.kind": "candidate",
        "nas.candidate": str(candidate.id),
        "nas.generation": str(candidate.generation),
        "nas.operator": candidate.operator,
        "nas.parents": ", ".join(map(str, candidate.parents)) or "none",
        "nas.inherits": "none" if candidate.inherits is None else str(candidate.inherits),
        "nas.rung": "whole" if candidate.epochs is None else f"{candidate.epochs} epochs",
        "nas.status": "failed" if evaluation.failed else "trained",
        "nas.stopped": evaluation.stopped,
    }
    return tags | ({"nas.error": evaluation.error[:_MOST_OF_A_TAG]} if evaluation.error else {})


class ChildRuns:
    """Writes the child runs of one parent run.

    Parameters
    ----------
    client : MlflowClient
    experiment_id : str
    parent_id : str
        Id of the parent run.
    n_concurrent : int
        Calls that may be in progress at once.
    existing : sequence of mlflow.entities.Run
        Child runs that an earlier process has begun or written.

    Attributes
    ----------
    complete : set of int
        Candidates with a complete run.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        parent_id: str,
        n_concurrent: int,
        existing: Sequence[Run] = (),
    ) -> None:
        self._client, self._experiment_id, self._parent_id = client, experiment_id, parent_id
        self._n_concurrent = n_concurrent
        self.complete: set[int] = set()
        self._unfinished: dict[int, str] = {}
        for run in existing:
            number = int(run.data.tags["nas.candidate"])
            if run.info.status in ("FINISHED", "FAILED"):
                self.complete.add(number)
            else:
                self._unfinished[number] = run.info.run_id
        store = client._tracking_client.store
        self._store = store if isinstance(store, SqlAlchemyStore) else None

    @cached_property
    def _place(self) -> str:
        """The address of the experiment's artifacts."""
        return str(self._client.get_experiment(self._experiment_id).artifact_location)

    def add(self, runs: Sequence[ChildRun]) -> None:
        """Write the runs that are missing; what was written before an error is not written again."""
        missing = [run for run in runs if run.number not in self.complete]
        new = [run for run in missing if run.number not in self._unfinished]
        calls = [run for run in missing if run.number in self._unfinished]
        if self._store is None or not self._insert(self._store, new):
            calls += new
        with ThreadPoolExecutor(self._n_concurrent) as pool:
            list(pool.map(self._call, calls))

    def _insert(self, store: SqlAlchemyStore, runs: Sequence[ChildRun]) -> bool:
        """Write runs to a database in one transaction; False where its tables are not as expected.

        The tables are MLflow's own description of them, but no interface that it promises to keep.
        """
        if not runs:
            return True
        try:
            rows = _rows(runs, self._experiment_id, self._parent_id, self._place)
            with store.engine.begin() as connection:
                for model, records in rows.items():
                    if records:
                        connection.execute(insert(model.__table__), records)
        except (SQLAlchemyError, AttributeError, TypeError) as error:
            # Calls find out whether it is the tables or the store.
            _log.debug("MLflow: child runs are written one by one, because: %s", error)
            return False
        self.complete.update(run.number for run in runs)
        return True

    def _call(self, run: ChildRun) -> None:
        """Write a run by calls of MLflow's client, or complete it."""
        if run.number not in self._unfinished:
            tags = {MLFLOW_PARENT_RUN_ID: self._parent_id, **run.tags}
            created = self._client.create_run(
                self._experiment_id, start_time=run.start, run_name=run.name, tags=tags
            )
            self._unfinished[run.number] = created.info.run_id
        run_id = self._unfinished[run.number]
        self._client.log_batch(run_id, run.metrics, run.params)
        self._client.set_terminated(run_id, run.status, end_time=run.end)
        self.complete.add(run.number)
        del self._unfinished[run.number]


Rows = dict[Any, list[dict[str, Any]]]
"""Rows by table, in the order of insertion."""


def _rows(runs: Sequence[ChildRun], experiment_id: str, parent_id: str, place: str) -> Rows:
    """Return the rows that the calls of MLflow's client would write."""
    rows: Rows = {SqlRun: [], SqlTag: [], SqlParam: [], SqlMetric: [], SqlLatestMetric: []}
    for run in runs:
        run_id = uuid.uuid4().hex
        of_run = {"run_uuid": run_id}
        tags = [RunTag(MLFLOW_PARENT_RUN_ID, parent_id), RunTag(MLFLOW_RUN_NAME, run.name)]
        tags += [RunTag(key, text) for key, text in run.tags.items()]
        rows[SqlRun].append(
            {
                **of_run,
                "name": run.name,
                "artifact_uri": _artifacts(place, run_id),
                "experiment_id": int(experiment_id),
                "source_type": "UNKNOWN",
                "source_name": "",
                "entry_point_name": "",
                "user_id": run.tags.get(MLFLOW_USER, "unknown"),
                "status": run.status,
                "start_time": run.start,
                "end_time": run.end,
                "source_version": "",
                "lifecycle_stage": LifecycleStage.ACTIVE,
            }
        )
        rows[SqlTag] += [{**of_run, "key": tag.key, "value": tag.value} for tag in tags]
        rows[SqlParam] += [{**of_run, "key": param.key, "value": param.value} for param in run.params]
        points = [{**of_run, **_point(metric)} for metric in run.metrics]
        rows[SqlMetric] += points
        # The last point of each curve, as points come by their steps.
        rows[SqlLatestMetric] += {point["key"]: point for point in points}.values()
    return rows


def _artifacts(place: str, run_id: str) -> str:
    """Return the address of a run's artifacts, below the experiment's."""
    address: str = append_to_uri_path(place, run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)  # type: ignore[no-untyped-call]
    return address


def _point(metric: Metric) -> dict[str, Any]:
    """Return a metric's columns; candidates' numbers are finite."""
    return {
        "key": metric.key,
        "value": metric.value,
        "timestamp": metric.timestamp,
        "step": metric.step,
        "is_nan": False,
    }
