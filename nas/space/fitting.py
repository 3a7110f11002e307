"""Fitting a genome into a space: values for the genes that it lacks, and what keeps it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nas.genome import GENES, LAYER_GENES, Genome
from nas.space.space import DOMAINS, SearchSpace, abbreviated
from nas.space.values import Names


def completed(genome: Genome, space: SearchSpace) -> Genome:
    """The genome with a value for each gene of the space that it lacks: the first name, the middle number."""
    missing = {
        gene: _typical(gene, values)
        for gene, values in space.genes.items()
        if getattr(genome, gene) is None and (genome.depth > 0 or gene not in LAYER_GENES)
    }
    return replace(genome, **missing) if missing else genome


def misfits(genome: Genome, space: SearchSpace) -> Iterator[str]:
    """What keeps a genome out of a space, each in a phrase; nothing for a genome of the space."""
    if genome.depth not in space.depths:
        yield f"depth {genome.depth} is not between {space.depth[0]} and {space.depth[1]}"
    for width in dict.fromkeys(genome.widths):
        if width not in space.widths_tuple:
            yield f"width {width} is not among {abbreviated(space.widths_tuple)}"
    if space.equal_widths and len(set(genome.widths)) > 1:
        yield "its widths are not equal"
    if space.non_increasing and list(genome.widths) != sorted(genome.widths, reverse=True):
        yield "its widths grow"
    for gene in GENES:
        yield from _misfits_of(gene, getattr(genome, gene), space)


def _misfits_of(gene: str, value: Any, space: SearchSpace) -> Iterator[str]:
    if value is None:
        return  # `completed` gives it one
    if gene not in space.genes:
        yield f"the space has no {gene}"
        return
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) and gene not in space.per_layer:
        yield f"{gene} differs between layers"
    for different in dict.fromkeys(values):
        if different not in space.genes[gene]:
            shown = different if isinstance(different, str) else f"{different:g}"
            yield f"{gene} {shown} is not among {abbreviated(space.genes[gene])}"


def _typical(gene: str, values: tuple[Any, ...]) -> Any:
    return values[0] if isinstance(DOMAINS[gene], Names) else values[len(values) // 2]
