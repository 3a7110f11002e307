"""Columns of text that hold numbers: their decimal separator, unit, bounds and words for missing values."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nas.data.reading import MANY_VALUES, Reading, TextColumn
from nas.errors import DataError
from nas.runtime import Written, is_currency, is_gap, unit_key, written_number

_MOST_UNITS = 5
"""Units above which text with a number in it is no number: addresses, titles."""

_THOUSAND = 1000
"""The smallest size from which on a number may be written with a separator between thousands."""


def read_numbers(column: TextColumn) -> Reading | None:
    """The reading of a column of text as numbers.

    Returns
    -------
    Reading or None
        None if less than half of the cells are numbers, if there are fewer than two different numbers, or
        if a few different numbers stand beside other texts or units: the column may hold categories.

    Raises
    ------
    DataError
        On the first cell that is no number, or has another unit, among many different numbers.
    """
    written = _numbers_in(column)
    words = [text for text in column.counts if text not in written and is_gap(text)]
    odd = [text for text in column.counts if text not in written and not is_gap(text)]
    n_numbers = column.n_cells_with(written)
    if not written or n_numbers <= (column.n_cells - column.n_cells_with(words)) / 2:
        return None
    decimal, contradicting = _decimal_separator(column, written)
    odd += contradicting
    values = {number.value(decimal) for number in written.values()}
    n_values = len(values - {None})
    units = _units(written)
    bounds = [text for text, number in written.items() if number.is_bound]
    if len(units) > _MOST_UNITS or n_values < 2 or column.n_cells_with(bounds) > n_numbers / 2:
        return None
    if n_values > MANY_VALUES:
        _check_few_mistakes(column, odd, units, written)
    elif odd or len(units) > 1 or _without_unit(written, units):
        return None
    unit = next(iter(units.values()), "")
    note = _note(column, decimal, unit, words, bounds)
    return Reading("numeric", decimal, unit, gaps=column.gaps, note=note, is_text=True)


def _numbers_in(column: TextColumn) -> dict[str, Written]:
    """The texts of a column that are numbers by a decimal point or a decimal comma."""
    parsed = {text: written_number(text) for text in column.counts}
    return {
        text: number
        for text, number in parsed.items()
        if number is not None and (number.value(".") is not None or number.value(",") is not None)
    }


def _note(column: TextColumn, decimal: str, unit: str, words: Collection[str], bounds: Sequence[str]) -> str:
    """The decision in a few words."""
    notes = ["numbers"]
    if unit:
        notes.append(f"in {unit!r}")
    if decimal == ",":
        notes.append("with a decimal comma")
    if words:
        notes.append(f"gaps written {', '.join(map(repr, sorted(words)[:3]))}")
    if bounds:
        n_bounds = column.n_cells_with(bounds)
        notes.append(f"{n_bounds} bounds such as {bounds[0]!r} read as the bound itself")
    return ", ".join(notes) if len(notes) > 1 else "numbers written as text"


def _decimal_separator(column: TextColumn, written: dict[str, Written]) -> tuple[str, list[str]]:
    """The decimal separator of most cells, and the texts that are no numbers with it."""
    fits: dict[str, list[str]] = {".": [], ",": []}
    ambiguous = []
    for text, number in written.items():
        by_point, by_comma = number.value("."), number.value(",")
        if by_point is None or by_comma is None:
            fits["." if by_comma is None else ","].append(text)
        elif by_point != by_comma:
            ambiguous.append(text)
    n_points, n_commas = column.n_cells_with(fits["."]), column.n_cells_with(fits[","])
    if n_points != n_commas:
        decimal = "." if n_points > n_commas else ","
    elif ambiguous and n_points == 0:
        decimal = _separator_by_groups(column, ambiguous, written)
    else:
        decimal = "."
    return decimal, fits["," if decimal == "." else "."]


def _separator_by_groups(column: TextColumn, ambiguous: Sequence[str], written: dict[str, Written]) -> str:
    """The decimal separator of numbers such as 1,234 or 1.234, which can be read in two ways.

    The separator of the table's other columns decides. In a table with decimal points, a comma separates
    thousands, unless the column also has thousands without a separator.
    """
    if column.decimal == "," or all("." in text for text in ambiguous):
        return column.decimal
    plain = [number.value(".") for text, number in written.items() if "," not in text]
    return "," if any(value is not None and abs(value) >= _THOUSAND for value in plain) else "."


def _units(written: dict[str, Written]) -> dict[str, str]:
    """The units beside numbers, each in its first spelling, by `unit_key`."""
    units: dict[str, str] = {}
    for number in written.values():
        if number.unit:
            units.setdefault(unit_key(number.unit), number.unit)
    return units


def _without_unit(written: dict[str, Written], units: dict[str, str]) -> list[str]:
    """Numbers without a unit in a column with units: ambiguous, except beside currencies and for 0."""
    if not units or all(map(is_currency, units.values())):
        return []
    return [text for text, number in written.items() if not number.unit and number.value(".") != 0]


def _check_few_mistakes(
    column: TextColumn, odd: Sequence[str], units: dict[str, str], written: dict[str, Written]
) -> None:
    """Raise `DataError` on the first cell that is no number, or has the less frequent unit."""
    if odd:
        text = column.first(odd)
        raise DataError(
            f"column {column.name!r}: expected numbers, got {text!r} in {column.row(text)}; {column.way_out}"
        )
    lacking = _without_unit(written, units)
    if len(units) > 1 or lacking:
        with_unit = [text for text, number in written.items() if number.unit]
        are_few_lacking = column.n_cells_with(lacking) < column.n_cells_with(with_unit)
        text = column.first(lacking if lacking and are_few_lacking else with_unit)
        got = [*map(repr, list(units.values())[:3]), *(["none"] if lacking else [])]
        raise DataError(
            f"column {column.name!r}: expected numbers in one unit, got the units {', '.join(got)}, such "
            f"as {text!r} in {column.row(text)}; {column.way_out}"
        )
