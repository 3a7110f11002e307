"""What MLflow costs a search, and what it holds afterwards.

    python -m benchmarks.tracking [DATA] [--target COL] [--candidates 500] [--repeats 3] [--quick]
                                  [--json FILE]

Whole searches, each a process of its own, in turn: without tracking, into SQLite, and into a server of
MLflow's on this machine that answers each call 200 ms late. Nothing is lost if each has a table of all
candidates at its end, and ``nas sync`` gives each candidate a run of its own.

Then a search of 10,000 candidates that cost nothing, all of them with runs of their own: seconds until
the best of them is found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Figure, report
from benchmarks.mlflow_server import Server, late
from benchmarks.stub_search import stub_search

_LATE = 0.2


def _search(options: Sequence[str], runs: Path, name: str) -> float:
    """Seconds of a whole ``nas search``."""
    command = [sys.executable, "-m", "nas", "search", *options, "--runs-dir", str(runs), "--name", name]
    since = time.perf_counter()
    subprocess.run([*command, "--no-baseline", "--json"], check=True, capture_output=True)
    return time.perf_counter() - since


def _children(uri: str) -> tuple[int, int]:
    """Candidates with runs of their own, and rows in the table of all of them, of the latest search."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(
        experiments, "tags.`nas.kind` = 'search'", order_by=["attributes.start_time DESC"], max_results=1
    )
    parent = found[0].info
    n, token = 0, None
    condition = f"tags.`mlflow.parentRunId` = '{parent.run_id}'"
    while True:
        page = client.search_runs([parent.experiment_id], condition, max_results=1000, page_token=token)
        n, token = n + len(page), page.token
        if not token:
            break
    with tempfile.TemporaryDirectory() as folder:
        table = Path(client.download_artifacts(parent.run_id, "candidates.csv", folder))
        rows = len(table.read_text(encoding="utf-8").splitlines()) - 1
    return n, rows


def _overhead(options: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """A row for each way of tracking: median seconds, and what is there at the end."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        server = Server(place, place / "server.db")
        server.start()
        try:
            with late(server.port, _LATE) as address:
                return _in_turn(options, repeats, place, {"a late server": address})
        finally:
            server.kill()


def _in_turn(
    options: Sequence[str], repeats: int, place: Path, servers: dict[str, str]
) -> list[dict[str, Any]]:
    ways = {
        "none": ["--no-tracking"],
        "SQLite": ["--tracking-uri", f"sqlite:///{place}/own.db"],
        **{name: ["--tracking-uri", address] for name, address in servers.items()},
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(repeats):
        for name, way in ways.items():
            seconds[name].append(_search([*options, *way], place / name, f"search-{i}"))
    rows = []
    for name, way in ways.items():
        row: dict[str, Any] = {
            "tracking": name,
            "seconds": round(median(seconds[name]), 2),
            "to none": round(
                median(s / none for s, none in zip(seconds[name], seconds["none"], strict=True)), 3
            ),
            "runs": 0,
            "in the table": 0,
            "runs after sync": 0,
        }
        if name != "none":
            row["runs"], row["in the table"] = _children(way[1])
            run = place / name / f"search-{repeats - 1}"
            command = [sys.executable, "-m", "nas", "sync", str(run), "--track", "all"]
            subprocess.run(command, check=True, capture_output=True)
            row["runs after sync"], _ = _children(way[1])
        rows.append(row)
    return rows


def _best_of(n: int) -> float:
    """Seconds until the best of so many candidates is found, all of which have runs of their own."""
    from nas.tracking.mlflow import MLflowTracker

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        uri = f"sqlite:///{place}/mlflow.db"
        tracker = MLflowTracker(uri, "nas-stub", place, "all")
        stub_search("plus", place, n_candidates=n, n_workers=8, marks=(), note=lambda _: None, more=[tracker])
        import mlflow

        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name("nas-stub")
        assert experiment is not None, "the tracker has made it"
        condition = f"tags.`mlflow.parentRunId` = '{tracker.run_id}'"
        best_first = "metrics.validation_accuracy DESC"
        since = time.perf_counter()
        best = client.search_runs(
            [experiment.experiment_id],
            condition,
            order_by=[best_first],
            max_results=1,
        )
        seconds = time.perf_counter() - since
        assert best, "there are candidates"
        return seconds


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    n = options.candidates or (60 if options.quick else 500)
    repeats = options.repeats or (1 if options.quick else 3)
    search = [options.data, "--candidates", str(n)]
    search += ["--target", options.target] if options.target else []
    rows = _overhead(search, repeats)
    _, own, far = rows
    many = 500 if options.quick else 10_000
    complete = min(one[key] for one in (own, far) for key in ("in the table", "runs after sync"))
    evaluations = max(own["in the table"], far["in the table"])
    figures = [
        Figure("SQLite to none", 1.05, own["to none"], True),
        Figure("a server 200 ms late to none", 1.05, far["to none"], True),
        Figure("candidates held, of all", 1.0, complete / evaluations),
        Figure(f"best of {many:,}, s", 0.3, round(_best_of(many), 3), True),
    ]
    print(json.dumps({"search": search}))
    report(figures, rows, options.json)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", nargs="?", default="digits", metavar="DATA", help="default: digits")
    parser.add_argument("--target", metavar="COL", help="the column to predict")
    parser.add_argument("--candidates", type=int, metavar="N", help="default: 500, quick: 60")
    parser.add_argument("--repeats", type=int, metavar="N", help="default: 3, quick: 1")
    parser.add_argument("--quick", action="store_true", help="60 candidates, one repeat, best of 500")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
