"""The genome: a network's structure and the hyperparameters of its training, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter, mul
from typing import Any, NamedTuple


class Effect(StrEnum):
    """What a gene decides."""

    STRUCTURE = "structure"
    """The network's function, or its initial weights."""

    TRAINING = "training"
    """The setting of the same name in `nas.training.TrainingConfig`."""

    INPUTS = "inputs"
    """How the cells of a table become inputs: networks of equal genes can read the same arrays."""


def _gene(effect: Effect, label: str = "", *, of_layers: bool = False, standard: str | None = None) -> Any:
    """Declare an optional gene.

    Parameters
    ----------
    effect : Effect
    label : str
        Text before its value in the text of a genome.
    of_layers : bool
        Whether it belongs to hidden layers: one value that all layers share, or a value for each.
    standard : str, optional
        Of a gene of inputs: the value that has the effect of not carrying the gene.
    """
    return field(
        default=None,
        metadata={"effect": effect, "label": label, "of_layers": of_layers, "standard": standard},
    )


SCALINGS = ("standard", "quantile", "robust", "robust_all")
"""How numeric columns become inputs: "standard" scales to mean 0 and standard deviation 1; "quantile" maps
ranks among the training rows to normal scores, so that heavy tails and outliers have no weight; "robust"
scales the median to 0 and the interquartile range to 1, and bends values smoothly below 3; "robust_all" does
so with one-hot columns of categories too (Holzmüller et al. 2024, "Better by default")."""

NUMERIC_ENCODINGS = ("none", "piecewise_linear", "periodic")
"""What stands beside the scaled number of a numeric column: "none", nothing; "piecewise_linear", an input for
each bin between quantiles of the training rows, the share of the bin that lies below the number (Gorishniy et
al. 2022, "On embeddings for numerical features"); "periodic", three sums of 16 waves of the number, which are
trained with the network (Holzmüller et al. 2024, "Better by default")."""


class Encoding(NamedTuple):
    """How the cells of a table become inputs: the genes of inputs, in the order of `GENES`.

    None for a gene that is not carried, or has the value that has the same effect.
    """

    scaling: str | None = None
    numeric_encoding: str | None = None

    @property
    def of_table(self) -> Encoding:
        """The encoding that makes the same arrays of a table: waves are computed by the network."""
        return self._replace(numeric_encoding=None) if self.numeric_encoding == "periodic" else self


class Layer(NamedTuple):
    """One hidden layer: its width in units, and ``None`` for each gene that the genome does not carry."""

    width: int
    activation: str | None
    dropout: float | None


@lru_cache(maxsize=2**12)
def _layer(width: int, activation: str | None, dropout: float | None) -> Layer:
    """Return the same object for equal layers: a search keeps many genomes made of few different layers."""
    return Layer(width, activation, dropout)


@dataclass(frozen=True, slots=True, eq=False)
class Genome:
    """The widths of the hidden layers, first to last, and the optional genes.

    A gene that is ``None`` is not carried: training then uses its own default.

    Genomes are canonical, so that equal networks are equal genomes: a gene that has the same value in
    all layers collapses into that value, and a network without hidden layers carries no `LAYER_GENES`.

    Parameters
    ----------
    widths : tuple of int
        Units of each hidden layer, at least 1; the depth *is* ``len(widths)``.
    activation : str or tuple of str, optional
        A name for all hidden layers, or a name for each layer; see `nas.network.ACTIVATIONS`.
    learning_rate : float, optional
    batch_size : int, optional
        Rows of a step of the optimizer.
    weight_decay : float, optional
    dropout : float or tuple of float, optional
        The share of units that training drops: a rate for all hidden layers, or a rate for each layer.
    optimizer, schedule : str, optional
        Names of the optimizer and of the learning rate's schedule; see `nas.network.SCHEDULES`.
    scaling : str, optional
        How numeric columns become inputs; see `SCALINGS`.
    numeric_encoding : str, optional
        What stands beside the scaled numbers; see `NUMERIC_ENCODINGS`.
    beta2 : float, optional
        Of Adam and AdamW; other optimizers do not read it.
    label_smoothing : float, optional
        The share of every class in the targets that training sees.
    front_scaling : float, optional
        The factor of the learning rate for trained factors of the inputs; 0: there are none. A network with
        members, which have factors of their own, does not read it.
    members : int, optional
        Members of the network, which share its hidden layers; see `nas.network.MLP`. A network without
        hidden layers does not read it.
    parametric_activation : float, optional
        The factor of the learning rate for trained blends of activation and linear output, of each hidden
        unit; 0: there are none. A network with members does not read it.
    skips : int, optional
        1: each hidden layer adds the layer before it, by trained factors; see `nas.network.units`. 0: none
        does. A network with members, or with a single hidden layer, does not read it.
    regularization_schedule : str, optional
        The name of the schedule of dropout and weight decay.
    clip_norm : float, optional
        The largest norm of the network's gradient; 0: there is no limit.
    bias_rate : float, optional
        The factor of the learning rate for biases.
    parametrization : str, optional
        What the learning rate is a rate of; see `nas.network.architecture.PARAMETRIZATIONS`.
    initialization : str, optional
        What initial weights follow from; see `nas.network.initializers.INITIALIZATIONS`. A network with
        members, or with inherited weights, does not read it.
    layer_norm : int, optional
        1: linear outputs of hidden layers are normalized over a layer's units; see `nas.network.units`. 0:
        they are not. A network with members does not read it.

    Raises
    ------
    ValueError
        On a width that is no whole number of at least 1, or a gene that does not have a value for each layer.

    Examples
    --------
    >>> genome = Genome((64, 32), activation=("relu", "relu"), learning_rate=0.001)
    >>> genome.activation, genome.depth, str(genome)
    ('relu', 2, '64-32 relu lr=0.001')
    """

    widths: tuple[int, ...]
    activation: str | tuple[str, ...] | None = _gene(Effect.STRUCTURE, of_layers=True)
    learning_rate: float | None = _gene(Effect.TRAINING, "lr=")
    batch_size: int | None = _gene(Effect.TRAINING, "batch=")
    weight_decay: float | None = _gene(Effect.TRAINING, "decay=")
    dropout: float | tuple[float, ...] | None = _gene(Effect.TRAINING, "dropout=", of_layers=True)
    optimizer: str | None = _gene(Effect.TRAINING)
    schedule: str | None = _gene(Effect.TRAINING, "schedule=")
    scaling: str | None = _gene(Effect.INPUTS, "scaling=", standard="standard")
    numeric_encoding: str | None = _gene(Effect.INPUTS, "numeric=", standard="none")
    beta2: float | None = _gene(Effect.TRAINING, "beta2=")
    label_smoothing: float | None = _gene(Effect.TRAINING, "smoothing=")
    front_scaling: float | None = _gene(Effect.TRAINING, "front=")
    members: int | None = _gene(Effect.STRUCTURE, "members=")
    parametric_activation: float | None = _gene(Effect.TRAINING, "parametric=")
    skips: int | None = _gene(Effect.STRUCTURE, "skips=")
    regularization_schedule: str | None = _gene(Effect.TRAINING, "regularization=")
    clip_norm: float | None = _gene(Effect.TRAINING, "clip=")
    bias_rate: float | None = _gene(Effect.TRAINING, "bias=")
    parametrization: str | None = _gene(Effect.TRAINING, "parametrization=")
    initialization: str | None = _gene(Effect.STRUCTURE, "initial=")
    layer_norm: int | None = _gene(Effect.STRUCTURE, "norm=")
    layers: tuple[Layer, ...] = field(init=False, repr=False)
    """The hidden layers, first to last, each with its own width, activation and dropout."""

    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen
        widths = self.widths
        if not _WHOLE.issuperset(map(type, widths)) or min(widths, default=1) < 1:
            if any(not width >= 1 or width % 1 for width in widths):
                raise ValueError(f"widths: expected whole numbers of at least 1, got {tuple(widths)}")
            set_field(self, "widths", tuple(map(int, widths)))
        elif not isinstance(widths, tuple):
            set_field(self, "widths", tuple(widths))
        depth = len(widths)
        activation = _canonical("activation", "name", self.activation, depth)
        dropout = _canonical("dropout", "rate", self.dropout, depth)
        if activation is not self.activation:
            set_field(self, "activation", activation)
        if dropout is not self.dropout:
            set_field(self, "dropout", dropout)
        # Computed once: crossover, mutation and distances read the layers of a genome many times.
        columns = _in_layers(activation, depth), _in_layers(dropout, depth)
        set_field(self, "layers", tuple(map(_layer, self.widths, *columns)))
        set_field(self, "_hash", hash(_compared(self)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genome):
            return NotImplemented
        # Most genomes that are compared differ, and so do their hashes.
        return self._hash == other._hash and _compared(self) == _compared(other)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process hashes text to other numbers, so that unpickling has to compute the hash anew.
        return type(self), _compared(self)

    @classmethod
    def of(cls, layers: Sequence[Layer], **genes: Any) -> Genome:
        """Build the genome of these layers, with all genes but `LAYER_GENES` as keywords.

        ``Genome.of(genome.layers, ...)`` with the same other genes equals the genome.

        Raises
        ------
        ValueError
            If only some of the layers carry an activation, or a dropout.
        """
        widths, *columns = tuple(zip(*layers, strict=True)) or ((), (), ())
        for key, values in zip(LAYER_GENES, columns, strict=True):
            n_missing = values.count(None)
            if 0 < n_missing < len(values):
                raise ValueError(f"layers: expected the {key} of all of them, or of none, got {values}")
            genes[key] = None if n_missing else values
        return cls(widths, **genes)

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.widths)

    @property
    def activations(self) -> tuple[str | None, ...]:
        """The activation of each hidden layer; ``None`` where the genome carries none."""
        return _in_layers(self.activation, self.depth)

    @property
    def dropouts(self) -> tuple[float | None, ...]:
        """The dropout of each hidden layer; ``None`` where the genome carries none."""
        return _in_layers(self.dropout, self.depth)

    @property
    def n_members(self) -> int:
        """The number of members of the network: 1 is a plain network."""
        return self.members if self.members and self.widths else 1

    @property
    def is_parametric(self) -> bool:
        """Whether hidden units have trained blends of activation and linear output."""
        return bool(self.parametric_activation and self.widths) and self.n_members == 1

    @property
    def has_skips(self) -> bool:
        """Whether hidden layers add the layer before them."""
        return bool(self.skips) and self.depth > 1 and self.n_members == 1

    @property
    def is_normalized(self) -> bool:
        """Whether hidden layers have layer norm."""
        return bool(self.layer_norm and self.widths) and self.n_members == 1

    @property
    def is_data_driven(self) -> bool:
        """Whether initial weights follow from training rows."""
        return self.initialization == "data" and self.n_members == 1

    @property
    def encoding(self) -> Encoding:
        """The values of the genes of inputs, the standard ones as None.

        A network with members has factors of its inputs in place of waves.
        """
        encoding = encoding_of(_input_genes(self))
        return encoding.of_table if self.members and self.n_members > 1 else encoding

    def n_parameters(self, n_inputs: int, n_outputs: int) -> int:
        """Count the weights and biases of this network between the given numbers of inputs and outputs.

        Of a network with members, the shared ones count once, beside each member's factors of the inputs.
        Factors of front scaling are not counted: a trained network has them in its weights.
        """
        of_layers = sum(_weights_and_biases(self, n_inputs, self.n_members * n_outputs))
        return of_layers + _n_factors(self, n_inputs) + sum(_blends_and_gains(self))

    def n_flops(self, n_inputs: int, n_outputs: int) -> int:
        """Count the floating-point operations of predicting one row: two for each weight, one for each bias.

        Each member of a network computes all layers, and multiplies the inputs by its factors. Activations
        and the output's own function are not counted: their cost grows with the units only, and depends on
        how a machine computes an exponential.
        """
        weights, biases = _weights_and_biases(self, n_inputs, n_outputs)
        blends, gains = _blends_and_gains(self)
        # A blend takes a difference, a product and a sum; layer norm two sums, a difference and two products.
        of_units = 3 * blends + 2 * gains + 5 * sum(self.widths) * self.is_normalized
        return self.n_members * (2 * weights + biases) + _n_factors(self, n_inputs) + of_units

    def to_dict(self) -> dict[str, Any]:
        """Return the genome as plain values for JSON, without the genes that it does not carry."""
        record: dict[str, Any] = {"widths": list(self.widths)}
        for name in GENES:
            value = getattr(self, name)
            if value is not None:
                record[name] = list(value) if isinstance(value, tuple) else value
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Genome:
        """Return the genome that `to_dict` wrote; raises `ValueError` on keys that no genome has."""
        unknown = set(record) - {"widths", *GENES}
        if unknown or "widths" not in record:
            raise ValueError(f"expected the keys of a genome with 'widths', got {sorted(record)}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
        }
        return cls(**values)

    def __str__(self) -> str:
        """Return text such as ``64-128-32 relu lr=0.001``; a network without hidden layers is ``linear``."""
        words = ["-".join(map(str, self.widths)) or "linear"]
        for name in GENES:
            value = getattr(self, name)
            if value is not None:
                values = value if isinstance(value, tuple) else (value,)
                words.append(_LABELS[name] + ",".join(map(_short, values)))
        return " ".join(words)


_DECLARED = {field.name: field.metadata for field in fields(Genome) if field.metadata}
_LABELS = {name: declared["label"] for name, declared in _DECLARED.items()}

GENES = tuple(_DECLARED)
"""The optional genes, in the order of `Genome.to_dict` and of a genome's text."""

LAYER_GENES = tuple(name for name, declared in _DECLARED.items() if declared["of_layers"])
"""Genes of the hidden layers: one value that all layers share, or a value for each layer."""

TRAINING_GENES = tuple(name for name, declared in _DECLARED.items() if declared["effect"] is Effect.TRAINING)
"""Genes that replace settings of the training."""

INPUT_GENES = tuple(name for name, declared in _DECLARED.items() if declared["effect"] is Effect.INPUTS)
"""Genes that decide how the cells of a table become inputs."""

_input_genes = attrgetter(*INPUT_GENES)
_STANDARDS = tuple(_DECLARED[name]["standard"] for name in INPUT_GENES)

STANDARD_ENCODING = Encoding()
"""The inputs of a genome without genes of inputs."""


@lru_cache(maxsize=2**8)
def encoding_of(values: tuple[str | None, ...]) -> Encoding:
    """Return the encoding that values of the genes of inputs ask for, in the order of `INPUT_GENES`."""
    pairs = zip(values, _STANDARDS, strict=True)
    return Encoding(*(None if value == standard else value for value, standard in pairs))


_WHOLE = frozenset({int})
_compared = attrgetter("widths", *GENES)
"""The values that identify a genome, in the order of its parameters."""


def _weights_and_biases(genome: Genome, n_inputs: int, n_outputs: int) -> tuple[int, int]:
    outputs = (*genome.widths, n_outputs)
    return sum(map(mul, (n_inputs, *genome.widths), outputs)), sum(outputs)


def _n_factors(genome: Genome, n_inputs: int) -> int:
    return genome.n_members * n_inputs if genome.n_members > 1 else 0


def _blends_and_gains(genome: Genome) -> tuple[int, int]:
    """The numbers of parametric activations, and of skip connections."""
    blends = sum(genome.widths) if genome.is_parametric else 0
    return blends, sum(map(min, pairwise(genome.widths))) if genome.has_skips else 0


def _canonical(key: str, noun: str, value: Any, depth: int) -> Any:
    """Return the canonical form of a layer gene: a value that all layers share, or a tuple of values.

    Raises `ValueError` if there is not a value for each layer.
    """
    if value is None or depth == 0:
        return None
    if not isinstance(value, tuple) and (isinstance(value, str) or not isinstance(value, Sequence)):
        return value
    if len(value) != depth:
        raise ValueError(
            f"{key}: expected one {noun}, or one for each of {depth} hidden layers, got {len(value)}"
        )
    return value[0] if value.count(value[0]) == depth else tuple(value)


def _in_layers(value: Any, depth: int) -> tuple[Any, ...]:
    """Return the value of a canonical layer gene in each of `depth` layers."""
    return value if isinstance(value, tuple) else (value,) * depth


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
