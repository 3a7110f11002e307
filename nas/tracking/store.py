"""MLflow's store, accessed without importing MLflow: whether it answers and can be written to."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from nas.errors import TrackingError
from nas.tracking.address import (
    check_uri,
    has_secrets,
    is_database,
    is_server,
    public,
    scrubbed,
    sqlite_file,
)

_PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""Packages of database drivers by the modules that they install, where the names differ."""


def probe(uri: str) -> bool:
    """Return whether MLflow can certainly write to a store, without importing MLflow.

    False where only MLflow can decide: other databases, and servers that do not answer at ``/health``.

    Raises
    ------
    TrackingError
        If it certainly cannot: there is no server or SQLite file, or the kind of store is not supported.
    """
    check_uri(uri)
    file = sqlite_file(uri)
    try:
        if file is not None:
            return _is_writable(file)
        return is_server(uri) and ping(uri) == b"OK"
    except (OSError, sqlite3.Error) as error:
        raise unusable(uri, error) from cause(uri, error)


def unusable(uri: str, error: BaseException) -> TrackingError:
    """Make the `TrackingError` for a store that MLflow cannot write to."""
    if isinstance(error, ModuleNotFoundError):
        name = str(error.name)
        return TrackingError(
            f"tracking store {public(uri)}: expected the package {name}, which such a store needs, got none; "
            f"pip install '{_PACKAGES.get(name, name)}'"
        )
    way_out = "; MLFLOW_TRACKING_URI takes the address with its password" if _lacks_password(uri) else ""
    return TrackingError(
        f"tracking store {public(uri)}: expected an MLflow store that answers, got: "
        f"{in_words(error, uri)}{way_out}"
    )


def cause(uri: str, error: BaseException) -> BaseException | None:
    """Return the error to chain to a `TrackingError`; None where its text may hold a password."""
    return None if has_secrets(uri) else error


def _lacks_password(uri: str) -> bool:
    """Return whether a database refused the connection perhaps for lack of a password."""
    return is_database(uri) and sqlite_file(uri) is None and not has_secrets(uri)


def ping(uri: str) -> bytes:
    """Return a server's answer at ``/health``, empty where it has none; raises `OSError` without a server."""
    try:
        with urllib.request.urlopen(f"{public(uri).rstrip('/')}/health", timeout=5) as answer:
            return bytes(answer.read(100))
    except urllib.error.HTTPError:
        return b""
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return b""  # MLflow reads variables of its own for the certificates that it accepts
        raise


def _is_writable(file: Path) -> bool:
    """Return whether a file is, or can become, MLflow's SQLite store; raises `OSError` or `sqlite3.Error`."""
    if file.exists() and not file.is_file():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as connection:
        names = {name for (name,) in connection.execute(tables)}
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    # Only MLflow can decide whether it makes its tables beside the tables of another program.
    return not names or "alembic_version" in names


def in_words(error: BaseException, uri: str) -> str:
    """Return the first line of an error without secrets; SQLAlchemy's and requests' can be pages long."""
    reason = getattr(error, "reason", None) or error
    return scrubbed(str(reason).strip() or type(error).__name__, uri).splitlines()[0][:300]


@contextlib.contextmanager
def exclusively(store: Path | None) -> Iterator[None]:
    """Hold a lock beside an SQLite store while MLflow opens it, as the first process creates the tables."""
    if store is None:
        yield
        return
    with store.with_name(f".{store.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def analyze(file: Path) -> None:
    """Update SQLite's statistics for its query planner: the best of 10,000 children in 0.1 s, not 10 s."""
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as connection, connection:
        connection.execute("ANALYZE")
