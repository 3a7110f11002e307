"""Where MLflow's store is."""

from __future__ import annotations

import os
from pathlib import Path

_SQLITE = "sqlite:///"


def tracking_store(given: str | None, runs_dir: str | os.PathLike[str]) -> str:
    """The store to track in: the one given, MLflow's own variable, or SQLite among the runs.

    The path of an SQLite store is made absolute: a search is resumed from wherever a person stands.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{Path(runs_dir) / 'mlflow.db'}"
    file = sqlite_file(uri)
    return uri if file is None else f"{_SQLITE}{file.absolute()}"


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; None for any other."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None
