"""Learning how each column of a table is encoded: from training rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable
from typing import Any

import numpy as np
import pandas as pd

from nas.errors import DataError
from nas.runtime import Column, Preprocessor, as_numbers, category_key

MAX_CATEGORIES = 32
"""Inputs that a column of categories may take; the rarest categories share one input."""

LARGEST_NUMBER = 1e100
"""Numbers may be this large: the square of one, which a standard deviation needs, is finite."""

_MANY_TEXTS = 100
_MANY_NUMBERS = 10
_COMMAS = r"\s*[-+]?\d+(,\d+)+(\.\d+)?\s*"
"""Numbers with commas for decimal points or between thousands."""


def fit_preprocessor(table: pd.DataFrame, categorical: Collection[str] = ()) -> Preprocessor:
    """The encoding of a table: standardized numbers, one input a category, indicators for gaps.

    Parameters
    ----------
    table : DataFrame of shape (rows, columns)
        The training rows.
    categorical : names
        Columns of categories whatever they look like.

    Raises
    ------
    DataError
        If no column is left to learn from, or one is not what `settle_kinds` makes of it.
    """
    columns = [_fit_column(table[name], name in categorical) for name in table.columns]
    if all(column.kind == "dropped" for column in columns):
        raise DataError(
            f"table: expected at least one column that varies, got {len(columns)} columns "
            "that are constant or empty in the training rows"
        )
    return Preprocessor(columns)


def settle_kinds(table: pd.DataFrame, categorical: Collection[str] = ()) -> pd.DataFrame:
    """The table with each column's kind decided, by all of its rows, and written into its type.

    Numbers that came as text become floats, categories become pandas' own; whichever rows are taken
    from the table later are then of the same kind.

    Raises
    ------
    DataError
        On dates, infinite numbers, numbers mixed with text, or a category column that is not there.
    """
    for name in categorical:
        if name not in table.columns:
            raise DataError(
                f"--categorical {name}: expected one of the columns {', '.join(map(repr, table.columns))}"
            )
    settled: dict[str, pd.Series[Any]] = {}
    for name in table.columns:
        values = table[name]
        if name in categorical or not _is_numeric(values):
            settled[name] = values.map(category_key).astype("category")
        elif not pd.api.types.is_numeric_dtype(values):
            settled[name] = pd.Series(as_numbers(values, name), values.index)
    return table.assign(**settled) if settled else table


def _fit_column(values: pd.Series, categorical: bool) -> Column:
    if not categorical and _is_numeric(values):
        return _fit_numbers(values)
    return _fit_categories(values, categorical)


def _fit_numbers(values: pd.Series) -> Column:
    name = str(values.name)
    numbers = as_numbers(values, name)
    present = numbers[~np.isnan(numbers)]
    gaps = len(present) < len(numbers)
    if len(present) == 0 or (present.min() == present.max() and not gaps):
        return Column(name, "dropped")
    mean, scale = float(present.mean()), float(present.std())
    # Rounding gives a column of equal numbers a tiny spread; it varies only in its gaps.
    if present.min() == present.max() or not scale > 0:
        mean, scale = float(present[0]), 1.0
    return Column(name, "numeric", fill=mean, mean=mean, scale=scale, indicator=gaps)


def _fit_categories(values: pd.Series, declared: bool) -> Column:
    name = str(values.name)
    counts = Counter(category_key(value) for value in values)
    gaps = counts.pop(None, 0) > 0
    if len(counts) + gaps < 2:
        return Column(name, "dropped")
    n_present = sum(counts.values())
    if not declared and len(counts) > max(_MANY_TEXTS, n_present / 2):
        return Column(name, "dropped")  # an identifier, or free text
    # The most frequent first; among equally frequent ones the alphabet decides, not the row order.
    ranked = sorted(counts, key=lambda key: (-counts[key], str(key)))
    kept = tuple(sorted(str(key) for key in ranked[:MAX_CATEGORIES]))
    return Column(name, "category", categories=kept, missing=gaps, other=len(ranked) > MAX_CATEGORIES)


def _is_numeric(values: pd.Series) -> bool:
    """Whether a column holds numbers rather than categories; raises `DataError` on neither."""
    check_kind(values)
    if pd.api.types.is_numeric_dtype(values) and not isinstance(values.dtype, pd.CategoricalDtype):
        as_finite(values)
        return True
    if isinstance(values.dtype, pd.CategoricalDtype) or values.isna().all():
        return bool(values.isna().all())
    return _texts_are_numbers(values.dropna(), str(values.name))


def check_kind(values: pd.Series) -> None:
    """Raise `DataError` if a column holds dates or complex numbers."""
    name = str(values.name)
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        raise DataError(
            f"column {name!r}: expected numbers or categories, got dates; "
            "turn them into numbers (a year, a weekday, days since a day), or leave the column out"
        )
    if pd.api.types.is_complex_dtype(values):
        raise DataError(f"column {name!r}: expected real numbers, got complex ones")


def _texts_are_numbers(texts: pd.Series, name: str) -> bool:
    """Whether texts are all numbers; raises `DataError` where some of many numbers are not."""
    numbers = pd.to_numeric(texts.map(category_key), errors="coerce")
    odd = numbers.isna() & ~texts.astype(str).str.lower().isin(("", "nan"))
    if not odd.any():
        as_finite(numbers)
        return numbers.nunique() > 1
    with_commas = texts.astype(str).str.fullmatch(_COMMAS)
    if with_commas.mean() > 0.5 and texts.nunique() > _MANY_NUMBERS:
        position = texts.index[with_commas][0]
        raise DataError(
            f"column {name!r}: expected numbers with a decimal point, got {texts[position]!r} in "
            f"{_row(position)}; replace or remove the commas, or name the column in --categorical"
        )
    mostly_numbers = odd.mean() < 0.5 and numbers.nunique() > _MANY_NUMBERS
    if mostly_numbers:
        position = texts.index[odd][0]
        raise DataError(
            f"column {name!r}: expected numbers, got {texts[position]!r} in {_row(position)}; "
            f"mend it, or name the column in --categorical if it holds categories"
        )
    return False


def as_finite(values: pd.Series) -> None:
    """Raise `DataError` naming the first row of numbers that holds infinity or nearly that."""
    too_large = np.abs(values.to_numpy(np.float64, na_value=np.nan)) > LARGEST_NUMBER
    if too_large.any():
        row = int(np.flatnonzero(too_large)[0])
        raise DataError(
            f"column {str(values.name)!r}: expected finite numbers of at most {LARGEST_NUMBER:g} in size, "
            f"got {values.iloc[row]:g} in {_row(values.index[row])}"
        )


def _row(position: Hashable) -> str:
    """A row as a person counts it, where the index is a plain number."""
    return f"row {int(position) + 1}" if isinstance(position, (int, np.integer)) else f"row {position!r}"
