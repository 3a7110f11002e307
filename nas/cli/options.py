"""Options that several commands have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

_RENAMED = {
    "--racing": "--halving",
    "--no-racing": "--no-halving",
    "--screening": "--surrogate",
    "--lag": "--batches-in-flight",
}
"""Of earlier versions; `nas.tracking.renamed` has the same, but its import takes long."""


def add_places(group: Any) -> None:
    """Where runs and their tracking store are."""
    group.add_argument("--runs-dir", default="runs", metavar="DIR", help="default: runs")
    group.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's store, sqlite:///FILE or http(s)://HOST; default: "
        "MLFLOW_TRACKING_URI, else mlflow.db in the runs' folder",
    )


def add_reading(group: Any) -> None:
    """How a table is read."""
    group.add_argument(
        "--na",
        metavar="TEXTS",
        help="cells that stand for nothing besides empty ones, joined by commas, such as NA,-999",
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="a CSV file begins with a line of names, or not: its columns are then column1, column2, ...",
    )
    group.add_argument(
        "--ignore",
        metavar="COLS",
        help="columns to leave out; default: an index, such as one that counts the rows; '' for none",
    )


def by_new_names(arguments: Sequence[str]) -> list[str]:
    """The arguments with options of earlier versions by their new names, which are told on standard error."""
    renamed = []
    for argument in arguments:
        name, is_set, value = argument.partition("=")
        now = _RENAMED.get(name, name)
        if now != name:
            print(f"nas: {name} is now {now}", file=sys.stderr)
        renamed.append(f"{now}{is_set}{value}")
    return renamed


def reading_of(options: argparse.Namespace) -> dict[str, Any]:
    """The same as arguments of `nas.load_dataset`."""
    from nas.tracking.shown import as_text

    texts = {name: getattr(options, name) for name in ("na", "ignore")}
    found = {name: as_text(text) for name, text in texts.items() if text is not None}
    return {"na": (), **found, "header": options.header}
