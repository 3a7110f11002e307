"""What the BLAS of this machine keeps to the last bit."""

from __future__ import annotations

import numpy as np


def rows_are_alike() -> bool:
    """Whether BLAS gives a row of a wide product the same bits wherever in it the row stands.

    OpenBLAS does so with its AVX-512 kernels; with those for AVX2, which it takes on other processors,
    the last bit of a sum depends on that.
    """
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=shape).astype(np.float32) for shape in ((200, 100), (100, 32)))
    return bool(np.array_equal((left @ right)[5:133], left[5:133] @ right))
