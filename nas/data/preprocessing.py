"""Fitting the encoding of each column of a table, on training rows only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from nas.data.columns import check_finite, convert, read_column
from nas.data.numbers import CELLS, Fit, fit_numbers
from nas.data.one_hot import scaled_places
from nas.data.reading import Reading
from nas.errors import DataError
from nas.genome import STANDARD_ENCODING, Encoding
from nas.network.arrays import Array, Floats
from nas.runtime import PARTS, Column, Preprocessor, as_numbers, cell_key

MAX_CATEGORIES = 32
"""Inputs of a one-hot encoded column; columns with more categories are target-encoded."""

_MOST_MEANS = 200_000
"""Target means that are stored for a column; the rarest of further categories share a place."""

_MEAN_FOLDS = 5
"""Folds of cross-fitting, as in scikit-learn's `TargetEncoder`: each is encoded by means of the others."""

_MANY_TEXTS = 100
"""Different texts above which, if they are more than half of the cells, a column is dropped: free text."""


class Rows(Mapping[str, Any]):
    """A lazy selection of rows: a mapping from names to columns, copied on access.

    Rows of all columns at once would double the memory of a large table. Columns of NumPy's numbers are
    float64 arrays, copied in blocks; other columns are series.

    Parameters
    ----------
    table : DataFrame
    rows : int array of shape (rows,)
        Positions in the table.
    """

    def __init__(self, table: pd.DataFrame, rows: Array) -> None:
        self._table, self._rows = table, rows
        plain = [
            i for i, dtype in enumerate(table.dtypes) if isinstance(dtype, np.dtype) and dtype.kind in "biuf"
        ]
        names = list(map(str, table.columns))
        self._places = {names[i]: n for n, i in enumerate(plain)}
        self._plain = plain
        # pandas takes many columns in little more time than a single one.
        self._size = max(1, CELLS // max(1, len(table)))
        self._block: tuple[int, Array] = (-1, np.empty((0, 0)))

    def __getitem__(self, name: str) -> Any:
        if name not in self._places:
            return self._table[name].iloc[self._rows]
        number, place = divmod(self._places[name], self._size)
        if self._block[0] != number:
            columns = self._plain[number * self._size : (number + 1) * self._size]
            self._block = number, self._columns_at(columns)
        return self._block[1][place]

    @property
    def numeric(self) -> Collection[str]:
        """The columns of NumPy's numbers."""
        return self._places.keys()

    def numbers_of(self, names: Sequence[str]) -> Array:
        """The `numeric` columns with these names as float64 of shape (columns, rows)."""
        return self._columns_at([self._plain[self._places[name]] for name in names])

    def _columns_at(self, columns: list[int]) -> Array:
        """The columns at these positions, of shape (columns, rows)."""
        if len(columns) == 1:
            return self._table.iloc[:, columns[0]].to_numpy(np.float64)[self._rows][np.newaxis]
        return np.ascontiguousarray(self._table.iloc[:, columns].to_numpy(np.float64)[self._rows].T)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.columns)

    def __len__(self) -> int:
        return self._table.shape[1]


Table = pd.DataFrame | Rows


def fit_preprocessors(
    table: Table,
    categorical: Collection[str] = (),
    targets: Floats | None = None,
    encodings: Sequence[Encoding] = (STANDARD_ENCODING,),
    readings: Mapping[str, Reading] | None = None,
) -> dict[Encoding, Preprocessor]:
    """Fit the encodings of a table: numbers, parts of dates, categories, target means, gap indicators.

    Columns of numbers are collected into blocks of `CELLS` numbers, which are fitted together.

    Parameters
    ----------
    table : DataFrame or Rows, of shape (rows, columns)
        The training rows.
    categorical : names
        Columns of categories, whatever their cells are.
    targets : array of shape (rows, targets), optional
        The outputs that the network is trained for. Columns with more than `MAX_CATEGORIES` categories
        are target-encoded by them: with the mean of each target over the category's rows, shrunk towards
        the mean of all rows (Micci-Barreca 2001; scikit-learn's `TargetEncoder`). Without targets, or with
        more than `MAX_CATEGORIES`, columns are one-hot encoded, and the rarest categories share an input.
    encodings : sequence of Encoding
        The ways in which genomes ask for numbers to become inputs.
    readings : mapping, optional
        The meaning of each column's cells, if `settle_kinds` has decided it on more rows.

    Raises
    ------
    DataError
        If all columns are constant or empty, or cells do not have the type that `settle_kinds` converts to.
    """
    fits: list[Fit] = []
    numeric: dict[int, Reading] = {}
    waiting: list[tuple[int, str, Floats]] = []

    def fit_waiting() -> None:
        if waiting:
            places, names, numbers = zip(*waiting, strict=True)
            fitted = fit_numbers(names, np.stack(numbers), encodings)
            for i, fit in zip(places, fitted, strict=True):
                fits[i] = _as_read(fit, numeric[i])
            waiting.clear()

    for i, name in enumerate(map(str, table)):
        values = table[name]
        if readings is None or name not in readings:
            reading = read_column(values, categorical=name in categorical)
            values = convert(values, reading)
        else:
            reading = readings[name]
        if reading.kind == "numeric":
            fits.append(_NOTHING)
            numeric[i] = reading
            waiting.append((i, name, as_numbers(values, name)))
            if len(waiting) * len(waiting[0][2]) >= CELLS:
                fit_waiting()
        else:
            fits.append(
                _as_read(_fit_other(reading, values, name in categorical, targets, encodings), reading)
            )
    fit_waiting()
    if all(fit.standard.kind == "dropped" for fit in fits):
        raise DataError(
            f"table: expected at least one column that varies, got {len(fits)} columns "
            "that are constant or empty in the training rows"
        )
    return {encoding: _preprocessor(fits, encoding) for encoding in encodings}


_NOTHING = Fit.alike(Column("", "dropped"))


def _preprocessor(fits: Sequence[Fit], encoding: Encoding) -> Preprocessor:
    curves = {}
    if encoding.scaling == "quantile":
        curves = {i: fit.curve for i, fit in enumerate(fits) if fit.curve is not None}
    return Preprocessor((fit.column(encoding) for fit in fits), curves)


def encode_training_rows(preprocessor: Preprocessor, table: Table, targets: Floats) -> Floats:
    """Encode the rows that a preprocessor was fitted on, with cross-fitted target means.

    Each fold of rows has the target means of the other folds: means that include a row's own target would
    leak it, and the network would rely on means of few rows too much. See `Preprocessor.encode` otherwise.
    """
    X = preprocessor.encode(table)
    start = 0
    for column in preprocessor.columns:
        if is_target_encoded(column):
            _, encoded = _standardized(*_target_means(column, table[column.name], targets))
            X[:, start : start + column.n_inputs] = encoded
        start += column.n_inputs
    return X


def with_target_means(preprocessor: Preprocessor, table: Table, targets: Floats) -> Preprocessor:
    """The same encoding with the target means of these rows: a fold must not see targets that judge it."""

    def refitted(column: Column) -> Column:
        if not is_target_encoded(column):
            return column
        means, _ = _standardized(*_target_means(column, table[column.name], targets))
        return replace(column, means=tuple(map(tuple, means.tolist())))

    return Preprocessor(map(refitted, preprocessor.columns))


def settle_kinds(
    table: pd.DataFrame,
    categorical: Collection[str] = (),
    gaps: Sequence[str] = (),
    decimal: str = ".",
) -> tuple[pd.DataFrame, dict[str, Reading]]:
    """Decide the kind of each column by all rows, and convert the column to the type of the kind.

    Numbers and dates written as text become floats and datetime64, categories become pandas' categories;
    any selection of rows of the table is then of the same kind.

    Parameters
    ----------
    table : DataFrame
    categorical : names
        Columns of categories, whatever their cells are.
    gaps : sequence of str
        Texts, and numbers as text, that are missing values.
    decimal : str
        The decimal separator where the cells of a column do not show it.

    Returns
    -------
    table : DataFrame
    readings : dict
        The meaning of each column's cells, by name.

    Raises
    ------
    DataError
        On infinite numbers, or numbers mixed with text.
    """
    readings, settled = {}, {}
    for key, values in table.items():
        name = str(key)
        readings[name] = reading = read_column(
            values, categorical=name in categorical, gaps=gaps, decimal=decimal
        )
        if reading.kind == "numeric" and _is_plain(values) and not gaps:
            check_finite(values)
        else:
            settled[name] = convert(values, reading)
    return (table.assign(**settled) if settled else table), readings


def _is_plain(values: pd.Series) -> bool:
    """Whether a column holds NumPy's own numbers."""
    return isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf"


def _fit_other(
    reading: Reading,
    values: Any,
    declared: bool,
    targets: Floats | None,
    encodings: Collection[Encoding],
) -> Fit:
    """The encodings of a column of categories or dates, which do not depend on those of numbers."""
    if reading.kind != "category":
        return Fit.alike(_fit_dates(values, reading))
    column = _fit_categories(values, declared, targets)
    is_scaled = any(encoding.scaling == "robust_all" for encoding in encodings)
    if not is_scaled or column.kind == "dropped" or column.means:
        return Fit.alike(column)
    return Fit.alike(column, scaled_places(column, values))


def is_target_encoded(column: Column) -> bool:
    """Whether the inputs of a column are target means, and not scaled one-hot columns, of its places.

    One-hot columns have at most `MAX_CATEGORIES` categories, columns of target means always more.
    """
    return bool(column.means) and len(column.categories) > MAX_CATEGORIES


def _as_read(fit: Fit, reading: Reading) -> Fit:
    """The encoding completed by how cells are written, if that is not the default."""
    if fit.standard.kind == "dropped" or not (reading.is_text or reading.form or reading.gaps):
        return fit
    return fit._replace(
        standard=reading.described(fit.standard),
        quantile=reading.described(fit.quantile),
        robust=reading.described(fit.robust),
        one_hot=fit.one_hot and reading.described(fit.one_hot),
    )


def _fit_dates(values: pd.Series, reading: Reading) -> Column:
    """The encoding of dates by their parts that vary, standardized."""
    name = str(values.name)
    seconds = reading.column(name).numbers(values)
    absent = np.isnan(seconds)
    parts, scales = [], []
    for part, function in PARTS.items():
        numbers = function(seconds[~absent])
        if len(numbers) and np.ptp(numbers) > 0 and numbers.std() > 0:
            parts.append(part)
            scales.append((float(numbers.mean()), float(numbers.std())))
    if not parts and not 0 < absent.sum() < len(absent):
        return Column(name, "dropped")
    if not parts:  # the column varies only in its gaps
        parts, scales = ["days"], [(float(seconds[~absent][0]) / 86400, 1.0)]
    return Column(name, "numeric", indicator=bool(absent.any()), parts=tuple(parts), scales=tuple(scales))


def _fit_categories(values: pd.Series, declared: bool, targets: Floats | None) -> Column:
    """The encoding of categories: one-hot, or by target means where there are too many."""
    name = str(values.name)
    counts = Counter(cell_key(value) for value in values)
    gaps = counts.pop(None, 0) > 0
    if len(counts) + gaps < 2:
        return Column(name, "dropped")
    n_present = sum(counts.values())
    if not declared and len(counts) > max(_MANY_TEXTS, n_present / 2):
        return Column(name, "dropped")  # an identifier, or free text
    # The most frequent first; ties are in alphabetical order, so that the row order does not matter.
    ranked = sorted(counts, key=lambda key: (-counts[key], str(key)))
    exceeds = len(ranked) > MAX_CATEGORIES
    if exceeds and targets is not None and targets.shape[1] <= MAX_CATEGORIES:
        listed = tuple(sorted(map(str, ranked[: _MOST_MEANS // targets.shape[1]])))
        column = Column(name, "category", categories=listed, missing=gaps, other=True)
        means, _ = _standardized(*_target_means(column, values, targets))
        return replace(column, means=tuple(map(tuple, means.tolist())))
    listed = tuple(sorted(str(key) for key in ranked[:MAX_CATEGORIES]))
    return Column(name, "category", categories=listed, missing=gaps, other=exceeds)


def _target_means(column: Column, values: pd.Series, targets: Floats) -> tuple[Floats, Floats]:
    """The target means of a column.

    Returns
    -------
    means : array of shape (places, targets)
        Fitted on all rows; for tables to come.
    row_means : array of shape (rows, targets)
        Cross-fitted, each fold on the rows of the others; for the training rows.
    """
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import TargetEncoder

    places = column.places(values).reshape(-1, 1)
    means = np.empty((column.n_places, targets.shape[1]))
    row_means = np.empty(targets.shape)
    # A fixed seed: the same rows have the same folds, for each target and in each call.
    n = min(_MEAN_FOLDS, len(places))
    parts = (
        list(KFold(n, shuffle=True, random_state=0).split(places)) if n > 1 else [(places[:, 0] >= 0,) * 2]
    )
    for i, target in enumerate(targets.astype(np.float64).T):
        encoder = TargetEncoder(target_type="continuous")
        for rest, part in parts:
            row_means[part, i] = encoder.fit(places[rest], target[rest]).transform(places[part])[:, 0]
        means[:, i] = encoder.fit(places, target).transform(np.arange(len(means)).reshape(-1, 1))[:, 0]
    return means, row_means


def _standardized(means: Floats, row_means: Floats) -> tuple[Floats, Floats]:
    """Both arrays of `_target_means`, standardized by the means of the training rows."""
    mean, scale = row_means.mean(axis=0), row_means.std(axis=0)
    scale[scale == 0] = 1.0
    return (means - mean) / scale, (row_means - mean) / scale
