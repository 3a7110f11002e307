"""Units of hidden layers beyond an activation, in a cohort: parametric activations, skips, layer norm.

    H = Z + b (phi(Z) - Z),   dZ = (1 - b) dH + b dH phi'(Z),   db = sum over rows of dH (phi(Z) - Z)
    A_l = H_l + g A_(l-1),    dA_(l-1) += g dA_l,               dg = sum over rows of dA_l A_(l-1)

See `nas.network.units` for what they are. Blends are one operation over a run of neighbours with the same
activation, gains one over a stack. Blends of rows of ones and of padding are 0, and gains beyond a member's
own widths too: such rows stay what they are, and these numbers get no gradient. Layer norm leaves padding
at 0, and takes means over a member's own units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, sum_columns, sum_rows, xp
from nas.network.calls import Call
from nas.network.units import NORM_EPSILON

BLEND_CALLS = 8
"""Calls of a step for a run with blends, beside its activation's; each is an operation on every unit."""

SKIP_CALLS = 6
"""Calls of a step for a stack with skip connections; each is an operation on every unit that it adds to."""

NORM_CALLS = 19
"""Calls of a step for neighbours with layer norm; about half of them are operations on every unit."""

New = Callable[[Sequence[int]], Floats]
"""Memory of a shape."""


class ParametricRun:
    """Adjacent rows with the same parametric activation, for batches of a fixed number of rows.

    Parameters
    ----------
    name : str
        The activation.
    z, a : float arrays of shape (units, rows)
        Linear outputs, which are kept, and memory for the outputs.
    blends : float array of shape (units,)
    new : callable
    """

    def __init__(self, name: str, z: Floats, a: Floats, blends: Floats, new: New) -> None:
        self._activation, self._z, self._a = ACTIVATIONS[name], z, a
        self._blends = blends.reshape(-1, 1)
        self._values, self._difference, self._through = (new(z.shape) for _ in range(3))

    def forward(self, gate: Floats | None) -> list[Call]:
        """The calls from linear outputs to outputs."""
        z, a, difference = self._z, self._a, self._difference
        return [
            *self._activation.lay_out_forward(z.reshape(-1), self._values.reshape(-1), gate),
            (xp.subtract, (self._values, z, difference)),
            (xp.multiply, (difference, self._blends, a)),
            (xp.add, (a, z, a)),
        ]

    def backward(self, slopes: Floats, by_blends: Floats, gate: Floats | None) -> list[Call]:
        """The calls that turn the gradient by outputs into that by linear outputs, in place."""
        through = self._through
        dh, z, h = through.reshape(-1), self._z.reshape(-1), self._values.reshape(-1)
        return [
            (xp.multiply, (slopes, self._difference, self._difference)),
            (sum_columns, (self._difference, by_blends)),
            (xp.multiply, (slopes, self._blends, through)),
            (xp.subtract, (slopes, through, slopes)),
            *self._activation.lay_out_backward(dh, z, h, gate),
            (xp.add, (slopes, through, slopes)),
        ]


class SkipStack:
    """The skip connections of neighbours of equal shape, for batches of a fixed number of rows.

    Parameters
    ----------
    read : float array of shape (members, inputs, rows)
        The outputs of the layer before.
    gains : float array of shape (members · n,)
        For the first n units of each member.
    new : callable
    """

    def __init__(self, read: Floats, gains: Floats, new: New) -> None:
        self._gains = gains.reshape(len(read), -1, 1)
        self._n = self._gains.shape[1]
        self._read = read[:, : self._n]
        self._product = new(self._read.shape)

    def forward(self, outputs: Floats) -> list[Call]:
        """The calls that add to a layer's outputs, of shape (members, units, rows)."""
        own = outputs[:, : self._n]
        return [
            (xp.multiply, (self._read, self._gains, self._product)),
            (xp.add, (own, self._product, own)),
        ]

    def backward(self, slopes: Floats, by_gains: Floats) -> list[Call]:
        """The calls for the gradient by gains; they keep that by the layer before for `add_to`."""
        own = slopes[:, : self._n]
        return [
            (xp.multiply, (own, self._read, self._product)),
            (sum_columns, (self._product, by_gains.reshape(len(own), -1))),
            (xp.multiply, (own, self._gains, self._product)),
        ]

    def add_to(self, slopes: Floats) -> Call:
        """The call that adds to the gradient by the layer before, of shape (members, inputs, rows)."""
        own = slopes[:, : self._n]
        return xp.add, (own, self._product, own)


class LayerNorm:
    """Layer norm of neighbours of equal shape, for batches of a fixed number of rows.

    Parameters
    ----------
    z : float array of shape (members, units, rows)
        Linear outputs, which it replaces.
    widths : sequence of int
        Each member's own units, which come first; the others are padding.
    new : callable
    """

    def __init__(self, z: Floats, widths: Sequence[int], new: New) -> None:
        self._z, self._scratch = z, new(z.shape)
        of_rows = (len(z), 1, z.shape[2])
        self._mean, self._factors, self._dot = new(of_rows), new(of_rows), new(of_rows)
        self._share, self._own = new((len(z), 1, 1)), new((*z.shape[:2], 1))
        for i, width in enumerate(widths):
            self._share[i] = 1 / width
            self._own[i, :width] = 1
        self._is_padded = any(width < z.shape[1] for width in widths)
        self._numbers = new((2,))
        self._numbers[0], self._numbers[1] = NORM_EPSILON, 1

    def forward(self) -> list[Call]:
        """The calls that normalize."""
        z, scratch, mean, factors = self._z, self._scratch, self._mean, self._factors
        epsilon, one = (self._numbers[i : i + 1].reshape(()) for i in range(2))
        return [
            *self._averaged(z, mean),
            (xp.subtract, (z, mean, z)),
            *self._unpadded(z),
            (xp.multiply, (z, z, scratch)),
            *self._averaged(scratch, factors),
            (xp.add, (factors, epsilon, factors)),
            (xp.sqrt, (factors, factors)),
            (xp.divide, (one, factors, factors)),
            (xp.multiply, (z, factors, z)),
        ]

    def backward(self, slopes: Floats) -> list[Call]:
        """The calls that turn the gradient by the results into that by linear outputs, in place."""
        z, scratch = self._z, self._scratch
        return [
            *self._averaged(slopes, self._mean),
            (xp.multiply, (slopes, z, scratch)),
            *self._averaged(scratch, self._dot),
            (xp.multiply, (z, self._dot, scratch)),
            (xp.subtract, (slopes, self._mean, slopes)),
            (xp.subtract, (slopes, scratch, slopes)),
            (xp.multiply, (slopes, self._factors, slopes)),
            *self._unpadded(slopes),
        ]

    def _averaged(self, values: Floats, out: Floats) -> list[Call]:
        """The means over a member's own units; padding is 0."""
        return [(sum_rows, (values, out[:, 0])), (xp.multiply, (out, self._share, out))]

    def _unpadded(self, values: Floats) -> list[Call]:
        """The call that sets padding to 0, where there is any."""
        return [(xp.multiply, (values, self._own, values))] if self._is_padded else []
