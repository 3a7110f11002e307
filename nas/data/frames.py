"""Tables in memory as pandas frames: of polars, Arrow, NumPy, mappings and lists of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd

from nas.data.plain_types import frame_from_arrow, plain_array, plain_types, series_from_arrow
from nas.errors import DataError
from nas.runtime import column_text


def named_table(data: Any, noun: str = "table") -> pd.DataFrame | None:
    """Convert a table with named columns to a frame with text for names; None if columns have no names.

    Accepted are frames of pandas and polars, Arrow tables and other objects with Arrow's interface,
    structured arrays, mappings and named tuples of columns, and lists of rows that are mappings, named
    tuples, data classes or series. Rows keep their order; an index is left out.

    Parameters
    ----------
    data : table
    noun : str
        What messages call the table.

    Raises
    ------
    DataError
        On sparse, distributed and consumable tables, columns of different length, and repeated names.
    """
    refuse_unreadable(data, noun)
    frame = _named(data.collect() if type(data).__name__ == "LazyFrame" else data, noun)
    if frame is None:
        return None
    frame = frame.reset_index(drop=True)
    frame.columns = [column_text(name) for name in frame.columns]
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(f"{noun}: expected column names that differ, got {repeated[0]!r} twice")
    return plain_types(frame)


def _named(data: Any, noun: str) -> pd.DataFrame | None:
    if isinstance(data, pd.DataFrame):
        return data
    if _is_arrow_like(data):
        return _frame_from_arrow(data, noun)
    if getattr(getattr(data, "dtype", None), "names", None) and isinstance(data, np.ndarray):
        return _frame_of_columns({name: data[name] for name in data.dtype.names}, noun)
    if isinstance(data, Mapping):
        return _frame_of_columns(data, noun)
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return _frame_of_columns(dict(zip(data._fields, data, strict=True)), noun)
    if isinstance(data, (list, tuple)) and data and all(map(_is_record, data)):
        return _named(np.array(data), noun)
    if isinstance(data, (list, tuple)) and data and all(map(_is_named_row, data)):
        return pd.DataFrame([_row_by_name(row) for row in data])
    if hasattr(data, "to_pandas") and hasattr(data, "columns"):
        return pd.DataFrame(data.to_pandas())
    return None


def frame_of(values: Any, prefix: str, *, one_axis: bool = False) -> tuple[pd.DataFrame, bool]:
    """Convert features or targets to a frame; return it, and whether the columns came with names.

    Columns without names are called by the prefix and their number, a series without a name by the prefix.

    Parameters
    ----------
    values : table, array, rows or series
    prefix : str
    one_axis : bool
        Whether values of shape (rows,) are accepted as a single column. A series always is.

    Raises
    ------
    DataError
        As `named_table`; also if rows differ in length, or values have another number of axes.
    """
    refuse_unreadable(values, prefix)
    if _is_series(values):
        has_name = getattr(values, "name", None) not in (None, "")
        name = column_text(values.name) if has_name else prefix
        return plain_types(as_column(values, prefix).to_frame(name)), has_name
    table = named_table(values, prefix)
    if table is not None:
        return table, True
    if one_axis and _has_one_axis(values):
        frame = as_column(values, prefix).to_frame()
    else:
        frame = _frame_of_rows(values, prefix)
    frame.columns = [f"{prefix}{i}" for i in range(frame.shape[1])]
    return plain_types(frame), False


def _has_one_axis(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return not any(_is_sized(value) for value in values)
    return getattr(values, "ndim", 1) == 1


def _is_sized(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes)) and np.ndim(value) > 0


def _frame_of_rows(values: Any, prefix: str) -> pd.DataFrame:
    array = values if isinstance(values, np.ma.MaskedArray) else _array(values, prefix)
    if array.ndim != 2:
        raise DataError(f"{prefix}: expected rows and columns, got an array of shape {array.shape}")
    if isinstance(values, (list, tuple)) and array.dtype.kind not in "biufc":
        # NumPy would turn numbers beside text, and gaps among it, into text.
        return pd.DataFrame([list(row) for row in values])
    return pd.DataFrame(plain_array(array))


def _array(values: Any, prefix: str) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(f"{prefix}: expected rows of the same length, got rows that differ") from None
    except (TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{prefix}: expected an array, got {_type_of(values)} that NumPy cannot read: {reason}"
        ) from None


def as_column(values: Any, where: str) -> pd.Series[Any]:
    """Convert the values of a column to a series with rows numbered from 0; raises `DataError`."""
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    if isinstance(values, (pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(values)
    if hasattr(values, "to_pylist") or (hasattr(values, "to_arrow") and hasattr(values, "to_frame")):
        return series_from_arrow(values)
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping, Set, Iterator)):
        raise DataError(f"{where}: expected a list or an array of values, got {_type_of(values)}")
    if getattr(values, "ndim", 1) != 1:
        shape: Any = getattr(values, "shape", "unknown")
        raise DataError(f"{where}: expected one value a row, got {_type_of(values)} of shape {shape}")
    if isinstance(values, np.ndarray) or hasattr(values, "__array__"):
        is_masked = isinstance(values, np.ma.MaskedArray)
        return pd.Series(plain_array(values if is_masked else _array(values, where)))
    return pd.Series(list(values))


def _frame_of_columns(columns: Mapping[Any, Any], noun: str) -> pd.DataFrame:
    """Columns side by side, row by row: indexes of series are ignored."""
    series = [as_column(values, f"{noun}: column {name!r}") for name, values in columns.items()]
    for name, column in zip(columns, series, strict=True):
        if len(column) != len(series[0]):
            first = next(iter(columns))
            raise DataError(
                f"{noun}: expected columns of the same length, got {len(series[0])} values in {first!r} "
                f"and {len(column)} in {name!r}"
            )
    frame = pd.DataFrame(dict(enumerate(series)))
    frame.columns = pd.Index(list(map(column_text, columns)), dtype=object)
    return frame


def _is_record(row: Any) -> bool:
    return isinstance(row, np.void) and row.dtype.names is not None


def _is_named_row(row: Any) -> bool:
    return (
        isinstance(row, (Mapping, pd.Series))
        or hasattr(row, "_fields")
        or (dataclasses.is_dataclass(row) and not isinstance(row, type))
    )


def _row_by_name(row: Any) -> dict[Any, Any]:
    if isinstance(row, (Mapping, pd.Series)):
        return {column_text(name): value for name, value in row.items()}
    names = row._fields if hasattr(row, "_fields") else [field.name for field in dataclasses.fields(row)]
    return {name: getattr(row, name) for name in names}


def refuse_unreadable(data: Any, noun: str) -> None:
    """Raise `DataError` on objects that hold a table but cannot be read as one, with the way out."""
    module = type(data).__module__.partition(".")[0]
    if hasattr(data, "toarray") and hasattr(data, "shape"):
        way_out = "`X.toarray()` makes it dense"
    elif module == "xarray":
        makes = "to_dataframe" if hasattr(data, "data_vars") else "to_numpy"
        way_out = f"`.{makes}()` makes a table of it"
    elif hasattr(data, "__dask_graph__"):
        way_out = "`.compute()` makes a table of it"
    elif hasattr(data, "toPandas"):
        way_out = "`.toPandas()` makes a table of it"
    elif isinstance(data, Iterator) and not _is_arrow_like(data):
        way_out = "`list(...)` makes rows of it"
    else:
        return
    raise DataError(f"{noun}: expected a table in memory, got {_type_of(data)}; {way_out}")


def _type_of(data: Any) -> str:
    """The type of an object for messages, with its package."""
    module, name = type(data).__module__.partition(".")[0], type(data).__qualname__
    return name if module in ("builtins", "collections") else f"{module}'s {name}"


def _is_arrow_like(data: Any) -> bool:
    # Attributes of the type: a lazy frame of polars warns on access to its columns.
    has_columns = any(hasattr(type(data), name) for name in ("columns", "column_names", "schema"))
    has_interface = any(hasattr(type(data), name) for name in ("__arrow_c_stream__", "__dataframe__"))
    return has_columns and has_interface and not isinstance(data, pd.DataFrame)


def _is_series(values: Any) -> bool:
    is_polars = hasattr(values, "to_arrow") and hasattr(values, "to_frame") and not hasattr(values, "columns")
    return isinstance(values, pd.Series) or is_polars


def _frame_from_arrow(data: Any, noun: str) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow.interchange import from_dataframe

    try:
        has_stream = hasattr(data, "__arrow_c_stream__")
        return frame_from_arrow(pa.table(data) if has_stream else from_dataframe(data))
    except Exception as error:  # noqa: BLE001 # whatever the other library raises
        reason = " ".join(str(error).split())
        raise DataError(f"{noun}: expected a readable table, got {_type_of(data)}: {reason}") from None


def pair_of(data: Any) -> Sequence[Any] | None:
    """Features and target of a pair, or of scikit-learn's Bunch; None for other objects."""
    if isinstance(data, (tuple, list)):
        return data if len(data) == 2 else None
    has_names = isinstance(data, (pd.DataFrame, np.ndarray)) or _is_arrow_like(data)
    if not has_names and hasattr(data, "data") and hasattr(data, "target"):
        return data.data, data.target
    return None
