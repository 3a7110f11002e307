"""One experiment in MLflow's store: connecting to it, and the calls that need nothing but a run's id."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.export.mlflow_model import save_mlflow_model  # isort: skip  # it settles MLflow's environment

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.db.utils import create_sqlalchemy_engine
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from nas.runtime import load_network
from nas.tracking.address import is_database, is_server, public, sqlite_file
from nas.tracking.pages import MODEL_DEVELOPMENT, run_page, saved_views
from nas.tracking.store import analyze, exclusively, ping

_PAGE = 1000
"""Runs of one page of a search."""


class Experiment:
    """A connection to an experiment, which is created if there is none of its name.

    Parameters
    ----------
    address : str
        The tracking store, with its secrets.
    name : str
        Name of the experiment.
    artifacts : Path, optional
        Folder for the artifacts of a new experiment; None: the server decides.

    Attributes
    ----------
    id : str
    client : mlflow.MlflowClient

    Raises
    ------
    Exception
        If the store cannot be used: whatever SQLAlchemy, requests or MLflow raise.
    """

    def __init__(self, address: str, name: str, artifacts: Path | None) -> None:
        self._address, self._name, self._artifacts = address, name, artifacts
        _check_connection(address)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with exclusively(sqlite_file(address)):
            self.client = mlflow.MlflowClient(address)
            experiment = self.client.get_experiment_by_name(name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        self.id = str(experiment.experiment_id) if experiment else self._create()

    def _create(self) -> str:
        """Create the experiment, or return that of a search which created it first."""
        place = self._artifacts.resolve().as_uri() if self._artifacts else None
        try:
            return self.client.create_experiment(
                self._name, artifact_location=place, tags=dict(MODEL_DEVELOPMENT)
            )
        except MlflowException:
            # Another search may have created it in the meantime.
            experiment = self.client.get_experiment_by_name(self._name)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def save_views(self, metric: str) -> None:
        """Save the views that show searches, and candidates, by a metric; see `nas.tracking.pages`."""
        tags = self.client.get_experiment(self.id).tags
        views = saved_views(metric, tags)
        # Of an experiment that has a kind, it is its user's.
        for key, text in {**MODEL_DEVELOPMENT, **tags, **views}.items():
            if tags.get(key) != text:
                self.client.set_experiment_tag(self.id, key, text)

    def answers(self) -> bool:
        """Return whether the store answers."""
        try:
            self.client.get_experiment(self.id)
        except Exception:  # noqa: BLE001  # SQLAlchemy, requests and MLflow have no common base class
            return False
        return True

    def page_of(self, run_id: str) -> str:
        """Return the address of a run's page; of a database the page that `nas ui` serves; "" if unknown."""
        uri = public(self._address)
        if not is_server(uri) and not is_database(uri):
            return ""
        base = uri.rstrip("/") if is_server(uri) else "http://127.0.0.1:5000"
        return f"{base}/{run_page(self.id, run_id)}"

    def search(self, condition: str) -> list[Any]:
        """Return all runs of the experiment that meet a condition in MLflow's filter syntax."""
        runs: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs([self.id], condition, max_results=_PAGE, page_token=token)
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def log_network(
        self,
        run_id: str,
        model_dir: Path,
        example: Any,
        params: dict[str, str],
        tags: dict[str, str],
        describe: Callable[[str], str],
        register: str | None,
    ) -> str:
        """Log a saved network as a pyfunc model of a run, and return the model's id.

        Parameters
        ----------
        run_id : str
        model_dir : Path
            The saved network.
        example : data frame, optional
            A few rows of the table that it predicts.
        params, tags : dict of str to str
            What the model's page shows beside.
        describe : callable
            Returns the description, in Markdown, for the model's id.
        register : str, optional
            Name of the registered model of which it becomes the next version.
        """
        network = load_network(model_dir)
        logged = self.client.create_logged_model(
            self.id,
            name="network",
            source_run_id=run_id,
            params=params,
            tags=tags,
            model_type="pyfunc",
        )
        description = describe(logged.model_id)
        self.client.set_logged_model_tags(logged.model_id, {MLFLOW_RUN_NOTE: description})
        # Step by step, as `Model.log` requests the history of each metric of the run in a call of its own.
        with tempfile.TemporaryDirectory() as folder:
            model = Model(run_id=run_id, model_id=logged.model_id)
            save_mlflow_model(network, model_dir, place := Path(folder, "model"), example, model)
            self.client.log_model_artifacts(logged.model_id, str(place))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        if register is not None:
            self._register(register, run_id, logged, description)
        return str(logged.model_id)

    def _register(self, name: str, run_id: str, logged: LoggedModel, description: str) -> None:
        """Make a logged model the next version of a registered model."""
        with contextlib.suppress(MlflowException):  # the registered model exists
            self.client.create_registered_model(name)
        # By its location: "models:/..." would be looked up in MLflow's default store.
        self.client.create_model_version(
            name,
            logged.artifact_location,
            run_id=run_id,
            model_id=logged.model_id,
            description=description,
        )

    def analyze(self) -> None:
        """Update the statistics of an SQLite store, after its tables have grown."""
        if (file := sqlite_file(self._address)) is not None:
            analyze(file)


def _check_connection(address: str) -> None:
    """Connect once, and raise at once if that fails: MLflow itself would retry for two minutes."""
    file = sqlite_file(address)
    if is_server(address):
        ping(address)
    elif file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        sqlite3.connect(file).close()
    elif is_database(address):
        create_sqlalchemy_engine(address).connect().close()  # type: ignore[no-untyped-call]
