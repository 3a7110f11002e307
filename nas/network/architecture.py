"""The architecture of a network, and the order of its parameters in one flat buffer.

All weights come first, then all biases, then the members' factors of the inputs, then those of `Extras`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, host
from nas.network.extras import PLAIN, Extras, Units
from nas.network.waves import Waves

MOST_MEMBERS = 32
"""Members of a network, at most; more bring little (Gorishniy et al. 2025, "TabM")."""

RATE_FACTOR_BOUNDS = (0, 100)
"""The least and the largest factor of the learning rate for the parameters of extras; 0: without them."""

PARAMETRIZATIONS = ("standard", "ntk")
"""What learning rates are rates of: "standard", the weights; "ntk", the weights times the root of the number
of inputs of their layer (Jacot et al. 2018, the neural tangent kernel's), so that the rate that is best
depends less on widths."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The structure of a network.

    Parameters
    ----------
    sizes : tuple of int
        Numbers of inputs, of units of each hidden layer, and of outputs.
    activations : tuple of str
        The activation of each hidden layer; see `nas.network.ACTIVATIONS`.
    extras : Extras
        What it has beside its layers.
    members : int
        Members that share the hidden layers; more than 1 only where there is one, without extras.

    Raises
    ------
    ValueError
        On a size below 1, an unknown name, a number of activations that does not fit, or members that have no
        layer to share.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    extras: Extras = PLAIN
    members: int = 1

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "sizes", tuple(map(int, self.sizes)))  # numbers of NumPy, as from a draw

    @property
    def stacked_sizes(self) -> tuple[int, ...]:
        """The sizes with the outputs of all members side by side."""
        return stacked_sizes(self.sizes, self.members)

    @property
    def n_parameters(self) -> int:
        """The length of the flat buffer."""
        return n_parameters(self.sizes, self.members) + self.extras.n_numbers(self.sizes)

    def views(self, flat: Floats) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (inputs, outputs), and biases, (outputs,), as views of a flat buffer."""
        return views(flat, self.stacked_sizes)

    def factors_of(self, flat: Floats) -> Floats:
        """The members' factors of the inputs, of shape (members, inputs); without rows for a single one."""
        start = n_parameters(self.stacked_sizes)
        return flat[start : n_parameters(self.sizes, self.members)].reshape(-1, self.sizes[0])

    def front_views(self, flat: Floats) -> tuple[Floats, Waves]:
        """The factors of the inputs, of shape (inputs,) or (0,), and the waves, as views of a flat buffer."""
        return self.extras.front_views(flat[n_parameters(self.sizes, self.members) :], self.sizes)

    def unit_views(self, flat: Floats) -> Units:
        """Blends and gains of the hidden layers, as views of a flat buffer."""
        return self.extras.unit_views(flat[n_parameters(self.sizes, self.members) :], self.sizes)


def stacked_sizes(sizes: Sequence[int], members: int) -> tuple[int, ...]:
    """The sizes of a network with the outputs of all members side by side."""
    return (*sizes[:-1], sizes[-1] * members)


def n_parameters(sizes: Sequence[int], members: int = 1) -> int:
    """The numbers of a network of these sizes, without those in front of the first layer."""
    stacked = stacked_sizes(sizes, members)
    n_layers = sum((inputs + 1) * outputs for inputs, outputs in pairwise(stacked))
    return n_layers + (members * sizes[0] if members > 1 else 0)


def views(flat: Floats, sizes: Sequence[int]) -> tuple[list[Floats], list[Floats]]:
    """Weights, of shape (inputs, outputs), and biases, (outputs,), of a network of these sizes."""
    # All weights before all biases: weight decay is an operation on one slice.
    weights, biases, start = [], [], 0
    for inputs, outputs in pairwise(sizes):
        weights.append(flat[start : start + inputs * outputs].reshape(inputs, outputs))
        start += inputs * outputs
    for outputs in sizes[1:]:
        biases.append(flat[start : start + outputs])
        start += outputs
    return weights, biases


def _check(architecture: Architecture) -> None:
    sizes, activations, members = architecture.sizes, architecture.activations, architecture.members
    if len(sizes) < 2 or not all(_is_size(size) for size in sizes):
        raise ValueError(
            f"sizes: expected inputs, hidden widths and outputs, each a whole number >= 1, got {tuple(sizes)}"
        )
    if len(activations) != len(sizes) - 2:
        raise ValueError(
            f"activations: expected {len(sizes) - 2}, one a hidden layer, got {len(activations)}"
        )
    for name in activations:
        if name not in ACTIVATIONS:
            raise ValueError(f"activations: expected names among {', '.join(ACTIVATIONS)}, got {name!r}")
    most = MOST_MEMBERS if activations else 1
    if not isinstance(members, int) or not 1 <= members <= most:
        raise ValueError(
            f"members: expected a whole number from 1 to {most} for {len(activations)} hidden layers, "
            f"got {members!r}"
        )
    if architecture.extras and members > 1:
        # Members have factors of the inputs already, and waves would be as many as members.
        raise ValueError(f"extras: expected none of a network with members, got {architecture.extras}")


def _is_size(size: object) -> bool:
    # int() would raise its own OverflowError for infinity and ValueError for NaN, without the name.
    return isinstance(size, (int, float, host.number)) and bool(size >= 1) and float(size).is_integer()
