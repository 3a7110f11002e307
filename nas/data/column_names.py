"""The columns of a table that a caller names, in text with commas or as a list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nas.errors import DataError
from nas.runtime import column_text

_MOST_NAMES = 30
"""Names of columns that a message lists."""

_MOST_COMMAS = 8
"""Commas within a name that `possible_names` tries: a list of n pieces has n times as many candidates."""


def column_names(names: Any, columns: Collection[str], option: str) -> list[str]:
    """The columns that a caller names, without repetition.

    Text may list several names, separated by commas: it is a single name if there is such a column,
    otherwise pieces are joined to the longest names of columns. Quotes, as in CSV, keep a name together.
    Other objects, as 4 or ("t", "y"), name the columns of which they were the names before these became text.

    Parameters
    ----------
    names : text, name or several of them
    columns : collection of str
        The names of the table's columns.
    option : str
        The option or argument with the names, for messages.

    Examples
    --------
    >>> column_names("age,income, net", ["age", "income, net", "id"], "target")
    ['age', 'income, net']

    Raises
    ------
    DataError
        If there is no such column.
    """
    columns_by_name = {name.strip(): name for name in columns} | {name: name for name in columns}
    if isinstance(names, str):
        chosen_names = [names] if names in columns_by_name else _joined(names, columns_by_name, option)
        return list(dict.fromkeys(columns_by_name[name] for name in chosen_names))
    chosen_names = []
    for name in _several(names, columns_by_name):
        if column_text(name) not in columns_by_name:
            raise _no_such_column(repr(name), columns_by_name, option)
        chosen_names.append(columns_by_name[column_text(name)])
    return list(dict.fromkeys(chosen_names))


def _several(names: Any, columns_by_name: Collection[str]) -> list[Any]:
    """The names in a collection; a tuple may itself be a name."""
    if names is None:
        return []
    is_name = isinstance(names, tuple) and column_text(names) in columns_by_name
    return [names] if is_name or not isinstance(names, Iterable) else list(names)


def possible_names(names: Any) -> list[str]:
    """All names of columns that `column_names` may derive from `names`, up to `_MOST_COMMAS` commas each."""
    if not isinstance(names, str):
        whole = [column_text(names)] if isinstance(names, tuple) and names else []
        return [*whole, *map(column_text, _several(names, ()))]
    pieces = _pieces(names)
    candidates = [names]
    for start in range(len(pieces)):
        for end in range(start + 1, min(len(pieces), start + 1 + _MOST_COMMAS) + 1):
            joined = ",".join(raw for raw, _ in pieces[start:end])
            candidates += [joined, joined.strip()]
    candidates += [unquoted for _, unquoted in pieces]
    return list(dict.fromkeys(name for name in candidates if name))


def _joined(text: str, columns_by_name: Mapping[str, str], option: str) -> list[str]:
    """The names of columns that a text lists; see `column_names`."""
    pieces = _pieces(text)
    longest = 1 + max((name.count(",") for name in columns_by_name), default=0)
    chosen_names = []
    start = 0
    while start < len(pieces):
        for end in range(min(len(pieces), start + longest), start, -1):
            joined = ",".join(raw for raw, _ in pieces[start:end])
            name = next((name for name in (joined, joined.strip()) if name in columns_by_name), None)
            if name is not None:
                break
        else:
            name, end = pieces[start][1], start + 1
            if name not in columns_by_name:
                got = repr(name) if name == text else f"{name!r} in {text!r}"
                raise _no_such_column(got, columns_by_name, option)
        chosen_names.append(name)
        start = end
    return chosen_names


def _pieces(text: str) -> list[tuple[str, str]]:
    """The pieces between commas outside of quotes, each as written, and without blanks and quotes."""
    pieces = []
    rest: str | None = text
    while rest is not None:
        raw = _first_piece(rest)
        rest = rest[len(raw) + 1 :] if len(raw) < len(rest) else None
        bare = raw.strip()
        quoted = len(bare) > 1 and bare[0] == bare[-1] == '"'
        pieces.append((raw, bare[1:-1].replace('""', '"') if quoted else bare))
    return pieces


def _first_piece(text: str) -> str:
    """The text up to the first comma outside of quotes; a quote that is not closed is a character."""
    if text.lstrip().startswith('"'):
        is_quoted = False
        for i, character in enumerate(text):
            if character == '"':
                is_quoted = not is_quoted
            elif character == "," and not is_quoted:
                return text[:i]
        if not is_quoted:
            return text
    return text.partition(",")[0]


def _no_such_column(got: str, columns_by_name: Mapping[str, str], option: str) -> DataError:
    """The error of a name without a column, with the names that there are."""
    columns = list(dict.fromkeys(columns_by_name.values()))
    more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    listed = ", ".join(map(repr, columns[:_MOST_NAMES])) or "none"
    return DataError(f"{option}: expected names of the columns {listed}{more}, got {got}")
