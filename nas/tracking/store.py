"""MLflow's store, seen from outside MLflow: where it is, whether it answers, who may open it."""

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
"""Packages of database drivers that have another name than their modules."""


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
        return is_server(uri) and ping(uri) == b"OK"
    except (OSError, sqlite3.Error) as error:
        raise unusable(uri, error) from cause(uri, error)


def unusable(uri: str, error: BaseException) -> TrackingError:
    """What is to be said of a store that MLflow cannot write to."""
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
    """The error to chain to ours; None where its own text may hold a password."""
    return None if has_secrets(uri) else error


def _lacks_password(uri: str) -> bool:
    return is_database(uri) and sqlite_file(uri) is None and not has_secrets(uri)


def ping(uri: str) -> bytes:
    """What an HTTP server says of its health, nothing where it does not say; raises `OSError` without one."""
    try:
        with urllib.request.urlopen(f"{public(uri).rstrip('/')}/health", timeout=5) as answer:
            return bytes(answer.read(100))
    except urllib.error.HTTPError:
        return b""
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return b""  # MLflow has variables of its own for what it trusts
        raise


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


def in_words(error: BaseException, uri: str) -> str:
    """The first line of an error, which from SQLAlchemy and requests can be pages long, without secrets."""
    reason = getattr(error, "reason", None) or error
    return scrubbed(str(reason).strip() or type(error).__name__, uri).splitlines()[0][:300]


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
