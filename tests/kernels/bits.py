"""Random arrays with every kind of number, and comparisons of them to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from nas import kernels
from nas.network.arrays import Array, Floats, zeros
from nas.network.calls import Call, run

Rng = np.random.Generator


@contextmanager
def environment(choice: str | None) -> Iterator[None]:
    """Inside, loops are loaded as NAS_KERNELS says."""
    with pytest.MonkeyPatch.context() as patch:
        if choice is None:
            patch.delenv("NAS_KERNELS", raising=False)
        else:
            patch.setenv("NAS_KERNELS", choice)
        kernels.unload()
        try:
            kernels.load()
            yield
        finally:
            kernels.unload()


def numbers(rng: Rng, shape: int | tuple[int, ...], dtype: Any) -> Floats:
    """Numbers of all sizes: half of them ordinary, the others zeros, denormals, largest, infinite or NaN."""
    result = zeros(shape, dtype)
    info = np.finfo(dtype)
    ordinary = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, shape)
    special = np.array(
        [0, 0, 1, info.tiny, info.smallest_subnormal, info.tiny / 3, info.eps, info.max, np.inf, np.nan]
    )
    signs = rng.choice([-1, 1], shape)
    # Half of the arrays have no numbers from which nothing but NaN follows.
    n = len(special) if rng.random() < 0.5 else len(special) - 3
    with np.errstate(all="ignore"):
        result[...] = np.where(
            rng.random(shape) < 0.5, ordinary, signs * special[rng.integers(n, size=shape)]
        )
    return result


def assert_same_bits(got: Array, expected: Array, what: object = "") -> None:
    """Equal to the last bit, signs of zeros included; of NaN only that it is one."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    bits = {2: np.uint16, 4: np.uint32, 8: np.uint64}[got.dtype.itemsize]
    got, expected = np.ascontiguousarray(got), np.ascontiguousarray(expected)
    same = (got.view(bits) == expected.view(bits)) | (np.isnan(got) & np.isnan(expected))
    if not same.all():
        where = np.flatnonzero(~same.ravel())[:4]
        pytest.fail(f"{what}: got {got.ravel()[where]}, expected {expected.ravel()[where]} at {where}")


def is_loop(call: Call) -> bool:
    return hasattr(call[0], "restype")  # a function of ctypes


def run_laid_out(lay_out: Callable[[], list[Call]]) -> bool:
    """Run calls as they are laid out now; returns whether a loop is among them."""
    calls = lay_out()
    run(calls)
    return any(map(is_loop, calls))
