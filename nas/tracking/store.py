"""MLflow's store, seen from outside MLflow: where it is, whether it answers, who may open it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from nas.errors import TrackingError

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


def check_uri(uri: str) -> None:
    """Raise `TrackingError` on a store that MLflow cannot write to, or an address with credentials."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme in ("", "file"):
        raise TrackingError(
            f"tracking store {uri}: expected sqlite:///PATH or http(s)://HOST, got a folder, which MLflow "
            "no longer writes to"
        )
    if parts.password is not None or (parts.username is not None and parts.scheme.startswith("http")):
        raise TrackingError(
            f"tracking store {parts.scheme}://{parts.hostname}: expected an address without credentials, got "
            "some; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )


def probe(uri: str) -> bool:
    """Whether MLflow can surely write to a store, as far as that is seen without MLflow.

    False where only MLflow can tell: other databases, and servers that do not answer as MLflow's do.

    Raises
    ------
    TrackingError
        If it surely cannot: no server or SQLite file is there, or no such store is supported.
    """
    check_uri(uri)
    file = sqlite_file(uri)
    try:
        if file is not None:
            return _is_writable(file)
        return uri.startswith("http") and knock(uri) == b"OK"
    except (OSError, sqlite3.Error) as error:
        raise unusable(uri, error) from error


def unusable(uri: str, error: BaseException) -> TrackingError:
    """What is to be said of a store that MLflow cannot write to."""
    return TrackingError(
        f"tracking store {uri}: expected an MLflow store that answers, got: {in_words(error)}"
    )


def knock(uri: str) -> bytes:
    """What an HTTP server says of its health, nothing where it does not say; raises `OSError` without one."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5) as answer:
            return bytes(answer.read(100))
    except urllib.error.HTTPError:
        return b""


def _is_writable(file: Path) -> bool:
    if file.exists() and not file.is_file():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as connection:
        names = {name for (name,) in connection.execute(tables)}
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    # Whether MLflow makes its tables beside those of another program is for MLflow to say.
    return not names or "alembic_version" in names


def in_words(error: BaseException) -> str:
    """The first line of an error, which from SQLAlchemy and requests can be pages long."""
    reason = getattr(error, "reason", None) or error
    return (str(reason).strip() or type(error).__name__).splitlines()[0][:300]


@contextlib.contextmanager
def one_at_a_time(store: Path | None) -> Iterator[None]:
    """Let no other search open the same SQLite store: the first one makes its tables."""
    if store is None:
        yield
        return
    with store.with_name(f".{store.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def analyze(file: Path) -> None:
    """Let SQLite plan by what the tables hold: the best of 10,000 children in 0.1 s, not 10 s."""
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as connection, connection:
        connection.execute("ANALYZE")
