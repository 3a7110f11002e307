"""Tables in files: CSV and Parquet."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nas.errors import DataError

_CSV_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz")
_PARQUET_ENDINGS = (".parquet", ".pq")


def read_table(path: str | Path) -> pd.DataFrame:
    """The rows of a CSV or Parquet file; raises `DataError`."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: expected a CSV or Parquet file, got no such file")
    name = path.name.lower()
    if name.endswith(_PARQUET_ENDINGS):
        frame = _reading(path, lambda: pd.read_parquet(path))
    elif name.endswith(_CSV_ENDINGS):
        frame = _reading(path, lambda: _read_csv(path))
    else:
        endings = ", ".join((*_CSV_ENDINGS, *_PARQUET_ENDINGS))
        raise DataError(f"{path}: expected a file that ends in {endings}, got {path.suffix or 'no ending'}")
    if frame.empty:
        raise DataError(f"{path}: expected a table with rows and columns, got {len(frame)} rows")
    frame.columns = [str(column) for column in frame.columns]
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        header = file.readline()
    separator = max((",", ";", "\t"), key=header.count)
    with warnings.catch_warnings():
        # Rows longer than the header would otherwise lose cells, or turn the first column into names.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path, sep=separator, na_values=["?"], skipinitialspace=True, low_memory=False, index_col=False
        )


def _reading(path: Path, read: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The frame that `read` gives; the reader's own errors as `DataError`."""
    import pyarrow as pa

    try:
        return read()
    except (ValueError, OSError, EOFError, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a readable table, got: {' '.join(str(error).split())}") from None
