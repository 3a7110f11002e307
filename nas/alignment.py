"""Alignment of two genomes' layers, on which crossover, inherited weights and distances rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter, ne
from typing import Any

import numpy as np

from nas.genome import GENES, LAYER_GENES, Genome, Layer

_network_genes = attrgetter(*(key for key in GENES if key not in LAYER_GENES))

_GAP = 2.0
"""The distance that a layer without partner adds: that of two doublings of width."""

_PAIRS = 2**12
"""Pairs of genomes that `mean_distance` compares at once, which bounds its memory: each pair takes a square
matrix with the deepest genome's layers as its side."""


def align(long: Sequence[Layer], short: Sequence[Layer]) -> dict[int, int]:
    """Align each layer of `short` with a layer of `long`, keeping the order.

    Minimizes the sum of layer distances over all ways to place the short sequence into the long
    sequence (Needleman & Wunsch 1970, with free gaps in the short sequence).

    Parameters
    ----------
    long, short : sequence of Layer
        `long` has at least as many layers.

    Returns
    -------
    dict
        Positions in `long` mapped to positions in `short`; both rise.
    """
    n, m = len(long), len(short)
    if n == m:
        return {i: i for i in range(n)}
    # costs[j]: the least distance that places the first j layers of `short` among the layers of `long` so
    # far; matched[i]: a bit for each j, set if its cheapest placement ends with the layer i of `long`.
    costs, matched = [0.0] + [math.inf] * m, []
    for i, layer in enumerate(long, 1):
        bits = 0
        # Other positions lead nowhere: every layer of `short` needs a partner.
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
    """For each hidden layer of the child, return the position of the parent's corresponding layer.

    None for a layer without partner; positions rise. As many layers have a partner as the shallower
    genome has layers.
    """
    if child.depth >= parent.depth:
        partners = align(child.layers, parent.layers)
    else:
        partners = {j: i for i, j in align(parent.layers, child.layers).items()}
    return tuple(partners.get(i) for i in range(child.depth))


@lru_cache(maxsize=2**14)
def layer_distance(a: Layer, b: Layer) -> float:
    """Return the doublings of width between two layers, plus 1 for each other gene that differs."""
    doublings: float = abs(math.log2(a.width) - math.log2(b.width))
    genes: int = sum(map(ne, a[1:], b[1:]))
    return doublings + genes


@lru_cache(maxsize=2**14)
def genome_distance(a: Genome, b: Genome) -> float:
    """Return the distance of two genomes: of aligned layers, 2 for a layer without partner, 1 for a gene.

    Genes are those of the whole network, such as the learning rate; see `layer_distance` for layers.
    """
    long, short = a.layers, b.layers
    if len(long) < len(short):
        long, short = short, long
    if len(long) == len(short):
        layers = math.fsum(map(layer_distance, long, short))
    else:
        layers = math.fsum([layer_distance(long[i], short[j]) for i, j in align(long, short).items()])
    genes: int = sum(map(ne, _network_genes(a), _network_genes(b)))
    return layers + _GAP * (len(long) - len(short)) + genes


def mean_distance(genomes: Sequence[Genome]) -> float:
    """Return the mean `genome_distance` of all pairs of genomes; 0 for fewer than two genomes.

    All pairs are aligned at once, layer by layer of the deeper genome: a tenth of the time of pair by pair.
    """
    n = len(genomes)
    if n < 2:
        return 0.0
    # Deepest first: of each pair the first genome is the deeper.
    genomes = sorted(genomes, key=lambda genome: -genome.depth)
    doublings, names, genes = _numbered(genomes)
    depths = np.array([genome.depth for genome in genomes])
    longs, shorts = np.triu_indices(n, 1)
    total = 0.0
    for start in range(0, len(longs), _PAIRS):
        long, short = longs[start : start + _PAIRS], shorts[start : start + _PAIRS]
        # distances[p, i, j]: of the layers i of the deeper and j of the shallower genome of a pair p.
        distances = np.abs(doublings[long, :, np.newaxis] - doublings[short, np.newaxis])
        for name in names:
            distances += name[long, :, np.newaxis] != name[short, np.newaxis]
        distances[np.arange(distances.shape[1]) >= depths[long, np.newaxis]] = np.inf
        # costs[p, j]: the least distance that places the first j layers of the shallower; see `align`.
        costs = np.full((len(long), distances.shape[1] + 1), np.inf)
        costs[:, 0] = 0.0
        for layer in range(distances.shape[1]):
            np.minimum(costs[:, 1:], costs[:, :-1] + distances[:, layer], out=costs[:, 1:])
        total += costs[np.arange(len(long)), depths[short]].sum()
        total += _GAP * (depths[long] - depths[short]).sum() + (genes[long] != genes[short]).sum()
    return float(total / len(longs))


def _numbered(genomes: Sequence[Genome]) -> tuple[Any, list[Any], Any]:
    """Encode genomes as numbers, of which equal values have equal numbers.

    Returns
    -------
    doublings : float array of shape (genomes, layers of the deepest genome)
        Binary logarithms of widths; 0 where a genome has no layer.
    names : list of int arrays of the same shape
        Codes of the layers' other genes, an array for each.
    genes : int array of shape (genomes, genes)
        Codes of the other genes.
    """
    deepest = max(genome.depth for genome in genomes)
    padding = [0] * deepest
    codes: dict[tuple[int, Any], int] = {}
    rows = [[_layer_numbers(layer, codes) for layer in genome.layers] for genome in genomes]
    doublings, *names = (
        np.array([([numbers[i] for numbers in row] + padding)[:deepest] for row in rows])
        for i in range(1 + len(LAYER_GENES))
    )
    first = len(LAYER_GENES)
    genes = np.array(
        [
            [codes.setdefault(pair, len(codes)) for pair in enumerate(_network_genes(genome), first)]
            for genome in genomes
        ]
    )
    return doublings, names, genes


def _layer_numbers(layer: Layer, codes: dict[tuple[int, Any], int]) -> tuple[float, ...]:
    """Encode the width of a layer (in doublings), and its other genes."""
    width, *genes = layer
    return (math.log2(width), *(codes.setdefault(pair, len(codes)) for pair in enumerate(genes)))
