"""Tables in files: CSV and Parquet."""

from __future__ import annotations

import gzip
import os
import re
import warnings
import zlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nas.errors import DataError

_CSV_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz")
_PARQUET_ENDINGS = (".parquet", ".pq")


_ROWS = 250_000
"""Rows of a CSV file that are read at once: the parser takes several times what it returns."""


def read_table(path: str | Path, texts: Collection[str] = ()) -> pd.DataFrame:
    """The rows of a CSV or Parquet file; raises `DataError`.

    Columns named in `texts` are read as they are written, so that a category "01" stays that.
    """
    path = Path(path)
    if not os.path.isfile(path):  # noqa: PTH113 # False too where the name is one that no file can have
        got = "a folder" if os.path.isdir(path) else "no such file"  # noqa: PTH112 # likewise
        raise DataError(f"{path}: expected a CSV or Parquet file, got {got}")
    name = path.name.lower()
    if name.endswith(_PARQUET_ENDINGS):
        frame = _reading(path, lambda: _read_parquet(path))
    elif name.endswith(_CSV_ENDINGS):
        frame = _reading(path, lambda: _read_csv(path, texts))
    else:
        endings = ", ".join((*_CSV_ENDINGS, *_PARQUET_ENDINGS))
        raise DataError(f"{path}: expected a file that ends in {endings}, got {path.suffix or 'no ending'}")
    if frame.empty:
        raise DataError(f"{path}: expected a table with rows and columns, got {len(frame)} rows")
    frame.columns = [str(column) for column in frame.columns]
    return frame


def _read_csv(path: Path, texts: Collection[str]) -> pd.DataFrame:
    is_zipped = path.suffix.lower() == ".gz"
    with gzip.open(path, "rt", encoding="utf-8") if is_zipped else path.open(encoding="utf-8") as file:
        header = next((line for line in file if line.strip()), "")
    separator = max((",", ";", "\t"), key=re.sub('"[^"]*"', "", header).count)
    _check_header(path, separator)
    with warnings.catch_warnings():
        # Rows longer than the header would otherwise lose cells, or turn the first column into names.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        types = dict.fromkeys(texts, str)
        while True:
            with pd.read_csv(
                path,
                sep=separator,
                na_values=["?"],
                skipinitialspace=True,
                low_memory=False,
                index_col=False,
                dtype=types,
                chunksize=_ROWS,
            ) as reader:
                parts = list(reader)
            if not (unlike := _of_several_kinds(parts)):
                return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
            # What is a number here and text there is text, and was written in some way.
            del parts
            types |= dict.fromkeys(unlike, str)


def _of_several_kinds(parts: Sequence[pd.DataFrame]) -> list[str]:
    """Columns that are numbers in some parts of a table and something else in others."""
    return [str(name) for name in parts[0] if len({_is_number(part[name].dtype) for part in parts}) > 1]


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _read_parquet(path: Path) -> pd.DataFrame:
    """As `pandas.read_parquet` reads it, but with each column let go as soon as it is taken over."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(path, memory_map=True)
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            # Text that is no UTF-8 would be met only where it is looked at, long after.
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path}: column {name!r}: expected readable values, got: {error}") from None
    try:
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        what = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: expected columns as its pandas metadata says, got: {what}") from None
    return frame


def _check_header(path: Path, separator: str) -> None:
    """Raise `DataError` if a name comes twice, which pandas would cover up by renaming one."""
    first = pd.read_csv(
        path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False, skipinitialspace=True
    ).iloc[0]
    repeated = first[first.duplicated() & (first != "")]
    if len(repeated):
        raise DataError(f"{path}: expected column names that differ, got {repeated.iloc[0]!r} twice")


def _reading(path: Path, read: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The frame that `read` gives; the reader's own errors as `DataError`."""
    import pyarrow as pa

    try:
        return read()
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zlib.error, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a readable table, got: {' '.join(str(error).split())}") from None
