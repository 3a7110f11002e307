"""Addresses of MLflow's stores: parsed as MLflow parses them, shown and saved without their secrets."""

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
"""Names of query parameters that may hold a password."""

_VARIABLE = "MLFLOW_TRACKING_URI"


def tracking_store(address: str | None, runs_dir: str | os.PathLike[str]) -> str:
    """Return the store to track in: `address`, else ``MLFLOW_TRACKING_URI``, else SQLite in `runs_dir`.

    The path of an SQLite store is made absolute, so that a search can be resumed from any working directory.
    An empty address counts as None.
    """
    uri = (address or "").strip() or os.environ.get(_VARIABLE, "").strip()
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
    """Return the scheme of an address in small letters; "databricks" for that word, "" for a folder."""
    if uri.lower() == "databricks":
        return "databricks"
    match = re.match(r"([A-Za-z][\w+.-]+):", uri)  # a single letter is a drive of Windows
    return match[1].lower() if match else ""


def is_server(uri: str) -> bool:
    """Whether the store is an HTTP server, which has pages of its own."""
    return scheme_of(uri) in ("http", "https")


def is_database(uri: str) -> bool:
    """Whether the store is a database that MLflow opens itself."""
    return scheme_of(uri).partition("+")[0] in _DATABASES


def sqlite_file(uri: str) -> Path | None:
    """Return the file of an SQLite store; None for other stores, and for a database in memory."""
    match = _SQLITE.match(uri)
    path = uri[match.end() :].partition("?")[0] if match else ""
    if not path or path == ":memory:" or path.startswith("file:"):
        return None
    return Path(urllib.parse.unquote(path) if "%" in path and _unquotes() else path)


def _of_file(file: Path, scheme: str = "sqlite:") -> str:
    """Make the address of an SQLite file."""
    path = str(file)
    if _unquotes():
        path = path.replace("%", "%25").replace("?", "%3F")
    return f"{scheme}///{path}"


def _unquotes() -> bool:
    """Whether SQLAlchemy decodes %3F in a path to a question mark, as it does since version 2.1."""
    return tuple(map(int, version("sqlalchemy").split(".")[:2])) >= (2, 1)


def check_uri(uri: str) -> None:
    """Raise `TrackingError` for an address that MLflow cannot write to, without contacting the store."""
    if (complaint := _complaint(uri)) is not None:
        raise TrackingError(f"tracking store {public(uri)}: expected {complaint}") from None


def _complaint(uri: str) -> str | None:
    """Describe a wrong address as ``EXPECTED, got WHAT``; None if it is valid."""
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        return (
            "sqlite:///PATH or http(s)://HOST, got a folder, which MLflow no longer writes to; "
            "sqlite:///FOLDER/mlflow.db keeps it in a file there"
        )
    if scheme.startswith("sqlite"):
        is_file = sqlite_file(uri) is not None
        return None if is_file else "sqlite:///PATH, or sqlite:////PATH from the root, got no file's path"
    if is_database(uri):
        return None if "://" in uri else f"{scheme}://USER@HOST/DATABASE, got no such address"
    if is_server(uri):
        return None if _names_a_host(uri) else f"{scheme}://HOST or {scheme}://HOST:PORT, got another address"
    if scheme == "databricks" or scheme in {
        plugin.name for plugin in entry_points(group="mlflow.tracking_store")
    }:
        return None
    return (
        "sqlite:///PATH, http(s)://HOST, databricks, or a database by postgresql://, mysql:// or mssql://, "
        f"got {scheme}:"
    )


def _names_a_host(uri: str) -> bool:
    """Return whether an HTTP address has a host and a valid port."""
    try:
        parts = urllib.parse.urlsplit(uri)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def public(uri: str) -> str:
    """Return the address as it may be shown and saved: without passwords, of servers without the user."""
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
    parameters = [part for part in query.split("&") if not _SECRET.search(part.partition("=")[0])]
    return f"{start}://{rest}" + (question_mark + "&".join(parameters) if any(parameters) else "")


def _user_part(uri: str, rest: str) -> str | None:
    """Return ``USER:PASSWORD`` of an address, up to the last @ that may end it; None where there is none.

    Passwords may hold any character, @ and / among them.
    """
    host = rest.partition("?")[0].partition("/")[0]
    if not is_database(uri) and "@" not in host and re.fullmatch(r"[^:]*(:\d*)?|\[.*\](:\d*)?", host):
        return None  # an @ further on is part of a path
    for part in (rest.partition("?")[0], rest):  # a password may hold a question mark
        match = re.match(r"([^:/@]*(?::.*)?)@", part, re.DOTALL) or re.match(r"([^/]*)@", part)
        if match:
            return match[1]
    return None


def has_secrets(uri: str) -> bool:
    """Whether the address holds something that `public` removes."""
    return public(uri) != uri


def with_credentials(uri: str) -> str:
    """Return an address with its secrets, if ``MLFLOW_TRACKING_URI`` names the same store with them."""
    whole = os.environ.get(_VARIABLE, "").strip()
    return whole if whole and public(whole) == uri else uri


def scrubbed(text: str, uri: str) -> str:
    """Return a message about a store with the secrets of its address replaced by ``***``."""
    text = text.replace(uri, public(uri))
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(uri: str) -> set[str]:
    """Return the passwords of an address, as they are written and decoded."""
    rest = uri.partition("://")[2]
    secrets = [
        part.partition("=")[2] for part in re.split("[?&]", rest) if _SECRET.search(part.partition("=")[0])
    ]
    if (user := _user_part(uri, rest)) is not None:
        name, colon, password = user.partition(":")
        # A server's user name may be a token. Many programs cut a password at @, / and ?, and show a part.
        if colon:
            secrets += [user, password, *re.split("[@/?]", password)]
        elif not is_database(uri):
            secrets.append(name)
    plain = [urllib.parse.unquote_plus(secret) for secret in secrets]
    plain += [part for secret in plain for part in re.findall(r"(?i)(?:pwd|password)=([^;&]+)", secret)]
    quoted = [urllib.parse.quote(secret, safe="") for secret in plain]
    return {form for form in (*secrets, *plain, *quoted) if len(form) > 2}
