"""Where tables come from: bundled sets, files, and objects in memory, before any column is interpreted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.data.column_names import column_names, possible_names
from nas.data.files import read_file
from nas.data.frames import frame_of, named_table, pair_of
from nas.data.plain_types import plain_types, with_plain_targets
from nas.errors import DataError

BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The sets that come with scikit-learn, by their names in `load_dataset`."""

_TARGET_NAMES = ("target", "label", "class", "y")


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table before its columns are interpreted.

    Attributes
    ----------
    name : str
    frame : DataFrame
        Features and targets.
    targets : list of str
        The columns of the targets.
    source : str, optional
        The bundled set's name or the file's absolute path; None for a table from memory.
    notes : tuple of str
        Decisions made in reading a file, each in a short phrase.
    unnamed : str, optional
        The name given to a first column without a name.
    decimal : str
        The decimal separator of numbers as text; "," where the file's numbers prove it.
    is_named : bool
        Whether columns came with names.
    header : bool, optional
        The option that a file was read with.
    """

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
        """Whether cells were read from a file."""
        return self.source is not None and self.source not in BUNDLED


def from_name_or_path(
    name: str, target: Any, categorical: Any, gaps: tuple[str, ...], header: bool | None
) -> RawTable:
    """The table of a bundled set or a file; see `nas.data.load_dataset` for parameters and errors."""
    if name in BUNDLED:
        frame, targets = _bundled(name)
        target_columns = targets if target is None else _target_columns(list(frame.columns), target, name)
        return RawTable(name, frame, target_columns, name)
    if not os.path.exists(name) and not Path(name).suffix:  # noqa: PTH110 # no error for a name too long
        raise DataError(f"{name}: expected a CSV or Parquet file or one of {', '.join(BUNDLED)}, got neither")

    def text_columns(columns: list[str]) -> list[str]:
        # Labels and categories are kept as they are written: "01" is not "1".
        return [
            *_target_columns(columns, target, name),
            *(column for column in possible_names(categorical) if column in columns),
        ]

    file = read_file(name, text_columns, header=header, na=gaps)
    path = Path(name)
    stem = path.name.split(".")[0] or path.name
    frame = plain_types(file.frame)
    targets = _target_columns(list(frame.columns), target, name)
    return RawTable(
        stem, frame, targets, str(path.resolve()), file.notes, file.unnamed, file.decimal, header=header
    )


def _bundled(name: str) -> tuple[pd.DataFrame, list[str]]:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.frame
    if "target_names" in bunch and name != "digits":
        frame = frame.assign(target=np.array(bunch.target_names)[frame["target"]])
    return frame, ["target"]


def from_memory(data: Any, target: Any) -> RawTable:
    """The table of a frame, of columns, or of a pair (X, y); raises `DataError` on other objects."""
    pair = pair_of(data)
    if pair is not None:
        if target is not None:
            raise DataError("target: expected none with data of the form (X, y), got one")
        return _from_pair(*pair)
    frame = named_table(data)
    if frame is None:
        raise DataError(
            "data: expected a name, a path, a table with named columns, one of them the target "
            "(a frame of pandas or polars, an Arrow table, a dict of columns, a list of dicts, a structured "
            f"array), or a pair (X, y), got {type(data).__name__}"
        )
    targets = _target_columns(list(frame.columns), target, "table")
    return RawTable("table", with_plain_targets(frame, targets), targets)


def _from_pair(X: Any, y: Any) -> RawTable:
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
    return RawTable("table", frame, names, is_named=False)


def _target_columns(columns: list[str], target: Any, where: str) -> list[str]:
    if target is None and not columns:
        raise DataError(f"{where}: expected a table with columns, got none")
    if target is None:
        named = [column for column in columns if str(column).lower() in _TARGET_NAMES]
        return [str(named[0] if named else columns[-1])]
    return column_names(target, columns, "target")
