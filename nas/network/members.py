"""A change of the number of members that share a network's hidden layers, for `nas.network.morph`.

Members that stay are the first; new ones are copies of these, one after the other. A single member has no
factors: its inputs' factors go into the weights of the first layer, and back as ones.
"""

from __future__ import annotations

from collections.abc import Collection

from nas.network.arrays import Floats, host
from nas.network.layers import Layer

SPREAD = 0.1
"""Standard deviation of what new members' factors are multiplied by. Members that are alike would have equal
gradients, and stay alike."""


def with_members(
    layers: list[Layer], factors: Floats, members: int, squares: Collection[int], rng: host.random.Generator
) -> Floats:
    """Give a network another number of members; return their factors, and change its layers in place.

    Exact for the members that stay. The moments of outputs and factors are scaled: gradients are those of the
    mean of the members' losses.

    Parameters
    ----------
    layers : list of Layer
        The last has the outputs of all members side by side.
    factors : float array of shape (1 + moments, members, inputs)
        Factors of the inputs, with their moments; without rows for a single member.
    members : int
    squares : collection of int
        Positions of moments that are means of squares.
    rng : numpy.random.Generator
    """
    before = max(1, factors.shape[1])
    if members == before:
        return factors
    if before == 1:
        factors = host.full((len(factors), 1, factors.shape[-1]), host.nan)
        factors[0] = 1
    origins = host.arange(members) % before
    factors, last = factors[:, origins], layers[-1]
    stacked = last.numbers.reshape(*last.numbers.shape[:-1], before, -1)[..., origins, :]
    last.numbers = stacked.reshape(*stacked.shape[:-2], -1)
    for i in range(1, len(factors)):
        scale = (before / members) ** (2 if i - 1 in squares else 1)
        factors[i] *= scale
        last.numbers[i] *= scale
    factors[0, before:] *= 1 + SPREAD * rng.standard_normal(factors[0, before:].shape)
    return _folded(layers[0], factors, squares) if members == 1 else factors


def _folded(first: Layer, factors: Floats, squares: Collection[int]) -> Floats:
    """Multiply a single member's factors into the first layer's weights; return no factors."""
    own = factors[0, 0][:, host.newaxis]
    first.weights[...] *= own
    for i in range(1, len(first.numbers)):
        if i - 1 not in squares:
            # Factors are near 1 or -1: a gradient's sign changes, while its size is nearly the same.
            first.numbers[i, :-1] *= host.sign(own)
    return factors[:, :0]
