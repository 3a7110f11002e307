"""Tables: where they come from, and what their target asks for."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from nas.data.columns import LARGEST_NUMBER, Reading, convert, read_column, row_name
from nas.data.files import read_file
from nas.data.frames import (
    column_names,
    frame_of,
    named_table,
    pair_of,
    plain_types,
    possible_names,
    with_plain_targets,
)
from nas.data.index import index_columns, leaking_identifiers
from nas.data.preprocessing import settle_kinds
from nas.errors import DataError
from nas.network.arrays import Array
from nas.runtime import cell_key, is_gap, is_missing, number_in

_log = logging.getLogger(__name__)

Task = Literal["classification", "multilabel", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The sets that come with scikit-learn, by the names that `load_dataset` knows them by."""

FEWEST_ROWS = 10
_FEWEST_IN_CLASS = 3
_MOST_NOTES = 8
_MOST_CLASSES_BY_DEFAULT = 20
_TARGET_NAMES = ("target", "label", "class", "y")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table with a target.

    Attributes
    ----------
    name : str
    table : DataFrame of shape (rows, columns)
        The features, each column of the kind that all its rows make it: numbers or categories.
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
        What each row counts for in training, and when networks are compared; each more than 0.
    readings : mapping
        What the cells of each column mean, as `settle_kinds` decided.
    notes : tuple of str
        What else was decided in reading the table, each in a short phrase.
    na, header, ignored
        See `load_dataset`; `ignored` has the columns that were left out.
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

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.table)

    def digest(self) -> str:
        """A fingerprint of all cells, names and labels: the first 16 digits of a SHA-256."""
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
        return sha.hexdigest()[:16]

    def arguments(self) -> dict[str, Any]:
        """What `load_dataset` has to be told to read the same table from its source: plain values."""
        return {
            "target": list(self.target_names),
            "task": self.task,
            "categorical": list(self.categorical),
            "na": list(self.na),
            "header": self.header,
            "ignore": list(self.ignored),
        }

    def summary(self) -> str:
        """What was read, in one line."""
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
        """What a report says of the data: plain values."""
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
    """The arguments of `load_dataset` in a run's configuration; runs of older versions left nothing out."""
    names = ("target", "task", "categorical", "na", "header")
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
) -> Dataset:
    """A data set from whatever a person has.

    Parameters
    ----------
    data : str, path, table, (X, y), Bunch or Dataset
        The name of a bundled set (see `BUNDLED`), a CSV or Parquet file, a table with the target
        among its columns (see `nas.data.frames.named_table`), or features and target apart.
    target : name or several, optional
        The target's column; by default one called target, label, class or y, otherwise the last.
        Several columns, or names joined by commas, make several targets or labels
        (see `nas.data.frames.column_names`).
    task : str, optional
        "classification", "multilabel" or "regression"; by default it follows from the target:
        text, booleans and up to 20 different whole numbers are classes.
    categorical : names
        Columns that hold categories although they look like numbers; names may be joined by commas.

    na : str or several, optional
        Cells that stand for nothing besides empty ones, such as "NA" or "-999"; joined by commas.
    header : bool, optional
        Whether a CSV file begins with a line of names; by default one that looks like data is refused.
        Without, columns are called column1, column2 and so on.
    ignore : names, optional
        Columns to leave out; by default an index: one without a name, or one that counts the rows. Where
        any are named, or none ("" or ()), those and no others are left out.

    Raises
    ------
    DataError
        If there is no such data, or nothing can be learned from it; the message names the file or
        column, what was expected and what came.
    """
    if task is not None and task not in TASKS:
        raise DataError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    if isinstance(data, Dataset):
        if target is not None or task is not None or possible_names(categorical) or na or ignore:
            raise DataError(
                "data: expected no target, task, categorical, na or ignore beside a Dataset, "
                "which has its own"
            )
        return data
    gaps = (
        tuple(text.strip() for text in na.split(",")) if isinstance(na, str) and na else tuple(map(str, na))
    )
    if isinstance(data, (str, Path)):
        found = _from_name_or_path(str(data), target, categorical, gaps, header)
    else:
        found = _from_memory(data, target)
    return _dataset(found, task, categorical, gaps, ignore)


@dataclass(frozen=True, eq=False)
class _Found:
    """A table, before it is decided what its columns mean."""

    name: str
    frame: pd.DataFrame
    targets: list[str]
    source: str | None = None
    notes: tuple[str, ...] = ()
    unnamed: str | None = None
    decimal: str = "."
    is_named: bool = True
    header: bool | None = None

    @property
    def is_text(self) -> bool:
        """Whether its cells were read from text."""
        return self.source is not None and self.source not in BUNDLED


def _dataset(
    found: _Found, task: str | None, categorical: Any, gaps: tuple[str, ...], ignore: Any
) -> Dataset:
    _check_frame(found.name, found.frame, found.targets)
    features = found.frame.drop(columns=found.targets)
    left_out = _left_out(found, features, ignore)
    if len(left_out) == features.shape[1]:
        raise DataError("ignore: expected columns beside those that are left out and the target, got none")
    features = features.drop(columns=list(left_out))
    declared = column_names(categorical, features.columns, "--categorical")
    y, kind, classes = read_target(
        found.frame[found.targets], task, gaps=gaps, decimal=found.decimal, from_file=found.is_text
    )
    table, readings = settle_kinds(features, declared, gaps, found.decimal)
    notes = [*found.notes, *(f"{name!r} left out: {reason}" for name, reason in left_out.items())]
    if kind == "classification":
        for name in leaking_identifiers(table, y):
            _log.warning(
                "column %r: it differs in each row, and rows sorted by it are sorted by class, so it may "
                "tell the answer; --ignore (ignore=) leaves it out",
                name,
            )
            notes.append(f"{name!r} sorts the rows by class")
    return Dataset(
        found.name,
        table,
        y,
        kind,
        tuple(found.targets),
        classes,
        tuple(sorted(declared)),
        found.source,
        readings=readings,
        notes=tuple(notes),
        na=gaps,
        header=found.header,
        ignored=tuple(left_out),
    )


def _left_out(found: _Found, features: pd.DataFrame, ignore: Any) -> dict[str, str]:
    """Columns that are not used, and why."""
    if isinstance(ignore, str) and not ignore.strip():
        return {}
    if ignore is not None:
        return dict.fromkeys(column_names(ignore, features.columns, "--ignore"), "as asked for")
    if not found.is_named or found.source in BUNDLED:
        return {}
    return index_columns(features, (), found.unnamed)


def _from_name_or_path(
    name: str, target: Any, categorical: Any, gaps: tuple[str, ...], header: bool | None
) -> _Found:
    if name in BUNDLED:
        frame, targets = _bundled(name)
        wanted = targets if target is None else _target_columns(list(frame.columns), target, name)
        return _Found(name, frame, wanted, name)
    if not os.path.exists(name) and not Path(name).suffix:  # noqa: PTH110 # no error for a name too long
        raise DataError(f"{name}: expected a CSV or Parquet file or one of {', '.join(BUNDLED)}, got neither")

    def as_written(columns: list[str]) -> list[str]:
        return [
            *_target_columns(columns, target, name),
            *(column for column in possible_names(categorical) if column in columns),
        ]

    file = read_file(name, as_written, header=header, na=gaps)
    path = Path(name)
    stem = path.name.split(".")[0] or path.name
    frame = plain_types(file.frame)
    targets = _target_columns(list(frame.columns), target, name)
    return _Found(
        stem, frame, targets, str(path.resolve()), file.notes, file.unnamed, file.decimal, header=header
    )


def _bundled(name: str) -> tuple[pd.DataFrame, list[str]]:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.frame
    if "target_names" in bunch and name != "digits":
        frame = frame.assign(target=np.array(bunch.target_names)[frame["target"]])
    return frame, ["target"]


def _from_memory(data: Any, target: Any) -> _Found:
    pair = pair_of(data)
    if pair is not None:
        if target is not None:
            raise DataError("target: expected none beside (X, y), whose y is the target, got one")
        return _from_pair(*pair)
    frame = named_table(data)
    if frame is None:
        raise DataError(
            "data: expected a name, a path, a table whose columns have names and of which one is the target "
            "(a frame of pandas or polars, an Arrow table, a dict of columns, a list of dicts, a structured "
            f"array), or a pair (X, y), got {type(data).__name__}"
        )
    targets = _target_columns(list(frame.columns), target, "table")
    return _Found("table", with_plain_targets(frame, targets), targets)


def _from_pair(X: Any, y: Any) -> _Found:
    features, _ = frame_of(X, "x")
    targets, named = frame_of(y, "target", one_axis=True)
    if len(features) != len(targets):
        raise DataError(
            f"y: expected one entry for each of the {len(features)} rows of X, got {len(targets)}"
        )
    if targets.shape[1] == 1 and not named:
        targets.columns = ["target"]
    clash = set(features.columns) & set(targets.columns)
    if clash:
        raise DataError(f"y: expected names that X does not have, got {', '.join(sorted(clash))} in both")
    names = list(targets.columns)
    frame = pd.concat([features, with_plain_targets(targets, names)], axis=1)
    return _Found("table", frame, names, is_named=False)


def _target_columns(columns: list[str], target: Any, where: str) -> list[str]:
    if target is None and not columns:
        raise DataError(f"{where}: expected a table with columns, got none")
    if target is None:
        named = [column for column in columns if str(column).lower() in _TARGET_NAMES]
        return [str(named[0] if named else columns[-1])]
    return column_names(target, columns, "target")


_WAY_OUT = "mend it, or say --task classification if the target is a label"


def read_target(
    targets: pd.DataFrame,
    task: str | None,
    *,
    gaps: Sequence[str] = (),
    decimal: str = ".",
    from_file: bool = False,
) -> tuple[np.ndarray[Any, Any], Task, tuple[Any, ...]]:
    """The encoded target, the task, and the class labels.

    Parameters
    ----------
    targets : DataFrame of shape (rows, targets)
    task : str, optional
        By default it follows from the cells.
    gaps, decimal
        See `nas.data.columns.read_column`.
    from_file : bool
        Whether text that is written as Python writes whole numbers, or floats, stands for these.

    Raises
    ------
    DataError
        Where nothing can be learned from it; the message names the cell or the class.
    """
    for name in targets.columns:
        _check_present(targets[name], gaps)
    if task == "classification" and targets.shape[1] > 1:
        raise DataError(
            f"target: expected one column for classification, got {', '.join(targets.columns)}; "
            "several columns of 0 and 1 are the task multilabel"
        )
    if task == "classification":
        return _read_classes(targets.iloc[:, 0], from_file=from_file)
    readings = [_target_reading(targets[name], gaps, decimal) for name in targets.columns]
    task = task or _infer_task(targets, readings)
    if task == "classification":
        return _read_classes(targets.iloc[:, 0], from_file=from_file)
    y = np.column_stack(
        [_target_numbers(targets[name], reading) for name, reading in zip(targets, readings, strict=True)]
    )
    _check_numbers(y, list(targets.columns), task)
    return y, "multilabel" if task == "multilabel" else "regression", ()


def _check_numbers(y: np.ndarray[Any, Any], names: Sequence[str], task: str) -> None:
    """Raise `DataError` unless labels are 0 and 1, both of them, and values vary."""
    for i, name in enumerate(names):
        if task == "multilabel" and not np.array_equal(np.unique(y[:, i]), (0, 1)):
            raise DataError(f"target {name!r}: expected labels 0 and 1, both present, got others")
        if y[:, i].min() == y[:, i].max():
            raise DataError(f"target {name!r}: expected values that vary, got {y[0, i]:g} in every row")


def _target_reading(values: pd.Series, gaps: Sequence[str], decimal: str) -> Reading:
    """What the cells of a target mean; raises `DataError`, with the target named."""
    try:
        return read_column(values, gaps=gaps, decimal=decimal, way_out=_WAY_OUT)
    except DataError as error:
        raise DataError(str(error).replace("column", "target", 1)) from None


def _read_classes(
    values: pd.Series, *, from_file: bool
) -> tuple[np.ndarray[Any, Any], Task, tuple[Any, ...]]:
    values = _labels(values, from_file=from_file)
    codes, labels = pd.factorize(values, sort=True)
    counts = np.bincount(codes)
    name, classes = str(values.name), tuple(plain_label(label) for label in labels)
    if len(classes) < 2:
        raise DataError(f"target {name!r}: expected at least two classes, got only {classes[0]!r}")
    rare = int(counts.argmin())
    if counts[rare] < _FEWEST_IN_CLASS:
        numbers = _is_number(values) or all(isinstance(label, (int, float)) for label in classes)
        hint = "; for numbers to be predicted, say --task regression" if numbers else ""
        raise DataError(
            f"target {name!r}: expected at least {_FEWEST_IN_CLASS} rows of each class, one for "
            f"each part, got {counts[rare]} of class {classes[rare]!r}{hint}"
        )
    return codes.astype(np.int64), "classification", classes


def _labels(values: pd.Series, *, from_file: bool) -> pd.Series:
    """Labels as they were written, without blanks around; numbers where a file wrote all of them plainly."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.remove_unused_categories()  # in the order that they were given
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(object) if pd.api.types.is_bool_dtype(values) else values
    labels = [cell.strip() if isinstance(cell, str) else plain_label(cell) for cell in values.astype(object)]
    kinds = {type(label) for label in labels}
    if kinds == {str} and from_file:
        labels = _as_numbers(labels)
    elif len(kinds) > 1 and not kinds <= {int, float}:
        labels = [cell_key(label) for label in labels]
    return pd.Series(labels, values.index, name=values.name)


def _as_numbers(texts: list[str]) -> list[Any]:
    """Whole numbers, or floats, that are written as Python writes them; other texts as they are."""
    different = set(texts)
    for kind, write in ((int, str), (float, repr)):
        try:
            if all(write(kind(text)) == text and np.isfinite(kind(text)) for text in different):
                return [kind(text) for text in texts]
        except (ValueError, OverflowError):
            continue
    return list(texts)


def plain_label(label: Any) -> Any:
    """A label as JSON can hold it: str, bool, int or float."""
    value = label.item() if isinstance(label, np.generic) else label
    return value if isinstance(value, (str, bool, int, float)) else str(value)


def _check_present(values: pd.Series, gaps: Sequence[str]) -> None:
    """Raise `DataError` on the first cell without a value, and on complex numbers."""
    if pd.api.types.is_complex_dtype(values):
        raise DataError(f"target {str(values.name)!r}: expected real numbers, got complex ones")
    missing = np.array(values.isna(), bool)
    if _is_number(values):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        codes = [code for text in gaps if (code := number_in(text)) is not None]
        missing |= (np.abs(numbers) > LARGEST_NUMBER) | np.isin(numbers, codes)
    else:
        missing |= [
            isinstance(cell, str) and (not cell.strip() or cell.strip() in gaps)
            for cell in values.astype(object)
        ]
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        value = values.iloc[row]
        got = repr(value)
        if is_missing(value) or (isinstance(value, str) and not value.strip()):
            got = "nothing (NaN)"
        elif _is_number(values):
            got = "infinity" if np.isinf(value) else f"{value:g}"
        raise DataError(
            f"target {str(values.name)!r}: expected a value in every row, got {got} in {row_name(row)}"
        )


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _infer_task(targets: pd.DataFrame, readings: Sequence[Reading]) -> Task:
    if targets.shape[1] > 1:
        return "multilabel" if all(_is_binary(targets[name]) for name in targets) else "regression"
    values, reading = targets.iloc[:, 0], readings[0]
    if reading.kind == "date" or reading.form:
        raise DataError(
            f"target {str(values.name)!r}: expected numbers or labels, got {reading.note}; turn them into "
            "numbers, such as days since a day, or say --task classification if each is a label"
        )
    if reading.kind == "category" or pd.api.types.is_bool_dtype(values):
        return "classification"
    if reading.is_text and any(_is_code(cell) for cell in values.astype(object)):
        return "classification"
    if reading.unit or reading.decimal != ".":
        return "regression"  # labels are not written so
    different = np.unique(_target_numbers(values, reading))
    whole = bool((different == np.round(different)).all())
    return "classification" if whole and len(different) <= _MOST_CLASSES_BY_DEFAULT else "regression"


def _is_code(cell: Any) -> bool:
    """Whether a text is digits that no number begins with, as in 007."""
    return isinstance(cell, str) and re.fullmatch(r"\s*0\d+\s*", cell) is not None


def _is_binary(values: pd.Series) -> bool:
    different = set(values.astype(object).unique())
    return different <= {0, 1} or different <= {"0", "1"}


def _target_numbers(values: pd.Series, reading: Reading) -> np.ndarray[Any, Any]:
    name = str(values.name)
    if reading.kind == "numeric":
        cells = values.astype(object) if reading.is_text else ()
        words = [row for row, cell in enumerate(cells) if isinstance(cell, str) and is_gap(cell)]
        if not words:
            try:
                return convert(values, reading).to_numpy(np.float64)
            except DataError as error:
                raise DataError(str(error).replace("column", "target", 1)) from None
        row = words[0]
    else:
        texts = [str(cell) for cell in values.astype(object)]
        numbers = np.array([np.nan if (one := number_in(text)) is None else one for text in texts])
        if np.isfinite(numbers).all():
            return numbers  # all the same, which says nothing of a column, but is what was asked for
        row = next((i for i, text in enumerate(texts) if not np.isfinite(number_in(text) or np.nan)), 0)
    if reading.kind == "date":
        got = reading.note
        raise DataError(f"target {name!r}: expected numbers, got {got}; turn them into numbers first")
    raise DataError(
        f"target {name!r}: expected numbers, got {str(values.iloc[row])!r} in {row_name(row)}; {_WAY_OUT}"
    )


def _cell_hashes(values: pd.Series) -> np.ndarray[Any, Any]:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return pd.util.hash_array(values.to_numpy())  # what pandas does below, in a fifth of the time
    try:
        return pd.util.hash_pandas_object(values, index=False).to_numpy()
    except TypeError:  # cells that are lists or arrays
        return pd.util.hash_pandas_object(values.astype(str), index=False).to_numpy()


def _check_frame(name: str, frame: pd.DataFrame, targets: list[str]) -> None:
    """Raise `DataError` unless there are rows, columns whose names differ, and a target among them."""
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(f"{name}: expected column names that differ, got {repeated[0]!r} twice")
    if not targets:
        raise DataError(f"{name}: expected the name of a target, got none")
    if frame.shape[1] == len(targets):
        raise DataError(f"{name}: expected columns beside the target, got none")
    if len(frame) < FEWEST_ROWS:
        raise DataError(f"{name}: expected at least {FEWEST_ROWS} rows, got {len(frame)}")
