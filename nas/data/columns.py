"""The meaning of a column's cells: numbers, dates or categories, and how numbers and dates are written.

This module decides it, by all rows of a table. The decision is saved with the network, and
`nas.runtime.Column` reads the cells of later tables in the same way. `nas.data.number_texts` and
`nas.data.date_texts` decide it for columns of text.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from nas.data.date_texts import read_dates
from nas.data.number_texts import read_numbers
from nas.data.reading import Reading, TextColumn, row_name
from nas.errors import DataError
from nas.runtime import TableError, cell_key, is_gap, is_missing, written_number

LARGEST_NUMBER = 1e100
"""The largest size of a number: the square of it, which a standard deviation needs, is finite."""

_SAMPLE = 200
"""Different texts by which a column is taken for numbers or dates, before all of them are parsed."""


def read_column(
    values: pd.Series[Any],
    *,
    categorical: bool = False,
    gaps: Sequence[str] = (),
    decimal: str = ".",
    way_out: str = "mend it, or name the column in --categorical if it holds categories",
) -> Reading:
    """Decide what the cells of a column mean.

    Parameters
    ----------
    values : Series of shape (rows,)
    categorical : bool
        Whether the cells were declared to be categories.
    gaps : sequence of str
        Texts that are missing values.
    decimal : str
        The decimal separator where the cells do not show it, as in 1,234.
    way_out : str
        What the user can do where no decision is possible; ends a message.

    Raises
    ------
    DataError
        On complex numbers, and on the first cell that is neither among many numbers or dates.
    """
    gaps = tuple(gaps)
    if categorical:
        return Reading("category", gaps=gaps)
    by_dtype = _by_dtype(values, gaps)
    if by_dtype is not None:
        return by_dtype
    cells = values.astype(object)
    present = cells[
        [not (is_missing(cell) or (isinstance(cell, str) and _is_empty(cell, gaps))) for cell in cells]
    ]
    counts = Counter(map(_hashable, present))
    if not counts:
        return Reading("numeric", gaps=gaps)
    name = str(values.name)
    by_types = _by_cell_types(counts, name, gaps)
    if by_types is not None:
        return by_types
    texts = Counter(dict.fromkeys(map(str, counts), 0))
    for cell, count in counts.items():
        texts[str(cell)] += count
    return _read_texts(TextColumn(texts, present, name, gaps, decimal, way_out))


def convert(values: pd.Series[Any], reading: Reading) -> pd.Series[Any]:
    """The cells as their reading says: floats, categories, or datetime64 (times of day on 1970-01-01).

    Raises
    ------
    DataError
        On a cell that is no number or date, and on numbers above `LARGEST_NUMBER`; the row is named.
    """
    name = str(values.name)
    column = reading.column(name)
    if reading.kind == "category":
        if isinstance(values.dtype, pd.CategoricalDtype) and not reading.gaps:
            keys = [cell_key(category) for category in values.cat.categories]
            if keys == list(values.cat.categories):
                return values
        keys_by_text: dict[Any, str | None] = {}
        keys = [_key_of(keys_by_text, cell, reading.gaps) for cell in values.astype(object)]
        return pd.Series(keys, values.index, dtype=object, name=values.name).astype("category")
    try:
        if reading.kind == "date":
            seconds = column.numbers(_plain(values))
            micros = np.where(np.isnan(seconds), 0, np.round(seconds * 1e6)).astype("M8[us]")
            micros[np.isnan(seconds)] = np.datetime64("NaT")
            return pd.Series(micros, values.index, name=values.name)
        numbers = pd.Series(column.numbers(_plain(values)), values.index, name=values.name)
    except TableError as error:
        raise DataError(str(error)) from None
    check_finite(numbers)
    return numbers


def check_finite(values: pd.Series[Any]) -> None:
    """Raise `DataError` on the first number above `LARGEST_NUMBER` in size, infinity included."""
    too_large = np.abs(values.to_numpy(np.float64, na_value=np.nan)) > LARGEST_NUMBER
    if too_large.any():
        row = int(np.flatnonzero(too_large)[0])
        raise DataError(
            f"column {str(values.name)!r}: expected finite numbers of at most {LARGEST_NUMBER:g} in size, "
            f"got {values.iloc[row]:g} in {row_name(values.index[row])}"
        )


def _plain(values: pd.Series[Any]) -> Any:
    """The cells as `nas.runtime` accepts them: Arrow types that NumPy does not have become objects."""
    return values.astype(object) if _is_arrow(values) and values.dtype.kind not in "iuf" else values


def _is_arrow(values: pd.Series[Any]) -> bool:
    return isinstance(values.dtype, pd.ArrowDtype)


def _key_of(keys_by_text: dict[Any, str | None], cell: Any, gaps: Collection[str]) -> str | None:
    if not isinstance(cell, str):
        return cell_key(cell, gaps)
    if cell not in keys_by_text:
        keys_by_text[cell] = cell_key(cell, gaps)
    return keys_by_text[cell]


def _is_empty(text: str, gaps: Collection[str]) -> bool:
    text = text.strip()
    return text == "" or text in gaps


def _hashable(cell: Any) -> Hashable:
    return cell if isinstance(cell, Hashable) else str(cell)


def _by_dtype(values: pd.Series[Any], gaps: tuple[str, ...]) -> Reading | None:
    """The reading that follows from the column's dtype; None for columns of objects or text."""
    dtype = values.dtype
    if pd.api.types.is_complex_dtype(values):
        raise DataError(f"column {str(values.name)!r}: expected real numbers, got complex ones")
    if isinstance(dtype, pd.CategoricalDtype):
        return Reading("numeric" if values.isna().all() else "category", gaps=gaps)
    if isinstance(dtype, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(values):
        return Reading("date", gaps=gaps, note="dates")
    if pd.api.types.is_timedelta64_dtype(values):
        return Reading("numeric", form="duration", gaps=gaps, note="durations, in seconds")
    return Reading("numeric", gaps=gaps) if pd.api.types.is_numeric_dtype(values) else None


def _by_cell_types(counts: Counter[Hashable], name: str, gaps: tuple[str, ...]) -> Reading | None:
    """The reading that follows from the Python types of cells; None where some are text."""
    kinds = {_type_of(cell) for cell in counts}
    if "complex" in kinds:
        raise DataError(f"column {name!r}: expected real numbers, got complex ones")
    if kinds == {"date"}:
        return Reading("date", gaps=gaps, note="dates")
    if kinds == {"clock"}:
        return Reading("date", form="clock", gaps=gaps, note="times of day")
    if kinds == {"duration"}:
        return Reading("numeric", form="duration", gaps=gaps, note="durations, in seconds")
    if kinds == {"number"}:
        return Reading("numeric", gaps=gaps)
    mixed = kinds & {"date", "clock", "duration"}
    if mixed and len(kinds) > 1:
        raise DataError(
            f"column {name!r}: expected cells of one type, got {' and '.join(sorted(kinds))} in one column"
        )
    return None if kinds <= {"text", "number"} else Reading("category", gaps=gaps)


def _type_of(cell: Any) -> str:
    kinds: tuple[tuple[Any, str], ...] = (
        (str, "text"),
        ((bool, np.bool_), "label"),
        ((complex, np.complexfloating), "complex"),
        (Number, "number"),
        ((dt.date, pd.Period, np.datetime64), "date"),
        (dt.time, "clock"),
        ((dt.timedelta, np.timedelta64), "duration"),
    )
    return next((kind for types, kind in kinds if isinstance(cell, types)), "label")


def _read_texts(column: TextColumn) -> Reading:
    """Numbers, dates or categories; raises `DataError` on a few other texts among many numbers or dates."""
    texts = list(column.counts)
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    reading = None
    if sum(written_number(text) is not None or is_gap(text) for text in sample) >= len(sample) / 2:
        reading = read_numbers(column)
    reading = reading or read_dates(column, sample)
    return reading or Reading("category", gaps=column.gaps, is_text=True)
