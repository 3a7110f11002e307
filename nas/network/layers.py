"""Layers of a trained network under change, and the statistics of their units, for `nas.network.morphism`.

Nothing here sees data: inputs count as standardized, and units as normal and independent. So a unit's mean
and standard deviation follow from the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    biases. `blends` and `gains` are those of its units (`nas.network.extras.Units`) in the same way, of shape
    (1 + moments, units); of no units where it has none. Moments of new parameters are NaN until they are
    estimated.
    """

    name: str
    numbers: Floats
    blends: Floats
    gains: Floats

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


def layer_of(name: str, numbers: Floats) -> Layer:
    """A layer without blends and gains."""
    nothing = host.empty((len(numbers), 0))
    return Layer(name, numbers, nothing, nothing)


def resized(numbers: Floats, n: int, value: float) -> Floats:
    """Numbers of n units, of shape (1 + moments, n): the first ones, then new ones of this value."""
    result = host.full((len(numbers), n), host.nan)
    result[0] = value
    kept = min(n, numbers.shape[1])
    result[:, :kept] = numbers[:, :kept]
    return result


def empty_numbers(layer: Layer, n_inputs: int) -> Floats:
    """Numbers for a layer with the same biases and so many inputs; weights and their moments are NaN."""
    numbers = host.full((len(layer.numbers), n_inputs + 1, layer.numbers.shape[-1]), host.nan)
    numbers[:, -1] = layer.numbers[:, -1]
    return numbers


class Statistics(NamedTuple):
    """Means and standard deviations of a layer's linear outputs, and means and variances of what it reads."""

    means: Floats
    deviations: Floats
    read_means: Floats
    read_variances: Floats


def statistics(layers: Sequence[Layer]) -> Statistics:
    """Those of the last layer, of shapes (units,) and (inputs,)."""
    n_inputs = len(layers[0].weights)
    means: Floats = host.zeros(n_inputs)
    variances: Floats = host.ones(n_inputs)
    read = means, variances
    for i, layer in enumerate(layers):
        if i:
            read = _units(layers[i - 1], means, variances, *read)
        # Variances of independent units add up, each by the square of its weight.
        means, variances = read[0] @ layer.weights + layer.biases, read[1] @ layer.weights**2
    return Statistics(means, host.sqrt(host.maximum(variances, LEAST_VARIANCE)), *read)


def _units(
    layer: Layer, means: Floats, variances: Floats, read_means: Floats, read_variances: Floats
) -> tuple[Floats, Floats]:
    """Means and variances of a layer's outputs, from those of its linear outputs and of what it reads."""
    values = values_at_nodes(layer, means, host.sqrt(variances))
    means = values @ NODE_WEIGHTS
    variances = (values - means[:, host.newaxis]) ** 2 @ NODE_WEIGHTS
    gains = layer.gains[0]
    means[: gains.size] += gains * read_means[: gains.size]
    variances[: gains.size] += gains**2 * read_variances[: gains.size]
    return means, variances


def values_at_nodes(layer: Layer, means: Floats, deviations: Floats) -> Floats:
    """Activations of normal inputs at the quadrature's nodes, of shape (units, nodes), without gains."""
    z = means[:, host.newaxis] + deviations[:, host.newaxis] * NODES
    values = apply(layer.name, z)
    if layer.blends.size:
        values = z + layer.blends[0][:, host.newaxis] * (values - z)
    return values


def shift(layers: Sequence[Layer], position: int, amounts: Floats) -> None:
    """Make up for the loss of these amounts, of shape (units,), from the outputs of a hidden layer.

    The next layer's biases take them over; where its skip connection would have added them too, the biases of
    the layer behind it do, and so on.
    """
    for following in layers[position + 1 :]:
        following.biases[...] += amounts[: len(following.weights)] @ following.weights[: len(amounts)]
        gains = following.gains[0]
        amounts = gains[: len(amounts)] * amounts[: gains.size]
        if not amounts.size:
            return


def apply(name: str, z: Floats) -> Floats:
    """The values f(z) of an activation, as an array of `host`."""
    inputs = to_device(z)
    outputs = xp.empty_like(inputs)
    ACTIVATIONS[name].forward(inputs, outputs)
    return to_host(outputs)
