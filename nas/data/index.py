"""Columns that number the rows: an index is no feature, and an identifier may reveal the target."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from nas.network.arrays import Array

_NAMES = re.compile(
    r"(.*[_\s.-])?(id|idx|index|nr|no|num|number|row|rowid|row_?names?|#|key|uid|pk)\.?", re.IGNORECASE
)
_CAMEL = re.compile(r".*[a-z](Id|ID|Nr|No|Index)")
_UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?")

_FEW_CHANGES = 0.1
"""Changes of class along an identifier, as a fraction of the expectation, up to which it sorts by class."""


def index_columns(frame: pd.DataFrame, targets: Collection[str], unnamed: str | None) -> dict[str, str]:
    """Find the columns that are no more than an index.

    An index is a column without a name of different cells, or a column that counts the rows in steps of 1,
    from 0 or 1, or from any number if it has a name such as ``id``.

    Parameters
    ----------
    frame : DataFrame
    targets : names
        Columns that are not tested.
    unnamed : str, optional
        The column that has no name in its file.

    Returns
    -------
    dict
        A reason for each name. Empty if no other column would remain.
    """
    reasons = {}
    for name, values in frame.items():
        if name in targets:
            continue
        if (name == unnamed or _UNNAMED.fullmatch(str(name))) and values.is_unique:
            reasons[str(name)] = "a column without a name and with different cells in all rows is an index"
        elif _counts_rows(values, str(name)):
            reasons[str(name)] = "it counts the rows"
    return reasons if len(reasons) + len(targets) < frame.shape[1] else {}


def _counts_rows(values: pd.Series[Any], name: str) -> bool:
    numbers = _whole_numbers(values)
    if numbers is None or len(numbers) < 2 or not (np.diff(numbers) == 1).all():
        return False
    return int(numbers[0]) in (0, 1) or _is_called_index(name)


def _is_called_index(name: str) -> bool:
    return _NAMES.fullmatch(name) is not None or _CAMEL.fullmatch(name) is not None


def _whole_numbers(values: pd.Series[Any]) -> Array | None:
    if not pd.api.types.is_integer_dtype(values) or values.hasnans:
        return None
    return values.to_numpy(np.int64) if values.dtype.kind == "i" else values.to_numpy(np.float64)


def leaking_identifiers(table: pd.DataFrame, codes: Array) -> list[str]:
    """Find identifiers by which sorted rows are sorted by class.

    Parameters
    ----------
    table : DataFrame
    codes : int array of shape (rows,)
        The class of each row.
    """
    frequencies = np.bincount(codes) / len(codes)
    by_chance = (len(codes) - 1) * (1 - np.square(frequencies).sum())
    identifiers = []
    for name, values in table.items():
        numbers = _whole_numbers(values)
        if numbers is None or not _is_identifier(numbers):
            continue
        changes = int((np.diff(codes[np.argsort(numbers, kind="stable")]) != 0).sum())
        if changes <= max(len(frequencies) - 1, _FEW_CHANGES * by_chance):
            identifiers.append(str(name))
    return identifiers


def _is_identifier(numbers: Array) -> bool:
    """Whether numbers all differ and lie close together, as numbers that count rows."""
    return bool(np.ptp(numbers) < 2 * len(numbers)) and len(np.unique(numbers)) == len(numbers)
