"""Matrix products, cut into the blocks that BLAS does fastest.

OpenBLAS has kernels for small products that read their operands where they lie, without packing
them first. Measured on one core with AVX-512, float32, in GFLOPS (``python -m benchmarks.engine``
has today's numbers):

- a product of 64 rows whose right operand fits the first-level cache: 150-160, a larger one, which is
  packed: 95-120 (batches of 32) to 145 (of 128); so the larger one is done 64 rows at a time;
- one whose right operand is a transposed view: 65-80; so that operand is copied first, where enough
  rows make up for the copy.

Which way a product goes follows from its shape alone.
"""

from __future__ import annotations

from nas.network.arrays import Array, xp
from nas.network.calls import Call

PANEL = 64
"""Rows of the left operand that are multiplied at once."""

CACHED = 12_288
"""Numbers of a right operand that stay in the first-level cache: 48 KiB in float32."""

TILE = 16
"""Rows that the kernels work on at once."""

LEAST = 96
"""Rows that a shared first layer has at least. OpenBLAS takes its kernel for small products up to 10^6
multiplications, and the two add up long sums in different orders: with fewer rows than this, a product
that is not done in panels could change from one to the other when a network leaves."""


def fits_cache(right: Array) -> bool:
    """Whether products by this right operand are done in panels."""
    inner, columns = right.shape[-2:]
    return bool(inner * columns <= CACHED)


def product(left: Array, right: Array, out: Array) -> list[Call]:
    """The calls for ``left @ right``, where each may be a matrix or a stack of as many."""
    if out.ndim == 3 and len(out) > 1:
        return [(xp.matmul, (left, right, out))]
    left, right, out = _matrix(left), _matrix(right), _matrix(out)
    rows = len(left)
    if rows <= PANEL or not fits_cache(right):
        return [_one(left, right, out)]
    whole = rows // PANEL * PANEL
    lefts = left[:whole].reshape(-1, PANEL, left.shape[1])
    outs = out[:whole].reshape(-1, PANEL, out.shape[1])
    calls: list[Call] = [(xp.matmul, (lefts, right, outs))]
    return calls if whole == rows else [*calls, _one(left[whole:], right, out[whole:])]


def _matrix(array: Array) -> Array:
    return array if array.ndim == 2 else array[0]


def _one(left: Array, right: Array, out: Array) -> Call:
    # `dot` starts half a microsecond sooner, but copies operands with gaps and writes to none.
    whole = out.flags.c_contiguous and all(part.flags.forc for part in (left, right))
    return (xp.dot if whole else xp.matmul), (left, right, out)
