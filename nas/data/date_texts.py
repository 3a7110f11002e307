"""Columns of text that hold dates, times of day or durations: the form in which all cells are written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from nas.data.reading import MANY_VALUES, Reading, TextColumn
from nas.errors import DataError
from nas.runtime import is_gap, seconds_in

_SAMPLE = 20
"""Texts by which the likely forms are chosen, before all texts of a column are parsed: parsing is slow."""

_LONGEST_DATE = 40
"""Characters up to which text may be a date: the longest form has about 35."""

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
"""Supported forms in order of preference; see `nas.runtime.seconds_in`."""

_NOTES = {"clock": "times of day", "iso": "dates", "quarter": "quarters"}


def read_dates(column: TextColumn, sample: Sequence[str]) -> Reading | None:
    """The reading of a column of text as dates, times of day or durations.

    Parameters
    ----------
    column : TextColumn
    sample : sequence of str
        Some texts of the column, by which columns without dates are recognized quickly.

    Returns
    -------
    Reading or None
        None if no form fits most texts, or all dates are equal.

    Raises
    ------
    DataError
        On the first text without the form of the others, and if two forms fit, with different dates.
    """
    dates = [text for text in sample if not is_gap(text)]
    if sum(map(_may_be_date, dates)) <= len(dates) / 2:
        return None
    dates = dates[:: max(1, len(dates) // _SAMPLE)]
    likely = [form for form in _FORMS if _fraction(dates, form) > 0.5]
    texts = [text for text in column.counts if not is_gap(text)]
    fitting = [form for form in likely if _fraction(texts, form) == 1]
    if not fitting:
        if likely and len(texts) > MANY_VALUES and _fraction(texts, likely[0]) > 0.5:
            raise _odd_date(column, texts, likely[0])
        return None
    form = fitting[0]
    moments = [seconds_in(text, form) for text in texts]
    if len(set(moments)) < 2:
        return None
    for second_form in fitting[1:]:
        if [seconds_in(text, second_form) for text in texts] != moments:
            raise _ambiguous_dates(column, texts[0], form, second_form)
    if form == "duration":
        return Reading("numeric", form=form, gaps=column.gaps, note="durations, in seconds", is_text=True)
    note = _NOTES.get(form, f"dates written {form}")
    return Reading("date", form=form, gaps=column.gaps, note=note, is_text=True)


def _may_be_date(text: str) -> bool:
    return len(text) <= _LONGEST_DATE and any(map(str.isdigit, text))


def _fraction(texts: Sequence[str], form: str) -> float:
    """The fraction of texts that have a form; 0 without texts."""
    return sum(seconds_in(text, form) is not None for text in texts) / len(texts) if texts else 0.0


def _odd_date(column: TextColumn, texts: Sequence[str], form: str) -> DataError:
    """The error of a column of dates in which the first other text is named."""
    odd = column.first([text for text in texts if seconds_in(text, form) is None])
    return DataError(
        f"column {column.name!r}: expected dates, got {odd!r} in {column.row(odd)}; {column.way_out}"
    )


def _ambiguous_dates(column: TextColumn, text: str, *forms: str) -> DataError:
    """The error of dates for which several forms fit, such as 01/02/2020."""
    return DataError(
        f"column {column.name!r}: expected dates of which day and month can be told apart, got {text!r} in "
        f"{column.row(text)}, which is {' or '.join(forms)}; write them as 2020-12-31, or {column.way_out}"
    )
