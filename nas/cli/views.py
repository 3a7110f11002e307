"""``nas ui`` and ``sync``: looking at searches."""

from __future__ import annotations

import argparse
from typing import Any

from nas.cli.options import add_places


def add_ui(commands: Any) -> None:
    """Declare ``nas ui``."""
    ui = commands.add_parser("ui", help="open MLflow's pages on the searches")
    ui.set_defaults(command=_ui)
    add_places(ui)
    ui.add_argument("--port", type=int, default=5000, metavar="N", help="default: 5000")


def _ui(options: argparse.Namespace) -> int:
    from nas.tracking.ui import serve

    return serve(options.runs_dir, options.tracking_uri, options.port)


def add_sync(commands: Any) -> None:
    """Declare ``nas sync``."""
    sync = commands.add_parser("sync", help="write to MLflow what is missing there of a run")
    sync.set_defaults(command=_sync)
    sync.add_argument("run", metavar="RUN", help="the run's folder")
    sync.add_argument("--tracking-uri", metavar="URI", help="another store than the run had")
    sync.add_argument(
        "--track", metavar="WHO", help="candidates with runs of their own; see 'nas search --help'"
    )
    sync.add_argument(
        "--register", metavar="NAME", help="make the winner the next version of a registered model in MLflow"
    )


def _sync(options: argparse.Namespace) -> int:
    from nas.run import sync

    synced = sync(
        options.run, tracking_uri=options.tracking_uri, track=options.track, register=options.register
    )
    print(
        f"{synced.n_children} of {synced.n_candidates} candidates have runs of their own: {synced.mlflow_url}"
    )
    return 0
