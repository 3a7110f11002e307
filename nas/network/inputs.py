"""A change of a network's inputs, for `nas.network.with_inputs`: some are added, or removed, others stay.

Added inputs have no effect until the first step. A removed input is replaced by its line over an input that
stays, so that the first layer computes nearly what it did.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas.network.arrays import Array, Floats, host
from nas.network.layers import Layer, empty_numbers


@dataclass(frozen=True, eq=False)
class Lines:
    """Inputs that are removed, each with its line over an input of the child.

    Attributes
    ----------
    removed : int array of shape (removed,)
        Positions among the parent's inputs.
    over : int array of shape (removed,)
        Positions among the child's inputs.
    slopes, heights : arrays of shape (removed,)
        The removed input is about ``slope * input + height``.
    """

    removed: Array
    over: Array
    slopes: Floats
    heights: Floats


@dataclass(frozen=True, eq=False)
class InputChange:
    """How the inputs of a child follow from those of its parent.

    Attributes
    ----------
    origins : int array of shape (child's inputs,)
        The position of each among the parent's inputs; -1 for one that is added.
    lines : Lines, optional
        The parent's inputs that the child does not have.
    """

    origins: Array
    lines: Lines | None = None

    def apply(self, layer: Layer) -> None:
        """Give a first layer the child's inputs."""
        numbers = empty_numbers(layer, len(self.origins))
        stay = self.origins >= 0
        numbers[:, :-1][:, stay] = layer.numbers[:, self.origins[stay]]
        numbers[0, :-1][~stay] = 0
        if self.lines is not None:
            weights = layer.weights[self.lines.removed]
            host.add.at(numbers[0], self.lines.over, self.lines.slopes[:, host.newaxis] * weights)
            numbers[0, -1] += self.lines.heights @ weights
        layer.numbers = numbers
