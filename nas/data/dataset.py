"""Tables with targets, ready for a search: `Dataset`, and `load_dataset`, which makes one of any source."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.data.column_names import column_names, possible_names
from nas.data.index import index_columns, leaking_identifiers
from nas.data.preprocessing import settle_kinds
from nas.data.reading import Reading
from nas.data.roles import ROLES, Roles, Taken
from nas.data.sources import BUNDLED, RawTable, from_memory, from_name_or_path
from nas.data.targets import TASKS, Task, read_target
from nas.errors import DataError
from nas.network.arrays import Array

_log = logging.getLogger(__name__)

FEWEST_ROWS = 10
"""Rows of a table below which training, validation and test parts are too small to learn or judge by."""

MOST_COLUMNS = 100_000
"""Columns of a table: the record of a network for more of them is larger than `nas.runtime` reads."""

_MOST_NOTES = 8
"""Notes that a summary shows, so that it stays a line."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table with a target.

    Attributes
    ----------
    name : str
    table : DataFrame of shape (rows, columns)
        The features, each column converted by the reading of all its cells: numbers, dates or categories.
    y : array
        Class numbers of shape (rows,) for "classification"; otherwise float64 of shape
        (rows, targets), 0 and 1 for "multilabel".
    task : str
        "classification", "multilabel" or "regression".
    target_names : tuple of str
    classes : tuple
        The labels that the class numbers stand for.
    categorical : tuple of str
        Columns declared to hold categories.
    source : str, optional
        The bundled set's name or the file's absolute path; None for a table from memory.
    weights : float array of shape (rows,), optional
        The positive weight of each row in training and in scores.
    readings : mapping
        The meaning of each column's cells, as `settle_kinds` decided.
    notes : tuple of str
        Further decisions made in reading the table, each in a short phrase.
    na, header, ignored
        The arguments of `load_dataset`; `ignored` names the columns that were left out.
    groups : int array of shape (rows,), optional
        The group of each row; rows of a group stay in one part of the table.
    time_order : bool
        Whether rows are in order of time.
    n_validation : int
        The rows at the end of the table that judge candidates; 0 where the search cuts its own.
    roles : mapping
        The arguments of `load_dataset` that these and the weights came from, as far as they were given.
    """

    name: str
    table: pd.DataFrame
    y: np.ndarray[Any, Any]
    task: Task
    target_names: tuple[str, ...]
    classes: tuple[Any, ...] = ()
    categorical: tuple[str, ...] = ()
    source: str | None = None
    weights: Array | None = None
    readings: Mapping[str, Reading] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    na: tuple[str, ...] = ()
    header: bool | None = None
    ignored: tuple[str, ...] = ()
    groups: Array | None = None
    time_order: bool = False
    n_validation: int = 0
    roles: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.table)

    def digest(self) -> str:
        """A fingerprint of all cells, names, labels and weights: the first 16 digits of a SHA-256."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        sha = hashlib.sha256(repr((self.task, self.target_names, self.classes, self.categorical)).encode())
        for name, values in self.table.items():
            sha.update(repr(name).encode())
            sha.update(_cell_hashes(values).tobytes())
        sha.update(np.ascontiguousarray(self.y).tobytes())
        if self.weights is not None:
            sha.update(np.ascontiguousarray(self.weights).tobytes())
        if self.groups is not None:
            sha.update(np.ascontiguousarray(self.groups).tobytes())
        if self.time_order or self.n_validation:
            sha.update(repr((self.time_order, self.n_validation)).encode())
        return sha.hexdigest()[:16]

    def arguments(self) -> dict[str, Any]:
        """The arguments with which `load_dataset` reads the same table from its source: plain values."""
        return {
            "target": list(self.target_names),
            "task": self.task,
            "categorical": list(self.categorical),
            "na": list(self.na),
            "header": self.header,
            "ignore": list(self.ignored),
            **self.roles,
        }

    def summary(self) -> str:
        """The table in a line: rows, kinds of columns, the target, and decisions made in reading."""
        kinds = Counter(str(reading.kind) for reading in self.readings.values())
        words = {"numeric": "of numbers", "date": "of dates", "category": "of categories"}
        columns = ", ".join(f"{kinds[kind]:,} {word}" for kind, word in words.items() if kinds[kind])
        n_written = sum(
            bool(reading.is_text and reading.kind != "category") for reading in self.readings.values()
        )
        written = f" ({n_written} written as text)" if n_written else ""
        target = f"target {', '.join(self.target_names)}: {self._target_in_words()}"
        notes = [*self.notes[:_MOST_NOTES], *(["..."] if len(self.notes) > _MOST_NOTES else [])]
        return "; ".join([f"{self.name}: {self.n_rows:,} rows, columns: {columns}{written}", target, *notes])

    def _target_in_words(self) -> str:
        if self.task == "classification":
            return f"{len(self.classes)} classes"
        return "labels of 0 and 1" if self.task == "multilabel" else "numbers"

    def describe(self) -> dict[str, Any]:
        """Facts of the data for reports: plain values."""
        return {
            "name": self.name,
            "rows": self.n_rows,
            "columns": self.table.shape[1],
            "task": self.task,
            "target": list(self.target_names),
            "classes": len(self.classes),
            "digest": self.digest(),
            "source": self.source,
        }


def load_arguments(table: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `load_dataset` in a run's configuration; older versions ignored no columns."""
    names = ("target", "task", "categorical", "na", "header", *ROLES)
    return {name: table[name] for name in names if name in table} | {"ignore": table.get("ignore", [])}


def load_dataset(
    data: Any,
    *,
    target: Any = None,
    task: str | None = None,
    categorical: Any = (),
    na: str | Collection[str] = (),
    header: bool | None = None,
    ignore: Any = None,
    groups: str | None = None,
    time_order: bool = False,
    weights: str | None = None,
    validation: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read a data set from a name, a file, or an object in memory.

    Parameters
    ----------
    data : str, path, table, (X, y), Bunch or Dataset
        The name of a bundled set (see `BUNDLED`), a CSV or Parquet file, a table with the target
        among its columns (see `nas.data.frames.named_table`), or features and target apart.
    target : name or several, optional
        The target's column; by default one called target, label, class or y, otherwise the last.
        Several columns, or names joined by commas, make several targets or labels
        (see `nas.data.column_names`).
    task : str, optional
        "classification", "multilabel" or "regression"; by default it follows from the target:
        text, booleans and up to 20 different whole numbers are classes.
    categorical : names
        Columns that hold categories although they look like numbers; names may be joined by commas.
    na : str or several, optional
        Cells that are missing values besides empty cells, such as "NA" or "-999"; joined by commas.
    header : bool, optional
        Whether a CSV file begins with a line of names; by default one that looks like data is refused.
    groups : str, optional
        A column that says which rows belong together; they are in one part of the table. It is no input.
    time_order : bool
        Whether rows are in order of time, so that later rows judge.
    weights : str, optional
        A column of the rows' weights, from 0, in trainings and validation scores. It is no input.
    validation : path, optional
        A file of the rows that judge candidates, read as `data` is.
        Without, columns are called column1, column2 and so on.
    ignore : names, optional
        Columns to leave out; by default an index: a column without a name, or one that counts the rows.
        Given names, or none ("" or ()), replace the default.

    Raises
    ------
    DataError
        If there is no such data, or nothing can be learned from it; the message names the file or
        column, what was expected and what was found.
    """
    if task is not None and task not in TASKS:
        raise DataError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    roles = Roles(groups, time_order, weights, None if validation is None else os.fspath(validation))
    if isinstance(data, Dataset):
        if target is not None or task is not None or possible_names(categorical) or na or ignore:
            raise DataError(
                "data: expected no target, task, categorical, na or ignore beside a Dataset, "
                "which has its own"
            )
        if roles != Roles():
            raise DataError(
                "data: expected no groups, time_order, weights or validation beside a Dataset, got some"
            )
        return data
    gaps = (
        tuple(text.strip() for text in na.split(",")) if isinstance(na, str) and na else tuple(map(str, na))
    )
    texts = (*possible_names(categorical), *filter(None, [groups]))
    if isinstance(data, (str, Path)):
        raw = from_name_or_path(str(data), target, texts, gaps, header)
    else:
        raw = from_memory(data, target)
    validation_rows = None
    if roles.validation is not None:
        try:
            validation_rows = from_name_or_path(roles.validation, raw.targets, texts, gaps, header).frame
        except DataError as error:
            raise DataError(f"--validation {roles.validation}: {error}") from None
    raw, taken = roles.taken_from(raw, validation_rows, gaps)
    return _dataset(raw, taken, task, categorical, gaps, ignore)


def _dataset(
    raw: RawTable,
    taken: Taken,
    task: str | None,
    categorical: Any,
    gaps: tuple[str, ...],
    ignore: Any,
) -> Dataset:
    _check_frame(raw.name, raw.frame, raw.targets)
    features = raw.frame.drop(columns=raw.targets)
    left_out = _left_out(raw, features, ignore)
    if len(left_out) == features.shape[1]:
        raise DataError("ignore: expected columns beside those that are left out and the target, got none")
    features = features.drop(columns=list(left_out))
    declared = column_names(categorical, features.columns, "--categorical")
    y, kind, classes = read_target(
        raw.frame[raw.targets], task, gaps=gaps, decimal=raw.decimal, from_file=raw.is_text
    )
    table, readings = settle_kinds(features, declared, gaps, raw.decimal)
    notes = [*raw.notes, *(f"{name!r} left out: {reason}" for name, reason in left_out.items())]
    notes += taken.notes
    if kind == "classification":
        for name in leaking_identifiers(table, y):
            _log.warning(
                "column %r: it differs in each row, and rows sorted by it are sorted by class, so it may "
                "tell the answer; --ignore (ignore=) leaves it out",
                name,
            )
            notes.append(f"{name!r} sorts the rows by class")
    return Dataset(
        raw.name,
        table,
        y,
        kind,
        tuple(raw.targets),
        classes,
        tuple(sorted(declared)),
        raw.source,
        readings=readings,
        notes=tuple(notes),
        na=gaps,
        header=raw.header,
        ignored=tuple(left_out),
        weights=taken.weights,
        groups=taken.groups,
        time_order=taken.time_order,
        n_validation=taken.n_validation,
        roles=taken.arguments,
    )


def _left_out(raw: RawTable, features: pd.DataFrame, ignore: Any) -> dict[str, str]:
    """The columns that are left out, each with the reason."""
    if isinstance(ignore, str) and not ignore.strip():
        return {}
    if ignore is not None:
        return dict.fromkeys(column_names(ignore, features.columns, "--ignore"), "as asked for")
    if not raw.is_named or raw.source in BUNDLED:
        return {}
    return index_columns(features, (), raw.unnamed)


def _cell_hashes(values: pd.Series) -> np.ndarray[Any, Any]:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return pd.util.hash_array(values.to_numpy())  # the same hashes as below, in a fifth of the time
    try:
        return pd.util.hash_pandas_object(values, index=False).to_numpy()
    except TypeError:  # cells that are lists or arrays
        return pd.util.hash_pandas_object(values.astype(str), index=False).to_numpy()


def _check_frame(name: str, frame: pd.DataFrame, targets: list[str]) -> None:
    """Raise `DataError` unless there are enough rows, columns with different names, and a target."""
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(f"{name}: expected column names that differ, got {repeated[0]!r} twice")
    if not targets:
        raise DataError(f"{name}: expected the name of a target, got none")
    if frame.shape[1] == len(targets):
        raise DataError(f"{name}: expected columns beside the target, got none")
    if frame.shape[1] > MOST_COLUMNS:
        raise DataError(f"{name}: expected at most {MOST_COLUMNS} columns, got {frame.shape[1]}")
    if len(frame) < FEWEST_ROWS:
        raise DataError(f"{name}: expected at least {FEWEST_ROWS} rows, got {len(frame)}")
