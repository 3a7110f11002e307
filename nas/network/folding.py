"""What lies in front of a first layer, folded into it: a plain network, such as exports and analyses read.

Factors go into the weights of the layer; each wave becomes an input.
"""

from __future__ import annotations

from nas.network.arrays import Floats, host
from nas.network.mlp import MLP
from nas.network.waves import N_WAVES


def folded(network: MLP) -> MLP:
    """The same function of `beside_waves` of the inputs, with nothing in front of the first layer."""
    if not network.extras.has_front:
        return network
    frequencies, _, weights = network.waves.codes()
    n_inputs = network.sizes[0]
    sizes = (n_inputs + frequencies.size, *network.sizes[1:])
    dtype, extras = network.parameters.dtype, network.extras.of_units
    plain = MLP(sizes, network.activations, network.loss.name, dtype=dtype, extras=extras)
    same, copied = (
        [*one.weights[1:], *one.biases, *one.units.blends, *one.units.gains] for one in (plain, network)
    )
    for array, value in zip(same, copied, strict=True):
        array[...] = value
    # W (s ∘ x) = (W ∘ s) x
    factors = network.scales[:, host.newaxis] if network.extras.has_scales else 1
    plain.weights[0][:n_inputs] = network.weights[0] * factors
    plain.weights[0][n_inputs:] = weights
    return plain


def beside_waves(network: MLP, X: Floats) -> Floats:
    """The inputs that the folded network reads: `X`, with the waves of its numbers beside it."""
    if not network.extras.periodic:
        return X
    numbers = X[:, list(network.extras.periodic)].astype(network.parameters.dtype)
    return host.hstack([X, host.cos(network.waves.angles(numbers)).reshape(len(X), -1)])


def places_beside_waves(network: MLP, place: slice) -> slice | list[int]:
    """The positions in `beside_waves` of some adjacent inputs, and of their waves."""
    if not network.extras.periodic:
        return place
    n_inputs = network.sizes[0]
    inputs = range(n_inputs)[place]
    starts = [n_inputs + i * N_WAVES for i, at in enumerate(network.extras.periodic) if at in inputs]
    return [*inputs, *(start + wave for start in starts for wave in range(N_WAVES))]
