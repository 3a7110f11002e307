"""``nas ui``: MLflow's pages for the store that searches write to."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from contextlib import closing, suppress

from nas.errors import TrackingError
from nas.execution.reaper import running
from nas.tracking.address import check_uri, is_database, public, sqlite_file, tracking_store, with_credentials
from nas.tracking.archive import RunArchive
from nas.tracking.pages import START, run_page, searches_page, view_tag

_LAST_LINES = 20
"""Lines of the server's output that are shown where it did not start."""


def serve(
    runs_dir: str, tracking_uri: str | None, port: int, run: str | None = None, *, browse: bool | None = None
) -> int:
    """Serve MLflow's pages on loopback until Ctrl-C; for a server, print its address.

    Parameters
    ----------
    runs_dir, tracking_uri : str
        Where the store is; see `tracking_store`.
    port : int
        The port to listen at; 0: any free port.
    run : path, optional
        The run to show, from its own store; by default the experiment of the latest search is shown.
    browse : bool, optional
        Whether to open a browser once the server answers; None: on a terminal with a graphical display.

    Raises
    ------
    InputError
        If there is no store yet, no such run, the port is in use, or the server does not start.
    """
    archive = None if run is None else RunArchive(run)
    recorded_uri = None if archive is None else (archive.config.get("tracking") or {}).get("uri")
    runs = runs_dir if archive is None else archive.folder.path.parent
    uri = with_credentials(tracking_store(tracking_uri or recorded_uri, runs))
    check_uri(uri)
    if not is_database(uri):
        print(f"MLflow is served at {public(uri)}", file=sys.stderr)
        return 0
    store = sqlite_file(uri)
    if store is not None and not store.is_file():
        raise TrackingError(f"{store}: expected a store that a search has made, got no such file")
    port = _free(port)
    page = f"http://127.0.0.1:{port}{START}{_path(uri, None if archive is None else archive.run_id)}"
    print(f"starting MLflow's pages of {public(uri)}; Ctrl-C ends them", file=sys.stderr)
    return _until_interrupted(uri, port, page, browse=_has_display() if browse is None else browse)


def _has_display() -> bool:
    """Whether a browser would open in a window; browsers of the terminal would hide what is printed."""
    has_windows = sys.platform in ("darwin", "win32")
    return sys.stderr.isatty() and (
        has_windows or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    )


def _until_interrupted(uri: str, port: int, page: str, *, browse: bool) -> int:
    """Run MLflow's server until Ctrl-C, and return its exit status."""
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Not an argument, which other users of the machine could read.
        "MLFLOW_BACKEND_STORE_URI": uri,
    }
    command = [sys.executable, "-m", "nas.tracking.mlflow_server", str(port)]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryFile() as output, running(command, environment, output) as server:
            if not _wait_until_ready(server, port):
                output.seek(0)
                lines = output.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
                raise TrackingError(
                    "\n".join([f"{public(uri)}: expected MLflow's server to start, got:", *lines])
                )
            print(f"MLflow is ready: {page}", file=sys.stderr)
            if browse:
                webbrowser.open(page)
            return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; False if it ended before."""
    while server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
        time.sleep(0.1)
    return False


def _free(port: int) -> int:
    """Return the port if it is free, or for 0 any free port; raises `TrackingError`."""
    with socket.socket() as probe:
        # As the server does: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
        except (OSError, OverflowError) as error:
            raise TrackingError(f"--port {port}: expected a port that is free, got: {error}") from None


def _path(uri: str, run_id: str | None) -> str:
    """Return the path of a run's page, or of the latest search's experiment, in MLflow's training view."""
    if run_id is not None:
        ids = _first_row(
            uri,
            "SELECT experiment_id, runs.run_uuid FROM runs JOIN tags ON runs.run_uuid = tags.run_uuid "
            "WHERE key = 'nas.run_id' AND value = ?",
            run_id,
        )
        if ids is None:
            raise TrackingError(f"{public(uri)}: expected the run in it, got none; 'nas sync' puts it there")
        return run_page(*ids)
    ids = _first_row(uri, "SELECT experiment_id FROM runs ORDER BY start_time DESC LIMIT 1")
    if ids is None:
        return "#/experiments"
    query = "SELECT 1 FROM experiment_tags WHERE experiment_id = ? AND key = ?"
    return searches_page(*ids, has_view=_first_row(uri, query, *ids, view_tag()) is not None)


def _first_row(uri: str, query: str, *values: object) -> tuple[object, ...] | None:
    """Query the store without MLflow: importing it would take longer than its server's start."""
    store = sqlite_file(uri)
    if store is None:
        return None
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
            row: tuple[object, ...] | None = connection.execute(query, values).fetchone()
    except sqlite3.Error:
        return None
    return row
