"""Views of a cohort's arrays: the matrices of members and stacks, and the units that they read and write.

All of these are the buffers' own memory, in another shape: calls that are laid out with them see every
later change of the buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nas.network.arrays import Floats
from nas.network.waves import Waves
from nas.training.layout import Layout, Place


def member_views(layout: Layout, flat: Floats, member: int) -> tuple[list[Floats], list[Floats]]:
    """Weights, of shape (outputs, inputs), and biases of a member in a buffer, without padding."""
    sizes = layout.shapes[member].sizes
    weights, biases = [], []
    for (inputs, outputs), place in zip(pairwise(sizes), layout.places[member], strict=True):
        numbers = flat[place.numbers].reshape(place.shape)
        weights.append(numbers[:outputs, :inputs])
        biases.append(numbers[:outputs, -1])
    return weights, biases


def waves_of(layout: Layout, flat: Floats, member: int) -> Waves:
    """A member's waves in a buffer; their weights are of shape (outputs, sums), with padding."""
    shape = layout.shapes[member]
    n, units = len(shape.extras.periodic), shape.padded[1]
    views = Waves.of(flat[layout.waves[member]], n, units)
    return views._replace(weights=views.weights.reshape(units, -1))


def wide(layout: Layout, flat: Floats) -> Floats:
    """The first hidden layer of all members as one matrix: its product fills the first array.

    A solo member's row of ones needs no weights: it lies below all units, and is set once.
    """
    rows, inputs = layout.n_rows[1] - (not layout.tiled), layout.n_rows[0]
    return flat[: rows * inputs].reshape(rows, inputs)


def matrices(flat: Floats, stack: Sequence[Place]) -> Floats:
    """Weights and biases of a stack, of shape (members, outputs, inputs + 1)."""
    # No layer but the first has gaps between its members: one slice spans the stack.
    return flat[stack[0].numbers.start : stack[-1].numbers.stop].reshape(len(stack), *stack[0].shape)


def units(array: Floats, stack: Sequence[Place], *, source: bool = False, with_ones: bool = False) -> Floats:
    """Units of a stack, of shape (members, units, rows), with or without the row of ones below each member's.

    `source`: the units that the stack reads, instead of those that it writes.
    """
    first, last = (place.source_rows if source else place.rows for place in (stack[0], stack[-1]))
    # The last member's row of ones is part of the slice too, so that all members have as many rows.
    rows = array[first.start : last.stop + 1].reshape(len(stack), -1, array.shape[1])
    return rows if with_ones else rows[:, :-1]
