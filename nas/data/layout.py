"""How a text file holds a table: its encoding, its separator, and where its header and its rows are."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast

from nas.errors import DataError

BLANKS = "blanks"
"""The separator of files whose cells stand in columns, with runs of blanks between them."""

_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_NAMES = {"\t": "tabs", BLANKS: "blanks"}
_COMMENTS = ("#", "%", "//")
_SAMPLE_RECORDS = 200
_SAMPLE_LINES = 1_000
_SAMPLE_CHARACTERS = 1_000_000
_BLOCK = 1 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = (
    (b"PK\x03\x04", "a spreadsheet or zip archive (save the table as CSV)"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (save the table as CSV)"),
    (b"PAR1", "Parquet (let its name end in .parquet)"),
    (b"\x1f\x8b", "a gzip archive (let its name end in .csv.gz)"),
    (b"BZh", "a bzip2 archive (unpack it)"),
    (b"\xfd7zXZ", "an xz archive (unpack it)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (unpack it)"),
    (b"7z\xbc\xaf", "a 7z archive (unpack it)"),
    (b"ARROW1", "an Arrow file (save the table as Parquet or CSV)"),
    (b"\x89HDF", "HDF5 (save the table as Parquet or CSV)"),
    (b"SQLite format 3", "an SQLite database (save the table as CSV)"),
    (b"\x93NUMPY", "a NumPy array (save the table as CSV)"),
    (b"%PDF", "a PDF document (save the table as CSV)"),
)
_GAP_WORDS = frozenset({"", "?", "-", "na", "n/a", "nan", "none", "null", "missing", "unknown", "."})
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_FORMATTED = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*")


@dataclass(frozen=True)
class Layout:
    """How one file holds its table.

    `first_line` counts the lines before the rows, the header's among them. `n_cells` is how many cells
    each row has; the last of them is to be left out where `has_empty_end`, as a separator ends each row.
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


class NulByteError(ValueError):
    """A byte that no text has."""


class _WithoutNul(io.RawIOBase):
    """Bytes of a file; raises `NulByteError` at a zero, at which the parser would end a cell unseen."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        if 0 in block:
            raise NulByteError("a zero byte")
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_bytes(path: Path) -> IO[bytes]:
    is_zipped = path.suffix.lower() == ".gz"
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_zipped else path.open("rb")


def _open_text(path: Path, encoding: str, mark: int) -> io.TextIOWrapper:
    """The text behind the byte order mark, with line breaks as they are."""
    file = _open_bytes(path)
    file.read(mark)
    raw = file if encoding != "utf-8" else io.BufferedReader(_WithoutNul(file), _BLOCK)
    return io.TextIOWrapper(raw, encoding=encoding, newline="")


def open_rows(path: Path, layout: Layout) -> io.TextIOWrapper:
    """The text of the rows alone."""
    file = _open_text(path, layout.encoding, layout.mark)
    for _ in range(layout.first_line):
        file.readline()
    return file


def find_layout(path: Path, header: bool | None) -> Layout:
    """The layout of a text file; raises `DataError` where it has none, or no header although one is needed.

    `header` says whether there is a line of names, None that it is to be found out.
    """
    encoding, mark = _find_encoding(path)
    with _open_text(path, encoding, mark) as file:
        lines, is_whole = _sample(file)
    if not any(line.strip() for line in lines):
        raise DataError(f"{path}: expected a table with rows and columns, got an empty file")
    n_before, separator = _said_separator(lines)
    separator = separator or _find_separator(lines[n_before:], is_whole)
    records = _records(lines[n_before:], separator, is_whole)
    return _Finder(path, encoding, mark, separator, n_before, records).find(header)


def _sample(file: io.TextIOWrapper) -> tuple[list[str], bool]:
    """The first lines, and whether they are all."""
    lines: list[str] = []
    size = 0
    while len(lines) < _SAMPLE_LINES and (size < _SAMPLE_CHARACTERS or len(lines) < 20):
        line = file.readline()
        if not line:
            return lines, True
        lines.append(line)
        size += len(line)
    return lines, not file.readline()


def _said_separator(lines: Sequence[str]) -> tuple[int, str | None]:
    """The lines up to "sep=;", by which spreadsheets are told the separator, and this."""
    first = next(i for i, line in enumerate(lines) if line.strip())
    said = re.fullmatch(r'"?sep=(.)"?', lines[first].strip(" \r\n"))
    return (first + 1, said[1]) if said else (0, None)


@dataclass(frozen=True)
class _Record:
    cells: tuple[str, ...]
    end: int  # lines up to and with it

    @property
    def n_filled(self) -> int:
        return sum(cell != "" for cell in self.cells)


def _records(lines: Sequence[str], separator: str, is_whole: bool) -> list[_Record]:
    """The first records that are not blank."""
    records = []
    for cells, end in read_records(lines, separator):
        records.append(_Record(tuple(cell.strip() for cell in cells), end))
        if len(records) == _SAMPLE_RECORDS:
            return records
    # The last one may go on behind the sample.
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
    except csv.Error:  # a cell beyond the csv module's limit
        return


def _find_separator(lines: Sequence[str], is_whole: bool) -> str:
    """The separator with which the most lines have as many cells as the header; of equals, more cells."""
    scores = {
        separator: _consistency(_records(lines, separator, is_whole)) for separator in (*_SEPARATORS, BLANKS)
    }
    best = max(_SEPARATORS, key=scores.__getitem__)
    n_consistent, n_cells, _ = scores[BLANKS]
    n_lines = len(_records(lines, BLANKS, is_whole))
    if n_cells < 2 or n_consistent < 0.95 * n_lines:
        return best
    if scores[best][1] < 2 or (best == "\t" and _has_numbers_between_blanks(lines, is_whole)):
        return BLANKS
    return best


def _consistency(records: Sequence[_Record]) -> tuple[int, int, int]:
    """How many records have the usual number of cells, this number, and whether the first has it."""
    counts = Counter(len(record.cells) for record in records if len(record.cells) > 1)
    if not counts:
        return 0, 1, 0
    usual, n = max(counts.items(), key=lambda item: (item[1], item[0]))
    first = len(records[0].cells)
    n += first == usual - 1 and first > 1
    return n, usual, int(first == usual)


def _has_numbers_between_blanks(lines: Sequence[str], is_whole: bool) -> bool:
    """Whether what stands between tabs is several numbers with blanks between, as in UCI's auto-mpg.data."""
    records = _records(lines, "\t", is_whole)[1:]
    return bool(records) and all(
        len(pieces := record.cells[0].split()) > 1 and all(map(_is_number_or_gap, pieces))
        for record in records
    )


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _is_number_or_gap(cell: str) -> bool:
    return _is_number(cell) or cell.lower() in _GAP_WORDS


@dataclass(frozen=True)
class _Finder:
    """Finds the header among the first records of a file."""

    path: Path
    encoding: str
    mark: int
    separator: str
    n_before: int
    records: Sequence[_Record]

    def find(self, header: bool | None) -> Layout:
        counts = Counter(len(record.cells) for record in self.records)
        n_cells = max(counts.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))[0]
        first = self._first_of_table(n_cells, header)
        record, rows = self.records[first], self.records[first + 1 :]
        cells, line = record.cells, self.n_before + record.end
        commented = self._commented_header(first, n_cells)
        if header is False:
            rows = self.records[first:]
            names = [f"column{i + 1}" for i in range(n_cells)]
            end = self.n_before + (self.records[first - 1].end if first else 0)
            has_empty_end = False
        elif commented and header is None and _is_data(cells, rows):
            names, rows, end = commented, self.records[first:], self.n_before + self.records[first - 1].end
            has_empty_end = False
        else:
            if header is None:
                self._check_names(cells, rows, line)
            names, has_empty_end = self._names(cells, rows, n_cells, line)
            end = line
        self._check_rows(rows, n_cells)
        unnamed = "Unnamed: 0" if names[0] in ("", "Unnamed: 0") else None
        named = tuple(name or f"Unnamed: {i}" for i, name in enumerate(names))
        self._check_repeated(named)
        notes = self._notes(first - (commented is not None and names == commented))
        if header is False:
            names_given = "'column1'" if n_cells == 1 else "'column1', 'column2', ..."
            notes = (*notes, f"column names {names_given} as the file has no header")
        return Layout(
            self.encoding, self.mark, self.separator, named, n_cells, end, has_empty_end, unnamed, notes
        )

    def _first_of_table(self, n_cells: int, header: bool | None) -> int:
        """The index of the first record that is no comment and no title."""
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
    def _is_padded(record: _Record) -> bool:
        """Whether a record is a title or a blank line that a spreadsheet fills up with separators."""
        is_title = record.n_filled == 1 and record.cells[0] != "" and len(record.cells) > 2
        return is_title or not record.n_filled

    def _is_comment(self, record: _Record) -> bool:
        # A column may be named "#".
        return record.cells[0].startswith(_COMMENTS) and (
            len(record.cells) == 1 or record.cells[0] not in _COMMENTS
        )

    def _is_short_header(self, rest: Sequence[_Record], n_cells: int) -> bool:
        """Whether a name is lacking above the rows: of R's row names, or behind a last separator."""
        rows = [record.cells for record in rest if len(record.cells) == n_cells]
        if not rows or len(rest[0].cells) != n_cells or n_cells < 3:
            return False
        if all(row[-1] == "" for row in rows):
            return True
        row_names = [row[0] for row in rows]
        return len(set(row_names)) == len(row_names) and any(map(_is_number, rows[0]))

    def _commented_header(self, first: int, n_cells: int) -> list[str] | None:
        """The names in a comment right before the first row, if there are as many."""
        if not first or not self._is_comment(self.records[first - 1]):
            return None
        cells = [re.sub(r"^(#|%|//)+\s*", "", self.records[first - 1].cells[0])]
        cells += self.records[first - 1].cells[1:]
        if self.separator == BLANKS and not cells[0]:
            cells = cells[1:]
        are_names = len(cells) == n_cells and all(cells) and not any(map(_is_number, cells))
        return cells if are_names else None

    def _names(
        self, cells: Sequence[str], rows: Sequence[_Record], n_cells: int, line: int
    ) -> tuple[list[str], bool]:
        """A name for each cell, and whether the last cell of each row is but what a separator leaves."""
        names = [re.sub(r"^(#|%|//)\s*(?=.)", "", cells[0]), *cells[1:]]
        full = [row.cells for row in rows if len(row.cells) == n_cells]
        has_empty_end = n_cells > 1 and bool(full) and all(row[-1] == "" for row in full)
        if len(cells) == n_cells:
            return names, has_empty_end and names[-1] == ""
        return ([*names, ""], True) if has_empty_end else (["", *names], False)

    def _check_rows(self, rows: Sequence[_Record], n_cells: int) -> None:
        for row in rows:
            if len(row.cells) != n_cells:
                raise self._wrong_count(row, n_cells)

    def _wrong_count(self, record: _Record, n_cells: int) -> DataError:
        return wrong_count(self.path, self.separator, n_cells, len(record.cells), self.n_before + record.end)

    def _check_names(self, cells: Sequence[str], rows: Sequence[_Record], line: int) -> None:
        if _is_data(cells, rows):
            shown = self.separator.replace(BLANKS, " ").join(cells)
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            raise DataError(
                f"{self.path}: expected names of columns in line {line}, got {shown!r}, which looks like "
                "data; add a line of names, or say --no-header (header=False), which names them column1, "
                "column2, ..., or --header (header=True) if these are names"
            )

    def _check_repeated(self, names: Sequence[str]) -> None:
        repeated = [name for name, n in Counter(names).items() if n > 1]
        if repeated:
            raise DataError(f"{self.path}: expected column names that differ, got {repeated[0]!r} twice")

    def _notes(self, first: int) -> tuple[str, ...]:
        notes = []
        if self.separator != ",":
            shown = _SEPARATOR_NAMES.get(self.separator, repr(self.separator))
            notes.append(f"separated by {shown}")
        if n := self._n_left_out(first):
            notes.append(f"{n} {'line' if n == 1 else 'lines'} before the header left out")
        return tuple(notes)

    def _n_left_out(self, first: int) -> int:
        return first + bool(self.n_before)


def wrong_count(path: Path, separator: str, expected: int, got: int, line: int) -> DataError:
    """The error of a row that has more or fewer cells than the others."""
    shown = _SEPARATOR_NAMES.get(separator, repr(separator))
    way_out = (
        f"put quotes around cells that hold {shown}" if got > expected else "complete the line or take it out"
    )
    return DataError(f"{path}: expected {expected} cells in every line, got {got} in line {line}; {way_out}")


def _is_data(cells: Sequence[str], records: Sequence[_Record]) -> bool:
    """Whether what stands where names are expected looks like one more row."""
    rows = [record.cells for record in records if len(record.cells) == len(cells)]
    if not rows:
        return False
    columns = list(zip(*rows, strict=True))
    over_numbers = [
        cell for cell, column in zip(cells, columns, strict=True) if _holds_numbers(column) and cell != ""
    ]
    numbers = [cell for cell in over_numbers if _is_number(cell)]
    n_names_over_numbers = sum(_is_word(cell) for cell in over_numbers)
    if not n_names_over_numbers and (
        _occur_again(cells, columns, len(rows)) or _are_formatted_alike(cells, columns)
    ):
        return True
    return n_names_over_numbers < len(numbers) and not _are_names(cells, columns, rows)


def _is_word(cell: str) -> bool:
    return not _is_number_or_gap(cell) and any(map(str.isalpha, cell))


def _holds_numbers(column: Sequence[str]) -> bool:
    return any(map(_is_number, column)) and all(map(_is_number_or_gap, column))


def _are_names(cells: Sequence[str], columns: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the numbers of a line are names, such as 0, 1, 2, years or wavelengths, as no row has them."""
    places = [i for i, cell in enumerate(cells) if _is_number(cell)]
    if len(places) == 1:
        return _is_name_of(cells[places[0]], columns[places[0]]) and any(map(_is_word, cells))
    n_alike = sum(_count_up(row) for row in rows)
    return _count_up(cells) and n_alike <= len(rows) // 2


def _is_name_of(cell: str, column: Sequence[str]) -> bool:
    """Whether a single whole number is no value of the column below it."""
    values = [_value(below) for below in column if _is_number(below)]
    if not cell.isdecimal():
        return False
    is_between = min(values) <= _value(cell) <= max(values)
    return not is_between or (_is_year(_value(cell)) and not all(map(_is_year, values)))


def _count_up(cells: Sequence[str]) -> bool:
    """Whether the numbers of a line rise as names do: whole and evenly or years, beside names, or many."""
    texts = [cell for cell in cells if _is_number(cell)]
    numbers = [_value(text) for text in texts]
    steps = [b - a for a, b in pairwise(numbers)]
    is_rising = all(step > 0 for step in steps)
    if len(numbers) >= 8:
        return is_rising or all(step < 0 for step in steps)
    if not is_rising:
        return False
    if len(numbers) >= 3 and any(map(_is_word, cells)):
        return True
    is_even = len(set(steps)) == 1 or all(map(_is_year, numbers))
    return is_even and all(text.isdecimal() for text in texts)


def _is_year(number: float) -> bool:
    return number.is_integer() and 1900 <= number <= 2100


def _value(text: str) -> float:
    return float(text.replace(",", "."))


def _occur_again(cells: Sequence[str], columns: Sequence[Sequence[str]], n_rows: int) -> bool:
    """Whether at least half of the texts of a line, or names that it has twice, occur in their columns."""
    texts = [(cell, column) for cell, column in zip(cells, columns, strict=True) if _is_word(cell)]
    again = [cell for cell, column in texts if cell in column]
    repeated = {cell for cell, n in Counter(cells).items() if n > 1}
    if any(cell in repeated for cell in again):
        return True
    return n_rows >= 3 and bool(again) and 2 * len(again) >= len(texts)


def _are_formatted_alike(cells: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether a date, time or amount stands above nothing but such."""
    return any(
        _shape(cell) is not None and all(_shape(below) == _shape(cell) for below in column if below)
        for cell, column in zip(cells, columns, strict=True)
        if any(column)
    )


def _shape(cell: str) -> str | None:
    if _is_number(cell) or not _FORMATTED.fullmatch(cell):
        return None
    return re.sub(r"\d+", "9", cell)


def _find_encoding(path: Path) -> tuple[str, int]:
    """The encoding of a text file, and the bytes of its mark; raises `DataError` for what is no text."""
    with _open_bytes(path) as file:
        head = file.read(4096)
    for start, what in _BINARY:
        if head.startswith(start):
            raise DataError(f"{path}: expected text, got {what}")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    n_zeros = head.count(0)
    if n_zeros > len(head) // 4:
        wide = max(head[::2].count(0), head[1::2].count(0)) > 0.9 * n_zeros and n_zeros < 0.6 * len(head)
        if wide:
            which = "utf-16-be" if head[0] == 0 else "utf-16-le"
            raise DataError(
                f"{path}: expected text in UTF-8, got zero bytes from line 1 on, likely UTF-16 without a "
                f"byte order mark; save it as UTF-8, e.g. iconv -f {which} -t utf-8"
            )
        raise DataError(f"{path}: expected text, got binary data (zero bytes from line 1 on)")
    return "utf-8", 0


def encoding_error(path: Path) -> DataError:
    """The error of a file whose bytes are not text in its encoding: where, and what it likely is."""
    encoding, mark = _find_encoding(path)
    if encoding != "utf-8":
        return DataError(f"{path}: expected text in {encoding} as its first bytes say, got other bytes")
    with _open_bytes(path) as file:
        file.read(mark)
        for number, line in enumerate(file, 1):
            if 0 in line and _is_binary(line):
                break
            if 0 in line:
                return DataError(
                    f"{path}: expected text, got a zero byte in line {number}; take it out, e.g. tr -d '\\0'"
                )
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data":
                    return DataError(
                        f"{path}: expected text in UTF-8, got a last line ({number}) that ends within a "
                        "character; the file is cut off, or was saved in another encoding"
                    )
                return _not_utf8(path, line, number, error.start)
    return DataError(f"{path}: expected text in UTF-8, got binary data")


def _is_binary(line: bytes) -> bool:
    return re.search(rb"[\x01-\x08\x0e-\x1f]", line) is not None


def _not_utf8(path: Path, line: bytes, number: int, place: int) -> DataError:
    where = f"byte 0x{line[place]:02x} in line {number}"
    if _is_binary(line):
        return DataError(f"{path}: expected text in UTF-8, got {where} among binary data")
    try:
        line.decode("cp1252")
        likely = "cp1252"
    except UnicodeDecodeError:
        likely = "latin-1"
    around = re.search(rb"[\w\x80-\xff]*\Z", line[max(0, place - 12) : place])
    found = re.match(rb"[\w\x80-\xff]*", line[place : place + 12])
    assert around is not None
    assert found is not None
    word = (around[0] + found[0]).decode(likely, errors="replace")
    return DataError(
        f"{path}: expected text in UTF-8, got {where}, likely {likely} ({word!r}); "
        f"save it as UTF-8, e.g. iconv -f {likely} -t utf-8"
    )
