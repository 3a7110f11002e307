"""Front scaling in a cohort: a trained factor of each input, in front of a member's first layer.

    Z = (W * s) X,   dW = dV * s,   ds = sum over outputs of dV * W,   where V = W * s

All members read the same batch, so that the factors multiply weights, not inputs: products are those of a
cohort without front scaling, on the weights V. They take a few operations on weights in place of some on
every row of a batch.
"""

from __future__ import annotations

from nas.network.arrays import Floats, sum_rows, xp, zeros
from nas.network.calls import Call
from nas.training.layout import Layout


class Front:
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
            calls += [
                (xp.multiply, (slopes, own, products)),
                (sum_rows, (products, gradient[run.scales].reshape(len(own), -1))),
                (xp.multiply, (slopes, _columns(self._parameters[run.scales], len(own)), slopes)),
            ]
        return calls


def _columns(scales: Floats, n_members: int) -> Floats:
    """Factors of the inputs of neighbours, of shape (members, 1, inputs)."""
    return scales.reshape(n_members, 1, -1)
