"""The meaning of a column's cells once it is decided, and a column of text while it is being decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from nas.runtime import Column

Kind = Literal["numeric", "date", "category"]

MANY_VALUES = 10
"""Different values above which a few other texts among them are mistakes rather than categories."""


@dataclass(frozen=True)
class Reading:
    """The meaning of a column's cells.

    Attributes
    ----------
    kind : str
        "numeric", "date" or "category".
    decimal, unit, form : str
        How numbers and dates are written as text; see `nas.runtime.Column`.
    gaps : tuple of str
        Texts that were declared to be missing values.
    note : str
        The decision in a few words; empty where there was no choice.
    is_text : bool
        Whether the cells are text.
    """

    kind: Kind
    decimal: str = "."
    unit: str = ""
    form: str = ""
    gaps: tuple[str, ...] = ()
    note: str = ""
    is_text: bool = False

    def column(self, name: str) -> Column:
        """A column that reads cells in this way, before its encoding is fitted."""
        if self.kind == "date":
            return self.described(Column(name, "numeric", parts=("days",), scales=((0.0, 1.0),)))
        return self.described(Column(name, self.kind))

    def described(self, column: Column) -> Column:
        """The column, completed by how its cells are written."""
        return replace(column, decimal=self.decimal, unit=self.unit, form=self.form, gaps=self.gaps)


def row_name(position: Hashable) -> str:
    """A row for a message: counted from 1, where the index is a plain number."""
    return f"row {int(position) + 1}" if isinstance(position, (int, np.integer)) else f"row {position!r}"


@dataclass(frozen=True, eq=False)
class TextColumn:
    """The cells of a column of text, perhaps with numbers among them.

    Attributes
    ----------
    counts : Counter
        How often each text occurs, in the order of the first occurrence; no gaps.
    cells : Series
        All cells that are no gaps, by which messages name a row.
    name : str
    gaps : tuple of str
        Texts that were declared to be missing values.
    decimal : str
        The decimal separator where the cells do not show it, as in 1,234.
    way_out : str
        What the user can do where no decision is possible; ends a message.
    """

    counts: Counter[str]
    cells: pd.Series[Any]
    name: str
    gaps: tuple[str, ...]
    decimal: str
    way_out: str

    @property
    def n_cells(self) -> int:
        """The number of cells that are no gaps."""
        return self.counts.total()

    def n_cells_with(self, texts: Collection[str]) -> int:
        """How many cells hold a text among `texts`."""
        return sum(self.counts[text] for text in texts)

    def first(self, texts: Collection[str]) -> str:
        """The text among `texts` that comes first in the column."""
        candidates = set(texts)
        return next(text for text in self.counts if text in candidates)

    def row(self, text: str) -> str:
        """The name of the first row that holds a text."""
        place = next(i for i, cell in enumerate(self.cells) if str(cell) == text)
        return row_name(self.cells.index[place])
