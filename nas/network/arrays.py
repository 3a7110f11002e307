"""The array library that networks run on, and the types of arrays; no other file names the library.

All other files call `xp` in the manner of NumPy: views, ufuncs with ``out=``, ``take``, and
stacked ``matmul``. Another library with those calls, such as CuPy, is a second entry here: its
module as `xp`, and its own form of the functions below. Random numbers, orders of rows and records
are always arrays of `host`, which is NumPy, so that a seed means the same on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as host
from numpy.typing import DTypeLike, NDArray

LIBRARY = os.environ.get("NAS_ARRAY_LIBRARY", "numpy")
"""The library's name: NAS_ARRAY_LIBRARY of the environment at import."""

if LIBRARY == "numpy":
    import numpy as xp
else:
    raise ImportError(f"NAS_ARRAY_LIBRARY: expected numpy, got {LIBRARY!r}")

__all__ = [
    "ALIGNMENT",
    "LIBRARY",
    "Array",
    "DTypeLike",
    "Floats",
    "Ints",
    "host",
    "largest",
    "matmul_into",
    "sum_columns",
    "sum_members",
    "sum_rows",
    "take_rows",
    "to_device",
    "to_host",
    "xp",
    "zeros",
]

Floats = NDArray[host.floating[Any]]
"""Floating-point numbers: float32, unless a docstring says otherwise; float64 for gradient checks."""

Ints = NDArray[host.integer[Any]]
"""Whole numbers: row numbers, class numbers, counts."""

Array = NDArray[Any]
"""Any element type: numbers, booleans, text or objects."""

ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register. Measured: arithmetic on buffers that
begin at a multiple of it takes half the time of arithmetic on others, a step of Adam a third less."""


def zeros(shape: int | Sequence[int], dtype: DTypeLike) -> Floats:
    """An array of zeros that begins at a multiple of `ALIGNMENT` bytes."""
    kind = xp.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    n_bytes = kind.itemsize
    for length in shape:
        n_bytes *= length
    # NumPy aligns to 16 bytes only: a little more memory, of which a view starts at the right byte.
    raw = xp.zeros(n_bytes + ALIGNMENT, xp.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_bytes].view(kind).reshape(shape)


def to_device(array: Array) -> Array:
    """An array of `host` as an array of `xp`: the same object if both are NumPy."""
    return array


def to_host(array: Array) -> Array:
    """An array of `xp` as an array of `host`: the same object if both are NumPy."""
    return array


matmul_into = xp.matmul
"""``matmul_into(left, right, out)``: products of stacks of matrices, into memory that may have gaps."""


def take_rows(table: Array, rows: Array, out: Array) -> None:
    """Copy rows of a table, by their numbers, into `out`, of shape (rows, columns)."""
    # mode="clip" writes straight into `out`, where NumPy's default goes through a copy.
    table.take(rows, 0, out, "clip")


def largest(array: Floats) -> Floats:
    """The maximum over the first axis."""
    # The method `array.max` does the same by way of Python code, and takes longer to start.
    result: Floats = xp.maximum.reduce(array)
    return result


def sum_rows(array: Floats, out: Floats) -> None:
    """The sums over the last axis but one, into `out`."""
    xp.add.reduce(array, -2, None, out=out)


def sum_columns(array: Floats, out: Floats) -> None:
    """The sums over the last axis, into `out`."""
    xp.add.reduce(array, -1, None, out=out)


def sum_members(array: Floats, out: Floats) -> None:
    """The sums over the first axis, into `out`."""
    xp.add.reduce(array, 0, None, out=out)
