"""Which layers of two genomes correspond: what crossover, inherited weights and distances rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter, ne

from nas.genome import GENES, LAYER_GENES, Genome, Layer

_own_genes = attrgetter(*(key for key in GENES if key not in LAYER_GENES))

_GAP = 2.0
"""The distance that a layer without partner counts for."""


def align(long: Sequence[Layer], short: Sequence[Layer]) -> dict[int, int]:
    """For each layer of `short` the most similar layer of `long`, keeping the order.

    Minimizes the sum of layer distances over all ways to place the short sequence into the long
    one (Needleman & Wunsch 1970, with free gaps in the short one). Returns positions in `long`
    mapped to positions in `short`.
    """
    n, m = len(long), len(short)
    if n == m:
        return {i: i for i in range(n)}
    # costs[j]: the least distance that places the first j short layers among the long ones so far;
    # matched[i]: a bit for each j that the layer i of the long ones is then the last to be a partner of.
    costs, matched = [0.0] + [math.inf] * m, []
    for i, layer in enumerate(long, 1):
        bits = 0
        # From elsewhere there is no way to the end: every short layer needs a place.
        for j in range(min(i, m), max(0, i - (n - m) - 1), -1):
            cost = costs[j - 1] + layer_distance(layer, short[j - 1])
            if cost < costs[j]:
                costs[j] = cost
                bits |= 1 << j
        matched.append(bits)
    partners, j = {}, m
    for i in reversed(range(n)):
        if matched[i] >> j & 1:
            partners[i] = j - 1
            j -= 1
            if not j:
                break
    return partners


def origins(child: Genome, parent: Genome) -> tuple[int | None, ...]:
    """For each hidden layer of the child the position of the parent's that it corresponds to.

    None where there is none; positions rise. As many layers have a partner as the shallower genome has.
    """
    if child.depth >= parent.depth:
        partners = align(child.layers, parent.layers)
    else:
        partners = {j: i for i, j in align(parent.layers, child.layers).items()}
    return tuple(partners.get(i) for i in range(child.depth))


@lru_cache(maxsize=2**14)
def layer_distance(one: Layer, other: Layer) -> float:
    """How far two layers are apart: doublings of width, 1 for another activation, 1 for another dropout."""
    doublings: float = abs(math.log2(one.width) - math.log2(other.width))
    return doublings + (one.activation != other.activation) + (one.dropout != other.dropout)


@lru_cache(maxsize=2**14)
def genome_distance(one: Genome, other: Genome) -> float:
    """How far two genomes are apart: aligned layers, 2 for a layer without partner, other genes 1."""
    long, short = one.layers, other.layers
    if len(long) < len(short):
        long, short = short, long
    layers = math.fsum([layer_distance(long[i], short[j]) for i, j in align(long, short).items()])
    genes: int = sum(map(ne, _own_genes(one), _own_genes(other)))
    return layers + _GAP * (len(long) - len(short)) + genes
