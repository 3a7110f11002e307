"""``nas ui``: MLflow's pages on the store that searches write to."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import webbrowser
from contextlib import closing, suppress
from pathlib import Path

from nas.errors import TrackingError
from nas.execution.reaper import running
from nas.tracking.address import check_uri, is_database, public, sqlite_file, tracking_store, with_credentials
from nas.tracking.folder import RunFolder


def serve(
    runs_dir: str, tracking_uri: str | None, port: int, run: str | None = None, *, browse: bool = False
) -> int:
    """Serve MLflow's pages on loopback until Ctrl-C; for a server, only say where it is.

    Parameters
    ----------
    runs_dir, tracking_uri : str
        Where the store is; see `tracking_store`.
    port : int
        0: any that is free.
    run : path, optional
        The run to open the pages at, in the store that it has; by default at all of the latest data.
    browse : bool
        Whether to open a browser once the pages are there.

    Raises
    ------
    InputError
        If there is no store yet, no such run, or the port is taken.
    """
    folder = None if run is None else RunFolder(Path(run).absolute())
    given = None if folder is None else (folder.config().get("tracking") or {}).get("uri")
    uri = with_credentials(tracking_store(tracking_uri or given, folder.path.parent if folder else runs_dir))
    check_uri(uri)
    if not is_database(uri):
        print(f"MLflow is served at {public(uri)}", file=sys.stderr)
        return 0
    store = sqlite_file(uri)
    if store is not None and not store.is_file():
        raise TrackingError(f"{store}: expected a store that a search has made, got no such file")
    port = _free(port)
    page = f"http://127.0.0.1:{port}{_path(uri, None if folder is None else folder.config()['run_id'])}"
    print(f"opening {public(uri)}; the page will be at {page} (Ctrl-C ends it)", file=sys.stderr)
    return _until_interrupted(uri, port, page, browse=browse)


def _until_interrupted(uri: str, port: int, page: str, *, browse: bool) -> int:
    # One worker and no job runners: two processes and half a GB instead of fifteen and 2.6 GB.
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Not as an argument, which other users of the machine could read.
        "MLFLOW_BACKEND_STORE_URI": uri,
    }
    command = [sys.executable, "-m", "mlflow", "ui"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running(command, environment) as server:
            if _is_up(server, port):
                print(f"MLflow is ready: {page}", file=sys.stderr)
                if browse:
                    webbrowser.open(page)
            return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_up(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; whether it does, and has not ended before."""
    while server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
        time.sleep(0.1)
    return False


def _free(port: int) -> int:
    """The port, which is free, or for 0 any that is."""
    with socket.socket() as probe:
        # The server sets this too: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
        except (OSError, OverflowError) as error:
            raise TrackingError(f"--port {port}: expected a port that is free, got: {error}") from None


def _path(uri: str, run_id: str | None) -> str:
    """The page of a run, or of the latest search's experiment, in MLflow's view for training."""
    if run_id is not None:
        found = _asked(
            uri,
            "SELECT experiment_id, runs.run_uuid FROM runs JOIN tags ON runs.run_uuid = tags.run_uuid "
            "WHERE key = 'nas.run_id' AND value = ?",
            run_id,
        )
        if found is None:
            raise TrackingError(f"{public(uri)}: expected the run in it, got none; 'nas sync' puts it there")
        return f"/#/experiments/{found[0]}/runs/{found[1]}?workflowType=machine_learning"
    found = _asked(uri, "SELECT experiment_id FROM runs ORDER BY start_time DESC LIMIT 1")
    return f"/#/experiments/{found[0]}/runs?workflowType=machine_learning" if found else "/"


def _asked(uri: str, query: str, *values: str) -> tuple[object, ...] | None:
    """Read from the store itself: importing MLflow to ask would take longer than its server needs."""
    store = sqlite_file(uri)
    if store is None:
        return None
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
            row: tuple[object, ...] | None = connection.execute(query, values).fetchone()
    except sqlite3.Error:
        return None
    return row
