"""Tables in files: CSV and Parquet."""

from __future__ import annotations

import os
import re
import warnings
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from nas.data.encodings import NulByteError, encoding_error
from nas.data.layout import Layout, find_layout, open_rows
from nas.data.records import BLANKS, read_records, wrong_count
from nas.errors import DataError

_CSV_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz")
_PARQUET_ENDINGS = (".parquet", ".pq")


_ROWS = 250_000
"""Rows of a CSV file that are parsed at once: the parser needs several times the memory of its result."""

Texts = Collection[str] | Callable[[list[str]], Collection[str]]
"""Columns to be read as text, or a function that chooses them among the names of all columns."""


@dataclass(frozen=True, eq=False)
class TableFile:
    """The table in a file, and decisions made in reading it.

    Attributes
    ----------
    frame : DataFrame
        Names are text, texts have no blanks around them, missing values are NaN.
    notes : tuple of str
        Decisions, each in a short phrase.
    unnamed : str, optional
        The name given to a first column without a name.
    decimal : str
        The decimal separator of numbers as text: "," where the file's numbers prove it.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    unnamed: str | None = None
    decimal: str = "."


def read_table(
    path: str | Path, texts: Texts = (), *, header: bool | None = None, na: Collection[str] = ()
) -> pd.DataFrame:
    """The rows of a CSV or Parquet file, as `read_file` reads them; raises `DataError`."""
    return read_file(path, texts, header=header, na=na).frame


def read_file(
    path: str | Path, texts: Texts = (), *, header: bool | None = None, na: Collection[str] = ()
) -> TableFile:
    """Read the table in a CSV or Parquet file.

    Parameters
    ----------
    path : path
        Its ending names the format; the separator of a CSV file is detected.
    texts : names, or a function from the names of all columns to names
        Columns that are read as text, so that a category "01" stays "01".
    header : bool, optional
        Whether a CSV file has a line of names; by default a first line that looks like data is refused.
    na : texts
        Cells that are missing values besides empty cells, such as "?" or "-999".

    Raises
    ------
    DataError
        If there is no such file, or no table in it; the message names the file, and the line.
    """
    path = Path(path)
    if not os.path.isfile(path):  # noqa: PTH113 # False, not an error, for impossible names
        got = "a folder" if os.path.isdir(path) else "no such file"  # noqa: PTH112 # likewise
        raise DataError(f"{path}: expected a CSV or Parquet file, got {got}")
    name = path.name.lower()
    if name.endswith(_PARQUET_ENDINGS):
        table = TableFile(_reading(path, lambda: _read_parquet(path)))
    elif name.endswith(_CSV_ENDINGS):
        table = _reading(path, lambda: _read_csv(path, texts, header, na))
    else:
        endings = ", ".join((*_CSV_ENDINGS, *_PARQUET_ENDINGS))
        raise DataError(f"{path}: expected a file that ends in {endings}, got {path.suffix or 'no ending'}")
    frame = table.frame
    if frame.empty:
        raise DataError(f"{path}: expected a table with rows and columns, got {len(frame)} rows")
    frame.columns = [str(column) for column in frame.columns]
    return replace(table, frame=_with_gaps(frame, na)) if na else table


def _read_csv(path: Path, texts: Texts, header: bool | None, na: Collection[str]) -> TableFile:
    layout = find_layout(path, header)
    text_columns = texts(_kept_names(layout)) if callable(texts) else texts
    types: dict[str, type] = dict.fromkeys(set(text_columns) & set(layout.names), str)
    with warnings.catch_warnings():
        # Rows longer than the header would otherwise lose cells.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = _read_rows(path, layout, types, na)
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise _wrong_row(path, layout) or DataError(
                f"{path}: expected a readable table, got: {' '.join(str(error).split())}"
            ) from None
    if frame.iloc[:, -1].isna().any():
        _check_short_rows(path, layout, len(frame))
    frame, notes = _without_empty_end(path, frame, layout)
    frame = _stripped(frame)
    decimal = "," if _has_decimal_commas(frame, text_columns) else "."
    if decimal == ",":
        frame, decimal = _with_dots_as_text(path, layout, frame, text_columns)
    return TableFile(frame, notes, layout.unnamed, decimal)


def _kept_names(layout: Layout) -> list[str]:
    return list(layout.names[:-1] if layout.has_empty_end else layout.names)


def _read_rows(path: Path, layout: Layout, types: dict[str, type], na: Collection[str]) -> pd.DataFrame:
    """The rows, parsed in parts; columns that are numbers in some parts and text in others become text."""
    types = dict(types)
    while True:
        parts = _read_parts(path, layout, types, na)
        kinds = {name: {kind for part in parts if (kind := _kind(part[name]))} for name in layout.names}
        # Whole numbers that float64 cannot hold are kept as text.
        mixed = [
            name
            for name, kinds_of_parts in kinds.items()
            if len(kinds_of_parts) > 1 or "large numbers" in kinds_of_parts
        ]
        if not mixed:
            return parts[0] if len(parts) == 1 else _joined(parts)
        # Read anew as text, cells are as they were written, not as the parser prints numbers.
        del parts
        types |= dict.fromkeys(mixed, str)


def _read_parts(
    path: Path, layout: Layout, types: dict[str, type], na: Collection[str], names: Sequence[str] = ()
) -> list[pd.DataFrame]:
    with (
        open_rows(path, layout) as file,
        pd.read_csv(
            file,
            sep=r"\s+" if layout.separator == BLANKS else layout.separator,
            header=None,
            names=list(layout.names),
            usecols=list(names) or None,
            index_col=False,
            dtype=types,
            keep_default_na=False,
            na_values=["", *na],
            skipinitialspace=True,
            low_memory=False,
            chunksize=_ROWS,
        ) as reader,
    ):
        return list(reader) or [pd.DataFrame(columns=list(layout.names))]


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The parts as a single table; a column that is empty in some parts takes the type of the others."""
    for name in parts[0].columns:
        dtypes = [part[name].dtype for part in parts if not part[name].isna().all()]
        if dtypes and not _is_number(dtypes[0]):
            common = dtypes[0] if len(set(dtypes)) == 1 and not _is_bool(dtypes[0]) else np.dtype(object)
            if any(part[name].dtype != dtypes[0] for part in parts):
                for part in parts:
                    part[name] = part[name].astype(common)
    return pd.concat(parts, ignore_index=True)


def _kind(values: pd.Series) -> str | None:
    """The kind of values that the parser found in a column; None if it is empty."""
    dtype = values.dtype
    if dtype == np.uint64:
        return "large numbers"  # above the range of int64, and of exact float64
    if _is_number(dtype):
        return "numbers" if _first_value(values) is not None else None
    if _is_bool(dtype):
        return "truth values"
    first = _first_value(values)
    if first is None:
        return None
    return "truth values" if isinstance(first, bool) else "texts"


def _first_value(values: pd.Series) -> Any:
    """The first value of a column; None if it is empty."""
    if len(values) and not pd.isna(values.iloc[0]):
        return values.iloc[0]
    place = values.first_valid_index()
    return None if place is None else values[place]


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not _is_bool(dtype)


def _is_bool(dtype: Any) -> bool:
    return pd.api.types.is_bool_dtype(dtype)


def _is_text(values: pd.Series) -> bool:
    return _kind(values) == "texts"


def _wrong_row(path: Path, layout: Layout) -> DataError | None:
    """The error of the first row with more or fewer cells than the others."""
    end = layout.first_line
    with open_rows(path, layout) as file:
        for cells, line in read_records(file, layout.separator):
            if len(cells) != layout.n_cells:
                start = end + 1
                end = layout.first_line + line
                if end > start and "\n" in cells[-1]:
                    return DataError(
                        f"{path}: expected {layout.n_cells} cells in every line, got {len(cells)} from line "
                        f"{start} to {end}, where a cell in quotes goes on; close the quote"
                    )
                return wrong_count(path, layout.separator, layout.n_cells, len(cells), end)
            end = layout.first_line + line
    return None


def _check_short_rows(path: Path, layout: Layout, n_rows: int) -> None:
    """Raise `DataError` if a row has fewer cells, which pandas would fill up.

    It does to count the separators outside quotes: that no row has more cells is known.
    """
    if layout.separator != BLANKS:
        n_separators = n_quotes = 0
        with open_rows(path, layout) as file:
            while block := file.read(1 << 20):
                # Quotes come in pairs: every other piece between them is outside.
                pieces = block.split('"')
                n_separators += "".join(pieces[n_quotes % 2 :: 2]).count(layout.separator)
                n_quotes += len(pieces) - 1
        if n_quotes % 2 == 0 and n_separators == n_rows * (layout.n_cells - 1):
            return
    if error := _wrong_row(path, layout):
        raise error


def _without_empty_end(
    path: Path, frame: pd.DataFrame, layout: Layout
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table without the last column, if it only stems from a separator at the end of each row."""
    if not layout.has_empty_end:
        return frame, layout.notes
    last = frame.iloc[:, -1]
    if last.notna().any():
        row = int(np.flatnonzero(last.notna())[0])
        raise DataError(
            f"{path}: expected a name for each of {layout.n_cells} columns, got none for the last, which "
            f"holds {str(last.iloc[row])!r} in row {row + 1}"
        )
    return frame.iloc[:, :-1], (*layout.notes, "an empty last column without a name left out")


def _stripped(frame: pd.DataFrame) -> pd.DataFrame:
    """The table without blanks around texts; blank texts become NaN."""
    for name in frame.columns:
        if _is_text(frame[name]):
            texts = frame[name].str.strip()
            blank = (texts == "").fillna(False).to_numpy(bool)
            frame[name] = texts.mask(blank) if blank.any() else texts
    return frame


_SAMPLE = 200
"""Cells of a column by which it is taken for numbers with units, signs or separators."""

_AFFIXES = r"[^\d.,+-]{0,6}"
_WRITTEN = re.compile(rf"{_AFFIXES}[+−-]?{_AFFIXES}(\d[\d.,]*|[.,]\d+){_AFFIXES}")
_COMMA_ONLY = re.compile(r"^\D*0*,\d|\d,\d{1,2}(?!\d)|,\d{4}|\.\d{3},\d|\d{4},\d")
_POINT_ONLY = re.compile(r"^\D*0*\.\d|\d\.\d{1,2}(?!\d)|\.\d{4}|,\d{3}\.\d|\d{4}\.\d")
"""Numbers in which a mark cannot separate thousands: fewer or more than three digits beside it."""


def _has_decimal_commas(frame: pd.DataFrame, texts: Collection[str]) -> bool:
    """Whether numbers of a column can only have decimal commas, and no column's only decimal points."""
    columns = [_written_numbers(frame[name]) for name in frame.columns if _is_text(frame[name])]
    if not any(_proves(_COMMA_ONLY, column) for column in columns):
        return False
    undeclared = [frame[name] for name in frame.columns if name not in texts and _is_text(frame[name])]
    return not any(_proves(_POINT_ONLY, _written_numbers(values)) for values in undeclared)


def _written_numbers(values: pd.Series) -> list[str]:
    """The different cells of a column that begins with numbers with units, signs or separators."""
    first = values.dropna().iloc[:_SAMPLE]
    if sum(_WRITTEN.fullmatch(cell) is not None for cell in first) < 0.9 * len(first) or not len(first):
        return []
    return [cell for cell in values.dropna().unique() if _WRITTEN.fullmatch(cell)]


def _proves(pattern: re.Pattern[str], cells: Iterable[str]) -> bool:
    # Dates such as 31.12.2024 and amounts such as 1.234.567 repeat the mark; decimal marks occur once.
    mark = "," if pattern is _COMMA_ONLY else "."
    return any(cell.count(mark) == 1 and pattern.search(cell) for cell in cells)


def _with_dots_as_text(
    path: Path, layout: Layout, frame: pd.DataFrame, texts: Collection[str]
) -> tuple[pd.DataFrame, str]:
    """The table with numbers such as 1.234 as text, and the decimal separator.

    Beside decimal commas, 1.234 means thousands, unless a number of the column is not grouped by threes.
    """
    floats = [str(name) for name in frame.columns if frame[name].dtype.kind == "f"]
    if not floats:
        return frame, ","
    written = pd.concat(_read_parts(path, layout, dict.fromkeys(floats, str), (), floats), ignore_index=True)
    with_dots = [name for name in floats if written[name].str.contains(".", regex=False, na=False).any()]
    if any(_proves(_POINT_ONLY, written[name].dropna().unique()) for name in with_dots):
        return frame, "."
    for name in with_dots:
        # Declared gaps are NaN in the frame already.
        frame[name] = written[name].str.strip().where(frame[name].notna())
    return frame, ","


def _with_gaps(frame: pd.DataFrame, na: Collection[str]) -> pd.DataFrame:
    """The table with NaN in cells that equal a text of `na`, or its number."""
    texts = {str(value).strip() for value in na}
    numbers = {number for text in texts if (number := _number(text)) is not None}
    for name in frame.columns:
        values = frame[name]
        if _is_number(values.dtype):
            gaps = values.isin(numbers)
        elif pd.api.types.is_string_dtype(values.dtype) or values.dtype == object:
            different = values.dropna().unique()
            gaps = values.isin(
                [v for v in different if isinstance(v, str) and (v in texts or _number(v) in numbers)]
            )
        else:
            continue
        if gaps.any():
            frame[name] = values.mask(gaps)
    return frame


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read_parquet(path: Path) -> pd.DataFrame:
    """As `pandas.read_parquet`, but the memory of each Arrow column is freed once it is converted."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(path, memory_map=True)
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            # Text that is no UTF-8 would otherwise raise only when it is used, long after.
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path}: column {name!r}: expected readable values, got: {error}") from None
    try:
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: expected columns as its pandas metadata says, got: {reason}") from None
    return frame


_T = TypeVar("_T")


def _reading(path: Path, read: Callable[[], _T]) -> _T:
    """The result of `read`; errors of parsers become `DataError`."""
    import pyarrow as pa

    try:
        return read()
    except DataError:
        raise
    except (UnicodeDecodeError, NulByteError):
        raise encoding_error(path) from None
    except (ValueError, OSError, EOFError, zlib.error, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a readable table, got: {' '.join(str(error).split())}") from None
