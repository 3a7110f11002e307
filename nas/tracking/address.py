"""Addresses of MLflow's stores, read as MLflow reads them, and shown and kept without their secrets."""

from __future__ import annotations

import os
import re
import urllib.parse
from importlib.metadata import entry_points, version
from pathlib import Path

from nas.errors import TrackingError

_SQLITE = re.compile(r"sqlite(\+\w+)?:///")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SECRET = re.compile(r"pass|pwd|secret|token|odbc_connect", re.IGNORECASE)
"""Names of parameters in an address that may hold a password."""

_VARIABLE = "MLFLOW_TRACKING_URI"


def tracking_store(given: str | None, runs_dir: str | os.PathLike[str]) -> str:
    """The store to track in: the one given, MLflow's own variable, or SQLite among the runs.

    The path of an SQLite store is made absolute: a search is resumed from any working directory. An empty
    address is none.
    """
    uri = (given or "").strip() or os.environ.get(_VARIABLE, "").strip()
    if not uri:
        return _of_file(Path(runs_dir).absolute() / "mlflow.db")
    if (scheme := scheme_of(uri)) != uri:
        uri = scheme + uri[len(scheme) :]
    file = sqlite_file(uri)
    if file is None:
        return uri
    _, question_mark, query = uri.partition("?")
    return _of_file(file.absolute(), uri[: uri.index("/")]) + question_mark + query


def scheme_of(uri: str) -> str:
    """What an address begins with, in small letters; "databricks" for that word, empty for a folder."""
    if uri.lower() == "databricks":
        return "databricks"
    match = re.match(r"([A-Za-z][\w+.-]+):", uri)  # a single letter is a drive of Windows
    return match[1].lower() if match else ""


def is_server(uri: str) -> bool:
    """Whether the store is behind an HTTP server with pages of its own."""
    return scheme_of(uri) in ("http", "https")


def is_database(uri: str) -> bool:
    """Whether MLflow opens the store itself, as tables of a database."""
    return scheme_of(uri).partition("+")[0] in _DATABASES


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; None for any other, and for one in memory."""
    match = _SQLITE.match(uri)
    path = uri[match.end() :].partition("?")[0] if match else ""
    if not path or path == ":memory:" or path.startswith("file:"):
        return None
    return Path(urllib.parse.unquote(path) if "%" in path and _unquotes() else path)


def _of_file(file: Path, scheme: str = "sqlite:") -> str:
    path = str(file)
    if _unquotes():
        path = path.replace("%", "%25").replace("?", "%3F")
    return f"{scheme}///{path}"


def _unquotes() -> bool:
    """Whether SQLAlchemy reads %3F in a path as a question mark, as it does since 2.1."""
    return tuple(map(int, version("sqlalchemy").split(".")[:2])) >= (2, 1)


def check_uri(uri: str) -> None:
    """Raise `TrackingError` on an address that MLflow could not write to."""
    if (wrong := _wrong(uri)) is not None:
        raise TrackingError(f"tracking store {public(uri)}: expected {wrong}") from None


def _wrong(uri: str) -> str | None:
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        return (
            "sqlite:///PATH or http(s)://HOST, got a folder, which MLflow no longer writes to; "
            "sqlite:///FOLDER/mlflow.db keeps it in a file there"
        )
    if scheme.startswith("sqlite"):
        is_kept = sqlite_file(uri) is not None
        return None if is_kept else "sqlite:///PATH, or sqlite:////PATH from the root, got no file's path"
    if is_database(uri):
        return None if "://" in uri else f"{scheme}://USER@HOST/DATABASE, got no such address"
    if is_server(uri):
        return None if _names_a_host(uri) else f"{scheme}://HOST or {scheme}://HOST:PORT, got another address"
    if scheme == "databricks" or scheme in {one.name for one in entry_points(group="mlflow.tracking_store")}:
        return None
    return (
        "sqlite:///PATH, http(s)://HOST, databricks, or a database by postgresql://, mysql:// or mssql://, "
        f"got {scheme}:"
    )


def _names_a_host(uri: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(uri)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def public(uri: str) -> str:
    """An address as it may be shown and kept: without passwords, and for a server without the user."""
    start, separator, rest = uri.partition("://")
    if not separator:
        return uri
    name = ""
    if (user := _user_part(uri, rest)) is not None:
        name = user.partition(":")[0]
        rest = rest[len(user) + 1 :]
    rest, question_mark, query = rest.partition("?")
    if is_database(uri) and name:
        rest = f"{name}@{rest}"
    kept = [part for part in query.split("&") if not _SECRET.search(part.partition("=")[0])]
    return f"{start}://{rest}" + (question_mark + "&".join(kept) if any(kept) else "")


def _user_part(uri: str, rest: str) -> str | None:
    """User and password of an address, up to the last @ that may end them, as passwords may hold any sign."""
    host = rest.partition("?")[0].partition("/")[0]
    if not is_database(uri) and "@" not in host and re.fullmatch(r"[^:]*(:\d*)?|\[.*\](:\d*)?", host):
        return None  # an @ further on is part of a path
    for part in (rest.partition("?")[0], rest):  # a password may hold a question mark
        match = re.match(r"([^:/@]*(?::.*)?)@", part, re.DOTALL) or re.match(r"([^/]*)@", part)
        if match:
            return match[1]
    return None


def has_secrets(uri: str) -> bool:
    """Whether `public` leaves something out."""
    return public(uri) != uri


def with_credentials(uri: str) -> str:
    """An address that was kept without its secrets, with those of the same store in MLflow's variable."""
    whole = os.environ.get(_VARIABLE, "").strip()
    return whole if whole and public(whole) == uri else uri


def scrubbed(text: str, uri: str) -> str:
    """A message about a store without the secrets of its address."""
    text = text.replace(uri, public(uri))
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(uri: str) -> set[str]:
    """Passwords of an address, as written and as they are meant."""
    rest = uri.partition("://")[2]
    found = [
        part.partition("=")[2] for part in re.split("[?&]", rest) if _SECRET.search(part.partition("=")[0])
    ]
    if (user := _user_part(uri, rest)) is not None:
        name, colon, password = user.partition(":")
        # Of a server the name alone may be a token; a password with such signs in it is cut there by many.
        if colon:
            found += [user, password, *re.split("[@/?]", password)]
        elif not is_database(uri):
            found.append(name)
    plain = [urllib.parse.unquote_plus(one) for one in found]
    plain += [part for one in plain for part in re.findall(r"(?i)(?:pwd|password)=([^;&]+)", one)]
    quoted = [urllib.parse.quote(one, safe="") for one in plain]
    return {form for form in (*found, *plain, *quoted) if len(form) > 2}
