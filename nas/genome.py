"""A genome: the structure of one network, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

GENES = ("activation", "learning_rate", "batch_size", "weight_decay", "dropout", "optimizer")
"""The optional genes, in the order in which they are written."""

_LABELS = {
    "learning_rate": "lr={:g}",
    "batch_size": "batch={}",
    "weight_decay": "decay={:g}",
    "dropout": "dropout={:g}",
    "optimizer": "{}",
}


@dataclass(frozen=True, slots=True)
class Genome:
    """Widths of the hidden layers, first to last, and the optional genes that it carries.

    The depth *is* ``len(widths)``. A gene that is ``None`` is not carried: training then uses its
    own default. ``activation`` is one name for all hidden layers, or one name a layer.

    Genomes are canonical, so that equal networks are equal genomes: activations that are all the
    same collapse into one name, and a network without hidden layers carries neither an activation
    nor a dropout.
    """

    widths: tuple[int, ...]
    activation: str | tuple[str, ...] | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    weight_decay: float | None = None
    dropout: float | None = None
    optimizer: str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        if any(not width >= 1 or width % 1 for width in self.widths):
            raise ValueError(f"widths: expected whole numbers of at least 1, got {tuple(self.widths)}")
        put(self, "widths", tuple(int(width) for width in self.widths))
        put(self, "activation", _canonical_activation(self.activation, self.depth))
        if self.depth == 0:
            put(self, "dropout", None)

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.widths)

    @property
    def activations(self) -> tuple[str | None, ...]:
        """The activation of each hidden layer; ``None`` where the genome carries none."""
        if isinstance(self.activation, tuple):
            return self.activation
        return (self.activation,) * self.depth

    def n_parameters(self, n_inputs: int, n_outputs: int) -> int:
        """Weights and biases of this network between the given numbers of inputs and outputs."""
        sizes = (n_inputs, *self.widths, n_outputs)
        return sum((above + 1) * below for above, below in pairwise(sizes))

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
        unknown = set(record) - {field.name for field in fields(cls)}
        if unknown or "widths" not in record:
            raise ValueError(f"expected the keys of a genome with 'widths', got {sorted(record)}")
        values = dict(record)
        values["widths"] = tuple(values["widths"])
        if isinstance(values.get("activation"), list):
            values["activation"] = tuple(values["activation"])
        return cls(**values)

    def __str__(self) -> str:
        """Such as ``64-128-32 relu lr=0.001``; a network without hidden layers is ``linear``."""
        words = ["-".join(map(str, self.widths)) or "linear"]
        if self.activation is not None:
            words.append(self.activation if isinstance(self.activation, str) else ",".join(self.activation))
        for name, label in _LABELS.items():
            value = getattr(self, name)
            if value is not None:
                words.append(label.format(value))
        return " ".join(words)


def _canonical_activation(activation: str | Sequence[str] | None, depth: int) -> str | tuple[str, ...] | None:
    if activation is None or depth == 0:
        return None
    if isinstance(activation, str):
        return activation
    if len(activation) != depth:
        raise ValueError(
            f"activation: expected one name, or one for each of {depth} hidden layers, got {len(activation)}"
        )
    return activation[0] if len(set(activation)) == 1 else tuple(activation)
