"""Tables: where they come from, and what their target asks for."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from nas.data.files import read_table
from nas.data.frames import (
    column_names,
    frame_of,
    named_table,
    pair_of,
    plain_types,
    possible_names,
    with_plain_targets,
)
from nas.data.preprocessing import LARGEST_NUMBER, check_kind, settle_kinds
from nas.errors import DataError
from nas.network.arrays import Array
from nas.runtime import category_key

Task = Literal["classification", "multilabel", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The sets that come with scikit-learn, by the names that `load_dataset` knows them by."""

FEWEST_ROWS = 10
_FEWEST_IN_CLASS = 3
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

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.table)

    def digest(self) -> str:
        """A fingerprint of all cells, names and labels: the first 16 digits of a SHA-256."""
        sha = hashlib.sha256(repr((self.task, self.target_names, self.classes, self.categorical)).encode())
        for name in self.table.columns:
            sha.update(repr(name).encode())
            sha.update(_cell_hashes(self.table[name]).tobytes())
        sha.update(np.ascontiguousarray(self.y).tobytes())
        if self.weights is not None:
            sha.update(np.ascontiguousarray(self.weights).tobytes())
        return sha.hexdigest()[:16]

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


def load_dataset(
    data: Any,
    *,
    target: Any = None,
    task: str | None = None,
    categorical: Any = (),
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

    Raises
    ------
    DataError
        If there is no such data, or nothing can be learned from it; the message names the file or
        column, what was expected and what came.
    """
    if task is not None and task not in TASKS:
        raise DataError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    if isinstance(data, Dataset):
        if target is not None or task is not None or possible_names(categorical):
            raise DataError(
                "data: expected no target, task or categorical beside a Dataset, which has its own"
            )
        return data
    if isinstance(data, (str, Path)):
        name, frame, targets, source = _from_name_or_path(str(data), target, categorical)
    else:
        (name, frame, targets), source = _from_memory(data, target), None
    _check_frame(name, frame, targets)
    features = frame.drop(columns=targets)
    categorical = column_names(categorical, features.columns, "--categorical")
    y, found, classes = _read_target(frame[targets], task)
    return Dataset(
        name,
        settle_kinds(features, categorical),
        y,
        found,
        tuple(targets),
        classes,
        tuple(sorted(categorical)),
        source,
    )


def _from_name_or_path(name: str, target: Any, categorical: Any) -> tuple[str, pd.DataFrame, list[str], str]:
    if name in BUNDLED:
        frame, targets = _bundled(name)
        return name, frame, targets if target is None else _target_columns(frame, target, name), name
    if not os.path.exists(name) and not Path(name).suffix:  # noqa: PTH110 # no error for a name too long
        raise DataError(f"{name}: expected a CSV or Parquet file or one of {', '.join(BUNDLED)}, got neither")
    frame = plain_types(read_table(name, texts=possible_names(categorical)))
    path = Path(name)
    stem = path.name.split(".")[0] or path.name
    return stem, frame, _target_columns(frame, target, name), str(path.resolve())


def _bundled(name: str) -> tuple[pd.DataFrame, list[str]]:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.frame
    if "target_names" in bunch and name != "digits":
        frame = frame.assign(target=np.array(bunch.target_names)[frame["target"]])
    return frame, ["target"]


def _from_memory(data: Any, target: Any) -> tuple[str, pd.DataFrame, list[str]]:
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
    targets = _target_columns(frame, target, "table")
    return "table", with_plain_targets(frame, targets), targets


def _from_pair(X: Any, y: Any) -> tuple[str, pd.DataFrame, list[str]]:
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
    return "table", pd.concat([features, with_plain_targets(targets, names)], axis=1), names


def _target_columns(frame: pd.DataFrame, target: Any, where: str) -> list[str]:
    if target is None and frame.shape[1] == 0:
        raise DataError(f"{where}: expected a table with columns, got none")
    if target is None:
        named = [column for column in frame.columns if str(column).lower() in _TARGET_NAMES]
        return [str(named[0] if named else frame.columns[-1])]
    return column_names(target, frame.columns, "target")


def _read_target(
    targets: pd.DataFrame, task: str | None
) -> tuple[np.ndarray[Any, Any], Task, tuple[Any, ...]]:
    """The encoded target, the task, and the class labels."""
    for name in targets.columns:
        _check_present(targets[name])
    if task is None:
        task = _infer_task(targets)
    if task == "classification":
        if targets.shape[1] > 1:
            raise DataError(
                f"target: expected one column for classification, got {', '.join(targets.columns)}; "
                "several columns of 0 and 1 are the task multilabel"
            )
        return _read_classes(targets.iloc[:, 0])
    y = np.column_stack([_target_numbers(targets[name]) for name in targets.columns])
    if task == "multilabel":
        for i, name in enumerate(targets.columns):
            if not np.array_equal(np.unique(y[:, i]), (0, 1)):
                raise DataError(f"target {name!r}: expected labels 0 and 1, both present, got others")
        return y, "multilabel", ()
    for i, name in enumerate(targets.columns):
        if y[:, i].min() == y[:, i].max():
            raise DataError(f"target {name!r}: expected values that vary, got {y[0, i]:g} in every row")
    return y, "regression", ()


def _read_classes(values: pd.Series) -> tuple[np.ndarray[Any, Any], Task, tuple[Any, ...]]:
    if values.dtype == object:
        values = values.map(category_key)
    codes, labels = pd.factorize(values, sort=True)
    counts = np.bincount(codes)
    name, classes = str(values.name), tuple(plain_label(label) for label in labels)
    if len(classes) < 2:
        raise DataError(f"target {name!r}: expected at least two classes, got only {classes[0]!r}")
    rare = int(counts.argmin())
    if counts[rare] < _FEWEST_IN_CLASS:
        hint = "; for numbers to be predicted, say --task regression" if _is_number(values) else ""
        raise DataError(
            f"target {name!r}: expected at least {_FEWEST_IN_CLASS} rows of each class, one for "
            f"each part, got {counts[rare]} of class {classes[rare]!r}{hint}"
        )
    return codes.astype(np.int64), "classification", classes


def plain_label(label: Any) -> Any:
    """A label as JSON can hold it: str, bool, int or float."""
    value = label.item() if isinstance(label, np.generic) else label
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (str, bool, int, float)) else str(value)


def _check_present(values: pd.Series) -> None:
    check_kind(values)
    missing = values.isna().to_numpy()
    if not missing.any() and _is_number(values):
        missing = np.abs(values.to_numpy(np.float64)) > LARGEST_NUMBER
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        value = values.iloc[row]
        got = "nothing (NaN)" if pd.isna(value) else "infinity" if np.isinf(value) else f"{value:g}"
        raise DataError(
            f"target {str(values.name)!r}: expected a value in every row, got {got} in row {row + 1}"
        )


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _infer_task(targets: pd.DataFrame) -> Task:
    if targets.shape[1] > 1:
        binary = all(_is_number(targets[name]) or targets[name].dtype == bool for name in targets) and all(
            set(targets[name].unique()) <= {0, 1} for name in targets
        )
        return "multilabel" if binary else "regression"
    values = targets.iloc[:, 0]
    if not _is_number(values):
        return "classification"
    different = np.unique(values.to_numpy(np.float64))
    whole = bool((different == np.round(different)).all())
    return "classification" if whole and len(different) <= _MOST_CLASSES_BY_DEFAULT else "regression"


def _target_numbers(values: pd.Series) -> np.ndarray[Any, Any]:
    texts = values.map(category_key) if values.dtype == object else values
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~(np.abs(numbers) <= LARGEST_NUMBER))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"target {str(values.name)!r}: expected numbers, got {str(values.iloc[row])!r} in row {row + 1}"
        )
    return numbers


def _cell_hashes(values: pd.Series) -> np.ndarray[Any, Any]:
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
