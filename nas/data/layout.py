"""The layout of a text file with a table: its encoding, its separator, its header, and where rows begin."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.data.encodings import find_encoding, open_text
from nas.data.headers import is_data
from nas.data.records import (
    BLANKS,
    SEPARATOR_NAMES,
    Record,
    declared_separator,
    find_separator,
    first_records,
    is_number,
    wrong_count,
)
from nas.errors import DataError

_COMMENTS = ("#", "%", "//")

_SAMPLE_LINES = 1_000
"""Lines of a sample, unless it reaches its characters before."""

_SAMPLE_CHARACTERS = 1_000_000
"""Characters of a sample, so that wide tables are not read for seconds to find their layout."""

_FEWEST_LINES = 20
"""Lines that a sample has however long they are: a single line of a million characters shows no layout."""

_LONGEST_LINE = 60
"""Characters of a line that a message quotes."""


@dataclass(frozen=True)
class Layout:
    """The layout of a text file with a table.

    Attributes
    ----------
    encoding : str
    mark : int
        Bytes of the byte order mark before the text.
    separator : str
        A character, or `nas.data.records.BLANKS`.
    names : tuple of str
        The names of all columns; "Unnamed: 0" and so on where the file has none.
    n_cells : int
        Cells of each row.
    first_line : int
        Lines before the rows, the header included.
    has_empty_end : bool
        Whether a separator ends each row, so that the last cell is no column.
    unnamed : str, optional
        The name given to a first column without a name.
    notes : tuple of str
        Decisions made, each in a short phrase.
    """

    encoding: str
    mark: int
    separator: str
    names: tuple[str, ...]
    n_cells: int
    first_line: int
    has_empty_end: bool
    unnamed: str | None
    notes: tuple[str, ...]


def open_rows(path: Path, layout: Layout) -> io.TextIOWrapper:
    """Open a text file at its first row, below the header."""
    file = open_text(path, layout.encoding, layout.mark)
    for _ in range(layout.first_line):
        file.readline()
    return file


def find_layout(path: Path, header: bool | None) -> Layout:
    """Find the layout of a text file by its first lines.

    Parameters
    ----------
    path : Path
    header : bool, optional
        Whether there is a line of names; None accepts only a line that does not look like data.

    Raises
    ------
    DataError
        If the file is empty or no text, if a row has another number of cells than the others, or if a
        header is missing or has a name twice; the message names the line.
    """
    encoding, mark = find_encoding(path)
    with open_text(path, encoding, mark) as file:
        lines, is_whole = _sample(file)
    if not any(line.strip() for line in lines):
        raise DataError(f"{path}: expected a table with rows and columns, got an empty file")
    n_before, separator = declared_separator(lines)
    separator = separator or find_separator(lines[n_before:], is_whole)
    records = first_records(lines[n_before:], separator, is_whole)
    return _Finder(path, encoding, mark, separator, n_before, records, header).find()


@dataclass(frozen=True)
class _Finder:
    """Finds the header among the first records of a file.

    Attributes
    ----------
    path, encoding, mark, separator
        See `Layout`.
    n_before : int
        Lines before the first record.
    records : sequence of Record
    header : bool, optional
        See `find_layout`.
    """

    path: Path
    encoding: str
    mark: int
    separator: str
    n_before: int
    records: Sequence[Record]
    header: bool | None

    def find(self) -> Layout:
        """The layout; raises `DataError`."""
        counts = Counter(len(record.cells) for record in self.records)
        n_cells = max(counts.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))[0]
        first = self._first_of_table(n_cells)
        record, rows = self.records[first], self.records[first + 1 :]
        commented = self._commented_header(first, n_cells)
        is_commented = commented is not None and self.header is None and is_data(record.cells, rows)
        has_empty_end = False
        if self.header is False or is_commented:
            rows = self.records[first:]
            end = self.n_before + (self.records[first - 1].end if first else 0)
            names = commented if is_commented and commented else [f"column{i + 1}" for i in range(n_cells)]
        else:
            end = self.n_before + record.end
            if self.header is None:
                self._check_names(record.cells, rows, end)
            names, has_empty_end = self._names(record.cells, rows, n_cells)
        self._check_rows(rows, n_cells)
        full_names = tuple(name or f"Unnamed: {i}" for i, name in enumerate(names))
        self._check_repeated(full_names)
        return Layout(
            self.encoding,
            self.mark,
            self.separator,
            full_names,
            n_cells,
            end,
            has_empty_end,
            "Unnamed: 0" if names[0] in ("", "Unnamed: 0") else None,
            self._notes(first - (names == commented), n_cells),
        )

    def _first_of_table(self, n_cells: int) -> int:
        """The index of the first record that is no comment and no title; raises `DataError` without."""
        header = self.header
        for i, record in enumerate(self.records):
            n, rest = len(record.cells), self.records[i + 1 :]
            if self._is_comment(record) and not (header and n == n_cells):
                continue
            if n == n_cells and (header is False or not rest or not self._is_padded(record)):
                return i
            if header is not False and n == n_cells - 1 and rest and self._is_short_header(rest, n_cells):
                return i
            if record.n_filled > max(1, n_cells // 2) or (header and i == 0 and n < n_cells < 3):
                raise self._wrong_count(record, n_cells)
        raise self._wrong_count(self.records[0], n_cells)

    @staticmethod
    def _is_padded(record: Record) -> bool:
        """Whether a record is a title or a blank line that a spreadsheet filled up with separators."""
        is_title = record.n_filled == 1 and record.cells[0] != "" and len(record.cells) > 2
        return is_title or not record.n_filled

    def _is_comment(self, record: Record) -> bool:
        # A column may be named "#".
        return record.cells[0].startswith(_COMMENTS) and (
            len(record.cells) == 1 or record.cells[0] not in _COMMENTS
        )

    def _is_short_header(self, rest: Sequence[Record], n_cells: int) -> bool:
        """Whether the header lacks a name: above R's row names, or behind a last separator."""
        rows = [record.cells for record in rest if len(record.cells) == n_cells]
        if not rows or len(rest[0].cells) != n_cells or n_cells < 3:
            return False
        if all(row[-1] == "" for row in rows):
            return True
        row_names = [row[0] for row in rows]
        return len(set(row_names)) == len(row_names) and any(map(is_number, rows[0]))

    def _commented_header(self, first: int, n_cells: int) -> list[str] | None:
        """The names in a comment right before the first row; None unless there is a name for each cell."""
        if not first or not self._is_comment(self.records[first - 1]):
            return None
        cells = [re.sub(r"^(#|%|//)+\s*", "", self.records[first - 1].cells[0])]
        cells += self.records[first - 1].cells[1:]
        if self.separator == BLANKS and not cells[0]:
            cells = cells[1:]
        are_names = len(cells) == n_cells and all(cells) and not any(map(is_number, cells))
        return cells if are_names else None

    def _names(self, cells: Sequence[str], rows: Sequence[Record], n_cells: int) -> tuple[list[str], bool]:
        """A name for each cell, and whether the last cell of each row is empty and has no name."""
        names = [re.sub(r"^(#|%|//)\s*(?=.)", "", cells[0]), *cells[1:]]
        full = [row.cells for row in rows if len(row.cells) == n_cells]
        has_empty_end = n_cells > 1 and bool(full) and all(row[-1] == "" for row in full)
        if len(cells) == n_cells:
            return names, has_empty_end and names[-1] == ""
        return ([*names, ""], True) if has_empty_end else (["", *names], False)

    def _check_rows(self, rows: Sequence[Record], n_cells: int) -> None:
        for row in rows:
            if len(row.cells) != n_cells:
                raise self._wrong_count(row, n_cells)

    def _wrong_count(self, record: Record, n_cells: int) -> DataError:
        return wrong_count(self.path, self.separator, n_cells, len(record.cells), self.n_before + record.end)

    def _check_names(self, cells: Sequence[str], rows: Sequence[Record], line: int) -> None:
        if is_data(cells, rows):
            line_text = self.separator.replace(BLANKS, " ").join(cells)
            line_text = (
                line_text if len(line_text) <= _LONGEST_LINE else line_text[: _LONGEST_LINE - 3] + "..."
            )
            raise DataError(
                f"{self.path}: expected names of columns in line {line}, got {line_text!r}, which looks like "
                "data; add a line of names, or say --no-header (header=False), which names them column1, "
                "column2, ..., or --header (header=True) if these are names"
            )

    def _check_repeated(self, names: Sequence[str]) -> None:
        repeated = [name for name, n in Counter(names).items() if n > 1]
        if repeated:
            raise DataError(f"{self.path}: expected column names that differ, got {repeated[0]!r} twice")

    def _notes(self, first: int, n_cells: int) -> tuple[str, ...]:
        """What was decided; `first` counts the records before the header."""
        notes = []
        if self.separator != ",":
            separator_name = SEPARATOR_NAMES.get(self.separator, repr(self.separator))
            notes.append(f"separated by {separator_name}")
        if n := first + bool(self.n_before):
            notes.append(f"{n} {'line' if n == 1 else 'lines'} before the header left out")
        if self.header is False:
            names = "'column1'" if n_cells == 1 else "'column1', 'column2', ..."
            notes.append(f"column names {names} as the file has no header")
        return tuple(notes)


def _sample(file: io.TextIOWrapper) -> tuple[list[str], bool]:
    """The first lines, and whether the file has no others."""
    lines: list[str] = []
    size = 0
    while len(lines) < _SAMPLE_LINES and (size < _SAMPLE_CHARACTERS or len(lines) < _FEWEST_LINES):
        line = file.readline()
        if not line:
            return lines, True
        lines.append(line)
        size += len(line)
    return lines, not file.readline()
