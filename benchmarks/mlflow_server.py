"""A real MLflow server on loopback, and a way to it that takes its time."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def free_port() -> int:
    """A port of loopback without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """MLflow's own server, one worker, over an SQLite store.

    Parameters
    ----------
    folder : Path
        Where artifacts go.
    store : Path
        The database's file.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        self._command += ["--backend-store-uri", f"sqlite:///{store}"]
        self._command += ["--artifacts-destination", str(folder / "artifacts")]
        self._command += ["--host", "127.0.0.1", "--port", str(self.port)]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            self._command,
            env=os.environ | quiet,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError("the MLflow server did not start within a minute")

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been killed."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, with all its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def late(port: int, seconds: float) -> Iterator[str]:
    """The address of a proxy that passes each call on to a port of loopback after so many seconds."""

    class Late(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing."""

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(seconds)
            there = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            there.request(self.command, self.path, body or None, kept)
            answer = there.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            there.close()

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Late, f"do_{method}", Late._pass_on)

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Late)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
