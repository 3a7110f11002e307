"""Structural operators: mutations and crossovers of genomes that keep children inside the space.

A layer (its width and `LAYER_GENES`) is inherited as a whole. A mutation takes (genome, space, rng) and
returns a changed genome, or None where it does not apply; a crossover takes two parents.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

from nas.alignment import align
from nas.genome import LAYER_GENES, Genome, Layer
from nas.space import DOMAINS, SearchSpace

Mutation = Callable[[Genome, SearchSpace, random.Random], Genome | None]
Crossover = Callable[[Genome, Genome, SearchSpace, random.Random], Genome]


def mix_layers(first: Genome, second: Genome, space: SearchSpace, rng: random.Random) -> Genome:
    """Cross two genomes over: each aligned pair of layers gives either layer.

    The layers of the shallower parent are aligned with the most similar layers of the deeper parent, in
    order; see `nas.alignment.align`. Each layer of the deeper parent without partner is kept with
    probability 1/2. The child's depth lies between its parents' depths, and each gene is a parent's gene.
    """
    long, short = sorted((first.layers, second.layers), key=len, reverse=True)
    partners = align(long, short)
    layers = []
    for i, layer in enumerate(long):
        if i in partners:
            layers.append(rng.choice((layer, short[partners[i]])))
        elif rng.random() < 0.5:
            layers.append(layer)
    return _child_of_both(first, second, layers, space, rng)


def cut_and_splice(first: Genome, second: Genome, space: SearchSpace, rng: random.Random) -> Genome:
    """Cross two genomes over: the first layers of one parent, then the last layers of the other.

    Each parent has a cut point of its own (Goldberg, Korb & Deb 1989, "messy" genetic algorithms), such
    that the space allows the child's depth.
    """
    i, j = rng.choice(_cuts(first.depth, second.depth, *space.depth))
    return _child_of_both(first, second, [*first.layers[:i], *second.layers[j:]], space, rng)


@lru_cache(maxsize=2**10)
def _cuts(n: int, m: int, low: int, high: int) -> list[tuple[int, int]]:
    """Return the cut points of parents of n and m layers, for children of `low` to `high` layers."""
    cuts = [(i, j) for i in range(n + 1) for j in range(m + 1) if low <= i + m - j <= high]
    # Cuts that leave a parent without layers in the child would copy the other parent's layers.
    return [(i, j) for i, j in cuts if i > 0 and j < m] or cuts


def _child_of_both(
    first: Genome, second: Genome, layers: list[Layer], space: SearchSpace, rng: random.Random
) -> Genome:
    """Build the genome of these layers, with every other gene, and shared layer genes, from either parent."""
    choice, parents = rng.choice, (first, second)
    if layers and space.shared_by_layers:
        donors = [parent.layers[0] for parent in parents if parent.depth]
        shared = {key: getattr(choice(donors), key) for key in space.shared_by_layers}
        layers = _set_all(layers, **shared)
    genes = {key: getattr(choice(parents), key) for key in space.network_genes}
    return _genome(space, layers, genes)


CROSSOVERS: dict[str, Crossover] = {"mix_layers": mix_layers, "cut_and_splice": cut_and_splice}
"""Every crossover by its name in `Operator`."""


def insert_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Insert a layer at any position, with a width near that of a neighbour."""
    if genome.depth >= space.depth[1]:
        return None
    layers = list(genome.layers)
    position = rng.randint(0, len(layers))
    if layers:
        neighbour = layers[rng.choice([i for i in (position - 1, position) if 0 <= i < len(layers)])]
        widths = [neighbour.width, *_neighbours(neighbour.width, space.widths_tuple)]
        layer = neighbour if space.equal_widths else neighbour._replace(width=rng.choice(widths))
        for key in LAYER_GENES:
            if key not in space.shared_by_layers and space.genes.get(key):
                layer = layer._replace(**{key: rng.choice(space.genes[key])})
    else:
        genes = {key: rng.choice(space.genes[key]) for key in LAYER_GENES if key in space.genes}
        layer = Layer(rng.choice(space.widths_tuple), *map(genes.get, LAYER_GENES))
    layers.insert(position, layer)
    return _genome(space, layers, _genes(genome, space))


def duplicate_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Insert a copy of a layer right behind it."""
    if not 0 < genome.depth < space.depth[1]:
        return None
    layers = list(genome.layers)
    position = rng.randrange(len(layers))
    layers.insert(position, layers[position])
    return _genome(space, layers, _genes(genome, space))


def remove_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Remove any layer."""
    if genome.depth <= space.depth[0]:
        return None
    layers = list(genome.layers)
    del layers[rng.randrange(len(layers))]
    return _genome(space, layers, _genes(genome, space))


def widen(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Widen a layer by one or two steps of the space."""
    return _resize(genome, space, rng, +1)


def narrow(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Narrow a layer by one or two steps of the space."""
    return _resize(genome, space, rng, -1)


def swap_activation(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Change the activation: of a layer where each has its own, else of all layers."""
    if not genome.depth or len(space.activation) < 2:
        return None
    return _step_layers(genome, space, rng, "activation")


def step_gene(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Change a gene: to a neighbouring value where values have an order, else to any other value."""
    keys = space.steppable_genes
    if not genome.depth:
        keys = tuple(key for key in keys if key not in LAYER_GENES)
    if not keys:
        return None
    key = rng.choice(keys)
    if key in LAYER_GENES:
        return _step_layers(genome, space, rng, key)
    genes = _genes(genome, space)
    genes[key] = _step(key, genes[key], space, rng)
    return _genome(space, list(genome.layers), genes)


MUTATIONS: dict[str, Mutation] = {
    "insert_layer": insert_layer,
    "duplicate_layer": duplicate_layer,
    "remove_layer": remove_layer,
    "widen": widen,
    "narrow": narrow,
    "swap_activation": swap_activation,
    "step_gene": step_gene,
}
"""Every mutation by its name in `Operator`."""


def mutate(genome: Genome, space: SearchSpace, rng: random.Random) -> tuple[Genome, str] | None:
    """Return the genome after a mutation that changes it, and the mutation's name.

    None if the space has no other genome. All mutations are equally likely, except `step_gene`, which
    counts once for each gene that it may change.
    """
    names = _weighted_names(len(space.steppable_genes))
    while names:
        name = rng.choice(names)
        child = MUTATIONS[name](genome, space, rng)
        if child is not None and child != genome:
            return child, name
        names = tuple(candidate for candidate in names if candidate != name)
    return None


@cache
def _weighted_names(n_genes: int) -> tuple[str, ...]:
    """Return the mutations' names, that of `step_gene` once for each of `n_genes`."""
    return tuple(name for name in MUTATIONS for _ in range(max(1, n_genes) if name == "step_gene" else 1))


def inherited(child: Genome, first: Genome, second: Genome) -> tuple[float, ...]:
    """Return the share of each layer's genes that a corresponding layer of either parent has too.

    Layers correspond in order: the matching of the child's layers with those of both parents that explains
    most genes counts (dynamic programming over the three sequences). The genes of a layer are its width,
    and its other genes where it carries them; a gene that all layers of a parent share may come
    from any of them.

    Parameters
    ----------
    child, first, second : Genome
        A child and its parents.

    Returns
    -------
    tuple of float
        A number from 0 to 1 for each layer of the child, first to last.
    """
    layers, firsts, seconds = child.layers, first.layers, second.layers
    common = [_in_common(firsts), _in_common(seconds)]
    genes = [len(layer) - layer.count(None) for layer in layers]
    # Sets of genes, a bit for each: explained by any layer, by a layer of the first, of the second parent.
    shared = [_equal(layer, common[0]) | _equal(layer, common[1]) for layer in layers]
    of_first, of_second = (
        [[_equal(layer, counterpart) for counterpart in parent] for layer in layers]
        for parent in (firsts, seconds)
    )

    def share(i: int, a: int | None = None, b: int | None = None) -> float:
        bits = shared[i] | (0 if a is None else of_first[i][a]) | (0 if b is None else of_second[i][b])
        return bits.bit_count() / genes[i]

    # best[a][b]: the greatest sum of shares that the first a and b layers of the parents explain of the
    # child's layers so far, and these shares.
    best: list[list[_Explained]] = [[(0.0, ())] * (len(seconds) + 1) for _ in range(len(firsts) + 1)]
    for i in range(len(layers)):
        row: list[list[_Explained]] = []
        for a in range(len(firsts) + 1):
            row.append([])
            for b in range(len(seconds) + 1):
                ways = [_longer(best[a][b], share(i))]
                if a:
                    ways += [row[a - 1][b], _longer(best[a - 1][b], share(i, a - 1))]
                if b:
                    ways += [row[a][b - 1], _longer(best[a][b - 1], share(i, None, b - 1))]
                if a and b:
                    ways.append(_longer(best[a - 1][b - 1], share(i, a - 1, b - 1)))
                row[a].append(max(ways, key=_total))
        best = row
    return best[-1][-1][1]


_Explained = tuple[float, tuple[float, ...]]
_total = itemgetter(0)


def _longer(explained: _Explained, share: float) -> _Explained:
    return explained[0] + share, (*explained[1], share)


def _equal(layer: Layer, values: Sequence[Any]) -> int:
    """Return the genes of a layer that have these values, as bits."""
    pairs = enumerate(zip(layer, values, strict=True))
    return sum(1 << k for k, (gene, value) in pairs if gene is not None and gene == value)


def _in_common(layers: Sequence[Layer]) -> tuple[Any, ...]:
    """Return the width and other genes that all layers share; None where they differ."""
    columns = zip(*layers, strict=True) if layers else ((None,),) * len(Layer._fields)
    return tuple(column[0] if len(set(column)) == 1 else None for column in columns)


def shrink(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Make the genome a step smaller: narrow a layer, or remove it; None for the smallest genome."""
    steps = [operator(genome, space, rng) for operator in (narrow, narrow, narrow, remove_layer)]
    smaller = [child for child in steps if child is not None and child != genome]
    return rng.choice(smaller) if smaller else None


def _resize(genome: Genome, space: SearchSpace, rng: random.Random, direction: int) -> Genome | None:
    """Move the width of a layer, or of all equal layers, one or two steps up (+1) or down (-1)."""
    widths = space.widths_tuple
    last = len(widths) - 1
    movable = [i for i, w in enumerate(genome.widths) if 0 <= widths.index(w) + direction <= last]
    if not movable:
        return None
    layers = list(genome.layers)
    i = rng.choice(movable)
    position = widths.index(layers[i].width) + direction * rng.choice((1, 2))
    width = widths[min(max(position, 0), last)]
    if space.equal_widths:
        layers = _set_all(layers, width=width)
    else:
        layers[i] = layers[i]._replace(width=width)
    if space.non_increasing:
        _restore_order(layers, i, direction)
    return _genome(space, layers, _genes(genome, space))


def _restore_order(layers: list[Layer], i: int, direction: int) -> None:
    """Keep a funnel after layer `i` changed: widen the layers before it, or narrow the layers after it."""
    width = layers[i].width
    for j in range(i) if direction > 0 else range(i + 1, len(layers)):
        limit = max if direction > 0 else min
        layers[j] = layers[j]._replace(width=limit(layers[j].width, width))


def _step_layers(genome: Genome, space: SearchSpace, rng: random.Random, key: str) -> Genome:
    """Change a layer gene: of any layer or, where layers share it, of all."""
    layers = list(genome.layers)
    i = rng.randrange(len(layers))
    value = _step(key, getattr(layers[i], key), space, rng)
    if key in space.shared_by_layers:
        layers = _set_all(layers, **{key: value})
    else:
        layers[i] = layers[i]._replace(**{key: value})
    return _genome(space, layers, _genes(genome, space))


def _step(key: str, value: Any, space: SearchSpace, rng: random.Random) -> Any:
    values = space.genes[key]
    if not DOMAINS[key].ordered:
        return rng.choice([option for option in values if option != value])
    return rng.choice(_neighbours(value, values))


def _neighbours(value: Any, values: Sequence[Any]) -> list[Any]:
    """Return the values next to `value` in rising order."""
    i = values.index(value)
    return [values[j] for j in (i - 1, i + 1) if 0 <= j < len(values)]


def _genes(genome: Genome, space: SearchSpace) -> dict[str, Any]:
    return {key: getattr(genome, key) for key in space.network_genes}


def _set_all(layers: Sequence[Layer], **values: Any) -> list[Layer]:
    """Return layers that all have these values; `layers` are at least one."""
    # Column by column: a quarter of the time of replacing values in each layer.
    columns = dict(zip(Layer._fields, zip(*layers, strict=True), strict=True))
    columns |= {key: (value,) * len(layers) for key, value in values.items()}
    return [*map(Layer, *columns.values())]


def _genome(space: SearchSpace, layers: list[Layer], genes: dict[str, Any]) -> Genome:
    """Build the genome of these layers, in falling order of width where the space is a funnel."""
    if space.non_increasing:
        layers = sorted(layers, key=lambda layer: layer.width, reverse=True)
    return _kept(tuple(layers), tuple(genes), *genes.values())


@lru_cache(maxsize=2**10, typed=True)
def _kept(layers: tuple[Layer, ...], keys: tuple[str, ...], *values: Any) -> Genome:
    """Return the genome of these layers and genes, the same object again: most children repeat a genome."""
    return Genome.of(layers, **dict(zip(keys, values, strict=True)))
