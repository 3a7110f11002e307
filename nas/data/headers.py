"""Whether the first line of a table holds names of columns, or is a row of data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from nas.data.records import Record, is_number, is_number_or_gap

_FORMATTED = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*")

_YEARS = (1900, 2100)
"""Whole numbers in this range may be years, which are names of columns more often than other numbers."""

_MANY_NAMES = 8
"""Numbers of a line from which on a steady order is enough to take them for names: wavelengths, bins."""


def is_data(cells: Sequence[str], records: Sequence[Record]) -> bool:
    """Whether a line looks like a further row of data rather than names of columns.

    Parameters
    ----------
    cells : sequence of str
        The line.
    records : sequence of Record
        The rows below.

    Notes
    -----
    Names are rarely numbers, so a line with numbers above columns of numbers is data, unless the numbers
    rise evenly as no row does. A line of texts is data if its texts occur again in their columns, or if
    its dates and amounts are formatted as those below.
    """
    rows = [record.cells for record in records if len(record.cells) == len(cells)]
    if not rows:
        return False
    columns = list(zip(*rows, strict=True))
    above_numbers = [
        cell for cell, column in zip(cells, columns, strict=True) if _holds_numbers(column) and cell != ""
    ]
    n_numbers = sum(map(is_number, above_numbers))
    n_words = sum(map(_is_word, above_numbers))
    if not n_words and (_occur_again(cells, columns, len(rows)) or _are_formatted_alike(cells, columns)):
        return True
    return n_words < n_numbers and not _are_names(cells, columns, rows)


def _is_word(cell: str) -> bool:
    return not is_number_or_gap(cell) and any(map(str.isalpha, cell))


def _holds_numbers(column: Sequence[str]) -> bool:
    return any(map(is_number, column)) and all(map(is_number_or_gap, column))


def _are_names(cells: Sequence[str], columns: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the numbers of a line are names, such as years or wavelengths, unlike those of most rows."""
    places = [i for i, cell in enumerate(cells) if is_number(cell)]
    if len(places) == 1:
        return _is_name_of(cells[places[0]], columns[places[0]]) and any(map(_is_word, cells))
    n_alike = sum(_count_up(row) for row in rows)
    return _count_up(cells) and n_alike <= len(rows) // 2


def _is_name_of(cell: str, column: Sequence[str]) -> bool:
    """Whether a single whole number is outside the values of its column, or a year above other numbers."""
    values = [_value(below) for below in column if is_number(below)]
    if not cell.isdecimal():
        return False
    is_between = min(values) <= _value(cell) <= max(values)
    return not is_between or (_is_year(_value(cell)) and not all(map(_is_year, values)))


def _count_up(cells: Sequence[str]) -> bool:
    """Whether the numbers of a line rise as names do.

    They rise or fall if many, rise if beside words, and otherwise are whole and rise evenly or are years.
    """
    texts = [cell for cell in cells if is_number(cell)]
    numbers = [_value(text) for text in texts]
    steps = [b - a for a, b in pairwise(numbers)]
    is_rising = all(step > 0 for step in steps)
    if len(numbers) >= _MANY_NAMES:
        return is_rising or all(step < 0 for step in steps)
    if not is_rising:
        return False
    if len(numbers) >= 3 and any(map(_is_word, cells)):
        return True
    is_even = len(set(steps)) == 1 or all(map(_is_year, numbers))
    return is_even and all(text.isdecimal() for text in texts)


def _is_year(number: float) -> bool:
    return number.is_integer() and _YEARS[0] <= number <= _YEARS[1]


def _value(text: str) -> float:
    return float(text.replace(",", "."))


def _occur_again(cells: Sequence[str], columns: Sequence[Sequence[str]], n_rows: int) -> bool:
    """Whether at least half of a line's texts, or a text that it has twice, occur again in their columns."""
    texts = [(cell, column) for cell, column in zip(cells, columns, strict=True) if _is_word(cell)]
    repeated_texts = [cell for cell, column in texts if cell in column]
    repeated = {cell for cell, n in Counter(cells).items() if n > 1}
    if any(cell in repeated for cell in repeated_texts):
        return True
    return n_rows >= 3 and bool(repeated_texts) and 2 * len(repeated_texts) >= len(texts)


def _are_formatted_alike(cells: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether a date, time or amount stands above cells that all have its format."""
    return any(
        _shape(cell) is not None and all(_shape(below) == _shape(cell) for below in column if below)
        for cell, column in zip(cells, columns, strict=True)
        if any(column)
    )


def _shape(cell: str) -> str | None:
    """The cell with each run of digits as 9; None for plain numbers and cells with letters."""
    if is_number(cell) or not _FORMATTED.fullmatch(cell):
        return None
    return re.sub(r"\d+", "9", cell)
