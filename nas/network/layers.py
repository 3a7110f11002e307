"""Layers of a trained network under change, and the statistics of their units, for `nas.network.morphism`.

Nothing here sees data: inputs count as standardized, and units as normal and independent. So a unit's mean
and standard deviation follow from the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, host, to_device, to_host, xp

N_NODES = 32
"""Nodes of the quadrature: exact for polynomials of degree 63, and in 1e-3 for the kinks of relu."""

NODES, NODE_WEIGHTS = host.polynomial.hermite_e.hermegauss(N_NODES)
NODE_WEIGHTS /= NODE_WEIGHTS.sum()
"""Means over a standard normal number are weighted sums over these nodes (Gauss-Hermite quadrature)."""

LEAST_VARIANCE = 1e-12
"""A constant unit counts as varying by this much, so that lines through it have a slope."""


@dataclass(slots=True)
class Layer:
    """A layer under change: its activation, "identity" for the outputs, and its numbers.

    `numbers` are parameters and moments, of shape (1 + moments, inputs + 1, outputs); the last row holds the
    biases. Moments of new parameters are NaN until they are estimated.
    """

    name: str
    numbers: Floats

    @property
    def weights(self) -> Floats:
        """A view of shape (inputs, outputs)."""
        weights: Floats = self.numbers[0, :-1]
        return weights

    @property
    def biases(self) -> Floats:
        """A view of shape (outputs,)."""
        biases: Floats = self.numbers[0, -1]
        return biases


def empty_numbers(layer: Layer, n_inputs: int) -> Floats:
    """Numbers for a layer with the same biases and so many inputs; weights and their moments are NaN."""
    numbers = host.full((len(layer.numbers), n_inputs + 1, layer.numbers.shape[-1]), host.nan)
    numbers[:, -1] = layer.numbers[:, -1]
    return numbers


def linear_outputs(layers: Sequence[Layer]) -> tuple[Floats, Floats]:
    """Means and standard deviations, of shape (units,), of the last layer's linear outputs."""
    n_inputs = len(layers[0].weights)
    means, variances = host.zeros(n_inputs), host.ones(n_inputs)
    for i, layer in enumerate(layers):
        if i:
            values = values_at_nodes(layers[i - 1].name, means, host.sqrt(variances))
            means = values @ NODE_WEIGHTS
            variances = (values - means[:, host.newaxis]) ** 2 @ NODE_WEIGHTS
        # Variances of independent units add up, each by the square of its weight.
        means, variances = means @ layer.weights + layer.biases, variances @ layer.weights**2
    return means, host.sqrt(host.maximum(variances, LEAST_VARIANCE))


def values_at_nodes(name: str, means: Floats, deviations: Floats) -> Floats:
    """Activations of normal inputs at the quadrature's nodes, of shape (units, nodes)."""
    return apply(name, means[:, host.newaxis] + deviations[:, host.newaxis] * NODES)


def apply(name: str, z: Floats) -> Floats:
    """The values f(z) of an activation, as an array of `host`."""
    inputs = to_device(z)
    outputs = xp.empty_like(inputs)
    ACTIVATIONS[name].forward(inputs, outputs)
    return to_host(outputs)
