"""Initial weights and biases that follow from rows (Holzmüller et al. 2024, "Better by default").

Layer by layer, first to last, on some rows of the training part: each unit's weights are drawn, and divided
by the standard deviation of what they give; its bias is the negative of a random mean of five of these values
("he+5" of Steinwart 2019, "A sober look at neural network initializations"), so that the kink of its
activation lies among the rows.
"""

from __future__ import annotations

from nas.network.arrays import Floats, host, to_device, to_host, xp
from nas.network.mlp import MLP
from nas.network.units import activated, normalized, unit_outputs

MOST_ROWS = 1024
"""Rows that standard deviations are estimated on: they are then known to about two per cent."""

_N_AVERAGED = 5
"""Random rows whose weighted mean gives a bias."""


def initialize_from_rows(network: MLP, X: Floats, rng: host.random.Generator) -> None:
    """Draw a network's weights and biases anew by rows of shape (rows, inputs); all else stays.

    The network has no members. Weights of units that give the same for all rows have a variance of
    1 / inputs.
    """
    if len(X) > MOST_ROWS:
        X = X[host.sort(rng.choice(len(X), MOST_ROWS, replace=False))]
    X = X.astype(host.float64)
    read, waves = X * network.scales if network.extras.has_scales else X, network.waves
    if network.extras.periodic:
        read = host.hstack([read, waves.read(waves.angles(X[:, list(network.extras.periodic)]))])
    weights = [host.vstack([network.weights[0], waves.weights]), *network.weights[1:]]
    for layer, (weight, bias) in enumerate(zip(weights, network.biases, strict=True)):
        drawn = rng.normal(size=weight.shape)
        z = to_host(xp.dot(to_device(read), to_device(drawn)))
        spread = z.std(axis=0)
        unknown = ~(spread > 1e-6)
        spread[unknown] = len(weight) ** 0.5
        z = z / spread
        weight[...] = drawn / spread
        bias[...] = -_weighted_mean(z, rng)
        if layer < len(network.activations):
            z += bias
            blends, gains = network.units.blends[layer], network.units.gains[layer]
            own = normalized(to_device(z))[0] if network.extras.is_normalized else to_device(z)
            a = activated(network.activations[layer], own)
            read = to_host(unit_outputs(own, a, to_device(read), blends, gains))
    network.weights[0][...], waves.weights[...] = host.split(weights[0], [network.sizes[0]])


def _weighted_mean(z: Floats, rng: host.random.Generator) -> Floats:
    """For each unit the mean of a few random rows' values, with random weights; z is (rows, units)."""
    rows = rng.integers(len(z), size=(_N_AVERAGED, z.shape[1]))
    shares = rng.exponential(size=rows.shape)
    shares /= shares.sum(axis=0)
    result: Floats = (shares * z[rows, host.arange(z.shape[1])]).sum(axis=0)
    return result
