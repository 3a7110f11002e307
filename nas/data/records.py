"""The records of a text file: the separator between cells, and the cells of each record."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import DataError

BLANKS = "blanks"
"""The separator of files in which runs of blanks align the cells in columns."""

_SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_NAMES = {"\t": "tabs", BLANKS: "blanks"}

_SAMPLE_RECORDS = 200
"""Records by which the separator and the header are found; parsing them for each separator takes time."""

_MOST_ALIGNED = 0.95
"""Fraction of records with equally many cells from which on blanks are separators: text has blanks, too."""

_GAP_WORDS = frozenset({"", "?", "-", "na", "n/a", "nan", "none", "null", "missing", "unknown", "."})
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Record:
    """The cells of a record, without blanks around, and `end`, the number of its last line."""

    cells: tuple[str, ...]
    end: int

    @property
    def n_filled(self) -> int:
        """The number of cells that are not empty."""
        return sum(cell != "" for cell in self.cells)


def first_records(lines: Sequence[str], separator: str, is_whole: bool) -> list[Record]:
    """The first records that are not blank.

    `is_whole` says that `lines` is the whole file; otherwise the last record may be incomplete.
    """
    records = []
    for cells, end in read_records(lines, separator):
        records.append(Record(tuple(cell.strip() for cell in cells), end))
        if len(records) == _SAMPLE_RECORDS:
            return records
    return records if is_whole or len(records) < 2 else records[:-1]


def read_records(lines: Iterable[str], separator: str) -> Iterator[tuple[list[str], int]]:
    """The cells of each record that is not blank, and the number of its last line."""
    if separator == BLANKS:
        lines, separator = (line.replace("\t", " ").strip() + "\n" for line in lines), " "
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield cells, reader.line_num
    except csv.Error:  # a cell above the csv module's limit of size
        return


def find_separator(lines: Sequence[str], is_whole: bool) -> str:
    """The separator with which the most lines have as many cells as the header; ties go to more cells."""
    scores = {
        separator: _consistency(first_records(lines, separator, is_whole))
        for separator in (*_SEPARATORS, BLANKS)
    }
    best = max(_SEPARATORS, key=scores.__getitem__)
    n_consistent, n_cells, _ = scores[BLANKS]
    n_lines = len(first_records(lines, BLANKS, is_whole))
    if n_cells < 2 or n_consistent < _MOST_ALIGNED * n_lines:
        return best
    if scores[best][1] < 2 or (best == "\t" and _has_numbers_between_blanks(lines, is_whole)):
        return BLANKS
    return best


def _consistency(records: Sequence[Record]) -> tuple[int, int, int]:
    """How many records have the most frequent number of cells, this number, and whether the first has it."""
    counts = Counter(len(record.cells) for record in records if len(record.cells) > 1)
    if not counts:
        return 0, 1, 0
    usual, n = max(counts.items(), key=lambda item: (item[1], item[0]))
    first = len(records[0].cells)
    n += first == usual - 1 and first > 1
    return n, usual, int(first == usual)


def _has_numbers_between_blanks(lines: Sequence[str], is_whole: bool) -> bool:
    """Whether tabs separate runs of numbers with blanks, as in UCI's auto-mpg.data."""
    records = first_records(lines, "\t", is_whole)[1:]
    return bool(records) and all(
        len(pieces := record.cells[0].split()) > 1 and all(map(is_number_or_gap, pieces))
        for record in records
    )


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number, with a decimal point or comma."""
    return _NUMBER.fullmatch(cell) is not None


def is_number_or_gap(cell: str) -> bool:
    """Whether a cell is a plain number, empty, or a word for a missing value."""
    return is_number(cell) or cell.lower() in _GAP_WORDS


def declared_separator(lines: Sequence[str]) -> tuple[int, str | None]:
    """The number of lines up to "sep=;", which declares the separator to spreadsheets, and the separator."""
    first = next(i for i, line in enumerate(lines) if line.strip())
    declaration = re.fullmatch(r'"?sep=(.)"?', lines[first].strip(" \r\n"))
    return (first + 1, declaration[1]) if declaration else (0, None)


def wrong_count(path: Path, separator: str, expected: int, got: int, line: int) -> DataError:
    """The error of a row with more or fewer cells than the others."""
    separator_name = SEPARATOR_NAMES.get(separator, repr(separator))
    way_out = (
        f"put quotes around cells that hold {separator_name}"
        if got > expected
        else "complete the line or take it out"
    )
    return DataError(f"{path}: expected {expected} cells in every line, got {got} in line {line}; {way_out}")
