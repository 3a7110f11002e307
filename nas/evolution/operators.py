"""Structural operators: how genomes change and mix, every child inside its space.

A layer is a pair (width, activation) that is inherited as one. A mutation takes (genome, space,
rng) and gives a changed genome, or None where it does not apply; `crossover` takes two parents.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nas.genome import GENES, Genome
from nas.space import SearchSpace

Layer = tuple[int, str | None]
Mutation = Callable[[Genome, SearchSpace, random.Random], Genome | None]


def crossover(mother: Genome, father: Genome, space: SearchSpace, rng: random.Random) -> Genome:
    """A child of both: layers that correspond come from either, the others may be left out.

    The shorter parent's layers are aligned with those of the longer one that resemble them most,
    in order. Each aligned pair gives one of its two layers; each layer of the longer parent that
    has no partner is kept or left out by the toss of a coin. The child's depth so lies between its
    parents' depths, and every gene of it is one parent's gene.
    """
    long, short = sorted((layers_of(mother), layers_of(father)), key=len, reverse=True)
    partners = align(long, short)
    layers = []
    for i, layer in enumerate(long):
        if i in partners:
            layers.append(rng.choice((layer, short[partners[i]])))
        elif rng.random() < 0.5:
            layers.append(layer)
    genes = {key: getattr(rng.choice((mother, father)), key) for key in space.genes if key != "activation"}
    # A parent without hidden layers carries no dropout; its child with some takes the other's.
    if layers and "dropout" in genes and genes["dropout"] is None:
        genes["dropout"] = next(p.dropout for p in (mother, father) if p.dropout is not None)
    shared = rng.choice([p.activation for p in (mother, father) if p.activation is not None] or [None])
    return _genome(space, layers, genes, shared)


def align(long: Sequence[Layer], short: Sequence[Layer]) -> dict[int, int]:
    """For each layer of `short` the most similar layer of `long`, keeping the order.

    Minimizes the sum of layer distances over all ways to place the short sequence into the long
    one (Needleman & Wunsch 1970, with free gaps in the short one). Returns positions in `long`
    mapped to positions in `short`.
    """
    n, m = len(long), len(short)
    # cost[i][j]: the least distance that places the first j short layers among the first i long.
    cost = [[0.0] + [math.inf] * m for _ in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, min(i, m) + 1):
            matched = cost[i - 1][j - 1] + layer_distance(long[i - 1], short[j - 1])
            cost[i][j] = min(matched, cost[i - 1][j])
    partners, i, j = {}, n, m
    while j > 0:
        if cost[i][j] < cost[i - 1][j]:
            partners[i - 1] = j - 1
            j -= 1
        i -= 1
    return partners


def layer_distance(one: Layer, other: Layer) -> float:
    """How far two layers are apart: doublings of width, and 1 for another activation."""
    doublings: float = abs(math.log2(one[0] / other[0]))
    return doublings + float(one[1] != other[1])


def genome_distance(one: Genome, other: Genome) -> float:
    """How far two genomes are apart: aligned layers, 2 for a layer without partner, other genes 1."""
    long, short = sorted((layers_of(one), layers_of(other)), key=len, reverse=True)
    aligned = sum(layer_distance(long[i], short[j]) for i, j in align(long, short).items())
    others = [key for key in GENES if key != "activation"]
    genes = sum(1 for key in others if getattr(one, key) != getattr(other, key))
    return aligned + 2 * (len(long) - len(short)) + genes


def add_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """A layer more, anywhere, whose width resembles a neighbour's."""
    if genome.depth >= space.depth[1]:
        return None
    layers = layers_of(genome)
    position = rng.randint(0, len(layers))
    if layers:
        width, activation = layers[rng.choice([i for i in (position - 1, position) if 0 <= i < len(layers)])]
        width = rng.choice([width, *_neighbours(width, space.widths_tuple)])
    else:
        width = rng.choice(space.widths_tuple)
        activation = rng.choice(space.activation) if space.activation else None
    if space.activation_per_layer:
        activation = rng.choice(space.activation)
    layers.insert(position, (width, activation))
    genes = _genes(genome, space)
    if "dropout" in genes and genes["dropout"] is None:
        genes["dropout"] = rng.choice(space.genes["dropout"])
    return _genome(space, layers, genes, activation)


def remove_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """A layer less, whichever."""
    if genome.depth <= space.depth[0]:
        return None
    layers = layers_of(genome)
    del layers[rng.randrange(len(layers))]
    return _genome(space, layers, _genes(genome, space), genome.activations[0])


def widen(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """One layer wider, by one or two steps of the space."""
    return _resize(genome, space, rng, +1)


def narrow(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """One layer narrower, by one or two steps of the space."""
    return _resize(genome, space, rng, -1)


def resample_gene(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Another value of one optional gene: a neighbour where values are numbers, else any other."""
    genes = [
        key for key, values in space.genes.items() if len(values) > 1 and getattr(genome, key) is not None
    ]
    if not genes:
        return None
    key = rng.choice(genes)
    if key == "activation":
        return _resample_activation(genome, space, rng)
    value, values = getattr(genome, key), space.genes[key]
    others = (
        [other for other in values if other != value] if key == "optimizer" else _neighbours(value, values)
    )
    return replace(genome, **{key: rng.choice(others)})


MUTATIONS: dict[str, Mutation] = {
    "add_layer": add_layer,
    "remove_layer": remove_layer,
    "widen": widen,
    "narrow": narrow,
    "resample_gene": resample_gene,
}
"""Every mutation by the name that lineage and tags use."""


def layers_of(genome: Genome) -> list[Layer]:
    """The genome's layers, first to last."""
    return list(zip(genome.widths, genome.activations, strict=True))


def _resize(genome: Genome, space: SearchSpace, rng: random.Random, direction: int) -> Genome | None:
    widths = space.widths_tuple
    last = len(widths) - 1
    movable = [i for i, w in enumerate(genome.widths) if 0 <= widths.index(w) + direction <= last]
    if not movable:
        return None
    layers = layers_of(genome)
    i = rng.choice(movable)
    position = widths.index(layers[i][0]) + direction * rng.choice((1, 2))
    layers[i] = (widths[min(max(position, 0), last)], layers[i][1])
    if space.non_increasing:
        _make_room(layers, i, direction)
    return _genome(space, layers, _genes(genome, space), genome.activations[0])


def _make_room(layers: list[Layer], i: int, direction: int) -> None:
    """In a funnel a wider layer widens those before it, a narrower one narrows those after it."""
    width = layers[i][0]
    for j in range(i) if direction > 0 else range(i + 1, len(layers)):
        limit = max if direction > 0 else min
        layers[j] = (limit(layers[j][0], width), layers[j][1])


def _resample_activation(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome:
    if not space.activation_per_layer:
        others = [name for name in space.activation if name != genome.activation]
        return replace(genome, activation=rng.choice(others))
    activations = list(genome.activations)
    i = rng.randrange(genome.depth)
    activations[i] = rng.choice([name for name in space.activation if name != activations[i]])
    return replace(genome, activation=tuple(str(name) for name in activations))


def _neighbours(value: Any, values: Sequence[Any]) -> list[Any]:
    """The values next to `value` in rising order."""
    i = values.index(value)
    return [values[j] for j in (i - 1, i + 1) if 0 <= j < len(values)]


def _genes(genome: Genome, space: SearchSpace) -> dict[str, Any]:
    return {key: getattr(genome, key) for key in space.genes if key != "activation"}


def _genome(
    space: SearchSpace, layers: list[Layer], genes: dict[str, Any], shared: str | tuple[str, ...] | None
) -> Genome:
    """The genome of these layers, brought inside the space where its funnel asks for it.

    `shared` is the activation of all layers where the space has one for the whole network.
    """
    if space.non_increasing:
        layers = sorted(layers, key=lambda layer: layer[0], reverse=True)
    widths = [width for width, _ in layers]
    activations = tuple(str(activation) for _, activation in layers)
    return Genome(tuple(widths), activation=activations if space.activation_per_layer else shared, **genes)
