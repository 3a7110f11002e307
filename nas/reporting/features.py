"""Networks of any depth as rows of a feature matrix, with columns for each gene.

Features of a missing layer are imputed by the median or the most frequent value at that position, so that
the columns of widths hold no information on the depth; a mask says which networks have the gene.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.genome import LAYER_GENES, Genome
from nas.network.arrays import Array, Floats
from nas.reporting.networks import Network
from nas.space import SearchSpace


@dataclass(frozen=True)
class Group:
    """The columns that describe one gene, and a mask of the rows that have it, bool of shape (rows,)."""

    name: str
    columns: tuple[int, ...]
    present: Array


def encode_networks(networks: Sequence[Network], space: SearchSpace) -> tuple[Floats, list[Group]]:
    """Return a feature matrix of shape (networks, features), and the columns of each gene that varies.

    The last two columns belong to no gene: the logarithm of the epochs, and whether the network had a warm
    start.
    """
    genomes = [network.genome for network in networks]
    columns: list[Array] = []
    groups: list[Group] = []
    all_rows = np.ones(len(genomes), bool)

    def add(name: str, values: list[Array], present: Array) -> None:
        start = len(columns)
        varied = [column for column in values if len(np.unique(column[present])) > 1]
        columns.extend(varied)
        if varied:
            groups.append(Group(name, tuple(range(start, len(columns))), present))

    add("depth", [np.array([genome.depth for genome in genomes], float)], all_rows)
    n_layers = min(1, space.depth[1]) if space.equal_widths else space.depth[1]
    for i in range(n_layers):
        name = "width" if space.equal_widths else f"width of layer {i + 1}"
        values, present = _at(genomes, i, lambda genome, i: math.log2(genome.widths[i]))
        if present.any():
            add(name, [values], present)
    for key in space.genes:
        if key in space.per_layer:
            for i in range(space.depth[1]):
                _add_gene(add, f"{key} of layer {i + 1}", genomes, key, i, space)
        else:
            _add_gene(add, key.replace("_", " "), genomes, key, None, space)
    columns.append(np.log2([max(1, network.epochs) for network in networks]))
    columns.append(np.array([network.candidate.inherits is not None for network in networks], float))
    return np.column_stack(columns), groups


def _add_gene(
    add: Any, name: str, genomes: Sequence[Genome], key: str, layer: int | None, space: SearchSpace
) -> None:
    """Add the columns of a gene: indicators of names, or the position among ordered values."""
    choices = space.genes[key]

    def of(genome: Genome, i: int) -> Any:
        return getattr(genome.layers[i], key) if key in LAYER_GENES else getattr(genome, key)

    present = np.array([key not in LAYER_GENES or genome.depth > (layer or 0) for genome in genomes])
    if not present.any():
        return
    positions = [
        choices.index(of(genome, layer or 0)) if has_gene else -1
        for genome, has_gene in zip(genomes, present, strict=True)
    ]
    codes = np.array(positions)
    codes[~present] = np.bincount(codes[present]).argmax()  # the most frequent value
    if isinstance(choices[0], str):
        add(name, [(codes == i).astype(float) for i in range(len(choices))], present)
    else:
        add(name, [codes.astype(float)], present)


def _at(genomes: Sequence[Genome], i: int, value: Any) -> tuple[Array, Array]:
    """Return a value of each genome's layer `i`, the median where there is none, and a mask of the layer."""
    present = np.array([genome.depth > i for genome in genomes])
    own = [value(genome, i) for genome, has_layer in zip(genomes, present, strict=True) if has_layer]
    values = np.full(len(genomes), np.median(own) if own else 0.0)
    values[present] = own
    return values, present
