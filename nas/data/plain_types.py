"""Columns of a frame in NumPy's own types, wherever these hold the same values."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

_LARGEST_EXACT = 2**53
"""The largest whole number up to which float64 holds all of them."""


def plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with columns of NumPy's own types wherever these hold the same values.

    Nullable and Arrow-backed numbers and booleans, sparse columns, numbers of the other byte order and of
    more than 64 bits, and text as bytes are converted; booleans with gaps stay nullable.
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

        arrow = series_from_arrow(pa.array(values.array))
        return _plain_series(pd.Series(arrow.array, values.index, name=values.name))
    if isinstance(dtype, pd.StringDtype):
        return values.astype(object).where(values.notna(), None) if dtype.na_value is pd.NA else values
    if isinstance(dtype, pd.SparseDtype):
        return _plain_series(values.astype(dtype.subtype))
    if isinstance(dtype, np.dtype):
        if _is_plain_type(dtype):
            return values
        return pd.Series(plain_array(values.to_numpy()), values.index, name=values.name)
    if hasattr(dtype, "numpy_dtype") and pd.api.types.is_numeric_dtype(dtype):
        return _without_mask(values, dtype.numpy_dtype)
    return values


def _without_mask(values: pd.Series[Any], dtype: np.dtype[Any]) -> pd.Series[Any]:
    """A nullable column in NumPy's type: gaps become NaN, or None beside numbers that float64 cannot hold."""
    if not values.hasnans:
        return values.astype(dtype)
    if dtype.kind == "b":
        return values
    if dtype.kind in "iu" and values.abs().max() > _LARGEST_EXACT:
        return values.astype(object).where(values.notna(), None)
    return pd.Series(values.to_numpy(np.float64, na_value=np.nan), values.index, name=values.name)


def plain_array(values: Any) -> Any:
    """An array in a type that pandas computes with; other objects unchanged."""
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
    """The table with targets of dtype object, but all numbers or all booleans, in NumPy's type for these."""
    plain = {}
    for name in targets:
        if frame[name].dtype == object:
            inferred = frame[name].infer_objects()
            if pd.api.types.is_numeric_dtype(inferred.dtype):
                plain[name] = inferred
    return frame.assign(**plain) if plain else frame


def frame_from_arrow(table: Any) -> pd.DataFrame:
    """An Arrow table as a frame; whole numbers and booleans with gaps become nullable columns."""
    import pyarrow as pa

    nullable = {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get, date_as_object=False)
    return frame


def series_from_arrow(values: Any) -> pd.Series[Any]:
    """An array of Arrow, or a series of polars, as a series of pandas."""
    import pyarrow as pa

    values = values.to_frame().to_arrow().column(0) if hasattr(values, "to_frame") else values
    return frame_from_arrow(pa.table({"values": values})).iloc[:, 0]
