"""What lies in front of the first layers of a cohort: factors of the inputs, and waves.

Front scaling, a trained factor of each input:

    Z = (W * s) X,   dW = dV * s,   ds = sum over outputs of dV * W,   where V = W * s

All members read the same batch, so that the factors multiply weights, not inputs: products are those of a
cohort without front scaling, on the weights V. They take a few operations on weights in place of some on
every row of a batch.

Waves of a periodic encoding (`nas.network.waves`) are a member's own: it adds what its first layer makes of
them to its rows of the product that all share, so that this product is the same without them.
"""

from __future__ import annotations

from collections.abc import Callable

from nas.network.arrays import Floats, Ints, matmul_into, sum_rows, take_rows, xp, zeros
from nas.network.calls import Call
from nas.network.waves import N_SUMS, N_WAVES, TURN
from nas.training.layout import Layout
from nas.training.views import waves_of

Product = Callable[[Floats, Floats, Floats], list[Call]]
"""The calls for a matrix product: left and right operand, and its memory."""


class FrontScaling:
    """The weights by which inputs are multiplied, and the calls that compute them and their gradient.

    Parameters
    ----------
    layout : Layout
    parameters : float array of shape (layout.size,)

    Attributes
    ----------
    weights : float array of shape (layout.size,)
        In the places of layers that read the inputs: V. `parameters` itself without front scaling.
    forward : list of Call
        Fills `weights`.
    """

    def __init__(self, layout: Layout, parameters: Floats) -> None:
        self._layout, self._parameters = layout, parameters
        self._runs = list(layout.front_runs())
        self.forward: list[Call] = []
        self.weights = parameters
        if not self._runs:
            return
        # Only the first layers' part of it is ever written, and takes memory.
        self.weights = zeros(layout.size, parameters.dtype)
        for run in self._runs:
            own, read = (flat[run.numbers].reshape(run.shape) for flat in (parameters, self.weights))
            if run.scales.start == run.scales.stop:
                self.forward.append((xp.copyto, (read, own)))
                continue
            # Biases are not multiplied, but the product reads them beside the weights: they are copied.
            scales = _columns(parameters[run.scales], len(own))
            self.forward.append((xp.multiply, (own[..., :-1], scales, read[..., :-1])))
            self.forward.append((xp.copyto, (read[..., -1], own[..., -1])))

    def backward(self, gradient: Floats) -> list[Call]:
        """The calls that turn the gradient by `weights` into that by weights and factors."""
        calls: list[Call] = []
        for run in self._runs:
            if run.scales.start == run.scales.stop:
                continue
            own, slopes = (
                flat[run.numbers].reshape(run.shape)[..., :-1] for flat in (self._parameters, gradient)
            )
            products = zeros(own.shape, own.dtype)
            # The gradient by the factors needs that by V, which the last call turns into that by W.
            calls += [
                (xp.multiply, (slopes, own, products)),
                (sum_rows, (products, gradient[run.scales].reshape(len(own), -1))),
                (xp.multiply, (slopes, _columns(self._parameters[run.scales], len(own)), slopes)),
            ]
        return calls


def _columns(scales: Floats, n_members: int) -> Floats:
    """Factors of the inputs of neighbours, of shape (members, 1, inputs)."""
    return scales.reshape(n_members, 1, -1)


class MemberWaves:
    """The waves of a member on batches of a fixed number of rows, and what its first layer makes of them.

    Parameters
    ----------
    layout : Layout
    member : int
    parameters : float array of shape (layout.size,)
    x : float array of shape (numbers, rows)
        The numbers of the batch, see `numbers_of`.
    product : callable
    """

    def __init__(self, layout: Layout, member: int, parameters: Floats, x: Floats, product: Product) -> None:
        self._layout, self._member, self._x, self._product = layout, member, x, product
        self._own = waves_of(layout, parameters, member)
        (n, rows), kind = x.shape, x.dtype
        # Angles and waves are both kept: the backward pass takes the sines of angles, in their own memory.
        self._angles, self._waves = zeros((n, N_WAVES, rows), kind), zeros((n, N_WAVES, rows), kind)
        self._sums = zeros((n, N_SUMS, rows), kind)
        self._added = zeros((len(self._own.weights), rows), kind)
        self._rates = zeros((n, N_WAVES), kind)
        self._turn = xp.asarray(TURN, kind)

    def forward(self, linear: Floats) -> list[Call]:
        """The calls that add to the first layer's linear outputs, of shape (outputs, rows)."""
        own, column = self._own, self._x[:, xp.newaxis]
        return [
            (xp.multiply, (own.frequencies, self._turn, self._rates)),
            (xp.multiply, (column, self._rates[..., xp.newaxis], self._angles)),
            (xp.add, (self._angles, own.phases[..., xp.newaxis], self._angles)),
            (xp.cos, (self._angles, self._waves)),
            (matmul_into, (own.sums, self._waves, self._sums)),
            *self._product(own.weights, _flat(self._sums), self._added),
            (xp.add, (linear, self._added, linear)),
        ]

    def backward(self, slopes: Floats, gradient: Floats) -> list[Call]:
        """The calls that fill the gradient, from that by linear outputs, of shape (outputs, rows)."""
        own, new = self._own, waves_of(self._layout, gradient, self._member)
        of_sums, of_waves = zeros(self._sums.shape, slopes.dtype), zeros(self._waves.shape, slopes.dtype)
        minus = xp.full((self._x.shape[1], 1), -1, slopes.dtype)
        return [
            *self._product(slopes, _flat(self._sums).T, new.weights),
            *self._product(own.weights.T, slopes, _flat(of_sums)),
            (matmul_into, (of_sums, self._waves.swapaxes(-1, -2), new.sums)),
            (matmul_into, (own.sums.swapaxes(-1, -2), of_sums, of_waves)),
            # cos' = -sin: the sign goes into the sums over rows.
            (xp.sin, (self._angles, self._angles)),
            (xp.multiply, (self._angles, of_waves, of_waves)),
            (matmul_into, (of_waves, minus, new.phases[..., xp.newaxis])),
            (matmul_into, (of_waves, self._x[..., xp.newaxis], new.frequencies[..., xp.newaxis])),
            (xp.multiply, (new.frequencies, -self._turn, new.frequencies)),
        ]


def numbers_of(columns: Floats, places: Ints, out: Floats) -> Call:
    """The call that copies the numbers with waves out of a batch, of shape (inputs + 1, rows)."""
    return take_rows, (columns, places, out)


def _flat(sums: Floats) -> Floats:
    """Sums as rows, of shape (numbers · sums, rows)."""
    return sums.reshape(-1, sums.shape[-1])
