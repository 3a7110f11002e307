"""Small real things that many tests need: a problem, a space, a store that is ready."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

# Before anything imports them: tests do not report home, nor follow the caller's own server.
os.environ.pop("MLFLOW_TRACKING_URI", None)
os.environ["RAY_AUTH_MODE"] = "disabled"

from nas.evaluation import Problem
from nas.scoring import METRICS
from nas.space import SearchSpace
from nas.training import TrainingConfig


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what starts Ray and what is exhaustive, and as exhaustive all but the cases named.

    What starts Ray is one group of pytest-xdist, whose tests run one after the other.
    """
    for item in items:
        named = item.get_closest_marker("exhaustive_except")
        if named and not set(named.args) & set(item.callspec.id.split("-")):  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.exhaustive)
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
        if item.get_closest_marker("ray") or item.get_closest_marker("exhaustive"):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Take what importing has made out of the collector's sight, which tests make it go through often.

    Raises `pytest.UsageError` if pytest-xdist does not keep groups together, as with pytest 9.2: it names
    the tests of a group by it.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError(f"{item.nodeid}: expected a name with its group, got none")
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Three noisy classes on a plane: 120 rows to train on, 60 to validate, 8 epochs."""
    rng = np.random.default_rng(7)
    y = rng.integers(0, 3, 180)
    centers = np.array([[0, 0], [2, 0], [1, 2]])
    X = (centers[y] + rng.normal(0, 0.7, (180, 2))).astype(np.float32)
    training = TrainingConfig(epochs=8, batch_size=16, patience=4, time_limit=60)
    return Problem(X[:120], y[:120], X[120:], y[120:], 3, "cross_entropy", METRICS["accuracy"], training, 5)


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    """A space with a gene of each kind, large enough never to be exhausted."""
    return SearchSpace(
        depth=(0, 4),
        widths=(2, 3, 4, 6, 8, 12, 16),
        activation=("relu", "tanh", "gelu"),
        learning_rate=(0.001, 0.003, 0.01, 0.03),
        batch_size=(8, 16, 32),
        dropout=(0.0, 0.1),
        optimizer=("adam", "sgd"),
    )


@pytest.fixture
def table() -> pd.DataFrame:
    """A table of one's own: numbers with gaps, categories with gaps, a constant, a text target."""
    rng = np.random.default_rng(3)
    n = 160
    size = rng.normal(10, 3, n)
    color = rng.choice(["red", "green", "blue"], n).astype(object)
    score = size + np.where(color == "red", 4, 0) + rng.normal(0, 0.5, n)
    frame = pd.DataFrame(
        {"size": size, "color": color, "constant": 1, "kind": np.where(score > 11, "big", "small")}
    )
    frame.loc[::17, "size"] = np.nan
    frame.loc[::23, "color"] = None
    return frame


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: making one takes seconds, copying it nothing."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def runs_dir(tmp_path: Path, empty_store: Path) -> Path:
    """A folder for runs with a store that is ready."""
    runs = tmp_path / "runs"
    runs.mkdir()
    shutil.copy(empty_store, runs / "mlflow.db")
    return runs


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    """A Ray that runs already, which searches join: each would take five seconds to start its own."""
    # First, as it sets what Ray reads when it is imported.
    import nas.execution.ray  # noqa: F401

    # isort: split
    import ray

    ray.init(address="local", num_cpus=7, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
