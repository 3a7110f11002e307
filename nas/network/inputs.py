"""A change of a network's inputs, for `nas.network.with_inputs`: some are added, or removed, others stay.

Added inputs have no effect until the first step. A removed input is replaced by its line over an input that
stays, so that the first layer computes nearly what it did.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas.network.architecture import Architecture
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

    def architecture(self, parent: Architecture) -> Architecture:
        """The architecture of the child: its parent's above the first layer, without waves."""
        sizes = (len(self.origins), *parent.sizes[1:])
        extras = parent.extras._replace(periodic=())
        return Architecture(sizes, parent.activations, extras, parent.members)

    def apply(self, layer: Layer, factors: Floats) -> Floats:
        """Give a first layer the child's inputs; return the members' factors of these.

        Parameters
        ----------
        layer : Layer
        factors : float array of shape (1 + moments, members, inputs)
            Without rows for a single member. An added input has those of the input before it that stays: it
            comes from the same column.
        """
        numbers = empty_numbers(layer, len(self.origins))
        stay = self.origins >= 0
        numbers[:, :-1][:, stay] = layer.numbers[:, self.origins[stay]]
        numbers[0, :-1][~stay] = 0
        if self.lines is not None:
            weights = layer.weights[self.lines.removed]
            slopes, heights = self._of_members(self.lines, factors)
            host.add.at(numbers[0], self.lines.over, slopes[:, host.newaxis] * weights)
            numbers[0, -1] += heights @ weights
        layer.numbers = numbers
        # The last input before each that stays: codes stand behind the number of their column.
        before = host.maximum.accumulate(host.where(stay, host.arange(len(stay)), 0))
        return factors[..., host.maximum(self.origins[before], 0)]

    def _of_members(self, lines: Lines, factors: Floats) -> tuple[Floats, Floats]:
        """Slopes and heights of lines for weights that several members share, by least squares."""
        if not factors.shape[1]:
            return lines.slopes, lines.heights
        removed, over = factors[0][:, lines.removed], factors[0][:, self.origins[lines.over]]
        # Training may have moved all members' factors of an input to 0: its line is then of no effect.
        of_slopes = (removed * over).sum(axis=0) / host.maximum((over * over).sum(axis=0), 1e-12)
        return lines.slopes * of_slopes, lines.heights * removed.mean(axis=0)
