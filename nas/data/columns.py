"""What the cells of a column mean: numbers, dates or categories, and how numbers and dates are written.

The one place that decides it, by all rows of a table, and says what it decided. What is decided is saved
with the network, whose `nas.runtime.Column` reads the cells of later tables alike.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from numbers import Number
from typing import Any, Literal

import numpy as np
import pandas as pd

from nas.errors import DataError
from nas.runtime import (
    Column,
    TableError,
    Written,
    cell_key,
    is_currency,
    is_gap,
    is_missing,
    seconds_in,
    unit_key,
    written_number,
)

Kind = Literal["numeric", "date", "category"]

LARGEST_NUMBER = 1e100
"""Numbers may be this large: the square of one, which a standard deviation needs, is finite."""

_MANY_NUMBERS = 10
"""Different numbers above which a few texts among them are mistakes rather than categories."""

_MOST_UNITS = 5
"""Units above which text with a number in it is no number: addresses, titles."""

_SAMPLE = 200
"""Different texts that are looked at before all of a column are."""

_DATES = 20
"""Different texts by which the forms are chosen that all of a column are held against."""

_LONGEST_DATE = 40

_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d. %B %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%a, %d %b %Y", "%a %b %d %Y"),
)
_MONTHS = ("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %y", "%m/%Y", "%m.%Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", " %H:%M:%S %z")
_FORMS = (
    "iso",
    "quarter",
    "clock",
    "duration",
    *(day + time for day, time in product(_DAYS, _TIMES)),
    *_MONTHS,
    "%a %b %d %H:%M:%S %Y",
)
"""How dates are written, the first that fits all cells of a column."""


@dataclass(frozen=True)
class Reading:
    """What the cells of a column mean.

    Attributes
    ----------
    kind : str
        "numeric", "date" or "category".
    decimal, unit, form : str
        How numbers and dates are written as text; see `nas.runtime.Column`.
    gaps : tuple of str
        Texts that were declared to stand for nothing.
    note : str
        What a person may want to know of the decision; empty where there was none to make.
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
        """A column that reads cells so, of which nothing else is known."""
        kind, dates = ("numeric", True) if self.kind == "date" else (self.kind, False)
        reads = {"decimal": self.decimal, "unit": self.unit, "form": self.form, "gaps": self.gaps}
        column = Column(name, kind, **reads)  # type: ignore[arg-type] # texts, and a tuple of them
        return replace(column, parts=("days",), scales=((0.0, 1.0),)) if dates else column


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
        Texts that stand for nothing.
    decimal : str
        The decimal separator where the cells do not tell, as in 1,234.
    way_out : str
        What a person can do where it cannot be decided.

    Raises
    ------
    DataError
        On complex numbers, and on numbers or dates among which some cells are none, which it names.
    """
    gaps = tuple(gaps)
    if categorical:
        return Reading("category", gaps=gaps)
    typed = _by_type(values, gaps)
    if typed is not None:
        return typed
    cells = values.astype(object)
    present = cells[
        [not (is_missing(cell) or (isinstance(cell, str) and _is_empty(cell, gaps))) for cell in cells]
    ]
    counts = Counter(map(_hashable, present))
    if not counts:
        return Reading("numeric", gaps=gaps)
    of_cells = _by_cells(counts, str(values.name), gaps)
    if of_cells is not None:
        return of_cells
    return _Texts(counts, present, str(values.name), gaps, decimal, way_out).reading()


def convert(values: pd.Series[Any], reading: Reading) -> pd.Series[Any]:
    """The cells as they were read: floats, categories, or datetime64 (times of day as of 1970-01-01).

    Raises
    ------
    DataError
        On a cell that is none, and on numbers that are too large; the row is named.
    """
    name = str(values.name)
    column = reading.column(name)
    if reading.kind == "category":
        if isinstance(values.dtype, pd.CategoricalDtype) and not reading.gaps:
            keys = [cell_key(category) for category in values.cat.categories]
            if keys == list(values.cat.categories):
                return values
        known: dict[Any, str | None] = {}
        keys = [_remembered(known, cell, reading.gaps) for cell in values.astype(object)]
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
    """Raise `DataError` naming the first row of numbers that holds infinity or nearly that."""
    too_large = np.abs(values.to_numpy(np.float64, na_value=np.nan)) > LARGEST_NUMBER
    if too_large.any():
        row = int(np.flatnonzero(too_large)[0])
        raise DataError(
            f"column {str(values.name)!r}: expected finite numbers of at most {LARGEST_NUMBER:g} in size, "
            f"got {values.iloc[row]:g} in {row_name(values.index[row])}"
        )


def row_name(position: Hashable) -> str:
    """A row as a person counts it, where the index is a plain number."""
    return f"row {int(position) + 1}" if isinstance(position, (int, np.integer)) else f"row {position!r}"


def _plain(values: pd.Series[Any]) -> Any:
    """The cells as `nas.runtime` takes them: of an Arrow type that NumPy does not have, as objects."""
    return values.astype(object) if _is_arrow(values) and values.dtype.kind not in "iuf" else values


def _is_arrow(values: pd.Series[Any]) -> bool:
    return isinstance(values.dtype, pd.ArrowDtype)


def _remembered(known: dict[Any, str | None], cell: Any, gaps: Collection[str]) -> str | None:
    if not isinstance(cell, str):
        return cell_key(cell, gaps)
    if cell not in known:
        known[cell] = cell_key(cell, gaps)
    return known[cell]


def _is_empty(text: str, gaps: Collection[str]) -> bool:
    text = text.strip()
    return text == "" or text in gaps


def _hashable(cell: Any) -> Hashable:
    return cell if isinstance(cell, Hashable) else str(cell)


def _by_type(values: pd.Series[Any], gaps: tuple[str, ...]) -> Reading | None:
    """What the column's type says; None where the cells have to be looked at."""
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


def _by_cells(counts: Counter[Hashable], name: str, gaps: tuple[str, ...]) -> Reading | None:
    """What cells say that are all of one type, other than text; None where some are text."""
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


class _Texts:
    """A column of text, perhaps with numbers among it.

    Parameters
    ----------
    counts : Counter
        How often each cell comes; no gaps.
    present : Series
        The cells themselves, for the row of one that has to be named.
    name, gaps, decimal, way_out
        See `read_column`.
    """

    def __init__(
        self,
        counts: Counter[Hashable],
        present: pd.Series[Any],
        name: str,
        gaps: tuple[str, ...],
        decimal: str,
        way_out: str,
    ) -> None:
        self.present, self.name, self.gaps, self.decimal, self.way_out = present, name, gaps, decimal, way_out
        self.counts = Counter({str(cell): 0 for cell in counts})
        for cell, count in counts.items():
            self.counts[str(cell)] += count
        self.n = sum(self.counts.values())

    def reading(self) -> Reading:
        """Numbers, dates or categories; raises `DataError` where some of many are neither."""
        texts = list(self.counts)
        sample = texts[:: max(1, len(texts) // _SAMPLE)]
        if sum(written_number(text) is not None or is_gap(text) for text in sample) >= len(sample) / 2:
            numbers = self._as_numbers()
            if numbers is not None:
                return numbers
        dates = self._as_dates(sample)
        return Reading("category", gaps=self.gaps, is_text=True) if dates is None else dates

    def _as_numbers(self) -> Reading | None:
        """The column as numbers; None if it holds others, or only one."""
        all_written = {text: written_number(text) for text in self.counts}
        written = {
            text: found for text, found in all_written.items() if found is not None and _is_some(found)
        }
        words = [text for text in self.counts if text not in written and is_gap(text)]
        odd = [text for text in self.counts if text not in written and not is_gap(text)]
        n_numbers = self._n(written)
        if not written or n_numbers <= (self.n - self._n(words)) / 2:
            return None
        decimal, contradicting = self._decimal(written)
        values = {text: found.value(decimal) for text, found in written.items()}
        n_different = len({value for value in values.values() if value is not None})
        units = self._units(written)
        odd += contradicting
        bounds = [text for text, found in written.items() if found.is_bound]
        if len(units) > _MOST_UNITS or n_different < 2 or self._n(bounds) > n_numbers / 2:
            return None
        if n_different > _MANY_NUMBERS:
            self._check_few_mistakes(odd, units, written)
        elif odd or len(units) > 1 or self._lack_unit(written, units):
            return None
        unit = next(iter(units.values()), "")
        notes = ["numbers"]
        notes += [f"in {unit!r}"] if unit else []
        notes += ["with a decimal comma"] if decimal == "," else []
        notes += [f"gaps written {', '.join(map(repr, sorted(words)[:3]))}"] if words else []
        notes += (
            [f"{self._n(bounds)} bounds such as {bounds[0]!r} read as the bound itself"] if bounds else []
        )
        return Reading(
            "numeric",
            decimal,
            unit,
            gaps=self.gaps,
            note=", ".join(notes) if len(notes) > 1 else "numbers written as text",
            is_text=True,
        )

    def _n(self, texts: Collection[str]) -> int:
        return sum(self.counts[text] for text in texts)

    def _decimal(self, written: dict[str, Written]) -> tuple[str, list[str]]:
        """The decimal separator, and the texts that are no numbers by it."""
        fits: dict[str, list[str]] = {".": [], ",": []}
        doubtful = []
        for text, found in written.items():
            point, comma = found.value("."), found.value(",")
            if point is None or comma is None:
                fits["." if comma is None else ","].append(text)
            elif point != comma:
                doubtful.append(text)
        by_point, by_comma = self._n(fits["."]), self._n(fits[","])
        if by_point != by_comma:
            decimal = "." if by_point > by_comma else ","
        elif doubtful and by_point == 0:
            decimal = self._by_groups(doubtful, written)
        else:
            decimal = "."
        return decimal, fits["," if decimal == "." else "."]

    def _by_groups(self, doubtful: Sequence[str], written: dict[str, Written]) -> str:
        """The decimal separator of numbers such as 1,234 or 1.234, which can be read in two ways.

        A table whose other columns have decimal commas has them here, too; a comma is otherwise one between
        thousands, unless thousands are also written without.
        """
        if self.decimal == "," or all("." in text for text in doubtful):
            return self.decimal
        plain = [found.value(".") for text, found in written.items() if "," not in text]
        return "," if any(value is not None and abs(value) >= 1000 for value in plain) else "."

    @staticmethod
    def _units(written: dict[str, Written]) -> dict[str, str]:
        """The units beside numbers, each as it is written first, by what it is alike."""
        units: dict[str, str] = {}
        for found in written.values():
            if found.unit:
                units.setdefault(unit_key(found.unit), found.unit)
        return units

    @staticmethod
    def _lack_unit(written: dict[str, Written], units: dict[str, str]) -> list[str]:
        """Numbers without the unit that others have, which is not known then, but for currencies and 0."""
        if not units or all(map(is_currency, units.values())):
            return []
        return [text for text, found in written.items() if not found.unit and found.value(".") != 0]

    def _check_few_mistakes(
        self, odd: Sequence[str], units: dict[str, str], written: dict[str, Written]
    ) -> None:
        """Raise `DataError` on the first cell that is no number, or has another unit than the others."""
        if odd:
            text = self._first(odd)
            raise DataError(
                f"column {self.name!r}: expected numbers, got {text!r} in {self._row(text)}; {self.way_out}"
            )
        lacking = self._lack_unit(written, units)
        if len(units) > 1 or lacking:
            having = [text for text, found in written.items() if found.unit]
            few = lacking if lacking and self._n(lacking) < self._n(having) else having
            text = self._first(few)
            got = [*map(repr, list(units.values())[:3]), *(["none"] if lacking else [])]
            raise DataError(
                f"column {self.name!r}: expected numbers in one unit, got the units {', '.join(got)}, such "
                f"as {text!r} in {self._row(text)}; {self.way_out}"
            )

    def _first(self, texts: Collection[str]) -> str:
        """Of some texts the one that comes first."""
        wanted = set(texts)
        return next(text for cell in self.present if (text := str(cell)) in wanted)

    def _row(self, text: str) -> str:
        place = next(i for i, cell in enumerate(self.present) if str(cell) == text)
        return row_name(self.present.index[place])

    def _as_dates(self, sample: Sequence[str]) -> Reading | None:
        """The column as dates; None if it holds others."""
        dates = [text for text in sample if not is_gap(text)]
        if sum(map(_may_be_date, dates)) <= len(dates) / 2:
            return None
        dates = dates[:: max(1, len(dates) // _DATES)]
        likely = [form for form in _FORMS if _share(dates, form) > 0.5]
        texts = [text for text in self.counts if not is_gap(text)]
        fitting = [form for form in likely if _share(texts, form) == 1]
        if not fitting:
            if likely and len(texts) > _MANY_NUMBERS and _share(texts, likely[0]) > 0.5:
                odd = self._first([text for text in texts if seconds_in(text, likely[0]) is None])
                raise DataError(
                    f"column {self.name!r}: expected dates, got {odd!r} in {self._row(odd)}; {self.way_out}"
                )
            return None
        form = fitting[0]
        moments = [seconds_in(text, form) for text in texts]
        if len(set(moments)) < 2:
            return None
        for other in fitting[1:]:
            if [seconds_in(text, other) for text in texts] != moments:
                raise DataError(
                    f"column {self.name!r}: expected dates of which day and month can be told apart, got "
                    f"{texts[0]!r} in {self._row(texts[0])}, which is {form} or {other}; "
                    f"write them as 2020-12-31, or {self.way_out}"
                )
        if form == "duration":
            return Reading("numeric", form=form, gaps=self.gaps, note="durations, in seconds", is_text=True)
        name = {"clock": "times of day", "iso": "dates", "quarter": "quarters"}.get(
            form, f"dates written {form}"
        )
        return Reading("date", form=form, gaps=self.gaps, note=name, is_text=True)


def _is_some(written: Written) -> bool:
    return written.value(".") is not None or written.value(",") is not None


def _may_be_date(text: str) -> bool:
    return len(text) <= _LONGEST_DATE and any(map(str.isdigit, text))


def _share(texts: Sequence[str], form: str) -> float:
    """How many of some texts have a form."""
    return sum(seconds_in(text, form) is not None for text in texts) / len(texts) if texts else 0.0
