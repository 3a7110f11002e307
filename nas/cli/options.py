"""Options that several commands have."""

from __future__ import annotations

from typing import Any


def add_places(group: Any) -> None:
    """Where runs and their tracking store are."""
    group.add_argument("--runs-dir", default="runs", metavar="DIR", help="default: runs")
    group.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's store, sqlite:///FILE or http(s)://HOST; default: "
        "MLFLOW_TRACKING_URI, else mlflow.db in the runs' folder",
    )
