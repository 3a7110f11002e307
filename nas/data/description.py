"""The description of a table, column by column: contents, and the network inputs they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nas.data.dataset import Dataset, load_dataset
from nas.data.preprocessing import fit_preprocessors
from nas.runtime import Column

_HEAD = ("column", "kind", "different", "gaps", "examples", "becomes")
_EXAMPLES = 3
"""Different values that are shown of a column."""

_LONGEST_EXAMPLE = 24
"""Characters of a value that are shown, so that a row fits a terminal."""


@dataclass(frozen=True)
class Description:
    """The table that `nas describe` prints.

    Attributes
    ----------
    summary : str
        The table in a line: rows, columns, target, and decisions made in reading it.
    columns : DataFrame of shape (columns, 6)
        Of each column the name, the kind, the number of different values and of gaps, examples, and
        the network inputs that it becomes.
    """

    summary: str
    columns: pd.DataFrame

    def __str__(self) -> str:
        """The summary and the columns as text."""
        return f"{self.summary}\n\n{self.columns.to_string(index=False)}"

    def to_dict(self) -> dict[str, Any]:
        """The summary and the columns as plain values."""
        return {"summary": self.summary, "columns": self.columns.to_dict("records")}


def describe(data: Any, **options: Any) -> Description:
    """Describe a table, and the encoding that a search would fit for each column.

    Parameters
    ----------
    data, options
        See `nas.load_dataset`.

    Raises
    ------
    DataError
        As `nas.load_dataset`.
    """
    dataset = load_dataset(data, **options)
    (fitted,) = fit_preprocessors(
        dataset.table, dataset.categorical, _targets(dataset), readings=dataset.readings
    ).values()
    rows = [_row(dataset, column) for column in fitted.columns]
    rows += [
        {
            "column": name,
            "kind": "left out",
            "different": "",
            "gaps": "",
            "examples": "",
            "becomes": "nothing",
        }
        for name in dataset.ignored
    ]
    return Description(dataset.summary(), pd.DataFrame(rows))


def _targets(dataset: Dataset) -> np.ndarray[Any, Any]:
    return np.eye(len(dataset.classes))[dataset.y] if dataset.y.ndim == 1 else dataset.y


def _row(dataset: Dataset, column: Column) -> dict[str, Any]:
    values = dataset.table[column.name]
    reading = dataset.readings[column.name]
    present = values.dropna()
    examples = [str(value)[:_LONGEST_EXAMPLE] for value in present.drop_duplicates().head(_EXAMPLES)]
    names = {"numeric": "numbers", "date": "dates", "category": "categories"}
    return {
        "column": column.name,
        "kind": reading.note or names[reading.kind],
        "different": int(present.nunique()),
        "gaps": int(values.isna().sum()),
        "examples": ", ".join(examples),
        "becomes": _becomes(column, int(present.nunique())),
    }


def _becomes(column: Column, n_different: int) -> str:
    """The network inputs of a column, in words."""
    inputs = f"{column.n_inputs} input{'s' * (column.n_inputs != 1)}"
    if column.kind == "dropped":
        return "nothing: it is constant" if n_different < 2 else "nothing: nearly every cell differs"
    if column.parts:
        return f"{inputs}: {', '.join(column.parts)}{', whether it is missing' * column.indicator}"
    if column.kind == "numeric":
        return f"{inputs}: standardized{', whether it is missing' * column.indicator}"
    if column.means:
        return f"{inputs}: means of the target by category"
    further_inputs = ", one for gaps" * column.missing + ", one for others" * column.other
    return f"{inputs}: one for each category{further_inputs}"
