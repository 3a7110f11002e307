"""Tables in memory as pandas frames, and the names that a caller gives for their columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd

from nas.errors import DataError
from nas.runtime import column_text

_MOST_NAMES = 30
_MOST_COMMAS = 8
_LARGEST_EXACT = 2**53
"""The largest whole number up to which float64 holds all of them."""


def named_table(data: Any, what: str = "table") -> pd.DataFrame | None:
    """A table whose columns have names as a frame with text for names; None where they have none.

    Taken are frames of pandas and polars, Arrow tables and whatever gives its columns in Arrow's way,
    structured arrays, mappings and named tuples of columns, and lists of rows that are mappings, named
    tuples, data classes or series. Rows keep their order; an index is left out.

    Parameters
    ----------
    data : table
    what : str
        What it is called in errors.

    Raises
    ------
    DataError
        On sparse, lazy and consumable tables, columns of different length, names that come twice.
    """
    refuse_unreadable(data, what)
    frame = _named(data.collect() if type(data).__name__ == "LazyFrame" else data, what)
    if frame is None:
        return None
    frame = frame.reset_index(drop=True)
    frame.columns = [column_text(name) for name in frame.columns]
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(f"{what}: expected column names that differ, got {repeated[0]!r} twice")
    return plain_types(frame)


def _named(data: Any, what: str) -> pd.DataFrame | None:
    if isinstance(data, pd.DataFrame):
        return data
    if _is_arrow_like(data):
        return _frame_from_arrow(data, what)
    if getattr(getattr(data, "dtype", None), "names", None) and isinstance(data, np.ndarray):
        return _frame_of_columns({name: data[name] for name in data.dtype.names}, what)
    if isinstance(data, Mapping):
        return _frame_of_columns(data, what)
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return _frame_of_columns(dict(zip(data._fields, data, strict=True)), what)
    if isinstance(data, (list, tuple)) and data and all(map(_is_record, data)):
        return _named(np.array(data), what)
    if isinstance(data, (list, tuple)) and data and all(map(_is_named_row, data)):
        return pd.DataFrame([_row_by_name(row) for row in data])
    if hasattr(data, "to_pandas") and hasattr(data, "columns"):
        return pd.DataFrame(data.to_pandas())
    return None


def frame_of(values: Any, prefix: str, *, one_axis: bool = False) -> tuple[pd.DataFrame, bool]:
    """Features or targets as a frame, and whether their columns came with names.

    Columns without names are called by the prefix and their number, a series without a name by the prefix.

    Parameters
    ----------
    values : table, array, rows or series
    prefix : str
    one_axis : bool
        Whether values of shape (rows,) are taken as one column. A series always is.

    Raises
    ------
    DataError
        Also where rows differ in length, or values have another number of axes.
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
    return pd.DataFrame(_plain_array(array))


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
    """The values of one column as a series with rows numbered from 0; raises `DataError`."""
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    if isinstance(values, (pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(values)
    if hasattr(values, "to_pylist") or (hasattr(values, "to_arrow") and hasattr(values, "to_frame")):
        return _series_from_arrow(values)
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping, Set, Iterator)):
        raise DataError(f"{where}: expected a list or an array of values, got {_type_of(values)}")
    if getattr(values, "ndim", 1) != 1:
        shape: Any = getattr(values, "shape", "unknown")
        raise DataError(f"{where}: expected one value a row, got {_type_of(values)} of shape {shape}")
    if isinstance(values, np.ndarray) or hasattr(values, "__array__"):
        is_masked = isinstance(values, np.ma.MaskedArray)
        return pd.Series(_plain_array(values if is_masked else _array(values, where)))
    return pd.Series(list(values))


def _frame_of_columns(columns: Mapping[Any, Any], what: str) -> pd.DataFrame:
    """Columns side by side, by place: an index of one says nothing of another's."""
    series = [as_column(values, f"{what}: column {name!r}") for name, values in columns.items()]
    for name, one in zip(columns, series, strict=True):
        if len(one) != len(series[0]):
            first = next(iter(columns))
            raise DataError(
                f"{what}: expected columns of the same length, got {len(series[0])} values in {first!r} "
                f"and {len(one)} in {name!r}"
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


def refuse_unreadable(data: Any, what: str) -> None:
    """Raise `DataError` on what holds a table but cannot be read as one, with the way out."""
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
    raise DataError(f"{what}: expected a table in memory, got {_type_of(data)}; {way_out}")


def _type_of(data: Any) -> str:
    """The type of something as a person knows it."""
    module, name = type(data).__module__.partition(".")[0], type(data).__qualname__
    return name if module in ("builtins", "collections") else f"{module}'s {name}"


# Arrow, and whatever speaks it: polars, DuckDB, ...


def _is_arrow_like(data: Any) -> bool:
    # Of the type, as a lazy frame warns when it is asked for its columns.
    has_columns = any(hasattr(type(data), name) for name in ("columns", "column_names", "schema"))
    speaks = any(hasattr(type(data), name) for name in ("__arrow_c_stream__", "__dataframe__"))
    return has_columns and speaks and not isinstance(data, pd.DataFrame)


def _is_series(values: Any) -> bool:
    is_polars = hasattr(values, "to_arrow") and hasattr(values, "to_frame") and not hasattr(values, "columns")
    return isinstance(values, pd.Series) or is_polars


def _frame_from_arrow(data: Any, what: str) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow.interchange import from_dataframe

    try:
        speaks_arrow = hasattr(data, "__arrow_c_stream__")
        return _frame_from_table(pa.table(data) if speaks_arrow else from_dataframe(data))
    except Exception as error:  # noqa: BLE001 # whatever the other library raises
        reason = " ".join(str(error).split())
        raise DataError(f"{what}: expected a readable table, got {_type_of(data)}: {reason}") from None


def _frame_from_table(table: Any) -> pd.DataFrame:
    """Whole numbers and booleans keep their kind where they have gaps."""
    import pyarrow as pa

    nullable = {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get, date_as_object=False)
    return frame


def _series_from_arrow(values: Any) -> pd.Series[Any]:
    import pyarrow as pa

    values = values.to_frame().to_arrow().column(0) if hasattr(values, "to_frame") else values
    return _frame_from_table(pa.table({"values": values})).iloc[:, 0]


# Types.


def plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with columns of NumPy's own types wherever these hold the same values.

    Nullable and Arrow-backed numbers and booleans, sparse columns, numbers of the other byte order and of
    more than 64 bits, and text as bytes are turned; booleans with gaps stay nullable.
    """
    odd = {
        name: _plain_series(frame[name]) for name, dtype in frame.dtypes.items() if not _is_plain_type(dtype)
    }
    return frame.assign(**{str(name): values for name, values in odd.items()}) if odd else frame


def _is_plain_type(dtype: Any) -> bool:
    if isinstance(dtype, np.dtype):
        return dtype.isnative and dtype.kind != "S" and not (dtype.kind == "f" and dtype.itemsize > 8)
    return isinstance(dtype, (pd.CategoricalDtype, pd.DatetimeTZDtype))


def _plain_series(values: pd.Series[Any]) -> pd.Series[Any]:
    dtype: Any = values.dtype
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        arrow = _series_from_arrow(pa.array(values.array))
        return _plain_series(pd.Series(arrow.array, values.index, name=values.name))
    if isinstance(dtype, pd.StringDtype):
        return values.astype(object).where(values.notna(), None) if dtype.na_value is pd.NA else values
    if isinstance(dtype, pd.SparseDtype):
        return _plain_series(values.astype(dtype.subtype))
    if isinstance(dtype, np.dtype):
        if _is_plain_type(dtype):
            return values
        return pd.Series(_plain_array(values.to_numpy()), values.index, name=values.name)
    if hasattr(dtype, "numpy_dtype") and pd.api.types.is_numeric_dtype(dtype):
        return _without_mask(values, dtype.numpy_dtype)
    return values


def _without_mask(values: pd.Series[Any], dtype: np.dtype[Any]) -> pd.Series[Any]:
    """A nullable column as NumPy's type; gaps as NaN, or as None beside numbers that floats cannot hold."""
    if not values.hasnans:
        return values.astype(dtype)
    if dtype.kind == "b":
        return values
    if dtype.kind in "iu" and values.abs().max() > _LARGEST_EXACT:
        return values.astype(object).where(values.notna(), None)
    return pd.Series(values.to_numpy(np.float64, na_value=np.nan), values.index, name=values.name)


def _plain_array(values: Any) -> Any:
    """An array of a type that pandas computes with; anything else as it is."""
    if not isinstance(values, np.ndarray) or _is_plain_type(values.dtype):
        return values
    if values.dtype.kind == "S":
        try:
            return np.char.decode(values, "utf-8").astype(object)
        except UnicodeDecodeError:
            return values
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="))


def with_plain_targets(frame: pd.DataFrame, targets: Collection[str]) -> pd.DataFrame:
    """The table with targets that are objects, but all numbers or all booleans, as what they are."""
    plain = {}
    for name in targets:
        if frame[name].dtype == object:
            inferred = frame[name].infer_objects()
            if pd.api.types.is_numeric_dtype(inferred.dtype):
                plain[name] = inferred
    return frame.assign(**plain) if plain else frame


# Names.


def column_names(given: Any, columns: Collection[str], option: str) -> list[str]:
    """The columns that a caller names, each once.

    Text may name several, with commas between them: it is one name if there is such a column, otherwise
    pieces are joined to the longest names that there are. Quotes, as in CSV, keep a name together. Other
    names, as 4 or ("t", "y"), stand for the columns that they were before names became text.

    Parameters
    ----------
    given : text, name or several of them
    columns : collection of str
    option : str
        What the names were given for.

    Raises
    ------
    DataError
        If there is no such column.
    """
    known = {name.strip(): name for name in columns} | {name: name for name in columns}
    if isinstance(given, str):
        found = [given] if given in known else _joined(given, known, option)
        return list(dict.fromkeys(known[name] for name in found))
    found = []
    for name in _several(given, known):
        if column_text(name) not in known:
            raise _no_such_column(repr(name), known, option)
        found.append(known[column_text(name)])
    return list(dict.fromkeys(found))


def _several(given: Any, known: Collection[str]) -> list[Any]:
    """The names in a collection; a tuple may itself be a name."""
    if given is None:
        return []
    is_name = isinstance(given, tuple) and column_text(given) in known
    return [given] if is_name or not isinstance(given, Iterable) else list(given)


def possible_names(given: Any) -> list[str]:
    """Every name that `column_names` may find in what was given, of names with few commas."""
    if not isinstance(given, str):
        whole = [column_text(given)] if isinstance(given, tuple) and given else []
        return [*whole, *map(column_text, _several(given, ()))]
    pieces = _pieces(given)
    names = [given]
    for start in range(len(pieces)):
        for end in range(start + 1, min(len(pieces), start + 1 + _MOST_COMMAS) + 1):
            joined = ",".join(raw for raw, _ in pieces[start:end])
            names += [joined, joined.strip()]
    names += [unquoted for _, unquoted in pieces]
    return list(dict.fromkeys(name for name in names if name))


def _joined(text: str, known: Mapping[str, str], option: str) -> list[str]:
    """Names of columns that some text lists; see `column_names`."""
    pieces = _pieces(text)
    longest = 1 + max((name.count(",") for name in known), default=0)
    found = []
    start = 0
    while start < len(pieces):
        for end in range(min(len(pieces), start + longest), start, -1):
            joined = ",".join(raw for raw, _ in pieces[start:end])
            name = next((name for name in (joined, joined.strip()) if name in known), None)
            if name is not None:
                break
        else:
            name, end = pieces[start][1], start + 1
            if name not in known:
                got = repr(name) if name == text else f"{name!r} in {text!r}"
                raise _no_such_column(got, known, option)
        found.append(name)
        start = end
    return found


def _pieces(text: str) -> list[tuple[str, str]]:
    """What stands between commas outside of quotes, each as it is written and without blanks and quotes."""
    pieces = []
    rest: str | None = text
    while rest is not None:
        raw = _first_piece(rest)
        rest = rest[len(raw) + 1 :] if len(raw) < len(rest) else None
        bare = raw.strip()
        quoted = len(bare) > 1 and bare[0] == bare[-1] == '"'
        pieces.append((raw, bare[1:-1].replace('""', '"') if quoted else bare))
    return pieces


def _first_piece(text: str) -> str:
    if text.lstrip().startswith('"'):
        is_quoted = False
        for i, character in enumerate(text):
            if character == '"':
                is_quoted = not is_quoted
            elif character == "," and not is_quoted:
                return text[:i]
        if not is_quoted:
            return text
    return text.partition(",")[0]


def _no_such_column(got: str, known: Mapping[str, str], option: str) -> DataError:
    columns = list(dict.fromkeys(known.values()))
    more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    some = ", ".join(map(repr, columns[:_MOST_NAMES])) or "none"
    return DataError(f"{option}: expected names of the columns {some}{more}, got {got}")


def pair_of(data: Any) -> Sequence[Any] | None:
    """Features and target where they come apart, as two or in scikit-learn's Bunch; otherwise None."""
    if isinstance(data, (tuple, list)):
        return data if len(data) == 2 else None
    has_names = isinstance(data, (pd.DataFrame, np.ndarray)) or _is_arrow_like(data)
    if not has_names and hasattr(data, "data") and hasattr(data, "target"):
        return data.data, data.target
    return None
