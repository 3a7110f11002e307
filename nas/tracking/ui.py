"""``nas ui``: MLflow's pages on the store that searches write to."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

from nas.errors import TrackingError
from nas.tracking.store import sqlite_file, tracking_store


def serve(runs_dir: str, tracking_uri: str | None, port: int) -> int:
    """Serve MLflow's pages on loopback until Ctrl-C; for a server, only say where it is.

    Raises
    ------
    TrackingError
        If there is no store yet, or the port is taken.
    """
    uri = tracking_store(tracking_uri, runs_dir)
    if uri.startswith("http"):
        print(f"MLflow is served at {uri}", file=sys.stderr)
        return 0
    store = sqlite_file(uri)
    if store is not None and not store.is_file():
        raise TrackingError(f"{store}: expected a store that a search has made, got no such file")
    _check_free(port)
    print(f"opening {uri}; the page will be at {_page(uri, port)} (Ctrl-C ends it)", file=sys.stderr)
    return _until_interrupted(uri, port)


def _until_interrupted(uri: str, port: int) -> int:
    # One worker and no job runners: two processes and half a GB instead of fifteen and 2.6 GB.
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # A group of its own: a Ctrl-C reaches only us, and we end the server with all its children.
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end_group(server)
        signal.signal(signal.SIGTERM, before)


def _end_group(server: subprocess.Popen[bytes]) -> None:
    for stop in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, stop)
            server.wait(timeout=5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        # The server sets this too: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise TrackingError(f"--port {port}: expected a port that is free, got: {error}") from None


def _page(uri: str, port: int) -> str:
    """The page of the latest search: its experiment's table of runs, in MLflow's view for training."""
    experiment = _latest_experiment(uri)
    path = f"/#/experiments/{experiment}/runs?workflowType=machine_learning" if experiment else "/"
    return f"http://127.0.0.1:{port}{path}"


def _latest_experiment(uri: str) -> str | None:
    """Read from the store itself: importing MLflow to ask would take longer than its server needs."""
    store = sqlite_file(uri)
    if store is None:
        return None
    query = "SELECT experiment_id FROM runs ORDER BY start_time DESC LIMIT 1"
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(query).fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None
