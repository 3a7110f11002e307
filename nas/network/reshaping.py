"""Removing, narrowing and widening layers, for `nas.network.morphism`, which says what is exact.

Gains belong to units by their position. Of a layer that is narrowed the selected units below the new width
stay where they are, and the others take the positions that are left; gains of units that have moved are lost,
but for the mean of what they added. A removed layer goes into the gains of the next as far as it is diagonal.
"""

from __future__ import annotations

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, Ints, host
from nas.network.initializers import INITIALIZERS
from nas.network.insertion import remove_gains
from nas.network.layers import (
    NODE_WEIGHTS,
    NODES,
    Layer,
    empty_numbers,
    resized,
    shift,
    statistics,
    values_at_nodes,
)


def remove(layers: list[Layer], position: int) -> None:
    """Replace each unit by a line, and multiply the lines into the next layer's weights.

    The line nearest to f(z) for a normal z of mean m and standard deviation s has the slope
    E[f(z) (z - m)] / s² (least squares).
    """
    layer, following = layers[position], layers[position + 1]
    if not position:
        remove_gains(layers, position + 1)  # the layer behind the inputs has nothing to add
    means, deviations, *_ = statistics(layers[: position + 1])
    values = values_at_nodes(layer, means, deviations)
    slopes = values @ (NODES * NODE_WEIGHTS) / deviations
    heights = values @ NODE_WEIGHTS + slopes * (layer.biases - means)
    numbers = empty_numbers(following, len(layer.weights))
    # Two linear maps in a row are one: W_1 · diag(slopes) · W_2.
    numbers[0, :-1] = layer.weights @ (slopes[:, host.newaxis] * following.weights)
    if (gains := layer.gains[0]).size:
        numbers[0, : gains.size] += gains[:, host.newaxis] * following.weights[: gains.size]
    # The constants go into the biases, those that a skip connection adds into the biases behind it.
    shift(layers, position, heights)
    numbers[0, -1] = following.biases
    following.numbers = numbers
    if following.gains.size:
        # The next layer adds what the removed one makes of its own unit; what comes from others is lost.
        n = min(following.gains.shape[1], *layer.weights.shape)
        diagonal = slopes[:n] * host.diagonal(layer.weights)[:n]
        diagonal[: gains.size] += gains[:n]
        following.gains = following.gains[:, :n].copy()
        following.gains[0] *= diagonal
    del layers[position]


def narrow(layers: list[Layer], position: int, width: int) -> None:
    """Keep the units with the largest effect on the next layer; means of the others go into its biases."""
    layer, following = layers[position], layers[position + 1]
    n_units = layer.numbers.shape[-1]
    if width >= n_units:
        return
    means, deviations, read_means, _ = statistics(layers[: position + 1])
    values = values_at_nodes(layer, means, deviations)
    # The unit's deviation times the length of its outgoing weights. All nodes count alike, also the
    # rare ones: weighting them by the normal density selected other units, and no better ones.
    effects = values.std(axis=1) * host.linalg.norm(following.weights, axis=1)
    order = host.argsort(-effects, kind="stable")
    dropped = order[width:]
    selected: Ints = host.sort(order[:width])
    following.biases[...] += (values[dropped] @ NODE_WEIGHTS) @ following.weights[dropped]
    if layer.gains.size or following.gains.size:
        selected = _in_place(selected, width)
        _lose_gains(layers, position, selected, values @ NODE_WEIGHTS, read_means)
    layer.numbers = layer.numbers[..., selected]
    layer.blends = layer.blends[:, selected] if layer.blends.size else layer.blends
    following.numbers = following.numbers[:, [*selected, n_units]]


def _in_place(selected: Ints, width: int) -> Ints:
    """Units that are selected, those below the width at their own positions."""
    result = host.arange(width)
    result[host.isin(result, selected, invert=True)] = selected[selected >= width]
    return result


def _lose_gains(
    layers: list[Layer], position: int, selected: Ints, means: Floats, read_means: Floats
) -> None:
    """Set the gains of units that are dropped or moved to 0; the means of what they added remain.

    `means` are those of the layer's activations, `read_means` those of what it reads.
    """
    layer, following = layers[position], layers[position + 1]
    stays = host.zeros(len(means), bool)
    stays[selected[selected == host.arange(len(selected))]] = True
    added, n = host.zeros(len(means)), layer.gains.shape[1]
    added[:n] = layer.gains[0] * read_means[:n]
    following.biases[...] += host.where(stays, 0, added) @ following.weights
    if n := following.gains.shape[1]:
        of_next = following.gains[0] * (means + added)[:n]
        shift(layers, position + 1, host.where(stays[:n], 0, of_next))
    for with_gains in (layer, following):
        n = min(len(selected), with_gains.gains.shape[1])
        with_gains.gains = with_gains.gains[:, :n].copy()
        with_gains.gains[0, ~stays[:n]] = 0


def widen(layers: list[Layer], position: int, width: int, rng: host.random.Generator) -> None:
    """Add units with initial incoming weights and outgoing weights of 0."""
    layer, following = layers[position], layers[position + 1]
    n_units = layer.numbers.shape[-1]
    if width <= n_units:
        return
    # Initial weights follow from the whole matrix: its fan-in and fan-out are those of the widened layer.
    weights = host.empty((len(layer.weights), width))
    INITIALIZERS[ACTIVATIONS[layer.name].initializer](weights, rng)
    numbers = host.full((*layer.numbers.shape[:-1], width), host.nan)
    numbers[..., :n_units] = layer.numbers
    numbers[0, :-1, n_units:], numbers[0, -1, n_units:] = weights[:, n_units:], 0
    layer.numbers = numbers
    layer.blends = resized(layer.blends, width, 1.0) if layer.blends.size else layer.blends
    numbers = empty_numbers(following, width)
    numbers[0, n_units:-1] = 0
    numbers[:, :n_units] = following.numbers[:, :n_units]
    following.numbers = numbers
