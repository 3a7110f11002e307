"""Networks of any depth as rows of numbers, gene by gene, for models that are to tell genes apart.

A layer that is not there is described by what is usual there, so that widths say nothing of the depth;
whether a network has a gene at all is told beside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.genome import LAYER_GENES, Genome
from nas.network.arrays import Array, Floats
from nas.reporting.history import Network
from nas.space import SearchSpace


@dataclass(frozen=True)
class Group:
    """The columns that describe one gene, and the rows that have it."""

    name: str
    columns: tuple[int, ...]
    present: Array


def described(networks: Sequence[Network], space: SearchSpace) -> tuple[Floats, list[Group]]:
    """Networks as rows of numbers, and the columns of each gene that the space leaves open.

    What belongs to no gene, the training that each has had, stands in further columns.
    """
    genomes = [one.genome for one in networks]
    columns: list[Array] = []
    groups: list[Group] = []
    everyone = np.ones(len(genomes), bool)

    def add(name: str, values: list[Array], present: Array) -> None:
        start = len(columns)
        varied = [column for column in values if len(np.unique(column[present])) > 1]
        columns.extend(varied)
        if varied:
            groups.append(Group(name, tuple(range(start, len(columns))), present))

    add("depth", [np.array([genome.depth for genome in genomes], float)], everyone)
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
    columns.append(np.log2([max(1, one.epochs) for one in networks]))
    columns.append(np.array([one.candidate.inherits is not None for one in networks], float))
    return np.column_stack(columns), groups


def _add_gene(
    add: Any, name: str, genomes: Sequence[Genome], key: str, layer: int | None, space: SearchSpace
) -> None:
    choices = space.genes[key]

    def of(genome: Genome, i: int) -> Any:
        return getattr(genome.layers[i], key) if key in LAYER_GENES else getattr(genome, key)

    present = np.array([key not in LAYER_GENES or genome.depth > (layer or 0) for genome in genomes])
    if not present.any():
        return
    positions = [
        choices.index(of(g, layer or 0)) if there else -1 for g, there in zip(genomes, present, strict=True)
    ]
    codes = np.array(positions)
    codes[~present] = np.bincount(codes[present]).argmax()  # what is usual
    if isinstance(choices[0], str):
        add(name, [(codes == i).astype(float) for i in range(len(choices))], present)
    else:
        add(name, [codes.astype(float)], present)


def _at(genomes: Sequence[Genome], i: int, value: Any) -> tuple[Array, Array]:
    """A number of each genome's layer, the median where there is no such layer; and who has it."""
    present = np.array([genome.depth > i for genome in genomes])
    known = [value(genome, i) for genome, there in zip(genomes, present, strict=True) if there]
    values = np.full(len(genomes), np.median(known) if known else 0.0)
    values[present] = known
    return values, present
