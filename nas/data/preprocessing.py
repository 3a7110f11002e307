"""Learning how each column of a table is encoded: from training rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from nas.data.columns import Reading, check_finite, convert, read_column
from nas.data.numbers import CELLS, Fit, fit_numbers
from nas.errors import DataError
from nas.network.arrays import Array, Floats
from nas.runtime import PARTS, Column, Preprocessor, as_numbers, cell_key

MAX_CATEGORIES = 32
"""Inputs that a column of categories may take; more categories are told by the targets of their rows."""

_MOST_MEANS = 200_000
"""Numbers that are kept of a column's categories; the rarest of still more have what all others have."""

_MEAN_FOLDS = 5
"""Parts of the training rows, each of which is told the means of the others."""

_MANY_TEXTS = 100


class Rows(Mapping[str, Any]):
    """Some rows of a table: columns are copied when they are asked for, and not held longer than needed.

    Of a table of gigabytes, all columns of some rows at once would be gigabytes more. Columns of NumPy's
    numbers come as float64 arrays, a block of them at a time; others as series.
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
            self._block = number, self._taken(columns)
        return self._block[1][place]

    @property
    def numeric(self) -> Collection[str]:
        """The columns of NumPy's numbers."""
        return self._places.keys()

    def numbers_of(self, names: Sequence[str]) -> Array:
        """Some of the `numeric` columns as float64, of shape (columns, rows)."""
        return self._taken([self._plain[self._places[name]] for name in names])

    def _taken(self, columns: list[int]) -> Array:
        """The rows of some columns, of shape (columns, rows)."""
        if len(columns) == 1:
            return self._table.iloc[:, columns[0]].to_numpy(np.float64)[self._rows][np.newaxis]
        return np.ascontiguousarray(self._table.iloc[:, columns].to_numpy(np.float64)[self._rows].T)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.columns)

    def __len__(self) -> int:
        return self._table.shape[1]


Table = pd.DataFrame | Rows


def fit_preprocessor(
    table: Table,
    categorical: Collection[str] = (),
    targets: Floats | None = None,
    scaling: str = "standard",
    readings: Mapping[str, Reading] | None = None,
) -> Preprocessor:
    """The encoding of a table: numbers, parts of dates, categories or means of targets, indicators for gaps.

    Parameters
    ----------
    table : DataFrame or Rows, of shape (rows, columns)
        The training rows.
    categorical : names
        Columns of categories whatever they look like.
    targets : array of shape (rows, targets), optional
        What the network is to predict of each row. Where there are more than `MAX_CATEGORIES`, and no more
        targets than that, a category is told by its rows' mean of each target, drawn towards the mean of
        all rows the more the fewer they are (Micci-Barreca 2001; scikit-learn's `TargetEncoder`). Without,
        the rarest categories share one input.
    scaling : str
        One of `nas.genome.SCALINGS`.
    readings : mapping, optional
        What the cells of each column mean, where `settle_kinds` has decided it by more rows than these.

    Raises
    ------
    DataError
        If no column is left to learn from, or one is not what `settle_kinds` makes of it.
    """
    return fit_preprocessors(table, categorical, targets, (scaling,), readings)[scaling]


def fit_preprocessors(
    table: Table,
    categorical: Collection[str] = (),
    targets: Floats | None = None,
    scalings: Sequence[str] = ("standard",),
    readings: Mapping[str, Reading] | None = None,
) -> dict[str, Preprocessor]:
    """The encodings of a table for several scalings, by their names; see `fit_preprocessor`."""
    fits: list[Fit] = []
    numeric: dict[int, Reading] = {}
    waiting: list[tuple[int, str, Floats]] = []

    def fit_waiting() -> None:
        if waiting:
            places, names, numbers = zip(*waiting, strict=True)
            found = fit_numbers(names, np.stack(numbers), by_rank="quantile" in scalings)
            for i, fit in zip(places, found, strict=True):
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
            fits.append(_as_read(_fit_other(reading, values, name in categorical, targets), reading))
    fit_waiting()
    if all(fit.standard.kind == "dropped" for fit in fits):
        raise DataError(
            f"table: expected at least one column that varies, got {len(fits)} columns "
            "that are constant or empty in the training rows"
        )
    return {name: _preprocessor(fits, name) for name in scalings}


_NOTHING = Fit(Column("", "dropped"), Column("", "dropped"))


def _preprocessor(fits: Sequence[Fit], scaling: str) -> Preprocessor:
    if scaling != "quantile":
        return Preprocessor(fit.standard for fit in fits)
    curves = {i: fit.curve for i, fit in enumerate(fits) if fit.curve is not None}
    return Preprocessor((fit.quantile for fit in fits), curves)


def encode_training_rows(preprocessor: Preprocessor, table: Table, targets: Floats) -> Floats:
    """The rows that a preprocessor was fitted on, as inputs; see `Preprocessor.encode`.

    Means of targets are those of the other rows, part by part: a row that is told its own target by a mean
    of few would teach the network to trust such means.
    """
    X = preprocessor.encode(table)
    start = 0
    for column in preprocessor.columns:
        if column.means:
            _, told = _standardized(*_told(column, table[column.name], targets))
            X[:, start : start + column.n_inputs] = told
        start += column.n_inputs
    return X


def settle_kinds(
    table: pd.DataFrame,
    categorical: Collection[str] = (),
    gaps: Sequence[str] = (),
    decimal: str = ".",
) -> tuple[pd.DataFrame, dict[str, Reading]]:
    """The table with each column's kind decided, by all of its rows, and written into its type.

    Numbers and dates that came as text become floats and datetime64, categories become pandas' own;
    whichever rows are taken from the table later are then of the same kind.

    Parameters
    ----------
    table : DataFrame
    categorical : names
        Columns that hold categories, whatever they look like.
    gaps : sequence of str
        Texts, and numbers as text, that stand for nothing.
    decimal : str
        The decimal separator where the cells of a column do not tell.

    Returns
    -------
    table : DataFrame
    readings : dict
        What the cells of each column mean.

    Raises
    ------
    DataError
        On infinite numbers, numbers mixed with text, or a category column that is not there.
    """
    for name in categorical:
        if name not in table.columns:
            raise DataError(
                f"--categorical {name}: expected one of the columns {', '.join(map(repr, table.columns))}"
            )
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


def _fit_other(reading: Reading, values: Any, declared: bool, targets: Floats | None) -> Fit:
    """The encoding of a column of categories or dates, whatever the scaling of numbers."""
    column = (
        _fit_categories(values, declared, targets)
        if reading.kind == "category"
        else _fit_dates(values, reading)
    )
    return Fit(column, column)


def _as_read(fit: Fit, reading: Reading) -> Fit:
    """An encoding that says how the cells are written, where there is something to say."""
    if fit.standard.kind == "dropped" or not (reading.is_text or reading.form or reading.gaps):
        return fit
    read = {"decimal": reading.decimal, "unit": reading.unit, "form": reading.form, "gaps": reading.gaps}
    return fit._replace(
        standard=replace(fit.standard, **read),  # type: ignore[arg-type] # texts, and a tuple of them
        quantile=replace(fit.quantile, **read),  # type: ignore[arg-type]
    )


def _fit_dates(values: pd.Series, reading: Reading) -> Column:
    """The parts of dates that vary, standardized."""
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
    if not parts:  # it varies only in its gaps
        parts, scales = ["days"], [(float(seconds[~absent][0]) / 86400, 1.0)]
    return Column(name, "numeric", indicator=bool(absent.any()), parts=tuple(parts), scales=tuple(scales))


def _fit_categories(values: pd.Series, declared: bool, targets: Floats | None) -> Column:
    name = str(values.name)
    counts = Counter(cell_key(value) for value in values)
    gaps = counts.pop(None, 0) > 0
    if len(counts) + gaps < 2:
        return Column(name, "dropped")
    n_present = sum(counts.values())
    if not declared and len(counts) > max(_MANY_TEXTS, n_present / 2):
        return Column(name, "dropped")  # an identifier, or free text
    # The most frequent first; among equally frequent ones the alphabet decides, not the row order.
    ranked = sorted(counts, key=lambda key: (-counts[key], str(key)))
    many = len(ranked) > MAX_CATEGORIES
    if many and targets is not None and targets.shape[1] <= MAX_CATEGORIES:
        kept = tuple(sorted(map(str, ranked[: _MOST_MEANS // targets.shape[1]])))
        column = Column(name, "category", categories=kept, missing=gaps, other=True)
        means, _ = _standardized(*_told(column, values, targets))
        return replace(column, means=tuple(map(tuple, means.tolist())))
    kept = tuple(sorted(str(key) for key in ranked[:MAX_CATEGORIES]))
    return Column(name, "category", categories=kept, missing=gaps, other=many)


def _told(column: Column, values: pd.Series, targets: Floats) -> tuple[Floats, Floats]:
    """For each place of a column, and for each training row, what is known of the mean of each target."""
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import TargetEncoder

    places = column.places(values).reshape(-1, 1)
    means = np.empty((column.n_places, targets.shape[1]))
    told = np.empty(targets.shape)
    # The same parts for each target, and whenever the same rows come.
    parts = list(KFold(_MEAN_FOLDS, shuffle=True, random_state=0).split(places))
    for i, target in enumerate(targets.astype(np.float64).T):
        encoder = TargetEncoder(target_type="continuous")
        for others, part in parts:
            told[part, i] = encoder.fit(places[others], target[others]).transform(places[part])[:, 0]
        means[:, i] = encoder.fit(places, target).transform(np.arange(len(means)).reshape(-1, 1))[:, 0]
    return means, told


def _standardized(means: Floats, told: Floats) -> tuple[Floats, Floats]:
    """Both in standard deviations of what the rows are told."""
    middle, spread = told.mean(axis=0), told.std(axis=0)
    spread[spread == 0] = 1.0
    return (means - middle) / spread, (told - middle) / spread
