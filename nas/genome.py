"""A genome: the structure of one network, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter, mul
from typing import Any, NamedTuple

GENES = (
    *("activation", "learning_rate", "batch_size", "weight_decay", "dropout", "optimizer", "schedule"),
    "scaling",
)
"""The optional genes, in the order in which they are written."""

SCALINGS = ("standard", "quantile")
"""How numbers become inputs: standardized; or by their ranks among those of the training rows, as normal
scores, for which no tail is heavy."""

LAYER_GENES = ("activation", "dropout")
"""Those that say something of hidden layers: one value for all of them, or one a layer."""

_LABELS = {
    "learning_rate": "lr=",
    "batch_size": "batch=",
    "weight_decay": "decay=",
    "dropout": "dropout=",
    "schedule": "schedule=",
    "scaling": "scaling=",
}


class Layer(NamedTuple):
    """One hidden layer; what the genome does not carry is ``None``."""

    width: int
    activation: str | None
    dropout: float | None


@lru_cache(maxsize=2**12)
def _layer(width: int, activation: str | None, dropout: float | None) -> Layer:
    """Equal layers are one object: a search remembers many genomes, of few different layers."""
    return Layer(width, activation, dropout)


@dataclass(frozen=True, slots=True, eq=False)
class Genome:
    """Widths of the hidden layers, first to last, and the optional genes that it carries.

    The depth *is* ``len(widths)``. A gene that is ``None`` is not carried: training then uses its
    own default. ``activation`` is one name for all hidden layers, or one name a layer; so is
    ``dropout`` one rate or one a layer. ``schedule`` names the learning rate's; see
    `nas.network.SCHEDULES`. ``scaling`` says how numbers of the table become inputs; see `SCALINGS`.

    Genomes are canonical, so that equal networks are equal genomes: activations that are all the
    same collapse into one name, dropouts into one rate, and a network without hidden layers carries
    neither.
    """

    widths: tuple[int, ...]
    activation: str | tuple[str, ...] | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    weight_decay: float | None = None
    dropout: float | tuple[float, ...] | None = None
    optimizer: str | None = None
    schedule: str | None = None
    scaling: str | None = None
    layers: tuple[Layer, ...] = field(init=False, repr=False)
    """The hidden layers, first to last, each with what is its own."""

    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        widths = self.widths
        if not _WHOLE.issuperset(map(type, widths)) or min(widths, default=1) < 1:
            if any(not width >= 1 or width % 1 for width in widths):
                raise ValueError(f"widths: expected whole numbers of at least 1, got {tuple(widths)}")
            put(self, "widths", tuple(map(int, widths)))
        elif not isinstance(widths, tuple):
            put(self, "widths", tuple(widths))
        depth = len(widths)
        activation = _canonical("activation", "name", self.activation, depth)
        dropout = _canonical("dropout", "rate", self.dropout, depth)
        if activation is not self.activation:
            put(self, "activation", activation)
        if dropout is not self.dropout:
            put(self, "dropout", dropout)
        # Asked for again and again where genomes are bred and compared: once for each genome.
        put(self, "layers", tuple(map(_layer, self.widths, self.activations, self.dropouts)))
        put(self, "_hash", hash(_compared(self)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genome):
            return NotImplemented
        # Most who are compared differ, and so do their hashes.
        return self._hash == other._hash and _compared(self) == _compared(other)

    def __reduce__(self) -> tuple[Any, ...]:
        # Made anew where it is read: another process hashes names to other numbers.
        return type(self), _compared(self)

    @classmethod
    def of(cls, layers: Sequence[Layer], **genes: Any) -> Genome:
        """The genome of these layers, with the genes that are not the layers' by their names.

        ``Genome.of(genome.layers, ...)`` with the same other genes is the genome again. Raises
        `ValueError` if only some of the layers carry an activation, or a dropout.
        """
        widths, *carried = tuple(zip(*layers, strict=True)) or ((), (), ())
        for key, values in zip(LAYER_GENES, carried, strict=True):
            if None in values and set(values) != {None}:
                raise ValueError(f"layers: expected the {key} of all of them, or of none, got {values}")
            genes[key] = None if None in values else values
        return cls(widths, **genes)

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.widths)

    @property
    def activations(self) -> tuple[str | None, ...]:
        """The activation of each hidden layer; ``None`` where the genome carries none."""
        return self.activation if isinstance(self.activation, tuple) else (self.activation,) * self.depth

    @property
    def dropouts(self) -> tuple[float | None, ...]:
        """The dropout of each hidden layer; ``None`` where the genome carries none."""
        return self.dropout if isinstance(self.dropout, tuple) else (self.dropout,) * self.depth

    def n_parameters(self, n_inputs: int, n_outputs: int) -> int:
        """Weights and biases of this network between the given numbers of inputs and outputs."""
        return sum(self._weights_and_biases(n_inputs, n_outputs))

    def n_flops(self, n_inputs: int, n_outputs: int) -> int:
        """Floating-point operations of predicting one row: two for each weight and one for each bias.

        What activations and the output's own function take is not counted: it grows with the units
        alone, and depends on how a machine computes an exponential.
        """
        weights, biases = self._weights_and_biases(n_inputs, n_outputs)
        return 2 * weights + biases

    def _weights_and_biases(self, n_inputs: int, n_outputs: int) -> tuple[int, int]:
        outputs = (*self.widths, n_outputs)
        return sum(map(mul, (n_inputs, *self.widths), outputs)), sum(outputs)

    def to_dict(self) -> dict[str, Any]:
        """The genome as plain values for JSON; genes that it does not carry are left out."""
        record: dict[str, Any] = {"widths": list(self.widths)}
        for name in GENES:
            value = getattr(self, name)
            if value is not None:
                record[name] = list(value) if isinstance(value, tuple) else value
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Genome:
        """The genome that `to_dict` wrote; raises `ValueError` on keys that no genome has."""
        unknown = set(record) - {"widths", *GENES}
        if unknown or "widths" not in record:
            raise ValueError(f"expected the keys of a genome with 'widths', got {sorted(record)}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
        }
        return cls(**values)

    def __str__(self) -> str:
        """Such as ``64-128-32 relu lr=0.001``; a network without hidden layers is ``linear``."""
        words = ["-".join(map(str, self.widths)) or "linear"]
        for name in GENES:
            value = getattr(self, name)
            if value is not None:
                values = value if isinstance(value, tuple) else (value,)
                words.append(_LABELS.get(name, "") + ",".join(map(_short, values)))
        return " ".join(words)


_WHOLE = frozenset({int})
_compared = attrgetter("widths", *GENES)
"""All that makes a genome, in the order of its parameters."""


def _canonical(key: str, noun: str, value: Any, depth: int) -> Any:
    """What layers carry in its one form: a value for all of them, or a tuple of different ones."""
    if value is None or depth == 0:
        return None
    if not isinstance(value, tuple) and (isinstance(value, str) or not isinstance(value, Sequence)):
        return value
    if len(value) != depth:
        raise ValueError(
            f"{key}: expected one {noun}, or one for each of {depth} hidden layers, got {len(value)}"
        )
    return value[0] if len(set(value)) == 1 else tuple(value)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
