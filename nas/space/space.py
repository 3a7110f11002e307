"""Search spaces: the genomes that a search may try, drawn, enumerated and counted."""

from __future__ import annotations

import itertools
import math
import os
import random
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from nas.genome import (
    GENES,
    INPUT_GENES,
    LAYER_GENES,
    NUMERIC_ENCODINGS,
    SCALINGS,
    Encoding,
    Genome,
    encoding_of,
)
from nas.network.activations import ACTIVATIONS
from nas.network.architecture import MOST_MEMBERS, PARAMETRIZATIONS, RATE_FACTOR_BOUNDS
from nas.network.initializers import INITIALIZATIONS
from nas.network.losses import LARGEST_SMOOTHING
from nas.network.optimizers import BETA2_BOUNDS, OPTIMIZERS
from nas.network.schedules import SCHEDULES
from nas.space.values import LARGEST_WIDTH, Domain, Names, Numbers, Values, checked_depth, gene, refused


@dataclass(frozen=True)
class SearchSpace:
    """The genomes that a search may try.

    Every gene is a finite list of values, in rising order where they are numbers, so that a space
    can be counted, a value has neighbours, and equal networks are equal genomes.

    Parameters
    ----------
    depth : (int, int)
        The smallest and the largest number of hidden layers, both included; 0 is a linear model.
    widths : sequence of int, or Range
        The widths that each hidden layer may take.
    non_increasing : bool
        Whether no layer may be wider than the one before it (a funnel).
    equal_widths : bool
        Whether all hidden layers of a network are of one width; such a network is a funnel too.
    activation : sequence of str
        Names of hidden activations; empty: the gene is not carried and training uses relu.
    activation_per_layer : bool
        Whether each layer has an activation of its own; otherwise all layers share one.
    learning_rate, batch_size, weight_decay, dropout : sequence of numbers, or Range
        Optional numeric genes; empty: not carried.
    dropout_per_layer : bool
        Whether each layer has a dropout of its own; otherwise all layers share one.
    optimizer, schedule : sequence of str
        Names of optimizers and of learning-rate schedules; empty: not carried.
    scaling : sequence of str
        How numeric columns become inputs, see `nas.genome.SCALINGS`; empty: not carried, standardized.
    numeric_encoding : sequence of str
        What stands beside the scaled numbers, see `nas.genome.NUMERIC_ENCODINGS`; empty: not carried, none.
    beta2, label_smoothing : sequence of numbers, or Range
        Of Adam and AdamW, and of the targets of classes; empty: not carried.
    front_scaling : sequence of numbers, or Range
        Factors of the learning rate for trained factors of the inputs, 0 for none; empty: not carried.
    members : sequence of int, or Range
        Members of a network that share its hidden layers; empty: not carried, 1.
    parametric_activation : sequence of numbers, or Range
        Factors of the learning rate for trained blends of activations, 0 for none; empty: not carried.
    skips : sequence of int, or Range
        1: hidden layers add the layer before them; empty: not carried, 0.
    regularization_schedule : sequence of str
        Names of the schedules of dropout and weight decay; empty: not carried, constant.
    clip_norm : sequence of numbers, or Range
        The largest norms of a network's gradient, 0 for no limit; empty: not carried, 0.
    bias_rate : sequence of numbers, or Range
        Factors of the learning rate for biases; empty: not carried, 1.
    parametrization : sequence of str
        What learning rates are rates of, see `nas.network.architecture.PARAMETRIZATIONS`; empty: not carried,
        standard.
    initialization : sequence of str
        What initial weights follow from, see `nas.network.initializers.INITIALIZATIONS`; empty: not carried,
        random.
    layer_norm : sequence of int, or Range
        1: hidden layers have layer norm; empty: not carried, 0.
    name : str
        The name in messages and reports.
    starts : tuple of Genome
        Genomes that a search of the space begins with, unless it is given others. They are no part of which
        genomes there are: equal spaces may have different ones, and those outside of the space are left out.

    Raises
    ------
    SpaceError
        On an unknown name, an empty list, reversed bounds or a value out of its domain.
    """

    depth: tuple[int, int]
    widths: Values = field(metadata={"domain": Numbers(1, LARGEST_WIDTH, whole=True)})
    non_increasing: bool = False
    equal_widths: bool = False
    activation: Sequence[str] = gene(Names(ACTIVATIONS))
    activation_per_layer: bool = False
    learning_rate: Values = gene(Numbers(1e-12, 10), example=(0.001, 0.002, 0.004))
    batch_size: Values = gene(Numbers(1, 1_000_000, whole=True), "rows of a training step", (32, 64, 128))
    weight_decay: Values = gene(Numbers(0, 10), example=(0.0, 0.001))
    dropout: Values = gene(Numbers(0, 0.99), "share of neurons left out in a step", (0.0, 0.1, 0.2))
    dropout_per_layer: bool = False
    optimizer: Sequence[str] = gene(Names(OPTIMIZERS))
    schedule: Sequence[str] = gene(Names(SCHEDULES), "of the learning rate")
    scaling: Sequence[str] = gene(Names(SCALINGS), "of numbers; quantile: by their ranks")
    numeric_encoding: Sequence[str] = gene(Names(NUMERIC_ENCODINGS), "beside each number")
    beta2: Values = gene(Numbers(*BETA2_BOUNDS), "of adam and adamw", (0.95, 0.999))
    label_smoothing: Values = gene(Numbers(0, LARGEST_SMOOTHING), "of classes", (0.0, 0.05, 0.1))
    front_scaling: Values = gene(Numbers(*RATE_FACTOR_BOUNDS), "of trained factors of inputs", (0, 6))
    members: Values = gene(Numbers(1, MOST_MEMBERS, whole=True), "that share hidden layers", (1, 8))
    parametric_activation: Values = gene(
        Numbers(*RATE_FACTOR_BOUNDS), "of trained blends of activations", (0, 0.1)
    )
    skips: Values = gene(Numbers(0, 1, whole=True), "1: layers add the one before", (0, 1))
    regularization_schedule: Sequence[str] = gene(Names(SCHEDULES), "of dropout and weight decay")
    clip_norm: Values = gene(Numbers(0, 1000), "largest norm of a gradient, 0 for none", (0, 1))
    bias_rate: Values = gene(Numbers(*RATE_FACTOR_BOUNDS), "of biases", (0.1, 1))
    parametrization: Sequence[str] = gene(Names(PARAMETRIZATIONS), "ntk: rates of layers follow their inputs")
    initialization: Sequence[str] = gene(Names(INITIALIZATIONS), "of weights: data, from training rows")
    layer_norm: Values = gene(Numbers(0, 1, whole=True), "1: outputs of a layer are normalized", (0, 1))
    name: str = "custom"
    starts: tuple[Genome, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "depth", checked_depth(self.name, self.depth))
        for key, domain in DOMAINS.items():
            set_field(self, key, domain.checked(self.name, key, getattr(self, key)))
        if self.depth[1] > 0 and not self.widths:
            raise refused(self.name, "widths", "at least one width", "none")
        for key in ("non_increasing", "equal_widths", *map(per_layer_flag, LAYER_GENES)):
            if not isinstance(getattr(self, key), bool):
                raise refused(self.name, key, "true or false", reprlib.repr(getattr(self, key)))
        for key in self.per_layer:
            if key not in self.genes:
                expected = f"{DOMAINS[key].noun} to choose from for each layer"
                raise refused(self.name, key, expected, "none")

    # Computed once: operators read these for each child.

    @cached_property
    def genes(self) -> Mapping[str, tuple[Any, ...]]:
        """The optional genes that genomes of this space carry, with their values."""
        return {key: tuple(getattr(self, key)) for key in GENES if getattr(self, key)}

    @cached_property
    def per_layer(self) -> tuple[str, ...]:
        """The genes of which each layer has a value of its own."""
        return tuple(key for key in LAYER_GENES if getattr(self, per_layer_flag(key)))

    @cached_property
    def shared_by_layers(self) -> tuple[str, ...]:
        """The genes of which all layers have the same value; "width" among them with equal widths."""
        shared = tuple(key for key in LAYER_GENES if key not in self.per_layer)
        return ("width", *shared) if self.equal_widths else shared

    @cached_property
    def network_genes(self) -> tuple[str, ...]:
        """The genes that belong to a genome as a whole."""
        return tuple(key for key in self.genes if key not in LAYER_GENES)

    @cached_property
    def steppable_genes(self) -> tuple[str, ...]:
        """The genes, apart from the activation, that have at least two values."""
        return tuple(key for key, values in self.genes.items() if key != "activation" and len(values) > 1)

    def size(self) -> int:
        """Return the number of different genomes in this space."""
        of_genes = math.prod(len(self.genes[key]) for key in self.network_genes)
        return of_genes * sum(_size_at(self, depth) for depth in self.depths)

    @property
    def depths(self) -> range:
        """The depths that genomes may have."""
        return range(self.depth[0], self.depth[1] + 1)

    @property
    def widths_tuple(self) -> tuple[int, ...]:
        """The widths in rising order."""
        return tuple(self.widths)  # type: ignore[arg-type]  # __post_init__ made it a tuple of int

    def sample(self, rng: random.Random) -> Genome:
        """Draw a genome: the depth uniformly, then every gene uniformly."""
        depth = rng.randint(*self.depth)
        widths = [rng.choice(self.widths_tuple) for _ in range(depth)]
        if self.equal_widths:
            widths = widths[:1] * depth
        genes = {key: rng.choice(values) for key, values in self.genes.items()}
        for key in self.per_layer:
            genes[key] = tuple(rng.choice(self.genes[key]) for _ in range(depth))
        if self.non_increasing:
            widths.sort(reverse=True)
        return Genome(tuple(widths), **genes)

    def __iter__(self) -> Iterator[Genome]:
        """Iterate over every genome once, from shallow to deep; `size` counts them."""
        for depth in self.depths:
            genes: dict[str, Any] = dict(self.genes)
            for key in self.per_layer:
                genes[key] = tuple(itertools.product(genes[key], repeat=depth))
            if depth == 0:
                genes = {key: values for key, values in genes.items() if key not in LAYER_GENES}
            for widths in _widths_at(self, depth):
                for values in itertools.product(*genes.values()):
                    yield Genome(widths, **dict(zip(genes, values, strict=True)))

    def __contains__(self, genome: object) -> bool:
        if not isinstance(genome, Genome) or genome.depth not in self.depths:
            return False
        return _fits(self, genome.widths) and all(_carries(self, genome, key) for key in GENES)

    def to_dict(self) -> dict[str, Any]:
        """Return the space as plain values for JSON, with ranges written out.

        Genes of later versions stand in it only where they are carried, so that the journal of an earlier
        version describes the same search. The genomes to start with are recorded among a search's settings.
        """
        record = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "starts"}
        record = {key: value for key, value in record.items() if value or key not in _LATER_GENES}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> SearchSpace:
        """Return the space that `to_dict` wrote."""
        return cls(**{**record, "depth": tuple(record["depth"])})

    def summary(self) -> str:
        """Return one line of text: depths, widths, genes and size."""
        return _summary(self)


_LATER_GENES = (
    *("numeric_encoding", "beta2", "label_smoothing", "front_scaling", "members"),
    *("parametric_activation", "skips", "regularization_schedule", "clip_norm", "bias_rate"),
    *("parametrization", "initialization", "layer_norm"),
)
"""Genes that the first journals do not name."""

DOMAINS: dict[str, Domain] = {
    item.name: item.metadata["domain"] for item in fields(SearchSpace) if item.metadata
}
"""The values that a space may give the widths and each optional gene.

The bounds are those of `nas.training.TrainingConfig`: training accepts all values that a space accepts.
"""


def per_layer_flag(gene: str) -> str:
    """Return the name of the field that says whether each layer has its own value of a gene."""
    return f"{gene}_per_layer"


def encodings_of(space: SearchSpace) -> tuple[Encoding, ...]:
    """Return the different encodings of inputs that genomes of a space have."""
    values = itertools.product(*(space.genes.get(key, (None,)) for key in INPUT_GENES))
    return tuple(dict.fromkeys(map(encoding_of, values)))


def _summary(space: SearchSpace) -> str:
    low, high = space.depth
    depth = f"{low}" if low == high else f"{low}-{high}"
    widths = "equal widths" if space.equal_widths else "widths"
    if space.non_increasing and not space.equal_widths:
        widths += " funnel of"
    parts = [f"{depth} hidden layers", f"{widths} {abbreviated(space.widths_tuple)}"]
    for key, values in space.genes.items():
        per_layer = " per layer" if key in space.per_layer else ""
        parts.append(f"{key}{per_layer} {abbreviated(values)}")
    return "; ".join(parts) + f"; {count_in_words(space.size())} genomes"


def _size_at(space: SearchSpace, depth: int) -> int:
    """Count the different layers, `depth` of them in order."""
    if depth == 0:
        return 1
    n = len(space.widths_tuple)
    if space.equal_widths:
        size = n
    else:
        size = math.comb(n + depth - 1, depth) if space.non_increasing else n**depth
    for key in LAYER_GENES:
        size *= len(space.genes.get(key, (None,))) ** (depth if key in space.per_layer else 1)
    return size


def _widths_at(space: SearchSpace, depth: int) -> Iterable[tuple[int, ...]]:
    """Iterate over the widths of `depth` layers."""
    if space.equal_widths and depth:
        return ((width,) * depth for width in space.widths_tuple)
    if space.non_increasing:
        return itertools.combinations_with_replacement(space.widths_tuple[::-1], depth)
    return itertools.product(space.widths_tuple, repeat=depth)


def _carries(space: SearchSpace, genome: Genome, key: str) -> bool:
    """Return whether the genome's value of an optional gene is a value of this space."""
    value, values = getattr(genome, key), getattr(space, key)
    if not values or (genome.depth == 0 and key in LAYER_GENES):
        return value is None
    if isinstance(value, tuple):
        return key in space.per_layer and set(value) <= set(values)
    return value in values


def check_fits(space: SearchSpace, n_rows: int, n_inputs: int, n_outputs: int) -> None:
    """Raise `SpaceError` if training on such a table cannot work for every genome.

    Parameters
    ----------
    n_rows : int
        Rows to train on.
    n_inputs, n_outputs : int
        Columns of the encoded table, of the encoding that has most, and outputs of the network.
    """
    largest_batch = max(space.genes.get("batch_size", (1,)))
    if largest_batch > n_rows:
        raise refused(space.name, "batch_size", f"at most {n_rows}, the rows to train on", str(largest_batch))
    widest = Genome((space.widths_tuple[-1],) * space.depth[1] if space.depth[1] else ())
    # Parameters, gradients, two moments, the best weights and a scratch buffer, in float32; and parameters
    # and gradients of each member, which training keeps apart.
    most_members = max(space.genes.get("members", (1,)))
    copies = 6 + (2 * most_members if most_members > 1 else 0)
    n_bytes, available = copies * 4 * widest.n_parameters(n_inputs, n_outputs), _memory_bytes()
    if n_bytes > available / 2:
        raise refused(
            space.name,
            "widths",
            f"networks that train within half of this machine's {available / 2**30:.1f} GiB",
            f"up to {n_bytes / 2**30:.1f} GiB for {widest.depth} layers of "
            f"{max(widest.widths, default=0)} on {n_inputs} inputs"
            + (f" with {most_members} members" if most_members > 1 else ""),
        )


def _fits(space: SearchSpace, widths: tuple[int, ...]) -> bool:
    """Return whether widths are values of a space, equal or falling where it requires that."""
    different = set(widths)
    if space.equal_widths and len(different) > 1:
        return False
    falling = all(width >= following for width, following in itertools.pairwise(widths))
    return different <= set(space.widths_tuple) and (falling or not space.non_increasing)


def count_in_words(count: int) -> str:
    """Format a count with separators, or as a power of ten where it has more than nine digits."""
    if count < 10**9:
        return f"{count:,}"
    # Python refuses to convert integers of thousands of digits to text.
    exponent = int(math.log10(count))
    first = count // 10 ** (exponent - 1)
    if not 10 <= first < 100:
        exponent += 1 if first >= 100 else -1
        first = count // 10 ** (exponent - 1)
    return f"about {first // 10}.{first % 10}e{exponent}"


def abbreviated(values: Sequence[Any]) -> str:
    """Values in words; of more than nine the first three and the last."""
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return ", ".join(texts if len(texts) <= 9 else [*texts[:3], "…", texts[-1]])


def _memory_bytes() -> int:
    """Return the size of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
