"""Commands that show searches: ``nas list``, ``show``, ``report``, ``compare``, ``ui`` and ``sync``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nas.cli.options import add_places


def add_list(commands: Any) -> None:
    """Declare ``nas list``."""
    listing = commands.add_parser("list", help="list the searches in a folder, the latest first")
    listing.set_defaults(command=_list)
    listing.add_argument("folder", nargs="?", default="runs", metavar="FOLDER", help="default: runs")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")


def _list(options: argparse.Namespace) -> int:
    """Run ``nas list``; return the exit code."""
    from nas.reporting.listing import list_runs, list_text

    is_first_time = options.folder == "runs" and not Path("runs").exists()
    runs = [] if is_first_time else list_runs(options.folder)
    if options.json:
        print(json.dumps([run.to_dict() for run in runs], allow_nan=False))
    else:
        print(list_text(runs) if runs else f"no searches in {options.folder}; to begin: nas search digits")
    return 0


def add_show(commands: Any) -> None:
    """Declare ``nas show``."""
    show = commands.add_parser("show", help="show the result of a search again, or one of its candidates")
    show.set_defaults(command=_show)
    show.add_argument("run", metavar="RUN", help="the run's folder")
    show.add_argument("--candidate", type=int, metavar="ID", help="a candidate's id, such as of a front")


def _show(options: argparse.Namespace) -> int:
    """Run ``nas show``; return the exit code."""
    from nas.reporting.listing import show_candidate, show_run

    print(
        show_run(options.run) if options.candidate is None else show_candidate(options.run, options.candidate)
    )
    return 0


def add_ui(commands: Any) -> None:
    """Declare ``nas ui``."""
    ui = commands.add_parser("ui", help="serve MLflow's pages of the searches")
    ui.set_defaults(command=_ui)
    ui.add_argument("run", nargs="?", metavar="RUN", help="a run's folder; default: all runs")
    add_places(ui)
    ui.add_argument("--port", type=int, default=5000, metavar="N", help="default: 5000; 0: any free port")
    ui.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        help="open a browser once the server answers; default: on a terminal with a graphical display",
    )


def _ui(options: argparse.Namespace) -> int:
    """Run ``nas ui``; return the exit code."""
    from nas.tracking.ui import serve

    return serve(options.runs_dir, options.tracking_uri, options.port, options.run, browse=options.open)


def add_sync(commands: Any) -> None:
    """Declare ``nas sync``."""
    sync = commands.add_parser("sync", help="write to MLflow what it lacks of a run")
    sync.set_defaults(command=_sync)
    sync.add_argument("run", metavar="RUN", help="the run's folder")
    sync.add_argument("--tracking-uri", metavar="URI", help="a store other than the run's")
    sync.add_argument(
        "--track", metavar="POLICY", help="candidates with runs of their own; see 'nas search --help'"
    )
    sync.add_argument(
        "--register", metavar="NAME", help="make the winner the next version of a registered model in MLflow"
    )


def _sync(options: argparse.Namespace) -> int:
    """Run ``nas sync``; return the exit code."""
    from nas.run import sync

    synced = sync(
        options.run, tracking_uri=options.tracking_uri, track=options.track, register=options.register
    )
    print(
        f"{synced.n_children} of {synced.n_candidates} candidates have runs of their own: {synced.mlflow_url}"
    )
    return 0


def add_report(commands: Any) -> None:
    """Declare ``nas report``."""
    report = commands.add_parser("report", help="write a report on a search and its winner")
    report.set_defaults(command=_report)
    report.add_argument("run", metavar="RUN", help="the run's folder")
    report.add_argument(
        "--output",
        action="append",
        metavar="FILE",
        help="a file that ends in .html or .png; may be repeated; default: report.html and "
        "report.png in the run's folder",
    )


def _report(options: argparse.Namespace) -> int:
    """Run ``nas report``; return the exit code."""
    from nas.reporting import report

    for output in options.output or [None, Path(options.run, "report.png")]:
        print(report(options.run, output))
    return 0


def add_compare(commands: Any) -> None:
    """Declare ``nas compare``."""
    compare = commands.add_parser("compare", help="compare searches: their settings, winners and scores")
    compare.set_defaults(command=_compare)
    compare.add_argument("runs", nargs="+", metavar="RUN", help="the folders of two or more runs")
    compare.add_argument("--json", action="store_true", help="print the comparison as one JSON object")


def _compare(options: argparse.Namespace) -> int:
    """Run ``nas compare``; return the exit code."""
    from nas.reporting import compare

    comparison = compare(options.runs)
    print(json.dumps(comparison.to_dict(), allow_nan=False) if options.json else comparison)
    return 0
