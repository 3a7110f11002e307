"""The array library that the engine runs on: this file alone of `network/` knows which it is.

The rest of the engine calls `xp` as one would NumPy: views, ufuncs with ``out=``, ``take``, and
stacked ``matmul``. Another library with those calls, such as CuPy, is a second entry here: its
module as `xp`, and its own form of the functions below. Random numbers, orders of rows and what is
recorded are always `host`'s, which is NumPy, so that seeds mean the same everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as host
from numpy.typing import DTypeLike, NDArray

LIBRARY = os.environ.get("NAS_ARRAY_LIBRARY", "numpy")
"""Which library: the environment's NAS_ARRAY_LIBRARY when the engine was imported."""

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
    "take_rows",
    "to_device",
    "to_host",
    "xp",
    "zeros",
]

Floats = NDArray[host.floating[Any]]
"""float32 where nothing else is said; float64 for gradient checks."""

Ints = NDArray[host.integer[Any]]
Array = NDArray[Any]

ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register. Measured: arithmetic on buffers that
begin at a multiple of it takes half the time of others (a third of Adam's)."""


def zeros(shape: int | Sequence[int], dtype: DTypeLike) -> Floats:
    """An array of zeros whose memory begins at a multiple of `ALIGNMENT` bytes."""
    kind = xp.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    n_bytes = kind.itemsize
    for length in shape:
        n_bytes *= length
    raw = xp.zeros(n_bytes + ALIGNMENT, xp.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_bytes].view(kind).reshape(shape)


def to_device(array: Array) -> Array:
    """An array of `host` as one of `xp`; the same one where they are the same library."""
    return array


def to_host(array: Array) -> Array:
    """An array of `xp` as one of `host`; the same one where they are the same library."""
    return array


matmul_into = xp.matmul
"""``matmul_into(left, right, out)``: products of stacks of matrices, into memory that may have gaps."""


def take_rows(table: Array, rows: Array, out: Array) -> None:
    """Rows of a table, by their numbers, into an array of their own."""
    # mode="clip" writes straight into `out`, where NumPy's default goes through a copy.
    table.take(rows, 0, out, "clip")


def largest(array: Floats) -> Floats:
    """The maximum over the first axis."""
    # Not the method of the same meaning, which takes a way through Python.
    result: Floats = xp.maximum.reduce(array)
    return result
