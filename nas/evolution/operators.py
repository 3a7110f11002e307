"""Structural operators: how genomes change and mix, every child inside its space.

A layer (width, activation, dropout) is inherited as one. A mutation takes (genome, space, rng) and gives
a changed genome, or None where it does not apply; a crossover takes two parents.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from nas.alignment import align
from nas.genome import LAYER_GENES, Genome, Layer
from nas.space import SearchSpace

Mutation = Callable[[Genome, SearchSpace, random.Random], Genome | None]
Crossover = Callable[[Genome, Genome, SearchSpace, random.Random], Genome]

_UNORDERED = ("activation", "optimizer", "schedule", "scaling")
"""Genes whose values have no neighbours."""


def mix_layers(mother: Genome, father: Genome, space: SearchSpace, rng: random.Random) -> Genome:
    """A child of both: layers that correspond come from either, the others may be left out.

    The shorter parent's layers are aligned with those of the longer one that resemble them most,
    in order. Each aligned pair gives one of its two layers; each layer of the longer parent that
    has no partner is kept or left out by the toss of a coin. The child's depth so lies between its
    parents' depths, and every gene of it is one parent's gene.
    """
    long, short = sorted((mother.layers, father.layers), key=len, reverse=True)
    partners = align(long, short)
    layers = []
    for i, layer in enumerate(long):
        if i in partners:
            layers.append(rng.choice((layer, short[partners[i]])))
        elif rng.random() < 0.5:
            layers.append(layer)
    return _child_of_both(mother, father, layers, space, rng)


def cut_and_splice(mother: Genome, father: Genome, space: SearchSpace, rng: random.Random) -> Genome:
    """A child with the first layers of one parent and the last layers of the other.

    Each parent is cut at a place of its own (Goldberg, Korb & Deb 1989, "messy" genetic algorithms),
    such that the child's depth is one of the space's.
    """
    low, high = space.depth
    n, m = mother.depth, father.depth
    cuts = [(i, j) for i in range(n + 1) for j in range(m + 1) if low <= i + m - j <= high]
    # Cuts that take nothing of one parent make a copy of the other's layers.
    i, j = rng.choice([(i, j) for i, j in cuts if i > 0 and j < m] or cuts)
    return _child_of_both(mother, father, [*mother.layers[:i], *father.layers[j:]], space, rng)


def _child_of_both(
    mother: Genome, father: Genome, layers: list[Layer], space: SearchSpace, rng: random.Random
) -> Genome:
    """The genome of these layers, with every other gene, and what all layers share, from either parent."""
    donors = [parent for parent in (mother, father) if parent.depth] or [mother]
    for key in space.shared_by_layers:
        if layers:
            layers = _set_all(layers, **{key: getattr(rng.choice(donors).layers[0], key)})
    genes = {key: getattr(rng.choice((mother, father)), key) for key in space.network_genes}
    return _genome(space, layers, genes)


CROSSOVERS: dict[str, Crossover] = {"mix_layers": mix_layers, "cut_and_splice": cut_and_splice}
"""Every crossover by the name that lineage and tags use."""


def insert_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """A layer more, anywhere, whose width is near a neighbour's."""
    if genome.depth >= space.depth[1]:
        return None
    layers = list(genome.layers)
    position = rng.randint(0, len(layers))
    if layers:
        neighbour = layers[rng.choice([i for i in (position - 1, position) if 0 <= i < len(layers)])]
        near = [neighbour.width, *_neighbours(neighbour.width, space.widths_tuple)]
        layer = neighbour if space.equal_widths else neighbour._replace(width=rng.choice(near))
        for key in LAYER_GENES:
            if key not in space.shared_by_layers and space.genes.get(key):
                layer = layer._replace(**{key: rng.choice(space.genes[key])})
    else:
        genes = {key: rng.choice(space.genes[key]) for key in LAYER_GENES if key in space.genes}
        layer = Layer(rng.choice(space.widths_tuple), genes.get("activation"), genes.get("dropout"))
    layers.insert(position, layer)
    return _genome(space, layers, _genes(genome, space))


def duplicate_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """One layer twice, the second right behind the first."""
    if not 0 < genome.depth < space.depth[1]:
        return None
    layers = list(genome.layers)
    position = rng.randrange(len(layers))
    layers.insert(position, layers[position])
    return _genome(space, layers, _genes(genome, space))


def remove_layer(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """A layer less, whichever."""
    if genome.depth <= space.depth[0]:
        return None
    layers = list(genome.layers)
    del layers[rng.randrange(len(layers))]
    return _genome(space, layers, _genes(genome, space))


def widen(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """One layer wider, by one or two steps of the space."""
    return _resize(genome, space, rng, +1)


def narrow(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """One layer narrower, by one or two steps of the space."""
    return _resize(genome, space, rng, -1)


def swap_activation(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Another activation, of one layer where each has its own, else of all."""
    if not genome.depth or len(space.activation) < 2:
        return None
    return _step_layers(genome, space, rng, "activation")


def step_gene(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """Another value of one gene: a neighbour where values have an order, else any other."""
    keys = space.steppable_genes
    if not genome.depth:
        keys = tuple(key for key in keys if key != "dropout")
    if not keys:
        return None
    key = rng.choice(keys)
    if key == "dropout":
        return _step_layers(genome, space, rng, "dropout")
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
"""Every mutation by the name that lineage and tags use."""


def mutate(genome: Genome, space: SearchSpace, rng: random.Random) -> tuple[Genome, str] | None:
    """The genome after one mutation that applies and changes it, and that mutation's name.

    None where there is no other genome in the space. All mutations are as likely, but `step_gene`
    once for each gene that it may change.
    """
    names = _as_likely(len(space.steppable_genes))
    while names:
        name = rng.choice(names)
        child = MUTATIONS[name](genome, space, rng)
        if child is not None and child != genome:
            return child, name
        names = tuple(other for other in names if other != name)
    return None


@cache
def _as_likely(n_genes: int) -> tuple[str, ...]:
    """The mutations' names, that of `step_gene` once for each of so many genes."""
    return tuple(name for name in MUTATIONS for _ in range(max(1, n_genes) if name == "step_gene" else 1))


def inherited(child: Genome, mother: Genome, father: Genome) -> tuple[float, ...]:
    """The share of each layer's genes that are those of a corresponding layer of either parent.

    Layers correspond in order: of all ways to match the child's layers with the mother's and with the
    father's, the one that explains most genes counts (dynamic programming over the three). The genes of
    a layer are its width, and its activation and dropout where it carries them; what all layers of a
    parent have in common may come from any of them. One number for each layer of the child, first to
    last.
    """
    layers, one, other = child.layers, mother.layers, father.layers
    common = [_in_common(one), _in_common(other)]
    genes = [len(layer) - layer.count(None) for layer in layers]
    # Sets of genes, a bit each: what a layer has from anywhere, from a layer of one, of the other parent.
    anyhow = [_equal(layer, common[0]) | _equal(layer, common[1]) for layer in layers]
    of_one, of_other = ([[_equal(layer, its) for its in those] for layer in layers] for those in (one, other))

    def share(i: int, a: int | None = None, b: int | None = None) -> float:
        kept = anyhow[i] | (0 if a is None else of_one[i][a]) | (0 if b is None else of_other[i][b])
        return kept.bit_count() / genes[i]

    # best[a][b]: the most that the child's layers so far can have of the first a and b layers of the
    # parents, and the shares that make it up.
    best: list[list[_Explained]] = [[(0.0, ())] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(layers)):
        row: list[list[_Explained]] = []
        for a in range(len(one) + 1):
            row.append([])
            for b in range(len(other) + 1):
                ways = [_longer(best[a][b], share(i))]
                if a:
                    ways += [row[a - 1][b], _longer(best[a - 1][b], share(i, a - 1))]
                if b:
                    ways += [row[a][b - 1], _longer(best[a][b - 1], share(i, None, b - 1))]
                if a and b:
                    ways.append(_longer(best[a - 1][b - 1], share(i, a - 1, b - 1)))
                row[a].append(max(ways, key=_most))
        best = row
    return best[-1][-1][1]


_Explained = tuple[float, tuple[float, ...]]
_most = itemgetter(0)


def _longer(explained: _Explained, share: float) -> _Explained:
    return explained[0] + share, (*explained[1], share)


def _equal(layer: Layer, other: Sequence[Any]) -> int:
    """The genes that a layer carries, and another one too, as bits."""
    pairs = enumerate(zip(layer, other, strict=True))
    return sum(1 << k for k, (mine, its) in pairs if mine is not None and mine == its)


def _in_common(layers: Sequence[Layer]) -> tuple[Any, ...]:
    """What all layers have in common of width, activation and dropout; None where they differ."""
    return tuple(column[0] if len(set(column)) == 1 else None for column in zip(*layers, strict=True)) or (
        None,
        None,
        None,
    )


def shrink(genome: Genome, space: SearchSpace, rng: random.Random) -> Genome | None:
    """The genome one step smaller: a layer narrower by a step, or left out; None for the smallest."""
    steps = [operator(genome, space, rng) for operator in (narrow, narrow, narrow, remove_layer)]
    smaller = [child for child in steps if child is not None and child != genome]
    return rng.choice(smaller) if smaller else None


def _resize(genome: Genome, space: SearchSpace, rng: random.Random, direction: int) -> Genome | None:
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
        _make_room(layers, i, direction)
    return _genome(space, layers, _genes(genome, space))


def _make_room(layers: list[Layer], i: int, direction: int) -> None:
    """In a funnel a wider layer widens those before it, a narrower one narrows those after it."""
    width = layers[i].width
    for j in range(i) if direction > 0 else range(i + 1, len(layers)):
        limit = max if direction > 0 else min
        layers[j] = layers[j]._replace(width=limit(layers[j].width, width))


def _step_layers(genome: Genome, space: SearchSpace, rng: random.Random, key: str) -> Genome:
    """Another value of a gene that layers carry, in one layer or, where they share it, in all."""
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
    if key in _UNORDERED:
        return rng.choice([other for other in values if other != value])
    return rng.choice(_neighbours(value, values))


def _neighbours(value: Any, values: Sequence[Any]) -> list[Any]:
    """The values next to `value` in rising order."""
    i = values.index(value)
    return [values[j] for j in (i - 1, i + 1) if 0 <= j < len(values)]


def _genes(genome: Genome, space: SearchSpace) -> dict[str, Any]:
    return {key: getattr(genome, key) for key in space.network_genes}


def _set_all(layers: Sequence[Layer], **values: Any) -> list[Layer]:
    return [layer._replace(**values) for layer in layers]


def _genome(space: SearchSpace, layers: list[Layer], genes: dict[str, Any]) -> Genome:
    """The genome of these layers, in falling order where the space is a funnel."""
    if space.non_increasing:
        layers = sorted(layers, key=lambda layer: layer.width, reverse=True)
    return Genome.of(layers, **genes)
