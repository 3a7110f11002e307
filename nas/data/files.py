"""Tables in files: CSV and Parquet."""

from __future__ import annotations

import gzip
import os
import re
import warnings
import zlib
from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

from nas.errors import DataError

_CSV_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz")
_PARQUET_ENDINGS = (".parquet", ".pq")


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
        frame = _reading(path, lambda: pd.read_parquet(path))
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
        return pd.read_csv(
            path,
            sep=separator,
            na_values=["?"],
            skipinitialspace=True,
            low_memory=False,
            index_col=False,
            dtype=dict.fromkeys(texts, str),
        )


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
