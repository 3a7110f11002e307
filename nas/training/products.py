"""Matrix products, cut into the blocks that BLAS does fastest.

OpenBLAS has kernels for small products that read their operands in place, without packing
them first. Measured on one core with AVX-512, float32, in GFLOPS (``python -m benchmarks.engine``
measures them again):

    right operand                    GFLOPS
    fits the first-level cache       150 to 160, with 64 rows on the left
    larger, packed by BLAS           95 to 120 for batches of 32, 145 for batches of 128
    transposed view                  65 to 80

So a product by an operand that fits the cache is done 64 rows at a time; and a transposed operand is
copied first if enough rows make up for the copy. The choice follows from the shapes.
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
multiplications, and the two kernels add up long sums in different orders: with fewer rows than this, a
product that is not done in panels could change from one kernel to the other when a network leaves."""


def fits_cache(right: Array) -> bool:
    """Whether products by this right operand are done in panels."""
    inner, columns = right.shape[-2:]
    return bool(inner * columns <= CACHED)


def product(A: Array, B: Array, out: Array, *, solo: bool = False) -> list[Call]:
    """The calls for ``A @ B``, of matrices or of stacks of as many matrices.

    How a matrix of a stack is multiplied does not depend on their number, so that each gets the
    same value, bit for bit, when other networks leave.

    Parameters
    ----------
    A, B : arrays of shape ([matrices,] rows, inner) and ([matrices,] inner, columns)
    out : array of shape ([matrices,] rows, columns)
    solo : bool
        Whether there is one network only, so that a call with less overhead may be taken.
    """
    # A single matrix is a stack of one matrix; `B` stays a matrix if all members share it.
    if out.ndim == 2:
        A, B, out = A[xp.newaxis], B if B.ndim == 2 else B[xp.newaxis], out[xp.newaxis]
    rows, inner, columns = out.shape[1], A.shape[2], out.shape[2]
    if rows <= PANEL or not fits_cache(B):
        return [_single(A[0], _matrix(B, 0), out[0])] if solo else [_stacked(A, B, out)]
    # Rows of whole panels, and a rest of fewer rows.
    whole = rows // PANEL * PANEL
    calls: list[Call] = []
    for i in range(len(out)):
        # The panels of one matrix are a stack by themselves: one call for all of them.
        panels = A[i][:whole].reshape(-1, PANEL, inner)
        outs = out[i][:whole].reshape(-1, PANEL, columns)
        calls.append(_stacked(panels, _matrix(B, i), outs))
        if whole < rows:
            # Not padded to a panel: the operands are views, with other units below them.
            calls.append(_stacked(A[i][whole:], _matrix(B, i), out[i][whole:]))
    return calls


def _matrix(stack: Array, i: int) -> Array:
    """A matrix of a stack, or the matrix that all members share."""
    return stack if stack.ndim == 2 else stack[i]


def _stacked(A: Array, B: Array, out: Array) -> Call:
    return matmul_into, (A, B, out)


def _single(A: Array, B: Array, out: Array) -> Call:
    # `dot` starts half a microsecond sooner, but copies operands with gaps and cannot write to such outputs.
    if out.flags.c_contiguous and all(operand.flags.forc for operand in (A, B)):
        return xp.dot, (A, B, out)
    return _stacked(A, B, out)
