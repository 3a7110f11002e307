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

from nas.network.arrays import Array, matmul_into, xp
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


def product(left: Array, right: Array, out: Array, *, alone: bool = False) -> list[Call]:
    """The calls for ``left @ right``, where each may be a matrix or a stack of as many.

    How a matrix of a stack is multiplied does not depend on how many there are, so that each gets the
    same value, bit for bit, whoever leaves. `alone`: there never was more than one.
    """
    if out.ndim == 2:
        left, right, out = left[xp.newaxis], right if right.ndim == 2 else right[xp.newaxis], out[xp.newaxis]
    rows, inner, columns = out.shape[1], left.shape[2], out.shape[2]
    if rows <= PANEL or not fits_cache(right):
        return [_one(left[0], _of(right, 0), out[0])] if alone else [_stacked(left, right, out)]
    whole = rows // PANEL * PANEL
    calls: list[Call] = []
    for i in range(len(out)):
        lefts = left[i][:whole].reshape(-1, PANEL, inner)
        outs = out[i][:whole].reshape(-1, PANEL, columns)
        calls.append(_stacked(lefts, _of(right, i), outs))
        if whole < rows:
            calls.append(_stacked(left[i][whole:], _of(right, i), out[i][whole:]))
    return calls


def _of(stack: Array, i: int) -> Array:
    """A matrix of a stack, or the one that all share."""
    return stack if stack.ndim == 2 else stack[i]


def _stacked(left: Array, right: Array, out: Array) -> Call:
    return matmul_into, (left, right, out)


def _one(left: Array, right: Array, out: Array) -> Call:
    # `dot` starts half a microsecond sooner, but copies operands with gaps and writes to none.
    if out.flags.c_contiguous and all(part.flags.forc for part in (left, right)):
        return xp.dot, (left, right, out)
    return _stacked(left, right, out)
