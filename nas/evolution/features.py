"""Features: genomes as the numbers that a surrogate's model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nas.genome import LAYER_GENES, Genome, Layer
from nas.space import SearchSpace


class Features:
    """Genomes of a space as numbers from 0 to 1, of which all genomes have equally many.

    The depth; widths and other genes of layers layer by layer, or once where all layers share them, with 0
    where there is no layer; then the other genes. Ordered values become their position among all values,
    names an indicator each, or a single indicator for two names.

    Parameters
    ----------
    space : SearchSpace
    """

    def __init__(self, space: SearchSpace) -> None:
        self._most_layers = space.depth[1]
        self._depths = {depth: [_position(depth, tuple(space.depths))] for depth in space.depths}
        widths = space.widths_tuple
        self._widths = _Gene("width", {width: [(1 + i) / len(widths)] for i, width in enumerate(widths)})
        self._has_one_width = space.equal_widths and self._most_layers > 0
        self._genes = [
            (_Gene(key, {value: _numbers(value, values) for value in values}), key not in space.per_layer)
            for key, values in space.genes.items()
        ]

    def __call__(self, genome: Genome) -> list[float]:
        """Return the features of a genome of the space."""
        row = self._depths[genome.depth] + self._of_layers(genome, self._widths, shared=self._has_one_width)
        for gene, shared in self._genes:
            if gene.key in LAYER_GENES:
                row += self._of_layers(genome, gene, shared=shared)
            else:
                row += gene.numbers[getattr(genome, gene.key)]
        return row

    def _of_layers(self, genome: Genome, gene: _Gene, *, shared: bool) -> list[float]:
        """Encode a gene in all layers, or once if layers share it."""
        position, layers = _POSITIONS[gene.key], genome.layers
        if shared:
            return gene.numbers[layers[0][position]] if layers else gene.missing
        numbers = [number for layer in layers for number in gene.numbers[layer[position]]]
        return numbers + gene.missing * (self._most_layers - len(layers))


class _Gene(NamedTuple):
    """A gene with the numbers of each of its values: looked up faster than computed for each genome."""

    key: str
    numbers: Mapping[Any, list[float]]

    @property
    def missing(self) -> list[float]:
        """The numbers of a layer that there is not."""
        return [0.0] * len(next(iter(self.numbers.values()), []))


_POSITIONS = {key: i for i, key in enumerate(Layer._fields)}


def _numbers(value: Any, values: tuple[Any, ...]) -> list[float]:
    """Encode a value among all values of its gene."""
    if not isinstance(values[0], str):
        return [_position(value, values)]
    indicators = [float(value == name) for name in values]
    return indicators if len(values) > 2 else indicators[:1]


def _position(value: Any, values: tuple[Any, ...]) -> float:
    return values.index(value) / max(1, len(values) - 1)
