"""Addresses of stores: what is read from them, and that no password is shown or kept."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import TrackingError
from nas.tracking.address import check_uri, public, scrubbed, sqlite_file, tracking_store, with_credentials
from nas.tracking.choice import Tracking
from nas.tracking.store import unusable

SECRET = "h%40sh-hush"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (f"postgresql://me:{SECRET}@host/db", "postgresql://me@host/db"),
        (f"mysql+pymysql://me:{SECRET}@host:3306/db", "mysql+pymysql://me@host:3306/db"),
        (f"postgresql:///db?user=me&password={SECRET}&host=/tmp", "postgresql:///db?user=me&host=/tmp"),
        (f"mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D{SECRET}", "mssql+pyodbc:///"),
        (f"postgresql://me:a/b?c@{SECRET}@host/db", "postgresql://me@host/db"),
        (f"http://me:{SECRET}@host:5000/mlflow/", "http://host:5000/mlflow/"),
        (f"https://{SECRET}@host", "https://host"),
        (f"http://me:a/{SECRET}@host/x", "http://host/x"),
        (f"http://me:a?{SECRET}@host/x", "http://host/x"),
        (f"http://me:{SECRET}@[::1]:5000", "http://[::1]:5000"),
        (f"nonsense://me:{SECRET}@host", "nonsense://host"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:////folder/me:you@home.db?timeout=5", "sqlite:////folder/me:you@home.db?timeout=5"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_an_address_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert public(uri) == shown
    assert public(shown) == shown
    for said in (uri, f"could not reach {uri} or {SECRET}", SECRET.replace("%40", "@")):
        assert "hush" not in scrubbed(f"error: {said}", uri) or SECRET not in uri


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("sqlite:///mine.db", "mine.db"),
        ("sqlite:////folder/mine.db", "/folder/mine.db"),
        ("sqlite:///mine.db?timeout=5", "mine.db"),
        ("sqlite+pysqlite:///mine.db", "mine.db"),
        ("SQLite:///mine.db", "mine.db"),
        (" sqlite:///mine.db\n", "mine.db"),
        ("", "runs (50%41?)/mlflow.db"),
    ],
)
def test_the_file_of_a_store_is_read_as_sqlalchemy_reads_it(
    given: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.engine import make_url

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "  ")  # as if it were not set
    uri = tracking_store(given, "runs (50%41?)")
    check_uri(uri)
    assert sqlite_file(uri) == tmp_path / file
    assert make_url(uri).database == str(tmp_path / file)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mlruns", "got a folder"),
        ("/folder/mlruns", "got a folder"),
        ("C:\\mlruns", "got a folder"),
        ("file:///mlruns", "got a folder"),
        ("sqlite://", "got no file's path"),
        ("sqlite:///:memory:", "got no file's path"),
        ("sqlite://mine.db", "got no file's path"),
        ("http://", "expected http://HOST"),
        ("http://host:port", "expected http://HOST"),
        ("http://[::1", "expected http://HOST"),
        ("https:host", "expected https://HOST"),
        ("postgresql:db", "expected postgresql://USER@HOST/DATABASE"),
        ("postgres://host/db", "got postgres:"),
        ("s3://bucket", "got s3:"),
    ],
)
def test_an_address_that_mlflow_cannot_write_to_gets_a_sentence(uri: str, expected: str) -> None:
    with pytest.raises(TrackingError) as error:
        check_uri(tracking_store(uri, "runs"))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "uri", ["http://host", "HTTP://host:5000/", "databricks", "databricks://me", "mysql://me@host/db"]
)
def test_an_address_that_mlflow_reads_is_taken(uri: str) -> None:
    check_uri(tracking_store(uri, "runs"))


def test_a_run_keeps_no_password_and_finds_it_in_mlflows_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"postgresql://me:{SECRET}@host/db"
    kept = Tracking(uri).to_dict()
    assert "hush" not in json.dumps(kept) + repr(Tracking(uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://me:{SECRET}@other/db")
    assert Tracking.from_dict(kept).uri == "postgresql://me@host/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert Tracking.from_dict(kept).uri == uri == with_credentials(public(uri))


def test_a_driver_that_is_missing_is_named() -> None:
    error = ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2")
    said = str(unusable(f"postgresql://me:{SECRET}@host/db", error))
    assert "store postgresql://me@host/db: expected the package psycopg2" in said
    assert said.endswith("pip install 'psycopg2-binary'")


@pytest.mark.parametrize("uri", ["http://me:{}@127.0.0.1:9/", "mysql+nonsense://me:{}@127.0.0.1:9/db"])
def test_no_password_is_in_the_traceback_of_a_search(tmp_path: Path, uri: str) -> None:
    options: dict[str, Any] = {
        "space": "tiny",
        "n_candidates": 2,
        "epochs": 2,
        "n_workers": 0,
        "progress": False,
    }
    with pytest.raises(TrackingError) as error:
        nas.search("iris", runs_dir=tmp_path, tracking_uri=uri.format(SECRET), **options)
    printed = "".join(traceback.format_exception(error.value))
    # Of what the frames show, the caller's own line is this file's.
    assert "hush" not in printed
    assert "store mysql" in printed or "store http" in printed
