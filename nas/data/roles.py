"""Columns and rows with a role of their own: groups, weights, an order of time, validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.data.column_names import column_names
from nas.data.reading import row_name
from nas.data.sources import RawTable
from nas.errors import DataError
from nas.network.arrays import Array

ROLES = ("groups", "time_order", "weights", "validation")
"""The names of the attributes of `Roles`, which are arguments of `nas.load_dataset`."""

_FEWEST_GROUPS = 3
"""A group at least for each of the parts for training, validation and test."""


@dataclass(frozen=True)
class Taken:
    """What the roles have taken from a table; see `nas.data.Dataset`.

    Attributes
    ----------
    groups, weights : arrays of shape (rows,), optional
    time_order : bool
    n_validation : int
    notes : list of str
        What they mean for the rows, each in a short phrase.
    arguments : mapping
        The arguments that were given, as plain values.
    """

    groups: Array | None = None
    weights: Array | None = None
    time_order: bool = False
    n_validation: int = 0
    notes: list[str] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Roles:
    """The arguments of `nas.load_dataset` that give columns and rows a role of their own.

    Parameters
    ----------
    groups, weights : str, optional
        Names of columns.
    time_order : bool
    validation : str, optional
        A file.

    Raises
    ------
    DataError
        If two of them contradict each other.
    """

    groups: str | None = None
    time_order: bool = False
    weights: str | None = None
    validation: str | None = None

    def __post_init__(self) -> None:
        if self.time_order and self.groups is not None:
            raise DataError("--groups: expected none beside --time-order, which cuts otherwise, got both")
        if self.validation is not None and (self.time_order or self.groups is not None):
            option = "--time-order" if self.time_order else "--groups"
            raise DataError(f"--validation: expected no {option} beside it, as it decides the rows, got both")

    def taken_from(
        self, raw: RawTable, validation: pd.DataFrame | None, gaps: tuple[str, ...]
    ) -> tuple[RawTable, Taken]:
        """The table without the columns of roles, with the validation rows at its end, and what was taken.

        Raises
        ------
        DataError
            If a column does not exist, is a target, or has a cell that its role cannot have.
        """
        if self == Roles():
            return raw, Taken()
        frame, n_validation = raw.frame, 0
        if validation is not None:
            frame, n_validation = _joined(frame, validation, str(self.validation)), len(validation)
        taken = Taken(
            time_order=self.time_order, n_validation=n_validation, arguments=self._arguments(), notes=[]
        )
        if self.weights is not None:
            column = _column(self.weights, frame, raw, "--weights")
            weights = _weights(frame[column])
            frame, counting = frame.drop(columns=column), weights > 0
            if not counting.all():
                taken.notes.append(f"{int((~counting).sum())} rows of weight 0 left out")
                n_validation = int(counting[len(counting) - n_validation :].sum()) if n_validation else 0
                frame, weights = frame[counting].reset_index(drop=True), weights[counting]
            taken = replace(taken, weights=weights, n_validation=n_validation)
            taken.notes.append(f"weights from {column!r}")
        if self.groups is not None:
            column = _column(self.groups, frame, raw, "--groups")
            codes, n = _groups(frame[column], gaps)
            frame, taken = frame.drop(columns=column), replace(taken, groups=codes)
            taken.notes.append(f"{n:,} groups by {column!r}")
        if self.time_order:
            taken.notes.append("rows in order of time")
        if n_validation:
            taken.notes.append(f"{n_validation:,} of the rows are for validation")
        return replace(raw, frame=frame), taken

    def _arguments(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ROLES if getattr(self, name)}
        if self.validation is not None:
            given["validation"] = str(Path(self.validation).resolve())
        return given


def _joined(frame: pd.DataFrame, validation: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows of a table and its validation rows below each other."""
    missing = [name for name in frame.columns if name not in validation.columns]
    if missing:
        raise DataError(f"--validation {where}: expected the columns of the table, got no {missing[0]!r}")
    return pd.concat([frame, validation[list(frame.columns)]], ignore_index=True)


def _column(name: str, frame: pd.DataFrame, raw: RawTable, option: str) -> str:
    """The column that an option names."""
    chosen = column_names(name, list(frame.columns), option)
    if len(chosen) != 1:
        raise DataError(f"{option}: expected the name of one column, got {len(chosen)}")
    if chosen[0] in raw.targets:
        raise DataError(f"{option}: expected another column than the target, got {chosen[0]!r}")
    return chosen[0]


def _weights(values: pd.Series) -> Array:
    """Weights as float64; raises `DataError` on the first cell that is none, and if none is above 0."""
    weights = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"--weights {str(values.name)!r}: expected a number of at least 0 in every row, got "
            f"{str(values.iloc[row])!r} in {row_name(row)}"
        )
    if not (weights > 0).any():
        raise DataError(f"--weights {str(values.name)!r}: expected some weight above 0, got 0 in every row")
    return weights


def _groups(values: pd.Series, gaps: tuple[str, ...]) -> tuple[Array, int]:
    """Numbers of groups, and how many there are; raises `DataError` on a row without a group."""
    cells = values.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    missing = np.flatnonzero(cells.isna() | cells.isin(["", *gaps]))
    if len(missing):
        name = f"--groups {str(values.name)!r}"
        raise DataError(f"{name}: expected a group in every row, got nothing in {row_name(int(missing[0]))}")
    codes, labels = pd.factorize(cells.astype(str), sort=True)
    if len(labels) < _FEWEST_GROUPS:
        raise DataError(
            f"--groups {str(values.name)!r}: expected at least {_FEWEST_GROUPS} groups, one for each part, "
            f"got {len(labels)}"
        )
    return codes.astype(np.int64), len(labels)
